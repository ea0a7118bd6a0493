"""Labels that are probably wrong, as a table whose corrections can be applied.

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
    """The distinct texts, their labels, and out-of-fold probabilities.

    ``cleanlab.filter.find_label_issues`` accepts `labels` and `pred_probs`.

    Attributes
    ----------
    texts : list of str
        The distinct texts, in the order of their first rows.
    classes : ndarray of shape (n_classes,)
    labels : ndarray of int of shape (n_texts,)
        The index in `classes` of each text's most frequent label; in a tie, the lowest.
    pred_probs : ndarray of float of shape (n_texts, n_classes)
        Predicted by models that were trained without the text.
    tied : ndarray of bool of shape (n_texts,)
        Whether several labels are the most frequent, equally often.
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
        probability = self.pred_probs[np.arange(len(self.labels)), self.labels]
        # The score stays finite at a probability of 0, so the rows still count.
        positive = np.maximum(probability, np.finfo(np.float64).tiny)
        disagreement = np.log(self.pred_probs.max(axis=1) / positive)
        score = np.where(self.tied, np.nan, disagreement * np.log2(1 + self.rows))

        label = self.classes[self.labels]
        if self.tied.any():
            label = np.where(self.tied, None, label.astype(object))

        table = pd.DataFrame(
            {
                # As dtype str, which pandas would infer, lone surrogates fail.
                "text": pd.Series(self.texts, dtype=object),
                "label": pd.Series(label, dtype=label.dtype),
                "suggested": self.classes[self.pred_probs.argmax(axis=1)],
                "probability": np.where(self.tied, np.nan, probability),
                "rows": self.rows,
                "contradicting": self.contradicting,
                "score": score,
                "first_row": self.first_row,
            }
        )
        order = np.lexsort((self.first_row, probability, -score, -self.contradicting))
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
    """List the labelled texts, starting with those whose label is most likely wrong.

    Parameters
    ----------
    estimator : classifier
        Any text classifier with `predict_proba`. Clones of it are fitted.
    X, y : container of str and array-like, of length n_samples
        The texts, repeats included, and their labels.
    cv : int, splitter or iterable of (train, test), default=None
        None for ``DedupStratifiedKFold(5)``, an int for another number of folds. With other splits,
        each text is tested in the first fold that tests its first row, and not trained on there.
    groups : array-like of shape (n_samples,), default=None
        What else to keep together, such as the page of each row.
    key : {"exact", "whitespace", "casefold"} or callable, default="exact"
        Which texts are equal; the first of them represents all.
    n_jobs : int, default=None

    Returns
    -------
    table : DataFrame
        One line for each distinct text:

        - "text";
        - "label": the most frequent label of its rows, None in a tie;
        - "suggested": the most probable class, predicted by a model trained without the text;
        - "probability": the predicted probability of "label", NaN without one;
        - "rows": how many rows have the text;
        - "contradicting": how many of these have another label;
        - "score": the higher, the more likely the label is wrong; see Notes;
        - "first_row": the index of the first row with the text.

        Texts with several labels come first: the order is by "contradicting", then by "score", then
        by "probability".

    See Also
    --------
    apply_corrections : Applies the corrections in the table to `y`.
    out_of_fold : Returns the probabilities, also for cleanlab.

    Notes
    -----
    Each distinct text is trained on once, with its most frequent label; ties are not trained on.
    The score is ``log(probability of suggested / probability of label) * log2(1 + rows)``: how much
    the model disagrees with the label, weighted by the rows that a correction would fix.

    :func:`~sklearn.model_selection.cross_val_predict` fits the folds and encodes the classes, so a
    `class_weight` by label has to use integers, in sorted order.

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
    """Return the class probabilities of each text, predicted by a model trained without it.

    Parameters
    ----------
    estimator, X, y, cv, groups, key, n_jobs
        As for `suspect_labels`.

    Returns
    -------
    predictions : OutOfFold

    Examples
    --------
    >>> from skbert_filter.datasets import make_website_snippets
    >>> from skbert_filter.inspection import out_of_fold, tfidf_baseline
    >>> X, y = make_website_snippets(300, random_state=0)
    >>> predictions = out_of_fold(tfidf_baseline(), X, y, cv=3)
    >>> predictions.pred_probs.shape == (len(set(X)), 2)
    True

    With cleanlab installed::

        from cleanlab.filter import find_label_issues
        wrong = find_label_issues(labels=predictions.labels, pred_probs=predictions.pred_probs)
    """
    if not hasattr(estimator, "predict_proba"):
        raise TypeError(
            f"{type(estimator).__name__} has no predict_proba, but labels are compared with "
            "probabilities. Pass CalibratedClassifierCV(estimator, cv=DedupStratifiedKFold())."
        )
    check_not_frozen(estimator)

    texts = check_texts(X)
    row_labels, classes = pd.factorize(check_labels(y, len(texts)), sort=True)
    if len(classes) < 2:
        n_classes = counted(len(classes), "class", "classes")
        raise ValueError(f"y holds {n_classes}: {classes.tolist()}. Pass texts of two or more.")

    codes, _ = first_seen(text_keys(texts, key))
    counts = count_labels(codes, row_labels)
    labels, classes = counts.prevailing(classes)

    if cv is None or isinstance(cv, Integral):
        cv = DedupStratifiedKFold(5 if cv is None else int(cv), key=key)
    row_splits = list(check_cv(cv).split(texts, row_labels, groups))

    first = first_rows(codes)
    distinct = [texts[row] for row in first]
    proba = cross_val_predict(
        estimator,
        distinct,
        labels,
        cv=_splits_of_texts(row_splits, codes, counts.tied),
        n_jobs=n_jobs,
        method="predict_proba",
    )

    rows = np.bincount(codes)
    return OutOfFold(
        texts=distinct,
        classes=classes,
        labels=labels,
        pred_probs=proba,
        rows=rows,
        contradicting=rows - counts.agreeing.astype(np.intp),
        tied=counts.tied,
        first_row=first,
    )


def apply_corrections(X: Any, y: Any, table: pd.DataFrame, *, key: Key = "exact") -> Any:
    """Return labels, corrected as in a table: all rows with a text get its label.

    Parameters
    ----------
    X, y : container of str and array-like, of length n_samples
        The texts and labels that the table was made from.
    table : DataFrame
        Rows of the table of `suspect_labels`, in any order, with "label" corrected. It may have
        been saved to a CSV file or a spreadsheet and read again. A row without a label changes
        nothing.
    key : {"exact", "whitespace", "casefold"} or callable, default="exact"
        As in the call that made the table.

    Returns
    -------
    y_corrected : ndarray or Series of shape (n_samples,)
        A Series with the same index if `y` is one.

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

    if missing := [name for name in ("text", "label", "first_row") if name not in table]:
        raise ValueError(
            f"The table has no column {missing[0]!r}. Keep the columns that suspect_labels wrote."
        )
    codes, distinct = first_seen(text_keys(texts, key))
    classes = pd.unique(labels).tolist()
    class_by_name = _classes_by_name(classes)

    line_by_code: dict[int, Any] = {}
    new = np.empty(len(distinct), dtype=labels.dtype)
    lines = zip(table.index, table["text"], table["label"], table["first_row"], strict=True)
    for line, text, label, row in lines:
        # Spreadsheets change line ends.
        if not (0 <= row < len(texts) and str(text).split() == texts[int(row)].split()):
            hint = ""
            if pd.isna(text):
                hint = " Read files with pd.read_csv(..., keep_default_na=False)."
            raise ValueError(
                f"Row {line} of the table says that row {row} of X has the text "
                f"{short_repr(text)}, which it does not. Pass the X that the table was made "
                f"from.{hint}"
            )

        if pd.isna(label) or (label == "" and "" not in class_by_name):
            continue
        if label not in class_by_name:
            label = str(label).strip()
        if label not in class_by_name:
            raise ValueError(
                f"Row {line} of the table has the label {label!r}, which y does not contain. Its "
                f"labels are {short_repr(classes)}."
            )

        code = int(codes[int(row)])
        if code in line_by_code:
            raise ValueError(
                f"Rows {line_by_code[code]} and {line} of the table have the same text, "
                f"{short_repr(text)}. Keep one."
            )
        line_by_code[code] = line
        new[code] = class_by_name[label]

    corrected = labels.copy()
    is_changed = np.isin(codes, list(line_by_code))
    corrected[is_changed] = new[codes[is_changed]]
    if isinstance(y, pd.Series):
        return pd.Series(corrected, index=y.index, name=y.name)
    return corrected


def _splits_of_texts(
    row_splits: list[tuple[np.ndarray, np.ndarray]], codes: np.ndarray, tied: np.ndarray
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Turn splits of rows into splits of distinct texts, each tested with its first row."""
    fold_of_row = np.full(len(codes), -1)
    for fold, (_, test) in reversed(list(enumerate(row_splits))):
        fold_of_row[test] = fold
    fold_of_text = fold_of_row[first_rows(codes)]
    if (fold_of_text < 0).any():
        row = int(np.flatnonzero(fold_of_text[codes] < 0)[0])
        raise ValueError(
            f"No fold of cv tests row {row}, so its label cannot be checked. Pass folds that test "
            "each row, such as DedupStratifiedKFold()."
        )

    splits = []
    for fold in np.unique(fold_of_text):
        train = np.unique(codes[row_splits[fold][0]])
        train = train[(fold_of_text[train] != fold) & ~tied[train]]
        splits.append((train, np.flatnonzero(fold_of_text == fold)))
    return splits


def _classes_by_name(classes: list[Any]) -> dict[Any, Any]:
    """Return the labels by themselves, and by what files and spreadsheets turn them into."""
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
