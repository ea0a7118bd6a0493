"""Simple classifiers that a filter has to beat before it earns its place."""

from typing import Any

import numpy as np
from scipy.special import expit
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.utils.validation import _check_sample_weight, check_is_fitted

from skbert_filter.printing import DocLinkMixin, counted
from skbert_filter.shape import shape_features, word_count_bins, word_counts
from skbert_filter.validation import check_labels, check_texts


class WordCountRule(DocLinkMixin, ClassifierMixin, BaseEstimator):
    """Classify a text by whether its number of words reaches a learnt threshold.

    Useful text is longer than menus and buttons, so this rule is hard to beat. Of all thresholds,
    and of both directions, it takes the one with the best (weighted) accuracy on the training
    texts; the lowest threshold if several are equally good.

    Attributes
    ----------
    classes_ : ndarray of shape (2,)
    threshold_ : int
        The number of words, as `str.split` finds them, from which on a text is counted as long.
    long_class_ : label
        The label that long texts are given; short ones get the other.
    slope_ : float
        How fast the odds of `long_class_` grow with the number of words.

    Notes
    -----
    The odds of `long_class_` are ``((1 + words) / (threshold_ + 0.5)) ** slope_``, with the slope
    by logistic regression: `predict_proba` ranks texts strictly by their number of words.

    Examples
    --------
    >>> from skbert_filter.inspection import WordCountRule
    >>> texts = ["View All", "About us", "We make steel tools for sailors", "Our staff is kind"]
    >>> rule = WordCountRule().fit(texts, ["drop", "drop", "keep", "keep"])
    >>> rule.threshold_
    4
    >>> rule.predict(["Contact", "They sell tools for gardens"]).tolist()
    ['drop', 'keep']
    """

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> "WordCountRule":
        """Learn the threshold and its direction.

        Parameters
        ----------
        X : container of str, of length n_samples
        y : array-like of shape (n_samples,)
            Labels of two classes.
        sample_weight : array-like of shape (n_samples,), default=None

        Returns
        -------
        self : WordCountRule
        """
        texts = check_texts(X)
        y = check_labels(y, len(texts))
        classes, codes = np.unique(y, return_inverse=True)
        if len(classes) != 2:
            advice = "Use another classifier, such as tfidf_shape_baseline()."
            raise ValueError(
                "Only binary classification is supported by WordCountRule, but y holds "
                f"{counted(len(classes), 'class', 'classes')}: {classes[:10].tolist()}. "
                f"{advice if len(classes) > 2 else 'Pass texts of two.'}"
            )
        words = word_counts(texts)
        weight = _check_sample_weight(sample_weight, words, dtype=np.float64)

        # What giving classes[1] to a text gains over giving it classes[0], and that
        # summed over all texts of at least so many words.
        counts, position = np.unique(words, return_inverse=True)
        gain = np.bincount(position, weights=np.where(codes == 1, weight, -weight))
        gain_from = np.append(np.cumsum(gain[::-1])[::-1], 0.0)
        thresholds = np.append(counts, counts[-1] + 1)

        # Upwards, the texts from the threshold on get classes[1]; downwards the others do.
        upwards, downwards = gain_from, gain_from[0] - gain_from
        long_code = int(upwards.max() >= downwards.max())
        best = np.argmax(upwards if long_code else downwards)
        self.classes_ = classes
        self.threshold_ = int(thresholds[best])
        self.long_class_ = classes[long_code]

        # Outliers can turn the slope against the threshold; nearly flat is then the best fit.
        model = LogisticRegression(fit_intercept=False)
        model.fit(self._log_ratio(words)[:, None], codes == long_code, sample_weight=weight)
        self.slope_ = max(float(model.coef_[0, 0]), 1e-3)
        return self

    def decision_function(self, X: Any) -> np.ndarray:
        """Return the log-odds of ``classes_[1]`` for each text."""
        check_is_fitted(self)
        sign = 1 if self.long_class_ == self.classes_[1] else -1
        return sign * self.slope_ * self._log_ratio(word_counts(check_texts(X)))

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the probabilities of each text, in the order of `classes_`."""
        log_odds = self.decision_function(X)
        return np.column_stack([expit(-log_odds), expit(log_odds)])

    def predict(self, X: Any) -> np.ndarray:
        """Return the label of each text."""
        log_odds = self.decision_function(X)
        return self.classes_[(log_odds > 0).astype(np.intp)]

    def _log_ratio(self, words: np.ndarray) -> np.ndarray:
        # Half a word below the threshold, so that no text lies on the boundary.
        return np.log1p(words) - np.log(self.threshold_ + 0.5)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.string = True
        tags.classifier_tags.multi_class = False
        # Classes whose texts are equally long are one to it.
        tags.classifier_tags.poor_score = True
        return tags


def tfidf_shape_baseline() -> Pipeline:
    """Return an unfitted logistic regression on TF-IDF and on the shape of the texts.

    The strongest simple model for scraped text, where case, punctuation and length matter as much
    as words: the one that a filter has to beat.

    Returns
    -------
    pipeline : Pipeline
        Its steps are ``"features"``, a FeatureUnion of the TF-IDF of ``"words"`` (one and two) and
        ``"characters"`` (two to five, within words), both with their case and punctuation, of
        ``"shape"`` (:func:`~skbert_filter.shape.shape_features`, standardized, which weigh a tenth)
        and of ``"bins"`` (the number of words, one-hot); and ``"classifier"``, a
        LogisticRegression.

    See Also
    --------
    tfidf_baseline : Of the words alone, for texts whose shape says nothing.

    Examples
    --------
    >>> from skbert_filter.inspection import tfidf_shape_baseline
    >>> texts = ["View All", "About Us", "We make steel tools.", "We build boats."]
    >>> model = tfidf_shape_baseline().fit(texts, [0, 0, 1, 1])
    >>> model.predict(["Contact Us", "They sell tools."])
    array([0, 1])
    """
    tfidf = TfidfVectorizer(lowercase=False, sublinear_tf=True)
    words = clone(tfidf).set_params(token_pattern=r"\S+", ngram_range=(1, 2))
    characters = clone(tfidf).set_params(analyzer="char_wb", ngram_range=(2, 5))
    shape = make_pipeline(FunctionTransformer(shape_features), StandardScaler())
    bins = FunctionTransformer(word_count_bins)

    features = FeatureUnion(
        [("words", words), ("characters", characters), ("shape", shape), ("bins", bins)],
        # At full weight they are so much larger than TF-IDF that they are hardly regularized.
        transformer_weights={"shape": 0.1, "bins": 0.1},
    )
    return Pipeline([("features", features), ("classifier", _logistic_regression())])


def tfidf_baseline() -> Pipeline:
    """Return an unfitted logistic regression on TF-IDF of words and characters.

    Returns
    -------
    pipeline : Pipeline
        Its steps are ``"tfidf"``, a FeatureUnion of ``"words"`` (one and two) and ``"characters"``
        (two to four, within words), all in lower case; and ``"classifier"``, a LogisticRegression.

    Examples
    --------
    >>> from skbert_filter.inspection import tfidf_baseline
    >>> texts = ["View All", "View more", "We make steel tools", "We build tools"]
    >>> tfidf_baseline().fit(texts, [0, 0, 1, 1]).predict(["View tools", "We make boats"])
    array([0, 1])
    """
    words = TfidfVectorizer(ngram_range=(1, 2))
    characters = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4))
    tfidf = FeatureUnion([("words", words), ("characters", characters)])
    return Pipeline([("tfidf", tfidf), ("classifier", _logistic_regression())])


def default_baselines(n_classes: int) -> dict[str, Any]:
    """Return the unfitted classifiers that a filter is compared with, by their names."""
    baselines = {"TF-IDF and shape": tfidf_shape_baseline(), "TF-IDF": tfidf_baseline()}
    return baselines | ({"word-count rule": WordCountRule()} if n_classes == 2 else {})


def _logistic_regression() -> LogisticRegression:
    # C=1, scikit-learn's default, is too weak for short texts: it loses a point of accuracy
    # on a few thousand web snippets.
    return LogisticRegression(C=10, max_iter=1000)
