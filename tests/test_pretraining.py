"""Masking, the batches of pretraining, the masked language model and its snapshots."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skbert_filter.bert.architecture import Architecture
from skbert_filter.bert.batching import pad, training_batches
from skbert_filter.bert.checkpointing import Snapshot, Snapshots
from skbert_filter.bert.engine import import_keras
from skbert_filter.bert.initialization import initialize_randomly
from skbert_filter.bert.pretraining_task import (
    N_FREQUENT,
    N_SAMPLED,
    Masking,
    PretrainingTask,
    SampledSoftmax,
    rescale_embeddings,
)
from skbert_filter.bert.tokenizer import build_wordpiece, encode

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "pump", "##s", "##ed", "view", "all", "we"]
TOKENIZER = build_wordpiece({word: i for i, word in enumerate(WORDS)}, lowercase=False)
PUMP, S, ED, VIEW = (WORDS.index(word) for word in ("pump", "##s", "##ed", "view"))
MASK = WORDS.index("[MASK]")


def masked(texts, seed=0, probability=0.15):
    """Return the ids of texts, those that the model sees, and the mask of tokens to predict."""
    masking = Masking.of(TOKENIZER, probability)
    tokens = encode(TOKENIZER, texts, 100)
    inputs = pad(tokens, np.arange(len(texts)), int(tokens.lengths.max()))
    hidden, chosen = masking.hide(inputs, np.random.RandomState(seed))
    return inputs["input_ids"], hidden, chosen


# --- masking


def test_the_requested_share_is_chosen_and_most_of_it_is_masked():
    ids, hidden, chosen = masked(["pump view all we pump view all we"] * 4000)
    assert chosen.sum() / (8 * 4000) == pytest.approx(0.15 + 0.85**8 / 8, abs=0.005)
    assert (hidden == ids)[~chosen].all()
    assert (hidden[chosen] == MASK).mean() == pytest.approx(0.8, abs=0.01)
    # A tenth is kept, and some random tokens equal the originals.
    assert (hidden == ids)[chosen].mean() == pytest.approx(0.1 + 0.1 / 6, abs=0.01)
    drawn = hidden[chosen & (hidden != MASK)]
    assert set(drawn.tolist()) == set(range(PUMP, len(WORDS)))


def test_special_tokens_are_neither_chosen_nor_drawn():
    # "[SEP]" in a text is the special token, and "x" is unknown
    ids, hidden, chosen = masked(["pump [SEP] x view [MASK] [CLS]"] * 500, probability=0.9)
    assert set(ids[chosen].tolist()) == {PUMP, VIEW}
    assert not set(range(MASK)) & set(hidden[chosen].tolist())


@given(
    st.lists(st.sampled_from(["pumps", "pumped view", "all", "we pumpsed all", "x all x"])),
    st.integers(0, 100),
)
def test_a_token_of_each_text_is_predicted(texts, seed):
    texts = [*texts, "view"]
    _, _, chosen = masked(texts, seed, probability=0.01)
    assert chosen.any(axis=1).all()


def test_texts_without_a_word_are_dropped():
    masking = Masking.of(TOKENIZER, 0.15)
    tokens = encode(TOKENIZER, ["", "pump", "x x", "[SEP]", "all", " "], 100)
    assert masking.rows_with_words(tokens).tolist() == [1, 4]


def test_a_tokenizer_without_a_mask_is_refused():
    from tokenizers import Tokenizer, models

    bare = Tokenizer(models.WordPiece({"[UNK]": 0, "a": 1}, unk_token="[UNK]"))
    with pytest.raises(ValueError, match=r"no \[MASK\] token.*tokenizer='corpus'"):
        Masking.of(bare, 0.15)


# --- batches of equal numbers of tokens


@given(
    st.lists(st.integers(1, 100), min_size=1, max_size=300),
    st.integers(1, 20),
)
def test_batches_of_equal_tokens_hold_each_text_once(lengths, batch_size):
    lengths = np.array(lengths, np.int32)
    batches = training_batches(lengths, batch_size, np.random.RandomState(0), equal_tokens=True)
    assert len(batches) == -(-len(lengths) // batch_size)
    assert all(len(rows) for rows in batches)
    assert sorted(np.concatenate(batches).tolist()) == list(range(len(lengths)))


def test_batches_of_equal_tokens_have_about_equally_many():
    rng = np.random.RandomState(0)
    lengths = np.concatenate([rng.randint(3, 9, 4000), rng.randint(20, 101, 1000)])
    tokens = [lengths[rows].sum() for rows in training_batches(lengths, 50, rng, equal_tokens=True)]
    assert len(tokens) == 100
    assert min(tokens) / np.mean(tokens) > 0.8
    assert max(tokens) / np.mean(tokens) < 1.2
    of_50_texts = [lengths[rows].sum() for rows in training_batches(lengths, 50, rng)]
    assert max(of_50_texts) > 10 * min(of_50_texts)


# --- the sampled softmax


@pytest.fixture
def zipf():
    """Frequencies of 3,000 tokens in random order, the first of them special."""
    frequency = 1 / (1 + np.random.RandomState(0).permutation(3000))
    return frequency, np.arange(3000) >= 5


def test_frequent_tokens_and_a_sample_of_the_rare_ones_are_candidates(zipf):
    frequency, is_ordinary = zipf
    softmax = SampledSoftmax.of(frequency, is_ordinary)
    candidates, log_weights = softmax.sample(np.random.RandomState(0))
    assert len(set(candidates)) == len(candidates) == N_FREQUENT + N_SAMPLED
    assert candidates.min() >= 5
    frequent, rare = np.split(candidates, [N_FREQUENT])
    assert frequency[frequent].min() > frequency[rare].max()
    assert np.exp(log_weights).sum() == pytest.approx(is_ordinary.sum())
    assert (log_weights[:N_FREQUENT] == 0).all()
    seen = {i for seed in range(40) for i in softmax.sample(np.random.RandomState(seed))[0]}
    assert seen == set(np.flatnonzero(is_ordinary))


def test_a_sample_estimates_the_sum_over_the_vocabulary(zipf):
    frequency, is_ordinary = zipf
    logits = np.log(frequency) + np.random.RandomState(1).randn(3000)
    softmax = SampledSoftmax.of(frequency, is_ordinary)
    rng = np.random.RandomState(2)
    samples = [softmax.sample(rng) for _ in range(400)]
    sums = [np.exp(logits[ids] + log_weights).sum() for ids, log_weights in samples]
    assert np.mean(sums) == pytest.approx(np.exp(logits[is_ordinary]).sum(), rel=0.003)


def test_a_small_vocabulary_is_not_sampled():
    n = N_FREQUENT + N_SAMPLED
    assert SampledSoftmax.of(np.ones(n), np.ones(n, bool)) is None
    assert SampledSoftmax.of(np.ones(n + 1), np.ones(n + 1, bool)) is not None


# --- the model


@pytest.fixture(scope="module")
def golden():
    """Logits of transformers' own masked language model; see golden/make_masked_lm.py."""
    with np.load(Path(__file__).parent / "golden" / "masked_lm.npz") as file:
        return dict(file)


@pytest.fixture(scope="module")
def architecture():
    return Architecture(
        vocab_size=30,
        hidden_size=12,
        intermediate_size=20,
        num_hidden_layers=2,
        num_attention_heads=3,
        max_position_embeddings=9,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        n_logits=0,
    )


def masked_lm(architecture, weights):
    import_keras()
    from skbert_filter.bert.pretraining import BertForPretraining

    model = BertForPretraining(architecture)
    model.load(weights)
    return model


def inputs_for(golden, chosen, width):
    half = len(chosen) // 2
    return {
        "input_ids": golden["input_ids"][:, :width],
        "length": golden["length"],
        "first_positions": np.flatnonzero(chosen[:half, :width]).astype(np.int32),
        "second_positions": np.flatnonzero(chosen[half:, :width]).astype(np.int32),
    }


@pytest.mark.parametrize("training", [False, True])
def test_logits_are_those_of_transformers_at_the_masked_positions(golden, architecture, training):
    model = masked_lm(architecture, golden)
    is_token = np.arange(9) < golden["length"][:, None]
    for chosen in (is_token, is_token & (np.random.RandomState(0).rand(5, 9) < 0.3)):
        got = model(inputs_for(golden, chosen, 9), training=training)["tokens"].numpy()
        assert got.shape == (chosen.sum(), 30)
        np.testing.assert_allclose(got, golden["logits"][chosen], atol=1e-4)


def test_logits_of_candidates_are_those_of_the_vocabulary_except_the_targets(golden, architecture):
    chosen = np.arange(9) < golden["length"][:, None]
    target_ids, candidates = golden["input_ids"][chosen], np.array([29, 7, 11], np.int32)
    target_ids[0] = 11
    log_weights = np.array([0.0, 0.0, 2.5], np.float32)
    got = masked_lm(architecture, golden)(
        {
            **inputs_for(golden, chosen, 9),
            **{"target_ids": target_ids, "candidates": candidates, "log_weights": log_weights},
        }
    )["tokens"].numpy()
    every = golden["logits"][chosen]
    np.testing.assert_allclose(got[:, 0], every[np.arange(len(target_ids)), target_ids], atol=1e-4)
    is_target = target_ids[:, None] == candidates
    assert is_target.any()
    expected = np.where(is_target, -1e9, every[:, candidates] + log_weights)
    np.testing.assert_allclose(got[:, 1:], expected, atol=1e-4)


def test_rescaling_the_embeddings_changes_no_logit(golden, architecture):
    weights = {n: w for n, w in golden.items() if n not in ("input_ids", "length", "logits")}
    words = "bert.embeddings.word_embeddings.weight"
    scaled = rescale_embeddings({**weights, words: 3 * weights[words]})
    assert scaled[words].std() == pytest.approx(0.02, rel=1e-5)
    assert {n for n in weights if not np.array_equal(scaled[n], weights[n])} == {
        *(f"bert.embeddings.{kind}_embeddings.weight" for kind in ("word", "position")),
        "bert.embeddings.token_type_embeddings.weight",
        "cls.predictions.transform.LayerNorm.weight",
        "cls.predictions.transform.LayerNorm.bias",
    }
    chosen = np.arange(9) < golden["length"][:, None]
    inputs = inputs_for(golden, chosen, 9)
    logits = masked_lm(architecture, rescale_embeddings(weights))(inputs)["tokens"].numpy()
    np.testing.assert_allclose(logits, golden["logits"][chosen], atol=1e-4)


def test_padding_does_not_change_the_logits(golden, architecture):
    model = masked_lm(architecture, golden)
    short = {name: golden[name][1:] for name in ("input_ids", "length", "logits")}
    chosen = np.arange(9) < short["length"][:, None]
    np.testing.assert_allclose(
        model(inputs_for(short, chosen, 6))["tokens"].numpy(), short["logits"][chosen], atol=1e-4
    )


def test_weights_round_trip_and_have_no_pooler(golden, architecture):
    weights = masked_lm(architecture, golden).weights_by_name(30)
    assert set(weights) == set(golden) - {"input_ids", "length", "logits"}
    assert not any("pooler" in name or "decoder" in name for name in weights)
    for name, weight in weights.items():
        np.testing.assert_array_equal(weight, golden[name])


@pytest.fixture(scope="module")
def task():
    """Return a task with targets, and with labels of two of four texts."""
    texts = ["pump"] * 5 + ["pump view"] * 3 + ["x"]
    parameters = {
        **{"tokenizer": TOKENIZER, "hidden_size": 8, "intermediate_size": 8},
        **{"num_hidden_layers": 1, "num_attention_heads": 1, "max_length": 8},
    }
    head = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0, "n_logits": 0}
    shares = np.zeros((9, 2))
    shares[0, 1] = shares[5, 0] = 1
    rng = np.random.RandomState(0)
    initial = initialize_randomly(texts, parameters, head, rng)
    targets = np.random.RandomState(1).standard_normal((9, 3))
    return PretrainingTask.of(initial, texts, targets, shares, rng)


def test_an_untrained_model_knows_the_frequencies(task):
    frequencies = np.exp(task.weights["cls.predictions.bias"])
    assert frequencies.sum() == pytest.approx(1)
    assert frequencies[PUMP] / frequencies[VIEW] == pytest.approx(9 / 4)
    assert frequencies[:PUMP] == pytest.approx(frequencies[S])


def test_dropped_texts_drop_their_targets_and_labels(task):
    assert len(task.tokens) == len(task.targets) == len(task.shares) == 8
    assert task.shares.sum(axis=0).tolist() == [1, 1]


def test_targets_and_labels_are_predicted_from_cls_as_by_a_classifier(task):
    import_keras()
    from skbert_filter.bert.encoder import BertClassifier
    from skbert_filter.bert.pretraining import BertForPretraining

    rng = np.random.RandomState(2)
    weights = {
        name: rng.standard_normal(w.shape).astype(np.float32) for name, w in task.weights.items()
    }
    inputs = {
        "input_ids": np.array([[2, PUMP, VIEW, 3], [2, VIEW, 3, 0]], np.int32),
        "length": np.array([4, 3], np.int32),
    }
    positions = np.array([1], np.int32)
    model = BertForPretraining(task.architecture, n_targets=3, n_classes=2)
    model.load(weights)
    got = model({**inputs, "first_positions": positions, "second_positions": positions})
    assert got["tokens"].shape == (2, len(WORDS))
    for output, head in (("targets", "targets"), ("labels", "classifier")):
        read = {f"classifier.{part}": weights[f"{head}.{part}"] for part in ("weight", "bias")}
        n_logits = len(read["classifier.bias"])
        classifier = BertClassifier(replace(task.architecture, n_logits=n_logits))
        classifier.load({**weights, **read})
        np.testing.assert_allclose(got[output], classifier(inputs), atol=1e-4)


def test_the_loss_of_labels_is_the_mean_over_labelled_texts():
    import_keras()
    from skbert_filter.bert.pretraining import _labelled_cross_entropy

    shares = np.array([[0, 0], [0, 1], [0, 0], [0.5, 0.5]], np.float32)
    logits = np.array([[9, -9], [0, 2], [-5, 5], [1, 0]], np.float32)
    log_p = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    expected = -(log_p[1, 1] + log_p[3].mean()) / 2
    assert float(np.mean(_labelled_cross_entropy(shares, logits))) == pytest.approx(expected)
    assert float(np.mean(_labelled_cross_entropy(0 * shares, logits))) == 0


# --- snapshots


IDENTITY = {"epochs": 3, "random_state": None, "texts": "sha256:ab"}


@pytest.fixture
def snapshot():
    return Snapshot(
        epoch=1,
        step=20,
        seconds=2.5,
        history={"loss": [5.25]},
        variables={"word": np.eye(2, dtype=np.float32), "seed": np.array([1, 2], np.uint32)},
    )


def test_a_snapshot_is_read_as_it_was_written(snapshot, tmp_path):
    folder = tmp_path / "not there yet"
    first = Snapshots(folder, IDENTITY, {"training": 7})
    assert first.last is None
    first.write(replace(snapshot, epoch=0))
    first.write(snapshot)
    assert [file.name for file in folder.iterdir()] == ["pretraining.safetensors"]
    again = Snapshots(folder, IDENTITY, {"training": 8})
    # The seeds of the resumed training replace those drawn for a new one.
    assert again.seeds == {"training": 7}
    read = again.last
    for name in ("epoch", "step", "seconds", "history"):
        assert getattr(read, name) == getattr(snapshot, name)
    assert read.variables.keys() == snapshot.variables.keys()
    for name, value in snapshot.variables.items():
        assert read.variables[name].dtype == value.dtype
        np.testing.assert_array_equal(read.variables[name], value)
    again.remove()
    assert not folder.exists()


def test_removal_leaves_other_files(snapshot, tmp_path):
    snapshots = Snapshots(tmp_path, IDENTITY, {})
    snapshots.remove()
    snapshots.write(snapshot)
    (tmp_path / "notes.txt").write_text("mine")
    snapshots.remove()
    assert [file.name for file in tmp_path.iterdir()] == ["notes.txt"]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"epochs": 4}, "epochs was 3 and is 4"),
        ({"random_state": 0}, "random_state was None and is 0"),
        ({"texts": "sha256:cd"}, "the texts differ"),
        ({"epochs": np.int64(2), "texts": "sha256:cd"}, "epochs was 3 and is 2; the texts differ"),
        ({"new": True}, "new was None and is True"),
    ],
)
def test_the_snapshot_of_another_training_is_refused(snapshot, tmp_path, changed, said):
    Snapshots(tmp_path, IDENTITY, {}).write(snapshot)
    with pytest.raises(ValueError, match=f"checkpoint_dir=.*: {said}. Pass what it was started"):
        Snapshots(tmp_path, {**IDENTITY, **changed}, {})


@pytest.mark.parametrize("damage", ["cut", "no header", "foreign"])
def test_a_damaged_snapshot_is_refused(snapshot, tmp_path, damage):
    from safetensors.numpy import save_file

    Snapshots(tmp_path, IDENTITY, {}).write(snapshot)
    file = tmp_path / "pretraining.safetensors"
    if damage == "cut":
        file.write_bytes(file.read_bytes()[:-3])
    elif damage == "no header":
        save_file(snapshot.variables, file)
    else:
        save_file(snapshot.variables, file, {"skbert_filter": json.dumps({"identity": IDENTITY})})
    with pytest.raises(ValueError, match=r"damaged: .* Remove it to start again"):
        Snapshots(tmp_path, IDENTITY, {})
