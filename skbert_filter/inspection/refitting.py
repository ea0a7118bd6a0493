"""Whether a classifier learns anew from each fold, without which its scores would not be honest."""

from typing import Any

from sklearn.base import is_classifier
from sklearn.frozen import FrozenEstimator


def check_learns(estimator: Any) -> None:
    """Refuse an estimator that is or holds a frozen classifier.

    Raises
    ------
    ValueError
    """
    # A frozen vectorizer is no classifier, and may stay: it knows texts and no labels.
    parts = [estimator, *estimator.get_params(deep=True).values()]
    for part in parts:
        if isinstance(part, FrozenEstimator) and is_classifier(part):
            raise ValueError(
                f"The estimator has a FrozenEstimator of {type(part.estimator).__name__}, which is "
                "not fitted again, and would be asked about labels that it may have learnt. Pass "
                "what is in it instead."
            )
