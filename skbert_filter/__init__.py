"""Train a very small BERT to tell useful text snippets from garbage.

Public names are imported on first use, so that importing the package imports neither TensorFlow
nor transformers.
"""

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from skbert_filter.corpus import FilterSummary as FilterSummary
    from skbert_filter.corpus import filter_corpus as filter_corpus
    from skbert_filter.dedup_predictor import DedupPredictor as DedupPredictor
    from skbert_filter.duplicates.leakage import LeakageReport as LeakageReport
    from skbert_filter.duplicates.leakage import leakage_report as leakage_report
    from skbert_filter.duplicates.reports import DuplicateReport as DuplicateReport
    from skbert_filter.duplicates.reports import duplicate_report as duplicate_report
    from skbert_filter.duplicates.splits import DedupStratifiedKFold as DedupStratifiedKFold
    from skbert_filter.duplicates.splits import (
        DedupStratifiedShuffleSplit as DedupStratifiedShuffleSplit,
    )
    from skbert_filter.duplicates.splits import dedup_train_test_split as dedup_train_test_split
    from skbert_filter.duplicates.stores import CacheInfo as CacheInfo
    from skbert_filter.duplicates.training_rows import resolve_conflicts as resolve_conflicts
    from skbert_filter.labelling.pretrain import PretrainingSummary as PretrainingSummary
    from skbert_filter.labelling.pretrain import pretrain_encoder as pretrain_encoder
    from skbert_filter.pretrainer import SmallBertPretrainer as SmallBertPretrainer
    from skbert_filter.text_filter import SmallBertTextFilter as SmallBertTextFilter

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

__all__ = sorted(_MODULE_OF)


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULE_OF[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
