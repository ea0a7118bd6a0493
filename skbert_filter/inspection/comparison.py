"""Classifiers compared over repeated folds, in which each of them is fitted again."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from numbers import Integral
from reprlib import repr as short_repr
from typing import Any

import numpy as np
import pandas as pd
from sklearn.model_selection import cross_validate
from sklearn.utils import check_random_state, check_scalar

from skbert_filter.duplicates.distinct import last_step
from skbert_filter.duplicates.keys import first_seen
from skbert_filter.duplicates.splits import DedupStratifiedKFold
from skbert_filter.duplicates.training_rows import resolve_conflicts
from skbert_filter.inspection.baselines import default_baselines
from skbert_filter.inspection.refitting import check_not_frozen
from skbert_filter.inspection.scores import SHORT_NAMES, Predictions, score_predictions
from skbert_filter.inspection.significance import (
    corrected_ttest,
    holm,
    p_text,
    verdict,
)
from skbert_filter.printing import Report, aligned, printable
from skbert_filter.validation import check_labels, check_texts

_LOWER_IS_BETTER = ("brier", "expected_calibration_error")


@dataclass(frozen=True, eq=False)
class Comparison(Report):
    """The scores of several classifiers over the same folds, as :func:`compare` returns them.

    Attributes
    ----------
    reference : str
        The classifier that the others are compared with.
    scores, lower_is_better : tuple of str
        The scores, of which `str(comparison)` tests the first, and those that are errors.
    folds : DataFrame
        One line for each fit: "classifier", "repeat", "fold", "n_train" and "n_test" (distinct
        texts), "seconds" (of the fit), and each score.
    """

    reference: str
    scores: tuple[str, ...]
    lower_is_better: tuple[str, ...]
    folds: pd.DataFrame = field(repr=False)

    @property
    def names(self) -> list[str]:
        """The classifiers in the order in which they were passed."""
        return self.folds["classifier"].unique().tolist()

    def to_frame(self) -> pd.DataFrame:
        """Return the mean of each score and of the seconds over the folds, one row per classifier.

        The standard deviations are in the columns "<score>_sd".
        """
        columns = [*self.scores, "seconds"]
        groups = self.folds.groupby("classifier", sort=False)[columns]
        table = groups.mean().join(groups.std().add_suffix("_sd"))
        return table[[name + suffix for name in columns for suffix in ("", "_sd")]]

    def differences(self, score: str | None = None) -> pd.DataFrame:
        """Compare each classifier with the reference.

        Parameters
        ----------
        score : str, default=None
            One of `scores`; None for the first.

        Returns
        -------
        table : DataFrame
            One row for each classifier but the reference: "difference" (its mean score minus the
            reference's), "low" and "high" (the 95 % interval of the difference), "p_value" (Nadeau
            and Bengio's corrected t-test, 2003), "p_holm" (corrected for the number of rows by
            Holm's method) and "verdict", which is based on "p_holm".
        """
        score = self.scores[0] if score is None else score
        if score not in self.scores:
            raise ValueError(f"score is {score!r}. Choose one of {list(self.scores)}.")

        fits = dict(list(self.folds.groupby("classifier", sort=False)))
        reference = fits.pop(self.reference)
        sizes = reference["n_train"], reference["n_test"]
        tests = [
            corrected_ttest(fit[score].to_numpy() - reference[score].to_numpy(), *sizes)
            for fit in fits.values()
        ]

        table = pd.DataFrame(
            map(vars, tests),
            columns=["difference", "low", "high", "p_value"],
            index=pd.Index(fits, name="classifier"),
            dtype=np.float64,
        )
        table["p_holm"] = holm(table["p_value"])
        sign = -1 if score in self.lower_is_better else 1
        table["verdict"] = list(map(verdict, sign * table["difference"], table["p_holm"]))
        return table

    def sentences(self, score: str | None = None) -> list[str]:
        """Return the table of `differences` as sentences.

        Parameters
        ----------
        score : str, default=None
            As for `differences`.
        """
        score = self.scores[0] if score is None else score
        short = SHORT_NAMES.get(score, score)
        sentences = []
        rows: Any = self.differences(score).itertuples()
        for row in rows:
            result = f"no {short} to compare."
            if not np.isnan(row.difference):
                result = (
                    f"{row.difference:+.3f} {short} ({row.low:+.3f} to {row.high:+.3f}), "
                    f"{row.verdict} ({p_text(row.p_holm)})."
                )
            sentences.append(f"{row.Index} against {self.reference}: {result}")
        return sentences

    def __str__(self) -> str:
        means, first = self.to_frame(), self.scores[0]
        numbers: dict[str, Any] = {}
        for score in self.scores:
            numbers[SHORT_NAMES.get(score, score)] = (".3f", means[score])
            if score == first:
                numbers["± sd"] = (".3f", means[f"{score}_sd"])
        numbers["seconds"] = (".2f", means["seconds"])

        fits = self.folds.drop_duplicates(["repeat", "fold"])
        lines = [
            f"{len(fits)} fits each, on {fits['n_train'].mean():,.0f} distinct texts, scored on "
            f"{fits['n_test'].mean():,.0f} others:",
            aligned(numbers, {"classifier": means.index}),
        ]

        if len(means) > 1:
            lines.append("")
            if means[first].notna().any():
                highest = means[first].idxmax()
                lines.append(f"The highest mean {SHORT_NAMES.get(first, first)}: {highest}.")
            lines += map(printable, self.sentences())
            lines.append("(Corrected resampled t-tests; p-values corrected by Holm's method.)")
        return "\n".join(lines)


def compare(
    estimators: Any,
    X: Any,
    y: Any,
    *,
    groups: Any = None,
    cv: int = 5,
    n_repeats: int = 3,
    scoring: Any = None,
    reference: str | None = None,
    n_jobs: int | None = None,
    random_state: Any = 0,
) -> Comparison:
    """Compare classifiers over repeated folds that share no text.

    Parameters
    ----------
    estimators : dict of str to classifier, or classifier
        Text classifiers by name; clones of them are fitted. A single classifier is compared with
        the default baselines of `evaluate`.
    X, y : container of str and array-like, of length n_samples
    groups : array-like of shape (n_samples,), default=None
        What else to keep together, such as the page of each row.
    cv, n_repeats : int, default=5 and 3
        The number of folds of `DedupStratifiedKFold`, and how many times the texts are split.
    scoring : str, callable, list or dict, default=None
        As for scikit-learn's `cross_validate`; higher is better. None: accuracy, F1, average
        precision, Brier score and expected calibration error, as `evaluate` defines them; the last
        two are errors.
    reference : str, default=None
        The classifier to compare the others with; None for the first. If it were chosen by its
        score, the p-values would be too small.
    n_jobs : int, default=None
    random_state : int, RandomState instance or None, default=0
        The seed of the folds.

    Returns
    -------
    comparison : Comparison

    See Also
    --------
    evaluate : Scores one fitted classifier on one test set.

    Notes
    -----
    All classifiers see the same folds. Each distinct text counts once, in training and in the test,
    with its most frequent label; in a tie it is dropped. The p-values of different scores are not
    corrected for each other.

    Examples
    --------
    >>> from sklearn.feature_extraction.text import CountVectorizer
    >>> from sklearn.naive_bayes import MultinomialNB
    >>> from sklearn.pipeline import make_pipeline
    >>> from skbert_filter.datasets import make_website_snippets
    >>> from skbert_filter.inspection import WordCountRule, compare
    >>> X, y = make_website_snippets(400, random_state=0)
    >>> words = make_pipeline(CountVectorizer(), MultinomialNB())
    >>> comparison = compare({"rule": WordCountRule(), "words": words}, X, y, n_repeats=2)
    >>> comparison.to_frame()[["accuracy", "accuracy_sd", "brier"]].round(3)
                accuracy  accuracy_sd  brier
    classifier
    rule           0.866        0.046  0.096
    words          0.829        0.044  0.148
    >>> print(comparison.sentences("brier")[0])
    words against rule: +0.052 Brier (+0.021 to +0.084), worse by more than chance (p = .004).
    """
    texts = check_texts(X)
    labels = check_labels(y, len(texts))
    if not isinstance(estimators, Mapping):
        baselines = default_baselines(len(np.unique(labels)))
        estimators = {type(last_step(estimators)).__name__: estimators} | baselines
    _check_arguments(estimators, reference)

    _, resolved, rows = resolve_conflicts(texts, labels)
    labels = labels.copy()
    labels[rows] = resolved
    positions, splits = _folds(texts, labels, rows, groups, cv, n_repeats, random_state)

    # A list of scores keeps their names in the results; a single score would be named "score".
    scorer = [scoring] if isinstance(scoring, str) else scoring
    tables = []
    for estimator in estimators.values():
        results = cross_validate(
            estimator,
            texts,
            labels,
            cv=splits,
            scoring=_default_scores if scoring is None else scorer,
            n_jobs=n_jobs,
            error_score="raise",
        )
        seconds = results.pop("fit_time")
        del results["score_time"]
        scores = {key.removeprefix("test_"): values for key, values in results.items()}
        tables.append(positions.assign(seconds=seconds, **scores))

    folds = pd.concat(tables, keys=estimators, names=["classifier"]).reset_index("classifier")
    return Comparison(
        reference=next(iter(estimators)) if reference is None else reference,
        scores=tuple(scores),
        lower_is_better=_LOWER_IS_BETTER if scoring is None else (),
        folds=folds.reset_index(drop=True),
    )


def _check_arguments(estimators: Mapping[str, Any], reference: str | None) -> None:
    if not estimators:
        raise ValueError("estimators is empty. Pass a dict of classifiers by name.")
    for estimator in estimators.values():
        if not hasattr(estimator, "get_params"):
            raise TypeError(
                f"estimators holds {short_repr(estimator)}, which is not a classifier. Pass one, "
                "or a dict of classifiers by name."
            )
        check_not_frozen(estimator)
    if reference is not None and reference not in estimators:
        raise ValueError(f"reference is {reference!r}. Choose one of {list(estimators)}.")


def _folds(
    texts: list[str],
    labels: np.ndarray,
    labelled: np.ndarray,
    groups: Any,
    cv: int,
    n_repeats: int,
    random_state: Any,
) -> tuple[pd.DataFrame, list[tuple[np.ndarray, np.ndarray]]]:
    """Return a table of the folds, and their labelled rows, one for each distinct text."""
    check_scalar(n_repeats, "n_repeats", Integral, min_val=1)
    seeds = check_random_state(random_state).randint(np.iinfo(np.int32).max, size=n_repeats)
    codes, _ = first_seen(texts)

    def distinct(rows: np.ndarray) -> np.ndarray:
        # Not chosen once for all folds: a text of several groups is tested with each of them.
        rows = np.intersect1d(rows, labelled)
        _, first = np.unique(codes[rows], return_index=True)
        return rows[np.sort(first)]

    positions, splits = [], []
    for repeat, seed in enumerate(seeds.tolist()):
        splitter = DedupStratifiedKFold(cv, shuffle=True, random_state=seed)
        for fold, sides in enumerate(splitter.split(texts, labels, groups)):
            train, test = map(distinct, sides)
            positions.append((repeat, fold, len(train), len(test)))
            splits.append((train, test))
    return pd.DataFrame(positions, columns=["repeat", "fold", "n_train", "n_test"]), splits


def _default_scores(estimator: Any, X: list[str], y: np.ndarray) -> dict[str, float]:
    scores = score_predictions(Predictions.from_estimator(estimator, X, y, "the classifier"), y)
    return {name: scores[name] for name in SHORT_NAMES}
