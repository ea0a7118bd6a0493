"""
When does training stop?
========================

A first filter, and how it was trained: the loss falls on the texts that it learns from as long as
one trains, and on other texts it does not.
"""

from skbert_filter import SmallBertTextFilter, dedup_train_test_split
from skbert_filter.datasets import make_website_snippets
from skbert_filter.inspection import TrainingHistoryDisplay

X, y = make_website_snippets(3000, ambiguous=0.15, random_state=0)
X_train, X_test, y_train, y_test = dedup_train_test_split(X, y, random_state=0)

# %%
# A smaller model than the default, so that it trains in seconds, and for longer than is good for
# it: ``patience=16`` keeps it from stopping. A tenth of the distinct training texts is set apart
# for watching.

model = SmallBertTextFilter(
    hidden_size=16,
    intermediate_size=64,
    num_hidden_layers=1,
    num_attention_heads=2,
    vocab_size=2000,
    learning_rate=3e-3,
    epochs=16,
    patience=16,
    random_state=0,
)
model.fit(X_train, y_train)
display = TrainingHistoryDisplay.from_estimator(model)

# %%
# **Conclusion.** From the best epoch on the model learns its texts by heart, and is surer of itself
# than it should be: the loss of the texts set apart rises. The filter has the weights of the best
# epoch, not of the last:

apart = model.history_["val_loss"]
best = model.training_record_["best_epoch"]
print(f"best epoch: {best} of {model.n_iter_}")
print(f"loss of the texts set apart: {apart[best - 1]:.3f}, at the end {apart[-1]:.3f}")
print(f"accuracy on texts held out: {model.score(X_test, y_test):.3f}")
# sphinx_gallery_start_ignore
assert best < model.n_iter_
assert apart[-1] > 1.2 * apart[best - 1]
# sphinx_gallery_end_ignore

# %%
# So you need not know how many epochs are right. By default training stops when a fifth of the
# epochs, and at least two, have brought nothing (``patience="auto"``), which saves the rest of the
# time.
