"""Rows, columns and cells of any container. Knows nothing of what they contain."""

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from sklearn.utils import _safe_indexing

from skbert_filter.io.columns import plain_schema, plain_type
from skbert_filter.validation import LIST_METHODS


def take_rows(X: Any, rows: np.ndarray) -> Any:
    """Select rows as scikit-learn does, of more kinds of containers."""
    if isinstance(X, pd.Index | pd.api.extensions.ExtensionArray):
        return X.take(rows)
    if isinstance(X, pa.Array | pa.ChunkedArray):
        original, plain = X.type, plain_type(X.type)
    elif isinstance(X, pa.RecordBatch | pa.Table):
        original, plain = X.schema, plain_schema(X.schema)
    else:
        return _safe_indexing(X, rows)
    if plain == original:
        return X.take(pa.array(rows))
    return X.cast(plain).take(pa.array(rows)).cast(original)


def columns_of(X: Any) -> list[Any] | None:
    """Return the columns of a polars or Arrow table, None for anything else."""
    for method in ("iter_columns", "itercolumns"):
        if hasattr(X, method):
            return list(getattr(X, method)())
    return None


def cells_of(column: Any) -> list[Any] | None:
    """Return the cells of a column or array as Python objects, None for anything else."""
    for method in LIST_METHODS:
        if hasattr(column, method):
            return getattr(column, method)()
    return None


def dtype_name(column: Any) -> str:
    """Return the name that the library of a column gives to its type."""
    return str(column.dtype if hasattr(column, "dtype") else column.type)
