"""Saved models: folders of JSON and safetensors that transformers can read, with our metadata.

Writes such folders and verifies their hashes; checkpoint.py reads the models in them.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from tempfile import gettempdir, mkdtemp
from typing import Any, Literal

import numpy as np
from safetensors.numpy import save as as_safetensors
from tokenizers import Tokenizer

from skbert_filter.bert.architecture import Weights
from skbert_filter.bert.pretrained import PretrainedEncoder
from skbert_filter.bert.state import BertState
from skbert_filter.bert.tokenizer import ignores_case, special_tokens
from skbert_filter.io.atomic import atomic_write, check_can_create

Kind = Literal["filter", "encoder"]
Save = Callable[[Path], None]

# The bundled filters by name.
BUNDLED = {"web": Path(__file__).parents[1] / "pretrained" / "web"}

METADATA, WEIGHTS = "skbert_filter.json", "model.safetensors"
FILES = ("config.json", WEIGHTS, "tokenizer.json", "tokenizer_config.json")

_FORMAT_VERSION = 1
_FILTER_CLASS, _ENCODER_CLASS = "BertForSequenceClassification", "BertForMaskedLM"


def save_filter(
    folder: str | os.PathLike, state: BertState, labels: list[str], metadata: dict
) -> None:
    """Write a filter, its class names and its JSON-serializable metadata to a new folder.

    For two classes, the head gets two rows, ``-w / 2`` and ``w / 2``: their softmax is the sigmoid
    of the single logit.
    """
    config = {
        "id2label": {str(i): label for i, label in enumerate(labels)},
        "label2id": {label: i for i, label in enumerate(labels)},
        "problem_type": "single_label_classification",
    }
    head = {}
    if state.architecture.n_logits == 1:
        for name in ("classifier.weight", "classifier.bias"):
            half = state.weights[name] / 2
            head[name] = np.concatenate([-half, half])

    weights = {**state.weights, **head}
    names = ("max_length", "gamma", "label_smoothing", "precision")
    metadata = {**{name: getattr(state, name) for name in names}, **metadata}
    _save(folder, _FILTER_CLASS, config, state, weights, state.max_length, metadata)


def save_encoder(
    folder: str | os.PathLike, encoder: PretrainedEncoder, masked_lm: Weights, metadata: dict
) -> None:
    """Write an encoder, its masked language model head and its metadata to a new folder.

    The output embedding is tied to the word embedding, and not written again.
    """
    weights = {**encoder.weights, **encoder.head, **masked_lm}
    n_positions = encoder.architecture.max_position_embeddings
    config = {"tie_word_embeddings": True}
    _save(folder, _ENCODER_CLASS, config, encoder, weights, n_positions, metadata)


def _save(
    folder: str | os.PathLike,
    model_class: str,
    config: Mapping[str, Any],
    model: BertState | PretrainedEncoder,
    weights: Weights,
    max_length: int,
    metadata: Mapping[str, Any],
) -> None:
    tokenizer = Tokenizer.from_str(model.tokenizer_json)
    sizes = asdict(model.architecture)
    del sizes["n_logits"]
    with new_folder(folder) as path:
        write_config(path, model_class, {**sizes, **config}, tokenizer)
        # safetensors' save_file lets only the owner read the file, and hides that a disk is full.
        (path / WEIGHTS).write_bytes(as_safetensors(dict(weights), {"format": "pt"}))
        write_tokenizer(path, tokenizer, max_length)
        write_metadata(path, metadata)


@contextmanager
def new_folder(folder: str | os.PathLike) -> Iterator[Path]:
    """Yield an empty folder, which is renamed to `folder` once it is complete and on disk."""
    target = Path(folder)
    if target.exists() and not (target.is_dir() and not any(target.iterdir())):
        raise FileExistsError(
            f"{os.fspath(folder)!r} already exists. Choose another folder, or remove it first."
        )

    target.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(target) as partial:
        partial.mkdir()
        yield partial


def write_config(
    folder: Path, model_class: str, config: Mapping[str, Any], tokenizer: Tokenizer
) -> None:
    """Write a config.json from which transformers loads a ``model_class``."""
    pad = special_tokens(tokenizer).get("pad")
    config = {
        "architectures": [model_class],
        "model_type": "bert",
        "hidden_act": "gelu",
        **config,
        "pad_token_id": None if pad is None else tokenizer.token_to_id(pad),
        "dtype": "float32",
    }
    write_json(folder / "config.json", config)


def write_tokenizer(folder: Path, tokenizer: Tokenizer, max_length: int) -> None:
    """Write the files from which AutoTokenizer loads an equal tokenizer."""
    (folder / "tokenizer.json").write_text(tokenizer.to_str(pretty=True), encoding="utf-8")
    config = {
        # Without these, AutoTokenizer lower-cases texts for a cased vocabulary.
        "tokenizer_class": "PreTrainedTokenizerFast",
        "do_lower_case": ignores_case(tokenizer),
        "model_max_length": max_length,
        **{f"{part}_token": name for part, name in special_tokens(tokenizer).items()},
    }
    write_json(folder / "tokenizer_config.json", config)


def write_metadata(folder: Path, metadata: Mapping[str, Any]) -> None:
    """Write JSON-serializable metadata, with the hashes of the other files and of itself."""
    hashes = {file.name: sha256_of(file) for file in sorted(folder.iterdir()) if file.is_file()}
    metadata = {"format_version": _FORMAT_VERSION, "sha256": hashes, **metadata}
    metadata["sha256"][METADATA] = _sha256_of_metadata(metadata)
    write_json(folder / METADATA, metadata)


def checked_metadata(folder: Path, files: Iterable[str] = FILES) -> dict[str, Any]:
    """Return the metadata of a folder, after verifying its hashes, which must cover `files`."""
    metadata = read_json(folder / METADATA)
    version, hashes = metadata.get("format_version"), metadata.get("sha256")
    if version != _FORMAT_VERSION:
        raise ValueError(
            f"{METADATA} in {str(folder)!r} has format_version={version!r}; this version of "
            f"skbert_filter reads {_FORMAT_VERSION}. Install the one that wrote it."
        )
    if not isinstance(hashes, dict):
        raise ValueError(damaged(folder, f"has sha256={hashes!r}, which is not a table of hashes"))

    for name, expected in hashes.items():
        if Path(name).name != name:
            raise ValueError(damaged(folder, f"names {name!r}, which is not a file of that folder"))

        if not (folder / name).is_file():
            raise ValueError(f"{str(folder)!r} is incomplete: {name} is not a regular file.")

        actual = _sha256_of_metadata(metadata) if name == METADATA else sha256_of(folder / name)
        if actual != expected:
            raise ValueError(
                f"{name} in {str(folder)!r} is not the file that was saved: its hash differs. Copy "
                "the folder again from its source, or save the model again."
            )

    if unhashed := {METADATA, *files} - hashes.keys():
        raise ValueError(damaged(folder, f"has no hash of {min(unhashed)}"))
    return metadata


def damaged(folder: Path, problem: str) -> str:
    """Return the message for a folder whose metadata are not those of a saved model."""
    return (
        f"{METADATA} in {str(folder)!r} {problem}. Copy the folder again from its source, or save "
        "the model again; an encoder without classes is passed as checkpoint=."
    )


def find_folder(folder: str | os.PathLike) -> Path:
    """Return the path of a folder, or of the bundled one with that name.

    As with models on the hub, a folder in the working directory comes first if it holds a model.
    """
    path = Path(folder)
    bundled = BUNDLED.get(os.fspath(folder), path)
    return path if (path / "config.json").is_file() else bundled


def kind_of(folder: Path) -> Kind | None:
    """Return what kind of model this package saved in a folder; None if it saved none."""
    if not (folder / METADATA).is_file():
        return None
    config = folder / "config.json"
    is_encoder = config.is_file() and read_json(config).get("architectures") == [_ENCODER_CLASS]
    return "encoder" if is_encoder else "filter"


def check_can_save(folder: Path, kind: Kind, *, overwrite: bool) -> None:
    """Reject a non-empty folder, unless it is a saved model of this kind and to be overwritten."""
    if folder.is_file():
        raise FileExistsError(f"{folder} is a file. Name a folder for the {kind}.")
    check_can_create(folder)

    if not folder.is_dir() or not any(folder.iterdir()):
        return

    if kind_of(folder) != kind:
        raise FileExistsError(
            f"The folder {folder} holds files other than a saved {kind}. Name another folder."
        )
    if (foreign := _foreign_file(folder)) is not None:
        raise FileExistsError(
            f"The folder {folder} holds {foreign}, which is not part of the saved {kind} and "
            "would be lost. Move it away, or name another folder."
        )

    if not overwrite:
        raise FileExistsError(
            f"The folder {folder} holds a saved {kind}. Name another folder, or pass "
            "overwrite=True (--overwrite)."
        )


def _foreign_file(folder: Path) -> str | None:
    """Return the name of a file or folder that is not part of the saved model, if any."""
    metadata = read_json(folder / METADATA)
    files, members = {METADATA, *metadata.get("sha256", ())}, metadata.get("members", ())
    for path in sorted(folder.iterdir()):
        if path.name in members and (path / METADATA).is_file():
            if (foreign := _foreign_file(path)) is not None:
                return f"{path.name}/{foreign}"
        elif path.name not in files:
            return path.name
    return None


def save_over(save: Save, folder: Path, kind: Kind, *, overwrite: bool) -> None:
    """Save a trained model; with `overwrite`, in place of the one that the folder holds.

    If that fails, for instance because the disk is full, the model is saved elsewhere and the error
    reports where, so that the training is not lost.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(folder, overwrite=overwrite) as partial:
            save(partial)
            # The folder may have been filled during training.
            check_can_save(folder, kind, overwrite=overwrite)
    except OSError as error:
        elsewhere = _save_elsewhere(save, folder.name)
        error.add_note(
            f"The {kind} could not be saved anywhere else either."
            if elsewhere is None
            else f"The {kind} is saved in {elsewhere} instead: move it where you want it."
        )
        raise


def _save_elsewhere(save: Save, name: str) -> Path | None:
    # /dev/shm is in memory, and may have room when all disks are full.
    for place in (gettempdir(), "/dev/shm", Path.home()):
        with suppress(OSError):
            folder = Path(mkdtemp(prefix="skbert_filter-", dir=place))
            try:
                save(folder / name)
            except OSError:
                shutil.rmtree(folder, ignore_errors=True)
                raise
            return folder / name
    return None


def read_json(file: Path) -> dict[str, Any]:
    """Read a JSON object."""
    try:
        value = json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{file.name} in {str(file.parent)!r} is damaged: {error}") from None
    if not isinstance(value, dict):
        raise ValueError(f"{file.name} in {str(file.parent)!r} is not a JSON object.")
    return value


def write_json(file: Path, value: Mapping[str, Any]) -> None:
    """Write a JSON object, indented for people."""
    file.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def sha256_of(file: Path) -> str:
    """Return the SHA-256 of a file."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _sha256_of_metadata(metadata: Mapping[str, Any]) -> str:
    """Hash the content of the metadata, however their file is laid out."""
    hashes = {name: value for name, value in metadata["sha256"].items() if name != METADATA}
    text = json.dumps({**metadata, "sha256": hashes}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
