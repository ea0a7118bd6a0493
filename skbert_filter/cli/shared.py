"""What commands have in common: options, errors, progress. Imports nothing that is slow."""

import io
import json
import math
import os
import shlex
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from typer.core import TyperGroup

from skbert_filter.cli.tables import print_line
from skbert_filter.printing import printable

Nulls = Literal["error", "discard", "keep"]
Key = Literal["exact", "whitespace", "casefold"]

ModelPath = Annotated[
    Path,
    typer.Argument(
        help="web, the bundled filter; a folder written by train; "
        "registry://WORKSPACE/NAME:VERSION; or, with --trust, a file of joblib."
    ),
]
TextColumnName = Annotated[str, typer.Option("--text", help="The column with the texts.")]
LabelColumnName = Annotated[str, typer.Option("--label", help="The column with the labels.")]
Encoding = Annotated[
    str | None, typer.Option(help="Of text files that are not UTF-8, such as cp1252.")
]
Seed = Annotated[int, typer.Option(help="Seed of everything random.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace what is there.")]
EscapeFormulas = Annotated[
    bool,
    typer.Option(
        "--escape-formulas",
        help="Write an apostrophe before texts in CSV that a spreadsheet would compute, as =1+1.",
    ),
]
Trust = Annotated[
    bool, typer.Option("--trust", help="Load a model that is a pickle, which runs the code in it.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]


class Commands(TyperGroup):
    """The commands, whose output any console can show."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Run a command; what standard output has no letters for is escaped."""
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(errors="backslashreplace")
        return super().main(*args, **kwargs)

    def invoke(self, ctx: Any) -> Any:
        """Run a command; what a wrong argument holds is escaped."""
        try:
            return super().invoke(ctx)
        except Exception as error:
            # Typer's errors have no common class that is public.
            if hasattr(error, "format_message"):
                message = printable(error.format_message())
                error.format_message = lambda: message
            raise


@contextmanager
def user_errors() -> Iterator[None]:
    """Turn what a user can mend into one line and exit code 2, and Ctrl-C into 130."""
    on_ctrl_c = signal.getsignal(signal.SIGINT)
    try:
        if callable(on_ctrl_c):
            # Work is to be left in order.
            signal.signal(signal.SIGINT, signal.default_int_handler)
        yield
    except BrokenPipeError as error:
        _give_up_output()
        raise typer.Exit(141) from error
    except (Exception, KeyboardInterrupt) as error:
        if _is_interrupt(error):
            _complain("Interrupted", error, "nothing is under the final name.")
            raise typer.Exit(130) from error
        if not isinstance(error, ValueError | OSError | ImportError):
            raise
        _give_up_output()
        message = str(error)
        if isinstance(error, OSError) and error.strerror and not error.filename:
            # Without the number that Python puts before the system's errors.
            message = error.strerror
        _complain("Error", error, message)
        raise typer.Exit(2) from error
    finally:
        signal.signal(signal.SIGINT, on_ctrl_c)


def command_line(*words: object, **options: str | None) -> str:
    """Return a command to copy, with the options that are not at their defaults."""
    defaults = {"text": "text", "label": "label", "keep": "1", "encoding": None}
    for name, value in options.items():
        if value != defaults[name]:
            words = (*words, f"--{name}", value)
    return "  " + shlex.join(["skbert-filter", *map(str, words)])


def print_json(content: Any, *, err: bool = False) -> None:
    """Print for machines."""
    typer.echo(json.dumps(content, indent=2, default=str), err=err)


def fit_callbacks(console: Console) -> list[Any]:
    """Return a progress bar for a fit, if there is a terminal to show it."""
    if not console.is_terminal:
        return []
    from sklearn.callback import ProgressBar

    return [ProgressBar()]


def dask_client(address: str | None) -> AbstractContextManager:
    """Connect with a Dask cluster, if there is an address."""
    if address is None:
        return nullcontext()
    from skbert_filter.corpus.dask_engine import connect

    return connect(address)


@contextmanager
def progress_bar(console: Console) -> Iterator[Callable[[float, int, int], None]]:
    """Give a `progress` for `filter_corpus` that draws a bar, if there is a terminal."""
    bar = Progress(
        TextColumn("Cleaning"),
        BarColumn(bar_width=None),
        TaskProgressColumn(),
        TextColumn("{task.fields[state]}"),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
    )
    task = bar.add_task("", total=1.0, state="", start=False)

    def progress(share: float, rows: int, distinct: int) -> None:
        if not bar.live.is_started:
            bar.start()  # not before: the fit draws bars of its own
            bar.start_task(task)
        elapsed = bar.tasks[0].elapsed or 0
        rate = f", {rows / elapsed:,.0f}/s" if elapsed > 1 else ""
        state = f"{rows:,} rows{rate}, {distinct:,} distinct"
        if math.isnan(share):
            bar.update(task, total=None, state=state)
        else:
            bar.update(task, completed=share, state=state)

    try:
        yield progress
    finally:
        bar.stop()


def _is_interrupt(error: BaseException | None) -> bool:
    """Whether it began with Ctrl-C: an import that is interrupted may end in another error."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__ or error.__context__
    return error is not None


def _give_up_output() -> None:
    """Drop what cannot be written, or Python would complain when it flushes at its end."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _complain(what: str, error: BaseException, message: str) -> None:
    sentences = [message, *getattr(error, "__notes__", [])]
    print_line(Console(stderr=True), " ".join(f"{what}: {' '.join(sentences)}".split()))
