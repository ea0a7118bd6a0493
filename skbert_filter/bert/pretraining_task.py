"""What an encoder is pretrained on, and the weights of its heads by name; imports no engine.

Every text has words to guess. What its [CLS] stands for is learnt from targets (a teacher's view of
the text, its shape) and from the labels of those texts that have one. The output embedding is the
word embedding, and so has no name of its own.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from skbert_filter.bert.architecture import INITIALIZER_RANGE, Architecture, Weights
from skbert_filter.bert.initialization import start_at_random
from skbert_filter.bert.masking import Masking
from skbert_filter.bert.pretrained import PretrainedEncoder
from skbert_filter.bert.sampled_softmax import Candidates
from skbert_filter.bert.tokenizer import TokenIds, encode
from skbert_filter.bert.word_vectors import word_vectors

WORDS = "bert.embeddings.word_embeddings.weight"
TRANSFORM = "cls.predictions.transform"
OUTPUT_BIAS = "cls.predictions.bias"
POOLER, TARGETS, CLASSIFIER = "bert.pooler.dense", "targets", "classifier"
_PARTS = ("weight", "bias")


@dataclass(frozen=True, eq=False)
class PretrainingTask:
    """Tokenized texts that have a word to guess, and the weights of an untrained model.

    A guess is told apart from the ``candidates``; None: from the whole vocabulary. ``targets``
    ``(n_texts, n_targets)`` is what a linear map of the pooled [CLS] has to give; ``shares``
    ``(n_texts, n_classes)`` how much of a text each label has, all 0 for a text without one.
    Both may have no columns.
    """

    tokenizer: Tokenizer
    architecture: Architecture
    tokens: TokenIds
    masking: Masking
    candidates: Candidates | None
    targets: np.ndarray
    shares: np.ndarray
    weights: Weights

    @classmethod
    def of(
        cls,
        texts: Sequence[str],
        *,
        targets: np.ndarray,
        shares: np.ndarray,
        tokenizer: Any,
        vocab_size: int,
        lowercase: bool,
        sizes: Mapping[str, Any],
        probability: float,
        rng: np.random.RandomState,
    ) -> "PretrainingTask":
        """Learn or load the tokenizer, encode the texts, and draw the weights."""
        start = start_at_random(
            texts,
            tokenizer=tokenizer,
            vocab_size=vocab_size,
            lowercase=lowercase,
            sizes=sizes,
            rng=rng,
        )
        masking = Masking.of(start.tokenizer, probability)
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
        weights = _with_heads(
            {**start.weights, **vectors}, counts, targets.shape[1], shares.shape[1], rng
        )

        return cls(
            start.tokenizer,
            start.architecture,
            TokenIds(tokens.flat, tokens.starts[rows], tokens.lengths[rows]),
            masking,
            Candidates.of(counts, masking.is_ordinary),
            targets[rows].astype(np.float32),
            shares[rows].astype(np.float32),
            weights,
        )

    def encoder(self, weights: Weights) -> PretrainedEncoder:
        """Return the encoder among the weights of a trained model, with the head of two labels."""
        own = {name: weight for name, weight in weights.items() if name.startswith("bert.")}
        return PretrainedEncoder(
            self.architecture,
            own,
            self.tokenizer.to_str(),
            "SmallBertPretrainer",
            self.classifier(weights) if self.shares.shape[1] == 2 else {},
        )

    def classifier(self, weights: Weights) -> dict[str, np.ndarray]:
        """Return the head of the labels, of two labels with one logit; empty without labels."""
        if not self.shares.shape[1]:
            return {}
        head = {f"{CLASSIFIER}.{part}": weights[f"{CLASSIFIER}.{part}"] for part in _PARTS}
        if self.shares.shape[1] > 2:
            return head
        return {name: rows[1:] - rows[:1] for name, rows in head.items()}


def cls_heads(
    architecture: Architecture, n_targets: int, n_classes: int
) -> dict[str, tuple[int, ...]]:
    """Shapes of the weights that read [CLS]: the pooler, and what reads that."""
    width = architecture.hidden_size
    sizes = {POOLER: width, TARGETS: n_targets, CLASSIFIER: n_classes}
    if not n_targets and not n_classes:
        return {}
    shapes: dict[str, tuple[int, ...]] = {}
    for name, size in sizes.items():
        if size:
            shapes |= {f"{name}.weight": (size, width), f"{name}.bias": (size,)}
    return shapes


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


def _with_heads(
    weights: Weights,
    counts: np.ndarray,
    n_targets: int,
    n_classes: int,
    rng: np.random.RandomState,
) -> dict[str, np.ndarray]:
    """Give an untrained encoder its heads; that of the words knows how frequent each token is.

    An optimizer, whose steps are of a size, would take thousands of them to get the bias there.
    """
    pooler = {name: weight for name, weight in weights.items() if name.startswith(POOLER)}
    width = len(pooler[f"{POOLER}.bias"])
    encoder = {name: weight for name, weight in weights.items() if name not in pooler}
    of_words = {
        # as large as the pooler, and drawn alike
        f"{TRANSFORM}.dense.weight": pooler[f"{POOLER}.weight"],
        f"{TRANSFORM}.dense.bias": np.zeros(width, np.float32),
        f"{TRANSFORM}.LayerNorm.weight": np.ones(width, np.float32),
        f"{TRANSFORM}.LayerNorm.bias": np.zeros(width, np.float32),
        OUTPUT_BIAS: np.log((counts + 1) / (counts + 1).sum()).astype(np.float32),
    }
    if not n_targets and not n_classes:
        return {**encoder, **of_words}

    # an orthogonal pooler keeps all that [CLS] holds; linear maps start at nothing
    orthogonal = np.linalg.qr(rng.standard_normal((width, width)))[0] / 2
    of_cls = {
        f"{POOLER}.weight": orthogonal.astype(np.float32),
        f"{POOLER}.bias": np.zeros(width, np.float32),
    }
    for name, size in ((TARGETS, n_targets), (CLASSIFIER, n_classes)):
        if size:
            of_cls[f"{name}.weight"] = np.zeros((size, width), np.float32)
            of_cls[f"{name}.bias"] = np.zeros(size, np.float32)
    return {**encoder, **of_words, **of_cls}
