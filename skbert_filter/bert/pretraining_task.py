"""The pretraining task: masked tokens, targets, labels and initial weights. Imports no engine.

Every text has masked tokens to predict. Its [CLS] learns to predict targets (a teacher's states and
the shape of the text) and the label, where there is one.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from tokenizers import Tokenizer

from skbert_filter.bert.architecture import (
    INITIALIZER_RANGE,
    Architecture,
    Weights,
    masked_lm_shapes,
)
from skbert_filter.bert.batching import Inputs
from skbert_filter.bert.initialization import InitialModel
from skbert_filter.bert.pretrained import PretrainedEncoder
from skbert_filter.bert.tokenizer import TokenIds, encode, special_tokens
from skbert_filter.bert.word_vectors import word_vectors

WORDS = "bert.embeddings.word_embeddings.weight"
TRANSFORM, OUTPUT_BIAS = "cls.predictions.transform", "cls.predictions.bias"
POOLER, TARGETS, CLASSIFIER = "bert.pooler.dense", "targets", "classifier"

# The fraction of the tokens of a text to predict (Devlin et al., 2019).
MLM_PROBABILITY = 0.15

N_FREQUENT, N_SAMPLED = 1000, 500


@dataclass(frozen=True, eq=False)
class Masking:
    """Masks tokens at random; ``is_ordinary[id]`` says which ones are not special."""

    probability: float
    mask_id: int
    is_ordinary: np.ndarray

    @classmethod
    def of(cls, tokenizer: Tokenizer, probability: float = MLM_PROBABILITY) -> "Masking":
        """Look up the special tokens of a tokenizer."""
        special = special_tokens(tokenizer)
        if "mask" not in special:
            raise ValueError(
                "The tokenizer has no [MASK] token to hide words with. Pass the tokenizer of a "
                "BERT model, or tokenizer='corpus'."
            )

        vocab = tokenizer.get_vocab()
        added = tokenizer.get_added_tokens_decoder().values()
        excluded = {token.content for token in added if token.special} | set(special.values())
        is_ordinary = np.zeros(max(vocab.values()) + 1, bool)
        is_ordinary[[i for token, i in vocab.items() if token not in excluded]] = True
        return cls(probability, vocab[special["mask"]], is_ordinary)

    def rows_with_words(self, tokens: TokenIds) -> np.ndarray:
        """Return the indices of the texts that have an ordinary token."""
        n_before = np.concatenate([[0], np.cumsum(self.is_ordinary[tokens.flat])])
        return np.flatnonzero(n_before[tokens.starts + tokens.lengths] > n_before[tokens.starts])

    def hide(self, inputs: Inputs, rng: np.random.RandomState) -> tuple[np.ndarray, np.ndarray]:
        """Return the ids with some tokens hidden, and the mask of the tokens to predict.

        At least one token of each text is chosen, however short it is. Of the chosen tokens, 80 %
        become [MASK], 10 % a random token, and 10 % stay as they are (Devlin et al., 2019).
        """
        ids = inputs["input_ids"]
        is_token = np.arange(ids.shape[1]) < inputs["length"][:, None]
        is_eligible = is_token & self.is_ordinary[ids]
        drawn = np.where(is_eligible, rng.random_sample(ids.shape), 1.0)
        least = drawn.min(axis=1, keepdims=True, initial=1.0)
        is_chosen = is_eligible & (drawn <= np.maximum(self.probability, least))

        n_chosen = int(is_chosen.sum())
        treatment = rng.random_sample(n_chosen)
        ordinary = np.flatnonzero(self.is_ordinary)
        random = ordinary[rng.randint(len(ordinary), size=n_chosen)]
        hidden = ids.copy()
        hidden[is_chosen] = np.select(
            [treatment < 0.8, treatment < 0.9], [self.mask_id, random], ids[is_chosen]
        )
        return hidden, is_chosen


@dataclass(frozen=True, eq=False)
class SampledSoftmax:
    """The candidates of a softmax: all frequent tokens, and a sample of the rare ones.

    Logits of a whole large vocabulary would take half of the time of a very small BERT. This is the
    importance sampling of Jean et al., "On using very large target vocabulary for neural machine
    translation", ACL 2015.
    """

    frequent: np.ndarray
    rare: np.ndarray

    @classmethod
    def of(cls, counts: np.ndarray, is_ordinary: np.ndarray) -> "SampledSoftmax | None":
        """Split a vocabulary by frequency; None if it is too small for sampling to pay off."""
        ordinary = np.flatnonzero(is_ordinary)
        if len(ordinary) <= N_FREQUENT + N_SAMPLED:
            return None
        ordinary = ordinary[np.argsort(-counts[ordinary], kind="stable")]
        return cls(ordinary[:N_FREQUENT], ordinary[N_FREQUENT:])

    def sample(self, rng: np.random.RandomState) -> tuple[np.ndarray, np.ndarray]:
        """Return the candidates of a step, and the log of the number of tokens each represents."""
        sampled = rng.choice(self.rare, N_SAMPLED, replace=False)
        weights = np.ones(N_FREQUENT + N_SAMPLED, np.float32)
        weights[N_FREQUENT:] = len(self.rare) / N_SAMPLED
        return np.concatenate([self.frequent, sampled]).astype(np.int32), np.log(weights)


@dataclass(frozen=True, eq=False)
class PretrainingTask:
    """Tokenized texts with a word to predict, and the weights of an untrained model.

    Without ``sampled_softmax``, the softmax is over the whole vocabulary. A linear map of the
    pooled [CLS] learns ``targets`` ``(n_texts, n_targets)``, and another one ``shares``
    ``(n_texts, n_classes)``, the fraction of each label; rows of unlabelled texts are 0. Both may
    have no columns.
    """

    tokenizer: Tokenizer
    architecture: Architecture
    tokens: TokenIds
    masking: Masking
    sampled_softmax: SampledSoftmax | None
    targets: np.ndarray
    shares: np.ndarray
    weights: Weights

    @classmethod
    def of(
        cls,
        initial: InitialModel,
        texts: Sequence[str],
        targets: np.ndarray,
        shares: np.ndarray,
        rng: np.random.RandomState,
    ) -> "PretrainingTask":
        """Encode the texts, and add word vectors and heads to an untrained encoder."""
        architecture = initial.architecture
        masking = Masking.of(initial.tokenizer)
        tokens = encode(initial.tokenizer, texts, architecture.max_position_embeddings)
        rows = masking.rows_with_words(tokens)
        if not len(rows):
            raise ValueError(
                f"None of the {len(texts)} distinct texts of X has a word that the tokenizer "
                "knows. Pass texts with words that can be masked."
            )

        counts = np.bincount(tokens.flat, minlength=architecture.vocab_size)
        counts[np.flatnonzero(~masking.is_ordinary)] = 0
        vectors = word_vectors(tokens, masking.is_ordinary, architecture.hidden_size, rng)
        heads = head_shapes(architecture, targets.shape[1], shares.shape[1])
        weights = _with_heads({**initial.weights, WORDS: vectors}, counts, heads, rng)

        return cls(
            initial.tokenizer,
            architecture,
            TokenIds(tokens.flat, tokens.starts[rows], tokens.lengths[rows]),
            masking,
            SampledSoftmax.of(counts, masking.is_ordinary),
            targets[rows].astype(np.float32),
            shares[rows].astype(np.float32),
            weights,
        )

    def encoder(self, weights: Weights) -> PretrainedEncoder:
        """Return the encoder of a trained model, with its classification head if binary."""
        encoder = {name: weight for name, weight in weights.items() if name.startswith("bert.")}
        head = self.classifier(weights) if self.shares.shape[1] == 2 else {}
        tokenizer_json = self.tokenizer.to_str()
        return PretrainedEncoder(
            self.architecture, encoder, tokenizer_json, "SmallBertPretrainer", head
        )

    def classifier(self, weights: Weights) -> dict[str, np.ndarray]:
        """Return the classification head, with one logit for two classes; empty without labels."""
        head = {name: rows for name, rows in weights.items() if name.startswith(f"{CLASSIFIER}.")}
        if self.shares.shape[1] == 2:
            return {name: rows[1:] - rows[:1] for name, rows in head.items()}
        return head


def head_shapes(
    architecture: Architecture, n_targets: int, n_classes: int
) -> dict[str, tuple[int, ...]]:
    """Return the shapes of the masked language model's head, the pooler and the heads on it."""
    width = architecture.hidden_size
    shapes = masked_lm_shapes(architecture)
    sizes = {POOLER: width, TARGETS: n_targets, CLASSIFIER: n_classes}
    for name, size in sizes.items():
        if size and (n_targets or n_classes):
            shapes |= {f"{name}.weight": (size, width), f"{name}.bias": (size,)}
    return shapes


def _with_heads(
    weights: Weights,
    counts: np.ndarray,
    shapes: dict[str, tuple[int, ...]],
    rng: np.random.RandomState,
) -> dict[str, np.ndarray]:
    """Add heads to an untrained encoder; the output bias starts as the log of token frequencies.

    An optimizer whose steps have a fixed size would take thousands of them to get there.
    """
    heads = {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}
    heads[OUTPUT_BIAS] = np.log((counts + 1) / (counts + 1).sum()).astype(np.float32)
    heads[f"{TRANSFORM}.LayerNorm.weight"] += 1
    # The unused random pooler has the same shape and distribution.
    heads[f"{TRANSFORM}.dense.weight"] = weights[f"{POOLER}.weight"]
    if f"{POOLER}.weight" in heads:
        # An orthogonal pooler loses no information of [CLS].
        square = rng.standard_normal(shapes[f"{POOLER}.weight"])
        heads[f"{POOLER}.weight"] = (np.linalg.qr(square)[0] / 2).astype(np.float32)
    return {**{n: w for n, w in weights.items() if not n.startswith(POOLER)}, **heads}


def rescale_embeddings(weights: Weights) -> dict[str, np.ndarray]:
    """Scale the embeddings to the size of BERT's initial ones, without changing any output.

    Layer normalization removes the scale of the input embeddings; the output layer, which shares
    them, gets it back from the layer normalization before it. Fine-tuning can then change the
    embeddings at the usual rate.
    """
    scale = INITIALIZER_RANGE / float(np.std(weights[WORDS]))
    norm = f"{TRANSFORM}.LayerNorm."
    factor = {
        name: scale if "_embeddings." in name else 1 / scale if name.startswith(norm) else 1.0
        for name in weights
    }
    return {name: np.float32(factor[name]) * weight for name, weight in weights.items()}
