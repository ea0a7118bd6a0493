"""The label and probability of each distinct text of a corpus, computed once.

Knows nothing of files.
"""

from array import array
from collections.abc import Callable, Iterator
from hashlib import blake2b
from typing import Protocol

import numpy as np

from skbert_filter.io.mojibake import looks_misdecoded

# Enough for batches of texts of like length, little enough for a lively progress bar.
_CHUNK_TEXTS = 1 << 13

# A longer text is remembered by its digest, so that an entry of any text takes little memory.
_LONGEST_KEY = 128

# What the journal keeps of a text.
_CELL = np.dtype([("label", "<i4"), ("probability", "<f8")])

Decide = Callable[[list[str]], tuple[np.ndarray, np.ndarray]]


class Journal(Protocol):
    """Where the results of finished chunks outlive the process."""

    def get(self, key: bytes) -> bytes | None:
        """Return what was put under a key."""

    def put(self, key: bytes, value: bytes) -> None:
        """Keep a result."""


class TextScores:
    """What was decided for each distinct text, and how many rows have it.

    Texts are numbered in first-seen order and decided in chunks of that order. A chunk is
    found in the journal by its texts, so that a second run over the same corpus asks the
    model for the same chunks or for none, and gets the same results to the last bit.

    Parameters
    ----------
    decide : callable
        Takes a list of texts and returns the number of the label of each, and a probability.
    journal : Journal or None
    on_new : callable
        Called with each list of new texts, when they have their numbers.

    Attributes
    ----------
    labels, probabilities, rows : array
        Of each distinct text, by its number.
    misdecoded : int
        How many distinct texts look mis-decoded.
    recovered : int
        How many of them were found in the journal.
    """

    def __init__(
        self, decide: Decide, journal: Journal | None, on_new: Callable[[list[str]], None]
    ) -> None:
        self.labels = array("i")
        self.probabilities = array("d")
        self.rows = array("q")
        self.misdecoded = 0
        self.recovered = 0
        self._decide = decide
        self._journal = journal
        self._on_new = on_new
        self._numbers: dict[str | bytes, int] = {}

    def __len__(self) -> int:
        return len(self._numbers)

    def fill(self, numbers: np.ndarray, texts: list[str]) -> Iterator[float]:
        """Set the number of each of some distinct texts; give the share that is done."""
        keys = [text if len(text) <= _LONGEST_KEY else _digest(text) for text in texts]
        found = list(map(self._numbers.get, keys))
        new = [i for i, number in enumerate(found) if number is None]
        for first in range(0, len(new), _CHUNK_TEXTS):
            places = new[first : first + _CHUNK_TEXTS]
            chunk = [texts[i] for i in places]
            labels, probabilities = self._decided(chunk)
            for i in places:
                found[i] = self._numbers[keys[i]] = len(self._numbers)
            self.labels.frombytes(labels.tobytes())
            self.probabilities.frombytes(probabilities.tobytes())
            self.rows.frombytes(bytes(self.rows.itemsize * len(chunk)))
            self.misdecoded += sum(map(looks_misdecoded, chunk))
            self._on_new(chunk)
            yield (first + len(chunk)) / len(new)
        numbers[:] = found
        if not new:
            yield 1.0

    def count(self, numbers: np.ndarray, rows: np.ndarray) -> None:
        """Add to the rows of texts, each of which is named once."""
        np.frombuffer(self.rows, np.int64)[numbers] += rows

    def labels_of(self, numbers: np.ndarray) -> np.ndarray:
        """Return the number of the label of some texts."""
        return np.frombuffer(self.labels, np.int32)[numbers]

    def probabilities_of(self, numbers: np.ndarray) -> np.ndarray:
        """Return the probability of some texts."""
        return np.frombuffer(self.probabilities)[numbers]

    def _decided(self, chunk: list[str]) -> tuple[np.ndarray, np.ndarray]:
        key = b"" if self._journal is None else _chunk_key(chunk)
        if self._journal is not None and (value := self._journal.get(key)) is not None:
            cells = np.frombuffer(value, _CELL)
            self.recovered += len(chunk)
        else:
            cells = np.empty(len(chunk), _CELL)
            cells["label"], cells["probability"] = self._decide(chunk)
            if self._journal is not None:
                self._journal.put(key, cells.tobytes())
        return cells["label"].astype(np.int32), cells["probability"].astype(np.float64)


def _chunk_key(texts: list[str]) -> bytes:
    """Return a digest of some texts in their order; their lengths tell them apart."""
    lengths = np.fromiter(map(len, texts), "<i8", len(texts))
    digest = blake2b(lengths.tobytes(), digest_size=16)
    # One by one: long texts are not to be in memory three times.
    for text in texts:
        digest.update(text.encode("utf-8", "surrogatepass"))
    return digest.digest()


def _digest(text: str) -> bytes:
    # 256 bits: nobody has two texts of one digest. Bytes are never equal to a str.
    return blake2b(text.encode(), digest_size=32).digest()
