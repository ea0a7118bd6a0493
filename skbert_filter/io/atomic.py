"""The only place that writes aside and renames: an output has its name once it is complete.

Knows nothing of what is written.
"""

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile

from skbert_filter.io.remote import RemotePath, as_path

_FULL = (errno.ENOSPC, errno.EFBIG, errno.EDQUOT)


class NoRoomError(OSError):
    """The disk is full; the message names what could not be written."""


@contextmanager
def written_aside(target: str | os.PathLike[str], *, overwrite: bool = False) -> Iterator[Path]:
    """Lend a path next to `target` for a file or folder, which becomes `target` at the end.

    If the block raises, nothing is left of what was written. A file of a bucket is written on this
    machine, and uploaded.
    """
    target = as_path(target)
    if isinstance(target, RemotePath):
        with TemporaryDirectory(prefix="skbert_filter-") as at:
            made = Path(at, target.name)
            with no_room_named(made):
                yield made
            publish(made, target, overwrite=overwrite)
        return

    # Where it is a link, what the link points to is written.
    target = target.resolve()

    if target.parent.name.startswith(_prefix(target)):
        # An outer block has lent this path, which is aside already.
        yield target
        return

    with no_room_named(target), TemporaryDirectory(prefix=_prefix(target), dir=target.parent) as at:
        made = Path(at, target.name)
        yield made
        publish(made, target, overwrite=overwrite)


def check_can_create(target: Path) -> None:
    """Refuse a place where nothing can be written, before work is spent."""
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
    """Remove what killed processes have written aside, where no other process may be writing."""
    for leftover in target.parent.glob(f"{_prefix(target)}*"):
        shutil.rmtree(leftover, ignore_errors=True)


def publish(made: Path, target: Path, *, overwrite: bool = False) -> None:
    """Rename a finished file or folder, so that even a power cut leaves it whole or not there.

    `made` has a folder of its own on the same disk, in which a replaced folder waits until then.
    """
    if isinstance(target, RemotePath):
        if made.is_file() and not overwrite and target.exists():
            raise _exists(target)
        target.publish(made)
        return
    # A system may rename a file before its bytes are on the disk, and show an empty one later.
    _sync_all(made)

    if made.is_dir():
        _rename_folder(made, target, overwrite=overwrite)
    elif overwrite:
        made.replace(target)
    else:
        _rename_new(made, target)

    # Some systems open no folder, and some file systems sync none.
    with suppress(OSError):
        _sync(target.parent)


@contextmanager
def no_room_named(target: str | os.PathLike[str]) -> Iterator[None]:
    """Name in the error of a full disk what could not be written."""
    try:
        yield
    except OSError as error:
        if error.errno not in _FULL or isinstance(error, NoRoomError):
            raise
        named = NoRoomError(
            error.errno,
            f"There is no room to write {os.fspath(target)} ({os.strerror(error.errno)}). Free "
            "some, or name a place on another disk.",
        )
        for note in getattr(error, "__notes__", []):
            named.add_note(note)
        raise named from error


def _prefix(target: Path) -> str:
    # Hidden, so that no corpus is thought to hold it; a name may have 255 bytes.
    return f".{target.name[:50]}.partial-"


def _rename_folder(made: Path, target: Path, *, overwrite: bool) -> None:
    replaced = made.with_name("replaced")
    if overwrite and target.exists():
        target.rename(replaced)

    try:
        with suppress(FileNotFoundError):
            target.rmdir()
        made.rename(target)
    except OSError as error:
        if replaced.exists():
            replaced.rename(target)
        if target.exists():
            raise _exists(target) from error
        raise


def _rename_new(made: Path, target: Path) -> None:
    try:
        # Of two processes only one can make this link; a rename would replace the other's file.
        os.link(made, target)
    except FileExistsError as error:
        raise _exists(target) from error
    except OSError:
        # This file system has no links.
        if target.exists():
            raise _exists(target) from None
        made.rename(target)
    else:
        made.unlink()


def _exists(target: Path) -> FileExistsError:
    return FileExistsError(
        f"{target} exists: it was written while this was at work, and is left as it is. Name "
        "another place, or pass overwrite=True (--overwrite)."
    )


def _sync_all(made: Path) -> None:
    if not made.is_dir():
        _sync(made)
    elif hasattr(os, "sync"):
        # 1,142 small files took 0.1 seconds so, and 1.2 to 2.5 with a call for each.
        os.sync()
    else:
        for path in made.rglob("*"):
            if path.is_file():
                _sync(path)


def _sync(path: Path) -> None:
    # Windows syncs nothing that is open for reading only; Linux opens no folder for writing.
    descriptor = os.open(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
