"""The saved folder: what transformers reads, and what this package adds, in JSON and safetensors.

Nothing that is read here can run code. A filter of two classes is saved with a head of two rows,
``-w / 2`` and ``w / 2``, so that a softmax over them is the sigmoid of the one logit.
"""

import hashlib
import json
import os
import shutil
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file
from tokenizers import Tokenizer

from skbert_filter.bert.architecture import LAYER_NORM_EPS, Architecture, Weights
from skbert_filter.bert.state import BertState

FORMAT_VERSION = 1
_METADATA = "skbert_filter.json"
_FILES = ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json")


def save_folder(folder: str | os.PathLike, state: BertState, labels: list[str], own: dict) -> None:
    """Write a state, the names of its classes and our own JSON-able metadata to a new folder.

    The folder appears under its name when it is complete, or not at all.
    """
    target = Path(folder)
    if target.exists() and not (target.is_dir() and not any(target.iterdir())):
        raise FileExistsError(
            f"{os.fspath(folder)!r} exists already. Choose another folder, or remove it first."
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        _write(temporary, state, labels, own)
        temporary.chmod(0o777 & ~_umask())
        if target.exists():
            target.rmdir()
        temporary.rename(target)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _write(folder: Path, state: BertState, labels: list[str], own: dict) -> None:
    sizes = asdict(state.architecture)
    del sizes["n_logits"]
    config = {
        "architectures": ["BertForSequenceClassification"],
        "model_type": "bert",
        "hidden_act": "gelu",
        **sizes,
        "id2label": {str(i): label for i, label in enumerate(labels)},
        "label2id": {label: i for i, label in enumerate(labels)},
        "problem_type": "single_label_classification",
        "pad_token_id": 0,
        "dtype": "float32",
    }
    _write_json(folder / "config.json", config)
    save_file(_with_head_of_two(state.weights), folder / "model.safetensors", {"format": "pt"})
    tokenizer = Tokenizer.from_str(state.tokenizer_json)
    tokenizer.save(str(folder / "tokenizer.json"))
    normalizer = json.loads(state.tokenizer_json).get("normalizer") or {}
    tokenizer_config = {
        # without these, AutoTokenizer lower-cases a cased vocabulary
        "tokenizer_class": "PreTrainedTokenizerFast",
        "do_lower_case": bool(normalizer.get("lowercase", False)),
        "model_max_length": state.max_length,
        **{f"{name}_token": f"[{name.upper()}]" for name in ("pad", "unk", "cls", "sep", "mask")},
    }
    _write_json(folder / "tokenizer_config.json", tokenizer_config)
    metadata = {
        "format_version": FORMAT_VERSION,
        "max_length": state.max_length,
        "gamma": state.gamma,
        "label_smoothing": state.label_smoothing,
        "precision": state.precision,
        "sha256": {name: _sha256(folder / name) for name in _FILES},
        **own,
    }
    _write_json(folder / _METADATA, metadata)


def load_folder(folder: str | os.PathLike) -> tuple[BertState, dict[str, Any]]:
    """Read a folder of `save_folder`: the state, and our own metadata."""
    path = Path(folder)
    if not (path / _METADATA).is_file():
        raise FileNotFoundError(
            f"{os.fspath(folder)!r} is not a folder written by save_pretrained: it has no "
            f"{_METADATA}."
        )
    metadata = _read_json(path / _METADATA)
    if metadata.get("format_version") != FORMAT_VERSION:
        raise ValueError(
            f"{os.fspath(folder)!r} has the format {metadata.get('format_version')!r}; this "
            f"version of skbert_filter reads {FORMAT_VERSION}. Install the one that wrote it."
        )
    for name in _FILES:
        file = path / name
        if not file.is_file() or file.is_symlink():
            raise ValueError(f"{os.fspath(folder)!r} is incomplete: {name} is not a regular file.")
        if metadata.get("sha256", {}).get(name) != _sha256(file):
            raise ValueError(
                f"{name} in {os.fspath(folder)!r} is not the file that was saved: its hash "
                "differs. Copy the folder again from its source, or save the model anew."
            )
    config = _read_json(path / "config.json")
    try:
        weights = load_file(path / "model.safetensors")
    except SafetensorError as error:
        raise ValueError(
            f"model.safetensors in {os.fspath(folder)!r} is damaged: {error}"
        ) from None
    binary = len(config["id2label"]) == 2
    architecture = Architecture(
        **{
            name: config[name]
            for name in (
                "vocab_size",
                "hidden_size",
                "intermediate_size",
                "num_hidden_layers",
                "num_attention_heads",
                "max_position_embeddings",
                "hidden_dropout_prob",
                "attention_probs_dropout_prob",
                "type_vocab_size",
            )
        },
        layer_norm_eps=config.get("layer_norm_eps", LAYER_NORM_EPS),
        n_logits=1 if binary else len(config["id2label"]),
    )
    if binary:
        weights = _with_head_of_one(weights)
    _check_shapes(architecture, weights, os.fspath(folder))
    state = BertState.of(
        architecture,
        weights,
        Tokenizer.from_file(str(path / "tokenizer.json")),
        max_length=metadata["max_length"],
        gamma=metadata["gamma"],
        label_smoothing=metadata["label_smoothing"],
        precision=metadata["precision"],
    )
    return state, metadata


def _check_shapes(architecture: Architecture, weights: Weights, folder: str) -> None:
    for name, shape in architecture.weight_shapes().items():
        found = weights[name].shape if name in weights else None
        if found != shape:
            raise ValueError(
                f"model.safetensors in {folder!r} has {name} of shape {found}, but config.json "
                f"asks for {shape}."
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


def _write_json(file: Path, value: dict) -> None:
    file.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _read_json(file: Path) -> dict[str, Any]:
    try:
        value = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{file.name} in {str(file.parent)!r} is damaged: {error}") from None
    if not isinstance(value, dict):
        raise ValueError(f"{file.name} in {str(file.parent)!r} is not a JSON object.")
    return value
