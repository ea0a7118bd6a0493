"""Computing each distinct input once, and deciding on texts with a classifier.

`DedupPredictor`, corpus jobs and Dask workers all compute with `compute_missing`; they differ in
where they keep the results. Knows nothing of files, or of where a classifier comes from.
"""

import errno
import sqlite3
import weakref
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain, count
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
from skbert_filter.duplicates.stores import select_by_key
from skbert_filter.io.atomic import DiskFullError
from skbert_filter.validation import useful_label

Nulls = Literal["error", "discard", "keep"]

# The integer code of the predicted class, and the probability of the label to keep.
DECISION = np.dtype([("label", "<i4"), ("probability", "<f8")])
# The decision on a text, how many rows have that text, and its number in first-seen order. The
# number is big-endian and comes first, so that the bytes of records sort by it.
RECORD = np.dtype([("number", ">i8"), ("decision", DECISION), ("rows", "<i8")])
# Large enough to form batches of similar length, small enough for a smooth progress bar.
_CHUNK_TEXTS = 1 << 13
# Longer texts are remembered by their hash, which bounds the memory of an entry.
_LONGEST_KEY = 128
# How many texts to hold in memory: about 250 MB, little compared with the rest of a job.
_MOST_TEXTS = 1 << 20
_CACHE_KIB = 65_536


def compute_missing(
    compute: Callable[[np.ndarray], Any], missing: np.ndarray, chunk_size: int, method: str
) -> Iterator[tuple[np.ndarray, Any]]:
    """Compute the distinct inputs that are missing, and yield each chunk as it is finished.

    A caller that stores each chunk as it arrives loses at most one.
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
    """A bounded memory of the `RECORD` of each distinct text.

    Up to about a million records are in memory. Before there are more, all of them move to a
    temporary database, and are read back when their text is seen again, so nothing is computed
    twice. Threads may share a memory; two that see a new text at the same time may both ask the
    model about it. A pickled copy is empty.
    """

    def __init__(self, decide: Callable[[list[str]], np.ndarray]) -> None:
        self._decide = decide
        # The position of each text, or of its hash, in the records.
        self._positions: dict[str | bytes, int] = {}
        self._records = bytearray()
        self._n_texts = 0
        self._disk: sqlite3.Connection | None = None
        self._lock = Lock()

    def __reduce__(self) -> tuple:
        return type(self), (self._decide,)

    def __len__(self) -> int:
        return self._n_texts

    def __call__(self, texts: list[str]) -> np.ndarray:
        """Return the decisions on distinct texts."""
        return self.look_up(texts)["decision"]

    def look_up(
        self,
        texts: list[str],
        rows: np.ndarray | int = 0,
        advance: Callable[[float], None] = lambda share: None,
    ) -> np.ndarray:
        """Return a `RECORD` for each of several distinct texts, after deciding on the new ones.

        `rows` are added to the row counts of the texts, and `advance` is called with the fraction
        of the new texts that is done.
        """
        keys = [text if len(text) <= _LONGEST_KEY else stable_hashes([text])[0] for text in texts]
        with self._lock:
            if self._positions and len(self._positions) + len(texts) > _MOST_TEXTS:
                self._move_to_disk()
            positions = self._read_back(keys)

        def compute(chunk: np.ndarray) -> np.ndarray:
            return self._decide([texts[i] for i in chunk])

        n_done = 0
        missing = np.array([i for i, key in enumerate(keys) if key not in positions], np.intp)
        for chunk, decisions in compute_missing(compute, missing, _CHUNK_TEXTS, "predict"):
            with self._lock:
                if positions is not self._positions:
                    # Meanwhile another thread has moved them to disk.
                    positions = self._read_back(keys)
                is_new = np.array([keys[i] not in positions for i in chunk])
                new = np.zeros(int(is_new.sum()), RECORD)
                new["number"] = np.arange(len(new)) + self._n_texts
                new["decision"] = decisions[is_new]
                self._remember([keys[i] for i in chunk[is_new]], new.tobytes())
                self._n_texts += len(new)
            n_done += len(chunk)
            advance(n_done / len(missing))
        if not n_done:
            advance(1.0)

        with self._lock:
            if positions is not self._positions:
                positions = self._read_back(keys)
            places = np.fromiter(map(positions.__getitem__, keys), np.intp, len(keys))
            # Without a variable for the array: a bytearray cannot grow while an array shares it.
            np.frombuffer(self._records, RECORD)["rows"][places] += rows
            return np.frombuffer(self._records, RECORD)[places]

    def in_order(self) -> Iterator[bytes]:
        """Yield the `RECORD` of each distinct text as bytes, in first-seen order."""
        if self._disk is None:
            yield from bytes_of_rows(np.frombuffer(self._records, RECORD)[:, np.newaxis])
            return
        with _disk_errors():
            query = "SELECT record FROM texts ORDER BY record"
            yield from (record for (record,) in self._move_to_disk().execute(query))

    def _remember(self, keys: list[str | bytes], records: bytes) -> None:
        self._positions.update(zip(keys, count(len(self._positions))))
        self._records.extend(records)

    def _read_back(self, keys: list[str | bytes]) -> dict[str | bytes, int]:
        """Read those of the keys that are only on disk, and return all positions in memory."""
        if self._disk is not None:
            absent = [key for key in keys if key not in self._positions]
            by_hash = dict(zip(_hashes(absent), absent, strict=True))
            query = "SELECT hash, record FROM texts WHERE hash IN"
            with _disk_errors():
                rows = list(chain.from_iterable(select_by_key(self._disk, query, by_hash)))
            records = b"".join(record for _, record in rows)
            self._remember([by_hash[hashed] for hashed, _ in rows], records)
        return self._positions

    def _move_to_disk(self) -> sqlite3.Connection:
        """Write all records in memory to the database, over those of the same texts."""
        with _disk_errors():
            if self._disk is None:
                self._disk = _open_database()
                weakref.finalize(self, self._disk.close)
            hashes, records = _hashes(self._positions), np.frombuffer(self._records, RECORD)
            # Sorted, so that each page of the table is read and written once.
            order = np.argsort(np.frombuffer(b"".join(hashes), ">u8")[::2])
            self._disk.execute("BEGIN")
            for part in np.array_split(order, len(order) // _CHUNK_TEXTS + 1):
                values = zip(
                    [hashes[i] for i in part], bytes_of_rows(records[part, np.newaxis]), strict=True
                )
                self._disk.executemany("INSERT OR REPLACE INTO texts VALUES (?, ?)", values)
            self._disk.execute("COMMIT")
        self._positions, self._records = {}, bytearray()
        return self._disk


def _open_database() -> sqlite3.Connection:
    # With an empty name SQLite uses a temporary file that vanishes even after a kill.
    database = sqlite3.connect("", isolation_level=None, check_same_thread=False)
    database.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
    database.execute("PRAGMA journal_mode = OFF")
    database.execute(
        "CREATE TABLE texts (hash BLOB PRIMARY KEY, record BLOB NOT NULL) WITHOUT ROWID"
    )
    return database


def _hashes(keys: Collection[str | bytes]) -> list[bytes]:
    hashes = iter(stable_hashes([key for key in keys if isinstance(key, str)]))
    return [key if isinstance(key, bytes) else next(hashes) for key in keys]


@contextmanager
def _disk_errors() -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as error:
        raise DiskFullError(
            errno.ENOSPC,
            "There are too many distinct texts for memory, and they cannot be kept on disk: "
            f"{error}. Set the environment variable SQLITE_TMPDIR to a folder with 60 bytes of "
            "room for each text.",
        ) from error


class Decider:
    """Decides on texts with a fitted classifier.

    Texts whose probability of `keep` is at least `threshold` get that label. Without a threshold
    they get the label that `predict` returns. Probabilities are NaN where they are not needed.
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
                raise ValueError(f"The model predicts NaN for {text[:80]!r}. Fix the model.")

            if self.threshold is not None:
                # above or below the probability of every other class
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
        codes = pd.Index(self.classes).get_indexer(predicted.tolist())
        if (codes < 0).any():
            wrong = predicted[codes < 0][0]
            raise ValueError(f"The model predicts {wrong!r}, which is not one of its classes_.")
        return codes


def check_classifier(model: Any, name: str) -> Any:
    """Return the model after checking that it is a fitted classifier with one label per text."""
    check_is_fitted(model)
    classes: Any = getattr(model, "classes_", None)
    if np.ndim(classes) != 1 or not hasattr(model, "predict"):
        raise ValueError(
            f"{name} is not a fitted classifier with one label per text: it lacks predict or a "
            "list of classes_. Pass a fitted classifier."
        )
    return model


def check_options(
    threshold: float | None, columns: Sequence[str] | None, nulls: str
) -> tuple[str, str] | None:
    """Check the options of a job, and return the names of the columns to add."""
    if nulls not in get_args(Nulls):
        raise ValueError(f"nulls is {nulls!r}. It must be 'error', 'discard' or 'keep'.")
    if threshold is not None:
        check_scalar(threshold, "threshold", Real, min_val=0, max_val=1)
    if columns is None:
        return None
    if isinstance(columns, str) or len(columns) != 2 or columns[0] == columns[1]:
        raise ValueError(
            f"columns is {columns!r}. Pass two names, for the label and its probability, such as "
            '("label", "probability").'
        )
    return columns[0], columns[1]


def label_to_keep(model: Any) -> Any:
    """Return the label of useful texts: the one set in training, or one with a usual name."""
    keep = getattr(model, "training_record_", {}).get("keep")
    keep = useful_label(np.asarray(model.classes_).tolist()) if keep is None else keep
    if keep is None:
        labels = np.asarray(model.classes_)[:10].tolist()
        raise ValueError(
            f"The model has the labels {labels}, and none has a usual name for useful texts. Pass "
            "the one to keep as keep= (--keep)."
        )
    return keep


def _find_label(classes: list[Any], keep: Any) -> Any:
    """Return the class that equals `keep`, or else that has the same str."""
    matches = [label for label in classes if label == keep]
    matches += [label for label in classes if str(label) == str(keep)]
    if not matches:
        raise ValueError(
            f"keep={keep!r} is not a label of the model, which has {classes[:10]}. "
            "Choose one of them."
        )
    return matches[0]


def predicts_most_probable_class(estimator: Any) -> bool:
    """Whether `predict` is known to be the argmax of `predict_proba`, so that one serves both.

    A class declares it by ``predicts_most_probable_class = True``. A subclass that overrides one of
    the methods has to declare it again.
    """
    estimator = last_step(estimator)
    for cls in type(estimator).__mro__:
        if "predicts_most_probable_class" in vars(cls):
            return estimator.predicts_most_probable_class
        if not {"predict", "predict_proba"}.isdisjoint(vars(cls)):
            break
    return False


def last_step(estimator: BaseEstimator) -> Any:
    """Return the estimator that predicts inside pipelines and frozen estimators."""
    while isinstance(estimator, FrozenEstimator | Pipeline):
        is_frozen = isinstance(estimator, FrozenEstimator)
        estimator = estimator.estimator if is_frozen else estimator[-1]
    return estimator
