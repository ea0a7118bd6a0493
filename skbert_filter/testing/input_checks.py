"""Checks of the containers, texts and labels that a classifier accepts or refuses."""

from importlib.util import find_spec
from typing import Any

import numpy as np
import pandas as pd

from skbert_filter.testing.subject import (
    X_BINARY,
    X_PROBE,
    Y_BINARY,
    Subject,
    assert_same_outputs,
    outputs,
    refused,
    text_check,
)

_UNUSUAL = {
    "an empty text": "",
    "a blank text": " \t\n\u00a0",
    "an emoji": "ripe plum 🍏👩‍🌾",
    "right-to-left text": "שזיף בשל \u200f",
    "NUL": "ripe\0plum",
    "a lone surrogate": "ripe \ud83c plum",
    "one long word": "plum" * 5_000,
    "many words": "ripe plum rusty saw " * 2_000,
}


def _series(values: Any, dtype: Any = None, seed: int = 0) -> pd.Series:
    """Return a Series with a shuffled index, which misleads code that looks rows up by label."""
    index = np.random.default_rng(seed).permutation(len(values))
    return pd.Series(values, index=index, dtype=dtype)


@text_check()
def check_containers(subject: Subject) -> None:
    """Any container of texts gives the same results; bytes are refused or read as UTF-8."""
    containers: dict[str, Any] = {
        "a tuple": tuple(X_PROBE),
        "an array of objects": np.array(X_PROBE, dtype=object),
        "an array of str": np.array(X_PROBE),
        "a pandas Series of objects": _series(X_PROBE, object),
        "a pandas Series of str": _series(X_PROBE, "str"),
        "a pandas Series in Arrow memory": _series(X_PROBE, "string[pyarrow]"),
    }
    if find_spec("polars"):
        import polars as pl

        containers["a polars Series"] = pl.Series(X_PROBE)

    model = subject.binary.model
    for name, texts in containers.items():
        assert_same_outputs(outputs(model, texts), model, f"when X is {name}")

    with refused("bytes", may_pass=True):
        results = outputs(model, [text.encode() for text in X_PROBE])
        assert_same_outputs(results, model, "when X holds bytes")


@text_check("repeatable")
def check_fit_containers(subject: Subject) -> None:
    """`fit` on lists, or on Series with their own indexes, gives the same model."""
    model = subject.new().fit(X_BINARY.tolist(), Y_BINARY.tolist())
    assert_same_outputs(model, subject.binary.model, "when X and y are lists")

    model = subject.new().fit(_series(X_BINARY), _series(Y_BINARY.astype(object), seed=1))
    assert_same_outputs(model, subject.binary.model, "when X and y are Series")


@text_check()
def check_unusual_texts(subject: Subject) -> None:
    """Empty, very long and odd texts are predicted like any other, and may be trained on."""

    def assert_predicted(model: Any, text: str, name: str) -> None:
        for method, result in outputs(model, [text]).items():
            assert len(result) == 1, f"{method} of {name} returns {len(result)} results."
            if method != "predict":
                assert np.all(np.isfinite(result)), f"{method} of {name} is not finite: {result}"

    for name, text in _UNUSUAL.items():
        assert_predicted(subject.binary.model, text, name)

    texts = [*X_BINARY.tolist(), *_UNUSUAL.values()]
    model = subject.new().fit(texts, np.resize(Y_BINARY, len(texts)))
    assert_predicted(model, X_PROBE[0], "a text, after odd ones were fitted,")


@text_check()
def check_empty_data(subject: Subject) -> None:
    """`fit` refuses an empty container; prediction refuses it too, or returns no rows."""
    with refused("fit on no texts"):
        subject.new().fit([], [])

    empties: tuple[Any, ...] = [], np.array([], dtype=object)
    for model, empty in ((fit.model, empty) for fit in subject.fits for empty in empties):
        expected = outputs(model, X_PROBE)
        with refused("prediction of no texts", may_pass=True):
            for method, result in outputs(model, empty).items():
                assert result.shape == (0, *expected[method].shape[1:]), (
                    f"{method} of no texts has the shape {result.shape}."
                )
                assert result.dtype.kind == expected[method].dtype.kind, (
                    f"{method} of no texts has the dtype {result.dtype}."
                )


@text_check()
def check_bare_text_refused(subject: Subject) -> None:
    """A bare str is refused, although it is a sequence of str."""
    with refused("fit on a bare str"):
        subject.new().fit("ab", ["tool", "fruit"])
    with refused("predict of a bare str"):
        subject.binary.model.predict("ripe plum")


@text_check()
def check_non_text_refused(subject: Subject) -> None:
    """Anything among the texts that is not a str is refused: None, NaN, a number, a list."""
    model = subject.binary.model
    for value in (None, np.nan, 3, ["ripe plum"]):
        with refused(f"fit on texts with {value!r} among them"):
            subject.new().fit([*X_BINARY[:-1].tolist(), value], Y_BINARY)
        with refused(f"predict of {value!r}"):
            model.predict(["ripe plum", value])

    with refused("predict of an array of numbers"):
        model.predict(np.arange(3.0))


@text_check()
def check_tables(subject: Subject) -> None:
    """Tables are refused; one with a single column may be read as texts instead."""
    model = subject.binary.model
    with refused("a table of one column", may_pass=True):
        results = outputs(model, pd.DataFrame({"text": X_PROBE}))
        n = len(results["predict"])
        assert n == len(X_PROBE), f"predict of {len(X_PROBE)} rows of a table returns {n} results."
        assert_same_outputs(results, model, "when X is a table of one column")

    texts = X_BINARY.reshape(-1, 2)
    tables: dict[str, Any] = {
        "a table of two columns": pd.DataFrame(texts, columns=["title", "text"]),
        "an array of two columns": texts,
        "an array of three dimensions": texts[:, :, np.newaxis],
    }
    for name, table in tables.items():
        with refused(f"fit on {name}"):
            subject.new().fit(table, Y_BINARY[: len(table)])
        with refused(f"predict of {name}"):
            model.predict(table)


@text_check()
def check_bad_labels_refused(subject: Subject) -> None:
    """Labels that are missing, too few, continuous or of two columns are refused."""
    n = len(Y_BINARY)
    for name, labels, match in (
        ("y=None", None, ""),
        ("y shorter than X", Y_BINARY[:-1], ""),
        ("y with NaN", np.append(np.resize([0.0, 1.0], n - 1), np.nan), ""),
        ("y with None", np.array([*Y_BINARY[:-1], None], dtype=object), ""),
        ("y of continuous numbers", np.linspace(0, 1.9, n), "continuous|label"),
        ("y of two columns", np.column_stack([Y_BINARY, Y_BINARY]), ""),
    ):
        with refused(name, match=match):
            subject.new().fit(X_BINARY, labels)
