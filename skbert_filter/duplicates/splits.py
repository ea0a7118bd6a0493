"""Splits that keep the copies of a text on one side, for `cv=` and for one cut.

Copies are found in the input itself, so that no metadata routing is needed; groups of rows, such as
pages, may be kept whole as well. Knows nothing of estimators or models.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import ceil, floor
from numbers import Integral
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold, StratifiedShuffleSplit
from sklearn.utils import check_consistent_length, check_random_state, check_scalar

from skbert_filter.duplicates.keys import Key, factorize, first_rows
from skbert_filter.duplicates.label_counts import count_labels
from skbert_filter.duplicates.rows import take_rows
from skbert_filter.validation import check_labels

_LOGGER = logging.getLogger("skbert_filter")

# How many random orders of the groups are tried, and the error that is good enough.
_ORDERS = 100
_TOLERANCE = 0.005


class _DedupSplitter:
    """Makes a splitter of scikit-learn cut the distinct texts, and returns their rows."""

    # As in scikit-learn's splitters by groups, where they are requested but not required.
    __metadata_request__split: ClassVar = {"groups": True}

    n_splits: int
    key: Key
    _draw: Callable[["_Pairs"], Iterator[np.ndarray]]

    def split(self, X: Any, y: Any, groups: Any = None) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Generate the row indices of each training and test set.

        Parameters
        ----------
        X : container of str, or array or table of shape (n_samples, n_features)
            The texts, or rows to compare.
        y : array-like of shape (n_samples,)
            A text with several labels counts for the most frequent one, and in a tie for the one
            that sorts first.
        groups : array-like of shape (n_samples,), default=None
            What else to keep together, such as the page of each row. A row of a training group is
            dropped where its text is in a test group too; the logger ``skbert_filter`` says how
            many are.

        Yields
        ------
        train, test : ndarray of intp
            Row indices in ascending order.
        """
        check_scalar(self.n_splits, "n_splits", Integral, min_val=1)
        pairs = _Pairs.read(
            f"{type(self).__name__}(n_splits={self.n_splits})", X, y, groups, self.key
        )
        splits = list(self._draw(pairs))
        if groups is not None:
            # All before the first is used: a late error would waste the fits before it.
            splits = pairs.settle(splits, ("test", "training"))
        for sides in splits:
            yield pairs.rows_of(sides, 1), pairs.rows_of(sides, 0)


class DedupStratifiedKFold(_DedupSplitter, StratifiedKFold):
    """Stratified k-fold cross-validation with all copies of a text in one fold.

    Folds have equal numbers of distinct texts, and equal shares of classes among them; the numbers
    of rows follow from the repeats. With `groups` given to `split`, folds are made of whole groups.

    Parameters
    ----------
    n_splits : int, default=5
        The number of folds, at least 2.
    key : {"exact", "whitespace", "casefold"} or callable, default="exact"
        When two texts count as copies; see :func:`~skbert_filter.duplicates.keys.text_keys`.
    shuffle : bool, default=False
        Whether to shuffle the distinct texts of each class, or the groups, first.
    random_state : int, RandomState instance or None, default=None
        The seed of the shuffling; only with `shuffle`.

    See Also
    --------
    DedupStratifiedShuffleSplit : Random splits of a given size.

    Notes
    -----
    With groups, each row is tested once, in the fold of its group. The folds are those of
    :class:`~sklearn.model_selection.StratifiedGroupKFold`; a text of several groups counts in each
    of them. That rows are dropped is logged as a warning, which
    ``logging.getLogger("skbert_filter").setLevel("ERROR")`` silences.

    Examples
    --------
    >>> from skbert_filter import DedupStratifiedKFold
    >>> X = ["About", "Menu", "About", "We make soap.", "We sell tea."]
    >>> y = [0, 0, 0, 1, 1]
    >>> for train, test in DedupStratifiedKFold(n_splits=2).split(X, y):
    ...     print(train, test)
    [1 4] [0 2 3]
    [0 2 3] [1 4]

    With groups each page is tested whole, and "About", which is on both, is not trained on:

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
        super().__init__(n_splits, shuffle=shuffle, random_state=random_state)
        self.key = key

    def _draw(self, pairs: "_Pairs") -> Iterator[np.ndarray]:
        """Yield the side of each pair, 0 for test and 1 for training, for each split."""
        pairs.check(self.n_splits)
        splitter = (StratifiedKFold if pairs.groups is None else StratifiedGroupKFold)(
            self.n_splits,
            shuffle=self.shuffle,
            # Meta-estimators such as StackingClassifier set one, whatever shuffle is.
            random_state=self.random_state if self.shuffle else None,
        )
        for _, test in splitter.split(pairs.texts, pairs.labels[pairs.texts], pairs.groups):
            sides = np.ones(len(pairs.texts), np.int8)
            sides[test] = 0
            yield sides


class DedupStratifiedShuffleSplit(_DedupSplitter, StratifiedShuffleSplit):
    """Stratified random splits with all copies of a text on one side.

    With `groups` given to `split`, both sides are made of whole groups.

    Parameters
    ----------
    n_splits : int, default=10
        The number of splits.
    test_size, train_size : float, int or None, default=None
        The share or number of distinct texts to test and to train on. None: what the other leaves;
        without both, a tenth is tested.
    key : {"exact", "whitespace", "casefold"} or callable, default="exact"
        When two texts count as copies; see :func:`~skbert_filter.duplicates.keys.text_keys`.
    random_state : int, RandomState instance or None, default=None
        The seed of the splits.

    See Also
    --------
    DedupStratifiedKFold : Folds that cover every row.
    sklearn.model_selection.StratifiedShuffleSplit : The splitter of the distinct texts.

    Notes
    -----
    With groups, sizes hold only nearly. The groups are put in a random order and cut where the
    texts before the cut come nearest to the requested share of each class. The first of 100 orders
    with an error (root mean square over the classes) of at most half a percentage point is taken,
    else the best. With `train_size`, the groups left are ordered and cut in the same way.

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
        super().__init__(
            n_splits, test_size=test_size, train_size=train_size, random_state=random_state
        )
        self.key = key

    def _draw(self, pairs: "_Pairs") -> Iterator[np.ndarray]:
        requested = {"test_size": self.test_size, "train_size": self.train_size}
        sizes = _sizes(requested, 0.1, len(pairs.labels))
        random = check_random_state(self.random_state)
        for _ in range(self.n_splits):
            yield pairs.draw(sizes, random)


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
        The texts, or rows to compare.
    y : array-like of shape (n_samples,)
        The labels.
    *arrays : indexables of length n_samples
        What to split alike: weights, pages, or ``range(len(X))`` for the row indices.
    test_size, validation_size, train_size : float, int or None, default=None
        The share of all distinct texts for each set, or their number. Without `validation_size`
        there is no validation set; without the others a quarter is tested, and with one of them the
        other is what is left.
    groups : array-like of shape (n_samples,), default=None
        What else to keep together, such as the page of each row. Sizes hold only nearly then; see
        the notes of `DedupStratifiedShuffleSplit`. A text in groups of several sides stays in the
        test set, else in the validation set, and its other rows are dropped; the logger
        ``skbert_filter`` says how many.
    key : {"exact", "whitespace", "casefold"} or callable, default="exact"
        When two texts count as copies; see :func:`~skbert_filter.duplicates.keys.text_keys`.
    stratify : bool, default=True
        Whether all sides get each class in proportion, counted in distinct texts.
    random_state : int, RandomState instance or None, default=None

    Returns
    -------
    parts : list
        ``X_train, X_test, y_train, y_test, …``, or with `validation_size` ``X_train, X_val, X_test,
        y_train, y_val, y_test, …``, in the containers given.

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
    if y is None:
        raise ValueError("y is None: pass the labels, or with stratify=False any array of rows.")
    check_consistent_length(X, y, *arrays)
    pairs = _Pairs.read("dedup_train_test_split", X, y if stratify else None, groups, key)

    requested = {"test_size": test_size, "validation_size": validation_size}
    names = ["test", "validation", "training"]
    if validation_size is None:
        del requested["validation_size"], names[1]
    sizes = _sizes(requested | {"train_size": train_size}, 0.25, len(pairs.labels))
    sides = pairs.draw(sizes, check_random_state(random_state))
    if groups is not None:
        [sides] = pairs.settle([sides], names)

    rows = [pairs.rows_of(sides, side) for side in reversed(range(len(names)))]
    return [take_rows(array, part) for array in (X, y, *arrays) for part in rows]


@dataclass(frozen=True)
class _Pairs:
    """The distinct texts, once for each group that has them, and the name of their splitter.

    `texts` and `groups` are those of each pair, `rows` has the pair of each row, and `labels` the
    class of each text, all as integer codes.
    """

    splitter: str
    texts: np.ndarray
    groups: Any
    rows: np.ndarray
    labels: np.ndarray
    classes: list[Any]

    @classmethod
    def read(cls, splitter: str, X: Any, y: Any, groups: Any, key: Key) -> "_Pairs":
        """Find the pairs of the rows; all texts are of one class if `y` is None."""
        numbered = factorize(X, key)
        if numbered is None:
            raise TypeError(
                f"X is of type {type(X).__name__}, without texts or rows to compare. Pass a "
                "non-empty container of str, or a NumPy array or table with rows and columns."
            )
        codes, distinct = numbered

        row_labels, names = np.zeros(len(codes), np.intp), np.zeros(1)
        if y is not None:
            row_labels, names = pd.factorize(check_labels(y, len(codes)), sort=True)
        labels, names = count_labels(codes, row_labels).prevailing(names)

        texts, rows, of_pairs = np.arange(len(distinct)), codes, None
        if groups is not None:
            of_rows, n_groups = group_codes(groups, len(codes))
            pairs, rows = np.unique(codes * n_groups + of_rows, return_inverse=True)
            texts, of_pairs = np.divmod(pairs, n_groups)
        return cls(splitter, texts, of_pairs, rows, labels, names.tolist())

    def rows_of(self, sides: np.ndarray, side: int) -> np.ndarray:
        """Return the rows of the pairs of a side."""
        return np.flatnonzero((sides == side)[self.rows])

    def check(self, least: int) -> None:
        """Refuse fewer groups than `least`, and classes with fewer texts."""
        if self.groups is not None and (n_groups := self.groups.max() + 1) < least:
            raise ValueError(
                f"The number of different groups is {n_groups}, but {self.splitter} needs at least "
                f"{least}. Ask for fewer splits, or leave groups out."
            )
        self._check_classes(self.labels, least)

    def _check_classes(self, labels: np.ndarray, least: int, when: str = "") -> None:
        counts = np.bincount(labels, minlength=len(self.classes))
        rarest = counts.argmin()
        if counts[rarest] < least:
            raise ValueError(
                f"Class {self.classes[rarest]!r} has too few distinct texts ({counts[rarest]}): "
                f"{self.splitter}{when} needs at least {least} of each class. Label more texts of "
                "it, ask for fewer splits, or leave it out "
                '(docs: scikit_learn, "How do I get an honest score?").'
            )

    def draw(self, sizes: list[int], random: Any) -> np.ndarray:
        """Return the side of each pair: its place in `sizes`, their number if it is on none."""
        if self.groups is not None:
            self.check(len(sizes))
            return self._cut_groups(sizes, random)

        sides = np.full(len(self.labels), len(sizes), np.int8)
        left = np.arange(len(sides))
        for side, size in enumerate(sizes[:-1]):
            later = sum(sizes[side + 1 :])
            when = ", once the test texts are taken," if side else ""
            self._check_classes(self.labels[left], 2, when)
            if min(size, later) < len(self.classes):
                raise ValueError(
                    f"{self.splitter}: sets of {', '.join(map(str, sizes))} distinct texts cannot "
                    f"all hold a text of each of the {len(self.classes)} classes. Ask for larger "
                    "ones, or leave classes out."
                )

            splitter = StratifiedShuffleSplit(
                1, test_size=size, train_size=later, random_state=random
            )
            rest, taken = next(splitter.split(left, self.labels[left]))
            sides[left[taken]] = side
            left = left[rest]
        sides[left] = len(sizes) - 1
        return sides

    def _cut_groups(self, sizes: list[int], random: Any) -> np.ndarray:
        """Fill one side after the other with the first of the groups left, in random order."""
        n_groups, n_classes = self.groups.max() + 1, len(self.classes)
        first_pairs, totals = first_rows(self.texts), np.bincount(self.labels)
        order, cuts = np.arange(n_groups), [0]

        for wanted in np.cumsum(sizes) / len(self.labels):
            start, later_sides = cuts[-1], len(sizes) - len(cuts)
            # At least one group for this side and for each later one.
            ends = np.arange(start + 1, n_groups - later_sides + 1)
            best = (np.inf, np.inf)
            for _ in range(_ORDERS):
                tried = np.concatenate([order[:start], random.permutation(order[start:])])
                # A text belongs to the first group that has it.
                ranks = np.minimum.reduceat(np.argsort(tried)[self.groups], first_pairs)
                cells = (ranks + 1) * n_classes + self.labels
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
        sides = np.searchsorted(cuts[1:], np.argsort(order), side="right")
        return sides[self.groups].astype(np.int8)

    def settle(self, splits: list[np.ndarray], names: Sequence[str]) -> list[np.ndarray]:
        """Leave each text to the first side of a split that has it, and log what others lose."""
        first_pairs, n_rows = first_rows(self.texts), np.bincount(self.rows)
        settled, losses = [], []
        for number, sides in enumerate(splits):
            is_first = sides == np.minimum.reduceat(sides, first_pairs)[self.texts]
            settled.append(np.where(is_first, sides, len(names)))

            for side, name in enumerate(names):
                given = sides == side
                dropped = given & ~is_first
                self._check_side(given & is_first, f"the {name} set of split {number}")
                if side > 0:
                    losses.append(
                        f"{n_rows[dropped].sum():,} of {n_rows[given].sum():,} {name} rows "
                        f"({len(np.unique(self.texts[dropped])):,} of "
                        f"{len(np.unique(self.texts[given])):,} distinct texts)"
                    )

        if not np.array_equal(settled, splits):
            _LOGGER.warning(
                "%s drops rows, so that no text is on two sides: %s.",
                self.splitter,
                "; ".join(losses),
            )
        return settled

    def _check_side(self, on_side: np.ndarray, side: str) -> None:
        labels = self.labels[self.texts]
        counts = np.bincount(labels[on_side], minlength=len(self.classes))
        absent = counts.argmin()
        if counts[absent] == 0:
            n_texts = np.count_nonzero(self.labels == absent)
            n_groups = len(np.unique(self.groups[labels == absent]))
            raise ValueError(
                f"{self.splitter}: {side} would have no text of class {self.classes[absent]!r} to "
                f"itself, whose {n_texts} distinct texts are in {n_groups} of the groups. Ask for "
                "fewer splits or other sizes, try another random_state, or leave the class or "
                "groups out."
            )


def _sizes(requested: dict[str, Any], default_test_size: float, n_texts: int) -> list[int]:
    """Return the requested shares or numbers as numbers of texts, None being the rest."""
    if requested["test_size"] is None and requested["train_size"] is None:
        requested = {**requested, "test_size": default_test_size}

    numbers = {}
    for name, size in requested.items():
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
    sizes = [numbers.get(name, rest) for name in requested]
    if min(sizes) < 1 or sum(sizes) > n_texts:
        given = " and ".join(f"{name}={size!r}" for name, size in requested.items())
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
            f"{len(missing) - 1} more. Drop such rows, or give each its own group."
        )
    return codes, len(distinct)
