import numpy as np
import pytest

from skbert_filter.bert.batching import WIDTHS, pad, prediction_batches, training_batches, width_for
from skbert_filter.bert.tokenizer import TokenIds


@pytest.fixture
def tokens():
    lengths = np.random.RandomState(0).randint(2, 101, 1000).astype(np.int32)
    starts = np.cumsum(lengths) - lengths
    return TokenIds(np.arange(lengths.sum(), dtype=np.int32), starts, lengths)


def check_rows(batches, tokens):
    """Every row once, its ids first and zeros after them."""
    assert sorted(np.concatenate([rows for rows, _ in batches])) == list(range(len(tokens)))
    for rows, inputs in batches:
        for row, ids, length in zip(rows, inputs["input_ids"], inputs["length"], strict=True):
            start = tokens.starts[row]
            assert length == tokens.lengths[row]
            np.testing.assert_array_equal(ids[:length], tokens.flat[start : start + length])
            assert not ids[length:].any()


def test_training_batches_hold_each_text_once(tokens):
    batches = training_batches(tokens.lengths, 64, np.random.RandomState(0))
    check_rows([(rows, pad(tokens, rows, 100)) for rows in batches], tokens)
    assert max(map(len, batches)) == 64
    lengths = [tokens.lengths[rows] for rows in batches]
    assert np.mean(list(map(np.ptp, lengths))) < 20  # texts of similar length, of 2 to 100 tokens


def test_training_batches_follow_the_seed(tokens):
    def order(seed):
        batches = training_batches(tokens.lengths, 64, np.random.RandomState(seed))
        return np.concatenate(batches).tolist()

    assert order(0) == order(0)
    assert order(0) != order(1)


@pytest.mark.parametrize(
    ("width_of", "widths"),
    [
        (lambda length: length, set(range(2, 101))),
        (lambda length: width_for(length, 100), {w for w in WIDTHS if w <= 100}),
        (lambda _: 100, {100}),
    ],
)
def test_prediction_batches_hold_each_text_once(tokens, width_of, widths):
    batches = list(prediction_batches(tokens, 4096, width_of))
    check_rows(batches, tokens)
    assert all(inputs["input_ids"].size <= 4096 for _, inputs in batches)
    assert {inputs["input_ids"].shape[1] for _, inputs in batches} == widths


def test_a_text_longer_than_a_batch_is_a_batch(tokens):
    batches = list(prediction_batches(tokens, 50, lambda length: length))
    check_rows(batches, tokens)
    assert {len(rows) for rows, inputs in batches if inputs["length"][0] > 25} == {1}


def test_widths_hold_every_length():
    assert width_for(1, 100) == WIDTHS[0]
    assert width_for(WIDTHS[0] + 1, 100) == WIDTHS[1]
    assert width_for(7, 5) == 5
    assert width_for(1000, 2000) == 1000
