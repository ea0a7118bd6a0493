"""The online half: the real client of comet_ml against a server on this machine."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from comet_server import COMET_LEAVES_FILES_OPEN, KEY, QUIET, comet_ml, serving
from sklearn.pipeline import make_pipeline
from typer.testing import CliRunner

from skbert_filter import DedupPredictor, SmallBertTextFilter, filter_corpus
from skbert_filter.cli import app
from skbert_filter.inspection.baselines import tfidf_baseline
from skbert_filter.integrations.comet import (
    load_model,
    log_fit,
    register_model,
    start,
)
from skbert_filter.integrations.comet.registry import check_status, next_version

pytestmark = COMET_LEAVES_FILES_OPEN


@pytest.fixture(scope="module")
def models(tiny, snippets):
    """A filter, and a pipeline of a DedupPredictor over the like of it."""
    X, y = snippets
    filter_ = SmallBertTextFilter(**tiny).fit(X, y)
    pipeline = make_pipeline(DedupPredictor(SmallBertTextFilter(**tiny), key="casefold"))
    return filter_, pipeline.fit(X, y)


@pytest.fixture(scope="module")
def archive(models, tmp_path_factory):
    """An offline experiment in which both are registered, the filter in two versions."""
    folder = tmp_path_factory.mktemp("archive")
    experiment = start("texts", offline=True, offline_directory=folder, **QUIET)
    filter_, pipeline = models
    log_fit(experiment, pipeline)
    for version in ("1.9.0", "1.10.0"):
        register_model(experiment, filter_, "web-filter", version)
    registration = register_model(experiment, pipeline, "pipeline", "1.0.0", status="Development")
    assert registration.archived
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
    """The server, and an environment in which the client goes there and does not try again."""
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
    uris = ("registry://me/web-filter:1.9.0", "registry://me/pipeline:1.0.0")
    result = run(sys.executable, "-c", code, json.dumps(probes), *uris, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    loaded = list(map(json.loads, result.stdout.splitlines()))
    assert loaded == [model.predict_proba(probes).tolist() for model in models]


def test_a_registered_pickle_is_loaded_by_a_command_only_if_it_is_trusted(registry, models, probes):
    uri = "registry://me/pipeline:1.0.0"
    pd.DataFrame({"text": probes}).to_csv("texts.csv", index=False)
    with pytest.raises(ValueError, match=r"but a pickle, .* pass trust=True \(--trust\)"):
        load_model(uri, trust=False)
    command = ("predict", uri, "texts.csv", "-o", "k.csv", "--keep", "keep")
    refused = CliRunner().invoke(app, command)
    assert refused.exit_code == 2, refused.output
    assert "is no filter of this package but a pickle" in " ".join(refused.output.split())
    trusted = CliRunner().invoke(app, [*command, "--trust"])
    assert trusted.exit_code == 0, trusted.output


def test_without_a_version_the_highest_is_loaded(registry, models):
    loaded = load_model("registry://me/web-filter")
    assert loaded.fingerprint_ == models[0].fingerprint_


def test_a_registered_model_stands_wherever_a_folder_does(registry, models, snippets):
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
        ("account-details", 401, PermissionError, "refuses the API key of the environment var"),
        ("account-details", 500, ConnectionError, "Comet cannot be reached"),
        ("account-details", "slow", ConnectionError, "Comet cannot be reached .ReadTimeout"),
        ("registry-model/details", 400, FileNotFoundError, "has not the model 'web-filter' of the"),
        ("registry-model/details", 500, ConnectionError, "Comet did not give the model 'web-filt"),
        ("registry-model/details", "slow", ConnectionError, "Comet did not give .*ReadTimeout"),
        ("registry-model/compact-details", 401, PermissionError, "refuses the API key, asked for"),
        ("registry-model/item/download-instructions", 500, ConnectionError, "did not give version"),
        ("experiment/asset/get-asset", 500, ConnectionError, "did not give version 1.9.0 of the"),
        ("experiment/asset/get-asset", "cut", ConnectionError, "did not give version 1.9.0 of the"),
    ],
)
def test_failures_are_told_in_words_and_without_the_key(
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
        ("web-filter", ValueError, "'web-filter' is no model of a registry. Write registry:"),
        ("registry://me", ValueError, "is no model of a registry"),
        ("registry://me/web-filter:", ValueError, "is no model of a registry"),
        (
            "registry://me/web-filter:3.0.0",
            ValueError,
            "no version 3.0.0 of web-filter. There are: ",
        ),
        ("registry://me/web", FileNotFoundError, "has not the model 'web' of the workspace 'me'"),
        ("registry://us/web-filter", FileNotFoundError, "'web-filter' of the workspace 'us'"),
    ],
)
def test_a_wrong_name_is_told(registry, uri, error, message):
    with pytest.raises(error, match=message):
        load_model(uri)


def test_a_model_that_is_not_what_was_sent_is_refused(registry, monkeypatch):
    whole = registry.models["me", "web-filter"]["1.9.0"]
    other = {name: content for name, content in whole.items() if name != "tokenizer.json"}
    registry.models["me", "other"] = {
        "1.0.0": other,
        "2.0.0": {**whole, "model.safetensors": whole["model.safetensors"][:-1] + b"x"},
        "3.0.0": {"notes.txt": b"hello"},
        "4.0.0": {
            name: content[:-9] if name.endswith("joblib") else content
            for name, content in registry.models["me", "pipeline"]["1.0.0"].items()
        },
    }
    for version, message in [
        ("1.0.0", "is incomplete: tokenizer.json"),
        ("2.0.0", "is not the file that was saved: its hash differs"),
        ("3.0.0", "holds no model that .* Its files are: notes.txt"),
        ("4.0.0", "is damaged, or needs a package that is not installed here"),
    ]:
        with pytest.raises(ValueError, match=message):
            load_model(f"registry://me/other:{version}")


@pytest.mark.parametrize(
    ("name", "wanted", "expected"),
    [
        ("web-filter", "minor", "1.11.0"),
        ("web-filter", "major", "2.0.0"),
        ("web-filter", "patch", "1.10.1"),
        ("web-filter", "1.2.3", "1.2.3"),
        ("new", "minor", "1.0.0"),
    ],
)
def test_versions_are_counted_up_from_the_registry(registry, name, wanted, expected):
    assert next_version(None, name, wanted) == ("me", expected)


def test_a_version_or_status_that_the_registry_refuses_is_refused_first(registry):
    with pytest.raises(ValueError, match=r"has a version 1\.10\.0 of web-filter already"):
        next_version("me", "web-filter", "1.10.0")
    with pytest.raises(ValueError, match=r"status is 'Live'\. The workspace 'me' allows: None, D"):
        check_status("me", "Live")
    check_status("me", "Production")


def test_a_refused_key_is_told_before_training_and_not_printed(registry, monkeypatch, capfd):
    wrong = "zyxwvutsrq9876543210ZYXWV"
    monkeypatch.setenv("COMET_API_KEY", wrong)
    with pytest.raises(PermissionError, match="refuses the API key of the environment") as raised:
        start("texts")
    for shown in (str(raised.value), *capfd.readouterr()):
        assert wrong[:5] not in shown


@pytest.mark.parametrize("failure", [500, "slow"])
def test_without_a_network_the_experiment_is_an_offline_one(registry, failure, tmp_path):
    registry.failures["account-details"] = failure
    with pytest.warns(
        UserWarning, match="Comet cannot be reached .* written to an archive"
    ) as told:
        experiment = start("texts", offline_directory=tmp_path / "runs", **QUIET)
    assert len(told) == 1
    assert isinstance(experiment, comet_ml.OfflineExperiment)
    experiment.end()
    assert len(list((tmp_path / "runs").glob("*.zip"))) == 1


def test_comets_own_upload_replays_an_archive_with_its_registration(registry, archive, tmp_path):
    command = Path(sys.executable).with_name("comet")
    result = run(command, "upload", archive, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert registered_versions(registry) == ["1.9.0", "1.10.0", "1.0.0"]
    sent = "".join(path for path, _ in registry.posted)
    for name in ("model.safetensors", "tokenizer.json", "skbert_filter.json", "CometModel"):
        assert f"fileName={name}" in sent


def test_an_online_experiment_counts_the_version_up_and_waits_until_it_is_there(registry, snippets):
    experiment = start("texts", **QUIET)
    model = tfidf_baseline().fit(*snippets)
    registration = register_model(
        experiment, model, "tf-idf", status="Development", tags=["a"], timeout=20
    )
    again = register_model(experiment, model, "tf-idf", "major")
    with pytest.raises(ValueError, match=r"has a version 2\.0\.0 of tf-idf already"):
        register_model(experiment, model, "tf-idf", "2.0.0")
    experiment.end()
    assert (registration.uri, again.uri) == (
        "registry://me/tf-idf:1.0.0",
        "registry://me/tf-idf:2.0.0",
    )
    assert not registration.archived
    assert registered_versions(registry) == ["1.0.0", "2.0.0"]


def registered_versions(registry):
    return [
        json.loads(body)["version"]
        for path, body in registry.posted
        if path.endswith("write/registry-model/item/create")
    ]
