"""Snapshots of a pretraining run, from which it resumes after a kill; imports no engine.

A snapshot is one safetensors file, which cannot hold code. It atomically replaces the previous one.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from skbert_filter.io.atomic import atomic_write, remove_leftovers

_FILE = "pretraining.safetensors"


@dataclass(frozen=True, eq=False)
class Snapshot:
    """The state of a run: complete epochs, steps of the next one, seconds, and all variables."""

    epoch: int
    step: int
    seconds: float
    history: dict[str, list[float]]
    variables: dict[str, np.ndarray]


class Snapshots:
    """The folder that holds the snapshot of one run.

    ``identity`` maps names, as messages show them, to values that must be equal for the run to
    resume; those that begin with "sha256:" are not shown. ``seeds`` are used by a new run only.
    """

    # Steps between two snapshots: some ten seconds.
    every = 200

    def __init__(
        self, folder: str | os.PathLike, identity: Mapping[str, Any], seeds: dict[str, int]
    ):
        self._file = Path(folder, _FILE)
        self._name = f"checkpoint_dir={os.fspath(folder)!r}"
        self._identity = json.loads(json.dumps(identity, default=_plain))
        self.seeds = seeds
        self.last: Snapshot | None = None
        if self._file.exists():
            self._read()

    def _read(self) -> None:
        try:
            with safe_open(self._file, "numpy") as tensors:
                header = json.loads(tensors.metadata()["skbert_filter"])
                variables = {name: tensors.get_tensor(name) for name in tensors.keys()}  # noqa: SIM118
            identity = header.pop("identity")
            self.seeds = header.pop("seeds")
            self.last = Snapshot(**header, variables=variables)
        except (SafetensorError, KeyError, TypeError, ValueError) as error:
            raise ValueError(
                f"{_FILE} in {self._name} is damaged: {error}. Remove it to start again."
            ) from error

        if differences := _differences(identity, self._identity):
            raise ValueError(
                f"{self._name} holds an unfinished training with other texts or parameters: "
                f"{'; '.join(differences)}. Pass what it was started with, or another "
                "checkpoint_dir, or remove the folder to start again."
            )

    def write(self, snapshot: Snapshot) -> None:
        """Replace the snapshot; a kill leaves the previous one."""
        header = {
            "identity": self._identity,
            "seeds": self.seeds,
            **{name: getattr(snapshot, name) for name in ("epoch", "step", "seconds", "history")},
        }

        self._file.parent.mkdir(parents=True, exist_ok=True)
        remove_leftovers(self._file)
        try:
            with atomic_write(self._file, overwrite=True) as partial:
                partial.write_bytes(save(snapshot.variables, {"skbert_filter": json.dumps(header)}))
        except OSError as error:
            if self._file.exists():
                error.add_note("The same call resumes from the previous snapshot.")
            raise

    def remove(self) -> None:
        """Remove the files of a finished run, and the folder if nothing else is in it."""
        self._file.unlink(missing_ok=True)
        for file in self._file.parent.glob("teacher-*.npy"):
            file.unlink()
        remove_leftovers(self._file)
        if self._file.parent.is_dir() and not any(self._file.parent.iterdir()):
            self._file.parent.rmdir()


def _plain(value: Any) -> Any:
    """Return a path or NumPy scalar as a JSON value."""
    return os.fspath(value) if isinstance(value, os.PathLike) else value.item()


def _differences(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    differences = []
    for name in {**old, **new}:
        was, now = old.get(name), new.get(name)
        if was != now and str(now).startswith("sha256:"):
            differences.append(f"the {name} differ")
        elif was != now:
            differences.append(f"{name} was {was!r} and is {now!r}")
    return differences
