"""Reads the rows of a job, decides which to keep, and writes them, one file after the other.

Knows nothing of where a job may write, or of what an interrupted job has left.
"""

import logging
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from dataclasses import dataclass, field, replace
from itertools import compress, islice
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from skbert_filter.corpus.documents import Documents
from skbert_filter.corpus.job import Job
from skbert_filter.corpus.sources import SourceFile, checked_batches
from skbert_filter.duplicates.distinct import RECORD, TextMemory
from skbert_filter.io.atomic import remove_leftovers
from skbert_filter.io.mojibake import looks_misdecoded
from skbert_filter.io.reading import TableReader, open_rows
from skbert_filter.io.remote import RemotePath
from skbert_filter.io.writing import Write, create_table, open_writer, standard_output

_LOGGER = logging.getLogger(__name__)

# Batches are decided in groups this large, so that small files do not mean small model calls.
_GROUP_ROWS = 1 << 17
_GROUP_BYTES = 1 << 23
# Characters shown of an example.
_EXAMPLE_LENGTH = 200
_NULLS_REMEDY = 'Fill or remove such rows, or pass nulls="discard" (--nulls discard).'
EXAMPLE_COLUMNS = ("kind", "text", "rows", "probability")

Progress = Callable[[float, int, int], None]
# Called with the distinct texts of a group, their records, and which of them are new.
OnTexts = Callable[[list[str], np.ndarray, np.ndarray], None]


@dataclass
class Outcome:
    """The counts of a job; see `FilterSummary`."""

    rows: int = 0
    distinct: int = 0
    kept: int = 0
    nulls: int = 0
    written: int = 0
    misdecoded: int = 0
    decoded: int = 0
    doubtful: int = 0
    recovered: int = 0
    # documents, and dropped ones, in each tenth of the share that is discarded
    documents: Any = 0
    examples: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=EXAMPLE_COLUMNS))


@dataclass
class _Batch:
    """Some rows of a file, or its end if `rows` is None."""

    file: SourceFile
    table: TableReader
    schema: pa.Schema
    share: float
    rows: Any = None
    texts: Any = None
    is_kept: Any = None
    added: Any = None


def filter_rows(
    job: Job,
    memory: TextMemory,
    output: Path | None,
    on_texts: Sequence[OnTexts] = (),
    progress: Progress | None = None,
    finish: Callable[[str], None] | None = None,
) -> Outcome:
    """Read the files of a job, and write their rows to `output`; None is standard output.

    `finish` is called with the name of each file of a folder once it is written.
    """
    outcome = Outcome()
    if job.is_folder and output is not None:
        # The folder exists even if every file is dropped.
        output.mkdir(exist_ok=True)

    documents = None
    decided = _decided(job, memory, outcome, on_texts, progress)
    if job.drop_documents is not None:
        # A document may end anywhere, so all rows are decided before the first is written.
        documents = Documents(job)
        for batch in decided:
            if batch.rows is not None:
                documents.count(batch)
        outcome.documents = documents.by_tenth()

        files = tuple(file for file in job.files if not documents.drops_file(file.name))
        job = replace(job, files=files)
        decided = _decided(job, memory, Outcome(), (), progress, is_again=True)
        if progress is not None:
            _LOGGER.info("Dropping documents")

    open_file: SourceFile | None = None
    write: Any = None
    with closing(decided), ExitStack() as writer:
        for batch in decided:
            if open_file is not batch.file:
                open_file = batch.file
                write = writer.enter_context(_open_writer(job, batch, output))
            if batch.rows is None:
                writer.close()
                if finish is not None:
                    finish(batch.file.name)
            else:
                is_written = _is_written(job, batch, documents)
                outcome.kept += pc.and_(batch.is_kept, is_written).true_count
                outcome.written += is_written.true_count
                write(_output_rows(batch).filter(is_written))

    outcome.distinct = len(memory)
    return outcome


def _decided(
    job: Job,
    memory: TextMemory,
    outcome: Outcome,
    on_texts: Sequence[OnTexts],
    progress: Progress | None,
    *,
    is_again: bool = False,
) -> Generator[_Batch]:
    """Read the files of a job, and yield their batches once the rows are decided.

    With `is_again`, `memory` has already counted the rows.
    """
    start = stop = 0.0

    def advance(share: float) -> None:
        if progress is not None:
            progress(start + share * (stop - start), outcome.rows, len(memory))

    # Closed at once: after an error the traceback would keep files open, and copies of remote ones.
    with closing(_batches(job)) as batches:
        for group in _grouped(batches):
            start, stop = stop, group[-1].share
            _decide(job, group, memory, outcome, on_texts, advance, is_again=is_again)
            yield from group
            # Free its memory before the next group is read.
            group.clear()


def _batches(job: Job) -> Generator[_Batch]:
    total_bytes = max(sum(file.bytes for file in job.files), 1)
    bytes_before = 0
    for file in job.files:
        options = {"encoding": job.encoding, "delimiter": job.delimiter}
        with open_rows(file.path, job.text, **options) as table:
            schema = job.schema_of(table)
            checked = checked_batches(
                table, job.text, nulls=job.nulls != "error", remedy=_NULLS_REMEDY
            )
            for rows, share, texts in checked:
                share = (bytes_before + share * file.bytes) / total_bytes
                yield _Batch(file, table, schema, share, rows, texts)
            bytes_before += file.bytes
            yield _Batch(file, table, schema, bytes_before / total_bytes)


def _grouped(batches: Iterator[_Batch]) -> Iterator[list[_Batch]]:
    group: list[_Batch] = []
    n_rows = n_bytes = 0
    for batch in batches:
        group.append(batch)
        if batch.rows is not None:
            n_rows += batch.rows.num_rows
            n_bytes += batch.rows.nbytes
        if n_rows >= _GROUP_ROWS or n_bytes >= _GROUP_BYTES:
            yield group
            group, n_rows, n_bytes = [], 0, 0
    if group:
        yield group


def _decide(
    job: Job,
    group: list[_Batch],
    memory: TextMemory,
    outcome: Outcome,
    on_texts: Sequence[OnTexts],
    advance: Callable[[float], None],
    *,
    is_again: bool,
) -> None:
    """Set which rows of each batch are kept, and the values of the columns to add."""
    finished = [batch.table for batch in group if batch.rows is None]
    outcome.decoded += sum(table.encoding is not None for table in finished)
    outcome.doubtful += sum(table.is_doubtful for table in finished)
    with_rows = [batch for batch in group if batch.rows is not None]
    if not with_rows:
        return

    column = pa.concat_arrays([batch.texts for batch in with_rows]).dictionary_encode()
    codes, texts = column.indices, column.dictionary.to_pylist()
    outcome.rows += len(codes)
    outcome.nulls += codes.null_count

    counts = np.bincount(codes.drop_null().to_numpy(), minlength=len(texts))
    n_known = len(memory)
    records = memory.look_up(texts, 0 if is_again else counts, advance)
    is_new = records["number"] >= n_known
    outcome.misdecoded += sum(map(looks_misdecoded, compress(texts, is_new)))
    for note in on_texts:
        note(texts, records, is_new)

    decisions = records["decision"]
    labels = pa.array(np.ascontiguousarray(decisions["label"]))
    is_kept = pc.equal(labels, job.decider.keep_number).take(codes)
    added = {}
    if job.columns is not None:
        probabilities = pa.array(decisions["probability"], from_pandas=True)
        values = (pa.array(job.labels).take(labels).take(codes), probabilities.take(codes))
        added = dict(zip(job.columns, values, strict=True))

    first = 0
    for batch in with_rows:
        n_rows = batch.rows.num_rows
        batch.is_kept = is_kept.slice(first, n_rows)
        batch.added = {name: values.slice(first, n_rows) for name, values in added.items()}
        first += n_rows


def _is_written(job: Job, batch: _Batch, documents: Documents | None) -> pa.BooleanArray:
    """Return which rows are written: those kept, or all if columns are added.

    Rows without a text are written if `nulls` is "keep", rows of dropped documents never.
    """
    if job.columns is not None:
        return pc.or_(batch.is_kept.is_valid(), job.nulls == "keep")
    is_written = batch.is_kept.fill_null(job.nulls == "keep")
    if documents is None:
        return is_written
    return pc.and_not(is_written, pa.array(documents.are_dropped(batch)))


def _output_rows(batch: _Batch) -> pa.RecordBatch:
    """Return the rows of a batch with the columns of the output."""
    # Selected by position, since several columns may share a name.
    names = set(batch.schema.names).difference(batch.added)
    result = batch.rows.select([i for i, n in enumerate(batch.rows.schema.names) if n in names])
    for name, values in batch.added.items():
        result = result.append_column(name, values)
    return result


def _open_writer(job: Job, batch: _Batch, output: Path | None) -> AbstractContextManager[Write]:
    if output is None:
        return standard_output()
    if job.is_folder:
        output = output / batch.file.name
        output.parent.mkdir(parents=True, exist_ok=True)
    known = job.output_format(batch.table)
    return open_writer(output, batch.schema, known, escape_formulas=job.escape_formulas)


@contextmanager
def audited(job: Job, memory: TextMemory, *, overwrite: bool) -> Iterator[list[OnTexts]]:
    """Yield the callbacks that an audit needs while a job runs, then write its file."""
    if job.audit is None:
        yield []
        return

    # Distinct texts may not fit into memory. A nameless file leaves nothing, even after a kill.
    schema = pa.schema({"text": pa.large_string()})
    is_local = not isinstance(job.audit, RemotePath)
    with TemporaryFile(dir=job.audit.absolute().parent if is_local else None) as file:
        with pa.ipc.new_stream(file, schema) as stream:

            def note(texts: list[str], records: np.ndarray, is_new: np.ndarray) -> None:
                new_texts = list(compress(texts, is_new))
                stream.write_batch(pa.record_batch([new_texts], schema=schema))

            yield [note]

        file.seek(0)
        if overwrite and is_local:
            # An earlier run of this job may have been killed while it wrote the audit file.
            remove_leftovers(job.audit)
        records = memory.in_order()
        empty = _audit_rows(job, pa.array([], pa.large_string()), np.empty(0, RECORD))
        options: dict[str, Any] = {"overwrite": overwrite, "escape_formulas": job.escape_formulas}
        with (
            pa.ipc.open_stream(file) as batches,
            create_table(job.audit, empty.schema, **options) as write,
        ):
            for batch in batches:
                in_batch = b"".join(islice(records, len(batch)))
                write(_audit_rows(job, batch.column(0), np.frombuffer(in_batch, RECORD)))


class Examples:
    """The most frequent texts among kept and discarded ones, and those nearest to the threshold.

    Exact in bounded memory: of all other texts only the row count is remembered, and a text whose
    count rises is seen again at that moment.
    """

    def __init__(self, job: Job) -> None:
        self._job = job
        # by kind and number of the text: its rank, its beginning and its record
        self._best: dict[str, dict[int, tuple]] = {"kept": {}, "discarded": {}, "near": {}}

    def note(self, texts: list[str], records: np.ndarray, is_new: np.ndarray) -> None:
        """Consider the texts of a group."""
        threshold = self._job.decider.threshold
        decisions = records["decision"]
        distance = np.abs(decisions["probability"] - (0.5 if threshold is None else threshold))
        is_kept = decisions["label"] == self._job.decider.keep_number
        self._consider("kept", texts, records, is_kept, -records["rows"])
        self._consider("discarded", texts, records, ~is_kept, -records["rows"])
        self._consider("near", texts, records, is_new & ~np.isnan(distance), distance)

    def _consider(
        self,
        kind: str,
        texts: list[str],
        records: np.ndarray,
        is_eligible: np.ndarray,
        rank: np.ndarray,
    ) -> None:
        eligible = np.flatnonzero(is_eligible)
        first = eligible[np.argsort(rank[eligible], kind="stable")[: self._job.n_examples]]
        # A text that is seen again replaces its outdated entry.
        entries = self._best[kind] | {
            int(records["number"][i]): (rank[i], texts[i][:_EXAMPLE_LENGTH], records[i])
            for i in first
        }
        in_order = sorted(entries.items(), key=lambda entry: entry[1][0])
        self._best[kind] = dict(in_order[: self._job.n_examples])

    def to_frame(self) -> pd.DataFrame:
        """Return the examples of each kind, best first."""
        rows = [
            (kind, text, record["rows"], record["decision"]["probability"])
            for kind, entries in self._best.items()
            for _, text, record in entries.values()
        ]
        return pd.DataFrame(rows, columns=EXAMPLE_COLUMNS)


def _audit_rows(job: Job, texts: pa.Array, records: np.ndarray) -> pa.RecordBatch:
    labels, decisions = pa.array(job.labels), records["decision"]
    keep = job.labels[job.decider.keep_number]
    is_kept = decisions["label"] == job.decider.keep_number
    return pa.record_batch(
        {
            "text": texts,
            "label": labels.take(pa.array(decisions["label"])),
            "probability": pa.array(decisions["probability"], from_pandas=True),
            "rows": pa.array(records["rows"]),
            "decision": pa.array(np.where(is_kept, "keep", "discard"), pa.string()),
            "keep": pa.array([keep] * len(texts), labels.type),
            "threshold": pa.array([job.decider.threshold] * len(texts), pa.float64()),
        }
    )
