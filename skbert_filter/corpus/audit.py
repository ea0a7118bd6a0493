"""The audit file: what was decided for each distinct text, and why."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa

from skbert_filter.corpus.job import Job
from skbert_filter.corpus.scores import TextScores
from skbert_filter.io.atomic import remove_leftovers
from skbert_filter.io.formats import open_file
from skbert_filter.io.writing import create_table


@contextmanager
def kept_texts(job: Job, folder: Path) -> Iterator[Callable[[list[str]], None]]:
    """Give a function that puts distinct texts down, which are too many for memory."""
    if job.audit is None:
        yield lambda texts: None
        return
    schema = pa.schema({"text": pa.large_string()})
    with open_file(_texts_file(folder), "wb") as raw, pa.ipc.new_stream(raw, schema) as stream:
        yield lambda texts: stream.write_batch(pa.record_batch([texts], schema=schema))


def write_audit(job: Job, scores: TextScores, folder: Path, *, overwrite: bool) -> None:
    """Write the audit file of a job from the texts that were put down, if it has one."""
    if job.audit is None:
        return
    if overwrite:
        # A run of this job may have been killed just here.
        remove_leftovers(job.audit)
    labels = pa.array(job.labels)
    keep, threshold = job.labels[job.decider.keep_number], job.decider.threshold
    schema = pa.schema(
        {
            "text": pa.large_string(),
            "label": labels.type,
            "probability": pa.float64(),
            "rows": pa.int64(),
            "decision": pa.string(),
            "keep": labels.type,
            "threshold": pa.float64(),
        }
    )
    decisions = pa.array(["discard", "keep"])
    with (
        create_table(
            job.audit, schema, overwrite=overwrite, escape_formulas=job.escape_formulas
        ) as write,
        open_file(_texts_file(folder)) as raw,
        pa.ipc.open_stream(raw) as stream,
    ):
        first = 0
        for texts in stream:
            numbers = np.arange(first, first + len(texts))
            first += len(texts)
            of_texts = scores.labels_of(numbers)
            columns = [
                texts.column(0),
                labels.take(pa.array(of_texts)),
                pa.array(scores.probabilities_of(numbers), from_pandas=True),
                pa.array(np.frombuffer(scores.rows, np.int64)[numbers]),
                decisions.take(pa.array((of_texts == job.decider.keep_number).astype(np.int8))),
                pa.array([keep] * len(texts), labels.type),
                pa.array([threshold] * len(texts), pa.float64()),
            ]
            write(pa.record_batch(columns, schema=schema))


def _texts_file(folder: Path) -> Path:
    return folder / "texts.arrow"
