"""Conflicting labels settled for any estimator, in any container."""

from collections import Counter, defaultdict
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from skbert_filter import SmallBertTextFilter
from skbert_filter.duplicates.training_rows import resolve_conflicts, training_rows

# "Menu" has a majority, "Tea" a tie.
X = ["Menu", "Tea", "Menu", "About", "Menu", "Tea"]
Y = ["nav", "nav", "text", "text", "nav", "text"]


def as_list(container):
    for method in ("to_list", "to_pylist", "tolist"):
        if hasattr(container, method):
            return getattr(container, method)()
    return container


@pytest.mark.parametrize(
    ("conflicts", "rows", "labels"),
    [
        ("majority", [0, 2, 3, 4], ["nav", "nav", "text", "nav"]),
        ("drop", [3], ["text"]),
        ("soft", [0, 1, 2, 3, 4, 5], Y),
    ],
)
@pytest.mark.parametrize(
    ("texts", "targets"),
    [
        (list, list),
        (tuple, tuple),
        (lambda x: np.array(x, dtype=object), lambda y: np.array(y, dtype="U9")),
        (
            lambda x: pd.Series(x, index=[5, 5, 1, 0, 2, 9]),
            lambda y: pd.Series(y, dtype="category"),
        ),
        (pl.Series, pl.Series),
        (pa.array, pa.array),
    ],
    ids=["list", "tuple", "NumPy", "pandas", "polars", "Arrow"],
)
def test_containers_are_kept(texts, targets, conflicts, rows, labels):
    given_X: Any = texts(X)
    given_y: Any = targets(Y)
    new_X, new_y, kept = resolve_conflicts(given_X, given_y, conflicts=conflicts)
    assert kept.tolist() == rows
    assert as_list(new_X) == [X[i] for i in rows]
    assert as_list(new_y) == labels
    pairs: list[tuple[Any, Any]] = [(new_X, given_X), (new_y, given_y)]
    for new, old in pairs:
        if hasattr(old, "dtype"):
            assert new.dtype == old.dtype
        if isinstance(old, pd.Series):
            assert new.index.equals(old.index[rows])
        assert type(new) is (list if isinstance(old, tuple) else type(old))
    assert as_list(given_y) == (tuple(Y) if isinstance(given_y, tuple) else Y)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["a", "A ", "b", " B", "c", "\ud800"]),
            st.sampled_from([-1, 0, 5]),
            st.sampled_from([0.0, 0.5, 1.0, 3.0]),
        ),
        min_size=1,
        max_size=25,
    ),
    st.sampled_from(["exact", "casefold"]),
)
def test_any_conflicts_are_settled_as_by_counting(rows, key):
    def fold(text):
        return text.strip().lower() if key == "casefold" else text

    votes: defaultdict[str, Counter] = defaultdict(Counter)
    for text, label, weight in rows:
        if weight:
            votes[fold(text)][label] += weight
    winners = {}
    for text, of in votes.items():
        ranked = [*of.most_common(2), (None, 0)]
        winners[text] = ranked[0][0] if ranked[0][1] > ranked[1][1] else None
    expected = {
        "majority": [
            (i, winners[fold(t)])
            for i, (t, _, w) in enumerate(rows)
            if w and winners[fold(t)] is not None
        ],
        "drop": [(i, y) for i, (t, y, w) in enumerate(rows) if w and len(votes[fold(t)]) == 1],
    }
    texts, labels, weights = ([row[i] for row in rows] for i in range(3))
    for conflicts in ("majority", "drop"):
        new_X, new_y, kept = resolve_conflicts(
            texts, labels, conflicts=conflicts, key=key, sample_weight=weights
        )
        assert list(zip(kept.tolist(), new_y, strict=True)) == expected[conflicts]
        assert new_X == [texts[i] for i in kept]


def test_the_filter_knows_the_same_choices():
    [options] = SmallBertTextFilter._parameter_constraints["conflicts"]
    for conflicts in options.options - {"raise"}:
        assert len(resolve_conflicts(X, Y, conflicts=conflicts)) == 3
    with pytest.raises(ValueError, match=r"must be one of 'majority', 'drop', 'soft', 'raise'"):
        resolve_conflicts(X, Y, conflicts="keep")


def test_the_filters_own_training_rows_are_settled_alike():
    rng = np.random.default_rng(0)
    texts = [f"text {i}" for i in rng.integers(0, 60, size=300)]
    labels, weights = rng.integers(0, 3, size=300), rng.integers(1, 4, size=300).astype(float)
    for conflicts in ("majority", "drop"):
        of_filter = training_rows(texts, labels, weights, 3, conflicts=conflicts)
        new_X, new_y, _ = resolve_conflicts(
            texts, labels, conflicts=conflicts, sample_weight=weights
        )
        assert dict(zip(new_X, new_y, strict=True)) == dict(
            zip(of_filter.texts, of_filter.classes, strict=True)
        )
        assert 0 < of_filter.n_dropped <= of_filter.n_conflicts


def test_soft_rows_belong_to_each_class_by_their_weight():
    rows = training_rows(
        ["Tea", "Menu", "Tea", "Tea", "Soap"],
        np.array([0, 1, 2, 0, 2]),
        np.array([1.0, 1.0, 1.5, 0.5, 3.0]),
        3,
        duplicates="weight",
        conflicts="soft",
    )
    assert rows.texts == ["Menu", "Soap", "Tea"]
    np.testing.assert_allclose(rows.shares, [[0, 1, 0], [0, 0, 1], [0.5, 0, 0.5]])
    assert rows.weights.tolist() == [1.0, 3.0, 3.0]
    assert (rows.n_distinct, rows.n_conflicts, rows.n_dropped) == (3, 1, 0)
    assert rows.take(np.array([2])).shares.tolist() == [[0.5, 0, 0.5]]


def test_settled_rows_belong_to_one_class():
    rows = training_rows(["Tea", "Tea", "Tea", "Soap"], np.array([1, 1, 0, 0]), np.ones(4), 2)
    assert rows.shares.tolist() == [[1, 0], [0, 1]]


def test_rows_of_arrays_and_tables():
    X = np.array([[0.0, np.nan], [1.0, 2.0], [-0.0, np.nan], [0.0, np.nan]])
    for rows in (X, pd.DataFrame(X, index=[3, 3, 1, 2]), pl.DataFrame(X)):
        new_X, new_y, kept = resolve_conflicts(rows, np.array([1, 0, 0, 1]))
        assert new_X.shape == (4, 2)
        assert (new_y.tolist(), kept.tolist()) == ([1, 0, 1, 1], [0, 1, 2, 3])
        with pytest.raises(ValueError, match=r"such as row 0 \(1 in all\)"):
            resolve_conflicts(rows, [1, 0, 0, 1], conflicts="raise")


def test_raise_shows_the_texts_and_passes_what_agrees():
    with pytest.raises(
        ValueError,
        match=r"more than one label, such as 'Menu', 'Tea' \(2 in all\)\. .*'drop' or 'soft'",
    ):
        resolve_conflicts(X, Y, conflicts="raise")
    assert resolve_conflicts(X[2:5:2], [1, 1], conflicts="raise")[1] == [1, 1]
    weights = [1, 1, 0, 1, 1, 0]
    assert resolve_conflicts(X, Y, conflicts="raise", sample_weight=weights)[2].tolist() == [
        0,
        1,
        3,
        4,
    ]


def test_labels_of_rows_that_are_left_fit_any_estimator():
    weights = np.array([1.0, 1.0, 5.0, 1.0, 1.0, 1.0])
    new_X, new_y, rows = resolve_conflicts(X, Y, sample_weight=weights)
    assert new_y == ["text", "text", "text", "text"]
    new_X, new_y, rows = resolve_conflicts([*X, "Home"], [*Y, "nav"])
    model = make_pipeline(CountVectorizer(), LogisticRegression())
    model.fit(new_X, new_y, logisticregression__sample_weight=np.arange(7)[rows])
    assert model.predict(["Menu"]).tolist() == ["nav"]


@pytest.mark.parametrize(
    ("X", "y", "options", "error", "message"),
    [
        (["a", "b"], [0], {}, ValueError, "y has 1 labels, but X has 2 rows"),
        (["a", "b"], [0, None], {}, ValueError, "Row 1 of y is missing"),
        (["a", None], [0, 1], {}, ValueError, "Row 1 of X is missing"),
        ([], [], {}, ValueError, "X has 0 rows"),
        (np.empty((0, 2)), [], {}, ValueError, "X has 0 rows"),
        ([[1.0]], [0], {}, TypeError, "Row 0 of X is of type list"),
        (csr_array(np.eye(2)), [0, 1], {}, TypeError, "X is of type csr_array"),
        (["a"], [0], {"conflicts": "keep"}, ValueError, "conflicts is 'keep'. It must be one "),
        (["a"], [0], {"key": "lower"}, ValueError, "key is 'lower'"),
        (["a"], [0], {"sample_weight": [1, 2]}, ValueError, r"sample_weight.shape == \(2,\)"),
        (["a"], [0], {"sample_weight": [-1]}, ValueError, "Negative values"),
    ],
)
def test_bad_input_is_refused(X, y, options, error, message):
    with pytest.raises(error, match=message):
        resolve_conflicts(X, y, **options)
