"""Accuracy on real labelled texts, by the number of labels, beside what a filter has to beat.

    python tests/benchmarks/accuracy.py DATA                 # the learning curve, by page
    python tests/benchmarks/accuracy.py DATA --split random  # folds that share no text
    python tests/benchmarks/accuracy.py DATA --others        # SMS, Banking77, CLINC150

DATA is the folder of the labelled sets. Every distinct text counts once. The scores of each fit
are added to the results file, and a fit that is in it is not repeated: a run that was stopped, by
you or after ``--minutes``, resumes. The table holds the means over folds and seeds that are there.
"""

import argparse
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.ensemble import VotingClassifier
from sklearn.metrics import accuracy_score, average_precision_score, f1_score
from sklearn.model_selection import StratifiedGroupKFold

from skbert_filter import SmallBertTextFilter
from skbert_filter.inspection import (
    WordCountRule,
    expected_calibration_error,
    tfidf_baseline,
    tfidf_shape_baseline,
)

KEYS = ["task", "labels", "model", "seed", "fold"]
SCORES = ["accuracy", "f1", "average_precision", "ece", "seconds"]
ALL = 10**6


def web(seed: int) -> SmallBertTextFilter:
    """Return a filter at its defaults."""
    return SmallBertTextFilter(random_state=seed)


def vote(seed: int) -> VotingClassifier:
    """Return the mean of the filter and the honest baseline."""
    members = [("filter", web(seed)), ("tfidf", tfidf_shape_baseline())]
    return VotingClassifier(members, voting="soft")


MODELS: dict[str, Callable[[int], Any]] = {
    "word-count rule": lambda seed: WordCountRule(),
    "TF-IDF": lambda seed: tfidf_baseline(),
    "TF-IDF and shape": lambda seed: tfidf_shape_baseline(),
    "filter": web,
    "filter, random weights": lambda seed: SmallBertTextFilter(checkpoint=None, random_state=seed),
    "mean of filter and TF-IDF and shape": vote,
}


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, help="folder of the labelled sets")
    parser.add_argument("--split", choices=["page", "random"], default="page")
    parser.add_argument("--others", action="store_true", help="other tasks, all labels")
    parser.add_argument("--labels", type=int, nargs="*", default=[0, 100, 300, 1000, ALL])
    parser.add_argument("--models", nargs="+", default=list(MODELS))
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2])
    parser.add_argument("--minutes", type=float, default=20, help="begin no fit after these")
    parser.add_argument("--results", type=Path, default=Path("accuracy.csv"))
    arguments = parser.parse_args()

    end = time.monotonic() + 60 * arguments.minutes
    tasks = others(arguments) if arguments.others else curve(arguments)
    known = pd.read_csv(arguments.results) if arguments.results.exists() else pd.DataFrame()
    done = set(map(tuple, known[KEYS].to_numpy().tolist())) if len(known) else set()
    for key, fit_and_score in tasks:
        if key in done or time.monotonic() > end:
            continue
        row = pd.DataFrame([dict(zip(KEYS, key, strict=True)) | fit_and_score()])
        row.to_csv(arguments.results, mode="a", index=False, header=not arguments.results.exists())

    table = pd.read_csv(arguments.results).groupby(["task", "labels", "model"])
    print(table[SCORES].mean().round(3).assign(fits=table.size()).to_string())


def curve(arguments: argparse.Namespace) -> Iterator[tuple[tuple, Callable[[], dict]]]:
    """Fits of one task from few labels to all."""
    table = pd.read_csv(arguments.data / "web_snippets.csv.gz", keep_default_na=False)
    table = table.drop_duplicates("text").reset_index(drop=True)
    X, y = table.text.to_numpy(object), table.label.to_numpy()
    groups = table.page if arguments.split == "page" else np.arange(len(X))
    name = f"web_snippets, {arguments.split}"

    for seed in arguments.seeds:
        folds = StratifiedGroupKFold(5, shuffle=True, random_state=seed)
        for fold, (train, test) in enumerate(folds.split(X, y, groups)):
            for n_labels in arguments.labels:
                drawn = np.random.RandomState([seed, fold, n_labels]).permutation(train)[:n_labels]
                for model in arguments.models if n_labels else ["filter"]:
                    key = (name, n_labels, model, seed, fold)
                    yield key, lambda m=model, s=seed, a=drawn, b=test: scores(m, s, X, y, a, b)


def others(arguments: argparse.Namespace) -> Iterator[tuple[tuple, Callable[[], dict]]]:
    """Fits of all labels of other tasks: five folds, or the official split."""
    for file in ("sms_spam", "banking77", "clinc150"):
        table = pd.read_csv(arguments.data / f"{file}.csv.gz", keep_default_na=False)
        table = table.drop_duplicates("text").reset_index(drop=True)
        X, y = table.text.to_numpy(object), table.label.to_numpy()
        if "split" in table:
            splits = [tuple(np.flatnonzero(table.split == part) for part in ("train", "test"))]
        else:
            folds = StratifiedGroupKFold(5, shuffle=True, random_state=0)
            splits = list(folds.split(X, y, np.arange(len(X))))
        for fold, (train, test) in enumerate(splits):
            for model in arguments.models:
                key = (file, ALL, model, 0, fold)
                yield (
                    key,
                    lambda m=model, X=X, y=y, a=train, b=test: scores(m, 0, X, y, a, b),
                )


def scores(
    name: str, seed: int, X: np.ndarray, y: np.ndarray, train: np.ndarray, test: np.ndarray
) -> dict[str, float]:
    """Fit a model and score it; without training texts, score the bundled filter."""
    start = time.perf_counter()
    if len(train):
        model = MODELS[name](seed).fit(X[train], y[train])
    else:
        model = SmallBertTextFilter.from_pretrained("web")
    seconds = time.perf_counter() - start

    probabilities = model.predict_proba(X[test])
    predicted = np.asarray(model.classes_)[probabilities.argmax(axis=1)]
    binary = len(model.classes_) == 2
    return {
        "accuracy": accuracy_score(y[test], predicted),
        "f1": f1_score(y[test], predicted, average="binary" if binary else "macro"),
        "average_precision": average_precision_score(y[test], probabilities[:, 1])
        if binary
        else np.nan,
        "ece": expected_calibration_error(y[test], probabilities[:, 1]) if binary else np.nan,
        "seconds": seconds,
    }


if __name__ == "__main__":
    main()
