"""Which tokens a guess is told apart from in training: a sample of a large vocabulary.

Scores of a whole vocabulary at each hidden place take half of the time of a very small BERT. So the
most frequent tokens are always scored, and of the others as many as are drawn for a step, each
standing for as many as it was drawn from: the importance sampling of Jean et al., "On using very
large target vocabulary for neural machine translation", ACL 2015. Knows nothing of an engine.
"""

from dataclasses import dataclass

import numpy as np

N_FREQUENT = 1000
N_DRAWN = 500


@dataclass(frozen=True, eq=False)
class Candidates:
    """Ids of the tokens that are always scored, and of those that are drawn from."""

    frequent: np.ndarray
    others: np.ndarray

    @classmethod
    def of(cls, frequency: np.ndarray, is_ordinary: np.ndarray) -> "Candidates | None":
        """Part a vocabulary by frequency; None where it is so small that nothing is saved."""
        ordinary = np.flatnonzero(is_ordinary)
        if len(ordinary) <= N_FREQUENT + N_DRAWN:
            return None
        falling = ordinary[np.argsort(-frequency[ordinary], kind="stable")]
        return cls(falling[:N_FREQUENT], falling[N_FREQUENT:])

    def draw(self, rng: np.random.RandomState) -> tuple[np.ndarray, np.ndarray]:
        """Return the candidates of a step, and the logarithm of how many tokens each stands for."""
        drawn = rng.choice(self.others, N_DRAWN, replace=False)
        stands_for = np.ones(N_FREQUENT + N_DRAWN, np.float32)
        stands_for[N_FREQUENT:] = len(self.others) / N_DRAWN
        return np.concatenate([self.frequent, drawn]).astype(np.int32), np.log(stands_for)
