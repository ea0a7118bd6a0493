"""Chooses the threshold for a recall or precision.

It is chosen on the out-of-fold probabilities of labelled texts, which `train_filter` saves with the
model.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import binomtest
from sklearn.metrics import precision_recall_curve


@dataclass(frozen=True)
class ChosenThreshold:
    """The lowest probability of texts to keep, and its scores on labelled texts out of fold.

    Attributes
    ----------
    threshold : float
    aim : {"recall", "precision"}
        The score that was requested.
    achieved, low, high : float
        The value of that score, and its 95 % interval (Wilson).
    recall, precision : float
        The values of both.
    n_texts : int
        The number of labelled texts.
    """

    threshold: float
    aim: str
    achieved: float
    low: float
    high: float
    recall: float
    precision: float
    n_texts: int

    def __str__(self) -> str:
        other = "precision" if self.aim == "recall" else "recall"
        return (
            f"The threshold {self.threshold:.3g} has a {self.aim} of {self.achieved:.3f} "
            f"({self.low:.3f} to {self.high:.3f}) and a {other} of {getattr(self, other):.3f} on "
            f"{self.n_texts:,} labelled texts out of fold."
        )


def as_record(probability: np.ndarray, is_useful: np.ndarray) -> dict[str, str]:
    """Return probabilities, rounded to 16 bits, and labels as short strings for JSON."""
    rounded = np.round(probability * 65535).astype(">u2")
    return {"probability": rounded.tobytes().hex(), "useful": "".join(map(str, is_useful * 1))}


def choose_threshold(model: Any, keep: Any, aim: str, wanted: float) -> ChosenThreshold:
    """Return the highest threshold with a recall, or the lowest one with a precision."""
    training = getattr(model, "training_record_", {})
    record = training.get("out_of_fold")
    if record is None:
        raise ValueError(
            "The model has no out-of-fold probabilities to choose a threshold from. Train it with "
            "train_filter (skbert-filter train), or pass threshold= (--threshold)."
        )
    if str(keep) != str(training["keep"]):
        raise ValueError(
            f"recall and precision are those of the label {training['keep']!r}, but keep is "
            f"{keep!r}. Pass a threshold instead."
        )
    probability = np.frombuffer(bytes.fromhex(record["probability"]), ">u2") / 65535
    is_useful = np.array(list(record["useful"])) == "1"

    # The last point of the curve has no threshold. Recall falls as the threshold rises.
    *scores, thresholds = precision_recall_curve(is_useful, probability)
    precisions, recalls = (values[:-1] for values in scores)
    values = recalls if aim == "recall" else precisions
    reached = np.flatnonzero(values >= wanted)
    if not len(reached):
        raise ValueError(
            f"No threshold has a {aim} of {wanted:g}: the highest on {len(probability):,} labelled "
            f"texts is {values.max():.3f}. Ask for less, or label more."
        )
    i = reached[-1 if aim == "recall" else 0]

    is_kept = probability >= thresholds[i]
    n_right = int((is_kept & is_useful).sum())
    n_total = int((is_useful if aim == "recall" else is_kept).sum())
    interval = binomtest(n_right, n_total).proportion_ci(method="wilson")
    return ChosenThreshold(
        threshold=float(thresholds[i]),
        aim=aim,
        achieved=float(values[i]),
        low=float(interval.low),
        high=float(interval.high),
        recall=float(recalls[i]),
        precision=float(precisions[i]),
        n_texts=len(probability),
    )
