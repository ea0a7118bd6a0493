"""The `skbert-filter` command. Each command is one call of a public Python function.

Exit codes: 0 success; 1 a bug; 2 an error the user can fix, explained in one line; 130 interrupted
by Ctrl-C; 141 the reader of the output has gone.
"""

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Annotated, Literal

from typer import Argument, Exit, Option, Typer

from skbert_filter.cli import options as opt
from skbert_filter.cli.comet import comet_experiment, register
from skbert_filter.cli.console import (
    Commands,
    print_command,
    print_line,
    print_next,
    print_result,
    print_title,
    working,
)
from skbert_filter.cli.labels import duplicates, explore, label, next_to_label, suspects

app = Typer(
    name="skbert-filter",
    cls=Commands,
    epilog="Exit codes: 0 success; 2 an error you can fix, in one line; 130 interrupted.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,
)


def _print_version(asked: bool) -> None:
    if asked:
        from skbert_filter import __version__

        print_line(f"skbert-filter {__version__}")
        raise Exit


@app.callback()
def main(
    version: Annotated[
        bool,
        Option("--version", callback=_print_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    """Train a very small BERT to tell useful text snippets from garbage, and clean corpora."""


@app.command()
def demo(
    output: opt.NewFolder = Path("skbert-filter-demo"),
    rows: Annotated[int, Option(min=1, metavar="N", help="Rows of the corpus.")] = 200_000,
    snippets: Annotated[int, Option(min=100, metavar="N", help="Labelled snippets.")] = 5600,
    seed: opt.Seed = 0,
) -> None:
    """Try the whole job on generated data: train, score, clean a corpus.

    Takes two minutes and needs no network.

    In Python: skbert_filter.labelling.demo.run_demo(...)
    """
    print_line(f"Generating {snippets:,} labelled snippets and a corpus of {rows:,} rows.")
    with working("Generating") as work:
        from skbert_filter.labelling.demo import run_demo

        summary = run_demo(
            output,
            n_rows=rows,
            n_snippets=snippets,
            random_state=seed,
            callbacks=[work],
            progress=work.corpus_progress,
        )
    print_result(summary)
    print_next("Train a filter on your own labels:", "train", "labels.csv", "-o", "model")
    print_next("Clean your own texts:", "predict", "model", "texts.csv", "-o", "kept.csv")


@app.command()
def pretrain(
    corpus: opt.Texts,
    output: opt.NewFolder,
    text: opt.Text = "text",
    labelled: Annotated[
        Path | None,
        Option(
            metavar="FILE",
            help="A table of labelled texts, as train reads it, to learn as well. What is saved is "
            "then a filter for these labels.",
        ),
    ] = None,
    label: opt.Label = "label",
    teacher: Annotated[
        str | None,
        Option(
            metavar="NAME",
            help="A larger BERT to learn from: a folder, or a name on the Hugging Face hub.",
        ),
    ] = None,
    teacher_layer: Annotated[
        int | None,
        Option(
            min=1,
            metavar="N",
            help="The teacher's layer to learn from.",
            show_default="one in the middle",
        ),
    ] = None,
    shape: Annotated[
        bool, Option(help="Learn the length, capitals and punctuation of texts.")
    ] = True,
    hidden_size: Annotated[int, Option(min=1, metavar="N", help="Width: a multiple of 4.")] = 64,
    encoding: opt.Encoding = None,
    delimiter: opt.Delimiter = None,
    epochs: Annotated[
        int | None,
        Option(
            min=1,
            metavar="N",
            help="Passes over the distinct texts.",
            show_default="enough for 2,000 steps, 1 to 10",
        ),
    ] = None,
    max_seconds: Annotated[
        float | None, Option(min=1, metavar="SECONDS", help="Stop after this time.")
    ] = None,
    checkpoint_dir: Annotated[
        Path | None,
        Option(metavar="FOLDER", help="Save checkpoints here, so that a killed run can resume."),
    ] = None,
    overwrite: opt.Overwrite = False,
    seed: opt.Seed = 0,
) -> None:
    """Pretrain an encoder on unlabelled texts, for filters to start from.

    In Python: skbert_filter.pretrain_encoder(...)
    """
    with working("Pretraining") as work:
        from skbert_filter.labelling.pretrain import pretrain_encoder
        from skbert_filter.pretrainer import SmallBertPretrainer

        estimator = SmallBertPretrainer(
            teacher=teacher,
            teacher_layer=teacher_layer,
            shape=shape,
            hidden_size=hidden_size,
            epochs="auto" if epochs is None else epochs,
            max_seconds=max_seconds,
            checkpoint_dir=checkpoint_dir,
            random_state=seed,
        )
        summary = pretrain_encoder(
            corpus,
            output,
            text=text,
            labelled=labelled,
            label=label,
            encoding=encoding,
            delimiter=delimiter,
            estimator=estimator,
            overwrite=overwrite,
            callbacks=[work],
        )
    print_result(summary)
    words = ("train", "labels.csv", "--checkpoint", output, "-o", "model")
    print_next("Train a filter that starts from it:", *words)


@app.command()
def train(
    labels: Annotated[list[Path], Argument(metavar="LABELS", help=opt.LABEL_FILES)],
    output: opt.NewFolder,
    text: opt.Text = "text",
    label: opt.Label = "label",
    groups: Annotated[
        str | None,
        Option(
            metavar="COLUMN",
            help="The column with the page or firm of each text: whole ones are held out.",
        ),
    ] = None,
    encoding: opt.Encoding = None,
    delimiter: opt.Delimiter = None,
    labels_as_is: Annotated[
        bool, Option("--labels-as-is", help="Treat Keep and keep as different labels.")
    ] = False,
    keep: Annotated[
        str | None,
        Option(
            metavar="LABEL",
            help="The label of useful texts, if it is not 1, keep, yes, true or the like.",
        ),
    ] = None,
    model: Annotated[
        Literal["best", "bert", "tfidf", "vote"],
        Option(
            metavar="best|bert|tfidf|vote",
            help="What to save: the filter, TF-IDF, the mean of both, or the best of them by "
            "cross-validation.",
        ),
    ] = "best",
    checkpoint: Annotated[
        str,
        Option(
            metavar="NAME",
            help="What to start from: web, the bundled encoder; a folder written by pretrain; or "
            "auto, which is web if it can read the texts.",
        ),
    ] = "auto",
    test_size: Annotated[
        float,
        Option(
            min=0.01,
            max=0.99,
            metavar="SHARE",
            help="Share of the distinct texts to score the filter on.",
        ),
    ] = 0.2,
    refit: Annotated[bool, Option(help="After scoring, fit again on all labels.")] = True,
    overwrite: opt.Overwrite = False,
    seed: opt.Seed = 0,
    comet: Annotated[
        str | None, Option(metavar="PROJECT[/NAME]", help="Log to a Comet experiment.")
    ] = None,
    offline: opt.Offline = False,
    env_file: opt.EnvFile = None,
) -> None:
    """Learn from labelled texts, report an honest score, save the model that wins.

    In Python: skbert_filter.labelling.train.train_filter(...)
    """
    with (
        comet_experiment(comet, offline, env_file) as experiment,
        working("Reading the labels") as work,
    ):
        from skbert_filter.labelling.train import train_filter
        from skbert_filter.text_filter import SmallBertTextFilter

        summary = train_filter(
            labels,
            output,
            text=text,
            label=label,
            groups=groups,
            encoding=encoding,
            delimiter=delimiter,
            labels_as_is=labels_as_is,
            keep=keep,
            model=model,
            estimator=SmallBertTextFilter(checkpoint=checkpoint, random_state=seed),
            test_size=test_size,
            refit=refit,
            overwrite=overwrite,
            random_state=seed,
            callbacks=[work],
            experiment=experiment,
        )
    print_result(summary)
    if summary.conflicts:
        files = ("duplicates", *labels, "--label", label)
        print_next(
            "See the texts with several labels:",
            *files,
            text=text,
            encoding=encoding,
            delimiter=delimiter,
        )
    words = ("predict", output, "texts.csv", "-o", "kept.csv")
    if summary.keep is not None:
        print_next("Clean texts with it:", *words, text=text)
    else:
        print_title("Clean texts with it, and name the label to keep, for example:")
        for count in summary.labels[:2]:
            print_command(*words, text=text, keep=str(count.label))


@app.command()
def evaluate(
    model: opt.Model,
    labels: opt.Labels,
    train: Annotated[
        Path | None,
        Option(
            metavar="FILE", help="The labels it was trained on: reports leaks and baselines too."
        ),
    ] = None,
    text: opt.Text = "text",
    label: opt.Label = "label",
    encoding: opt.Encoding = None,
    delimiter: opt.Delimiter = None,
    errors: Annotated[int, Option(min=0, metavar="N", help="How many errors to show.")] = 10,
    trust: opt.Trust = False,
    as_json: opt.AsJson = False,
) -> None:
    """Score a filter on labelled texts that it has not seen, next to simpler classifiers.

    In Python: skbert_filter.labelling.evaluate.evaluate_filter(...)
    """
    with working("Scoring"):
        from skbert_filter.labelling.evaluate import evaluate_filter

        evaluation = evaluate_filter(
            model,
            labels,
            text=text,
            label=label,
            encoding=encoding,
            delimiter=delimiter,
            train=train,
            n_errors=errors,
            trust=trust,
        )
    print_result(evaluation, evaluation.to_dict() if as_json else None)


@app.command()
def predict(
    model: opt.Model,
    texts: opt.Texts,
    output: Annotated[
        str,
        Option(
            "--output",
            "-o",
            metavar="PATH",
            help="A file; a folder if TEXTS is one; the URL of either; or - for standard output.",
        ),
    ],
    text: opt.Text = "text",
    keep: Annotated[
        str | None,
        Option(
            metavar="LABEL", help="The label whose rows are kept; by default, that of useful texts."
        ),
    ] = None,
    threshold: Annotated[
        float | None,
        Option(
            min=0,
            max=1,
            metavar="X",
            help="Keep texts of at least this probability.",
            show_default="as the filter predicts",
        ),
    ] = None,
    recall: Annotated[
        float | None,
        Option(min=0, max=1, metavar="SHARE", help="Keep this share of the useful texts."),
    ] = None,
    precision: Annotated[
        float | None,
        Option(
            min=0,
            max=1,
            metavar="SHARE",
            help="Keep as many as possible, this share of them useful.",
        ),
    ] = None,
    columns: Annotated[
        str | None,
        Option(metavar="LABEL,PROBABILITY", help="Write all rows, and add columns of these names."),
    ] = None,
    drop_documents: Annotated[
        float | None,
        Option(
            metavar="SHARE",
            min=0,
            max=1,
            help="Drop whole documents if more than this share of their characters is discarded. "
            "In a folder, each file is a document.",
        ),
    ] = None,
    document: Annotated[
        str | None, Option(metavar="COLUMN", help="The column that names the document of a row.")
    ] = None,
    nulls: Annotated[
        opt.Nulls, Option(metavar="error|discard|keep", help="What to do with rows without a text.")
    ] = "error",
    encoding: opt.Encoding = None,
    delimiter: opt.Delimiter = None,
    audit: Annotated[
        Path | None,
        Option(
            metavar="FILE", help="A CSV or Parquet file of each distinct text and its decision."
        ),
    ] = None,
    store: Annotated[
        Path | None, Option(metavar="FILE", help="A file that remembers scores for the next job.")
    ] = None,
    dask: Annotated[
        str | None,
        Option(metavar="tcp://HOST:PORT", help="Share a folder's files among Dask workers."),
    ] = None,
    trust: opt.Trust = False,
    overwrite: opt.Overwrite = False,
    escape_formulas: opt.EscapeFormulas = False,
    quiet: Annotated[bool, Option("--quiet", help="Show no examples.")] = False,
    as_json: opt.AsJson = False,
) -> None:
    """Write the rows of a corpus whose texts are worth keeping.

    An interrupted job resumes when the same command is run again.

    In Python: skbert_filter.filter_corpus(...)
    """
    cluster: AbstractContextManager = nullcontext()
    if dask is not None:
        from skbert_filter.corpus.dask_engine import connect

        cluster = connect(dask)
    with cluster, working("Cleaning") as work:
        from skbert_filter.corpus import filter_corpus

        summary = filter_corpus(
            model,
            texts,
            output,
            text=text,
            keep=keep,
            threshold=threshold,
            recall=recall,
            precision=precision,
            columns=None if columns is None else columns.split(","),
            drop_documents=drop_documents,
            document=document,
            nulls=nulls,
            encoding=encoding,
            delimiter=delimiter,
            audit=audit,
            store=store,
            engine="local" if dask is None else "dask",
            trust=trust,
            overwrite=overwrite,
            escape_formulas=escape_formulas,
            n_examples=0 if quiet else 8,
            progress=work.corpus_progress,
        )
    # Standard output may be the destination.
    print_result(summary, summary.to_dict() if as_json else None, err=output == "-")
    if not (quiet or as_json or trust or "-" in (texts, output)):
        print_next(
            "Choose texts whose labels would teach it most:",
            *("next-to-label", model, texts, "-o", "next.csv"),
            text=text,
            encoding=encoding,
            delimiter=delimiter,
        )


for command in (label, register, explore, duplicates, suspects, next_to_label):
    app.command()(command)
