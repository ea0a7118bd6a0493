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
from skbert_filter.io.formats import table_format
from skbert_filter.io.reading import open_table
from skbert_filter.io.writing import check_destination, create_table
from skbert_filter.labelling.train import read_labels


def report_duplicates(
    source: str | Path,
    *,
    text: str = "text",
    label: str | None = None,
    encoding: str | None = None,
    key: Key = "exact",
    n_top: int = 10,
) -> DuplicateReport:
    """Report what repeats in a corpus, and which labels contradict each other.

    Parameters
    ----------
    source : str or Path
        What `filter_corpus` reads; with `label`, a table.
    text : str, default="text"
        The column with the texts.
    label : str, default=None
        The column with labels. None: there are none.
    encoding : str, default=None
        What to decode text files from that are not UTF-8, such as "cp1252".
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
    ...     source = Path(folder, "lines.txt")
    ...     _ = source.write_text("View All\\nWe make soap\\nView All\\n")
    ...     report = report_duplicates(source)
    >>> report.rows, report.distinct
    (3, 2)
    """
    if label is None:
        texts, labels = read_texts(source, text=text, encoding=encoding), None
    else:
        texts, labels = read_labels(source, text=text, label=label, encoding=encoding)
    return duplicate_report(texts, labels, key=key, n_top=n_top)


def report_leakage(
    train: str | Path,
    test: str | Path,
    *,
    text: str = "text",
    encoding: str | None = None,
    n_top: int = 3,
) -> LeakageReport:
    """Report how many texts of a test set are in a training set.

    Parameters
    ----------
    train, test : str or Path
        What `filter_corpus` reads.
    text : str, default="text"
        The column with the texts, in both.
    encoding : str, default=None
        What to decode text files from that are not UTF-8, such as "cp1252".
    n_top : int, default=3
        As for :func:`~skbert_filter.leakage_report`.

    Returns
    -------
    report : LeakageReport

    Raises
    ------
    FileNotFoundError, ValueError
        As `report_duplicates`.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from skbert_filter.labelling.files import report_leakage
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     train, test = Path(folder, "train.csv"), Path(folder, "test.csv")
    ...     _ = train.write_text("text\\nView All\\nWe make soap\\n")
    ...     _ = test.write_text("text\\nView all\\nTea\\n")
    ...     report = report_leakage(train, test)
    >>> int(report.leaks.loc["casefold", "test_rows"])
    1
    """
    texts = (read_texts(source, text=text, encoding=encoding) for source in (train, test))
    return leakage_report(*texts, n_top=n_top)


def list_suspects(
    source: str | Path,
    destination: str | Path,
    *,
    text: str = "text",
    label: str = "label",
    encoding: str | None = None,
    estimator: Any = None,
    n: int | None = None,
    n_jobs: int | None = None,
    overwrite: bool = False,
    escape_formulas: bool = False,
) -> pd.DataFrame:
    """Write the labelled texts of a table to another, those most likely wrong first.

    Parameters
    ----------
    source : str or Path
        A CSV or Parquet file with a row for each label.
    destination : str or Path
        The file to write. Correct its column "label", and give it to `correct_labels`.
    text, label : str, default="text" and "label"
        The columns.
    encoding : str, default=None
        What to decode text files from that are not UTF-8, such as "cp1252".
    estimator : classifier, default=None
        What to fit on parts of the labels; None for TF-IDF with logistic regression.
    n : int, default=None
        How many texts to write. None: all.
    n_jobs : int, default=None
        How many fits at a time.
    overwrite : bool, default=False
        Whether to replace a `destination` that exists.
    escape_formulas : bool, default=False
        As for `filter_corpus`: the list can be opened in a spreadsheet.

    Returns
    -------
    table : DataFrame
        As written; see :func:`~skbert_filter.inspection.suspect_labels`.

    Raises
    ------
    FileNotFoundError, FileExistsError, ValueError
        As `report_duplicates`, or if `destination` exists or is `source`, or there are too few
        labels.

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
    source, destination = _check_paths(source, destination, overwrite=overwrite)
    texts, labels = read_labels(source, text=text, label=label, encoding=encoding)
    estimator = tfidf_baseline() if estimator is None else estimator
    table = suspect_labels(estimator, texts, labels, n_jobs=n_jobs).head(n or len(texts))
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
    overwrite: bool = False,
) -> int:
    """Write a table of labels with those of `list_suspects` that were corrected.

    Parameters
    ----------
    source : str or Path
        The labels, as given to `list_suspects`.
    corrections : str or Path
        What that wrote, with the column "label" corrected. Lines may be missing. It may have
        been saved by a spreadsheet, in its encoding and with semicolons.
    destination : str or Path
        The file to write, with all columns of `source`.
    text, label : str, default="text" and "label"
        The columns of `source`.
    encoding : str, default=None
        What to decode a CSV file from that is not UTF-8. None: such a `source` is refused, and
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
    source, destination = _check_paths(source, destination, overwrite=overwrite)
    check_apart(Path(corrections), destination)
    texts, labels = read_labels(source, text=text, label=label, encoding=encoding)
    table = _read_corrections(Path(corrections), texts, encoding)
    try:
        corrected = apply_corrections(texts, labels, table)
    except ValueError as error:
        raise ValueError(f"{error} (The table is {corrections}; its first row is 1.)") from error

    # A label comes from another row that has it: so it is written as there.
    changed = np.flatnonzero(corrected != labels)
    row_with = dict(zip(labels.tolist(), range(len(labels)), strict=True))
    rows = np.arange(len(labels))
    rows[changed] = [row_with[new] for new in corrected[changed].tolist()]
    whole, schema = _read(source, encoding)
    place = schema.get_field_index(label)
    column = whole.column(place).take(pa.array(rows))
    whole = whole.set_column(place, whole.schema.field(place), column)
    with create_table(destination, schema, overwrite=overwrite) as write:
        for batch in whole.to_batches():
            write(batch)
    return len(changed)


def list_next_to_label(
    model: Any,
    source: str | Path,
    destination: str | Path,
    *,
    n: int = 100,
    text: str = "text",
    encoding: str | None = None,
    labelled: str | Path | None = None,
    trust: bool = False,
    overwrite: bool = False,
    escape_formulas: bool = False,
    random_state: int | None = None,
) -> pd.DataFrame:
    """Write the texts of a corpus whose labels would teach a classifier most.

    Parameters
    ----------
    model : classifier or str or Path
        As for `filter_corpus`.
    source : str or Path
        What `filter_corpus` reads.
    destination : str or Path
        The CSV or Parquet file to write, with an empty column "label" to fill.
    n : int, default=100
        How many texts.
    text : str, default="text"
        The column with the texts, also of `labelled`.
    encoding : str, default=None
        What to decode text files from that are not UTF-8, such as "cp1252".
    labelled : str or Path, default=None
        What has labels already, and is left out.
    trust : bool, default=False
        As for `filter_corpus`.
    overwrite : bool, default=False
        Whether to replace a `destination` that exists.
    escape_formulas : bool, default=False
        As for `filter_corpus`: the list can be opened in a spreadsheet.
    random_state : int, default=None
        The seed of the choice.

    Returns
    -------
    table : DataFrame
        As written; see :func:`~skbert_filter.inspection.next_to_label`.

    Raises
    ------
    FileNotFoundError, FileExistsError, ValueError
        As `list_suspects` and `filter_corpus`, or if the model has no `predict_proba`.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from skbert_filter.inspection import WordCountRule
    >>> from skbert_filter.labelling.files import list_next_to_label
    >>> rule = WordCountRule().fit(["View All", "We make steel tools"], [0, 1])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     source = Path(folder, "lines.txt")
    ...     _ = source.write_text("Contact us now\\nMenu\\nWe build large boats for you\\n")
    ...     table = list_next_to_label(rule, source, Path(folder, "next.csv"), n=2)
    >>> table.columns.tolist()
    ['text', 'label', 'suggested', 'probability', 'rows', 'score', 'first_row']
    """
    source, destination = _check_paths(source, destination, overwrite=overwrite)
    if labelled is not None:
        check_apart(Path(labelled), destination)
    classifier = load_classifier(model, trust=trust)
    if not hasattr(classifier, "predict_proba"):
        raise ValueError(
            f"{model_name(model)} has no predict_proba, which tells how sure it is of a text. Pass "
            "one that has, such as CalibratedClassifierCV(FrozenEstimator(model)), fitted."
        )
    done = None
    if labelled is not None:
        done = read_texts(labelled, text=text, encoding=encoding)
    corpus = read_texts(source, text=text, encoding=encoding)
    table = next_to_label(classifier, corpus, n, labelled=done, random_state=random_state)
    table.insert(1, "label", pd.Series([None] * len(table), dtype=object))
    _write(table, destination, overwrite=overwrite, escape_formulas=escape_formulas)
    return table


def read_texts(
    source: str | Path, *, text: str = "text", encoding: str | None = None
) -> pa.ChunkedArray:
    """Read all texts of a corpus into Arrow's memory.

    Parameters
    ----------
    source : str or Path
        What `filter_corpus` reads.
    text : str, default="text"
        The column with the texts.
    encoding : str, default=None
        What to decode text files from that are not UTF-8, such as "cp1252".

    Returns
    -------
    texts : pyarrow.ChunkedArray of str

    Raises
    ------
    FileNotFoundError, ValueError
        As `report_duplicates`.
    """
    return pa.chunked_array(list(text_arrays(source, text, encoding=encoding)), pa.large_string())


def _check_paths(
    source: str | Path, destination: str | Path, *, overwrite: bool
) -> tuple[Path, Path]:
    source, destination = Path(source), Path(destination)
    table_format(destination)
    check_apart(source, destination)
    check_destination(destination, overwrite=overwrite)
    return source, destination


def _read(path: Path, encoding: str | None = None) -> tuple[pa.Table, pa.Schema]:
    """Return a table, and its columns as the file has them."""
    with open_table(path, encoding=encoding) as reader:
        batches = [batch for batch, _ in reader.batches]
    schema = batches[0].schema if batches else reader.schema
    return pa.Table.from_batches(batches, schema), reader.schema


def _read_corrections(path: Path, texts: list[str], encoding: str | None) -> pd.DataFrame:
    """Return a list of `list_suspects`, numbered from 1, as whatever program has saved it."""
    saved_as = "utf-8"
    if table_format(path).kind == "parquet":
        table = _read(path)[0].to_pandas()
    else:
        content = _decompressed(path)
        try:
            text = content.decode("utf-8-sig")
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


def _decompressed(path: Path) -> bytes:
    if not path.is_file():
        raise FileNotFoundError(f"There is no file {path}. Check the path.")
    with pa.input_stream(str(path), compression=table_format(path).compression) as stream:
        return stream.read()


def _write(frame: pd.DataFrame, path: Path, *, overwrite: bool, escape_formulas: bool) -> None:
    table = pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata()
    nothing = [i for i, field in enumerate(table.schema) if pa.types.is_null(field.type)]
    for i in nothing:
        name = table.schema.field(i).name
        table = table.set_column(i, name, table.column(i).cast(pa.string()))
    with create_table(
        path, table.schema, overwrite=overwrite, escape_formulas=escape_formulas
    ) as write:
        for batch in table.to_batches():
            write(batch)
