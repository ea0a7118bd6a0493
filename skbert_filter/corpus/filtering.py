"""From files to files: the job itself, from what is read to what is written."""

import errno
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from skbert_filter.corpus.audit import kept_texts, write_audit
from skbert_filter.corpus.job import Job, Nulls, check_engine, check_job
from skbert_filter.corpus.partial import Partial, partial_output
from skbert_filter.corpus.scores import TextScores
from skbert_filter.corpus.sources import STANDARD, SourceFile
from skbert_filter.corpus.summary import FilterSummary
from skbert_filter.tables import (
    TableReader,
    check_no_nulls,
    open_rows,
    open_writer,
    standard_output,
    valid_texts,
)

# Batches of a corpus are decided together, so that small files make no small calls of the model.
_GROUP_ROWS = 1 << 17
_GROUP_BYTES = 1 << 23

Progress = Callable[[float, int, int], None]


def filter_corpus(
    model: Any,
    source: str | Path,
    destination: str | Path,
    *,
    text: str = "text",
    keep: Any = 1,
    threshold: float | None = None,
    columns: Sequence[str] | None = None,
    nulls: Nulls = "error",
    encoding: str | None = None,
    audit: str | Path | None = None,
    store: str | Path | None = None,
    trust: bool = False,
    overwrite: bool = False,
    engine: Literal["local", "dask"] = "local",
    progress: Progress | None = None,
) -> FilterSummary:
    """Write the rows of a corpus whose text a classifier gives one label.

    Rows keep their order, and all columns their values and types; lines of text and of JSON
    are written byte for byte as they were. Each distinct text is computed once. Memory grows
    with the number of distinct texts, by up to 250 bytes each, not with the number of rows.

    Parameters
    ----------
    model : classifier or str or Path
        Any fitted text classifier; a folder written by
        `SmallBertTextFilter.save_pretrained`; ``registry://workspace/name:version`` of Comet's
        model registry; or, with `trust`, a file written by joblib.
    source : str or Path
        A ``.parquet``, ``.csv``, ``.tsv``, ``.jsonl`` or ``.txt`` file, all but the first also
        with ``.gz`` or ``.zst``; a folder of such files, at any depth; or ``"-"`` for lines on
        standard input. Of a ``.txt`` file each line is a row. Values of CSV files are taken as
        they are written: ``NA`` is a text of two letters.
    destination : str or Path
        The file to write: a table as any table, lines as lines (or as a table), JSON Lines as
        such. For a folder, a folder with files of the same names. ``"-"`` for lines on
        standard output. It appears when it is complete; see Notes.
    text : str, default="text"
        The column, or the member of JSON objects, with the texts. Lines have none.
    keep : label, default=1
        The label to keep: one of ``model.classes_``, or its text form.
    threshold : float, default=None
        Keep texts for which the probability of `keep` is this or more. None: those for which
        ``model.predict`` gives it: of two classes the more probable one, or what a tuned
        threshold says.
    columns : (str, str), default=None
        Write all rows, with two more columns (or members): the label, and the probability of
        `keep`. These are their names, such as ``("label", "probability")``.
    nulls : {"error", "discard", "keep"}, default="error"
        What to do with rows that have no text.
    encoding : str, default=None
        What to decode text files from that are not UTF-8, such as "cp1252". None: they are
        refused, naming line and byte. Output is UTF-8.
    audit : str or Path, default=None
        A CSV or Parquet file to write: each distinct text with its label, probability, number
        of rows and the decision, and what was decided by.
    store : str or Path, default=None
        A file that remembers results for later jobs; see `DedupPredictor`.
    trust : bool, default=False
        Whether to read a `model` that is a file, which runs the code in it.
    overwrite : bool, default=False
        Whether to replace a `destination` that exists, and to take over what an interrupted
        job of other options left. A folder is replaced only if this job writes all its files
        again.
    engine : {"local", "dask"}, default="local"
        "dask": the files of a folder are filtered by the workers of the
        ``distributed.Client`` that is open, which must see both folders. See Notes.
    progress : callable, default=None
        Called now and then as ``progress(share, rows, distinct)``: the share of the work
        that is done, between 0 and 1 (NaN of standard input), and the rows and distinct texts
        seen.

    Returns
    -------
    summary : FilterSummary

    Raises
    ------
    FileNotFoundError
        If `source`, a model folder or the folder of `destination` does not exist.
    FileExistsError
        If `destination` exists and `overwrite` is False, or an interrupted job of other
        options, model or sources left something.
    BlockingIOError
        If another job is writing `destination`.
    ValueError
        If `model` is no classifier, or has no probabilities for a `threshold`; if `destination`
        is `source` or in it; if an extension is unknown, the text column is missing or holds no
        text, a text is null, a file is damaged or not UTF-8; if no class is `keep`, or an
        argument is not what is allowed.
    OSError
        If the disk is full.

    Notes
    -----
    Until the output is complete it is in the folder ``<destination>.partial``, with the
    results of the model, which are safe as soon as they are computed. A job that was
    interrupted, killed even, is finished by calling it again: it reads the source anew, asks
    the model only for what it had not computed, and writes what an uninterrupted run would
    have written, to the last byte. Nothing is left of it then. Standard output gets lines as
    they are decided.

    With ``engine="dask"`` a file is the work of one worker, and each worker remembers the texts
    that it has computed. The output is the same. A worker that is lost is survived. A job that
    was interrupted goes on with the files that were not finished. `audit` and `store` are for
    one machine.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from skbert_filter import filter_corpus
    >>> from skbert_filter.inspection.baselines import tfidf_baseline
    >>> texts = ["View All", "View more", "We make steel tools", "We build tools"]
    >>> model = tfidf_baseline().fit(texts, [0, 0, 1, 1])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     source, kept = Path(folder, "crawl.csv"), Path(folder, "kept.csv")
    ...     _ = source.write_text("id,text\\n007,We build boats\\n008,View All\\n009,View All\\n")
    ...     summary = filter_corpus(model, source, kept)
    ...     print(kept.read_text())
    "id","text"
    "007","We build boats"
    >>> summary.rows, summary.distinct, summary.kept, summary.discarded
    (3, 2, 1, 2)
    """
    start = perf_counter()
    job = check_job(
        model,
        source,
        destination,
        text=text,
        keep=keep,
        threshold=threshold,
        columns=columns,
        nulls=nulls,
        encoding=encoding,
        audit=audit,
        store=store,
        trust=trust,
        overwrite=overwrite,
    )
    check_engine(engine, job, store)
    of_workers = engine == "dask"
    with _work_folder(job, keep_files=of_workers) as (folder, partial), _disk_errors(job):
        if of_workers:
            from skbert_filter.integrations.dask_corpus import filter_files

            assert partial is not None
            outcome = filter_files(job, partial, progress)
        else:
            outcome = _run(job, folder, partial, progress)
    return FilterSummary(
        source=str(source),
        destination=str(destination),
        audit=None if audit is None else str(audit),
        keep=job.decider.keep,
        threshold=threshold,
        columns=job.columns,
        files=len(job.files),
        **asdict(outcome),
        discarded=outcome.rows - outcome.nulls - outcome.kept,
        seconds=perf_counter() - start,
    )


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


def _run(job: Job, folder: Path, partial: Partial | None, progress: Progress | None) -> Outcome:
    """Do a job in this process, and write its output and audit file."""
    with kept_texts(job, folder) as keep_texts:
        scores = TextScores(job.decider, partial, keep_texts)
        output = None if partial is None else partial.output
        outcome = filter_rows(job, scores, output, folder, progress)
    write_audit(job, scores, folder)
    return outcome


def filter_rows(
    job: Job,
    scores: TextScores,
    output: Path | None,
    scratch: Path,
    progress: Progress | None = None,
) -> Outcome:
    """Read the files of a job, and write what is to be written of each.

    Parameters
    ----------
    job : Job
    scores : TextScores
    output : Path or None
        The file or folder to write. None: standard output.
    scratch : Path
        A folder for temporary files.
    progress : callable, default=None
        As for `filter_corpus`.

    Returns
    -------
    outcome : Outcome
    """
    outcome = Outcome()
    share_before = 0.0
    with _Writers(job, output) as writers:
        for group in _groups(_pieces(job, scratch)):
            for part in _decide(job, group, scores, outcome):
                if progress:
                    share = share_before + part * (group[-1].share - share_before)
                    progress(share, outcome.rows, len(scores))
            share_before = group[-1].share
            for piece in group:
                outcome.written += writers.write(piece)
            # Not kept while the next one is read.
            group.clear()
    outcome.distinct = len(scores)
    outcome.misdecoded, outcome.recovered = scores.misdecoded, scores.recovered
    return outcome


def _pieces(job: Job, scratch: Path) -> Iterator[_Piece]:
    total = max(sum(file.bytes for file in job.files), 1)
    done = 0
    for file in job.files:
        with open_rows(file.path, job.text, encoding=job.encoding, scratch=scratch) as table:
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
    filled = [piece for piece in group if piece.rows is not None]
    outcome.decoded += sum(p.rows is None and p.table.encoding is not None for p in group)
    if not filled:
        return
    distinct, codes = _encode(job, filled)
    outcome.rows += len(codes)
    numbers = np.empty(len(distinct), np.intp)
    yield from scores.fill(numbers, distinct)
    outcome.nulls += codes.null_count
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
        result = piece.rows.select([name for name in piece.schema.names if name not in added])
        for name, column in added.items():
            result = result.append_column(name, column.slice(start, n_rows))
        piece.result = result.filter(chosen.slice(start, n_rows))
        start += n_rows


def _encode(job: Job, pieces: list[_Piece]) -> tuple[list[str], pa.Array]:
    """Return the distinct texts of some pieces, and which of them each row has, or null."""
    encoded = pa.concat_arrays([_texts(job, piece) for piece in pieces]).dictionary_encode()
    return encoded.dictionary.to_pylist(), encoded.indices


def _texts(job: Job, piece: _Piece) -> pa.Array:
    name, path = job.text_column(piece.table.format), piece.table.path
    values = piece.rows.column(name)
    if job.nulls == "error":
        check_no_nulls(values, name, path, first_row=piece.first_row)
    return valid_texts(values, name, path, first_row=piece.first_row)


class _Writers:
    """The files to write, one after the other, each with the rows of one that is read."""

    def __init__(self, job: Job, output: Path | None) -> None:
        self._job = job
        self._output = output
        self._open = ExitStack()
        self._file: SourceFile | None = None
        self._write: Any = None

    def __enter__(self) -> "_Writers":
        return self

    def __exit__(self, *error: Any) -> None:
        self._open.__exit__(*error)

    def write(self, piece: _Piece) -> int:
        """Write what was decided of a piece, and return how many rows that are."""
        if self._file is not piece.file:
            self._file = piece.file
            self._write = self._open.enter_context(self._writer(piece))
        if piece.result is None:
            self._open.close()
            return 0
        self._write(piece.result)
        return piece.result.num_rows

    def _writer(self, piece: _Piece) -> Any:
        if self._output is None:
            return standard_output()
        path = self._output
        if self._job.of_folder:
            path = path / piece.file.name
            path.parent.mkdir(parents=True, exist_ok=True)
        return open_writer(path, piece.schema, self._job.format_of(piece.table.format))


@contextmanager
def _work_folder(job: Job, *, keep_files: bool) -> Iterator[tuple[Path, Partial | None]]:
    if job.destination == STANDARD:
        with tempfile.TemporaryDirectory() as folder:
            yield Path(folder), None
    else:
        with partial_output(
            job.destination, job.manifest(), overwrite=job.overwrite, keep_files=keep_files
        ) as partial:
            yield partial.folder, partial


@contextmanager
def _disk_errors(job: Job) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EFBIG, errno.EDQUOT):
            raise
        raise OSError(
            error.errno,
            f"There is no room to write {job.target} ({os.strerror(error.errno)}). Free some, "
            "or name a destination on another disk",
        ) from error
