"""A plot of how often texts repeat."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from skbert_filter.duplicates.reports import DuplicateReport
from skbert_filter.inspection.displays.shared import STYLES, column_axes, legend_above


@dataclass(eq=False, repr=False)
class DuplicateFrequencyDisplay:
    """How often the most frequent texts occur, and the share of rows that they cover.

    Create it with `from_report`.

    Parameters
    ----------
    frequencies : DataFrame
        As in :class:`~skbert_filter.DuplicateReport`.

    Attributes
    ----------
    ax_, coverage_ax_ : matplotlib Axes
        The axes of the occurrences, and those of the share of rows, on the right.
    figure_ : matplotlib Figure
    line_, coverage_line_ : matplotlib Line2D

    Examples
    --------
    >>> from skbert_filter import duplicate_report
    >>> from skbert_filter.datasets import make_website_corpus
    >>> from skbert_filter.inspection import DuplicateFrequencyDisplay
    >>> report = duplicate_report(make_website_corpus(5000, random_state=0))
    >>> display = DuplicateFrequencyDisplay.from_report(report)
    >>> display.ax_.get_xscale(), display.ax_.get_yscale()
    ('log', 'log')
    """

    frequencies: pd.DataFrame

    def plot(self, ax: Any = None) -> "DuplicateFrequencyDisplay":
        """Draw the occurrences and the coverage by rank.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            None for a new figure.
        """
        curve = self.frequencies
        if curve.empty:
            raise ValueError("There are 0 rows: nothing repeats. Pass at least one text.")

        # Texts between two ranks of the table are equally frequent: the occurrences are constant
        # there, and the coverage grows linearly, which is a curve on a logarithmic axis.
        last, most = curve["top_texts"].iloc[-1], curve["occurrences"].max()
        ranks = np.concatenate([[1], curve["top_texts"].iloc[:-1] + 1, [last]])
        occurrences = np.append(curve["occurrences"], curve["occurrences"].iloc[-1])
        covered_to = np.unique(np.geomspace(1, last, 200).round())
        points = np.append(0, curve["top_texts"]), np.append(0, curve["coverage"])
        # A single text is a point, which a line does not show.
        marker = "o" if last == 1 else ""

        with column_axes(self, ax) as ax:
            from matplotlib.ticker import LogFormatter

            [self.line_] = ax.plot(
                ranks,
                occurrences,
                drawstyle="steps-post",
                color=STYLES[0]["color"],
                marker=marker,
                label="occurrences (left)",
            )
            self.coverage_ax_ = ax.twinx()
            [self.coverage_line_] = self.coverage_ax_.plot(
                covered_to,
                np.interp(covered_to, *points),
                color=STYLES[1]["color"],
                linestyle=STYLES[1]["linestyle"],
                marker=marker,
                label="cumulative share of rows (right)",
            )
            legend_above(ax, [self.line_, self.coverage_line_])

            ax.set(
                xscale="log",
                yscale="log",
                # No rank and no count is below 1.
                xlim=(0.91, 1.1 * max(last, 2)),
                ylim=(0.91, 1.1 * max(most, 2)),
                xlabel="rank of the text, most frequent first",
                ylabel="occurrences",
            )
            for axis in (ax.xaxis, ax.yaxis):
                axis.set_major_formatter("{x:,.0f}")
                # Labels between the powers of ten, where those are too few.
                axis.set_minor_formatter(LogFormatter())
            self.coverage_ax_.set(ylim=(0, 1.03), ylabel="cumulative share of rows")
            self.coverage_ax_.yaxis.set_major_formatter("{x:.0%}")
            self.coverage_ax_.spines["right"].set_visible(True)
        return self

    @classmethod
    def from_report(cls, report: DuplicateReport, *, ax: Any = None) -> "DuplicateFrequencyDisplay":
        """Draw the frequencies in a report.

        Parameters
        ----------
        report : DuplicateReport
        ax : matplotlib Axes, default=None
        """
        return cls(report.frequencies).plot(ax)
