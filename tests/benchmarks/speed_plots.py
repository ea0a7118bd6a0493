"""The plots of docs/speed.rst: as wide as a column, in black and greys, told apart by shape."""

from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib import pyplot as plt
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator
from speed_tables import PROFILES, Results, growth, number, tokens

STYLE: Any = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "lines.linewidth": 1.6,
    "legend.frameon": False,
    # The same results give the same file.
    "svg.hashsalt": "skbert_filter",
}
FILTER, PEER, LIGHT = "black", "0.55", "0.8"


def plots(results: Results, folder: Path) -> None:
    """Write the plots for which something was measured."""
    folder.mkdir(exist_ok=True)
    for plot in (_peers, _profiles, _growth, _tokens):
        with mpl.rc_context(STYLE):
            if (figure := plot(results)) is not None:
                target = folder / f"speed{plot.__name__}.svg"
                figure.savefig(target, metadata={"Date": None})
                plt.close(figure)


def _peers(results: Results) -> Figure | None:
    """Texts a second."""
    speeds = {
        name: results.of(line, "texts/s")
        for line, name in (
            ("predict", "the filter"),
            ("TF-IDF", "TF-IDF +\nLogisticRegression"),
            ("Hugging Face, batches of 64", "Hugging Face,\nbatches of 64"),
            ("Hugging Face, batches of 8", "Hugging Face,\nbatches of 8"),
            ("Hugging Face, one by one", "Hugging Face,\none by one"),
            ("MiniLM", "MiniLM sentence\ntransformer"),
        )
        if line in results
    }
    if len(speeds) < 2:
        return None
    figure, axes = plt.subplots(figsize=(5.2, 0.45 * len(speeds) + 0.7), layout="constrained")
    colors = [FILTER, *[PEER] * (len(speeds) - 1)]
    bars = axes.barh(list(speeds), list(speeds.values()), color=colors, height=0.62)
    axes.bar_label(bars, [number(speed) for speed in speeds.values()], padding=3)
    axes.set(xlabel="distinct texts a second, two cores")
    axes.margins(x=0.12)
    axes.invert_yaxis()
    axes.xaxis.set_major_locator(MaxNLocator(5))
    _plain_numbers(axes.xaxis)
    return figure


def _profiles(results: Results) -> Figure | None:
    """Seconds of the parts of each path, with their floors."""
    titles = {
        "predict": "predict, one core",
        "corpus": "corpus job, two cores",
        "fit": "fit in a fresh process, two cores",
        "start": "script that predicts ten texts",
    }
    paths = [path for path in PROFILES if f"profile of {path}" in results]
    if not paths:
        return None
    parts = {path: results.profile(path)[:6] for path in paths}
    figure, panels = plt.subplots(
        len(paths),
        figsize=(5.2, sum(0.22 * len(parts[path]) + 0.75 for path in paths)),
        layout="constrained",
        squeeze=False,
        height_ratios=[len(parts[path]) + 1.5 for path in paths],
    )
    for axes, path in zip(panels[:, 0], paths, strict=True):
        names, seconds, floors = zip(*parts[path], strict=True)
        axes.barh(names, seconds, color=LIGHT, height=0.7)
        for i, (taken, floor) in enumerate(zip(seconds, floors, strict=True)):
            if floor is not None:
                axes.plot(floor, i, "|", color="black", markersize=10, markeredgewidth=2)
            end = (max(taken, floor or 0.0), i)
            label = f"{number(taken)} s"
            axes.annotate(label, end, (6, 0), textcoords="offset points", va="center")
        axes.set_title(titles[path], loc="left", fontsize=9, fontweight="bold")
        axes.margins(x=0.2)
        axes.set_xlim(left=0)
        axes.invert_yaxis()
    panels[-1, 0].set_xlabel("seconds; black marks: the floor")
    return figure


def _growth(results: Results) -> Figure | None:
    """Time and memory of the corpus job by its rows."""
    as_they_are, new = growth(results, new=False), growth(results, new=True)
    if len(as_they_are) < 2:
        return None
    figure, panels = plt.subplots(1, 2, figsize=(5.2, 2.6), layout="constrained")
    for axes, field, label in zip(panels, (2, 3), ("seconds", "peak memory, MB"), strict=True):
        for points, style, name in (
            (as_they_are, "o-", "the same texts again"),
            (new, "s--", "with new texts"),
        ):
            if len(points) > 1:
                values = [point[field] for point in points]
                rows = [point[0] for point in points]
                axes.plot(rows, values, style, color="black", markerfacecolor="white", label=name)
        axes.set(xscale="log", xlabel="rows")
        axes.set_title(label, loc="left", fontsize=9, fontweight="bold")
    panels[0].set(yscale="log")
    panels[1].set_ylim(bottom=0)
    panels[0].legend(loc="upper left", handlelength=2.6)
    _plain_numbers(panels[0].yaxis)
    return figure


def _tokens(results: Results) -> Figure | None:
    """Texts a second by the tokens of a text, beside what the matrix products would allow."""
    by_cores = {cores: tokens(results, cores) for cores in (1, 2)}
    if any(len(points) < 2 for points in by_cores.values()):
        return None
    figure, axes = plt.subplots(figsize=(5.2, 2.8), layout="constrained")
    n_tokens = [point[0] for point in by_cores[2]]
    bound = [point[2] for point in by_cores[2]]
    axes.plot(n_tokens, bound, ":", color=PEER, label="matrix products alone, two cores")
    for cores, style in ((2, "o-"), (1, "s--")):
        speeds = [point[1] for point in by_cores[cores]]
        name = "two cores" if cores == 2 else "one core"
        axes.plot(n_tokens, speeds, style, color="black", markerfacecolor="white", label=name)
    axes.set(xscale="log", yscale="log", xlabel="tokens a text", ylabel="texts a second")
    axes.set_xticks(n_tokens, [str(n) for n in n_tokens])
    axes.minorticks_off()
    axes.legend(loc="lower left", handlelength=2.6)
    _plain_numbers(axes.yaxis)
    return figure


def _plain_numbers(axis: Axis) -> None:
    axis.set_major_formatter(FuncFormatter(lambda value, _: number(value) if value else "0"))
