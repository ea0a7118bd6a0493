"""Plots of how a model learns: epoch by epoch, and label by label."""

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.model_selection import learning_curve
from sklearn.utils._optional_dependencies import check_matplotlib_support
from sklearn.utils.validation import check_is_fitted

from skbert_filter.duplicates.keys import Key
from skbert_filter.duplicates.splits import DedupStratifiedKFold
from skbert_filter.inspection.displays.shared import (
    STYLES,
    column_axes,
    distinct_texts,
    legend_above,
    short_name,
)
from skbert_filter.inspection.refitting import check_learns


@dataclass(eq=False, repr=False)
class TrainingHistoryDisplay:
    """The loss, the metrics and the learning rate of each epoch, and the best epoch.

    It is made, drawn and returned by `from_estimator`.

    Parameters
    ----------
    history : dict of str to list of float
        Of each epoch, as in Keras's `History.history`: a panel for each key, with that of the same
        name after ``val_``.
    best_epoch : int, default=None
        The epoch whose weights were kept, counted from 1.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes given, or new ones, without lines: their place is that of the panels.
    axes_ : dict of str to matplotlib Axes
        The panel of each quantity.
    figure_ : matplotlib Figure
        Figure containing them.

    Examples
    --------
    >>> from skbert_filter.inspection import TrainingHistoryDisplay
    >>> history = {"loss": [0.3, 0.2, 0.1], "val_loss": [0.3, 0.25, 0.27],
    ...            "learning_rate": [1e-3, 5e-4, 0.0]}
    >>> display = TrainingHistoryDisplay(history, best_epoch=2).plot()
    >>> list(display.axes_)
    ['loss', 'learning_rate']
    """

    history: Mapping[str, Sequence[float]]
    _: KW_ONLY
    best_epoch: int | None = None

    def plot(self, ax: Any = None) -> "TrainingHistoryDisplay":
        """Draw a panel for each quantity.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to fill with panels, of ``plt.subplots()``; None for a new figure.
        """
        # Metrics have any names; between the loss and the learning rate they find their place.
        names = sorted(
            (name for name in self.history if not name.startswith("val_")),
            key=lambda name: (name == "learning_rate", name != "loss"),
        )

        with column_axes(self, ax, height=0.5 + 1.0 * len(names)) as ax:
            if (place := ax.get_subplotspec()) is None:
                raise ValueError("ax is not part of a grid. Pass axes made by plt.subplots().")
            ax.set_axis_off()
            grid = place.subgridspec(len(names), 1)
            self.axes_ = {name: ax.figure.add_subplot(grid[i]) for i, name in enumerate(names)}

            for name, panel in self.axes_.items():
                self._draw(panel, name)
                panel.tick_params(labelbottom=name == names[-1])
            panel.set_xlabel("epoch")
            ax.figure.align_ylabels(list(self.axes_.values()))
            legend_above(self.axes_[names[0]])
        return self

    def _draw(self, panel: Any, name: str) -> None:
        epochs = np.arange(1, len(self.history[name]) + 1)
        panel.plot(epochs, self.history[name], label="training texts", **STYLES[0])
        if f"val_{name}" in self.history:
            panel.plot(epochs, self.history[f"val_{name}"], label="held-out texts", **STYLES[1])
        if self.best_epoch is not None:
            label = f"best epoch: {self.best_epoch}"
            panel.axvline(self.best_epoch, color="0.45", linestyle=":", label=label, zorder=0)

        panel.set(ylabel=short_name(name.replace("_", " ")), xlim=(0.7, len(epochs) + 0.3))
        panel.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
        if name == "learning_rate":
            panel.ticklabel_format(axis="y", style="sci", scilimits=(0, 0), useMathText=True)

    @classmethod
    def from_estimator(cls, estimator: Any, *, ax: Any = None) -> "TrainingHistoryDisplay":
        """Draw how a filter or a pretrainer was trained.

        Parameters
        ----------
        estimator : SmallBertTextFilter or SmallBertPretrainer
            Fitted; it has `history_`, and its `training_record_` may name a best epoch.
        ax : matplotlib Axes, default=None
            Axes to fill with panels; None for a new figure.
        """
        check_matplotlib_support(f"{cls.__name__}.from_estimator")
        check_is_fitted(estimator, "history_")
        record = getattr(estimator, "training_record_", {})
        return cls(estimator.history_, best_epoch=record.get("best_epoch")).plot(ax)


@dataclass(eq=False, repr=False)
class DedupLearningCurveDisplay:
    """The score on held-out texts by the number of labels trained on.

    It is made, drawn and returned by `from_estimator`: scikit-learn's
    :class:`~sklearn.model_selection.LearningCurveDisplay` over distinct texts.

    Parameters
    ----------
    train_sizes : ndarray of shape (n_ticks,)
        Numbers of distinct texts trained on.
    test_scores : ndarray of shape (n_ticks, n_folds)
        Scores on the held-out texts.
    score_name : str, default="accuracy"
        What the score is called.
    name : str, default=None
        What the classifier is called.

    Attributes
    ----------
    ax_, figure_ : matplotlib Axes and Figure
        What it is drawn on.
    errorbar_ : matplotlib ErrorbarContainer
        The mean over the folds, and their standard deviation.

    Examples
    --------
    >>> from skbert_filter.datasets import make_website_snippets
    >>> from skbert_filter.inspection import DedupLearningCurveDisplay, WordCountRule
    >>> X, y = make_website_snippets(500, random_state=0)
    >>> display = DedupLearningCurveDisplay.from_estimator(
    ...     WordCountRule(), X, y, cv=3, random_state=0)
    >>> display.train_sizes
    array([ 30,  53,  95, 169, 302])
    """

    train_sizes: np.ndarray
    test_scores: np.ndarray
    _: KW_ONLY
    score_name: str = "accuracy"
    name: str | None = None

    def plot(self, ax: Any = None, *, name: str | None = None) -> "DedupLearningCurveDisplay":
        """Draw the curve.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on, also those of another such display; None for a new figure.
        name : str, default=None
            What to call the curve; None for `name` of the display.
        """
        sizes = np.asarray(self.train_sizes)
        name = self.name if name is None else name
        with column_axes(self, ax) as ax:
            self.errorbar_ = ax.errorbar(
                sizes,
                np.mean(self.test_scores, axis=1),
                np.std(self.test_scores, axis=1),
                label=None if name is None else short_name(name),
                capsize=2,
                elinewidth=0.8,
                **STYLES[len(ax.containers) % len(STYLES)],
            )

            if sizes.max() > 5 * sizes.min():
                from matplotlib.ticker import LogLocator

                subs = (1, 2, 5) if sizes.max() <= 100 * sizes.min() else (1,)
                ax.set_xscale("log")
                ax.xaxis.set_major_locator(LogLocator(subs=subs))
                ax.minorticks_off()
            ax.xaxis.set_major_formatter("{x:,.0f}")

            ax.set(xlabel="distinct texts with a label", ylabel=self.score_name)
            if ax.get_legend_handles_labels()[0]:
                legend_above(ax)
        return self

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any,
        *,
        train_sizes: Any = None,
        cv: Any = 5,
        key: Key = "exact",
        scoring: str = "accuracy",
        n_jobs: int | None = None,
        random_state: Any = None,
        name: str | None = None,
        ax: Any = None,
    ) -> "DedupLearningCurveDisplay":
        """Fit a classifier on more and more labels, and draw its scores.

        Parameters
        ----------
        estimator : classifier
            It is cloned for each fit.
        X, y : container of str and array-like, of length n_samples
            The texts and their labels. Each distinct text counts once, with its most frequent
            label: copies on both sides of a split would reward a model that remembers.
        train_sizes : array-like of float or int, default=None
            Shares of the training texts of a fold, or their numbers. None: five, from a tenth of
            them to all, each larger by the same factor.
        cv : int or splitter, default=5
            How many folds of :class:`~skbert_filter.DedupStratifiedKFold`, or another splitter.
        key : {"exact", "whitespace", "casefold"} or callable, default="exact"
            Which texts are kept in one fold.
        scoring : str, default="accuracy"
            A name of scikit-learn's scorers.
        n_jobs : int, default=None
            How many fits at a time.
        random_state : int, RandomState instance or None, default=None
            The seed of the folds, and of the order in which texts are added.
        name : str, default=None
            What to call the curve; None for the class of the estimator.
        ax : matplotlib Axes, default=None
            Axes to draw on; None for a new figure.
        """
        check_matplotlib_support(f"{cls.__name__}.from_estimator")
        check_learns(estimator)

        texts, labels = distinct_texts(X, y)
        if isinstance(cv, Integral):
            cv = DedupStratifiedKFold(int(cv), key=key, shuffle=True, random_state=random_state)

        sizes, _, test_scores = learning_curve(
            estimator,
            texts,
            labels,
            train_sizes=np.geomspace(0.1, 1, 5) if train_sizes is None else train_sizes,
            cv=cv,
            scoring=scoring,
            n_jobs=n_jobs,
            shuffle=True,
            random_state=random_state,
            error_score="raise",
        )

        name = type(estimator).__name__ if name is None else name
        return cls(sizes, test_scores, score_name=scoring.replace("_", " "), name=name).plot(ax)
