"""
How much of my corpus repeats?
==============================

A crawl contains the same menus over and over. How few texts make up most of the rows?
"""

import numpy as np

from skbert_filter import duplicate_report
from skbert_filter.datasets import make_website_corpus
from skbert_filter.inspection import DuplicateFrequencyDisplay

corpus = make_website_corpus(100_000, random_state=0)
report = duplicate_report(corpus)
print(report)

# %%
# The most frequent text is on the left, those that occur once on the right. The dashed line is the
# cumulative share of all rows.

display = DuplicateFrequencyDisplay.from_report(report)

# %%
# **Conclusion.** A few texts make up most of the rows, and most texts occur once:

curve = report.frequencies
half = int(np.ceil(np.interp(0.5, curve["coverage"], curve["top_texts"])))
once = curve.loc[curve["occurrences"] == 1, "texts"].sum()
print(f"{report.rows:,} rows hold {report.distinct:,} distinct texts")
print(f"{half:,} texts ({half / report.distinct:.1%}) make half of the rows")
print(f"{once:,} texts ({once / report.distinct:.0%}) occur once")
# sphinx_gallery_start_ignore
assert half < 0.1 * report.distinct
assert once > 0.5 * report.distinct
# sphinx_gallery_end_ignore

# %%
# So computing each distinct text once saves most of the work
# (:ref:`sphx_glr_auto_examples_plot_11_dedup_predictor.py`), and a random split puts copies on both
# sides (:ref:`sphx_glr_auto_examples_plot_04_leaking_folds.py`).
