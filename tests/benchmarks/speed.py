"""How fast everything is, beside its peers: the table of docs/benchmarks.rst.

    python tests/benchmarks/speed.py PATH/web_snippets.csv.gz PATH/web_corpus.parquet
        [--torch-python PYTHON] [--minilm FOLDER] [--only WORD]

Each line is measured in a fresh process, so that imports, tracing and peak memory are its own.
PYTHON is one of an environment with torch and transformers; without it those peers are left out.
"""

import argparse
import json
import pickle
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pandas as pd

N_FIT = 4_000


def snippets(file: str, n: int) -> pd.DataFrame:
    """Draw distinct labelled snippets."""
    data = pd.read_csv(file, keep_default_na=False).drop_duplicates("text")
    return data.sample(n, random_state=0)


def load(model_file: str) -> Any:
    """Unpickle a model."""
    with Path(model_file).open("rb") as file:
        return pickle.load(file)


def distinct(corpus: str, n: int | None) -> pd.Series:
    """Draw distinct texts of the corpus, or take all."""
    texts = pd.read_parquet(corpus).text.drop_duplicates()
    return texts if n is None else texts.sample(n, random_state=0)


def fit(file: str, model_file: str) -> dict[str, float]:
    """Fit the default to 4,000 distinct snippets, imports included; then again; then save."""
    start = time.perf_counter()
    from skbert_filter import SmallBertTextFilter

    data = snippets(file, N_FIT)
    model = SmallBertTextFilter(random_state=0).fit(data.text, data.label)
    seconds = time.perf_counter() - start
    again = time.perf_counter()
    model.fit(data.text, data.label)
    again = time.perf_counter() - again
    with Path(model_file).open("wb") as opened:
        pickle.dump(model, opened)
    model.save_pretrained(f"{model_file}.folder")
    return {"seconds": seconds, "again": again}


def plain_keras(file: str) -> dict[str, float]:
    """Fit the same architecture made of Keras's own layers, padded to 100, as many epochs."""
    start = time.perf_counter()
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
    return {"seconds": time.perf_counter() - start}


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
        return {"seconds": 12 * (time.perf_counter() - start)}
    GridSearchCV(
        model,
        {"learning_rate": [5e-4, 1e-3], "batch_size": [32, 64]},
        cv=DedupStratifiedKFold(3),
        n_jobs=n_jobs,
        refit=False,
    ).fit(data.text, data.label)
    return {"seconds": time.perf_counter() - start}


def predict(corpus: str, model_file: str, n: int | None, n_jobs: int | None) -> dict[str, float]:
    """Predict distinct texts of the corpus, after a warm-up."""
    texts = distinct(corpus, n).to_list()
    model = load(model_file).set_params(n_jobs=n_jobs)
    model.predict_proba(texts[:1000])
    start = time.perf_counter()
    model.predict_proba(texts)
    return {"texts/s": len(texts) / (time.perf_counter() - start)}


def of_length(model_file: str, n_tokens: int) -> dict[str, float]:
    """Predict texts that all have so many tokens, [CLS] and [SEP] counted."""
    model = load(model_file)
    n = 400_000 // n_tokens
    texts = [f"{i % 10} " + "a " * (n_tokens - 3) for i in range(n)]
    model.predict_proba(texts[:1000])
    start = time.perf_counter()
    model.predict_proba(texts)
    return {"texts/s": n / (time.perf_counter() - start)}


def tfidf(corpus: str, file: str) -> dict[str, float]:
    """Predict with TF-IDF of words and characters and LogisticRegression."""
    from skbert_filter.inspection.baselines import tfidf_baseline

    data = snippets(file, N_FIT)
    model = tfidf_baseline().fit(data.text, data.label)
    texts = distinct(corpus, 20_000)
    start = time.perf_counter()
    model.predict_proba(texts)
    return {"texts/s": len(texts) / (time.perf_counter() - start)}


def corpus_job(corpus: str, model_file: str, n_rows: int | None) -> dict[str, float]:
    """Read Parquet, predict, write the kept rows; of a corpus cut or repeated to some rows."""
    import pyarrow.parquet as pq

    from skbert_filter import filter_corpus

    with tempfile.TemporaryDirectory() as folder:
        source = Path(corpus)
        if n_rows is not None:
            table, source = pq.read_table(corpus), Path(folder, "source.parquet")
            with pq.ParquetWriter(source, table.schema) as writer:
                for start in range(0, n_rows, len(table)):
                    writer.write_table(table.slice(0, n_rows - start))
            del table
        model = load(model_file)
        start = time.perf_counter()
        summary = filter_corpus(model, source, Path(folder, "kept.parquet"))
    return {"seconds": time.perf_counter() - start, "distinct": summary.distinct}


def script(code: str) -> dict[str, float]:
    """Run a script five times, and take the median of the whole process."""
    times = []
    for _ in range(5):
        start = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True)
        times.append(time.perf_counter() - start)
    return {"seconds": statistics.median(times)}


JOBS = {
    function.__name__: function
    for function in (
        fit,
        plain_keras,
        grid,
        predict,
        of_length,
        tfidf,
        corpus_job,
        script,
    )
}


def jobs_of(arguments: argparse.Namespace, folder: str) -> dict[str, list[Any]]:
    """Name all lines of the table."""
    file, corpus, model = arguments.snippets, arguments.corpus, str(Path(folder, "model.pickle"))
    ten = f"import pickle\nm = pickle.load(open({model!r}, 'rb'))\nm.predict(['View All'] * 10)"
    peers = {}
    if arguments.torch_python:
        for n, batch_size, padding in ((500, 1, "max_length"), (2000, 8, "max_length")):
            name = "one by one" if batch_size == 1 else "batches of 8"
            job = ["hugging_face", f"{model}.folder", n, batch_size, padding]
            peers[f"Hugging Face, {name}, padded to 100"] = ["peer", *job]
        job = ["hugging_face", f"{model}.folder", 5000, 64, "longest"]
        peers["Hugging Face, batches of 64, longest"] = ["peer", *job]
        if arguments.minilm:
            job = ["sentence_transformer", arguments.minilm, 500]
            peers["MiniLM sentence transformer"] = ["peer", *job]
    return {
        f"fit {N_FIT} snippets": ["fit", file, model],
        "the same with Keras's layers": ["plain_keras", file],
        "grid search, 12 fits, n_jobs=2": ["grid", file, 2],
        "the same, one fit times 12": ["grid", file, None],
        "predict, 261,240 texts": ["predict", corpus, model, None, None],
        "predict, one thread": ["predict", corpus, model, 50_000, 1],
        **{f"predict, {n} tokens": ["of_length", model, n] for n in (4, 20, 100)},
        "TF-IDF + LogisticRegression": ["tfidf", corpus, file],
        **peers,
        "corpus, 1,905,753 rows": ["corpus_job", corpus, model, None],
        **{
            f"corpus, {n:,} rows": ["corpus_job", corpus, model, n]
            for n in (10_000, 100_000, 1_000_000, 10_000_000)
        },
        "script, ten texts": ["script", ten],
        "the same with TensorFlow": ["script", f"import tensorflow\n{ten}"],
        "import skbert_filter": ["script", "import skbert_filter"],
        "import sklearn": ["script", "import sklearn"],
    }


def run(job: list[Any], arguments: argparse.Namespace, folder: str) -> dict[str, float]:
    """Measure a line in a process of its own."""
    command = [sys.executable, __file__, arguments.snippets, arguments.corpus]
    command += ["--job", json.dumps(job)]
    if job[0] == "peer":
        name, model, n, *rest = job[1:]
        texts = Path(folder, f"{n}.json")
        texts.write_text(json.dumps(distinct(arguments.corpus, n).to_list()))
        peers = Path(__file__).with_name("peers.py")
        command = [arguments.torch_python, peers, json.dumps([name, model, str(texts), *rest])]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    """Run from the command line; a process of its own passes --job."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("snippets")
    parser.add_argument("corpus")
    parser.add_argument("--torch-python", help="a Python that has torch and transformers")
    parser.add_argument("--minilm", help="a folder of a sentence transformer")
    parser.add_argument("--only", default="", help="only lines with this word, and the fit")
    parser.add_argument("--job", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.job:
        name, *rest = json.loads(arguments.job)
        result = JOBS[name](*rest)
        result["peak MB"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps(result))
        return
    with tempfile.TemporaryDirectory() as folder:
        rows = {}
        for name, job in jobs_of(arguments, folder).items():
            if job[0] == "fit" or arguments.only in name:
                rows[name] = run(job, arguments, folder)
                print(name, rows[name], file=sys.stderr)
    print(pd.DataFrame(rows).T.round(2).to_string(na_rep=""))


if __name__ == "__main__":
    main()
