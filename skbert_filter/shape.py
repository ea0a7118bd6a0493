"""Features of a text's shape: its length, capitals, punctuation and how it ends, not its words."""

from functools import cache
from typing import Any

import numpy as np

from skbert_filter.validation import check_texts

SHAPE_FEATURES = (
    "log characters",
    "log words",
    "ends a sentence",
    "share of capitals",
    "share of digits",
    "log commas",
    "log sentence ends",
    "share of words with a capital",
    "share of words in small letters",
    "log mean word length",
    "first letter is a capital",
    "log separators",
    "share of distinct words",
)
"""The names of the columns of `shape_features`."""

WORD_COUNT_EDGES = (*range(1, 9), 10, 12, 15, 20, 25, 30, 40, 60, 100)
"""The least number of words in each bin of `word_count_bins` after the first, which has none."""

_SENTENCE_ENDS = ".!?。！？؟।"
_COMMAS = ",，、،"
_SEPARATORS = "|/>»•:-"
_CHUNK = 4096


def shape_features(texts: Any) -> np.ndarray:
    """Return thirteen numbers that describe the shape of each text.

    Words are those of `str.split`. Runs of blanks count as one, so indentation makes no difference.
    The features are not standardized: scale the columns.

    Parameters
    ----------
    texts : container of str, of length n_texts
        Any texts, including empty ones and those in scripts without capitals or blanks.

    Returns
    -------
    features : ndarray of shape (n_texts, 13), float32
        Finite numbers, named by `SHAPE_FEATURES`.

    Examples
    --------
    >>> from skbert_filter.shape import SHAPE_FEATURES, shape_features
    >>> features = shape_features(["Home | About", "We make tools, and sell them."])
    >>> dict(zip(SHAPE_FEATURES, features.T.round(2).tolist()))["share of words with a capital"]
    [0.6700000166893005, 0.17000000178813934]
    """
    texts = check_texts(texts)
    features = np.empty((len(texts), len(SHAPE_FEATURES)), np.float32)
    for start in range(0, len(texts), _CHUNK):
        features[start : start + _CHUNK] = _features_of(texts[start : start + _CHUNK])
    return features


def word_count_bins(texts: Any) -> np.ndarray:
    """Return the bins of the numbers of words, one-hot; the first bin is for no words."""
    bins = np.digitize(word_counts(check_texts(texts)), WORD_COUNT_EDGES)
    return np.eye(len(WORD_COUNT_EDGES) + 1, dtype=np.float32)[bins]


def word_counts(texts: list[str]) -> np.ndarray:
    """Return the number of words of each text, as split by `str.split`."""
    return np.fromiter((len(text.split()) for text in texts), dtype=np.intp, count=len(texts))


def _features_of(texts: list[str]) -> np.ndarray:
    # All texts as one array of code points, each followed by "\n", so that none is empty.
    words = [text.split() for text in texts]
    lines = "".join(" ".join(text_words) + "\n" for text_words in words)
    codes = np.frombuffer(lines.encode("utf-32-le", "surrogatepass"), dtype="<u4")
    kinds = _character_kinds().take(codes, mode="clip")
    is_end = codes == ord("\n")
    ends = np.flatnonzero(is_end)
    starts = np.append(0, ends[:-1] + 1)
    n_characters = ends - starts

    def count(flags: np.ndarray) -> np.ndarray:
        return np.add.reduceat(flags, starts, dtype=np.intp)

    blank = is_end | (codes == ord(" "))
    word_starts = ~blank & np.append(True, blank[:-1])
    capital, small, digit, sentence_end, comma, separator = (kinds == i for i in range(1, 7))
    n_words = np.fromiter(map(len, words), dtype=np.intp, count=len(words))
    n_distinct = np.fromiter((len(set(w)) for w in words), dtype=np.intp, count=len(words))

    # All shares of an empty text are 0.
    per_character, per_word = 1 / np.maximum(n_characters, 1), 1 / np.maximum(n_words, 1)
    columns = [  # as SHAPE_FEATURES names them
        np.log1p(n_characters),
        np.log1p(n_words),
        sentence_end[np.maximum(ends - 1, 0)] & (n_words > 0),
        count(capital) * per_character,
        count(digit) * per_character,
        np.log1p(count(comma)),
        np.log1p(count(sentence_end & np.append(blank[1:], True))),
        count(word_starts & capital) * per_word,
        count(word_starts & small) * per_word,
        np.log1p(count(~blank) * per_word),
        capital[starts],
        np.log1p(count(separator)),
        n_distinct * per_word,
    ]
    return np.column_stack(columns)


@cache
def _character_kinds() -> np.ndarray:
    """Return the kind of each code point; those beyond the table are clipped to the last, 0."""
    characters = list(map(chr, range(0x20000)))
    kinds = np.zeros(len(characters), dtype=np.uint8)
    kinds[[character.isupper() for character in characters]] = 1
    kinds[[character.islower() for character in characters]] = 2
    kinds[[character.isdigit() for character in characters]] = 3
    for kind, members in enumerate((_SENTENCE_ENDS, _COMMAS, _SEPARATORS), start=4):
        kinds[list(map(ord, members))] = kind
    return kinds
