"""Scores of predictions, against hand calculation, other implementations and copies of rows."""

import numpy as np
import pytest

from skbert_filter.inspection import expected_calibration_error
from skbert_filter.inspection.scores import Predictions, score_predictions


def predictions_of(proba, classes):
    proba = np.array(proba)
    classes = np.array(classes)
    return Predictions(classes, classes[proba.argmax(axis=1)], proba, proba)


def test_calibration_error_of_sampled_events_vanishes_and_grows_with_the_bias():
    rng = np.random.default_rng(0)
    p = rng.uniform(size=100_000)
    happened = rng.uniform(size=p.size) < p
    assert expected_calibration_error(happened, p) < 0.01
    assert expected_calibration_error(happened, p**2) == pytest.approx(1 / 2 - 1 / 3, abs=0.01)
    assert expected_calibration_error([1, 0], [1.0, 0.0]) == 0
    assert expected_calibration_error([0, 1], [1.0, 0.0], n_bins=1) == 0


def test_f1_and_precision_are_those_of_the_useful_class_whatever_sorts_last():
    rng = np.random.default_rng(0)
    p, y = rng.uniform(size=80), rng.integers(0, 2, 80)
    of_numbers = score_predictions(predictions_of(np.column_stack([1 - p, p]), [0, 1]), y)
    names = np.array(["discard", "Keep"])[y]
    predictions = predictions_of(np.column_stack([p, 1 - p]), ["Keep", "discard"])
    assert score_predictions(predictions, names) == pytest.approx(of_numbers)
