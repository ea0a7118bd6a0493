"""Texts that were decoded wrongly: UTF-8 read as Windows-1252 or Latin-1."""

import re
from collections.abc import Iterable

# The bytes 0x80 to 0x9f as Windows-1252 shows them; it leaves five of them unassigned.
_WINDOWS_1252 = {
    ord(char): byte
    for byte in range(0x80, 0xA0)
    if (char := bytes([byte]).decode("cp1252", errors="ignore"))
}
_CONTINUATION = "[\x80-\xbf" + re.escape("".join(map(chr, _WINDOWS_1252))) + "]"

# What every mis-decoded letter begins with: a lead byte of UTF-8 and what may follow one. Nearly
# all texts lack it, and are done with.
_LEAD = re.compile(f"[Â-ô]{_CONTINUATION}")

# "Ã" and "Â" end words in capitals of a few languages (IRMÃ»), so they count only
# where no capital precedes them.
_UNMISTAKABLE = re.compile(
    f"â€|ð[\x9fŸ]|ï»¿|(?<![A-ZÀ-Þ])(?:Ã{_CONTINUATION}|Â[\xa0-\xbf])|â{_CONTINUATION}{{2}}"
)


def looks_misdecoded(text: str) -> bool:
    """Tell whether a text is UTF-8 that was read as Windows-1252 or Latin-1, as "donâ€™t" is."""
    if not _LEAD.search(text):
        return False
    # No language writes these.
    if _UNMISTAKABLE.search(text):
        return True
    try:
        repaired = text.translate(_WINDOWS_1252).encode("latin-1").decode("utf-8")
    except UnicodeError:
        return False
    # One letter proves nothing: "MARCHÉ" before a no-break space is French and valid UTF-8 at once.
    return sum(char.isalpha() and not char.isascii() for char in repaired) > 1


def misdecoded_share(texts: Iterable[str]) -> float:
    """Return the share of texts that look mis-decoded, 0 for no text at all."""
    flags = [looks_misdecoded(text) for text in texts]
    return sum(flags) / max(len(flags), 1)
