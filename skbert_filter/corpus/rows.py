"""The rows of a job: read, decided and written, one file after the other.

Knows nothing of where a job may write, and of what an interrupted one has left.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from skbert_filter.corpus.job import Job
from skbert_filter.corpus.scores import TextScores
from skbert_filter.corpus.sources import SourceFile
from skbert_filter.io.columns import check_no_nulls, valid_texts
from skbert_filter.io.reading import TableReader, open_rows
from skbert_filter.io.writing import Write, open_writer, standard_output

# Batches of a corpus are decided together, so that small files make no small calls of the model.
_GROUP_ROWS = 1 << 17
_GROUP_BYTES = 1 << 23

Progress = Callable[[float, int, int], None]


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


@dataclass
class _Piece:
    """Some rows of a file, or its end if there are none."""

    file: SourceFile
    table: TableReader
    schema: pa.Schema
    first_row: int
    share: float
    rows: Any
    result: Any = None


def filter_rows(
    job: Job,
    scores: TextScores,
    output: Path | None,
    progress: Progress | None = None,
) -> Outcome:
    """Read the files of a job, and write what is to be written of each.

    Parameters
    ----------
    job : Job
    scores : TextScores
    output : Path or None
        The file or folder to write. None: standard output.
    progress : callable, default=None
        As for `filter_corpus`.

    Returns
    -------
    outcome : Outcome
    """
    outcome = Outcome()
    share_before = 0.0
    written: SourceFile | None = None
    write: Any = None
    with ExitStack() as writer:
        for group in _groups(_pieces(job)):
            for part in _decide(job, group, scores, outcome):
                if progress:
                    share = share_before + part * (group[-1].share - share_before)
                    progress(share, outcome.rows, len(scores))
            share_before = group[-1].share

            for piece in group:
                if written is not piece.file:
                    written = piece.file
                    write = writer.enter_context(_open_writer(job, piece, output))
                if piece.result is None:
                    writer.close()
                else:
                    write(piece.result)
                    outcome.written += piece.result.num_rows
            # Not kept while the next one is read.
            group.clear()

    outcome.distinct = len(scores)
    outcome.misdecoded, outcome.recovered = scores.misdecoded, scores.recovered
    return outcome


def _pieces(job: Job) -> Iterator[_Piece]:
    total = max(sum(file.bytes for file in job.files), 1)
    done = 0
    for file in job.files:
        with open_rows(file.path, job.text, encoding=job.encoding) as table:
            schema = job.schema_of(table)
            first_row = 1
            for batch, share in table.batches:
                yield _Piece(
                    file, table, schema, first_row, (done + share * file.bytes) / total, batch
                )
                first_row += batch.num_rows
            done += file.bytes
            yield _Piece(file, table, schema, first_row, done / total, None)


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


def _decide(job: Job, group: list[_Piece], scores: TextScores, outcome: Outcome) -> Iterator[float]:
    """Set what is to be written of each piece; give the share that is done."""
    finished = [piece.table for piece in group if piece.rows is None]
    outcome.decoded += sum(table.encoding is not None for table in finished)
    outcome.doubtful += sum(table.is_doubtful for table in finished)
    filled = [piece for piece in group if piece.rows is not None]
    if not filled:
        return

    texts = pa.concat_arrays([_texts(job, piece) for piece in filled]).dictionary_encode()
    codes = texts.indices
    numbers = np.empty(len(texts.dictionary), np.intp)
    outcome.rows += len(codes)
    outcome.nulls += codes.null_count
    yield from scores.fill(numbers, texts.dictionary.to_pylist())
    if job.audit is not None:
        rows = np.bincount(codes.drop_null().to_numpy(), minlength=len(numbers))
        scores.count(numbers, rows)

    labels = pa.array(scores.labels_of(numbers))
    is_kept = pc.equal(labels, job.decider.keep_number).take(codes)
    outcome.kept += is_kept.true_count
    added = {}
    if job.columns is None:
        chosen = is_kept.fill_null(job.nulls == "keep")
    else:
        chosen = pc.or_(is_kept.is_valid(), job.nulls == "keep")
        probabilities = pa.array(scores.probabilities_of(numbers), from_pandas=True)
        values = (pa.array(job.labels).take(labels).take(codes), probabilities.take(codes))
        added = dict(zip(job.columns, values, strict=True))

    start = 0
    for piece in filled:
        n_rows = piece.rows.num_rows
        # By their places: several columns may have one name.
        names = set(piece.schema.names).difference(added)
        places = [i for i, name in enumerate(piece.rows.schema.names) if name in names]
        result = piece.rows.select(places)
        for name, column in added.items():
            result = result.append_column(name, column.slice(start, n_rows))
        piece.result = result.filter(chosen.slice(start, n_rows))
        start += n_rows


def _texts(job: Job, piece: _Piece) -> pa.Array:
    name, path = job.text_column(piece.table.format), piece.table.path
    values = piece.rows.column(name)
    if job.nulls == "error":
        check_no_nulls(values, name, path, first_row=piece.first_row)
    return valid_texts(values, name, path, first_row=piece.first_row)


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
