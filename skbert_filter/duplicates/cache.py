"""What one DedupPredictor remembers between calls: counts, and results in this process's memory.

Knows nothing of estimators.
"""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from os import PathLike
from pathlib import Path
from threading import Lock

import pandas as pd

from skbert_filter.duplicates.stores import Store, StoreSize
from skbert_filter.printing import counted


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
        Distinct inputs, counted anew in each call. So ``distinct - misses`` inputs came
        from the store.
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


class Cache:
    """Counts of one predictor, and its results where they are kept in memory.

    Attributes
    ----------
    trusted : set of str
        Fingerprints that were checked in this process.
    """

    def __init__(self) -> None:
        self.trusted: set[str] = set()
        self._lock = Lock()
        self._memory: Store | None = None
        self._counts = [0, 0, 0]

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
            calls = (rows - computed, computed, distinct)
            self._counts = [old + new for old, new in zip(self._counts, calls, strict=True)]

    def reset_counts(self) -> None:
        """Begin to count anew."""
        with self._lock:
            self._counts = [0, 0, 0]

    def info(self, where: str | PathLike[str] | None) -> CacheInfo:
        """Return the counts, and what the store holds."""
        with self.open(where, create=False) as store:
            size = StoreSize(0, 0) if store is None else store.size()
        hits, misses, distinct = self._counts
        return CacheInfo(hits, misses, distinct, stored=size.results, bytes=size.bytes)
