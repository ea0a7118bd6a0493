"""How good a fitted classifier is on texts it has not seen, compared with simpler ones."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from numbers import Integral
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import confusion_matrix
from sklearn.utils import check_scalar

from skbert_filter.duplicates.distinct import last_step
from skbert_filter.duplicates.keys import text_keys
from skbert_filter.duplicates.leakage import LeakageReport, leakage_report
from skbert_filter.duplicates.training_rows import merge_repeats
from skbert_filter.inspection.baselines import default_baselines
from skbert_filter.inspection.scores import SHORT_NAMES, Predictions, Scores, score_predictions
from skbert_filter.inspection.significance import LEVEL, McNemarTest, mcnemar_test, p_text
from skbert_filter.printing import aligned, counted, printable, shown_text
from skbert_filter.validation import check_labels, check_texts

# Of a label. A printed confusion matrix has at most so many classes and twice as many letters; else
# there is a list of the most frequent confusions.
_LETTERS = 18
_CLASSES_SHOWN = 8
_CONFUSIONS_SHOWN = 10


@dataclass(frozen=True, eq=False)
class Evaluation(Scores):
    """The scores of a classifier on held-out texts, and how it compares with simpler ones.

    :func:`evaluate` makes it. It has the attributes of :class:`Scores`, and these:

    Attributes
    ----------
    n_conflicts, n_left_out : int
        Distinct texts with several labels, of which the most frequent is taken for true; and those
        of them that are not scored, since two labels are equally frequent.
    confusion : DataFrame of shape (n_classes, n_classes)
        How many texts of each label (index) were given which (columns).
    errors : DataFrame
        The wrong answers, the most confident first, up to `n_errors`: "text", "label", "predicted",
        "confidence" (the probability given to the predicted label, or the decision function, or
        NaN) and "rows" (with this very text).
    n_wrong : int
        How many distinct texts were answered wrong.
    baselines : tuple of Scores
        Those of the other classifiers on the same texts.
    tests : tuple of McNemarTest
        This classifier against each of them, on the distinct texts.
    leakage : LeakageReport or None
        Test texts that are in the training texts; None without training texts.
    without_leaks : Scores or None
        The scores on the texts that are not, not even in other case or blanks. None if these are
        all or none.
    n_learnt : int
        Distinct texts that `train_filter` had learnt, as `evaluate_filter` finds out.
    all_learnt : bool
        Whether these are all there are, and so are scored after all.
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
        """The labels that were taken for others: "label", "predicted", "count", most first."""
        by_pair: Any = self.confusion.T.unstack()
        counts = by_pair.rename("count").reset_index()
        wrong = counts[(counts["label"] != counts["predicted"]) & (counts["count"] > 0)]
        return wrong.sort_values("count", ascending=False, kind="stable", ignore_index=True)

    @property
    def counting(self) -> str:
        """What was counted."""
        texts, rows = counted(self.n_distinct, "distinct text"), counted(self.n_rows, "row")
        what = f"Scored on {texts}, each counted once ({rows})."
        if not self.n_conflicts:
            return what
        return (
            f"{what} Texts with several labels: {self.n_conflicts:,}, of which the most "
            f"frequent counts; dropped for a tie: {self.n_left_out:,}."
        )

    @property
    def verdict(self) -> str:
        """Whether the best of the baselines is beaten; empty without any."""
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
        """A sentence on labels that no test text has; empty if each occurs."""
        labels = self.confusion.index[self.confusion.sum(axis=1) == 0]
        if labels.empty:
            return ""

        n_classes, shown = len(self.confusion), printable(labels[0], _LETTERS)
        which = f"{len(labels)} of the {n_classes} labels, such as {shown}"
        if len(labels) == 1:
            which = f"the label {shown}"
        means = "F1 and AP are not defined"
        if n_classes - len(labels) > 1:
            means = f"F1 and AP are means over the other {n_classes - len(labels)}"
        return f"No test text has {which}: {means}."

    @property
    def leaks(self) -> str:
        """A sentence on the test texts that are in the training texts; empty without those."""
        if self.leakage is None:
            return ""
        exact, folded = self.leakage.leaks.loc[["exact", "casefold"], "test_texts"]
        if not folded:
            return "No test text is in the training texts, not even in other case or blanks."
        return (
            f"Leaks: {exact:,} of the {self.leakage.test_distinct:,} distinct test texts are in "
            f"the training texts, {folded:,} if case and blanks do not count."
        )

    @property
    def learnt(self) -> str:
        """A warning of texts that the model has learnt; empty without any."""
        if not self.n_learnt:
            return ""
        texts = counted(self.n_learnt, "distinct text")
        if self.all_learnt:
            return f"WARNING: the model has learnt all {texts}. These scores say nothing of others."
        return f"WARNING: the model has learnt {texts} of these, which are not scored."

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
        every: list[Scores] = [self, *self.baselines]
        names = [scores.name for scores in every]
        if self.without_leaks is not None:
            every.insert(1, self.without_leaks)
            names.insert(1, "  without leaked texts")

        numbers: dict[str, Any] = {}
        for name, short in SHORT_NAMES.items():
            numbers[short] = (".3f", [getattr(scores, name) for scores in every])
            if name == "accuracy":
                intervals = [f"{each.accuracy_low:.3f}–{each.accuracy_high:.3f}" for each in every]
                numbers["95 % CI"] = ("", intervals)
        return aligned(numbers, {"classifier": names})

    def _confusion_lines(self) -> str:
        labels = [printable(label, _LETTERS) for label in self.confusion.index]
        are_short = sum(map(len, labels)) <= 2 * _LETTERS
        if len(set(labels)) == len(labels) <= _CLASSES_SHOWN and are_short:
            columns = zip(labels, self.confusion.to_numpy().T, strict=True)
            matrix = {label: (",", counts) for label, counts in columns}
            lines = aligned(matrix, {"true label": labels})
            return f"Texts of each label, by the label they were given:\n{lines}"

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
            name: [printable(label, _LETTERS) for label in errors[name]]
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
        Any fitted text classifier. All it needs is `predict`; a decision function or probabilities
        are scored if there are any.
    X_test, y_test : container of str and array-like, of length n_samples
        Texts that the estimator has not been fitted on, and their labels.
    X_train, y_train : container of str and array-like, of length n_train, default=None
        The texts that it was fitted on, to find those that leaked into the test, and their labels,
        to fit the baselines.
    baselines : dict of str to classifier, default=None
        What to compare with, by name; clones are fitted to the training texts. One that is fitted
        already goes in as ``FrozenEstimator(model)``. None: with `y_train`, `tfidf_shape_baseline`,
        `tfidf_baseline` and, for two classes, the word-count rule, but for the one that has the
        name of the estimator; else nothing.
    n_errors : int, default=10
        How many errors to list.
    name : str, default=None
        What to call the estimator; None for its class, or that of a pipeline's last step.

    Returns
    -------
    evaluation : Evaluation

    See Also
    --------
    compare : Compares classifiers over repeated folds, each fitted again.

    Notes
    -----
    A text that occurs k times counts once, in the training of the baselines too;
    ``estimator.score(X_test, y_test)`` counts rows. P-values are not corrected for their number.
    Intervals and tests take distinct texts for independent, which those of one page are not quite.

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
    Scored on 148 distinct texts, each counted once (159 rows). Texts with several labels: 1,
    of which the most frequent counts; dropped for a tie: 1.
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
    answers = Predictions.from_estimator(estimator, test.texts, y, name)
    others = {
        other: Predictions.from_estimator(model, test.texts, y, other)
        for other, model in _fitted_baselines(baselines, train, y_train, name).items()
    }

    def scores(name: str, answers: Predictions, rows: Any = slice(None)) -> dict[str, Any]:
        figures = score_predictions(answers.take(rows), y[rows])
        n_rows = round(test.weights[rows].sum())
        return {"name": name, "n_rows": n_rows, "n_distinct": len(y[rows]), **figures}

    leakage = without_leaks = None
    if train is not None:
        leakage = leakage_report(train, texts)
        known = set(text_keys(train, "casefold"))
        new = np.array([key not in known for key in text_keys(test.texts, "casefold")])
        if new.any() and not new.all():
            without_leaks = Scores(**scores(name, answers, new))

    classes, right = answers.classes, answers.predicted == y
    confusion = confusion_matrix(y, answers.predicted, labels=classes)
    errors = pd.DataFrame(
        {
            "text": pd.Series(test.texts, dtype=object),
            "label": y,
            "predicted": answers.predicted,
            "confidence": answers.confidence,
            "rows": test.weights.round().astype(np.intp),
        }
    )[~right].sort_values(["confidence", "rows"], ascending=False, ignore_index=True)
    return Evaluation(
        **scores(name, answers),
        n_conflicts=test.n_conflicts,
        n_left_out=test.n_dropped,
        confusion=pd.DataFrame(
            confusion,
            index=pd.Index(classes, name="label"),
            columns=pd.Index(classes, name="predicted"),
        ),
        errors=errors.head(n_errors),
        n_wrong=len(errors),
        baselines=tuple(Scores(**scores(other, answer)) for other, answer in others.items()),
        tests=tuple(
            mcnemar_test(right, answer.predicted == y, names=(name, other))
            for other, answer in others.items()
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
        baselines.pop(name, None)  # the classifier may be one of them
    return {name: clone(model).fit(train.texts, y) for name, model in baselines.items()}
