"""Lines of a text, and JSON Lines: each kept as it is in the file, beside the text in it."""

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as pajson

from skbert_filter.tables.columns import check_column

# The columns: the line with its end, and the text in it.
LINE, TEXT = "line", "text"
LINES_SCHEMA = pa.schema({LINE: pa.large_string(), TEXT: pa.large_string()})


def line_batches(parts: Iterable[str]) -> Iterator[pa.RecordBatch]:
    r"""Cut a text after each line feed, and at no other character.

    Parameters
    ----------
    parts : iterable of str
        The text, in parts of any size.

    Yields
    ------
    batch : pyarrow.RecordBatch
        With the columns "line" and "text"; the text has no ``\r\n`` at its end.

    Examples
    --------
    >>> from skbert_filter.tables.lines import line_batches
    >>> [batch.to_pydict() for batch in line_batches(["a\r\nb", "\n"])]
    [{'line': ['a\r\n'], 'text': ['a']}, {'line': ['b\n'], 'text': ['b']}]
    """
    rest: list[str] = []
    for part in parts:
        head, end, tail = part.rpartition("\n")
        if end:
            yield _lines("".join([*rest, head, end]))
            rest = [tail]
        else:
            rest.append(tail)
    if last := "".join(rest):
        yield _lines(last)


def json_batches(
    batches: Iterable[pa.RecordBatch], text: str, path: Path
) -> Iterator[pa.RecordBatch]:
    """Take the text out of lines of JSON, and leave out blank lines.

    Parameters
    ----------
    batches : iterable of pyarrow.RecordBatch
        As `line_batches` gives them.
    text : str
        The member of each object that holds the text. Without it, the text is null.
    path : Path
        Where they come from, for messages.

    Yields
    ------
    batch : pyarrow.RecordBatch
        With the columns "line" and "text".

    Raises
    ------
    ValueError
        If a line is no JSON object or its text is no text, naming the line; or if no object
        of the first batch has the member.
    """
    n_lines = 0
    for batch in batches:
        lines = batch.column(LINE)
        is_filled = pc.not_equal(pc.ascii_trim_whitespace(lines), "")
        numbers = n_lines + 1 + np.flatnonzero(is_filled.to_numpy(zero_copy_only=False))
        lines = lines.filter(is_filled)
        if len(lines):
            texts = _json_texts(lines, numbers, text, path)
            if not n_lines and texts.null_count == len(texts):
                _check_has_member(lines, text, path)
            yield pa.record_batch([lines, texts], schema=LINES_SCHEMA)
        n_lines += len(batch)


def joined(lines: pa.Array) -> pa.Buffer:
    """Return the bytes of consecutive lines without copying them."""
    if not len(lines):
        return pa.py_buffer(b"")
    _, offsets, data = lines.buffers()
    ends = np.frombuffer(offsets, np.int64)[lines.offset : lines.offset + len(lines) + 1]
    return data.slice(int(ends[0]), int(ends[-1] - ends[0]))


def with_members(lines: pa.Array, members: dict[str, Sequence[Any]]) -> pa.Array:
    """Add members to the objects of JSON Lines, each line being kept as it is otherwise.

    Raises
    ------
    ValueError
        If an object has such a member already.
    """
    added = []
    for i, line in enumerate(lines.to_pylist()):
        content = line.rstrip()
        known = json.loads(content)
        if taken := members.keys() & known.keys():
            raise ValueError(
                f"An object has a member {taken.pop()!r} already: {content[:80]}. Name other "
                "columns to add."
            )
        new = json.dumps({name: values[i] for name, values in members.items()}, ensure_ascii=False)
        added.append(content[:-1].rstrip() + (", " if known else "") + new[1:] + "\n")
    return pa.array(added, pa.large_string())


def _lines(text: str) -> pa.RecordBatch:
    data = text.encode()
    ends = np.flatnonzero(np.frombuffer(data, np.uint8) == ord("\n")) + 1
    if not len(ends) or ends[-1] != len(data):
        ends = np.append(ends, len(data))
    offsets = np.concatenate([[0], ends]).astype(np.int64)
    lines = pa.LargeStringArray.from_buffers(len(ends), pa.py_buffer(offsets), pa.py_buffer(data))
    texts = pc.ascii_rtrim(lines, characters="\r\n")
    return pa.record_batch([lines, texts], schema=LINES_SCHEMA)


def _json_texts(lines: pa.Array, numbers: np.ndarray, text: str, path: Path) -> pa.Array:
    data = joined(lines)
    try:
        table = pajson.read_json(
            pa.BufferReader(data),
            read_options=pajson.ReadOptions(use_threads=False, block_size=data.size + 1),
            parse_options=pajson.ParseOptions(
                explicit_schema=pa.schema({text: pa.string()}), unexpected_field_behavior="ignore"
            ),
        )
        if table.num_rows == len(lines):
            return table.column(text).combine_chunks().cast(pa.large_string())
    except pa.ArrowInvalid:
        pass
    # Slower, but this way the line is known.
    found = [
        _json_text(line, text, f"Line {number} of {path}")
        for line, number in zip(lines.to_pylist(), numbers.tolist(), strict=True)
    ]
    return pa.array(found, pa.large_string())


def _json_text(line: str, text: str, where: str) -> str | None:
    try:
        found = json.loads(line)
        value = found.get(text) if isinstance(found, dict) else found
        if isinstance(value, str):
            # Refuses half a surrogate pair, which JSON can write and no file can hold.
            value.encode()
    except ValueError as error:
        raise ValueError(f"{where} is no JSON: {error}. Mend or remove it.") from error
    if not isinstance(found, dict):
        raise ValueError(f"{where} is no JSON object: {line.strip()[:80]}. Mend or remove it.")
    if value is not None and not isinstance(value, str):
        raise ValueError(
            f"{where} has {json.dumps(value)[:80]} in {text!r}, which is not text. Name the "
            "member with the texts, or mend it."
        )
    return value


def _check_has_member(lines: pa.Array, text: str, path: Path) -> None:
    names = {name: None for line in lines.to_pylist() for name in json.loads(line)}
    if text not in names:
        check_column(pa.schema({name: pa.null() for name in names}), text, path)
