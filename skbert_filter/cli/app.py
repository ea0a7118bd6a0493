"""The `skbert-filter` command. Each command is one call of a public Python function.

Exit codes: 0 done; 1 an error of the program; 2 something that the user can mend, told in one
line; 130 interrupted by Ctrl-C; 141 nobody reads the output any more.
"""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from skbert_filter.cli.comet import EnvFile, Offline, comet_experiment, register
from skbert_filter.cli.labels import duplicates, explore, label, next_to_label, suspects
from skbert_filter.cli.shared import (
    AsJson,
    Commands,
    Encoding,
    EscapeFormulas,
    LabelColumnName,
    ModelPath,
    Nulls,
    Overwrite,
    Seed,
    TextColumnName,
    Trust,
    command_line,
    dask_client,
    fit_callbacks,
    print_json,
    progress_bar,
    user_errors,
)
from skbert_filter.cli.tables import print_line, print_result, show_examples

app = typer.Typer(
    name="skbert-filter",
    cls=Commands,
    help="Train a very small BERT to tell useful text snippets from garbage, and clean corpora.",
    epilog="Exit codes: 0 done; 2 something to mend, told in one line; 130 interrupted.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,
)


@app.command()
def demo(
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder for the files it makes.")
    ] = Path("skbert-filter-demo"),
    rows: Annotated[int, typer.Option(min=1, help="Rows of the corpus.")] = 200_000,
    snippets: Annotated[int, typer.Option(min=100, help="Labelled snippets.")] = 5600,
    seed: Seed = 0,
) -> None:
    """Try the whole job on generated data: train, score, clean a corpus.

    Needs no network and two minutes. In Python: skbert_filter.demo.run_demo(...)
    """
    console = Console()
    console.print(f"Making {snippets:,} labelled snippets and a corpus of {rows:,} rows.")
    with user_errors(), progress_bar(console) as progress:
        from skbert_filter.demo import run_demo

        summary = run_demo(
            output,
            n_rows=rows,
            n_snippets=snippets,
            random_state=seed,
            callbacks=fit_callbacks(console),
            progress=progress,
        )
    print_result(console, summary)
    show_examples(console, summary.examples)
    console.print("The same on your own texts:", style="bold")
    print_line(console, command_line("train", "labels.csv", "-o", "model"))
    print_line(console, command_line("predict", "model", "texts.csv", "-o", "kept.csv"))


@app.command()
def pretrain(
    corpus: Annotated[
        Path,
        typer.Argument(
            help="Texts without labels: a .txt, .csv, .tsv, .jsonl (also .gz, .zst) or .parquet "
            "file, a folder of them, or - for standard input."
        ),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to save the encoder in.")],
    text: TextColumnName = "text",
    labelled: Annotated[
        Path | None,
        typer.Option(
            help="A table of labelled texts to learn too, as train reads it. What is saved is then "
            "a filter that knows these labels."
        ),
    ] = None,
    label: LabelColumnName = "label",
    teacher: Annotated[
        str | None,
        typer.Option(
            help="A larger BERT to learn from: a folder, or a name on the Hugging Face hub."
        ),
    ] = None,
    teacher_layer: Annotated[
        int | None, typer.Option(min=1, help="Its layer to learn from; one in the middle.")
    ] = None,
    shape: Annotated[
        bool, typer.Option(help="Learn the length, capitals and punctuation of texts.")
    ] = True,
    hidden_size: Annotated[int, typer.Option(min=1, help="Width: a multiple of 4.")] = 64,
    encoding: Encoding = None,
    epochs: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Passes over the distinct texts; about 2,000 steps if left out, 1 to 10 passes.",
        ),
    ] = None,
    max_seconds: Annotated[
        float | None, typer.Option(min=1, help="Stop after this time, wherever it is.")
    ] = None,
    checkpoint_dir: Annotated[
        Path | None,
        typer.Option(help="Keep the state here, so that a run that is killed can go on."),
    ] = None,
    overwrite: Overwrite = False,
    seed: Seed = 0,
) -> None:
    """Learn from unlabelled texts what a filter can start from.

    In Python: skbert_filter.pretrain_encoder(...)
    """
    console = Console()
    with user_errors():
        from skbert_filter.labelling.pretrain import pretrain_encoder
        from skbert_filter.pretrainer import SmallBertPretrainer

        summary = pretrain_encoder(
            corpus,
            output,
            text=text,
            labelled=labelled,
            label=label,
            encoding=encoding,
            estimator=SmallBertPretrainer(
                teacher=teacher,
                teacher_layer=teacher_layer,
                shape=shape,
                hidden_size=hidden_size,
                intermediate_size=4 * hidden_size,
                epochs="auto" if epochs is None else epochs,
                max_seconds=max_seconds,
                checkpoint_dir=checkpoint_dir,
                random_state=seed,
            ),
            overwrite=overwrite,
            callbacks=fit_callbacks(console),
        )
    print_result(console, summary)
    console.print("\nTrain a filter that starts from it:", style="bold")
    words = ("train", "labels.csv", "--checkpoint", output, "-o", "model")
    print_line(console, command_line(*words))


@app.command()
def train(
    labels: Annotated[
        Path, typer.Argument(help="Labelled texts: .parquet, .csv or .tsv (also .gz, .zst).")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to save the filter in.")],
    text: TextColumnName = "text",
    label: LabelColumnName = "label",
    encoding: Encoding = None,
    checkpoint: Annotated[
        str,
        typer.Option(
            help="What to start from: web, the bundled encoder; a folder written by pretrain; or "
            "auto, which is web where it can read the texts."
        ),
    ] = "auto",
    test_size: Annotated[
        float,
        typer.Option(
            min=0.01, max=0.99, help="Share of the distinct texts to score the filter on."
        ),
    ] = 0.2,
    refit: Annotated[
        bool, typer.Option(help="After scoring, learn from all labels before saving.")
    ] = True,
    overwrite: Overwrite = False,
    seed: Seed = 0,
    comet: Annotated[
        str | None,
        typer.Option(metavar="PROJECT[/NAME]", help="Log it to an experiment of Comet."),
    ] = None,
    offline: Offline = False,
    env_file: EnvFile = None,
) -> None:
    """Learn from labelled texts, report an honest score, save the filter.

    In Python: skbert_filter.labelling.train.train_filter(...)
    """
    console = Console()
    with user_errors(), comet_experiment(comet, offline, env_file) as experiment:
        from skbert_filter.labelling.train import train_filter
        from skbert_filter.text_filter import SmallBertTextFilter

        summary = train_filter(
            labels,
            output,
            text=text,
            label=label,
            encoding=encoding,
            estimator=SmallBertTextFilter(checkpoint=checkpoint, random_state=seed),
            test_size=test_size,
            refit=refit,
            overwrite=overwrite,
            random_state=seed,
            callbacks=fit_callbacks(console),
            experiment=experiment,
        )
    print_result(console, summary)
    console.print("\nClean texts with it:", style="bold")
    words = ("predict", output, "texts.csv", "-o", "kept.csv")
    labels_known = [str(count.label) for count in summary.labels]
    keep = "1" if "1" in labels_known else labels_known[-1]
    print_line(console, command_line(*words, text=text, keep=keep))


@app.command()
def evaluate(
    model: ModelPath,
    labels: Annotated[
        Path,
        typer.Argument(help="Labelled texts that it has not seen: .parquet, .csv or .tsv."),
    ],
    train: Annotated[
        Path | None,
        typer.Option(help="The labels it was trained on: adds leaked texts and baselines."),
    ] = None,
    text: TextColumnName = "text",
    label: LabelColumnName = "label",
    encoding: Encoding = None,
    errors: Annotated[int, typer.Option(min=0, help="How many errors to show.")] = 10,
    trust: Trust = False,
    as_json: AsJson = False,
) -> None:
    """Score a filter on labelled texts, beside simpler classifiers.

    In Python: skbert_filter.labelling.train.evaluate_filter(...)
    """
    with user_errors():
        from skbert_filter.labelling.train import evaluate_filter

        evaluation = evaluate_filter(
            model,
            labels,
            text=text,
            label=label,
            encoding=encoding,
            train=train,
            n_errors=errors,
            trust=trust,
        )
    if as_json:
        print_json(evaluation.to_dict())
    else:
        print_result(Console(), evaluation)


@app.command()
def predict(
    model: ModelPath,
    source: Annotated[
        str,
        typer.Argument(
            metavar="TEXTS",
            help="The texts: .parquet, .csv, .tsv, .jsonl or .txt (a line is a row), all but the "
            "first also with .gz or .zst; a folder of these; or - for lines on standard input.",
        ),
    ],
    output: Annotated[
        str,
        typer.Option(
            "--output",
            "-o",
            help="The file for the kept rows; for a folder, a folder; - for standard output.",
        ),
    ],
    text: TextColumnName = "text",
    keep: Annotated[str, typer.Option(help="The label whose rows are kept.")] = "1",
    threshold: Annotated[
        float | None,
        typer.Option(
            min=0, max=1, help="Keep from this probability on; without it, as the filter predicts."
        ),
    ] = None,
    columns: Annotated[
        str | None,
        typer.Option(
            metavar="LABEL,PROBABILITY",
            help="Write all rows, with two more columns of these names, as in label,probability.",
        ),
    ] = None,
    nulls: Annotated[Nulls, typer.Option(help="What to do with rows without a text.")] = "error",
    encoding: Encoding = None,
    audit: Annotated[
        Path | None,
        typer.Option(help="A CSV or Parquet file for each distinct text and its decision."),
    ] = None,
    store: Annotated[
        Path | None, typer.Option(help="A file that remembers scores for the next job.")
    ] = None,
    dask: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Leave the files of a folder to the workers of this Dask scheduler, as in "
            "tcp://10.0.0.1:8786.",
        ),
    ] = None,
    trust: Trust = False,
    overwrite: Overwrite = False,
    escape_formulas: EscapeFormulas = False,
    as_json: AsJson = False,
) -> None:
    """Write the rows of a corpus whose texts are worth keeping.

    A job that was interrupted goes on when the same command is run again.

    In Python: skbert_filter.filter_corpus(...)
    """
    # Standard output may be the destination.
    console = Console(stderr=output == "-")
    with user_errors(), dask_client(dask), progress_bar(Console(stderr=True)) as progress:
        from skbert_filter.corpus import filter_corpus

        summary = filter_corpus(
            model,
            source,
            output,
            text=text,
            keep=keep,
            threshold=threshold,
            columns=None if columns is None else columns.split(","),
            nulls=nulls,
            encoding=encoding,
            audit=audit,
            store=store,
            engine="local" if dask is None else "dask",
            trust=trust,
            overwrite=overwrite,
            escape_formulas=escape_formulas,
            progress=progress,
        )
    if as_json:
        print_json(summary.to_dict(), err=output == "-")
    else:
        print_result(console, summary)


app.command()(register)
app.command()(label)
app.command()(explore)
app.command()(duplicates)
app.command()(suspects)
app.command()(next_to_label)
