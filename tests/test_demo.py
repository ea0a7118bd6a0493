"""run_demo in its folder: files, and what it leaves alone."""

import pandas as pd
import pytest

from skbert_filter.labelling.demo import run_demo


def test_a_second_run_replaces_the_files_of_the_first(tmp_path):
    folder = tmp_path / "demo"
    first = run_demo(folder, n_rows=300, n_snippets=200, random_state=0)
    second = run_demo(folder, n_rows=200, n_snippets=200, random_state=1)

    assert (first.filtering.rows, second.filtering.rows) == (300, 200)
    assert len(pd.read_csv(folder / "corpus.csv")) == 200
    assert len(pd.read_csv(folder / "kept.csv")) == second.filtering.kept
    assert sorted(path.name for path in folder.iterdir()) == [
        "README.txt",
        "corpus.csv",
        "kept.csv",
        "labels.csv",
        "model",
    ]
    assert str(second.filtering) in str(second)
    assert set(second.to_frame().kind) == {"kept", "discarded", "near"}


def test_a_readme_that_has_no_room_is_not_half_written(tmp_path):
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
    try:
        with pytest.raises(OSError, match=r"no room to write .*README\.txt"):
            run_demo(tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    # Half a README would be taken for a file of the user.
    assert not list(tmp_path.iterdir())


def test_folders_with_other_files_are_left_alone(tmp_path):
    (tmp_path / "labels.csv").write_text("precious")
    with pytest.raises(FileExistsError, match="holds files that no demo wrote"):
        run_demo(tmp_path)
    with pytest.raises(FileExistsError, match=r"labels\.csv is a file"):
        run_demo(tmp_path / "labels.csv")
    assert [path.name for path in tmp_path.iterdir()] == ["labels.csv"]
