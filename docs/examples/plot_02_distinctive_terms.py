"""
Which words distinguish my labels?
==================================

A word cloud shows what is frequent everywhere. More telling is what one label uses *more than the
other*, and how certain that is.
"""

from skbert_filter.datasets import make_website_snippets
from skbert_filter.inspection import DistinctiveTermsDisplay

X, y = make_website_snippets(3000, random_state=0)

# %%
# For each word, the log-odds ratio of its use in the two labels, with the 95 % interval. The most
# certain ones are shown, not the largest.

display = DistinctiveTermsDisplay.from_texts(X, y)

# %%
# **Conclusion.** What sets the kept texts (label 1) apart is the small words that hold a sentence
# together, not a topic:

terms = display.terms
for label in (0, 1):
    print(label, terms[terms["label"] == label]["term"].head(8).tolist())

# %%
# So leave the stop words in: they are the surest signs that a text is a sentence.

n_terms = 20
kept = terms[terms["label"] == 1].head(n_terms)
print(kept[["term", "count", "others", "log_odds"]].round(2).to_string(index=False))
# sphinx_gallery_start_ignore
assert set(kept["term"]) >= {"the", "and", "in", "it", "with", "to"}
# sphinx_gallery_end_ignore
