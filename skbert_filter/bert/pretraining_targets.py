"""What the [CLS] of a pretrained encoder learns to give: a teacher's view of a text, and its shape.

Imports no engine; the teacher's pass does.
"""

import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
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

# Of a prototype, measured on web snippets by page: the columns of a teacher's states that are kept,
# and how much the shape weighs next to them.
_N_COMPONENTS = 128
_SHAPE, _BINS = 0.5, 1.0

# Texts of which the components are found, and those that a teacher reads between two reports.
_SAMPLE, _CHUNK = 16_384, 4_096

# Activations of a teacher's batch, 384 wide, stay in a cache.
_TOKENS_PER_BATCH = 8_192


def shape_targets(texts: Sequence[str]) -> np.ndarray:
    """Return standardized shape numbers and the bin of the number of words, weighted."""
    numbers = StandardScaler().fit_transform(shape_features(texts))
    return np.hstack([_SHAPE * numbers, _BINS * word_count_bins(texts)]).astype(np.float32)


class Teacher:
    """An encoder that is cut after one of its layers, counted from 1, and its tokenizer."""

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
        """Return the mean states of texts, ``(n_texts, width)``, float32."""
        tokens = encode(self._tokenizer, texts, self._max_length)
        states = np.empty((len(texts), self.width), np.float32)
        for batch in prediction_batches(
            tokens, _TOKENS_PER_BATCH, lambda length: width_for(length, self._max_length)
        ):
            states[batch.rows] = self._forward(batch.inputs)
        return states


def texts_sha256(texts: Sequence[str]) -> str:
    """Return the hash of texts in their order."""
    digest = hashlib.sha256()
    for text in texts:
        digest.update(text.encode("utf-8", "surrogatepass") + b"\0")
    return digest.hexdigest()


def text_parts(texts: Sequence[str]) -> list[Sequence[str]]:
    """Split texts into the parts that a teacher reads at a time."""
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
    """Return the principal components of a teacher's states of distinct texts, of unit deviation.

    A ``folder`` keeps each part that is done, so that an interrupted pass resumes; ``on_part`` is
    called after each.
    """
    teacher = Teacher(encoder, layer, max_length)
    texts = [text for part in parts for text in part]
    digest = texts_sha256([f"{encoder.fingerprint} {layer} {max_length}", *texts])
    name = f"teacher-{digest[:16]}"

    sample = np.random.RandomState(0).permutation(len(texts))[:_SAMPLE]
    n_components = min(_N_COMPONENTS, len(sample), teacher.width)
    pca = PCA(n_components, svd_solver="covariance_eigh")
    pca.fit(_kept(folder, f"{name}-sample", lambda: teacher.states([texts[i] for i in sample])))

    components = []
    for number, part in enumerate(parts):
        compute = partial(lambda part: pca.transform(teacher.states(part)), part)
        components.append(_kept(folder, f"{name}-{number}", compute))
        on_part()
    targets = np.concatenate(components)
    return targets / max(float(targets.std()), np.finfo(np.float32).tiny)


def _kept(
    folder: str | os.PathLike | None, name: str, compute: Callable[[], np.ndarray]
) -> np.ndarray:
    """Return an array from its file; compute and keep it if there is none."""
    if folder is None:
        return compute()
    file = Path(folder, f"{name}.npy")
    if file.exists():
        return np.load(file, allow_pickle=False)

    array = compute()
    file.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(file, overwrite=True) as made:
        np.save(made, array, allow_pickle=False)
    return array
