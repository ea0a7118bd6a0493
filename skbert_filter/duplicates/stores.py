"""Results by key in an SQLite database: in a file, or in memory.

Knows nothing of estimators. Keys and values are bytes; a space is a str that names what the
results belong to, a layout a str that describes how to decode them.
"""

import errno
import sqlite3
import time
import weakref
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from itertools import repeat
from os import PathLike
from pathlib import Path
from threading import Lock, RLock
from typing import Any, NamedTuple
from zlib import crc32

from skbert_filter.io.atomic import DiskFullError
from skbert_filter.printing import Report, counted

# "skbf", in the field of the file's header that SQLite reserves for the application.
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
# Older builds of SQLite allow 999 variables in a statement.
_KEYS_IN_A_QUERY = 900
# A row larger than a quarter of a page gets its own page, and embeddings are large.
_PAGE_BYTES = 16_384
_CACHE_KIB = 65_536
# How long to wait for another process; its transactions are short.
_TIMEOUT_SECONDS = 60.0
_CLOSING_SECONDS = 0.05


@dataclass(frozen=True)
class CacheInfo(Report):
    """What `DedupPredictor.cache_info` returns. The first three are counts since `fit`.

    Attributes
    ----------
    hits : int
        Rows answered without computing them: repeats, and inputs found in the store.
    misses : int
        Rows that the estimator computed.
    distinct : int
        Distinct inputs of each call, added up; ``distinct - misses`` of them came from the store.
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


class StoreSize(NamedTuple):
    """The number of results in all spaces, and the size of the database."""

    results: int
    bytes: int


class Store:
    """An open store. Threads may share it; each process opens the file for itself.

    While the store is open, SQLite writes to a write-ahead log where the file system allows it.
    `close` merges the log into one self-contained file, which can be copied, and read where writing
    is not allowed. Each result has a checksum over space, layout, key and value, so that a damaged
    file leads to an error, never to a wrong result.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = path
        self._lock = RLock()
        if path is not None:
            _check_path(path)

        with self._explain_errors():
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

        # Nobody closes a store in memory: it lives as long as its predictor.
        weakref.finalize(self, self._db.close)

    def get(self, space: str, keys: Sequence[bytes]) -> dict[str, dict[bytes, bytes]]:
        """Return the stored values of the keys, by layout."""
        values: dict[str, dict[bytes, bytes]] = {}
        query = "SELECT layout, key, value, checksum FROM results WHERE space = ? AND key IN"

        with self._lock, self._explain_errors(), self._transaction("DEFERRED"):
            space_id = self._one("SELECT id FROM spaces WHERE name = ?", space)
            if space_id is None:
                return values
            layouts = dict(self._db.execute("SELECT id, layout FROM layouts"))

            for rows in select_by_key(self._db, query, keys, space_id):
                for layout_id in {row[0] for row in rows}:
                    layout = layouts.get(layout_id, "")
                    chosen = [row for row in rows if row[0] == layout_id]
                    values.setdefault(layout, {}).update(self._checked(chosen, space, layout))
        return values

    def put(
        self,
        space: str,
        layout: str,
        keys: Sequence[bytes],
        values: Sequence[bytes],
        *,
        items_limit: int | None = None,
    ) -> None:
        """Add results in one transaction, without replacing those that are there.

        With `items_limit`, the oldest results are removed to make room.
        """
        now = time.time()
        seed = _seed(space, layout)

        with self._lock, self._explain_errors(), self._transaction("IMMEDIATE"):
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
        """Choose the journal mode, and raise OSError now where `put` would fail later."""
        with self._lock, self._explain_errors():
            # SQLite answers with the mode that the file system supports; each of them is safe.
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
        """Remove the oldest results until the store is within the limits."""
        with self._lock, self._explain_errors():
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
        """Return the size of the store."""
        with self._lock, self._explain_errors():
            pages = self._one("PRAGMA page_count")
            return StoreSize(
                results=self._one("SELECT count(*) FROM results"),
                bytes=pages * self._one("PRAGMA page_size"),
            )

    def close(self) -> None:
        """Close the store as one self-contained file, unless another process has it open."""
        with self._lock:
            is_one_file = self._fold_in_log()
            self._db.close()
            if is_one_file or self.path is None:
                return

            # Two processes that close at the same time block each other: try once more.
            with suppress(sqlite3.OperationalError):
                self._db = sqlite3.connect(
                    self.path, timeout=_CLOSING_SECONDS, isolation_level=None
                )
                self._fold_in_log()
                self._db.close()

    def _fold_in_log(self) -> bool:
        """Merge the log into the file, and return whether the file is now complete without it."""
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
                # Checked again under the lock: another process may have made the tables.
                if self._is_new():
                    for statement in _TABLES.split(";"):
                        self._db.execute(statement)
                    self._db.execute(f"PRAGMA user_version = {_FORMAT}")
                    self._db.execute(f"PRAGMA application_id = {_APPLICATION_ID}")

        if self._one("PRAGMA application_id") != _APPLICATION_ID:
            raise ValueError(
                f"{self.path} is a database of another program, and was not changed. Name "
                "another file as the store."
            )

        if (version := self._one("PRAGMA user_version")) != _FORMAT:
            raise ValueError(
                f"The store {self.path} has the format {version}, and this version of "
                f"skbert_filter reads {_FORMAT}. Name another file, or update skbert_filter."
            )

    def _checked(self, rows: list[tuple], space: str, layout: str) -> Iterator[tuple[bytes, bytes]]:
        """Return the keys and values of rows of one layout, after comparing the checksums."""
        # Column by column: a loop over rows would take most of the time of a look-up.
        _, keys, values, checksums = zip(*rows, strict=True)
        try:
            seeded = map(crc32, keys, repeat(_seed(space, layout)))
            are_intact = list(map(crc32, values, seeded)) == list(checksums)
        except TypeError:
            are_intact = False
        if not are_intact:
            raise ValueError(_damaged(self.path, "a checksum does not match"))
        return zip(keys, values, strict=True)

    def _is_new(self) -> bool:
        application_id = self._one("PRAGMA application_id")
        return not application_id and not self._one("SELECT count(*) FROM sqlite_master")

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
            # After some errors SQLite has already rolled back.
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
        """Release the space that removed results took."""
        with self._transaction("IMMEDIATE"):
            for table, column in (("spaces", "space"), ("layouts", "layout")):
                self._db.execute(
                    f"DELETE FROM {table} WHERE id NOT IN (SELECT DISTINCT {column} FROM results)"
                )
        self._db.execute("VACUUM")

    @contextmanager
    def _explain_errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.DatabaseError as error:
            raise _explained(error, self.path) from error


def select_by_key(
    database: sqlite3.Connection, query: str, keys: Iterable[bytes], *values: Any
) -> Iterator[list[tuple]]:
    """Yield the rows of a query that ends in IN, for as many keys at a time as SQLite allows."""
    # Sorted, so that neighbours in the file are read together.
    ordered = sorted(keys)
    for start in range(0, len(ordered), _KEYS_IN_A_QUERY):
        part = ordered[start : start + _KEYS_IN_A_QUERY]
        marks = ",".join("?" * len(part))
        yield database.execute(f"{query} ({marks})", (*values, *part)).fetchall()


def _check_path(path: Path) -> None:
    if path.name == ":memory:":
        raise ValueError("The store ':memory:' would be lost after each call. Use 'memory'.")
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
        f"The store {path} is damaged, or not a store of skbert_filter ({why}). Nothing was read "
        "from it. If it is a store, delete it or restore a copy; missing results are computed "
        "again."
    )


def _explained(error: sqlite3.DatabaseError, path: Path | None) -> Exception:
    """Return an error that names the file, what happened and what to do."""
    code = getattr(error, "sqlite_errorname", "").removeprefix("SQLITE_").split("_")[0]
    where = f"The store {path}"

    if code == "FULL":
        return DiskFullError(
            errno.ENOSPC,
            f"{where} cannot grow, the disk is full. Results of finished chunks are kept. Free "
            "some space and run again, or name a file on another disk.",
        )
    if code in ("BUSY", "LOCKED"):
        return TimeoutError(
            f"{where} has been locked by another process for {_TIMEOUT_SECONDS:.0f} seconds. "
            "Wait until that process has ended, or name another file."
        )
    if code in ("READONLY", "CANTOPEN", "PERM", "AUTH"):
        return PermissionError(
            f"{where} cannot be opened or written ({error}). Allow writing to the file and its "
            "folder, or copy the file to a folder you can write to."
        )
    if code == "IOERR":
        return OSError(
            f"{where} cannot be read or written ({error}). Is the disk full, or your quota used "
            "up? Results of finished chunks are kept."
        )
    return ValueError(_damaged(path, str(error)))


class Cache:
    """The counts of one predictor, and its results where these are kept in memory.

    `trusted` are the fingerprints that were checked in this process.
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
        """Return the counts, and the size of the store."""
        with self.open(where, create=False) as store:
            size = StoreSize(0, 0) if store is None else store.size()
        counts = {name: self._counts[name] for name in ("hits", "misses", "distinct")}
        return CacheInfo(**counts, stored=size.results, bytes=size.bytes)
