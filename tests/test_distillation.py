"""A filter that learns from a teacher: what it learns, from which texts, and what it refuses."""

import pickle

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV, cross_val_score

from skbert_filter import (
    DedupPredictor,
    DedupStratifiedKFold,
    DistilledTextFilter,
    SmallBertTextFilter,
)
from skbert_filter.inspection import tfidf_baseline


class Oracle(ClassifierMixin, BaseEstimator):
    """Knows what no label says: a text about ships is kept, and half of the teas are."""

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        self.n_labelled_ = len(X)
        return self

    def predict_proba(self, X):
        self.asked_ = list(X)
        keep = np.array([0.5 if "tea" in text else float("ships" in text) for text in X])
        return np.column_stack([1 - keep, keep])

    def predict(self, X):
        return self.classes_[self.predict_proba(X).argmax(axis=1)]


@pytest.fixture(scope="module")
def pool():
    subjects = ["old", "new", "red", "blue", "big", "small", "two", "three"]
    goods = ["ropes", "sails", "masts", "oars", "cups", "bells"]
    return [f"{a} {b} {end}" for a in subjects for b in goods for end in ("ships", "cars", "tea")]


@pytest.fixture(scope="module")
def student(tiny):
    return SmallBertTextFilter(**{**tiny, "epochs": 12, "batch_size": 8})


@pytest.fixture(scope="module")
def distilled(student, pool, snippets):
    model = DistilledTextFilter(student, teacher=Oracle(), unlabelled=pool * 2, random_state=0)
    return model.fit(*snippets)


def test_the_filter_learns_what_the_teacher_knows(distilled):
    keep = distilled.predict_proba(
        ["old ropes old ships", "old ropes old cars", "old ropes old tea"]
    )[:, 1]
    assert keep[0] > 0.8
    assert keep[1] < 0.2
    assert 0.25 < keep[2] < 0.75


def test_labelled_texts_keep_their_labels(distilled, snippets):
    # the teacher would discard the half of the kept ones that is about farms
    X, y = snippets
    assert (distilled.predict(X) == y).mean() > 0.9
    assert not set(distilled.teacher_.asked_) & set(X)


def test_each_unlabelled_text_is_asked_about_once(distilled, pool, snippets):
    assert sorted(distilled.teacher_.asked_) == sorted(pool)
    assert distilled.n_unlabelled_ == len(pool)
    assert distilled.estimator_.training_record_["trained_on"] == len(pool) + len(snippets[0])


def test_a_sample_of_the_texts_is_drawn(student, pool, snippets):
    def asked(seed):
        model = DistilledTextFilter(
            clone(student).set_params(epochs=1),
            teacher=Oracle(),
            unlabelled=pool,
            max_texts=20,
            random_state=seed,
        ).fit(*snippets)
        assert model.n_unlabelled_ == 20
        return model.teacher_.asked_

    assert asked(0) == asked(0) != asked(1)
    assert len(set(asked(0))) == 20


def test_conflicting_labels_are_settled_before_the_teacher_sees_them(student, pool, snippets):
    X, y = snippets
    X = [*X, *["We sell tea."] * 3]
    y = [*y, "keep", "keep", "discard"]
    quick = clone(student).set_params(epochs=1)
    model = DistilledTextFilter(quick, teacher=Oracle(), unlabelled=pool).fit(X, y)
    assert model.teacher_.n_labelled_ == len(set(X))


def test_the_default_teacher_is_the_mean_of_both(student, pool, snippets):
    quick = clone(student).set_params(epochs=1, class_weight="balanced")
    model = DistilledTextFilter(quick, unlabelled=pool, random_state=0).fit(*snippets)
    members = dict(model.teacher_.named_estimators_)
    assert list(members) == ["tfidf", "filter"]
    assert members["tfidf"]["classifier"].class_weight == "balanced"
    # the teacher learns labels as the filter alone would
    alone = clone(quick).fit(*snippets)
    answers = alone.predict_proba(pool)
    np.testing.assert_array_equal(members["filter"].predict_proba(pool), answers)
    assert not np.allclose(model.predict_proba(pool), answers)


def test_the_default_teacher_finds_class_weights_by_their_labels(student, pool, snippets):
    X, y = snippets
    kept = []
    for weights in ({"keep": 1, "discard": 100}, {"keep": 100, "discard": 1}):
        quick = clone(student).set_params(epochs=1, class_weight=weights)
        teacher = DistilledTextFilter(quick, unlabelled=pool, random_state=0).fit(X, y).teacher_
        kept.append([m.predict_proba(pool)[:, 1].mean() for m in teacher.estimators_])
    assert (np.diff(kept, axis=0) > 0.05).all()


def test_a_fitted_teacher_is_used_as_it_is(student, pool, snippets):
    teacher = tfidf_baseline().fit(*snippets)
    quick = clone(student).set_params(epochs=1)
    model = DistilledTextFilter(quick, teacher=FrozenEstimator(teacher), unlabelled=pool)
    assert model.fit(*snippets).teacher_.estimator is teacher


def test_three_classes(student, pool, three_kinds):
    model = DistilledTextFilter(student, teacher=tfidf_baseline(), unlabelled=pool, random_state=0)
    X, y = three_kinds
    assert (model.fit(X, y).predict(X) == y).mean() > 0.9
    assert model.classes_.tolist() == [-7, 0, 2]
    np.testing.assert_allclose(model.predict_proba(X[:5]).sum(axis=1), 1)


def test_it_is_saved_and_pickled_and_predicts_the_same(distilled, tmp_path, probes):
    expected = distilled.predict_proba(probes)
    distilled.save_pretrained(tmp_path / "model")
    loaded = SmallBertTextFilter.from_pretrained(tmp_path / "model")
    np.testing.assert_allclose(loaded.predict_proba(probes), expected, atol=1e-6)
    assert loaded.get_params()["conflicts"] == "soft"
    again = pickle.loads(pickle.dumps(distilled))
    np.testing.assert_array_equal(
        again.decision_function(probes), distilled.decision_function(probes)
    )
    assert again.fingerprint_ == distilled.fingerprint_ == loaded.fingerprint_


def test_it_works_in_searches_and_wrappers(student, pool, snippets):
    quick = clone(student).set_params(epochs=1)
    model = DistilledTextFilter(quick, teacher=tfidf_baseline(), unlabelled=pool, random_state=0)
    scores = cross_val_score(model, *snippets, cv=DedupStratifiedKFold(2))
    assert scores.shape == (2,)
    grid = {"max_texts": [10, 50], "estimator__learning_rate": [0.001]}
    search = GridSearchCV(
        DedupPredictor(model), {f"estimator__{k}": v for k, v in grid.items()}, cv=2
    )
    assert search.fit(*snippets).predict(["View All"] * 3).shape == (3,)


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        ({"unlabelled": None}, ValueError, "no unlabelled texts. Pass some of your corpus"),
        ({"unlabelled": ["View All", 3]}, TypeError, "[Rr]ow 1 of unlabelled"),
        ({"max_texts": 0}, ValueError, "'max_texts' parameter"),
        ({"teacher": object()}, ValueError, "'teacher' parameter"),
        ({"estimator": tfidf_baseline()}, ValueError, "'estimator' parameter"),
    ],
)
def test_refusals(student, pool, snippets, change, error, match):
    model = DistilledTextFilter(student, teacher=tfidf_baseline(), unlabelled=pool)
    with pytest.raises(error, match=match):
        model.set_params(**change).fit(*snippets)


def test_a_teacher_of_other_labels_is_refused(student, pool, snippets):
    teacher = FrozenEstimator(tfidf_baseline().fit(snippets[0], [0, 1] * 24))
    model = DistilledTextFilter(student, teacher=teacher, unlabelled=pool)
    with pytest.raises(ValueError, match=r"knows the classes \[0, 1\], the labels have \['disc"):
        model.fit(*snippets)
