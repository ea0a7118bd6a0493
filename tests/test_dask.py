"""filter_dataframe on real partitions and real worker processes, and Dask as joblib's backend."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from threading import Thread
from uuid import uuid4

import dask
import dask.dataframe as dd
import joblib
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from distributed import Client, LocalCluster
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV, StratifiedShuffleSplit

from skbert_filter import DedupPredictor, SmallBertTextFilter, filter_corpus
from skbert_filter.inspection import tfidf_baseline, tfidf_shape_baseline
from skbert_filter.integrations.dask import filter_dataframe
from skbert_filter.saved_models import save_classifier

both_ways = pytest.mark.parametrize("shuffle", [False, True], ids=["remembered", "shuffled"])


class Logged(ClassifierMixin, BaseEstimator):
    """Keeps texts that begin with "We", and notes where it was sent and what it computed."""

    def __init__(self, folder, classes=(0, 1)):
        self.folder = folder
        self.classes = classes

    def fit(self, X=None, y=None):
        self.classes_ = np.array(self.classes)
        return self

    def __setstate__(self, state):
        self.__dict__.update(state)
        Path(self.folder, f"sent-{os.getpid()}-{uuid4()}").touch()

    def predict(self, X):
        log = Path(self.folder, f"computed-{os.getpid()}-{uuid4()}")
        log.write_bytes("\0".join(X).encode("utf-8", "surrogatepass"))
        return self.classes_[self.predict_proba(X).argmax(axis=1)]

    def predict_proba(self, X):
        kept = np.array([0.8 if text.startswith("We") else 0.1 for text in X])
        return np.column_stack([1 - kept, kept])


class Waiting(Logged):
    """Waits for permission to predict, so that a test can kill it first."""

    def predict(self, X):
        Path(self.folder, f"waiting-{os.getpid()}").touch()
        for _ in range(1200):
            if Path(self.folder, "go").exists():
                return super().predict(X)
            time.sleep(0.1)
        raise TimeoutError("nobody said go")


class Held(Waiting):
    """Waits only if it is asked about one particular text."""

    def predict(self, X):
        return super().predict(X) if "We wait" in X else Logged.predict(self, X)


def files(folder, kind):
    """Return the process and the content of each file that a model has written."""
    found = sorted(Path(folder).glob(f"{kind}-*"))
    return [(int(path.name.split("-")[1]), path.read_bytes()) for path in found]


def worker_of(estimator, X, y):
    """Return the process id as the score, after a prediction."""
    assert len(estimator.predict(X)) == len(y)
    return os.getpid()


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    with LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        dashboard_address=":0",
        local_directory=str(tmp_path_factory.mktemp("workers")),
    ) as cluster:
        yield cluster


@pytest.fixture
def client(cluster):
    with Client(cluster) as client:
        # A worker that a test has killed may still be restarting.
        client.wait_for_workers(1)
        yield client


@pytest.fixture
def model(tmp_path):
    return Logged(str(tmp_path)).fit()


@pytest.fixture
def rows():
    """Return 60 rows of 9 texts, in columns of many types and with repeated index labels."""
    texts = [f"We build {i % 4}" if i % 3 else f"View {i % 5}" for i in range(60)]
    return pd.DataFrame(
        {
            "text": texts,
            "id": pd.array([2**62 + i for i in range(59)] + [None], dtype="Int64"),
            "kind": pd.Categorical(["x", "y", "x"] * 20, categories=["z", "y", "x"], ordered=True),
            "note": pd.array(["a", None, "c"] * 20, dtype="string[pyarrow]"),
            "day": pd.date_range("2020-01-01", periods=60, tz="UTC"),
        },
        index=pd.Index([i // 2 for i in range(60)], name="page"),
    )


@pytest.fixture
def as_given():
    """Keep Dask from turning columns of Python objects into Arrow's strings."""
    with dask.config.set({"dataframe.convert-string": False}):
        yield


@both_ways
@pytest.mark.parametrize("known", [True, False], ids=["divisions", "no divisions"])
def test_rows_stay_where_and_what_they_are(rows, model, shuffle, known):
    ddf = dd.from_pandas(rows, npartitions=6)
    if not known:
        ddf = ddf.clear_divisions()
    result = filter_dataframe(ddf, model, shuffle=shuffle)

    assert result.divisions == ddf.divisions
    pd.testing.assert_frame_equal(result._meta, ddf._meta)
    parts = dask.compute(*result.partitions)
    for part, before in zip(parts, dask.compute(*ddf.partitions), strict=True):
        pd.testing.assert_frame_equal(part, before[before.text.str.startswith("We")])
    assert sum(map(len, parts)) == 40


@both_ways
def test_empty_partitions_and_partitions_of_other_types(as_given, model, shuffle):
    parts = [
        pd.DataFrame({"text": pd.Series([], dtype=object)}),
        pd.DataFrame({"text": pd.Series(["We", "View", "We"], dtype=object)}),
        pd.DataFrame({"text": pd.array(["View", "We", "We"], dtype="string[pyarrow]")}),
        pd.DataFrame({"text": pd.Categorical(["We", "View", "We"])}),
        pd.DataFrame({"text": pd.Series([], dtype="str")}),
    ]
    ddf = dd.from_map(lambda i: parts[i], range(5), meta=parts[1][:0])
    result = dask.compute(*filter_dataframe(ddf, model, shuffle=shuffle).partitions)
    assert [part["text"].tolist() for part in result] == [
        [],
        ["We"] * 2,
        ["We"] * 2,
        ["We"] * 2,
        [],
    ]
    assert [part["text"].dtype for part in result[1:4]] == [p["text"].dtype for p in parts[1:4]]
    none = dd.from_map(lambda i: parts[i], [0, 4], meta=parts[0])
    assert filter_dataframe(none, model, shuffle=shuffle).compute().empty


@both_ways
def test_texts_that_differ_only_near_the_end_or_hold_lone_surrogates(as_given, model, shuffle):
    long = "We build boats. " * 500
    texts = [long, "View " + long, long + ".", "We \ud83d", "\ud83d We", "", "We\0", "We\0"]
    # among so many, some have digests that end with a NUL
    texts += [f"We {i}" for i in range(2000)]
    ddf = dd.from_map(
        lambda i: pd.DataFrame({"text": pd.Series(texts[i::2], dtype=object)}),
        range(2),
        meta=pd.DataFrame({"text": pd.Series(dtype=object)}),
    )
    columns = ("label", "probability")
    result = filter_dataframe(ddf, model, columns=columns, shuffle=shuffle).compute()
    expected = [int(text.startswith("We")) for text in texts[::2] + texts[1::2]]
    assert result["label"].tolist() == expected


@both_ways
def test_columns_with_label_and_probability(rows, tmp_path, shuffle):
    model = Logged(str(tmp_path), classes=("bin", "use")).fit()
    ddf = dd.from_pandas(rows, npartitions=4)
    result = filter_dataframe(ddf, model, keep="use", columns=("what", "sure"), shuffle=shuffle)
    found = result.compute()
    kept = rows.text.str.startswith("We")
    expected = ddf.compute().assign(
        what=kept.map({True: "use", False: "bin"}), sure=np.where(kept, 0.8, 0.1)
    )
    pd.testing.assert_frame_equal(found, expected)
    assert result.dtypes.to_dict() == found.dtypes.to_dict()


def test_a_threshold_and_another_label_to_keep(rows, model):
    ddf = dd.from_pandas(rows, npartitions=4)

    def kept(**options):
        return len(filter_dataframe(ddf, model, **options))

    assert [kept(threshold=t) for t in (0.05, 0.5, 0.9)] == [60, 40, 0]
    assert [kept(keep=0, threshold=t) for t in (0.15, 0.5)] == [60, 20]
    assert kept(keep="0") == 20


@both_ways
@pytest.mark.parametrize("columns", [None, ("label", "probability")])
def test_rows_without_a_text(tmp_path, model, shuffle, columns):
    texts = ["We", None, "View", np.nan, None, None, "We", "View"]
    ddf = dd.from_pandas(pd.DataFrame({"text": texts}), npartitions=4, sort=False)

    def result(nulls):
        options = {"columns": columns, "nulls": nulls, "shuffle": shuffle}
        return filter_dataframe(ddf, model, **options).compute()

    kept = [0, 1, 3, 4, 5, 6] if columns is None else list(range(8))
    assert result("keep").index.tolist() == kept
    assert result("discard").index.tolist() == ([0, 6] if columns is None else [0, 2, 6, 7])
    if columns:
        labels = result("keep")["label"]
        assert labels.isna().tolist() == pd.Series(texts).isna().tolist()
        assert labels.dropna().tolist() == [1, 0, 1, 0]
    ddf = ddf.partitions[:1]
    with pytest.raises(ValueError, match=r"Row 1 of column 'text' of partition 0 .*index 1\) has"):
        result("error")


@both_ways
def test_a_row_that_is_not_a_text_is_named_with_its_partition(as_given, model, shuffle):
    rows = pd.DataFrame({"text": pd.Series(["We", "View", "We", 3.5], dtype=object)})
    ddf = dd.from_map(lambda i: rows[2 * i : 2 * i + 2], range(2), meta=rows[:0])
    with pytest.raises(TypeError, match=r"Row 1 of column 'text' of partition 1 is of type float"):
        filter_dataframe(ddf, model, shuffle=shuffle).compute()
    numbers = dd.from_pandas(pd.DataFrame({"text": [1, 2]}), npartitions=1)
    with pytest.raises(TypeError, match=r"Row 0 of column 'text' of partition 0 is of type int"):
        filter_dataframe(numbers, model, shuffle=shuffle).compute()


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"text": "txt"}, ValueError, r"no column 'txt'\. Did you mean 'text'\?.*text, id"),
        ({"keep": 7}, ValueError, r"keep=7 is not a label of the model, which has \[0, 1\]"),
        ({"nulls": "drop"}, ValueError, "nulls is 'drop'. It must be 'error'"),
        ({"columns": ("label",)}, ValueError, "Pass two names"),
        ({"columns": ("label", "kind")}, ValueError, "has a column 'kind' already"),
        ({"threshold": 2}, ValueError, "threshold == 2, must be <= 1"),
    ],
)
def test_a_wrong_argument_is_refused_before_anything_is_computed(
    rows, model, options, error, message
):
    with pytest.raises(error, match=message):
        filter_dataframe(dd.from_pandas(rows, npartitions=2), model, **options)


def test_anything_but_a_dask_data_frame_and_a_fitted_classifier_is_refused(rows, tmp_path):
    with pytest.raises(TypeError, match="DataFrame, not a Dask DataFrame"):
        filter_dataframe(rows, Logged(str(tmp_path)).fit())
    with pytest.raises(NotFittedError):
        filter_dataframe(dd.from_pandas(rows, npartitions=2), tfidf_baseline())


def test_a_partition_that_changes_is_refused_when_it_is_shuffled(model):
    def drawn(_, columns=("text", "n")):
        return pd.DataFrame({"text": [f"We {uuid4()}"], "n": [1]})[list(columns)]

    # The texts are read alone first, and then with the other column.
    ddf = dd.from_map(drawn, range(2), meta=drawn(0)[:0])
    with pytest.raises(ValueError, match=r"had other texts when it was computed again\. Call per"):
        filter_dataframe(ddf, model, shuffle=True).compute()


def test_workers_get_the_model_and_compute_no_text_twice(client, rows, model):
    ddf = dd.from_pandas(pd.concat([rows] * 10), npartitions=20, sort=False)
    filtered = filter_dataframe(ddf, model)
    assert len(filtered) == 400

    computed = files(model.folder, "computed")
    workers = set(client.run(os.getpid).values())
    sent = [pid for pid, _ in files(model.folder, "sent") if pid in workers]
    # Once each, and once more where Dask has moved the task: not for each of 20 partitions.
    assert 0 < len(sent) <= 2 * len(workers)
    assert {pid for pid, _ in computed} <= workers
    by_worker = [(pid, text) for pid, log in computed for text in log.split(b"\0") if log]
    assert len(set(by_worker)) == len(by_worker) <= 2 * rows.text.nunique()


def test_shuffled_texts_are_computed_once_by_all_workers_together(client, rows, model):
    ddf = dd.from_pandas(pd.concat([rows] * 10), npartitions=20, sort=False)
    assert len(filter_dataframe(ddf, model, shuffle=True)) == 400
    computed = [
        text for _, log in files(model.folder, "computed") for text in log.split(b"\0") if log
    ]
    assert sorted(computed) == sorted(text.encode() for text in rows.text.unique())


@both_ways
def test_a_worker_that_is_killed_in_the_middle_loses_nothing(client, rows, tmp_path, shuffle):
    ddf = dd.from_pandas(rows, npartitions=12)
    filtered = filter_dataframe(ddf, Waiting(str(tmp_path)).fit(), shuffle=shuffle)
    future = client.compute(filtered)
    while not (waiting := files(tmp_path, "waiting")):
        time.sleep(0.05)
    os.kill(waiting[0][0], signal.SIGKILL)
    Path(tmp_path, "go").touch()
    result = future.result(timeout=300)
    expected = ddf.compute()
    pd.testing.assert_frame_equal(result, expected[expected.text.str.startswith("We")])
    assert waiting[0][0] not in client.run(os.getpid).values()


def test_any_classifier_on_workers(client, binary, snippets):
    X, y = snippets
    ddf = dd.from_pandas(pd.DataFrame({"text": X * 3}), npartitions=5)
    baseline = tfidf_baseline().fit(X, y)
    for model in (binary, baseline, DedupPredictor(FrozenEstimator(baseline))):
        options = {"keep": "keep", "columns": ("label", "probability")}
        result = filter_dataframe(ddf, model, **options).compute()
        assert result["label"].tolist() == model.predict(X * 3).tolist()
        column = list(model.classes_).index("keep")
        np.testing.assert_allclose(
            result["probability"], model.predict_proba(X * 3)[:, column], atol=1e-5
        )


def test_a_filter_takes_one_thread_for_each_thread_of_a_worker(client):
    from skbert_filter.bert.engine import granted_threads

    assert set(client.run(granted_threads).values()) == {1}


@pytest.mark.parametrize("kind", ["filter", "tfidf"])
def test_a_saved_classifier_is_read_from_its_folder(kind, binary, snippets, tmp_path):
    model = binary if kind == "filter" else tfidf_shape_baseline().fit(*snippets)
    save_classifier(model, tmp_path / "model")
    texts = np.array(snippets[0])
    ddf = dd.from_pandas(pd.DataFrame({"text": texts}), npartitions=2)
    kept = filter_dataframe(ddf, tmp_path / "model", keep="keep").compute()
    assert kept["text"].tolist() == texts[model.predict(snippets[0]) == "keep"].tolist()


@pytest.fixture
def corpus(tmp_path):
    """Return a folder with files of four kinds, in two levels."""
    folder = tmp_path / "corpus"
    (folder / "deep").mkdir(parents=True)
    texts = [f"We build {i % 7}" if i % 3 else f"View {i % 5}" for i in range(300)]
    for part in range(4):
        table = pa.table({"text": texts[part:], "links": [[i] for i in range(part, 300)]})
        pq.write_table(table, folder / "deep" / f"{part}.parquet")
    (folder / "a.csv").write_text("id,text\n007,We sell soap\n8,View\n")
    (folder / "lines.txt").write_text(
        "We sell soap\r\nView\nIt\u00e2\u20ac\u2122s\n", encoding="utf-8"
    )
    (folder / "empty.txt").touch()
    (folder / "deep" / "b.jsonl").write_text('{"text": "We sell", "n": 1}\n{"text": "View"}\n')
    return folder


def contents(folder):
    """Return the bytes of all files of a folder."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.mark.parametrize("options", [{}, {"keep": 0, "threshold": 0.3, "nulls": "keep"}])
def test_a_folder_is_filtered_as_on_one_machine(client, corpus, model, tmp_path, options):
    progress = []
    local = filter_corpus(model, corpus, tmp_path / "local", **options)
    summary = filter_corpus(
        model,
        corpus,
        tmp_path / "dask",
        engine="dask",
        progress=lambda *state: progress.append(state),
        **options,
    )
    assert contents(tmp_path / "dask") == contents(tmp_path / "local")
    expected = local.to_dict() | {"destination": str(tmp_path / "dask")}
    differs = ("seconds", "rows_per_second", "examples")
    assert all(
        summary.to_dict()[name] == expected[name] for name in expected if name not in differs
    )
    assert (summary.distinct, summary.misdecoded) == (7 + 5 + 4, 1)
    assert [state[:2] for state in progress][-1] == (1.0, summary.rows)
    assert not list(tmp_path.glob("*.partial"))


def test_workers_drop_the_files_that_one_machine_drops(client, corpus, model, tmp_path):
    local = filter_corpus(model, corpus, tmp_path / "local", drop_documents=0.3)
    summary = filter_corpus(model, corpus, tmp_path / "dask", drop_documents=0.3, engine="dask")
    assert contents(tmp_path / "dask") == contents(tmp_path / "local")
    assert summary.documents.equals(local.documents)
    assert 0 < local.documents["dropped"].sum() < local.files == 8


def test_a_worker_lost_while_files_are_filtered_loses_nothing(client, corpus, tmp_path):
    model = Waiting(str(tmp_path)).fit()

    def kill_one():
        while not (waiting := files(tmp_path, "waiting")):
            time.sleep(0.05)
        os.kill(waiting[0][0], signal.SIGKILL)
        Path(tmp_path, "go").touch()

    killer = Thread(target=kill_one)
    killer.start()
    filter_corpus(model, corpus, tmp_path / "dask", engine="dask")
    killer.join()
    filter_corpus(model, corpus, tmp_path / "local")
    assert contents(tmp_path / "dask") == contents(tmp_path / "local")


def test_a_job_whose_own_process_is_killed_resumes_with_the_files_that_are_left(
    client, corpus, tmp_path
):
    (corpus / "wait.txt").write_text("We wait\n")
    out, records = tmp_path / "dask", tmp_path / "dask.partial" / "records"
    script = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "from distributed import Client\n"
        "from skbert_filter import filter_corpus\n"
        "from test_dask import Held\n"
        f"with Client({client.scheduler.address!r}):\n"
        f"    model = Held({str(tmp_path)!r}).fit()\n"
        f"    filter_corpus(model, {str(corpus)!r}, {str(out)!r}, engine='dask')\n"
    )
    process = subprocess.Popen([sys.executable, "-c", script])
    while len(list(records.rglob("*.npz"))) < 8:
        assert process.poll() is None
        time.sleep(0.1)
    process.kill()
    process.wait()
    assert not out.exists()
    for log in tmp_path.glob("computed-*"):
        log.unlink()
    Path(tmp_path, "go").touch()
    # The same size as before, but other content.
    lines = corpus / "lines.txt"
    lines.write_bytes(lines.read_bytes().replace(b"soap", b"rope"))

    model = Held(str(tmp_path)).fit()
    summary = filter_corpus(model, corpus, out, engine="dask")
    computed = b"\0".join(texts for _, texts in files(tmp_path, "computed")).decode().split("\0")
    local = filter_corpus(model, corpus, tmp_path / "local")
    assert set(computed) <= {"We wait", "We sell rope", "View", "It\u00e2\u20ac\u2122s"}
    assert contents(out) == contents(tmp_path / "local")
    counts = ("rows", "distinct", "kept", "discarded", "written", "misdecoded")
    assert all(getattr(summary, name) == getattr(local, name) for name in counts)
    assert not list(tmp_path.glob("*.partial"))


def test_nothing_appears_when_a_file_cannot_be_filtered(client, corpus, model, tmp_path):
    pq.write_table(pa.table({"text": ["We", None]}), corpus / "deep" / "2.parquet")
    with pytest.raises(ValueError, match=r"Row 2 of .*2\.parquet .* no value in column 'text'"):
        filter_corpus(model, corpus, tmp_path / "out", engine="dask")
    assert not (tmp_path / "out").exists()


def test_what_workers_cannot_do_is_refused(corpus, model, tmp_path):
    def refused(message, source=corpus, engine="dask", **options):
        with pytest.raises(ValueError, match=message):
            filter_corpus(model, source, tmp_path / "out", engine=engine, **options)

    refused(r'engine="dask" needs a cluster .* distributed\.Client')
    refused("engine is 'spark'", engine="spark")
    refused("audit is for one machine", audit=tmp_path / "audit.csv")
    refused("store is for one machine", store=tmp_path / "scores.sqlite")
    refused("document is for one machine", document="page", drop_documents=0.5)
    with pytest.raises(ValueError, match=r'engine="dask" is for a folder .*a\.csv is not one'):
        filter_corpus(model, corpus / "a.csv", tmp_path / "out.csv", engine="dask")
    assert not list(tmp_path.glob("out*"))


def test_the_command_leaves_a_folder_to_a_cluster(client, corpus, saved, tmp_path):
    def predict(address):
        program = Path(sys.executable).with_name("skbert-filter")
        job = ["predict", saved, corpus, "-o", tmp_path / "kept", "--keep", "keep", "--json"]
        return subprocess.run(
            [program, *job, "--dask", address],
            env={**os.environ, "DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT": "2s"},
            capture_output=True,
            text=True,
            check=False,
        )

    # Nothing listens at port 1.
    failed = predict("tcp://127.0.0.1:1")
    assert failed.returncode == 2
    assert "No Dask scheduler answers at tcp://127.0.0.1:1" in failed.stderr

    done = predict(client.scheduler.address)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["files"] == 8
    filter_corpus(saved, corpus, tmp_path / "local", keep="keep")
    assert contents(tmp_path / "kept") == contents(tmp_path / "local")


@pytest.mark.slow
def test_a_grid_search_runs_on_workers(client, one_epoch, snippets):
    search = GridSearchCV(
        SmallBertTextFilter(**one_epoch),
        {"learning_rate": [0.001, 0.005]},
        cv=StratifiedShuffleSplit(n_splits=1, random_state=0),
        scoring=worker_of,
        refit=False,
        error_score="raise",
    )
    with joblib.parallel_config(backend="dask"):
        search.fit(*snippets)
    assert set(search.cv_results_["split0_test_score"]) <= set(client.run(os.getpid).values())


def test_dask_is_imported_only_when_asked_for_and_its_absence_is_reported():
    script = """
import sys
import skbert_filter, skbert_filter.cli.app, skbert_filter.corpus, skbert_filter.integrations
print(sorted({"dask", "distributed"} & set(sys.modules)))
sys.modules["dask"] = None
try:
    import skbert_filter.integrations.dask
except ImportError as error:
    print(error)
"""
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    loaded, message = run.stdout.splitlines()
    assert loaded == "[]"
    assert "pip install 'dask[dataframe]' distributed" in message
