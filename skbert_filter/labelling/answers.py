"""The label file of a session, complete on the disk after every answer."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from skbert_filter.io.atomic import remove_leftovers
from skbert_filter.io.columns import check_column, check_text_column
from skbert_filter.io.formats import LINES, find_format, table_format
from skbert_filter.io.reading import read_table
from skbert_filter.io.writing import check_new_file, write_table
from skbert_filter.labelling.label_table import HELD_OUT, typed_labels
from skbert_filter.labelling.tables import delimiter_of
from skbert_filter.validation import useful_label

_USUAL = ("keep", "discard")


@dataclass(frozen=True)
class Answer:
    """A label, and whether it is held out."""

    label: str
    held_out: bool


class AnswerFile:
    """A table of texts and labels. A file that is there keeps its rows and other columns.

    The whole file is written aside and renamed at each answer: of 6,000 rows that takes 10 to 20
    milliseconds, and a process that is killed leaves every answer in it.
    """

    def __init__(
        self,
        path: Path,
        *,
        text: str,
        label: str,
        labels: Sequence[str] | None,
        encoding: str | None = None,
    ):
        self.path, self._text, self._label = path, text, label
        fields = [(text, pa.string()), (label, pa.string()), (HELD_OUT, pa.bool_())]
        self._schema = pa.schema(fields)
        self._columns: dict[str, list[Any]] = {name: [] for name, _ in fields}
        if path.suffix.lower() == ".xlsx" or (find_format(path) or LINES).kind == "json":
            raise ValueError(
                f"{path} cannot be written after each answer. Name a .csv file for new answers: "
                "skbert-filter train takes both."
            )
        self._delimiter = None
        if path.exists():
            self._delimiter = delimiter_of(path, encoding=encoding)
            self._read(encoding)
        else:
            table_format(path)
            check_new_file(path, overwrite=False)

        # The row of each text that came with the file, and those that were added.
        self._rows: dict[str, int] = {}
        self._came = len(self._columns[text])
        self.answers: dict[str, Answer] = {}
        self.blank: list[str] = []
        labelled = []
        for row, (value, found) in enumerate(
            zip(self._columns[text], self._columns[label], strict=True)
        ):
            self._rows[value] = row
            if found is None or str(found).strip() == "":
                self.blank.append(value)
            else:
                labelled.append(row)
        if labelled:
            names, _ = typed_labels([self._columns[label][row] for row in labelled], as_is=False)
            chosen = {name.casefold(): name for name in labels or _USUAL}
            for row, name in zip(labelled, map(str, names.tolist()), strict=True):
                held = str(self._columns[HELD_OUT][row]).lower() == "true"
                answer = Answer(chosen.get(name.casefold(), name), held)
                self.answers[self._columns[text][row]] = answer
        self.labels = self._names(labels)

    def write(self, text: str, label: str, *, held_out: bool) -> None:
        """Add an answer; it is on the disk when this returns."""
        self.answers[text] = Answer(label, held_out)
        if text not in self._rows:
            self._rows[text] = len(self._columns[self._text])
            for column in self._columns.values():
                column.append(None)
        self._set(text, label, held_out)
        self._save()

    def remove(self, text: str) -> bool:
        """Take an answer back, and return whether it was held out."""
        held_out = self.answers.pop(text).held_out
        row = self._rows[text]
        if row >= self._came and row == len(self._columns[self._text]) - 1:
            del self._rows[text]
            for column in self._columns.values():
                column.pop()
        else:
            self._set(text, None, None)
        self._save()
        return held_out

    def _read(self, encoding: str | None) -> None:
        table, _ = read_table(self.path, encoding=encoding)
        check_text_column(table.schema, self._text, self.path)
        check_column(table.schema, self._label, self.path)
        if HELD_OUT not in table.schema.names:
            table = table.append_column(HELD_OUT, pa.nulls(len(table), pa.bool_()))
        self._schema, self._columns = table.schema, table.to_pydict()
        remove_leftovers(self.path)

    def _names(self, labels: Sequence[str] | None) -> tuple[str, ...]:
        found = list(dict.fromkeys(answer.label for answer in self.answers.values()))
        if labels is None:
            if len(found) < 2:
                other = [name for name in _USUAL if name not in found]
                labels = [*found, *other] if found and found[0] not in _USUAL else _USUAL
                labels = labels[:2]
            else:
                labels = found
            return tuple(sorted(labels, key=lambda name: name != useful_label(labels)))

        if other := [name for name in found if name not in labels]:
            raise ValueError(
                f"{self.path} holds the label {other[0]!r}, which is not one of "
                f"{', '.join(map(repr, labels))}. Name its labels, or another file."
            )
        if len(set(labels)) < 2:
            raise ValueError(f"labels={list(labels)!r} must be two or more different names.")
        return tuple(labels)

    def _set(self, text: str, label: str | None, held_out: bool | None) -> None:
        row = self._rows[text]
        self._columns[self._text][row] = text
        for name, value in ((self._label, label), (HELD_OUT, held_out)):
            kind = self._schema.field(name).type
            if pa.types.is_string(kind) and isinstance(value, bool):
                value = str(value).lower()
            self._columns[name][row] = pa.scalar(value).cast(kind).as_py()

    def _save(self) -> None:
        table = pa.table(self._columns, self._schema)
        write_table(table, self.path, overwrite=True, delimiter=self._delimiter)
