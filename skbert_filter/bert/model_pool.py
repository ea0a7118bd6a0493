"""The one pool of live models, shared by all fits and predictions of a process.

An estimator holds arrays; a live model is only borrowed to compute with them. To build and trace
one costs up to seconds, so that the last few are kept for the next fit or prediction.
"""

import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from skbert_filter.bert.architecture import Architecture, Precision, Weights
from skbert_filter.bert.engine import backend_name, computing

_MOST_BYTES_KEPT = 128 * 2**20

# Vocabularies that differ a little, as those of cross-validation folds do, share a Keras model.
_VOCAB_STEP = 512
_MOST_PARAMETERS_KEPT = 8_000_000


class LiveModel:
    """What the pool keeps: it computes what its ``key`` says, with the weights of a digest."""

    most_kept: int
    # Several threads may compute with it at once.
    is_shared = False
    may_be_kept = True

    key: Any
    n_bytes: int
    digest: str | None = None


_L = TypeVar("_L", bound=LiveModel)
_kept: defaultdict[type, list[Any]] = defaultdict(list)  # the one used last is at the end
_lock = threading.Lock()


@contextmanager
def borrowed(kind: type[_L], key: Any, make: Callable[[], _L], digest: Any = None) -> Iterator[_L]:
    """Lend a live model of a key, one that holds the weights of ``digest`` if there is one.

    It is kept for a next borrower only if the block ends well, and dropped otherwise.
    """
    with _lock:
        matching = [live for live in _kept[kind] if live.key == key]
        live = max(matching, key=lambda live: live.digest == digest, default=None)
        if live is not None and not kind.is_shared:
            _kept[kind].remove(live)
    if live is None:
        live = make()
    if kind.is_shared:
        _keep(live)

    yield live
    if not kind.is_shared and live.may_be_kept:
        _keep(live)


def _keep(live: LiveModel) -> None:
    kept = _kept[type(live)]
    with _lock:
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

    @property
    def may_be_kept(self) -> bool:  # type: ignore[override]
        # JAX compiles the learning rate's schedule in as a constant, and a loss scale is state
        # that a next fit must not see.
        return (
            not self.lent_out
            and self.model.count_params() <= _MOST_PARAMETERS_KEPT
            and self.key.precision != "mixed_float16"
            and backend_name() != "jax"
        )


@contextmanager
def keras_model(key: LiveKey, digest: str | None = None) -> Iterator[KerasModel]:
    """Lend a Keras model, and let Keras compute in 32 bits meanwhile."""
    words = -(-key.architecture.vocab_size // _VOCAB_STEP) * _VOCAB_STEP
    key = replace(key, architecture=replace(key.architecture, vocab_size=words))
    with computing(), borrowed(KerasModel, key, lambda: KerasModel(key), digest) as live:
        yield live
