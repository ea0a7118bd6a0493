"""Tests of differences, against hand calculation and scipy's own."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, ttest_rel

from skbert_filter.inspection.significance import corrected_ttest, holm, mcnemar_test, p_text


def right(only_first, only_second, both=3, neither=2):
    counts = (only_first, only_second, both, neither)
    return np.repeat([1, 0, 1, 0], counts), np.repeat([0, 1, 1, 0], counts)


@given(st.integers(0, 60), st.integers(0, 60))
def test_mcnemar_is_twice_the_smaller_tail_of_fair_coins(only_first, only_second):
    test = mcnemar_test(*right(only_first, only_second))
    tail = binom.cdf(min(only_first, only_second), only_first + only_second, 0.5)
    assert (test.only_first, test.only_second) == (only_first, only_second)
    assert test.p_value == pytest.approx(min(1, 2 * tail))


@pytest.mark.parametrize(
    ("counts", "sentence"),
    [
        (
            (12, 31),
            "The filter is right on 12 texts that TF-IDF gets wrong, and wrong on 31 that it gets "
            "right: worse by more than chance (p = .005).",
        ),
        (
            (1200, 310),
            "The filter is right on 1,200 texts that TF-IDF gets wrong, and wrong on 310 that it "
            "gets right: better by more than chance (p < .001).",
        ),
        (
            (1, 3),
            "The filter is right on 1 text that TF-IDF gets wrong, and wrong on 3 that it gets "
            "right: no more than chance (p = .62).",
        ),
        (
            (0, 0),
            "The filter is right on 0 texts that TF-IDF gets wrong, and wrong on 0 that it gets "
            "right: no more than chance (p = 1).",
        ),
    ],
)
def test_mcnemar_says_in_words_whether_the_difference_is_more_than_chance(counts, sentence):
    test = mcnemar_test(*right(*counts), names=("The filter", "TF-IDF"))
    assert str(test) == sentence
    assert test.to_frame().loc[0, ["only_first", "only_second"]].tolist() == list(counts)


def test_the_corrected_t_is_the_paired_t_with_a_larger_variance():
    rng = np.random.default_rng(0)
    a, b = rng.normal(0.9, 0.02, 15), rng.normal(0.88, 0.02, 15)
    plain = ttest_rel(a, b)
    uncorrected = corrected_ttest(a - b, [100] * 15, [0] * 15)
    interval = plain.confidence_interval(0.95)
    assert uncorrected.p_value == pytest.approx(plain.pvalue)
    assert (uncorrected.low, uncorrected.high) == pytest.approx(tuple(interval))

    corrected = corrected_ttest(a - b, [80] * 15, [20] * 15)
    # 1/15 becomes 1/15 + 1/4: the error grows by sqrt(1 + 15/4)
    growth = np.sqrt(4.75)
    assert corrected.difference == uncorrected.difference
    width, width_before = (t.high - t.low for t in (corrected, uncorrected))
    assert width == pytest.approx(growth * width_before)
    assert corrected.p_value > uncorrected.p_value


def test_the_corrected_t_equals_hand_calculation_on_unequal_folds():
    # mean 0.02, variance 1e-4, mean of n_test/n_train 0.3: t = 0.02/sqrt((1/3 + 0.3)·1e-4)
    test = corrected_ttest([0.01, 0.02, 0.03], [100, 50, 100], [20, 25, 20])
    t = 0.02 / np.sqrt((1 / 3 + 0.3) * 1e-4)
    # With two degrees of freedom the distribution has a closed form.
    assert test.p_value == pytest.approx(1 - t / np.sqrt(2 + t**2))


def test_differences_that_do_not_vary_are_certain():
    assert corrected_ttest([0.0] * 3, [8] * 3, [4] * 3).p_value == 1
    assert corrected_ttest([0.25] * 3, [8] * 3, [4] * 3).p_value == 0
    assert np.isnan(corrected_ttest([np.nan] * 3, [8] * 3, [4] * 3).p_value)


@given(st.lists(st.floats(0, 1), max_size=6))
def test_holm_rejects_what_the_step_down_procedure_rejects(p_values):
    rejected = set()
    for step, row in enumerate(np.argsort(p_values, kind="stable")):
        if not p_values[row] * (len(p_values) - step) < 0.05:
            break
        rejected.add(int(row))
    assert set(np.flatnonzero(holm(p_values) < 0.05).tolist()) == rejected


def test_holm_ignores_missing_tests():
    assert holm([0.03, np.nan, 0.02, 0.9])[[0, 2, 3]].tolist() == pytest.approx([0.06, 0.06, 0.9])
    assert np.isnan(holm([0.03, np.nan])[1])


@pytest.mark.parametrize(
    ("p_value", "text"),
    [(0.0004, "p < .001"), (0.0062, "p = .006"), (0.312, "p = .31"), (0.9991, "p = 1")],
)
def test_p_values_are_formatted_as_in_journals(p_value, text):
    assert p_text(p_value) == text
