"""Results of an estimator for distinct inputs: copied to all rows, and converted to bytes and back.

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

# Arrays that can be stored as their bytes: numbers, times and text of a fixed width.
_PLAIN_KINDS = "biufcmMSU"
# For several outputs these methods return a list with an array for each.
_LISTS_OUTPUTS = ("predict_proba", "predict_log_proba", "decision_function")


def has_outputs(result: Any, method: str) -> bool:
    """Whether a result is a list with one array for each of several outputs."""
    return method in _LISTS_OUTPUTS and isinstance(result, list)


def spread(
    parts: list[Any], places: list[np.ndarray], codes: np.ndarray, X: Any, method: str
) -> Any:
    """Join the results of distinct inputs, and copy them to all rows.

    `places` contains the positions of the inputs of each part among the distinct inputs. Pandas
    results get the index of `X`.
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
    """Return the layout of an array as JSON, from which it can be decoded, and each row as bytes.

    Anything but an array of numbers, times or str is rejected; the message names `method`.
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
    """Return the rows that `to_bytes` has encoded; the array may be read-only."""
    encoding = json.loads(layout)
    if encoding["type"] == "str":
        rows = np.array([json.loads(value) for value in values], dtype=object)
    elif encoding["type"] == "array":
        rows = np.frombuffer(b"".join(values), encoding["dtype"])
    else:
        raise ValueError(
            f"The store holds a result of type {encoding['type']!r}, which this version of "
            "skbert_filter cannot read. Name another file as the store."
        )
    return rows.reshape(len(values), *encoding["shape"])


def _refusal(method: str, result: Any) -> TypeError:
    kind = f"{type(result).__module__}.{type(result).__name__}"
    if (dtype := getattr(result, "dtype", None)) is not None:
        kind += f" of dtype {dtype}"
    advice = ", or set_output(transform='default')" if method == "transform" else ""
    return TypeError(
        f"{method} of the wrapped estimator returned a {kind}, which a store cannot keep: it "
        f"accepts NumPy arrays of numbers, times or str. Use store=None{advice}."
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
