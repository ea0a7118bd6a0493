"""The corpus job on a Dask cluster: each file is filtered by one worker.

Knows nothing of file formats: files are read and written as on one machine.
"""

import tempfile
from dataclasses import replace
from itertools import compress
from pathlib import Path
from typing import Any

import numpy as np

from skbert_filter.corpus.job import Job
from skbert_filter.corpus.resume import PartialFolder
from skbert_filter.corpus.rows import Outcome, Progress, filter_rows
from skbert_filter.corpus.sources import SourceFile
from skbert_filter.duplicates.distinct import TextMemory
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

_COUNTS = ("rows", "distinct", "kept", "nulls", "written", "decoded", "doubtful", "documents")
# How many sets of hashes one task merges.
_FAN_IN = 8


def filter_files(job: Job, folder: PartialFolder, progress: Progress | None) -> Outcome:
    """Filter the files of a job on the workers of the open client.

    Progress counts a text once for each file that has it.
    """
    client = _client()
    # Workers have their own working directories.
    output, records = folder.output.absolute(), folder.records.absolute()
    for place in (output, records):
        place.mkdir(exist_ok=True)
    files = [replace(file, path=file.path.absolute()) for file in job.files]

    # The job is the result of a task, so that the model reaches each worker once.
    shared = delayed(_shared, pure=False)(replace(job, source=job.source.absolute(), files=()))
    run = delayed(_filter_file, nout=2, pure=False)
    tasks = [run(shared, file, output, records) for file in files]

    hashes = [file_hashes for _, file_hashes in tasks]
    while len(hashes) > 1:
        groups = (hashes[first : first + _FAN_IN] for first in range(0, len(hashes), _FAN_IN))
        hashes = [delayed(_union)(group) for group in groups]
    counts = [file_counts for file_counts, _ in tasks]
    *file_futures, text_future = futures = client.compute([*counts, delayed(_count)(hashes[0])])

    totals: dict[str, Any] = dict.fromkeys(_COUNTS, 0)
    n_bytes = {future.key: file.bytes for future, file in zip(file_futures, files, strict=True)}
    bytes_done = 0
    try:
        for future, file_counts in as_completed(file_futures, with_results=True):
            totals = {name: totals[name] + file_counts[name] for name in _COUNTS}
            bytes_done += n_bytes[future.key]
            if progress:
                share = bytes_done / max(sum(n_bytes.values()), 1)
                progress(share, totals["rows"], totals["distinct"])
        distinct, misdecoded = text_future.result()
    finally:
        # After an error, workers must not go on writing.
        client.cancel(futures)

    totals = {name: total.tolist() for name, total in totals.items()}
    return Outcome(**totals | {"distinct": distinct, "misdecoded": misdecoded})


def connect(address: str) -> Client:
    """Connect to the scheduler at an address; the client is a context manager."""
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
            'engine="dask" needs a cluster to run on: call '
            'client = distributed.Client("tcp://...") first, or Client() for this machine.'
        ) from error


def _shared(job: Job) -> tuple[Job, TextMemory]:
    return job, TextMemory(job.decider)


def _filter_file(
    shared: tuple[Job, TextMemory], file: SourceFile, output: Path, records: Path
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Filter a file, and return its counts and the hashes of its distinct texts.

    For a finished file they are read from its record: it may have been filtered before the job was
    interrupted, or by a worker that was lost with its results.
    """
    record, modified = records / f"{file.name}.npz", file.path.stat().st_mtime_ns
    if record.exists():
        with np.load(record) as saved:
            if saved["modified"] == modified:
                return {name: saved[name] for name in _COUNTS}, saved["digests"]

    job, worker_memory = shared
    hashes = [np.empty(0, np.uint64)]

    def note(texts: list[str], records: np.ndarray, is_new: np.ndarray) -> None:
        hashes.append(_hashes(list(compress(texts, is_new))))

    # In its own folder, since a worker that was given up for lost may still be writing.
    with tempfile.TemporaryDirectory(prefix="worker-", dir=output.parent) as folder:
        new_output, new_record = Path(folder, "output"), Path(folder, "record.npz")
        file_job, memory = replace(job, files=(file,)), TextMemory(worker_memory)
        outcome = filter_rows(file_job, memory, new_output, on_texts=[note])

        counts = {name: np.asarray(getattr(outcome, name)) for name in _COUNTS}
        digests = np.concatenate(hashes)
        arrays: dict[str, Any] = counts | {"modified": modified, "digests": digests}
        np.savez(new_record, **arrays)
        for new, target in ((new_output / file.name, output / file.name), (new_record, record)):
            # A dropped document has no output.
            if new.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                publish(new, target, overwrite=True)
    return counts, digests


def _hashes(texts: list[str]) -> np.ndarray:
    """Return 63 bits of a hash of each text, and one for whether it looks mis-decoded."""
    hashes = np.frombuffer(b"".join(stable_hashes(texts)), np.uint64)[::2]
    flags = np.fromiter(map(looks_misdecoded, texts), np.uint64, len(texts))
    return hashes & ~np.uint64(1) | flags


def _union(sets: list[Any]) -> np.ndarray:
    return np.unique(np.concatenate(sets))


def _count(hashes: np.ndarray) -> tuple[int, int]:
    hashes = np.unique(hashes)
    return len(hashes), int(np.count_nonzero(hashes & np.uint64(1)))
