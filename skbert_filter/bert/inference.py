"""Batched forward passes of a live model, for prediction."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import joblib
import numpy as np
from tokenizers import Tokenizer

from skbert_filter.bert.batching import Batch, prediction_batches
from skbert_filter.bert.engine import backend_name
from skbert_filter.bert.live import LiveKey, LiveModel, borrowed
from skbert_filter.bert.state import BertState
from skbert_filter.bert.tokenizer import TokenIds, encode

# Tokens of a batch, padding counted: enough for the operations to outweigh their overhead,
# few enough for the activations of a layer to stay in a core's cache.
TOKENS_PER_BATCH = 8_192


# Texts that are tokenized at a time: bounds the memory of a call.
TEXTS_AT_A_TIME = 131_072


def predict_logits(
    state: BertState, texts: Sequence[str], *, longest: bool, n_jobs: int | None
) -> np.ndarray:
    """Logits ``(n_texts, n_logits)`` of texts, in their order."""
    n_threads = _granted_threads() if n_jobs is None else joblib.effective_n_jobs(n_jobs)
    key = LiveKey(state.architecture, state.gamma, state.label_smoothing, state.precision)
    logits = []
    with borrowed(key, state.digest) as live:
        live.load(state.weights, state.digest)
        if live.tokenizer is None:
            live.tokenizer = Tokenizer.from_str(state.tokenizer_json)
        for start in range(0, len(texts), TEXTS_AT_A_TIME):
            part = texts[start : start + TEXTS_AT_A_TIME]
            tokens = encode(live.tokenizer, part, state.max_length)
            logits.append(_forward(live, tokens, state.max_length, longest, n_threads))
    return np.concatenate(logits)


def _granted_threads() -> int:
    # joblib tells its workers their share of the cores in this variable
    granted = os.environ.get("OMP_NUM_THREADS", "")
    return int(granted) if granted.isdecimal() else joblib.cpu_count()


def _forward(
    live: LiveModel, tokens: TokenIds, max_length: int, longest: bool, n_threads: int
) -> np.ndarray:
    logits = np.empty((len(tokens), live.key.architecture.n_logits), np.float32)
    if live.forward is None:
        live.forward = _compiled_forward(live.model)

    def run(batch: Batch) -> None:
        logits[batch.rows] = live.forward(batch.inputs)

    batches = prediction_batches(tokens, TOKENS_PER_BATCH, max_length=max_length, longest=longest)
    # JAX and torch models of Keras keep state while they run, so that one thread has them.
    if n_threads == 1 or backend_name() != "tensorflow":
        for batch in batches:
            run(batch)
    else:
        with ThreadPoolExecutor(n_threads) as pool:
            for _ in pool.map(run, batches):
                pass
    return logits


def _compiled_forward(model: Any) -> Callable[[dict[str, np.ndarray]], np.ndarray]:
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
