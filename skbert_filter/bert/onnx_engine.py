"""Trained classifiers on ONNX Runtime: live sessions for prediction, and files to give away.

An estimator holds arrays; the sessions of the last few are kept for a next prediction.
"""

import os
import threading
from collections.abc import Mapping, Sequence

import numpy as np
from tokenizers import Tokenizer

from skbert_filter.bert.batching import Batch
from skbert_filter.bert.onnx_graph import build_graph
from skbert_filter.bert.state import BertState
from skbert_filter.bert.tokenizer import TokenIds, encode
from skbert_filter.io.atomic import written_aside

# ONNX Runtime sends usage data to Microsoft and keeps a device id in the home directory, unless
# this is set before its first import. On Windows only the call below counts.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
import onnxruntime

if os.environ["ORT_DISABLE_TELEMETRY"] != "0":
    onnxruntime.disable_telemetry_events()

_MOST_KEPT = 4
_MOST_BYTES_KEPT = 128 * 2**20


class OnnxModel:
    """A session and its tokenizer, usable from several threads at once."""

    def __init__(self, state: BertState, *, masked: bool):
        options = onnxruntime.SessionOptions()
        # A session without threads of its own: callers bring theirs, and none is left behind.
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        graph = build_graph(state.architecture, state.weights, masked=masked)
        self._session = onnxruntime.InferenceSession(
            graph.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        self._masked = masked
        self._tokenizer = Tokenizer.from_str(state.tokenizer_json)
        self._known: dict[str, bytes] = {}
        self._max_length = state.max_length
        self.n_bytes = sum(weight.nbytes for weight in state.weights.values())

    def encode(self, texts: Sequence[str]) -> TokenIds:
        """Token ids of texts; words stay known for a next call."""
        return encode(self._tokenizer, texts, self._max_length, self._known)

    def forward(self, batch: Batch) -> np.ndarray:
        """Logits of a batch; without a mask all its texts must fill its width."""
        ids = batch.inputs["input_ids"]
        if not self._masked:
            return self._session.run(None, {"input_ids": ids})[0]
        mask = np.arange(ids.shape[1]) < batch.inputs["length"][:, None]
        inputs = {"input_ids": ids.astype(np.int64), "attention_mask": mask.astype(np.int64)}
        return self._session.run(None, inputs)[0]


_kept: dict[tuple[str, bool], OnnxModel] = {}
_lock = threading.Lock()


def onnx_model(state: BertState, *, masked: bool) -> OnnxModel:
    """Live model of a state; the ones used last are kept."""
    key = state.digest, masked
    with _lock:
        model = _kept.get(key)
    model = model or OnnxModel(state, masked=masked)
    with _lock:
        _kept.pop(key, None)
        _kept[key] = model  # the last
        while len(_kept) > 1 and (
            len(_kept) > _MOST_KEPT or sum(m.n_bytes for m in _kept.values()) > _MOST_BYTES_KEPT
        ):
            del _kept[next(iter(_kept))]
    return model


def export_onnx(path: str | os.PathLike, state: BertState, metadata: Mapping[str, str]) -> None:
    """Write the model as one file for ONNX Runtime 1.23 or later.

    Inputs ``input_ids`` and ``attention_mask``, int64 ``(batch, width)``; output ``logits``,
    float32 ``(batch, n_logits)``. Its metadata are those given, ``max_length``, ``gamma``,
    ``label_smoothing``, ``digest`` and the tokenizer, as ``tokenizer.json`` would hold it.
    """
    graph = build_graph(state.architecture, state.weights, masked=True)
    own = {
        "max_length": str(state.max_length),
        "gamma": repr(state.gamma),
        "label_smoothing": repr(state.label_smoothing),
        "digest": state.digest,
        "tokenizer": state.tokenizer_json,
    }
    for key, value in {**own, **metadata}.items():
        graph.metadata_props.add(key=key, value=value)
    with written_aside(path) as made:
        made.write_bytes(graph.SerializeToString())
