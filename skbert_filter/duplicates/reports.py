"""What repeats in a corpus, and where labels conflict. Knows nothing of estimators or models."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from numbers import Integral
from reprlib import repr as short_repr
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils import check_scalar

from skbert_filter.duplicates.keys import Key, factorize, first_rows, first_seen
from skbert_filter.duplicates.label_counts import LabelCounts, count_labels
from skbert_filter.duplicates.rows import take_rows
from skbert_filter.io.mojibake import looks_misdecoded
from skbert_filter.printing import Report, aligned, label_lines, shown_text
from skbert_filter.validation import check_labels, check_texts


@dataclass(frozen=True, eq=False)
class DuplicateReport(Report):
    """What repeats among texts; returned by :func:`duplicate_report`.

    A distinct text represents all texts with the same key, and is shown as it was first seen.

    Attributes
    ----------
    key : str
        The policy under which texts were compared, or the name of the function.
    rows, distinct : int
    misdecoded : float
        The share of distinct texts that look mis-decoded ("â€™").
    most_frequent : DataFrame
        "text", "rows", "share" (of all rows) and, with labels, "rows_<label>" for each label.
    frequencies : DataFrame
        How many texts occur how often, the most frequent first: "occurrences", "texts" (with that
        many occurrences), "rows" (of these texts), "top_texts" (with at least as many occurrences)
        and "coverage" (the share of all rows that have one of the top texts).
    by_label : DataFrame or None
        For each label, sorted: "rows", "distinct" (texts with the label, even if they have others),
        "ratio" and "misdecoded" (of these texts). None without labels.
    conflicts : DataFrame or None
        Every text with several labels, the most frequent first: "text", "rows", "rows_<label>" for
        each label, and "majority", the most frequent of its labels, None in a tie. None without
        labels.
    """

    key: str
    rows: int
    distinct: int
    misdecoded: float
    most_frequent: pd.DataFrame = field(repr=False)
    frequencies: pd.DataFrame = field(repr=False)
    by_label: pd.DataFrame | None = field(repr=False)
    conflicts: pd.DataFrame | None = field(repr=False)

    @property
    def ratio(self) -> float:
        """Rows for each distinct text, ``rows / distinct``; NaN without rows."""
        return self.rows / self.distinct if self.distinct else float("nan")

    @property
    def n_conflicts(self) -> int | None:
        """The number of distinct texts with several labels; None without labels."""
        return None if self.conflicts is None else len(self.conflicts)

    @property
    def n_conflicting_rows(self) -> int | None:
        """The number of rows with such a text; None without labels."""
        return None if self.conflicts is None else int(self.conflicts["rows"].sum())

    def coverage(self, n_texts: int) -> float:
        """Return the share of all rows that have one of the `n_texts` most frequent texts."""
        # Exact, because texts between two points of the curve are equally frequent.
        curve = self.frequencies
        return float(np.interp(n_texts, [0, *curve["top_texts"]], [0.0, *curve["coverage"]]))

    def to_frame(self) -> pd.DataFrame:
        """Return the figures as a table with one row, indexed by `key`."""
        names = ["rows", "distinct", "ratio", "misdecoded", "n_conflicts", "n_conflicting_rows"]
        figures = {name.removeprefix("n_"): getattr(self, name) for name in names}
        return pd.DataFrame([figures], index=pd.Index([self.key], name="key"))

    def __str__(self) -> str:
        if not self.rows:
            return "0 rows: nothing to report."
        parts = [self._figures()]

        sizes = [10**power for power in range(10) if 10**power < self.distinct]
        if sizes and self.distinct < self.rows:
            coverage = aligned({f"{n:,}": (".1%", [self.coverage(n)]) for n in sizes}, {})
            parts.append(f"Share of all rows that the most frequent texts make up:\n{coverage}")

        labels = []
        if self.by_label is not None:
            labels = self.by_label.index.tolist()
            parts.append(label_lines(self.by_label))

        if shown := len(self.most_frequent):
            lines = _text_lines(self.most_frequent, labels)
            parts.append(f"The most frequent texts:\n{lines}")
            if self.conflicts is not None and len(self.conflicts):
                lines = _text_lines(self.conflicts[:shown], labels)
                parts.append(f"The most frequent texts with several labels:\n{lines}")
        return "\n\n".join(parts)

    def _figures(self) -> str:
        repeats = self.rows - self.distinct
        repeated = self.frequencies["texts"][self.frequencies["occurrences"] > 1].sum()
        of_distinct = "of the distinct texts"
        figures = [
            ("rows", self.rows, f"compared with key {self.key!r}"),
            ("distinct texts", self.distinct, f"{self.ratio:.2f} rows for each"),
            ("repeats", repeats, f"{repeats / self.rows:.1%} of the rows repeat an earlier one"),
            (
                "repeated texts",
                repeated,
                f"{repeated / self.distinct:.1%} {of_distinct} occur more than once",
            ),
            (
                "mis-decoded texts",
                round(self.misdecoded * self.distinct),
                f"{self.misdecoded:.1%} {of_distinct}",
            ),
        ]
        if self.n_conflicts is not None:
            where = f"with several labels, in {self.n_conflicting_rows:,} rows"
            figures.append(("conflicting texts", self.n_conflicts, where))
        return "\n".join(f"{name:<17} {number:>13,}  {note}" for name, number, note in figures)


def duplicate_report(
    X: Any, y: Any = None, *, key: Key = "exact", n_top: int = 10
) -> DuplicateReport:
    """Report how much of a corpus repeats, and where labels contradict each other.

    Parameters
    ----------
    X : container of str
        As for :func:`~skbert_filter.validation.check_texts`. It may be empty.
    y : array-like of shape (n_samples,), default=None
        The class labels.
    key : {"exact", "whitespace", "casefold"} or callable, default="exact"
        Which texts are equal; see :func:`~skbert_filter.duplicates.keys.text_keys`.
    n_top : int, default=10
        The number of most frequent texts to list, and of conflicts to print.

    Returns
    -------
    report : DuplicateReport

    See Also
    --------
    resolve_conflicts : Gives equal texts one label, or drops them.
    leakage_report : How much of a test set is in a training set.

    Examples
    --------
    >>> from skbert_filter import duplicate_report
    >>> X = ["View All", "View All", "We make soap.", "View All", "Itâ€™s new"]
    >>> report = duplicate_report(X, ["drop", "drop", "keep", "keep", "keep"])
    >>> print(report)
    rows                          5  compared with key 'exact'
    distinct texts                3  1.67 rows for each
    repeats                       2  40.0% of the rows repeat an earlier one
    repeated texts                1  33.3% of the distinct texts occur more than once
    mis-decoded texts             1  33.3% of the distinct texts
    conflicting texts             1  with several labels, in 3 rows
    <BLANKLINE>
    Share of all rows that the most frequent texts make up:
          1
      60.0%
    <BLANKLINE>
      rows  distinct  rows for each  mis-decoded  label
         2         1           2.00         0.0%  'drop'
         3         3           1.00        33.3%  'keep'
    <BLANKLINE>
    The most frequent texts:
      rows  share  labels                text
         3  60.0%  'drop': 2, 'keep': 1  'View All'
         1  20.0%  'keep': 1             'We make soap.'
         1  20.0%  'keep': 1             'Itâ€™s new'
    <BLANKLINE>
    The most frequent texts with several labels:
      rows  labels                majority  text
         3  'drop': 2, 'keep': 1  'drop'    'View All'
    """
    check_scalar(n_top, "n_top", Integral, min_val=0)
    # If there is nothing to compare, check_texts accepts an empty container, and rejects others.
    codes, distinct = factorize(X, key) or first_seen(check_texts(X))
    first = first_rows(codes)
    texts = check_texts(take_rows(X, first)) if len(first) else []
    misdecoded = np.array(list(map(looks_misdecoded, texts)), dtype=bool)
    occurrences = np.bincount(codes, minlength=len(distinct))
    by_frequency = np.argsort(-occurrences, kind="stable")

    def table_of(chosen: np.ndarray) -> pd.DataFrame:
        column = _object_column(texts[i] for i in chosen)
        return pd.DataFrame({"text": column, "rows": occurrences[chosen]})

    top = by_frequency[:n_top]
    most_frequent = table_of(top).assign(share=occurrences[top] / max(len(codes), 1))
    by_label = conflicts = None
    if y is not None:
        classes, labels = pd.factorize(check_labels(y, len(codes)), sort=True)
        counts = count_labels(codes, classes)
        by_label = _label_table(counts, labels, misdecoded)
        table = counts.table.astype(np.intp)
        names = _count_columns(labels.tolist())
        most_frequent = most_frequent.join(pd.DataFrame(table[top].toarray(), columns=names))

        in_conflict = by_frequency[counts.conflicting[by_frequency]]
        conflicts = table_of(in_conflict)
        conflicts = conflicts.join(pd.DataFrame(table[in_conflict].toarray(), columns=names))
        majority = labels[counts.majority[in_conflict]].astype(object)
        majority[counts.tied[in_conflict]] = None
        conflicts["majority"] = _object_column(majority)

    return DuplicateReport(
        key=key_name(key),
        rows=len(codes),
        distinct=len(distinct),
        misdecoded=float(misdecoded.sum() / max(len(distinct), 1)),
        most_frequent=most_frequent,
        frequencies=_frequencies(occurrences),
        by_label=by_label,
        conflicts=conflicts,
    )


def _frequencies(occurrences: np.ndarray) -> pd.DataFrame:
    levels, texts = (array[::-1] for array in np.unique(occurrences, return_counts=True))
    rows = levels * texts
    return pd.DataFrame(
        {
            "occurrences": levels,
            "texts": texts,
            "rows": rows,
            "top_texts": texts.cumsum(),
            "coverage": rows.cumsum() / max(rows.sum(), 1),
        }
    )


def _label_table(counts: LabelCounts, labels: np.ndarray, misdecoded: np.ndarray) -> pd.DataFrame:
    has = counts.table.astype(bool).astype(np.intp)
    rows, distinct = counts.table.sum(axis=0).astype(np.intp), has.sum(axis=0)
    return pd.DataFrame(
        {
            "rows": rows,
            "distinct": distinct,
            "ratio": rows / distinct,
            "misdecoded": misdecoded @ has / distinct,
        },
        index=pd.Index(labels, name="label", dtype=object),
    )


def _count_columns(labels: list[Any]) -> list[str]:
    return [f"rows_{label}" for label in labels]


def _object_column(values: Iterable[Any]) -> pd.Series:
    # By default pandas makes a str column of them, and fails on lone surrogates.
    return pd.Series(list(values), dtype=object)


def _text_lines(texts: pd.DataFrame, labels: list[Any]) -> str:
    numbers: dict[str, Any] = {"rows": (",", texts["rows"])}
    if "share" in texts:
        numbers["share"] = (".1%", texts["share"])

    strings: dict[str, Any] = {}
    if labels:
        counts = texts[_count_columns(labels)].to_numpy()
        strings["labels"] = [_shown_counts(row, labels) for row in counts]
    if "majority" in texts:
        strings["majority"] = [
            "tie" if label is None else short_repr(label) for label in texts["majority"]
        ]
    return aligned(numbers, strings | {"text": map(shown_text, texts["text"])})


def _shown_counts(counts: np.ndarray, labels: list[Any]) -> str:
    order = np.argsort(-counts, kind="stable")[: np.count_nonzero(counts)]
    return ", ".join(f"{short_repr(labels[i])}: {counts[i]:,}" for i in order)


def key_name(key: Key) -> str:
    """Return the policy, or the name of a function."""
    return key if isinstance(key, str) else getattr(key, "__name__", type(key).__name__)
