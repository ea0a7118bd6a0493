"""Seconds to fit and texts a second to predict, in processes of their own.

    python tests/benchmarks/speed.py PATH/web_snippets.csv.gz PATH/web_corpus.parquet

Each line is measured in a fresh process, so that imports, tracing and peak memory are its own.
"""

import argparse
import json
import pickle
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd

N_FIT = 4_000


def fit(snippets: str, model_file: str) -> dict[str, float]:
    """Fit the default to 4,000 distinct snippets, imports included."""
    start = time.perf_counter()
    from skbert_filter import SmallBertTextFilter

    data = pd.read_csv(snippets, keep_default_na=False).drop_duplicates("text")
    data = data.sample(N_FIT, random_state=0)
    model = SmallBertTextFilter(random_state=0).fit(data.text, data.label)
    seconds = time.perf_counter() - start
    again = time.perf_counter()
    model.fit(data.text, data.label)
    with Path(model_file).open("wb") as file:
        pickle.dump(model, file)
    return {"fit [s]": seconds, "second fit [s]": time.perf_counter() - again}


def predict(corpus: str, model_file: str, padding: str, n: int) -> dict[str, float]:
    """Predict the first distinct texts of the corpus, after a warm-up."""
    texts = pd.read_parquet(corpus).text.drop_duplicates()[:n]
    with Path(model_file).open("rb") as file:
        model = pickle.load(file).set_params(padding=padding)
    model.predict_proba(texts[:1000])
    start = time.perf_counter()
    model.predict_proba(texts)
    return {"texts/s": len(texts) / (time.perf_counter() - start)}


def main() -> None:
    """Run from the command line; a process of its own passes --job."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("snippets")
    parser.add_argument("corpus")
    parser.add_argument("--job", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.job:
        name, *rest = json.loads(arguments.job)
        result = {"fit": fit, "predict": predict}[name](*rest)
        result["peak MB"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps(result))
        return
    with tempfile.TemporaryDirectory() as folder:
        model_file = str(Path(folder, "model.pickle"))
        jobs = {
            f"fit {N_FIT} snippets": ["fit", arguments.snippets, model_file],
            "predict, padded to 100": [
                "predict",
                arguments.corpus,
                model_file,
                "max_length",
                10_000,
            ],
            "predict, as shipped": ["predict", arguments.corpus, model_file, "longest", 300_000],
        }
        rows = {}
        for name, job in jobs.items():
            command = [sys.executable, __file__, arguments.snippets, arguments.corpus]
            run = subprocess.run(
                [*command, "--job", json.dumps(job)], capture_output=True, text=True, check=True
            )
            rows[name] = json.loads(run.stdout.splitlines()[-1])
    print(pd.DataFrame(rows).T.round(1).to_string(na_rep=""))


if __name__ == "__main__":
    main()
