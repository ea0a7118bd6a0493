"""Columns of a table: whether they exist, what they hold, and types that Arrow can filter."""

from difflib import get_close_matches
from pathlib import Path

import pyarrow as pa

# What people call the columns that are named "text" and "label" by default.
_SYNONYMS = {
    "text": ("snippet", "sentence", "content", "line", "body", "string", "title", "value"),
    "label": ("class", "category", "target", "tag", "y", "keep", "useful", "relevant"),
}
_PLAIN = {pa.string_view(): pa.large_string(), pa.binary_view(): pa.large_binary()}


def check_column(schema: pa.Schema, column: str, path: Path) -> None:
    """Reject a column name that a table does not have exactly once, and suggest the likely one."""
    if schema.names.count(column) > 1:
        raise ValueError(f"{path} has several columns {column!r}. Rename all but one.")
    if column in schema.names:
        return

    by_lower = {name.lower(): name for name in reversed(schema.names)}
    likely = get_close_matches(column.lower(), by_lower, n=1)
    likely += [name for name in _SYNONYMS.get(column, ()) if name in by_lower]
    if likely:
        hint = f"Did you mean {by_lower[likely[0]]!r}?"
    elif column in _SYNONYMS:
        hint = "Name the column; the first line of the file must hold the column names."
    else:
        hint = "Check the name."
    raise ValueError(
        f"{path} has no column {column!r}. {hint} Its columns are: {', '.join(schema.names)}."
    )


def check_text_column(schema: pa.Schema, column: str, path: Path) -> None:
    """Reject a text column that is missing or holds something else."""
    check_column(schema, column, path)
    kind = schema.field(column).type
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if kind not in (pa.string(), pa.large_string(), pa.string_view()):
        raise ValueError(
            f"Column {column!r} of {path} holds {kind}, not text. Name the column with the texts."
        )


def check_no_nulls(
    values: pa.Array,
    column: str,
    path: Path,
    *,
    first_row: int,
    remedy: str = "Fill or remove such rows.",
) -> None:
    """Reject missing values, naming the row; `first_row` is that of the first value, from 1."""
    if values.null_count:
        row = first_row + values.is_null().index(True).as_py()
        raise ValueError(
            f"Row {row} of {path} (the first is 1) has no value in column {column!r}. {remedy}"
        )


def valid_texts(values: pa.Array, column: str, path: Path, *, first_row: int) -> pa.Array:
    """Return texts as large strings, checked to be UTF-8, which Parquet does not ensure."""
    texts = values.cast(pa.large_string())
    try:
        texts.validate(full=True)
    except pa.ArrowInvalid as error:
        for row, data in enumerate(texts.cast(pa.large_binary()).to_pylist(), first_row):
            try:
                (data or b"").decode()
            except UnicodeDecodeError as decode_error:
                raise ValueError(
                    f"Row {row} of {path} (the first is 1) is not UTF-8 in column {column!r}: "
                    f"{decode_error}. Write the file again, with text in UTF-8."
                ) from error
        raise
    return texts


def plain_schema(schema: pa.Schema) -> pa.Schema:
    """Return a schema with each type replaced as by `plain_type`."""
    return pa.schema(map(_plain_field, schema), schema.metadata)


def plain_type(kind: pa.DataType) -> pa.DataType:
    """Replace string views by strings, at any depth: Arrow cannot filter rows of views."""
    types = pa.types
    if kind in _PLAIN:
        return _PLAIN[kind]
    if types.is_dictionary(kind):
        return pa.dictionary(kind.index_type, plain_type(kind.value_type), kind.ordered)
    if types.is_struct(kind):
        return pa.struct(map(_plain_field, kind))
    if types.is_map(kind):
        inner = map(_plain_field, (kind.key_field, kind.item_field))
        return pa.map_(*inner, keys_sorted=kind.keys_sorted)
    if types.is_fixed_size_list(kind):
        return pa.list_(_plain_field(kind.value_field), kind.list_size)
    if types.is_list(kind):
        return pa.list_(_plain_field(kind.value_field))
    if types.is_large_list(kind):
        return pa.large_list(_plain_field(kind.value_field))
    return kind


def _plain_field(field: pa.Field) -> pa.Field:
    return field.with_type(plain_type(field.type))
