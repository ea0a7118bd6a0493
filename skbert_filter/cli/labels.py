"""The commands about labels and repeats. Each is one call of a public Python function."""

from pathlib import Path
from typing import Annotated, Any, Literal

from typer import Argument, Option

from skbert_filter.cli import options as opt
from skbert_filter.cli.console import (
    print_line,
    print_next,
    print_result,
    print_texts,
    working,
)
from skbert_filter.printing import counted


def duplicates(
    texts: Annotated[list[str], Argument(metavar="TEXTS", help=opt.TEXTS)],
    text: opt.Text = "text",
    label: Annotated[
        str | None,
        Option(metavar="COLUMN", help="The column with labels: reports conflicts too."),
    ] = None,
    test: Annotated[
        Path | None,
        Option(metavar="FILE", help="A test set: reports which of its texts are in TEXTS instead."),
    ] = None,
    encoding: opt.Encoding = None,
    delimiter: opt.Delimiter = None,
    key: Annotated[
        opt.Key, Option(metavar="exact|whitespace|casefold", help="When two texts count as one.")
    ] = "exact",
    top: Annotated[int, Option(min=0, metavar="N", help="How many texts to list.")] = 10,
    as_json: opt.AsJson = False,
) -> None:
    """Report repeats and conflicting labels, or which texts of a test set are in a training set.

    In Python: skbert_filter.labelling.files.report_duplicates(...), with --test report_leakage(...)
    """
    if test is not None and (label is not None or key != "exact" or len(texts) > 1):
        raise ValueError(
            "--test compares a test set with one file or folder of texts, without labels and by "
            "all keys. Omit --label, --key and further files."
        )
    columns: dict[str, Any] = {"text": text, "encoding": encoding, "delimiter": delimiter}
    with working("Counting"):
        from skbert_filter.labelling.files import report_duplicates, report_leakage

        report: Any
        if test is None:
            report = report_duplicates(*texts, **columns, label=label, key=key, n_top=top)
        else:
            report = report_leakage(texts[0], test, **columns, n_top=top)
    table = report.to_frame().reset_index()
    print_result(report, table.to_dict("records") if as_json else None)


def label(
    texts: opt.Texts,
    output: Annotated[
        Path,
        Option(
            "--output",
            "-o",
            metavar="FILE",
            help="The .csv, .tsv, .jsonl, .parquet or .xlsx file, continued if it exists.",
        ),
    ],
    text: opt.Text = "text",
    label: opt.Label = "label",
    labels: Annotated[
        str | None,
        Option(
            metavar="NAME,NAME",
            help="The labels, the useful one first.",
            show_default="those of the file, or keep,discard",
        ),
    ] = None,
    order: Annotated[
        Literal["informative", "random"],
        Option(metavar="informative|random", help="Ask first for what teaches most, or any text."),
    ] = "informative",
    held_out: Annotated[
        float,
        Option(
            min=0,
            max=0.5,
            metavar="SHARE",
            help="Share of the answers that are used for scoring only.",
        ),
    ] = 0.1,
    encoding: opt.Encoding = None,
    delimiter: opt.Delimiter = None,
    seed: opt.Seed = 0,
) -> None:
    """Label texts one at a time, with a key for each answer; quit and continue at any time.

    In Python: skbert_filter.labelling.terminal.label_texts(...)
    """
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
        delimiter=delimiter,
        random_state=seed,
    )
    print_line(str(status))
    if min(status.counts.values()):
        words = ("train", output, "-o", "model")
        print_next("Train on them:", *words, text=text, label=label)


def explore(
    labels: opt.Labels,
    output: Annotated[
        Path, Option("--output", "-o", metavar="FILE", help="The .html file to write.")
    ],
    text: opt.Text = "text",
    label: opt.Label = "label",
    encoding: opt.Encoding = None,
    delimiter: opt.Delimiter = None,
    overwrite: opt.Overwrite = False,
) -> None:
    """Write a page with plots of the labels: lengths, terms and repeats.

    In Python: skbert_filter.labelling.explore.explore_labels(...)
    """
    with working("Drawing"):
        from skbert_filter.labelling.explore import explore_labels

        report = explore_labels(
            labels,
            output,
            text=text,
            label=label,
            encoding=encoding,
            delimiter=delimiter,
            overwrite=overwrite,
        )
    print_line(f"{output} shows {counted(report.rows, 'label')}. Open it in a browser.")


def suspects(
    labels: opt.Labels,
    output: opt.NewTable,
    text: opt.Text = "text",
    label: opt.Label = "label",
    encoding: opt.Encoding = None,
    delimiter: opt.Delimiter = None,
    top: Annotated[int, Option(min=1, metavar="N", help="How many texts to write.")] = 200,
    bert: Annotated[
        bool, Option("--bert", help="Use the filter instead of TF-IDF; it takes longer.")
    ] = False,
    apply: Annotated[
        Path | None,
        Option(
            metavar="FILE",
            help="The list, with its column label corrected: writes LABELS with the corrections, "
            "also to an .xlsx or .jsonl file if it is one.",
        ),
    ] = None,
    overwrite: opt.Overwrite = False,
    escape_formulas: opt.EscapeFormulas = False,
    seed: opt.Seed = 0,
) -> None:
    """List the labels that are most likely wrong; then, with --apply, correct them.

    In Python: skbert_filter.labelling.files.list_suspects(...), with --apply
    skbert_filter.labelling.corrections.correct_labels(...)
    """
    columns: dict[str, Any] = {"text": text, "label": label}
    columns |= {"encoding": encoding, "delimiter": delimiter}
    with working("Reading the labels") as work:
        from skbert_filter.labelling.corrections import correct_labels
        from skbert_filter.labelling.files import list_suspects
        from skbert_filter.text_filter import SmallBertTextFilter

        if apply is not None:
            n_changed = correct_labels(labels, apply, output, **columns, overwrite=overwrite)
        else:
            filter_ = SmallBertTextFilter(random_state=seed).set_callbacks(work)
            table = list_suspects(
                labels,
                output,
                **columns,
                estimator=filter_ if bert else None,
                n=top,
                overwrite=overwrite,
                escape_formulas=escape_formulas,
            )

    if apply is not None:
        rows = counted(n_changed, "row was", "rows were")
        print_line(f"{rows} relabelled in {output}.")
        return

    shown = ["label", "suggested", "rows"]
    print_texts("Likely label errors, the likeliest first", table, shown)
    texts = counted(len(table), "text is", "texts are")
    corrected = f"corrected{''.join(labels.suffixes[-2:])}"
    print_next(
        f"{texts} in {output}. Correct its column label, then:",
        *("suspects", labels, "--apply", output, "-o", corrected),
        **columns,
    )


def next_to_label(
    model: opt.Model,
    texts: opt.Texts,
    output: opt.NewTable,
    n: Annotated[int, Option("--n", "-n", min=1, metavar="N", help="How many texts.")] = 100,
    text: opt.Text = "text",
    label: Annotated[
        str, Option(metavar="COLUMN", help="The column to fill in, named as in your labels.")
    ] = "label",
    encoding: opt.Encoding = None,
    delimiter: opt.Delimiter = None,
    labelled: Annotated[
        Path | None, Option(metavar="FILE", help="Texts that have labels already, to exclude.")
    ] = None,
    trust: opt.Trust = False,
    overwrite: opt.Overwrite = False,
    escape_formulas: opt.EscapeFormulas = False,
    seed: opt.Seed = 0,
) -> None:
    """Choose the texts whose labels would teach the filter most.

    In Python: skbert_filter.labelling.files.list_next_to_label(...)
    """
    with working("Choosing texts"):
        from skbert_filter.labelling.files import list_next_to_label

        table = list_next_to_label(
            model,
            texts,
            output,
            n=n,
            text=text,
            label=label,
            encoding=encoding,
            delimiter=delimiter,
            labelled=labelled,
            trust=trust,
            overwrite=overwrite,
            escape_formulas=escape_formulas,
            random_state=seed,
        )
    shown = table.rename(columns={text: "text"})
    print_texts("Texts to label next", shown, ["suggested", "probability", "rows"])
    chosen = counted(len(table), "text is", "texts are")
    print_next(
        f"{chosen} in {output}. Fill in its column {label}, then:",
        *("train", labelled or "labels.csv", output, "-o", "model", "--overwrite"),
        text=text,
        label=label,
    )
