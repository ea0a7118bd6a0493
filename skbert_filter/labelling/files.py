"""Questions about texts and labels that are in files: what repeats, what is wrong, what is next."""

import codecs
import io
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from skbert_filter.corpus.classifiers import load_classifier, model_name
from skbert_filter.corpus.sources import check_apart, text_arrays
from skbert_filter.duplicates.keys import Key
from skbert_filter.duplicates.leakage import LeakageReport, leakage_report
from skbert_filter.duplicates.reports import DuplicateReport, duplicate_report
from skbert_filter.inspection.baselines import tfidf_baseline
from skbert_filter.inspection.labelling import next_to_label
from skbert_filter.inspection.suspects import apply_corrections, suspect_labels
from skbert_filter.io.columns import check_column
from skbert_filter.io.formats import find_format, table_format
from skbert_filter.io.reading import local_copy
from skbert_filter.io.remote import as_path
from skbert_filter.io.writing import check_new_file, write_table
from skbert_filter.labelling.label_table import read_label_table
from skbert_filter.labelling.tables import check_can_relabel, read_label_file, write_relabelled


def report_duplicates(
    source: str | Path,
    *,
    text: str = "text",
    label: str | None = None,
    encoding: str | None = None,
    delimiter: str | None = None,
    key: Key = "exact",
    n_top: int = 10,
) -> DuplicateReport:
    """Report what repeats in a corpus, and which labels contradict each other.

    Parameters
    ----------
    source : str or Path
        What `filter_corpus` reads; with `label`, a table.
    text, label : str, default="text" and None
        The columns with the texts, and with the labels if there are any.
    encoding : str, default=None
        What to decode text files from that are not UTF-8, such as "cp1252".
    delimiter : str, default=None
        What stands between the values of text files. None: the comma of ``.csv`` and the tab of
        ``.tsv``, or the semicolon, tab or bar of a line of column names without it.
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
    if label is None:
        texts, labels = read_texts(source, text=text, encoding=encoding, delimiter=delimiter), None
    else:
        table = read_label_table(
            source, text=text, label=label, encoding=encoding, delimiter=delimiter
        )
        texts, labels = table.texts, table.labels
    return duplicate_report(texts, labels, key=key, n_top=n_top)


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
    """Write the labelled texts of a table to another, those most likely wrong first.

    Parameters
    ----------
    source, text, label, encoding, delimiter
        As for `train_filter`.
    destination : str or Path
        The table to write. Correct its column "label", and give it to `correct_labels`.
    estimator : classifier, default=None
        What to fit on parts of the labels; None for TF-IDF with logistic regression.
    n, n_jobs : int, default=None
        How many texts to write, None for all, and how many fits to run at a time.
    overwrite, escape_formulas
        As for `filter_corpus`: with the latter the list can be opened in a spreadsheet.

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
    >>> from skbert_filter.labelling.files import correct_labels, list_suspects
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
    _check_place(destination, as_path(source), overwrite=overwrite)
    known = read_label_table(source, text=text, label=label, encoding=encoding, delimiter=delimiter)
    estimator = tfidf_baseline() if estimator is None else estimator
    table = suspect_labels(estimator, known.texts, known.labels, n_jobs=n_jobs)
    table = table.head(n or len(table))
    # Of the file, whose blank labels were dropped.
    table["first_row"] = known.rows[table["first_row"]]
    _write(table, destination, overwrite=overwrite, escape_formulas=escape_formulas)
    return table


def correct_labels(
    source: str | Path,
    corrections: str | Path,
    destination: str | Path,
    *,
    text: str = "text",
    label: str = "label",
    encoding: str | None = None,
    delimiter: str | None = None,
    overwrite: bool = False,
) -> int:
    """Write a table of labels with those of `list_suspects` that were corrected.

    Parameters
    ----------
    source, text, label, delimiter
        The labels, as given to `list_suspects`.
    corrections : str or Path
        What that wrote, with the column "label" corrected. Lines may be missing. It may have
        been saved by a spreadsheet, in its encoding and with semicolons, or as ``.xlsx``.
    destination : str or Path
        The table to write, with all columns of `source`. A workbook keeps its formats and its other
        sheets, and JSON Lines are changed where a label is.
    encoding : str, default=None
        What to decode a file from that is not UTF-8. None: such a `source` is refused, and
        `corrections` are taken for Windows-1252.
    overwrite : bool, default=False
        Whether to replace a `destination` that exists.

    Returns
    -------
    n_changed : int
        How many rows have another label now.

    Raises
    ------
    FileNotFoundError, FileExistsError, ValueError
        As `list_suspects`, or if the corrections are not of these labels.

    Examples
    --------
    See `list_suspects`.
    """
    source, destination, corrections = map(as_path, (source, destination, corrections))
    check_can_relabel(source, destination)
    _check_place(destination, source, corrections, overwrite=overwrite)
    known = read_label_table(source, text=text, label=label, encoding=encoding, delimiter=delimiter)
    whole, _ = read_label_file(source, text, encoding=encoding, delimiter=delimiter)
    table = _read_corrections(corrections, whole[text].to_pylist(), encoding)
    place = {row: i for i, row in enumerate(known.rows.tolist())}
    table["first_row"] = [place.get(row, -1) for row in table["first_row"]]
    try:
        corrected = apply_corrections(known.texts, known.labels, table)
    except ValueError as error:
        raise ValueError(f"{error} (The table is {corrections}; its first row is 1.)") from error

    # A label comes from another row that has it: so it is written as there.
    changed = np.flatnonzero(corrected != known.labels)
    row_with = dict(zip(known.labels.tolist(), known.rows, strict=True))
    taken_from = np.arange(len(whole))
    taken_from[known.rows[changed]] = [row_with[new] for new in corrected[changed].tolist()]
    write_relabelled(
        source,
        destination,
        label,
        taken_from,
        text=text,
        encoding=encoding,
        delimiter=delimiter,
        overwrite=overwrite,
    )
    return len(changed)


def list_next_to_label(
    model: Any,
    source: str | Path,
    destination: str | Path,
    *,
    n: int = 100,
    text: str = "text",
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
        The table to write, with an empty column "label" to fill.
    n : int, default=100
        How many texts.
    labelled : str or Path, default=None
        What has labels already, and is dropped. Its texts are in the column `text` too.
    random_state : int, default=None
        The seed of the choice.

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
    _check_place(destination, *map(as_path, sources), overwrite=overwrite)
    classifier = load_classifier(model, trust=trust)
    if not hasattr(classifier, "predict_proba"):
        raise ValueError(
            f"{model_name(model)} lacks predict_proba, which says how sure it is of a text. Pass "
            "one that has it, such as CalibratedClassifierCV(FrozenEstimator(model)), fitted."
        )

    options: dict[str, Any] = {"text": text, "encoding": encoding, "delimiter": delimiter}
    done = None if labelled is None else read_texts(labelled, **options)
    corpus = read_texts(source, **options)
    table = next_to_label(classifier, corpus, n, labelled=done, random_state=random_state)
    table.insert(1, "label", None)
    _write(table, destination, overwrite=overwrite, escape_formulas=escape_formulas)
    return table


def read_texts(
    source: str | Path,
    *,
    text: str = "text",
    encoding: str | None = None,
    delimiter: str | None = None,
) -> pa.ChunkedArray:
    """Read all texts of a corpus into Arrow's memory.

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


def _check_place(destination: Path, *sources: Path, overwrite: bool) -> None:
    """Refuse an output that cannot be written, or would replace what is read."""
    for source in sources:
        check_apart(source, destination)
    check_new_file(destination, overwrite=overwrite)


def _read_corrections(path: Path, texts: list[str], encoding: str | None) -> pd.DataFrame:
    """Return a list of `list_suspects`, numbered from 1, as whatever program has saved it."""
    table, saved_as = _read_saved(path, encoding)
    for name in ("text", "label", "first_row"):
        check_column(pa.schema([(str(column), pa.null()) for column in table]), name, path)

    table.index = pd.RangeIndex(1, len(table) + 1)
    table = table[(table[["text", "label", "first_row"]] != "").any(axis=1)]
    rows = pd.to_numeric(table["first_row"], errors="coerce")
    if len(wrong := table.index[rows % 1 != 0]):
        raise ValueError(
            f"Row {wrong[0]} of {path} (the first is 1) has {table['first_row'][wrong[0]]!r} in "
            "the column 'first_row', which is not the number of a row. Keep the column as "
            "list_suspects wrote it."
        )
    table = table.assign(first_row=rows.astype(int))

    # A spreadsheet writes "?" for letters that its encoding lacks, and it may have been given texts
    # with an apostrophe before formulas.
    for line, row in table["first_row"].items():
        original = texts[row] if row < len(texts) else ""
        as_saved = original.encode(saved_as, "replace").decode(saved_as).split()
        found = str(table.at[line, "text"])
        if as_saved in (found.split(), found.removeprefix("'").split()):
            table.at[line, "text"] = original
    return table


def _read_saved(path: Path, encoding: str | None) -> tuple[pd.DataFrame, str]:
    """Return a table as a spreadsheet may have saved it, and its encoding."""
    known = find_format(path)
    if known is None or known.kind != "csv":
        table, _ = read_label_file(path, "text")
        if known is not None and known.kind == "parquet":
            return table.to_pandas(), "utf-8"
        cells = table.to_pandas().astype(object)
        return cells.where(cells.notna(), "").map(str), "utf-8"
    if not path.is_file():
        raise FileNotFoundError(f"There is no file {path}. Check the path.")
    with local_copy(path) as local, pa.input_stream(str(local), known.compression) as stream:
        content = stream.read()

    saved_as = "utf-8-sig"
    try:
        text = content.decode(saved_as)
    except UnicodeDecodeError:
        is_utf16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        saved_as = encoding or ("utf-16" if is_utf16 else "cp1252")
        text = content.decode(saved_as, "replace")

    header = text.partition("\n")[0]
    delimiter = max(",;\t", key=header.count)
    try:
        table = pd.read_csv(
            io.StringIO(text), sep=delimiter, dtype=str, keep_default_na=False, index_col=False
        )
    except ValueError as error:
        raise ValueError(f"{path} is not a table: {error}") from error
    return table, saved_as


def _write(frame: pd.DataFrame, path: Path, **options: bool) -> None:
    table = pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata()
    # A column without any value has no type.
    fields = [f.with_type(pa.string()) if pa.types.is_null(f.type) else f for f in table.schema]
    write_table(table.cast(pa.schema(fields)), path, **options)
