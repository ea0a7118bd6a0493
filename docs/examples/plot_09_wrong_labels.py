"""
Which of my labels are wrong?
=============================

Here 5 % of the labels are wrong on purpose, and
:func:`~skbert_filter.inspection.suspect_labels` has to find them.
"""

import matplotlib.pyplot as plt
import numpy as np

from skbert_filter.datasets import make_website_snippets
from skbert_filter.inspection import suspect_labels, tfidf_baseline

X, y = make_website_snippets(2500, random_state=0)
texts = np.unique(X)
wrong = np.random.default_rng(0).choice(texts, len(texts) // 20, replace=False)
given = np.where(np.isin(X, wrong), 1 - y, y)

# %%
# Each text is scored by models trained without it. What to read first:

suspects = suspect_labels(tfidf_baseline(), X, given, cv=3)
suspects[["text", "label", "suggested", "rows"]].head(5)

# %%
# How many texts must be read to find how many of the wrong labels?

read = np.arange(1, len(suspects) + 1)
found = np.cumsum(np.isin(suspects["text"], wrong))
fig, ax = plt.subplots(figsize=(4, 3), layout="constrained")
ax.plot(read, found, "k-", label="most suspect first")
ax.plot([0, len(texts)], [0, len(wrong)], "--", color="#0072B2", label="in any order")
ax.set(xlabel="texts read", ylabel="wrong labels found", xlim=0, ylim=0)
ax.legend(loc="lower right", frameon=False)
plt.show()

# %%
# **Conclusion.** Reading a tenth of the texts finds most of the wrong labels:

tenth = len(texts) // 10
print(f"{tenth} of {len(texts):,} texts read: {found[tenth - 1]} of {len(wrong)} wrong labels seen")
# sphinx_gallery_start_ignore
assert found[tenth - 1] > 0.6 * len(wrong)
# sphinx_gallery_end_ignore

# %%
# The others are wrong but plausible, or right but odd, so read before you correct.
# :ref:`wrong-labels` shows how to apply corrections.
