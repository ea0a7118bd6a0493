"""Read models from folders: those that this package has saved, and any BERT in safetensors.

Every tensor must be there, with the right shape, except for the pooler and the head, which a
checkpoint may lack. Nothing in a folder is run as code.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import ml_dtypes  # noqa: F401  (adds bfloat16 to NumPy, for tensors of that type)
import numpy as np
from safetensors import SafetensorError, safe_open
from tokenizers import Tokenizer

from skbert_filter.bert.architecture import (
    Architecture,
    Precision,
    architecture_of,
    masked_lm_shapes,
)
from skbert_filter.bert.folder import (
    BUNDLED,
    FILES,
    METADATA,
    WEIGHTS,
    checked_metadata,
    damaged,
    find_folder,
    kind_of,
    read_json,
)
from skbert_filter.bert.pretrained import PretrainedEncoder
from skbert_filter.bert.state import BertState
from skbert_filter.bert.tokenizer import load_tokenizer, special_tokens

_INDEX = "model.safetensors.index.json"
_TOKENIZERS = ("tokenizer.json", "vocab.txt")
# The files that are downloaded from the hub.
_NEEDED = [
    *("config.json", METADATA, WEIGHTS, _INDEX, "model-*-of-*.safetensors"),
    *(*_TOKENIZERS, "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"),
]

_PARTS = ("embeddings.", "encoder.", "pooler.")
_BUFFERS = ("embeddings.position_ids", "embeddings.token_type_ids")
_FLOATS = ("F16", "BF16", "F32", "F64")

# The metadata of a saved filter, and what makes each valid.
_FIELDS: dict[str, Callable[[Any], bool]] = {
    "max_length": lambda value: type(value) is int and value >= 1,
    "gamma": lambda value: type(value) in (int, float) and 0 <= value < np.inf,
    "label_smoothing": lambda value: type(value) in (int, float) and 0 <= value < 1,
    "precision": lambda value: value in get_args(Precision),
    "classes": lambda value: type(value) is list,
    "classes_dtype": lambda value: type(value) is str,
    "fingerprint": lambda value: type(value) is str,
    **dict.fromkeys(
        ("parameters", "history", "training_record"), lambda value: type(value) is dict
    ),
}


def load_checkpoint(
    source: str | os.PathLike | PretrainedEncoder, *, name: str = "checkpoint"
) -> PretrainedEncoder:
    """Load the encoder of a folder, of "web", or of a model on the Hugging Face hub.

    It has a pooler if the checkpoint has one, and a head if that is a filter with two classes.
    """
    if isinstance(source, PretrainedEncoder):
        return source
    owner = f"{name}={os.fspath(source)!r}"
    folder = find_folder(source)
    if not folder.is_dir():
        folder = _downloaded(source, owner)
    return _read_encoder(folder, os.fspath(source), owner)


def bundled_checkpoint(name: str) -> PretrainedEncoder:
    """Load the encoder of a bundled filter, whatever the working directory holds."""
    return _read_encoder(BUNDLED[name], name, f"checkpoint={name!r}")


def load_filter(folder: str | os.PathLike) -> tuple[BertState, dict[str, Any]]:
    """Load the state and the metadata of a filter that was saved by `save_filter`, or bundled."""
    path, owner = find_folder(folder), repr(os.fspath(folder))
    if not (path / METADATA).is_file():
        raise FileNotFoundError(
            f"{owner} is not a folder written by save_pretrained: it has no {METADATA}."
        )

    links = [name for name in (METADATA, *FILES) if (path / name).is_symlink()]
    # Installers may put links into the folder of a package.
    if links and path not in BUNDLED.values():
        raise ValueError(f"{owner} is incomplete: {links[0]} is not a regular file.")
    return _read_filter(path, owner)


def _read_filter(path: Path, owner: str) -> tuple[BertState, dict[str, Any]]:
    metadata = checked_metadata(path)
    for name, is_valid in _FIELDS.items():
        if name not in metadata:
            raise ValueError(damaged(path, f"has no {name}, which a saved model has"))
        if not is_valid(metadata[name]):
            raise ValueError(damaged(path, f"has {name}={metadata[name]!r}, which is not valid"))

    config, architecture = _read_config(path, owner)
    names = config.get("id2label")
    if not isinstance(names, dict) or not 2 <= len(names) == len(metadata["classes"]):
        raise ValueError(
            f"config.json of {owner} has id2label={names!r}, but {METADATA} has "
            f"classes={metadata['classes']!r}. Save the filter again."
        )
    if (length := metadata["max_length"]) > architecture.max_position_embeddings:
        n_positions = architecture.max_position_embeddings
        raise ValueError(damaged(path, f"has max_length={length} for {n_positions} positions"))

    n_logits = len(names)
    shapes = replace(architecture, n_logits=n_logits).weight_shapes()
    weights = _read_weights(path, shapes, owner)
    if n_logits == 2:
        # transformers reads two rows of opposite sign; `save_filter` made them of one logit.
        n_logits = 1
        for name in ("classifier.weight", "classifier.bias"):
            weights[name] = weights[name][1:] - weights[name][:1]

    state = BertState(
        replace(architecture, n_logits=n_logits),
        weights,
        _read_tokenizer(path, architecture, owner).to_str(),
        max_length=metadata["max_length"],
        gamma=metadata["gamma"],
        label_smoothing=metadata["label_smoothing"],
        precision=metadata["precision"],
    )
    return state, metadata


def _read_encoder(folder: Path, source: str, owner: str) -> PretrainedEncoder:
    if not (folder / "config.json").is_file():
        raise FileNotFoundError(
            f"{owner} has no config.json. Pass a folder written by save_pretrained of this "
            "package or of transformers."
        )

    kind = kind_of(folder)
    if kind == "filter":
        state, _ = _read_filter(folder, owner)
        architecture, weights = replace(state.architecture, n_logits=0), dict(state.weights)
        tokenizer_json = state.tokenizer_json
    else:
        if kind == "encoder":
            checked_metadata(folder)
        _, architecture = _read_config(folder, owner)
        shapes = architecture.weight_shapes()
        if kind == "encoder":
            # If it was pretrained with two labels, it has their head.
            shapes = replace(architecture, n_logits=1).weight_shapes()
            shapes |= masked_lm_shapes(architecture)
        weights = _read_weights(folder, shapes, owner, optional=("bert.pooler.", "classifier."))
        tokenizer_json = _read_tokenizer(folder, architecture, owner).to_str()

    bert, head = (
        {name: weight for name, weight in weights.items() if name.startswith(prefix)}
        for prefix in ("bert.", "classifier.")
    )
    if len(head.get("classifier.bias", ())) != 1:
        head = {}
    return PretrainedEncoder(architecture, bert, tokenizer_json, source, head)


def _downloaded(source: str | os.PathLike, owner: str) -> Path:
    """Return the folder of a model on the hub, downloaded unless it is in the local cache."""
    from huggingface_hub import snapshot_download

    try:
        # It rejects a path, which is not the name of a model.
        return Path(snapshot_download(source, allow_patterns=_NEEDED))  # type: ignore[arg-type]
    # It may come from the hub's client, its HTTP library or the operating system.
    except Exception as error:
        raise FileNotFoundError(
            f"{owner} is not a folder that exists, and no model of that name, such as "
            "'google/bert_uncased_L-2_H-128_A-2', was found in Hugging Face's cache or on its hub "
            f"({type(error).__name__}: {error}). Correct the path or the name; or, where the hub "
            f"can be reached, run `hf download {source} --local-dir FOLDER`, and pass that folder "
            '(docs: model, "Can it start from a BERT on Hugging Face?").'
        ) from error


def _read_config(folder: Path, owner: str) -> tuple[dict[str, Any], Architecture]:
    """Return the config.json and its architecture, if the weight files are large enough for it."""
    config = read_json(folder / "config.json")
    architecture = architecture_of(config, owner)
    n_bytes = sum(file.stat().st_size for file in _weight_files(folder, owner))
    # A guard against sizes that no memory can hold; single missing tensors are reported later.
    if architecture.n_weights > 8 * n_bytes:
        raise ValueError(
            f"config.json of {owner} describes a BERT with {architecture.n_weights:,} weights, but "
            f"its safetensors files have {n_bytes:,} bytes. Download or save the folder again."
        )
    return config, architecture


def _read_weights(
    folder: Path,
    shapes: Mapping[str, tuple[int, ...]],
    owner: str,
    optional: Sequence[str] = (),
) -> dict[str, np.ndarray]:
    """Return the weights of these shapes, as float32.

    All weights with one of the prefixes ``optional`` may be missing together.
    """
    weights: dict[str, np.ndarray] = {}
    problems = []
    for key, tensor in _tensors(folder, owner):
        part = key.removeprefix("bert.")
        if part in _BUFFERS or not (part.startswith(_PARTS) or key in shapes):
            continue

        name = f"bert.{part}" if part.startswith(_PARTS) else key
        # Checkpoints that were converted early on have TensorFlow's names.
        name = name.replace("Norm.gamma", "Norm.weight").replace("Norm.beta", "Norm.bias")

        shape, kind = tuple(tensor.get_shape()), tensor.get_dtype()
        if name not in shapes:
            problems.append(f"{key}, which has no place in it")
        elif shape != shapes[name]:
            problems.append(f"{key} of shape {shape} instead of {shapes[name]}")
        elif kind not in _FLOATS:
            problems.append(f"{key} of type {kind}, where only {_FLOATS} can be read")
        elif name in weights:
            problems.append(f"{key}, which occurs twice")
        else:
            weights[name] = tensor[:].astype(np.float32)

    if problems:
        raise ValueError(
            f"{owner} does not hold the BERT that its config.json describes: "
            f"{_some(problems)}. Download or save it again."
        )

    absent = tuple(p for p in optional if not any(name.startswith(p) for name in weights))
    if missing := [n for n in shapes if n not in weights and not n.startswith(absent)]:
        raise ValueError(
            f"{owner} lacks weights of the BERT that its config.json describes: "
            f"{_some(missing)}. Download or save it again."
        )

    for name, weight in weights.items():
        # With NaN, every text would get the same label.
        if not np.isfinite(weight).all():
            raise ValueError(
                f"The weights of {owner} are not finite: {name} holds NaN or infinity. Train "
                "the model again, with a finite loss, and save it."
            )
    return weights


def _tensors(folder: Path, owner: str) -> Iterator[tuple[str, Any]]:
    """Yield the names and lazy tensors of a folder."""
    for file in _weight_files(folder, owner):
        try:
            with safe_open(file, "numpy") as tensors:
                for key in tensors.keys():  # noqa: SIM118  (it is not a mapping)
                    yield key, tensors.get_slice(key)
        except SafetensorError as error:
            raise ValueError(
                f"{file.name} of {owner} is damaged: {error}. Download or copy it again."
            ) from None


def _weight_files(folder: Path, owner: str) -> list[Path]:
    if (folder / WEIGHTS).is_file():
        return [folder / WEIGHTS]

    if not (folder / _INDEX).is_file():
        others = [file.name for end in ("*.bin", "*.h5") for file in sorted(folder.glob(end))]
        raise FileNotFoundError(
            f"{owner} has no {WEIGHTS}{f', only {_some(others)}' if others else ''}. "
            "Weights in other formats, such as pytorch_model.bin, are not read, since reading "
            "them can run code. Convert them once, where torch and transformers are installed, and "
            "pass the new folder:\n"
            "    from transformers import AutoModel, AutoTokenizer\n"
            f"    AutoModel.from_pretrained({str(folder)!r}).save_pretrained('converted')\n"
            f"    AutoTokenizer.from_pretrained({str(folder)!r}).save_pretrained('converted')"
        )

    parts = read_json(folder / _INDEX).get("weight_map")
    names = set(map(str, parts.values())) if isinstance(parts, dict) else set()
    for name in sorted(names) or ["no file"]:
        if Path(name).name != name or not name.endswith(".safetensors"):
            raise ValueError(
                f"{_INDEX} of {owner} names {name!r}, which is not a safetensors file in that "
                "folder. Download the checkpoint again."
            )
        if not (folder / name).is_file():
            raise FileNotFoundError(
                f"{owner} lacks {name}, which its {_INDEX} names. Download it again."
            )
    return [folder / name for name in sorted(names)]


def _read_tokenizer(folder: Path, architecture: Architecture, owner: str) -> Tokenizer:
    if not any((folder / file).is_file() for file in _TOKENIZERS):
        raise FileNotFoundError(
            f"{owner} has no tokenizer: neither {' nor '.join(_TOKENIZERS)}. Save the "
            "tokenizer to the same folder, with its save_pretrained."
        )

    tokenizer = load_tokenizer(folder)
    n_words = max(tokenizer.get_vocab().values()) + 1
    if n_words > architecture.vocab_size:
        raise ValueError(
            f"The tokenizer of {owner} has {n_words} words, but vocab_size in its "
            f"config.json is {architecture.vocab_size}. Take both from the same model."
        )

    # Our filters may have any tokenizer; every other BERT was trained with these tokens.
    if not (folder / METADATA).is_file() and not {"cls", "sep"} <= special_tokens(tokenizer).keys():
        raise ValueError(
            f"The tokenizer of {owner} does not put [CLS] before a text and [SEP] after it. Use "
            "the tokenizer that the model was trained with."
        )
    return tokenizer


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(names[:5]) + more
