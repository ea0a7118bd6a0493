"""Checks of what `fit` returns, learns, keeps and forgets, given plain arrays."""

import warnings
from inspect import signature

import numpy as np
from sklearn.exceptions import DataConversionWarning, NotFittedError
from sklearn.metrics import accuracy_score
from sklearn.model_selection import cross_val_score
from sklearn.utils import get_tags
from sklearn.utils.validation import check_is_fitted, has_fit_parameter

from skbert_filter.testing.subject import (
    OUTPUTS,
    WEIGHTS,
    X_BINARY,
    X_MULTICLASS,
    X_PROBE,
    Y_BINARY,
    Y_MULTICLASS,
    Check,
    Subject,
    assert_same_outputs,
    hash_parameters,
    outputs,
    refused,
)


def check_text_tags(subject: Subject) -> None:
    """Tags that claim texts do not claim tables, which would call for numeric checks."""
    tags = get_tags(subject.estimator).input_tags
    assert not (tags.string and tags.two_d_array), (
        "input_tags claims string and two_d_array. A column of texts is no 2-D array: "
        "set two_d_array to False."
    )


def check_fit_score_take_y(subject: Subject) -> None:
    """`fit` and `score` take the labels as their second argument, so pipelines can pass them."""
    model = subject.new()
    for method in ("fit", "score"):
        names = list(signature(getattr(model, method)).parameters)
        assert names[1:2] == ["y"], f"The second argument of {method} has to be y; it has {names}."


def check_unfitted(subject: Subject) -> None:
    """Each prediction method of an unfitted estimator raises NotFittedError."""
    model = subject.new()
    for method in (*OUTPUTS, "predict_log_proba"):
        if hasattr(model, method):
            try:
                getattr(model, method)(X_PROBE)
            except NotFittedError:
                continue
            except Exception as error:
                raise AssertionError(
                    f"{method} before fit has to raise NotFittedError, not {error!r}. "
                    "Call check_is_fitted(self) first."
                ) from error
            raise AssertionError(f"{method} works before fit. Call check_is_fitted(self) first.")


def check_is_fitted_agrees(subject: Subject) -> None:
    """`check_is_fitted` tells a fitted estimator from an unfitted one."""
    try:
        check_is_fitted(subject.new())
    except NotFittedError:
        pass
    else:
        raise AssertionError("check_is_fitted passes before fit.")
    try:
        check_is_fitted(subject.binary.model)
    except NotFittedError as error:
        raise AssertionError("check_is_fitted fails after fit.") from error


def check_fit_returns_self(subject: Subject) -> None:
    """`fit` returns the estimator."""
    fit = subject.binary
    assert fit.returned is fit.model, f"fit has to return self, not {fit.returned!r}."


def check_fit_keeps_parameters(subject: Subject) -> None:
    """`fit` changes no parameter, nor what a parameter holds."""
    fit = subject.binary
    after = hash_parameters(fit.model)
    changed = [name for name, value in fit.parameters_before.items() if after[name] != value]
    assert not changed, f"fit changes the parameters {changed}. Keep what it learns elsewhere."


def check_fit_sets_only_learnt_attributes(subject: Subject) -> None:
    """Attributes that `fit` adds begin or end with an underscore."""
    fit = subject.binary
    added = [
        name
        for name in fit.attributes_after
        if name not in fit.attributes_before and not name.startswith("_") and name[-1] != "_"
    ]
    assert not added, f"fit sets {added}. Names of what is learnt end with an underscore."


def check_fit_keeps_data(subject: Subject) -> None:
    """`fit` changes neither texts nor labels."""
    fit = subject.binary
    np.testing.assert_array_equal(fit.X, X_BINARY, err_msg="fit changes X in place.")
    np.testing.assert_array_equal(fit.y, Y_BINARY, err_msg="fit changes y in place.")


def check_fit_keeps_global_random_state(subject: Subject) -> None:
    """`fit` neither seeds nor draws from the random state of NumPy or Python."""
    assert not subject.binary.moved_global_random_state, (
        "fit moves the global random state. Draw from check_random_state(self.random_state)."
    )


def check_fit_warns_of_nothing(subject: Subject) -> None:
    """`fit` on good data warns of nothing."""
    assert not subject.binary.warnings, f"fit on good data warns: {subject.binary.warnings}"


def check_n_iter(subject: Subject) -> None:
    """An estimator with `max_iter` tells in `n_iter_` how many iterations it took."""
    n_iter = np.asarray(getattr(subject.binary.model, "n_iter_", 0))
    assert n_iter.min() >= 1, "n_iter_ has to be set by fit, and at least 1."


def check_classes(subject: Subject) -> None:
    """`classes_` holds the labels in order, and `predict` answers with them."""
    for fit in subject.fits:
        classes = fit.model.classes_
        np.testing.assert_array_equal(
            classes, np.unique(fit.y), err_msg="classes_ has to hold the sorted labels."
        )
        predicted = fit.model.predict(X_PROBE)
        assert set(predicted.tolist()) <= set(classes.tolist()), (
            f"predict answers {set(predicted.tolist())}, but classes_ is {classes}."
        )


def check_learns_separable_texts(subject: Subject) -> None:
    """Texts whose classes share no word are learnt."""
    for fit in subject.fits:
        accuracy = accuracy_score(fit.y, fit.model.predict(fit.X))
        assert accuracy > 0.83, (
            f"The accuracy on {len(fit.X)} training texts whose {len(set(fit.y.tolist()))} classes "
            f"share no word is {accuracy:.2f}. Train longer, or set the tag poor_score."
        )


def check_score_is_accuracy(subject: Subject) -> None:
    """`score` is the share of texts predicted right."""
    fit = subject.binary
    labels = np.resize(np.unique(fit.y), len(X_PROBE))
    expected = accuracy_score(labels, fit.model.predict(X_PROBE))
    score = fit.model.score(X_PROBE, labels)
    assert np.isclose(score, expected), f"score is {score}; the accuracy is {expected}."


def check_one_label(subject: Subject) -> None:
    """A single class is refused, or learnt as the only answer."""
    labels = np.full_like(Y_BINARY, Y_BINARY[0])
    with refused("fit on one class", match="class", may_pass=True):
        predicted = subject.new().fit(X_BINARY, labels).predict(X_PROBE)
        np.testing.assert_array_equal(
            predicted,
            labels[: len(X_PROBE)],
            err_msg="Fitted on one class, predict has to answer with it.",
        )


def check_multiclass_refused(subject: Subject) -> None:
    """Three classes are refused by an estimator whose tags say that it takes two."""
    with refused("fit on three classes", match="Only binary classification is supported"):
        subject.new().fit(X_MULTICLASS, Y_MULTICLASS)


def check_cross_val_score(subject: Subject) -> None:
    """The estimator works in `cross_val_score`."""
    scores = cross_val_score(subject.new(), X_BINARY, Y_BINARY, cv=2, error_score="raise")
    assert np.all((scores >= 0) & (scores <= 1)), f"cross_val_score gives {scores}."


def check_readonly_data(subject: Subject) -> None:
    """Arrays that cannot be written to, as joblib's workers get them, are enough."""
    given = {"X": X_BINARY.copy(), "y": Y_BINARY.copy()}
    if has_fit_parameter(subject.estimator, "sample_weight"):
        given["sample_weight"] = WEIGHTS.copy()
    for array in given.values():
        array.setflags(write=False)
    subject.new().fit(**given).predict(given["X"])


def check_fit_idempotent(subject: Subject) -> None:
    """A fit with the same `random_state`, and one more on top, give the same model."""
    model = subject.new().fit(X_BINARY, Y_BINARY).fit(X_BINARY, Y_BINARY)
    expected = outputs(subject.binary.model, X_PROBE)
    assert_same_outputs(outputs(model, X_PROBE), expected, "when the same data is fitted again")


def check_refit_forgets(subject: Subject) -> None:
    """A fit forgets the texts and classes of the fit before."""
    model = subject.new()
    if subject.is_multiclass:
        model.fit(X_MULTICLASS, Y_MULTICLASS)
    else:
        model.fit(X_BINARY, Y_BINARY[::-1])
    model.fit(X_BINARY, Y_BINARY)
    np.testing.assert_array_equal(
        model.classes_, np.unique(Y_BINARY), err_msg="classes_ outlives the next fit."
    )
    expected = outputs(subject.binary.model, X_PROBE)
    assert_same_outputs(outputs(model, X_PROBE), expected, "when other data was fitted before")


def check_label_types(subject: Subject) -> None:
    """Labels that are str objects, bool or negative give the same model under other names."""
    fit = subject.binary
    expected = outputs(fit.model, X_PROBE)
    predicted = np.searchsorted(fit.model.classes_, expected["predict"])
    given = np.searchsorted(np.unique(Y_BINARY), Y_BINARY)
    for classes in (np.array(["no", "yes"], object), np.array([False, True]), np.array([-1, 1])):
        labels = classes.tolist()
        model = subject.new().fit(X_BINARY, classes[given])
        answers = outputs(model, X_PROBE)
        # NumPy holds True equal to 1, so equality alone would let bool become int.
        assert {type(label) for label in answers["predict"].tolist()} == {type(labels[0])}, (
            f"predict answers with {answers['predict'].dtype} where the labels are {labels}."
        )
        expected["predict"] = classes[predicted]
        assert_same_outputs(answers, expected, f"when the labels are {labels}")


def check_column_of_labels(subject: Subject) -> None:
    """Labels of shape (n, 1) are refused, or read as 1-D labels with a DataConversionWarning."""
    with warnings.catch_warnings(record=True) as caught, refused("a column y", may_pass=True):
        warnings.simplefilter("always")
        model = subject.new().fit(X_BINARY, Y_BINARY[:, np.newaxis])
        assert any(warning.category is DataConversionWarning for warning in caught), (
            "y of shape (n, 1) is accepted without a DataConversionWarning. Use column_or_1d."
        )
        expected = outputs(subject.binary.model, X_PROBE)
        assert_same_outputs(outputs(model, X_PROBE), expected, "when y is a column")


CHECKS: tuple[Check, ...] = (
    check_text_tags,
    check_fit_score_take_y,
    check_fit_returns_self,
    check_fit_keeps_parameters,
    check_fit_sets_only_learnt_attributes,
    check_fit_keeps_data,
    check_fit_keeps_global_random_state,
    check_fit_warns_of_nothing,
    check_classes,
    check_score_is_accuracy,
    check_one_label,
    check_cross_val_score,
    check_readonly_data,
)
REPEATED_FITS: tuple[Check, ...] = (
    check_fit_idempotent,
    check_refit_forgets,
    check_label_types,
    check_column_of_labels,
)
