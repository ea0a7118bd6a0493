"""The size of an encoder, as Hugging Face's config.json says it."""

from collections.abc import Mapping
from typing import Any

from skbert_filter.bert.architecture import LAYER_NORM_EPS, Architecture

# A config without the key is as one with this value; another value is another computation.
_SUPPORTED = {
    "model_type": "bert",
    "hidden_act": "gelu",
    "position_embedding_type": "absolute",
    "is_decoder": False,
    "add_cross_attention": False,
}
_SIZES = (
    *("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers"),
    *("num_attention_heads", "max_position_embeddings"),
)
# With the values of Hugging Face's BertConfig, where a file leaves them out.
_NUMBERS = {
    "layer_norm_eps": LAYER_NORM_EPS,
    "hidden_dropout_prob": 0.1,
    "attention_probs_dropout_prob": 0.1,
}


def architecture_of(config: Mapping[str, Any], owner: str) -> Architecture:
    """Size of the encoder, without a head; ``owner`` names the folder in messages."""
    for key, value in _SUPPORTED.items():
        found = value if config.get(key) is None else config[key]
        if found != value:
            raise ValueError(
                f"config.json of {owner} has {key}={found!r}; supported is {key}={value!r}. "
                "Choose another BERT."
            )
    sizes: dict[str, Any] = {key: config.get(key) for key in _SIZES}
    sizes["type_vocab_size"] = config.get("type_vocab_size", 2)
    for key, size in sizes.items():
        if type(size) is not int or size < 1:
            raise _unreadable(owner, key, size, "a positive whole number")
    if sizes["hidden_size"] % sizes["num_attention_heads"]:
        heads = sizes["num_attention_heads"]
        raise _unreadable(owner, "hidden_size", sizes["hidden_size"], f"a multiple of {heads}")
    numbers: dict[str, Any] = {key: config.get(key, value) for key, value in _NUMBERS.items()}
    for key, number in numbers.items():
        if type(number) not in (int, float) or not 0 <= number < 1:
            raise _unreadable(owner, key, number, "a number from 0 to 1")
    return Architecture(**sizes, **numbers, n_logits=0)


def _unreadable(owner: str, key: str, value: Any, allowed: str) -> ValueError:
    return ValueError(
        f"config.json of {owner} has {key}={value!r}, which must be {allowed}. "
        "Download or save the folder again."
    )
