"""Batched forward passes for prediction: by ONNX Runtime, or by Keras where that is faster."""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import joblib
import numpy as np
from tokenizers import Tokenizer

from skbert_filter.bert.batching import Batch, prediction_batches, width_for
from skbert_filter.bert.engine import backend_name, granted_threads
from skbert_filter.bert.model_pool import LiveKey, borrowed
from skbert_filter.bert.onnx_engine import onnx_model
from skbert_filter.bert.state import BertState
from skbert_filter.bert.tokenizer import TokenIds, encode

# Texts that a thread takes at a time. It bounds the memory of a call; fewer would leave too few
# texts of each length for full batches.
TEXTS_AT_A_TIME = 16_384

# Starting a thread is not worth less.
_FEWEST_TEXTS = 64


@dataclass(frozen=True)
class _Engine:
    """How to compute: ``forward`` gives the logits of batches padded to ``width_of(length)``."""

    forward: Callable[[Batch], np.ndarray]
    encode: Callable[[Sequence[str]], TokenIds]
    width_of: Callable[[int], int]
    tokens_per_batch: int
    may_run_in_threads: bool = True


def predict_logits(
    state: BertState, texts: Sequence[str], *, longest: bool, n_jobs: int | None
) -> np.ndarray:
    """Logits ``(n_texts, n_logits)`` of texts, in their order."""
    n_threads = granted_threads() if n_jobs is None else joblib.effective_n_jobs(n_jobs)
    logits = np.empty((len(texts), state.architecture.n_logits), np.float32)
    on_keras = state.precision != "float32" or _gpu_at_hand()
    with (_keras if on_keras else _onnx)(state, longest) as engine:
        if not engine.may_run_in_threads:
            n_threads = 1
        n_threads = min(n_threads, -(-len(texts) // _FEWEST_TEXTS))
        n_parts = n_threads * -(-len(texts) // (n_threads * TEXTS_AT_A_TIME))

        def run(part: int) -> None:
            # Every n-th text, so that parts are about equal even if texts are sorted by length.
            rows = slice(part, None, n_parts)
            tokens = engine.encode(texts[rows])
            of_part = logits[rows]
            for batch in prediction_batches(tokens, engine.tokens_per_batch, engine.width_of):
                of_part[batch.rows] = engine.forward(batch)

        if n_threads == 1:
            for part in range(n_parts):
                run(part)
        else:
            with ThreadPoolExecutor(n_threads) as pool:
                for _ in pool.map(run, range(n_parts)):
                    pass
    return logits


def _gpu_at_hand() -> bool:
    """Whether Keras's backend has a GPU; imports it only where the machine has one."""
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1")
    if hidden or not any(Path("/dev").glob("nvidia[0-9]*")):
        return False
    backend = backend_name()
    if backend == "tensorflow":
        import tensorflow as tf

        return bool(tf.config.list_physical_devices("GPU"))
    if backend == "jax":
        import jax

        return jax.default_backend() == "gpu"
    import torch

    return torch.cuda.is_available()


@contextmanager
def _onnx(state: BertState, longest: bool) -> Iterator[_Engine]:
    model = onnx_model(state, masked=not longest)
    yield _Engine(
        forward=model.forward,
        encode=model.encode,
        # Texts of one length need neither padding nor a mask. Without special tokens, an empty
        # text has a length of 0.
        width_of=(lambda length: max(length, 1)) if longest else (lambda _: state.max_length),
        # Activations of a batch stay in a core's cache.
        tokens_per_batch=2_048,
    )


@contextmanager
def _keras(state: BertState, longest: bool) -> Iterator[_Engine]:
    key = LiveKey(state.architecture, state.gamma, state.label_smoothing, state.precision)
    with borrowed(key, state.digest) as live:
        live.load(state.weights, state.digest)
        tokenizer = live.tokenizer = live.tokenizer or Tokenizer.from_str(state.tokenizer_json)
        if live.forward is None:
            from skbert_filter.bert.encoder import compiled_forward

            live.forward = compiled_forward(live.model)
        forward = live.forward
        yield _Engine(
            forward=lambda batch: forward(batch.inputs),
            encode=lambda texts: encode(tokenizer, texts, state.max_length),
            width_of=lambda length: (
                width_for(length, state.max_length) if longest else state.max_length
            ),
            tokens_per_batch=65_536 if _gpu_at_hand() else 8_192,
            # JAX and torch models of Keras keep state while they run.
            may_run_in_threads=backend_name() == "tensorflow",
        )
