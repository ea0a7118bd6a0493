"""What "auto" stands for, and that a filter at its defaults learns more than two classes."""

import numpy as np
import pytest

from skbert_filter import SmallBertPretrainer, SmallBertTextFilter
from skbert_filter.bert import auto_settings


@pytest.mark.parametrize(
    ("n_texts", "n_classes", "batch_size", "random", "checkpoint", "score"),
    [
        (7600, 2, 64, 4, 4, 4),  # 476 steps
        (2560, 2, 64, 4, 4, 4),  # 160 steps
        (2500, 2, 64, 5, 4, 4),
        (1000, 2, 64, 11, 6, 4),
        (800, 2, 64, 13, 7, 8),
        (300, 2, 64, 35, 18, 8),
        (300, 2, 32, 18, 9, 8),
        (9003, 77, 64, 44, 44, None),
    ],
)
def test_epochs_make_80_steps_for_each_class_and_half_for_two_from_a_checkpoint(
    n_texts, n_classes, batch_size, random, checkpoint, score
):
    expected = {"random": random, "checkpoint": checkpoint, "score": score}
    for origin, n_epochs in expected.items():
        if n_epochs is not None:
            assert training(n_texts, n_classes, origin, batch_size=batch_size).epochs == n_epochs
        assert training(n_texts, n_classes, origin, epochs=3).epochs == 3


@pytest.mark.parametrize(("n_epochs", "patience"), [(1, 2), (4, 2), (12, 2), (35, 7), (44, 9)])
def test_patience_is_a_fifth_of_the_epochs(n_epochs, patience):
    assert training(epochs=n_epochs).patience == patience
    assert training(epochs=n_epochs, early_stopping=False).patience is None


@pytest.mark.parametrize(("n_classes", "rate"), [(2, 1e-3), (8, 2e-3), (77, 4e-3)])
def test_more_classes_learn_at_a_higher_rate(n_classes, rate):
    assert training(n_classes=n_classes).learning_rate == rate
    assert training(n_classes=n_classes, learning_rate=5e-5).learning_rate == 5e-5
    assert training(origin="score").learning_rate == 7e-4


def test_dropout():
    assert auto_settings.dropout("auto", n_classes=2, from_checkpoint=False) == 0.2
    assert auto_settings.dropout("auto", n_classes=3, from_checkpoint=False) == 0.1
    assert auto_settings.dropout("auto", n_classes=2, from_checkpoint=True) == 0.1
    assert auto_settings.dropout(0, n_classes=2, from_checkpoint=True) == 0


def training(n_texts=300, n_classes=2, origin="checkpoint", **parameters):
    parameters = SmallBertTextFilter(**parameters).get_params()
    return auto_settings.training_config(
        parameters, n_texts=n_texts, n_classes=n_classes, origin=origin, seed=0
    )


@pytest.fixture(scope="module")
def of_many_classes():
    rng = np.random.RandomState(0)
    words = [f"{a}{b}{c}" for a in "bdfgkl" for b in "aeiou" for c in "mnprst"]
    X, y = [], []
    for topic in range(6):
        own, common = words[5 * topic : 5 * topic + 5], words[60:]
        for _ in range(160):
            X.append(" ".join(rng.permutation([*rng.choice(own, 2), *rng.choice(common, 4)])))
            y.append(topic)
    return X, y


def test_a_filter_at_its_defaults_learns_many_classes(of_many_classes):
    X, y = of_many_classes
    train = np.arange(len(X)) % 4 > 0
    model = SmallBertTextFilter(
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        vocab_size=300,
        random_state=0,
    )
    X_train, X_test = ([x for x, t in zip(X, train, strict=True) if t == part] for part in (1, 0))
    model.fit(X_train, np.array(y)[train])
    assert max(model.history_["learning_rate"]) > 1e-3
    assert (model.predict(X_test) == np.array(y)[~train]).mean() > 0.9


@pytest.mark.parametrize(
    ("n_texts", "batch_size", "expected"),
    [
        (261_240, 128, 1),
        (5_000_000, 128, 1),
        (130_000, 128, 2),
        (130_000, 256, 4),
        (26_000, 128, 10),
        (300, 128, 10),
    ],
)
def test_pretraining_takes_about_2000_steps(n_texts, batch_size, expected):
    assert pretraining(n_texts, batch_size=batch_size).epochs == expected
    assert pretraining(n_texts, batch_size=batch_size, epochs=3).epochs == 3


def test_wider_encoders_are_pretrained_at_a_lower_rate():
    rates = [pretraining(9, hidden_size=width).learning_rate for width in (8, 32, 64, 128)]
    assert rates == [6e-3, 6e-3, 3e-3, 1.5e-3]
    assert pretraining(9, hidden_size=128, learning_rate=1e-3).learning_rate == 1e-3


def pretraining(n_texts, **parameters):
    parameters = SmallBertPretrainer(**parameters).get_params()
    return auto_settings.pretraining_config(parameters, n_texts=n_texts, seed=0)
