"""Train a very small BERT to tell useful text snippets from garbage.

Every public name is imported on its first use, so that importing the package
imports neither TensorFlow nor transformers.
"""

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from skbert_filter.corpus import FilterSummary, filter_corpus
    from skbert_filter.dedup_predictor import DedupPredictor
    from skbert_filter.duplicates.leakage import LeakageReport, leakage_report
    from skbert_filter.duplicates.reports import DuplicateReport, duplicate_report
    from skbert_filter.duplicates.splits import (
        DedupStratifiedKFold,
        DedupStratifiedShuffleSplit,
        dedup_train_test_split,
    )
    from skbert_filter.duplicates.stores import CacheInfo
    from skbert_filter.duplicates.training_rows import resolve_conflicts
    from skbert_filter.labelling.pretrain import PretrainingSummary, pretrain_encoder
    from skbert_filter.pretrainer import SmallBertPretrainer
    from skbert_filter.text_filter import SmallBertTextFilter

__version__ = version("skbert_filter")

_MODULE_OF = {
    "CacheInfo": "skbert_filter.duplicates.stores",
    "DedupPredictor": "skbert_filter.dedup_predictor",
    "DedupStratifiedKFold": "skbert_filter.duplicates.splits",
    "DedupStratifiedShuffleSplit": "skbert_filter.duplicates.splits",
    "DuplicateReport": "skbert_filter.duplicates.reports",
    "FilterSummary": "skbert_filter.corpus",
    "LeakageReport": "skbert_filter.duplicates.leakage",
    "PretrainingSummary": "skbert_filter.labelling.pretrain",
    "SmallBertPretrainer": "skbert_filter.pretrainer",
    "SmallBertTextFilter": "skbert_filter.text_filter",
    "dedup_train_test_split": "skbert_filter.duplicates.splits",
    "duplicate_report": "skbert_filter.duplicates.reports",
    "filter_corpus": "skbert_filter.corpus",
    "leakage_report": "skbert_filter.duplicates.leakage",
    "pretrain_encoder": "skbert_filter.labelling.pretrain",
    "resolve_conflicts": "skbert_filter.duplicates.training_rows",
}

__all__ = [
    "CacheInfo",
    "DedupPredictor",
    "DedupStratifiedKFold",
    "DedupStratifiedShuffleSplit",
    "DuplicateReport",
    "FilterSummary",
    "LeakageReport",
    "PretrainingSummary",
    "SmallBertPretrainer",
    "SmallBertTextFilter",
    "dedup_train_test_split",
    "duplicate_report",
    "filter_corpus",
    "leakage_report",
    "pretrain_encoder",
    "resolve_conflicts",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULE_OF[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
