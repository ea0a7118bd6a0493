"""The summary of a corpus job, and how it is printed."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd

from skbert_filter.corpus.thresholds import ChosenThreshold
from skbert_filter.printing import Report, aligned, counted, printable, shown_text


@dataclass(frozen=True)
class FilterSummary(Report):
    """What `filter_corpus` did.

    Attributes
    ----------
    source, destination : str
        The paths that were read and written; "-" for standard input or output.
    audit : str or None
        The file with the decision for each distinct text.
    keep : label
        The label whose rows were kept.
    threshold : float or None
        The lowest probability of a text with this label; None: `predict` decided.
    columns : tuple of str or None
        The columns that were added to all rows; None: only rows that were kept are written.
    files, rows, distinct : int
        How many files and rows were read, and how many distinct texts.
    kept, discarded : int
        Rows whose text has the label to keep, and rows whose text has another.
    nulls, written : int
        Rows without a text, which count as neither, and rows written.
    documents : DataFrame or None
        With `drop_documents`: how many "documents" there are, and how many were "dropped", by the
        share of their characters that is "discarded", from "0 to 10 %" to "90 to 100 %".
    misdecoded : int
        Distinct texts that look mis-decoded ("â€™").
    decoded : int
        Files that were not UTF-8, and were decoded from `encoding`.
    doubtful : int
        CSV files of one column whose texts span lines that could also be rows.
    recovered : int
        Distinct texts that an interrupted run had computed; 0 on a cluster, where finished files
        are kept.
    seconds : float
        Time from the call to the finished destination.
    chosen : ChosenThreshold or None
        The threshold that was chosen for `recall` or `precision`, with its scores.
    examples : DataFrame
        The most frequent texts of the "kind" "kept" and "discarded", and those whose probability
        is "near" the threshold: the first 200 characters of the "text", its "rows" and its
        "probability". Empty on a cluster.
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
    chosen: ChosenThreshold | None
    documents: pd.DataFrame | None
    examples: pd.DataFrame

    @property
    def rows_per_second(self) -> float:
        """Rows read per second, on average."""
        return self.rows / self.seconds

    @property
    def decision(self) -> str:
        """The condition for keeping a row, in words."""
        if self.threshold is None:
            return f"the label {self.keep!r}"
        return f"the label {self.keep!r} with a probability of {self.threshold:.3g} or more"

    @property
    def notes(self) -> tuple[str, ...]:
        """Further remarks for the user, one sentence each."""
        notes = []
        if self.misdecoded:
            notes.append(
                f"{counted(self.misdecoded, 'distinct text looks', 'distinct texts look')} "
                "mis-decoded (such as “â€™” for ’): UTF-8 was read as another encoding when the "
                "corpus was made. They are unchanged."
            )

        if self.nulls:
            with_text = self.kept if self.columns is None else self.kept + self.discarded
            done = "kept" if self.written > with_text else "discarded"
            notes.append(f"{counted(self.nulls, 'row')} without a text: {done}.")

        if self.decoded:
            files = counted(self.decoded, "file is", "files are")
            notes.append(f"{files} not UTF-8: decoded as requested.")

        if self.doubtful:
            notes.append(
                f"{counted(self.doubtful, 'CSV file has', 'CSV files have')} texts in quotation "
                "marks that span lines, each of which could also be a row: check that they are "
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
        kept = f"{counted(self.kept, 'row')} ({share:.1%}) with {self.decision}"

        if self.columns is None:
            done = f"{destination} has {kept}; discarded: {self.discarded:,}."
        else:
            added = " and ".join(map(repr, self.columns))
            written = counted(self.written, "row")
            done = f"{destination} has {written}, with the columns {added}: {kept}."

        lines = [
            f"{counted(self.rows, 'row')} of {source}{files}: "
            f"{counted(self.distinct, 'distinct text')}.",
            done,
            *([f"{self.audit} has each distinct text and its decision."] if self.audit else []),
            *([str(self.chosen)] if self.chosen else []),
            *self.notes,
            f"{self.seconds:.1f} seconds, {self.rows_per_second:,.0f} rows per second.",
        ]
        return "\n".join([*map(printable, lines), *self._tables()])

    def _tables(self) -> Iterator[str]:
        if self.documents is not None:
            total, dropped = self.documents[["documents", "dropped"]].sum()
            yield (
                f"\n{dropped:,} of {counted(total, 'document')} dropped whole, by the share of "
                "their characters that is discarded:"
            )
            filled = self.documents[self.documents["documents"] > 0]
            counts = {name: (",", filled[name]) for name in ("documents", "dropped")}
            yield aligned(counts, {"discarded": filled["discarded"]})

        titles = {
            "kept": "The most frequent texts that are kept:",
            "discarded": "The most frequent texts that are discarded:",
            "near": "The texts nearest to the threshold:",
        }
        for kind, title in titles.items():
            table = self.examples[self.examples["kind"] == kind]
            if not len(table):
                continue
            columns = {"rows": (",", table["rows"])}
            if table["probability"].notna().all():
                columns["probability"] = (".2f", table["probability"])
            yield f"\n{title}"
            yield aligned(columns, {"text": map(shown_text, table["text"])})

    def to_dict(self) -> dict[str, Any]:
        """Return all attributes and `rows_per_second`, ready for JSON."""
        tables = {"examples": self.examples.astype({"probability": object}).to_dict("records")}
        if self.documents is not None:
            tables["documents"] = self.documents.to_dict("records")
        return asdict(self) | {"rows_per_second": self.rows_per_second} | tables

    def to_frame(self) -> pd.DataFrame:
        """Return the summary as a table of one row."""
        return pd.DataFrame([self.to_dict()]).drop(columns=["documents", "examples"])
