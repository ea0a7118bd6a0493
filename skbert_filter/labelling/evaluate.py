"""Score a saved classifier on a table of labels that it has not learnt."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from skbert_filter.corpus import load_classifier
from skbert_filter.duplicates.keys import stable_hashes
from skbert_filter.inspection.evaluation import Evaluation, evaluate
from skbert_filter.labelling.label_table import LabelTable, read_label_table

__all__ = ["evaluate_filter"]


def evaluate_filter(
    model: Any,
    source: str | Path,
    *,
    text: str = "text",
    label: str = "label",
    encoding: str | None = None,
    delimiter: str | None = None,
    train: str | Path | None = None,
    n_errors: int = 10,
    trust: bool = False,
) -> Evaluation:
    """Score a fitted classifier on a table of labelled texts it has not seen.

    Parameters
    ----------
    model : classifier or str or Path
        As for :func:`~skbert_filter.filter_corpus`.
    source, text, label, encoding, delimiter
        As for `train_filter`. Labels may differ from the model's in type or case, as they do in
        CSV files.
    train : str or Path, default=None
        The table the model was trained on, with the same columns: reveals leaked texts, and trains
        baselines to compare with.
    n_errors : int, default=10
        How many errors to list.
    trust : bool, default=False
        As for :func:`~skbert_filter.filter_corpus`.

    Returns
    -------
    evaluation : Evaluation
        Without `train`, on the texts that are not among those the model was trained on, as
        recorded by `train_filter`. If there are no others, on all, and the evaluation says so.

    Raises
    ------
    FileNotFoundError, ValueError
        If a file or the model is missing or damaged, or a file lacks a column or a value, or has
        a label that the model does not know.

    See Also
    --------
    skbert_filter.inspection.evaluate : The same on texts in memory.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from skbert_filter.inspection import WordCountRule
    >>> from skbert_filter.labelling.evaluate import evaluate_filter
    >>> rule = WordCountRule().fit(["View All", "We make steel tools"], [0, 1])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     source = Path(folder, "labels.csv")
    ...     _ = source.write_text("text,label\\nMenu,0\\nTea,1\\nWe build large boats,1\\n")
    ...     evaluate_filter(rule, source).errors[["text", "label", "predicted"]]
      text  label  predicted
    0  Tea      1          0
    """
    model = load_classifier(model, trust=trust)
    record = getattr(model, "training_record_", {})
    options: dict[str, Any] = {"n_errors": n_errors, "name": record.get("name")}

    def read(file: str | Path) -> tuple[list[str], np.ndarray]:
        table = read_label_table(
            file, text=text, label=label, encoding=encoding, delimiter=delimiter
        )
        return table.texts, _labels_of_model(table, model.classes_)

    texts, y = read(source)
    if train is not None:
        X_train, y_train = read(train)
        return evaluate(model, texts, y, X_train=X_train, y_train=y_train, **options)

    # Texts that the model has learnt are scored only if there are no others.
    hashes = record.get("texts", "")
    # In the record of a pretrainer, "texts" is a number.
    hashes = _split_hashes(hashes if isinstance(hashes, str) else "")
    is_learnt = np.isin(_split_hashes(text_hashes(texts)), hashes)
    n_learnt = len({text for text, learnt in zip(texts, is_learnt, strict=True) if learnt})
    if not is_learnt.all():
        texts, y = [texts[i] for i in np.flatnonzero(~is_learnt)], y[~is_learnt]
    evaluation = evaluate(model, texts, y, **options)
    return replace(evaluation, n_learnt=n_learnt, all_learnt=bool(is_learnt.all()))


def text_hashes(texts: list[str]) -> str:
    """Return 64 bits of the hash of each text, as one string for JSON."""
    return "".join(digest[:8].hex() for digest in stable_hashes(texts))


def _split_hashes(hashes: str) -> list[str]:
    return [hashes[i : i + 16] for i in range(0, len(hashes), 16)]


def _labels_of_model(table: LabelTable, classes: np.ndarray) -> np.ndarray:
    """Return labels in the type and case of a model's classes."""
    known = classes.tolist()
    by_name = {str(label).casefold(): label for label in known}
    by_name |= {label: label for label in known}

    labels = table.labels.tolist()
    labels = [label if label in by_name else str(label).casefold() for label in labels]
    if unknown := sorted({str(label) for label in labels if label not in by_name}):
        raise ValueError(
            f"{', '.join(table.sources)} has the label {unknown[0]!r}, which the model does not "
            f"know. Its labels are {', '.join(map(str, known[:10]))}."
        )
    return np.array([by_name[label] for label in labels], dtype=classes.dtype)
