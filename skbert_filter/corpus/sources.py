"""The files of a corpus, their texts, and where output may go. Knows nothing of models."""

import os
import sys
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from skbert_filter.io.columns import check_no_nulls, check_text_column, valid_texts
from skbert_filter.io.decoding import check_encoding
from skbert_filter.io.formats import find_format
from skbert_filter.io.lines import TEXT
from skbert_filter.io.reading import STANDARD, TableReader, open_rows
from skbert_filter.io.remote import SUCCESS, RemotePath, as_path, files_in
from skbert_filter.io.writing import check_parent


@dataclass(frozen=True)
class SourceFile:
    """A file to read; `name` is its path within the source folder."""

    path: Path
    name: str
    bytes: int


def list_sources(source: Path) -> tuple[SourceFile, ...]:
    """Return the files of a folder sorted by name, or the one file.

    Names that begin with a dot are skipped, and so are the leftovers of other programs: folders
    such as ``_temporary`` and files such as ``_SUCCESS``.
    """
    if source == STANDARD:
        if sys.stdin is None:
            raise ValueError("Standard input is closed. Name a file.")
        return (SourceFile(source, "standard input", 0),)
    if not source.exists():
        raise FileNotFoundError(f"There is no file {source}. Check the path.")
    if not source.is_dir():
        return (SourceFile(source, source.name, source.stat().st_size),)

    files = []
    foreign = []
    for file in _walk_bucket(source) if isinstance(source, RemotePath) else _walk(source):
        if find_format(file.path) is not None:
            files.append(file)
        elif not file.path.name.startswith("_"):
            foreign.append(str(file.path))

    if foreign:
        more = f" and {len(foreign) - 1:,} more" if len(foreign) > 1 else ""
        raise ValueError(
            f"{min(foreign)}{more} in the folder {source} cannot be read: supported are .txt, "
            ".csv, .tsv and .jsonl (also with .gz or .zst) and .parquet. Move files that are not "
            "part of the corpus elsewhere."
        )
    if not files:
        raise ValueError(f"The folder {source} holds no files to read. Check the path.")
    return tuple(sorted(files, key=lambda file: file.name))


def _walk(source: Path) -> Iterator[SourceFile]:
    def fail(error: OSError) -> None:
        raise error

    for folder, folders, names in os.walk(source, onerror=fail):
        folders[:] = [name for name in folders if not _is_skipped(name)]
        for name in folders:
            if Path(folder, name).is_symlink():
                raise ValueError(
                    f"{Path(folder, name)} is a link to a folder, which is not followed. Remove "
                    "it, or put the folder itself there."
                )

        for path in (Path(folder, name) for name in names if not name.startswith(".")):
            name = path.relative_to(source).as_posix()
            yield SourceFile(path, name, path.stat().st_size)


def _walk_bucket(source: RemotePath) -> Iterator[SourceFile]:
    for name, size in source.files().items():
        *folders, last = name.split("/")
        if not any(map(_is_skipped, folders)) and not last.startswith("."):
            yield SourceFile(as_path(source / name), name, size)


def _is_skipped(folder: str) -> bool:
    # Spark leaves folders such as _temporary, while _year=2020 is a partition of a table.
    return folder.startswith(".") or (folder.startswith("_") and "=" not in folder)


def text_arrays(
    source: str | Path,
    text: str = "text",
    *,
    encoding: str | None = None,
    delimiter: str | None = None,
) -> Iterator[pa.Array]:
    """Yield the texts of a corpus batch by batch; a missing or damaged text is an error."""
    check_encoding(encoding)
    for file in list_sources(as_path(source)):
        with open_rows(file.path, text, encoding=encoding, delimiter=delimiter) as table:
            check_text_column(table.schema, text_column(table, text), file.path)
            yield from (texts for _, _, texts in checked_batches(table, text))


def text_column(table: TableReader, text: str) -> str:
    """Return the name of the column with the texts, which for lines is fixed."""
    return text if table.format.is_table else TEXT


def checked_batches(
    table: TableReader, text: str, *, nulls: bool = False, **options: str
) -> Iterator[tuple[pa.RecordBatch, float, pa.Array]]:
    """Yield the batches of a table, the share of it read so far, and their texts as UTF-8.

    Options are those of `check_no_nulls`.
    """
    name, path = text_column(table, text), table.path
    first_row = 1
    for batch, share in table.batches:
        values = batch.column(name)
        if not nulls:
            check_no_nulls(values, name, path, first_row=first_row, **options)
        yield batch, share, valid_texts(values, name, path, first_row=first_row)
        first_row += batch.num_rows


def check_apart(source: Path, written: Path) -> None:
    """Reject an output that is the source, holds it or lies in it."""
    if STANDARD in (source, written) or type(source) is not type(written):
        return
    real, real_written = source.resolve(), written.resolve()
    if real == real_written or (written.exists() and written.samefile(source)):
        raise ValueError(f"The destination {written} is the source. Name another file.")
    if real in real_written.parents:
        raise ValueError(
            f"The destination {written} lies in the source {source}, and would become part of it. "
            "Name a place outside."
        )
    if real_written in real.parents:
        raise ValueError(
            f"The destination {written} holds the source {source}. Name another place."
        )


def check_folder(
    folder: Path, names: Iterable[str], *, overwrite: bool, uploaded: Collection[str]
) -> None:
    """Reject a folder that cannot be written, or that holds files which the job does not replace.

    An interrupted job may have `uploaded` some of its files already.
    """
    if folder.exists() and not folder.is_dir():
        raise FileExistsError(f"{folder} is a file, but the source is a folder. Name a folder.")
    if (named := find_format(folder)) is not None:
        raise ValueError(
            "The source is a folder, so the output is a folder with files of the same names, but "
            f"{folder} is the name of a file. Name a folder, such as "
            f"{str(folder).removesuffix(named.extension)}."
        )

    existing = files_in(folder)
    if SUCCESS not in existing:
        existing.difference_update(uploaded)
    if existing and not overwrite:
        raise FileExistsError(
            f"The folder {folder} holds files. Name another, or pass overwrite=True (--overwrite)."
        )
    if others := sorted(existing.difference(names)):
        raise FileExistsError(
            f"The folder {folder} holds {others[0]}, which this job would not write again, so it "
            "is not replaced. Name another folder."
        )

    check_parent(folder)
