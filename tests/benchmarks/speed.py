"""How fast everything is, compared with alternatives: the tables of docs/speed.rst.

    python tests/benchmarks/speed.py DATA --quick        # under 3 minutes on two cores
    python tests/benchmarks/speed.py DATA --docs docs    # under 20, and writes docs/measured
    PYTHONPATH=PEERS python tests/benchmarks/speed.py DATA --teacher FOLDER

DATA contains web_snippets.csv.gz and web_corpus.parquet. Rivals are measured if they are installed,
preferably in a separate folder (``pip install --target PEERS torch model2vec fasttext
sentence-transformers``); rivals.py says what FOLDER is. Each line is measured in a fresh process,
one after the other, once per round; tables show medians over the rounds. A line that takes longer
than 5 minutes is abandoned, and none starts after ``--minutes``. Runs on Linux.
"""

import argparse
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
Results = dict[str, list[dict[str, Any]]]
Rows = Iterator[list[str]]

# By the name of rivals.py, or of speed_jobs.py: the package, and the name in the table.
PEERS = {
    "TF-IDF": ("sklearn", "TF-IDF (words, characters) + LogisticRegression"),
    "model2vec": ("model2vec", "model2vec + LogisticRegression"),
    "fastText": ("fasttext", "fastText"),
    "Hugging Face, batches of 64": ("torch", "Hugging Face's pipeline, batches of 64"),
    "Hugging Face, one by one": ("torch", "Hugging Face's pipeline, one by one"),
    "MiniLM, frozen": ("sentence_transformers", "MiniLM sentence transformer + LogisticRegression"),
}
GROWTH = (100_000, 1_000_000, 10_000_000)
TOKENS = (4, 20, 100)


@dataclass(frozen=True)
class Line:
    """A job of speed_jobs.py, and on how many cores; ``once``: in the first round only."""

    job: str
    arguments: tuple[Any, ...]
    cores: int | None = None
    once: bool = False


def lines_of(arguments: argparse.Namespace, folder: Path) -> dict[str, Line]:
    """Return everything to measure, in order of dependence."""
    data, quick = arguments.data, arguments.quick
    snippets, source = str(data / "web_snippets.csv.gz"), str(data / "web_corpus.parquet")
    corpus, texts, saved = (str(folder / n) for n in ("corpus.parquet", "texts.json", "model"))
    ten = f"SmallBertTextFilter.from_pretrained({saved!r}).predict(['View All'] * 10)"
    floor = "import numpy, sklearn.base, onnxruntime, tokenizers"

    lines = {
        "prepare": Line("prepare", (source, 200_000 if quick else None, corpus, texts), once=True),
        "machine": Line("machine", (), once=True),
        "fit": Line("fit", (snippets, saved)),
        "predict": Line("predict", ("filter", snippets, saved, texts, "")),
    }
    for name, (package, _) in PEERS.items():
        needs_teacher = name.startswith(("MiniLM", "model2vec"))
        if importlib.util.find_spec(package) and (arguments.teacher or not needs_teacher):
            job = (name, snippets, saved, texts, str(arguments.teacher))
            lines[name] = Line("predict", job, once=name not in ("TF-IDF", "fastText"))

    lines |= {
        "start": Line("script", (f"from skbert_filter import SmallBertTextFilter\n{ten}",)),
        "start, floor": Line("script", (floor,)),
        "import TensorFlow": Line("script", ("import tensorflow",), once=True),
        "corpus": Line("corpus_job", (saved, corpus, False)),
        "distinct": Line("distinct", (saved, corpus)),
        "store": Line("corpus_job", (saved, corpus, True)),
        "profile": Line("profile", (saved, texts), cores=1, once=True),
        "int8": Line("int8", (saved, texts), cores=1, once=True),
    }
    if quick:
        return {name: line for name, line in lines.items() if name not in [*PEERS][1:]}

    if importlib.util.find_spec("torch"):
        lines["bare loop"] = Line("torch_loop", (snippets, saved), once=True)

    for n in TOKENS:
        lines[f"{n} tokens"] = Line("of_length", (saved, n))
    lines["predict, one core"] = Line("predict", ("filter", snippets, saved, texts, ""), cores=1)
    for n in GROWTH:
        grown = str(folder / f"{n}.parquet")
        lines[f"make {n}"] = Line("grow", (corpus, grown, n), once=True)
        lines[f"{n} rows"] = Line("corpus_job", (saved, grown, False), once=n > 10**6)
    return lines


def run(line: Line) -> dict[str, Any] | None:
    """Measure a line in its own process; None if it takes too long."""
    job = json.dumps([line.job, *line.arguments])
    cores = sorted(os.sched_getaffinity(0))[: line.cores]
    try:
        done = subprocess.run(
            [sys.executable, str(HERE / "speed_jobs.py"), job, str(time.time())],
            capture_output=True,
            text=True,
            timeout=300,
            preexec_fn=partial(os.sched_setaffinity, 0, cores),
        )
    except subprocess.TimeoutExpired:
        return None
    if done.returncode:
        raise RuntimeError(f"{job} failed:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def measure(arguments: argparse.Namespace, folder: Path) -> Results:
    """Measure what is not in the folder yet, and save it there."""
    kept = folder / "results.json"
    results: Results = json.loads(kept.read_text()) if kept.exists() else {}
    deadline = time.time() + 60 * (2.5 if arguments.quick else arguments.minutes)
    lines = lines_of(arguments, folder)

    for number in range(1 if arguments.quick else arguments.rounds):
        for name, line in lines.items():
            done = len(results.get(name, []))
            if done > number or (line.once and number) or time.time() > deadline:
                continue
            start = time.perf_counter()
            measured = run(line)
            taken = time.perf_counter() - start
            print(f"round {number + 1}, {name}: {taken:.0f} s", file=sys.stderr, flush=True)
            if measured:
                results.setdefault(name, []).append(measured)
                kept.write_text(json.dumps(results, indent=1))
    return results


def of(results: Results, line: str, field: str) -> float:
    """Return the median over the rounds."""
    return statistics.median(measured[field] for measured in results[line])


def number(value: float) -> str:
    """Format three significant digits, with commas at the thousands."""
    return f"{float(f'{value:.3g}'):,.3f}".rstrip("0").rstrip(".")


def corpus_table(results: Results) -> Rows:
    """How long will my corpus take?"""
    yield ["rows", "distinct texts", "seconds", "again, from a store", "peak memory"]
    lines = [f"{n} rows" for n in GROWTH if f"{n} rows" in results] + ["corpus"]
    for line in sorted(lines, key=lambda line: of(results, line, "rows")):
        rows, distinct, seconds, peak = (
            of(results, line, field) for field in ("rows", "distinct", "s", "MB")
        )
        again = f"{number(of(results, 'store', 'again'))} s" if line == "corpus" else ""
        yield [f"{rows:,.0f}", f"{distinct:,.0f}", number(seconds), again, f"{peak:,.0f} MB"]


def predict_table(results: Results) -> Rows:
    """From distinct texts to probabilities."""
    yield ["tool", "texts/s", "from, to", "filter is", "processor time a text", "peak memory"]
    names = {"predict": "the filter"} | {name: shown for name, (_, shown) in PEERS.items()}
    for line, name in names.items():
        if line in results:
            speeds = [measured["texts/s"] for measured in results[line]]
            ratio = of(results, "predict", "texts/s") / statistics.median(speeds)
            yield [
                name,
                number(statistics.median(speeds)),
                f"{number(min(speeds))} to {number(max(speeds))}",
                "" if line == "predict" else f"{number(ratio)} ×",
                f"{number(of(results, line, 'µs'))} µs",
                f"{of(results, line, 'MB'):,.0f} MB",
            ]


def paths_table(results: Results) -> Rows:
    """Whole processes, each next to the work it cannot avoid."""
    yield ["job", "seconds", "processor", "next to", "seconds", "processor"]
    tensorflow = {"s": of(results, "import TensorFlow", "s")}
    tensorflow["cpu"] = of(results, "import TensorFlow", "cpu")
    for name, line, fields, other, floor in (
        ("fit 4,000 snippets, whole process", "fit", ("s", "cpu"), "import TensorFlow; a bare "
         "PyTorch loop of the same steps", "bare loop"),
        ("fit again in the process", "fit", ("again", "cpu again"), "the bare loop", "bare loop"),
        ("load a filter, predict ten texts, whole process", "start", ("s", "cpu"), "import NumPy, "
         "scikit-learn's base, ONNX Runtime, tokenizers", "start, floor"),
        ("the corpus, file to file", "corpus", ("s", "cpu"), "predict its distinct texts",
         "distinct"),
        ("the same, filling a store", "store", ("s", "cpu"), "predict its distinct texts",
         "distinct"),
        ("again from the store", "store", ("again", "cpu again"), "filling it", "store"),
    ):  # fmt: skip
        own = [number(of(results, line, field)) for field in fields]
        if floor not in results:
            yield [name, *own, "", "", ""]
            continue
        base = {field: of(results, floor, field) for field in ("s", "cpu")}
        if other.startswith("import TensorFlow"):
            base = {field: base[field] + tensorflow[field] for field in base}
        yield [name, *own, other, number(base["s"]), number(base["cpu"])]


def tokens_table(results: Results) -> Rows:
    """Texts per second by their length."""
    yield ["tokens a text", "texts/s"]
    for n in TOKENS:
        if f"{n} tokens" in results:
            yield [str(n), number(of(results, f"{n} tokens", "texts/s"))]


def profile_table(results: Results) -> Rows:
    """Where the time of a prediction goes."""
    yield ["one thread", "share"]
    parts = {part: of(results, "profile", part) for part in results["profile"][0]}
    total = sum(parts.values())
    ordered = sorted(parts, key=lambda part: -parts[part])
    for part in ordered[:6]:
        yield [part, f"{parts[part] / total:.0%}"]
    yield ["all others", f"{sum(parts[part] for part in ordered[6:]) / total:.0%}"]


def machine_table(results: Results) -> Rows:
    """The machine."""
    yield ["this machine", ""]
    for name, value in results["machine"][0].items():
        yield [name, value if isinstance(value, str) else number(value)]
    yield ["rounds", str(len(results["predict"]))]
    if "predict, one core" in results:
        one, two = (of(results, line, "texts/s") for line in ("predict, one core", "predict"))
        yield ["predict: all cores to one", f"{number(two / one)} ×"]
    yield ["forward pass: int8 feed-forward to float32", f"{of(results, 'int8', 'ratio'):.2f} ×"]
    yield ["largest change of a probability", f"{of(results, 'int8', 'change'):.3f}"]


def rst(rows: Rows) -> str:
    """Return a simple table of reStructuredText."""
    cells = list(rows)
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    rule = "  ".join("=" * width for width in widths)

    def line(row: list[str]) -> str:
        padded = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        return "  ".join(padded).rstrip()

    return "\n".join([rule, line(cells[0]), rule, *map(line, cells[1:]), rule]) + "\n"


# With the lines that make up each.
TABLES = {
    "corpus": (corpus_table, ("corpus", "store")),
    "predict": (predict_table, ("predict",)),
    "paths": (paths_table, ("import TensorFlow", "fit", "start", "corpus", "store")),
    "tokens": (tokens_table, ("4 tokens",)),
    "profile": (profile_table, ("profile",)),
    "machine": (machine_table, ("machine", "int8")),
}


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, help="folder of the snippets and the corpus")
    parser.add_argument("--quick", action="store_true", help="200,000 rows, one round")
    parser.add_argument("--teacher", type=Path, help="folder of a MiniLM")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--minutes", type=float, default=16, help="begin no line after these")
    parser.add_argument("--folder", type=Path, help="keep files and results here, and resume")
    parser.add_argument("--docs", type=Path, help="write the tables of the page here")
    arguments = parser.parse_args()

    with tempfile.TemporaryDirectory() as scratch:
        folder = arguments.folder or Path(scratch)
        folder.mkdir(exist_ok=True)
        results = measure(arguments, folder)
    for name, (table, lines) in TABLES.items():
        if not all(line in results for line in lines):
            continue
        text = rst(table(results))
        print(f"{name}\n\n{text}")
        if arguments.docs:
            (arguments.docs / "measured" / f"speed_{name}.txt").write_text(text)


if __name__ == "__main__":
    main()
