"""A pool of built models, shared by all fits and predictions of a process.

Estimators hold arrays only. Building and tracing a model takes up to seconds, so the most recently
used ones are kept for the next fit or prediction.
"""

import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from skbert_filter.bert.architecture import Architecture, Precision, Weights
from skbert_filter.bert.engine import backend_name, computing

_MAX_BYTES = 128 * 2**20
_MAX_PARAMETERS = 8_000_000

# Vocabularies of similar size, such as those of cross-validation folds, share a Keras model.
_VOCAB_STEP = 512


class PooledModel:
    """A model that fits its ``key``; ``digest`` identifies the weights that it holds."""

    key: Any
    digest: str | None = None
    n_bytes: int
    max_pooled: int
    # Whether several threads may use it at once.
    is_shared = False


_M = TypeVar("_M", bound=PooledModel)
_pool: defaultdict[type, list[Any]] = defaultdict(list)  # most recently used last
_lock = threading.Lock()


def take(kind: type[_M], key: Any, digest: str | None = None) -> _M | None:
    """Return a pooled model of this key, if any, preferably with the weights of ``digest``."""
    with _lock:
        matching = [model for model in _pool[kind] if model.key == key]
        model = max(matching, key=lambda model: model.digest == digest, default=None)
        if model is not None and not model.is_shared:
            _pool[kind].remove(model)
        return model


def keep(model: PooledModel) -> None:
    """Put a model into the pool, and drop the least recently used ones of its kind."""
    with _lock:
        models = _pool[type(model)]
        # Two threads may have built a shared model at the same time.
        models[:] = [other for other in models if not (model.is_shared and other.key == model.key)]
        models.append(model)
        while len(models) > 1 and (
            len(models) > model.max_pooled or sum(other.n_bytes for other in models) > _MAX_BYTES
        ):
            del models[0]


@dataclass(frozen=True)
class KerasModelKey:
    """What a Keras model is compiled for."""

    architecture: Architecture
    gamma: float
    label_smoothing: float
    precision: Precision = "float32"


class KerasModel(PooledModel):
    """A classifier in Keras, with its compiled forward pass and the tokenizer of its weights."""

    max_pooled = 2

    def __init__(self, key: KerasModelKey):
        from skbert_filter.bert.encoder import BertClassifier

        self.key = key
        self.model = BertClassifier(key.architecture, key.precision)
        self.n_bytes = 4 * self.model.count_params()
        self.forward: Any = None
        self.tokenizer: Any = None
        # A user's callback may hold on to the model that it saw.
        self.seen_by_callbacks = False

    def load(self, weights: Weights, digest: str | None = None) -> None:
        """Set the weights, unless those of this digest are already set."""
        if digest is None or digest != self.digest:
            self.model.load(weights)
            self.digest, self.tokenizer = digest, None


@contextmanager
def keras_model(key: KerasModelKey, digest: str | None = None) -> Iterator[KerasModel]:
    """Lend a Keras model to one thread; it is pooled again only if the block does not raise."""
    vocab_size = -(-key.architecture.vocab_size // _VOCAB_STEP) * _VOCAB_STEP
    key = replace(key, architecture=replace(key.architecture, vocab_size=vocab_size))
    with computing():
        pooled = take(KerasModel, key, digest) or KerasModel(key)
        yield pooled

    # JAX compiles the learning rate schedule in as a constant, and the state of a loss scale must
    # not leak into the next fit.
    if (
        not pooled.seen_by_callbacks
        and pooled.model.count_params() <= _MAX_PARAMETERS
        and key.precision != "mixed_float16"
        and backend_name() != "jax"
    ):
        keep(pooled)
