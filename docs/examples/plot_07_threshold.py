"""
Which threshold should I use?
=============================

Decide what it costs to lose a useful text and to keep a menu item, and the threshold follows.
"""

from sklearn.metrics import confusion_matrix, make_scorer
from sklearn.model_selection import TunedThresholdClassifierCV

from skbert_filter import DedupStratifiedKFold, dedup_train_test_split
from skbert_filter.datasets import make_website_snippets
from skbert_filter.inspection import ScoreDistributionDisplay, tfidf_baseline

X, y = make_website_snippets(2000, random_state=0)
X_train, X_test, y_train, y_test = dedup_train_test_split(X, y, test_size=0.4, random_state=0)

# %%
# Here, losing one useful text is as bad as keeping five pieces of garbage.


def cost(y_true, y_pred):
    """Return what the errors cost, for each text."""
    (_, kept_garbage), (lost, _) = confusion_matrix(y_true, y_pred, labels=[0, 1])
    return (5 * lost + kept_garbage) / len(y_true)


# %%
# The threshold is chosen on held-out folds.

tuned = TunedThresholdClassifierCV(
    tfidf_baseline(),
    scoring=make_scorer(cost, greater_is_better=False),
    cv=DedupStratifiedKFold(5, shuffle=True, random_state=0),
).fit(X_train, y_train)
display = ScoreDistributionDisplay.from_estimator(
    tuned, X_test, y_test, threshold=tuned.best_threshold_
)

# %%
# **Conclusion.** At these costs the threshold is well below one half. It keeps more of the useful
# texts, and more garbage with them; the total cost is lower:

model = tuned.estimator_
for threshold in (0.5, tuned.best_threshold_):
    answers = model.predict_proba(X_test)[:, 1] >= threshold
    print(f"threshold {threshold:.2f}: {cost(y_test, answers):.3f} a text")
# sphinx_gallery_start_ignore
assert tuned.best_threshold_ < 0.3
assert cost(y_test, answers) < cost(y_test, model.predict(X_test))
# sphinx_gallery_end_ignore

# %%
# ``tuned.predict`` uses it, and so does :func:`~skbert_filter.filter_corpus` with ``tuned``.
