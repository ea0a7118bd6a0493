"""A plot of the probabilities that a fitted classifier predicts."""

from dataclasses import KW_ONLY, dataclass
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils._optional_dependencies import check_matplotlib_support

from skbert_filter.inspection.displays.shared import (
    column_axes,
    distinct_texts,
    draw_outlines,
    label_name,
    largest_classes,
    threshold_line,
)


@dataclass(eq=False, repr=False)
class ScoreDistributionDisplay:
    """The distribution of the predicted probability in each class, with the threshold.

    Create it with `from_estimator`, or from probabilities that you have, and then call `plot`.

    Parameters
    ----------
    y_true, y_prob : ndarray of shape (n_samples,)
        The true labels, and the predicted probabilities of `pos_label`.
    pos_label : label
    threshold : float, default=0.5
        The lowest probability at which a text is kept.

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

        histograms = []
        for name, labels in groups:
            proba = self.y_prob[np.isin(self.y_true, labels)]
            counts, _ = np.histogram(proba, edges)
            kept = np.mean(proba >= self.threshold)
            name = f"{name}: {kept:.1%} of {len(proba):,} kept"
            histograms.append((name, counts / counts.sum()))

        with column_axes(self, ax, height=2.1 + 0.16 * len(groups)) as ax:
            self.stairs_ = draw_outlines(ax, histograms, edges)
            ax.set(
                xlim=(-0.01, 1.01),
                xlabel=f"probability of {label_name(self.pos_label)}",
            )
            self.line_ = threshold_line(ax, self.threshold, f"kept if\n≥ {self.threshold:.3g}")
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
        """Draw the probabilities that a fitted classifier predicts for labelled texts.

        Parameters
        ----------
        estimator : classifier
            With `predict_proba`.
        X, y : container of str and array-like, of length n_samples
            Held-out texts; each distinct one counts once, with its most frequent label.
        threshold : float, default=0.5
        pos_label : label, default=None
            The class whose probability is drawn; None for the second of two classes.
        n_bins, ax
            As for `plot`.
        """
        check_matplotlib_support(f"{cls.__name__}.from_estimator")
        texts, labels = distinct_texts(X, y)

        classes = np.asarray(estimator.classes_).tolist()
        if pos_label is None and len(classes) == 2:
            pos_label = classes[1]
        if pos_label not in classes:
            raise ValueError(
                f"pos_label is {pos_label!r}. It must be one of the classes {classes[:10]}."
            )
        proba = np.asarray(estimator.predict_proba(texts))[:, classes.index(pos_label)]
        return cls(labels, proba, pos_label=pos_label, threshold=threshold).plot(ax, n_bins=n_bins)
