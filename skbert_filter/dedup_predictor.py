"""Predict each distinct input once, with any estimator.

Knows nothing of text models: what it wraps is used through scikit-learn's
interface alone.
"""

from collections.abc import Sequence
from contextlib import nullcontext
from copy import copy, deepcopy
from functools import reduce
from itertools import chain
from numbers import Integral
from typing import Any

import numpy as np
import pandas as pd
from scipy.sparse import issparse, vstack
from sklearn.base import (
    BaseEstimator,
    ClassifierMixin,
    MetaEstimatorMixin,
    RegressorMixin,
    _fit_context,
    clone,
)
from sklearn.callback import CallbackSupportMixin, with_callbacks
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline
from sklearn.utils import Tags, _safe_indexing, get_tags
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils._set_output import _safe_set_output
from sklearn.utils.metadata_routing import (
    MetadataRouter,
    MethodMapping,
    _routing_enabled,
    process_routing,
)
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import _estimator_has, _num_samples, check_is_fitted

from skbert_filter.duplicates.keys import Key, find_keys, first_rows, first_seen

# With several outputs these return a list of arrays, one for each output.
_LISTS_OUTPUTS = ("predict_proba", "predict_log_proba", "decision_function")


class DedupPredictor(CallbackSupportMixin, MetaEstimatorMixin, BaseEstimator):
    """Meta-estimator that gives each distinct input to its estimator once per call.

    Most rows of scraped text are repeats. This predicts the distinct ones and copies
    the results to all rows, so that the cost follows the number of distinct inputs.
    It works for any estimator whose results depend on one row at a time: classifiers,
    regressors and transformers of texts, or of the rows of an array or table.

    Parameters
    ----------
    estimator : estimator
        What to wrap. `fit` fits a clone. A fitted estimator is wrapped as
        ``DedupPredictor(FrozenEstimator(model))`` and may predict at once.
    key : {"exact", "whitespace", "casefold"} or callable, default="exact"
        When two texts count as one; see
        :func:`~skbert_filter.duplicates.keys.text_keys`. With any key but "exact" the
        estimator is given the key itself (the folded text) to predict from, so that no
        result depends on which variant came first. It is still fitted on the texts as
        they are.
    chunk_size : int, default=65_536
        How many distinct inputs to give to the estimator at a time. It bounds the
        memory that the estimator needs, and is the step of the progress bar.

    Attributes
    ----------
    estimator_ : estimator
        The fitted clone. Not there when a frozen estimator predicts without `fit`.
    classes_ : ndarray of shape (n_classes,)
        The class labels, if the wrapped estimator has them.
    n_features_in_ : int
        The number of features seen in `fit`, if the wrapped estimator has it.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        The names of the features seen in `fit`, if the wrapped estimator has them.

    See Also
    --------
    sklearn.frozen.FrozenEstimator : Keeps a fitted estimator from being refitted.

    Notes
    -----
    `predict`, `predict_proba`, `predict_log_proba`, `decision_function`, `transform`,
    `score_samples` and `score` exist where the wrapped estimator has them. `fit`
    passes every row on, with its metadata. `fit_transform` is `fit`, then `transform`;
    an estimator in which the two differ, such as
    :class:`~sklearn.preprocessing.TargetEncoder`, is not one to wrap.

    NaN counts as equal to NaN, and -0.0 to 0.0. What cannot be compared (sparse
    matrices, lists of lists) is passed on as it is. Rows are given in `X`'s own kind
    of container; folded texts as a list where that is neither of NumPy nor of pandas.

    Callbacks of scikit-learn see the fit of the wrapped estimator, and each call of a
    prediction method as a task of its name with one subtask for each chunk.

    Examples
    --------
    >>> from sklearn.feature_extraction.text import TfidfVectorizer
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> from skbert_filter import DedupPredictor
    >>> model = DedupPredictor(make_pipeline(TfidfVectorizer(), LogisticRegression()))
    >>> model = model.fit(["View all", "Contact us", "We make soap", "Soap"], [0, 0, 1, 1])
    >>> model.predict(["View all"] * 3 + ["We sell soap"])
    array([0, 0, 0, 1])
    """

    _parameter_constraints: dict = {  # noqa: RUF012 - the name and form scikit-learn reads
        "estimator": [HasMethods(["fit"])],
        "key": [StrOptions({"exact", "whitespace", "casefold"}), callable],
        "chunk_size": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(self, estimator: Any, *, key: Key = "exact", chunk_size: int = 65_536) -> None:
        self.estimator = estimator
        self.key = key
        self.chunk_size = chunk_size

    @_fit_context(
        # estimator is not validated yet
        prefer_skip_nested_validation=False
    )
    def fit(self, X: Any, y: Any = None, **params: Any) -> "DedupPredictor":
        """Fit a clone of the estimator on every row.

        Parameters
        ----------
        X : input of the estimator
            All rows, repeats included.
        y : array-like of shape (n_samples,), default=None
            The target.
        **params : dict
            Passed to the estimator's `fit`, or routed to it where metadata routing is
            enabled.

        Returns
        -------
        self : DedupPredictor
        """
        context = self._init_callback_context(max_subtasks=1)
        context.call_on_fit_task_begin(estimator=self, X=X, y=y)
        if _routing_enabled():
            params = process_routing(self, "fit", **params).estimator.fit
        estimator = clone(self.estimator)
        task = context.subcontext(task_name="fit-estimator")
        # A frozen estimator is shared by all its clones, and fits nothing to report.
        frozen = isinstance(estimator, FrozenEstimator)
        with nullcontext() if frozen else task.propagate_callback_context(estimator):
            task.call_on_fit_task_begin(estimator=self, X=X, y=y)
            estimator.fit(X, y, **params)
        task.call_on_fit_task_end(estimator=self, X=X, y=y)
        self.estimator_ = estimator
        context.call_on_fit_task_end(
            estimator=self, X=X, y=y, reconstruction_attributes={"estimator_": estimator}
        )
        return self

    @available_if(_estimator_has("transform"))
    def fit_transform(self, X: Any, y: Any = None, **params: Any) -> Any:
        """Fit on every row, then transform the distinct ones.

        Parameters
        ----------
        X : input of the estimator
            All rows, repeats included.
        y : array-like of shape (n_samples,), default=None
            The target.
        **params : dict
            As for `fit`.

        Returns
        -------
        Xt : output of the estimator, n_samples rows
        """
        return self.fit(X, y, **params).transform(X)

    @available_if(_estimator_has("predict"))
    def predict(self, X: Any) -> Any:
        """Call the estimator's `predict` on the distinct inputs.

        Parameters
        ----------
        X : input of the estimator

        Returns
        -------
        y_pred : output of the estimator, n_samples rows
        """
        return self._of_distinct("predict", X)

    @available_if(_estimator_has("predict_proba"))
    def predict_proba(self, X: Any) -> Any:
        """Call the estimator's `predict_proba` on the distinct inputs.

        Parameters
        ----------
        X : input of the estimator

        Returns
        -------
        proba : output of the estimator, n_samples rows
        """
        return self._of_distinct("predict_proba", X)

    @available_if(_estimator_has("predict_log_proba"))
    def predict_log_proba(self, X: Any) -> Any:
        """Call the estimator's `predict_log_proba` on the distinct inputs.

        Parameters
        ----------
        X : input of the estimator

        Returns
        -------
        log_proba : output of the estimator, n_samples rows
        """
        return self._of_distinct("predict_log_proba", X)

    @available_if(_estimator_has("decision_function"))
    def decision_function(self, X: Any) -> Any:
        """Call the estimator's `decision_function` on the distinct inputs.

        Parameters
        ----------
        X : input of the estimator

        Returns
        -------
        scores : output of the estimator, n_samples rows
        """
        return self._of_distinct("decision_function", X)

    @available_if(_estimator_has("score_samples"))
    def score_samples(self, X: Any) -> Any:
        """Call the estimator's `score_samples` on the distinct inputs.

        Parameters
        ----------
        X : input of the estimator

        Returns
        -------
        scores : output of the estimator, n_samples rows
        """
        return self._of_distinct("score_samples", X)

    @available_if(_estimator_has("transform"))
    def transform(self, X: Any) -> Any:
        """Call the estimator's `transform` on the distinct inputs.

        Parameters
        ----------
        X : input of the estimator

        Returns
        -------
        Xt : output of the estimator, n_samples rows
            A pandas output has the index of `X`.
        """
        return self._of_distinct("transform", X)

    @available_if(_estimator_has("score"))
    def score(self, X: Any, y: Any = None, **params: Any) -> float:
        """Return the estimator's score on all rows.

        Accuracy and R², scikit-learn's defaults, are computed from the predictions of
        the distinct inputs; any other score is left to the estimator.

        Parameters
        ----------
        X : input of the estimator
        y : array-like of shape (n_samples,), default=None
            The target.
        **params : dict
            Passed to the estimator's `score`, or routed to it where metadata routing
            is enabled.

        Returns
        -------
        score : float
        """
        self._check_ready()
        if _routing_enabled():
            params = process_routing(self, "score", **params).estimator.score
        if (score := _default_score(self._wrapped)) is not None:
            return score(self, X, y, **params)
        if self.key != "exact" and (keys := find_keys(X, self.key)) is not None:
            X = _with_texts(X, keys)
        return self._wrapped.score(X, y, **params)

    @available_if(_estimator_has("set_output"))
    def set_output(self, *, transform: str | None = None) -> "DedupPredictor":
        """Set the container of the estimator's `transform`.

        Parameters
        ----------
        transform : {"default", "pandas", "polars"} or None, default=None
            The container; None changes nothing.

        Returns
        -------
        self : DedupPredictor
        """
        _safe_set_output(self.estimator, transform=transform)
        if hasattr(self, "estimator_"):
            _safe_set_output(self.estimator_, transform=transform)
        return self

    @available_if(_estimator_has("get_feature_names_out"))
    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Return the names of the estimator's output features.

        Parameters
        ----------
        input_features : array-like of str or None, default=None
            Names of the input features.

        Returns
        -------
        names : ndarray of str
        """
        self._check_ready()
        return self._wrapped.get_feature_names_out(input_features)

    @property
    def classes_(self) -> np.ndarray:
        return self._learnt("classes_")

    @property
    def n_features_in_(self) -> int:
        return self._learnt("n_features_in_")

    @property
    def feature_names_in_(self) -> np.ndarray:
        return self._learnt("feature_names_in_")

    def get_metadata_routing(self) -> MetadataRouter:
        """Return how metadata of `fit` and `score` is passed to the estimator.

        Returns
        -------
        routing : MetadataRouter
        """
        return MetadataRouter(owner=self).add(
            estimator=self.estimator,
            method_mapping=MethodMapping()
            .add(caller="fit", callee="fit")
            .add(caller="score", callee="score"),
        )

    def __sklearn_tags__(self) -> Tags:
        return deepcopy(get_tags(self.estimator))

    def __sklearn_is_fitted__(self) -> bool:
        if hasattr(self, "estimator_"):
            return True
        frozen = isinstance(self.estimator, FrozenEstimator)
        return frozen and self.estimator.__sklearn_is_fitted__()

    @property
    def _wrapped(self) -> Any:
        return getattr(self, "estimator_", self.estimator)

    def _learnt(self, name: str) -> Any:
        if not self.__sklearn_is_fitted__():
            raise AttributeError(f"{name} is there only after fit.")
        return getattr(self._wrapped, name)

    def _check_ready(self) -> None:
        check_is_fitted(
            self,
            msg="This %(name)s is not fitted yet. Call fit first, or wrap a fitted model as "
            "%(name)s(FrozenEstimator(model)).",
        )

    def _of_distinct(self, method: str, X: Any) -> Any:
        self._check_ready()
        self._validate_params()
        # The callbacks' state is kept on the estimator. Each call has its own copy, so
        # that threads may predict with one object.
        call = copy(self)
        if {"_callback_fit_ctx", "_parent_callback_ctx"} & call.__dict__.keys():
            # A fit is under way, and reports its own tasks.
            call.set_callbacks()
            call.__dict__.pop("_parent_callback_ctx", None)
        return call._compute(method, X)

    @with_callbacks
    def _compute(self, method: str, X: Any) -> Any:
        function = getattr(self._wrapped, method)
        keys = find_keys(X, self.key)
        if not keys:
            return function(X)
        codes, distinct = first_seen(keys)
        rows = first_rows(codes)
        starts = range(0, len(rows), self.chunk_size)
        context = self._init_callback_context(task_name=method, max_subtasks=len(starts))
        context.call_on_fit_task_begin(estimator=self, X=X)
        parts = []
        for start in starts:
            task = context.subcontext(task_name="chunk")
            task.call_on_fit_task_begin(estimator=self)
            chunk = slice(start, start + self.chunk_size)
            inputs = _safe_indexing(X, rows[chunk])
            if self.key != "exact":
                inputs = _with_texts(inputs, distinct[chunk])
            parts.append(function(inputs))
            task.call_on_fit_task_end(estimator=self)
        context.call_on_fit_task_end(estimator=self, X=X)
        if method in _LISTS_OUTPUTS and isinstance(parts[0], list):
            outputs = [list(output) for output in zip(*parts, strict=True)]
            return [_spread(output, codes, X, len(rows), method) for output in outputs]
        return _spread(parts, codes, X, len(rows), method)


def _default_score(estimator: Any) -> Any:
    """Return accuracy or R² where that is the score of `estimator`, else None."""
    while isinstance(estimator, FrozenEstimator | Pipeline):
        frozen = isinstance(estimator, FrozenEstimator)
        estimator = estimator.estimator if frozen else estimator[-1]
    score = getattr(type(estimator), "score", None)
    return score if score in (ClassifierMixin.score, RegressorMixin.score) else None


def _with_texts(rows: Any, texts: Sequence[Any]) -> Any:
    """Return `texts` in the container that `rows` is, with its index and names."""
    if isinstance(rows, pd.Series):
        return pd.Series(texts, index=rows.index, name=rows.name, dtype=object)
    if isinstance(rows, pd.DataFrame):
        return pd.DataFrame(texts, index=rows.index, columns=rows.columns, dtype=object)
    if isinstance(rows, np.ndarray):
        return np.array(texts, dtype=object).reshape(rows.shape)
    return texts


def _spread(parts: list[Any], codes: np.ndarray, X: Any, n_inputs: int, method: str) -> Any:
    """Join the results of the chunks, and copy them to all rows."""
    result = parts[0] if len(parts) == 1 else _concatenate(parts)
    if _num_samples(result) != n_inputs:
        raise ValueError(
            f"{method} of the wrapped estimator returned {_num_samples(result)} rows for "
            f"{n_inputs} distinct inputs. DedupPredictor needs one result for each input."
        )
    if issparse(result):
        return result.tocsr()[codes].asformat(result.format)
    result = _safe_indexing(result, codes)
    if isinstance(result, pd.DataFrame | pd.Series):
        has_index = isinstance(X, pd.DataFrame | pd.Series)
        result.index = X.index if has_index else pd.RangeIndex(len(codes))
    return result


def _concatenate(parts: list[Any]) -> Any:
    first = parts[0]
    if isinstance(first, list):
        return list(chain.from_iterable(parts))
    if issparse(first):
        return vstack(parts, format=first.format)
    if isinstance(first, pd.DataFrame | pd.Series):
        return pd.concat(parts)
    if hasattr(first, "vstack"):
        return reduce(lambda above, below: above.vstack(below), parts)
    return np.concatenate(parts)
