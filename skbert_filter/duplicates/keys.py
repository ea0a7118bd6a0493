"""Keys that tell which rows are the same, in one hashing pass without sorting.

Knows nothing of estimators or models.
"""

import unicodedata
from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence
from reprlib import repr as short_repr
from typing import Any, Literal, TypeVar, cast

import numpy as np
import pandas as pd

from skbert_filter.validation import LIST_METHODS, find_texts

Key = Literal["exact", "whitespace", "casefold"] | Callable[[str], str]
_H = TypeVar("_H", bound=Hashable)

# Without long double and object, whose bytes hold padding and addresses.
_NUMERIC_TYPES = "?bhilqBHILQefdFD"


def text_keys(texts: Sequence[str], key: Key = "exact") -> Sequence[str]:
    """Return the key of each text; texts with equal keys count as duplicates.

    Parameters
    ----------
    texts : sequence of str
        The texts.
    key : {"exact", "whitespace", "casefold"} or callable, default="exact"
        "exact": the text itself.
        "whitespace": runs of Unicode whitespace become one space, none at the ends.
        "casefold": as "whitespace", and without regard to case or to the composition
        of accents (the canonical caseless match of the Unicode standard).
        A callable takes a text and returns its key as a str; it is called once for
        each distinct text.

    Returns
    -------
    keys : sequence of str
        As long as `texts`.

    Raises
    ------
    ValueError
        If `key` is no such policy.
    TypeError
        If a callable returns something that is not a str; the row is named.

    Notes
    -----
    The canonical caseless match is definition D145 in section 3.13 of the Unicode
    standard. Compatibility characters stay apart: "x²" is not "x2".

    Examples
    --------
    >>> from skbert_filter.duplicates.keys import text_keys
    >>> text_keys(["View  All", "view all\\n"], key="casefold")
    ['view all', 'view all']
    """
    if key == "exact":
        return texts
    fold = _fold_of(key)
    folded = {text: fold(text) for text in dict.fromkeys(texts)}
    for text, value in folded.items():
        if not isinstance(value, str):
            raise TypeError(
                f"key returned {short_repr(value)} of type {type(value).__name__} for row "
                f"{texts.index(text)} ({short_repr(text)}). It must return a str."
            )
    return list(map(folded.__getitem__, texts))


def first_seen(values: Sequence[_H]) -> tuple[np.ndarray, list[_H]]:
    """Number distinct values in the order in which they are first seen.

    Parameters
    ----------
    values : sequence of hashable
        The values.

    Returns
    -------
    codes : ndarray of intp of shape (len(values),)
        The number of each value: ``distinct[codes[i]] == values[i]``.
    distinct : list
        The distinct values.

    Notes
    -----
    `pandas.factorize` costs about the same on texts, and fails on lone surrogates in
    a Series of str.

    Examples
    --------
    >>> from skbert_filter.duplicates.keys import first_seen
    >>> first_seen(["b", "a", "b"])
    (array([0, 1, 0]), ['b', 'a'])
    """
    numbers: defaultdict[_H, int] = defaultdict()
    numbers.default_factory = numbers.__len__
    codes = np.fromiter(map(numbers.__getitem__, values), np.intp, len(values))
    return codes, list(numbers)


def first_rows(codes: np.ndarray) -> np.ndarray:
    """Return the first row of each distinct value.

    Parameters
    ----------
    codes : ndarray of intp of shape (n_rows,)
        As `first_seen` returns them.

    Returns
    -------
    rows : ndarray of intp of shape (n_distinct,)
        In ascending order.

    Examples
    --------
    >>> from skbert_filter.duplicates.keys import first_rows, first_seen
    >>> codes, _ = first_seen(["b", "b", "a", "b"])
    >>> first_rows(codes)
    array([0, 2])
    """
    return np.flatnonzero(np.diff(np.maximum.accumulate(codes), prepend=-1))


def row_keys(X: Any) -> list[bytes]:
    """Return a key for each row of a two-dimensional array or table.

    Rows have equal keys where every cell is equal and of the same type. NaN equals
    NaN, and -0.0 equals 0.0.

    Parameters
    ----------
    X : ndarray or table of shape (n_rows, n_columns)
        A NumPy array, a pandas or polars DataFrame, or an Arrow table.

    Returns
    -------
    keys : list of bytes
        To be compared with keys of the same `X` only.

    Raises
    ------
    TypeError
        If `X` is neither, or a cell is not hashable.

    Examples
    --------
    >>> import numpy as np
    >>> from skbert_filter.duplicates.keys import first_seen, row_keys
    >>> first_seen(row_keys(np.array([[np.nan, 0.0], [1.0, 0.0], [np.nan, -0.0]])))[0]
    array([0, 1, 0])
    """
    columns = _columns(X)
    if columns is None:
        raise TypeError(
            f"X is of type {type(X).__name__}. Pass a two-dimensional array or a table."
        )
    if not columns:
        return [b""] * X.shape[0]
    if isinstance(X, np.ndarray) and X.dtype.char in _NUMERIC_TYPES:
        rows = np.array(X, order="C", subok=False)
        if rows.dtype.kind in "fc":
            rows += 0.0
            rows[np.isnan(rows)] = np.nan
    else:
        rows = np.column_stack([_column_codes(column) for column in columns])
    whole_row = np.dtype((np.void, rows.itemsize * rows.shape[1]))
    return cast("list[bytes]", rows.view(whole_row).ravel().tolist())


def find_keys(X: Any, key: Key = "exact") -> Sequence[Hashable] | None:
    """Return the keys of texts, or of the rows of an array or table.

    Parameters
    ----------
    X : object
        Any input of an estimator.
    key : {"exact", "whitespace", "casefold"} or callable, default="exact"
        As for `text_keys`; rows that are not texts have exact keys only.

    Returns
    -------
    keys : sequence of hashable or None
        None where `X` is neither, such as a sparse matrix or an empty list, or has
        cells that cannot be hashed, such as lists.

    Raises
    ------
    TypeError, ValueError
        As `skbert_filter.validation.check_texts` and `text_keys`, and if another key
        than "exact" is asked for rows that are not texts.

    Examples
    --------
    >>> import numpy as np
    >>> from skbert_filter.duplicates.keys import find_keys
    >>> find_keys(np.array(["About", " About"]), key="whitespace")
    ['About', 'About']
    >>> find_keys([[1.0, 2.0]]) is None
    True
    """
    texts = find_texts(X)
    if texts is not None:
        return text_keys(texts, key)
    if _columns(X) is None:
        return None
    if key != "exact":
        raise ValueError(
            f"key is {key!r}, which is for texts, but X is of type {type(X).__name__} and shape "
            f"{tuple(X.shape)}. Use key='exact', or pass one column of str."
        )
    try:
        return row_keys(X)
    except TypeError:
        return None


def _fold_of(key: Key) -> Callable[[str], str]:
    if callable(key):
        return key
    if key == "whitespace":
        return _collapse_whitespace
    if key == "casefold":
        return _casefold
    raise ValueError(
        f"key is {key!r}. It must be 'exact', 'whitespace', 'casefold', or a function that "
        "takes a str and returns a str."
    )


def _collapse_whitespace(text: str) -> str:
    return " ".join(text.split())


def _casefold(text: str) -> str:
    decomposed = unicodedata.normalize("NFD", _collapse_whitespace(text))
    return unicodedata.normalize("NFC", decomposed.casefold())


def _columns(X: Any) -> list[Any] | None:
    """Return the columns of a two-dimensional array or table, None for anything else."""
    if isinstance(X, np.ndarray) and X.ndim == 2:
        return list(X.T)
    if isinstance(X, pd.DataFrame):
        return [X.iloc[:, i] for i in range(X.shape[1])]
    for method in ("iter_columns", "itercolumns"):
        if hasattr(X, method):
            return list(getattr(X, method)())
    return None


def _column_codes(column: Any) -> np.ndarray:
    dtype = getattr(column, "dtype", None)
    if isinstance(dtype, np.dtype) and dtype.char in _NUMERIC_TYPES:
        return pd.factorize(column)[0]
    values = next(getattr(column, way) for way in LIST_METHODS if hasattr(column, way))()
    # 1, 1.0 and True are equal to Python, but not to every estimator.
    cells: list[Hashable] = list(zip(map(type, values), values, strict=True))
    # Missing cells of one type are equal, also NaN.
    for row in np.flatnonzero(pd.Series(values, dtype=object).isna()).tolist():
        cells[row] = type(values[row]).__name__
    return first_seen(cells)[0]
