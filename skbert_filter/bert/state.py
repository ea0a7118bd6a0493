"""A trained BERT classifier as plain data: arrays, text and numbers."""

from dataclasses import dataclass, field

from skbert_filter.bert.architecture import Architecture, Precision, Weights, hash_model


@dataclass(frozen=True, eq=False)
class BertState:
    """All that a prediction needs; ``digest`` is a hash of the other fields.

    The defaults are those of the cross-entropy.
    """

    architecture: Architecture
    weights: Weights
    tokenizer_json: str
    max_length: int
    gamma: float = 0.0
    label_smoothing: float = 0.0
    precision: Precision = "float32"
    digest: str = field(init=False)

    def __post_init__(self) -> None:
        settings = (self.max_length, self.gamma, self.label_smoothing, self.precision)
        digest = hash_model(self.architecture, self.weights, self.tokenizer_json, *settings)
        object.__setattr__(self, "digest", digest)
