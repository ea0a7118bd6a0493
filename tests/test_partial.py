"""Interrupted jobs: what they leave, what is computed again, and what is refused."""

import signal
import subprocess
import sys
import textwrap

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from skbert_filter import filter_corpus
from skbert_filter.inspection.baselines import WordCountRule

PROSE = "We repair pumps for ships"


class Stopping(WordCountRule):
    """Records its calls, and raises an error at one of them."""

    def __init__(self, name="v1"):
        self.name = name
        self.calls, self.error = [], {}

    @property
    def fingerprint_(self):
        return self.name

    def predict_proba(self, X):
        if len(self.calls) in self.error:
            raise self.error.pop(len(self.calls))
        self.calls.append(list(X))
        # As with a real model, the last bits depend on the batch.
        return super().predict_proba(X) * np.nextafter(1, 2 - len(X) % 2)

    def predict(self, X):
        return self.classes_[self.predict_proba(X).argmax(axis=1)]


@pytest.fixture(autouse=True)
def _small_steps(monkeypatch):
    monkeypatch.setattr("skbert_filter.duplicates.distinct._CHUNK_TEXTS", 7)
    monkeypatch.setattr("skbert_filter.corpus.rows._GROUP_ROWS", 50)
    monkeypatch.setattr("skbert_filter.io.reading._BATCH_ROWS", 50)


def fitted(name="v1"):
    return Stopping(name).fit(["View All", "We make steel tools"], [0, 1])


def words(n_rows=400):
    rng = np.random.default_rng(0)
    return [" ".join(["w"] * (n % 9) + [str(n)]) for n in rng.integers(0, 120, n_rows).tolist()]


def make_parquet(folder):
    pq.write_table(pa.table({"text": words(), "n": range(400)}), folder / "in.parquet")
    options = {"columns": ("label", "probability"), "audit": folder / "audit.parquet"}
    return folder / "in.parquet", folder / "out.parquet", options | {"threshold": 0.4}


def make_lines(folder):
    (folder / "in" / "deep").mkdir(parents=True)
    for i, place in enumerate(["a.txt", "b.txt", "deep/c.txt", "deep/d.txt"]):
        (folder / "in" / place).write_text("\n".join(words()[i * 100 : i * 100 + 100]) + "\n")
    return folder / "in", folder / "out", {"threshold": 0.5}


def make_csv(folder):
    pd.DataFrame({"text": words()}).to_csv(folder / "in.csv", index=False)
    return folder / "in.csv", folder / "out.csv.gz", {}


def contents(path):
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    return {file.relative_to(path): file.read_bytes() for file in files if file.is_file()}


@pytest.mark.parametrize("make", [make_parquet, make_lines, make_csv])
@pytest.mark.parametrize("at", [1, 9])
def test_an_interrupted_job_resumes_and_writes_the_same_bytes(tmp_path, make, at):
    source, destination, options = make(tmp_path)
    whole = tmp_path / f"whole{''.join(destination.suffixes)}"
    uninterrupted = fitted()
    filter_corpus(uninterrupted, source, whole, **options | {"overwrite": True})
    audit = options.get("audit")
    expected_audit = audit and audit.read_bytes()
    if audit:
        audit.unlink()

    model = fitted()
    model.error = {at: KeyboardInterrupt()}
    with pytest.raises(KeyboardInterrupt) as error:
        filter_corpus(model, source, destination, **options)
    assert error.value.__notes__ == [
        f"What was computed is kept in {destination}.partial: the same command resumes from there."
    ]
    assert not destination.exists()
    assert not (audit and audit.exists())
    again = fitted()
    summary = filter_corpus(again, source, destination, **options)

    assert model.calls + again.calls == uninterrupted.calls
    assert summary.recovered == sum(map(len, model.calls)) > 0
    assert contents(destination) == contents(whole)
    assert (audit and audit.read_bytes()) == expected_audit
    assert not list(tmp_path.glob("*.partial"))


def test_nothing_is_left_of_a_job_that_computed_nothing(tmp_path):
    source, destination, _ = make_csv(tmp_path)
    model = fitted()
    model.error = {0: MemoryError("no room")}
    with pytest.raises(MemoryError) as error:
        filter_corpus(model, source, destination)
    assert not hasattr(error.value, "__notes__")
    assert [path.name for path in tmp_path.iterdir()] == ["in.csv"]


@pytest.mark.skipif(sys.platform == "win32", reason="temporary files have names")
def test_a_kill_leaves_no_file_with_the_texts_of_an_audit(tmp_path):
    seen = set()

    class Looking(Stopping):
        def predict_proba(self, X):
            seen.update(path for path in tmp_path.rglob("*") if path.is_file())
            return super().predict_proba(X)

    source, destination, options = make_parquet(tmp_path)
    filter_corpus(
        Looking().fit(["View All", "We make steel tools"], [0, 1]), source, destination, **options
    )
    known = ("in.parquet", "manifest.json", "lock", "scores.sqlite", "output")
    assert {path.name for path in seen if not path.name.startswith(known)} == set()


@pytest.fixture
def interrupted(tmp_path):
    """Return a job that was interrupted in its third chunk."""
    source, destination, _ = make_csv(tmp_path)
    model = fitted()
    model.error = {2: RuntimeError("the notebook died")}
    with pytest.raises(RuntimeError):
        filter_corpus(model, source, destination)
    return source, destination


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"threshold": 0.7}, "another job that was interrupted: its threshold was None, not 0.7"),
        ({"keep": 0}, "its keep was 1, not 0"),
        ({"name": "v2"}, "its model differed"),
        ({"row": "more\n"}, "its sources differed"),
    ],
)
def test_another_job_is_refused_unless_it_may_overwrite(interrupted, change, message):
    source, destination = interrupted
    model = fitted(change.pop("name", "v1"))
    if "row" in change:
        source.write_text(source.read_text() + change.pop("row"))
    with pytest.raises(FileExistsError, match=message) as error:
        filter_corpus(model, source, destination, **change)
    assert "delete" in str(error.value)
    assert "overwrite=True (--overwrite)" in str(error.value)
    assert model.calls == []

    summary = filter_corpus(model, source, destination, **change, overwrite=True)
    # What the same model has computed is not computed again.
    assert summary.recovered == (0 if change or model.name == "v2" else 14)
    assert summary.rows == len(source.read_text().splitlines()) - 1
    assert not destination.with_name("out.csv.gz.partial").exists()


def test_another_delimiter_is_another_job(interrupted):
    source, destination = interrupted
    with pytest.raises(FileExistsError, match="its delimiter was None, not ';'"):
        filter_corpus(fitted(), source, destination, delimiter=";")
    summary = filter_corpus(fitted(), source, destination, delimiter=";", overwrite=True)
    assert summary.recovered == 14


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_other_things_in_the_place_of_the_partial_folder_are_left_alone(tmp_path, kind):
    source, destination, _ = make_csv(tmp_path)
    partial = tmp_path / "out.csv.gz.partial"
    precious = partial
    if kind == "folder":
        partial.mkdir()
        precious = partial / "thesis.txt"
    precious.write_text("precious")
    with pytest.raises(FileExistsError, match="holds something else"):
        filter_corpus(fitted(), source, destination, overwrite=True)
    assert precious.read_text() == "precious"


def test_a_model_without_a_fingerprint_computes_everything_again(tmp_path):
    source, destination, _ = make_csv(tmp_path)
    for attempt in range(2):
        model = fitted()
        model.name = None
        model.stream = (row for row in ())  # nothing that can be hashed
        model.error = {2: RuntimeError("again")} if attempt == 0 else {}
        if attempt == 0:
            with pytest.raises(RuntimeError):
                filter_corpus(model, source, destination)
    with pytest.raises(FileExistsError, match="its model differed"):
        filter_corpus(model, source, destination)
    assert filter_corpus(model, source, destination, overwrite=True).recovered == 0


SCRIPT = """
import os, resource, signal, sys, time
from skbert_filter import filter_corpus
from skbert_filter.duplicates import distinct
from skbert_filter.corpus import rows
from skbert_filter.inspection.baselines import WordCountRule
from skbert_filter.io import reading

distinct._CHUNK_TEXTS = 7
rows._GROUP_ROWS = reading._BATCH_ROWS = 50
os.environ["WHAT"], source, destination = sys.argv[1:]


class Rule(WordCountRule):
    def predict(self, X):
        Rule.calls += 1
        if os.environ["WHAT"] == "kill" and Rule.calls == 4:
            os.kill(os.getpid(), signal.SIGKILL)
        if os.environ["WHAT"] == "wait" and Rule.calls == 4:
            print("waiting", flush=True)
            time.sleep(600)
        return super().predict(X)

    fingerprint_ = "v1"


Rule.calls = 0
model = Rule().fit(["View All", "We make steel tools"], [0, 1])
if os.environ["WHAT"] == "full":
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
try:
    summary = filter_corpus(model, source, destination)
except OSError as error:
    sys.exit(f"{type(error).__name__} {error} {getattr(error, '__notes__', '')}")
print(summary.recovered)
"""


@pytest.fixture(scope="module")
def script(tmp_path_factory):
    path = tmp_path_factory.mktemp("script") / "job.py"
    path.write_text(textwrap.dedent(SCRIPT))
    return path


def start(script, *arguments):
    return subprocess.Popen(
        [sys.executable, script, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.skipif(sys.platform == "win32", reason="has no SIGKILL")
@pytest.mark.parametrize("make", [make_parquet, make_lines, make_csv])
def test_a_killed_job_resumes_in_another_process(tmp_path, script, make):
    source, destination, _ = make(tmp_path)
    killed = start(script, "kill", source, destination)
    assert killed.communicate() == ("", "")
    assert killed.returncode == -signal.SIGKILL
    assert not destination.exists()
    assert destination.with_name(f"{destination.name}.partial").is_dir()

    whole = tmp_path / f"whole{''.join(destination.suffixes)}"
    uninterrupted = fitted()
    filter_corpus(uninterrupted, source, whole)
    finished = start(script, "finish", source, destination)
    # The chunks of the calls that returned before the kill.
    n_recovered = sum(map(len, uninterrupted.calls[:3]))
    assert finished.communicate() == (f"{n_recovered}\n", "")
    assert contents(destination) == contents(whole)
    assert not list(tmp_path.glob("*.partial"))


KILLED_AT_ITS_END = """
import os, shutil, signal, sys
from pathlib import Path
from skbert_filter import filter_corpus
from skbert_filter.inspection.baselines import WordCountRule

source, folder = Path(sys.argv[1]), Path(sys.argv[2])
rule = WordCountRule().fit(["View All", "We make steel tools"], [0, 1])


def run(job):
    "Run a job in its own process; return the exit code."
    if child := os.fork():
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    job()
    os._exit(0)


def killed_at(step):
    "Let the system kill this process at a step after the output was complete."
    steps = iter(range(1000))
    is_complete = False

    def watch(event, arguments):
        nonlocal is_complete
        if event == "os.rename" and str(arguments[1]).endswith("finished.json"):
            is_complete = True
        if is_complete and event in ("os.rename", "os.link", "os.remove", "os.rmdir"):
            if next(steps) == step:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(watch)


for step in range(100):
    place = folder / str(step)
    place.mkdir()
    output = place / "out"

    def kill(**options):
        killed_at(step)
        filter_corpus(rule, source, output, audit=place / "audit.csv", **options)

    def again(**options):
        filter_corpus(rule, source, output, audit=place / "audit.csv", **options)

    if (code := run(kill)) == 0:
        break
    assert code == -signal.SIGKILL
    # output under the final name is complete, and another job may follow once it is moved away
    if output.exists():
        output.rename(place / "moved")
        (place / "audit.csv").rename(place / "moved.csv")
        assert run(lambda: again(threshold=0.7)) == 0, step
    else:
        assert run(again) == 0, step
    assert run(lambda: kill(overwrite=True)) in (-signal.SIGKILL, 0)
    # neither the old output nor the new one is lost, and the same command ends well
    assert output.exists() or list(place.glob("out.partial/replaced")), step
    assert run(lambda: again(overwrite=True)) == 0, step
    assert {path.name for path in place.iterdir()} <= {"out", "audit.csv", "moved", "moved.csv"}
print(step)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="has no SIGKILL")
@pytest.mark.parametrize("make", [make_lines, make_parquet])
def test_a_job_killed_at_its_very_end_blocks_no_other(tmp_path, make):
    source, _, _ = make(tmp_path)
    (tmp_path / "killed").mkdir()
    script = tmp_path / "script.py"
    script.write_text(KILLED_AT_ITS_END.replace('"out"', repr(f"out{source.suffix}")))
    done = start(script, source, tmp_path / "killed")
    steps, errors = done.communicate()
    assert errors == ""
    assert int(steps) > 5


@pytest.mark.parametrize("left", [[], ["lock"], ["lock", "manifest.new"]])
def test_the_leftovers_of_a_job_killed_at_its_start_block_no_other(tmp_path, left):
    source, destination, _ = make_csv(tmp_path)
    partial = tmp_path / "out.csv.gz.partial"
    partial.mkdir()
    for name in left:
        (partial / name).touch()
    filter_corpus(fitted(), source, destination)
    assert not partial.exists()


@pytest.mark.skipif(sys.platform == "win32", reason="has no SIGKILL")
def test_a_job_locks_others_out_for_as_long_as_it_lives(tmp_path, script):
    source, destination, _ = make_csv(tmp_path)
    living = start(script, "wait", source, destination)
    try:
        assert living.stdout.readline() == "waiting\n"
        with pytest.raises(BlockingIOError, match=r"Another job is writing .*out\.csv\.gz"):
            filter_corpus(fitted(), source, destination, overwrite=True)
    finally:
        living.kill()
        living.communicate()
    filter_corpus(fitted(), source, destination, overwrite=True)
    assert destination.exists()


@pytest.mark.skipif(sys.platform == "win32", reason="has no limit on files")
def test_a_full_disk_is_an_error_and_results_are_kept(tmp_path, script):
    texts = [f"{PROSE} {i % 40} {'x' * 500}" for i in range(2000)]
    pd.DataFrame({"text": texts}).to_csv(tmp_path / "in.csv", index=False)
    full = start(script, "full", tmp_path / "in.csv", tmp_path / "out.csv")
    _, errors = full.communicate()
    assert full.returncode == 1
    assert f"There is no room to write {tmp_path / 'out.csv'}" in errors
    assert "the same command resumes from there" in errors
    assert not (tmp_path / "out.csv").exists()
    finished = start(script, "finish", tmp_path / "in.csv", tmp_path / "out.csv")
    assert finished.communicate() == ("40\n", "")
    assert len(pd.read_csv(tmp_path / "out.csv")) == 2000
