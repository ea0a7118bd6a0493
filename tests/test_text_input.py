"""Any text, in any container: answers that keep to the rows, and refusals that name them."""

import copy
from types import SimpleNamespace

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from skbert_filter import SmallBertTextFilter

# A model's first answers trace it, which takes longer than later examples.
few = settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
fewest = settings(few, max_examples=4)

anything = st.text(
    st.one_of(
        st.characters(),  # lone surrogates among them
        st.sampled_from("\0\t\n\r\x85  \ufeff\ufffd\ud800\udfff"),
        st.sampled_from("🦀👩‍👩‍👧🇳🇴עִבְרִיתالعربية漢字ﬁßİ"),
    ),
    max_size=60,
)
long_text = st.builds(lambda text, n: text * n, anything, st.integers(500, 5000))
texts = st.lists(st.one_of(anything, long_text), max_size=12)
# scikit-learn takes floats for classes only if they are whole numbers.
labels = st.one_of(
    st.lists(st.integers(-(2**40), 2**40), min_size=2, max_size=3, unique=True),
    st.lists(st.text(max_size=8), min_size=2, max_size=3, unique=True),
    st.lists(st.integers(-99, 99).map(float), min_size=2, max_size=3, unique=True),
    st.just([True, False]),
)

CONTAINERS = {
    "list": list,
    "tuple": tuple,
    "object array": lambda texts: np.array(texts, dtype=object),
    "str array": np.array,
    "column of an array": lambda texts: np.array(texts, dtype=object)[:, None],
    "object Series": lambda texts: pd.Series(texts, index=range(len(texts), 0, -1), dtype=object),
    "str Series": lambda texts: pd.Series(texts, dtype="str"),
    "Arrow Series": lambda texts: pd.Series(texts, dtype=pd.ArrowDtype(pa.string())),
    "categorical Series": lambda texts: pd.Series(texts, dtype="category"),
    "Index": pd.Index,
    "polars Series": pl.Series,
    "Arrow array": pa.array,
    "Arrow chunked array": lambda texts: pa.chunked_array([texts[:5], texts[5:]]),
    "pandas table": lambda texts: pd.DataFrame({"text": texts}),
    "polars table": lambda texts: pl.DataFrame({"text": texts}),
    "Arrow table": lambda texts: pa.table({"text": texts}),
}


@few
@given(X=texts)
def test_any_text_gets_an_answer(binary, ternary, X):
    for model in (binary, ternary):
        proba = model.predict_proba(X)
        assert proba.shape == (len(X), len(model.classes_))
        assert np.isfinite(proba).all()
        np.testing.assert_array_equal(model.predict(X), model.classes_[proba.argmax(axis=1)])


@few
@given(X=texts.filter(bool), data=st.data())
def test_an_answer_depends_on_its_text_alone(binary, X, data):
    order = data.draw(st.permutations(range(len(X))))
    answers = binary.decision_function(X)
    shuffled = binary.decision_function([X[i] for i in order])
    np.testing.assert_allclose(shuffled, answers[order], atol=1e-5)
    np.testing.assert_allclose(binary.decision_function(X[:1]), answers[:1], atol=1e-5)


@few
@given(text=anything)
def test_lone_surrogates_count_as_the_replacement_character(binary, text):
    replaced = "".join("\ufffd" if "\ud800" <= char <= "\udfff" else char for char in text)
    logits = binary.decision_function([text, replaced])
    assert logits[0] == pytest.approx(logits[1], abs=1e-5)


@fewest
@given(X=st.lists(anything, min_size=4, max_size=8, unique=True), classes=labels)
def test_any_texts_and_labels_can_be_fitted(one_epoch, X, classes):
    y = (classes * len(X))[: len(X)]
    model = SmallBertTextFilter(**one_epoch).fit(X, y)
    assert model.classes_.tolist() == sorted(set(y))
    assert model.predict_proba(X).shape == (len(X), len(set(y)))
    assert set(model.predict(X).tolist()) <= set(y)


def test_a_very_long_text_counts_by_its_beginning(binary, one_epoch, snippets):
    beginning = "We build pumps for farms. " * 40
    endings = [beginning + "menu " * 200_000, beginning + "\n\n\n gears" * 100_000, beginning]
    logits = binary.decision_function(endings)
    np.testing.assert_allclose(logits, logits[0].repeat(3), atol=1e-5)
    blanks = binary.decision_function(["View" + " " * 1_000_000 + "menu", "View menu"])
    assert blanks[0] == pytest.approx(blanks[1], abs=1e-5)

    X, y = snippets
    model = SmallBertTextFilter(**one_epoch).fit([*X, endings[0]], [*y, "keep"])
    assert np.isfinite(model.history_["loss"]).all()


def test_blank_and_empty_texts_are_texts(tiny, snippets):
    X, y = snippets
    blanks = ["", " ", "\n\t", "\0"]
    model = SmallBertTextFilter(**tiny).fit([*X, *blanks], [*y, *["discard"] * len(blanks)])
    assert model.training_record_["distinct"] == len(X) + len(blanks)
    assert set(model.predict(blanks)) == {"discard"}


@pytest.mark.parametrize("container", CONTAINERS)
def test_every_container_gets_the_same_answers(binary, probes, container):
    X = CONTAINERS[container](probes)
    np.testing.assert_array_equal(binary.predict_proba(X), binary.predict_proba(probes))
    np.testing.assert_array_equal(binary.predict(X), binary.predict(probes))


@pytest.mark.parametrize("container", CONTAINERS)
def test_every_container_can_be_fitted(one_epoch, brief, snippets, container):
    X, y = snippets
    model = SmallBertTextFilter(**one_epoch).fit(CONTAINERS[container](X), y)
    assert model.fingerprint_ == brief.fingerprint_


@pytest.mark.parametrize(
    "wrap", [tuple, np.array, pd.Series, pl.Series, lambda y: pd.Series(y, dtype="category")]
)
def test_labels_in_any_container(one_epoch, brief, snippets, wrap):
    X, y = snippets
    model = SmallBertTextFilter(**one_epoch).fit(X, wrap(y))
    assert model.classes_.tolist() == brief.classes_.tolist()
    assert model.training_record_["data_sha256"] == brief.training_record_["data_sha256"]


REFUSED = [
    ("View All", TypeError, r"X is one str \('View All'\)"),
    (b"View All", TypeError, "X is one bytes"),
    (["View All", None], ValueError, "Row 1 of X is missing"),
    (["View All", float("nan")], ValueError, "Row 1 of X is missing"),
    (pd.Series(["View All", pd.NA], dtype="str"), ValueError, "Row 1 of X is missing"),
    (pl.Series(["View All", None]), ValueError, "Row 1 of X is missing"),
    (pa.array(["View All", None]), ValueError, "Row 1 of X is missing"),
    (["View All", b"Menu"], TypeError, r"Row 1 of X is of type bytes .*\n?.*decode"),
    (["View All", 3], TypeError, "Row 1 of X is of type int"),
    (np.ones(2), TypeError, "Row 0 of X is of type float"),
    ([["View All"], ["Menu"]], TypeError, "Row 0 of X is of type list"),
    (np.array([["View All", "Menu"], ["About", "Home"]]), ValueError, r"X has the shape \(2, 2\)"),
    (pd.DataFrame({"a": ["x", "y"], "b": ["x", "y"]}), ValueError, r"X has the shape \(2, 2\)"),
    ({"View All": 0, "Menu": 1}, TypeError, "X is of type dict"),
    ({"View All", "Menu"}, TypeError, "X is of type set"),
    (3, TypeError, "X is of type int"),
    (None, TypeError, "X is of type NoneType"),
]


@pytest.mark.parametrize(("X", "error", "message"), REFUSED)
def test_what_is_no_text_is_refused(binary, X, error, message):
    model = copy.deepcopy(binary)
    for use in (model.predict, model.predict_proba, model.decision_function):
        with pytest.raises(error, match=message):
            use(X)
    with pytest.raises(error, match=message):
        model.fit(X, ["keep", "discard"])
    assert model.fingerprint_ == binary.fingerprint_


def test_a_generator_is_refused_with_the_loop_to_write(binary):
    with pytest.raises(TypeError, match="can be read only once") as refusal:
        binary.predict(text for text in ("View All", "Menu", "About"))
    # The loop of the message is run as it stands, on a fresh generator.
    loop = str(refusal.value).split(":\n", 1)[1]
    answers = []
    model = SimpleNamespace(predict=lambda chunk: answers.extend(binary.predict(chunk)))
    names = {"X": (text for text in ("View All", "Menu", "About")), "model": model}
    exec("import itertools\n" + "\n".join(line[4:] for line in loop.splitlines()), names)
    assert answers == binary.predict(["View All", "Menu", "About"]).tolist()


@pytest.mark.parametrize(
    ("X", "y", "message"),
    [
        ([], [], "X has 0 rows. Pass at least one text for each of two classes"),
        (["View All", "Menu"], None, "requires y to be passed, but the target y is None"),
        (["View All", "Menu"], [0, 0], r"one class only \(0\)\. Pass labels"),
        (["View All", "Menu"], [0], "y has 1 labels, but X has 2 rows"),
        (["View All", "Menu"], [0, None], "Row 1 of y is missing"),
        (["View All", "Menu"], ["keep", float("nan")], "Row 1 of y is missing"),
        (["View All", "Menu"], [0, "keep"], "y mixes labels of the types int, str"),
        (["View All", "Menu"], [0.5, 1.5], "Unknown label type: continuous"),
        (["View All", "Menu"], [[0, 1], [1, 0]], r"y should be a 1d array, got an array of shape"),
    ],
)
def test_labels_that_cannot_be_learnt_are_refused(tiny, X, y, message):
    with pytest.raises(ValueError, match=message):
        SmallBertTextFilter(**tiny).fit(X, y)
