"""Files in, files out: clean a corpus with a fitted filter."""

import re
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from hashlib import blake2b
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from sklearn.utils.validation import check_is_fitted

from skbert_filter.tables import (
    check_destination,
    check_text_column,
    create_table,
    encode_texts,
    open_table,
)

# Enough for batches of texts of like length, little enough for a lively progress bar.
_CHUNK_TEXTS = 1 << 13

# A longer text is remembered by its digest, so that an entry of any text takes little memory.
_LONGEST_KEY = 128

Progress = Callable[[float, int, int], None]


@dataclass(frozen=True)
class FilterSummary:
    """What `filter_corpus` did.

    Attributes
    ----------
    source, destination : str
        The files read and written.
    keep : label
        The label whose rows were kept.
    rows, distinct : int
        Rows read, and how many different texts they hold.
    kept, discarded : int
        Rows written, and the others.
    seconds : float
        Time from opening the source to the finished destination.
    """

    source: str
    destination: str
    keep: Any
    rows: int
    distinct: int
    kept: int
    discarded: int
    seconds: float

    @property
    def rows_per_second(self) -> float:
        """Rows read in a second, on average."""
        return self.rows / self.seconds

    def __str__(self) -> str:
        share = self.kept / max(self.rows, 1)
        return (
            f"{self.rows:,} rows of {self.source} hold {self.distinct:,} distinct texts.\n"
            f"{self.kept:,} rows ({share:.1%}) have the label {self.keep!r} "
            f"and are in {self.destination}; {self.discarded:,} were discarded.\n"
            f"{self.seconds:.1f} seconds, {self.rows_per_second:,.0f} rows per second."
        )

    def to_frame(self) -> pd.DataFrame:
        """Return the summary as a table of one row."""
        return pd.DataFrame([asdict(self) | {"rows_per_second": self.rows_per_second}])


def filter_corpus(
    model: Any,
    source: str | Path,
    destination: str | Path,
    *,
    text: str = "text",
    keep: Any = 1,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> FilterSummary:
    """Write the rows of a table whose text a classifier gives one label.

    Rows keep their order, and all columns their values and types. Each distinct text is
    computed once. Memory grows with the number of distinct texts, by up to 200 bytes each, not
    with the number of rows.

    Parameters
    ----------
    model : classifier or str or Path
        Any fitted text classifier, a folder written by
        `SmallBertTextFilter.save_pretrained`, or ``registry://workspace/name:version`` of
        Comet's model registry.
    source : str or Path
        A ``.csv``, ``.csv.gz`` or ``.parquet`` file. Values of CSV files are taken as
        they are written: ``NA`` is a text of two letters.
    destination : str or Path
        The file to write, with one of these extensions. It appears when it is complete;
        until then the rows are in ``<destination>.partial``.
    text : str, default="text"
        The column with the texts.
    keep : label, default=1
        The label to keep: one of ``model.classes_``, or its text form.
    overwrite : bool, default=False
        Whether to replace a `destination` that exists.
    progress : callable, default=None
        Called now and then as ``progress(share, rows, distinct)``: the share of the work
        that is done, between 0 and 1, and the rows and distinct texts seen.

    Returns
    -------
    summary : FilterSummary

    Raises
    ------
    FileNotFoundError
        If `source`, a model folder or the folder of `destination` does not exist.
    FileExistsError
        If `destination` exists and `overwrite` is False.
    ValueError
        If `destination` is `source`, an extension is unknown, the text column is missing
        or holds no text, a text is null, the file is damaged, or no class is `keep`.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from skbert_filter import filter_corpus
    >>> from skbert_filter.inspection.baselines import tfidf_baseline
    >>> texts = ["View All", "View more", "We make steel tools", "We build tools"]
    >>> model = tfidf_baseline().fit(texts, [0, 0, 1, 1])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     source, kept = Path(folder, "crawl.csv"), Path(folder, "kept.csv")
    ...     _ = source.write_text("id,text\\n007,We build boats\\n008,View All\\n009,View All\\n")
    ...     summary = filter_corpus(model, source, kept)
    ...     print(kept.read_text())
    "id","text"
    "007","We build boats"
    >>> summary.rows, summary.distinct, summary.kept, summary.discarded
    (3, 2, 1, 2)
    """
    start = perf_counter()
    source, destination = Path(source), Path(destination)
    with open_table(source) as table:
        check_text_column(table.schema, text, source)
        if destination.exists() and destination.samefile(source):
            raise ValueError(f"The destination {destination} is the source. Name another file.")
        check_destination(destination, overwrite=overwrite)
        model = load_classifier(model)
        label = _label(model, keep)
        decisions = _Decisions(model, label)
        rows = kept = 0
        share_before = 0.0
        with create_table(destination, table.schema) as write:
            for batch, share in table.batches:
                distinct, codes = encode_texts(batch.column(text), text, source, first_row=rows + 1)
                rows += batch.num_rows
                is_kept = np.empty(len(distinct), bool)
                for part in decisions.fill(is_kept, distinct):
                    if progress:
                        progress(share_before + part * (share - share_before), rows, len(decisions))
                share_before = share
                selected = batch.filter(pa.array(is_kept).take(codes))
                kept += selected.num_rows
                write(selected)
    return FilterSummary(
        source=str(source),
        destination=str(destination),
        keep=label,
        rows=rows,
        distinct=len(decisions),
        kept=kept,
        discarded=rows - kept,
        seconds=perf_counter() - start,
    )


def load_classifier(model: Any) -> Any:
    if not isinstance(model, str | Path):
        check_is_fitted(model)
        return model
    if str(model).startswith("registry:"):
        return _load_registered(model)
    if not Path(model).is_dir():
        raise FileNotFoundError(
            f"There is no model folder {model}. Give a folder written by save_pretrained "
            "or by `skbert-filter train`."
        )
    from skbert_filter.text_filter import SmallBertTextFilter

    return SmallBertTextFilter.from_pretrained(model)


def _load_registered(model: str | Path) -> Any:
    from skbert_filter.integrations.comet import load_model

    # a Path has one slash where two were written
    return load_model(re.sub(r"^registry:[/\\]*", "registry://", str(model)))


def _label(model: Any, keep: Any) -> Any:
    classes = model.classes_.tolist()
    same = [label for label in classes if label == keep]
    same_in_text = [label for label in classes if str(label) == str(keep)]
    if not same + same_in_text:
        raise ValueError(
            f"keep={keep!r} is no label of the model, which knows {classes[:10]}. "
            "Choose one of them."
        )
    return (same + same_in_text)[0]


class _Decisions:
    """Whether the model gives a text the label to keep: computed once for each distinct text."""

    def __init__(self, model: Any, label: Any):
        self._model = model
        self._label = label
        self._known: dict[str | bytes, bool] = {}

    def __len__(self) -> int:
        return len(self._known)

    def fill(self, is_kept: np.ndarray, texts: list[str]) -> Iterator[float]:
        """Set the decision on each of some distinct texts; give the share that is done."""
        keys = [text if len(text) <= _LONGEST_KEY else _digest(text) for text in texts]
        found = list(map(self._known.get, keys))
        new = [i for i, decision in enumerate(found) if decision is None]
        for first in range(0, len(new), _CHUNK_TEXTS):
            chunk = new[first : first + _CHUNK_TEXTS]
            right = np.asarray(self._model.predict([texts[i] for i in chunk])) == self._label
            for i, decision in zip(chunk, right.tolist(), strict=True):
                found[i] = self._known[keys[i]] = decision
            yield (first + len(chunk)) / len(new)
        is_kept[:] = found
        if not new:
            yield 1.0


def _digest(text: str) -> bytes:
    # 256 bits: nobody has two texts of one digest. Bytes are never equal to a str.
    return blake2b(text.encode(), digest_size=32).digest()
