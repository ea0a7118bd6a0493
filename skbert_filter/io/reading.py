"""Reads tables and lines in bounded memory. Nothing here depends on models."""

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeAlias

import pyarrow as pa
import pyarrow.parquet as pq

from skbert_filter.io.atomic import explain_full_disk
from skbert_filter.io.columns import plain_schema
from skbert_filter.io.decoding import is_utf8, read_blocks, utf8_blocks
from skbert_filter.io.delimited import check_delimiter, csv_batches, find_delimiter, find_layout
from skbert_filter.io.formats import LINES, Format, file_format, open_file, table_format
from skbert_filter.io.lines import LINES_SCHEMA, json_batches, line_batches
from skbert_filter.io.remote import RemotePath

# Rows, and the fraction of the file read so far: NaN if unknown.
Batches: TypeAlias = Iterator[tuple[pa.RecordBatch, float]]

# Limits of a Parquet batch. Batches are large because Arrow finds repeats within one several times
# faster than repeats of earlier batches are found.
_BATCH_ROWS = 1 << 18
_BATCH_BYTES = 1 << 26

_PARQUET_BUFFER_BYTES = 1 << 18

# Stands for standard input or output.
STANDARD = Path("-")


@dataclass(frozen=True)
class TableReader:
    """An open table. `schema` is as stored; in `batches`, string views have become strings."""

    path: Path
    format: Format
    schema: pa.Schema
    batches: Batches
    # The encoding of a text file, None for UTF-8, and the delimiter of a CSV file.
    encoding: str | None = None
    delimiter: str | None = None
    # Whether quoted texts span lines that could also be rows of their own.
    is_doubtful: bool = False


def read_table(
    path: Path, *, encoding: str | None = None, delimiter: str | None = None
) -> tuple[pa.Table, pa.Schema]:
    """Return a whole CSV, TSV or Parquet file, and its schema as stored."""
    table_format(path)
    with open_rows(path, encoding=encoding, delimiter=delimiter) as reader:
        batches = [batch for batch, _ in reader.batches]
    schema = batches[0].schema if batches else plain_schema(reader.schema)
    return pa.Table.from_batches(batches, schema), reader.schema


@contextmanager
def open_rows(
    path: Path,
    text: str = "text",
    *,
    encoding: str | None = None,
    delimiter: str | None = None,
) -> Iterator[TableReader]:
    """Open a table, a file of lines or JSON Lines, or lines from standard input (``-``).

    In JSON Lines the texts are read from the member `text`, into the column "text".
    """
    delimiter = check_delimiter(delimiter)
    if path == STANDARD:
        blocks = utf8_blocks(read_blocks(sys.stdin.buffer), "standard input", encoding=encoding)
        rows = ((batch, float("nan")) for batch in line_batches(blocks))
        yield TableReader(path, LINES, LINES_SCHEMA, rows, encoding)
        return

    format_ = file_format(path)
    if not path.is_file():
        raise FileNotFoundError(f"There is no file {path}. Check the path.")
    with local_copy(path) as local, ExitStack() as files:
        with _explain_errors(path, format_):
            if format_.kind == "parquet":
                table = _open_parquet(path, local, format_, files)
            else:
                table = _open_text(path, local, format_, text, encoding, delimiter, files)
        yield table


@contextmanager
def local_copy(path: Path) -> Iterator[Path]:
    """Yield the path of a local file, or of a temporary copy of a file in a bucket.

    Text may be read several times, and Parquet is read from its end; both are slow over a network.
    """
    if not isinstance(path, RemotePath):
        yield path
        return
    with TemporaryDirectory(prefix="skbert_filter-") as folder:
        local = Path(folder, f"copy{path.suffix}")
        with explain_full_disk(local):
            path.download(local)
        yield local


@contextmanager
def _explain_errors(path: Path, format_: Format) -> Iterator[None]:
    """Turn errors of reading a file into a ValueError that names it."""
    try:
        yield
    except (pa.ArrowException, OSError, EOFError) as error:
        raise ValueError(f"{path} cannot be read as {format_.name}: {error}") from error


def _open_text(
    path: Path,
    local: Path,
    format_: Format,
    text: str,
    encoding: str | None,
    delimiter: str | None,
    files: ExitStack,
) -> TableReader:
    raw: pa.OSFile

    def blocks() -> Iterator[bytes]:
        nonlocal raw
        raw = files.enter_context(open_file(local))
        stream = pa.input_stream(raw, compression=format_.compression)
        return read_blocks(files.enter_context(stream))

    if encoding is not None and is_utf8(blocks(), encoding):
        encoding = None

    def read() -> Iterator[bytes]:
        return utf8_blocks(blocks(), path, encoding=encoding)

    schema, is_doubtful = LINES_SCHEMA, False
    if format_.kind == "csv":
        delimiter = delimiter or find_delimiter(next(read(), b""), format_.delimiter)
        layout = find_layout(read, delimiter, path)
        schema = pa.schema([(name, pa.string()) for name in layout.names])
        is_doubtful = layout.is_doubtful
        rows = csv_batches(read(), layout, delimiter, path)
    elif format_.kind == "json":
        rows = json_batches(line_batches(read()), text, path)
    else:
        rows = line_batches(read())

    def batches() -> Batches:
        with _explain_errors(path, format_):
            for batch in rows:
                yield batch, raw.tell() / max(raw.size(), 1)

    return TableReader(path, format_, schema, batches(), encoding, delimiter, is_doubtful)


def _open_parquet(path: Path, local: Path, format_: Format, files: ExitStack) -> TableReader:
    raw = files.enter_context(open_file(local))
    # By default Arrow keeps the bytes of every row group it has read until the file is closed.
    file = pq.ParquetFile(
        raw,
        pre_buffer=False,
        buffer_size=_PARQUET_BUFFER_BYTES,
        coerce_int96_timestamp_unit=_int96_unit(raw),
    )
    metadata, schema = file.metadata, file.schema_arrow
    n_bytes = sum(metadata.row_group(i).total_byte_size for i in range(metadata.num_row_groups))
    batch_rows = min(_BATCH_ROWS, max(1, _BATCH_BYTES * metadata.num_rows // max(n_bytes, 1)))
    plain = plain_schema(schema)

    def batches() -> Batches:
        rows = 0
        with _explain_errors(path, format_):
            for batch in file.iter_batches(batch_rows):
                rows += batch.num_rows
                yield batch.cast(plain) if plain != schema else batch, rows / metadata.num_rows

    return TableReader(path, format_, schema, batches())


def _int96_unit(raw: pa.OSFile) -> str:
    """Return a unit that can represent all timestamps of the deprecated type INT96."""
    columns = pq.ParquetFile(raw).schema
    names = [column.path for column in columns if column.physical_type == "INT96"]
    if not names:
        return "ns"

    is_fine = is_coarse = True
    nanoseconds, microseconds = (
        pq.ParquetFile(raw, coerce_int96_timestamp_unit=unit).iter_batches(columns=names)
        for unit in ("ns", "us")
    )
    for fine, coarse in zip(nanoseconds, microseconds, strict=True):
        # Out-of-range nanoseconds overflow in Arrow's reader, and in the same way in this cast.
        is_coarse &= coarse.cast(fine.schema, safe=False).equals(fine)
        try:
            coarse.cast(fine.schema)
        except pa.ArrowInvalid:
            is_fine = False

    if not is_fine and not is_coarse:
        raise pa.ArrowInvalid(
            f"the timestamps in {', '.join(names)} (INT96) have nanoseconds, and lie beyond the "
            "years 1677 to 2262. Write them as microseconds (TIMESTAMP_MICROS)"
        )
    return "ns" if is_fine else "us"
