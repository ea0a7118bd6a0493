"""The `skbert-filter` command. Each command is one call of a public Python function."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from skbert_filter.corpus import FilterSummary
    from skbert_filter.train import TrainingSummary

app = typer.Typer(
    name="skbert-filter",
    help="Train a very small BERT to tell useful text snippets from garbage, and clean corpora.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,
)

# Of more classes than these, the tables show the most frequent ones.
_MOST_LABELS = 12

TextColumnName = Annotated[str, typer.Option("--text", help="The column with the texts.")]
Seed = Annotated[int, typer.Option(help="Seed of everything random.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace what is there.")]


@app.command()
def demo(
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder for the files it makes.")
    ] = Path("skbert-filter-demo"),
    rows: Annotated[int, typer.Option(min=1, help="Rows of the corpus.")] = 200_000,
    snippets: Annotated[int, typer.Option(min=100, help="Labelled snippets.")] = 5600,
    seed: Seed = 0,
) -> None:
    """Try the whole job on generated data: train, score, clean a corpus.

    Needs no network and two minutes. In Python: skbert_filter.demo.run_demo(...)
    """
    console = Console()
    console.print(f"Making {snippets:,} labelled snippets and a corpus of {rows:,} rows.")
    with _user_errors(), _progress_bar(console) as progress:
        from skbert_filter.demo import run_demo

        summary = run_demo(
            output,
            n_rows=rows,
            n_snippets=snippets,
            random_state=seed,
            callbacks=_fit_callbacks(console),
            progress=progress,
        )
    _show_training(console, summary.training)
    _show_filtering(console, summary.filtering)
    _show_examples(console, summary.examples)
    console.print("The same on your own texts:", style="bold")
    console.print("  skbert-filter train labels.csv --text text --label label -o model/")
    console.print("  skbert-filter predict model/ texts.csv -o kept.csv")


@app.command()
def train(
    labels: Annotated[Path, typer.Argument(help="Labelled texts: .csv, .csv.gz or .parquet.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to save the filter in.")],
    text: TextColumnName = "text",
    label: Annotated[str, typer.Option(help="The column with the labels.")] = "label",
    test_size: Annotated[
        float,
        typer.Option(
            min=0.01, max=0.99, help="Share of the distinct texts to score the filter on."
        ),
    ] = 0.2,
    refit: Annotated[
        bool, typer.Option(help="After scoring, learn from all labels before saving.")
    ] = True,
    overwrite: Overwrite = False,
    seed: Seed = 0,
) -> None:
    """Learn from labelled texts, report an honest score, save the filter.

    In Python: skbert_filter.train.train_filter(...)
    """
    console = Console()
    with _user_errors():
        from skbert_filter.train import train_filter

        summary = train_filter(
            labels,
            output,
            text=text,
            label=label,
            test_size=test_size,
            refit=refit,
            overwrite=overwrite,
            random_state=seed,
            callbacks=_fit_callbacks(console),
        )
    _show_training(console, summary)
    console.print("\nClean texts with it:", style="bold")
    _print_line(console, f"  skbert-filter predict {output} texts.csv -o kept.csv")


@app.command()
def predict(
    model: Annotated[Path, typer.Argument(help="A folder written by train.")],
    source: Annotated[
        Path, typer.Argument(metavar="TEXTS", help="The texts: .csv, .csv.gz or .parquet.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="The file for the kept rows.")],
    text: TextColumnName = "text",
    keep: Annotated[str, typer.Option(help="The label whose rows are kept.")] = "1",
    overwrite: Overwrite = False,
) -> None:
    """Write the rows of a table whose texts are worth keeping.

    In Python: skbert_filter.filter_corpus(...)
    """
    console = Console()
    with _user_errors(), _progress_bar(console) as progress:
        from skbert_filter.corpus import filter_corpus

        summary = filter_corpus(
            model,
            source,
            output,
            text=text,
            keep=keep,
            overwrite=overwrite,
            progress=progress,
        )
    _show_filtering(console, summary)


@contextmanager
def _user_errors() -> Iterator[None]:
    """Turn what a user can mend into one line and exit code 2."""
    try:
        yield
    except (ValueError, OSError) as error:
        _print_line(Console(stderr=True), f"Error: {' '.join(str(error).split())}")
        raise typer.Exit(2) from error


def _fit_callbacks(console: Console) -> list[Any]:
    if not console.is_terminal:
        return []
    from sklearn.callback import ProgressBar

    return [ProgressBar()]


@contextmanager
def _progress_bar(console: Console) -> Iterator[Callable[[float, int, int], None]]:
    bar = Progress(
        TextColumn("Cleaning"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[rows]:,} rows, {task.fields[distinct]:,} distinct"),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
    )
    task = bar.add_task("", total=1.0, rows=0, distinct=0)

    def progress(share: float, rows: int, distinct: int) -> None:
        bar.start()  # not before: the fit draws bars of its own
        bar.update(task, completed=share, rows=rows, distinct=distinct)

    try:
        yield progress
    finally:
        bar.stop()


def _show_training(console: Console, summary: "TrainingSummary") -> None:
    classes = Table("label", box=SIMPLE_HEAD)
    for name in ("rows", "distinct", "share", "mis-decoded"):
        classes.add_column(name, justify="right")
    shown = sorted(summary.labels, key=lambda count: -count.distinct)[:_MOST_LABELS]
    for count in shown:
        classes.add_row(
            Text(str(count.label)),
            f"{count.rows:,}",
            f"{count.distinct:,}",
            f"{count.distinct / summary.distinct:.1%}",
            f"{count.misdecoded:.1%}",
        )
    if more := len(summary.labels) - len(shown):
        classes.add_row(f"and {more:,} more")
    console.print(
        f"\n{summary.rows:,} labelled rows, {summary.distinct:,} distinct texts, "
        f"{summary.conflicts:,} of them with several labels",
        style="bold",
        highlight=False,
    )
    console.print(classes)
    if summary.misdecoding_tells_labels:
        console.print(
            "Warning: mis-decoded texts (such as “â€™” for ’) are more frequent in some classes\n"
            "than in others. The filter may learn that instead of the words: repair them first.\n",
            style="yellow",
            soft_wrap=True,
        )
    scores = Table("classifier", box=SIMPLE_HEAD)
    for name in ("accuracy", "95 % interval", "F1", "average\nprecision"):
        scores.add_column(name, justify="right")
    for score in summary.evaluations:
        scores.add_row(
            score.name,
            f"{score.accuracy:.3f}",
            f"{score.accuracy_low:.3f}–{score.accuracy_high:.3f}",
            f"{score.f1:.3f}",
            f"{score.average_precision:.3f}",
        )
    console.print(
        f"Learnt from {summary.n_train:,} distinct texts, scored on {summary.n_test:,} others",
        style="bold",
        highlight=False,
    )
    console.print(scores)
    then = "which then learnt from all labels" if summary.refit else "as scored"
    _print_line(console, f"Saved in {summary.destination}: the filter, {then}.")


def _show_filtering(console: Console, summary: "FilterSummary") -> None:
    table = Table(box=SIMPLE_HEAD, show_header=False)
    table.add_column()
    table.add_column(justify="right")
    for name, value in [
        ("rows", f"{summary.rows:,}"),
        ("distinct texts", f"{summary.distinct:,}"),
        (f"kept (label {summary.keep})", f"{summary.kept:,}"),
        ("discarded", f"{summary.discarded:,}"),
        ("seconds", f"{summary.seconds:.1f}"),
        ("rows per second", f"{summary.rows_per_second:,.0f}"),
    ]:
        table.add_row(Text(name), value)
    share = summary.kept / max(summary.rows, 1)
    console.print(f"\nKept {share:.1%} of the rows", style="bold", highlight=False)
    console.print(table)
    _print_line(console, f"{summary.destination} holds the kept rows of {summary.source}.")


def _show_examples(console: Console, examples: tuple[tuple[str, float], ...]) -> None:
    table = Table("probability", "text", box=SIMPLE_HEAD)
    for text, probability in examples:
        line = Text(" ".join(text.split()), overflow="ellipsis", no_wrap=True)
        table.add_row(f"{probability:.2f}", line, style="" if probability > 0.5 else "dim")
    console.print("\nSome texts of the corpus, and how probably they are useful", style="bold")
    console.print(table)


def _print_line(console: Console, text: str) -> None:
    """Print a line whole and as it is, so that a path in it can be copied."""
    console.print(Text(text), soft_wrap=True)
