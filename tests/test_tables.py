"""Tables survive reading and writing, and damaged ones are named."""

import datetime as dt
import gzip
import time

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from skbert_filter.io.reading import open_rows, read_table
from skbert_filter.io.writing import create_table


def read(path):
    return read_table(path)[0]


def write(path, table):
    with create_table(path, table.schema) as write_batch:
        for batch in table.to_batches():
            write_batch(batch)


HARD_TEXTS = ["", "NA", "007", "1e5", "true", ' "x" ', "a,b", "line\nbreak", "c\r\nd", "é\u2028ü"]


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz", "A.CSV", "a.parquet"])
@pytest.mark.parametrize("columns", [["text"], ["id", "text"]])
def test_texts_come_back_as_they_were(tmp_path, name, columns):
    ids = [f"0{i}" for i in range(len(HARD_TEXTS))]
    table = pa.table({"id": ids, "text": HARD_TEXTS}).select(columns)
    write(tmp_path / name, table)
    assert read(tmp_path / name) == table
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize(
    ("content", "rows"),
    [
        (b"text,n\nView,1\n", [("View", "1")]),
        (b"\xef\xbb\xbftext,n\r\nView,\r\n\r\n", [("View", "")]),
        (b'text,n\n"two\nlines","a ""b"""', [("two\nlines", 'a "b"')]),
        (b'text,n\n"tea, coffee\nand cake",1\n', [("tea, coffee\nand cake", "1")]),
        (b'text,n\n5" pipe,6""\n', [('5" pipe', '6""')]),
        (b"text,n\n\nView,1\n\n", [("View", "1")]),
        (b"\n\ntext,n\rView,1\r", [("View", "1")]),
        (b"text,n\r\r\nView,1\r\r\n", [("View", "1")]),
        (b"text,n\n", []),
        (b"text,n", []),
    ],
)
def test_csv_of_other_programs_is_read_as_written(tmp_path, content, rows):
    (tmp_path / "a.csv").write_bytes(content)
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(content))
    for path in (tmp_path / "a.csv", tmp_path / "a.csv.gz"):
        table = read(path)
        assert table.schema == pa.schema({"text": pa.string(), "n": pa.string()})
        assert [tuple(row.values()) for row in table.to_pylist()] == rows


@pytest.mark.parametrize(
    ("content", "texts"),
    [
        (b"text\nView\n\nMenu\n", ["View", "", "Menu"]),
        (b'text\r\n\r\n""\r\nMenu', ["", "", "Menu"]),
        (b"\n\ntext\nView\n", ["View"]),
        (b"text\r\r\nView\r\r\n", ["View"]),
        (b'"text"', []),
    ],
)
def test_an_empty_line_of_a_single_column_is_an_empty_text(tmp_path, content, texts):
    (tmp_path / "a.csv").write_bytes(content)
    assert read(tmp_path / "a.csv").column("text").to_pylist() == texts


def test_columns_with_equal_names_stay_separate(tmp_path):
    (tmp_path / "a.csv").write_bytes(b"text,,\nView,1,2\n")
    table = read(tmp_path / "a.csv")
    assert table.schema.names == ["text", "", ""]
    assert [column.to_pylist() for column in table.columns] == [["View"], ["1"], ["2"]]


QUOTATIONS = ['"We began in 1990', "Menu", 'said 5"', '"Best" shop', '"We build boats."']


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize(
    ("name", "row"), [("a.tsv", "{}\t1"), ("b.tsv", "1\t{}"), ("a.csv", "{},1"), ("b.tsv", "{}")]
)
def test_each_line_of_a_file_without_quoting_is_a_row(tmp_path, name, row, end):
    texts = QUOTATIONS if "1" in row else QUOTATIONS[:2]
    lines = [row.format("text").replace("1", "n"), *map(row.format, texts)]
    (tmp_path / name).write_bytes("".join(line + end for line in lines).encode())
    assert read(tmp_path / name).column("text").to_pylist() == texts


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "a.tsv",
            'text\tn\n"We began.\t1\nMenu\t0\nand never stopped"\t1\n',
            "Line 2 of .* continues on the next line",
        ),
        ("a.csv", 'text,n\nView,1\n"Best" shop,in town,1\n', "Line 3 of .* does not end with one"),
        ("a.csv", '"text","n"\n"Best" shop,1\n', "Line 2 of .* does not end with one"),
        ("a.csv", 'text,n\n"Tea, coffee",1\n"Menu,1\n', "Line 3 of .* does not end with one"),
        ("a.csv", '"text,n\nView,1\n', "Line 1 of .* does not end with one"),
    ],
)
def test_malformed_or_ambiguous_quotation_marks_are_rejected(tmp_path, name, content, message):
    (tmp_path / name).write_text(content)
    with pytest.raises(ValueError, match=message):
        read(tmp_path / name)


@pytest.mark.parametrize("size", [1, 5, 64])
def test_rows_and_characters_may_span_blocks(tmp_path, monkeypatch, size):
    monkeypatch.setattr("skbert_filter.io.decoding._BLOCK_BYTES", size)
    table = pa.table({"text": HARD_TEXTS, "n": HARD_TEXTS[::-1]})
    write(tmp_path / "a.csv.gz", table)
    assert read(tmp_path / "a.csv.gz") == table


@pytest.mark.parametrize("name", ["a.csv", "a.parquet"])
def test_a_text_of_two_million_characters_comes_back(tmp_path, name):
    table = pa.table({"text": ["View All", "\N{TROLLEYBUS}" * 2_000_000, "View All"]})
    write(tmp_path / name, table)
    assert read(tmp_path / name) == table


FAR = [dt.datetime(9999, 12, 31), dt.datetime(2000, 1, 1), None, dt.datetime(1, 1, 1)]


@pytest.mark.parametrize(
    "times",
    [
        pa.array(FAR, pa.timestamp("us")),
        pa.array([[time] for time in FAR], pa.list_(pa.timestamp("us"))),
        pa.array([{"until": time} for time in FAR], pa.struct({"until": pa.timestamp("us")})),
        pa.array([1234567890123456789, -1, None, 0], pa.timestamp("ns")),
    ],
)
def test_int96_timestamps_keep_their_values(tmp_path, times):
    table = pa.table({"text": ["a", "b", "c", "d"], "time": times})
    old_type = {"use_deprecated_int96_timestamps": True, "store_schema": False}
    pq.write_table(table, tmp_path / "a.parquet", **old_type)
    assert read(tmp_path / "a.parquet").to_pylist() == table.to_pylist()


def test_int96_timestamps_that_no_type_can_hold_are_rejected(tmp_path):
    columns = {
        "near": pa.array([1, 2], pa.timestamp("ns")),
        "far": pa.array(FAR[:2], pa.timestamp("us")),
    }
    pq.write_table(
        pa.table({"text": ["a", "b"], **columns}),
        tmp_path / "a.parquet",
        use_deprecated_int96_timestamps=True,
    )
    with pytest.raises(ValueError, match=r"timestamps in near, far \(INT96\) have nanoseconds"):
        read(tmp_path / "a.parquet")


def test_memory_does_not_grow_while_parquet_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr("skbert_filter.io.reading._BATCH_ROWS", 50_000)
    path, rows = tmp_path / "a.parquet", 1_000_000
    noise = np.random.default_rng(0).integers(2**62, size=rows)
    table = pa.table({f"n{i}": noise for i in range(12)})
    pq.write_table(table, path, row_group_size=rows // 20, use_dictionary=False)
    assert path.stat().st_size > 90e6
    before = pa.total_allocated_bytes()
    with open_rows(path) as opened:
        assert max(pa.total_allocated_bytes() for _ in opened.batches) - before < 40e6


def test_memory_is_bounded_while_a_slow_reader_reads_csv(tmp_path):
    path = tmp_path / "a.csv"
    row = b"We repair pumps. " * 60 + b"\n"
    path.write_bytes(b"text\n" + row * 350_000)
    before = pa.total_allocated_bytes()
    with open_rows(path) as opened:
        next(opened.batches)
        time.sleep(1)  # as a slow model would, while Arrow reads ahead
        assert pa.total_allocated_bytes() - before < 250e6


def test_batches_of_large_rows_have_few_rows(tmp_path, monkeypatch):
    monkeypatch.setattr("skbert_filter.io.reading._BATCH_BYTES", 1 << 20)
    table = pa.table({"text": [f"{i} " * 10_000 for i in range(200)]})
    pq.write_table(table, tmp_path / "a.parquet")
    with open_rows(tmp_path / "a.parquet") as opened:
        batches = [batch for batch, _ in opened.batches]
    assert max(batch.nbytes for batch in batches) < 2 << 20
    assert pa.Table.from_batches(batches) == table


def test_a_later_block_may_have_a_value_that_is_not_a_number(tmp_path):
    rows = 500_000  # more than one block of 4 MiB
    (tmp_path / "a.csv").write_text("id,text\n" + "1,menu row\n" * rows + "n/a,2\n")
    with open_rows(tmp_path / "a.csv") as table:
        batches = list(table.batches)
    shares = [share for _, share in batches]
    assert len(batches) > 1
    assert shares == sorted(shares)
    assert shares[-1] == 1
    assert batches[-1][0].slice(batches[-1][0].num_rows - 1).to_pylist() == [
        {"id": "n/a", "text": "2"}
    ]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", b"", r"a\.csv cannot be read as comma-separated UTF-8 text: it is empty"),
        (
            "a.csv",
            b"text,n\nView\n",
            r"Row 1 of .*a\.csv .* should have 2 values, but has 1: 'View'",
        ),
        (
            "a.csv",
            b"text,n\n" + b"View,1\n" * 10**6 + b"a,b,c\n",
            "Row 1000001 .* but has 3: 'a,b,c'",
        ),
        ("a.csv", b"text\ncaf\xe9\n", r"byte 4 of line 2 is 0xe9 \(byte 9 of the file\)"),
        ("a.csv", b"caf\xe9\nView\n", r"a\.csv is not UTF-8: byte 4 of line 1"),
        ("a.csv.gz", b"text\nView\n", "cannot be read as gzipped"),
        ("a.csv.gz", gzip.compress(b"text\n" + bytes(range(97, 120)) * 9)[:-20], "gzipped"),
        ("a.parquet", b"text\nView\n", "cannot be read as Parquet"),
        ("a.xlsx", b"", r"unknown extension. Convert or rename the file to \.csv, \.tsv, \.jsonl"),
    ],
)
def test_the_error_names_a_damaged_or_unsupported_file(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=message) as error:
        read(tmp_path / name)
    assert str(tmp_path / name) in str(error.value)


def test_the_error_names_a_parquet_file_with_damaged_pages(tmp_path):
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"text": [f"text {i}" for i in range(10_000)]}), path)
    content = bytearray(path.read_bytes())
    content[100:5000] = bytes(4900)
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"a\.parquet cannot be read as Parquet"):
        read(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"There is no file .*nothing\.csv"):
        read(tmp_path / "nothing.csv")


@pytest.mark.parametrize("name", ["a.csv", "a.parquet"])
@pytest.mark.parametrize("interruption", [RuntimeError, KeyboardInterrupt])
def test_a_table_appears_complete_or_not_at_all(tmp_path, name, interruption):
    path = tmp_path / name
    path.write_text("of before")
    table = pa.table({"text": ["a"]})

    def interrupted_write():
        with create_table(path, table.schema) as write_batch:
            write_batch(table.to_batches()[0])
            assert path.read_text() == "of before"
            raise interruption

    with pytest.raises(interruption):
        interrupted_write()
    assert [file.name for file in tmp_path.iterdir()] == [name]
    assert path.read_text() == "of before"


@pytest.mark.parametrize(
    "kind",
    [
        pa.list_(pa.string()),
        pa.binary(),
        pa.binary_view(),
        pa.binary(16),
        pa.dictionary(pa.int8(), pa.large_binary()),
    ],
)
def test_columns_that_csv_cannot_hold_are_rejected_by_name(tmp_path, kind):
    schema = pa.schema({"text": pa.string(), "page": kind})
    with (
        pytest.raises(ValueError, match=r"column 'page' \(.*extension \.parquet"),
        create_table(tmp_path / "a.csv", schema),
    ):
        pass
    assert not list(tmp_path.iterdir())


def test_text_that_is_not_utf8_is_not_written_to_csv(tmp_path):
    table = pa.table({"text": ["a"], "page": pa.array([b"caf\xe9"]).view(pa.string())})
    with pytest.raises(ValueError, match="Column 'page' has text that is not UTF-8"):
        write(tmp_path / "a.csv", table)
    assert not list(tmp_path.iterdir())
