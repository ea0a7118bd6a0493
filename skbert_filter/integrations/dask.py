"""Filter a Dask DataFrame: no row leaves its partition, no text is computed for every row.

Knows nothing of files; any fitted classifier will do.
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
    """Keep the rows whose text a classifier gives one label, or add what it says about them.

    Rows stay in their partitions and in their order, with their index and all columns as
    they are. Nothing is computed before the result is.

    Parameters
    ----------
    ddf : dask.dataframe.DataFrame
        The rows. Divisions need not be known, partitions may be empty.
    model : classifier or str or Path
        Any fitted text classifier; a folder written by `SmallBertTextFilter.save_pretrained` or
        ``skbert-filter train``; or ``registry://workspace/name:version`` of Comet's model registry.
        It is read here, and sent to each worker, not with each partition.
    text : str, default="text"
        The column with the texts.
    keep : label, default=1
        The label to keep: one of ``model.classes_``, or its text form.
    threshold : float, default=None
        Keep texts for which the probability of `keep` is this or more. None: those for which
        ``model.predict`` gives it.
    columns : (str, str), default=None
        The names of two columns to add to all rows, instead of keeping some: the label, and the
        probability of `keep`.
    nulls : {"error", "discard", "keep"}, default="error"
        What to do with rows that have no text.
    shuffle : bool, default=False
        How a text is computed once. False: each worker remembers what it has computed, and nothing
        travels but the model. True: the distinct texts of each partition travel, so that each is
        computed by one worker alone; `ddf` is read twice.

    Returns
    -------
    filtered : dask.dataframe.DataFrame
        With the partitions and divisions of `ddf`.

    Raises
    ------
    TypeError
        If `ddf` is not a Dask DataFrame; when the result is computed, if a row of `text` is not a
        str.
    ValueError
        If `model` is not a classifier or has no probabilities for a `threshold`, or an argument is
        wrong; when the result is computed, if a text is missing. The partition and the row are
        named.
    sklearn.exceptions.NotFittedError
        If `model` is not fitted.

    Notes
    -----
    "Ten million rows, a cluster" in the documentation measures what each way costs: without
    `shuffle` workers compute 1.2 times as many texts if there are 2 of them, and 2.4 times if 16.

    A partition is computed again when its worker is lost. With `shuffle` it must have the same
    texts each time: persist a `ddf` that is drawn at random before.

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
    model = check_classifier(_loaded(model), "model")
    decider = Decider(model, keep, threshold, with_probabilities=columns is not None)
    parts = _Parts(text, columns, nulls, decider.classes, decider.keep_number)
    meta = parts.finish(ddf._meta, np.empty(0, np.intp), np.empty(0, DECISION))

    # A task, not an argument of all others: a worker makes or receives its result once.
    if not shuffle:
        memory = delayed(TextMemory, pure=False)(decider)
        return ddf.map_partitions(parts.decide, memory, meta=meta)

    nothing = _asked([], 0, 1)
    asked = ddf[[text]].map_partitions(parts.ask, ddf.npartitions, meta=nothing)
    # Optimized by itself, it reads only the texts. Otherwise all partitions would be read once,
    # and be held until the answers are there.
    asked = _to_partitions(asked.optimize())
    answers = asked.map_partitions(
        _answer, delayed(copy, pure=False)(decider), meta=_answer(nothing, decider)
    )
    return ddf.map_partitions(parts.look_up, _to_partitions(answers), meta=meta)


@dataclass(frozen=True)
class _Parts:
    """What is done with a partition: `labels` and the one to keep are those of the model."""

    text: str
    columns: tuple[str, str] | None
    nulls: Nulls
    labels: list[Any]
    keep_number: int

    def decide(
        self, part: pd.DataFrame, memory: TextMemory, *, partition_info: dict[str, Any]
    ) -> pd.DataFrame:
        """Decide the distinct texts, and finish the partition."""
        codes, distinct = self._factorize(part, partition_info["number"])
        return self.finish(part, codes, memory(distinct))

    def ask(
        self, part: pd.DataFrame, n_places: int, *, partition_info: dict[str, Any]
    ) -> pd.DataFrame:
        """Return the distinct texts, each with the place where it is computed."""
        number = partition_info["number"]
        _, distinct = self._factorize(part, number)
        return _asked(distinct, number, n_places)

    def look_up(
        self, part: pd.DataFrame, answers: pd.DataFrame, *, partition_info: dict[str, Any]
    ) -> pd.DataFrame:
        """Finish the partition with the answers for its distinct texts."""
        number = partition_info["number"]
        codes, distinct = self._factorize(part, number)
        # By key, not by position: a partition that is computed again may have another order.
        rows = pd.Index(pa.array(answers["key"]).to_pylist()).get_indexer(stable_hashes(distinct))
        if (rows < 0).any():
            raise ValueError(
                f"Partition {number} had other texts when it was computed again. "
                "Call persist() on the data frame before, or omit shuffle=True."
            )
        decisions = answers[["label", "probability"]].iloc[rows].to_records(index=False)
        return self.finish(part, codes, decisions.astype(DECISION))

    def finish(self, part: pd.DataFrame, codes: np.ndarray, decisions: np.ndarray) -> pd.DataFrame:
        """Return the rows to keep, or all with two more columns; the code of no text is -1."""
        of_rows = np.append(decisions, np.array([(-1, np.nan)], DECISION))[codes]
        has_text = codes >= 0
        if self.columns is None:
            is_kept = of_rows["label"] == self.keep_number
            return part[np.where(has_text, is_kept, self.nulls == "keep")]

        if self.nulls == "discard":
            part, of_rows = part[has_text], of_rows[has_text]
        # Only a nullable type has room for a missing label.
        keeps_nulls = self.nulls == "keep"
        of_classes = pd.array(self.labels) if keeps_nulls else pd.Series(self.labels).array
        label = of_classes.take(of_rows["label"], allow_fill=keeps_nulls)
        return part.assign(**dict(zip(self.columns, (label, of_rows["probability"]), strict=True)))

    def _factorize(self, part: pd.DataFrame, partition: int) -> tuple[np.ndarray, list[str]]:
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

        found = None
        with suppress(TypeError, ValueError):
            found = factorize(series[~missing])
        if found is None:
            # Refuses what is not a str, by its row among all.
            texts = check_texts(series.astype(object).where(~missing, ""), name=where)
            found = first_seen([texts[row] for row in np.flatnonzero(~missing)])

        codes[~missing], distinct = found
        return codes, distinct


def _to_partitions(ddf: dd.DataFrame) -> dd.DataFrame:
    """Send each row to the partition whose number is in its column ``_partitions``."""
    # DataFrame.shuffle would hash the numbers, and set_index sort the rows. This is what they are
    # made of.
    shuffled = new_collection(Shuffle(ddf.expr, "_partitions", ddf.npartitions, True))
    return shuffled[[column for column in ddf.columns if column != "_partitions"]]


def _asked(texts: list[str], origin: int, n_places: int) -> pd.DataFrame:
    keys = stable_hashes(texts)
    places = np.frombuffer(b"".join(keys), np.uint64)[::2] % np.uint64(n_places)
    return pd.DataFrame(
        {
            "_partitions": places.astype(np.int64),
            "key": _column(keys),
            # bytes, since a str of Arrow cannot hold lone surrogates
            "text": _column([text.encode("utf-8", "surrogatepass") for text in texts]),
            "origin": np.full(len(keys), origin, np.int64),
        }
    )


def _answer(asked: pd.DataFrame, decider: Decider) -> pd.DataFrame:
    """Decide each distinct text that was sent to a place, and address the answers."""
    codes, distinct = first_seen(pa.array(asked["text"]).to_pylist())
    texts = [text.decode("utf-8", "surrogatepass") for text in distinct]
    # In chunks; it forgets them, since no other task has these texts.
    decisions = TextMemory(decider)(texts)[codes]
    return pd.DataFrame(
        {
            "_partitions": asked["origin"].array,
            "key": asked["key"].array,
            "label": decisions["label"],
            "probability": decisions["probability"],
        }
    )


def _column(values: list[bytes]) -> pd.api.extensions.ExtensionArray:
    # pandas.array would go through NumPy: as many bytes for each as the longest has, and no NUL
    # at an end.
    return pd.arrays.ArrowExtensionArray(pa.array(values, pa.large_binary()))


def _loaded(model: Any) -> Any:
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
