"""The hidden states of a teacher, and how its pass is cached and resumed."""

from pathlib import Path

import numpy as np
import pytest

from skbert_filter.bert import pretraining_targets
from skbert_filter.bert.architecture import Architecture
from skbert_filter.bert.pretrained import PretrainedEncoder
from skbert_filter.bert.pretraining_targets import (
    Teacher,
    shape_targets,
    teacher_targets,
    text_parts,
)
from skbert_filter.bert.tokenizer import build_wordpiece

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


@pytest.fixture(scope="module")
def golden():
    """Hidden states of transformers' BERT; see golden/make_bert.py."""
    with np.load(Path(__file__).parent / "golden" / "bert.npz") as file:
        return dict(file)


@pytest.fixture(scope="module")
def encoder(golden):
    """Return that BERT of two layers, whose words are named by their numbers."""
    words = [*SPECIAL, *(f"w{i}" for i in range(5, 40))]
    return PretrainedEncoder(
        architecture=Architecture(
            vocab_size=40,
            hidden_size=16,
            intermediate_size=golden["bert.encoder.layer.0.intermediate.dense.bias"].size,
            num_hidden_layers=2,
            num_attention_heads=4,
            max_position_embeddings=12,
            hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0,
            n_logits=0,
        ),
        weights={name: golden[name] for name in golden if name.startswith("bert.")},
        tokenizer_json=build_wordpiece(
            {w: i for i, w in enumerate(words)}, lowercase=False
        ).to_str(),
        source="golden",
    )


def test_states_are_the_means_of_those_of_transformers(encoder, golden):
    from skbert_filter.bert.engine import import_keras

    import_keras()
    from skbert_filter.bert.encoder import MeanState, compiled_forward

    model = MeanState(encoder.architecture)
    model.load(encoder.weights)
    ids, length = golden["input_ids"], golden["length"]
    got = compiled_forward(model)({"input_ids": ids, "length": length})
    expected = [
        states[:n].mean(axis=0) for states, n in zip(golden["hidden_states"], length, strict=True)
    ]
    np.testing.assert_allclose(got, expected, atol=1e-5)


def test_states_are_those_of_the_requested_layer(encoder):
    texts = ["w5 w6 w7", "w8", "w9 w9 w10 w11 w12"]
    first, last = (Teacher(encoder, layer, 12).states(texts) for layer in (1, 2))
    assert first.shape == last.shape == (3, 16)
    assert np.abs(first - last).max() > 0.1
    # whatever else is in a batch, and at whatever width
    np.testing.assert_allclose(Teacher(encoder, 1, 12).states(texts[1:2]), first[1:2], atol=1e-5)


@pytest.fixture
def texts():
    rng = np.random.RandomState(0)
    words = np.array([f"w{i}" for i in range(5, 40)])
    return [" ".join(rng.choice(words, 1 + i % 9)) for i in range(90)]


def test_targets_are_components_of_unit_deviation(encoder, texts):
    targets = teacher_targets([texts], encoder, 1, 12)
    assert targets.shape == (90, 16)
    assert targets.std() == pytest.approx(1)
    spread = targets.std(axis=0)
    assert (spread[:-1] >= spread[1:] - 0.01).all()
    # distances are proportional to those of the states
    states = Teacher(encoder, 1, 12).states(texts)
    ratio = np.linalg.norm(targets[:40] - targets[40:80], axis=1) / np.linalg.norm(
        states[:40] - states[40:80], axis=1
    )
    np.testing.assert_allclose(ratio, ratio[0], rtol=1e-3)


def test_an_interrupted_pass_resumes(encoder, texts, tmp_path, monkeypatch):
    monkeypatch.setattr(pretraining_targets, "_CHUNK", 20)
    parts = text_parts(texts)
    assert [len(part) for part in parts] == [20, 20, 20, 20, 10]
    whole = teacher_targets(parts, encoder, 1, 12)
    read = []

    def on_part():
        read.append(1)
        if len(read) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        teacher_targets(parts, encoder, 1, 12, folder=tmp_path / "state", on_part=on_part)
    kept = sorted(file.name for file in (tmp_path / "state").iterdir())
    assert len(kept) == 4  # the sample and three of five parts

    read = []
    monkeypatch.setattr(
        Teacher,
        "states",
        lambda self, texts, own=Teacher.states: read.append(len(texts)) or own(self, texts),
    )
    resumed = teacher_targets(parts, encoder, 1, 12, folder=tmp_path / "state")
    assert read == [20, 10]
    np.testing.assert_allclose(resumed, whole, atol=1e-5)
    # another layer reuses nothing
    teacher_targets(parts, encoder, 2, 12, folder=tmp_path / "state")
    assert sum(read) == 30 + 90 + 90


def test_shape_targets_are_standardized_numbers_and_bins():
    targets = shape_targets(["View All", "We build pumps.", "", "A|B|C"] * 5)
    assert np.isfinite(targets).all()
    assert np.abs(targets[:, :13].mean(axis=0)).max() < 1e-5
    assert (np.unique(targets[:, 13:]) == [0, 1]).all()
