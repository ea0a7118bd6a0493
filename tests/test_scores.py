"""Scores of answers, against hand calculation, other implementations and copies of rows."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from skbert_filter.inspection import expected_calibration_error
from skbert_filter.inspection.scores import Answers, score_answers, wilson_interval


@given(st.integers(1, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_interval_of_whole_numbers_is_that_of_scipy(counts):
    right, n = counts
    expected = binomtest(right, n).proportion_ci(method="wilson")
    assert wilson_interval(right / n, n) == pytest.approx(tuple(expected), abs=1e-12)


def answers_of(proba, classes):
    proba = np.array(proba)
    classes = np.array(classes)
    return Answers(classes, classes[proba.argmax(axis=1)], proba, proba)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_a_weight_counts_as_so_many_copies_but_is_no_further_evidence(n_classes):
    rng = np.random.default_rng(0)
    proba, y = rng.dirichlet(np.ones(n_classes), 60), rng.integers(0, n_classes, 60)
    weight = rng.integers(1, 5, 60)
    answers = answers_of(proba, range(n_classes))
    weighted = score_answers(answers, y, weight.astype(float))
    rows = np.repeat(np.arange(60), weight)
    copied = score_answers(answers.take(rows), y[rows], np.ones(len(rows)))

    intervals = [(s.pop("accuracy_low"), s.pop("accuracy_high")) for s in (weighted, copied)]
    assert weighted == pytest.approx(copied)
    (low, high), (low_copied, high_copied) = intervals
    assert low < low_copied < high_copied < high


def test_equal_weights_of_any_size_give_the_interval_of_as_many_texts():
    answers = answers_of([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]], ["a", "b"])
    y = np.array(["a", "b", "b"])
    assert score_answers(answers, y, np.full(3, 7.0)) == pytest.approx(
        score_answers(answers, y, np.ones(3))
    )


def test_calibration_error_of_sampled_events_vanishes_and_grows_with_the_bias():
    rng = np.random.default_rng(0)
    p = rng.uniform(size=100_000)
    happened = rng.uniform(size=p.size) < p
    assert expected_calibration_error(happened, p) < 0.01
    assert expected_calibration_error(happened, p**2) == pytest.approx(1 / 2 - 1 / 3, abs=0.01)
    assert expected_calibration_error([1, 0], [1.0, 0.0]) == 0
    assert expected_calibration_error([0, 1], [1.0, 0.0], n_bins=1) == 0


def test_calibration_error_counts_weights():
    error = expected_calibration_error([1, 0], [0.9, 0.4], sample_weight=[3, 1])
    assert error == pytest.approx((3 * 0.1 + 0.4) / 4)


def test_f1_and_precision_are_those_of_the_useful_class_whatever_sorts_last():
    rng = np.random.default_rng(0)
    p, y = rng.uniform(size=80), rng.integers(0, 2, 80)
    of_numbers = score_answers(answers_of(np.column_stack([1 - p, p]), [0, 1]), y, np.ones(80))
    names = np.array(["discard", "Keep"])[y]
    answers = answers_of(np.column_stack([p, 1 - p]), ["Keep", "discard"])
    assert score_answers(answers, names, np.ones(80)) == pytest.approx(of_numbers)
