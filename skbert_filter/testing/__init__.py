"""scikit-learn's estimator checks, adapted to text classifiers.

scikit-learn's own `check_estimator` runs a single check on an estimator whose `X` is a column of
texts. The checks here replace the others, and add those that only texts need. Only
`parametrize_with_text_checks` needs pytest.
"""

from skbert_filter.testing.runner import check_text_classifier, parametrize_with_text_checks

__all__ = ["check_text_classifier", "parametrize_with_text_checks"]
