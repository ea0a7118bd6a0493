"""The text column of a table: that it is there, what it holds, and its distinct texts."""

from difflib import get_close_matches
from pathlib import Path

import pyarrow as pa


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
    >>> from skbert_filter.io.columns import check_column
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
    if kind not in (pa.string(), pa.large_string(), pa.string_view()):
        raise ValueError(
            f"Column {column!r} of {path} holds {kind}, not text. Name the column with the texts."
        )


def valid_texts(values: pa.Array, column: str, path: Path, *, first_row: int) -> pa.Array:
    """Return some rows of a text column as large strings, if they are UTF-8; nulls are allowed.

    `first_row` is the number of the first of them in the file, counted from 1.

    Raises
    ------
    ValueError
        If a text is not UTF-8, naming its row: a Parquet file may hold anything.
    """
    texts = values.cast(pa.large_string())
    try:
        texts.validate(full=True)
    except pa.ArrowInvalid as error:
        for row, data in enumerate(texts.cast(pa.large_binary()).to_pylist(), first_row):
            try:
                (data or b"").decode()
            except UnicodeDecodeError as wrong:
                raise ValueError(
                    f"Row {row} of {path} (the first is 1) is not UTF-8 in column {column!r}: "
                    f"{wrong}. Correct what wrote the file."
                ) from error
        raise
    return texts


def check_no_nulls(values: pa.Array, column: str, path: Path, *, first_row: int) -> None:
    """Refuse missing values of a column of any type, naming the row as `valid_texts` does.

    Raises
    ------
    ValueError
    """
    if values.null_count:
        row = first_row + values.is_null().index(True).as_py()
        raise ValueError(
            f"Row {row} of {path} (the first is 1) has no value in column {column!r}. "
            "Fill or remove such rows."
        )
