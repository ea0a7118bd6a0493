"""The folder `NAME.partial` of an unfinished job: its output so far, and what the model computed.

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


@dataclass
class PartialFolder:
    """The folder of an unfinished job, and the decisions that are saved in it.

    `output`, and `records` of its finished files, exist only if an interrupted run left them.
    `resumed` says whether a run of the same job was interrupted, and `recovered` for how many texts
    decisions were found here.
    """

    output: Path
    records: Path
    resumed: bool
    store: Store
    space: str
    recovered: int = 0

    def decisions(self, decide: Callable[[list[str]], np.ndarray], texts: list[str]) -> np.ndarray:
        """Return the decisions for a chunk of texts: those of an interrupted run, or new ones.

        New ones are saved first.
        """
        key = _chunk_key(texts)
        saved = self.store.get(self.space, [key]).get(_LAYOUT, {})
        if key in saved:
            self.recovered += len(texts)
            return np.frombuffer(saved[key], DECISION)

        decisions = decide(texts)
        self.store.put(self.space, _LAYOUT, [key], [decisions.tobytes()])
        return decisions


def _chunk_key(texts: list[str]) -> bytes:
    """Return a hash of some texts in their order; the lengths show where each ends."""
    lengths = np.fromiter(map(len, texts), "<i8", len(texts))
    digest = blake2b(lengths.tobytes(), digest_size=16)
    # One at a time, so that long texts are not copied all at once.
    for text in texts:
        digest.update(text.encode("utf-8", "surrogatepass"))
    return digest.digest()


def partial_folder(destination: Path) -> Path:
    """Return the folder of an unfinished job: next to its output, or for a URL in the cache."""
    if isinstance(destination, RemotePath):
        return destination.working_folder()
    return destination.with_name(destination.name + ".partial")


def uploaded(destination: Path) -> set[str]:
    """Return the names of the files that an interrupted job has uploaded to a URL."""
    is_remote = isinstance(destination, RemotePath)
    return files_in(partial_folder(destination) / _RECORDS) if is_remote else set()


@contextmanager
def open_partial(
    destination: Path,
    manifest: dict[str, Any],
    check: Callable[[bool], None],
    *,
    overwrite: bool,
    keep_files: bool = False,
) -> Iterator[PartialFolder]:
    """Open the folder of a job, whose output becomes `destination` if the block succeeds.

    If it fails, decisions stay in the folder for the next job with the same manifest; written files
    stay only with `keep_files`, since they are quick to write again. `check` raises an error if the
    job must not write. It is called while other jobs are locked out, with whether an interrupted
    run of this job may have written something.
    """
    folder = partial_folder(destination)
    manifest = json.loads(json.dumps(manifest, default=str))
    _check_is_ours(folder)
    folder.mkdir(parents=True, exist_ok=True)

    with _locked(folder, destination):
        _finish_killed_job(folder, destination)
        is_resumed = _is_resumed(folder, manifest, overwrite=overwrite)
        check(is_resumed)
        if not is_resumed:
            # In ASCII, since file names may hold what UTF-8 cannot encode.
            (folder / _NEW_MANIFEST).write_text(json.dumps(manifest, indent=1), encoding="ascii")
            publish(folder / _NEW_MANIFEST, folder / _MANIFEST, overwrite=True)

        kept = (_MANIFEST, _SCORES, *((_OUTPUT, _RECORDS) if keep_files else ()))
        _clean(folder, *(kept if is_resumed else kept[:2]))

        output, records = folder / _OUTPUT, folder / _RECORDS
        space = json.dumps([manifest["model"], manifest["decision"]])
        has_results = False
        try:
            with closing(Store(folder / _SCORES)) as store:
                store.begin_writing()
                try:
                    yield PartialFolder(output, records, is_resumed, store, space)
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

        # A later job that finds this file but no output knows that the job is done.
        (folder / _MANIFEST).replace(folder / _FINISHED)
        publish(output, destination, overwrite=overwrite)
        _clean(folder, _FINISHED)
        _clean(folder)


def _check_is_ours(folder: Path) -> None:
    if not folder.exists():
        return
    names = {path.name for path in folder.iterdir()} if folder.is_dir() else {folder.name}
    # A job that is killed in its first or last moments leaves no manifest.
    is_empty = all(name.startswith((_LOCK, _NEW_MANIFEST)) for name in names)
    if not names & {_MANIFEST, _FINISHED} and not is_empty:
        raise FileExistsError(
            f"{folder}, where the output is prepared, holds something else. Move it away, or name "
            "another destination."
        )


@contextmanager
def _locked(folder: Path, destination: Path) -> Iterator[None]:
    """Lock out other jobs for as long as this process lives."""
    file = folder / _LOCK
    # SQLite can lock a file on every system, and the lock ends with the process.
    with closing(sqlite3.connect(file, timeout=0, isolation_level=None)) as lock:
        try:
            lock.execute("BEGIN EXCLUSIVE")
            is_locked = file.exists()
        except sqlite3.OperationalError as error:
            if getattr(error, "sqlite_errorname", "") != "SQLITE_BUSY":
                raise OSError(f"{folder} cannot be locked: {error}.") from error
            is_locked = False

        if not is_locked:
            raise BlockingIOError(
                f"Another job is writing {destination}. Wait until it has ended, or name another "
                "destination."
            )

        try:
            yield
        finally:
            leftovers = list(folder.iterdir())
            if all(path.name.startswith(_LOCK) for path in leftovers):
                # Windows does not remove open files, and the next job may have begun already.
                with suppress(OSError):
                    for path in leftovers:
                        path.unlink()
                    folder.rmdir()


def _finish_killed_job(folder: Path, destination: Path) -> None:
    """Complete or undo the last step of a job that was killed while it published its output."""
    replaced, finished, output = folder / _REPLACED, folder / _FINISHED, folder / _OUTPUT
    if replaced.exists() and not destination.exists():
        replaced.rename(destination)
    # A file with a second link was published under its final name.
    if finished.exists() and output.exists() and (output.is_dir() or output.stat().st_nlink < 2):
        finished.replace(folder / _MANIFEST)


def _is_resumed(folder: Path, manifest: dict[str, Any], *, overwrite: bool) -> bool:
    """Return whether a run of the same job left the folder; reject what another job left."""
    try:
        previous = json.loads((folder / _MANIFEST).read_bytes())
    except (FileNotFoundError, ValueError):
        return False

    if previous != manifest and not overwrite:
        raise FileExistsError(
            f"{folder} was left by another job that was interrupted: "
            f"{_difference(previous, manifest)}. Run that job again to finish it, delete {folder}, "
            "or pass overwrite=True (--overwrite) to start this one "
            '(docs: files, "If it is interrupted").'
        )
    return previous == manifest


def _difference(previous: dict[str, Any], manifest: dict[str, Any]) -> str:
    before, now = (job | job["decision"] | job["options"] for job in (previous, manifest))
    for name in now:
        if before.get(name) != now[name] and name not in ("decision", "options"):
            if name in ("model", "sources"):
                return f"its {name} differed"
            return f"its {name} was {before.get(name)!r}, not {now[name]!r}"
    return "it was made by another version"


def _clean(folder: Path, *kept: str) -> None:
    """Remove all but the lock and what has a name that begins with one of `kept`."""
    for path in folder.iterdir():
        if path.name.startswith((_LOCK, *kept)):
            continue
        if path.is_dir():
            # A worker that outlives its job may be removing its own folder at the same time.
            with suppress(FileNotFoundError):
                shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
