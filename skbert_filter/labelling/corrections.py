"""A list of likely label errors, corrected in whatever program, back into the table of labels."""

import codecs
import io
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from skbert_filter.inspection.suspects import apply_corrections
from skbert_filter.io.columns import check_column
from skbert_filter.io.formats import find_format
from skbert_filter.io.reading import local_copy
from skbert_filter.io.remote import as_path
from skbert_filter.labelling.label_table import read_label_table
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
    See :func:`~skbert_filter.labelling.files.list_suspects`.
    """
    source, destination, corrections = map(as_path, (source, destination, corrections))
    check_can_relabel(source, destination, text, label)
    check_place(destination, source, corrections, overwrite=overwrite)
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
