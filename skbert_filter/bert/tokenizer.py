"""WordPiece: learn it from texts or load it, and turn texts into token ids.

Training and prediction both go through `encode`, so that cutting and truncation cannot differ.
"""

import os
import string
from array import array
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import (
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)

SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")

# Texts are cut after this many characters for each token that is kept. Words of languages
# written with blanks take four to six characters a token, so that the cut is never reached
# within the first tokens unless a text is one long run without any.
CHARACTERS_PER_TOKEN = 10

# The rarest characters are dropped from a vocabulary, as in SentencePiece (Kudo and Richardson,
# 2018): a crawl holds thousands of them, which would take the places of words.
CHARACTER_COVERAGE = 0.9995

# Of texts that an encoder can read. For the bundled one: web snippets .1 % and 1.36, SMS .0 % and
# 1.37, bank customers' questions .0 % and 1.12, generated snippets of several languages 1.3 % and
# 1.55, source code .0 % and 1.24; French .0 % and 2.2, German .6 % and 3.2, Russian .0 % and 5.6,
# Chinese 98 % and 1.0.
MOST_UNKNOWN_TOKENS, MOST_PIECES_PER_WORD = 0.05, 1.9
_READING_SAMPLE = 2_000

_CHUNK = 16_384

# From so many texts on, words are looked up in place of tokenizing each text.
_MANY = 256

# Bounds of the memory that words and their ids take.
_MOST_KNOWN, _LONGEST_KNOWN = 2**18, 32
_WORDS_AT_A_TIME = 256

# Arrow takes these for blanks; BERT's normalizer removes them, as it does U+FFFD.
_NO_BLANKS = r"[\x0b\x0c\x1c-\x1f\x{85}]"


@dataclass(frozen=True)
class TokenIds:
    """Token ids of many texts, end to end in one array.

    ``flat[starts[i]:starts[i] + lengths[i]]`` are the ids of text ``i``.
    """

    flat: np.ndarray
    starts: np.ndarray
    lengths: np.ndarray

    def __len__(self) -> int:
        return len(self.lengths)

    @classmethod
    def of(cls, flat: np.ndarray, lengths: np.ndarray) -> "TokenIds":
        """Wrap ids and lengths of texts that follow each other."""
        lengths = np.asarray(lengths, np.int32)
        return cls(flat, np.cumsum(lengths, dtype=np.int64) - lengths, lengths)


def learn_wordpiece(texts: Sequence[str], *, vocab_size: int, lowercase: bool) -> Tokenizer:
    """Learn a WordPiece vocabulary from texts: the same texts give the same vocabulary.

    The trainer of the tokenizers library breaks ties between equally frequent pieces by their
    number, which it gives in the order of a hash table (its issue 1794). Naming all characters
    beforehand, in a fixed order, makes the numbers and so the result repeatable; the trainer's
    own alphabet is held to the same characters, as it would choose among equally rare ones.
    """
    normalizer = normalizers.BertNormalizer(lowercase=lowercase)
    splitter = pre_tokenizers.BertPreTokenizer()
    counts: Counter[str] = Counter()
    for start in range(0, len(texts), _CHUNK):
        counts.update(normalizer.normalize_str("\n".join(texts[start : start + _CHUNK])))
    del counts[" "], counts["\n"]

    by_count = sorted(counts, key=lambda c: (-counts[c], c))
    covered = np.cumsum([counts[c] for c in by_count])
    n_kept = int(np.searchsorted(covered, CHARACTER_COVERAGE * counts.total())) + 1
    most = max(vocab_size - len(SPECIAL_TOKENS), 0) // 4
    alphabet = sorted(by_count[: min(n_kept, most)])
    # Punctuation and Chinese characters are words themselves, so never within one.
    within = [
        c
        for c in alphabet
        if len(splitter.pre_tokenize_str(normalizer.normalize_str(f"a{c}"))) == 1
    ]

    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer, tokenizer.pre_tokenizer = normalizer, splitter
    trainer = trainers.WordPieceTrainer(
        vocab_size=vocab_size,
        special_tokens=[*SPECIAL_TOKENS, *alphabet, *(f"##{c}" for c in within)],
        initial_alphabet=alphabet,
        limit_alphabet=len(alphabet),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return build_wordpiece(tokenizer.get_vocab(), lowercase=lowercase)


def build_wordpiece(vocab: dict[str, int], *, lowercase: bool) -> Tokenizer:
    """Make BERT's tokenizer around a vocabulary."""
    tokenizer = Tokenizer(models.WordPiece(vocab, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=lowercase)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.add_special_tokens(list(SPECIAL_TOKENS))
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[(token, vocab[token]) for token in ("[CLS]", "[SEP]")],
    )
    tokenizer.decoder = decoders.WordPiece()
    return tokenizer


def load_tokenizer(source: Any) -> Tokenizer:
    """Load the tokenizer of a folder, a hub name, or a tokenizers or transformers object.

    The truncation and padding in a file are reset; the object given is not changed.
    """
    if isinstance(source, Tokenizer):
        tokenizer = source
    elif isinstance(source, str | os.PathLike):
        tokenizer = _read_tokenizer(os.fspath(source))
    elif isinstance(getattr(source, "backend_tokenizer", None), Tokenizer):
        tokenizer = source.backend_tokenizer
    else:
        raise TypeError(
            "tokenizer must be 'corpus', a folder, a hub name, a tokenizers.Tokenizer or a fast "
            f"tokenizer of transformers; got {type(source).__name__}."
        )

    # Before anything is done for each id up to the largest: rows of the word embedding, a copy.
    vocab = tokenizer.get_vocab()
    token, largest = max(vocab.items(), key=lambda item: item[1], default=("", 0))
    if largest >= 2 * len(vocab) + 1000:
        raise ValueError(
            f"The tokenizer has {len(vocab):,} tokens, but numbers {token!r} as {largest:,}. Take "
            "the tokenizer.json of a model again from its source."
        )

    own = Tokenizer.from_str(tokenizer.to_str())
    own.no_truncation()
    own.no_padding()
    return own


def _read_tokenizer(source: str) -> Tokenizer:
    file = Path(source, "tokenizer.json")
    if file.is_file():
        try:
            return Tokenizer.from_file(str(file))
        except Exception as error:  # the tokenizers library has no class of its own
            raise ValueError(
                f"{str(file)!r} is not a tokenizer.json that can be read: {error}"
            ) from None

    # Imported on need: it takes seconds.
    from transformers import AutoTokenizer, BertTokenizer

    try:
        if Path(source, "vocab.txt").is_file():
            return BertTokenizer.from_pretrained(source).backend_tokenizer
        # Without an answer to whether code of the hub may run, transformers asks on the terminal.
        return AutoTokenizer.from_pretrained(source, trust_remote_code=False).backend_tokenizer
    except (OSError, ValueError) as error:
        raise ValueError(
            f"tokenizer={source!r} is neither a folder that holds a tokenizer nor "
            f"the name of one on the hub that can be reached: {error}"
        ) from error


def ignores_case(tokenizer: Tokenizer) -> bool:
    """Whether a tokenizer takes capitals for small letters."""
    return tokenizer.normalizer is not None and tokenizer.normalizer.normalize_str("A") == "a"


def special_tokens(tokenizer: Tokenizer) -> dict[str, str]:
    """Return the special tokens of a tokenizer by their part: pad, unk, cls, sep, mask."""
    around = tokenizer.encode("a")
    found = {}
    if around.special_tokens_mask[:1] == [1]:
        found["cls"] = around.tokens[0]
    if len(around) > 1 and around.special_tokens_mask[-1] == 1:
        found["sep"] = around.tokens[-1]
    if unknown := getattr(tokenizer.model, "unk_token", None):
        found["unk"] = unknown

    # Nothing in a tokenizer says which of its tokens these are, save their names.
    names = [t.content for t in tokenizer.get_added_tokens_decoder().values() if t.special]
    for part in ("pad", "mask"):
        usual = f"[{part.upper()}]"
        named = [name for name in names if part in name.lower()]
        if tokenizer.token_to_id(usual) is not None:
            named = [usual]
        if named:
            found[part] = named[0]
    return found


def encode(
    tokenizer: Tokenizer,
    texts: Sequence[str],
    max_length: int,
    known: dict[str, bytes] | None = None,
) -> TokenIds:
    """Return the token ids of texts, at most ``max_length`` each, special tokens counted.

    Works in the calling thread alone, and leaves the tokenizer as it is. ``known`` is given the ids
    of words, for a next call with the same tokenizer.
    """
    known = {} if known is None else known
    by_word = len(texts) >= _MANY and _splits_into_words(tokenizer)
    chunks = []

    for start in range(0, max(len(texts), 1), _CHUNK):
        chunk = [cut(text, max_length) for text in texts[start : start + _CHUNK]]
        if by_word:
            tokens = _encode_words(tokenizer, chunk, known)
        else:
            ids = [tokenizer.encode(text, add_special_tokens=False).ids for text in chunk]
            flat = np.fromiter(chain.from_iterable(ids), np.int32)
            tokens = TokenIds.of(flat, np.fromiter(map(len, ids), np.int32))
        chunks.append(_framed(tokens, tokenizer, max_length))

    return TokenIds.of(
        np.concatenate([chunk.flat for chunk in chunks]),
        np.concatenate([chunk.lengths for chunk in chunks]),
    )


def _framed(tokens: TokenIds, tokenizer: Tokenizer, max_length: int) -> TokenIds:
    """Put texts, cut to ``max_length``, between the special tokens."""
    probe = tokenizer.encode("a")
    is_special = np.array(probe.special_tokens_mask, bool)
    frame = np.array(probe.ids, np.int32)[is_special]
    n_before = int(np.cumprod(is_special).sum())

    n_kept = np.minimum(tokens.lengths, max_length - len(frame))
    kept = TokenIds.of(tokens.flat[_ranges(tokens.starts, n_kept)], n_kept)
    ends = np.column_stack([kept.starts, kept.starts + n_kept])
    at = np.repeat(ends, [n_before, len(frame) - n_before], axis=1)
    flat = np.insert(kept.flat, at.ravel(), np.tile(frame, len(kept)))
    return TokenIds.of(flat, n_kept + len(frame))


def _ranges(starts: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Return the numbers from each start on, as many as its size, end to end."""
    before = np.cumsum(sizes, dtype=np.int64) - sizes
    return np.repeat(starts - before, sizes) + np.arange(sizes.sum())


def _splits_into_words(tokenizer: Tokenizer) -> bool:
    """Whether a tokenizer first splits at blanks and punctuation, as BERT's does."""
    added = tokenizer.get_added_tokens_decoder().values()
    names = [token.content for token in added]
    return (
        isinstance(tokenizer.normalizer, normalizers.BertNormalizer)
        and tokenizer.normalizer.clean_text
        and isinstance(tokenizer.pre_tokenizer, pre_tokenizers.BertPreTokenizer)
        and not any(token.single_word for token in added)
        # One of letters alone would be found within words.
        and not any(name.isalnum() or len(name.split()) != 1 for name in names)
    )


def _encode_words(tokenizer: Tokenizer, texts: list[str], known: dict[str, bytes]) -> TokenIds:
    """Return the ids that the tokenizer gives of each text, each distinct word tokenized once.

    A corpus repeats its words; Arrow finds the distinct ones faster than they are tokenized.
    """
    # On first use: a few texts are predicted without it.
    import pyarrow as pa
    import pyarrow.compute as pc

    # Added tokens, such as [SEP], are looked for in the text as it is, and so stay whole.
    added = tokenizer.get_added_tokens_decoder().values()
    whole = set().union(*(token.content for token in added))
    marks = "".join(rf"\x{ord(mark):02x}" for mark in string.punctuation if mark not in whole)

    spaced = pa.array(texts, pa.string())
    if pc.any(pc.match_substring_regex(spaced, _NO_BLANKS)).as_py():
        spaced = pc.replace_substring_regex(spaced, _NO_BLANKS, "\ufffd")
    spaced = pc.replace_substring_regex(spaced, f"([{marks}])", r" \1 ")
    words = pc.utf8_split_whitespace(spaced)

    coded = words.flatten().dictionary_encode()
    pieces = _words(tokenizer, coded.dictionary.to_pylist(), known)
    codes = coded.indices.to_numpy()
    sizes = pieces.lengths[codes]
    ends = np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)])
    return TokenIds.of(
        pieces.flat[_ranges(pieces.starts[codes], sizes)],
        np.diff(ends[words.offsets.to_numpy()]),
    )


def _words(tokenizer: Tokenizer, words: list[str], known: dict[str, bytes]) -> TokenIds:
    """Return the ids of words, known ones looked up."""
    ids: list[Any] = list(map(known.get, words))
    new = [i for i, found in enumerate(ids) if found is None]

    # Of ASCII letters and digits, nothing is normalized but the case, and nothing is split: the
    # model alone gives their pieces, in a fifth of the time.
    lowercase, model = tokenizer.normalizer.lowercase, tokenizer.model
    others = []
    for i in new:
        word = words[i]
        if word.isascii() and word.isalnum():
            pieces = model.tokenize(word.lower() if lowercase else word)
            ids[i] = array("i", [piece.id for piece in pieces]).tobytes()
        else:
            others.append(i)

    for start in range(0, len(others), _WORDS_AT_A_TIME):
        rows = others[start : start + _WORDS_AT_A_TIME]
        encoding = tokenizer.encode(
            [words[i] for i in rows], is_pretokenized=True, add_special_tokens=False
        )
        sizes = np.bincount(np.array(encoding.word_ids, np.int64), minlength=len(rows))
        data, end = np.array(encoding.ids, np.int32).tobytes(), 0
        for i, size in zip(rows, (4 * sizes).tolist(), strict=True):
            ids[i] = data[end : end + size]
            end += size

    # Another thread may use it at the same time.
    if len(known) > _MOST_KNOWN:
        known.clear()
    known.update((words[i], ids[i]) for i in new if len(words[i]) <= _LONGEST_KNOWN)

    lengths = np.fromiter(map(len, ids), np.int32) // 4
    return TokenIds.of(np.frombuffer(b"".join(ids), np.int32), lengths)


@dataclass(frozen=True)
class Reading:
    """How well a tokenizer reads texts: the share of unknown tokens, and the tokens of a word."""

    unknown_tokens: float
    pieces_per_word: float

    @classmethod
    def of(cls, tokenizer_json: str, texts: Sequence[str]) -> "Reading":
        """Read texts, or an even sample of them."""
        tokenizer = Tokenizer.from_str(tokenizer_json)
        sample = [cut(text, 100) for text in texts[:: max(1, len(texts) // _READING_SAMPLE)]]
        encodings = tokenizer.encode_batch(sample, add_special_tokens=False)

        n_words = sum(len(set(encoding.word_ids)) for encoding in encodings)
        ids = np.array([i for encoding in encodings for i in encoding.ids], np.int64)
        unknown = tokenizer.token_to_id(special_tokens(tokenizer).get("unk", ""))
        return cls(
            unknown_tokens=float((ids == unknown).mean()) if len(ids) else 0.0,
            pieces_per_word=len(ids) / max(n_words, 1),
        )

    @property
    def is_good(self) -> bool:
        """Whether an encoder may be started from."""
        few_unknown = self.unknown_tokens <= MOST_UNKNOWN_TOKENS
        return few_unknown and self.pieces_per_word <= MOST_PIECES_PER_WORD

    def __str__(self) -> str:
        return (
            f"{self.unknown_tokens:.1%} of their tokens are unknown to it (at most "
            f"{MOST_UNKNOWN_TOKENS:.0%} may be), and a word breaks into {self.pieces_per_word:.1f} "
            f"pieces (at most {MOST_PIECES_PER_WORD})"
        )


def cut(text: str, max_length: int) -> str:
    """Return the part of a text that is tokenized; lone surrogates become U+FFFD."""
    limit = CHARACTERS_PER_TOKEN * max_length
    if len(text) > limit:
        text = " ".join(text.split())[:limit]
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text
