"""What the commands show: results, progress, and errors in one line."""

import io
import json
import logging
import math
import os
import re
import shlex
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from time import monotonic
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text
from typer.core import TyperGroup

from skbert_filter.io.atomic import explain_full_disk
from skbert_filter.printing import counted, printable

if TYPE_CHECKING:
    from pandas import DataFrame

# What is logged is the title of the bar; warnings are not shown, since summaries say the same.
_JOBS = logging.getLogger("skbert_filter")
_DEFAULTS = {"text": "text", "label": "label", "keep": None, "encoding": None, "delimiter": None}
_FORMATS = {"probability": "{:.2f}", "rows": "{:,}"}
# Lines of a list that is written to a file.
_SHOWN = 10
# How often long work says how far it is, where there is no terminal for a bar.
_SECONDS_OF_A_LINE = 30
# Next to the title, for a bar and how far it is.
_LETTERS_OF_STATE = 44


class Commands(TyperGroup):
    """The commands, whose output any console can show, and whose errors are one line."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Run a command, and flush its output while an error can still be reported."""
        if callable(signal.getsignal(signal.SIGINT)):
            # From now on work can be left in order.
            signal.signal(signal.SIGINT, signal.default_int_handler)
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(errors="backslashreplace")
        with _user_errors(), explain_full_disk("standard output"):
            try:
                return super().main(*args, **kwargs)
            finally:
                if sys.stdout is not None:
                    sys.stdout.flush()

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return a command, in whose help values have no names of Python's types."""
        command = super().get_command(ctx, cmd_name)
        for parameter in command.get_params(ctx) if command else ():
            _name_value(parameter)
        return command

    def get_params(self, ctx: Any) -> Any:
        """Return the options of all commands, likewise."""
        parameters = super().get_params(ctx)
        for parameter in parameters:
            _name_value(parameter)
        return parameters

    def invoke(self, ctx: Any) -> Any:
        """Run a command; Typer would report its errors in other words."""
        with _user_errors():
            return super().invoke(ctx)


def _name_value(parameter: Any) -> None:
    """Leave the names of Python's types out of the help: options have words of their own."""
    if getattr(parameter, "is_flag", False):
        parameter.metavar = ""
    elif parameter.param_type_name == "argument":
        parameter.metavar = parameter.metavar or parameter.name.upper()
        parameter.display_type_rich = lambda ctx: None


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
    """Print a title and a command."""
    print_title(title)
    print_command(*words, **options)


def print_command(*words: object, **options: str | None) -> None:
    """Print a command to copy, with the options that are not at their defaults."""
    for name, value in options.items():
        if value != _DEFAULTS[name]:
            words = (*words, f"--{name}", value)
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


@contextmanager
def working(title: str) -> Iterator["Work"]:
    """Show on standard error, for as long as the block takes, that and how far a command works."""
    work = Work(title)
    try:
        yield work
    finally:
        work.close()


class Work:
    """A bar that moves from the first second; without a terminal, a line every 30 seconds.

    Its title is what the package logs. It is a callback of scikit-learn that counts the steps of a
    fit, and its `corpus_progress` is a `progress` of `filter_corpus`.
    """

    def __init__(self, title: str):
        console = Console(stderr=True)
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            TextColumn("{task.fields[state]}"),
            console=console,
            disable=not console.is_terminal,
            transient=True,
        )
        self._task = self._bar.add_task(title, total=None, state="")
        # What is counted, and how far that is.
        self._counts, self._done, self._steps = "", 0, 0
        self._begin(title)
        self._bar.start()

        self._handler = _OnInfo(self._begin)
        _JOBS.addHandler(self._handler)
        _JOBS.setLevel(logging.INFO)
        self._is_done = threading.Event()
        if self._bar.disable:
            threading.Thread(target=self._print_lines, daemon=True).start()

    def close(self) -> None:
        """Leave the terminal as it was."""
        self._is_done.set()
        _JOBS.removeHandler(self._handler)
        _JOBS.setLevel(logging.NOTSET)
        self._bar.stop()

    def corpus_progress(self, share: float, rows: int, distinct: int) -> None:
        """Show how much of a corpus has been read."""
        self._show(f"{rows:,} rows", share, rows)

    def setup(self, estimator: Any, context: Any) -> None:
        """Expect the steps of a fit, the first or a further one."""
        self._fits += 1
        self._restart(self._title if self._fits == 1 else f"{self._title}, fit {self._fits}")

    def on_fit_task_begin(self, estimator: Any, context: Any) -> None:
        """Count the steps to come: those of an epoch, and of those after it."""
        if context.parent is not None and context.max_subtasks:
            if context.task_name != self._counts:
                self._restart(self._shown)
                self._counts = context.task_name
            tasks = context.parent.max_subtasks - context.task_id
            is_epoch = context.task_name == "epoch"
            self._steps = self._done + context.max_subtasks * (tasks if is_epoch else 1)

    def on_fit_task_end(self, estimator: Any, context: Any) -> None:
        """Count a step."""
        if context.parent is not None and not context.max_subtasks:
            self._done += 1
            if self._done == 1:
                self._since = monotonic()  # the first step takes seconds to trace
            state = f"{self._done:,} of {counted(self._steps, 'step')}"
            self._show(state, self._done / self._steps, self._done)

    def teardown(self, estimator: Any, context: Any) -> None:
        """Wait for what comes next."""
        self._restart(self._shown)

    def _begin(self, title: str) -> None:
        self._title, self._fits = title, 0
        self._restart(title)

    def _restart(self, shown: str) -> None:
        self._shown, self._since = shown, monotonic()
        self._counts, self._done, self._steps = "", 0, 0
        room = max(12, self._bar.console.width - _LETTERS_OF_STATE)
        self._bar.update(self._task, description=printable(shown, room), total=None, state="")

    def _show(self, state: str, share: float, done: int) -> None:
        elapsed = monotonic() - self._since
        if elapsed > 1:
            rate = done / elapsed
            state += f", {rate:,.0f}/s" if rate >= 10 else f", {rate:.1f}/s"
            if 0 < share <= 1:
                state += f", {timedelta(seconds=round(elapsed / share - elapsed))} left"
        is_known = not math.isnan(share)
        self._bar.update(
            self._task,
            total=1 if is_known else None,
            completed=share if is_known else 0,
            state=state,
        )

    def _print_lines(self) -> None:
        started = monotonic()
        while not self._is_done.wait(_SECONDS_OF_A_LINE):
            elapsed = timedelta(seconds=round(monotonic() - started))
            parts = [f"{elapsed} {self._shown}", self._bar.tasks[0].fields["state"]]
            with suppress(OSError):
                print_line(": ".join(filter(None, parts)), err=True)


class _OnInfo(logging.Handler):
    """Do something with each message."""

    def __init__(self, do: Callable[[str], None]):
        super().__init__(logging.INFO)
        self._do = do

    def emit(self, record: logging.LogRecord) -> None:
        """Hand a message over."""
        if record.levelno == logging.INFO:
            self._do(record.getMessage())


class _Console(Console):
    def on_broken_pipe(self) -> None:
        raise  # for `_user_errors`; rich would exit with code 1


def _print(what: Table | Text, *, err: bool = False, **options: Any) -> None:
    with explain_full_disk("standard error" if err else "standard output"):
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
        if isinstance(error, OSError) and error.strerror:
            # Without the number that Python puts before the system's errors.
            message = ": ".join(filter(None, [str(error.filename or ""), error.strerror]))
            if isinstance(error, PermissionError) and error.filename:
                message += ". Close the program that has it open, or allow access to it."
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
        print_line(_as_options(" ".join(f"{what}: {' '.join(sentences)}".split())), err=True)


def _as_options(message: str) -> str:
    """Name options alone where a message names the parameter too: overwrite=True (--overwrite)."""
    return re.sub(r"\b\w+=(?:\"[^\"]*\"|[^\s()]*) \((--[^)]+)\)", r"\1", message)
