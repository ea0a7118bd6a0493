"""Fingerprints of estimators: equal as long as an estimator gives the same answers.

A fingerprint is a hash of an object that is computed from the hashes of its parts:

1. Plain values (numbers, strings, None) are hashed as bytes.
2. A list, tuple, dict or set is hashed as its type and items, those of a set in sorted order.
3. An array is hashed as its dtype, shape and cells, a table as its columns.
4. A function, class or module is hashed as its code, if it is the user's, or as its name and the
   version of its library (`code_parts`).
5. Any other object is hashed as what its pickle would contain: in general its class and attributes.
   Attributes that change without a change of the answers are left out.

A fingerprint stays the same after predicting, after pickling, and in another process; equal parts
may be one object or several. An object without such a hash, such as a lock, an open file or a Keras
model, is rejected, and the message contains its path. Knows nothing of texts or models.
"""

import copy
import copyreg
import io
import marshal
from collections.abc import Collection, Iterable, Mapping
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
from skbert_filter.duplicates.rows import cells_of, columns_of, dtype_name

# Increase it whenever the same estimator gets another fingerprint.
_VERSION = "fingerprint 3"
_REMEDY = (
    'Pass fingerprint="v1" to DedupPredictor, and change it to "v2" and so on whenever '
    "the model changes "
    '(docs: scikit_learn, "How do I predict each text once, and remember it?").'
)
_PLAIN = {type(None), type(...), bool, int, float, complex, str}
# Hashed by their repr, which is complete, and several times faster than a pickle.
_SHOWN_BY_REPR = {date, timedelta, Decimal, type(NotImplemented)}
_NUMBERS = {np.dtype(char).type for char in "?" + np.typecodes["AllInteger"] + "efdgFDG"}
# Attributes without an effect on the answers: the address of the stop words, what concerns fitting
# or arguments other than X, and what is computed on first use.
_IGNORED = (
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


def fingerprint(estimator: Any) -> str:
    """Return a hash of everything that an estimator's answers depend on, as 32 hexadecimal digits.

    It covers classes, parameters and learnt attributes to the last bit, as they are pickled.
    Library code counts by name and version, the user's code by its instructions and all that it
    refers to. An object with a `fingerprint_` counts by its class and that str. Not covered are
    library functions that were replaced at run time, modules that are imported by a computed name,
    files that are read while predicting, settings, and the dependencies of libraries.
    """
    return _Hasher("estimator").root(estimator).hex()


def check_fingerprint(estimator: Any) -> None:
    """Reject an estimator whose copies have another fingerprint, and name the attribute."""
    try:
        copied = copy.deepcopy(estimator)
    except Exception:
        # It has a `fingerprint_`, or cannot be copied for a reason that does not concern us.
        return

    original, again = _Hasher("estimator"), _Hasher("estimator")
    if original.root(estimator) != again.root(copied):
        changed = dict(original.digests.items() - again.digests.items())
        innermost = max(sorted(changed), key=len)
        raise TypeError(
            f"{innermost} changes when it is copied, so results could not be found again. {_REMEDY}"
        )


def check_unchanged(estimator: Any, expected: str, method: str) -> None:
    """Reject results of an estimator that no longer has the expected fingerprint."""
    # Any error: another thread may be in the middle of a change.
    with suppress(Exception):
        if fingerprint(estimator) == expected:
            return

    is_frozen = isinstance(estimator, FrozenEstimator)
    raise RuntimeError(
        f"{type(estimator.estimator if is_frozen else estimator).__name__} changed while it "
        f"computed {method}, so it is unknown which model these results belong to. Results of "
        "finished chunks are stored. If another thread fits or changes it, wait for that thread "
        'or wrap a copy; if it changes by predicting, pass fingerprint="v1", and change that '
        "whenever the model changes."
    )


def content_digest(value: Any) -> bytes:
    """Return 16 bytes for a cell of a table, the same in every process for equal cells of a type.

    NaN counts as equal to NaN, and -0.0 to 0.0; 1, 1.0 and True differ.
    """
    if type(value) in (float, complex) or isinstance(value, np.inexact):
        value = value + 0.0 if value == value else type(value)("nan")
    elif type(value) in (datetime, time, pd.Timestamp):
        return _hash(type(value).__name__, f"{value.isoformat()} {value.tzinfo}".encode())
    return _Hasher("value", "A store takes plain values; pass store=None.").digest(value)


class _Hasher:
    """One pass over an object and everything in it, which hashes each object once."""

    def __init__(self, name: str, remedy: str = _REMEDY) -> None:
        # By path, such as "estimator.steps[0]".
        self.digests: dict[str, bytes] = {}
        self._path = [name]
        self._remedy = remedy
        # By id: the object, kept alive so that nothing else gets its id, and its digest,
        # which is None while its parts are being hashed.
        self._seen: dict[int, tuple[Any, bytes | None]] = {}
        # By id: the number of an object that contains itself.
        self._cycles: dict[int, int] = {}

    def root(self, value: Any) -> bytes:
        try:
            return _hash(_VERSION, self.digest(value))
        except RecursionError:
            path = "".join(self._path[:8])
            raise TypeError(
                f"{path}... is nested too deeply to be hashed. {self._remedy}"
            ) from None

    def digest(self, value: Any, step: str = "") -> bytes:
        """Hash a value. The step, such as ".coef_" or "[0]", leads to it from what contains it."""
        self._path.append(step)
        address = id(value)
        if type(value) in _PLAIN:
            digest = _hash("plain", _plain_bytes(value))
        elif address not in self._seen:
            self._seen[address] = value, None
            digest = self._digest_of_parts(value)
            if address in self._cycles:
                digest = _hash(f"cycle {self._cycles[address]}", digest)
            self._seen[address] = value, digest
        elif (known := self._seen[address][1]) is not None:
            digest = known
        else:
            number = self._cycles.setdefault(address, len(self._cycles))
            digest = _hash(f"in cycle {number}")

        self.digests["".join(self._path)] = digest
        self._path.pop()
        return digest

    def _digest_of_parts(self, value: Any) -> bytes:
        kind = type(value)
        if kind is bytes:
            # Not by marshal, which has a limit of 2 GB.
            return _hash("bytes", value)
        if kind in _SHOWN_BY_REPR:
            return _hash(kind.__name__, repr(value).encode())
        if kind is FrozenEstimator:
            return self.digest(value.estimator, ".estimator")
        if kind in (list, tuple):
            return self._items(kind.__name__, value, range(len(value)))
        if kind in (dict, MappingProxyType):
            keys, values = list(value), value.values()
            return _hash(kind.__name__, self.digest(keys), self._items("values", values, keys))
        if kind in (set, frozenset):
            return _hash(kind.__name__, *sorted(self.digest(item, "{...}") for item in value))

        # joblib's workers get large arrays as memory maps.
        if kind in (np.ndarray, np.memmap):
            return self._array(value)
        if isinstance(value, np.generic) and kind.__module__ == "numpy":
            return _hash("scalar", self._array(np.asarray(value)))

        if (code := code_parts(value)) is not None:
            label, parts = code
            return _hash(label, *map(self.digest, *_attributes(parts)))
        if (columns := _table_parts(value)) is not None:
            return _hash("table", self.digest(kind, ".__class__"), self.digest(columns))

        # Not if it is inherited, by a subclass whose further parameters it does not cover.
        if "fingerprint_" in vars(kind) or "fingerprint_" in getattr(value, "__dict__", ()):
            own = getattr(value, "fingerprint_", None)
            if isinstance(own, str):
                return _hash("own", self.digest(kind, ".__class__"), self.digest(own))
        return self._pickled(value)

    def _items(self, label: str, values: Collection[Any], steps: Iterable[Any]) -> bytes:
        # A vocabulary is hashed at once: one digest for each word would take seconds.
        kinds = set(map(type, values))
        if len(kinds) <= 1 and kinds <= _PLAIN:
            return _hash(f"plain {label}", _plain_bytes(list(values)))
        if len(kinds) == 1 and kinds <= _NUMBERS:
            return _hash(f"numbers {label}", self._array(np.array(list(values))))

        # By map: each frame of Python's stack limits how deep objects may be nested.
        return _hash(label, *map(self.digest, values, [f"[{step!r}]" for step in steps]))

    def _array(self, array: np.ndarray) -> bytes:
        # Pickling may change the byte order to that of the machine.
        if not array.dtype.isnative:
            array = array.astype(array.dtype.newbyteorder("="))
        dtype = array.dtype
        label = f"array {dtype.str} {dtype.name if dtype.kind == 'V' else ''} {array.shape}"

        # The bytes of these contain addresses, or padding, which may be anything.
        if dtype.names is not None:
            fields = [self.digest(array[name], f"[{name!r}]") for name in dtype.names]
            return _hash(f"array {dtype.names} {array.shape}", *fields)
        if dtype.hasobject or dtype.kind == "T":
            return _hash(label, self.digest(array.ravel().tolist()))
        if dtype.char in "gG":
            return _hash(label, self.digest(list(map(repr, array.ravel()))))

        flat = np.ascontiguousarray(array).reshape(-1)
        return _hash(label, flat.view(np.uint8) if flat.nbytes else b"")

    def _pickled(self, value: Any) -> bytes:
        """Hash what a pickle of an object contains."""
        reduce = copyreg.dispatch_table.get(type(value))
        try:
            reduced: Any = reduce(value) if reduce else value.__reduce_ex__(4)
        except Exception as error:  # of any type: this is the user's code
            self._reject(value, error)
        if isinstance(reduced, str):
            return self._global(value, reduced)

        function, arguments, state, items, pairs, setter = (*reduced, *[None] * 4)[:6]
        if any(isinstance(argument, io.IOBase) for argument in arguments):
            # A Keras model is pickled as a file that contains the time.
            self._reject(value)
        if isinstance(value, set | frozenset) and arguments == (list(value),):
            # Subclasses of a set: the order of the list depends on the process.
            arguments = frozenset(arguments[0])
        # Items of a list and pairs of a dict are iterators, or None.
        parts = (function, arguments, setter, items and list(items), pairs and dict(pairs))
        digests = list(map(self.digest, parts))

        state = _without_counts(value, state)
        # The state of an object with slots is a tuple of two dicts.
        dicts = state if isinstance(state, tuple) and len(state) == 2 else (state,)
        ignored = next((names for kind, names in _IGNORED if isinstance(value, kind)), ())
        for part in dicts:
            if type(part) is dict and set(map(type, part)) <= {str}:
                # The state of an object without attributes is None or an empty dict.
                kept = {name: part[name] for name in part if name not in ignored}
                digests += map(self.digest, *_attributes(kept)) if kept else [self.digest(None)]
            else:
                digests.append(self.digest(part))
        return _hash("object", *digests)

    def _global(self, value: Any, name: str) -> bytes:
        """Hash an object that is pickled as the name of a global variable."""
        if label := library_name(value, name):
            return _hash(label)
        if library_name(type(value)) or not hasattr(value, "__dict__"):
            # For example a ufunc that was made from a user's function, which it does not show.
            self._reject(value)
        parts = {"__class__": type(value), "__dict__": vars(value)}
        return _hash("global", *map(self.digest, *_attributes(parts)))

    def _reject(self, value: Any, error: Exception | None = None) -> NoReturn:
        kind = f"{type(value).__module__}.{type(value).__qualname__}"
        reason = f" ({error})" if error else ""
        raise TypeError(
            f"{''.join(self._path)} is of type {kind}, which has no hash that is the same in "
            f"every process{reason}. {self._remedy}"
        ) from error


def _hash(label: str, *contents: Any) -> bytes:
    digest = blake2b(label.encode("utf-8", "surrogatepass") + b"\0", digest_size=16)
    for content in contents:
        digest.update(content)
    return digest.digest()


def _plain_bytes(value: Any) -> bytes:
    # In version 2 equal values have equal bytes: later ones depend on identity and interning.
    return marshal.dumps(value, 2)


def _attributes(attributes: Mapping[str, Any]) -> tuple[list[Any], list[str]]:
    """Return the names and values to be hashed, and the step to each."""
    names = sorted(attributes)
    return [names, *[attributes[name] for name in names]], ["", *[f".{name}" for name in names]]


def _without_counts(value: Any, state: Any) -> Any:
    """Leave out how often one of scikit-learn's trees was queried, and how many nodes that took."""
    if type(value).__module__ in ("sklearn.neighbors._kd_tree", "sklearn.neighbors._ball_tree"):
        counts = (*value.get_tree_stats(), value.get_n_calls())
        if state[7:11] == counts:
            return state[:7] + state[11:]
    return state


def _table_parts(value: Any) -> list[Any] | None:
    """Return the contents of a masked array, column or table, None for anything else.

    Their pickles depend on chunks, blocks and caches.
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
    if (table := columns_of(value)) is not None:
        names = getattr(value, "column_names", None) or value.columns
        return [list(names), table]
    if (cells := cells_of(value)) is not None:
        return [getattr(value, "name", None), dtype_name(value), cells]
    return None
