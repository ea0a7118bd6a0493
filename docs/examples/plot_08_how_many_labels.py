"""
How many labels do I need?
==========================

Train on more and more of your labels, and score on held-out texts: if the curve is still rising at
its end, more labels will help.
"""

import numpy as np
from sklearn.model_selection import LearningCurveDisplay, StratifiedKFold

from skbert_filter import resolve_conflicts
from skbert_filter.datasets import make_website_snippets
from skbert_filter.inspection import WordCountRule, tfidf_baseline

# A text labelled ten times is one label, and must not be on both sides of a split.
X, y, _ = resolve_conflicts(*make_website_snippets(2500, random_state=0))
X, first = np.unique(X, return_index=True)
y = y[first]

common = {
    "cv": StratifiedKFold(3, shuffle=True, random_state=0),
    "train_sizes": [0.03, 0.1, 0.3, 1.0],
    "shuffle": True,
    "random_state": 0,
    "score_type": "test",
    "std_display_style": "errorbar",
}
words = LearningCurveDisplay.from_estimator(tfidf_baseline(), X, y, **common)
rule = LearningCurveDisplay.from_estimator(WordCountRule(), X, y, ax=words.ax_, **common)
for display, name in ((words, "TF-IDF"), (rule, "number of words")):
    display.errorbar_[0].set_label(name)
_ = words.ax_.legend()

# %%
# Each mark is the mean of three folds, each bar their standard deviation.

# %%
# **Conclusion.** The rule has one number to learn, and is as good as it gets almost at once. TF-IDF
# is still improving with all labels:

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
# So keep labelling, ideally what
# :ref:`the model is least sure of <sphx_glr_auto_examples_plot_10_what_to_label_next.py>`.
