"""Which classifier to save: the filter, unless another is more accurate by more than chance."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from skbert_filter.duplicates.splits import DedupStratifiedKFold
from skbert_filter.inspection.scores import Predictions, score_predictions
from skbert_filter.inspection.significance import (
    LEVEL,
    McNemarTest,
    mcnemar_test,
    p_text,
)
from skbert_filter.inspection.suspects import OutOfFold, out_of_fold
from skbert_filter.printing import Report

BERT, TFIDF, VOTE = "bert", "tfidf", "vote"
NAMES = {BERT: "SmallBertTextFilter", TFIDF: "TF-IDF and shape", VOTE: "mean of both"}
_FOLDS = 3


@dataclass(frozen=True, eq=False)
class ModelChoice(Report):
    """The classifiers that were compared by cross-validation, and the one that is saved.

    Attributes
    ----------
    chosen : {"bert", "tfidf", "vote"}
    scores : DataFrame
        "accuracy", "f1" and "average_precision" of each; every distinct text counts once.
    test : McNemarTest
        The filter against the most accurate of the others.
    out_of_fold : OutOfFold
        The probabilities of the chosen classifier.
    """

    chosen: str
    scores: pd.DataFrame
    test: McNemarTest
    out_of_fold: OutOfFold

    def __str__(self) -> str:
        scores = ", ".join(f"{NAMES[str(n)]} {a:.3f}" for n, a in self.scores["accuracy"].items())
        reason = "the difference is within chance, and it is the fastest to apply"
        if self.chosen != BERT:
            reason = f"more accurate than {NAMES[BERT]} by more than chance"
        elif self.scores["accuracy"].idxmax() == BERT:
            reason = "the most accurate"
        return (
            f"Chosen: {NAMES[self.chosen]}, {reason} (accuracy out of fold: {scores}; "
            f"{p_text(self.test.p_value)})."
        )

    def to_frame(self) -> pd.DataFrame:
        """Return the scores as a table, one row for each classifier."""
        return self.scores


def choose_model(
    candidates: Mapping[str, Any],
    texts: list[str],
    y: np.ndarray,
    *,
    groups: np.ndarray | None = None,
    random_state: int | None = None,
) -> ModelChoice:
    """Compare a filter, TF-IDF and the mean of their probabilities by cross-validation."""
    folds = DedupStratifiedKFold(_FOLDS, shuffle=True, random_state=random_state)
    splits = list(folds.split(texts, y, groups))
    bert, tfidf = (out_of_fold(candidates[name], texts, y, cv=splits) for name in (BERT, TFIDF))
    # The mean is what VotingClassifier would return, without fitting both again.
    mean = (bert.pred_probs + tfidf.pred_probs) / 2
    proba = {BERT: bert.pred_probs, TFIDF: tfidf.pred_probs, VOTE: mean}

    classes, y_true = bert.classes, bert.classes[bert.labels]
    scores, is_right = {}, {}
    for name, p in proba.items():
        predicted = classes[p.argmax(axis=1)]
        scores[name] = score_predictions(Predictions(classes, predicted, p, p), y_true)
        is_right[name] = predicted == y_true

    table = pd.DataFrame(scores).T[["accuracy", "f1", "average_precision"]]
    other = str(table["accuracy"].drop(BERT).idxmax())
    test = mcnemar_test(is_right[BERT], is_right[other], names=(NAMES[BERT], NAMES[other]))
    is_better = test.only_second > test.only_first and test.p_value < LEVEL
    chosen = other if is_better else BERT
    return ModelChoice(chosen, table, test, replace(bert, pred_probs=proba[chosen]))
