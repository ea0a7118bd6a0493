"""Choose the checks that apply to an estimator, and run them or hand them to pytest."""

import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import wraps
from typing import Any, Literal

from sklearn import config_context
from sklearn.exceptions import EstimatorCheckFailedWarning
from sklearn.utils import get_tags
from sklearn.utils.validation import has_fit_parameter

from skbert_filter.testing import fit_checks, input_checks, predict_checks, weight_checks
from skbert_filter.testing.subject import Check, Subject

# These touch no data, so scikit-learn's serve text classifiers as they stand.
_FROM_SCIKIT_LEARN = (
    "check_estimator_cloneable",
    "check_estimator_tags_renamed",
    "check_valid_tag_types",
    "check_estimator_repr",
    "check_no_attributes_set_in_init",
    "check_do_not_raise_errors_in_init_or_set_params",
    "check_mixin_order",
    "check_parameters_default_constructible",
    "check_get_params_invariance",
    "check_set_params",
)


@dataclass(frozen=True)
class TextCheck:
    """A check to be called with an estimator.

    Attributes
    ----------
    function : callable
        The check itself.
    subject : Subject
        The estimator it was made for, with the fits that its checks share.
    """

    function: Check
    subject: Subject

    @property
    def __name__(self) -> str:
        return self.function.__name__

    def __call__(self, estimator: Any) -> None:
        own = estimator is self.subject.estimator
        self.function(self.subject if own else Subject(estimator))

    def __repr__(self) -> str:
        return self.__name__


def text_checks_generator(estimator: Any) -> Iterator[tuple[Any, TextCheck]]:
    """Yield each check that applies to a text classifier.

    Parameters
    ----------
    estimator : estimator object
        An unfitted classifier whose `X` is one text a row. It is only ever cloned.

    Yields
    ------
    estimator : estimator object
        The estimator given.
    check : callable
        To be called with the estimator; raises if the check fails. Its `__name__`
        is the name of the check. All checks of one generator share a few fits.

    Raises
    ------
    TypeError
        If a class is given instead of an instance, or the estimator's tags do not
        say that it is a classifier.

    See Also
    --------
    check_text_classifier : Run the checks.
    parametrize_with_text_checks : Make each check a test of pytest.

    Notes
    -----
    As in scikit-learn, tags, parameters and methods decide what applies: checks of
    `sample_weight` need the argument in the signature of `fit`; those of
    `class_weight` need the parameter; those that compare two fits are left out
    where the tag `non_deterministic` is set; `poor_score` waives the accuracy.

    Examples
    --------
    >>> from sklearn.feature_extraction.text import TfidfVectorizer
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> from skbert_filter.testing import text_checks_generator
    >>> pipeline = make_pipeline(TfidfVectorizer(), LogisticRegression())
    >>> checks = {check.__name__: check for _, check in text_checks_generator(pipeline)}
    >>> checks["check_subset_invariance"](pipeline)
    """
    if isinstance(estimator, type):
        raise TypeError(
            f"{estimator.__name__} is a class. Pass an instance: {estimator.__name__}()."
        )
    tags = get_tags(estimator)
    if tags.estimator_type != "classifier" or tags.classifier_tags is None:
        raise TypeError(
            f"{type(estimator).__name__} is no classifier: its tags say estimator_type="
            f"{tags.estimator_type!r}. Inherit from ClassifierMixin, before BaseEstimator."
        )
    subject = Subject(estimator)
    for applies, checks in _groups(estimator):
        if applies:
            for check in checks:
                yield estimator, TextCheck(check, subject)


def check_text_classifier(
    estimator: Any,
    *,
    expected_failed_checks: Mapping[str, str] | None = None,
    on_fail: Literal["raise", "warn"] | None = "raise",
) -> list[dict[str, Any]]:
    """Check that a text classifier keeps scikit-learn's conventions.

    Parameters
    ----------
    estimator : estimator object
        An unfitted classifier whose `X` is one text a row. It is only ever cloned,
        and fitted some 25 times on a few dozen short texts.
    expected_failed_checks : dict of str to str, default=None
        For the name of each check that is expected to fail, the reason.
    on_fail : {"raise", "warn"} or None, default="raise"
        What happens when a check fails that was not expected to: the error is
        raised and the remaining checks are not run, or it is told as an
        :class:`~sklearn.exceptions.EstimatorCheckFailedWarning`, or it is only
        found in the result.

    Returns
    -------
    results : list of dict
        One for each check, in the form of scikit-learn's `check_estimator`, so that
        `pandas.DataFrame(results)` is a table: `estimator`, `check_name`,
        `exception` (or None), `status` ("passed", "failed" or "xfail"),
        `expected_to_fail` and `expected_to_fail_reason`.

    Raises
    ------
    TypeError
        If `estimator` is no instance of a classifier.
    ValueError
        If `expected_failed_checks` names no check, or `on_fail` is unknown.
    Exception
        What the first failing check raised, if `on_fail="raise"`; a note names the check.

    See Also
    --------
    parametrize_with_text_checks : Make each check a test of pytest.

    Examples
    --------
    A bare pipeline passes all checks but those that need a look at the container:

    >>> from sklearn.feature_extraction.text import TfidfVectorizer
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> from skbert_filter.testing import check_text_classifier
    >>> results = check_text_classifier(
    ...     make_pipeline(TfidfVectorizer(), LogisticRegression()),
    ...     expected_failed_checks={
    ...         "check_non_text_refused": "TfidfVectorizer calls None.lower()",
    ...         "check_tables_refused": "TfidfVectorizer reads the names of the columns",
    ...         "check_one_column_table": "TfidfVectorizer reads the names of the columns",
    ...     },
    ... )
    >>> [result["check_name"] for result in results if result["status"] != "passed"]
    ['check_one_column_table', 'check_non_text_refused', 'check_tables_refused']
    """
    if on_fail not in ("raise", "warn", None):
        raise ValueError(f"on_fail is {on_fail!r}; it must be 'raise', 'warn' or None.")
    checks = list(text_checks_generator(estimator))
    expected = _check_expected(expected_failed_checks, estimator)
    results = []
    for _, check in checks:
        name = check.__name__
        exception = None
        try:
            check(estimator)
        except Exception as error:
            if on_fail == "raise" and name not in expected:
                error.add_note(f"{name} failed for {type(estimator).__name__}.")
                raise
            exception = error
        result = {
            "estimator": estimator,
            "check_name": name,
            "exception": exception,
            "status": "passed" if exception is None else "xfail" if name in expected else "failed",
            "expected_to_fail": name in expected,
            "expected_to_fail_reason": expected.get(name, "Check is not expected to fail"),
        }
        if result["status"] == "failed" and on_fail == "warn":
            warnings.warn(EstimatorCheckFailedWarning(**result), stacklevel=2)
        results.append(result)
    return results


def parametrize_with_text_checks(
    estimators: Iterable[Any],
    *,
    expected_failed_checks: Callable[[Any], Mapping[str, str] | None] | None = None,
) -> Any:
    """Make a test of pytest of each check for each estimator.

    Parameters
    ----------
    estimators : iterable of estimator objects
        Unfitted classifiers whose `X` is one text a row.
    expected_failed_checks : callable, default=None
        Given an estimator, it returns a dict from the names of checks that are
        expected to fail to the reasons, or None. These tests are marked with xfail.

    Returns
    -------
    decorator : `pytest.mark.parametrize`
        For a test function with the arguments `estimator` and `check`. The ids name
        both, so `pytest -k check_subset_invariance` runs one check.

    Raises
    ------
    TypeError
        If one of `estimators` is no instance of a classifier.
    ValueError
        If `expected_failed_checks` names no check.

    See Also
    --------
    check_text_classifier : Run the checks without pytest.

    Examples
    --------
    >>> from sklearn.feature_extraction.text import TfidfVectorizer
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> from skbert_filter.testing import parametrize_with_text_checks
    >>> @parametrize_with_text_checks(
    ...     [make_pipeline(TfidfVectorizer(), LogisticRegression())],
    ...     expected_failed_checks=lambda estimator: {
    ...         "check_non_text_refused": "TfidfVectorizer calls None.lower()",
    ...     },
    ... )
    ... def test_conventions(estimator, check):
    ...     check(estimator)
    >>> len(test_conventions.pytestmark[0].args[1]) > 40
    True
    """
    import pytest

    parameters = []
    for estimator in estimators:
        reasons = expected_failed_checks(estimator) if expected_failed_checks else None
        checks = list(text_checks_generator(estimator))
        expected = _check_expected(reasons, estimator)
        for _, check in checks:
            marks = (
                [pytest.mark.xfail(reason=expected[check.__name__])]
                if check.__name__ in expected
                else []
            )
            parameters.append(pytest.param(estimator, check, marks=marks))
    return pytest.mark.parametrize(("estimator", "check"), parameters, ids=_test_id)


def _groups(estimator: Any) -> Iterator[tuple[bool, tuple[Check, ...]]]:
    """Yield groups of checks, each with whether it applies to the estimator."""
    tags = get_tags(estimator)
    repeatable = not tags.non_deterministic
    has_proba = hasattr(estimator, "predict_proba")
    has_decision = hasattr(estimator, "decision_function")
    weighted = has_fit_parameter(estimator, "sample_weight")
    yield True, _scikit_learn_checks()
    yield True, fit_checks.CHECKS
    yield tags.requires_fit, (fit_checks.check_unfitted, fit_checks.check_is_fitted_agrees)
    yield not tags.classifier_tags.poor_score, (fit_checks.check_learns_separable_texts,)
    yield not tags.classifier_tags.multi_class, (fit_checks.check_multiclass_refused,)
    yield "max_iter" in estimator.get_params(), (fit_checks.check_n_iter,)
    yield repeatable, fit_checks.REPEATED_FITS
    yield True, predict_checks.CHECKS
    yield repeatable, predict_checks.INVARIANCES
    yield has_proba, predict_checks.PROBABILITIES
    yield hasattr(estimator, "predict_log_proba"), (predict_checks.check_predict_log_proba,)
    yield has_decision, (predict_checks.check_decision_function,)
    yield has_proba and has_decision, (predict_checks.check_decision_proba_consistency,)
    yield True, input_checks.CHECKS
    yield repeatable, input_checks.REPEATED_FITS
    yield weighted, weight_checks.SAMPLE_WEIGHT
    yield weighted and repeatable, weight_checks.REPEATED_FITS
    yield (
        "class_weight" in estimator.get_params() and not tags.classifier_tags.poor_score,
        (weight_checks.check_class_weight,),
    )


def _scikit_learn_checks() -> tuple[Check, ...]:
    # scikit-learn's module imports pytest where it is installed.
    from sklearn.utils import estimator_checks

    def restate(check: Callable[[str, Any], None]) -> Check:
        @wraps(check)
        def restated(subject: Subject) -> None:
            check(subject.name, subject.estimator)

        return restated

    return tuple(restate(getattr(estimator_checks, name)) for name in _FROM_SCIKIT_LEARN)


def _check_expected(reasons: Mapping[str, str] | None, estimator: Any) -> dict[str, str]:
    known = {check.__name__ for _, checks in _groups(estimator) for check in checks}
    unknown = sorted(set(reasons or {}) - known)
    if unknown:
        raise ValueError(
            f"expected_failed_checks names {', '.join(unknown)}, which is no text check. "
            "text_checks_generator gives the checks there are."
        )
    return dict(reasons or {})


def _test_id(value: Any) -> str:
    if isinstance(value, TextCheck):
        return value.__name__
    with config_context(print_changed_only=True):
        return re.sub(r"\s", "", repr(value))
