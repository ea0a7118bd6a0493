"""Labelled texts, read from whatever files, columns and spellings people keep them in."""

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from skbert_filter.io.columns import check_column, check_no_nulls, check_text_column
from skbert_filter.io.decoding import check_encoding
from skbert_filter.io.remote import as_path
from skbert_filter.labelling.tables import read_label_file
from skbert_filter.printing import counted, printable
from skbert_filter.validation import useful_label

__all__ = ["LabelTable", "read_label_table", "read_labels"]

HELD_OUT = "held_out"

# Whole numbers as int() prints them, since "01" is a code that must not equal "1"; also "1.0", as
# pandas writes them in a column with blanks.
_WHOLE_NUMBER = re.compile(r"(0|-?[1-9][0-9]{0,17})(?:\.0+)?")


@dataclass(frozen=True)
class LabelTable:
    """Labelled texts from one file or several.

    Attributes
    ----------
    sources : tuple of str
        The files.
    texts : list of str
    labels : ndarray of shape (n_rows,)
        All of one type: int if they are whole numbers, even if written as text.
    rows : ndarray of int of shape (n_rows,)
        The row of each text in its file, from 0. Rows with a blank label are missing.
    blank : int
        Number of rows without a label, which are dropped.
    held_out : ndarray of bool of shape (n_rows,)
        The column "held_out", as `label_texts` writes it; False without that column.
    groups : ndarray of str of shape (n_rows,) or None
        The page, firm or other source of each text.
    spellings : dict of label to dict of str to int
        How often each spelling of a label occurs, for labels with several.
    """

    sources: tuple[str, ...]
    texts: list[str]
    labels: np.ndarray
    rows: np.ndarray
    blank: int
    held_out: np.ndarray
    groups: np.ndarray | None = None
    spellings: dict[Any, dict[str, int]] = field(default_factory=dict)

    def notes(self) -> list[str]:
        """Return a sentence on blank labels, and one for each label with several spellings."""
        sentences = []
        if self.blank:
            sentences.append(f"{counted(self.blank, 'row has', 'rows have')} no label: dropped.")
        for label, spellings in self.spellings.items():
            counts = ", ".join(f"{text!r} ({n:,})" for text, n in spellings.items())
            sentences.append(f"Read as {printable(label)}: {counts}.")
        return sentences


def check_classes(table: LabelTable) -> None:
    """Reject labels that teach nothing: all the same, or nearly all different."""
    labels, names = set(table.labels.tolist()), ", ".join(table.sources)
    if len(labels) == 1:
        raise ValueError(
            f"All labels of {names} are {labels.pop()!r}. Label texts of another class too: "
            "skbert-filter label."
        )
    if len(labels) > max(2, len(table.labels) / 2):
        raise ValueError(
            f"{names} has {len(labels):,} different labels in {counted(len(table.labels), 'row')}. "
            "Name the column with the labels."
        )


def read_label_table(
    *sources: str | Path,
    text: str = "text",
    label: str = "label",
    groups: str | None = None,
    encoding: str | None = None,
    delimiter: str | None = None,
    as_is: bool = False,
) -> LabelTable:
    """Read labelled texts from tables.

    Parameters
    ----------
    *sources : str or Path
        Files or URLs: ``.csv``, ``.tsv``, ``.jsonl`` (also with ``.gz`` or ``.zst``), ``.parquet``
        and, with the extra ``excel``, the first sheet of an ``.xlsx`` file.
    text, label : str, default="text" and "label"
        The columns. Rows without a label are dropped.
    groups : str, default=None
        A column with the page, firm or other source of each text.
    encoding : str, default=None
        The encoding of files that are not UTF-8, such as "cp1252".
    delimiter : str, default=None
        The delimiter of text files. None: the comma in ``.csv`` and the tab in ``.tsv``; or, if the
        header has none, its semicolon, tab or bar.
    as_is : bool, default=False
        Whether "Keep", "keep " and "KEEP" are different labels.

    Returns
    -------
    table : LabelTable

    Raises
    ------
    FileNotFoundError, ImportError, ValueError
        If a file is missing or damaged, lacks a column or a text, or has no labels.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from skbert_filter.labelling.label_table import read_label_table
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = Path(folder, "a.csv").write_text("text;label\\nView All;Keep\\nNA;keep\\nTea;\\n")
    ...     table = read_label_table(Path(folder, "a.csv"))
    >>> table.texts, table.labels.tolist(), table.blank
    (['View All', 'NA'], ['Keep', 'Keep'], 1)
    """
    check_encoding(encoding)
    columns: dict[str, list[Any]] = defaultdict(list)
    files = list(map(as_path, sources))
    for file in files:
        table, _ = read_label_file(file, text, encoding=encoding, delimiter=delimiter)
        for name, values in label_columns(table, file, text, label, groups).items():
            columns[name] += values
        columns["file"] += [str(file)] * len(table)

    names = ", ".join(map(str, files))
    labels = columns["label"]
    labelled = [i for i, value in enumerate(labels) if not is_blank(value)]
    if not labelled:
        missing = f"no label in column {label!r}" if labels else "no rows"
        raise ValueError(f"{names} has {missing}. Label some texts first: skbert-filter label.")
    kept = {name: [values[i] for i in labelled] for name, values in columns.items()}

    typed, spellings = typed_labels(kept["label"], as_is=as_is)
    if not as_is:
        _check_same_names(typed, np.array(kept["file"]))
    return LabelTable(
        sources=tuple(map(str, files)),
        texts=kept["text"],
        labels=typed,
        rows=np.array(kept["row"]),
        blank=len(labels) - len(labelled),
        held_out=np.array(list(map(is_held_out, kept["held_out"]))),
        groups=np.array(list(map(str, kept["groups"]))) if groups is not None else None,
        spellings=spellings,
    )


def read_labels(*sources: str | Path, **options: Any) -> tuple[list[str], np.ndarray]:
    """Read labelled texts from tables, and return just these.

    Parameters
    ----------
    *sources, **options
        As for `read_label_table`.

    Returns
    -------
    texts : list of str
    labels : ndarray of shape (n_rows,)
    """
    table = read_label_table(*sources, **options)
    return table.texts, table.labels


def label_columns(
    table: pa.Table, source: Path, text: str, label: str, groups: str | None = None
) -> dict[str, list[Any]]:
    """Return the checked columns of one file as lists, and its row numbers."""
    check_text_column(table.schema, text, source)
    check_column(table.schema, label, source)
    check_no_nulls(table.column(text), text, source, first_row=1)

    columns = {
        "text": table.column(text).to_pylist(),
        "label": table.column(label).to_pylist(),
        "row": list(range(len(table))),
        "held_out": [None] * len(table),
    }
    for row, value in enumerate(columns["label"], 1):
        if not (is_blank(value) or _is_label(value)):
            raise ValueError(
                f"Row {row} of {source} (the first is 1) has {value!r} in column {label!r}, which "
                "is not a label. Name the column with the labels."
            )
    if HELD_OUT in table.schema.names:
        check_column(table.schema, HELD_OUT, source)
        columns["held_out"] = table.column(HELD_OUT).to_pylist()
    if groups is not None:
        check_column(table.schema, groups, source)
        check_no_nulls(table.column(groups), groups, source, first_row=1)
        columns["groups"] = table.column(groups).to_pylist()
    return columns


def _check_same_names(labels: np.ndarray, files: np.ndarray) -> None:
    """Reject files that name their labels differently, such as 0 and 1, and discard and keep."""
    named = {
        useful: file
        for file in dict.fromkeys(files.tolist())
        if (useful := useful_label(set(labels[files == file].tolist()))) is not None
    }
    if len(named) > 1:
        (one, its_file), (other, other_file), *_ = named.items()
        raise ValueError(
            f"The label of useful texts is {one!r} in {its_file} and {other!r} in {other_file}. "
            "Use the same names in all files, or pass as_is=True (--labels-as-is) if they are "
            "different labels."
        )


def is_blank(value: Any) -> bool:
    """Whether a label is missing."""
    return value is None or value != value or (isinstance(value, str) and not value.strip())


def is_held_out(value: Any) -> bool:
    """Whether the column "held_out" marks a row."""
    return str(value).lower() in ("true", "1", "yes")


def _is_label(value: Any) -> bool:
    if isinstance(value, float | Decimal):
        return isfinite(value) and value == int(value) and -(2**63) <= value < 2**63
    return isinstance(value, str | int)


def typed_labels(
    labels: Sequence[Any], *, as_is: bool
) -> tuple[np.ndarray, dict[Any, dict[str, int]]]:
    """Return labels as an array, and the spellings that were merged.

    Words are spelled as in most rows. Numbers that are written as text become int.
    """
    if not isinstance(labels[0], str):
        return np.array([int(v) if isinstance(v, Decimal) else v for v in labels]), {}
    if as_is:
        return np.array(labels, dtype=object), {}
    numbers = [_WHOLE_NUMBER.fullmatch(str(label).strip()) for label in labels]
    if all(numbers):
        return np.array([int(number[1]) for number in numbers if number]), {}

    names = [label.strip().casefold() for label in labels]
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for name, label in zip(names, labels, strict=True):
        counts[name][label] += 1
    usual = {name: by_label.most_common(1)[0][0].strip() for name, by_label in counts.items()}
    spellings = {
        usual[name]: dict(by_label) for name, by_label in counts.items() if len(by_label) > 1
    }
    return np.array([usual[name] for name in names], dtype=object), spellings
