"""The baselines learn what they claim to learn."""

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.model_selection import cross_val_score

from skbert_filter.inspection.baselines import (
    WordCountRule,
    tfidf_baseline,
    tfidf_shape_baseline,
)
from skbert_filter.testing import parametrize_with_text_checks


def texts_of(counts):
    return [" ".join(["word"] * count) for count in counts]


def best_accuracy_by_search(counts, y, weight):
    """Try every threshold in both directions, one after another."""
    counts, weight = np.asarray(counts), np.asarray(weight)
    best = 0.0
    for threshold in range(max(counts) + 2):
        for long, short in [(0, 1), (1, 0)]:
            right = np.where(counts >= threshold, long, short) == y
            best = max(best, weight[right].sum() / weight.sum())
    return best


@given(
    st.lists(
        st.tuples(st.integers(0, 12), st.integers(0, 1), st.integers(1, 4)), min_size=2, max_size=30
    ).filter(lambda rows: len({label for _, label, _ in rows}) == 2)
)
def test_no_threshold_is_more_accurate_and_probabilities_agree(rows):
    counts, y, weight = map(list, zip(*rows, strict=True))
    texts = texts_of(counts)
    rule = WordCountRule().fit(texts, y, sample_weight=weight)

    expected = best_accuracy_by_search(counts, y, weight)
    assert rule.score(texts, y, sample_weight=weight) == pytest.approx(expected)
    proba = rule.predict_proba(texts)
    np.testing.assert_array_equal(rule.classes_[proba.argmax(axis=1)], rule.predict(texts))


@pytest.mark.parametrize("long_label", [0, 1])
def test_the_direction_is_learnt_and_probabilities_rank_by_word_count(long_label):
    counts = np.arange(1, 21)
    y = np.where(counts >= 8, long_label, 1 - long_label)
    rule = WordCountRule().fit(texts_of(counts), y)

    assert rule.threshold_ == 8
    assert rule.long_class_ == long_label
    assert (np.diff(rule.predict_proba(texts_of(range(40)))[:, long_label]) > 0).all()


def test_weights_move_the_threshold_like_copies():
    texts, y = texts_of([1, 2, 3, 4, 5, 6]), [0, 1, 0, 0, 1, 1]
    weight = [1, 5, 1, 1, 1, 1]
    weighted = WordCountRule().fit(texts, y, sample_weight=weight)
    copied = WordCountRule().fit(np.repeat(texts, weight), np.repeat(y, weight))

    assert weighted.threshold_ == copied.threshold_ == 2
    assert weighted.slope_ == pytest.approx(copied.slope_)
    assert WordCountRule().fit(texts, y).threshold_ == 5


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (["a", "b", "c"], r"y holds 3 classes: \['a', 'b', 'c'\]\. Use another classifier, such"),
        (["a", "a", "a"], r"y holds 1 class: \['a'\]\. Pass texts of two\."),
    ],
)
def test_anything_but_two_classes_is_rejected(y, message):
    with pytest.raises(ValueError, match=f"Only binary classification is supported by .*{message}"):
        WordCountRule().fit(["x", "y y", "z z z"], y)


@parametrize_with_text_checks([WordCountRule(), tfidf_shape_baseline()])
def test_baselines_pass_the_checks_of_text_classifiers(estimator, check):
    check(estimator)


@pytest.mark.parametrize("baseline", [WordCountRule(), tfidf_baseline(), tfidf_shape_baseline()])
def test_all_baselines_work_in_cross_validation_on_text_labels(baseline):
    rng = np.random.default_rng(0)
    menu = ["View all", "Read more", "Contact us", "Log in", "Home", "About our team"]
    prose = ["We build pumps for", "Our staff repairs engines of", "They deliver steel to"]
    X = [f"{rng.choice(menu)} {i}" for i in range(60)]
    X += [f"{rng.choice(prose)} many customers in region {i}" for i in range(60)]
    y = np.repeat(["discard", "keep"], 60)

    assert cross_val_score(baseline, X, y, cv=3).min() > 0.95


@pytest.mark.parametrize("baseline", [tfidf_baseline(), tfidf_shape_baseline()])
def test_tfidf_converges_without_a_warning_on_many_classes(baseline):
    rng = np.random.default_rng(0)
    X = [" ".join(rng.choice(["ab", "cd", "ef", "gh", "ij", "kl", "mn"], 6)) for _ in range(300)]

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        baseline.fit(X, rng.integers(0, 5, 300))


@pytest.mark.parametrize(
    ("discard", "keep"),
    [
        ("{} {} Tools And Boats", "{} {} tools and boats"),
        ("{} {} tools and boats", "{} {} tools and boats."),
        ("{} | {} / tools / boats", "{} {} tools boats"),
        ("{} tools {} boats", "{} tools {} boats" + " tools boats" * 8),
    ],
)
def test_shape_distinguishes_texts_with_the_same_words(discard, keep):
    rng = np.random.default_rng(0)
    words = [f"w{i}" for i in range(60)]
    X = [form.format(*rng.choice(words, 2)) for _ in range(60) for form in (discard, keep)]
    y = [0, 1] * 60

    assert tfidf_shape_baseline().fit(X[:60], y[:60]).score(X[60:], y[60:]) > 0.95
