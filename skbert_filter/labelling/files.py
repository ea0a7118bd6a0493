"""Reports on files of texts and labels: repeats, leaks, likely errors, what to label next."""

from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from skbert_filter.corpus.classifiers import load_classifier, model_name
from skbert_filter.corpus.sources import text_arrays
from skbert_filter.duplicates.keys import Key
from skbert_filter.duplicates.leakage import LeakageReport, leakage_report
from skbert_filter.duplicates.reports import DuplicateReport, duplicate_report
from skbert_filter.inspection.baselines import tfidf_baseline
from skbert_filter.inspection.labelling import next_to_label
from skbert_filter.inspection.suspects import suspect_labels
from skbert_filter.io.formats import table_format
from skbert_filter.io.remote import as_path
from skbert_filter.io.writing import write_table
from skbert_filter.labelling.label_table import check_classes, read_label_table
from skbert_filter.labelling.tables import check_place, read_label_file, with_types


def report_duplicates(
    *sources: str | Path,
    text: str = "text",
    label: str | None = None,
    encoding: str | None = None,
    delimiter: str | None = None,
    key: Key = "exact",
    n_top: int = 10,
) -> DuplicateReport:
    """Report what repeats in a corpus, and which labels conflict.

    Parameters
    ----------
    *sources : str or Path
        What `filter_corpus` reads; with `label`, files as `train_filter` reads them.
    text, label : str, default="text" and None
        The columns with the texts and, if there are any, the labels.
    encoding : str, default=None
        The encoding of text files that are not UTF-8, such as "cp1252".
    delimiter : str, default=None
        The delimiter of text files. None: the comma in ``.csv`` and the tab in ``.tsv``; or, if the
        header has none, its semicolon, tab or bar.
    key, n_top
        As for :func:`~skbert_filter.duplicate_report`.

    Returns
    -------
    report : DuplicateReport

    Raises
    ------
    FileNotFoundError, ValueError
        If a file is missing or damaged, or lacks a column or a value.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from skbert_filter.labelling.files import report_duplicates
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = Path(folder, "lines.txt").write_text("View All\\nWe make soap\\nView All\\n")
    ...     report = report_duplicates(f"{folder}/lines.txt")
    >>> report.rows, report.distinct
    (3, 2)
    """
    options: dict[str, Any] = {"text": text, "encoding": encoding, "delimiter": delimiter}
    if label is not None:
        table = read_label_table(*sources, label=label, **options)
        return duplicate_report(table.texts, table.labels, key=key, n_top=n_top)
    batches = [batch for source in sources for batch in read_texts(source, **options).chunks]
    texts = pa.chunked_array(batches, pa.large_string())
    return duplicate_report(texts, key=key, n_top=n_top)


def report_leakage(
    train: str | Path,
    test: str | Path,
    *,
    text: str = "text",
    encoding: str | None = None,
    delimiter: str | None = None,
    n_top: int = 3,
) -> LeakageReport:
    """Report how many texts of a test set are in a training set.

    Parameters
    ----------
    train, test : str or Path
        What `filter_corpus` reads.
    text, encoding, delimiter, n_top
        As for `report_duplicates`.

    Returns
    -------
    report : LeakageReport

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from skbert_filter.labelling.files import report_leakage
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = Path(folder, "train.txt").write_text("View All\\nWe make soap\\n")
    ...     _ = Path(folder, "test.txt").write_text("View all\\nTea\\n")
    ...     report = report_leakage(f"{folder}/train.txt", f"{folder}/test.txt")
    >>> int(report.leaks.loc["casefold", "test_rows"])
    1
    """
    texts = (
        read_texts(source, text=text, encoding=encoding, delimiter=delimiter)
        for source in (train, test)
    )
    return leakage_report(*texts, n_top=n_top)


def list_suspects(
    source: str | Path,
    destination: str | Path,
    *,
    text: str = "text",
    label: str = "label",
    encoding: str | None = None,
    delimiter: str | None = None,
    estimator: Any = None,
    n: int | None = None,
    n_jobs: int | None = None,
    overwrite: bool = False,
    escape_formulas: bool = False,
) -> pd.DataFrame:
    """Write a table of labelled texts, the most likely label errors first.

    Parameters
    ----------
    source, text, label, encoding, delimiter
        As for `train_filter`.
    destination : str or Path
        The table to write. Correct its column "label", and pass it to
        :func:`~skbert_filter.labelling.corrections.correct_labels`.
    estimator : classifier, default=None
        What to fit on parts of the labels; None for TF-IDF with logistic regression.
    n, n_jobs : int, default=None
        How many texts to write, None for all, and how many fits to run at once.
    overwrite, escape_formulas
        As for `filter_corpus`. Escape formulas if the list is opened in a spreadsheet.

    Returns
    -------
    table : DataFrame
        As written; see :func:`~skbert_filter.inspection.suspect_labels`.

    Raises
    ------
    FileNotFoundError, FileExistsError, ValueError
        As `report_duplicates`, or if `destination` exists or there are too few labels.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import pandas as pd
    >>> from skbert_filter.datasets import make_website_snippets
    >>> from skbert_filter.labelling.corrections import correct_labels
    >>> from skbert_filter.labelling.files import list_suspects
    >>> X, y = make_website_snippets(300, random_state=0)
    >>> y[X == "Read more"] = 1
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     labels, suspects = Path(folder, "labels.csv"), Path(folder, "suspects.csv")
    ...     pd.DataFrame({"text": X, "label": y}).to_csv(labels, index=False)
    ...     table = list_suspects(labels, suspects, n=2)
    ...     _ = suspects.write_text(suspects.read_text().replace('"Read more",1', '"Read more",0'))
    ...     correct_labels(labels, suspects, Path(folder, "corrected.csv"))
    2
    """
    destination = as_path(destination)
    table_format(destination)
    check_place(destination, as_path(source), overwrite=overwrite)
    labels = read_label_table(
        source, text=text, label=label, encoding=encoding, delimiter=delimiter
    )
    check_classes(labels)
    estimator = tfidf_baseline() if estimator is None else estimator
    table = suspect_labels(estimator, labels.texts, labels.labels, n_jobs=n_jobs).iloc[:n]
    # Rows of the file: `labels` lacks those with a blank label.
    table["first_row"] = labels.rows[table["first_row"]]
    _write(table, destination, overwrite=overwrite, escape_formulas=escape_formulas)
    return table


def list_next_to_label(
    model: Any,
    source: str | Path,
    destination: str | Path,
    *,
    n: int = 100,
    text: str = "text",
    label: str = "label",
    encoding: str | None = None,
    delimiter: str | None = None,
    labelled: str | Path | None = None,
    trust: bool = False,
    overwrite: bool = False,
    escape_formulas: bool = False,
    random_state: int | None = None,
) -> pd.DataFrame:
    """Write the texts of a corpus whose labels would teach a classifier most.

    Parameters
    ----------
    model, source, text, encoding, trust, overwrite, escape_formulas
        As for :func:`~skbert_filter.filter_corpus`.
    delimiter
        As for `report_duplicates`.
    destination : str or Path
        The table to write, with its texts in the column `text`.
    label : str, default="label"
        The empty column to fill in: `train_filter` then reads the table along with others.
    n : int, default=100
        How many texts.
    labelled : str or Path, default=None
        What is labelled already, and is excluded. Its texts are in the column `text` too.
    random_state : int, default=None
        Seed of the choice.

    Returns
    -------
    table : DataFrame
        As written; see :func:`~skbert_filter.inspection.next_to_label`.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from skbert_filter.inspection import WordCountRule
    >>> from skbert_filter.labelling.files import list_next_to_label
    >>> rule = WordCountRule().fit(["View All", "We make steel tools"], [0, 1])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = Path(folder, "lines.txt").write_text("Contact us now\\nMenu\\nWe build boats\\n")
    ...     table = list_next_to_label(rule, f"{folder}/lines.txt", f"{folder}/next.csv", n=2)
    >>> table.columns.tolist()
    ['text', 'label', 'suggested', 'probability', 'rows', 'score', 'first_row']
    """
    destination = as_path(destination)
    sources = [source] if labelled is None else [source, labelled]
    table_format(destination)
    check_place(destination, *map(as_path, sources), overwrite=overwrite)
    classifier = load_classifier(model, trust=trust)
    if not hasattr(classifier, "predict_proba"):
        raise ValueError(
            f"{model_name(model)} lacks predict_proba, so it cannot report how sure it is of a "
            "text. Pass a model with it, such as a fitted "
            "CalibratedClassifierCV(FrozenEstimator(model))."
        )

    options: dict[str, Any] = {"text": text, "encoding": encoding, "delimiter": delimiter}
    excluded: Any = None
    if labelled is not None and as_path(labelled).suffix.lower() == ".xlsx":
        excluded = read_label_file(as_path(labelled), text)[0][text]
    elif labelled is not None:
        excluded = read_texts(labelled, **options)
    corpus = read_texts(source, **options)
    table = next_to_label(classifier, corpus, n, labelled=excluded, random_state=random_state)
    table = table.rename(columns={"text": text})
    table.insert(1, label, None)
    _write(table, destination, overwrite=overwrite, escape_formulas=escape_formulas)
    return table


def read_texts(
    source: str | Path,
    *,
    text: str = "text",
    encoding: str | None = None,
    delimiter: str | None = None,
) -> pa.ChunkedArray:
    """Read all texts of a corpus into memory, as an Arrow array.

    Parameters
    ----------
    source, text, encoding, delimiter
        As for `report_duplicates`.

    Returns
    -------
    texts : pyarrow.ChunkedArray of str
    """
    batches = text_arrays(source, text, encoding=encoding, delimiter=delimiter)
    return pa.chunked_array(list(batches), pa.large_string())


def _write(frame: pd.DataFrame, path: Path, **options: bool) -> None:
    table = pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata()
    write_table(with_types(table), path, **options)
