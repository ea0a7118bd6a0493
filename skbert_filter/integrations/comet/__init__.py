"""Comet: track a training, register the model, load it anywhere.

Each name is imported on its first use. Importing this module imports neither comet_ml nor Keras.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from skbert_filter.integrations.comet.callback import CometCallback
    from skbert_filter.integrations.comet.configuration import check_api_key, start
    from skbert_filter.integrations.comet.evaluations import log_evaluation
    from skbert_filter.integrations.comet.fits import log_fit
    from skbert_filter.integrations.comet.jobs import register_folder, train_and_log
    from skbert_filter.integrations.comet.models import Registration, log_model, register_model
    from skbert_filter.integrations.comet.registry import load_model

_MODULE_OF = {
    "CometCallback": "callback",
    "Registration": "models",
    "check_api_key": "configuration",
    "load_model": "registry",
    "log_evaluation": "evaluations",
    "log_fit": "fits",
    "log_model": "models",
    "register_folder": "jobs",
    "register_model": "models",
    "start": "configuration",
    "train_and_log": "jobs",
}

__all__ = [
    "CometCallback",
    "Registration",
    "check_api_key",
    "load_model",
    "log_evaluation",
    "log_fit",
    "log_model",
    "register_folder",
    "register_model",
    "start",
    "train_and_log",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
