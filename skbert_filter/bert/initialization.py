"""The model that training starts from: a tokenizer, an architecture and initial weights."""

import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from scipy.special import logit
from sklearn.linear_model import LogisticRegression
from tokenizers import Tokenizer

from skbert_filter.bert import auto_settings
from skbert_filter.bert.architecture import Architecture, Weights, random_weights
from skbert_filter.bert.checkpoint import bundled_checkpoint, load_checkpoint
from skbert_filter.bert.losses import posterior_probabilities
from skbert_filter.bert.pretrained import PretrainedEncoder
from skbert_filter.bert.state import BertState
from skbert_filter.bert.tokenizer import (
    VocabularyCoverage,
    cut,
    ignores_case,
    learn_wordpiece,
    load_tokenizer,
)
from skbert_filter.labelled_texts import LabelledTexts

# Parameters that a checkpoint determines, with the defaults for a fit without one: the published
# filter's.
_PUBLISHED = {
    "hidden_size": 32,
    "intermediate_size": None,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "tokenizer": "corpus",
    "vocab_size": 8000,
    "lowercase": False,
}

# The learning rate of a checkpoint's embeddings relative to that of the other weights: words that
# are missing in the training texts keep what the checkpoint knows of them.
_EMBEDDING_RATE = 0.1

# A fit that starts from a score memorizes its texts, and is overconfident on new ones. On folds of
# web snippets, temperatures of 1.1 to 1.4 lower calibration error, Brier score and log loss, with
# 300 labels and with 7,600, on new pages and on known ones.
_TEMPERATURE = 1.2


@dataclass(frozen=True)
class InitialModel:
    """A model before training; afterwards, its logits are divided by the temperature."""

    tokenizer: Tokenizer
    architecture: Architecture
    weights: Weights
    embedding_rate: float = 1.0
    temperature: float = 1.0


def find_encoder(
    parameters: Mapping[str, Any], texts: Sequence[str]
) -> tuple[PretrainedEncoder | None, VocabularyCoverage | None]:
    """Return the checkpoint to start from, and how well the bundled one covers the texts."""
    checkpoint = parameters["checkpoint"]
    if checkpoint is None:
        return None, None
    if checkpoint != "auto":
        return load_checkpoint(checkpoint), None
    if _requested(parameters):
        return None, None
    encoder = bundled_checkpoint("web")
    if parameters["max_length"] > encoder.architecture.max_position_embeddings:
        return None, None

    coverage = VocabularyCoverage.of(encoder.tokenizer_json, texts)
    if coverage.is_sufficient:
        return encoder, coverage
    warnings.warn(
        f"The bundled encoder cannot read these texts: {coverage}. The filter learns them from "
        "random weights. Pass checkpoint=None to do so without this warning, or "
        "checkpoint='web' to start from the bundled encoder all the same "
        '(docs: model, "Which texts can the bundled encoder read?").',
        stacklevel=2,
    )
    return None, coverage


def initialize_filter(
    encoder: PretrainedEncoder | None,
    rows: LabelledTexts,
    parameters: Mapping[str, Any],
    rng: np.random.RandomState,
) -> InitialModel:
    """Initialize from an encoder, with its score if it has one, or from random weights."""
    n_classes = rows.shares.shape[1]
    head: dict[str, Any] = {"n_logits": 1 if n_classes == 2 else n_classes}
    for name in ("hidden_dropout_prob", "attention_probs_dropout_prob"):
        head[name] = auto_settings.dropout(
            parameters[name], n_classes=n_classes, from_checkpoint=encoder is not None
        )

    if encoder is None:
        parameters = {**parameters, **_PUBLISHED, **_requested(parameters)}
        return initialize_randomly(rows.texts, parameters, head, rng)
    initial = _initialize_from_checkpoint(encoder, parameters, head, rng)
    if auto_settings.origin_of(encoder, n_classes=n_classes) == "score":
        return _initialize_from_score(initial, encoder, rows, parameters)
    return initial


def _requested(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters of the architecture and tokenizer that the user has set."""
    return {name: parameters[name] for name in _PUBLISHED if parameters[name] is not None}


def initialize_randomly(
    texts: Sequence[str],
    parameters: Mapping[str, Any],
    head: Mapping[str, Any],
    rng: np.random.RandomState,
) -> InitialModel:
    """Initialize from random weights, and a tokenizer that is learnt from the texts or loaded.

    ``parameters`` are those of an estimator, and ``head`` the remaining fields of the architecture.
    """
    width, n_heads = parameters["hidden_size"], parameters["num_attention_heads"]
    if width % n_heads:
        raise ValueError(
            f"hidden_size={width} is not a multiple of num_attention_heads={n_heads}. Change one "
            "of them."
        )

    max_length = parameters["max_length"]
    if isinstance(parameters["tokenizer"], str) and parameters["tokenizer"] == "corpus":
        tokenizer = learn_wordpiece(
            [cut(text, max_length) for text in texts],
            vocab_size=parameters["vocab_size"],
            lowercase=parameters["lowercase"],
        )
    else:
        tokenizer = load_tokenizer(parameters["tokenizer"])

    architecture = Architecture(
        vocab_size=max(tokenizer.get_vocab().values()) + 1,
        hidden_size=width,
        intermediate_size=parameters["intermediate_size"] or 4 * width,
        num_hidden_layers=parameters["num_hidden_layers"],
        num_attention_heads=n_heads,
        max_position_embeddings=max_length,
        **head,
    )
    return InitialModel(tokenizer, architecture, random_weights(architecture, rng))


def _initialize_from_checkpoint(
    encoder: PretrainedEncoder,
    parameters: Mapping[str, Any],
    head: Mapping[str, Any],
    rng: np.random.RandomState,
) -> InitialModel:
    """Add a new head to an encoder, and a new pooler if it has none."""
    checkpoint, max_length = parameters["checkpoint"], parameters["max_length"]
    name = repr(checkpoint if isinstance(checkpoint, PretrainedEncoder) else os.fspath(checkpoint))
    tokenizer = Tokenizer.from_str(encoder.tokenizer_json)
    fixed = {**asdict(encoder.architecture), "lowercase": ignores_case(tokenizer)}
    for parameter, value in _requested(parameters).items():
        own = fixed.get(parameter)
        # vocab_size is a maximum
        if value < own if parameter == "vocab_size" else value != own:
            raise ValueError(
                f"{parameter}={value!r} contradicts checkpoint={name}, which has "
                f"{'its own' if own is None else repr(own)}. Set only one of the two."
            )
    positions = encoder.architecture.max_position_embeddings
    if max_length > positions:
        raise ValueError(
            f"max_length={max_length} contradicts checkpoint={name}, which has {positions} "
            f"positions. Use a max_length of at most {positions}."
        )

    architecture = replace(encoder.architecture, **head)
    # Only the weights that may be new are drawn, not the millions of others.
    small = replace(
        architecture,
        vocab_size=1,
        intermediate_size=1,
        num_hidden_layers=0,
        max_position_embeddings=1,
    )
    new = {
        name: weight
        for name, weight in random_weights(small, rng).items()
        if name.startswith(("bert.pooler.", "classifier."))
    }
    return InitialModel(tokenizer, architecture, {**new, **encoder.weights}, _EMBEDDING_RATE)


def _initialize_from_score(
    initial: InitialModel,
    encoder: PretrainedEncoder,
    rows: LabelledTexts,
    parameters: Mapping[str, Any],
) -> InitialModel:
    """Scale the classification head of a checkpoint to the labels of this fit.

    A random head trained on few labels would start far from what the encoder knows. This one starts
    as a logistic regression of the labels on the score of the checkpoint (Platt, "Probabilistic
    outputs for support vector machines", 1999), which also finds which of the two classes a high
    score stands for.
    """
    from skbert_filter.bert.inference import predict_logits

    weights = {**encoder.weights, **encoder.head}
    scorer = BertState(
        initial.architecture, weights, encoder.tokenizer_json, parameters["max_length"]
    )
    scores = predict_logits(scorer, rows.texts, parameters["n_jobs"])
    regression = LogisticRegression().fit(
        np.tile(scores, (2, 1)),
        np.repeat([0, 1], len(scores)),
        sample_weight=(rows.shares * rows.weights[:, None]).T.ravel(),
    )

    # The logit that minimises the focal loss is smaller than that of the probability itself.
    [[_, posterior]] = posterior_probabilities(
        np.ones((1, 1)),
        gamma=parameters["focal_gamma"],
        label_smoothing=parameters["label_smoothing"],
    )
    shrinkage = 1 / logit(posterior)
    slope, intercept = shrinkage * regression.coef_[0, 0], shrinkage * regression.intercept_[0]
    head = {name: slope * weight for name, weight in encoder.head.items()}
    head["classifier.bias"] = head["classifier.bias"] + intercept
    head = {name: weight.astype(np.float32) for name, weight in head.items()}
    return replace(initial, weights={**initial.weights, **head}, temperature=_TEMPERATURE)
