"""Wrong labels are found, listed once for each text, and corrected from the table."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from joblib import parallel_config
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.ensemble import VotingClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    FixedThresholdClassifier,
    GroupKFold,
    KFold,
    RepeatedStratifiedKFold,
    ShuffleSplit,
    cross_val_predict,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.svm import LinearSVC

from skbert_filter import DedupPredictor, DedupStratifiedKFold, duplicate_report
from skbert_filter.datasets import make_website_snippets
from skbert_filter.inspection import compare
from skbert_filter.inspection.baselines import WordCountRule
from skbert_filter.inspection.suspects import apply_corrections, out_of_fold, suspect_labels


def light():
    """Return an unfitted model that learns the generated snippets in a moment."""
    vectorizer = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 3))
    return make_pipeline(vectorizer, LogisticRegression(C=10))


class Memory(ClassifierMixin, BaseEstimator):
    """Predicts 0.9 for the labels of texts that it was fitted on, and 0.5 for other texts."""

    def fit(self, X, y):
        assert len(set(X)) == len(X), "a text was trained on twice"
        self.classes_ = np.unique(y)
        self.known_ = dict(zip(X, y, strict=True))
        return self

    def predict_proba(self, X):
        proba = np.full((len(X), len(self.classes_)), 1 / len(self.classes_))
        for row, text in enumerate(X):
            if text in self.known_:
                proba[row] = 0.1
                proba[row, self.known_[text]] = 0.9
        return proba

    def predict(self, X):
        return self.classes_[self.predict_proba(X).argmax(axis=1)]


@pytest.fixture(scope="module")
def flipped():
    """Return snippets without conflicts, 5 % of whose texts got the wrong label."""
    X, y = make_website_snippets(1000, ambiguous=0.0, random_state=0)
    codes, texts = pd.factorize(X)
    truth = np.zeros(len(texts), int)
    truth[codes] = y
    rng = np.random.default_rng(0)
    wrong = rng.choice(len(texts), size=len(texts) // 20, replace=False)
    labels = truth.copy()
    labels[wrong] = 1 - labels[wrong]
    return X, labels[codes], truth[codes], set(texts[wrong])


@pytest.fixture(scope="module")
def table(flipped):
    X, y, _, _ = flipped
    return suspect_labels(light(), X, y)


def test_flipped_labels_come_first_and_the_suggestion_corrects_them(flipped, table):
    X, y, truth, wrong = flipped
    top = table.head(len(wrong))
    assert len(set(top.text) & wrong) > 0.6 * len(wrong)
    assert len(set(table.text[: 2 * len(wrong)]) & wrong) > 0.8 * len(wrong)
    corrected = apply_corrections(X, y, top.assign(label=top.suggested))
    assert (corrected != truth).sum() < 0.6 * (y != truth).sum()


def test_each_distinct_text_is_one_line_with_its_rows(flipped, table):
    X, y, _, _ = flipped
    assert sorted(table.text) == sorted(set(X))
    by_text = table.set_index("text")
    counts = pd.Series(X).value_counts()
    assert (by_text.rows == counts[by_text.index]).all()
    assert (X[table.first_row] == table.text).all()
    assert (y[table.first_row] == table.label).all()
    assert (table.contradicting == 0).all()
    assert table.score.is_monotonic_decreasing


def test_probabilities_are_those_of_folds_of_distinct_texts(flipped):
    X, y, _, _ = flipped
    first = np.sort(np.unique(X, return_index=True)[1])
    expected = cross_val_predict(
        light(),
        X[first],
        y[first],
        cv=DedupStratifiedKFold(3, shuffle=True, random_state=1),
        method="predict_proba",
    )
    found = out_of_fold(light(), X, y, cv=DedupStratifiedKFold(3, shuffle=True, random_state=1))
    assert found.texts == X[first].tolist()
    np.testing.assert_allclose(found.pred_probs, expected)
    np.testing.assert_array_equal(found.classes[found.labels], y[first])


def test_the_score_weighs_the_disagreement_by_rows():
    class FromText(Memory):
        """Reads the probability of class 1 in the text."""

        def predict_proba(self, X):
            p = np.array([float(text.split()[0]) for text in X])
            return np.column_stack([1 - p, p])

    y_of = {"0.75 a": 0, "0.8 b": 0, "0.4 c": 0, "0.2 d": 0, "0.9 e": 1, "0.6 f": 1}
    X = [*y_of, *["0.75 a"] * 6, *["0.4 c"] * 50]
    table = suspect_labels(FromText(), X, [y_of[text] for text in X], cv=2)
    # The first has lower odds, but seven times the rows; the last four labels are agreed on.
    assert table.text.tolist() == ["0.75 a", "0.8 b", "0.4 c", "0.6 f", "0.2 d", "0.9 e"]
    assert table.score.tolist() == pytest.approx([np.log(3) * 3, np.log(4), 0, 0, 0, 0])
    assert table.probability.tolist() == pytest.approx([0.25, 0.2, 0.6, 0.6, 0.8, 0.9])


def test_conflicts_come_first_and_a_tie_has_no_label():
    X = ["b", "b", "b", "c", "c", "d", "d", "d", "d", "d", "e", "f", "g", "h"]
    y = ["p", "p", "q", "p", "q", "q", "q", "p", "q", "p", "p", "q", "p", "q"]
    table = suspect_labels(Memory(), X, y, cv=2)
    assert table.text[:3].tolist() == ["d", "c", "b"] or table.text[:3].tolist() == ["d", "b", "c"]
    assert (table.contradicting[:3] > 0).all()
    assert not table.contradicting[3:].any()
    conflicts = table.set_index("text")[:3]
    assert conflicts.loc["d", ["label", "rows", "contradicting"]].tolist() == ["q", 5, 2]
    assert conflicts.loc["b", ["label", "rows", "contradicting"]].tolist() == ["p", 3, 1]
    assert conflicts.label["c"] is None
    assert np.isnan(conflicts.probability["c"])
    report = duplicate_report(X, y)
    assert set(report.conflicts.text) == set(conflicts.index)


@pytest.mark.parametrize(
    "cv",
    [
        None,
        4,
        KFold(3),
        KFold(4, shuffle=True, random_state=0),
        RepeatedStratifiedKFold(n_splits=3, n_repeats=2, random_state=0),
    ],
    ids=str,
)
def test_no_text_is_predicted_by_a_model_that_was_trained_on_it(cv, flipped):
    X, y, _, _ = flipped
    found = out_of_fold(Memory(), X, y, cv=cv)
    # Memory is sure only of what it was fitted on.
    np.testing.assert_array_equal(found.pred_probs, 0.5)


@pytest.mark.parametrize("cv", [None, GroupKFold(3)], ids=str)
def test_texts_of_one_group_are_tested_together(cv):
    class Pages(Memory):
        def predict_proba(self, X):
            assert not {text[0] for text in X} & {text[0] for text in self.known_}
            return super().predict_proba(X)

    page = np.repeat(list("abcdefghij"), 6)
    X = [f"{letter} text {i // 2 % 3}" for i, letter in enumerate(page)]
    found = out_of_fold(Pages(), X, [i // 2 % 2 for i in range(60)], cv=cv, groups=page)
    assert len(found.texts) == 30


def test_a_text_of_several_groups_is_tested_by_a_model_that_has_not_seen_it():
    page = ["a", "b"] * 8
    X = ["menu", "menu", *(f"text {i}" for i in range(14))]
    found = out_of_fold(Memory(), X, [0, 0] + [0, 0, 1, 1] * 3 + [1, 1], cv=2, groups=page)
    np.testing.assert_array_equal(found.pred_probs, 0.5)
    assert found.rows[0] == 2


def test_models_do_not_learn_a_class_that_occurs_only_in_conflicts():
    X = ["a", "a", "a", "b", "c", "d", "e"]
    found = out_of_fold(Memory(), X, [1, 1, 5, 2, 1, 2, 1], cv=2)
    assert found.classes.tolist() == [1, 2]
    assert found.pred_probs.shape == (5, 2)
    assert found.contradicting[0] == 1


def test_several_classes_with_labels_as_str():
    X, y = make_website_snippets(600, ambiguous=0.0, random_state=1)
    y = np.where([str(text).isupper() for text in X], "capitals", np.array(["drop", "keep"])[y])
    table = suspect_labels(light(), X, y, cv=3)
    assert set(table.suggested) <= {"capitals", "drop", "keep"}
    assert (table.suggested == table.label).mean() > 0.8


def test_texts_that_are_equal_by_key_are_one_line():
    X = ["Menu", "menu ", "We sell tea", "We sell soap", "Shop"]
    table = suspect_labels(WordCountRule(), X, [0, 0, 1, 1, 0], cv=2, key="casefold")
    assert table.set_index("text").rows.to_dict() == {
        "Menu": 2,
        "We sell tea": 1,
        "We sell soap": 1,
        "Shop": 1,
    }
    corrected = apply_corrections(
        X, [0, 0, 1, 1, 0], table[table.text == "Menu"].assign(label=1), key="casefold"
    )
    assert corrected.tolist() == [1, 1, 1, 1, 0]


def test_the_table_does_not_depend_on_the_container(flipped, table):
    X, y, _, _ = flipped
    with parallel_config(backend="threading"):
        same = suspect_labels(light(), pl.Series(X.tolist()), pl.Series(y), n_jobs=2)
    pd.testing.assert_frame_equal(same, table)


def test_a_table_corrected_in_a_file_is_applied(tmp_path):
    X = ["NA", 'He said "no",\nand left', "menu", "NA", "tie", "tie", "Our tea", "Our soap"]
    y = pd.Series([1, 0, 0, 1, 0, 1, 1, 1], index=range(10, 18), name="label")
    path = tmp_path / "suspects.csv"
    suspect_labels(Memory(), X, y, cv=2).to_csv(path, index=False)

    edited = pd.read_csv(path, keep_default_na=False)
    assert edited.label[edited.text == "tie"].item() == ""
    edited.loc[edited.text == "NA", "label"] = "0"
    corrected = apply_corrections(X, y, edited[::-1])
    assert corrected.tolist() == [0, 0, 0, 0, 0, 1, 1, 1]
    assert corrected.index.equals(y.index)
    assert corrected.dtype == y.dtype
    assert y.iloc[0] == 1


TABLE = pd.DataFrame({"text": ["a", "b"], "label": ["x", "y"], "first_row": [0, 1]})


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (TABLE.drop(columns="label"), "has no column 'label'"),
        (TABLE.assign(label=["x", "kep"]), "Row 1 of the table has the label 'kep', which y"),
        (TABLE.assign(text=["a", "c"]), "Row 1 of the table says that row 1 of X has the text 'c'"),
        (TABLE.assign(first_row=[0, 9]), "Row 1 of the table says that row 9"),
        (TABLE.assign(text="a", first_row=[0, 2]), "Rows 0 and 1 of the table have the same text"),
    ],
)
def test_a_table_that_cannot_be_applied_is_rejected(table, message):
    with pytest.raises(ValueError, match=message):
        apply_corrections(["a", "b", "a"], ["x", "y", "x"], table)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((LinearSVC(), ["a", "b"], [0, 1]), TypeError, r"LinearSVC has no predict_proba.*Calibr"),
        ((Memory(), [], []), ValueError, "y holds 0 classes"),
        ((Memory(), ["a", "b"], [1, 1]), ValueError, r"y holds 1 class: \[1\]"),
        ((Memory(), ["a", "b", "c"], [0, 1]), ValueError, "y has 2 labels, but X has 3 rows"),
        ((Memory(), ["a", None], [0, 1]), ValueError, "Row 1 of X is missing"),
        ((Memory(), ["a", "b", "c"], [0, 1, 1]), ValueError, "Class 0 has too few distinct"),
    ],
)
def test_invalid_input_is_rejected(arguments, error, message):
    with pytest.raises(error, match=message):
        suspect_labels(*arguments)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda model: model,
        lambda model: make_pipeline(FunctionTransformer(), model),
        lambda model: DedupPredictor(model),
        lambda model: FixedThresholdClassifier(model),
        lambda model: VotingClassifier([("new", light()), ("known", model)], voting="soft"),
    ],
)
@pytest.mark.parametrize(
    "judge",
    [
        suspect_labels,
        out_of_fold,
        lambda model, *args, **kwargs: compare({"known": model}, *args, **kwargs),
    ],
)
def test_a_classifier_that_is_not_fitted_again_is_rejected(judge, wrap):
    X, y = ["Menu", "We sell tea", "Home", "We make soap"], [0, 1, 0, 1]
    model = FrozenEstimator(light().fit(X, y))
    with pytest.raises(ValueError, match="has a FrozenEstimator of Pipeline, which is not fitted"):
        judge(wrap(model), X, y, cv=2)


def test_a_frozen_vectorizer_is_accepted(flipped):
    X, y = flipped[:2]
    vectorizer = FrozenEstimator(TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 3)).fit(X))
    table = suspect_labels(make_pipeline(vectorizer, LogisticRegression(C=10)), X, y, cv=2)
    assert len(table) == len(set(X))


def test_folds_that_do_not_test_every_row_are_rejected():
    X, y = list("abcdef"), [0, 1, 0, 1, 0, 1]
    with pytest.raises(ValueError, match=r"No fold of cv tests row \d.*DedupStratifiedKFold"):
        suspect_labels(Memory(), X, y, cv=ShuffleSplit(1, random_state=0))
