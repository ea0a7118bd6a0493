"""What to train on and how, as plain data; imports no engine."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from skbert_filter.bert.architecture import Weights

Schedule = Literal["constant", "linear", "cosine"]


@dataclass(frozen=True, kw_only=True)
class TrainingPlan:
    """Names are Keras's and, for the schedule, those of transformers.

    Without ``patience`` the weights of the last epoch are kept, whatever the validation says.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    lr_scheduler_type: Schedule
    warmup_ratio: float
    patience: int | None
    max_length: int
    longest: bool
    seed: int
    verbose: int


@dataclass(frozen=True)
class LabelledTexts:
    """Texts with the share of each class ``(n_texts, n_classes)`` and the weight of each."""

    texts: Sequence[str]
    shares: np.ndarray
    weights: np.ndarray


@dataclass(frozen=True)
class EpochHooks:
    """Called around each epoch; ``end`` is given a reader of the weights and may stop the fit."""

    begin: Callable[[], None]
    end: Callable[[Callable[[], Weights]], bool]
