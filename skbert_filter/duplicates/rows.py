"""Rows of any container, selected in that container."""

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from sklearn.utils import _safe_indexing

from skbert_filter.io.columns import plain_schema, plain_type


def take_rows(X: Any, rows: np.ndarray) -> Any:
    """Select rows as scikit-learn does, also of the containers that it does not know."""
    if isinstance(X, pd.Index | pd.api.extensions.ExtensionArray):
        return X.take(rows)
    if isinstance(X, pa.Array | pa.ChunkedArray):
        kind, plain = X.type, plain_type(X.type)
    elif isinstance(X, pa.RecordBatch | pa.Table):
        kind, plain = X.schema, plain_schema(X.schema)
    else:
        return _safe_indexing(X, rows)
    if plain == kind:
        return X.take(pa.array(rows))
    return X.cast(plain).take(pa.array(rows)).cast(kind)
