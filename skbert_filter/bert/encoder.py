"""BERT and its classifier as Keras models, written with ``keras.ops``.

All weights except the word embeddings are concatenated in one variable, since the time of an
optimizer step and of its tracing grows with the number of variables, not with their size. Importing
this module imports Keras.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

import keras
import numpy as np
from keras import ops

from skbert_filter.bert.architecture import Architecture, Precision, Weights
from skbert_filter.bert.engine import backend_name, traced_once

# The logit of what must not be chosen, such as padding by attention: its exp() is 0 in float32.
NEVER = -1e9

_QKV = ("query", "key", "value")
_WORDS = "bert.embeddings.word_embeddings.weight"


class Seeds(keras.random.SeedGenerator):
    """Seeds derived from one seed, without a state that computations would have to wait for."""

    def __init__(self, seed, branch):
        # No call of super().__init__, which would create the state.
        self._seed, self._n_drawn = seed, 64 * branch

    def next(self, ordered=True):
        self._n_drawn += 1
        first, second = ops.unstack(self._seed, 2)
        second = second * 128 + self._n_drawn
        return ops.stack([first, ops.cast(second, first.dtype)])


class BertEncoder(keras.Model):
    """The part of BERT that a classifier and a masked language model share.

    ``head`` contains the shapes of the weights that a subclass adds, under Hugging Face's names.
    Matrices are loaded and returned as ``(out, in)``, but kept transposed.
    """

    def __init__(
        self,
        architecture: Architecture,
        head: Mapping[str, tuple[int, ...]],
        precision: Precision = "float32",
    ):
        super().__init__(dtype=keras.DTypePolicy(precision))
        self.architecture = architecture

        # Each fit sets the state; a fixed seed leaves Keras's global generator untouched.
        self.seed_generator = keras.random.SeedGenerator(0)
        self._shapes = {
            name: shape
            for name, shape in architecture.weight_shapes().items()
            if name.startswith(("bert.embeddings.", "bert.encoder.")) and name != _WORDS
        }
        self._shapes |= head

        self.word = self.add_weight(
            shape=(architecture.vocab_size, architecture.hidden_size), initializer="zeros"
        )
        self.rest = self.add_weight(
            shape=(sum(map(math.prod, self._shapes.values())),), initializer="zeros"
        )
        self._run = traced_once(self._run_layer)

        self.built = True

    def load(self, weights: Weights) -> None:
        """Set the weights by name; the embeddings of a smaller vocabulary are padded with zeros."""
        words = weights[_WORDS]
        n_missing = self.architecture.vocab_size - len(words)
        self.word.assign(np.pad(words, ((0, n_missing), (0, 0))))
        self.rest.assign(np.concatenate([weights[name].T.ravel() for name in self._shapes]))

    def weights_by_name(self, n_words: int) -> dict[str, np.ndarray]:
        """Return copies of the weights, with the embeddings of the first ``n_words`` words."""
        rest = {name: ops.convert_to_numpy(part).T for name, part in self.unpacked().items()}
        # On some backends the arrays are views of memory that training writes to. The copies are in
        # C order, since safetensors writes the memory of an array as it is.
        return {
            name: np.array(weight, np.float32, order="C")
            for name, weight in {_WORDS: self.word.numpy()[:n_words], **rest}.items()
        }

    def unpacked(self) -> dict[str, Any]:
        """Return all weights but the word embeddings by name, with matrices as ``(in, out)``."""
        ends = np.cumsum([math.prod(shape) for shape in self._shapes.values()])
        parts = ops.split(ops.convert_to_tensor(self.rest), ends[:-1].tolist())
        return {
            name: ops.reshape(part, shape[::-1])
            for (name, shape), part in zip(self._shapes.items(), parts, strict=True)
        }

    def hidden_states(self, ids, length, w, seeds, positions=None):
        """Return the last hidden state of [CLS], ``(batch, 1, width)``, or of some tokens.

        These are the tokens at ``positions``, each ``row * n_tokens + column``; their states are
        ``(n_positions, width)``. The last layer computes no others.
        """
        n_tokens = ops.shape(ids)[1]
        position = ops.transpose(w["bert.embeddings.position_embeddings.weight"])[:n_tokens]
        token_type = ops.transpose(w["bert.embeddings.token_type_embeddings.weight"])[0]
        embedded = ops.take(self.word, ids, axis=0) + position + token_type
        x = self._drop(self._norm(embedded, w, "bert.embeddings.LayerNorm"), seeds)

        is_token = ops.arange(n_tokens, dtype="int32") < ops.expand_dims(length, 1)
        mask = ops.where(ops.expand_dims(is_token, (1, 2)), 0.0, NEVER)
        depth = self.architecture.num_hidden_layers

        for i in range(depth):
            prefix, is_last = f"bert.encoder.layer.{i}.", i == depth - 1
            layer = {n.removeprefix(prefix): w[n] for n in self._shapes if n.startswith(prefix)}
            seed = None if seeds is None else seeds.next()
            at = positions if is_last else None
            x = self._run(x, mask, layer, seed, at, first_only=is_last and positions is None)
        return x

    def _run_layer(self, x, mask, w, seed, positions, first_only):
        seeds = None if seed is None else Seeds(seed, 0)
        attended = self._attend(x, mask, w, seeds, first_only)
        if first_only:
            x = x[:, :1]
        elif positions is not None:
            width = self.architecture.hidden_size
            x, attended = (
                ops.take(ops.reshape(states, (-1, width)), positions, axis=0)
                for states in (x, attended)
            )

        attended = self._drop(dense(attended, w, "attention.output.dense"), seeds)
        x = self._norm(x + attended, w, "attention.output.LayerNorm")

        # BERT uses the exact GELU; keras.ops defaults to the approximation.
        inner = ops.gelu(dense(x, w, "intermediate.dense"), approximate=False)
        outer = self._drop(dense(inner, w, "output.dense"), seeds)
        return self._norm(x + outer, w, "output.LayerNorm")

    def _attend(self, x, mask, w, seeds, first_only):
        a = self.architecture
        heads, size = a.num_attention_heads, a.hidden_size // a.num_attention_heads

        def projected(x, names):
            """Return the projections of these names, each ``(batch, heads, tokens, size)``."""
            kernel, bias = (
                ops.concatenate([w[f"attention.self.{n}.{part}"] for n in names], axis=-1)
                for part in ("weight", "bias")
            )
            y = ops.matmul(x, kernel) + bias
            y = ops.reshape(y, (ops.shape(x)[0], ops.shape(x)[1], len(names), heads, size))
            return ops.unstack(ops.transpose(y, (2, 0, 3, 1, 4)), len(names), axis=0)

        if first_only:
            (query,) = projected(x[:, :1], _QKV[:1])
            key, value = projected(x, _QKV[1:])
        else:
            query, key, value = projected(x, _QKV)
        scores = ops.matmul(query * size**-0.5, ops.transpose(key, (0, 1, 3, 2)))
        probs = ops.softmax(ops.cast(scores, "float32") + mask)
        probs = self._drop(probs, seeds, rate=a.attention_probs_dropout_prob)

        attended = ops.matmul(ops.cast(probs, self.compute_dtype), value)
        attended = ops.transpose(attended, (0, 2, 1, 3))
        return ops.reshape(attended, (*ops.shape(attended)[:2], a.hidden_size))

    def _drop(self, x, seeds, rate=None):
        """Apply dropout, at the nearest multiple of 1/256.

        It needs one random byte per element, where Keras's dropout draws four: most of the time of
        dropout is spent on drawing.
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

    def _norm(self, x, w, name):
        # Half precision is too coarse for variances; in float16, BERT's epsilon of 1e-12 is 0.
        normalized = ops.layer_normalization(
            ops.cast(x, "float32"),
            gamma=ops.cast(w[f"{name}.weight"], "float32"),
            beta=ops.cast(w[f"{name}.bias"], "float32"),
            epsilon=self.architecture.layer_norm_eps,
        )
        return ops.cast(normalized, self.compute_dtype)


def dense(x, w, name):
    """Apply the dense layer of a name."""
    return ops.matmul(x, w[f"{name}.weight"]) + w[f"{name}.bias"]


@keras.saving.register_keras_serializable("skbert_filter")
class BertClassifier(BertEncoder):
    """BERT with a pooler and a classification head; returns logits ``(batch, n_logits)``.

    The inputs are ``{"input_ids": (batch, width), "length": (batch,)}``: tokens from ``length`` on
    are padding, whatever their id.
    """

    def __init__(self, architecture: Architecture, precision: Precision = "float32"):
        head = {
            name: shape
            for name, shape in architecture.weight_shapes().items()
            if name.startswith(("bert.pooler.", "classifier."))
        }
        super().__init__(architecture, head, precision)

    def get_config(self):
        """Return what a callback that saves the model needs to create it again."""
        return {"architecture": asdict(self.architecture), "precision": self.dtype_policy.name}

    @classmethod
    def from_config(cls, config):
        """Create the model that a callback has saved."""
        return cls(Architecture(**config["architecture"]), config["precision"])

    def call(self, inputs, training=False):
        ids, length = inputs["input_ids"], inputs["length"]
        w = self.unpacked()
        if not training:
            return self._logits(ids, length, w, None)
        # Two independent halves, which a backend may compute in parallel.
        half = ops.shape(ids)[0] // 2
        seed = self.seed_generator.next()
        first = self._logits(ids[:half], length[:half], w, Seeds(seed, 0))
        second = self._logits(ids[half:], length[half:], w, Seeds(seed, 1))
        return ops.concatenate([first, second])

    def _logits(self, ids, length, w, seeds):
        first = self.hidden_states(ids, length, w, seeds)[:, 0]
        pooled = self._drop(ops.tanh(dense(first, w, "bert.pooler.dense")), seeds)
        return ops.cast(dense(pooled, w, "classifier"), "float32")


class MeanState(BertEncoder):
    """BERT with mean pooling: the mean last hidden state of a text's tokens, ``(batch, width)``."""

    def __init__(self, architecture: Architecture):
        super().__init__(architecture, {})

    def call(self, inputs, training=False):
        ids, length = inputs["input_ids"], inputs["length"]
        n_texts, n_tokens = ops.shape(ids)[0], ops.shape(ids)[1]
        all_positions = ops.arange(n_texts * n_tokens, dtype="int32")
        states = self.hidden_states(ids, length, self.unpacked(), None, all_positions)
        states = ops.reshape(states, (n_texts, n_tokens, self.architecture.hidden_size))

        is_token = ops.arange(n_tokens, dtype="int32") < ops.expand_dims(length, 1)
        weights = ops.cast(is_token, "float32") / ops.cast(ops.expand_dims(length, 1), "float32")
        return ops.sum(states * ops.expand_dims(weights, 2), axis=1)


def compiled_forward(model: keras.Model) -> Callable[[dict[str, np.ndarray]], np.ndarray]:
    """Return a function that maps ``input_ids`` and ``length`` of a batch to the model's output."""
    if backend_name() != "tensorflow":
        return model.predict_on_batch
    import tensorflow as tf

    # Traced once, for any shape; predict_on_batch would be traced for the first shapes it sees.
    @tf.function(
        input_signature=[tf.TensorSpec((None, None), tf.int32), tf.TensorSpec((None,), tf.int32)]
    )
    def traced(input_ids, length):
        return model({"input_ids": input_ids, "length": length}, training=False)

    compiled = traced.get_concrete_function()
    return lambda inputs: compiled(
        tf.constant(inputs["input_ids"]), tf.constant(inputs["length"])
    ).numpy()
