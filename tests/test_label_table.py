"""Label files as people keep them: formats, spellings, blanks, several at once."""

import gzip

import numpy as np
import openpyxl
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from skbert_filter.labelling.label_table import read_label_table, read_labels
from skbert_filter.validation import useful_label

TEXTS = ["View All", "We make “pumps”; and, well", "Tea"]
LABELS = ["keep", "discard", "keep"]


def write(path, texts=TEXTS, labels=LABELS, **options):
    pd.DataFrame({"text": texts, "label": labels}).to_csv(path, index=False, **options)
    return path


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_delimiters_and_byte_order_marks_are_found(tmp_path, delimiter, encoding):
    table = read_label_table(write(tmp_path / "a.csv", sep=delimiter, encoding=encoding))
    assert table.texts == TEXTS
    assert table.labels.tolist() == LABELS


def test_a_file_of_a_western_spreadsheet_is_decoded_on_request(tmp_path):
    path = write(tmp_path / "a.csv", sep=";", encoding="cp1252")
    with pytest.raises(ValueError, match="encoding"):
        read_label_table(path)
    assert read_label_table(path, encoding="cp1252").texts == TEXTS


def test_json_lines_plain_and_compressed(tmp_path):
    frame = pd.DataFrame({"text": ["2020-01-01", *TEXTS[1:]], "label": [1, 0, None]})
    frame.to_json(tmp_path / "a.jsonl", orient="records", lines=True)
    (tmp_path / "b.jsonl.gz").write_bytes(gzip.compress((tmp_path / "a.jsonl").read_bytes()))
    for name in ("a.jsonl", "b.jsonl.gz"):
        table = read_label_table(tmp_path / name)
        assert table.texts == ["2020-01-01", TEXTS[1]]
        assert table.labels.tolist() == [1, 0]
        assert table.blank == 1


def test_a_workbook(tmp_path):
    book = openpyxl.Workbook()
    for row in [("Id", "text", "label"), (1, "View All", 0), (2, 2024, 1), (3, "Tea", None)]:
        book.active.append(row)
    book.save(tmp_path / "a.xlsx")
    table = read_label_table(tmp_path / "a.xlsx")
    assert table.texts == ["View All", "2024"]
    assert table.labels.tolist() == [0, 1]
    assert (table.rows == [0, 1]).all()
    with pytest.raises(FileNotFoundError, match=r"no file .*b\.xlsx"):
        read_label_table(tmp_path / "b.xlsx")
    (tmp_path / "c.xlsx").write_text("text,label\n")
    with pytest.raises(ValueError, match=r"c\.xlsx cannot be read as an Excel workbook"):
        read_label_table(tmp_path / "c.xlsx")


def test_blank_labels_are_dropped_and_counted(tmp_path):
    texts = ["a", "b", "c", "d"]
    table = read_label_table(write(tmp_path / "a.csv", texts, ["keep", "", " ", "discard"]))
    assert table.texts == ["a", "d"]
    assert table.rows.tolist() == [0, 3]
    assert table.notes() == ["2 rows have no label: dropped."]
    pq.write_table(pa.table({"text": texts, "label": [1, None, 0, None]}), tmp_path / "a.parquet")
    table = read_label_table(tmp_path / "a.parquet")
    assert table.labels.tolist() == [1, 0]
    pq.write_table(
        pa.table({"text": texts, "label": [1, np.nan, 0, np.nan]}), tmp_path / "a.parquet"
    )
    assert read_label_table(tmp_path / "a.parquet").blank == 2
    with pytest.raises(ValueError, match=r"b\.csv has no label in column 'label'"):
        read_label_table(write(tmp_path / "b.csv", texts, ["", "", "", ""]))


def test_spellings_of_a_label_are_one_class(tmp_path):
    path = write(tmp_path / "a.csv", list("abcde"), ["keep", " Keep", "KEEP", "keep", "discard"])
    table = read_label_table(path)
    assert table.labels.tolist() == ["keep", "keep", "keep", "keep", "discard"]
    assert table.notes() == ["Read as keep: 'keep' (2), ' Keep' (1), 'KEEP' (1)."]
    as_is = read_label_table(path, as_is=True)
    assert set(as_is.labels) == {"keep", " Keep", "KEEP", "discard"}


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (["0.0", "1.0"], [0, 1]),
        (["1", "0.0"], [1, 0]),
        (["True", "False"], ["True", "False"]),
        (["yes", "no"], ["yes", "no"]),
        (["01", "1"], ["01", "1"]),
        (["1.5", "0"], ["1.5", "0"]),
    ],
)
def test_numbers_as_pandas_writes_them_are_whole(tmp_path, written, expected):
    labels = read_label_table(write(tmp_path / "a.csv", ["a", "b"], written)).labels.tolist()
    assert labels == expected
    assert list(map(type, labels)) == list(map(type, expected))


@pytest.mark.parametrize(
    ("classes", "useful"),
    [
        ([0, 1], 1),
        (["discard", "keep"], "keep"),
        (["Yes", "No"], "Yes"),
        ([False, True], True),
        (["news", "menu"], None),
        (["keep", "yes"], None),
    ],
)
def test_the_useful_label_is_known_by_its_usual_names(classes, useful):
    assert useful_label(classes) == useful


def test_several_files_are_one_table(tmp_path):
    first = write(tmp_path / "a.csv")
    second = write(tmp_path / "b.csv", ["Tea", "Menu"], ["discard", "discard"], sep=";")
    table = read_label_table(first, second)
    assert table.texts == [*TEXTS, "Tea", "Menu"]
    assert table.sources == (str(first), str(second))


def test_files_with_other_names_for_the_same_labels_are_refused(tmp_path):
    first = write(tmp_path / "a.csv", ["Tea", "Menu"], ["keep", "discard"])
    second = write(tmp_path / "b.csv", ["Soap", "Home"], [1, 0])
    with pytest.raises(ValueError, match=r"'keep' in .*a\.csv and '1' in .*b\.csv"):
        read_label_table(first, second)
    assert len(set(read_label_table(first, second, as_is=True).labels)) == 4
    # A file for each label is not such a case.
    only_useful = write(tmp_path / "c.csv", ["Soap"], ["keep"])
    only_garbage = write(tmp_path / "d.csv", ["Home"], ["menus"])
    assert read_label_table(only_useful, only_garbage).labels.tolist() == ["keep", "menus"]


def test_groups_and_held_out_rows_are_read(tmp_path):
    columns = {"text": list("abc"), "label": [1, 0, 1], "page": [7, 7, 8]}
    columns["held_out"] = ["true", "false", ""]
    pd.DataFrame(columns).to_csv(tmp_path / "a.csv", index=False)
    table = read_label_table(tmp_path / "a.csv", groups="page")
    assert table.groups.tolist() == ["7", "7", "8"]
    assert table.held_out.tolist() == [True, False, False]
    assert read_label_table(tmp_path / "a.csv").groups is None
    with pytest.raises(ValueError, match=r"a\.csv has no column 'firm'"):
        read_label_table(tmp_path / "a.csv", groups="firm")


def test_a_missing_column_is_said_with_the_likely_one(tmp_path):
    content = "Snippet;Class\nView All;0\n"
    (tmp_path / "a.csv").write_text(content)
    with pytest.raises(ValueError, match=r"no column 'text'.*Did you mean 'Snippet'"):
        read_label_table(tmp_path / "a.csv")
    with pytest.raises(ValueError, match=r"no column 'label'.*Did you mean 'Class'"):
        read_label_table(tmp_path / "a.csv", text="Snippet")


def test_a_file_without_column_names_says_so(tmp_path):
    (tmp_path / "a.csv").write_text("View All,0\nWe make pumps,1\n")
    with pytest.raises(ValueError, match="the first line of the file must hold the column names"):
        read_label_table(tmp_path / "a.csv")


def test_a_single_column_may_hold_any_delimiter(tmp_path):
    from skbert_filter.labelling.files import read_texts

    (tmp_path / "a.csv").write_text("text\nView All; more | less\n\tTea\n")
    assert read_texts(tmp_path / "a.csv").to_pylist() == ["View All; more | less", "\tTea"]


def test_texts_and_labels_alone(tmp_path):
    texts, labels = read_labels(write(tmp_path / "a.csv"))
    assert (texts, labels.tolist()) == (TEXTS, LABELS)
    assert labels.dtype == np.dtype(object)


def test_what_is_no_label_file_is_refused_with_what_to_do(tmp_path):
    with pytest.raises(ValueError, match=r"is a folder\. Name the files in it, such as .*\*\.csv"):
        read_label_table(tmp_path)
    with pytest.raises(ValueError, match=r"a\.ods has an unknown extension\. Label files are"):
        read_label_table(tmp_path / "a.ods")
    (tmp_path / "a.jsonl").write_text('{"text": "a", "label": 1}\n{"text": "b"\n')
    with pytest.raises(ValueError, match=r"Line 2 of .*a\.jsonl is not JSON"):
        read_label_table(tmp_path / "a.jsonl")
    openpyxl.Workbook().save(tmp_path / "a.xlsx")
    with pytest.raises(ValueError, match=r"a\.xlsx has no names of columns in the first row"):
        read_label_table(tmp_path / "a.xlsx")
