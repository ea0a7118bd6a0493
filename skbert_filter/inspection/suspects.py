"""Labels that are probably wrong, as a table to correct and to feed back.

Works for any text classifier with probabilities; knows nothing of BERT.
"""

from dataclasses import dataclass, field
from numbers import Integral
from reprlib import repr as short_repr
from typing import Any

import numpy as np
import pandas as pd
from sklearn.model_selection import check_cv, cross_val_predict

from skbert_filter.duplicates.keys import Key, first_rows, first_seen, text_keys
from skbert_filter.duplicates.label_counts import count_labels
from skbert_filter.duplicates.splits import DedupStratifiedKFold
from skbert_filter.inspection.refitting import check_not_frozen
from skbert_filter.printing import Report, counted
from skbert_filter.validation import check_labels, check_texts


@dataclass(frozen=True, eq=False)
class OutOfFold(Report):
    """What models that have not seen a text think of it, and of its label.

    `labels` and `pred_probs` are what ``cleanlab.filter.find_label_issues`` takes.

    Attributes
    ----------
    texts : list of str
        Each distinct text once, in the order in which they are first seen.
    classes : ndarray of shape (n_classes,)
    labels : ndarray of int of shape (n_texts,)
        The index in `classes` of each text's most frequent label; in a tie, of the one that sorts
        first.
    pred_probs : ndarray of float of shape (n_texts, n_classes)
    tied : ndarray of bool of shape (n_texts,)
        Whether several labels are the most frequent.
    rows, contradicting, first_row : ndarray of int of shape (n_texts,)
        As in the table of `suspect_labels`.
    """

    texts: list[str] = field(repr=False)
    classes: np.ndarray
    labels: np.ndarray = field(repr=False)
    pred_probs: np.ndarray = field(repr=False)
    rows: np.ndarray = field(repr=False)
    contradicting: np.ndarray = field(repr=False)
    tied: np.ndarray = field(repr=False)
    first_row: np.ndarray = field(repr=False)

    def to_frame(self) -> pd.DataFrame:
        """Return the table of `suspect_labels`."""
        given = self.pred_probs[np.arange(len(self.labels)), self.labels]
        # A label that the models hold impossible still ranks by its rows.
        likelihood = np.maximum(given, np.finfo(np.float64).tiny)
        odds = np.log(self.pred_probs.max(axis=1) / likelihood)
        score = np.where(self.tied, np.nan, odds * np.log2(1 + self.rows))

        label = self.classes[self.labels]
        if self.tied.any():
            label = np.where(self.tied, None, label.astype(object))

        table = pd.DataFrame(
            {
                # pandas would make a column of str of these, and fail on lone surrogates.
                "text": pd.Series(self.texts, dtype=object),
                "label": pd.Series(label, dtype=label.dtype),
                "suggested": self.classes[self.pred_probs.argmax(axis=1)],
                "probability": np.where(self.tied, np.nan, given),
                "rows": self.rows,
                "contradicting": self.contradicting,
                "score": score,
                "first_row": self.first_row,
            }
        )
        order = np.lexsort((self.first_row, given, -score, -self.contradicting))
        return table.iloc[order].reset_index(drop=True)


def suspect_labels(
    estimator: Any,
    X: Any,
    y: Any,
    *,
    cv: Any = None,
    groups: Any = None,
    key: Key = "exact",
    n_jobs: int | None = None,
) -> pd.DataFrame:
    """List the labelled texts, those whose label is most likely wrong first.

    Parameters
    ----------
    estimator : classifier
        Any text classifier with `predict_proba`. Clones of it are fitted.
    X, y : container of str and array-like, of length n_samples
        The texts, repeats included, and their labels.
    cv : int, splitter or iterable of (train, test), default=None
        None: ``DedupStratifiedKFold(5)``, an int: as many of these folds. With any other, a text
        that is tested is taken out of training, and several tests of a text are averaged.
    groups : array-like of shape (n_samples,), default=None
        What else to keep together, such as the page of each row.
    key : {"exact", "whitespace", "casefold"} or callable, default="exact"
        Which texts are equal; the first of them stands for all.
    n_jobs : int, default=None

    Returns
    -------
    table : DataFrame
        One line for each distinct text:

        - "text";
        - "label": the most frequent label of its rows, None if several are;
        - "suggested": the class that models trained without the text hold most probable;
        - "probability": what they give "label", NaN without one;
        - "rows": how many rows have the text;
        - "contradicting": how many of these have another label. Not 0: a conflict;
        - "score": the higher, the more likely wrong; see Notes;
        - "first_row": the index of the first row with the text.

        Conflicts are first, by "contradicting"; then "score" decides, then "probability".

    See Also
    --------
    apply_corrections : Puts the corrected table back into `y`.
    out_of_fold : The probabilities, for cleanlab too.

    Notes
    -----
    Each distinct text is trained on once, with its most frequent label, if there is one. The score
    is ``log(probability of suggested / probability of label) * log2(1 + rows)``: how far the models
    disagree with the label, weighted by the rows that a correction would fix.

    The folds are fitted by :func:`~sklearn.model_selection.cross_val_predict`, which encodes the
    classes: a `class_weight` by label has to use the integers, in sorted order.

    Examples
    --------
    >>> from skbert_filter.datasets import make_website_snippets
    >>> from skbert_filter.inspection import apply_corrections, suspect_labels, tfidf_baseline
    >>> X, y = make_website_snippets(300, random_state=0)
    >>> y[X == "Read more"] = 1
    >>> table = suspect_labels(tfidf_baseline(), X, y, cv=3)
    >>> suspects = table[table.contradicting == 0].head(1)
    >>> suspects[["text", "label", "suggested", "rows"]]
            text label  suggested  rows
    1  Read more     1          0     2
    >>> y = apply_corrections(X, y, suspects.assign(label=0))
    >>> y[X == "Read more"]
    array([0, 0])
    """
    return out_of_fold(estimator, X, y, cv=cv, groups=groups, key=key, n_jobs=n_jobs).to_frame()


def out_of_fold(
    estimator: Any,
    X: Any,
    y: Any,
    *,
    cv: Any = None,
    groups: Any = None,
    key: Key = "exact",
    n_jobs: int | None = None,
) -> OutOfFold:
    """Return the probabilities that models trained without a text give to its labels.

    Parameters
    ----------
    estimator, X, y, cv, groups, key, n_jobs
        As for `suspect_labels`.

    Returns
    -------
    found : OutOfFold

    Examples
    --------
    >>> from skbert_filter.datasets import make_website_snippets
    >>> from skbert_filter.inspection import out_of_fold, tfidf_baseline
    >>> X, y = make_website_snippets(300, random_state=0)
    >>> found = out_of_fold(tfidf_baseline(), X, y, cv=3)
    >>> found.pred_probs.shape == (len(set(X)), 2)
    True

    With cleanlab installed::

        from cleanlab.filter import find_label_issues
        wrong = find_label_issues(labels=found.labels, pred_probs=found.pred_probs)
    """
    if not hasattr(estimator, "predict_proba"):
        raise TypeError(
            f"{type(estimator).__name__} has no predict_proba, and labels are compared with "
            "probabilities. Pass CalibratedClassifierCV(estimator, cv=DedupStratifiedKFold())."
        )
    check_not_frozen(estimator)

    texts = check_texts(X)
    row_labels, classes = pd.factorize(check_labels(y, len(texts)), sort=True)
    if len(classes) < 2:
        found = counted(len(classes), "class", "classes")
        raise ValueError(f"y holds {found}: {classes.tolist()}. Pass texts of two or more.")
    codes, _ = first_seen(text_keys(texts, key))
    counts = count_labels(codes, row_labels)
    labels, classes = counts.prevailing(classes)

    if cv is None or isinstance(cv, Integral):
        cv = DedupStratifiedKFold(5 if cv is None else int(cv), key=key)
    row_splits = list(check_cv(cv).split(texts, row_labels, groups))

    first = first_rows(codes)
    proba = cross_val_predict(
        estimator,
        [texts[row] for row in first],
        labels,
        cv=_splits_of_texts(row_splits, codes, counts.tied),
        n_jobs=n_jobs,
        method="predict_proba",
    )

    rows = np.bincount(codes)
    return OutOfFold(
        texts=[texts[row] for row in first],
        classes=classes,
        labels=labels,
        pred_probs=proba,
        rows=rows,
        contradicting=rows - counts.agreeing.astype(np.intp),
        tied=counts.tied,
        first_row=first,
    )


def apply_corrections(X: Any, y: Any, table: pd.DataFrame, *, key: Key = "exact") -> Any:
    """Return labels with the corrections of a table applied to all copies of its texts.

    Parameters
    ----------
    X, y : container of str and array-like, of length n_samples
        What the table was made of.
    table : DataFrame
        Lines of the table of `suspect_labels`, in any order, with "label" corrected. It may have
        been a CSV file or a spreadsheet in between. A row without a label changes nothing.
    key : {"exact", "whitespace", "casefold"} or callable, default="exact"
        As in the call that made the table.

    Returns
    -------
    y_corrected : ndarray or Series of shape (n_samples,)
        A Series, with its index, where `y` is one.

    Examples
    --------
    >>> import pandas as pd
    >>> from skbert_filter.inspection import apply_corrections
    >>> table = pd.DataFrame({"text": ["Menu"], "label": ["drop"], "first_row": [0]})
    >>> apply_corrections(["Menu", "We sell tea.", "Menu"], ["keep", "keep", "drop"], table)
    array(['drop', 'keep', 'drop'], dtype=object)
    """
    texts = check_texts(X)
    labels = check_labels(y, len(texts))

    if absent := [name for name in ("text", "label", "first_row") if name not in table]:
        raise ValueError(f"The table has no column {absent[0]!r}. Keep what suspect_labels wrote.")
    codes, distinct = first_seen(text_keys(texts, key))
    classes = pd.unique(labels).tolist()
    class_of = _labels_by_name(classes)

    line_of: dict[int, Any] = {}
    new = np.empty(len(distinct), dtype=labels.dtype)
    lines = zip(table.index, table["text"], table["label"], table["first_row"], strict=True)
    for line, text, label, row in lines:
        # Spreadsheets change line ends.
        if not (0 <= row < len(texts) and str(text).split() == texts[int(row)].split()):
            hint = ""
            if pd.isna(text):
                hint = " Read files with pd.read_csv(..., keep_default_na=False)."
            raise ValueError(
                f"Row {line} of the table is of row {row} and the text {short_repr(text)}, which "
                f"X does not hold there. Pass the X that the table was made of.{hint}"
            )

        if pd.isna(label) or (label == "" and "" not in class_of):
            continue
        if label not in class_of:
            label = str(label).strip()
        if label not in class_of:
            raise ValueError(
                f"Row {line} of the table has the label {label!r}, which y does not hold. Its "
                f"labels are {short_repr(classes)}."
            )

        code = int(codes[int(row)])
        if code in line_of:
            raise ValueError(
                f"Rows {line_of[code]} and {line} of the table are of one text, "
                f"{short_repr(text)}. Keep one."
            )
        line_of[code] = line
        new[code] = class_of[label]

    corrected = labels.copy()
    changed = np.isin(codes, list(line_of))
    corrected[changed] = new[codes[changed]]
    return (
        pd.Series(corrected, index=y.index, name=y.name) if isinstance(y, pd.Series) else corrected
    )


def _splits_of_texts(
    row_splits: list[tuple[np.ndarray, np.ndarray]], codes: np.ndarray, tied: np.ndarray
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Turn splits of rows into splits of distinct texts, each tested with its first row."""
    fold_of_row = np.full(len(codes), -1)
    for number, (_, test) in reversed(list(enumerate(row_splits))):
        fold_of_row[test] = number
    fold = fold_of_row[first_rows(codes)]
    if (fold < 0).any():
        row = int(np.flatnonzero(fold[codes] < 0)[0])
        raise ValueError(
            f"No fold of cv tests row {row}, so that nothing is known of its label. Pass folds "
            "that test each row, such as DedupStratifiedKFold()."
        )

    splits = []
    for number in np.unique(fold):
        trained = np.unique(codes[row_splits[number][0]])
        trained = trained[(fold[trained] != number) & ~tied[trained]]
        splits.append((trained, np.flatnonzero(fold == number)))
    return splits


def _labels_by_name(classes: list[Any]) -> dict[Any, Any]:
    """Return the labels by themselves, and by what files and spreadsheets make of them."""
    names: dict[Any, Any] = {}
    for label in classes:
        name = str(label)
        names[name] = label
        if isinstance(label, bool):
            names |= {name.lower(): label, name.upper(): label}
        elif isinstance(label, int | float):
            whole = name.removesuffix(".0")
            names |= {whole: label, f"{whole}.0": label}
    return names | {label: label for label in classes}
