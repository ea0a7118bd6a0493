"""Initial word embeddings from co-occurrence counts.

Training would take hours to find what a matrix factorization finds in seconds.
"""

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import svds

from skbert_filter.bert.tokenizer import TokenIds

# Tokens up to this distance co-occur; nearer ones count more.
_WINDOW = 5

# More tokens than these hardly change the vectors.
_MAX_TOKENS = 1 << 23

# The norm of a vector, at which a tied output layer starts neither uniform nor overconfident.
_NORM = 1.7


def word_vectors(
    tokens: TokenIds, is_ordinary: np.ndarray, width: int, rng: np.random.RandomState
) -> np.ndarray:
    """Factorize the positive pointwise mutual information of tokens near each other.

    A truncated singular value decomposition, with the contexts smoothed by the power of 3/4 (Levy,
    Goldberg and Dagan, "Improving distributional similarity with lessons learned from word
    embeddings", TACL 2015). Tokens that are not ordinary, and those without neighbours, get a
    random vector.
    """
    vocab_size = len(is_ordinary)
    vectors = rng.standard_normal((vocab_size, width))
    counts = _cooccurrences(tokens, is_ordinary)
    n_factors = min(width, vocab_size - 1)
    start = rng.standard_normal(vocab_size)
    totals = np.asarray(counts.sum(axis=1)).ravel()
    counted = np.flatnonzero(totals)

    if len(counted) > n_factors:
        context = totals**0.75 / (totals**0.75).sum()
        pmi = np.log(counts.data / totals[counts.row] / context[counts.col])
        positive = pmi > 0
        matrix = sparse.csr_array(
            (pmi[positive], (counts.row[positive], counts.col[positive])),
            shape=(vocab_size, vocab_size),
        )
        left, factors, _ = svds(matrix, n_factors, v0=start, solver="arpack")
        vectors[counted, :n_factors] = (left * np.sqrt(factors))[counted]
        vectors[counted] -= vectors[counted].mean(axis=0)

    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return (_NORM * vectors / np.maximum(norms, 1e-9)).astype(np.float32)


def _cooccurrences(tokens: TokenIds, is_ordinary: np.ndarray) -> sparse.coo_array:
    """Return the counts of pairs of tokens in a text, weighted by 1 / distance."""
    n_texts = int(np.searchsorted(tokens.starts, _MAX_TOKENS))
    text = np.repeat(np.arange(n_texts, dtype=np.int32), tokens.lengths[:n_texts])
    ids = tokens.flat[: len(text)]
    usable = is_ordinary[ids]

    shape = len(is_ordinary), len(is_ordinary)
    counts = sparse.csr_array(shape, dtype=np.float64)
    for distance in range(1, _WINDOW + 1):
        both = (text[:-distance] == text[distance:]) & usable[:-distance] & usable[distance:]
        pairs = ids[:-distance][both], ids[distance:][both]
        counts += sparse.coo_array((np.full(len(pairs[0]), 1 / distance), pairs), shape).tocsr()
    return (counts + counts.T).tocoo()
