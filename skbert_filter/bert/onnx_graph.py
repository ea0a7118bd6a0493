"""A trained classifier as an ONNX graph of standard operators, written from its weights.

It computes what `encoder.BertClassifier` computes without dropout, in fewer operations. Products of
weights are formed here, in float64, wherever they can be:

- What is added to the residual stream after a normalization (the bias of a dense layer, and of the
  values, since attention weights sum to 1) moves into the shift of that normalization, and is taken
  off again by the bias of the layers that read the stream.
- Of the last layer only [CLS] is read. Its scores are ``(x_cls Wq Wk') x'``, and what it attends to
  is ``(weights x) Wv Wo``, so that no key and no value is computed.
"""

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
from onnx import ModelProto, TensorProto, helper, numpy_helper

from skbert_filter.bert.architecture import Architecture, Weights
from skbert_filter.bert.state import BertState
from skbert_filter.io.atomic import atomic_write

# The first opset with Attention; files are read by ONNX Runtime 1.23 and later.
OPSET, IR_VERSION = 23, 11

# Added to the attention scores of padding: exp() of it is 0 in float32.
_MASKED = -1e9


def build_graph(architecture: Architecture, weights: Weights, *, masked: bool) -> ModelProto:
    """Graph from ``input_ids`` to ``logits``, for batches of any size and width.

    Masked: ``input_ids`` and ``attention_mask`` are int64, as tokenizers give them. Otherwise all
    texts of a batch are of one length, and ``input_ids`` is int32.
    """
    kind = TensorProto.INT64 if masked else TensorProto.INT32
    names = ("input_ids", "attention_mask") if masked else ("input_ids",)
    graph = _Graph()
    _Classifier(graph, architecture, weights, masked).write()
    return helper.make_model(
        helper.make_graph(
            graph.nodes,
            "bert",
            [helper.make_tensor_value_info(name, kind, ["batch", "width"]) for name in names],
            [
                helper.make_tensor_value_info(
                    "logits", TensorProto.FLOAT, ["batch", architecture.n_logits]
                )
            ],
            graph.constants,
        ),
        producer_name="skbert_filter",
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
    )


def export_onnx(path: str | os.PathLike, state: BertState, metadata: Mapping[str, str]) -> None:
    """Write a classifier as one file, with its metadata and those given."""
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
    with atomic_write(path) as made:
        made.write_bytes(graph.SerializeToString())


class _Graph:
    """Nodes and constants under way."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def constant(self, value: Any) -> str:
        array = np.asarray(value)
        if array.dtype.kind == "f":
            array = array.astype(np.float32, order="C")
        name = f"constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(array, name))
        return name

    def add(self, operator: str, *inputs: Any, output: str = "", **attributes: Any) -> str:
        """Add a node; inputs are names of values, or arrays and numbers."""
        names = [x if isinstance(x, str) else self.constant(x) for x in inputs]
        output = output or f"{operator}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, names, [output], **attributes))
        return output


class _Classifier:
    def __init__(self, graph: _Graph, architecture: Architecture, weights: Weights, masked: bool):
        self.add = graph.add
        self.architecture = architecture
        self.width, self.heads = architecture.hidden_size, architecture.num_attention_heads
        self.weights = weights
        self.masked = masked

    def write(self) -> None:
        self.n_tokens = self.add("Shape", "input_ids", start=1, end=2)
        # Dense layers are faster on a matrix, without the axis of the texts.
        self.shape = self.add("Concat", self.add("Shape", "input_ids"), [self.width], axis=0)
        if self.masked:
            is_token = self.add("Cast", "attention_mask", to=TensorProto.BOOL)
            mask = self.add("Where", is_token, 0.0, _MASKED)
            self.key_mask = self.add("Unsqueeze", mask, [1])
            # ONNX Runtime does not broadcast a mask over the queries.
            square = self.add("Concat", [1, 1], self.n_tokens, [1], axis=0)
            self.mask = self.add("Expand", self.add("Unsqueeze", mask, [1, 2]), square)

        x = self._embedding()
        last = self.architecture.num_hidden_layers - 1
        for i in range(last):
            x = self._feed_forward(i, self._attention(i, x))
        x = self._feed_forward(last, self._attention_of_cls(last, x))

        pooled = self.add("Tanh", self._dense(x, *self._kernel_and_bias("bert.pooler.dense")))
        self._dense(pooled, *self._kernel_and_bias("classifier"), output="logits")

    def _kernel_and_bias(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        kernel, bias = self.weights[f"{name}.weight"], self.weights[f"{name}.bias"]
        return kernel.T.astype(np.float64), bias.astype(np.float64)

    def _dense(self, x: str, kernel: np.ndarray, plus: Any, output: str = "") -> str:
        """``x @ kernel + plus``, a bias or the residual stream."""
        return self.add("Gemm", x, kernel, plus, output=output)

    def _norm(self, x: str, name: str, shift: Any = 0.0) -> str:
        scale, bias = self.weights[f"{name}.weight"], self.weights[f"{name}.bias"]
        epsilon = self.architecture.layer_norm_eps
        return self.add("LayerNormalization", x, scale, bias + shift, axis=-1, epsilon=epsilon)

    def _embedding(self) -> str:
        part = "bert.embeddings"
        position = self.weights[f"{part}.position_embeddings.weight"].astype(np.float64)
        position += self.weights[f"{part}.token_type_embeddings.weight"][0]

        words = self.add("Gather", self.weights[f"{part}.word_embeddings.weight"], "input_ids")
        embedded = self.add("Add", words, self.add("Slice", position, [0], self.n_tokens, [0]))
        embedded = self.add("Reshape", embedded, [-1, self.width])
        return self._norm(embedded, f"{part}.LayerNorm", self._shift(0))

    def _shift(self, i: int) -> np.ndarray:
        """What the attention of a layer adds to the stream whatever its input; 0 for the last."""
        if i >= self.architecture.num_hidden_layers - 1:
            return np.zeros(self.width)
        attention = f"bert.encoder.layer.{i}.attention"
        kernel, bias = self._kernel_and_bias(f"{attention}.output.dense")
        return bias + self._kernel_and_bias(f"{attention}.self.value")[1] @ kernel

    def _attention(self, i: int, x: str) -> str:
        part = f"bert.encoder.layer.{i}.attention"
        shift = self._shift(i)
        projected = []
        for name in ("query", "key", "value"):
            kernel, bias = self._kernel_and_bias(f"{part}.self.{name}")
            bias = (0 if name == "value" else bias) - shift @ kernel
            projected.append(self.add("Reshape", self._dense(x, kernel, bias), self.shape))

        if self.masked:
            projected.append(self.mask)

        attended = self.add(
            "Attention", *projected, q_num_heads=self.heads, kv_num_heads=self.heads
        )
        attended = self.add("Reshape", attended, [-1, self.width])
        kernel, _ = self._kernel_and_bias(f"{part}.output.dense")
        return self._dense(attended, kernel, x)

    def _attention_of_cls(self, i: int, x: str) -> str:
        part, heads = f"bert.encoder.layer.{i}.attention", self.heads
        by_head = (self.width, heads, self.width // heads)
        query, query_bias = self._kernel_and_bias(f"{part}.self.query")
        key, _ = self._kernel_and_bias(f"{part}.self.key")
        value, value_bias = self._kernel_and_bias(f"{part}.self.value")
        output, output_bias = self._kernel_and_bias(f"{part}.output.dense")
        key = key.reshape(by_head) * by_head[2] ** -0.5

        query_key = np.einsum("ihd,jhd->ihj", query.reshape(by_head), key)
        query_key_bias = np.einsum("hd,jhd->hj", query_bias.reshape(by_head[1:]), key)
        value_output = np.einsum(
            "ihd,hdj->hij", value.reshape(by_head), output.reshape(*by_head[1:], self.width)
        )

        x = self.add("Reshape", x, self.shape)
        cls = self.add("Gather", x, 0, axis=1)
        queries = self._dense(cls, query_key.reshape(self.width, -1), query_key_bias.ravel())
        queries = self.add("Reshape", queries, [-1, heads, self.width])
        scores = self.add("MatMul", queries, self.add("Transpose", x, perm=[0, 2, 1]))
        if self.masked:
            scores = self.add("Add", scores, self.key_mask)

        seen = self.add("MatMul", self.add("Softmax", scores, axis=-1), x)
        seen = self.add("Reshape", seen, [-1, heads * self.width])
        bias = output_bias + value_bias @ output
        return self.add("Add", self._dense(seen, value_output.reshape(-1, self.width), bias), cls)

    def _feed_forward(self, i: int, x: str) -> str:
        """The rest of a layer, from the sum of its input and what its attention gave."""
        part = f"bert.encoder.layer.{i}"
        inner, inner_bias = self._kernel_and_bias(f"{part}.intermediate.dense")
        outer, outer_bias = self._kernel_and_bias(f"{part}.output.dense")
        x = self._norm(x, f"{part}.attention.output.LayerNorm", outer_bias)
        hidden = self._dense(x, inner, inner_bias - outer_bias @ inner)
        x = self._dense(self.add("Gelu", hidden), outer, x)
        return self._norm(x, f"{part}.output.LayerNorm", self._shift(i + 1))
