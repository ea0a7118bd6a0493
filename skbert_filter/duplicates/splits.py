"""Splits that keep the copies of a text on one side, for `cv=` and for one cut.

Groups come from the input itself, so that no metadata routing is needed. Knows
nothing of estimators or models.
"""

from abc import abstractmethod
from collections.abc import Iterator
from typing import Any

import numpy as np
from sklearn.model_selection import (
    BaseCrossValidator,
    ShuffleSplit,
    StratifiedKFold,
    StratifiedShuffleSplit,
)
from sklearn.utils import _safe_indexing, check_consistent_length

from skbert_filter.duplicates.keys import Key, find_keys, first_seen
from skbert_filter.validation import check_labels


class _DedupSplitter(BaseCrossValidator):
    """Cut the distinct texts with a splitter of scikit-learn, then return their rows."""

    key: Key
    n_splits: int

    @abstractmethod
    def _splitter(self) -> Any:
        """Return the splitter of the distinct texts."""

    @abstractmethod
    def _least_texts(self) -> int:
        """Return how many distinct texts each class must have."""

    def split(self, X: Any, y: Any, groups: Any = None) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Generate the row indices of each training and test set.

        Parameters
        ----------
        X : container of str, or array or table of shape (n_samples, n_features)
            The texts, in any container of
            :func:`~skbert_filter.validation.check_texts`, or rows to compare.
        y : array-like of shape (n_samples,)
            The class labels. A text with several labels counts for the most
            frequent one, and in a tie for the one that sorts first.
        groups : None
            Not supported: the copies of a text are the groups.

        Yields
        ------
        train, test : ndarray of intp
            Row indices in ascending order.

        Raises
        ------
        ValueError
            If `groups` is given, or a class has too few distinct texts.
        """
        if groups is not None:
            raise ValueError(
                f"groups is not supported by {type(self).__name__}: the copies of a text are "
                "its groups. Leave groups out, or use StratifiedGroupKFold, which does not "
                "keep copies in different groups together."
            )
        codes, n_distinct = _distinct(X, self.key)
        labels = _majority_labels(codes, n_distinct, check_labels(y, len(codes)))
        what = f"{type(self).__name__}(n_splits={self.n_splits})"
        _check_classes(labels, self._least_texts(), what)
        for train, test in self._splitter().split(labels, labels):
            yield _rows_of(train, codes, n_distinct), _rows_of(test, codes, n_distinct)

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """Return the number of splits.

        Parameters
        ----------
        X, y, groups : object
            Ignored; here for scikit-learn's interface.

        Returns
        -------
        n_splits : int
        """
        return self.n_splits


class DedupStratifiedKFold(_DedupSplitter):
    """Stratified k-fold cross-validation with all copies of a text in one fold.

    Folds have equal numbers of distinct texts, and equal shares of classes among
    them; the numbers of rows follow from the repeats.

    Parameters
    ----------
    n_splits : int, default=5
        The number of folds, at least 2.
    key : {"exact", "whitespace", "casefold"} or callable, default="exact"
        When two texts count as copies; see
        :func:`~skbert_filter.duplicates.keys.text_keys`.
    shuffle : bool, default=False
        Whether to shuffle the distinct texts of each class before they are dealt out.
    random_state : int, RandomState instance or None, default=None
        The seed of the shuffling.

    See Also
    --------
    DedupStratifiedShuffleSplit : Random splits of a given size.
    sklearn.model_selection.StratifiedKFold : The splitter of the distinct texts.

    Examples
    --------
    >>> from skbert_filter import DedupStratifiedKFold
    >>> X = ["About", "Menu", "About", "We make soap.", "We sell tea."]
    >>> for train, test in DedupStratifiedKFold(n_splits=2).split(X, [0, 0, 0, 1, 1]):
    ...     print(train, test)
    [1 4] [0 2 3]
    [0 2 3] [1 4]
    """

    def __init__(
        self,
        n_splits: int = 5,
        *,
        key: Key = "exact",
        shuffle: bool = False,
        random_state: Any = None,
    ) -> None:
        self.n_splits = n_splits
        self.key = key
        self.shuffle = shuffle
        self.random_state = random_state

    def _splitter(self) -> StratifiedKFold:
        return StratifiedKFold(self.n_splits, shuffle=self.shuffle, random_state=self.random_state)

    def _least_texts(self) -> int:
        return self.n_splits


class DedupStratifiedShuffleSplit(_DedupSplitter):
    """Stratified random splits with all copies of a text on one side.

    Parameters
    ----------
    n_splits : int, default=10
        The number of splits.
    test_size : float, int or None, default=None
        The share or number of distinct texts to test on. None: what `train_size`
        leaves, or 0.1.
    train_size : float, int or None, default=None
        The share or number of distinct texts to train on. None: what `test_size`
        leaves.
    key : {"exact", "whitespace", "casefold"} or callable, default="exact"
        When two texts count as copies; see
        :func:`~skbert_filter.duplicates.keys.text_keys`.
    random_state : int, RandomState instance or None, default=None
        The seed of the splits.

    See Also
    --------
    DedupStratifiedKFold : Folds that cover every row.
    sklearn.model_selection.StratifiedShuffleSplit : The splitter of the distinct texts.

    Examples
    --------
    >>> from skbert_filter import DedupStratifiedShuffleSplit
    >>> X = ["About", "Menu", "About", "We make soap.", "We sell tea."]
    >>> cv = DedupStratifiedShuffleSplit(n_splits=1, test_size=0.5, random_state=0)
    >>> [(train, test)] = cv.split(X, [0, 0, 0, 1, 1])
    >>> print(train, test)
    [1 3] [0 2 4]
    """

    def __init__(
        self,
        n_splits: int = 10,
        *,
        test_size: float | int | None = None,
        train_size: float | int | None = None,
        key: Key = "exact",
        random_state: Any = None,
    ) -> None:
        self.n_splits = n_splits
        self.test_size = test_size
        self.train_size = train_size
        self.key = key
        self.random_state = random_state

    def _splitter(self) -> StratifiedShuffleSplit:
        return StratifiedShuffleSplit(
            self.n_splits,
            test_size=self.test_size,
            train_size=self.train_size,
            random_state=self.random_state,
        )

    def _least_texts(self) -> int:
        return 2


def dedup_train_test_split(
    X: Any,
    y: Any,
    *arrays: Any,
    test_size: float | int | None = None,
    train_size: float | int | None = None,
    key: Key = "exact",
    stratify: bool = True,
    random_state: Any = None,
) -> list[Any]:
    """Split texts and labels into training and test sets without a text in both.

    Parameters
    ----------
    X : container of str, or array or table of shape (n_samples, n_features)
        The texts, in any container of :func:`~skbert_filter.validation.check_texts`,
        or rows to compare.
    y : array-like of shape (n_samples,)
        The labels.
    *arrays : indexables of length n_samples
        What to split alike: weights, pages, or ``range(len(X))`` for the row indices.
    test_size : float, int or None, default=None
        The share or number of distinct texts to test on. None: what `train_size`
        leaves, or 0.25.
    train_size : float, int or None, default=None
        The share or number of distinct texts to train on. None: what `test_size`
        leaves.
    key : {"exact", "whitespace", "casefold"} or callable, default="exact"
        When two texts count as copies; see
        :func:`~skbert_filter.duplicates.keys.text_keys`.
    stratify : bool, default=True
        Whether both sides get each class in proportion, counted in distinct texts.
        A text with several labels counts for the most frequent one.
    random_state : int, RandomState instance or None, default=None
        The seed of the split.

    Returns
    -------
    parts : list of length 2 * (2 + len(arrays))
        ``X_train, X_test, y_train, y_test, …`` in the containers given, each with
        its rows in the order given.

    Raises
    ------
    ValueError
        If the lengths differ, or a class has a single distinct text and `stratify`
        is True.

    See Also
    --------
    DedupStratifiedShuffleSplit : The same, many times, for `cv=`.
    sklearn.model_selection.train_test_split : Leaves copies of a text on both sides.

    Examples
    --------
    >>> from skbert_filter import dedup_train_test_split
    >>> X = ["About", "Menu", "About", "We make soap.", "We sell tea."]
    >>> X_train, X_test, y_train, y_test = dedup_train_test_split(
    ...     X, [0, 0, 0, 1, 1], test_size=0.5, random_state=0
    ... )
    >>> X_train, X_test
    (['Menu', 'We make soap.'], ['About', 'About', 'We sell tea.'])
    """
    codes, n_distinct = _distinct(X, key)
    check_consistent_length(X, y, *arrays)
    if test_size is None and train_size is None:
        test_size = 0.25
    sizes = {"test_size": test_size, "train_size": train_size, "random_state": random_state}
    if stratify:
        labels = _majority_labels(codes, n_distinct, check_labels(y, len(codes)))
        _check_classes(labels, 2, "a stratified split")
        splitter = StratifiedShuffleSplit(1, **sizes)
    else:
        labels = np.zeros(n_distinct)
        splitter = ShuffleSplit(1, **sizes)
    sides = [_rows_of(side, codes, n_distinct) for side in next(splitter.split(labels, labels))]
    return [_safe_indexing(array, rows) for array in (X, y, *arrays) for rows in sides]


def _distinct(X: Any, key: Key) -> tuple[np.ndarray, int]:
    """Return the number of each row's distinct text, and how many there are."""
    keys = find_keys(X, key)
    if keys is None:
        raise TypeError(
            f"X is of type {type(X).__name__}, without texts or rows to compare. Pass a "
            "non-empty container of str, or a NumPy array or table with rows and columns."
        )
    codes, distinct = first_seen(keys)
    return codes, len(distinct)


def _majority_labels(codes: np.ndarray, n_distinct: int, labels: np.ndarray) -> np.ndarray:
    classes, label_codes = np.unique(labels, return_inverse=True)
    pairs, counts = np.unique(codes * len(classes) + label_codes, return_counts=True)
    # Of several writes to one place the last stays: the highest count, lowest class.
    order = np.argsort(-counts, kind="stable")[::-1]
    text, label = np.divmod(pairs[order], len(classes))
    majority = np.empty(n_distinct, np.intp)
    majority[text] = label
    return classes[majority]


def _check_classes(labels: np.ndarray, least: int, what: str) -> None:
    classes, counts = np.unique(labels, return_counts=True)
    rarest = counts.argmin()
    if counts[rarest] < least:
        raise ValueError(
            f"Class {classes.tolist()[rarest]!r} has too few distinct texts ({counts[rarest]}): "
            f"{what} needs at least {least} of each class. Label more texts of it, ask for "
            "fewer splits, or leave it out."
        )


def _rows_of(texts: np.ndarray, codes: np.ndarray, n_distinct: int) -> np.ndarray:
    chosen = np.zeros(n_distinct, bool)
    chosen[texts] = True
    return np.flatnonzero(chosen[codes])
