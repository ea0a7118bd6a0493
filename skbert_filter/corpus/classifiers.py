"""Loads the classifier of a job from where it is saved, and checks it."""

import os
from os import PathLike
from pathlib import Path
from typing import Any

import joblib
from sklearn.utils.validation import check_is_fitted

from skbert_filter.duplicates.distinct import check_classifier


def load_classifier(model: Any, *, trust: bool = False) -> Any:
    """Return a fitted classifier, which is loaded if `model` says where it is saved.

    Parameters
    ----------
    model : classifier or str or Path
        A fitted classifier; "web" for the bundled filter; a folder written by
        `SmallBertTextFilter.save_pretrained`; ``registry://workspace/name:version`` of Comet's
        model registry; or a file written by joblib or pickle.
    trust : bool, default=False
        Whether to load a file written by joblib or pickle, which runs the code in it.

    Returns
    -------
    classifier : fitted classifier

    Raises
    ------
    FileNotFoundError
        If there is no such folder or file.
    ValueError
        If it is not a classifier, if it is a pickle and `trust` is False, or if it cannot be read.
    """
    name = model_name(model)
    if isinstance(model, str | PathLike):
        if os.fspath(model).startswith("registry:"):
            from skbert_filter.integrations.comet import load_model

            model = load_model(model)
        else:
            model = _load(Path(model), trust=trust)
    return check_classifier(model, name)


def model_name(model: Any) -> str:
    """Return how messages refer to a model: by its path or its class."""
    return f"The model {model if isinstance(model, str | PathLike) else type(model).__name__}"


def _load(path: Path, *, trust: bool) -> Any:
    from skbert_filter.saved_models import find_folder, load_saved

    if find_folder(path).is_dir():
        return load_saved(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"There is no model folder {path}. Give a folder written by save_pretrained "
            "or by `skbert-filter train`."
        )
    if not trust:
        raise ValueError(
            f"{path} is a file, not a folder written by save_pretrained, and loading it would run "
            "the code in it. If you trust its author, pass trust=True (--trust)."
        )

    try:
        model = joblib.load(path)
    except Exception as error:  # the code in the file may raise anything
        raise ValueError(
            f"{path} cannot be loaded by joblib: {type(error).__name__}: {error}."
        ) from error
    if not hasattr(model, "predict"):
        raise ValueError(
            f"{path} holds an object of type {type(model).__name__}, not a fitted classifier."
        )
    check_is_fitted(
        model, msg=f"{path} holds a %(name)s that is not fitted. Fit it, and save it again."
    )
    return model
