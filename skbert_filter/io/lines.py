"""Lines of text and JSON Lines: each line as it is in the file, next to its text."""

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as pajson

from skbert_filter.io.columns import check_column

# The columns of a batch: the line including its end, and the text in it.
LINE, TEXT = "line", "text"
LINES_SCHEMA = pa.schema({LINE: pa.large_string(), TEXT: pa.large_string()})


def whole_lines(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Regroup the blocks of a text so that each, except perhaps the last, ends with a line feed."""
    rest: list[bytes] = []
    for block in blocks:
        head, end, tail = block.rpartition(b"\n")
        if end:
            yield b"".join([*rest, head, end])
            rest = [tail]
        else:
            rest.append(tail)
    if last := b"".join(rest):
        yield last


def line_batches(blocks: Iterable[bytes]) -> Iterator[pa.RecordBatch]:
    r"""Split UTF-8 text into lines, after each line feed and at no other character.

    The column "line" has the lines with their ends, "text" without ``\r\n``.
    """
    for data in whole_lines(blocks):
        ends = np.flatnonzero(np.frombuffer(data, np.uint8) == ord("\n")) + 1
        if not len(ends) or ends[-1] != len(data):
            ends = np.append(ends, len(data))
        offsets = pa.py_buffer(np.concatenate([[0], ends]).astype(np.int64))
        lines = pa.LargeStringArray.from_buffers(len(ends), offsets, pa.py_buffer(data))
        texts = pc.ascii_rtrim(lines, characters="\r\n")
        yield pa.record_batch([lines, texts], schema=LINES_SCHEMA)


def json_batches(
    batches: Iterable[pa.RecordBatch], member: str, path: Path
) -> Iterator[pa.RecordBatch]:
    """Parse the batches of `line_batches` as JSON, and drop blank lines.

    The texts are in `member`; for an object without it the text is null.
    """
    n_lines = 0
    for batch in batches:
        lines = batch.column(LINE)
        is_filled = pc.not_equal(pc.ascii_trim_whitespace(lines), "")
        numbers = n_lines + 1 + np.flatnonzero(is_filled.to_numpy(zero_copy_only=False))
        lines = lines.filter(is_filled)

        if len(lines):
            texts = _parse_texts(lines, member)
            if texts is None:
                # Slower, but an error can name the line.
                texts = pa.array(
                    [
                        _parse_text(line, member, f"Line {number} of {path}")
                        for line, number in zip(lines.to_pylist(), numbers.tolist(), strict=True)
                    ],
                    pa.large_string(),
                )
            if not n_lines and texts.null_count == len(texts):
                _check_has_member(lines, member, path)
            yield pa.record_batch([lines, texts], schema=LINES_SCHEMA)

        n_lines += len(batch)


def values_of_member(lines: pa.Array, member: str) -> pa.Array:
    """Return the values of a member of JSON objects as text; null where it is missing."""
    values = _parse_texts(lines, member)
    if values is None:
        parsed = [_parse_member(line, member, "A line") for line in lines.to_pylist()]
        values = pa.array([v if isinstance(v, str | None) else json.dumps(v) for v in parsed])
    return values


def line_bytes(lines: pa.Array) -> pa.Buffer:
    """Return the bytes of consecutive lines without copying them."""
    if not len(lines):
        return pa.py_buffer(b"")
    _, offsets, data = lines.buffers()
    ends = np.frombuffer(offsets, np.int64)[lines.offset : lines.offset + len(lines) + 1]
    return data.slice(int(ends[0]), int(ends[-1] - ends[0]))


def with_members(lines: pa.Array, members: dict[str, Sequence[Any]]) -> pa.Array:
    """Append members to the objects of JSON Lines, without changing the rest of each line."""
    extended = []
    for i, line in enumerate(lines.to_pylist()):
        content = line.strip()
        # Only lines that may contain one of the names, perhaps escaped, are parsed.
        if "\\" in content or any(f'"{name}"' in content for name in members):
            try:
                names = _parse_object(content, "A line").keys()
            except RecursionError as error:
                raise ValueError(
                    f"An object is nested too deeply to add members to it: {content[:80]}. "
                    "Remove the line."
                ) from error
            if taken := members.keys() & names:
                raise ValueError(
                    f"An object already has a member {taken.pop()!r}: {content[:80]}. Name other "
                    "columns to add."
                )

        separator = ", " if content[1:-1].strip() else ""
        new = json.dumps({name: values[i] for name, values in members.items()}, ensure_ascii=False)
        extended.append(line.rstrip()[:-1].rstrip() + separator + new[1:] + "\n")
    return pa.array(extended, pa.large_string())


def _parse_texts(lines: pa.Array, member: str) -> pa.Array | None:
    """Read a member of JSON objects with Arrow; None if a line may be anything else."""
    trimmed = pc.ascii_trim_whitespace(lines)
    # No JSON value has a brace at the end of one line and another at the start of the next. So if
    # there are as many objects as lines, each line is one object.
    has_braces = pc.and_(pc.starts_with(trimmed, "{"), pc.ends_with(trimmed, "}"))
    if not pc.all(has_braces).as_py():
        return None

    data = line_bytes(lines)
    try:
        table = pajson.read_json(
            pa.BufferReader(data),
            read_options=pajson.ReadOptions(use_threads=False, block_size=data.size + 1),
            parse_options=pajson.ParseOptions(
                explicit_schema=pa.schema({member: pa.string()}),
                unexpected_field_behavior="ignore",
            ),
        )
    except pa.ArrowInvalid:
        return None
    if table.num_rows != len(lines):
        return None
    return table.column(member).combine_chunks().cast(pa.large_string())


def _parse_member(line: str, member: str, where: str) -> Any:
    try:
        return _parse_object(line, where).get(member)
    except RecursionError as error:
        # Arrow parses deeper nesting than Python, but takes a hundred times as long line by line.
        if (texts := _parse_texts(pa.array([line], pa.large_string()), member)) is None:
            raise ValueError(f"{where} is nested too deeply. Remove it.") from error
        return texts[0].as_py()


def _parse_text(line: str, member: str, where: str) -> str | None:
    value = _parse_member(line, member, where)
    if value is None:
        return None
    if not isinstance(value, str):
        raise ValueError(
            f"{where} has {json.dumps(value)[:80]} in {member!r}, which is not text. Name the "
            "member with the texts, or correct it."
        )
    # Arrow arrays cannot hold a lone surrogate.
    return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _parse_object(line: str, where: str) -> dict[str, Any]:
    try:
        # Python rejects integers of 5,000 digits; their values do not matter here.
        parsed = json.loads(line, parse_int=lambda digits: int(digits[:80]))
    except ValueError as error:
        raise ValueError(f"{where} is not JSON: {error}. Correct or remove it.") from error
    if not isinstance(parsed, dict):
        raise ValueError(
            f"{where} is not a JSON object: {line.strip()[:80]}. Correct or remove it."
        )
    return parsed


def _check_has_member(lines: pa.Array, member: str, path: Path) -> None:
    names: dict[str, None] = {}
    for line in lines.to_pylist():
        with suppress(RecursionError):
            names |= dict.fromkeys(_parse_object(line, f"A line of {path}"))
    if member not in names:
        check_column(pa.schema({name: pa.null() for name in names}), member, path)
