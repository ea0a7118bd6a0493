"""Every coercion and refusal of text and label input, in one place.

Knows nothing of models, duplicates or files. Containers are recognised by what
they offer, so that polars need not be installed.
"""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from enum import Enum
from reprlib import repr as short_repr
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy.sparse import issparse
from sklearn.utils import column_or_1d
from sklearn.utils.multiclass import check_classification_targets

_ACCEPTED = (
    "a list, tuple, NumPy array, pandas or polars Series, Arrow array or one-column table of str"
)
# The ways to a list of Python objects in polars, Arrow, NumPy and pandas.
LIST_METHODS = ("to_list", "to_pylist", "tolist")
# What the label of useful texts is usually called, in any case.
_USEFUL = ("keep", "kept", "useful", "good", "relevant", "main", "yes", "y", "true", "1")


class PlainParameters:
    """Parameters of an estimator as JSON has them: NumPy's scalars, as of a grid, become Python's.

    Sizes in eight bits overflow, and JSON has no numbers of NumPy.
    """

    if TYPE_CHECKING:

        def get_params(self, deep: bool = True) -> dict[str, Any]: ...

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value.item() if isinstance(value, np.generic) else value)

    def _json_parameters(self) -> dict[str, Any]:
        """Return the parameters to save: those not at their defaults, without `verbose`."""
        defaults = type(self)().get_params(deep=False)
        plain = {
            name: os.fspath(value) if isinstance(value, os.PathLike) else value
            for name, value in self.get_params(deep=False).items()
            if name != "verbose"
        }
        return {
            name: value
            for name, value in plain.items()
            if isinstance(value, str | int | float | None) and value != defaults[name]
        }


def check_texts(X: Any, *, name: str = "X") -> list[str]:
    """Return the texts of any accepted container as a list of str.

    Parameters
    ----------
    X : container of str
        A list or tuple, a NumPy array of shape (n_samples,) or (n_samples, 1), a pandas or polars
        Series, an Arrow array, or a one-column table of one of these libraries. It may be empty,
        and so may each text.
    name : str, default="X"
        What messages call the input.

    Returns
    -------
    texts : list of str
        Instances of subclasses such as `numpy.str_` become plain str.

    Raises
    ------
    TypeError, ValueError
        If `X` is not such a container of one column, or a row is missing or not a str. The row is
        named, counted from 0.

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
    """Return the texts of `X`, or None where it holds no texts and is left to the estimator.

    The rules of `check_texts` apply where a row is a str, or `X` is a bare str or an iterator.
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
    """Return class labels of any container and of one type as a one-dimensional array.

    Members of a str or int Enum count as their values, and whole decimals as int.
    """
    if y is None:
        # in the words that scikit-learn's checks look for
        raise ValueError(f"{name} is None: fit requires y to be passed, but the target y is None.")

    # NumPy would turn ["a", nan] into ["a", "nan"], and [1, "a"] into ["1", "a"].
    array = np.asarray(y, dtype=object if isinstance(y, list | tuple) else None)
    if array.dtype.kind == "T":
        # NumPy's StringDType, which neither pandas nor scikit-learn knows
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
            f"Row {missing[0]} of {name} is missing ({labels[missing[0]]!r}), as are "
            f"{len(missing) - 1} more. Label such rows, or drop them."
        )

    if labels.dtype == object:
        labels = _plain_labels(labels, name)
    check_classification_targets(labels)
    return labels


def _plain_labels(labels: np.ndarray, name: str) -> np.ndarray:
    """Return labels as plain str, int, bool or float, or refuse them."""
    kind = pd.api.types.infer_dtype(labels, skipna=False)
    types = sorted({type(label).__name__ for label in labels})
    if kind == "string":
        # not str(): that of an Enum's member is its name
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
    if isinstance(X, np.ndarray):
        return X[:, 0]
    if hasattr(X, "iloc"):
        return X.iloc[:, 0]
    if hasattr(X, "to_series"):
        return X.to_series(0)
    return X.column(0)


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
    what = f"Row {row} of {name} is of type {type(value).__name__} ({short_repr(value)}), not str."
    if isinstance(value, bytes):
        raise TypeError(f"{what} Decode first, e.g. [row.decode('utf-8') for row in {name}].")
    raise TypeError(f"{what} Pass one str for each row.")


def useful_label(classes: Iterable[Any]) -> Any:
    """Return the class whose name says that its texts are useful; None if not exactly one does."""
    found = [known for known in classes if str(known).strip().casefold() in _USEFUL]
    return found[0] if len(found) == 1 else None
