"""Batched forward passes for prediction: by ONNX Runtime, or by Keras where that is faster."""

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

# ONNX Runtime sends usage data to Microsoft and keeps a device id in the home directory, unless
# this is set before its first import. On Windows only the call below counts.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
import onnxruntime

if os.environ["ORT_DISABLE_TELEMETRY"] != "0":
    onnxruntime.disable_telemetry_events()

# Texts that a thread takes at a time. It bounds the memory of a call; fewer would leave too few
# texts of each length for full batches.
TEXTS_AT_A_TIME = 16_384

# Starting a thread is not worth less.
_FEWEST_TEXTS = 64


def predict_logits(state: BertState, texts: Sequence[str], n_jobs: int | None) -> np.ndarray:
    """Logits ``(n_texts, n_logits)`` of texts, float32, in their order."""
    logits = np.empty((len(texts), state.architecture.n_logits), np.float32)
    if not texts:
        return logits

    n_threads = granted_threads() if n_jobs is None else joblib.effective_n_jobs(n_jobs)
    on_keras = state.precision != "float32" or gpu_is_available()
    with (_on_keras if on_keras else _on_onnx)(state) as engine:
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
                of_part[batch.rows] = engine.forward(batch.inputs)

        if n_threads == 1:
            for part in range(n_parts):
                run(part)
        else:
            with ThreadPoolExecutor(n_threads) as pool:
                for _ in pool.map(run, range(n_parts)):
                    pass
    return logits


@dataclass(frozen=True)
class _Engine:
    """How to compute: ``forward`` gives the logits of batches padded to ``width_of(length)``."""

    forward: Callable[[Inputs], np.ndarray]
    encode: Callable[[Sequence[str]], TokenIds]
    width_of: Callable[[int], int]
    tokens_per_batch: int
    may_run_in_threads: bool = True


class OnnxModel(PooledModel):
    """A session and its tokenizer, usable from several threads at once."""

    max_pooled, is_shared = 4, True

    def __init__(self, state: BertState):
        self.key = state.digest
        self.n_bytes = sum(weight.nbytes for weight in state.weights.values())
        self._max_length = state.max_length
        self._tokenizer = Tokenizer.from_str(state.tokenizer_json)
        self._known: dict[str, bytes] = {}

        options = onnxruntime.SessionOptions()
        # A session without its own threads: callers bring theirs, and none is left behind.
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        graph = build_graph(state.architecture, state.weights, masked=False)
        self._session = onnxruntime.InferenceSession(
            graph.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )

    def encode(self, texts: Sequence[str]) -> TokenIds:
        """Token ids of texts; words stay known for a next call."""
        return encode(self._tokenizer, texts, self._max_length, self._known)

    def forward(self, inputs: Inputs) -> np.ndarray:
        """Logits of a batch of texts of one length."""
        return self._session.run(None, {"input_ids": inputs["input_ids"]})[0]


@contextmanager
def _on_onnx(state: BertState) -> Iterator[_Engine]:
    model = take(OnnxModel, state.digest) or OnnxModel(state)
    keep(model)
    yield _Engine(
        forward=model.forward,
        encode=model.encode,
        # Texts of one length need neither padding nor a mask. Without special tokens, an empty
        # text has a length of 0.
        width_of=lambda length: max(length, 1),
        # Activations of a batch stay in a core's cache.
        tokens_per_batch=2_048,
    )


@contextmanager
def _on_keras(state: BertState) -> Iterator[_Engine]:
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
            # JAX and torch models of Keras keep state while they run.
            may_run_in_threads=backend_name() == "tensorflow",
        )
