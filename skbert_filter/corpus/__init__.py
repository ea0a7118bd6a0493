"""Files in, files out: clean a corpus with a fitted classifier."""

from skbert_filter.corpus.classifiers import load_classifier
from skbert_filter.corpus.filtering import filter_corpus
from skbert_filter.corpus.rows import Progress
from skbert_filter.corpus.summary import FilterSummary

__all__ = ["FilterSummary", "Progress", "filter_corpus", "load_classifier"]
