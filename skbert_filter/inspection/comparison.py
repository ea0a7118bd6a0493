"""Classifiers side by side over repeated folds, each fitted again."""

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
    CorrectedTTest,
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
    """The scores of several classifiers over the same folds, as :func:`compare` makes them.

    Attributes
    ----------
    reference : str
        The classifier that the others are compared with.
    scores, lower_is_better : tuple of str
        What was measured, of which the first decides in `str(comparison)`; and what of it are
        errors.
    folds : DataFrame
        One line for each fit: "classifier", "repeat", "fold", "n_train" and "n_test" (of what was
        counted), "seconds" (of the fit), and each score.
    """

    reference: str
    scores: tuple[str, ...]
    lower_is_better: tuple[str, ...]
    folds: pd.DataFrame = field(repr=False)

    @property
    def names(self) -> list[str]:
        """The classifiers in the order in which they were given."""
        return self.folds["classifier"].unique().tolist()

    def to_frame(self) -> pd.DataFrame:
        """Return the mean over the folds of each score and of the seconds, and its deviation.

        Returns
        -------
        table : DataFrame
            One row for each classifier, with the columns "<score>" and "<score>_sd".
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
            One row for each classifier but the reference: "difference" (its mean score less that of
            the reference), "low" and "high" (the 95 % interval of that), "p_value"
            (Nadeau and Bengio's corrected t-test, 2003), "p_holm" (corrected for the number of
            rows by Holm's method) and "verdict", by `p_holm`.
        """
        score = self.scores[0] if score is None else score
        if score not in self.scores:
            raise ValueError(f"score is {score!r}. Choose one of {list(self.scores)}.")
        others = [name for name in self.names if name != self.reference]
        table = pd.DataFrame(
            [vars(self._test(name, self.reference, score)) for name in others],
            columns=["difference", "low", "high", "p_value"],
            index=pd.Index(others, name="classifier"),
            dtype=np.float64,
        )
        table["p_holm"] = holm(table["p_value"])
        signs = np.sign(table["difference"]) * self._sign(score)
        table["verdict"] = list(map(verdict, signs, table["p_holm"]))
        return table

    def sentences(self, score: str | None = None) -> list[str]:
        """Say how each classifier compares with the reference.

        Parameters
        ----------
        score : str, default=None
            One of `scores`; None for the first.

        Returns
        -------
        sentences : list of str
        """
        score = self.scores[0] if score is None else score
        short = SHORT_NAMES.get(score, score)
        lines = []
        rows: Any = self.differences(score).itertuples()
        for row in rows:
            said = f"no {short} to compare."
            if not np.isnan(row.difference):
                said = (
                    f"{row.difference:+.3f} {short} ({row.low:+.3f} to {row.high:+.3f}), "
                    f"{row.verdict} ({p_text(row.p_holm)})."
                )
            lines.append(f"{row.Index} against {self.reference}: {said}")

        return lines

    def _test(self, name: str, other: str, score: str) -> CorrectedTTest:
        mine, its = (self.folds[self.folds["classifier"] == each] for each in (name, other))
        differences = mine[score].to_numpy() - its[score].to_numpy()
        return corrected_ttest(differences, mine["n_train"], mine["n_test"])

    def _sign(self, score: str) -> int:
        return -1 if score in self.lower_is_better else 1

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
        Text classifiers by name; clones of them are fitted. One classifier is compared with the
        baselines that `evaluate` takes.
    X, y : container of str and array-like, of length n_samples
    groups : array-like of shape (n_samples,), default=None
        What else to keep together, such as the page of each row.
    cv, n_repeats : int, default=5 and 3
        The number of folds of `DedupStratifiedKFold`, and how often they are dealt out again.
    scoring : str, callable, list or dict, default=None
        As for scikit-learn's `cross_validate`, more being better. None: accuracy, F1, average
        precision, Brier score and expected calibration error, as `evaluate` defines them; the last
        two are errors.
    reference : str, default=None
        The classifier to compare the others with; None for the first. To choose it by its score
        would make the p-values too small.
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

    _, settled, rows = resolve_conflicts(texts, labels)
    labels = labels.copy()
    labels[rows] = settled
    position = _folds(texts, labels, rows, groups, cv, n_repeats, random_state)
    splits = list(zip(position.pop("train"), position.pop("test"), strict=True))

    # As the only one of a list, a score keeps its name in the results.
    scorer = [scoring] if isinstance(scoring, str) else scoring
    tables = []
    for name, estimator in estimators.items():
        results = cross_validate(
            estimator,
            texts,
            labels,
            cv=splits,
            scoring=_default_scores if scoring is None else scorer,
            n_jobs=n_jobs,
            error_score="raise",
        )
        scores = {key[5:]: each for key, each in results.items() if key.startswith("test_")}
        tables.append(position.assign(classifier=name, seconds=results["fit_time"], **scores))

    folds = pd.concat(tables, ignore_index=True)
    folds.insert(0, "classifier", folds.pop("classifier"))
    return Comparison(
        reference=next(iter(estimators)) if reference is None else reference,
        scores=tuple(scores),
        lower_is_better=_LOWER_IS_BETTER if scoring is None else (),
        folds=folds,
    )


def _check_arguments(estimators: Mapping[str, Any], reference: str | None) -> None:
    if not estimators:
        raise ValueError("estimators is empty. Pass a dict of classifiers by their names.")
    for estimator in estimators.values():
        if not hasattr(estimator, "get_params"):
            raise TypeError(
                f"estimators holds {short_repr(estimator)}, which is not a classifier. Pass one, "
                "or a dict of classifiers by their names."
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
) -> pd.DataFrame:
    """Return the place, the rows and the sizes of each fold, each distinct text with one row."""
    check_scalar(n_repeats, "n_repeats", Integral, min_val=1)
    seeds = check_random_state(random_state).randint(np.iinfo(np.int32).max, size=n_repeats)
    codes, _ = first_seen(texts)

    def once(rows: np.ndarray) -> np.ndarray:
        rows = rows[np.isin(rows, labelled)]
        return rows[np.sort(np.unique(codes[rows], return_index=True)[1])]

    folds = []
    for repeat, seed in enumerate(seeds.tolist()):
        splitter = DedupStratifiedKFold(cv, shuffle=True, random_state=seed)
        for fold, sides in enumerate(splitter.split(texts, labels, groups)):
            train, test = map(once, sides)
            folds.append((repeat, fold, train, test, len(train), len(test)))
    return pd.DataFrame(folds, columns=["repeat", "fold", "train", "test", "n_train", "n_test"])


def _default_scores(estimator: Any, X: list[str], y: np.ndarray) -> dict[str, float]:
    scores = score_predictions(Predictions.from_estimator(estimator, X, y, "the classifier"), y)
    return {name: scores[name] for name in SHORT_NAMES}
