"""The one pool of live models, shared by all fits and predictions of a process.

An estimator holds arrays; a live model is only taken to compute with them. To build and trace one
costs up to seconds, so that the last few are kept for the next fit or prediction.
"""

import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from skbert_filter.bert.architecture import Architecture, Precision, Weights
from skbert_filter.bert.engine import backend_name, computing

_MOST_BYTES_KEPT = 128 * 2**20
_MOST_PARAMETERS_KEPT = 8_000_000

# Vocabularies that differ a little, as those of cross-validation folds do, share a Keras model.
_VOCAB_STEP = 512


class LiveModel:
    """What the pool keeps: it computes what its ``key`` says, with the weights of a ``digest``."""

    key: Any
    digest: str | None = None
    n_bytes: int
    most_kept: int
    # Several threads may compute with it at once.
    is_shared = False


_L = TypeVar("_L", bound=LiveModel)
_kept: defaultdict[type, list[Any]] = defaultdict(list)  # the one used last is at the end
_lock = threading.Lock()


def take(kind: type[_L], key: Any, digest: str | None = None) -> _L | None:
    """Return a live model of the key, if one is kept, at best with the weights of ``digest``."""
    with _lock:
        matching = [live for live in _kept[kind] if live.key == key]
        live = max(matching, key=lambda live: live.digest == digest, default=None)
        if live is not None and not live.is_shared:
            _kept[kind].remove(live)
        return live


def keep(live: LiveModel) -> None:
    """Keep a live model for others, and drop those of its kind that were not used for longest."""
    with _lock:
        kept = _kept[type(live)]
        # Two threads may have made a shared one at the same time.
        kept[:] = [other for other in kept if not (live.is_shared and other.key == live.key)]
        kept.append(live)
        while len(kept) > 1 and (
            len(kept) > live.most_kept or sum(other.n_bytes for other in kept) > _MOST_BYTES_KEPT
        ):
            del kept[0]


@dataclass(frozen=True)
class LiveKey:
    """What a Keras model is compiled for."""

    architecture: Architecture
    gamma: float
    label_smoothing: float
    precision: Precision = "float32"


class KerasModel(LiveModel):
    """A classifier in Keras, with its compiled forward pass and the tokenizer of its weights."""

    most_kept = 2

    def __init__(self, key: LiveKey):
        from skbert_filter.bert.encoder import BertClassifier

        self.key = key
        self.model = BertClassifier(key.architecture, key.precision)
        self.n_bytes = 4 * self.model.count_params()
        self.forward: Any = None
        self.tokenizer: Any = None
        # To a callback of the user, which may hold on to the model.
        self.lent_out = False

    def load(self, weights: Weights, digest: str | None = None) -> None:
        """Set the weights, unless those of the same digest are there already."""
        if digest is None or digest != self.digest:
            self.model.load(weights)
            self.digest, self.tokenizer = digest, None


@contextmanager
def keras_model(key: LiveKey, digest: str | None = None) -> Iterator[KerasModel]:
    """Lend a Keras model to one thread; it is kept only if the block ends well."""
    words = -(-key.architecture.vocab_size // _VOCAB_STEP) * _VOCAB_STEP
    key = replace(key, architecture=replace(key.architecture, vocab_size=words))
    with computing():
        live = take(KerasModel, key, digest) or KerasModel(key)
        yield live

    # JAX compiles the learning rate's schedule in as a constant, and a loss scale is state that a
    # next fit must not see.
    if (
        not live.lent_out
        and live.model.count_params() <= _MOST_PARAMETERS_KEPT
        and key.precision != "mixed_float16"
        and backend_name() != "jax"
    ):
        keep(live)
