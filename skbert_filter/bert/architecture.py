"""The size of a BERT classifier, as in config.json, and its weights as named arrays.

Weights are a dict from Hugging Face's names to NumPy arrays in Hugging Face's layout: a dense
weight is ``(out, in)``. This module imports no engine.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

Weights = Mapping[str, np.ndarray]
Precision = Literal["float32", "mixed_float16", "mixed_bfloat16"]

# From BERT (Devlin et al., 2019, and its code): weights are drawn from a normal distribution with a
# standard deviation of 0.02, truncated at two standard deviations.
INITIALIZER_RANGE = 0.02
LAYER_NORM_EPS = 1e-12

# With any other value, the computation would be a different one. A missing key means this value.
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
# Defaults of Hugging Face's BertConfig.
_NUMBERS = {
    "layer_norm_eps": LAYER_NORM_EPS,
    "hidden_dropout_prob": 0.1,
    "attention_probs_dropout_prob": 0.1,
}


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """All that defines the encoder and its head, except for the weights.

    Names are those of ``transformers.BertConfig``. ``n_logits`` is 1 for two classes, and 0 for an
    encoder without a classification head.
    """

    vocab_size: int
    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    max_position_embeddings: int
    hidden_dropout_prob: float
    attention_probs_dropout_prob: float
    n_logits: int
    type_vocab_size: int = 2
    layer_norm_eps: float = LAYER_NORM_EPS

    @property
    def n_weights(self) -> int:
        """Number of parameters of the encoder, without pooler and head."""
        width, inner = self.hidden_size, self.intermediate_size
        embeddings = self.vocab_size + self.max_position_embeddings + self.type_vocab_size
        layer = 4 * width * (width + 1) + inner * (width + 1) + width * (inner + 1) + 4 * width
        return (embeddings + 2) * width + self.num_hidden_layers * layer

    def weight_shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shape of each weight, in the order in which they are drawn and saved."""
        width, inner = self.hidden_size, self.intermediate_size
        shapes: dict[str, tuple[int, ...]] = {
            "bert.embeddings.word_embeddings.weight": (self.vocab_size, width),
            "bert.embeddings.position_embeddings.weight": (self.max_position_embeddings, width),
            "bert.embeddings.token_type_embeddings.weight": (self.type_vocab_size, width),
            **_layer_norm("bert.embeddings.LayerNorm", width),
        }
        for i in range(self.num_hidden_layers):
            layer = f"bert.encoder.layer.{i}"
            for name in ("query", "key", "value"):
                shapes |= _dense(f"{layer}.attention.self.{name}", width, width)
            shapes |= _dense(f"{layer}.attention.output.dense", width, width)
            shapes |= _layer_norm(f"{layer}.attention.output.LayerNorm", width)
            shapes |= _dense(f"{layer}.intermediate.dense", inner, width)
            shapes |= _dense(f"{layer}.output.dense", width, inner)
            shapes |= _layer_norm(f"{layer}.output.LayerNorm", width)

        shapes |= _dense("bert.pooler.dense", width, width)
        if self.n_logits:
            shapes |= _dense("classifier", self.n_logits, width)
        return shapes


def architecture_of(config: Mapping[str, Any], owner: str) -> Architecture:
    """Return the architecture in a config.json; ``owner`` names its folder in messages."""
    for key, supported in _SUPPORTED.items():
        if config.get(key) not in (None, supported):
            raise ValueError(
                f"config.json of {owner} has {key}={config[key]!r}; only {key}={supported!r} is "
                "supported. Choose another BERT."
            )

    sizes: dict[str, Any] = {key: config.get(key) for key in _SIZES}
    sizes["type_vocab_size"] = config.get("type_vocab_size", 2)
    for key, size in sizes.items():
        if type(size) is not int or size < 1:
            raise _invalid(owner, key, size, "a positive integer")

    if sizes["hidden_size"] % sizes["num_attention_heads"]:
        n_heads = sizes["num_attention_heads"]
        raise _invalid(owner, "hidden_size", sizes["hidden_size"], f"a multiple of {n_heads}")

    numbers: dict[str, Any] = {key: config.get(key, value) for key, value in _NUMBERS.items()}
    for key, number in numbers.items():
        if type(number) not in (int, float) or not 0 <= number < 1:
            raise _invalid(owner, key, number, "a number from 0 to 1")
    return Architecture(**sizes, **numbers, n_logits=0)


def _invalid(owner: str, key: str, value: Any, allowed: str) -> ValueError:
    return ValueError(
        f"config.json of {owner} has {key}={value!r}, but it must be {allowed}. "
        "Download or save the folder again."
    )


def masked_lm_shapes(architecture: Architecture) -> dict[str, tuple[int, ...]]:
    """Return the shapes of the masked language model head, without its tied output embedding."""
    width = architecture.hidden_size
    return {
        **_dense("cls.predictions.transform.dense", width, width),
        **_layer_norm("cls.predictions.transform.LayerNorm", width),
        "cls.predictions.bias": (architecture.vocab_size,),
    }


def _dense(name: str, n_out: int, n_in: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (n_out, n_in), f"{name}.bias": (n_out,)}


def _layer_norm(name: str, width: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}


def hash_model(architecture: Architecture, weights: Weights, *settings: Any) -> str:
    """Return the SHA-256 of a model and of JSON-serializable settings."""
    plain = [asdict(architecture), *settings]
    digest = hashlib.sha256(json.dumps(plain, sort_keys=True).encode())
    for name in sorted(weights):
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(weights[name], np.float32).data)
    return digest.hexdigest()


def random_weights(architecture: Architecture, rng: np.random.RandomState) -> dict[str, np.ndarray]:
    """Draw the weights of an untrained model, independently of the backend."""
    weights = {}
    for name, shape in architecture.weight_shapes().items():
        if name.endswith("LayerNorm.weight"):
            weights[name] = np.ones(shape, np.float32)
        elif name.endswith("bias"):
            weights[name] = np.zeros(shape, np.float32)
        else:
            weights[name] = _truncated_normal(shape, rng)
    return weights


def _truncated_normal(shape: tuple[int, ...], rng: np.random.RandomState) -> np.ndarray:
    drawn = rng.standard_normal(shape)
    while (outside := np.abs(drawn) > 2).any():
        drawn[outside] = rng.standard_normal(int(outside.sum()))
    return (INITIALIZER_RANGE * drawn).astype(np.float32)
