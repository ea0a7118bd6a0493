"""A pretrained encoder as plain data: tokenizer, architecture and weights."""

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np

from skbert_filter.bert.architecture import Architecture, Weights, hash_model


@dataclass(frozen=True, eq=False, repr=False)
class PretrainedEncoder:
    """The weights, size and tokenizer that `SmallBertTextFilter` starts from as ``checkpoint``.

    It is immutable, so a scikit-learn ``clone`` shares it. Two are equal if training reads the same
    from both, whatever their ``source``, which is only for messages. ``head`` is that of a filter
    with two classes, from whose score a fit of two classes can start, or empty.
    """

    architecture: Architecture
    weights: Weights
    tokenizer_json: str
    source: str
    head: Weights = field(default_factory=dict)
    fingerprint: str = field(init=False)

    def __post_init__(self) -> None:
        for part in ("weights", "head"):
            frozen = {}
            for name, array in sorted(getattr(self, part).items()):
                frozen[name] = np.array(array, np.float32, order="C")
                frozen[name].setflags(write=False)
            object.__setattr__(self, part, MappingProxyType(frozen))

        # The names of the head sort after those of the encoder, which begin with "bert.".
        weights = {**self.weights, **self.head}
        fingerprint = hash_model(self.architecture, weights, self.tokenizer_json)
        object.__setattr__(self, "fingerprint", fingerprint)

    def __reduce__(self) -> tuple[Any, ...]:
        # Through the constructor, since unpickled arrays are writable.
        weights, head = dict(self.weights), dict(self.head)
        return type(self), (self.architecture, weights, self.tokenizer_json, self.source, head)

    def __copy__(self) -> "PretrainedEncoder":
        return self

    def __deepcopy__(self, memo: Any) -> "PretrainedEncoder":
        return self

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, PretrainedEncoder):
            return NotImplemented
        return self.fingerprint == other.fingerprint

    def __hash__(self) -> int:
        return hash(self.fingerprint)

    def __repr__(self) -> str:
        a = self.architecture
        return (
            f"<PretrainedEncoder {self.fingerprint[:8]}: {a.num_hidden_layers} layers, "
            f"{a.hidden_size} wide, {a.vocab_size:,} words>"
        )
