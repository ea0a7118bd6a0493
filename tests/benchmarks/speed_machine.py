"""What this machine does, and how much the model asks of it: the floors of docs/speed.rst."""

import platform
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

from skbert_filter.bert.architecture import Architecture

# Processor flags of Linux for instructions on bfloat16 and on 8-bit integers.
LOW_PRECISION = ("amx_bf16", "avx512_bf16", "amx_int8", "avx512_vnni", "avx_vnni")


def operations(architecture: Architecture, n_tokens: Any) -> Any:
    """Multiplications and additions in the matrix products of a text, as prediction does them.

    Of the last layer only [CLS] is computed.
    """
    h, inner = architecture.hidden_size, architecture.intermediate_size
    n_layers, heads = architecture.num_hidden_layers, architecture.num_attention_heads
    token = 8 * h * h + 4 * h * inner + 4 * n_tokens * h
    last = 4 * h * h * heads + 4 * h * heads * n_tokens + 4 * h * inner
    return (n_layers - 1) * n_tokens * token + last + 2 * h * h + 2 * h * architecture.n_logits


def operations_padded(architecture: Architecture) -> int:
    """The same of a text as published: padded to the most tokens, every layer in full."""
    h, n = architecture.hidden_size, architecture.max_position_embeddings
    token = 8 * h * h + 4 * h * architecture.intermediate_size + 4 * n * h
    return architecture.num_hidden_layers * n * token + 2 * h * h


def peak_mb() -> float:
    """Highest memory of this process so far; getrusage would count the one it was forked from."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def memory_mb() -> float:
    """Memory of this process now."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


def seconds(function: Callable[[], Any], times: int = 5) -> float:
    """Shortest time of some calls, after one that warms up."""
    function()
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        function()
        taken.append(time.perf_counter() - start)
    return min(taken)


def machine(corpus: str, kept: str) -> dict[str, Any]:
    """Rates of this machine: matrix products, memory, Parquet."""
    import numpy as np
    import pyarrow.parquet as pq
    import threadpoolctl  # type: ignore[import-untyped]

    rng = np.random.default_rng(0)

    def products(rows: int, inner: int, columns: int, times: int) -> float:
        a = rng.random((rows, inner), np.float32)
        b = rng.random((inner, columns), np.float32)
        out = np.empty((rows, columns), np.float32)

        def repeat() -> None:
            for _ in range(times):
                np.matmul(a, b, out=out)

        return 2e-9 * times * rows * inner * columns / seconds(repeat)

    result: dict[str, Any] = {"processor": _processor(), "python": platform.python_version()}
    result |= {name: version(name) for name in ("numpy", "onnxruntime", "tensorflow", "pyarrow")}
    with threadpoolctl.threadpool_limits(1):
        result["GFLOP/s, one core"] = products(1024, 1024, 1024, 4)
        result["GFLOP/s, of the model's shape"] = products(2048, 32, 128, 100)
    result["GFLOP/s, all cores"] = products(1024, 1024, 1024, 4)
    source, target = np.ones(2**25), np.empty(2**25)
    # each byte is read and written
    result["GB/s"] = 2e-9 * source.nbytes / seconds(lambda: np.copyto(target, source))
    table = pq.read_table(corpus)
    result["parquet read rows/s"] = len(table) / seconds(lambda: pq.read_table(corpus), 3)
    result["parquet write rows/s"] = len(table) / seconds(lambda: pq.write_table(table, kept), 3)
    return result


def _processor() -> str:
    info = Path("/proc/cpuinfo").read_text()
    name = info.split("model name")[1].split("\n")[0].strip("\t: ")
    flags = info.split("flags")[1].split("\n")[0].split()
    known = [flag for flag in ("avx2", "avx512f", *LOW_PRECISION) if flag in flags]
    return f"{name} ({', '.join(known)})"
