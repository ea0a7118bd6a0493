"""The output of the commands: results, progress, and errors in one line."""

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

# Its info messages become the title of the bar. Its warnings are not shown: summaries repeat them.
_LOGGER = logging.getLogger("skbert_filter")
_DEFAULTS = {"text": "text", "label": "label", "keep": None, "encoding": None, "delimiter": None}
_FORMATS = {"probability": "{:.2f}", "rows": "{:,}"}
# How many rows of a list are shown; the file has all of them.
_SHOWN = 10
# Seconds between lines on the progress of long work, where there is no terminal for a bar.
_LINE_SECONDS = 30
# Columns of the terminal next to the title, for the bar and the progress.
_STATE_WIDTH = 44


class Commands(TyperGroup):
    """The commands: output that any console can show, and errors in one line."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Run a command, and flush its output while an error can still be reported."""
        if callable(signal.getsignal(signal.SIGINT)):
            # From now on, Ctrl-C is an exception, and work can clean up after itself.
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
        """Return a command, without the names of Python types in its help."""
        command = super().get_command(ctx, cmd_name)
        for parameter in command.get_params(ctx) if command else ():
            _hide_type(parameter)
        return command

    def get_params(self, ctx: Any) -> Any:
        """Return the options of the group, likewise."""
        parameters = super().get_params(ctx)
        for parameter in parameters:
            _hide_type(parameter)
        return parameters

    def invoke(self, ctx: Any) -> Any:
        """Run a command, and report its errors before Typer does."""
        with _user_errors():
            return super().invoke(ctx)


def _hide_type(parameter: Any) -> None:
    """Remove the name of a Python type from the help of an option or argument."""
    if getattr(parameter, "is_flag", False):
        parameter.metavar = ""
    elif parameter.param_type_name == "argument":
        parameter.metavar = parameter.metavar or parameter.name.upper()
        parameter.display_type_rich = lambda ctx: None


def print_result(result: object, content: Any = None, *, err: bool = False) -> None:
    """Print a result for people, or its content as JSON."""
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
    """Show the progress of a command on standard error, for the duration of the block."""
    work = Work(title)
    try:
        yield work
    finally:
        work.close()


class Work:
    """A bar that moves from the first second; without a terminal, a line every 30 seconds.

    Its title is what the package logs. As a scikit-learn callback it counts the steps of a fit;
    `corpus_progress` is the `progress` of `filter_corpus`.
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
        self._task_name, self._done, self._steps = "", 0, 0
        self._begin(title)
        self._bar.start()

        self._handler = _InfoHandler(self._begin)
        _LOGGER.addHandler(self._handler)
        _LOGGER.setLevel(logging.INFO)
        self._is_done = threading.Event()
        if self._bar.disable:
            threading.Thread(target=self._print_lines, daemon=True).start()

    def close(self) -> None:
        """Restore the terminal and the logger."""
        self._is_done.set()
        _LOGGER.removeHandler(self._handler)
        _LOGGER.setLevel(logging.NOTSET)
        self._bar.stop()

    def corpus_progress(self, share: float, rows: int, distinct: int) -> None:
        """Show how much of a corpus has been read."""
        self._show(f"{rows:,} rows", share, rows)

    def setup(self, estimator: Any, context: Any) -> None:
        """Begin to count the steps of a fit."""
        self._fits += 1
        self._restart(self._title if self._fits == 1 else f"{self._title}, fit {self._fits}")

    def on_fit_task_begin(self, estimator: Any, context: Any) -> None:
        """Set the number of steps to come: of this epoch and those after it."""
        if context.parent is not None and context.max_subtasks:
            if context.task_name != self._task_name:
                self._restart(self._shown)
                self._task_name = context.task_name
            tasks = context.parent.max_subtasks - context.task_id
            is_epoch = context.task_name == "epoch"
            self._steps = self._done + context.max_subtasks * (tasks if is_epoch else 1)

    def on_fit_task_end(self, estimator: Any, context: Any) -> None:
        """Count a step."""
        if context.parent is not None and not context.max_subtasks:
            self._done += 1
            if self._done == 1:
                self._since = monotonic()  # the first step includes seconds of tracing
            state = f"{self._done:,} of {counted(self._steps, 'step')}"
            self._show(state, self._done / self._steps, self._done)

    def teardown(self, estimator: Any, context: Any) -> None:
        """Show that the fit is over."""
        self._restart(self._shown)

    def _begin(self, title: str) -> None:
        self._title, self._fits = title, 0
        self._restart(title)

    def _restart(self, shown: str) -> None:
        self._shown, self._since = shown, monotonic()
        self._task_name, self._done, self._steps = "", 0, 0
        width = max(12, self._bar.console.width - _STATE_WIDTH)
        self._bar.update(self._task, description=printable(shown, width), total=None, state="")

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
        while not self._is_done.wait(_LINE_SECONDS):
            elapsed = timedelta(seconds=round(monotonic() - started))
            parts = [f"{elapsed} {self._shown}", self._bar.tasks[0].fields["state"]]
            with suppress(OSError):
                print_line(": ".join(filter(None, parts)), err=True)


class _InfoHandler(logging.Handler):
    """Pass info messages to a function."""

    def __init__(self, do: Callable[[str], None]):
        super().__init__(logging.INFO)
        self._do = do

    def emit(self, record: logging.LogRecord) -> None:
        """Pass a message on."""
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
        _drop_output()
        raise SystemExit(141) from error
    except (Exception, KeyboardInterrupt) as error:
        if _is_interrupt(error):
            _print_error("Interrupted", error, "the job is not done.")
            raise SystemExit(130) from error
        if hasattr(error, "format_message"):
            # Typer's own errors have no public base class, and quote what the user typed.
            message = printable(error.format_message())
            error.format_message = lambda: message
            raise
        if not isinstance(error, ValueError | OSError | ImportError):
            raise

        _drop_output()
        message = str(error)
        if isinstance(error, OSError) and error.strerror:
            # str(error) would begin with the error number.
            message = ": ".join(filter(None, [str(error.filename or ""), error.strerror]))
            if isinstance(error, PermissionError) and error.filename:
                message += ". Close the program that has it open, or allow access to it."
        _print_error("Error", error, message)
        raise SystemExit(2) from error


def _is_interrupt(error: BaseException | None) -> bool:
    """Whether Ctrl-C is the cause: an interrupted import may end in another error."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__ or error.__context__
    return error is not None


def _drop_output() -> None:
    """Drop what cannot be written, or Python would complain when it flushes at exit."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _print_error(what: str, error: BaseException, message: str) -> None:
    sentences = [message, *getattr(error, "__notes__", [])]
    with suppress(OSError):
        print_line(_options_only(" ".join(f"{what}: {' '.join(sentences)}".split())), err=True)


def _options_only(message: str) -> str:
    """Keep the option where a message names the parameter too: overwrite=True (--overwrite)."""
    return re.sub(r"\b\w+=(?:\"[^\"]*\"|[^\s()]*) \((--[^)]+)\)", r"\1", message)
