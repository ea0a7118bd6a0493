"""How good a fitted classifier is on texts it has not seen."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import binomtest
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    brier_score_loss,
    f1_score,
    log_loss,
)
from sklearn.pipeline import Pipeline

from skbert_filter.validation import check_labels, check_texts


@dataclass(frozen=True)
class Evaluation:
    """The scores of one classifier on one set of held-out texts.

    A score that makes no sense for the classifier or the labels is NaN: those of
    probabilities where it has no `predict_proba`, F1 and average precision where the
    held-out labels lack a class.

    Attributes
    ----------
    name : str
        What the classifier is called.
    n_rows, n_distinct : int
        Held-out rows, and how many different texts they hold.
    accuracy : float
        The share of right labels.
    accuracy_low, accuracy_high : float
        Wilson's 95 % confidence interval of the accuracy. It takes the rows for
        independent, so it is honest only where each text occurs once.
    f1 : float
        F1 of ``classes_[1]``; the unweighted mean over the classes if they are more
        than two.
    average_precision : float
        Of ``classes_[1]``, or the mean over the classes.
    brier : float
        The Brier score: mean squared error of the probability, for two classes; summed
        over the classes if they are more.
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

    def __str__(self) -> str:
        return (
            f"{self.name} on {self.n_rows:,} texts ({self.n_distinct:,} distinct)\n"
            f"  accuracy           {self.accuracy:.3f} "
            f"(95 % interval {self.accuracy_low:.3f} to {self.accuracy_high:.3f})\n"
            f"  F1                 {self.f1:.3f}\n"
            f"  average precision  {self.average_precision:.3f}\n"
            f"  Brier score        {self.brier:.3f}\n"
            f"  calibration error  {self.expected_calibration_error:.3f}\n"
            f"  log loss           {self.log_loss:.3f}"
        )

    def to_frame(self) -> pd.DataFrame:
        """Return the scores as a table of one row, indexed by `name`."""
        return pd.DataFrame([asdict(self)]).set_index("name")


def evaluate(estimator: Any, X_test: Any, y_test: Any, *, name: str | None = None) -> Evaluation:
    """Score a fitted classifier on held-out texts.

    Parameters
    ----------
    estimator : classifier
        Any fitted text classifier; probabilities are scored if it gives some.
    X_test : container of str, of length n_samples
        Texts that the estimator has not been fitted on.
    y_test : array-like of shape (n_samples,)
        Their labels.
    name : str, default=None
        What to call the estimator; None for its class, or that of a pipeline's last
        step.

    Returns
    -------
    evaluation : Evaluation

    Raises
    ------
    ValueError
        If there is no text, or a label that the estimator was not fitted on.

    Examples
    --------
    >>> from skbert_filter.inspection.baselines import tfidf_baseline
    >>> from skbert_filter.inspection.evaluation import evaluate
    >>> texts = ["View All", "We build boats", "View", "We sail"]
    >>> model = tfidf_baseline().fit(texts, [0, 1, 0, 1])
    >>> evaluation = evaluate(model, ["View more", "We sell boats"], [0, 1], name="TF-IDF")
    >>> evaluation.accuracy
    1.0
    >>> evaluation.to_frame()[["n_rows", "f1", "average_precision"]]
            n_rows   f1  average_precision
    name
    TF-IDF       2  1.0                1.0
    """
    texts = check_texts(X_test, name="X_test")
    y = check_labels(y_test, len(texts), name="y_test", of="X_test")
    if not texts:
        raise ValueError("X_test is empty. Pass at least one held-out text.")
    classes = estimator.classes_
    if unseen := sorted(set(y.tolist()) - set(classes.tolist()), key=str):
        raise ValueError(
            f"y_test holds labels that the estimator was not fitted on: {unseen[:10]}. "
            f"It knows {classes[:10].tolist()}. Use the labels it was fitted with."
        )
    predicted = estimator.predict(texts)
    proba = estimator.predict_proba(texts) if hasattr(estimator, "predict_proba") else None
    right = round(accuracy_score(y, predicted, normalize=False))
    interval = binomtest(right, len(texts)).proportion_ci(method="wilson")
    return Evaluation(
        name=_name_of(estimator) if name is None else name,
        n_rows=len(texts),
        n_distinct=len(set(texts)),
        accuracy=right / len(texts),
        accuracy_low=float(interval.low),
        accuracy_high=float(interval.high),
        f1=_f1(y, predicted, classes),
        average_precision=_average_precision(
            y, _ranking(estimator, texts) if proba is None else proba, classes
        ),
        **_probability_scores(y, proba, classes),
    )


def evaluate_all(estimators: dict[str, Any], X_test: Any, y_test: Any) -> list[Evaluation]:
    """Score several fitted classifiers on the same held-out texts.

    Parameters
    ----------
    estimators : dict of str to classifier
        Fitted text classifiers by the names they are to have.
    X_test, y_test
        As for `evaluate`.

    Returns
    -------
    evaluations : list of Evaluation
        In the order of `estimators`.

    Examples
    --------
    >>> import pandas as pd
    >>> from skbert_filter.inspection.baselines import WordCountRule, tfidf_baseline
    >>> from skbert_filter.inspection.evaluation import evaluate_all
    >>> X, y = ["View All", "We build boats", "View", "We sail far"], [0, 1, 0, 1]
    >>> models = {"words": WordCountRule().fit(X, y), "TF-IDF": tfidf_baseline().fit(X, y)}
    >>> scores = evaluate_all(models, ["View our new boats", "We sell boats"], [0, 1])
    >>> pd.concat([score.to_frame() for score in scores])["accuracy"]
    name
    words     0.5
    TF-IDF    1.0
    Name: accuracy, dtype: float64
    """
    return [evaluate(model, X_test, y_test, name=name) for name, model in estimators.items()]


def expected_calibration_error(y_true: Any, proba: Any, *, n_bins: int = 15) -> float:
    """Return how far probabilities are from observed frequencies, on average.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        With `proba` of one dimension: 1 or True where the event happened. With two
        dimensions: the index of the true class among the columns.
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
    Probabilities are put into bins ((m - 1)/M, m/M]; the error is the mean over the
    bins, weighted by their rows, of the distance between the mean probability and the
    observed frequency. With one dimension this is the definition of Naeini, Cooper and
    Hauskrecht, "Obtaining Well Calibrated Probabilities Using Bayesian Binning" (AAAI
    2015), on the probability of the event; with two, that of Guo et al., "On Calibration
    of Modern Neural Networks" (ICML 2017), on the probability of the predicted class.

    Examples
    --------
    >>> from skbert_filter.inspection.evaluation import expected_calibration_error
    >>> round(expected_calibration_error([1, 1, 0, 0], [0.9, 0.9, 0.1, 0.1]), 3)
    0.1
    >>> round(expected_calibration_error([0, 1], [[0.9, 0.1], [0.8, 0.2]]), 3)
    0.45
    """
    y_true, proba = np.asarray(y_true), np.asarray(proba, dtype=np.float64)
    if proba.ndim == 2:
        happened = proba.argmax(axis=1) == y_true
        proba = proba.max(axis=1)
    else:
        happened = y_true.astype(bool)
    bins = np.clip(np.ceil(proba * n_bins).astype(np.intp) - 1, 0, n_bins - 1)
    # The counts of a bin cancel: |mean p - frequency| * rows = |sum of p - events|.
    distance = np.bincount(bins, weights=proba - happened, minlength=n_bins)
    return float(np.abs(distance).sum() / len(proba))


def _name_of(estimator: Any) -> str:
    return type(estimator[-1] if isinstance(estimator, Pipeline) else estimator).__name__


def _f1(y: np.ndarray, predicted: np.ndarray, classes: np.ndarray) -> float:
    if len(np.unique(y)) < len(classes):
        return float("nan")
    if len(classes) == 2:
        return float(f1_score(y, predicted, pos_label=classes[1]))
    return float(f1_score(y, predicted, average="macro"))


def _ranking(estimator: Any, texts: list[str]) -> np.ndarray | None:
    if not hasattr(estimator, "decision_function"):
        return None
    return estimator.decision_function(texts)


def _average_precision(y: np.ndarray, scores: np.ndarray | None, classes: np.ndarray) -> float:
    if scores is None or len(np.unique(y)) < len(classes):
        return float("nan")
    if len(classes) == 2:
        of_second_class = scores[:, 1] if scores.ndim == 2 else scores
        return float(average_precision_score(y == classes[1], of_second_class))
    return float(average_precision_score(y[:, None] == classes, scores))


def _probability_scores(
    y: np.ndarray, proba: np.ndarray | None, classes: np.ndarray
) -> dict[str, float]:
    names = ["brier", "expected_calibration_error", "log_loss"]
    if proba is None:
        return dict.fromkeys(names, float("nan"))
    if len(classes) == 2:
        happened = y == classes[1]
        error = expected_calibration_error(happened, proba[:, 1])
        brier = brier_score_loss(happened, proba[:, 1], pos_label=True)
    else:
        error = expected_calibration_error(np.searchsorted(classes, y), proba)
        brier = brier_score_loss(y, proba, labels=classes)
    scores = [brier, error, log_loss(y, proba, labels=classes)]
    return dict(zip(names, map(float, scores), strict=True))
