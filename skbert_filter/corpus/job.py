"""What a job is asked to do: all options, checked in one place before any work."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pyarrow as pa
from sklearn.frozen import FrozenEstimator

from skbert_filter import __version__
from skbert_filter.corpus.classifiers import load_classifier
from skbert_filter.corpus.resume import partial_folder
from skbert_filter.corpus.sources import (
    STANDARD,
    SourceFile,
    check_apart,
    check_folder,
    list_sources,
)
from skbert_filter.decisions import Decider, Nulls, check_options, label_of
from skbert_filter.duplicates.fingerprints import fingerprint
from skbert_filter.io.columns import check_text_column
from skbert_filter.io.decoding import check_encoding
from skbert_filter.io.formats import LINES, Format, file_format, table_format
from skbert_filter.io.lines import TEXT
from skbert_filter.io.reading import TableReader
from skbert_filter.io.writing import check_can_hold, check_new_file


@dataclass(frozen=True)
class Job:
    """A checked job.

    Attributes
    ----------
    source, destination : Path
    files : tuple of SourceFile
    text : str
        The column with the texts.
    decider : Decider
    columns : (str, str) or None
        The names of the columns to add, instead of leaving rows out.
    nulls : {"error", "discard", "keep"}
    encoding : str or None
    audit : Path or None
    overwrite, escape_formulas : bool
    """

    source: Path
    destination: Path
    files: tuple[SourceFile, ...]
    text: str
    decider: Decider
    columns: tuple[str, str] | None
    nulls: Nulls
    encoding: str | None
    audit: Path | None
    overwrite: bool
    escape_formulas: bool

    @property
    def of_folder(self) -> bool:
        """Whether the source is a folder, and the destination will be one."""
        return self.source.is_dir()

    @property
    def target(self) -> str:
        """The destination, for messages."""
        return "standard output" if self.destination == STANDARD else str(self.destination)

    @property
    def label_type(self) -> pa.DataType:
        """The type of a column of labels."""
        return pa.array(self.labels).type

    @property
    def labels(self) -> list[Any]:
        """The labels, in one type that Arrow knows."""
        labels = self.decider.classes
        return labels if len(set(map(type, labels))) == 1 else list(map(str, labels))

    def format_of(self, read: Format) -> Format:
        """Return the format to write what is read in another."""
        if self.destination == STANDARD:
            return LINES
        return read if self.of_folder else file_format(self.destination)

    def text_column(self, read: Format) -> str:
        """Return the column with the texts among those of a batch."""
        return self.text if read.is_table else TEXT

    def schema_of(self, table: TableReader) -> pa.Schema:
        """Return the schema to write, and refuse a table that cannot be read or written so.

        Raises
        ------
        ValueError
            If the text column is missing or holds no text, or the output cannot be of its kind.
        """
        read, write = table.format, self.format_of(table.format)
        check_text_column(table.schema, self.text_column(read), table.path)
        if not (read.kind == write.kind or (write.is_table and read.kind != "json")):
            raise ValueError(
                f"{table.path} holds {read.name}, which cannot be written as {write.name}. Give "
                f"{self.destination} an extension of the same kind."
            )
        schema = table.schema
        if write.is_table and not read.is_table:
            schema = pa.schema([schema.field(TEXT)])
        if self.columns is not None:
            if write.kind == "lines":
                raise ValueError(
                    f"Lines of text have no columns to add {self.columns[0]!r} to. Write a .csv or "
                    ".parquet file, or leave the columns out and ask for an audit file (--audit)."
                )
            for name, kind in zip(self.columns, (self.label_type, pa.float64()), strict=True):
                if name in schema.names:
                    raise ValueError(
                        f"{table.path} has a column {name!r} already. Name other columns to add."
                    )
                schema = schema.append(pa.field(name, kind))
        if not self.of_folder and self.destination != STANDARD:
            check_can_hold(schema, self.destination)
        return schema

    def manifest(self) -> dict[str, Any]:
        """Return what tells this job from another, ready for JSON."""
        try:
            of_model = fingerprint(self.decider.model)
        except TypeError:
            # Nothing of an interrupted run can be used again.
            of_model = f"unknown {uuid4()}"
        return {
            "skbert_filter": __version__,
            "model": of_model,
            "decision": {
                "keep": self.decider.keep,
                "threshold": self.decider.threshold,
                "probabilities": self.decider.with_probabilities,
            },
            "options": {
                "text": self.text,
                "columns": None if self.columns is None else list(self.columns),
                "nulls": self.nulls,
                "encoding": self.encoding,
                "audit": None if self.audit is None else str(self.audit.absolute()),
                "escape_formulas": self.escape_formulas,
            },
            "sources": [[file.name, file.bytes] for file in self.files],
        }

    def check_outputs(self, resumed: bool) -> None:
        """Refuse to write what is there already; an interrupted run has left its audit file."""
        check_outputs(
            self.destination,
            [file.name for file in self.files] if self.of_folder else None,
            self.audit,
            overwrite=self.overwrite,
            resumed=resumed,
        )


def check_job(
    model: Any,
    source: str | Path,
    destination: str | Path,
    *,
    text: str,
    keep: Any,
    threshold: float | None,
    columns: Sequence[str] | None,
    nulls: Nulls,
    encoding: str | None,
    audit: str | Path | None,
    store: str | Path | None,
    trust: bool,
    overwrite: bool,
    escape_formulas: bool,
) -> Job:
    """Check all arguments of `filter_corpus`, the model last, since to load it takes longest.

    Raises
    ------
    FileNotFoundError, FileExistsError, ValueError
        As `filter_corpus`.
    """
    source, destination = Path(source), Path(destination)
    audit = None if audit is None else Path(audit)
    names = check_options(threshold, columns, nulls)
    check_encoding(encoding)
    files = list_sources(source)
    check_apart(source, destination)
    outputs = {
        "destination": destination,
        "audit file": audit,
        "folder of the unfinished job": partial_folder(destination),
    }
    if isinstance(model, str | Path):
        _check_apart_from("model", Path(model), outputs)
    if store is not None:
        _check_apart_from("store", Path(store), {"source": source, **outputs})
    if audit is not None:
        table_format(audit)
        check_apart(source, audit)
        if _is_in(audit, destination) or _is_in(audit, partial_folder(destination)):
            raise ValueError(
                f"The audit file {audit} is the destination or lies in it. Name another place."
            )
    check_outputs(
        destination,
        [file.name for file in files] if source.is_dir() else None,
        audit,
        overwrite=overwrite,
        resumed=destination != STANDARD and partial_folder(destination).exists(),
    )
    model = load_classifier(model, trust=trust)
    if store is not None:
        model = _remembering(model, store)
    return Job(
        source=source,
        destination=destination,
        files=files,
        text=text,
        decider=Decider(
            model,
            label_of(model, keep),
            threshold,
            with_probabilities=names is not None or audit is not None,
        ),
        columns=names,
        nulls=nulls,
        encoding=encoding,
        audit=audit,
        overwrite=overwrite,
        escape_formulas=escape_formulas,
    )


def check_outputs(
    destination: Path,
    names: Sequence[str] | None,
    audit: Path | None,
    *,
    overwrite: bool,
    resumed: bool,
) -> None:
    """Refuse a destination or an audit file that a job may not write.

    Parameters
    ----------
    destination : Path
    names : sequence of str or None
        The files to write, if it is a folder.
    audit : Path or None
    overwrite : bool
    resumed : bool
        Whether an interrupted run of the job may have written the audit file, which is complete
        before the destination.

    Raises
    ------
    FileNotFoundError, FileExistsError, ValueError
        As `filter_corpus`.
    """
    if names is not None:
        check_folder(destination, names, overwrite=overwrite)
    elif destination != STANDARD:
        file_format(destination)
        check_new_file(destination, overwrite=overwrite)
    if audit is not None:
        check_new_file(audit, overwrite=overwrite or resumed)


def check_engine(engine: str, job: Job, store: str | Path | None) -> None:
    """Refuse an engine that does not exist, and what the workers of a cluster cannot do.

    Raises
    ------
    ValueError
    """
    if engine == "local":
        return
    if engine != "dask":
        raise ValueError(f"engine is {engine!r}. It must be 'local' or 'dask'.")
    if not job.of_folder or job.destination == STANDARD:
        raise ValueError(
            f'engine="dask" is for a folder of files, each of which is the work of one worker, but '
            f"{job.source} is not one. Cut it into files, or omit the engine (--dask) "
            '(docs: cluster, "A folder of files").'
        )
    for name, given in (("audit", job.audit), ("store", store)):
        if given is not None:
            raise ValueError(f'{name} is for one machine. Omit it, or engine="dask" (--dask).')


def _check_apart_from(what: str, path: Path, others: Mapping[str, Path | None]) -> None:
    """Refuse a file that the job would replace or remove, or take for a part of the corpus."""
    for name, other in others.items():
        if other not in (None, STANDARD) and _is_in(path, other):
            raise ValueError(
                f"The {what} {path} is the {name} {other} or lies in it. Name another place."
            )


def _is_in(path: Path, other: Path) -> bool:
    """Whether a path is another one, by whatever name, or lies in it."""
    real = path.expanduser().resolve()
    is_same_file = real.is_file() and other.is_file() and real.samefile(other)
    return is_same_file or other.resolve() in (real, *real.parents)


def _remembering(model: Any, store: str | Path) -> Any:
    from skbert_filter.dedup_predictor import DedupPredictor

    if isinstance(model, DedupPredictor):
        raise ValueError(
            "The model is a DedupPredictor, which may have a store of its own: set that with "
            "model.set_params(store=...), and leave store out."
        )
    return DedupPredictor(FrozenEstimator(model), store=str(store))
