"""Labelled rows made ready for training: equal texts merged, conflicts settled.

Equal texts with different labels are settled here alone, for the filter's own fit and for
any other estimator. Knows nothing of models.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from reprlib import repr as short_repr
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd
from sklearn.utils.validation import _check_sample_weight

from skbert_filter.duplicates.keys import Key, first_rows, first_seen, number_inputs, text_keys
from skbert_filter.duplicates.label_counts import Votes, count_votes
from skbert_filter.duplicates.rows import take_rows
from skbert_filter.duplicates.splits import DedupStratifiedShuffleSplit
from skbert_filter.validation import check_labels, check_texts, find_texts

Duplicates = Literal["drop", "weight", "keep"]
Conflicts = Literal["majority", "drop", "soft", "raise"]


@dataclass(frozen=True)
class TrainingRows:
    """Texts to train on, and what was found on the way to them.

    Attributes
    ----------
    texts : list of str
        In the order of their code points, so that a fit does not depend on the order of rows.
    classes : ndarray of int of shape (n_texts,)
        Number of the class of each text.
    shares : ndarray of float32 of shape (n_texts, n_classes)
        How much of each text belongs to each class; rows sum to 1.
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
    shares: np.ndarray
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
            shares=self.shares[rows],
            weights=self.weights[rows],
        )

    def are_in(self, texts: Sequence[str], key: Key) -> np.ndarray:
        """Return which of the texts are equal to one of those given."""
        return pd.Index(text_keys(self.texts, key)).isin(text_keys(texts, key))

    def balance(self, labels: np.ndarray) -> dict[str, int]:
        """Return how many texts each class has."""
        counts = np.bincount(self.classes, minlength=len(labels)).tolist()
        return {str(label): count for label, count in zip(labels.tolist(), counts, strict=True)}

    def sha256(self) -> str:
        """Return a hash of the texts, their shares and weights."""
        digest = hashlib.sha256()
        for text in self.texts:
            digest.update(text.encode("utf-8", "surrogatepass") + b"\0")
        digest.update(self.shares.tobytes())
        digest.update(self.weights.astype(np.float64).tobytes())
        return digest.hexdigest()

    def split(
        self,
        test_size: float,
        n_classes: int,
        key: Key,
        seed: int,
        grouped: tuple[Sequence[str], np.ndarray, Any] | None = None,
    ) -> tuple["TrainingRows", "TrainingRows"]:
        """Split in two, equal texts on one side; a ValueError if a side would lack a class.

        ``grouped`` are the rows that these came from, as texts, classes and groups: whole groups
        are split then, and a text of both sides is on the smaller one.
        """
        splitter = DedupStratifiedShuffleSplit(1, test_size=test_size, key=key, random_state=seed)
        texts, classes, groups = grouped or (self.texts, self.classes, None)
        _, held_out = next(splitter.split(texts, classes, groups))
        is_out = self.are_in([texts[i] for i in held_out], key)
        larger, smaller = self.take(np.flatnonzero(~is_out)), self.take(np.flatnonzero(is_out))
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
    conflicts : {"majority", "drop", "soft", "raise"}, default="majority"
        What becomes of a text with several classes. "majority": the class of the most weight;
        a text for which two weigh the same is left out. "drop": it is left out. "soft": it
        belongs to each by the share of its weight. "raise": a ValueError.
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
    votes = count_votes(codes, classes, weights, n_distinct, n_classes)
    if conflicts == "raise" and votes.conflicting.any():
        examples = first_rows(codes)[votes.conflicting][:3]
        raise _conflict(votes, [texts[i] for i in examples])
    kept = _kept(votes, conflicts)
    shares = np.zeros((n_distinct, n_classes), np.float32)
    if conflicts == "soft":
        shares[votes.texts, votes.classes] = votes.weights
        shares /= shares.sum(axis=1, keepdims=True)
    else:
        shares[np.arange(n_distinct), votes.majority] = 1

    if duplicates == "keep":
        rows = np.flatnonzero(kept[codes])
        row_weights = weights[rows]
    else:
        rows = first_rows(codes)[kept]
        row_weights = np.bincount(codes, weights=weights, minlength=n_distinct)[kept]
        if duplicates == "drop":
            row_weights = row_weights / np.bincount(codes, minlength=n_distinct)[kept]
    return TrainingRows(
        texts=[texts[i] for i in rows],
        classes=votes.majority[codes[rows]],
        shares=shares[codes[rows]],
        weights=row_weights,
        n_distinct=n_distinct,
        n_conflicts=int(votes.conflicting.sum()),
        n_dropped=int((~kept).sum()),
    )


def resolve_conflicts(
    X: Any,
    y: Any,
    *,
    conflicts: Conflicts = "majority",
    key: Key = "exact",
    sample_weight: Any = None,
) -> tuple[Any, Any, np.ndarray]:
    """Give equal texts one label, or leave out those with several.

    This prepares training data for any estimator. `SmallBertTextFilter` does the same in
    its `fit`, by its parameter `conflicts`. Repeats stay.

    Parameters
    ----------
    X : container of str, or array or table of shape (n_samples, n_features)
        The texts, in any container of :func:`~skbert_filter.validation.check_texts`,
        or rows to compare.
    y : array-like of shape (n_samples,)
        The class labels.
    conflicts : {"majority", "drop", "soft", "raise"}, default="majority"
        What happens to a text with several labels, as in `SmallBertTextFilter`.
        "majority": all its rows get its most frequent label; a text for which two are
        equally frequent is left out.
        "drop": it is left out.
        "soft": each of its rows keeps its label, so that as much of each is learnt.
        "raise": a ValueError that shows the first ones.
    key : {"exact", "whitespace", "casefold"} or callable, default="exact"
        Which texts are equal; see :func:`~skbert_filter.duplicates.keys.text_keys`.
        Rows that are not texts have exact keys only.
    sample_weight : array-like of shape (n_samples,), default=None
        What each row counts in the majority. Rows of weight 0 are left out.

    Returns
    -------
    X_resolved, y_resolved : containers as given
        The rows that are left, in their order; a pandas container keeps their index.
    rows : ndarray of intp
        Their numbers, to select from anything else that has one value for each row,
        such as `sample_weight`.

    Raises
    ------
    TypeError
        If `X` is neither texts nor rows that can be compared.
    ValueError
        If `X` is empty, the lengths differ, `conflicts` is unknown, or texts conflict and
        it is "raise".

    See Also
    --------
    duplicate_report : Shows the conflicts as a table.

    Examples
    --------
    >>> from skbert_filter import resolve_conflicts
    >>> X = ["About", "We make soap.", "About", "About", "Tea", "Tea"]
    >>> resolve_conflicts(X, [0, 1, 0, 1, 0, 1])
    (['About', 'We make soap.', 'About', 'About'], [0, 1, 0, 0], array([0, 1, 2, 3]))
    >>> resolve_conflicts(X, [0, 1, 0, 1, 0, 1], conflicts="drop")
    (['We make soap.'], [1], array([1]))
    """
    if conflicts not in get_args(Conflicts):
        allowed = ", ".join(map(repr, get_args(Conflicts)))
        raise ValueError(f"conflicts is {conflicts!r}. It must be one of {allowed}.")
    numbered = number_inputs(X, key)
    if numbered is None:
        # empty, or refused here
        numbered = first_seen(check_texts(X))
    row_codes, _ = numbered
    if not len(row_codes):
        raise ValueError("X has 0 rows. Pass at least one.")
    classes, labels = pd.factorize(check_labels(y, len(row_codes)), sort=True)
    weights = _check_sample_weight(
        sample_weight,
        row_codes,
        dtype=np.float64,
        ensure_non_negative=True,
        allow_all_zero_weights=True,
    )
    used = np.flatnonzero(weights)
    codes, distinct = pd.factorize(row_codes[used])
    classes = classes[used]
    votes = count_votes(codes, classes, weights[used], len(distinct), len(labels))
    if conflicts == "raise" and votes.conflicting.any():
        examples = used[first_rows(codes)[votes.conflicting][:3]]
        texts = find_texts(take_rows(X, examples))
        raise _conflict(votes, examples.tolist() if texts is None else texts)
    left = np.flatnonzero(_kept(votes, conflicts)[codes])
    # A label is taken from another row of the text, so that y keeps its type and container.
    source = np.zeros(len(distinct), dtype=np.intp)
    in_majority = np.flatnonzero(classes == votes.majority[codes])
    source[codes[in_majority]] = used[in_majority]
    rows = used[left]
    y_resolved = take_rows(y, rows if conflicts == "soft" else source[codes[left]])
    if isinstance(y, pd.Series | pd.DataFrame):
        y_resolved = y_resolved.set_axis(y.index[rows])
    return take_rows(X, rows), y_resolved, rows


def _kept(votes: Votes, conflicts: Conflicts) -> np.ndarray:
    if conflicts == "soft":
        return np.ones(len(votes.tied), dtype=bool)
    return ~votes.conflicting if conflicts == "drop" else ~votes.tied


def _conflict(votes: Votes, examples: list[str] | list[int]) -> ValueError:
    shown = ", ".join(f"row {i}" if isinstance(i, int) else short_repr(i) for i in examples)
    return ValueError(
        f"Equal texts come with more than one label, such as {shown} "
        f"({votes.conflicting.sum()} in all). Correct the labels, or choose 'majority', 'drop' or "
        "'soft' instead of 'raise' "
        '(docs: guide_labels, "My labels conflict: what now?").'
    )
