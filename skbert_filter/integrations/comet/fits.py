"""Log what a fit was given, how it went, and where its data come from."""

import json
import math
from io import StringIO
from numbers import Number
from typing import Any

import pandas as pd
from sklearn.base import is_classifier
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from skbert_filter.integrations.comet.client import failing_softly, import_comet, is_open

_LISTS_OF_MEMBERS = ("steps", "transformers", "transformer_list", "estimators")


def log_fit(experiment: Any, estimator: Any) -> None:
    """Log a fitted estimator's parameters, history and origin to Comet.

    Parameters
    ----------
    experiment : comet_ml.CometExperiment
        Where to log to.
    estimator : estimator
        A fitted filter, or any other fitted estimator: a pipeline, a `DedupPredictor`, a search.

    Warns
    -----
    UserWarning
        If Comet fails, or the experiment has ended. The program goes on.

    See Also
    --------
    CometCallback : Logs the history while the fit runs.
    log_evaluation : Logs the scores on held-out texts.

    Notes
    -----
    Logged are

    - as parameters, all that ``get_params`` gives, by scikit-learn's names (``clf__epochs``);
      of a search also its best parameters, as ``best__clf__epochs``, with its ``best_score`` as
      a metric and its table as ``cv_results.csv``;
    - as metrics, the `history_` of the filter inside, epoch by epoch, unless a `CometCallback` or
      Comet's own logging has done so;
    - as others, its `training_record_`: rows, distinct texts, conflicts, class balance, hash of
      the training texts, split and seeds, best epoch, vocabulary and versions; the
      number of epochs, the fingerprint, the labels and the decision threshold.

    Examples
    --------
    ::

        experiment = start("website-texts")
        model = SmallBertTextFilter().fit(X, y, callbacks=[CometCallback(experiment)])
        log_fit(experiment, model)
    """
    check_is_fitted(estimator)
    if not is_open(experiment, "the fit"):
        return
    with failing_softly("the fit"):
        _log_parameters(experiment, estimator.get_params())
        if hasattr(estimator, "cv_results_"):
            _log_search(experiment, estimator)
        log_course(experiment, estimator)


def log_course(experiment: Any, estimator: Any, prefix: str = "") -> None:
    """Log how a fit went and where its data come from, without the parameters."""
    inner = fitted_inside(estimator)
    if hasattr(inner, "history_"):
        _log_history(experiment, inner, prefix)
    origin = _origin(estimator, inner)
    # By the name itself, since Comet does not put its context before the name of an "other".
    experiment.log_others({f"{prefix}{name}": value for name, value in origin.items()})


def fitted_inside(estimator: Any) -> Any:
    """Return the estimator that learnt from the texts: the last one inside of meta-estimators."""
    for attribute in ("best_estimator_", "estimator_"):
        if hasattr(estimator, attribute):
            return fitted_inside(getattr(estimator, attribute))
    if isinstance(estimator, FrozenEstimator):
        return fitted_inside(estimator.estimator)
    if isinstance(estimator, Pipeline):
        return fitted_inside(estimator[-1])
    # DedupPredictor, and others, may wrap a frozen estimator without a fit of their own.
    inner = getattr(estimator, "estimator", None)
    return fitted_inside(inner) if isinstance(inner, FrozenEstimator) else estimator


def _log_parameters(experiment: Any, parameters: dict[str, Any]) -> None:
    """Log parameters, but for the lists of steps whose members are there by name."""
    logged = {
        name: _plain(value)
        for name, value in parameters.items()
        if name.rpartition("__")[2] not in _LISTS_OF_MEMBERS
    }
    for name, value in logged.copy().items():
        # Comet logs equal values once, but NaN equals nothing.
        if isinstance(value, float) and math.isnan(value) and name in experiment.params:
            del logged[name]
    experiment.log_parameters(logged, nested_support=False)


def _plain(value: Any) -> Any:
    if isinstance(value, Number | str | tuple | list | None):
        return value
    # Comet logs equal values once, and its own logging makes this text of an object.
    convert = import_comet("comet_ml.convert_utils").convert_to_string_value
    return convert(value, import_comet("comet_ml.config").MAXIMAL_VALUE_LENGTH)


def _log_search(experiment: Any, search: Any) -> None:
    best = getattr(search, "best_params_", {})
    _log_parameters(experiment, {f"best__{name}": value for name, value in best.items()})
    # A search with several scores and refit=False has no best one.
    if hasattr(search, "best_score_"):
        experiment.log_metric("best_score", float(search.best_score_))
    log_csv(experiment, "cv_results.csv", pd.DataFrame(search.cv_results_))


def log_csv(experiment: Any, name: str, table: pd.DataFrame) -> None:
    """Log a table as a file."""
    # Comet's log_table would send a file of this name from the working directory instead.
    experiment.log_asset(StringIO(table.to_csv(index=False)), file_name=name)


def _log_history(experiment: Any, model: Any, prefix: str) -> None:
    history = {f"{prefix}{name}": values for name, values in model.history_.items()}
    if all(_last(experiment, name) == values[-1] for name, values in history.items()):
        return
    trained_on = getattr(model, "training_record_", {}).get("trained_on")
    for epoch in range(1, model.n_iter_ + 1):
        experiment.log_metrics(
            {name: values[epoch - 1] for name, values in history.items()},
            step=trained_on and math.ceil(trained_on / model.batch_size) * epoch,
            epoch=epoch,
        )


def _last(experiment: Any, metric: str) -> float | None:
    try:
        return experiment.get_metric(metric)
    except KeyError:
        return None


def _origin(estimator: Any, inner: Any) -> dict[str, Any]:
    origin: dict[str, Any] = {"estimator": type(inner).__name__}
    record = getattr(inner, "training_record_", {})
    for name, value in record.items():
        values = value if isinstance(value, dict) else {"": value}
        for part, each in values.items():
            if each is not None:
                origin[f"training/{name}/{part}".rstrip("/")] = each
    for name in ("n_iter_", "fingerprint_"):
        if hasattr(inner, name):
            origin[name] = getattr(inner, name)
    if is_classifier(estimator) and hasattr(estimator, "classes_"):
        classes = estimator.classes_.tolist()
        origin["classes"] = json.dumps(classes, default=str)
        if len(classes) == 2:
            origin["decision_threshold"] = getattr(estimator, "best_threshold_", 0.5)
    return origin
