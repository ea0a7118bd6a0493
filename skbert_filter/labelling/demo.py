"""The whole workflow on generated data: label, train, score, and clean a corpus."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from skbert_filter.corpus import FilterSummary, Progress, filter_corpus
from skbert_filter.datasets import make_website_corpus, make_website_snippets
from skbert_filter.io.atomic import atomic_write
from skbert_filter.io.writing import write_table
from skbert_filter.labelling.train import TrainingSummary, train_filter
from skbert_filter.printing import Report

_LOGGER = logging.getLogger(__name__)
# Marks the folder of a demo. If this text changes, folders of older demos are not recognized.
_README = """\
Written by `skbert-filter demo`, which replaces these files when it is run again:

labels.csv  generated snippets, labelled 1 (keep) or 0 (discard)
corpus.csv  a generated corpus to clean
model/      the filter that learnt from labels.csv
kept.csv    the lines of corpus.csv that it keeps
"""


@dataclass(frozen=True)
class DemoSummary(Report):
    """The result of `run_demo`.

    Attributes
    ----------
    training : TrainingSummary
    filtering : FilterSummary
    """

    training: TrainingSummary
    filtering: FilterSummary

    def __str__(self) -> str:
        return f"{self.training}\n\n{self.filtering}"

    def to_frame(self) -> pd.DataFrame:
        """Return the examples of the filtering as a table."""
        return self.filtering.examples


def run_demo(
    folder: str | Path = "skbert-filter-demo",
    *,
    n_rows: int = 200_000,
    n_snippets: int = 5600,
    random_state: int = 0,
    callbacks: Sequence[Any] = (),
    progress: Progress | None = None,
) -> DemoSummary:
    """Generate labels and a corpus, train a filter on the labels and clean the corpus.

    Parameters
    ----------
    folder : str or Path, default="skbert-filter-demo"
        Where to write ``labels.csv``, ``corpus.csv``, ``model/`` and ``kept.csv``: a new or
        empty folder, or that of an earlier demo, whose files are replaced.
    n_rows : int, default=200_000
        Rows of the corpus.
    n_snippets : int, default=5600
        Labelled snippets, repeats included.
    random_state : int, default=0
        The seed of the data, the split and the model.
    callbacks, progress
        As for `train_filter` and `filter_corpus`.

    Returns
    -------
    summary : DemoSummary

    Raises
    ------
    FileExistsError
        If `folder` is a file, or holds files that no demo wrote.

    Examples
    --------
    >>> import tempfile
    >>> from skbert_filter.labelling.demo import run_demo
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     summary = run_demo(folder, n_rows=1000, n_snippets=300)
    >>> summary.filtering.rows
    1000
    """
    folder = Path(folder)
    _claim(folder)

    texts, labels = make_website_snippets(n_snippets, random_state=random_state)
    write_table(pa.table({"text": texts, "label": labels}), folder / "labels.csv", overwrite=True)
    corpus = make_website_corpus(n_rows, random_state=random_state)
    table = pa.table({"id": np.arange(n_rows), "text": corpus})
    write_table(table, folder / "corpus.csv", overwrite=True)

    training = train_filter(
        folder / "labels.csv",
        folder / "model",
        model="bert",
        refit=False,
        overwrite=True,
        random_state=random_state,
        callbacks=callbacks,
    )
    _LOGGER.info("Cleaning")
    filtering = filter_corpus(
        training.model,
        folder / "corpus.csv",
        folder / "kept.csv",
        overwrite=True,
        progress=progress,
    )
    return DemoSummary(training, filtering)


def _claim(folder: Path) -> None:
    """Create the folder and its README, unless it holds files that no demo wrote."""
    readme = folder / "README.txt"
    if folder.is_file():
        raise FileExistsError(f"{folder} is a file. Name a folder for the demo.")
    is_of_demo = readme.is_file() and readme.read_text("utf-8", errors="replace") == _README
    if folder.is_dir() and any(folder.iterdir()) and not is_of_demo:
        raise FileExistsError(
            f"The folder {folder} holds files that no demo wrote. Name another folder."
        )
    folder.mkdir(parents=True, exist_ok=True)
    with atomic_write(readme, overwrite=True) as temporary:
        temporary.write_text(_README, encoding="utf-8")
