"""
How much computing do repeats cost?
===================================

A corpus comes in ten parts. A :class:`~skbert_filter.DedupPredictor` scores each distinct text
once, and remembers it for later parts.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skbert_filter import DedupPredictor
from skbert_filter.datasets import make_website_corpus, make_website_snippets
from skbert_filter.inspection import tfidf_baseline

# %%
# An earlier step cleans the texts, which makes more of them equal.


def tidy(texts):
    """Collapse runs of blanks."""
    return [" ".join(text.split()) for text in texts]


model = tfidf_baseline().fit(*make_website_snippets(1000, random_state=0))
scorer = DedupPredictor(FrozenEstimator(model), store="memory")
pipeline = make_pipeline(FunctionTransformer(tidy), scorer)

# %%
# ``cache_info`` counts the texts that had to be computed.

corpus = make_website_corpus(50_000, random_state=0)
computed = []
for part in np.array_split(corpus, 10):
    pipeline.predict(part)
    computed.append(pipeline[-1].cache_info().misses)

# %%

rows = np.arange(5_000, 55_000, 5_000)
fig, ax = plt.subplots(figsize=(4, 3), layout="constrained")
ax.plot(rows, rows, "o--", color="#0072B2", mfc="white", label="rows to predict")
ax.plot(rows, computed, "ks-", mfc="white", label="texts computed")
ax.set(xlabel="rows so far", ylim=0, xlim=0)
for axis in (ax.xaxis, ax.yaxis):
    axis.set_major_formatter("{x:,.0f}")
ax.legend(loc="upper left", frameon=False)
plt.show()

# %%
# **Conclusion.** Most rows cost nothing, and more so with each part:

print(f"first part: {computed[0]:,} texts computed for 5,000 rows")
print(f"last part: {computed[-1] - computed[-2]:,} texts computed for 5,000 rows")
print(f"all: {computed[-1]:,} texts for {len(corpus):,} rows, {computed[-1] / len(corpus):.0%}")
# sphinx_gallery_start_ignore
assert computed[-1] < 0.4 * len(corpus)
assert computed[-1] - computed[-2] < 0.4 * computed[0]
# sphinx_gallery_end_ignore

# %%
# With ``store="scores.sqlite"`` the results outlive the program: tomorrow's crawl only pays for its
# new texts.
