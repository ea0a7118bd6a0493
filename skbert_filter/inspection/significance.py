"""Whether a difference between two classifiers is more than chance.

Knows nothing of classifiers or texts, only which answers are right, or scores.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import binomtest
from scipy.stats import t as student_t

from skbert_filter.printing import Report, counted, printable

# Differences with a p-value below it are called more than chance.
LEVEL = 0.05


@dataclass(frozen=True)
class McNemarTest(Report):
    """McNemar's exact test of two classifiers on the same texts.

    Attributes
    ----------
    first, second : str
        The names of the classifiers.
    only_first, only_second : int
        The number of texts that only the first, or only the second, gets right.
    p_value : float
        The probability that these two numbers differ at least this much if both classifiers are
        equally good.
    """

    first: str
    second: str
    only_first: int
    only_second: int
    p_value: float

    def __str__(self) -> str:
        sign = np.sign(self.only_first - self.only_second)
        return printable(
            f"{self.first} is right on {counted(self.only_first, 'text')} that {self.second} gets "
            f"wrong, and wrong on {self.only_second:,} that it gets right: "
            f"{verdict(sign, self.p_value)} ({p_text(self.p_value)})."
        )


@dataclass(frozen=True)
class CorrectedTTest:
    """A mean difference, its 95 % interval, and the p-value of the difference."""

    difference: float
    low: float
    high: float
    p_value: float


def mcnemar_test(
    first_right: Any, second_right: Any, *, names: tuple[str, str] = ("the first", "the second")
) -> McNemarTest:
    """Test whether two classifiers are right equally often on the same distinct texts.

    McNemar, "Note on the sampling error of the difference between correlated proportions or
    percentages" (Psychometrika 12, 1947), in the exact, two-sided binomial form. It does not
    account for how the classifiers would vary between fits.
    """
    first, second = np.asarray(first_right, dtype=bool), np.asarray(second_right, dtype=bool)
    only_first, only_second = int((first & ~second).sum()), int((second & ~first).sum())
    n = only_first + only_second
    p_value = float(binomtest(only_first, n).pvalue) if n else 1.0
    return McNemarTest(*names, only_first, only_second, p_value)


def corrected_ttest(differences: Any, n_train: Any, n_test: Any) -> CorrectedTTest:
    """Test whether the mean of differences over repeated folds is 0; NaN if one of them is NaN.

    The training sets of different folds overlap, so an ordinary t-test finds differences that are
    not there. Nadeau and Bengio, "Inference for the generalization error" (Machine Learning 52,
    2003), estimate the variance of the mean of k differences d by
    ``(1/k + n_test/n_train) * var(d)``. With unequal folds, the mean of ``n_test/n_train`` is used.
    """
    d, n_train, n_test = (np.asarray(a, dtype=np.float64) for a in (differences, n_train, n_test))
    mean = float(d.mean())
    error = float(np.sqrt((1 / len(d) + np.mean(n_test / n_train)) * d.var(ddof=1)))
    if error == 0:
        return CorrectedTTest(mean, mean, mean, float(mean == 0))

    distribution = student_t(len(d) - 1)
    half_width = float(distribution.ppf(0.975)) * error
    p_value = float(2 * distribution.sf(abs(mean) / error))
    return CorrectedTTest(mean, mean - half_width, mean + half_width, p_value)


def holm(p_values: Any) -> np.ndarray:
    """Correct p-values for their number by Holm's method; NaN marks a missing test.

    Holm, "A simple sequentially rejective multiple test procedure" (Scandinavian Journal of
    Statistics 6, 1979): if differences below 0.05 are called more than chance, the probability that
    any of them is called so by mistake is at most 0.05, however the tests depend on each other.
    """
    corrected = np.array(p_values, dtype=np.float64)
    # NaN sorts last.
    n_tests = int((~np.isnan(corrected)).sum())
    order = np.argsort(corrected, kind="stable")[:n_tests]

    factors = np.arange(n_tests, 0, -1)
    corrected[order] = np.minimum(np.maximum.accumulate(corrected[order] * factors), 1.0)
    return corrected


def verdict(sign: float, p_value: float) -> str:
    """Return in words whether a difference, positive for better, is more than chance."""
    if not p_value < LEVEL:
        return "no more than chance"
    return f"{'better' if sign > 0 else 'worse'} by more than chance"


def p_text(p_value: float) -> str:
    """Return a p-value in the style of journals: "p = .031"."""
    if p_value < 0.001:
        return "p < .001"
    if p_value >= 0.995:
        return "p = 1"
    return f"p = {f'{p_value:.3f}' if p_value < 0.1 else f'{p_value:.2f}'}".replace("0.", ".")
