"""Do suspect_labels find wrong labels, and does next_to_label save labelling?

    python tests/benchmarks/labels.py PATH/web_snippets.csv.gz PATH/sms_spam.csv.gz

Settings were chosen with `--half 0` (half of the pages, half of the messages); the figures in
the documentation are for the other half.
"""

import argparse
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from rich.progress import track
from sklearn.base import clone
from sklearn.metrics import average_precision_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skbert_filter import SmallBertTextFilter
from skbert_filter.inspection.baselines import tfidf_baseline
from skbert_filter.inspection.labelling import next_to_label
from skbert_filter.inspection.suspects import out_of_fold

FLIPPED = 0.05
ROUND = 100
MOST_LABELS = 1500
CURVES = ["accuracy", "AP", "accuracy, rows", "new pages", "new pages, AP", "new pages, rows"]


def read(path: str, half: int) -> pd.DataFrame:
    """Read one half of the pages, or of the distinct texts where there are no pages."""
    data = pd.read_csv(path, keep_default_na=False)
    unit = data["page"] if "page" in data else data["text"]
    chosen = np.random.RandomState(0).permutation(unit.unique())[half::2]
    return data[unit.isin(chosen)].reset_index(drop=True)


def distinct(data: pd.DataFrame) -> pd.DataFrame:
    """Return each text once, with its label and how many rows have it."""
    grouped = data.groupby("text", sort=False)
    return grouped.agg(label=("label", "first"), rows=("label", "size")).reset_index()


def flip(data: pd.DataFrame, what: str, seed: int) -> pd.DataFrame:
    """Flip the labels of 5 % of the rows, or of all rows of 5 % of the distinct texts."""
    rng = np.random.RandomState(seed)
    unit = data["text"].to_numpy() if what == "texts" else data.index.to_numpy()
    units = np.unique(unit)
    wrong = np.isin(unit, rng.choice(units, round(FLIPPED * len(units)), replace=False))
    return data.assign(label=np.where(wrong, 1 - data["label"], data["label"]), wrong=wrong)


def find_flips(name: str, data: pd.DataFrame, model: Any, what: str, seed: int) -> list[dict]:
    """Return how many flipped labels two rankings of one out-of-fold prediction find."""
    flipped = flip(data, what, seed)
    found = out_of_fold(model, flipped["text"], flipped["label"])
    wrong_rows = flipped.groupby("text")["wrong"].sum()
    n_wrong = int((wrong_rows > 0).sum())
    given = found.pred_probs[np.arange(len(found.labels)), found.labels]
    rankings = {
        "probability": pd.Series(found.texts).iloc[np.argsort(given, kind="stable")],
        "suspect_labels": found.to_frame()["text"],
    }
    results = []
    for ranking, texts in rankings.items():
        hits = wrong_rows[texts].to_numpy()
        results.append(
            {"data": name, "flipped": what, "ranking": ranking}
            | {"precision at n": (hits[:n_wrong] > 0).mean()}
            | {"recall at 2n": (hits[: 2 * n_wrong] > 0).sum() / n_wrong}
            | {"wrong rows at n": hits[:n_wrong].sum() / hits.sum()}
            | {"wrong rows at 2n": hits[: 2 * n_wrong].sum() / hits.sum()}
        )
    return results


def tfidf_of(texts: pd.Series) -> Callable[[], Any]:
    """Return a factory of the baseline that computes its vectors once for all rounds.

    So TF-IDF is learnt from all texts of the set; labels play no part in that.
    """
    vectors = tfidf_baseline()[0].fit_transform(texts)
    place = pd.Index(texts)
    look_up = FunctionTransformer(lambda X: vectors[place.get_indexer(X)])
    return lambda: make_pipeline(look_up, tfidf_baseline()[-1])


def by_uncertainty(model: Any, left: pd.DataFrame, rows: bool) -> np.ndarray:
    """Return the texts with the highest uncertainty, weighted by rows on request."""
    doubt = 1 - np.abs(2 * model.predict_proba(left["text"])[:, 1] - 1)
    score = doubt * np.log2(1 + left["rows"]) if rows else doubt
    return left["text"].to_numpy()[np.argsort(-score, kind="stable")[:ROUND]]


CHOICES: dict[str, Callable[[Any, pd.DataFrame, int], Any]] = {
    "random": lambda model, left, seed: left["text"].sample(ROUND, random_state=seed),
    "uncertain": lambda model, left, seed: by_uncertainty(model, left, rows=False),
    "uncertain, frequent": lambda model, left, seed: by_uncertainty(model, left, rows=True),
    "next_to_label": lambda model, left, seed: next_to_label(
        model, left["text"].repeat(left["rows"]), ROUND, random_state=seed
    )["text"],
}


def score(model: Any, texts: pd.DataFrame) -> list[float]:
    """Return accuracy and average precision on distinct texts, and accuracy on rows."""
    proba = model.predict_proba(texts["text"])[:, 1]
    right = (proba > 0.5) == texts["label"]
    average_precision = average_precision_score(texts["label"], proba)
    return [right.mean(), average_precision, np.average(right, weights=texts["rows"])]


def label_in_rounds(data: pd.DataFrame, make: Callable[[], Any], choice: str, seed: int) -> list:
    """Label 100 random texts, then 100 more a round, and score each model.

    A quarter of the pages is held out, and a quarter of the distinct texts of the others.
    Accuracy on the rows of a held-out page includes texts that are on other pages too.
    """
    rng = np.random.RandomState(seed)
    pages = rng.permutation(data["page"].unique())
    is_new = data["page"].isin(pages[: len(pages) // 4])
    seen, new = distinct(data[~is_new]), distinct(data[is_new])
    held = rng.rand(len(seen)) < 0.25
    test, pool = seen[held], seen[~held].reset_index(drop=True)
    only_new = new[~new["text"].isin(seen["text"])]
    labelled = rng.choice(len(pool), ROUND, replace=False)
    results = []
    while True:
        known = pool.loc[labelled]
        model = make().fit(known["text"].to_numpy(), known["label"].to_numpy())
        scores = score(model, test) + score(model, only_new)[:2] + score(model, new)[2:]
        results.append(
            {"choice": choice, "labels": len(labelled), "seed": seed}
            | dict(zip(CURVES, scores, strict=True))
        )
        if len(labelled) >= MOST_LABELS:
            return results
        left = pool.drop(index=labelled)
        chosen = CHOICES[choice](model, left, seed)
        labelled = np.append(labelled, left.index[left["text"].isin(chosen)])


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("snippets", help="CSV with the columns text, label and page")
    parser.add_argument("messages", help="CSV with the columns text and label")
    parser.add_argument("--half", type=int, choices=[0, 1], default=1)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--filter", action="store_true", help="SmallBertTextFilter, not TF-IDF")
    parser.add_argument("--skip", choices=["flips", "rounds"], nargs="*", default=[])
    arguments = parser.parse_args()
    snippets = read(arguments.snippets, arguments.half)
    sets = {"web snippets": snippets, "SMS": read(arguments.messages, arguments.half)}

    bert = SmallBertTextFilter(random_state=0)

    if "flips" not in arguments.skip:
        model = bert if arguments.filter else tfidf_baseline()
        jobs = [(n, w, s) for n in sets for w in ("texts", "rows") for s in arguments.seeds]
        flips = [
            result
            for name, what, seed in track(jobs, "flips")
            for result in find_flips(name, sets[name], model, what, seed)
        ]
        grouped = pd.DataFrame(flips).groupby(["data", "flipped", "ranking"], sort=False)
        print(grouped.mean().round(3).to_string())
    if "rounds" not in arguments.skip:
        make = (lambda: clone(bert)) if arguments.filter else tfidf_of(distinct(snippets)["text"])
        rounds = [(choice, seed) for seed in arguments.seeds for choice in CHOICES]
        curves = pd.DataFrame(
            [
                result
                for choice, seed in track(rounds, "rounds")
                for result in label_in_rounds(snippets, make, choice, seed)
            ]
        )
        table = curves.groupby(["labels", "choice"], sort=False)[CURVES].mean()
        print(table.round(3).to_string())
        spread = curves.groupby(["labels", "choice"])["accuracy"].std().mean()
        print(f"Standard deviation of the accuracy over seeds: {spread:.3f}")


if __name__ == "__main__":
    main()
