"""Checks of what a fitted model answers, and of what survives a copy of it."""

import copy
import pickle
import tempfile
from pathlib import Path

import joblib
import numpy as np

from skbert_filter.testing.subject import (
    ATOL,
    X_BINARY,
    X_PROBE,
    Y_BINARY,
    Check,
    Subject,
    assert_same_outputs,
    global_random_state,
    outputs,
    recorded_warnings,
)


def check_output_shapes(subject: Subject) -> None:
    """Each answer is an array of shape (n,), or (n, k) for k classes; so it is for one text."""
    for fit in subject.fits:
        n_classes = len(fit.model.classes_)
        for texts in (X_PROBE, X_PROBE[:1]):
            n = len(texts)
            per_class = (n, n_classes)
            expected = {
                "predict": (n,),
                "predict_proba": per_class,
                "decision_function": (n,) if n_classes == 2 else per_class,
            }
            for method, answer in outputs(fit.model, texts).items():
                assert isinstance(answer, np.ndarray), (
                    f"{method} has to return an array, not {type(answer).__name__}."
                )
                assert answer.shape == expected[method], (
                    f"{method} of {n} texts and {n_classes} classes has the shape {answer.shape}, "
                    f"not {expected[method]}."
                )


def check_predict_keeps_attributes(subject: Subject) -> None:
    """Prediction sets and replaces no attribute, so that threads may share a model."""
    fit = subject.binary
    outputs(fit.model, X_PROBE)
    before, after = fit.attributes_after, vars(fit.model)
    changed = [name for name in after if name not in before or after[name] is not before[name]]
    assert not changed, f"Prediction sets the attributes {changed}."


def check_predict_keeps_data(subject: Subject) -> None:
    """Prediction does not change the texts it is given."""
    texts = np.array(X_PROBE, dtype=object)
    outputs(subject.binary.model, texts)
    assert texts.tolist() == X_PROBE, "Prediction changes X in place."


def check_predict_keeps_global_random_state(subject: Subject) -> None:
    """Prediction neither seeds nor draws from the random state of NumPy or Python."""
    model = subject.binary.model
    before = global_random_state()
    outputs(model, X_PROBE)
    assert global_random_state() == before, "Prediction moves the global random state."


def check_predict_warns_of_nothing(subject: Subject) -> None:
    """Prediction of good data warns of nothing."""
    model = subject.binary.model
    with recorded_warnings() as told:
        outputs(model, X_PROBE)
    assert not told, f"Prediction of good data warns: {told}"


def check_pickle(subject: Subject) -> None:
    """A model that went through pickle answers as before; an unfitted one can go, too."""
    pickle.loads(pickle.dumps(subject.new()))
    model = subject.multiclass.model if subject.is_multiclass else subject.binary.model
    expected = outputs(model, X_PROBE)
    loaded = pickle.loads(pickle.dumps(model))
    assert_same_outputs(outputs(loaded, X_PROBE), expected, "after pickle")


def check_pickle_size(subject: Subject) -> None:
    """Prediction makes a model's pickle no larger."""
    model = subject.new().fit(X_BINARY, Y_BINARY)
    before = len(pickle.dumps(model))
    outputs(model, X_PROBE)
    after = len(pickle.dumps(model))
    # Strings that became one object, or two, shift a pickle by a few bytes.
    assert after <= before * 1.01 + 50, (
        f"The pickle grows from {before} to {after} bytes by prediction. "
        "Drop in __getstate__ what can be derived."
    )


def check_memory_mapped_model(subject: Subject) -> None:
    """A model whose arrays joblib maps into memory, read-only, answers as before."""
    model = subject.binary.model
    # On Windows a mapped file cannot be deleted while the model lives.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        path = Path(folder) / "model.joblib"
        joblib.dump(model, path)
        answers = outputs(joblib.load(path, mmap_mode="r"), X_PROBE)
    assert_same_outputs(answers, outputs(model, X_PROBE), "after joblib.load(mmap_mode='r')")


def check_deepcopy(subject: Subject) -> None:
    """A deep copy of a model answers as the model."""
    model = subject.binary.model
    answers = outputs(copy.deepcopy(model), X_PROBE)
    assert_same_outputs(answers, outputs(model, X_PROBE), "after copy.deepcopy")


def check_subset_invariance(subject: Subject) -> None:
    """Texts answered one by one, or all at once, get the same answers."""
    for fit in subject.fits:
        singly = [outputs(fit.model, [text]) for text in X_PROBE]
        expected = outputs(fit.model, X_PROBE)
        joined = {name: np.concatenate([answer[name] for answer in singly]) for name in expected}
        assert_same_outputs(joined, expected, "when texts come one by one")


def check_order_invariance(subject: Subject) -> None:
    """Texts in another order get the same answers in that order."""
    for fit in subject.fits:
        order = np.random.default_rng(0).permutation(len(X_PROBE))
        answers = outputs(fit.model, [X_PROBE[i] for i in order])
        expected = {name: values[order] for name, values in outputs(fit.model, X_PROBE).items()}
        assert_same_outputs(answers, expected, "with the order of the texts")


def check_proba_is_a_distribution(subject: Subject) -> None:
    """The probabilities of a text lie within [0, 1] and add up to 1."""
    for fit in subject.fits:
        proba = fit.model.predict_proba(X_PROBE)
        assert np.all((proba >= 0) & (proba <= 1)), (
            f"predict_proba lies between {proba.min()} and {proba.max()}."
        )
        np.testing.assert_allclose(
            proba.sum(axis=1), 1, atol=ATOL, err_msg="Rows of predict_proba have to add up to 1."
        )


def check_predict_agrees_with_proba(subject: Subject) -> None:
    """`predict` answers with the class of the column in which `predict_proba` is largest."""
    for fit in subject.fits:
        columns = fit.model.predict_proba(X_PROBE).argmax(axis=1)
        np.testing.assert_array_equal(
            fit.model.predict(X_PROBE),
            fit.model.classes_[columns],
            err_msg="predict is not classes_[predict_proba(X).argmax(axis=1)].",
        )


def check_predict_log_proba(subject: Subject) -> None:
    """`predict_log_proba` is the logarithm of `predict_proba`."""
    for fit in subject.fits:
        np.testing.assert_allclose(
            np.exp(fit.model.predict_log_proba(X_PROBE)),
            fit.model.predict_proba(X_PROBE),
            atol=ATOL,
            err_msg="predict_log_proba is not the logarithm of predict_proba.",
        )


def check_decision_function(subject: Subject) -> None:
    """`predict` follows the sign of a binary `decision_function`, or its largest column."""
    for fit in subject.fits:
        decision = fit.model.decision_function(X_PROBE)
        columns = (decision > 0).astype(int) if decision.ndim == 1 else decision.argmax(axis=1)
        np.testing.assert_array_equal(
            fit.model.predict(X_PROBE),
            fit.model.classes_[columns],
            err_msg="predict does not follow decision_function.",
        )


def check_decision_proba_consistency(subject: Subject) -> None:
    """Two classes: the larger `decision_function`, the larger the probability."""
    model = subject.binary.model
    order = np.argsort(model.decision_function(X_PROBE))
    steps = np.diff(model.predict_proba(X_PROBE)[order, 1])
    assert np.all(steps >= -ATOL), "predict_proba falls where decision_function rises."


CHECKS: tuple[Check, ...] = (
    check_output_shapes,
    check_predict_keeps_attributes,
    check_predict_keeps_data,
    check_predict_keeps_global_random_state,
    check_predict_warns_of_nothing,
    check_pickle_size,
)
INVARIANCES: tuple[Check, ...] = (
    check_pickle,
    check_memory_mapped_model,
    check_deepcopy,
    check_subset_invariance,
    check_order_invariance,
)
PROBABILITIES: tuple[Check, ...] = (
    check_proba_is_a_distribution,
    check_predict_agrees_with_proba,
)
