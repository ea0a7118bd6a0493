"""What a masked language model learns from, and its weights by name; imports no engine.

The output embedding is the word embedding, and so has no name of its own.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from skbert_filter.bert.architecture import INITIALIZER_RANGE, Architecture, Weights
from skbert_filter.bert.candidates import Candidates
from skbert_filter.bert.masking import Masking
from skbert_filter.bert.pretrained import PretrainedEncoder
from skbert_filter.bert.start import start_at_random
from skbert_filter.bert.tokenizer import TokenIds, encode
from skbert_filter.bert.word_vectors import word_vectors

WORDS = "bert.embeddings.word_embeddings.weight"
TRANSFORM = "cls.predictions.transform"
OUTPUT_BIAS = "cls.predictions.bias"


@dataclass(frozen=True, eq=False)
class MaskedLMTask:
    """Tokenized texts that have a word to guess, and the weights of an untrained model.

    A guess is told apart from the ``candidates``; None: from the whole vocabulary.
    """

    tokenizer: Tokenizer
    architecture: Architecture
    tokens: TokenIds
    masking: Masking
    candidates: Candidates | None
    weights: Weights

    @classmethod
    def of(
        cls,
        texts: Sequence[str],
        *,
        tokenizer: Any,
        vocab_size: int,
        lowercase: bool,
        sizes: Mapping[str, Any],
        probability: float,
        whole_words: bool,
        at_cls: bool,
        rng: np.random.RandomState,
    ) -> "MaskedLMTask":
        """Learn or load the tokenizer, encode the texts, and draw the weights."""
        start = start_at_random(
            texts,
            tokenizer=tokenizer,
            vocab_size=vocab_size,
            lowercase=lowercase,
            sizes=sizes,
            rng=rng,
        )
        masking = Masking.of(
            start.tokenizer, probability=probability, whole_words=whole_words, at_cls=at_cls
        )
        tokens = encode(start.tokenizer, texts, start.architecture.max_position_embeddings)
        rows = masking.rows_with_words(tokens)
        if not len(rows):
            raise ValueError(
                f"None of the {len(texts)} distinct texts of X has a word that the tokenizer "
                "knows. Pass texts with words to guess."
            )
        counts = np.bincount(tokens.flat, minlength=start.architecture.vocab_size)
        counts[np.flatnonzero(~masking.is_ordinary)] = 0
        width = start.architecture.hidden_size
        vectors = {WORDS: word_vectors(tokens, masking.is_ordinary, width, rng)}
        return cls(
            start.tokenizer,
            start.architecture,
            TokenIds(tokens.flat, tokens.starts[rows], tokens.lengths[rows]),
            masking,
            Candidates.of(counts, masking.is_ordinary),
            _with_head({**start.weights, **vectors}, counts),
        )

    def encoder(self, weights: Weights) -> PretrainedEncoder:
        """Return the encoder among the weights of a trained model."""
        own = {name: weight for name, weight in weights.items() if name.startswith("bert.")}
        return PretrainedEncoder(
            self.architecture, own, self.tokenizer.to_str(), "SmallBertPretrainer"
        )


def masked_lm_head(architecture: Architecture) -> dict[str, tuple[int, ...]]:
    """Shapes of the weights that follow the encoder."""
    width = architecture.hidden_size
    return {
        f"{TRANSFORM}.dense.weight": (width, width),
        f"{TRANSFORM}.dense.bias": (width,),
        f"{TRANSFORM}.LayerNorm.weight": (width,),
        f"{TRANSFORM}.LayerNorm.bias": (width,),
        OUTPUT_BIAS: (architecture.vocab_size,),
    }


def at_usual_scale(weights: Weights) -> dict[str, np.ndarray]:
    """Bring the embeddings to the size that BERT's start with; all outputs stay as they are.

    Layer normalization takes their scale away, and that of the transform's gives it back to the
    output layer. A fit that starts from embeddings of usual size can change them as usual.
    """
    scale = INITIALIZER_RANGE / float(np.std(weights[WORDS]))
    norm = f"{TRANSFORM}.LayerNorm."
    factor = {
        name: scale if "_embeddings." in name else 1 / scale if name.startswith(norm) else 1.0
        for name in weights
    }
    return {name: np.float32(factor[name]) * weight for name, weight in weights.items()}


def _with_head(weights: Weights, counts: np.ndarray) -> dict[str, np.ndarray]:
    """Give an untrained encoder a head that knows how frequent each token is.

    An optimizer, whose steps are of a size, would take thousands of them to get the bias there.
    """
    bias = weights["bert.pooler.dense.bias"]
    return {
        **{name: weight for name, weight in weights.items() if "pooler" not in name},
        # The pooler, of which the task has no need, is as large as the transform.
        f"{TRANSFORM}.dense.weight": weights["bert.pooler.dense.weight"],
        f"{TRANSFORM}.dense.bias": bias,
        f"{TRANSFORM}.LayerNorm.weight": np.ones_like(bias),
        f"{TRANSFORM}.LayerNorm.bias": np.zeros_like(bias),
        OUTPUT_BIAS: np.log((counts + 1) / (counts + 1).sum()).astype(np.float32),
    }
