"""The real command, in processes of its own."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from skbert_filter import SmallBertTextFilter
from skbert_filter.bert.checkpoint import load_checkpoint
from skbert_filter.datasets import make_website_snippets

COMMAND = Path(sys.executable).with_name("skbert-filter")


def run(*arguments, cwd, **environment):
    # As in a fresh shell: TensorFlow's variables of this test process are not the user's.
    fresh = {name: value for name, value in os.environ.items() if not name.startswith("TF_")}
    done = subprocess.run(
        [COMMAND, *map(str, arguments)],
        cwd=cwd,
        env={**fresh, "COLUMNS": "80", **environment},
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=300,
        check=False,
    )
    # Where it takes long, it says so.
    done.stderr = re.sub(r"^\d+:\d\d:\d\d .*\n", "", done.stderr, flags=re.M)
    return done


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """One run of the demo for all tests: (the folder it ran in, its result)."""
    folder = tmp_path_factory.mktemp("cli")
    return folder, run("demo", "--rows", 2000, "--snippets", 300, cwd=folder)


def test_demo_reports_scores_and_writes_the_kept_lines(demo):
    folder, result = demo
    assert (result.returncode, result.stderr) == (0, "")
    for part in (
        "300 labelled rows",
        "SmallBertTextFilter",
        "TF-IDF and shape",
        "TF-IDF",
        "word-count rule",
        "95 % CI",
        "rows per second",
        "skbert-filter train labels.csv",
    ):
        assert part in result.stdout
    said = " ".join(result.stdout.split())
    assert "SmallBertTextFilter is right on " in said
    assert said.count(" that it gets right: ") == 3
    assert " the best baseline, " in said
    files = folder / "skbert-filter-demo"
    corpus, kept = (pd.read_csv(files / name, dtype=str) for name in ("corpus.csv", "kept.csv"))
    assert len(corpus) == 2000
    model = SmallBertTextFilter.from_pretrained(files / "model")
    expected = corpus[model.predict(corpus["text"]) == 1].reset_index(drop=True)
    pd.testing.assert_frame_equal(kept, expected)
    assert f"{len(kept):,}" in result.stdout


def test_output_in_a_pipe_is_plain_and_fits_80_columns(demo):
    _, result = demo
    assert "\x1b" not in result.stdout
    assert "\r" not in result.stdout
    assert "%|" not in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 82  # lines with a path stay whole


def test_train_on_own_labels_then_predict_from_parquet(tmp_path):
    X, y = make_website_snippets(200, random_state=1)
    frame = pd.DataFrame({"snippet": X, "useful": ["yes" if label else "no" for label in y]})
    frame.to_csv(tmp_path / "labels.csv.gz", index=False)
    frame[["snippet"]].to_parquet(tmp_path / "texts.parquet")

    trained = run(
        *("train", "labels.csv.gz", "--text", "snippet", "--label", "useful", "-o", "model"),
        "--no-refit",
        cwd=tmp_path,
        FORCE_COLOR="1",
    )
    assert trained.returncode == 0
    # The bar that a terminal shows.
    assert re.search(r"Learning from the training texts.* \d+ of \d+ steps", trained.stderr)

    arguments = ("predict", "model", "texts.parquet", "-o", "kept.csv", "--text", "snippet")
    predicted = run(*arguments, "--keep", "yes", cwd=tmp_path)
    assert (predicted.returncode, predicted.stderr) == (0, "")
    model = SmallBertTextFilter.from_pretrained(tmp_path / "model")
    expected = frame["snippet"][model.predict(frame["snippet"]) == "yes"].tolist()
    assert pd.read_csv(tmp_path / "kept.csv", keep_default_na=False)["snippet"].tolist() == expected
    assert "Cleaning" not in predicted.stdout
    assert f"{len(expected):,}" in predicted.stdout


def test_predict_shows_its_progress_in_a_terminal(demo, tmp_path):
    folder, _ = demo
    files = folder / "skbert-filter-demo"
    arguments = ("predict", files / "model", files / "corpus.csv", "-o", "kept.csv")
    result = run(*arguments, cwd=tmp_path, FORCE_COLOR="1")
    assert result.returncode == 0
    assert "Cleaning" in result.stderr
    assert "2,000 rows" in result.stderr


@pytest.fixture
def new_labels(demo, tmp_path):
    """New labels, of which some are in the labels that the demo learnt from."""
    known = pd.read_csv(demo[0] / "skbert-filter-demo" / "labels.csv").head(9)
    X, y = make_website_snippets(150, random_state=7)
    frame = pd.concat([pd.DataFrame({"text": X, "label": y}), known])
    frame = frame.set_axis(["snippet", "useful"], axis="columns")
    frame.to_csv(tmp_path / "new.csv", index=False)
    return tmp_path


def test_evaluate_shows_scores_confusions_and_errors(demo, new_labels):
    model = demo[0] / "skbert-filter-demo" / "model"
    arguments = ("evaluate", model, "new.csv", "--text", "snippet", "--label", "useful")
    result = run(*arguments, "--errors", 2, cwd=new_labels)
    assert (result.returncode, result.stderr) == (0, "")
    for part in ("distinct texts, each counted once", "SmallBertTextFilter", "AP", "predicted"):
        assert part in result.stdout
    assert "TF-IDF" not in result.stdout
    shown = result.stdout.split("The most confident of ")[1]
    assert len(re.findall(r"^ +[01]\.\d{3} ", shown, flags=re.M)) == 2
    assert max(map(len, result.stdout.splitlines())) <= 80


def test_evaluate_beside_the_training_labels_as_tables_and_as_json(demo, new_labels):
    files = demo[0] / "skbert-filter-demo"
    labels = pd.read_csv(files / "labels.csv").rename(
        columns={"text": "snippet", "label": "useful"}
    )
    labels.to_csv(new_labels / "train.csv", index=False)
    arguments = ("evaluate", files / "model", "new.csv", "--text", "snippet", "--label", "useful")
    arguments = (*arguments, "--train", "train.csv")
    tables, as_json = (run(*arguments, *more, cwd=new_labels) for more in ([], ["--json"]))
    assert (tables.returncode, tables.stderr) == (as_json.returncode, as_json.stderr) == (0, "")

    read = json.loads(as_json.stdout)
    assert [scores["name"] for scores in read["baselines"]] == [
        "TF-IDF and shape",
        "TF-IDF",
        "word-count rule",
    ]
    assert read["leakage"][0]["test_texts"] > 0
    said = " ".join(tables.stdout.split())
    for scores in (read, read["without_leaks"], *read["baselines"]):
        assert f"{scores['accuracy']:.3f}" in said
    for sentence in (read["verdict"], *(test["sentence"] for test in read["tests"])):
        assert sentence in said
    assert "among the training texts" in said


def test_a_filter_starts_from_an_encoder_that_unlabelled_texts_taught(demo, tmp_path):
    corpus = pd.read_csv(demo[0] / "skbert-filter-demo" / "corpus.csv").head(600)
    corpus[["text"]].to_parquet(tmp_path / "corpus.parquet")
    arguments = ("corpus.parquet", "-o", "encoder", "--hidden-size", 16, "--epochs", 1)
    pretrained = run("pretrain", *arguments, cwd=tmp_path)
    assert (pretrained.returncode, pretrained.stderr) == (0, "")
    assert "600" in pretrained.stdout
    assert f"{corpus['text'].nunique():,}" in pretrained.stdout
    assert "skbert-filter train labels.csv --checkpoint encoder -o model\n" in pretrained.stdout
    encoder = load_checkpoint(tmp_path / "encoder")
    assert encoder.architecture.hidden_size == 16

    X, y = make_website_snippets(100, random_state=1)
    pd.DataFrame({"text": X, "label": y}).to_csv(tmp_path / "labels.csv", index=False)
    arguments = ("labels.csv", "-o", "model", "--no-refit", "--checkpoint", "encoder")
    trained = run("train", *arguments, cwd=tmp_path)
    assert (trained.returncode, trained.stderr) == (0, "")
    tokenizers = [
        json.loads((tmp_path / folder / "tokenizer.json").read_text(encoding="utf-8"))
        for folder in ("encoder", "model")
    ]
    assert tokenizers[0]["model"]["vocab"] == tokenizers[1]["model"]["vocab"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            "evaluate missing labels.csv",
            "There is no model folder missing. Give a folder written by save_pretrained or by "
            "`skbert-filter train`.",
        ),
        ("train missing.csv -o model", "There is no file missing.csv. Check the path."),
        (
            "train labels.csv -o new --text txt",
            "labels.csv has no column 'txt'. Did you mean 'text'? Its columns are: text, label.",
        ),
        (
            "train labels.csv -o .",
            "The folder . holds files other than a saved filter. Name another folder.",
        ),
        (
            "pretrain labels.csv -o .",
            "The folder . holds files other than a saved encoder. Name another folder.",
        ),
        (
            "predict missing labels.csv -o kept.csv",
            "There is no model folder missing. Give a folder written by save_pretrained or by "
            "`skbert-filter train`.",
        ),
        (
            "predict [model] labels.csv -o labels.csv",
            "The destination labels.csv is the source. Name another file.",
        ),
        (
            "demo -o .",
            "The folder . holds files that no demo wrote. Name another folder.",
        ),
    ],
)
def test_what_a_user_can_mend_is_told_in_one_line(tmp_path, arguments, message):
    (tmp_path / "labels.csv").write_text("text,label\nView,0\n")
    result = run(*arguments.split(), cwd=tmp_path)
    assert (result.returncode, result.stderr) == (2, f"Error: {message}\n")
    assert [path.name for path in tmp_path.iterdir()] == ["labels.csv"]


def test_a_wrong_option_ends_with_code_2(tmp_path):
    result = run("train", "labels.csv", cwd=tmp_path)
    assert result.returncode == 2
    assert "--output" in result.stderr


def test_help_names_the_function_behind_each_command_and_imports_no_engine():
    code = (
        "import sys\n"
        "from typer.testing import CliRunner\n"
        "from skbert_filter.cli.app import app\n"
        "for command in ('demo', 'pretrain', 'train', 'evaluate', 'predict'):\n"
        "    print(CliRunner().invoke(app, [command, '--help']).output)\n"
        "heavy = {'tensorflow', 'keras', 'transformers', 'sklearn', 'pandas'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, encoding="utf-8", check=False
    )
    assert (result.returncode, result.stderr) == (0, "")
    for function in (
        "skbert_filter.labelling.demo.run_demo",
        "skbert_filter.pretrain_encoder",
        "skbert_filter.labelling.train.train_filter",
        "skbert_filter.labelling.evaluate.evaluate_filter",
        "skbert_filter.filter_corpus",
    ):
        assert function in result.stdout
