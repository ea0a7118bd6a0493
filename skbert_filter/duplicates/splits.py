"""Splits that keep all copies of a text on one side, for `cv=` and for a single split.

Copies are found in the input itself, without metadata routing. Groups of rows, such as pages, can
be kept whole as well. Knows nothing of estimators or models.
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

# How many random orders of the groups to try, and the error at which to stop trying.
_ORDERS = 100
_TOLERANCE = 0.005


class _DedupSplitter:
    """Lets a splitter of scikit-learn split the distinct texts, and returns their rows."""

    # As in scikit-learn's group splitters, except that groups are not required.
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
            A text with several labels counts as its most frequent one, and in a tie as the one
            that sorts first.
        groups : array-like of shape (n_samples,), default=None
            What else to keep together, such as the page of each row. A row of a training group is
            dropped if its text is in a test group too; the logger ``skbert_filter`` reports how
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
            # All splits before the first is used: a later error would waste the fits before it.
            splits = pairs.remove_overlap(splits, ("test", "training"))
        for sides in splits:
            yield pairs.rows_of(sides, 1), pairs.rows_of(sides, 0)


class DedupStratifiedKFold(_DedupSplitter, StratifiedKFold):
    """Stratified k-fold cross-validation with all copies of a text in one fold.

    Folds have equal numbers of distinct texts, with equal shares of each class; their numbers of
    rows depend on the repeats. If `split` gets `groups`, folds consist of whole groups.

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
    of them. Dropped rows are logged as a warning, which
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

    With groups each page is tested as a whole, and "About", which is on both, is not trained on:

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
            # Meta-estimators such as StackingClassifier set it whether or not shuffle is set.
            random_state=self.random_state if self.shuffle else None,
        )
        for _, test in splitter.split(pairs.texts, pairs.labels[pairs.texts], pairs.groups):
            sides = np.ones(len(pairs.texts), np.int8)
            sides[test] = 0
            yield sides


class DedupStratifiedShuffleSplit(_DedupSplitter, StratifiedShuffleSplit):
    """Stratified random splits with all copies of a text on one side.

    If `split` gets `groups`, both sides consist of whole groups.

    Parameters
    ----------
    n_splits : int, default=10
        The number of splits.
    test_size, train_size : float, int or None, default=None
        The share or number of distinct texts to test and to train on. None: what the other leaves.
        If both are None, a tenth is tested.
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
    With groups, sizes are approximate. The groups are put in a random order and cut where the texts
    before the cut are closest to the requested share of each class. Of 100 orders the first with an
    error (root mean square over the classes) of at most half a percentage point is used, else the
    best. With `train_size`, the remaining groups are ordered and cut in the same way.

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
        The share or number of the distinct texts in each set. Without `validation_size` there is no
        validation set. If only one of the other two is set, the other set gets the rest; if neither
        is, a quarter is tested.
    groups : array-like of shape (n_samples,), default=None
        What else to keep together, such as the page of each row. Sizes are approximate then; see
        the notes of `DedupStratifiedShuffleSplit`. A text in groups of several sides stays in the
        test set, else in the validation set, and its other rows are dropped; the logger
        ``skbert_filter`` reports how many.
    key : {"exact", "whitespace", "casefold"} or callable, default="exact"
        When two texts count as copies; see :func:`~skbert_filter.duplicates.keys.text_keys`.
    stratify : bool, default=True
        Whether all sides get each class in proportion, counted in distinct texts.
    random_state : int, RandomState instance or None, default=None

    Returns
    -------
    parts : list
        ``X_train, X_test, y_train, y_test, …``, or with `validation_size` ``X_train, X_val, X_test,
        y_train, y_val, y_test, …``, each in the container of its input.

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
        [sides] = pairs.remove_overlap([sides], names)

    rows = [pairs.rows_of(sides, side) for side in reversed(range(len(names)))]
    return [take_rows(array, part) for array in (X, y, *arrays) for part in rows]


@dataclass(frozen=True)
class _Pairs:
    """The pairs of a distinct text and a group that has it, and the name of the splitter.

    All arrays contain integer codes: `texts` and `groups` the text and the group of each pair,
    `rows` the pair of each row, and `labels` the class of each text.
    """

    splitter: str
    texts: np.ndarray
    groups: Any
    rows: np.ndarray
    labels: np.ndarray
    classes: list[Any]

    @classmethod
    def read(cls, splitter: str, X: Any, y: Any, groups: Any, key: Key) -> "_Pairs":
        """Find the pairs in the rows; if `y` is None, all texts belong to one class."""
        factorized = factorize(X, key)
        if factorized is None:
            raise TypeError(
                f"X is of type {type(X).__name__}, without texts or rows to compare. Pass a "
                "non-empty container of str, or a NumPy array or table with rows and columns."
            )
        codes, distinct = factorized

        row_labels, names = np.zeros(len(codes), np.intp), np.zeros(1)
        if y is not None:
            row_labels, names = pd.factorize(check_labels(y, len(codes)), sort=True)
        labels, names = count_labels(codes, row_labels).prevailing(names)

        texts, rows, pair_groups = np.arange(len(distinct)), codes, None
        if groups is not None:
            row_groups, n_groups = group_codes(groups, len(codes))
            pairs, rows = np.unique(codes * n_groups + row_groups, return_inverse=True)
            texts, pair_groups = np.divmod(pairs, n_groups)
        return cls(splitter, texts, pair_groups, rows, labels, names.tolist())

    def rows_of(self, sides: np.ndarray, side: int) -> np.ndarray:
        """Return the rows on one side."""
        return np.flatnonzero((sides == side)[self.rows])

    def check(self, least: int) -> None:
        """Reject fewer than `least` groups, and classes with fewer than `least` texts."""
        if self.groups is not None and (n_groups := self.groups.max() + 1) < least:
            raise ValueError(
                f"The number of different groups is {n_groups}, but {self.splitter} needs at least "
                f"{least}. Use fewer splits, or omit groups."
            )
        self._check_classes(self.labels, least)

    def _check_classes(self, labels: np.ndarray, least: int, when: str = "") -> None:
        counts = np.bincount(labels, minlength=len(self.classes))
        rarest = counts.argmin()
        if counts[rarest] < least:
            raise ValueError(
                f"Class {self.classes[rarest]!r} has too few distinct texts ({counts[rarest]}): "
                f"{self.splitter}{when} needs at least {least} of each class. Label more texts of "
                "it, use fewer splits, or leave the class out "
                '(docs: scikit_learn, "How do I get an honest score?").'
            )

    def draw(self, sizes: list[int], random: Any) -> np.ndarray:
        """Return the side of each pair: an index into `sizes`, or ``len(sizes)`` for none."""
        if self.groups is not None:
            self.check(len(sizes))
            return self._cut_groups(sizes, random)

        sides = np.full(len(self.labels), len(sizes), np.int8)
        remaining = np.arange(len(sides))
        for side, size in enumerate(sizes[:-1]):
            later = sum(sizes[side + 1 :])
            when = ", once the test texts are taken," if side else ""
            self._check_classes(self.labels[remaining], 2, when)
            if min(size, later) < len(self.classes):
                raise ValueError(
                    f"{self.splitter}: sets of {', '.join(map(str, sizes))} distinct texts cannot "
                    f"all hold a text of each of the {len(self.classes)} classes. Use larger sets, "
                    "or leave classes out."
                )

            splitter = StratifiedShuffleSplit(
                1, test_size=size, train_size=later, random_state=random
            )
            rest, chosen = next(splitter.split(remaining, self.labels[remaining]))
            sides[remaining[chosen]] = side
            remaining = remaining[rest]
        sides[remaining] = len(sizes) - 1
        return sides

    def _cut_groups(self, sizes: list[int], random: Any) -> np.ndarray:
        """Put the groups in a random order, and cut it into one run of groups for each side."""
        n_groups, n_classes = self.groups.max() + 1, len(self.classes)
        first_pairs, totals = first_rows(self.texts), np.bincount(self.labels)
        order, cuts = np.arange(n_groups), [0]

        for wanted in np.cumsum(sizes) / len(self.labels):
            start, later_sides = cuts[-1], len(sizes) - len(cuts)
            # At least one group for this side and for each later one.
            ends = np.arange(start + 1, n_groups - later_sides + 1)
            best = (np.inf, np.inf)
            for _ in range(_ORDERS):
                candidate = np.concatenate([order[:start], random.permutation(order[start:])])
                # A text belongs to the first group that has it.
                ranks = np.minimum.reduceat(np.argsort(candidate)[self.groups], first_pairs)
                cells = (ranks + 1) * n_classes + self.labels
                counts = np.bincount(cells, minlength=(n_groups + 1) * n_classes)
                shares = counts.reshape(n_groups + 1, n_classes).cumsum(axis=0) / totals
                errors = np.sqrt(np.mean((shares[ends] - wanted) ** 2, axis=1))

                # The last minimum, so that groups without new texts are on a side too.
                nearest = len(ends) - 1 - errors[::-1].argmin()
                end = ends[nearest]
                absent = (shares[end] == shares[start]) | ((shares[end] == 1) & (later_sides > 0))
                score = (absent.sum(), errors[nearest])
                if score < best:
                    best, best_order, cut = score, candidate, end
                if best <= (0, _TOLERANCE):
                    break

            cuts.append(cut)
            order = best_order
        sides = np.searchsorted(cuts[1:], np.argsort(order), side="right")
        return sides[self.groups].astype(np.int8)

    def remove_overlap(self, splits: list[np.ndarray], names: Sequence[str]) -> list[np.ndarray]:
        """Keep each text on the first side that has it, and log what the other sides lose."""
        first_pairs, n_rows = first_rows(self.texts), np.bincount(self.rows)
        result, losses = [], []
        for number, sides in enumerate(splits):
            is_first = sides == np.minimum.reduceat(sides, first_pairs)[self.texts]
            result.append(np.where(is_first, sides, len(names)))

            for side, name in enumerate(names):
                on_side = sides == side
                dropped = on_side & ~is_first
                self._check_side(on_side & is_first, f"the {name} set of split {number}")
                if side > 0:
                    losses.append(
                        f"{n_rows[dropped].sum():,} of {n_rows[on_side].sum():,} {name} rows "
                        f"({len(np.unique(self.texts[dropped])):,} of "
                        f"{len(np.unique(self.texts[on_side])):,} distinct texts)"
                    )

        if not np.array_equal(result, splits):
            _LOGGER.warning(
                "%s drops rows to keep each text on one side: %s.",
                self.splitter,
                "; ".join(losses),
            )
        return result

    def _check_side(self, on_side: np.ndarray, side: str) -> None:
        labels = self.labels[self.texts]
        counts = np.bincount(labels[on_side], minlength=len(self.classes))
        absent = counts.argmin()
        if counts[absent] == 0:
            n_texts = np.count_nonzero(self.labels == absent)
            n_groups = len(np.unique(self.groups[labels == absent]))
            raise ValueError(
                f"{self.splitter}: {side} would be left without a text of class "
                f"{self.classes[absent]!r}, whose {n_texts} distinct texts are in {n_groups} of "
                "the groups. Use fewer splits or other sizes, try another random_state, or leave "
                "out the class or groups."
            )


def _sizes(requested: dict[str, Any], default_test_size: float, n_texts: int) -> list[int]:
    """Convert the requested shares or numbers to numbers of texts; None gets the rest."""
    if requested["test_size"] is None and requested["train_size"] is None:
        requested = {**requested, "test_size": default_test_size}

    numbers = {}
    for name, size in requested.items():
        if isinstance(size, int | np.integer) and 0 < size < n_texts:
            numbers[name] = int(size)
        elif isinstance(size, float | np.floating) and 0 < size < 1:
            # Like scikit-learn, round the test set up, but not for a rounding error: 0.1 * 70 > 7.
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
        shown = " and ".join(f"{name}={size!r}" for name, size in requested.items())
        raise ValueError(
            f"{shown} make sets of {', '.join(map(str, sizes))} of the {n_texts} distinct texts. "
            "Each needs at least 1, and together they cannot have more than there are."
        )
    return sizes


def group_codes(groups: Any, n_rows: int) -> tuple[np.ndarray, int]:
    """Return integer codes of the groups of rows, and the number of groups."""
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

    # pandas does not support NumPy's StringDType.
    values = values.ravel().astype(object if values.dtype.kind == "T" else values.dtype)
    codes, distinct = pd.factorize(values)
    missing = np.flatnonzero(codes < 0)
    if len(missing):
        raise ValueError(
            f"Row {missing[0]} of groups is missing ({values[missing[0]]!r}), as are "
            f"{len(missing) - 1} more. Drop such rows, or give each its own group."
        )
    return codes, len(distinct)
