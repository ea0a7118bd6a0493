"""The files of a corpus, and where their output may go. Knows nothing of models."""

import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from skbert_filter.io.atomic import check_can_create
from skbert_filter.io.formats import find_format

STANDARD = Path("-")


@dataclass(frozen=True)
class SourceFile:
    """A file to read.

    Attributes
    ----------
    path : Path
    name : str
        Its path within the source folder, or its name.
    bytes : int
    """

    path: Path
    name: str
    bytes: int


def list_sources(source: Path) -> tuple[SourceFile, ...]:
    """Return the files of a source in the order of their names; one for a file.

    Left out are files and folders whose name begins with a dot, and what other programs leave:
    folders such as ``_temporary`` and files such as ``_SUCCESS``.

    Raises
    ------
    FileNotFoundError
        If there is no such file or folder.
    ValueError
        If a folder holds no files to read, one of an unknown kind, or a link to a folder.
    """
    if source == STANDARD:
        if sys.stdin is None:
            raise ValueError("Standard input is closed. Name a file.")
        return (SourceFile(source, "standard input", 0),)
    if not source.is_dir():
        if not source.exists():
            raise FileNotFoundError(f"There is no file {source}. Check the path.")
        return (SourceFile(source, source.name, source.stat().st_size),)
    files, foreign = [], []
    for folder, folders, names in os.walk(source, onerror=_refuse_unread):
        # A folder such as _temporary is of a writer at work or dead, _year=2020 one of a table.
        folders[:] = [
            name for name in folders if name[0] != "." and (name[0] != "_" or "=" in name)
        ]
        for name in folders:
            if Path(folder, name).is_symlink():
                raise ValueError(
                    f"{Path(folder, name)} is a link to a folder, which is not followed. Remove "
                    "it, or put the folder itself there."
                )
        for name in names:
            path = Path(folder, name)
            if name.startswith("."):
                continue
            if find_format(path) is not None:
                files.append(path)
            elif not name.startswith("_"):
                foreign.append(str(path))
    if foreign:
        more = f" and {len(foreign) - 1:,} more" if len(foreign) > 1 else ""
        raise ValueError(
            f"{min(foreign)}{more} in the folder {source} cannot be read: supported are .txt, "
            ".csv, .tsv and .jsonl (also with .gz or .zst) and .parquet. Move elsewhere what is no "
            "part of the corpus."
        )
    if not files:
        raise ValueError(f"The folder {source} holds no files to read. Check the path.")
    found = [
        SourceFile(path, path.relative_to(source).as_posix(), path.stat().st_size) for path in files
    ]
    return tuple(sorted(found, key=lambda file: file.name))


def check_apart(source: Path, written: Path) -> None:
    """Refuse an output that is the source, holds it or lies in it.

    Raises
    ------
    ValueError
    """
    if STANDARD in (source, written):
        return
    real, real_written = source.resolve(), written.resolve()
    if real == real_written or (written.exists() and written.samefile(source)):
        raise ValueError(f"The destination {written} is the source. Name another file.")
    if real in real_written.parents:
        raise ValueError(
            f"The destination {written} lies in the source {source}, and would become a part of "
            "it. Name a place outside."
        )
    if real_written in real.parents:
        raise ValueError(
            f"The destination {written} holds the source {source}. Name another place."
        )


def check_folder(folder: Path, names: Iterable[str], *, overwrite: bool) -> None:
    """Refuse a folder that cannot be written, or holds more than would be written again.

    Raises
    ------
    FileExistsError
        If it is a file, or holds files and `overwrite` is False, or files of other names.
    FileNotFoundError
        If the folder that it should be in does not exist.
    """
    if folder.exists() and not folder.is_dir():
        raise FileExistsError(f"{folder} is a file, but the source a folder. Name a folder.")
    if not folder.absolute().parent.is_dir():
        raise FileNotFoundError(f"There is no folder {folder.parent} for {folder.name}. Create it.")
    held = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir()}
    if held and not overwrite:
        raise FileExistsError(
            f"The folder {folder} holds files. Name another, or pass overwrite=True (--overwrite)."
        )
    if other := sorted(held.difference(names)):
        raise FileExistsError(
            f"The folder {folder} holds {other[0]}, which this job would not write again, so it is "
            "not replaced. Name another folder."
        )
    check_can_create(folder)


def _refuse_unread(error: OSError) -> None:
    raise error
