"""Tables and lines, read in bounded memory. Knows nothing of models.

A line of a text or JSON Lines file is kept as it is, next to the text in it.
"""

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
from skbert_filter.io.decoding import blocks_of, is_utf8, utf8_blocks
from skbert_filter.io.delimited import check_delimiter, csv_batches, find_delimiter, find_layout
from skbert_filter.io.formats import LINES, Format, file_format, open_file, table_format
from skbert_filter.io.lines import LINES_SCHEMA, json_batches, line_batches
from skbert_filter.io.remote import RemotePath

# Rows with the share of the file that has been read with them, NaN where that is unknown.
Batches: TypeAlias = Iterator[tuple[pa.RecordBatch, float]]

# A batch of Parquet has this many rows, or fewer where they are large. Repeats within a batch are
# found by Arrow, several times faster than those of an earlier batch.
_BATCH_ROWS = 1 << 18
_BATCH_BYTES = 1 << 26
_PARQUET_BUFFER_BYTES = 1 << 18

# Standard input or output.
STANDARD = Path("-")


@dataclass(frozen=True)
class TableReader:
    """An open table, with its columns as stored; views of strings in `batches` are strings."""

    path: Path
    format: Format
    schema: pa.Schema
    batches: Batches
    # What a text file was decoded from, None for UTF-8; and what stands between its values.
    encoding: str | None = None
    delimiter: str | None = None
    # The lines of its texts could be rows as well, whatever their quotation marks say.
    is_doubtful: bool = False


def read_table(
    path: Path, *, encoding: str | None = None, delimiter: str | None = None
) -> tuple[pa.Table, pa.Schema]:
    """Return a whole CSV, TSV or Parquet file, and its columns as stored."""
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
    """Open a table, or a file of lines or JSON Lines, or standard input (``-``).

    The texts of JSON Lines are in the member `text`, and become the column "text".
    """
    delimiter = check_delimiter(delimiter)
    if path == STANDARD:
        blocks = utf8_blocks(blocks_of(sys.stdin.buffer), "standard input", encoding=encoding)
        rows = ((batch, float("nan")) for batch in line_batches(blocks))
        yield TableReader(path, LINES, LINES_SCHEMA, rows, encoding)
        return

    known = file_format(path)
    if not path.is_file():
        raise FileNotFoundError(f"There is no file {path}. Check the path.")
    with local_copy(path) as local, ExitStack() as files:
        with _errors_named(path, known):
            if known.kind == "parquet":
                table = _open_parquet(path, local, known, files)
            else:
                table = _open_text(path, local, known, text, encoding, delimiter, files)
        yield table


@contextmanager
def local_copy(path: Path) -> Iterator[Path]:
    """Give a file of a bucket as one of this machine, which is gone after the block.

    Text may be read twice, Parquet from its end: both take longer over a network.
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
def _errors_named(path: Path, known: Format) -> Iterator[None]:
    """Turn what goes wrong in reading a file into a ValueError that names it."""
    try:
        yield
    except (pa.ArrowException, OSError, EOFError) as error:
        raise ValueError(f"{path} cannot be read as {known.name}: {error}") from error


def _open_text(
    path: Path,
    local: Path,
    known: Format,
    text: str,
    encoding: str | None,
    delimiter: str | None,
    files: ExitStack,
) -> TableReader:
    raw: pa.OSFile

    def blocks() -> Iterator[bytes]:
        nonlocal raw
        raw = files.enter_context(open_file(local))
        return blocks_of(files.enter_context(pa.input_stream(raw, compression=known.compression)))

    if encoding is not None and is_utf8(blocks(), encoding):
        encoding = None

    def read() -> Iterator[bytes]:
        return utf8_blocks(blocks(), path, encoding=encoding)

    schema, is_doubtful = LINES_SCHEMA, False
    if known.kind == "csv":
        delimiter = delimiter or find_delimiter(next(read(), b""), known.delimiter)
        layout = find_layout(read, delimiter, path)
        schema = pa.schema([(name, pa.string()) for name in layout.names])
        is_doubtful = layout.is_doubtful
        rows = csv_batches(read(), layout, delimiter, path)
    elif known.kind == "json":
        rows = json_batches(line_batches(read()), text, path)
    else:
        rows = line_batches(read())

    def batches() -> Batches:
        with _errors_named(path, known):
            for batch in rows:
                yield batch, raw.tell() / max(raw.size(), 1)

    return TableReader(path, known, schema, batches(), encoding, delimiter, is_doubtful)


def _open_parquet(path: Path, local: Path, known: Format, files: ExitStack) -> TableReader:
    raw = files.enter_context(open_file(local))
    # By default Arrow holds the bytes of all row groups that were read until the file is closed.
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
        with _errors_named(path, known):
            for batch in file.iter_batches(batch_rows):
                rows += batch.num_rows
                yield batch.cast(plain) if plain != schema else batch, rows / metadata.num_rows

    return TableReader(path, known, schema, batches())


def _int96_unit(raw: pa.OSFile) -> str:
    """Return the unit in which timestamps of the deprecated type INT96 keep their values."""
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
        # Beyond their range nanoseconds overflow, in Arrow's reader as in this cast.
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
