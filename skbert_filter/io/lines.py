"""Lines of a text, and JSON Lines: each kept as it is in the file, next to the text in it."""

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

# The columns: the line with its end, and the text in it.
LINE, TEXT = "line", "text"
LINES_SCHEMA = pa.schema({LINE: pa.large_string(), TEXT: pa.large_string()})


def whole_lines(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Cut a text again, so that each block but the last ends with a line feed."""
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
    r"""Cut a text in UTF-8 after each line feed, and at no other character.

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
    batches: Iterable[pa.RecordBatch], text: str, path: Path
) -> Iterator[pa.RecordBatch]:
    """Take the text out of lines of JSON, which `line_batches` gives, and drop blank lines.

    An object without the member `text` has a null.
    """
    n_lines = 0
    for batch in batches:
        lines = batch.column(LINE)
        is_filled = pc.not_equal(pc.ascii_trim_whitespace(lines), "")
        numbers = n_lines + 1 + np.flatnonzero(is_filled.to_numpy(zero_copy_only=False))
        lines = lines.filter(is_filled)

        if len(lines):
            texts = _texts(lines, text)
            if texts is None:
                # Slower, but this way the line is known.
                found = [
                    _text(line, text, f"Line {number} of {path}")
                    for line, number in zip(lines.to_pylist(), numbers.tolist(), strict=True)
                ]
                texts = pa.array(found, pa.large_string())
            if not n_lines and texts.null_count == len(texts):
                _check_has_member(lines, text, path)
            yield pa.record_batch([lines, texts], schema=LINES_SCHEMA)

        n_lines += len(batch)


def values_of_member(lines: pa.Array, member: str) -> pa.Array:
    """Return what JSON objects have in a member, as text; null where they lack it."""
    values = _texts(lines, member)
    if values is None:
        found = [_object(line, "A line").get(member) for line in lines.to_pylist()]
        values = pa.array([v if isinstance(v, str | None) else json.dumps(v) for v in found])
    return values


def joined(lines: pa.Array) -> pa.Buffer:
    """Return the bytes of consecutive lines without copying them."""
    if not len(lines):
        return pa.py_buffer(b"")
    _, offsets, data = lines.buffers()
    ends = np.frombuffer(offsets, np.int64)[lines.offset : lines.offset + len(lines) + 1]
    return data.slice(int(ends[0]), int(ends[-1] - ends[0]))


def with_members(lines: pa.Array, members: dict[str, Sequence[Any]]) -> pa.Array:
    """Add members to the objects of JSON Lines, each line being kept as it is otherwise."""
    added = []
    for i, line in enumerate(lines.to_pylist()):
        content = line.strip()
        # Few lines have to be parsed for it.
        if "\\" in content or any(f'"{name}"' in content for name in members):
            try:
                known = _object(content, "A line")
            except RecursionError as error:
                raise ValueError(
                    f"An object is nested too deeply to add members to it: {content[:80]}. "
                    "Remove the line."
                ) from error
            if taken := members.keys() & known.keys():
                raise ValueError(
                    f"An object has a member {taken.pop()!r} already: {content[:80]}. Name other "
                    "columns to add."
                )

        separator = ", " if content[1:-1].strip() else ""
        new = json.dumps({name: values[i] for name, values in members.items()}, ensure_ascii=False)
        added.append(line.rstrip()[:-1].rstrip() + separator + new[1:] + "\n")
    return pa.array(added, pa.large_string())


def _texts(lines: pa.Array, text: str) -> pa.Array | None:
    """Return the texts of JSON objects, None if a line may be anything but one of them."""
    trimmed = pc.ascii_trim_whitespace(lines)
    # Nothing in JSON has a brace at the end of a line and another at the start of the next: with
    # as many objects as lines, each line is one.
    has_braces = pc.and_(pc.starts_with(trimmed, "{"), pc.ends_with(trimmed, "}"))
    if not pc.all(has_braces).as_py():
        return None

    data = joined(lines)
    try:
        table = pajson.read_json(
            pa.BufferReader(data),
            read_options=pajson.ReadOptions(use_threads=False, block_size=data.size + 1),
            parse_options=pajson.ParseOptions(
                explicit_schema=pa.schema({text: pa.string()}), unexpected_field_behavior="ignore"
            ),
        )
    except pa.ArrowInvalid:
        return None
    if table.num_rows != len(lines):
        return None
    return table.column(text).combine_chunks().cast(pa.large_string())


def _text(line: str, text: str, where: str) -> str | None:
    try:
        value = _object(line, where).get(text)
    except RecursionError as error:
        # Arrow reads objects that are nested deeper, one in the time of a hundred.
        if (alone := _texts(pa.array([line], pa.large_string()), text)) is None:
            raise ValueError(f"{where} is nested too deeply. Remove it.") from error
        return alone[0].as_py()
    if value is None:
        return None
    if not isinstance(value, str):
        raise ValueError(
            f"{where} has {json.dumps(value)[:80]} in {text!r}, which is not text. Name the "
            "member with the texts, or correct it."
        )
    # No Arrow array can hold half a surrogate pair.
    return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _object(line: str, where: str) -> dict[str, Any]:
    try:
        # Python refuses a number of 5,000 digits, and none is needed.
        found = json.loads(line, parse_int=lambda digits: int(digits[:80]))
    except ValueError as error:
        raise ValueError(f"{where} is not JSON: {error}. Correct or remove it.") from error
    if not isinstance(found, dict):
        raise ValueError(
            f"{where} is not a JSON object: {line.strip()[:80]}. Correct or remove it."
        )
    return found


def _check_has_member(lines: pa.Array, text: str, path: Path) -> None:
    names: dict[str, None] = {}
    for line in lines.to_pylist():
        with suppress(RecursionError):
            names |= dict.fromkeys(_object(line, f"A line of {path}"))
    if text not in names:
        check_column(pa.schema({name: pa.null() for name in names}), text, path)
