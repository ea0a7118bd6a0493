"""Files and folders in buckets: the part of `pathlib.Path` that is needed here, through fsspec.

Credentials are handled by fsspec, and appear in no message. Nothing here depends on tables or jobs.
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

# The name that Spark and Hadoop use: readers of folders skip names that begin with "_".
SUCCESS = "_SUCCESS"
_COPY_BYTES = 1 << 22
# An fsspec file system has one transaction for all threads.
_UPLOADING = Lock()
# Matches "key:secret@" before a host, but not the port in "host:9000/".
_USER = re.compile(r"(?<=://)[^/:@]*:(?!\d{1,5}(?:/|$))\S*@")


def as_path(place: Any) -> Path:
    """Return a `Path`, or a `RemotePath` if `place` is the URL of something in a bucket."""
    if isinstance(place, RemotePath):
        return place  # type: ignore[return-value]
    url = place.as_posix() if isinstance(place, PurePath) else os.fspath(place)

    protocol, colon, rest = url.partition(":/")
    if colon and not rest.startswith("/"):
        from fsspec.registry import known_implementations

        # Path("s3://bucket") has become "s3:/bucket".
        url = f"{protocol}://{rest}" if protocol in known_implementations else url
    if "://" not in url:
        return Path(place)
    if protocol in ("file", "local"):
        from fsspec.implementations.local import LocalFileSystem

        return Path(LocalFileSystem._strip_protocol(url))
    return RemotePath(url)  # type: ignore[return-value]


def files_in(folder: Path) -> set[str]:
    """Return the names of all files in a folder, or none if it does not exist."""
    if isinstance(folder, RemotePath):
        return set(folder.files())
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir()}


class RemotePath:
    """A file or folder in a bucket, with the methods of `Path` that are called in this package."""

    def __init__(self, url: str) -> None:
        from fsspec.core import url_to_fs

        self._url = url if url.endswith("://") else url.rstrip("/")
        with self._explained("opened"):
            self._fs, self._key = url_to_fs(self._url)

    def __str__(self) -> str:
        shown = _USER.sub("", self._url)
        # A signature in the query is a secret too.
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
        return str(self).rpartition("/")[2]

    @property
    def suffix(self) -> str:
        return PurePath(self.name).suffix

    @property
    def parents(self) -> list["RemotePath"]:
        """The folders above this one, up to the bucket."""
        parts = self._url.split("/")
        return [RemotePath("/".join(parts[:n])) for n in range(len(parts) - 1, 2, -1)]

    def resolve(self) -> "RemotePath":
        """Return the path itself: a bucket has no links and no working directory."""
        return self

    absolute = resolve

    def samefile(self, other: object) -> bool:
        return self == other

    def exists(self) -> bool:
        """Whether the file or folder exists now, ignoring caches."""
        self._fs.invalidate_cache()
        return self._info() is not None

    def is_file(self) -> bool:
        info = self._info()
        return info is not None and info["type"] == "file"

    def is_dir(self) -> bool:
        """Whether this is a folder; the first answer is kept."""
        return self._is_folder

    @cached_property
    def _is_folder(self) -> bool:
        info = self._info()
        return info is not None and info["type"] == "directory"

    def stat(self) -> SimpleNamespace:
        """Return the size of a file, 0 if it is unknown."""
        return SimpleNamespace(st_size=(self._info() or {}).get("size") or 0)

    def _info(self) -> dict[str, Any] | None:
        # fsspec's `exists` is False where access is denied.
        with self._explained("read"):
            try:
                return self._fs.info(self._key)
            except FileNotFoundError:
                return None

    def files(self) -> dict[str, int]:
        """Return the names and sizes of the files in a folder, at any depth."""
        self._fs.invalidate_cache()
        # The Hugging Face hub normalizes some addresses.
        name = (self._info() or {}).get("name", self._key)
        start = len(name.rstrip("/")) + 1
        with self._explained("read"):
            files = self._fs.find(self._key, detail=True)
        return {key[start:]: info.get("size") or 0 for key, info in files.items()}

    def download(self, local: Path) -> None:
        """Copy a file to this machine."""
        with self._explained("read"):
            self._fs.get_file(self._key, str(local))

    def upload(self, local: Path) -> None:
        """Copy a file from this machine; it appears once it is complete."""
        with (
            _UPLOADING,
            self._explained("written"),
            self._fs.transaction,
            local.open("rb") as source,
            self._fs.open(self._key, "wb") as target,
        ):
            shutil.copyfileobj(source, target, _COPY_BYTES)

    def upload_part(self, folder: Path, records: Path, name: str) -> None:
        """Move a finished file from a local folder to this one, unless it has been uploaded before.

        Uploads are recorded in the folder `records`, so that an interrupted job can resume.
        """
        local, part, record = folder / name, self / name, records / name
        # A complete folder that is replaced is incomplete from the first upload on.
        if not records.exists() and (self / SUCCESS).exists():
            with self._explained("replaced"):
                self._fs.rm_file((self / SUCCESS)._key)
        with local.open("rb") as file:
            digest = file_digest(file, "sha256").hexdigest()

        if not record.exists() or record.read_text() != f"{digest} {part._version()}":
            record.parent.mkdir(parents=True, exist_ok=True)
            # Recorded before the upload too, so that a killed job recognizes what it left there.
            record.touch()
            part.upload(local)
            record.write_text(f"{digest} {part._version()}")
        local.unlink()

    def publish(self, local: Path) -> None:
        """Upload a finished file, or mark a folder of uploaded files as complete."""
        if not local.is_dir():
            self.upload(local)
            return
        marker = local / SUCCESS
        marker.write_text(json.dumps({"files": self.files()}, indent=1))
        (self / SUCCESS).upload(marker)

    def _version(self) -> str:
        info = self._info() or {}
        return f"{info.get('size')} {info.get('ETag')}"

    def working_folder(self) -> Path:
        """Return the folder on this machine where a job prepares its output."""
        cache = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
        digest = blake2b(str(self).encode(), digest_size=8).hexdigest()
        return cache / "skbert_filter" / f"{self.name}-{digest}.partial"

    @contextmanager
    def _explained(self, done: str) -> Iterator[None]:
        """Turn errors of fsspec into one that names this path, without its secrets."""
        try:
            yield
        except Exception as error:  # each implementation raises its own
            if isinstance(error, OSError) and error.errno == errno.ENOSPC:
                raise  # this machine's disk is full
            if isinstance(error, ImportError):
                raise ImportError(
                    f"{self} needs a package. {_install_hint(self._url, error)}"
                ) from error

            # A message may contain any part of a secret, so it cannot be redacted.
            has_secrets = bool(_USER.search(self._url)) or "?" in self._url
            reason = type(error).__name__ + ("" if has_secrets else f": {error}")
            kinds = (FileNotFoundError, PermissionError)
            raise next((kind for kind in kinds if isinstance(error, kind)), OSError)(
                f"{self} cannot be {done}: {reason}. Check the address, and the credentials that "
                'fsspec uses (docs: files, "My corpus is in a bucket").'
            ) from (None if has_secrets else error)


def _install_hint(url: str, error: ImportError) -> str:
    from fsspec.registry import known_implementations

    protocol = url.partition("://")[0].rpartition("::")[2]
    package = known_implementations.get(protocol, {"class": "fsspec"})["class"].partition(".")[0]
    return str(error) if package == "fsspec" else f"Run: pip install {package}"
