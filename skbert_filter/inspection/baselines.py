"""Simple classifiers that a filter has to beat to earn its place."""

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
    """Classify texts by whether their number of words reaches a learnt threshold.

    Useful texts are longer than menus and buttons, so this rule is hard to beat. It learns the
    threshold and the direction with the best (weighted) accuracy on the training texts; of several
    equally good thresholds, the lowest.

    Attributes
    ----------
    classes_ : ndarray of shape (2,)
    threshold_ : int
        The smallest number of words, as `str.split` finds them, of a long text.
    long_class_ : label
        The label predicted for long texts; short ones get the other.
    slope_ : float
        How fast the odds of `long_class_` grow with the number of words.

    Notes
    -----
    The odds of `long_class_` are ``((1 + words) / (threshold_ + 0.5)) ** slope_``. The slope is
    estimated by logistic regression; `predict_proba` ranks texts strictly by their number of words.

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
            advice = "Pass texts of two."
            if len(classes) > 2:
                advice = "Use another classifier, such as tfidf_shape_baseline()."
            raise ValueError(
                "Only binary classification is supported by WordCountRule, but y holds "
                f"{counted(len(classes), 'class', 'classes')}: {classes[:10].tolist()}. {advice}"
            )
        words = word_counts(texts)
        weight = _check_sample_weight(sample_weight, words, dtype=np.float64)

        # How much more weight is right with classes[1] than with classes[0]: for the texts of each
        # number of words, then for those on either side of each threshold.
        counts, position = np.unique(words, return_inverse=True)
        gain = np.bincount(position, weights=np.where(codes == 1, weight, -weight))
        gain_above = np.append(np.cumsum(gain[::-1])[::-1], 0.0)
        gain_below = gain_above[0] - gain_above
        thresholds = np.append(counts, counts[-1] + 1)

        # classes[1] is predicted for the texts on the side that gains more.
        long_code = int(gain_above.max() >= gain_below.max())
        best = np.argmax(gain_above if long_code else gain_below)
        self.classes_ = classes
        self.threshold_ = int(thresholds[best])
        self.long_class_ = classes[long_code]

        # Outliers can turn the slope against the threshold: a nearly flat one then fits best.
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
        """Return the probabilities of the classes for each text, in the order of `classes_`."""
        log_odds = self.decision_function(X)
        return np.column_stack([expit(-log_odds), expit(log_odds)])

    def predict(self, X: Any) -> np.ndarray:
        """Return the label of each text."""
        log_odds = self.decision_function(X)
        return self.classes_[(log_odds > 0).astype(np.intp)]

    def _log_ratio(self, words: np.ndarray) -> np.ndarray:
        # The boundary is half a word below the threshold, so no text lies on it.
        return np.log1p(words) - np.log(self.threshold_ + 0.5)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.string = True
        tags.classifier_tags.multi_class = False
        # It cannot separate classes whose texts are equally long.
        tags.classifier_tags.poor_score = True
        return tags


def tfidf_shape_baseline() -> Pipeline:
    """Return an unfitted logistic regression on TF-IDF and on the shape of the texts.

    This is the strongest simple model for scraped text, where case, punctuation and length matter
    as much as words.

    Returns
    -------
    pipeline : Pipeline
        Its steps are ``"features"`` and ``"classifier"``, a LogisticRegression. The features are a
        FeatureUnion of TF-IDF on ``"words"`` (one and two) and on ``"characters"`` (two to five,
        within words), both with case and punctuation; of ``"shape"``
        (:func:`~skbert_filter.shape.shape_features`, standardized); and of ``"bins"`` (the number
        of words, one-hot). The last two have a weight of 0.1.

    See Also
    --------
    tfidf_baseline : For texts whose shape is not informative.

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
        # At full weight, they are so much larger than TF-IDF that they are hardly regularized.
        transformer_weights={"shape": 0.1, "bins": 0.1},
    )
    return Pipeline([("features", features), ("classifier", _logistic_regression())])


def tfidf_baseline() -> Pipeline:
    """Return an unfitted logistic regression on TF-IDF of words and characters.

    Returns
    -------
    pipeline : Pipeline
        Its steps are ``"tfidf"``, a FeatureUnion of ``"words"`` (one and two) and ``"characters"``
        (two to four, within words), both in lower case; and ``"classifier"``, a LogisticRegression.

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
    """Return the unfitted classifiers that a filter is compared with, by name."""
    baselines: dict[str, Any] = {
        "TF-IDF and shape": tfidf_shape_baseline(),
        "TF-IDF": tfidf_baseline(),
    }
    if n_classes == 2:
        baselines["word-count rule"] = WordCountRule()
    return baselines


def _logistic_regression() -> LogisticRegression:
    # scikit-learn's default, C=1, regularizes too much for short texts: it costs a point of
    # accuracy on a few thousand web snippets.
    return LogisticRegression(C=10, max_iter=1000)
