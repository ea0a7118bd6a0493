"""Comet: track training runs, register models, load them anywhere.

Importing this module imports neither comet_ml nor Keras.
"""

from skbert_filter.integrations.comet.connection import start
from skbert_filter.integrations.comet.registry import (
    load_model,
    log_model,
    register_folder,
    register_model,
)
from skbert_filter.integrations.comet.tracking import log_evaluation, log_fit

__all__ = [
    "load_model",
    "log_evaluation",
    "log_fit",
    "log_model",
    "register_folder",
    "register_model",
    "start",
]
