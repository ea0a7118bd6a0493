"""Fitted classifiers on held-out texts: scores, errors, leaks and comparisons."""

import json

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import RidgeClassifier
from sklearn.model_selection import FixedThresholdClassifier
from sklearn.pipeline import make_pipeline

from skbert_filter.inspection import WordCountRule, evaluate, tfidf_baseline


class Oracle(ClassifierMixin, BaseEstimator):
    """Predicts the probability that each text contains, so the scores are known."""

    def __init__(self, classes):
        self.classes = classes

    @property
    def classes_(self):
        return np.array(self.classes)

    def fit(self, X, y):
        return self

    def __sklearn_is_fitted__(self):
        return True

    def predict_proba(self, X):
        rows = np.array([[float(value) for value in text.split()] for text in X])
        return np.column_stack([1 - rows, rows]) if rows.shape[1] == 1 else rows

    def predict(self, X):
        return self.classes_[self.predict_proba(X).argmax(axis=1)]


MENU = ["View all", "Home", "Log in", "Read more", "Contact"]
PROSE = ["We build pumps for ships", "Our staff repairs engines", "They sell tea to farmers"]


def test_binary_scores_equal_hand_calculation():
    X, y = ["0.9", "0.8", "0.3", "0.1", "0.15"], ["keep", "drop", "keep", "drop", "drop"]
    result = evaluate(Oracle(["drop", "keep"]), X, y)

    assert (result.name, result.n_rows, result.n_distinct) == ("Oracle", 5, 5)
    assert result.accuracy == pytest.approx(3 / 5)
    # Wilson: centre (p + z²/2n)/(1 + z²/n), half-width z/(1 + z²/n)·sqrt(p(1-p)/n + z²/4n²)
    assert (result.accuracy_low, result.accuracy_high) == pytest.approx((0.2307, 0.8824), abs=1e-4)
    assert result.f1 == pytest.approx(0.5)
    assert result.average_precision == pytest.approx((1 + 2 / 3) / 2)
    assert result.brier == pytest.approx((0.01 + 0.64 + 0.49 + 0.01 + 0.0225) / 5)
    assert result.expected_calibration_error == pytest.approx((0.1 + 0.8 + 0.7 + 0.1 + 0.15) / 5)
    assert result.log_loss == pytest.approx(-np.log([0.9, 0.2, 0.3, 0.9, 0.85]).mean())


def test_multiclass_scores_equal_hand_calculation():
    X = ["0.7 0.2 0.1", "0.2 0.5 0.3", "0.1 0.6 0.3", "0.2 0.2 0.6"]
    result = evaluate(Oracle([3, 5, 9]), X, [3, 5, 9, 9])

    assert result.accuracy == 0.75
    assert result.f1 == pytest.approx((1 + 2 / 3 + 2 / 3) / 3)
    assert result.average_precision == pytest.approx((1 + 1 / 2 + (1 + 2 / 3) / 2) / 3)
    assert result.brier == pytest.approx((0.14 + 0.38 + 0.86 + 0.24) / 4)
    # 0.6 is the upper end of its bin: right (+0.4) and wrong (-0.6) meet there.
    assert result.expected_calibration_error == pytest.approx((0.3 + 0.5 + 0.2) / 4)
    assert result.log_loss == pytest.approx(-np.log([0.7, 0.5, 0.3, 0.6]).mean())


def test_a_repeated_text_counts_once():
    X, y = ["0.9"] * 8 + ["0.2", "0.6"], [1] * 8 + [0, 0]
    once = evaluate(Oracle([0, 1]), X, y)

    assert (once.n_rows, once.n_distinct) == (10, 3)
    assert once.accuracy == pytest.approx(2 / 3)
    assert once.brier == pytest.approx((0.01 + 0.04 + 0.36) / 3)
    assert once.confusion.loc[1, 1] == 1
    assert "3 distinct texts, each counted once (10 rows)" in str(once)


def test_texts_with_several_labels_have_the_most_frequent_one_or_are_dropped():
    X, y = ["0.9", "0.9", "0.9", "0.4", "0.4", "0.1"], [1, 0, 1, 0, 1, 0]
    result = evaluate(Oracle([0, 1]), X, y)
    assert (result.n_conflicts, result.n_left_out, result.n_distinct) == (2, 1, 2)
    assert result.accuracy == 1
    assert "labels: 2; the most frequent label counts. Dropped for a tie: 1" in str(result)


def test_a_decision_function_is_enough_for_average_precision():
    X, y = ["red fish", "blue fish", "red dog", "blue dog"], [0, 0, 1, 1]
    model = make_pipeline(CountVectorizer(), RidgeClassifier()).fit(X, y)
    ridge = evaluate(model, X, y)
    assert ridge.name == "RidgeClassifier"
    assert (ridge.accuracy, ridge.average_precision) == (1, 1)
    assert np.isnan([ridge.brier, ridge.expected_calibration_error, ridge.log_loss]).all()
    [decision] = model.decision_function(["blue fish"])
    wrong = evaluate(model, X, [0, 1, 1, 1]).errors
    assert wrong.loc[0, ["text", "predicted"]].tolist() == ["blue fish", 0]
    assert wrong.loc[0, "confidence"] == pytest.approx(-decision)


def test_a_rule_without_classes_or_probabilities_gives_accuracy_and_f1():
    class Longest:
        def predict(self, X):
            return ["long" if len(text) > 3 else "short" for text in X]

    result = evaluate(Longest(), ["a", "long one", "b"], ["short", "long", "long"])
    assert result.name == "Longest"
    assert result.accuracy == pytest.approx(2 / 3)
    assert result.f1 == pytest.approx(2 / 3)  # of "short", which sorts last
    assert np.isnan([result.average_precision, result.brier, result.errors.confidence[0]]).all()


def test_f1_and_average_precision_need_held_out_labels_of_two_classes():
    result = evaluate(Oracle([0, 1]), ["0.2", "0.6"], [0, 0])
    assert result.accuracy == 0.5
    assert np.isnan([result.f1, result.average_precision]).all()
    assert result.brier == pytest.approx((0.04 + 0.36) / 2)


def test_a_class_without_test_texts_is_excluded_from_the_means():
    X = ["0.8 0.1 0.1", "0.3 0.6 0.1", "0.5 0.4 0.1", "0.2 0.7 0.1"]
    y = ["a", "b", "b", "b"]
    result = evaluate(Oracle(["a", "b", "c"]), X, y)
    # a: one of two predictions is right; b: two of three texts are found
    assert result.f1 == pytest.approx((2 / 3 + 4 / 5) / 2)
    assert result.average_precision == pytest.approx(1)
    assert "a test text (1 of 3): ['c']. F1 and AP are means over the other 2." in str(result)
    one = evaluate(Oracle(["a", "b", "c"]), X[1:], y[1:])
    assert np.isnan([one.f1, one.average_precision]).all()
    assert "a test text (2 of 3): ['a', 'c']. F1 and AP are not defined." in str(one)
    all_of_them = evaluate(Oracle(["a", "b"]), ["0.8 0.2", "0.3 0.7"], ["a", "b"])
    assert "Labels without" not in str(all_of_them)


def test_labels_too_long_for_a_matrix_are_listed():
    names = [f"{'household appliances ' * 4}{i}" for i in range(3)]
    y = [names[0], names[2], names[1]]
    result = evaluate(Oracle(names), ["0.1 0.8 0.1", "0.6 0.2 0.2", "0 1 0"], y)
    assert max(map(len, str(result).splitlines())) <= 80
    assert "The most frequent confusions:" in str(result)
    assert "household applia…ld appliances 0" in str(result)
    short = evaluate(Oracle(["a", "b"]), ["0.8 0.2", "0.3 0.7"], ["a", "b"])
    assert "  a  b  true label\n  1  0  a\n  0  1  b" in str(short)


def test_the_most_confident_errors_come_first_with_their_texts():
    X = ["0.7", "0.95", "0.4", "0.45", "0.45", "0.3", "0.9"]
    y = ["no", "no", "yes", "yes", "yes", "no", "yes"]
    result = evaluate(Oracle(["no", "yes"]), X, y, n_errors=3)

    assert result.errors["text"].tolist() == ["0.95", "0.7", "0.4"]
    assert result.errors["confidence"].tolist() == pytest.approx([0.95, 0.7, 0.6])
    assert result.errors["label"].tolist() == ["no", "no", "yes"]
    assert result.errors["predicted"].tolist() == ["yes", "yes", "no"]
    assert result.n_wrong == 4
    assert "The most confident of 4 errors" in str(result)
    every = evaluate(Oracle(["no", "yes"]), X, y, n_errors=9).errors
    assert every["rows"].tolist() == [1, 1, 1, 2]
    none = evaluate(Oracle(["no", "yes"]), X, y, n_errors=0)
    assert (len(none.errors), none.n_wrong) == (0, 4)


def test_confidence_belongs_to_the_label_that_a_threshold_chose():
    eager = FixedThresholdClassifier(Oracle([0, 1]), threshold=0.2).fit(["0.5", "0.1"], [1, 0])
    result = evaluate(eager, ["0.25", "0.1"], [0, 0])
    assert result.errors[["text", "predicted", "confidence"]].values.tolist() == [["0.25", 1, 0.25]]


def test_the_confusion_matrix_has_the_names_of_the_classes():
    X = ["0.7 0.2 0.1", "0.2 0.5 0.3", "0.1 0.6 0.3", "0.2 0.2 0.6", "0.1 0.8 0.1"]
    result = evaluate(Oracle(["a", "b", "c"]), X, ["a", "b", "c", "c", "c"])
    assert result.confusion.loc["c"].to_dict() == {"a": 0, "b": 2, "c": 1}
    assert result.confusion.to_numpy().sum() == 5
    assert result.confusions.values.tolist() == [["c", "b", 2]]
    assert "\n  0  2  1  c\n" in str(result)


def test_with_many_classes_the_most_frequent_confusions_are_printed():
    names = list("abcdefghij")
    rows = np.full((12, 10), 0.05)
    rows[:, 3] = np.linspace(0.5, 0.6, 12)
    X = [" ".join(map(str, row / row.sum())) for row in rows]
    result = evaluate(Oracle(names), X, [*names, "f", "b"])
    lines = str(result).split("The most frequent confusions:\n")[1].splitlines()
    assert [line.split() for line in lines[:4]] == [
        ["texts", "label", "predicted"],
        ["2", "b", "d"],
        ["2", "f", "d"],
        ["1", "a", "d"],
    ]


def test_baselines_learn_from_the_training_texts_and_are_tested_on_the_same_texts():
    X_train = [f"{text} {i}" for i in range(8) for text in MENU + PROSE]
    y_train = [0, 0, 0, 0, 0, 1, 1, 1] * 8
    X_test = [f"{text} again" for text in MENU + PROSE]
    y_test = [0, 0, 0, 0, 0, 1, 1, 1]

    class Wrong(ClassifierMixin, BaseEstimator):
        classes_ = np.array([0, 1])

        def predict(self, X):
            return np.array([1 - y_test[X_test.index(text)] for text in X])

    result = evaluate(Wrong(), X_test, y_test, X_train=X_train, y_train=y_train)
    rule = WordCountRule().fit(X_train, y_train)
    assert [scores.name for scores in result.baselines] == [
        "TF-IDF and shape",
        "TF-IDF",
        "word-count rule",
    ]
    assert result.baselines[2].accuracy == rule.score(X_test, y_test) > 0.8
    n_right = round(8 * rule.score(X_test, y_test))
    assert (result.tests[2].only_first, result.tests[2].only_second) == (0, n_right)
    assert result.tests[2].p_value == pytest.approx(2 / 2**n_right)
    assert "Wrong is right on 0 texts that word-count rule gets wrong" in str(result)
    table = result.to_frame()
    assert table.index.tolist() == ["Wrong", "TF-IDF and shape", "TF-IDF", "word-count rule"]
    assert table["accuracy"].tolist() == [0, *(scores.accuracy for scores in result.baselines)]
    assert table["p_value"].tolist()[1:] == [test.p_value for test in result.tests]


@pytest.mark.parametrize(
    ("n_right", "verdict"),
    [
        (19, "Oracle is ahead of the best baseline, better, by no more than chance (p = .12)."),
        (40, "Oracle is ahead of the best baseline, better, by more than chance (p < .001)."),
        (15, "Oracle is level with the best baseline, better."),
        (12, "Oracle is behind the best baseline, better, by no more than chance (p = .25)."),
        (4, "Oracle is behind the best baseline, better, by more than chance (p < .001)."),
    ],
)
def test_the_verdict_compares_with_the_best_baseline(n_right, verdict):
    X, y = [f"{0.6 + i / 1000:.3f}" for i in range(40)], [1] * 40

    class Knows(Oracle):
        """Right on the first n texts."""

        def __init__(self, n):
            super().__init__([0, 1])
            self.n = n

        def predict_proba(self, X):
            right = np.array([float(text) < 0.6 + self.n / 1000 for text in X])
            return np.column_stack([1 - 0.9 * right, 0.9 * right])

    def frozen(n):
        return FrozenEstimator(Knows(n))

    baselines = {"worse": frozen(3), "better": frozen(15), "as good": frozen(15)}
    result = evaluate(Knows(n_right), X, y, baselines=baselines, name="Oracle")

    assert result.verdict == verdict
    assert verdict in str(result)
    assert evaluate(Knows(9), X, y).verdict == ""


def test_a_classifier_against_itself_is_no_more_than_chance():
    X, y = MENU + PROSE, [0, 0, 0, 1, 0, 1, 1, 0]
    rule = WordCountRule().fit(X, y)
    result = evaluate(rule, X, y, baselines={"itself": FrozenEstimator(rule)})
    assert result.tests[0].p_value == 1
    assert result.to_frame().drop(columns="p_value").nunique().eq(1).all()


def test_baselines_learn_each_distinct_text_once_unless_rows_are_to_count():
    X_train = ["Menu"] * 9 + ["Terms of use", "Our tea", "We sell", "Buy tea here"]
    y_train = ["keep"] * 9 + ["drop", "keep", "keep", "keep"]
    X_test, y_test = ["Menu", "Tea house"], ["keep", "drop"]

    class MostFrequent(ClassifierMixin, BaseEstimator):
        def fit(self, X, y):
            self.classes_ = np.unique(y)
            self.seen_ = len(X)
            return self

        def predict_proba(self, X):
            return np.tile([1 / self.seen_, 1 - 1 / self.seen_], (len(X), 1))

        def predict(self, X):
            return np.full(len(X), "keep", dtype=object)

    result = evaluate(
        MostFrequent().fit(X_train, y_train),
        X_test,
        y_test,
        X_train=X_train,
        y_train=y_train,
        baselines={"frequent": MostFrequent()},
    )
    assert result.baselines[0].brier == pytest.approx(((1 / 5) ** 2 + (1 - 1 / 5) ** 2) / 2)


def test_leaked_texts_are_counted_and_the_score_without_them_is_reported():
    X_train = ["0.9", "0.85 ", "0.1"]
    X_test, y_test = ["0.9", "0.9", " 0.85", "0.6", "0.3"], [1, 1, 1, 0, 0]
    result = evaluate(Oracle([0, 1]), X_test, y_test, X_train=X_train)

    assert result.leakage.leaks["test_texts"].tolist() == [1, 2, 2]
    assert (result.accuracy, result.without_leaks.accuracy) == (0.75, 0.5)
    assert (result.without_leaks.n_rows, result.without_leaks.n_distinct) == (2, 2)
    assert not result.baselines
    assert "1 of the 4 distinct test texts are among the training texts, 2 ignoring" in str(result)
    assert "without leaked texts" in str(result)

    clean = evaluate(Oracle([0, 1]), ["0.6"], [0], X_train=X_train)
    assert clean.without_leaks is None
    assert "No test text is among the training texts" in str(clean)
    assert evaluate(Oracle([0, 1]), ["0.9"], [1], X_train=X_train).without_leaks is None


def test_the_evaluation_survives_json():
    X, y = ["View all", "Home", "We build pumps", "Our staff sings"], [False, False, True, True]
    model = make_pipeline(CountVectorizer(), RidgeClassifier()).fit(X, y)
    result = evaluate(model, X, [False, True, True, True], X_train=X, y_train=y)
    read = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    assert read["accuracy"] == result.accuracy
    assert read["brier"] is None
    assert read["labels"] == [False, True]
    assert read["confusion"] == result.confusion.to_numpy().tolist()
    assert read["errors"][0]["text"] == "Home"
    assert read["verdict"] == result.verdict
    assert read["tests"][2]["sentence"] == str(result.tests[2])
    assert read["leakage"][0]["test_texts"] == 4
    assert [each["name"] for each in read["baselines"]] == [b.name for b in result.baselines]


def test_a_filter_is_evaluated_next_to_its_baselines(binary, snippets):
    X, y = snippets
    result = evaluate(binary, X[::2], y[::2], X_train=X[1::2], y_train=y[1::2])
    assert result.accuracy == np.mean(binary.predict(X[::2]) == np.array(y[::2]))
    assert result.confusion.index.tolist() == ["discard", "keep"]
    assert len(result.tests) == 3
    assert "SmallBertTextFilter is right on " in str(result)


@pytest.mark.parametrize(
    ("X", "y", "arguments", "message"),
    [
        ([], [], {}, "X_test has no text to score: it is empty"),
        (["0.2", "0.2"], [0, 1], {}, "each of its texts has two labels"),
        (["0.2", "0.4"], [0, 7], {}, r"Oracle was not fitted on: \[7\]\. It knows \[0, 1\]"),
        (["0.2"], [0, 1], {}, "y_test has 2 labels, but X_test has 1 row"),
        (["0.2"], [0], {"y_train": [0]}, "y_train is given without X_train"),
        (["0.2"], [0], {"n_errors": -1}, "n_errors == -1, must be >= 0"),
        (
            ["0.2"],
            [0],
            {"baselines": {"words": tfidf_baseline()}, "X_train": ["a"]},
            r"no training texts to fit the baseline 'words' to\. Pass X_train and y_train, or Fro",
        ),
        (
            ["0.2"],
            [0],
            {"X_train": ["Home", "Our tea"], "y_train": [1, 2]},
            r"labels that TF-IDF and shape was not fitted on: \[0\]",
        ),
    ],
)
def test_input_that_cannot_be_scored_is_rejected(X, y, arguments, message):
    with pytest.raises(ValueError, match=message):
        evaluate(Oracle([0, 1]), X, y, **arguments)
