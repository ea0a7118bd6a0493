"""From files to files: the job itself, from its arguments to its summary."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from time import perf_counter
from typing import Any, Literal

from skbert_filter.corpus.audit import kept_texts, write_audit
from skbert_filter.corpus.job import Job, check_engine, check_job
from skbert_filter.corpus.resume import Partial, partial_output
from skbert_filter.corpus.rows import Outcome, Progress, filter_rows
from skbert_filter.corpus.scores import TextScores
from skbert_filter.corpus.sources import STANDARD
from skbert_filter.corpus.summary import FilterSummary
from skbert_filter.decisions import Nulls
from skbert_filter.io.atomic import no_room_named


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
    escape_formulas: bool = False,
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
        model registry (with `trust`, if it is no filter); or, with `trust`, a file of joblib.
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
        Whether to load a `model` that is a pickle, as a file or registered: it runs the code in it.
    overwrite : bool, default=False
        Whether to replace a `destination` that exists, and to take over what an interrupted
        job of other options left. A folder is replaced only if this job writes all its files
        again.
    escape_formulas : bool, default=False
        Whether to put an apostrophe before texts in CSV that a spreadsheet would take for a
        formula, such as ``=1+1`` or ``@SUM``, in the output and in the audit file.
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
        escape_formulas=escape_formulas,
    )
    check_engine(engine, job, store)
    of_workers = engine == "dask"
    with no_room_named(job.target), _work_folder(job, keep_files=of_workers) as (folder, partial):
        if of_workers:
            from skbert_filter.corpus.dask_engine import filter_files

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


def _run(job: Job, folder: Path, partial: Partial | None, progress: Progress | None) -> Outcome:
    """Do a job in this process, and write its output and audit file."""
    with kept_texts(job, folder) as keep_texts:
        scores = TextScores(job.decider, partial, keep_texts)
        output = None if partial is None else partial.output
        outcome = filter_rows(job, scores, output, progress)
    resumed = partial is not None and partial.resumed
    write_audit(job, scores, folder, overwrite=job.overwrite or resumed)
    return outcome


@contextmanager
def _work_folder(job: Job, *, keep_files: bool) -> Iterator[tuple[Path, Partial | None]]:
    if job.destination == STANDARD:
        with tempfile.TemporaryDirectory() as folder:
            yield Path(folder), None
    else:
        with partial_output(
            job.destination,
            job.manifest(),
            job.check_outputs,
            overwrite=job.overwrite,
            keep_files=keep_files,
        ) as partial:
            yield partial.folder, partial
