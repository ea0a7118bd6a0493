"""Plots of labelled texts: their lengths, and the terms that distinguish the classes."""

from dataclasses import KW_ONLY, dataclass
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.feature_extraction.text import CountVectorizer

from skbert_filter.inspection.baselines import WordCountRule
from skbert_filter.inspection.displays.shared import (
    STYLES,
    column_axes,
    distinct_texts,
    draw_outlines,
    label_name,
    largest_classes,
    short_name,
    threshold_line,
)
from skbert_filter.printing import counted
from skbert_filter.shape import word_counts

_BINS = 40


@dataclass(eq=False, repr=False)
class TextLengthDisplay:
    """The lengths of the texts of each class, in words, with the most accurate threshold.

    Create it with `from_texts`. The threshold is that of a
    :class:`~skbert_filter.inspection.WordCountRule`, which a filter has to beat.

    Parameters
    ----------
    counts : DataFrame of shape (n_lengths, n_classes)
        The number of texts by their number of words (index) and class (columns).
    threshold : int, default=None
        The smallest number of words of the texts that the rule assigns to `long_class`.
    long_class : label, default=None
    accuracy : float, default=None
        The accuracy of the rule on these texts.

    Attributes
    ----------
    ax_, figure_ : matplotlib Axes and Figure
    stairs_ : list of matplotlib StepPatch
        The outline of each class.
    line_ : matplotlib Line2D or None
        The threshold.

    Examples
    --------
    >>> from skbert_filter.datasets import make_website_snippets
    >>> from skbert_filter.inspection import TextLengthDisplay
    >>> X, y = make_website_snippets(500, random_state=0)
    >>> display = TextLengthDisplay.from_texts(X, y)
    >>> display.threshold, round(display.accuracy, 2)
    (16, 0.89)
    """

    counts: pd.DataFrame
    _: KW_ONLY
    threshold: int | None = None
    long_class: Any = None
    accuracy: float | None = None

    def plot(self, ax: Any = None, *, max_words: int | None = None) -> "TextLengthDisplay":
        """Draw the share of each class's texts by their number of words.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            None for a new figure.
        max_words : int, default=None
            The last bin includes all longer texts. None: chosen so that about 5 % of the texts are
            in it. The threshold is used instead if it is larger.
        """
        counts = self.counts
        groups = largest_classes(counts.sum())
        if max_words is None:
            share = counts.sum(axis=1).cumsum() / counts.to_numpy().sum()
            max_words = int(share.index[np.searchsorted(share, 0.95)])
        max_words = max(max_words, self.threshold or 0)
        width = max_words // _BINS + 1
        edges = np.arange(max_words // width + 2) * width - 0.5
        lengths = np.minimum(counts.index, max_words)

        histograms = []
        for name, labels in groups:
            texts = counts.loc[:, counts.columns.isin(labels)].sum(axis=1)
            shares, _ = np.histogram(lengths, edges, weights=texts / texts.sum())
            histograms.append((f"{name} ({counted(int(texts.sum()), 'text')})", shares))

        with column_axes(self, ax, height=2.1 + 0.16 * len(groups)) as ax:
            self.stairs_ = draw_outlines(ax, histograms, edges)
            ax.set(
                xlim=(edges[0] - 0.3 * width, edges[-1] + 0.3 * width),
                xlabel=f"words per text (last bin: {max_words // width * width} or more)",
            )
            ax.xaxis.get_major_locator().set_params(integer=True)
            self.line_ = None
            if self.threshold is not None:
                note = (
                    f"{self.threshold} words or more:\n{label_name(self.long_class)}\n"
                    f"({self.accuracy:.0%} accuracy)"
                )
                self.line_ = threshold_line(ax, self.threshold - 0.5, note)
        return self

    @classmethod
    def from_texts(
        cls, X: Any, y: Any, *, ax: Any = None, max_words: int | None = None
    ) -> "TextLengthDisplay":
        """Count the words of labelled texts, and draw their distribution.

        Parameters
        ----------
        X, y : container of str and array-like, of length n_samples
            Each distinct text counts once, with its most frequent label. The threshold is drawn for
            two classes only; of more than six, the five largest and the rest together are drawn.
        ax, max_words
            As for `plot`.
        """
        texts, labels = distinct_texts(X, y)
        words = pd.Series(word_counts(texts), name="words")
        display = cls(pd.crosstab(words, pd.Series(labels, name="label")))
        if display.counts.shape[1] == 2:
            rule = WordCountRule().fit(texts, labels)
            display.threshold, display.long_class = rule.threshold_, rule.long_class_
            display.accuracy = rule.score(texts, labels)
        return display.plot(ax, max_words=max_words)


def distinctive_terms(
    X: Any, y: Any, *, vectorizer: Any = None, prior_size: float = 500.0
) -> pd.DataFrame:
    """Return how much more each class uses each term than the other classes do.

    Parameters
    ----------
    X, y : container of str and array-like, of length n_samples
        Texts of two classes or more. Each distinct text counts once, with its most frequent label.
    vectorizer : CountVectorizer, default=None
        A clone of it counts the terms. None: ``CountVectorizer()``.
    prior_size : float, default=500
        How many terms, distributed as in all texts, are added to each side. The larger it is, the
        more the log-odds of rare terms shrink to 0.

    Returns
    -------
    terms : DataFrame
        Each class's terms, the most distinctive first: "label", "term", "count" (in texts of the
        label), "others" (in all other texts), "log_odds" (natural logarithm of the odds ratio),
        "std" (its standard deviation) and "z", ``log_odds / std``.

    Notes
    -----
    "log_odds" is the log-odds ratio with an informative Dirichlet prior of Monroe, Colaresi and
    Quinn, "Fightin' Words" (Political Analysis 16, 2008); the prior is the frequency of the term in
    all texts. A term that occurs once may have large log-odds by chance, but its z is small.

    Examples
    --------
    >>> from skbert_filter.inspection import distinctive_terms
    >>> X = ["We make soap", "We make tea", "We sell tea", "View all", "View more", "More tea"]
    >>> terms = distinctive_terms(X, ["keep", "keep", "keep", "drop", "drop", "drop"])
    >>> terms.groupby("label").head(1)[["label", "term", "count", "others"]]
      label  term  count  others
    0  drop  more      2       0
    8  keep    we      3       0
    """
    if not prior_size > 0:
        raise ValueError(f"prior_size is {prior_size!r}. It must be a positive number.")
    texts, labels = distinct_texts(X, y)
    classes = np.unique(labels)
    if len(classes) < 2:
        raise ValueError(
            f"All texts have the label {classes.tolist()[0]!r}. Pass texts of two classes or more."
        )

    counter = CountVectorizer() if vectorizer is None else clone(vectorizer)
    matrix = counter.fit_transform(texts)
    terms = pd.Series(counter.get_feature_names_out(), dtype=object)
    in_all = np.asarray(matrix.sum(axis=0)).ravel()
    prior = prior_size * in_all / in_all.sum()

    def log_odds(counts: np.ndarray) -> np.ndarray:
        counts = counts + prior
        return np.log(counts) - np.log(counts.sum() - counts)

    tables = []
    for label in classes:
        own = np.asarray(matrix[labels == label].sum(axis=0)).ravel()
        others = in_all - own
        table = pd.DataFrame({"label": label, "term": terms, "count": own, "others": others})
        table["log_odds"] = log_odds(own) - log_odds(others)
        table["std"] = np.sqrt(1 / (own + prior) + 1 / (others + prior))
        table["z"] = table["log_odds"] / table["std"]
        tables.append(table.sort_values("z", ascending=False, kind="stable"))
    return pd.concat(tables, ignore_index=True)


@dataclass(eq=False, repr=False)
class DistinctiveTermsDisplay:
    """The terms that distinguish the texts of each class, with their log-odds.

    Create it with `from_texts`.

    Parameters
    ----------
    terms : DataFrame
        As returned by :func:`distinctive_terms`.

    Attributes
    ----------
    ax_, figure_ : matplotlib Axes and Figure
    errorbars_ : list of matplotlib ErrorbarContainer
        The terms of each class.

    Examples
    --------
    >>> from skbert_filter.datasets import make_website_snippets
    >>> from skbert_filter.inspection import DistinctiveTermsDisplay
    >>> X, y = make_website_snippets(500, random_state=0)
    >>> display = DistinctiveTermsDisplay.from_texts(X, y, n_terms=5)
    >>> display.terms.query("label == 1")["term"].head(2).tolist()
    ['the', 'in']
    """

    terms: pd.DataFrame

    def plot(self, ax: Any = None, *, n_terms: int = 8) -> "DistinctiveTermsDisplay":
        """Draw the log-odds of the most distinctive terms with their 95 % intervals.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            None for a new figure, whose height depends on the number of terms.
        n_terms : int, default=8
            The number of terms of each class.
        """
        sizes = self.terms.groupby("label", sort=False)["count"].sum()
        shown = sizes.index[sizes.index.isin(sizes.nlargest(len(STYLES)).index)]
        # The labels of the y axis: each class, followed by its terms.
        lines: list[str] = []
        headings = []

        with column_axes(self, ax, height=0.55 + 0.155 * len(shown) * (n_terms + 1)) as ax:
            self.errorbars_ = []
            for label, style in zip(shown, STYLES, strict=False):
                terms = self.terms[self.terms["label"] == label].head(n_terms)
                headings.append(len(lines))
                lines += [label_name(label), *map(short_name, terms["term"])]
                bars = ax.errorbar(
                    terms["log_odds"],
                    np.arange(headings[-1] + 1, len(lines)),
                    xerr=1.96 * terms["std"],
                    elinewidth=1,
                    **{**style, "linestyle": "none"},
                )
                self.errorbars_.append(bars)

            ax.axvline(0, color="0.6", linewidth=0.8, zorder=0)
            ax.set_yticks(range(len(lines)), lines)
            for heading in headings:
                ax.get_yticklabels()[heading].set_fontweight("bold")
            ax.tick_params(axis="y", length=0)
            ax.set_ylim(len(lines) - 0.4, -0.6)
            caption = "log-odds ratio to other labels (95% CI)"
            if len(shown) < len(sizes):
                caption += f"\n{len(shown)} of {len(sizes)} labels, those with most terms"
            ax.set_xlabel(caption, loc="right")
        return self

    @classmethod
    def from_texts(
        cls,
        X: Any,
        y: Any,
        *,
        vectorizer: Any = None,
        prior_size: float = 500.0,
        n_terms: int = 8,
        ax: Any = None,
    ) -> "DistinctiveTermsDisplay":
        """Find the distinctive terms of labelled texts, and draw them.

        Parameters
        ----------
        X, y, vectorizer, prior_size
            As for :func:`distinctive_terms`. Only the six classes with the most terms are
            drawn.
        n_terms, ax
            As for `plot`.
        """
        terms = distinctive_terms(X, y, vectorizer=vectorizer, prior_size=prior_size)
        return cls(terms).plot(ax, n_terms=n_terms)
