"""What a fitted classifier decides about texts: the number of a label, and a probability.

Knows nothing of files, or of where a classifier comes from.
"""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from numbers import Real
from threading import Lock
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd
from sklearn.utils import check_scalar
from sklearn.utils.validation import check_is_fitted

from skbert_filter.dedup_predictor import predicts_most_probable_class

Nulls = Literal["error", "discard", "keep"]

# Bounds the memory of a model that makes a large array of all texts that it is given.
_CHUNK_TEXTS = 1 << 16
# A longer text is remembered by its digest, so that an entry of any text takes little memory.
_LONGEST_KEY = 128


def check_classifier(model: Any, name: str) -> Any:
    """Return a model, if it is a fitted classifier of one label.

    Raises
    ------
    ValueError
    sklearn.exceptions.NotFittedError
    """
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
    """Check what is to be done with decisions, and return the names of the columns to add.

    Raises
    ------
    TypeError, ValueError
    """
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


def label_of(model: Any, keep: Any) -> Any:
    """Return the class of a model that is `keep`, or has it as its text form.

    Raises
    ------
    ValueError
        If there is none.
    """
    classes = np.asarray(model.classes_).tolist()
    same = [label for label in classes if label == keep]
    same_in_text = [label for label in classes if str(label) == str(keep)]
    if not same + same_in_text:
        raise ValueError(
            f"keep={keep!r} is not a label of the model, which knows {classes[:10]}. "
            "Choose one of them."
        )
    return (same + same_in_text)[0]


@dataclass(frozen=True)
class Decider:
    """What a classifier says about texts: the number of a class, and the probability of `keep`.

    Attributes
    ----------
    model : fitted classifier
    keep : label
        One of its classes.
    threshold : float or None
        The probability from which on a text gets the label `keep`. None: as `predict` says.
    with_probabilities : bool
        Whether probabilities are requested, even if they do not decide. They are NaN
        where the model has none.
    """

    model: Any
    keep: Any
    threshold: float | None
    with_probabilities: bool

    def __post_init__(self) -> None:
        if self.threshold is not None and not self._has_probabilities:
            raise ValueError(
                f"{type(self.model).__name__} has no predict_proba to compare the threshold with. "
                "Omit the threshold, or pass CalibratedClassifierCV(FrozenEstimator(model)), "
                "fitted."
            )

    @property
    def classes(self) -> list[Any]:
        """The labels."""
        return np.asarray(self.model.classes_).tolist()

    @property
    def keep_number(self) -> int:
        """The number of the label to keep."""
        return self.classes.index(self.keep)

    def __call__(self, texts: list[str]) -> tuple[np.ndarray, np.ndarray]:
        """Return the number of the label of each text, and the probability of `keep`.

        Raises
        ------
        ValueError
            If the model returns something that is not a label or a probability.
        """
        labels, probabilities = np.empty(len(texts), np.int32), np.empty(len(texts))
        for first in range(0, len(texts), _CHUNK_TEXTS):
            part = slice(first, first + _CHUNK_TEXTS)
            labels[part], probabilities[part] = self._decide(texts[part])
        return labels, probabilities

    def _decide(self, texts: list[str]) -> tuple[np.ndarray, np.ndarray]:
        if self.threshold is None and not (self.with_probabilities and self._has_probabilities):
            return self._predicted(texts), np.full(len(texts), np.nan)

        proba = np.asarray(self.model.predict_proba(texts), dtype=np.float64)
        probability = proba[:, self.keep_number]
        if np.isnan(probability).any():
            text = texts[int(np.flatnonzero(np.isnan(probability))[0])]
            raise ValueError(f"The model gives the probability NaN to {text[:80]!r}. Fix it.")

        if self.threshold is not None:
            others = proba.copy()
            others[:, self.keep_number] = -1
            is_kept = probability >= self.threshold
            return np.where(is_kept, self.keep_number, others.argmax(axis=1)), probability
        if predicts_most_probable_class(self.model):
            return proba.argmax(axis=1), probability
        return self._predicted(texts), probability

    @property
    def _has_probabilities(self) -> bool:
        return hasattr(self.model, "predict_proba")

    def _predicted(self, texts: list[str]) -> np.ndarray:
        predicted = np.asarray(self.model.predict(texts))
        numbers = pd.Index(self.classes).get_indexer(predicted.tolist())
        if (numbers < 0).any():
            wrong = predicted[numbers < 0][0]
            raise ValueError(f"The model predicts {wrong!r}, which is none of its classes_.")
        return numbers


@dataclass(frozen=True)
class RememberingDecider(Decider):
    """A decider that remembers what it has decided, within one process.

    Two threads that meet a new text at once may both ask the model about it. A copy in another
    process gets the model, and nothing that is remembered.
    """

    _numbers: dict[str | bytes, int] = field(default_factory=dict, init=False, repr=False)
    _labels: array = field(default_factory=lambda: array("i"), init=False, repr=False)
    _probabilities: array = field(default_factory=lambda: array("d"), init=False, repr=False)
    _lock: Any = field(default_factory=Lock, init=False, repr=False)

    def __reduce__(self) -> tuple:
        return type(self), (self.model, self.keep, self.threshold, self.with_probabilities)

    def __call__(self, texts: list[str]) -> tuple[np.ndarray, np.ndarray]:
        """Return what `Decider` returns for distinct texts."""
        keys = [text if len(text) <= _LONGEST_KEY else _digest(text) for text in texts]
        new = [i for i, key in enumerate(keys) if key not in self._numbers]
        decisions = super().__call__([texts[i] for i in new])

        with self._lock:
            for i, label, probability in zip(new, *decisions, strict=True):
                n_known = len(self._labels)
                if self._numbers.setdefault(keys[i], n_known) == n_known:
                    self._labels.append(label)
                    self._probabilities.append(probability)
            numbers = list(map(self._numbers.__getitem__, keys))
            return (
                np.frombuffer(self._labels, np.int32)[numbers],
                np.frombuffer(self._probabilities)[numbers],
            )


def _digest(text: str) -> bytes:
    # 256 bits: nobody has two texts of one digest. Bytes are never equal to a str.
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=32).digest()
