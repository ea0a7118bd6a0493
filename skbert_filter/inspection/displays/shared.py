"""What the displays share: their look, the texts they count, the class they are about."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils._optional_dependencies import check_matplotlib_support

from skbert_filter.duplicates.training_rows import training_rows
from skbert_filter.printing import printable
from skbert_filter.validation import check_labels, check_texts

# Inches: a column of a paper with two.
COLUMN = 3.3
# Letters of a name that leave room for a plot of this width.
_LETTERS = 18

# The colours of Okabe and Ito ("Color Universal Design", 2008) that also differ in lightness,
# each with a line and a marker of its own, so that a grey print loses nothing.
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

_LOOK: Any = {
    "font.size": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.labelsize": 8,
    "axes.titlesize": 8,
}
_TICKS = 7.5


@contextmanager
def column_axes(display: Any, ax: Any, height: float = 2.4) -> Iterator[Any]:
    """Give the axes to draw on, and leave them in `display` as `ax_` and `figure_`.

    New ones are as wide as a column, in the look of this package. Axes of the user keep theirs.
    """
    check_matplotlib_support(f"{type(display).__name__}.plot")
    import matplotlib as mpl
    from matplotlib import pyplot as plt

    is_new = ax is None
    with mpl.rc_context(_LOOK if is_new else {}):
        if is_new:
            _, ax = plt.subplots(figsize=(COLUMN, height), layout="constrained")
            small_ticks(ax)
        yield ax
    display.ax_, display.figure_ = ax, ax.figure


def small_ticks(ax: Any) -> None:
    """Fix the size of the labels: some ticks are made when a figure is drawn, in another look."""
    ax.tick_params(which="both", labelsize=_TICKS)


def tick_size(ax: Any) -> Any:
    """Return the size of the labels, for other texts; None where matplotlib's own is used."""
    return ax.xaxis.get_tick_params().get("labelsize")


def literal(*artists: Any) -> None:
    """Keep dollar signs of labels and terms from being read as mathematics."""
    for artist in artists:
        artist.set_parse_math(False)


def short_name(name: Any) -> str:
    """Return a label, term or name of the user as there is room for it."""
    return printable(name, _LETTERS)


def label_name(label: Any) -> str:
    """Return what to call a class in a plot."""
    return f"label {short_name(label)}"


def legend_above(ax: Any) -> None:
    """Draw the legend where it hides nothing."""
    legend = ax.legend(
        loc="lower left",
        # From the label of the y axis on, for long names.
        bbox_to_anchor=(-0.17, 1),
        borderaxespad=0.2,
        frameon=False,
        handlelength=2.8,
        fontsize=tick_size(ax),
    )
    literal(*legend.get_texts())


def outline(ax: Any, shares: Any, edges: Any, *, name: str, number: int) -> Any:
    """Draw the outline of a histogram, the first on grey, and return it."""
    style = STYLES[number]
    if number == 0:
        ax.stairs(shares, edges, fill=True, color="0.88")
    return ax.stairs(
        shares,
        edges,
        label=name,
        color=style["color"],
        linestyle=style["linestyle"],
        linewidth=style["linewidth"],
    )


def threshold_line(ax: Any, place: float, note: str, *, on_the_left: bool) -> Any:
    """Draw a threshold with a note beside its upper end, and return the line."""
    literal(
        ax.annotate(
            note,
            (place, 0.98),
            (-4 if on_the_left else 4, 0),
            xycoords=ax.get_xaxis_transform(),
            textcoords="offset points",
            ha="right" if on_the_left else "left",
            va="top",
            fontsize=tick_size(ax),
            bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.7, "pad": 1},
        )
    )
    return ax.axvline(place, color="black", linestyle=":", linewidth=1.2)


def distinct_texts(X: Any, y: Any) -> tuple[list[str], np.ndarray]:
    """Return each distinct text once, with its most frequent label; ties are left out."""
    texts = check_texts(X)
    classes, codes = np.unique(check_labels(y, len(texts)), return_inverse=True)
    rows = training_rows(texts, codes, np.ones(len(texts)), len(classes))
    if not rows.texts:
        raise ValueError(
            "X has no text to show: it is empty, or each of its texts has two labels equally "
            "often. Pass at least one labelled text."
        )
    return rows.texts, classes[rows.classes]


def largest_classes(sizes: pd.Series, always: Any = None) -> list[tuple[str, list[Any]]]:
    """Return the name of each outline in a plot, and its classes.

    Each has one of its own, unless there are more than can be told apart. Then the largest
    have, and `always`; the others make the last one together.
    """
    classes = sizes.index.tolist()
    if len(classes) <= len(STYLES):
        return [(label_name(label), [label]) for label in classes]
    ranked = sorted(classes, key=lambda label: (label != always, -sizes[label]))
    shown = ranked[: len(STYLES) - 1]
    others = f"{len(classes) - len(shown)} other labels"
    groups = [(label_name(label), [label]) for label in classes if label in shown]
    return [*groups, (others, ranked[len(shown) :])]


def positive_class(classes: np.ndarray, pos_label: Any) -> Any:
    """Return the class that a picture is about: of two the second, unless another is named."""
    if pos_label is None:
        if len(classes) != 2:
            raise ValueError(
                f"There are {len(classes)} classes, {classes[:10].tolist()}. Name the one to "
                "show, set against the others, as pos_label."
            )
        return classes[1]
    if pos_label not in classes.tolist():
        raise ValueError(
            f"pos_label is {pos_label!r}, which is none of the classes "
            f"{classes[:10].tolist()}. Pass one of them."
        )
    return pos_label


def positive_probability(estimator: Any, texts: list[str], pos_label: Any) -> np.ndarray:
    """Return the probability that a fitted classifier gives to one of its classes."""
    classes = np.asarray(estimator.classes_)
    return np.asarray(estimator.predict_proba(texts))[:, classes.tolist().index(pos_label)]
