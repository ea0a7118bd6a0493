"""Training a classifier with ``keras.Model.fit``, the same on every backend.

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

# On a CPU, XLA takes seconds to compile each batch width: more than it saves in a fit.
JIT_COMPILE = False if keras.backend.backend() == "tensorflow" else "auto"


class EpochCallback(keras.callbacks.Callback):
    """Reports epochs and steps to scikit-learn's callbacks, as nested tasks of a fit.

    ``attributes_of`` turns what has been learnt so far into the attributes of a fitted estimator.
    The callback also sets the epoch of the data, and logs the learning rate.
    """

    def __init__(
        self,
        context: Any,
        attributes_of: Callable[[Any], Mapping[str, Any]],
        **fit_arguments: Any,
    ):
        super().__init__()
        self._context, self._attributes_of = context, attributes_of
        self._fit_arguments = fit_arguments

    def attach(self, data: Any, learnt: Callable[[], Any]) -> "EpochCallback":
        """Set the data, and a function that returns what has been learnt so far."""
        self._data, self._learnt = data, learnt
        return self

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._data.epoch = epoch
        task = self._context.subcontext(task_name="epoch", max_subtasks=self._data.n_batches)
        self._task = task.call_on_fit_task_begin(**self._fit_arguments)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        # Without what has been learnt: copying it takes longer than a step.
        step, estimator = self._task.subcontext(task_name="step"), self._fit_arguments["estimator"]
        step.call_on_fit_task_begin(estimator=estimator).call_on_fit_task_end(estimator=estimator)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if not math.isfinite(logs["loss"]):
            raise ValueError(
                f"The loss of epoch {epoch + 1} is {logs['loss']}: the training has diverged. The "
                "usual cause is a learning_rate that is too high; others are very large weights of "
                "samples or classes. Lower them, and fit again."
            )
        logs["learning_rate"] = float(self.model.optimizer.learning_rate)
        if self._task.call_on_fit_task_end(
            **self._fit_arguments,
            reconstruction_attributes=lambda: self._attributes_of(self._learnt()),
        ):
            self.model.stop_training = True


@dataclass(frozen=True)
class FittedBert:
    """A trained state and its history; ``best_epoch`` is counted from 0."""

    state: BertState
    history: dict[str, list[float]]
    best_epoch: int


def fit_bert(
    initial: InitialModel,
    training: LabelledTexts,
    validation: LabelledTexts | None,
    config: TrainingConfig,
    epoch_callback: EpochCallback,
    callbacks: Sequence[Any],
) -> FittedBert:
    """Train, and return the state of the last epoch, or of the best one if it may stop early."""
    precision = _precision()
    key = KerasModelKey(initial.architecture, config.gamma, config.label_smoothing, precision)

    with keras_model(key) as pooled:
        model = pooled.model
        pooled.seen_by_callbacks = bool(callbacks)
        pooled.load(_scale_embeddings(initial.weights, 1 / initial.embedding_rate))
        _prepare(pooled, config.seed)

        def current_state() -> BertState:
            weights = dict(model.weights_by_name(initial.architecture.vocab_size))
            for name in ("classifier.weight", "classifier.bias"):
                weights[name] = weights[name] / np.float32(initial.temperature)
            return BertState(
                initial.architecture,
                _scale_embeddings(weights, initial.embedding_rate),
                initial.tokenizer.to_str(),
                max_length=config.max_length,
                gamma=config.gamma,
                label_smoothing=config.label_smoothing,
                precision=precision,
            )

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
            callbacks=[*stopping, epoch_callback.attach(data, current_state), *callbacks],
            # In a program without a console, Keras would fail at its first line of output.
            verbose=config.verbose if sys.stdout else 0,
            shuffle=False,  # the data shuffles itself
        )

        state = current_state()
        if initial.embedding_rate == initial.temperature == 1:
            pooled.digest = state.digest

    history = {name: [float(v) for v in values] for name, values in fitted.history.items()}
    best_epoch = stopping[0].best_epoch if stopping else len(history["loss"]) - 1
    return FittedBert(state, history, best_epoch)


def _precision() -> Precision:
    """Return Keras's dtype policy if it is a mixed one and there is a GPU.

    Must be called before `computing` sets floatx, since an unset policy follows floatx.
    """
    if gpu_is_available():
        match keras.config.dtype_policy().name:
            case "mixed_float16" | "mixed_bfloat16" as precision:
                return precision
    return "float32"


def _scale_embeddings(weights: Weights, factor: float) -> Weights:
    """Multiply the embeddings, which the layer normalization after them undoes.

    Adam's steps are as large as the learning rate, so larger embeddings change relatively less, as
    with a lower rate.
    """
    if factor == 1:
        return weights
    return {
        name: np.float32(factor) * weight
        if name.startswith("bert.embeddings.") and "LayerNorm" not in name
        else weight
        for name, weight in weights.items()
    }


def _prepare(pooled: KerasModel, seed: int) -> None:
    """Compile a model if necessary, and reset its optimizer and random number generator."""
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
            jit_compile=JIT_COMPILE,
        )

    optimizer = model.optimizer
    if optimizer.built:
        for variable in optimizer.variables:
            variable.assign(ops.zeros(variable.shape, variable.dtype))
    else:
        optimizer.build(model.trainable_variables)
    model.seed_generator.state.assign([seed, 0])


def _binary_agreement(target: Any, logit: Any) -> Any:
    """Whether the class with the larger share is predicted, like CategoricalAccuracy."""
    return ops.mean(ops.cast(ops.equal(target > 0.5, logit > 0.0), "float32"), axis=-1)


class _EpochData:
    """Batches of a fit, drawn from the seed and the number of the epoch."""

    def __init__(self, initial: InitialModel, texts: LabelledTexts, config: TrainingConfig):
        self.tokens: TokenIds = encode(initial.tokenizer, texts.texts, config.max_length)
        # A single logit stands for the second class.
        self.targets = texts.shares[:, 1:] if initial.architecture.n_logits == 1 else texts.shares
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
            yield pad(self.tokens, rows, width), self.targets[rows], self.weights[rows]

    def for_keras(self) -> Any:
        """Return the batches in the form that ``keras.Model.fit`` accepts."""
        inputs = {"input_ids": np.empty((0, 0), np.int32), "length": np.empty(0, np.int32)}
        empty = (inputs, self.targets[:0], self.weights[:0])
        return keras_data(self, self.n_batches, empty)


class WarmUpAndDecay(keras.optimizers.schedules.LearningRateSchedule):
    """Linear warm-up from 0, then cosine decay to 0; or a constant rate that a callback has set.

    Its settings are variables, so that a compiled training step can be used by the next fit.
    """

    def __init__(self) -> None:
        self._settings = keras.Variable(np.zeros(5), trainable=False, dtype="float32")

    def set(self, config: TrainingConfig, steps: int) -> None:
        """Configure the schedule for a fit of this many steps."""
        warmup = math.ceil(WARMUP_RATIO * steps)
        self._settings.assign([config.learning_rate, warmup, max(steps - warmup, 1), 0.5, 0.5])

    def hold(self, rate: float) -> None:
        """Use a constant rate from now on."""
        self._settings.assign([float(rate), 0, 1, 1, 0])

    def get_config(self) -> dict[str, Any]:
        """Return no settings to a callback that saves the model: they belong to one fit."""
        return {}

    def __call__(self, step: Any) -> Any:
        settings = ops.unstack(ops.convert_to_tensor(self._settings), 5)
        peak, warmup, decay, mean, amplitude = settings
        step = ops.cast(step, "float32")

        progress = ops.clip((step - warmup) / decay, 0.0, 1.0)
        cosine = mean + amplitude * ops.cos(math.pi * progress)
        return peak * ops.minimum((step + 1.0) / ops.maximum(warmup, 1.0), cosine)


class ScheduledAdam(keras.optimizers.Adam):
    """Adam whose schedule yields to a callback that sets the learning rate."""

    @property
    def learning_rate(self) -> Any:
        return super().learning_rate

    @learning_rate.setter
    def learning_rate(self, rate: float) -> None:
        self._learning_rate.hold(rate)
