"""Keras and its backend: the only place that imports them for the first time."""

import io
import logging
import os
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import version
from pathlib import Path
from types import ModuleType

import joblib


def import_keras() -> ModuleType:
    """Import Keras and its backend, without the messages that TensorFlow prints on import.

    Some of them precede its log level. They are suppressed unless ``TF_CPP_MIN_LOG_LEVEL`` is set;
    errors still appear, except the one that reports that there is no GPU.
    """
    # TensorFlow's pooling allocator. Without it, the operating system allocates and clears memory
    # for each large tensor of a step, which is half of the time of a fit. Read when TensorFlow
    # starts; results are the same.
    os.environ.setdefault("TF_CPU_ALLOCATOR_USE_BFC", "true")
    if "keras" not in sys.modules and "TF_CPP_MIN_LOG_LEVEL" not in os.environ:
        os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"
        try:
            with _stderr_filtered():
                import keras

                if keras.backend.backend() == "tensorflow":
                    import tensorflow as tf

                    # Looks for a GPU while complaints are filtered; starts no thread pool.
                    tf.config.list_physical_devices("GPU")
                    if (n_threads := granted_threads()) < joblib.cpu_count():
                        # TensorFlow refuses once it has started: then the program has chosen.
                        with suppress(RuntimeError):
                            tf.config.threading.set_intra_op_parallelism_threads(n_threads)
                            tf.config.threading.set_inter_op_parallelism_threads(n_threads)
        finally:
            # Child processes would mistake it for the user's choice.
            del os.environ["TF_CPP_MIN_LOG_LEVEL"]
    import keras

    return keras


_computed_in: int | None = None
_previous_floatx: list[str] = []
_lock = threading.Lock()


def check_not_forked() -> None:
    """Raise in a fork of a process in which Keras has computed: it would hang."""
    if _computed_in not in (None, os.getpid()):
        raise RuntimeError(
            "This process was forked from one in which Keras has computed, whose threads it lacks: "
            "a fit would hang. Start processes with multiprocessing.get_context('spawn'), or with "
            "joblib's own backend, 'loky'."
        )


@contextmanager
def computing() -> Iterator[None]:
    """Let Keras compute in 32 bits, whatever ``floatx`` the program has set.

    TensorFlow's advice about retracing is hidden: it is for authors of models, not for users.
    """
    global _computed_in
    check_not_forked()
    _computed_in = os.getpid()
    config = import_keras().config
    with _lock:
        _previous_floatx.append(config.floatx())
        config.set_floatx("float32")
        logging.getLogger("tensorflow").addFilter(_is_not_retracing_advice)
    try:
        yield
    finally:
        with _lock:
            floatx = _previous_floatx.pop()
            if not _previous_floatx:  # no other thread computes
                config.set_floatx(floatx)
                logging.getLogger("tensorflow").removeFilter(_is_not_retracing_advice)


def _is_not_retracing_advice(record: logging.LogRecord) -> bool:
    return "tf.function retracing" not in record.getMessage()


def granted_threads() -> int:
    """Return how many threads a computation may use: in a joblib worker, its share."""
    # joblib sets this variable for its workers.
    granted = os.environ.get("OMP_NUM_THREADS", "")
    return max(1, int(granted)) if granted.isdecimal() else joblib.cpu_count()


def backend_name() -> str:
    """Return Keras's backend: tensorflow, jax or torch."""
    return import_keras().backend.backend()


def gpu_is_available() -> bool:
    """Whether Keras's backend can use a GPU; imports it only if the machine has one."""
    is_hidden = os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1")
    if is_hidden or not any(Path("/dev").glob("nvidia[0-9]*")):
        return False
    backend = backend_name()
    if backend == "tensorflow":
        import tensorflow as tf

        return bool(tf.config.list_physical_devices("GPU"))
    if backend == "jax":
        import jax

        return jax.default_backend() == "gpu"
    import torch

    return torch.cuda.is_available()


def versions() -> dict[str, str]:
    """Return the versions of the packages that a fit depends on."""
    names = ("skbert_filter", "scikit-learn", "keras", "tokenizers", "numpy")
    return {name: version(name) for name in names}


def traced_once(function: Callable) -> Callable:
    """Let TensorFlow trace a function once, and reuse the trace in later calls.

    The layers of an encoder differ only in their weights. Sharing their trace, and that of their
    gradient, halves the time until a model is ready to train. Other backends do not need it.
    """
    if backend_name() != "tensorflow":
        return function
    import tensorflow as tf

    return tf.function(function, autograph=False, reduce_retracing=True)


@contextmanager
def _stderr_filtered() -> Iterator[None]:
    # TensorFlow's C++ code writes to the file descriptor, not to sys.stderr.
    try:
        original = os.dup(2)
    except OSError:  # closed, as in a program without a console
        yield
        return

    stderr = sys.stderr or io.StringIO()
    stderr.flush()
    with tempfile.TemporaryFile() as captured:
        os.dup2(captured.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(original, 2)
            os.close(original)
            captured.seek(0)
            for line in captured.read().decode(errors="replace").splitlines():
                if not line.startswith(("I0000", "W0000", "WARNING: All log")) and (
                    "cuInit" not in line
                ):
                    stderr.write(f"{line}\n")
