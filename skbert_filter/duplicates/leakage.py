"""How much of a test set is also in the training set. Knows nothing of estimators or models."""

from collections.abc import Callable
from dataclasses import dataclass, field
from numbers import Integral
from reprlib import repr as short_repr
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils import check_scalar

from skbert_filter.duplicates.keys import Key, first_rows, first_seen, text_keys
from skbert_filter.duplicates.reports import key_name
from skbert_filter.printing import Report, aligned, counted, shown_text
from skbert_filter.validation import check_texts

_POLICIES: tuple[Key, ...] = ("exact", "whitespace", "casefold")


@dataclass(frozen=True, eq=False)
class LeakageReport(Report):
    """How much of a test set is also in the training set; returned by :func:`leakage_report`.

    Attributes
    ----------
    train_rows, train_distinct, test_rows, test_distinct : int
        The numbers of rows in the sets, and of exactly distinct texts.
    leaks : DataFrame
        One row for each key: "test_rows" (with a match in the training set under this key),
        "test_rows_share" (of all test rows), "test_texts" (exactly distinct texts with a match) and
        "test_texts_share" (of all distinct test texts).
    examples : DataFrame
        The leaked texts that are most frequent in the test set, up to `n_top` for each key: "key"
        (the first that finds a match), "text", "match" (the first match in the training set),
        "test_rows" (with exactly this text) and "train_rows" (with any match).
    """

    train_rows: int
    train_distinct: int
    test_rows: int
    test_distinct: int
    leaks: pd.DataFrame = field(repr=False)
    examples: pd.DataFrame = field(repr=False)

    def to_frame(self) -> pd.DataFrame:
        """Return a copy of `leaks`, indexed by the key."""
        return self.leaks.copy()

    def __str__(self) -> str:
        leaks, examples = self.leaks, self.examples
        numbers = {
            "rows": (",", leaks["test_rows"]),
            "of all": (".1%", leaks["test_rows_share"]),
            "distinct": (",", leaks["test_texts"]),
            "of distinct": (".1%", leaks["test_texts_share"]),
        }

        lines = (
            f"{counted(self.train_rows, 'training row')} ({self.train_distinct:,} distinct), "
            f"{counted(self.test_rows, 'test row')} ({self.test_distinct:,} distinct).\n"
            "In the test set, with a match in the training set:\n"
            f"{aligned(numbers, {'key': map(short_repr, leaks.index)})}"
        )
        if examples.empty:
            return lines

        numbers = {
            "in test": (",", examples["test_rows"]),
            "in train": (",", examples["train_rows"]),
        }
        strings = {
            "key": map(short_repr, examples["key"]),
            "text": map(shown_text, examples["text"]),
            "match": map(shown_text, examples["match"]),
        }
        return (
            f"{lines}\n\nThe most frequent of them, each with the first key that finds a match:\n"
            f"{aligned(numbers, strings)}"
        )


def leakage_report(
    X_train: Any, X_test: Any, *, key: Callable[[str], str] | None = None, n_top: int = 3
) -> LeakageReport:
    """Report how many test rows have a match in the training set, for each key.

    Parameters
    ----------
    X_train, X_test : container of str
        As for :func:`~skbert_filter.validation.check_texts`. They may be empty.
    key : callable, default=None
        A function from a text to its key, a str. It is reported after "exact", "whitespace" and
        "casefold".
    n_top : int, default=3
        The number of examples to list for each key.

    Returns
    -------
    report : LeakageReport

    See Also
    --------
    dedup_train_test_split : Splits without such leaks.

    Examples
    --------
    >>> from skbert_filter import leakage_report
    >>> X_train = ["View All", "View All", "We make soap."]
    >>> report = leakage_report(X_train, ["View All", "view  all", "view  all", "Tea"])
    >>> print(report)
    3 training rows (2 distinct), 4 test rows (3 distinct).
    In the test set, with a match in the training set:
      rows  of all  distinct  of distinct  key
         1   25.0%         1        33.3%  'exact'
         1   25.0%         1        33.3%  'whitespace'
         3   75.0%         2        66.7%  'casefold'
    <BLANKLINE>
    The most frequent of them, each with the first key that finds a match:
      in test  in train  key         text         match
            1         2  'exact'     'View All'   'View All'
            2         2  'casefold'  'view  all'  'View All'
    """
    check_scalar(n_top, "n_top", Integral, min_val=0)
    if key is not None and not callable(key):
        raise TypeError(
            f"key is {key!r}, but the keys 'exact', 'whitespace' and 'casefold' are always "
            "reported. Omit it, or pass a function that takes a str and returns a str."
        )
    train, test = check_texts(X_train, name="X_train"), check_texts(X_test, name="X_test")
    return find_leaks(train, test, key, n_top)[0]


def find_leaks(
    train: list[str], test: list[str], key: Callable[[str], str] | None = None, n_top: int = 3
) -> tuple[LeakageReport, set[str]]:
    """Return the report, and the test texts that have a match in the training set under any key."""
    n_train = len(train)
    codes, texts = first_seen(train + test)
    policies = _POLICIES if key is None else (*_POLICIES, key)
    groups = [(key_name(policy), first_seen(text_keys(texts, policy))[0]) for policy in policies]
    in_train = np.bincount(codes[:n_train], minlength=len(texts))
    in_test = np.bincount(codes[n_train:], minlength=len(texts))
    n_rows, n_texts = int(in_test.sum()), int(np.count_nonzero(in_test))

    leaks, examples = [], []
    unexplained = in_test > 0
    for name, group in groups:
        matches = np.bincount(group, in_train, minlength=len(texts)).astype(np.intp)[group]
        leaked = (in_test > 0) & (matches > 0)
        rows, n_leaked = int(in_test[leaked].sum()), int(leaked.sum())
        leaks.append((rows, rows / max(n_rows, 1), n_leaked, n_leaked / max(n_texts, 1)))

        new = np.flatnonzero(leaked & unexplained)
        new = new[np.argsort(-in_test[new], kind="stable")][:n_top]
        unexplained &= ~leaked
        # Training rows come first, so the first text of a leaked group is one of them.
        first = first_rows(group)[group[new]]
        examples += [
            (name, texts[i], texts[j], in_test[i], matches[i])
            for i, j in zip(new.tolist(), first.tolist(), strict=True)
        ]

    report = LeakageReport(
        train_rows=n_train,
        train_distinct=int(np.count_nonzero(in_train)),
        test_rows=n_rows,
        test_distinct=n_texts,
        leaks=pd.DataFrame(
            leaks,
            columns=["test_rows", "test_rows_share", "test_texts", "test_texts_share"],
            index=pd.Index([name for name, _ in groups], name="key"),
        ),
        examples=pd.DataFrame(
            examples, columns=["key", "text", "match", "test_rows", "train_rows"], dtype=object
        ).astype({"test_rows": np.intp, "train_rows": np.intp}),
    )
    return report, {texts[i] for i in np.flatnonzero((in_test > 0) & ~unexplained)}
