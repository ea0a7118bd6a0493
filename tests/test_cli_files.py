"""The commands that read and write files, as real processes."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
import tomllib
from contextlib import suppress
from pathlib import Path

import joblib
import pandas as pd
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC
from typer.testing import CliRunner

from skbert_filter import __version__
from skbert_filter.cli.app import app
from skbert_filter.datasets import make_website_corpus, make_website_snippets
from skbert_filter.inspection.baselines import WordCountRule, tfidf_baseline

COMMAND = Path(sys.executable).with_name("skbert-filter")
PROSE = "We repair pumps for ships"


def run(*arguments, cwd, stdin=None, **environment):
    done = subprocess.run(
        [COMMAND, *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, "COLUMNS": "80", **environment},
        input=stdin,
        capture_output=True,
        encoding="utf-8",
        timeout=300,
        check=False,
    )
    # Where it takes long, it says so.
    done.stderr = re.sub(r"^\d+:\d\d:\d\d .*\n", "", done.stderr, flags=re.M)
    return done


@pytest.fixture
def files(tmp_path):
    """Return a folder with a model and some texts."""
    rule = WordCountRule().fit(["View All", "About us", "We make tools", PROSE], [0, 0, 1, 1])
    joblib.dump(rule, tmp_path / "rule.joblib")
    (tmp_path / "firms").mkdir()
    (tmp_path / "firms" / "a.txt").write_text(f"View\n{PROSE}\nItâ€™s new\n", encoding="utf-8")
    (tmp_path / "firms" / "b.txt").write_text(f"{PROSE}\n")
    return tmp_path


def test_predict_cleans_a_folder_and_tells_what_it_did(files):
    arguments = ("predict", "rule.joblib", "firms", "--trust")
    told = run(*arguments, "-o", "kept", "--audit", "audit.csv", "--threshold", 0.5, cwd=files)
    assert (told.returncode, told.stderr) == (0, "")
    said = " ".join(told.stdout.split())
    for part in (
        "4 rows of firms (2 files): 3 distinct texts.",
        "kept has 2 rows (50.0%) with the label 1 with a probability of 0.5 or more; discarded: 2.",
        "audit.csv has each distinct text and its decision.",
        "1 distinct text looks mis-decoded",
    ):
        assert part in said
    assert (files / "kept" / "a.txt").read_text() == f"{PROSE}\n"
    assert pd.read_csv(files / "audit.csv")["rows"].tolist() == [1, 2, 1]

    refused = run(*arguments, "-o", "kept", cwd=files)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr == (
        "Error: The folder kept holds files. Name another, or pass --overwrite.\n"
    )
    as_json = run(*arguments, "-o", "kept", "--overwrite", "--json", cwd=files)
    summary = json.loads(as_json.stdout)
    assert (summary["rows"], summary["kept"], summary["misdecoded"]) == (4, 2, 1)


def test_predict_in_a_pipe_writes_lines_and_nothing_else(files):
    arguments = ("predict", "rule.joblib", "-", "-o", "-", "--trust")
    result = run(*arguments, cwd=files, stdin=f"View\n{PROSE}\n", FORCE_COLOR="1")
    assert result.stdout == f"{PROSE}\n"
    assert "Cleaning" in result.stderr
    as_json = run(*arguments, "--json", cwd=files, stdin=f"View\n{PROSE}\n")
    assert as_json.stdout == f"{PROSE}\n"
    assert json.loads(as_json.stderr)["rows"] == 2


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="has no full device")
def test_output_that_cannot_be_written_is_an_error(files):
    command = [COMMAND, "predict", "rule.joblib", "-", "-o", "-", "--trust"]
    with Path("/dev/full").open("wb") as full:
        result = subprocess.run(
            command,
            cwd=files,
            input=PROSE.encode(),
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
        )
    assert result.returncode == 2
    assert result.stderr.startswith(b"Error: There is no room to write standard output (")
    assert b"ignored" not in result.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="has no full device")
@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize(
    "arguments", ["--help", "predict --help", "duplicates firms", "duplicates firms --json"]
)
def test_results_and_help_that_cannot_be_written_are_an_error(files, arguments, unbuffered):
    with Path("/dev/full").open("wb") as full:
        result = subprocess.run(
            [COMMAND, *arguments.split()],
            cwd=files,
            env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert result.returncode == 2
    assert result.stderr.startswith("Error: ")
    assert "No space left on device" in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.skipif(sys.platform == "win32", reason="has no such pipes")
def test_a_result_that_nobody_reads_ends_the_command_quietly(files):
    line = f"{shlex.quote(str(COMMAND))} duplicates firms | true; exit ${{PIPESTATUS[0]}}"
    result = subprocess.run(["bash", "-c", line], cwd=files, capture_output=True, check=False)
    assert (result.returncode, result.stderr) == (141, b"")


@pytest.mark.skipif(sys.platform == "win32", reason="has no such pipes")
def test_a_reader_that_leaves_ends_the_command_quietly(files):
    process = subprocess.Popen(
        [COMMAND, "predict", "rule.joblib", "-", "-o", "-", "--trust"],
        cwd=files,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    process.stdout.close()
    with suppress(BrokenPipeError), process.stdin as lines:
        lines.write(f"{PROSE}\n".encode() * 200_000)
    with process.stderr as errors:
        assert errors.read() == b""
    assert process.wait() == 141


@pytest.mark.skipif(sys.platform == "win32", reason="has no SIGINT")
def test_ctrl_c_leaves_what_the_same_command_goes_on_from(files):
    (files / "slow.py").write_text(
        "import time\n"
        "from skbert_filter.inspection.baselines import WordCountRule\n"
        "class Slow(WordCountRule):\n"
        "    def predict(self, X):\n"
        "        time.sleep(0 if len(X) > 5000 else 600)\n"
        "        return super().predict(X)\n"
    )
    script = (
        "import joblib\nfrom slow import Slow\n"
        "joblib.dump(Slow().fit(['View', 'We make tools'], [0, 1]), 'slow.joblib')"
    )
    subprocess.run([sys.executable, "-c", script], cwd=files, check=True)
    # One chunk of 8,192 texts that is fast, and a rest that is slow.
    (files / "in.txt").write_text("".join(f"text {i}\n" for i in range(9000)))
    process = subprocess.Popen(
        [COMMAND, "predict", "slow.joblib", "in.txt", "-o", "out.txt", "--trust"],
        cwd=files,
        env={**os.environ, "PYTHONPATH": f"{files}:{os.environ.get('PYTHONPATH', '')}"},
        stderr=subprocess.PIPE,
        text=True,
        # Where the tests run in the background of a shell, it has them ignore the signal.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    log = files / "out.txt.partial" / "scores.sqlite-wal"
    while process.poll() is None and not (log.exists() and log.stat().st_size > 50_000):
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate()
    assert process.returncode == 130
    assert errors == (
        "Interrupted: the job is not done. What was computed is kept in "
        "out.txt.partial: the same command resumes from there.\n"
    )
    assert not (files / "out.txt").exists()
    assert (files / "out.txt.partial" / "manifest.json").exists()


def test_duplicates_reports_repeats_and_leaks(files):
    result = run("duplicates", "firms", cwd=files)
    assert (result.returncode, result.stderr) == (0, "")
    assert "distinct texts                3" in result.stdout
    (files / "test.csv").write_text(f"text\n{PROSE}\nTea\n")
    leaks = run("duplicates", "firms", "--test", "test.csv", "--json", cwd=files)
    assert json.loads(leaks.stdout)[0] == {
        "key": "exact",
        "test_rows": 1,
        "test_rows_share": 0.5,
        "test_texts": 1,
        "test_texts_share": 0.5,
    }


def test_suspects_are_listed_and_corrected(tmp_path):
    X, y = make_website_snippets(300, random_state=0)
    y[X == "Read more"] = 1
    pd.DataFrame({"id": range(300), "text": X, "label": y}).to_csv(
        tmp_path / "labels.csv", index=False
    )
    listed = run("suspects", "labels.csv", "-o", "suspects.csv", "--top", 5, cwd=tmp_path)
    assert (listed.returncode, listed.stderr) == (0, "")
    assert "Read more" in listed.stdout
    assert "skbert-filter suspects labels.csv --apply suspects.csv" in listed.stdout
    table = pd.read_csv(tmp_path / "suspects.csv", keep_default_na=False, dtype=str)
    assert len(table) == 5
    table = table[table["text"] == "Read more"].assign(label="0")
    table.to_csv(tmp_path / "suspects.csv", index=False)
    arguments = ("suspects", "labels.csv", "--apply", "suspects.csv", "-o", "corrected.csv")
    applied = run(*arguments, cwd=tmp_path)
    assert (applied.returncode, applied.stderr) == (0, "")
    assert applied.stdout == "2 rows were relabelled in corrected.csv.\n"
    corrected = pd.read_csv(tmp_path / "corrected.csv")
    y[X == "Read more"] = 0
    assert corrected["label"].tolist() == y.tolist()
    assert corrected["id"].tolist() == list(range(300))


def test_next_to_label_writes_a_list_to_fill(tmp_path):
    X, y = make_website_snippets(300, random_state=0)
    joblib.dump(tfidf_baseline().fit(X, y), tmp_path / "model.joblib")
    pd.DataFrame({"text": X, "label": y}).to_csv(tmp_path / "labels.csv", index=False)
    corpus = make_website_corpus(1000, random_state=0)
    (tmp_path / "corpus.txt").write_text("\n".join(corpus), encoding="utf-8")
    arguments = ("next-to-label", "model.joblib", "corpus.txt", "-o", "next.csv", "--trust")
    result = run(*arguments, "-n", 20, "--labelled", "labels.csv", cwd=tmp_path)
    assert (result.returncode, result.stderr) == (0, "")
    assert "20 texts are in next.csv. Fill in its column label, then:\n" in result.stdout
    assert "  skbert-filter train labels.csv next.csv -o model --overwrite\n" in result.stdout
    chosen = pd.read_csv(tmp_path / "next.csv", keep_default_na=False)
    assert chosen.columns.tolist()[:3] == ["text", "label", "suggested"]
    assert len(chosen) == 20
    assert not set(chosen["text"]) & set(X)
    assert set(chosen["label"]) == {""}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            "next-to-label margin.joblib texts.csv --trust -o new.csv",
            "The model margin.joblib lacks predict_proba, so it cannot report how sure it is of a "
            "text. Pass a model with it, such as a fitted "
            "CalibratedClassifierCV(FrozenEstimator(model)).",
        ),
        (
            "predict margin.joblib texts.csv --trust -o new.csv --threshold 0.5",
            "Pipeline has no predict_proba to compare the threshold with. Omit the threshold, "
            "or pass CalibratedClassifierCV(FrozenEstimator(model)), fitted.",
        ),
        (
            "predict unfitted.joblib texts.csv --trust -o new.csv",
            "unfitted.joblib holds a Pipeline that is not fitted. Fit it, and save it again.",
        ),
        (
            "next-to-label number.joblib texts.csv --trust -o new.csv",
            "The model number.joblib is not a fitted classifier with one label per text: it lacks "
            "predict or a list of classes_. Pass a fitted classifier.",
        ),
        (
            "evaluate lists texts.csv",
            "'lists' is not a folder written by save_pretrained: it has no skbert_filter.json.",
        ),
        (
            "evaluate margin.joblib lists/lists.parquet --trust",
            "Row 1 of lists/lists.parquet (the first is 1) has [1] in column 'label', which is "
            "not a label. Name the column with the labels.",
        ),
        (
            "duplicates texts.csv --label label --test texts.csv",
            "--test compares a test set with one file or folder of texts, without labels and by "
            "all keys. Omit --label, --key and further files.",
        ),
    ],
)
def test_a_model_or_table_that_does_not_serve_is_named_in_one_line(
    tmp_path, monkeypatch, arguments, message
):
    monkeypatch.chdir(tmp_path)
    texts, labels = ["View All", "We make steel tools"], [0, 1]
    margin = make_pipeline(TfidfVectorizer(), LinearSVC())
    joblib.dump(margin, tmp_path / "unfitted.joblib")
    joblib.dump(margin.fit(texts, labels), tmp_path / "margin.joblib")
    number = make_pipeline(TfidfVectorizer(), Ridge()).fit(texts, labels)
    joblib.dump(number, tmp_path / "number.joblib")
    pd.DataFrame({"text": texts, "label": labels}).to_csv(tmp_path / "texts.csv", index=False)
    (tmp_path / "lists").mkdir()
    lists = pd.DataFrame({"text": texts, "label": [[1], [0]]})
    lists.to_parquet(tmp_path / "lists" / "lists.parquet")

    result = CliRunner().invoke(app, arguments.split())
    assert (result.exit_code, result.stderr) == (2, f"Error: {message}\n")
    assert not (tmp_path / "new.csv").exists()


def test_a_classifier_of_another_kind_is_scored_if_it_is_trusted(files, monkeypatch):
    monkeypatch.chdir(files)
    (files / "labels.csv").write_text("text,label\nView,0\nWe build large boats,1\nTea,1\n")
    arguments = ["evaluate", "rule.joblib", "labels.csv", "--json"]
    refused = CliRunner().invoke(app, arguments)
    assert refused.exit_code == 2
    assert "pass --trust" in refused.stderr
    scored = CliRunner().invoke(app, [*arguments, "--trust"])
    assert (scored.exit_code, scored.stderr) == (0, "")
    assert json.loads(scored.stdout)["accuracy"] == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("missing", "arguments", "extra"),
    [
        ("comet_ml", "next-to-label registry://a/b in.csv -o out.csv", "comet"),
        ("distributed", "predict model in -o out --dask tcp://a", "dask"),
    ],
)
def test_what_is_not_installed_is_named_for_pip(monkeypatch, missing, arguments, extra):
    monkeypatch.setitem(sys.modules, missing, None)
    monkeypatch.delitem(sys.modules, "skbert_filter.corpus.dask_engine", raising=False)
    result = CliRunner().invoke(app, arguments.split())
    assert result.exit_code == 2
    assert result.stderr.startswith("Error: ")
    # By the names that the package itself asks for: pip finds no skbert_filter[comet].
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text("utf-8"))
    wanted = project["project"]["optional-dependencies"][extra]
    named = shlex.split(result.stderr)[-len(wanted) :]
    assert sorted(named) == sorted(requirement.split(">")[0] for requirement in wanted)
    assert result.stderr.count("\n") == 1


def test_help_names_the_functions_behind_the_commands_and_imports_no_engine():
    code = (
        "import sys\n"
        "from typer.testing import CliRunner\n"
        "from skbert_filter.cli.app import app\n"
        "for command in ('predict', 'duplicates', 'suspects', 'next-to-label'):\n"
        "    print(CliRunner().invoke(app, [command, '--help']).output)\n"
        "heavy = {'tensorflow', 'keras', 'transformers', 'sklearn', 'pandas'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, encoding="utf-8", check=False
    )
    assert (result.returncode, result.stderr) == (0, "")
    for function in (
        "skbert_filter.filter_corpus",
        "skbert_filter.labelling.files.report_duplicates",
        "report_leakage",
        "skbert_filter.labelling.files.list_suspects",
        "correct_labels",
        "skbert_filter.labelling.files.list_next_to_label",
    ):
        assert function in result.stdout


def test_a_list_of_suspects_with_formulas_goes_through_a_spreadsheet(tmp_path):
    texts = [f"=We build {what}" for what in "abcdefgh"] + [f"View {what}" for what in "abcdefgh"]
    labels = [1] * 8 + [0] * 7 + [1]
    pd.DataFrame({"text": texts, "label": labels}).to_csv(tmp_path / "labels.csv", index=False)
    arguments = ("suspects", "labels.csv", "-o", "list.csv", "--escape-formulas")
    assert run(*arguments, cwd=tmp_path).returncode == 0
    table = pd.read_csv(tmp_path / "list.csv")
    assert table["text"].str.startswith("'=We").sum() == 8
    table["label"] = [int("We" in text) for text in table["text"]]
    table.to_csv(tmp_path / "list.csv", index=False)
    done = run("suspects", "labels.csv", "--apply", "list.csv", "-o", "fixed.csv", cwd=tmp_path)
    assert "1 row was relabelled" in done.stdout
    fixed = pd.read_csv(tmp_path / "fixed.csv")
    assert fixed["text"].tolist() == texts
    assert fixed["label"].tolist() == [1] * 8 + [0] * 8


# Libraries that are interrupted while they are imported; one of them ends in another error.
INTERRUPTED = {
    "typer": "import os, signal, time\nos.kill(os.getpid(), signal.SIGINT)\ntime.sleep(60)\n",
    "pyarrow": """
import os, signal, time
try:
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(60)
except KeyboardInterrupt as error:
    raise ImportError("initialization failed") from error
""",
}


@pytest.mark.skipif(sys.platform == "win32", reason="has no SIGINT for one process")
@pytest.mark.parametrize("library", list(INTERRUPTED))
def test_ctrl_c_during_an_import_is_told_in_a_line(files, library):
    (files / "path").mkdir()
    (files / "path" / f"{library}.py").write_text(INTERRUPTED[library])
    result = subprocess.run(
        [sys.executable, "-m", "skbert_filter", "predict", "m.joblib", "firms", "-o", "kept"],
        cwd=files,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(files / "path"), *sys.path])},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 130
    assert result.stderr == "Interrupted: the job is not done.\n"


def test_the_version_is_printed():
    result = CliRunner().invoke(app, ["--version"])
    assert (result.exit_code, result.stdout) == (0, f"skbert-filter {__version__}\n")
    for command in ([], ["train"], ["predict"]):
        assert "<bool>" not in CliRunner().invoke(app, [*command, "--help"]).stdout


def test_a_file_as_the_output_of_a_folder_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "crawl").mkdir()
    (tmp_path / "crawl" / "a.txt").write_text("Menu\n")
    result = CliRunner().invoke(app, ["predict", "web", "crawl", "-o", "x.csv"])
    assert result.exit_code == 2
    assert "Name a folder, such as x." in result.stderr
    assert not (tmp_path / "x.csv").exists()


def test_predict_takes_a_delimiter_and_names_it_in_the_next_command(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("crawl.csv").write_text(f"first, last~text\nAda, L.~{PROSE}\n")
    arguments = "predict web crawl.csv -o kept.csv --threshold 0 --delimiter ~"
    result = CliRunner().invoke(app, arguments.split())
    assert result.exit_code == 0, result.output
    assert Path("kept.csv").read_text() == f'"first, last"~"text"\n"Ada, L."~"{PROSE}"\n'
    assert "next-to-label web crawl.csv -o next.csv --delimiter '~'" in result.output
