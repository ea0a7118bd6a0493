"""Generated texts in the style of scraped company sites, labelled or as a corpus.

They are made from the words and templates of ``website.toml``; nothing is downloaded.
"""

import re
import tomllib
from bisect import bisect
from collections.abc import Iterator, Sequence
from importlib.resources import files
from itertools import accumulate
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.random import RandomState
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, validate_params

__all__ = ["make_website_corpus", "make_website_snippets"]

_WEBSITE = tomllib.loads(files("skbert_filter").joinpath("website.toml").read_text("utf-8"))
_BOILERPLATE = _WEBSITE["boilerplate"]
_KINDS = _WEBSITE["kinds"]

# What can fill each slot: words from the file, their plurals, and numbers.
_SLOTS: dict[str, list[str]] = {
    **_WEBSITE["slots"],
    "products": [
        word + ("es" if word.endswith(("x", "s", "ch", "sh")) else "s")
        for word in _WEBSITE["slots"]["product"]
    ],
    "day": list(map(str, range(1, 29))),
    "n": list(map(str, range(2, 100))),
    "nnn": list(map(str, range(100, 1000, 7))),
    "nnnn": list(map(str, range(1000, 10000, 37))),
    "year": list(map(str, [*range(1870, 2000, 3), *range(2000, 2025)])),
}

_AMBIGUOUS = 0.06
_BOILERPLATE_ROWS = 0.2
# The larger it is, the later repeats become common.
_NOVELTY = 3000
_CONFLICTS = 0.003
_MOJIBAKE = 0.05
_CUT_MARKS = ("", "", "", "...", "...", "…", " ...", " […]", "... Read more")
_SMALL_WORDS = frozenset(_WEBSITE["small_words"])
_SLOT = re.compile(r"\{(\w+)\}")


class _Writer:
    """Writes texts from templates, with random numbers from one seeded stream."""

    def __init__(self, rng: RandomState, ambiguous: float) -> None:
        self._uniform = _uniform(rng)
        uncertain = np.array([0 < kind["keep"] < 1 for kind in _KINDS])
        weights = np.array([kind["weight"] for kind in _KINDS], dtype=float)
        weights[uncertain] *= ambiguous / weights[uncertain].sum()
        weights[~uncertain] *= (1 - ambiguous) / weights[~uncertain].sum()
        self._bounds = list(accumulate(weights.tolist()))[:-1]

    def write(self) -> tuple[str, int]:
        """Return a text and its label."""
        kind: dict[str, Any] = _KINDS[bisect(self._bounds, next(self._uniform))]
        text = self._expand(self._choose(kind["templates"]))
        text = self._finish(text, kind.get("finish"))
        return text, int(next(self._uniform) < kind["keep"])

    def _choose(self, options: Sequence[str]) -> str:
        return options[int(next(self._uniform) * len(options))]

    def _expand(self, template: str) -> str:
        return _SLOT.sub(self._fill, template)

    def _fill(self, slot: re.Match[str]) -> str:
        text = self._expand(self._choose(_SLOTS[slot[1].lower()]))
        return text[0].upper() + text[1:] if slot[1][0].isupper() else text

    def _finish(self, text: str, finish: str | None) -> str:
        if finish == "cut":
            stop = int(len(text) * (0.3 + 0.6 * next(self._uniform)))
            if next(self._uniform) < 0.7 and " " in text[:stop]:
                stop = text.rindex(" ", 0, stop)
            text = text[:stop].rstrip(" ,.;") + self._choose(_CUT_MARKS)
        elif finish == "bare":
            text = text.rstrip(".")
        elif finish == "title":
            text = " ".join(
                word if word in _SMALL_WORDS else word[0].upper() + word[1:]
                for word in text.rstrip(".").split()
            )

        if next(self._uniform) < 0.5:
            text = text.replace("'", "’")
        if not text.isascii() and next(self._uniform) < _MOJIBAKE:
            text = text.encode().decode("cp1252", errors="ignore")
        return text


def _uniform(rng: RandomState) -> Iterator[float]:
    while True:
        # One number at a time costs ten times as much.
        yield from rng.random_sample(4096).tolist()


def _repeat(n_rows: int, rng: RandomState) -> tuple[np.ndarray, np.ndarray]:
    """Return the code of an invented text for each row, and the count of each code."""
    row = np.arange(n_rows)
    is_new = rng.random_sample(n_rows) < (1 + row / _NOVELTY) ** -0.5

    # A repeat copies a random earlier row, so that frequent texts become more frequent, as in a
    # crawl (Simon 1955).
    source = np.where(is_new, row, (rng.random_sample(n_rows) * row).astype(np.intp))
    while not np.array_equal(source, source[source]):
        source = source[source]

    _, codes, counts = np.unique(source, return_inverse=True, return_counts=True)
    return codes, counts


def _draw(
    n_rows: int, ambiguous: float, rng: RandomState
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return distinct texts, their labels, and the index of the text in each row."""
    popularity = 1 / (np.arange(len(_BOILERPLATE)) + 8)
    boilerplate = rng.choice(
        len(_BOILERPLATE), rng.binomial(n_rows, _BOILERPLATE_ROWS), p=popularity / popularity.sum()
    )

    codes, counts = _repeat(n_rows - len(boilerplate), rng)
    n_distinct = len(counts) + len(np.unique(boilerplate))
    writer = _Writer(rng, min(1.0, ambiguous * n_distinct / max(1, len(counts))))
    written = [writer.write() for _ in counts]

    # Sites mostly repeat short texts, so these get the codes with the highest counts.
    length = np.array([len(text) for text, _ in written])
    place = np.empty(len(counts), dtype=np.intp)
    place[np.argsort(-counts, kind="stable")] = np.argsort(
        length * rng.random_sample(len(counts)), kind="stable"
    )

    label_of = dict.fromkeys(_BOILERPLATE, 0)
    for text, label in written:
        label_of.setdefault(text, label)

    index_of = {text: index for index, text in enumerate(label_of)}
    invented = np.array([index_of[text] for text, _ in written], dtype=np.intp)
    rows = np.concatenate([boilerplate, invented[place[codes]]])
    texts, labels = np.array(list(label_of), dtype=object), np.array(list(label_of.values()))
    return texts, labels, rng.permutation(rows)


@validate_params(
    {
        "n_samples": [Interval(Integral, 1, None, closed="left")],
        "ambiguous": [Interval(Real, 0, 1, closed="both")],
        "random_state": ["random_state"],
    },
    prefer_skip_nested_validation=True,
)
def make_website_snippets(
    n_samples: int = 5600,
    *,
    ambiguous: float = _AMBIGUOUS,
    random_state: int | RandomState | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Generate labelled snippets in the style of scraped company sites.

    Navigation, buttons, addresses, lists, headlines and truncated sentences have label 0; whole
    sentences about products, people, history, jobs and news have label 1. The classes share words
    and overlap in length, but differ in form. Most texts are English, some are in one of nine
    other languages, and a few are mis-decoded.

    Parameters
    ----------
    n_samples : int, default=5600
        Number of rows, repeats included.
    ambiguous : float, default=0.06
        Fraction of the distinct texts whose label is truly uncertain, such as slogans and
        captions: their label is 1 with a probability near one half.
    random_state : int, RandomState instance or None, default=None
        Determines the texts, their order and their labels. Pass an int for reproducible output.

    Returns
    -------
    X : ndarray of shape (n_samples,), dtype=object
        The snippets, each a str. About two thirds of 5,600 rows are distinct.
    y : ndarray of shape (n_samples,), dtype=int64
        1 for a useful snippet, 0 for garbage. Copies of a text share their label, except that
        one copy contradicts the others in about 0.3 % of the distinct texts.

    See Also
    --------
    make_website_corpus : Unlabelled rows from the same population.

    Notes
    -----
    One row in five is boilerplate with Zipf-like frequencies. The other rows follow the growth
    process of H. A. Simon, "On a class of skew distribution functions", Biometrika 42, 1955, with
    a share of new texts that falls as the data grow. No model can be right about more than roughly
    97 % of the distinct texts.

    Examples
    --------
    >>> from skbert_filter.datasets import make_website_snippets
    >>> X, y = make_website_snippets(1000, random_state=0)
    >>> X.shape, y.shape
    ((1000,), (1000,))
    >>> "Contact us" in X
    True
    """
    rng = check_random_state(random_state)
    texts, labels, rows = _draw(n_samples, ambiguous, rng)
    y = labels[rows]

    _, first, count = np.unique(rows, return_index=True, return_counts=True)
    repeated = first[count > 1]
    n_conflicts = min(len(repeated), round(_CONFLICTS * len(count)))
    flipped = rng.choice(repeated, n_conflicts, replace=False)
    y[flipped] = 1 - y[flipped]
    return texts[rows], y


@validate_params(
    {
        "n_rows": [Interval(Integral, 1, None, closed="left")],
        "random_state": ["random_state"],
    },
    prefer_skip_nested_validation=True,
)
def make_website_corpus(
    n_rows: int = 200_000, *, random_state: int | RandomState | None = None
) -> np.ndarray:
    """Generate an unlabelled corpus in the style of scraped company sites.

    Parameters
    ----------
    n_rows : int, default=200_000
        Number of rows, repeats included.
    random_state : int, RandomState instance or None, default=None
        Determines the texts and their order. Pass an int for reproducible output.

    Returns
    -------
    X : ndarray of shape (n_rows,), dtype=object
        The texts, each a str. About one sixth of 200,000 rows are distinct; the ten most
        frequent texts fill several percent of the rows, and half of the texts occur once.

    See Also
    --------
    make_website_snippets : Labelled rows from the same population.

    Examples
    --------
    >>> from skbert_filter.datasets import make_website_corpus
    >>> X = make_website_corpus(5000, random_state=0)
    >>> X.shape
    (5000,)
    >>> len(set(X)) < len(X)
    True
    """
    rng = check_random_state(random_state)
    # A separate stream, so that the corpus does not contain the snippets of the same seed.
    rng = RandomState(rng.randint(2**31 - 1, dtype=np.int64))
    texts, _, rows = _draw(n_rows, _AMBIGUOUS, rng)
    return texts[rows]
