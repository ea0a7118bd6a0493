"""Checks of prediction: its outputs, its side effects, and copies of a model."""

import copy
import pickle
import tempfile
from pathlib import Path

import joblib
import numpy as np

from skbert_filter.testing.subject import (
    ATOL,
    WEIGHTS,
    X_BINARY,
    X_PROBE,
    Y_BINARY,
    Subject,
    assert_same_outputs,
    outputs,
    text_check,
    watch,
)


@text_check()
def check_output_shapes(subject: Subject) -> None:
    """Each output is an array of shape (n,), or (n, k) for k classes, also for a single text."""
    for fit in subject.fits:
        k = len(fit.model.classes_)
        for texts in (X_PROBE, X_PROBE[:1]):
            n = len(texts)
            shapes = {
                "predict": (n,),
                "predict_proba": (n, k),
                "decision_function": (n,) if k == 2 else (n, k),
            }
            for method, result in outputs(fit.model, texts).items():
                assert isinstance(result, np.ndarray), (
                    f"{method} has to return an array, not {type(result).__name__}."
                )
                assert result.shape == shapes[method], (
                    f"{method} of {n} texts and {k} classes has the shape {result.shape}, "
                    f"not {shapes[method]}."
                )


@text_check()
def check_predict_keeps_model(subject: Subject) -> None:
    """Prediction sets no attribute, so that threads may share a model; its pickle does not grow."""
    model = subject.new().fit(X_BINARY, Y_BINARY)
    before, size_before = dict(vars(model)), len(pickle.dumps(model))
    outputs(model, X_PROBE)

    changed = [name for name, value in vars(model).items() if value is not before.get(name, ...)]
    assert not changed, f"Prediction sets the attributes {changed}."

    size = len(pickle.dumps(model))
    # A pickle changes by a few bytes when equal strings become one object, or two.
    assert size <= size_before * 1.01 + 50, (
        f"The pickle grows from {size_before} to {size} bytes by prediction. "
        "Drop in __getstate__ what can be derived."
    )


@text_check()
def check_keeps_data(subject: Subject) -> None:
    """Neither `fit` nor prediction changes the texts, labels and weights it is given."""
    texts = np.array(X_PROBE, dtype=object)
    outputs(subject.binary.model, texts)
    np.testing.assert_array_equal(texts, X_PROBE, err_msg="Prediction changes X in place.")

    fit = subject.weighted if "sample_weight" in subject.abilities else subject.binary
    original = {"X": X_BINARY, "y": Y_BINARY, "sample_weight": WEIGHTS}
    for name, array in fit.data.items():
        message = f"fit changes {name} in place."
        np.testing.assert_array_equal(array, original[name], err_msg=message)


@text_check()
def check_warns_of_nothing(subject: Subject) -> None:
    """Neither `fit` nor prediction warns on good data."""
    fit = subject.binary
    assert not fit.warnings, f"fit on good data warns: {fit.warnings}"
    _, shown, _ = watch(lambda: outputs(fit.model, X_PROBE))
    assert not shown, f"Prediction of good data warns: {shown}"


@text_check()
def check_keeps_global_random_state(subject: Subject) -> None:
    """Neither `fit` nor prediction seeds or draws from the random state of NumPy or Python."""
    fit = subject.binary
    remedy = "Draw from check_random_state(self.random_state)."
    assert not fit.moved_random_state, f"fit moves the global random state. {remedy}"
    _, _, moved = watch(lambda: outputs(fit.model, X_PROBE))
    assert not moved, f"Prediction moves the global random state. {remedy}"


@text_check("repeatable")
def check_copies(subject: Subject) -> None:
    """A pickled, copied or memory-mapped model predicts as before; an unfitted one pickles."""
    pickle.loads(pickle.dumps(subject.new()))
    for model in (fit.model for fit in subject.fits):
        assert_same_outputs(pickle.loads(pickle.dumps(model)), model, "after pickle")
        assert_same_outputs(copy.deepcopy(model), model, "after copy.deepcopy")

        # On Windows a mapped file cannot be deleted while the model lives.
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            path = Path(folder, "model.joblib")
            joblib.dump(model, path)
            mapped = joblib.load(path, mmap_mode="r")
            assert_same_outputs(mapped, model, "after joblib.load(mmap_mode='r')")


@text_check("repeatable")
def check_subset_invariance(subject: Subject) -> None:
    """Predictions are the same one by one, all at once, and in another order."""
    for model in (fit.model for fit in subject.fits):
        backwards = outputs(model, X_PROBE[::-1])
        reordered = {method: values[::-1] for method, values in backwards.items()}
        assert_same_outputs(reordered, model, "with the order of the texts")

        singles = [outputs(model, [text]) for text in X_PROBE]
        joined = {m: np.concatenate([single[m] for single in singles]) for m in singles[0]}
        assert_same_outputs(joined, model, "when texts come one by one")


@text_check("predict_proba")
def check_predict_proba(subject: Subject) -> None:
    """Probabilities add up to 1, are largest for the predicted class, and match the logarithms."""
    for model in (fit.model for fit in subject.fits):
        proba = model.predict_proba(X_PROBE)
        assert np.all((proba >= 0) & (proba <= 1)), (
            f"predict_proba lies between {proba.min()} and {proba.max()}."
        )
        np.testing.assert_allclose(
            proba.sum(axis=1), 1, atol=ATOL, err_msg="Rows of predict_proba have to add up to 1."
        )
        np.testing.assert_array_equal(
            model.predict(X_PROBE),
            model.classes_[proba.argmax(axis=1)],
            err_msg="predict is not classes_[predict_proba(X).argmax(axis=1)].",
        )

        if "predict_log_proba" in subject.abilities:
            np.testing.assert_allclose(
                np.exp(model.predict_log_proba(X_PROBE)),
                proba,
                atol=ATOL,
                err_msg="predict_log_proba is not the logarithm of predict_proba.",
            )


@text_check("decision_function")
def check_decision_function(subject: Subject) -> None:
    """`predict` follows `decision_function`; with two classes, so does the probability."""
    for model in (fit.model for fit in subject.fits):
        decision = model.decision_function(X_PROBE)
        columns = (decision > 0).astype(int) if decision.ndim == 1 else decision.argmax(axis=1)
        np.testing.assert_array_equal(
            model.predict(X_PROBE),
            model.classes_[columns],
            err_msg="predict does not follow decision_function.",
        )

        if decision.ndim == 1 and "predict_proba" in subject.abilities:
            steps = np.diff(model.predict_proba(X_PROBE)[np.argsort(decision), 1])
            assert np.all(steps >= -ATOL), "predict_proba falls where decision_function rises."
