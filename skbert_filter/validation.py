"""Validation of texts and labels, and all their conversions.

Knows nothing of models, duplicates or files. Containers are recognized by their methods, so polars
does not have to be installed.
"""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from enum import Enum
from reprlib import repr as short_repr
from typing import Any

import numpy as np
import pandas as pd
from scipy.sparse import issparse
from sklearn.base import BaseEstimator
from sklearn.utils import column_or_1d
from sklearn.utils.multiclass import check_classification_targets

_ACCEPTED = (
    "a list, tuple, NumPy array, pandas or polars Series, Arrow array or one-column table of str"
)
# The methods of polars, Arrow, NumPy and pandas that return a list of Python objects.
LIST_METHODS = ("to_list", "to_pylist", "tolist")
# Usual names of the label of useful texts, in any case.
_USEFUL = ("keep", "kept", "useful", "good", "relevant", "main", "yes", "y", "true", "1")


class PlainParameters(BaseEstimator):
    """Convert NumPy scalars among an estimator's parameters, e.g. from a grid, to Python's.

    Sizes as 8-bit integers would overflow, and JSON cannot represent NumPy scalars.
    """

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value.item() if isinstance(value, np.generic) else value)

    def _json_parameters(self) -> dict[str, Any]:
        """Return the parameters to save: all that differ from the defaults but `verbose`."""
        defaults = type(self)().get_params(deep=False)
        parameters = {}
        for name, value in self.get_params(deep=False).items():
            plain = os.fspath(value) if isinstance(value, os.PathLike) else value
            is_plain = isinstance(plain, str | int | float | None)
            if name != "verbose" and is_plain and plain != defaults[name]:
                parameters[name] = plain
        return parameters


def check_texts(X: Any, *, name: str = "X") -> list[str]:
    """Return the texts in a container as a list of str.

    Parameters
    ----------
    X : container of str
        A list or tuple, a NumPy array of shape (n_samples,) or (n_samples, 1), a pandas or polars
        Series, an Arrow array, or a one-column table of one of these libraries. The container and
        its texts may be empty.
    name : str, default="X"
        The name of the input in messages.

    Returns
    -------
    texts : list of str
        Instances of subclasses such as `numpy.str_` become plain str.

    Raises
    ------
    TypeError, ValueError
        If `X` is not such a container, or a row is missing or not a str. The message names the row,
        counted from 0.

    Examples
    --------
    >>> import pandas as pd
    >>> from skbert_filter.validation import check_texts
    >>> check_texts(pd.Series(["View All", ""], index=[7, 3]))
    ['View All', '']
    >>> check_texts(["View All", None])
    Traceback (most recent call last):
        ...
    ValueError: Row 1 of X is missing (None). Drop such rows, or fill them with "".
    """
    return _check_rows(_as_list(X, name), name)


def find_texts(X: Any, *, name: str = "X") -> list[str] | None:
    """Return the texts of `X`, or None if it holds no texts.

    The rules of `check_texts` apply if any row is a str, or `X` is a single str or an iterator.
    """
    try:
        values = _as_list(X, name)
    except (TypeError, ValueError):
        if isinstance(X, str | Iterator):
            raise
        return None
    if not any(issubclass(kind, str) for kind in set(map(type, values))):
        return None
    return _check_rows(values, name)


def check_labels(y: Any, n_samples: int, *, name: str = "y", of: str = "X") -> np.ndarray:
    """Return the class labels in a container, of one type, as a one-dimensional array.

    Members of a str or int Enum become their values, and integral decimals become int.
    """
    if y is None:
        # scikit-learn's estimator checks look for this wording.
        raise ValueError(f"{name} is None: fit requires y to be passed, but the target y is None.")

    # NumPy would turn ["a", nan] into ["a", "nan"], and [1, "a"] into ["1", "a"].
    array = np.asarray(y, dtype=object if isinstance(y, list | tuple) else None)
    if array.dtype.kind == "T":
        # Neither pandas nor scikit-learn supports NumPy's StringDType.
        array = array.astype(object)
    labels = column_or_1d(array, warn=True)

    if len(labels) != n_samples:
        raise ValueError(
            f"{name} has {len(labels)} labels, but {of} has {n_samples} rows. "
            "Pass one label for each row."
        )

    missing = np.flatnonzero(pd.isna(labels))
    if len(missing):
        raise ValueError(
            f"Row {missing[0]} of {name} is missing ({labels[missing[0]]!r}), "
            f"{len(missing)} in all. Label such rows, or drop them."
        )

    if labels.dtype == object:
        labels = _plain_labels(labels, name)
    check_classification_targets(labels)
    return labels


def _plain_labels(labels: np.ndarray, name: str) -> np.ndarray:
    """Convert an array of objects to str, int, bool or float, or raise."""
    kind = pd.api.types.infer_dtype(labels, skipna=False)
    types = sorted({type(label).__name__ for label in labels})
    if kind == "string":
        # Not str(), which returns the name of an Enum's member.
        return np.array([str.__str__(label) for label in labels], dtype=object)
    if kind == "decimal" and all(
        label.is_finite() and label == label.to_integral_value() for label in labels
    ):
        labels = np.array([int(label) for label in labels], dtype=object)

    plain = pd.Series(labels).infer_objects().to_numpy()
    if not kind.startswith("mixed") and (plain.dtype != object or not len(plain)):
        return plain

    if len(types) > 1:
        raise ValueError(
            f"{name} mixes labels of the types {', '.join(types)}. Use one type, e.g. "
            f"[str(label) for label in {name}]."
        )
    plain_label = "label.value" if isinstance(labels[0], Enum) else "str(label)"
    raise ValueError(
        f"Row 0 of {name} is of type {types[0]} ({short_repr(labels[0])}), which is not a label. "
        f"Use str, bool or int of 64 bits, e.g. [{plain_label} for label in {name}]."
    )


def _as_list(X: Any, name: str) -> list[Any]:
    """Return the rows of a one-dimensional or one-column container."""
    if isinstance(X, list | tuple):
        return list(X)
    if isinstance(X, str | bytes | bytearray):
        raise TypeError(
            f"{name} is one {type(X).__name__} ({short_repr(X)}), not a container of texts. "
            f"Pass a list of str, such as [{short_repr(X)}]."
        )

    shape = getattr(X, "shape", None)
    if issparse(X) or isinstance(X, Mapping | Set) or shape == ():
        raise TypeError(f"{name} is of type {type(X).__name__}. Pass {_ACCEPTED}.")
    if shape is not None and len(shape) > 1:
        if len(shape) > 2 or shape[1] != 1:
            raise ValueError(
                f"{name} has the shape {tuple(shape)}, but texts are one column. Select it "
                f"first, e.g. {name}['text'] of a table or {name}[:, 0] of an array."
            )
        X = _only_column(X)

    for method in LIST_METHODS:
        if hasattr(X, method):
            return getattr(X, method)()
    if isinstance(X, Sequence):
        return list(X)
    if hasattr(X, "__array__"):
        return _as_list(np.asarray(X), name)

    if isinstance(X, Iterable):
        raise TypeError(
            f"{name} is a {type(X).__name__}, which can be read only once and has no length. "
            f"Pass list({name}), or work in chunks "
            '(docs: files, "My folder is 50 GB"):\n'
            f"    rows = iter({name})\n"
            f"    while chunk := list(itertools.islice(rows, 100_000)):\n"
            f"        model.predict(chunk)"
        )
    raise TypeError(f"{name} is of type {type(X).__name__} ({short_repr(X)}). Pass {_ACCEPTED}.")


def _only_column(X: Any) -> Any:
    if hasattr(X, "iloc"):  # pandas
        return X.iloc[:, 0]
    if hasattr(X, "column"):  # Arrow
        return X.column(0)
    return X[:, 0]  # NumPy, polars


def _check_rows(values: list[Any], name: str) -> list[str]:
    kinds = set(map(type, values))
    if kinds <= {str}:
        return values
    if all(issubclass(kind, str) for kind in kinds):
        return list(map(str.__str__, values))

    row, value = next((i, v) for i, v in enumerate(values) if not isinstance(v, str))
    if pd.api.types.is_scalar(value) and pd.isna(value):
        raise ValueError(
            f'Row {row} of {name} is missing ({value!r}). Drop such rows, or fill them with "".'
        )

    kind = type(value).__name__
    remedy = "Pass one str for each row."
    if isinstance(value, bytes):
        remedy = f"Decode first, e.g. [row.decode('utf-8') for row in {name}]."
    raise TypeError(
        f"Row {row} of {name} is of type {kind} ({short_repr(value)}), not str. {remedy}"
    )


def useful_label(classes: Iterable[Any]) -> Any:
    """Return the class whose name means useful; None unless there is exactly one."""
    useful = [label for label in classes if str(label).strip().casefold() in _USEFUL]
    return useful[0] if len(useful) == 1 else None
