"""Accuracy on labelled web snippets, beside the rules and recipes that a filter has to beat.

    python tests/benchmarks/accuracy.py PATH/web_snippets.csv.gz --seeds 0 1

Distinct texts only, 5 folds that keep pages together and 5 random ones. Prints means over
folds and seeds, with the standard deviation of the accuracy, and the default's reliability.
"""

import argparse
import copy
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from rich.progress import track
from sklearn.model_selection import StratifiedGroupKFold

from skbert_filter import SmallBertTextFilter
from skbert_filter.inspection.baselines import WordCountRule, tfidf_baseline
from skbert_filter.inspection.evaluation import evaluate

PUBLISHED = {
    "lowercase": True,
    "vocab_size": 30_522,
    "epochs": 25,
    "learning_rate": 5e-5,
    "lr_scheduler_type": "linear",
    "warmup_ratio": 0.0,
    "early_stopping": False,
    "probabilities": "sigmoid",
}

MODELS: dict[str, Callable[[int, Any], Any]] = {
    "word-count rule": lambda seed, tokenizer: WordCountRule(),
    "TF-IDF + LogisticRegression": lambda seed, tokenizer: tfidf_baseline(),
    "published recipe": lambda seed, tokenizer: SmallBertTextFilter(
        **PUBLISHED, tokenizer=tokenizer, random_state=seed
    ),
    "default": lambda seed, tokenizer: SmallBertTextFilter(random_state=seed),
}

SCORES = ["accuracy", "f1", "average_precision", "brier", "expected_calibration_error"]


# Folds of distinct texts by what stays together: a page, or nothing but the text itself.
SPLITS = {"by page": "page", "random": "text"}


def reliability(probability: np.ndarray, y: np.ndarray) -> pd.DataFrame:
    """Mean probability and share of class 1 in ten equal bins."""
    bins = pd.cut(pd.Series(probability), np.linspace(0, 1, 11), include_lowest=True)
    grouped = pd.DataFrame({"p": probability, "share of 1": y}).groupby(bins, observed=True)
    return grouped.mean().assign(n=grouped.size())


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("snippets", help="CSV with the columns text, label and page")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--splits", nargs="+", choices=SPLITS, default=list(SPLITS))
    parser.add_argument("--tokenizer", default="corpus", help="of the published recipe")
    arguments = parser.parse_args()
    data = pd.read_csv(arguments.snippets, keep_default_na=False)
    data = data.drop_duplicates("text").reset_index(drop=True)

    jobs = [
        (kind, name, seed, train, test)
        for seed in arguments.seeds
        for kind in arguments.splits
        for train, test in StratifiedGroupKFold(5, shuffle=True, random_state=seed).split(
            data.text, data.label, data[SPLITS[kind]]
        )
        for name in arguments.models
    ]
    rows, predicted = [], defaultdict(list)
    for kind, name, seed, train, test in track(jobs, "fits"):
        start = time.perf_counter()
        model = MODELS[name](seed, arguments.tokenizer).fit(data.text[train], data.label[train])
        seconds = time.perf_counter() - start
        variants = {name: model}
        if name == "default":
            variants["default, raw scores"] = copy.copy(model).set_params(probabilities="sigmoid")
        for variant, fitted in variants.items():
            scores = evaluate(fitted, data.text[test], data.label[test])
            rows.append(
                {"split": kind, "model": variant, "fit [s]": seconds}
                | {score: getattr(scores, score) for score in SCORES}
            )
            predicted[variant].append((fitted.predict_proba(data.text[test])[:, 1], test))
    table = pd.DataFrame(rows).groupby(["split", "model"], sort=False)
    means = table.mean().assign(**{"sd of accuracy": table.accuracy.std()})
    print(means.round(3).to_string())
    for variant in ("default, raw scores", "default"):
        if variant in predicted:
            p, test = (np.concatenate(part) for part in zip(*predicted[variant], strict=True))
            print(f"\nReliability, {variant}:")
            print(reliability(p, data.label.to_numpy()[test]).round(3).to_string())


if __name__ == "__main__":
    main()
