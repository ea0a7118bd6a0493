"""Splits: no text on both sides, classes in proportion, usable as cv=."""

import os
import pickle
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import event, given
from hypothesis import strategies as st
from sklearn import clone, config_context
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import StackingClassifier
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    GridSearchCV,
    StratifiedKFold,
    TunedThresholdClassifierCV,
    check_cv,
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


@pytest.fixture(scope="module")
def pages(snippets):
    """Return one of 40 pages for each row; most texts are on several pages."""
    return np.random.default_rng(2).integers(0, 40, size=len(snippets[0]))


@pytest.fixture
def told(caplog):
    """Return what was logged so far."""

    def messages():
        assert {record.name for record in caplog.records} <= {"skbert_filter"}
        return caplog.messages

    return messages


def sides(texts, train, test):
    return {texts[i] for i in train}, {texts[i] for i in test}


def as_lists(splits):
    return [(train.tolist(), test.tolist()) for train, test in splits]


def pickled(cv):
    return pickle.loads(pickle.dumps(cv))


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
    with pytest.raises(ValueError, match=r"Class 'rare' .*dedup_train_test_split needs.* 2"):
        dedup_train_test_split(X, y)


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


@pytest.mark.parametrize("cv", SPLITTERS[1:3], ids=lambda cv: type(cv).__name__)
@pytest.mark.parametrize("copied", [lambda cv: clone(cv, safe=False), pickled], ids=str)
def test_copies_of_a_splitter_split_alike(cv, copied, snippets, pages):
    copy = copied(cv)
    assert repr(copy) == repr(cv)
    assert as_lists(copy.split(*snippets, pages)) == as_lists(cv.split(*snippets, pages))


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


@pytest.mark.parametrize("kind", [pa.string(), pa.string_view()])
@pytest.mark.parametrize("container", [pa.record_batch, pa.table])
def test_one_split_gives_batches_and_tables_of_arrow(container, kind, snippets):
    X, y = snippets
    rows = container({"text": pa.array(list(map(str, X)), kind)})
    parts = dedup_train_test_split(rows, y, random_state=0)[:2]
    assert [(type(part), part.schema) for part in parts] == [(type(rows), rows.schema)] * 2
    expected = dedup_train_test_split(X, y, random_state=0)[:2]
    assert [part["text"].to_pylist() for part in parts] == list(map(list, expected))


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


def check_grouped(X, groups, train, test):
    """Check one split by groups against its definition."""
    rows = range(len(X))
    train_groups, test_groups = sides(groups, train, test)
    assert not train_groups & test_groups
    assert test.tolist() == [i for i in rows if groups[i] in test_groups]
    tested = {X[i] for i in test}
    assert train.tolist() == [i for i in rows if groups[i] in train_groups and X[i] not in tested]


@pytest.mark.parametrize("cv", SPLITTERS, ids=lambda cv: type(cv).__name__)
def test_whole_groups_go_to_one_side_and_their_shared_texts_are_tested(cv, snippets, pages):
    X, y = snippets
    splits = list(cv.split(X, y, groups=pages))
    assert len(splits) == cv.get_n_splits(X, y, pages)
    for train, test in splits:
        check_grouped(X, pages, train, test)
        assert set(y[train]) == set(y[test]) == {0, 1}


def test_folds_of_groups_test_every_row_once_and_train_on_every_other_text(snippets, pages):
    X, y = snippets
    splits = list(DedupStratifiedKFold(5).split(X, y, pages))
    assert sorted(np.concatenate([test for _, test in splits])) == list(range(len(X)))
    for train, test in splits:
        assert set.union(*sides(X, train, test)) == set(X)


@pytest.fixture(scope="module")
def sites():
    """Return 3,000 texts on 200 sites of 6 to 24, a third of them kept, none shared."""
    groups = np.repeat(np.arange(200), np.resize([6, 24, 15], 200))[:3000]
    y = (groups + np.arange(3000)) % 3 // 2
    return [f"text {i}" for i in range(3000)], y, groups


def test_folds_of_groups_are_alike_in_size_and_classes(sites):
    X, y, groups = sites
    for cv in (DedupStratifiedKFold(5), DedupStratifiedKFold(5, shuffle=True, random_state=1)):
        for _, test in cv.split(X, y, groups):
            assert len(test) == pytest.approx(600, abs=12)
            assert y[test].mean() == pytest.approx(1 / 3, abs=0.01)


def test_random_groups_have_nearly_the_sizes_asked_for(sites):
    X, y, groups = sites
    cv = DedupStratifiedShuffleSplit(5, train_size=1200, test_size=0.2, random_state=0)
    for train, test in cv.split(X, y, groups):
        for side, size in ((train, 1200), (test, 600)):
            assert len(side) == pytest.approx(size, abs=45)
            assert y[side].mean() == pytest.approx(1 / 3, abs=0.03)
    for train, test in DedupStratifiedShuffleSplit(2, random_state=0).split(X, y, groups):
        assert len(test) == pytest.approx(300, abs=30)
        assert len(train) + len(test) == 3000


def test_groups_of_any_container_are_split_alike(snippets, pages):
    X, y = snippets
    cv = DedupStratifiedKFold(3)
    expected = as_lists(cv.split(X, y, pages))
    names = [f"page {page}" for page in pages]
    for same in (
        pages.tolist(),
        names,
        np.array(names),
        pd.Series(names, index=np.random.default_rng(1).permutation(len(X)), dtype="category"),
        pl.Series(names),
        pl.Series(names).to_arrow(),
    ):
        assert as_lists(cv.split(X, y, same)) == expected


def test_groups_of_mixed_types_stay_apart():
    X, y = [f"text {i}" for i in range(8)], [0, 1] * 4
    groups = [1, 1, "1", "1", None, None, "x", "x"]
    with pytest.raises(ValueError, match=r"Row 4 of groups is missing \(None\), as are 1 more"):
        list(DedupStratifiedKFold(2).split(X, y, groups))
    folds = list(DedupStratifiedKFold(4).split(X, y, [1, 1, "1", "1", 2, 2, "x", "x"]))
    assert sorted(test.tolist() for _, test in folds) == [[0, 1], [2, 3], [4, 5], [6, 7]]


def test_what_is_left_out_is_told_once_for_all_splits(told):
    X = ["Menu", "Menu", "a", "b", "Menu", "Legal", "c", "d", "Legal"]
    y = [0, 0, 0, 1, 0, 0, 0, 1, 0]
    first = next(DedupStratifiedKFold(2).split(X, y, groups=[0] * 4 + [1] * 5))
    assert as_lists([first]) == [([2, 3], [4, 5, 6, 7, 8])]
    assert told() == [
        "DedupStratifiedKFold(n_splits=2) drops rows to keep each text on one side: "
        "2 of 4 training rows (1 of 3 distinct texts); 1 of 5 training rows (1 of 4 distinct "
        "texts)."
    ]


def test_nothing_is_told_where_nothing_is_left_out(sites, snippets, told):
    X, y, groups = sites
    for cv in SPLITTERS:
        list(cv.split(X, y, groups))
        list(cv.split(*snippets))
    dedup_train_test_split(X, y, groups=groups, validation_size=0.2)
    assert told() == []


TELLING = """
import sys

import numpy as np
from sklearn.dummy import DummyClassifier
from sklearn.model_selection import cross_val_score
from skbert_filter import (
    DedupStratifiedKFold, DedupStratifiedShuffleSplit, dedup_train_test_split
)

rng = np.random.default_rng(0)
X = [f"text {i}" for i in rng.zipf(1.3, size=400) % 120]
y = [len(text) % 2 for text in X]
groups = [f"page {i}" for i in rng.integers(0, 30, size=400)]
print([test.tolist() for _, test in DedupStratifiedKFold(3).split(X, y, groups)])
cv = DedupStratifiedShuffleSplit(3, random_state=0)
print([test.tolist() for _, test in cv.split(X, y, groups)])
print(dedup_train_test_split(X, y, groups=groups, validation_size=0.2, random_state=0))
X = np.reshape(X, (-1, 1))
cv = DedupStratifiedKFold(3)
cross_val_score(DummyClassifier(), X, y, groups=groups, cv=cv, n_jobs=int(sys.argv[1]))
"""


def test_a_plain_script_is_told_and_its_splits_do_not_depend_on_hashes():
    runs = [
        subprocess.run(
            [sys.executable, "-W", "error", "-c", TELLING, n_jobs],
            env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        )
        for seed, n_jobs in (("1", "1"), ("2", "2"))
    ]
    assert runs[0].stdout == runs[1].stdout
    assert runs[0].stderr == runs[1].stderr
    lines = runs[0].stderr.splitlines()
    assert [line.partition(" drops rows")[0] for line in lines] == [
        "DedupStratifiedKFold(n_splits=3)",
        "DedupStratifiedShuffleSplit(n_splits=3)",
        "dedup_train_test_split",
        "DedupStratifiedKFold(n_splits=3)",
    ]
    assert re.search(r"\d+ of \d+ validation rows .*; \d+ of \d+ training rows", lines[2])


@pytest.mark.parametrize("cv", SPLITTERS[1:3], ids=lambda cv: type(cv).__name__)
def test_scikit_learn_passes_groups_without_routing(cv, snippets, pages, classifier):
    X, y = snippets
    splits = list(cv.split(X, y, pages))
    model = LeakDetector()

    def equal(call):
        by_groups, by_rows = call(cv=cv, groups=pages), call(cv=splits)
        assert np.array_equal(by_groups, by_rows)

    def validated(**how):
        results = cross_validate(model, X, y, return_indices=True, error_score="raise", **how)
        return np.concatenate(results["indices"]["train"])

    def searched(cv, **groups):
        search = GridSearchCV(model, {"C": [0.1, 1]}, cv=cv, refit=False, error_score="raise")
        return search.fit(X, y, **groups).cv_results_["mean_test_score"]

    def learnt(**how):
        return learning_curve(classifier, X, y, train_sizes=[0.5, 1.0], **how)[2]

    equal(lambda **how: cross_val_score(model, X, y, error_score="raise", **how))
    equal(validated)
    equal(searched)
    equal(learnt)
    if isinstance(cv, DedupStratifiedKFold):
        equal(lambda **how: cross_val_predict(model, X, y, **how))


def test_groups_may_be_routed_and_left_out(snippets, pages, classifier):
    X, y = snippets
    X = np.array(X, dtype=object)
    cv = DedupStratifiedKFold(3)

    def fitted(cv, **groups):
        calibrated = CalibratedClassifierCV(classifier, cv=cv).fit(X, y, **groups)
        tuned = TunedThresholdClassifierCV(classifier, cv=cv, thresholds=9).fit(X, y, **groups)
        search = GridSearchCV(classifier, {"logisticregression__C": [0.1, 1]}, cv=cv)
        score = cross_val_score(classifier, X, y, cv=cv, params=groups)
        return [
            *calibrated.predict_proba(X)[:, 1],
            tuned.best_threshold_,
            *search.fit(X, y, **groups).cv_results_["mean_test_score"],
            *score,
        ]

    by_rows = fitted(list(cv.split(X, y, pages)))
    plain = fitted(cv)
    with config_context(enable_metadata_routing=True):
        assert np.allclose(fitted(cv, groups=pages), by_rows)
        assert np.allclose(fitted(cv), plain)
        renamed = DedupStratifiedKFold(3).set_split_request(groups="page")
        assert np.allclose(fitted(renamed, page=pages), by_rows)
    assert not np.allclose(plain, by_rows)


def test_groups_may_be_tuples():
    X, y = [f"text {i}" for i in range(8)], [0, 1] * 4
    named = [("soap.example", i // 2) for i in range(8)]
    numbered = [i // 2 for i in range(8)]
    cv = DedupStratifiedKFold(2)
    assert as_lists(cv.split(X, y, named)) == as_lists(cv.split(X, y, numbered))


@pytest.mark.parametrize(
    "arguments",
    [
        {"n_splits": 2.5},
        {"n_splits": 1},
        {"shuffle": "yes"},
        {"random_state": 0},
        {"shuffle": False, "random_state": np.random.RandomState(0)},
    ],
    ids=str,
)
def test_folds_refuse_what_those_of_scikit_learn_refuse(arguments):
    with pytest.raises((TypeError, ValueError)) as expected:
        StratifiedKFold(**arguments)
    with pytest.raises(expected.type, match=re.escape(str(expected.value))):
        DedupStratifiedKFold(**arguments)


def test_a_number_of_random_splits_that_is_none_is_refused():
    with pytest.raises(ValueError, match="n_splits == 0, must be >= 1"):
        next(DedupStratifiedShuffleSplit(0).split(["a", "b", "c", "d"], [0, 1, 0, 1]))


@pytest.mark.parametrize(
    "cv", [DedupStratifiedKFold(2), DedupStratifiedKFold(np.int64(2), shuffle=True)], ids=str
)
def test_stacking_uses_folds_again_and_again(cv, snippets, classifier):
    X, y = snippets
    assert check_cv(cv, y, classifier=True) is cv
    before = as_lists(cv.split(X, y))
    for _ in range(2):
        model = StackingClassifier([("nb", classifier)], final_estimator=classifier[1:], cv=cv)
        assert clone(model).fit(X, y).predict(X[:2]).shape == (2,)
    # It has set a random state, as it does in scikit-learn's splitters.
    after = as_lists(cv.split(X, y))
    if not cv.shuffle:
        assert after == before
        cv.random_state = np.random.RandomState(7)
        assert as_lists(cv.split(X, y)) == before


def test_sides_too_small_for_the_classes_are_refused_by_their_sizes():
    X, y = [f"text {i}" for i in range(30)], [0, 1, 2] * 10
    with pytest.raises(ValueError, match=r"sets of 5, 2, 23 .* each of the 3 classes"):
        dedup_train_test_split(X, y, validation_size=2, test_size=5)
    with pytest.raises(ValueError, match="y is None: pass the labels"):
        dedup_train_test_split(X, None, stratify=False)


@pytest.mark.parametrize(
    "texts", [pd.Series(["a", "b", "a", "c", "d"]).unique(), pd.Index(["a", "b", "c", "d"])]
)
def test_arrays_and_indexes_of_pandas_are_split_as_they_are(texts):
    parts = dedup_train_test_split(texts, [0, 1, 0, 1], test_size=0.5, random_state=0)
    assert type(parts[0]) is type(texts)
    assert sorted([*parts[0], *parts[1]]) == ["a", "b", "c", "d"]


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        ([0, 0, 0, 1, 1, 1, 2, np.nan], r"Row 7 of groups is missing \(.*nan.*\), as are 0 more"),
        ([0, 1], r"groups has the shape \(2,\), but X has 8 rows"),
        ([[0, 1]] * 8, r"groups has the shape \(8, 2\), but X has 8 rows"),
        ([7] * 8, "The number of different groups is 1, but .* needs at least 2"),
        (
            [0, 0, 1, 1, 1, 1, 0, 0],
            r"set of split 0 would be left without a text of class [01], whose 4 .* are in 1 of",
        ),
    ],
    ids=["missing", "short", "wide", "one", "class"],
)
@pytest.mark.parametrize(
    "split",
    [
        lambda *data: next(DedupStratifiedKFold(2).split(*data)),
        lambda *data: next(DedupStratifiedShuffleSplit(2, test_size=0.5).split(*data)),
        lambda X, y, groups: dedup_train_test_split(X, y, groups=groups),
    ],
    ids=["KFold", "ShuffleSplit", "train_test_split"],
)
def test_groups_that_cannot_be_split_are_refused(split, groups, message):
    with pytest.raises(ValueError, match=message):
        split([*"abcdefgh"], [0, 0, 1, 1, 1, 1, 0, 0], groups)


def test_a_training_set_without_a_text_of_its_own_is_refused():
    X, y, groups = [*"abcd"] * 2, [0, 0, 1, 1] * 2, [0] * 4 + [1] * 4
    with pytest.raises(
        ValueError, match="the training set of split 0 would be left without a text of class 0"
    ):
        next(DedupStratifiedKFold(2).split(X, y, groups))
    with pytest.raises(ValueError, match="dedup_train_test_split: the training set"):
        dedup_train_test_split(X, y, groups=groups)


TEXTS_AND_GROUPS = st.lists(
    st.tuples(st.sampled_from("aAbBcdefghij"), st.integers(0, 1), st.integers(0, 7)),
    min_size=8,
    max_size=60,
)
REFUSALS = "has too few distinct texts|number of different groups|would be left without"


@given(
    TEXTS_AND_GROUPS,
    st.sampled_from([*SPLITTERS[:3], DedupStratifiedKFold(2, key="casefold")]),
)
def test_any_texts_and_groups_split_as_defined(rows, cv):
    X, y, groups = map(list, zip(*rows, strict=True))
    try:
        splits = list(cv.split(X, y, groups))
    except ValueError as error:
        event("refused")
        if not re.search(REFUSALS, str(error)):
            raise
        return
    event("split")
    keys = [text.casefold() for text in X] if cv.key == "casefold" else X
    for train, test in splits:
        check_grouped(keys, groups, train, test)
        assert set.union(*sides(keys, train, test)) == set(keys)
    if isinstance(cv, DedupStratifiedKFold):
        assert sorted(np.concatenate([test for _, test in splits])) == list(range(len(X)))
    assert as_lists(cv.split(X, y, groups)) == as_lists(splits)


@given(TEXTS_AND_GROUPS, st.booleans(), st.booleans(), st.integers(0, 5))
def test_any_texts_split_in_three_without_a_leak(rows, by_groups, stratify, seed):
    X, y, groups = map(list, zip(*rows, strict=True))

    def three_sides():
        return dedup_train_test_split(
            X,
            y,
            range(len(X)),
            groups=groups if by_groups else None,
            validation_size=0.3,
            test_size=0.3,
            stratify=stratify,
            random_state=seed,
        )

    try:
        parts = three_sides()
    except ValueError as error:
        event("refused")
        if not re.search(f"{REFUSALS}|make sets of|cannot all hold", str(error)):
            raise
        return
    event("split")
    assert parts == three_sides()
    train, val, test = (list(rows) for rows in parts[6:])
    assert parts[:6] == [[of[i] for i in side] for of in (X, y) for side in (train, val, test)]
    if not by_groups:
        groups = X
    taken: set[str] = set()
    for side in (test, val, train):
        of_side = {groups[i] for i in side}
        assert side == [i for i in range(len(X)) if groups[i] in of_side and X[i] not in taken]
        taken |= {X[i] for i in side}
    assert taken == set(X)


@pytest.mark.parametrize(
    "sizes",
    [
        {"test_size": 0.2, "validation_size": 0.1},
        {"test_size": 18, "validation_size": 9, "train_size": 0.7},
        {"validation_size": 0.1, "train_size": 63},
    ],
    ids=str,
)
def test_three_sets_have_the_sizes_and_classes_asked_for(sizes, snippets):
    X, y = snippets
    parts = dedup_train_test_split(X, y, np.arange(300), random_state=0, **sizes)
    assert [len(set(texts)) for texts in parts[:3]] == [63, 9, 18]
    for texts, labels, rows in zip(parts[:3], parts[3:6], parts[6:], strict=True):
        assert texts == [X[i] for i in rows]
        assert np.array_equal(labels, y[rows])
        assert len(set(np.array(texts)[labels == 1])) == len(set(texts)) / 3


def test_three_sets_may_leave_texts_unused(snippets):
    X, y = snippets
    X_train, X_val, X_test, *_ = dedup_train_test_split(
        X, y, test_size=20, validation_size=10, train_size=30, random_state=0
    )
    assert [len(set(texts)) for texts in (X_train, X_val, X_test)] == [30, 10, 20]


def test_three_sets_of_whole_groups(snippets, pages, told):
    X, y = snippets
    parts = dedup_train_test_split(
        X, y, pages, groups=pages, test_size=0.3, validation_size=0.2, random_state=0
    )
    for sides_of in (parts[:3], parts[6:]):
        train, val, test = map(set, sides_of)
        assert not train & val | train & test | val & test
    assert [len(set(texts)) for texts in parts[:3]] == pytest.approx([45, 18, 27], abs=3)
    [message] = told()
    n_val, n_train = re.findall(r"(\d+) of \d+ \w+ rows", message)
    assert int(n_val) + int(n_train) == 300 - sum(map(len, parts[:3]))


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"test_size": 0.5, "validation_size": 0.5}, "make sets of 45, 45, 0 of the 90 distinct"),
        ({"test_size": 60, "validation_size": 40}, "test_size=60 and validation_size=40 and"),
        ({"test_size": 0.5, "train_size": 0.6}, "make sets of 45, 54 of the 90"),
        ({"test_size": 0.2, "validation_size": 0.001}, "make sets of 18, 0, 72 of the 90"),
        ({"validation_size": 1.0}, "validation_size is 1.0. Pass a share above 0 and below 1"),
        ({"test_size": 90}, "test_size is 90. Pass .* a number of distinct texts from 1 to 89"),
        ({"train_size": "half"}, "train_size is 'half'. Pass a share"),
    ],
    ids=str,
)
def test_sizes_that_cannot_be_had_are_refused(sizes, message, snippets, pages):
    for groups in (None, pages):
        with pytest.raises(ValueError, match=message):
            dedup_train_test_split(*snippets, groups=groups, **sizes)
    if "validation_size" not in sizes:
        with pytest.raises(ValueError, match=message):
            next(DedupStratifiedShuffleSplit(2, **sizes).split(*snippets))


def test_a_class_without_texts_for_three_sets_is_named():
    X, y = [f"text {i}" for i in range(30)], ["often"] * 28 + ["rare"] * 2
    with pytest.raises(ValueError, match=r"'rare' .* \(1\): .*, once the test texts are taken,"):
        dedup_train_test_split(X, y, test_size=0.5, validation_size=0.25, random_state=0)


SNIPPETS = Path(__file__).parents[2] / "shared" / "data" / "web_snippets.csv.gz"


@pytest.mark.skipif(not SNIPPETS.exists(), reason=f"the data for measuring is not at {SNIPPETS}")
def test_folds_by_page_of_real_snippets():
    table = pd.read_csv(SNIPPETS, keep_default_na=False)
    X, y, pages = table["text"].to_numpy(), table["label"].to_numpy(), table["page"].to_numpy()
    for train, test in DedupStratifiedKFold(5).split(X, y, pages):
        check_grouped(X, pages, train, test)
        assert len(set(X[test])) / len(set(X)) == pytest.approx(0.25, abs=0.03)
        # Below the .24 of all texts: a page has more than its share of what is on many pages.
        assert y[test][~pd.Series(X[test]).duplicated()].mean() == pytest.approx(0.2, abs=0.03)
        assert len(X) - len(train) - len(test) < 0.3 * len(X)
