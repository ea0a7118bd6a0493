"""The `skbert-filter` command. Each command is one call of a public Python function."""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from skbert_filter._cli_tables import (
    print_line,
    show_evaluation,
    show_examples,
    show_filtering,
    show_pretraining,
    show_training,
)

app = typer.Typer(
    name="skbert-filter",
    help="Train a very small BERT to tell useful text snippets from garbage, and clean corpora.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,
)

TextColumnName = Annotated[str, typer.Option("--text", help="The column with the texts.")]
LabelColumnName = Annotated[str, typer.Option("--label", help="The column with the labels.")]
Seed = Annotated[int, typer.Option(help="Seed of everything random.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace what is there.")]
Offline = Annotated[
    bool, typer.Option("--offline", help="Write Comet's data to an archive for `comet upload`.")
]
EnvFile = Annotated[
    Path | None, typer.Option(help="A .env file with COMET_API_KEY, or its folder.")
]


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
    with _user_errors(), _progress_bar(console) as progress:
        from skbert_filter.demo import run_demo

        summary = run_demo(
            output,
            n_rows=rows,
            n_snippets=snippets,
            random_state=seed,
            callbacks=_fit_callbacks(console),
            progress=progress,
        )
    show_training(console, summary.training)
    show_filtering(console, summary.filtering)
    show_examples(console, summary.examples)
    console.print("The same on your own texts:", style="bold")
    console.print("  skbert-filter train labels.csv --text text --label label -o model/")
    console.print("  skbert-filter predict model/ texts.csv -o kept.csv")


@app.command()
def pretrain(
    corpus: Annotated[Path, typer.Argument(help="Unlabelled texts: .csv, .csv.gz or .parquet.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to save the encoder in.")],
    text: TextColumnName = "text",
    hidden_size: Annotated[int, typer.Option(min=1, help="Width: a multiple of 4.")] = 32,
    epochs: Annotated[int, typer.Option(min=1, help="Passes over the distinct texts.")] = 3,
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
    with _user_errors():
        from skbert_filter.pretrain import pretrain_encoder
        from skbert_filter.pretrainer import SmallBertPretrainer

        summary = pretrain_encoder(
            corpus,
            output,
            text=text,
            estimator=SmallBertPretrainer(
                hidden_size=hidden_size,
                intermediate_size=4 * hidden_size,
                epochs=epochs,
                max_seconds=max_seconds,
                checkpoint_dir=checkpoint_dir,
                random_state=seed,
            ),
            overwrite=overwrite,
            callbacks=_fit_callbacks(console),
        )
    show_pretraining(console, summary)
    console.print("\nTrain a filter that starts from it:", style="bold")
    print_line(console, f"  skbert-filter train labels.csv --checkpoint {output} -o model/")


@app.command()
def train(
    labels: Annotated[Path, typer.Argument(help="Labelled texts: .csv, .csv.gz or .parquet.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to save the filter in.")],
    text: TextColumnName = "text",
    label: LabelColumnName = "label",
    checkpoint: Annotated[
        str | None, typer.Option(help="An encoder to start from: a folder written by pretrain.")
    ] = None,
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

    In Python: skbert_filter.train.train_filter(...), and with --comet
    skbert_filter.integrations.comet.train_and_log(...)
    """
    console = Console()
    with _user_errors(), _comet_training(comet, offline, env_file) as train_filter:
        from skbert_filter.text_filter import SmallBertTextFilter

        summary = train_filter(
            labels,
            output,
            text=text,
            label=label,
            estimator=SmallBertTextFilter(checkpoint=checkpoint, random_state=seed),
            test_size=test_size,
            refit=refit,
            overwrite=overwrite,
            random_state=seed,
            callbacks=_fit_callbacks(console),
        )
    show_training(console, summary)
    console.print("\nClean texts with it:", style="bold")
    print_line(console, f"  skbert-filter predict {output} texts.csv -o kept.csv")


@app.command()
def register(
    model: Annotated[Path, typer.Argument(help="A folder written by train.")],
    name: Annotated[str, typer.Argument(help="Its name in the registry, such as web-filter.")],
    version: Annotated[
        str | None,
        typer.Option(
            help="Such as 1.2.0; or major, minor or patch, to count up.  [default: minor]"
        ),
    ] = None,
    tag: Annotated[list[str] | None, typer.Option(help="A tag; may be repeated.")] = None,
    status: Annotated[str | None, typer.Option(help="Such as Production.")] = None,
    project: Annotated[str | None, typer.Option(help="The project for its experiment.")] = None,
    offline: Offline = False,
    env_file: EnvFile = None,
) -> None:
    """Put a filter into the model registry of Comet.

    In Python: skbert_filter.integrations.comet.register_folder(...)
    """
    with _user_errors():
        _quieten_comet()
        from skbert_filter.integrations.comet import register_folder

        registration = register_folder(
            model,
            name,
            version,
            tags=tag,
            status=status,
            project_name=project,
            offline=offline,
            env_file=env_file,
            **_QUIET,
        )
    said = "After `comet upload` it is" if registration.archived else "Registered as"
    print_line(Console(), f"{said} {registration.uri}")


@app.command()
def evaluate(
    model: Annotated[
        Path,
        typer.Argument(help="A folder written by train, or registry://WORKSPACE/NAME:VERSION."),
    ],
    labels: Annotated[
        Path,
        typer.Argument(help="Labelled texts that it has not seen: .csv, .csv.gz or .parquet."),
    ],
    train: Annotated[
        Path | None,
        typer.Option(help="The labels it was trained on: adds leaked texts and baselines."),
    ] = None,
    text: TextColumnName = "text",
    label: LabelColumnName = "label",
    errors: Annotated[int, typer.Option(min=0, help="How many errors to show.")] = 10,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
) -> None:
    """Score a filter on labelled texts, beside simpler classifiers.

    In Python: skbert_filter.train.evaluate_filter(...)
    """
    with _user_errors():
        from skbert_filter.train import evaluate_filter

        evaluation = evaluate_filter(
            model, labels, text=text, label=label, train=train, n_errors=errors
        )
    if as_json:
        typer.echo(json.dumps(evaluation.to_dict(), indent=2))
    else:
        show_evaluation(Console(), evaluation)


@app.command()
def predict(
    model: Annotated[Path, typer.Argument(help="A folder written by train.")],
    source: Annotated[
        Path, typer.Argument(metavar="TEXTS", help="The texts: .csv, .csv.gz or .parquet.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="The file for the kept rows.")],
    text: TextColumnName = "text",
    keep: Annotated[str, typer.Option(help="The label whose rows are kept.")] = "1",
    overwrite: Overwrite = False,
) -> None:
    """Write the rows of a table whose texts are worth keeping.

    In Python: skbert_filter.filter_corpus(...)
    """
    console = Console()
    with _user_errors(), _progress_bar(console) as progress:
        from skbert_filter.corpus import filter_corpus

        summary = filter_corpus(
            model,
            source,
            output,
            text=text,
            keep=keep,
            overwrite=overwrite,
            progress=progress,
        )
    show_filtering(console, summary)


@contextmanager
def _user_errors() -> Iterator[None]:
    """Turn what a user can mend into one line and exit code 2."""
    try:
        yield
    except (ValueError, OSError, ModuleNotFoundError) as error:
        print_line(Console(stderr=True), f"Error: {' '.join(str(error).split())}")
        raise typer.Exit(2) from error


def _quieten_comet() -> None:
    # It would watch other packages, and ask to be imported before them.
    os.environ.setdefault("COMET_DISABLE_AUTO_LOGGING", "1")


# What Comet would record of a script: a command has nothing of it to show.
_QUIET: dict[str, Any] = {
    "log_code": False,
    "auto_output_logging": False,
    "display_summary_level": 0,
}


@contextmanager
def _comet_training(
    comet: str | None, offline: bool, env_file: Path | None
) -> Iterator[Callable[..., Any]]:
    """Lend `train_filter`, or one that logs to an experiment that lasts for the block."""
    if comet is None:
        if offline or env_file:
            raise ValueError("--offline and --env-file are for --comet. Add --comet PROJECT.")
        from skbert_filter.train import train_filter

        yield train_filter
        return
    _quieten_comet()
    from skbert_filter.integrations.comet import start, train_and_log

    project, _, name = comet.partition("/")
    experiment = start(project, name=name or None, offline=offline, env_file=env_file, **_QUIET)
    try:
        yield partial(train_and_log, experiment)
    finally:
        experiment.end()


def _fit_callbacks(console: Console) -> list[Any]:
    if not console.is_terminal:
        return []
    from sklearn.callback import ProgressBar

    return [ProgressBar()]


@contextmanager
def _progress_bar(console: Console) -> Iterator[Callable[[float, int, int], None]]:
    bar = Progress(
        TextColumn("Cleaning"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[rows]:,} rows, {task.fields[distinct]:,} distinct"),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
    )
    task = bar.add_task("", total=1.0, rows=0, distinct=0)

    def progress(share: float, rows: int, distinct: int) -> None:
        bar.start()  # not before: the fit draws bars of its own
        bar.update(task, completed=share, rows=rows, distinct=distinct)

    try:
        yield progress
    finally:
        bar.stop()
