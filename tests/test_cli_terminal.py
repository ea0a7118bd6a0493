"""What the commands write to a terminal: nothing that it would obey, whatever the texts hold."""

import logging
import os
import re
import shlex
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import joblib
import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from skbert_filter import DuplicateReport, SmallBertTextFilter, duplicate_report
from skbert_filter.cli import console
from skbert_filter.cli.app import app
from skbert_filter.inspection import WordCountRule, evaluate
from skbert_filter.printing import printable

COMMAND = Path(sys.executable).with_name("skbert-filter")
# Clears the screen, sets the title, beeps; an 8-bit escape; turns the rest of the line around.
EVIL = "\x1b[2J\x1b]0;title\x07 \x9b31m \u202egnp.exe\u2066"
DISCARD, KEEP = f"no{EVIL}", f"yes{EVIL}"


def assert_harmless(shown):
    assert {char for char in shown if not char.isprintable()} <= {"\n"}


@pytest.fixture
def evil(tmp_path, monkeypatch):
    """A folder with a model and texts that hold escape sequences wherever a user's words can be."""
    monkeypatch.chdir(tmp_path)
    texts = [f"Menu {n} {EVIL}" for n in range(8)]
    texts += [f"We build {n} boats {EVIL} for the farms of the north" for n in range(8)]
    labels = [DISCARD] * 8 + [KEEP] * 7 + [DISCARD]
    frame = pd.DataFrame({f"t{EVIL}": [*texts, texts[0]], f"l{EVIL}": [*labels, KEEP]})
    frame.to_csv(f"a{EVIL}.csv", index=False)
    joblib.dump(WordCountRule().fit(texts, labels), f"m{EVIL}.joblib")
    return tmp_path


COMMANDS = {
    "duplicates": "duplicates {a}.csv --text {t} --label {l}",
    "leaks": "duplicates {a}.csv --text {t} --test {a}.csv",
    "suspects": "suspects {a}.csv --text {t} --label {l} -o {s}.csv",
    "evaluate": "evaluate {m}.joblib {a}.csv --text {t} --label {l} --train {a}.csv --trust",
    "next-to-label": "next-to-label {m}.joblib {a}.csv --text {t} -o {n}.csv --trust",
    "predict": "predict {m}.joblib {a}.csv --text {t} --keep {yes} -o {k}.csv --trust",
    "explore": "explore {a}.csv --text {t} --label {l} -o {e}.html",
    "missing file": "duplicates {none}.csv",
    "missing column": "duplicates {a}.csv",
    "missing label": "predict {m}.joblib {a}.csv --text {t} --keep {none} -o {k}.csv --trust",
    "wrong option": "duplicates {a}.csv --{none}",
    "wrong argument": "duplicates {a}.csv {none}",
    "wrong choice": "duplicates {a}.csv --key {none}",
    "wrong command": "{none}",
}


@pytest.mark.parametrize("name", COMMANDS)
def test_no_command_writes_what_a_terminal_obeys(evil, name):
    arguments = [
        word.format(**{key: key + EVIL for key in "tlasmnke"}, none=f"none{EVIL}", yes=KEEP)
        for word in COMMANDS[name].split()
    ]
    result = CliRunner().invoke(app, arguments, env={"COLUMNS": "500"})
    assert result.exit_code == (2 if "none" in COMMANDS[name] or "column" in name else 0)
    assert_harmless(result.output)
    if name != "explore":
        assert r"\x1b[2J" in result.output


def test_results_write_nothing_that_a_terminal_obeys():
    texts = [f"Menu {EVIL}", "We build boats for farms", "Menu", "We make tea for you here"]
    labels = [DISCARD, KEEP] * 2
    report = duplicate_report(texts, labels, n_top=4)
    rule = WordCountRule().fit(texts, labels)
    evaluation = evaluate(
        rule, texts, labels[::-1], X_train=texts, y_train=labels, baselines={EVIL: rule}, name=EVIL
    )
    for result in (report, evaluation):
        assert_harmless(str(result))
        assert_harmless(result._repr_html_())
        assert r"\x1b[2J" in str(result)
    assert isinstance(report, DuplicateReport)


def test_what_can_be_printed_is_left_as_it_is():
    for text in ("", "naïve ☕ مرحبا 首页", r"C:\new\table"):
        assert printable(text) == text
    assert printable("a\tb\udc80\u200b") == r"a\tb\udc80\u200b"
    assert printable(np.int64(3)) == "3"


@pytest.mark.parametrize("encoding", ["cp1252", "cp932", "ascii"])
def test_a_console_of_another_encoding_shows_what_it_can(tmp_path, encoding):
    (tmp_path / "会社.txt").write_text("Łódź\nMenu\nŁódź\n", encoding="utf-8")
    result = subprocess.run(
        [COMMAND, "duplicates", "会社.txt"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONIOENCODING": encoding},
        capture_output=True,
        check=True,
    )
    assert r"\u0141\xf3d\u017a" in result.stdout.decode(encoding).replace("ó", r"\xf3")
    assert result.stderr == b""


def test_without_a_terminal_long_work_writes_lines(tiny, snippets, monkeypatch, capsys):
    monkeypatch.setattr(console, "_LINE_SECONDS", 0.05)
    with console.working("Learning") as work:
        SmallBertTextFilter(**tiny, early_stopping=False).set_callbacks(work).fit(*snippets)
        logging.getLogger("skbert_filter").info("Scoring")
        logging.getLogger("skbert_filter").warning("2 rows are dropped")
        time.sleep(0.2)
    out, err = capsys.readouterr()
    assert out == ""
    assert re.search(r"^0:00:\d\d Learning: \d+ of 72 steps", err, flags=re.M)
    assert re.search(r"^0:00:\d\d Scoring$", err, flags=re.M)
    assert "dropped" not in err


def test_the_time_left_follows_from_the_steps_so_far(monkeypatch):
    now = iter(range(0, 1000, 10))
    monkeypatch.setattr(console, "monotonic", lambda: next(now))
    with console.working("Learning") as work:
        fit = SimpleNamespace(parent=None, max_subtasks=5)
        epoch = SimpleNamespace(parent=fit, max_subtasks=10, task_id=1, task_name="epoch")
        step = SimpleNamespace(parent=epoch, max_subtasks=0, task_name="step")
        work.on_fit_task_begin(None, epoch)
        for _ in range(2):
            work.on_fit_task_end(None, step)
        state = work._bar.tasks[0].fields["state"]
    # Two of the steps of four epochs.
    assert re.fullmatch(r"2 of 40 steps, 0\.\d/s, 0:0\d:\d\d left", state)


def test_help_has_no_types_of_python():
    names = [command.callback.__name__.replace("_", "-") for command in app.registered_commands]
    assert "next-to-label" in names
    for name in names:
        shown = CliRunner().invoke(app, [name, "--help"]).output
        assert "Usage: skbert-filter" in shown
        assert not re.search(r"<\w|\bNone\b|\blist\[|range>", shown)


def test_a_message_names_options_and_not_the_parameters_of_python(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("a.csv").write_text("text,label\nMenu,0\n")
    Path("b.html").write_text("mine")
    refused = CliRunner().invoke(app, ["explore", "a.csv", "-o", "b.html"])
    assert refused.stderr == "Error: b.html exists. Name another file, or pass --overwrite.\n"


def test_a_file_that_another_program_holds_open_is_named_with_what_to_do(monkeypatch):
    def refused(*args, **options):
        raise PermissionError(13, "Access is denied", "labels.csv")

    monkeypatch.setattr("skbert_filter.labelling.files.report_duplicates", refused)
    result = CliRunner().invoke(app, ["duplicates", "labels.csv"])
    assert (result.exit_code, result.stderr) == (
        2,
        "Error: labels.csv: Access is denied. Close the program that has it open, or allow access "
        "to it.\n",
    )


def test_texts_with_several_labels_are_shown_by_the_command_that_train_names(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    texts = [f"Menu {n}" for n in range(8)] + [f"We build {n} boats for farms" for n in range(8)]
    frame = pd.DataFrame({"text": texts, "label": ["menu"] * 8 + ["news"] * 8})
    frame.to_csv("a.csv", index=False)
    frame.head(1).assign(label="news").to_csv("b.csv", index=False, sep="~")
    files = ["a.csv", "b.csv"]
    refused = CliRunner().invoke(app, ["train", *files, "-o", "model", "--model", "tfidf"])
    assert "b.csv has no column 'text'" in refused.stderr
    frame.head(1).assign(label="news").to_csv("b.csv", index=False, sep="|")
    trained = CliRunner().invoke(app, ["train", *files, "-o", "model", "--model", "tfidf"])
    commands = [line for line in trained.output.splitlines() if line.startswith("  skbert-filter ")]
    assert [shlex.split(line)[-1] for line in commands] == ["label", "menu", "news"]
    shown = CliRunner().invoke(app, shlex.split(commands[0])[1:]).output
    assert "'menu': 1, 'news': 1  tie       'Menu 0'" in shown


def test_the_command_that_is_shown_next_works(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    texts = [f"Menü {n}" for n in range(8)] + [f"We build {n} boats for farms" for n in range(8)]
    frame = pd.DataFrame({"body": texts, "is it": ["no"] * 8 + ["yes"] * 8})
    frame.to_csv("my labels.csv", index=False, encoding="cp1252")
    columns = ["--text", "body", "--label", "is it", "--encoding", "cp1252"]
    listed = CliRunner().invoke(app, ["suspects", "my labels.csv", "-o", "a list.csv", *columns])
    assert listed.exit_code == 0
    name, *arguments = shlex.split(listed.output.splitlines()[-1])
    assert name == "skbert-filter"
    applied = CliRunner().invoke(app, arguments)
    assert applied.output == "0 rows were relabelled in corrected.csv.\n"
    assert pd.read_csv("corrected.csv").equals(frame)


@pytest.mark.parametrize(
    ("arguments", "then"),
    [
        ("train a.csv -o model", "has too few distinct texts"),
        ("pretrain e.txt -o encoder --hidden-size 4 --epochs 1", ""),
        ("evaluate rule.joblib a.csv --trust", ""),
        ("predict rule.joblib a.csv -o new.csv --trust", ""),
        ("duplicates a.csv --label label", ""),
        ("duplicates u.csv --test a.csv", ""),
        ("suspects a.csv -o new.csv", "has too few distinct texts"),
        ("suspects a.csv --apply u.csv -o new.csv", "has no column 'first_row'"),
        ("next-to-label rule.joblib a.csv -o new.csv --trust", ""),
        ("explore a.csv -o new.html", ""),
    ],
)
def test_the_encoding_that_a_message_asks_for_is_taken(tmp_path, monkeypatch, arguments, then):
    monkeypatch.chdir(tmp_path)
    texts = ["Menü", "We build Öfen for farms"]
    joblib.dump(WordCountRule().fit(texts, [0, 1]), "rule.joblib")
    table = f"text,label\n{texts[0]},0\n{texts[1]},1\n"
    (tmp_path / "a.csv").write_text(table, encoding="cp1252")
    (tmp_path / "u.csv").write_text(table, encoding="utf-8")
    (tmp_path / "e.txt").write_text("é\n", encoding="cp1252")
    refused = CliRunner().invoke(app, arguments.split())
    assert refused.exit_code == 2
    assert "name it, as in --encoding cp1252 (docs" in refused.stderr
    taken = CliRunner().invoke(app, [*arguments.split(), "--encoding", "cp1252"])
    assert taken.exit_code == (2 if then else 0)
    assert then in taken.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="has no such shell")
def test_a_command_without_a_console_does_its_work(tmp_path):
    (tmp_path / "a.txt").write_text("Menu\n")
    for closed, arguments, code in (
        (">&- 2>&-", "duplicates a.txt", 0),
        (">&- 2>&-", "duplicates none.txt", 2),
        ("<&-", "duplicates -", 2),
    ):
        line = f"{shlex.quote(str(COMMAND))} {arguments} {closed}"
        result = subprocess.run(
            ["bash", "-c", line], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert result.returncode == code
        assert "Traceback" not in result.stderr
    assert result.stderr == "Error: Standard input is closed. Name a file.\n"
