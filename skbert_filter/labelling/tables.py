"""Whole tables of labels, in every kind of file that people keep them in, read and written again.

Knows which column holds the labels, and not what they mean.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.json as pajson

from skbert_filter.io.atomic import written_aside
from skbert_filter.io.formats import file_format, find_format, table_format
from skbert_filter.io.lines import LINE, joined
from skbert_filter.io.reading import local_copy, open_rows, read_table
from skbert_filter.io.writing import create_table


def read_label_file(
    source: Path, text: str, *, encoding: str | None = None, delimiter: str | None = None
) -> tuple[pa.Table, pa.Schema]:
    """Return a whole table, and its columns as stored."""
    if _is_workbook(source):
        table = _read_sheet(source, text)
    elif _is_json(source):
        table = _read_json(source, text, encoding)
    else:
        return read_table(source, encoding=encoding, delimiter=delimiter)
    return table, table.schema


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
        with written_aside(destination, overwrite=overwrite) as made:
            book = _open_workbook(source)
            sheet = book.worksheets[0]
            column = [str(cell.value) for cell in sheet[1]].index(label) + 1
            labels = [sheet.cell(row + 2, column).value for row in taken_from.tolist()]
            for row in changed:
                sheet.cell(row + 2, column).value = labels[row]
            book.save(made)
        return

    if _is_json(destination):
        lines = _json_lines(source, text, encoding).to_pylist()
        labels = [json.loads(lines[row])[label] for row in taken_from.tolist()]
        for row in changed:
            new = json.loads(lines[row]) | {label: labels[row]}
            lines[row] = json.dumps(new, ensure_ascii=False) + "\n"
        compression = file_format(destination).compression
        with (
            written_aside(destination, overwrite=overwrite) as made,
            pa.output_stream(str(made), compression=compression) as stream,
        ):
            stream.write("".join(lines).encode())
        return

    table, schema = read_label_file(source, text, encoding=encoding, delimiter=delimiter)
    index = schema.get_field_index(label)
    column = table.column(index).take(pa.array(taken_from))
    table = table.set_column(index, table.schema.field(index), column)
    with create_table(destination, schema, overwrite=overwrite) as write:
        for batch in table.to_batches():
            write(batch)


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
        return pajson.read_json(pa.BufferReader(joined(lines)), parse_options=options)
    except pa.ArrowException as error:
        raise ValueError(f"{source} cannot be read as JSON Lines: {error}") from error


def _json_lines(source: Path, text: str, encoding: str | None) -> pa.Array:
    with open_rows(source, text, encoding=encoding) as reader:
        batches = [batch.column(LINE) for batch, _ in reader.batches]
    if not batches:
        raise ValueError(f"{source} has no rows.")
    return pa.concat_arrays(batches)
