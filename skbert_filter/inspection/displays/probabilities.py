"""Plots of the probabilities that a fitted classifier gives."""

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from scipy.special import softmax
from sklearn.calibration import calibration_curve
from sklearn.utils import check_consistent_length
from sklearn.utils._optional_dependencies import check_matplotlib_support

from skbert_filter.inspection.displays.shared import (
    STYLES,
    column_axes,
    distinct_texts,
    label_name,
    largest_classes,
    legend_above,
    outline,
    short_name,
    threshold_line,
)
from skbert_filter.inspection.scores import expected_calibration_error
from skbert_filter.validation import check_labels


@dataclass(eq=False, repr=False)
class ReliabilityDisplay:
    """How often the class came true, by the probability that it was given.

    It is made, drawn and returned by `from_estimator` or `from_predictions`. Of a
    :class:`~skbert_filter.SmallBertTextFilter` it shows the raw sigmoid and the posterior, that is,
    the probabilities before and after the inverse of the loss.

    Parameters
    ----------
    curves : dict of str to (prob_true, prob_pred)
        The two arrays of :func:`sklearn.calibration.calibration_curve`, by name.
    errors : dict of str to float, default=None
        The expected calibration error of each, by name, for the legend.
    pos_label : label, default=None
        The class whose probability it is, for the labels of the axes.

    Attributes
    ----------
    ax_, figure_ : matplotlib Axes and Figure
        What it is drawn on.
    lines_ : dict of str to matplotlib Line2D
        The curves.

    Examples
    --------
    >>> import numpy as np
    >>> from skbert_filter.inspection import ReliabilityDisplay
    >>> rng = np.random.default_rng(0)
    >>> truth = rng.uniform(size=5000)
    >>> y = rng.uniform(size=5000) < truth
    >>> display = ReliabilityDisplay.from_predictions(
    ...     y, {"before": 0.2 + 0.6 * truth, "after": truth})
    >>> {name: round(error, 2) for name, error in display.errors.items()}
    {'before': 0.11, 'after': 0.01}
    """

    curves: Mapping[str, tuple[np.ndarray, np.ndarray]]
    _: KW_ONLY
    errors: Mapping[str, float] | None = None
    pos_label: Any = None

    def plot(self, ax: Any = None) -> "ReliabilityDisplay":
        """Draw the curves and the diagonal.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on; None for a new figure.
        """
        of = "the class" if self.pos_label is None else label_name(self.pos_label)
        with column_axes(self, ax, height=3.3) as ax:
            ax.plot([0, 1], [0, 1], color="0.6", linewidth=0.8, label="perfect")
            self.lines_ = {}
            for name, style in zip(self.curves, STYLES, strict=False):
                prob_true, prob_pred = self.curves[name]
                error = "" if self.errors is None else f" (ECE {self.errors[name]:.3f})"
                label = short_name(name) + error
                [self.lines_[name]] = ax.plot(prob_pred, prob_true, label=label, **style)

            ax.set(
                xlim=(-0.02, 1.02),
                ylim=(-0.02, 1.02),
                xlabel=f"probability given to {of}",
                ylabel=f"share of texts with {of}",
            )
            legend_above(ax)
        return self

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any,
        *,
        n_bins: int = 10,
        strategy: Literal["uniform", "quantile"] = "quantile",
        pos_label: Any = None,
        name: str | None = None,
        ax: Any = None,
    ) -> "ReliabilityDisplay":
        """Ask a fitted classifier about labelled texts, and draw how reliable it is.

        Parameters
        ----------
        estimator : classifier
            Fitted, with `predict_proba`. Where it has a focal loss, as `SmallBertTextFilter`, the
            raw scores are drawn too.
        X, y : container of str and array-like, of length n_samples
            Texts that it has not seen, and their labels. Each distinct text counts once, with its
            most frequent label.
        n_bins : int, default=10
            How many bins the probabilities are put into.
        strategy : {"uniform", "quantile"}, default="quantile"
            Bins of equal width, or with equal numbers of texts.
        pos_label : label, default=None
            The class whose probability it is. None: of two classes the second.
        name : str, default=None
            What to call the only curve; None for the class of the estimator.
        ax : matplotlib Axes, default=None
            Axes to draw on; None for a new figure.
        """
        check_matplotlib_support(f"{cls.__name__}.from_estimator")
        texts, labels = distinct_texts(X, y)
        pos_label, column = _positive_class(estimator.classes_, pos_label)
        given = np.asarray(estimator.predict_proba(texts))[:, column]
        y_prob = {type(estimator).__name__ if name is None else name: given}
        if "focal_gamma" in estimator.get_params(deep=False):
            logits = estimator.decision_function(texts)
            # Of two classes, the logit of the second.
            scores = np.column_stack([0 * logits, logits]) if logits.ndim == 1 else logits
            raw = softmax(scores, axis=1)[:, column]
            y_prob = {"before: sigmoid": raw, "after: posterior": given}
        how: dict[str, Any] = {"n_bins": n_bins, "strategy": strategy, "pos_label": pos_label}
        return cls.from_predictions(labels, y_prob, ax=ax, **how)

    @classmethod
    def from_predictions(
        cls,
        y_true: Any,
        y_prob: Any,
        *,
        n_bins: int = 10,
        strategy: Literal["uniform", "quantile"] = "quantile",
        pos_label: Any = None,
        name: str = "classifier",
        ax: Any = None,
    ) -> "ReliabilityDisplay":
        """Draw how reliable probabilities are.

        Parameters
        ----------
        y_true : array-like of shape (n_samples,)
            The labels.
        y_prob : array-like of shape (n_samples,) or dict of str to array-like
            Probabilities of `pos_label`; several, by name, are drawn together.
        n_bins, strategy, pos_label, name, ax
            As for `from_estimator`.
        """
        check_matplotlib_support(f"{cls.__name__}.from_predictions")
        by_name = y_prob if isinstance(y_prob, Mapping) else {name: y_prob}
        if len(by_name) > len(STYLES):
            raise ValueError(
                f"There are {len(by_name)} curves, of which a plot can show {len(STYLES)}. "
                "Pass fewer."
            )

        labels = check_labels(y_true, len(y_true), name="y_true")
        pos_label, _ = _positive_class(np.unique(labels), pos_label)
        happened = labels == pos_label

        curves, errors = {}, {}
        for each, proba in by_name.items():
            check_consistent_length(happened, proba)
            curves[each] = calibration_curve(
                happened, proba, n_bins=n_bins, strategy=strategy, pos_label=True
            )
            errors[each] = expected_calibration_error(happened, proba)
        return cls(curves, errors=errors, pos_label=pos_label).plot(ax)


@dataclass(eq=False, repr=False)
class ScoreDistributionDisplay:
    """The probabilities that the texts of each class were given, with the threshold.

    It is made, drawn and returned by `from_estimator` or `from_predictions`.

    Parameters
    ----------
    y_true, y_prob : ndarray of shape (n_samples,)
        The labels, and the probabilities of `pos_label`.
    pos_label : label
        The class whose probability it is.
    threshold : float, default=0.5
        The probability from which on a text is kept.

    Attributes
    ----------
    ax_, figure_ : matplotlib Axes and Figure
        What it is drawn on.
    stairs_ : list of matplotlib StepPatch
        The outline of each class.
    line_ : matplotlib Line2D
        The threshold.

    Examples
    --------
    >>> from skbert_filter.inspection import ScoreDistributionDisplay
    >>> display = ScoreDistributionDisplay.from_predictions(
    ...     [0, 0, 0, 1, 1], [0.1, 0.2, 0.7, 0.6, 0.9], threshold=0.65)
    >>> display.kept
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
            Axes to draw on; None for a new figure.
        n_bins : int, default=20
            How many bins, of equal width.
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
            Fitted, with `predict_proba`.
        X, y : container of str and array-like, of length n_samples
            Texts that it has not seen, and their labels. Each distinct text counts once, with its
            most frequent label. Of more than six classes `pos_label` and the four largest others
            are shown, and the rest together.
        threshold : float, default=0.5
            The probability from which on a text is kept.
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

    @classmethod
    def from_predictions(
        cls,
        y_true: Any,
        y_prob: Any,
        *,
        threshold: float = 0.5,
        pos_label: Any = None,
        n_bins: int = 20,
        ax: Any = None,
    ) -> "ScoreDistributionDisplay":
        """Draw probabilities.

        Parameters
        ----------
        y_true, y_prob : array-like of shape (n_samples,)
            The labels, and the probabilities of `pos_label`.
        threshold, pos_label, n_bins, ax
            As for `from_estimator`.
        """
        check_matplotlib_support(f"{cls.__name__}.from_predictions")
        proba = np.asarray(y_prob, dtype=np.float64)
        labels = check_labels(y_true, len(proba), name="y_true", of="y_prob")
        pos_label, _ = _positive_class(np.unique(labels), pos_label)
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
