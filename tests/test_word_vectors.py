"""Word vectors from co-occurrence counts."""

import numpy as np
import pytest

from skbert_filter.bert.tokenizer import TokenIds
from skbert_filter.bert.word_vectors import word_vectors

N_SPECIAL, FRUIT, TOOLS = 2, slice(2, 8), slice(8, 14)
IS_ORDINARY = np.arange(14) >= N_SPECIAL


def texts_of_two_kinds(n=300):
    """Texts of fruit or of tools, between two special tokens, end to end."""
    rng = np.random.RandomState(0)
    words = [rng.randint(*((2, 8) if i % 2 else (8, 14)), size=4) for i in range(n)]
    flat = np.concatenate([[0, *text, 1] for text in words])
    return TokenIds.of(flat.astype(np.int32), np.full(n, 6))


def cosines(vectors):
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit @ unit.T


def test_words_that_co_occur_have_similar_vectors():
    vectors = word_vectors(texts_of_two_kinds(), IS_ORDINARY, 4, np.random.RandomState(0))
    assert vectors.shape == (14, 4)
    assert vectors.dtype == np.float32
    alike = cosines(vectors)
    for kind in (FRUIT, TOOLS):
        assert alike[kind, kind].min() > 0
    assert alike[FRUIT, TOOLS].max() < 0
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(np.full(14, 1.7), rel=1e-5)


def test_neighbours_in_other_texts_do_not_count():
    # fruit and tools alternate, one word to a text
    alone = np.array([[0, 2, 1], [0, 8, 1], [0, 3, 1], [0, 9, 1]] * 50, np.int32).ravel()
    seeded = np.random.RandomState(0)
    vectors = word_vectors(TokenIds.of(alone, np.full(200, 3)), IS_ORDINARY, 4, seeded)
    # without co-occurrences, all vectors stay random
    expected = np.random.RandomState(0).standard_normal((14, 4))
    assert np.diag(vectors @ expected.T) == pytest.approx(
        1.7 * np.linalg.norm(expected, axis=1), rel=1e-5
    )


def test_the_same_texts_and_seed_give_the_same_vectors():
    first, second = (
        word_vectors(texts_of_two_kinds(), IS_ORDINARY, 4, np.random.RandomState(1))
        for _ in range(2)
    )
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("width", [1, 13, 14, 40])
def test_any_width_is_filled(width):
    vectors = word_vectors(texts_of_two_kinds(), IS_ORDINARY, width, np.random.RandomState(0))
    assert vectors.shape == (14, width)
    assert np.isfinite(vectors).all()
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(np.full(14, 1.7), rel=1e-5)


def test_a_corpus_of_one_word_or_none_raises_no_error():
    for text in ([0, 5, 1], [0, 1]):
        tokens = TokenIds.of(np.array(text * 3, np.int32), np.full(3, len(text)))
        vectors = word_vectors(tokens, IS_ORDINARY, 4, np.random.RandomState(0))
        assert np.isfinite(vectors).all()
