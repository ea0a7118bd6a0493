"""The one place where Keras and its backend are first imported."""

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
    """Import Keras, and its backend without TensorFlow's greeting.

    TensorFlow writes several lines to the standard error on import, some of them before its
    log level can act. They are kept back unless the user set ``TF_CPP_MIN_LOG_LEVEL``; errors are
    passed on, save the one that says that there is no GPU.
    """
    # TensorFlow's pooling allocator: without it, each large tensor of a step is fresh memory of the
    # operating system, and clearing its pages takes half of the time of a fit. Read when
    # TensorFlow starts; results are the same.
    os.environ.setdefault("TF_CPU_ALLOCATOR_USE_BFC", "true")
    if "keras" not in sys.modules and "TF_CPP_MIN_LOG_LEVEL" not in os.environ:
        os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"
        try:
            with _stderr_kept_back():
                import keras

                if keras.backend.backend() == "tensorflow":
                    import tensorflow as tf

                    # Looks for a GPU now, where it may complain unheard; starts no thread pool.
                    tf.config.list_physical_devices("GPU")
                    if granted_threads() < joblib.cpu_count():
                        # A program that has started TensorFlow has chosen for itself.
                        with suppress(RuntimeError):
                            tf.config.threading.set_intra_op_parallelism_threads(granted_threads())
                            tf.config.threading.set_inter_op_parallelism_threads(granted_threads())
        finally:
            # Child processes would take it for the user's choice.
            del os.environ["TF_CPP_MIN_LOG_LEVEL"]
    import keras

    return keras


_computed_in: int | None = None
_floatx_found: list[str] = []
_lock = threading.Lock()


def check_not_forked() -> None:
    """Refuse a child of a process in which Keras has computed: it would wait for ever."""
    if _computed_in not in (None, os.getpid()):
        raise RuntimeError(
            "This process was forked from one in which Keras has computed, whose threads it lacks: "
            "a fit would hang. Start processes by multiprocessing.get_context('spawn'), or by "
            "joblib's own backend, 'loky'."
        )


@contextmanager
def computing() -> Iterator[None]:
    """Let Keras compute in 32 bits, whatever number format the program has set for itself.

    TensorFlow's advice on how often it traces is for those who write a model, not for its users.
    """
    global _computed_in
    check_not_forked()
    _computed_in = os.getpid()
    config = import_keras().config
    with _lock:
        _floatx_found.append(config.floatx())
        config.set_floatx("float32")
        logging.getLogger("tensorflow").addFilter(_no_advice)
    try:
        yield
    finally:
        with _lock:
            found = _floatx_found.pop()
            if not _floatx_found:  # no other thread computes
                config.set_floatx(found)
                logging.getLogger("tensorflow").removeFilter(_no_advice)


def _no_advice(record: logging.LogRecord) -> bool:
    return "tf.function retracing" not in record.getMessage()


def granted_threads() -> int:
    """Return how many threads a computation may use: in a worker of joblib, its share."""
    # joblib tells its workers in this variable
    granted = os.environ.get("OMP_NUM_THREADS", "")
    return max(1, int(granted)) if granted.isdecimal() else joblib.cpu_count()


def backend_name() -> str:
    """Return the backend of Keras: tensorflow, jax or torch."""
    return import_keras().backend.backend()


def gpu_is_available() -> bool:
    """Whether Keras's backend has a GPU; imports it only where the machine has one."""
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1")
    if hidden or not any(Path("/dev").glob("nvidia[0-9]*")):
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
    """Let TensorFlow trace a function for its first call only, and again use the trace.

    The layers of an encoder differ in their weights alone: with their trace and that of their
    gradient shared, a model is ready to train in half of the time. Other backends have no need.
    """
    if backend_name() != "tensorflow":
        return function
    import tensorflow as tf

    return tf.function(function, autograph=False, reduce_retracing=True)


@contextmanager
def _stderr_kept_back() -> Iterator[None]:
    # TensorFlow's C++ side writes to the file descriptor, not to sys.stderr.
    try:
        original = os.dup(2)
    except OSError:  # closed, as of a program without a console
        yield
        return
    told = sys.stderr or io.StringIO()
    told.flush()
    with tempfile.TemporaryFile() as kept:
        os.dup2(kept.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(original, 2)
            os.close(original)
            kept.seek(0)
            for line in kept.read().decode(errors="replace").splitlines():
                if not line.startswith(("I0000", "W0000", "WARNING: All log")) and (
                    "cuInit" not in line
                ):
                    told.write(f"{line}\n")
