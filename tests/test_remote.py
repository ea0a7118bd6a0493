"""Corpora in buckets: the same bytes as on a disk, complete or without their marker, resumable."""

import json
import os
import re
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import fsspec
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from skbert_filter import filter_corpus
from skbert_filter.cli.app import app
from skbert_filter.inspection.baselines import WordCountRule
from skbert_filter.io.remote import as_path
from skbert_filter.labelling.files import list_suspects
from skbert_filter.labelling.label_table import read_labels


class Rule(WordCountRule):
    """Records its calls, and raises an error at one of them."""

    def __init__(self, stop_at=None):
        self.stop_at, self.calls = stop_at, []

    fingerprint_ = "v1"

    def predict(self, X):
        if len(self.calls) == self.stop_at:
            raise KeyboardInterrupt
        self.calls.append(list(X))
        return super().predict(X)


def fitted(**arguments):
    return Rule(**arguments).fit(["View All", "We make steel tools"], [0, 1])


def texts():
    rng = np.random.default_rng(0)
    return [" ".join(["w"] * (n % 9) + [str(n)]) for n in rng.integers(0, 300, 400).tolist()]


def make_corpus(folder):
    """Write a folder of four shards in three formats, and files that every reader skips."""
    (folder / "deep" / "_temporary").mkdir(parents=True)
    X = texts()
    pd.DataFrame({"text": X[:150], "n": range(150)}).to_csv(folder / "a.csv.gz", index=False)
    pq.write_table(pa.table({"text": X[150:250]}), folder / "b.parquet")
    for name, part in (("c", X[250:330]), ("d", X[330:])):
        lines = "".join(json.dumps({"text": text}) + "\n" for text in part)
        path = folder / "deep" / f"{name}.jsonl.zst"
        with pa.output_stream(str(path), compression="zstd") as stream:
            stream.write(lines.encode())
    for name in ("_SUCCESS", "deep/_temporary/e.csv", ".hidden.csv"):
        (folder / name).touch()
    return folder


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """Return the folder of unfinished jobs; set small batches, and an empty bucket in memory."""
    monkeypatch.setattr("skbert_filter.duplicates.distinct._CHUNK_TEXTS", 7)
    monkeypatch.setattr("skbert_filter.corpus.rows._GROUP_ROWS", 50)
    monkeypatch.setattr("skbert_filter.io.reading._BATCH_ROWS", 50)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(fsspec.filesystem("memory"), "store", {})
    monkeypatch.setattr(fsspec.filesystem("memory"), "pseudo_dirs", [""])
    return tmp_path / "cache" / "skbert_filter"


@pytest.fixture
def bucket(tmp_path, cache):
    """Return a bucket with a corpus, and the files that a job on a local disk makes of it."""
    make_corpus(tmp_path / "in")
    memory = fsspec.filesystem("memory")
    memory.put(str(tmp_path / "in"), "/b/in", recursive=True)
    filter_corpus(fitted(), tmp_path / "in", tmp_path / "out")
    expected = {
        path.relative_to(tmp_path / "out").as_posix(): path.read_bytes()
        for path in (tmp_path / "out").rglob("*.*")
    }
    return memory, expected


def contents(fs, folder):
    return {name.removeprefix(f"{folder}/"): fs.cat(name) for name in fs.find(folder)}


def test_a_folder_of_shards_is_as_on_a_disk_with_a_marker(bucket, cache, tmp_path):
    memory, expected = bucket
    summary = filter_corpus(fitted(), "memory://b/in", "memory://b/out")
    found = contents(memory, "/b/out")
    sizes = {name: len(data) for name, data in expected.items()}
    assert json.loads(found.pop("_SUCCESS")) == {"files": sizes}
    assert found == expected
    assert sorted(expected) == ["a.csv.gz", "b.parquet", "deep/c.jsonl.zst", "deep/d.jsonl.zst"]
    assert (summary.source, summary.destination) == ("memory://b/in", "memory://b/out")
    assert not list(cache.iterdir())

    # The output can be read as a corpus.
    assert filter_corpus(fitted(), "memory://b/out", tmp_path / "again").discarded == 0


@pytest.mark.parametrize("name", ["a.csv.gz", "b.parquet", "deep/c.jsonl.zst"])
def test_a_file_is_as_on_a_disk(bucket, name, tmp_path):
    memory, expected = bucket
    end = name.partition(".")[2]
    places = [f"memory://b/one.{end}", f"file://{tmp_path}/one.{end}", Path(f"memory://b/2.{end}")]
    for place in places:
        filter_corpus(fitted(), f"memory://b/in/{name}", place)
        assert as_path(place).exists()
    assert memory.cat(f"/b/one.{end}") == expected[name]
    assert memory.cat(f"/b/2.{end}") == expected[name]
    assert (tmp_path / f"one.{end}").read_bytes() == expected[name]


@pytest.mark.parametrize("stop", [1, 25, 32, "upload"])
def test_an_interrupted_job_resumes_and_uploads_no_shard_twice(
    bucket, cache, tmp_path, monkeypatch, stop
):
    memory, expected = bucket
    uploads = []
    opened = memory._open

    def open_noted(path, mode="rb", **options):
        if mode == "wb":
            uploads.append(path.removeprefix("/b/out/"))
            if stop == "upload" and uploads == ["a.csv.gz", "b.parquet"]:
                raise ConnectionError("the network is gone")
        return opened(path, mode=mode, **options)

    monkeypatch.setattr(memory, "_open", open_noted)
    model = fitted(stop_at=None if stop == "upload" else stop)
    with pytest.raises((KeyboardInterrupt, OSError)) as error:
        filter_corpus(model, "memory://b/in", "memory://b/out")
    assert not list(tmp_path.glob("skbert_filter-*"))
    (folder,) = cache.iterdir()
    assert error.value.__notes__ == [
        f"What was computed is kept in {folder}: the same command resumes from there."
    ]
    assert not memory.exists("/b/out/_SUCCESS")
    done = [name for name in expected if memory.exists(f"/b/out/{name}")]
    assert len(done) == {1: 0, 25: 1, 32: 2, "upload": 1}[stop]

    again = fitted()
    summary = filter_corpus(again, "memory://b/in", "memory://b/out")
    assert summary.recovered == sum(map(len, model.calls)) > 0
    found = contents(memory, "/b/out")
    assert found.pop("_SUCCESS")
    assert found == expected
    assert sorted(uploads) == sorted(
        [*expected, "_SUCCESS", *(["b.parquet"] if stop == "upload" else [])]
    )
    assert not list(cache.iterdir())


def test_an_incomplete_file_does_not_appear(bucket, monkeypatch):
    memory, _ = bucket

    def fail(*_):
        raise ConnectionError("the network is gone")

    monkeypatch.setattr("shutil.copyfileobj", fail)
    with pytest.raises(OSError, match=r"memory://b/one.csv.gz cannot be written: ConnectionError"):
        filter_corpus(fitted(), "memory://b/in/a.csv.gz", "memory://b/one.csv.gz")
    assert not memory.exists("/b/one.csv.gz")
    monkeypatch.undo()


def test_nothing_is_replaced_without_overwrite(bucket):
    memory, expected = bucket
    memory.pipe("/b/out/a.csv.gz", b"of somebody else")
    memory.pipe("/b/one.csv", b"of somebody else")
    before = contents(memory, "/b")
    refused = [
        ("memory://b/in", "memory://b/out", FileExistsError, "out holds files. Name another"),
        ("memory://b/in/a.csv.gz", "memory://b/one.csv", FileExistsError, "one.csv exists."),
        ("memory://b/in", "memory://b/in", ValueError, "is the source"),
        ("memory://b/in", "memory://b/in/deeper", ValueError, "lies in the source"),
        ("memory://b/in", "memory://b", ValueError, "holds the source"),
        ("memory://b/in", "memory://b/out.csv.gz", ValueError, r"such as memory://b/out\."),
        ("memory://b/in", "memory://b/one.csv", FileExistsError, "is a file, but the source is"),
        ("memory://b/no", "memory://b/x", FileNotFoundError, "no file memory://b/no"),
    ]
    for source, destination, error, message in refused:
        with pytest.raises(error, match=message):
            filter_corpus(fitted(), source, destination)
    with pytest.raises(ValueError, match="filter_dataframe"):
        filter_corpus(fitted(), "memory://b/in", "memory://b/new", engine="dask")
    with pytest.raises(ValueError, match="must be a file on this machine"):
        filter_corpus(fitted(), "memory://b/in", "memory://b/new", store="memory://b/store.sqlite")
    assert contents(memory, "/b") == before

    memory.pipe("/b/out/other.csv", b"of somebody else")
    with pytest.raises(FileExistsError, match=r"other\.csv, which this job would not write again"):
        filter_corpus(fitted(), "memory://b/in", "memory://b/out", overwrite=True)
    memory.rm("/b/out/other.csv")
    filter_corpus(fitted(), "memory://b/in", "memory://b/out", overwrite=True)
    assert expected.items() < contents(memory, "/b/out").items()


def test_a_folder_has_no_marker_while_it_is_replaced(bucket):
    memory, expected = bucket
    filter_corpus(fitted(), "memory://b/in", "memory://b/out")
    memory.pipe("/b/out/a.csv.gz", b"old")
    with pytest.raises(KeyboardInterrupt):
        filter_corpus(fitted(stop_at=25), "memory://b/in", "memory://b/out", overwrite=True)
    assert not memory.exists("/b/out/_SUCCESS")
    filter_corpus(fitted(), "memory://b/in", "memory://b/out", overwrite=True)
    assert expected.items() < contents(memory, "/b/out").items()
    assert memory.exists("/b/out/_SUCCESS")


@pytest.mark.parametrize(
    ("url", "shown", "secret"),
    [
        ("ftp://me:hush/hush@localhost:1/x.csv", "ftp://localhost:1/x.csv", "hush"),
        ("webhdfs://me:hush@localhost:1/x.csv", "webhdfs://localhost:1/x.csv", "hush"),
        ("http://localhost:1/x.csv?signature=hush", "http://localhost:1/x.csv", "hush"),
        ("http://localhost:1/me@here.csv", "http://localhost:1/me@here.csv", None),
    ],
)
def test_secrets_are_in_no_message(tmp_path, cache, url, shown, secret):
    with pytest.raises(OSError, match=rf"{re.escape(shown)}( cannot be|\. Check)") as error:
        filter_corpus(fitted(), url, tmp_path / "out.csv")
    seen = "".join(map(str, [error.value, error.value.__cause__, *cache.parent.rglob("*")]))
    assert secret is None or secret not in seen


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "gcsfs", None)
    with pytest.raises(ImportError, match=r"gs://b/x\.csv needs a package\. Run: pip install gc"):
        filter_corpus(fitted(), "gs://b/x.csv", "kept.csv")


@pytest.mark.parametrize("name", ["labels.csv", "labels.jsonl", "labels.xlsx", "labels.parquet"])
def test_labels_may_be_in_buckets_too(tmp_path, bucket, snippets, name):
    memory, _ = bucket
    table = pd.DataFrame(dict(zip(("text", "label"), snippets, strict=True)))
    if name.endswith("xlsx"):
        pytest.importorskip("openpyxl")
        table.to_excel(tmp_path / name, index=False)
    elif name.endswith("jsonl"):
        table.to_json(tmp_path / name, lines=True, orient="records")
    else:
        write = table.to_csv if name.endswith("csv") else table.to_parquet
        write(tmp_path / name, index=False)
    memory.put(str(tmp_path / name), f"/b/{name}")
    X, y = read_labels(Path(f"memory://b/{name}"))
    assert (X, y.tolist()) == snippets

    if name == "labels.csv":
        list_suspects(f"memory://b/{name}", "memory://b/suspects.csv", n=5)
        assert memory.cat("/b/suspects.csv").count(b"\n") == 6


def test_the_command_takes_urls(tmp_path, bucket, binary):
    memory, _ = bucket
    binary.save_pretrained(tmp_path / "model")
    words = f"predict {tmp_path}/model memory://b/in/b.parquet -o memory://b/kept.csv"
    app([*words.split(), "--audit", "memory://b/audit.csv"], standalone_mode=False)
    assert memory.cat("/b/kept.csv").startswith(b'"text"\n')
    assert len(memory.cat("/b/audit.csv").splitlines()) > 50


KILLED = """
import os, signal, sys
from skbert_filter import filter_corpus
from skbert_filter.corpus import rows
from skbert_filter.duplicates import distinct
from skbert_filter.inspection.baselines import WordCountRule
from skbert_filter.io import reading

distinct._CHUNK_TEXTS = 7
rows._GROUP_ROWS = reading._BATCH_ROWS = 50
os.environ["KILL_AT"], source, destination = sys.argv[1:]


class Rule(WordCountRule):
    def predict(self, X):
        Rule.calls += 1
        if Rule.calls == int(os.environ["KILL_AT"]):
            os.kill(os.getpid(), signal.SIGKILL)
        return super().predict(X)

    fingerprint_ = "v1"


Rule.calls = 0
model = Rule().fit(["View All", "We make steel tools"], [0, 1])
print(filter_corpus(model, source, destination).recovered)
"""


@pytest.fixture
def s3(monkeypatch):
    """Return a bucket on an S3 server that runs on this machine."""
    pytest.importorskip("s3fs")
    server = pytest.importorskip("moto.server", exc_type=ImportError)
    running = server.ThreadedMotoServer("127.0.0.1", 0)
    running.start()
    try:
        host, port = running.get_host_and_port()
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        fs = fsspec.filesystem("s3", skip_instance_cache=True)
        fs.mkdir("bucket")
        yield fs
    finally:
        running.stop()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.skipif(sys.platform == "win32", reason="has no SIGKILL")
def test_a_killed_job_on_s3_resumes_in_another_process(tmp_path, bucket, cache, s3):
    _, expected = bucket
    s3.put(str(tmp_path / "in"), "bucket/in", recursive=True)

    def run(kill_at):
        command = [sys.executable, "-c", textwrap.dedent(KILLED), str(kill_at)]
        command += ["s3://bucket/in", "s3://bucket/out"]
        done = subprocess.run(command, capture_output=True, text=True, env=os.environ)
        s3.invalidate_cache()
        return done.returncode, done.stdout, done.stderr

    assert run(26) == (-signal.SIGKILL, "", "")
    assert [name for name in expected if s3.exists(f"bucket/out/{name}")] == ["a.csv.gz"]
    assert not s3.exists("bucket/out/_SUCCESS")
    first = s3.info("bucket/out/a.csv.gz")["LastModified"]

    whole = fitted()
    filter_corpus(whole, tmp_path / "in", tmp_path / "whole")
    assert run(0) == (0, f"{sum(map(len, whole.calls[:25]))}\n", "")
    assert s3.info("bucket/out/a.csv.gz")["LastModified"] == first
    found = contents(s3, "bucket/out")
    assert json.loads(found.pop("_SUCCESS"))["files"].keys() == expected.keys()
    assert found == expected
    assert not list(cache.iterdir())
    with pytest.raises(FileExistsError, match="s3://bucket/out holds files"):
        filter_corpus(fitted(), "s3://bucket/in", "s3://bucket/out")
    with pytest.raises(OSError, match=r"s3://nobucket/out cannot be read: FileNotFoundError"):
        filter_corpus(fitted(), "s3://bucket/in", "s3://nobucket/out")


def test_files_of_dropped_documents_are_not_uploaded(tmp_path, cache):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "kept.txt").write_text("We make steel tools for ships\n")
    (tmp_path / "in" / "gone.txt").write_text("View\nMenu\n")
    options = {"drop_documents": 0.5}
    filter_corpus(fitted(), tmp_path / "in", "memory://b/out", **options)
    assert as_path("memory://b/out").files().keys() == {"kept.txt", "_SUCCESS"}
    # a folder in a bucket is replaced file by file: the files of dropped documents would stay
    with pytest.raises(ValueError, match="Delete it first, and omit overwrite"):
        filter_corpus(fitted(), tmp_path / "in", "memory://b/out", **options, overwrite=True)
