"""Label files of every kind, read whole and written again with some labels changed.

Knows which column holds the labels, and not what they mean.
"""

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.json as pajson

from skbert_filter.corpus.sources import check_apart
from skbert_filter.io.atomic import written_aside
from skbert_filter.io.formats import file_format, find_format, table_format
from skbert_filter.io.lines import LINE, joined
from skbert_filter.io.reading import local_copy, open_rows, read_table
from skbert_filter.io.writing import check_new_file, create_table
from skbert_filter.printing import shown_text

# What the cell of a workbook does not hold, or returns as another text.
_NOT_IN_CELLS = re.compile(r"[\x00-\x08\x0b-\x1f\ufffe\uffff]|^.{32768}", re.DOTALL)


def read_label_file(
    source: Path, text: str, *, encoding: str | None = None, delimiter: str | None = None
) -> tuple[pa.Table, pa.Schema]:
    """Return a whole table, and its columns as stored."""
    if source.is_dir():
        raise ValueError(f"{source} is a folder. Name the files in it, such as {source}/*.csv.")
    if not _is_workbook(source) and find_format(source) is None:
        raise ValueError(
            f"{source} has an unknown extension. Label files are .csv, .tsv and .jsonl, each also "
            "with .gz or .zst, .parquet and .xlsx: save it as one of these."
        )

    if _is_workbook(source):
        table = _read_sheet(source, text)
    elif _is_json(source):
        table = _read_json(source, text, encoding)
    else:
        return read_table(source, encoding=encoding, delimiter=delimiter)
    return table, table.schema


def has_content(path: Path) -> bool:
    """Whether a file exists and is not empty."""
    return path.exists() and path.stat().st_size > 0


def is_edited_by_row(path: Path) -> bool:
    """Whether a file is changed row by row, so that all else in it stays as it is."""
    return _is_workbook(path) or _is_json(path)


def check_can_hold_texts(path: Path, texts: Iterable[str]) -> None:
    """Reject a workbook for texts that its cells cannot hold, or return as others."""
    if _is_workbook(path) and (lost := next(filter(_NOT_IN_CELLS.search, texts), None)):
        raise ValueError(
            f"{path} cannot hold {shown_text(lost)}: a cell of a workbook has 32,767 characters, "
            "and no control characters. Name a .csv or .jsonl file."
        )


def check_place(destination: Path, *sources: Path, overwrite: bool) -> None:
    """Reject an output that cannot be written, or would replace an input."""
    for source in sources:
        check_apart(source, destination)
    check_new_file(destination, overwrite=overwrite)


def check_can_relabel(source: Path, destination: Path) -> None:
    """Reject a destination in a format that cannot hold the table of the source."""
    if not any(is_kind(source) and is_kind(destination) for is_kind in (_is_workbook, _is_json)):
        table_format(destination)


def write_relabelled(
    source: Path,
    destination: Path,
    label: str,
    taken_from: np.ndarray,
    *,
    text: str,
    encoding: str | None,
    delimiter: str | None,
    overwrite: bool,
) -> None:
    """Write a table again; row i gets the label of row ``taken_from[i]``, spelled as there."""
    if is_edited_by_row(destination):
        rows = rows_to_edit(source, text, label, encoding)
        changed = np.flatnonzero(taken_from != np.arange(len(taken_from))).tolist()
        labels = [rows.get(row, label) for row in taken_from[changed].tolist()]
        for row, new in zip(changed, labels, strict=True):
            rows.set(row, label, new)
        rows.save(destination, overwrite=overwrite)
        return

    table, schema = read_label_file(source, text, encoding=encoding, delimiter=delimiter)
    # The program that wrote a source with semicolons expects them in the result too.
    is_same = find_format(source) == find_format(destination)
    options = {"encoding": encoding, "delimiter": delimiter}
    delimiter = delimiter_of(source, **options) if is_same else None

    index = schema.get_field_index(label)
    column = table.column(index).take(pa.array(taken_from))
    table = table.set_column(index, table.schema.field(index), column)
    with create_table(destination, schema, overwrite=overwrite, delimiter=delimiter) as write:
        for batch in table.to_batches():
            write(batch)


def delimiter_of(path: Path, **options: Any) -> str | None:
    """Return the delimiter of a table, None for Parquet."""
    with open_rows(path, **options) as reader:
        return reader.delimiter


def with_types(table: pa.Table) -> pa.Table:
    """Return a table whose columns without any value, which have no type, hold strings."""
    fields = [f.with_type(pa.string()) if pa.types.is_null(f.type) else f for f in table.schema]
    return table.cast(pa.schema(fields))


def rows_to_edit(path: Path, text: str, label: str, encoding: str | None) -> "SheetRows | JsonRows":
    """Return the rows of a workbook or of JSON Lines, none if the file does not exist yet."""
    return JsonRows(path, text, encoding) if _is_json(path) else SheetRows(path, text, label)


class SheetRows:
    """The first sheet of a workbook; its formats, and other sheets, stay as they are."""

    def __init__(self, path: Path, *columns: str):
        if not has_content(path):
            self._book = _openpyxl(path).Workbook()
            self._sheet, self._names = self._book.active, []
            return

        self._book = _open_workbook(path, rich_text=True)
        self._sheet = self._book.worksheets[0]
        self._names = [str(cell.value) for cell in self._sheet[1]]
        for name, *cells in self._sheet.iter_cols():
            if str(name.value) in columns and any(cell.data_type == "f" for cell in cells):
                raise ValueError(
                    f"{path} has formulas in column {name.value!r}, and would lose their values. "
                    "Copy the column, and paste it as values."
                )

    def get(self, row: int, column: str) -> Any:
        """Return a value; the first row is 0."""
        return self._sheet.cell(row + 2, self._names.index(column) + 1).value

    def set(self, row: int, column: str, value: Any) -> None:
        """Change a value; the column and the row are added if the sheet ends before them."""
        if column not in self._names:
            self._names.append(column)
            self._sheet.cell(1, len(self._names), column)
        cell = self._sheet.cell(row + 2, self._names.index(column) + 1)
        cell.value = value
        if isinstance(value, str):
            cell.data_type = "s"  # openpyxl takes "=1+1" for a formula

    def remove(self, row: int) -> None:
        """Remove a row."""
        self._sheet.delete_rows(row + 2)

    def save(self, path: Path, *, overwrite: bool) -> None:
        """Write the workbook to a file."""
        with written_aside(path, overwrite=overwrite) as made:
            self._book.save(made)


class JsonRows:
    """JSON Lines; those that are not changed stay as they are."""

    def __init__(self, path: Path, text: str, encoding: str | None):
        has_lines = has_content(path)
        self._lines = _json_lines(path, text, encoding).to_pylist() if has_lines else []

    def get(self, row: int, column: str) -> Any:
        """Return a value; the first row is 0."""
        return json.loads(self._lines[row])[column]

    def set(self, row: int, column: str, value: Any) -> None:
        """Change a value; the member and the row are added if they are missing."""
        if row == len(self._lines):
            self._lines[-1:] = [f"{line.rstrip()}\n" for line in self._lines[-1:]]
            self._lines.append("{}")
        line = self._lines[row]
        changed = json.loads(line) | {column: value}
        self._lines[row] = json.dumps(changed, ensure_ascii="\\u" in line) + "\n"

    def remove(self, row: int) -> None:
        """Remove a row."""
        del self._lines[row]

    def save(self, path: Path, *, overwrite: bool) -> None:
        """Write the lines to a file."""
        compression = file_format(path).compression
        with (
            written_aside(path, overwrite=overwrite) as made,
            pa.output_stream(str(made), compression=compression) as stream,
        ):
            stream.write("".join(self._lines).encode())


def _is_workbook(path: Path) -> bool:
    return path.suffix.lower() == ".xlsx"


def _is_json(path: Path) -> bool:
    known = find_format(path)
    return known is not None and known.kind == "json"


def _read_sheet(source: Path, text: str) -> pa.Table:
    """Read the first sheet, whose first row names the columns."""
    sheet = _open_workbook(source, data_only=True).worksheets[0]
    header, *rows = list(sheet.iter_rows(values_only=True)) or [()]
    names = list(map(str, header))
    if header.count(None) == len(header):
        raise ValueError(f"{source} has no names of columns in the first row of its first sheet.")
    while rows and rows[-1].count(None) == len(header):
        rows.pop()  # has a format only

    columns = []
    for i, name in enumerate(names):
        cells = [row[i] for row in rows]
        values = ["" if v is None else str(v) for v in cells] if name == text else cells
        kinds = {type(value) for value in values if value is not None}
        mixed = len(kinds) > 1
        values = [None if v is None else str(v) if mixed else v for v in values]
        columns.append(pa.array(values, pa.string() if name == text else None))
    return pa.table(columns, names)


def _openpyxl(path: Path) -> Any:
    try:
        import openpyxl
    except ImportError as error:
        raise ImportError(
            f"{path} is read by openpyxl, which is missing: pip install openpyxl"
        ) from error
    return openpyxl


def _open_workbook(source: Path, **options: Any) -> Any:
    if not source.is_file():
        raise FileNotFoundError(f"There is no file {source}. Check the path.")
    openpyxl = _openpyxl(source)
    try:
        with local_copy(source) as local:
            return openpyxl.load_workbook(local, **options)
    except Exception as error:  # a damaged archive may raise anything
        raise ValueError(f"{source} cannot be read as an Excel workbook: {error}") from error


def _read_json(source: Path, text: str, encoding: str | None) -> pa.Table:
    lines = _json_lines(source, text, encoding)
    if not len(lines):
        raise ValueError(f"{source} has no rows.")
    # The text column is named: Arrow would read texts such as 2020-01-01 as dates.
    options = pajson.ParseOptions(explicit_schema=pa.schema([(text, pa.string())]))
    try:
        return pajson.read_json(pa.BufferReader(joined(lines)), parse_options=options)
    except pa.ArrowException as error:
        raise ValueError(f"{source} cannot be read as JSON Lines: {error}") from error


def _json_lines(source: Path, text: str, encoding: str | None) -> pa.Array:
    with open_rows(source, text, encoding=encoding) as reader:
        batches = [batch.column(LINE) for batch, _ in reader.batches]
    return pa.concat_arrays(batches) if batches else pa.array([], pa.large_string())
