"""The notebook docs/colab.ipynb, from top to bottom, on two machines that share a drive."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pandas as pd
import pytest
from comet_server import KEY, messages
from notebooks import printed, run_notebook

from skbert_filter import SmallBertTextFilter

NOTEBOOK = Path(__file__).parents[1] / "docs" / "colab.ipynb"


@pytest.fixture
def machine(tmp_path):
    """Return a function that makes a working directory with the drive in it."""
    (tmp_path / "drive").mkdir()

    def new(name):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "drive").symlink_to(tmp_path / "drive")
        return folder

    return new


def n_stored(store):
    with closing(sqlite3.connect(store)) as db:
        return db.execute("SELECT COUNT(*) FROM results").fetchone()[0]


@pytest.mark.slow
def test_the_notebook_resumes_on_another_machine(machine):
    first = machine("first")
    drive = first / "drive"
    # Nobody answers there: Comet's record goes to an archive.
    (drive / ".env").write_text(f"COMET_API_KEY={KEY}\nCOMET_URL_OVERRIDE=http://localhost:1/\n")

    executed = run_notebook(NOTEBOOK, first)

    assert KEY not in str(executed)
    [archive] = (first / ".cometml-runs").glob("*.zip")
    logged = {
        payload["metric"]["metricName"]
        for kind, payload in messages(archive)
        if kind == "metric_msg"
    }
    assert {"loss", "test_accuracy"} <= logged
    model = SmallBertTextFilter.from_pretrained(drive / "model")
    for source in (drive / "crawl").iterdir():
        rows, kept = pd.read_parquet(source), pd.read_parquet(drive / "kept" / source.name)
        assert kept["text"].tolist() == rows["text"][model.predict(rows["text"]) == 1].tolist()

    # The connection is lost before the last file was finished; the machine and its disk are gone.
    unfinished = sorted((drive / "kept").iterdir())[-1]
    content, n_results = unfinished.read_bytes(), n_stored(drive / "scores.sqlite")
    unfinished.unlink()
    second = machine("second")
    executed = run_notebook(NOTEBOOK, second)

    outputs = "".join(printed(cell) for cell in executed.cells if cell.cell_type == "code")
    assert "labelled rows" not in outputs
    assert outputs.count("distinct texts.") == 1
    assert unfinished.read_bytes() == content
    assert n_stored(drive / "scores.sqlite") == n_results
