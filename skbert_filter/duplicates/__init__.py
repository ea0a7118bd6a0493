"""Equal texts: keys, reports, splits that keep them together, and stores. Knows nothing of BERT."""

from skbert_filter.duplicates.leakage import LeakageReport, leakage_report
from skbert_filter.duplicates.reports import DuplicateReport, duplicate_report
from skbert_filter.duplicates.splits import (
    DedupStratifiedKFold,
    DedupStratifiedShuffleSplit,
    dedup_train_test_split,
)
from skbert_filter.duplicates.stores import CacheInfo
from skbert_filter.duplicates.training_rows import resolve_conflicts

__all__ = [
    "CacheInfo",
    "DedupStratifiedKFold",
    "DedupStratifiedShuffleSplit",
    "DuplicateReport",
    "LeakageReport",
    "dedup_train_test_split",
    "duplicate_report",
    "leakage_report",
    "resolve_conflicts",
]
