"""Pretraining on Keras's training API, the same on every backend.

Importing this module imports Keras.
"""

import math
import sys
from collections.abc import Iterator
from dataclasses import dataclass
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
from skbert_filter.bert.training import EpochTasks, WarmUpAndDecay, check_loss

# Of the loss, whose other part is the cross-entropy of the guessed tokens. They are those of
# a prototype that was measured on web snippets by page, and were not searched again.
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

        # As in the classifier, two halves that do not wait for each other.
        halves = (
            self._states(ids[:half], length[:half], w, inputs["first_positions"]),
            self._states(ids[half:], length[half:], w, inputs["second_positions"]),
        )
        at_cls, at_places = (ops.concatenate(states) for states in zip(*halves, strict=True))

        outputs = {"tokens": self._token_logits(at_places, w, inputs)}
        if self.n_targets or self.n_classes:
            pooled = ops.tanh(dense(at_cls, w, POOLER))
        if self.n_targets:
            outputs["targets"] = dense(pooled, w, TARGETS)
        if self.n_classes:
            outputs["labels"] = dense(pooled, w, CLASSIFIER)
        return outputs

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """Return the weighted sum of the losses of the outputs, each a mean over its rows."""
        losses = {
            "tokens": lambda y, y_pred: ops.sparse_categorical_crossentropy(
                y, y_pred, from_logits=True
            ),
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

    def _states(self, ids, length, w, places):
        """Return the last hidden states of [CLS] and of some tokens, without dropout."""
        n_texts, width = ops.shape(ids)[0], ops.shape(ids)[1]
        at_cls = ops.arange(n_texts, dtype="int32") * ops.cast(width, "int32")
        states = self.hidden_states(ids, length, w, None, ops.concatenate([at_cls, places]))
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
    """Cross-entropy of the texts that have a label, whose mean over the batch is that over them."""
    per_text = -ops.sum(shares * ops.log_softmax(logits), axis=1)
    n_texts = ops.cast(ops.shape(shares)[0], "float32")
    return per_text * (n_texts / ops.maximum(ops.sum(shares), 1.0))


@dataclass(frozen=True)
class Pretraining:
    """Trained weights of the encoder and its head, and all that was logged."""

    weights: Weights
    history: dict[str, list[float]]
    n_steps: int
    seconds: float


class _EpochData:
    """Batches of one epoch, drawn from the seed and the number of the epoch.

    What is hidden in a batch depends on its number, not on the batches before it: a training that
    resumes after some steps sees what it would have seen.
    """

    def __init__(self, task: PretrainingTask, config: TrainingConfig, epoch: int, steps: range):
        self.task, self.config, self.epoch, self.steps = task, config, epoch, steps

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
        """Return what the model is given, and what it has to give."""
        task = self.task
        batch = pad(task.tokens, rows, int(task.tokens.lengths[rows].max(initial=0)))
        hidden, chosen = task.masking.hide(batch, rng)
        target_ids = batch.inputs["input_ids"][chosen]

        half = len(rows) // 2
        inputs = {
            "input_ids": hidden,
            "length": batch.inputs["length"],
            "first_positions": np.flatnonzero(chosen[:half]).astype(np.int32),
            "second_positions": np.flatnonzero(chosen[half:]).astype(np.int32),
        }
        if task.sampled_softmax is not None:
            inputs["candidates"], inputs["log_weights"] = task.sampled_softmax.sample(rng)
            # The right token comes first among those that are scored.
            inputs["target_ids"], target_ids = target_ids, np.zeros_like(target_ids)

        right = {"tokens": target_ids, "targets": task.targets[rows], "labels": task.shares[rows]}
        return inputs, {name: y for name, y in right.items() if y.ndim == 1 or y.shape[1]}

    def for_keras(self) -> Any:
        """Return what ``keras.Model.fit`` takes."""
        nothing = self._batch(np.empty(0, np.intp), np.random.RandomState(0))
        return keras_data(self, len(self.steps), nothing)


class _Watch(keras.callbacks.Callback):
    """Keep snapshots, and stop in time, with the learning rate at its end.

    ``epoch`` and ``steps`` are those that Keras is at; ``n_steps`` is the most it may take.
    """

    def __init__(
        self,
        config: TrainingConfig,
        tasks: EpochTasks,
        n_steps: int,
        started: float,
        max_seconds: float | None,
        snapshots: Snapshots | None,
    ):
        super().__init__()
        self.history: dict[str, list[float]] = {}
        self.epoch, self.steps = 0, range(0)
        self._config, self._tasks = config, tasks
        self._n_steps, self._max_seconds = n_steps, max_seconds
        self._snapshots, self._started = snapshots, started
        self._resumed = None if snapshots is None else snapshots.last
        if self._resumed is not None:
            self.history = self._resumed.history
            self._started -= self._resumed.seconds
        # When the first step was over, and how many steps have followed it.
        self._timed_from, self._n_timed = 0.0, 0

    @property
    def seconds(self) -> float:
        """Time since the start, with that of a training that was interrupted."""
        return monotonic() - self._started

    def restore(self, model: BertForPretraining) -> tuple[int, int]:
        """Set the variables of the snapshot, if any; return the epoch and step to begin with."""
        if self._resumed is None:
            return 0, 0
        for name, variable in _variables(model).items():
            variable.assign(self._resumed.variables[name])
        return self._resumed.epoch, self._resumed.step

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        # The means of an epoch that was interrupted; Keras has just reset them.
        if self.steps.start and self._resumed is not None:
            for name, variable in _variables(self.model).items():
                if name.startswith("metric."):
                    variable.assign(self._resumed.variables[name])

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        step = self.steps.start + batch + 1
        self._tasks.step()
        if self._max_seconds is not None:
            self._look_at_the_clock(self._max_seconds)
        if self._snapshots and step % self._snapshots.every == 0 and step < self.steps.stop:
            self.save(self.epoch, step)

    def _look_at_the_clock(self, max_seconds: float) -> None:
        now = monotonic()
        left = self._started + max_seconds - now
        if left <= 0:
            self.model.stop_training = True
        if not self._timed_from:
            # The first step is not counted: it takes seconds to trace it.
            self._timed_from = now
            return

        self._n_timed += 1
        seconds_of_a_step = (now - self._timed_from) / self._n_timed
        done = int(self.model.optimizer.iterations)
        in_time = done + math.ceil(max(left, 0) / seconds_of_a_step)
        self.model.schedule.set(self._config, min(in_time, self._n_steps))

    def save(self, epoch: int, step: int) -> None:
        """Keep a snapshot, if there is a place for it."""
        if self._snapshots is not None:
            variables = {n: np.array(v.numpy()) for n, v in _variables(self.model).items()}
            self._snapshots.write(Snapshot(epoch, step, self.seconds, self.history, variables))


def _variables(model: BertForPretraining) -> dict[str, Any]:
    """Return all that a training changes."""
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
    tasks: EpochTasks,
    *,
    started: float,
    max_steps: int | None = None,
    max_seconds: float | None = None,
    snapshots: Snapshots | None = None,
) -> Pretraining:
    """Train until the epochs, steps or seconds (since ``started``, by `monotonic`) are over.

    It begins with the weights of the task, or resumes from the last snapshot.
    """
    per_epoch = math.ceil(len(task.tokens) / config.batch_size)
    n_steps = min(config.epochs * per_epoch, max_steps or sys.maxsize)
    n_epochs = math.ceil(n_steps / per_epoch)
    model = _compiled(task, config, n_steps)
    watch = _Watch(config, tasks, n_steps, started, max_seconds, snapshots)
    first_epoch, first_step = watch.restore(model)

    def trained() -> Weights:
        return rescale_embeddings(model.weights_by_name(task.architecture.vocab_size))

    for epoch in range(first_epoch, n_epochs):
        watch.epoch = epoch
        watch.steps = range(first_step, min(per_epoch, n_steps - epoch * per_epoch))
        first_step = 0
        tasks.begin(len(watch.steps))
        fitted = model.fit(
            _EpochData(task, config, epoch, watch.steps).for_keras(),
            initial_epoch=epoch,
            epochs=epoch + 1,
            callbacks=[watch],
            # Keras would fail at its first line in a program without a console.
            verbose=config.verbose if sys.stdout else 0,
            shuffle=False,  # the data shuffles itself
        )

        check_loss(fitted.history["loss"][-1], epoch)
        logged = {**fitted.history, "learning_rate": [model.optimizer.learning_rate]}
        for name, values in logged.items():
            watch.history.setdefault(name, []).append(float(values[-1]))
        stop = tasks.end(trained)
        if stop or model.stop_training or epoch + 1 == n_epochs:
            break
        watch.save(epoch + 1, 0)
    return Pretraining(trained(), watch.history, int(model.optimizer.iterations), watch.seconds)


def _compiled(task: PretrainingTask, config: TrainingConfig, n_steps: int) -> BertForPretraining:
    """Return a model that is ready for its first step."""
    model = BertForPretraining(task.architecture, task.targets.shape[1], task.shares.shape[1])
    model.load(task.weights)
    model.schedule = WarmUpAndDecay()
    model.schedule.set(config, n_steps)
    model.compile(
        optimizer=keras.optimizers.Adam(model.schedule),
        # On a CPU, XLA compiles each width of batch for seconds: more than it saves in a fit.
        jit_compile=False if keras.backend.backend() == "tensorflow" else "auto",
    )
    model.optimizer.build(model.trainable_variables)
    return model
