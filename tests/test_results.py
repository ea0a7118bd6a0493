"""Results as bytes and back: equal in every respect, or refused."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_np
from scipy.sparse import csr_array

from skbert_filter.duplicates.results import from_bytes, to_bytes

ARRAYS = {
    "labels": np.array(["a", "discard", "é"]),
    "bool": np.array([True, False, True]),
    "reversed": np.arange(3.0)[::-1],
    "Fortran order": np.asfortranarray(np.arange(6, dtype=np.float32).reshape(3, 2)),
    "three dimensions": np.arange(12).reshape(3, 2, 2),
    "no columns": np.zeros((3, 0)),
    "one column": np.arange(3).reshape(3, 1),
    "big endian": np.arange(3, dtype=">i4"),
    "days": np.array(["2020-01-01", "NaT", "1970-01-01"], "M8[D]"),
    "complex": np.array([1j, np.nan, -0.0]),
    "bytes": np.array([b"a", b"bc", b""]),
}


@pytest.mark.parametrize("array", ARRAYS.values(), ids=ARRAYS)
def test_arrays(array):
    layout, values = to_bytes(array, "predict")
    back = from_bytes(layout, values)
    assert back.dtype == array.dtype
    assert len(values) == 3
    np.testing.assert_array_equal(back, array, strict=True)


@given(
    st_np.arrays(
        st.sampled_from([bool, np.int8, np.float16, np.float64, "<U3", "M8[s]"]),
        st_np.array_shapes(min_dims=1, max_dims=3, max_side=4),
    ),
    st.data(),
)
def test_rows_are_read_in_any_order(array, data):
    layout, values = to_bytes(array, "predict")
    rows = data.draw(st.lists(st.integers(0, len(array) - 1), min_size=1))
    back = from_bytes(layout, [values[i] for i in rows])
    np.testing.assert_array_equal(back, array[rows], strict=True)


def test_labels_in_an_array_of_objects():
    labels = np.array(["keep", "\ud800", "", "a\0"], dtype=object)
    layout, values = to_bytes(labels, "predict")
    back = from_bytes(layout, values)
    assert back.dtype == object
    assert back.tolist() == labels.tolist()


def test_labels_of_several_outputs():
    labels = np.array([["a", "\ud800"], ["", 'b"'], ["c", "\n"]], dtype=object)
    back = from_bytes(*to_bytes(labels, "predict"))
    assert back.dtype == object
    assert back.tolist() == labels.tolist()


@pytest.mark.parametrize("method", ["transform", "predict_proba"])
def test_a_list_of_arrays_is_refused(method):
    with pytest.raises(TypeError, match=rf"{method} .* returned a builtins.list"):
        to_bytes([np.zeros(2), np.ones(2)], method)


@pytest.mark.parametrize(
    "result",
    [
        csr_array(np.eye(3)),
        np.array([1, "a", None], dtype=object),
        pl.DataFrame({"a": [1.0, 3.0]}),
        pa.table({"a": [1, 2, 3]}),
        [1, 2, 3],
        ["a", "b", "c"],
        pd.Series([1, 2, 3]),
        pd.DataFrame({"a": [1, 2, 3]}),
    ],
    ids=lambda result: f"{type(result).__module__}.{type(result).__name__}",
)
def test_what_bytes_cannot_hold_is_refused(result):
    with pytest.raises(
        TypeError, match=r"transform of the wrapped .*store cannot keep.*store=None"
    ):
        to_bytes(result, "transform")


def test_a_layout_of_another_version_is_refused():
    with pytest.raises(ValueError, match=r"result of type .pandas., .* Name another file"):
        from_bytes('{"type": "pandas", "parts": []}', [b""])
