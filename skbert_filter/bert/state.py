"""A trained BERT classifier as plain data: arrays, text and numbers."""

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np

from skbert_filter.bert.architecture import Architecture, Precision, Weights

if TYPE_CHECKING:
    from tokenizers import Tokenizer


@dataclass(frozen=True, eq=False)
class BertState:
    """All that a prediction needs; ``digest`` is a hash of the other fields."""

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
        gamma: float = 0.0,
        label_smoothing: float = 0.0,
        precision: Precision = "float32",
    ) -> "BertState":
        """Create a state and compute its digest; the defaults are those of the cross-entropy."""
        tokenizer_json = tokenizer.to_str()
        settings = (max_length, gamma, label_smoothing, precision)

        hashed = [asdict(architecture), tokenizer_json, *settings]
        digest = hashlib.sha256(json.dumps(hashed, sort_keys=True).encode())
        for name in sorted(weights):
            digest.update(name.encode())
            digest.update(np.ascontiguousarray(weights[name]).tobytes())
        return cls(architecture, weights, tokenizer_json, *settings, digest.hexdigest())
