"""The commands about labels and repeats. Each is one call of a public Python function."""

from pathlib import Path
from typing import Annotated, Any, Literal

from typer import Option

from skbert_filter.cli import options as opt
from skbert_filter.cli.console import print_line, print_next, print_result, print_texts
from skbert_filter.printing import counted


def duplicates(
    texts: opt.Texts,
    text: opt.Text = "text",
    label: Annotated[
        str | None, Option(help="The column with labels: adds those that conflict.")
    ] = None,
    test: Annotated[
        Path | None, Option(help="A test set: reports what of it is in TEXTS instead.")
    ] = None,
    encoding: opt.Encoding = None,
    key: Annotated[opt.Key, Option(help="When two texts count as one.")] = "exact",
    top: Annotated[int, Option(min=0, help="How many texts to list.")] = 10,
    as_json: opt.AsJson = False,
) -> None:
    """Report what repeats, which labels conflict, or what of a test set is in the training set.

    In Python: skbert_filter.labelling.files.report_duplicates(...), with --test report_leakage(...)
    """
    from skbert_filter.labelling.files import report_duplicates, report_leakage

    if test is None:
        report: Any = report_duplicates(
            texts, text=text, label=label, encoding=encoding, key=key, n_top=top
        )
    elif label is None and key == "exact":
        report = report_leakage(texts, test, text=text, encoding=encoding, n_top=top)
    else:
        raise ValueError(
            "--label and --key are not for --test, which compares texts alone and by all keys. "
            "Leave them out."
        )
    table = report.to_frame().reset_index()
    print_result(report, table.to_dict("records") if as_json else None)


def label(
    texts: opt.Texts,
    output: Annotated[
        Path,
        Option("--output", "-o", help="The .csv, .tsv or .parquet file, continued if it exists."),
    ],
    text: opt.Text = "text",
    label: opt.Label = "label",
    labels: Annotated[
        str | None,
        Option(metavar="NAME,NAME", help="The labels, the useful one first; else keep,discard."),
    ] = None,
    order: Annotated[
        Literal["informative", "random"], Option(help="What teaches most comes first, or any text.")
    ] = "informative",
    held_out: Annotated[
        float, Option(min=0, max=0.5, help="Share of the answers that are for the score alone.")
    ] = 0.1,
    encoding: opt.Encoding = None,
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
        random_state=seed,
    )
    print_line(str(status))
    if min(status.counts.values()):
        words = ("train", output, "-o", "model")
        print_next("Learn from them:", *words, text=text, label=label)


def explore(
    labels: opt.Labels,
    output: Annotated[Path, Option("--output", "-o", help="The .html file to write.")],
    text: opt.Text = "text",
    label: opt.Label = "label",
    encoding: opt.Encoding = None,
    overwrite: opt.Overwrite = False,
) -> None:
    """Write a page with plots of the labels: lengths, terms and repeats.

    In Python: skbert_filter.labelling.explore.explore_labels(...)
    """
    from skbert_filter.labelling.explore import explore_labels

    columns: dict[str, Any] = {"text": text, "label": label, "encoding": encoding}
    report = explore_labels(labels, output, **columns, overwrite=overwrite)
    print_line(f"{output} shows {counted(report.rows, 'label')}. Open it in a browser.")


def suspects(
    labels: opt.Labels,
    output: opt.NewTable,
    text: opt.Text = "text",
    label: opt.Label = "label",
    encoding: opt.Encoding = None,
    top: Annotated[int, Option(min=1, help="How many texts to write.")] = 200,
    bert: Annotated[
        bool, Option("--bert", help="Ask filters instead of TF-IDF, which takes longer.")
    ] = False,
    apply: Annotated[
        Path | None,
        Option(help="The list, with its column label corrected: writes corrected LABELS."),
    ] = None,
    overwrite: opt.Overwrite = False,
    escape_formulas: opt.EscapeFormulas = False,
    seed: opt.Seed = 0,
) -> None:
    """List the labels that are most likely wrong; then, with --apply, correct them.

    In Python: skbert_filter.labelling.files.list_suspects(...), with --apply correct_labels(...)
    """
    from skbert_filter.labelling.files import correct_labels, list_suspects

    columns: dict[str, Any] = {"text": text, "label": label, "encoding": encoding}
    if apply is not None:
        n_changed = correct_labels(labels, apply, output, **columns, overwrite=overwrite)
        rows = counted(n_changed, "row has", "rows have")
        print_line(f"{rows} another label in {output}.")
        return

    estimator = None
    if bert:
        from skbert_filter.text_filter import SmallBertTextFilter

        estimator = SmallBertTextFilter(random_state=seed)
    table = list_suspects(
        labels,
        output,
        **columns,
        estimator=estimator,
        n=top,
        overwrite=overwrite,
        escape_formulas=escape_formulas,
    )

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
    n: Annotated[int, Option("--n", "-n", min=1, help="How many texts.")] = 100,
    text: opt.Text = "text",
    encoding: opt.Encoding = None,
    labelled: Annotated[
        Path | None, Option(help="What is labelled already, to be excluded.")
    ] = None,
    trust: opt.Trust = False,
    overwrite: opt.Overwrite = False,
    escape_formulas: opt.EscapeFormulas = False,
    seed: opt.Seed = 0,
) -> None:
    """Choose the texts whose labels would teach the filter most.

    In Python: skbert_filter.labelling.files.list_next_to_label(...)
    """
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
    print_texts("Texts to label next", table, ["suggested", "probability", "rows"])
    chosen = counted(len(table), "text is", "texts are")
    print_line(f"{chosen} in {output}. Fill in its column label.")
