"""What reports have in common: equality, names, and tables that fit on a screen.

Knows nothing of what is reported.
"""

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

_WIDTH = 88
Columns = dict[str, Iterable[str]]


class Report:
    """Equality of reports, whose tables have no truth value of their own."""

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        names = [each.name for each in fields(self)]  # type: ignore[arg-type]
        return all(_equal(getattr(self, name), getattr(other, name)) for name in names)

    __hash__ = None  # type: ignore[assignment]


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
    """Align columns; the widest strings are cut so that lines have at most `_WIDTH` cells."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="")
    for header in numbers:
        table.add_column(header, justify="right", no_wrap=True)
    for header in strings:
        table.add_column(header)
    for row in zip(*numbers.values(), *strings.values(), strict=True):
        table.add_row(*(Text(cell, no_wrap=True, overflow="ellipsis") for cell in row))
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


def _equal(left: Any, right: Any) -> bool:
    if isinstance(left, pd.DataFrame):
        return left.equals(right)
    return not isinstance(right, pd.DataFrame) and left == right
