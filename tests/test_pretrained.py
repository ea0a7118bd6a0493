"""The value that hands an encoder from a pretrainer or a folder to a filter."""

import copy
import pickle
from dataclasses import FrozenInstanceError, replace

import joblib
import numpy as np
import pytest
from sklearn.base import clone
from tokenizers import Tokenizer

from skbert_filter import SmallBertTextFilter
from skbert_filter.bert.architecture import Architecture, random_weights
from skbert_filter.bert.pretrained import PretrainedEncoder
from skbert_filter.bert.tokenizer import learn_wordpiece

ARCHITECTURE = Architecture(
    vocab_size=60,
    hidden_size=16,
    intermediate_size=24,
    num_hidden_layers=2,
    num_attention_heads=4,
    max_position_embeddings=12,
    hidden_dropout_prob=0.1,
    attention_probs_dropout_prob=0.1,
    n_logits=0,
)


@pytest.fixture(scope="module")
def parts():
    """Return what an encoder is made of."""
    tokenizer = learn_wordpiece(["View all pumps", "We build"], vocab_size=60, lowercase=False)
    weights = random_weights(ARCHITECTURE, np.random.RandomState(0))
    return {
        "architecture": ARCHITECTURE,
        "weights": weights,
        "tokenizer_json": tokenizer.to_str(),
        "source": "a test",
    }


@pytest.fixture(scope="module")
def encoder(parts):
    return PretrainedEncoder(**parts)


def loaded_by_joblib(encoder, folder):
    joblib.dump(encoder, folder / "encoder.joblib")
    return joblib.load(folder / "encoder.joblib", mmap_mode="r")


@pytest.mark.parametrize(
    "copied",
    [
        lambda encoder, _: encoder,
        lambda encoder, _: pickle.loads(pickle.dumps(encoder)),
        lambda encoder, _: pickle.loads(pickle.dumps(encoder, protocol=2)),
        loaded_by_joblib,
    ],
    ids=["made", "pickled", "pickled as of old", "joblib"],
)
def test_nothing_of_it_can_be_changed(encoder, copied, tmp_path):
    value = copied(encoder, tmp_path)
    assert value == encoder
    name = "bert.pooler.dense.bias"
    with pytest.raises(ValueError, match="read-only"):
        value.weights[name][0] = 1.0
    with pytest.raises(TypeError, match="item assignment"):
        value.weights[name] = np.ones(16)
    with pytest.raises(FrozenInstanceError):
        value.source = "elsewhere"
    np.testing.assert_array_equal(value.weights[name], encoder.weights[name])


def test_it_is_apart_from_what_it_was_made_of(parts):
    weights = {name: weight.copy() for name, weight in parts["weights"].items()}
    value = PretrainedEncoder(**{**parts, "weights": weights})
    weights["bert.pooler.dense.bias"][:] = 7
    assert weights.pop("bert.pooler.dense.bias")[0] == 7
    assert value == PretrainedEncoder(**parts)
    assert not value.weights["bert.pooler.dense.bias"].any()


def test_clone_and_copies_keep_the_very_object(encoder):
    assert copy.copy(encoder) is encoder
    assert copy.deepcopy([encoder])[0] is encoder
    model = SmallBertTextFilter(checkpoint=encoder)
    assert clone(model).checkpoint is encoder


def test_a_pickle_of_several_filters_holds_it_once(encoder):
    one, many = (
        len(pickle.dumps([SmallBertTextFilter(checkpoint=encoder, epochs=i) for i in range(n)]))
        for n in (1, 10)
    )
    size = sum(weight.nbytes for weight in encoder.weights.values())
    assert size < one
    assert many < one + size / 2
    a, b = pickle.loads(pickle.dumps([SmallBertTextFilter(checkpoint=encoder)] * 2))
    assert a.checkpoint is b.checkpoint


def test_equality_goes_by_what_training_reads(parts, encoder):
    same = PretrainedEncoder(**{**parts, "source": "elsewhere"})
    assert same == encoder
    assert hash(same) == hash(encoder)
    assert len({same, encoder}) == 1
    assert encoder != "an encoder"
    weights = dict(parts["weights"])
    weights["bert.pooler.dense.bias"] = weights["bert.pooler.dense.bias"] + 1e-3
    other_tokenizer = Tokenizer.from_str(parts["tokenizer_json"])
    other_tokenizer.add_tokens(["pumps!"])
    others = [
        PretrainedEncoder(**{**parts, "weights": weights}),
        PretrainedEncoder(**{**parts, "tokenizer_json": other_tokenizer.to_str()}),
        PretrainedEncoder(**{**parts, "architecture": replace(ARCHITECTURE, layer_norm_eps=1e-3)}),
    ]
    assert len({encoder.fingerprint, *(other.fingerprint for other in others)}) == 4
    assert all(other != encoder for other in others)


def test_its_repr_is_one_short_line(encoder):
    assert repr(encoder) == (
        f"<PretrainedEncoder {encoder.fingerprint[:8]}: 2 layers, 16 wide, 60 words>"
    )
    assert repr(encoder) in repr(SmallBertTextFilter(checkpoint=encoder))
