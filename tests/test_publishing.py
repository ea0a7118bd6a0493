"""An output has its final name when its bytes are on the disk, and not before."""

import os

import pytest

from skbert_filter import filter_corpus
from skbert_filter.inspection.baselines import WordCountRule

PROSE = "We repair pumps for ships\n"


@pytest.mark.skipif(os.name != "posix", reason="has no sync, and opens no folder")
@pytest.mark.parametrize("of_folder", [False, True])
def test_bytes_are_on_the_disk_before_the_name_and_the_name_before_the_end(
    tmp_path, monkeypatch, of_folder
):
    source, destination = tmp_path / "in.txt", tmp_path / "out.txt"
    if of_folder:
        source, destination = tmp_path / "in", tmp_path / "out"
        source.mkdir()
    (source / "a.txt" if of_folder else source).write_text(PROSE)
    partial = tmp_path / f"{destination.name}.partial"
    synced = []

    def written():
        paths = [path for path in (partial / "output", destination) if path.exists()]
        return [(path, (path / "a.txt" if of_folder else path).read_text()) for path in paths]

    def sync():
        synced.append(("everything", written()))
        os_sync()

    def fsync(descriptor):
        here = os.fstat(descriptor).st_ino
        folders = {tmp_path.stat().st_ino: "parent"}
        synced.append((folders.get(here, "file"), written()))
        os_fsync(descriptor)

    os_sync, os_fsync = os.sync, os.fsync
    monkeypatch.setattr(os, "sync", sync)
    monkeypatch.setattr(os, "fsync", fsync)
    rule = WordCountRule().fit(["View All", "We make tools"], [0, 1])
    filter_corpus(rule, source, destination)
    assert synced == [
        ("everything" if of_folder else "file", [(partial / "output", PROSE)]),
        ("parent", [(destination, PROSE)]),
    ]
