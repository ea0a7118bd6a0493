"""Stores: results come back as they were, or not at all."""

import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from skbert_filter.duplicates import stores
from skbert_filter.duplicates.stores import Store

KEYS = [i.to_bytes(16, "big") for i in range(1000)]
VALUES = [f"value {i}".encode() for i in range(1000)]


@pytest.fixture(params=["memory", "file"])
def store(request, tmp_path):
    with closing(Store(None if request.param == "memory" else tmp_path / "s.sqlite")) as opened:
        yield opened


@pytest.fixture
def file(tmp_path):
    """Return the path of a store with 1,000 results."""
    path = tmp_path / "s.sqlite"
    with closing(Store(path)) as opened:
        opened.put("model", "text", KEYS, VALUES)
    return path


def values(opened, keys=KEYS, space="model"):
    found = {k: v for values in opened.get(space, keys).values() for k, v in values.items()}
    return [found.get(key) for key in keys]


@contextmanager
def as_ordinary_user():
    """Give up the rights of root, to whom nothing is read-only."""
    is_root = os.geteuid() == 0
    if is_root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if is_root:
            os.seteuid(0)


@pytest.fixture
def read_only_copy(file):
    """Return a copy of the store, in a folder in which nothing can be written."""
    folder = Path(tempfile.mkdtemp())
    copied = Path(shutil.copy(file, folder))
    copied.chmod(0o444)
    folder.chmod(0o555)
    yield copied
    folder.chmod(0o755)
    shutil.rmtree(folder)


def test_results_come_back_by_space_and_key(store):
    store.put("model", "text", KEYS[:3], VALUES[:3])
    store.put("other", "number", KEYS[:1], [b"other"])
    assert store.get("model", [KEYS[2], KEYS[5], KEYS[0]]) == {
        "text": {KEYS[0]: VALUES[0], KEYS[2]: VALUES[2]}
    }
    assert store.get("other", KEYS[:2]) == {"number": {KEYS[0]: b"other"}}
    assert store.get("third", KEYS[:2]) == {}


def test_a_space_may_hold_several_layouts(store):
    store.put("model", "<U4", KEYS[:1], VALUES[:1])
    store.put("model", "<U7", KEYS[1:2], VALUES[1:2])
    assert store.get("model", KEYS[:3]) == {
        "<U4": {KEYS[0]: VALUES[0]},
        "<U7": {KEYS[1]: VALUES[1]},
    }


def test_what_is_there_stays(store):
    store.put("model", "text", KEYS[:1], [b"first"])
    store.put("model", "text", KEYS[:2], [b"second", b"second"])
    assert values(store, KEYS[:2]) == [b"first", b"second"]


def test_a_closed_store_is_one_file_with_all_results(file):
    assert [path.name for path in file.parent.iterdir()] == [file.name]
    moved = file.rename(file.with_name("moved.sqlite"))
    with closing(Store(moved)) as opened:
        assert values(opened) == VALUES


def test_a_file_of_a_killed_process_becomes_one_file_too(file):
    code = f"""
import os, signal
from pathlib import Path
from skbert_filter.duplicates.stores import Store
store = Store(Path({str(file)!r}))
store.begin_writing()
store.put("killed", "text", [b"key"], [b"value"])
os.kill(os.getpid(), signal.SIGKILL)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -9
    assert {path.suffix for path in file.parent.iterdir()} == {
        ".sqlite",
        ".sqlite-wal",
        ".sqlite-shm",
    }
    with closing(Store(file)) as opened:
        assert values(opened, [b"key"], "killed") == [b"value"]
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_a_read_only_copy_can_be_read_and_refuses_to_be_written(read_only_copy):
    with as_ordinary_user(), closing(Store(read_only_copy)) as opened:
        assert values(opened) == VALUES
        with pytest.raises(PermissionError, match=r"s\.sqlite cannot be opened or written .*copy"):
            opened.begin_writing()
        with pytest.raises(PermissionError, match="Allow writing"):
            opened.put("model", "text", [b"new"], [b"new"])
    with as_ordinary_user(), closing(Store(read_only_copy)) as opened:
        assert values(opened) == VALUES


def test_a_store_that_cannot_be_created(read_only_copy):
    with as_ordinary_user(), pytest.raises(PermissionError, match=r"new.sqlite cannot be opened"):
        Store(read_only_copy.with_name("new.sqlite"))


def test_a_path_that_is_no_place_for_a_file(tmp_path):
    with pytest.raises(IsADirectoryError, match=r"is a folder. Name a file in it, e.g. .*sqlite"):
        Store(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"folder .*missing of the store s does not exist"):
        Store(tmp_path / "missing" / "s")


def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path):
    path = tmp_path / "labels.csv"
    path.write_text("text,label\nView All,0\n" * 100)
    before = path.read_bytes()
    with pytest.raises(ValueError, match=r"labels.csv is damaged, or not a store .*not a database"):
        Store(path)
    assert path.read_bytes() == before


def test_a_database_of_another_program_is_refused_and_left_alone(tmp_path):
    path = tmp_path / "other.sqlite"
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE results (space, key)")
        database.commit()
    before = path.read_bytes()
    with pytest.raises(ValueError, match=r"other.sqlite is a database of another program"):
        Store(path)
    assert path.read_bytes() == before


def test_another_format_is_refused(file):
    with closing(sqlite3.connect(file)) as database:
        database.execute("PRAGMA user_version = 7")
    with pytest.raises(ValueError, match=r"has the format 7, and this version .* reads 1"):
        Store(file)


def test_a_damaged_file_gives_an_error_never_a_wrong_result(file, tmp_path):
    whole = bytearray(file.read_bytes())
    right = dict(zip(KEYS, VALUES, strict=True))
    rng = np.random.default_rng(0)
    damaged = tmp_path / "damaged.sqlite"
    refused = wrong = 0
    for place in rng.integers(len(whole), size=400):
        copy = whole.copy()
        copy[place : place + 20] = rng.bytes(20)
        damaged.write_bytes(copy[: len(whole)])
        try:
            with closing(Store(damaged)) as opened:
                found = values(opened)
        except ValueError as error:
            refused += "is damaged" in str(error) or "another program" in str(error)
        else:
            wrong += any(v not in (None, right[k]) for k, v in zip(KEYS, found, strict=True))
    assert not wrong
    assert refused > 100


def test_a_file_cut_off_is_refused(file):
    with file.open("r+b") as whole:
        whole.truncate(file.stat().st_size // 2)
    with pytest.raises(ValueError, match="is damaged"), closing(Store(file)) as opened:
        values(opened)


def test_a_locked_file_is_waited_for_then_refused(file, monkeypatch):
    monkeypatch.setattr(stores, "_TIMEOUT_SECONDS", 0.1)
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(TimeoutError, match=r"locked by another process for 0 seconds. Wait"):
            Store(file)
    with closing(Store(file)) as opened:
        assert values(opened) == VALUES


def test_a_full_disk_loses_nothing_that_was_there(file):
    with closing(Store(file)) as opened:
        opened._db.execute("PRAGMA max_page_count = 12")
        with pytest.raises(OSError, match=r"cannot grow, the disk is full.*finished chunks"):
            opened.put("model", "text", [b"new", *KEYS], [bytes(200_000), *VALUES])
    with closing(Store(file)) as opened:
        assert values(opened, [b"new", *KEYS]) == [None, *VALUES]


def test_a_limit_of_the_size_of_files_gives_a_clear_error(file):
    code = f"""
import resource, signal
from pathlib import Path
from skbert_filter.duplicates.stores import Store
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
store = Store(Path({str(file)!r}))
store.begin_writing()
try:
    store.put("model", "text", [b"new"], [bytes(1_000_000)])
except OSError as error:
    print(error)
"""
    run = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert "s.sqlite cannot" in run.stdout
    assert "disk" in run.stdout
    with closing(Store(file)) as opened:
        assert values(opened, [b"new", *KEYS]) == [None, *VALUES]


def test_the_oldest_results_make_room(store):
    for start in range(0, 40, 10):
        chunk = slice(start, start + 10)
        store.put("model", "text", KEYS[chunk], VALUES[chunk], items_limit=25)
        assert store.size().results <= 25
    assert values(store, KEYS[20:40]) == VALUES[20:40]
    assert values(store, KEYS[:10]) == [None] * 10


def test_pruning_by_age(store, monkeypatch):
    now = stores.time.time()
    for days, chunk in ((3, slice(0, 5)), (1, slice(5, 10))):
        monkeypatch.setattr(stores.time, "time", lambda days=days: now - 86_400 * days)
        store.put("model", "text", KEYS[chunk], VALUES[chunk])
    monkeypatch.setattr(stores.time, "time", lambda: now)
    store.prune(age_limit=timedelta(days=2))
    assert values(store, KEYS[:10]) == [None] * 5 + VALUES[5:10]


def test_pruning_by_size_gives_the_room_back(store):
    store.put("old", "text", KEYS, [bytes(1000)] * 1000)
    store.put("new", "text", KEYS[:100], [bytes(1000)] * 100)
    assert 1_100_000 < store.size().bytes < 1_500_000
    store.prune(bytes_limit=400_000)
    assert store.size().bytes <= 400_000
    assert values(store, KEYS[:100], "new") == [bytes(1000)] * 100
    assert store.size().results > 150


def test_clearing_empties_the_file(file):
    before = file.stat().st_size
    with closing(Store(file)) as opened:
        opened.clear()
        assert opened.size().results == 0
        assert values(opened) == [None] * 1000
    assert file.stat().st_size < before


def alone(path, tmp_path):
    """Return what the file holds by itself, without the log beside it."""
    copied = shutil.copy(path, tmp_path / "copy.sqlite")
    with closing(Store(copied)) as opened:
        return values(opened)


def test_a_file_is_whole_after_a_run_even_while_another_process_is_at_work(file, tmp_path):
    with closing(Store(file)) as other:
        opened = Store(file)
        opened.clear()
        other.begin_writing()
        other.put("other", "text", [b"other"], [b"other"])
        opened.put("model", "text", KEYS, VALUES)
        opened.close()
        assert alone(file, tmp_path) == VALUES


def test_of_two_that_close_at_once_one_leaves_no_log(file, monkeypatch):
    opened = Store(file)
    opened.begin_writing()
    opened.put("model", "text", [b"new"], [b"new"])
    other = Store(file)
    other.get("model", KEYS[:1])
    fold_in_log = opened._fold_in_log

    def meanwhile_the_other_gives_up():
        done = fold_in_log()
        other._db.close()
        return done

    monkeypatch.setattr(opened, "_fold_in_log", meanwhile_the_other_gives_up)
    opened.close()
    assert [path.name for path in file.parent.iterdir()] == [file.name]
    # In SQLite's format, these bytes are 2 where a file wants a log.
    assert file.read_bytes()[18:20] == b"\1\1"


def test_a_path_that_would_forget_is_refused():
    with pytest.raises(ValueError, match=r"would be lost after each call. Use 'memory'"):
        Store(Path(":memory:"))


def test_threads_share_a_store(store):
    def work(offset):
        for i in range(0, 200, 20):
            keys = KEYS[offset + i : offset + i + 40]
            store.put("model", "text", keys, VALUES[offset + i : offset + i + 40])
            store.get("model", KEYS)

    threads = [threading.Thread(target=work, args=(100 * i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert values(store, KEYS[:520]) == VALUES[:520]


def test_processes_write_to_one_file_at_once(file):
    code = f"""
import sys
from contextlib import closing
from pathlib import Path
from skbert_filter.duplicates.stores import Store
first = int(sys.argv[1])
for i in range(first, first + 1500, 100):
    with closing(Store(Path({str(file)!r}))) as store:
        store.begin_writing()
        keys = [j.to_bytes(16, "big") for j in range(i, i + 150)]
        store.put("model", "text", keys, [f"value {{j}}".encode() for j in range(i, i + 150)])
"""
    runs = [subprocess.Popen([sys.executable, "-c", code, str(first)]) for first in (0, 700, 1400)]
    assert [run.wait() for run in runs] == [0, 0, 0]
    with closing(Store(file)) as opened:
        assert values(opened, [j.to_bytes(16, "big") for j in range(2950)]) == [
            f"value {j}".encode() for j in range(2950)
        ]
    assert [path.name for path in file.parent.iterdir()] == [file.name]
