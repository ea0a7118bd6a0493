"""
Is it worth to let two models vote?
===================================

A small BERT reads a text in its order; TF-IDF counts its words and letters. If they err on
different texts, the mean of their probabilities is better than either.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.ensemble import VotingClassifier
from sklearn.frozen import FrozenEstimator

from skbert_filter import SmallBertTextFilter, dedup_train_test_split
from skbert_filter.datasets import make_website_snippets
from skbert_filter.inspection import evaluate, tfidf_baseline

X, y = make_website_snippets(4000, random_state=0)
X_train, X_test, y_train, y_test = dedup_train_test_split(X, y, test_size=0.4, random_state=0)
small = SmallBertTextFilter(
    hidden_size=16,
    intermediate_size=64,
    num_hidden_layers=1,
    num_attention_heads=2,
    vocab_size=2000,
    learning_rate=3e-3,
    random_state=0,
).fit(X_train, y_train)
members = {
    "small BERT": FrozenEstimator(small),
    "TF-IDF": FrozenEstimator(tfidf_baseline().fit(X_train, y_train)),
}

# %%
# Each mark is a held-out text that one of them gets wrong, where the two have put it. On the
# diagonal they agree; in the lower right and upper left quarters only one of them is wrong.

first, second = (model.predict_proba(X_test)[:, 1] for model in members.values())
wrong = {name: model.predict(X_test) != y_test for name, model in members.items()}
either = np.logical_or(*wrong.values())
fig, ax = plt.subplots(figsize=(4, 3.6), layout="constrained")
for label, marker, color in ((0, "x", "0.4"), (1, "o", "#0072B2")):
    some = either & (y_test == label)
    ax.plot(
        first[some], second[some], marker, color=color, mfc="none", ms=5, label=f"label {label}"
    )
ax.axhline(0.5, color="black", linestyle=":")
ax.axvline(0.5, color="black", linestyle=":")
ax.set(xlabel="probability, small BERT", ylabel="probability, TF-IDF", xlim=(0, 1), ylim=(0, 1))
fig.legend(loc="outside upper center", ncols=2, frameon=False)
plt.show()

# %%
# **Conclusion.** Most errors are made by both, and no vote mends those; it can only mend what one
# of them gets wrong by itself:

both = np.logical_and(*wrong.values()).sum()
for name, errors in wrong.items():
    print(f"{name}: {errors.sum()} rows wrong, {errors.sum() - both} of them by itself")
# sphinx_gallery_start_ignore
assert both > 0.5 * max(errors.sum() for errors in wrong.values())
# sphinx_gallery_end_ignore

# %%
# Whether the vote is better by more than chance, :func:`~skbert_filter.inspection.evaluate` tells:

vote = VotingClassifier(list(members.items()), voting="soft").fit(X_train, y_train)
scores = evaluate(vote, X_test, y_test, baselines=members)
print(scores.to_frame()[["accuracy", "average_precision"]].round(3))
for sentence in scores.tests:
    print(sentence)

# %%
# The answer differs with the data: on real snippets, with a pretrained encoder, the mean was ahead
# of both (:doc:`/benchmarks`). :func:`~skbert_filter.inspection.compare` finds it out over several
# folds of yours.
