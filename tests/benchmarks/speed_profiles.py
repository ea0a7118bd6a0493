"""Where the time of each path goes: parts of the library, timed from outside.

A result maps ``"s:PART"`` to the seconds of a part, and ``"bytes:PART"`` (read or written),
``"flop:PART"`` or ``"floor:PART"`` (seconds) to what it cannot do without.
"""

import functools
import json
import math
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from speed_machine import operations


class Stopwatch:
    """Adds up the seconds spent in functions that it takes the place of."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)

    def time(self, owner: Any, name: str, part: str) -> None:
        """Time each call."""
        function = getattr(owner, name)

        @functools.wraps(function)
        def timed(*args: Any, **kwargs: Any) -> Any:
            start = time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                self.seconds[part] += time.perf_counter() - start

        setattr(owner, name, timed)

    def time_items(self, owner: Any, name: str, part: str) -> None:
        """Time the making of each item of an iterator."""
        function = getattr(owner, name)

        @functools.wraps(function)
        def timed(*args: Any, **kwargs: Any) -> Iterator[Any]:
            items = iter(function(*args, **kwargs))
            while True:
                start = time.perf_counter()
                item = next(items, self)
                self.seconds[part] += time.perf_counter() - start
                if item is self:
                    return
                yield item

        setattr(owner, name, timed)

    def parts(self, total: float, rest: str) -> dict[str, float]:
        """Seconds of the parts, and of the rest of a total."""
        left = {rest: total - sum(self.seconds.values())}
        return {f"s:{part}": taken for part, taken in {**self.seconds, **left}.items()}


def profile_predict(texts: list[str], model: Any, folder: str) -> dict[str, float]:
    """Predict in one thread, so that the parts follow each other."""
    from skbert_filter import text_filter
    from skbert_filter.bert import inference
    from skbert_filter.bert.checkpoint import load_filter
    from skbert_filter.bert.inference import OnnxModel

    model.set_params(n_jobs=1).predict_proba(texts[:1000])
    watch = Stopwatch()
    watch.time(text_filter, "check_texts", "check")
    watch.time(OnnxModel, "encode", "tokenize")
    watch.time_items(inference, "prediction_batches", "batch")
    watch.time(OnnxModel, "forward", "forward")
    watch.time(text_filter, "posterior_probabilities", "probabilities")
    start = time.perf_counter()
    probabilities = model.predict_proba(texts)
    parts = watch.parts(time.perf_counter() - start, "the rest")
    # Only now: a model remembers the words that it has tokenized.
    state, _ = load_filter(folder)
    tokens = OnnxModel(state).encode(texts)
    return parts | {
        "texts": len(texts),
        "tokens": int(tokens.lengths.sum()),
        "bytes:tokenize": sum(len(text.encode(errors="replace")) for text in texts),
        # ids are read and written
        "bytes:batch": 2 * tokens.flat.nbytes,
        "flop:forward": int(operations(state.architecture, tokens.lengths).sum()),
        "bytes:probabilities": probabilities.nbytes,
    }


def profile_forward(texts: list[str], folder: str) -> dict[str, float]:
    """Time the operators of the graph in one thread."""
    import onnxruntime

    from skbert_filter.bert.batching import prediction_batches
    from skbert_filter.bert.checkpoint import load_filter
    from skbert_filter.bert.inference import OnnxModel
    from skbert_filter.bert.onnx_graph import build_graph

    state, _ = load_filter(folder)
    tokens = OnnxModel(state).encode(texts)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.enable_profiling = True
    with tempfile.TemporaryDirectory() as scratch:
        options.profile_file_prefix = str(Path(scratch, "forward"))
        graph = build_graph(state.architecture, state.weights, masked=False)
        session = onnxruntime.InferenceSession(
            graph.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        for batch in prediction_batches(tokens, 2_048, lambda length: max(length, 1)):
            session.run(None, {"input_ids": batch.inputs["input_ids"]})
        events = json.loads(Path(session.end_profiling()).read_text())
    by_operator: dict[str, float] = defaultdict(float)
    for event in events:
        if event["cat"] == "Node" and event["name"].endswith("_kernel_time"):
            by_operator[f"s:{event['args']['op_name']}"] += event["dur"] / 1e6
    return dict(by_operator)


def profile_corpus(corpus: str, model: Any, folder: str) -> dict[str, float]:
    """Clean a Parquet file."""
    import pyarrow.parquet as pq

    from skbert_filter.bert.checkpoint import load_filter
    from skbert_filter.bert.inference import OnnxModel
    from skbert_filter.corpus import filter_corpus

    model.predict_proba(["View All"])
    watch = Stopwatch()
    watch.time_items(pq.ParquetFile, "iter_batches", "read")
    watch.time(type(model), "predict_proba", "predict")
    watch.time(pq.ParquetWriter, "write_table", "write")
    watch.time(pq.ParquetWriter, "close", "write")
    with tempfile.TemporaryDirectory() as scratch:
        start = time.perf_counter()
        summary = filter_corpus(model, corpus, Path(scratch, "kept.parquet"))
        parts = watch.parts(time.perf_counter() - start, "look up and map back")
    column = pq.read_table(corpus, columns=["text"]).column("text")
    state, _ = load_filter(folder)
    lengths = OnnxModel(state).encode(column.unique().to_pylist()).lengths
    return parts | {
        "rows": summary.rows,
        "distinct": summary.distinct,
        "kept": summary.kept,
        "bytes:key": column.nbytes,
        "flop:predict": int(operations(state.architecture, lengths).sum()),
        # the number of each row's text is read, the texts of kept rows are read and written
        "bytes:look up and map back": int(
            4 * summary.rows + 2 * column.nbytes * summary.kept / max(summary.rows, 1)
        ),
    }


def profile_fit(read: Callable[[], Any], started: float) -> dict[str, float]:
    """Fit in a fresh process, which began at the time ``started``, on what ``read()`` gives."""
    interpreter = time.time() - started
    begin = time.perf_counter()
    from skbert_filter import SmallBertTextFilter
    from skbert_filter.bert import initialization
    from skbert_filter.bert.engine import import_keras

    callbacks: Any = import_keras().callbacks
    # What fit imports besides.
    from skbert_filter.bert import encoder, training  # noqa: F401

    imports = time.perf_counter() - begin
    data = read()
    epochs: list[float] = []
    validations: list[float] = []

    class Epochs(callbacks.Callback):
        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            self.begin = time.perf_counter()

        def on_test_begin(self, logs: Any = None) -> None:
            epochs.append(time.perf_counter() - self.begin)
            self.begin = time.perf_counter()

        def on_test_end(self, logs: Any = None) -> None:
            validations.append(time.perf_counter() - self.begin)

    watch = Stopwatch()
    watch.time(initialization, "learn_wordpiece", "learn the tokenizer")
    watch.time(training, "encode", "tokenize")
    begin = time.perf_counter()
    model = SmallBertTextFilter(random_state=0)
    model.fit(data.text, data.label, callbacks=[Epochs()])
    total = time.perf_counter() - begin
    # All epochs compute alike: what the first one took more was tracing.
    usual, usual_validation = statistics.median(epochs[1:]), statistics.median(validations[1:])
    watch.seconds["trace"] = epochs[0] - usual + validations[0] - usual_validation
    watch.seconds["train"] = usual + sum(epochs[1:])
    watch.seconds["validate"] = usual_validation + sum(validations[1:])
    from skbert_filter.bert.checkpoint import load_filter
    from skbert_filter.bert.inference import OnnxModel

    with tempfile.TemporaryDirectory() as scratch:
        model.save_pretrained(scratch)
        state, _ = load_filter(scratch)
    texts = data.text.to_list()
    flop = int(operations(state.architecture, OnnxModel(state).encode(texts).lengths).sum())
    size = sum(len(text.encode()) for text in texts)
    record: dict[str, Any] = model.training_record_
    n_epochs = len(epochs)
    steps = n_epochs * math.ceil(record["trained_on"] / model.batch_size)
    return {
        "s:interpreter": interpreter,
        "s:imports": imports,
        **watch.parts(total, "the rest"),
        "bytes:learn the tokenizer": size,
        "bytes:tokenize": size,
        # A backward pass has twice the products of a forward pass.
        "flop:train": 3 * n_epochs * flop * record["trained_on"] / len(texts),
        # Adam reads a weight, its gradient and two moments, and writes all but the gradient.
        "bytes:train": 7 * steps * sum(weight.nbytes for weight in state.weights.values()),
        "flop:validate": n_epochs * flop * record["validated_on"] / len(texts),
        "floor:imports": imported("tensorflow", "sklearn"),
        "floor:interpreter": imported(),
    }


_SCRIPT = """
import time
times = [time.perf_counter()]
import skbert_filter.text_filter
times.append(time.perf_counter())
import skbert_filter.bert.inference
times.append(time.perf_counter())
import pickle
with open({model_file!r}, "rb") as file:
    model = pickle.load(file)
times.append(time.perf_counter())
model.predict(["View All"] * 10)
times.append(time.perf_counter())
model.predict(["View All"] * 10)
times.append(time.perf_counter())
print([b - a for a, b in zip(times, times[1:])])
"""


def profile_start(model_file: str) -> dict[str, float]:
    """Load a pickle and predict ten texts in a fresh process."""
    start = time.perf_counter()
    script = [sys.executable, "-c", _SCRIPT.format(model_file=model_file)]
    done = subprocess.run(script, stdout=subprocess.PIPE, text=True, check=True)
    whole = time.perf_counter() - start
    stages = json.loads(done.stdout)
    estimator, engine, unpickle, first, second = stages
    size = Path(model_file).stat().st_size
    interpreter, scikit_learn = imported(), imported("sklearn")
    return {
        "s:import the estimator": estimator,
        "s:import ONNX Runtime": engine,
        "s:unpickle": unpickle,
        # of the first prediction, all that the second does not need
        "s:make the session": first - second,
        "s:predict": second,
        "s:interpreter": whole - sum(stages),
        "floor:interpreter": interpreter,
        "floor:import the estimator": scikit_learn - interpreter,
        # without what scikit-learn has imported already
        "floor:import ONNX Runtime": imported("sklearn", "onnxruntime", "tokenizers")
        - scikit_learn,
        "bytes:unpickle": size,
        "bytes:make the session": size,
    }


def imported(*modules: str) -> float:
    """Seconds of a process that only imports some modules."""
    script = [sys.executable, "-c", "".join(f"import {name}\n" for name in modules)]
    taken = []
    for _ in range(3):
        start = time.perf_counter()
        subprocess.run(script, check=True, stderr=subprocess.DEVNULL)
        taken.append(time.perf_counter() - start)
    return min(taken)
