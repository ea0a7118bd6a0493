"""Scores of fitted classifiers, against hand calculation and other implementations."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import RidgeClassifier
from sklearn.pipeline import make_pipeline

from skbert_filter.inspection.baselines import WordCountRule, tfidf_baseline
from skbert_filter.inspection.evaluation import (
    evaluate,
    evaluate_all,
    expected_calibration_error,
)


class Oracle(ClassifierMixin, BaseEstimator):
    """Gives the probability that each text spells out, so that scores are known."""

    def __init__(self, classes):
        self.classes_ = np.array(classes)

    def predict_proba(self, X):
        rows = np.array([[float(value) for value in text.split()] for text in X])
        return np.column_stack([1 - rows, rows]) if rows.shape[1] == 1 else rows

    def predict(self, X):
        return self.classes_[self.predict_proba(X).argmax(axis=1)]


def test_binary_scores_equal_hand_calculation():
    X, y = ["0.9", "0.8", "0.3", "0.1", "0.1"], ["keep", "drop", "keep", "drop", "drop"]
    result = evaluate(Oracle(["drop", "keep"]), X, y)

    assert (result.name, result.n_rows, result.n_distinct) == ("Oracle", 5, 4)
    assert result.accuracy == pytest.approx(3 / 5)
    # Wilson: centre (p + z²/2n)/(1 + z²/n), half-width z/(1 + z²/n)·sqrt(p(1-p)/n + z²/4n²)
    assert (result.accuracy_low, result.accuracy_high) == pytest.approx((0.2307, 0.8824), abs=1e-4)
    assert result.f1 == pytest.approx(0.5)
    assert result.average_precision == pytest.approx((1 + 2 / 3) / 2)
    assert result.brier == pytest.approx((0.01 + 0.64 + 0.49 + 0.01 + 0.01) / 5)
    assert result.expected_calibration_error == pytest.approx((0.1 + 0.8 + 0.7 + 0.2) / 5)
    assert result.log_loss == pytest.approx(-np.log([0.9, 0.2, 0.3, 0.9, 0.9]).mean())


def test_multiclass_scores_equal_hand_calculation():
    X = ["0.7 0.2 0.1", "0.2 0.5 0.3", "0.1 0.6 0.3", "0.2 0.2 0.6"]
    result = evaluate(Oracle([3, 5, 9]), X, [3, 5, 9, 9])

    assert result.accuracy == 0.75
    assert result.f1 == pytest.approx((1 + 2 / 3 + 2 / 3) / 3)
    assert result.average_precision == pytest.approx((1 + 1 / 2 + (1 + 2 / 3) / 2) / 3)
    assert result.brier == pytest.approx((0.14 + 0.38 + 0.86 + 0.24) / 4)
    # 0.6 is the upper end of its bin: right (+0.4) and wrong (-0.6) meet there.
    assert result.expected_calibration_error == pytest.approx((0.3 + 0.5 + 0.2) / 4)
    assert result.log_loss == pytest.approx(-np.log([0.7, 0.5, 0.3, 0.6]).mean())


def test_a_ranking_is_enough_for_average_precision():
    X, y = ["red fish", "blue fish", "red dog", "blue dog"], [0, 0, 1, 1]
    ridge = evaluate(make_pipeline(CountVectorizer(), RidgeClassifier()).fit(X, y), X, y)
    assert ridge.name == "RidgeClassifier"
    assert (ridge.accuracy, ridge.average_precision) == (1, 1)
    assert np.isnan([ridge.brier, ridge.expected_calibration_error, ridge.log_loss]).all()


def test_labels_alone_give_accuracy_and_f1():
    class Longest(ClassifierMixin, BaseEstimator):
        classes_ = np.array([0, 1])

        def predict(self, X):
            return np.array([int(len(text) > 3) for text in X])

    result = evaluate(Longest(), ["a", "long one"], [0, 1])
    assert (result.accuracy, result.f1) == (1, 1)
    assert np.isnan(result.average_precision)


def test_held_out_labels_of_one_class_give_no_ranking_scores():
    result = evaluate(Oracle([0, 1]), ["0.2", "0.6"], [0, 0])
    assert result.accuracy == 0.5
    assert np.isnan([result.f1, result.average_precision]).all()
    assert result.brier == pytest.approx((0.04 + 0.36) / 2)


@pytest.mark.parametrize(
    ("X", "y", "message"),
    [
        ([], [], "X_test is empty"),
        (["0.2", "0.4"], [0, 7], r"not fitted on: \[7\]\. It knows \[0, 1\]"),
        (["0.2"], [0, 1], "y_test has 2 labels, but X_test has 1 row"),
    ],
)
def test_input_that_cannot_be_scored_is_refused(X, y, message):
    with pytest.raises(ValueError, match=message):
        evaluate(Oracle([0, 1]), X, y)


def test_several_classifiers_make_one_readable_table():
    X = ["View all", "Home", "We build pumps for ships", "Our staff repairs engines"] * 3
    y = [0, 0, 1, 1] * 3
    models = {"words": WordCountRule().fit(X, y), "TF-IDF": tfidf_baseline().fit(X, y)}
    scores = evaluate_all(models, X, y)
    table = pd.concat([score.to_frame() for score in scores])

    assert table.index.tolist() == ["words", "TF-IDF"]
    assert (table["accuracy_low"] < table["accuracy"]).all()
    assert "TF-IDF on 12 texts (4 distinct)" in str(scores[1])
    assert "accuracy           1.000 (95 % interval 0.758 to 1.000)" in str(scores[1])


def test_calibration_error_of_sampled_events_vanishes_and_grows_with_the_bias():
    rng = np.random.default_rng(0)
    p = rng.uniform(size=100_000)
    happened = rng.uniform(size=p.size) < p
    assert expected_calibration_error(happened, p) < 0.01
    assert expected_calibration_error(happened, p**2) == pytest.approx(1 / 2 - 1 / 3, abs=0.01)
    assert expected_calibration_error([1, 0], [1.0, 0.0]) == 0
    assert expected_calibration_error([0, 1], [1.0, 0.0], n_bins=1) == 0
