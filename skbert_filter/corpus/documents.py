"""Documents of which most is discarded: how much of each is, and which go out whole."""

from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from skbert_filter.corpus.job import Job
from skbert_filter.io.lines import LINE, values_of_member

_TENTHS = 10


class Documents:
    """How many characters of each document there are, and how many of them are discarded.

    A document is a file, or the rows with one value of a column, wherever they are. Rows without a
    value are in none. Characters, since menus are many short rows: of 710 articles of the web, as
    people have marked them, a quarter is more than four fifths garbage by rows, 1 in 40 by those.
    """

    def __init__(self, job: Job) -> None:
        self._job = job
        self._numbers: dict[Any, int] = {}
        # of each document: characters, and those discarded
        self._characters = np.zeros((0, 2), np.int64)

    def of(self, piece: Any) -> pa.DictionaryArray:
        """Return the document of each row of a piece of a file."""
        if self._job.document is None:
            codes = np.zeros(piece.rows.num_rows, np.int32)
            return pa.DictionaryArray.from_arrays(codes, [piece.file.name])
        if piece.table.format.kind == "json":
            return values_of_member(piece.rows.column(LINE), self._job.document).dictionary_encode()
        return piece.rows.column(self._job.document).dictionary_encode()

    def count(self, names: pa.DictionaryArray, texts: pa.Array, is_kept: pa.Array) -> None:
        """Take rows with their documents, and whether their texts are kept."""
        numbers = _of_rows(names, lambda name: self._numbers.setdefault(name, len(self._numbers)))
        self._characters.resize((len(self._numbers), 2), refcheck=False)

        characters = pc.utf8_length(texts).fill_null(0).to_numpy()
        is_discarded = ~is_kept.fill_null(False).to_numpy(zero_copy_only=False)
        for column, counted in enumerate((numbers >= 0, (numbers >= 0) & is_discarded)):
            np.add.at(self._characters[:, column], numbers[counted], characters[counted])

    def are_dropped(self, names: pa.DictionaryArray) -> np.ndarray:
        """Return which rows are in a document that goes out whole."""
        return self._dropped[_of_rows(names, lambda name: self._numbers.get(name, -1))]

    def drops_file(self, name: str) -> bool:
        """Return whether a file is a document that goes out whole; an empty one is not counted."""
        return self._job.document is None and bool(self._dropped[self._numbers.get(name, -1)])

    def by_tenth(self) -> np.ndarray:
        """Return the numbers of documents and of those dropped, by tenths of what is discarded."""
        characters, discarded = self._characters.T
        tenths = np.minimum(_TENTHS * discarded // np.maximum(characters, 1), _TENTHS - 1)
        counts = [np.bincount(t, minlength=_TENTHS) for t in (tenths, tenths[self._dropped[:-1]])]
        return np.stack(counts, axis=1)

    @cached_property
    def _dropped(self) -> np.ndarray:
        """Whether each goes out, once all are counted; the last is for rows in none."""
        characters, discarded = self._characters.T
        return np.append(discarded > (self._job.drop_documents or 0) * characters, False)


def _of_rows(names: pa.DictionaryArray, number_of: Callable[[Any], int]) -> np.ndarray:
    """Return the number of the document of each row, -1 where it has none."""
    # CSV has no other way to say that there is none.
    numbers = [-1 if name == "" else number_of(name) for name in names.dictionary.to_pylist()]
    return np.append(numbers, -1).astype(np.intp)[names.indices.cast(pa.int64()).fill_null(-1)]
