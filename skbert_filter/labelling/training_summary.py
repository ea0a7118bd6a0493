"""The result of a training, as it is printed."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import chi2_contingency

from skbert_filter.inspection.evaluation import Evaluation
from skbert_filter.io.mojibake import misdecoded_share
from skbert_filter.labelling.choice import ModelChoice
from skbert_filter.printing import Report, counted, label_lines, printable


@dataclass(frozen=True)
class LabelCount:
    """How often a label occurs.

    Attributes
    ----------
    label : label
    rows, distinct : int
        Its rows and distinct texts; a text with several labels counts for its most frequent one.
    misdecoded : float
        The fraction of these texts that look mis-decoded ("â€™").
    """

    label: Any
    rows: int
    distinct: int
    misdecoded: float


@dataclass(frozen=True)
class TrainingSummary(Report):
    """What `train_filter` did.

    Attributes
    ----------
    source, destination : str
        The label files, and the folder of the model.
    rows, distinct, conflicts : int
        Labelled rows, their distinct texts, and how many of these have several labels.
    labels : tuple of LabelCount
    n_train, n_test : int
        Distinct texts learnt from, and held out for the evaluation.
    evaluation : Evaluation
        The scores of the classifier and of the baselines on the held-out texts.
    refit : bool
        Whether the saved model was fitted again with the held-out texts.
    seconds : float
    model : classifier
        The fitted classifier, as saved.
    notes : tuple of str
        Sentences on blank labels, on labels with several spellings, and on the split.
    choice : ModelChoice or None
        How the classifier was chosen, with ``model="best"``.
    keep : label or None
        The label of useful texts; None if it is not known.
    """

    source: str
    destination: str
    rows: int
    distinct: int
    conflicts: int
    labels: tuple[LabelCount, ...]
    n_train: int
    n_test: int
    evaluation: Evaluation
    refit: bool
    seconds: float
    model: Any = field(repr=False, compare=False)
    notes: tuple[str, ...] = ()
    choice: ModelChoice | None = None
    keep: Any = None

    @property
    def misdecoding_tells_labels(self) -> bool:
        """Whether a model could tell labels apart by their mis-decoded texts.

        Their fractions then differ by at least a percentage point between two classes, and by more
        than chance (chi-squared test, p < 0.01).
        """
        shares = [count.misdecoded for count in self.labels]
        if max(shares) - min(shares) < 0.01:
            return False
        wrong = [round(count.misdecoded * count.distinct) for count in self.labels]
        right = [count.distinct - n for count, n in zip(self.labels, wrong, strict=True)]
        return bool(chi2_contingency([wrong, right]).pvalue < 0.01)

    def __str__(self) -> str:
        head = (
            f"{counted(self.rows, 'labelled row')} of {printable(self.source)}: "
            f"{counted(self.distinct, 'distinct text')}, {self.conflicts:,} of them with several "
            "labels."
        )
        labels = label_lines(pd.DataFrame(map(vars, self.labels)).set_index("label"))
        parts = ["\n".join([head, labels, *map(printable, self.notes)])]
        if self.misdecoding_tells_labels:
            parts.append(
                "Warning: mis-decoded texts (such as “â€™” for ’) are more frequent in some "
                "classes than in others. The filter may learn that instead of the words: repair "
                "them first."
            )

        sentences = [self.evaluation.verdict, *map(str, self.evaluation.tests)]
        learnt_from = "all texts" if self.refit else "the training texts"
        saved = f"The model in {printable(self.destination)} has learnt from {learnt_from}."
        parts += [
            f"Learnt from {counted(self.n_train, 'distinct text')}; scored on the "
            f"{self.n_test:,} held out:\n{self.evaluation.score_lines()}",
            "\n".join(map(printable, sentences)),
            saved if self.choice is None else f"{self.choice}\n{saved}",
        ]
        return "\n\n".join(parts)

    def to_frame(self) -> pd.DataFrame:
        """Return the scores as a table, one row for each classifier."""
        return self.evaluation.to_frame()


def count_labels(
    y: np.ndarray, distinct: np.ndarray, distinct_y: np.ndarray
) -> tuple[LabelCount, ...]:
    """Count the rows and the distinct texts of each label."""
    return tuple(
        LabelCount(
            label=label,
            rows=int((y == label).sum()),
            distinct=int((distinct_y == label).sum()),
            misdecoded=misdecoded_share(distinct[distinct_y == label]),
        )
        for label in np.unique(y).tolist()
    )
