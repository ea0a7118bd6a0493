"""What a larger encoder makes of texts: the mean over the tokens of one of its layers.

The middle layers of an encoder know the form of a text, which the last one has forgotten.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from tokenizers import Tokenizer

from skbert_filter.bert.batching import prediction_batches, width_for
from skbert_filter.bert.engine import computing
from skbert_filter.bert.pretrained import PretrainedEncoder
from skbert_filter.bert.tokenizer import encode

# Activations of a batch, 384 wide, stay in a cache.
_TOKENS_PER_BATCH = 8_192


class Teacher:
    """An encoder cut after one of its layers, and its tokenizer."""

    @computing()
    def __init__(self, encoder: PretrainedEncoder, layer: int, max_length: int):
        from skbert_filter.bert.encoder import MeanState, compiled_forward

        positions = encoder.architecture.max_position_embeddings
        self._max_length = min(max_length, positions)
        self._tokenizer = Tokenizer.from_str(encoder.tokenizer_json)
        model = MeanState(replace(encoder.architecture, num_hidden_layers=layer))
        model.load(encoder.weights)
        self._forward = compiled_forward(model)
        self.width = encoder.architecture.hidden_size

    @computing()
    def states(self, texts: Sequence[str]) -> np.ndarray:
        """Return the mean states of texts, ``(n_texts, width)``, float32."""
        tokens = encode(self._tokenizer, texts, self._max_length)
        states = np.empty((len(texts), self.width), np.float32)
        for batch in prediction_batches(
            tokens, _TOKENS_PER_BATCH, lambda length: width_for(length, self._max_length)
        ):
            states[batch.rows] = self._forward(batch.inputs)
        return states
