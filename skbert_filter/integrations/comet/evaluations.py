"""Log how good a fitted classifier is on texts it has not seen."""

from typing import Any

import numpy as np
from sklearn.calibration import CalibrationDisplay
from sklearn.metrics import PrecisionRecallDisplay

from skbert_filter.duplicates.training_rows import training_rows
from skbert_filter.inspection.evaluation import Evaluation, evaluate
from skbert_filter.inspection.scores import Answers
from skbert_filter.integrations.comet.client import failing_softly, import_comet, is_open
from skbert_filter.integrations.comet.fits import log_csv
from skbert_filter.validation import check_labels, check_texts

# A precision-recall plot with more lines than these cannot be read.
_CLASSES_SHOWN = 8


def log_evaluation(
    experiment: Any,
    estimator: Any,
    X_test: Any,
    y_test: Any,
    *,
    evaluation: Evaluation | None = None,
    prefix: str = "test",
    n_errors: int = 100,
    **params: Any,
) -> Evaluation:
    """Score a fitted classifier on held-out texts, and log the scores to Comet.

    Parameters
    ----------
    experiment : comet_ml.CometExperiment
        Where to log to.
    estimator : classifier
        Any fitted text classifier.
    X_test : container of str, of length n_samples
        Texts that it has not been fitted on.
    y_test : array-like of shape (n_samples,)
        Their labels.
    evaluation : Evaluation, default=None
        What :func:`~skbert_filter.inspection.evaluate` has returned for these, if it was called
        already.
    prefix : str, default="test"
        What the names of all that is logged begin with.
    n_errors : int, default=100
        How many of the most confident errors to log, with their texts.
    **params : dict
        Passed to :func:`~skbert_filter.inspection.evaluate`: `X_train` and `y_train` for
        baselines and leaks, `baselines`, `duplicates`, `name`.

    Returns
    -------
    evaluation : Evaluation

    Warns
    -----
    UserWarning
        If Comet fails, or the experiment has ended. The program goes on.

    Raises
    ------
    ValueError
        As :func:`~skbert_filter.inspection.evaluate`.

    Notes
    -----
    Logged are the scores as metrics (``test_accuracy``, with the ends of its 95 % interval as
    ``test_accuracy_low`` and ``test_accuracy_high``, and so on), those of each
    baseline beside them (``test_accuracy [word-count rule]``), McNemar's tests and leaked texts
    as others, the confusion matrix, curves of precision and recall and of calibration as figures,
    and two tables: ``test_scores.csv`` with all classifiers and ``test_errors.csv``. The texts of
    the errors leave your machine with them: ``n_errors=0`` keeps them here.

    Examples
    --------
    ::

        evaluation = log_evaluation(
            experiment, model, X_test, y_test, X_train=X_train, y_train=y_train)
        print(evaluation)
    """
    if evaluation is None:
        evaluation = evaluate(estimator, X_test, y_test, n_errors=n_errors, **params)
    if not is_open(experiment, "the evaluation"):
        return evaluation
    with failing_softly("the evaluation"):
        _log_scores(experiment, evaluation, prefix)
        labels = [str(label) for label in evaluation.confusion.index]
        experiment.log_confusion_matrix(
            matrix=evaluation.confusion.to_numpy().tolist(),
            labels=labels,
            title=f"{prefix}: labels and predictions",
            row_label="label",
            column_label="predicted",
            file_name=f"{prefix}_confusion.json",
        )
        log_csv(experiment, f"{prefix}_scores.csv", evaluation.to_frame().reset_index())
        log_csv(experiment, f"{prefix}_errors.csv", evaluation.errors.head(n_errors))
        weighted = evaluation.duplicates == "keep"
        for name, figure in _figures(estimator, X_test, y_test, weighted).items():
            experiment.log_figure(f"{prefix}_{name}", figure)
    return evaluation


def _log_scores(experiment: Any, evaluation: Evaluation, prefix: str) -> None:
    metrics = {f"{prefix}_n_wrong": evaluation.n_wrong}
    for scores in (evaluation, *evaluation.baselines):
        suffix = "" if scores is evaluation else f" [{scores.name}]"
        for name, value in scores.figures().items():
            if name != "name" and not np.isnan(value):
                metrics[f"{prefix}_{name}{suffix}"] = value
    experiment.log_metrics(metrics)
    others = {f"{prefix} against {test.second}": str(test) for test in evaluation.tests}
    others[f"{prefix} counting"] = evaluation.counting
    if evaluation.leaks:
        others[f"{prefix} leaks"] = evaluation.leaks
    experiment.log_others(others)


def _figures(estimator: Any, X_test: Any, y_test: Any, weighted: bool) -> dict[str, Any]:
    """Draw the curves of the answers, each text counted as in the evaluation."""
    texts = check_texts(X_test, name="X_test")
    classes, codes = np.unique(
        check_labels(y_test, len(texts), name="y_test", of="X_test"), return_inverse=True
    )
    rows = training_rows(texts, codes, np.ones(len(texts)), len(classes), duplicates="weight")
    y = classes[rows.classes]
    weight = rows.weights if weighted else np.ones(len(y))
    answers = Answers.of(estimator, rows.texts, y, type(estimator).__name__)
    figures = {}
    if (ranking := answers.ranking) is not None:
        figures["precision_recall"] = _precision_recall(answers.classes, ranking, y, weight)
    # sklearn's calibration curve takes no weights.
    if (proba := answers.proba) is not None and not weighted:
        figures["calibration"] = _calibration(answers, proba, y)
    return figures


def _precision_recall(
    classes: np.ndarray, ranking: np.ndarray, y: np.ndarray, weight: np.ndarray
) -> Any:
    figure, axes = _new_figure()
    columns = range(1, 2) if len(classes) == 2 else range(len(classes))
    frequent = sorted(columns, key=lambda column: -(y == classes[column]).sum())
    for column in frequent[:_CLASSES_SHOWN]:
        is_class = y == classes[column]
        if is_class.any():
            PrecisionRecallDisplay.from_predictions(
                is_class,
                ranking[:, column],
                sample_weight=weight,
                name=f"label {classes[column]}",
                ax=axes,
            )
    return figure


def _calibration(answers: Answers, proba: np.ndarray, y: np.ndarray) -> Any:
    figure, axes = _new_figure()
    if len(answers.classes) == 2:
        happened, probability = y == answers.classes[1], proba[:, 1]
        name = f"label {answers.classes[1]}"
    else:
        happened, probability = y == answers.predicted, answers.confidence
        name = "the label predicted"
    CalibrationDisplay.from_predictions(
        happened, probability, n_bins=10, strategy="quantile", name=name, ax=axes
    )
    return figure


def _new_figure() -> tuple[Any, Any]:
    # Not by pyplot, which would keep each figure of a long session.
    figure = import_comet("matplotlib.figure").Figure(layout="constrained")
    return figure, figure.subplots()
