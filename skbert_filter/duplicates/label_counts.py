"""How often each distinct text has which label, and which of them prevails.

Knows nothing of texts: they are numbers here.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd


@dataclass(frozen=True)
class Votes:
    """How much each distinct text weighs in each of its classes.

    Attributes
    ----------
    texts, classes : ndarray of int of shape (n_pairs,)
        The numbers of the text and of the class of each pair that occurs.
    weights : ndarray of float64 of shape (n_pairs,)
        The weight of the rows of each pair.
    conflicting : ndarray of bool of shape (n_distinct,)
        Whether a text has several classes.
    majority : ndarray of int of shape (n_distinct,)
        The class of the most weight of each text, the lowest of several.
    tied : ndarray of bool of shape (n_distinct,)
        Whether there are several.
    """

    texts: np.ndarray
    classes: np.ndarray
    weights: np.ndarray
    conflicting: np.ndarray
    majority: np.ndarray
    tied: np.ndarray


def count_votes(
    codes: np.ndarray, classes: np.ndarray, weights: np.ndarray, n_distinct: int, n_classes: int
) -> Votes:
    """Count the classes of each distinct text.

    Parameters
    ----------
    codes : ndarray of int of shape (n_rows,)
        The number of each row's distinct text.
    classes : ndarray of int of shape (n_rows,)
        The number of each row's class, below `n_classes`.
    weights : ndarray of float of shape (n_rows,)
        Positive weight of each row.
    n_distinct, n_classes : int
        How many distinct texts and classes there are.

    Returns
    -------
    Votes

    Examples
    --------
    >>> import numpy as np
    >>> from skbert_filter.duplicates.label_counts import count_votes
    >>> votes = count_votes(np.array([0, 1, 0, 0]), np.array([1, 1, 0, 1]), np.ones(4), 2, 2)
    >>> votes.conflicting, votes.majority
    (array([ True, False]), array([1, 1]))
    """
    pair_of_row, pairs = pd.factorize(codes * n_classes + classes)
    mass = np.bincount(pair_of_row, weights=weights, minlength=len(pairs))
    text, label = np.divmod(pairs, n_classes)
    most = np.zeros(n_distinct)
    np.maximum.at(most, text, mass)
    leading = mass == most[text]
    majority = np.full(n_distinct, n_classes)
    np.minimum.at(majority, text[leading], label[leading])
    return Votes(
        texts=text,
        classes=label,
        weights=mass,
        conflicting=np.bincount(text, minlength=n_distinct) > 1,
        majority=majority,
        tied=np.bincount(text[leading], minlength=n_distinct) > 1,
    )
