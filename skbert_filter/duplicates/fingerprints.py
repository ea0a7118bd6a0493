"""Fingerprints of estimators: equal as long as the estimator answers the same.

Every value is taken apart into bytes (the cells of an array, say) and parts: the items of a list,
the code of a function (`code_parts`), or what a pickle of any other object would hold. Its digest
is a hash of these bytes and of the digests of its parts. No identity and no order of a set comes
in, so that a fingerprint is the same after pickling, in another process, and after predicting.
Knows scikit-learn's way of keeping state, and nothing of texts or models.
"""

import copy
import copyreg
import io
import pickle
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from hashlib import blake2b
from types import MappingProxyType
from typing import Any, NoReturn

import numpy as np
import pandas as pd
from scipy.sparse import sparray, spmatrix
from sklearn.base import BaseEstimator
from sklearn.frozen import FrozenEstimator
from sklearn.utils import Bunch

from skbert_filter.duplicates.code_parts import code_parts, library_name
from skbert_filter.validation import LIST_METHODS

# A part, and the step that leads to it in messages, such as ".coef_" or "[0]".
_Part = tuple[str, Any]
# A label, bytes and parts: what a value is made of.
_Apart = tuple[str, Sequence[Any], Sequence[_Part]]
_Trace = list[tuple[str, bytes]]

_VERSION = "fingerprint 2"
_REMEDY = (
    'Pass fingerprint="v1" to DedupPredictor, and change it to "v2" and so on whenever '
    "the model changes "
    '(docs: scikit_learn, "How do I predict each text once, and remember it?").'
)
# Their repr says all.
_ATOMS = {int, float, bool, complex, Decimal, date, timedelta}
_ATOMS |= {type(None), type(...), type(NotImplemented)}
_DATES = {datetime, time, pd.Timestamp}
# What an object keeps besides what its answers depend on: the address of the stop words,
# what concerns fitting or arguments besides X, and what is found out on first use.
_NOISE = (
    (
        BaseEstimator,
        {
            *("_stop_words_id", "_metadata_request", "_skl_callbacks"),
            *("_skl_callbacks_to_teardown", "_callback_fit_ctx", "_parent_callback_ctx"),
        },
    ),
    (spmatrix | sparray, {"_has_sorted_indices", "_has_canonical_format", "has_canonical_format"}),
    (Bunch, {"_deprecated_key_to_warnings"}),
)
_COUNTING = ("sklearn.neighbors._kd_tree", "sklearn.neighbors._ball_tree")


def fingerprint(estimator: Any) -> str:
    """Return a hash of all that an estimator's answers depend on, as 32 hexadecimal digits.

    Counted are classes, parameters and learnt attributes to the last bit, as they are pickled. Code
    of libraries counts by name and version, that of users by its instructions and all that it
    names. An object with `fingerprint_` counts by its class and that str. Not seen are a function
    of a library that was replaced at run time, modules that are imported by a computed name, files
    that are read while predicting, settings, and the versions of libraries that a library uses.
    """
    return _Walk("estimator").root(estimator).hex()


def check_fingerprint(estimator: Any) -> None:
    """Refuse an estimator whose fingerprint does not survive pickling, naming the attribute."""
    before: _Trace = []
    after: _Trace = []
    digest = _Walk("estimator", trace=before).root(estimator)
    if _Walk("estimator", trace=after).root(_copied(estimator)) != digest:
        path = next(p for (p, d), (_, again) in zip(before, after, strict=False) if d != again)
        raise TypeError(
            f"{path} changes when it is pickled, so no result could be found again. {_REMEDY}"
        )


def check_unchanged(estimator: Any, found: str, method: str) -> None:
    """Refuse results of an estimator that no longer has the fingerprint that it had."""
    try:
        if fingerprint(estimator) == found:
            return
    except Exception:  # any may come: another thread has done half of something
        pass
    frozen = isinstance(estimator, FrozenEstimator)
    raise RuntimeError(
        f"{type(estimator.estimator if frozen else estimator).__name__} changed while it computed "
        f"{method}, so that nobody knows which model these results are of. Those of finished "
        "chunks are stored. If another thread fits or changes it, wait for that, or wrap a copy of "
        'it; if it changes by predicting, pass fingerprint="v1", and change that whenever the '
        "model changes."
    )


def content_digest(value: Any) -> bytes:
    """Return 16 bytes for a cell of a table, the same in every process for equal cells of a type.

    NaN counts as equal to NaN, and -0.0 to 0.0; 1, 1.0 and True differ.
    """
    if type(value) in (float, complex) or isinstance(value, np.inexact):
        value = value + 0.0 if value == value else type(value)("nan")
    elif type(value) in _DATES:
        return _hash(type(value).__name__, f"{value.isoformat()} {value.tzinfo}".encode())
    return _Walk("value", "A store takes plain values; pass store=None.").digest(value)


def _copied(estimator: Any) -> Any:
    for copied in (lambda: pickle.loads(pickle.dumps(estimator)), lambda: copy.deepcopy(estimator)):
        with suppress(Exception):  # any may come: this calls code of users
            return copied()
    # It vouches for itself by `fingerprint_`, or cannot be pickled for its own reasons.
    return estimator


class _Walk:
    """One pass over an object and all that it holds, each object once."""

    def __init__(self, name: str, remedy: str = _REMEDY, trace: _Trace | None = None) -> None:
        self._path = [name]
        self._remedy = remedy
        self._trace = trace
        # By identity: the object, which has to stay alive; its digest, once known;
        # its number, if it contains itself.
        self._seen: dict[int, list[Any]] = {}
        self._n_cycles = 0

    def root(self, value: Any) -> bytes:
        try:
            return _hash(_VERSION, self.digest(value))
        except RecursionError:
            path = "".join(self._path[:8])
            raise TypeError(
                f"{path}... is nested too deeply to be hashed. {self._remedy}"
            ) from None

    def digest(self, value: Any, step: str = "") -> bytes:
        if type(value) is FrozenEstimator:
            return self.digest(value.estimator, f"{step}.estimator")
        self._path.append(step)
        digest = _atom(value) or self._once(value)
        if self._trace is not None:
            self._trace.append(("".join(self._path), digest))
        self._path.pop()
        return digest

    def _once(self, value: Any) -> bytes:
        seen = self._seen.get(id(value))
        if seen is None:
            seen = self._seen[id(value)] = [value, None, None]
            label, contents, parts = self._taken_apart(value)
            digest = _hash(label, *contents, *[self.digest(part, step) for step, part in parts])
            seen[1] = digest if seen[2] is None else _hash(f"cycle {seen[2]}", digest)
        elif seen[1] is None:
            if seen[2] is None:
                seen[2] = self._n_cycles = self._n_cycles + 1
            return _hash(f"in cycle {seen[2]}")
        return seen[1]

    def _taken_apart(self, value: Any) -> _Apart:
        kind = type(value)
        if kind is bytes:
            return "bytes", [value], []
        if kind in (list, tuple):
            return _items(kind.__name__, value, range(len(value)))
        if kind in (dict, MappingProxyType):
            label, contents, parts = _items(kind.__name__, value.values(), value)
            return label, contents, [("", list(value)), *parts]
        if kind in (set, frozenset):
            return kind.__name__, sorted(self.digest(item, "{...}") for item in value), []

        # joblib's workers are given large arrays as memory maps.
        if kind in (np.ndarray, np.memmap):
            return _cells(value)
        if isinstance(value, np.generic) and kind.__module__ == "numpy":
            return "scalar", [], [("", np.asarray(value))]

        if (code := code_parts(value)) is not None:
            return code[0], [], _attributes(code[1])
        if (table := _table_parts(value)) is not None:
            return "table", [], [("", kind), ("", table)]

        # An inherited property knows nothing of parameters that a subclass adds.
        if "fingerprint_" in vars(kind) or "fingerprint_" in getattr(value, "__dict__", ()):
            own = getattr(value, "fingerprint_", None)
            if isinstance(own, str):
                return "own", [], [(".__class__", kind), ("", own)]
        return self._pickled(value)

    def _pickled(self, value: Any) -> _Apart:
        """Return what a pickle of an object holds."""
        reduce = copyreg.dispatch_table.get(type(value))
        try:
            reduced: Any = reduce(value) if reduce else value.__reduce_ex__(4)
        except Exception as error:  # any may come: this is code of users
            self._refuse(value, error)

        if isinstance(reduced, str):
            if name := library_name(value, reduced):
                return name, [], []
            if library_name(type(value)) or not hasattr(value, "__dict__"):
                # A ufunc made of a user's function, say, which it does not show.
                self._refuse(value)
            shown = {"__class__": type(value), "__dict__": vars(value)}
            return "named", [], _attributes(shown)

        function, arguments, state, items, pairs, setter = (*reduced, *[None] * 4)[:6]
        if any(isinstance(argument, io.IOBase) for argument in arguments):
            # A Keras model saves itself, with the time.
            self._refuse(value)
        if type(value).__module__ in _COUNTING:
            # They count how often they were asked, and how many nodes that took.
            counts = (*value.get_tree_stats(), value.get_n_calls())
            state = state[:7] + state[11:] if state[7:11] == counts else state
        parts = [
            *(("", function), ("", arguments), ("", setter)),
            ("", None if items is None else list(items)),
            ("", None if pairs is None else dict(pairs)),
        ]

        noise = next((names for kind, names in _NOISE if isinstance(value, kind)), ())
        # With slots, there are two dicts.
        for half in state if isinstance(state, tuple) and len(state) == 2 else (state,):
            if type(half) is dict and set(map(type, half)) <= {str}:
                kept = {name: half[name] for name in half if name not in noise}
                # An object without attributes has None for a state, or an empty dict.
                parts += _attributes(kept) if kept else [("", None)]
            else:
                parts.append(("", half))
        return "object", [], parts

    def _refuse(self, value: Any, error: Exception | None = None) -> NoReturn:
        kind = f"{type(value).__module__}.{type(value).__qualname__}"
        reason = f" ({error})" if error else ""
        raise TypeError(
            f"{''.join(self._path)} is of type {kind}, which cannot be hashed alike in "
            f"every process{reason}. {self._remedy}"
        ) from error


def _hash(label: str, *contents: Any) -> bytes:
    digest = blake2b(label.encode("utf-8", "surrogatepass") + b"\0", digest_size=16)
    for content in contents:
        digest.update(content)
    return digest.digest()


def _atom(value: Any) -> bytes | None:
    kind = type(value)
    if kind is str:
        return _hash("str", value.encode("utf-8", "surrogatepass"))
    if kind is int:
        # in hexadecimal: Python refuses to write long numbers in decimal
        return _hash("int", f"{value:x}".encode())
    return _hash(kind.__name__, repr(value).encode()) if kind in _ATOMS else None


def _items(label: str, values: Collection[Any], steps: Iterable[Any]) -> _Apart:
    packed = _packed(values)
    if packed is not None:
        return f"{label} of {len(values)}", packed, []
    return label, [], [(f"[{step!r}]", value) for step, value in zip(steps, values, strict=True)]


def _packed(values: Collection[Any]) -> list[bytes] | None:
    """Return strings, or numbers, of one type as a few buffers; None for anything else."""
    kinds = set(map(type, values))
    if len(kinds) != 1:
        return None
    [kind] = kinds
    if kind is str:
        text = "".join(values).encode("utf-8", "surrogatepass")
        return [b"str ", np.fromiter(map(len, values), np.int64, len(values)).tobytes(), text]
    if kind in (int, float) or (issubclass(kind, np.number) and np.dtype(kind).char not in "gGm"):
        try:
            numbers = np.fromiter(values, np.int64 if kind is int else kind, len(values))
        except OverflowError:
            return None
        return [f"{kind.__name__} ".encode(), numbers.tobytes()]
    return None


def _attributes(attributes: Mapping[str, Any]) -> list[_Part]:
    names = sorted(attributes)
    return [("", names), *((f".{name}", attributes[name]) for name in names)]


def _cells(array: np.ndarray) -> _Apart:
    # Some pickles of NumPy change to the byte order of the machine.
    if not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    dtype = array.dtype
    label = f"array {dtype.str} {dtype.name if dtype.kind == 'V' else ''} {array.shape}"

    if dtype.names is not None:
        # Between and after the fields lies padding, of any content.
        label = f"array {dtype.names} {array.shape}"
        return label, [], [(f"[{name!r}]", array[name]) for name in dtype.names]

    if dtype.hasobject or dtype.kind == "T":
        return label, [], [("", array.ravel().tolist())]
    if dtype.char in "gG":
        # Padded, too.
        return label, [], [("", list(map(repr, array.ravel())))]

    flat = np.ascontiguousarray(array).reshape(-1)
    return label, [flat.view(np.uint8)] if flat.nbytes else [], []


def _table_parts(value: Any) -> list[Any] | None:
    """Return what a masked array, column or table shows, None for anything else.

    Their pickles depend on chunks, blocks and what was asked before.
    """
    if isinstance(value, np.ma.MaskedArray):
        return [np.ma.getdata(value), np.ma.getmaskarray(value), value.fill_value]

    if isinstance(value, pd.DataFrame):
        columns = [value.iloc[:, i].array for i in range(value.shape[1])]
        return [value.columns, value.index, columns, value.attrs]
    if isinstance(value, pd.Series):
        return [value.name, value.index, value.array, value.attrs]
    if isinstance(value, pd.Index):
        contents = list(value) if isinstance(value, pd.MultiIndex) else value.array
        return [list(value.names), str(value.dtype), contents]
    if isinstance(value, pd.Categorical):
        return [value.categories, value.ordered, value.codes]
    if isinstance(value, pd.api.extensions.ExtensionArray):
        is_numpy = isinstance(value, pd.arrays.NumpyExtensionArray)
        return [value.to_numpy()] if is_numpy else [str(value.dtype), value.tolist()]

    if type(value).__module__.partition(".")[0] not in ("polars", "pyarrow"):
        return None
    for method in ("iter_columns", "itercolumns"):
        if hasattr(value, method):
            names = getattr(value, "column_names", None) or value.columns
            return [list(names), list(getattr(value, method)())]
    for method in LIST_METHODS:
        if hasattr(value, method):
            dtype = str(value.dtype if hasattr(value, "dtype") else value.type)
            return [getattr(value, "name", None), dtype, getattr(value, method)()]
    return None
