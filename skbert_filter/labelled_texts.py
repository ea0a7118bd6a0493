"""The record of labelled, weighted texts, from a user's rows to the batches of a fit.

Knows nothing of where the texts come from, or of models.
"""

import hashlib
from dataclasses import dataclass, replace
from reprlib import repr as short_repr
from typing import Any

import numpy as np
from sklearn.utils.class_weight import compute_class_weight


@dataclass(frozen=True)
class LabelledTexts:
    """Texts with class shares and weights, and counts of the input rows."""

    # Sorted by code point, so that a fit does not depend on the order of rows.
    texts: list[str]
    # The integer code of the class of each text, and the share of each class in it: float32 of
    # shape (n_texts, n_classes), with rows that sum to 1.
    classes: np.ndarray
    shares: np.ndarray
    weights: np.ndarray
    # Distinct texts among the input rows, those with more than one class, and those dropped.
    n_distinct: int
    n_conflicts: int
    n_dropped: int

    def take(self, rows: np.ndarray) -> "LabelledTexts":
        """Return some of the texts, with unchanged counts."""
        return replace(
            self,
            texts=[self.texts[i] for i in rows],
            classes=self.classes[rows],
            shares=self.shares[rows],
            weights=self.weights[rows],
        )

    def with_class_weight(self, class_weight: Any, classes: np.ndarray) -> "LabelledTexts":
        """Return the texts with weights multiplied by class weights, and a mean weight of 1."""
        if isinstance(class_weight, dict):
            values = np.array(list(class_weight.values()), np.float64)
            if not np.isfinite(values).all() or (values < 0).any() or not values.any():
                raise ValueError(
                    f"class_weight={class_weight!r} must hold finite numbers of 0 or more, and not "
                    "only zeros."
                )
        class_weights = compute_class_weight(
            _by_code(class_weight, classes),
            classes=np.arange(len(classes)),
            y=np.tile(np.arange(len(classes)), len(self.texts)),
            sample_weight=(self.shares * self.weights[:, None]).ravel(),
        )

        # The shares of a text with several classes are weighted too.
        weighted = self.shares * class_weights.astype(np.float32)
        total = weighted.sum(axis=1, keepdims=True)
        shares = np.divide(weighted, total, out=self.shares.copy(), where=total > 0)
        weights = self.weights * total[:, 0]
        return replace(self, shares=shares, weights=weights / weights.mean())

    def record(self, labels: np.ndarray) -> dict[str, Any]:
        """Return the entries of a training record: counts, class balance and a hash of the data."""
        counts = np.bincount(self.classes, minlength=len(labels)).tolist()
        digest = hashlib.sha256()
        for text in self.texts:
            digest.update(text.encode("utf-8", "surrogatepass") + b"\0")
        digest.update(self.shares.tobytes())
        digest.update(self.weights.astype(np.float64).tobytes())
        return {
            "distinct": self.n_distinct,
            "conflicts": self.n_conflicts,
            "conflicts_left_out": self.n_dropped,
            "trained_on": len(self.texts),
            "balance": dict(zip(map(str, labels.tolist()), counts, strict=True)),
            "data_sha256": digest.hexdigest(),
        }


def _by_code(class_weight: Any, classes: np.ndarray) -> Any:
    """Replace the labels of class weights by their integer codes."""
    if not isinstance(class_weight, dict):
        return class_weight

    labels = classes.tolist()
    by_code = {i: class_weight[label] for i, label in enumerate(labels) if label in class_weight}
    # A fold may lack a class that has a weight, and a class may lack a weight, which is then 1.
    if len(by_code) < min(len(labels), len(class_weight)):
        raise ValueError(
            f"class_weight has weights for {short_repr(list(class_weight))}, but the labels are "
            f"{short_repr(labels)}. Name the labels as they are in y."
        )
    return by_code
