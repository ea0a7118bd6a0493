"""What a job on files did."""

from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd

from skbert_filter.printing import Report, counted, printable


@dataclass(frozen=True)
class FilterSummary(Report):
    """What `filter_corpus` did.

    Attributes
    ----------
    source, destination : str
        What was read and written; "-" for standard input or output.
    audit : str or None
        The file with what was decided for each distinct text.
    keep : label
        The label whose rows were kept.
    threshold : float or None
        The probability from which on a text has this label; None: as the model's `predict`
        decides.
    columns : tuple of str or None
        The columns that were added, with all rows written; None: rows were kept.
    files : int
        Files read.
    rows, distinct : int
        Rows read, and how many different texts they hold.
    kept, discarded : int
        Rows with a text of the label to keep, and of the others.
    nulls : int
        Rows without a text, which are counted in neither.
    written : int
        Rows written.
    misdecoded : int
        Distinct texts that look mis-decoded ("â€™").
    decoded : int
        Files that were not UTF-8 and read in the encoding that was named.
    doubtful : int
        CSV files of one column whose texts span lines that could be rows as well.
    recovered : int
        Distinct texts that an interrupted run had computed. On a cluster 0: there the files
        that were finished are kept.
    seconds : float
        Time from opening the source to the finished destination.
    """

    source: str
    destination: str
    audit: str | None
    keep: Any
    threshold: float | None
    columns: tuple[str, str] | None
    files: int
    rows: int
    distinct: int
    kept: int
    discarded: int
    nulls: int
    written: int
    misdecoded: int
    decoded: int
    doubtful: int
    recovered: int
    seconds: float

    @property
    def rows_per_second(self) -> float:
        """Rows read in a second, on average."""
        return self.rows / self.seconds

    @property
    def decision(self) -> str:
        """What was decided by, in words."""
        if self.threshold is None:
            return f"the label {self.keep!r}"
        return f"the label {self.keep!r} with a probability of {self.threshold:g} or more"

    @property
    def notes(self) -> tuple[str, ...]:
        """What else a user should know, a sentence each."""
        notes = []
        if self.misdecoded:
            notes.append(
                f"{counted(self.misdecoded, 'distinct text looks', 'distinct texts look')} "
                "mis-decoded (such as “â€™” for ’): what made the corpus has read UTF-8 as another "
                "encoding. Nothing of it was changed."
            )
        if self.nulls:
            of_texts = self.kept if self.columns is None else self.kept + self.discarded
            done = "kept" if self.written > of_texts else "discarded"
            notes.append(f"{counted(self.nulls, 'row')} without a text: {done}.")
        if self.decoded:
            files = counted(self.decoded, "file is", "files are")
            notes.append(f"{files} not UTF-8: decoded as you said.")
        if self.doubtful:
            notes.append(
                f"{counted(self.doubtful, 'CSV file has', 'CSV files have')} texts in quotation "
                "marks that span lines, each of which could be a row as well: see that they are "
                'whole (docs: files, "Quotation marks").'
            )
        if self.recovered:
            notes.append(
                f"{counted(self.recovered, 'distinct text')} had been computed by an interrupted "
                "run."
            )
        return tuple(notes)

    def __str__(self) -> str:
        source = "standard input" if self.source == "-" else self.source
        destination = "Standard output" if self.destination == "-" else self.destination
        files = f" ({self.files:,} files)" if self.files > 1 else ""
        share = self.kept / max(self.rows, 1)
        found = f"{counted(self.kept, 'row')} ({share:.1%}) with {self.decision}"
        if self.columns is None:
            done = f"{destination} has {found}; discarded: {self.discarded:,}."
        else:
            added = " and ".join(map(repr, self.columns))
            done = f"{destination} has all, with the columns {added}: {found}."

        lines = [
            f"{counted(self.rows, 'row')} of {source}{files}: "
            f"{counted(self.distinct, 'distinct text')}.",
            done,
            *self.notes,
            f"{self.seconds:.1f} seconds, {self.rows_per_second:,.0f} rows per second.",
        ]
        if self.audit is not None:
            lines.insert(2, f"{self.audit} has each distinct text and what was decided.")
        return "\n".join(map(printable, lines))

    def to_dict(self) -> dict[str, Any]:
        """Return the figures, ready for JSON."""
        return asdict(self) | {"rows_per_second": self.rows_per_second}

    def to_frame(self) -> pd.DataFrame:
        """Return the summary as a table of one row."""
        return pd.DataFrame([self.to_dict()])
