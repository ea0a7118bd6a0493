"""A saved model is replaced only by its like, and only on request; none is lost to a full disk."""

import os
import re
import subprocess
import sys

import pytest

from skbert_filter import SmallBertPretrainer, SmallBertTextFilter
from skbert_filter.saved_folders import check_saved_folder, save_over


def test_a_model_of_the_other_kind_is_never_replaced(binary, tmp_path):
    sizes = {"hidden_size": 8, "intermediate_size": 16, "num_hidden_layers": 1, "vocab_size": 50}
    encoder = SmallBertPretrainer(**sizes, max_steps=1).fit(["We build pumps", "View All"])
    for kind, model in {"filter": binary, "encoder": encoder}.items():
        folder = tmp_path / kind
        model.save_pretrained(folder)
        check_saved_folder(folder, kind, overwrite=True)
        with pytest.raises(FileExistsError, match=rf"holds a saved {kind}.*overwrite=True"):
            check_saved_folder(folder, kind, overwrite=False)
        other = {"filter": "encoder", "encoder": "filter"}[kind]
        with pytest.raises(FileExistsError, match=f"files other than a saved {other}"):
            check_saved_folder(folder, other, overwrite=True)


def test_what_else_is_in_the_folder_is_not_lost(saved):
    check_saved_folder(saved, "filter", overwrite=True)
    (saved / "labels.csv").write_text("text,label\n")
    with pytest.raises(FileExistsError, match=r"holds labels\.csv, which is not part of the saved"):
        check_saved_folder(saved, "filter", overwrite=True)


def test_a_model_that_was_saved_meanwhile_is_not_replaced(binary, brief, tmp_path):
    def save_slowly(folder):
        binary.save_pretrained(tmp_path / "model")
        brief.save_pretrained(folder)

    with pytest.raises(FileExistsError, match=r"holds a saved filter.*overwrite=True"):
        save_over(save_slowly, tmp_path / "model", "filter", overwrite=False)
    found = SmallBertTextFilter.from_pretrained(tmp_path / "model")
    assert found.fingerprint_ == binary.fingerprint_
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


# A disk of 64 kB, which only this process and its children see.
SMALL_DISK = ["unshare", "--map-root-user", "--mount", "sh", "-c"]
MOUNT = "mkdir disk && mount -t tmpfs -o size=64k tmpfs disk && "

try:
    MAY = not subprocess.run([*SMALL_DISK, "mount -t tmpfs tmpfs /mnt"]).returncode
except FileNotFoundError:
    MAY = False
on_a_small_disk = pytest.mark.skipif(not MAY, reason="this system does not let us mount a disk")

SAVE = """
import sys
from pathlib import Path
from skbert_filter import SmallBertTextFilter
from skbert_filter.saved_folders import save_over

model = SmallBertTextFilter.from_pretrained(sys.argv[1])
save_over(model.save_pretrained, Path("disk/model"), "filter", overwrite=False)
"""


def run_on_a_small_disk(folder, *command):
    (folder / "temporary").mkdir()
    return subprocess.run(
        [*SMALL_DISK, f'{MOUNT} exec "$@"', "sh", sys.executable, *command],
        cwd=folder,
        env=os.environ | {"TMPDIR": str(folder / "temporary")},
        capture_output=True,
        text=True,
    )


@on_a_small_disk
def test_a_filter_that_does_not_fit_on_the_disk_is_saved_elsewhere(saved, tmp_path):
    done = run_on_a_small_disk(tmp_path, "-c", SAVE, saved)
    (elsewhere,) = (tmp_path / "temporary").glob("*/model")
    assert done.stderr.splitlines()[-2:] == [
        f"skbert_filter.io.atomic.NoRoomError: [Errno 28] There is no room to write {tmp_path}/disk"
        "/model (No space left on device). Free some, or name a place on another disk.",
        f"The filter is saved in {elsewhere} instead: move it where you want it.",
    ]
    load = SmallBertTextFilter.from_pretrained
    assert load(elsewhere).fingerprint_ == load(saved).fingerprint_
    assert not any((tmp_path / "disk").iterdir())


@pytest.mark.slow
@on_a_small_disk
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("-o disk/encoder", r"disk/encoder \(No.*The encoder is saved in \S+/encoder instead"),
        ("-o encoder --checkpoint-dir disk/kept", r"disk/kept/pretraining.safetensors \(No"),
    ],
)
def test_pretraining_tells_of_a_full_disk_in_a_line(tmp_path, options, message):
    (tmp_path / "corpus.txt").write_text("".join(f"We make {what}.\n" for what in "abcdefgh"))
    arguments = f"corpus.txt --hidden-size 32 --epochs 3 {options}".split()
    code = "from skbert_filter.cli.app import app; app()"
    done = run_on_a_small_disk(tmp_path, "-c", code, "pretrain", *arguments)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert re.search(f"no room to write \\S+{message}", done.stderr)
