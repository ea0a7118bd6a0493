"""The record of labelled, weighted texts, from the rows of a user to the batches of a fit.

Knows nothing of how they were found, nor of models.
"""

import hashlib
from dataclasses import dataclass, replace
from reprlib import repr as short_repr
from typing import Any

import numpy as np
from sklearn.utils.class_weight import compute_class_weight


@dataclass(frozen=True)
class LabelledTexts:
    """Texts with the share of each class and a weight, and what was found on the way to them."""

    # In the order of their code points, so that a fit does not depend on the order of rows.
    texts: list[str]
    # The integer code of the class of each text, and how much of the text belongs to each class:
    # float32 (n_texts, n_classes), whose rows sum to 1.
    classes: np.ndarray
    shares: np.ndarray
    weights: np.ndarray
    # Of the input rows: distinct texts, those with more than one class, and of these the dropped.
    n_distinct: int
    n_conflicts: int
    n_dropped: int

    def take(self, rows: np.ndarray) -> "LabelledTexts":
        """Return some of the texts, the counts unchanged."""
        return replace(
            self,
            texts=[self.texts[i] for i in rows],
            classes=self.classes[rows],
            shares=self.shares[rows],
            weights=self.weights[rows],
        )

    def with_class_weight(self, class_weight: Any, classes: np.ndarray) -> "LabelledTexts":
        """Return the texts with weights times those of their classes, 1 on average."""
        if isinstance(class_weight, dict):
            given = np.array(list(class_weight.values()), np.float64)
            if not np.isfinite(given).all() or (given < 0).any() or not given.any():
                raise ValueError(
                    f"class_weight={class_weight!r} must hold finite numbers of 0 or more, not all "
                    "of them 0."
                )
        of_classes = compute_class_weight(
            _class_weight_by_number(class_weight, classes),
            classes=np.arange(len(classes)),
            y=np.tile(np.arange(len(classes)), len(self.texts)),
            sample_weight=(self.shares * self.weights[:, None]).ravel(),
        )

        # A text of several classes counts for each by its weight too.
        weighted = self.shares * of_classes.astype(np.float32)
        total = weighted.sum(axis=1, keepdims=True)
        shares = np.divide(weighted, total, out=self.shares.copy(), where=total > 0)
        weights = self.weights * total[:, 0]
        return replace(self, shares=shares, weights=weights / weights.mean())

    def record(self, labels: np.ndarray) -> dict[str, Any]:
        """Return what a training record says of the texts: counts, class balance and a hash."""
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


def _class_weight_by_number(class_weight: Any, classes: np.ndarray) -> Any:
    """Return class weights by integer code, as classes are encoded, in place of label."""
    if not isinstance(class_weight, dict):
        return class_weight

    labels = classes.tolist()
    by_number = {i: class_weight[label] for i, label in enumerate(labels) if label in class_weight}
    # A fold may lack a class that has a weight; a class without one has a weight of 1.
    if len(by_number) < min(len(labels), len(class_weight)):
        raise ValueError(
            f"class_weight has weights for {short_repr(list(class_weight))}, but the labels are "
            f"{short_repr(labels)}. Name the labels as they are in y."
        )
    return by_number
