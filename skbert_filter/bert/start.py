"""What training starts from: a tokenizer, an architecture and weights."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from skbert_filter.bert.architecture import Architecture, Weights, random_weights
from skbert_filter.bert.folder import load_folder
from skbert_filter.bert.tokenizer import cut, learn_wordpiece, load_tokenizer


@dataclass(frozen=True)
class Start:
    """A model before its training."""

    tokenizer: Tokenizer
    architecture: Architecture
    weights: Weights


def start_at_random(
    texts: Sequence[str],
    *,
    tokenizer: Any,
    vocab_size: int,
    lowercase: bool,
    sizes: Mapping[str, Any],
    rng: np.random.RandomState,
) -> Start:
    """Random weights, for a tokenizer that is learnt from the texts ("corpus") or loaded."""
    if isinstance(tokenizer, str) and tokenizer == "corpus":
        seen = [cut(text, sizes["max_position_embeddings"]) for text in texts]
        used = learn_wordpiece(seen, vocab_size=vocab_size, lowercase=lowercase)
    else:
        used = load_tokenizer(tokenizer)
    architecture = Architecture(vocab_size=max(used.get_vocab().values()) + 1, **sizes)
    return Start(used, architecture, random_weights(architecture, rng))


def start_at_checkpoint(
    folder: str | os.PathLike,
    *,
    asked: Mapping[str, Any],
    max_length: int,
    head: Mapping[str, Any],
    rng: np.random.RandomState,
) -> Start:
    """The encoder of a saved folder, with a new head.

    ``asked`` are the parameters that the user set, which must be those of the folder; ``head``
    the fields of the architecture that do not come from it.
    """
    state, _ = load_folder(folder)
    normalizer = json.loads(state.tokenizer_json)["normalizer"] or {}
    own = {**asdict(state.architecture), "lowercase": normalizer.get("lowercase", False)}
    for name, value in asked.items():
        found = own.get(name, "its own")
        # vocab_size is a maximum
        if value < found if name == "vocab_size" else value != found:
            raise ValueError(
                f"{name}={value!r} contradicts checkpoint={os.fspath(folder)!r}, which has "
                f"{found!r}. Leave out one of the two."
            )
    positions = state.architecture.max_position_embeddings
    if max_length > positions:
        raise ValueError(
            f"max_length={max_length} contradicts checkpoint={os.fspath(folder)!r}, which has "
            f"{positions} positions. Use a max_length of at most {positions}."
        )
    architecture = replace(state.architecture, **head)
    new_head = {
        name: weight
        for name, weight in random_weights(architecture, rng).items()
        if name.startswith("classifier.")
    }
    tokenizer = Tokenizer.from_str(state.tokenizer_json)
    return Start(tokenizer, architecture, {**state.weights, **new_head})
