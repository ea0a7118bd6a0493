"""The saved folder of a pretrained encoder, with the head that guesses hidden tokens.

transformers loads it as ``BertForMaskedLM``; the output embedding, which is the word embedding, is
in it once.
"""

import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file
from tokenizers import Tokenizer

from skbert_filter.bert.architecture import Weights
from skbert_filter.bert.checkpoint import load_checkpoint
from skbert_filter.bert.folder import (
    ENCODER_CLASS,
    METADATA,
    is_encoder_folder,
    new_folder,
    read_json,
    write_config,
    write_metadata,
    write_tokenizer,
    write_weights,
)
from skbert_filter.bert.pretrained import PretrainedEncoder
from skbert_filter.bert.pretraining_task import masked_lm_head

_FIELDS = {"parameters": dict, "history": dict, "training_record": dict}


def save_pretrained_folder(
    folder: str | os.PathLike, encoder: PretrainedEncoder, head: Weights, own: dict[str, Any]
) -> None:
    """Write an encoder, its head and our own JSON-able metadata to a new folder."""
    tokenizer = Tokenizer.from_str(encoder.tokenizer_json)
    sizes = asdict(encoder.architecture)
    del sizes["n_logits"]
    with new_folder(folder) as path:
        write_config(path, ENCODER_CLASS, {**sizes, "tie_word_embeddings": True}, tokenizer)
        write_weights(path, {**encoder.weights, **encoder.head, **head})
        write_tokenizer(path, tokenizer, encoder.architecture.max_position_embeddings)
        write_metadata(path, own)


def load_pretrained_folder(
    folder: str | os.PathLike,
) -> tuple[PretrainedEncoder, dict[str, np.ndarray], dict[str, Any]]:
    """Read a folder of `save_pretrained_folder`: encoder, head and metadata."""
    path, name = Path(folder), repr(os.fspath(folder))
    if not is_encoder_folder(path):
        raise FileNotFoundError(
            f"{name} is not a folder written by save_pretrained of a SmallBertPretrainer. "
            "Any BERT is passed to SmallBertTextFilter as checkpoint=."
        )
    # checks the hashes of all files first
    encoder = load_checkpoint(path)
    weights = load_file(path / "model.safetensors")
    shapes = masked_lm_head(encoder.architecture)
    metadata = read_json(path / METADATA)
    wrong = [n for n, kind in _FIELDS.items() if type(metadata.get(n)) is not kind]
    wrong += [n for n, shape in shapes.items() if n not in weights or weights[n].shape != shape]
    if wrong:
        raise ValueError(
            f"{name} lacks {wrong[0]}, or has it in another form. Copy the folder again from its "
            "source, or save the pretrainer anew."
        )
    return encoder, {n: weights[n] for n in shapes}, metadata
