"""DedupPredictor: each distinct input once, and otherwise the wrapped estimator."""

import pickle
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array, issparse
from sklearn import config_context
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin, clone, is_classifier
from sklearn.callback import ProgressBar, ScoringMonitor
from sklearn.cluster import DBSCAN, KMeans
from sklearn.compose import make_column_transformer
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV, cross_val_predict, cross_val_score
from sklearn.neighbors import KernelDensity
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
from sklearn.svm import LinearSVC, OneClassSVM
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils import get_tags
from sklearn.utils._repr_html.estimator import estimator_html_repr
from sklearn.utils.estimator_checks import estimator_checks_generator

from skbert_filter import DedupPredictor, DedupStratifiedKFold

WORDS = ["view", "all", "contact", "us", "soap", "tea", "made", "by", "hand", "we"]
TEXTS = st.lists(st.lists(st.sampled_from(WORDS), max_size=3).map(" ".join), min_size=1)
METHODS = (
    "predict",
    "predict_proba",
    "predict_log_proba",
    "decision_function",
    "transform",
    "score_samples",
    "score",
)
TRAIN = ["view all", "contact us", "tea made by hand", "we hand soap", "us", "soap"]
LABELS = ["discard", "discard", "keep", "keep", "discard", "keep"]


class Recorder(ClassifierMixin, BaseEstimator):
    """Remembers every input of every call; says whether a text has an upper-case letter."""

    calls: list  # of all instances, as clones do not share what they learn

    def fit(self, X, y, sample_weight=None):
        self.classes_ = np.unique(y)
        self.fitted_on_ = X
        self.weights_ = sample_weight
        return self

    def predict(self, X):
        type(self).calls.append(X)
        return np.array([text != text.lower() for text in np.ravel(X)])

    def predict_proba(self, X):
        yes = self.predict(X)
        return np.column_stack([~yes, yes]).astype(float)


@pytest.fixture
def recorder(monkeypatch):
    monkeypatch.setattr(Recorder, "calls", [], raising=False)
    return Recorder()


@pytest.fixture(scope="module")
def text_model():
    return make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(TRAIN, LABELS)


# scikit-learn's checks. They are generated for the wrapped estimator, as those that
# depend on its signature (sample weights) are not generated for a meta-estimator.

NOT_OF_A_META_ESTIMATOR = {
    "check_sparsify_coefficients": "sparsify is no method of prediction",
    "check_class_weight_classifiers": "sets class_weight, here estimator__class_weight",
    "check_class_weight_balanced_linear_classifier": "as above",
    "check_estimator_sparse_array": "sets with_mean, here estimator__with_mean",
    "check_estimator_sparse_matrix": "as above",
    "check_non_transformer_estimators_n_iter": "the wrapped Ridge() does not pass",
    "check_array_api_input": "needs SCIPY_ARRAY_API to be set",
    "check_array_api_mixed_inputs": "as above",
    "check_array_api_same_namespace": "as above",
}
WITHOUT_THOSE_PARAMETERS = {
    LogisticRegression: ("check_estimator_sparse_array", "check_estimator_sparse_matrix"),
    Ridge: ("check_estimator_sparse_array", "check_estimator_sparse_matrix"),
    StandardScaler: (),
    OneClassSVM: ("check_estimator_sparse_array", "check_estimator_sparse_matrix"),
}
NOT_PASSED_BY_ITSELF = {
    (OneClassSVM, "check_sample_weight_equivalence_on_dense_data"),
    (OneClassSVM, "check_sample_weight_equivalence_on_sparse_data"),
}


def scikit_learn_checks():
    for kind, applicable in WITHOUT_THOSE_PARAMETERS.items():
        for estimator, check in estimator_checks_generator(kind(), mark=None):
            name = check.func.__name__
            if (kind, name) in NOT_PASSED_BY_ITSELF:
                continue
            if name in applicable or name not in NOT_OF_A_META_ESTIMATOR:
                yield pytest.param(estimator, check, id=f"{kind.__name__}-{name}")


@pytest.mark.filterwarnings("ignore:lbfgs failed to converge")
@pytest.mark.parametrize(("estimator", "check"), list(scikit_learn_checks()))
def test_scikit_learn_check_of_the_wrapped_estimator(estimator, check):
    check(DedupPredictor(clone(estimator)))


# Each distinct input once.


def test_each_distinct_text_is_given_once_in_chunks(recorder):
    X = ["b", "a", "b", "C", "a", "d", "b"]
    model = DedupPredictor(recorder, chunk_size=3).fit(X, [0, 1] * 3 + [0])
    assert model.estimator_.fitted_on_ is X
    assert model.predict(X).tolist() == [False, False, False, True, False, False, False]
    assert recorder.calls == [["b", "a", "C"], ["d"]]


def test_each_distinct_row_is_given_once():
    given_rows = []

    def record(X):
        given_rows.append(X)
        return X

    X = np.array([[1.0, np.nan], [0.0, 1.0], [1.0, np.nan], [-0.0, 1.0]])
    model = DedupPredictor(FunctionTransformer(record)).fit(X)
    np.testing.assert_array_equal(model.transform(X), np.abs(X))
    np.testing.assert_array_equal(given_rows[-1], X[:2])
    model.transform(pd.DataFrame(X, columns=["a", "b"]))
    pd.testing.assert_frame_equal(given_rows[-1], pd.DataFrame(X[:2], columns=["a", "b"]))


@pytest.mark.parametrize(
    "container",
    [
        list,
        lambda texts: np.array(texts, dtype=object),
        lambda texts: np.array(texts),
        lambda texts: pd.Series(texts, index=[7, 5, 6], name="text"),
        lambda texts: pd.DataFrame({"text": texts}, index=[7, 5, 6]),
        pl.Series,
        lambda texts: pl.DataFrame({"text": texts}),
        pa.array,
        lambda texts: pa.record_batch({"text": texts}),
        lambda texts: pa.table({"text": pa.array(texts, pa.string_view())}),
    ],
    ids=[
        "list",
        "object",
        "str",
        "Series",
        "frame",
        "polars",
        "polars frame",
        "Arrow",
        "batch",
        "views",
    ],
)
def test_texts_are_given_in_the_container_given(container, recorder):
    model = DedupPredictor(recorder).fit(["a", "B"], [0, 1])
    assert model.predict(container(["a", "B", "a"])).tolist() == [False, True, False]
    [given_texts] = recorder.calls
    assert type(given_texts) is type(container(["a", "B", "a"]))
    assert len(given_texts) == 2


@pytest.mark.parametrize(
    "container",
    [
        list,
        tuple,
        lambda texts: np.array(texts, dtype=object),
        lambda texts: pd.Series(texts, index=[3, 2, 1, 0], name="text"),
        lambda texts: pd.DataFrame({"text": texts}, index=[3, 2, 1, 0]),
        pl.Series,
    ],
    ids=["list", "tuple", "object", "Series", "frame", "polars"],
)
def test_a_folding_key_predicts_the_folded_text(container, recorder):
    X = [" View  All", "view all", "b", "VIEW ALL "]
    model = DedupPredictor(recorder, key="casefold").fit(X, [0, 1, 0, 1])
    assert model.estimator_.fitted_on_ is X
    assert not model.predict(container(X)).any()
    [given_texts] = recorder.calls
    assert np.ravel(given_texts).tolist() == ["view all", "b"]
    if isinstance(given_texts, pd.Series | pd.DataFrame):
        assert given_texts.index.tolist() == [3, 1]
        assert "text" in (getattr(given_texts, "name", None), *getattr(given_texts, "columns", ()))


@settings(max_examples=20)
@given(st.permutations(["Tea  made", " tea made", "TEA MADE", "soap", " Soap\n"]))
def test_with_a_folding_key_the_order_of_variants_does_not_matter(text_model, texts):
    model = DedupPredictor(FrozenEstimator(text_model), key=str.strip)
    together = dict(zip(texts, model.predict_proba(texts)[:, 0], strict=True))
    assert together == {text: model.predict_proba([text])[0, 0] for text in texts}


# Otherwise the wrapped estimator.


@settings(max_examples=30)
@given(TEXTS, st.integers(1, 4))
def test_output_equals_the_wrapped_estimators(text_model, texts, chunk_size):
    model = DedupPredictor(FrozenEstimator(text_model), chunk_size=chunk_size)
    assert model.predict(texts).tolist() == text_model.predict(texts).tolist()
    assert model.predict(texts).dtype == text_model.predict(texts).dtype
    for method in ("predict_proba", "predict_log_proba", "decision_function"):
        ours, theirs = getattr(model, method)(texts), getattr(text_model, method)(texts)
        assert ours.dtype == theirs.dtype
        np.testing.assert_allclose(ours, theirs, rtol=1e-12)
    y = ["keep"] * len(texts)
    assert model.score(texts, y) == text_model.score(texts, y)


@pytest.mark.parametrize("chunk_size", [2, 100])
def test_sparse_results_keep_their_format(chunk_size):
    X = ["view all", "tea", "view all", "soap", "tea"]
    for vectorizer in (CountVectorizer(), make_pipeline(CountVectorizer(), CSC)):
        model = DedupPredictor(vectorizer, chunk_size=chunk_size).fit(X)
        expected = vectorizer.fit(X).transform(X)
        result = model.transform(X)
        assert issparse(result)
        assert type(result) is type(expected)
        assert result.dtype == expected.dtype
        np.testing.assert_array_equal(result.toarray(), expected.toarray())


CSC = FunctionTransformer(lambda X: X.tocsc(), accept_sparse=True)


@pytest.mark.parametrize("chunk_size", [2, 100])
@pytest.mark.parametrize("how", ["estimator", "predictor", "predictor after fit", "config"])
def test_set_output_keeps_index_and_names(chunk_size, how):
    X = pd.DataFrame({"a": [1.0, 2, 1, 5, 2], "b": [0.0, 1, 0, 1, 1]}, index=list("vwxyz"))
    scaler = StandardScaler()
    model = DedupPredictor(scaler, chunk_size=chunk_size)
    if how == "estimator":
        scaler.set_output(transform="pandas")
    if how == "predictor":
        assert model.set_output(transform="pandas") is model
    model = clone(model).fit(X)
    if how == "predictor after fit":
        model.set_output(transform="pandas")
    with config_context(transform_output="pandas" if how == "config" else "default"):
        expected = StandardScaler().set_output(transform="pandas").fit_transform(X)
        pd.testing.assert_frame_equal(model.transform(X), expected)
        pd.testing.assert_frame_equal(clone(model).fit_transform(X), expected)
        array = model.transform(X.rename_axis(index="row").reset_index()[["a", "b"]])
        assert array.index.tolist() == [0, 1, 2, 3, 4]
    assert model.get_feature_names_out().tolist() == ["a", "b"]


@pytest.mark.parametrize("chunk_size", [2, 100])
def test_polars_output(chunk_size):
    X = pl.DataFrame({"a": [1.0, 2, 1, 5, 2], "b": [0.0, 1, 0, 1, 1]})
    model = DedupPredictor(StandardScaler(), chunk_size=chunk_size).set_output(transform="polars")
    expected = StandardScaler().set_output(transform="polars").fit_transform(X)
    assert model.fit(X).transform(X).equals(expected)


@pytest.mark.parametrize("chunk_size", [2, 100])
def test_lists_and_several_outputs(chunk_size):
    texts = ["b", "a", "b", "c"]
    upper = FunctionTransformer(lambda X: [text.upper() for text in X])
    assert DedupPredictor(upper, chunk_size=chunk_size).fit(texts).transform(texts) == [
        "B",
        "A",
        "B",
        "C",
    ]
    X = np.array([[0.0], [1.0], [0.0], [2.0]])
    Y = np.array([[0, 2], [1, 1], [0, 2], [2, 1]])
    tree = DecisionTreeClassifier(random_state=0)
    model = DedupPredictor(tree, chunk_size=chunk_size).fit(X, Y)
    tree.fit(X, Y)
    np.testing.assert_array_equal(model.predict(X), tree.predict(X))
    for ours, theirs in zip(model.predict_proba(X), tree.predict_proba(X), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_tables_of_mixed_columns_go_through_a_column_transformer():
    X = pd.DataFrame(
        {"text": ["view all", "tea", "view all"], "page": ["a", "b", "a"], "n": [1.0, np.nan, 1.0]},
        index=[9, 8, 7],
    )
    columns = make_column_transformer(
        (CountVectorizer(), "text"), (OneHotEncoder(), ["page"]), remainder="passthrough"
    )
    np.testing.assert_array_equal(
        DedupPredictor(columns).fit(X).transform(X), columns.fit(X).transform(X)
    )


@pytest.mark.parametrize(
    "X", [[], [[1.0, 2.0], [1.0, 2.0]], csr_array([[1.0, 2.0], [1.0, 2.0]])], ids=str
)
def test_what_cannot_be_compared_is_passed_on(X):
    seen: list = []
    model = DedupPredictor(FunctionTransformer(seen.append, accept_sparse=True)).fit([[0.0]])
    seen.clear()
    model.transform(X)
    assert seen[0] is X


@pytest.mark.parametrize(
    "texts",
    [
        pd.Series([*TRAIN, "us"]).astype("str").array,
        pd.Index([*TRAIN, "us"]),
        pa.array([*TRAIN, "us"], pa.string_view()),
    ],
    ids=lambda texts: type(texts).__name__,
)
def test_texts_in_arrays_and_indexes(texts):
    lengths = FunctionTransformer(lambda X: np.array([len(str(text)) for text in X]))
    expected = lengths.transform(texts)
    found = DedupPredictor(lengths, chunk_size=2).fit(texts).transform(texts)
    assert found.tolist() == expected.tolist()


def test_masked_arrays_are_passed_on():
    X = np.ma.array([[1.0, 2.0], [1.0, 2.0]], mask=[[0, 0], [0, 1]])
    model = DedupPredictor(FunctionTransformer(lambda X: X.filled(-1))).fit(X)
    assert model.transform(X).tolist() == [[1.0, 2.0], [1.0, -1.0]]


def test_errors_of_the_wrapped_estimator_come_through():
    model = DedupPredictor(LogisticRegression()).fit(np.eye(2), [0, 1])
    with pytest.raises(ValueError, match="X has 3 features, but LogisticRegression is expecting 2"):
        model.predict(np.zeros((4, 3)))
    with pytest.raises(ValueError, match="Input X contains NaN"):
        model.predict(np.full((4, 2), np.nan))
    with pytest.raises(ValueError, match="Expected 2D array, got 1D array"):
        model.predict(np.zeros(2))


def test_bad_texts_are_refused_by_row(text_model):
    with pytest.raises(ValueError, match="Row 1 of X is missing"):
        DedupPredictor(FrozenEstimator(text_model)).predict(["a", None])


def test_a_result_for_each_input_is_demanded():
    model = DedupPredictor(FunctionTransformer(lambda X: X[:1])).fit(["a", "b"])
    with pytest.raises(ValueError, match=r"transform .* returned 1 rows for 2 distinct inputs"):
        model.transform(["a", "b", "a"])


def test_arguments_per_row_are_refused(text_model):
    with pytest.raises(TypeError, match="unexpected keyword argument 'sample_weight'"):
        DedupPredictor(FrozenEstimator(text_model)).predict(["a"], sample_weight=[1.0])


# As a scikit-learn estimator.


@pytest.mark.parametrize(
    "estimator",
    [
        LogisticRegression(),
        LinearSVC(),
        Ridge(),
        StandardScaler(),
        PCA(),
        KernelDensity(),
        OneClassSVM(),
        DBSCAN(),
        make_pipeline(StandardScaler(), KernelDensity()),
        FrozenEstimator(LogisticRegression().fit(np.eye(2), [0, 1])),
    ],
    ids=repr,
)
def test_methods_exist_exactly_where_the_wrapped_one_has_them(estimator):
    model = DedupPredictor(estimator)
    for fitted in (False, True):
        if fitted:
            model.fit(np.eye(2), [0, 1])
        for method in METHODS:
            assert hasattr(model, method) == hasattr(estimator, method), method
    assert hasattr(model, "fit_transform") == hasattr(estimator, "transform")
    assert hasattr(model, "fit_predict") == isinstance(estimator, OneClassSVM)


def test_tags_and_learnt_attributes_are_those_of_the_wrapped_estimator():
    X = pd.DataFrame(np.eye(2), columns=["a", "b"])
    model = DedupPredictor(LogisticRegression())
    assert is_classifier(model)
    assert get_tags(model) == get_tags(LogisticRegression())
    for name in ("classes_", "n_features_in_", "feature_names_in_"):
        assert not hasattr(model, name)
    model.fit(X, ["no", "yes"])
    assert model.classes_.tolist() == ["no", "yes"]
    assert model.n_features_in_ == 2
    assert model.feature_names_in_.tolist() == ["a", "b"]
    assert model.coef_ is model.estimator_.coef_


def test_what_an_outlier_detector_and_a_clusterer_have_learnt_is_there():
    X = np.array([[0.0, 0.0], [0.1, 0.0], [5.0, 5.0]] * 4)
    detector = DedupPredictor(OneClassSVM())
    with pytest.raises(AttributeError, match="offset_ exists only after fit"):
        detector.offset_  # noqa: B018
    assert detector.fit_predict(X).tolist() == OneClassSVM().fit_predict(X).tolist()
    scores = detector.score_samples(X) - detector.offset_
    np.testing.assert_allclose(detector.decision_function(X), scores)

    clusters = DedupPredictor(KMeans(2, random_state=0)).fit(X)
    np.testing.assert_array_equal(clusters.predict(X), clusters.labels_)
    assert clusters.cluster_centers_.shape == (2, 2)

    # not everything is of the wrapped estimator
    assert not hasattr(clusters, "thesis_")
    assert not hasattr(clusters, "_n_threads")
    frozen = DedupPredictor(FrozenEstimator(clusters))
    assert not hasattr(frozen, "estimator_")
    assert pickle.loads(pickle.dumps(frozen)).inertia_ == clusters.inertia_


def test_a_frozen_estimator_predicts_at_once(text_model):
    model = DedupPredictor(FrozenEstimator(text_model))
    assert model.predict(["tea", "tea"]).tolist() == text_model.predict(["tea", "tea"]).tolist()
    assert model.classes_.tolist() == ["discard", "keep"]
    assert model.fit(["tea", "soap"], ["a", "b"]).classes_.tolist() == ["discard", "keep"]
    assert clone(model).predict(["tea"]) == text_model.predict(["tea"])


def test_anything_else_needs_fit(text_model):
    message = r"not fitted yet.*DedupPredictor\(FrozenEstimator\(model\)\)"
    for estimator in (text_model, FrozenEstimator(LogisticRegression())):
        with pytest.raises(NotFittedError, match=message):
            DedupPredictor(estimator).predict(["a"])


def test_a_failed_fit_leaves_the_model_as_it_was():
    model = DedupPredictor(LogisticRegression()).fit(np.eye(2), [0, 1])
    with pytest.raises(ValueError, match="Input X contains NaN"):
        model.fit(np.full((2, 2), np.nan), [0, 1])
    assert model.predict(np.eye(2)).tolist() == [0, 1]


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"estimator": "tea"}, "'estimator' parameter of DedupPredictor must be"),
        ({"key": "lower"}, "'key' parameter of DedupPredictor must be .*'lower' instead"),
        ({"chunk_size": 0}, r"'chunk_size' parameter of DedupPredictor must be .*\[1, inf\)"),
    ],
)
def test_bad_parameters_are_refused(params, message):
    model = DedupPredictor(**{"estimator": FrozenEstimator(Ridge().fit([[0]], [0])), **params})
    with pytest.raises(ValueError, match=message):
        model.fit([[0]], [0])
    if "estimator" not in params:
        with pytest.raises(ValueError, match=message):
            model.predict(np.zeros((1, 1)))


def test_nested_parameters_and_html():
    model = DedupPredictor(make_pipeline(TfidfVectorizer(), LogisticRegression()))
    model.set_params(estimator__logisticregression__C=3.0, chunk_size=5)
    assert model.get_params()["estimator__logisticregression__C"] == 3.0
    assert clone(model).get_params()["chunk_size"] == 5
    html = estimator_html_repr(model)
    assert "DedupPredictor" in html
    assert "estimator: Pipeline" in html
    assert "TfidfVectorizer" in html


@pytest.mark.parametrize(
    ("estimator", "y"),
    [
        (LogisticRegression(), [0, 1, 1, 0, 1, 0]),
        (Ridge(), [0.0, 1.5, 1.0, 0.5, 1.0, 0.0]),
        (make_pipeline(StandardScaler(), Ridge()), [0.0, 1.5, 1.0, 0.5, 1.0, 0.0]),
        (PCA(n_components=1), None),
        (
            GridSearchCV(Ridge(), {"alpha": [1]}, scoring="neg_max_error", cv=2),
            [0.0, 1, 1, 0, 1, 0],
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_score_is_that_of_the_wrapped_estimator(estimator, y):
    X = np.array([[0.0, 1], [1, 2], [0, 1], [3, 1], [1, 2], [0, 0]])
    model = DedupPredictor(estimator).fit(X, y)
    assert model.score(X, y) == pytest.approx(clone(estimator).fit(X, y).score(X, y))


def test_score_predicts_distinct_inputs_and_takes_weights(recorder):
    X, y = ["a", "B", "a", "B"], [False, True, True, True]
    for estimator in (recorder, make_pipeline(FunctionTransformer(), recorder)):
        model = DedupPredictor(estimator).fit(X, y)
        recorder.calls.clear()
        assert model.score(X, y) == 0.75
        assert recorder.calls == [["a", "B"]]
        assert model.score(X, y, sample_weight=[1, 1, 0, 1]) == 1.0


def test_any_other_score_sees_the_folded_texts():
    class Scorer(BaseEstimator):
        def fit(self, X, y=None):
            self.fitted_ = True
            return self

        def score(self, X, y=None):
            return sum(text == "a" for text in X)

    assert DedupPredictor(Scorer(), key="whitespace").fit(["a"]).score(["a", " a", "b "]) == 2


def test_metadata_without_routing(recorder):
    model = DedupPredictor(recorder).fit(["a", "b"], [0, 1], sample_weight=[1, 2])
    assert model.estimator_.weights_ == [1, 2]


def test_metadata_with_routing(recorder):
    X, y, weights = ["a", "B", "a"], [False, True, True], [1, 1, 0]
    with config_context(enable_metadata_routing=True):
        with pytest.raises(ValueError, match=r"sample_weight.*not explicitly set"):
            DedupPredictor(recorder).fit(X, y, sample_weight=weights)
        recorder.set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
        model = DedupPredictor(recorder).fit(X, y, sample_weight=weights)
        assert model.estimator_.weights_ == weights
        assert model.score(X, y, sample_weight=weights) == 1.0
        scores = cross_val_score(
            model, X * 2, y * 2, cv=2, params={"sample_weight": np.array(weights * 2)}
        )
        assert scores.tolist() == [1.0, 1.0]
        in_pipeline = make_pipeline(FunctionTransformer(), model).fit(X, y, sample_weight=weights)
        assert in_pipeline[-1].estimator_.weights_ == weights
        scaler = DedupPredictor(StandardScaler().set_fit_request(sample_weight=True))
        in_pipeline = make_pipeline(scaler, Ridge().set_fit_request(sample_weight=False))
        in_pipeline.fit([[0.0], [3.0], [9.0]], y, sample_weight=weights)
        assert in_pipeline[0].estimator_.mean_ == [1.5]


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_search_and_cross_validation(n_jobs):
    X, y = np.array(TRAIN * 3, dtype=object), np.array(LABELS * 3)
    pipeline = make_pipeline(TfidfVectorizer(), LogisticRegression())
    grid = {"logisticregression__C": [0.1, 10.0]}
    cv = DedupStratifiedKFold(2)
    plain = GridSearchCV(pipeline, grid, cv=cv).fit(X, y)
    search = GridSearchCV(
        DedupPredictor(pipeline),
        {f"estimator__{name}": values for name, values in grid.items()},
        cv=cv,
        n_jobs=n_jobs,
    ).fit(X, y)
    np.testing.assert_array_equal(
        search.cv_results_["mean_test_score"], plain.cv_results_["mean_test_score"]
    )
    assert search.predict(X).tolist() == plain.predict(X).tolist()
    model = DedupPredictor(pipeline)
    for function in (cross_val_score, cross_val_predict):
        np.testing.assert_array_equal(
            function(model, X, y, cv=cv, n_jobs=n_jobs), function(pipeline, X, y, cv=cv)
        )


def test_pickle(text_model):
    for model in (
        DedupPredictor(FrozenEstimator(text_model), key="casefold"),
        DedupPredictor(LogisticRegression(), key=str.strip),
        DedupPredictor(clone(text_model)).fit(TRAIN, LABELS),
    ):
        copy = pickle.loads(pickle.dumps(model))
        assert str(copy) == str(model)
        if hasattr(model, "classes_"):
            np.testing.assert_array_equal(copy.predict_proba(TRAIN), model.predict_proba(TRAIN))


# Callbacks and threads.


class TaskRecorder:
    """A callback, propagated to sub-estimators, that notes what it is told."""

    max_propagation_depth = None

    def __init__(self):
        self.events = []

    def setup(self, estimator, context):
        self.events.append(f"setup {context.task_name}")

    def on_fit_task_begin(self, estimator, context):
        self.events.append(f"begin {context.estimator_name} {context.task_name}")

    def on_fit_task_end(self, estimator, context):
        self.events.append(f"end {context.estimator_name} {context.task_name}")

    def teardown(self, estimator, context):
        self.events.append(f"teardown {context.task_name}")


def test_callbacks_see_the_wrapped_fit():
    callback = TaskRecorder()
    model = DedupPredictor(StandardScaler(), chunk_size=2).set_callbacks(callback)
    X = np.array([[0.0], [1.0], [0.0], [2.0]])
    model.fit(X)
    assert callback.events == [
        "setup fit",
        "begin DedupPredictor fit",
        "begin StandardScaler fit",
        "end StandardScaler fit",
        "end DedupPredictor fit",
        "teardown fit",
    ]
    callback.events.clear()
    state = dict(vars(model))
    model.transform(X)
    assert vars(model) == state
    assert callback.events == []


def test_a_meta_estimators_callback_reaches_the_wrapped_estimator():
    callback = TaskRecorder()
    X = np.array([[0.0], [1.0], [0.0], [2.0]])
    pipeline = make_pipeline(DedupPredictor(StandardScaler()), LogisticRegression())
    pipeline.set_callbacks(callback).fit(X, [0, 1, 0, 1])
    assert "begin StandardScaler fit" in callback.events
    search = GridSearchCV(DedupPredictor(LogisticRegression()), {"estimator__C": [1]}, cv=2)
    callback.events.clear()
    search.set_callbacks(callback).fit(X, [0, 1, 0, 1])
    assert callback.events.count("setup fit") == callback.events.count("teardown fit") == 1
    assert callback.events.count("begin LogisticRegression fit") == 3


def test_scikit_learns_own_callbacks_work(capsys):
    X = np.array([[0.0], [1.0], [0.0], [2.0]])
    monitor = ScoringMonitor(scoring="accuracy")
    model = DedupPredictor(LogisticRegression(), chunk_size=2)
    model.set_callbacks(ProgressBar(), monitor).fit(X, [0, 1, 0, 1])
    assert monitor.get_logs().data[-1]["accuracy"] == 1.0
    assert "DedupPredictor - fit" in capsys.readouterr().out


def test_an_estimator_without_callbacks_is_told_of():
    model = DedupPredictor(Ridge()).set_callbacks(TaskRecorder())
    with pytest.warns(UserWarning, match="Ridge does not support callbacks"):
        model.fit(np.eye(2), [0, 1])


def test_threads_may_share_one_object(text_model):
    barrier = threading.Barrier(4)
    model = DedupPredictor(FrozenEstimator(text_model), chunk_size=1)
    inputs = [TRAIN[i:] + TRAIN[:i] for i in range(4)]

    def predict(texts):
        barrier.wait()
        return [model.predict(texts).tolist() for _ in range(5)]

    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(predict, inputs))
    assert results == [[text_model.predict(texts).tolist()] * 5 for texts in inputs]


class Rendezvous:
    """A callback that holds two fits until both are under way."""

    barrier = threading.Barrier(2, timeout=60)

    def setup(self, estimator, context): ...

    def on_fit_task_begin(self, estimator, context):
        if context.task_name == "fit-estimator":
            self.barrier.wait()

    def on_fit_task_end(self, estimator, context): ...

    def teardown(self, estimator, context): ...


def test_two_predictors_of_one_frozen_estimator_fit_at_once():
    frozen = FrozenEstimator(StandardScaler().fit(np.eye(2)))
    models = [DedupPredictor(frozen).set_callbacks(Rendezvous()) for _ in range(2)]
    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(lambda model: model.fit(np.eye(2)), models)) == models


class Embedder(TransformerMixin, BaseEstimator):
    """Takes no target, and gives a list of one-row arrays."""

    def fit(self, X, y=None):
        self.n_ = len(X)
        return self

    def transform(self, X):
        return [np.array([[len(text)]]) for text in X]


def test_a_list_with_an_array_for_each_row_is_not_taken_for_several_outputs():
    result = DedupPredictor(Embedder(), chunk_size=1).fit(["a", "bc"]).transform(["bc", "a", "bc"])
    assert [int(row[0, 0]) for row in result] == [2, 1, 2]
