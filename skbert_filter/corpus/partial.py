"""The folder `NAME.partial` of a job that is not finished: what it writes, and what it knows.

Knows nothing of models or tables.
"""

import json
import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from skbert_filter.duplicates.stores import Store
from skbert_filter.publishing import publish

_MANIFEST = "manifest.json"
_SCORES = "scores.sqlite"
_LOCK = "lock"
_REPLACED = "replaced"
_LAYOUT = "chunk"
_OUTPUT = "output"
_RECORDS = "records"


@dataclass(frozen=True)
class Partial:
    """An output that is being written.

    Attributes
    ----------
    folder : Path
        For whatever else the job has to put down.
    output : Path
        The file or folder to write, which does not exist yet; but see `partial_output`.
    records : Path
        A folder for what is known of finished files of the output, made by who needs it.
    """

    folder: Path
    output: Path
    records: Path
    _store: Store
    _space: str

    def get(self, key: bytes) -> bytes | None:
        """Return what this or an interrupted run has put under a key."""
        return self._store.get(self._space, [key]).get(_LAYOUT, {}).get(key)

    def put(self, key: bytes, value: bytes) -> None:
        """Keep a result, safe from a kill when this returns."""
        self._store.put(self._space, _LAYOUT, [key], [value])


def partial_folder(destination: Path) -> Path:
    """Return the folder of a job that is not finished."""
    return destination.with_name(destination.name + ".partial")


@contextmanager
def partial_output(
    destination: Path, manifest: dict[str, Any], *, overwrite: bool, keep_files: bool = False
) -> Iterator[Partial]:
    """Give a place to write to, which becomes `destination` when the block ends well.

    When it does not, results that were put stay in the folder, and the next job with the same
    manifest finds them. What was written is removed, unless it is to be kept: it is cheap to
    write again.

    Parameters
    ----------
    destination : Path
        A file or folder. Whether it may be replaced is to be checked before.
    manifest : dict
        What the job is, for JSON. Results are kept by its members "model" and "decision".
    overwrite : bool
        Whether a folder of another job may be taken over.
    keep_files : bool, default=False
        Whether the next job with the same manifest finds the output and the records too.

    Raises
    ------
    BlockingIOError
        If a living job is writing there.
    FileExistsError
        If the folder is of another job, or holds other things.
    """
    folder = partial_folder(destination)
    _check_is_ours(folder)
    folder.mkdir(exist_ok=True)
    with _locked(folder, destination):
        is_known = _claim(folder, manifest, overwrite=overwrite)
        kept = (_OUTPUT, _RECORDS) if keep_files else ()
        _clean(folder, kept if is_known else ())
        output, records = folder / _OUTPUT, folder / _RECORDS
        with closing(Store(folder / _SCORES)) as store:
            store.begin_writing()
            decided_by = [manifest["model"], manifest["decision"]]
            try:
                yield Partial(folder, output, records, store, json.dumps(decided_by))
            except BaseException as error:
                _clean(folder, kept)
                if not store.size().results and not any(records.glob("*")):
                    shutil.rmtree(folder, ignore_errors=True)
                else:
                    error.add_note(
                        f"What was computed is kept in {folder}: the same command goes on from "
                        "there."
                    )
                raise
        if destination.is_dir():
            # A folder can only take the place of an empty one.
            _remove(folder / _REPLACED)
            destination.rename(folder / _REPLACED)
        publish(output, destination)
        # Not every system removes a file that is open, and the lock is.
        shutil.rmtree(folder, ignore_errors=True)


def _check_is_ours(folder: Path) -> None:
    if folder.exists() and not (
        folder.is_dir()
        and ((folder / _MANIFEST).is_file() or {file.name for file in folder.iterdir()} <= {_LOCK})
    ):
        raise FileExistsError(
            f"{folder}, where the output is prepared, holds something else. Move it away, or name "
            "another destination."
        )


@contextmanager
def _locked(folder: Path, destination: Path) -> Iterator[None]:
    """Keep other jobs out, for as long as this process lives."""
    # SQLite knows how to lock a file on every system; the lock ends with the process.
    with closing(sqlite3.connect(folder / _LOCK, timeout=0, isolation_level=None)) as lock:
        try:
            lock.execute("BEGIN EXCLUSIVE")
            is_there = (folder / _LOCK).exists()
        except sqlite3.OperationalError as error:
            if getattr(error, "sqlite_errorname", "") != "SQLITE_BUSY":
                raise OSError(f"{folder} cannot be locked: {error}.") from error
            is_there = False
        if not is_there:
            raise BlockingIOError(
                f"Another job is writing {destination}. Wait until it has ended, or name another "
                "destination."
            )
        yield


def _claim(folder: Path, manifest: dict[str, Any], *, overwrite: bool) -> bool:
    """Refuse the folder of another job, or take it over; return whether it was of this one."""
    text = json.dumps(manifest, indent=1, default=str)
    path = folder / _MANIFEST
    if path.exists():
        with suppress(ValueError):
            known = json.loads(path.read_text(encoding="utf-8"))
            if known == json.loads(text):
                return True
            if not overwrite:
                raise FileExistsError(
                    f"{folder} is what an interrupted job left, and that was another: "
                    f"{_difference(known, json.loads(text))}. Run that job again to finish it, "
                    f"delete {folder}, or pass overwrite=True (--overwrite) to begin this one "
                    '(docs: files, "If it is interrupted").'
                )
    written = path.with_suffix(".new")
    written.write_text(text, encoding="utf-8")
    written.replace(path)
    return False


def _difference(known: dict[str, Any], wanted: dict[str, Any]) -> str:
    flat = [job | job["decision"] | job["options"] for job in (known, wanted)]
    for name in flat[1]:
        before, now = (job.get(name) for job in flat)
        if before != now and name not in ("decision", "options"):
            if name in ("model", "sources"):
                return f"its {name} differed"
            return f"its {name} was {before!r}, not {now!r}"
    return "it was made by another version"


def _clean(folder: Path, kept: Sequence[str]) -> None:
    """Remove what is cheap to write again, or may be of another job."""
    kept = (_MANIFEST, _LOCK, _REPLACED, *kept)
    for path in folder.iterdir():
        if path.name not in kept and not path.name.startswith(_SCORES):
            _remove(path)


def _remove(path: Path) -> None:
    if path.is_dir():
        # A worker that lives longer than its job may be removing a folder of its own too.
        with suppress(FileNotFoundError):
            shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
