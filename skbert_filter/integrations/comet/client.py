"""The one place where comet_ml is imported, and where its errors are put into words.

Comet logs most errors away, prints an API key that its server refuses, and raises what requests
raises. Here a failure becomes one warning or one built-in exception, and never shows a key.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType
from typing import Any


def import_comet(module: str = "comet_ml") -> ModuleType:
    """Import comet_ml, or a module that comes with the extra.

    Raises
    ------
    ModuleNotFoundError
        If it is not installed; the message names the extra.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module.partition(".")[0]:
            raise
        raise ModuleNotFoundError(
            f"This needs {error.name}, which is not installed. Run: "
            "pip install 'skbert_filter[comet]'",
            name=error.name,
        ) from None


def check_experiment(experiment: Any) -> None:
    """Refuse what is no experiment of Comet."""
    if not isinstance(experiment, import_comet().CometExperiment):
        raise TypeError(
            f"experiment must be an experiment of Comet, such as start() returns; got "
            f"{type(experiment).__name__}."
        )


def is_open(experiment: Any, task: str) -> bool:
    """Return whether an experiment still takes something; tell if it has ended."""
    check_experiment(experiment)
    if not experiment.alive and not experiment.disabled:
        warnings.warn(
            f"The Comet experiment has ended, so that {task} is not logged. Log it before "
            "experiment.end(), or to another experiment.",
            stacklevel=3,
        )
    return experiment.alive


@contextmanager
def failing_softly(task: str) -> Iterator[None]:
    """Turn any error inside Comet into one warning."""
    try:
        yield
    except Exception as error:
        warnings.warn(
            f"Comet failed at logging {task}, and your program goes on without: {reason(error)}",
            stacklevel=4,  # past this function, contextlib's and the one that is logging
        )


def reason(error: BaseException) -> str:
    """Return what an error says, without the API key that Comet's errors may quote."""
    exceptions = import_comet("comet_ml.exceptions")
    if isinstance(error, exceptions.Unauthorized | exceptions.InvalidAPIKey):
        return "it refuses the API key."
    return f"{type(error).__name__}: {error}"


def answer_to(error: BaseException) -> Any:
    """Return the HTTP answer that an error comes from, or None."""
    exceptions = import_comet("comet_ml.exceptions")
    seen: BaseException | None = error
    while seen is not None and not isinstance(seen, exceptions.CometRestApiException):
        seen = seen.__cause__ or seen.__context__
    return None if seen is None else seen.response
