"""What an encoder is pretrained on, and the weights that it starts with; imports no engine.

Every text has words to guess. What its [CLS] stands for is learnt from targets (a teacher's view of
the text, its shape) and from the labels of those texts that have one.
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
from skbert_filter.bert.batching import Batch
from skbert_filter.bert.initialization import InitialModel
from skbert_filter.bert.pretrained import PretrainedEncoder
from skbert_filter.bert.tokenizer import TokenIds, encode, special_tokens
from skbert_filter.bert.word_vectors import word_vectors

WORDS = "bert.embeddings.word_embeddings.weight"
TRANSFORM, OUTPUT_BIAS = "cls.predictions.transform", "cls.predictions.bias"
POOLER, TARGETS, CLASSIFIER = "bert.pooler.dense", "targets", "classifier"

# The share of the tokens of a text that are to be guessed (Devlin et al., 2019).
MLM_PROBABILITY = 0.15

N_FREQUENT, N_SAMPLED = 1000, 500


@dataclass(frozen=True, eq=False)
class Masking:
    """Which tokens are to be guessed; ``is_ordinary[id]`` are those that may be chosen or drawn."""

    probability: float
    mask_id: int
    is_ordinary: np.ndarray

    @classmethod
    def of(cls, tokenizer: Tokenizer, probability: float = MLM_PROBABILITY) -> "Masking":
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

        At least one token of each text is chosen, however short. 80 % of them become [MASK], 10 % a
        random token, and 10 % stay as they are (Devlin et al., 2019).
        """
        ids = batch.inputs["input_ids"]
        is_token = np.arange(ids.shape[1]) < batch.inputs["length"][:, None]
        may_be_chosen = is_token & self.is_ordinary[ids]
        drawn = np.where(may_be_chosen, rng.random_sample(ids.shape), 1.0)
        least = drawn.min(axis=1, keepdims=True, initial=1.0)
        chosen = may_be_chosen & (drawn <= np.maximum(self.probability, least))

        n_chosen = int(chosen.sum())
        fate = rng.random_sample(n_chosen)
        ordinary = np.flatnonzero(self.is_ordinary)
        random = ordinary[rng.randint(len(ordinary), size=n_chosen)]
        hidden = ids.copy()
        hidden[chosen] = np.select([fate < 0.8, fate < 0.9], [self.mask_id, random], ids[chosen])
        return hidden, chosen


@dataclass(frozen=True, eq=False)
class SampledSoftmax:
    """The tokens that a guess is scored against: the frequent ones, and a draw of the others.

    Scores of a large vocabulary at each place would take half of the time of a very small BERT.
    Importance sampling as in Jean et al., "On using very large target vocabulary for neural machine
    translation", ACL 2015.
    """

    frequent: np.ndarray
    rare: np.ndarray

    @classmethod
    def of(cls, frequency: np.ndarray, is_ordinary: np.ndarray) -> "SampledSoftmax | None":
        """Split a vocabulary by frequency; None where it is so small that nothing is saved."""
        ordinary = np.flatnonzero(is_ordinary)
        if len(ordinary) <= N_FREQUENT + N_SAMPLED:
            return None
        falling = ordinary[np.argsort(-frequency[ordinary], kind="stable")]
        return cls(falling[:N_FREQUENT], falling[N_FREQUENT:])

    def sample(self, rng: np.random.RandomState) -> tuple[np.ndarray, np.ndarray]:
        """Return the candidates of a step, and the logarithm of how many tokens each stands for."""
        drawn = rng.choice(self.rare, N_SAMPLED, replace=False)
        stands_for = np.ones(N_FREQUENT + N_SAMPLED, np.float32)
        stands_for[N_FREQUENT:] = len(self.rare) / N_SAMPLED
        return np.concatenate([self.frequent, drawn]).astype(np.int32), np.log(stands_for)


@dataclass(frozen=True, eq=False)
class PretrainingTask:
    """Tokenized texts that have a word to guess, and the weights of an untrained model.

    Without ``sampled_softmax``, a guess is scored against the whole vocabulary. ``targets``
    ``(n_texts, n_targets)`` is what a linear map of the pooled [CLS] has to give; ``shares``
    ``(n_texts, n_classes)`` how much of a text each label has, all 0 for a text without one.
    Both may have no columns.
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
        """Encode the texts, and give an untrained encoder word vectors and heads."""
        architecture = initial.architecture
        masking = Masking.of(initial.tokenizer)
        tokens = encode(initial.tokenizer, texts, architecture.max_position_embeddings)
        rows = masking.rows_with_words(tokens)
        if not len(rows):
            raise ValueError(
                f"None of the {len(texts)} distinct texts of X has a word that the tokenizer "
                "knows. Pass texts with words to guess."
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
        """Return the encoder among the weights of a trained model, with the head of two labels."""
        own = {name: weight for name, weight in weights.items() if name.startswith("bert.")}
        head = self.classifier(weights) if self.shares.shape[1] == 2 else {}
        tokenizer_json = self.tokenizer.to_str()
        return PretrainedEncoder(
            self.architecture, own, tokenizer_json, "SmallBertPretrainer", head
        )

    def classifier(self, weights: Weights) -> dict[str, np.ndarray]:
        """Return the head of the labels, of two labels with one logit; empty without labels."""
        head = {name: rows for name, rows in weights.items() if name.startswith(f"{CLASSIFIER}.")}
        if self.shares.shape[1] == 2:
            return {name: rows[1:] - rows[:1] for name, rows in head.items()}
        return head


def head_shapes(
    architecture: Architecture, n_targets: int, n_classes: int
) -> dict[str, tuple[int, ...]]:
    """Return the shapes of the heads: what guesses tokens, the pooler, and what reads that."""
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
    """Give an untrained encoder its heads; that of the words knows how frequent each token is.

    An optimizer, whose steps have a fixed size, would take thousands of them to get there.
    """
    heads = {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}
    heads[OUTPUT_BIAS] = np.log((counts + 1) / (counts + 1).sum()).astype(np.float32)
    heads[f"{TRANSFORM}.LayerNorm.weight"] += 1
    # as large as the pooler, and drawn alike
    heads[f"{TRANSFORM}.dense.weight"] = weights[f"{POOLER}.weight"]
    if f"{POOLER}.weight" in heads:
        # an orthogonal pooler keeps all that [CLS] holds
        square = rng.standard_normal(shapes[f"{POOLER}.weight"])
        heads[f"{POOLER}.weight"] = (np.linalg.qr(square)[0] / 2).astype(np.float32)
    return {**{n: w for n, w in weights.items() if not n.startswith(POOLER)}, **heads}


def rescale_embeddings(weights: Weights) -> dict[str, np.ndarray]:
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
