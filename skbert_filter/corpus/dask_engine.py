"""The corpus job on a Dask cluster: each file is the work of one worker.

Knows nothing of the formats of files, which are read and written as on one machine.
"""

import tempfile
from dataclasses import replace
from itertools import compress
from pathlib import Path
from typing import Any

import numpy as np

from skbert_filter.corpus.job import Job
from skbert_filter.corpus.resume import Partial
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
# Sets of hashes that are joined by one task.
_FAN_IN = 8


def filter_files(job: Job, partial: Partial, progress: Progress | None) -> Outcome:
    """Filter the files of a job on the workers of the client that is open, which see its folders.

    Progress counts a text as often as there are files with it.
    """
    client = _client()
    # Workers have their own working directories.
    output, records = partial.output.absolute(), partial.records.absolute()
    for folder in (output, records):
        folder.mkdir(exist_ok=True)
    files = [replace(file, path=file.path.absolute()) for file in job.files]

    # A task, not an argument of all others: a worker makes or receives its result once.
    shared = delayed(_shared, pure=False)(replace(job, source=job.source.absolute(), files=()))
    run = delayed(_filter_file, nout=2, pure=False)
    done = [run(shared, file, output, records) for file in files]

    hashes = [found for _, found in done]
    while len(hashes) > 1:
        groups = (hashes[first : first + _FAN_IN] for first in range(0, len(hashes), _FAN_IN))
        hashes = [delayed(_union)(group) for group in groups]
    of_all = delayed(_count)(hashes[0])
    *counts_of_files, counts_of_all = futures = client.compute([*(n for n, _ in done), of_all])

    total: dict[str, Any] = dict.fromkeys(_COUNTS, 0)
    n_bytes = {future.key: file.bytes for future, file in zip(counts_of_files, files, strict=True)}
    done_bytes = 0
    try:
        for future, counts in as_completed(counts_of_files, with_results=True):
            total = {name: total[name] + counts[name] for name in _COUNTS}
            done_bytes += n_bytes[future.key]
            if progress:
                share = done_bytes / max(sum(n_bytes.values()), 1)
                progress(share, total["rows"], total["distinct"])
        distinct, misdecoded = counts_of_all.result()
    finally:
        # After an error nothing more is to be written.
        client.cancel(futures)
    counts = {name: total[name].tolist() for name in _COUNTS}
    return Outcome(**counts | {"distinct": distinct, "misdecoded": misdecoded})


def connect(address: str) -> Client:
    """Return an open client of the scheduler at an address, which a ``with`` closes."""
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


def _shared(job: Job) -> tuple[Job, TextMemory]:
    return job, TextMemory(job.decider)


def _filter_file(
    shared: tuple[Job, TextMemory], file: SourceFile, output: Path, records: Path
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Filter a file, and return the counts and the hashes of its distinct texts.

    Of a file that is finished they are in its record: it may have been filtered before the
    job was interrupted, or by a worker that was lost with its results.
    """
    record, modified = records / f"{file.name}.npz", file.path.stat().st_mtime_ns
    if record.exists():
        with np.load(record) as known:
            if known["modified"] == modified:
                return {name: known[name] for name in _COUNTS}, known["digests"]

    job, of_worker = shared
    hashes = [np.empty(0, np.uint64)]

    def note(texts: list[str], records: np.ndarray, is_new: np.ndarray) -> None:
        hashes.append(_hashes(list(compress(texts, is_new))))

    # In a folder of its own: a worker that is given up for lost may still be writing.
    with tempfile.TemporaryDirectory(prefix="worker-", dir=output.parent) as folder:
        made, new_record = Path(folder, "output"), Path(folder, "record.npz")
        outcome = filter_rows(
            replace(job, files=(file,)),
            TextMemory(of_worker),
            made,
            on_texts=[note],
        )

        counts = {name: np.asarray(getattr(outcome, name)) for name in _COUNTS}
        found = np.concatenate(hashes)
        arrays: dict[str, Any] = counts | {"modified": modified, "digests": found}
        np.savez(new_record, **arrays)
        for new, target in ((made / file.name, output / file.name), (new_record, record)):
            # A document may have been dropped.
            if new.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                publish(new, target, overwrite=True)
    return counts, found


def _hashes(texts: list[str]) -> np.ndarray:
    """Return 63 bits that tell a text from others, and one for whether it looks mis-decoded."""
    hashes = np.frombuffer(b"".join(stable_hashes(texts)), np.uint64)[::2]
    flags = np.fromiter(map(looks_misdecoded, texts), np.uint64, len(texts))
    return hashes & ~np.uint64(1) | flags


def _union(sets: list[Any]) -> np.ndarray:
    return np.unique(np.concatenate(sets))


def _count(hashes: np.ndarray) -> tuple[int, int]:
    hashes = np.unique(hashes)
    return len(hashes), int(np.count_nonzero(hashes & np.uint64(1)))
