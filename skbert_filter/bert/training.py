"""The fit of a classifier on Keras's training API, the same on every backend.

Importing this module imports Keras.
"""

import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

from skbert_filter.bert.architecture import Precision, Weights
from skbert_filter.bert.auto_settings import TrainingConfig
from skbert_filter.bert.batching import keras_data, pad, training_batches, width_for
from skbert_filter.bert.engine import gpu_is_available
from skbert_filter.bert.initialization import InitialModel
from skbert_filter.bert.losses import focal_loss
from skbert_filter.bert.model_pool import KerasModel, KerasModelKey, keras_model
from skbert_filter.bert.state import BertState
from skbert_filter.bert.tokenizer import TokenIds, encode
from skbert_filter.labelled_texts import LabelledTexts

WARMUP_RATIO = 0.1


class EpochTasks:
    """Epochs as tasks of a fit, and steps as tasks of an epoch, for the callbacks of scikit-learn.

    ``attributes_of`` makes the attributes of a fitted estimator of what has been learnt so far.
    """

    def __init__(
        self,
        context: Any,
        attributes_of: Callable[[Any], Mapping[str, Any]],
        metadata: Mapping[str, Any] | None = None,
        **of_fit: Any,
    ):
        self._context, self._attributes_of = context, attributes_of
        self._metadata, self._of_fit = metadata, of_fit
        self._task: Any = None

    def begin(self, n_steps: int) -> None:
        """Report that an epoch of so many steps begins."""
        self._task = self._context.subcontext(task_name="epoch", max_subtasks=n_steps)
        self._task.call_on_fit_task_begin(**self._of_fit)

    def step(self) -> None:
        """Report that a step is over, without what is learnt so far: that would take longer."""
        step, estimator = self._task.subcontext(task_name="step"), self._of_fit["estimator"]
        step.call_on_fit_task_begin(estimator=estimator)
        step.call_on_fit_task_end(estimator=estimator)

    def end(self, learnt: Callable[[], Any]) -> bool:
        """Report that it is over; return whether the fit is to stop."""
        return self._task.call_on_fit_task_end(
            **self._of_fit,
            metadata=self._metadata,
            reconstruction_attributes=lambda: self._attributes_of(learnt()),
        )


@dataclass(frozen=True)
class FittedBert:
    """A trained state and how it came about; ``best_epoch`` counts from 0."""

    state: BertState
    history: dict[str, list[float]]
    best_epoch: int


def fit_bert(
    initial: InitialModel,
    training: LabelledTexts,
    validation: LabelledTexts | None,
    config: TrainingConfig,
    epoch_tasks: EpochTasks,
    callbacks: Sequence[Any],
) -> FittedBert:
    """Train, and return the state of the best epoch if there are validation texts."""
    precision = _precision()
    key = KerasModelKey(initial.architecture, config.gamma, config.label_smoothing, precision)

    def state_of(model: Any) -> BertState:
        weights = dict(model.weights_by_name(initial.architecture.vocab_size))
        for name in ("classifier.weight", "classifier.bias"):
            weights[name] = weights[name] / np.float32(initial.temperature)
        return BertState(
            initial.architecture,
            _with_embeddings(weights, initial.embedding_rate),
            initial.tokenizer.to_str(),
            max_length=config.max_length,
            gamma=config.gamma,
            label_smoothing=config.label_smoothing,
            precision=precision,
        )

    with keras_model(key) as pooled:
        model = pooled.model
        pooled.seen_by_callbacks = bool(callbacks)
        pooled.load(_with_embeddings(initial.weights, 1 / initial.embedding_rate))
        _make_ready(pooled, config.seed)

        data = _EpochData(initial, training, config)
        model.schedule.set(config, data.n_batches * config.epochs)

        stopping = []
        if validation is not None and config.patience is not None:
            stopping = [
                keras.callbacks.EarlyStopping(
                    monitor="val_loss", patience=config.patience, restore_best_weights=True
                )
            ]

        fitted = model.fit(
            data.for_keras(),
            validation_data=validation and _EpochData(initial, validation, config).for_keras(),
            epochs=config.epochs,
            callbacks=[*stopping, _Epochs(data, epoch_tasks, state_of), *callbacks],
            # Keras would fail at its first line in a program without a console.
            verbose=config.verbose if sys.stdout else 0,
            shuffle=False,  # the data shuffles itself
        )

        state = state_of(model)
        if initial.embedding_rate == initial.temperature == 1:
            pooled.digest = state.digest

    history = {name: [float(v) for v in values] for name, values in fitted.history.items()}
    best = stopping[0].best_epoch if stopping else len(history["loss"]) - 1
    return FittedBert(state, history, best)


def _precision() -> Precision:
    """Return the number format of Keras's dtype policy on a GPU, if it is a mixed one.

    To be read before Keras computes in 32 bits: a policy that is not set yet is that of floatx.
    """
    if gpu_is_available():
        match keras.config.dtype_policy().name:
            case "mixed_float16" | "mixed_bfloat16" as precision:
                return precision
    return "float32"


def _with_embeddings(weights: Weights, factor: float) -> Weights:
    """Multiply the embeddings, which the normalization of their sum takes away again.

    The steps of Adam have the size of the learning rate, so that they change larger embeddings by
    less, as a lower rate would.
    """
    if factor == 1:
        return weights
    return {
        name: np.float32(factor) * weight
        if name.startswith("bert.embeddings.") and "LayerNorm" not in name
        else weight
        for name, weight in weights.items()
    }


def _make_ready(pooled: KerasModel, seed: int) -> None:
    """Compile the model unless it is, and set its optimizer and random numbers to their start."""
    model, key = pooled.model, pooled.key
    if not model.compiled:
        n_logits = key.architecture.n_logits
        if n_logits == 1:
            accuracy = keras.metrics.MeanMetricWrapper(_binary_agreement, name="accuracy")
        else:
            accuracy = keras.metrics.CategoricalAccuracy(name="accuracy")

        model.schedule = WarmUpAndDecay()
        model.compile(
            optimizer=ScheduledAdam(model.schedule),
            loss=focal_loss(n_logits, gamma=key.gamma, label_smoothing=key.label_smoothing),
            weighted_metrics=[accuracy],
            # On a CPU, XLA compiles each width of batch for seconds: more than it saves in a fit.
            jit_compile=False if keras.backend.backend() == "tensorflow" else "auto",
        )

    optimizer = model.optimizer
    if optimizer.built:
        for variable in optimizer.variables:
            variable.assign(ops.zeros(variable.shape, variable.dtype))
    else:
        optimizer.build(model.trainable_variables)
    model.seed_generator.state.assign([seed, 0])


def _binary_agreement(target: Any, logit: Any) -> Any:
    """Whether the larger share of each text is the class predicted, as CategoricalAccuracy."""
    return ops.mean(ops.cast(ops.equal(target > 0.5, logit > 0.0), "float32"), axis=-1)


class _EpochData:
    """Batches of a fit, drawn for each epoch from the seed and the number of the epoch."""

    def __init__(self, initial: InitialModel, texts: LabelledTexts, config: TrainingConfig):
        self.tokens: TokenIds = encode(initial.tokenizer, texts.texts, config.max_length)
        # One logit is that of the second class.
        self.target = texts.shares[:, 1:] if initial.architecture.n_logits == 1 else texts.shares
        self.weights = texts.weights.astype(np.float32)
        self.config = config
        self.epoch = 0
        self.n_batches = math.ceil(len(self.weights) / config.batch_size)

    def __call__(self) -> Iterator[tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]]:
        config = self.config
        rng = np.random.RandomState([config.seed, self.epoch])
        for rows in training_batches(self.tokens.lengths, config.batch_size, rng):
            width = config.max_length
            if config.pad_to_longest:
                width = width_for(int(self.tokens.lengths[rows].max()), width)
            yield pad(self.tokens, rows, width).inputs, self.target[rows], self.weights[rows]

    def for_keras(self) -> Any:
        """Return what ``keras.Model.fit`` takes."""
        inputs = {"input_ids": np.empty((0, 0), np.int32), "length": np.empty(0, np.int32)}
        empty = (inputs, self.target[:0], self.weights[:0])
        return keras_data(self, self.n_batches, empty)


class _Epochs(keras.callbacks.Callback):
    """Tell the data and the caller which epoch it is; log the learning rate."""

    def __init__(self, data: _EpochData, tasks: EpochTasks, state_of: Callable[[Any], BertState]):
        super().__init__()
        self._data, self._tasks, self._state_of = data, tasks, state_of

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._data.epoch = epoch
        self._tasks.begin(self._data.n_batches)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self._tasks.step()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if logs is not None:
            check_loss(logs["loss"], epoch)
            logs["learning_rate"] = float(self.model.optimizer.learning_rate)
        if self._tasks.end(lambda: self._state_of(self.model)):
            self.model.stop_training = True


def check_loss(loss: float, epoch: int) -> None:
    """Stop a training that has diverged."""
    if not math.isfinite(loss):
        raise ValueError(
            f"The loss of epoch {epoch + 1} is {loss}: the training has diverged. The usual cause "
            "is a learning_rate that is too high; others are very large weights of samples or "
            "classes. Lower them, and fit again."
        )


class WarmUpAndDecay(keras.optimizers.schedules.LearningRateSchedule):
    """Linear warm-up from 0, then a cosine decay to 0; or a rate that a callback has set.

    Its settings are variables, so that a compiled training step serves a next fit with others.
    """

    def __init__(self) -> None:
        self._settings = keras.Variable(np.zeros(5), trainable=False, dtype="float32")

    def set(self, config: TrainingConfig, steps: int) -> None:
        """Take the settings of a fit of so many steps."""
        warmup = math.ceil(WARMUP_RATIO * steps)
        self._settings.assign([config.learning_rate, warmup, max(steps - warmup, 1), 0.5, 0.5])

    def hold(self, rate: float) -> None:
        """Give this rate from now on."""
        self._settings.assign([float(rate), 0, 1, 1, 0])

    def get_config(self) -> dict[str, Any]:
        """Describe the schedule to a callback that saves the model: its settings are of a fit."""
        return {}

    def __call__(self, step: Any) -> Any:
        peak, warmup, rest, mean, swing = ops.unstack(ops.convert_to_tensor(self._settings), 5)
        step = ops.cast(step, "float32")

        done = ops.clip((step - warmup) / rest, 0.0, 1.0)
        share = mean + swing * ops.cos(math.pi * done)
        return peak * ops.minimum((step + 1.0) / ops.maximum(warmup, 1.0), share)


class ScheduledAdam(keras.optimizers.Adam):
    """Adam with a schedule that gives way to a callback which sets the learning rate."""

    @property
    def learning_rate(self) -> Any:
        return super().learning_rate

    @learning_rate.setter
    def learning_rate(self, rate: float) -> None:
        self._learning_rate.hold(rate)
