"""Documents that are dropped whole: which, from which files, and what is refused."""

import numpy as np
import pandas as pd
import pytest

from skbert_filter import filter_corpus
from skbert_filter.inspection.baselines import WordCountRule

PROSE = "We repair pumps for ships"


class Counting(WordCountRule):
    """Keeps prose, and records the texts that it is asked about."""

    stop_at = None

    def predict(self, X):
        if self.stop_at in X:
            raise KeyboardInterrupt
        self.asked_ = [*getattr(self, "asked_", []), *X]
        return np.array([int(text.startswith("We")) for text in X])

    fingerprint_ = "v1"


@pytest.fixture
def model():
    return Counting().fit(["View All", PROSE], [0, 1])


@pytest.fixture
def folder(tmp_path):
    """Return a folder of files of which 0, 20, 50, 75 and 100 % of the characters are discarded."""
    source = tmp_path / "in"
    (source / "deep").mkdir(parents=True)
    pages = {
        "a.txt": ["We mend", "We build"],
        "b.txt": ["We build", "Me"],
        "deep/c.txt": ["We see", *["ab"] * 3],
        "deep/d.txt": ["We", "Cookie"],
        "deep/e.txt": ["Menu", "Cookie"],
    }
    for name, lines in pages.items():
        (source / name).write_text("".join(f"{line}\n" for line in lines))
    return source


def written(folder):
    return {path.relative_to(folder).as_posix(): path for path in folder.rglob("*.*")}


@pytest.mark.parametrize(
    ("share", "gone"),
    [(1, ""), (0.75, "e"), (0.74, "de"), (0.5, "de"), (0.1, "bcde"), (0, "bcde")],
)
def test_files_of_which_too_much_is_discarded_are_dropped(folder, tmp_path, model, share, gone):
    whole = filter_corpus(model, folder, tmp_path / "whole")
    summary = filter_corpus(model, folder, tmp_path / "out", drop_documents=share)

    before, after = written(tmp_path / "whole"), written(tmp_path / "out")
    assert before.keys() - after.keys() == {n for n in before if n.split("/")[-1][0] in gone}
    assert all(path.read_bytes() == before[name].read_bytes() for name, path in after.items())
    assert summary.rows == whole.rows == 12
    assert summary.kept == sum(len(path.read_text().splitlines()) for path in after.values())
    assert summary.kept + summary.discarded == 12

    table = summary.documents.set_index("discarded")
    documents = {"0 to 10 %": 1, "20 to 30 %": 1, "50 to 60 %": 1, "70 to 80 %": 1}
    assert table.documents[table.documents > 0].to_dict() == documents | {"90 to 100 %": 1}
    assert table.dropped.sum() == len(gone)
    assert f"{len(gone)} of 5 documents dropped whole, by the share" in str(summary)


def test_the_second_reading_shows_its_progress(folder, tmp_path, model, caplog, monkeypatch):
    monkeypatch.setattr("skbert_filter.corpus.rows._GROUP_ROWS", 2)
    caplog.set_level("INFO", logger="skbert_filter")
    readings = [], []

    def progress(share, rows, distinct):
        readings[len(caplog.messages)].append((share, rows, distinct))

    filter_corpus(model, folder, tmp_path / "out", drop_documents=0.5, progress=progress)

    # what is logged becomes the title of the bar
    assert caplog.messages == ["Dropping documents"]
    assert all(len(calls) > 1 and calls == sorted(calls) for calls in readings)
    # d.txt and e.txt, with two rows each, are not read again
    assert [calls[-1] for calls in readings] == [(1.0, 12, 8), (1.0, 8, 8)]


def test_a_folder_whose_files_are_all_dropped_is_empty(tmp_path, model):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.txt").write_text("Menu\n")
    filter_corpus(model, tmp_path / "in", tmp_path / "out", drop_documents=0.5)
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("kind", ["parquet", "csv", "jsonl"])
@pytest.mark.parametrize("page", [str, int])
def test_the_rows_of_a_document_may_be_anywhere(tmp_path, model, monkeypatch, kind, page):
    monkeypatch.setattr("skbert_filter.io.reading._BATCH_ROWS", 3)
    monkeypatch.setattr("skbert_filter.corpus.rows._GROUP_ROWS", 3)
    # page 1 loses half, page 2 all but 2 of 20 characters; two rows are on no page
    texts = ["We mend", "Menu " * 3, "Contact", "We", "Menu", "We see", "Men"]
    pages = [1, 2, 1, 2, None, None, 2]
    rows = pd.DataFrame({"text": texts, "page": pd.array(pages, "Int64")})
    if page is str:
        rows["page"] = rows["page"].map(lambda n: None if n is None or n is pd.NA else f"p{n}")
    source, output = tmp_path / f"in.{kind}", tmp_path / f"out.{kind}"
    if kind == "parquet":
        rows.to_parquet(source)
    elif kind == "csv":
        rows.to_csv(source, index=False)
    else:
        rows.to_json(source, orient="records", lines=True)

    audit = tmp_path / "audit.csv"
    options = {"drop_documents": 0.8, "document": "page", "audit": audit}
    summary = filter_corpus(model, source, output, **options)

    read = {"parquet": pd.read_parquet, "csv": pd.read_csv}
    kept = pd.read_json(output, lines=True) if kind == "jsonl" else read[kind](output)
    assert kept.text.tolist() == ["We mend", "We see"]
    assert (summary.kept, summary.rows) == (2, 7)
    assert summary.documents[["documents", "dropped"]].sum().tolist() == [2, 1]
    # each text is decided and counted once, though the rows are read twice
    assert model.asked_ == texts
    assert pd.read_csv(audit).rows.tolist() == [1] * 7


def test_a_document_may_be_a_number_next_to_a_deeply_nested_line(tmp_path, model):
    nested = "[" * 5000 + "]" * 5000
    menu = '{"text": "Menu", "page": 1}\n'
    prose = f'{{"text": "We see", "page": "p2", "x": {nested}}}\n'
    (tmp_path / "in.jsonl").write_text(menu + prose)
    options = {"drop_documents": 0.8, "document": "page"}
    filter_corpus(model, tmp_path / "in.jsonl", tmp_path / "out.jsonl", **options)
    assert (tmp_path / "out.jsonl").read_text() == prose


def test_an_interrupted_job_drops_the_same_documents(folder, tmp_path, model, monkeypatch):
    monkeypatch.setattr("skbert_filter.duplicates.distinct._CHUNK_TEXTS", 2)
    filter_corpus(model, folder, tmp_path / "whole", drop_documents=0.5)
    texts, model.asked_ = model.asked_, []

    stopped = Counting().fit(["View All", PROSE], [0, 1])
    stopped.stop_at = "Me"
    options = {"drop_documents": 0.5}
    with pytest.raises(KeyboardInterrupt):
        filter_corpus(stopped, folder, tmp_path / "out", **options)
    with pytest.raises(FileExistsError, match=r"its drop_documents was 0\.5, not 0\.6"):
        filter_corpus(model, folder, tmp_path / "out", drop_documents=0.6)
    summary = filter_corpus(model, folder, tmp_path / "out", **options)
    assert stopped.asked_ + model.asked_ == texts
    assert summary.recovered == len(stopped.asked_) == 2
    whole, out = (written(tmp_path / name) for name in ("whole", "out"))
    assert {name: path.read_bytes() for name, path in whole.items()} == {
        name: path.read_bytes() for name, path in out.items()
    }


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"document": "page"}, r"needs drop_documents= \(--drop-documents\)"),
        ({"drop_documents": 1.5}, "drop_documents == 1.5, must be <= 1"),
        ({"drop_documents": 0.8, "columns": ("a", "b")}, "Omit one of them"),
        ({"drop_documents": 0.8}, r"in\.csv is one file. Pass the column .*--document"),
        ({"drop_documents": 0.8, "document": "pag"}, "no column 'pag'. Did you mean 'page'"),
        ({"drop_documents": 0.8, "source": "-"}, "Standard input can be read only once"),
        ({"drop_documents": 0.8, "source": "in.txt"}, r"in\.txt is one file"),
        (
            {"drop_documents": 0.8, "source": "in.txt", "document": "page"},
            r"in\.txt holds lines, which have no column 'page'.*Omit document",
        ),
    ],
)
def test_sources_without_documents_are_refused_before_any_work(tmp_path, model, options, message):
    (tmp_path / "in.csv").write_text(f"text,page\n{PROSE},1\n")
    (tmp_path / "in.txt").write_text(f"{PROSE}\n")
    name = options.get("source", "in.csv")
    source, output = (name if name == "-" else tmp_path / name), f"out{name[2:] or '.txt'}"
    options = {key: value for key, value in options.items() if key != "source"}
    with pytest.raises(ValueError, match=message):
        filter_corpus(model, source, tmp_path / output, **options)
    assert not hasattr(model, "asked_")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.csv", "in.txt"]
