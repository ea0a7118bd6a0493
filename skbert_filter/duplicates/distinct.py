"""The engine that computes each distinct input once, and what a classifier decides about texts.

`DedupPredictor`, corpus jobs and Dask workers all compute with `compute_missing`; they differ in
where results are kept. Knows nothing of files, or of where a classifier comes from.
"""

import errno
import sqlite3
import weakref
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from itertools import count, repeat
from numbers import Real
from threading import Lock
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline
from sklearn.utils import check_scalar
from sklearn.utils.validation import _num_samples, check_is_fitted

from skbert_filter.duplicates.keys import bytes_of_rows, stable_hashes
from skbert_filter.duplicates.results import has_outputs
from skbert_filter.io.atomic import DiskFullError
from skbert_filter.validation import useful_label

Nulls = Literal["error", "discard", "keep"]

# What is decided about a text: the number of a class, and the probability of the label to keep.
DECISION = np.dtype([("label", "<i4"), ("probability", "<f8")])
# With the place of a text in first-seen order, by which its bytes sort, and the rows that have it.
RECORD = np.dtype([("number", ">i8"), ("decision", DECISION), ("rows", "<i8")])
# Enough for batches of texts of like length, little enough for a lively progress bar.
_CHUNK_TEXTS = 1 << 13
# A longer text is remembered by its hash, so that an entry of any text takes little memory.
_LONGEST_KEY = 128
# Of which 250 MB or so are in memory: a small part of what a job needs without them.
_MOST_TEXTS = 1 << 20
_CACHE_KIB = 65_536
# Older builds of SQLite take 999 variables in a statement.
_KEYS_IN_A_QUERY = 900


def compute_missing(
    compute: Callable[[np.ndarray], Any], missing: np.ndarray, chunk_size: int, method: str
) -> Iterator[tuple[np.ndarray, Any]]:
    """Compute the distinct inputs that are missing, and give each chunk before the next begins.

    Whoever keeps a chunk when it comes loses one at most.
    """
    for start in range(0, len(missing), chunk_size):
        chunk = missing[start : start + chunk_size]
        results = compute(chunk)
        for output in results if has_outputs(results, method) else [results]:
            if _num_samples(output) != len(chunk):
                raise ValueError(
                    f"{method} of the estimator returned {_num_samples(output)} rows for "
                    f"{len(chunk)} distinct inputs. It must return one result for each input."
                )
        yield chunk, results


class TextMemory:
    """What was decided for each distinct text, how many rows have it, and its number.

    In memory are the last million or so. Before there are more, all move to a temporary database,
    from which they come back when they are met again: memory is bounded, and nothing is computed
    twice. Threads may share one; two that meet a new text at once may both ask the model about it.
    A copy in another process remembers nothing.
    """

    def __init__(self, decide: Callable[[list[str]], np.ndarray]) -> None:
        self._decide = decide
        self._places: dict[str | bytes, int] = {}
        self._records = bytearray()
        self._n_texts = 0
        self._disk: sqlite3.Connection | None = None
        self._lock = Lock()

    def __reduce__(self) -> tuple:
        return type(self), (self._decide,)

    def __len__(self) -> int:
        return self._n_texts

    def __call__(self, texts: list[str]) -> np.ndarray:
        """Return the decisions for some distinct texts."""
        return self.look_up(texts)["decision"]

    def look_up(
        self,
        texts: list[str],
        rows: np.ndarray | int = 0,
        advance: Callable[[float], None] = lambda share: None,
    ) -> np.ndarray:
        """Return a `RECORD` for each of some distinct texts, once those that are new are decided.

        `rows` are added to those that have it, and `advance` is called with the share that is done.
        """
        with self._lock:
            if self._places and len(self._places) + len(texts) > _MOST_TEXTS:
                self._move_to_disk()
            # What another thread moves is new there, and stays here.
            places, records = self._places, self._records

        def remember(keys: list[str | bytes], new: np.ndarray) -> None:
            places.update(zip(keys, count(len(places))))
            records.extend(new.tobytes())

        keys = [text if len(text) <= _LONGEST_KEY else stable_hashes([text])[0] for text in texts]
        found = np.fromiter(map(places.get, keys, repeat(-1)), np.intp, len(keys))
        missing = np.flatnonzero(found < 0)
        if self._disk is not None and len(missing):
            with self._lock:
                # another thread may have been faster
                remember(*_recalled(self._disk, [k for k in keys if k not in places]))
            missing = missing[[keys[i] not in places for i in missing]]

        def compute(chunk: np.ndarray) -> np.ndarray:
            return self._decide([texts[i] for i in chunk])

        n_done = 0
        for chunk, decisions in compute_missing(compute, missing, _CHUNK_TEXTS, "predict"):
            with self._lock:
                is_new = np.array([keys[i] not in places for i in chunk])
                new = np.zeros(int(is_new.sum()), RECORD)
                new["number"] = np.arange(len(new)) + self._n_texts
                new["decision"] = decisions[is_new]
                remember([keys[i] for i in chunk[is_new]], new)
                self._n_texts += len(new)
            n_done += len(chunk)
            advance(n_done / len(missing))
        if not n_done:
            advance(1.0)

        unknown = np.flatnonzero(found < 0)
        found[unknown] = [places[keys[i]] for i in unknown]
        with self._lock:
            np.frombuffer(records, RECORD)["rows"][found] += rows
            return np.frombuffer(records, RECORD)[found]

    def in_order(self) -> Iterator[bytes]:
        """Give the `RECORD` of each distinct text, in first-seen order."""
        if self._disk is None:
            yield from bytes_of_rows(np.frombuffer(self._records, RECORD)[:, np.newaxis])
            return
        with _room_named():
            query = "SELECT record FROM texts ORDER BY record"
            yield from (record for (record,) in self._move_to_disk().execute(query))

    def _move_to_disk(self) -> sqlite3.Connection:
        """Write all that is in memory to the database, in which a text may be already."""
        with _room_named():
            if self._disk is None:
                self._disk = _open_database()
                weakref.finalize(self, self._disk.close)
            hashes, records = _hashes(self._places), np.frombuffer(self._records, RECORD)
            # In order, so that each page of the table is read and written once.
            order = np.argsort(np.frombuffer(b"".join(hashes), ">u8")[::2])
            self._disk.execute("BEGIN")
            for some in np.array_split(order, len(order) // _CHUNK_TEXTS + 1):
                values = zip(
                    [hashes[i] for i in some], bytes_of_rows(records[some, np.newaxis]), strict=True
                )
                self._disk.executemany("INSERT OR REPLACE INTO texts VALUES (?, ?)", values)
            self._disk.execute("COMMIT")
        self._places, self._records = {}, bytearray()
        return self._disk


def _open_database() -> sqlite3.Connection:
    # An empty name is a file without one, of which a kill leaves nothing.
    database = sqlite3.connect("", isolation_level=None, check_same_thread=False)
    database.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
    database.execute("PRAGMA journal_mode = OFF")
    database.execute(
        "CREATE TABLE texts (hash BLOB PRIMARY KEY, record BLOB NOT NULL) WITHOUT ROWID"
    )
    return database


def _recalled(
    disk: sqlite3.Connection, keys: list[str | bytes]
) -> tuple[list[str | bytes], np.ndarray]:
    """Return those of some texts that the database has, and their records."""
    by_hash = dict(zip(_hashes(keys), keys, strict=True))
    hashes = sorted(by_hash)
    found: list[tuple[bytes, bytes]] = []
    with _room_named():
        for start in range(0, len(hashes), _KEYS_IN_A_QUERY):
            some = hashes[start : start + _KEYS_IN_A_QUERY]
            marks = ",".join("?" * len(some))
            query = f"SELECT hash, record FROM texts WHERE hash IN ({marks})"
            found += disk.execute(query, some)
    records = b"".join(record for _, record in found)
    return [by_hash[key] for key, _ in found], np.frombuffer(records, RECORD)


def _hashes(keys: Collection[str | bytes]) -> list[bytes]:
    hashes = iter(stable_hashes([key for key in keys if isinstance(key, str)]))
    return [key if isinstance(key, bytes) else next(hashes) for key in keys]


@contextmanager
def _room_named() -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as error:
        raise DiskFullError(
            errno.ENOSPC,
            f"Distinct texts that are too many for memory cannot be kept on disk: {error}. Set the "
            "environment variable SQLITE_TMPDIR to a folder with room for 60 bytes each.",
        ) from error


class Decider:
    """What a fitted classifier decides about texts.

    Texts whose probability of `keep` is `threshold` or more get that label; without a threshold
    `predict` says. Probabilities that nobody needs are NaN.
    """

    def __init__(
        self, model: Any, keep: Any, threshold: float | None, *, with_probabilities: bool
    ) -> None:
        has_probabilities = hasattr(model, "predict_proba")
        if threshold is not None and not has_probabilities:
            raise ValueError(
                f"{type(model).__name__} has no predict_proba to compare the threshold with. "
                "Omit the threshold, or pass CalibratedClassifierCV(FrozenEstimator(model)), "
                "fitted."
            )
        self.model = model
        self.classes = np.asarray(model.classes_).tolist()
        self.keep = _find_label(self.classes, keep)
        self.keep_number = self.classes.index(self.keep)
        self.threshold = threshold
        self.with_probabilities = with_probabilities
        self._predicts_only = threshold is None and not (with_probabilities and has_probabilities)

    def __call__(self, texts: list[str]) -> np.ndarray:
        """Return an array of `DECISION`."""
        if self._predicts_only:
            labels = self._predicted(texts)
            probability = np.full(len(labels), np.nan)
        else:
            proba = np.array(self.model.predict_proba(texts), dtype=np.float64)
            probability = proba[:, self.keep_number].copy()
            if np.isnan(probability).any():
                text = texts[int(np.isnan(probability).argmax())]
                raise ValueError(f"The model gives the probability NaN to {text[:80]!r}. Fix it.")

            if self.threshold is not None:
                proba[:, self.keep_number] = np.where(probability >= self.threshold, 2, -1)
            if self.threshold is not None or predicts_most_probable_class(self.model):
                labels = proba.argmax(axis=1)
            else:
                labels = self._predicted(texts)

        decisions = np.empty(len(labels), DECISION)
        decisions["label"], decisions["probability"] = labels, probability
        return decisions

    def _predicted(self, texts: list[str]) -> np.ndarray:
        predicted = np.asarray(self.model.predict(texts))
        numbers = pd.Index(self.classes).get_indexer(predicted.tolist())
        if (numbers < 0).any():
            wrong = predicted[numbers < 0][0]
            raise ValueError(f"The model predicts {wrong!r}, which is none of its classes_.")
        return numbers


def check_classifier(model: Any, name: str) -> Any:
    """Return a model, if it is a fitted classifier of one label."""
    check_is_fitted(model)
    classes: Any = getattr(model, "classes_", None)
    if np.ndim(classes) != 1 or not hasattr(model, "predict"):
        raise ValueError(
            f"{name} is not a fitted classifier of one label: it lacks predict or a list of "
            "classes_. Pass a fitted classifier."
        )
    return model


def check_options(
    threshold: float | None, columns: Sequence[str] | None, nulls: str
) -> tuple[str, str] | None:
    """Check what is to be done with decisions, and return the names of the columns to add."""
    if nulls not in get_args(Nulls):
        raise ValueError(f"nulls is {nulls!r}. It must be 'error', 'discard' or 'keep'.")
    if threshold is not None:
        check_scalar(threshold, "threshold", Real, min_val=0, max_val=1)
    if columns is None:
        return None
    if isinstance(columns, str) or len(columns) != 2 or columns[0] == columns[1]:
        raise ValueError(
            f"columns is {columns!r}. Give two names, for the label and its probability, as in "
            '("label", "probability").'
        )
    return columns[0], columns[1]


def label_to_keep(model: Any) -> Any:
    """Return the label of useful texts: what training was told, or the one of a usual name."""
    keep = getattr(model, "training_record_", {}).get("keep")
    keep = useful_label(np.asarray(model.classes_).tolist()) if keep is None else keep
    if keep is None:
        known = np.asarray(model.classes_)[:10].tolist()
        raise ValueError(
            f"The model knows {known}, none of which has a usual name of useful texts. Pass the "
            "one to keep as keep= (--keep)."
        )
    return keep


def _find_label(classes: list[Any], keep: Any) -> Any:
    """Return the class that is `keep`, or has it as its text form."""
    same = [label for label in classes if label == keep]
    same_in_text = [label for label in classes if str(label) == str(keep)]
    if not same + same_in_text:
        raise ValueError(
            f"keep={keep!r} is not a label of the model, which knows {classes[:10]}. "
            "Choose one of them."
        )
    return (same + same_in_text)[0]


def predicts_most_probable_class(estimator: Any) -> bool:
    """Whether `predict` is known to be the argmax of `predict_proba`, so that one serves both.

    A class says so by ``predicts_most_probable_class = True``, also for its subclasses that
    override neither method.
    """
    estimator = last_step(estimator)
    for kind in type(estimator).__mro__:
        if "predicts_most_probable_class" in vars(kind):
            return estimator.predicts_most_probable_class
        if not {"predict", "predict_proba"}.isdisjoint(vars(kind)):
            break
    return False


def last_step(estimator: BaseEstimator) -> Any:
    """Return what predicts, within pipelines and frozen estimators."""
    while isinstance(estimator, FrozenEstimator | Pipeline):
        frozen = isinstance(estimator, FrozenEstimator)
        estimator = estimator.estimator if frozen else estimator[-1]
    return estimator
