"""What the displays share: the look of their axes, short names, and outlines of histograms."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils._optional_dependencies import check_matplotlib_support

from skbert_filter.duplicates.training_rows import merge_repeats
from skbert_filter.printing import printable
from skbert_filter.validation import check_labels, check_texts

# The colours of Okabe and Ito ("Color Universal Design", 2008) that also differ in lightness, each
# with its own line and marker, so that a grey print loses nothing.
STYLES: tuple[dict[str, Any], ...] = tuple(
    {
        "color": color,
        "linestyle": line,
        "linewidth": 1.4,
        "marker": marker,
        "markersize": 4,
        "markerfacecolor": "white",
    }
    for color, line, marker in (
        ("#000000", "-", "o"),
        ("#0072B2", "--", "s"),
        ("#D55E00", "-.", "^"),
        ("#009E73", ":", "D"),
        ("#E69F00", (0, (8, 2)), "v"),
        ("#56B4E9", (0, (4, 1, 1, 1, 1, 1)), "P"),
    )
)

# The width in inches of a column in a two-column paper.
_COLUMN = 3.3
# The longest name, in characters, that leaves enough room for the plot in such a column.
_NAME_LENGTH = 18
# Inches from the y axis to its label.
_LABEL_OFFSET = -0.4

_SMALL = 7.5
_LOOK: Any = {
    "font.size": 8,
    "axes.labelsize": 8,
    "axes.titlesize": 8,
    "legend.fontsize": _SMALL,
    "axes.spines.top": False,
    "axes.spines.right": False,
}


@contextmanager
def column_axes(display: Any, ax: Any, height: float = 2.4) -> Iterator[Any]:
    """Yield the axes to draw on, then store them and their figure in the display.

    A new figure is one column wide and has the look of this package; the user's axes keep theirs.
    """
    check_matplotlib_support(f"{type(display).__name__}.plot")
    from matplotlib import pyplot as plt

    if ax is not None:
        yield ax
    else:
        # The first figure loads the backend. In a notebook, that makes matplotlib interactive;
        # rc_context would undo that, so the figure is created outside it.
        figure = plt.figure(figsize=(_COLUMN, height), layout="constrained")
        with plt.rc_context(_LOOK):
            ax = figure.add_subplot()
            yield ax
        # Ticks that are created only when the figure is drawn would not have this look.
        for axes in ax.figure.axes:
            axes.tick_params(which="both", labelsize=_SMALL)
    display.ax_, display.figure_ = ax, ax.figure


def short_name(name: Any) -> str:
    """Return a user's label or term, shortened to fit, in which "$" does not start a formula."""
    return printable(name, _NAME_LENGTH).replace("$", r"\$")


def label_name(label: Any) -> str:
    """Return how plots refer to a class."""
    return f"label {short_name(label)}"


def legend_above(ax: Any, handles: list[Any]) -> None:
    """Draw the legend above the plot, from the label of the y axis on: names may be long."""
    from matplotlib.transforms import ScaledTranslation

    to_label = ScaledTranslation(_LABEL_OFFSET, 0, ax.figure.dpi_scale_trans)
    ax.legend(
        handles=handles,
        loc="lower left",
        bbox_to_anchor=(0, 1),
        bbox_transform=ax.transAxes + to_label,
        borderaxespad=0.2,
        frameon=False,
        handlelength=2.8,
    )


def draw_outlines(ax: Any, histograms: list[tuple[str, Any]], edges: Any) -> list[Any]:
    """Draw the outline of each named histogram, the first one filled, and return the outlines."""
    ax.stairs(histograms[0][1], edges, fill=True, color="0.88")
    outlines = []
    for (name, shares), style in zip(histograms, STYLES, strict=False):
        line = {part: style[part] for part in ("color", "linestyle", "linewidth")}
        outlines.append(ax.stairs(shares, edges, label=name, **line))

    ax.set_ylabel("share of each label's texts")
    ax.yaxis.set_major_formatter("{x:.0%}")
    legend_above(ax, outlines)
    return outlines


def threshold_line(ax: Any, x: float, note: str) -> Any:
    """Draw a threshold, with a note at its upper end on the wider side, and return the line."""
    from matplotlib import rcParams

    on_the_left = x > sum(ax.get_xlim()) / 2
    ax.annotate(
        note,
        (x, 0.98),
        (-4 if on_the_left else 4, 0),
        xycoords=ax.get_xaxis_transform(),
        textcoords="offset points",
        ha="right" if on_the_left else "left",
        va="top",
        fontsize=rcParams["legend.fontsize"],
        bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.7, "pad": 1},
    )
    return ax.axvline(x, color="black", linestyle=":", linewidth=1.2)


def distinct_texts(X: Any, y: Any) -> tuple[list[str], np.ndarray]:
    """Return the distinct texts with their most frequent labels; ties are dropped."""
    texts = check_texts(X)
    rows, labels = merge_repeats(texts, check_labels(y, len(texts)))
    if not rows.texts:
        raise ValueError(
            "X has no text to show: it is empty, or each of its texts has two labels equally "
            "often. Pass at least one labelled text."
        )
    return rows.texts, labels


def largest_classes(sizes: pd.Series, always: Any = None) -> list[tuple[str, list[Any]]]:
    """Return a name and the classes of each outline: as many as there are styles, at most.

    Each class has its own outline; if there are too many, the last outline is for all classes but
    the largest and `always`.
    """
    n_own = len(STYLES) if len(sizes) <= len(STYLES) else len(STYLES) - 1
    classes = sizes.index.tolist()
    others = sorted(classes, key=lambda label: (label != always, -sizes[label]))[n_own:]
    groups = [(label_name(label), [label]) for label in classes if label not in others]
    return [*groups, (f"{len(others)} other labels", others)] if others else groups
