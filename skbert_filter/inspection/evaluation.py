"""How good a fitted classifier is on texts it has not seen, compared with simpler ones."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from numbers import Integral
from typing import Any, Literal

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import confusion_matrix
from sklearn.utils import check_scalar

from skbert_filter.duplicates.keys import text_keys
from skbert_filter.duplicates.leakage import LeakageReport, leakage_report
from skbert_filter.duplicates.training_rows import training_rows
from skbert_filter.inspection.baselines import default_baselines
from skbert_filter.inspection.refitting import last_step
from skbert_filter.inspection.scores import SHORT_NAMES, Answers, Scores, score_answers
from skbert_filter.inspection.significance import (
    McNemarTest,
    is_more_than_chance,
    mcnemar_test,
    p_text,
)
from skbert_filter.labelled_texts import LabelledTexts
from skbert_filter.printing import Columns, Report, aligned, counted, printable, shown_text
from skbert_filter.validation import check_labels, check_texts

# Of a label. A printed confusion matrix has at most so many classes and twice as many letters; else
# there is a list of the most frequent confusions.
_LETTERS = 18
_CLASSES_SHOWN = 8
_CONFUSIONS_SHOWN = 10


@dataclass(frozen=True, eq=False)
class Evaluation(Report, Scores):
    """The scores of a classifier on held-out texts, and how it compares with simpler ones.

    It has the attributes of :class:`Scores`, and these:

    Attributes
    ----------
    duplicates : {"drop", "keep"}
        Whether each distinct text counted once, or each row.
    n_conflicts : int
        Distinct texts with several labels, of which the most frequent is taken for true.
    n_left_out : int
        Of these, the texts that are not scored, since two labels are equally frequent.
    confusion : DataFrame of shape (n_classes, n_classes)
        How many texts (rows with "keep") of each label, down, were given which, across.
    errors : DataFrame
        The wrong answers, the most confident first and of equals the most frequent, up to
        `n_errors`: "text", "label", "predicted", "confidence" (the probability given to
        the predicted label, or the decision function, or NaN) and "rows" (with this very
        text).
    n_wrong : int
        How many distinct texts were answered wrong.
    baselines : tuple of Scores
        The scores of the other classifiers on the same texts.
    tests : tuple of McNemarTest
        This classifier against each of them, on the distinct texts.
    leakage : LeakageReport or None
        Test texts that the training texts hold; None without training texts.
    without_leaks : Scores or None
        The scores on the texts that they do not hold, not even in other case or blanks.
        None without training texts, without such leaks, or where nothing is left.

    See Also
    --------
    evaluate : Makes the evaluation.
    """

    duplicates: str
    n_conflicts: int
    n_left_out: int
    confusion: pd.DataFrame = field(repr=False)
    errors: pd.DataFrame = field(repr=False)
    n_wrong: int
    baselines: tuple[Scores, ...] = field(repr=False)
    tests: tuple[McNemarTest, ...] = field(repr=False)
    leakage: LeakageReport | None = field(repr=False)
    without_leaks: Scores | None = field(repr=False)

    def to_frame(self) -> pd.DataFrame:
        """Return the scores of all classifiers as a table.

        Returns
        -------
        table : DataFrame
            One row for each classifier, indexed by `name`, with the attributes of `Scores`
            as columns and "p_value", McNemar's of the comparison with this classifier.
        """
        figures = [scores.figures() for scores in (self, *self.baselines)]
        p_values = [float("nan"), *(test.p_value for test in self.tests)]
        return pd.DataFrame(figures).set_index("name").assign(p_value=p_values)

    def to_dict(self) -> dict[str, Any]:
        """Return the evaluation as dicts, lists, str and numbers, for `json.dumps`.

        Returns
        -------
        evaluation : dict
            By the names of the attributes; NaN becomes None.
        """
        leakage, without = self.leakage, self.without_leaks
        return _plain(
            {
                **self.figures(),
                "duplicates": self.duplicates,
                "n_conflicts": self.n_conflicts,
                "n_left_out": self.n_left_out,
                "n_wrong": self.n_wrong,
                "labels": self.confusion.index.tolist(),
                "confusion": self.confusion.to_numpy().tolist(),
                "errors": self.errors.to_dict("records"),
                "baselines": [scores.figures() for scores in self.baselines],
                "tests": [asdict(test) | {"sentence": str(test)} for test in self.tests],
                "verdict": self.verdict,
                "leakage": leakage and leakage.to_frame().reset_index().to_dict("records"),
                "without_leaks": without and without.figures(),
            }
        )

    @property
    def confusions(self) -> pd.DataFrame:
        """The labels that were taken for others: "label", "predicted", "count", most first."""
        counts = self.confusion.to_numpy().copy()
        np.fill_diagonal(counts, 0)
        true, given = counts.nonzero()
        labels = self.confusion.index
        table = pd.DataFrame(
            {"label": labels[true], "predicted": labels[given], "count": counts[true, given]}
        )
        return table.sort_values("count", ascending=False, kind="stable", ignore_index=True)

    @property
    def counting(self) -> str:
        """What was counted: the distinct texts or all rows."""
        texts, rows = counted(self.n_distinct, "distinct text"), counted(self.n_rows, "row")
        what = f"{texts}, each counted once ({rows})"
        if self.duplicates == "keep":
            what = f"{rows} ({texts})"
        sentences = [f"Scored on {what}."]

        if self.n_conflicts:
            sentences.append(
                f"Texts with several labels: {self.n_conflicts:,}, of which the most frequent "
                f"counts; left out, for want of one: {self.n_left_out:,}."
            )
        return " ".join(sentences)

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
        by = "more than chance" if is_more_than_chance(best.p_value) else "no more than chance"
        return (
            f"{self.name} is {where} the best baseline, {best.second}, by {by} "
            f"({p_text(best.p_value)})."
        )

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

    def __str__(self) -> str:
        parts = [
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

        numbers: Columns = {}
        for name, short in SHORT_NAMES.items():
            numbers[short] = [f"{getattr(scores, name):.3f}" for scores in every]
            if name == "accuracy":
                numbers["95 % CI"] = [
                    f"{scores.accuracy_low:.3f}–{scores.accuracy_high:.3f}" for scores in every
                ]
        return aligned(numbers, {"classifier": names})

    def _confusion_lines(self) -> str:
        counts = self.confusion.to_numpy()
        labels = [printable(label, _LETTERS) for label in self.confusion.index]
        unit = "Rows" if self.duplicates == "keep" else "Texts"
        are_short = sum(map(len, labels)) <= 2 * _LETTERS
        if len(set(labels)) == len(labels) <= _CLASSES_SHOWN and are_short:
            columns: Columns = {
                label: map("{:,}".format, given)
                for label, given in zip(labels, counts.T, strict=True)
            }
            return (
                f"{unit} of each label, by the label they were given:\n"
                f"{aligned(columns, {'true label': labels})}"
            )
        most = self.confusions.head(_CONFUSIONS_SHOWN)
        numbers: Columns = {unit.lower(): map("{:,}".format, most["count"])}
        pairs: Columns = {
            name: [printable(label, 32) for label in most[name]] for name in ("label", "predicted")
        }
        return f"The most frequent confusions:\n{aligned(numbers, pairs)}"

    def _error_lines(self) -> str:
        errors = self.errors
        if errors.empty:
            return ""
        numbers: Columns = {"confidence": map("{:.3f}".format, errors["confidence"])}
        strings: Columns = {
            "label": [printable(label, _LETTERS) for label in errors["label"]],
            "predicted": [printable(label, _LETTERS) for label in errors["predicted"]],
            "text": map(shown_text, errors["text"]),
        }
        head = f"The most confident of {counted(self.n_wrong, 'error')}:"
        return f"{head}\n{aligned(numbers, strings)}"


def evaluate(
    estimator: Any,
    X_test: Any,
    y_test: Any,
    *,
    X_train: Any = None,
    y_train: Any = None,
    baselines: Mapping[str, Any] | None = None,
    duplicates: Literal["drop", "keep"] = "drop",
    n_errors: int = 10,
    name: str | None = None,
) -> Evaluation:
    """Score a fitted classifier on held-out texts, and compare it with simpler ones.

    Parameters
    ----------
    estimator : classifier
        Any fitted text classifier. All it needs is `predict`; a decision function or
        probabilities are scored if there are any.
    X_test : container of str, of length n_samples
        Texts that the estimator has not been fitted on.
    y_test : array-like of shape (n_samples,)
        Their labels, of two or more classes.
    X_train : container of str, of length n_train, default=None
        The texts that it was fitted on, to find those that leaked into the test.
    y_train : array-like of shape (n_train,), default=None
        Their labels, to fit the baselines.
    baselines : dict of str to classifier, default=None
        What to compare with, by name; clones are fitted to the training texts. One that is
        fitted already goes in as ``FrozenEstimator(model)`` and needs no training texts.
        None: with `y_train`, `tfidf_shape_baseline`, `tfidf_baseline` and, for two classes,
        the word-count rule; else nothing.
    duplicates : {"drop", "keep"}, default="drop"
        What a text that occurs k times counts. "drop": as much as any other, in the test
        and in the training of the baselines. "keep": k times, as in a corpus with the same
        repeats.
    n_errors : int, default=10
        How many errors to list.
    name : str, default=None
        What to call the estimator; None for its class, or that of a pipeline's last step.

    Returns
    -------
    evaluation : Evaluation

    Raises
    ------
    ValueError
        If there is no text to score, a label that a classifier was not fitted on, or
        nothing to fit the baselines to.

    See Also
    --------
    compare : Compares classifiers over repeated folds, each fitted again.

    Notes
    -----
    A repeated text is one piece of evidence, however often it occurs: a filter that knows
    "View All" is right on each of its copies. So each distinct text counts once, with its
    most frequent label, and the intervals and tests hold for as many texts. With "keep"
    the scores are those of rows, their interval is that of the effective number of texts,
    and the tests count distinct texts all the same.

    Each p-value is that of one comparison; nothing is corrected for their number. The best
    baseline is the one that is right on the most distinct texts. Intervals
    and tests take distinct texts for independent. Texts of one page are not quite, so they
    are somewhat too sure of themselves where a test set holds few pages.

    Examples
    --------
    >>> from skbert_filter import dedup_train_test_split
    >>> from skbert_filter.datasets import make_website_snippets
    >>> from skbert_filter.inspection import WordCountRule, evaluate
    >>> X, y = make_website_snippets(400, random_state=0)
    >>> X_train, X_test, y_train, y_test = dedup_train_test_split(
    ...     X, y, test_size=0.4, random_state=0)
    >>> rule = WordCountRule().fit(X_train, y_train)
    >>> evaluation = evaluate(
    ...     rule, X_test, y_test, X_train=X_train, y_train=y_train, n_errors=2)
    >>> print(evaluation)
    WordCountRule
    Scored on 148 distinct texts, each counted once (159 rows). Texts with several labels: 1,
    of which the most frequent counts; left out, for want of one: 1.
    <BLANKLINE>
      accuracy      95 % CI     F1     AP  Brier    ECE  classifier
         0.878    0.816–0.922  0.809  0.898  0.089  0.084  WordCountRule
         0.926    0.872–0.958  0.889  0.931  0.063  0.071  TF-IDF and shape
         0.892    0.832–0.932  0.826  0.914  0.076  0.073  TF-IDF
         0.878    0.816–0.922  0.809  0.898  0.089  0.080  word-count rule
    <BLANKLINE>
    WordCountRule is behind the best baseline, TF-IDF and shape, by more than chance
    (p = .016).
    WordCountRule is right on 0 texts that TF-IDF and shape gets wrong, and wrong on 7 that
    it gets right: worse by more than chance (p = .016).
    WordCountRule is right on 3 texts that TF-IDF gets wrong, and wrong on 5 that it gets
    right: no more than chance (p = .73).
    WordCountRule is right on 0 texts that word-count rule gets wrong, and wrong on 0 that it
    gets right: no more than chance (p = 1).
    <BLANKLINE>
    No test text is in the training texts, not even in other case or blanks.
    <BLANKLINE>
    Texts of each label, by the label they were given:
       0   1  true label
      92   8  0
      10  38  1
    <BLANKLINE>
    The most confident of 18 errors:
      confidence  label  predicted  text
           0.913  1      0          'Delivery takes 81 days.'
           0.913  1      0          'Nos câbles sont recyclées.'
    """
    check_scalar(n_errors, "n_errors", Integral, min_val=0)
    if duplicates not in ("drop", "keep"):
        raise ValueError(f"duplicates is {duplicates!r}. It must be 'drop' or 'keep'.")
    texts = check_texts(X_test, name="X_test")
    labels = check_labels(y_test, len(texts), name="y_test", of="X_test")
    test, y = merge_repeats(texts, labels, "weight")
    if not test.texts:
        raise ValueError(
            "X_test has no text to score: it is empty, or each of its texts has two labels "
            "equally often. Pass at least one labelled text."
        )

    name = type(last_step(estimator)).__name__ if name is None else name
    answers = Answers.of(estimator, test.texts, y, name)
    others = {
        other: Answers.of(model, test.texts, y, other)
        for other, model in _fitted_baselines(baselines, X_train, y_train, duplicates).items()
    }

    weight = test.weights if duplicates == "keep" else np.ones(len(test.texts))

    def scores(name: str, answers: Answers, rows: Any = slice(None)) -> dict[str, Any]:
        figures = score_answers(answers.take(rows), y[rows], weight[rows])
        n_rows = round(test.weights[rows].sum())
        return {"name": name, "n_rows": n_rows, "n_distinct": len(y[rows]), **figures}

    leakage = without_leaks = None
    if X_train is not None:
        leakage = leakage_report(X_train, texts)
        known = set(text_keys(check_texts(X_train, name="X_train"), "casefold"))
        new = np.array([key not in known for key in text_keys(test.texts, "casefold")])
        if new.any() and not new.all():
            without_leaks = Scores(**scores(name, answers, new))

    right = answers.predicted == y
    return Evaluation(
        **scores(name, answers),
        duplicates=duplicates,
        n_conflicts=test.n_conflicts,
        n_left_out=test.n_dropped,
        confusion=_confusion(answers, y, weight),
        errors=_errors(answers, y, test).head(n_errors),
        n_wrong=int((~right).sum()),
        baselines=tuple(Scores(**scores(other, answer)) for other, answer in others.items()),
        tests=tuple(
            mcnemar_test(right, answer.predicted == y, names=(name, other))
            for other, answer in others.items()
        ),
        leakage=leakage,
        without_leaks=without_leaks,
    )


def merge_repeats(
    texts: list[str], y: np.ndarray, duplicates: Literal["drop", "weight", "keep"] = "drop"
) -> tuple[LabelledTexts, np.ndarray]:
    """Return the texts, repeats merged as requested and conflicts settled, and their labels."""
    classes, codes = np.unique(y, return_inverse=True)
    rows = training_rows(texts, codes, np.ones(len(texts)), len(classes), duplicates=duplicates)
    return rows, classes[rows.classes]


def _fitted_baselines(
    baselines: Mapping[str, Any] | None,
    X_train: Any,
    y_train: Any,
    duplicates: Literal["drop", "keep"],
) -> dict[str, Any]:
    if y_train is None:
        for name, model in (baselines or {}).items():
            if not isinstance(model, FrozenEstimator):
                raise ValueError(
                    f"There are no training texts to fit the baseline {name!r} to. Pass X_train "
                    "and y_train, or FrozenEstimator(model) of a fitted one."
                )
        return dict(baselines or {})

    if X_train is None:
        raise ValueError("y_train is given without X_train. Pass the training texts too.")
    texts = check_texts(X_train, name="X_train")
    labels = check_labels(y_train, len(texts), name="y_train", of="X_train")
    train, y = merge_repeats(texts, labels, duplicates)

    if baselines is None:
        classes = np.unique(y).tolist()
        if len(classes) == 1:
            raise ValueError(
                f"y_train has one class only ({classes[0]!r}), from which no baseline can learn. "
                "Pass training labels of two classes or more, or none (no --train)."
            )
        baselines = default_baselines(len(classes))
    return {name: clone(model).fit(train.texts, y) for name, model in baselines.items()}


def _confusion(answers: Answers, y: np.ndarray, weight: np.ndarray) -> pd.DataFrame:
    classes = answers.classes
    counts = confusion_matrix(y, answers.predicted, labels=classes, sample_weight=weight)
    return pd.DataFrame(
        counts.round().astype(np.intp),
        index=pd.Index(classes, name="label"),
        columns=pd.Index(classes, name="predicted"),
    )


def _errors(answers: Answers, y: np.ndarray, test: LabelledTexts) -> pd.DataFrame:
    errors = pd.DataFrame(
        {
            "text": pd.Series(test.texts, dtype=object),
            "label": y,
            "predicted": answers.predicted,
            "confidence": answers.confidence,
            "rows": test.weights.round().astype(np.intp),
        }
    )
    wrong = errors[answers.predicted != y]
    return wrong.sort_values(["confidence", "rows"], ascending=False, ignore_index=True)


def _plain(value: Any) -> Any:
    """Return what JSON can hold."""
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and np.isnan(value) else value
