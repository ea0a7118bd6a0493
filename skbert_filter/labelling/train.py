"""From a table of labels to a saved filter with an honest score, and the score of a saved one."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from math import isfinite
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from scipy.stats import chi2_contingency
from sklearn.base import clone

from skbert_filter.corpus import load_classifier
from skbert_filter.duplicates.splits import dedup_train_test_split
from skbert_filter.duplicates.training_rows import merge_repeats
from skbert_filter.inspection.evaluation import Evaluation, evaluate
from skbert_filter.io.columns import check_column, check_no_nulls, check_text_column
from skbert_filter.io.decoding import check_encoding
from skbert_filter.io.mojibake import misdecoded_share
from skbert_filter.io.reading import open_table
from skbert_filter.printing import Report, counted, label_lines, printable
from skbert_filter.saved_folders import check_saved_folder, save_over

# As int() writes it: "01" is a code, and would become equal to "1".
_WHOLE_NUMBER = re.compile("0|-?[1-9][0-9]{0,17}")


@dataclass(frozen=True)
class LabelCount:
    """How often a label occurs.

    Attributes
    ----------
    label : label
    rows : int
        Rows with this label.
    distinct : int
        Different texts with this label; a text with several counts for the most
        frequent one, and for none if two are equally frequent.
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
    rows, distinct : int
        Labelled rows, and how many different texts they hold.
    conflicts : int
        Texts that occur with several labels.
    labels : tuple of LabelCount
    n_train, n_test : int
        Distinct texts learnt from and held out for the evaluations.
    evaluation : Evaluation
        The scores of the filter on the held-out texts, those of the baselines, which of
        these is the best, and whether the differences are more than chance.
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
        """Whether mis-decoded texts are so unevenly spread that a model may learn from them.

        True where their shares differ by a percentage point or more between two classes,
        and by more than chance (chi-squared test, p < 0.01).
        """
        shares = [count.misdecoded for count in self.labels]
        if max(shares) - min(shares) < 0.01:
            return False
        wrong = [round(count.misdecoded * count.distinct) for count in self.labels]
        right = [count.distinct - n for count, n in zip(self.labels, wrong, strict=True)]
        return bool(chi2_contingency([wrong, right]).pvalue < 0.01)

    def __str__(self) -> str:
        head = (
            f"{counted(self.rows, 'labelled row')} of {printable(self.source)}: "
            f"{counted(self.distinct, 'distinct text')}, {self.conflicts:,} of them with several "
            "labels."
        )
        labels = pd.DataFrame(map(vars, self.labels)).set_index("label")
        parts = [f"{head}\n{label_lines(labels)}"]
        if self.misdecoding_tells_labels:
            parts.append(
                "Warning: mis-decoded texts (such as “â€™” for ’) are more frequent in some "
                "classes than in others. The filter may learn that instead of the words: repair "
                "them first."
            )

        scored = (
            f"Learnt from {counted(self.n_train, 'distinct text')}; scored on the "
            f"{self.n_test:,} held out:"
        )
        parts.append(f"{scored}\n{self.evaluation.score_lines()}")
        sentences = [self.evaluation.verdict, *map(str, self.evaluation.tests)]
        parts.append("\n".join(map(printable, sentences)))
        learnt_from = "all texts" if self.refit else "the training texts"
        parts.append(f"The filter in {printable(self.destination)} has learnt from {learnt_from}.")
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
        What to decode the files from that are not UTF-8, such as "cp1252".
    estimator : SmallBertTextFilter, default=None
        The filter to fit a clone of; None for the default with `random_state`.
    test_size : float, default=0.2
        The share of distinct texts to hold out.
    refit : bool, default=True
        Whether the saved filter learns from the held-out texts too. With False it is the
        one that was scored.
    overwrite : bool, default=False
        Whether to replace a filter that `destination` holds.
    random_state : int, default=None
        The seed of the split, and of the default `estimator`.
    callbacks : sequence of scikit-learn callbacks, default=()
        Such as ``sklearn.callback.ProgressBar()``, for each fit of the filter.
    experiment : comet_ml.CometExperiment, default=None
        Where to log the filter that was scored with its scores, and the saved one as ``model``;
        if that has learnt from all labels, the names of its fit begin with ``refit_``. If Comet
        fails, the filter is trained and saved nevertheless.

    Returns
    -------
    summary : TrainingSummary

    Raises
    ------
    FileNotFoundError
        If `source` does not exist.
    FileExistsError
        If `destination` is a file, holds other files than a saved filter, or holds a filter
        and `overwrite` is False.
    ValueError
        If a table is damaged, or lacks a column or a value, or `source` has too few texts of a
        class.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import pandas as pd
    >>> from skbert_filter import SmallBertTextFilter
    >>> from skbert_filter.datasets import make_website_snippets
    >>> from skbert_filter.labelling.train import train_filter
    >>> X, y = make_website_snippets(300, random_state=0)
    >>> small = SmallBertTextFilter(hidden_size=16, num_hidden_layers=1, random_state=0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     source, model = Path(folder, "labels.csv"), Path(folder, "model")
    ...     pd.DataFrame({"text": X, "label": y}).to_csv(source, index=False)
    ...     summary = train_filter(source, model, estimator=small, random_state=0)
    ...     SmallBertTextFilter.from_pretrained(model).predict(["View All"])
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
    model : classifier or str or Path
        As for :func:`~skbert_filter.filter_corpus`.
    source : str or Path
        A ``.parquet``, ``.csv`` or ``.tsv`` file (the last two also with ``.gz`` or ``.zst``)
        with a row for each label.
    text, label : str, default="text" and "label"
        The columns, of `train` too. A label that differs from the model's in type only,
        as it may in a CSV file, is taken for it.
    encoding : str, default=None
        What to decode the files from that are not UTF-8, such as "cp1252".
    train : str or Path, default=None
        The table that the model was trained on, to find leaked texts and to compare with
        baselines that learn from it.
    n_errors : int, default=10
        How many errors to list.
    trust : bool, default=False
        Whether to load a `model` that is a pickle, as a file or registered: it runs the code in it.

    Returns
    -------
    evaluation : Evaluation

    Raises
    ------
    FileNotFoundError
        If a file or the model folder does not exist.
    ValueError
        If a file is damaged, lacks a column or a value, or holds a label that the model
        does not know.

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


def read_labels(
    source: str | Path, *, text: str = "text", label: str = "label", encoding: str | None = None
) -> tuple[list[str], np.ndarray]:
    """Read labelled texts from a table.

    Parameters
    ----------
    source, text, label, encoding
        As for `train_filter`.

    Returns
    -------
    texts : list of str
    labels : ndarray of shape (n_rows,)

    Raises
    ------
    FileNotFoundError, ValueError
        As `train_filter`.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from skbert_filter.labelling.train import read_labels
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = Path(folder, "a.csv").write_text("text,label\\nView All,0\\nNA,1\\n")
    ...     read_labels(Path(folder, "a.csv"))
    (['View All', 'NA'], array([0, 1]))
    """
    source = Path(source)
    check_encoding(encoding)
    texts: list[str] = []
    labels: list[Any] = []
    with open_table(source, encoding=encoding) as table:
        check_text_column(table.schema, text, source)
        check_column(table.schema, label, source)
        kind = table.schema.field(label).type
        for batch, _ in table.batches:
            first_row = len(texts) + 1
            check_no_nulls(batch.column(text), text, source, first_row=first_row)
            values = batch.column(label)
            if pa.types.is_string(values.type):
                # An empty field is how CSV writes that there is no label.
                values = pc.if_else(pc.equal(values, ""), None, values)
            check_no_nulls(values, label, source, first_row=first_row)
            texts += batch.column(text).to_pylist()
            labels += values.to_pylist()
    if not texts:
        raise ValueError(f"{source} has no rows. Label some texts first.")

    wrong = [value for value in labels if not _is_label(value)]
    if wrong:
        raise ValueError(
            f"Column {label!r} of {source} holds {kind}, such as {wrong[0]!r}, which is not a "
            "label. Name the column with the labels."
        )
    if not isinstance(labels[0], str):
        return texts, np.array([int(v) if isinstance(v, Decimal) else v for v in labels])
    if all(map(_WHOLE_NUMBER.fullmatch, labels)):
        return texts, np.array(list(map(int, labels)))
    return texts, np.array(labels, dtype=object)


def _is_label(value: Any) -> bool:
    if isinstance(value, float | Decimal):
        return isfinite(value) and value == int(value) and -(2**63) <= value < 2**63
    return isinstance(value, str | int)


def _as_known(y: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Return labels in the type of a model's, which a CSV file does not tell."""
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
