"""Reports of duplicates, conflicts and leaks: right figures, and readable whatever the texts."""

import gzip
import pickle
import unicodedata
from collections import Counter
from dataclasses import FrozenInstanceError
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array

from skbert_filter.duplicates.leakage import leakage_report
from skbert_filter.duplicates.reports import duplicate_report
from skbert_filter.io.mojibake import looks_misdecoded

WEB_SNIPPETS = Path(__file__).parents[2] / "shared" / "data" / "web_snippets.csv.gz"

X = ["Menu", "About", "Menu", "We sell tea.", "about", "Menu", "About", "Itâ€™s new"]
Y = ["nav", "nav", "nav", "text", "text", "text", "text", "text"]

CONTAINERS = {
    "list": list,
    "tuple": tuple,
    "object array": lambda texts: np.array(texts, dtype=object),
    "str array of one column": lambda texts: np.array(texts)[:, None],
    "Series": lambda texts: pd.Series(texts, index=np.arange(len(texts)) % 3, dtype=object),
    "frame": lambda texts: pd.DataFrame({"text": texts}, index=np.arange(len(texts))[::-1]),
    "polars": pl.Series,
    "polars frame": lambda texts: pl.DataFrame({"text": texts}),
    "Arrow": pa.array,
    "Arrow table": lambda texts: pa.table({"text": texts}),
    "Arrow batch": lambda texts: pa.record_batch({"text": texts}),
    "Arrow views": lambda texts: pa.table({"text": pa.array(texts, pa.string_view())}),
}
ODD_TEXTS = [
    "",
    " ",
    "two\nlines\ttabbed\r\n",
    "x" * 1_000_000,
    "日本語" * 100,
    "👩‍👩‍👧 🇩🇪 " * 30,
    "שלום עולם " * 30,
    "\u202eright to left\u202c \0 \x1b[31mred \u2028 \x85",
    "lone \ud800 surrogate",
    "[bold]no markup[/bold] :smile:",
    "e\u0301" * 200,
]


def cells(line):
    """Return how many columns of a terminal a line takes."""
    return sum(
        2 if unicodedata.east_asian_width(char) in "WF" else unicodedata.category(char) != "Mn"
        for char in line
    )


@pytest.mark.parametrize("container", CONTAINERS.values(), ids=CONTAINERS)
def test_the_report_of_any_container_is_that_of_its_texts(container):
    report = duplicate_report(container(X), Y)
    assert (report.rows, report.distinct, report.ratio) == (8, 5, 8 / 5)
    assert report.misdecoded == 1 / 5
    assert report.most_frequent["text"].tolist() == [*dict.fromkeys(X)]
    assert report == duplicate_report(X, Y)


@given(
    key=st.sampled_from(["exact", "whitespace", "casefold", str.title]),
    rows=st.lists(
        st.tuples(
            st.sampled_from(["a", "A", " a", "b\n", "B", "c", "dâ€™", "DÂ\xa0", "\ud800", "é"]),
            st.sampled_from(["x", "y", "z"]),
        ),
        max_size=30,
    ),
    n_top=st.integers(0, 12),
)
def test_figures_equal_naive_counts(key, rows, n_top):
    folds: dict = {"exact": str, "whitespace": str.strip, "casefold": lambda t: t.strip().lower()}
    fold = folds.get(key, key)
    texts, labels = [text for text, _ in rows], [label for _, label in rows]
    report = duplicate_report(texts, labels, key=key, n_top=n_top)

    shown: dict[str, str] = {}
    for text in texts:
        shown.setdefault(fold(text), text)
    counts = Counter(shown[fold(text)] for text in texts)
    by_label = {
        label: Counter(shown[fold(t)] for t, of in rows if of == label)
        for label in sorted(set(labels))
    }

    def wrong(of):
        return sum(map(looks_misdecoded, of)) / max(len(of), 1)

    assert (report.rows, report.distinct) == (len(texts), len(counts))
    assert report.misdecoded == pytest.approx(wrong(counts))

    top = report.most_frequent
    assert [(t, n) for t, n in zip(top["text"], top["rows"], strict=True)] == counts.most_common(
        n_top
    )
    assert top["share"].tolist() == pytest.approx([n / len(texts) for n in top["rows"]])
    for label, of in by_label.items():
        assert top[f"rows_{label}"].tolist() == [of[text] for text in top["text"]]

    curve = Counter(counts.values())
    assert report.frequencies["occurrences"].tolist() == sorted(curve, reverse=True)
    assert dict(report.frequencies[["occurrences", "texts"]].to_numpy().tolist()) == curve
    assert report.frequencies["rows"].sum() == len(texts)
    for n in range(len(counts) + 2):
        most = sum(count for _, count in counts.most_common(n))
        assert report.coverage(n) == pytest.approx(most / max(len(texts), 1))

    assert report.by_label is not None
    assert report.by_label.index.tolist() == list(by_label)
    for label, of in by_label.items():
        line = report.by_label.loc[label]
        assert [line["rows"], line["distinct"]] == [of.total(), len(of)]
        assert line["misdecoded"] == pytest.approx(wrong(of))

    conflicting = [
        t for t, _ in counts.most_common() if sum(t in of for of in by_label.values()) > 1
    ]
    assert report.conflicts is not None
    assert report.conflicts["text"].tolist() == conflicting
    assert report.n_conflicting_rows == sum(counts[text] for text in conflicting)
    for line in report.conflicts.to_dict("records"):
        votes = Counter({label: of[line["text"]] for label, of in by_label.items()})
        assert {label: line[f"rows_{label}"] for label in by_label} == votes
        (first, most), (_, second) = votes.most_common(2)
        assert line["majority"] == (None if most == second else first)
    assert str(report)


@pytest.mark.parametrize(
    ("labels", "majority"),
    [
        (["no", "yes", "yes"], "yes"),
        ([-7, 2, 2], 2),
        ([False, True, True], True),
        (pd.Series(["b", "a", "a"], index=[5, 5, 1], dtype="category"), "a"),
        (pl.Series([0, 1, 1]), 1),
        (["majority", "text", "text"], "text"),
    ],
    ids=["str", "int", "bool", "category", "polars", "names of columns"],
)
def test_conflicts_of_labels_of_any_type(labels, majority):
    report = duplicate_report(["Menu", "Menu", "Menu"], labels)
    minority = labels[0] if isinstance(labels, list) else labels.to_list()[0]
    assert report.conflicts is not None
    assert report.conflicts.to_dict("records") == [
        {"text": "Menu", "rows": 3, f"rows_{minority}": 1, f"rows_{majority}": 2}
        | {"majority": majority}
    ]
    assert type(report.conflicts["majority"][0]) is type(majority)
    assert report.by_label is not None
    assert sorted(report.by_label.index) == sorted([minority, majority])
    assert f"{majority!r}: 2, {minority!r}: 1  {majority!r}" in str(report)


def test_misdecoded_texts_are_counted_for_each_label():
    report = duplicate_report(["Itâ€™s", "Weâ€™re", "Menu", "Menu", "Tea"], [1, 1, 1, 0, 0])
    assert report.by_label is not None
    assert report.by_label["misdecoded"].tolist() == [0, 2 / 3]


def test_a_tie_has_no_majority():
    report = duplicate_report(["Menu", "Menu", "Tea"], ["tie", "text", "text"])
    assert report.conflicts is not None
    assert report.conflicts["majority"].tolist() == [None]
    assert "'text': 1, 'tie': 1  tie" in str(report)


@pytest.mark.parametrize(
    "empty",
    [[], (), np.array([]), pd.Series([], dtype=str), pl.Series([]), pa.array([])],
    ids=lambda empty: type(empty).__name__,
)
def test_empty_input(empty):
    for report in (duplicate_report(empty), duplicate_report(empty, [])):
        assert (report.rows, report.distinct, report.coverage(3)) == (0, 0, 0)
        assert np.isnan(report.ratio)
        assert str(report) == "0 rows: nothing to report."
        assert len(report.most_frequent) == len(report.frequencies) == 0
    assert leakage_report(empty, empty).leaks["test_rows"].tolist()[0] == 0


def test_one_row():
    report = duplicate_report(["Menu"], ["nav"])
    assert (report.ratio, report.n_conflicts, report.coverage(1)) == (1, 0, 1)
    assert "'Menu'" in str(report)
    assert "100.0%  'Menu'" in str(duplicate_report(["Menu"] * 3))


def test_printed_lines_are_short_and_plain_whatever_the_texts(monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "20")
    labels = [f"label {i}\n{'long ' * 20}" for i in range(len(ODD_TEXTS))]
    texts = ODD_TEXTS * 2
    for report in (
        duplicate_report(texts, labels + labels[::-1], n_top=30),
        duplicate_report(texts),
        leakage_report(texts, texts, key=lambda text: text[:1], n_top=30),
    ):
        printed = str(report)
        assert max(map(cells, printed.split("\n"))) <= 100
        assert all(char.isprintable() for char in printed.replace("\n", ""))
        assert all(line == line.rstrip() for line in printed.split("\n"))
    shown = [line.split("%  ")[-1] for line in str(duplicate_report(ODD_TEXTS)).split("\n")]
    for text in ODD_TEXTS[:3] + ODD_TEXTS[8:10]:
        assert repr(text) in shown
    assert any(line.endswith("xxx…") for line in shown)


def test_long_tables_are_cut_where_they_are_printed():
    texts = [f"text {i}" for i in range(40)] * 5
    labels = [f"label {i}" for i in range(80)] * 2 + ["label 0"] * 40
    report = duplicate_report(texts, labels, n_top=3)
    assert report.by_label is not None
    assert (len(report.most_frequent), report.n_conflicts, len(report.by_label)) == (3, 40, 80)
    printed = str(report)
    assert printed.count("'text 2'") == 2
    assert "'text 3'" not in printed
    assert "and 70 less frequent ones" in printed


def test_figures_of_several_reports_make_one_table():
    reports = [duplicate_report(X, Y), duplicate_report(X, Y, key="casefold")]
    table = pd.concat([report.to_frame() for report in reports])
    assert table["distinct"].to_dict() == {"exact": 5, "casefold": 4}
    assert table["conflicts"].tolist() == [2, 2]
    assert table["conflicting_rows"].tolist() == [5, 6]
    assert duplicate_report(X).to_frame()["conflicts"].tolist() == [None]


def test_a_function_as_key_is_named():
    def first_letter(text):
        return text[:1]

    report = duplicate_report(X, key=first_letter)
    assert (report.key, report.distinct) == ("first_letter", 5)
    leaks = leakage_report(["Tea"], ["Milk", "Tee"], key=first_letter).leaks
    assert leaks["test_rows"].to_dict() == {
        "exact": 0,
        "whitespace": 0,
        "casefold": 0,
        "first_letter": 1,
    }


def test_reports_are_values():
    report, leaks = duplicate_report(X, Y), leakage_report(X, X)
    for value in (report, leaks):
        assert pickle.loads(pickle.dumps(value)) == value
    assert report not in (duplicate_report(X), duplicate_report(X, Y[::-1]), leaks)
    assert leaks not in (leakage_report(X, X[1:]), report)
    with pytest.raises(FrozenInstanceError):
        report.rows = 3  # type: ignore[misc]
    copy = leaks.to_frame()
    copy["test_rows"] = 0
    assert leaks == leakage_report(X, X)


TRAIN = ["View All", "View All", "VIEW ALL", "We sell tea.", "Zürich"]
TEST = ["View All", "view\nall", "view\nall", " View All", "Coffee", "Zu\u0308rich", "Coffee"]


@pytest.mark.parametrize("container", CONTAINERS.values(), ids=CONTAINERS)
def test_leaks_under_each_key(container):
    report = leakage_report(container(TRAIN), container(TEST))
    assert (report.train_rows, report.train_distinct) == (5, 4)
    assert (report.test_rows, report.test_distinct) == (7, 5)
    leaks = report.to_frame()
    assert leaks["test_rows"].to_dict() == {"exact": 1, "whitespace": 2, "casefold": 5}
    assert leaks["test_texts"].tolist() == [1, 2, 4]
    assert leaks["test_rows_share"].tolist() == [1 / 7, 2 / 7, 5 / 7]
    assert leaks["test_texts_share"].tolist() == [1 / 5, 2 / 5, 4 / 5]
    assert report.examples.to_numpy().tolist() == [
        ["exact", "View All", "View All", 1, 2],
        ["whitespace", " View All", "View All", 1, 2],
        ["casefold", "view\nall", "View All", 2, 3],
        ["casefold", "Zu\u0308rich", "Zürich", 1, 1],
    ]
    assert r"'casefold'    'view\nall'" in str(report)


def test_examples_are_the_most_frequent_ones():
    test = ["rare", "often", "often", "never", "mid", "mid", "often"]
    report = leakage_report(["rare", "often", "mid"], test, n_top=2)
    assert report.examples["text"].tolist() == ["often", "mid"]
    assert report.examples["test_rows"].tolist() == [3, 2]
    assert len(leakage_report(["rare"], test, n_top=0).examples) == 0


@given(
    *[st.lists(st.sampled_from(["a", "A", " a", "b\n", "B", "c", "C\t", "\ud800"]))] * 2,
)
def test_leaks_equal_naive_counts(train, test):
    leaks = leakage_report(train, test).leaks
    folds: dict = {"exact": str, "whitespace": str.strip, "casefold": lambda t: t.strip().lower()}
    for key, fold in folds.items():
        known = set(map(fold, train))
        leaked = [text for text in test if fold(text) in known]
        assert leaks.loc[key, "test_rows"] == len(leaked)
        assert leaks.loc[key, "test_texts"] == len(set(leaked))


@pytest.mark.parametrize(
    ("X", "y", "options", "error", "message"),
    [
        ("a text", None, {}, TypeError, "X is one str"),
        (["a", None], None, {}, ValueError, "Row 1 of X is missing"),
        (["a", 3], None, {}, TypeError, r"Row 1 of X is of type int \(3\)"),
        ([[1.0]], None, {}, TypeError, r"Row 0 of X is of type list"),
        (csr_array(np.eye(2)), None, {}, TypeError, "X is of type csr_array"),
        (["a", "b"], [0], {}, ValueError, "y has 1 labels, but X has 2 rows"),
        (["a", "b"], [0, None], {}, ValueError, "Row 1 of y is missing"),
        (["a", "b"], ["x", 1], {}, ValueError, "y mixes labels of the types int, str"),
        (["a"], None, {"key": "lower"}, ValueError, "key is 'lower'"),
        (np.eye(2), None, {}, ValueError, r"X has the shape \(2, 2\), but texts are one column"),
        (["a"], None, {"n_top": -1}, ValueError, "n_top == -1, must be >= 0"),
        (["a"], None, {"n_top": 1.5}, TypeError, "n_top must be an instance of int"),
    ],
)
def test_bad_input_of_a_duplicate_report_is_refused(X, y, options, error, message):
    with pytest.raises(error, match=message):
        duplicate_report(X, y, **options)


@pytest.mark.parametrize(
    ("X_train", "X_test", "options", "error", "message"),
    [
        (["a"], ["a", None], {}, ValueError, "Row 1 of X_test is missing"),
        ([["a"]], ["a"], {}, TypeError, "Row 0 of X_train is of type list"),
        (["a"], np.eye(2), {}, ValueError, r"X_test has the shape \(2, 2\)"),
        (csr_array(np.eye(2)), csr_array(np.eye(2)), {}, TypeError, "X_train is of type csr_array"),
        (["a"], ["a"], {"key": "casefold"}, TypeError, "key is 'casefold', but the keys 'exact'"),
        (["a"], ["a"], {"key": len}, TypeError, "key returned 1 of type int"),
        (["a"], ["a"], {"n_top": -1}, ValueError, "n_top == -1"),
    ],
)
def test_bad_input_of_a_leakage_report_is_refused(X_train, X_test, options, error, message):
    with pytest.raises(error, match=message):
        leakage_report(X_train, X_test, **options)


@pytest.mark.skipif(not WEB_SNIPPETS.exists(), reason="needs the shared data")
def test_the_web_snippets():
    with gzip.open(WEB_SNIPPETS) as file:
        table = pd.read_csv(file, keep_default_na=False)
    report = duplicate_report(table["text"], table["label"])
    assert (report.rows, report.distinct) == (18_968, 9_513)
    pairs = table.drop_duplicates(["text", "label"])
    assert report.by_label is not None
    assert report.by_label["distinct"].to_dict() == pairs["label"].value_counts().to_dict()
    assert report.n_conflicts == len(pairs) - report.distinct
    assert max(map(cells, str(report).split("\n"))) <= 100
