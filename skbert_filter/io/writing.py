"""Writes tables and lines in bounded memory. Nothing here depends on models."""

import sys
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from skbert_filter.io.atomic import atomic_write, check_can_create
from skbert_filter.io.columns import plain_schema
from skbert_filter.io.formats import Format, file_format, open_file, table_format
from skbert_filter.io.lines import LINE, TEXT, line_bytes, with_members
from skbert_filter.io.remote import RemotePath

Write: TypeAlias = Callable[[pa.RecordBatch], None]

# Limits of a Parquet row group.
_GROUP_ROWS = 1 << 18
_GROUP_BYTES = 1 << 26

_BYTES = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_fixed_size_binary)
# Spreadsheets evaluate such values, even if quoted. Those that are plain numbers are harmless.
_FORMULA = r"^([=+\-@\t\r\n＝＋－＠])"
_NUMBER = r"^[+\-]?[0-9][0-9.,]*([eE][+\-]?[0-9]+)?$"


def write_table(table: pa.Table, path: Path, **options: Any) -> None:
    """Write a table to a file. The options are those of `create_table`."""
    with create_table(path, table.schema, **options) as write:
        for batch in table.to_batches():
            write(batch)


@contextmanager
def create_table(
    path: Path,
    schema: pa.Schema,
    *,
    overwrite: bool = False,
    escape_formulas: bool = False,
    delimiter: str | None = None,
) -> Iterator[Write]:
    """Yield a function that writes record batches; the file appears once it is complete."""
    format_ = table_format(path)
    format_ = replace(format_, delimiter=delimiter or format_.delimiter)
    check_can_hold(schema, path)
    with (
        atomic_write(path, overwrite=overwrite) as temporary,
        open_writer(temporary, schema, format_, escape_formulas=escape_formulas) as write,
    ):
        yield write


@contextmanager
def open_writer(
    path: Path, schema: pa.Schema, format_: Format, *, escape_formulas: bool = False
) -> Iterator[Write]:
    """Yield a function that writes record batches directly to `path`.

    For lines of text, only the column "line" is written. For JSON Lines, columns other than "line"
    and "text" become members.
    """
    plain = plain_schema(schema)
    with open_file(path, "wb") as raw:
        if format_.kind == "parquet":
            has_views = plain != schema
            with pq.ParquetWriter(raw, plain, store_schema=not has_views) as writer:
                with _row_groups(writer, plain) as write:
                    yield write
                if has_views:
                    # Arrow cannot write views in lists of structs. They are stored as strings are:
                    # only this metadata makes readers return views.
                    stored = {"ARROW:schema": b64encode(schema.serialize())}
                    writer.add_key_value_metadata((schema.metadata or {}) | stored)
            return

        with pa.output_stream(raw, compression=format_.compression) as stream:
            if format_.kind != "csv":
                yield _line_writer(stream.write)
                return
            written = _escaped_schema(plain) if escape_formulas else plain
            options = pacsv.WriteOptions(delimiter=format_.delimiter)
            with pacsv.CSVWriter(stream, written, write_options=options) as writer:
                yield _csv_writer(writer, written if escape_formulas else None)


@contextmanager
def standard_output() -> Iterator[Write]:
    """Yield a function that writes lines to standard output."""
    if sys.stdout is None:
        raise ValueError("Standard output is closed. Name a file.")
    yield _line_writer(sys.stdout.buffer.write)
    sys.stdout.buffer.flush()


def check_new_file(path: Path, *, overwrite: bool) -> None:
    """Raise an error, before work is spent, if a file cannot be created."""
    if path.is_dir():
        raise ValueError(f"{path} is a folder. Name a file in it.")
    if path.exists() and not overwrite:
        raise FileExistsError(
            f"{path} exists. Name another file, or pass overwrite=True (--overwrite)."
        )
    check_parent(path)


def check_parent(path: Path) -> None:
    """Raise an error if `path` cannot be created in its folder. Buckets are not checked."""
    if isinstance(path, RemotePath):
        return
    if not path.absolute().parent.is_dir():
        raise FileNotFoundError(f"There is no folder {path.parent} for {path.name}. Create it.")
    check_can_create(path)


def check_can_hold(schema: pa.Schema, path: Path) -> None:
    """Reject columns that a CSV file cannot hold, for instance lists or bytes."""
    if file_format(path).kind != "csv":
        return
    for field in plain_schema(schema):
        kind = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
        with suppress(pa.ArrowInvalid):
            pacsv.write_csv(pa.schema([field]).empty_table(), pa.BufferOutputStream())
            # Arrow's writer accepts bytes, but fails at the first that are not UTF-8.
            if not any(is_bytes(kind) for is_bytes in _BYTES):
                continue
        raise ValueError(
            f"CSV cannot hold column {field.name!r} ({field.type}), so {path} cannot be written. "
            "Give the destination the extension .parquet."
        )


def _csv_writer(writer: pacsv.CSVWriter, escaped: pa.Schema | None) -> Write:
    def write(batch: pa.RecordBatch) -> None:
        for name, column in zip(batch.schema.names, batch.columns, strict=True):
            try:
                column.validate(full=True)
            except pa.ArrowInvalid as error:
                raise ValueError(
                    f"Column {name!r} has text that is not UTF-8, which CSV cannot hold: {error}. "
                    "Give the destination the extension .parquet."
                ) from error
        if escaped is not None:
            columns = map(pa.Array.cast, batch.columns, escaped.types)
            batch = pa.record_batch(list(map(_without_formulas, columns)), schema=escaped)
        writer.write_batch(batch)

    return write


def _escaped_schema(schema: pa.Schema) -> pa.Schema:
    """Return a schema with escaped names, and values instead of dictionary codes."""
    names = _without_formulas(pa.array(schema.names, pa.string())).to_pylist()
    types = [t.value_type if pa.types.is_dictionary(t) else t for t in schema.types]
    return pa.schema(list(zip(names, types, strict=True)))


def _without_formulas(column: pa.Array) -> pa.Array:
    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        return column
    escaped = pc.replace_substring_regex(column, _FORMULA, r"'\1")
    return pc.if_else(pc.match_substring_regex(column, _NUMBER), column, escaped)


@contextmanager
def _row_groups(writer: pq.ParquetWriter, schema: pa.Schema) -> Iterator[Write]:
    waiting: list[pa.RecordBatch] = []

    def flush() -> None:
        table = pa.Table.from_batches(waiting)
        waiting.clear()
        writer.write_table(table if table.schema == schema else table.cast(schema))

    def write(batch: pa.RecordBatch) -> None:
        if batch.num_rows:
            waiting.append(batch)
        rows = sum(batch.num_rows for batch in waiting)
        if rows >= _GROUP_ROWS or sum(batch.nbytes for batch in waiting) >= _GROUP_BYTES:
            flush()

    yield write
    if waiting:
        flush()


def _line_writer(write_bytes: Callable[[pa.Buffer], object]) -> Write:
    def write(batch: pa.RecordBatch) -> None:
        lines = batch.column(LINE)
        added = [name for name in batch.schema.names if name not in (LINE, TEXT)]
        if added:
            lines = with_members(lines, {name: batch.column(name).to_pylist() for name in added})
        write_bytes(line_bytes(lines))

    return write
