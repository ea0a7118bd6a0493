"""Files and folders in buckets, by URL: what this package needs of `pathlib.Path`, through fsspec.

Knows nothing of tables and jobs. Credentials are the business of fsspec, and in no message.
"""

import errno
import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from hashlib import blake2b, file_digest
from pathlib import Path, PurePath
from threading import Lock
from types import SimpleNamespace
from typing import Any

# As Spark and Hadoop name it: readers of folders take no name with "_" for a part of the table.
SUCCESS = "_SUCCESS"
_COPY_BYTES = 1 << 22
# What fsspec keeps of a transaction is one for all threads.
_UPLOADING = Lock()
# "key:secret@" before a host, while in "host:9000/" there is a port.
_USER = re.compile(r"(?<=://)[^/:@]*:(?!\d{1,5}(?:/|$))\S*@")


def as_path(place: Any) -> Path:
    """Return a path of this machine, or what stands for one in a bucket if `place` is a URL."""
    if isinstance(place, RemotePath):
        return place  # type: ignore[return-value]
    url = place.as_posix() if isinstance(place, PurePath) else os.fspath(place)

    protocol, colon, rest = url.partition(":/")
    if colon and not rest.startswith("/"):
        from fsspec.registry import known_implementations

        # Path("s3://bucket") is s3:/bucket.
        url = f"{protocol}://{rest}" if protocol in known_implementations else url
    if "://" not in url:
        return Path(place)
    if protocol in ("file", "local"):
        from fsspec.implementations.local import LocalFileSystem

        return Path(LocalFileSystem._strip_protocol(url))
    return RemotePath(url)  # type: ignore[return-value]


def files_in(folder: Path) -> set[str]:
    """Return the names of all files in a folder, none if there is no such folder."""
    if isinstance(folder, RemotePath):
        return set(folder.files())
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir()}


class RemotePath:
    """A file or folder in a bucket, with the methods of a path that are called on one here."""

    def __init__(self, url: str) -> None:
        from fsspec.core import url_to_fs

        self._url = url if url.endswith("://") else url.rstrip("/")
        with self._explained("opened"):
            self._fs, self._key = url_to_fs(self._url)

    def __str__(self) -> str:
        shown = _USER.sub("", self._url)
        # What signs an address is a secret too.
        return shown.partition("?")[0] if shown.startswith("http") else shown

    __repr__ = __str__

    def __truediv__(self, name: str) -> "RemotePath":
        part = RemotePath.__new__(RemotePath)
        part._url, part._fs, part._key = f"{self._url}/{name}", self._fs, f"{self._key}/{name}"
        return part

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, RemotePath):
            return False
        return (self._fs, self._key) == (other._fs, other._key)

    def __hash__(self) -> int:
        return hash(self._key)

    @property
    def name(self) -> str:
        """The last part of the address."""
        return str(self).rpartition("/")[2]

    @property
    def suffix(self) -> str:
        """The extension."""
        return PurePath(self.name).suffix

    @property
    def parents(self) -> list["RemotePath"]:
        """The folders that this lies in, up to the bucket."""
        parts = self._url.split("/")
        return [RemotePath("/".join(parts[:n])) for n in range(len(parts) - 1, 2, -1)]

    def resolve(self) -> "RemotePath":
        """Return the same: there are no links, and no working folder."""
        return self

    absolute = expanduser = resolve

    def samefile(self, other: object) -> bool:
        """Whether both are one."""
        return self == other

    def exists(self) -> bool:
        """Whether there is such a file or folder now."""
        self._fs.invalidate_cache()
        return self._info() is not None

    def is_file(self) -> bool:
        """Whether this is a file."""
        info = self._info()
        return info is not None and info["type"] == "file"

    def is_dir(self) -> bool:
        """Whether this is a folder; a file that becomes one is not noticed."""
        return self._is_folder

    @cached_property
    def _is_folder(self) -> bool:
        info = self._info()
        return info is not None and info["type"] == "directory"

    def stat(self) -> SimpleNamespace:
        """Return the size of a file, 0 where that is unknown."""
        return SimpleNamespace(st_size=(self._info() or {}).get("size") or 0)

    def _info(self) -> dict[str, Any] | None:
        # `exists` of fsspec says False of what may not be seen.
        with self._explained("read"):
            try:
                return self._fs.info(self._key)
            except FileNotFoundError:
                return None

    def files(self) -> dict[str, int]:
        """Return the names of the files in a folder, at any depth, and their sizes."""
        self._fs.invalidate_cache()
        # The hub of Hugging Face spells some addresses in another way than they were given.
        name = (self._info() or {}).get("name", self._key)
        start = len(name.rstrip("/")) + 1
        with self._explained("read"):
            found = self._fs.find(self._key, detail=True)
        return {key[start:]: info.get("size") or 0 for key, info in found.items()}

    def download(self, made: Path) -> None:
        """Copy a file to this machine."""
        with self._explained("read"):
            self._fs.get_file(self._key, str(made))

    def upload(self, made: Path) -> None:
        """Copy a file from this machine: it appears when it is complete."""
        with (
            _UPLOADING,
            self._explained("written"),
            self._fs.transaction,
            made.open("rb") as source,
            self._fs.open(self._key, "wb") as target,
        ):
            shutil.copyfileobj(source, target, _COPY_BYTES)

    def upload_part(self, made_in: Path, records: Path, name: str) -> None:
        """Move a finished file into this folder, unless an interrupted job has uploaded it.

        In the folder `records` this notes what is uploaded.
        """
        made, part, record = made_in / name, self / name, records / name
        if not records.exists() and (self / SUCCESS).exists():
            with self._explained("replaced"):
                self._fs.rm_file((self / SUCCESS)._key)
        with made.open("rb") as file:
            digest = file_digest(file, "sha256").hexdigest()

        if not record.exists() or record.read_text() != f"{digest} {part._version()}":
            record.parent.mkdir(parents=True, exist_ok=True)
            # Before the upload: whatever a killed job leaves there is known to be its own.
            record.touch()
            part.upload(made)
            record.write_text(f"{digest} {part._version()}")
        made.unlink()

    def publish(self, made: Path) -> None:
        """Upload a finished file; or mark a folder, whose files are uploaded, as complete."""
        if not made.is_dir():
            self.upload(made)
            return
        marker = made / SUCCESS
        marker.write_text(json.dumps({"files": self.files()}, indent=1))
        (self / SUCCESS).upload(marker)

    def _version(self) -> str:
        info = self._info() or {}
        return f"{info.get('size')} {info.get('ETag')}"

    def working_folder(self) -> Path:
        """Return where on this machine a job prepares what is written here."""
        cache = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
        digest = blake2b(str(self).encode(), digest_size=8).hexdigest()
        return cache / "skbert_filter" / f"{self.name}-{digest}.partial"

    @contextmanager
    def _explained(self, done: str) -> Iterator[None]:
        """Turn what goes wrong in a bucket into an error that names it, without its secrets."""
        try:
            yield
        except Exception as error:  # each kind of bucket raises its own
            if isinstance(error, OSError) and error.errno == errno.ENOSPC:
                raise  # by the disk of this machine
            if isinstance(error, ImportError):
                raise ImportError(
                    f"{self} needs a package. {_install_hint(self._url, error)}"
                ) from error

            # A message may cut a secret anywhere, so that it cannot be taken out.
            has_secrets = bool(_USER.search(self._url)) or "?" in self._url
            reason = type(error).__name__ + ("" if has_secrets else f": {error}")
            kinds = (FileNotFoundError, PermissionError, OSError)
            raise next(kind for kind in kinds if isinstance(error, kind) or kind is OSError)(
                f"{self} cannot be {done}: {reason}. Check the address, and what fsspec knows of "
                'your account (docs: files, "My corpus is in a bucket").'
            ) from (None if has_secrets else error)


def _install_hint(url: str, error: ImportError) -> str:
    from fsspec.registry import known_implementations

    protocol = url.partition("://")[0].rpartition("::")[2]
    package = known_implementations.get(protocol, {"class": "fsspec"})["class"].partition(".")[0]
    return str(error) if package == "fsspec" else f"Run: pip install {package}"
