"""Pictures of the probabilities that a fitted classifier gives."""

from collections.abc import Mapping
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
    literal,
    outline,
    positive_class,
    positive_probability,
    short_name,
    threshold_line,
)
from skbert_filter.inspection.scores import expected_calibration_error
from skbert_filter.validation import check_labels


class ReliabilityDisplay:
    """How often the class came true, by the probability that it was given.

    It is made by `from_estimator` or `from_predictions`. Of a
    :class:`~skbert_filter.SmallBertTextFilter` it shows the raw sigmoid and the posterior,
    that is, the probabilities before and after the inverse of the loss.

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
    ax_ : matplotlib Axes
        Axes with the curves.
    figure_ : matplotlib Figure
        Figure containing them.
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

    def __init__(
        self,
        curves: Mapping[str, tuple[np.ndarray, np.ndarray]],
        *,
        errors: Mapping[str, float] | None = None,
        pos_label: Any = None,
    ) -> None:
        self.curves = curves
        self.errors = errors
        self.pos_label = pos_label

    def plot(self, ax: Any = None) -> "ReliabilityDisplay":
        """Draw the curves beside the diagonal.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on; None for a new figure.

        Returns
        -------
        display : ReliabilityDisplay
        """
        of = "the class" if self.pos_label is None else label_name(self.pos_label)
        with column_axes(self, ax, height=3.3) as ax:
            ax.plot([0, 1], [0, 1], color="0.6", linewidth=0.8, label="perfect")
            self.lines_ = {}
            for (name, (prob_true, prob_pred)), style in zip(
                self.curves.items(), STYLES, strict=False
            ):
                label = short_name(name)
                if self.errors is not None:
                    label += f" (ECE {self.errors[name]:.3f})"
                [self.lines_[name]] = ax.plot(prob_pred, prob_true, label=label, **style)
            literal(
                ax.set_xlabel(f"probability given to {of}"),
                ax.set_ylabel(f"share of texts with {of}"),
            )
            ax.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
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
            Fitted, with `predict_proba`. Of one with a focal loss, as `SmallBertTextFilter`
            has, the raw scores are drawn too.
        X : container of str, of length n_samples
            Texts that it has not seen. Each distinct one counts once, with its most
            frequent label.
        y : array-like of shape (n_samples,)
            Their labels.
        n_bins : int, default=10
            How many bins the probabilities are put into.
        strategy : {"uniform", "quantile"}, default="quantile"
            Bins of equal width, or with equal numbers of texts.
        pos_label : label, default=None
            The class whose probability it is. None: of two classes the second.
        name : str, default=None
            What to call the curve of an estimator with one kind of probabilities; None
            for its class.
        ax : matplotlib Axes, default=None
            Axes to draw on; None for a new figure.

        Returns
        -------
        display : ReliabilityDisplay

        Raises
        ------
        ValueError
            If there is no text, or `pos_label` is missing or no class.
        """
        check_matplotlib_support(f"{cls.__name__}.from_estimator")
        texts, labels = distinct_texts(X, y)
        pos_label = positive_class(np.asarray(estimator.classes_), pos_label)
        given = positive_probability(estimator, texts, pos_label)
        curves = {type(estimator).__name__ if name is None else name: given}
        if "focal_gamma" in estimator.get_params(deep=False):
            logits = estimator.decision_function(texts)
            # of two classes, the logit of the second
            scores = np.column_stack([0 * logits, logits]) if logits.ndim == 1 else logits
            raw = softmax(scores, axis=1)[:, np.asarray(estimator.classes_) == pos_label]
            curves = {"before: sigmoid": raw.ravel(), "after: posterior": given}
        return cls.from_predictions(
            labels,
            curves,
            n_bins=n_bins,
            strategy=strategy,
            pos_label=pos_label,
            ax=ax,
        )

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
        n_bins, strategy
            As for `from_estimator`.
        pos_label : label, default=None
            The class whose probability it is. None: of two classes the second.
        name : str, default="classifier"
            What to call the only curve.
        ax : matplotlib Axes, default=None
            Axes to draw on; None for a new figure.

        Returns
        -------
        display : ReliabilityDisplay

        Raises
        ------
        ValueError
            If the lengths differ, a probability is outside of [0, 1], `pos_label` is
            missing or no label, or there are more curves than can be told apart.
        """
        check_matplotlib_support(f"{cls.__name__}.from_predictions")
        by_name = y_prob if isinstance(y_prob, Mapping) else {name: y_prob}
        if len(by_name) > len(STYLES):
            raise ValueError(
                f"There are {len(by_name)} curves, of which a picture can show {len(STYLES)}. "
                "Pass fewer."
            )
        happened, pos_label = _is_positive(y_true, pos_label)
        curves, errors = {}, {}
        for each, proba in by_name.items():
            check_consistent_length(happened, proba)
            curves[each] = calibration_curve(
                happened, proba, n_bins=n_bins, strategy=strategy, pos_label=True
            )
            errors[each] = expected_calibration_error(happened, proba)
        return cls(curves, errors=errors, pos_label=pos_label).plot(ax)


class ScoreDistributionDisplay:
    """The probabilities that the texts of each class were given, with the threshold.

    It is made by `from_estimator` or `from_predictions`.

    Parameters
    ----------
    y_true : ndarray of shape (n_samples,)
        The labels.
    y_prob : ndarray of shape (n_samples,)
        The probabilities of `pos_label`.
    pos_label : label
        The class whose probability it is.
    threshold : float, default=0.5
        The probability from which on a text is kept.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the distributions.
    figure_ : matplotlib Figure
        Figure containing them.
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

    def __init__(
        self, y_true: np.ndarray, y_prob: np.ndarray, *, pos_label: Any, threshold: float = 0.5
    ) -> None:
        self.y_true = y_true
        self.y_prob = y_prob
        self.pos_label = pos_label
        self.threshold = threshold

    @property
    def kept(self) -> dict[Any, float]:
        """The share of each label's texts that reach the threshold."""
        above = self.y_prob >= self.threshold
        labels = np.unique(self.y_true).tolist()
        return {label: float(above[self.y_true == label].mean()) for label in labels}

    def plot(self, ax: Any = None, *, n_bins: int = 20) -> "ScoreDistributionDisplay":
        """Draw the share of each class's texts in each bin of probabilities.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on; None for a new figure.
        n_bins : int, default=20
            How many bins, of equal width.

        Returns
        -------
        display : ScoreDistributionDisplay
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
            note = f"kept from\n{self.threshold:.3g} on"
            self.line_ = threshold_line(ax, self.threshold, note, on_the_left=self.threshold > 0.6)
            literal(ax.set_xlabel(f"probability given to {label_name(self.pos_label)}"))
            ax.set(ylabel="share of the label's texts", xlim=(-0.01, 1.01))
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
        X : container of str, of length n_samples
            Texts that it has not seen. Each distinct one counts once, with its most
            frequent label.
        y : array-like of shape (n_samples,)
            Their labels. Of more than six classes `pos_label` and the four largest others are
            shown, and the rest together.
        threshold : float, default=0.5
            The probability from which on a text is kept.
        pos_label : label, default=None
            The class whose probability it is. None: of two classes the second.
        n_bins : int, default=20
            As for `plot`.
        ax : matplotlib Axes, default=None
            Axes to draw on; None for a new figure.

        Returns
        -------
        display : ScoreDistributionDisplay

        Raises
        ------
        ValueError
            If there is no text, or `pos_label` is missing or no class.
        """
        check_matplotlib_support(f"{cls.__name__}.from_estimator")
        texts, labels = distinct_texts(X, y)
        pos_label = positive_class(np.asarray(estimator.classes_), pos_label)
        proba = positive_probability(estimator, texts, pos_label)
        display = cls(labels, proba, pos_label=pos_label, threshold=threshold)
        return display.plot(ax, n_bins=n_bins)

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
        y_true : array-like of shape (n_samples,)
            The labels.
        y_prob : array-like of shape (n_samples,)
            Probabilities of `pos_label`.
        threshold, pos_label, n_bins, ax
            As for `from_estimator`.

        Returns
        -------
        display : ScoreDistributionDisplay

        Raises
        ------
        ValueError
            If the lengths differ, or `pos_label` is missing or no label.
        """
        check_matplotlib_support(f"{cls.__name__}.from_predictions")
        proba = np.asarray(y_prob, dtype=np.float64)
        labels = check_labels(y_true, len(proba), name="y_true", of="y_prob")
        pos_label = positive_class(np.unique(labels), pos_label)
        display = cls(labels, proba, pos_label=pos_label, threshold=threshold)
        return display.plot(ax, n_bins=n_bins)


def _is_positive(y_true: Any, pos_label: Any) -> tuple[np.ndarray, Any]:
    labels = check_labels(y_true, len(y_true), name="y_true")
    pos_label = positive_class(np.unique(labels), pos_label)
    return labels == pos_label, pos_label
