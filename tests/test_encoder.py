from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest

from skbert_filter.bert.architecture import Architecture, random_weights
from skbert_filter.bert.engine import import_keras

import_keras()
from skbert_filter.bert.encoder import BertClassifier  # noqa: E402  (quietly, after import_keras)

ARCHITECTURE = Architecture(
    vocab_size=40,
    hidden_size=16,
    intermediate_size=24,
    num_hidden_layers=2,
    num_attention_heads=4,
    max_position_embeddings=12,
    hidden_dropout_prob=0.0,
    attention_probs_dropout_prob=0.0,
    n_logits=3,
)


@pytest.fixture(scope="module")
def golden():
    """Logits of transformers' own BERT; see golden/make_bert.py."""
    with np.load(Path(__file__).parent / "golden" / "bert.npz") as file:
        return dict(file)


@pytest.fixture(scope="module")
def model(golden):
    model = BertClassifier(ARCHITECTURE)
    model.load(golden)
    return model


def logits(model, ids, length, training=False):
    return model({"input_ids": ids, "length": length}, training=training).numpy()


def test_logits_are_those_of_transformers(model, golden):
    got = logits(model, golden["input_ids"], golden["length"])
    np.testing.assert_allclose(got, golden["logits"], atol=1e-5)


def test_padding_does_not_change_logits(model, golden):
    wide = logits(model, golden["input_ids"][1:2], golden["length"][1:2])
    ids = golden["input_ids"][1:2, :7]
    np.testing.assert_allclose(logits(model, ids, golden["length"][1:2]), wide, atol=1e-5)
    garbage = np.where(golden["input_ids"][1:2] == 0, 5, golden["input_ids"][1:2])
    np.testing.assert_allclose(
        logits(model, garbage.astype(np.int32), golden["length"][1:2]), wide, atol=1e-5
    )


def test_weights_come_back_as_they_were_given(model, golden):
    weights = model.weights_by_name(n_words=40)
    assert list(weights) == list(ARCHITECTURE.weight_shapes())
    for name, weight in weights.items():
        np.testing.assert_array_equal(weight, golden[name])
        assert weight.flags.c_contiguous


def test_a_larger_vocabulary_leaves_room(golden):
    model = BertClassifier(replace(ARCHITECTURE, vocab_size=64))
    model.load(golden)
    got = logits(model, golden["input_ids"], golden["length"])
    np.testing.assert_allclose(got, golden["logits"], atol=1e-5)
    assert len(model.weights_by_name(40)["bert.embeddings.word_embeddings.weight"]) == 40


def test_dropout_acts_in_training_only_and_follows_its_seed(golden):
    model = BertClassifier(replace(ARCHITECTURE, hidden_dropout_prob=0.5))
    model.load(golden)
    ids, length = golden["input_ids"], golden["length"]

    def run(seed):
        model.seed_generator.state.assign([seed, 0])
        return logits(model, ids, length, training=True)

    np.testing.assert_array_equal(run(1), run(1))
    assert np.abs(run(1) - run(2)).max() > 0.01
    np.testing.assert_allclose(logits(model, ids, length), golden["logits"], atol=1e-5)


@pytest.mark.parametrize("rate", [0.1, 0.2, 0.5])
def test_dropout_keeps_the_mean_and_drops_the_rate(rate):
    model = BertClassifier(ARCHITECTURE)
    ones = np.ones((100, 1001), np.float32)
    dropped = np.asarray(model._drop(ones, keras.random.SeedGenerator(0), rate=rate))
    assert np.mean(dropped == 0) == pytest.approx(rate, abs=0.01)
    assert dropped.mean() == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("n_rows", [1, 2, 3, 8])
def test_equal_rows_of_a_training_batch_are_dropped_out_differently(golden, n_rows):
    model = BertClassifier(replace(ARCHITECTURE, hidden_dropout_prob=0.3))
    model.load(golden)
    ids, length = np.repeat(golden["input_ids"][:1], n_rows, axis=0), [golden["length"][0]] * n_rows
    rows = logits(model, ids, np.array(length, np.int32), training=True)
    assert len(np.unique(rows, axis=0)) == n_rows


def test_half_precision_is_close_and_gives_float32(golden):
    model = BertClassifier(ARCHITECTURE, "mixed_bfloat16")
    model.load(golden)
    got = logits(model, golden["input_ids"], golden["length"])
    assert got.dtype == np.float32
    assert all(v.dtype == "float32" for v in model.trainable_variables)
    assert np.abs(got - golden["logits"]).max() < 0.1 * np.abs(golden["logits"]).max()
    assert np.abs(got - golden["logits"]).max() > 1e-5


def test_random_weights_follow_the_seed_and_are_cut():
    weights = random_weights(ARCHITECTURE, np.random.RandomState(0))
    again = random_weights(ARCHITECTURE, np.random.RandomState(0))
    assert all(np.array_equal(weights[name], again[name]) for name in weights)
    words = weights["bert.embeddings.word_embeddings.weight"]
    assert np.abs(words).max() <= 0.04
    assert words.std() == pytest.approx(0.0176, rel=0.1)
    assert (weights["bert.embeddings.LayerNorm.weight"] == 1).all()
