"""scikit-learn's estimator checks, restated for classifiers of text.

scikit-learn's own `check_estimator` runs a single check on an estimator whose `X`
is a column of texts. The checks here stand in for the others, and add what only
text brings along. They need no pytest, except for `parametrize_with_text_checks`.
"""

from skbert_filter.testing.runner import check_text_classifier, parametrize_with_text_checks

__all__ = ["check_text_classifier", "parametrize_with_text_checks"]
