"""Keys: what counts as equal, and the numbering of distinct values."""

import os
import subprocess
import sys
import threading
import unicodedata
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.sparse import csr_array

from skbert_filter.duplicates.keys import (
    factorize,
    first_rows,
    first_seen,
    kind_of,
    row_keys,
    stable_hashes,
    text_keys,
)

ANY_TEXT = st.text(st.characters())  # with lone surrogates


def codes_of(X):
    return first_seen(row_keys(X))[0].tolist()


@given(st.lists(st.sampled_from(["a", "a\0", "a\0b", "\ud800", "\ud801", "", "é", "é"])))
def test_distinct_values_are_numbered_as_first_seen(texts):
    codes, distinct = first_seen(texts)
    assert distinct == list(dict.fromkeys(texts))
    assert codes.dtype == np.intp
    assert [distinct[code] for code in codes] == texts
    rows = first_rows(codes)
    assert [texts[row] for row in rows] == distinct
    assert all(texts.index(texts[row]) == row for row in rows)


@given(st.lists(ANY_TEXT))
def test_exact_keys_are_the_texts(texts):
    assert text_keys(texts) == texts


@pytest.mark.parametrize(
    ("key", "text", "expected"),
    [
        ("whitespace", "\tView\u00a0\u2003All\r\n", "View All"),
        ("whitespace", " \n ", ""),
        ("whitespace", "zero\u200bwidth", "zero\u200bwidth"),
        ("casefold", " STRASSE  Straße", "strasse strasse"),
        ("casefold", "CAFE\u0301", "café"),
        ("casefold", "x² ﬁ", "x² fi"),
        (str.title, "view all", "View All"),
    ],
)
def test_a_policy_folds_a_text(key, text, expected):
    assert list(text_keys([text, text], key)) == [expected, expected]


@given(ANY_TEXT, ANY_TEXT)
def test_casefold_ignores_composition_case_and_blanks(left, right):
    text = f"{left} {right}"
    variants = [
        text,
        f"  {left}\t\n{right} ",
        unicodedata.normalize("NFC", text),
        unicodedata.normalize("NFD", text),
        unicodedata.normalize("NFD", text).casefold(),
    ]
    keys = text_keys(variants, "casefold")
    assert len(set(keys)) == 1
    assert list(text_keys(keys, "casefold")) == list(keys)


@given(ANY_TEXT)
def test_whitespace_folds_no_further_than_blanks(text):
    [key] = text_keys([text], "whitespace")
    assert key.split() == text.split()
    assert key == " ".join(key.split())


def test_a_callable_sees_each_distinct_text_once():
    seen = []

    def key(text):
        seen.append(text)
        return text[:1]

    assert text_keys(["ab", "ac", "ab"], key) == ["a", "a", "a"]
    assert seen == ["ab", "ac"]


def test_a_callable_that_returns_no_str_is_refused_by_row():
    def key(text) -> Any:
        return text if text == "a" else len(text)

    with pytest.raises(TypeError, match=r"key returned 1 of type int for row 2 \('b'\)"):
        text_keys(["a", "a", "b"], key)


def test_an_unknown_policy_is_refused():
    key: Any = "lower"
    with pytest.raises(ValueError, match=r"key is 'lower'.*'exact', 'whitespace', 'casefold'"):
        text_keys(["a"], key)


def test_keys_are_the_same_in_another_process():
    texts = ["İstanbul  STRASSE", "CAFE\u0301 \u2003 ﬁ", "\ud800 A"]
    code = (
        "from skbert_filter.duplicates.keys import text_keys\n"
        f"print(ascii([list(text_keys({texts!a}, key)) for key in ('whitespace', 'casefold')]))"
    )
    other = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    ).stdout
    here = [list(text_keys(texts, key)) for key in ("whitespace", "casefold")]
    assert other.strip() == ascii(here)


@pytest.mark.parametrize(
    "dtype", ["f2", "f4", "f8", ">f8", "longdouble", "c8", "c16", "object"], ids=str
)
def test_rows_with_nan_and_negative_zero_are_equal(dtype):
    X = np.array([[np.nan, 0.0], [1.0, 0.0], [-np.nan, -0.0], [1.0, 1.0]]).astype(dtype)
    before = X.copy()
    assert codes_of(X) == [0, 1, 0, 2]
    assert codes_of(np.asfortranarray(X)) == [0, 1, 0, 2]
    assert X.tobytes() == before.tobytes()


@given(
    hnp.arrays(
        st.sampled_from(["f4", "f8", "i1", "i8", "u8", "?"]),
        hnp.array_shapes(min_dims=2, max_dims=2, min_side=0, max_side=6),
        elements={"allow_nan": True, "min_value": None, "max_value": None},
    )
)
def test_row_keys_agree_with_numpy_on_any_numbers(X):
    codes, distinct = first_seen(row_keys(X))
    assert len(codes) == len(X)
    same = np.array(
        [[np.array_equal(a, b, equal_nan=X.dtype.kind == "f") for b in X] for a in X]
    ).reshape(len(X), len(X))
    assert np.array_equal(codes[:, None] == codes[None, :], same)
    assert len(distinct) == (len(np.unique(codes)) if len(X) else 0)


TABLE = {
    "number": [1.5, float("nan"), 1.5, float("nan"), 1.5],
    "zero": [0.0, 1.0, -0.0, 1.0, 0.0],
    "text": ["a", None, "a", None, "a\0"],
    "flag": [True, False, True, False, True],
    "big": [2**60, 2**60 + 1, 2**60, 2**60 + 1, 2**60],
}


@pytest.mark.parametrize(
    "table",
    [
        pd.DataFrame(TABLE),
        pd.DataFrame(TABLE, index=[3, 3, 1, 0, 2]).astype({"text": "category"}),
        pd.DataFrame(TABLE).convert_dtypes(),
        pl.DataFrame(TABLE),
        pa.table(TABLE),
        np.array(list(zip(*TABLE.values(), strict=True)), dtype=object),
    ],
    ids=["pandas", "pandas category", "pandas nullable", "polars", "Arrow", "object array"],
)
def test_rows_of_tables_with_mixed_columns(table):
    assert codes_of(table) == [0, 1, 0, 1, 2]


def test_cells_of_different_types_are_not_equal():
    cells = [1, True, 1.0, "1", None, float("nan"), pd.NA, 1]
    assert codes_of(np.array([cells], dtype=object).T) == [0, 1, 2, 3, 4, 5, 6, 0]


def test_large_integers_beside_floats_stay_apart():
    table = pd.DataFrame({"a": [2**53, 2**53 + 1], "b": [0.5, 0.5]})
    assert codes_of(table) == [0, 1]


def test_rows_without_columns_are_equal():
    assert codes_of(np.empty((2, 0))) == [0, 0]


def test_keys_of_what_is_neither_text_nor_rows():
    for X in ([], [[1.0]], csr_array(np.eye(2)), np.zeros(3), np.zeros((1, 1, 1)), None):
        assert factorize(X) is None
    assert factorize(np.array([[threading.Lock()]])) is None
    assert factorize(np.ma.array([[1.0]], mask=[[True]])) is None
    with pytest.raises(TypeError, match=r"X is of type list. Pass a two-dimensional array"):
        row_keys([[1.0]])


def test_a_key_for_texts_is_refused_for_rows():
    with pytest.raises(ValueError, match=r"key is 'casefold', which is for texts.*\(2, 2\)"):
        factorize(np.eye(2), "casefold")


@given(
    st.lists(st.sampled_from(["View  All", "view all", "", "é", "\u00e9\u0301", "a\0", "a"])),
    st.sampled_from(["exact", "whitespace", "casefold", str.upper]),
)
def test_numbers_are_those_of_the_keys_in_every_container(texts, key):
    expected = first_seen(text_keys(texts, key))
    containers = [
        texts,
        tuple(texts),
        np.array(texts, dtype=object),
        pd.Series(texts, dtype=object),
        pd.Series(texts, dtype="str"),
        pl.Series(texts, dtype=pl.String),
        pa.array(texts, pa.string()),
        pa.array(texts, pa.string_view()),
        pa.chunked_array([texts[:1], texts[1:]], pa.large_string()),
    ]
    for container in containers if texts else []:
        codes, distinct = factorize(container, key)
        assert codes.tolist() == expected[0].tolist()
        assert codes.dtype == np.intp
        assert distinct == expected[1]


def test_bytes_are_no_texts_and_lone_surrogates_stay_apart():
    assert first_seen([b"a", b"b", b"a"])[1] == [b"a", b"b"]
    assert first_seen(["a", b"a", "a"])[1] == ["a", b"a"]
    codes, distinct = first_seen(["\ud800", "\ud801", "\ud800"])
    assert codes.tolist() == [0, 1, 0]
    assert distinct == ["\ud800", "\ud801"]


@pytest.mark.parametrize(
    "container",
    [pa.array(["a", None]), pl.Series(["a", None]), pd.Series(["a", None], dtype="str")],
    ids=lambda container: type(container).__module__,
)
def test_missing_texts_are_refused_by_row_in_containers_of_arrow_too(container):
    with pytest.raises(ValueError, match="Row 1 of X is missing"):
        factorize(container)


def test_a_key_that_returns_no_str_is_refused_by_row():
    with pytest.raises(TypeError, match=r"key returned None of type NoneType for row 2 \('b'\)"):
        factorize(pd.Series(["a", "a", "b"]), key={"a": "a"}.get)


def test_stable_hashes_are_the_same_in_every_process_and_differ_by_content():
    table = {"n": [1.0, -0.0, float("nan")], "s": ["a", None, "a"], "i": [1, 2, 3]}
    code = f"""
import pandas as pd
from skbert_filter.duplicates.keys import stable_hashes
nan = float("nan")
print(stable_hashes(pd.DataFrame({table!r}, dtype=object)) + stable_hashes(["a", "\\ud800"]))
"""
    runs = [
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert runs[0] == runs[1]
    here = stable_hashes(pd.DataFrame(table, dtype=object)) + stable_hashes(["a", "\ud800"])
    assert runs[0] == f"{here}\n"
    assert len(set(here)) == 5


def test_stable_hashes_are_equal_for_equal_rows():
    rows = np.array([[0.0, np.nan], [-0.0, -np.nan], [0.0, 1.0]])
    for X in (rows, pd.DataFrame(rows), rows.astype(object), pd.DataFrame(rows).astype(object)):
        keys = stable_hashes(X)
        assert keys[0] == keys[1] != keys[2]
        assert stable_hashes(X[::-1]) == keys[::-1]
    keys = stable_hashes(np.array([[0.0, "a"], [-0.0, "a"], [0, "a"], [False, "a"]], dtype=object))
    assert keys[0] == keys[1]
    assert len(set(keys)) == 3
    arrow = pa.table({"a": [1, 2], "b": ["x", "y"]})
    assert stable_hashes(arrow) == stable_hashes(arrow.take([1, 0]))[::-1]
    assert len(stable_hashes(pl.DataFrame({"a": [1, 2], "b": ["x", None]}))) == 2
    assert len(stable_hashes(np.empty((2, 0)))) == 2


def test_equal_cells_that_are_not_the_same_stay_apart():
    noon = datetime(2020, 1, 1, 12, tzinfo=UTC)
    cells = [noon, noon.astimezone(timezone(timedelta(hours=1))), Decimal("1.0"), Decimal("1.00")]
    cells += [(1,), (True,), noon]
    assert codes_of(np.array([*cells, None], dtype=object)[:, None]) == [0, 1, 2, 3, 4, 5, 0, 6]


def test_kinds_of_input_tell_what_an_estimator_can_see():
    ordered = pd.CategoricalDtype(["x", "y"])
    inputs = [
        ["x", "y"],
        np.array([["x"], ["y"]], dtype=object),
        np.array([[1.0], [2.0]]),
        np.array([[1.0], [2.0]], dtype=np.float32),
        np.array([[1.0, 1.0], [2.0, 2.0]]),
        pd.DataFrame({"a": ["x", "y"]}),
        pd.DataFrame({"b": ["x", "y"]}),
        pd.DataFrame({"a": [1.0, 2.0]}),
        pd.DataFrame({"b": [1.0, 2.0]}),
        pl.DataFrame({"a": ["x", "y"]}),
        pa.table({"a": ["x", "y"]}),
        pd.Series(["x", "y"], dtype=ordered),
        pd.Series(["x", "y"], dtype=pd.CategoricalDtype(["y", "x"])),
        pd.DataFrame({"a": ["x", "y"]}, dtype=ordered),
        pd.DataFrame({"a": ["x", "y"]}, dtype=pd.CategoricalDtype(["y", "x"])),
        pl.Series(["x", "y"], dtype=pl.Enum(["x", "y"])),
        pl.Series(["x", "y"], dtype=pl.Enum(["y", "x"])),
    ]
    kinds = [kind_of(X) for X in inputs]
    assert len(set(kinds)) == len(kinds)
    assert kind_of(pd.Series(["x"])) == kind_of(pa.array(["x"])) == kind_of(("x",)) == kinds[0]
