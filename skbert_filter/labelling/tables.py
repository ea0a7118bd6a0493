"""Whole tables of labels, in every kind of file that people keep them in, read and written again.

Knows which column holds the labels, and not what they mean.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.json as pajson

from skbert_filter.corpus.sources import check_apart
from skbert_filter.io.atomic import atomic_write
from skbert_filter.io.formats import file_format, find_format, table_format
from skbert_filter.io.lines import LINE, line_bytes
from skbert_filter.io.reading import local_copy, open_rows, read_table
from skbert_filter.io.writing import check_new_file, create_table


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


def check_place(destination: Path, *sources: Path, overwrite: bool) -> None:
    """Refuse an output that cannot be written, or would replace what is read."""
    for source in sources:
        check_apart(source, destination)
    check_new_file(destination, overwrite=overwrite)


def check_can_relabel(source: Path, destination: Path) -> None:
    """Refuse a file in which the table of another cannot be written again."""
    is_same = any(is_kind(source) and is_kind(destination) for is_kind in (_is_workbook, _is_json))
    if not is_same:
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
    """Write a table again; row i has the label of row ``taken_from[i]``, as it is written there."""
    changed = np.flatnonzero(taken_from != np.arange(len(taken_from))).tolist()

    if _is_workbook(destination):
        with atomic_write(destination, overwrite=overwrite) as made:
            book = _open_workbook(source)
            sheet = book.worksheets[0]
            column = [str(cell.value) for cell in sheet[1]].index(label) + 1
            labels = [sheet.cell(row + 2, column).value for row in taken_from[changed].tolist()]
            for row, new in zip(changed, labels, strict=True):
                sheet.cell(row + 2, column).value = new
            book.save(made)
        return

    if _is_json(destination):
        lines = _json_lines(source, text, encoding).to_pylist()
        labels = [json.loads(lines[row])[label] for row in taken_from[changed].tolist()]
        for row, new in zip(changed, labels, strict=True):
            changed_line = json.loads(lines[row]) | {label: new}
            lines[row] = json.dumps(changed_line, ensure_ascii=lines[row].isascii()) + "\n"
        compression = file_format(destination).compression
        with (
            atomic_write(destination, overwrite=overwrite) as made,
            pa.output_stream(str(made), compression=compression) as stream,
        ):
            stream.write("".join(lines).encode())
        return

    table, schema = read_label_file(source, text, encoding=encoding, delimiter=delimiter)
    # As its spreadsheet reads it.
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
    """Return what stands between the values of a table, None for Parquet."""
    with open_rows(path, **options) as reader:
        return reader.delimiter


def _is_workbook(path: Path) -> bool:
    return path.suffix.lower() == ".xlsx"


def _is_json(path: Path) -> bool:
    known = find_format(path)
    return known is not None and known.kind == "json"


def _read_sheet(source: Path, text: str) -> pa.Table:
    """Read the first sheet, whose first row names the columns."""
    rows = _open_workbook(source, data_only=True).worksheets[0].iter_rows(values_only=True)
    names = [str(name) for name in next(rows, ())]
    if not any(name != "None" for name in names):
        raise ValueError(f"{source} has no names of columns in the first row of its first sheet.")

    columns = []
    for name, cells in zip(names, zip(*rows, strict=True), strict=False):
        values = ["" if v is None else str(v) for v in cells] if name == text else list(cells)
        kinds = {type(value) for value in values if value is not None}
        mixed = len(kinds) > 1
        columns.append([None if v is None else str(v) if mixed else v for v in values])
    columns += [[]] * (len(names) - len(columns))
    return pa.table(columns, names)


def _open_workbook(source: Path, **options: Any) -> Any:
    if not source.is_file():
        raise FileNotFoundError(f"There is no file {source}. Check the path.")
    try:
        import openpyxl
    except ImportError as error:
        raise ImportError(
            f"{source} is read by openpyxl, which is missing: pip install openpyxl"
        ) from error

    try:
        with local_copy(source) as local:
            return openpyxl.load_workbook(local, **options)
    except Exception as error:  # whatever a damaged archive makes it raise
        raise ValueError(f"{source} cannot be read as an Excel workbook: {error}") from error


def _read_json(source: Path, text: str, encoding: str | None) -> pa.Table:
    lines = _json_lines(source, text, encoding)
    # Arrow would read a column of dates as such.
    options = pajson.ParseOptions(explicit_schema=pa.schema([(text, pa.string())]))
    try:
        return pajson.read_json(pa.BufferReader(line_bytes(lines)), parse_options=options)
    except pa.ArrowException as error:
        raise ValueError(f"{source} cannot be read as JSON Lines: {error}") from error


def _json_lines(source: Path, text: str, encoding: str | None) -> pa.Array:
    with open_rows(source, text, encoding=encoding) as reader:
        batches = [batch.column(LINE) for batch, _ in reader.batches]
    if not batches:
        raise ValueError(f"{source} has no rows.")
    return pa.concat_arrays(batches)
