"""Fingerprints: the same as long as an estimator answers the same, and no longer."""

import copy
import datetime
import enum
import functools
import importlib
import json
import os
import pickle
import re
import shutil
import subprocess
import sys
import textwrap
import threading
import time
import warnings
import zlib
from collections import Counter, OrderedDict, defaultdict
from dataclasses import dataclass, field
from decimal import Decimal
from importlib.machinery import EXTENSION_SUFFIXES
from types import ModuleType, SimpleNamespace
from typing import Generic, NamedTuple, TypeVar

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.sparse import csr_array
from sklearn import config_context
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin, clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.callback import ProgressBar
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestClassifier, StackingClassifier, VotingClassifier
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, Ridge, SGDClassifier
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV
from sklearn.multiclass import OneVsRestClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.utils import all_estimators

from skbert_filter.duplicates.fingerprints import check_fingerprint, content_digest, fingerprint

TEXTS = ["View all", "Contact us", "We make soap", "Soap for ships", "The menu", "Skip"] * 3
LABELS = [0, 0, 1, 1, 0, 0] * 3
METHODS = ("transform", "predict", "predict_proba", "decision_function", "score_samples")


def pickled(value):
    return pickle.loads(pickle.dumps(value))


def run(script, *arguments, stdin=b"", seed="7"):
    environment = {**os.environ, "PYTHONHASHSEED": seed}
    command = [sys.executable, *map(str, [script, *arguments])]
    return subprocess.run(
        command, input=stdin, stdout=subprocess.PIPE, env=environment, check=True
    ).stdout


def defined(source, **names):
    """Return what a cell of a notebook defines, after a blank line or two."""
    names = {"__name__": "__main__", **names}
    exec(compile(textwrap.dedent(source), "cell", "exec"), names)
    return SimpleNamespace(**names)


@pytest.fixture
def model():
    words = TfidfVectorizer(stop_words=["us"])
    characters = TfidfVectorizer(analyzer="char", ngram_range=(2, 3))
    union = FeatureUnion([("words", words), ("characters", characters)])
    model = make_pipeline(union, LogisticRegression())
    return model.fit(TEXTS, LABELS)


def assert_stable(value):
    check_fingerprint(value)
    assert fingerprint(pickled(value)) == fingerprint(value)
    assert fingerprint(copy.deepcopy(value)) == fingerprint(value)


def test_it_is_128_bits_in_hexadecimal(model):
    assert re.fullmatch("[0-9a-f]{32}", fingerprint(model))


def test_it_survives_predicting_pickling_and_joblib(model, tmp_path):
    before = fingerprint(model)
    model.predict_proba(TEXTS)
    assert fingerprint(model) == before
    assert_stable(model)
    joblib.dump(model, tmp_path / "model.joblib")
    for mode in (None, "r"):
        assert fingerprint(joblib.load(tmp_path / "model.joblib", mmap_mode=mode)) == before
    again = pickled(model)
    again.predict(TEXTS)
    assert fingerprint(again) == before


def test_an_equal_fit_has_an_equal_fingerprint(model):
    assert fingerprint(clone(model).fit(TEXTS, LABELS)) == fingerprint(model)


@pytest.mark.parametrize(
    "change",
    [
        lambda model: model.fit(TEXTS[1:], LABELS[1:]),
        lambda model: model.fit(TEXTS, ["drop" if label else "keep" for label in LABELS]),
        lambda model: model.fit(TEXTS, [1 - label for label in LABELS]),
        lambda model: model.set_params(logisticregression__C=2.0),
        lambda model: model.set_params(featureunion__words__lowercase=False),
        lambda model: model.set_params(featureunion__words="drop"),
        lambda model: model[-1].coef_.__setitem__((0, 0), model[-1].coef_[0, 0] + 1e-9),
        lambda model: model[-1].classes_.__setitem__(slice(None), [1, 0]),
        lambda model: setattr(model[-1], "coef_", model[-1].coef_.astype(np.float32)),
        lambda model: setattr(model[-1], "classes_", model[-1].classes_.astype(float)),
        lambda model: model[0].transformer_list[0][1].vocabulary_.update(ships=0),
        lambda model: model[0].transformer_list.reverse(),
        lambda model: setattr(model[0], "transformer_weights", {"words": 2}),
    ],
)
def test_a_change_of_the_model_changes_it(model, change):
    before = fingerprint(model)
    change(model)
    assert fingerprint(model) != before


def test_the_class_counts():
    assert fingerprint(TfidfVectorizer()) != fingerprint(CountVectorizer())
    assert fingerprint(Ridge(1)) != fingerprint(Ridge(1.0)) != fingerprint(Ridge(True))


def test_what_concerns_fitting_only_does_not_count(model):
    before = fingerprint(model)
    model.set_callbacks(ProgressBar())
    with config_context(enable_metadata_routing=True):
        model[-1].set_fit_request(sample_weight=True)
    assert fingerprint(model) == before


def test_the_container_of_results_counts():
    scaler = StandardScaler().fit([[0.0], [1.0]])
    before = fingerprint(scaler)
    assert fingerprint(scaler.set_output(transform="pandas")) != before


def test_a_frozen_estimator_counts_as_what_it_holds(model):
    assert fingerprint(FrozenEstimator(model)) == fingerprint(model)
    frozen_step = Pipeline([(name, FrozenEstimator(step)) for name, step in model.steps])
    assert fingerprint(frozen_step) == fingerprint(model)


CHILD = """
import pickle, sys
from skbert_filter.duplicates.fingerprints import fingerprint
models = pickle.load(sys.stdin.buffer)
print({name: fingerprint(pickle.loads(model)) for name, model in models.items()})
"""


def estimators():
    logistic, trees = LogisticRegression(), RandomForestClassifier(3, random_state=0)
    yield from (
        ("Calibrated", CalibratedClassifierCV(logistic, cv=2)),
        ("Columns", ColumnTransformer([("a", StandardScaler(), [0])], remainder="passthrough")),
        ("Frozen", FrozenEstimator(logistic)),
        ("Grid", GridSearchCV(logistic, {"C": [1, 2]}, cv=2)),
        ("OneVsRest", OneVsRestClassifier(logistic)),
        ("Pipeline", make_pipeline(StandardScaler(), trees)),
        ("Randomized", RandomizedSearchCV(logistic, {"C": [1, 2]}, n_iter=1, cv=2)),
        ("Stacking", StackingClassifier([("a", logistic), ("b", trees)], cv=2)),
        ("Voting", VotingClassifier([("a", logistic), ("b", trees)])),
        ("BallTree", KNeighborsClassifier(algorithm="ball_tree")),
        ("RandomStarts", SGDClassifier(random_state=np.random.RandomState(3))),
    )
    for name, Estimator in all_estimators():
        try:
            estimator = Estimator()
        except TypeError:  # it needs arguments
            continue
        small = {"n_estimators": 3, "max_iter": 5, "Cs": 2} | {"n_init": 1, "max_subpopulation": 9}
        yield (
            name,
            estimator.set_params(
                **{key: small[key] for key in small.keys() & estimator.get_params().keys()}
            ),
        )


def test_scikit_learns_estimators_keep_it_when_they_predict_and_in_another_process(tmp_path):
    rng = np.random.RandomState(0)
    X = np.abs(rng.randn(30, 4))
    y = (X[:, 0] > X[:, 0].mean()).astype(int)
    prints, saved, unstable = {}, {}, []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, estimator in estimators():
            for data in (X, TEXTS, y, [{"a": 1}] * 30, [["a"], ["b"]] * 15):
                try:
                    estimator.fit(data, y[: len(data)])
                    break
                except Exception:
                    continue
            else:
                continue
            prints[name] = fingerprint(estimator)
            saved[name] = pickle.dumps(estimator)
            check_fingerprint(estimator)
            for method in METHODS:
                try:
                    getattr(estimator, method)(data)
                except Exception:
                    continue
            if {fingerprint(estimator), fingerprint(pickled(estimator))} != {prints[name]}:
                unstable.append(name)
    assert len(prints) > 150
    assert unstable == []
    assert len(set(prints.values())) == len(prints)
    (tmp_path / "child.py").write_text(CHILD)
    assert eval(run(tmp_path / "child.py", stdin=pickle.dumps(saved))) == prints


SCRIPT = """
import sys
from enum import Enum
from pathlib import Path
import numpy as np
from joblib import Parallel, delayed
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.feature_extraction.text import CountVectorizer
sys.path.insert(0, str(Path(__file__).parent / "site-packages"))
import cleaning
import released, installed, upgraded, loose
from cleaning import STOP, tidy
from skbert_filter.duplicates.fingerprints import check_fingerprint, fingerprint

class Case(Enum):
    LOWER = "lower"
    UPPER = "upper"

def fold(text, case=Case.LOWER):
    return getattr(text, case.value)()

class Words(set):
    pass

class Shorten(TransformerMixin, BaseEstimator):
    names = {"one", "two", "three"}
    words = Words("abcdefgh")

    def __init__(self, width=10):
        self.width = width

    def fit(self, X, y=None):
        self.table_ = np.zeros(200_000)
        return super().fit(X, y) if hasattr(super(), "fit") else self

    def transform(self, X):
        return [[fold(text)[: self.width] in {"a", "b", "c"}] for text in X]

def local(text):
    from cleaning import tidy
    return tidy(text)

def main():
    models = {
        "class": Shorten(),
        "fitted": Shorten().fit(["a"]),
        "function": CountVectorizer(analyzer=fold),
        "lambda": CountVectorizer(analyzer=lambda text: fold(text, Case.UPPER)),
        "unused": CountVectorizer(preprocessor=lambda text: cleaning.unused),
        "imported": CountVectorizer(preprocessor=tidy),
        "imported inside": CountVectorizer(analyzer=local),
        "from a module": CountVectorizer(preprocessor=lambda text: cleaning.tidy(text)),
        "from any of a module": CountVectorizer(preprocessor=lambda text: vars(cleaning)),
        "released": CountVectorizer(preprocessor=released.tidy),
        "installed": CountVectorizer(preprocessor=installed.tidy),
        "upgraded": CountVectorizer(preprocessor=upgraded.tidy),
        "loose": CountVectorizer(preprocessor=loose.tidy),
    }
    for model in models.values():
        check_fingerprint(model)
    here = {name: fingerprint(model) for name, model in models.items()}
    if "workers" in sys.argv:
        own = list(models)[:4]
        there = Parallel(n_jobs=2)(delayed(fingerprint)(models[name]) for name in own)
        assert there == [here[name] for name in own]
    print(here)

if __name__ == "__main__":
    main()
"""
CLEANING = """
STOP = {"the", "a", "of", "and"}
unused = 3

def tidy(text):
    return [word for word in split(text) if word not in STOP]

def split(text):
    return text.split()
"""


def install(folder, name, code, *, version=None, url=None):
    """Write a module, and the records that pip would leave of it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.py").write_text(code)
    if version is None:
        return
    for old in folder.glob(f"{name}-*"):
        shutil.rmtree(old)
    records = folder / f"{name}-{version}.dist-info"
    records.mkdir()
    (records / "METADATA").write_text(f"Name: {name}\nVersion: {version}\n")
    (records / "RECORD").write_text(f"{name}.py,sha256={zlib.crc32(code.encode())},{len(code)}\n")
    if url:
        (records / "direct_url.json").write_text(json.dumps({"url": url, "dir_info": {}}))


def test_what_a_script_uses_counts_by_its_code_or_version(tmp_path):
    packages = tmp_path / "site-packages"
    (tmp_path / "first.py").write_text(SCRIPT)
    (tmp_path / "second.py").write_text("# moved\n\n" + SCRIPT.replace("class ", "\n\nclass "))
    (tmp_path / "cleaning.py").write_text(CLEANING)
    install(packages, "released", CLEANING, version="1.0")
    install(packages, "installed", CLEANING, version="1.0", url="file:///home/me/installed")
    install(packages, "upgraded", CLEANING, version="1.0")
    install(packages, "loose", CLEANING)
    before = eval(run(tmp_path / "first.py", "workers", seed="1"))
    # The code of users is equal wherever it lies.
    assert before["loose"] == before["imported"]
    assert len(set(before.values())) == len(before) - 1

    edited = CLEANING.replace("split()", "split(' ')")
    (tmp_path / "cleaning.py").write_text(edited)
    install(packages, "released", edited, version="1.0")
    install(packages, "installed", edited, version="1.0", url="file:///home/me/installed")
    install(packages, "upgraded", CLEANING, version="1.1")
    install(packages, "loose", edited)
    after = eval(run(tmp_path / "second.py", seed="2"))
    assert {name for name in before if after[name] != before[name]} == {
        *("imported", "imported inside", "from a module", "from any of a module"),
        *("installed", "upgraded", "loose"),
    }


def test_compiled_code_of_users_counts_by_its_file(tmp_path, monkeypatch):
    def built(content):
        file = tmp_path / content / f"speedups{EXTENSION_SUFFIXES[0]}"
        file.parent.mkdir(exist_ok=True)
        file.write_text(content)
        module = ModuleType("speedups")
        module.__file__ = str(file)
        module.Tokens = type("Tokens", (), {"__module__": "speedups", "__qualname__": "Tokens"})
        monkeypatch.setitem(sys.modules, "speedups", module)
        return fingerprint(module.Tokens())

    assert built("a") == built("a") != built("b")


BASE = """
    import numpy as np
    from math import sqrt
    LIMIT = 3

    def helper(text):
        return text.split()

    def size(word):
        return len(word)

    def analyze(text, least=1, *, most=9):
        inner = lambda word: least <= size(word) <= most
        return [word for word in helper(text) if inner(word)][:LIMIT]

    class Parent:
        def scale(self, x):
            return np.abs(x)

    class Child(Parent):
        factor = 2

        @property
        def size(self):
            return self.factor

        @staticmethod
        def shift(x):
            return x + 1

        def predict(self, x):
            return self.shift(super().scale(x)) * self.size

    def outer(word):
        def made(text):
            return text + word
        return made
"""


@pytest.mark.parametrize(
    ("old", "new", "changed"),
    [
        ("LIMIT = 3", "LIMIT = 4", {"analyze"}),
        ("LIMIT = 3", "LIMIT = 3  # words", set()),
        ("text.split()", "text.split('-')", {"analyze"}),
        ("return len(word)", "return 2 * len(word)", {"analyze"}),
        ("least=1", "least=2", {"analyze"}),
        ("most=9", "most=8", {"analyze"}),
        ("<= most", "< most", {"analyze"}),
        ("np.abs", "np.square", {"Child"}),
        ("factor = 2", "factor = 3", {"Child"}),
        ("return self.factor", "return -self.factor", {"Child"}),
        ("x + 1", "x + 2", {"Child"}),
        ("class Child(Parent)", "class Child", {"Child"}),
        ("text + word", "word + text", {"made"}),
        ("import sqrt", "import cos as sqrt", set()),
    ],
)
def test_code_of_a_notebook_counts(old, new, changed):
    assert old in BASE
    before, after = (defined(source) for source in (BASE, "\n\n" + BASE.replace(old, new)))
    parts = {
        "analyze": lambda cell: FunctionTransformer(cell.analyze),
        "Child": lambda cell: make_pipeline(StandardScaler(), cell.Child()),
        "made": lambda cell: CountVectorizer(preprocessor=cell.outer("a")),
    }
    for name, part in parts.items():
        assert (fingerprint(part(before)) != fingerprint(part(after))) == (name in changed), name


def test_what_a_function_holds_counts():
    cell = defined(BASE)
    a, again, b = map(cell.outer, "aab")
    assert fingerprint(a) == fingerprint(again) != fingerprint(b)
    partial = functools.partial(cell.analyze, least=2)
    assert fingerprint(partial) != fingerprint(functools.partial(cell.analyze, least=3))
    child, other = cell.Child(), cell.Child()
    other.factor = 5
    assert fingerprint(child.predict) != fingerprint(child.scale)
    assert fingerprint(child.predict) != fingerprint(other.predict)
    before = fingerprint(cell.analyze)
    cell.analyze.words = ["a"]
    assert fingerprint(cell.analyze) != before


def test_a_function_that_passes_for_a_librarys_counts_by_its_code():
    source = "def log1p(x):\n    return x + {}\nlog1p.__module__ = 'numpy'"
    one, other = (defined(source.format(i), __name__="numpy").log1p for i in (1, 2))
    assert fingerprint(one) != fingerprint(other)
    named = "def log1p(x):\n    return limit"
    one, other = (defined(named, __name__="numpy", limit=i).log1p for i in (1, 2))
    assert fingerprint(one) != fingerprint(other)


def test_redefining_a_helper_changes_it():
    cell = defined(BASE)
    model = CountVectorizer(analyzer=cell.analyze)
    before = fingerprint(model)
    cell.analyze.__globals__["helper"] = lambda text: list(text)
    assert fingerprint(model) != before


def test_a_missing_attribute_of_a_module_is_not_none(monkeypatch):
    settings = ModuleType("settings")
    monkeypatch.setitem(sys.modules, "settings", settings)
    cell = defined("""
        import settings
        def read(text):
            return getattr(settings, "width", 5)
        def named(text):
            try:
                return settings.width
            except AttributeError:
                return 5
        def imported(text):
            try:
                from settings import width
            except ImportError:
                return 5
            return width
    """)
    functions = (cell.read, cell.named, cell.imported)
    missing = list(map(fingerprint, functions))
    settings.width = None
    none = list(map(fingerprint, functions))
    settings.width = 5
    five = list(map(fingerprint, functions))
    for three in zip(missing, none, five, strict=True):
        assert len(set(three)) == 3


def test_recursion_and_circles_end():
    cell = defined("""
        def even(n):
            return n == 0 or odd(n - 1)
        def odd(n):
            return n != 0 and even(n - 1)
    """)
    assert fingerprint(cell.even) != fingerprint(cell.odd)
    chain = "def f0(x): return x\n" + "\n".join(
        f"def f{i}(x): return f{i - 1}(x)" for i in range(1, 100)
    )
    assert fingerprint(defined(chain).f99) != fingerprint(defined(chain + " + 1").f99)

    left, right = [1], [2]
    left.append(right)
    right.append(left)
    assert fingerprint(pickled([left, right])) == fingerprint([left, right])
    assert fingerprint([left, right]) != fingerprint([right, left])
    a, b, c, d = [], [], [], []
    for x, y in ((a, b), (b, a), (c, d), (d, c)):
        x.append(y)
    assert fingerprint([a, [b]]) != fingerprint([a, c])


def test_what_pickle_can_nest_is_hashed():
    for holder in (lambda inner: [inner], lambda inner: SimpleNamespace(inner=inner)):
        deep = functools.reduce(lambda inner, _, holder=holder: holder(inner), range(270), [])
        assert fingerprint(pickled(deep)) == fingerprint(deep)


def test_shared_and_equal_parts_are_the_same():
    text, array, part = "a b", np.arange(3.0), [1, 2]
    equal = ["".join(["a", " b"]), text], [array.copy(), array], [[1, 2], part]
    assert fingerprint([[text, text], [array, array], [part, part]]) == fingerprint(list(equal))


class Scale:
    up = lambda self, x: 2 * x  # noqa: E731
    down = lambda self, x: x / 2  # noqa: E731


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Scale().up, Scale().down),
        (np.log1p, np.log),
        (np.log1p, importlib.import_module("scipy.special").log1p),
        (str.split, str.rsplit),
        ("a".split, "b".split),
        (len, print),
        (np, re),
        (np.mean, np.median),
        (lambda x: x + 1, lambda x: x + 1.0),
        (lambda x: x.a, lambda x: x.b),
        (lambda x: x in {1, 2}, lambda x: x in {1, 3}),
        (lambda x: np.cos(x), lambda x: joblib.cos(x)),
        (re.compile("a"), re.compile("a", re.I)),
        (np.random.RandomState(0), np.random.RandomState(1)),
        (np.random.default_rng(0), np.random.default_rng(1)),
        (functools.lru_cache(lambda x: x), functools.lru_cache(lambda x: -x)),
        (Ridge, StandardScaler),
        (Ridge().fit, Ridge().predict),
        (np.vectorize(lambda x: x), np.vectorize(lambda x: -x)),
    ],
)
def test_callables_of_all_kinds_are_told_apart(one, other):
    assert fingerprint([one]) != fingerprint([other])
    check_fingerprint(one)


class Colour(enum.Enum):
    RED = 1
    BLUE = 2


@dataclass(frozen=True)
class Point:
    x: int = 1
    names: list = field(default_factory=list)


class Pair(NamedTuple):
    left: int
    right: str = "r"


class Slots:
    __slots__ = ("__dict__", "a", "b")

    def __init__(self, a, c):
        self.a, self.c = a, c


Kind = TypeVar("Kind")


class Box(Generic[Kind]):
    def __init__(self, item):
        self.item = item


class Words(list):
    pass


class Tags(frozenset):
    pass


PAIRS = [
    ([1, 2], (1, 2)),
    ([1, 2], [1, 2.0]),
    ([1], [True]),
    (["a", "b"], ["ab", ""]),
    (["a\0", "b"], ["a", "\0b"]),
    (["\ud800"], ["\udc00"]),
    (["a"], [b"a"]),
    ([2**70, 1], [2**70, 2]),
    ([NotImplemented], [None]),
    ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
    ({"a": 1}, {"a": np.int64(1)}),
    ({1, "a"}, {1, "b"}),
    ({1}, frozenset({1})),
    (np.zeros((2, 3)), np.zeros((3, 2))),
    (np.zeros(2), np.zeros(2, np.int64)),
    (np.array(["a", "b"]), np.array(["a", "b"], object)),
    (np.array(["a", 1], object), np.array(["a", 1.0], object)),
    (np.array(0.0), np.array([0.0])),
    (np.array([], "U1"), np.array([], "U2")),
    (np.array(["2020"], "M8[Y]"), np.array(["2020"], "M8[s]")),
    ([np.timedelta64(60, "s")], [np.timedelta64(1, "m")]),
    ([np.int64(1), np.int64(2)], [np.int32(1), np.int32(2)]),
    ([np.float64(1), np.float64(2)], [1.0, 2.0]),
    (np.longdouble(1), np.longdouble(2)),
    (np.rec.array([(1, 2.0)]), np.rec.array([(1, 3.0)])),
    (np.ma.array([1, 2], mask=[0, 1]), np.ma.array([1, 2], mask=[1, 0])),
    (csr_array(np.eye(2)), csr_array(np.eye(2)[::-1])),
    (datetime.date(2020, 1, 1), datetime.datetime(2020, 1, 1)),
    (datetime.timedelta(1), datetime.timedelta(1, 1)),
    (Decimal("1.0"), Decimal("1.00")),
    (Colour.RED, Colour.BLUE),
    (Point(), Point(2)),
    (Pair(1), (1, "r")),
    (Slots(1, 2), Slots(1, 3)),
    (Slots(1, 2), Slots(2, 2)),
    (Box("a"), Box("b")),
    (Words(["a"]), ["a"]),
    (Words(["a"]), Words(["b"])),
    (Tags("a"), Tags("b")),
    (Tags("a"), frozenset("a")),
    (OrderedDict(a=1), {"a": 1}),
    (defaultdict(list, a=[]), defaultdict(set, a=[])),
    (Counter("aab"), Counter("abb")),
    (pd.Series([1, 2]), pd.Series([1, 3])),
    (pd.Series(["a", None]), pd.Series(["a", "b"])),
    (pd.Series(["a", "b"]), pd.Series(["a", "b"], dtype="category")),
    (pd.Series([1, 2]), pd.Series([1, 2], dtype="Int64")),
    (pd.DataFrame({"a": [1]}), pd.DataFrame({"b": [1]})),
    (pd.DataFrame({"a": [1]}, index=[1]), pd.DataFrame({"a": [1]}, index=[2])),
    (pd.Index(["a"]), pd.Index(["a"], name="x")),
    (pd.Timestamp("2020", tz="UTC"), pd.Timestamp("2020", tz="Europe/Oslo")),
    (pl.Series([1, 2]), pl.Series([1, 3])),
    (pl.DataFrame({"a": [1]}), pl.DataFrame({"a": [1.0]})),
    (pa.table({"a": [1]}), pa.table({"b": [1]})),
    (pa.array([1], pa.int8()), pa.array([1], pa.int16())),
    (pa.chunked_array([["a"], ["b"]]), pa.chunked_array([["a"], ["c"]])),
]


@pytest.mark.parametrize(("one", "other"), PAIRS, ids=[str(i) for i in range(len(PAIRS))])
def test_values_of_all_kinds_are_told_apart_and_survive_pickling(one, other):
    assert fingerprint(one) != fingerprint(other)
    assert_stable(one)
    assert_stable(other)


def test_the_layout_of_an_array_in_memory_does_not_count():
    array = np.arange(12.0).reshape(3, 4)
    spread = np.zeros((6, 8))
    spread[::2, ::2] = array
    swapped = array.astype(">f8")
    for same in (np.asfortranarray(array), spread[::2, ::2], array[::-1][::-1], swapped):
        assert fingerprint(same) == fingerprint(array)


def test_padding_does_not_count():
    kind = np.dtype([("a", "i1"), ("b", "f8")], align=True)
    one = np.frombuffer(b"\0" * 32, kind)
    other = np.frombuffer(b"\0\1" + b"\0" * 30, kind)
    assert fingerprint(one) == fingerprint(other)
    changed = other.copy()
    changed["b"][1] = 1
    assert fingerprint(changed) != fingerprint(one)


@pytest.mark.skipif(np.finfo(np.longdouble).nmant != 63, reason="no padding on this machine")
def test_padding_of_long_doubles_does_not_count():
    one = np.array([1, 2], np.longdouble)
    padded = bytearray(one.tobytes())
    padded[-1] = 7
    assert fingerprint(np.frombuffer(padded, np.longdouble)) == fingerprint(one)


def test_what_sparse_matrices_find_out_about_themselves_does_not_count():
    matrix = csr_array(np.eye(3))
    before = fingerprint(matrix)
    assert matrix.has_canonical_format
    assert fingerprint(matrix) == before


class Remote(ClassifierMixin, BaseEstimator):
    """A model somewhere else, that says itself which one it is."""

    def __init__(self, version="a"):
        self.version = version

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        self.session_ = threading.Lock()
        return self

    @property
    def fingerprint_(self):
        return self.version

    def predict_proba(self, X):
        return np.full((len(X), 2), 0.5)


class Warmer(Remote):
    """Has more to it than the inherited fingerprint knows of."""

    def __init__(self, version="a", heat=1):
        super().__init__(version)
        self.heat = heat


def test_an_own_fingerprint_stands_for_the_object():
    def nested(version):
        remote = Remote(version).fit(TEXTS, LABELS)
        voting = VotingClassifier([("remote", FrozenEstimator(remote))]).fit(TEXTS, LABELS)
        return [make_pipeline(TfidfVectorizer(), remote), voting]

    for one, same, other in zip(nested("a"), nested("a"), nested("b"), strict=True):
        assert fingerprint(one) == fingerprint(same) != fingerprint(other)
        check_fingerprint(one)
    holder = SimpleNamespace(fingerprint_="a", session=threading.Lock())
    assert fingerprint(holder) == fingerprint(SimpleNamespace(fingerprint_="a"))


def test_an_inherited_fingerprint_does_not_hide_a_parameter():
    assert fingerprint(Warmer()) != fingerprint(Warmer(heat=2))
    with pytest.raises(TypeError, match=r"estimator\.session_ is of type _thread\.lock"):
        fingerprint(Warmer().fit(TEXTS, LABELS))


def test_a_small_bert_filter_counts_by_its_fingerprint(binary, brief):
    assert fingerprint(pickled(binary)) == fingerprint(binary) != fingerprint(brief)
    in_a_pipeline = make_pipeline(FunctionTransformer(), binary)
    assert_stable(in_a_pipeline)
    assert fingerprint(in_a_pipeline) != fingerprint(make_pipeline(FunctionTransformer(), brief))


def test_a_live_keras_model_is_refused():
    import keras

    holder = SimpleNamespace(model=keras.Sequential([keras.layers.Input((1,))]))
    with pytest.raises(TypeError, match=r"estimator\.model is of type keras\..*Sequential"):
        fingerprint(holder)


class Session(TransformerMixin, BaseEstimator):
    def __init__(self, session=None):
        self.session = session


def locked():
    cell = defined("""
        import threading
        LOCK = threading.Lock()
        def analyze(text):
            with LOCK:
                return text.split()
    """)
    return cell.analyze


@pytest.mark.parametrize(
    ("session", "path"),
    [
        (threading.Lock(), "session is of type _thread.lock"),
        ([1, (letter for letter in "ab")], "session[1] is of type builtins.generator"),
        ({"out": sys.__stdout__}, "session['out'] is of type _io.TextIOWrapper"),
        (np.frompyfunc(abs, 1, 1), "session is of type numpy.ufunc"),
        (locked(), "session.__globals__['LOCK'] is of type _thread.lock"),
        (functools.reduce(lambda inner, _: [inner], range(2000), []), "session[0][0]..."),
    ],
)
def test_what_cannot_be_hashed_is_refused_by_name_with_a_remedy(session, path):
    model = make_pipeline(StandardScaler(), Session(session))
    with pytest.raises(TypeError, match=re.escape("estimator.steps[1][1]." + path[:40])) as error:
        fingerprint(model)
    assert 'Pass fingerprint="v1" to DedupPredictor' in str(error.value)


class Clock:
    def __init__(self, read):
        self.read = read

    def __getstate__(self):
        return {"settings": {"name": "clock", "opened": self.read()}}

    def __setstate__(self, state):
        self.read = time.perf_counter_ns


def test_a_state_that_changes_by_itself_is_refused_by_name():
    with pytest.raises(
        TypeError, match=r"estimator\.session\.settings\['opened'\] changes"
    ) as error:
        check_fingerprint(Session(Clock(time.perf_counter_ns)))
    assert 'fingerprint="v1"' in str(error.value)


def test_what_does_not_pickle_can_be_filed_all_the_same():
    check_fingerprint(CountVectorizer(analyzer=lambda text: text.split()))
    check_fingerprint(Session([np, lambda x: x]))


PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(st.characters())
    | st.binary()
    | st.decimals(allow_nan=False)
    | st.datetimes(),
    lambda values: (
        st.lists(values)
        | st.tuples(values, values)
        | st.dictionaries(st.text() | st.integers(), values)
    ),
    max_leaves=20,
)


def spelled(value):
    """Equal exactly for values that are the same, -0.0 and 1.0 apart from 0.0 and 1."""
    return ascii(value)


@given(PLAIN, PLAIN)
def test_plain_data_are_told_apart_and_survive_pickling(one, other):
    assert fingerprint(pickled(one)) == fingerprint(one)
    assert fingerprint(copy.deepcopy([one, other])) == fingerprint([one, other])
    assume(spelled(one) != spelled(other))
    assert fingerprint(one) != fingerprint(other)
    assert fingerprint([one, other]) != fingerprint([other, one])


@given(st.lists(st.text(max_size=3), max_size=4), st.lists(st.text(max_size=3), max_size=4))
def test_lists_of_texts_are_told_apart(one, other):
    assert (fingerprint(one) == fingerprint(other)) == (one == other)
    assert (fingerprint(np.array(one, object)) == fingerprint(np.array(other, object))) == (
        one == other
    )


CELLS = [
    *(1, 1.0, True, "1", b"1", None, np.int64(1), np.int32(1), np.float64(1), np.float32(1)),
    *(Decimal(1), 1j, np.bool_(True), np.str_("1"), float("inf"), "", "\ud800", 2**80, (1,)),
    *(float("nan"), np.float32("nan"), pd.NA, pd.NaT, 0, 0.0, np.float64(0), 0j),
    *(datetime.date(2020, 1, 1), datetime.datetime(2020, 1, 1), pd.Timestamp("2020-01-01")),
    *(pd.Timestamp("2020-01-01", tz="UTC"), np.datetime64("2020"), datetime.time(1)),
    *(datetime.timedelta(1), pd.Timedelta(1)),
]


def test_cells_of_another_type_have_another_digest():
    assert len({content_digest(cell) for cell in CELLS}) == len(CELLS)
    for cell in CELLS:
        assert len(content_digest(cell)) == 16
        assert content_digest(pickled(cell)) == content_digest(cell)


@pytest.mark.parametrize("kind", [float, complex, np.float32, np.complex64, np.longdouble])
def test_zeros_and_missing_numbers_are_equal_whatever_their_bits(kind):
    assert content_digest(kind("-0.0")) == content_digest(kind("0.0"))
    assert content_digest(-kind("nan")) == content_digest(kind("nan"))


def test_a_cell_that_cannot_be_hashed_is_refused():
    with pytest.raises(TypeError, match=r"value\[1\] is of type _thread\.lock.*store=None"):
        content_digest([1, threading.Lock()])


class Grams(np.float64):
    """A number of the user's own kind."""


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Grams(1.0), np.float64(1.0)),
        (10**5000, 10**5000 + 1),
        (pd.CategoricalIndex(["x"], ["x", "y"]), pd.CategoricalIndex(["x"], ["y", "x"])),
    ],
    ids=["subclass of a scalar", "large integers", "order of categories"],
)
def test_what_looks_alike_and_is_not(one, other):
    assert fingerprint([one]) != fingerprint([other])
    assert fingerprint([one]) == fingerprint([one])


def test_attributes_of_tables_count():
    table = pd.DataFrame({"a": [1]})
    before = fingerprint(table)
    table.attrs["unit"] = "g"
    assert fingerprint(table) != before
