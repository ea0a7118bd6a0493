"""Vectors of words from the company they keep, which training by steps would take hours to find."""

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import svds

from skbert_filter.bert.tokenizer import TokenIds

# Words up to so many places apart are together; nearer ones count more.
_WINDOW = 5

# Counts of more tokens than these hardly change the vectors.
_MOST_TOKENS = 1 << 23

# Of a vector: such that a tied output layer starts neither flat nor certain.
_LENGTH = 1.7


def word_vectors(
    tokens: TokenIds, is_ordinary: np.ndarray, width: int, rng: np.random.RandomState
) -> np.ndarray:
    """Factorize how much more often than by chance tokens stand near each other.

    The truncated singular value decomposition of the positive pointwise mutual information, the
    contexts smoothed by the power of 3/4 (Levy, Goldberg and Dagan, "Improving distributional
    similarity with lessons learned from word embeddings", TACL 2015). Tokens that are not ordinary,
    and those without neighbours, get a random vector.
    """
    vocab_size = len(is_ordinary)
    vectors = rng.standard_normal((vocab_size, width))
    together = _counts(tokens, is_ordinary)
    n_factors = min(width, vocab_size - 1)
    start = rng.standard_normal(vocab_size)
    of_word = np.asarray(together.sum(axis=1)).ravel()
    found = np.flatnonzero(of_word)

    if len(found) > n_factors:
        context = of_word**0.75 / (of_word**0.75).sum()
        association = np.log(together.data / of_word[together.row] / context[together.col])
        positive = association > 0
        matrix = sparse.csr_array(
            (association[positive], (together.row[positive], together.col[positive])),
            shape=(vocab_size, vocab_size),
        )
        left, factors, _ = svds(matrix, n_factors, v0=start, solver="arpack")
        vectors[found, :n_factors] = (left * np.sqrt(factors))[found]
        vectors[found] -= vectors[found].mean(axis=0)

    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return (_LENGTH * vectors / np.maximum(lengths, 1e-9)).astype(np.float32)


def _counts(tokens: TokenIds, is_ordinary: np.ndarray) -> sparse.coo_array:
    """Return how often each two tokens stand together, each place weighted by its nearness."""
    n_texts = int(np.searchsorted(tokens.starts, _MOST_TOKENS))
    text = np.repeat(np.arange(n_texts, dtype=np.int32), tokens.lengths[:n_texts])
    ids = tokens.flat[: len(text)]
    usable = is_ordinary[ids]

    shape = len(is_ordinary), len(is_ordinary)
    counts = sparse.csr_array(shape, dtype=np.float64)
    for apart in range(1, _WINDOW + 1):
        both = (text[:-apart] == text[apart:]) & usable[:-apart] & usable[apart:]
        pairs = ids[:-apart][both], ids[apart:][both]
        counts += sparse.coo_array((np.full(len(pairs[0]), 1 / apart), pairs), shape).tocsr()
    return (counts + counts.T).tocoo()
