"""
What is in my labels?
=====================

How long are the texts that were kept, and those that were not? Menus and buttons are short, so
counting words goes a long way.
"""

from skbert_filter.datasets import make_website_snippets
from skbert_filter.inspection import TextLengthDisplay

X, y = make_website_snippets(3000, random_state=0)
print(len(X), "labelled rows,", len(set(X)), "distinct texts")

# %%
# Each distinct text counts once. The dotted line is the best threshold on the number of words.

display = TextLengthDisplay.from_texts(X, y)

# %%
# **Conclusion.** The two labels overlap, but one threshold gets nearly nine in ten texts right:

always_discard = display.counts[0].sum() / display.counts.to_numpy().sum()
print(f"keep what has {display.threshold} words or more: {display.accuracy:.1%} right")
print(f"discard everything: {always_discard:.1%} right")
# sphinx_gallery_start_ignore
assert 0.85 < display.accuracy < 0.95
assert display.accuracy > always_discard + 0.1
# sphinx_gallery_end_ignore

# %%
# A filter is worth training for what it gets right beyond that rule.
