"""The saved folder: what transformers reads, and what this package adds, in JSON and safetensors.

Nothing that is read here can run code. A filter of two classes is saved with a head of two rows,
``-w / 2`` and ``w / 2``, so that a softmax over them is the sigmoid of the one logit.
"""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save
from tokenizers import Tokenizer

from skbert_filter.bert.architecture import Architecture, Precision, Weights
from skbert_filter.bert.config import architecture_of
from skbert_filter.bert.state import BertState
from skbert_filter.bert.tokenizer import ignores_case, load_tokenizer, special_tokens
from skbert_filter.io.atomic import written_aside

# Filters that are part of this package, by the names that stand for their folders.
BUNDLED = {"web": Path(__file__).parents[1] / "pretrained" / "web"}

FORMAT_VERSION = 1
METADATA = "skbert_filter.json"
ENCODER_CLASS = "BertForMaskedLM"
_FILES = ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json")

_NUMBER = (int, float)
_FIELDS: dict[str, tuple[type, ...]] = {
    "max_length": (int,),
    "gamma": _NUMBER,
    "label_smoothing": _NUMBER,
    "precision": (str,),
    "classes": (list,),
    "classes_dtype": (str,),
    "parameters": (dict,),
    "history": (dict,),
    "training_record": (dict,),
    "fingerprint": (str,),
}


def save_folder(folder: str | os.PathLike, state: BertState, labels: list[str], own: dict) -> None:
    """Write a state, the names of its classes and our own JSON-able metadata to a new folder.

    The folder appears under its name when it is complete, or not at all.
    """
    tokenizer = Tokenizer.from_str(state.tokenizer_json)
    config = {
        "id2label": {str(i): label for i, label in enumerate(labels)},
        "label2id": {label: i for i, label in enumerate(labels)},
        "problem_type": "single_label_classification",
    }
    sizes = asdict(state.architecture)
    del sizes["n_logits"]
    with new_folder(folder) as path:
        write_config(path, "BertForSequenceClassification", {**sizes, **config}, tokenizer)
        write_weights(path, _with_head_of_two(state.weights))
        write_tokenizer(path, tokenizer, state.max_length)
        parts = ("max_length", "gamma", "label_smoothing", "precision")
        write_metadata(path, {**{name: getattr(state, name) for name in parts}, **own})


@contextmanager
def new_folder(folder: str | os.PathLike) -> Iterator[Path]:
    """Lend an empty folder, which takes its name when the block has ended well.

    By then its files are on the disk, so that a crash of the machine leaves it whole or not there.
    """
    target = Path(folder)
    if target.exists() and not (target.is_dir() and not any(target.iterdir())):
        raise FileExistsError(
            f"{os.fspath(folder)!r} exists already. Choose another folder, or remove it first."
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    with written_aside(target) as made:
        made.mkdir()
        yield made


def write_config(
    folder: Path, model_class: str, config: Mapping[str, Any], tokenizer: Tokenizer
) -> None:
    """Write the config.json by which transformers loads a model of a class of its own."""
    pad = special_tokens(tokenizer).get("pad")
    whole = {
        "architectures": [model_class],
        "model_type": "bert",
        "hidden_act": "gelu",
        **config,
        "pad_token_id": None if pad is None else tokenizer.token_to_id(pad),
        "dtype": "float32",
    }
    write_json(folder / "config.json", whole)


def write_weights(folder: Path, weights: Weights) -> None:
    """Write the model.safetensors, by Hugging Face's names."""
    # safetensors' own writer gives its file to the owner alone, and hides that a disk is full
    (folder / "model.safetensors").write_bytes(save(dict(weights), {"format": "pt"}))


def write_tokenizer(folder: Path, tokenizer: Tokenizer, max_length: int) -> None:
    """Write the files by which AutoTokenizer gives the same ids."""
    (folder / "tokenizer.json").write_text(tokenizer.to_str(pretty=True), encoding="utf-8")
    config = {
        # without these, AutoTokenizer lower-cases a cased vocabulary
        "tokenizer_class": "PreTrainedTokenizerFast",
        "do_lower_case": ignores_case(tokenizer),
        "model_max_length": max_length,
        **{f"{part}_token": name for part, name in special_tokens(tokenizer).items()},
    }
    write_json(folder / "tokenizer_config.json", config)


def write_metadata(folder: Path, own: Mapping[str, Any]) -> None:
    """Write our own JSON-able metadata, with the hashes of the other files and of itself."""
    metadata = {
        "format_version": FORMAT_VERSION,
        "sha256": {file.name: _sha256(file) for file in sorted(folder.iterdir())},
        **own,
    }
    metadata["sha256"][METADATA] = _own_sha256(metadata)
    write_json(folder / METADATA, metadata)


def load_folder(folder: str | os.PathLike) -> tuple[BertState, dict[str, Any]]:
    """Read a folder of `save_folder`, or a bundled one: the state, and our own metadata."""
    path, owner = find_folder(folder), repr(os.fspath(folder))
    if not (path / METADATA).is_file():
        raise FileNotFoundError(
            f"{owner} is not a folder written by save_pretrained: it has no {METADATA}."
        )
    for name in (METADATA, *_FILES):
        # an installer may link to the files of a package
        is_link = (path / name).is_symlink() and path not in BUNDLED.values()
        if not (path / name).is_file() or is_link:
            raise ValueError(f"{owner} is incomplete: {name} is not a regular file.")
    metadata = checked_metadata(path)
    if unhashed := {METADATA, *_FILES} - metadata["sha256"].keys():
        raise ValueError(_damaged(path, f"has no hash of {sorted(unhashed)[0]}"))
    for name, types in _FIELDS.items():
        if type(metadata.get(name)) not in types:
            expected = " or ".join(t.__name__ for t in types)
            found = f"{name}={metadata[name]!r}" if name in metadata else f"no {name}"
            raise ValueError(
                _damaged(path, f"has {found}, where a filter has {name} of type {expected}")
            )
    config = read_json(path / "config.json")
    architecture = architecture_of(config, owner)
    check_size(architecture, [path / "model.safetensors"], owner)
    names = config.get("id2label")
    if not isinstance(names, dict) or not 2 <= len(names) == len(metadata["classes"]):
        raise ValueError(
            f"config.json of {owner} has id2label={names!r}, but {METADATA} has "
            f"classes={metadata['classes']!r}. Save the filter again."
        )
    positions = architecture.max_position_embeddings
    if not 1 <= metadata["max_length"] <= positions:
        raise ValueError(
            _damaged(path, f"has max_length={metadata['max_length']} for {positions} positions")
        )
    if not 0 <= metadata["gamma"] < np.inf or not 0 <= metadata["label_smoothing"] < 1:
        found = f"gamma={metadata['gamma']}, label_smoothing={metadata['label_smoothing']}"
        raise ValueError(_damaged(path, f"has {found}, with which no filter is trained"))
    if metadata["precision"] not in get_args(Precision):
        raise ValueError(_damaged(path, f"has an unknown precision={metadata['precision']!r}"))
    try:
        saved = load_file(path / "model.safetensors")
    except SafetensorError as error:
        raise ValueError(f"model.safetensors in {owner} is damaged: {error}") from None
    # bundled ones are in half precision, to be small
    weights = {name: weight.astype(np.float32) for name, weight in saved.items()}
    for name, shape in replace(architecture, n_logits=len(names)).weight_shapes().items():
        held = weights[name].shape if name in weights else None
        if held != shape:
            raise ValueError(
                f"model.safetensors in {owner} has {name} of shape {held}, but config.json "
                f"asks for {shape}. Save the filter again."
            )
        check_finite(weights[name], name, owner)
    binary = len(names) == 2
    state = BertState.of(
        replace(architecture, n_logits=1 if binary else len(names)),
        _with_head_of_one(weights) if binary else weights,
        load_tokenizer(path),
        max_length=metadata["max_length"],
        gamma=metadata["gamma"],
        label_smoothing=metadata["label_smoothing"],
        precision=metadata["precision"],
    )
    return state, metadata


def find_folder(folder: str | os.PathLike) -> Path:
    """Return the path of a folder, or of the bundled one of that name.

    As on the hub, a folder of the working directory comes first, if a model is saved in it.
    """
    path = Path(folder)
    bundled = BUNDLED.get(os.fspath(folder), path)
    return path if (path / "config.json").is_file() else bundled


def check_size(architecture: Architecture, files: Sequence[Path], owner: str) -> None:
    """Refuse a size that the files of the weights cannot hold, before anything is allocated."""
    n_weights, n_bytes = architecture.n_weights, sum(file.stat().st_size for file in files)
    # A weight takes two bytes or more. What is missing of a smaller lack is named by its tensors.
    if n_weights > 8 * n_bytes:
        raise ValueError(
            f"config.json of {owner} describes a BERT of {n_weights:,} weights, but its "
            f"safetensors files have {n_bytes:,} bytes. Download or save the folder again."
        )


def check_finite(weight: np.ndarray, name: str, owner: str) -> None:
    """Refuse weights with NaN or infinity, with which every text would get the same label."""
    if not np.isfinite(weight).all():
        raise ValueError(
            f"The weights of {owner} are not finite: {name} holds NaN or infinity. Save the model "
            "again, after a training whose loss is finite."
        )


def is_encoder_folder(folder: Path) -> bool:
    """Whether a folder says that a SmallBertPretrainer has saved it."""
    if not ((folder / METADATA).is_file() and (folder / "config.json").is_file()):
        return False
    return read_json(folder / "config.json").get("architectures") == [ENCODER_CLASS]


def checked_metadata(folder: Path) -> dict[str, Any]:
    """Read our own metadata, after a check of all the hashes that they hold."""
    metadata = read_json(folder / METADATA)
    found = metadata.get("format_version")
    if type(found) is not int:
        raise ValueError(_damaged(folder, f"has format_version={found!r}, where a number is due"))
    if found > FORMAT_VERSION or found < 1:
        raise ValueError(
            f"{str(folder)!r} has the format {found}; this version of skbert_filter reads "
            f"{FORMAT_VERSION}. Install the one that wrote it."
        )
    hashes = metadata.get("sha256")
    if not isinstance(hashes, dict):
        raise ValueError(_damaged(folder, f"has sha256={hashes!r}, where hashes are due"))
    for name, expected in hashes.items():
        if Path(name).name != name:
            raise ValueError(_damaged(folder, f"names {name!r}, which is no file of that folder"))
        if not (folder / name).is_file():
            raise ValueError(f"{str(folder)!r} is incomplete: {name} is not a regular file.")
        actual = _own_sha256(metadata) if name == METADATA else _sha256(folder / name)
        if actual != expected:
            raise ValueError(
                f"{name} in {str(folder)!r} is not the file that was saved: its hash "
                "differs. Copy the folder again from its source, or save the model anew."
            )
    return metadata


def _damaged(folder: Path, what: str) -> str:
    return (
        f"{METADATA} in {str(folder)!r} {what}. Copy the folder again from its source, or save the "
        "model anew; an encoder without classes is passed as checkpoint=."
    )


def _with_head_of_two(weights: Weights) -> dict[str, np.ndarray]:
    heads = {}
    for name in ("classifier.weight", "classifier.bias"):
        head = weights[name]
        heads[name] = np.concatenate([-head / 2, head / 2]) if len(head) == 1 else head
    return {**weights, **heads}


def _with_head_of_one(weights: Weights) -> dict[str, np.ndarray]:
    heads = {name: weights[name] for name in ("classifier.weight", "classifier.bias")}
    return {**weights, **{name: head[1:] - head[:1] for name, head in heads.items()}}


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _own_sha256(metadata: Mapping[str, Any]) -> str:
    """Hash of what the metadata say, whatever the layout of their file."""
    others = {name: value for name, value in metadata["sha256"].items() if name != METADATA}
    text = json.dumps({**metadata, "sha256": others}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def write_json(file: Path, value: Mapping[str, Any]) -> None:
    """Write an object of JSON as people can read it."""
    file.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def read_json(file: Path) -> dict[str, Any]:
    """Read an object of JSON."""
    try:
        value = json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{file.name} in {str(file.parent)!r} is damaged: {error}") from None
    if not isinstance(value, dict):
        raise ValueError(f"{file.name} in {str(file.parent)!r} is not a JSON object.")
    return value
