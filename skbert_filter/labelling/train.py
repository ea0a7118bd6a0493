"""From a table of labels to a saved filter with an honest score, and the score of a saved one."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import chi2_contingency
from sklearn.base import clone

from skbert_filter.corpus import load_classifier
from skbert_filter.duplicates.splits import dedup_train_test_split
from skbert_filter.inspection.evaluation import Evaluation, evaluate, merge_repeats
from skbert_filter.io.mojibake import misdecoded_share
from skbert_filter.labelling.files import read_labels
from skbert_filter.printing import Report, counted, label_lines, printable
from skbert_filter.saved_folders import check_saved_folder, save_over


@dataclass(frozen=True)
class LabelCount:
    """How often a label occurs.

    Attributes
    ----------
    label : label
    rows, distinct : int
        Its rows and texts; a text of several labels counts for the most frequent, if there is one.
    misdecoded : float
        The share of these texts that look mis-decoded ("â€™").
    """

    label: Any
    rows: int
    distinct: int
    misdecoded: float


@dataclass(frozen=True)
class TrainingSummary(Report):
    """What `train_filter` did.

    Attributes
    ----------
    source, destination : str
        The table of labels, and the folder of the model.
    rows, distinct, conflicts : int
        Labelled rows, how many different texts they hold, and how many of these have several
        labels.
    labels : tuple of LabelCount
    n_train, n_test : int
        Distinct texts learnt from and held out for the evaluation.
    evaluation : Evaluation
        The scores of the filter and of the baselines on the held-out texts.
    refit : bool
        Whether the saved model learnt from the held-out texts too, afterwards.
    seconds : float
    model : SmallBertTextFilter
        The fitted filter, as saved.
    """

    source: str
    destination: str
    rows: int
    distinct: int
    conflicts: int
    labels: tuple[LabelCount, ...]
    n_train: int
    n_test: int
    evaluation: Evaluation
    refit: bool
    seconds: float
    model: Any = field(repr=False, compare=False)

    @property
    def misdecoding_tells_labels(self) -> bool:
        """Whether the shares of mis-decoded texts differ enough for a model to learn from them.

        That is by a percentage point between two classes, and by more than chance (chi-squared
        test, p < 0.01).
        """
        shares = [count.misdecoded for count in self.labels]
        if max(shares) - min(shares) < 0.01:
            return False
        wrong = [round(count.misdecoded * count.distinct) for count in self.labels]
        right = [count.distinct - n for count, n in zip(self.labels, wrong, strict=True)]
        return bool(chi2_contingency([wrong, right]).pvalue < 0.01)

    def __str__(self) -> str:
        labels = pd.DataFrame(map(vars, self.labels)).set_index("label")
        parts = [
            f"{counted(self.rows, 'labelled row')} of {printable(self.source)}: "
            f"{counted(self.distinct, 'distinct text')}, {self.conflicts:,} of them with several "
            f"labels.\n{label_lines(labels)}"
        ]
        if self.misdecoding_tells_labels:
            parts.append(
                "Warning: mis-decoded texts (such as “â€™” for ’) are more frequent in some "
                "classes than in others. The filter may learn that instead of the words: repair "
                "them first."
            )

        sentences = [self.evaluation.verdict, *map(str, self.evaluation.tests)]
        learnt_from = "all texts" if self.refit else "the training texts"
        parts += [
            f"Learnt from {counted(self.n_train, 'distinct text')}; scored on the "
            f"{self.n_test:,} held out:\n{self.evaluation.score_lines()}",
            "\n".join(map(printable, sentences)),
            f"The filter in {printable(self.destination)} has learnt from {learnt_from}.",
        ]
        return "\n\n".join(parts)

    def to_frame(self) -> pd.DataFrame:
        """Return the scores as a table, one row for each classifier."""
        return self.evaluation.to_frame()


def train_filter(
    source: str | Path,
    destination: str | Path,
    *,
    text: str = "text",
    label: str = "label",
    encoding: str | None = None,
    estimator: Any = None,
    test_size: float = 0.2,
    refit: bool = True,
    overwrite: bool = False,
    random_state: int | None = None,
    callbacks: Sequence[Any] = (),
    experiment: Any = None,
) -> TrainingSummary:
    """Fit a filter on a table of labelled texts, score it, and save it.

    A part of the distinct texts is held out. The filter and the baselines learn from the
    other texts and are scored on the held-out ones, each of which counts once with its most
    frequent label. Then the filter is fitted again on all labels, and saved.

    Parameters
    ----------
    source : str or Path
        A ``.parquet``, ``.csv`` or ``.tsv`` file (the last two also with ``.gz`` or ``.zst``)
        with a row for each label.
    destination : str or Path
        The folder to save the filter in.
    text, label : str, default="text" and "label"
        The columns. Labels that are text become int if all are whole numbers, written without
        leading zeros.
    encoding : str, default=None
        What to decode a file from that is not UTF-8, such as "cp1252".
    estimator : SmallBertTextFilter, default=None
        The filter to fit a clone of; None for the default with `random_state`.
    test_size : float, default=0.2
        The share of distinct texts to hold out.
    refit : bool, default=True
        Whether the saved filter learns from all labels. With False it is the one that was scored.
    overwrite : bool, default=False
        Whether to replace a filter that `destination` holds.
    random_state : int, default=None
        The seed of the split, and of the default `estimator`.
    callbacks : sequence of scikit-learn callbacks, default=()
        Such as ``sklearn.callback.ProgressBar()``, for each fit of the filter.
    experiment : comet_ml.CometExperiment, default=None
        Where to log the filter that was scored with its scores, and the saved one as ``model``
        (its fit, if it is another, with the prefix ``refit_``). Errors of Comet are warnings.

    Returns
    -------
    summary : TrainingSummary

    Raises
    ------
    FileNotFoundError, FileExistsError, ValueError
        If `source` is missing or damaged, lacks a column or a value, or has too few texts of a
        class; or if `destination` holds anything but, with `overwrite`, a saved filter.

    Examples
    --------
    >>> import tempfile
    >>> import pandas as pd
    >>> from skbert_filter import SmallBertTextFilter
    >>> from skbert_filter.datasets import make_website_snippets
    >>> from skbert_filter.labelling.train import train_filter
    >>> X, y = make_website_snippets(300, random_state=0)
    >>> small = SmallBertTextFilter(hidden_size=16, num_hidden_layers=1, random_state=0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     pd.DataFrame({"text": X, "label": y}).to_csv(f"{folder}/labels.csv", index=False)
    ...     summary = train_filter(f"{folder}/labels.csv", f"{folder}/model", estimator=small)
    ...     SmallBertTextFilter.from_pretrained(f"{folder}/model").predict(["View All"])
    array([0])
    >>> summary.to_frame().index.tolist()
    ['SmallBertTextFilter', 'TF-IDF and shape', 'TF-IDF', 'word-count rule']
    """
    start = perf_counter()
    source, destination = Path(source), Path(destination)
    check_saved_folder(destination, "filter", overwrite=overwrite)
    if experiment is not None:
        from skbert_filter.integrations import comet
        from skbert_filter.integrations.comet.connection import check_experiment, logging_to

        check_experiment(experiment)

    texts, y = read_labels(source, text=text, label=label, encoding=encoding)
    distinct, distinct_y = merge_repeats(texts, y)
    if estimator is None:
        from skbert_filter.text_filter import SmallBertTextFilter

        estimator = SmallBertTextFilter(random_state=random_state)

    def fit(X: list[str], y: np.ndarray) -> Any:
        return clone(estimator).set_callbacks(*callbacks).fit(X, y).set_callbacks()

    X_train, X_test, y_train, y_test = dedup_train_test_split(
        texts, y, test_size=test_size, random_state=random_state
    )
    model = fit(X_train, y_train)
    evaluation = evaluate(model, X_test, y_test, X_train=X_train, y_train=y_train)
    if experiment is not None:
        comet.log_fit(experiment, model)
        comet.log_evaluation(experiment, model, X_test, y_test, evaluation=evaluation)

    if refit:
        model = fit(texts, y)
    save_over(model, destination, "filter", overwrite=overwrite)
    if experiment is not None:
        with logging_to(experiment, "the saved filter"):
            if refit:
                comet.log_fit(experiment, model, prefix="refit_")
            comet.log_model(experiment, model)

    return TrainingSummary(
        source=str(source),
        destination=str(destination),
        rows=len(texts),
        distinct=distinct.n_distinct,
        conflicts=distinct.n_conflicts,
        labels=_count_labels(y, np.array(distinct.texts, dtype=object), distinct_y),
        n_train=len(merge_repeats(X_train, y_train)[0].texts),
        n_test=evaluation.n_distinct,
        evaluation=evaluation,
        refit=refit,
        seconds=perf_counter() - start,
        model=model,
    )


def evaluate_filter(
    model: Any,
    source: str | Path,
    *,
    text: str = "text",
    label: str = "label",
    encoding: str | None = None,
    train: str | Path | None = None,
    n_errors: int = 10,
    trust: bool = False,
) -> Evaluation:
    """Score a fitted classifier on a table of labelled texts that it has not seen.

    Parameters
    ----------
    model, trust
        As for :func:`~skbert_filter.filter_corpus`.
    source, text, label, encoding
        As for `train_filter`. A label that differs from the model's in type only, as it may in a
        CSV file, is taken for it.
    train : str or Path, default=None
        The table that the model was trained on, with the same columns, to find leaked texts and
        to compare with baselines that learn from it.
    n_errors : int, default=10
        How many errors to list.

    Returns
    -------
    evaluation : Evaluation

    Raises
    ------
    FileNotFoundError, ValueError
        If a file or the model is missing or damaged, or a file lacks a column or a value, or
        holds a label that the model does not know.

    See Also
    --------
    skbert_filter.inspection.evaluate : The same on texts in memory.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from skbert_filter.inspection import WordCountRule
    >>> from skbert_filter.labelling.train import evaluate_filter
    >>> rule = WordCountRule().fit(["View All", "We make steel tools"], [0, 1])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     source = Path(folder, "labels.csv")
    ...     _ = source.write_text("text,label\\nMenu,0\\nTea,1\\nWe build large boats,1\\n")
    ...     evaluate_filter(rule, source).errors[["text", "label", "predicted"]]
      text  label  predicted
    0  Tea      1          0
    """
    model = load_classifier(model, trust=trust)
    texts, y = read_labels(source, text=text, label=label, encoding=encoding)
    y = _as_known(y, model.classes_)

    X_train = y_train = None
    if train is not None:
        X_train, y_train = read_labels(train, text=text, label=label, encoding=encoding)
        y_train = _as_known(y_train, model.classes_)
    return evaluate(model, texts, y, X_train=X_train, y_train=y_train, n_errors=n_errors)


def _as_known(y: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Return labels in the type of a model's, which a CSV file does not have."""
    by_name = {str(known): known for known in classes.tolist()}
    names = list(map(str, y.tolist()))
    if set(y.tolist()) <= set(classes.tolist()) or not set(names) <= set(by_name):
        return y
    return np.array([by_name[name] for name in names], dtype=classes.dtype)


def _count_labels(
    y: np.ndarray, distinct: np.ndarray, distinct_y: np.ndarray
) -> tuple[LabelCount, ...]:
    return tuple(
        LabelCount(
            label=label,
            rows=int((y == label).sum()),
            distinct=int((distinct_y == label).sum()),
            misdecoded=misdecoded_share(distinct[distinct_y == label]),
        )
        for label in np.unique(y).tolist()
    )
