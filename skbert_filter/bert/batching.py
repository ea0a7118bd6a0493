"""Length-sorted batches: the only place that pads, for training and prediction alike."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from skbert_filter.bert.engine import backend_name
from skbert_filter.bert.tokenizer import TokenIds

# Widths that batches are padded to. Few of them, since an engine that compiles does so once for
# each; close to each other where most texts are.
WIDTHS = (8, 12, 16, 24, 32, 48, 64, 80, 100, 128, 192, 256, 384, 512)

# Training batches are sorted by length within this many batches at a time, so that the
# membership of a batch stays random while its texts are of a length.
POOL = 16

# The same for batches of equal numbers of tokens, which serve trainings of far more texts.
POOL_OF_EQUAL_TOKENS = 64


Inputs = dict[str, np.ndarray]


@dataclass(frozen=True)
class Batch:
    """Rows of one padded batch: ``inputs`` for the model, ``rows`` their numbers."""

    inputs: Inputs
    rows: np.ndarray


def width_for(length: int, max_length: int) -> int:
    """Smallest width that holds ``length`` tokens."""
    return min(next((w for w in WIDTHS if w >= length), length), max_length)


def pad(tokens: TokenIds, rows: np.ndarray, width: int) -> Batch:
    """Matrix of the ids of some texts, filled with 0 up to ``width``."""
    lengths = tokens.lengths[rows]
    position = np.arange(width)
    index = tokens.starts[rows, None] + position
    is_token = position < lengths[:, None]
    ids = np.where(is_token, tokens.flat.take(index, mode="clip"), np.int32(0))
    return Batch({"input_ids": ids, "length": lengths}, rows)


def training_batches(
    lengths: np.ndarray, batch_size: int, rng: np.random.RandomState, *, equal_tokens: bool = False
) -> list[np.ndarray]:
    """Row numbers of random batches of texts of similar length, every text once.

    A batch has ``batch_size`` texts; with ``equal_tokens`` it has so many on average, more where
    they are short. There are ``ceil(len(lengths) / batch_size)`` batches.
    """
    order = rng.permutation(len(lengths))
    pool = (POOL_OF_EQUAL_TOKENS if equal_tokens else POOL) * batch_size
    batches: list[np.ndarray] = []
    for start in range(0, len(order), pool):
        part = order[start : start + pool]
        part = part[np.argsort(lengths[part], kind="stable")]
        ends = np.arange(batch_size, len(part), batch_size)
        if equal_tokens:
            ends = _equal_shares(lengths[part], len(ends) + 1)
        batches += np.split(part, ends)
    return [batches[i] for i in rng.permutation(len(batches))]


def _equal_shares(lengths: np.ndarray, n_shares: int) -> np.ndarray:
    """Ends of all but the last of some runs of texts with about as many tokens, none empty."""
    tokens = np.cumsum(lengths, dtype=np.int64)
    number = np.arange(1, n_shares)
    ends = np.searchsorted(tokens, tokens[-1] * number / n_shares, side="right")
    ends = np.minimum(ends, len(lengths) - n_shares + number)
    return np.maximum.accumulate(np.maximum(ends - number, 0)) + number


def prediction_batches(
    tokens: TokenIds, tokens_per_batch: int, width_of: Callable[[int], int]
) -> Iterator[Batch]:
    """Every text once, shortest first, in batches of about as many tokens.

    ``width_of`` gives the width that texts of a length are padded to.
    """
    order = np.argsort(tokens.lengths, kind="stable")
    ordered = tokens.lengths[order]
    start = 0
    while start < len(order):
        width = width_of(int(ordered[start]))
        stop = min(
            start + max(1, tokens_per_batch // width),
            int(np.searchsorted(ordered, width, side="right")),
        )
        yield pad(tokens, order[start:stop], width)
        start = stop


def keras_data(load: Callable[[], Iterator[Any]], n_batches: int, example: Any) -> Any:
    """Wrap ``load() -> iterator of batches``, called for each epoch, for ``keras.Model.fit``.

    ``example`` is an empty batch: dimensions that are 0 in it may differ between batches. On
    TensorFlow they are left open: Keras would fix them after the first batches.
    """
    if backend_name() == "tensorflow":
        import tensorflow as tf

        signature = tf.nest.map_structure(
            lambda array: tf.TensorSpec([size or None for size in array.shape], array.dtype),
            example,
        )
        data = tf.data.Dataset.from_generator(load, output_signature=signature)
        return data.apply(tf.data.experimental.assert_cardinality(n_batches))
    import keras

    class EpochData(keras.utils.PyDataset):
        def __init__(self) -> None:
            super().__init__()
            self._batches = list(load())

        def __len__(self) -> int:
            return n_batches

        def __getitem__(self, i: int) -> Any:
            return self._batches[i]

        def on_epoch_begin(self) -> None:
            self._batches = list(load())

    return EpochData()
