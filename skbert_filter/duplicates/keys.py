"""Keys by which equal texts and equal rows are found, in one hashing pass without sorting.

The keys of `text_keys` and `row_keys` are valid within a call, `stable_hashes` in every process.
Knows nothing of estimators or models.
"""

import unicodedata
from collections.abc import Callable, Hashable, Sequence
from contextlib import suppress
from hashlib import blake2b
from reprlib import repr as short_repr
from typing import Any, Literal, TypeVar, cast

import numpy as np
import pandas as pd
import pyarrow as pa

from skbert_filter.duplicates.fingerprints import content_digest
from skbert_filter.duplicates.rows import cells_of, columns_of, dtype_name
from skbert_filter.validation import find_texts

Key = Literal["exact", "whitespace", "casefold"] | Callable[[str], str]
_H = TypeVar("_H", bound=Hashable)

# Without long double and object, whose bytes contain padding and addresses.
_NUMERIC_TYPES = "?bhilqBHILQefdFD"
# Types whose values are interchangeable if they are equal.
_PLAIN_CELLS = {str, bytes, int, float, bool, type(None)}


def text_keys(texts: Sequence[str], key: Key = "exact") -> Sequence[str]:
    """Return the key of each text; texts with equal keys count as duplicates.

    Parameters
    ----------
    texts : sequence of str
    key : {"exact", "whitespace", "casefold"} or callable, default="exact"
        "exact": the text itself. "whitespace": runs of Unicode whitespace become one space, and
        whitespace at the ends is removed. "casefold": as "whitespace", ignoring case and the
        composition of accents (canonical caseless matching, definition D145 of the Unicode
        standard). A callable takes a text and returns its key as a str; it is called once for each
        distinct text.

    Returns
    -------
    keys : sequence of str

    Raises
    ------
    TypeError, ValueError
        If `key` is not one of these, or the callable returns something other than a str.

    Examples
    --------
    >>> from skbert_filter.duplicates.keys import text_keys
    >>> text_keys(["View  All", "view all\\n"], key="casefold")
    ['view all', 'view all']
    """
    if key == "exact":
        return texts

    codes, distinct = first_seen(texts)
    folded = _fold(distinct, key, codes)
    return [folded[code] for code in codes.tolist()]


def first_seen(values: Sequence[_H]) -> tuple[np.ndarray, list[_H]]:
    """Factorize values: return integer codes in first-seen order, and the distinct values."""
    types = set(map(type, values))
    if types in ({str}, {bytes}):
        # Arrow's hash table is as fast as that of pandas. The small types are limited to 2 GB.
        arrow_type = pa.large_string() if types == {str} else pa.large_binary()
        with suppress(UnicodeError, pa.ArrowException):
            return _encode(pa.array(values, arrow_type))

    # Everything else, and texts with lone surrogates.
    code_of = {value: code for code, value in enumerate(dict.fromkeys(values))}
    codes = np.fromiter(map(code_of.__getitem__, values), np.intp, len(values))
    return codes, list(code_of)


def first_rows(codes: np.ndarray) -> np.ndarray:
    """Return the first row of each distinct value, in ascending order."""
    return np.flatnonzero(np.diff(np.maximum.accumulate(codes), prepend=-1))


def factorize(X: Any, key: Key = "exact") -> tuple[np.ndarray, list[Any]] | None:
    """Return `first_seen` of the keys of texts, or of the rows of an array or table.

    None if `X` is neither, such as a sparse matrix, or has cells that cannot be hashed.
    """
    if (arrow_texts := _arrow_texts(X)) is not None:
        # Only the distinct texts become Python objects.
        codes, distinct = _encode(arrow_texts)
    elif (texts := find_texts(X)) is not None:
        codes, distinct = first_seen(texts)
    elif _columns(X) is None:
        return None
    elif key != "exact":
        raise ValueError(
            f"key is {key!r}, which is for texts, but X is of type {type(X).__name__} and shape "
            f"{tuple(X.shape)}. Use key='exact', or pass one column of str."
        )
    else:
        try:
            return first_seen(row_keys(X))
        except TypeError:
            return None

    folded = _fold(distinct, key, codes)
    if folded is distinct:
        return codes, distinct
    folded_codes, distinct = first_seen(folded)
    return folded_codes[codes], distinct


def row_keys(X: Any) -> list[bytes]:
    """Return a key for each row of a two-dimensional array or table.

    Cells of different types are never equal; NaN equals NaN, and -0.0 equals 0.0.
    """
    if (numbers := _numbers(X)) is not None:
        return bytes_of_rows(_canonical(numbers))
    columns = _columns(X)
    if columns is None:
        raise TypeError(
            f"X is of type {type(X).__name__}. Pass a two-dimensional array or a table."
        )
    if not columns:
        return [b""] * X.shape[0]
    return bytes_of_rows(np.column_stack([_column_codes(column) for column in columns]))


def stable_hashes(X: Any) -> list[bytes]:
    """Return 128 bits for each text of a list, or row of a table, the same in every process.

    Only the hashes of inputs with the same `kind_of` can be compared.
    """
    if isinstance(X, list):
        contents = [text.encode("utf-8", "surrogatepass") for text in X]
    elif (numbers := _numbers(X)) is not None:
        contents = bytes_of_rows(_canonical(numbers))
    else:
        cells = [_cell_contents(column) for column in _columns(X) or ()]
        rows = np.hstack(cells) if cells else np.empty((X.shape[0], 0), np.uint8)
        contents = bytes_of_rows(rows)
    return [blake2b(content, digest_size=16).digest() for content in contents]


def kind_of(X: Any) -> str:
    """Describe what an estimator sees of an input besides the contents of its rows.

    For arrays and tables these are the types, names and categories of the columns.
    """
    columns = [] if (numbers := _numbers(X)) is not None else _columns(X)
    if columns is None:
        categories = _categories(X)
        return f"text {categories}" if categories else "text"
    if isinstance(X, np.ndarray):
        return f"array of {X.shape[1]} columns of {X.dtype.str}"

    names = list(X.columns) if hasattr(X, "dtypes") else X.column_names
    if numbers is None:
        types = [f"{dtype_name(column)}{_categories(column)}" for column in columns]
    else:
        types = [str(numbers.dtype)] * len(names)
    library = type(X).__module__.split(".")[0]
    return f"{library} table of {list(zip(names, types, strict=True))}"


def _encode(values: Any) -> tuple[np.ndarray, list[Any]]:
    """Factorize an Arrow array of str or bytes."""
    encoded = values.dictionary_encode()
    return encoded.indices.to_numpy().astype(np.intp), encoded.dictionary.to_pylist()


def _arrow_texts(X: Any) -> Any:
    """Return texts that are already in Arrow's memory, None for anything else."""
    if hasattr(X, "columns") or not (hasattr(X, "__arrow_c_stream__") or isinstance(X, pa.Array)):
        return None
    with suppress(UnicodeError, pa.ArrowException):
        column = pa.chunked_array([X] if isinstance(X, pa.Array) else X)
        is_text = pa.types.is_string(column.type) or pa.types.is_large_string(column.type)
        if len(column) and not column.null_count and (is_text or column.type == pa.string_view()):
            return column.cast(pa.large_string()).combine_chunks()
    return None


def _fold(texts: Sequence[str], key: Key, codes: np.ndarray) -> Sequence[str]:
    """Return the keys of distinct texts; with `codes` a message can name the user's row."""
    if key == "exact":
        return texts
    if not callable(key) and key not in _FOLDS:
        raise ValueError(
            f"key is {key!r}. It must be 'exact', 'whitespace', 'casefold', or a function that "
            "takes a str and returns a str."
        )

    folded = list(map(key if callable(key) else _FOLDS[key], texts))
    for i, value in enumerate(folded):
        if not isinstance(value, str):
            raise TypeError(
                f"key returned {short_repr(value)} of type {type(value).__name__} for row "
                f"{int((codes == i).argmax())} ({short_repr(texts[i])}). It must return a str."
            )
    return folded


def _collapse_whitespace(text: str) -> str:
    return " ".join(text.split())


def _casefold(text: str) -> str:
    decomposed = unicodedata.normalize("NFD", _collapse_whitespace(text))
    return unicodedata.normalize("NFC", decomposed.casefold())


_FOLDS: dict[str, Callable[[str], str]] = {
    "whitespace": _collapse_whitespace,
    "casefold": _casefold,
}


def _columns(X: Any) -> list[Any] | None:
    """Return the columns of a two-dimensional array or table, None for anything else."""
    if isinstance(X, np.ma.MaskedArray):
        # Some estimators ignore what is under a mask, others do not.
        return None
    if isinstance(X, np.ndarray) and X.ndim == 2:
        return list(X.T)
    if isinstance(X, pd.DataFrame):
        return [X.iloc[:, i] for i in range(X.shape[1])]
    return columns_of(X)


def _numbers(X: Any) -> np.ndarray | None:
    """Return an array, or a table with one numeric type, as an array; None for anything else."""
    if isinstance(X, pd.DataFrame) and X.shape[1]:
        first = X.dtypes.iloc[0]
        is_uniform = isinstance(first, np.dtype) and bool((X.dtypes == first).all())
        return X.to_numpy() if is_uniform and first.char in _NUMERIC_TYPES else None
    is_plain = isinstance(X, np.ndarray) and not isinstance(X, np.ma.MaskedArray)
    return X if is_plain and X.ndim == 2 and X.dtype.char in _NUMERIC_TYPES else None


def _categories(column: Any) -> str:
    """Describe the categories of a column and their order; "" if it has none."""
    dtype = getattr(column, "dtype", None)
    if isinstance(dtype, pd.CategoricalDtype):
        return f" {dtype.categories.tolist()} {dtype.ordered}"
    if str(dtype).startswith("Enum"):
        return f" {dtype}"
    return ""


def _canonical(array: np.ndarray) -> np.ndarray:
    """Return a copy of a numeric array in which equal values have equal bytes."""
    copied = np.array(array, order="C", subok=False)
    if copied.dtype.kind in "fc":
        copied += 0.0
        copied[np.isnan(copied)] = np.nan
    return copied


def bytes_of_rows(rows: np.ndarray) -> list[bytes]:
    """Return the bytes of each row of a C-contiguous array."""
    if not rows.shape[1]:
        return [b""] * len(rows)
    whole_row = np.dtype((np.void, rows.itemsize * rows.shape[1]))
    return cast("list[bytes]", rows.view(whole_row).ravel().tolist())


def _is_numeric(column: Any) -> bool:
    dtype = getattr(column, "dtype", None)
    return isinstance(dtype, np.dtype) and dtype.char in _NUMERIC_TYPES


def _column_codes(column: Any) -> np.ndarray:
    return pd.factorize(column)[0] if _is_numeric(column) else first_seen(_cells(column))[0]


def _cell_contents(column: Any) -> np.ndarray:
    """Return each cell as bytes that are the same in every process."""
    if _is_numeric(column):
        return _canonical(np.asarray(column)[:, np.newaxis]).view(np.uint8)
    codes, distinct = first_seen(_cells(column))

    contents = b"".join(
        content_digest(cell[1] if isinstance(cell, tuple) else ("missing", cell))
        for cell in distinct
    )
    return np.frombuffer(contents, np.uint8).reshape(len(distinct), -1)[codes]


def _cells(column: Any) -> list[Hashable]:
    values = cells_of(column) or []
    # 1, 1.0 and True are equal in Python, but not to every estimator.
    cells: list[Hashable] = list(zip(map(type, values), values, strict=True))

    if dtype_name(column) == "object":
        # The same goes for equal times in two zones, and for Decimals of different precision.
        for row, value in enumerate(values):
            if type(value) not in _PLAIN_CELLS:
                cells[row] = (type(value), content_digest(value))

    # Missing cells of the same type are equal, NaN included.
    for row in np.flatnonzero(pd.Series(values, dtype=object).isna()).tolist():
        cells[row] = type(values[row]).__name__
    return cells
