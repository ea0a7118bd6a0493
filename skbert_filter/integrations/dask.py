"""Filter a Dask DataFrame: rows stay in their partitions; a worker scores a repeated text once.

Works with any fitted classifier, and knows nothing of corpus files.
"""

from contextlib import suppress
from copy import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from skbert_filter.duplicates.distinct import (
    DECISION,
    Decider,
    Nulls,
    TextMemory,
    check_classifier,
    check_options,
)
from skbert_filter.duplicates.keys import factorize, first_seen, stable_hashes
from skbert_filter.io.columns import check_column
from skbert_filter.validation import check_texts

try:
    import dask.dataframe as dd
    from dask import delayed
    from dask.dataframe.dask_expr import new_collection
    from dask.dataframe.dask_expr._shuffle import Shuffle
except ImportError as error:
    raise ImportError(
        "skbert_filter.integrations.dask needs Dask. Run: pip install 'dask[dataframe]' distributed"
    ) from error


def filter_dataframe(
    ddf: dd.DataFrame,
    model: Any,
    *,
    text: str = "text",
    keep: Any = 1,
    threshold: float | None = None,
    columns: tuple[str, str] | None = None,
    nulls: Nulls = "error",
    shuffle: bool = False,
) -> dd.DataFrame:
    """Keep the rows whose text is predicted to have one label, or add predictions to all rows.

    Rows keep their partition, order, index and columns. Nothing is computed until the result is.

    Parameters
    ----------
    ddf : dask.dataframe.DataFrame
        The rows. Divisions need not be known, partitions may be empty.
    model : classifier or str or Path
        Any fitted text classifier; a folder written by `SmallBertTextFilter.save_pretrained` or
        ``skbert-filter train``; or ``registry://workspace/name:version`` of Comet's model registry.
        It is loaded by the client, and sent to each worker once.
    text : str, default="text"
        The column with the texts.
    keep : label, default=1
        The label to keep: one of ``model.classes_``, or its text form.
    threshold : float, default=None
        The least probability of `keep` with which a text is kept. None: keep the texts for which
        ``model.predict`` returns it.
    columns : (str, str), default=None
        The names of two columns to add to all rows, instead of filtering them: the label, and the
        probability of `keep`.
    nulls : {"error", "discard", "keep"}, default="error"
        What to do with rows that have no text.
    shuffle : bool, default=False
        False: each worker remembers the texts it has scored, and only the model is sent to it.
        True: each distinct text is sent to one worker, so that no other scores it; `ddf` is read
        twice.

    Returns
    -------
    filtered : dask.dataframe.DataFrame
        It has the partitions and divisions of `ddf`.

    Raises
    ------
    TypeError
        If `ddf` is not a Dask DataFrame; when the result is computed, if a row of `text` is not a
        str.
    ValueError
        If `model` is not a classifier or has no probabilities for a `threshold`, or an argument is
        wrong; when the result is computed, if a text is missing, with its partition and row.
    sklearn.exceptions.NotFittedError
        If `model` is not fitted.

    Notes
    -----
    Without `shuffle`, 2 workers scored 1.2 times and 16 workers 2.4 times as many texts as there
    were distinct ones; the documentation of clusters compares the costs.

    A partition is computed again when its worker is lost. With `shuffle` it must then have the same
    texts: if `ddf` is drawn at random, call ``persist`` on it first.

    Examples
    --------
    >>> import dask.dataframe as dd
    >>> import pandas as pd
    >>> from skbert_filter.inspection import tfidf_baseline
    >>> from skbert_filter.integrations.dask import filter_dataframe
    >>> texts = ["View All", "View more", "We make steel tools", "We build tools"]
    >>> model = tfidf_baseline().fit(texts, [0, 0, 1, 1])
    >>> rows = pd.DataFrame({"text": ["View All", "We build boats", "View All", "We sell tools"]})
    >>> filter_dataframe(dd.from_pandas(rows, npartitions=2), model).compute()
                 text
    1  We build boats
    3   We sell tools
    """
    columns = check_options(threshold, columns, nulls)
    _check_columns(ddf, text, columns)
    model = check_classifier(_load_model(model), "model")
    decider = Decider(model, keep, threshold, with_probabilities=columns is not None)
    job = _PartitionJob(text, columns, nulls, decider.classes, decider.keep_number)
    meta = job.apply(ddf._meta, np.empty(0, np.intp), np.empty(0, DECISION))

    # Delayed, so that a worker makes or receives it once, not with each partition.
    if not shuffle:
        memory = delayed(TextMemory, pure=False)(decider)
        return ddf.map_partitions(job.score, memory, meta=meta)

    no_requests = _requests([], 0, 1)
    requests = ddf[[text]].map_partitions(job.request, ddf.npartitions, meta=no_requests)
    # Optimized separately, this reads only the texts. Otherwise all partitions would be read once,
    # and held until the decisions arrive.
    requests = _to_partitions(requests.optimize())
    decisions = requests.map_partitions(
        _decide, delayed(copy, pure=False)(decider), meta=_decide(no_requests, decider)
    )
    return ddf.map_partitions(job.look_up, _to_partitions(decisions), meta=meta)


@dataclass(frozen=True)
class _PartitionJob:
    """What to do with each partition; `labels` are the classes of the model."""

    text: str
    columns: tuple[str, str] | None
    nulls: Nulls
    labels: list[Any]
    keep_number: int

    def score(
        self, part: pd.DataFrame, memory: TextMemory, *, partition_info: dict[str, Any]
    ) -> pd.DataFrame:
        """Score the distinct texts, and filter the rows by the results."""
        codes, distinct = self._factorize(part, partition_info["number"])
        return self.apply(part, codes, memory(distinct))

    def request(
        self, part: pd.DataFrame, n_partitions: int, *, partition_info: dict[str, Any]
    ) -> pd.DataFrame:
        """Return the distinct texts, each with the partition in which it will be scored."""
        number = partition_info["number"]
        _, distinct = self._factorize(part, number)
        return _requests(distinct, number, n_partitions)

    def look_up(
        self, part: pd.DataFrame, decisions: pd.DataFrame, *, partition_info: dict[str, Any]
    ) -> pd.DataFrame:
        """Filter the rows by the decisions on their distinct texts."""
        number = partition_info["number"]
        codes, distinct = self._factorize(part, number)
        # By key, not by position: the order may change when a partition is computed again.
        rows = pd.Index(pa.array(decisions["key"]).to_pylist()).get_indexer(stable_hashes(distinct))
        if (rows < 0).any():
            raise ValueError(
                f"Partition {number} had other texts when it was computed again. "
                "Call persist() on the data frame first, or omit shuffle=True."
            )
        records = decisions[["label", "probability"]].iloc[rows].to_records(index=False)
        return self.apply(part, codes, records.astype(DECISION))

    def apply(self, part: pd.DataFrame, codes: np.ndarray, decisions: np.ndarray) -> pd.DataFrame:
        """Return the rows to keep, or all rows with two more columns.

        `codes` are the positions of the rows' texts in `decisions`, -1 where there is no text.
        """
        row_decisions = np.append(decisions, np.array([(-1, np.nan)], DECISION))[codes]
        has_text = codes >= 0
        if self.columns is None:
            is_kept = row_decisions["label"] == self.keep_number
            return part[np.where(has_text, is_kept, self.nulls == "keep")]

        if self.nulls == "discard":
            part, row_decisions = part[has_text], row_decisions[has_text]
        # Only a nullable type has room for a missing label.
        keeps_nulls = self.nulls == "keep"
        classes = pd.array(self.labels) if keeps_nulls else pd.Series(self.labels).array
        label = classes.take(row_decisions["label"], allow_fill=keeps_nulls)
        values = (label, row_decisions["probability"])
        return part.assign(**dict(zip(self.columns, values, strict=True)))

    def _factorize(self, part: pd.DataFrame, partition: int) -> tuple[np.ndarray, list[str]]:
        """Return the code of each row's text, -1 where it is missing, and the distinct texts."""
        series = part[self.text]
        missing = series.isna().to_numpy()
        where = f"column {self.text!r} of partition {partition}"
        if self.nulls == "error" and missing.any():
            row = int(missing.argmax())
            raise ValueError(
                f"Row {row} of {where} (the first is 0, index {series.index[row]!r}) has no text. "
                "Fill or drop such rows, or pass nulls='discard' or nulls='keep'."
            )

        codes = np.full(len(series), -1, np.intp)
        if missing.all():
            return codes, []

        factorized = None
        with suppress(TypeError, ValueError):
            factorized = factorize(series[~missing])
        if factorized is None:
            # The error about a value that is not a str has its row in the partition.
            texts = check_texts(series.astype(object).where(~missing, ""), name=where)
            factorized = first_seen([texts[row] for row in np.flatnonzero(~missing)])

        codes[~missing], distinct = factorized
        return codes, distinct


def _to_partitions(ddf: dd.DataFrame) -> dd.DataFrame:
    """Send each row to the partition whose number is in its column ``_partitions``."""
    # DataFrame.shuffle would hash the numbers, and set_index would sort the rows; both are built
    # on this.
    shuffled = new_collection(Shuffle(ddf.expr, "_partitions", ddf.npartitions, True))
    return shuffled[[column for column in ddf.columns if column != "_partitions"]]


def _requests(texts: list[str], origin: int, n_partitions: int) -> pd.DataFrame:
    """Return a table that asks for decisions on texts, and sends them back to `origin`."""
    keys = stable_hashes(texts)
    numbers = np.frombuffer(b"".join(keys), np.uint64)[::2] % np.uint64(n_partitions)
    return pd.DataFrame(
        {
            "_partitions": numbers.astype(np.int64),
            "key": _binary(keys),
            # Arrow strings cannot hold lone surrogates.
            "text": _binary([text.encode("utf-8", "surrogatepass") for text in texts]),
            "origin": np.full(len(keys), origin, np.int64),
        }
    )


def _decide(requests: pd.DataFrame, decider: Decider) -> pd.DataFrame:
    """Return the decisions on the requested texts, addressed to the partitions they come from."""
    codes, distinct = first_seen(pa.array(requests["text"]).to_pylist())
    texts = [text.decode("utf-8", "surrogatepass") for text in distinct]
    # A new memory, which scores in chunks; no other task has these texts.
    decisions = TextMemory(decider)(texts)[codes]
    return pd.DataFrame(
        {
            "_partitions": requests["origin"].array,
            "key": requests["key"].array,
            "label": decisions["label"],
            "probability": decisions["probability"],
        }
    )


def _binary(values: list[bytes]) -> pd.api.extensions.ExtensionArray:
    # pandas.array would convert to NumPy's fixed-width bytes, which lose NULs at the end.
    return pd.arrays.ArrowExtensionArray(pa.array(values, pa.large_binary()))


def _load_model(model: Any) -> Any:
    if not isinstance(model, str | Path):
        return model
    if str(model).startswith("registry:"):
        from skbert_filter.integrations.comet import load_model

        return load_model(model)
    from skbert_filter.saved_models import load_saved

    return load_saved(model)


def _check_columns(ddf: dd.DataFrame, text: str, columns: tuple[str, str] | None) -> None:
    if not isinstance(ddf, dd.DataFrame):
        raise TypeError(
            f"ddf is of type {type(ddf).__name__}, not a Dask DataFrame. Make one, e.g. with "
            "dask.dataframe.from_pandas or read_parquet."
        )
    check_column(pa.schema([(str(name), pa.null()) for name in ddf.columns]), text, Path("ddf"))
    for name in columns or ():
        if name in ddf.columns:
            raise ValueError(f"ddf has a column {name!r} already. Name other columns to add.")
