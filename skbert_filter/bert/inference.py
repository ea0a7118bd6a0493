"""Batched forward passes for prediction, with ONNX Runtime, or with Keras where that is faster."""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import joblib
import numpy as np
from tokenizers import Tokenizer

from skbert_filter.bert.batching import Inputs, prediction_batches, width_for
from skbert_filter.bert.engine import backend_name, gpu_is_available, granted_threads
from skbert_filter.bert.model_pool import KerasModelKey, PooledModel, keep, keras_model, take
from skbert_filter.bert.onnx_graph import build_graph
from skbert_filter.bert.state import BertState
from skbert_filter.bert.tokenizer import TokenIds, encode

# ONNX Runtime sends usage data to Microsoft and stores a device id in the home directory unless
# this is set before its first import. On Windows, only the call below prevents it.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
import onnxruntime

if os.environ["ORT_DISABLE_TELEMETRY"] != "0":
    onnxruntime.disable_telemetry_events()

# How many texts a thread processes at a time. This bounds memory; fewer would not be enough to fill
# the batches of each length.
TEXTS_AT_A_TIME = 16_384

# Fewer texts are not worth starting a thread for.
_MIN_TEXTS_PER_THREAD = 64


def predict_logits(state: BertState, texts: Sequence[str], n_jobs: int | None) -> np.ndarray:
    """Return the logits of texts, ``(n_texts, n_logits)``, float32."""
    logits = np.empty((len(texts), state.architecture.n_logits), np.float32)
    if not texts:
        return logits

    n_threads = granted_threads() if n_jobs is None else joblib.effective_n_jobs(n_jobs)
    with_keras = state.precision != "float32" or gpu_is_available()
    with (_keras_engine if with_keras else _onnx_engine)(state) as engine:
        if not engine.is_thread_safe:
            n_threads = 1
        n_threads = min(n_threads, -(-len(texts) // _MIN_TEXTS_PER_THREAD))
        n_parts = n_threads * -(-len(texts) // (n_threads * TEXTS_AT_A_TIME))

        def run(part: int) -> None:
            # Every n-th text, so parts have about equal lengths even if texts are sorted by length.
            tokens = engine.encode(texts[part::n_parts])
            part_logits = logits[part::n_parts]
            for rows, inputs in prediction_batches(
                tokens, engine.tokens_per_batch, engine.width_of
            ):
                part_logits[rows] = engine.forward(inputs)

        if n_threads == 1:
            for part in range(n_parts):
                run(part)
        else:
            with ThreadPoolExecutor(n_threads) as pool:
                list(pool.map(run, range(n_parts)))  # raises what a thread has raised
    return logits


@dataclass(frozen=True)
class _Engine:
    """Computes logits: ``forward`` expects batches padded to ``width_of(length)``."""

    forward: Callable[[Inputs], np.ndarray]
    encode: Callable[[Sequence[str]], TokenIds]
    width_of: Callable[[int], int]
    tokens_per_batch: int
    is_thread_safe: bool = True


class OnnxModel(PooledModel):
    """A session and its tokenizer, which several threads may use at once."""

    max_pooled, is_shared = 4, True

    def __init__(self, state: BertState):
        self.key = state.digest
        self.n_bytes = sum(weight.nbytes for weight in state.weights.values())
        self._max_length = state.max_length
        self._tokenizer = Tokenizer.from_str(state.tokenizer_json)
        self._cache: dict[str, bytes] = {}

        options = onnxruntime.SessionOptions()
        # The session has no threads of its own: callers bring theirs, and none is left behind.
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        graph = build_graph(state.architecture, state.weights, masked=False)
        self._session = onnxruntime.InferenceSession(
            graph.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )

    def encode(self, texts: Sequence[str]) -> TokenIds:
        """Return the token ids of texts; those of words are cached for later calls."""
        return encode(self._tokenizer, texts, self._max_length, self._cache)

    def forward(self, inputs: Inputs) -> np.ndarray:
        """Return the logits of a batch of texts of equal length."""
        return self._session.run(None, {"input_ids": inputs["input_ids"]})[0]


@contextmanager
def _onnx_engine(state: BertState) -> Iterator[_Engine]:
    model = take(OnnxModel, state.digest) or OnnxModel(state)
    keep(model)
    yield _Engine(
        forward=model.forward,
        encode=model.encode,
        # Texts of equal length need neither padding nor a mask. Without special tokens, an empty
        # text has a length of 0.
        width_of=lambda length: max(length, 1),
        # The activations of a batch fit in a core's cache.
        tokens_per_batch=2_048,
    )


@contextmanager
def _keras_engine(state: BertState) -> Iterator[_Engine]:
    key = KerasModelKey(state.architecture, state.gamma, state.label_smoothing, state.precision)
    with keras_model(key, state.digest) as pooled:
        pooled.load(state.weights, state.digest)
        tokenizer = pooled.tokenizer = pooled.tokenizer or Tokenizer.from_str(state.tokenizer_json)
        if pooled.forward is None:
            from skbert_filter.bert.encoder import compiled_forward

            pooled.forward = compiled_forward(pooled.model)

        yield _Engine(
            forward=pooled.forward,
            encode=lambda texts: encode(tokenizer, texts, state.max_length),
            width_of=lambda length: width_for(length, state.max_length),
            tokens_per_batch=65_536 if gpu_is_available() else 8_192,
            # Keras models have state while they run on JAX and torch.
            is_thread_safe=backend_name() == "tensorflow",
        )
