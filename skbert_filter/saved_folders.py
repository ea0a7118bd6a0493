"""The folder that a command saves to: refused before any work, replaced only by its like."""

import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from tempfile import gettempdir, mkdtemp
from typing import Literal

from skbert_filter.io.atomic import check_can_create, written_aside

Kind = Literal["filter", "encoder"]
Save = Callable[[Path], None]


def check_saved_folder(folder: Path, kind: Kind, *, overwrite: bool) -> None:
    """Refuse a folder that holds anything but, with `overwrite`, a saved model of its kind.

    Raises
    ------
    FileExistsError
        If there is a file of that name, or the folder holds anything else.
    OSError
        If nothing can be written there.
    """
    if folder.is_file():
        raise FileExistsError(f"{folder} is a file. Name a folder for the {kind}.")
    check_can_create(folder)
    if not folder.is_dir() or not any(folder.iterdir()):
        return
    if _kind_of(folder) != kind:
        raise FileExistsError(
            f"The folder {folder} holds files other than a saved {kind}. Name another folder."
        )
    if (other := _foreign(folder)) is not None:
        raise FileExistsError(
            f"The folder {folder} holds {other}, which is not part of the saved {kind} and "
            "would be lost. Move it away, or name another folder."
        )
    if not overwrite:
        raise FileExistsError(
            f"The folder {folder} holds a saved {kind}. Name another folder, or pass "
            "overwrite=True (--overwrite)."
        )


def save_over(save: Save, folder: Path, kind: Kind, *, overwrite: bool) -> None:
    """Save a model, in the place of what the folder may hold.

    Where that fails, because the disk is full say, the model is saved elsewhere before the error
    is raised, which says where: a training is not to be lost.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with written_aside(folder, overwrite=overwrite) as made:
            save(made)
            # It may have been filled during the training.
            check_saved_folder(folder, kind, overwrite=overwrite)
    except OSError as error:
        elsewhere = _save_elsewhere(save, folder.name)
        error.add_note(
            f"The {kind} could not be saved anywhere else either."
            if elsewhere is None
            else f"The {kind} is saved in {elsewhere} instead: move it where you want it."
        )
        raise


def _save_elsewhere(save: Save, name: str) -> Path | None:
    # /dev/shm is memory, and may have room when all disks are full.
    for place in (gettempdir(), "/dev/shm", Path.home()):
        with suppress(OSError):
            folder = Path(mkdtemp(prefix="skbert_filter-", dir=place))
            try:
                save(folder / name)
            except OSError:
                shutil.rmtree(folder, ignore_errors=True)
                raise
            return folder / name
    return None


def _foreign(folder: Path) -> str | None:
    """Return the name of something in a saved folder that is not part of it."""
    from skbert_filter.bert.folder import METADATA, read_json

    metadata = read_json(folder / METADATA)
    members = metadata.get("members", ())
    for path in sorted(folder.iterdir()):
        if path.name in members and (path / METADATA).is_file():
            if (other := _foreign(path)) is not None:
                return f"{path.name}/{other}"
        elif path.name != METADATA and path.name not in metadata.get("sha256", ()):
            return path.name
    return None


def _kind_of(folder: Path) -> Kind | None:
    # The tokenizers library is not needed to look at an empty folder.
    from skbert_filter.bert.folder import METADATA, is_encoder_folder

    if not (folder / METADATA).is_file():
        return None
    return "encoder" if is_encoder_folder(folder) else "filter"
