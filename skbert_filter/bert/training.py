"""The fit of a BERT classifier on Keras's training API, the same on every backend.

Importing this module imports Keras.
"""

import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import keras
import numpy as np
from keras import ops

from skbert_filter.bert.architecture import Weights
from skbert_filter.bert.batching import fit_data, training_batches
from skbert_filter.bert.losses import focal_loss
from skbert_filter.bert.model_pool import LiveModel
from skbert_filter.bert.tokenizer import TokenIds
from skbert_filter.bert.training_config import EpochHooks, Schedule, TrainingPlan


@dataclass(frozen=True)
class Examples:
    """Tokenized texts with the share of each class and the weight of each."""

    tokens: TokenIds
    shares: np.ndarray
    weights: np.ndarray


@dataclass(frozen=True)
class TrainingResult:
    """Weights of the best epoch (of the last without validation), and all that was logged."""

    weights: Weights
    history: dict[str, list[float]]
    best_epoch: int


class WarmUpAndDecay(keras.optimizers.schedules.LearningRateSchedule):
    """Linear warm-up from 0, then a constant rate or a linear or cosine decay to 0.

    Its numbers are variables, so that a compiled training step serves a next fit with others.
    """

    # The rate as a share of its peak is a + b * t + c * cos(pi * t), t being the share of the
    # steps after the warm-up that are done.
    _SHAPES: ClassVar[dict[Schedule, tuple[float, float, float]]] = {
        "constant": (1.0, 0.0, 0.0),
        "linear": (1.0, -1.0, 0.0),
        "cosine": (0.5, 0.0, 0.5),
    }

    def __init__(self) -> None:
        self._numbers = keras.Variable(np.zeros(6), trainable=False, dtype="float32")

    def set(self, plan: TrainingPlan, steps: int) -> None:
        """Take the numbers of a fit of so many steps."""
        warmup = math.ceil(plan.warmup_ratio * steps)
        numbers = [plan.learning_rate, warmup, max(steps - warmup, 1)]
        self._numbers.assign([*numbers, *self._SHAPES[plan.lr_scheduler_type]])

    def hold(self, rate: float) -> None:
        """Give this rate from now on."""
        self._numbers.assign([float(rate), 0, 1, *self._SHAPES["constant"]])

    def get_config(self) -> dict[str, Any]:
        """Describe the schedule to a callback that saves the model: its numbers are of a fit."""
        return {}

    def __call__(self, step: Any) -> Any:
        peak, warmup, rest, a, b, c = ops.unstack(ops.convert_to_tensor(self._numbers), 6)
        step = ops.cast(step, "float32")
        done = ops.clip((step - warmup) / rest, 0.0, 1.0)
        share = a + b * done + c * ops.cos(math.pi * done)
        return peak * ops.minimum((step + 1.0) / ops.maximum(warmup, 1.0), share)


class ScheduledAdam(keras.optimizers.Adam):
    """Adam with a schedule that gives way to a callback which sets the learning rate."""

    @property
    def learning_rate(self) -> Any:
        return super().learning_rate

    @learning_rate.setter
    def learning_rate(self, rate: float) -> None:
        self._learning_rate.hold(rate)


class _Epochs(keras.callbacks.Callback):
    """Tell the data and the caller which epoch it is; log the learning rate."""

    def __init__(self, live: LiveModel, n_words: int, data: Any, hooks: EpochHooks):
        super().__init__()
        self._live, self._n_words, self._data, self._hooks = live, n_words, data, hooks

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._data.epoch = epoch
        self._hooks.begin()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if logs is not None:
            check_loss(logs["loss"], epoch)
            logs["learning_rate"] = float(self.model.optimizer.learning_rate)
        model = self._live.model
        if self._hooks.end(lambda: model.weights_by_name(self._n_words)):
            model.stop_training = True


def check_loss(loss: float, epoch: int) -> None:
    """Stop a training that has come to nothing."""
    if not math.isfinite(loss):
        raise ValueError(
            f"The loss of epoch {epoch + 1} is {loss}: the training has diverged. The usual cause "
            "is a learning_rate that is too high; others are very large weights of samples or "
            "classes. Lower them, and fit again."
        )


class _EpochData:
    """Batches of a fit, drawn anew for each epoch from the seed and the number of the epoch."""

    def __init__(self, examples: Examples, n_logits: int, plan: TrainingPlan):
        self.examples, self.n_logits, self.plan = examples, n_logits, plan
        self.epoch = 0
        self.n_batches = math.ceil(len(examples.shares) / plan.batch_size)

    def __call__(self) -> Iterator[tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]]:
        examples, plan = self.examples, self.plan
        rng = np.random.RandomState([plan.seed, self.epoch])
        for batch in training_batches(
            examples.tokens,
            plan.batch_size,
            rng,
            max_length=plan.max_length,
            longest=plan.longest,
        ):
            target = examples.shares[batch.rows]
            if self.n_logits == 1:
                target = target[:, 1:]
            yield batch.inputs, target, examples.weights[batch.rows]

    def for_keras(self) -> Any:
        """Return what ``keras.Model.fit`` takes."""
        return fit_data(self, self.n_batches, self.n_logits)


def train(
    live: LiveModel,
    weights: Weights,
    examples: Examples,
    validation: Examples | None,
    plan: TrainingPlan,
    hooks: EpochHooks,
    callbacks: Sequence[Any],
) -> TrainingResult:
    """Train from the given weights; with validation texts, keep those of the best epoch."""
    model, n_logits = live.model, live.key.architecture.n_logits
    live.lent_out = bool(callbacks)
    n_words = len(weights["bert.embeddings.word_embeddings.weight"])
    live.load(weights)
    if not model.compiled:
        _compile(live)
    optimizer = model.optimizer
    if optimizer.built:
        for variable in optimizer.variables:
            variable.assign(ops.zeros(variable.shape, variable.dtype))
    else:
        optimizer.build(model.trainable_variables)
    model.seed_generator.state.assign([plan.seed, 0])

    data = _EpochData(examples, n_logits, plan)
    model.schedule.set(plan, data.n_batches * plan.epochs)
    all_callbacks: list[Any] = [_Epochs(live, n_words, data, hooks), *callbacks]
    validation_data = None
    stopping = None
    if validation is not None:
        validation_data = _EpochData(validation, n_logits, plan).for_keras()
    if validation is not None and plan.patience is not None:
        stopping = keras.callbacks.EarlyStopping(
            monitor="val_loss", patience=plan.patience, restore_best_weights=True
        )
        all_callbacks.insert(0, stopping)
    fitted = model.fit(
        data.for_keras(),
        validation_data=validation_data,
        epochs=plan.epochs,
        callbacks=all_callbacks,
        # Keras would fail at its first line in a program without a console.
        verbose=plan.verbose if sys.stdout else 0,
        shuffle=False,  # the data shuffles itself
    )
    history = {name: [float(v) for v in values] for name, values in fitted.history.items()}
    return TrainingResult(
        weights=model.weights_by_name(n_words),
        history=history,
        best_epoch=stopping.best_epoch if stopping else len(history["loss"]) - 1,
    )


def _binary_agreement(target: Any, logit: Any) -> Any:
    """Whether the larger share of each text is the class predicted, as CategoricalAccuracy."""
    return ops.mean(ops.cast(ops.equal(target > 0.5, logit > 0.0), "float32"), axis=-1)


def _compile(live: LiveModel) -> None:
    key = live.key
    model = live.model
    model.schedule = WarmUpAndDecay()
    if key.architecture.n_logits == 1:
        accuracy = keras.metrics.MeanMetricWrapper(_binary_agreement, name="accuracy")
    else:
        accuracy = keras.metrics.CategoricalAccuracy(name="accuracy")
    model.compile(
        optimizer=ScheduledAdam(model.schedule),
        loss=focal_loss(
            key.architecture.n_logits, gamma=key.gamma, label_smoothing=key.label_smoothing
        ),
        weighted_metrics=[accuracy],
        # On a CPU, XLA compiles each width of batch for seconds: more than it saves in a fit.
        jit_compile=False if keras.backend.backend() == "tensorflow" else "auto",
    )
