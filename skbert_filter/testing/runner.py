"""Choose the checks that apply to an estimator, and run them or pass them to pytest."""

import re
import warnings
from collections.abc import Callable, Iterable, Mapping
from functools import wraps
from types import FunctionType
from typing import Any, Literal

from sklearn import config_context
from sklearn.exceptions import EstimatorCheckFailedWarning
from sklearn.utils import get_tags

# Importing these registers their checks.
from skbert_filter.testing import fit_checks, input_checks, predict_checks  # noqa: F401
from skbert_filter.testing.subject import CHECKS, Check, Subject, text_check


def _register_scikit_learn_check(name: str, *needs: str) -> None:
    def check(subject: Subject) -> None:
        # This module imports pytest if it is installed.
        from sklearn.utils import estimator_checks

        getattr(estimator_checks, name)(type(subject.estimator).__name__, subject.estimator)

    check.__name__ = name
    text_check(*needs)(check)


# These fit nothing, so they apply to text classifiers unchanged.
for _name in (
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
):
    _register_scikit_learn_check(_name)
_register_scikit_learn_check("check_estimators_unfitted", "requires_fit")


def _bound(check: Check, subject: Subject) -> Callable[[Any], None]:
    """Return a check that takes an estimator, and shares the fits of `subject`."""

    @wraps(check)
    def bound(estimator: Any) -> None:
        check(subject if estimator is subject.estimator else Subject(estimator))

    return bound


def applicable_checks(estimator: Any) -> dict[str, Callable[[Any], None]]:
    """Return the checks that apply to an unfitted text classifier, by name; they share fits."""
    if isinstance(estimator, type):
        raise TypeError(
            f"{estimator.__name__} is a class. Pass an instance: {estimator.__name__}()."
        )
    tags = get_tags(estimator)
    if tags.estimator_type != "classifier" or tags.classifier_tags is None:
        raise TypeError(
            f"{type(estimator).__name__} is not a classifier: its tags say estimator_type="
            f"{tags.estimator_type!r}. Inherit from ClassifierMixin, before BaseEstimator."
        )

    subject = Subject(estimator)
    return {
        name: _bound(check, subject)
        for name, (check, needs) in CHECKS.items()
        if needs <= subject.abilities
    }


def check_text_classifier(
    estimator: Any,
    *,
    expected_failed_checks: Mapping[str, str] | None = None,
    on_fail: Literal["raise", "warn"] | None = "raise",
) -> list[dict[str, Any]]:
    """Check that a text classifier follows scikit-learn's conventions.

    Parameters
    ----------
    estimator : estimator object
        An unfitted classifier of texts. It is cloned, and fitted some 20 times on a few dozen short
        texts.
    expected_failed_checks : dict of str to str, default=None
        The checks that are expected to fail, by name, with the reasons.
    on_fail : {"raise", "warn"} or None, default="raise"
        At an unexpected failure: raise the error and stop, issue an
        :class:`~sklearn.exceptions.EstimatorCheckFailedWarning`, or only record it in the result.

    Returns
    -------
    results : list of dict
        One for each check, with the keys of scikit-learn's `check_estimator`;
        `pandas.DataFrame(results)` is a table.

    Raises
    ------
    TypeError, ValueError
        If `estimator` is not an instance of a classifier, or `expected_failed_checks` names an
        unknown check.
    Exception
        What the first failing check raised, if `on_fail="raise"`; a note names the check.

    Notes
    -----
    As in scikit-learn, tags, parameters and methods decide which checks apply: those of weights
    need the argument `sample_weight` of `fit` or the parameter `class_weight`; those that compare
    two fits are skipped with the tag `non_deterministic`, that of the accuracy with `poor_score`.

    Examples
    --------
    A plain pipeline passes all checks but two, for which it would have to inspect the container:

    >>> from sklearn.feature_extraction.text import TfidfVectorizer
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> from skbert_filter.testing import check_text_classifier
    >>> results = check_text_classifier(
    ...     make_pipeline(TfidfVectorizer(), LogisticRegression()),
    ...     expected_failed_checks={
    ...         "check_non_text_refused": "TfidfVectorizer calls None.lower()",
    ...         "check_tables": "TfidfVectorizer reads the names of the columns",
    ...     },
    ... )
    >>> [result["check_name"] for result in results if result["status"] != "passed"]
    ['check_non_text_refused', 'check_tables']
    """
    if on_fail not in ("raise", "warn", None):
        raise ValueError(f"on_fail is {on_fail!r}; it must be 'raise', 'warn' or None.")
    checks = applicable_checks(estimator)
    expected = _check_names(expected_failed_checks)

    results = []
    for name, check in checks.items():
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
    """Turn each check for each estimator into a pytest test.

    Parameters
    ----------
    estimators : iterable of estimator objects
        Unfitted classifiers of texts.
    expected_failed_checks : callable, default=None
        Called with an estimator, it returns the checks that are expected to fail, by name, with the
        reasons, or None. These tests are marked as xfail.

    Returns
    -------
    decorator : `pytest.mark.parametrize`
        For a test function with the arguments `estimator` and `check`.

    Raises
    ------
    TypeError, ValueError
        As :func:`check_text_classifier`, which runs the checks without pytest.

    Examples
    --------
    >>> from sklearn.feature_extraction.text import TfidfVectorizer
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> from skbert_filter.testing import parametrize_with_text_checks
    >>> @parametrize_with_text_checks([make_pipeline(TfidfVectorizer(), LogisticRegression())])
    ... def test_conventions(estimator, check):
    ...     check(estimator)
    >>> len(test_conventions.pytestmark[0].args[1]) > 30
    True
    """
    import pytest

    parameters = []
    for estimator in estimators:
        reasons = _check_names(expected_failed_checks and expected_failed_checks(estimator))
        for name, check in applicable_checks(estimator).items():
            reason = reasons.get(name)
            marks = () if reason is None else pytest.mark.xfail(reason=reason)
            parameters.append(pytest.param(estimator, check, marks=marks))
    return pytest.mark.parametrize(("estimator", "check"), parameters, ids=_test_id)


def _check_names(reasons: Mapping[str, str] | None) -> dict[str, str]:
    if unknown := sorted(set(reasons or {}) - set(CHECKS)):
        raise ValueError(
            f"expected_failed_checks names {', '.join(unknown)}, which is not a text check. "
            "check_text_classifier(estimator, on_fail=None) lists all checks."
        )
    return dict(reasons or {})


def _test_id(value: Any) -> str:
    if isinstance(value, FunctionType):
        return value.__name__
    with config_context(print_changed_only=True):
        return re.sub(r"\s", "", repr(value))
