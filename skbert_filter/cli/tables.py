"""What the `skbert-filter` command prints. Knows nothing of what made it."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from skbert_filter.printing import printable

if TYPE_CHECKING:
    from pandas import DataFrame

# Lines of a list that is written to a file.
_SHOWN = 10


def print_result(console: Console, result: object) -> None:
    """Print a result, its lines broken between words."""
    console.print(Text(str(result)), overflow="fold")


def print_line(console: Console, text: str) -> None:
    """Print a line whole, so that a path in it can be copied."""
    console.print(Text(printable(text)), soft_wrap=True)


def show_suspects(console: Console, table: "DataFrame") -> None:
    """Show the labels that are most likely wrong."""
    rows = (
        ("several" if label is None else label, suggested, f"{rows:,}", text)
        for text, label, suggested, _, rows in table.iloc[:_SHOWN, :5].to_numpy()
    )
    _show_texts(console, "Likely label errors, the likeliest first", "label suggested rows", rows)


def show_chosen(console: Console, table: "DataFrame") -> None:
    """Show the texts to label next."""
    columns = ["suggested", "probability", "rows", "text"]
    rows = (
        (suggested, f"{probability:.2f}", f"{rows:,}", text)
        for suggested, probability, rows, text in table[columns].head(_SHOWN).to_numpy()
    )
    _show_texts(console, "Texts to label next", "suggested probability rows", rows)


def show_examples(console: Console, examples: Iterable[tuple[str, float]]) -> None:
    """Show texts with their probabilities."""
    rows = ((f"{probability:.2f}", text) for text, probability in examples)
    title = "Some texts of the corpus, and the probability that they are useful"
    _show_texts(console, title, "probability", rows)


def _show_texts(
    console: Console, title: str, columns: str, rows: Iterable[tuple[object, ...]]
) -> None:
    table = Table(*columns.split(), "text", box=SIMPLE_HEAD)
    for *cells, text in rows:
        line = printable(" ".join(str(text).split()))
        shown = map(Text, map(printable, cells))
        table.add_row(*shown, Text(line, overflow="ellipsis", no_wrap=True))

    console.print(f"\n{title}", style="bold")
    console.print(table)
