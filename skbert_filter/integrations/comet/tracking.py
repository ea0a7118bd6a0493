"""Log a fit and the scores of a classifier to Comet."""

import json
import math
from io import StringIO
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import is_classifier
from sklearn.frozen import FrozenEstimator
from sklearn.utils.validation import check_is_fitted

from skbert_filter.duplicates.distinct import last_step
from skbert_filter.inspection.evaluation import Evaluation, evaluate
from skbert_filter.integrations.comet.connection import logging_to

_LISTS_OF_MEMBERS = ("steps", "transformers", "transformer_list", "estimators")


def log_fit(experiment: Any, estimator: Any, *, prefix: str = "") -> None:
    """Log a fitted estimator's parameters, history and origin to Comet.

    Parameters
    ----------
    experiment : comet_ml.CometExperiment
        If it has ended, or Comet fails, there is a warning and no error.
    estimator : estimator
        A fitted filter, or any other fitted estimator: a pipeline, a `DedupPredictor`, a search.
    prefix : str, default=""
        A prefix for all names, to distinguish two fits in one experiment.

    Notes
    -----
    This logs the parameters; for a search, the best ones and the results; the `history_` of the
    filter inside; and, as "others", its `training_record_`, fingerprint, labels and decision
    threshold. To follow the epochs live, pass ``callbacks=[experiment.get_callback("tf-keras")]``
    to `fit`; they are not logged twice.
    """
    check_is_fitted(estimator)
    with logging_to(experiment, "the fit"):
        inner = _fitted_inside(estimator)
        parameters = {
            # Comet takes a pipeline for a list, and warns about lists of objects and long values.
            name: " ".join(str(value).split())[:1000] if hasattr(value, "get_params") else value
            for name, value in estimator.get_params().items()
            if name.rpartition("__")[2] not in _LISTS_OF_MEMBERS
        }
        experiment.log_parameters(parameters, prefix=prefix or None, nested_support=False)

        if hasattr(estimator, "cv_results_"):
            # A search with several scores and refit=False has no best candidate.
            best = getattr(estimator, "best_params_", {})
            experiment.log_parameters(best, prefix=f"{prefix}best__", nested_support=False)
            if hasattr(estimator, "best_score_"):
                experiment.log_metric(f"{prefix}best_score", float(estimator.best_score_))
            table = pd.DataFrame(estimator.cv_results_)
            _log_csv(experiment, f"{prefix}cv_results.csv", table)

        if hasattr(inner, "history_"):
            _log_history(experiment, inner, prefix)
        # The prefix is part of the name, since Comet does not add its context to "others".
        origin = _origin(estimator, inner)
        experiment.log_others({f"{prefix}{name}": value for name, value in origin.items()})


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
        If it has ended, or Comet fails, there is a warning and no error.
    estimator, X_test, y_test
        As for :func:`~skbert_filter.inspection.evaluate`.
    evaluation : Evaluation, default=None
        The result of `evaluate` for these, if you have it already.
    prefix : str, default="test"
        A prefix for all names.
    n_errors : int, default=100
        How many of the most confident errors to log. Their texts leave your machine: 0 keeps
        them here.
    **params : dict
        Passed to `evaluate`, whose errors are raised.

    Returns
    -------
    evaluation : Evaluation

    Notes
    -----
    This logs the scores (``test_accuracy``, with its 95 % interval as ``test_accuracy_low`` and
    ``test_accuracy_high``), those of each baseline (``test_accuracy [word-count rule]``), tests
    and leaks, the confusion matrix, ``test_scores.csv`` and ``test_errors.csv``. To log a plot,
    call ``experiment.log_figure("calibration", display.figure_)``.

    Examples
    --------
    ::

        evaluation = log_evaluation(
            experiment, model, X_test, y_test, X_train=X_train, y_train=y_train)
        print(evaluation)
    """
    if evaluation is None:
        evaluation = evaluate(estimator, X_test, y_test, n_errors=n_errors, **params)

    with logging_to(experiment, "the evaluation"):
        _log_scores(experiment, evaluation, prefix)
        experiment.log_confusion_matrix(
            matrix=evaluation.confusion.to_numpy().tolist(),
            labels=[str(label) for label in evaluation.confusion.index],
            title=f"{prefix}: labels and predictions",
            row_label="label",
            column_label="predicted",
            file_name=f"{prefix}_confusion.json",
        )
        _log_csv(experiment, f"{prefix}_scores.csv", evaluation.to_frame().reset_index())
        _log_csv(experiment, f"{prefix}_errors.csv", evaluation.errors.head(n_errors))
    return evaluation


def _fitted_inside(estimator: Any) -> Any:
    """Return the estimator that was trained on the texts, inside any meta-estimators."""
    estimator = last_step(estimator)
    for attribute in ("best_estimator_", "estimator_"):
        if hasattr(estimator, attribute):
            return _fitted_inside(getattr(estimator, attribute))

    # DedupPredictor, among others, may wrap a frozen estimator without being fitted itself.
    inner = getattr(estimator, "estimator", None)
    return _fitted_inside(inner) if isinstance(inner, FrozenEstimator) else estimator


def _log_csv(experiment: Any, name: str, table: pd.DataFrame) -> None:
    # Comet's log_table would send a file of this name from the working directory instead.
    experiment.log_asset(StringIO(table.to_csv(index=False)), file_name=name)


def _log_history(experiment: Any, model: Any, prefix: str) -> None:
    history = {f"{prefix}{name}": values for name, values in model.history_.items()}
    # A callback, or Comet itself, has logged it already.
    if all(experiment.metrics.get(name) == values[-1] for name, values in history.items()):
        return

    trained_on = getattr(model, "training_record_", {}).get("trained_on")
    for epoch in range(1, model.n_iter_ + 1):
        experiment.log_metrics(
            {name: values[epoch - 1] for name, values in history.items()},
            step=trained_on and math.ceil(trained_on / model.batch_size) * epoch,
            epoch=epoch,
        )


def _origin(estimator: Any, inner: Any) -> dict[str, Any]:
    """Return where a fitted estimator and its data come from."""
    origin: dict[str, Any] = {"estimator": type(inner).__name__}
    for name, value in getattr(inner, "training_record_", {}).items():
        for key, item in (value if isinstance(value, dict) else {"": value}).items():
            if item is not None:
                origin[f"training/{name}/{key}".rstrip("/")] = item

    origin |= {n: getattr(inner, n) for n in ("n_iter_", "fingerprint_") if hasattr(inner, n)}

    if is_classifier(estimator) and hasattr(estimator, "classes_"):
        origin["classes"] = json.dumps(estimator.classes_.tolist(), default=str)
        if len(estimator.classes_) == 2:
            origin["decision_threshold"] = getattr(estimator, "best_threshold_", 0.5)
    return origin


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
