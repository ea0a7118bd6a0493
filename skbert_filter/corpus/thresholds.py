"""The threshold by which a wanted share of the useful texts is found, or of the kept is useful.

Chosen on the probabilities that models gave to labelled texts that they had not learnt, as
`train_filter` saves them with the model.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import binomtest


@dataclass(frozen=True)
class ChosenThreshold:
    """A probability to keep texts from, and what it does on labelled texts out of fold.

    Attributes
    ----------
    threshold : float
    aim : {"recall", "precision"}
        What was asked for.
    achieved, low, high : float
        The recall or precision there, and its 95 % interval (Wilson).
    recall, precision : float
        Both.
    n_texts : int
        The labelled texts.
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
            f"The threshold {self.threshold:.3f} has a {self.aim} of {self.achieved:.3f} "
            f"({self.low:.3f} to {self.high:.3f}) and a {other} of {getattr(self, other):.3f} on "
            f"{self.n_texts:,} labelled texts out of fold."
        )


def as_record(probability: np.ndarray, is_useful: np.ndarray) -> dict[str, str]:
    """Return probabilities and labels as short strings for JSON: 16 bits and one for each text."""
    numbers = np.round(probability * 65535).astype(">u2")
    return {"probability": numbers.tobytes().hex(), "useful": "".join(map(str, is_useful * 1))}


def choose_threshold(
    model: Any, keep: Any, *, recall: float | None = None, precision: float | None = None
) -> ChosenThreshold:
    """Return the highest threshold of a recall, or the lowest of a precision."""
    facts = getattr(model, "training_record_", {})
    record = facts.get("out_of_fold")
    if record is not None and str(keep) != str(facts["keep"]):
        raise ValueError(
            f"recall and precision are those of the label {facts['keep']!r}, and keep is {keep!r}. "
            "Pass a threshold instead."
        )
    if record is None:
        raise ValueError(
            "The model remembers no probabilities of texts that it had not learnt, from which a "
            "threshold could be chosen. Train it with train_filter (skbert-filter train), or pass "
            "threshold= (--threshold)."
        )
    probability = np.frombuffer(bytes.fromhex(record["probability"]), ">u2") / 65535
    is_useful = np.array(list(record["useful"])) == "1"

    # Of equal probabilities all are kept or none.
    order = np.argsort(-probability, kind="stable")
    thresholds, useful = probability[order], np.cumsum(is_useful[order])
    last = np.append(thresholds[1:] != thresholds[:-1], True)
    thresholds, useful, kept = thresholds[last], useful[last], np.flatnonzero(last) + 1
    recalls, precisions = useful / max(is_useful.sum(), 1), useful / kept

    if recall is not None:
        aim, values, totals = "recall", recalls, np.full(len(kept), is_useful.sum())
        reached = np.flatnonzero(recalls >= recall)
        i = reached[0] if len(reached) else -1
    else:
        aim, values, totals = "precision", precisions, kept
        reached = np.flatnonzero(precisions >= precision)
        i = reached[-1] if len(reached) else -1
    if i < 0:
        raise ValueError(
            f"No threshold has a {aim} of {recall if precision is None else precision:g}: the "
            f"highest on {len(probability):,} labelled texts is {values.max():.3f}. Ask for less, "
            "or label more."
        )
    interval = binomtest(int(useful[i]), int(totals[i])).proportion_ci(method="wilson")
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
