"""
When does training stop?
========================

The loss on the training texts keeps falling for as long as a filter is trained; on other texts it
does not.
"""

import pandas as pd

from skbert_filter import SmallBertTextFilter, dedup_train_test_split
from skbert_filter.datasets import make_website_snippets

X, y = make_website_snippets(3000, ambiguous=0.15, random_state=0)
X_train, X_test, y_train, y_test = dedup_train_test_split(X, y, random_state=0)

# %%
# A small model, trained longer than is good for it; its loss on the test texts is only logged.

model = SmallBertTextFilter(
    hidden_size=16,
    intermediate_size=64,
    num_hidden_layers=1,
    num_attention_heads=2,
    vocab_size=2000,
    learning_rate=3e-3,
    epochs=16,
    early_stopping=False,
    random_state=0,
)
model.fit(X_train, y_train, X_val=X_test, y_val=y_test)
history = pd.DataFrame(model.history_, index=range(1, model.n_iter_ + 1))
axes = history.plot(
    subplots=[("loss", "val_loss"), ("accuracy", "val_accuracy")], xlabel="epoch", figsize=(6, 6)
)

# %%
# **Conclusion.** After some epoch the model overfits: the loss on other texts rises. With early
# stopping, a tenth of the training texts is held out, and the filter keeps the weights of the best
# epoch:

stopped = SmallBertTextFilter(**{**model.get_params(), "early_stopping": True})
stopped.fit(X_train, y_train)
best = stopped.training_record_["best_epoch"]
print(f"best epoch: {best}, stopped after {stopped.n_iter_} of {stopped.epochs}")
for name, fitted in (("all epochs", model), ("the best epoch", stopped)):
    print(f"accuracy on texts held out, after {name}: {fitted.score(X_test, y_test):.3f}")
# sphinx_gallery_start_ignore
on_others = model.history_["val_loss"]
assert on_others[-1] > 1.2 * min(on_others)
assert best < stopped.n_iter_ < stopped.epochs
# sphinx_gallery_end_ignore
