"""The folder `NAME.partial` of a job that is not finished: what it writes, and what it knows.

Knows nothing of models or tables.
"""

import json
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np

from skbert_filter.duplicates.distinct import DECISION
from skbert_filter.duplicates.stores import Store
from skbert_filter.io.atomic import publish
from skbert_filter.io.remote import RemotePath, files_in

_MANIFEST = "manifest.json"
_NEW_MANIFEST = "manifest.new"
_FINISHED = "finished.json"
_SCORES = "scores.sqlite"
_LOCK = "lock"
_REPLACED = "replaced"
_LAYOUT = "chunk"
_OUTPUT = "output"
_RECORDS = "records"


class Journal:
    """Decisions that outlive the process: those of a chunk are found again by its texts."""

    def __init__(self, decide: Callable[[list[str]], np.ndarray], partial: "Partial") -> None:
        self._decide = decide
        self._store, self._space = partial.store, partial.space
        self.recovered = 0

    def __call__(self, texts: list[str]) -> np.ndarray:
        """Return what an interrupted run has decided, or decide now; kept when this returns."""
        key = _chunk_key(texts)
        known = self._store.get(self._space, [key]).get(_LAYOUT, {})
        if key in known:
            self.recovered += len(texts)
            return np.frombuffer(known[key], DECISION)

        decisions = self._decide(texts)
        self._store.put(self._space, _LAYOUT, [key], [decisions.tobytes()])
        return decisions


def _chunk_key(texts: list[str]) -> bytes:
    """Return a hash of some texts in their order; their lengths tell them apart."""
    lengths = np.fromiter(map(len, texts), "<i8", len(texts))
    digest = blake2b(lengths.tobytes(), digest_size=16)
    # One by one: long texts are not to be in memory three times.
    for text in texts:
        digest.update(text.encode("utf-8", "surrogatepass"))
    return digest.digest()


@dataclass(frozen=True)
class Partial:
    """An output that is being written.

    `output` and `records`, for what is known of its finished files, do not exist yet, unless files
    are kept. `resumed` says whether an interrupted run of the same job has been here.
    """

    folder: Path
    output: Path
    records: Path
    resumed: bool
    store: Store
    space: str


def partial_folder(destination: Path) -> Path:
    """Return the folder of a job that is not finished; for a bucket, in the user's cache."""
    if isinstance(destination, RemotePath):
        return destination.working_folder()
    return destination.with_name(destination.name + ".partial")


def uploaded(destination: Path) -> set[str]:
    """Return which files of a bucket an interrupted job has written there."""
    is_remote = isinstance(destination, RemotePath)
    return files_in(partial_folder(destination) / _RECORDS) if is_remote else set()


@contextmanager
def partial_output(
    destination: Path,
    manifest: dict[str, Any],
    check: Callable[[bool], None],
    *,
    overwrite: bool,
    keep_files: bool = False,
) -> Iterator[Partial]:
    """Give a place to write to, which becomes `destination` when the block ends well.

    When it does not, decisions stay in the folder for the next job of the same manifest, and
    written files only with `keep_files`: they are cheap to write again. `check` raises an error if
    the job must not write; it is called while no other job can write there, with whether an
    interrupted run of this job may have written something.
    """
    folder = partial_folder(destination)
    manifest = json.loads(json.dumps(manifest, default=str))
    _check_is_ours(folder)
    folder.mkdir(parents=True, exist_ok=True)

    with _locked(folder, destination):
        _finish_killed_job(folder, destination)
        is_known = _is_of(folder, manifest, overwrite=overwrite)
        check(is_known)
        if not is_known:
            # In ASCII: names of files may hold what UTF-8 cannot.
            (folder / _NEW_MANIFEST).write_text(json.dumps(manifest, indent=1), encoding="ascii")
            publish(folder / _NEW_MANIFEST, folder / _MANIFEST, overwrite=True)

        kept = (_MANIFEST, _SCORES, *((_OUTPUT, _RECORDS) if keep_files else ()))
        _clean(folder, *(kept if is_known else kept[:2]))

        output, records = folder / _OUTPUT, folder / _RECORDS
        space = json.dumps([manifest["model"], manifest["decision"]])
        has_results = False
        try:
            with closing(Store(folder / _SCORES)) as store:
                store.begin_writing()
                try:
                    yield Partial(folder, output, records, is_known, store, space)
                finally:
                    has_results = store.size().results > 0 or any(records.glob("*"))

            check(True)
        except BaseException as error:
            if has_results:
                _clean(folder, *kept)
                error.add_note(
                    f"What was computed is kept in {folder}: the same command resumes from there."
                )
            else:
                _clean(folder, _MANIFEST)
                _clean(folder)
            raise

        # Whoever finds this and no output knows that the job is done.
        (folder / _MANIFEST).replace(folder / _FINISHED)
        publish(output, destination, overwrite=overwrite)
        _clean(folder, _FINISHED)
        _clean(folder)


def _check_is_ours(folder: Path) -> None:
    if not folder.exists():
        return
    names = {path.name for path in folder.iterdir()} if folder.is_dir() else {folder.name}
    # Without a manifest, a job was killed when it had just begun or was about to end.
    is_empty = all(name.startswith((_LOCK, _NEW_MANIFEST)) for name in names)
    if not names & {_MANIFEST, _FINISHED} and not is_empty:
        raise FileExistsError(
            f"{folder}, where the output is prepared, holds something else. Move it away, or name "
            "another destination."
        )


@contextmanager
def _locked(folder: Path, destination: Path) -> Iterator[None]:
    """Keep other jobs out, for as long as this process lives."""
    file = folder / _LOCK
    # SQLite knows how to lock a file on every system; the lock ends with the process.
    with closing(sqlite3.connect(file, timeout=0, isolation_level=None)) as lock:
        try:
            lock.execute("BEGIN EXCLUSIVE")
            is_there = file.exists()
        except sqlite3.OperationalError as error:
            if getattr(error, "sqlite_errorname", "") != "SQLITE_BUSY":
                raise OSError(f"{folder} cannot be locked: {error}.") from error
            is_there = False

        if not is_there:
            raise BlockingIOError(
                f"Another job is writing {destination}. Wait until it has ended, or name another "
                "destination."
            )

        try:
            yield
        finally:
            left = list(folder.iterdir())
            if all(path.name.startswith(_LOCK) for path in left):
                # Not every system removes a file that is open. Without it the folder is empty,
                # unless the next job has come.
                with suppress(OSError):
                    for path in left:
                        path.unlink()
                    folder.rmdir()


def _finish_killed_job(folder: Path, destination: Path) -> None:
    """Complete, or take back, what a job was doing when it was killed at its very end."""
    replaced, finished, output = folder / _REPLACED, folder / _FINISHED, folder / _OUTPUT
    if replaced.exists() and not destination.exists():
        replaced.rename(destination)
    # A file with a second link has its final name too, or had it.
    if finished.exists() and output.exists() and (output.is_dir() or output.stat().st_nlink < 2):
        finished.replace(folder / _MANIFEST)


def _is_of(folder: Path, manifest: dict[str, Any], *, overwrite: bool) -> bool:
    """Return whether a folder is what this job has left, and refuse that of another."""
    path = folder / _MANIFEST
    if not path.exists():
        return False
    try:
        known = json.loads(path.read_bytes())
    except ValueError:
        return False

    if known != manifest and not overwrite:
        raise FileExistsError(
            f"{folder} was left by another job that was interrupted: "
            f"{_difference(known, manifest)}. Run that job again to finish it, delete {folder}, or "
            "pass overwrite=True (--overwrite) to start this one "
            '(docs: files, "If it is interrupted").'
        )
    return known == manifest


def _difference(known: dict[str, Any], wanted: dict[str, Any]) -> str:
    flat = [job | job["decision"] | job["options"] for job in (known, wanted)]
    for name in flat[1]:
        before, now = (job.get(name) for job in flat)
        if before != now and name not in ("decision", "options"):
            if name in ("model", "sources"):
                return f"its {name} differed"
            return f"its {name} was {before!r}, not {now!r}"
    return "it was made by another version"


def _clean(folder: Path, *kept: str) -> None:
    """Remove all but the lock, and what has one of these names or begins with it."""
    for path in folder.iterdir():
        if path.name.startswith((_LOCK, *kept)):
            continue
        if path.is_dir():
            # A worker that lives longer than its job may be removing a folder of its own too.
            with suppress(FileNotFoundError):
                shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
