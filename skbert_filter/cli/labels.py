"""The commands about labels and repeats. Each is one call of a public Python function."""

from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console

from skbert_filter.cli.shared import (
    AsJson,
    Encoding,
    EscapeFormulas,
    Key,
    LabelColumnName,
    ModelPath,
    Overwrite,
    Seed,
    TextColumnName,
    Trust,
    command_line,
    print_json,
    user_errors,
)
from skbert_filter.cli.tables import print_line, print_result, show_chosen, show_suspects
from skbert_filter.printing import counted

Labels = Annotated[Path, typer.Argument(help="Labelled texts: .csv, .tsv or .parquet.")]
NewFile = Annotated[
    Path, typer.Option("--output", "-o", help="The .csv, .tsv or .parquet file to write.")
]
Order = Literal["informative", "random"]
Texts = Annotated[Path, typer.Argument(help="Texts: a file or folder that predict reads.")]


def duplicates(
    texts: Texts,
    text: TextColumnName = "text",
    label: Annotated[
        str | None, typer.Option(help="The column with labels: adds those that conflict.")
    ] = None,
    test: Annotated[
        Path | None, typer.Option(help="A test set: reports what of it is in TEXTS instead.")
    ] = None,
    encoding: Encoding = None,
    key: Annotated[Key, typer.Option(help="When two texts count as one.")] = "exact",
    top: Annotated[int, typer.Option(min=0, help="How many texts to list.")] = 10,
    as_json: AsJson = False,
) -> None:
    """Report what repeats, which labels conflict, or what of a test set is in the training set.

    In Python: skbert_filter.labelling.files.report_duplicates(...), with --test report_leakage(...)
    """
    with user_errors():
        from skbert_filter.labelling.files import report_duplicates, report_leakage

        if test is not None and (label is not None or key != "exact"):
            raise ValueError(
                "--label and --key are not for --test, which compares texts alone and by all keys. "
                "Leave them out."
            )
        report = (
            report_duplicates(texts, text=text, label=label, encoding=encoding, key=key, n_top=top)
            if test is None
            else report_leakage(texts, test, text=text, encoding=encoding, n_top=top)
        )
    if as_json:
        print_json(report.to_frame().reset_index().to_dict("records"))
    else:
        print_result(Console(), report)


def label(
    texts: Texts,
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", help="The .csv, .tsv or .parquet file, continued if it exists."
        ),
    ],
    text: TextColumnName = "text",
    label: LabelColumnName = "label",
    labels: Annotated[
        str | None,
        typer.Option(
            metavar="NAME,NAME", help="The labels, the useful one first; else keep,discard."
        ),
    ] = None,
    order: Annotated[
        Order, typer.Option(help="What teaches most comes first, or any text.")
    ] = "informative",
    held_out: Annotated[
        float,
        typer.Option(min=0, max=0.5, help="Share of the answers that are for the score alone."),
    ] = 0.1,
    encoding: Encoding = None,
    seed: Seed = 0,
) -> None:
    """Label texts one at a time, with a key for each answer; quit and continue at any time.

    In Python: skbert_filter.labelling.terminal.label_texts(...)
    """
    console = Console()
    with user_errors():
        from skbert_filter.labelling.terminal import label_texts

        status = label_texts(
            texts,
            output,
            text=text,
            label=label,
            labels=None if labels is None else labels.split(","),
            order=order,
            held_out=held_out,
            encoding=encoding,
            random_state=seed,
        )
    print_line(console, str(status))
    if min(status.counts.values()):
        print_line(console, f"Learn from {output}:")
        words = ("train", output, "-o", "model")
        print_line(console, command_line(*words, text=text, label=label))


def explore(
    labels: Labels,
    output: Annotated[Path, typer.Option("--output", "-o", help="The .html file to write.")],
    text: TextColumnName = "text",
    label: LabelColumnName = "label",
    encoding: Encoding = None,
    overwrite: Overwrite = False,
) -> None:
    """Write a page with plots of the labels: lengths, terms and repeats.

    In Python: skbert_filter.labelling.explore.explore_labels(...)
    """
    with user_errors():
        from skbert_filter.labelling.explore import explore_labels

        report = explore_labels(
            labels, output, text=text, label=label, encoding=encoding, overwrite=overwrite
        )
    print_line(Console(), f"{output} shows {counted(report.rows, 'label')}. Open it in a browser.")


def suspects(
    labels: Labels,
    output: NewFile,
    text: TextColumnName = "text",
    label: LabelColumnName = "label",
    encoding: Encoding = None,
    top: Annotated[int, typer.Option(min=1, help="How many texts to write.")] = 200,
    bert: Annotated[
        bool, typer.Option("--bert", help="Ask filters instead of TF-IDF, which takes longer.")
    ] = False,
    apply: Annotated[
        Path | None,
        typer.Option(help="The list, with its column label corrected: writes corrected LABELS."),
    ] = None,
    overwrite: Overwrite = False,
    escape_formulas: EscapeFormulas = False,
    seed: Seed = 0,
) -> None:
    """List the labels that are most likely wrong; then, with --apply, correct them.

    In Python: skbert_filter.labelling.files.list_suspects(...), with --apply correct_labels(...)
    """
    console = Console()
    with user_errors():
        from skbert_filter.labelling.files import correct_labels, list_suspects

        if apply is not None:
            n_changed = correct_labels(
                labels,
                apply,
                output,
                text=text,
                label=label,
                encoding=encoding,
                overwrite=overwrite,
            )
            rows = counted(n_changed, "row has", "rows have")
            print_line(console, f"{rows} another label in {output}.")
            return
        estimator = None
        if bert:
            from skbert_filter.text_filter import SmallBertTextFilter

            estimator = SmallBertTextFilter(random_state=seed)
        table = list_suspects(
            labels,
            output,
            text=text,
            label=label,
            encoding=encoding,
            estimator=estimator,
            n=top,
            overwrite=overwrite,
            escape_formulas=escape_formulas,
        )
    show_suspects(console, table)
    texts = counted(len(table), "text is", "texts are")
    print_line(console, f"{texts} in {output}. Correct its column label, then:")
    corrected = f"corrected{''.join(labels.suffixes[-2:])}"
    words = ("suspects", labels, "--apply", output, "-o", corrected)
    print_line(console, command_line(*words, text=text, label=label, encoding=encoding))


def next_to_label(
    model: ModelPath,
    texts: Texts,
    output: NewFile,
    n: Annotated[int, typer.Option("--n", "-n", min=1, help="How many texts.")] = 100,
    text: TextColumnName = "text",
    encoding: Encoding = None,
    labelled: Annotated[
        Path | None, typer.Option(help="What is labelled already, to be left out.")
    ] = None,
    trust: Trust = False,
    overwrite: Overwrite = False,
    escape_formulas: EscapeFormulas = False,
    seed: Seed = 0,
) -> None:
    """Choose the texts whose labels would teach the filter most.

    In Python: skbert_filter.labelling.files.list_next_to_label(...)
    """
    console = Console()
    with user_errors():
        from skbert_filter.labelling.files import list_next_to_label

        table = list_next_to_label(
            model,
            texts,
            output,
            n=n,
            text=text,
            encoding=encoding,
            labelled=labelled,
            trust=trust,
            overwrite=overwrite,
            escape_formulas=escape_formulas,
            random_state=seed,
        )
    show_chosen(console, table)
    chosen = counted(len(table), "text is", "texts are")
    print_line(console, f"{chosen} in {output}. Fill in its column label.")
