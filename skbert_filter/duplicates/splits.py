"""Splits that keep the copies of a text on one side, for `cv=` and for one cut.

Copies are found in the input itself, so that no metadata routing is needed; groups of
rows, such as pages, may be kept whole as well. Knows nothing of estimators or models.
"""

import logging
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil, floor
from numbers import Integral
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from sklearn.model_selection import (
    BaseCrossValidator,
    StratifiedGroupKFold,
    StratifiedKFold,
    StratifiedShuffleSplit,
)
from sklearn.utils import check_consistent_length, check_random_state, check_scalar

from skbert_filter.duplicates.keys import Key, first_rows, number_inputs
from skbert_filter.duplicates.label_counts import count_votes
from skbert_filter.duplicates.rows import take_rows
from skbert_filter.validation import check_labels

_LOGGER = logging.getLogger("skbert_filter")

# How many random orders of the groups are tried, and the error that is good enough.
_ORDERS = 100
_TOLERANCE = 0.005


class _DedupSplitter(BaseCrossValidator):
    """Cut the distinct texts with a splitter of scikit-learn, then return their rows."""

    # As in scikit-learn's splitters by groups: asked for, and not required.
    __metadata_request__split: ClassVar = {"groups": True}

    key: Key
    n_splits: int

    @abstractmethod
    def _draw(self, pairs: "_Pairs", what: str) -> Iterator[np.ndarray]:
        """Yield the side of each pair, 0 for test and 1 for training, for each split."""

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
        groups : array-like of shape (n_samples,), default=None
            What else to keep together: the page or the firm of each row. The rows of
            a group are never on both sides. A row of a training group is left out
            where its text is in a test group too; the logger ``skbert_filter`` tells
            how many, once for all splits.

        Yields
        ------
        train, test : ndarray of intp
            Row indices in ascending order.

        Raises
        ------
        ValueError
            If a class has too few distinct texts. With `groups`, also if there are too
            few of them, one is missing, or a class would lack a text on either side of
            a split; no split is generated then.
        """
        check_scalar(self.n_splits, "n_splits", Integral, min_val=1)
        pairs = _Pairs.read(X, y, groups, self.key)
        what = f"{type(self).__name__}(n_splits={self.n_splits})"
        splits = list(self._draw(pairs, what))
        if pairs.grouped:
            # All before the first is used: a late error would waste the fits before it.
            splits = _settle(pairs, splits, ("test", "training"), what)
        for sides in splits:
            yield pairs.rows_of(sides, 1), pairs.rows_of(sides, 0)

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
    them; the numbers of rows follow from the repeats. With `groups` given to `split`,
    folds are made of whole groups.

    Parameters
    ----------
    n_splits : int, default=5
        The number of folds, at least 2.
    key : {"exact", "whitespace", "casefold"} or callable, default="exact"
        When two texts count as copies; see
        :func:`~skbert_filter.duplicates.keys.text_keys`.
    shuffle : bool, default=False
        Whether to shuffle the distinct texts of each class, or the groups, before they
        are dealt out.
    random_state : int, RandomState instance or None, default=None
        The seed of the shuffling; only with `shuffle`.

    See Also
    --------
    DedupStratifiedShuffleSplit : Random splits of a given size.
    sklearn.model_selection.StratifiedKFold : The splitter of the distinct texts.
    sklearn.model_selection.StratifiedGroupKFold : The splitter of the groups.

    Notes
    -----
    With groups, each row is tested once, in the fold of its group. Groups are dealt out
    so that the folds are alike in the number of texts of each class, where a text of
    several groups counts in each of them: the pages of a web site share their menus. The
    folds are as alike as the sizes of the groups allow, and a text of several folds is
    left out of training wherever it is tested.

    Leaving out is part of the work, so it draws no warning, which test suites turn into
    errors. It is logged at the level that Python shows without any configuration;
    ``logging.getLogger("skbert_filter").setLevel("ERROR")`` silences it.

    Examples
    --------
    >>> from skbert_filter import DedupStratifiedKFold
    >>> X = ["About", "Menu", "About", "We make soap.", "We sell tea."]
    >>> y = [0, 0, 0, 1, 1]
    >>> for train, test in DedupStratifiedKFold(n_splits=2).split(X, y):
    ...     print(train, test)
    [1 4] [0 2 3]
    [0 2 3] [1 4]

    With groups each page is tested whole, and "About", which is on both, is not
    trained on:

    >>> X, y = [*X, "Basket"], [*y, 0]
    >>> page = ["soap", "soap", "tea", "soap", "tea", "tea"]
    >>> for train, test in DedupStratifiedKFold(n_splits=2).split(X, y, groups=page):
    ...     print(train, test)
    [4 5] [0 1 3]
    [1 3] [2 4 5]
    """

    def __init__(
        self,
        n_splits: int = 5,
        *,
        key: Key = "exact",
        shuffle: bool = False,
        random_state: Any = None,
    ) -> None:
        # scikit-learn's refusals
        StratifiedKFold(n_splits, shuffle=shuffle, random_state=random_state)
        self.n_splits = n_splits
        self.key = key
        self.shuffle = shuffle
        self.random_state = random_state

    def _draw(self, pairs: "_Pairs", what: str) -> Iterator[np.ndarray]:
        pairs.check(self.n_splits, what)
        splitter = (StratifiedGroupKFold if pairs.grouped else StratifiedKFold)(
            self.n_splits,
            shuffle=self.shuffle,
            # Meta-estimators such as StackingClassifier set one, whatever shuffle is.
            random_state=self.random_state if self.shuffle else None,
        )
        groups = pairs.groups if pairs.grouped else None
        for _, test in splitter.split(pairs.texts, pairs.labels[pairs.texts], groups):
            sides = np.ones(len(pairs.texts), np.int8)
            sides[test] = 0
            yield sides


class DedupStratifiedShuffleSplit(_DedupSplitter):
    """Stratified random splits with all copies of a text on one side.

    With `groups` given to `split`, both sides are made of whole groups.

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

    Notes
    -----
    With groups, sizes are of all distinct texts and hold only nearly. The groups are put
    in a random order and cut where the texts before the cut come nearest to the test size
    asked for in each class, until the error (root mean square over the classes, as a share
    of the texts of the class) is at most half a percentage point; after 100 orders the
    nearest cut is taken. Without `train_size`, all texts that are not tested are trained
    on; with it, the groups left are ordered and cut in the same way. What is left out of
    training is told as by `DedupStratifiedKFold`.

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

    def _draw(self, pairs: "_Pairs", what: str) -> Iterator[np.ndarray]:
        asked = {"test_size": self.test_size, "train_size": self.train_size}
        sizes = _sizes(asked, 0.1, len(pairs.labels))
        random = check_random_state(self.random_state)
        for _ in range(self.n_splits):
            yield _draw_sides(pairs, sizes, random, what)


def dedup_train_test_split(
    X: Any,
    y: Any,
    *arrays: Any,
    test_size: float | int | None = None,
    validation_size: float | int | None = None,
    train_size: float | int | None = None,
    groups: Any = None,
    key: Key = "exact",
    stratify: bool = True,
    random_state: Any = None,
) -> list[Any]:
    """Split texts and labels into training, validation and test sets that share no text.

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
        The share of all distinct texts to test on, or their number. None: what
        `train_size` leaves, or 0.25.
    validation_size : float, int or None, default=None
        The share of all distinct texts to validate on, or their number. None: there
        is no validation set.
    train_size : float, int or None, default=None
        The share of all distinct texts to train on, or their number. None: what the
        others leave.
    groups : array-like of shape (n_samples,), default=None
        What else to keep together, such as the page of each row. Sizes hold only nearly
        then; see the notes of `DedupStratifiedShuffleSplit`. A text in groups of several
        sides stays in the test set, else in the validation set, and its rows in the
        groups of the other sides are left out; the logger ``skbert_filter`` tells how
        many.
    key : {"exact", "whitespace", "casefold"} or callable, default="exact"
        When two texts count as copies; see
        :func:`~skbert_filter.duplicates.keys.text_keys`.
    stratify : bool, default=True
        Whether all sides get each class in proportion, counted in distinct texts.
        A text with several labels counts for the most frequent one.
    random_state : int, RandomState instance or None, default=None
        The seed of the split.

    Returns
    -------
    parts : list of length 2 * (2 + len(arrays)), or 3 * (2 + len(arrays))
        ``X_train, X_test, y_train, y_test, …``, or with `validation_size`
        ``X_train, X_val, X_test, y_train, y_val, y_test, …``, in the containers given,
        each with its rows in the order given.

    Raises
    ------
    ValueError
        If the lengths differ, the sizes leave a side without texts, or `stratify` is
        True and a class has too few distinct texts. With `groups`, also if there are
        fewer groups than sides, one is missing, or a side would lack a class.

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

    >>> from skbert_filter.datasets import make_website_snippets
    >>> X, y = make_website_snippets(1_000, random_state=0)
    >>> X_train, X_val, X_test, y_train, y_val, y_test = dedup_train_test_split(
    ...     X, y, validation_size=0.1, test_size=0.2, random_state=0
    ... )
    >>> [round(len(set(side)) / len(set(X)), 2) for side in (X_train, X_val, X_test)]
    [0.7, 0.1, 0.2]
    """
    if y is None:
        raise ValueError("y is None: pass the labels, or with stratify=False any array of rows.")
    check_consistent_length(X, y, *arrays)
    pairs = _Pairs.read(X, y if stratify else None, groups, key)
    asked = {"test_size": test_size, "validation_size": validation_size, "train_size": train_size}
    names = ["test", "validation", "training"]
    if validation_size is None:
        del asked["validation_size"], names[1]
    what = "dedup_train_test_split"
    sizes = _sizes(asked, 0.25, len(pairs.labels))
    sides = _draw_sides(pairs, sizes, check_random_state(random_state), what)
    if pairs.grouped:
        [sides] = _settle(pairs, [sides], names, what)
    rows = [pairs.rows_of(sides, side) for side in reversed(range(len(names)))]
    return [take_rows(array, part) for array in (X, y, *arrays) for part in rows]


@dataclass(frozen=True)
class _Pairs:
    """The distinct texts of each group; without groups, each text is a pair of its own.

    Attributes
    ----------
    texts, groups : ndarray of int of shape (n_pairs,)
        The text and the group of each pair, in the order of the texts.
    rows : ndarray of int of shape (n_rows,)
        The pair of each row.
    labels : ndarray of int of shape (n_texts,)
        The class of each text.
    classes : list
        What the classes are called.
    grouped : bool
        Whether there are groups.
    """

    texts: np.ndarray
    groups: np.ndarray
    rows: np.ndarray
    labels: np.ndarray
    classes: list[Any]
    grouped: bool

    @classmethod
    def read(cls, X: Any, y: Any, groups: Any, key: Key) -> "_Pairs":
        """Find the pairs of the rows; all texts are of one class if `y` is None."""
        numbered = number_inputs(X, key)
        if numbered is None:
            raise TypeError(
                f"X is of type {type(X).__name__}, without texts or rows to compare. Pass a "
                "non-empty container of str, or a NumPy array or table with rows and columns."
            )
        codes, distinct = numbered
        n_texts = len(distinct)
        labels, classes = np.zeros(n_texts, np.intp), np.zeros(1)
        if y is not None:
            row_labels, classes = pd.factorize(check_labels(y, len(codes)), sort=True)
            votes = count_votes(codes, row_labels, np.ones(len(codes)), n_texts, len(classes))
            # a class in conflict only may be the majority of no text
            present, labels = np.unique(votes.majority, return_inverse=True)
            classes = classes[present]
        if groups is None:
            each = np.arange(n_texts)
            return cls(each, each, codes, labels, classes.tolist(), grouped=False)
        numbers, n_groups = group_codes(groups, len(codes))
        pairs, rows = np.unique(codes * n_groups + numbers, return_inverse=True)
        texts, pair_groups = np.divmod(pairs, n_groups)
        return cls(texts, pair_groups, rows, labels, classes.tolist(), grouped=True)

    def rows_of(self, sides: np.ndarray, side: int) -> np.ndarray:
        """Return the rows of the pairs of a side."""
        return np.flatnonzero((sides == side)[self.rows])

    def check(self, least: int, what: str) -> None:
        """Refuse fewer groups than `least`, and classes with fewer texts."""
        n_groups = self.groups.max() + 1
        if self.grouped and n_groups < least:
            raise ValueError(
                f"The number of different groups is {n_groups}, but {what} needs at least {least}. "
                "Ask for fewer splits, or leave groups out."
            )
        _check_classes(self.labels, self.classes, least, what)


def _draw_sides(pairs: _Pairs, sizes: list[int], random: Any, what: str) -> np.ndarray:
    """Return the side of each pair: its place in `sizes`, their number if it is on none."""
    if pairs.grouped:
        pairs.check(len(sizes), what)
        return _cut_groups(pairs, sizes, random)
    sides = np.full(len(pairs.labels), len(sizes), np.int8)
    left = np.arange(len(sides))
    for side, size in enumerate(sizes[:-1]):
        later = sum(sizes[side + 1 :])
        what_is_left = f"{what}, once the test texts are taken," if side else what
        _check_classes(pairs.labels[left], pairs.classes, 2, what_is_left)
        if min(size, later) < len(pairs.classes):
            raise ValueError(
                f"{what}: sets of {', '.join(map(str, sizes))} distinct texts cannot all hold a "
                f"text of each of the {len(pairs.classes)} classes. Ask for larger ones, or leave "
                "classes out."
            )
        splitter = StratifiedShuffleSplit(1, test_size=size, train_size=later, random_state=random)
        rest, taken = next(splitter.split(left, pairs.labels[left]))
        sides[left[taken]] = side
        left = left[rest]
    sides[left] = len(sizes) - 1
    return sides


def _cut_groups(pairs: _Pairs, sizes: list[int], random: Any) -> np.ndarray:
    """Fill one side after the other with the first of the groups left, in random order."""
    n_groups, n_classes = pairs.groups.max() + 1, len(pairs.classes)
    first_pairs, totals = first_rows(pairs.texts), np.bincount(pairs.labels)
    order, cuts = np.arange(n_groups), [0]
    for wanted in np.cumsum(sizes) / len(pairs.labels):
        start, later_sides = cuts[-1], len(sizes) - len(cuts)
        # At least one group for this side and for each later one.
        ends = np.arange(start + 1, n_groups - later_sides + 1)
        best = (np.inf, np.inf)
        for _ in range(_ORDERS):
            tried = np.concatenate([order[:start], random.permutation(order[start:])])
            # A text belongs to the first group that has it.
            ranks = np.minimum.reduceat(np.argsort(tried)[pairs.groups], first_pairs)
            cells = (ranks + 1) * n_classes + pairs.labels
            counts = np.bincount(cells, minlength=(n_groups + 1) * n_classes)
            shares = counts.reshape(n_groups + 1, n_classes).cumsum(axis=0) / totals
            errors = np.sqrt(np.mean((shares[ends] - wanted) ** 2, axis=1))
            # The last of equals, so that groups without new texts go to a side as well.
            nearest = len(ends) - 1 - errors[::-1].argmin()
            end = ends[nearest]
            absent = (shares[end] == shares[start]) | ((shares[end] == 1) & (later_sides > 0))
            if (absent.sum(), errors[nearest]) < best:
                best = (absent.sum(), errors[nearest])
                cut, kept = end, tried
            if best <= (0, _TOLERANCE):
                break
        cuts.append(cut)
        order = kept
    return np.searchsorted(cuts[1:], np.argsort(order), side="right")[pairs.groups].astype(np.int8)


def _settle(
    pairs: _Pairs, splits: list[np.ndarray], names: Sequence[str], what: str
) -> list[np.ndarray]:
    """Leave each text to the first side of a split that has it, and tell what is left out."""
    first_pairs, n_rows = first_rows(pairs.texts), np.bincount(pairs.rows)
    settled, told, any_left_out = [], [], False
    for number, sides in enumerate(splits):
        is_first = sides == np.minimum.reduceat(sides, first_pairs)[pairs.texts]
        settled.append(np.where(is_first, sides, len(names)))
        for side, name in enumerate(names):
            given = sides == side
            _check_side(pairs, given & is_first, f"the {name} set of split {number}", what)
            if side > 0:
                left_out = given & ~is_first
                any_left_out |= left_out.any()
                told.append(
                    f"{n_rows[left_out].sum():,} of {n_rows[given].sum():,} {name} rows "
                    f"({len(np.unique(pairs.texts[left_out])):,} of "
                    f"{len(np.unique(pairs.texts[given])):,} distinct texts)"
                )
    if any_left_out:
        _LOGGER.warning(
            "%s leaves out rows, so that no text is on two sides: %s.", what, "; ".join(told)
        )
    return settled


def _check_side(pairs: _Pairs, on_side: np.ndarray, side: str, what: str) -> None:
    labels = pairs.labels[pairs.texts]
    counts = np.bincount(labels[on_side], minlength=len(pairs.classes))
    if counts.all():
        return
    absent = counts.argmin()
    problem = f"{side} would have no text of its own"
    if counts.any():
        problem = (
            f"{side} would have no text of class {pairs.classes[absent]!r}, whose "
            f"{np.count_nonzero(pairs.labels == absent)} distinct texts are in "
            f"{len(np.unique(pairs.groups[labels == absent]))} of the groups"
        )
    raise ValueError(
        f"{what}: {problem}. Ask for fewer splits or other sizes, try another random_state, "
        "or leave the class or groups out."
    )


def _sizes(asked: dict[str, Any], default_test_size: float, n_texts: int) -> list[int]:
    """Return the numbers of texts asked for as shares, numbers, or None for the rest."""
    if asked["test_size"] is None and asked["train_size"] is None:
        asked = {**asked, "test_size": default_test_size}
    numbers = {}
    for name, size in asked.items():
        if isinstance(size, int | np.integer) and 0 < size < n_texts:
            numbers[name] = int(size)
        elif isinstance(size, float | np.floating) and 0 < size < 1:
            # As in scikit-learn the test set is rounded up; 0.1 * 70 is above 7.
            exact = round(float(size) * n_texts, 6)
            numbers[name] = ceil(exact) if name == "test_size" else floor(exact)
        elif size is not None:
            raise ValueError(
                f"{name} is {size!r}. Pass a share above 0 and below 1, or a number of distinct "
                f"texts from 1 to {n_texts - 1}."
            )
    rest = n_texts - sum(numbers.values())
    sizes = [numbers.get(name, rest) for name in asked]
    if min(sizes) < 1 or sum(sizes) > n_texts:
        given = " and ".join(f"{name}={size!r}" for name, size in asked.items())
        raise ValueError(
            f"{given} make sets of {', '.join(map(str, sizes))} of the {n_texts} distinct texts. "
            "Each needs at least 1, and together they may not need more than there are."
        )
    return sizes


def group_codes(groups: Any, n_rows: int) -> tuple[np.ndarray, int]:
    """Number the groups of rows, and count them; refuse missing ones."""
    # NumPy would turn [1, "a"] into ["1", "a"], and [None, "a"] into ["None", "a"].
    if isinstance(groups, list | tuple) and set(map(type, groups)) == {tuple}:
        values = np.fromiter(groups, dtype=object, count=len(groups))
    else:
        values = np.asarray(groups, dtype=object if isinstance(groups, list | tuple) else None)
    if values.shape not in ((n_rows,), (n_rows, 1)):
        raise ValueError(
            f"groups has the shape {values.shape}, but X has {n_rows} rows. Pass one group for "
            "each row."
        )
    # pandas does not know NumPy's StringDType.
    values = values.ravel().astype(object if values.dtype.kind == "T" else values.dtype)
    codes, distinct = pd.factorize(values)
    missing = np.flatnonzero(codes < 0)
    if len(missing):
        raise ValueError(
            f"Row {missing[0]} of groups is missing ({values[missing[0]]!r}), as are "
            f"{len(missing) - 1} more. Drop such rows, or give each a group of its own."
        )
    return codes, len(distinct)


def _check_classes(labels: np.ndarray, classes: list[Any], least: int, what: str) -> None:
    counts = np.bincount(labels, minlength=len(classes))
    rarest = counts.argmin()
    if counts[rarest] < least:
        raise ValueError(
            f"Class {classes[rarest]!r} has too few distinct texts ({counts[rarest]}): "
            f"{what} needs at least {least} of each class. Label more texts of it, ask for "
            "fewer splits, or leave it out "
            '(docs: guide_scores, "How do I get an honest score?").'
        )
