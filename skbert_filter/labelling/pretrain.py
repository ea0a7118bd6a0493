"""Learn an encoder from files of texts, and save it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any

import pandas as pd
from sklearn.base import clone

from skbert_filter.bert.folder import Kind, check_can_save, save_over
from skbert_filter.corpus.sources import check_apart, list_sources, text_arrays
from skbert_filter.io.remote import as_path
from skbert_filter.labelling.label_table import read_label_table
from skbert_filter.pretrainer import distinct_texts
from skbert_filter.printing import Report, counted, printable


@dataclass(frozen=True)
class PretrainingSummary(Report):
    """What `pretrain_encoder` did.

    Attributes
    ----------
    source, destination : str
        The file or folder of texts, and the folder of the encoder.
    rows, distinct, labelled : int
        Texts read, distinct texts, and how many of these have a label.
    epochs, steps : int
        Passes over the distinct texts, the last of which may be partial, and training steps.
    loss : float
        Mean cross-entropy of the masked words in the last epoch.
    seconds : float
    pretrainer : SmallBertPretrainer
        Fitted, as saved.
    """

    source: str
    destination: str
    rows: int
    distinct: int
    epochs: int
    steps: int
    labelled: int
    loss: float
    seconds: float
    pretrainer: Any = field(repr=False, compare=False)

    def __str__(self) -> str:
        labelled = f", {self.labelled:,} of them with a label" if self.labelled else ""
        what = "encoder and its filter are" if self.labelled else "encoder is"
        return (
            f"{counted(self.rows, 'row')} of {printable(self.source)}: "
            f"{counted(self.distinct, 'distinct text')}{labelled}.\n"
            f"Trained to predict masked words for {counted(self.epochs, 'epoch')} "
            f"({counted(self.steps, 'step')}); "
            f"the last loss is {self.loss:.3f}.\n"
            f"The {what} in {printable(self.destination)}; {self.seconds:.1f} seconds."
        )

    def to_frame(self) -> pd.DataFrame:
        """Return the summary as a table of one row."""
        return pd.DataFrame([{n: v for n, v in vars(self).items() if n != "pretrainer"}])


def pretrain_encoder(
    corpus: str | Path,
    destination: str | Path,
    *,
    text: str = "text",
    labelled: str | Path | None = None,
    label: str = "label",
    encoding: str | None = None,
    delimiter: str | None = None,
    estimator: Any = None,
    overwrite: bool = False,
    random_state: int | None = None,
    callbacks: Sequence[Any] = (),
) -> PretrainingSummary:
    """Learn a tokenizer and an encoder from files of texts, and save them.

    Memory grows with the number of distinct texts, not rows.

    Parameters
    ----------
    corpus : str or Path
        Texts without labels, in any source that `filter_corpus` reads: a file, a folder of files,
        or ``-``.
    destination : str or Path
        The folder to save the encoder in, for ``SmallBertTextFilter(checkpoint=destination)``. It
        appears once it is complete.
    text : str, default="text"
        The column with the texts, also in `labelled`; a file of lines has no columns.
    labelled : str or Path, default=None
        A table of labelled texts, as `train_filter` reads it. The encoder learns them too, and is
        saved as a filter for these labels, which also serves as a checkpoint.
    label : str, default="label"
        The column of `labelled` with the labels.
    encoding, delimiter : str, default=None
        As for `read_label_table`.
    estimator : SmallBertPretrainer, default=None
        The pretrainer to fit a clone of; None for the default with `random_state`.
    overwrite : bool, default=False
        Whether to replace a saved encoder at `destination`.
    random_state : int, default=None
        Seed of the default `estimator`.
    callbacks : sequence of scikit-learn callbacks, default=()
        Such as ``sklearn.callback.ProgressBar()``.

    Returns
    -------
    summary : PretrainingSummary

    Raises
    ------
    FileNotFoundError, FileExistsError, ValueError
        If `corpus` is missing, of an unknown format or damaged, lacks the column or a text, or has
        no words to mask; or if `destination` lies in it, or exists and is not, with `overwrite`, a
        saved encoder.

    Examples
    --------
    >>> import tempfile
    >>> import pandas as pd
    >>> from skbert_filter import SmallBertPretrainer, pretrain_encoder
    >>> from skbert_filter.datasets import make_website_corpus
    >>> texts = make_website_corpus(500, random_state=0)
    >>> small = SmallBertPretrainer(
    ...     hidden_size=16, intermediate_size=32, num_hidden_layers=1, vocab_size=300, epochs=1)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     corpus, encoder = f"{folder}/corpus.parquet", f"{folder}/encoder"
    ...     pd.DataFrame({"text": texts}).to_parquet(corpus)
    ...     summary = pretrain_encoder(corpus, encoder, estimator=small)
    >>> summary.rows, summary.epochs
    (500, 1)
    """
    start = perf_counter()
    corpus, destination = as_path(corpus), Path(destination)
    if estimator is None:
        from skbert_filter.pretrainer import SmallBertPretrainer

        estimator = SmallBertPretrainer(random_state=random_state)

    # What can be checked is checked before the training.
    list_sources(corpus)
    kind: Kind = "encoder" if labelled is None else "filter"
    check_can_save(destination, kind, overwrite=overwrite)
    check_apart(corpus, destination)
    checkpoint_dir = estimator.get_params().get("checkpoint_dir")
    if checkpoint_dir is not None and Path(checkpoint_dir).resolve().is_relative_to(
        destination.resolve()
    ):
        raise ValueError(
            f"checkpoint_dir={str(checkpoint_dir)!r} is the destination {destination} or lies in "
            "it. Name another place."
        )

    X: Any = text_arrays(corpus, text, encoding=encoding, delimiter=delimiter)
    y, n_rows = None, None
    if labelled is not None:
        table = read_label_table(
            labelled, text=text, label=label, encoding=encoding, delimiter=delimiter
        )
        unlabelled, n_unlabelled = distinct_texts(X)
        n_rows = n_unlabelled + len(table.texts)
        X, y = unlabelled + table.texts, [None] * len(unlabelled) + table.labels.tolist()
    pretrainer = clone(estimator).set_callbacks(*callbacks).fit(X, y).set_callbacks()

    saved = pretrainer if labelled is None else pretrainer.filter_
    save_over(saved.save_pretrained, destination, kind, overwrite=overwrite)
    record = pretrainer.training_record_
    return PretrainingSummary(
        source=str(corpus),
        destination=str(destination),
        rows=n_rows or record["texts"],
        distinct=record["distinct"],
        epochs=pretrainer.n_iter_,
        steps=record["steps"],
        labelled=record["labelled"],
        loss=pretrainer.history_["tokens_loss"][-1],
        seconds=perf_counter() - start,
        pretrainer=pretrainer,
    )
