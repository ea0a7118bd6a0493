"""WordPiece: learn it from texts or load it, and turn texts into token ids.

Training and prediction both go through `encode`, so that cutting and truncation cannot differ.
"""

import os
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

_CHUNK = 16_384


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


def learn_wordpiece(texts: Sequence[str], *, vocab_size: int, lowercase: bool) -> Tokenizer:
    """Learn a WordPiece vocabulary from texts: the same texts give the same vocabulary.

    The trainer of the tokenizers library breaks ties between equally frequent pieces by their
    number, which it gives in the order of a hash table (its issue 1794). Naming all characters
    beforehand, in a fixed order, makes the numbers and so the result repeatable; the trainer's
    own alphabet is held to the same characters, as it would choose among equally rare ones.
    """
    normalizer = normalizers.BertNormalizer(lowercase=lowercase)
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    counts: Counter[str] = Counter()
    for start in range(0, len(texts), _CHUNK):
        counts.update(normalizer.normalize_str("\n".join(texts[start : start + _CHUNK])))
    del counts[" "]
    # Half of the vocabulary at most is single characters, each alone and within a word.
    by_count = sorted(counts, key=lambda c: (-counts[c], c))
    alphabet = sorted(by_count[: max(vocab_size - len(SPECIAL_TOKENS), 0) // 4])
    trainer = trainers.WordPieceTrainer(
        vocab_size=vocab_size,
        special_tokens=[*SPECIAL_TOKENS, *alphabet, *(f"##{c}" for c in alphabet)],
        initial_alphabet=alphabet,
        limit_alphabet=len(alphabet),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return build_wordpiece(tokenizer.get_vocab(), lowercase=lowercase)


def build_wordpiece(vocab: dict[str, int], *, lowercase: bool) -> Tokenizer:
    """BERT's tokenizer around a vocabulary."""
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
    """Tokenizer of a folder, a hub name, or a tokenizers or transformers object.

    The truncation and padding that a file may hold are reset; the object given is not changed.
    """
    if isinstance(source, Tokenizer):
        tokenizer = source
    elif isinstance(source, str | os.PathLike) and Path(source, "tokenizer.json").is_file():
        tokenizer = Tokenizer.from_file(str(Path(source, "tokenizer.json")))
    elif isinstance(source, str | os.PathLike):
        from transformers import AutoTokenizer

        try:
            tokenizer = AutoTokenizer.from_pretrained(os.fspath(source)).backend_tokenizer
        except (OSError, ValueError) as error:
            raise ValueError(
                f"tokenizer={os.fspath(source)!r} is neither a folder that holds a tokenizer nor "
                f"the name of one on the hub that can be reached: {error}"
            ) from error
    elif isinstance(getattr(source, "backend_tokenizer", None), Tokenizer):
        tokenizer = source.backend_tokenizer
    else:
        raise TypeError(
            "tokenizer must be 'corpus', a folder, a hub name, a tokenizers.Tokenizer or a fast "
            f"tokenizer of transformers; got {type(source).__name__}."
        )
    own = Tokenizer.from_str(tokenizer.to_str())
    own.no_truncation()
    own.no_padding()
    return own


def encode(tokenizer: Tokenizer, texts: Sequence[str], max_length: int) -> TokenIds:
    """Token ids of texts, at most ``max_length`` each, special tokens counted."""
    tokenizer.enable_truncation(max_length)
    ids: list[np.ndarray] = []
    lengths: list[int] = []
    for start in range(0, len(texts), _CHUNK):
        chunk = [cut(text, max_length) for text in texts[start : start + _CHUNK]]
        encodings = tokenizer.encode_batch_fast(chunk)
        chunk_ids = [encoding.ids for encoding in encodings]
        lengths.extend(map(len, chunk_ids))
        ids.append(np.fromiter(chain.from_iterable(chunk_ids), np.int32))
    tokenizer.no_truncation()
    flat = np.concatenate(ids) if ids else np.empty(0, np.int32)
    all_lengths = np.asarray(lengths, np.int32)
    starts = np.cumsum(all_lengths, dtype=np.int64) - all_lengths
    return TokenIds(flat, starts, all_lengths)


def cut(text: str, max_length: int) -> str:
    """Return the part of a text that is tokenized; lone surrogates become U+FFFD."""
    limit = CHARACTERS_PER_TOKEN * max_length
    if len(text) > limit:
        text = " ".join(text.split())[:limit]
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text
