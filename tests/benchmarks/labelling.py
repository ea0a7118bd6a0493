"""What 200 answers are worth, by the order in which a labelling session asks.

    python tests/benchmarks/labelling.py DATA

The true labels of web_snippets are the answers. A filter fitted on all answers that were not held
out scores the rest of the corpus.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.metrics import average_precision_score, f1_score

from skbert_filter import SmallBertTextFilter
from skbert_filter.labelling.session import LabellingSession


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, help="folder of the labelled sets")
    parser.add_argument("--answers", type=int, default=200)
    parser.add_argument("--seeds", type=int, default=5)
    arguments = parser.parse_args()

    table = pd.read_csv(arguments.data / "web_snippets.csv.gz", keep_default_na=False)
    truth = dict(zip(table.text, np.where(table.label == 1, "keep", "discard"), strict=True))
    scores = []
    for seed in range(arguments.seeds):
        for order in ("random", "informative"):
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder, "labels.csv")
                score = answered(table.text.tolist(), path, truth, order, arguments.answers, seed)
            scores.append({"order": order, "seed": seed, **score})
            print(scores[-1], flush=True)
    frame = pd.DataFrame(scores).drop(columns="seed").groupby("order")
    print(frame.agg(["mean", "std"]).round(3).to_string())


def answered(
    texts: list[str], path: Path, truth: dict[str, str], order: str, n: int, seed: int
) -> dict[str, float]:
    """Answer, and score the filter on the texts that were not asked about."""
    session = LabellingSession(texts, path, order=order, background=False, random_state=seed)
    while len(session.answers) < n and session.question is not None:
        session.answer(truth[session.question.text])

    learnt = {text: a.label for text, a in session.answers.items() if not a.held_out}
    rest = [text for text in truth if text not in session.answers]
    model = SmallBertTextFilter(random_state=seed).fit(list(learnt), list(learnt.values()))
    useful = np.array([truth[text] == "keep" for text in rest])
    probabilities = model.predict_proba(rest)[:, list(model.classes_).index("keep")]
    return {
        "useful": float(np.mean([label == "keep" for label in learnt.values()])),
        "average_precision": average_precision_score(useful, probabilities),
        "f1": f1_score(useful, probabilities > 0.5),
    }


if __name__ == "__main__":
    main()
