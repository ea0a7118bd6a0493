"""The tables of docs/speed.rst, made of what speed.py measured."""

import re
import statistics
from collections.abc import Callable, Iterator
from typing import Any

Rows = list[list[str]]

# On which cores each profile ran, and what does what its floors are made of.
PROFILES = {
    "predict": "one core",
    "corpus": "all cores",
    "fit": "all cores",
    "start": "one core",
}

# The published job, as it was reported: on a P100, one string at a time.
PUBLISHED_SECONDS = 13_620


class Results:
    """What was measured: of each line a dict of numbers for each round."""

    def __init__(self, rounds: dict[str, list[dict[str, Any]]]):
        self.rounds = rounds

    def __contains__(self, line: str) -> bool:
        return line in self.rounds

    def values(self, line: str, field: str) -> list[Any]:
        """Of all rounds."""
        return [measured[field] for measured in self.rounds[line]]

    def of(self, line: str, field: str) -> float:
        """Median over the rounds."""
        return statistics.median(self.values(line, field))

    def profile(self, path: str) -> list[tuple[str, float, float | None]]:
        """Parts of a path with their seconds and their floor, longest first."""
        line = f"profile of {path}"
        fields = self.rounds[line][0]
        parts = {f[2:]: self.of(line, f) for f in fields if f.startswith("s:")}
        cores = PROFILES.get(path, "one core")
        rates = {
            "bytes": 1e9 * self.of("machine", "GB/s"),
            "flop": 1e9 * self.of("machine", f"GFLOP/s, {cores}"),
            "floor": 1.0,
        }

        def floor(part: str) -> float | None:
            if path == "corpus" and part in ("read", "write"):
                rows = self.of(line, "rows" if part == "read" else "kept")
                return rows / self.of("machine", f"parquet {part} rows/s")
            kinds = [kind for kind in rates if f"{kind}:{part}" in fields]
            needs = [self.of(line, f"{kind}:{part}") / rates[kind] for kind in kinds]
            return sum(needs) if needs else None

        ordered = sorted(parts.items(), key=lambda item: -item[1])
        return [(part, seconds, floor(part)) for part, seconds in ordered]


def tables(results: Results) -> dict[str, Rows]:
    """All tables for which something was measured, the first row of each being its header."""
    makers: dict[str, Callable[[Results], Iterator[list[str]]]] = {
        "machine": _machine,
        "predict": _predict,
        "paths": _paths,
        "growth": _growth,
        "tokens": _tokens,
        "cores": _cores,
        **{f"profile_{path}": _profile(path) for path in PROFILES},
        "forward": _forward,
        "precision": _precision,
        "endurance": _endurance,
    }
    made = {name: list(make(results)) for name, make in makers.items()}
    return {name: rows for name, rows in made.items() if len(rows) > 1}


def rst(rows: Rows) -> str:
    """Return a simple table of reStructuredText."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    rule = "  ".join("=" * width for width in widths)

    def line(row: list[str]) -> str:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        return "  ".join(cells).rstrip()

    return "\n".join([rule, line(rows[0]), rule, *map(line, rows[1:]), rule]) + "\n"


def number(value: float) -> str:
    """Three significant digits, with commas at the thousands."""
    if abs(value) < 0.001:
        return "< 0.001"
    return f"{float(f'{value:.3g}'):,.3f}".rstrip("0").rstrip(".")


def _span(values: list[float]) -> str:
    return f"{number(min(values))} to {number(max(values))}"


def _machine(results: Results) -> Iterator[list[str]]:
    yield ["this machine", "rate"]
    fields = results.rounds["machine"][0]
    yield ["processor", fields["processor"]]
    yield ["rounds", str(len(results.rounds["fit"]))]
    for field in fields:
        if isinstance(fields[field], str):
            if field != "processor":
                yield [field.capitalize() if field == "python" else field, fields[field]]
        else:
            yield [_RATES[field], number(results.of("machine", field))]


_RATES = {
    "GFLOP/s, one core": "GFLOP/s, matrices of 1,024 by 1,024, one core",
    "GFLOP/s, of the model's shape": "GFLOP/s, 2,048 by 32 times 32 by 128, one core",
    "GFLOP/s, all cores": "GFLOP/s, matrices of 1,024 by 1,024, two cores",
    "GB/s": "GB/s, memory read and written, one core",
    "parquet read rows/s": "rows/s, corpus read by pyarrow alone",
    "parquet write rows/s": "rows/s, corpus written by pyarrow alone",
}


def _predict(results: Results) -> Iterator[list[str]]:
    yield ["distinct texts a second", "texts/s", "from, to", "filter is", "aim", "peak memory"]
    for line, name, aim in (
        ("predict", "the filter", "25,000 texts/s"),
        ("Hugging Face, one by one", "Hugging Face, one by one, padded to 100", "50 ×"),
        ("Hugging Face, batches of 8", "Hugging Face, batches of 8, padded to 100", "16 ×"),
        ("Hugging Face, batches of 64", "Hugging Face, batches of 64, padded to longest", "10 ×"),
        ("TF-IDF", "TF-IDF (words, characters) + LogisticRegression", "2.5 ×"),
        ("MiniLM", "MiniLM sentence transformer", "100 ×"),
    ):
        if line in results and "predict" in results:
            speed = results.of(line, "texts/s")
            ratio = results.of("predict", "texts/s") / speed
            has_peak = "MB" in results.rounds[line][0]
            yield [
                name,
                number(speed),
                _span(results.values(line, "texts/s")),
                "" if line == "predict" else f"{number(ratio)} ×",
                aim,
                f"{results.of(line, 'MB'):,.0f} MB" if has_peak else "",
            ]


def _paths(results: Results) -> Iterator[list[str]]:
    yield ["path", "seconds", "from, to", "beside", "seconds", "ratio", "aim"]
    for line, name, beside, of_peer, aim in (
        (
            "corpus",
            "the corpus job: read, predict, write",
            "as published, on a P100",
            PUBLISHED_SECONDS,
            "10 s, 1,000 ×",
        ),
        (
            "fit",
            "fit 4,000 snippets, fresh process",
            "Keras's layers, padded to 100",
            "fit, Keras's layers",
            "10 s, 5 ×",
        ),
        ("grid", "grid of 12 fits, n_jobs=2", "12 first fits", "grid, one fit times 12", ""),
        (
            "script",
            "script: unpickle, predict ten texts",
            "TensorFlow imported as well",
            "script with TensorFlow",
            "1.5 s",
        ),
        ("import", "import skbert_filter", "import sklearn", "import of scikit-learn", "0.77 ×"),
    ):
        if line not in results or (isinstance(of_peer, str) and of_peer not in results):
            continue
        if of_peer == PUBLISHED_SECONDS and results.of("prepare", "is_cut"):
            continue
        seconds = results.of(line, "s")
        peer = results.of(of_peer, "s") if isinstance(of_peer, str) else of_peer
        ratio = f"{number(peer / seconds)} ×"
        span = _span(results.values(line, "s"))
        yield [name, number(seconds), span, beside, number(peer), ratio, aim]


def growth(results: Results, *, new: bool) -> list[tuple[float, ...]]:
    """Rows, distinct texts, seconds and MB of the corpus job, by rows."""
    kind = r"corpus|\d+ rows" + (", new texts" if new else "")
    lines = [line for line in results.rounds if re.fullmatch(kind, line)]
    fields = ("rows", "distinct", "s", "MB")
    return sorted(tuple(results.of(line, field) for field in fields) for line in lines)


def _growth(results: Results) -> Iterator[list[str]]:
    yield ["rows", "distinct texts", "seconds", "peak memory", "repeated rows"]
    done = set()
    for new in (False, True):
        for row in growth(results, new=new):
            if row not in done:
                done.add(row)
                rows, distinct, seconds, peak = row
                kind = "with new texts" if new else "as they are"
                yield [
                    f"{rows:,.0f}",
                    f"{distinct:,.0f}",
                    number(seconds),
                    f"{peak:,.0f} MB",
                    kind if rows > results.of("prepare", "rows") else "",
                ]


def tokens(results: Results, cores: int) -> list[tuple[int, float, float]]:
    """Tokens of a text, texts a second, and as many as the matrix products alone would allow."""
    rate = 1e9 * results.of("machine", f"GFLOP/s, {'one core' if cores == 1 else 'all cores'}")
    lines = {int(line.split()[0]): line for line in results.rounds if f"tokens, {cores}" in line}
    return [
        (n, results.of(line, "texts/s"), rate / results.of(line, "flop"))
        for n, line in sorted(lines.items())
    ]


def _tokens(results: Results) -> Iterator[list[str]]:
    yield ["tokens a text", "texts/s, one core", "two cores", "matrix products alone, two cores"]
    for (n, one, _), (_, two, bound) in zip(tokens(results, 1), tokens(results, 2), strict=False):
        yield [str(n), number(one), number(two), number(bound)]


def _cores(results: Results) -> Iterator[list[str]]:
    yield ["path", "one core", "two cores", "ratio"]
    for line, name, field in (
        ("predict", "predict, texts/s", "texts/s"),
        ("corpus", "corpus job, seconds", "s"),
        ("fit", "fit in a fresh process, seconds", "s"),
        ("fit", "fit again in the process, seconds", "again"),
    ):
        if line in results and f"{line}, one core" in results:
            one, two = results.of(f"{line}, one core", field), results.of(line, field)
            ratio = two / one if field == "texts/s" else one / two
            yield [name, number(one), number(two), f"{number(ratio)} ×"]


def _profile(path: str) -> Callable[[Results], Iterator[list[str]]]:
    def make(results: Results) -> Iterator[list[str]]:
        yield ["part", "seconds", "share", "floor"]
        if f"profile of {path}" in results:
            parts = results.profile(path)
            total = sum(seconds for _, seconds, _ in parts)
            for part, seconds, floor in parts:
                share = f"{seconds / total:.0%}"
                yield [part, number(seconds), share, "" if floor is None else number(floor)]
            yield ["all", number(total), "", ""]

    return make


def _forward(results: Results) -> Iterator[list[str]]:
    yield ["operator", "share of the forward pass"]
    if "profile of forward" in results:
        parts = results.profile("forward")
        total = sum(seconds for _, seconds, _ in parts)
        for operator, seconds, _ in parts[:6]:
            yield [operator, f"{seconds / total:.0%}"]
        yield ["all others", f"{sum(part[1] for part in parts[6:]) / total:.0%}"]


def _precision(results: Results) -> Iterator[list[str]]:
    yield ["one core", "texts/s", "largest change of a probability"]
    if "precision" in results:
        for name, field in (
            ("float32, ONNX Runtime", "float32"),
            ("8-bit integers, ONNX Runtime", "int8"),
            ("mixed_bfloat16, TensorFlow", "bfloat16"),
        ):
            change = (
                ""
                if field == "float32"
                else f"{results.of('precision', f'{field} difference'):.4f}"
            )
            yield [name, number(results.of("precision", field)), change]


def _endurance(results: Results) -> Iterator[list[str]]:
    yield ["one process", "memory after 1", "after 20", "after 100", "threads after 1", "after 100"]
    if "endurance" in results:
        for what in ("predictions", "fits"):
            memory = [results.of("endurance", f"MB, {i} {what}") for i in (1, 20, 100)]
            threads = [results.of("endurance", f"threads, {i} {what}") for i in (1, 100)]
            yield [what, *(f"{mb:,.0f} MB" for mb in memory), *(f"{n:.0f}" for n in threads)]
