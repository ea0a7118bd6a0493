"""What is measured, each in a fresh process, so that imports, tracing and memory are its own.

    python speed_jobs.py JOB STARTED

Run by speed.py: JOB is the JSON list of the name of a function here and its arguments, STARTED the
time of the start. Prints the results as JSON.
"""

import json
import pickle
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from speed_machine import machine, memory_mb, operations, peak_mb
from speed_profiles import (
    profile_corpus,
    profile_fit,
    profile_forward,
    profile_predict,
    profile_start,
)

STARTED = float(sys.argv[2])

N_FIT = 4_000
MOST_PEER_TEXTS = 5_000


def snippets(file: str, n: int) -> Any:
    """Draw distinct labelled snippets."""
    import pandas as pd

    data = pd.read_csv(file, keep_default_na=False).drop_duplicates("text")
    return data.sample(n, random_state=0)


def load(model_file: str) -> Any:
    """Unpickle a model."""
    with Path(model_file).open("rb") as file:
        return pickle.load(file)


def distinct(corpus: str, n: int | None = None) -> list[str]:
    """Draw distinct texts of the corpus, or take all."""
    import pandas as pd

    texts = pd.read_parquet(corpus).text.drop_duplicates()
    return (texts if n is None else texts.sample(min(n, len(texts)), random_state=0)).to_list()


def prepare(source: str, corpus: str, n_rows: int | None, peer_texts: str) -> dict[str, float]:
    """Take the corpus or its first rows, and draw the texts of the peers."""
    import pyarrow.parquet as pq

    table = pq.read_table(source, columns=["text"])
    pq.write_table(table.slice(0, n_rows), corpus)
    Path(peer_texts).write_text(json.dumps(distinct(corpus, MOST_PEER_TEXTS)))
    return {"rows": len(table.slice(0, n_rows)), "is_cut": n_rows is not None}


def grow(corpus: str, target: str, n_rows: int, new: bool) -> dict[str, float]:
    """Write the corpus cut or repeated to so many rows; ``new``: no repetition shares a text."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    texts = pq.read_table(corpus).column("text")
    with pq.ParquetWriter(target, pa.schema({"text": texts.type})) as writer:
        for start in range(0, n_rows, len(texts)):
            part = texts.slice(0, n_rows - start)
            if new and start:
                part = pc.binary_join_element_wise(part, str(start // len(texts)), " ")
            writer.write_table(pa.table({"text": part}))
    return {"rows": n_rows}


def fit(file: str, model_file: str, folder: str) -> dict[str, float]:
    """Fit the default to 4,000 distinct snippets in a fresh process; then again; then save."""
    from skbert_filter import SmallBertTextFilter

    data = snippets(file, N_FIT)
    model = SmallBertTextFilter(random_state=0).fit(data.text, data.label)
    seconds = time.time() - STARTED
    peak = peak_mb()
    start = time.perf_counter()
    model.fit(data.text, data.label)
    again = time.perf_counter() - start
    with Path(model_file).open("wb") as opened:
        pickle.dump(model, opened)
    shutil.rmtree(folder, ignore_errors=True)
    model.save_pretrained(folder)
    return {"s": seconds, "again": again, "MB": peak}


def plain_keras(file: str) -> dict[str, float]:
    """Fit the same architecture made of Keras's own layers, padded to 100, as many epochs."""
    import keras
    import numpy as np
    from keras import layers

    from skbert_filter.bert.batching import pad
    from skbert_filter.bert.tokenizer import encode, learn_wordpiece

    data = snippets(file, N_FIT)
    texts, labels = data.text.to_list(), data.label.to_numpy()
    tokenizer = learn_wordpiece(texts, vocab_size=8_000, lowercase=False)
    tokens = encode(tokenizer, texts, 100)
    ids = pad(tokens, np.arange(len(texts)), 100).inputs["input_ids"]
    inputs = keras.Input((100,), dtype="int32")
    mask = keras.ops.expand_dims(keras.ops.not_equal(inputs, 0), 1)
    positions = layers.Embedding(100, 32)(keras.ops.arange(100))
    x = layers.Embedding(8_000, 32)(inputs) + positions
    x = layers.Dropout(0.2)(layers.LayerNormalization(epsilon=1e-12)(x))
    for _ in range(4):
        attended = layers.MultiHeadAttention(4, 8, dropout=0.2)(x, x, attention_mask=mask)
        x = layers.LayerNormalization(epsilon=1e-12)(x + layers.Dropout(0.2)(attended))
        inner = layers.Dense(32)(layers.Dense(128, activation="gelu")(x))
        x = layers.LayerNormalization(epsilon=1e-12)(x + layers.Dropout(0.2)(inner))
    logits = layers.Dense(1)(layers.Dropout(0.2)(layers.Dense(32, activation="tanh")(x[:, 0])))
    model = keras.Model(inputs, logits)
    loss = keras.losses.BinaryFocalCrossentropy(from_logits=True, label_smoothing=0.2)
    model.compile(keras.optimizers.Adam(1e-3), loss)
    model.fit(ids, labels[:, None], batch_size=64, epochs=4, validation_split=0.1, verbose=0)
    return {"s": time.time() - STARTED, "MB": peak_mb()}


def grid(file: str, n_jobs: int | None) -> dict[str, float]:
    """Search 4 settings on 3 folds of 1,000 snippets; or time one such fit, times 12."""
    from sklearn.model_selection import GridSearchCV

    from skbert_filter import DedupStratifiedKFold, SmallBertTextFilter

    data = snippets(file, 1_000)
    model = SmallBertTextFilter(random_state=0)
    start = time.perf_counter()
    if n_jobs is None:
        rows = data[: len(data) * 2 // 3]
        model.fit(rows.text, rows.label)
        return {"s": 12 * (time.perf_counter() - start)}
    GridSearchCV(
        model,
        {"learning_rate": [5e-4, 1e-3], "batch_size": [32, 64]},
        cv=DedupStratifiedKFold(3),
        n_jobs=n_jobs,
        refit=False,
    ).fit(data.text, data.label)
    return {"s": time.perf_counter() - start}


def predict(corpus: str, model_file: str, n: int | None, n_jobs: int | None) -> dict[str, float]:
    """Predict distinct texts of the corpus, after a warm-up."""
    texts = distinct(corpus, n)
    model = load(model_file).set_params(n_jobs=n_jobs)
    model.predict_proba(texts[:1000])
    start = time.perf_counter()
    model.predict_proba(texts)
    seconds = time.perf_counter() - start
    return {"texts/s": len(texts) / seconds, "texts": len(texts), "MB": peak_mb()}


def of_length(model_file: str, folder: str, n_tokens: int) -> dict[str, float]:
    """Predict texts that all have so many tokens, [CLS] and [SEP] counted."""
    from skbert_filter.bert.checkpoint import load_filter

    model, (state, _) = load(model_file), load_filter(folder)
    n = 400_000 // n_tokens
    texts = [f"{i % 10} " + "a " * (n_tokens - 3) for i in range(n)]
    model.predict_proba(texts[:1000])
    start = time.perf_counter()
    model.predict_proba(texts)
    speed = n / (time.perf_counter() - start)
    return {"texts/s": speed, "flop": operations(state.architecture, n_tokens)}


def tfidf(corpus: str, file: str) -> dict[str, float]:
    """Predict with TF-IDF of words and characters and LogisticRegression."""
    from skbert_filter.inspection.baselines import tfidf_baseline

    data = snippets(file, N_FIT)
    model = tfidf_baseline().fit(data.text, data.label)
    texts = distinct(corpus, 20_000)
    start = time.perf_counter()
    model.predict_proba(texts)
    return {"texts/s": len(texts) / (time.perf_counter() - start), "MB": peak_mb()}


def corpus_job(corpus: str, model_file: str) -> dict[str, float]:
    """Read Parquet, predict, write the kept rows."""
    from skbert_filter import filter_corpus

    model = load(model_file)
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        summary = filter_corpus(model, corpus, Path(folder, "kept.parquet"))
        seconds = time.perf_counter() - start
    return {"s": seconds, "rows": summary.rows, "distinct": summary.distinct, "MB": peak_mb()}


def script(code: str) -> dict[str, float]:
    """Run a script five times, and take the median of the whole process."""
    times = []
    for _ in range(5):
        start = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True, stderr=subprocess.DEVNULL)
        times.append(time.perf_counter() - start)
    return {"s": statistics.median(times)}


def precision(folder: str, peer_texts: str) -> dict[str, float]:
    """Speed and largest change of a probability with 8-bit integers and with bfloat16."""
    import dataclasses

    import numpy as np
    import onnxruntime
    from onnxruntime.quantization import quantize_dynamic
    from scipy.special import expit

    from skbert_filter import SmallBertTextFilter
    from skbert_filter.bert.batching import prediction_batches
    from skbert_filter.bert.checkpoint import load_filter
    from skbert_filter.bert.inference import OnnxModel, predict_logits

    texts = json.loads(Path(peer_texts).read_text())
    state, _ = load_filter(folder)
    tokens = OnnxModel(state).encode(texts)
    batches = list(prediction_batches(tokens, 2_048, lambda length: max(length, 1)))

    def run(file: Path) -> tuple[float, np.ndarray]:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
        logits = np.empty((len(texts), state.architecture.n_logits), np.float32)
        for _ in range(2):
            start = time.perf_counter()
            for batch in batches:
                ids = batch.inputs["input_ids"].astype(np.int64)
                inputs = {"input_ids": ids, "attention_mask": np.ones_like(ids)}
                logits[batch.rows] = session.run(None, inputs)[0]
        return len(texts) / (time.perf_counter() - start), expit(logits)

    with tempfile.TemporaryDirectory() as scratch:
        plain, small = Path(scratch, "plain.onnx"), Path(scratch, "small.onnx")
        SmallBertTextFilter.from_pretrained(folder).export_onnx(plain)
        # Gemm becomes MatMul on the way; Attention of the standard is not what it quantizes.
        # Without the VNNI instructions, sums of products of 8 bits would overflow: 7 are used.
        quantize_dynamic(
            plain, small, op_types_to_quantize=["MatMul"], per_channel=True, reduce_range=True
        )
        plain_speed, expected = run(plain)
        int8_speed, of_int8 = run(small)
    bfloat16 = dataclasses.replace(state, precision="mixed_bfloat16", digest="bfloat16")
    for _ in range(2):
        start = time.perf_counter()
        logits = predict_logits(bfloat16, texts, n_jobs=1)
    return {
        "float32": plain_speed,
        "int8": int8_speed,
        "bfloat16": len(texts) / (time.perf_counter() - start),
        "int8 difference": float(np.abs(of_int8 - expected).max()),
        "bfloat16 difference": float(np.abs(expit(logits) - expected).max()),
    }


def endurance(file: str, model_file: str, peer_texts: str) -> dict[str, float]:
    """Memory and threads over a hundred predictions, then over a hundred fits."""
    from skbert_filter import SmallBertTextFilter

    predicting, fitting = load(model_file), SmallBertTextFilter(epochs=1, random_state=0)
    texts, data = json.loads(Path(peer_texts).read_text()), snippets(file, 500)
    result: dict[str, float] = {}
    for what, call in (
        ("predictions", lambda: predicting.predict_proba(texts)),
        ("fits", lambda: fitting.fit(data.text, data.label)),
    ):
        for i in range(1, 101):
            call()
            if i in (1, 20, 100):
                # A thread that has ended is counted for a moment more.
                time.sleep(1)
                result[f"MB, {i} {what}"] = memory_mb()
                result[f"threads, {i} {what}"] = len(list(Path("/proc/self/task").iterdir()))
    return result


JOBS: dict[str, Any] = {
    function.__name__: function
    for function in (
        prepare,
        grow,
        machine,
        fit,
        plain_keras,
        grid,
        predict,
        of_length,
        tfidf,
        corpus_job,
        script,
        precision,
        endurance,
    )
} | {
    "profile_predict": lambda corpus, model_file, folder: profile_predict(
        distinct(corpus), load(model_file), folder
    ),
    "profile_forward": lambda texts, folder: profile_forward(
        json.loads(Path(texts).read_text()), folder
    ),
    "profile_corpus": lambda corpus, model_file, folder: profile_corpus(
        corpus, load(model_file), folder
    ),
    "profile_fit": lambda file: profile_fit(lambda: snippets(file, N_FIT), STARTED),
    "profile_start": profile_start,
}


if __name__ == "__main__":
    name, *arguments = json.loads(sys.argv[1])
    print(json.dumps(JOBS[name](*arguments)))
