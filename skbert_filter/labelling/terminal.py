"""A labelling session in the terminal: one text at a time, one key for each answer."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from rich.console import Console
from rich.text import Text

from skbert_filter.corpus.sources import check_apart
from skbert_filter.io.remote import as_path
from skbert_filter.labelling.files import read_texts
from skbert_filter.labelling.session import LabellingSession, Question, SessionStatus
from skbert_filter.printing import counted, printable

# How many characters of a text are shown until it is opened.
_FOLDED = 600
_COMMANDS = {"s": "skip", "u": "undo", "o": "open", "q": "quit"}


def label_texts(
    source: str | Path,
    output: str | Path,
    *,
    text: str = "text",
    label: str = "label",
    labels: Sequence[str] | None = None,
    order: Literal["informative", "random"] = "informative",
    held_out: float = 0.1,
    encoding: str | None = None,
    delimiter: str | None = None,
    random_state: Any = None,
) -> SessionStatus:
    """Label the texts of a corpus in the terminal, starting with those that teach a filter most.

    If standard input is not a terminal, or is a dumb one, each answer is a line.

    Parameters
    ----------
    source : str or Path
        What `filter_corpus` reads.
    output : str or Path
        The label file: .csv, .tsv, .jsonl, .parquet or .xlsx. It is continued if it exists, and
        complete after every answer.
    text, label, labels, order, held_out, random_state
        As for :class:`~skbert_filter.labelling.session.LabellingSession`. The column `text` is that
        of both files.
    encoding, delimiter : str, default=None
        As for `read_label_table`; `delimiter` is that of `source`.

    Returns
    -------
    status : SessionStatus
        How many answers there are, and how good the model is on the held-out ones.

    Raises
    ------
    FileNotFoundError, ValueError
        If a file is missing or damaged, lacks a column, or has other labels.

    See Also
    --------
    skbert_filter.labelling.session.LabellingSession : The same without a terminal.
    """
    if as_path(source).is_dir():
        check_apart(as_path(source), Path(output))
    with Console(stderr=True).status("Reading the texts"):
        session = LabellingSession(
            read_texts(source, text=text, encoding=encoding, delimiter=delimiter),
            output,
            labels=labels,
            order=order,
            held_out=held_out,
            text=text,
            label=label,
            encoding=encoding,
            random_state=random_state,
        )

    keys = answer_keys(session.labels)
    try:
        if sys.stdin is not None and sys.stdin.isatty() and os.environ.get("TERM") != "dumb":
            make_screen(session, keys).run()
        else:
            _line_by_line(session, keys)
    except KeyboardInterrupt:
        pass  # every answer is in the file
    finally:
        session.close()
    return session.status()


def answer_keys(labels: Sequence[str]) -> dict[str, str]:
    """Return the label of each key: itself if all have one character; else numbers and letters."""
    letters = {name.lower(): name for name in labels}
    are_keys = all(len(key) == 1 for key in letters) and not letters.keys() & _COMMANDS
    if are_keys and len(letters) == len(labels):
        return letters

    keys = {str(number): name for number, name in enumerate(labels, 1) if number <= 9}
    initials = [name[:1].lower() for name in labels]
    for letter, name in zip(initials, labels, strict=True):
        if letter.isalpha() and letter not in _COMMANDS and initials.count(letter) == 1:
            keys[letter] = name
    return keys


def hint(keys: dict[str, str]) -> str:
    """Return a line with the keys and what they do; a label's letter rather than its number."""
    key_of = {name: key for key, name in keys.items()}
    labels = [(key, printable(name)) for name, key in key_of.items()]
    return "  ".join(f"[{key}] {what}" for key, what in [*labels, *_COMMANDS.items()])


def shown(question: Question, *, opened: bool) -> str:
    """Return the text of a question, escaped, and cut unless it is opened."""
    lines = "\n".join(map(printable, question.text.split("\n"))) or "(an empty text)"
    if opened or len(lines) <= _FOLDED:
        return lines
    return f"{lines[:_FOLDED]}… ({counted(len(lines) - _FOLDED, 'more character')}: [o] open)"


def about(question: Question, labels: Sequence[str]) -> str:
    """Return a line about a text: its rows, and the model's probability."""
    parts = [counted(question.rows, "row")]
    if question.probability is not None:
        parts.append(f"{printable(labels[0])}: {question.probability:.2f}")
    if question.held_out:
        parts.append("held out for the score")
    return " · ".join(parts)


def act(session: LabellingSession, keys: dict[str, str], key: str) -> bool:
    """Do what a key stands for; return False for a key without a meaning."""
    if key == "u":
        session.undo()
    elif session.question is None:
        return False
    elif key in keys:
        session.answer(keys[key])
    elif key == "s":
        session.skip()
    else:
        return False
    return True


def _line_by_line(session: LabellingSession, keys: dict[str, str]) -> None:
    console = Console(highlight=False)
    key_of = {name.lower(): key for key, name in [*keys.items(), *_COMMANDS.items()]}
    console.print(Text(hint(keys)))

    while (question := session.question) is not None:
        console.print(Text(f"\n{about(question, session.labels)}"), style="dim")
        console.print(Text(shown(question, opened=False)), overflow="fold")
        while True:
            line = sys.stdin.readline()
            key = line.strip().lower()
            key = key_of.get(key, key)
            if not line or key == "q":
                return
            if key == "o":
                console.print(Text(shown(question, opened=True)), overflow="fold")
            elif act(session, keys, key):
                break
            else:
                console.print(Text(f"{printable(line.strip())!r} is not a key: {hint(keys)}"))

    console.print("\nEvery text is labelled or was skipped.")


def make_screen(session: LabellingSession, keys: dict[str, str], **options: Any) -> Any:
    """Return the full-screen program; `options` are those of prompt_toolkit's `Application`."""
    from prompt_toolkit.application import Application, get_app
    from prompt_toolkit.key_binding import KeyBindings
    from prompt_toolkit.layout import HSplit, Layout, Window
    from prompt_toolkit.layout.controls import FormattedTextControl

    opened = False

    def wrapped(text: str) -> str:
        """Break lines between words; prompt_toolkit breaks them anywhere."""
        width = get_app().output.get_size().columns
        return "\n".join(line.plain for line in Text(text).wrap(Console(width=width), width))

    def body() -> str:
        if session.question is None:
            return wrapped("Every text is labelled or was skipped. [q] quit")
        return wrapped(shown(session.question, opened=opened))

    def header() -> str:
        return "" if session.question is None else about(session.question, session.labels)

    bindings = KeyBindings()

    def pressed(event: Any) -> None:
        nonlocal opened
        key = event.key_sequence[0].key
        opened = key == "o" and not opened
        try:
            act(session, keys, key)
        except Exception as error:
            # prompt_toolkit would show the traceback, and go on without the answer.
            event.app.exit(exception=error)

    for key in [*keys, "s", "u", "o"]:
        bindings.add(key)(pressed)
    for key in ("q", "c-c", "c-d"):
        bindings.add(key)(lambda event: event.app.exit())

    rows = [
        Window(FormattedTextControl(header), height=1),
        Window(height=1),
        Window(FormattedTextControl(body)),
        Window(FormattedTextControl(lambda: wrapped(hint(keys))), dont_extend_height=True),
        Window(
            FormattedTextControl(lambda: wrapped(str(session.status()))),
            dont_extend_height=True,
            style="reverse",
        ),
    ]
    return Application(
        layout=Layout(HSplit(rows)), key_bindings=bindings, full_screen=True, **options
    )
