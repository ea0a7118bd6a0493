"""An encoder to start training from, as plain data: a tokenizer, a size and weights."""

import hashlib
import json
from dataclasses import asdict, dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np

from skbert_filter.bert.architecture import Architecture, Weights


@dataclass(frozen=True, eq=False, repr=False)
class PretrainedEncoder:
    """The weights, size and tokenizer that `SmallBertTextFilter` starts from as ``checkpoint``.

    It is immutable, so that scikit-learn's ``clone``, which copies parameters, gives the same
    encoder again; two are equal if all that training reads of them is.

    Attributes
    ----------
    architecture : Architecture
        Its size; ``n_logits`` is 0.
    weights : mapping of str to ndarray
        In Hugging Face's names, all of them beginning with ``bert.``. They cannot be written to.
    tokenizer_json : str
        The content of a tokenizer.json, without truncation and padding.
    source : str
        Where it comes from, for messages: a folder, a hub name, or what trained it.
    fingerprint : str
        A hash of the architecture, weights and tokenizer.
    """

    architecture: Architecture
    weights: Weights
    tokenizer_json: str
    source: str
    fingerprint: str = field(init=False)

    def __post_init__(self) -> None:
        plain = [asdict(self.architecture), self.tokenizer_json]
        digest = hashlib.sha256(json.dumps(plain, sort_keys=True).encode())
        weights = {}
        for name in sorted(self.weights):
            weight = np.array(self.weights[name], np.float32, order="C")
            weight.setflags(write=False)
            digest.update(name.encode())
            digest.update(weight.data)
            weights[name] = weight
        object.__setattr__(self, "weights", MappingProxyType(weights))
        object.__setattr__(self, "fingerprint", digest.hexdigest())

    def __reduce__(self) -> tuple[Any, ...]:
        # By the constructor, since arrays come out of a pickle writable.
        parts = (self.architecture, dict(self.weights), self.tokenizer_json, self.source)
        return type(self), parts

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
