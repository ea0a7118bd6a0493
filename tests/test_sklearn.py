"""The filter inside scikit-learn's own machinery, fed with texts."""

import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn import config_context
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.callback import ProgressBar
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingClassifier,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, make_scorer
from sklearn.model_selection import (
    GridSearchCV,
    RandomizedSearchCV,
    TunedThresholdClassifierCV,
    cross_val_predict,
    cross_val_score,
    cross_validate,
    learning_curve,
)
from sklearn.multiclass import OneVsOneClassifier, OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.semi_supervised import SelfTrainingClassifier
from sklearn.utils import estimator_html_repr

from skbert_filter import (
    DedupPredictor,
    DedupStratifiedKFold,
    SmallBertTextFilter,
)
from skbert_filter.inspection import WordCountRule, tfidf_baseline
from skbert_filter.testing import parametrize_with_text_checks
from skbert_filter.testing.runner import applicable_checks

TWO_FOLDS = DedupStratifiedKFold(2, shuffle=True, random_state=0)


@pytest.fixture
def model(patient):
    return SmallBertTextFilter(**patient)


@pytest.fixture
def quick(one_epoch):
    return SmallBertTextFilter(**one_epoch, early_stopping=False)


@pytest.fixture(scope="module")
def data(snippets):
    """Return the snippets as arrays, a third of them twice."""
    X, y = (np.array(values, dtype=object) for values in snippets)
    rows = np.r_[: len(X), : len(X) : 3]
    return X[rows], y[rows]


@pytest.fixture
def tfidf():
    return make_pipeline(TfidfVectorizer(), LogisticRegression())


def strip(texts):
    return [text.removeprefix("<b>").removesuffix("</b>").strip() for text in texts]


# --- our restatement of scikit-learn's checks

_OF_THE_VECTORIZER = "TfidfVectorizer does not look at what holds the texts, and lowers all of it"
EXPECTED_TO_FAIL = {
    "SmallBertTextFilter": {
        "check_sample_weight_is_copies": 'duplicates="drop" learns each distinct text once',
    },
    "WordCountRule": {},
    "Pipeline": dict.fromkeys(
        ["check_non_text_refused", "check_tables"],
        _OF_THE_VECTORIZER,
    ),
    "DedupPredictor": dict.fromkeys(["check_non_text_refused", "check_tables"], _OF_THE_VECTORIZER),
}


@parametrize_with_text_checks(
    [
        SmallBertTextFilter(),
        WordCountRule(),
        tfidf_baseline(),
        DedupPredictor(tfidf_baseline()),
    ],
    expected_failed_checks=lambda estimator: EXPECTED_TO_FAIL[type(estimator).__name__],
)
def test_conventions(estimator, check, patient):
    # The parameters are set here, on the instance that the checks share.
    if isinstance(estimator, SmallBertTextFilter):
        estimator.set_params(**patient)
    check(estimator)


def test_weights_count_as_copies_where_duplicates_are_to_count(patient):
    estimator = SmallBertTextFilter(**patient).set_params(duplicates="weight")
    applicable_checks(estimator)["check_sample_weight_is_copies"](estimator)


# --- parameters, clones and displays


def test_clones_carry_parameters_and_nothing_learnt(tiny, binary):
    changed = clone(binary).set_params(hidden_size=8, class_weight="balanced")
    again = clone(changed)
    assert again.get_params() == {**binary.get_params(), **changed.get_params()}
    assert again.hidden_size == 8
    assert again.class_weight == "balanced"
    for name in ("classes_", "history_", "n_iter_", "training_record_", "fingerprint_"):
        assert hasattr(binary, name)
        assert not hasattr(again, name)
    with pytest.raises(ValueError, match="Invalid parameter 'hidden' for estimator"):
        again.set_params(hidden=8)


def test_displays(model, binary):
    assert repr(SmallBertTextFilter(hidden_size=64)) == "SmallBertTextFilter(hidden_size=64)"
    shown = estimator_html_repr(make_pipeline(FunctionTransformer(strip), model))
    assert "SmallBertTextFilter" in shown
    assert "hidden_size" in shown
    assert "Not fitted" in estimator_html_repr(model)
    assert "<span>Fitted</span>" in estimator_html_repr(binary)


# --- pipelines and cross-validation


def test_a_pipeline_that_cleans_texts_first(model, snippets, probes):
    X, y = snippets
    pipeline = make_pipeline(FunctionTransformer(strip), clone(model))
    pipeline.fit([f"<b>{text}</b>" for text in X], y)
    expected = model.fit(X, y)
    marked = [f"<b> {text} </b>" for text in probes]
    clean = [text.strip() for text in probes]
    np.testing.assert_array_equal(pipeline.predict_proba(marked), expected.predict_proba(clean))
    assert pipeline.score(X, y) > 0.9


@pytest.mark.parametrize("wrap", [list, pd.Series, lambda X: pd.DataFrame({"text": X})])
def test_cross_validation(model, data, wrap):
    X, y = data
    scores = cross_val_score(model, wrap(X), y, cv=TWO_FOLDS)
    assert scores.shape == (2,)
    assert scores.min() > 0.6


def test_cross_val_predict_answers_every_row_from_the_other_fold(quick, data):
    X, y = data
    proba = cross_val_predict(quick, X, y, cv=TWO_FOLDS, method="predict_proba")
    assert proba.shape == (len(X), 2)
    np.testing.assert_allclose(proba.sum(axis=1), 1)
    train, test = next(TWO_FOLDS.split(X, y))
    fold = clone(quick).fit(X[train], y[train])
    np.testing.assert_allclose(proba[test], fold.predict_proba(X[test]), atol=1e-6)


def test_learning_curve(model, data):
    X, y = data
    sizes, train_scores, test_scores = learning_curve(
        model, X, y, train_sizes=[0.5, 1.0], cv=TWO_FOLDS, shuffle=True, random_state=0
    )
    assert sizes[0] < sizes[1]
    assert train_scores.shape == test_scores.shape == (2, 2)
    assert test_scores[1].min() > 0.6


# --- searches


@pytest.mark.slow
def test_a_grid_search_in_two_processes(model, data):
    X, y = data
    grid = {"hidden_size": [8, 32], "epochs": [1, 16]}
    search = GridSearchCV(model, grid, cv=TWO_FOLDS, n_jobs=2)
    unfitted = pickle.loads(pickle.dumps(search))
    search = pickle.loads(pickle.dumps(unfitted.fit(X, y)))
    results = pd.DataFrame(search.cv_results_)
    assert len(results) == 4
    assert np.isfinite(results["mean_test_score"]).all()
    assert search.best_score_ == results["mean_test_score"].max() > 0.6
    best = clone(model).set_params(**search.best_params_).fit(X, y)
    np.testing.assert_array_equal(search.predict_proba(X), best.predict_proba(X))


def test_a_randomized_search(quick, data):
    X, y = data
    search = RandomizedSearchCV(
        make_pipeline(FunctionTransformer(strip), quick),
        {
            "smallberttextfilter__learning_rate": [0.005, 0.01],
            "smallberttextfilter__label_smoothing": [0.2],
            "smallberttextfilter__class_weight": [None, "balanced"],
        },
        n_iter=2,
        cv=TWO_FOLDS,
        random_state=0,
        scoring="neg_log_loss",
    ).fit(X, y)
    assert len(search.cv_results_["params"]) == 2
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert search.predict(X[:3]).shape == (3,)


class InterruptAfter:
    """A score that is interrupted after so many calls."""

    def __init__(self, calls):
        self.calls = calls

    def __call__(self, y, predicted):
        self.calls -= 1
        if self.calls == 0:
            raise KeyboardInterrupt
        return accuracy_score(y, predicted)


def test_an_interrupted_search_is_pickled_and_finished(quick, data):
    X, y = data
    scorer = make_scorer(InterruptAfter(3))
    search = GridSearchCV(quick, {"epochs": [1, 2]}, cv=TWO_FOLDS, scoring=scorer)
    with pytest.raises(KeyboardInterrupt):
        search.fit(X, y)
    finished = pickle.loads(pickle.dumps(search)).fit(X, y)
    assert finished.best_params_["epochs"] in (1, 2)


def test_one_progress_bar_serves_a_search(quick, data, capsys):
    search = GridSearchCV(quick, {"epochs": [1, 2]}, cv=TWO_FOLDS, refit=False)
    search.set_callbacks(ProgressBar(max_propagation_depth=None)).fit(*data)
    shown = capsys.readouterr().out
    assert "GridSearchCV - fit" in shown
    assert "SmallBertTextFilter" in shown


# --- calibration and thresholds


def test_calibration_over_folds(model, data):
    X, y = data
    calibrated = CalibratedClassifierCV(model, cv=TWO_FOLDS).fit(X, y)
    proba = calibrated.predict_proba(X)
    assert proba.shape == (len(X), 2)
    assert accuracy_score(y, calibrated.predict(X)) > 0.8


@pytest.mark.parametrize("method", ["sigmoid", "isotonic", "temperature"])
def test_calibration_of_a_fitted_filter(binary, snippets, method):
    X, y = snippets
    fingerprint = binary.fingerprint_
    calibrated = CalibratedClassifierCV(FrozenEstimator(binary), method=method).fit(X, y)
    np.testing.assert_array_equal(calibrated.predict(X), y)
    assert binary.fingerprint_ == fingerprint


def test_a_tuned_threshold(quick, data):
    X, y = data
    tuned = TunedThresholdClassifierCV(quick, cv=TWO_FOLDS, scoring="balanced_accuracy").fit(X, y)
    positive = tuned.estimator_.predict_proba(X)[:, 1]
    expected = np.where(positive >= tuned.best_threshold_, "keep", "discard")
    np.testing.assert_array_equal(tuned.predict(X), expected)


# --- ensembles


def test_stacking_with_a_linear_model(model, tfidf, data):
    X, y = data
    stack = StackingClassifier([("bert", model), ("tfidf", tfidf)], cv=TWO_FOLDS).fit(X, y)
    assert stack.transform(X).shape == (len(X), 2)
    assert stack.score(X, y) > 0.9
    np.testing.assert_allclose(
        stack.transform(X)[:, 0], stack.named_estimators_["bert"].predict_proba(X)[:, 1]
    )


@pytest.mark.parametrize("voting", ["soft", "hard"])
def test_voting_with_a_linear_model(model, tfidf, data, voting):
    X, y = data
    vote = VotingClassifier([("bert", model), ("tfidf", tfidf)], voting=voting).fit(list(X), y)
    assert vote.score(X, y) > 0.9
    if voting == "soft":
        members = [vote.named_estimators_[name].predict_proba(X) for name in ("bert", "tfidf")]
        np.testing.assert_allclose(vote.predict_proba(X), np.mean(members, axis=0))


def test_one_versus_rest(model, three_kinds):
    X, y = three_kinds
    votes = OneVsRestClassifier(model).fit(X, y)
    assert votes.classes_.tolist() == [-7, 0, 2]
    assert votes.score(X, y) > 0.6


@pytest.mark.parametrize(
    "meta", [AdaBoostClassifier, BaggingClassifier, OneVsOneClassifier, SelfTrainingClassifier]
)
def test_meta_estimators_that_insist_on_two_dimensions(meta, model, snippets):
    """The user guide names these."""
    with pytest.raises(ValueError, match="Expected 2D array, got 1D array instead"):
        meta(model).fit(*snippets)


def test_bagging_takes_texts_as_a_column(model, data):
    X, y = data
    column = X[:, None]
    bag = BaggingClassifier(model, n_estimators=2, random_state=0).fit(column, y)
    assert bag.score(column, y) > 0.6


# --- metadata routing


def test_routing_of_weights_through_a_pipeline(quick, snippets):
    X, y = snippets
    weights = np.resize([1.0, 3.0, 0.0], len(X))
    expected = clone(quick).fit(X, y, sample_weight=weights)
    with config_context(enable_metadata_routing=True):
        weighted = clone(quick).set_fit_request(sample_weight=True).set_score_request()
        pipeline = make_pipeline(FunctionTransformer(list), weighted)
        pipeline.fit(X, y, sample_weight=weights)
    assert pipeline[-1].fingerprint_ == expected.fingerprint_
    assert pipeline[-1].training_record_["rows_of_weight_0"] == len(X) // 3


def test_routing_of_weights_and_validation_texts_through_folds(quick, data):
    X, y = data
    weights = np.where(np.arange(len(X)) % 2, 1.0, 2.0)
    X_val = [f"{text} Indeed." for text in X[:5]]
    with config_context(enable_metadata_routing=True):
        asking = clone(quick).set_fit_request(sample_weight=True, X_val=True, y_val=True)
        asking.set_score_request(sample_weight=True)
        folds = cross_validate(
            asking,
            X,
            y,
            cv=TWO_FOLDS,
            params={"sample_weight": weights, "X_val": X_val, "y_val": y[:5]},
            return_estimator=True,
            return_indices=True,
        )
    assert [fold.training_record_["validated_on"] for fold in folds["estimator"]] == [5, 5]
    train, test = folds["indices"]["train"][0], folds["indices"]["test"][0]
    first = clone(quick).fit(X[train], y[train], weights[train], X_val=X_val, y_val=y[:5])
    assert folds["estimator"][0].fingerprint_ == first.fingerprint_
    assert folds["test_score"][0] == first.score(X[test], y[test], weights[test])


# --- our own meta-estimator


def test_dedup_predictor_around_the_filter(one_epoch, brief, snippets, probes):
    many = probes * 3
    fitted = DedupPredictor(SmallBertTextFilter(**one_epoch)).fit(*snippets)
    frozen = DedupPredictor(FrozenEstimator(brief))
    for method in ("predict", "predict_proba", "decision_function"):
        expected = getattr(brief, method)(many)
        for wrapped in (fitted, frozen):
            answers = getattr(wrapped, method)(many)
            assert answers.dtype == expected.dtype
            if method == "predict":
                np.testing.assert_array_equal(answers, expected)
            else:
                np.testing.assert_allclose(answers, expected, atol=1e-5)


def test_dedup_predictor_carries_the_filters_callbacks(quick, data, capsys):
    wrapped = DedupPredictor(quick)
    wrapped.set_callbacks(ProgressBar(max_propagation_depth=None)).fit(*data)
    assert "SmallBertTextFilter" in capsys.readouterr().out
