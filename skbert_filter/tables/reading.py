"""Tables and lines, read in bounded memory. Knows nothing of models.

Every value of a CSV file is read as text: guessing types would turn "007" into 7 and "NA"
into nothing. A line of a text or JSON Lines file is kept as it is, beside the text in it.
"""

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from skbert_filter.io.atomic import no_room_named
from skbert_filter.tables.decoding import blocks_of, check_utf8, decoded
from skbert_filter.tables.formats import LINES, Format, file_format, table_format
from skbert_filter.tables.lines import LINES_SCHEMA, json_batches, line_batches

Batches: TypeAlias = Iterator[tuple[pa.RecordBatch, float]]

# A batch of Parquet has this many rows, or fewer where they are large. Repeats within a batch are
# found by Arrow, several times faster than those of an earlier batch.
_BATCH_ROWS = 1 << 18
_BATCH_BYTES = 1 << 26
_PARQUET_BUFFER_BYTES = 1 << 18
# Arrow reads ahead up to 32 blocks of CSV, and refuses a row that is longer than one.
_CSV_BLOCK_BYTES = 1 << 22

STANDARD_INPUT = Path("-")


@dataclass(frozen=True)
class TableReader:
    """An open table.

    Attributes
    ----------
    path : Path
    format : Format
    schema : pyarrow.Schema
        The columns as stored. All of a CSV file are strings; those of lines are "line" and "text".
    batches : iterator of (pyarrow.RecordBatch, float)
        The rows, in order, with the share of the file that has been read with them: NaN
        where that is unknown. Views of strings come as strings, which Arrow can filter.
    encoding : str or None
        What a text file was decoded from, None for UTF-8.
    """

    path: Path
    format: Format
    schema: pa.Schema
    batches: Batches
    encoding: str | None = None


@contextmanager
def open_table(
    path: Path, *, encoding: str | None = None, scratch: Path | None = None
) -> Iterator[TableReader]:
    """Open a CSV, TSV or Parquet file for reading in batches.

    Parameters
    ----------
    path : Path
        A row of a CSV file may have 4 MiB.
    encoding : str, default=None
        What to decode a CSV file from that is not UTF-8. None: such a file is refused.
    scratch : Path, default=None
        A folder for the file as UTF-8 while it is read; None for that of temporary files.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the extension is unknown, or the content is not what it says, also later,
        while batches are read.
    """
    known = table_format(path)
    _check_is_file(path)
    # Arrow reads ahead in threads of its own: a Python file there aborts the interpreter
    # when it ends before they do.
    with (
        _as_utf8(path, known, encoding, scratch) as (file, plain, decoded_from),
        pa.OSFile(str(file)) as raw,
    ):
        with reading_errors(path, known):
            is_parquet = known.kind == "parquet"
            schema, batches = _open_parquet(raw) if is_parquet else _open_csv(file, raw, plain)
        yield TableReader(path, known, schema, _in_order(path, known, batches), decoded_from)


@contextmanager
def open_rows(
    path: Path, text: str, *, encoding: str | None = None, scratch: Path | None = None
) -> Iterator[TableReader]:
    """Open a table, or a file of lines or JSON Lines, or standard input (``-``).

    Parameters
    ----------
    path : Path
    text : str
        The column with the texts. Of JSON Lines it becomes the column "text"; lines of text have
        no other.
    encoding, scratch
        As for `open_table`. Standard input is decoded from `encoding` if it is given.

    Raises
    ------
    FileNotFoundError, ValueError
        As `open_table`.
    """
    if path == STANDARD_INPUT:
        parts = decoded(blocks_of(sys.stdin.buffer), "standard input", encoding=encoding)
        batches = ((batch, float("nan")) for batch in line_batches(parts))
        yield TableReader(path, LINES, LINES_SCHEMA, batches, encoding)
        return
    known = file_format(path)
    if known.is_table:
        with open_table(path, encoding=encoding, scratch=scratch) as table:
            yield table
        return
    _check_is_file(path)
    decoded_from = _find_encoding(path, known, encoding)
    with pa.OSFile(str(path)) as raw, _decompressed(raw, known) as stream:
        parts = decoded(blocks_of(stream), path, encoding=decoded_from)
        lines = line_batches(parts)
        rows = lines if known.kind == "lines" else json_batches(lines, text, path)
        size = max(raw.size(), 1)
        shares = ((batch, raw.tell() / size) for batch in rows)
        yield TableReader(path, known, LINES_SCHEMA, _in_order(path, known, shares), decoded_from)


def plain_schema(schema: pa.Schema) -> pa.Schema:
    """Return a schema without views of strings, as batches come."""
    views = {pa.string_view(): pa.large_string(), pa.binary_view(): pa.large_binary()}
    for i, field in enumerate(schema):
        if field.type in views:
            schema = schema.set(i, field.with_type(views[field.type]))
    return schema


@contextmanager
def reading_errors(path: Path, known: Format) -> Iterator[None]:
    """Turn what goes wrong in reading a file into an error that names it.

    Raises
    ------
    ValueError
    """
    try:
        yield
    except (pa.ArrowException, OSError, EOFError, UnicodeDecodeError) as error:
        if known.kind == "csv":
            with suppress(pa.ArrowException, OSError), _open(path, known) as stream:
                check_utf8(blocks_of(stream), path)
        raise ValueError(f"{path} cannot be read as {known.name}: {error}") from error


def _check_is_file(path: Path) -> None:
    if not path.is_file():
        raise FileNotFoundError(f"There is no file {path}. Check the path.")


def _in_order(path: Path, known: Format, batches: Batches) -> Batches:
    with reading_errors(path, known):
        yield from batches


def _decompressed(raw: pa.NativeFile, known: Format) -> Any:
    return pa.input_stream(raw, compression=known.compression)


def _open(path: Path, known: Format) -> Any:
    return pa.input_stream(str(path), compression=known.compression)


def _find_encoding(path: Path, known: Format, encoding: str | None) -> str | None:
    """Return `encoding` if it is needed to read a file, None if that is UTF-8."""
    if encoding is None:
        return None
    with reading_errors(path, known), _open(path, known) as stream:
        try:
            check_utf8(blocks_of(stream), path)
        except ValueError:
            return encoding
    return None


@contextmanager
def _as_utf8(
    path: Path, known: Format, encoding: str | None, scratch: Path | None
) -> Iterator[tuple[Path, Format, str | None]]:
    """Give a file with the content as UTF-8, its format, and what it was decoded from."""
    if known.kind != "csv" or (encoding := _find_encoding(path, known, encoding)) is None:
        yield path, known, None
        return
    plain = Format(known.extension, known.kind, known.name, known.delimiter)
    with tempfile.TemporaryDirectory(prefix="decoded-", dir=scratch) as folder:
        file = Path(folder, "utf-8")
        with no_room_named(file), _open(path, known) as stream, file.open("wb") as target:
            for part in decoded(blocks_of(stream), path, encoding=encoding):
                target.write(part.encode())
        yield file, plain, encoding


def _open_parquet(raw: pa.OSFile) -> tuple[pa.Schema, Batches]:
    # By default Arrow holds the bytes of all row groups that were read until the file is closed.
    file = pq.ParquetFile(raw, pre_buffer=False, buffer_size=_PARQUET_BUFFER_BYTES)
    metadata = file.metadata
    n_bytes = sum(metadata.row_group(i).total_byte_size for i in range(metadata.num_row_groups))
    batch_rows = min(_BATCH_ROWS, max(1, _BATCH_BYTES * metadata.num_rows // max(n_bytes, 1)))
    schema = file.schema_arrow
    plain = plain_schema(schema)

    def batches() -> Batches:
        rows = 0
        for batch in file.iter_batches(batch_rows):
            rows += batch.num_rows
            yield batch.cast(plain) if plain != schema else batch, rows / metadata.num_rows

    return schema, batches()


def _open_csv(path: Path, raw: pa.OSFile, known: Format) -> tuple[pa.Schema, Batches]:
    def reader_of(file: pa.OSFile, types: dict[str, pa.DataType]) -> pacsv.CSVStreamingReader:
        return pacsv.open_csv(
            _decompressed(file, known),
            read_options=pacsv.ReadOptions(block_size=_CSV_BLOCK_BYTES),
            parse_options=pacsv.ParseOptions(delimiter=known.delimiter, newlines_in_values=True),
            convert_options=pacsv.ConvertOptions(column_types=types, strings_can_be_null=False),
        )

    with _open(path, known) as stream:
        head = stream.read(_CSV_BLOCK_BYTES)
    if not head:
        raise pa.ArrowInvalid("it is empty, and has not even a line of column names")
    # For a better message than that of a strange column name.
    if b"\0" in head:
        check_utf8([head[: head.rindex(b"\n") + 1] if b"\n" in head else head], path)
    # The names have to be known before their type can be set.
    with pa.OSFile(str(path)) as again, reader_of(again, {}) as reader:
        names = reader.schema.names
    reader = reader_of(raw, dict.fromkeys(names, pa.string()))
    size = raw.size()
    return reader.schema, ((batch, raw.tell() / size) for batch in reader)
