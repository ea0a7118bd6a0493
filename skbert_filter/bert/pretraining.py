"""Pretraining an encoder with ``keras.Model.fit``, the same on every backend.

Importing this module imports Keras.
"""

import math
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from time import monotonic
from typing import Any

import keras
import numpy as np
from keras import ops

from skbert_filter.bert.architecture import Architecture, Weights
from skbert_filter.bert.auto_settings import TrainingConfig
from skbert_filter.bert.batching import keras_data, pad, training_batches
from skbert_filter.bert.checkpointing import Snapshot, Snapshots
from skbert_filter.bert.encoder import NEVER, BertEncoder, dense
from skbert_filter.bert.engine import computing
from skbert_filter.bert.pretraining_task import (
    CLASSIFIER,
    OUTPUT_BIAS,
    POOLER,
    TARGETS,
    TRANSFORM,
    PretrainingTask,
    head_shapes,
    rescale_embeddings,
)
from skbert_filter.bert.training import JIT_COMPILE, EpochCallback, WarmUpAndDecay

# Weights of the three losses, found with a prototype on web snippets, split by page; they were not
# searched again.
_LOSS_WEIGHTS = {"tokens": 1.0, "targets": 5.0, "labels": 1.0}


class BertForPretraining(BertEncoder):
    """BERT that predicts masked tokens, and targets and labels from its [CLS].

    It is called with ``input_ids`` and ``length``, as the classifier is, and with the positions of
    the masked tokens: ``first_positions`` in the first half of the texts and ``second_positions``
    in the second, each counted from the first token of its half. It returns ``tokens``, logits
    ``(n_masked, vocab_size)``, and, if there are any, ``targets`` ``(batch, n_targets)`` and
    ``labels``, logits ``(batch, n_classes)``.

    With a sampled softmax (``target_ids``, ``candidates`` and ``log_weights``), ``tokens`` has the
    logits of the correct token, which comes first, and of the candidates other than it:
    ``(n_masked, 1 + n_candidates)``.
    """

    def __init__(self, architecture: Architecture, n_targets: int = 0, n_classes: int = 0):
        super().__init__(architecture, head_shapes(architecture, n_targets, n_classes))
        self.n_targets, self.n_classes = n_targets, n_classes
        learnt = {"tokens": True, "targets": n_targets, "labels": n_classes}
        self.part_losses = [keras.metrics.Mean(f"{name}_loss") for name, n in learnt.items() if n]

    def call(self, inputs, training=False):
        w = self.unpacked()
        ids, length = inputs["input_ids"], inputs["length"]
        half = ops.shape(ids)[0] // 2

        # Two independent halves, as in the classifier.
        halves = (
            self._states(ids[:half], length[:half], w, inputs["first_positions"]),
            self._states(ids[half:], length[half:], w, inputs["second_positions"]),
        )
        cls_states, masked_states = map(ops.concatenate, zip(*halves, strict=True))

        outputs = {"tokens": self._token_logits(masked_states, w, inputs)}
        if self.n_targets or self.n_classes:
            pooled = ops.tanh(dense(cls_states, w, POOLER))
        if self.n_targets:
            outputs["targets"] = dense(pooled, w, TARGETS)
        if self.n_classes:
            outputs["labels"] = dense(pooled, w, CLASSIFIER)
        return outputs

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """Return the weighted sum of the mean losses of the outputs."""
        losses = {
            "tokens": partial(ops.sparse_categorical_crossentropy, from_logits=True),
            "targets": keras.losses.mean_squared_error,
            "labels": _labelled_cross_entropy,
        }

        total = 0.0
        for metric in self.part_losses:
            name = metric.name.removesuffix("_loss")
            loss = ops.mean(losses[name](y[name], y_pred[name]))
            metric.update_state(loss)
            total = total + _LOSS_WEIGHTS[name] * loss
        return total

    def _states(self, ids, length, w, positions):
        """Return the last hidden states of [CLS] and of the masked tokens, without dropout."""
        n_texts, width = ops.shape(ids)[0], ops.shape(ids)[1]
        cls_positions = ops.arange(n_texts, dtype="int32") * ops.cast(width, "int32")
        positions = ops.concatenate([cls_positions, positions])
        states = self.hidden_states(ids, length, w, None, positions)
        return states[:n_texts], states[n_texts:]

    def _token_logits(self, x, w, inputs):
        x = ops.gelu(dense(x, w, f"{TRANSFORM}.dense"), approximate=False)
        x = self._norm(x, w, f"{TRANSFORM}.LayerNorm")
        bias = w[OUTPUT_BIAS]
        if "candidates" not in inputs:
            return ops.cast(ops.matmul(x, ops.transpose(self.word)) + bias, "float32")

        target_ids, candidates = inputs["target_ids"], inputs["candidates"]
        target = ops.sum(x * ops.take(self.word, target_ids, axis=0), axis=1)
        target = target + ops.take(bias, target_ids)
        logits = ops.matmul(x, ops.transpose(ops.take(self.word, candidates, axis=0)))
        logits = logits + ops.take(bias, candidates) + inputs["log_weights"]
        is_target = ops.expand_dims(target_ids, 1) == ops.expand_dims(candidates, 0)
        logits = ops.where(is_target, NEVER, logits)
        return ops.cast(ops.concatenate([ops.expand_dims(target, 1), logits], axis=1), "float32")


def _labelled_cross_entropy(shares, logits):
    """Return the cross-entropy of each text, scaled so that its mean is over labelled texts."""
    per_text = -ops.sum(shares * ops.log_softmax(logits), axis=1)
    n_texts = ops.cast(ops.shape(shares)[0], "float32")
    return per_text * (n_texts / ops.maximum(ops.sum(shares), 1.0))


@dataclass(frozen=True)
class PretrainingResult:
    """Trained weights of the encoder and its heads, and the training history."""

    weights: Weights
    history: dict[str, list[float]]
    n_steps: int
    seconds: float


class _EpochData:
    """Batches for some ``steps`` of an ``epoch``, drawn from the seed, the epoch and the step.

    The masked tokens of a batch do not depend on the batches before it, so a training that resumes
    within an epoch sees the same batches.
    """

    def __init__(self, task: PretrainingTask, config: TrainingConfig):
        self.task, self.config = task, config
        self.epoch, self.steps = 0, range(0)

    @property
    def n_batches(self) -> int:
        return len(self.steps)

    def __call__(self) -> Iterator[tuple[dict[str, np.ndarray], dict[str, np.ndarray]]]:
        seeds = [self.config.seed, self.epoch]
        rng = np.random.RandomState(seeds)
        lengths = self.task.tokens.lengths
        batches = training_batches(lengths, self.config.batch_size, rng, equal_tokens=True)
        for step in self.steps:
            yield self._batch(batches[step], np.random.RandomState([*seeds, step]))

    def _batch(
        self, rows: np.ndarray, rng: np.random.RandomState
    ) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """Return the inputs and the expected outputs of the model."""
        task = self.task
        inputs = pad(task.tokens, rows, int(task.tokens.lengths[rows].max(initial=0)))
        hidden, is_masked = task.masking.hide(inputs, rng)
        target_ids = inputs["input_ids"][is_masked]

        half = len(rows) // 2
        inputs = {
            "input_ids": hidden,
            "length": inputs["length"],
            "first_positions": np.flatnonzero(is_masked[:half]).astype(np.int32),
            "second_positions": np.flatnonzero(is_masked[half:]).astype(np.int32),
        }
        if task.sampled_softmax is not None:
            inputs["candidates"], inputs["log_weights"] = task.sampled_softmax.sample(rng)
            # The correct token is the first class of a sampled softmax.
            inputs["target_ids"], target_ids = target_ids, np.zeros_like(target_ids)

        outputs = {"tokens": target_ids, "targets": task.targets[rows], "labels": task.shares[rows]}
        return inputs, {name: y for name, y in outputs.items() if y.ndim == 1 or y.shape[1]}

    def for_keras(self) -> Any:
        """Return the batches in the form that ``keras.Model.fit`` accepts."""
        empty = self._batch(np.empty(0, np.intp), np.random.RandomState(0))
        return keras_data(self, self.n_batches, empty)


class _Progress(keras.callbacks.Callback):
    """Saves snapshots, and stops in time with a fully decayed learning rate.

    ``n_steps`` is the maximum number of steps of the training.
    """

    def __init__(
        self,
        data: _EpochData,
        n_steps: int,
        started: float,
        max_seconds: float | None,
        snapshots: Snapshots | None,
    ):
        super().__init__()
        self.history: dict[str, list[float]] = {}
        self._data, self._n_steps, self._max_seconds = data, n_steps, max_seconds
        self._snapshots, self._started = snapshots, started
        self._resumed = None if snapshots is None else snapshots.last
        if self._resumed is not None:
            self.history = self._resumed.history
            self._started -= self._resumed.seconds
        # When the first step ended, and the number of steps since.
        self._timed_from, self._n_timed = 0.0, 0

    @property
    def seconds(self) -> float:
        """Training time, including that before an interruption."""
        return monotonic() - self._started

    def restore(self, model: BertForPretraining) -> tuple[int, int]:
        """Restore the variables of the snapshot, if any; return the epoch and step to begin at."""
        if self._resumed is None:
            return 0, 0
        for name, variable in _variables(model).items():
            variable.assign(self._resumed.variables[name])
        return self._resumed.epoch, self._resumed.step

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        # Keras has just reset the metrics; those of an interrupted epoch continue.
        if self._data.steps.start and self._resumed is not None:
            for name, variable in _variables(self.model).items():
                if name.startswith("metric."):
                    variable.assign(self._resumed.variables[name])

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        steps = self._data.steps
        step = steps.start + batch + 1
        if self._max_seconds is not None:
            self._check_time(self._max_seconds)
        if self._snapshots and step % self._snapshots.every == 0 and step < steps.stop:
            self.save(self._data.epoch, step)

    def _check_time(self, max_seconds: float) -> None:
        now = monotonic()
        left = self._started + max_seconds - now
        if left <= 0:
            self.model.stop_training = True
        if not self._timed_from:
            # The first step is not timed: tracing it takes seconds.
            self._timed_from = now
            return

        self._n_timed += 1
        seconds_per_step = (now - self._timed_from) / self._n_timed
        done = int(self.model.optimizer.iterations)
        in_time = done + math.ceil(max(left, 0) / seconds_per_step)
        self.model.schedule.set(self._data.config, min(in_time, self._n_steps))

    def save(self, epoch: int, step: int) -> None:
        """Save a snapshot, if there is a folder for it."""
        if self._snapshots is not None:
            variables = {n: np.array(v.numpy()) for n, v in _variables(self.model).items()}
            self._snapshots.write(Snapshot(epoch, step, self.seconds, self.history, variables))


def _variables(model: BertForPretraining) -> dict[str, Any]:
    """Return all variables that training changes."""
    return {
        "word": model.word,
        "rest": model.rest,
        **{f"optimizer.{i}": v for i, v in enumerate(model.optimizer.variables)},
        **{f"metric.{i}": v for i, v in enumerate(model.metrics_variables)},
    }


@computing()
def pretrain(
    task: PretrainingTask,
    config: TrainingConfig,
    epoch_callback: EpochCallback,
    *,
    started: float,
    max_steps: int | None = None,
    max_seconds: float | None = None,
    snapshots: Snapshots | None = None,
) -> PretrainingResult:
    """Train until the epochs, steps or seconds (since ``started``, by `monotonic`) are over.

    Training begins with the weights of the task, or resumes from the last snapshot.
    """
    per_epoch = math.ceil(len(task.tokens) / config.batch_size)
    n_steps = min(config.epochs * per_epoch, max_steps or sys.maxsize)
    n_epochs = math.ceil(n_steps / per_epoch)
    model = _compiled(task, config, n_steps)
    data = _EpochData(task, config)
    progress = _Progress(data, n_steps, started, max_seconds, snapshots)
    first_epoch, first_step = progress.restore(model)

    def current_weights() -> Weights:
        return rescale_embeddings(model.weights_by_name(task.architecture.vocab_size))

    callbacks = [epoch_callback.attach(data, current_weights), progress]
    for epoch in range(first_epoch, n_epochs):
        data.epoch = epoch
        data.steps = range(first_step, min(per_epoch, n_steps - epoch * per_epoch))
        first_step = 0
        fitted = model.fit(
            data.for_keras(),
            initial_epoch=epoch,
            epochs=epoch + 1,
            callbacks=callbacks,
            # In a program without a console, Keras would fail at its first line of output.
            verbose=config.verbose if sys.stdout else 0,
            shuffle=False,  # the data shuffles itself
        )

        for name, values in fitted.history.items():
            progress.history.setdefault(name, []).append(float(values[-1]))
        if model.stop_training or epoch + 1 == n_epochs:
            break
        progress.save(epoch + 1, 0)
    steps_done = int(model.optimizer.iterations)
    return PretrainingResult(current_weights(), progress.history, steps_done, progress.seconds)


def _compiled(task: PretrainingTask, config: TrainingConfig, n_steps: int) -> BertForPretraining:
    """Return a compiled model with the weights of the task."""
    model = BertForPretraining(task.architecture, task.targets.shape[1], task.shares.shape[1])
    model.load(task.weights)
    model.schedule = WarmUpAndDecay()
    model.schedule.set(config, n_steps)
    model.compile(optimizer=keras.optimizers.Adam(model.schedule), jit_compile=JIT_COMPILE)
    model.optimizer.build(model.trainable_variables)
    return model
