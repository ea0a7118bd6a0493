"""From labelled texts to a trained state: the one entrance to training."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from skbert_filter.bert.architecture import Precision, Weights
from skbert_filter.bert.engine import import_keras
from skbert_filter.bert.initialization import Start
from skbert_filter.bert.model_pool import LiveKey, borrowed
from skbert_filter.bert.state import BertState
from skbert_filter.bert.tokenizer import encode
from skbert_filter.bert.training_config import EpochHooks, LabelledTexts, TrainingPlan


@dataclass(frozen=True)
class Fitted:
    """A trained state and how it came about; ``best_epoch`` counts from 0."""

    state: BertState
    history: dict[str, list[float]]
    best_epoch: int


def fit_bert(
    start: Start,
    training: LabelledTexts,
    validation: LabelledTexts | None,
    plan: TrainingPlan,
    *,
    gamma: float,
    label_smoothing: float,
    precision: Precision,
    embedding_rate: float,
    begin_epoch: Callable[[], None],
    end_epoch: Callable[[Callable[[], BertState]], bool],
    callbacks: Sequence[Any],
) -> Fitted:
    """Train; ``end_epoch`` is given a maker of the state as it is then, and may stop the fit.

    ``embedding_rate`` is the learning rate of the embeddings as a share of that of the others.
    """
    import_keras()
    from skbert_filter.bert.training import Examples, train

    def examples(part: LabelledTexts) -> Examples:
        tokens = encode(start.tokenizer, part.texts, plan.max_length)
        return Examples(tokens, part.shares, part.weights.astype(np.float32))

    def state_of(weights: Weights) -> BertState:
        return BertState.of(
            start.architecture,
            _with_embeddings(weights, embedding_rate),
            start.tokenizer,
            max_length=plan.max_length,
            gamma=gamma,
            label_smoothing=label_smoothing,
            precision=precision,
        )

    hooks = EpochHooks(begin_epoch, lambda read: end_epoch(lambda: state_of(read())))
    with borrowed(LiveKey(start.architecture, gamma, label_smoothing, precision)) as live:
        result = train(
            live,
            _with_embeddings(start.weights, 1 / embedding_rate),
            examples(training),
            None if validation is None else examples(validation),
            plan,
            hooks,
            callbacks,
        )
        state = state_of(result.weights)
        if embedding_rate == 1:
            live.loaded = state.digest
    return Fitted(state, result.history, result.best_epoch)


def _with_embeddings(weights: Weights, factor: float) -> Weights:
    """Multiply the embeddings, which the normalization of their sum takes away again.

    The steps of Adam have the size of the learning rate, so that they change larger embeddings by
    less, as a lower rate would.
    """
    if factor == 1:
        return weights
    return {
        name: np.float32(factor) * weight
        if name.startswith("bert.embeddings.") and "LayerNorm" not in name
        else weight
        for name, weight in weights.items()
    }
