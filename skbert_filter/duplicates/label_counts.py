"""How often each distinct text has each label, and which is the most frequent."""

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array


@dataclass(frozen=True)
class LabelCounts:
    """The weight of each class (a column) for each distinct text (a row), and the majorities.

    `majority` is the class with the most weight, the lowest of them where a text is `tied`;
    `agreeing` is its weight. A text with more than one class is `conflicting`.
    """

    table: csr_array
    conflicting: np.ndarray
    majority: np.ndarray
    tied: np.ndarray
    agreeing: np.ndarray

    def prevailing(self, names: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the code of each text's majority, and the names of the classes that are one."""
        present, labels = np.unique(self.majority, return_inverse=True)
        return labels, names[present]


def count_labels(
    codes: np.ndarray, classes: np.ndarray, weights: np.ndarray | None = None
) -> LabelCounts:
    """Count the classes of each distinct text, given the codes of both for each row."""
    shape = codes.max(initial=-1) + 1, classes.max(initial=-1) + 1
    weights = np.ones(len(codes)) if weights is None else weights
    table = csr_array((weights, (codes, classes)), shape=shape)

    n_classes, starts = np.diff(table.indptr), table.indptr[:-1]
    most = np.maximum.reduceat(table.data, starts)
    leading = table.data == np.repeat(most, n_classes)
    return LabelCounts(
        table=table,
        conflicting=n_classes > 1,
        majority=np.minimum.reduceat(np.where(leading, table.indices, shape[1]), starts),
        tied=np.add.reduceat(leading, starts, dtype=np.intp) > 1,
        agreeing=most,
    )
