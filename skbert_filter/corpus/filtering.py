"""From files to files: `filter_corpus`, from its arguments to its summary."""

from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from numbers import Real
from pathlib import Path
from time import perf_counter
from typing import Any, Literal

import pandas as pd
from sklearn.frozen import FrozenEstimator
from sklearn.utils import check_scalar

from skbert_filter.corpus.classifiers import load_classifier
from skbert_filter.corpus.job import Job, check_outputs, check_paths
from skbert_filter.corpus.resume import Journal, Partial, partial_folder, partial_output
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
    audit: str | Path | None = None,
    store: str | Path | None = None,
    trust: bool = False,
    overwrite: bool = False,
    escape_formulas: bool = False,
    engine: Literal["local", "dask"] = "local",
    n_examples: int = 8,
    progress: Progress | None = None,
) -> FilterSummary:
    """Write the rows of a corpus whose text a classifier gives one label.

    Rows keep their order, and all columns their values and types; lines of text and of JSON
    are written byte for byte as they were. Each distinct text is computed once. Memory is bounded,
    whatever the number of rows and of texts: about a million texts are in it, and what is decided
    about more is in a temporary file of 60 bytes each (in the folder that the environment variable
    ``SQLITE_TMPDIR`` names, or the system's).

    Parameters
    ----------
    model : classifier or str or Path
        Any fitted text classifier, or where one is kept, as for
        :func:`~skbert_filter.corpus.load_classifier`.
    source : str or Path
        A ``.parquet``, ``.csv``, ``.tsv``, ``.jsonl`` or ``.txt`` file, all but the first also
        with ``.gz`` or ``.zst``; a folder of such files, at any depth; or ``"-"`` for lines on
        standard input. Each line of a ``.txt`` file is a row. Values of CSV files are taken as
        they are written: ``NA`` is a text of two letters. File and folder may be URLs that
        fsspec reads, such as ``s3://bucket/crawl``, ``gs://`` or ``hf://``.
    destination : str or Path
        The file to write: a table as any table, lines as lines (or as a table), JSON Lines as
        such. For a folder, a folder with files of the same names. ``"-"`` for lines on
        standard output. It appears when it is complete; a folder at a URL is complete when it has
        the file ``_SUCCESS``.
    text : str, default="text"
        The column, or the member of JSON objects, with the texts. Lines need none.
    keep : label, default=None
        The label to keep: one of ``model.classes_``, or its text form. None: what `train_filter`
        was told, or the one with a usual name, such as 1, True, "keep" or "yes".
    threshold : float, default=None
        Keep texts for which the probability of `keep` is this or more. None: those for which
        ``model.predict`` gives it.
    recall, precision : float, default=None
        In place of `threshold`: the highest that keeps this share of the useful texts, or the
        lowest at which this share of what is kept is useful, on labelled texts out of fold, whose
        probabilities `train_filter` saves with the model.
    columns : (str, str), default=None
        The names of two columns (or members) to add to all rows, instead of keeping some: the
        label and the probability of `keep`, such as ``("label", "probability")``.
    drop_documents : float, default=None
        Drop a document whole if more than this share of its characters is discarded. The source
        is read twice; memory grows with the number of documents, too.
    document : str, default=None
        The column, or the member of JSON objects, that says of which document a row is, wherever
        it stands; rows without a value are in none. None: each file of a folder is a document.
    nulls : {"error", "discard", "keep"}, default="error"
        What to do with rows that have no text.
    encoding : str, default=None
        What to decode text files from that are not UTF-8, such as "cp1252". None: they are
        refused, naming line and byte. Output is UTF-8.
    audit : str or Path, default=None
        A CSV or Parquet file to write, or its URL: each distinct text with its label,
        probability, number of rows and the decision, and what was decided by.
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
        ``distributed.Client`` that is open, which must see both folders.
    n_examples : int, default=8
        How many texts of each kind the summary shows; 0 for none.
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
        If another job on this machine is writing `destination`.
    ValueError
        If an argument is not what is allowed, or a file cannot be read: its text column is missing,
        a text is null, it is damaged or not UTF-8.
    ImportError
        If a URL needs a package that is not installed, such as s3fs.
    OSError
        If the disk is full, or a URL cannot be read or written.

    Notes
    -----
    Until the output is complete it is in the folder ``<destination>.partial``, with the
    results of the model, which are safe as soon as they are computed. A job that was
    interrupted, killed even, is finished by calling it again: it reads the source again,
    computes only what is missing, and writes what an uninterrupted run would have written, to
    the last byte. Lines on standard output come as they are decided.

    Of a `destination` with a URL, this folder lies on this machine, in ``~/.cache/skbert_filter``
    or ``$XDG_CACHE_HOME/skbert_filter``, and each file is uploaded as soon as it is written.
    Files of a `source` with a URL are copied to a temporary folder, one at a time.

    With ``engine="dask"`` a file is the work of one worker, and each worker remembers the texts
    that it has computed. The output is the same. A worker that is lost is survived; an
    interrupted job resumes with the files that were not finished. `audit` and `store` are for
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
    source, destination = as_path(source), as_path(destination)
    audit = None if audit is None else as_path(audit)
    names = check_options(threshold, columns, nulls)
    _check_aims(threshold, recall, precision)
    check_encoding(encoding)
    files = list_sources(source)
    check_paths(source, destination, audit, {"model": model, "store": store})
    _check_engine(
        engine, source, destination, {"audit": audit, "store": store, "document": document}
    )
    _check_documents(drop_documents, document, columns, source, destination, overwrite)

    check = partial(check_outputs, source, destination, files, audit, overwrite=overwrite)
    # all that can fail before the model, since to load it takes longest
    check(resumed=destination != STANDARD and partial_folder(destination).exists())

    classifier = load_classifier(model, trust=trust)
    if keep is None:
        keep = label_to_keep(classifier)
    chosen = None
    if recall is not None or precision is not None:
        chosen = choose_threshold(classifier, keep, recall=recall, precision=precision)
        threshold = chosen.threshold
    if store is not None:
        if isinstance(classifier, DedupPredictor):
            raise ValueError(
                "The model is a DedupPredictor, which may have a store: set that with "
                "model.set_params(store=...), and omit store here."
            )
        classifier = DedupPredictor(FrozenEstimator(classifier), store=str(store))

    is_free = bool(n_examples) and predicts_most_probable_class(classifier)
    wanted = names is not None or audit is not None or is_free
    decider = Decider(classifier, keep, threshold, with_probabilities=wanted)
    job = Job(
        source=source,
        destination=destination,
        files=files,
        text=text,
        decider=decider,
        columns=names,
        nulls=nulls,
        encoding=encoding,
        audit=audit,
        escape_formulas=escape_formulas,
        n_examples=n_examples,
        drop_documents=drop_documents,
        document=document,
    )

    with explain_full_disk("standard output" if destination == STANDARD else destination):
        if destination == STANDARD:
            outcome = _run(job, None, overwrite, progress)
        else:
            with partial_output(
                destination,
                job.manifest(),
                lambda resumed: check(resumed=resumed),
                overwrite=overwrite,
                keep_files=engine == "dask" or isinstance(destination, RemotePath),
            ) as place:
                if engine == "dask":
                    from skbert_filter.corpus.dask_engine import filter_files

                    outcome = filter_files(job, place, progress)
                else:
                    outcome = _run(job, place, overwrite or place.resumed, progress)

    return FilterSummary(
        source=str(source),
        destination=str(destination),
        audit=None if audit is None else str(audit),
        keep=decider.keep,
        threshold=threshold,
        chosen=chosen,
        columns=names,
        files=len(files),
        **asdict(outcome) | {"documents": None if drop_documents is None else _by_tenth(outcome)},
        discarded=outcome.rows - outcome.nulls - outcome.kept,
        seconds=perf_counter() - start,
    )


def _check_aims(threshold: float | None, recall: float | None, precision: float | None) -> None:
    given = {"threshold": threshold, "recall": recall, "precision": precision}
    named = [name for name, value in given.items() if value is not None]
    if len(named) > 1:
        raise ValueError(f"{named[0]} and {named[1]} were passed. Pass one of them.")
    for name in named:
        check_scalar(given[name], name, Real, min_val=0, max_val=1)


def _by_tenth(outcome: Outcome) -> pd.DataFrame:
    tenths = [f"{tenth} to {tenth + 10} %" for tenth in range(0, 100, 10)]
    table = pd.DataFrame(outcome.documents, columns=["documents", "dropped"])
    return table.assign(discarded=tenths)


def _check_documents(
    drop_documents: float | None,
    document: str | None,
    columns: Any,
    source: Path,
    destination: Path,
    overwrite: bool,
) -> None:
    """Refuse documents that nobody can tell, and that could not be dropped."""
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
            "Standard input can be read only once, and drop_documents= (--drop-documents) reads "
            "twice. Write it to a file."
        )
    if document is None and not source.is_dir():
        raise ValueError(
            f"{source} is one file. Name its column that says of which document a row is, as "
            "document= (--document), or pass a folder, each file of which is a document."
        )
    if document is None and overwrite and isinstance(destination, RemotePath):
        raise ValueError(
            f"{destination} is replaced file by file, so that those of dropped documents would "
            "stay. Delete it before, and omit overwrite (--overwrite)."
        )


def _check_engine(
    engine: str, source: Path, destination: Path, of_one_machine: dict[str, Any]
) -> None:
    """Refuse an engine that does not exist, and what the workers of a cluster cannot do."""
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
            f"{source} is not one. Cut it into files, or omit the engine (--dask) "
            '(docs: cluster, "A folder of files").'
        )
    for name, given in of_one_machine.items():
        if given is not None:
            raise ValueError(f'{name} is for one machine. Omit it, or engine="dask" (--dask).')


def _run(job: Job, place: Partial | None, overwrite: bool, progress: Progress | None) -> Outcome:
    """Do a job in this process, and write its output and audit file."""
    journal = None if place is None else Journal(job.decider, place)
    memory = TextMemory(journal or job.decider)
    output = None if place is None else place.output
    examples = Examples(job)
    finish = None
    if place is not None and isinstance(job.destination, RemotePath) and job.of_folder:
        finish = partial(job.destination.upload_part, place.output, place.records)
    with audited(job, memory, overwrite=overwrite) as on_texts:
        noted = [*on_texts, examples.note] if job.n_examples else on_texts
        outcome = filter_rows(job, memory, output, noted, progress, finish)
    outcome.recovered = journal.recovered if journal else 0
    outcome.examples = examples.to_frame()
    return outcome
