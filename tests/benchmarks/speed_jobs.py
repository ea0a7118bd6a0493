"""What speed.py measures, each in a fresh process with its own imports, tracing and memory.

    python speed_jobs.py JOB STARTED

JOB is the JSON list of the name of a function here and its arguments, STARTED the time of the
start. Prints what the function returns as JSON.
"""

import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

# How many texts are predicted, fewer for rivals that would take too long.
N_TEXTS = 40_000
TEXTS = {
    "MiniLM, frozen": 500,
    "Hugging Face, one by one": 500,
    "Hugging Face, batches of 64": 5000,
}

# Processor flags for products of 8-bit integers and of bfloat16.
LOW_PRECISION = ("avx_vnni", "avx512_vnni", "avx512_bf16", "amx_int8", "amx_bf16")


def clock(call: Callable[[], Any]) -> dict[str, float]:
    """Return the wall time of a call, and its CPU time in all threads."""
    start, cpu = time.perf_counter(), time.process_time()
    call()
    return {"s": time.perf_counter() - start, "cpu": time.process_time() - cpu}


def peak_mb() -> float:
    """Return the peak memory so far; getrusage would count the parent process."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def snippets(file: str, n: int = 4000) -> Any:
    """Draw distinct labelled snippets."""
    import pandas as pd

    data = pd.read_csv(file, keep_default_na=False).drop_duplicates("text")
    return data.sample(n, random_state=0)


def load(folder: str) -> Any:
    """Load a filter, and create its session."""
    from skbert_filter import SmallBertTextFilter

    model = SmallBertTextFilter.from_pretrained(folder)
    model.predict(["View All"])
    return model


def prepare(source: str, n_rows: int | None, corpus: str, texts: str) -> dict[str, Any]:
    """Return the first rows of the corpus, and a sample of its distinct texts."""
    import pyarrow.parquet as pq

    table = pq.read_table(source, columns=["text"]).slice(0, n_rows)
    pq.write_table(table, corpus)
    distinct = table.column("text").unique().to_pylist()
    order = np.random.RandomState(0).permutation(len(distinct))[:N_TEXTS]
    Path(texts).write_text(json.dumps([distinct[i] for i in order]))
    return {"rows": len(table)}


def machine() -> dict[str, Any]:
    """Describe this machine, and how fast it multiplies matrices."""
    import threadpoolctl  # type: ignore[import-untyped]

    a = np.random.default_rng(0).random((1024, 1024), np.float32)

    def rate(n_threads: int | None) -> float:
        with threadpoolctl.threadpool_limits(n_threads):
            taken = [clock(lambda: a @ a)["s"] for _ in range(20)]
        return 2e-9 * 1024**3 / statistics.median(taken)

    info = Path("/proc/cpuinfo").read_text()
    flags = info.split("flags")[1].split("\n")[0].split()
    known = [flag for flag in ("avx2", "avx512f", *LOW_PRECISION) if flag in flags]
    return {
        "processor": info.split("model name")[1].split("\n")[0].strip("\t: "),
        "instructions": ", ".join(known),
        "cores": str(os.cpu_count()),
        "Python": platform.python_version(),
        **{name: version(name) for name in ("numpy", "onnxruntime", "tensorflow")},
        "GFLOP/s, matrices of 1,024 by 1,024, one core": rate(1),
        "GFLOP/s, all cores": rate(None),
        "other work: load average over 15 minutes": os.getloadavg()[2],
    }


def fit(file: str, folder: str) -> dict[str, float]:
    """Fit 4,000 snippets from the start of the process, then again as a later fit would; save."""
    from skbert_filter import SmallBertTextFilter
    from skbert_filter.bert.engine import import_keras

    data = snippets(file)
    import_keras()
    imports, model = time.time() - STARTED, SmallBertTextFilter(random_state=0)
    model.fit(data.text, data.label)
    result = {"s": time.time() - STARTED, "cpu": time.process_time(), "MB": peak_mb()}

    again = clock(lambda: model.fit(data.text, data.label))
    if not Path(folder).exists():
        model.save_pretrained(folder)
    return {**result, "imports": imports, "again": again["s"], "cpu again": again["cpu"]}


def torch_loop(file: str, folder: str) -> dict[str, float]:
    """Train the same model on the same batches in a bare PyTorch loop."""
    import torch
    from transformers import BertForSequenceClassification

    from skbert_filter.bert.batching import pad, training_batches
    from skbert_filter.bert.checkpoint import load_filter
    from skbert_filter.bert.inference import OnnxModel

    data = snippets(file)
    tokens = OnnxModel(load_filter(folder)[0]).encode(data.text.to_list())
    labels = torch.tensor(data.label.to_numpy())
    # A second thread would wait more than it computes: products are small.
    torch.set_num_threads(1)
    model = BertForSequenceClassification.from_pretrained(folder).train()
    optimizer = torch.optim.Adam(model.parameters(), 7e-4)

    def train() -> None:
        for epoch in range(4):
            for rows in training_batches(tokens.lengths, 64, np.random.RandomState(epoch)):
                inputs = pad(tokens, rows, int(tokens.lengths[rows].max()))
                ids = torch.from_numpy(inputs["input_ids"]).long()
                mask = torch.arange(ids.shape[1]) < torch.from_numpy(inputs["length"])[:, None]
                optimizer.zero_grad()
                model(ids, attention_mask=mask.long(), labels=labels[rows]).loss.backward()
                optimizer.step()

    return clock(train)


def script(code: str) -> dict[str, float]:
    """Run a script five times, and return the median of the whole process."""
    taken, cpu = [], []
    for _ in range(5):
        before = os.times()
        subprocess.run([sys.executable, "-c", code], check=True, stderr=subprocess.DEVNULL)
        after = os.times()
        taken.append(after.elapsed - before.elapsed)
        cpu.append(sum(after[2:4]) - sum(before[2:4]))
    return {"s": statistics.median(taken), "cpu": statistics.median(cpu)}


def predict(name: str, file: str, folder: str, texts_file: str, teacher: str) -> dict[str, float]:
    """Turn distinct texts into probabilities, including tokenization, after a warm-up."""
    texts = json.loads(Path(texts_file).read_text())[: TEXTS.get(name, N_TEXTS)]
    call = _predictor(name, file, folder, teacher)
    call(texts[:300])
    taken = clock(lambda: call(texts))
    return {
        "texts/s": len(texts) / taken["s"],
        "µs": 1e6 * taken["cpu"] / len(texts),
        "MB": peak_mb(),
    }


def _predictor(name: str, file: str, folder: str, teacher: str) -> Callable[[list[str]], Any]:
    if name == "filter":
        return load(folder).predict_proba
    if name.startswith("Hugging Face"):
        from transformers import pipeline

        classify = pipeline("text-classification", model=folder, device="cpu")
        options = {"truncation": True, "max_length": 100}
        if name.endswith("one by one"):
            return lambda texts: [classify(text, padding="max_length", **options) for text in texts]
        return lambda texts: classify(texts, batch_size=64, padding="longest", **options)

    from rivals import RIVALS

    from skbert_filter.inspection import tfidf_baseline

    data = snippets(file) if name == "TF-IDF" else snippets(file, 500)
    model = tfidf_baseline() if name == "TF-IDF" else RIVALS[name][1](Path(teacher), data)
    return model.fit(data.text, data.label).predict_proba


def of_length(folder: str, n_tokens: int) -> dict[str, float]:
    """Predict texts that all have so many tokens, [CLS] and [SEP] counted."""
    texts = [f"{i % 10} " + "a " * (n_tokens - 3) for i in range(400_000 // n_tokens)]
    model = load(folder)
    return {"texts/s": len(texts) / clock(lambda: model.predict_proba(texts))["s"]}


def distinct(folder: str, corpus: str) -> dict[str, float]:
    """Predict the distinct texts of the corpus, and do nothing else."""
    import pyarrow.parquet as pq

    model, texts = load(folder), pq.read_table(corpus).column("text").unique().to_pylist()
    return clock(lambda: model.predict_proba(texts))


def corpus_job(folder: str, corpus: str, repeat: bool) -> dict[str, float]:
    """Read Parquet, predict, write the kept rows; ``repeat``: with a store, and then again."""
    from skbert_filter import filter_corpus

    model = load(folder)
    with tempfile.TemporaryDirectory() as scratch:
        store = Path(scratch, "answers.sqlite") if repeat else None
        summaries = []

        def job() -> None:
            kept = Path(scratch, f"kept{len(summaries)}.parquet")
            summaries.append(filter_corpus(model, corpus, kept, store=store))

        result = {**clock(job), "MB": peak_mb()}
        if repeat:
            again = clock(job)
            result |= {"again": again["s"], "cpu again": again["cpu"]}
    return {**result, "rows": summaries[0].rows, "distinct": summaries[0].distinct}


def grow(corpus: str, target: str, n_rows: int) -> dict[str, float]:
    """Write the corpus, cut or repeated to so many rows, with new texts in each repetition."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    texts = pq.read_table(corpus).column("text")
    with pq.ParquetWriter(target, pa.schema({"text": texts.type})) as writer:
        for start in range(0, n_rows, len(texts)):
            part = texts.slice(0, n_rows - start)
            if start:
                part = pc.binary_join_element_wise(part, str(start // len(texts)), " ")
            writer.write_table(pa.table({"text": part}))
    return {"rows": n_rows}


def profile(folder: str, texts_file: str) -> dict[str, float]:
    """Predict in one thread: tokenizing, forming batches, and the operators of the graph."""
    from skbert_filter.bert.onnx_graph import build_graph

    parts, state, batches = _batches(folder, texts_file)
    with tempfile.TemporaryDirectory() as scratch:
        graph = build_graph(state.architecture, state.weights, masked=False)
        session = _session(graph, Path(scratch, "forward"))
        for batch in batches:
            session.run(None, {"input_ids": batch.inputs["input_ids"]})
        events = json.loads(Path(session.end_profiling()).read_text())

    for event in events:
        if event["cat"] == "Node" and event["name"].endswith("_kernel_time"):
            operator = event["args"]["op_name"]
            parts[operator] = parts.get(operator, 0) + event["dur"] / 1e6
    return parts


def int8(folder: str, texts_file: str) -> dict[str, float]:
    """Compute the feed-forward layers in 8-bit integers, in turn with float32, on one core."""
    from onnx import helper
    from scipy.special import expit

    from skbert_filter.bert import onnx_graph

    class Quantized(onnx_graph._Classifier):
        def _dense(self, x: str, kernel: np.ndarray, plus: Any, output: str = "") -> str:
            if 4 * min(kernel.shape) != max(kernel.shape):
                return super()._dense(x, kernel, plus, output)
            scale = np.abs(kernel).max(0) / 127
            integers = np.rint(kernel / scale).astype(np.int8)
            zeros = np.zeros(len(scale), np.int8)
            y = self.add("DynamicQuantizeMatMul", x, integers, scale, zeros, domain="com.microsoft")
            return self.add("Add", y, plus, output=output)

    _, state, batches = _batches(folder, texts_file)
    sessions = []
    for classifier in (onnx_graph._Classifier, Quantized):
        with mock.patch.object(onnx_graph, "_Classifier", classifier):
            graph = onnx_graph.build_graph(state.architecture, state.weights, masked=False)
        graph.opset_import.append(helper.make_opsetid("com.microsoft", 1))
        sessions.append(_session(graph))

    def run(session: Any) -> np.ndarray:
        inputs = ({"input_ids": batch.inputs["input_ids"]} for batch in batches)
        return np.concatenate([session.run(None, ids)[0] for ids in inputs])

    plain, quantized = map(run, sessions)
    ratios = [
        clock(lambda: run(sessions[0]))["cpu"] / clock(lambda: run(sessions[1]))["cpu"]
        for _ in range(3)
    ]
    change = np.abs(expit(plain) - expit(quantized)).max()
    return {"ratio": statistics.median(ratios), "change": float(change)}


def _batches(folder: str, texts_file: str) -> tuple[dict[str, float], Any, list[Any]]:
    """Return the seconds it took to form the batches, the filter, and the batches."""
    from skbert_filter.bert.batching import prediction_batches
    from skbert_filter.bert.checkpoint import load_filter
    from skbert_filter.bert.inference import OnnxModel

    texts, (state, _) = json.loads(Path(texts_file).read_text()), load_filter(folder)
    model, start = OnnxModel(state), time.perf_counter()
    tokens = model.encode(texts)
    tokenized = time.perf_counter()
    batches = list(prediction_batches(tokens, 2048, lambda length: max(length, 1)))
    parts = {"tokenizing": tokenized - start, "batches": time.perf_counter() - tokenized}
    return parts, state, batches


def _session(graph: Any, profile: Path | None = None) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    if profile:
        options.enable_profiling, options.profile_file_prefix = True, str(profile)
    return onnxruntime.InferenceSession(
        graph.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


JOBS: dict[str, Callable[..., dict[str, Any]]] = {
    job.__name__: job
    for job in (
        prepare,
        machine,
        fit,
        torch_loop,
        script,
        predict,
        of_length,
        distinct,
        corpus_job,
        grow,
        profile,
        int8,
    )
}


if __name__ == "__main__":
    STARTED = float(sys.argv[2])
    name, *arguments = json.loads(sys.argv[1])
    print(json.dumps(JOBS[name](*arguments)))
