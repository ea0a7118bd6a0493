"""Preparing labelled rows for training: equal texts are merged, conflicting labels resolved.

The only place where conflicts are resolved, for the filter's own fit and for other estimators.
Knows nothing of models.
"""

from collections.abc import Sequence
from reprlib import repr as short_repr
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd
from sklearn.utils.validation import _check_sample_weight

from skbert_filter.duplicates.keys import Key, factorize, first_rows, first_seen
from skbert_filter.duplicates.label_counts import LabelCounts, count_labels
from skbert_filter.duplicates.rows import take_rows
from skbert_filter.duplicates.splits import DedupStratifiedShuffleSplit
from skbert_filter.labelled_texts import LabelledTexts
from skbert_filter.validation import check_labels, check_texts, find_texts

Duplicates = Literal["drop", "weight", "keep"]
Conflicts = Literal["majority", "drop", "soft", "raise"]


def training_rows(
    texts: Sequence[str],
    classes: np.ndarray,
    weights: np.ndarray,
    n_classes: int,
    *,
    duplicates: Duplicates = "drop",
    conflicts: Conflicts = "majority",
) -> LabelledTexts:
    """Merge rows with equal texts, and resolve conflicts between their classes (integer codes)."""
    order = np.array(sorted(range(len(texts)), key=texts.__getitem__), dtype=np.intp)
    texts = [texts[i] for i in order]
    classes, weights = classes[order], weights[order]

    codes, distinct = first_seen(texts)
    counts = count_labels(codes, classes, weights)
    if conflicts == "raise" and counts.conflicting.any():
        examples = first_rows(codes)[counts.conflicting][:3]
        raise _conflict(counts, [texts[i] for i in examples])

    is_kept = _is_kept(counts, conflicts)
    shares = np.zeros((len(distinct), n_classes), np.float32)
    if conflicts == "soft":
        shares[:, : counts.table.shape[1]] = counts.table.toarray()
        shares /= shares.sum(axis=1, keepdims=True)
    else:
        shares[np.arange(len(distinct)), counts.majority] = 1

    if duplicates == "keep":
        rows = np.flatnonzero(is_kept[codes])
        row_weights = weights[rows]
    else:
        rows = first_rows(codes)[is_kept]
        row_weights = np.bincount(codes, weights)[is_kept]
        if duplicates == "drop":
            row_weights = row_weights / np.bincount(codes)[is_kept]

    return LabelledTexts(
        texts=[texts[i] for i in rows],
        classes=counts.majority[codes[rows]],
        shares=shares[codes[rows]],
        weights=row_weights,
        n_distinct=len(distinct),
        n_conflicts=int(counts.conflicting.sum()),
        n_dropped=int((~is_kept).sum()),
    )


def merge_repeats(
    texts: list[str], y: np.ndarray, duplicates: Duplicates = "drop"
) -> tuple[LabelledTexts, np.ndarray]:
    """Return the texts with repeats merged and conflicts resolved, and their labels."""
    classes, codes = np.unique(y, return_inverse=True)
    rows = training_rows(texts, codes, np.ones(len(texts)), len(classes), duplicates=duplicates)
    return rows, classes[rows.classes]


def hold_out(
    rows: LabelledTexts,
    test_size: float,
    seed: int,
    grouped: tuple[Sequence[str], np.ndarray, Any] | None = None,
) -> tuple[LabelledTexts, LabelledTexts]:
    """Split rows in two, equal texts on one side; a ValueError if a side would lack a class.

    With ``grouped``, the texts, classes and groups of the input rows, whole groups are split, and a
    text in groups of both sides belongs to the smaller side.
    """
    splitter = DedupStratifiedShuffleSplit(1, test_size=test_size, random_state=seed)
    texts, classes, groups = grouped or (rows.texts, rows.classes, None)
    _, held_out = next(splitter.split(texts, classes, groups))

    held_out_texts = {texts[i] for i in held_out}
    is_out = np.array([text in held_out_texts for text in rows.texts])
    larger, smaller = rows.take(np.flatnonzero(~is_out)), rows.take(np.flatnonzero(is_out))
    for side in (larger, smaller):
        if len(np.unique(side.classes)) < rows.shares.shape[1]:
            raise ValueError("a class would be without a text on one side.")
    return larger, smaller


def resolve_conflicts(
    X: Any,
    y: Any,
    *,
    conflicts: Conflicts = "majority",
    key: Key = "exact",
    sample_weight: Any = None,
) -> tuple[Any, Any, np.ndarray]:
    """Give equal texts the same label, or drop texts with several labels.

    `SmallBertTextFilter` does this in its `fit`. Repeats are kept.

    Parameters
    ----------
    X : container of str, or array or table of shape (n_samples, n_features)
        The texts, or rows to compare.
    y : array-like of shape (n_samples,)
    conflicts : {"majority", "drop", "soft", "raise"}, default="majority"
        What happens to a text with several labels. "majority": all its rows get its most frequent
        label; in a tie they are dropped. "drop": they are dropped. "soft": each row keeps its
        label, and an estimator learns a mixture. "raise": a ValueError that shows the first ones.
    key : {"exact", "whitespace", "casefold"} or callable, default="exact"
        Which texts are equal; see :func:`~skbert_filter.duplicates.keys.text_keys`.
    sample_weight : array-like of shape (n_samples,), default=None
        How much each row counts towards the majority. Rows of weight 0 are dropped.

    Returns
    -------
    X_resolved, y_resolved : containers of the same types
        The remaining rows, in their order.
    rows : ndarray of intp
        Their indices.

    See Also
    --------
    duplicate_report : Shows the conflicts as a table.

    Examples
    --------
    >>> from skbert_filter import resolve_conflicts
    >>> X = ["About", "We make soap.", "About", "About", "Tea", "Tea"]
    >>> resolve_conflicts(X, [0, 1, 0, 1, 0, 1])
    (['About', 'We make soap.', 'About', 'About'], [0, 1, 0, 0], array([0, 1, 2, 3]))
    """
    if conflicts not in get_args(Conflicts):
        allowed = ", ".join(map(repr, get_args(Conflicts)))
        raise ValueError(f"conflicts is {conflicts!r}. It must be one of {allowed}.")
    # If there is nothing to compare, check_texts accepts an empty container, and rejects others.
    row_codes, _ = factorize(X, key) or first_seen(check_texts(X))
    if not len(row_codes):
        raise ValueError("X has 0 rows. Pass at least one.")

    classes, _ = pd.factorize(check_labels(y, len(row_codes)), sort=True)
    weights = _check_sample_weight(
        sample_weight,
        row_codes,
        dtype=np.float64,
        ensure_non_negative=True,
        allow_all_zero_weights=True,
    )
    used = np.flatnonzero(weights)
    codes, _ = pd.factorize(row_codes[used])
    classes = classes[used]
    counts = count_labels(codes, classes, weights[used])
    if conflicts == "raise" and counts.conflicting.any():
        examples = used[first_rows(codes)[counts.conflicting][:3]]
        texts = find_texts(take_rows(X, examples))
        raise _conflict(counts, examples.tolist() if texts is None else texts)

    # Labels are copied from a row with the majority label, so that y keeps its type and container.
    kept = np.flatnonzero(_is_kept(counts, conflicts)[codes])
    source = np.zeros(len(counts.majority), dtype=np.intp)
    in_majority = np.flatnonzero(classes == counts.majority[codes])
    source[codes[in_majority]] = used[in_majority]

    rows = used[kept]
    y_resolved = take_rows(y, rows if conflicts == "soft" else source[codes[kept]])
    if isinstance(y, pd.Series | pd.DataFrame):
        y_resolved = y_resolved.set_axis(y.index[rows])
    return take_rows(X, rows), y_resolved, rows


def _is_kept(counts: LabelCounts, conflicts: Conflicts) -> np.ndarray:
    if conflicts == "soft":
        return np.ones(len(counts.tied), dtype=bool)
    return ~counts.conflicting if conflicts == "drop" else ~counts.tied


def _conflict(counts: LabelCounts, examples: list[str] | list[int]) -> ValueError:
    shown = ", ".join(f"row {i}" if isinstance(i, int) else short_repr(i) for i in examples)
    return ValueError(
        f"Equal texts have more than one label, such as {shown} ({counts.conflicting.sum()} in "
        "all). Correct the labels, or choose 'majority', 'drop' or 'soft' instead of 'raise' "
        '(docs: labels, "My labels conflict: what now?").'
    )
