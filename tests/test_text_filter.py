"""The filter from labels to a saved model: what fit learns, keeps, refuses and leaves alone."""

import copy
import enum
import inspect
import json
import logging
import os
import pickle
import random
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import joblib
import keras
import numpy as np
import pytest
from safetensors.numpy import load_file
from scipy.special import expit, softmax
from sklearn import config_context
from sklearn.base import clone
from sklearn.callback import ProgressBar, ScoringMonitor
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from tokenizers import Tokenizer

from skbert_filter import SmallBertPretrainer, SmallBertTextFilter
from skbert_filter.bert import model_pool, training
from skbert_filter.bert.losses import focal_loss

LABELS = {
    "str": ("discard", "keep"),
    "str in any order": ("z", "a"),
    "int": (0, 1),
    "negative": (1, -1),
    "bool": (False, True),
    "whole float": (2.0, -1.0),
    "numpy str": tuple(np.array(["no", "yes"])),
}


def relabelled(y, labels):
    return [labels[label == "keep"] for label in y]


def run_python(code, *, stdin="", cwd=None, **environment):
    """Run code in a fresh process, and return what it wrote as JSON."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        input=stdin,
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


# --- labels and what predict methods answer


@pytest.fixture(scope="module", params=list(LABELS))
def labelled(request, tiny, snippets):
    """Fit on labels of one type; return the filter, its texts and its labels."""
    X, y = snippets
    y = relabelled(y, LABELS[request.param])
    return SmallBertTextFilter(**tiny).fit(X, y), X, y


def test_labels_of_any_type_and_order(labelled, probes):
    model, X, y = labelled
    assert model.classes_.tolist() == sorted(set(y))
    assert [type(label) for label in model.classes_.tolist()] == [type(np.array(y).tolist()[0])] * 2
    assert model.score(X, y) == 1
    assert model.predict(X).dtype == model.classes_.dtype

    proba, logits = model.predict_proba(probes), model.decision_function(probes)
    assert proba.shape == (len(probes), 2)
    assert proba.dtype == np.float64
    np.testing.assert_allclose(proba.sum(axis=1), 1)
    assert logits.shape == (len(probes),)
    answers = model.predict(probes)
    np.testing.assert_array_equal(answers, model.classes_[proba.argmax(axis=1)])
    np.testing.assert_array_equal(answers, model.classes_[(logits > 0).astype(int)])
    assert len(set(answers.tolist())) == 2


def test_three_classes(ternary, three_kinds, probes):
    model = ternary
    assert model.classes_.tolist() == [-7, 0, 2]
    assert model.score(*three_kinds) > 0.9

    texts = probes + three_kinds[0]
    proba, logits = model.predict_proba(texts), model.decision_function(texts)
    assert proba.shape == logits.shape == (len(texts), 3)
    np.testing.assert_allclose(proba.sum(axis=1), 1)
    np.testing.assert_array_equal(model.predict(texts), model.classes_[proba.argmax(axis=1)])
    np.testing.assert_array_equal(proba.argmax(axis=1), logits.argmax(axis=1))


def test_an_empty_input_gives_an_empty_answer(binary, ternary):
    assert binary.predict([]).shape == (0,)
    assert binary.predict([]).dtype == binary.classes_.dtype
    assert binary.predict_proba([]).shape == (0, 2)
    assert binary.decision_function([]).shape == (0,)
    assert ternary.decision_function([]).shape == (0, 3)


def test_probabilities_are_the_posterior_of_the_raw_scores(binary, ternary, probes, snippets):
    texts = probes + snippets[0]
    logits = binary.decision_function(texts).astype(np.float64)
    posterior = binary.predict_proba(texts)[:, 1]
    # strictly increasing: no two logits give the same
    assert len(np.unique(posterior)) == len(np.unique(logits))
    assert (np.diff(posterior[np.argsort(logits, kind="stable")]) >= 0).all()
    assert np.abs(expit(logits) - posterior).max() > 0.01
    raw = softmax(ternary.decision_function(texts), axis=1)
    assert np.abs(raw - ternary.predict_proba(texts)).max() > 0.01


def test_padding_does_not_change_the_logits(binary, tiny, snippets, probes):
    padded = copy.deepcopy(binary).set_params(padding="max_length")
    np.testing.assert_allclose(
        padded.decision_function(probes), binary.decision_function(probes), atol=1e-5
    )
    np.testing.assert_array_equal(padded.predict(probes), binary.predict(probes))
    fitted = SmallBertTextFilter(**{**tiny, "epochs": 15}, padding="max_length").fit(*snippets)
    assert fitted.score(*snippets) == 1


def test_a_text_alone_is_answered_as_in_a_batch(binary, ternary, probes):
    for model in (binary, ternary):
        together = model.decision_function(probes)
        alone = np.concatenate([model.decision_function([text]) for text in probes])
        np.testing.assert_allclose(alone, together, atol=1e-5)


@pytest.mark.parametrize("n_jobs", [1, 2, -1])
def test_threads_do_not_change_the_answers(binary, probes, n_jobs):
    threaded = copy.deepcopy(binary).set_params(n_jobs=n_jobs)
    texts = probes * 40
    np.testing.assert_allclose(
        threaded.decision_function(texts), binary.decision_function(texts), atol=1e-5
    )


def test_an_unfitted_filter_says_so(tiny):
    model = SmallBertTextFilter(**tiny)
    for method in (model.predict, model.predict_proba, model.decision_function):
        with pytest.raises(NotFittedError, match="not fitted yet"):
            method(["View All"])
    with pytest.raises(NotFittedError, match="not fitted yet"):
        model.save_pretrained("nowhere")
    assert not hasattr(model, "fingerprint_")


# --- equal texts, weights and the order of rows


def test_copies_count_once_by_weight_or_as_they_come(one_epoch, brief, snippets):
    X, y = snippets
    copies = np.resize([1, 3, 2, 1, 5], len(X))
    X_copies, y_copies = (np.repeat(values, copies).tolist() for values in snippets)

    dropped = SmallBertTextFilter(**one_epoch).fit(X_copies, y_copies)
    assert dropped.fingerprint_ == brief.fingerprint_
    assert dropped.training_record_["rows"] == len(X_copies)
    assert dropped.training_record_["distinct"] == len(X)

    weighted = SmallBertTextFilter(**one_epoch, duplicates="weight").fit(X_copies, y_copies)
    as_weights = SmallBertTextFilter(**one_epoch, duplicates="weight").fit(
        X, y, sample_weight=copies
    )
    assert weighted.fingerprint_ == as_weights.fingerprint_ != brief.fingerprint_

    kept = SmallBertTextFilter(**one_epoch, duplicates="keep").fit(X_copies, y_copies)
    record = kept.training_record_
    assert record["trained_on"] + record["validated_on"] == len(X_copies)
    assert record["distinct"] == len(X)


def test_the_mean_weight_of_copies_counts(one_epoch, snippets):
    X, y = snippets
    weights = np.resize([1.0, 2.0, 0.5], len(X))
    once = SmallBertTextFilter(**one_epoch).fit(X, y, sample_weight=weights)
    thrice = SmallBertTextFilter(**one_epoch).fit(X * 3, y * 3, sample_weight=np.tile(weights, 3))
    assert thrice.fingerprint_ == once.fingerprint_


def test_conflicting_labels(one_epoch, brief, snippets):
    X, y = snippets
    both_X, both_y = [*X, *["We sell tea."] * 3], [*y, "discard", "keep", "keep"]

    by_majority = SmallBertTextFilter(**one_epoch).fit(both_X, both_y)
    as_majority = SmallBertTextFilter(**one_epoch).fit([*X, "We sell tea."], [*y, "keep"])
    assert by_majority.fingerprint_ == as_majority.fingerprint_
    assert by_majority.training_record_["conflicts"] == 1
    assert by_majority.training_record_["conflicts_left_out"] == 0

    dropped = SmallBertTextFilter(**one_epoch, conflicts="drop").fit(both_X, both_y)
    assert dropped.fingerprint_ == brief.fingerprint_
    assert dropped.training_record_["conflicts_left_out"] == 1

    with pytest.raises(ValueError, match=r"more than one label, such as 'We sell tea\.'"):
        SmallBertTextFilter(**one_epoch, conflicts="raise").fit(both_X, both_y)


def test_a_majority_is_one_of_weight(one_epoch, brief, snippets):
    X, y = snippets
    weights = [*np.ones(len(X)), 2, 1, 1]
    tied = SmallBertTextFilter(**one_epoch).fit(
        [*X, *["We sell tea."] * 3], [*y, "discard", "keep", "keep"], sample_weight=weights
    )
    assert tied.fingerprint_ == brief.fingerprint_
    assert tied.training_record_["conflicts_left_out"] == 1


def test_soft_labels_are_learnt_as_shares(tiny, snippets, three_kinds):
    X, y = snippets
    dates = three_kinds[0][len(X) :]
    settings = {**tiny, "epochs": 12, "focal_gamma": 0.0, "label_smoothing": 0.0}
    settings |= {"early_stopping": False, "duplicates": "weight"}
    soft, hard = (
        SmallBertTextFilter(**settings, conflicts=conflicts).fit(
            [*X, *dates, *dates],
            [*y, *["keep"] * len(dates), *["discard"] * len(dates)],
            sample_weight=np.repeat([1.0, 0.7, 0.3], [len(X), len(dates), len(dates)]),
        )
        for conflicts in ("soft", "majority")
    )
    assert soft.training_record_["trained_on"] == len(X) + len(dates)
    assert soft.training_record_["conflicts"] == len(dates)
    share, certain = (model.predict_proba(dates)[:, 1].mean() for model in (soft, hard))
    assert 0.6 < share < 0.93 < 0.98 < certain
    assert (soft.predict(X) == y).mean() > 0.9


def test_soft_labels_without_conflicts_change_nothing(one_epoch, brief, snippets):
    soft = SmallBertTextFilter(**one_epoch, conflicts="soft").fit(*snippets)
    assert soft.fingerprint_ == brief.fingerprint_


def test_class_weights_count_for_the_share_of_their_class(tiny, snippets):
    X, y = snippets
    X, y = [*X, "perhaps", "perhaps"], [*y, "keep", "discard"]
    settings = {**tiny, "duplicates": "weight", "conflicts": "soft", "early_stopping": False}
    weighted = SmallBertTextFilter(**settings, class_weight={"keep": 3.0, "discard": 1.0})
    by_hand = np.where(np.array(y) == "keep", 3.0, 1.0)
    assert (
        weighted.fit(X, y).fingerprint_
        == SmallBertTextFilter(**settings).fit(X, y, sample_weight=by_hand).fingerprint_
    )


def test_a_class_lost_to_conflicts_is_named(tiny):
    with pytest.raises(ValueError, match="No text is left of the class 'keep'"):
        SmallBertTextFilter(**tiny, conflicts="drop").fit(
            ["View All", "View All", "Menu"], ["keep", "discard", "discard"]
        )


def test_rows_of_weight_0_are_as_if_not_there(one_epoch, brief, snippets):
    X, y = snippets
    junk = ["View menu", "Ωmega never seen", "We build Ω for ships."]
    model = SmallBertTextFilter(**one_epoch).fit(
        [*junk, *X], ["keep", "third", "discard", *y], sample_weight=[0, 0, 0, *np.ones(len(X))]
    )
    assert model.fingerprint_ == brief.fingerprint_
    assert model.classes_.tolist() == ["discard", "keep"]
    assert model.training_record_["rows_of_weight_0"] == 3


def test_the_order_of_rows_does_not_matter(one_epoch, brief, snippets):
    order = np.random.default_rng(0).permutation(len(snippets[0]))
    shuffled = (np.array(values, dtype=object)[order] for values in snippets)
    assert SmallBertTextFilter(**one_epoch).fit(*shuffled).fingerprint_ == brief.fingerprint_


@pytest.mark.parametrize(
    ("class_weight", "share"),
    [(None, 1.0), ({"keep": 1, "discard": 1000}, 0.0), ({"keep": 1000, "discard": 1}, 1.0)],
)
def test_class_weight_moves_the_answers(tiny, snippets, class_weight, share):
    X, _ = snippets
    # of every word, three texts of four are labelled keep: the texts tell nothing
    y = np.resize(["keep", "keep", "discard", "keep", "keep", "discard", "keep", "keep"], len(X))
    model = SmallBertTextFilter(**tiny, class_weight=class_weight).fit(X, y)
    assert np.mean(model.predict(X) == "keep") == pytest.approx(share, abs=0.15)


@pytest.mark.parametrize("labels", [("0", "1"), (1, 0), (False, True), ("keep", "0")])
def test_class_weight_is_found_by_the_label(one_epoch, snippets, labels):
    X, y = snippets
    by_label = dict(zip(labels, (5.0, 1.0), strict=True))
    given = [labels[label == "keep"] for label in y]
    model = SmallBertTextFilter(**one_epoch, class_weight=by_label).fit(X, given)
    by_hand = [by_label[label] for label in given]
    unweighted = SmallBertTextFilter(**one_epoch).fit(X, given, sample_weight=by_hand)
    assert model.fingerprint_ == unweighted.fingerprint_


def test_members_of_a_str_enum_are_labels(one_epoch, brief, snippets):
    X, y = snippets
    members = enum.Enum("Label", {"KEEP": "keep", "DISCARD": "discard"}, type=str)
    weights = {members.KEEP: 1.0, members.DISCARD: 1.0}
    model = SmallBertTextFilter(**one_epoch, class_weight=weights).fit(X, list(map(members, y)))
    assert model.fingerprint_ == brief.fingerprint_
    assert set(model.predict(X)) <= set(members)


def test_balanced_class_weight_counts_distinct_texts(tiny, snippets):
    X, y = snippets
    X, y = X[:34] * 2, y[:34] * 2  # 24 texts to keep and 10 to discard, each twice
    balanced = SmallBertTextFilter(**tiny, class_weight="balanced").fit(X, y)
    by_hand = {"keep": 34 / 48, "discard": 34 / 20}
    weighted = SmallBertTextFilter(**tiny, class_weight=by_hand).fit(X, y)
    plain = SmallBertTextFilter(**tiny).fit(X, y)
    texts = ["menu pumps", "for all", *X]
    np.testing.assert_allclose(
        balanced.decision_function(texts), weighted.decision_function(texts), atol=1e-3
    )
    assert balanced.decision_function(texts).mean() < plain.decision_function(texts).mean()


def test_weights_are_checked(tiny, snippets):
    X, y = snippets
    model = SmallBertTextFilter(**tiny)
    with pytest.raises(ValueError, match=r"sample_weight\.shape"):
        model.fit(X, y, sample_weight=[1, 2])
    with pytest.raises(ValueError, match="Negative values"):
        model.fit(X, y, sample_weight=[-1, *np.ones(len(X) - 1)])
    with pytest.raises(ValueError, match=r"one class only .'keep'. where the weight is not 0"):
        model.fit(X, y, sample_weight=np.array(y) == "keep")


# --- early stopping


def test_two_texts_of_two_classes_can_be_fitted(tiny):
    model = SmallBertTextFilter(**tiny).fit(["View All", "We build pumps."], [0, 1])
    assert model.n_iter_ == tiny["epochs"]
    assert model.training_record_["validated_on"] == 0
    assert not [name for name in model.history_ if name.startswith("val_")]


def test_early_stopping_that_is_impossible_is_refused(tiny):
    with pytest.raises(ValueError, match="early_stopping=True cannot hold out a tenth of 2 texts"):
        SmallBertTextFilter(**tiny, early_stopping=True).fit(
            ["View All", "We build pumps."], [0, 1]
        )


def test_early_stopping_sets_distinct_texts_apart(tiny, binary, snippets):
    record = binary.training_record_
    assert record["validated_on"] == 5  # a tenth of 48
    assert record["trained_on"] == 43
    assert len(binary.history_["val_loss"]) == binary.n_iter_

    X, y = snippets
    kept = SmallBertTextFilter(**tiny, early_stopping=True, duplicates="keep").fit(X * 3, y * 3)
    assert kept.training_record_["validated_on"] == 15  # five texts, each with its copies
    assert kept.training_record_["trained_on"] == 129

    off = SmallBertTextFilter(**tiny, early_stopping=False).fit(X, y)
    assert off.training_record_["trained_on"] == len(X)
    assert off.training_record_["best_epoch"] == off.n_iter_ == tiny["epochs"]


def test_early_stopping_holds_out_whole_groups(one_epoch, snippets):
    X, y = snippets
    pages = np.arange(len(X)) % 8
    # each page has its texts twice, and the first text of the list
    X, y, pages = [*X, *X, *[X[0]] * 8], [*y, *y, *[y[0]] * 8], [*pages, *pages, *range(8)]
    with config_context(enable_metadata_routing=True):
        asking = SmallBertTextFilter(**one_epoch).set_fit_request(groups=True)
        model = make_pipeline(FunctionTransformer(list), asking).fit(X, y, groups=pages)[-1]
    # of 8 pages with 6 texts of their own one is held out, with the text that all have
    record = model.training_record_
    assert record["validated_on"] in (6, 7)
    assert record["trained_on"] == 48 - record["validated_on"]

    with pytest.raises(ValueError, match=r"Row 0 of groups is missing"):
        asking.fit(X, y, groups=[None, *pages[1:]])


def test_the_logarithm_of_probabilities(ternary, probes):
    expected = np.log(ternary.predict_proba(probes))
    np.testing.assert_array_equal(ternary.predict_log_proba(probes), expected)


def test_the_weights_of_the_best_epoch_are_kept(tiny, snippets):
    X, y = snippets
    # The better it learns, the worse it does on labels that are turned round.
    X_val, y_val = X[::3], ["discard" if label == "keep" else "keep" for label in y[::3]]
    model = SmallBertTextFilter(**{**tiny, "epochs": 12, "learning_rate": 0.01})
    with pytest.warns(UserWarning, match="16 of the 16 distinct texts of X_val are training texts"):
        model.fit(X, y, X_val=X_val, y_val=y_val)

    val_loss = model.history_["val_loss"]
    best = int(np.argmin(val_loss))
    assert val_loss[-1] > val_loss[best] + 0.001
    assert model.n_iter_ == len(val_loss) < 12
    assert model.training_record_["best_epoch"] == best + 1
    target = (np.array(y_val) == "keep")[:, None].astype("float32")
    loss = focal_loss(1, gamma=2.0, label_smoothing=0.2)
    reached = float(loss(target, model.decision_function(X_val)[:, None]))
    assert reached == pytest.approx(val_loss[best], abs=1e-4)


def test_validation_texts_without_early_stopping_are_only_logged(tiny, snippets):
    X, y = snippets
    plain = SmallBertTextFilter(**tiny, early_stopping=False)
    X_val = [f"{text} Indeed." for text in X[:3]]
    logged = clone(plain).fit(X, y, X_val=X_val, y_val=["discard"] * 3)
    assert len(logged.history_["val_loss"]) == logged.n_iter_ == tiny["epochs"]
    assert logged.training_record_["validated_on"] == 3
    assert logged.training_record_["best_epoch"] == tiny["epochs"]
    assert logged.fingerprint_ == plain.fit(X, y).fingerprint_


@pytest.mark.parametrize(
    ("validation", "error", "message"),
    [
        ({"X_val": ["a"]}, ValueError, "X_val was passed without y_val"),
        ({"y_val": ["keep"]}, ValueError, "y_val was passed without X_val"),
        ({"X_val": [], "y_val": []}, ValueError, "X_val has 0 rows"),
        (
            {"X_val": ["a"], "y_val": ["third"]},
            ValueError,
            r"labels that y does not have: \['third'\]",
        ),
        (
            {"X_val": ["a", "b"], "y_val": ["keep"]},
            ValueError,
            "y_val has 1 labels, but X_val has 2",
        ),
        ({"X_val": ["a", None], "y_val": ["keep"] * 2}, ValueError, "Row 1 of X_val is missing"),
        ({"X_val": ["a", 2], "y_val": ["keep"] * 2}, TypeError, "Row 1 of X_val is of type int"),
    ],
)
def test_bad_validation_texts_are_refused(tiny, snippets, validation, error, message):
    with pytest.raises(error, match=message):
        SmallBertTextFilter(**tiny).fit(*snippets, **validation)


# --- what is told about a fit


def test_history_and_record(binary, tiny, snippets):
    assert set(binary.history_) == {"loss", "accuracy", "learning_rate", "val_loss", "val_accuracy"}
    assert {len(values) for values in binary.history_.values()} == {binary.n_iter_}
    assert binary.history_["learning_rate"][-1] < tiny["learning_rate"]

    record = binary.training_record_
    assert json.loads(json.dumps([binary.history_, record])) == [binary.history_, record]
    assert record["rows"] == record["distinct"] == len(snippets[0])
    assert record["conflicts"] == record["rows_of_weight_0"] == 0
    assert sum(record["balance"].values()) == record["trained_on"]
    assert record["random_state"] == "0"
    assert 1 <= record["best_epoch"] <= binary.n_iter_
    assert record["versions"]["keras"] == keras.__version__


def test_the_hash_of_the_data_tells_data_apart(one_epoch, brief, snippets):
    X, y = snippets
    same = SmallBertTextFilter(**one_epoch).fit(X[::-1], y[::-1])
    other = SmallBertTextFilter(**one_epoch).fit([*X[:-1], "Open pages"], y)
    assert same.training_record_["data_sha256"] == brief.training_record_["data_sha256"]
    assert other.training_record_["data_sha256"] != brief.training_record_["data_sha256"]


def test_random_state_decides_the_result(one_epoch, brief, snippets):
    assert SmallBertTextFilter(**one_epoch).fit(*snippets).fingerprint_ == brief.fingerprint_
    other = SmallBertTextFilter(**{**one_epoch, "random_state": 1}).fit(*snippets)
    assert other.fingerprint_ != brief.fingerprint_
    generator = np.random.RandomState(0)
    model = SmallBertTextFilter(**{**one_epoch, "random_state": generator})
    assert model.fit(*snippets).fingerprint_ == brief.fingerprint_
    assert model.fit(*snippets).fingerprint_ != brief.fingerprint_  # the generator has moved on


def test_fit_changes_nothing_it_was_given(one_epoch, snippets):
    X, y = (np.array(values, dtype=object) for values in snippets)
    weights = np.linspace(0, 1, len(X))
    before = [X.copy(), y.copy(), weights.copy()]
    model = SmallBertTextFilter(**one_epoch)
    parameters = model.get_params()
    assert model.fit(X, y, weights) is model
    for value, kept in zip([X, y, weights], before, strict=True):
        np.testing.assert_array_equal(value, kept)
    assert model.get_params() == parameters


# --- callbacks


class RecordEpochs(keras.callbacks.Callback):
    """Keep the logs, and an object that cannot be pickled or copied."""

    def __init__(self, *, stop_after=None):
        super().__init__()
        self.logs = []
        self.stop_after = stop_after
        self.lock = threading.Lock()

    def on_epoch_end(self, epoch, logs=None):
        self.logs.append(dict(logs))
        if epoch + 1 == self.stop_after:
            self.model.stop_training = True


class Interrupt(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        raise KeyboardInterrupt


def test_keras_callbacks_are_used_and_forgotten(tiny, binary, snippets):
    recorder = RecordEpochs(stop_after=2)
    model = SmallBertTextFilter(**tiny)
    model.fit(*snippets, callbacks=[recorder])
    assert model.n_iter_ == len(recorder.logs) == 2
    assert [logs["val_loss"] for logs in recorder.logs] == model.history_["val_loss"]
    assert recorder.logs[0]["loss"] == binary.history_["loss"][0]

    # A second fit trains without them, also where the first model was not kept for it.
    again = pickle.loads(pickle.dumps(clone(model))).fit(*snippets)
    assert again.fingerprint_ == binary.fingerprint_
    assert len(recorder.logs) == 2
    assert pickle.loads(pickle.dumps(model)).fingerprint_ == model.fingerprint_
    assert not any(value is recorder for value in vars(model).values())


# of Keras itself, as it writes a file
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_a_callback_may_set_the_learning_rate_and_save_the_model(one_epoch, snippets, tmp_path):
    model = SmallBertTextFilter(**{**one_epoch, "epochs": 3})
    callbacks = [
        keras.callbacks.LearningRateScheduler(lambda epoch, rate: 0.001 / (epoch + 1)),
        keras.callbacks.ModelCheckpoint(tmp_path / "model.keras"),
        keras.callbacks.ModelCheckpoint(tmp_path / "model.weights.h5", save_weights_only=True),
    ]
    model.fit(*snippets, callbacks=callbacks)
    assert model.history_["learning_rate"] == pytest.approx([0.001, 0.001 / 2, 0.001 / 3])
    keras.models.load_model(tmp_path / "model.keras", compile=False)
    assert (tmp_path / "model.weights.h5").exists()

    falling = keras.callbacks.ReduceLROnPlateau("loss", patience=0, min_delta=10.0, factor=0.5)
    model.fit(*snippets, callbacks=[falling])
    rates = model.history_["learning_rate"]
    assert rates[2] == pytest.approx(rates[1] / 2)
    # the next fit has its schedule again
    assert model.fit(*snippets).history_["learning_rate"][-1] == pytest.approx(0, abs=1e-5)


def test_callbacks_of_scikit_learn_are_refused_in_fit(tiny, snippets):
    with pytest.raises(
        TypeError, match=r"callback of scikit-learn. Set it with set_callbacks\(Pro"
    ):
        SmallBertTextFilter(**tiny).fit(*snippets, callbacks=[ProgressBar()])
    with pytest.raises(TypeError, match=r"instances of keras\.callbacks\.Callback; got <class"):
        SmallBertTextFilter(**tiny).fit(*snippets, callbacks=[RecordEpochs])


class RecordTasks:
    """A callback of scikit-learn that keeps what it is told."""

    def __init__(self, *, stop_after=None, look=None):
        self.begun, self.ended, self.seen, self.steps = [], [], [], []
        self.stop_after = stop_after
        self.look = look

    def setup(self, estimator, context):
        self.begun.append("setup")

    def teardown(self, estimator, context):
        self.ended.append("teardown")

    def on_fit_task_begin(self, estimator, context):
        if context.task_name != "step":
            self.begun.append((context.task_name, context.task_id))

    def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
        if context.task_name == "step":
            self.steps.append((context.parent.task_id, context.task_id))
            return None
        self.ended.append((context.task_name, context.task_id))
        if fitted_estimator is not None:
            self.seen.append(fitted_estimator.decision_function(self.look))
        return context.task_name == "epoch" and context.task_id + 1 == self.stop_after


def test_a_fit_is_one_task_and_each_epoch_a_subtask(tiny, snippets, probes):
    recorder = RecordTasks(look=probes)
    model = SmallBertTextFilter(**tiny, early_stopping=False).set_callbacks(recorder)
    model.fit(*snippets)
    epochs = [("epoch", i) for i in range(tiny["epochs"])]
    assert recorder.begun == ["setup", ("fit", 0), *epochs]
    assert recorder.ended == [*epochs, ("fit", 0), "teardown"]
    # 48 distinct texts in batches of four.
    assert recorder.steps == [(epoch, step) for _, epoch in epochs for step in range(12)]
    # Each epoch hands over a filter as it would be had the fit stopped there.
    first, *_, last = recorder.seen
    assert len(recorder.seen) >= tiny["epochs"]
    np.testing.assert_array_equal(last, model.decision_function(probes))
    assert np.abs(first - last).max() > 0.01


def test_a_callback_of_scikit_learn_can_stop_the_fit(tiny, snippets):
    recorder = RecordTasks(stop_after=2, look=["View All"])
    model = SmallBertTextFilter(**tiny).set_callbacks(recorder).fit(*snippets)
    assert model.n_iter_ == 2
    assert recorder.ended == [("epoch", 0), ("epoch", 1), ("fit", 0), "teardown"]


def test_scoring_monitor_scores_each_epoch(tiny, snippets):
    X, y = snippets
    monitor = ScoringMonitor(scoring="accuracy")
    model = SmallBertTextFilter(**tiny, early_stopping=False).set_callbacks(monitor)
    model.fit(X, y, sample_weight=np.linspace(1, 2, len(X)))
    rows = [row for row in monitor.get_logs().data if row["task_name"] == "epoch"]
    assert [row["task_id"] for row in rows] == list(range(tiny["epochs"]))
    assert rows[-1]["accuracy"] == model.score(X, y)


def test_progress_bar_shows_the_fit(tiny, snippets, capsys):
    SmallBertTextFilter(**tiny).set_callbacks(ProgressBar()).fit(*snippets)
    shown = capsys.readouterr().out
    assert "SmallBertTextFilter - fit" in shown
    assert "100%" in shown


def test_an_interrupted_fit_leaves_the_filter_as_it_was(binary, three_kinds, snippets, probes):
    model = copy.deepcopy(binary)
    before, answers = dict(vars(model)), model.decision_function(probes)
    with pytest.raises(KeyboardInterrupt):
        model.fit(snippets[0], snippets[1][::-1], callbacks=[Interrupt()])
    assert vars(model).keys() == before.keys()
    assert all(vars(model)[name] is value for name, value in before.items())
    np.testing.assert_array_equal(model.decision_function(probes), answers)


# --- what is global


def test_global_settings_and_generators_are_left_alone(one_epoch, snippets):
    def state():
        # Only the legacy generator is global.
        numpy_state = np.random.get_state()  # noqa: NPY002
        return [
            [np.asarray(part).tolist() for part in numpy_state],
            random.getstate(),
            keras.config.dtype_policy().name,
            keras.config.floatx(),
            keras.config.image_data_format(),
            keras.backend.backend(),
        ]

    before = state()
    SmallBertTextFilter(**{**one_epoch, "random_state": None}).fit(*snippets).predict(snippets[0])
    after = state()
    # random_state=None draws from NumPy's global generator, as everywhere in scikit-learn
    assert after[1:] == before[1:]
    before = state()
    SmallBertTextFilter(**one_epoch).fit(*snippets).predict(snippets[0])
    assert state() == before


@pytest.mark.parametrize("estimator", [SmallBertTextFilter, SmallBertPretrainer])
def test_numbers_of_numpy_are_taken_as_pythons(estimator, snippets, tmp_path):
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "vocab_size": 300, "epochs": 1}
    plain = {n: v for n, v in estimator().get_params().items() if type(v) is int} | sizes
    plain |= {"random_state": 0, "verbose": 0}
    narrow = {name: np.int16(number) for name, number in plain.items()}
    narrow |= {"max_length": np.uint8(100), "random_state": np.int64(0)}

    model = estimator(**narrow).fit(*snippets)
    expected = estimator(**plain).fit(*snippets)
    assert clone(model).get_params() == expected.get_params()
    assert model.training_record_["random_state"] == "0"
    model.save_pretrained(tmp_path / "model")
    if estimator is SmallBertTextFilter:
        loaded = estimator.from_pretrained(tmp_path / "model")
        assert loaded.fingerprint_ == expected.fingerprint_
    else:
        SmallBertTextFilter(checkpoint=tmp_path / "model", epochs=1).fit(*snippets)


@pytest.mark.parametrize("floatx", ["float16", "float64"])
def test_a_fit_computes_in_32_bits_whatever_the_program_uses(
    floatx, one_epoch, brief, snippets, probes
):
    model_pool._pool.clear()  # as in a fresh process
    keras.config.set_floatx(floatx)
    try:
        model = SmallBertTextFilter(**one_epoch).fit(*snippets)
        assert keras.config.floatx() == floatx
        SmallBertPretrainer(hidden_size=16, num_hidden_layers=1, vocab_size=300, max_steps=1).fit(
            snippets[0]
        )
    finally:
        keras.config.set_floatx("float32")
    assert model.fingerprint_ == brief.fingerprint_


def test_tensorflows_advice_on_tracing_stays_out(one_epoch, snippets, caplog):
    class Advise(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            logging.getLogger("tensorflow").warning("5 calls triggered tf.function retracing.")
            logging.getLogger("tensorflow").warning("Another warning.")

    def messages():  # comet_ml and mlflow, where imported before, log to loggers of their own
        return [record.getMessage() for record in caplog.records if record.name == "tensorflow"]

    SmallBertTextFilter(**one_epoch).fit(*snippets, callbacks=[Advise()])
    assert messages() == ["Another warning."]
    logging.getLogger("tensorflow").warning("5 calls triggered tf.function retracing.")
    assert len(messages()) == 2


# --- pickle


class RecordClasses(pickle.Unpickler):
    """Load a pickle, and keep the packages whose classes or functions it names."""

    def __init__(self, file):
        super().__init__(file)
        self.packages = set()

    def find_class(self, module, name):
        self.packages.add(module.partition(".")[0])
        return super().find_class(module, name)


def test_a_pickle_holds_arrays_and_text_only(binary, tmp_path, probes):
    file = tmp_path / "model.pickle"
    file.write_bytes(pickle.dumps(binary))
    with file.open("rb") as stream:
        unpickler = RecordClasses(stream)
        loaded = unpickler.load()
    assert unpickler.packages <= {"skbert_filter", "numpy", "builtins"}
    np.testing.assert_array_equal(
        loaded.decision_function(probes), binary.decision_function(probes)
    )
    assert loaded.fingerprint_ == binary.fingerprint_

    binary.save_pretrained(tmp_path / "model")
    weights = load_file(tmp_path / "model" / "model.safetensors")
    tokenizer = Tokenizer.from_file(str(tmp_path / "model" / "tokenizer.json"))
    contents = sum(array.nbytes for array in weights.values()) + len(tokenizer.to_str().encode())
    assert file.stat().st_size < contents + 8_000


def test_unfitted_and_cloned_filters_are_pickled(one_epoch, brief, snippets):
    unfitted = pickle.loads(pickle.dumps(SmallBertTextFilter(**one_epoch)))
    assert unfitted.get_params() == brief.get_params()
    assert not hasattr(clone(brief), "classes_")
    assert unfitted.fit(*snippets).fingerprint_ == brief.fingerprint_


def test_joblib_carries_a_fitted_filter(ternary, tmp_path, probes):
    joblib.dump(ternary, tmp_path / "model.joblib", compress=3)
    loaded = joblib.load(tmp_path / "model.joblib")
    np.testing.assert_array_equal(loaded.predict_proba(probes), ternary.predict_proba(probes))
    np.testing.assert_array_equal(loaded.predict(probes), ternary.predict(probes))


FRESH = """
    import json, pickle, sys
    asked = json.load(sys.stdin)
    with open(asked["pickle"], "rb") as stream:
        model = pickle.load(stream)
    loaded = model.decision_function(asked["probes"])
    model.fit(asked["X"], asked["y"])

    import keras
    keras.utils.set_random_seed(7)
    expected = keras.random.uniform((3,)).numpy().tolist()
    keras.utils.set_random_seed(7)
    model.fit(asked["X"], asked["y"]).predict(asked["probes"])
    drawn = keras.random.uniform((3,)).numpy().tolist()
    json.dump({
        "loaded": loaded.tolist(),
        "refitted": model.decision_function(asked["probes"]).tobytes().hex(),
        "fingerprint": model.fingerprint_,
        "expected": expected,
        "drawn": drawn,
    }, sys.stdout)
"""


@pytest.mark.slow
def test_a_fresh_process_loads_and_fits_alike(brief, snippets, probes, tmp_path):
    (tmp_path / "model.pickle").write_bytes(pickle.dumps(brief))
    X, y = snippets
    asked = {"pickle": str(tmp_path / "model.pickle"), "X": X, "y": y, "probes": probes}
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    answer = run_python(
        FRESH, stdin=json.dumps(asked), cwd=elsewhere, PYTHONHASHSEED="1", HF_HUB_OFFLINE="1"
    )
    np.testing.assert_allclose(answer["loaded"], brief.decision_function(probes), atol=1e-6)
    # This process has done much else, so that two fresh ones agree all the more.
    assert answer["fingerprint"] == brief.fingerprint_
    assert answer["refitted"] == brief.decision_function(probes).tobytes().hex()
    assert answer["drawn"] == answer["expected"]  # Keras's global generator is not used


def test_import_and_construction_import_no_engine():
    imported = run_python(
        """
        import json, sys
        import skbert_filter
        from sklearn.base import clone
        model = clone(skbert_filter.SmallBertTextFilter(hidden_size=64))
        repr(model), model._repr_html_()
        engines = ["tensorflow", "keras", "torch", "jax", "transformers", "tokenizers"]
        json.dump([name for name in engines if name in sys.modules], sys.stdout)
        """
    )
    assert imported == []


MANY_FITS = """
    import gc, json, os, sys
    from pathlib import Path
    asked = json.load(sys.stdin)
    from skbert_filter import SmallBertTextFilter
    import keras

    def megabytes():
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20

    def live():
        gc.collect()
        return sum(isinstance(thing, keras.Model) for thing in gc.get_objects())

    def fit(**changed):
        model = SmallBertTextFilter(**{**asked, "epochs": 1, **changed})
        model.fit(["View All", "Menu", "We build pumps.", "We sell tea."], [0, 0, 1, 1])
        model.predict(["View All"])

    for i in range(100):
        fit(random_state=i)
        if i == 19:
            early = megabytes()
    grown, one = megabytes() - early, live()
    for width in (2, 4):
        fit(hidden_size=width)
    json.dump({"grown": grown, "one": one, "several": live()}, sys.stdout)
"""


@pytest.mark.slow
@pytest.mark.skipif(
    not Path("/proc/self/statm").exists(), reason="the size of a process is read as Linux tells it"
)
def test_a_hundred_fits_grow_nothing(tiny):
    answer = run_python(MANY_FITS, stdin=json.dumps(tiny))
    assert answer["grown"] < 40
    assert answer["one"] == 1
    assert answer["several"] <= 2


# --- parameters

BAD_PARAMETERS = {
    "checkpoint": (3, "an instance of 'str'"),
    "tokenizer": (3, "an instance of 'str'"),
    "vocab_size": (15, r"an int in the range \[16, 1000000\]"),
    "lowercase": ("yes", "an instance of 'bool'"),
    "max_length": (2, r"an int in the range \[3, inf\)"),
    "padding": ("shortest", r"a str among \{'(longest|max_length)', '(longest|max_length)'\}"),
    "hidden_size": (0, r"an int in the range \[1, inf\)"),
    "intermediate_size": (1.5, r"an int in the range \[1, inf\)"),
    "num_hidden_layers": (0, r"an int in the range \[1, inf\)"),
    "num_attention_heads": ("two", r"an int in the range \[1, inf\)"),
    "hidden_dropout_prob": (1.0, r"a float in the range \[0.0, 1.0\)"),
    "attention_probs_dropout_prob": (-0.1, r"a float in the range \[0.0, 1.0\)"),
    "focal_gamma": (-1, r"a float in the range \[0.0, inf\)"),
    "label_smoothing": (1, r"a float in the range \[0.0, 1.0\)"),
    "class_weight": ("heavy", r"'balanced'"),
    "duplicates": (True, r"'weight'"),
    "conflicts": ("ask", r"'majority'"),
    "epochs": (0, r"an int in the range \[1, inf\)"),
    "batch_size": (0, r"an int in the range \[1, inf\)"),
    "learning_rate": (0, r"a float in the range \(0.0, inf\)"),
    "early_stopping": ("no", r"'auto'"),
    "n_jobs": (0, r"an int in the range"),
    "random_state": ("seed", r"an int in the range \[0, 4294967295\]"),
    "verbose": (-1, r"an int in the range \[0, inf\)"),
}


def test_each_parameter_has_a_bad_value_below():
    assert list(BAD_PARAMETERS) == list(inspect.signature(SmallBertTextFilter).parameters)


@pytest.mark.parametrize("name", BAD_PARAMETERS)
def test_a_bad_parameter_is_refused_by_fit(tiny, snippets, name):
    value, allowed = BAD_PARAMETERS[name]
    model = SmallBertTextFilter(**{**tiny, name: value})
    expected = f"The '{name}' parameter of SmallBertTextFilter must be .*{allowed}.*Got {value!r} "
    with pytest.raises((TypeError, ValueError), match=expected):
        model.fit(*snippets)
    assert not hasattr(model, "classes_")


def test_heads_must_divide_the_width(tiny, snippets):
    with pytest.raises(
        ValueError, match="hidden_size=32 is not a multiple of num_attention_heads=3"
    ):
        SmallBertTextFilter(**{**tiny, "num_attention_heads": 3}).fit(*snippets)


def test_class_weight_must_name_every_class(tiny, snippets):
    with pytest.raises(ValueError, match=r"weights for \['third'\], but the labels are \['disc"):
        SmallBertTextFilter(**tiny, class_weight={"third": 2.0}).fit(*snippets)


# --- where training starts


@pytest.mark.parametrize(
    "weights",
    [
        {"keep": float("nan"), "discard": 1},
        {"keep": float("inf"), "discard": 1},
        {"keep": -1, "discard": 1},
        {"keep": 0, "discard": 0},
    ],
)
def test_class_weights_that_weigh_nothing_are_refused(tiny, snippets, weights):
    with pytest.raises(ValueError, match=r"class_weight=.* must hold finite numbers of 0 or more"):
        SmallBertTextFilter(**tiny, class_weight=weights).fit(*snippets)


def test_a_training_that_diverges_is_stopped_and_leaves_the_filter_as_it_was(tiny, snippets):
    model = SmallBertTextFilter(**{**tiny, "learning_rate": 1e30})
    with pytest.raises(ValueError, match=r"loss of epoch \d+ is nan: .*learning_rate that is too"):
        model.fit(*snippets)
    assert not hasattr(model, "classes_")


def test_a_tokenizer_is_taken_as_object_or_folder(saved, one_epoch, brief, snippets, probes):
    given = Tokenizer.from_file(str(saved / "tokenizer.json"))
    given.enable_truncation(5)
    given.enable_padding(length=40)
    before = given.to_str()
    for tokenizer in (given, saved, str(saved)):
        model = clone(SmallBertTextFilter(**one_epoch, tokenizer=tokenizer)).fit(*snippets)
        np.testing.assert_array_equal(
            model.decision_function(probes), brief.decision_function(probes)
        )
    assert given.to_str() == before


def test_a_tokenizer_that_is_not_there_is_refused(tiny, snippets, tmp_path):
    missing = str(Path(tmp_path, "missing"))
    with pytest.raises(
        ValueError, match=r"missing' is neither a folder that holds a tokenizer nor"
    ):
        SmallBertTextFilter(**tiny, tokenizer=missing).fit(*snippets)


def test_lowercase_ignores_case(tiny, snippets):
    model = SmallBertTextFilter(**tiny, lowercase=True).fit(*snippets)
    logits = model.decision_function(["View menu", "VIEW MENU", "view ménu"])
    np.testing.assert_array_equal(logits[1:], logits[:1].repeat(2))


@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
def test_half_precision_learns_nearly_the_same(
    one_epoch, snippets, brief, probes, precision, monkeypatch
):
    # on a GPU, as Keras's dtype policy says
    before = keras.config.dtype_policy()
    monkeypatch.setattr(training, "gpu_is_available", lambda: True)
    keras.config.set_dtype_policy(precision)
    try:
        model = SmallBertTextFilter(**one_epoch).fit(*snippets)
        assert keras.config.dtype_policy().name == precision
    finally:
        keras.config.set_dtype_policy(before)
    assert model._state.precision == precision
    assert model.history_["loss"] == pytest.approx(brief.history_["loss"], rel=0.01)
    np.testing.assert_allclose(
        model.decision_function(probes), brief.decision_function(probes), atol=0.05
    )
    assert model.decision_function(probes).dtype == np.float32


@pytest.mark.parametrize("name", ["binary", "ternary"])
def test_the_code_of_the_guide_runs_an_exported_file(name, request, probes, tmp_path):
    model = request.getfixturevalue(name)
    path = tmp_path / "filter.onnx"
    model.export_onnx(path)
    guide = Path(__file__).parents[1] / "docs" / "model.rst"
    page = guide.read_text(encoding="utf-8")
    code = textwrap.dedent(page[page.index("    import json, numpy") :].split("\n\n")[0])
    given = code.replace('["View All", "We build pumps."]', "json.loads(input())")
    assert given != code
    run = subprocess.run(
        [
            sys.executable,
            "-c",
            f'{given}\nprint(json.dumps([about["fingerprint"], labels, logits.tolist()]))',
        ],
        cwd=tmp_path,
        input=json.dumps(probes),
        capture_output=True,
        text=True,
        check=True,
    )
    fingerprint, labels, logits = json.loads(run.stdout)
    assert fingerprint == model.fingerprint_
    assert labels == model.predict(probes).tolist()
    expected = model.decision_function(probes)
    if expected.ndim == 1:
        expected = np.column_stack([-expected, expected])
    np.testing.assert_allclose(logits, expected, atol=1e-5)
    with pytest.raises(FileExistsError, match=r"filter\.onnx exists"):
        model.export_onnx(path)
