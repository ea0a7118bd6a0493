"""Small invented texts, and very small filters that are fitted once for all tests.

A process keeps the Keras models of the last two architectures. Tests that keep to the
sizes of `tiny`, with two or three classes, pay for the tracing of a model only once.
"""

import os
from itertools import product

import pytest
from hypothesis import settings

from skbert_filter import SmallBertTextFilter

# Some tests import ONNX Runtime themselves.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

# No test asserts a time: the first example pays for imports and tracing.
settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")


def _phrases(pattern, *words):
    return [pattern.format(*chosen) for chosen in product(*(w.split() for w in words))]


@pytest.fixture(scope="session")
def tiny():
    """Arguments of a filter that learns the texts below within a second."""
    return {
        "hidden_size": 32,
        "intermediate_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "hidden_dropout_prob": 0.1,
        "attention_probs_dropout_prob": 0.1,
        "vocab_size": 300,
        "max_length": 24,
        "epochs": 6,
        "batch_size": 4,
        "learning_rate": 0.005,
        "random_state": 0,
    }


@pytest.fixture(scope="session")
def snippets():
    """Return 48 distinct texts to keep or to discard, and their labels."""
    keep = _phrases(
        "We build {} for {}.",
        "pumps valves gears motors boilers turbines bearings filters heaters cables drills presses",
        "farms ships",
    )
    discard = _phrases("{} {}", "View Read Skip Open", "menu more all cart login page")
    return keep + discard, ["keep"] * len(keep) + ["discard"] * len(discard)


@pytest.fixture(scope="session")
def three_kinds(snippets):
    """Return the snippets and 24 dates, with the labels 2, -7 and 0."""
    X, y = snippets
    dates = _phrases("{}. {}. {}, 10:30", "3 8 17 24", "5 6 7", "2019 2020")
    return X + dates, [{"keep": 2, "discard": -7}[label] for label in y] + [0] * len(dates)


@pytest.fixture(scope="session")
def probes(snippets):
    """Texts of many lengths, few of them trained on."""
    mixed = _phrases("{} {}", "View We 7", "pumps more farms. ships June !!") + _phrases(
        "Open {} for {} login.", "gears all boilers", "page build Norway 2019"
    )
    return ["", " ", *snippets[0][::8], *mixed, "We build " * 3, "menu " * 60]


@pytest.fixture(scope="session")
def binary(tiny, snippets):
    """Return a filter fitted on the snippets; not to be changed by a test."""
    return SmallBertTextFilter(**tiny).fit(*snippets)


@pytest.fixture(scope="session")
def one_epoch(tiny):
    """Arguments of a filter that learns little: enough to see whether two fits are equal."""
    return {**tiny, "epochs": 1}


@pytest.fixture(scope="session")
def patient(tiny):
    """Arguments of a filter that learns three classes too, or from half of the snippets."""
    return {**tiny, "epochs": 16, "early_stopping": False}


@pytest.fixture(scope="session")
def brief(one_epoch, snippets):
    """Return a filter fitted for one epoch on the snippets; not to be changed by a test."""
    return SmallBertTextFilter(**one_epoch).fit(*snippets)


@pytest.fixture(scope="session")
def ternary(patient, three_kinds):
    """Return a filter fitted on three classes; not to be changed by a test."""
    return SmallBertTextFilter(**patient).fit(*three_kinds)


@pytest.fixture
def saved(binary, tmp_path):
    """Return the folder of a saved filter, to be damaged by a test."""
    folder = tmp_path / "saved"
    binary.save_pretrained(folder)
    return folder
