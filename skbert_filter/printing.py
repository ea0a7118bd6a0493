"""How results, estimators and a user's texts are shown. Knows nothing of what they are of."""

import html
import os
import sys
from collections.abc import Iterable, Mapping
from importlib.metadata import metadata
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


def counted(n: int, noun: str, plural: str | None = None) -> str:
    """Return a number and what it counts, such as "1 row" and "2,000 rows"."""
    return f"{n:,} {noun if n == 1 else plural or noun + 's'}"


def printable(value: object, letters: int | None = None) -> str:
    """Return a text, label or file name as str, what cannot be printed escaped, the middle cut.

    Whatever a user's data may hold goes through this or through `repr` before it is printed: a
    scraped text may clear the terminal, set its title, or turn the line around.
    """
    text = str(value)
    if not text.isprintable():
        text = "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)
    if letters is None or len(text) <= letters:
        return text
    return f"{text[: letters // 2]}…{text[letters // 2 - letters + 1 :]}"


def shown_text(text: Any) -> str:
    """Return a text with what cannot be printed escaped, or a row in short."""
    return repr(text[:_WIDTH]) if isinstance(text, str) else short_repr(text)


class Report:
    """A frozen dataclass that shows in notebooks as it prints, and equals one of equal tables."""

    def to_frame(self) -> "DataFrame":
        """Return the attributes as a table of one row."""
        from pandas import DataFrame

        return DataFrame([vars(self)])

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        pairs = zip(vars(self).values(), vars(other).values(), strict=True)
        return all(_equal(left, right) for left, right in pairs)

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(str(self))}</pre>"


class DocLinkMixin:
    """Link the HTML of an estimator, and each of its parameters, to its page of the API.

    The site that was built from docs/ is at the address in the environment variable
    SKBERT_FILTER_DOCS, or at the one that the installed distribution names as its Documentation.
    Without either there is no link.
    """

    _doc_link_module = "skbert_filter"
    _doc_link_template = "{url}"

    def _doc_link_url_param_generator(self) -> dict[str, str]:
        entries = [e.partition(", ") for e in metadata("skbert_filter").get_all("Project-URL", [])]
        published = {label.lower(): address for label, _, address in entries}
        site = os.environ.get("SKBERT_FILTER_DOCS") or published.get("documentation")
        if not site:
            return {"url": ""}

        # A page has the name under which a user imports the class: of the outermost package.
        name, parts = type(self).__name__, type(self).__module__.split(".")
        modules = [".".join(parts[:n]) for n in range(1, len(parts))]
        public = [m for m in modules if name in getattr(sys.modules[m], "__all__", ())]
        module = [*public, type(self).__module__][0]
        return {"url": f"{site.rstrip('/')}/api/{module}.{name}.html"}


def aligned(
    numbers: Mapping[str, tuple[str, Iterable[Any]]], strings: Mapping[str, Iterable[str]]
) -> str:
    """Align numbers, each column with its format, and then strings, the widest of them cut."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="")
    for header in numbers:
        table.add_column(_cell(header), justify="right", no_wrap=True)
    for header in strings:
        table.add_column(_cell(header))

    columns = [[format(value, how) for value in values] for how, values in numbers.values()]
    for row in zip(*columns, *strings.values(), strict=True):
        table.add_row(*map(_cell, row))

    # Plain text, whatever the terminal or notebook is.
    file = StringIO()
    Console(
        file=file,
        width=_WIDTH - 2,
        color_system=None,
        force_terminal=False,
        force_jupyter=False,
        legacy_windows=False,
    ).print(table)
    return "\n".join(f"  {line.rstrip()}" for line in file.getvalue().rstrip("\n").split("\n"))


def label_lines(by_label: "DataFrame") -> str:
    """Return the counts of each label, which has "rows", "distinct" and perhaps "misdecoded"."""
    shown = by_label.nlargest(_LABELS, "rows").sort_index()
    numbers = {
        "rows": (",", shown["rows"]),
        "distinct": (",", shown["distinct"]),
        "rows for each": (".2f", shown["rows"] / shown["distinct"]),
    }
    if "misdecoded" in shown:
        numbers["mis-decoded"] = (".1%", shown["misdecoded"])
    lines = aligned(numbers, {"label": map(short_repr, shown.index)})

    others = len(by_label) - len(shown)
    return f"{lines}\n  and {others:,} less frequent ones" if others else lines


def _cell(text: str) -> Text:
    return Text(printable(text), no_wrap=True, overflow="ellipsis")


def _equal(left: Any, right: Any) -> bool:
    if hasattr(left, "equals"):
        return left.equals(right)
    return not hasattr(right, "equals") and left == right
