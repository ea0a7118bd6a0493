"""An output gets its name once it is complete and on the disk, and nothing else is lost."""

import os
import threading

import joblib
import pandas as pd
import pytest

from skbert_filter import filter_corpus
from skbert_filter.inspection.baselines import WordCountRule
from skbert_filter.io.atomic import atomic_write
from skbert_filter.labelling.files import list_suspects

PROSE = "We repair pumps for ships\n"


def write(path, content, of_folder):
    if of_folder:
        path.mkdir()
        path /= "a.txt"
    path.write_text(content)


def read(path):
    return (path / "a.txt" if path.is_dir() else path).read_text()


@pytest.mark.parametrize("of_folder", [False, True])
@pytest.mark.parametrize("overwrite", [False, True])
def test_a_target_created_meanwhile_is_replaced_only_on_request(tmp_path, of_folder, overwrite):
    target = tmp_path / "out"

    def run():
        with atomic_write(target, overwrite=overwrite) as made:
            write(made, "mine", of_folder)
            write(target, "another's", of_folder)

    if overwrite:
        run()
    else:
        with pytest.raises(FileExistsError, match=r"out exists: it was created while.*overwrite"):
            run()
    assert read(target) == ("mine" if overwrite else "another's")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("of_folder", [False, True])
def test_an_interrupted_write_leaves_nothing_behind(tmp_path, of_folder):
    write(tmp_path / "out", "old", of_folder)

    def run():
        with atomic_write(tmp_path / "out", overwrite=True) as made:
            write(made, "half", of_folder)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run()
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert read(tmp_path / "out") == "old"


@pytest.mark.parametrize("of_folder", [False, True])
def test_only_one_of_several_concurrent_writers_wins(tmp_path, of_folder):
    together, refused = threading.Barrier(8), []

    def run(number):
        try:
            with atomic_write(tmp_path / "out") as made:
                write(made, str(number), of_folder)
                together.wait()
        except FileExistsError:
            refused.append(str(number))

    threads = [threading.Thread(target=run, args=[number]) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted([read(tmp_path / "out"), *refused]) == [str(number) for number in range(8)]
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "real.csv").write_text("old")
    (tmp_path / "link.csv").symlink_to("real.csv")
    with atomic_write(tmp_path / "link.csv", overwrite=True) as made:
        made.write_text("new")
    assert (tmp_path / "link.csv").is_symlink()
    assert (tmp_path / "real.csv").read_text() == "new"


class SlowToLoad(WordCountRule):
    """Another job has written the same output when this is loaded."""

    def __init__(self, source=None, destination=None):
        self.source, self.destination = source, destination

    def __setstate__(self, state):
        super().__setstate__(state)
        rule = WordCountRule().fit(["View All", "We make tools"], [0, 1])
        filter_corpus(rule, self.source, self.destination)

    def predict(self, X):
        raise AssertionError("a rejected job must not call its model")


@pytest.mark.parametrize("of_folder", [False, True])
def test_an_output_that_appears_while_the_model_is_loaded_is_not_replaced(tmp_path, of_folder):
    source, destination = tmp_path / "in.txt", tmp_path / ("out" if of_folder else "out.txt")
    write(source, PROSE, of_folder)
    slow = SlowToLoad(source, destination).fit(["View All", "We make tools"], [0, 1])
    joblib.dump(slow, tmp_path / "slow.joblib")
    with pytest.raises(FileExistsError, match=r"out(\.txt)? (exists|holds files)"):
        filter_corpus(tmp_path / "slow.joblib", source, destination, trust=True)
    assert read(destination) == PROSE
    assert not destination.with_name(f"{destination.name}.partial").exists()


def test_a_list_that_appears_while_it_is_computed_is_not_replaced(tmp_path):
    class Meanwhile(WordCountRule):
        def fit(self, X, y):
            (tmp_path / "suspects.csv").write_text("corrected by hand")
            return super().fit(X, y)

    texts = [f"We build {what}" for what in "abcde"] + [f"View {what}" for what in "abcde"]
    labels = pd.DataFrame({"text": texts, "label": [1] * 5 + [0] * 5})
    labels.to_csv(tmp_path / "labels.csv", index=False)
    arguments = tmp_path / "labels.csv", tmp_path / "suspects.csv"
    with pytest.raises(FileExistsError, match=r"suspects\.csv exists"):
        list_suspects(*arguments, estimator=Meanwhile())
    assert (tmp_path / "suspects.csv").read_text() == "corrected by hand"


@pytest.mark.skipif(os.name != "posix", reason="needs os.sync and folders that can be opened")
@pytest.mark.parametrize("of_folder", [False, True])
def test_bytes_are_synced_before_the_rename_and_the_rename_before_the_end(
    tmp_path, monkeypatch, of_folder
):
    source, destination = tmp_path / "in.txt", tmp_path / "out.txt"
    if of_folder:
        source, destination = tmp_path / "in", tmp_path / "out"
    write(source, PROSE, of_folder)
    partial = tmp_path / f"{destination.name}.partial"
    synced = []

    def written():
        paths = [path for path in (partial / "output", destination) if path.exists()]
        return [(path, read(path)) for path in paths]

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
    # The manifest is on the disk before anything is written.
    assert [step for step in synced if step[1]] == [
        ("everything" if of_folder else "file", [(partial / "output", PROSE)]),
        ("parent", [(destination, PROSE)]),
    ]
