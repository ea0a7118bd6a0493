"""Scores of what a fitted classifier predicts. Knows nothing of its training."""

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import binomtest
from sklearn.metrics import average_precision_score, brier_score_loss, f1_score, log_loss

from skbert_filter.printing import Report
from skbert_filter.validation import useful_label

# How tables that people read call the scores.
SHORT_NAMES = {
    "accuracy": "accuracy",
    "f1": "F1",
    "average_precision": "AP",
    "brier": "Brier",
    "expected_calibration_error": "ECE",
}


@dataclass(frozen=True)
class Scores(Report):
    """The scores of one classifier on one set of held-out texts.

    A score that makes no sense for the classifier or the labels is NaN. Of more than two classes,
    F1 and average precision are means over those that the held-out labels have.

    Attributes
    ----------
    name : str
    n_rows, n_distinct : int
        Held-out rows, and how many different texts they hold.
    accuracy, accuracy_low, accuracy_high : float
        The share of right labels, and its 95 % confidence interval by Wilson.
    f1, average_precision : float
        Of the useful one of two classes: ``classes_[1]``, unless the other has a usual name for
        useful texts, such as "Keep".
    brier : float
        The mean squared error of the probability; summed over the classes if they are more than
        two.
    expected_calibration_error : float
        By :func:`expected_calibration_error`.
    log_loss : float
        The mean negative logarithm of the probability given to the true label.
    """

    name: str
    n_rows: int
    n_distinct: int
    accuracy: float
    accuracy_low: float
    accuracy_high: float
    f1: float
    average_precision: float
    brier: float
    expected_calibration_error: float
    log_loss: float

    def figures(self) -> dict[str, Any]:
        """Return the scores by name, those of an `Evaluation` too."""
        return {each.name: getattr(self, each.name) for each in fields(Scores)}

    def to_frame(self) -> pd.DataFrame:
        """Return the scores as a table of one row, indexed by `name`."""
        return pd.DataFrame([self.figures()]).set_index("name")


@dataclass(frozen=True)
class Answers:
    """What a classifier predicts for some texts, and the sorted labels that it knows.

    `ranking` has a score of each text for each class: the probabilities, if there are any, or the
    decision function.
    """

    classes: np.ndarray
    predicted: np.ndarray
    proba: np.ndarray | None
    ranking: np.ndarray | None

    @classmethod
    def of(cls, estimator: Any, texts: list[str], y: np.ndarray, name: str) -> "Answers":
        """Ask a fitted classifier about texts whose labels it must know."""
        predicted = np.asarray(estimator.predict(texts))
        if not hasattr(estimator, "classes_"):
            # A rule that was never fitted: its labels are all there is to score.
            return cls(np.unique(np.concatenate([y, predicted])), predicted, None, None)

        classes = np.asarray(estimator.classes_)
        if unseen := sorted(set(y.tolist()) - set(classes.tolist()), key=str):
            raise ValueError(
                f"y_test holds labels that {name} was not fitted on: {unseen[:10]}. "
                f"It knows {classes[:10].tolist()}. Use the labels it was fitted with."
            )

        proba = ranking = None
        if hasattr(estimator, "predict_proba"):
            proba = ranking = np.asarray(estimator.predict_proba(texts))
        elif hasattr(estimator, "decision_function"):
            ranking = np.asarray(estimator.decision_function(texts))
            if ranking.ndim == 1:
                ranking = np.column_stack([-ranking, ranking])
        return cls(classes, predicted, proba, ranking)

    @property
    def confidence(self) -> np.ndarray:
        """The score given to the predicted label; NaN where there is none."""
        if self.ranking is None:
            return np.full(len(self.predicted), np.nan)
        column = np.searchsorted(self.classes, self.predicted)
        return self.ranking[np.arange(len(column)), column]

    def take(self, rows: np.ndarray) -> "Answers":
        """Return the answers on some of the texts."""
        proba, ranking = (None if a is None else a[rows] for a in (self.proba, self.ranking))
        return Answers(self.classes, self.predicted[rows], proba, ranking)


def score_answers(answers: Answers, y: np.ndarray) -> dict[str, float]:
    """Return the scores of texts from "accuracy" to "log_loss"."""
    classes, proba, ranking = answers.classes, answers.proba, answers.ranking
    occurring, binary = np.unique(y), len(classes) == 2
    scores = {each.name: float("nan") for each in fields(Scores)[3:]}
    n_right = int((answers.predicted == y).sum())
    scores["accuracy"] = n_right / len(y)
    scores["accuracy_low"], scores["accuracy_high"] = wilson_interval(n_right, len(y))

    useful = classes[-1:]
    if (usual := useful_label(classes.tolist())) is not None:
        useful = classes[classes == usual]

    if len(occurring) > 1:
        over = {"pos_label": useful[0]} if binary else {"labels": occurring, "average": "macro"}
        scores["f1"] = f1_score(y, answers.predicted, **over)
    if len(occurring) > 1 and ranking is not None:
        scored = useful if binary else occurring
        given = ranking[:, np.searchsorted(classes, scored)]
        is_class = y[:, None] == scored
        scores["average_precision"] = average_precision_score(is_class, given)

    if proba is not None and len(classes) > 1:
        happened, given = np.searchsorted(classes, y), proba[:, 1] if binary else proba
        scores["brier"] = brier_score_loss(happened, given, labels=range(len(classes)))
        scores["expected_calibration_error"] = expected_calibration_error(happened, given)
        scores["log_loss"] = log_loss(y, proba, labels=classes)
    return {name: float(score) for name, score in scores.items()}


def wilson_interval(n_right: int, n: int) -> tuple[float, float]:
    """Return Wilson's 95 % confidence interval of a share."""
    low, high = binomtest(n_right, n).proportion_ci(method="wilson")
    return float(low), float(high)


def expected_calibration_error(y_true: Any, proba: Any, *, n_bins: int = 15) -> float:
    """Return how far probabilities are from observed frequencies, on average.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        With `proba` of one dimension: 1 or True where the event happened. With two dimensions: the
        index of the true class among the columns.
    proba : array-like of shape (n_samples,) or (n_samples, n_classes)
        Probability of the event, or of each class.
    n_bins : int, default=15
        Number of equally wide bins.

    Returns
    -------
    error : float
        Between 0 and 1.

    Notes
    -----
    The mean over the bins ((m - 1)/M, m/M], weighted by their rows, of the distance between the
    mean probability and the observed frequency: with one dimension as in Naeini, Cooper and
    Hauskrecht, "Obtaining Well Calibrated Probabilities Using Bayesian Binning" (AAAI 2015), with
    two as in Guo et al., "On Calibration of Modern Neural Networks" (ICML 2017), on the probability
    of the predicted class.

    Examples
    --------
    >>> from skbert_filter.inspection import expected_calibration_error
    >>> round(expected_calibration_error([1, 1, 0, 0], [0.9, 0.9, 0.1, 0.1]), 3)
    0.1
    """
    y_true, proba = np.asarray(y_true), np.asarray(proba, dtype=np.float64)
    if proba.ndim == 2:
        happened, proba = proba.argmax(axis=1) == y_true, proba.max(axis=1)
    else:
        happened = y_true.astype(bool)

    bins = np.clip(np.ceil(proba * n_bins).astype(np.intp) - 1, 0, n_bins - 1)
    # The counts of a bin cancel: |mean p - frequency| * rows = |sum of p - events|.
    distance = np.bincount(bins, weights=proba - happened, minlength=n_bins)
    return float(np.abs(distance).sum() / len(proba))
