"""The record of labelled, weighted texts, from the rows of a user to the batches of a fit.

Knows nothing of how they were found, nor of models.
"""

import hashlib
from dataclasses import dataclass, replace
from typing import Any

import numpy as np


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
