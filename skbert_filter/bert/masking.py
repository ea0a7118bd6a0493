"""Which tokens a masked language model has to guess, drawn again for each batch.

Of the chosen tokens, 80 % become [MASK], 10 % a random token, and 10 % stay as they are (Devlin et
al., 2019). Knows nothing of an engine.
"""

from dataclasses import dataclass

import numpy as np
from tokenizers import Tokenizer

from skbert_filter.bert.batching import Batch
from skbert_filter.bert.tokenizer import TokenIds, special_tokens


@dataclass(frozen=True, eq=False)
class Masking:
    """How tokens are chosen; ``is_ordinary[id]`` says whether a token may be chosen or drawn."""

    probability: float
    mask_id: int
    is_ordinary: np.ndarray

    @classmethod
    def of(cls, tokenizer: Tokenizer, probability: float) -> "Masking":
        """Look up the tokens of a tokenizer."""
        special = special_tokens(tokenizer)
        if "mask" not in special:
            raise ValueError(
                "The tokenizer has no [MASK] token, which stands for hidden ones. Pass that of a "
                "BERT model, or tokenizer='corpus'."
            )

        vocab = tokenizer.get_vocab()
        added = tokenizer.get_added_tokens_decoder().values()
        not_chosen = {token.content for token in added if token.special} | set(special.values())
        is_ordinary = np.zeros(max(vocab.values()) + 1, bool)
        is_ordinary[[i for token, i in vocab.items() if token not in not_chosen]] = True
        return cls(probability, vocab[special["mask"]], is_ordinary)

    def rows_with_words(self, tokens: TokenIds) -> np.ndarray:
        """Return the indices of the texts that have a token to choose."""
        # One more, so that the start of an empty text at the very end is a place too.
        before = np.concatenate([[0], np.cumsum(self.is_ordinary[tokens.flat])])
        return np.flatnonzero(before[tokens.starts + tokens.lengths] > before[tokens.starts])

    def hide(self, batch: Batch, rng: np.random.RandomState) -> tuple[np.ndarray, np.ndarray]:
        """Return the ids with some tokens hidden, and where there is one to be guessed.

        At least one token of each text is chosen, however short the text.
        """
        ids = batch.inputs["input_ids"]
        is_token = np.arange(ids.shape[1]) < batch.inputs["length"][:, None]
        may_be_chosen = is_token & self.is_ordinary[ids]
        drawn = rng.random_sample(ids.shape)
        drawn[~may_be_chosen] = 1.0
        chosen = drawn <= np.maximum(self.probability, drawn.min(axis=1, keepdims=True))
        chosen &= may_be_chosen

        n_chosen = int(chosen.sum())
        fate = rng.random_sample(n_chosen)
        ordinary = np.flatnonzero(self.is_ordinary)
        random = ordinary[rng.randint(len(ordinary), size=n_chosen)]
        hidden = ids.copy()
        hidden[chosen] = np.select([fate < 0.8, fate < 0.9], [self.mask_id, random], ids[chosen])
        return hidden, chosen
