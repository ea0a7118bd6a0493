"""Detects mojibake: UTF-8 that was decoded as Windows-1252 or Latin-1."""

import re
from collections.abc import Iterable

# The characters of the bytes 0x80 to 0x9f in Windows-1252, which leaves five unassigned.
_WINDOWS_1252 = {
    ord(char): byte
    for byte in range(0x80, 0xA0)
    if (char := bytes([byte]).decode("cp1252", errors="ignore"))
}
_CONTINUATION = "[\x80-\xbf" + re.escape("".join(map(chr, _WINDOWS_1252))) + "]"

# Every mis-decoded letter begins with a UTF-8 lead byte and a continuation byte. Nearly all texts
# lack this pair, and need no further test.
_LEAD = re.compile(f"[Â-ô]{_CONTINUATION}")

# In a few languages "Ã" and "Â" end words in capitals (IRMÃ»), so they count only if no capital
# precedes them.
_UNMISTAKABLE = re.compile(
    f"â€|ð[\x9fŸ]|ï»¿|(?<![A-ZÀ-Þ])(?:Ã{_CONTINUATION}|Â[\xa0-\xbf])|â{_CONTINUATION}{{2}}"
)


def looks_misdecoded(text: str) -> bool:
    """Return whether a text looks like UTF-8 read as Windows-1252 or Latin-1, as "donâ€™t" does."""
    if not _LEAD.search(text):
        return False
    if _UNMISTAKABLE.search(text):
        return True
    try:
        repaired = text.translate(_WINDOWS_1252).encode("latin-1").decode("utf-8")
    except UnicodeError:
        return False
    # A single letter is no proof: French "MARCHÉ" and a no-break space happen to be valid UTF-8.
    return sum(char.isalpha() and not char.isascii() for char in repaired) > 1


def misdecoded_share(texts: Iterable[str]) -> float:
    """Return the fraction of texts that look mis-decoded, 0 if there are no texts."""
    flags = [looks_misdecoded(text) for text in texts]
    return sum(flags) / max(len(flags), 1)
