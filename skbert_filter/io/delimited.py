"""Comma- and tab-separated text: what its quotation marks mean, where rows end, and their values.

Every value is read as text: guessing types would turn "007" into 7 and "NA" into nothing.
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

# Of European spreadsheets, and of what people write by hand.
_OTHER_DELIMITERS = ";\t|"
# What is held in memory where a quotation mark is never closed.
_LONGEST_ROW = 1 << 26


@dataclass(frozen=True)
class Layout:
    """How a file is to be read."""

    header: bytes
    names: list[str]
    # The lengths of parts of whole rows. None: each line is a row, and a quotation mark is a
    # character like others.
    parts: list[int] | None
    # Texts of a single column span lines, each of which could be a row as well.
    is_doubtful: bool = False


def find_delimiter(start: bytes, usual: str) -> str:
    """Return the delimiter of the column names: another only where the usual one is not there."""
    first_line = next(iter(start.lstrip(b"\r\n").splitlines()), b"")
    header = re.sub(rb'"[^"]*"', b"", first_line).decode(errors="replace")
    if usual in header:
        return usual
    most = max(_OTHER_DELIMITERS, key=header.count)
    return most if most in header else usual


def check_delimiter(delimiter: str | None) -> str | None:
    r"""Return a delimiter as it is in files; people type ``\t`` and "tab" for one."""
    if delimiter in ("\\t", "tab"):
        return "\t"
    if delimiter is not None and not (re.fullmatch(r"[\t -~]", delimiter) and delimiter != '"'):
        raise ValueError(
            f"delimiter={delimiter!r} cannot stand between values. Name one character, such as "
            "';', or tab."
        )
    return delimiter


def find_layout(read: Callable[[], Iterable[bytes]], delimiter: str, path: Path) -> Layout:
    """Find the meaning of quotation marks that fits a whole file, which `read` gives in UTF-8.

    Where a value begins with a quotation mark and does not end with one, the file was written
    without quoting: each line is a row, if all have a value for each column. Arrow and pandas
    read such a value to the next quotation mark, and merge rows in silence.
    """
    header, parts, spans_at, fault_at = _scan(read(), delimiter)
    if not header and not fault_at:
        raise pa.ArrowInvalid("it is empty, without even a line of column names")
    names = next(csv.reader([header.decode().strip("\r\n")], delimiter=delimiter), [])

    if not (spans_at or fault_at):
        return Layout(header, names, parts)

    # A comma before a space is one of a text, where that can be.
    of_text = b"" if fault_at or len(names) == 1 else b", "
    lines = (line for block in whole_lines(read()) for line in block.splitlines() if line)
    is_line_a_row = b'"' not in header and all(
        line.replace(of_text, b"").count(delimiter.encode()) == len(names) - 1 for line in lines
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
            'that it says which is meant (docs: files, "Quotation marks").'
        )
    return Layout(header, names, parts, is_doubtful=is_line_a_row)


def _scan(blocks: Iterable[bytes], delimiter: str) -> tuple[bytes, list[int], int, int]:
    """Find the header and the lengths of parts of whole rows.

    Return too the first line in which a value in quotation marks continues on the next one, where
    the header has none, and the line of a row that is not well-formed; 0 if there is none.
    """
    d = re.escape(delimiter.encode())
    # A quotation mark is a character like others in a value that begins with another one.
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
        if not header and (found := first_row.match(rest)):
            header = found[0]

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
    """Read the rows of a file; one of too many values or too few is a ValueError that names it."""
    first_row = 1
    to_skip = len(layout.header)
    for part in whole_lines(blocks) if layout.parts is None else _cut(blocks, layout.parts):
        rows = part[to_skip:]
        to_skip = max(to_skip - len(part), 0)
        if layout.header.endswith(b"\r\r\n"):
            # Written as text on Windows when it had ends of lines of Windows already.
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
    # Of equal names Arrow would take one.
    numbers = [str(i) for i in range(len(layout.names))]
    wrong: list[pacsv.InvalidRow] = []

    def note(row: pacsv.InvalidRow) -> str:
        wrong.append(row)
        return "error"

    try:
        table = pacsv.read_csv(
            pa.BufferReader(part),
            read_options=pacsv.ReadOptions(
                column_names=numbers, block_size=len(part) + 1, use_threads=False
            ),
            parse_options=pacsv.ParseOptions(
                delimiter=delimiter,
                quote_char=False if layout.parts is None else '"',
                newlines_in_values=True,
                # Of a single column, an empty line is a row with an empty text.
                ignore_empty_lines=len(numbers) > 1,
                invalid_row_handler=note,
            ),
            convert_options=pacsv.ConvertOptions(
                column_types=dict.fromkeys(numbers, pa.string()), strings_can_be_null=False
            ),
        )
    except pa.ArrowInvalid as error:
        if not wrong:
            raise
        row = wrong[0]
        raise ValueError(
            f"Row {first_row + row.number - 1} of {path} (the first is 1) should have "
            f"{row.expected_columns} values, but has {row.actual_columns}: {row.text[:80]!r}. Put "
            "quotation marks around a value that holds the delimiter, or correct the row."
        ) from error
    return pa.record_batch([column.combine_chunks() for column in table.columns], layout.names)
