"""Equal texts: keys, and splits that keep them together. Knows nothing of BERT."""

from skbert_filter.duplicates.splits import (
    DedupStratifiedKFold,
    DedupStratifiedShuffleSplit,
    dedup_train_test_split,
)

__all__ = ["DedupStratifiedKFold", "DedupStratifiedShuffleSplit", "dedup_train_test_split"]
