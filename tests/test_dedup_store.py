"""DedupPredictor with a store: nothing twice, nothing stale, nothing lost."""

import pickle
import signal
import sqlite3
import subprocess
import sys
import threading
import time
import types
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from datetime import timedelta
from pathlib import Path
from unittest import SkipTest

import joblib
import numpy as np
import pandas as pd
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.utils.estimator_checks import estimator_checks_generator

from skbert_filter import DedupPredictor, DedupStratifiedKFold
from skbert_filter.duplicates import stores
from skbert_filter.testing import check_text_classifier

TRAIN = ["view all", "contact us", "tea made by hand", "we hand soap", "us", "soap"]
LABELS = ["discard", "discard", "keep", "keep", "discard", "keep"]
X_ROWS = np.array([[0.0, 1.0], [1.0, 0.0], [0.5, 0.5], [0.0, 1.0]])


class Lengths(ClassifierMixin, BaseEstimator):
    """Answers with the lengths of the texts, and writes each text that it computes to a log."""

    def __init__(self, log, offset=0, pause=0.0):
        self.log = log
        self.offset = offset
        self.pause = pause

    def fit(self, X, y=None):
        self.classes_ = np.arange(100)
        return self

    def predict(self, X):
        time.sleep(self.pause)
        with Path(self.log).open("a") as log:
            log.writelines(f"{text}\n" for text in X)
        return np.array([len(text) + self.offset for text in X])


@pytest.fixture(params=["memory", "file"])
def store(request, tmp_path):
    return "memory" if request.param == "memory" else tmp_path / "scores.sqlite"


@pytest.fixture
def log(tmp_path):
    path = tmp_path / "log.txt"
    path.touch()
    return path


@pytest.fixture(scope="module")
def text_model():
    return make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(TRAIN, LABELS)


def computed(log):
    """Return the texts computed since the last call."""
    texts = log.read_text().splitlines()
    log.write_text("")
    return texts


# Each distinct input once, in all calls.


def test_later_calls_compute_only_what_is_new(store, log):
    model = DedupPredictor(FrozenEstimator(Lengths(log).fit(None)), store=store, chunk_size=2)
    assert model.predict(["a", "bb", "a", "ccc"]).tolist() == [1, 2, 1, 3]
    assert computed(log) == ["a", "bb", "ccc"]
    assert model.predict(["dddd", "ccc", "a", "dddd", ""]).tolist() == [4, 3, 1, 4, 0]
    assert computed(log) == ["dddd", ""]
    assert model.predict(["bb"]).tolist() == [2]
    assert computed(log) == []


def test_a_loop_over_chunks_computes_each_text_once(store, log):
    model = DedupPredictor(Lengths(log), store=store).fit(TRAIN)
    corpus = pd.Series([f"text {i % 70}" for i in range(1000)])
    parts = [model.predict(corpus[start : start + 100]) for start in range(0, 1000, 100)]
    assert np.concatenate(parts).tolist() == corpus.str.len().tolist()
    assert sorted(computed(log)) == sorted(set(corpus))


def test_a_file_serves_other_objects_and_processes(tmp_path, log):
    path = tmp_path / "scores.sqlite"
    model = DedupPredictor(Lengths(log), store=path).fit(TRAIN)
    model.predict(["a", "bb"])
    again = DedupPredictor(FrozenEstimator(Lengths(log).fit(None)), store=str(path))
    assert again.predict(["bb", "a"]).tolist() == [2, 1]
    results = joblib.Parallel(n_jobs=2)(
        joblib.delayed(pickle.loads(pickle.dumps(model)).predict)(["a", "bb"] * i)
        for i in (1, 2, 3)
    )
    assert [result.tolist() for result in results] == [[1, 2], [1, 2] * 2, [1, 2] * 3]
    assert computed(log) == ["a", "bb"]


def test_folded_texts_share_results_with_the_texts_themselves(store, log):
    model = DedupPredictor(Lengths(log), store=store, key="casefold").fit(TRAIN)
    assert model.predict(["A  B", "a b"]).tolist() == [3, 3]
    assert computed(log) == ["a b"]
    assert model.set_params(key="exact").predict(["a b", "A  B"]).tolist() == [3, 4]
    assert computed(log) == ["A  B"]


class MostProbable(Lengths):
    """Says of short and of long texts how probable they are, and writes down what it computes."""

    predicts_most_probable_class = True

    def fit(self, X, y=None):
        self.classes_ = np.array(["short", "long"])
        return self

    def predict_proba(self, X):
        is_long = super().predict(X) > 3
        return np.column_stack([~is_long, is_long]) * 0.8 + 0.1

    def predict(self, X):
        return self.classes_[self.predict_proba(X).argmax(axis=1)]


class Guesses(MostProbable):
    def predict(self, X):
        return np.full(len(X), "short")


@pytest.mark.parametrize("first", ["predict", "predict_proba"])
def test_one_entry_serves_predict_and_predict_proba(store, log, first):
    model = DedupPredictor(FrozenEstimator(MostProbable(log).fit(None)), store=store)
    methods = [model.predict, model.predict_proba]
    for method in methods if first == "predict" else methods[::-1]:
        method(["a", "tea made", "a"])
    assert computed(log) == ["a", "tea made"]
    assert model.predict(["tea made", "a", "a"]).tolist() == ["long", "short", "short"]
    assert model.predict([]).tolist() == []
    assert model.cache_info().stored == 2


def test_an_override_of_predict_is_not_taken_for_the_most_probable_class(store, log):
    model = DedupPredictor(FrozenEstimator(Guesses(log).fit(None)), store=store)
    model.predict_proba(["tea made"])
    assert model.predict(["tea made"]).tolist() == ["short"]


def test_methods_are_told_apart(store, text_model):
    model = DedupPredictor(FrozenEstimator(text_model), store=store)
    for _ in range(2):
        for method in ("predict", "predict_proba", "predict_log_proba", "decision_function"):
            expected = getattr(text_model, method)(TRAIN)
            np.testing.assert_array_equal(getattr(model, method)(TRAIN), expected, strict=True)
    assert model.cache_info().misses == 4 * len(TRAIN)


# What comes back equals what the wrapped estimator returns.


@pytest.mark.parametrize("place", ["memory", "scores.sqlite"])
@pytest.mark.parametrize("estimator", [LogisticRegression(), Ridge(), StandardScaler()], ids=repr)
@pytest.mark.filterwarnings("ignore:lbfgs failed to converge")
def test_scikit_learns_checks_pass_with_a_store(estimator, place, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for wrapped, check in estimator_checks_generator(
        DedupPredictor(estimator, store=place), mark=None
    ):
        # some are about features that only exist in other builds of libraries
        with suppress(SkipTest):
            check(wrapped)


def test_the_checks_of_text_classifiers_pass_with_a_store(tmp_path):
    model = make_pipeline(TfidfVectorizer(), LogisticRegression())
    statuses = [
        {r["check_name"]: r["status"] for r in check_text_classifier(estimator, on_fail=None)}
        for estimator in (
            DedupPredictor(model),
            DedupPredictor(model, store=tmp_path / "scores.sqlite"),
        )
    ]
    assert statuses[0] == statuses[1]


@pytest.mark.parametrize("labels", [LABELS, [0, 0, 1, 1, 0, 1], pd.Series(LABELS, dtype=object)])
def test_labels_keep_their_type(store, labels):
    wrapped = make_pipeline(CountVectorizer(), LogisticRegression()).fit(TRAIN, labels)
    model = DedupPredictor(FrozenEstimator(wrapped), store=store)
    model.predict(TRAIN[:2])
    np.testing.assert_array_equal(model.predict(TRAIN), wrapped.predict(TRAIN), strict=True)


@pytest.mark.parametrize("container", ["pandas", "polars"])
def test_tables_are_refused_and_found_as_arrays_by_others(store, container):
    frame = pd.DataFrame(X_ROWS, columns=["x", "y"], index=[7, 3, 5, 1])
    model = DedupPredictor(StandardScaler(), store=store, chunk_size=2).fit(frame)
    plain = model.transform(frame)
    model.set_output(transform=container)
    with pytest.raises(TypeError, match=r"store cannot keep.*set_output\(transform='default'\)"):
        model.transform(frame)
    model.set_output(transform="default")
    np.testing.assert_array_equal(model.transform(frame), plain, strict=True)


def test_types_of_input_are_told_apart(store):
    model = DedupPredictor(StandardScaler(), store=store).fit(X_ROWS)
    assert model.transform(X_ROWS).dtype == np.float64
    assert model.transform(X_ROWS.astype(np.float32)).dtype == np.float32


def test_names_of_columns_are_told_apart(store):
    model = DedupPredictor(
        FunctionTransformer(lambda table: table[["x"]].to_numpy()), store=store
    ).fit(pd.DataFrame({"x": [0], "y": [1]}))
    assert model.transform(pd.DataFrame({"x": [1.0], "y": [2.0]})).tolist() == [[1.0]]
    assert model.transform(pd.DataFrame({"y": [1.0], "x": [2.0]})).tolist() == [[2.0]]


def test_containers_of_texts_are_told_apart_where_they_can_matter(store):
    lengths = FunctionTransformer(np.vectorize(len))
    model = DedupPredictor(lengths, store=store).fit(np.array(["x"]))
    assert model.transform(np.array(["x", "yy"])).tolist() == [1, 2]
    assert model.transform(np.array([["x"], ["yy"]])).tolist() == [[1], [2]]


def test_categories_are_told_apart(store):
    model = DedupPredictor(FunctionTransformer(lambda s: s.cat.codes.to_numpy()), store=store)
    texts = pd.Series(["x", "y"], dtype=pd.CategoricalDtype(["x", "y"]))
    model.fit(texts)
    assert model.transform(texts).tolist() == [0, 1]
    assert model.transform(texts.cat.reorder_categories(["y", "x"])).tolist() == [1, 0]


def test_rows_without_columns(store):
    table = np.empty((3, 0))
    model = DedupPredictor(FunctionTransformer(lambda X: np.zeros(len(X))), store=store).fit(table)
    assert model.transform(table).tolist() == [0, 0, 0]


def test_mixed_tables_are_found_again(store):
    table = pd.DataFrame(
        {"n": [1.0, np.nan, -0.0, 1.0], "s": ["a", "b", None, "a"], "o": [1, "1", 2.0, 1]}
    )
    model = DedupPredictor(
        FunctionTransformer(lambda table: np.array([[hash(str(row))] for row in table.to_numpy()])),
        store=store,
    ).fit(table)
    first = model.transform(table)
    later = model.transform(table[::-1])
    assert first.tolist() == later[::-1].tolist()
    assert model.cache_info().misses == 3
    if store != "memory":
        other = pickle.loads(pickle.dumps(table))
        assert model.transform(other).tolist() == first.tolist()
        assert model.cache_info().misses == 3


def test_several_outputs(store):
    y = np.array([[0, 1], [1, 0], [2, 1], [0, 0]])
    wrapped = RandomForestClassifier(n_estimators=3, random_state=0).fit(X_ROWS, y)
    model = DedupPredictor(FrozenEstimator(wrapped), store=store, chunk_size=2)
    for _ in range(2):
        np.testing.assert_array_equal(model.predict(X_ROWS), wrapped.predict(X_ROWS), strict=True)
    with pytest.raises(TypeError, match=r"predict_proba .* returned a builtins.list.*store=None"):
        model.predict_proba(X_ROWS)


def test_sparse_results_are_refused_with_a_store_and_shared_without(store):
    model = DedupPredictor(CountVectorizer(), store=store).fit(TRAIN)
    with pytest.raises(TypeError, match=r"transform .* returned a scipy.sparse.*store=None"):
        model.transform(TRAIN)
    assert model.set_params(store=None).transform(TRAIN).shape[0] == len(TRAIN)


def test_empty_input_and_what_cannot_be_compared(store):
    model = DedupPredictor(PCA(1), store=store).fit(X_ROWS)
    np.testing.assert_array_equal(model.transform(X_ROWS.tolist()), model.transform(X_ROWS))
    texts = DedupPredictor(Lengths("/dev/null"), store=store).fit(None)
    assert texts.predict([]).tolist() == []


# Nothing stale.


HELPER = "def helper(text):\n    return {}\n"
LENGTHS = "def lengths(X):\n    return np.array([[helper(text)] for text in X])\n"


class Changes(RuleBasedStateMachine):
    """Changes models that share one store; each answer is compared with the model's own."""

    place: str | Path

    def __init__(self):
        super().__init__()
        # a module of the user, from which models take a function
        self.module = types.ModuleType("module_of_the_user")
        self.module.np = np
        sys.modules[self.module.__name__] = self.module
        exec(LENGTHS, self.module.__dict__)
        self.redefine("len(text)")
        self.fit("a", 0)

    def teardown(self):
        del sys.modules[self.module.__name__]

    @property
    def wrapped(self):
        return getattr(self.model, "estimator_", self.model.estimator)

    @rule(text=st.sampled_from(["a", "abc"]), seed=st.integers(0, 2))
    def fit(self, text, seed):
        pipeline = make_pipeline(
            FunctionTransformer(self.module.lengths), StandardScaler(), Ridge(alpha=0.5)
        )
        self.model = DedupPredictor(pipeline, store=self.place, chunk_size=2)
        self.refit(text, seed)

    @rule(text=st.sampled_from(["a", "abc"]), seed=st.integers(0, 2))
    def refit(self, text, seed):
        self.model.fit(["", "a", "abc", text * 3], np.random.default_rng(seed).normal(size=4))

    @rule(expression=st.sampled_from(["len(text)", "len(text) + 1", "text.count('a')"]))
    def redefine(self, expression):
        exec(HELPER.format(expression), self.module.__dict__)

    @rule(alpha=st.sampled_from([0.1, 1.0]))
    def set_params(self, alpha):
        if not isinstance(self.model.estimator, FrozenEstimator):
            self.model.set_params(estimator__ridge__alpha=alpha)

    @rule(value=st.sampled_from([0.0, 0.5]))
    def change_a_weight_in_place(self, value):
        frozen = isinstance(self.wrapped, FrozenEstimator)
        (self.wrapped.estimator if frozen else self.wrapped)[-1].coef_[0] = value

    @rule()
    def pickle(self):
        self.model = pickle.loads(pickle.dumps(self.model))

    @rule()
    def freeze(self):
        self.model = DedupPredictor(FrozenEstimator(self.wrapped), store=self.place)

    @rule()
    def clear(self):
        self.model.cache_clear()

    @rule()
    def prune(self):
        self.model.cache_prune(items_limit=3)

    @rule()
    def delete_the_file(self):
        if self.place != "memory":
            Path(self.place).unlink(missing_ok=True)

    @rule(texts=st.lists(st.sampled_from(["", "a", "aa", "abc", "cab", "b"]), min_size=1))
    def predict(self, texts):
        np.testing.assert_array_equal(self.model.predict(texts), self.wrapped.predict(texts))


def test_no_sequence_of_changes_gives_a_stale_answer(store):
    class Here(Changes):
        place = store

    run_state_machine_as_test(
        Here, settings=settings(max_examples=60, stateful_step_count=25, deadline=None)
    )


def test_a_set_params_on_the_wrapped_estimator_is_noticed(store, log):
    wrapped = Lengths(log).fit(None)
    model = DedupPredictor(FrozenEstimator(wrapped), store=store)
    assert model.predict(["a"]).tolist() == [1]
    wrapped.set_params(offset=10)
    assert model.predict(["a"]).tolist() == [11]
    wrapped.set_params(offset=0)
    assert model.predict(["a"]).tolist() == [1]
    assert computed(log) == ["a", "a"]


def test_a_name_of_ones_own_replaces_the_hash(store, log):
    model = DedupPredictor(Lengths(log), store=store, fingerprint="v1").fit(None)
    assert model.predict(["a"]).tolist() == [1]
    model.estimator_.offset = 10
    assert model.predict(["a"]).tolist() == [1]
    assert model.set_params(fingerprint="v2").predict(["a"]).tolist() == [11]


def test_what_cannot_be_hashed_is_refused_by_name(store, log):
    wrapped = Lengths(log).fit(None)
    wrapped.lock_ = threading.Lock()
    model = DedupPredictor(FrozenEstimator(wrapped), store=store)
    with pytest.raises(TypeError, match=r"estimator\.lock_ .*lock.*fingerprint=\"v1\""):
        model.predict(["a"])
    assert computed(log) == []
    assert model.set_params(fingerprint="v1").predict(["a"]).tolist() == [1]


class Counts(ClassifierMixin, BaseEstimator):
    """Changes while it predicts."""

    def fit(self, X, y=None):
        self.calls_ = 0
        return self

    def predict(self, X):
        self.calls_ += 1
        return np.zeros(len(X))


def test_an_estimator_that_changes_by_predicting_is_refused(store):
    model = DedupPredictor(Counts(), store=store).fit(TRAIN)
    with pytest.raises(RuntimeError, match=r'Counts changed while .* predict.*fingerprint="v1"'):
        model.predict(["a"])
    assert model.cache_info().stored == 0
    model.set_params(fingerprint="v1").predict(["a"])
    assert model.predict(["a"]).tolist() == [0]
    assert model.cache_info().misses == 1


class Waits(Lengths):
    """Waits in its second chunk until another thread has changed it."""

    def predict(self, X):
        if "ccc" in X:
            self.waiting.set()
            self.changed.wait()
        return super().predict(X)

    def __getstate__(self):
        return {n: v for n, v in super().__getstate__().items() if n not in ("waiting", "changed")}


@pytest.mark.parametrize("change", ["refit", "set_params", "in the middle of a fit"])
def test_no_result_is_filed_under_a_model_that_was_changed_by_another_thread(store, log, change):
    wrapped = Waits(log).fit(None)
    wrapped.waiting, wrapped.changed = threading.Event(), threading.Event()
    model = DedupPredictor(FrozenEstimator(wrapped), store=store, chunk_size=2)
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(model.predict, ["a", "bb", "ccc", "dddd", "eeeee"])
        wrapped.waiting.wait()
        if change == "refit":
            wrapped.classes_ = np.arange(3)
        elif change == "set_params":
            wrapped.set_params(offset=10)
        else:
            wrapped.weights_ = threading.Lock()
        wrapped.changed.set()
        with pytest.raises(RuntimeError, match=r"Waits changed while it computed predict.*thread"):
            answer.result()
    assert model.cache_info().stored == 2
    wrapped.__dict__.pop("weights_", None)
    texts = ["a", "bb", "ccc", "dddd", "eeeee"]
    np.testing.assert_array_equal(model.predict(texts), wrapped.predict(texts))


# Nothing lost.

KILLED = """
import sys
import time
from pathlib import Path
import numpy as np
from sklearn.base import BaseEstimator
from sklearn.frozen import FrozenEstimator
from skbert_filter import DedupPredictor

class Scorer(BaseEstimator):
    def __init__(self, log):
        self.log = log
    def fit(self, X=None, y=None):
        return self
    def __sklearn_is_fitted__(self):
        return True
    def predict(self, X):
        time.sleep(0.05)
        with open(self.log, "a") as log:
            log.write(f"{len(X)}\\n")
        return np.array([float(text) for text in X])

folder = Path(sys.argv[1])
model = DedupPredictor(
    FrozenEstimator(Scorer(str(folder / "log"))), store=folder / "s.sqlite", chunk_size=5_000
)
result = model.predict([str(i) for i in range(200_000)])
np.save(folder / "result.npy", result)
"""


def test_a_killed_run_goes_on_where_it_stopped(tmp_path):
    script = tmp_path / "job.py"
    script.write_text(KILLED)
    command = [sys.executable, str(script), str(tmp_path)]
    log = tmp_path / "log"
    with subprocess.Popen(command) as run:
        while not log.exists() or len(log.read_text().splitlines()) < 15:
            assert run.poll() is None, "the run ended before it could be killed"
            time.sleep(0.01)
        run.send_signal(signal.SIGKILL)
    computed_before = sum(map(int, log.read_text().split()))
    log.unlink()
    subprocess.run(command, check=True)
    computed_after = sum(map(int, log.read_text().split()))
    assert 75_000 <= computed_before < 200_000
    # A chunk may have been computed and not stored yet when the process died.
    assert computed_after <= 200_000 - (computed_before - 5_000)
    assert computed_after >= 200_000 - computed_before
    np.testing.assert_array_equal(np.load(tmp_path / "result.npy"), np.arange(200_000.0))
    assert not (tmp_path / "s.sqlite-wal").exists()


def test_chunks_before_an_error_are_kept(tmp_path, log):
    class Fails(Lengths):
        def predict(self, X):
            if "bad" in X:
                raise RuntimeError("bad text")
            return super().predict(X)

    model = DedupPredictor(
        FrozenEstimator(Fails(log).fit(None)), store=tmp_path / "s.sqlite", chunk_size=2
    )
    with pytest.raises(RuntimeError, match="bad text"):
        model.predict(["a", "bb", "bad", "ccc"])
    assert computed(log) == ["a", "bb"]
    assert model.predict(["a", "bb", "ccc"]).tolist() == [1, 2, 3]
    assert computed(log) == ["ccc"]


def test_a_store_that_cannot_be_written_is_refused_before_anything_is_computed(tmp_path, log):
    path = tmp_path / "scores.sqlite"
    model = DedupPredictor(Lengths(log), store=path).fit(None)
    model.predict(["a"])
    computed(log)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(stores, "_TIMEOUT_SECONDS", 0.05)
            assert model.predict(["a"]).tolist() == [1]
            with pytest.raises(TimeoutError, match="locked by another process"):
                model.predict(["a", "b"])
    assert computed(log) == []


def test_a_file_that_is_no_store_is_refused(tmp_path, text_model):
    path = tmp_path / "labels.csv"
    path.write_text("text,label\n" * 100)
    model = DedupPredictor(FrozenEstimator(text_model), store=path)
    with pytest.raises(ValueError, match=r"labels\.csv is damaged, or not a store"):
        model.predict(TRAIN)


# What scikit-learn, joblib and pickle do with it.


def test_pickles_keep_the_path_and_no_results(store, text_model):
    model = DedupPredictor(FrozenEstimator(text_model), store=store)
    model.predict([f"text {i}" for i in range(5000)])
    pickled = pickle.dumps(model)
    assert len(pickled) < len(pickle.dumps(text_model)) + 2000
    loaded = pickle.loads(pickled)
    assert loaded.store == store
    assert loaded.cache_info().stored == (0 if store == "memory" else 5000)
    assert model.cache_info().stored == 5000
    assert clone(model).cache_info().misses == 0


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_grid_search_with_a_store(tmp_path, n_jobs):
    X = [f"{word} {i % 15}" for i in range(60) for word in ("menu", "we make soap")]
    y = [0, 1] * 60
    model = make_pipeline(TfidfVectorizer(), LogisticRegression())
    grid = {"estimator__logisticregression__C": [0.01, 10.0]}
    cv = DedupStratifiedKFold(3)
    searches = [
        GridSearchCV(DedupPredictor(model, store=place), grid, cv=cv, n_jobs=n_jobs).fit(X, y)
        for place in (None, tmp_path / "scores.sqlite", tmp_path / "scores.sqlite")
    ]
    scores = [search.cv_results_["mean_test_score"].tolist() for search in searches]
    assert scores[0] == scores[1] == scores[2]
    assert searches[1].best_estimator_.cache_info().stored == 2 * 30


def test_threads_share_one_object(store, text_model):
    model = DedupPredictor(FrozenEstimator(text_model), store=store, chunk_size=7)
    batches = [[f"soap {i % 40}" for i in range(start, start + 30)] for start in range(0, 300, 10)]
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(model.predict_proba, batches))
    for batch, result in zip(batches, results, strict=True):
        np.testing.assert_allclose(result, text_model.predict_proba(batch), rtol=1e-12)
    info = model.cache_info()
    assert info.hits + info.misses == 900
    assert info.stored == 40


def test_duplicates_need_neither_tensorflow_nor_transformers():
    code = """
import sys
from sklearn.dummy import DummyClassifier
from skbert_filter import *
X, y = ["a", "b", "a", "c", "d"], [0, 1, 0, 0, 1]
duplicate_report(X, y), leakage_report(X, X), resolve_conflicts(X, y)
dedup_train_test_split(X, y, test_size=0.5), list(DedupStratifiedKFold(2).split(X, y))
DedupPredictor(DummyClassifier(), store="memory").fit(X, y).predict(X)
print({"tensorflow", "keras", "transformers", "tokenizers"} & set(sys.modules))
"""
    names = "DedupPredictor, DedupStratifiedKFold, dedup_train_test_split, duplicate_report, "
    code = code.replace("*", f"{names}leakage_report, resolve_conflicts", 1)
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "set()\n"


# What it says of itself.


def test_cache_info_counts_rows(store, log):
    model = DedupPredictor(Lengths(log), store=store).fit(None)
    model.predict(["a", "a", "b"])
    model.predict(["a", "c", "c", "c"])
    info = model.cache_info()
    assert (info.hits, info.misses, info.distinct, info.stored) == (4, 3, 4, 3)
    assert info.bytes > 0
    assert str(info).startswith("3 of 7 rows (42.9%) were computed; 4 were distinct.\n3 results")
    assert info.to_frame().loc[0, "misses"] == 3
    assert str(info) in info._repr_html_()
    model.cache_clear()
    info = model.cache_info()
    assert (info.hits, info.misses, info.distinct, info.stored) == (0, 0, 0, 0)
    model.predict(["a"])
    assert computed(log) == ["a", "b", "c", "a"]


def test_without_a_store_repeats_are_counted_and_nothing_is_kept(text_model):
    model = DedupPredictor(FrozenEstimator(text_model))
    for _ in range(2):
        model.predict(["a", "a", "b"])
    info = model.cache_info()
    assert (info.hits, info.misses, info.distinct, info.stored) == (2, 4, 4, 0)
    model.cache_prune(items_limit=1)
    model.cache_clear()
    assert model.cache_info().misses == 0


def test_limits(store, log):
    model = DedupPredictor(Lengths(log), store=store, items_limit=3, chunk_size=2).fit(None)
    assert model.predict(["a", "bb", "ccc", "dddd", "eeeee"]).tolist() == [1, 2, 3, 4, 5]
    assert model.cache_info().stored == 3
    computed(log)
    assert model.predict(["dddd", "eeeee"]).tolist() == [4, 5]
    assert computed(log) == []
    model.cache_prune(age_limit=timedelta(days=1))
    assert model.cache_info().stored == 3
    model.cache_prune(age_limit=timedelta(0))
    assert model.cache_info().stored == 0


@pytest.mark.parametrize(
    ("limits", "error", "message"),
    [
        ({"items_limit": -1}, ValueError, "items_limit == -1, must be >= 0"),
        ({"bytes_limit": "1M"}, TypeError, "bytes_limit must be an instance of int"),
        ({"age_limit": 5}, TypeError, "age_limit must be an instance of .*timedelta"),
    ],
)
def test_bad_limits_remove_nothing(store, log, limits, error, message):
    model = DedupPredictor(Lengths(log), store=store).fit(None)
    model.predict(["a"])
    with pytest.raises(error, match=message):
        model.cache_prune(**limits)
    assert model.cache_info().stored == 1


def test_asking_about_a_store_does_not_create_it(tmp_path, log):
    model = DedupPredictor(Lengths(log), store=tmp_path / "typo.sqlite").fit(None)
    assert model.cache_info().stored == 0
    model.cache_clear()
    model.cache_prune(items_limit=0)
    assert not (tmp_path / "typo.sqlite").exists()
    with pytest.raises(ValueError, match="'store' parameter"):
        model.set_params(store=5).cache_info()


def test_a_call_that_failed_is_not_counted(store):
    def fails(X):
        raise RuntimeError("no")

    model = DedupPredictor(FunctionTransformer(fails), store=store).fit(X_ROWS)
    with pytest.raises(RuntimeError):
        model.transform(X_ROWS)
    assert model.cache_info().misses == 0


def test_the_progress_bar_counts_distinct_inputs(store, log, capsys):
    model = DedupPredictor(Lengths(log), store=store, verbose=1).fit(None)
    model.predict(["a", "b", "a"])
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "predict" in shown.err
    assert "2 of 2 distinct inputs" in shown.err
    model.set_params(verbose=0).predict(["a", "c"])
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"store": 7}, "'store' parameter of DedupPredictor must be"),
        ({"items_limit": -1}, "'items_limit' parameter of DedupPredictor must be"),
        ({"fingerprint": 1}, "'fingerprint' parameter of DedupPredictor must be"),
    ],
)
def test_bad_parameters_are_refused(text_model, params, message):
    with pytest.raises(ValueError, match=message):
        DedupPredictor(FrozenEstimator(text_model), **params).predict(TRAIN)
