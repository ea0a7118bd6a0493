"""The distinct texts of a container or a stream, kept once each as they arrive."""

from collections.abc import Callable, Iterator
from itertools import chain, islice
from reprlib import repr as short_repr
from typing import Any

from skbert_filter.duplicates.keys import first_seen
from skbert_filter.validation import check_texts

# Texts of a stream that are looked at together.
_CHUNK = 1 << 16


def distinct_texts(X: Any, cut: Callable[[str], str] = str) -> tuple[list[str], int]:
    """Return the distinct texts of a container or a stream, and how many texts there were.

    Parameters
    ----------
    X : container of str, or iterator of str or of containers of str
        What `check_texts` accepts, or an iterator (a generator, an open file) of texts or of
        batches of texts. A stream is read once, and may be longer than memory: only its
        distinct texts are kept.
    cut : callable, default=str
        Takes a text and returns the part that counts, which is what is returned.

    Returns
    -------
    texts : list of str
        In first-seen order.
    n_texts : int

    Raises
    ------
    TypeError, ValueError
        As `check_texts`. In a stream of texts, rows are counted through; in one of batches, the
        batch is named, and the row in it.

    Examples
    --------
    >>> from skbert_filter.text_streams import distinct_texts
    >>> distinct_texts(text for text in ["View All", "About", "View All"])
    (['View All', 'About'], 3)
    >>> distinct_texts(iter([["View All", "About"], ["About"], []]))
    (['View All', 'About'], 3)
    """
    distinct: dict[str, None] = {}
    n_texts = 0
    for texts in _chunks(X):
        n_texts += len(texts)
        distinct.update(dict.fromkeys(map(cut, first_seen(texts)[1])))
    return list(distinct), n_texts


def _chunks(X: Any) -> Iterator[list[str]]:
    if not isinstance(X, Iterator):
        yield check_texts(X)
        return
    first = list(islice(X, 1))
    rest = chain(first, X)
    if first and not isinstance(first[0], str):
        for number, batch in enumerate(rest):
            yield check_texts(batch, name=f"batch {number} of X")
        return
    n_before = 0
    while chunk := list(islice(rest, _CHUNK)):
        for row, text in enumerate(chunk, n_before):
            if not isinstance(text, str):
                raise TypeError(
                    f"Row {row} of X is of type {type(text).__name__} ({short_repr(text)}), where "
                    "the rows before are str. Pass a stream of str, or one of lists of str."
                )
        yield check_texts(chunk)
        n_before += len(chunk)
