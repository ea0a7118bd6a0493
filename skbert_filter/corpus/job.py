"""A corpus job: its options, and the checks of what it reads and where it writes."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import pyarrow as pa

from skbert_filter import __version__
from skbert_filter.corpus.resume import partial_folder, uploaded
from skbert_filter.corpus.sources import (
    STANDARD,
    SourceFile,
    check_apart,
    check_folder,
    text_column,
)
from skbert_filter.duplicates.distinct import Decider, Nulls
from skbert_filter.duplicates.fingerprints import fingerprint
from skbert_filter.io.columns import check_column, check_text_column
from skbert_filter.io.formats import LINES, Format, file_format, table_format
from skbert_filter.io.lines import TEXT
from skbert_filter.io.reading import TableReader
from skbert_filter.io.remote import SUCCESS, RemotePath, as_path
from skbert_filter.io.writing import check_can_hold, check_new_file


@dataclass(frozen=True)
class Job:
    """The checked arguments of `filter_corpus`, with the source files and the classifier."""

    source: Path
    destination: Path
    files: tuple[SourceFile, ...]
    text: str
    decider: Decider
    columns: tuple[str, str] | None
    nulls: Nulls
    encoding: str | None
    delimiter: str | None
    audit: Path | None
    escape_formulas: bool
    n_examples: int
    drop_documents: float | None
    document: str | None

    @property
    def is_folder(self) -> bool:
        """Whether the source is a folder, and therefore the destination too."""
        return self.source.is_dir()

    @property
    def labels(self) -> list[Any]:
        """The labels in order, as text if they are of several types."""
        labels = self.decider.classes
        return labels if len(set(map(type, labels))) == 1 else list(map(str, labels))

    def output_format(self, table: TableReader) -> Format:
        """Return the format to write the rows of a table in: CSV keeps its delimiter."""
        if self.destination == STANDARD:
            return LINES
        read = table.format
        written = read if self.is_folder else file_format(self.destination)
        if read.kind == written.kind == "csv" and read.delimiter == written.delimiter:
            written = replace(written, delimiter=table.delimiter or written.delimiter)
        return written

    def schema_of(self, table: TableReader) -> pa.Schema:
        """Return the schema of the output; reject a table that cannot be read or written."""
        read, write = table.format, self.output_format(table)
        check_text_column(table.schema, text_column(table, self.text), table.path)
        if not (read.kind == write.kind or (write.is_table and read.kind != "json")):
            raise ValueError(
                f"{table.path} holds {read.name}, which cannot be written as {write.name}. Give "
                f"{self.destination} an extension of the same kind."
            )

        if self.document is not None:
            if read.kind == "lines":
                raise ValueError(
                    f"{table.path} holds lines, which have no column {self.document!r} to "
                    "identify their document. Omit document= (--document): then each file of a "
                    "folder is one."
                )
            if read.is_table:
                check_column(table.schema, self.document, table.path)

        schema = table.schema
        if write.is_table and not read.is_table:
            schema = pa.schema([schema.field(TEXT)])
        if self.columns is not None:
            if write.kind == "lines":
                raise ValueError(
                    f"Lines of text have no columns to add {self.columns[0]!r} to. Write a .csv or "
                    ".parquet file, or omit the columns and request an audit file (--audit)."
                )
            types = (pa.array(self.labels).type, pa.float64())
            for name, kind in zip(self.columns, types, strict=True):
                if name in schema.names:
                    raise ValueError(
                        f"{table.path} has a column {name!r} already. Name other columns to add."
                    )
                schema = schema.append(pa.field(name, kind))

        if not self.is_folder and self.destination != STANDARD:
            check_can_hold(schema, self.destination)
        return schema

    def manifest(self) -> dict[str, Any]:
        """Return what distinguishes this job from others, ready for JSON."""
        try:
            model = fingerprint(self.decider.model)
        except TypeError:
            # A model that cannot be compared cannot reuse the results of an interrupted run.
            model = f"unknown {uuid4()}"

        return {
            "skbert_filter": __version__,
            "model": model,
            "decision": {
                "keep": self.decider.keep,
                "threshold": self.decider.threshold,
                "probabilities": self.decider.with_probabilities,
            },
            "options": {
                "text": self.text,
                "columns": self.columns,
                "nulls": self.nulls,
                "encoding": self.encoding,
                "delimiter": self.delimiter,
                "audit": self.audit and str(self.audit.absolute()),
                "escape_formulas": self.escape_formulas,
                "drop_documents": self.drop_documents,
                "document": self.document,
            },
            "sources": [[file.name, file.bytes] for file in self.files],
        }


def check_paths(
    source: Path, destination: Path, audit: Path | None, model: Any, store: Any
) -> None:
    """Reject outputs that overlap one another, the source, or a model or store that is a file."""
    check_apart(source, destination)
    if audit is not None:
        table_format(audit)
    if store is not None:
        store = as_path(store)
        if isinstance(store, RemotePath):
            raise ValueError(f"The store {store} must be a file on this machine. Name one.")
        store = store.expanduser()

    outputs = {
        "destination": destination,
        "folder of the unfinished job": partial_folder(destination),
        "audit file": audit,
    }
    for kind, path in {"model": model, "store": store, "audit file": audit}.items():
        if not isinstance(path, str | Path | RemotePath):
            continue
        # A model is only read, so it may lie in the source.
        others = outputs if kind == "model" else {"source": source, **outputs}
        for name, other in others.items():
            if name != kind and other not in (None, STANDARD) and _is_in(path, other):
                raise ValueError(
                    f"The {kind} {path} is the {name} {other} or lies in it. Name another place."
                )


def check_outputs(
    source: Path,
    destination: Path,
    files: tuple[SourceFile, ...],
    audit: Path | None,
    resumed: bool,
    *,
    overwrite: bool,
) -> None:
    """Reject an output that cannot be written, or that would replace something.

    The audit file is complete before the destination, so an interrupted run that is `resumed` may
    have written it.
    """
    if source.is_dir():
        names = [file.name for file in files]
        if isinstance(destination, RemotePath):
            names.append(SUCCESS)
        check_folder(destination, names, overwrite=overwrite, uploaded=uploaded(destination))
    elif destination != STANDARD:
        file_format(destination)
        check_new_file(destination, overwrite=overwrite)
    if audit is not None:
        check_new_file(audit, overwrite=overwrite or resumed)


def _is_in(path: str | Path | RemotePath, other: Path) -> bool:
    """Whether a path is another one, under any name, or lies in it."""
    path = Path(path) if isinstance(path, str) else path
    if type(path) is not type(other):
        return False
    real = path.resolve()
    is_same_file = real.is_file() and other.is_file() and real.samefile(other)
    return is_same_file or other.resolve() in (real, *real.parents)
