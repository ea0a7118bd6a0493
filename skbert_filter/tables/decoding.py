"""Bytes that should be UTF-8: where they are not, and how to read them all the same.

Knows nothing of tables.
"""

import codecs
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

_BLOCK_BYTES = 1 << 22
# As git does: a text has no NUL among its first bytes.
_HEAD_BYTES = 1 << 13
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def blocks_of(stream: Any) -> Iterator[bytes]:
    """Read a binary stream to its end, in blocks of 4 MiB."""
    while block := stream.read(_BLOCK_BYTES):
        yield block


def check_encoding(encoding: str | None) -> None:
    """Refuse the name of an encoding that does not exist.

    Raises
    ------
    ValueError
        If Python knows no such encoding of text.
    """
    if encoding is None:
        return
    try:
        "".encode(encoding)
    except LookupError as error:
        raise ValueError(
            f"There is no encoding {encoding!r}. Name one that Python knows, such as 'cp1252', "
            "'latin-1' or 'utf-16'."
        ) from error


def decoded(
    blocks: Iterable[bytes], path: Path | str, *, encoding: str | None = None
) -> Iterator[str]:
    """Decode the blocks of a text, and say where that is not possible.

    Parameters
    ----------
    blocks : iterable of bytes
    path : Path or str
        Where they come from, for messages.
    encoding : str, default=None
        None: UTF-8. A byte order mark at the start is left out.

    Yields
    ------
    part : str

    Raises
    ------
    ValueError
        If a byte cannot be decoded, naming its line and position, or the start of the
        text is that of another kind of file.

    Examples
    --------
    >>> from skbert_filter.tables.decoding import decoded
    >>> "".join(decoded([b"caf", b"\\xc3", b"\\xa9"], "a.txt"))
    'café'
    >>> "".join(decoded([b"Tea\\n", b"caf\\xe9\\n"], "a.txt"))
    Traceback (most recent call last):
        ...
    ValueError: a.txt is not UTF-8: byte 4 of line 2 is 0xe9 (byte 8 of the file). If all such files
    have another encoding, name it, as in encoding="cp1252" (--encoding cp1252)
    (docs: files, "Encodings").
    """
    decoder = codecs.getincrementaldecoder(encoding or "utf-8")()
    n_bytes, line, line_start = 0, 1, 0
    is_first = True

    def decode(block: bytes, *, final: bool = False) -> str:
        nonlocal line, line_start
        try:
            return decoder.decode(block, final=final)
        except UnicodeError as error:
            if not isinstance(error, UnicodeDecodeError):
                raise ValueError(f"{path} is not {encoding}: {error}.") from error
            # What was left of the block before is a part of the object.
            first = n_bytes + len(block) - len(error.object)
            before = error.object[: error.start]
            line += before.count(b"\n")
            if b"\n" in before:
                line_start = first + before.rindex(b"\n") + 1
            raise ValueError(
                _undecodable(path, encoding, error.object[error.start], first + error.start, line,
                             line_start)
            ) from error  # fmt: skip

    for block in blocks:
        if is_first and encoding is None:
            _check_is_text(block, path)
        text = decode(block)
        if is_first and text:
            text = text.removeprefix("\ufeff")
            _check_is_text(text[:_HEAD_BYTES].encode("utf-8", "replace"), path)
            is_first = False
        yield text
        line += block.count(b"\n")
        if b"\n" in block:
            line_start = n_bytes + block.rindex(b"\n") + 1
        n_bytes += len(block)
    yield decode(b"", final=True)


def check_utf8(blocks: Iterable[bytes], path: Path | str) -> None:
    """Refuse a text that is not UTF-8.

    Raises
    ------
    ValueError
        As `decoded`.
    """
    for _ in decoded(blocks, path):
        pass


def _check_is_text(head: bytes, path: Path | str) -> None:
    if head.startswith(_UTF16):
        raise ValueError(
            f'{path} is not UTF-8 but seems to be UTF-16. Pass encoding="utf-16" (--encoding '
            "utf-16), which reads the files that are not UTF-8 with it."
        )
    if (place := head[:_HEAD_BYTES].find(b"\0")) >= 0:
        raise ValueError(
            f"{path} does not seem to be text: line {head.count(bytes([10]), 0, place) + 1} has a "
            f"NUL (byte {place + 1} of the file). Take it away, or pass its encoding if it is "
            "text in UTF-16 or UTF-32."
        )


def _undecodable(
    path: Path | str, encoding: str | None, byte: int, place: int, line: int, line_start: int
) -> str:
    remedy = (
        'If all such files have another encoding, name it, as in encoding="cp1252" '
        "(--encoding cp1252)"
        if encoding is None
        else "Name its encoding, or mend the file"
    )
    return (
        f"{path} is not {encoding or 'UTF-8'}: byte {place - line_start + 1} of line {line} is "
        f"0x{byte:02x} (byte {place + 1} of the file). {remedy} "
        '(docs: files, "Encodings").'
    )
