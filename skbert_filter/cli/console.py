"""What the commands show: results, progress, and errors in one line."""

import io
import json
import math
import os
import shlex
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from time import monotonic
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text
from typer.core import TyperGroup

from skbert_filter.io.atomic import no_room_named
from skbert_filter.printing import printable

if TYPE_CHECKING:
    from pandas import DataFrame

_DEFAULTS = {"text": "text", "label": "label", "keep": None, "encoding": None}
_FORMATS = {"probability": "{:.2f}", "rows": "{:,}"}
# Lines of a list that is written to a file.
_SHOWN = 10
# How often long work says how far it is, where there is no terminal for a bar.
_SECONDS_OF_A_LINE = 30


class Commands(TyperGroup):
    """The commands, whose output any console can show, and whose errors are one line."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Run a command, and flush its output while an error can still be reported."""
        if callable(signal.getsignal(signal.SIGINT)):
            # From now on work can be left in order.
            signal.signal(signal.SIGINT, signal.default_int_handler)
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(errors="backslashreplace")
        with _user_errors(), no_room_named("standard output"):
            try:
                return super().main(*args, **kwargs)
            finally:
                if sys.stdout is not None:
                    sys.stdout.flush()

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return a command, whose flags have no "<bool>" in its help."""
        command = super().get_command(ctx, cmd_name)
        for parameter in command.get_params(ctx) if command else ():
            if getattr(parameter, "is_flag", False):
                parameter.metavar = ""
        return command

    def get_params(self, ctx: Any) -> Any:
        """Return the options of all commands, likewise."""
        parameters = super().get_params(ctx)
        for parameter in parameters:
            parameter.metavar = ""
        return parameters

    def invoke(self, ctx: Any) -> Any:
        """Run a command; Typer would report its errors in other words."""
        with _user_errors():
            return super().invoke(ctx)


def print_result(result: object, content: Any = None, *, err: bool = False) -> None:
    """Print a result, its lines broken between words; or its content, for machines."""
    if content is None:
        _print(Text(str(result)), err=err, overflow="fold")
    else:
        _print(Text(json.dumps(content, indent=2, default=str)), err=err, soft_wrap=True)


def print_line(text: str, style: str = "", *, err: bool = False) -> None:
    """Print a line whole, so that a path in it can be copied."""
    _print(Text(printable(text), style), err=err, soft_wrap=True)


def print_title(title: str) -> None:
    """Print a line in bold after an empty one."""
    print_line("")
    print_line(title, "bold")


def print_next(title: str, *words: object, **options: str | None) -> None:
    """Print a command to copy, with the options that are not at their defaults."""
    for name, value in options.items():
        if value != _DEFAULTS[name]:
            words = (*words, f"--{name}", value)
    print_title(title)
    print_line("  " + shlex.join(["skbert-filter", *map(str, words)]))


def print_texts(title: str, table: "DataFrame", columns: Sequence[str]) -> None:
    """Print the first lines of a list of texts, with some of its columns."""
    shown = Table(*columns, "text", box=SIMPLE_HEAD)
    for *values, text in table[[*columns, "text"]].head(_SHOWN).itertuples(index=False):
        cells = [
            "several" if value is None else _FORMATS.get(column, "{}").format(value)
            for column, value in zip(columns, values, strict=True)
        ]
        line = printable(" ".join(str(text).split()))
        shown.add_row(
            *map(Text, map(printable, cells)), Text(line, overflow="ellipsis", no_wrap=True)
        )

    print_title(title)
    _print(shown)


def fit_callbacks() -> list[Any]:
    """Return a progress bar for a fit, if there is a terminal to show it."""
    if not Console().is_terminal:
        return []
    from sklearn.callback import ProgressBar

    return [ProgressBar()]


@contextmanager
def progress_bar(*, err: bool = False) -> Iterator[Callable[[float, int, int], None]]:
    """Give a `progress` for `filter_corpus` that draws a bar, if there is a terminal."""
    console = Console(stderr=err)
    next_line = monotonic() + _SECONDS_OF_A_LINE
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
        nonlocal next_line
        if not bar.live.is_started:
            bar.start()  # not before: the fit draws bars of its own
            bar.start_task(task)
        elapsed = bar.tasks[0].elapsed or 0
        rate = f", {rows / elapsed:,.0f}/s" if elapsed > 1 else ""
        state = f"{rows:,} rows{rate}, {distinct:,} distinct"
        if not console.is_terminal:
            if monotonic() > next_line:
                done = "" if math.isnan(share) else f"{share:.0%}: "
                print_line(f"{done}{state}", err=True)
                next_line = monotonic() + _SECONDS_OF_A_LINE
        elif math.isnan(share):
            bar.update(task, total=None, state=state)
        else:
            bar.update(task, completed=share, state=state)

    try:
        yield progress
    finally:
        bar.stop()


class _Console(Console):
    def on_broken_pipe(self) -> None:
        raise  # for `_user_errors`; rich would exit with code 1


def _print(what: Table | Text, *, err: bool = False, **options: Any) -> None:
    with no_room_named("standard error" if err else "standard output"):
        _Console(stderr=err).print(what, **options)


@contextmanager
def _user_errors() -> Iterator[None]:
    """Turn what a user can fix into one line and exit code 2, and Ctrl-C into 130."""
    try:
        yield
    except BrokenPipeError as error:
        _give_up_output()
        raise SystemExit(141) from error
    except (Exception, KeyboardInterrupt) as error:
        if _is_interrupt(error):
            _complain("Interrupted", error, "nothing is under the final name.")
            raise SystemExit(130) from error
        if hasattr(error, "format_message"):
            # Typer's own errors, which have no public class in common, repeat what a user typed.
            message = printable(error.format_message())
            error.format_message = lambda: message
            raise
        if not isinstance(error, ValueError | OSError | ImportError):
            raise

        _give_up_output()
        message = str(error)
        if isinstance(error, OSError) and error.strerror and not error.filename:
            # Without the number that Python puts before the system's errors.
            message = error.strerror
        _complain("Error", error, message)
        raise SystemExit(2) from error


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
    with suppress(OSError):
        print_line(" ".join(f"{what}: {' '.join(sentences)}".split()), err=True)
