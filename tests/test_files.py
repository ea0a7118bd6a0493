"""filter_corpus on every kind of file: what it writes, what it adds, what it refuses."""

import gzip
import json
import os
import subprocess
import sys
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import FixedThresholdClassifier

from skbert_filter import DedupPredictor, filter_corpus
from skbert_filter.inspection.baselines import WordCountRule
from skbert_filter.io.writing import create_table

PROSE = "We repair pumps for ships"


@pytest.fixture(scope="module")
def rule():
    """Return a classifier that keeps texts of three words or more."""
    return WordCountRule().fit(["View All", "About us", "We make tools", PROSE], [0, 0, 1, 1])


class Topics(ClassifierMixin, BaseEstimator):
    """Three classes, by the first letter, with probabilities .5, .3 and .2."""

    def fit(self, X=None, y=None):
        self.classes_ = np.array(["about", "menu", "prose"])
        return self

    def predict_proba(self, X):
        first = ["amp".index(text[0]) for text in X]
        return np.array([np.roll([0.5, 0.3, 0.2], place) for place in first])

    def predict(self, X):
        return self.classes_[self.predict_proba(X).argmax(axis=1)]


def write_bytes(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".gz":
        content = gzip.compress(content)
    elif path.suffix == ".zst":
        content = pa.Codec("zstd").compress(content, asbytes=True)
    path.write_bytes(content)


def read_bytes(path):
    with pa.input_stream(str(path), compression="detect") as stream:
        return stream.read()


@pytest.mark.parametrize("end", ["", ".gz", ".zst"])
def test_lines_are_kept_byte_for_byte(tmp_path, rule, end):
    content = f"{PROSE}\r\nView\r\n\nIt’s a \u2028 line\n{PROSE}\nno end of line"
    write_bytes(tmp_path / f"in.txt{end}", content.encode())
    summary = filter_corpus(rule, tmp_path / f"in.txt{end}", tmp_path / f"out.txt{end}")
    kept = f"{PROSE}\r\nIt’s a \u2028 line\n{PROSE}\nno end of line"
    assert read_bytes(tmp_path / f"out.txt{end}").decode() == kept
    assert (summary.rows, summary.distinct, summary.kept) == (6, 5, 4)


def test_a_folder_gives_the_same_tree_and_names(tmp_path, rule):
    source = tmp_path / "firms"
    texts = {"a.txt": f"View\n{PROSE}\n", "b/c.txt": "Menu\n", "b/d/é.txt": "", "_e.txt": PROSE}
    for name, text in texts.items():
        write_bytes(source / name, text.encode())
    write_bytes(source / "t.csv", f"id,text\n007,{PROSE}\n".encode())
    # A name with "=" is a partition, whatever it begins with.
    write_bytes(source / "_year=2020/f.txt", b"")
    left_out = (
        "_SUCCESS",
        ".DS_Store",
        ".cache/x.txt",
        "_temporary/0/x.csv",
        "b/_delta_log/x.parquet",
    )
    for ignored in (*left_out, "b/.hive-staging_1/x.txt", ".x.txt.crc"):
        write_bytes(source / ignored, b"\xff")

    summary = filter_corpus(rule, source, tmp_path / "kept")

    found = {
        path.relative_to(tmp_path / "kept").as_posix(): path.read_text("utf-8")
        for path in (tmp_path / "kept").rglob("*")
        if path.is_file()
    }
    assert found == {
        "a.txt": f"{PROSE}\n",
        "b/c.txt": "",
        "b/d/é.txt": "",
        "_e.txt": PROSE,
        "_year=2020/f.txt": "",
        "t.csv": f'"id","text"\n"007","{PROSE}"\n',
    }
    assert (summary.files, summary.rows, summary.distinct, summary.kept) == (6, 5, 3, 3)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["firms", "kept"]


def test_texts_of_small_files_go_to_the_model_together(tmp_path):
    calls = []

    class Recording(Topics):
        def predict(self, X):
            calls.append(list(X))
            return super().predict(X)

    for i in range(20):
        write_bytes(tmp_path / "in" / f"{i:02}.txt", f"about {i}\nmenu\n".encode())
    filter_corpus(Recording().fit(), tmp_path / "in", tmp_path / "out", keep="menu")
    assert calls == [["about 0", "menu", *(f"about {i}" for i in range(1, 20))]]


def test_texts_whose_lines_could_be_rows_are_reported(tmp_path, rule):
    write_bytes(tmp_path / "in/a.tsv", b'text\n"We began in 1990.\nMenu\nWe never stopped."\n')
    write_bytes(tmp_path / "in/b.csv", b'"text"\n"We sell tea\nand coffee"\n')
    summary = filter_corpus(rule, tmp_path / "in", tmp_path / "out")
    assert summary.rows == 2
    assert "1 CSV file has texts in quotation marks that span lines" in str(summary)


def test_a_parquet_dataset_keeps_each_schema(tmp_path, rule):
    parts = {
        "year=2020/part-0.parquet": pa.table({"text": [PROSE, "View"], "n": [1, 2]}),
        "year=2021/part-0.parquet": pa.table({"n": [None, 0.5], "text": ["View", PROSE]}),
    }
    for name, table in parts.items():
        (tmp_path / "in" / name).parent.mkdir(parents=True)
        pq.write_table(table, tmp_path / "in" / name)
    filter_corpus(rule, tmp_path / "in", tmp_path / "out")
    kept = [pq.ParquetFile(tmp_path / "out" / name).read() for name in parts]
    assert [table.to_pylist() for table in kept] == [
        [{"text": PROSE, "n": 1}],
        [{"n": 0.5, "text": PROSE}],
    ]


def test_tsv_and_zstd_are_tables_like_others(tmp_path, rule):
    write_bytes(tmp_path / "in.tsv.zst", f'id\ttext\n007\t{PROSE}\nNA\t"a\tb c"\n'.encode())
    filter_corpus(rule, tmp_path / "in.tsv.zst", tmp_path / "out.csv.zst")
    assert read_bytes(tmp_path / "out.csv.zst").decode() == (
        f'"id","text"\n"007","{PROSE}"\n"NA","a\tb c"\n'
    )


@pytest.mark.parametrize("delimiter", [";", "|", "\t"])
def test_a_delimiter_is_found_and_kept_if_the_format_stays(tmp_path, rule, delimiter):
    content = f"id,text\n007,{PROSE}\n8,View\n".replace(",", delimiter)
    expected = f'"id","text"\n"007","{PROSE}"\n'
    write_bytes(tmp_path / "in/a.csv", content.encode())
    for name, written in {"a.csv": delimiter, "a.csv.gz": delimiter, "a.tsv": "\t"}.items():
        filter_corpus(rule, tmp_path / "in/a.csv", tmp_path / name)
        assert read_bytes(tmp_path / name).decode() == expected.replace(",", written)
    filter_corpus(rule, tmp_path / "in", tmp_path / "out")
    assert (tmp_path / "out/a.csv").read_text() == expected.replace(",", delimiter)


@pytest.mark.parametrize(("delimiter", "between"), [("~", "~"), ("tab", "\t"), ("\\t", "\t")])
def test_a_delimiter_is_named_where_none_is_found(tmp_path, rule, delimiter, between):
    content = f"first, last{between}text\nAda, L.{between}{PROSE}\n"
    write_bytes(tmp_path / "in.csv", content.encode())
    with pytest.raises(ValueError, match="no column 'text'"):
        filter_corpus(rule, tmp_path / "in.csv", tmp_path / "out.csv")
    audit = tmp_path / "audit.csv"
    filter_corpus(rule, tmp_path / "in.csv", tmp_path / "out.csv", delimiter=delimiter, audit=audit)
    expected = f'"first, last"{between}"text"\n"Ada, L."{between}"{PROSE}"\n'
    assert (tmp_path / "out.csv").read_text() == expected
    assert pd.read_csv(audit)["text"].tolist() == [PROSE]


JSON_LINES = [
    '{"id": 1e400, "text": "We repair pumps", "more": {"a": [1, 2.50]}}',
    ' {"text":"View","id":"2020-01-01"} ',
    '{"other": true, "text": "It\\u2019s \\"three words\\"", "id": null}',
]


def test_json_lines_are_kept_byte_for_byte(tmp_path, rule):
    write_bytes(tmp_path / "in.jsonl.gz", ("\r\n".join(JSON_LINES) + "\n\n").encode())
    summary = filter_corpus(rule, tmp_path / "in.jsonl.gz", tmp_path / "out.jsonl")
    assert (tmp_path / "out.jsonl").read_bytes().decode() == (
        f"{JSON_LINES[0]}\r\n{JSON_LINES[2]}\n"
    )
    assert (summary.rows, summary.kept) == (3, 2)


def test_json_lines_that_are_hard_to_parse_are_kept_unchanged(tmp_path, rule):
    deep, long = "[" * 5000 + "]" * 5000, "1" * 5000
    lines = [
        f'{{"text": "{PROSE}", "deep": {deep}, "long": {long}}}',
        f'{{"text": "{PROSE} \\ud83d", "long": {long}}}',
        f'{{"text": "{PROSE} \\ud83d\\ude00 \\ude00", "x": "\\ud83d"}}',
    ]
    write_bytes(tmp_path / "in.jsonl", "\n".join(lines).encode())
    audit = tmp_path / "audit.csv"
    filter_corpus(rule, tmp_path / "in.jsonl", tmp_path / "out.jsonl", audit=audit)
    assert (tmp_path / "out.jsonl").read_text().splitlines() == lines
    assert pd.read_csv(audit)["text"].tolist() == [PROSE, f"{PROSE} \ufffd", f"{PROSE} 😀 \ufffd"]
    names = ("useful", "p")
    filter_corpus(rule, tmp_path / "in.jsonl", tmp_path / "scored.jsonl", columns=names)
    scored = (tmp_path / "scored.jsonl").read_text().splitlines()
    assert [line.startswith(known[:-1]) for line, known in zip(scored, lines, strict=True)] == [
        True
    ] * 3
    assert all('"useful": 1, "p": 0.' in line for line in scored)


def test_columns_are_added_to_json_objects(tmp_path, rule):
    write_bytes(tmp_path / "in.jsonl", "\n".join(JSON_LINES).encode())
    names = ("useful", "p")
    filter_corpus(rule, tmp_path / "in.jsonl", tmp_path / "out.jsonl", columns=names)
    lines = (tmp_path / "out.jsonl").read_text("utf-8").splitlines()
    assert [json.loads(line)["useful"] for line in lines] == [1, 0, 1]
    texts = ["We repair pumps", "View", 'It’s "three words"']
    assert [json.loads(line)["p"] for line in lines] == rule.predict_proba(texts)[:, 1].tolist()
    assert lines[0].startswith(JSON_LINES[0][:-1])
    with pytest.raises(ValueError, match="already has a member 'id'"):
        filter_corpus(rule, tmp_path / "in.jsonl", tmp_path / "o.jsonl", columns=("id", "p"))


def test_columns_are_added_to_tables_and_no_row_is_dropped(tmp_path, rule):
    pq.write_table(pa.table({"text": [PROSE, "View"], "n": [1, 2]}), tmp_path / "in.parquet")
    summary = filter_corpus(
        rule, tmp_path / "in.parquet", tmp_path / "out.parquet", columns=("label", "probability")
    )
    table = pq.read_table(tmp_path / "out.parquet")
    assert table.schema.types == [pa.string(), pa.int64(), pa.int64(), pa.float64()]
    assert table.column("label").to_pylist() == [1, 0]
    assert (
        table.column("probability").to_pylist()
        == rule.predict_proba([PROSE, "View"])[:, 1].tolist()
    )
    assert (summary.kept, summary.discarded, summary.written) == (1, 1, 2)
    written = "out.parquet has 2 rows, with the columns 'label' and 'probability': 1 row (50.0%)"
    assert written in str(summary)


def test_lines_become_a_table_with_columns(tmp_path, rule):
    write_bytes(tmp_path / "in.txt", f"View\n{PROSE}\n".encode())
    names = ("label", "probability")
    filter_corpus(rule, tmp_path / "in.txt", tmp_path / "out.csv", columns=names)
    frame = pd.read_csv(tmp_path / "out.csv")
    assert frame.columns.tolist() == ["text", *names]
    assert frame["label"].tolist() == [0, 1]
    with pytest.raises(ValueError, match="Lines of text have no columns to add 'label' to"):
        filter_corpus(rule, tmp_path / "in.txt", tmp_path / "out.txt", columns=names)


@pytest.mark.parametrize(
    ("threshold", "kept"), [(None, ["menu 1"]), (0.3, ["about", "menu 1"]), (0.6, [])]
)
def test_the_threshold_applies_to_the_label_to_keep(tmp_path, threshold, kept):
    write_bytes(tmp_path / "in.txt", b"about\nmenu 1\npage\n")
    summary = filter_corpus(
        Topics().fit(),
        tmp_path / "in.txt",
        tmp_path / "out.txt",
        keep="menu",
        threshold=threshold,
        audit=tmp_path / "audit.parquet",
    )
    assert (tmp_path / "out.txt").read_text().splitlines() == kept
    assert (summary.keep, summary.threshold) == ("menu", threshold)
    audit = pd.read_parquet(tmp_path / "audit.parquet")
    assert audit["probability"].tolist() == [0.3, 0.5, 0.2]
    assert audit["keep"].tolist() == ["menu"] * 3
    # Texts that are not kept get the most probable of the other labels.
    labels = {
        None: ["about", "menu", "prose"],
        0.3: ["menu", "menu", "prose"],
        0.6: ["about", "prose", "prose"],
    }
    assert audit["label"].tolist() == labels[threshold]


def test_a_tuned_threshold_decides_unless_another_is_passed(tmp_path, rule):
    write_bytes(tmp_path / "in.txt", b"We make\nWe make it of wood\n")
    strict = FixedThresholdClassifier(FrozenEstimator(rule), threshold=0.999999)
    model = strict.fit(["a", "b c d"], [0, 1])
    texts = ["We make", "We make it of wood"]
    assert rule.predict(texts).tolist() == [0, 1]
    for name, threshold in (("tuned", None), ("given", 0.5)):
        summary = filter_corpus(
            model,
            tmp_path / "in.txt",
            tmp_path / f"{name}.txt",
            threshold=threshold,
            audit=tmp_path / f"{name}.csv",
        )
        assert summary.kept == (0 if threshold is None else 1)


def test_the_audit_file_has_each_distinct_text_once(tmp_path, rule):
    long = "A very long text " * 20
    rows = ["View", PROSE, "View", long, long, "View"]
    pq.write_table(pa.table({"text": [*rows, None]}), tmp_path / "in.parquet")
    summary = filter_corpus(
        rule,
        tmp_path / "in.parquet",
        tmp_path / "out.parquet",
        threshold=0.5,
        nulls="discard",
        audit=tmp_path / "audit.csv",
    )
    audit = pd.read_csv(tmp_path / "audit.csv")
    assert audit["text"].tolist() == ["View", PROSE, long]
    assert audit["rows"].tolist() == [3, 1, 2]
    assert audit["decision"].tolist() == ["discard", "keep", "keep"]
    assert audit["label"].tolist() == [0, 1, 1]
    expected = rule.predict_proba(["View", PROSE, long])[:, 1]
    assert audit["probability"].tolist() == pytest.approx(expected)
    assert audit[["keep", "threshold"]].drop_duplicates().to_numpy().tolist() == [[1, 0.5]]
    assert audit["rows"].sum() + summary.nulls == summary.rows


@pytest.mark.parametrize(
    ("nulls", "columns", "written"),
    [
        ("discard", None, [1]),
        ("keep", None, [1, 2]),
        ("discard", ("label", "p"), [0, 1]),
        ("keep", ("label", "p"), [0, 1, 2]),
    ],
)
def test_rows_without_a_text_are_kept_or_discarded(tmp_path, rule, nulls, columns, written):
    table = pa.table({"text": ["View", PROSE, None], "n": [0, 1, 2]})
    pq.write_table(table, tmp_path / "in.parquet")
    paths = tmp_path / "in.parquet", tmp_path / "out.parquet"
    summary = filter_corpus(rule, *paths, nulls=nulls, columns=columns)
    result = pq.read_table(paths[1]).to_pylist()
    assert [row["n"] for row in result] == written
    if columns and nulls == "keep":
        assert (result[2]["label"], result[2]["p"]) == (None, None)
    assert (summary.nulls, summary.kept, summary.discarded) == (1, 1, 1)
    expected = "kept" if nulls == "keep" else "discarded"
    assert f"1 row without a text: {expected}." in str(summary)
    assert not columns or f"has {len(written)} rows, with the columns" in str(summary)


def test_string_views_are_read_and_written_wherever_they_are(tmp_path, rule):
    views = pa.array(["View", PROSE, None], pa.string_view())
    table = pa.table({"text": pa.array(["View", PROSE, PROSE], pa.string_view()), "url": views})
    view = pa.string_view()
    for kind, values in {
        pa.list_(view): [["a"], None, ["b"]],
        pa.large_list(pa.binary_view()): [[b"a"], [], [b"\xff"]],
        pa.list_(view, 1): [["a"], None, ["b"]],
        pa.list_view(pa.list_(view)): [[["a"]], [[]], [["b"]]],
        pa.map_(view, view): [[("k", "v")], None, []],
        pa.list_(pa.struct({"a": view})): [[{"a": "b"}], [{"a": None}], [{"a": "b"}, {"a": "c"}]],
    }.items():
        table = table.append_column("twice", pa.array(values, kind))
    table = table.replace_schema_metadata({"crawl": "7"})
    # pq.write_table cannot write views in lists of structs.
    with create_table(tmp_path / "in.parquet", table.schema) as write:
        write(table.to_batches()[0])
    filter_corpus(rule, tmp_path / "in.parquet", tmp_path / "out.parquet")
    stored, result = (
        pq.ParquetFile(tmp_path / name).read() for name in ("in.parquet", "out.parquet")
    )
    assert stored.schema.field("text").type == pa.string_view()
    assert stored.schema.metadata == {b"crawl": b"7"}
    assert result.schema.equals(stored.schema, check_metadata=True)
    for column, expected in zip(result.columns, table.columns, strict=True):
        assert column.to_pylist() == expected.to_pylist()[1:]
    pq.write_table(table.select([0, 1]), tmp_path / "in.parquet")
    filter_corpus(rule, tmp_path / "in.parquet", tmp_path / "out.csv")
    assert len(pacsv.read_csv(tmp_path / "out.csv")) == 2


@pytest.mark.parametrize("names", [None, ("label", "p")])
def test_other_columns_may_have_equal_names(tmp_path, rule, names):
    write_bytes(tmp_path / "in.csv", f"v,text,v,\n1,{PROSE},2,3\n".encode())
    filter_corpus(rule, tmp_path / "in.csv", tmp_path / "out.parquet", columns=names)
    table = pq.ParquetFile(tmp_path / "out.parquet").read()
    assert table.schema.names == ["v", "text", "v", "", *(names or ())]
    assert [column[0].as_py() for column in table.columns[:4]] == ["1", PROSE, "2", "3"]


def test_files_may_have_names_that_are_not_utf8(tmp_path, rule):
    odd, scored = Path(os.fsdecode(b"caf\xe9")), Path(os.fsdecode(b"kept\xe9"))
    try:
        (tmp_path / odd).mkdir()
    except OSError:
        pytest.skip("the file system takes no such names")
    pq.write_table(pa.table({"text": [PROSE]}), tmp_path / "a.parquet")
    (tmp_path / "a.parquet").rename(tmp_path / odd / f"{odd}.parquet")
    write_bytes(tmp_path / odd / odd / f"{odd}.txt.gz", f"{PROSE}\nView\n".encode())
    write_bytes(tmp_path / odd / f"{odd}.csv", "text\nWir bauen schöne Möbel\n".encode("cp1252"))
    audit, store = tmp_path / f"{odd}.csv", tmp_path / f"{odd}.sqlite"
    summary = filter_corpus(
        rule, tmp_path / odd, tmp_path / scored, encoding="cp1252", audit=audit, store=store
    )
    assert (summary.files, summary.kept, summary.decoded) == (3, 3, 1)
    written = [path.relative_to(tmp_path / scored) for path in (tmp_path / scored).rglob("*.*")]
    assert sorted(written) == [odd / f"{odd}.txt.gz", Path(f"{odd}.csv"), Path(f"{odd}.parquet")]
    lines = gzip.decompress((tmp_path / scored / odd / f"{odd}.txt.gz").read_bytes())
    assert lines == f"{PROSE}\n".encode()


def test_row_groups_of_the_output_are_as_large_as_can_be(tmp_path, rule, monkeypatch):
    monkeypatch.setattr("skbert_filter.io.reading._BATCH_ROWS", 10)
    pq.write_table(pa.table({"text": [PROSE] * 1000}), tmp_path / "in.parquet")
    filter_corpus(rule, tmp_path / "in.parquet", tmp_path / "out.parquet")
    assert pq.read_metadata(tmp_path / "out.parquet").num_row_groups == 1


@pytest.mark.parametrize("name", ["in.txt", "in.csv", "in.jsonl"])
def test_text_with_a_byte_order_mark_is_utf8(tmp_path, rule, name):
    content = {
        "in.txt": f"{PROSE}\n",
        "in.csv": f"text\n{PROSE}\n",
        "in.jsonl": json.dumps({"text": PROSE}) + "\n",
    }[name]
    (tmp_path / name).write_bytes(b"\xef\xbb\xbf" + content.encode())
    out = tmp_path / name.replace("in", "out")
    assert filter_corpus(rule, tmp_path / name, out).kept == 1
    assert not out.read_bytes().startswith(b"\xef")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.txt", b"Tea\nca\xff\xe9\n", r"a\.txt is not UTF-8: byte 3 of line 2 is 0xff \(byte 7 "),
        ("a.jsonl", b'{"text": "caf\xe9"}', r"a\.jsonl is not UTF-8: byte 14 of line 1 is 0xe9"),
        ("a.csv", b"text\n" + b"Tea\n" * 5000 + b"\x80\n", r"byte 1 of line 5002 is 0x80"),
        ("a.csv.gz", b"text\ncaf\xe9\n", r"byte 4 of line 2 is 0xe9 \(byte 9 of the file\)"),
        ("a.txt", "Tea\n".encode("utf-16"), r"seems to be UTF-16.*--encoding utf-16"),
        ("a.txt", b"Tea\n\x00\x01", r"does not seem to be text: line 2 has a NUL \(byte 5"),
        ("a.csv", b"text\nTe\x00a\n", r"does not seem to be text: line 2 has a NUL \(byte 8"),
        ("a.txt.gz", b"", "cannot be read as gzipped lines"),
        ("a.csv", b"", "it is empty, without even a line of column names"),
        ("a.jsonl", b'{"text": "a"}\n{"text": 5}\n', r"Line 2 of .* has 5 in 'text', which is not"),
        ("a.jsonl", b'{"text": "a"}\n\n[1]\n', r"Line 3 of .* is not a JSON object: \[1\]"),
        ("a.jsonl", b'{"text": "a"\n', r"Line 1 of .* is not JSON: "),
        ("a.jsonl", b'{"text":"a"}{"text":"b"}\n{"text":\n"c"}', "Line 1 of .* is not JSON: Extra"),
        ("a.jsonl", b'{"text":"a"}\n{"text":\n"c"}\n', "Line 2 of .* is not JSON: "),
        ("a.jsonl", b'{"text":"a"}\n' + b"[" * 10**5, "Line 2 of .* is nested too deeply"),
        (
            "a.jsonl",
            b'{"text": ' + b"1" * 5000 + b"}",
            "Line 1 of .* has 11111.* which is not text",
        ),
        ("a.jsonl", b'{"Text": "a"}\n', r"no column 'text'. Did you mean 'Text'\?"),
        ("a.jsonl", b'{"text": null}\n', r"Row 1 of .* has no value in column 'text'"),
    ],
)
def test_errors_name_the_place_that_cannot_be_read(tmp_path, rule, name, content, message):
    if name == "a.txt.gz":
        (tmp_path / name).write_bytes(gzip.compress(b"Tea\n" * 1000)[:-12])
    else:
        write_bytes(tmp_path / name, content)
    with pytest.raises(ValueError, match=message) as error:
        filter_corpus(rule, tmp_path / name, tmp_path / f"out{name[1:]}")
    assert name in str(error.value)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_the_error_for_parquet_bytes_that_are_not_text_names_the_row(tmp_path, rule):
    broken = pa.array([b"Tea", b"caf\xe9"]).view(pa.string())
    pq.write_table(pa.table({"text": broken}), tmp_path / "in.parquet")
    with pytest.raises(ValueError, match=r"Row 2 of .*in\.parquet .* is not UTF-8 in column"):
        filter_corpus(rule, tmp_path / "in.parquet", tmp_path / "out.parquet")


def test_only_files_that_are_not_utf8_are_decoded_from_the_encoding(tmp_path, rule):
    texts = {"u.txt": "Wir bauen schöne Möbel\n", "l.txt": "Café à la carte “now”\n"}
    write_bytes(tmp_path / "in/u.txt", texts["u.txt"].encode())
    write_bytes(tmp_path / "in/l.txt", texts["l.txt"].encode("cp1252"))
    write_bytes(tmp_path / "in/l.csv", ("text\n" + texts["l.txt"]).encode("cp1252"))
    summary = filter_corpus(rule, tmp_path / "in", tmp_path / "out", encoding="cp1252")
    assert {name: (tmp_path / "out" / name).read_text("utf-8") for name in texts} == texts
    assert pd.read_csv(tmp_path / "out" / "l.csv")["text"].tolist() == [texts["l.txt"].strip()]
    assert summary.decoded == 2
    assert "2 files are not UTF-8" in str(summary)

    with pytest.raises(ValueError, match="There is no encoding 'klingon'"):
        filter_corpus(rule, tmp_path / "in", tmp_path / "out2", encoding="klingon")
    write_bytes(tmp_path / "in/x.txt", b"\x81\n")
    with pytest.raises(ValueError, match=r"x\.txt is not cp1252: byte 1 of line 1 is 0x81"):
        filter_corpus(rule, tmp_path / "in", tmp_path / "out3", encoding="cp1252")


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("utf-16", PROSE),
        ("utf-16-le", f"{PROSE} 会社"),
        ("utf-16-be", PROSE),
        ("utf-32", PROSE),
        ("iso2022_jp", "We build 会社 boats"),
        ("iso2022_kr", "We build 한국 boats"),
        ("hz", "We build 中文 boats"),
        ("utf-7", "We build bôats now"),
        ("cp932", "We build 会社 boats"),
    ],
)
def test_a_named_encoding_is_used_even_where_bytes_are_valid_utf8(tmp_path, rule, encoding, text):
    write_bytes(tmp_path / "in/a.csv", f"text\n{text}\nView\n".encode(encoding))
    write_bytes(tmp_path / "in/b.txt", f"{text}\nView\n".encode(encoding))
    write_bytes(tmp_path / "in/ascii.txt", f"{PROSE}\n".encode())
    write_bytes(tmp_path / "in/utf8.txt", "Wir bauen schöne ~Möbel~\n".encode())
    summary = filter_corpus(rule, tmp_path / "in", tmp_path / "out", encoding=encoding)
    written = {path.name: path.read_text("utf-8") for path in (tmp_path / "out").iterdir()}
    assert written == {
        "a.csv": f'"text"\n"{text}"\n',
        "b.txt": f"{text}\n",
        "ascii.txt": f"{PROSE}\n",
        "utf8.txt": "Wir bauen schöne ~Möbel~\n",
    }
    assert summary.decoded == 2


def test_bytes_that_are_invalid_in_the_encoding_are_refused(tmp_path, rule):
    write_bytes(tmp_path / "a.txt", PROSE.encode("utf-16-le"))
    with pytest.raises(
        ValueError, match=r"not start with BOM\. Name its encoding, such as 'utf-16-"
    ):
        filter_corpus(rule, tmp_path / "a.txt", tmp_path / "out.txt", encoding="utf-16")
    write_bytes(tmp_path / "a.txt", b"We build +2D0- boats")
    with pytest.raises(ValueError, match=r"a\.txt is not utf-7: .*surrogates"):
        filter_corpus(rule, tmp_path / "a.txt", tmp_path / "out.txt", encoding="utf-7")


def test_double_encoding_is_reported_and_left_unchanged(tmp_path, rule):
    content = "We donâ€™t sell tables\nItâ€™s new\nItâ€™s new\nCafé\n"
    write_bytes(tmp_path / "in.txt", content.encode())
    summary = filter_corpus(rule, tmp_path / "in.txt", tmp_path / "out.txt")
    assert (tmp_path / "out.txt").read_text("utf-8") == content.splitlines(keepends=True)[0]
    assert summary.misdecoded == 2
    assert "2 distinct texts look mis-decoded" in str(summary)


@pytest.mark.parametrize(
    ("source", "destination", "error", "message"),
    [
        ("in", "in/out", ValueError, "lies in the source"),
        ("in", "alias/out", ValueError, "lies in the source"),
        ("in", "alias", ValueError, "is the source"),
        ("in/a.txt", "in", ValueError, "holds the source"),
        ("in/deep", "in", ValueError, "holds the source"),
        ("in", "file.txt", FileExistsError, "is a file, but the source is a folder"),
        ("in", "full", FileExistsError, "holds files. Name another"),
        ("in", "no/out", FileNotFoundError, "no folder .*no for out"),
        ("in/a.txt", "out.jsonl", ValueError, "cannot be written as JSON Lines"),
        ("t.csv", "out.txt", ValueError, "cannot be written as lines"),
        ("void", "out", ValueError, "holds no files to read"),
        ("odd", "out", ValueError, r"x\.pdf and 1 more in the folder .* cannot be read"),
        ("linked", "out", ValueError, "is a link to a folder, which is not followed"),
        ("nothing.txt", "out.txt", FileNotFoundError, r"no file .*nothing\.txt"),
    ],
)
def test_impossible_paths_are_refused(tmp_path, rule, source, destination, error, message):
    for name in ("in/a.txt", "in/deep/b.txt", "file.txt", "full/x.txt", "odd/x.pdf", "odd/y.doc"):
        write_bytes(tmp_path / name, b"Tea\n")
    write_bytes(tmp_path / "t.csv", b"text\nTea\n")
    (tmp_path / "alias").symlink_to(tmp_path / "in")
    (tmp_path / "void").mkdir()
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked/more").symlink_to(tmp_path / "in")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(error, match=message):
        filter_corpus(rule, tmp_path / source, tmp_path / destination)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_folder_is_replaced_only_by_one_with_the_same_files(tmp_path, rule):
    write_bytes(tmp_path / "in/a.txt", PROSE.encode())
    write_bytes(tmp_path / "out/a.txt", b"of before")
    filter_corpus(rule, tmp_path / "in", tmp_path / "out", overwrite=True)
    assert (tmp_path / "out/a.txt").read_text() == PROSE
    write_bytes(tmp_path / "out/thesis.txt", b"precious")
    with pytest.raises(FileExistsError, match=r"holds thesis\.txt, which this job would not write"):
        filter_corpus(rule, tmp_path / "in", tmp_path / "out", overwrite=True)
    assert (tmp_path / "out/thesis.txt").read_text() == "precious"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"nulls": "drop"}, "nulls is 'drop'. It must be"),
        ({"threshold": 1.5}, "threshold == 1.5, must be <= 1"),
        ({"columns": "label"}, "columns is 'label'. Pass two names"),
        ({"columns": ("id", "p")}, "has a column 'id' already"),
        ({"delimiter": "ab"}, "delimiter='ab' cannot separate values"),
        ({"audit": "audit.txt"}, "audit.txt holds lines of UTF-8 text, not a table"),
        ({"audit": "out.csv"}, r"The audit file out\.csv is the destination"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(tmp_path, rule, arguments, message, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_bytes(tmp_path / "in.csv", b"id,text\n1,Tea\n")
    with pytest.raises(ValueError, match=message):
        filter_corpus(rule, "in.csv", "out.csv", **arguments)
    assert [path.name for path in tmp_path.iterdir()] == ["in.csv"]


def test_a_model_may_be_a_joblib_file_if_it_is_trusted(tmp_path, rule):
    write_bytes(tmp_path / "in.txt", PROSE.encode())
    joblib.dump(rule, tmp_path / "rule.joblib")
    paths = tmp_path / "in.txt", tmp_path / "out.txt"
    with pytest.raises(ValueError, match=r"would run the code.*trust=True \(--trust\)"):
        filter_corpus(tmp_path / "rule.joblib", *paths)
    assert filter_corpus(tmp_path / "rule.joblib", *paths, trust=True).kept == 1
    joblib.dump([1, 2], tmp_path / "list.joblib")
    with pytest.raises(ValueError, match="holds an object of type list, not a fitted classifier"):
        filter_corpus(tmp_path / "list.joblib", *paths, trust=True, overwrite=True)
    (tmp_path / "broken.joblib").write_bytes(b"no pickle")
    with pytest.raises(ValueError, match="cannot be loaded by joblib"):
        filter_corpus(tmp_path / "broken.joblib", *paths, trust=True, overwrite=True)


def test_a_store_serves_the_next_job(tmp_path):
    calls = []

    class Recording(Topics):
        def predict(self, X):
            calls.extend(X)
            return super().predict(X)

    write_bytes(tmp_path / "a.txt", b"about\nmenu\n")
    write_bytes(tmp_path / "b.txt", b"menu\npage\n")
    model = FrozenEstimator(Recording().fit())
    for name in ("a", "b"):
        wrapped = DedupPredictor(model, store=tmp_path / "scores.sqlite", fingerprint="v1")
        filter_corpus(wrapped, tmp_path / f"{name}.txt", tmp_path / f"{name}2.txt", keep="menu")
    assert calls == ["about", "menu", "page"]
    with pytest.raises(ValueError, match="is a DedupPredictor, which may have a store"):
        filter_corpus(wrapped, tmp_path / "a.txt", tmp_path / "c.txt", keep="menu", store="x")


def test_the_same_scores_file_serves_other_processes(tmp_path, rule):
    write_bytes(tmp_path / "a.txt", f"View\n{PROSE}\n".encode())
    store = tmp_path / "scores.sqlite"
    filter_corpus(rule, tmp_path / "a.txt", tmp_path / "b.txt", store=store)
    scorer = DedupPredictor(FrozenEstimator(rule), store=store)
    assert scorer.predict(["View", PROSE]).tolist() == [0, 1]
    assert scorer.cache_info().misses == 0


def test_lines_flow_from_standard_input_to_standard_output(tmp_path, rule):
    joblib.dump(rule, tmp_path / "rule.joblib")
    script = (
        "import sys\nfrom skbert_filter import filter_corpus\n"
        "s = filter_corpus(sys.argv[1], '-', '-', trust=True, audit=sys.argv[2])\n"
        "print(s.rows, s.kept, file=sys.stderr)"
    )
    result = subprocess.run(
        [sys.executable, "-c", script, tmp_path / "rule.joblib", tmp_path / "audit.csv"],
        input=f"View\r\n{PROSE}\r\nView\n{PROSE}".encode(),
        capture_output=True,
        check=True,
        cwd=tmp_path,
    )
    assert result.stdout == f"{PROSE}\r\n{PROSE}".encode()
    assert result.stderr == b"4 2\n"
    assert pd.read_csv(tmp_path / "audit.csv")["rows"].tolist() == [2, 2]


@pytest.mark.parametrize(
    ("store", "audit", "message"),
    [
        ("in.csv", None, r"store in\.csv is the source in\.csv"),
        ("link.csv", None, r"store link\.csv is the source in\.csv"),
        ("out.csv", None, r"store out\.csv is the destination out\.csv"),
        ("./folder/../out.csv", None, "is the destination"),
        ("audit.csv", "audit.csv", r"store audit\.csv is the audit file audit\.csv"),
        ("out.csv.partial/s.sqlite", None, "is the folder of the unfinished job .* or lies in it"),
        (None, "out.csv", "audit file out.csv is the destination"),
        (None, "out.csv.partial/audit.csv", "audit file .* or lies in it"),
    ],
)
def test_no_other_file_of_the_job_is_replaced(tmp_path, rule, monkeypatch, store, audit, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in.csv").write_text(f"text\n{PROSE}\n")
    os.link("in.csv", "link.csv")
    with pytest.raises(ValueError, match=message):
        filter_corpus(rule, "in.csv", "out.csv", store=store, audit=audit, overwrite=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.csv", "link.csv"]


def test_a_tilde_is_the_home_folder_in_the_path_of_a_store_only(tmp_path, rule, monkeypatch):
    for variable in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(variable, str(tmp_path))
    monkeypatch.chdir(tmp_path)
    write_bytes(tmp_path / "in.txt", PROSE.encode())
    with pytest.raises(ValueError, match=r"store .* is the source in\.txt"):
        filter_corpus(rule, "in.txt", "out.txt", store="~/in.txt")
    filter_corpus(rule, "in.txt", "out.txt", audit="~audit.csv")
    assert Path("~audit.csv").exists()


@pytest.mark.parametrize("store", ["in/s.sqlite", "out/s.sqlite", "out"])
def test_a_store_may_be_neither_in_the_source_nor_in_the_output(tmp_path, rule, monkeypatch, store):
    monkeypatch.chdir(tmp_path)
    for name in ("in", "out"):
        Path(name).mkdir()
        (tmp_path / name / "a.txt").write_text(PROSE)
    with pytest.raises(ValueError, match=r"store .* or lies in it\. Name another place"):
        filter_corpus(rule, "in", "out", store=store, overwrite=True)
    assert not list(tmp_path.rglob("*.sqlite"))


def test_a_model_is_not_replaced_by_its_output(tmp_path, rule):
    joblib.dump(rule, tmp_path / "rule.txt")
    (tmp_path / "in.txt").write_text(PROSE)
    with pytest.raises(ValueError, match=r"model .*rule\.txt is the destination"):
        filter_corpus(
            tmp_path / "rule.txt",
            tmp_path / "in.txt",
            tmp_path / "rule.txt",
            trust=True,
            overwrite=True,
        )


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="has no folder that nobody can write")
@pytest.mark.parametrize("place", ["destination", "audit"])
def test_a_place_that_cannot_be_written_is_noticed_before_any_work(tmp_path, place):
    class Asked(WordCountRule):
        def predict(self, X):
            raise AssertionError("it was asked")

        predict_proba = predict

    (tmp_path / "in.csv").write_text(f"text\n{PROSE}\n")
    places = {"destination": tmp_path / "out.csv", "audit": tmp_path / "audit.csv"}
    places[place] = Path("/proc/self/kept.csv")
    rule = Asked().fit(["View", PROSE], [0, 1])
    with pytest.raises(OSError, match=r"/proc/self/kept\.csv cannot be written \("):
        filter_corpus(rule, tmp_path / "in.csv", **places)
    assert [path.name for path in tmp_path.iterdir()] == ["in.csv"]


FORMULAS = ["=1+1", "+1-555-0100", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1＋1", '=A1&"x"']
HARMLESS = ["-1.5", "+12", "-3e5", "a=1", " =1", "'=1", "-1,000.50", "", "View"]


@pytest.mark.parametrize("name", ["in.csv", "in.tsv", "in.parquet"])
def test_formulas_are_written_with_an_apostrophe_on_request(tmp_path, name):
    texts = FORMULAS + HARMLESS
    table = pa.table({"text": texts, "=n": pa.array(range(len(texts))), "d": texts})
    table = table.set_column(2, "d", table["d"].dictionary_encode())
    if name == "in.parquet":
        pq.write_table(table, tmp_path / name)
    else:
        separator = "," if name == "in.csv" else "\t"
        table.to_pandas().to_csv(tmp_path / name, sep=separator, index=False, quoting=1)
    rule = WordCountRule().fit(["a", "We make tools"], [0, 1])

    def run(destination, **options):
        filter_corpus(rule, tmp_path / name, tmp_path / destination, nulls="keep", **options)
        read = pd.read_parquet if destination.endswith("parquet") else pd.read_csv
        return read(tmp_path / destination, **({} if read is pd.read_parquet else CELLS))

    CELLS = {"keep_default_na": False, "dtype": str}
    plain = {"columns": ("label", "probability"), "audit": tmp_path / "audit.csv"}
    escaped = {"escape_formulas": True, **plain, "overwrite": True}
    assert run("plain.csv", **plain)["text"].tolist() == texts
    audit_before = pd.read_csv(tmp_path / "audit.csv", **CELLS)["text"].tolist()
    table = run("escaped.csv", **escaped)
    assert table["text"].tolist() == table["d"].tolist() == [f"'{f}" for f in FORMULAS] + HARMLESS
    assert table.columns.tolist() == ["text", "'=n", "d", "label", "probability"]
    audit = pd.read_csv(tmp_path / "audit.csv", **CELLS)["text"].tolist()
    assert audit == [f"'{text}" if text in FORMULAS else text for text in audit_before]
    # only CSV is escaped
    assert run("escaped.parquet", **escaped)["text"].tolist() == texts
