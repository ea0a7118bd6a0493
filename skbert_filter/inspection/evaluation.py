"""How good a fitted classifier is on held-out texts, compared with simpler ones."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from numbers import Integral
from reprlib import repr as short_repr
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import confusion_matrix
from sklearn.utils import check_scalar

from skbert_filter.duplicates.distinct import last_step
from skbert_filter.duplicates.leakage import LeakageReport, find_leaks
from skbert_filter.duplicates.training_rows import merge_repeats
from skbert_filter.inspection.baselines import default_baselines
from skbert_filter.inspection.scores import SHORT_NAMES, Predictions, Scores, score_predictions
from skbert_filter.inspection.significance import LEVEL, McNemarTest, mcnemar_test, p_text
from skbert_filter.printing import aligned, counted, printable, shown_text
from skbert_filter.validation import check_labels, check_texts

# The longest label to print, in characters.
_LABEL_LENGTH = 18
# With more classes than this, or more characters in their labels, the most frequent confusions are
# listed instead of the confusion matrix.
_MATRIX_CLASSES = 8
_MATRIX_LENGTH = 36
_CONFUSIONS_SHOWN = 10


@dataclass(frozen=True, eq=False)
class Evaluation(Scores):
    """The scores of a classifier on held-out texts, and how it compares with simpler ones.

    :func:`evaluate` returns it. It has the attributes of :class:`Scores`, and these:

    Attributes
    ----------
    n_conflicts, n_left_out : int
        The number of distinct texts with several labels, of which the most frequent counts as true,
        and how many of them are not scored because of a tie.
    confusion : DataFrame of shape (n_classes, n_classes)
        The number of distinct texts by true label (index) and predicted label (columns).
    errors : DataFrame
        The wrong predictions, the most confident first, up to `n_errors`: "text", "label",
        "predicted", "confidence" (the predicted label's probability or decision function, or NaN)
        and "rows" (that have this text).
    n_wrong : int
        The number of wrong predictions.
    baselines : tuple of Scores
        The scores of the baselines on the same texts.
    tests : tuple of McNemarTest
        Tests of this classifier against each baseline.
    leakage : LeakageReport or None
        The test texts that are among the training texts; None without training texts.
    without_leaks : Scores or None
        The scores on the test texts that are not, ignoring case and whitespace. None if these are
        all or none.
    n_learnt : int
        The number of distinct test texts that the model was trained on. Only `evaluate_filter`
        counts them.
    all_learnt : bool
        Whether the model was trained on all test texts, which are scored nevertheless.
    """

    n_conflicts: int
    n_left_out: int
    confusion: pd.DataFrame = field(repr=False)
    errors: pd.DataFrame = field(repr=False)
    n_wrong: int
    baselines: tuple[Scores, ...] = field(repr=False)
    tests: tuple[McNemarTest, ...] = field(repr=False)
    leakage: LeakageReport | None = field(repr=False)
    without_leaks: Scores | None = field(repr=False)
    n_learnt: int = 0
    all_learnt: bool = False

    def to_frame(self) -> pd.DataFrame:
        """Return the scores of all classifiers as a table, with the p-values of McNemar's tests."""
        scores = [scores.figures() for scores in (self, *self.baselines)]
        p_values = [float("nan"), *(test.p_value for test in self.tests)]
        return pd.DataFrame(scores).set_index("name").assign(p_value=p_values)

    def to_dict(self) -> dict[str, Any]:
        """Return the evaluation as dicts, lists, str and numbers; NaN becomes None."""
        leakage, without = self.leakage, self.without_leaks
        names = ["n_conflicts", "n_left_out", "n_wrong", "verdict", "learnt"]
        evaluation = {
            **self.figures(),
            **{name: getattr(self, name) for name in names},
            "labels": self.confusion.index.tolist(),
            "confusion": self.confusion.to_numpy().tolist(),
            "errors": self.errors.to_dict("records"),
            "baselines": [scores.figures() for scores in self.baselines],
            "tests": [asdict(test) | {"sentence": str(test)} for test in self.tests],
            "leakage": leakage and leakage.to_frame().reset_index().to_dict("records"),
            "without_leaks": without and without.figures(),
        }
        plain = json.dumps(evaluation, default=lambda number: number.item())
        return json.loads(plain, parse_constant=lambda _: None)

    @property
    def confusions(self) -> pd.DataFrame:
        """The wrong pairs of "label" and "predicted" with their "count", most frequent first."""
        by_pair: Any = self.confusion.T.unstack()
        counts = by_pair.rename("count").reset_index()
        wrong = counts[(counts["label"] != counts["predicted"]) & (counts["count"] > 0)]
        return wrong.sort_values("count", ascending=False, kind="stable", ignore_index=True)

    @property
    def counting(self) -> str:
        """A sentence on what was scored."""
        texts, rows = counted(self.n_distinct, "distinct text"), counted(self.n_rows, "row")
        scored = f"Scored on {texts}, each counted once ({rows})."
        if not self.n_conflicts:
            return scored
        return (
            f"{scored} Texts with several labels: {self.n_conflicts:,}; the most frequent label "
            f"counts. Dropped for a tie: {self.n_left_out:,}."
        )

    @property
    def verdict(self) -> str:
        """A sentence on whether the best baseline is beaten; empty without baselines."""
        if not self.tests:
            return ""
        best = min(self.tests, key=lambda test: test.only_first - test.only_second)
        lead = best.only_first - best.only_second
        if not lead:
            return f"{self.name} is level with the best baseline, {best.second}."

        where = "ahead of" if lead > 0 else "behind"
        by = f"{'more' if best.p_value < LEVEL else 'no more'} than chance ({p_text(best.p_value)})"
        return f"{self.name} is {where} the best baseline, {best.second}, by {by}."

    @property
    def absent(self) -> str:
        """A sentence on labels that no test text has; empty if all occur."""
        labels = self.confusion.index[self.confusion.sum(axis=1) == 0]
        if labels.empty:
            return ""

        n_occurring = len(self.confusion) - len(labels)
        means = f"means over the other {n_occurring}" if n_occurring > 1 else "not defined"
        return (
            f"Labels without a test text ({len(labels)} of {len(self.confusion)}): "
            f"{short_repr(labels.tolist())}. F1 and AP are {means}."
        )

    @property
    def leaks(self) -> str:
        """A sentence on test texts among the training texts; empty without training texts."""
        if self.leakage is None:
            return ""
        exact, folded = self.leakage.leaks.loc[["exact", "casefold"], "test_texts"]
        if not folded:
            return "No test text is among the training texts, even ignoring case and whitespace."
        return (
            f"Leaks: {exact:,} of the {self.leakage.test_distinct:,} distinct test texts are "
            f"among the training texts, {folded:,} ignoring case and whitespace."
        )

    @property
    def learnt(self) -> str:
        """A warning about texts that the model was trained on; empty if there are none."""
        if not self.n_learnt:
            return ""
        texts = counted(self.n_learnt, "distinct test text")
        consequence = ", which are not scored."
        if self.all_learnt:
            texts, consequence = f"all {texts}", ". These scores say nothing about other texts."
        return f"WARNING: the model was trained on {texts}{consequence}"

    def __str__(self) -> str:
        parts = [
            self.learnt,
            f"{printable(self.name)}\n{self.counting}",
            self.score_lines(),
            self.absent,
            "\n".join(map(printable, filter(None, [self.verdict, *map(str, self.tests)]))),
            self.leaks,
            self._confusion_lines(),
            self._error_lines(),
        ]
        return "\n\n".join(filter(None, parts))

    def score_lines(self) -> str:
        """Return the scores of this classifier and of the baselines as a table to print."""
        rows: list[Scores] = [self, *self.baselines]
        if self.without_leaks is not None:
            rows.insert(1, replace(self.without_leaks, name="  without leaked texts"))

        numbers: dict[str, Any] = {}
        for name, short in SHORT_NAMES.items():
            numbers[short] = (".3f", [getattr(scores, name) for scores in rows])
            if name == "accuracy":
                intervals = [f"{row.accuracy_low:.3f}–{row.accuracy_high:.3f}" for row in rows]
                numbers["95 % CI"] = ("", intervals)
        return aligned(numbers, {"classifier": [row.name for row in rows]})

    def _confusion_lines(self) -> str:
        labels = [printable(label, _LABEL_LENGTH) for label in self.confusion.index]
        are_short = sum(map(len, labels)) <= _MATRIX_LENGTH
        if len(set(labels)) == len(labels) <= _MATRIX_CLASSES and are_short:
            columns = [(",", counts) for counts in self.confusion.to_numpy().T]
            lines = aligned(dict(zip(labels, columns, strict=True)), {"true label": labels})
            return f"Texts of each label, by predicted label:\n{lines}"

        most = self.confusions.head(_CONFUSIONS_SHOWN)
        names = ("label", "predicted")
        pairs = {name: [printable(label, 32) for label in most[name]] for name in names}
        lines = aligned({"texts": (",", most["count"])}, pairs)
        return f"The most frequent confusions:\n{lines}"

    def _error_lines(self) -> str:
        errors = self.errors
        if errors.empty:
            return ""
        strings: dict[str, Any] = {
            name: [printable(label, _LABEL_LENGTH) for label in errors[name]]
            for name in ("label", "predicted")
        }
        strings["text"] = map(shown_text, errors["text"])
        lines = aligned({"confidence": (".3f", errors["confidence"])}, strings)
        return f"The most confident of {counted(self.n_wrong, 'error')}:\n{lines}"


def evaluate(
    estimator: Any,
    X_test: Any,
    y_test: Any,
    *,
    X_train: Any = None,
    y_train: Any = None,
    baselines: Mapping[str, Any] | None = None,
    n_errors: int = 10,
    name: str | None = None,
) -> Evaluation:
    """Score a fitted classifier on held-out texts, and compare it with simpler ones.

    Parameters
    ----------
    estimator : classifier
        Any fitted text classifier. It needs only `predict`; probabilities or a decision function
        are scored too if it has them.
    X_test, y_test : container of str and array-like, of length n_samples
        Texts that the estimator was not fitted on, and their labels.
    X_train, y_train : container of str and array-like, of length n_train, default=None
        The texts that it was fitted on, to find those that leaked into the test, and their labels,
        to fit the baselines.
    baselines : dict of str to classifier, default=None
        The classifiers to compare with, by name; clones are fitted to the training texts. Pass one
        that is already fitted as ``FrozenEstimator(model)``. None, with `y_train`:
        `tfidf_shape_baseline`, `tfidf_baseline` and, for two classes, the word-count rule, without
        the one that has the name of the estimator. None, without `y_train`: no baselines.
    n_errors : int, default=10
        How many errors to list.
    name : str, default=None
        How to refer to the estimator; None for its class, or that of a pipeline's last step.

    Returns
    -------
    evaluation : Evaluation

    See Also
    --------
    compare : Compares classifiers over repeated folds, each fitted again.

    Notes
    -----
    A repeated text counts once, in the training of the baselines too;
    ``estimator.score(X_test, y_test)`` counts rows. P-values are not corrected for their number.
    Intervals and tests assume that texts are independent, which is not quite true of texts from one
    page.

    Examples
    --------
    >>> from skbert_filter import dedup_train_test_split
    >>> from skbert_filter.datasets import make_website_snippets
    >>> from skbert_filter.inspection import WordCountRule, evaluate
    >>> X, y = make_website_snippets(400, random_state=0)
    >>> X_train, X_test, y_train, y_test = dedup_train_test_split(
    ...     X, y, test_size=0.4, random_state=0)
    >>> rule = WordCountRule().fit(X_train, y_train)
    >>> evaluation = evaluate(rule, X_test, y_test, X_train=X_train, y_train=y_train, n_errors=2)
    >>> print(evaluation)
    WordCountRule
    Scored on 148 distinct texts, each counted once (159 rows). Texts with several labels: 1;
    the most frequent label counts. Dropped for a tie: 1.
    <BLANKLINE>
      accuracy      95 % CI     F1     AP  Brier    ECE  classifier
         0.878    0.816–0.922  0.809  0.898  0.089  0.084  WordCountRule
         0.926    0.872–0.958  0.889  0.931  0.063  0.071  TF-IDF and shape
         0.892    0.832–0.932  0.826  0.914  0.076  0.073  TF-IDF
         0.878    0.816–0.922  0.809  0.898  0.089  0.080  word-count rule
    <BLANKLINE>
    WordCountRule is behind the best baseline, TF-IDF and shape, by more than chance
    (p = .016).
    ...
    The most confident of 18 errors:
      confidence  label  predicted  text
           0.913  1      0          'Delivery takes 81 days.'
           0.913  1      0          'Nos câbles sont recyclées.'
    """
    check_scalar(n_errors, "n_errors", Integral, min_val=0)
    texts = check_texts(X_test, name="X_test")
    labels = check_labels(y_test, len(texts), name="y_test", of="X_test")
    train = None if X_train is None else check_texts(X_train, name="X_train")

    test, y = merge_repeats(texts, labels, "weight")
    if not test.texts:
        raise ValueError(
            "X_test has no text to score: it is empty, or each of its texts has two labels "
            "equally often. Pass at least one labelled text."
        )

    name = type(last_step(estimator)).__name__ if name is None else name
    predictions = Predictions.from_estimator(estimator, test.texts, y, name)
    baseline_predictions = {
        baseline: Predictions.from_estimator(model, test.texts, y, baseline)
        for baseline, model in _fitted_baselines(baselines, train, y_train, name).items()
    }

    def scores(name: str, predictions: Predictions, rows: Any = slice(None)) -> dict[str, Any]:
        n_rows, n_distinct = round(test.weights[rows].sum()), len(y[rows])
        figures = score_predictions(predictions.take(rows), y[rows])
        return {"name": name, "n_rows": n_rows, "n_distinct": n_distinct, **figures}

    leakage = without_leaks = None
    if train is not None:
        leakage, leaked = find_leaks(train, texts)
        is_new = np.array([text not in leaked for text in test.texts])
        if is_new.any() and not is_new.all():
            without_leaks = Scores(**scores(name, predictions, is_new))

    classes, predicted = predictions.classes, predictions.predicted
    is_right = predicted == y
    errors = pd.DataFrame(
        {
            "text": pd.Series(test.texts, dtype=object),
            "label": y,
            "predicted": predicted,
            "confidence": predictions.confidence,
            "rows": test.weights.round().astype(np.intp),
        }
    )[~is_right].sort_values(["confidence", "rows"], ascending=False, ignore_index=True)
    return Evaluation(
        **scores(name, predictions),
        n_conflicts=test.n_conflicts,
        n_left_out=test.n_dropped,
        confusion=pd.DataFrame(
            confusion_matrix(y, predicted, labels=classes),
            index=pd.Index(classes, name="label"),
            columns=pd.Index(classes, name="predicted"),
        ),
        errors=errors.head(n_errors),
        n_wrong=len(errors),
        baselines=tuple(Scores(**scores(*named)) for named in baseline_predictions.items()),
        tests=tuple(
            mcnemar_test(is_right, other.predicted == y, names=(name, baseline))
            for baseline, other in baseline_predictions.items()
        ),
        leakage=leakage,
        without_leaks=without_leaks,
    )


def _fitted_baselines(
    baselines: Mapping[str, Any] | None, texts: list[str] | None, y_train: Any, name: str
) -> dict[str, Any]:
    if y_train is None:
        for name, model in (baselines or {}).items():
            if not isinstance(model, FrozenEstimator):
                raise ValueError(
                    f"There are no training texts to fit the baseline {name!r} to. Pass X_train "
                    "and y_train, or FrozenEstimator(model) of a fitted one."
                )
        return dict(baselines or {})

    if texts is None:
        raise ValueError("y_train is given without X_train. Pass the training texts too.")
    labels = check_labels(y_train, len(texts), name="y_train", of="X_train")
    train, y = merge_repeats(texts, labels)
    if baselines is None:
        classes = np.unique(y).tolist()
        if len(classes) == 1:
            raise ValueError(
                f"y_train has one class only ({classes[0]!r}), from which no baseline can learn. "
                "Pass training labels of two classes or more, or none (no --train)."
            )
        baselines = default_baselines(len(classes))
        # The evaluated classifier may be one of them.
        baselines.pop(name, None)
    return {name: clone(model).fit(train.texts, y) for name, model in baselines.items()}
