"""`filter_corpus`: check its arguments, run the job, and summarize it."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from functools import partial
from numbers import Real
from pathlib import Path
from time import perf_counter
from typing import Any, Literal

import numpy as np
import pandas as pd
from sklearn.frozen import FrozenEstimator
from sklearn.utils import check_scalar

from skbert_filter.corpus.classifiers import load_classifier
from skbert_filter.corpus.job import Job, check_outputs, check_paths
from skbert_filter.corpus.resume import PartialFolder, open_partial, partial_folder
from skbert_filter.corpus.rows import Examples, Outcome, Progress, audited, filter_rows
from skbert_filter.corpus.sources import STANDARD, list_sources
from skbert_filter.corpus.summary import FilterSummary
from skbert_filter.corpus.thresholds import choose_threshold
from skbert_filter.dedup_predictor import DedupPredictor
from skbert_filter.duplicates.distinct import (
    Decider,
    Nulls,
    TextMemory,
    check_options,
    label_to_keep,
    predicts_most_probable_class,
)
from skbert_filter.io.atomic import explain_full_disk
from skbert_filter.io.decoding import check_encoding
from skbert_filter.io.delimited import check_delimiter
from skbert_filter.io.remote import RemotePath, as_path


def filter_corpus(
    model: Any,
    source: str | Path,
    destination: str | Path,
    *,
    text: str = "text",
    keep: Any = None,
    threshold: float | None = None,
    recall: float | None = None,
    precision: float | None = None,
    columns: Sequence[str] | None = None,
    drop_documents: float | None = None,
    document: str | None = None,
    nulls: Nulls = "error",
    encoding: str | None = None,
    delimiter: str | None = None,
    audit: str | Path | None = None,
    store: str | Path | None = None,
    trust: bool = False,
    overwrite: bool = False,
    escape_formulas: bool = False,
    engine: Literal["local", "dask"] = "local",
    n_examples: int = 8,
    progress: Progress | None = None,
) -> FilterSummary:
    """Filter a corpus: write the rows whose text gets one label from a classifier.

    Rows keep their order, and all columns their values and types; lines of text and of JSON
    are written byte for byte as they were. Each distinct text is computed once. Memory is bounded
    whatever the number of rows and texts: decisions about the latest million texts or so are in
    memory, and older ones in a temporary file, 60 bytes each, in the folder that the environment
    variable ``SQLITE_TMPDIR`` names or the system's.

    Parameters
    ----------
    model : classifier or str or Path
        Any fitted text classifier, or where one is saved, as for
        :func:`~skbert_filter.corpus.load_classifier`.
    source : str or Path
        A ``.parquet``, ``.csv``, ``.tsv``, ``.jsonl`` or ``.txt`` file, all but the first also
        with ``.gz`` or ``.zst``; a folder of such files, at any depth; or ``"-"`` for lines on
        standard input. Each line of a ``.txt`` file is a row. Values in CSV files are text as
        written: ``NA`` is a text of two letters. A file or folder may be a URL that fsspec reads,
        such as ``s3://bucket/crawl``, ``gs://`` or ``hf://``.
    destination : str or Path
        The file to write: a table for a table, lines (or a table) for lines, JSON Lines for JSON
        Lines. For a folder, a folder with files of the same names. ``"-"`` for lines on standard
        output. It appears once it is complete; a folder at a URL is complete once it has the file
        ``_SUCCESS``.
    text : str, default="text"
        The column, or the member of JSON objects, with the texts. Not used for lines.
    keep : label, default=None
        The label to keep: one of ``model.classes_``, or its text form. None: the one that
        `train_filter` was given, or the one with a usual name, such as 1, True, "keep" or "yes".
    threshold : float, default=None
        Keep texts whose probability of `keep` is at least this. None: those for which
        ``model.predict`` returns `keep`.
    recall, precision : float, default=None
        Instead of `threshold`: choose the highest threshold that keeps this share of the useful
        texts, or the lowest at which this share of the kept texts is useful. It is chosen on the
        out-of-fold probabilities that `train_filter` saves with the model.
    columns : (str, str), default=None
        Keep all rows, and add two columns (or members) of these names: the label and the
        probability of `keep`, such as ``("label", "probability")``.
    drop_documents : float, default=None
        Drop a whole document if more than this share of its characters is discarded. The source
        is read twice, and memory grows with the number of documents.
    document : str, default=None
        The column, or the member of JSON objects, that names the document of a row. The rows of a
        document may be anywhere; rows without a value belong to none. None: each file of a folder
        is a document.
    nulls : {"error", "discard", "keep"}, default="error"
        What to do with rows that have no text.
    encoding : str, default=None
        The encoding of text files that are not UTF-8, such as "cp1252". None: such a file is an
        error, which names line and byte. Output is UTF-8.
    delimiter : str, default=None
        The delimiter of CSV and TSV files, such as ";" or "tab". None: it is found in the header
        of each file. Output has the delimiter of its source if both are .csv files, or both .tsv.
    audit : str or Path, default=None
        A CSV or Parquet file to write, or its URL: each distinct text with its label,
        probability, number of rows and decision, and the label and threshold it is based on.
    store : str or Path, default=None
        A file that remembers results for later jobs; see `DedupPredictor`.
    trust : bool, default=False
        Whether to load a `model` that is a pickle, from a file or a registry: this runs the code
        in it.
    overwrite : bool, default=False
        Whether to replace an existing `destination`, and to take over what an interrupted job
        with other options left. A folder is replaced only if this job writes all its files again.
    escape_formulas : bool, default=False
        Whether to put an apostrophe before texts in CSV that a spreadsheet would take for a
        formula, such as ``=1+1`` or ``@SUM``, in the output and in the audit file.
    engine : {"local", "dask"}, default="local"
        "dask": the files of a folder are filtered by the workers of the open
        ``distributed.Client``. They must see both folders.
    n_examples : int, default=8
        How many texts of each kind the summary shows; 0 for none.
    progress : callable, default=None
        Called now and then as ``progress(share, rows, distinct)``: the share of the source read
        so far, between 0 and 1 (NaN for standard input), and the rows and distinct texts in it.
        With `drop_documents` the share rises to 1 twice, once in each reading (with Dask, once).

    Returns
    -------
    summary : FilterSummary

    Raises
    ------
    FileNotFoundError
        If `source`, a model folder or the folder of `destination` does not exist.
    FileExistsError
        If `destination` exists and `overwrite` is False, or an interrupted job with other
        options, model or sources left something.
    BlockingIOError
        If another job on this machine is writing `destination`.
    ValueError
        If an argument is not allowed, or a file cannot be read: its text column is missing, a
        text is null, or it is damaged or not UTF-8.
    ImportError
        If a URL needs a package that is not installed, such as s3fs.
    OSError
        If the disk is full, or a URL cannot be read or written.

    Notes
    -----
    Until the output is complete it is in the folder ``<destination>.partial``, with the results
    of the model, which are saved as soon as they are computed. To finish a job that was
    interrupted, even killed, call it again: it reads the source again, computes only what is
    missing, and writes the same bytes as an uninterrupted run. Lines on standard output are
    written as they are decided.

    For a `destination` at a URL, this folder is on this machine, in ``~/.cache/skbert_filter`` or
    ``$XDG_CACHE_HOME/skbert_filter``, and each file is uploaded as soon as it is written. Files of
    a `source` at a URL are copied to a temporary folder, one at a time.

    With ``engine="dask"`` each file is filtered by one worker, and each worker remembers the texts
    that it has computed. The output is the same. The job survives the loss of a worker, and an
    interrupted one resumes with the files that are not finished. `audit`, `store` and `document`
    work on one machine only.

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
    source, destination = as_path(source), as_path(destination)
    audit = None if audit is None else as_path(audit)
    columns = check_options(threshold, columns, nulls)
    aim = _checked_aim(threshold=threshold, recall=recall, precision=precision)
    check_encoding(encoding)
    delimiter = check_delimiter(delimiter)
    files = list_sources(source)
    check_paths(source, destination, audit, model, store)
    _check_engine(engine, source, destination, audit=audit, store=store, document=document)
    _check_documents(drop_documents, document, columns, source, destination, overwrite)

    # Loading the model takes longest, so whatever can be checked without it is checked first.
    check = partial(check_outputs, source, destination, files, audit, overwrite=overwrite)
    check(destination != STANDARD and partial_folder(destination).exists())

    classifier = load_classifier(model, trust=trust)
    if keep is None:
        keep = label_to_keep(classifier)
    chosen = None
    if aim is not None and aim[0] != "threshold":
        chosen = choose_threshold(classifier, keep, *aim)
        threshold = chosen.threshold
    if store is not None:
        if isinstance(classifier, DedupPredictor):
            raise ValueError(
                "The model is a DedupPredictor, which may have a store: set that with "
                "model.set_params(store=...), and omit store here."
            )
        classifier = DedupPredictor(FrozenEstimator(classifier), store=str(store))

    with_probabilities = columns is not None or audit is not None
    if n_examples and predicts_most_probable_class(classifier):
        # Examples show probabilities only if these cost nothing extra.
        with_probabilities = True
    decider = Decider(classifier, keep, threshold, with_probabilities=with_probabilities)
    job = Job(
        source=source,
        destination=destination,
        files=files,
        text=text,
        decider=decider,
        columns=columns,
        nulls=nulls,
        encoding=encoding,
        delimiter=delimiter,
        audit=audit,
        escape_formulas=escape_formulas,
        n_examples=n_examples,
        drop_documents=drop_documents,
        document=document,
    )

    work_folder: AbstractContextManager[PartialFolder | None] = nullcontext()
    if destination != STANDARD:
        keep_files = engine == "dask" or isinstance(destination, RemotePath)
        work_folder = open_partial(
            destination, job.manifest(), check, overwrite=overwrite, keep_files=keep_files
        )
    output_name = "standard output" if destination == STANDARD else destination
    with explain_full_disk(output_name), work_folder as folder:
        if folder is not None and engine == "dask":
            from skbert_filter.corpus.dask_engine import filter_files

            outcome = filter_files(job, folder, progress)
        else:
            outcome = _run(job, folder, overwrite, progress)

    documents = None if drop_documents is None else _documents_table(outcome.documents)
    return FilterSummary(
        source=str(source),
        destination=str(destination),
        audit=None if audit is None else str(audit),
        keep=decider.keep,
        threshold=threshold,
        chosen=chosen,
        columns=columns,
        files=len(files),
        **asdict(outcome) | {"documents": documents},
        discarded=outcome.rows - outcome.nulls - outcome.kept,
        seconds=perf_counter() - start,
    )


def _checked_aim(**aims: float | None) -> tuple[str, float] | None:
    """Return the name and value of the one that was passed; passing several is an error."""
    passed = [(name, value) for name, value in aims.items() if value is not None]
    if len(passed) > 1:
        raise ValueError(f"{passed[0][0]} and {passed[1][0]} were passed. Pass one of them.")
    for name, value in passed:
        check_scalar(value, name, Real, min_val=0, max_val=1)
    return passed[0] if passed else None


def _check_documents(
    drop_documents: float | None,
    document: str | None,
    columns: Any,
    source: Path,
    destination: Path,
    overwrite: bool,
) -> None:
    """Reject options under which documents could not be identified or dropped."""
    if drop_documents is None:
        if document is not None:
            raise ValueError(
                "document= (--document) needs drop_documents= (--drop-documents). Pass both, or "
                "neither."
            )
        return

    check_scalar(drop_documents, "drop_documents", Real, min_val=0, max_val=1)
    if columns is not None:
        raise ValueError(
            "columns= (--columns) keeps all rows, and drop_documents= (--drop-documents) drops "
            "some. Omit one of them."
        )
    if source == STANDARD:
        raise ValueError(
            "Standard input can be read only once, but drop_documents= (--drop-documents) reads "
            "the source twice. Write it to a file first."
        )
    if document is None and not source.is_dir():
        raise ValueError(
            f"{source} is one file. Pass the column that identifies the document of each row as "
            "document= (--document), or a folder, each file of which is a document."
        )
    if document is None and overwrite and isinstance(destination, RemotePath):
        raise ValueError(
            f"{destination} is replaced file by file, so the files of dropped documents would "
            "stay. Delete it first, and omit overwrite= (--overwrite)."
        )


def _check_engine(engine: str, source: Path, destination: Path, **local_only: Any) -> None:
    """Reject an unknown engine, and what the workers of a cluster cannot do."""
    if engine == "local":
        return
    if engine != "dask":
        raise ValueError(f"engine is {engine!r}. It must be 'local' or 'dask'.")
    if isinstance(source, RemotePath) or isinstance(destination, RemotePath):
        raise ValueError(
            f'engine="dask" is for folders that all workers see under one path, not for {source} '
            f"and {destination}. Use filter_dataframe with dask.dataframe.read_parquet, which "
            'reads buckets (docs: cluster, "A Dask DataFrame").'
        )
    if not source.is_dir() or destination == STANDARD:
        raise ValueError(
            f'engine="dask" is for a folder of files, each of which is the work of one worker, but '
            f"{source} is not one. Split it into files, or omit the engine (--dask) "
            '(docs: cluster, "A folder of files").'
        )
    for name, value in local_only.items():
        if value is not None:
            raise ValueError(f'{name} is for one machine. Omit it, or engine="dask" (--dask).')


def _run(
    job: Job, folder: PartialFolder | None, overwrite: bool, progress: Progress | None
) -> Outcome:
    """Do a job in this process, and write its output and audit file."""
    decide: Callable[[list[str]], np.ndarray] = job.decider
    output = finish = None
    if folder is not None:
        decide, output = partial(folder.decisions, decide), folder.output
        # A resumed job may have written its audit file already.
        overwrite = overwrite or folder.resumed
        if isinstance(job.destination, RemotePath) and job.is_folder:
            finish = partial(job.destination.upload_part, output, folder.records)

    memory, examples = TextMemory(decide), Examples(job)
    with audited(job, memory, overwrite=overwrite) as on_texts:
        if job.n_examples:
            on_texts = [*on_texts, examples.note]
        outcome = filter_rows(job, memory, output, on_texts, progress, finish)

    outcome.recovered = 0 if folder is None else folder.recovered
    outcome.examples = examples.to_frame()
    return outcome


def _documents_table(counts: np.ndarray) -> pd.DataFrame:
    tenths = [f"{tenth} to {tenth + 10} %" for tenth in range(0, 100, 10)]
    return pd.DataFrame(counts, columns=["documents", "dropped"]).assign(discarded=tenths)
