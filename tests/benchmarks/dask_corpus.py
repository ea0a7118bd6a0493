"""What filtering on Dask costs: with and without shuffling, and a model of the costs.

    python tests/benchmarks/dask_corpus.py PATH/web_corpus.parquet
    python tests/benchmarks/dask_corpus.py PATH/web_corpus.parquet --rows 50e6 --way shuffled

The corpus is repeated with new singletons: a text of several rows occurs again in each repeat,
a text of one row is replaced by another. The classifier counts words, so that everything is
measured except scoring, which costs the same anywhere. CPU seconds are those of the workers; unlike
wall time they are reliable on a machine that does other work.

First it counts, without a cluster, the texts that so many workers compute; then come the runs; then
the cost of a row, a distinct text and an entry, solved from the runs with the fewest rows, and
what these costs predict for the others.
"""

import argparse
import re
import tempfile
import time
from pathlib import Path

import dask.dataframe as dd
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from distributed import Client, LocalCluster

from skbert_filter.inspection import WordCountRule
from skbert_filter.integrations.dask import filter_dataframe

# Files of about a million rows: a partition each.
_PARTS = 2


def growth(corpus: Path) -> pd.DataFrame:
    """Count the distinct texts that each worker sees when several share a corpus."""
    codes = pd.factorize(pd.read_parquet(corpus).text)[0]
    rows = {}
    for workers in (1, 2, 4, 8, 16, 32, 64, 128, 256):
        seen = [len(np.unique(part)) for part in np.array_split(codes, workers)]
        rows[workers] = {"texts computed": sum(seen), "times": sum(seen) / (codes.max() + 1)}
    table = pd.DataFrame(rows).T
    table["workers ** 0.3"] = table.index.to_numpy() ** 0.3
    return table.rename_axis("workers")


def write_repeats(corpus: Path, folder: Path, n_rows: int) -> dict[str, float]:
    """Write a corpus of some rows as files, and return its counts."""
    texts = pq.read_table(corpus).column("text").combine_chunks().dictionary_encode()
    codes, distinct = texts.indices.to_numpy(), texts.dictionary.to_pandas()
    once = np.bincount(codes) == 1
    n_repeats = max(round(n_rows / len(codes)), 1)
    entries = n_bytes = 0
    for repeat in range(n_repeats):
        own = distinct.where(~once, f"{repeat} " + distinct) if repeat else distinct
        dictionary = pa.array(own, pa.large_string())
        lengths = pa.compute.binary_length(dictionary).to_numpy()
        for i, part in enumerate(np.array_split(codes, _PARTS)):
            table = pa.table({"text": dictionary.take(pa.array(part))})
            pq.write_table(table, folder / f"{repeat:04}-{i}.parquet")
            seen = np.unique(part)
            entries += len(seen)
            n_bytes += int(lengths[seen].sum())
    return {
        "rows": n_repeats * len(codes),
        # a few of the new texts are among the old ones
        "distinct, about": len(distinct) + (n_repeats - 1) * int(once.sum()),
        "partitions": n_repeats * _PARTS,
        "entries": entries,
        # key, partition and origin with the text; key, partition, label and probability back
        "MB shuffled": (n_bytes + entries * (32 + 36)) / 1e6,
    }


class Counting(WordCountRule):
    """A rule that notes how many texts it was asked for."""

    folder: str

    def predict(self, X):
        with tempfile.NamedTemporaryFile(dir=self.folder, prefix="asked-", delete=False) as file:
            file.write(str(len(X)).encode())
        return super().predict(X)


def peak_megabytes() -> float:
    """Return the peak memory of this process."""
    return int(re.search(r"VmHWM:\s*(\d+)", Path("/proc/self/status").read_text())[1]) / 1024


def run(folder: Path, *, shuffle: bool, workers: int) -> dict[str, float]:
    """Filter a folder of files to another one on a cluster of one-thread workers."""
    model = Counting().fit(["View", "We build boats"], [0, 1])
    with (
        tempfile.TemporaryDirectory(dir=folder.parent) as scratch,
        LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            dashboard_address=":0",
            local_directory=scratch,
            memory_limit=0,
        ) as cluster,
        Client(cluster) as client,
    ):
        model.folder = scratch
        client.run(__import__, "skbert_filter.integrations.dask")
        cpu = sum(client.run(time.process_time).values())
        start = time.perf_counter()
        filtered = filter_dataframe(dd.read_parquet(folder), model, shuffle=shuffle)
        filtered.to_parquet(str(Path(scratch, "kept")))
        seconds = time.perf_counter() - start
        asked = sum(int(path.read_text()) for path in Path(scratch).glob("asked-*"))
        return {
            "way": "shuffled" if shuffle else "remembered",
            "texts computed": asked,
            "seconds": seconds,
            "CPU s": sum(client.run(time.process_time).values()) - cpu,
            "peak MB": max(client.run(peak_megabytes).values()),
        }


def predicted(table: pd.DataFrame) -> pd.Series:
    """Scale the CPU seconds of each way at the fewest rows to the others.

    Remembering costs by the row; shuffling costs so much more by the entry.
    """
    least = table[table["rows"] == table["rows"].min()].set_index("way")
    remembered = least.loc["remembered"]
    seconds = table["rows"] * remembered["CPU s"] / remembered["rows"]
    if "shuffled" in least.index:
        shuffled = least.loc["shuffled"]
        by_entry = (shuffled["CPU s"] - remembered["CPU s"]) / shuffled["entries"]
        seconds += (table.way == "shuffled") * table["entries"] * by_entry
    return seconds


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--rows", type=float, nargs="+", default=[2e6, 10e6, 50e6])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument(
        "--way", choices=["remembered", "shuffled"], nargs="+", default=["remembered", "shuffled"]
    )
    parser.add_argument("--scratch", type=Path, help="Folder for the repeated corpus.")
    arguments = parser.parse_args()
    print(growth(arguments.corpus).round(2).to_string(), flush=True)
    runs = []
    for n_rows in arguments.rows:
        with tempfile.TemporaryDirectory(dir=arguments.scratch) as scratch:
            folder = Path(scratch, "corpus")
            folder.mkdir()
            size = write_repeats(arguments.corpus, folder, int(n_rows))
            for way in arguments.way:
                runs.append(
                    size | run(folder, shuffle=way == "shuffled", workers=arguments.workers)
                )
                print(runs[-1], flush=True)
    table = pd.DataFrame(runs)
    if "remembered" in arguments.way:
        table["CPU s predicted"] = predicted(table)
    print(table.round(1).to_string(index=False))


if __name__ == "__main__":
    main()
