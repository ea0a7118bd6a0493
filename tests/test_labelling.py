"""What to label next: texts that are uncertain, frequent, different from each other, and new."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC

from skbert_filter.datasets import make_website_corpus, make_website_snippets
from skbert_filter.inspection.labelling import next_to_label


class FromText(ClassifierMixin, BaseEstimator):
    """Reads the probabilities of the classes at the start of each text."""

    def __init__(self, classes=("drop", "keep")):
        self.classes = classes
        self.classes_ = np.array(classes)

    def predict_proba(self, X):
        assert len(set(X)) == len(X), "a text was predicted twice"
        p = np.array([[float(part) for part in text.split(":")[0].split(",")] for text in X])
        return np.column_stack([p, 1 - p.sum(axis=1)])


@pytest.fixture(scope="module")
def model():
    """Return a filter for the generated snippets that was fitted to few labels."""
    vectorizer = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 3))
    return make_pipeline(vectorizer, LogisticRegression(C=10)).fit(
        *make_website_snippets(200, random_state=0)
    )


def test_the_score_is_uncertainty_times_the_logarithm_of_the_rows():
    texts = ["0.6: a", "0.9: b", "0.9: b", "0.9: b", "0.2: c", "0.2: c"]
    table = next_to_label(FromText(), texts)
    expected = pd.DataFrame(
        {
            "text": pd.Series(["0.6: a", "0.2: c", "0.9: b"], dtype=object),
            "suggested": ["drop", "keep", "drop"],
            "probability": [0.6, 0.8, 0.9],
            "rows": [1, 2, 3],
            "score": [0.8, 0.4 * np.log2(3), 0.2 * 2],
            "first_row": [0, 4, 1],
        }
    )
    pd.testing.assert_frame_equal(table, expected, check_dtype=False)


def test_uncertainty_is_the_margin_between_the_two_most_probable_classes():
    texts = ["0.5,0.0: a", "0.4,0.35: b", "0.34,0.33: c", "0.1,0.1: d"]
    table = next_to_label(FromText(classes=("x", "y", "z")), texts)
    assert table.text.tolist() == ["0.5,0.0: a", "0.34,0.33: c", "0.4,0.35: b", "0.1,0.1: d"]
    assert table.suggested.tolist() == ["x", "x", "x", "z"]


def test_equally_uncertain_texts_are_chosen_from_all_kinds():
    families = ["orange juice", "steel pipes", "xxxxxxxx", "1234 5678"]
    texts = [f"0.5: {family} {i}" for family in families for i in range(9)]
    for seed in range(5):
        chosen = next_to_label(FromText(), texts, 4, random_state=seed).text
        assert {text[5:10] for text in chosen} == {family[:5] for family in families}


def test_certain_and_rare_texts_are_not_chosen():
    unsure = [f"0.5: number {i}" for i in range(100)]
    sure = [f"0.99: number {i}" for i in range(100)]
    rare = [f"0.4: rare {i}" for i in range(100)]
    texts = unsure * 3 + sure + rare
    chosen = next_to_label(FromText(), texts, 10, random_state=0)
    assert set(chosen.text) < set(unsure)


def test_labelled_texts_are_excluded_and_all_others_returned_if_there_are_fewer(model):
    corpus = make_website_corpus(500, random_state=1)
    labelled = pd.Series(corpus).drop_duplicates().head(100)
    table = next_to_label(model, corpus, 10_000, labelled=labelled)
    assert sorted(table.text) == sorted(set(corpus) - set(labelled))
    assert table.score.is_monotonic_decreasing


def test_a_second_round_never_repeats_a_text(model):
    corpus = make_website_corpus(1000, random_state=1)
    first = next_to_label(model, corpus, 50, random_state=0)
    second = next_to_label(model, corpus, 50, labelled=first.text, random_state=0)
    assert len(set(first.text) | set(second.text)) == 100


def test_a_seed_determines_the_choice_whatever_the_container(model):
    corpus = make_website_corpus(1500, random_state=1)
    table = next_to_label(model, corpus, 30, random_state=3)
    same = next_to_label(model, pl.Series(corpus.tolist()), 30, random_state=3)
    pd.testing.assert_frame_equal(table, same)
    other = next_to_label(model, corpus, 30, random_state=4)
    assert set(other.text) != set(table.text)


def test_the_table_contains_what_the_model_predicts(model):
    corpus = make_website_corpus(1000, random_state=1)
    table = next_to_label(model, corpus, 20, random_state=0)
    proba = model.predict_proba(table.text.tolist())
    np.testing.assert_allclose(table.probability, proba.max(axis=1))
    assert table.suggested.tolist() == model.predict(table.text.tolist()).tolist()
    assert (corpus[table.first_row] == table.text).all()
    assert (table.rows == pd.Series(corpus).value_counts()[table.text].to_numpy()).all()


def test_texts_that_are_equal_by_key_count_as_one():
    texts = ["0.5: Menu", "0.5:  menu", "0.5: Shop", "0.5: SHOP"]
    table = next_to_label(FromText(), texts, key="casefold", labelled=["0.5: shop"])
    assert table[["text", "rows"]].to_numpy().tolist() == [["0.5: Menu", 2]]


@pytest.mark.parametrize(
    "texts",
    [
        [f"0.5: {'x' * i}" for i in range(20, 60)],
        [f"1.0: text {i}" for i in range(40)],
        ["0.5: \ud800", "0.5: ", *(f"0.5: \u200b{'!' * i}" for i in range(40))],
    ],
    ids=["equal vectors", "certain", "odd texts"],
)
def test_as_many_as_requested_are_chosen_where_texts_hardly_differ(texts):
    table = next_to_label(FromText(), texts, 15, random_state=0)
    assert table.text.nunique() == 15


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"n": 0}, ValueError, "n == 0, must be >= 1"),
        ({"estimator": LinearSVC()}, TypeError, "LinearSVC has no predict_proba.*Calibrated"),
        ({"texts": ["0.5: a", None]}, ValueError, "Row 1 of texts is missing"),
        ({"labelled": "0.5: a"}, TypeError, "labelled is one str"),
        ({"labelled": ["0.5: a", "b"]}, ValueError, "No text is left.*holds 1 distinct ones"),
        ({"texts": []}, ValueError, "No text is left to label: texts holds 0"),
    ],
)
def test_invalid_input_is_rejected(arguments, error, message):
    with pytest.raises(error, match=message):
        next_to_label(**{"estimator": FromText(), "texts": ["0.5: a"]} | arguments)
