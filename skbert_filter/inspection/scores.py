"""Scores of a fitted classifier's predictions. Knows nothing of its training."""

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import binomtest
from sklearn.metrics import average_precision_score, brier_score_loss, f1_score, log_loss

from skbert_filter.printing import Report
from skbert_filter.validation import useful_label

# The scores that are printed, and their column headings.
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

    A score that is not defined for the classifier or the labels is NaN. With more than two classes,
    F1 and average precision are means over the classes that occur in the held-out labels.

    Attributes
    ----------
    name : str
    n_rows, n_distinct : int
        The numbers of held-out rows and of distinct texts in them.
    accuracy, accuracy_low, accuracy_high : float
        The share of texts classified correctly, and its 95 % Wilson confidence interval.
    f1, average_precision : float
        With two classes, the scores of the useful one: ``classes_[1]``, unless the other has a name
        that is usual for useful texts, such as "Keep".
    brier : float
        The mean squared error of the probability; with more than two classes, summed over them.
    expected_calibration_error : float
        As :func:`expected_calibration_error` computes it.
    log_loss : float
        The mean negative logarithm of the probability of the true label.
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
        """Return the scores by name, without what subclasses add."""
        return {column.name: getattr(self, column.name) for column in fields(Scores)}

    def to_frame(self) -> pd.DataFrame:
        """Return the scores as a table of one row, indexed by `name`."""
        return pd.DataFrame([self.figures()]).set_index("name")


@dataclass(frozen=True)
class Predictions:
    """What a classifier predicts for some texts, and its sorted classes.

    `class_scores`, of shape (n_texts, n_classes), are the probabilities if the classifier has any,
    or else its decision function.
    """

    classes: np.ndarray
    predicted: np.ndarray
    proba: np.ndarray | None
    class_scores: np.ndarray | None

    @classmethod
    def from_estimator(
        cls, estimator: Any, texts: list[str], y: np.ndarray, name: str
    ) -> "Predictions":
        """Predict texts with a fitted classifier, which must know all of their labels `y`."""
        predicted = np.asarray(estimator.predict(texts))
        if not hasattr(estimator, "classes_"):
            # A hand-written rule, which was never fitted, has labels and nothing else to score.
            return cls(np.unique(np.concatenate([y, predicted])), predicted, None, None)

        classes = np.asarray(estimator.classes_)
        if unseen := sorted(set(y.tolist()) - set(classes.tolist()), key=str):
            raise ValueError(
                f"y_test holds labels that {name} was not fitted on: {unseen[:10]}. "
                f"It knows {classes[:10].tolist()}. Use the labels it was fitted with."
            )

        proba = class_scores = None
        if hasattr(estimator, "predict_proba"):
            proba = class_scores = np.asarray(estimator.predict_proba(texts))
        elif hasattr(estimator, "decision_function"):
            class_scores = np.asarray(estimator.decision_function(texts))
            if class_scores.ndim == 1:
                class_scores = np.column_stack([-class_scores, class_scores])
        return cls(classes, predicted, proba, class_scores)

    @property
    def confidence(self) -> np.ndarray:
        """The score of each predicted label, or NaN if the classifier has no scores."""
        if self.class_scores is None:
            return np.full(len(self.predicted), np.nan)
        columns = np.searchsorted(self.classes, self.predicted)
        return self.class_scores[np.arange(len(columns)), columns]

    def take(self, rows: Any) -> "Predictions":
        """Return the predictions for some of the texts."""
        proba, scores = (None if a is None else a[rows] for a in (self.proba, self.class_scores))
        return Predictions(self.classes, self.predicted[rows], proba, scores)


def score_predictions(predictions: Predictions, y: np.ndarray) -> dict[str, float]:
    """Return the scores from "accuracy" to "log_loss", given the true labels."""
    classes, proba = predictions.classes, predictions.proba
    occurring, is_binary = np.unique(y), len(classes) == 2
    scores = {column.name: float("nan") for column in fields(Scores)[3:]}
    n_right = int((predictions.predicted == y).sum())
    scores["accuracy"] = n_right / len(y)
    scores["accuracy_low"], scores["accuracy_high"] = wilson_interval(n_right, len(y))

    useful = useful_label(classes.tolist())
    positive = classes[-1:] if useful is None else classes[classes == useful]

    if len(occurring) > 1:
        options: dict[str, Any] = {"labels": occurring, "average": "macro"}
        if is_binary:
            options = {"pos_label": positive[0]}
        scores["f1"] = f1_score(y, predictions.predicted, **options)
    if len(occurring) > 1 and predictions.class_scores is not None:
        scored = positive if is_binary else occurring
        columns = np.searchsorted(classes, scored)
        scores["average_precision"] = average_precision_score(
            y[:, None] == scored, predictions.class_scores[:, columns]
        )

    if proba is not None and len(classes) > 1:
        codes, probability = np.searchsorted(classes, y), proba[:, 1] if is_binary else proba
        scores["brier"] = brier_score_loss(codes, probability, labels=range(len(classes)))
        scores["expected_calibration_error"] = expected_calibration_error(codes, probability)
        scores["log_loss"] = log_loss(y, proba, labels=classes)
    return {name: float(score) for name, score in scores.items()}


def wilson_interval(n_right: int, n: int) -> tuple[float, float]:
    """Return the 95 % Wilson confidence interval of a share."""
    low, high = binomtest(n_right, n).proportion_ci(method="wilson")
    return float(low), float(high)


def expected_calibration_error(y_true: Any, proba: Any, *, n_bins: int = 15) -> float:
    """Return how far probabilities are from observed frequencies, on average.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        With `proba` of one dimension, 1 or True where the event happened; with two dimensions, the
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
    In each bin ((m - 1)/M, m/M], the error is the distance between the mean probability and the
    observed frequency; the bins are averaged, weighted by their rows. With one dimension this is
    the error of Naeini, Cooper and Hauskrecht, "Obtaining Well Calibrated Probabilities Using
    Bayesian Binning" (AAAI 2015); with two, that of Guo et al., "On Calibration of Modern Neural
    Networks" (ICML 2017), which takes the probability of the predicted class.

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
    # The number of rows in a bin cancels: |mean p - frequency| * rows = |sum of p - events|.
    distance = np.bincount(bins, weights=proba - happened, minlength=n_bins)
    return float(np.abs(distance).sum() / len(proba))
