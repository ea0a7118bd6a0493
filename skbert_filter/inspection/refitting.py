"""A check that an estimator can be fitted again to each fold."""

from typing import Any

from sklearn.base import is_classifier
from sklearn.frozen import FrozenEstimator


def check_not_frozen(estimator: Any) -> None:
    """Reject an estimator that is or contains a frozen classifier: its scores could be too high.

    A frozen vectorizer is accepted: it was fitted to texts, but not to labels.
    """
    for part in (estimator, *estimator.get_params(deep=True).values()):
        if isinstance(part, FrozenEstimator) and is_classifier(part):
            raise ValueError(
                f"The estimator has a FrozenEstimator of {type(part.estimator).__name__}, which is "
                "not fitted again and may have learnt the labels that it is tested on. Pass the "
                "estimator inside it instead."
            )
