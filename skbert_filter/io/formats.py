"""The file formats that are read and written, by their extensions."""

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import pyarrow as pa


@dataclass(frozen=True)
class Format:
    """What an extension says about a file; `name` is for messages."""

    extension: str
    kind: Literal["csv", "parquet", "lines", "json"]
    name: str
    delimiter: str = ","
    compression: str | None = None

    @property
    def is_table(self) -> bool:
        """Whether the file has columns that another table can hold."""
        return self.kind in ("csv", "parquet")


LINES = Format(".txt", "lines", "lines of UTF-8 text")
_TEXTS = (
    Format(".csv", "csv", "comma-separated UTF-8 text"),
    Format(".tsv", "csv", "tab-separated UTF-8 text", "\t"),
    Format(".jsonl", "json", "JSON Lines"),
    LINES,
)
_COMPRESSIONS = (("", None, ""), (".gz", "gzip", "gzipped "), (".zst", "zstd", "zstd-compressed "))
_FORMATS = [
    replace(text, extension=text.extension + end, name=prefix + text.name, compression=compression)
    for end, compression, prefix in _COMPRESSIONS
    for text in _TEXTS
] + [Format(".parquet", "parquet", "Parquet")]


def find_format(path: Path) -> Format | None:
    """Return the format of a file by its name, None if the extension is unknown."""
    name = path.name.lower()
    return next((format_ for format_ in _FORMATS if name.endswith(format_.extension)), None)


def file_format(path: Path) -> Format:
    """Return the format of a file by its name, and reject an unknown extension."""
    if (format_ := find_format(path)) is None:
        raise ValueError(
            f"{path} has an unknown extension. Convert or rename the file to .csv, .tsv, .jsonl or "
            ".txt, each also with .gz or .zst, or to .parquet "
            '(docs: files, "What is read and written").'
        )
    return format_


def table_format(path: Path) -> Format:
    """Return the format of a file with columns; reject lines and JSON Lines."""
    format_ = file_format(path)
    if not format_.is_table:
        raise ValueError(
            f"{path} holds {format_.name}, not a table. Name a .csv, .tsv (also with .gz or .zst) "
            "or .parquet file."
        )
    return format_


def open_file(path: Path, mode: Literal["rb", "wb"] = "rb") -> pa.NativeFile:
    """Open a file for Arrow, which accepts names that are not UTF-8 only as bytes."""
    return pa.OSFile(os.fsencode(path), mode)
