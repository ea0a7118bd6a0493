"""Comma- and tab-separated text: what quotation marks mean, where rows end, and their values.

Every value is read as text: guessed types would turn "007" into 7, and "NA" into a missing value.
"""

import csv
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pacsv

from skbert_filter.io.lines import whole_lines

# Used by European spreadsheets, and by people who write tables by hand.
_OTHER_DELIMITERS = ";\t|"
# Limits memory where a quotation mark is never closed.
_LONGEST_ROW = 1 << 26


@dataclass(frozen=True)
class Layout:
    """How a file is divided into rows and values."""

    header: bytes
    names: list[str]
    # The lengths of consecutive parts of the file, each of which consists of whole rows. None: each
    # line is a row, and quotation marks are ordinary characters.
    parts: list[int] | None
    # Whether quoted texts of a single column span lines that could also be rows of their own.
    is_doubtful: bool = False


def find_delimiter(start: bytes, usual: str) -> str:
    """Return the delimiter of the column names: the usual one, unless it does not occur."""
    first_line = next(iter(start.lstrip(b"\r\n").splitlines()), b"")
    header = re.sub(rb'"[^"]*"', b"", first_line).decode(errors="replace")
    if usual in header:
        return usual
    most_frequent = max(_OTHER_DELIMITERS, key=header.count)
    return most_frequent if most_frequent in header else usual


def check_delimiter(delimiter: str | None) -> str | None:
    r"""Return a delimiter as it appears in files; people type ``\t`` or "tab" for a tab."""
    if delimiter in ("\\t", "tab"):
        return "\t"
    if delimiter is not None and not (re.fullmatch(r"[\t -~]", delimiter) and delimiter != '"'):
        raise ValueError(
            f"delimiter={delimiter!r} cannot separate values. Name one character, such as ';', or "
            "'tab'."
        )
    return delimiter


def find_layout(read: Callable[[], Iterable[bytes]], delimiter: str, path: Path) -> Layout:
    """Choose how to interpret quotation marks, by scanning a whole file.

    `read` returns the blocks of the file from its start, as UTF-8. If a value begins with a
    quotation mark but does not end with one, the file was written without quoting: each line is a
    row, provided that every line has a value for each column. Arrow and pandas would read such a
    value up to the next quotation mark, and silently merge rows.
    """
    header, parts, spans_at, fault_at = _scan(read(), delimiter)
    if not header and not fault_at:
        raise pa.ArrowInvalid("it is empty, without even a line of column names")
    names = next(csv.reader([header.decode().strip("\r\n")], delimiter=delimiter), [])

    if not (spans_at or fault_at):
        return Layout(header, names, parts)

    # In a well-formed file of several columns, a comma followed by a space may be part of a text.
    prose_comma = b"" if fault_at or len(names) == 1 else b", "
    lines = (line for block in whole_lines(read()) for line in block.splitlines() if line)
    is_line_a_row = b'"' not in header and all(
        line.replace(prose_comma, b"").count(delimiter.encode()) == len(names) - 1 for line in lines
    )

    if fault_at:
        if is_line_a_row and (len(names) > 1 or not spans_at):
            return Layout(header, names, None)
        raise ValueError(
            f"Line {fault_at} of {path}: a value that begins with a quotation mark does not end "
            "with one. Put quotation marks around whole values, and double those within them "
            '(docs: files, "Quotation marks").'
        )
    if is_line_a_row and len(names) > 1:
        raise ValueError(
            f"Line {spans_at} of {path} begins a value in quotation marks that continues on the "
            f"next line, but each line by itself has {len(names)} values too. Write the file so "
            'that it is unambiguous (docs: files, "Quotation marks").'
        )
    return Layout(header, names, parts, is_doubtful=is_line_a_row)


def _scan(blocks: Iterable[bytes], delimiter: str) -> tuple[bytes, list[int], int, int]:
    """Return the header, the lengths of parts of whole rows, and two line numbers.

    The first number is the line of the first quoted value that spans lines (not searched for if the
    header has quotation marks), the second that of a malformed row; 0 if there is none.
    """
    d = re.escape(delimiter.encode())
    # In a value that does not begin with one, quotation marks are ordinary characters.
    value = rb'(?:"[^"]*+(?:""[^"]*+)*+"|[^"%b\r\n][^%b\r\n]*+|)' % (d, d)
    row = rb"%b(?:%b%b)*+(?:\r*\n|\r+(?=[^\r\n]))" % (value, d, value)
    first_row, rows = re.compile(rb"[\r\n]*+%b" % row), re.compile(rb"(?:%b)*+" % row)
    spanning = re.compile(rb'"(?<![^%b\r\n]")[^"\r\n]*+(?:""[^"\r\n]*+)*+[\r\n]' % d)

    header, rest = b"", b""
    parts: list[int] = []
    n_lines = spans_at = 0
    for block in chain(blocks, [b""]):
        rest += block
        if not block and rest and not rest.endswith(b"\n"):
            rest += b"\n"
        if not header and (match := first_row.match(rest)):
            header = match[0]

        end = rest.rfind(b"\n") + 1
        if (not end or b'"' in rest) and (whole := rows.match(rest)):
            end = whole.end()
        if header and end:
            if not spans_at and b'"' not in header and (span := spanning.search(rest, 0, end)):
                spans_at = n_lines + rest.count(b"\n", 0, span.start()) + 1
            parts.append(end)
            n_lines += rest.count(b"\n", 0, end)
            rest = rest[end:]
        if rest.strip() and (not block or len(rest) > _LONGEST_ROW):
            return header, parts, spans_at, n_lines + 1
    return header, parts, spans_at, 0


def csv_batches(
    blocks: Iterable[bytes], layout: Layout, delimiter: str, path: Path
) -> Iterator[pa.RecordBatch]:
    """Read the rows of a file; a row with too many or too few values raises a ValueError."""
    first_row = 1
    to_skip = len(layout.header)
    for part in whole_lines(blocks) if layout.parts is None else _cut(blocks, layout.parts):
        rows = part[to_skip:]
        to_skip = max(to_skip - len(part), 0)
        if layout.header.endswith(b"\r\r\n"):
            # Text that already had Windows line ends was written in Windows' text mode.
            rows = rows.replace(b"\r\r\n", b"\r\n")

        if rows:
            batch = _parse(rows, layout, delimiter, first_row, path)
            yield batch
            first_row += batch.num_rows


def _cut(blocks: Iterable[bytes], lengths: list[int]) -> Iterator[bytes]:
    unread, rest = iter(blocks), b""
    for length in lengths:
        while len(rest) < length and (block := next(unread, None)) is not None:
            rest += block
        yield rest[:length]
        rest = rest[length:]


def _parse(
    part: bytes, layout: Layout, delimiter: str, first_row: int, path: Path
) -> pa.RecordBatch:
    # Columns may have equal names, of which Arrow would keep one.
    placeholders = [str(i) for i in range(len(layout.names))]
    invalid: list[pacsv.InvalidRow] = []

    def handle_invalid(row: pacsv.InvalidRow) -> str:
        invalid.append(row)
        return "error"

    try:
        table = pacsv.read_csv(
            pa.BufferReader(part),
            read_options=pacsv.ReadOptions(
                column_names=placeholders, block_size=len(part) + 1, use_threads=False
            ),
            parse_options=pacsv.ParseOptions(
                delimiter=delimiter,
                quote_char=False if layout.parts is None else '"',
                newlines_in_values=True,
                # In a single column, an empty line is an empty text.
                ignore_empty_lines=len(placeholders) > 1,
                invalid_row_handler=handle_invalid,
            ),
            convert_options=pacsv.ConvertOptions(
                column_types=dict.fromkeys(placeholders, pa.string()), strings_can_be_null=False
            ),
        )
    except pa.ArrowInvalid as error:
        if not invalid:
            raise
        row = invalid[0]
        raise ValueError(
            f"Row {first_row + row.number - 1} of {path} (the first is 1) should have "
            f"{row.expected_columns} values, but has {row.actual_columns}: {row.text[:80]!r}. Put "
            "quotation marks around a value that holds the delimiter, or correct the row."
        ) from error
    return pa.record_batch([column.combine_chunks() for column in table.columns], layout.names)
