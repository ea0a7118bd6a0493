"""Results by key in an SQLite database: a file, or the memory of this process.

Knows nothing of estimators: a space is a text that names whose results they are, a
layout a text that says how to read them, keys and values are bytes.
"""

import errno
import sqlite3
import time
import weakref
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import timedelta
from itertools import repeat
from os import PathLike
from pathlib import Path
from threading import Lock, RLock
from typing import Any, NamedTuple
from zlib import crc32

import pandas as pd

from skbert_filter.io.atomic import DiskFullError
from skbert_filter.printing import counted

# "skbf" in the header of the file, where SQLite's documentation wants an application's mark.
_APPLICATION_ID = 0x736B6266
_FORMAT = 1
_TABLES = """
CREATE TABLE spaces (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE layouts (id INTEGER PRIMARY KEY, layout TEXT NOT NULL UNIQUE);
CREATE TABLE results (
    space INTEGER NOT NULL, key BLOB NOT NULL, layout INTEGER NOT NULL, value BLOB NOT NULL,
    checksum INTEGER NOT NULL, stored REAL NOT NULL, PRIMARY KEY (space, key)
) WITHOUT ROWID
"""
# Older builds of SQLite take 999 variables in a statement.
_KEYS_IN_A_QUERY = 900
# A row above a quarter of a page would take a page to itself: an embedding should not.
_PAGE_BYTES = 16_384
_CACHE_KIB = 65_536
# Of waiting for another process, whose transactions are short.
_TIMEOUT_SECONDS = 60.0
_CLOSING_SECONDS = 0.05


@dataclass(frozen=True)
class CacheInfo:
    """What `DedupPredictor.cache_info` returns. The first three are counts since `fit`.

    Attributes
    ----------
    hits : int
        Rows that were answered without computing them: repeats, and inputs in the store.
    misses : int
        Rows that the estimator computed.
    distinct : int
        Distinct inputs of each call, added up: ``distinct - misses`` came from the store.
    stored : int
        Results in the store, of all estimators and methods that share it.
    bytes : int
        The size of the store.
    """

    hits: int
    misses: int
    distinct: int
    stored: int
    bytes: int

    def __str__(self) -> str:
        rows = self.hits + self.misses
        return (
            f"{self.misses:,} of {counted(rows, 'row')} ({self.misses / max(rows, 1):.1%}) were "
            f"computed; {self.distinct:,} were distinct.\n"
            f"{counted(self.stored, 'result')} in the store, {self.bytes / 1e6:,.1f} MB."
        )

    def to_frame(self) -> pd.DataFrame:
        """Return the counts as a table of one row."""
        return pd.DataFrame([asdict(self)])


class StoreSize(NamedTuple):
    """The number of results of all spaces, and the size of the database."""

    results: int
    bytes: int


class Store:
    """An open store. Threads may share it; processes open the same file each for itself.

    A file is written in SQLite's write-ahead log where the file system allows it, and put back into
    one self-contained file by `close`, so that it can be copied, and read where nothing can be
    written. A checksum over space, layout, key and value makes of a damaged file an error, never a
    wrong result.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = path
        self._lock = RLock()
        if path is not None:
            _check_path(path)

        with self._clear_errors():
            self._db = sqlite3.connect(
                ":memory:" if path is None else path,
                timeout=_TIMEOUT_SECONDS,
                isolation_level=None,
                check_same_thread=False,
            )
            try:
                self._open()
            except BaseException:
                self._db.close()
                raise

        # A store in memory lives as long as its predictor, who does not close it.
        weakref.finalize(self, self._db.close)

    def get(self, space: str, keys: Sequence[bytes]) -> dict[str, dict[bytes, bytes]]:
        """Return the values of the keys that have a result, by layout."""
        found: dict[str, dict[bytes, bytes]] = {}
        # Neighbours in the file are read together.
        ordered = sorted(keys)

        with self._lock, self._clear_errors(), self._transaction("DEFERRED"):
            number = self._one("SELECT id FROM spaces WHERE name = ?", space)
            if number is None:
                return found
            layouts = dict(self._db.execute("SELECT id, layout FROM layouts"))

            for start in range(0, len(ordered), _KEYS_IN_A_QUERY):
                wanted = ordered[start : start + _KEYS_IN_A_QUERY]
                rows = self._db.execute(
                    "SELECT layout, key, value, checksum FROM results WHERE space = ? AND key IN "
                    f"({','.join('?' * len(wanted))})",
                    (number, *wanted),
                ).fetchall()
                for layout_id in {row[0] for row in rows}:
                    layout = layouts.get(layout_id, "")
                    chosen = [row for row in rows if row[0] == layout_id]
                    found.setdefault(layout, {}).update(self._checked(chosen, space, layout))
        return found

    def put(
        self,
        space: str,
        layout: str,
        keys: Sequence[bytes],
        values: Sequence[bytes],
        *,
        items_limit: int | None = None,
    ) -> None:
        """Add results in one transaction; those that are there already stay.

        With `items_limit`, the oldest make room.
        """
        now = time.time()
        seed = _seed(space, layout)

        with self._lock, self._clear_errors(), self._transaction("IMMEDIATE"):
            self._db.execute("INSERT OR IGNORE INTO spaces (name) VALUES (?)", (space,))
            self._db.execute("INSERT OR IGNORE INTO layouts (layout) VALUES (?)", (layout,))
            space_id = self._one("SELECT id FROM spaces WHERE name = ?", space)
            layout_id = self._one("SELECT id FROM layouts WHERE layout = ?", layout)

            self._db.executemany(
                "INSERT OR IGNORE INTO results VALUES (?, ?, ?, ?, ?, ?)",
                (
                    (space_id, key, layout_id, value, crc32(value, crc32(key, seed)), now)
                    for key, value in sorted(zip(keys, values, strict=True))
                ),
            )
            if items_limit is not None:
                self._keep_newest(items_limit)

    def begin_writing(self) -> None:
        """Choose the way of writing, and raise OSError now where `put` would fail later."""
        with self._lock, self._clear_errors():
            # What comes back is what the file system takes; both modes are safe.
            with suppress(sqlite3.OperationalError):
                if self._one("PRAGMA journal_mode = WAL") == "wal":
                    self._db.execute("PRAGMA synchronous = NORMAL")
            with self._transaction("IMMEDIATE"):
                self._db.execute(f"PRAGMA user_version = {_FORMAT}")

    def prune(
        self,
        *,
        bytes_limit: int | None = None,
        items_limit: int | None = None,
        age_limit: timedelta | None = None,
    ) -> None:
        """Remove the oldest results, until all limits given are kept."""
        with self._lock, self._clear_errors():
            with self._transaction("IMMEDIATE"):
                if age_limit is not None:
                    oldest = time.time() - age_limit.total_seconds()
                    self._db.execute("DELETE FROM results WHERE stored < ?", (oldest,))
                if items_limit is not None:
                    self._keep_newest(items_limit)
            self._shrink()

            while bytes_limit is not None and (size := self.size()).bytes > bytes_limit:
                if not size.results:
                    break
                with self._transaction("IMMEDIATE"):
                    self._keep_newest(int(0.9 * size.results * bytes_limit / size.bytes))
                self._shrink()

    def clear(self) -> None:
        """Remove all results."""
        self.prune(items_limit=0)

    def size(self) -> StoreSize:
        """Return how much the store holds."""
        with self._lock, self._clear_errors():
            pages = self._one("PRAGMA page_count")
            return StoreSize(
                results=self._one("SELECT count(*) FROM results"),
                bytes=pages * self._one("PRAGMA page_size"),
            )

    def close(self) -> None:
        """Leave one self-contained file, unless another process is still at work on it."""
        with self._lock:
            is_one_file = self._fold_in_log()
            self._db.close()
            if is_one_file or self.path is None:
                return

            # Of two that close at once, each was in the other's way.
            with suppress(sqlite3.OperationalError):
                self._db = sqlite3.connect(
                    self.path, timeout=_CLOSING_SECONDS, isolation_level=None
                )
                self._fold_in_log()
                self._db.close()

    def _fold_in_log(self) -> bool:
        """Write the log into the file, and return whether the file needs no log any more."""
        try:
            self._db.execute(f"PRAGMA busy_timeout = {1000 * _CLOSING_SECONDS:.0f}")
            if self._one("PRAGMA journal_mode") != "wal":
                return True
            self._db.execute("PRAGMA wal_checkpoint(FULL)")
            return self._one("PRAGMA journal_mode = DELETE") == "delete"
        except sqlite3.OperationalError:
            return False

    def _open(self) -> None:
        self._db.execute(f"PRAGMA page_size = {_PAGE_BYTES}")
        self._db.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        if self._is_new():
            with self._transaction("IMMEDIATE"):
                # Another process may have been faster.
                if self._is_new():
                    for statement in _TABLES.split(";"):
                        self._db.execute(statement)
                    self._db.execute(f"PRAGMA user_version = {_FORMAT}")
                    self._db.execute(f"PRAGMA application_id = {_APPLICATION_ID}")

        if self._one("PRAGMA application_id") != _APPLICATION_ID:
            raise ValueError(
                f"{self.path} is a database of another program, and is left as it is. Name "
                "another file as the store."
            )

        if (version := self._one("PRAGMA user_version")) != _FORMAT:
            raise ValueError(
                f"The store {self.path} has the format {version}, and this version of "
                f"skbert_filter reads {_FORMAT}. Name another file, or update skbert_filter."
            )

    def _checked(self, rows: list[tuple], space: str, layout: str) -> Iterator[tuple[bytes, bytes]]:
        """Return the key and the value of each row of one layout, if all are whole."""
        # Column by column, as a loop over rows would take most of the time of a look-up.
        _, keys, values, checksums = zip(*rows, strict=True)
        try:
            seeded = map(crc32, keys, repeat(_seed(space, layout)))
            whole = list(map(crc32, values, seeded)) == list(checksums)
        except TypeError:
            whole = False
        if not whole:
            raise ValueError(_damaged(self.path, "a checksum does not fit"))
        return zip(keys, values, strict=True)

    def _is_new(self) -> bool:
        marked = self._one("PRAGMA application_id")
        return not marked and not self._one("SELECT count(*) FROM sqlite_master")

    def _one(self, statement: str, *values: Any) -> Any:
        row = self._db.execute(statement, values).fetchone()
        return None if row is None else row[0]

    @contextmanager
    def _transaction(self, kind: str) -> Iterator[None]:
        self._db.execute(f"BEGIN {kind}")
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            # After some errors SQLite has rolled back already.
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise

    def _keep_newest(self, n_results: int) -> None:
        surplus = self._one("SELECT count(*) FROM results") - n_results
        if surplus > 0:
            self._db.execute(
                "DELETE FROM results WHERE (space, key) IN "
                "(SELECT space, key FROM results ORDER BY stored LIMIT ?)",
                (surplus,),
            )

    def _shrink(self) -> None:
        """Give the room of removed results back."""
        with self._transaction("IMMEDIATE"):
            for table, column in (("spaces", "space"), ("layouts", "layout")):
                self._db.execute(
                    f"DELETE FROM {table} WHERE id NOT IN (SELECT DISTINCT {column} FROM results)"
                )
        self._db.execute("VACUUM")

    @contextmanager
    def _clear_errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.DatabaseError as error:
            raise _clear(error, self.path) from error


def _check_path(path: Path) -> None:
    if path.name == ":memory:":
        raise ValueError("The store ':memory:' would forget everything at once. Use 'memory'.")
    if path.is_dir():
        raise IsADirectoryError(
            f"The store {path} is a folder. Name a file in it, e.g. {path / 'scores.sqlite'}."
        )
    if not path.parent.is_dir():
        raise FileNotFoundError(
            f"The folder {path.parent} of the store {path.name} does not exist. Create it first."
        )


def _seed(space: str, layout: str) -> int:
    return crc32(f"{space}\0{layout}".encode())


def _damaged(path: Path | None, why: str) -> str:
    return (
        f"The store {path} is damaged or not a store of skbert_filter ({why}). Nothing was read "
        "from it. If it is a store, delete it, or put a copy in its place; results that are "
        "missing are computed again."
    )


def _clear(error: sqlite3.DatabaseError, path: Path | None) -> Exception:
    """Return the error that says what happened to which file, and what to do."""
    code = getattr(error, "sqlite_errorname", "").removeprefix("SQLITE_").split("_")[0]
    where = f"The store {path}"

    if code == "FULL":
        return DiskFullError(
            errno.ENOSPC,
            f"{where} cannot grow, the disk is full. Results of finished chunks are kept. Free "
            "some room and run again, or name a file on another disk.",
        )
    if code in ("BUSY", "LOCKED"):
        return TimeoutError(
            f"{where} has been locked by another process for {_TIMEOUT_SECONDS:.0f} seconds. "
            "Wait until that has ended, or name another file."
        )
    if code in ("READONLY", "CANTOPEN", "PERM", "AUTH"):
        return PermissionError(
            f"{where} cannot be opened or written ({error}). Allow writing to the file and its "
            "folder, or copy it to a place of your own."
        )
    if code == "IOERR":
        return OSError(
            f"{where} cannot be read or written ({error}): is the disk full, or its quota used "
            "up? Results of finished chunks are kept."
        )
    return ValueError(_damaged(path, str(error)))


class Cache:
    """What one predictor remembers: its counts, and its results where they are kept in memory.

    `trusted` are fingerprints that were checked in this process.
    """

    def __init__(self) -> None:
        self.trusted: set[str] = set()
        self._lock = Lock()
        self._memory: Store | None = None
        self._counts: Counter[str] = Counter()

    @contextmanager
    def open(
        self, where: str | PathLike[str] | None, *, create: bool = True
    ) -> Iterator[Store | None]:
        """Open the store of a predictor: none, "memory", or a path."""
        if where is None:
            yield None
        elif where == "memory":
            with self._lock:
                self._memory = self._memory or Store()
            yield self._memory
        elif create or Path(where).expanduser().exists():
            with closing(Store(Path(where).expanduser())) as store:
                yield store
        else:
            yield None

    def count(self, *, rows: int, distinct: int, computed: int) -> None:
        """Add the counts of one call."""
        with self._lock:
            self._counts.update(hits=rows - computed, misses=computed, distinct=distinct)

    def reset_counts(self) -> None:
        """Start counting from 0."""
        with self._lock:
            self._counts.clear()

    def info(self, where: str | PathLike[str] | None) -> CacheInfo:
        """Return the counts, and what the store holds."""
        with self.open(where, create=False) as store:
            size = StoreSize(0, 0) if store is None else store.size()
        counts = {name: self._counts[name] for name in ("hits", "misses", "distinct")}
        return CacheInfo(**counts, stored=size.results, bytes=size.bytes)
