"""Predict each distinct input once, with any estimator.

Knows nothing of text models: it uses what it wraps through scikit-learn's interface alone.
"""

from collections.abc import Sequence
from contextlib import nullcontext
from copy import deepcopy
from datetime import timedelta
from numbers import Integral
from os import PathLike
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from sklearn.base import (
    BaseEstimator,
    ClassifierMixin,
    MetaEstimatorMixin,
    RegressorMixin,
    _fit_context,
    clone,
)
from sklearn.callback import CallbackSupportMixin
from sklearn.frozen import FrozenEstimator
from sklearn.utils import Tags, check_scalar, get_tags
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils._set_output import _get_output_config, _safe_set_output
from sklearn.utils.metadata_routing import (
    MetadataRouter,
    MethodMapping,
    _routing_enabled,
    process_routing,
)
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import _estimator_has, check_is_fitted

from skbert_filter.duplicates.distinct import (
    compute_missing,
    last_step,
    predicts_most_probable_class,
)
from skbert_filter.duplicates.fingerprints import check_fingerprint, check_unchanged, fingerprint
from skbert_filter.duplicates.keys import (
    Key,
    factorize,
    first_rows,
    kind_of,
    stable_hashes,
)
from skbert_filter.duplicates.results import from_bytes, spread, to_bytes
from skbert_filter.duplicates.rows import take_rows
from skbert_filter.duplicates.stores import Cache, CacheInfo, Store
from skbert_filter.printing import DocLinkMixin


def _of_distinct(name: str, result: str) -> Any:
    """Return a method that calls the estimator's method on the distinct inputs."""

    def method(self: "DedupPredictor", X: Any) -> Any:
        return self._compute_distinct(name, X)

    method.__name__, method.__qualname__ = name, f"DedupPredictor.{name}"
    method.__doc__ = f"""Call the estimator's `{name}` on the distinct inputs of `X`.

        Returns
        -------
        {result} : output of the estimator, n_samples rows
            A pandas output has the index of `X`.
        """
    return available_if(_estimator_has(name))(method)


class DedupPredictor(DocLinkMixin, CallbackSupportMixin, MetaEstimatorMixin, BaseEstimator):
    """Meta-estimator that computes each distinct input once, and can remember the results.

    Most rows of scraped text are repeats. This predicts the distinct ones and copies the results to
    all rows. It works for texts and for rows of an array or table, with any estimator whose result
    for a row does not depend on other rows.

    Parameters
    ----------
    estimator : estimator
        `fit` fits a clone. Wrap an estimator that is already fitted as
        ``DedupPredictor(FrozenEstimator(model))``, which can predict without `fit`.
    key : {"exact", "whitespace", "casefold"} or callable, default="exact"
        When two texts count as one; see :func:`~skbert_filter.duplicates.keys.text_keys`. With any
        key but "exact" the estimator predicts from the key itself, so that results do not depend on
        which variant came first. It is fitted on the unchanged texts.
    store : {"memory"} or path, default=None
        Where results are kept for later calls. None: nowhere. "memory": in this object, until it is
        fitted again. A path: in an SQLite file, which is created if needed and can be shared by
        processes; a run that was killed resumes after its last chunk.
    items_limit : int or None, default=None
        The maximum number of results in the store; the oldest are removed to make room.
    fingerprint : str or None, default=None
        The name under which results are stored. None: a hash of the wrapped estimator (its class,
        parameters and learnt attributes, and the code of your own functions in it), so that you
        never get a stale result after a refit, a `set_params` or a change of model. An estimator
        that cannot be hashed is rejected; then pass a name such as "v1", and change it with every
        change of the model.
    chunk_size : int, default=65_536
        How many distinct inputs the estimator gets at a time. This bounds its memory; after each
        chunk results are stored and the progress bar advances.
    verbose : int, default=0
        1 shows a progress bar of the distinct inputs on standard error.

    Attributes
    ----------
    estimator_ : estimator
        The fitted clone. It does not exist if a frozen estimator predicts without `fit`.
    classes_, n_features_in_, offset_ and so on
        The learnt attributes of the wrapped estimator.

    See Also
    --------
    sklearn.frozen.FrozenEstimator : Keeps a fitted estimator from being refitted.

    Notes
    -----
    Methods for prediction exist if the wrapped estimator has them. `fit_transform` calls `fit`,
    then `transform`, and `fit_predict` likewise: do not wrap an estimator where the two differ,
    such as :class:`~sklearn.preprocessing.TargetEncoder`.

    With a store, `predict` of a classifier whose class sets ``predicts_most_probable_class = True``
    (`SmallBertTextFilter` does) is the most probable class of `predict_proba`, so that one entry
    serves both.

    NaN counts as equal to NaN, and -0.0 to 0.0. Inputs that cannot be compared (sparse matrices,
    lists of lists) are passed on unchanged. Texts that `key` has changed reach the estimator in
    their container if that is from NumPy or pandas, otherwise as a list.

    A store contains arrays of numbers, times and str, never pickles; other results are rejected.
    Its keys are 128-bit hashes of the inputs; it does not contain the texts. Changes outside the
    estimator, such as in a file or service that it reads, go unnoticed.

    Examples
    --------
    >>> from sklearn.feature_extraction.text import TfidfVectorizer
    >>> from sklearn.frozen import FrozenEstimator
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> from skbert_filter import DedupPredictor
    >>> model = make_pipeline(TfidfVectorizer(), LogisticRegression())
    >>> model = model.fit(["View all", "Contact us", "We make soap", "Soap"], [0, 0, 1, 1])
    >>> scorer = DedupPredictor(FrozenEstimator(model), store="memory")
    >>> for _ in range(2):
    ...     labels = scorer.predict(["View all", "View all", "We sell soap"])
    >>> labels
    array([0, 0, 1])
    >>> info = scorer.cache_info()
    >>> info.hits, info.misses, info.stored
    (4, 2, 2)
    """

    _parameter_constraints: dict = {  # noqa: RUF012 - the name and form scikit-learn reads
        "estimator": [HasMethods(["fit"])],
        "key": [StrOptions({"exact", "whitespace", "casefold"}), callable],
        "store": [str, PathLike, None],
        "items_limit": [Interval(Integral, 0, None, closed="left"), None],
        "fingerprint": [str, None],
        "chunk_size": [Interval(Integral, 1, None, closed="left")],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        estimator: Any,
        *,
        key: Key = "exact",
        store: str | PathLike[str] | None = None,
        items_limit: int | None = None,
        fingerprint: str | None = None,
        chunk_size: int = 65_536,
        verbose: int = 0,
    ) -> None:
        self.estimator = estimator
        self.key = key
        self.store = store
        self.items_limit = items_limit
        self.fingerprint = fingerprint
        self.chunk_size = chunk_size
        self.verbose = verbose

    @_fit_context(
        # estimator is not validated yet
        prefer_skip_nested_validation=False
    )
    def fit(self, X: Any, y: Any = None, **params: Any) -> "DedupPredictor":
        """Fit a clone of the estimator on every row.

        Parameters
        ----------
        X : input of the estimator
        y : array-like of shape (n_samples,), default=None
        **params : dict
            Passed to the estimator's `fit`, or routed to it where metadata routing is enabled.

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
        # Clones share a frozen estimator, which has no fit to report.
        is_frozen = isinstance(estimator, FrozenEstimator)
        with nullcontext() if is_frozen else task.propagate_callback_context(estimator):
            task.call_on_fit_task_begin(estimator=self, X=X, y=y)
            estimator.fit(X, y, **params)
        task.call_on_fit_task_end(estimator=self, X=X, y=y)

        self.estimator_ = estimator
        self._remembered = Cache()
        context.call_on_fit_task_end(
            estimator=self, X=X, y=y, reconstruction_attributes={"estimator_": estimator}
        )
        return self

    @available_if(_estimator_has("transform"))
    def fit_transform(self, X: Any, y: Any = None, **params: Any) -> Any:
        """Fit on every row, then transform the distinct ones.

        Parameters
        ----------
        X, y, **params
            As for `fit`.

        Returns
        -------
        Xt : output of the estimator, n_samples rows
        """
        return self.fit(X, y, **params).transform(X)

    @available_if(
        lambda self: all(_estimator_has(name)(self) for name in ("fit_predict", "predict"))
    )
    def fit_predict(self, X: Any, y: Any = None, **params: Any) -> Any:
        """Fit on every row, then predict the distinct ones.

        Parameters
        ----------
        X, y, **params
            As for `fit`.

        Returns
        -------
        y_pred : output of the estimator, n_samples rows
        """
        return self.fit(X, y, **params).predict(X)

    @available_if(_estimator_has("predict"))
    def predict(self, X: Any) -> Any:
        """Call the estimator's `predict` on the distinct inputs of `X`.

        Returns
        -------
        y_pred : output of the estimator, n_samples rows
        """
        if self.store is not None and self.predicts_most_probable_class:
            proba = self._compute_distinct("predict_proba", X)
            return self.classes_[proba.argmax(axis=1)]
        return self._compute_distinct("predict", X)

    predict_proba = _of_distinct("predict_proba", "proba")
    predict_log_proba = _of_distinct("predict_log_proba", "log_proba")
    decision_function = _of_distinct("decision_function", "scores")
    score_samples = _of_distinct("score_samples", "scores")
    transform = _of_distinct("transform", "Xt")

    @available_if(_estimator_has("score"))
    def score(self, X: Any, y: Any = None, **params: Any) -> float:
        """Return the estimator's score on all rows.

        Accuracy and R², scikit-learn's defaults, are computed from the predictions of the distinct
        inputs; any other score is left to the estimator.

        Parameters
        ----------
        X : input of the estimator
        y : array-like of shape (n_samples,), default=None
        **params : dict
            Passed to the estimator's `score`, or routed to it where metadata routing is enabled.

        Returns
        -------
        score : float
        """
        self._check_ready()
        if _routing_enabled():
            params = process_routing(self, "score", **params).estimator.score

        score = getattr(type(last_step(self._wrapped)), "score", None)
        if score in (ClassifierMixin.score, RegressorMixin.score):
            return score(self, X, y, **params)
        if self.key != "exact" and (factorized := factorize(X, self.key)) is not None:
            codes, distinct = factorized
            X = _with_texts(X, [distinct[code] for code in codes])
        return self._wrapped.score(X, y, **params)

    @available_if(_estimator_has("set_output"))
    def set_output(self, *, transform: str | None = None) -> "DedupPredictor":
        """Set the container of the estimator's `transform`.

        Parameters
        ----------
        transform : {"default", "pandas", "polars"} or None, default=None
            None changes nothing.

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

        Returns
        -------
        names : ndarray of str
        """
        self._check_ready()
        return self._wrapped.get_feature_names_out(input_features)

    def cache_info(self) -> CacheInfo:
        """Return how many rows were computed since `fit`, and the size of the store.

        Returns
        -------
        info : CacheInfo
        """
        self._validate_params()
        return self._cache().info(self.store)

    def cache_clear(self) -> None:
        """Remove all results from the store, of other estimators too, and reset the counts."""
        self._validate_params()
        with self._cache().open(self.store, create=False) as store:
            if store is not None:
                store.clear()
        self._cache().reset_counts()

    def cache_prune(
        self,
        *,
        bytes_limit: int | None = None,
        items_limit: int | None = None,
        age_limit: timedelta | None = None,
    ) -> None:
        """Remove the oldest results from the store until it is within the limits.

        Parameters
        ----------
        bytes_limit, items_limit, age_limit : int, int and timedelta, default=None
            As for :meth:`joblib.Memory.reduce_size`: the size of the store, its number of results
            of all estimators, and the age of a result.
        """
        self._validate_params()
        for name, limit in {"bytes_limit": bytes_limit, "items_limit": items_limit}.items():
            if limit is not None:
                check_scalar(limit, name, Integral, min_val=0)
        if age_limit is not None:
            check_scalar(age_limit, "age_limit", timedelta)

        with self._cache().open(self.store, create=False) as store:
            if store is not None:
                store.prune(bytes_limit=bytes_limit, items_limit=items_limit, age_limit=age_limit)

    def __getattr__(self, name: str) -> Any:
        # Not the wrapped `fingerprint_`: results of this object also depend on `key`.
        is_learnt = name.endswith("_") and not name.startswith("_")
        if not is_learnt or name in ("estimator_", "fingerprint_") or "estimator" not in vars(self):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        if not self.__sklearn_is_fitted__():
            raise AttributeError(f"{name} exists only after fit.")
        return getattr(self._wrapped, name)

    def get_metadata_routing(self) -> MetadataRouter:
        """Return how metadata of `fit` and `score` is passed to the estimator."""
        return MetadataRouter(owner=self).add(
            estimator=self.estimator,
            method_mapping=MethodMapping()
            .add(caller="fit", callee="fit")
            .add(caller="score", callee="score"),
        )

    def __getstate__(self) -> dict[str, Any]:
        # Counts, and results in memory, belong to this process.
        return {k: v for k, v in super().__getstate__().items() if k != "_remembered"}

    def __sklearn_tags__(self) -> Tags:
        return deepcopy(get_tags(self.estimator))

    def __sklearn_is_fitted__(self) -> bool:
        if hasattr(self, "estimator_"):
            return True
        is_frozen = isinstance(self.estimator, FrozenEstimator)
        return is_frozen and self.estimator.__sklearn_is_fitted__()

    @property
    def predicts_most_probable_class(self) -> bool:
        """Whether `predict` is the argmax of `predict_proba` in the wrapped estimator."""
        return predicts_most_probable_class(self._wrapped)

    @property
    def _wrapped(self) -> Any:
        return getattr(self, "estimator_", self.estimator)

    def _check_ready(self) -> None:
        check_is_fitted(
            self,
            msg="This %(name)s is not fitted yet. Call fit first, or wrap a fitted model as "
            "%(name)s(FrozenEstimator(model)).",
        )

    def _compute_distinct(self, method: str, X: Any) -> Any:
        self._check_ready()
        self._validate_params()
        cache = self._cache()
        with cache.open(self.store) as store:
            return self._compute(method, X, cache, store)

    def _compute(self, method: str, X: Any, cache: Cache, store: Store | None) -> Any:
        function = getattr(self._wrapped, method)
        factorized = factorize(X, self.key)
        if factorized is None or not factorized[1]:
            return function(X)
        codes, distinct = factorized
        rows = first_rows(codes)

        parts: list[Any] = []
        places: list[np.ndarray] = []
        missing = np.arange(len(rows))
        if store is not None:
            texts = isinstance(distinct[0], str)
            ids = stable_hashes(distinct if texts else take_rows(X, rows))
            model = self._fingerprint(cache)
            space = f"{model} {method} {self._container(method)} of {kind_of(X)}"
            missing, parts, places = _recall(store, space, ids)

        def compute(chunk: np.ndarray) -> Any:
            inputs = take_rows(X, rows[chunk])
            if self.key != "exact":
                inputs = _with_texts(inputs, [distinct[i] for i in chunk])
            return function(inputs)

        bar = _progress_bar()
        task = bar.add_task(method, total=len(rows), completed=len(rows) - len(missing))
        # Not disable=, with which rich 13 prints an empty line.
        with bar if self.verbose else nullcontext():
            for chunk, part in compute_missing(compute, missing, self.chunk_size, method):
                if store is not None:
                    if self.fingerprint is None:
                        check_unchanged(self._wrapped, model, method)
                    layout, values = to_bytes(part, method)
                    keys = [ids[i] for i in chunk]
                    store.put(space, layout, keys, values, items_limit=self.items_limit)
                parts.append(part)
                places.append(chunk)
                bar.advance(task, len(chunk))

        cache.count(rows=len(codes), distinct=len(rows), computed=len(missing))
        return spread(parts, places, codes, X, method)

    def _cache(self) -> Cache:
        # Atomic, so that two threads get the same cache.
        return self.__dict__.setdefault("_remembered", Cache())

    def _fingerprint(self, cache: Cache) -> str:
        if self.fingerprint is not None:
            return f"given: {self.fingerprint}"
        computed = fingerprint(self._wrapped)
        if computed not in cache.trusted:
            check_fingerprint(self._wrapped)
            cache.trusted.add(computed)
        return computed

    def _container(self, method: str) -> str:
        """Return the output container that `set_output` or the global configuration sets."""
        if method != "transform":
            return "as returned"
        return _get_output_config("transform", last_step(self._wrapped))["dense"]


def _recall(
    store: Store, space: str, ids: list[bytes]
) -> tuple[np.ndarray, list[Any], list[np.ndarray]]:
    """Return which inputs are not in the store, the results of the others, and their places."""
    parts, places = [], []
    missing = np.ones(len(ids), dtype=bool)
    for layout, values in store.get(space, ids).items():
        place = np.flatnonzero([key in values for key in ids])
        parts.append(from_bytes(layout, [values[ids[i]] for i in place]))
        places.append(place)
        missing[place] = False

    if missing.any():
        # Fails now rather than after hours of work that could not be stored.
        store.begin_writing()
    return np.flatnonzero(missing), parts, places


def _progress_bar() -> Progress:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:,.0f} of {task.total:,.0f} distinct inputs"),
        TimeRemainingColumn(elapsed_when_finished=True),
    )
    return Progress(*columns, console=Console(stderr=True))


def _with_texts(rows: Any, texts: Sequence[Any]) -> Any:
    """Return `texts` in the container of `rows`, with its index and names."""
    if isinstance(rows, pd.Series):
        return pd.Series(texts, index=rows.index, name=rows.name, dtype=object)
    if isinstance(rows, pd.DataFrame):
        return pd.DataFrame(texts, index=rows.index, columns=rows.columns, dtype=object)
    if isinstance(rows, np.ndarray):
        return np.array(texts, dtype=object).reshape(rows.shape)
    return texts
