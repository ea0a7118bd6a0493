"""Bytes of text files as UTF-8: decoded from other encodings, and rejected where that fails."""

import codecs
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

_BLOCK_BYTES = 1 << 22
# As in git, a file with a NUL in its first 8 KiB is not text.
_HEAD_BYTES = 1 << 13
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def read_blocks(stream: Any) -> Iterator[bytes]:
    """Read a binary stream to its end, in blocks of 4 MiB."""
    while block := stream.read(_BLOCK_BYTES):
        yield block


def check_encoding(encoding: str | None) -> None:
    """Reject the name of an encoding that Python does not know."""
    try:
        "".encode("utf-8" if encoding is None else encoding)
    except LookupError as error:
        raise ValueError(
            f"There is no encoding {encoding!r}. Name one that Python knows, such as 'cp1252', "
            "'latin-1' or 'utf-16'."
        ) from error


def is_utf8(blocks: Iterable[bytes], encoding: str) -> bool:
    """Return whether a text is UTF-8 rather than in the other encoding of its corpus.

    Text in the other encoding may happen to be valid UTF-8: UTF-16 then contains NULs, and a
    seven-bit encoding such as ISO-2022-JP consists of ASCII bytes.
    """
    decoder = codecs.getincrementaldecoder("utf-8")()
    other = codecs.getincrementaldecoder(encoding)("replace")
    is_wide = b"a\0".decode(encoding, "replace") != "a\0"
    is_ascii = is_same = True

    try:
        for block in chain(blocks, [b""]):
            text = decoder.decode(block, final=not block)
            is_ascii = is_ascii and block.isascii()
            if is_wide:
                is_same = is_same and "\0" not in text
            elif is_ascii:
                is_same = is_same and other.decode(block, final=not block) == text
    except UnicodeDecodeError:
        return False
    return is_same or not (is_ascii or is_wide)


def utf8_blocks(
    blocks: Iterable[bytes], path: Path | str, *, encoding: str | None = None
) -> Iterator[bytes]:
    """Convert the blocks of a text to UTF-8 without a byte order mark.

    An error names the line of a byte that cannot be decoded, or of a NUL in the first 8 KiB.
    """
    decoder = codecs.getincrementaldecoder(encoding or "utf-8")()
    n_bytes, line, line_start = 0, 1, 0
    is_first = True

    for block in chain(blocks, [b""]):
        if is_first and encoding is None:
            _check_is_text(block, path)

        try:
            text = decoder.decode(block, final=not block)
            # Some encodings can represent a lone surrogate, which UTF-8 cannot.
            decoded = block if encoding is None else text.encode()
        except UnicodeDecodeError as error:
            # The object starts with what the decoder held back from the previous block.
            place = n_bytes + len(block) - len(error.object) + error.start
            before = block[: max(place - n_bytes, 0)]
            column = place - line_start + 1
            if b"\n" in before:
                line += before.count(b"\n")
                column = len(before) - before.rindex(b"\n")
            remedy = "Name its encoding, or correct the file"
            if encoding is None:
                remedy = (
                    'If all such files have another encoding, name it, as in encoding="cp1252" '
                    "(--encoding cp1252)"
                )
            raise ValueError(
                f"{path} is not {encoding or 'UTF-8'}: byte {column} of line {line} is "
                f"0x{error.object[error.start]:02x} (byte {place + 1} of the file). "
                f'{remedy} (docs: files, "Encodings").'
            ) from error
        except UnicodeError as error:
            raise ValueError(
                f"{path} is not {encoding}: {error}. Name its encoding, such as 'utf-16-le' or "
                "'utf-16-be' for UTF-16 without a byte order mark, or correct the file."
            ) from error

        if is_first and decoded:
            decoded = decoded.removeprefix(codecs.BOM_UTF8)
            _check_is_text(decoded, path)
            is_first = False
        yield decoded

        if b"\n" in block:
            line += block.count(b"\n")
            line_start = n_bytes + block.rindex(b"\n") + 1
        n_bytes += len(block)


def _check_is_text(block: bytes, path: Path | str) -> None:
    if block.startswith(_UTF16):
        raise ValueError(
            f'{path} is not UTF-8 but seems to be UTF-16. Pass encoding="utf-16" (--encoding '
            "utf-16), which is used for files that are not UTF-8."
        )
    if (place := block[:_HEAD_BYTES].find(b"\0")) >= 0:
        line = block.count(b"\n", 0, place) + 1
        raise ValueError(
            f"{path} does not seem to be text: line {line} has a NUL (byte {place + 1} of the "
            "file). Remove it, or pass its encoding if it is text in UTF-16 or UTF-32."
        )
