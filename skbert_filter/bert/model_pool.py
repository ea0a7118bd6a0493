"""Live Keras models, shared by all fits and predictions of a process.

An estimator holds arrays; a live model is only borrowed to compute with them. Building and tracing
one costs seconds, so that a few are kept for the next fit or prediction of the same architecture.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from skbert_filter.bert.architecture import Architecture, Precision, Weights
from skbert_filter.bert.engine import backend_name, computing

if TYPE_CHECKING:
    from skbert_filter.bert.encoder import BertClassifier

# Vocabularies that differ a little, as those of cross-validation folds do, share a live model.
_VOCAB_STEP = 512
_MOST_KEPT = 2
_MOST_PARAMETERS_KEPT = 8_000_000


@dataclass(frozen=True)
class LiveKey:
    """What a live model is compiled for."""

    architecture: Architecture
    gamma: float
    label_smoothing: float
    precision: Precision = "float32"


@dataclass(eq=False)
class LiveModel:
    """A Keras model, its compiled forward pass, and whose weights and tokenizer it holds."""

    key: LiveKey
    model: "BertClassifier"
    loaded: str | None = None
    forward: Any = None
    tokenizer: Any = None
    lent_out: bool = False

    def load(self, weights: Weights, digest: str | None = None) -> None:
        """Set the weights, unless those of the same digest are there already."""
        if digest is None or digest != self.loaded:
            self.model.load(weights)
            self.loaded, self.tokenizer = digest, None

    @property
    def may_be_kept(self) -> bool:
        # A callback of the user may hold on to the model.
        # JAX compiles the learning rate's schedule in as a constant, and a loss scale is state
        # that a next fit must not see.
        return (
            not self.lent_out
            and self.model.count_params() <= _MOST_PARAMETERS_KEPT
            and self.key.precision != "mixed_float16"
            and backend_name() != "jax"
        )


_kept: list[LiveModel] = []
_lock = threading.Lock()


@contextmanager
def borrowed(key: LiveKey, digest: str | None = None) -> Iterator[LiveModel]:
    """Lend a live model; one that holds the weights of ``digest`` if there is one.

    It is kept for a next borrower only if the block ends well, and dropped otherwise.
    """
    words = -(-key.architecture.vocab_size // _VOCAB_STEP) * _VOCAB_STEP
    key = replace(key, architecture=replace(key.architecture, vocab_size=words))
    with _lock:
        fitting = [live for live in _kept if live.key == key]
        live = max(fitting, key=lambda live: live.loaded == digest, default=None)
        if live is not None:
            _kept.remove(live)
    with computing():
        if live is None:
            from skbert_filter.bert.encoder import BertClassifier

            live = LiveModel(key, BertClassifier(key.architecture, key.precision))
        yield live
    if live.may_be_kept:
        with _lock:
            _kept.append(live)
            del _kept[:-_MOST_KEPT]
