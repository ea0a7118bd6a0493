"""From a crawl to a clean corpus in one sitting, with commands only, and the time of each.

    python tests/benchmarks/sitting.py DATA

Labels 200 snippets (the true labels of web_snippets are the answers), trains on them; trains on all
labels, with whole pages held out; cleans web_corpus; lists likely label errors, changes the first
ten of them, and trains again. Prints what the commands print.
"""

import argparse
import csv
import os
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd

COMMAND = [sys.executable, "-W", "ignore", "-m", "skbert_filter"]


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, help="folder of the labelled sets and the corpus")
    parser.add_argument("--answers", type=int, default=200)
    arguments = parser.parse_args()
    data = arguments.data.resolve()
    snippets, corpus = data / "web_snippets.csv.gz", data / "web_corpus.parquet"

    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        label(snippets, arguments.answers)
        run("train", "labels.csv", "-o", "first")
        run("train", snippets, "--groups", "page", "-o", "model")
        run("predict", "model", corpus, "-o", "kept.parquet")
        run("predict", "model", corpus, "-o", "more.parquet", "--recall", "0.95", "--quiet")
        run("suspects", snippets, "-o", "suspects.csv", "--top", "50")
        correct()
        run("suspects", snippets, "--apply", "suspects.csv", "-o", "corrected.csv")
        run("train", "corrected.csv", "--groups", "page", "-o", "model", "--overwrite")


def run(*words: object) -> None:
    """Run a command, and print it, its output and its seconds."""
    print(f"\n$ skbert-filter {shlex.join(map(str, words))}", flush=True)
    start = time.perf_counter()
    done = subprocess.run([*COMMAND, *map(str, words)], check=False)
    print(f"[{time.perf_counter() - start:.0f} s, exit code {done.returncode}]", flush=True)


def label(snippets: Path, n: int) -> None:
    """Answer keep; if the true label is different, undo and answer discard."""
    table = pd.read_csv(snippets, keep_default_na=False)
    truth = dict(zip(table.text, table.label, strict=True))
    words = ["label", str(snippets), "-o", "labels.csv"]
    print(f"$ skbert-filter {shlex.join(words)}", flush=True)
    start = time.perf_counter()
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([*COMMAND, *words], text=True, **pipes) as process:
        for answered in range(n):
            process.stdin.write("k\n")
            process.stdin.flush()
            text = last_text(answered + 1, "keep")
            if not truth[text]:
                process.stdin.write("u\nd\n")
                process.stdin.flush()
                last_text(answered + 1, "discard")
        out, _ = process.communicate("q\n")
    print("\n".join(out.splitlines()[-4:]))
    print(f"[{time.perf_counter() - start:.0f} s for {n} answers]", flush=True)


def last_text(n: int, label: str) -> str:
    """Wait until a file has so many labels, ending with the given one, and return its text."""
    while True:
        if Path("labels.csv").exists():
            with Path("labels.csv").open(encoding="utf-8", newline="") as file:
                rows = list(csv.DictReader(file))
            if len(rows) == n and rows[-1]["label"] == label:
                return rows[-1]["text"]
        time.sleep(0.002)


def correct() -> None:
    """Change the likeliest label errors, as a person who agrees would."""
    table = pd.read_csv("suspects.csv", keep_default_na=False, dtype=str)
    table.loc[:9, "label"] = table.loc[:9, "suggested"]
    table.to_csv("suspects.csv", index=False)


if __name__ == "__main__":
    main()
