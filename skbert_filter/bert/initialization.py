"""What training starts from: a tokenizer, an architecture and weights."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from skbert_filter.bert.architecture import Architecture, Weights, random_weights
from skbert_filter.bert.pretrained import PretrainedEncoder
from skbert_filter.bert.tokenizer import cut, ignores_case, learn_wordpiece, load_tokenizer


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
    encoder: PretrainedEncoder,
    checkpoint: str | os.PathLike | PretrainedEncoder,
    *,
    asked: Mapping[str, Any],
    max_length: int,
    head: Mapping[str, Any],
    rng: np.random.RandomState,
) -> Start:
    """An encoder with a new head, and with a new pooler if it has none.

    ``checkpoint`` is what the user passed for it; ``asked`` are the parameters that the user set,
    which must be those of the encoder; ``head`` the fields of the architecture that do not come
    from it.
    """
    tokenizer = Tokenizer.from_str(encoder.tokenizer_json)
    own = {**asdict(encoder.architecture), "lowercase": ignores_case(tokenizer)}
    for name, value in asked.items():
        found = own.get(name, "its own")
        # vocab_size is a maximum
        if value < found if name == "vocab_size" else value != found:
            raise ValueError(
                f"{name}={value!r} contradicts checkpoint={_name(checkpoint)}, which has "
                f"{found!r}. Leave out one of the two."
            )
    positions = encoder.architecture.max_position_embeddings
    if max_length > positions:
        raise ValueError(
            f"max_length={max_length} contradicts checkpoint={_name(checkpoint)}, which has "
            f"{positions} positions. Use a max_length of at most {positions}."
        )
    architecture = replace(encoder.architecture, **head)
    # Of the weights that may be new, without drawing millions of others.
    small = replace(
        architecture,
        vocab_size=1,
        intermediate_size=1,
        num_hidden_layers=0,
        max_position_embeddings=1,
    )
    new = {
        name: weight
        for name, weight in random_weights(small, rng).items()
        if name.startswith(("bert.pooler.", "classifier."))
    }
    return Start(tokenizer, architecture, {**new, **encoder.weights})


def _name(checkpoint: str | os.PathLike | PretrainedEncoder) -> str:
    if isinstance(checkpoint, PretrainedEncoder):
        return repr(checkpoint)
    return repr(os.fspath(checkpoint))
