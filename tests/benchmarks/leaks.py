"""How copies of a text on both sides of a split affect a score, on real labelled rows.

    python tests/benchmarks/leaks.py PATH/web_snippets.csv.gz

Each model is scored four times, on the rows as they come: with folds of rows, of whole pages, of
distinct texts, and of whole pages without the training rows whose text is tested. Means of five
folds and their standard deviations; prints the tables of docs/scikit_learn.rst and more.
"""

import argparse
import logging
import time
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.metrics import average_precision_score, f1_score
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from skbert_filter import DedupStratifiedKFold, duplicate_report
from skbert_filter.inspection import WordCountRule, tfidf_baseline

MODELS = {"word-count rule": WordCountRule(), "TF-IDF": tfidf_baseline()}
DEALT = {"shuffle": True, "random_state": 0}
FOLDS = {
    "rows": (StratifiedKFold(5, **DEALT), False),
    "whole pages": (StratifiedGroupKFold(5, **DEALT), True),
    "distinct texts": (DedupStratifiedKFold(5, **DEALT), False),
    "whole pages, no text twice": (DedupStratifiedKFold(5, **DEALT), True),
}


def score(model: Any, X: np.ndarray, y: np.ndarray, train: Any, test: Any) -> dict[str, float]:
    """Fit on some rows, and score on others: all of them, and those with a copy or without."""
    probability = clone(model).fit(X[train], y[train]).predict_proba(X[test])[:, 1]
    right = (probability > 0.5) == y[test]
    copied = np.isin(X[test], X[train])
    return {
        "accuracy": right.mean(),
        "F1": f1_score(y[test], probability > 0.5),
        "AP": average_precision_score(y[test], probability),
        "copied": copied.mean(),
        "accuracy, copied": right[copied].mean() if copied.any() else np.nan,
        "accuracy, new": right[~copied].mean(),
    }


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("labels", help="a table with the columns text, label and page")
    data = pd.read_csv(parser.parse_args().labels, keep_default_na=False)
    logging.getLogger("skbert_filter").setLevel(logging.ERROR)
    X, y, pages = (data[name].to_numpy() for name in ("text", "label", "page"))
    print(duplicate_report(X, y))
    for name, model in MODELS.items():
        lines = {}
        start = time.process_time()
        for what, (splitter, by_page) in FOLDS.items():
            splits = splitter.split(X, y, pages if by_page else None)
            scores = pd.DataFrame([score(model, X, y, *split) for split in splits])
            lines[what] = pd.concat([scores.mean(), scores[["accuracy"]].std().add_suffix(" sd")])
        print(f"\n{name}\n{pd.DataFrame(lines).T.round(3).to_string()}")
        print(f"{time.process_time() - start:.0f} seconds of processor time")


if __name__ == "__main__":
    main()
