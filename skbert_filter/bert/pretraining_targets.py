"""The regression targets of pretraining: a teacher's hidden states, and the shape of a text.

Importing this module imports no engine; creating a `Teacher` does.
"""

import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler
from tokenizers import Tokenizer

from skbert_filter.bert.batching import prediction_batches, width_for
from skbert_filter.bert.engine import computing
from skbert_filter.bert.pretrained import PretrainedEncoder
from skbert_filter.bert.tokenizer import encode
from skbert_filter.io.atomic import atomic_write
from skbert_filter.shape import shape_features, word_count_bins

# Found with a prototype on web snippets, split by page: the number of principal components of a
# teacher's states, and the weights of the shape next to them.
_N_COMPONENTS = 128
_SHAPE_WEIGHT, _BIN_WEIGHT = 0.5, 1.0

# How many texts the components are fitted on, and how many a teacher encodes at a time.
_SAMPLE_SIZE, _CHUNK = 16_384, 4_096

# Activations of a teacher 384 wide fit in a core's cache.
_TOKENS_PER_BATCH = 8_192


def shape_targets(texts: Sequence[str]) -> np.ndarray:
    """Return the standardized shape features and the one-hot word count bins, weighted."""
    features = StandardScaler().fit_transform(shape_features(texts))
    bins = word_count_bins(texts)
    return np.hstack([_SHAPE_WEIGHT * features, _BIN_WEIGHT * bins]).astype(np.float32)


class Teacher:
    """The first layers of an encoder, and its tokenizer."""

    @computing()
    def __init__(self, encoder: PretrainedEncoder, layer: int, max_length: int):
        from skbert_filter.bert.encoder import MeanState, compiled_forward

        self._max_length = min(max_length, encoder.architecture.max_position_embeddings)
        self._tokenizer = Tokenizer.from_str(encoder.tokenizer_json)
        model = MeanState(replace(encoder.architecture, num_hidden_layers=layer))
        model.load(encoder.weights)
        self._forward = compiled_forward(model)
        self.width = encoder.architecture.hidden_size

    @computing()
    def states(self, texts: Sequence[str]) -> np.ndarray:
        """Return the mean hidden state of each text, ``(n_texts, width)``, float32."""
        tokens = encode(self._tokenizer, texts, self._max_length)
        states = np.empty((len(texts), self.width), np.float32)
        for rows, inputs in prediction_batches(
            tokens, _TOKENS_PER_BATCH, lambda length: width_for(length, self._max_length)
        ):
            states[rows] = self._forward(inputs)
        return states


def texts_sha256(texts: Sequence[str]) -> str:
    """Return a hash of texts in this order."""
    digest = hashlib.sha256()
    for text in texts:
        digest.update(text.encode("utf-8", "surrogatepass") + b"\0")
    return digest.hexdigest()


def text_parts(texts: Sequence[str]) -> list[Sequence[str]]:
    """Split texts into the parts that a teacher encodes at a time."""
    return [texts[start : start + _CHUNK] for start in range(0, len(texts), _CHUNK)]


def teacher_targets(
    parts: Sequence[Sequence[str]],
    encoder: PretrainedEncoder,
    layer: int,
    max_length: int,
    *,
    folder: str | os.PathLike | None = None,
    on_part: Callable[[], None] = lambda: None,
) -> np.ndarray:
    """Return principal components of a layer's mean states, scaled to a standard deviation of 1.

    Layers are counted from 1, and texts are distinct. If a ``folder`` is passed, finished parts are
    saved there, and an interrupted pass resumes. ``on_part`` is called after each part.
    """
    teacher = Teacher(encoder, layer, max_length)
    texts = [text for part in parts for text in part]
    digest = texts_sha256([f"{encoder.fingerprint} {layer} {max_length}", *texts])
    name = f"teacher-{digest[:16]}"

    sample = np.random.RandomState(0).permutation(len(texts))[:_SAMPLE_SIZE]
    n_components = min(_N_COMPONENTS, len(sample), teacher.width)
    pca = PCA(n_components, svd_solver="covariance_eigh")
    pca.fit(_cached(folder, f"{name}-sample", teacher.states, [texts[i] for i in sample]))

    def project(part: Sequence[str]) -> np.ndarray:
        return pca.transform(teacher.states(part))

    components = []
    for number, part in enumerate(parts):
        components.append(_cached(folder, f"{name}-{number}", project, part))
        on_part()
    targets = np.concatenate(components)
    return targets / max(float(targets.std()), np.finfo(np.float32).tiny)


def _cached(
    folder: str | os.PathLike | None,
    name: str,
    compute: Callable[[Sequence[str]], np.ndarray],
    texts: Sequence[str],
) -> np.ndarray:
    """Load an array from the folder, or compute it from texts and save it there."""
    if folder is None:
        return compute(texts)
    file = Path(folder, f"{name}.npy")
    if file.exists():
        return np.load(file, allow_pickle=False)

    array = compute(texts)
    file.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(file, overwrite=True) as made:
        np.save(made, array, allow_pickle=False)
    return array
