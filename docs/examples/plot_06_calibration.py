"""
Can I trust the probabilities?
==============================

The focal loss makes a model underconfident: of the texts that it scores 0.8, more than 80 % are
useful. The inverse of the loss corrects that, without any data.
"""

from scipy.special import expit
from sklearn.calibration import CalibrationDisplay

from skbert_filter import SmallBertTextFilter, dedup_train_test_split
from skbert_filter.datasets import make_website_snippets
from skbert_filter.inspection import expected_calibration_error

X, y = make_website_snippets(5600, random_state=0)
X_train, X_test, y_train, y_test = dedup_train_test_split(X, y, test_size=0.4, random_state=0)
model = SmallBertTextFilter(
    hidden_size=16,
    intermediate_size=64,
    num_hidden_layers=1,
    num_attention_heads=2,
    vocab_size=2000,
    learning_rate=3e-3,
    random_state=0,
).fit(X_train, y_train)

# %%
# Each mark is a tenth of the held-out texts: their predicted probability, and how many of them are
# useful.

probabilities = {
    "before: sigmoid": expit(model.decision_function(X_test)),
    "after: posterior": model.predict_proba(X_test)[:, 1],
}
ax = None
for name, given in probabilities.items():
    ax = CalibrationDisplay.from_predictions(
        y_test, given, n_bins=10, strategy="quantile", name=name, ax=ax
    ).ax_

# %%
# **Conclusion.** ``predict_proba`` returns the corrected probabilities ("posterior"), which are
# much closer to the truth:

errors = {name: expected_calibration_error(y_test, p) for name, p in probabilities.items()}
for name, error in errors.items():
    print(f"{name}: expected calibration error {error:.3f}")
# sphinx_gallery_start_ignore
assert errors["after: posterior"] < 0.6 * errors["before: sigmoid"]
# sphinx_gallery_end_ignore

# %%
# Neither the order of the texts nor the predicted class changes; a threshold other than one half
# now means what it says.
