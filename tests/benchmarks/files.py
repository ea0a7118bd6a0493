"""From files to files: rows per second, peak memory, and the cost of an interruption.

    python tests/benchmarks/files.py --data FOLDER [--rows N] [--scratch FOLDER]

FOLDER holds web_corpus.parquet and web_snippets.csv.gz. The corpus is written as Parquet, CSV and
1,142 text files, and cleaned by `filter_corpus` and by a straight script (pandas, a dict and the
same model), each in a fresh process. Then jobs are killed halfway and run again, and their output
is compared byte by byte with that of an uninterrupted job.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

N_FILES = 1_142
N_FIT = 4_000
KINDS = ("corpus.parquet", "corpus.csv", "corpus")


def prepare(data: str, folder: str, n_rows: int | None) -> dict[str, Any]:
    """Write the corpus in three forms, and fit the filter."""
    import numpy as np
    import pandas as pd
    import pyarrow.parquet as pq

    from skbert_filter import SmallBertTextFilter

    table = pq.read_table(Path(data, "web_corpus.parquet"), columns=["text"]).slice(0, n_rows)
    pq.write_table(table, Path(folder, "corpus.parquet"))
    texts = table.to_pandas()
    texts.to_csv(Path(folder, "corpus.csv"), index=False)
    # Each line of a text file is a row, so its texts cannot contain line feeds.
    lines = texts["text"].str.replace("\n", " ").to_numpy()
    Path(folder, "corpus").mkdir()
    for i, part in enumerate(np.array_split(lines, N_FILES)):
        Path(folder, "corpus", f"firm-{i:04}.txt").write_text("".join(f"{t}\n" for t in part))
    labels = pd.read_csv(Path(data, "web_snippets.csv.gz"), keep_default_na=False)
    labels = labels.drop_duplicates("text").sample(N_FIT, random_state=0)
    model = SmallBertTextFilter(random_state=0).fit(labels.text, labels.label)
    model.save_pretrained(Path(folder, "model"))
    return {"rows": len(texts), "distinct": int(texts["text"].nunique())}


def job(folder: str, source: str, destination: str, store: str | None) -> dict[str, Any]:
    """Clean the corpus with the package."""
    from skbert_filter import filter_corpus

    summary = filter_corpus(
        Path(folder, "model"), Path(folder, source), Path(folder, destination), store=store
    )
    return {"rows": summary.rows, "kept": summary.kept, "recovered": summary.recovered}


def straight(folder: str, source: str, destination: str) -> dict[str, Any]:
    """Clean the corpus as a careful script would: all in memory, with a dict of known texts."""
    import pandas as pd

    from skbert_filter import SmallBertTextFilter

    model = SmallBertTextFilter.from_pretrained(Path(folder, "model"))
    known: dict[str, int] = {}

    def keep(texts: list[str]) -> list[bool]:
        new = [text for text in dict.fromkeys(texts) if text not in known]
        if new:
            known.update(zip(new, model.predict(new).tolist(), strict=True))
        return [known[text] == 1 for text in texts]

    path, target = Path(folder, source), Path(folder, destination)
    if path.is_dir():
        target.mkdir()
        rows = 0
        for file in sorted(path.iterdir()):
            lines = file.read_text().split("\n")[:-1]
            rows += len(lines)
            kept = [line for line, good in zip(lines, keep(lines), strict=True) if good]
            (target / file.name).write_text("".join(f"{line}\n" for line in kept))
        return {"rows": rows}
    if path.suffix == ".csv":
        frame = pd.read_csv(path, dtype=str, keep_default_na=False)
        frame[keep(frame["text"].tolist())].to_csv(target, index=False)
    else:
        frame = pd.read_parquet(path)
        frame[keep(frame["text"].tolist())].to_parquet(target)
    return {"rows": len(frame)}


JOBS: dict[str, Any] = {function.__name__: function for function in (prepare, job, straight)}


def peak_mb() -> float:
    """Return the peak memory of this process; getrusage would count its parent's."""
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) / 1024


def start(*arguments: Any) -> subprocess.Popen[str]:
    """Start a function of this file in a fresh process."""
    command = [sys.executable, __file__, "--job", json.dumps(arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def run(*arguments: Any) -> dict[str, Any]:
    """Run it to its end."""
    output, _ = (process := start(*arguments)).communicate()
    if process.returncode:
        raise SystemExit(f"{arguments} ended with {process.returncode}.")
    return json.loads(output)


def contents(path: Path) -> dict[str, bytes]:
    """Return the bytes of a file, or of all files of a folder."""
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    return {file.name if path.is_dir() else "": file.read_bytes() for file in files}


def interrupted(folder: Path, source: str, distinct: int) -> dict[str, Any]:
    """Kill a job when about half of the texts are computed, and run it again."""
    output = f"again-{source}"
    process = start("job", str(folder), source, output, None)
    log = Path(folder, f"{output}.partial", "scores.sqlite-wal")
    # A label and a probability take 12 bytes.
    while process.poll() is None and not (log.exists() and log.stat().st_size > 6 * distinct):
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    appeared = Path(folder, output).exists()
    result = run("job", str(folder), source, output, None)
    same = contents(Path(folder, output)) == contents(Path(folder, f"job-{source}"))
    return result | {"appeared": appeared, "same": same}


def show(name: str, result: dict[str, Any]) -> None:
    """Print a line of the table."""
    print(
        f"{name:<44} {result['s']:>8.1f} {result['rows'] / result['s']:>10,.0f} "
        f"{result['MB']:>8,.0f}",
        flush=True,
    )


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, help="folder of web_corpus and web_snippets")
    parser.add_argument("--rows", type=int, help="first rows only")
    parser.add_argument("--scratch", type=Path, help="folder for the files that are written")
    parser.add_argument("--job", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.job:
        begin = time.perf_counter()
        name, *values = json.loads(arguments.job)
        result = JOBS[name](*values)
        print(json.dumps(result | {"s": time.perf_counter() - begin, "MB": peak_mb()}))
        return
    with tempfile.TemporaryDirectory(dir=arguments.scratch) as scratch:
        folder = Path(scratch)
        found = run("prepare", str(arguments.data), scratch, arguments.rows)
        print(f"{found['rows']:,} rows, {found['distinct']:,} distinct; {os.cpu_count()} cores\n")
        print(f"{'job':<44} {'seconds':>8} {'rows/s':>10} {'peak MB':>8}")
        for source in KINDS:
            result = run("job", scratch, source, f"job-{source}", None)
            show(f"{source}: filter_corpus", result)
            plain = run("straight", scratch, source, f"straight-{source}")
            show(f"{source}: straight script", plain)
        store = str(folder / "scores.sqlite")
        for what in ("first run", "second run"):
            result = run("job", scratch, "corpus.parquet", f"{what}.parquet", store)
            show(f"corpus.parquet: with a store, {what}", result)
        same = contents(folder / "job-corpus") == contents(folder / "straight-corpus")
        print(f"\nText files equal those of the straight script: {same}")
        for source in KINDS:
            result = interrupted(folder, source, found["distinct"])
            print(
                f"{source}: killed, nothing under its name: {not result['appeared']}; run again "
                f"in {result['s']:.1f} s, {result['recovered']:,} texts not computed again; "
                f"byte for byte as uninterrupted: {result['same']}",
                flush=True,
            )


if __name__ == "__main__":
    main()
