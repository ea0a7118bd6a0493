"""Classifiers compared over the same folds: fits, scores, tests and sentences."""

from collections import Counter

import numpy as np
import pandas as pd
import pytest
from scipy.stats import t as student_t
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.dummy import DummyClassifier
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import RidgeClassifier
from sklearn.model_selection import KFold, cross_validate
from sklearn.naive_bayes import MultinomialNB
from sklearn.pipeline import make_pipeline

from skbert_filter import DedupStratifiedKFold
from skbert_filter.datasets import make_website_snippets
from skbert_filter.inspection import WordCountRule, compare, evaluate


class Coin(ClassifierMixin, BaseEstimator):
    """Right on about a given share of the texts, which the seed chooses."""

    def __init__(self, share=0.5, seed=0):
        self.share = share
        self.seed = seed

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):
        # Each text is "label number".
        label, number = np.array([text.split() for text in X], dtype=int).T
        is_right = np.random.default_rng(self.seed).uniform(size=1000)[number] < self.share
        return np.where(is_right, label, 1 - label)


class Spy(DummyClassifier):
    """Remembers the texts of every fit, in this process."""

    fits: list = []  # noqa: RUF012

    def fit(self, X, y):
        self.fits.append((list(X), list(y)))
        return super().fit(X, y)

    def predict(self, X):
        self.fits.append(list(X))
        return super().predict(X)


@pytest.fixture
def spied():
    Spy.fits.clear()
    return Spy.fits


@pytest.fixture(scope="module")
def coins():
    return [f"{i % 2} {i}" for i in range(300)], [i % 2 for i in range(300)]


@pytest.fixture(scope="module")
def website():
    return make_website_snippets(400, random_state=0)


def words():
    return make_pipeline(CountVectorizer(), MultinomialNB())


def test_scores_are_those_of_evaluate_on_each_fold(website):
    X, y = map(np.array, website)
    X, first = np.unique(X, return_index=True)
    y = y[first]
    seed = np.random.RandomState(1).randint(np.iinfo(np.int32).max)
    cv = DedupStratifiedKFold(3, shuffle=True, random_state=seed)
    models = {"rule": WordCountRule(), "words": words()}
    comparison = compare(models, X, y, cv=3, n_repeats=1, random_state=1)
    rows = comparison.folds.set_index(["classifier", "fold"])

    for fold, (train, test) in enumerate(cv.split(X, y)):
        for name, model in {"rule": WordCountRule(), "words": words()}.items():
            expected = evaluate(model.fit(X[train], y[train]), X[test], y[test])
            row = rows.loc[(name, fold)]
            assert row[["n_train", "n_test"]].tolist() == [len(train), len(test)]
            for score in comparison.scores:
                assert row[score] == pytest.approx(getattr(expected, score))
            assert row["seconds"] > 0
    means = comparison.to_frame()
    assert means.index.tolist() == ["rule", "words"]
    of_rule = comparison.folds.query("classifier == 'rule'")["f1"]
    assert means.loc["rule", ["f1", "f1_sd"]].tolist() == pytest.approx(
        [of_rule.mean(), of_rule.std()]
    )


def test_each_distinct_text_is_learnt_and_scored_once_with_its_most_frequent_label(spied):
    X = ["Menu"] * 6 + ["Tea", "Tea", "Tea"] + ["Both", "Both"] + list("abcdefgh")
    y = [0] * 6 + [1, 1, 0] + [0, 1] + [0, 1] * 4
    compare({"spy": Spy()}, X, y, cv=2, n_repeats=2)
    fits, tests = spied[::2], spied[1::2]

    assert len(fits) == len(tests) == 4
    for (texts, labels), tested in zip(fits, tests, strict=True):
        assert Counter(texts + tested) == Counter({"Menu", "Tea", *"abcdefgh"})
        assert dict(zip(texts, labels, strict=True)).get("Tea", 1) == 1
    assert len({tuple(texts) for texts, _ in fits}) > 2  # the folds differ


def test_groups_stay_on_one_side(spied):
    X = [f"text {i}" for i in range(24)]
    page = np.arange(24) // 3
    compare({"spy": Spy()}, X, [0, 1] * 12, groups=page, cv=2, n_repeats=2)
    for texts, _ in spied[::2]:
        learnt = np.isin(X, texts)
        assert all(len(set(learnt[page == group])) == 1 for group in range(8))


def test_a_text_of_several_groups_is_scored_with_each_of_them(spied):
    X = ["Menu", *"abc", "Menu", *"def"]
    compare({"spy": Spy()}, X, [0, 0, 1, 1] * 2, groups=[*"aaaabbbb"], cv=2, n_repeats=1)
    assert sorted(map(sorted, spied[1::2])) == [["Menu", *"abc"], ["Menu", *"def"]]


def test_differences_are_tested_by_the_corrected_t_and_holm(coins):
    X, y = coins
    coin = {"good": Coin(0.9), "fair": Coin(0.5, 1), "same": Coin(0.9), "close": Coin(0.88, 2)}
    comparison = compare(coin, X, y, cv=5, n_repeats=2)
    table = comparison.differences()

    folds = comparison.folds.pivot(
        index=["repeat", "fold"], columns="classifier", values="accuracy"
    )
    d = (folds["close"] - folds["good"]).to_numpy()
    t = d.mean() / np.sqrt((1 / 10 + 60 / 240) * d.var(ddof=1))
    assert table.loc["close", "difference"] == pytest.approx(d.mean())
    p_value = 2 * student_t(9).sf(abs(t))
    assert table.loc["close", "p_value"] == pytest.approx(p_value)
    assert table.loc["close", "p_holm"] == pytest.approx(min(1, 2 * p_value))
    assert table.loc["fair", "p_holm"] == pytest.approx(3 * table.loc["fair", "p_value"])
    assert table.loc["same", ["difference", "p_value"]].tolist() == [0, 1]
    assert table["verdict"].tolist() == [
        "worse by more than chance",
        "no more than chance",
        "no more than chance",
    ]
    assert comparison.sentences()[1] == (
        "same against good: +0.000 accuracy (+0.000 to +0.000), no more than chance (p = 1)."
    )
    assert "fair against good: -0." in str(comparison)
    best = comparison.to_frame()["accuracy"].idxmax()
    assert f"The highest mean accuracy: {best}.\nfair against good" in str(comparison)
    assert "10 fits each, on 240 distinct texts, scored on 60 others" in str(comparison)

    turned = compare(coin, X, y, cv=5, n_repeats=2, reference="fair").differences()
    assert turned.index.tolist() == ["good", "same", "close"]
    assert turned.loc["good", "difference"] == pytest.approx(-table.loc["fair", "difference"])
    assert set(turned["verdict"]) == {"better by more than chance"}


def test_one_classifier_is_compared_with_the_baselines(website):
    X, y = website
    comparison = compare(words(), X, y, cv=2, n_repeats=1)
    assert comparison.reference == "MultinomialNB"
    assert comparison.names == ["MultinomialNB", "TF-IDF and shape", "TF-IDF", "word-count rule"]
    best = comparison.to_frame()["accuracy"].idxmax()
    assert f"The highest mean accuracy: {best}." in str(comparison)

    many = compare(words(), X, np.where(y == 1, y + np.arange(len(y)) % 2, 0), cv=2, n_repeats=1)
    assert many.names == ["MultinomialNB", "TF-IDF and shape", "TF-IDF"]


@pytest.mark.parametrize("estimators", [[WordCountRule()], {"rule": "rule"}])
def test_other_objects_than_classifiers_are_rejected(website, estimators):
    with pytest.raises(TypeError, match=r"estimators holds .*[Rr]ule.*, which is not a classifier"):
        compare(estimators, *website)


def test_lower_errors_are_better(website):
    X, y = website
    models = {"words": words(), "prior": DummyClassifier()}
    table = compare(models, X, y, n_repeats=1).differences("brier")
    assert table.loc["prior", "difference"] > 0
    assert table.loc["prior", "verdict"] == "worse by more than chance"


def test_a_score_that_a_classifier_lacks_is_not_compared(coins):
    X, y = coins
    ridge = make_pipeline(CountVectorizer(), RidgeClassifier())
    comparison = compare({"words": words(), "ridge": ridge}, X, y, n_repeats=1)
    assert comparison.sentences("brier") == ["ridge against words: no Brier to compare."]
    assert np.isnan(comparison.differences("brier")["p_holm"]).all()


def test_higher_is_better_with_any_scoring_of_scikit_learn(website):
    X, y = website
    models = {"words": words(), "prior": DummyClassifier()}
    comparison = compare(models, X, y, cv=2, scoring="roc_auc")
    assert comparison.scores == ("roc_auc",)
    assert comparison.differences().loc["prior", "verdict"] != "better by more than chance"
    assert (comparison.differences()["difference"] < 0).all()
    several = compare(models, X, y, cv=2, scoring=["recall", "balanced_accuracy"])
    assert several.scores == ("recall", "balanced_accuracy")


def test_workers_give_the_same_scores(website):
    X, y = website
    models = {"rule": WordCountRule(), "words": words()}
    alone, two = (compare(models, X, y, cv=2, n_repeats=1, n_jobs=n) for n in (None, 2))
    pd.testing.assert_frame_equal(
        alone.folds.drop(columns="seconds"), two.folds.drop(columns="seconds")
    )


def test_folds_of_distinct_texts_equal_those_of_scikit_learn(coins):
    X, y = coins
    splits = [
        split
        for seed in np.random.RandomState(7).randint(np.iinfo(np.int32).max, size=2).tolist()
        for split in DedupStratifiedKFold(4, shuffle=True, random_state=seed).split(X, y)
    ]
    expected = cross_validate(Coin(0.7), X, y, cv=splits, scoring="accuracy")["test_score"]
    comparison = compare({"coin": Coin(0.7)}, X, y, cv=4, n_repeats=2, random_state=7)
    assert comparison.folds["accuracy"].tolist() == pytest.approx(expected.tolist())
    assert comparison.folds["repeat"].tolist() == [0] * 4 + [1] * 4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"estimators": {}}, "estimators is empty. Pass a dict"),
        ({"reference": "b"}, r"reference is 'b'\. Choose one of \['a'\]"),
        ({"n_repeats": 0}, "n_repeats == 0, must be >= 1"),
        ({"cv": KFold(2)}, "The number of folds must be of Integral type"),
        ({"X": []}, "X has 0 rows"),
    ],
)
def test_invalid_arguments_are_rejected(arguments, message):
    given = {"estimators": {"a": Coin()}, "X": ["0 0", "1 1", "0 2", "1 3"], "y": [0, 1, 0, 1]}
    given |= arguments
    if not given["X"]:
        given["y"] = []
    with pytest.raises(ValueError, match=message):
        compare(given.pop("estimators"), given.pop("X"), given.pop("y"), **given)


def test_an_unknown_score_is_rejected(coins):
    comparison = compare({"a": Coin(), "b": Coin(seed=1)}, *coins, cv=2, n_repeats=1)
    with pytest.raises(ValueError, match=r"score is 'auc'\. Choose one of \['accuracy', 'f1'"):
        comparison.differences("auc")
