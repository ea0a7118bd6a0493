"""Offline experiments of the real comet_ml: what their archives hold."""

import json
import math
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pandas as pd
import pytest
from comet_server import COMET_LEAVES_FILES_OPEN, KEY, QUIET, assets, messages
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from typer.testing import CliRunner

from skbert_filter import SmallBertTextFilter
from skbert_filter.cli.app import app
from skbert_filter.datasets import make_website_snippets
from skbert_filter.inspection import evaluate
from skbert_filter.inspection.baselines import tfidf_baseline, tfidf_shape_baseline
from skbert_filter.integrations.comet import (
    log_evaluation,
    log_fit,
    log_model,
    register_model,
    start,
)
from skbert_filter.integrations.comet.connection import check_api_key

pytestmark = COMET_LEAVES_FILES_OPEN

# The same as QUIET, for subprocesses.
QUIET_ENVIRONMENT = {
    "COMET_AUTO_LOG_CODE": "0",
    "COMET_AUTO_LOG_GRAPH": "0",
    "COMET_AUTO_LOG_CLI_ARGUMENTS": "0",
    "COMET_AUTO_LOG_GIT_METADATA": "0",
    "COMET_AUTO_LOG_GIT_PATCH": "0",
    "COMET_AUTO_LOG_ENV_DETAILS": "0",
    "COMET_AUTO_LOG_OUTPUT_LOGGER": "false",
    "COMET_ERROR_TRACKING_ENABLE": "false",
}


@pytest.fixture(autouse=True)
def _no_settings(tmp_path, monkeypatch):
    """Isolate the tests from the machine's settings, and from each other's."""
    for name in [name for name in os.environ if name.startswith("COMET_")]:
        monkeypatch.delenv(name)
    # So that what `start` sets from a .env file is gone after the test.
    for name in ("COMET_API_KEY", "COMET_WORKSPACE"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)


def offline(folder, **config):
    return start("texts", offline=True, offline_directory=folder, **QUIET, **config)


def archive_of(experiment, folder):
    """End an experiment, and return its archive."""
    experiment.end()
    (archive,) = Path(folder).glob(f"{experiment.get_key()}*.zip")
    return archive


def metrics(archive):
    """Return the metrics as (name, value, step, epoch), in order."""
    found = []
    for kind, payload in messages(archive):
        if kind == "metric_msg":
            metric = payload["metric"]
            context = payload.get("context")
            name = f"{context}_{metric['metricName']}" if context else metric["metricName"]
            found.append((name, metric["metricValue"], metric["step"], metric["epoch"]))
    return [metric for metric in found if not metric[0].startswith("sys.")]


def parameters(archive):
    """Return the values of the parameters by name."""
    found = {}
    for kind, payload in messages(archive):
        if kind == "parameter_msg":
            param = payload.get("param") or payload["params"]
            found[param["paramName"]] = param["paramValue"]
    return found


def others(archive):
    return {p["key"]: p["value"] for kind, p in messages(archive) if kind == "log_other"}


@pytest.fixture(scope="module")
def logged(tiny, snippets, tmp_path_factory):
    """A filter fitted, scored and registered in one experiment: (filter, evaluation, archive)."""
    folder = tmp_path_factory.mktemp("comet")
    X, y = snippets
    X_train, y_train, X_test, y_test = X[::2], y[::2], X[1::2], y[1::2]
    experiment = offline(folder, name="one", tags=["a", "b"])
    model = SmallBertTextFilter(**tiny, early_stopping=False)
    model.fit(X_train, y_train)
    log_fit(experiment, model)
    evaluation = log_evaluation(
        experiment, model, X_test, y_test, X_train=X_train, y_train=y_train, n_errors=5
    )
    with pytest.warns(UserWarning, match="'My Filter' is registered as 'my-filter'"):
        uri = register_model(
            experiment, model, "My Filter", "1.2.0", tags=["t"], status="Production"
        )
    assert uri == "registry://WORKSPACE/my-filter:1.2.0"
    log_model(experiment, model, "My Filter")  # the same again: sent once
    with pytest.raises(ValueError, match="already holds another model named 'My Filter'"):
        log_model(experiment, tfidf_shape_baseline().fit(X, y), "My Filter")
    with pytest.raises(TypeError, match=r"a folder of JSON .* comet_ml\.integration\.sklearn"):
        log_model(experiment, tfidf_baseline().fit(X, y), "Pipeline")
    return model, evaluation, archive_of(experiment, folder)


def test_the_epochs_are_logged_once_with_steps_and_epochs(logged):
    model, _, archive = logged
    steps = math.ceil(model.training_record_["trained_on"] / model.batch_size)
    found = metrics(archive)
    for name, values in model.history_.items():
        assert [m[1:] for m in found if m[0] == name] == [
            (value, steps * epoch, epoch) for epoch, value in enumerate(values, start=1)
        ]


def test_parameters_and_origin_are_logged(logged):
    model, _, archive = logged
    found = parameters(archive)
    assert found.keys() >= model.get_params().keys()
    assert (found["epochs"], found["early_stopping"]) == (model.epochs, False)
    origin, record = others(archive), model.training_record_
    for name in ("rows", "distinct", "conflicts", "data_sha256", "best_epoch", "vocab_size"):
        assert origin[f"training/{name}"] == record[name]
    assert origin["training/seeds/split"] == record["seeds"]["split"]
    assert origin["training/balance/keep"] == record["balance"]["keep"]
    assert origin["training/versions/keras"] == record["versions"]["keras"]
    assert origin["fingerprint_"] == model.fingerprint_
    assert origin["classes"] == '["discard", "keep"]'
    assert origin["decision_threshold"] == 0.5


def test_the_experiment_has_its_name_and_tags(logged):
    archive = logged[2]
    assert others(archive)["Name"] == "one"
    with zipfile.ZipFile(archive) as files:
        meta = json.loads(files.read("experiment.json"))
    assert (meta["project_name"], sorted(meta["tags"])) == ("texts", ["a", "b"])


def test_the_evaluation_is_logged_with_baselines_and_tables(logged):
    _, evaluation, archive = logged
    found = {name: value for name, value, _, _ in metrics(archive)}
    for scores, suffix in [(evaluation, ""), *((b, f" [{b.name}]") for b in evaluation.baselines)]:
        for name in ("accuracy", "accuracy_low", "accuracy_high", "average_precision"):
            assert found[f"test_{name}{suffix}"] == getattr(scores, name)
    assert len(evaluation.baselines) == 3
    logged_others = others(archive)
    assert logged_others["test against word-count rule"] == str(evaluation.tests[2])
    assert logged_others["test leaks"].startswith("No test text is among the training texts")
    files = {name: content for _, name, _, content in assets(archive)}
    confusion = json.loads(files["test_confusion.json"])
    assert confusion["labels"] == ["discard", "keep"]
    assert confusion["matrix"] == evaluation.confusion.to_numpy().tolist()
    table = (tmp := archive.with_suffix(".csv"))
    tmp.write_bytes(files["test_scores.csv"])
    assert pd.read_csv(table)["name"].tolist() == evaluation.to_frame().index.tolist()
    tmp.write_bytes(files["test_errors.csv"])
    assert len(pd.read_csv(table)) == len(evaluation.errors) <= 5


def test_the_model_is_in_the_archive_complete_and_registered(logged, tmp_path, snippets):
    model, _, archive = logged
    folder = tmp_path / "model"
    folder.mkdir()
    for kind, name, group, content in assets(archive):
        if kind == "model-element":
            assert group == "My Filter"
            assert not (folder / name).exists()  # each file once
            (folder / name).write_bytes(content)
    loaded = SmallBertTextFilter.from_pretrained(folder)
    assert (loaded.predict_proba(snippets[0]) == model.predict_proba(snippets[0])).all()
    (registered,) = [p for kind, p in messages(archive) if kind == "register_model"]
    assert {name: registered[name] for name in ("registry_name", "version", "tags", "status")} == {
        "registry_name": "my-filter",
        "version": "1.2.0",
        "tags": ["t"],
        "status": "Production",
    }
    assert registered["model_name"] == "My Filter"


def test_a_history_that_no_callback_logged_is_logged_by_log_fit(binary, tmp_path):
    experiment = offline(tmp_path)
    log_fit(experiment, binary)
    log_fit(experiment, binary)  # a cell that is run twice
    archive = archive_of(experiment, tmp_path)
    found = [m for m in metrics(archive) if m[0] == "val_loss"]
    steps = math.ceil(binary.training_record_["trained_on"] / binary.batch_size)
    assert found == [
        ("val_loss", value, steps * epoch, epoch)
        for epoch, value in enumerate(binary.history_["val_loss"], start=1)
    ]


def test_a_search_over_a_pipeline_is_logged_with_its_best_and_its_table(tmp_path, snippets):
    experiment = offline(tmp_path)
    search = GridSearchCV(
        make_pipeline(TfidfVectorizer(ngram_range=(1, 1)), LogisticRegression()),
        {"logisticregression__C": [0.1, 1.0], "tfidfvectorizer__ngram_range": [(1, 1), (1, 2)]},
        cv=2,
    ).fit(*snippets)
    log_fit(experiment, search)
    archive = archive_of(experiment, tmp_path)
    found = parameters(archive)
    assert (found["estimator__logisticregression__C"], found["cv"]) == (1.0, 2)
    best = search.best_params_["logisticregression__C"]
    assert found["best__logisticregression__C"] == best
    assert {m[0]: m[1] for m in metrics(archive)}["best_score"] == search.best_score_
    (table,) = [content for _, name, _, content in assets(archive) if name == "cv_results.csv"]
    assert len(table.decode().splitlines()) == 5


def test_three_classes_and_a_classifier_without_probabilities_are_evaluated(
    ternary, three_kinds, tmp_path
):
    X, y = three_kinds
    experiment = offline(tmp_path)
    log_evaluation(experiment, ternary, X, y, prefix="bert")

    class Rule:
        def predict(self, texts):
            return [0 for _ in texts]

    log_evaluation(experiment, Rule(), X, y, prefix="rule")
    names = {name for _, name, _, _ in assets(archive_of(experiment, tmp_path))}
    assert {"bert_confusion.json", "bert_scores.csv", "rule_confusion.json"} <= names


def test_a_given_evaluation_is_logged_and_not_computed_again(snippets, tmp_path):
    model = tfidf_baseline().fit(*snippets)
    evaluation = evaluate(model, *snippets, name="given")
    experiment = offline(tmp_path)
    assert log_evaluation(experiment, model, *snippets, evaluation=evaluation) is evaluation
    (table,) = [
        content
        for _, name, _, content in assets(archive_of(experiment, tmp_path))
        if name == "test_scores.csv"
    ]
    assert table.decode().splitlines()[1].startswith("given,")


def test_an_experiment_that_has_ended_takes_nothing_and_says_so(binary, tmp_path):
    experiment = offline(tmp_path)
    experiment.end()
    with pytest.warns(UserWarning, match="the fit is not logged"):
        log_fit(experiment, binary)
    with pytest.raises(ValueError, match="no model can be sent to it"):
        log_model(experiment, binary)


def test_an_error_inside_comet_gives_one_warning_and_stops_nothing(
    binary, snippets, tmp_path, monkeypatch
):
    experiment = offline(tmp_path)

    def full(*_, **__):
        raise OSError("no space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(experiment, "_enqueue_message", full)
        with pytest.warns(UserWarning, match=r"Comet failed to log the fit, and") as warned:
            log_fit(experiment, binary)
        with pytest.warns(UserWarning, match=r"to log the evaluation, .*: OSError: no s"):
            assert log_evaluation(experiment, binary, *snippets).n_rows == len(snippets[0])
    assert len(warned) == 1
    experiment.end()


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({}, ValueError, "Offline, the registry cannot be read to find the next version"),
        ({"version": "1.0"}, ValueError, "version is '1.0'. Pass three numbers"),
        ({"version": 2}, ValueError, "version is 2. Pass three numbers"),
        ({"version": "1.0.0", "tags": "x"}, TypeError, "tags must be a list of str, .* got 'x'"),
        ({"version": "1.0.0", "tags": [1]}, TypeError, r"tags must be .* got \[1\]"),
        ({"version": "1.0.0", "name": "--"}, ValueError, "name is '--'. Pass one with letters"),
        ({"version": "1.0.0", "name": None}, TypeError, "name must be a str; got NoneType"),
        ({"version": "1.0.0", "estimator": tfidf_baseline()}, ValueError, "not fitted yet"),
        ({"version": "1.0.0", "experiment": "e"}, TypeError, "such as start.. returns; got str"),
    ],
)
def test_wrong_arguments_of_a_registration_raise_and_send_nothing(
    open_experiment, binary, arguments, error, message
):
    given = {"experiment": open_experiment, "estimator": binary, "name": "a", **arguments}
    before = open_experiment.streamer.messages.qsize()
    with pytest.raises(error, match=message):
        register_model(**given)
    assert open_experiment.streamer.messages.qsize() == before


@pytest.fixture(scope="module")
def open_experiment(tmp_path_factory):
    experiment = offline(tmp_path_factory.mktemp("open"))
    yield experiment
    experiment.end()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", r"There is no COMET_API_KEY in .*\.env\. Write a line COMET_API_KEY=\.\.\. into it"),
        ("COMET_API_KEY: abc\n", r"There is no COMET_API_KEY in "),
        ("COMET_API_KEY=\n", r"There is no COMET_API_KEY in "),
        ("COMET_API_KEY='se cret'\n", r"has 7 characters, and should be 25 letters and digits"),
        ("COMET_API_KEY=<secret>\n", r"has 8 characters, and should be 25 letters and digits"),
        ("COMET_API_KEY=secret\n", r"has 6 characters, and should be 25 letters and digits"),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_a_missing_or_malformed_key_is_found_and_never_shown(tmp_path, content, message, capfd):
    drive = tmp_path / "drive"
    drive.mkdir()
    (drive / ".env").write_text(content)
    with pytest.raises(ValueError, match=message) as raised:
        start("texts", env_file=drive)
    assert str(drive / ".env") in str(raised.value)
    for shown in (str(raised.value), *capfd.readouterr()):
        assert not re.search("se ?cret", shown)


def test_keys_are_found_where_they_are_kept(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="Looked for COMET_API_KEY in the environment"):
        check_api_key()
    (tmp_path / ".comet.config").write_text(f"[comet]\napi_key={KEY}\n")
    assert check_api_key() == str(tmp_path / ".comet.config")
    monkeypatch.setenv("COMET_API_KEY", KEY[::-1])
    assert check_api_key() == "the environment variable COMET_API_KEY"
    monkeypatch.delenv("COMET_API_KEY")
    # as an editor of Windows saves it, in a folder above the working directory
    text = f"\ufeffCOMET_API_KEY={KEY} \r\nCOMET_WORKSPACE=us\r\nOTHER=1\r\n"
    (tmp_path / ".env").write_text(text, encoding="utf-8")
    (tmp_path / "below").mkdir()
    monkeypatch.chdir(tmp_path / "below")
    assert check_api_key() == str(tmp_path / ".env")
    assert os.environ["COMET_WORKSPACE"] == "us"
    assert "OTHER" not in os.environ
    with pytest.raises(FileNotFoundError, match=r"There is no \.env file at .*nowhere"):
        check_api_key(tmp_path / "nowhere")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_an_env_file_is_read_as_other_tools_write_it(tmp_path, encoding):
    lines = (
        f'export COMET_API_KEY = "{KEY}"  # mine',
        "word",
        "'two words'",
        'PEM="-----BEGIN',
        "x y=z",
        '-----END"',
        "1x=\\",
        "NAME=Zoë ${HOME}",
        "COMET_WORKSPACE=us # ours",
    )
    (tmp_path / ".env").write_text("\n".join(lines), encoding=encoding)
    # comet_ml reads the file too, when it is imported and whenever it wants a setting.
    code = (
        "from skbert_filter.integrations.comet.connection import check_api_key, start\n"
        "print(check_api_key())\n"
        "start('texts', offline=True).end()\n"
        "import comet_ml\n"
        "print(comet_ml.get_config('comet.api_key'), comet_ml.get_config('comet.workspace'))\n"
    )
    result = run([sys.executable, "-c", code], tmp_path)
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines() == [str(tmp_path / ".env"), f"{KEY} us"]


GUARDED = """
import atexit, random, socket, sys

random.random = lambda: 0.9  # by chance, Comet reports its errors to a third party
seen = []
def refuse(*address, **_):
    seen.append(address)
    raise OSError("no network here")

for owner, names in (
    (socket.socket, ("connect", "connect_ex", "sendto")),
    (socket, ("getaddrinfo", "gethostbyname", "gethostbyname_ex", "create_connection")),
):
    for name in names:
        setattr(owner, name, refuse)
atexit.register(lambda: print("looked up:", seen, file=sys.stderr))
"""


def test_offline_nothing_is_looked_up_in_a_network(tmp_path):
    work = (
        "from skbert_filter.datasets import make_website_snippets\n"
        "from skbert_filter.inspection import tfidf_shape_baseline\n"
        "from skbert_filter.integrations.comet import (\n"
        "    log_evaluation, log_fit, register_model, start)\n"
        "texts, labels = make_website_snippets(60, random_state=0)\n"
        "model = tfidf_shape_baseline().fit(texts, labels)\n"
        "experiment = start('texts', offline=True)\n"
        "log_fit(experiment, model)\n"
        "log_evaluation(experiment, model, texts, labels)\n"
        "register_model(experiment, model, 'web', '1.0.0')\n"
        "experiment.end()\n"
    )
    left_out = ("COMET_ERROR_TRACKING_ENABLE", "COMET_AUTO_LOG_ENV_DETAILS")
    code = GUARDED + work
    result = run([sys.executable, "-c", code], tmp_path, **dict.fromkeys(left_out))
    assert result.returncode == 0, result.stderr
    assert result.stderr.splitlines()[-1] == "looked up: []"
    assert len(list(tmp_path.glob(".cometml-runs/*.zip"))) == 1


def run(code_or_command, cwd, **environment):
    fresh = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("TF_", "COMET_", "OMP_"))
    }
    fresh |= {**QUIET_ENVIRONMENT, "COLUMNS": "80", "HOME": str(cwd), **environment}
    return subprocess.run(
        code_or_command,
        cwd=cwd,
        env={name: value for name, value in fresh.items() if value is not None},
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=300,
        check=False,
    )


LOGGING = """
import sys
from skbert_filter import SmallBertTextFilter
from skbert_filter.integrations.comet import log_fit, start

if __name__ == "__main__":
    X = [f"We build {what} for {whom}." for what in "pumps gears cables drills".split()
         for whom in "farms ships homes".split()]
    X += [f"{verb} {what}" for verb in "View Read Skip Open".split() for what in
          "menu more all".split()]
    y = [1] * 12 + [0] * 12
    filter = SmallBertTextFilter(
        hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=2, epochs=2,
        vocab_size=100, early_stopping=False, random_state=0)
    for work in WORK:
        experiment = start(
            offline=True, offline_directory=".", auto_metric_logging=True, auto_param_logging=True)
        log_fit(experiment, work(experiment))
        experiment.end()
"""
# Comet's own callback logs, and log_fit sees it
PLAIN = "lambda experiment: filter.fit(X, y)"
CALLED_BACK = 'lambda experiment: filter.fit(X, y, callbacks=[experiment.get_callback("tf-keras")])'


@pytest.mark.parametrize(
    ("imports", "work"),
    [("import comet_ml", f"({PLAIN},)"), ("import keras", f"({CALLED_BACK},)")],
    ids=["comet first", "keras first"],
)
def test_nothing_is_logged_twice_whatever_was_imported_first(tmp_path, imports, work):
    script = tmp_path / "script.py"
    script.write_text(f"{imports}\n{LOGGING.replace('WORK', work)}")
    result = run([sys.executable, str(script)], tmp_path, OMP_NUM_THREADS="1")
    assert result.returncode == 0, result.stderr
    archives = list(tmp_path.glob("*.zip"))
    assert len(archives) == work.count("lambda")
    for archive in archives:
        assert len([name for name, *_ in metrics(archive) if name == "loss"]) == 2


def test_without_comet_ml_all_else_works_and_the_error_names_the_extra(tmp_path):
    code = (
        "import sys\n"
        "sys.modules['comet_ml'] = None\n"
        "from skbert_filter import integrations\n"
        "from skbert_filter.integrations import comet\n"
        "comet.load_model, comet.log_fit, comet.register_model\n"
        "assert not {'keras', 'tensorflow', 'dotenv'} & set(sys.modules)\n"
        "try:\n"
        "    comet.start(offline=True)\n"
        "except ModuleNotFoundError as error:\n"
        "    print(error)\n"
    )
    result = run([sys.executable, "-c", code], tmp_path)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == (
        "This needs comet_ml, which is not installed. Run: pip install comet_ml python-dotenv\n"
    )


def test_the_package_never_imports_comet_by_itself(tmp_path):
    code = (
        "import sys, skbert_filter, skbert_filter.cli.app, skbert_filter.corpus\n"
        "import skbert_filter.labelling.train\n"
        "from skbert_filter import SmallBertTextFilter, filter_corpus\n"
        "assert not {'comet_ml', 'skbert_filter.integrations'} & set(sys.modules)\n"
    )
    result = run([sys.executable, "-c", code], tmp_path)
    assert (result.returncode, result.stderr) == (0, "")


def invoke(*arguments):
    return CliRunner().invoke(app, list(map(str, arguments)))


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """What `train --comet --offline` has left in a folder."""
    folder = tmp_path_factory.mktemp("train")
    X, y = make_website_snippets(120, random_state=1)
    pd.DataFrame({"text": X, "label": y}).to_csv(folder / "labels.csv", index=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        # What is learnt does not matter here: a few steps will do.
        patch.setattr("skbert_filter.bert.auto_settings._STEPS_PER_CLASS", 1)
        for name, value in QUIET_ENVIRONMENT.items():
            patch.setenv(name, value)
        result = invoke(
            *("train", "labels.csv", "-o", "model", "--comet", "texts/first", "--offline")
        )
    return folder, result


def test_the_command_trains_and_logs_offline(trained):
    folder, result = trained
    assert result.exit_code == 0, result.output
    (archive,) = (folder / ".cometml-runs").glob("*.zip")
    assert others(archive)["Name"] == "first"
    names = {name for name, *_ in metrics(archive)}
    assert {"loss", "test_accuracy", "test_accuracy [word-count rule]", "refit_loss"} <= names
    model = SmallBertTextFilter.from_pretrained(folder / "model")
    files = {name: content for kind, name, _, content in assets(archive) if kind == "model-element"}
    assert files["model.safetensors"] == (folder / "model" / "model.safetensors").read_bytes()
    logged_others = others(archive)
    assert (
        logged_others["refit_fingerprint_"] == model.fingerprint_ != logged_others["fingerprint_"]
    )
    # those of the baselines are not
    assert "C" not in parameters(archive)


def test_the_command_registers_a_folder_offline(trained, tmp_path, monkeypatch):
    for name, value in {**QUIET_ENVIRONMENT, "COMET_OFFLINE_DIRECTORY": "registered"}.items():
        monkeypatch.setenv(name, value)
    options = ("--version", "2.0.0", "--tag", "a", "--offline")
    result = invoke("register", trained[0] / "model", "web-filter", *options)
    assert result.exit_code == 0, result.output
    assert result.stdout == "After `comet upload` it is registry://WORKSPACE/web-filter:2.0.0\n"
    (archive,) = Path("registered").glob("*.zip")
    (registered,) = [p for kind, p in messages(archive) if kind == "register_model"]
    assert (registered["version"], registered["tags"]) == ("2.0.0", ["a"])


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (
            "train labels.csv -o new --comet texts",
            r"Error: There is no Comet API key\. Looked for COMET_API_KEY in .*--offline",
        ),
        ("train labels.csv -o new --offline", r"Error: --offline and --env-file are for --comet"),
        ("register model web-filter --offline", r"Error: Offline, the registry cannot be read"),
        ("register missing web-filter --offline", r"Error: 'missing' is not a folder written by"),
        ("predict registry://me labels.csv -o kept.csv", r"Error: 'registry://me' does not name a"),
    ],
)
def test_what_a_user_can_fix_is_reported_in_one_line(trained, monkeypatch, command, message):
    monkeypatch.chdir(trained[0])
    result = invoke(*command.split())
    assert (result.exit_code, result.stdout) == (2, "")
    assert len(result.stderr.splitlines()) == 1
    assert re.match(message, result.stderr)
    assert not Path("new").exists()
