"""Snapshots of a pretraining, from which it resumes after a kill; imports no engine.

A snapshot is one safetensors file, which holds no code; it replaces the one before it in one step.
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
    """How far a training is: whole epochs, steps of the next one, seconds, and all variables."""

    epoch: int
    step: int
    seconds: float
    history: dict[str, list[float]]
    variables: dict[str, np.ndarray]


class Snapshots:
    """The folder that holds the snapshot of one training.

    ``identity`` is what has to be equal for the training to resume, by its names in messages;
    values that begin with "sha256:" are not shown there. ``seeds`` are those of a new training.
    """

    def __init__(
        self,
        folder: str | os.PathLike,
        identity: Mapping[str, Any],
        seeds: dict[str, int],
        every: int,
    ):
        self._folder, self._file = folder, Path(folder, _FILE)
        self._identity = json.loads(json.dumps(identity, default=_plain))
        self.seeds, self.every = seeds, every
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
                f"{_FILE} in checkpoint_dir={os.fspath(self._folder)!r} is damaged: {error}. "
                "Remove it to start again."
            ) from error

        if differences := _differences(identity, self._identity):
            raise ValueError(
                f"checkpoint_dir={os.fspath(self._folder)!r} holds an unfinished training of other "
                f"texts or parameters: {'; '.join(differences)}. Pass what it was started with, or "
                "another checkpoint_dir, or remove the folder to start again."
            )

    def write(self, snapshot: Snapshot) -> None:
        """Replace the snapshot; a kill leaves the one before it."""
        header = {
            "identity": self._identity,
            "seeds": self.seeds,
            **{name: getattr(snapshot, name) for name in ("epoch", "step", "seconds", "history")},
        }

        self._file.parent.mkdir(parents=True, exist_ok=True)
        remove_leftovers(self._file)
        try:
            with atomic_write(self._file, overwrite=True) as made:
                made.write_bytes(save(snapshot.variables, {"skbert_filter": json.dumps(header)}))
        except OSError as error:
            if self._file.exists():
                error.add_note("The same call resumes from the snapshot before.")
            raise

    def remove(self) -> None:
        """Remove what a training that is over has kept, and the folder if nothing is left."""
        self._file.unlink(missing_ok=True)
        for file in self._file.parent.glob("teacher-*.npy"):
            file.unlink()
        remove_leftovers(self._file)
        if self._file.parent.is_dir() and not any(self._file.parent.iterdir()):
            self._file.parent.rmdir()


def _plain(value: Any) -> Any:
    """Return what JSON can hold of a path or of a number of NumPy."""
    return os.fspath(value) if isinstance(value, os.PathLike) else value.item()


def _differences(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    found = []
    for name in {**old, **new}:
        was, now = old.get(name), new.get(name)
        if was != now and str(now).startswith("sha256:"):
            found.append(f"the {name} differ")
        elif was != now:
            found.append(f"{name} was {was!r} and is {now!r}")
    return found
