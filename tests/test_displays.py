"""Tests of the displays: the numbers and words in the plots, and invalid input."""

import os
import subprocess
import sys

import matplotlib as mpl
import numpy as np
import pytest
from notebooks import run_notebook
from sklearn.base import BaseEstimator
from sklearn.feature_extraction.text import CountVectorizer

from skbert_filter import duplicate_report
from skbert_filter.datasets import make_website_snippets
from skbert_filter.inspection import (
    DistinctiveTermsDisplay,
    DuplicateFrequencyDisplay,
    ScoreDistributionDisplay,
    TextLengthDisplay,
    WordCountRule,
    distinctive_terms,
    tfidf_baseline,
)
from skbert_filter.inspection.displays.shared import STYLES

mpl.use("Agg")
from matplotlib import pyplot as plt

TEXTS = ["View", "View", "All news", "More", "We make soap here", "We sell tea and soap", "Go on"]
LABELS = [0, 0, 0, 0, 1, 1, 1]


@pytest.fixture(autouse=True)
def _closed_figures():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def website():
    return make_website_snippets(600, random_state=0)


@pytest.fixture(scope="module")
def tfidf(website):
    return tfidf_baseline().fit(*website)


def legend_of(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def test_lengths_are_shares_of_distinct_texts():
    display = TextLengthDisplay.from_texts(TEXTS, LABELS, max_words=9)

    heights = [stairs.get_data().values.tolist() for stairs in display.stairs_]
    assert heights[0] == pytest.approx([0, 2 / 3, 1 / 3, 0, 0, 0, 0, 0, 0, 0])
    assert heights[1] == pytest.approx([0, 0, 1 / 3, 0, 1 / 3, 1 / 3, 0, 0, 0, 0])
    assert legend_of(display.ax_) == ["label 0 (3 texts)", "label 1 (3 texts)"]
    assert display.ax_.get_xlabel() == "words per text (last bin: 9 or more)"


def test_the_threshold_is_that_of_the_word_count_rule():
    display = TextLengthDisplay.from_texts(TEXTS, LABELS)

    rule = WordCountRule().fit(TEXTS[1:], LABELS[1:])
    assert rule.threshold_ == 2
    assert display.line_.get_xdata() == [1.5, 1.5]
    assert display.accuracy == rule.score(TEXTS[1:], LABELS[1:]) == pytest.approx(5 / 6)
    [note] = display.ax_.texts
    assert note.get_text() == "2 words or more:\nlabel 1\n(83% accuracy)"


def test_long_texts_are_in_the_last_bin():
    display = TextLengthDisplay.from_texts([*TEXTS, "word " * 500], [*LABELS, 1], max_words=5)

    assert display.stairs_[1].get_data().values.tolist()[-1] == pytest.approx(2 / 4)
    assert display.ax_.get_xlabel() == "words per text (last bin: 5 or more)"


def test_three_classes_have_lengths_and_no_threshold():
    display = TextLengthDisplay.from_texts([*TEXTS, "3 May"], [*LABELS, 2])

    assert len(display.stairs_) == 3
    assert display.line_ is None


def test_log_odds_are_those_of_monroe_et_al():
    X = ["soap soap tea", "tea for us", "soap here", "view us"]
    terms = distinctive_terms(X, ["keep", "keep", "drop", "drop"], prior_size=20)

    # "soap" is 2 of 6 words kept, 1 of 4 dropped, 3 of all 10: a prior of 6 of 20.
    row = terms.set_index(["label", "term"]).loc["keep", "soap"]
    expected = np.log(8 / (26 - 8)) - np.log(7 / (24 - 7))
    assert (row["count"], row["others"]) == (2, 1)
    assert row["log_odds"] == pytest.approx(expected)
    assert row["std"] == pytest.approx(np.sqrt(1 / 8 + 1 / 7))
    assert row["z"] == pytest.approx(row["log_odds"] / row["std"])
    other = terms.set_index(["label", "term"]).loc["drop", "soap"]
    assert other["log_odds"] == pytest.approx(-expected)


def test_terms_are_counted_in_distinct_texts_with_the_vectorizer():
    vectorizer = CountVectorizer(lowercase=False, token_pattern=r"\S+")
    terms = distinctive_terms(["View !", "View !", "We"], [0, 0, 1], vectorizer=vectorizer)

    counts = terms[terms["label"] == 0].set_index("term")["count"].to_dict()
    assert counts == {"View": 1, "!": 1, "We": 0}
    assert not hasattr(vectorizer, "vocabulary_")


def test_terms_are_drawn_under_their_class():
    display = DistinctiveTermsDisplay.from_texts(TEXTS, LABELS, n_terms=2)

    of_1 = display.terms[display.terms["label"] == 1].head(2)
    labels = [text.get_text() for text in display.ax_.get_yticklabels()]
    assert labels[0] == "label 0"
    assert labels[3:] == ["label 1", *of_1["term"]]
    points, _, [bars] = display.errorbars_[1]
    assert points.get_xdata().tolist() == of_1["log_odds"].tolist()
    assert points.get_ydata().tolist() == [4, 5]
    ends = bars.get_segments()[0][:, 0]
    assert ends == pytest.approx(
        of_1["log_odds"].iloc[0] + 1.96 * of_1["std"].iloc[0] * np.array([-1, 1])
    )


def test_dollar_signs_do_not_start_a_formula():
    display = DistinctiveTermsDisplay.from_texts(
        ["costs $^$ now", "nothing"],
        ["$_$", "free"],
        vectorizer=CountVectorizer(token_pattern=r"\S+"),
    )
    lengths = TextLengthDisplay.from_texts(["one two", "three"], ["$_$", "free"])

    display.figure_.draw_without_rendering()
    lengths.figure_.draw_without_rendering()
    assert r"\$^\$" in [text.get_text() for text in display.ax_.get_yticklabels()]


def test_frequencies_are_those_of_the_report():
    X = ["a"] * 50 + ["b"] * 20 + ["c"] * 20 + ["d", "e", "f", "g", "h", "i", "j", "k", "l", "m"]
    report = duplicate_report(X)
    display = DuplicateFrequencyDisplay.from_report(report)

    # From each rank on, to the next.
    assert display.line_.get_drawstyle() == "steps-post"
    assert display.line_.get_xdata().tolist() == [1, 2, 4, 13]
    assert display.line_.get_ydata().tolist() == [50, 20, 1, 1]
    for rank, share in display.coverage_line_.get_xydata():
        assert share == pytest.approx(report.coverage(rank))
    assert display.coverage_line_.get_xydata()[-1].tolist() == [13, 1]
    assert display.ax_.get_xscale() == display.ax_.get_yscale() == "log"
    assert display.coverage_ax_.get_yscale() == "linear"


def test_frequencies_are_counted_by_key():
    display = DuplicateFrequencyDisplay.from_report(
        duplicate_report(["Go", "GO", "Stop"], key="casefold")
    )

    assert display.frequencies["occurrences"].tolist() == [2, 1]


def test_one_of_three_classes_against_the_others(ternary, three_kinds):
    X, y = three_kinds
    scores = ScoreDistributionDisplay.from_estimator(ternary, X, y, pos_label=2)

    column = ternary.classes_.tolist().index(2)
    after = ternary.predict_proba(X)[:, column]
    assert sorted(scores.y_prob) == pytest.approx(sorted(after))
    assert list(scores.kept) == [-7, 0, 2]


def test_scores_count_distinct_texts_and_report_what_is_kept():
    rule = WordCountRule().fit(TEXTS, LABELS)
    display = ScoreDistributionDisplay.from_estimator(rule, TEXTS, LABELS, threshold=0.7, n_bins=4)

    proba = rule.predict_proba(TEXTS[1:])[:, 1]
    kept = [int((proba[:3] >= 0.7).sum()), int((proba[3:] >= 0.7).sum())]
    assert list(display.kept.values()) == pytest.approx([kept[0] / 3, kept[1] / 3])
    counts, _ = np.histogram(proba[3:], [0, 0.25, 0.5, 0.75, 1])
    assert display.stairs_[1].get_data().values == pytest.approx(counts / 3)
    assert display.line_.get_xdata() == [0.7, 0.7]
    assert legend_of(display.ax_)[1] == f"label 1: {kept[1] / 3:.1%} of 3 kept"


def test_the_largest_of_many_classes_are_drawn_and_the_others_summed_up():
    sizes = {"b": 9, "a": 8, "h": 7, "d": 6, "e": 5, "f": 4, "g": 3, "c": 2}
    labels = [label for label, size in sizes.items() for _ in range(size)]
    texts = [f"{label} {'word ' * i}{label}{i}" for i, label in enumerate(labels)]

    lengths = TextLengthDisplay.from_texts(texts, labels)
    assert legend_of(lengths.ax_) == [
        "label a (8 texts)",
        "label b (9 texts)",
        "label d (6 texts)",
        "label e (5 texts)",
        "label h (7 texts)",
        "3 other labels (9 texts)",
    ]
    assert sum(lengths.stairs_[-1].get_data().values) == pytest.approx(1)

    probabilities = [0.7 if label in "cg" else 0.1 for label in labels]
    scores = ScoreDistributionDisplay(
        np.array(labels), np.array(probabilities), pos_label="c"
    ).plot()
    assert legend_of(scores.ax_)[2] == "label c: 100.0% of 2 kept"
    assert legend_of(scores.ax_)[-1] == "3 other labels: 25.0% of 12 kept"
    assert len(scores.kept) == 8

    terms = DistinctiveTermsDisplay.from_texts(texts, labels, n_terms=1)
    assert len(terms.errorbars_) == 6
    assert "6 of 8 labels" in terms.ax_.get_xlabel()


def all_displays(ax_of, classifier, X, y):
    return [
        TextLengthDisplay.from_texts(X, y, ax=ax_of()),
        DistinctiveTermsDisplay.from_texts(X, y, ax=ax_of()),
        DuplicateFrequencyDisplay.from_report(duplicate_report(X), ax=ax_of()),
        ScoreDistributionDisplay.from_estimator(classifier, X, y, ax=ax_of()),
    ]


def test_a_new_figure_is_one_column_wide_and_nothing_is_cut_off(tfidf, website):
    for display in all_displays(lambda: None, tfidf, *website):
        figure = display.figure_
        figure.draw_without_rendering()
        assert figure.get_figwidth() == 3.3
        drawn = figure.get_tightbbox()
        name = type(display).__name__
        assert drawn.x0 >= 0, name
        assert drawn.y0 >= 0, name
        assert drawn.x1 <= figure.get_figwidth(), name
        assert drawn.y1 <= figure.get_figheight(), name


class Draws(BaseEstimator):
    """Predicts random probabilities for classes of any name."""

    def __init__(self, classes_):
        self.classes_ = classes_

    def predict_proba(self, X):
        rng = np.random.default_rng(0)
        return rng.dirichlet(np.full(len(self.classes_), 0.3), len(X))


LONG_NAMES = "Electronics, \x1b[2J and household appliances / subcategory number {}"


@pytest.mark.parametrize("name", ["c{}", LONG_NAMES, LONG_NAMES.upper()], ids=["short", "l", "L"])
@pytest.mark.parametrize("n_classes", [2, 10, 77])
def test_classes_of_any_number_and_name_leave_room_for_the_plot(n_classes, name):
    names = np.array([name.format(i) for i in range(n_classes)], dtype=object)
    y = np.repeat(names, 9)
    X = [f"tea pot {i} " + "of cast iron " * (i % 7) for i in range(len(y))]
    model = Draws(np.sort(names))
    displays = [
        TextLengthDisplay.from_texts(X, y),
        DistinctiveTermsDisplay.from_texts(X, y, n_terms=3),
        ScoreDistributionDisplay.from_estimator(model, X, y, pos_label=names[1]),
    ]
    for display in displays:
        display.figure_.draw_without_rendering()  # without a warning of matplotlib
        drawn = display.figure_.get_tightbbox()
        assert drawn.x0 >= 0
        assert drawn.x1 <= 3.3
        assert display.ax_.get_position().width * 3.3 > 1.4
    assert len(legend_of(displays[2].ax_)) == min(n_classes, 6)


def test_labels_that_look_alike_when_shortened_stay_separate():
    names = [f"{'a' * 20}{middle}{'z' * 20}" for middle in "xy"]
    display = TextLengthDisplay.from_texts(["one", "two words"], names)
    assert len(display.stairs_) == 2


def test_bool_labels_are_drawn():
    display = TextLengthDisplay.from_texts(TEXTS, [label == 1 for label in LABELS])
    assert legend_of(display.ax_) == ["label False (3 texts)", "label True (3 texts)"]


@pytest.mark.parametrize("X", [["a"], ["a"] * 50, ["a", "b", "c"], ["a", "a", "b"]])
def test_frequencies_have_no_rank_below_1(X):
    display = DuplicateFrequencyDisplay.from_report(duplicate_report(X))
    display.figure_.draw_without_rendering()
    for axis in (display.ax_.xaxis, display.ax_.yaxis):
        ticks = [*axis.get_major_ticks(), *axis.get_minor_ticks()]
        shown = [t.label1.get_text() for t in ticks if t.get_loc() >= axis.get_view_interval()[0]]
        assert "1" in shown
        assert all(float(text.replace(",", "") or 1) >= 1 for text in shown)


@pytest.mark.parametrize("max_words", [None, 3])
def test_a_threshold_beyond_most_texts_is_inside_the_plot(max_words):
    X = [f"{'word ' * (i % 4 + 1)}{i}" for i in range(60)] + ["word " * 30] * 1
    display = TextLengthDisplay.from_texts(X, [0] * 60 + [1], max_words=max_words)
    assert display.threshold - 0.5 < display.ax_.get_xlim()[1]


def test_all_draw_on_the_axes_of_the_user(tfidf, website):
    figure, axes = plt.subplots(4, figsize=(14, 9))
    given = iter(axes)
    displays = all_displays(lambda: next(given), tfidf, *website)

    assert [display.ax_ for display in displays] == axes.tolist()
    assert {display.figure_ for display in displays} == {figure}
    figure.draw_without_rendering()
    legends = [ax.get_legend() for ax in axes if ax.get_legend()]
    assert len(legends) == 3
    assert all(legend.get_window_extent().x0 >= 0 for legend in legends)


def test_no_two_styles_differ_only_in_colour():
    for part in ("color", "linestyle", "marker"):
        assert len({style[part] for style in STYLES}) == len(STYLES)


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda: TextLengthDisplay.from_texts([], []), "X has no text to show"),
        (
            lambda: DistinctiveTermsDisplay.from_texts(["tea now", "soap"], [1, 1]),
            "All texts have the label 1. Pass texts of two classes",
        ),
        (lambda: distinctive_terms(TEXTS, LABELS, prior_size=0), "prior_size is 0. It must be"),
        (
            lambda: DuplicateFrequencyDisplay.from_report(duplicate_report([])),
            "There are 0 rows: nothing repeats",
        ),
        (
            lambda: ScoreDistributionDisplay.from_estimator(
                Draws(np.arange(3)), ["a", "b"], [0, 1]
            ),
            r"pos_label is None. It must be one of the classes \[0, 1, 2\]",
        ),
        (
            lambda: ScoreDistributionDisplay.from_estimator(
                Draws(np.arange(2)), ["a", "b"], [0, 1], pos_label=2
            ),
            r"pos_label is 2. It must be one of the classes \[0, 1\]",
        ),
    ],
)
def test_input_that_cannot_be_drawn_is_rejected(draw, message):
    with pytest.raises(ValueError, match=message):
        draw()


def test_without_matplotlib_the_error_names_it_and_the_numbers_are_available(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)

    with pytest.raises(ImportError, match=r"TextLengthDisplay.plot requires matplotlib"):
        TextLengthDisplay.from_texts(TEXTS, LABELS)
    with pytest.raises(ImportError, match=r"ScoreDistributionDisplay.plot requires matplotlib"):
        ScoreDistributionDisplay(np.array([0, 1]), np.array([0.1, 0.9]), pos_label=1).plot()
    assert not distinctive_terms(TEXTS, LABELS).empty


def test_matplotlib_is_not_imported_with_the_package():
    code = "import sys, skbert_filter.inspection; print('matplotlib' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_a_backend_that_the_first_plot_loads_keeps_its_settings(tmp_path):
    """The backend of notebooks needs this: it shows figures while matplotlib is interactive."""
    (tmp_path / "notebook_backend.py").write_text(
        "import matplotlib\n"
        "from matplotlib.backends.backend_agg import *\n"
        "matplotlib.interactive(True)\n"
    )
    code = (
        "import matplotlib\n"
        "from skbert_filter.inspection import TextLengthDisplay\n"
        "assert not matplotlib.is_interactive()\n"
        "TextLengthDisplay.from_texts(['Menu', 'We sell tea'], [0, 1])\n"
        "assert matplotlib.is_interactive()\n"
    )
    environment = os.environ | {
        "MPLBACKEND": "module://notebook_backend",
        "PYTHONPATH": os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]),
    }
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)


def test_every_plot_of_a_notebook_is_shown(tmp_path):
    cells = [
        "from matplotlib import pyplot as plt\n"
        "from skbert_filter.inspection import TextLengthDisplay\n"
        "display = TextLengthDisplay.from_texts(['Menu', 'We sell tea'], [0, 1])",
        "display = TextLengthDisplay.from_texts(['Menu', 'We sell more tea'], [0, 1])",
        "plt.plot([1, 2])",
        "display.figure_",
    ]
    for cell in run_notebook(cells, tmp_path).cells:
        assert any("image/png" in output.get("data", ()) for output in cell.outputs), cell.source
