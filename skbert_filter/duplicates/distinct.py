"""The engine that computes each distinct input once, and what a classifier decides about texts.

`DedupPredictor`, corpus jobs and Dask workers all compute with `compute_missing`; they differ in
where results are kept. Knows nothing of files, or of where a classifier comes from.
"""

from collections.abc import Callable, Iterator, Sequence
from hashlib import blake2b
from itertools import compress, count, repeat
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

from skbert_filter.duplicates.results import has_outputs
from skbert_filter.validation import useful_label

Nulls = Literal["error", "discard", "keep"]

# What is decided about a text: the number of a class, and the probability of the label to keep.
DECISION = np.dtype([("label", "<i4"), ("probability", "<f8")])
# Enough for batches of texts of like length, little enough for a lively progress bar.
_CHUNK_TEXTS = 1 << 13
# A longer text is remembered by its digest, so that an entry of any text takes little memory.
_LONGEST_KEY = 128


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
    """What was decided for each distinct text, by its number in first-seen order.

    Threads may share one; two that meet a new text at once may both ask the model about it. A copy
    in another process remembers nothing.
    """

    def __init__(self, decide: Callable[[list[str]], np.ndarray]) -> None:
        self._decide = decide
        self._numbers: dict[str | bytes, int] = {}
        self._decisions = bytearray()
        self._lock = Lock()

    def __reduce__(self) -> tuple:
        return type(self), (self._decide,)

    def __len__(self) -> int:
        return len(self._numbers)

    def __call__(self, texts: list[str]) -> np.ndarray:
        """Return the decisions for some distinct texts."""
        return self[self.numbers_of(texts)]

    def __getitem__(self, numbers: np.ndarray) -> np.ndarray:
        """Return the decisions for the texts of some numbers."""
        with self._lock:
            return np.frombuffer(self._decisions, DECISION)[numbers]

    def numbers_of(
        self, texts: list[str], advance: Callable[[float], None] = lambda share: None
    ) -> np.ndarray:
        """Return the numbers of some distinct texts, once those that are new are decided.

        `advance` is called with the share that is done.
        """
        keys = [text if len(text) <= _LONGEST_KEY else _digest(text) for text in texts]
        numbers = np.fromiter(map(self._numbers.get, keys, repeat(-1)), np.intp, len(keys))
        missing = np.flatnonzero(numbers < 0)

        def compute(chunk: np.ndarray) -> np.ndarray:
            return self._decide([texts[i] for i in chunk])

        n_done = 0
        for chunk, decisions in compute_missing(compute, missing, _CHUNK_TEXTS, "predict"):
            computed = [keys[i] for i in chunk]
            with self._lock:
                # another thread may have been faster
                is_new = [key not in self._numbers for key in computed]
                self._numbers.update(zip(compress(computed, is_new), count(len(self._numbers))))
                self._decisions += decisions[is_new].tobytes()
            numbers[chunk] = [self._numbers[key] for key in computed]
            n_done += len(chunk)
            advance(n_done / len(missing))
        if not n_done:
            advance(1.0)
        return numbers


def _digest(text: str) -> bytes:
    # 256 bits: nobody has two texts of one digest. Bytes are never equal to a str.
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=32).digest()


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
