"""The corpus job on a Dask cluster: each file is the work of one worker.

Knows nothing of the formats of files, which are read and written as on one machine.
"""

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from skbert_filter.corpus.job import Job
from skbert_filter.corpus.resume import Partial
from skbert_filter.corpus.rows import Outcome, Progress, filter_rows
from skbert_filter.corpus.scores import TextScores
from skbert_filter.corpus.sources import SourceFile
from skbert_filter.decisions import RememberingDecider
from skbert_filter.duplicates.keys import stable_hashes
from skbert_filter.io.atomic import publish
from skbert_filter.io.mojibake import looks_misdecoded

try:
    from dask import delayed
    from distributed import Client, as_completed, default_client
except ImportError as error:
    raise ImportError(
        "engine=\"dask\" needs Dask. Run: pip install 'dask[dataframe]' distributed"
    ) from error

_COUNTS = ("rows", "distinct", "kept", "nulls", "written", "decoded", "doubtful")
# Sets of digests that are joined by one task.
_FAN_IN = 8


def filter_files(job: Job, partial: Partial, progress: Progress | None) -> Outcome:
    """Filter the files of a job on the workers of the client that is open.

    Parameters
    ----------
    job : Job
        Of a folder that all workers see.
    partial : Partial
        Where to write, which all workers see too. Files that are there with their records are
        not filtered again.
    progress : callable or None
        Called for each file that is done as ``progress(share, rows, distinct)``, where a text
        counts as often as there are files with it.

    Returns
    -------
    outcome : Outcome

    Raises
    ------
    ValueError
        If no client is open, or as `filter_corpus`.
    """
    client = _client()
    # Workers have working directories of their own.
    output, records = partial.output.absolute(), partial.records.absolute()
    for folder in (output, records):
        folder.mkdir(exist_ok=True)
    files = [replace(file, path=file.path.absolute()) for file in job.files]

    # A task, not an argument of all others: a worker makes or receives its result once.
    shared = delayed(_shared, pure=False)(replace(job, source=job.source.absolute(), files=()))
    run = delayed(_filter_file, nout=2, pure=False)
    done = [run(shared, file, output, records) for file in files]
    digests = [found for _, found in done]
    while len(digests) > 1:
        groups = (digests[first : first + _FAN_IN] for first in range(0, len(digests), _FAN_IN))
        digests = [delayed(_union)(group) for group in groups]
    found = delayed(_count)(digests[0])
    *of_files, of_all = futures = client.compute([*(counts for counts, _ in done), found])

    total = Outcome()
    n_bytes = {future.key: file.bytes for future, file in zip(of_files, files, strict=True)}
    done_bytes = 0
    try:
        for future, counts in as_completed(of_files, with_results=True):
            for name in _COUNTS:
                setattr(total, name, getattr(total, name) + getattr(counts, name))
            done_bytes += n_bytes[future.key]
            if progress:
                progress(done_bytes / max(sum(n_bytes.values()), 1), total.rows, total.distinct)
        total.distinct, total.misdecoded = of_all.result()
    finally:
        # After an error nothing is to be written any more.
        client.cancel(futures)
    return total


def connect(address: str) -> Client:
    """Return an open client of the scheduler at an address, which a ``with`` closes.

    Raises
    ------
    OSError
        If no scheduler answers there.
    ValueError
        If it is not an address.
    """
    try:
        return Client(address)
    except OSError as error:
        raise OSError(
            f"No Dask scheduler answers at {address}: {error}. Check the address, which "
            "`dask scheduler` prints when it starts."
        ) from error


def _client() -> Client:
    try:
        return default_client()
    except ValueError as error:
        raise ValueError(
            'engine="dask" needs a cluster to be connected with: call '
            'client = distributed.Client("tcp://...") before, or Client() for this machine.'
        ) from error


def _shared(job: Job) -> Job:
    """Return a job as a worker shares it between files: with a memory of the texts it has met."""
    decider = job.decider
    arguments = (decider.model, decider.keep, decider.threshold, decider.with_probabilities)
    return replace(job, decider=RememberingDecider(*arguments))


def _filter_file(
    job: Job, file: SourceFile, output: Path, records: Path
) -> tuple[Outcome, np.ndarray]:
    """Filter a file, and return the counts and the digests of its distinct texts.

    Of a file that is finished they are in its record: it may have been filtered before the
    job was interrupted, or by a worker that was lost with its results.
    """
    record, modified = records / f"{file.name}.npz", file.path.stat().st_mtime_ns
    if record.exists():
        with np.load(record) as known:
            if known["modified"] == modified:
                return Outcome(*known["counts"].tolist()), known["digests"]

    digests = [np.empty(0, np.uint64)]
    scores = TextScores(job.decider, None, lambda texts: digests.append(_digests(texts)))
    # Under a name of its own: a worker that is given up for lost may still be writing.
    with tempfile.TemporaryDirectory(prefix="worker-", dir=output.parent) as folder:
        made, new_record = Path(folder, "output"), Path(folder, "record.npz")
        counts = filter_rows(replace(job, files=(file,)), scores, made)
        found = np.concatenate(digests)
        figures = [getattr(counts, name) for name in _COUNTS]
        np.savez(new_record, modified=modified, counts=figures, digests=found)
        for new, target in ((made / file.name, output / file.name), (new_record, record)):
            target.parent.mkdir(parents=True, exist_ok=True)
            publish(new, target, overwrite=True)
    return counts, found


def _digests(texts: list[str]) -> np.ndarray:
    """Return 63 bits that tell a text from others, and one for whether it looks mis-decoded."""
    digests = np.frombuffer(b"".join(stable_hashes(texts)), np.uint64)[::2]
    flags = np.fromiter(map(looks_misdecoded, texts), np.uint64, len(texts))
    return digests & ~np.uint64(1) | flags


def _union(sets: list[Any]) -> np.ndarray:
    return np.unique(np.concatenate(sets))


def _count(digests: np.ndarray) -> tuple[int, int]:
    digests = np.unique(digests)
    return len(digests), int(np.count_nonzero(digests & np.uint64(1)))
