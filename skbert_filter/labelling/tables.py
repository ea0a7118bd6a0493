"""Label files of every kind, read whole and written again with some labels changed.

Knows which column holds the labels, and not what they mean.
"""

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.json as pajson

from skbert_filter.corpus.sources import check_apart
from skbert_filter.io.atomic import atomic_write
from skbert_filter.io.formats import file_format, find_format, table_format
from skbert_filter.io.lines import LINE, line_bytes
from skbert_filter.io.reading import local_copy, open_rows, read_table
from skbert_filter.io.writing import check_new_file, create_table
from skbert_filter.printing import shown_text

# New values by row, counted from 0, and by column.
Edits: TypeAlias = Mapping[int, Mapping[str, Any]]

# Texts that a cell of a workbook cannot store, or would alter.
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


def is_edited_by_row(path: Path) -> bool:
    """Whether a file is changed by `write_edits`, and not written again as a table."""
    return _is_workbook(path) or _is_json(path)


def check_can_hold_texts(path: Path, texts: Iterable[str]) -> None:
    """Reject a workbook for texts that its cells cannot store unaltered."""
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


def check_can_relabel(source: Path, destination: Path, *columns: str) -> None:
    """Reject a destination that cannot hold the table, and formulas in `columns` of a workbook."""
    if _is_workbook(source) and _is_workbook(destination):
        for name, *cells in _open_workbook(source, may_be_new=True).worksheets[0].iter_cols():
            if str(name.value) in columns and any(cell.data_type == "f" for cell in cells):
                raise ValueError(
                    f"{source} has formulas in column {name.value!r}, whose values would be lost. "
                    "Copy the column, and paste it as values."
                )
    elif not (_is_json(source) and _is_json(destination)):
        table_format(destination)


def write_relabelled(
    source: Path,
    destination: Path,
    label: str,
    taken_from: np.ndarray,
    *,
    text: str,
    overwrite: bool,
    **options: str | None,
) -> None:
    """Write a table again; row i gets the label of row ``taken_from[i]``, spelled as there."""
    if is_edited_by_row(destination):
        stored = _stored_values(source, label, text, options["encoding"])
        changed = np.flatnonzero(taken_from != np.arange(len(taken_from))).tolist()
        edits = {row: {label: stored[taken_from[row]]} for row in changed}
        write_edits(source, destination, edits, text, options["encoding"], overwrite)
        return

    table, schema = read_label_file(source, text, **options)
    labels = table.column(label).take(pa.array(taken_from))

    # The program that wrote a source with semicolons expects them in the result too.
    is_same = find_format(source) == find_format(destination)
    delimiter = delimiter_of(source, **options) if is_same else None
    index = schema.get_field_index(label)
    table = table.set_column(index, table.schema.field(index), labels)
    with create_table(destination, schema, overwrite=overwrite, delimiter=delimiter) as write:
        for batch in table.to_batches():
            write(batch)


def delimiter_of(path: Path, **options: Any) -> str | None:
    """Return the delimiter of a table, None for Parquet."""
    with open_rows(path, **options) as reader:
        return reader.delimiter


def with_types(table: pa.Table) -> pa.Table:
    """Return a table with strings as the type of columns that hold no value, and so have none."""
    fields = [f.with_type(pa.string()) if pa.types.is_null(f.type) else f for f in table.schema]
    return table.cast(pa.schema(fields, table.schema.metadata))


def write_edits(
    source: Path, destination: Path, edits: Edits, text: str, encoding: str | None, overwrite: bool
) -> None:
    """Write a workbook or JSON Lines with some values changed; missing rows and columns are added.

    A `source` that does not exist is empty.
    """
    with atomic_write(destination, overwrite=overwrite) as made:
        if _is_workbook(source):
            _edit_sheet(source, made, edits)
            return

        lines = _edited_lines(source, edits, text, encoding)
        compression = file_format(destination).compression
        with pa.output_stream(str(made), compression=compression) as stream:
            stream.write("".join(lines).encode())


def _edit_sheet(source: Path, made: Path, edits: Edits) -> None:
    book = _open_workbook(source, may_be_new=True, rich_text=True)
    sheet = book.worksheets[0]
    names = [str(cell.value) for cell in sheet[1]] if source.exists() else []

    for row, values in edits.items():
        for name, value in values.items():
            if name not in names:
                names.append(name)
                sheet.cell(1, len(names), name)
            cell = sheet.cell(row + 2, names.index(name) + 1)
            try:
                cell.value = value
            except AttributeError as error:
                raise ValueError(
                    f"Cell {cell.coordinate} of {source} is merged with others. Unmerge them."
                ) from error
            if isinstance(value, str):
                cell.data_type = "s"  # openpyxl takes "=1+1" for a formula

    book.save(made)


def _edited_lines(source: Path, edits: Edits, text: str, encoding: str | None) -> list[str]:
    lines = _json_lines(source, text, encoding).to_pylist() if source.exists() else []
    for row, values in edits.items():
        if row == len(lines):
            lines[-1:] = [f"{line.rstrip()}\n" for line in lines[-1:]]
            lines.append("{}")
        edited = json.loads(lines[row]) | values
        lines[row] = json.dumps(edited, ensure_ascii="\\u" in lines[row]) + "\n"
    return lines


def _is_workbook(path: Path) -> bool:
    return path.suffix.lower() == ".xlsx"


def _is_json(path: Path) -> bool:
    known = find_format(path)
    return known is not None and known.kind == "json"


def _stored_values(source: Path, column: str, text: str, encoding: str | None) -> list[Any]:
    """Return a column of a workbook or JSON Lines, its values not converted to one type."""
    if _is_workbook(source):
        names, rows = _read_cells(source)
        return [row[names.index(column)] for row in rows]
    lines = _json_lines(source, text, encoding).to_pylist()
    return [json.loads(line).get(column) for line in lines]


def _read_cells(source: Path) -> tuple[list[str], list[tuple[Any, ...]]]:
    """Read the first sheet: its first row, which names the columns, and the others."""
    sheet = _open_workbook(source, data_only=True).worksheets[0]
    header, *rows = list(sheet.iter_rows(values_only=True)) or [()]
    names = list(map(str, header))
    if header.count(None) == len(header):
        raise ValueError(f"{source} has no names of columns in the first row of its first sheet.")
    while rows and rows[-1].count(None) == len(header):
        rows.pop()  # has a format only
    return names, rows


def _read_sheet(source: Path, text: str) -> pa.Table:
    names, rows = _read_cells(source)
    columns = []
    for i, name in enumerate(names):
        cells = [row[i] for row in rows]
        values = ["" if v is None else str(v) for v in cells] if name == text else cells
        kinds = {type(value) for value in values if value is not None}
        mixed = len(kinds) > 1
        values = [None if v is None else str(v) if mixed else v for v in values]
        columns.append(pa.array(values, pa.string() if name == text else None))
    return pa.table(columns, names)


def _open_workbook(source: Path, *, may_be_new: bool = False, **options: Any) -> Any:
    try:
        import openpyxl
    except ImportError as error:
        raise ImportError(
            f"{source} is read by openpyxl, which is missing: pip install openpyxl"
        ) from error

    if may_be_new and not source.exists():
        return openpyxl.Workbook()
    if not source.is_file():
        raise FileNotFoundError(f"There is no file {source}. Check the path.")
    try:
        with local_copy(source) as local:
            return openpyxl.load_workbook(local, **options)
    except Exception as error:  # a damaged archive may raise anything
        raise ValueError(f"{source} cannot be read as an Excel workbook: {error}") from error


def _read_json(source: Path, text: str, encoding: str | None) -> pa.Table:
    lines = _json_lines(source, text, encoding)
    # Without a type for the texts, Arrow would read 2020-01-01 as a date.
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
