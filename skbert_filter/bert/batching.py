"""Batches of texts of similar length, for training and prediction; the only place that pads."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from skbert_filter.bert.engine import backend_name
from skbert_filter.bert.tokenizer import TokenIds

# The widths that batches are padded to: few, since an engine may compile once per width, and close
# together where most texts are.
WIDTHS = (8, 12, 16, 24, 32, 48, 64, 80, 100, 128, 192, 256, 384, 512)

# Training texts are sorted by length within this many batches at a time: batches stay random, but
# hold texts of similar length. Batches of equal tokens are for pretraining, on far more texts.
_POOL = 16
_POOL_OF_EQUAL_TOKENS = 64

Inputs = dict[str, np.ndarray]


def width_for(length: int, max_length: int) -> int:
    """Return the smallest of `WIDTHS` that holds ``length`` tokens, capped at ``max_length``."""
    return min(next((w for w in WIDTHS if w >= length), length), max_length)


def pad(tokens: TokenIds, rows: np.ndarray, width: int) -> Inputs:
    """Return the inputs of a model for some texts, padded with 0 to ``width``."""
    lengths = tokens.lengths[rows]
    columns = np.arange(width)
    is_token = columns < lengths[:, None]
    ids = tokens.flat.take(tokens.starts[rows, None] + columns, mode="clip")
    return {"input_ids": np.where(is_token, ids, np.int32(0)), "length": lengths}


def training_batches(
    lengths: np.ndarray, batch_size: int, rng: np.random.RandomState, *, equal_tokens: bool = False
) -> list[np.ndarray]:
    """Return the row indices of random batches of texts of similar length, each text once.

    There are ``ceil(len(lengths) / batch_size)`` batches of ``batch_size`` texts. With
    ``equal_tokens`` that is their average: batches of short texts have more.
    """
    order = rng.permutation(len(lengths))
    pool_size = (_POOL_OF_EQUAL_TOKENS if equal_tokens else _POOL) * batch_size
    batches: list[np.ndarray] = []
    for start in range(0, len(order), pool_size):
        rows = order[start : start + pool_size]
        rows = rows[np.argsort(lengths[rows], kind="stable")]
        ends = np.arange(batch_size, len(rows), batch_size)
        if equal_tokens:
            ends = _ends_of_equal_tokens(lengths[rows], len(ends) + 1)
        batches += np.split(rows, ends)
    return [batches[i] for i in rng.permutation(len(batches))]


def _ends_of_equal_tokens(lengths: np.ndarray, n_batches: int) -> np.ndarray:
    """Return where to split texts into batches of about equal tokens, none of them empty."""
    tokens = np.cumsum(lengths, dtype=np.int64)
    number = np.arange(1, n_batches)
    ends = np.searchsorted(tokens, tokens[-1] * number / n_batches, side="right")
    ends = np.minimum(ends, len(lengths) - n_batches + number)
    return np.maximum.accumulate(np.maximum(ends - number, 0)) + number


def prediction_batches(
    tokens: TokenIds, tokens_per_batch: int, width_of: Callable[[int], int]
) -> Iterator[tuple[np.ndarray, Inputs]]:
    """Yield the row indices and the inputs of batches of about ``tokens_per_batch`` tokens.

    Each text occurs once, shortest first. ``width_of`` maps the length of a text to the width it is
    padded to.
    """
    order = np.argsort(tokens.lengths, kind="stable")
    lengths = tokens.lengths[order]
    start = 0
    while start < len(order):
        width = width_of(int(lengths[start]))
        stop = min(
            start + max(1, tokens_per_batch // width),
            int(np.searchsorted(lengths, width, side="right")),
        )
        rows = order[start:stop]
        yield rows, pad(tokens, rows, width)
        start = stop


def keras_data(load: Callable[[], Iterator[Any]], n_batches: int, example: Any) -> Any:
    """Return data for ``keras.Model.fit``; ``load`` returns an iterator of batches for each epoch.

    ``example`` is an empty batch. Dimensions that are 0 in it may differ between batches:
    TensorFlow has to know, since Keras would fix them after the first batches.
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
