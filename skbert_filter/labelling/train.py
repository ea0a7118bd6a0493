"""From a table of labels to a saved filter with an honest score, and the score of a saved one."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any, Literal

import numpy as np
import pandas as pd
from scipy.stats import chi2_contingency
from sklearn.base import clone

from skbert_filter.bert.folder import check_can_save, save_over
from skbert_filter.corpus import load_classifier
from skbert_filter.corpus.thresholds import as_record
from skbert_filter.duplicates.keys import stable_hashes
from skbert_filter.duplicates.splits import dedup_train_test_split
from skbert_filter.duplicates.training_rows import merge_repeats
from skbert_filter.inspection.baselines import tfidf_shape_baseline
from skbert_filter.inspection.evaluation import Evaluation, evaluate
from skbert_filter.io.mojibake import misdecoded_share
from skbert_filter.labelling.choice import BERT, TFIDF, ModelChoice, choose_model
from skbert_filter.labelling.label_table import LabelTable, read_label_table
from skbert_filter.printing import Report, counted, label_lines, printable
from skbert_filter.saved_models import mean_of, remember, save_classifier
from skbert_filter.validation import useful_label

# With fewer texts of a label held out, a score says nothing.
_LEAST_HELD_OUT = 5


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
        The scores of the classifier and of the baselines on the held-out texts.
    refit : bool
        Whether the saved model learnt from the held-out texts too, afterwards.
    seconds : float
    model : classifier
        The fitted classifier, as saved.
    notes : tuple of str
        Sentences on blank labels, on labels of several spellings, and on how texts were held out.
    choice : ModelChoice or None
        How the classifier was chosen, if it was to be.
    keep : label or None
        The label of useful texts; None if it is not known.
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
    notes: tuple[str, ...] = ()
    choice: ModelChoice | None = None
    keep: Any = None

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
        head = (
            f"{counted(self.rows, 'labelled row')} of {printable(self.source)}: "
            f"{counted(self.distinct, 'distinct text')}, {self.conflicts:,} of them with several "
            "labels."
        )
        labels = label_lines(pd.DataFrame(map(vars, self.labels)).set_index("label"))
        parts = ["\n".join([head, labels, *map(printable, self.notes)])]
        if self.misdecoding_tells_labels:
            parts.append(
                "Warning: mis-decoded texts (such as “â€™” for ’) are more frequent in some "
                "classes than in others. The filter may learn that instead of the words: repair "
                "them first."
            )

        sentences = [self.evaluation.verdict, *map(str, self.evaluation.tests)]
        learnt_from = "all texts" if self.refit else "the training texts"
        saved = f"The model in {printable(self.destination)} has learnt from {learnt_from}."
        parts += [
            f"Learnt from {counted(self.n_train, 'distinct text')}; scored on the "
            f"{self.n_test:,} held out:\n{self.evaluation.score_lines()}",
            "\n".join(map(printable, sentences)),
            saved if self.choice is None else f"{self.choice}\n{saved}",
        ]
        return "\n\n".join(parts)

    def to_frame(self) -> pd.DataFrame:
        """Return the scores as a table, one row for each classifier."""
        return self.evaluation.to_frame()


def train_filter(
    source: str | Path | Sequence[str | Path],
    destination: str | Path,
    *,
    text: str = "text",
    label: str = "label",
    groups: str | None = None,
    encoding: str | None = None,
    labels_as_is: bool = False,
    keep: str | None = None,
    model: Literal["best", "bert", "tfidf", "vote"] = "best",
    estimator: Any = None,
    test_size: float = 0.2,
    refit: bool = True,
    overwrite: bool = False,
    random_state: int | None = None,
    callbacks: Sequence[Any] = (),
    experiment: Any = None,
) -> TrainingSummary:
    """Choose and fit a classifier on tables of labelled texts, score it, and save it.

    A part of the distinct texts is held out. On folds of the others the classifier is chosen;
    it and the baselines learn from them, and are scored on the held-out ones, each of which
    counts once with its most frequent label. Then it is fitted again on all labels, and saved.

    Parameters
    ----------
    source : str or Path, or a sequence of them
        Files with a row for each label; see
        :func:`~skbert_filter.labelling.label_table.read_label_table`.
    destination : str or Path
        The folder to save the classifier in.
    text, label : str, default="text" and "label"
        The columns. Rows with a blank label are dropped, and counted. Where there is a column
        "held_out", as `label_texts` writes it, the rows that it marks are those to score on.
    groups : str, default=None
        A column with the page, firm or other source of each text. Whole groups are held out, so
        that the score speaks for new ones.
    encoding : str, default=None
        What to decode a file from that is not UTF-8, such as "cp1252".
    labels_as_is : bool, default=False
        Whether "Keep", "keep " and "KEEP" are different labels.
    keep : str, default=None
        The label of useful texts, remembered in the model. None: the one with a usual name, such
        as 1, "keep" or "yes".
    model : {"best", "bert", "tfidf", "vote"}, default="best"
        What to fit: the filter, `tfidf_shape_baseline`, or the mean of their probabilities. "best":
        the filter, unless another is more accurate by more than chance.
    estimator : SmallBertTextFilter, default=None
        The filter to fit a clone of; None for the default with `random_state`.
    test_size : float, default=0.2
        The share of distinct texts to hold out.
    refit : bool, default=True
        Whether the saved classifier learns from the held-out texts too. With False it is the
        one that was scored.
    overwrite : bool, default=False
        Whether to replace a model that `destination` holds.
    random_state : int, default=None
        The seed of the splits, and of the default `estimator`.
    callbacks : sequence of scikit-learn callbacks, default=()
        Such as ``sklearn.callback.ProgressBar()``, for each fit of the filter.
    experiment : comet_ml.CometExperiment, default=None
        Where to log what was scored with its scores, and the saved model as ``model``;
        if that has learnt from all labels, the names of its fit begin with ``refit_``. If Comet
        fails, the model is trained and saved nevertheless.

    Returns
    -------
    summary : TrainingSummary

    Raises
    ------
    FileNotFoundError, FileExistsError, ValueError
        If `source` is missing or damaged, lacks a column or a text, or has too few texts of a
        class; or if `destination` holds anything but, with `overwrite`, a saved model.

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
    ...     labels, model = f"{folder}/labels.csv", f"{folder}/model"
    ...     pd.DataFrame({"text": X, "label": y}).to_csv(labels, index=False)
    ...     summary = train_filter(labels, model, model="bert", estimator=small)
    ...     SmallBertTextFilter.from_pretrained(model).predict(["View All"])
    array([0])
    >>> summary.to_frame().index.tolist()
    ['SmallBertTextFilter', 'TF-IDF and shape', 'TF-IDF', 'word-count rule']
    """
    start = perf_counter()
    sources = [source] if isinstance(source, str | Path) else list(source)
    destination = Path(destination)
    check_can_save(destination, "filter", overwrite=overwrite)
    if experiment is not None:
        from skbert_filter.integrations import comet
        from skbert_filter.integrations.comet.connection import check_experiment, logging_to

        check_experiment(experiment)

    table = read_label_table(
        *sources, text=text, label=label, groups=groups, encoding=encoding, as_is=labels_as_is
    )
    useful = _useful(keep, table.labels)
    candidates = _candidates(estimator, random_state)

    def fit(name: str, X: list[str], y: np.ndarray) -> Any:
        bert = clone(candidates[BERT]).set_callbacks(*callbacks)
        if name == BERT:
            return bert.fit(X, y).set_callbacks()
        rows, distinct_y = merge_repeats(X, y)
        tfidf = clone(candidates[TFIDF])
        return (tfidf if name == TFIDF else mean_of(bert, tfidf)).fit(rows.texts, distinct_y)

    train, test, how = _split(table, test_size, random_state)
    texts, y = np.array(table.texts, dtype=object), table.labels
    X_train, y_train = texts[train].tolist(), y[train]
    X_test, y_test = texts[test].tolist(), y[test]

    choice = None
    if model == "best":
        of_train = None if table.groups is None else table.groups[train]
        choice = choose_model(
            candidates, X_train, y_train, groups=of_train, random_state=random_state
        )
    chosen = model if choice is None else choice.chosen
    fitted = fit(chosen, X_train, y_train)
    evaluation = evaluate(fitted, X_test, y_test, X_train=X_train, y_train=y_train)
    if experiment is not None:
        if chosen == BERT:
            comet.log_fit(experiment, fitted)
        comet.log_evaluation(experiment, fitted, X_test, y_test, evaluation=evaluation)

    honest = _honest_probabilities(useful, fitted, X_test, y_test, choice)
    if refit:
        fitted = fit(chosen, table.texts, y)
    learnt = table.texts if refit else X_train
    remember(fitted, keep=useful, texts=_hashes(learnt), out_of_fold=honest)
    save_over(partial(save_classifier, fitted), destination, "filter", overwrite=overwrite)
    if experiment is not None:
        with logging_to(experiment, "the saved filter"):
            if refit and chosen == BERT:
                comet.log_fit(experiment, fitted, prefix="refit_")
            comet.log_model(experiment, fitted)

    distinct, distinct_y = merge_repeats(table.texts, y)
    return TrainingSummary(
        source=", ".join(table.sources),
        destination=str(destination),
        rows=len(table.texts),
        distinct=distinct.n_distinct,
        conflicts=distinct.n_conflicts,
        labels=_count_labels(y, np.array(distinct.texts, dtype=object), distinct_y),
        n_train=len(merge_repeats(X_train, y_train)[0].texts),
        n_test=evaluation.n_distinct,
        evaluation=evaluation,
        refit=refit,
        seconds=perf_counter() - start,
        model=fitted,
        notes=(*table.notes(), how),
        choice=choice,
        keep=useful,
    )


def _candidates(estimator: Any, random_state: int | None) -> dict[str, Any]:
    if estimator is None:
        from skbert_filter.text_filter import SmallBertTextFilter

        estimator = SmallBertTextFilter(random_state=random_state)
    return {BERT: estimator, TFIDF: tfidf_shape_baseline()}


def _useful(keep: str | None, labels: np.ndarray) -> Any:
    """Return the label of useful texts, as it is in the table."""
    classes = np.unique(labels).tolist()
    if keep is None:
        return useful_label(classes)
    by_name = {str(known).casefold(): known for known in classes}
    if keep.casefold() not in by_name:
        raise ValueError(
            f"keep={keep!r} is not one of the labels: {', '.join(map(str, classes[:10]))}."
        )
    return by_name[keep.casefold()]


def _honest_probabilities(
    useful: Any, model: Any, X_test: list[str], y_test: np.ndarray, choice: ModelChoice | None
) -> dict[str, str] | None:
    """Return what models thought of texts before they learnt them, for a threshold to be chosen."""
    if useful is None:
        return None
    test, labels = merge_repeats(X_test, y_test)
    probability = model.predict_proba(test.texts)[:, list(model.classes_).index(useful)]
    is_useful = labels == useful
    if choice is not None:
        found = choice.out_of_fold
        column = found.classes.tolist().index(useful)
        probability = np.concatenate([found.pred_probs[:, column], probability])
        is_useful = np.concatenate([found.labels == column, is_useful])
    return as_record(probability, is_useful)


def _split(
    table: LabelTable, test_size: float, random_state: int | None
) -> tuple[np.ndarray, np.ndarray, str]:
    """Return the rows to learn from and those to score on, and a sentence on how they differ."""
    texts, y = np.array(table.texts, dtype=object), table.labels
    # A text that is held out is not learnt from, whatever its other rows say.
    is_test = np.isin(texts, texts[table.held_out]) if table.held_out.any() else table.held_out
    fewest = min(len(set(texts[is_test & (y == each)])) for each in np.unique(y))
    if fewest >= _LEAST_HELD_OUT and set(y) == set(y[~is_test]):
        how = "Scored on the texts that are marked in the column 'held_out'."
        return np.flatnonzero(~is_test), np.flatnonzero(is_test), how

    too_few = ""
    if is_test.any():
        too_few = (
            f"The column 'held_out' marks {fewest} texts of a label, and {_LEAST_HELD_OUT} of each "
            "are needed to score on: all are split again. "
        )
    *_, train, test = dedup_train_test_split(
        table.texts,
        y,
        np.arange(len(y)),
        test_size=test_size,
        groups=table.groups,
        random_state=random_state,
    )
    if table.groups is not None:
        return train, test, f"{too_few}Whole groups are held out: the score is for new ones."
    how = (
        f"{too_few}Held out at random: the score is for texts like these. Pass --groups (groups=) "
        "with the column of the page or firm, if there is one, for that of new pages or firms."
    )
    return train, test, how


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
    source, text, label, encoding
        As for `train_filter`. A label that differs from the model's in type only, as it may in a
        CSV file, is taken for it.
    train : str or Path, default=None
        The table that the model was trained on, with the same columns, to find leaked texts and
        to compare with baselines that learn from it.
    n_errors : int, default=10
        How many errors to list.
    trust : bool, default=False
        As for :func:`~skbert_filter.filter_corpus`.

    Returns
    -------
    evaluation : Evaluation
        Of the texts that `train_filter` has not learnt, as the model remembers; of all of them if
        it has learnt all, which the evaluation says first.

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
    test = read_label_table(source, text=text, label=label, encoding=encoding)
    texts, y = test.texts, _as_known(test.labels, model.classes_)

    if train is not None:
        learnt = read_label_table(train, text=text, label=label, encoding=encoding)
        y_train = _as_known(learnt.labels, model.classes_)
        return evaluate(model, texts, y, X_train=learnt.texts, y_train=y_train, n_errors=n_errors)

    # Texts that the model has learnt say little of others: they are scored if there are no others.
    hashes = _split_hashes(getattr(model, "training_record_", {}).get("texts", ""))
    is_known = np.isin(_split_hashes(_hashes(texts)), hashes)
    n_known = len({text for text, known in zip(texts, is_known, strict=True) if known})
    if not is_known.all():
        texts, y = [texts[i] for i in np.flatnonzero(~is_known)], y[~is_known]
    evaluation = evaluate(model, texts, y, n_errors=n_errors)
    return replace(evaluation, n_learnt=n_known, all_learnt=bool(is_known.all()))


def _hashes(texts: list[str]) -> str:
    """Return 64 bits of the hash of each text, as one string for JSON."""
    return "".join(hashed[:8].hex() for hashed in stable_hashes(texts))


def _split_hashes(hashes: str) -> list[str]:
    return [hashes[i : i + 16] for i in range(0, len(hashes), 16)]


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
