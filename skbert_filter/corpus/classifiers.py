"""The classifier of a job: loaded, checked, and asked for labels and probabilities."""

import os
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted


def load_classifier(model: Any, *, trust: bool = False) -> Any:
    """Return a fitted classifier, read from a folder or file if it is the path of one.

    Parameters
    ----------
    model : classifier or str or Path
        A fitted classifier; a folder written by `SmallBertTextFilter.save_pretrained`;
        ``registry://workspace/name:version`` of Comet's model registry; or a file written by
        joblib or pickle.
    trust : bool, default=False
        Whether to load a pickle, be it such a file or registered: it runs the code that is in it.

    Returns
    -------
    classifier : fitted classifier

    Raises
    ------
    FileNotFoundError
        If there is no such folder or file.
    ValueError
        If it is no classifier, the path is that of a file and `trust` is False, or the file
        cannot be read.
    """
    name = model_name(model)
    if isinstance(model, str | PathLike):
        if os.fspath(model).startswith("registry:"):
            from skbert_filter.integrations.comet import load_model

            model = load_model(model, trust=trust)
        else:
            model = _load(Path(model), trust=trust)
    else:
        check_is_fitted(model)
    classes: Any = getattr(model, "classes_", None)
    if np.ndim(classes) != 1 or not hasattr(model, "predict"):
        raise ValueError(
            f"{name} is no fitted classifier of one label: it lacks predict or a list of "
            "classes_. Pass a fitted classifier."
        )
    return model


def model_name(model: Any) -> str:
    """Return what to call a model in messages: its path, or its class."""
    return f"The model {model if isinstance(model, str | PathLike) else type(model).__name__}"


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
            f"keep={keep!r} is no label of the model, which knows {classes[:10]}. "
            "Choose one of them."
        )
    return (same + same_in_text)[0]


@dataclass(frozen=True)
class Decider:
    """What a classifier says of texts: the number of a class, and the probability of `keep`.

    Attributes
    ----------
    model : fitted classifier
    keep : label
        One of its classes.
    threshold : float or None
        From which probability on a text gets the label `keep`. None: as `predict` says.
    with_probabilities : bool
        Whether probabilities are asked for, even if they do not decide. They are NaN
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
                "Leave the threshold out, or pass CalibratedClassifierCV("
                "FrozenEstimator(model)), fitted."
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
            If the model returns what is no label or no probability.
        """
        if self.threshold is None and not (self.with_probabilities and self._has_probabilities):
            return self._predicted(texts), np.full(len(texts), np.nan)
        proba = np.asarray(self.model.predict_proba(texts), dtype=np.float64)
        probability = proba[:, self.keep_number]
        if np.isnan(probability).any():
            text = texts[int(np.flatnonzero(np.isnan(probability))[0])]
            raise ValueError(f"The model gives the probability NaN to {text[:80]!r}. Mend it.")
        if self.threshold is not None:
            others = proba.copy()
            others[:, self.keep_number] = -1
            is_kept = probability >= self.threshold
            return np.where(is_kept, self.keep_number, others.argmax(axis=1)), probability
        if _predicts_most_probable(self.model):
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


def _load(path: Path, *, trust: bool) -> Any:
    if path.is_dir():
        from skbert_filter.text_filter import SmallBertTextFilter

        return SmallBertTextFilter.from_pretrained(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"There is no model folder {path}. Give a folder written by save_pretrained "
            "or by `skbert-filter train`."
        )
    if not trust:
        raise ValueError(
            f"{path} is a file, not a folder of save_pretrained, and to load it would run the code "
            "that is in it. If you trust who wrote it, pass trust=True (--trust)."
        )
    try:
        model = joblib.load(path)
    except Exception as error:  # any may come: this runs what is in the file
        raise ValueError(
            f"{path} cannot be loaded by joblib: {type(error).__name__}: {error}."
        ) from error
    if not hasattr(model, "predict"):
        raise ValueError(
            f"{path} holds an object of type {type(model).__name__}, not a fitted classifier."
        )
    check_is_fitted(
        model, msg=f"{path} holds a %(name)s that is not fitted. Fit it, and save it again."
    )
    return model


def _predicts_most_probable(model: Any) -> bool:
    """Whether `predict` is known to follow from `predict_proba`, so that one call gives both."""
    from skbert_filter.dedup_predictor import DedupPredictor
    from skbert_filter.text_filter import SmallBertTextFilter

    while isinstance(model, FrozenEstimator | Pipeline | DedupPredictor):
        if isinstance(model, Pipeline):
            model = model[-1]
        else:
            model = getattr(model, "estimator_", model.estimator)
    return isinstance(model, SmallBertTextFilter)
