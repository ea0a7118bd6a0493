"""Whether an estimator learns again from each fold."""

from typing import Any

from sklearn.base import is_classifier
from sklearn.frozen import FrozenEstimator


def check_not_frozen(estimator: Any) -> None:
    """Refuse an estimator that is or holds a frozen classifier: its scores are not honest."""
    # A frozen vectorizer is not a classifier, and may stay: it knows texts and no labels.
    for part in (estimator, *estimator.get_params(deep=True).values()):
        if isinstance(part, FrozenEstimator) and is_classifier(part):
            raise ValueError(
                f"The estimator has a FrozenEstimator of {type(part.estimator).__name__}, which is "
                "not fitted again, and may have learnt the labels that it is tested on. Pass what "
                "is in it instead."
            )
