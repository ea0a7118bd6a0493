"""The online half: the real client of comet_ml against a server on this machine."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from comet_server import COMET_LEAVES_FILES_OPEN, KEY, QUIET, comet_ml, serving
from typer.testing import CliRunner

from skbert_filter import SmallBertTextFilter, filter_corpus
from skbert_filter.cli.app import app
from skbert_filter.inspection.baselines import tfidf_shape_baseline
from skbert_filter.integrations.comet import (
    load_model,
    log_fit,
    register_model,
    start,
)
from skbert_filter.integrations.comet.connection import check_api_key
from skbert_filter.integrations.comet.registry import next_version
from skbert_filter.saved_models import mean_of

pytestmark = COMET_LEAVES_FILES_OPEN


@pytest.fixture(scope="module")
def models(tiny, snippets):
    """A filter, and the mean of one and TF-IDF, which is saved as nested folders."""
    X, y = snippets
    filter_ = SmallBertTextFilter(**tiny).fit(X, y)
    return filter_, mean_of(SmallBertTextFilter(**tiny), tfidf_shape_baseline()).fit(X, y)


@pytest.fixture(scope="module")
def archive(models, tmp_path_factory):
    """An offline experiment in which both are registered, the filter in two versions."""
    folder = tmp_path_factory.mktemp("archive")
    experiment = start("texts", offline=True, offline_directory=folder, **QUIET)
    filter_, mean = models
    log_fit(experiment, mean)
    for version in ("1.9.0", "1.10.0"):
        register_model(experiment, filter_, "web-filter", version)
    register_model(experiment, mean, "mean", "1.0.0", status="Development")
    experiment.end()
    (found,) = folder.glob("*.zip")
    return found


@pytest.fixture(scope="module")
def server(archive):
    with serving() as server:
        server.take(archive)
        yield server


@pytest.fixture
def registry(server, tmp_path, monkeypatch):
    """The server, and an environment that sends the client there, without retries."""
    for name in [name for name in os.environ if name.startswith("COMET_")]:
        monkeypatch.delenv(name)
    settings = {
        "COMET_API_KEY": KEY,
        "COMET_URL_OVERRIDE": server.url,
        "COMET_HTTP_SESSION_RETRY_TOTAL": "0",
        "COMET_TIMEOUT_API": "1",
        "COMET_ERROR_TRACKING_ENABLE": "false",
        "HOME": str(tmp_path),
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    server.failures.clear()
    server.posted.clear()
    return server


def run(*command, cwd):
    return subprocess.run(
        command, cwd=cwd, capture_output=True, text=True, encoding="utf-8", timeout=300, check=False
    )


def test_one_line_loads_a_registered_model_in_another_process(registry, models, probes, tmp_path):
    code = (
        "import json, sys\n"
        "from skbert_filter.integrations.comet import load_model\n"
        "for uri in sys.argv[2:]:\n"
        "    model = load_model(uri)\n"
        "    print(json.dumps(model.predict_proba(json.loads(sys.argv[1])).tolist()))\n"
    )
    uris = ("registry://me/web-filter:1.9.0", "registry://me/mean:1.0.0")
    result = run(sys.executable, "-c", code, json.dumps(probes), *uris, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    loaded = list(map(json.loads, result.stdout.splitlines()))
    assert loaded == [model.predict_proba(probes).tolist() for model in models]


def test_without_a_version_the_highest_is_loaded(registry, models):
    loaded = load_model("registry://me/web-filter")
    assert loaded.fingerprint_ == models[0].fingerprint_


def test_a_registered_model_can_be_used_wherever_a_folder_can(registry, models, snippets):
    X, y = snippets
    pd.DataFrame({"text": X, "label": y}).to_csv("texts.csv", index=False)
    uri = "registry://me/web-filter:1.10.0"
    summary = filter_corpus(uri, "texts.csv", "kept.csv", keep="keep")
    assert summary.kept == (models[0].predict(X) == "keep").sum()
    command = ("predict", uri, "texts.csv", "-o", "k.csv", "--keep", "keep")
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    assert Path("k.csv").read_bytes() == Path("kept.csv").read_bytes()


@pytest.mark.parametrize(
    ("failing", "failure", "error", "message"),
    [
        (
            "account-details",
            401,
            PermissionError,
            r"asked for your account \(key: the env",
        ),
        ("account-details", 500, ConnectionError, "Comet cannot be reached for your account"),
        (
            "account-details",
            "slow",
            ConnectionError,
            "be reached for your account .*ReadTimeout",
        ),
        (
            "registry-model/details",
            400,
            FileNotFoundError,
            "not have the model 'web-filter' of",
        ),
        ("registry-model/details", 500, ConnectionError, "be reached for the model 'web-filt"),
        (
            "registry-model/details",
            "slow",
            ConnectionError,
            "reached for the model .*ReadTimeout",
        ),
        (
            "registry-model/compact-details",
            401,
            PermissionError,
            "refuses the API key when asked for",
        ),
        (
            "registry-model/item/download-instructions",
            500,
            ConnectionError,
            "reached for version",
        ),
        ("experiment/asset/get-asset", 500, ConnectionError, "reached for version 1.9.0 of"),
        (
            "experiment/asset/get-asset",
            "cut",
            ConnectionError,
            "reached for version 1.9.0 of",
        ),
    ],
)
def test_failures_are_reported_in_words_and_without_the_key(
    registry, failing, failure, error, message, capfd
):
    registry.failures[failing] = failure
    with pytest.raises(error, match=message) as raised:
        load_model("registry://me/web-filter:1.9.0")
    for shown in (str(raised.value), *capfd.readouterr()):
        assert KEY[:5] not in shown


@pytest.mark.parametrize(
    ("uri", "error", "message"),
    [
        (
            "web-filter",
            ValueError,
            "'web-filter' does not name a registered model. Write",
        ),
        ("registry://me", ValueError, "does not name a registered model"),
        ("registry://me/web-filter:", ValueError, "does not name a registered model"),
        (
            "registry://me/web-filter:3.0.0",
            ValueError,
            "no version 3.0.0 of web-filter. There are: ",
        ),
        (
            "registry://me/web",
            FileNotFoundError,
            "not have the model 'web' of the workspace 'me'",
        ),
        ("registry://us/web-filter", FileNotFoundError, "'web-filter' of the workspace 'us'"),
    ],
)
def test_a_wrong_name_is_reported(registry, uri, error, message):
    with pytest.raises(error, match=message):
        load_model(uri)


def test_a_model_that_is_not_what_was_sent_is_refused(registry, monkeypatch):
    whole = registry.models["me", "web-filter"]["1.9.0"]
    other = {name: content for name, content in whole.items() if name != "tokenizer.json"}
    registry.models["me", "other"] = {
        "1.0.0": other,
        "2.0.0": {**whole, "model.safetensors": whole["model.safetensors"][:-1] + b"x"},
        "3.0.0": {"notes.txt": b"hello"},
    }
    for version, message in [
        ("1.0.0", "is incomplete: tokenizer.json"),
        ("2.0.0", "is not the file that was saved: its hash differs"),
        ("3.0.0", "does not hold a filter of this package. Its files are: notes.txt"),
    ]:
        with pytest.raises(ValueError, match=message):
            load_model(f"registry://me/other:{version}")


@pytest.mark.parametrize(
    ("known", "wanted", "expected"),
    [
        (["1.9.0", "1.10.0"], None, "1.11.0"),
        (["1.10.3", "1.9.0"], None, "1.11.0"),
        (["1.9.0", "1.10.0"], "1.2.3", "1.2.3"),
        ([], None, "1.0.0"),
    ],
)
def test_versions_are_counted_up_from_the_highest(known, wanted, expected):
    assert next_version(known, wanted) == expected


def test_a_refused_key_is_reported_before_training_and_not_printed(registry, monkeypatch, capfd):
    wrong = "zyxwvutsrq9876543210ZYXWV"
    monkeypatch.setenv("COMET_API_KEY", wrong)
    with pytest.raises(PermissionError, match=r"asked for your account \(key: the env") as raised:
        start("texts")
    for shown in (str(raised.value), *capfd.readouterr()):
        assert wrong[:5] not in shown


@pytest.fixture
def other_server():
    with serving() as server:
        yield server


OTHER_KEY = KEY[::-1]


@pytest.mark.parametrize("where", ["environment", "home"])
@pytest.mark.parametrize(
    ("name", "content"),
    [
        (".env", "export COMET_URL_OVERRIDE={url}\n"),
        ("../.env", "COMET_URL_OVERRIDE='{url}'\n"),
        (".comet.config", "[comet]\nurl_override={url}\n"),
        (".env", "COMET_CONFIG={folder}/server.ini\n"),
        (".env", "COMET_INTERNAL_CHECK_TLS_CERTIFICATE=0\nCOMET_WORKSPACE=us\n"),
    ],
)
def test_a_file_of_the_folder_does_not_get_the_key_of_the_user(
    registry, other_server, tmp_path, monkeypatch, where, name, content
):
    monkeypatch.delenv("COMET_URL_OVERRIDE")
    if where == "home":
        monkeypatch.delenv("COMET_API_KEY")
        (tmp_path / ".comet.config").write_text(f"[comet]\napi_key={KEY}\n")
    folder = tmp_path / "project" / "crawl"
    folder.mkdir(parents=True)
    (folder / "server.ini").write_text(f"[comet]\nurl_override={other_server.url}\n")
    (folder / name).write_text(content.format(url=other_server.url, folder=folder))
    monkeypatch.chdir(folder)
    for call in (check_api_key, start, lambda: load_model("registry://me/web-filter")):
        with pytest.raises(ValueError, match=r"decides where your API key is sent, but the key is"):
            call()
    start("texts", offline=True, offline_directory=tmp_path / "runs", **QUIET).end()
    with pytest.raises(ValueError, match="decides where"):  # also after what offline has loaded
        check_api_key()
    assert other_server.asked == []


def test_a_file_with_a_server_and_a_key_gets_its_own_key(
    registry, other_server, tmp_path, monkeypatch
):
    monkeypatch.delenv("COMET_URL_OVERRIDE")
    both = f"COMET_URL_OVERRIDE={other_server.url}\nCOMET_API_KEY={OTHER_KEY}\n"
    (tmp_path / ".env").write_text(both)
    # The key of the environment would win over that of the file.
    with pytest.raises(ValueError, match=r"\.env sets COMET_URL_OVERRIDE"):
        check_api_key()
    monkeypatch.delenv("COMET_API_KEY")
    with pytest.raises(PermissionError, match=r"your account \(key: .*\.env\)"):
        start("texts")
    assert {key for _, key in other_server.asked} == {OTHER_KEY}


def test_the_user_may_say_where_the_key_is_sent(registry, tmp_path, monkeypatch):
    (tmp_path / ".env").write_text("COMET_URL_OVERRIDE=http://localhost:1/\n")
    assert check_api_key() == "the environment variable COMET_API_KEY"
    assert load_model("registry://me/web-filter").classes_.tolist() == ["discard", "keep"]

    # A file that is named by the user counts with its own key, whatever the folder says.
    drive = tmp_path / "drive"
    drive.mkdir()
    (drive / ".env").write_text(f"COMET_API_KEY={KEY}\n")
    monkeypatch.delenv("COMET_URL_OVERRIDE")
    with pytest.raises(ValueError, match="decides where"):
        check_api_key(drive)
    with (drive / ".env").open("a") as file:
        file.write(f"COMET_URL_OVERRIDE={registry.url}\n")
    assert check_api_key(drive) == str(drive / ".env")


@pytest.mark.parametrize("failure", [500, "slow"])
def test_without_a_network_the_experiment_is_an_offline_one(registry, failure, tmp_path):
    registry.failures["account-details"] = failure
    with pytest.warns(
        UserWarning, match="Comet cannot be reached .* written to an archive"
    ) as warned:
        experiment = start("texts", offline_directory=tmp_path / "runs", **QUIET)
    assert len(warned) == 1
    assert isinstance(experiment, comet_ml.OfflineExperiment)
    experiment.end()
    assert len(list((tmp_path / "runs").glob("*.zip"))) == 1


def test_comets_own_upload_replays_an_archive_with_its_registration(registry, archive, tmp_path):
    command = Path(sys.executable).with_name("comet")
    result = run(command, "upload", archive, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert registered_versions(registry) == ["1.9.0", "1.10.0", "1.0.0"]
    sent = "".join(path for path, _ in registry.posted)
    for name in ("model.safetensors", "tokenizer.json", "skbert_filter.json", "tfidf.safetensors"):
        assert name in sent


def test_an_online_experiment_counts_the_version_up_and_waits_until_it_is_there(registry, snippets):
    experiment = start("texts", **QUIET)
    model = tfidf_shape_baseline().fit(*snippets)
    first = register_model(experiment, model, "tf-idf", status="Development", tags=["a"])
    again = register_model(experiment, model, "tf-idf", "2.0.0", description="TF-IDF")
    with pytest.raises(ValueError, match=r"already has a version 2\.0\.0"):
        register_model(experiment, model, "tf-idf", "2.0.0")
    with pytest.raises(ValueError, match=r"status is 'Live'\. The workspace 'me' allows: None, D"):
        register_model(experiment, model, "tf-idf", status="Live")
    experiment.end()
    assert (first, again) == (
        "registry://me/tf-idf:1.0.0",
        "registry://me/tf-idf:2.0.0",
    )
    assert registered_versions(registry) == ["1.0.0", "2.0.0"]


def registered_versions(registry):
    return [
        json.loads(body)["version"]
        for path, body in registry.posted
        if path.endswith("write/registry-model/item/create")
    ]
