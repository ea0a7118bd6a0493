"""Plots of labels, texts and fitted classifiers, in the form of scikit-learn's displays.

matplotlib (the extra `plots`) is imported by the first of them.
"""

from skbert_filter.inspection.displays.duplicates import DuplicateFrequencyDisplay
from skbert_filter.inspection.displays.learning import (
    DedupLearningCurveDisplay,
    TrainingHistoryDisplay,
)
from skbert_filter.inspection.displays.probabilities import (
    ReliabilityDisplay,
    ScoreDistributionDisplay,
)
from skbert_filter.inspection.displays.texts import (
    DistinctiveTermsDisplay,
    TextLengthDisplay,
    distinctive_terms,
)

__all__ = [
    "DedupLearningCurveDisplay",
    "DistinctiveTermsDisplay",
    "DuplicateFrequencyDisplay",
    "ReliabilityDisplay",
    "ScoreDistributionDisplay",
    "TextLengthDisplay",
    "TrainingHistoryDisplay",
    "distinctive_terms",
]
