"""Options and arguments that several commands have."""

from pathlib import Path
from typing import Annotated, Literal

from typer import Argument, Option

Nulls = Literal["error", "discard", "keep"]
Key = Literal["exact", "whitespace", "casefold"]

LABEL_FILES = (
    "Labelled texts: .csv, .tsv, .jsonl (also with .gz or .zst), .parquet or .xlsx, or the "
    "URL of one. Rows with a blank label are dropped."
)
Labels = Annotated[Path, Argument(help=LABEL_FILES)]
TEXTS = (
    "The texts: .parquet, .csv, .tsv, .jsonl or .txt (a line is a row), all but the first also "
    "with .gz or .zst; a folder of these; the URL of either, such as s3://bucket/crawl; or - for "
    "lines on standard input."
)
Texts = Annotated[str, Argument(help=TEXTS)]
Model = Annotated[
    Path,
    Argument(
        help="web, the bundled filter; a folder written by train; "
        "registry://WORKSPACE/NAME:VERSION; or, with --trust, a joblib file."
    ),
]
Text = Annotated[str, Option("--text", metavar="COLUMN", help="The column with the texts.")]
Label = Annotated[str, Option("--label", metavar="COLUMN", help="The column with the labels.")]
Encoding = Annotated[
    str | None,
    Option(metavar="NAME", help="The encoding of text files that are not UTF-8, such as cp1252."),
]
Delimiter = Annotated[
    str | None,
    Option(
        metavar="CHARACTER",
        help="The delimiter of .csv and .tsv files, such as ';' or tab.",
        show_default="detected",
    ),
]

NewFolder = Annotated[Path, Option("--output", "-o", metavar="FOLDER", help="The folder to write.")]
NewTable = Annotated[
    Path, Option("--output", "-o", metavar="FILE", help="The .csv, .tsv or .parquet file to write.")
]
Overwrite = Annotated[bool, Option("--overwrite", help="Replace existing output.")]
EscapeFormulas = Annotated[
    bool,
    Option(
        "--escape-formulas",
        help="Put an apostrophe before CSV texts that a spreadsheet would compute, such as =1+1.",
    ),
]

Seed = Annotated[int, Option(metavar="N", help="Seed of everything that is random.")]
Trust = Annotated[
    bool, Option("--trust", help="Load a model from a pickle, which runs any code in it.")
]
AsJson = Annotated[bool, Option("--json", help="Print JSON instead of tables.")]
Offline = Annotated[
    bool, Option("--offline", help="Write Comet's data to an archive for `comet upload`.")
]
EnvFile = Annotated[
    Path | None, Option(metavar="FILE", help="A .env file with COMET_API_KEY, or its folder.")
]
