"""Encoders to start from: a BERT in safetensors, of this package or of Hugging Face.

Every tensor of the encoder must be there, of the right shape: nothing is made up but what a
checkpoint may lack, the pooler and the head. Reading runs no code of a checkpoint.
"""

import os
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load_file
from tokenizers import Tokenizer

from skbert_filter.bert.architecture import Architecture, Weights
from skbert_filter.bert.config import architecture_of
from skbert_filter.bert.folder import (
    BUNDLED,
    METADATA,
    check_finite,
    check_size,
    checked_metadata,
    find_folder,
    is_encoder_folder,
    load_folder,
    read_json,
)
from skbert_filter.bert.pretrained import PretrainedEncoder
from skbert_filter.bert.tokenizer import load_tokenizer, special_tokens

_WEIGHTS, _INDEX = "model.safetensors", "model.safetensors.index.json"
_TOKENIZERS = ("tokenizer.json", "vocab.txt")
# What is downloaded of a model on the hub.
_NEEDED = (
    *("config.json", METADATA, _WEIGHTS, _INDEX, "model-*-of-*.safetensors"),
    *(*_TOKENIZERS, "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"),
)

_PARTS = ("embeddings.", "encoder.", "pooler.")
_BUFFERS = ("embeddings.position_ids", "embeddings.token_type_ids")
_FLOATS = ("F16", "BF16", "F32", "F64")


def load_checkpoint(
    source: str | os.PathLike | PretrainedEncoder, *, name: str = "checkpoint"
) -> PretrainedEncoder:
    """Encoder of a folder of this package or of Hugging Face's, or of a model on the hub.

    Parameters
    ----------
    source : str, path-like or PretrainedEncoder
        "web" for the bundled one, a folder that exists, or else the name of a model on the
        Hugging Face hub. An encoder is returned as it is.
    name : str, default="checkpoint"
        What messages call it.

    Returns
    -------
    encoder : PretrainedEncoder
        Without a pooler if the checkpoint has none; with a head if it is a filter of two classes.

    Raises
    ------
    FileNotFoundError
        If there is no such folder or model, or if one of its files is missing.
    ValueError
        If a file is damaged, or says something that this package does not compute.

    Examples
    --------
    >>> from skbert_filter.bert.checkpoint import load_checkpoint
    >>> load_checkpoint("no/such/folder")
    Traceback (most recent call last):
    FileNotFoundError: checkpoint='no/such/folder' is no folder that exists, and does not ...
    """
    if isinstance(source, PretrainedEncoder):
        return source
    owner = f"{name}={os.fspath(source)!r}"
    folder = find_folder(source)
    if not folder.is_dir():
        folder = _downloaded(source, owner)
    return _load(folder, os.fspath(source), owner)


def bundled_checkpoint(name: str) -> PretrainedEncoder:
    """Return the encoder of a bundled filter, whatever the working directory holds."""
    return _load(BUNDLED[name], name, f"checkpoint={name!r}")


def _load(folder: Path, source: str, owner: str) -> PretrainedEncoder:
    if (folder / METADATA).is_file():
        checked_metadata(folder)
    if not (folder / "config.json").is_file():
        raise FileNotFoundError(
            f"{owner} has no config.json. Pass a folder written by save_pretrained of "
            "this package or of transformers."
        )
    architecture = architecture_of(read_json(folder / "config.json"), owner)
    return PretrainedEncoder(
        architecture=architecture,
        weights=_weights(folder, architecture, owner),
        tokenizer_json=_tokenizer(folder, architecture, owner).to_str(),
        source=source,
        head=_head(folder),
    )


def _head(folder: Path) -> Weights:
    """Return what reads the score of a filter of two classes that this package has saved."""
    if not (folder / METADATA).is_file():
        return {}
    weights: Weights
    if is_encoder_folder(folder):
        weights = load_file(folder / _WEIGHTS)
    else:
        weights = load_folder(folder)[0].weights
    head = {name: w for name, w in weights.items() if name.startswith("classifier.")}
    return head if len(head.get("classifier.bias", ())) == 1 else {}


def _downloaded(source: str | os.PathLike, owner: str) -> Path:
    """Folder of a model on the hub, downloaded unless it is in Hugging Face's cache."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id

    name = os.fspath(source)
    try:
        if not isinstance(source, str):
            raise HFValidationError("a path is no name.")
        validate_repo_id(name)
    except HFValidationError:
        raise FileNotFoundError(
            f"{owner} is no folder that exists, and does not look like the name of a "
            "model on the Hugging Face hub, such as 'google/bert_uncased_L-2_H-128_A-2'. "
            "Correct the path or the name "
            '(docs: guide_model, "Can it start from a BERT of Hugging Face?").'
        ) from None
    try:
        return Path(snapshot_download(name, allow_patterns=list(_NEEDED)))
    # Of the hub's client, of the HTTP library beneath it, or of the operating system.
    except Exception as error:
        raise FileNotFoundError(
            f"{owner} is no folder that exists, and no model of that name was found in "
            f"Hugging Face's cache or on its hub ({type(error).__name__}: {error}). Correct the "
            f"name; or, where the hub can be reached, run `hf download {name} --local-dir FOLDER`, "
            "and pass that folder "
            '(docs: guide_model, "Can it start from a BERT of Hugging Face?").'
        ) from error


def _weights(folder: Path, architecture: Architecture, owner: str) -> dict[str, np.ndarray]:
    # NumPy knows bfloat16, by which safetensors gives such tensors, once this is imported.
    import ml_dtypes  # noqa: F401

    files = _weight_files(folder, owner)
    check_size(architecture, files, owner)
    shapes = architecture.weight_shapes()
    weights: dict[str, np.ndarray] = {}
    wrong = []
    for file in files:
        try:
            with safe_open(file, "numpy") as tensors:
                for key in tensors.keys():  # noqa: SIM118  (it is no mapping)
                    if (ours := _name_here(key)) is None:
                        continue
                    tensor = tensors.get_slice(key)
                    shape, kind = tuple(tensor.get_shape()), tensor.get_dtype()
                    if ours not in shapes:
                        wrong.append(f"{key}, for which there is no place")
                    elif shape != shapes[ours]:
                        wrong.append(f"{key} of shape {shape} in place of {shapes[ours]}")
                    elif kind not in _FLOATS:
                        wrong.append(f"{key} of type {kind}, where only {_FLOATS} can be read")
                    elif ours in weights:
                        wrong.append(f"{key}, which is there twice")
                    else:
                        weights[ours] = tensors.get_tensor(key).astype(np.float32)
                        check_finite(weights[ours], key, owner)
        except SafetensorError as error:
            raise ValueError(
                f"{file.name} of {owner} is damaged: {error}. Download it again."
            ) from None
    if wrong:
        raise ValueError(
            f"{owner} does not hold the BERT that its config.json describes: "
            f"{_some(wrong)}. Download or save the checkpoint again."
        )
    pooler = {ours for ours in shapes if ours.startswith("bert.pooler.")}
    may_lack = set() if pooler & weights.keys() else pooler
    if missing := [ours for ours in shapes if ours not in weights and ours not in may_lack]:
        raise ValueError(
            f"{owner} lacks weights of the BERT that its config.json describes: "
            f"{_some(missing)}. Only a pooler and a head may be new. Download or save the "
            "checkpoint again."
        )
    return weights


def _weight_files(folder: Path, owner: str) -> list[Path]:
    if (folder / _WEIGHTS).is_file():
        return [folder / _WEIGHTS]
    if not (folder / _INDEX).is_file():
        others = sorted(file.name for file in folder.glob("*.bin"))
        others += sorted(file.name for file in folder.glob("*.h5"))
        raise FileNotFoundError(
            f"{owner} has no {_WEIGHTS}{f', only {_some(others)}' if others else ''}. "
            "Weights in other forms, such as pytorch_model.bin, are not read, since reading "
            "them can run code. Convert them once, where torch and transformers are installed, and "
            "pass the new folder:\n"
            "    from transformers import AutoModel, AutoTokenizer\n"
            f"    AutoModel.from_pretrained({str(folder)!r}).save_pretrained('converted')\n"
            f"    AutoTokenizer.from_pretrained({str(folder)!r}).save_pretrained('converted')"
        )
    parts = read_json(folder / _INDEX).get("weight_map")
    if not isinstance(parts, dict) or not parts:
        raise ValueError(f"{_INDEX} of {owner} has no weight_map. Download it again.")
    files = []
    for part in sorted(set(map(str, parts.values()))):
        if Path(part).name != part or not part.endswith(".safetensors"):
            raise ValueError(
                f"{_INDEX} of {owner} names {part!r}, which is no safetensors file in "
                "that folder. Download the checkpoint again."
            )
        if not (folder / part).is_file():
            raise FileNotFoundError(
                f"{owner} lacks {part}, which its {_INDEX} names. Download it again."
            )
        files.append(folder / part)
    return files


def _name_here(key: str) -> str | None:
    """Name of a tensor here; None for those of a head, and for what is no weight."""
    own = key.removeprefix("bert.")
    if own in _BUFFERS or not own.startswith(_PARTS):
        return None
    # TensorFlow's names, in checkpoints that were converted early on
    own = own.replace("LayerNorm.gamma", "LayerNorm.weight")
    return f"bert.{own.replace('LayerNorm.beta', 'LayerNorm.bias')}"


def _tokenizer(folder: Path, architecture: Architecture, owner: str) -> Tokenizer:
    if not any((folder / file).is_file() for file in _TOKENIZERS):
        raise FileNotFoundError(
            f"{owner} has no tokenizer: neither {' nor '.join(_TOKENIZERS)}. Save it "
            "to the same folder, with save_pretrained of the tokenizer."
        )
    tokenizer = load_tokenizer(folder)
    n_words = max(tokenizer.get_vocab().values()) + 1
    if n_words > architecture.vocab_size:
        raise ValueError(
            f"The tokenizer of {owner} has {n_words} words, but vocab_size in its "
            f"config.json is {architecture.vocab_size}. Take both from the same model."
        )
    # A filter may have been trained with any tokenizer, a BERT of others has these.
    if not (folder / METADATA).is_file() and not {"cls", "sep"} <= special_tokens(tokenizer).keys():
        raise ValueError(
            f"The tokenizer of {owner} does not put [CLS] before a text and [SEP] "
            "after it. Take the tokenizer that the model was trained with."
        )
    return tokenizer


def _some(names: list[str]) -> str:
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(names[:5]) + more
