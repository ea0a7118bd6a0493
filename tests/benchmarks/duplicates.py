"""What duplicates cost: the key pass, DedupPredictor, and its stores next to other ways.

    python tests/benchmarks/duplicates.py PATH/web_corpus.parquet PATH/web_snippets.csv.gz

Each line is measured in its own process, for its own peak memory. Seconds are medians of several
runs, not counting the first.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.frozen import FrozenEstimator

from skbert_filter import DedupPredictor
from skbert_filter.duplicates.keys import factorize as input_codes
from skbert_filter.inspection.baselines import tfidf_baseline


class Constant(ClassifierMixin, BaseEstimator):
    """Does nothing, so that only the overhead is measured."""

    def fit(self, X=None, y=None):
        self.classes_ = np.array([0, 1])
        return self

    def predict_proba(self, X):
        return np.full((len(X), 2), 0.5)


def timed(function: Callable[[], Any]) -> float:
    """Return the seconds that a call takes."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def median(function: Callable[[], Any], runs: int = 5) -> float:
    """Return the median seconds of several calls, after a warm-up."""
    function()
    return statistics.median(timed(function) for _ in range(runs))


def read(corpus: str, container: str) -> Any:
    """Read the texts of the corpus into a container."""
    if container == "arrow":
        return pq.read_table(corpus).column("text")
    texts = pd.read_parquet(corpus).text
    return texts if container == "pandas" else texts.to_list()


def factorize(corpus: str) -> dict[str, float]:
    """Measure pandas.factorize, for comparison with the key pass."""
    texts = read(corpus, "pandas").to_numpy(dtype=object)
    return {"seconds": median(lambda: pd.factorize(texts))}


def keys(corpus: str, container: str, key: str) -> dict[str, float]:
    """Measure the key pass."""
    texts = read(corpus, container)
    return {"seconds": median(lambda: input_codes(texts, key))}


def stored(corpus: str, how: str) -> dict[str, float]:
    """Measure a first run, a second one, and one with a new row, for each way to remember."""
    texts = read(corpus, "list")
    with tempfile.TemporaryDirectory() as folder:
        if how == "dict":
            model, known = Constant().fit(), {}

            def predict(texts: list[str]) -> np.ndarray:
                new = [text for text in dict.fromkeys(texts) if text not in known]
                if new:
                    known.update(zip(new, model.predict_proba(new), strict=True))
                return np.array([known[text] for text in texts])
        elif how == "joblib.Memory":
            predict = joblib.Memory(folder, verbose=0).cache(Constant().fit().predict_proba)
        else:
            store = "memory" if how == "memory" else Path(folder, "scores.sqlite")
            predict = DedupPredictor(FrozenEstimator(Constant().fit()), store=store).predict_proba
        return {
            "first run": timed(lambda: predict(texts)),
            "second run": statistics.median(timed(lambda: predict(texts)) for _ in range(3)),
            "one row more": timed(lambda: predict([*texts, "a text that is new"])),
        }


def tfidf(corpus: str, snippets: str, how: str, n_distinct: int, n_rows: int) -> dict[str, float]:
    """Measure TF-IDF with LogisticRegression on rows drawn from some distinct texts."""
    labelled = pd.read_csv(snippets, keep_default_na=False)
    model = tfidf_baseline().fit(labelled.text, labelled.label)
    distinct = pd.read_parquet(corpus).text.drop_duplicates()[:n_distinct].to_numpy(dtype=object)
    rng = np.random.default_rng(0)
    repeats = rng.integers(n_distinct, size=n_rows - n_distinct)
    texts = distinct[np.concatenate([np.arange(n_distinct), repeats])]
    if how == "plain":
        return {"first run": timed(lambda: model.predict_proba(texts))}
    with tempfile.TemporaryDirectory() as folder:
        model = DedupPredictor(
            FrozenEstimator(model),
            store=None if how == "dedup" else Path(folder, "scores.sqlite"),
        )
        return {
            "first run": timed(lambda: model.predict_proba(texts)),
            "second run": timed(lambda: model.predict_proba(texts)),
        }


FUNCTIONS = {function.__name__: function for function in (factorize, keys, stored, tfidf)}


def main() -> None:
    """Run from the command line; subprocesses pass --job."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("corpus")
    parser.add_argument("snippets")
    parser.add_argument("--job", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.job:
        name, *rest = json.loads(arguments.job)
        result = FUNCTIONS[name](*rest)
        result["peak MB"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps(result))
        return
    corpus, snippets = arguments.corpus, arguments.snippets
    jobs = {
        "pandas.factorize, array of str": ["factorize", corpus],
        **{
            f"key pass, {container}, {key}": ["keys", corpus, container, key]
            for container, key in (
                ("list", "exact"),
                ("pandas", "exact"),
                ("arrow", "exact"),
                ("list", "whitespace"),
                ("list", "casefold"),
            )
        },
        **{
            f"remember, {how}": ["stored", corpus, how]
            for how in ("DedupPredictor, file", "memory", "joblib.Memory", "dict")
        },
        **{
            f"TF-IDF, 20,000 texts in {n:,} rows, {how}": [
                "tfidf",
                corpus,
                snippets,
                how,
                20_000,
                n,
            ]
            for n in (20_000, 200_000)
            for how in ("plain", "dedup", "file")
        },
    }
    rows = {}
    for name, job in jobs.items():
        command = [sys.executable, __file__, corpus, snippets, "--job", json.dumps(job)]
        run = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        rows[name] = json.loads(run.stdout.splitlines()[-1])
        print(name, rows[name], file=sys.stderr)
    table = pd.DataFrame(rows).T
    table["× factorize"] = table.seconds / table.seconds.iloc[0]
    print(table.round({"peak MB": 0}).round(4).to_string(na_rep=""))


if __name__ == "__main__":
    main()
