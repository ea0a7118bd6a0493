"""WordPiece tokenizers: learning and loading them, and encoding texts as token ids.

Training and prediction both call `encode`, so they cut and truncate texts alike.
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

# Texts are cut after this many characters per token. Languages that separate words by blanks have
# four to six characters per token, so the cut is beyond the last token that is kept, unless a text
# is one long run without blanks.
CHARACTERS_PER_TOKEN = 10

# The rarest characters are dropped from a vocabulary, as in SentencePiece (Kudo and Richardson,
# 2018): a crawl contains thousands of them, which would take the places of words.
CHARACTER_COVERAGE = 0.9995

# Limits within which an encoder can read texts. Measured with the bundled one: web snippets .1 %
# and 1.36, SMS .0 % and 1.37, bank customers' questions .0 % and 1.12, generated snippets of
# several languages 1.3 % and 1.55, source code .0 % and 1.24; French .0 % and 2.2, German .6 % and
# 3.2, Russian .0 % and 5.6, Chinese 98 % and 1.0.
MAX_UNKNOWN_TOKENS, MAX_PIECES_PER_WORD = 0.05, 1.9
_COVERAGE_SAMPLE = 2_000

_CHUNK = 16_384

# With at least this many texts, each distinct word is tokenized once.
_MIN_TEXTS_BY_WORD = 256

# Bounds of the memory for cached words and their ids.
_MAX_CACHED_WORDS, _MAX_CACHED_LENGTH = 2**18, 32

# Arrow splits at these characters; BERT's normalizer removes them, as it does U+FFFD.
_NOT_BLANK = r"[\x0b\x0c\x1c-\x1f\x{85}]"


@dataclass(frozen=True)
class TokenIds:
    """Token ids of many texts, concatenated in one array.

    The ids of text ``i`` are ``flat[starts[i]:starts[i] + lengths[i]]``.
    """

    flat: np.ndarray
    starts: np.ndarray
    lengths: np.ndarray

    def __len__(self) -> int:
        return len(self.lengths)

    @classmethod
    def of(cls, flat: np.ndarray, lengths: np.ndarray) -> "TokenIds":
        """Wrap the ids and lengths of consecutive texts."""
        lengths = np.asarray(lengths, np.int32)
        return cls(flat, np.cumsum(lengths, dtype=np.int64) - lengths, lengths)


def learn_wordpiece(texts: Sequence[str], *, vocab_size: int, lowercase: bool) -> Tokenizer:
    """Learn a WordPiece vocabulary from texts, reproducibly.

    The trainer of the tokenizers library breaks ties between equally frequent pieces by their ids,
    which follow the order of a hash table (its issue 1794). Listing all characters as special
    tokens, in a fixed order, fixes the ids and so the result. The trainer's own alphabet is set to
    the same characters, since it would choose among equally rare ones.
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
    limit = max(vocab_size - len(SPECIAL_TOKENS), 0) // 4
    alphabet = sorted(by_count[: min(n_kept, limit)])
    # Punctuation and Chinese characters are words by themselves, so they never continue one.
    continuing = [
        c
        for c in alphabet
        if len(splitter.pre_tokenize_str(normalizer.normalize_str(f"a{c}"))) == 1
    ]

    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer, tokenizer.pre_tokenizer = normalizer, splitter
    trainer = trainers.WordPieceTrainer(
        vocab_size=vocab_size,
        special_tokens=[*SPECIAL_TOKENS, *alphabet, *(f"##{c}" for c in continuing)],
        initial_alphabet=alphabet,
        limit_alphabet=len(alphabet),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return build_wordpiece(tokenizer.get_vocab(), lowercase=lowercase)


def build_wordpiece(vocab: dict[str, int], *, lowercase: bool) -> Tokenizer:
    """Build BERT's tokenizer from a vocabulary."""
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
    """Copy or load a tokenizer from a folder, a hub name, or a tokenizers or transformers object.

    Truncation and padding are disabled in the copy; the original is not changed.
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

    # The word embedding has a row for each id up to the largest.
    vocab = tokenizer.get_vocab()
    token, largest = max(vocab.items(), key=lambda item: item[1], default=("", 0))
    if largest >= 2 * len(vocab) + 1000:
        raise ValueError(
            f"The tokenizer has {len(vocab):,} tokens, but the id of {token!r} is {largest:,}. "
            "Copy the tokenizer.json again from its source."
        )

    copy = Tokenizer.from_str(tokenizer.to_str())
    copy.no_truncation()
    copy.no_padding()
    return copy


def _read_tokenizer(source: str) -> Tokenizer:
    file = Path(source, "tokenizer.json")
    if file.is_file():
        try:
            return Tokenizer.from_file(str(file))
        except Exception as error:  # the tokenizers library raises no more specific class
            raise ValueError(
                f"{str(file)!r} is not a tokenizer.json that can be read: {error}"
            ) from None

    # The import takes seconds.
    from transformers import AutoTokenizer, BertTokenizer

    try:
        if Path(source, "vocab.txt").is_file():
            return BertTokenizer.from_pretrained(source).backend_tokenizer
        # Without trust_remote_code, transformers may prompt for it in the terminal.
        return AutoTokenizer.from_pretrained(source, trust_remote_code=False).backend_tokenizer
    except (OSError, ValueError) as error:
        raise ValueError(
            f"tokenizer={source!r} is neither a folder that holds a tokenizer nor "
            f"the name of one on the hub that can be reached: {error}"
        ) from error


def ignores_case(tokenizer: Tokenizer) -> bool:
    """Whether a tokenizer lowercases texts."""
    return tokenizer.normalizer is not None and tokenizer.normalizer.normalize_str("A") == "a"


def special_tokens(tokenizer: Tokenizer) -> dict[str, str]:
    """Return the special tokens of a tokenizer by their roles: pad, unk, cls, sep, mask."""
    encoding = tokenizer.encode("a")
    special = {}
    if encoding.special_tokens_mask[:1] == [1]:
        special["cls"] = encoding.tokens[0]
    if len(encoding) > 1 and encoding.special_tokens_mask[-1] == 1:
        special["sep"] = encoding.tokens[-1]
    if unknown := getattr(tokenizer.model, "unk_token", None):
        special["unk"] = unknown

    # Only their names tell which tokens these are.
    names = [t.content for t in tokenizer.get_added_tokens_decoder().values() if t.special]
    for role in ("pad", "mask"):
        usual = f"[{role.upper()}]"
        if tokenizer.token_to_id(usual) is not None:
            special[role] = usual
        elif matching := [name for name in names if role in name.lower()]:
            special[role] = matching[0]
    return special


def encode(
    tokenizer: Tokenizer,
    texts: Sequence[str],
    max_length: int,
    cache: dict[str, bytes] | None = None,
) -> TokenIds:
    """Return the token ids of texts, at most ``max_length`` each including special tokens.

    Runs in the calling thread only, and leaves the tokenizer unchanged. ``cache`` stores the ids of
    words for later calls with the same tokenizer.
    """
    cache = {} if cache is None else cache
    by_word = len(texts) >= _MIN_TEXTS_BY_WORD and _splits_into_words(tokenizer)
    chunks = []

    for start in range(0, max(len(texts), 1), _CHUNK):
        chunk = [cut(text, max_length) for text in texts[start : start + _CHUNK]]
        if by_word:
            tokens = _encode_by_word(tokenizer, chunk, cache)
        else:
            ids = [tokenizer.encode(text, add_special_tokens=False).ids for text in chunk]
            flat = np.fromiter(chain.from_iterable(ids), np.int32)
            tokens = TokenIds.of(flat, np.fromiter(map(len, ids), np.int32))
        chunks.append(_truncate(tokens, tokenizer, max_length))

    return TokenIds.of(
        np.concatenate([chunk.flat for chunk in chunks]),
        np.concatenate([chunk.lengths for chunk in chunks]),
    )


def _truncate(tokens: TokenIds, tokenizer: Tokenizer, max_length: int) -> TokenIds:
    """Truncate texts, and add special tokens before and after them."""
    encoding = tokenizer.encode("a")
    is_special = np.array(encoding.special_tokens_mask, bool)
    special = np.array(encoding.ids, np.int32)[is_special]
    n_before = int(np.cumprod(is_special).sum())

    n_kept = np.minimum(tokens.lengths, max_length - len(special))
    kept = TokenIds.of(tokens.flat[_ranges(tokens.starts, n_kept)], n_kept)
    ends = np.column_stack([kept.starts, kept.starts + n_kept])
    at = np.repeat(ends, [n_before, len(special) - n_before], axis=1)
    flat = np.insert(kept.flat, at.ravel(), np.tile(special, len(kept)))
    return TokenIds.of(flat, n_kept + len(special))


def _ranges(starts: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Return the concatenated ranges of these starts and sizes."""
    before = np.cumsum(sizes, dtype=np.int64) - sizes
    return np.repeat(starts - before, sizes) + np.arange(sizes.sum())


def _splits_into_words(tokenizer: Tokenizer) -> bool:
    """Whether a tokenizer first splits texts at blanks and punctuation, as BERT's does."""
    added = tokenizer.get_added_tokens_decoder().values()
    names = [token.content for token in added]
    return (
        isinstance(tokenizer.normalizer, normalizers.BertNormalizer)
        and tokenizer.normalizer.clean_text
        and isinstance(tokenizer.pre_tokenizer, pre_tokenizers.BertPreTokenizer)
        and not any(token.single_word for token in added)
        # Added tokens of letters or digits also match within words.
        and not any(name.isalnum() or len(name.split()) != 1 for name in names)
    )


def _encode_by_word(tokenizer: Tokenizer, texts: list[str], cache: dict[str, bytes]) -> TokenIds:
    """Encode texts as the tokenizer does, but each distinct word once.

    Arrow finds the distinct words of a corpus faster than the tokenizer would encode all of them.
    """
    # Predictions for a few texts do without this import.
    import pyarrow as pa
    import pyarrow.compute as pc

    # Added tokens, such as [SEP], are matched in the text before it is split, so they stay whole.
    added = tokenizer.get_added_tokens_decoder().values()
    kept = set().union(*(token.content for token in added))
    marks = "".join(rf"\x{ord(mark):02x}" for mark in string.punctuation if mark not in kept)

    spaced = pa.array(texts, pa.string())
    if pc.any(pc.match_substring_regex(spaced, _NOT_BLANK)).as_py():
        spaced = pc.replace_substring_regex(spaced, _NOT_BLANK, "\ufffd")
    spaced = pc.replace_substring_regex(spaced, f"([{marks}])", r" \1 ")
    words = pc.utf8_split_whitespace(spaced)

    coded = words.flatten().dictionary_encode()
    pieces = _word_pieces(tokenizer, coded.dictionary.to_pylist(), cache)
    codes = coded.indices.to_numpy()
    sizes = pieces.lengths[codes]
    ends = np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)])
    return TokenIds.of(
        pieces.flat[_ranges(pieces.starts[codes], sizes)],
        np.diff(ends[words.offsets.to_numpy()]),
    )


def _word_pieces(tokenizer: Tokenizer, words: list[str], cache: dict[str, bytes]) -> TokenIds:
    """Encode distinct words, or look them up in the cache."""
    ids: list[Any] = list(map(cache.get, words))
    missing = [i for i, word_ids in enumerate(ids) if word_ids is None]

    # Normalization changes nothing but the case of ASCII letters and digits, and nothing splits
    # them: the model alone finds their pieces, in a fraction of the time.
    lowercase, model = tokenizer.normalizer.lowercase, tokenizer.model
    for i in missing:
        word = words[i]
        if word.isascii() and word.isalnum():
            pieces = model.tokenize(word.lower() if lowercase else word)
            word_ids = [piece.id for piece in pieces]
        else:
            word_ids = tokenizer.encode(word, add_special_tokens=False).ids
        ids[i] = array("i", word_ids).tobytes()

    # Other threads may use the cache at the same time, so it is never iterated over.
    if len(cache) > _MAX_CACHED_WORDS:
        cache.clear()
    cache.update((words[i], ids[i]) for i in missing if len(words[i]) <= _MAX_CACHED_LENGTH)

    lengths = np.fromiter(map(len, ids), np.int32) // 4
    return TokenIds.of(np.frombuffer(b"".join(ids), np.int32), lengths)


@dataclass(frozen=True)
class VocabularyCoverage:
    """How well a vocabulary covers texts: the share of unknown tokens, and tokens per word."""

    unknown_tokens: float
    pieces_per_word: float

    @classmethod
    def of(cls, tokenizer_json: str, texts: Sequence[str]) -> "VocabularyCoverage":
        """Tokenize texts, or an even sample of them."""
        tokenizer = Tokenizer.from_str(tokenizer_json)
        sample = [cut(text, 100) for text in texts[:: max(1, len(texts) // _COVERAGE_SAMPLE)]]
        encodings = tokenizer.encode_batch(sample, add_special_tokens=False)

        n_words = sum(len(set(encoding.word_ids)) for encoding in encodings)
        ids = np.array([i for encoding in encodings for i in encoding.ids], np.int64)
        unknown = tokenizer.token_to_id(special_tokens(tokenizer).get("unk", ""))
        return cls(
            unknown_tokens=float((ids == unknown).mean()) if len(ids) else 0.0,
            pieces_per_word=len(ids) / max(n_words, 1),
        )

    @property
    def is_sufficient(self) -> bool:
        """Whether training may start from an encoder with this vocabulary."""
        few_unknown = self.unknown_tokens <= MAX_UNKNOWN_TOKENS
        return few_unknown and self.pieces_per_word <= MAX_PIECES_PER_WORD

    def __str__(self) -> str:
        return (
            f"{self.unknown_tokens:.1%} of their tokens are unknown to it (at most "
            f"{MAX_UNKNOWN_TOKENS:.0%} may be), and a word breaks into {self.pieces_per_word:.1f} "
            f"pieces (at most {MAX_PIECES_PER_WORD})"
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
