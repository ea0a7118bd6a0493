"""Scores of what a fitted classifier predicts. Knows nothing of its training."""

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import norm
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

    A score that makes no sense for the classifier or the labels is NaN: those of probabilities
    where it has no `predict_proba`, F1 and average precision where the held-out labels lack one of
    two classes. Of more classes, both are means over those that the held-out labels have.

    Attributes
    ----------
    name : str
        Name of the classifier.
    n_rows, n_distinct : int
        Held-out rows, and how many different texts they hold.
    accuracy : float
        The share of right labels.
    accuracy_low, accuracy_high : float
        Wilson's 95 % confidence interval of the accuracy.
    f1 : float
        F1 of the useful one of two classes (``classes_[1]``, unless the other has a usual name for
        useful texts, such as "Keep"), or the unweighted mean over the classes that occur.
    average_precision : float
        Of the same class, or the mean over the classes that occur.
    brier : float
        The Brier score: mean squared error of the probability, for two classes; summed over the
        classes if they are more.
    expected_calibration_error : float
        See the function of that name.
    log_loss : float
        Mean negative logarithm of the probability given to the true label.
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


def score_answers(answers: Answers, y: np.ndarray, weight: np.ndarray) -> dict[str, float]:
    """Return the scores from "accuracy" to "log_loss" of texts that count by their weight.

    With unequal weights the interval is that for their effective number, ``sum(w)**2 / sum(w**2)``
    (Kish, "Survey Sampling", 1965).
    """
    classes, proba, ranking = answers.classes, answers.proba, answers.ranking
    occurring, binary = np.unique(y), len(classes) == 2
    scores = {each.name: float("nan") for each in fields(Scores)[3:]}
    scores["accuracy"] = np.average(answers.predicted == y, weights=weight)
    n_effective = weight.sum() ** 2 / (weight**2).sum()
    interval = wilson_interval(scores["accuracy"], n_effective)
    scores["accuracy_low"], scores["accuracy_high"] = interval

    useful = classes[-1:]
    if (usual := useful_label(classes.tolist())) is not None:
        useful = classes[classes == usual]

    if len(occurring) > 1:
        over = {"pos_label": useful[0]} if binary else {"labels": occurring, "average": "macro"}
        scores["f1"] = f1_score(y, answers.predicted, sample_weight=weight, **over)
    if len(occurring) > 1 and ranking is not None:
        scored = useful if binary else occurring
        given = ranking[:, np.searchsorted(classes, scored)]
        is_class = y[:, None] == scored
        scores["average_precision"] = average_precision_score(is_class, given, sample_weight=weight)

    if proba is not None and len(classes) > 1:
        happened, given = np.searchsorted(classes, y), proba[:, 1] if binary else proba
        scores["brier"] = brier_score_loss(
            happened, given, labels=range(len(classes)), sample_weight=weight
        )
        scores["expected_calibration_error"] = expected_calibration_error(
            happened, given, sample_weight=weight
        )
        scores["log_loss"] = log_loss(y, proba, labels=classes, sample_weight=weight)
    return {name: float(score) for name, score in scores.items()}


def wilson_interval(share: float, n: float) -> tuple[float, float]:
    """Return Wilson's 95 % confidence interval of a share of `n` trials, not always a whole number.

    Wilson, "Probable inference, the law of succession, and statistical inference" (Journal of the
    American Statistical Association 22, 1927), without continuity correction.
    """
    z = norm.ppf(0.975)
    centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half_width = z / (1 + z**2 / n) * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    low, high = np.clip([centre - half_width, centre + half_width], 0, 1).tolist()
    return low, high


def expected_calibration_error(
    y_true: Any, proba: Any, *, n_bins: int = 15, sample_weight: Any = None
) -> float:
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
    sample_weight : array-like of shape (n_samples,), default=None
        What each row counts; None for 1 each.

    Returns
    -------
    error : float
        Between 0 and 1.

    Notes
    -----
    Probabilities are put into bins ((m - 1)/M, m/M]; the error is the mean over the bins, weighted
    by their rows, of the distance between the mean probability and the observed frequency: with one
    dimension as defined by Naeini, Cooper and Hauskrecht, "Obtaining Well Calibrated Probabilities
    Using Bayesian Binning" (AAAI 2015), with two by Guo et al., "On Calibration of Modern Neural
    Networks" (ICML 2017), on the probability of the predicted class.

    Examples
    --------
    >>> from skbert_filter.inspection import expected_calibration_error
    >>> round(expected_calibration_error([1, 1, 0, 0], [0.9, 0.9, 0.1, 0.1]), 3)
    0.1
    """
    y_true, proba = np.asarray(y_true), np.asarray(proba, dtype=np.float64)
    weight = np.ones(len(proba)) if sample_weight is None else np.asarray(sample_weight)
    if proba.ndim == 2:
        happened, proba = proba.argmax(axis=1) == y_true, proba.max(axis=1)
    else:
        happened = y_true.astype(bool)

    bins = np.clip(np.ceil(proba * n_bins).astype(np.intp) - 1, 0, n_bins - 1)
    # The counts of a bin cancel: |mean p - frequency| * rows = |sum of p - events|.
    distance = np.bincount(bins, weights=weight * (proba - happened), minlength=n_bins)
    return float(np.abs(distance).sum() / weight.sum())
