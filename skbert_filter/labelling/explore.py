"""One page on a table of labels: what repeats, how long texts are, which terms mark each label."""

import base64
import html
import io
import warnings
from collections.abc import Callable
from pathlib import Path
from string import Template
from typing import Any

from sklearn.utils._optional_dependencies import check_matplotlib_support

from skbert_filter.corpus.sources import check_apart
from skbert_filter.duplicates.reports import DuplicateReport, duplicate_report
from skbert_filter.inspection import (
    DistinctiveTermsDisplay,
    DuplicateFrequencyDisplay,
    TextLengthDisplay,
)
from skbert_filter.io.atomic import atomic_write
from skbert_filter.io.remote import as_path
from skbert_filter.io.writing import check_new_file
from skbert_filter.labelling.label_table import check_classes, read_label_table
from skbert_filter.printing import counted, printable

_PAGE = Template("""\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title</title>
<style>
body { font-family: sans-serif; line-height: 1.5; max-width: 44rem; margin: 2rem auto;
  padding: 0 1rem; color: #111; background: #fff; }
figure { margin: 2rem 0; }
figcaption { margin-bottom: 0.5rem; }
img { width: 100%; max-width: 30rem; }
pre { overflow-x: auto; font-size: 0.8rem; line-height: 1.35; }
</style>
</head>
<body>
<h1>$title</h1>
$plots
<h2>What repeats</h2>
$report
</body>
</html>
""")


def explore_labels(
    source: str | Path,
    destination: str | Path,
    *,
    text: str = "text",
    label: str = "label",
    encoding: str | None = None,
    delimiter: str | None = None,
    overwrite: bool = False,
) -> DuplicateReport:
    """Write a page with plots of a table of labels.

    Parameters
    ----------
    source, text, label, encoding, delimiter
        As for `train_filter`. There must be at least two classes.
    destination : str or Path
        The HTML file to write. It contains its plots, and loads nothing.
    overwrite : bool, default=False
        Whether to replace a `destination` that exists.

    Returns
    -------
    report : DuplicateReport
        The page's report on repeats and conflicting labels.

    Raises
    ------
    FileNotFoundError, FileExistsError, ValueError
        If a file is missing or damaged, lacks a column or a value, `destination` exists or
        is `source`, or there is only one class.
    ImportError
        If matplotlib is not installed.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from skbert_filter.labelling.explore import explore_labels
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     labels, page = Path(folder, "labels.csv"), Path(folder, "labels.html")
    ...     _ = labels.write_text("text,label\\nView all,0\\nWe make soap,1\\nView all,0\\n")
    ...     report = explore_labels(labels, page)
    ...     page.read_text(encoding="utf-8").count("<img")
    3
    >>> report.rows, report.distinct
    (3, 2)
    """
    check_matplotlib_support("explore_labels")
    source, destination = as_path(source), as_path(destination)
    check_apart(source, destination)
    if destination.suffix.lower() not in (".html", ".htm"):
        named = f"{str(destination).removesuffix(destination.suffix)}.html"
        raise ValueError(f"{destination} is not an .html file. Name one, such as {named}.")
    check_new_file(destination, overwrite=overwrite)
    table = read_label_table(source, text=text, label=label, encoding=encoding, delimiter=delimiter)
    check_classes(table)
    texts, labels = table.texts, table.labels
    report = duplicate_report(texts, labels)

    plots = [
        _plot(
            "How many words the texts of each label have",
            "Each distinct text counts once. With two labels, the dotted line is where a rule on "
            "the number of words does best: what a model has to beat.",
            lambda: TextLengthDisplay.from_texts(texts, labels),
        ),
        _plot(
            "The terms that set the labels apart",
            "Terms that the texts of a label use more than the others do, the surest first; lines "
            "are 95 % intervals.",
            lambda: DistinctiveTermsDisplay.from_texts(texts, labels),
        ),
        _plot(
            "How often texts repeat",
            "The most frequent text has rank 1. The dashed line is the share of all rows that the "
            "texts up to a rank make up.",
            lambda: DuplicateFrequencyDisplay.from_report(report),
        ),
    ]
    page = _PAGE.substitute(
        title=html.escape(f"{printable(source.name)}: {counted(report.rows, 'label')}"),
        plots="".join(plots),
        report=f"<pre>{html.escape(str(report))}</pre>",
    )
    with atomic_write(destination, overwrite=overwrite) as made:
        made.write_text(page, encoding="utf-8")
    return report


def _plot(title: str, explanation: str, draw: Callable[[], Any]) -> str:
    """Return a plot as an HTML figure, byte for byte the same for the same labels."""
    import matplotlib as mpl
    from matplotlib import pyplot as plt

    drawn = io.BytesIO()
    with (
        mpl.rc_context({"svg.hashsalt": "skbert_filter", "svg.fonttype": "none"}),
        warnings.catch_warnings(),
    ):
        # Matplotlib only measures the texts; the browser draws them, with fonts for any language.
        warnings.filterwarnings("ignore", r"Glyph \d+ .* missing from")
        figure = draw().figure_
        try:
            figure.savefig(drawn, format="svg", metadata={"Date": None})
        finally:
            plt.close(figure)

    svg, title = base64.b64encode(drawn.getvalue()).decode(), html.escape(title)
    return (
        f"<figure>\n<figcaption><strong>{title}.</strong> {html.escape(explanation)}</figcaption>\n"
        f'<img alt="{title}" src="data:image/svg+xml;base64,{svg}">\n</figure>\n'
    )
