"""The tables and the plot of docs/benchmarks.rst, from the results of accuracy.py."""

from pathlib import Path
from xml.sax.saxutils import escape

import numpy as np
import pandas as pd

ALL = 10**6
BY_PAGE = "web_snippets, page"
OWN = ["word-count rule", "TF-IDF", "TF-IDF and shape", "filter"]
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 390, 330, 40, 14, 14, 44


def report(results: pd.DataFrame, docs: Path | None) -> None:
    """Print all tables, and write them and the plot into the documentation."""
    columns = ["average_precision", "ece", "texts_per_second", "ratio", "mb"]
    results = results.reindex(columns=results.columns.union(columns))
    tables = {}
    if BY_PAGE in set(results.task):
        rivals = against(results)
        tables["rivals"] = rivals_table(rivals)
        if docs and rivals.ratio.notna().any():
            (docs / "images" / "quality_speed.svg").write_text(picture(rivals))

    own = results[results.model.isin(OWN)]
    tables["by_page"] = scores_table(own[own.task == BY_PAGE], ["labels", "model"])
    tables["random"] = scores_table(own[own.task == "web_snippets, random"], ["model"])
    others = own[~own.task.str.startswith(("web", "speed"))]
    tables["others"] = scores_table(others, ["task", "model"])

    for name, rows in tables.items():
        if len(rows) > 1:
            print(f"{name}\n\n{rst(rows)}")
            if docs:
                (docs / "measured" / f"accuracy_{name}.txt").write_text(rst(rows))


def against(results: pd.DataFrame) -> pd.DataFrame:
    """Return a row for each tool: its scores with 1,000 labels, or with as many as it was given.

    ``ahead`` is its average precision less the filter's with as many labels on the same folds.
    """
    by_page = results[results.task == BY_PAGE]
    speeds = results[results.task == "speed"].set_index("model")
    of_filter = by_page[by_page.model == "filter"].set_index(["labels", "fold"]).average_precision
    rows = []
    for model, fits in by_page.groupby("model"):
        at = [n for n in (1000, 100, 0) if n in set(fits.labels)]
        for labels in [*at[:1], *([0] if model == "filter" else [])]:
            some = fits[fits.labels == labels].set_index(["labels", "fold"])
            mean = some[["accuracy", "f1", "average_precision"]].mean()
            ahead = (some.average_precision - of_filter.reindex(some.index)).mean()
            row = {"model": model, "labels": labels, "folds": len(some), "ahead": ahead, **mean}
            rows.append(row | speeds.reindex([model])[["ratio", "mb"]].iloc[0].to_dict())
    return pd.DataFrame(rows).sort_values(["labels", "average_precision"], ascending=False)


def rivals_table(rivals: pd.DataFrame) -> list[list[str]]:
    """Return quality, speed and size of each tool."""
    rows = [["labels", "tool", "accuracy", "F1", "AP", "to the filter", "speed", "MB"]]
    for row in rivals.itertuples():
        name = f"**{row.model}**" if row.model == "filter" else row.model
        folds = "" if row.folds == 5 else f", {row.folds} of 5 folds"
        ranks = not row.model.endswith("text only")
        scores = [short(row.accuracy), short(row.f1), short(row.average_precision) if ranks else ""]
        is_rival = ranks and row.model != "filter" and not np.isnan(row.ahead)
        paired = f"{row.ahead:+.3f}".replace("0.", ".", 1).replace("-", "−") if is_rival else ""
        speed = "" if np.isnan(row.ratio) else f"{number(row.ratio)} ×"
        size = "" if np.isnan(row.mb) else number(row.mb)
        rows.append([f"{row.labels:,}", name + folds, *scores, paired, speed, size])
    return rows


def scores_table(results: pd.DataFrame, keys: list[str]) -> list[list[str]]:
    """Return the mean scores over folds."""
    columns = {"accuracy": "accuracy", "f1": "F1", "average_precision": "AP", "ece": "ECE"}
    rows = [[*keys, *columns.values()]]
    rank = {model: at for at, model in enumerate(OWN)}
    means = results.groupby(keys)[list(columns)].mean().reset_index()
    means = means.sort_values(keys, key=lambda c: c.map(rank) if c.name == "model" else c)
    for row in means.to_dict("records"):
        first = row[keys[0]]
        if keys[0] == "labels":
            first = "all" if first == ALL else f"{first:,}"
        model = "**filter**" if row["model"] == "filter" else row["model"]
        cells = [model] if len(keys) == 1 else [first, model]
        rows.append([*cells, *(short(row.get(column, np.nan)) for column in columns)])
    return rows


def rst(rows: list[list[str]]) -> str:
    """Return a simple table of reStructuredText, with the first row as its header."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    rule = "  ".join("=" * width for width in widths)
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    return "\n".join([rule, lines[0], rule, *lines[1:], rule]) + "\n"


def number(value: float) -> str:
    """Two significant digits."""
    return f"{float(f'{value:.2g}'):,.2f}".rstrip("0").rstrip(".") if value >= 0.005 else "< 0.01"


def short(value: float) -> str:
    """Three decimals without the zero before them."""
    return "" if np.isnan(value) else f"{value:.3f}".removeprefix("0")


def picture(rivals: pd.DataFrame) -> str:
    """Return average precision against speed, as SVG with light and dark colours."""
    shown = rivals.dropna(subset=["ratio"])[["model", "labels", "ratio", "average_precision"]]
    shown = shown[shown.labels > 0]
    low, high = np.log10(shown.ratio.min()) - 0.2, np.log10(shown.ratio.max()) + 0.2
    bottom = np.floor(20 * shown.average_precision.min()) / 20
    top = np.ceil(20 * shown.average_precision.max()) / 20

    def x_of(ratio: float) -> float:
        return LEFT + (np.log10(ratio) - low) / (high - low) * (WIDTH - LEFT - RIGHT)

    def y_of(value: float) -> float:
        return HEIGHT - BOTTOM - (value - bottom) / (top - bottom) * (HEIGHT - TOP - BOTTOM)

    parts = []
    for power in range(int(np.ceil(low)), int(high) + 1):
        x = x_of(10.0**power)
        parts.append(f'<path class="grid" d="M{x:.0f} {TOP}V{HEIGHT - BOTTOM}"/>')
        parts.append(_text(x, HEIGHT - BOTTOM + 18, f"{number(10.0**power)} ×", "middle"))
    for value in np.arange(bottom, top + 0.01, 0.05):
        y = y_of(value)
        parts.append(f'<path class="grid" d="M{LEFT} {y:.0f}H{WIDTH - RIGHT}"/>')
        parts.append(_text(LEFT - 5, y + 4, f"{value:.2f}"[1:], "end"))
    parts.append(
        _text(WIDTH - RIGHT, HEIGHT - 8, "texts per second on one core, TF-IDF = 1 ×", "end")
    )
    parts.append(_text(LEFT + 6, TOP + 12, "average precision on new pages", "start"))

    # A label goes to the right of its point, or to the left, or else to the nearest free place.
    points = [(x_of(p.ratio), y_of(p.average_precision), p) for p in shown.itertuples()]
    taken = [(x - 5, x + 5, y, 10) for x, y, _ in points]
    for x, y, point in points:
        name = point.model if point.labels == 1000 else f"{point.model}, {point.labels} labels"
        kind = "filter" if point.model == "filter" else "rival" if point.labels == 1000 else "few"
        width = 6.6 * len(name)
        places = [
            (start, y + shift)
            for shift in sorted(range(-66, 67, 6), key=abs)
            for start in (x + 9, x - 9 - width)
            if LEFT < start < WIDTH - RIGHT - width
        ]
        start, place = next(
            (start, place)
            for start, place in places
            if not any(
                left < start + width and start < right and abs(place - at) < room
                for left, right, at, room in taken
            )
        )
        taken.append((start, start + width, place, 13))
        parts.append(f'<circle class="{kind}" cx="{x:.1f}" cy="{y:.1f}" r="5"/>')
        end = start + width
        side = (start, "start") if start > x else (end, "end")
        parts.append(_text(side[0], place + 4, name, side[1], kind))
    return SVG.format(width=WIDTH, height=HEIGHT, parts="\n".join(parts))


def _text(x: float, y: float, words: str, anchor: str, kind: str = "") -> str:
    place = f'x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}" class="{kind}"'
    return f"<text {place}>{escape(words)}</text>"


SVG = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img">
<title>Average precision on new pages against speed, of the filter and other tools</title>
<style>
rect {{ fill: #ffffff }}
text {{ font: 12px system-ui, sans-serif; fill: #3d444d }}
.grid {{ stroke: #d1d9e0; fill: none }}
circle {{ fill: #6e7781; stroke: #6e7781; stroke-width: 2 }}
circle.few {{ fill: #ffffff }}
circle.filter {{ fill: #0b62c4; stroke: #0b62c4 }}
text.filter {{ fill: #0b62c4; font-weight: 700 }}
@media (prefers-color-scheme: dark) {{
rect {{ fill: #14181e }}
text {{ fill: #d1d7e0 }}
.grid {{ stroke: #3d444d }}
circle {{ fill: #9198a1; stroke: #9198a1 }}
circle.few {{ fill: #14181e }}
circle.filter {{ fill: #6cb6ff; stroke: #6cb6ff }}
text.filter {{ fill: #6cb6ff }}
}}
</style>
<rect width="{width}" height="{height}" rx="6"/>
{parts}
</svg>
"""
