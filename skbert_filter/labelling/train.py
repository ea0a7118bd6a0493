"""From tables of labels to a saved classifier with an honest score."""

import logging
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any, Literal

import numpy as np
from sklearn.base import clone

from skbert_filter.bert.folder import check_can_save, save_over
from skbert_filter.corpus.thresholds import as_record
from skbert_filter.duplicates.splits import dedup_train_test_split
from skbert_filter.duplicates.training_rows import merge_repeats
from skbert_filter.inspection.baselines import tfidf_shape_baseline
from skbert_filter.inspection.evaluation import evaluate
from skbert_filter.labelling.choice import BERT, NAMES, TFIDF, ModelChoice, choose_model
from skbert_filter.labelling.evaluate import text_hashes
from skbert_filter.labelling.label_table import LabelTable, check_classes, read_label_table
from skbert_filter.labelling.training_summary import TrainingSummary, count_labels
from skbert_filter.printing import counted
from skbert_filter.saved_models import mean_of, save_classifier, update_record
from skbert_filter.validation import useful_label

_LOGGER = logging.getLogger(__name__)
# A score on fewer held-out texts of a label than this says nothing.
_MIN_HELD_OUT = 5


def train_filter(
    source: str | Path | Sequence[str | Path],
    destination: str | Path,
    *,
    text: str = "text",
    label: str = "label",
    groups: str | None = None,
    encoding: str | None = None,
    delimiter: str | None = None,
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

    Part of the distinct texts is held out. The classifier is chosen by cross-validation on the
    others, fitted on them along with the baselines, and scored on the held-out texts, each of which
    counts once with its most frequent label. Then it is fitted again on all labels, and saved.

    Parameters
    ----------
    source : str or Path, or a sequence of them
        Label files, as for :func:`~skbert_filter.labelling.label_table.read_label_table`.
    destination : str or Path
        The folder to save the classifier in.
    text, label : str, default="text" and "label"
        The columns. Rows with a blank label are dropped, and counted. If there is a column
        "held_out", as `label_texts` writes it, the rows it marks are the ones to score on.
    groups : str, default=None
        A column with the page, firm or other source of each text. Whole groups are held out, so
        that the score holds for new ones.
    encoding, delimiter : str, default=None
        As for `read_label_table`.
    labels_as_is : bool, default=False
        Whether "Keep", "keep " and "KEEP" are different labels.
    keep : str, default=None
        The label of useful texts, stored in the model. None: the one with a usual name, such as 1,
        "keep" or "yes".
    model : {"best", "bert", "tfidf", "vote"}, default="best"
        What to fit: the filter, `tfidf_shape_baseline`, or the mean of their probabilities. "best":
        the filter, unless another is more accurate by more than chance.
    estimator : SmallBertTextFilter, default=None
        The filter to fit a clone of; None for the default with `random_state`.
    test_size : float, default=0.2
        Fraction of the distinct texts to hold out.
    refit : bool, default=True
        Whether the saved classifier is fitted again with the held-out texts. If False, the one
        that was scored is saved.
    overwrite : bool, default=False
        Whether to replace a saved model at `destination`.
    random_state : int, default=None
        Seed of the splits, and of the default `estimator`.
    callbacks : sequence of scikit-learn callbacks, default=()
        Such as ``sklearn.callback.ProgressBar()``, for each fit of the filter.
    experiment : comet_ml.CometExperiment, default=None
        Where to log the scores and, as ``model``, the saved model. The names logged by a fit on
        all labels begin with ``refit_``. If Comet fails, the model is saved all the same.

    Returns
    -------
    summary : TrainingSummary

    Raises
    ------
    FileNotFoundError, FileExistsError, ValueError
        If `source` is missing or damaged, lacks a column or a text, or has too few texts of a
        class; or if `destination` exists and is not, with `overwrite`, a saved model.

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
        *sources,
        text=text,
        label=label,
        groups=groups,
        encoding=encoding,
        delimiter=delimiter,
        as_is=labels_as_is,
    )
    check_classes(table)
    useful = _useful(keep, table.labels)
    candidates = _candidates(estimator, random_state, callbacks)

    def fit(name: str, X: list[str], y: np.ndarray) -> Any:
        if name == BERT:
            return clone(candidates[BERT]).fit(X, y).set_callbacks()
        rows, distinct_y = merge_repeats(X, y)
        model = clone(candidates[TFIDF]) if name == TFIDF else mean_of(*candidates.values())
        return model.fit(rows.texts, distinct_y)

    train, test, split_note = _split(table, test_size, random_state)
    texts, y = np.array(table.texts, dtype=object), table.labels
    X_train, y_train = texts[train].tolist(), y[train]
    X_test, y_test = texts[test].tolist(), y[test]

    choice = None
    if model == "best":
        _LOGGER.info("Choosing a model by cross-validation")
        groups_train = None if table.groups is None else table.groups[train]
        choice = choose_model(
            candidates, X_train, y_train, groups=groups_train, random_state=random_state
        )
    chosen = model if choice is None else choice.chosen
    _LOGGER.info("Learning from the training texts")
    fitted = fit(chosen, X_train, y_train)
    _LOGGER.info("Scoring on the held-out texts")
    evaluation = evaluate(
        fitted, X_test, y_test, X_train=X_train, y_train=y_train, name=NAMES[chosen]
    )
    if experiment is not None:
        if chosen == BERT:
            comet.log_fit(experiment, fitted)
        comet.log_evaluation(experiment, fitted, X_test, y_test, evaluation=evaluation)

    unseen = _unseen_probabilities(useful, fitted, X_test, y_test, choice)
    if refit:
        _LOGGER.info("Learning from all texts")
        fitted = fit(chosen, table.texts, y)
    learnt = text_hashes(table.texts if refit else X_train)
    update_record(fitted, name=NAMES[chosen], keep=useful, texts=learnt, out_of_fold=unseen)
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
        labels=count_labels(y, np.array(distinct.texts, dtype=object), distinct_y),
        n_train=len(merge_repeats(X_train, y_train)[0].texts),
        n_test=evaluation.n_distinct,
        evaluation=evaluation,
        refit=refit,
        seconds=perf_counter() - start,
        model=fitted,
        notes=(*table.notes(), split_note),
        choice=choice,
        keep=useful,
    )


def _candidates(
    estimator: Any, random_state: int | None, callbacks: Sequence[Any]
) -> dict[str, Any]:
    if estimator is None:
        from skbert_filter.text_filter import SmallBertTextFilter

        estimator = SmallBertTextFilter(random_state=random_state)
    return {BERT: clone(estimator).set_callbacks(*callbacks), TFIDF: tfidf_shape_baseline()}


def _useful(keep: str | None, labels: np.ndarray) -> Any:
    """Return the label of useful texts, spelled as in the table."""
    classes = np.unique(labels).tolist()
    if keep is None:
        return useful_label(classes)
    by_name = {str(label).casefold(): label for label in classes}
    if keep.casefold() not in by_name:
        names = ", ".join(map(str, classes[:10]))
        raise ValueError(f"There is no label {keep!r} to keep. The labels are {names}.")
    return by_name[keep.casefold()]


def _unseen_probabilities(
    useful: Any, model: Any, X_test: list[str], y_test: np.ndarray, choice: ModelChoice | None
) -> dict[str, str] | None:
    """Return probabilities of texts that the model had not seen, to choose a threshold by."""
    if useful is None:
        return None
    test, labels = merge_repeats(X_test, y_test)
    probability = model.predict_proba(test.texts)[:, list(model.classes_).index(useful)]
    is_useful = labels == useful
    if choice is not None:
        folds = choice.out_of_fold
        column = folds.classes.tolist().index(useful)
        probability = np.concatenate([folds.pred_probs[:, column], probability])
        is_useful = np.concatenate([folds.labels == column, is_useful])
    return as_record(probability, is_useful)


def _split(
    table: LabelTable, test_size: float, random_state: int | None
) -> tuple[np.ndarray, np.ndarray, str]:
    """Return the rows to learn from, those to score on, and a sentence on the split."""
    texts, y = np.array(table.texts, dtype=object), table.labels
    # A held-out text is not learnt from, even if other rows with it are not marked.
    is_test = np.isin(texts, texts[table.held_out])
    fewest = min(len(set(texts[is_test & (y == label)])) for label in np.unique(y))
    if fewest >= _MIN_HELD_OUT and set(y) == set(y[~is_test]):
        note = "Scored on the texts that are marked in the column 'held_out'."
        return np.flatnonzero(~is_test), np.flatnonzero(is_test), note

    note = ""
    if is_test.any():
        note = (
            f"The column 'held_out' marks {fewest} texts of a label, and {_MIN_HELD_OUT} of each "
            "are needed to score on, so all texts are split again. "
        )
    *_, train, test = dedup_train_test_split(
        table.texts,
        y,
        np.arange(len(y)),
        test_size=test_size,
        groups=table.groups,
        random_state=random_state,
    )
    if table.groups is None:
        note += (
            "Held out at random: the score is for texts like these. With the column of their page "
            "or firm as groups (--groups COLUMN) it is for new ones."
        )
        return train, test, note

    note += "Whole groups are held out: the score is for new ones."
    if n_dropped := len(y) - len(train) - len(test):
        rows = counted(n_dropped, "other row", "other rows")
        note += f" The training that is scored excludes {rows} with a held-out text."
    return train, test, note
