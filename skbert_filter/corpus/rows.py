"""The rows of a job: read, decided and written, one file after the other.

Knows nothing of where a job may write, and of what an interrupted one has left.
"""

import logging
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain, compress, islice
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

# Batches of a corpus are decided together, so that small files make no small calls of the model.
_GROUP_ROWS = 1 << 17
_GROUP_BYTES = 1 << 23
# Letters of an example.
_SHOWN = 200
EXAMPLE_COLUMNS = ("kind", "text", "rows", "probability")

Progress = Callable[[float, int, int], None]
# Takes the distinct texts of a group, their records, and which of them are new.
OnTexts = Callable[[list[str], np.ndarray, np.ndarray], None]


@dataclass
class Outcome:
    """What an engine has counted; see `FilterSummary`."""

    rows: int = 0
    distinct: int = 0
    kept: int = 0
    nulls: int = 0
    written: int = 0
    misdecoded: int = 0
    decoded: int = 0
    doubtful: int = 0
    recovered: int = 0
    # of each tenth of what is discarded: how many, and how many were dropped
    documents: Any = 0
    examples: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=EXAMPLE_COLUMNS))


@dataclass
class _Piece:
    """Some rows of a file, or its end if there are none."""

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
    """Read the files of a job, and write what is to be written of each; None is standard output.

    `finish` is called with the name of each file of a folder that is written.
    """
    outcome = Outcome()
    if job.of_folder and output is not None:
        # It may be that no file is kept.
        output.mkdir(exist_ok=True)

    groups, documents = _decided(job, memory, outcome, on_texts, progress), None
    if job.drop_documents is not None:
        # A document may end anywhere: all is read twice, and decided once.
        documents = Documents(job)
        for piece in chain.from_iterable(groups):
            if piece.rows is not None:
                documents.count(documents.of(piece), piece.texts, piece.is_kept)
        outcome.documents = documents.by_tenth()
        files = tuple(file for file in job.files if not documents.drops_file(file.name))
        groups = _decided(replace(job, files=files), memory, Outcome(), (), progress, is_again=True)
        if progress is not None:
            _LOGGER.info("Dropping documents")

    written: SourceFile | None = None
    write: Any = None
    with closing(groups), ExitStack() as writer:
        for piece in chain.from_iterable(groups):
            if written is not piece.file:
                written = piece.file
                write = writer.enter_context(_open_writer(job, piece, output))
            if piece.rows is None:
                writer.close()
                if finish is not None:
                    finish(piece.file.name)
            else:
                is_written = _is_written(job, piece, documents)
                outcome.kept += pc.and_(piece.is_kept, is_written).true_count
                outcome.written += is_written.true_count
                write(_to_write(piece).filter(is_written))

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
) -> Generator[list[_Piece]]:
    """Read the files of a job, and yield groups of rows with what is decided about them.

    When they are read again, `memory` has counted their rows already.
    """
    share_before = 0.0

    def advance(start: float, stop: float, share: float) -> None:
        if progress is not None:
            progress(start + share * (stop - start), outcome.rows, len(memory))

    # An error leaves files open until it is forgotten, and here the copy of one from a bucket.
    with closing(_pieces(job)) as pieces:
        for group in _groups(pieces):
            share = group[-1].share
            advance_group = partial(advance, share_before, share)
            _decide(job, group, memory, outcome, on_texts, advance_group, is_again=is_again)
            share_before = share
            yield group
            # Not kept while the next one is read.
            group.clear()


def _pieces(job: Job) -> Generator[_Piece]:
    total = max(sum(file.bytes for file in job.files), 1)
    done = 0
    for file in job.files:
        options = {"encoding": job.encoding, "delimiter": job.delimiter}
        with open_rows(file.path, job.text, **options) as table:
            schema = job.schema_of(table)
            batches = checked_batches(table, job.text, nulls=job.nulls != "error")
            for batch, share, texts in batches:
                share = (done + share * file.bytes) / total
                yield _Piece(file, table, schema, share, batch, texts)
            done += file.bytes
            yield _Piece(file, table, schema, done / total)


def _groups(pieces: Iterator[_Piece]) -> Iterator[list[_Piece]]:
    group: list[_Piece] = []
    rows = n_bytes = 0
    for piece in pieces:
        group.append(piece)
        if piece.rows is not None:
            rows += piece.rows.num_rows
            n_bytes += piece.rows.nbytes
        if rows >= _GROUP_ROWS or n_bytes >= _GROUP_BYTES:
            yield group
            group, rows, n_bytes = [], 0, 0
    if group:
        yield group


def _decide(
    job: Job,
    group: list[_Piece],
    memory: TextMemory,
    outcome: Outcome,
    on_texts: Sequence[OnTexts],
    advance: Callable[[float], None],
    *,
    is_again: bool,
) -> None:
    """Set of each piece which rows are kept, and what is added to them."""
    filled = [piece for piece in group if piece.rows is not None]
    finished = [piece.table for piece in group if piece.rows is None]
    outcome.decoded += sum(table.encoding is not None for table in finished)
    outcome.doubtful += sum(table.is_doubtful for table in finished)
    if not filled:
        return

    column = pa.concat_arrays([piece.texts for piece in filled]).dictionary_encode()
    codes, texts = column.indices, column.dictionary.to_pylist()
    n_known = len(memory)
    outcome.rows += len(codes)
    outcome.nulls += codes.null_count
    rows = np.bincount(codes.drop_null().to_numpy(), minlength=len(texts))
    records = memory.look_up(texts, 0 if is_again else rows, advance)
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

    start = 0
    for piece in filled:
        n_rows = piece.rows.num_rows
        piece.is_kept = is_kept.slice(start, n_rows)
        piece.added = {name: values.slice(start, n_rows) for name, values in added.items()}
        start += n_rows


def _is_written(job: Job, piece: _Piece, documents: Documents | None) -> pa.BooleanArray:
    """Return which rows are written: those kept, or all with columns, but no dropped document."""
    if job.columns is not None:
        return pc.or_(piece.is_kept.is_valid(), job.nulls == "keep")
    is_written = piece.is_kept.fill_null(job.nulls == "keep")
    if documents is None:
        return is_written
    return pc.and_not(is_written, pa.array(documents.are_dropped(documents.of(piece))))


def _to_write(piece: _Piece) -> pa.RecordBatch:
    """Return the rows with the columns that are written."""
    # By their places: several columns may have one name.
    names = set(piece.schema.names).difference(piece.added)
    places = [i for i, name in enumerate(piece.rows.schema.names) if name in names]
    result = piece.rows.select(places)
    for name, values in piece.added.items():
        result = result.append_column(name, values)
    return result


def _open_writer(job: Job, piece: _Piece, output: Path | None) -> AbstractContextManager[Write]:
    if output is None:
        return standard_output()
    if job.of_folder:
        output = output / piece.file.name
        output.parent.mkdir(parents=True, exist_ok=True)
    return open_writer(
        output,
        piece.schema,
        job.output_format(piece.table),
        escape_formulas=job.escape_formulas,
    )


@contextmanager
def audited(job: Job, memory: TextMemory, *, overwrite: bool) -> Iterator[list[OnTexts]]:
    """Give what notes texts and counts while a job runs, and write its audit file at the end."""
    if job.audit is None:
        yield []
        return

    # Distinct texts are too many for memory. A file without a name is gone even after a kill.
    schema = pa.schema({"text": pa.large_string()})
    is_local = not isinstance(job.audit, RemotePath)
    with TemporaryFile(dir=job.audit.absolute().parent if is_local else None) as file:
        with pa.ipc.new_stream(file, schema) as stream:

            def note(texts: list[str], records: np.ndarray, is_new: np.ndarray) -> None:
                new = list(compress(texts, is_new))
                stream.write_batch(pa.record_batch([new], schema=schema))

            yield [note]

        file.seek(0)
        if overwrite and is_local:
            # A run of this job may have been killed while it wrote this.
            remove_leftovers(job.audit)
        records = memory.in_order()
        empty = _audit_rows(job, pa.array([], pa.large_string()), np.empty(0, RECORD))
        with (
            pa.ipc.open_stream(file) as batches,
            create_table(
                job.audit,
                empty.schema,
                overwrite=overwrite,
                escape_formulas=job.escape_formulas,
            ) as write,
        ):
            for batch in batches:
                of_batch = b"".join(islice(records, len(batch)))
                write(_audit_rows(job, batch.column(0), np.frombuffer(of_batch, RECORD)))


class Examples:
    """The most frequent texts that are kept and discarded, and those nearest to the threshold.

    Exact in bounded memory: of a text that is not among the most frequent so far only the number
    of rows is remembered, and should it become one of them, it comes by again.
    """

    def __init__(self, job: Job) -> None:
        self._job = job
        # By number: how a text is ranked, its beginning and its record.
        self._found: dict[str, dict[int, tuple]] = {"kept": {}, "discarded": {}, "near": {}}

    def note(self, texts: list[str], records: np.ndarray, is_new: np.ndarray) -> None:
        """Take the texts of a group."""
        threshold = self._job.decider.threshold
        decisions = records["decision"]
        distance = np.abs(decisions["probability"] - (0.5 if threshold is None else threshold))
        is_kept = decisions["label"] == self._job.decider.keep_number
        self._choose("kept", texts, records, is_kept, -records["rows"])
        self._choose("discarded", texts, records, ~is_kept, -records["rows"])
        self._choose("near", texts, records, is_new & ~np.isnan(distance), distance)

    def _choose(
        self, kind: str, texts: list[str], records: np.ndarray, is_one: np.ndarray, rank: np.ndarray
    ) -> None:
        places = np.flatnonzero(is_one)
        best = places[np.argsort(rank[places], kind="stable")[: self._job.n_examples]]
        # What is known of a text that comes by again is out of date.
        found = self._found[kind] | {
            int(records["number"][i]): (rank[i], texts[i][:_SHOWN], records[i]) for i in best
        }
        in_order = sorted(found.items(), key=lambda item: item[1][0])
        self._found[kind] = dict(in_order[: self._job.n_examples])

    def to_frame(self) -> pd.DataFrame:
        """Return the examples, those of each kind in order."""
        rows = [
            (kind, text, record["rows"], record["decision"]["probability"])
            for kind, found in self._found.items()
            for _, text, record in found.values()
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
