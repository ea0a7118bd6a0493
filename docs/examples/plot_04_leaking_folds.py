"""
Why did my score drop after dedup?
==================================

Two models, scored with scikit-learn's folds of rows, and with folds that keep copies of a text
together.
"""

import matplotlib.pyplot as plt
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline

from skbert_filter import DedupStratifiedKFold, leakage_report
from skbert_filter.datasets import make_website_snippets
from skbert_filter.inspection import WordCountRule

# %%
# A person could label three texts in ten either way. A model cannot know such a label unless it has
# seen that very text.

X, y = make_website_snippets(4000, ambiguous=0.3, random_state=0)
models = {
    "words, TF-IDF": make_pipeline(TfidfVectorizer(), LogisticRegression(C=10, max_iter=1000)),
    "number of words": WordCountRule(),
}
folds = {
    "rows dealt out": StratifiedKFold(5, shuffle=True, random_state=0),
    "copies kept together": DedupStratifiedKFold(5, shuffle=True, random_state=0),
}
scores = {
    (model, way): cross_val_score(estimator, X, y, cv=cv)
    for model, estimator in models.items()
    for way, cv in folds.items()
}

# %%
# In a naive fold, many test rows have a copy among the training rows:

train, test = next(iter(folds["rows dealt out"].split(X, y)))
leakage_report(X[train], X[test])

# %%
# In a fold that keeps copies together, none do:

train, test = next(iter(folds["copies kept together"].split(X, y)))
leakage_report(X[train], X[test])

# %%
# Each mark is a fold; the line is the mean of five.

fig, ax = plt.subplots(figsize=(4, 3), layout="constrained")
looks = (("black", "o"), ("#0072B2", "s"))
for row, ((_, way), found) in enumerate(scores.items()):
    color, marker = looks[row % 2]
    name = way if row < 2 else None
    place = row + row // 2
    ax.plot(found, [place] * 5, marker, color=color, mfc="white", ms=5, label=name)
    ax.plot([found.mean()] * 2, [place - 0.35, place + 0.35], color=color, lw=2)
ax.set(yticks=[0.5, 3.5], yticklabels=[m.replace(" ", "\n", 1) for m in models], ylim=(4.8, -0.8))
ax.set_xlabel("accuracy of a fold")
fig.legend(loc="outside upper center", frameon=False)
plt.show()

# %%
# **Conclusion.** The model that can memorize words gains from copies, the rule does not. The
# difference is what the naive score promises but new texts do not deliver:

for model in models:
    naive, safe = (scores[model, way].mean() for way in folds)
    print(f"{model}: {naive:.3f} naive, {safe:.3f} safe, {naive - safe:+.3f}")
# sphinx_gallery_start_ignore
means = [found.mean() for found in scores.values()]
assert means[0] - means[1] > 0.01
assert abs(means[2] - means[3]) < 0.01
# sphinx_gallery_end_ignore

# %%
# Nothing was lost: the lower score was true all along. :ref:`honest-score` has real snippets.
