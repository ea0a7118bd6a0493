"""
What should I label next?
=========================

Any hundred texts, or those that the model is unsure of, that are frequent, and that differ from
each other?
"""

import matplotlib.pyplot as plt
import numpy as np

from skbert_filter import dedup_train_test_split
from skbert_filter.datasets import make_website_snippets
from skbert_filter.inspection import next_to_label, tfidf_baseline

X, y = make_website_snippets(2500, random_state=0)
pool, X_test, pool_labels, y_test = dedup_train_test_split(X, y, random_state=0)
answer = dict(zip(pool, pool_labels, strict=True))

# %%
# Both start with the same hundred random texts, and get a hundred more labels in each round.


def label_in_rounds(chosen, rounds=4):
    """Return the accuracy after each round of labelling."""
    rng = np.random.default_rng(0)
    labelled = list(rng.choice(sorted(answer), 100, replace=False))
    scores = []
    for _ in range(rounds + 1):
        model = tfidf_baseline().fit(labelled, [answer[text] for text in labelled])
        scores.append(model.score(X_test, y_test))
        if chosen:
            table = next_to_label(model, pool, 100, labelled=labelled, random_state=0)
            labelled += table["text"].tolist()
        else:
            left = sorted(set(answer) - set(labelled))
            labelled += list(rng.choice(left, 100, replace=False))
    return scores


labels = np.arange(100, 600, 100)
by_choice, at_random = label_in_rounds(True), label_in_rounds(False)

# %%

fig, ax = plt.subplots(figsize=(4, 3), layout="constrained")
ax.plot(labels, by_choice, "ks-", mfc="white", label="next_to_label")
ax.plot(labels, at_random, "o--", color="#0072B2", mfc="white", label="at random")
ax.set(xlabel="labels", ylabel="accuracy", xticks=labels)
ax.legend(loc="lower right", frameon=False)
plt.show()

# %%
# **Conclusion.** Chosen texts take the model further than as many random ones:

for n, choice, chance in zip(labels, by_choice, at_random, strict=True):
    print(f"{n} labels: chosen {choice:.3f}, at random {chance:.3f}")
# sphinx_gallery_start_ignore
assert by_choice[-1] > at_random[-1] + 0.005
assert min(np.subtract(by_choice, at_random)) > -0.01
# sphinx_gallery_end_ignore

# %%
# :doc:`/labels` has figures for real snippets. Always draw the test texts at random: a score on
# chosen texts is a score on the difficult ones.
