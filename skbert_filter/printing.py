"""How results, estimators and texts are shown in a terminal and a notebook."""

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

# The usual width of a terminal.
_WIDTH = 80
# The most frequent labels are shown, up to this many.
_MAX_LABELS = 10


def counted(n: int, noun: str, plural: str | None = None) -> str:
    """Return a number and its noun, such as "1 row" or "2,000 rows"."""
    return f"{n:,} {noun if n == 1 else plural or noun + 's'}"


def printable(value: object, letters: int | None = None) -> str:
    """Escape unprintable characters of a text, label or file name, and shorten it to `letters`.

    All user data go through this or through `repr` before they are printed: a scraped text could
    otherwise clear the terminal, set its title, or reverse the line.
    """
    text = str(value)
    if not text.isprintable():
        text = "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)
    if letters is None or len(text) <= letters:
        return text
    return f"{text[: letters // 2]}…{text[letters // 2 - letters + 1 :]}"


def shown_text(text: Any) -> str:
    """Return a quoted start of a text, or a short repr of a row."""
    return repr(text[:_WIDTH]) if isinstance(text, str) else short_repr(text)


class Report:
    """A result, as a frozen dataclass: notebooks show what `print` does, and == compares tables."""

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
        # Long sentences wrap. Tables have at most 80 columns.
        return f'<pre style="white-space: pre-wrap">{html.escape(str(self))}</pre>'

    def _repr_mimebundle_(self, **options: Any) -> dict[str, str]:
        # Where IPython shows no HTML: in a terminal, and in notebooks exported as PDF or Markdown.
        return {"text/plain": str(self)}


class DocLinkMixin:
    """Link the HTML of an estimator and of its parameters to their page of the API reference.

    The address of the site is in the environment variable SKBERT_FILTER_DOCS, or else in the
    distribution's metadata, as Documentation. Without either there is no link.
    """

    _doc_link_module = "skbert_filter"
    _doc_link_template = "{url}"

    def _doc_link_url_param_generator(self) -> dict[str, str]:
        entries = [e.partition(", ") for e in metadata("skbert_filter").get_all("Project-URL", [])]
        addresses = {label.lower(): address for label, _, address in entries}
        site = os.environ.get("SKBERT_FILTER_DOCS") or addresses.get("documentation")
        if not site:
            return {"url": ""}

        # The page is named as users import the class: from the outermost package that exports it.
        name, parts = type(self).__name__, type(self).__module__.split(".")
        modules = [".".join(parts[:n]) for n in range(1, len(parts))]
        public = [m for m in modules if name in getattr(sys.modules[m], "__all__", ())]
        module = [*public, type(self).__module__][0]
        return {"url": f"{site.rstrip('/')}/api/{module}.{name}.html"}


def aligned(
    numbers: Mapping[str, tuple[str, Iterable[Any]]], strings: Mapping[str, Iterable[str]]
) -> str:
    """Return a table of numbers, each column with its format, and of strings, cut to fit."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="")
    for header in numbers:
        table.add_column(_cell(header), justify="right", no_wrap=True)
    for header in strings:
        table.add_column(_cell(header))

    columns = [[format(value, spec) for value in values] for spec, values in numbers.values()]
    for row in zip(*columns, *strings.values(), strict=True):
        table.add_row(*map(_cell, row))

    # Plain text in any terminal or notebook.
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
    """Return a table of label counts: "rows", "distinct" and, if present, "misdecoded"."""
    shown = by_label.nlargest(_MAX_LABELS, "rows").sort_index()
    numbers = {
        "rows": (",", shown["rows"]),
        "distinct": (",", shown["distinct"]),
        "rows for each": (".2f", shown["rows"] / shown["distinct"]),
    }
    if "misdecoded" in shown:
        numbers["mis-decoded"] = (".1%", shown["misdecoded"])
    lines = aligned(numbers, {"label": map(short_repr, shown.index)})

    n_hidden = len(by_label) - len(shown)
    return f"{lines}\n  and {n_hidden:,} less frequent ones" if n_hidden else lines


def _cell(text: str) -> Text:
    return Text(printable(text), no_wrap=True, overflow="ellipsis")


def _equal(left: Any, right: Any) -> bool:
    if hasattr(left, "equals"):
        return left.equals(right)
    return not hasattr(right, "equals") and left == right
