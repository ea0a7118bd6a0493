"""What the displays share: axes of one look, names that fit, and the outlines of classes."""

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

# Inches: a column of a paper with two. Letters of a name that leave room for a plot of this width.
_COLUMN = 3.3
_LETTERS = 18

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
    """Give the axes to draw on, and leave them in `display` as `ax_` and `figure_`.

    New ones are as wide as a column, in the look of this package. Axes of the user keep theirs.
    """
    check_matplotlib_support(f"{type(display).__name__}.plot")
    from matplotlib import pyplot as plt

    if ax is not None:
        yield ax
    else:
        # The first figure loads the backend, which sets that of notebooks to show every figure: not
        # within the context, which would take that back at its end.
        figure = plt.figure(figsize=(_COLUMN, height), layout="constrained")
        with plt.rc_context(_LOOK):
            ax = figure.add_subplot()
            yield ax
        # Some ticks are made when a figure is drawn, where this look is no longer set.
        for each in ax.figure.axes:
            each.tick_params(which="both", labelsize=_SMALL)
    display.ax_, display.figure_ = ax, ax.figure


def short_name(name: Any) -> str:
    """Return a label, term or name of the user as there is room for it, without mathematics."""
    return printable(name, _LETTERS).replace("$", r"\$")


def label_name(label: Any) -> str:
    """Return what to call a class in a plot."""
    return f"label {short_name(label)}"


def legend_above(ax: Any) -> None:
    """Draw the legend where it hides nothing: from the label of the y axis on, for long names."""
    ax.legend(
        loc="lower left",
        bbox_to_anchor=(-0.17, 1),
        borderaxespad=0.2,
        frameon=False,
        handlelength=2.8,
    )


def outline(ax: Any, shares: Any, edges: Any, *, name: str, number: int) -> Any:
    """Draw the outline of a histogram, the first on grey, and return it."""
    if number == 0:
        ax.stairs(shares, edges, fill=True, color="0.88")
    style = {part: STYLES[number][part] for part in ("color", "linestyle", "linewidth")}
    return ax.stairs(shares, edges, label=name, **style)


def threshold_line(ax: Any, place: float, note: str) -> Any:
    """Draw a threshold with a note next to its upper end, where there is room; return the line."""
    from matplotlib import rcParams

    on_the_left = place > sum(ax.get_xlim()) / 2
    ax.annotate(
        note,
        (place, 0.98),
        (-4 if on_the_left else 4, 0),
        xycoords=ax.get_xaxis_transform(),
        textcoords="offset points",
        ha="right" if on_the_left else "left",
        va="top",
        fontsize=rcParams["legend.fontsize"],
        bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.7, "pad": 1},
    )
    return ax.axvline(place, color="black", linestyle=":", linewidth=1.2)


def distinct_texts(X: Any, y: Any) -> tuple[list[str], np.ndarray]:
    """Return each distinct text once, with its most frequent label; ties are dropped."""
    texts = check_texts(X)
    rows, labels = merge_repeats(texts, check_labels(y, len(texts)))
    if not rows.texts:
        raise ValueError(
            "X has no text to show: it is empty, or each of its texts has two labels equally "
            "often. Pass at least one labelled text."
        )
    return rows.texts, labels


def largest_classes(sizes: pd.Series, always: Any = None) -> list[tuple[str, list[Any]]]:
    """Return the name and the classes of each outline, the last one for all that are too many.

    The largest classes, and `always`, have their own.
    """
    n_own = len(STYLES) if len(sizes) <= len(STYLES) else len(STYLES) - 1
    classes = sizes.index.tolist()
    others = sorted(classes, key=lambda label: (label != always, -sizes[label]))[n_own:]
    groups = [(label_name(label), [label]) for label in classes if label not in others]
    return [*groups, (f"{len(others)} other labels", others)] if others else groups
