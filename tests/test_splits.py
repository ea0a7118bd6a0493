"""Splits: no text on both sides, classes in proportion, usable as cv=."""

from collections import Counter

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.calibration import CalibratedClassifierCV
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    GridSearchCV,
    TunedThresholdClassifierCV,
    cross_val_predict,
    cross_val_score,
    cross_validate,
    learning_curve,
)
from sklearn.pipeline import make_pipeline

from skbert_filter import (
    DedupStratifiedKFold,
    DedupStratifiedShuffleSplit,
    dedup_train_test_split,
)


@pytest.fixture(scope="module")
def snippets():
    """Return 300 rows of 90 distinct texts, a third of them kept, some very frequent."""
    rng = np.random.default_rng(0)
    texts = [f"menu item {i}" for i in range(60)] + [f"A sentence about {i}." for i in range(30)]
    often = np.concatenate([np.arange(90), rng.zipf(1.5, size=210) % 90])
    rng.shuffle(often)
    return [texts[i] for i in often], (often >= 60).astype(int)


def sides(texts, train, test):
    return {texts[i] for i in train}, {texts[i] for i in test}


SPLITTERS = [
    DedupStratifiedKFold(5),
    DedupStratifiedKFold(3, shuffle=True, random_state=0),
    DedupStratifiedShuffleSplit(4, test_size=0.2, random_state=0),
    DedupStratifiedShuffleSplit(2, train_size=30, test_size=15, random_state=0),
]


@pytest.mark.parametrize("cv", SPLITTERS, ids=lambda cv: type(cv).__name__)
def test_no_text_is_on_both_sides_and_classes_keep_their_share(cv, snippets):
    X, y = snippets
    splits = list(cv.split(X, y))
    assert len(splits) == cv.get_n_splits(X, y)
    label_of = dict(zip(X, y, strict=True))
    for train, test in splits:
        train_texts, test_texts = sides(X, train, test)
        assert not train_texts & test_texts
        for texts, rows in ((train_texts, train), (test_texts, test)):
            assert sorted(rows) == list(rows)
            assert set(rows) == {i for i, text in enumerate(X) if text in texts}
            kept = sum(label_of[text] for text in texts)
            assert kept == pytest.approx(len(texts) / 3, abs=1)


def test_folds_cover_every_row_once_and_balance_distinct_texts(snippets):
    X, y = snippets
    tests = [test for _, test in DedupStratifiedKFold(5).split(X, y)]
    assert sorted(np.concatenate(tests)) == list(range(len(X)))
    assert [len({X[i] for i in test}) for test in tests] == [18] * 5


def test_sizes_of_random_splits_count_distinct_texts(snippets):
    X, y = snippets
    for train, test in DedupStratifiedShuffleSplit(3, test_size=0.2, random_state=0).split(X, y):
        assert [len(side) for side in sides(X, train, test)] == [72, 18]
    [(train, test)] = DedupStratifiedShuffleSplit(1, train_size=30, test_size=15).split(X, y)
    assert [len(side) for side in sides(X, train, test)] == [30, 15]


@pytest.mark.parametrize("cv", SPLITTERS, ids=lambda cv: type(cv).__name__)
def test_containers_of_one_content_are_split_alike(cv, snippets):
    X, y = snippets
    expected = list(cv.split(X, y))
    shuffled_index = np.random.default_rng(1).permutation(len(X))
    for same in (
        tuple(X),
        np.array(X, dtype=object),
        pd.Series(X, index=shuffled_index),
        pd.DataFrame({"text": X}),
        pl.Series(X),
        pl.Series(X).to_arrow(),
    ):
        for (train, test), (same_train, same_test) in zip(expected, cv.split(same, y), strict=True):
            assert np.array_equal(train, same_train)
            assert np.array_equal(test, same_test)


def test_rows_of_arrays_and_tables_are_kept_together():
    rng = np.random.default_rng(0)
    X = rng.integers(0, 3, size=(200, 2)).astype(float)
    X[X == 2] = np.nan
    y = (np.nan_to_num(X[:, 0], nan=2) > 0).astype(int)
    for rows in (X, pd.DataFrame(X, columns=["a", "b"])):
        for train, test in DedupStratifiedKFold(3).split(rows, y):
            seen = {X[i].tobytes() for i in train}
            assert not seen & {X[i].tobytes() for i in test}


def test_the_seed_decides(snippets):
    X, y = snippets

    def tests(seed):
        cv = DedupStratifiedKFold(3, shuffle=True, random_state=seed)
        return [test.tolist() for _, test in cv.split(X, y)]

    assert tests(0) == tests(0)
    assert tests(0) != tests(1)


@given(
    st.lists(
        st.tuples(st.sampled_from(["A", "a", " a", "B", "b ", "c", "D", "e"]), st.booleans()),
        min_size=1,
        max_size=40,
    ),
    st.sampled_from(["exact", "whitespace", "casefold"]),
)
def test_any_repeats_and_conflicts_split_without_a_leak(rows, key):
    folds: dict = {"exact": str, "whitespace": str.strip, "casefold": lambda t: t.strip().lower()}
    fold = folds[key]
    X, y = [text for text, _ in rows], [label for _, label in rows]
    counts: dict[str, Counter] = {text: Counter() for text in map(fold, X)}
    for text, label in rows:
        counts[fold(text)][label] += 1
    majority = Counter(count[True] > count[False] for count in counts.values())
    cv = DedupStratifiedKFold(2, key=key)
    if min(majority.values()) < 2:
        with pytest.raises(ValueError, match=r"Class (True|False) has too few .* \(1\)"):
            list(cv.split(X, y))
        return
    for train, test in cv.split(X, y):
        assert not {fold(X[i]) for i in train} & {fold(X[i]) for i in test}
        assert len(train) + len(test) == len(X)


def test_a_text_of_two_labels_counts_for_the_frequent_one():
    X = ["a", "a", "a", "b", "c", "d"]
    y = ["no", "yes", "yes", "yes", "no", "no"]
    for train, test in DedupStratifiedKFold(2).split(X, y):
        for side in (train, test):
            assert len({"a", "b"} & {X[i] for i in side}) == 1


def test_a_class_with_too_few_texts_is_named():
    X, y = ["a"] * 5 + ["b", "c", "d"], ["rare"] * 5 + ["often"] * 3
    with pytest.raises(
        ValueError,
        match=r"Class 'rare' has too few .* \(1\): DedupStratifiedKFold.*least 3",
    ):
        list(DedupStratifiedKFold(3).split(X, y))
    with pytest.raises(ValueError, match=r"Class 'rare' has too few.*at least 2"):
        list(DedupStratifiedShuffleSplit(3).split(X, y))
    with pytest.raises(ValueError, match=r"Class 'rare' has too few.*a stratified"):
        dedup_train_test_split(X, y)


def test_groups_are_refused():
    with pytest.raises(ValueError, match="groups is not supported by DedupStratifiedKFold"):
        next(DedupStratifiedKFold(2).split(["a", "b"] * 2, [0, 1] * 2, groups=[0, 0, 1, 1]))


@pytest.mark.parametrize(
    ("X", "y", "error", "message"),
    [
        ([], [], TypeError, "X is of type list, without texts"),
        ([[1.0], [2.0]], [0, 1], TypeError, "X is of type list, without texts"),
        (["a", None], [0, 1], ValueError, "Row 1 of X is missing"),
        (["a", "b"], [0, None], ValueError, "Row 1 of y is missing"),
        (["a", "b"], [0], ValueError, "y has 1 labels, but X has 2 rows"),
        (["a", "b"], [0.5, 1.5], ValueError, "continuous"),
    ],
    ids=str,
)
def test_bad_input_is_refused(X, y, error, message):
    with pytest.raises(error, match=message):
        next(DedupStratifiedKFold(2).split(X, y))


def test_splitters_show_their_parameters():
    assert " ".join(repr(DedupStratifiedKFold(3, key="casefold")).split()) == (
        "DedupStratifiedKFold(key='casefold', n_splits=3, random_state=None, shuffle=False)"
    )


@pytest.fixture(scope="module")
def classifier():
    return make_pipeline(CountVectorizer(), LogisticRegression())


class LeakDetector(LogisticRegression):
    """Fails the test as soon as it is scored on a text it was fitted on."""

    def fit(self, X, y):
        self.seen_ = set(X)
        self.vectorizer_ = CountVectorizer().fit(X)
        return super().fit(self.vectorizer_.transform(X), y)

    def decision_function(self, X):
        assert not self.seen_ & set(X)
        return super().decision_function(self.vectorizer_.transform(X))

    def predict_proba(self, X):
        return np.column_stack([-self.decision_function(X), self.decision_function(X)])


@pytest.mark.parametrize("cv", SPLITTERS[:3], ids=lambda cv: type(cv).__name__)
def test_no_leak_inside_scikit_learn(cv, snippets):
    X, y = snippets
    cross_val_score(LeakDetector(), X, y, cv=cv, error_score="raise")
    cross_validate(LeakDetector(), X, y, cv=cv, scoring="roc_auc", error_score="raise")
    search = GridSearchCV(LeakDetector(), {"C": [0.1, 1]}, cv=cv, refit=False, error_score="raise")
    search.fit(X, y)
    assert search.n_splits_ == cv.get_n_splits()


def test_usable_wherever_scikit_learn_takes_cv(snippets, classifier):
    X, y = snippets
    X = np.array(X, dtype=object)
    cv = DedupStratifiedKFold(3, shuffle=True, random_state=0)
    assert cross_val_predict(classifier, X, y, cv=cv).shape == y.shape
    assert CalibratedClassifierCV(classifier, cv=cv).fit(X, y).predict_proba(X).shape == (300, 2)
    assert TunedThresholdClassifierCV(classifier, cv=cv).fit(X, y).predict(X).shape == y.shape
    sizes, _, scores = learning_curve(classifier, X, y, cv=cv, train_sizes=[0.5, 1.0])
    assert scores.shape == (2, 3)
    assert sizes[0] < sizes[1]


@pytest.mark.parametrize("stratify", [True, False])
@pytest.mark.parametrize("key", ["exact", "casefold"])
def test_one_split_keeps_containers_and_rows_together(stratify, key, snippets):
    X, y = snippets
    X = [text.upper() if i % 2 else text for i, text in enumerate(X)]
    frame = pd.DataFrame({"text": X}, index=np.arange(300)[::-1])
    X_train, X_test, y_train, y_test, rows_train, rows_test = dedup_train_test_split(
        frame, y, range(300), test_size=0.3, key=key, stratify=stratify, random_state=0
    )
    fold = str.casefold if key == "casefold" else str
    assert not set(map(fold, X_train["text"])) & set(map(fold, X_test["text"]))
    assert len({*map(fold, X_test["text"])}) == np.ceil(0.3 * len(set(map(fold, X))))
    for part, labels, rows in ((X_train, y_train, rows_train), (X_test, y_test, rows_test)):
        pd.testing.assert_frame_equal(part, frame.iloc[list(rows)])
        assert isinstance(labels, np.ndarray)
        assert np.array_equal(labels, y[list(rows)])
        assert list(rows) == sorted(rows)


def test_the_default_share_is_that_of_train_test_split(snippets):
    X, y = snippets
    X_train, X_test, _, _ = dedup_train_test_split(X, y, random_state=0)
    assert [len(set(X_train)), len(set(X_test))] == [67, 23]
    X_train, X_test, _, _ = dedup_train_test_split(X, y, train_size=10, random_state=0)
    assert [len(set(X_train)), len(set(X_test))] == [10, 80]


def test_one_split_without_classes_takes_any_target(snippets):
    X, _ = snippets
    target = np.linspace(0, 1, len(X))
    *_, y_train, y_test = dedup_train_test_split(X, target, stratify=False, random_state=0)
    assert sorted([*y_train, *y_test]) == target.tolist()


def test_one_split_refuses_arrays_of_another_length(snippets):
    X, y = snippets
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        dedup_train_test_split(X, y, [1, 2])
