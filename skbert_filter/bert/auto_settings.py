"""How a model is trained, and what the value "auto" of a parameter stands for.

The rules were found by measuring, on validation folds of web snippets, from 300 to 7,600 of them,
and on a tenth of the training texts of 77 intents; those of pretraining on 26,000 and 261,000
texts.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from skbert_filter.bert.pretrained import PretrainedEncoder

# What a fit starts from: random weights; an encoder and a new head; or an encoder and the score
# that its own head gives.
Origin = Literal["random", "checkpoint", "score"]

_DROPOUT, _DROPOUT_OF_HARDER_FITS = 0.2, 0.1
_LEAST_EPOCHS, _STEPS_PER_CLASS = 4, 80
_EPOCHS_OF_FEW_TEXTS, _FEW_TEXTS = 8, 1000
_LEAST_PATIENCE, _PATIENCE = 2, 0.2
_LEARNING_RATE, _HIGHEST_LEARNING_RATE, _RATE_FROM_A_SCORE = 1e-3, 4e-3, 7e-4
_PRETRAINING_STEPS, _MOST_PRETRAINING_EPOCHS = 2000, 10
_PRETRAINING_RATE, _WIDTH_OF_THAT_RATE = 6e-3, 32


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """How to train; without ``patience`` the weights of the last epoch are kept."""

    epochs: int
    batch_size: int
    learning_rate: float
    max_length: int
    seed: int
    verbose: int
    pad_to_longest: bool = True
    patience: int | None = None
    gamma: float = 0.0
    label_smoothing: float = 0.0


def training_config(
    parameters: Mapping[str, Any], *, n_texts: int, n_classes: int, origin: Origin, seed: int
) -> TrainingConfig:
    """Return how a filter of some parameters is trained."""
    n_epochs = epochs(
        parameters["epochs"],
        n_texts=n_texts,
        n_classes=n_classes,
        batch_size=parameters["batch_size"],
        origin=origin,
    )

    return TrainingConfig(
        epochs=n_epochs,
        batch_size=parameters["batch_size"],
        learning_rate=learning_rate(
            parameters["learning_rate"], n_classes=n_classes, origin=origin
        ),
        max_length=parameters["max_length"],
        seed=seed,
        verbose=int(parameters["verbose"]),
        pad_to_longest=parameters["padding"] == "longest",
        patience=patience(n_epochs) if parameters["early_stopping"] else None,
        gamma=float(parameters["focal_gamma"]),
        label_smoothing=float(parameters["label_smoothing"]),
    )


def pretraining_config(parameters: Mapping[str, Any], *, n_texts: int, seed: int) -> TrainingConfig:
    """Return how a pretrainer of some parameters is trained.

    "auto" is about 2,000 steps, in one pass to ten, at a peak rate of 6e-3, and of less in
    proportion for a wider encoder.
    """
    n_epochs, rate, batch_size = (parameters[n] for n in ("epochs", "learning_rate", "batch_size"))
    if n_epochs == "auto":
        passes = round(_PRETRAINING_STEPS * batch_size / n_texts)
        n_epochs = min(max(passes, 1), _MOST_PRETRAINING_EPOCHS)
    if rate == "auto":
        rate = _PRETRAINING_RATE * min(1.0, _WIDTH_OF_THAT_RATE / parameters["hidden_size"])

    return TrainingConfig(
        epochs=int(n_epochs),
        batch_size=batch_size,
        learning_rate=float(rate),
        max_length=parameters["max_length"],
        seed=seed,
        verbose=int(parameters["verbose"]),
    )


def dropout(value: float | str, *, n_classes: int, from_checkpoint: bool) -> float:
    """Return the dropout of a fit: less where there is something to lose, or much to learn."""
    if value == "auto":
        return _DROPOUT_OF_HARDER_FITS if from_checkpoint or n_classes > 2 else _DROPOUT
    return float(value)


def origin_of(encoder: PretrainedEncoder | None, *, n_classes: int) -> Origin:
    """Return what a fit of so many classes starts from."""
    if encoder is None:
        return "random"
    return "score" if encoder.head and n_classes == 2 else "checkpoint"


def epochs(
    value: int | str, *, n_texts: int, n_classes: int, batch_size: int, origin: Origin
) -> int:
    """Return the passes over the texts, at least 4: as many as make 80 steps for each class.

    Half of that for two classes and an encoder that knows the language: the rest would only
    memorize a few hundred texts. To tell 77 classes, it needs all of them. A score that is there
    already only has to be corrected.
    """
    if value != "auto":
        return int(value)
    if origin == "score":
        return _EPOCHS_OF_FEW_TEXTS if n_texts < _FEW_TEXTS else _LEAST_EPOCHS

    halved = origin == "checkpoint" and n_classes == 2
    steps = n_classes * _STEPS_PER_CLASS // (2 if halved else 1)
    return max(_LEAST_EPOCHS, math.ceil(steps * batch_size / n_texts))


def patience(n_epochs: int) -> int:
    """Return the epochs without improvement that end a fit: a fifth of all, at least 2."""
    return max(_LEAST_PATIENCE, round(_PATIENCE * n_epochs))


def learning_rate(value: float | str, *, n_classes: int, origin: Origin) -> float:
    """Return the peak of the learning rate.

    At 4e-3 a fit of two classes is too short to be stable; one of 77 learns too little at 1e-3.
    """
    if value != "auto":
        return float(value)
    if origin == "score":
        return _RATE_FROM_A_SCORE
    return min(_LEARNING_RATE * math.sqrt(n_classes / 2), _HIGHEST_LEARNING_RATE)
