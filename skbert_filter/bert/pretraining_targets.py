"""What the [CLS] of a pretrained encoder learns to give: a teacher's view of a text, and its shape.

Imports no engine; the teacher's pass does.
"""

import hashlib
import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from skbert_filter.bert.pretrained import PretrainedEncoder
from skbert_filter.io.atomic import written_aside
from skbert_filter.shape import shape_features, word_count_bins

# Of a prototype, measured on web snippets by page: the columns of a teacher's states that are kept,
# and how much the shape weighs next to them.
_N_COMPONENTS = 128
_SHAPE, _BINS = 0.5, 1.0

# Texts of which the components are found, and those that a teacher reads between two reports.
_SAMPLE, _CHUNK = 16_384, 4_096


def shape_targets(texts: Sequence[str]) -> np.ndarray:
    """Return standardized shape numbers and the bin of the number of words, weighted."""
    numbers = StandardScaler().fit_transform(shape_features(texts))
    return np.hstack([_SHAPE * numbers, _BINS * word_count_bins(texts)]).astype(np.float32)


def teacher_targets(
    texts: Sequence[str],
    encoder: PretrainedEncoder,
    layer: int,
    max_length: int,
    *,
    folder: str | os.PathLike | None = None,
    progress: Callable[[int], None] = lambda n_chunks: None,
) -> np.ndarray:
    """Return the principal components of what a layer of a teacher makes of texts.

    Parameters
    ----------
    texts : sequence of str
        Distinct texts.
    encoder : PretrainedEncoder
        The teacher.
    layer : int
        The layer whose states are taken, counted from 1.
    max_length : int
        Tokens of a text that are read.
    folder : str or path-like, default=None
        Keeps each part that is done, so that an interrupted pass resumes.
    progress : callable, default=nothing
        Called with the number of parts before the first one, and with 0 after each.

    Returns
    -------
    targets : ndarray of float32 of shape (n_texts, n_components)
        At most 128 columns, divided by the standard deviation of all of them together.
    """
    from skbert_filter.bert.teacher import Teacher

    teacher = Teacher(encoder, layer, max_length)
    digest = hashlib.sha256(f"{encoder.fingerprint} {layer} {max_length}".encode())
    for text in texts:
        digest.update(text.encode("utf-8", "surrogatepass") + b"\0")
    name = f"teacher-{digest.hexdigest()[:16]}"

    starts = range(0, len(texts), _CHUNK)
    progress(len(starts))
    sample = np.random.RandomState(0).permutation(len(texts))[:_SAMPLE]
    n_components = min(_N_COMPONENTS, len(sample), teacher.width)
    pca = PCA(n_components, svd_solver="covariance_eigh")
    pca.fit(_kept(folder, f"{name}-sample", lambda: teacher.states([texts[i] for i in sample])))

    def components(start: int) -> np.ndarray:
        return pca.transform(teacher.states(texts[start : start + _CHUNK]))

    parts = []
    for start in starts:
        parts.append(_kept(folder, f"{name}-{start}", partial(components, start)))
        progress(0)
    targets = np.concatenate(parts)
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
    with written_aside(file, overwrite=True) as made:
        np.save(made, array, allow_pickle=False)
    return array
