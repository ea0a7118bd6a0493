"""
How many labels do I need?
==========================

Train on more and more of your labels, and score on held-out texts: if the curve still rises at its
end, more labels will help.
"""

from skbert_filter.datasets import make_website_snippets
from skbert_filter.inspection import DedupLearningCurveDisplay, WordCountRule, tfidf_baseline

X, y = make_website_snippets(2500, random_state=0)
common = {"cv": 3, "random_state": 0, "train_sizes": [0.03, 0.1, 0.3, 1.0]}
words = DedupLearningCurveDisplay.from_estimator(tfidf_baseline(), X, y, name="TF-IDF", **common)
rule = DedupLearningCurveDisplay.from_estimator(
    WordCountRule(), X, y, name="number of words", ax=words.ax_, **common
)

# %%
# Each mark is the mean of three folds, each bar their standard deviation.

# %%
# **Conclusion.** The rule has one number to learn, and is as good as it gets almost at once. TF-IDF
# still rises with all labels:

for size, of_rule, of_words in zip(
    words.train_sizes, rule.test_scores.mean(1), words.test_scores.mean(1), strict=True
):
    print(f"{size:5,} labels: number of words {of_rule:.3f}, TF-IDF {of_words:.3f}")
# sphinx_gallery_start_ignore
lead = (words.test_scores - rule.test_scores).mean(1)
assert lead[0] < 0.01 < 0.02 < lead[-1]
assert words.test_scores[-1].mean() > words.test_scores[-2].mean() + 0.01
# sphinx_gallery_end_ignore

# %%
# So label on, best what
# :ref:`the model is least sure of <sphx_glr_auto_examples_plot_10_what_to_label_next.py>`.
