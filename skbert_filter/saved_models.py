"""Saves and loads the filter, TF-IDF with shape, and their mean, as JSON and safetensors.

Nothing that is loaded here can run code.
"""

import os
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save
from sklearn.ensemble import VotingClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import LabelEncoder
from sklearn.utils import Bunch

from skbert_filter.bert.folder import (
    METADATA,
    checked_metadata,
    damaged,
    find_folder,
    kind_of,
    new_folder,
    read_json,
    sha256_of,
    write_json,
    write_metadata,
)
from skbert_filter.inspection.baselines import tfidf_shape_baseline
from skbert_filter.text_filter import SmallBertTextFilter

_TFIDF, _MEAN = "tfidf", "mean"
_MEMBERS = ("bert", "tfidf")
_ARRAYS, _VOCABULARIES = "tfidf.safetensors", "vocabularies.json"
_VECTORIZERS = ("words", "characters")


class MeanTextFilter(VotingClassifier):
    """The mean of the probabilities of the filter and TF-IDF."""

    predicts_most_probable_class = True


def mean_of(bert: SmallBertTextFilter, tfidf: Pipeline) -> MeanTextFilter:
    """Return the unfitted mean of two classifiers."""
    return MeanTextFilter(list(zip(_MEMBERS, (bert, tfidf), strict=True)), voting="soft")


def update_record(model: Any, **entries: Any) -> None:
    """Add to the training record of a fitted classifier, which is saved with it."""
    model.training_record_ = {**getattr(model, "training_record_", {}), **entries}


def save_classifier(model: Any, folder: str | os.PathLike[str]) -> None:
    """Save a fitted filter, `tfidf_shape_baseline` or the mean of both to a new folder."""
    if isinstance(model, SmallBertTextFilter):
        model.save_pretrained(folder)
    elif isinstance(model, VotingClassifier):
        with new_folder(folder) as path:
            for name, member in zip(_MEMBERS, model.estimators_, strict=True):
                save_classifier(member, path / name)
            members = {name: sha256_of(path / name / METADATA) for name in _MEMBERS}
            write_metadata(path, {"kind": _MEAN, "members": members, **_metadata_of(model)})
    elif list(getattr(model, "named_steps", ())) == list(tfidf_shape_baseline().named_steps):
        with new_folder(folder) as path:
            _write_tfidf(model, path)
    else:
        raise TypeError(
            f"A {type(model).__name__} cannot be saved as a folder of JSON and safetensors. "
            "Save it with joblib; or send it to Comet with comet_ml.integration.sklearn."
        )


def load_saved(folder: str | os.PathLike[str]) -> Any:
    """Load a classifier saved by `save_classifier`."""
    path = find_folder(folder)
    if kind_of(path) == "encoder":
        raise ValueError(
            f"{os.fspath(folder)!r} is a pretrained encoder, not a filter. Train a filter that "
            "starts from it: pass it as checkpoint= (--checkpoint)."
        )
    kind = read_json(path / METADATA).get("kind") if (path / METADATA).is_file() else None
    if kind == _TFIDF:
        return _read_tfidf(path)
    if kind == _MEAN:
        return _read_mean(path)
    return SmallBertTextFilter.from_pretrained(folder)


def _write_tfidf(model: Pipeline, path: Path) -> None:
    features, regression = model.named_steps["features"], model.named_steps["classifier"]
    vectorizers = {name: features.named_transformers[name] for name in _VECTORIZERS}
    scaler = features.named_transformers["shape"][-1]
    arrays = {
        **{f"{name}.idf": vectorizer.idf_ for name, vectorizer in vectorizers.items()},
        "shape.mean": scaler.mean_,
        "shape.scale": scaler.scale_,
        "coef": regression.coef_,
        "intercept": regression.intercept_,
    }
    arrays = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    # The errors of save_file are not OSErrors.
    (path / _ARRAYS).write_bytes(save(arrays))
    terms = {name: v.get_feature_names_out().tolist() for name, v in vectorizers.items()}
    write_json(path / _VOCABULARIES, terms)
    write_metadata(path, {"kind": _TFIDF, **_metadata_of(model)})


def _read_tfidf(path: Path) -> Pipeline:
    metadata = _checked(path, _ARRAYS, _VOCABULARIES)
    vocabularies = read_json(path / _VOCABULARIES)
    model = tfidf_shape_baseline()
    features, regression = model.named_steps["features"], model.named_steps["classifier"]
    try:
        arrays = load_file(path / _ARRAYS)
        for name in _VECTORIZERS:
            vectorizer = features.named_transformers[name]
            vectorizer.vocabulary_ = {term: i for i, term in enumerate(vocabularies[name])}
            vectorizer.idf_ = arrays[f"{name}.idf"]

        scaler = features.named_transformers["shape"][-1]
        scaler.mean_, scaler.scale_ = arrays["shape.mean"], arrays["shape.scale"]
        scaler.var_, scaler.n_features_in_ = scaler.scale_**2, len(scaler.scale_)
        regression.coef_, regression.intercept_ = arrays["coef"], arrays["intercept"]
        regression.classes_ = _classes(metadata)
        regression.n_features_in_ = regression.coef_.shape[1]
        model.training_record_ = metadata["training_record"]
        model.predict_proba([""])
    except (KeyError, TypeError, ValueError, SafetensorError) as error:
        raise ValueError(
            f"{os.fspath(path)!r} is not a saved TF-IDF classifier: {error}. Copy the folder again "
            "from its source, or save the model again."
        ) from error
    return model


def _read_mean(path: Path) -> MeanTextFilter:
    metadata = _checked(path)
    for name in _MEMBERS:
        # The metadata contain the hashes of all other files of the member.
        saved = path / name / METADATA
        if not saved.is_file() or metadata["members"].get(name) != sha256_of(saved):
            raise ValueError(
                f"{name}/ in {os.fspath(path)!r} is not the classifier that was saved there. Copy "
                "the folder again from its source, or save the model again."
            )
    classes = _classes(metadata)
    members = [load_saved(path / name) for name in _MEMBERS]
    model = mean_of(*members)
    # The attributes that its own fit would set.
    model.estimators_ = members
    model.named_estimators_ = Bunch(**dict(zip(_MEMBERS, members, strict=True)))
    model.le_ = LabelEncoder().fit(classes)
    model.classes_ = classes
    model.training_record_ = metadata["training_record"]
    return model


def _metadata_of(model: Any) -> dict[str, Any]:
    return {
        "classes": model.classes_.tolist(),
        "classes_dtype": model.classes_.dtype.str,
        "training_record": getattr(model, "training_record_", {}),
    }


def _checked(path: Path, *files: str) -> dict[str, Any]:
    """Return the metadata of a folder, checked to have the entries that are saved here."""
    metadata = {"members": {}, **checked_metadata(path, files)}
    kinds = {"classes": list, "classes_dtype": str, "training_record": dict, "members": dict}
    for name, kind in kinds.items():
        if not isinstance(metadata.get(name), kind):
            raise ValueError(damaged(path, f"has {name}={metadata.get(name)!r}"))
    return metadata


def _classes(metadata: dict[str, Any]) -> np.ndarray:
    return np.array(metadata["classes"], dtype=np.dtype(metadata["classes_dtype"]))
