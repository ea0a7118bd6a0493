import numpy as np
import pytest

from skbert_filter.shape import (
    SHAPE_FEATURES,
    WORD_COUNT_EDGES,
    shape_features,
    word_count_bins,
)


def by_name(text):
    return dict(zip(SHAPE_FEATURES, shape_features([text])[0].tolist(), strict=True))


def test_each_feature_is_what_its_name_says():
    features = by_name("We sell 12 tools, ties and boats. Ask us | and sell!")

    assert np.expm1(features["log characters"]) == pytest.approx(52, rel=1e-5)
    assert np.expm1(features["log words"]) == pytest.approx(12, rel=1e-5)
    assert features["ends a sentence"] == 1
    assert features["share of capitals"] == pytest.approx(2 / 52)
    assert features["share of digits"] == pytest.approx(2 / 52)
    assert np.expm1(features["log commas"]) == pytest.approx(1)
    assert np.expm1(features["log sentence ends"]) == pytest.approx(2)
    assert features["share of words with a capital"] == pytest.approx(2 / 12)
    assert features["share of words in small letters"] == pytest.approx(8 / 12)
    assert np.expm1(features["log mean word length"]) == pytest.approx(41 / 12)
    assert features["first letter is a capital"] == 1
    assert np.expm1(features["log separators"]) == pytest.approx(1)
    assert features["share of distinct words"] == pytest.approx(11 / 12)


TEXTS = [
    "",
    " \n\t ",
    "漢字とかなの文章です。",
    "שלום עולם",
    "नमस्ते दुनिया।",
    "\ud800 lone surrogate",
    "emoji 🙂 and \U0010fffd",
    "NUL \x00 and \x1c and \x85",
    "x" * 100_000,
    "no blank, no capital",
    "ΑΘΗΝΑ",
]


def test_any_text_has_finite_features_that_do_not_depend_on_the_others():
    features = shape_features(TEXTS)
    one_by_one = np.concatenate([shape_features([text]) for text in TEXTS])

    assert features.shape == (len(TEXTS), 13)
    assert features.dtype == np.float32
    assert np.isfinite(features).all()
    assert np.array_equal(features, one_by_one)
    assert not features[0].any()
    assert np.array_equal(features[0], features[1])


def test_features_of_many_texts_are_in_their_order():
    texts = [TEXTS[i % len(TEXTS)] + " a" * (i % 97) for i in range(9_000)]

    features, bins = shape_features(texts), word_count_bins(texts)

    for i in (0, 4_095, 4_096, 8_999):
        assert np.array_equal(features[i], shape_features([texts[i]])[0])
        assert np.array_equal(bins[i], word_count_bins([texts[i]])[0])


def test_blanks_around_and_between_words_change_nothing():
    plain, indented = shape_features(["Tools for all.", "\n   Tools \t for\xa0 all.  "])

    assert np.array_equal(plain, indented)


def test_word_counts_fall_into_the_bin_that_they_reach():
    texts = [" ".join("w" * n) for n in (0, 1, 8, 9, 10, 99, 100, 5_000)]

    bins = word_count_bins(texts)

    assert bins.dtype == np.float32
    assert bins.sum(axis=1).tolist() == [1] * len(texts)
    assert bins.argmax(axis=1).tolist() == [0, 1, 8, 8, 9, 16, 17, 17]
    assert bins.shape[1] == len(WORD_COUNT_EDGES) + 1


def test_no_text_gives_no_row():
    assert shape_features([]).shape == (0, 13)
    assert word_count_bins([]).shape == (0, 18)
