"""Atomic writes: a file or folder gets its name once it is complete and on the disk.

Every finished output is renamed here. Nothing here depends on what is written.
"""

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile

from skbert_filter.io.remote import RemotePath, as_path

_DISK_FULL = (errno.ENOSPC, errno.EFBIG, errno.EDQUOT)


class DiskFullError(OSError):
    """The disk is full; the message names what could not be written."""


@contextmanager
def atomic_write(target: str | os.PathLike[str], *, overwrite: bool = False) -> Iterator[Path]:
    """Yield a temporary path for a file or folder, and rename it to `target` at the end.

    If the block raises, what it wrote is removed. A file for a bucket is written on this machine
    and then uploaded.
    """
    target = as_path(target)
    if isinstance(target, RemotePath):
        with TemporaryDirectory(prefix="skbert_filter-") as folder, explain_full_disk(folder):
            temporary = Path(folder, target.name)
            yield temporary
            publish(temporary, target, overwrite=overwrite)
        return

    # A link stays, and what it points to is replaced.
    target = target.resolve()
    prefix = _prefix(target)
    if target.parent.name.startswith(prefix):
        # The path is already a temporary one, from an outer block.
        yield target
        return

    with explain_full_disk(target), TemporaryDirectory(prefix=prefix, dir=target.parent) as folder:
        temporary = Path(folder, target.name)
        yield temporary
        publish(temporary, target, overwrite=overwrite)


def check_can_create(target: Path) -> None:
    """Raise an error, before work is spent, if the disk cannot be written to at `target`."""
    folder = next(path for path in target.absolute().parents if path.is_dir())
    try:
        with TemporaryFile(dir=folder):
            pass
    except OSError as error:
        reason = os.strerror(error.errno or errno.EACCES)
        raise OSError(
            error.errno,
            f"{target} cannot be written ({reason}). Allow writing to {folder}, or name another "
            "place.",
        ) from error


def remove_leftovers(target: Path) -> None:
    """Remove temporary files of killed processes. No other process may be writing `target`."""
    for leftover in target.parent.glob(f"{_prefix(target)}*"):
        shutil.rmtree(leftover, ignore_errors=True)


def publish(temporary: Path, target: Path, *, overwrite: bool = False) -> None:
    """Rename a finished file or folder; even after a power cut, it is whole or not there.

    `temporary` is in a working folder on the same disk, where a folder to be replaced is moved
    first, with the name "replaced".
    """
    if isinstance(target, RemotePath):
        if temporary.is_file() and not overwrite and target.exists():
            raise _exists(target)
        target.publish(temporary)
        return

    # The rename may reach the disk before the bytes do, and leave an empty file after a crash.
    _sync_all(temporary)

    if temporary.is_dir():
        _rename_folder(temporary, target, overwrite=overwrite)
    elif overwrite:
        temporary.replace(target)
    else:
        _rename_new(temporary, target)

    # Some systems cannot open a folder, and some file systems cannot sync one.
    with suppress(OSError):
        _sync(target.parent)


@contextmanager
def explain_full_disk(target: str | os.PathLike[str]) -> Iterator[None]:
    """Turn the error of a full disk into one that names what could not be written."""
    try:
        yield
    except OSError as error:
        if error.errno not in _DISK_FULL or isinstance(error, DiskFullError):
            raise
        explained = DiskFullError(
            error.errno,
            f"There is no room to write {os.fspath(target)} ({os.strerror(error.errno)}). Free "
            "some, or name a place on another disk.",
        )
        for note in getattr(error, "__notes__", []):
            explained.add_note(note)
        raise explained from error


def _prefix(target: Path) -> str:
    # Hidden, so that it is never read as part of a corpus; cut, as a name may have 255 bytes.
    return f".{target.name[:50]}.partial-"


def _rename_folder(temporary: Path, target: Path, *, overwrite: bool) -> None:
    replaced = temporary.with_name("replaced")
    if overwrite and target.exists():
        target.rename(replaced)

    try:
        with suppress(FileNotFoundError):
            target.rmdir()
        temporary.rename(target)
    except OSError as error:
        if replaced.exists():
            replaced.rename(target)
        if target.exists():
            raise _exists(target) from error
        raise


def _rename_new(temporary: Path, target: Path) -> None:
    try:
        # Only one process can create this link; a rename would replace another's file.
        os.link(temporary, target)
    except FileExistsError as error:
        raise _exists(target) from error
    except OSError:
        # The file system lacks hard links.
        if target.exists():
            raise _exists(target) from None
        temporary.rename(target)
    else:
        temporary.unlink()


def _exists(target: Path) -> FileExistsError:
    return FileExistsError(
        f"{target} exists: it was created while this job was running, and is unchanged. Name "
        "another place, or pass overwrite=True (--overwrite)."
    )


def _sync_all(temporary: Path) -> None:
    if not temporary.is_dir():
        _sync(temporary)
    elif hasattr(os, "sync"):
        # Takes 0.1 seconds for 1,142 small files; one call per file takes 1.2 to 2.5.
        os.sync()
    else:
        for path in temporary.rglob("*"):
            if path.is_file():
                _sync(path)


def _sync(path: Path) -> None:
    # Windows can sync only what is open for writing; Linux cannot open a folder for writing.
    descriptor = os.open(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
