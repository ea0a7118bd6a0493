"""Text and label input: every container in, every bad row named."""

import datetime
import decimal
import enum
import re
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array
from sklearn.exceptions import DataConversionWarning

from skbert_filter.duplicates.rows import take_rows
from skbert_filter.validation import check_labels, check_texts, find_texts

TEXTS = ["View All", "", "  ", "naïve ☕", "مرحبا", "a\0b"]


class Word(str, enum.Enum):  # noqa: UP042 (str() of its members is their name)
    KEEP, DROP = "keep", "drop"


class Code(enum.IntEnum):
    KEEP, DROP = 1, 0


class Bare(enum.Enum):
    KEEP, DROP = 1, 0


ANY_TEXT = st.text(st.characters())  # with lone surrogates

CONTAINERS = {
    "list": list,
    "tuple": tuple,
    "object array": lambda texts: np.array(texts, dtype=object),
    "str array": lambda texts: np.array(texts, dtype=str),
    "StringDType array": lambda texts: np.array(texts, dtype=np.dtypes.StringDType()),
    "column array": lambda texts: np.array(texts, dtype=object).reshape(-1, 1),
    "pandas str": lambda texts: pd.Series(texts, dtype="str"),
    "pandas object": lambda texts: pd.Series(texts, dtype=object),
    "pandas Arrow": lambda texts: pd.Series(texts, dtype=pd.ArrowDtype(pa.string())),
    "pandas string": lambda texts: pd.Series(texts, dtype="string"),
    "pandas category": lambda texts: pd.Series(texts, dtype="category"),
    "pandas index": lambda texts: pd.Index(texts),
    "pandas frame": lambda texts: pd.DataFrame({"to_list": texts}),
    "polars series": lambda texts: pl.Series(texts, dtype=pl.String),
    "polars frame": lambda texts: pl.DataFrame({"text": pl.Series(texts, dtype=pl.String)}),
    "Arrow array": lambda texts: pa.array(texts, pa.string()),
    "Arrow chunks": lambda texts: pa.chunked_array([texts[:2], texts[2:]], pa.string()),
    "Arrow table": lambda texts: pa.table({"text": pa.array(texts, pa.string())}),
    "Arrow batch": lambda texts: pa.record_batch({"text": pa.array(texts, pa.string())}),
    "Arrow views": lambda texts: pa.table({"text": pa.array(texts, pa.string_view())}),
}


@pytest.mark.parametrize("container", CONTAINERS.values(), ids=CONTAINERS)
@pytest.mark.parametrize("texts", [TEXTS, []], ids=["texts", "empty"])
def test_every_container_gives_its_texts(container, texts):
    checked = check_texts(container(texts))
    assert checked == texts
    assert all(type(text) is str for text in checked)


def test_a_shuffled_index_does_not_change_the_order():
    assert check_texts(pd.Series(["a", "b", "c"], index=[2, 0, 1])) == ["a", "b", "c"]


def test_the_list_returned_is_not_the_list_given():
    texts = ["a"]
    check_texts(texts).append("b")
    assert texts == ["a"]


@given(st.lists(ANY_TEXT))
def test_any_unicode_passes_unchanged(texts):
    assert check_texts(texts) == texts
    assert check_texts(tuple(texts)) == texts
    assert check_texts(np.array(texts, dtype=object)) == texts
    assert check_texts(pd.Series(texts, dtype=object)) == texts
    assert check_texts([np.str_(text) for text in texts]) == texts


@given(
    st.lists(ANY_TEXT, max_size=5),
    st.sampled_from([None, float("nan"), np.float32("nan"), pd.NA, pd.NaT, decimal.Decimal("NaN")]),
)
def test_a_missing_text_is_named_by_its_row(before, missing):
    rows = [*before, missing, "after", None]
    for container in (rows, np.array(rows, dtype=object), pd.Series(rows, dtype=object)):
        with pytest.raises(ValueError, match=rf"Row {len(before)} of X is missing \("):
            check_texts(container)


@pytest.mark.parametrize(
    "container",
    [
        pd.Series(["a", None], dtype="str"),
        pd.Series(["a", None], dtype="string"),
        pd.Series(["a", None], dtype=pd.ArrowDtype(pa.string())),
        pl.Series(["a", None]),
        pa.array(["a", None]),
        pd.DataFrame({"text": ["a", np.nan]}),
        np.ma.array(["a", "b"], mask=[False, True]),
    ],
    ids=lambda container: type(container).__name__,
)
def test_a_missing_text_is_found_in_typed_containers(container):
    with pytest.raises(ValueError, match=r"Row 1 of X_val is missing .*fill them with"):
        check_texts(container, name="X_val")


@given(
    st.lists(ANY_TEXT, max_size=5),
    st.one_of(st.integers(), st.floats(allow_nan=False), st.booleans(), st.just(["a"])),
)
def test_a_row_of_another_type_is_named(before, value):
    message = rf"Row {len(before)} of X is of type {type(value).__name__} .*not str"
    with pytest.raises(TypeError, match=message):
        check_texts([*before, value, "after"])


def test_bytes_are_refused_with_the_decoding():
    with pytest.raises(TypeError, match=r"Row 1 of X is of type bytes .*decode\('utf-8'\)"):
        check_texts(["a", b"b"])
    with pytest.raises(TypeError, match="Row 0 of X is of type bytes"):
        check_texts(np.array([b"a"]))


@pytest.mark.parametrize(
    ("X", "error", "message"),
    [
        ("View All", TypeError, r"X is one str \('View All'\).*Pass a list of str"),
        (b"View All", TypeError, "X is one bytes"),
        (np.array("View All"), TypeError, "X is of type ndarray. Pass a list"),
        ({"text": ["a"]}, TypeError, "X is of type dict. Pass a list"),
        ({"a", "b"}, TypeError, "X is of type set"),
        (5, TypeError, r"X is of type int \(5\)"),
        (None, TypeError, r"X is of type NoneType \(None\)"),
        (csr_array(np.eye(2)), TypeError, "X is of type csr_array"),
        (np.array([["a", "b"]]), ValueError, r"shape \(1, 2\).*Select it"),
        (pd.DataFrame({"a": ["x"], "b": ["y"]}), ValueError, r"shape \(1, 2\)"),
        (pl.DataFrame({"a": ["x"], "b": ["y"]}), ValueError, r"shape \(1, 2\)"),
        (pa.table({"a": ["x"], "b": ["y"]}), ValueError, r"shape \(1, 2\)"),
        (pd.DataFrame(index=[0, 1]), ValueError, r"shape \(2, 0\)"),
        (np.array([1, 2]), TypeError, "Row 0 of X is of type int"),
        (np.empty((1, 1, 1), dtype=object), ValueError, r"shape \(1, 1, 1\)"),
    ],
    ids=str,
)
def test_what_is_no_column_of_texts_is_refused(X, error, message):
    with pytest.raises(error, match=message):
        check_texts(X)


def test_the_loop_in_the_refusal_of_a_generator_works():
    with pytest.raises(TypeError, match=r"X is a generator, .*no length") as refusal:
        check_texts(text for text in TEXTS)
    loop = re.search(r"    (rows = .*)", str(refusal.value), re.DOTALL)
    assert loop is not None
    seen: list[str] = []

    class Model:
        predict = staticmethod(seen.extend)

    exec(
        "import itertools\n" + loop[1].replace("\n    ", "\n"),
        {"X": (text for text in TEXTS), "model": Model},
    )
    assert seen == TEXTS


@pytest.mark.parametrize(
    "X",
    [
        [],
        [[1.0, 2.0]],
        [{"a": 1}],
        [b"a"],
        [None],
        np.zeros((2, 1)),
        np.zeros(2),
        csr_array(np.eye(2)),
        pd.DataFrame({"a": ["x"], "b": ["y"]}),
        {"a": 1},
        None,
    ],
    ids=str,
)
def test_find_texts_leaves_other_input_alone(X):
    assert find_texts(X) is None


def test_find_texts_holds_texts_to_the_rules():
    assert find_texts(pd.DataFrame({"text": ["a", "b"]})) == ["a", "b"]
    with pytest.raises(ValueError, match="Row 0 of X is missing"):
        find_texts([None, "a"])
    with pytest.raises(TypeError, match="Row 1 of X is of type int"):
        find_texts(["a", 5])
    with pytest.raises(TypeError, match="X is one str"):
        find_texts("a")
    with pytest.raises(TypeError, match="X is a generator"):
        find_texts(text for text in ["a"])


@pytest.mark.parametrize(
    ("y", "expected"),
    [
        ([1, 0], [1, 0]),
        ((True, False), [True, False]),
        (["keep", "discard"], ["keep", "discard"]),
        (np.array([1, 0], dtype=object), [1, 0]),
        (pd.Series([1, 0], index=[5, 4]), [1, 0]),
        (pd.Series([1, 0], dtype="Int64"), [1, 0]),
        (pd.Series(["a", "b"], dtype="category"), ["a", "b"]),
        (pd.Series(["a", "b"], dtype="str"), ["a", "b"]),
        (pl.Series([1, 0]), [1, 0]),
        (pl.Series(["a", "b"]), ["a", "b"]),
        (pa.chunked_array([["a", "b"]]), ["a", "b"]),
        (np.array(["a", "b"], dtype=np.dtypes.StringDType()), ["a", "b"]),
        ([Word.KEEP, Word.DROP], ["keep", "drop"]),
        ([Word.KEEP, "drop"], ["keep", "drop"]),
        (np.array([Word.KEEP, Word.DROP], dtype=object), ["keep", "drop"]),
        (pd.Series([Word.KEEP, Word.DROP]), ["keep", "drop"]),
        (pd.Series([Word.KEEP, Word.DROP], dtype="category"), ["keep", "drop"]),
        ([Code.KEEP, Code.DROP], [1, 0]),
        ([decimal.Decimal(1), decimal.Decimal("0.00")], [1, 0]),
    ],
    ids=lambda value: f"{type(value).__name__}",
)
def test_labels_of_any_container_become_an_array(y, expected):
    labels = check_labels(y, 2)
    assert labels.shape == (2,)
    assert labels.tolist() == expected
    assert labels.dtype.kind != "O" or isinstance(expected[0], str)
    assert {type(label) for label in labels.tolist()} == {type(expected[0])}


def test_labels_of_one_column_work_and_warn_as_in_scikit_learn():
    for y in (pd.DataFrame({"label": [1, 0]}), np.array([[1], [0]]), [[1], [0]]):
        with pytest.warns(DataConversionWarning, match="column-vector"):
            assert check_labels(y, 2).tolist() == [1, 0]


def test_labels_keep_the_type_of_their_array():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert check_labels(np.array([1, 0], dtype=np.int8), 2).dtype == np.int8


@pytest.mark.parametrize(
    ("y", "message"),
    [
        ([1, 0, 1], "labels has 3 labels, but X_val has 2 rows"),
        ([1, None], r"Row 1 of labels is missing \(None\)"),
        (["a", float("nan")], r"Row 1 of labels is missing \(nan\)"),
        (np.array([np.nan, 1.0]), r"Row 0 of labels is missing \(.*nan.*\), 1 in all"),
        (pd.Series([1, None], dtype="Int64"), "Row 1 of labels is missing"),
        (pl.Series(["a", None]), "Row 1 of labels is missing"),
        ([1, "a"], "labels mixes labels of the types int, str"),
        ([0.5, 1.5], "Unknown label type: continuous"),
        (
            [Bare.KEEP, Bare.DROP],
            r"of type Bare .*\[label\.value for label in labels\]",
        ),
        ([datetime.date(2026, 1, 1)] * 2, r"is of type date .*, which is not a label\. Use str"),
        ([decimal.Decimal("0.5"), decimal.Decimal(1)], r"of type Decimal \(Decimal\('0.5'\)\)"),
        ([decimal.Decimal("inf"), decimal.Decimal(1)], "of type Decimal"),
        ([2**64, 1], r"int \(18446744073709551616\), which is not .*int of 64 bits"),
        (
            np.array(["a", None], np.dtypes.StringDType(na_object=None)),
            "Row 1 of labels is missing",
        ),
        (np.eye(2), "should be a 1d array"),
        ("ab", "should be a 1d array"),
    ],
    ids=str,
)
def test_bad_labels_are_refused(y, message):
    with pytest.raises(ValueError, match=message):
        check_labels(y, 2, name="labels", of="X_val")


VIEW = pa.string_view()


@pytest.mark.parametrize(
    "rows",
    [
        pa.array(["a", "b", None], VIEW),
        pa.chunked_array([["a"], ["b", None]], VIEW),
        pa.array([["a"], [], None], pa.list_(VIEW)),
        pa.array([["a"], ["b"], None], pa.list_(VIEW, 1)),
        pa.array([["a"], [], None], pa.large_list_view(VIEW)),
        pa.array([{"a": "x"}, None, {"a": "y"}], pa.struct({"a": VIEW})),
        pa.array([[("a", "x")], [], None], pa.map_(VIEW, VIEW)),
        pa.DictionaryArray.from_arrays(pa.array([1, 0, None]), pa.array(["a", "b"], VIEW)),
        pa.record_batch({"a": ["x", "y", None]}),
        pa.record_batch({"a": pa.array([b"x", b"y", None], pa.binary_view()), "b": [1, 2, 3]}),
        pa.table({"a": pa.chunked_array([[["x"]], [[], ["y"]]], pa.list_(VIEW))}),
    ],
    ids=lambda rows: str(rows.type) if hasattr(rows, "type") else type(rows).__name__,
)
def test_rows_of_arrow_are_taken_in_their_container_also_views(rows):
    taken = take_rows(rows, np.array([2, 0]))
    assert type(taken) is type(rows)
    kind = "type" if hasattr(rows, "type") else "schema"
    assert getattr(taken, kind) == getattr(rows, kind)
    assert taken.to_pylist() == [rows.to_pylist()[2], rows.to_pylist()[0]]
