"""What reports have in common: equality, names, and tables that fit on a screen.

Knows nothing of what is reported.
"""

import html
from collections.abc import Iterable
from dataclasses import fields
from io import StringIO
from reprlib import repr as short_repr
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table
from rich.text import Text

from skbert_filter.duplicates.keys import Key
from skbert_filter.wording import printable

# That of a terminal.
_WIDTH = 80
# Of more labels than these the most frequent ones are shown.
_LABELS = 10
Columns = dict[str, Iterable[str]]


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


def key_name(key: Key) -> str:
    """Return the policy, or the name of a function."""
    return key if isinstance(key, str) else getattr(key, "__name__", type(key).__name__)


def share_of(part: int, whole: int) -> float:
    """Return a share, 0 of nothing."""
    return float(part / max(whole, 1))


def as_frame(X: Any) -> pd.DataFrame:
    """Return a two-dimensional array or table as one of pandas."""
    if hasattr(X, "to_pandas"):
        return X.to_pandas()
    # pandas would read str from an array of objects, and fail on lone surrogates.
    is_object = isinstance(X, np.ndarray) and X.dtype.kind not in "biufc"
    return pd.DataFrame(X, dtype=object if is_object else None)


def row_tuples(X: Any) -> list[tuple]:
    """Return the rows of an array or table."""
    return list(as_frame(X).itertuples(index=False, name=None))


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


def label_lines(by_label: pd.DataFrame) -> str:
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
    if isinstance(left, pd.DataFrame):
        return left.equals(right)
    return not isinstance(right, pd.DataFrame) and left == right
