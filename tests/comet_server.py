"""Comet for tests: quiet, and with a server for the parts of its REST API that they use.

It serves what real offline archives contain, and fails where a test tells it to. Tests that import
this are skipped if comet_ml is not installed.
"""

import json
import os
import threading
import time
import warnings
import zipfile
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlparse

import pytest

# Comet reports its errors to a server of its own, in one of two processes.
os.environ.setdefault("COMET_ERROR_TRACKING_ENABLE", "false")
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    comet_ml = pytest.importorskip("comet_ml", reason="comet_ml is not installed")

# They are closed by the garbage collector.
COMET_LEAVES_FILES_OPEN = pytest.mark.filterwarnings(
    "ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)

QUIET = {
    "log_code": False,
    "log_graph": False,
    "parse_args": False,
    "log_git_metadata": False,
    "log_git_patch": False,
    "log_env_details": False,
    "auto_output_logging": False,
    "display_summary_level": 0,
}
KEY = "abcdefghij0123456789ABCDE"
WORKSPACE = "me"


def messages(archive):
    """Return the messages in an offline archive, as (type, payload)."""
    with zipfile.ZipFile(archive) as files:
        lines = files.read("messages.json").decode().splitlines()
    return [(each["type"], each["payload"]) for each in map(json.loads, lines)]


def assets(archive):
    """Return the files in an archive, as (type, name, group, content)."""
    found = []
    with zipfile.ZipFile(archive) as files:
        for kind, payload in messages(archive):
            if kind == "file_upload":
                about = payload["additional_params"]
                name = about.get("fileName") or about.get("figName")
                content = files.read(payload["file_path"])
                found.append((payload["upload_type"], name, about.get("groupingName"), content))
    return found


class CometServer(ThreadingHTTPServer):
    """The registry: workspace and name -> version -> file name -> content."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_port}/clientlib/"
        self.models = {}
        self.failures = {}
        self.posted = []
        self.asked = []

    def take(self, archive):
        """Put the models that an archive registers into the registry."""
        for kind, payload in messages(archive):
            if kind == "register_model":
                files = {
                    name: content
                    for _, name, group, content in assets(archive)
                    if group == payload["model_name"]
                }
                versions = self.models.setdefault((WORKSPACE, payload["registry_name"]), {})
                versions[payload["version"]] = files


class _Handler(BaseHTTPRequestHandler):
    server: CometServer

    def log_message(self, *arguments):
        pass

    def do_GET(self):
        url = urlparse(self.path)
        asked = {name: values[0] for name, values in parse_qs(url.query).items()}
        endpoint = url.path.removeprefix("/api/rest/v2/")
        self.server.asked.append((endpoint, self.headers["Authorization"]))
        failure = self.server.failures.get(endpoint)
        if failure == "slow":
            time.sleep(3)
        if isinstance(failure, int):
            self._answer({"msg": "on purpose"}, failure)
        elif endpoint.endswith(("isAlive/ver", "health/ping")):
            self._answer({"version": "4.30.0"})
        elif self.headers["Authorization"] != KEY:
            self._answer({"msg": "no such key"}, 401)
        elif endpoint == "account-details":
            self._answer({"userName": WORKSPACE, "defaultWorkspaceName": WORKSPACE})
        elif endpoint == "experiment/metadata":
            self._answer({"workspaceName": WORKSPACE})
        elif endpoint == "registry-model":
            names = [name for workspace, name in self.server.models if workspace == WORKSPACE]
            self._answer({"registryModels": [{"modelName": name} for name in names]})
        elif endpoint == "registry-model/allowed_status_values":
            self._answer({"allowedStatus": ["None", "Development", "Production"]})
        elif endpoint == "experiment/asset/get-asset":
            self._send_asset(asked["assetId"], cut=failure == "cut")
        elif (asked.get("workspaceName"), asked.get("modelName")) not in self.server.models:
            self._answer({"msg": "no such model"}, 400)
        else:
            self._answer(self._of_model(endpoint, asked))

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.posted.append((self.path, body))
        if self.path.endswith("write/registry-model/item/create"):
            asked = json.loads(body)
            model = self.server.models.setdefault((WORKSPACE, asked["registryModelName"]), {})
            model.setdefault(asked["version"], {})
        self._answer(
            {
                "runId": "run",
                "project_id": "project",
                "registryModelItemId": "item",
                "is_alive_beat_duration_millis": 1000,
                "gpu_monitor_interval_millis": 1000,
            }
        )

    do_PUT = do_POST  # noqa: N815

    def _of_model(self, endpoint, asked):
        versions = self.server.models[asked["workspaceName"], asked["modelName"]]
        if endpoint == "registry-model/details":
            return {"versions": [{"version": version} for version in versions]}
        if endpoint == "registry-model/compact-details":
            return {"registryModelId": "id"}
        assert endpoint == "registry-model/item/download-instructions"
        assets = [
            {
                "fileName": name,
                "assetId": "|".join(
                    (asked["workspaceName"], asked["modelName"], asked["version"], name)
                ),
                "link": f"{self.server.url}asset?experimentKey=k",
                "fileSize": len(content),
                "type": "model-element",
                "metadata": None,
                "remote": False,
            }
            for name, content in versions[asked["version"]].items()
        ]
        return {"versions": [{"assets": assets}]}

    def _send_asset(self, asset_id, *, cut):
        workspace, model, version, name = asset_id.split("|")
        content = self.server.models[workspace, model][version][name]
        self._send(
            content, "application/octet-stream", content[: len(content) // 2] if cut else None
        )

    def _answer(self, value, status=200):
        self._send(json.dumps(value).encode(), "application/json", status=status)

    def _send(self, content, kind, sent=None, status=200):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        with suppress(OSError):  # a client that waits no longer
            self.wfile.write(content if sent is None else sent)


@contextmanager
def serving():
    """Run a server for a block."""
    with CometServer() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
