"""The saved folder: what transformers reads, and what this package adds, in JSON and safetensors.

Writes folders, and checks that one is as it was written; checkpoint.py reads models from them.
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

# Filters that are part of this package, by the names that stand for their folders.
BUNDLED = {"web": Path(__file__).parents[1] / "pretrained" / "web"}

METADATA, WEIGHTS = "skbert_filter.json", "model.safetensors"
FILES = ("config.json", WEIGHTS, "tokenizer.json", "tokenizer_config.json")

_FORMAT_VERSION = 1
_FILTER_CLASS, _ENCODER_CLASS = "BertForSequenceClassification", "BertForMaskedLM"


def save_filter(folder: str | os.PathLike, state: BertState, labels: list[str], own: dict) -> None:
    """Write a filter, the names of its classes and its JSON-able metadata to a new folder.

    Two classes get a head of two rows, ``-w / 2`` and ``w / 2``, so that a softmax over them is the
    sigmoid of the one logit.
    """
    config = {
        "id2label": {str(i): label for i, label in enumerate(labels)},
        "label2id": {label: i for i, label in enumerate(labels)},
        "problem_type": "single_label_classification",
    }
    heads = {}
    if state.architecture.n_logits == 1:
        for name in ("classifier.weight", "classifier.bias"):
            half = state.weights[name] / 2
            heads[name] = np.concatenate([-half, half])

    parts = ("max_length", "gamma", "label_smoothing", "precision")
    own = {**{name: getattr(state, name) for name in parts}, **own}
    _save(folder, _FILTER_CLASS, config, state, {**state.weights, **heads}, state.max_length, own)


def save_encoder(
    folder: str | os.PathLike, encoder: PretrainedEncoder, masked_lm: Weights, own: dict
) -> None:
    """Write an encoder, the head that guesses tokens and JSON-able metadata to a new folder.

    The output embedding, which is the word embedding, is in it once.
    """
    weights = {**encoder.weights, **encoder.head, **masked_lm}
    n_positions = encoder.architecture.max_position_embeddings
    config = {"tie_word_embeddings": True}
    _save(folder, _ENCODER_CLASS, config, encoder, weights, n_positions, own)


def _save(
    folder: str | os.PathLike,
    model_class: str,
    config: Mapping[str, Any],
    model: BertState | PretrainedEncoder,
    weights: Weights,
    max_length: int,
    own: Mapping[str, Any],
) -> None:
    tokenizer = Tokenizer.from_str(model.tokenizer_json)
    sizes = asdict(model.architecture)
    del sizes["n_logits"]
    with new_folder(folder) as made:
        write_config(made, model_class, {**sizes, **config}, tokenizer)
        # safetensors' own writer gives its file to the owner alone, and hides that a disk is full
        (made / WEIGHTS).write_bytes(as_safetensors(dict(weights), {"format": "pt"}))
        write_tokenizer(made, tokenizer, max_length)
        write_metadata(made, own)


@contextmanager
def new_folder(folder: str | os.PathLike) -> Iterator[Path]:
    """Lend an empty folder, which takes its name once it is complete and on the disk."""
    target = Path(folder)
    if target.exists() and not (target.is_dir() and not any(target.iterdir())):
        raise FileExistsError(
            f"{os.fspath(folder)!r} exists already. Choose another folder, or remove it first."
        )

    target.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(target) as made:
        made.mkdir()
        yield made


def write_config(
    folder: Path, model_class: str, config: Mapping[str, Any], tokenizer: Tokenizer
) -> None:
    """Write the config.json by which transformers loads a model of its own class."""
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
        "format_version": _FORMAT_VERSION,
        "sha256": {
            file.name: sha256_of(file) for file in sorted(folder.iterdir()) if file.is_file()
        },
        **own,
    }
    metadata["sha256"][METADATA] = _own_sha256(metadata)
    write_json(folder / METADATA, metadata)


def checked_metadata(folder: Path, files: Iterable[str] = FILES) -> dict[str, Any]:
    """Read our own metadata, after a check of the hashes in it, which must be of all `files`."""
    metadata = read_json(folder / METADATA)
    version, hashes = metadata.get("format_version"), metadata.get("sha256")
    if version != _FORMAT_VERSION:
        raise ValueError(
            f"{METADATA} in {str(folder)!r} has format_version={version!r}; this version of "
            f"skbert_filter reads {_FORMAT_VERSION}. Install the one that wrote it."
        )
    if not isinstance(hashes, dict):
        raise ValueError(damaged(folder, f"has sha256={hashes!r}, which holds no hashes"))

    for name, expected in hashes.items():
        if Path(name).name != name:
            raise ValueError(damaged(folder, f"names {name!r}, which is no file of that folder"))

        if not (folder / name).is_file():
            raise ValueError(f"{str(folder)!r} is incomplete: {name} is not a regular file.")

        actual = _own_sha256(metadata) if name == METADATA else sha256_of(folder / name)
        if actual != expected:
            raise ValueError(
                f"{name} in {str(folder)!r} is not the file that was saved: its hash "
                "differs. Copy the folder again from its source, or save the model again."
            )

    if unhashed := {METADATA, *files} - hashes.keys():
        raise ValueError(damaged(folder, f"has no hash of {min(unhashed)}"))
    return metadata


def damaged(folder: Path, what: str) -> str:
    """Return the message that the metadata of a folder are not those of a saved filter."""
    return (
        f"{METADATA} in {str(folder)!r} {what}. Copy the folder again from its source, or save the "
        "model again; an encoder without classes is passed as checkpoint=."
    )


def find_folder(folder: str | os.PathLike) -> Path:
    """Return the path of a folder, or of the bundled one of that name.

    As on the hub, a folder of the working directory comes first, if a model is saved in it.
    """
    path = Path(folder)
    bundled = BUNDLED.get(os.fspath(folder), path)
    return path if (path / "config.json").is_file() else bundled


def kind_of(folder: Path) -> Kind | None:
    """Return what was saved by this package in a folder, None if nothing was."""
    if not (folder / METADATA).is_file():
        return None
    config = folder / "config.json"
    is_encoder = config.is_file() and read_json(config).get("architectures") == [_ENCODER_CLASS]
    return "encoder" if is_encoder else "filter"


def check_can_save(folder: Path, kind: Kind, *, overwrite: bool) -> None:
    """Refuse a folder that holds anything but, with `overwrite`, a saved model of its kind."""
    if folder.is_file():
        raise FileExistsError(f"{folder} is a file. Name a folder for the {kind}.")
    check_can_create(folder)

    if not folder.is_dir() or not any(folder.iterdir()):
        return

    if kind_of(folder) != kind:
        raise FileExistsError(
            f"The folder {folder} holds files other than a saved {kind}. Name another folder."
        )
    if (other := _foreign(folder)) is not None:
        raise FileExistsError(
            f"The folder {folder} holds {other}, which is not part of the saved {kind} and "
            "would be lost. Move it away, or name another folder."
        )

    if not overwrite:
        raise FileExistsError(
            f"The folder {folder} holds a saved {kind}. Name another folder, or pass "
            "overwrite=True (--overwrite)."
        )


def _foreign(folder: Path) -> str | None:
    """Return the name of something in a saved folder that is not part of it."""
    metadata = read_json(folder / METADATA)
    own, members = {METADATA, *metadata.get("sha256", ())}, metadata.get("members", ())
    for path in sorted(folder.iterdir()):
        if path.name in members and (path / METADATA).is_file():
            if (other := _foreign(path)) is not None:
                return f"{path.name}/{other}"
        elif path.name not in own:
            return path.name
    return None


def save_over(save: Save, folder: Path, kind: Kind, *, overwrite: bool) -> None:
    """Save a model, in place of what the folder may hold.

    Where that fails, for instance because the disk is full, the model is saved elsewhere, and the
    error says where: a training must not be lost.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(folder, overwrite=overwrite) as made:
            save(made)
            # It may have been filled during the training.
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
    # /dev/shm is memory, and may have room when all disks are full.
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
    """Read an object of JSON."""
    try:
        value = json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{file.name} in {str(file.parent)!r} is damaged: {error}") from None
    if not isinstance(value, dict):
        raise ValueError(f"{file.name} in {str(file.parent)!r} is not a JSON object.")
    return value


def write_json(file: Path, value: Mapping[str, Any]) -> None:
    """Write an object of JSON as people can read it."""
    file.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def sha256_of(file: Path) -> str:
    """Return the hash of a file."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _own_sha256(metadata: Mapping[str, Any]) -> str:
    """Hash what the metadata say, whatever the layout of their file."""
    others = {name: value for name, value in metadata["sha256"].items() if name != METADATA}
    text = json.dumps({**metadata, "sha256": others}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
