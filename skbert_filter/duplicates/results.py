"""Results of an estimator, one for each distinct input: joined, copied to all rows, and
written as bytes and back.

Knows nothing of keys or of where the bytes are kept.
"""

import json
from collections.abc import Sequence
from functools import reduce
from itertools import chain
from typing import Any

import numpy as np
import pandas as pd
from scipy.sparse import issparse, vstack
from sklearn.utils import _safe_indexing

from skbert_filter.duplicates.keys import bytes_of_rows

# Arrays of these are their bytes: numbers, times, and text of a fixed width. Objects are not.
_PLAIN_KINDS = "biufcmMSU"
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
    """Return the layout of an array, as JSON that says how to read it, and each row as bytes.

    Anything but an array of numbers, times or str is refused in the name of `method`.
    """
    if not isinstance(result, np.ndarray):
        raise _refusal(method, result)
    shape = list(result.shape[1:])
    if result.dtype == object:
        if set(map(type, result.flat)) != {str}:
            raise _refusal(method, result)
        layout = {"type": "str", "shape": shape}
        return json.dumps(layout), [json.dumps(row).encode() for row in result.tolist()]

    if result.dtype.kind not in _PLAIN_KINDS:
        raise _refusal(method, result)
    layout = {"type": "array", "dtype": result.dtype.str, "shape": shape}
    if not result.size:
        return json.dumps(layout), [b""] * len(result)
    rows = np.ascontiguousarray(result).reshape(len(result), -1)
    return json.dumps(layout), bytes_of_rows(rows.view(np.uint8))


def from_bytes(layout: str, values: Sequence[bytes]) -> Any:
    """Return the rows that `to_bytes` has written, as they were but not writable."""
    how = json.loads(layout)
    if how["type"] == "str":
        rows = np.array([json.loads(value) for value in values], dtype=object)
    elif how["type"] == "array":
        rows = np.frombuffer(b"".join(values), how["dtype"])
    else:
        raise ValueError(
            f"The store holds a result of type {how['type']!r}, which this version of "
            "skbert_filter does not write. Name another file as the store."
        )
    return rows.reshape(len(values), *how["shape"])


def _refusal(method: str, result: Any) -> TypeError:
    what = f"{type(result).__module__}.{type(result).__name__}"
    dtype = getattr(result, "dtype", None)
    advice = ", or set_output(transform='default')" if method == "transform" else ""
    return TypeError(
        f"{method} of the wrapped estimator returned a {what}"
        f"{'' if dtype is None else f' of dtype {dtype}'}, which a store cannot keep: it takes "
        f"NumPy arrays of numbers, times or str. Use store=None{advice}."
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
