"""Results of an estimator, one for each distinct input: joined, copied to all rows, and
written as bytes and back.

Knows nothing of keys or of where the bytes are kept.
"""

import json
import math
from collections.abc import Sequence
from functools import reduce
from importlib import import_module
from itertools import chain
from typing import Any

import numpy as np
import pandas as pd
from scipy.sparse import issparse, vstack
from sklearn.utils import _safe_indexing

from skbert_filter.duplicates.keys import bytes_of_rows

# Arrays of these are their bytes: numbers, times, and text of a fixed width. Objects are not.
_PLAIN_KINDS = "biufcmMSU"
_TABLES = ("pandas", "polars")
# With several outputs these methods return a list of arrays, one for each output.
_LISTS_OUTPUTS = ("predict_proba", "predict_log_proba", "decision_function")


def has_outputs(result: Any, method: str) -> bool:
    """Whether a result is a list with an array for each of several outputs."""
    return method in _LISTS_OUTPUTS and isinstance(result, list)


def spread(
    parts: list[Any], places: list[np.ndarray], codes: np.ndarray, X: Any, method: str
) -> Any:
    """Join results of distinct inputs, and copy them to all rows; pandas gets the index of `X`.

    Results come in parts; places are which of the distinct inputs each part is of.
    """
    order = np.empty(sum(map(len, places)), dtype=np.intp)
    order[np.concatenate(places)] = np.arange(len(order))
    if has_outputs(parts[0], method):
        return [_copied(list(output), order[codes], X) for output in zip(*parts, strict=True)]
    return _copied(parts, order[codes], X)


def _copied(parts: list[Any], rows: np.ndarray, X: Any) -> Any:
    result = parts[0] if len(parts) == 1 else _concatenate(parts)
    if issparse(result):
        return result.tocsr()[rows].asformat(result.format)

    result = _safe_indexing(result, rows)
    if isinstance(result, pd.DataFrame | pd.Series):
        has_index = isinstance(X, pd.DataFrame | pd.Series)
        result.index = X.index if has_index else pd.RangeIndex(len(rows))
    return result


def to_bytes(result: Any, method: str) -> tuple[str, list[bytes]]:
    """Return the layout of a result, as JSON that says how to read it, and each row as bytes.

    Results are arrays of numbers, times or str, tables of numbers and times, or lists of arrays
    for several outputs; any other is refused in the name of `method`.
    """
    if isinstance(result, np.ndarray) and result.dtype == object:
        if set(map(type, result.flat)) != {str}:
            raise _refusal(method, result)
        layout = {"type": "str", "shape": list(result.shape[1:])}
        return json.dumps(layout), [json.dumps(row).encode() for row in result.tolist()]

    layout, cells = _to_cells(result, method)
    return json.dumps(layout), bytes_of_rows(cells)


def from_bytes(layout: str, values: Sequence[bytes]) -> Any:
    """Return the rows that `to_bytes` has written, as they were but not writable."""
    how = json.loads(layout)
    if how["type"] == "str":
        rows = [json.loads(value) for value in values]
        return np.array(rows, dtype=object).reshape(len(rows), *how["shape"])
    cells = np.frombuffer(b"".join(values), np.uint8).reshape(len(values), -1)
    return _from_cells(how, cells)


def _to_cells(result: Any, method: str) -> tuple[dict[str, Any], np.ndarray]:
    """Return the layout, and the bytes of shape (n_rows, n_bytes)."""
    if isinstance(result, np.ndarray) and result.dtype.kind in _PLAIN_KINDS:
        layout = {"type": "array", "dtype": result.dtype.str, "shape": list(result.shape[1:])}
        if not result.size:
            return layout, np.empty((len(result), 0), np.uint8)
        rows = np.ascontiguousarray(result).reshape(len(result), -1)
        return layout, rows.view(np.uint8)

    if has_outputs(result, method):
        kind, names, parts = "list", None, result
    else:
        kind = type(result).__module__.split(".")[0]
        names = _names(result) if kind in _TABLES else []
        if not names:
            raise _refusal(method, result)
        parts = [_column(result[name], method) for name in names]

    layouts, cells = zip(*(_to_cells(part, method) for part in parts), strict=True)
    return {"type": kind, "names": names, "parts": list(layouts)}, np.hstack(cells)


def _from_cells(layout: dict[str, Any], cells: np.ndarray) -> Any:
    if layout["type"] == "array":
        rows = np.ascontiguousarray(cells).view(layout["dtype"]) if cells.size else cells
        return rows.astype(layout["dtype"], copy=False).reshape(len(cells), *layout["shape"])

    widths = [_width(part) for part in layout["parts"]]
    pieces = np.split(cells, np.cumsum(widths)[:-1], axis=1)
    parts = [_from_cells(*pair) for pair in zip(layout["parts"], pieces, strict=True)]
    if layout["type"] == "list":
        return parts

    # A layout may come from a file of anybody's, which must not choose what is imported.
    if layout["type"] not in _TABLES:
        raise ValueError(
            f"The store holds a result of type {layout['type']!r}, which this version of "
            "skbert_filter does not write. Name another file as the store."
        )
    table = import_module(layout["type"]).DataFrame
    return table(dict(zip(layout["names"], parts, strict=True)))


def _width(layout: dict[str, Any]) -> int:
    if layout["type"] == "array":
        return np.dtype(layout["dtype"]).itemsize * math.prod(layout["shape"])
    return sum(map(_width, layout["parts"]))


def _names(table: Any) -> list[str]:
    """Return the names of columns by which a table can be made again, else none."""
    names = list(getattr(table, "columns", []))
    can_be_told_apart = len(set(names)) == len(names)
    return names if can_be_told_apart and {*map(type, names)} == {str} else []


def _column(column: Any, method: str) -> np.ndarray:
    """Return a column of a table as the array from which it can be made again."""
    array = column.to_numpy()
    if array.dtype.kind not in _PLAIN_KINDS:
        raise _refusal(method, column)
    again = type(column)(array)
    # Not so where a null became NaN.
    if again.dtype != column.dtype or not np.array_equal(_nulls(again), _nulls(column)):
        raise _refusal(method, column)
    return array


def _nulls(column: Any) -> np.ndarray:
    return np.asarray(column.is_null() if hasattr(column, "is_null") else column.isna())


def _refusal(method: str, result: Any) -> TypeError:
    what = f"{type(result).__module__}.{type(result).__name__}"
    dtype = getattr(result, "dtype", None)
    advice = ", or set_output(transform='default')" if method == "transform" else ""
    return TypeError(
        f"{method} of the wrapped estimator returned a {what}"
        f"{'' if dtype is None else f' of dtype {dtype}'}, which a store cannot keep: it takes "
        "NumPy arrays of numbers, times or str, and tables of numbers and times whose columns are "
        f"named by str. Use store=None{advice}."
    )


def _concatenate(parts: list[Any]) -> Any:
    first = parts[0]
    if isinstance(first, list):
        return list(chain.from_iterable(parts))
    if issparse(first):
        return vstack(parts, format=first.format)
    if isinstance(first, pd.DataFrame | pd.Series):
        return pd.concat(parts)
    if hasattr(first, "vstack"):
        return reduce(lambda above, below: above.vstack(below), parts)
    return np.concatenate(parts)
