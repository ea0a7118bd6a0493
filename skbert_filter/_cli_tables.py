"""The tables of the `skbert-filter` command. Knows nothing of what made them."""

from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from skbert_filter.wording import counted

if TYPE_CHECKING:
    from pandas import DataFrame

    from skbert_filter.corpus import FilterSummary
    from skbert_filter.inspection.evaluation import Evaluation
    from skbert_filter.inspection.scores import Scores
    from skbert_filter.pretrain import PretrainingSummary
    from skbert_filter.train import TrainingSummary

# Of more classes than these, the tables show the most frequent ones.
_MOST_LABELS = 12
# Lines of a list that is written to a file.
_SHOWN = 10


def show_training(console: Console, summary: "TrainingSummary") -> None:
    """Show the labels, the scores and where the filter is."""
    classes = Table("label", box=SIMPLE_HEAD)
    for name in ("rows", "distinct", "share", "mis-decoded"):
        classes.add_column(name, justify="right")
    shown = sorted(summary.labels, key=lambda count: -count.distinct)[:_MOST_LABELS]
    for count in shown:
        classes.add_row(
            Text(str(count.label)),
            f"{count.rows:,}",
            f"{count.distinct:,}",
            f"{count.distinct / summary.distinct:.1%}",
            f"{count.misdecoded:.1%}",
        )
    if more := len(summary.labels) - len(shown):
        classes.add_row(f"and {more:,} more")
    console.print(
        f"\n{counted(summary.rows, 'labelled row')}, {counted(summary.distinct, 'distinct text')}, "
        f"{summary.conflicts:,} of them with several labels",
        style="bold",
        highlight=False,
    )
    console.print(classes)
    if summary.misdecoding_tells_labels:
        console.print(
            "Warning: mis-decoded texts (such as “â€™” for ’) are more frequent in some classes\n"
            "than in others. The filter may learn that instead of the words: repair them first.\n",
            style="yellow",
            soft_wrap=True,
        )
    evaluation = summary.evaluation
    answers = f", a teacher's answers on {summary.n_unlabelled:,}" if summary.n_unlabelled else ""
    console.print(
        f"Learnt from {summary.n_train:,} distinct texts{answers}, scored on "
        f"{summary.n_test:,} others",
        style="bold",
        highlight=False,
    )
    scores = {score.name: score for score in (evaluation, *evaluation.baselines)}
    console.print()
    console.print(_score_table(scores, {"f1": "F1", "average_precision": "average\nprecision"}))
    console.print()
    for sentence in (evaluation.verdict, *map(str, evaluation.tests)):
        console.print(Text(sentence))
    then = "which then learnt from all labels" if summary.refit else "as scored"
    print_line(console, f"Saved in {summary.destination}: the filter, {then}.")


def show_evaluation(console: Console, evaluation: "Evaluation") -> None:
    """Show the scores of a filter and its baselines, leaks, confusions and errors."""
    console.print(Text(evaluation.counting), style="bold")
    scores: dict[str, Scores] = {evaluation.name: evaluation}
    if evaluation.without_leaks is not None:
        scores["  without leaked texts"] = evaluation.without_leaks
    scores |= {score.name: score for score in evaluation.baselines}
    names = {
        "f1": "F1",
        "average_precision": "AP",
        "brier": "Brier",
        "expected_calibration_error": "ECE",
    }
    console.print()
    console.print(_score_table(scores, names))
    console.print("AP: average precision; ECE: expected calibration error\n", style="dim")
    for sentence in (evaluation.verdict, *map(str, evaluation.tests), evaluation.leaks):
        if sentence:
            console.print(Text(sentence))
    console.print("\nLabels, and what was predicted for them", style="bold")
    console.print(_confusion_table(evaluation))
    if len(evaluation.errors):
        console.print(f"The most confident of {counted(evaluation.n_wrong, 'error')}", style="bold")
        console.print(_error_table(evaluation))


def show_filtering(console: Console, summary: "FilterSummary") -> None:
    """Show how much of a corpus was kept."""
    share = summary.kept / max(summary.rows, 1)
    did = "Kept" if summary.columns is None else "Worth keeping are"
    console.print(f"\n{did} {share:.1%} of the rows", style="bold", highlight=False)
    good, bad = f"kept (label {summary.keep})", "discarded"
    if summary.columns is not None:
        good, bad = f"label {summary.keep}", "other labels"
    figures = {"files": f"{summary.files:,}"} if summary.files > 1 else {}
    figures |= {
        "rows": f"{summary.rows:,}",
        "distinct texts": f"{summary.distinct:,}",
        good: f"{summary.kept:,}",
        bad: f"{summary.discarded:,}",
    }
    if summary.threshold is not None:
        figures["threshold"] = f"{summary.threshold:g}"
    if summary.nulls:
        figures["without a text"] = f"{summary.nulls:,}"
    figures |= {
        "seconds": f"{summary.seconds:.1f}",
        "rows per second": f"{summary.rows_per_second:,.0f}",
    }
    console.print(_figure_table(figures))
    for note in summary.notes:
        console.print(Text(f"Note: {note}"))
    source = "standard input" if summary.source == "-" else summary.source
    if summary.destination != "-":
        what = "the kept rows" if summary.columns is None else "all rows"
        print_line(console, f"{summary.destination} holds {what} of {source}.")
    if summary.audit is not None:
        print_line(console, f"{summary.audit} holds each distinct text and what was decided.")


def show_suspects(console: Console, table: "DataFrame") -> None:
    """Show the labels that are most likely wrong."""
    shown = Table("label", "suggested", "rows", "text", box=SIMPLE_HEAD)
    for text, label, suggested, _, rows in table.iloc[:_SHOWN, :5].to_numpy():
        given = "several" if label is None else str(label)
        shown.add_row(Text(given), Text(str(suggested)), f"{rows:,}", _one_line(text))
    console.print("\nLabels to look at, the most suspect first", style="bold")
    console.print(shown)


def show_chosen(console: Console, table: "DataFrame") -> None:
    """Show the texts to label next."""
    shown = Table("suggested", "probability", "rows", "text", box=SIMPLE_HEAD)
    columns = ["suggested", "probability", "rows", "text"]
    for suggested, probability, rows, text in table[columns].head(_SHOWN).to_numpy():
        shown.add_row(Text(str(suggested)), f"{probability:.2f}", f"{rows:,}", _one_line(text))
    console.print("\nTexts to label next", style="bold")
    console.print(shown)


def show_pretraining(console: Console, summary: "PretrainingSummary") -> None:
    """Show what an encoder has learnt from."""
    figures = {
        "rows": f"{summary.rows:,}",
        "distinct texts": f"{summary.distinct:,}",
        "of them labelled": f"{summary.labelled:,}",
        "epochs": f"{summary.epochs:,}",
        "steps": f"{summary.steps:,}",
        "loss in the last epoch": f"{summary.loss:.3f}",
        "seconds": f"{summary.seconds:.1f}",
    }
    console.print("\nLearnt to guess hidden words", style="bold")
    console.print(_figure_table(figures))
    print_line(console, f"Saved in {summary.destination}: the encoder.")


def show_examples(console: Console, examples: tuple[tuple[str, float], ...]) -> None:
    """Show texts with their probabilities."""
    table = Table("probability", "text", box=SIMPLE_HEAD)
    for text, probability in examples:
        line = _one_line(text)
        table.add_row(f"{probability:.2f}", line, style="" if probability > 0.5 else "dim")
    console.print("\nSome texts of the corpus, and how probably they are useful", style="bold")
    console.print(table)


def print_line(console: Console, text: str) -> None:
    """Print a line whole and as it is, so that a path in it can be copied."""
    console.print(Text(text), soft_wrap=True)


def _one_line(text: str) -> Text:
    return Text(" ".join(text.split()), overflow="ellipsis", no_wrap=True)


def _figure_table(figures: dict[str, str]) -> Table:
    table = Table(box=SIMPLE_HEAD, show_header=False)
    table.add_column()
    table.add_column(justify="right")
    for name, figure in figures.items():
        table.add_row(Text(name), figure)
    return table


def _score_table(scores: "dict[str, Scores]", names: dict[str, str]) -> Table:
    # Narrow gaps: so the longest name of a baseline stays whole in 80 columns.
    table = Table("classifier", box=SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))
    for name in ("accuracy", "95 %\ninterval", *names.values()):
        table.add_column(name, justify="right")
    for name, score in scores.items():
        table.add_row(
            Text(name),
            f"{score.accuracy:.3f}",
            f"{score.accuracy_low:.3f}–{score.accuracy_high:.3f}",
            *(f"{getattr(score, attribute):.3f}" for attribute in names),
        )
    return table


def _confusion_table(evaluation: "Evaluation") -> Table:
    labels = evaluation.confusion.index.tolist()
    if len(labels) > _MOST_LABELS:
        table = Table("label", "predicted", box=SIMPLE_HEAD)
        table.add_column("count", justify="right")
        for label, predicted, count in evaluation.confusions.head(_MOST_LABELS).to_numpy():
            table.add_row(Text(str(label)), Text(str(predicted)), f"{count:,}")
        return table
    table = Table("label", box=SIMPLE_HEAD)
    for label in labels:
        table.add_column(Text(f"predicted\n{label}"), justify="right")
    for label, counts in zip(labels, evaluation.confusion.to_numpy(), strict=True):
        table.add_row(Text(str(label)), *(f"{count:,}" for count in counts))
    return table


def _error_table(evaluation: "Evaluation") -> Table:
    table = Table("confidence", "label", "predicted", "text", box=SIMPLE_HEAD)
    for text, label, predicted, confidence in evaluation.errors.iloc[:, :4].to_numpy():
        table.add_row(
            f"{confidence:.3f}",
            Text(str(label)),
            Text(str(predicted)),
            _one_line(text),
        )
    return table
