"""What the checks share: toy data, an estimator's recorded fits, and comparisons.

A neural classifier takes seconds to fit, so checks that only look at a model, or
at what its fit did, look at one and the same.
"""

import random
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import product, zip_longest
from typing import Any

import joblib
import numpy as np
from sklearn.base import clone
from sklearn.utils import get_tags

OUTPUTS = ("predict", "predict_proba", "decision_function")

# float32 arithmetic in another order, as of another batch, differs by this much.
RTOL, ATOL = 1e-4, 1e-5


def _texts(adjectives: str, nouns: str) -> list[str]:
    return [" ".join(words) for words in product(adjectives.split(), nouns.split())]


def _toy_data(classes: dict[Any, list[str]]) -> tuple[np.ndarray, np.ndarray]:
    """Return texts and labels, with the classes taking turns."""
    rows = [
        (text, label)
        for texts in zip_longest(*classes.values())
        for text, label in zip(texts, classes, strict=True)
        if text is not None
    ]
    X, y = zip(*rows, strict=True)
    return np.array(X, dtype=object), np.array(y)


# The classes differ in size, so that words of no class are no tie, which rounding
# would decide.
_TOOLS = _texts("rusty heavy blunt sharp", "hammer saw chisel")
_FRUIT = _texts("ripe sweet juicy sour", "plum pear")
_WEATHER = _texts("windy mild cold rainy foggy", "morning evening")

# The label seen first is not the first in order, so that an estimator which numbers
# labels as they come is found out.
X_BINARY, Y_BINARY = _toy_data({"tool": _TOOLS, "fruit": _FRUIT})
X_MULTICLASS, Y_MULTICLASS = _toy_data({7: _TOOLS, -3: _FRUIT, 2: _WEATHER})

# A few texts of the training data, and some no class is sure of.
X_PROBE = [*X_MULTICLASS[:7].tolist(), "ripe hammer", "sharp pear", "cold plum", "unheard words"]

# Repeats whole rows, so it serves as a count of copies too.
WEIGHTS = np.resize([1.0, 3.0, 2.0, 1.0, 2.0], len(X_BINARY))


@dataclass(frozen=True)
class RecordedFit:
    """A fitted model, with everything that its fit returned, changed and warned of."""

    model: Any
    X: np.ndarray
    y: np.ndarray
    sample_weight: np.ndarray | None
    returned: Any
    attributes_before: dict[str, Any]
    attributes_after: dict[str, Any]
    parameters_before: dict[str, str]
    warnings: list[str]
    moved_global_random_state: bool


class Subject:
    """The estimator under check.

    Parameters
    ----------
    estimator : estimator object
        It is only ever cloned.
    """

    def __init__(self, estimator: Any) -> None:
        self.estimator = estimator

    @property
    def name(self) -> str:
        return type(self.estimator).__name__

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
    def binary(self) -> RecordedFit:
        return _record_fit(self.new(), X_BINARY, Y_BINARY)

    @cached_property
    def multiclass(self) -> RecordedFit:
        return _record_fit(self.new(), X_MULTICLASS, Y_MULTICLASS)

    @property
    def fits(self) -> list[RecordedFit]:
        """The recorded fits on two and, where the tags allow it, three classes."""
        return [self.binary, self.multiclass] if self.is_multiclass else [self.binary]

    @property
    def is_multiclass(self) -> bool:
        return get_tags(self.estimator).classifier_tags.multi_class

    @cached_property
    def weighted(self) -> RecordedFit:
        return _record_fit(self.new(), X_BINARY, Y_BINARY, WEIGHTS)


Check = Callable[[Subject], None]


def _record_fit(
    model: Any, X: np.ndarray, y: np.ndarray, sample_weight: np.ndarray | None = None
) -> RecordedFit:
    X, y = X.copy(), y.copy()
    fit_params = {}
    if sample_weight is not None:
        sample_weight = fit_params["sample_weight"] = sample_weight.copy()
    attributes_before = dict(vars(model))
    parameters_before = hash_parameters(model)
    random_state_before = global_random_state()
    with recorded_warnings() as told:
        returned = model.fit(X, y, **fit_params)
    return RecordedFit(
        model=model,
        X=X,
        y=y,
        sample_weight=sample_weight,
        returned=returned,
        attributes_before=attributes_before,
        attributes_after=dict(vars(model)),
        parameters_before=parameters_before,
        warnings=told,
        moved_global_random_state=global_random_state() != random_state_before,
    )


@contextmanager
def recorded_warnings() -> Iterator[list[str]]:
    """Give a list that holds, after the block, each warning a user would have seen."""
    told: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        # Python shows these to developers only, and importing an engine draws them.
        for category in (DeprecationWarning, PendingDeprecationWarning, ImportWarning):
            warnings.simplefilter("ignore", category)
        yield told
    told += [f"{warning.category.__name__}: {warning.message}" for warning in caught]


def hash_parameters(estimator: Any) -> dict[str, str]:
    """Return a hash of each parameter, leaving out what inner estimators have learnt."""
    return {name: joblib.hash(value) for name, value in clone(estimator).get_params().items()}


def global_random_state() -> str:
    # Only the legacy generator is global, which is why it is read here.
    return joblib.hash((np.random.get_state(), random.getstate()))  # noqa: NPY002


def outputs(model: Any, X: Any) -> dict[str, np.ndarray]:
    """Return what each prediction method of `model` answers."""
    return {method: getattr(model, method)(X) for method in OUTPUTS if hasattr(model, method)}


def assert_same_outputs(
    actual: dict[str, np.ndarray], expected: dict[str, np.ndarray], situation: str
) -> None:
    """Raise AssertionError unless labels are equal, and numbers equal in float32."""
    for method, values in expected.items():
        message = f"{method} changes {situation}."
        if method == "predict":
            np.testing.assert_array_equal(actual[method], values, err_msg=message)
        else:
            np.testing.assert_allclose(
                actual[method], values, rtol=RTOL, atol=ATOL, err_msg=message
            )


@contextmanager
def refused(what: str, *, match: str = "", may_pass: bool = False) -> Iterator[None]:
    """Raise AssertionError unless the block raises TypeError, ValueError or NotImplementedError.

    Parameters
    ----------
    what : str
        What has to be refused, for the message.
    match : str, default=""
        A regular expression that the error's message has to contain.
    may_pass : bool, default=False
        Whether no error at all is as good.
    """
    try:
        yield
    except (TypeError, ValueError, NotImplementedError) as error:
        if not re.search(match, str(error), flags=re.IGNORECASE):
            raise AssertionError(
                f"The message that refuses {what} has to match {match!r}, but says: {error}"
            ) from error
    except AssertionError:
        raise
    except Exception as error:
        raise AssertionError(
            f"{what} has to be refused with a TypeError or ValueError that says what was wrong, "
            f"not with {type(error).__name__}: {error}"
        ) from error
    else:
        if not may_pass:
            raise AssertionError(f"{what} is accepted; refuse it with a TypeError or ValueError.")
