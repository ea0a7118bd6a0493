"""Filter a Dask DataFrame: no row leaves its partition, no text is computed for every row.

Two ways to compute a text once. By default each worker remembers what it has computed: nothing
travels but the model, and a text that many workers meet is computed by each. With
``shuffle=True`` the distinct texts of each partition travel instead, to one place for each
text, and the results travel back.

Knows nothing of files; any fitted classifier will do.
"""

from array import array
from collections.abc import Callable
from contextlib import suppress
from difflib import get_close_matches
from functools import partial
from numbers import Real
from threading import Lock
from typing import Any, TypeAlias, get_args

import numpy as np
import pandas as pd
import pyarrow as pa
from sklearn.utils import check_scalar

from skbert_filter.corpus.classifiers import Decider, label_of, load_classifier
from skbert_filter.corpus.job import Nulls, two_names
from skbert_filter.duplicates.keys import first_rows, first_seen, lasting_keys, number_inputs
from skbert_filter.validation import check_texts

try:
    import dask.dataframe as dd
    from dask import delayed
    from dask.dataframe.dask_expr import new_collection
    from dask.dataframe.dask_expr._shuffle import Shuffle
except ImportError as error:
    raise ImportError(
        "skbert_filter.integrations.dask needs Dask. Install it with "
        "pip install 'skbert_filter[dask]'."
    ) from error

Decisions: TypeAlias = tuple[np.ndarray, np.ndarray]
# Takes a partition, the number of each row's text (-1: it has none), and what is said of each text.
_Finish: TypeAlias = Callable[[pd.DataFrame, np.ndarray, Decisions], pd.DataFrame]

# A longer text is remembered by its digest, so that an entry of any text takes little memory.
_LONGEST_KEY = 128
_CHUNK_TEXTS = 1 << 16
_BYTES: Any = pd.ArrowDtype(pa.large_binary())


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
    """Keep the rows whose text a classifier gives one label, or add what it says of them.

    Rows stay in their partitions and in their order, with their index and all columns as
    they are. Nothing is computed before the result is.

    Parameters
    ----------
    ddf : dask.dataframe.DataFrame
        The rows. Divisions need not be known, partitions may be empty.
    model : classifier or str or Path
        Any fitted text classifier, or a folder written by
        `SmallBertTextFilter.save_pretrained`, which is read here. It is sent to each worker,
        not with each partition.
    text : str, default="text"
        The column with the texts.
    keep : label, default=1
        The label to keep: one of ``model.classes_``, or its text form.
    threshold : float, default=None
        Keep texts for which the probability of `keep` is this or more. None: those for which
        ``model.predict`` gives it.
    columns : (str, str), default=None
        Return all rows, with two more columns: the label, and the probability of `keep`.
        These are their names, such as ``("label", "probability")``.
    nulls : {"error", "discard", "keep"}, default="error"
        What to do with rows that have no text.
    shuffle : bool, default=False
        How a text is computed once. False: each worker remembers what it has computed.
        True: the distinct texts of each partition are shuffled, so that each is computed by
        one worker alone; `ddf` is read twice. See Notes.

    Returns
    -------
    filtered : dask.dataframe.DataFrame
        With the partitions and divisions of `ddf`.

    Raises
    ------
    TypeError
        If `ddf` is no Dask DataFrame; when the result is computed, if a row of `text` is not a
        str.
    ValueError
        If `model` is no classifier or has no probabilities for a `threshold`, `ddf` has no such
        column, no class is `keep`, or an argument is not what is allowed; when the result is
        computed, if a text is missing. The partition and the row are named.
    sklearn.exceptions.NotFittedError
        If `model` is not fitted.

    Notes
    -----
    With `shuffle`, what travels is one entry for each partition and each distinct text in it:
    the text and 32 bytes, and 36 bytes back. Without, nothing does, and the workers together
    compute more texts: 1.2, 1.5, 1.9 and 2.4 times as many for 2, 4, 8 and 16 workers on a
    crawl of 1.9 million rows, of which 14 % are distinct. "Ten million rows, a cluster" in the
    documentation measures both.

    A worker's threads compute partitions side by side. Dask starts workers with
    ``OMP_NUM_THREADS=1``, so that a filter with ``n_jobs=None`` takes one thread for each.

    A partition is computed anew when its worker is lost. With `shuffle` it has to have the same
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
    >>> ddf = dd.from_pandas(rows, npartitions=2)
    >>> filter_dataframe(ddf, model).compute()
                 text
    1  We build boats
    3   We sell tools
    >>> labelled = filter_dataframe(ddf, model, columns=("label", "probability"))
    >>> labelled["label"].compute().tolist()
    [0, 1, 0, 1]
    """
    model = load_classifier(model)
    _check_arguments(ddf, text, threshold, columns, nulls)
    decider = Decider(
        model, label_of(model, keep), threshold, with_probabilities=columns is not None
    )
    finish: _Finish = (
        partial(_kept, number=decider.keep_number, nulls=nulls)
        if columns is None
        else partial(_labelled, names=columns, labels=decider.classes, nulls=nulls)
    )
    no_decisions = np.empty(0, np.int32), np.empty(0)
    meta = finish(ddf._meta, np.empty(0, np.intp), no_decisions)
    options: dict[str, Any] = {"text": text, "nulls": nulls}
    if not shuffle:
        remembered = partial(_by_memory, finish=finish, **options)
        return ddf.map_partitions(remembered, _sent(Memory, decider), meta=meta)
    answers = _shuffled_answers(ddf, decider, options)
    return ddf.map_partitions(partial(_by_answers, finish=finish, **options), answers, meta=meta)


class Memory:
    """A decider that remembers, within one process and as long as Dask keeps it there.

    Two threads that meet a new text at once may both compute it.

    Parameters
    ----------
    decider : Decider
    """

    def __init__(self, decider: Decider):
        self._decider = decider
        self._numbers: dict[str | bytes, int] = {}
        self._labels = array("i")
        self._probabilities = array("d")
        self._lock = Lock()

    def __reduce__(self) -> tuple:
        # To another worker goes the model, and not what this one remembers.
        return Memory, (self._decider,)

    def __call__(self, texts: list[str]) -> Decisions:
        """Return the number of the label of each of some distinct texts, and a probability."""
        keys = [text if len(text) <= _LONGEST_KEY else lasting_keys([text])[0] for text in texts]
        new = [i for i, key in enumerate(keys) if key not in self._numbers]
        labels, probabilities = _decide(self._decider, [texts[i] for i in new])
        with self._lock:
            for i, label, probability in zip(new, labels, probabilities, strict=True):
                n_known = len(self._labels)
                if self._numbers.setdefault(keys[i], n_known) == n_known:
                    self._labels.append(label)
                    self._probabilities.append(probability)
            numbers = list(map(self._numbers.__getitem__, keys))
            return (
                np.frombuffer(self._labels, np.int32)[numbers],
                np.frombuffer(self._probabilities)[numbers],
            )


def _decide(decider: Decider, texts: list[str]) -> Decisions:
    labels, probabilities = np.empty(len(texts), np.int32), np.empty(len(texts))
    for first in range(0, len(texts), _CHUNK_TEXTS):
        part = slice(first, first + _CHUNK_TEXTS)
        labels[part], probabilities[part] = decider(texts[part])
    return labels, probabilities


def _sent(make: Callable[[Decider], Any], decider: Decider) -> Any:
    # A task, not an argument of all others: a worker makes or receives its result once.
    return delayed(make, pure=False)(decider)


def _as_it_is(decider: Decider) -> Decider:
    return decider


def _by_memory(
    part: pd.DataFrame,
    memory: Memory,
    *,
    finish: _Finish,
    text: str,
    nulls: Nulls,
    partition_info: dict[str, Any],
) -> pd.DataFrame:
    codes, distinct = _number_texts(part[text], text, nulls, partition_info["number"])
    return finish(part, codes, memory(distinct))


def _shuffled_answers(ddf: dd.DataFrame, decider: Decider, options: dict[str, Any]) -> dd.DataFrame:
    """Return a frame with a row for each distinct text of the same partition of `ddf`."""
    n = ddf.npartitions
    number, key = pd.Series(dtype=np.int64), pd.Series(dtype=_BYTES)
    asked = ddf[[options["text"]]].map_partitions(
        partial(_ask, n_places=n, **options),
        meta=pd.DataFrame({"_partitions": number, "key": key, "text": key, "origin": number}),
    )
    # Optimized by itself, it reads only the texts. Otherwise all partitions would be read once,
    # and be held until the answers are there.
    asked = asked.optimize()
    answered = _to_partitions(asked, n).map_partitions(
        _answer,
        _sent(_as_it_is, decider),
        meta=pd.DataFrame(
            {
                "_partitions": number,
                "key": key,
                "label": pd.Series(dtype=np.int32),
                "probability": pd.Series(dtype=float),
            }
        ),
    )
    return _to_partitions(answered, n)


def _to_partitions(ddf: dd.DataFrame, n: int) -> dd.DataFrame:
    """Send each row to the partition whose number is in its column ``_partitions``."""
    # DataFrame.shuffle would hash the numbers. This is what it, and set_index, are made of.
    shuffled = new_collection(Shuffle(ddf.expr, "_partitions", n, True))
    return shuffled[[column for column in ddf.columns if column != "_partitions"]]


def _ask(
    part: pd.DataFrame, *, n_places: int, text: str, nulls: Nulls, partition_info: dict[str, Any]
) -> pd.DataFrame:
    """Return the distinct texts of a partition, each with the place where it is computed."""
    _, distinct = _number_texts(part[text], text, nulls, partition_info["number"])
    keys = lasting_keys(distinct)
    places = np.frombuffer(b"".join(keys), np.uint64)[::2] % np.uint64(n_places)
    return pd.DataFrame(
        {
            "_partitions": places.astype(np.int64),
            "key": _column(keys),
            # bytes, since a str of Arrow cannot hold lone surrogates
            "text": _column([t.encode("utf-8", "surrogatepass") for t in distinct]),
            "origin": np.full(len(keys), partition_info["number"], np.int64),
        }
    )


def _answer(asked: pd.DataFrame, decider: Decider) -> pd.DataFrame:
    """Decide each distinct text that was sent to a place, and address the answers."""
    codes, _ = first_seen(_listed(asked["key"]))
    texts = _listed(asked["text"].iloc[first_rows(codes)])
    labels, probabilities = _decide(decider, [t.decode("utf-8", "surrogatepass") for t in texts])
    return pd.DataFrame(
        {
            "_partitions": asked["origin"].array,
            "key": asked["key"].array,
            "label": labels[codes],
            "probability": probabilities[codes],
        }
    )


def _column(values: list[bytes]) -> pd.api.extensions.ExtensionArray:
    # pandas.array would go through NumPy: as many bytes for each as the longest has, and no NUL
    # at an end.
    return pd.arrays.ArrowExtensionArray(pa.array(values, pa.large_binary()))


def _listed(values: pd.Series) -> list[bytes]:
    return pa.array(values).to_pylist()


def _by_answers(
    part: pd.DataFrame,
    answers: pd.DataFrame,
    *,
    finish: _Finish,
    text: str,
    nulls: Nulls,
    partition_info: dict[str, Any],
) -> pd.DataFrame:
    codes, distinct = _number_texts(part[text], text, nulls, partition_info["number"])
    # By key, not by position: a partition that is computed again may have another order.
    row_of = {key: row for row, key in enumerate(_listed(answers["key"]))}
    rows = [row_of.get(key, -1) for key in lasting_keys(distinct)]
    if -1 in rows:
        raise ValueError(
            f"Partition {partition_info['number']} had other texts when it was computed again. "
            "Call persist() on the data frame before, or leave out shuffle=True."
        )
    labels, probabilities = answers["label"].to_numpy(), answers["probability"].to_numpy()
    return finish(part, codes, (labels[rows], probabilities[rows]))


def _number_texts(
    series: pd.Series, text: str, nulls: Nulls, partition: int
) -> tuple[np.ndarray, list[str]]:
    """Number the distinct texts of a partition; rows without a text get -1."""
    missing = series.isna().to_numpy()
    where = f"column {text!r} of partition {partition}"
    if nulls == "error" and missing.any():
        row = int(missing.argmax())
        raise ValueError(
            f"Row {row} of {where} (the first is 0, index {series.index[row]!r}) has no text. "
            "Fill or drop such rows, or pass nulls='discard' or nulls='keep'."
        )
    codes = np.full(len(series), -1, np.intp)
    if missing.all():
        return codes, []
    numbered = None
    with suppress(TypeError, ValueError):
        numbered = number_inputs(series[~missing])
    if numbered is None:
        # Refuses what is not a str, by its row among all.
        texts = check_texts(series.astype(object).where(~missing, ""), name=where)
        numbered = first_seen([texts[row] for row in np.flatnonzero(~missing)])
    codes[~missing], distinct = numbered
    return codes, distinct


def _kept(
    part: pd.DataFrame, codes: np.ndarray, decisions: Decisions, *, number: int, nulls: Nulls
) -> pd.DataFrame:
    has_text = codes >= 0
    is_kept = np.full(len(codes), nulls == "keep")
    is_kept[has_text] = (decisions[0] == number)[codes[has_text]]
    return part[is_kept]


def _labelled(
    part: pd.DataFrame,
    codes: np.ndarray,
    decisions: Decisions,
    *,
    names: tuple[str, str],
    labels: list[Any],
    nulls: Nulls,
) -> pd.DataFrame:
    if nulls == "discard":
        part, codes = part[codes >= 0], codes[codes >= 0]
    has_text = codes >= 0
    numbers, probability = np.full(len(codes), -1), np.full(len(codes), np.nan)
    numbers[has_text] = decisions[0][codes[has_text]]
    probability[has_text] = decisions[1][codes[has_text]]
    # Only a nullable type has room for a missing label.
    of_classes = pd.array(labels) if nulls == "keep" else pd.Series(labels).array
    label = of_classes.take(numbers, allow_fill=nulls == "keep")
    return part.assign(**dict(zip(names, (label, probability), strict=True)))


def _check_arguments(
    ddf: dd.DataFrame,
    text: str,
    threshold: float | None,
    columns: tuple[str, str] | None,
    nulls: Nulls,
) -> None:
    if not isinstance(ddf, dd.DataFrame):
        raise TypeError(
            f"ddf is of type {type(ddf).__name__}, not a Dask DataFrame. Make one, e.g. with "
            "dask.dataframe.from_pandas or read_parquet."
        )
    if nulls not in get_args(Nulls):
        raise ValueError(f"nulls is {nulls!r}. It must be 'error', 'discard' or 'keep'.")
    if threshold is not None:
        check_scalar(threshold, "threshold", Real, min_val=0, max_val=1)
    present = list(ddf.columns)
    if present.count(text) > 1:
        raise ValueError(f"The data frame has several columns {text!r}. Rename all but one.")
    if text not in present:
        close = get_close_matches(str(text), map(str, present), n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise ValueError(
            f"The data frame has no column {text!r}.{hint} Its columns are: "
            f"{', '.join(map(str, present))}."
        )
    for name in two_names(columns) or ():
        if name in present:
            raise ValueError(
                f"The data frame has a column {name!r} already. Name other columns to add."
            )
