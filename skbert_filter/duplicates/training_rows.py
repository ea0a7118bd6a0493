"""Labelled rows made ready for training: one row for each distinct text, conflicts settled.

Knows nothing of models.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from reprlib import repr as short_repr
from typing import Literal

import numpy as np

from skbert_filter.duplicates.keys import Key, first_rows, first_seen, text_keys
from skbert_filter.duplicates.splits import DedupStratifiedShuffleSplit

Duplicates = Literal["drop", "weight", "keep"]
Conflicts = Literal["majority", "drop", "raise"]


@dataclass(frozen=True)
class TrainingRows:
    """Texts to train on, and what was found on the way to them.

    Attributes
    ----------
    texts : list of str
        In the order of their code points, so that a fit does not depend on the order of rows.
    classes : ndarray of int of shape (n_texts,)
        Number of the class of each text.
    weights : ndarray of float64 of shape (n_texts,)
        Weight of each text.
    n_distinct : int
        Distinct texts among the rows given, those left out counted.
    n_conflicts : int
        Distinct texts that came with more than one class.
    n_dropped : int
        Of these, the texts that were left out.
    """

    texts: list[str]
    classes: np.ndarray
    weights: np.ndarray
    n_distinct: int
    n_conflicts: int
    n_dropped: int

    def take(self, rows: np.ndarray) -> "TrainingRows":
        """Return some of the texts, the counts unchanged."""
        return replace(
            self,
            texts=[self.texts[i] for i in rows],
            classes=self.classes[rows],
            weights=self.weights[rows],
        )

    def balance(self, labels: np.ndarray) -> dict[str, int]:
        """Return how many texts each class has."""
        counts = np.bincount(self.classes, minlength=len(labels)).tolist()
        return {str(label): count for label, count in zip(labels.tolist(), counts, strict=True)}

    def sha256(self) -> str:
        """Return a hash of the texts, their classes and weights."""
        digest = hashlib.sha256()
        for text in self.texts:
            digest.update(text.encode("utf-8", "surrogatepass") + b"\0")
        digest.update(self.classes.astype(np.int64).tobytes())
        digest.update(self.weights.astype(np.float64).tobytes())
        return digest.hexdigest()

    def split(
        self, test_size: float, n_classes: int, key: Key, seed: int
    ) -> tuple["TrainingRows", "TrainingRows"]:
        """Split in two, equal texts on one side; a ValueError if a side would lack a class."""
        splitter = DedupStratifiedShuffleSplit(1, test_size=test_size, key=key, random_state=seed)
        larger, smaller = (self.take(i) for i in next(splitter.split(self.texts, self.classes)))
        for side in (larger, smaller):
            if len(np.unique(side.classes)) < n_classes:
                raise ValueError("a class would be without a text on one side.")
        return larger, smaller


def training_rows(
    texts: Sequence[str],
    classes: np.ndarray,
    weights: np.ndarray,
    n_classes: int,
    *,
    duplicates: Duplicates = "drop",
    conflicts: Conflicts = "majority",
    key: Key = "exact",
) -> TrainingRows:
    """Merge rows of equal texts, and settle those whose classes differ.

    Parameters
    ----------
    texts : sequence of str of length n_rows
        The texts.
    classes : ndarray of int of shape (n_rows,)
        Number of the class of each row, below `n_classes`.
    weights : ndarray of float of shape (n_rows,)
        Positive weight of each row.
    n_classes : int
        Number of classes.
    duplicates : {"drop", "weight", "keep"}, default="drop"
        "drop": each distinct text once, with the mean weight of its rows. "weight": with the
        sum of their weights. "keep": all rows as they are, whose classes are settled all the same.
    conflicts : {"majority", "drop", "raise"}, default="majority"
        What becomes of a text with several classes. "majority": the class of the most weight;
        a text for which two weigh the same is left out. "drop": it is left out. "raise":
        a ValueError.
    key : {"exact", "whitespace", "casefold"} or callable, default="exact"
        Which texts are equal; the first of them in the order of code points is trained on.

    Returns
    -------
    TrainingRows

    Raises
    ------
    ValueError
        If texts conflict and `conflicts` is "raise"; the message shows the first ones.

    Examples
    --------
    >>> import numpy as np
    >>> from skbert_filter.duplicates.training_rows import training_rows
    >>> rows = training_rows(
    ...     ["View All", "We build pumps.", "View All", "View All"],
    ...     np.array([0, 1, 0, 1]), np.ones(4), n_classes=2)
    >>> rows.texts, rows.classes, rows.n_conflicts
    (['View All', 'We build pumps.'], array([0, 1]), 1)
    """
    order = np.array(sorted(range(len(texts)), key=texts.__getitem__), dtype=np.intp)
    texts = [texts[i] for i in order]
    classes, weights = classes[order], weights[order]
    codes, keys = first_seen(text_keys(texts, key))
    n_distinct = len(keys)

    mass = np.zeros((n_distinct, n_classes))
    np.add.at(mass, (codes, classes), weights)
    conflicting = np.count_nonzero(mass, axis=1) > 1
    if conflicts == "raise" and conflicting.any():
        examples = [texts[i] for i in first_rows(codes)[conflicting][:3]]
        raise ValueError(
            f"{conflicting.sum()} texts come with more than one label, such as "
            f"{', '.join(map(short_repr, examples))}. Correct the labels, or pass "
            "conflicts='majority' or conflicts='drop'."
        )
    undecided = np.count_nonzero(mass == mass.max(axis=1, keepdims=True), axis=1) > 1
    dropped = conflicting if conflicts == "drop" else undecided
    settled = mass.argmax(axis=1)

    if duplicates == "keep":
        rows = np.flatnonzero(~dropped[codes])
        row_weights = weights[rows]
    else:
        rows = first_rows(codes)[~dropped]
        row_weights = mass.sum(axis=1)[~dropped]
        if duplicates == "drop":
            row_weights = row_weights / np.bincount(codes, minlength=n_distinct)[~dropped]
    return TrainingRows(
        texts=[texts[i] for i in rows],
        classes=settled[codes[rows]],
        weights=row_weights,
        n_distinct=n_distinct,
        n_conflicts=int(conflicting.sum()),
        n_dropped=int(dropped.sum()),
    )
