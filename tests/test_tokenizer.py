import subprocess
import sys

import numpy as np
import pytest
from tokenizers import AddedToken, Tokenizer, normalizers, pre_tokenizers, processors

from skbert_filter.bert.tokenizer import (
    CHARACTERS_PER_TOKEN,
    build_wordpiece,
    cut,
    encode,
    learn_wordpiece,
    load_tokenizer,
)
from skbert_filter.datasets import make_website_snippets

TEXTS = sorted(set(make_website_snippets(600, random_state=0)[0]))


@pytest.fixture(scope="module")
def tokenizer():
    return learn_wordpiece(TEXTS, vocab_size=2000, lowercase=False)


def test_the_same_texts_give_the_same_vocabulary_in_any_process(tokenizer):
    code = (
        "from skbert_filter.bert.tokenizer import learn_wordpiece\n"
        "from skbert_filter.datasets import make_website_snippets\n"
        "texts = sorted(set(make_website_snippets(600, random_state=0)[0]))\n"
        "print(ascii(learn_wordpiece(texts, vocab_size=2000, lowercase=False).to_str()))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == ascii(tokenizer.to_str())


def test_the_vocabulary_has_the_requested_size(tokenizer):
    assert tokenizer.get_vocab_size() == 2000
    assert [tokenizer.id_to_token(i) for i in range(5)] == [
        "[PAD]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        "[MASK]",
    ]


def test_common_words_are_whole_and_rare_ones_in_pieces(tokenizer):
    assert tokenizer.encode("the and").tokens == ["[CLS]", "the", "and", "[SEP]"]
    assert len(tokenizer.encode("Xylophonquartett").tokens) > 3
    assert tokenizer.decode(tokenizer.encode("Xylophonquartett").ids) == "Xylophonquartett"


def test_case_is_kept_or_not():
    cased = learn_wordpiece(["Menu", "menu"], vocab_size=100, lowercase=False)
    uncased = learn_wordpiece(["Menu", "menu"], vocab_size=100, lowercase=True)
    assert cased.encode("Menu").ids != cased.encode("menu").ids
    assert uncased.encode("Menü").ids == uncased.encode("menu").ids


def test_single_characters_take_half_of_the_vocabulary_at_most():
    texts = [chr(0x4E00 + i) for i in range(500)] + ["menu menu menu"] * 5
    tokenizer = learn_wordpiece(texts, vocab_size=200, lowercase=False)
    assert tokenizer.get_vocab_size() <= 200
    assert "menu" in tokenizer.get_vocab()


def test_the_rarest_characters_do_not_displace_words():
    # As in a crawl: few characters make up nearly all of it, and thousands occur once.
    rare = [chr(0x0400 + i) for i in range(200)]
    words = [f"{a}{b}{c}" for a in "abcdefgh" for b in "aeiou" for c in "klmnprst"]
    texts = [" ".join(words)] * 500 + rare
    vocab = learn_wordpiece(texts, vocab_size=500, lowercase=False).get_vocab()
    assert set(words) <= set(vocab)
    assert not set(rare) & set(vocab)


def test_characters_that_are_words_have_no_continuing_form():
    texts = ["menu, 中文 menu."] * 5
    vocab = learn_wordpiece(texts, vocab_size=200, lowercase=False).get_vocab()
    assert {",", ".", "中", "文", "menu", "##n"} <= set(vocab)
    assert not {"##,", "##.", "##中", "##文"} & set(vocab)


def test_encode_concatenates_ids(tokenizer):
    tokens = encode(tokenizer, ["the and", "", "word " * 50], max_length=8)
    assert tokens.lengths.tolist() == [4, 2, 8]
    assert tokens.starts.tolist() == [0, 4, 6]
    first = tokens.flat[tokens.starts[0] : tokens.starts[0] + tokens.lengths[0]]
    assert first.tolist() == tokenizer.encode("the and").ids
    assert tokens.flat[-1] == tokenizer.token_to_id("[SEP]")
    assert len(encode(tokenizer, [], max_length=8)) == 0


ODD_TEXTS = [
    "",
    " ",
    "the\tand\nthe\r\nand",
    "a\x0bb a\x0cb a\x1cb a\x1fb a\x85b a\x00b a\ufffdb a\ud800b",
    "a\xa0b a\u2003b a\u2028b a\u2029b a\u3000b a\u200bb a\ufeffb",
    "[SEP] [CLS]the [MASK], and[SEP]and[ SEP] [sep] [PAD][UNK]",
    "the,and;the--and __init__ 'the' #the $5 50% a^b a|b a~b \\\\ {the}",
    "\xabthe\xbb\u2014and\u2026 \xbfthe?",
    "\u4e2d\u6587the\u4e2d e\u0301\u0301 !\u0301 \u00e9\u0130 ff",
    "\U0001f600the\U0001f600 \u05d0\u05d1 \u0627\u0644",
    "x" * 300,
    "word " * 300,
    "  leading and trailing  ",
]


@pytest.mark.parametrize("lowercase", [False, True])
@pytest.mark.parametrize("n", [1, 100])
def test_many_texts_are_encoded_like_single_ones(tokenizer, lowercase, n):
    own = build_wordpiece(tokenizer.get_vocab(), lowercase=lowercase)
    texts = [*ODD_TEXTS, *TEXTS[:30]] * n
    tokens = encode(own, texts, max_length=16)
    own.enable_truncation(16)
    expected = [own.encode(cut(text, 16)).ids for text in texts]
    got = np.split(tokens.flat, tokens.starts[1:])
    assert [ids.tolist() for ids in got] == expected
    assert tokens.lengths.tolist() == [len(ids) for ids in expected]


def test_words_are_cached_and_encoded_the_same(tokenizer):
    cache = {}
    texts = [*TEXTS, "x" * 300]
    first = encode(tokenizer, texts, 16, cache)
    assert {"the", "and"} <= set(cache)
    assert max(map(len, cache)) < 100
    again = encode(tokenizer, texts[::-1], 16, cache)
    np.testing.assert_array_equal(again.lengths, first.lengths[::-1])
    np.testing.assert_array_equal(again.flat[: again.lengths[0]], first.flat[first.starts[-1] :])


def test_the_word_cache_is_bounded(tokenizer, monkeypatch):
    monkeypatch.setattr("skbert_filter.bert.tokenizer._MAX_CACHED_WORDS", 10)
    cache = {}
    for word in ("the", "and", "menu"):
        encode(tokenizer, [f"{word} {i}" for i in range(300)], 16, cache)
    assert "menu" in cache
    assert "the" not in cache


@pytest.mark.parametrize(
    "change",
    [
        lambda t: setattr(t, "normalizer", normalizers.Lowercase()),
        lambda t: setattr(t, "normalizer", normalizers.BertNormalizer(clean_text=False)),
        lambda t: setattr(t, "pre_tokenizer", pre_tokenizers.CharDelimiterSplit("e")),
        lambda t: t.add_tokens([AddedToken("the and")]),
        lambda t: t.add_tokens([AddedToken("qzq", single_word=True)]),
        lambda t: t.add_tokens([AddedToken("qzq")]),
        lambda t: setattr(t, "post_processor", processors.BertProcessing(("a", 7), ("b", 8))),
    ],
)
def test_other_kinds_of_tokenizers_are_supported(tokenizer, change):
    own = Tokenizer.from_str(tokenizer.to_str())
    change(own)
    texts = [*ODD_TEXTS, *TEXTS, "the and", "the_qzq", "theqzqand"]
    tokens = encode(own, texts, max_length=16)
    assert own.truncation is None
    own.enable_truncation(16)
    expected = [own.encode(cut(text, 16)).ids for text in texts]
    assert [ids.tolist() for ids in np.split(tokens.flat, tokens.starts[1:])] == expected


def test_long_texts_are_cut_after_blanks_are_collapsed(tokenizer):
    text = "word" + " " * 100_000 + "another"
    assert cut(text, 10) == "word another"
    assert len(cut("x" * 1_000_000, 10)) == CHARACTERS_PER_TOKEN * 10
    spaced = encode(tokenizer, [text, "word another"], max_length=10)
    np.testing.assert_array_equal(
        spaced.flat[:: spaced.lengths[0]], spaced.flat[:: spaced.lengths[1]]
    )
    assert spaced.lengths[0] == spaced.lengths[1]


def test_lone_surrogates_become_the_replacement_character():
    assert cut("a\ud800b", 10) == "a\ufffdb"
    assert cut("\U0001f600", 10) == "\U0001f600"


def test_load_resets_truncation_and_padding_and_leaves_the_object_alone(tokenizer, tmp_path):
    own = Tokenizer.from_str(tokenizer.to_str())
    own.enable_truncation(4)
    own.enable_padding(length=128)
    loaded = load_tokenizer(own)
    assert loaded.truncation is None
    assert loaded.padding is None
    assert own.truncation["max_length"] == 4
    own.no_truncation()
    own.save(str(tmp_path / "tokenizer.json"))
    from_folder = load_tokenizer(tmp_path)
    assert (
        from_folder.encode("View All Menu Menu").ids == tokenizer.encode("View All Menu Menu").ids
    )


def test_load_a_folder_with_a_vocab_txt(tmp_path):
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "##b"]
    (tmp_path / "vocab.txt").write_text("\n".join(words), encoding="utf-8")
    (tmp_path / "tokenizer_config.json").write_text(
        '{"tokenizer_class": "BertTokenizer", "do_lower_case": true}', encoding="utf-8"
    )
    assert load_tokenizer(tmp_path).encode("AB").ids == [2, 5, 6, 3]


def test_load_rejects_other_objects(tmp_path):
    with pytest.raises(ValueError, match="neither a folder that holds a tokenizer nor the name"):
        load_tokenizer(str(tmp_path / "missing"))
    with pytest.raises(TypeError, match=r"tokenizer must be 'corpus'.*got int"):
        load_tokenizer(7)


def test_build_wordpiece_around_a_vocabulary():
    vocab = {t: i for i, t in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "##b"])}
    tokenizer = build_wordpiece(vocab, lowercase=True)
    assert tokenizer.encode("AB c").tokens == ["[CLS]", "a", "##b", "[UNK]", "[SEP]"]
