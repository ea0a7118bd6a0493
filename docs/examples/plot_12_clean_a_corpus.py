"""
Which rows did it drop, and why?
================================

A folder with a text file for each firm goes in, and one with the same names comes out. The audit
file lists the decision on each distinct text.
"""

import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from skbert_filter import filter_corpus
from skbert_filter.datasets import make_website_corpus, make_website_snippets
from skbert_filter.inspection import tfidf_baseline

model = tfidf_baseline().fit(*make_website_snippets(2000, random_state=0))
scratch = tempfile.TemporaryDirectory()
folder = Path(scratch.name)
(folder / "firms").mkdir()
for number, lines in enumerate(np.array_split(make_website_corpus(20_000, random_state=0), 40)):
    file = folder / "firms" / f"firm_{number:02}.txt"
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")

# %%

summary = filter_corpus(model, folder / "firms", folder / "kept", audit=folder / "audit.parquet")
audit = pd.read_parquet(folder / "audit.parquet")
scratch.cleanup()
print(f"{summary.files} files, {summary.rows:,} rows: {summary.kept:,} kept")

# %%
# Each mark is a distinct text; those high up stand for many rows.

fig, ax = plt.subplots(figsize=(4, 3), layout="constrained")
for decision, marker, color in (("discard", "x", "0.45"), ("keep", "o", "#0072B2")):
    some = audit[audit["decision"] == decision]
    name = f"{decision}: {some['rows'].sum():,} rows"
    ax.plot("probability", "rows", marker, data=some, color=color, ms=4, mfc="none", label=name)
ax.axvline(0.5, color="black", linestyle=":")
ax.set(yscale="log", xlabel="probability of being useful", ylabel="rows with the text")
ax.yaxis.set_major_formatter("{x:,.0f}")
ax.legend(loc="upper right", frameon=False)
plt.show()

# %%
# **Conclusion.** The rows decided by a narrow margin are few, and their most frequent texts make a
# short list to read:

unsure = audit[audit["probability"].between(0.3, 0.7)].sort_values("rows", ascending=False)
print(f"between 0.3 and 0.7: {len(unsure) / summary.distinct:.1%} of the distinct texts")
print(f"which make {unsure['rows'].sum() / summary.rows:.1%} of the rows")
# sphinx_gallery_start_ignore
assert unsure["rows"].sum() / summary.rows < len(unsure) / summary.distinct < 0.15
# sphinx_gallery_end_ignore

# %%
# If one of these is wrong, label it, train again, and run the job again:

unsure[["text", "probability", "rows", "decision"]].head(6)
