"""Files in, files out: clean a corpus with a fitted classifier."""

from skbert_filter.corpus.classifiers import load_classifier
from skbert_filter.corpus.filtering import FilterSummary, filter_corpus
from skbert_filter.corpus.rows import Progress

__all__ = ["FilterSummary", "Progress", "filter_corpus", "load_classifier"]
