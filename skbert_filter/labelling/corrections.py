"""Apply a list of likely label errors, corrected in whatever program, to the table of labels."""

import codecs
import io
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from skbert_filter.inspection.suspects import apply_corrections
from skbert_filter.io.columns import check_column
from skbert_filter.io.formats import find_format
from skbert_filter.io.reading import local_copy
from skbert_filter.io.remote import as_path
from skbert_filter.labelling.label_table import HELD_OUT, read_label_table
from skbert_filter.labelling.tables import (
    check_can_relabel,
    check_place,
    read_label_file,
    write_relabelled,
)

__all__ = ["correct_labels"]


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
    """Write a table of labels again, with the corrections made in a list of `list_suspects`.

    Parameters
    ----------
    source, text, label, delimiter
        As passed to `list_suspects`.
    corrections : str or Path
        The list, with its column "label" corrected. Rows may be missing. A spreadsheet may have
        saved it in its own encoding, with semicolons, or as ``.xlsx``.
    destination : str or Path
        The table to write, with all columns of `source`. A workbook keeps its formats and other
        sheets, and JSON Lines change only where a label does.
    encoding : str, default=None
        The encoding of files that are not UTF-8. None: such a `source` is rejected, and
        `corrections` are read as Windows-1252.
    overwrite : bool, default=False
        Whether to replace a `destination` that exists.

    Returns
    -------
    n_changed : int
        How many rows have another label now.

    Raises
    ------
    FileNotFoundError, FileExistsError, ValueError
        As `list_suspects`, or if the corrections do not belong to these labels.

    Examples
    --------
    See :func:`~skbert_filter.labelling.files.list_suspects`.
    """
    source, destination, corrections = map(as_path, (source, destination, corrections))
    check_can_relabel(source, destination, text, label, HELD_OUT)
    check_place(destination, source, corrections, overwrite=overwrite)
    options: dict[str, Any] = {"text": text, "encoding": encoding, "delimiter": delimiter}
    table = read_label_table(source, label=label, **options)
    whole, _ = read_label_file(source, **options)
    suspects = _read_corrections(corrections, whole[text].to_pylist(), encoding)
    # Rows of the file become positions among the labelled ones.
    position = {row: i for i, row in enumerate(table.rows.tolist())}
    suspects["first_row"] = [position.get(row, -1) for row in suspects["first_row"]]
    try:
        corrected = apply_corrections(table.texts, table.labels, suspects)
    except ValueError as error:
        raise ValueError(f"{error} (The table is {corrections}; its first row is 1.)") from error

    # A new label is copied from a row that has it, and so spelled as in the file.
    changed = np.flatnonzero(corrected != table.labels)
    row_with = dict(zip(table.labels.tolist(), table.rows, strict=True))
    taken_from = np.arange(len(whole))
    taken_from[table.rows[changed]] = [row_with[new] for new in corrected[changed].tolist()]
    write_relabelled(source, destination, label, taken_from, overwrite=overwrite, **options)
    return len(changed)


def _read_corrections(path: Path, texts: list[str], encoding: str | None) -> pd.DataFrame:
    """Return a list of `list_suspects`, its rows numbered from 1, its texts those of the source."""
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

    # Undo what happens to texts in a spreadsheet: "?" for characters that its encoding lacks, other
    # white space, and the apostrophe of escaped formulas.
    for line, row in table["first_row"].items():
        original = texts[row] if row < len(texts) else ""
        expected = original.encode(saved_as, "replace").decode(saved_as).split()
        saved = str(table.at[line, "text"])
        if expected in (saved.split(), saved.removeprefix("'").split()):
            table.at[line, "text"] = original
    return table


def _read_saved(path: Path, encoding: str | None) -> tuple[pd.DataFrame, str]:
    """Return a table in any format that a spreadsheet may have saved, and its encoding."""
    format_ = find_format(path)
    if format_ is None or format_.kind != "csv":
        table = read_label_file(path, "text")[0].to_pandas()
        if format_ is None or format_.kind != "parquet":
            table = table.astype(object).where(table.notna(), "").map(str)
        return table, "utf-8"
    if not path.is_file():
        raise FileNotFoundError(f"There is no file {path}. Check the path.")
    with local_copy(path) as local, pa.input_stream(str(local), format_.compression) as stream:
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
