"""Predict each distinct input once, with any estimator.

Knows nothing of text models: what it wraps is used through scikit-learn's
interface alone.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from copy import copy, deepcopy
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
from sklearn.callback import CallbackSupportMixin, with_callbacks
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline
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
from sklearn.utils.validation import _estimator_has, _num_samples, check_is_fitted

from skbert_filter._doc_links import DocLinkMixin
from skbert_filter.duplicates.cache import Cache, CacheInfo
from skbert_filter.duplicates.fingerprints import check_fingerprint, fingerprint, has_fingerprint
from skbert_filter.duplicates.keys import (
    Key,
    find_keys,
    first_rows,
    kind_of,
    lasting_keys,
    number_inputs,
)
from skbert_filter.duplicates.results import LISTS_OUTPUTS, from_bytes, spread, to_bytes
from skbert_filter.duplicates.rows import take_rows
from skbert_filter.duplicates.stores import Store


class DedupPredictor(DocLinkMixin, CallbackSupportMixin, MetaEstimatorMixin, BaseEstimator):
    """Meta-estimator that computes each distinct input once, and remembers it if asked.

    Most rows of scraped text are repeats. This predicts the distinct ones and copies
    the results to all rows, so that the cost follows the number of distinct inputs.
    With a `store`, later calls compute only what no earlier call has.

    It works for any estimator whose results depend on one row at a time, of texts or of
    the rows of an array or table: classifiers, regressors, outlier detectors,
    transformers, and clusterers and density models that predict or score new rows.

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
    store : {"memory"} or path, default=None
        Where results are kept for later calls. None: nowhere. "memory": in this object,
        until it is fitted again, and not in its clones and pickles. A path: in an SQLite
        file that is created if needed, and that processes may share at once. Its
        results survive the process, and each chunk is safe when it is done, so that a
        run that was killed goes on where it stopped.
    items_limit : int or None, default=None
        How many results the store may hold; the oldest make room. None: no limit.
    fingerprint : str or None, default=None
        What results are filed under in the store. None: a hash of all that the wrapped
        estimator is (its class, parameters, what it has learnt, and the code of your own
        functions in it), computed at each call, so that after a refit, a `set_params`
        or with another model no old result is returned. An estimator that cannot be
        hashed is refused; give it a name then, such as "v1", and change that with every
        change of the model.
    chunk_size : int, default=65_536
        How many distinct inputs to give to the estimator at a time. It bounds the
        memory that the estimator needs; it is the step of the progress bar, and of what
        is written to the store at once.
    verbose : int, default=0
        1 shows a progress bar of the distinct inputs on standard error.

    Attributes
    ----------
    estimator_ : estimator
        The fitted clone. Not there when a frozen estimator predicts without `fit`.
    classes_, n_features_in_, offset_ and so on
        What the wrapped estimator has learnt, under the names that it has there.

    See Also
    --------
    sklearn.frozen.FrozenEstimator : Keeps a fitted estimator from being refitted.

    Notes
    -----
    `predict`, `predict_proba`, `predict_log_proba`, `decision_function`, `transform`,
    `score_samples` and `score` exist where the wrapped estimator has them. `fit`
    passes every row on, with its metadata. `fit_transform` is `fit`, then `transform`,
    and `fit_predict` likewise; an estimator in which the two differ, such as
    :class:`~sklearn.preprocessing.TargetEncoder`, is not one to wrap.

    With a store, `predict` of a classifier whose class sets ``predicts_most_probable_class =
    True`` (`SmallBertTextFilter` does) takes the most probable class of `predict_proba`,
    so that one entry serves both.

    NaN counts as equal to NaN, and -0.0 to 0.0. What cannot be compared (sparse
    matrices, lists of lists) is passed on as it is. Rows are given in `X`'s own kind
    of container; folded texts as a list where that is neither of NumPy nor of pandas.

    A store keeps arrays of numbers, times and str, and tables of numbers and times, never
    pickles. Sparse and
    other results are refused with a store, and shared within the call without one. Its
    keys are hashes of 128 bits of the input that the estimator is given, its texts
    themselves are not in it. It does not see what lies outside the estimator: a file or
    a service that it reads. After each call the file holds all results by itself. It can
    be copied then, and used where it cannot be written, as long as nothing is missing.

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

    With a store, the second call computes nothing:

    >>> import tempfile
    >>> from pathlib import Path
    >>> from sklearn.frozen import FrozenEstimator
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     scorer = DedupPredictor(FrozenEstimator(model), store=Path(folder, "scores.sqlite"))
    ...     for _ in range(2):
    ...         _ = scorer.predict_proba(["View all", "View all", "We sell soap"])
    ...     info = scorer.cache_info()
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

    @available_if(
        lambda self: all(_estimator_has(name)(self) for name in ("fit_predict", "predict"))
    )
    def fit_predict(self, X: Any, y: Any = None, **params: Any) -> Any:
        """Fit on every row, then predict the distinct ones.

        Parameters
        ----------
        X : input of the estimator
            All rows, repeats included.
        y : Ignored
        **params : dict
            As for `fit`.

        Returns
        -------
        y_pred : output of the estimator, n_samples rows
        """
        return self.fit(X, y, **params).predict(X)

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
        if self.store is not None and predicts_most_probable_class(self._wrapped):
            return self._of_distinct("predict_proba", X, self._most_probable)
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

    def cache_info(self) -> CacheInfo:
        """Return how many rows were computed since `fit`, and what the store holds.

        Returns
        -------
        info : CacheInfo
            With the attributes `hits`, `misses`, `distinct`, `stored` and `bytes`.
        """
        self._validate_params()
        return self._cache().info(self.store)

    def cache_clear(self) -> None:
        """Remove all results of the store, those of other estimators too; count anew."""
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
        """Remove the oldest results of the store, until all limits given are kept.

        The limits are named as in :meth:`joblib.Memory.reduce_size`. A result's age
        counts from when it was computed.

        Parameters
        ----------
        bytes_limit : int or None, default=None
            The size of the store in bytes.
        items_limit : int or None, default=None
            The number of results, of all estimators and methods.
        age_limit : timedelta or None, default=None
            The age of a result.

        Raises
        ------
        TypeError, ValueError
            If a limit is of another type, or negative.
        """
        self._validate_params()
        limits = {"bytes_limit": bytes_limit, "items_limit": items_limit}
        for name, limit in limits.items():
            if limit is not None:
                check_scalar(limit, name, Integral, min_val=0)
        if age_limit is not None:
            check_scalar(age_limit, "age_limit", timedelta)
        with self._cache().open(self.store, create=False) as store:
            if store is not None:
                store.prune(bytes_limit=bytes_limit, items_limit=items_limit, age_limit=age_limit)

    def __getattr__(self, name: str) -> Any:
        # `fingerprint_` is that of results, which depend on `key` too.
        is_learnt = name.endswith("_") and not name.startswith("_")
        if not is_learnt or name in ("estimator_", "fingerprint_") or "estimator" not in vars(self):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        if not self.__sklearn_is_fitted__():
            raise AttributeError(f"{name} is there only after fit.")
        return getattr(self._wrapped, name)

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

    def __getstate__(self) -> dict[str, Any]:
        # Left out: counts, and results in the memory of this process; a file keeps its own.
        return {k: v for k, v in super().__getstate__().items() if k != "_remembered"}

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

    def _check_ready(self) -> None:
        check_is_fitted(
            self,
            msg="This %(name)s is not fitted yet. Call fit first, or wrap a fitted model as "
            "%(name)s(FrozenEstimator(model)).",
        )

    def _most_probable(self, proba: np.ndarray) -> np.ndarray:
        return self.classes_[proba.argmax(axis=1)]

    def _of_distinct(self, method: str, X: Any, finish: Callable[[Any], Any] | None = None) -> Any:
        self._check_ready()
        self._validate_params()
        cache = self._cache()
        # The callbacks' state is kept on the estimator. Each call has its own copy, so
        # that threads may predict with one object.
        call = copy(self)
        if {"_callback_fit_ctx", "_parent_callback_ctx"} & call.__dict__.keys():
            # A fit is under way, and reports its own tasks.
            call.set_callbacks()
            call.__dict__.pop("_parent_callback_ctx", None)
        with cache.open(self.store) as store:
            return call._compute(method, X, cache, store, finish)

    @with_callbacks
    def _compute(
        self,
        method: str,
        X: Any,
        cache: Cache,
        store: Store | None,
        finish: Callable[[Any], Any] | None,
    ) -> Any:
        function = getattr(self._wrapped, method)
        numbered = number_inputs(X, self.key)
        if numbered is None or not numbered[1]:
            return function(X) if finish is None else finish(function(X))
        codes, distinct = numbered
        rows = first_rows(codes)
        missing = np.arange(len(rows))
        parts: list[Any] = []
        places: list[np.ndarray] = []
        if store is not None:
            texts = isinstance(distinct[0], str)
            ids = lasting_keys(distinct if texts else take_rows(X, rows))
            found = self._fingerprint(cache)
            space = f"{found} {method} {self._container(method)} of {kind_of(X)}"
            missing, parts, places = _recall(store, space, ids)
        chunks = [
            missing[start : start + self.chunk_size]
            for start in range(0, len(missing), self.chunk_size)
        ]
        context = self._init_callback_context(task_name=method, max_subtasks=len(chunks))
        context.call_on_fit_task_begin(estimator=self, X=X)
        with _progress_bar(method, len(rows), len(rows) - len(missing), self.verbose) as advance:
            for place in chunks:
                task = context.subcontext(task_name="chunk")
                task.call_on_fit_task_begin(estimator=self)
                inputs = take_rows(X, rows[place])
                if self.key != "exact":
                    inputs = _with_texts(inputs, [distinct[i] for i in place])
                part = function(inputs)
                _check_length(part, len(place), method)
                if store is not None:
                    self._check_unchanged(found, method)
                    layout, values = to_bytes(part, method)
                    new = [ids[i] for i in place]
                    store.put(space, layout, new, values, items_limit=self.items_limit)
                parts.append(part)
                places.append(place)
                advance(len(place))
                task.call_on_fit_task_end(estimator=self)
        context.call_on_fit_task_end(estimator=self, X=X)
        cache.count(rows=len(codes), distinct=len(rows), computed=len(missing))
        order = np.empty(len(rows), dtype=np.intp)
        order[np.concatenate(places)] = np.arange(len(rows))
        codes = order[codes]
        if finish is not None:
            parts = list(map(finish, parts))
        if method in LISTS_OUTPUTS and isinstance(parts[0], list):
            return [spread(list(output), codes, X) for output in zip(*parts, strict=True)]
        return spread(parts, codes, X)

    def _cache(self) -> Cache:
        # Of two threads that come first, both get the same.
        return self.__dict__.setdefault("_remembered", Cache())

    def _fingerprint(self, cache: Cache) -> str:
        if self.fingerprint is not None:
            return f"given: {self.fingerprint}"
        found = fingerprint(self._wrapped)
        if found not in cache.trusted:
            check_fingerprint(self._wrapped)
            cache.trusted.add(found)
        return found

    def _check_unchanged(self, found: str, method: str) -> None:
        """Refuse to store what a model has computed that is not the one of that fingerprint."""
        if self.fingerprint is None and not has_fingerprint(self._wrapped, found):
            frozen = isinstance(self._wrapped, FrozenEstimator)
            model = self._wrapped.estimator if frozen else self._wrapped
            raise RuntimeError(
                f"{type(model).__name__} changed while it computed {method}, so that "
                "nobody knows which model these results are of. Those of finished chunks are "
                "stored. If another thread fits or changes it, wait for that, or wrap a copy of "
                'it; if it changes by predicting, pass fingerprint="v1", and change that whenever '
                "the model changes."
            )

    def _container(self, method: str) -> str:
        """Return the container that `set_output` or the global configuration chooses."""
        if method != "transform":
            return "as returned"
        return _get_output_config("transform", _last_step(self._wrapped))["dense"]


def predicts_most_probable_class(estimator: Any) -> bool:
    """Whether `predict` is known to be the argmax of `predict_proba`, so that one serves both.

    Known it is of a class that says so by ``predicts_most_probable_class = True``, and of its
    subclasses that override neither method.
    """
    estimator = _last_step(estimator)
    while isinstance(estimator, DedupPredictor):
        estimator = _last_step(estimator._wrapped)
    for kind in type(estimator).__mro__:
        if "predicts_most_probable_class" in vars(kind):
            return vars(kind)["predicts_most_probable_class"]
        if not {"predict", "predict_proba"}.isdisjoint(vars(kind)):
            break
    return False


def _last_step(estimator: Any) -> Any:
    while isinstance(estimator, FrozenEstimator | Pipeline):
        frozen = isinstance(estimator, FrozenEstimator)
        estimator = estimator.estimator if frozen else estimator[-1]
    return estimator


def _default_score(estimator: Any) -> Any:
    """Return accuracy or R² where that is the score of `estimator`, else None."""
    score = getattr(type(_last_step(estimator)), "score", None)
    return score if score in (ClassifierMixin.score, RegressorMixin.score) else None


def _recall(
    store: Store, space: str, ids: list[bytes]
) -> tuple[np.ndarray, list[Any], list[np.ndarray]]:
    """Return which results are not in the store, those that are, and where they belong."""
    parts, places = [], []
    missing = np.ones(len(ids), dtype=bool)
    for layout, values in store.get(space, ids).items():
        place = np.fromiter(map(values.__contains__, ids), dtype=bool, count=len(ids))
        parts.append(from_bytes(layout, [values[key] for key in ids if key in values]))
        places.append(np.flatnonzero(place))
        missing[place] = False
    if missing.any():
        # before hours of work that could not be kept
        store.begin_writing()
    return np.flatnonzero(missing), parts, places


def _check_length(result: Any, n_inputs: int, method: str) -> None:
    outputs = result if method in LISTS_OUTPUTS and isinstance(result, list) else [result]
    for output in outputs:
        if _num_samples(output) != n_inputs:
            raise ValueError(
                f"{method} of the wrapped estimator returned {_num_samples(output)} rows for "
                f"{n_inputs} distinct inputs. DedupPredictor needs one result for each input."
            )


@contextmanager
def _progress_bar(
    method: str, total: int, known: int, verbose: int
) -> Iterator[Callable[[int], None]]:
    if not verbose:
        yield lambda n_inputs: None
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:,.0f} of {task.total:,.0f} distinct inputs"),
        TimeRemainingColumn(elapsed_when_finished=True),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(method, total=total, completed=known)
        yield lambda n_inputs: bar.advance(task, n_inputs)


def _with_texts(rows: Any, texts: Sequence[Any]) -> Any:
    """Return `texts` in the container that `rows` is, with its index and names."""
    if isinstance(rows, pd.Series):
        return pd.Series(texts, index=rows.index, name=rows.name, dtype=object)
    if isinstance(rows, pd.DataFrame):
        return pd.DataFrame(texts, index=rows.index, columns=rows.columns, dtype=object)
    if isinstance(rows, np.ndarray):
        return np.array(texts, dtype=object).reshape(rows.shape)
    return texts
