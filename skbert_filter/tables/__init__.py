"""Files of texts, read and written in bounded memory. Knows nothing of models."""

from skbert_filter.tables.columns import (
    check_column,
    check_no_nulls,
    check_text_column,
    valid_texts,
)
from skbert_filter.tables.formats import Format, file_format, find_format, open_file, table_format
from skbert_filter.tables.reading import TableReader, open_rows, open_table
from skbert_filter.tables.writing import (
    Write,
    check_can_hold,
    check_destination,
    check_new_file,
    create_table,
    open_writer,
    standard_output,
)

__all__ = [
    "Format",
    "TableReader",
    "Write",
    "check_can_hold",
    "check_column",
    "check_destination",
    "check_new_file",
    "check_no_nulls",
    "check_text_column",
    "create_table",
    "file_format",
    "find_format",
    "open_file",
    "open_rows",
    "open_table",
    "open_writer",
    "standard_output",
    "table_format",
    "valid_texts",
]
