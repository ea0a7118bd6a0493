"""A trained BERT classifier as plain data: arrays, text and numbers, nothing live."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np

from skbert_filter.bert.architecture import Architecture, Precision, Weights

if TYPE_CHECKING:
    from tokenizers import Tokenizer


@dataclass(frozen=True, eq=False)
class BertState:
    """All that a prediction needs; ``digest`` is a hash of the rest."""

    architecture: Architecture
    weights: Weights
    tokenizer_json: str
    max_length: int
    gamma: float
    label_smoothing: float
    precision: Precision
    digest: str

    @classmethod
    def of(
        cls,
        architecture: Architecture,
        weights: Weights,
        tokenizer: "Tokenizer",
        *,
        max_length: int,
        gamma: float,
        label_smoothing: float,
        precision: Precision,
    ) -> "BertState":
        """Make a state, its digest computed."""
        tokenizer_json = tokenizer.to_str()
        plain = [asdict(architecture), tokenizer_json, max_length, gamma, label_smoothing]
        digest = hashlib.sha256(json.dumps([*plain, precision], sort_keys=True).encode())
        for name in sorted(weights):
            digest.update(name.encode())
            digest.update(np.ascontiguousarray(weights[name]).tobytes())
        return cls(
            architecture=architecture,
            weights=weights,
            tokenizer_json=tokenizer_json,
            max_length=max_length,
            gamma=gamma,
            label_smoothing=label_smoothing,
            precision=precision,
            digest=digest.hexdigest(),
        )

    def logits(self, texts: Sequence[str], *, longest: bool, n_jobs: int | None) -> np.ndarray:
        """Logits ``(n_texts, n_logits)``, float32; imports an engine unless there are no texts."""
        if not texts:
            return np.empty((0, self.architecture.n_logits), np.float32)
        from skbert_filter.bert.inference import predict_logits

        return predict_logits(self, texts, longest=longest, n_jobs=n_jobs)
