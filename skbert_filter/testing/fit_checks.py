"""Checks of `fit`: what it returns, learns and keeps, with and without sample weights."""

import warnings
from inspect import signature

import joblib
import numpy as np
import pandas as pd
from sklearn import config_context
from sklearn.base import clone
from sklearn.exceptions import DataConversionWarning, NotFittedError
from sklearn.metrics import accuracy_score
from sklearn.model_selection import cross_val_score
from sklearn.utils import get_tags
from sklearn.utils.metadata_routing import get_routing_for_object
from sklearn.utils.validation import check_is_fitted

from skbert_filter.testing.subject import (
    WEIGHTS,
    X_BINARY,
    X_MULTICLASS,
    X_PROBE,
    Y_BINARY,
    Y_MULTICLASS,
    Subject,
    assert_same_outputs,
    outputs,
    refused,
    text_check,
)

_N = len(X_BINARY)


@text_check()
def check_text_tags(subject: Subject) -> None:
    """Tags that claim texts do not claim tables too, which would enable numeric checks."""
    tags = get_tags(subject.estimator).input_tags
    assert not (tags.string and tags.two_d_array), (
        "input_tags claims string and two_d_array. A column of texts is not a 2-D array: "
        "set two_d_array to False."
    )


@text_check()
def check_fit_score_take_y(subject: Subject) -> None:
    """`fit` and `score` take the labels as their second argument, so pipelines can pass them."""
    model = subject.new()
    for method in ("fit", "score"):
        names = list(signature(getattr(model, method)).parameters)
        assert names[1:2] == ["y"], f"The second argument of {method} has to be y; it has {names}."


@text_check()
def check_fit_returns_self(subject: Subject) -> None:
    """`fit` returns the estimator."""
    fit = subject.binary
    assert fit.returned is fit.model, f"fit has to return self, not {fit.returned!r}."


@text_check()
def check_fit_keeps_parameters(subject: Subject) -> None:
    """`fit` changes neither a parameter nor the object that it refers to."""
    # Cloned, so that attributes learnt by inner estimators do not count.
    before, after = (
        {name: joblib.hash(value) for name, value in clone(model).get_params().items()}
        for model in (subject.new(), subject.binary.model)
    )
    changed = [name for name in before if before[name] != after[name]]
    assert not changed, f"fit changes the parameters {changed}. Store what it learns elsewhere."


@text_check()
def check_fit_sets_only_learnt_attributes(subject: Subject) -> None:
    """Attributes that `fit` adds begin or end with an underscore."""
    added = vars(subject.binary.model).keys() - vars(subject.new()).keys()
    public = sorted(name for name in added if name[0] != "_" != name[-1])
    assert not public, f"fit sets {public}. Names of learnt attributes end with an underscore."


@text_check()
def check_classes(subject: Subject) -> None:
    """`classes_` contains the sorted labels, and `predict` returns them."""
    for fit in subject.fits:
        classes = fit.model.classes_
        np.testing.assert_array_equal(
            classes, np.unique(fit.data["y"]), err_msg="classes_ has to hold the sorted labels."
        )

        predicted = set(fit.model.predict(X_PROBE).tolist())
        assert predicted <= set(classes.tolist()), (
            f"predict returns {predicted}, but classes_ is {classes}."
        )


@text_check()
def check_score_is_accuracy(subject: Subject) -> None:
    """`score` is the fraction of texts predicted correctly."""
    model = subject.binary.model
    labels = np.resize(np.unique(Y_BINARY), len(X_PROBE))
    score, expected = model.score(X_PROBE, labels), np.mean(model.predict(X_PROBE) == labels)
    assert np.isclose(score, expected), f"score is {score}; the accuracy is {expected}."


@text_check()
def check_one_label(subject: Subject) -> None:
    """A single class, even if only left by weights of zero, is refused, or always predicted."""
    label = Y_BINARY[0]
    fits = {"fit on one class": {"y": np.full_like(Y_BINARY, label)}}
    if "sample_weight" in subject.abilities:
        weights = np.where(label == Y_BINARY, 1.0, 0.0)
        fits["fit on one class left by sample_weight"] = {"y": Y_BINARY, "sample_weight": weights}

    for name, data in fits.items():
        with refused(name, match="class", may_pass=True):
            predicted = subject.new().fit(X_BINARY, **data).predict(X_PROBE)
            assert set(predicted.tolist()) == {label}, f"After {name}, predict has to return it."


@text_check()
def check_cross_val_score(subject: Subject) -> None:
    """The estimator works in `cross_val_score`."""
    scores = cross_val_score(subject.new(), X_BINARY, Y_BINARY, cv=2, error_score="raise")
    assert np.all((scores >= 0) & (scores <= 1)), f"cross_val_score returns {scores}."


@text_check()
def check_readonly_data(subject: Subject) -> None:
    """Read-only arrays, such as joblib's workers receive, are accepted."""
    data = {"X": X_BINARY.copy(), "y": Y_BINARY.copy()}
    if "sample_weight" in subject.abilities:
        data["sample_weight"] = WEIGHTS.copy()

    for array in data.values():
        array.setflags(write=False)
    subject.new().fit(**data).predict(data["X"])


@text_check("requires_fit")
def check_is_fitted_agrees(subject: Subject) -> None:
    """`check_is_fitted` distinguishes a fitted estimator from an unfitted one."""
    for model, fitted in ((subject.new(), False), (subject.binary.model, True)):
        try:
            check_is_fitted(model)
        except NotFittedError as error:
            if fitted:
                raise AssertionError("check_is_fitted fails after fit.") from error
        else:
            assert fitted, "check_is_fitted passes before fit."


@text_check("good_score")
def check_learns_separable_texts(subject: Subject) -> None:
    """Texts whose classes share no word are learnt."""
    for fit in subject.fits:
        X, y = fit.data["X"], fit.data["y"]
        accuracy = accuracy_score(y, fit.model.predict(X))
        assert accuracy > 0.83, (
            f"The accuracy on {len(X)} training texts whose {len(np.unique(y))} classes share no "
            f"word is {accuracy:.2f}. Train longer, or set the tag poor_score."
        )


@text_check("binary_only")
def check_multiclass_refused(subject: Subject) -> None:
    """Three classes are refused by an estimator whose tags say that it is binary."""
    with refused("fit on three classes", match="Only binary classification is supported"):
        subject.new().fit(X_MULTICLASS, Y_MULTICLASS)


@text_check("max_iter")
def check_n_iter(subject: Subject) -> None:
    """An estimator with `max_iter` reports in `n_iter_` how many iterations it took."""
    n_iter = np.asarray(getattr(subject.binary.model, "n_iter_", 0))
    assert n_iter.min() >= 1, "n_iter_ has to be set by fit, and at least 1."


@text_check("repeatable")
def check_refit_forgets(subject: Subject) -> None:
    """A fit with the same `random_state` gives the same model, whatever was fitted before."""
    model = subject.new()
    if "binary_only" in subject.abilities:
        model.fit(X_BINARY, Y_BINARY[::-1])
    else:
        model.fit(X_MULTICLASS, Y_MULTICLASS)

    model.fit(X_BINARY, Y_BINARY)
    assert len(model.classes_) == 2, "classes_ outlives the next fit."
    assert_same_outputs(model, subject.binary.model, "when other data was fitted before")


@text_check("repeatable")
def check_label_types(subject: Subject) -> None:
    """Labels that are str objects, bool or negative give the same model, apart from their names."""
    expected = outputs(subject.binary.model, X_PROBE)
    predicted_codes = np.searchsorted(subject.binary.model.classes_, expected["predict"])
    codes = np.searchsorted(np.unique(Y_BINARY), Y_BINARY)

    for classes in (np.array(["no", "yes"], object), np.array([False, True]), np.array([-1, 1])):
        labels = classes.tolist()
        actual = outputs(subject.new().fit(X_BINARY, classes[codes]), X_PROBE)

        # To NumPy True equals 1, so equality alone would let bool become int.
        assert {type(label) for label in actual["predict"].tolist()} == {type(labels[0])}, (
            f"predict returns {actual['predict'].dtype} where the labels are {labels}."
        )

        expected["predict"] = classes[predicted_codes]
        assert_same_outputs(actual, expected, f"when the labels are {labels}")


@text_check("repeatable")
def check_column_of_labels(subject: Subject) -> None:
    """Labels of shape (n, 1) are refused, or read as 1-D labels with a DataConversionWarning."""
    with warnings.catch_warnings(record=True) as caught, refused("a column y", may_pass=True):
        warnings.simplefilter("always")
        model = subject.new().fit(X_BINARY, Y_BINARY[:, np.newaxis])
        assert any(warning.category is DataConversionWarning for warning in caught), (
            "y of shape (n, 1) is accepted without a DataConversionWarning. Use column_or_1d."
        )

        assert_same_outputs(model, subject.binary.model, "when y is a column")


@text_check("sample_weight")
def check_sample_weight_refused(subject: Subject) -> None:
    """Weights that are missing, too many, of two columns or all zero are refused."""
    for name, weights, match in (
        ("more weights than texts", np.ones(2 * _N), ""),
        ("weights of two columns", np.ones((_N, 2)), ""),
        ("NaN among the weights", np.append(np.ones(_N - 1), np.nan), ""),
        ("weights that are all zero", np.zeros(_N), "weight"),
    ):
        with refused(name, match=match):
            subject.new().fit(X_BINARY, Y_BINARY, sample_weight=weights)


@text_check("sample_weight")
def check_sample_weight_request(subject: Subject) -> None:
    """`set_fit_request(sample_weight=True)` requests weights, also from a clone."""
    with config_context(enable_metadata_routing=True):
        model = clone(subject.new().set_fit_request(sample_weight=True))
        consumed = get_routing_for_object(model).consumes("fit", ["sample_weight"])
    assert consumed == {"sample_weight"}, "A clone forgets set_fit_request(sample_weight=True)."


@text_check("sample_weight", "repeatable")
def check_sample_weight_containers(subject: Subject) -> None:
    """A list of ones is equivalent to no weights; weights in a Series are matched by position."""
    model = subject.new().fit(X_BINARY, Y_BINARY, sample_weight=[1] * _N)
    assert_same_outputs(model, subject.binary.model, "when each weight is 1")

    weights = pd.Series(WEIGHTS, index=np.arange(_N)[::-1])
    model = subject.new().fit(X_BINARY, Y_BINARY, sample_weight=weights)
    assert_same_outputs(model, subject.weighted.model, "when sample_weight is a Series")


@text_check("sample_weight", "repeatable")
def check_sample_weight_zero_removes(subject: Subject) -> None:
    """A text of weight zero has no effect."""
    model = subject.new().fit(
        np.concatenate([["ripe plum", "rusty saw", "unheard words"], X_BINARY]),
        np.concatenate([["tool", "fruit", "fruit"], Y_BINARY]),
        sample_weight=np.repeat([0.0, 1.0], [3, _N]),
    )
    situation = "with texts of weight 0, which must have no effect"
    assert_same_outputs(model, subject.binary.model, situation)


@text_check("sample_weight", "repeatable")
def check_sample_weight_is_copies(subject: Subject) -> None:
    """A weight of k is the same as k copies of the text."""
    copies = np.repeat(np.arange(_N), WEIGHTS.astype(int))
    model = subject.new().fit(X_BINARY[copies], Y_BINARY[copies])
    situation = "when texts of weight k are given as k copies"
    assert_same_outputs(model, subject.weighted.model, situation)


@text_check("class_weight", "good_score")
def check_class_weight(subject: Subject) -> None:
    """A class of overwhelming weight is predicted where words say nothing about the class."""
    labels = np.resize(np.repeat(["light", "heavy"], 2), _N)
    model = subject.new(class_weight={"light": 1e-4, "heavy": 1000}).fit(X_BINARY, labels)
    share = np.mean(model.predict(X_BINARY) == "heavy")
    assert share > 0.87, (
        f"A class with 10 million times the weight is predicted for {share:.0%} of texts whose "
        "words say nothing about the class. Pass class_weight on to the loss."
    )
