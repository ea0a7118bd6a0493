"""Comet: track a training, register the model, load it anywhere.

Importing this module imports neither comet_ml nor, before `CometCallback` is used, Keras.
"""

from typing import TYPE_CHECKING, Any

from skbert_filter.integrations.comet.connection import check_api_key, start
from skbert_filter.integrations.comet.registry import (
    Registration,
    load_model,
    log_model,
    register_folder,
    register_model,
)
from skbert_filter.integrations.comet.tracking import log_evaluation, log_fit

if TYPE_CHECKING:
    from skbert_filter.integrations.comet.callback import CometCallback

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
]


def __getattr__(name: str) -> Any:
    if name != "CometCallback":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from skbert_filter.integrations.comet.callback import CometCallback

    return CometCallback
