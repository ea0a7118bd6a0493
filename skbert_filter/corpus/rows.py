"""The rows of a job: read, decided and written, one file after the other.

Knows nothing of where a job may write, and of what an interrupted one has left.
"""

from array import array
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from skbert_filter.corpus.job import Job
from skbert_filter.corpus.sources import SourceFile, checked_batches
from skbert_filter.duplicates.distinct import TextMemory
from skbert_filter.io.atomic import remove_leftovers
from skbert_filter.io.mojibake import looks_misdecoded
from skbert_filter.io.reading import TableReader, open_rows
from skbert_filter.io.remote import RemotePath
from skbert_filter.io.writing import Write, create_table, open_writer, standard_output

# Batches of a corpus are decided together, so that small files make no small calls of the model.
_GROUP_ROWS = 1 << 17
_GROUP_BYTES = 1 << 23
# Letters of an example.
_SHOWN = 200
EXAMPLE_COLUMNS = ("kind", "text", "rows", "probability")

Progress = Callable[[float, int, int], None]
# Takes the distinct texts of a group, their numbers, how many numbers there were before, and which
# of the texts each row has.
OnTexts = Callable[[list[str], np.ndarray, int, pa.Array], None]


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
    result: Any = None


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
    written: SourceFile | None = None
    write: Any = None
    share_before = 0.0

    def advance(start: float, stop: float, share: float) -> None:
        if progress is not None:
            progress(start + share * (stop - start), outcome.rows, len(memory))

    with ExitStack() as writer:
        for group in _groups(_pieces(job)):
            share = group[-1].share
            _decide(job, group, memory, outcome, on_texts, partial(advance, share_before, share))
            share_before = share

            for piece in group:
                if written is not piece.file:
                    written = piece.file
                    write = writer.enter_context(_open_writer(job, piece, output))
                if piece.result is None:
                    writer.close()
                    if finish is not None:
                        finish(piece.file.name)
                else:
                    write(piece.result)
                    outcome.written += piece.result.num_rows
            # Not kept while the next one is read.
            group.clear()

    outcome.distinct = len(memory)
    return outcome


def _pieces(job: Job) -> Iterator[_Piece]:
    total = max(sum(file.bytes for file in job.files), 1)
    done = 0
    for file in job.files:
        with open_rows(file.path, job.text, encoding=job.encoding) as table:
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
    yield group


def _decide(
    job: Job,
    group: list[_Piece],
    memory: TextMemory,
    outcome: Outcome,
    on_texts: Sequence[OnTexts],
    advance: Callable[[float], None],
) -> None:
    """Set what is to be written of each piece."""
    finished = [piece.table for piece in group if piece.rows is None]
    outcome.decoded += sum(table.encoding is not None for table in finished)
    outcome.doubtful += sum(table.is_doubtful for table in finished)
    filled = [piece for piece in group if piece.rows is not None]
    if not filled:
        return

    column = pa.concat_arrays([piece.texts for piece in filled]).dictionary_encode()
    codes, texts = column.indices, column.dictionary.to_pylist()
    outcome.rows += len(codes)
    outcome.nulls += codes.null_count

    n_known = len(memory)
    numbers = memory.numbers_of(texts, advance)
    new = np.flatnonzero(numbers >= n_known)
    outcome.misdecoded += sum(looks_misdecoded(texts[i]) for i in new)
    for note in on_texts:
        note(texts, numbers, n_known, codes)

    decisions = memory[numbers]
    labels = pa.array(decisions["label"])
    is_kept = pc.equal(labels, job.decider.keep_number).take(codes)
    outcome.kept += is_kept.true_count
    added = {}
    if job.columns is None:
        chosen = is_kept.fill_null(job.nulls == "keep")
    else:
        chosen = pc.or_(is_kept.is_valid(), job.nulls == "keep")
        probabilities = pa.array(decisions["probability"], from_pandas=True)
        values = (pa.array(job.labels).take(labels).take(codes), probabilities.take(codes))
        added = dict(zip(job.columns, values, strict=True))

    start = 0
    for piece in filled:
        n_rows = piece.rows.num_rows
        # By their places: several columns may have one name.
        names = set(piece.schema.names).difference(added)
        places = [i for i, name in enumerate(piece.rows.schema.names) if name in names]
        result = piece.rows.select(places)
        for name, values_of_rows in added.items():
            result = result.append_column(name, values_of_rows.slice(start, n_rows))
        piece.result = result.filter(chosen.slice(start, n_rows))
        start += n_rows


def _open_writer(job: Job, piece: _Piece, output: Path | None) -> AbstractContextManager[Write]:
    if output is None:
        return standard_output()
    if job.of_folder:
        output = output / piece.file.name
        output.parent.mkdir(parents=True, exist_ok=True)
    return open_writer(
        output,
        piece.schema,
        job.format_of(piece.table.format),
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
    rows = array("q")
    is_local = not isinstance(job.audit, RemotePath)
    with TemporaryFile(dir=job.audit.absolute().parent if is_local else None) as file:
        with pa.ipc.new_stream(file, schema) as stream:

            def note(texts: list[str], numbers: np.ndarray, n_known: int, codes: pa.Array) -> None:
                new = [texts[i] for i in np.flatnonzero(numbers >= n_known)]
                stream.write_batch(pa.record_batch([new], schema=schema))
                _count(rows, numbers, codes)

            yield [note]

        file.seek(0)
        if overwrite and is_local:
            # A run of this job may have been killed while it wrote this.
            remove_leftovers(job.audit)
        counts = np.frombuffer(rows, np.int64)
        empty = _audit_rows(job, pa.array([], pa.large_string()), memory[np.arange(0)], counts[:0])
        with (
            pa.ipc.open_stream(file) as batches,
            create_table(
                job.audit,
                empty.schema,
                overwrite=overwrite,
                escape_formulas=job.escape_formulas,
            ) as write,
        ):
            first = 0
            for batch in batches:
                numbers = np.arange(first, first + len(batch))
                write(_audit_rows(job, batch.column(0), memory[numbers], counts[numbers]))
                first += len(batch)


def _count(rows: array, numbers: np.ndarray, codes: pa.Array) -> np.ndarray:
    """Add the rows of a group to those of each distinct text, and return all."""
    n_new = max(int(numbers.max(initial=-1)) + 1 - len(rows), 0)
    rows.frombytes(bytes(rows.itemsize * n_new))
    counts = np.frombuffer(rows, np.int64)
    counts[numbers] += np.bincount(codes.drop_null().to_numpy(), minlength=len(numbers))
    return counts


class Examples:
    """The most frequent texts that are kept and discarded, and those nearest to the threshold.

    Exact in bounded memory: of a text that is not among the most frequent so far only the number
    of rows is remembered, and should it become one of them, it comes by again.
    """

    def __init__(self, job: Job, memory: TextMemory) -> None:
        self._job, self._memory, self._n = job, memory, job.n_examples
        self._rows = array("q")
        self._frequent: dict[int, str] = {}
        self._near: dict[int, str] = {}

    def note(self, texts: list[str], numbers: np.ndarray, n_known: int, codes: pa.Array) -> None:
        """Take the texts of a group."""
        counts = _count(self._rows, numbers, codes)
        at_hand = dict(zip(numbers.tolist(), texts, strict=True))

        candidates, is_kept, _ = self._looked_up({**self._frequent, **at_hand})
        most_frequent = np.argsort(-counts[candidates], kind="stable")
        places = [
            most_frequent[is_kept[most_frequent] == side][: self._n] for side in (True, False)
        ]
        self._frequent = self._shown(self._frequent, at_hand, candidates[np.concatenate(places)])

        new = {i: text for i, text in at_hand.items() if i >= n_known}
        candidates, _, distance = self._looked_up({**self._near, **new})
        nearest = np.argsort(distance, kind="stable")[: self._n]
        nearest = nearest[~np.isnan(distance[nearest])]
        self._near = self._shown(self._near, at_hand, candidates[nearest])

    def _looked_up(self, texts: dict[int, str]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the numbers of texts, whether they are kept, and how near the threshold."""
        numbers = np.fromiter(texts, np.intp, len(texts))
        decisions = self._memory[numbers]
        is_kept = decisions["label"] == self._job.decider.keep_number
        threshold = self._job.decider.threshold
        distance = np.abs(decisions["probability"] - (0.5 if threshold is None else threshold))
        return numbers, is_kept, distance

    def _shown(
        self, known: dict[int, str], at_hand: dict[int, str], numbers: np.ndarray
    ) -> dict[int, str]:
        return {i: known[i] if i in known else at_hand[i][:_SHOWN] for i in numbers.tolist()}

    def to_frame(self) -> pd.DataFrame:
        """Return the examples, those of each kind in order."""
        numbers = np.fromiter([*self._frequent, *self._near], np.intp)
        decisions = self._memory[numbers]
        is_kept = decisions["label"] == self._job.decider.keep_number
        kinds = np.where(is_kept, "kept", "discarded").astype(object)
        kinds[len(self._frequent) :] = "near"
        return pd.DataFrame(
            {
                "kind": kinds,
                "text": pd.Series([*self._frequent.values(), *self._near.values()], dtype=object),
                "rows": np.frombuffer(self._rows, np.int64)[numbers],
                "probability": decisions["probability"],
            }
        )


def _audit_rows(
    job: Job, texts: pa.Array, decisions: np.ndarray, rows: np.ndarray
) -> pa.RecordBatch:
    labels = pa.array(job.labels)
    keep = job.labels[job.decider.keep_number]
    is_kept = decisions["label"] == job.decider.keep_number
    return pa.record_batch(
        {
            "text": texts,
            "label": labels.take(pa.array(decisions["label"])),
            "probability": pa.array(decisions["probability"], from_pandas=True),
            "rows": pa.array(rows),
            "decision": pa.array(np.where(is_kept, "keep", "discard"), pa.string()),
            "keep": pa.array([keep] * len(texts), labels.type),
            "threshold": pa.array([job.decider.threshold] * len(texts), pa.float64()),
        }
    )
