"""The list of likely label errors, through files and spreadsheets and back."""

import csv
import io
import json
from decimal import Decimal
from pathlib import Path

import openpyxl
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from skbert_filter.inspection import WordCountRule
from skbert_filter.labelling.corrections import correct_labels
from skbert_filter.labelling.files import (
    list_next_to_label,
    list_suspects,
    report_duplicates,
    report_leakage,
)
from skbert_filter.labelling.label_table import read_label_table

SHORT = ["Menu", "Home", "Zażółć", "Über uns", "Log in", "Karriere", "首页", "More", "Shop", "Next"]
LONG = [f"We build {what} for the farms of Łódź, since 1950" for what in SHORT]
TEXTS = [*SHORT, *LONG, "Menu"]
KEEP = [*([0] * 10), *([1] * 10), 0]


def as_labels(discard, keep, kind=None):
    labels = pa.array([keep if value else discard for value in KEEP], kind)
    return pa.table({"id": range(len(TEXTS)), "text": TEXTS, "label": labels})


TABLES = {
    "int": as_labels(0, 1),
    "bool": as_labels(False, True),
    "float": as_labels(0.0, 1.0),
    "digits": as_labels("0", "1"),
    "codes": as_labels("00", "01"),
    "decimal": as_labels(Decimal(0), Decimal(1), pa.decimal128(38, 0)),
    "int8": as_labels(0, 1, pa.int8()),
    "dictionary of digits": as_labels("0", "1", pa.dictionary(pa.int32(), pa.string())),
    "dictionary of words": as_labels("no", "yes", pa.dictionary(pa.int8(), pa.large_string())),
    "view": as_labels("0", "1", pa.string_view()),
    "view of texts": as_labels(0, 1).set_column(1, "text", pa.array(TEXTS, pa.string_view())),
}


@pytest.mark.parametrize("listed", ["suspects.csv", "suspects.parquet"])
@pytest.mark.parametrize("name", TABLES)
def test_labels_keep_their_type_and_spelling(tmp_path, name, listed):
    source, suspects, target = (tmp_path / file for file in ("a.parquet", listed, "c.parquet"))
    pq.write_table(TABLES[name], source)
    table = list_suspects(source, suspects, estimator=WordCountRule())
    assert correct_labels(source, suspects, target) == 0
    assert pq.read_table(target).equals(pq.read_table(source))

    _, keep = sorted(set(table["label"]))
    edited = table[table["text"] == "Menu"].assign(label=keep)
    edited.to_csv(suspects, index=False) if listed[-3:] == "csv" else edited.to_parquet(suspects)
    assert correct_labels(source, suspects, target, overwrite=True) == 2
    before, after = pq.read_table(source), pq.read_table(target)
    assert after.schema == before.schema
    labels = before["label"].to_pylist()
    labels[0] = labels[20] = labels[10]
    assert after["label"].to_pylist() == labels


LIST = pd.DataFrame(
    {
        "text": ["Zażółć", "Über uns", "Menu", TEXTS[10]],
        "label": ["0", "1", "0", ""],
        "score": ["0.5"] * 4,
        "first_row": ["2", "3", "0", "10"],
    }
)


def saved(delimiter=",", encoding="utf-8", **columns):
    """Return the list as a spreadsheet saves it, with the letters that it can save."""
    out = io.StringIO(newline="")
    rows = LIST.assign(**columns).to_dict("records")
    writer = csv.DictWriter(out, rows[0], delimiter=delimiter, lineterminator="\r\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue().encode(encoding, "replace")


def blanks_of(column):
    return [f"{value}.0" if value else "" for value in LIST[column]]


SAVED = {
    "with a byte order mark": saved(encoding="utf-8-sig"),
    "empty rows at the end": saved() + b",,,\r\n" * 3 + b"\r\n",
    "a column of notes, cut off where it is empty": saved().replace(b"_row\r\n", b"_row,note\r\n"),
    "empty columns": saved().replace(b"\r\n", b",,\r\n"),
    "semicolons": saved(";"),
    "semicolons in Windows-1252": saved(";", "cp1252"),
    "tabs in UTF-16": saved("\t", "utf-16"),
    "numbers with a fraction": saved(first_row=blanks_of("first_row"), label=blanks_of("label")),
    "blanks around a label": saved(label=["0", " 1", "0", ""]),
    "line ends of a text": saved(text=["Zażółć", "Über\r\nuns", "Menu ", TEXTS[10]]),
}


@pytest.mark.parametrize("name", SAVED)
def test_a_list_is_taken_as_a_spreadsheet_saves_it(tmp_path, name):
    pq.write_table(TABLES["int"], tmp_path / "a.parquet")
    (tmp_path / "list.csv").write_bytes(SAVED[name])
    arguments = (tmp_path / "a.parquet", tmp_path / "list.csv", tmp_path / "c.parquet")
    assert correct_labels(*arguments) == 1
    corrected = pq.read_table(tmp_path / "c.parquet")["label"].to_pylist()
    assert corrected == [*KEEP[:3], 1, *KEEP[4:]]


def test_a_list_is_decoded_as_its_spreadsheet_encoded_it(tmp_path):
    pq.write_table(TABLES["int"], tmp_path / "a.parquet")
    (tmp_path / "list.csv").write_bytes(saved(";", "cp1250"))
    arguments = (tmp_path / "a.parquet", tmp_path / "list.csv", tmp_path / "c.parquet")
    assert correct_labels(*arguments, encoding="cp1250") == 1
    with pytest.raises(ValueError, match=r"Row 1 of the table says that row 2 of X.* 'Za.*list"):
        correct_labels(*arguments, overwrite=True)


@pytest.mark.parametrize("written", ["TRUE", "true", "True", "1"])
def test_a_bool_is_known_as_spreadsheets_write_it(tmp_path, written):
    pq.write_table(TABLES["bool"], tmp_path / "a.parquet")
    (tmp_path / "list.csv").write_text(f"text,label,first_row\nMenu,{written},0\n")
    arguments = (tmp_path / "a.parquet", tmp_path / "list.csv", tmp_path / "c.parquet")
    if written == "1":
        with pytest.raises(ValueError, match=r"Row 1 of the table has the label '1'.*\[False, Tru"):
            correct_labels(*arguments)
    else:
        assert correct_labels(*arguments) == 2


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            "text,label\nMenu,1\n",
            r"list\.csv has no column 'first_row'\. Check the name",
        ),
        ("text,label,first_row\nHome,1,1\nMenu,1,x\n", r"Row 2 of .*list\.csv \(.*has 'x' in the"),
        ("text,label,first_row\nMenu,1,0.5\n", "'0.5' in the column 'first_row', which is not the"),
        ("text,label,first_row\nMenu,1,\n", "has '' in the column 'first_row'"),
        ("text,label,first_row\nMenu,2,0\n", r"Row 1 of the table has the label '2'.*list\.csv; i"),
        (
            "text,label,first_row\nHome,1,0\n",
            "Row 1 of the table says that row 0 of X has the text 'Home'",
        ),
        ("text,label,first_row\nMenu,1,-1\n", "Row 1 of the table says that row -1"),
        (
            "text,label,first_row\nMenu,1,0\nMenu,0,20\n",
            "Rows 1 and 2 of the table have the same text",
        ),
        ("", r"list\.csv is not a table"),
    ],
)
def test_a_list_that_cannot_be_applied_is_named_with_its_row(tmp_path, content, message):
    pq.write_table(TABLES["int"], tmp_path / "a.parquet")
    (tmp_path / "list.csv").write_text(content)
    with pytest.raises(ValueError, match=message):
        correct_labels(tmp_path / "a.parquet", tmp_path / "list.csv", tmp_path / "c.parquet")
    assert not (tmp_path / "c.parquet").exists()


def test_files_of_another_encoding_are_read_by_every_function(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    texts = [text for text in SHORT if text.isascii() or "Ü" in text]
    texts += [f"We build {text} for Zoë and the farms" for text in texts]
    frame = pd.DataFrame({"text": texts, "label": [int("We " in text) for text in texts]})
    frame.to_csv("a.csv", index=False, encoding="cp1252")
    (tmp_path / "b.txt").write_bytes("Über uns\nTea\n".encode("cp1252"))

    latin = {"encoding": "cp1252"}
    assert report_duplicates("a.csv", label="label", **latin).rows == len(frame)
    assert report_duplicates("b.txt", **latin).rows == 2
    assert report_leakage("a.csv", "b.txt", **latin).leaks.loc["exact", "test_rows"] == 1
    rule = WordCountRule().fit(SHORT + LONG, KEEP[:20])
    table = list_next_to_label(rule, "b.txt", "next.csv", labelled="a.csv", **latin)
    assert table["text"].tolist() == ["Tea"]
    list_suspects("a.csv", "suspects.csv", estimator=WordCountRule(), **latin)
    assert correct_labels("a.csv", "suspects.csv", "c.csv", **latin) == 0
    assert pd.read_csv("c.csv")["text"].tolist() == frame["text"].tolist()
    with pytest.raises(ValueError, match="There is no encoding 'cp0'"):
        report_duplicates("b.txt", encoding="cp0")


def book_of(path, rows):
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    book.create_sheet("Notes").append(["kept"])
    book.active["A1"].font = openpyxl.styles.Font(bold=True)
    book.save(path)


def test_a_workbook_is_corrected_in_place_of_its_cells(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    book_of("a.xlsx", [("text", "label"), *zip(TEXTS, KEEP, strict=True), (None, None)])
    list_suspects("a.xlsx", "suspects.csv", estimator=WordCountRule())
    table = pd.read_csv("suspects.csv", keep_default_na=False)
    table.loc[table["text"] == "Menu", "label"] = 1
    table.to_excel("suspects.xlsx", index=False)
    assert correct_labels("a.xlsx", "suspects.xlsx", "c.xlsx") == 2

    corrected = openpyxl.load_workbook("c.xlsx")
    labels = [row[1] for row in corrected.worksheets[0].iter_rows(2, 22, values_only=True)]
    assert labels == [1, *KEEP[1:-1], 1]
    assert corrected.sheetnames == ["Sheet", "Notes"]
    assert corrected.worksheets[0]["A1"].font.bold
    assert correct_labels("a.xlsx", "suspects.csv", "c.csv") == 0
    with pytest.raises(ValueError, match=r"d\.xlsx has an unknown extension"):
        correct_labels("c.csv", "suspects.csv", "d.xlsx")


def test_a_corrected_label_keeps_the_type_that_it_has_in_other_rows(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    book_of("a.xlsx", [("text", "label"), ("Menu", 1), ("Tea", "0"), ("Oil", 0)])
    lines = ['{"text": "Menu", "label": 1}', '{"text": "Tea", "label": 0.0}']
    lines.append('{"text": "Oil", "label": 0}')
    Path("a.jsonl").write_text("\n".join(lines))
    Path("list.csv").write_text("text,label,first_row\nOil,1,2\n")
    assert correct_labels("a.xlsx", "list.csv", "c.xlsx") == 1
    cells = openpyxl.load_workbook("c.xlsx").worksheets[0]["B"]
    assert [cell.value for cell in cells] == ["label", 1, "0", 1]
    assert correct_labels("a.jsonl", "list.csv", "c.jsonl") == 1
    assert Path("c.jsonl").read_text().splitlines() == [*lines[:2], lines[2].replace("0", "1")]


@pytest.mark.parametrize(("end", "new_end"), [("", ""), (".gz", ".gz"), ("", ".zst"), (".gz", "")])
def test_json_lines_are_corrected_where_a_label_changes(tmp_path, monkeypatch, end, new_end):
    monkeypatch.chdir(tmp_path)
    rows = zip(TEXTS, KEEP, strict=True)
    lines = [json.dumps({"text": t, "label": k, "id": [i]}) for i, (t, k) in enumerate(rows)]
    lines.append('{"text": "without a label"}')
    with pa.output_stream(f"a.jsonl{end}") as stream:
        stream.write("\n".join(lines).encode())
    table = list_suspects(f"a.jsonl{end}", "suspects.parquet", estimator=WordCountRule())
    table.loc[table["text"] == "Home", "label"] = 1
    table.to_parquet("suspects.parquet")
    assert correct_labels(f"a.jsonl{end}", "suspects.parquet", f"c.jsonl{new_end}") == 1

    with pa.input_stream(f"c.jsonl{new_end}") as stream:
        after = stream.read().decode().split("\n")
    assert json.loads(after[1]) == {"text": "Home", "label": 1, "id": [1]}
    assert [after[0], *after[2:]] == [lines[0], *lines[2:]]


def test_a_delimiter_is_taken_where_none_can_be_found(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    lines = [f"{text}~{label}" for text, label in zip(TEXTS, KEEP, strict=True)]
    Path("a.csv").write_text("\n".join(["text~label", *lines]), encoding="utf-8")
    with pytest.raises(ValueError, match="no column 'text'"):
        report_duplicates("a.csv")
    named = {"delimiter": "~"}
    assert report_duplicates("a.csv", **named).distinct == 20
    assert report_leakage("a.csv", "a.csv", **named).test_distinct == 20
    list_suspects("a.csv", "suspects.csv", estimator=WordCountRule(), **named)
    assert correct_labels("a.csv", "suspects.csv", "c.csv", **named) == 0
    assert pd.read_csv("c.csv", sep="~")["label"].tolist() == KEEP
    assert correct_labels("a.csv", "suspects.csv", "c.tsv", **named) == 0
    assert pd.read_csv("c.tsv", sep="\t")["label"].tolist() == KEEP
    with pytest.raises(ValueError, match="delimiter='~~' cannot separate values"):
        report_duplicates("a.csv", delimiter="~~")


@pytest.mark.parametrize("typed", ["\t", "\\t", "tab"])
def test_a_tab_may_be_typed_as_people_do(tmp_path, typed):
    (tmp_path / "a.csv").write_text("a,b\ttext\n1\tTea\n")
    assert report_duplicates(tmp_path / "a.csv", delimiter=typed).rows == 1


def test_texts_to_label_next_are_in_the_columns_of_the_labels(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    labels = pd.DataFrame({"Snippet": TEXTS[:20], "Class": KEEP[:20]})
    labels.to_csv("labels.csv", index=False)
    pd.DataFrame({"Snippet": [*TEXTS, "Terms", "We sell tea to sailors"]}).to_csv("crawl.csv")
    rule = WordCountRule().fit(TEXTS[:20], KEEP[:20])
    columns = {"text": "Snippet", "label": "Class"}
    list_next_to_label(rule, "crawl.csv", "next.csv", n=2, labelled="labels.csv", **columns)
    filled = pd.read_csv("next.csv", dtype=str)
    filled.loc[filled["Snippet"] == "Terms", "Class"] = "0"
    filled.to_csv("next.csv", index=False)
    table = read_label_table("labels.csv", "next.csv", **columns)
    assert (table.texts[20:], table.labels.tolist()[20:], table.blank) == (["Terms"], [0], 1)
