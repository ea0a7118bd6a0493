"""How good a classifier is compared with others, and which labels would improve it."""

from skbert_filter.inspection.baselines import (
    WordCountRule,
    tfidf_baseline,
    tfidf_shape_baseline,
)
from skbert_filter.inspection.comparison import Comparison, compare
from skbert_filter.inspection.displays.duplicates import DuplicateFrequencyDisplay
from skbert_filter.inspection.displays.probabilities import ScoreDistributionDisplay
from skbert_filter.inspection.displays.texts import (
    DistinctiveTermsDisplay,
    TextLengthDisplay,
    distinctive_terms,
)
from skbert_filter.inspection.evaluation import Evaluation, evaluate
from skbert_filter.inspection.labelling import next_to_label
from skbert_filter.inspection.scores import Scores, expected_calibration_error
from skbert_filter.inspection.significance import McNemarTest
from skbert_filter.inspection.suspects import (
    OutOfFold,
    apply_corrections,
    out_of_fold,
    suspect_labels,
)

__all__ = [
    "Comparison",
    "DistinctiveTermsDisplay",
    "DuplicateFrequencyDisplay",
    "Evaluation",
    "McNemarTest",
    "OutOfFold",
    "ScoreDistributionDisplay",
    "Scores",
    "TextLengthDisplay",
    "WordCountRule",
    "apply_corrections",
    "compare",
    "distinctive_terms",
    "evaluate",
    "expected_calibration_error",
    "next_to_label",
    "out_of_fold",
    "suspect_labels",
    "tfidf_baseline",
    "tfidf_shape_baseline",
]
