"""How results and a user's texts are printed. Knows nothing of what they are of."""

import html
from collections.abc import Iterable
from dataclasses import fields
from io import StringIO
from reprlib import repr as short_repr
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from pandas import DataFrame

# That of a terminal.
_WIDTH = 80
# Of more labels than these the most frequent ones are shown.
_LABELS = 10
Columns = dict[str, Iterable[str]]


def counted(n: int, noun: str, plural: str | None = None) -> str:
    """Return a number and what it counts.

    Parameters
    ----------
    n : int
    noun : str
        What one is called; it may have a verb.
    plural : str, default=None
        What several, or none, are called. None: `noun` with an s.

    Examples
    --------
    >>> from skbert_filter.printing import counted
    >>> counted(1, "row"), counted(2000, "row"), counted(0, "file is", "files are")
    ('1 row', '2,000 rows', '0 files are')
    """
    return f"{n:,} {noun if n == 1 else plural or noun + 's'}"


def printable(value: object, letters: int | None = None) -> str:
    r"""Return a text, label or file name of the user with all that cannot be printed escaped.

    Whatever is printed of the user goes through this function or through `repr`, which escape the
    same characters: a scraped text may clear the terminal, set its title, or turn the line around.

    Parameters
    ----------
    value : object
        Its str is shown.
    letters : int, default=None
        How many letters there is room for: a longer text loses its middle.

    Examples
    --------
    >>> from skbert_filter.printing import printable
    >>> print(printable("caf\u00e9 \x1b[2J\x07 \x9b31m \u202e"))
    café \x1b[2J\x07 \x9b31m \u202e
    >>> printable("garden furniture, tools and accessories", 18)
    'garden fu…essories'
    """
    text = str(value)
    if not text.isprintable():
        text = "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)
    if letters is None or len(text) <= letters:
        return text
    return f"{text[: letters // 2]}…{text[letters // 2 - letters + 1 :]}"


class Report:
    """A result that notebooks show as `print` does, and equal to one with equal tables."""

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        names = [each.name for each in fields(self)]  # type: ignore[arg-type]
        return all(_equal(getattr(self, name), getattr(other, name)) for name in names)

    __hash__ = None  # type: ignore[assignment]

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(str(self))}</pre>"


def shown_text(text: Any) -> str:
    """Return a text with whatever cannot be printed escaped, a row in short."""
    return repr(text[:_WIDTH]) if isinstance(text, str) else short_repr(text)


def aligned(numbers: Columns, strings: Columns) -> str:
    """Align columns of what can be printed, the widest strings cut to lines of `_WIDTH` cells."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="")
    for header in numbers:
        table.add_column(_cell(header), justify="right", no_wrap=True)
    for header in strings:
        table.add_column(_cell(header))
    for row in zip(*numbers.values(), *strings.values(), strict=True):
        table.add_row(*map(_cell, row))
    console = Console(
        file=StringIO(),
        width=_WIDTH - 2,
        color_system=None,
        force_terminal=False,
        force_jupyter=False,
        legacy_windows=False,
    )
    with console.capture() as capture:
        console.print(table)
    return "\n".join(f"  {line.rstrip()}" for line in capture.get().rstrip("\n").split("\n"))


def label_lines(by_label: "DataFrame") -> str:
    """Return the counts of each label, which has "rows", "distinct" and perhaps "misdecoded"."""
    shown = by_label.nlargest(_LABELS, "rows").sort_index()
    numbers: Columns = {
        "rows": map("{:,}".format, shown["rows"]),
        "distinct": map("{:,}".format, shown["distinct"]),
        "rows for each": map("{:.2f}".format, shown["rows"] / shown["distinct"]),
    }
    if "misdecoded" in shown:
        numbers["mis-decoded"] = map("{:.1%}".format, shown["misdecoded"])
    lines = aligned(numbers, {"label": map(short_repr, shown.index)})
    others = len(by_label) - len(shown)
    return f"{lines}\n  and {others:,} less frequent ones" if others else lines


def _cell(text: str) -> Text:
    return Text(printable(text), no_wrap=True, overflow="ellipsis")


def _equal(left: Any, right: Any) -> bool:
    if hasattr(left, "equals"):
        return left.equals(right)
    return not hasattr(right, "equals") and left == right
