"""CSV and Parquet files, read and written in bounded memory. Knows nothing of models.

Every value of a CSV file is read as text and written back as it was: guessing types
would turn "007" into 7 and "NA" into nothing. Values are written in quotes.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TypeAlias

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

_FORMATS = {
    ".csv": "comma-separated UTF-8 text",
    ".csv.gz": "gzipped comma-separated UTF-8 text",
    ".parquet": "Parquet",
}
Batches: TypeAlias = Iterator[tuple[pa.RecordBatch, float]]

# A batch of Parquet has this many rows, or fewer where they are large. Repeats within a batch are
# found by Arrow, several times faster than those of an earlier batch.
_BATCH_ROWS = 1 << 18
_BATCH_BYTES = 1 << 26
_PARQUET_BUFFER_BYTES = 1 << 18
# Arrow reads ahead up to 32 blocks of CSV, and refuses a row that is longer than one.
_CSV_BLOCK_BYTES = 1 << 22


@dataclass(frozen=True)
class TableReader:
    """An open table.

    Attributes
    ----------
    path : Path
    schema : pyarrow.Schema
        All columns of a CSV file are strings.
    batches : iterator of (pyarrow.RecordBatch, float)
        The rows, in order, with the share of the file that has been read with them.
    """

    path: Path
    schema: pa.Schema
    batches: Batches


def table_format(path: Path) -> str:
    """Return the supported extension of a path: ".csv", ".csv.gz" or ".parquet".

    Raises
    ------
    ValueError
        If the file name has another extension.

    Examples
    --------
    >>> from pathlib import Path
    >>> from skbert_filter.tables import table_format
    >>> table_format(Path("crawl.CSV.gz"))
    '.csv.gz'
    """
    for extension in _FORMATS:
        if path.name.lower().endswith(extension):
            return extension
    raise ValueError(
        f"{path} has an unknown extension. Supported are {', '.join(_FORMATS)}: "
        "convert or rename the file."
    )


@contextmanager
def open_table(path: Path) -> Iterator[TableReader]:
    """Open a CSV or Parquet file for reading in batches.

    A row of a CSV file may have 4 MiB.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the extension is unknown, or the content is not what it says, also later,
        while batches are read.
    """
    extension = table_format(path)
    if not path.is_file():
        raise FileNotFoundError(f"There is no file {path}. Check the path.")
    # Arrow reads ahead in threads of its own: a Python file there aborts the interpreter
    # when it ends before they do.
    with pa.OSFile(str(path)) as raw:
        with _reading(path):
            schema, batches = (
                _open_parquet(raw) if extension == ".parquet" else _open_csv(path, raw, extension)
            )
        yield TableReader(path, schema, _reading_errors(path, batches))


@contextmanager
def create_table(path: Path, schema: pa.Schema) -> Iterator[Callable[[pa.RecordBatch], None]]:
    """Give a function that writes record batches; the file is complete when it appears.

    The rows go to ``<name>.partial`` beside `path`, which takes the place of `path` when
    the block ends well and is removed when it does not.

    Raises
    ------
    ValueError
        If the extension is unknown, or CSV cannot hold a column of `schema`.
    """
    extension = table_format(path)
    partial = path.with_name(path.name + ".partial")
    try:
        with pa.OSFile(str(partial), "wb") as raw:
            if extension == ".parquet":
                with pq.ParquetWriter(raw, schema) as writer:
                    yield writer.write_batch
            else:
                _check_csv_can_hold(schema, path)
                with (
                    pa.output_stream(raw, compression=_compression(extension)) as stream,
                    pacsv.CSVWriter(stream, schema) as writer,
                ):
                    yield writer.write_batch
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def check_column(schema: pa.Schema, column: str, path: Path) -> None:
    """Refuse a column name that a table does not have exactly once.

    Raises
    ------
    ValueError
        If it is missing (naming the columns and the closest one) or ambiguous.

    Examples
    --------
    >>> import pyarrow as pa
    >>> from pathlib import Path
    >>> from skbert_filter.tables import check_column
    >>> check_column(pa.schema({"texts": pa.string()}), "text", Path("a.csv"))
    Traceback (most recent call last):
        ...
    ValueError: a.csv has no column 'text'. Did you mean 'texts'? Its columns are: texts.
    """
    if schema.names.count(column) > 1:
        raise ValueError(f"{path} has several columns {column!r}. Rename all but one.")
    if column not in schema.names:
        close = get_close_matches(column.lower(), [name.lower() for name in schema.names], n=1)
        match = next((name for name in schema.names if close and name.lower() == close[0]), None)
        hint = f" Did you mean {match!r}?" if match is not None else ""
        raise ValueError(
            f"{path} has no column {column!r}.{hint} Its columns are: {', '.join(schema.names)}."
        )


def check_text_column(schema: pa.Schema, column: str, path: Path) -> None:
    """Refuse a text column that is missing or holds something else.

    Raises
    ------
    ValueError
        As `check_column`, or if the column does not hold strings.
    """
    check_column(schema, column, path)
    kind = schema.field(column).type
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        raise ValueError(
            f"Column {column!r} of {path} holds {kind}, not text. Name the column with the texts."
        )


def encode_texts(
    values: pa.Array, column: str, path: Path, *, first_row: int
) -> tuple[list[str], pa.Array]:
    """Return the distinct texts of some rows, and the position of each row's text in them.

    Parameters
    ----------
    values : pyarrow.Array
        Some rows of a text column.
    column : str
    path : Path
        Where they come from, for messages.
    first_row : int
        The number of the first of these rows in the file, counted from 1.

    Returns
    -------
    distinct : list of str
        In first-seen order.
    codes : pyarrow.Array of int

    Raises
    ------
    ValueError
        If a text is null (naming its row) or not UTF-8.
    """
    check_no_nulls(values, column, path, first_row=first_row)
    with _reading(path):
        encoded = values.cast(pa.large_string()).dictionary_encode()
        return encoded.dictionary.to_pylist(), encoded.indices


def check_no_nulls(values: pa.Array, column: str, path: Path, *, first_row: int) -> None:
    """Refuse missing values, naming the row.

    Parameters
    ----------
    values, column, path, first_row
        As for `encode_texts`, of a column of any type.

    Raises
    ------
    ValueError
        If a value is null.
    """
    if values.null_count:
        row = first_row + values.is_null().index(True).as_py()
        raise ValueError(
            f"Row {row} of {path} (the first is 1) has no value in column {column!r}. "
            "Fill or remove such rows."
        )


def check_destination(path: Path, *, overwrite: bool) -> None:
    """Refuse a file that cannot be created, before work is spent on it.

    Raises
    ------
    FileExistsError
        If the file exists and `overwrite` is False.
    FileNotFoundError
        If its folder does not exist.
    ValueError
        If the extension is unknown, or `path` is a folder.
    """
    table_format(path)
    if path.is_dir():
        raise ValueError(f"{path} is a folder. Name a file in it.")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"There is no folder {path.parent} for {path.name}. Create it.")
    if path.exists() and not overwrite:
        raise FileExistsError(
            f"{path} exists. Name another file, or pass overwrite=True (--overwrite)."
        )


def _open_parquet(raw: pa.OSFile) -> tuple[pa.Schema, Batches]:
    # By default Arrow holds the bytes of all row groups that were read until the file is closed.
    file = pq.ParquetFile(raw, pre_buffer=False, buffer_size=_PARQUET_BUFFER_BYTES)
    metadata = file.metadata
    n_bytes = sum(metadata.row_group(i).total_byte_size for i in range(metadata.num_row_groups))
    batch_rows = min(_BATCH_ROWS, max(1, _BATCH_BYTES * metadata.num_rows // max(n_bytes, 1)))

    def batches() -> Batches:
        rows = 0
        for batch in file.iter_batches(batch_rows):
            rows += batch.num_rows
            yield batch, rows / metadata.num_rows

    return file.schema_arrow, batches()


def _open_csv(path: Path, raw: pa.OSFile, extension: str) -> tuple[pa.Schema, Batches]:
    def reader_of(file: pa.OSFile, types: dict[str, pa.DataType]) -> pacsv.CSVStreamingReader:
        return pacsv.open_csv(
            pa.input_stream(file, compression=_compression(extension)),
            read_options=pacsv.ReadOptions(block_size=_CSV_BLOCK_BYTES),
            parse_options=pacsv.ParseOptions(newlines_in_values=True),
            convert_options=pacsv.ConvertOptions(column_types=types, strings_can_be_null=False),
        )

    # The names have to be known before their type can be set.
    with pa.OSFile(str(path)) as again, reader_of(again, {}) as reader:
        names = reader.schema.names
    reader = reader_of(raw, dict.fromkeys(names, pa.string()))
    size = raw.size()
    return reader.schema, ((batch, raw.tell() / size) for batch in reader)


def _compression(extension: str) -> str | None:
    return "gzip" if extension.endswith(".gz") else None


def _check_csv_can_hold(schema: pa.Schema, path: Path) -> None:
    for field in schema:
        try:
            pacsv.write_csv(pa.schema([field]).empty_table(), pa.BufferOutputStream())
        except pa.ArrowInvalid as error:
            raise ValueError(
                f"CSV cannot hold column {field.name!r} ({field.type}), so {path} cannot be "
                "written. Give the destination the extension .parquet."
            ) from error


def _reading_errors(path: Path, batches: Batches) -> Batches:
    with _reading(path):
        yield from batches


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise ValueError(
            f"{path} cannot be read as {_FORMATS[table_format(path)]}: {error}"
        ) from error
