"""What the checks share: their registry, toy data, an estimator's recorded fits, and comparisons.

A neural classifier takes seconds to fit, so checks that only inspect a model or its fit share one.
"""

import random
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Any

import joblib
import numpy as np
from sklearn.base import clone
from sklearn.utils import get_tags
from sklearn.utils.validation import has_fit_parameter

_OUTPUTS = ("predict", "predict_proba", "decision_function")

# float32 arithmetic in another order, such as in another batch, differs by this much.
_RTOL, ATOL = 1e-4, 1e-5


def _toy_data(classes: dict[Any, str]) -> tuple[np.ndarray, np.ndarray]:
    """Return texts of an adjective and a noun, and their labels, with the classes mixed."""
    rows = [
        (f"{adjective} {noun}", label)
        for label, words in classes.items()
        for adjective, noun in product(*map(str.split, words.split("/")))
    ]
    X, y = zip(*(rows[7 * i % len(rows)] for i in range(len(rows))), strict=True)
    return np.array(X, dtype=object), np.array(y)


# The classes differ in size: if they were equal, rounding would decide the class of unknown words.
_TOOLS = "rusty heavy blunt sharp / hammer saw chisel"
_FRUIT = "ripe sweet juicy sour / plum pear"
_WEATHER = "windy mild cold rainy foggy / morning evening"

# The first label is not the first in sorted order, which exposes an estimator that numbers labels
# in order of appearance.
X_BINARY, Y_BINARY = _toy_data({"tool": _TOOLS, "fruit": _FRUIT})
X_MULTICLASS, Y_MULTICLASS = _toy_data({7: _TOOLS, -3: _FRUIT, 2: _WEATHER})

# A few texts of the training data, and some of no clear class.
X_PROBE = [*X_MULTICLASS[:7].tolist(), "ripe hammer", "sharp pear", "cold plum", "unheard words"]

# Whole numbers, so that they can be numbers of copies too.
WEIGHTS = np.resize([1.0, 3.0, 2.0, 1.0, 2.0], len(X_BINARY))


class Subject:
    """The estimator to check, which is cloned and never fitted itself."""

    def __init__(self, estimator: Any) -> None:
        self.estimator = estimator

    @cached_property
    def abilities(self) -> frozenset[str]:
        """What it can do according to its tags, parameters and methods."""
        tags = get_tags(self.estimator)
        parameters = self.estimator.get_params()
        methods = ("predict_proba", "predict_log_proba", "decision_function")
        claims = {
            "requires_fit": tags.requires_fit,
            "repeatable": not tags.non_deterministic,
            "good_score": not tags.classifier_tags.poor_score,
            "binary_only": not tags.classifier_tags.multi_class,
            "sample_weight": has_fit_parameter(self.estimator, "sample_weight"),
            "class_weight": "class_weight" in parameters,
            "max_iter": "max_iter" in parameters,
            **{method: hasattr(self.estimator, method) for method in methods},
        }
        return frozenset(name for name, holds in claims.items() if holds)

    def new(self, **parameters: Any) -> Any:
        """Return an unfitted clone that gives the same results each time it is fitted."""
        model = clone(self.estimator)
        fixed = {"random_state": 0, "warm_start": False}
        for parameter in model.get_params():
            last = parameter.rpartition("__")[2]
            if last in fixed:
                parameters.setdefault(parameter, fixed[last])
        return model.set_params(**parameters)

    @cached_property
    def binary(self) -> "RecordedFit":
        return _record_fit(self.new(), X=X_BINARY, y=Y_BINARY)

    @cached_property
    def weighted(self) -> "RecordedFit":
        return _record_fit(self.new(), X=X_BINARY, y=Y_BINARY, sample_weight=WEIGHTS)

    @cached_property
    def fits(self) -> list["RecordedFit"]:
        """The fits on two and, where the tags allow it, three classes."""
        if "binary_only" in self.abilities:
            return [self.binary]
        return [self.binary, _record_fit(self.new(), X=X_MULTICLASS, y=Y_MULTICLASS)]


@dataclass(frozen=True)
class RecordedFit:
    """A fitted model, the arguments and result of its fit, and the side effects."""

    model: Any
    data: dict[str, np.ndarray]
    returned: Any
    warnings: list[str]
    moved_random_state: bool


def _record_fit(model: Any, **data: np.ndarray) -> RecordedFit:
    data = {name: array.copy() for name, array in data.items()}
    return RecordedFit(model, data, *watch(lambda: model.fit(**data)))


def watch(call: Callable[[], Any]) -> tuple[Any, list[str], bool]:
    """Return the result of a call, its warnings, and whether it changed a global random state."""
    before = _global_random_state()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        # Python shows these only to developers, and importing a backend issues some.
        for category in (DeprecationWarning, PendingDeprecationWarning, ImportWarning):
            warnings.simplefilter("ignore", category)
        result = call()

    shown = [f"{warning.category.__name__}: {warning.message}" for warning in caught]
    return result, shown, _global_random_state() != before


def _global_random_state() -> str:
    # Only the legacy generator is global, which is why it is read here.
    return joblib.hash((np.random.get_state(), random.getstate()))  # noqa: NPY002


Check = Callable[[Subject], None]

# Each check, by name, with the abilities that an estimator needs for it, in the order they run.
CHECKS: dict[str, tuple[Check, frozenset[str]]] = {}


def text_check(*needs: str) -> Callable[[Check], Check]:
    """Register a check for estimators with these abilities."""

    def register(check: Check) -> Check:
        CHECKS[check.__name__] = check, frozenset(needs)
        return check

    return register


def outputs(model: Any, X: Any) -> dict[str, np.ndarray]:
    """Return the output of each prediction method that `model` has."""
    return {method: getattr(model, method)(X) for method in _OUTPUTS if hasattr(model, method)}


def assert_same_outputs(actual: Any, expected: Any, situation: str) -> None:
    """Compare outputs, or those of models for `X_PROBE`: labels exactly, numbers within float32."""
    if not isinstance(actual, dict):
        actual = outputs(actual, X_PROBE)
    if not isinstance(expected, dict):
        expected = outputs(expected, X_PROBE)

    for method, values in expected.items():
        message = f"{method} changes {situation}."
        if method == "predict":
            np.testing.assert_array_equal(actual[method], values, err_msg=message)
        else:
            np.testing.assert_allclose(
                actual[method], values, rtol=_RTOL, atol=ATOL, err_msg=message
            )


@contextmanager
def refused(what: str, *, match: str = "", may_pass: bool = False) -> Iterator[None]:
    """Raise AssertionError unless the block raises TypeError, ValueError or NotImplementedError."""
    try:
        yield
    except AssertionError:
        raise
    except Exception as error:
        if not isinstance(error, TypeError | ValueError | NotImplementedError):
            raise AssertionError(
                f"{what} has to be refused with a TypeError or ValueError that says what was "
                f"wrong, not with {type(error).__name__}: {error}"
            ) from error
        if not re.search(match, str(error), flags=re.IGNORECASE):
            raise AssertionError(
                f"The error for {what} has to match {match!r}, but says: {error}"
            ) from error
    else:
        assert may_pass, f"{what} is accepted; refuse it with a TypeError or ValueError."
