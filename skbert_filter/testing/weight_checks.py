"""Checks of `sample_weight` and `class_weight`."""

import numpy as np
import pandas as pd
from sklearn import config_context
from sklearn.base import clone
from sklearn.utils.metadata_routing import get_routing_for_object

from skbert_filter.testing.subject import (
    WEIGHTS,
    X_BINARY,
    X_PROBE,
    Y_BINARY,
    Check,
    Subject,
    assert_same_outputs,
    outputs,
    refused,
)

_N = len(X_BINARY)


def check_sample_weight_kept(subject: Subject) -> None:
    """`fit` does not change the weights it is given."""
    np.testing.assert_array_equal(
        subject.weighted.sample_weight, WEIGHTS, err_msg="fit changes sample_weight in place."
    )


def check_sample_weight_refused(subject: Subject) -> None:
    """Weights that are missing, too many, of two columns or all zero are refused."""
    with_nan = np.ones(_N)
    with_nan[0] = np.nan
    for name, weights, match in (
        ("more weights than texts", np.ones(2 * _N), ""),
        ("weights of two columns", np.ones((_N, 2)), ""),
        ("NaN among the weights", with_nan, ""),
        ("weights that are all zero", np.zeros(_N), "weight"),
    ):
        with refused(name, match=match):
            subject.new().fit(X_BINARY, Y_BINARY, sample_weight=weights)


def check_one_label_by_sample_weight(subject: Subject) -> None:
    """Where weights of zero leave one class, that is refused or learnt as the only answer."""
    label = Y_BINARY[0]
    weights = (label == Y_BINARY).astype(float)
    with refused("fit on one class left by sample_weight", match="class", may_pass=True):
        model = subject.new().fit(X_BINARY, Y_BINARY, sample_weight=weights)
        assert set(model.predict(X_PROBE).tolist()) == {label}, (
            f"With weights of zero for all but {label!r}, predict has to answer with it."
        )


def check_sample_weight_request(subject: Subject) -> None:
    """`set_fit_request(sample_weight=True)` requests weights, also from a clone."""
    with config_context(enable_metadata_routing=True):
        model = clone(subject.new().set_fit_request(sample_weight=True))
        consumed = get_routing_for_object(model).consumes("fit", ["sample_weight"])
    assert consumed == {"sample_weight"}, "A clone forgets set_fit_request(sample_weight=True)."


def check_sample_weight_ones(subject: Subject) -> None:
    """Weights of one, in a list, are as good as none."""
    model = subject.new().fit(X_BINARY, Y_BINARY, sample_weight=[1] * _N)
    expected = outputs(subject.binary.model, X_PROBE)
    assert_same_outputs(outputs(model, X_PROBE), expected, "when each weight is 1")


def check_sample_weight_series(subject: Subject) -> None:
    """Weights in a Series go by position, as texts and labels do."""
    weights = pd.Series(WEIGHTS, index=np.arange(_N)[::-1])
    model = subject.new().fit(X_BINARY, Y_BINARY, sample_weight=weights)
    expected = outputs(subject.weighted.model, X_PROBE)
    assert_same_outputs(outputs(model, X_PROBE), expected, "when sample_weight is a Series")


def check_sample_weight_zero_removes(subject: Subject) -> None:
    """A weight of zero is the same as leaving the text out."""
    texts = np.array(["ripe plum", "rusty saw", "unheard words"], dtype=object)
    labels = np.array(["tool", "fruit", "fruit"])
    model = subject.new().fit(
        np.concatenate([texts, X_BINARY]),
        np.concatenate([labels, Y_BINARY]),
        sample_weight=np.repeat([0.0, 1.0], [len(texts), _N]),
    )
    expected = outputs(subject.binary.model, X_PROBE)
    assert_same_outputs(
        outputs(model, X_PROBE), expected, "with texts of weight 0, which have to count for nothing"
    )


def check_sample_weight_is_copies(subject: Subject) -> None:
    """A weight of k is the same as k copies of the text."""
    copies = np.repeat(np.arange(_N), WEIGHTS.astype(int))
    model = subject.new().fit(X_BINARY[copies], Y_BINARY[copies])
    expected = outputs(subject.weighted.model, X_PROBE)
    assert_same_outputs(
        outputs(model, X_PROBE), expected, "when texts of weight k are given as k copies"
    )


def check_class_weight(subject: Subject) -> None:
    """A class of overwhelming weight is the answer where words say nothing of the class."""
    labels = np.repeat(["light", "heavy"], 2)
    model = subject.new(class_weight={"light": 1e-4, "heavy": 1000})
    model.fit(X_BINARY, np.resize(labels, _N))
    share = np.mean(model.predict(X_BINARY) == "heavy")
    assert share > 0.87, (
        f"A class of 10 million times the weight is predicted for {share:.0%} of texts whose "
        "words say nothing of the class. Pass class_weight on to the loss."
    )


SAMPLE_WEIGHT: tuple[Check, ...] = (
    check_sample_weight_kept,
    check_sample_weight_refused,
    check_one_label_by_sample_weight,
    check_sample_weight_request,
)
REPEATED_FITS: tuple[Check, ...] = (
    check_sample_weight_ones,
    check_sample_weight_series,
    check_sample_weight_zero_removes,
    check_sample_weight_is_copies,
)
