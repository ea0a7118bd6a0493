"""Plots of the probabilities that a fitted classifier gives."""

from dataclasses import KW_ONLY, dataclass
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils._optional_dependencies import check_matplotlib_support

from skbert_filter.inspection.displays.shared import (
    column_axes,
    distinct_texts,
    label_name,
    largest_classes,
    legend_above,
    outline,
    threshold_line,
)


@dataclass(eq=False, repr=False)
class ScoreDistributionDisplay:
    """The probabilities that the texts of each class were given, with the threshold.

    `from_estimator` makes and draws it; of probabilities that you have, make it and call `plot`.

    Parameters
    ----------
    y_true, y_prob : ndarray of shape (n_samples,)
        The labels, and the probabilities of `pos_label`.
    pos_label : label
    threshold : float, default=0.5
        The probability from which on a text is kept.

    Attributes
    ----------
    ax_, figure_ : matplotlib Axes and Figure
    stairs_ : list of matplotlib StepPatch
        The outline of each class.
    line_ : matplotlib Line2D
        The threshold.

    Examples
    --------
    >>> import numpy as np
    >>> from skbert_filter.inspection import ScoreDistributionDisplay
    >>> y, proba = np.array([0, 0, 0, 1, 1]), np.array([0.1, 0.2, 0.7, 0.6, 0.9])
    >>> ScoreDistributionDisplay(y, proba, pos_label=1, threshold=0.65).plot().kept
    {0: 0.333..., 1: 0.5}
    """

    y_true: np.ndarray
    y_prob: np.ndarray
    _: KW_ONLY
    pos_label: Any
    threshold: float = 0.5

    @property
    def kept(self) -> dict[Any, float]:
        """The share of each label's texts that reach the threshold."""
        reached = pd.Series(self.y_prob >= self.threshold)
        return reached.groupby(self.y_true).mean().to_dict()

    def plot(self, ax: Any = None, *, n_bins: int = 20) -> "ScoreDistributionDisplay":
        """Draw the share of each class's texts in each bin of probabilities.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            None for a new figure.
        n_bins : int, default=20
        """
        sizes = pd.Series(self.y_true).value_counts().sort_index()
        groups = largest_classes(sizes, always=self.pos_label)
        edges = np.linspace(0, 1, n_bins + 1)

        with column_axes(self, ax, height=2.1 + 0.16 * len(groups)) as ax:
            self.stairs_ = []
            for number, (who, labels) in enumerate(groups):
                given = self.y_prob[np.isin(self.y_true, labels)]
                counts, _ = np.histogram(given, edges)
                share = np.mean(given >= self.threshold)
                name = f"{who}: {share:.1%} of {len(given):,} kept"
                shares = counts / counts.sum()
                self.stairs_.append(outline(ax, shares, edges, name=name, number=number))

            ax.set(
                xlim=(-0.01, 1.01),
                xlabel=f"probability given to {label_name(self.pos_label)}",
                ylabel="share of the label's texts",
            )
            note = f"kept from\n{self.threshold:.3g} on"
            self.line_ = threshold_line(ax, self.threshold, note)
            ax.yaxis.set_major_formatter("{x:.0%}")
            legend_above(ax)
        return self

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any,
        *,
        threshold: float = 0.5,
        pos_label: Any = None,
        n_bins: int = 20,
        ax: Any = None,
    ) -> "ScoreDistributionDisplay":
        """Ask a fitted classifier about labelled texts, and draw what it answers.

        Parameters
        ----------
        estimator : classifier
            With `predict_proba`.
        X, y : container of str and array-like, of length n_samples
            Texts that it has not seen; each distinct one counts once, with its most frequent label.
        threshold : float, default=0.5
        pos_label : label, default=None
            The class whose probability it is. None: of two classes the second.
        n_bins, ax
            As for `plot`.
        """
        check_matplotlib_support(f"{cls.__name__}.from_estimator")
        texts, labels = distinct_texts(X, y)
        pos_label, column = _positive_class(estimator.classes_, pos_label)
        proba = np.asarray(estimator.predict_proba(texts))[:, column]
        return cls(labels, proba, pos_label=pos_label, threshold=threshold).plot(ax, n_bins=n_bins)


def _positive_class(classes: Any, pos_label: Any) -> tuple[Any, int]:
    """Return the class that a plot is about, of two the second by default, and its column."""
    known = np.asarray(classes).tolist()
    if pos_label is None and len(known) != 2:
        raise ValueError(
            f"There are {len(known)} classes, {known[:10]}. Name the one to show as pos_label."
        )
    if pos_label is not None and pos_label not in known:
        raise ValueError(
            f"pos_label is {pos_label!r}, which is not one of the classes {known[:10]}. Pass one "
            "of them."
        )
    column = 1 if pos_label is None else known.index(pos_label)
    return known[column], column
