"""How good and how fast the filter is, compared with the alternatives.

    python tests/benchmarks/accuracy.py DATA --teacher FOLDER   # under 20 minutes on two cores
    python tests/benchmarks/accuracy.py DATA --quick            # under 3 minutes
    python tests/benchmarks/accuracy.py DATA --split random     # folds that share no text
    python tests/benchmarks/accuracy.py DATA --others           # SMS, Banking77, CLINC150

DATA is the folder of the labelled sets; rivals.py says what FOLDER is. Rivals that are not
installed are skipped and listed. Every distinct text counts once. Each fit adds a line to the
results file and is not repeated, so a run that was stopped, by you or after ``--minutes``, resumes.
``--docs docs`` writes the tables and the plot of the documentation.
"""

import argparse
import importlib.util
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
from accuracy_report import report
from rivals import RIVALS
from sklearn.metrics import accuracy_score, average_precision_score, f1_score
from sklearn.model_selection import StratifiedGroupKFold

from skbert_filter import SmallBertTextFilter
from skbert_filter.inspection import (
    WordCountRule,
    expected_calibration_error,
    tfidf_baseline,
    tfidf_shape_baseline,
)

ALL = 10**6
KEYS = ("task", "labels", "model", "fold")
OWN: dict[str, Callable[[], Any]] = {
    "word-count rule": WordCountRule,
    "TF-IDF": tfidf_baseline,
    "TF-IDF and shape": tfidf_shape_baseline,
    "filter": lambda: SmallBertTextFilter(random_state=0),
}

# How many labels these models get; all others get 1,000.
LABELS = {
    "word-count rule": (100, 1000, ALL),
    "TF-IDF": (100, 1000, ALL),
    "TF-IDF and shape": (100, 1000, ALL),
    "filter": (0, 100, 1000, ALL),
    "jusText, text only": (0,),
    "trafilatura, text only": (0,),
    "setfit": (100,),
}
# Rounds of the speed test, and the number of texts for models that 2,000 would take too long.
ROUNDS = 11
TEXTS = {"MiniLM, frozen": 50, "MiniLM, fine-tuned": 50, "setfit": 50}


def main() -> None:
    """Run from the command line, with a process for each model."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, help="folder of the labelled sets")
    parser.add_argument("--teacher", type=Path, help="folder of a MiniLM")
    parser.add_argument("--split", choices=["page", "random"], default="page")
    parser.add_argument("--others", action="store_true", help="other tasks, all labels")
    parser.add_argument("--quick", action="store_true", help="two folds, and the quick models")
    parser.add_argument("--models", nargs="+", default=[*OWN, *RIVALS])
    parser.add_argument("--minutes", type=float, help="begin no fit after these; 20, or quickly 3")
    parser.add_argument("--results", type=Path, default=Path("accuracy.jsonl"))
    parser.add_argument("--docs", type=Path, help="write tables and picture here")
    parser.add_argument("--deadline", type=float, help=argparse.SUPPRESS)
    arguments = parser.parse_args()

    if arguments.deadline:
        run(arguments, arguments.models[0])
        return

    deadline = time.time() + 60 * (arguments.minutes or (3 if arguments.quick else 20))
    for name in arguments.models:
        if missing := what_is_missing(name, arguments):
            print(f"{name}: skipped, {missing}", file=sys.stderr)
            continue
        command = [sys.executable, *sys.argv, "--models", name, "--deadline", str(deadline)]
        subprocess.run(command, check=True)
    results = pd.read_json(arguments.results, lines=True)
    report(results, arguments.docs)


def what_is_missing(name: str, arguments: argparse.Namespace) -> str:
    """Return why a model cannot run, or nothing."""
    if name in OWN:
        return ""
    if arguments.others or arguments.split == "random":
        return "measured by page only"
    package, needs_teacher = RIVALS[name][0], name.startswith(("MiniLM", "model2vec", "setfit"))
    if importlib.util.find_spec(package) is None:
        return f"{package} is not installed"
    if arguments.quick and needs_teacher:
        return "not among the quick ones"
    return "--teacher is not given" if needs_teacher and not arguments.teacher else ""


def run(arguments: argparse.Namespace, name: str) -> None:
    """Compute the results of one model that are not in the results file yet."""
    known = set()
    if arguments.results.exists():
        known = set(map(tuple, pd.read_json(arguments.results, lines=True)[list(KEYS)].to_numpy()))
    for key, compute in (others if arguments.others else web_snippets)(arguments, name):
        if key not in known and time.time() < arguments.deadline:
            line = dict(zip(KEYS, key, strict=True)) | compute()
            with arguments.results.open("a") as file:
                file.write(json.dumps(line) + "\n")


Tasks = Iterator[tuple[tuple[str, int, str, int], Callable[[], dict[str, float]]]]


def web_snippets(arguments: argparse.Namespace, name: str) -> Tasks:
    """Fit with few to all labels, on five folds, and measure the speed."""
    table = pd.read_csv(arguments.data / "web_snippets.csv.gz", keep_default_na=False)
    distinct = table.drop_duplicates("text").reset_index(drop=True)
    X, y = distinct.text.to_numpy(object), distinct.label.to_numpy()
    by_page = arguments.split == "page"
    groups = distinct.page if by_page else np.arange(len(X))
    folds = list(StratifiedGroupKFold(5, shuffle=True, random_state=0).split(X, y, groups))

    def make() -> Any:
        return OWN[name]() if name in OWN else RIVALS[name][1](arguments.teacher, table)

    for fold, (train, test) in enumerate(folds[: 2 if arguments.quick else 5]):
        for n_labels in LABELS.get(name, (1000,)) if by_page else (ALL,):
            if arguments.quick and n_labels == ALL:
                continue
            drawn = np.random.RandomState([0, fold, n_labels]).permutation(train)[:n_labels]
            key = (f"web_snippets, {arguments.split}", n_labels, name, fold)
            yield key, lambda a=drawn, b=test: scores(make, X, y, a, b)

    if by_page and LABELS.get(name) != (0,):
        n_labels = 100 if name == "setfit" else 1000
        drawn = np.random.RandomState(0).permutation(folds[0][0])[:n_labels]
        key = ("speed", n_labels, name, 0)
        yield key, lambda: speed(make, X, y, drawn, arguments.data, TEXTS.get(name, 2_000))


def others(arguments: argparse.Namespace, name: str) -> Tasks:
    """Fit with all labels of other tasks, on five folds or the official split."""
    for file in ("sms_spam", "banking77", "clinc150"):
        table = pd.read_csv(arguments.data / f"{file}.csv.gz", keep_default_na=False)
        table = table.drop_duplicates("text").reset_index(drop=True)
        X, y = table.text.to_numpy(object), table.label.to_numpy()
        if "split" in table:
            splits = [tuple(np.flatnonzero(table.split == part) for part in ("train", "test"))]
        else:
            folds = StratifiedGroupKFold(5, shuffle=True, random_state=0)
            splits = list(folds.split(X, y, np.arange(len(X))))
        if name == "word-count rule" and len(set(y)) > 2:
            continue
        for fold, (train, test) in enumerate(splits):
            yield (
                (file, ALL, name, fold),
                lambda X=X, y=y, a=train, b=test: scores(OWN[name], X, y, a, b),
            )


def scores(
    make: Callable[[], Any], X: np.ndarray, y: np.ndarray, train: np.ndarray, test: np.ndarray
) -> dict[str, float]:
    """Fit a model and score it; without training texts, score one that needs no labels."""
    start = time.perf_counter()
    model = fitted(make, X[train], y[train])
    seconds = time.perf_counter() - start

    probabilities = model.predict_proba(X[test])
    predicted = np.asarray(model.classes_)[probabilities.argmax(axis=1)]
    binary = len(model.classes_) == 2
    result = {
        "accuracy": accuracy_score(y[test], predicted),
        "f1": f1_score(y[test], predicted, average="binary" if binary else "macro"),
        "seconds": seconds,
    }
    if binary:
        result["average_precision"] = average_precision_score(y[test], probabilities[:, 1])
        result["ece"] = expected_calibration_error(y[test], probabilities[:, 1])
    return result


def fitted(make: Callable[[], Any], X: np.ndarray, y: np.ndarray) -> Any:
    """Return a fitted model; without training texts, one that needs no labels."""
    model = make()
    if len(X):
        return model.fit(X, y)
    is_filter = isinstance(model, SmallBertTextFilter)
    return SmallBertTextFilter.from_pretrained("web") if is_filter else model


def speed(
    make: Callable[[], Any], X: np.ndarray, y: np.ndarray, rows: np.ndarray, data: Path, n: int
) -> dict[str, float]:
    """Return distinct texts per second on one core, in turns with TF-IDF, and megabytes.

    CPU time is counted, in one thread, so that other work on the machine matters little.
    """
    corpus = pd.read_parquet(data / "web_corpus.parquet", columns=["text"]).text
    texts = corpus.drop_duplicates().sample(ROUNDS * 2_000, random_state=0).to_numpy(object)
    model, reference = make().fit(X[rows], y[rows]), tfidf_baseline().fit(X[rows], y[rows])
    if "n_jobs" in model.get_params():
        model.set_params(n_jobs=1)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)
    model.predict_proba(texts[:50])

    def seconds(classifier: Any, some: np.ndarray) -> float:
        start = time.process_time()
        classifier.predict_proba(some)
        return time.process_time() - start

    rounds = [
        (n / seconds(model, some[:n]), len(some) / seconds(reference, some))
        for some in np.split(texts, ROUNDS)
    ]
    ours, theirs = np.median(rounds, axis=0)
    return {"texts_per_second": ours, "ratio": ours / theirs, "mb": mb(model)}


def mb(model: Any) -> float:
    """Return the megabytes of a saved model."""
    with tempfile.TemporaryDirectory() as folder:
        save = getattr(model, "save_pretrained", getattr(model, "save", None))
        if save:
            save(Path(folder, "model") if hasattr(model, "save_pretrained") else Path(folder))
        else:
            joblib.dump(model, Path(folder, "model.joblib"))
        return sum(f.stat().st_size for f in Path(folder).rglob("*") if f.is_file()) / 1e6


if __name__ == "__main__":
    main()
