"""The Keras layers of BERT and of its classifier, written with ``keras.ops``.

All weights but the word embeddings lie end to end in one variable, since an optimizer step and its
tracing cost by the number of variables, not by their size. Importing this module imports Keras.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial
from typing import Any

import keras
import numpy as np
from keras import ops

from skbert_filter.bert.architecture import Architecture, Precision, Weights
from skbert_filter.bert.engine import backend_name, traced_once

# Score of what is not to be chosen, such as attention to padding: exp() of it is 0 in float32.
NEVER = -1e9

# Weights that each layer has.
_OF_A_LAYER = (
    "qkv_kernel",
    "qkv_bias",
    "attention_kernel",
    "attention_bias",
    "attention_norm",
    "inner_kernel",
    "inner_bias",
    "outer_kernel",
    "outer_bias",
    "outer_norm",
)


class Seeds(keras.random.SeedGenerator):
    """Seeds made from one, without a state that computations would have to wait for."""

    def __init__(self, seed, branch):
        # Not that of the base class, which makes the state.
        self._seed, self._n_drawn = seed, 64 * branch

    def next(self, ordered=True):
        self._n_drawn += 1
        first, second = ops.unstack(self._seed, 2)
        second = second * 128 + self._n_drawn
        return ops.stack([first, ops.cast(second, first.dtype)])


class BertEncoder(keras.Model):
    """The part of BERT that a classifier and a masked language model share.

    ``head`` gives the shapes of the weights that a subclass adds, by their names. Matrices among
    them are given as they are saved, ``(out, in)``, and kept the other way round.
    """

    def __init__(
        self,
        architecture: Architecture,
        head: Mapping[str, tuple[int, ...]],
        precision: Precision = "float32",
    ):
        super().__init__(dtype=keras.DTypePolicy(precision))
        self.architecture = architecture
        # The state is set by each fit; a fixed start keeps Keras's global generator untouched.
        self.seed_generator = keras.random.SeedGenerator(0)
        self._head = tuple(head)
        self._shapes = _shapes(architecture) | {name: s[::-1] for name, s in head.items()}
        self.word = self.add_weight(
            shape=(architecture.vocab_size, architecture.hidden_size), initializer="zeros"
        )
        self.rest = self.add_weight(
            shape=(sum(map(math.prod, self._shapes.values())),), initializer="zeros"
        )
        self._traced = {
            (training, first_only): traced_once(partial(self._run_layer, first_only=first_only))
            for training in (False, True)
            for first_only in (False, True)
        }
        self.built = True

    def hidden_states(self, ids, length, w, seeds, places=None):
        """Return the last hidden states: of [CLS], ``(batch, 1, width)``, or of tokens.

        ``places`` are the numbers of the tokens to return, ``(n_places, width)``, counted through
        the batch: ``row * n_tokens + column``. No more than what is returned is computed.
        """
        n_tokens = ops.shape(ids)[1]
        embedded = ops.take(self.word, ids, axis=0) + w["position"][:n_tokens] + w["token_type"][0]
        x = self._drop(self._norm(embedded, w["embedding_norm"]), seeds)
        is_token = ops.arange(n_tokens, dtype="int32") < ops.expand_dims(length, 1)
        mask = ops.where(ops.expand_dims(is_token, (1, 2)), 0.0, NEVER)
        for i in range(self.architecture.num_hidden_layers):
            last = i == self.architecture.num_hidden_layers - 1
            layer = self._traced[seeds is not None, last and places is None]
            weights = {name: w[name][i] for name in _OF_A_LAYER}
            seed = None if seeds is None else seeds.next()
            x = layer(x, mask, weights, seed, places if last else None)
        return x

    def unpacked(self) -> dict[str, Any]:
        """Return the weights but the word embeddings; those of the layers as lists."""
        w = self._split(ops.convert_to_tensor(self.rest))
        depth = self.architecture.num_hidden_layers
        return w | {name: ops.unstack(w[name], depth) for name in _OF_A_LAYER}

    def _split(self, rest: Any) -> dict[str, Any]:
        """Take the weights out of the variable that holds them end to end."""
        ends = np.cumsum([math.prod(shape) for shape in self._shapes.values()])
        parts = ops.split(rest, ends[:-1].tolist())
        return {
            name: ops.reshape(part, shape)
            for (name, shape), part in zip(self._shapes.items(), parts, strict=True)
        }

    def _run_layer(self, x, mask, weights, seed, places, first_only):
        seeds = None if seed is None else Seeds(seed, 0)
        attended = self._attend(x, mask, weights, seeds, first_only)
        if first_only:
            x = x[:, :1]
        elif places is not None:
            width = self.architecture.hidden_size
            x, attended = (
                ops.take(ops.reshape(states, (-1, width)), places, axis=0)
                for states in (x, attended)
            )
        attended = ops.matmul(attended, weights["attention_kernel"]) + weights["attention_bias"]
        x = self._norm(x + self._drop(attended, seeds), weights["attention_norm"])
        inner = ops.matmul(x, weights["inner_kernel"]) + weights["inner_bias"]
        # BERT's GELU is the exact one; the default of keras.ops is the approximation.
        inner = ops.gelu(inner, approximate=False)
        outer = ops.matmul(inner, weights["outer_kernel"]) + weights["outer_bias"]
        return self._norm(x + self._drop(outer, seeds), weights["outer_norm"])

    def _attend(self, x, mask, layer_weights, seeds, first_only):
        a = self.architecture
        width, heads = a.hidden_size, a.num_attention_heads
        kernel, bias = layer_weights["qkv_kernel"], layer_weights["qkv_bias"]

        def projected(x, start, stop):
            """Return some of query, key and value, ``(number, batch, heads, tokens, size)``."""
            columns = slice(start * width, stop * width)
            y = ops.matmul(x, kernel[:, columns]) + bias[columns]
            shape = (ops.shape(x)[0], ops.shape(x)[1], stop - start, heads, width // heads)
            return ops.transpose(ops.reshape(y, shape), (2, 0, 3, 1, 4))

        if first_only:
            query = projected(x[:, :1], 0, 1)[0]
            key, value = ops.unstack(projected(x, 1, 3), 2, axis=0)
        else:
            query, key, value = ops.unstack(projected(x, 0, 3), 3, axis=0)
        query = query * (width // heads) ** -0.5
        scores = ops.matmul(query, ops.transpose(key, (0, 1, 3, 2)))
        weights = ops.softmax(ops.cast(scores, "float32") + mask)
        weights = self._drop(weights, seeds, rate=a.attention_probs_dropout_prob)
        attended = ops.transpose(
            ops.matmul(ops.cast(weights, self.compute_dtype), value), (0, 2, 1, 3)
        )
        return ops.reshape(attended, (ops.shape(attended)[0], ops.shape(attended)[1], width))

    def _drop(self, x, seeds, rate=None):
        """Dropout, at the nearest multiple of 1/256.

        A byte of randomness decides on an element, where Keras's own dropout draws four:
        most of the time of a dropout goes into drawing.
        """
        rate = self.architecture.hidden_dropout_prob if rate is None else rate
        dropped = min(round(256 * rate), 255)
        if seeds is None or dropped == 0:
            return x
        shape = ops.shape(x)
        size = math.prod(shape)
        words = keras.random.randint(
            ((size + 3) // 4, 1), -(2**31), 2**31 - 1, dtype="int32", seed=seeds
        )
        random_bytes = ops.reshape(ops.view(words, "uint8"), (-1,))[:size]
        kept = ops.reshape(ops.cast(random_bytes >= dropped, x.dtype), shape)
        return x * (kept * (256 / (256 - dropped)))

    def _norm(self, x, scale_and_shift):
        # Variances of half-precision numbers lose too much: BERT's epsilon is 1e-12.
        normalised = ops.layer_normalization(
            ops.cast(x, "float32"),
            gamma=ops.cast(scale_and_shift[0], "float32"),
            beta=ops.cast(scale_and_shift[1], "float32"),
            epsilon=self.architecture.layer_norm_eps,
        )
        return ops.cast(normalised, self.compute_dtype)

    def load(self, weights: Weights) -> None:
        """Take weights in Hugging Face's names; rows of a larger vocabulary stay zero."""
        layers = [f"bert.encoder.layer.{i}" for i in range(self.architecture.num_hidden_layers)]

        def stacked(name: str) -> np.ndarray:
            return np.stack([weights[f"{layer}.{name}"] for layer in layers])

        def kernels(name: str) -> np.ndarray:
            return stacked(f"{name}.weight").transpose(0, 2, 1)

        def norm(name: str) -> np.ndarray:
            return np.stack([weights[f"{name}.weight"], weights[f"{name}.bias"]])

        qkv = ("query", "key", "value")
        attention = "attention.self"
        words = weights["bert.embeddings.word_embeddings.weight"]
        spare = self.architecture.vocab_size - len(words)
        values = {
            "position": weights["bert.embeddings.position_embeddings.weight"],
            "token_type": weights["bert.embeddings.token_type_embeddings.weight"],
            "embedding_norm": norm("bert.embeddings.LayerNorm"),
            "qkv_kernel": np.concatenate([kernels(f"{attention}.{n}") for n in qkv], axis=2),
            "qkv_bias": np.concatenate([stacked(f"{attention}.{n}.bias") for n in qkv], axis=1),
            "attention_kernel": kernels("attention.output.dense"),
            "attention_bias": stacked("attention.output.dense.bias"),
            "attention_norm": np.stack([norm(f"{n}.attention.output.LayerNorm") for n in layers]),
            "inner_kernel": kernels("intermediate.dense"),
            "inner_bias": stacked("intermediate.dense.bias"),
            "outer_kernel": kernels("output.dense"),
            "outer_bias": stacked("output.dense.bias"),
            "outer_norm": np.stack([norm(f"{n}.output.LayerNorm") for n in layers]),
            **{name: weights[name].T for name in self._head},
        }
        self.word.assign(np.pad(words, ((0, spare), (0, 0))))
        self.rest.assign(np.concatenate([values[name].ravel() for name in self._shapes]))

    def weights_by_name(self, n_words: int) -> dict[str, np.ndarray]:
        """Return copies of the weights in Hugging Face's names, with ``n_words`` words."""
        parts = self._split(ops.convert_to_tensor(self.rest))
        value = {name: ops.convert_to_numpy(part) for name, part in parts.items()}
        named = {
            "bert.embeddings.word_embeddings.weight": self.word.numpy()[:n_words],
            "bert.embeddings.position_embeddings.weight": value["position"],
            "bert.embeddings.token_type_embeddings.weight": value["token_type"],
            **_split_norm("bert.embeddings.LayerNorm", value["embedding_norm"]),
        }
        for i in range(self.architecture.num_hidden_layers):
            layer = f"bert.encoder.layer.{i}"
            kernels = np.split(value["qkv_kernel"][i], 3, axis=1)
            biases = np.split(value["qkv_bias"][i], 3)
            for name, kernel, bias in zip(("query", "key", "value"), kernels, biases, strict=True):
                named[f"{layer}.attention.self.{name}.weight"] = kernel.T
                named[f"{layer}.attention.self.{name}.bias"] = bias
            for name, variable in (
                ("attention.output.dense", "attention"),
                ("intermediate.dense", "inner"),
                ("output.dense", "outer"),
            ):
                named[f"{layer}.{name}.weight"] = value[f"{variable}_kernel"][i].T
                named[f"{layer}.{name}.bias"] = value[f"{variable}_bias"][i]
            named |= _split_norm(f"{layer}.attention.output.LayerNorm", value["attention_norm"][i])
            named |= _split_norm(f"{layer}.output.LayerNorm", value["outer_norm"][i])
        named |= {name: value[name].T for name in self._head}
        # Copies, since on some backends the arrays are views of memory that training writes to;
        # in C order, since safetensors writes the memory of an array as it lies.
        return {
            name: np.array(named[name], np.float32, order="C")
            for name in {**self.architecture.weight_shapes(), **named}
            if name in named
        }


@keras.saving.register_keras_serializable("skbert_filter")
class BertClassifier(BertEncoder):
    """BERT with a pooler and a classification head; gives logits ``(batch, n_logits)``.

    Called with ``{"input_ids": (batch, width), "length": (batch,)}``: tokens at and after
    ``length`` are padding, whatever their id.
    """

    def __init__(self, architecture: Architecture, precision: Precision = "float32"):
        head = {
            name: shape
            for name, shape in architecture.weight_shapes().items()
            if name.startswith(("bert.pooler.", "classifier."))
        }
        super().__init__(architecture, head, precision)

    def get_config(self):
        """Describe the model to a callback that saves it."""
        return {"architecture": asdict(self.architecture), "precision": self.dtype_policy.name}

    @classmethod
    def from_config(cls, config):
        """Make the model that a callback has saved."""
        return cls(Architecture(**config["architecture"]), config["precision"])

    def call(self, inputs, training=False):
        ids, length = inputs["input_ids"], inputs["length"]
        w = self.unpacked()
        if not training:
            return self._logits(ids, length, w, None)
        # Two halves that do not wait for each other: a backend may compute them side by side.
        half = ops.shape(ids)[0] // 2
        seed = self.seed_generator.next()
        first = self._logits(ids[:half], length[:half], w, Seeds(seed, 0))
        second = self._logits(ids[half:], length[half:], w, Seeds(seed, 1))
        return ops.concatenate([first, second])

    def _logits(self, ids, length, w, seeds):
        first = self.hidden_states(ids, length, w, seeds)[:, 0]
        pooled = ops.matmul(first, w["bert.pooler.dense.weight"]) + w["bert.pooler.dense.bias"]
        pooled = self._drop(ops.tanh(pooled), seeds)
        logits = ops.matmul(pooled, w["classifier.weight"]) + w["classifier.bias"]
        return ops.cast(logits, "float32")


class MeanState(BertEncoder):
    """The mean over its tokens of the last hidden state of a text, ``(batch, width)``."""

    def __init__(self, architecture: Architecture):
        super().__init__(architecture, {})

    def call(self, inputs, training=False):
        ids, length = inputs["input_ids"], inputs["length"]
        n_texts, n_tokens = ops.shape(ids)[0], ops.shape(ids)[1]
        everywhere = ops.arange(n_texts * n_tokens, dtype="int32")
        states = self.hidden_states(ids, length, self.unpacked(), None, everywhere)
        states = ops.cast(states, "float32")
        states = ops.reshape(states, (n_texts, n_tokens, self.architecture.hidden_size))
        is_token = ops.arange(n_tokens, dtype="int32") < ops.expand_dims(length, 1)
        weights = ops.cast(is_token, "float32") / ops.cast(ops.expand_dims(length, 1), "float32")
        return ops.sum(states * ops.expand_dims(weights, 2), axis=1)


def compiled_forward(model: keras.Model) -> Callable[[dict[str, np.ndarray]], np.ndarray]:
    """Return a function from ``input_ids`` and ``length`` of a batch to what the model gives."""
    if backend_name() != "tensorflow":
        return model.predict_on_batch
    import tensorflow as tf

    # One open shape, traced once: predict_on_batch would be traced for the first shapes it sees.
    @tf.function(
        input_signature=[tf.TensorSpec((None, None), tf.int32), tf.TensorSpec((None,), tf.int32)]
    )
    def traced(input_ids, length):
        return model({"input_ids": input_ids, "length": length}, training=False)

    compiled = traced.get_concrete_function()
    return lambda inputs: compiled(
        tf.constant(inputs["input_ids"]), tf.constant(inputs["length"])
    ).numpy()


def _shapes(a: Architecture) -> dict[str, tuple[int, ...]]:
    """Shapes of the encoder's weights but the word embeddings; those of layers are stacked."""
    width, inner, depth = a.hidden_size, a.intermediate_size, a.num_hidden_layers
    return {
        "position": (a.max_position_embeddings, width),
        "token_type": (a.type_vocab_size, width),
        "embedding_norm": (2, width),
        "qkv_kernel": (depth, width, 3 * width),
        "qkv_bias": (depth, 3 * width),
        "attention_kernel": (depth, width, width),
        "attention_bias": (depth, width),
        "attention_norm": (depth, 2, width),
        "inner_kernel": (depth, width, inner),
        "inner_bias": (depth, inner),
        "outer_kernel": (depth, inner, width),
        "outer_bias": (depth, width),
        "outer_norm": (depth, 2, width),
    }


def _split_norm(name: str, scale_and_shift: np.ndarray) -> dict[str, np.ndarray]:
    return {f"{name}.weight": scale_and_shift[0], f"{name}.bias": scale_and_shift[1]}
