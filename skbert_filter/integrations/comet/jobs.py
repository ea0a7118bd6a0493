"""Whole jobs, from files to Comet: what `skbert-filter train --comet` and `register` call."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from skbert_filter.inspection.evaluation import Evaluation
from skbert_filter.integrations.comet.client import failing_softly
from skbert_filter.integrations.comet.configuration import start
from skbert_filter.integrations.comet.evaluations import log_evaluation
from skbert_filter.integrations.comet.fits import log_course, log_fit
from skbert_filter.integrations.comet.models import (
    Registration,
    check_registration,
    log_model,
    register_model,
)
from skbert_filter.text_filter import SmallBertTextFilter
from skbert_filter.train import TrainingSummary, train_filter


def train_and_log(
    experiment: Any, source: str | Path, destination: str | Path, **params: Any
) -> TrainingSummary:
    """Call :func:`~skbert_filter.train.train_filter`, and log all of it to Comet.

    Parameters
    ----------
    experiment : comet_ml.CometExperiment
        Where to log to.
    source, destination : str or Path
        The table of labels, and the folder to save the filter in.
    **params : dict
        Passed to `train_filter`.

    Returns
    -------
    summary : TrainingSummary

    Warns
    -----
    UserWarning
        If Comet fails. The filter is trained and saved nevertheless.

    Notes
    -----
    Logged are the fit that is scored, its scores, and the saved filter as ``model``. Where that has
    learnt from all labels, the names of its history and origin begin with ``refit_``.

    Examples
    --------
    ::

        experiment = start("website-texts")
        summary = train_and_log(experiment, "labels.csv", "model/")
        experiment.end()
    """

    def on_scored(model: Any, X_test: Any, y_test: Any, evaluation: Evaluation) -> None:
        log_fit(experiment, model)
        log_evaluation(experiment, model, X_test, y_test, evaluation=evaluation)

    summary = train_filter(source, destination, on_scored=on_scored, **params)
    with failing_softly("the saved filter"):
        if summary.refit:
            log_course(experiment, summary.model, prefix="refit_")
        log_model(experiment, summary.model)
    return summary


def register_folder(
    folder: str | Path,
    name: str,
    version: str | None = None,
    *,
    tags: Sequence[str] | None = None,
    status: str | None = None,
    project_name: str | None = None,
    **settings: Any,
) -> Registration:
    """Register a filter that is saved in a folder, from an experiment of its own.

    Parameters
    ----------
    folder : str or Path
        A folder written by `save_pretrained` or ``skbert-filter train``.
    name, version, tags, status
        As for :func:`register_model`.
    project_name : str, default=None
        The project of the experiment.
    **settings : dict
        Passed to :func:`start`, such as ``offline=True``.

    Returns
    -------
    registration : Registration

    Raises
    ------
    FileNotFoundError
        If there is no such folder.
    ValueError, TypeError, PermissionError, ConnectionError, RuntimeError
        As :func:`register_model`.

    Examples
    --------
    ::

        register_folder("model/", "website-filter", project_name="website-texts").uri
    """
    model = SmallBertTextFilter.from_pretrained(folder)
    name, version = check_registration(
        name, version, tags, status, offline=settings.get("offline", False)
    )
    experiment = start(project_name, **settings)
    try:
        log_fit(experiment, model)
        return register_model(experiment, model, name, version, tags=tags, status=status)
    finally:
        experiment.end()
