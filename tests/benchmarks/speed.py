"""How fast everything is, beside its peers and its floors: the tables and plots of docs/speed.rst.

    python tests/benchmarks/speed.py PATH/web_snippets.csv.gz PATH/web_corpus.parquet
        [--torch-python PYTHON] [--minilm FOLDER] [--rounds N] [--only WORD] [--rows N]
        [--folder FOLDER] [--docs DOCS]

Each line is measured in a fresh process on two cores; the lines follow each other, and then all of
them come again in a next round. The tables show medians over the rounds, and are printed. Runs on
Linux. PYTHON is one of an environment with torch and transformers; without it those peers are left
out. What FOLDER holds is not measured again, so that a run that was stopped goes on, and tables
and plots can be made again. DOCS is the folder of the page: it is given the tables and plots.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from speed_tables import Results, rst, tables

HERE = Path(__file__).parent
GROWTH = (10_000, 100_000, 1_000_000, 10_000_000)
TOKENS = (4, 20, 100)


@dataclass(frozen=True)
class Line:
    """A job of speed_jobs.py or peers.py, and on how many cores; ``once``: in one round only."""

    job: str
    arguments: tuple[Any, ...]
    cores: int = 2
    once: bool = False


def lines_of(arguments: argparse.Namespace, folder: Path) -> dict[str, Line]:
    """Name all that is measured, in the order in which it needs each other."""
    file, source = arguments.snippets, arguments.corpus
    corpus, texts = str(folder / "corpus.parquet"), str(folder / "texts.json")
    pickled, saved = str(folder / "model.pickle"), str(folder / "model")
    ten = f"import pickle\nm = pickle.load(open({pickled!r}, 'rb'))\nm.predict(['View All'] * 10)"
    lines = {
        "prepare": Line("prepare", (source, corpus, arguments.rows, texts), once=True),
        "fit": Line("fit", (file, pickled, saved)),
        "machine": Line("machine", (corpus, str(folder / "written.parquet"))),
        "predict": Line("predict", (corpus, pickled, None, None)),
        "TF-IDF": Line("tfidf", (corpus, file)),
    }
    if arguments.torch_python:
        for name, n, batch_size, padding in (
            ("one by one", 500, 1, "max_length"),
            ("batches of 8", 2_000, 8, "max_length"),
            ("batches of 64", 5_000, 64, "longest"),
        ):
            job = ("hugging_face", saved, texts, n, batch_size, padding)
            lines[f"Hugging Face, {name}"] = Line("peer", job)
    if arguments.torch_python and arguments.minilm:
        minilm = ("sentence_transformer", arguments.minilm, texts, 500)
        lines["MiniLM"] = Line("peer", minilm)
    lines |= {
        "corpus": Line("corpus_job", (corpus, pickled)),
        "fit, Keras's layers": Line("plain_keras", (file,)),
        "grid": Line("grid", (file, 2)),
        "grid, one fit times 12": Line("grid", (file, None)),
        "script": Line("script", (ten,)),
        "script with TensorFlow": Line("script", (f"import tensorflow\n{ten}",)),
        "import": Line("script", ("import skbert_filter",)),
        "import of scikit-learn": Line("script", ("import sklearn",)),
        "predict, one core": Line("predict", (corpus, pickled, None, None), cores=1),
        "corpus, one core": Line("corpus_job", (corpus, pickled), cores=1),
        "fit, one core": Line("fit", (file, f"{pickled}.1", f"{saved}.1"), cores=1),
        "profile of predict": Line("profile_predict", (corpus, pickled, saved), cores=1),
        "profile of forward": Line("profile_forward", (texts, saved), cores=1),
        "profile of corpus": Line("profile_corpus", (corpus, pickled, saved)),
        "profile of fit": Line("profile_fit", (file,)),
        "profile of start": Line("profile_start", (pickled,)),
        "precision": Line("precision", (saved, texts), cores=1),
        "endurance": Line("endurance", (file, pickled, texts), once=True),
    }
    for n in TOKENS:
        for cores in (1, 2):
            lines[f"{n} tokens, {cores} cores"] = Line("of_length", (pickled, saved, n), cores)
    growth = [n for n in GROWTH if n <= 10 * (arguments.rows or GROWTH[-1])]
    for n, new in [*((n, False) for n in growth), (growth[-1], True)]:
        name = f"{n} rows, new texts" if new else f"{n} rows"
        grown = str(folder / f"{name}.parquet")
        lines[f"make {name}"] = Line("grow", (corpus, grown, n, new), once=True)
        lines[name] = Line("corpus_job", (grown, pickled), once=new)
    return lines


def run(line: Line, torch_python: str | None) -> dict[str, Any]:
    """Measure a line in a process of its own."""
    job = [str(HERE / "speed_jobs.py"), json.dumps([line.job, *line.arguments]), str(time.time())]
    command = [sys.executable, *job]
    if line.job == "peer":
        command = [str(torch_python), str(HERE / "peers.py"), json.dumps(line.arguments)]
    cores = sorted(os.sched_getaffinity(0))[: line.cores]
    done = subprocess.run(
        command,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        preexec_fn=partial(os.sched_setaffinity, 0, cores),
    )
    return json.loads(done.stdout.splitlines()[-1])


def measure(arguments: argparse.Namespace, folder: Path) -> Results:
    """Measure what the folder does not hold yet, and keep it there."""
    kept = folder / "results.json"
    results = json.loads(kept.read_text()) if kept.exists() else {}
    needed = ("prepare", "fit", "machine")
    lines = lines_of(arguments, folder)
    for number in range(arguments.rounds):
        for name, line in lines.items():
            wanted = name in needed or any(
                arguments.only in other and name in (other, f"make {other}") for other in lines
            )
            done = len(results.get(name, []))
            if wanted and done <= number and not (line.once and done):
                start = time.perf_counter()
                results.setdefault(name, []).append(run(line, arguments.torch_python))
                kept.write_text(json.dumps(results, indent=1))
                taken = time.perf_counter() - start
                print(f"round {number + 1}, {name}: {taken:.0f} s", file=sys.stderr, flush=True)
    return Results(results)


def main() -> None:
    """Run from the command line."""
    description, _, details = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(
        description=description, epilog=details, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("snippets")
    parser.add_argument("corpus")
    parser.add_argument("--torch-python", help="a Python that has torch and transformers")
    parser.add_argument("--minilm", help="a folder of a sentence transformer")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="", help="only lines with this word, and the fit")
    parser.add_argument("--rows", type=int, help="only so many rows of the corpus")
    parser.add_argument("--folder", type=Path, help="keep results and files here")
    parser.add_argument("--docs", type=Path, help="write tables and plots of the page here")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = arguments.folder or Path(scratch)
        folder.mkdir(exist_ok=True)
        results = measure(arguments, folder)
    for name, table in tables(results).items():
        print(f"{name}\n\n{rst(table)}\n")
        if arguments.docs:
            target = arguments.docs / "measured" / f"speed_{name}.txt"
            target.parent.mkdir(exist_ok=True)
            target.write_text(rst(table))
    if arguments.docs:
        from speed_plots import plots

        plots(results, arguments.docs / "images")


if __name__ == "__main__":
    main()
