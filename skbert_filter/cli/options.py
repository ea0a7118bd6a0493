"""Options and arguments that several commands have."""

from pathlib import Path
from typing import Annotated, Literal

from typer import Argument, Option

Nulls = Literal["error", "discard", "keep"]
Key = Literal["exact", "whitespace", "casefold"]

LABEL_FILES = (
    "Labelled texts: .csv, .tsv, .jsonl (also with .gz or .zst), .parquet or .xlsx. Rows with a "
    "blank label are dropped."
)
Labels = Annotated[Path, Argument(help=LABEL_FILES)]
Texts = Annotated[
    str,
    Argument(
        help="The texts: .parquet, .csv, .tsv, .jsonl or .txt (a line is a row), all but the "
        "first also with .gz or .zst; a folder of these; the URL of either, such as "
        "s3://bucket/crawl; or - for lines on standard input."
    ),
]
Model = Annotated[
    Path,
    Argument(
        help="web, the bundled filter; a folder written by train; "
        "registry://WORKSPACE/NAME:VERSION; or, with --trust, a file of joblib."
    ),
]
Text = Annotated[str, Option("--text", help="The column with the texts.")]
Label = Annotated[str, Option("--label", help="The column with the labels.")]
Encoding = Annotated[str | None, Option(help="Of text files that are not UTF-8, such as cp1252.")]

NewFolder = Annotated[Path, Option("--output", "-o", help="The folder to write.")]
NewTable = Annotated[
    Path, Option("--output", "-o", help="The .csv, .tsv or .parquet file to write.")
]
Overwrite = Annotated[bool, Option("--overwrite", help="Replace what is there.")]
EscapeFormulas = Annotated[
    bool,
    Option(
        "--escape-formulas",
        help="Write an apostrophe before texts in CSV that a spreadsheet would compute, as =1+1.",
    ),
]

Seed = Annotated[int, Option(help="Seed of everything random.")]
Trust = Annotated[
    bool, Option("--trust", help="Load a model that is a pickle, which runs the code in it.")
]
AsJson = Annotated[bool, Option("--json", help="Print JSON instead of tables.")]
Offline = Annotated[
    bool, Option("--offline", help="Write Comet's data to an archive for `comet upload`.")
]
EnvFile = Annotated[Path | None, Option(help="A .env file with COMET_API_KEY, or its folder.")]
