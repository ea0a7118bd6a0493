"""filter_corpus on real files: what it keeps, what it leaves alone, what it refuses."""

import datetime as dt
import subprocess
import sys
import tracemalloc
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import NotFittedError

from skbert_filter import filter_corpus
from skbert_filter.duplicates.distinct import DECISION, RECORD, TextMemory
from skbert_filter.inspection.baselines import WordCountRule

PROSE = "We repair pumps for ships"


class Counting(ClassifierMixin, BaseEstimator):
    """Keeps texts of three words or more, and remembers what it was asked."""

    def __init__(self, classes=(0, 1)):
        self.classes = classes

    def fit(self, X=None, y=None):
        self.classes_ = np.array(self.classes)
        self.asked_ = []
        return self

    def predict(self, X):
        self.asked_ += X
        return self.classes_[[int(len(text.split()) > 2) for text in X]]


@pytest.fixture
def model():
    return Counting().fit()


def write_rows(path, rows):
    table = pa.table({"text": rows})
    if path.suffix == ".parquet":
        pq.write_table(table, path)
    else:
        table.to_pandas().to_csv(path, index=False)


@pytest.mark.parametrize("source_name", ["in.csv", "in.csv.gz", "in.parquet"])
@pytest.mark.parametrize("destination_name", ["out.csv", "out.csv.gz", "out.parquet"])
def test_kept_rows_and_their_order_in_every_format(tmp_path, model, source_name, destination_name):
    rows = ["View All", PROSE, "", PROSE, "About", 'He said "no, never"\nand left']
    source, destination = tmp_path / source_name, tmp_path / destination_name
    write_rows(source, rows)

    summary = filter_corpus(model, source, destination)

    is_parquet = destination_name.endswith("parquet")
    kept = (pd.read_parquet if is_parquet else pd.read_csv)(destination)["text"].tolist()
    assert kept == [PROSE, PROSE, rows[-1]]
    assert (summary.rows, summary.distinct, summary.kept, summary.discarded) == (6, 5, 3, 3)
    assert (summary.source, summary.destination) == (str(source), str(destination))
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        [source_name, destination_name]
    )


def test_parquet_keeps_its_schema_and_the_values_of_all_columns(tmp_path, model):
    table = pa.table(
        {
            "id": pa.array([2**62, 2, 3], pa.int64()),
            "text": pa.array(["View", PROSE, PROSE + "."], pa.large_string()),
            "price": [Decimal("1.10"), None, Decimal("3.30")],
            "day": [dt.date(2020, 1, day) for day in (1, 2, 3)],
            "links": [["a"], [], None],
            "kind": pa.array(["x", "y", "x"]).dictionary_encode(),
        },
        metadata={"crawl": "7"},
    )
    pq.write_table(table, tmp_path / "in.parquet")
    filter_corpus(model, tmp_path / "in.parquet", tmp_path / "out.parquet")

    result = pq.read_table(tmp_path / "out.parquet")
    assert result.schema.equals(pq.read_table(tmp_path / "in.parquet").schema, check_metadata=True)
    assert result.to_pylist() == table.slice(1).to_pylist()


def test_other_columns_of_csv_are_not_interpreted(tmp_path, model):
    (tmp_path / "in.csv").write_text(f"id,text,note\n007,{PROSE},NA\n,{PROSE},1e400\n8,Menu,x\n")
    filter_corpus(model, tmp_path / "in.csv", tmp_path / "out.csv")
    kept = pd.read_csv(tmp_path / "out.csv", dtype=str, keep_default_na=False)
    assert kept.values.tolist() == [["007", PROSE, "NA"], ["", PROSE, "1e400"]]


@pytest.mark.parametrize(
    "kind", [pa.string(), pa.large_string(), pa.dictionary(pa.int8(), pa.string())]
)
def test_each_kind_of_text_column_is_read(tmp_path, model, kind):
    table = pa.table({"words": pa.array(["View", PROSE, "View"]).cast(kind)})
    pq.write_table(table, tmp_path / "in.parquet")
    summary = filter_corpus(model, tmp_path / "in.parquet", tmp_path / "out.parquet", text="words")
    assert (summary.distinct, summary.kept) == (2, 1)


def test_each_distinct_text_is_computed_once_across_batches(tmp_path, model, monkeypatch):
    monkeypatch.setattr("skbert_filter.io.reading._BATCH_ROWS", 100)
    monkeypatch.setattr("skbert_filter.duplicates.distinct._CHUNK_TEXTS", 7)
    monkeypatch.setattr("skbert_filter.corpus.rows._GROUP_ROWS", 1)
    rng = np.random.default_rng(0)
    texts = [" ".join(["w"] * n) for n in rng.integers(0, 150, 1000)]
    write_rows(tmp_path / "in.parquet", texts)
    calls = []

    summary = filter_corpus(
        model,
        tmp_path / "in.parquet",
        tmp_path / "out.parquet",
        progress=lambda *state: calls.append(state),
    )

    assert sorted(model.asked_) == sorted(set(texts))
    assert summary.distinct == len(set(texts))
    kept = pd.read_parquet(tmp_path / "out.parquet")["text"].tolist()
    assert kept == [text for text in texts if len(text.split()) > 2]
    assert calls == sorted(calls)
    assert calls[-1] == (1.0, 1000, len(set(texts)))


@pytest.mark.parametrize("n_in_memory", [1, 40, 1 << 20])
def test_more_texts_than_fit_into_memory_change_nothing(tmp_path, monkeypatch, n_in_memory):
    rng = np.random.default_rng(0)
    texts = [f"{'word ' * (n % 60)}{n}" for n in rng.zipf(1.3, 3000) % 150]
    write_rows(tmp_path / "in.parquet", texts)
    monkeypatch.setattr("skbert_filter.io.reading._BATCH_ROWS", 30)
    monkeypatch.setattr("skbert_filter.corpus.rows._GROUP_ROWS", 1)
    monkeypatch.setattr("skbert_filter.duplicates.distinct._MOST_TEXTS", n_in_memory)
    monkeypatch.setattr("skbert_filter.duplicates.stores._KEYS_IN_A_QUERY", 7)
    model = Counting().fit()

    audit = tmp_path / "audit.parquet"
    summary = filter_corpus(model, tmp_path / "in.parquet", tmp_path / "out.csv", audit=audit)

    counts = pd.Series(texts).value_counts(sort=False)
    assert model.asked_ == list(dict.fromkeys(texts))
    assert summary.distinct == len(counts)
    told = pd.read_parquet(audit)
    assert told.text.tolist() == list(dict.fromkeys(texts))
    assert told.rows.tolist() == counts[told.text].tolist()
    assert told.label.tolist() == [int(len(text.split()) > 2) for text in told.text]
    kept = pd.read_csv(tmp_path / "out.csv").text.tolist()
    assert kept == [text for text in texts if len(text.split()) > 2]
    most = summary.examples[summary.examples.kind == "kept"].rows.tolist()
    is_kept = counts.index.str.split().str.len() > 2
    assert most == counts[is_kept].nlargest(8).tolist()


def test_texts_that_another_thread_moves_to_disk_are_decided_once_and_counted(monkeypatch):
    monkeypatch.setattr("skbert_filter.duplicates.distinct._MOST_TEXTS", 3)
    monkeypatch.setattr("skbert_filter.duplicates.distinct._CHUNK_TEXTS", 1)
    asked = []

    def decide(texts):
        asked.extend(texts)
        if texts == ["b"]:
            # what another thread could do while the model is busy
            memory.look_up(["a", "x", "y"], 10)
            memory.look_up(["z"], 10)
        return np.zeros(len(texts), DECISION)

    memory = TextMemory(decide)
    records = [memory.look_up(["a", "b", "c"], 1), memory.look_up(["a", "x", "b"], 100)]
    numbers = [record["number"].tolist() for record in records]
    stored = np.frombuffer(b"".join(memory.in_order()), RECORD)

    assert asked == ["a", "b", "x", "y", "z", "c"]
    assert numbers == [[0, 4, 5], [0, 1, 4]]
    assert stored["number"].tolist() == list(range(len(memory))) == list(range(6))
    assert stored["rows"].tolist() == [111, 110, 10, 10, 101, 1]


@pytest.mark.skipif(sys.platform == "win32", reason="has no limit on files")
def test_no_room_for_the_texts_is_an_error_that_says_what_to_do(tmp_path):
    lines = [f"View {i} {'more ' * 20}\n" for i in range(40_000)]
    (tmp_path / "in.txt").write_text("".join(lines))
    script = """
import resource, sys
from skbert_filter import filter_corpus
from skbert_filter.duplicates import distinct
from skbert_filter.inspection.baselines import WordCountRule

distinct._MOST_TEXTS, distinct._CACHE_KIB = 1000, 64
resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))
model = WordCountRule().fit(["View", "We repair pumps"], [0, 1])
filter_corpus(model, sys.argv[1], "-")
"""
    command = [sys.executable, "-c", script, str(tmp_path / "in.txt")]
    result = subprocess.run(command, capture_output=True, text=True)
    assert "too many distinct texts for memory" in result.stderr
    assert "SQLITE_TMPDIR" in result.stderr


def test_long_texts_that_differ_at_their_end_are_distinct(tmp_path, monkeypatch):
    class EndsInAFullStop(Counting):
        def predict(self, X):
            self.asked_ += X
            return np.array([int(text.endswith(".")) for text in X])

    monkeypatch.setattr("skbert_filter.io.reading._BATCH_ROWS", 2)
    sentence = PROSE * 1000
    rows = [sentence, sentence + ".", sentence + ".", sentence, sentence + "!"]
    write_rows(tmp_path / "in.parquet", rows)
    model = EndsInAFullStop().fit()

    summary = filter_corpus(model, tmp_path / "in.parquet", tmp_path / "out.parquet")

    assert pd.read_parquet(tmp_path / "out.parquet")["text"].tolist() == [rows[1], rows[2]]
    assert model.asked_ == [rows[0], rows[1], rows[4]]
    assert summary.distinct == 3


def test_long_texts_are_not_held_in_memory(tmp_path, monkeypatch):
    monkeypatch.setattr("skbert_filter.io.reading._BATCH_BYTES", 1 << 20)
    write_rows(tmp_path / "in.parquet", [f"{i}-" * 20_000 for i in range(500)])  # 40 MB
    model = WordCountRule().fit(["View", PROSE], [0, 1])
    tracemalloc.start()
    try:
        filter_corpus(model, tmp_path / "in.parquet", tmp_path / "out.parquet")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 20e6


@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is read from /proc")
def test_memory_does_not_grow_with_the_number_of_rows(tmp_path):
    # 64 incompressible bytes a row; few rows are kept
    rng = np.random.default_rng(0)
    columns = {f"n{i}": rng.integers(2**62, size=100_000) for i in range(8)}
    texts = [f"Pump {i % 5000}" if i % 50 else PROSE for i in range(100_000)]
    part = pa.table({"text": texts, **columns})
    for name, parts in (("few", 4), ("many", 20)):
        with pq.ParquetWriter(tmp_path / f"{name}.parquet", part.schema) as writer:
            for _ in range(parts):
                writer.write_table(part)
    # Not ru_maxrss, which a process inherits from its parent.
    script = """
import re, sys
from pathlib import Path
from skbert_filter import filter_corpus
from skbert_filter.inspection.baselines import WordCountRule

model = WordCountRule().fit(["View", "We repair pumps"], [0, 1])
for name in "few", "many":
    filter_corpus(model, f"{sys.argv[1]}/{name}.parquet", f"{sys.argv[1]}/kept_{name}.parquet")
    print(re.search(r"VmHWM:\\s*(\\d+)", Path("/proc/self/status").read_text())[1])
"""
    command = [sys.executable, "-c", script, str(tmp_path)]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    few, many = map(int, result.stdout.split())
    assert many - few < 80_000  # KiB; 400,000 rows of 64 bytes, and five times as many
    assert pq.read_metadata(tmp_path / "kept_many.parquet").num_rows == 40_000


@pytest.mark.parametrize(
    ("classes", "keep", "label"),
    [
        ((0, 1), "1", 1),
        (("0", "1"), 1, "1"),
        ((False, True), 1, True),
        (("discard", "keep"), "keep", "keep"),
        ((0, 1), 0, 0),
    ],
)
def test_the_label_to_keep_may_be_passed_as_text(tmp_path, classes, keep, label):
    write_rows(tmp_path / "in.csv", ["View", PROSE])
    model = Counting(classes).fit()
    summary = filter_corpus(model, tmp_path / "in.csv", tmp_path / "out.csv", keep=keep)
    assert summary.keep == label
    expected = PROSE if label == classes[1] else "View"
    assert pd.read_csv(tmp_path / "out.csv")["text"].tolist() == [expected]


def test_a_file_without_rows_gives_one_without_rows(tmp_path, model):
    (tmp_path / "in.csv").write_text("id,text\n")
    summary = filter_corpus(model, tmp_path / "in.csv", tmp_path / "out.csv")
    assert pd.read_csv(tmp_path / "out.csv").columns.tolist() == ["id", "text"]
    assert summary.rows == summary.kept == summary.distinct == 0
    assert "0 rows (0.0%)" in str(summary)


def test_the_summary_reads_well_and_makes_a_table(tmp_path, model):
    write_rows(tmp_path / "in.csv", ["View", PROSE] * 1000)
    summary = filter_corpus(model, tmp_path / "in.csv", tmp_path / "out.csv")
    assert str(summary).startswith(f"2,000 rows of {tmp_path / 'in.csv'}: 2 distinct texts.")
    assert "1,000 rows (50.0%) with the label 1; discarded: 1,000." in str(summary)
    frame = summary.to_frame()
    assert frame.loc[0, "kept"] == 1000
    assert frame.loc[0, "rows_per_second"] == pytest.approx(2000 / summary.seconds)


def test_an_existing_destination_is_replaced_only_on_request(tmp_path, model):
    source, destination = tmp_path / "in.csv", tmp_path / "out.csv"
    write_rows(source, [PROSE])
    destination.write_text("precious")
    with pytest.raises(FileExistsError, match=r"out\.csv exists.*overwrite=True"):
        filter_corpus(model, source, destination)
    assert destination.read_text() == "precious"
    filter_corpus(model, source, destination, overwrite=True)
    assert pd.read_csv(destination)["text"].tolist() == [PROSE]


def test_the_source_is_never_the_destination_under_any_name(tmp_path, model):
    source = tmp_path / "in.csv"
    write_rows(source, [PROSE, "View"])
    before = source.read_bytes()
    (tmp_path / "alias.csv").symlink_to(source)
    for name in ("in.csv", "alias.csv"):
        with pytest.raises(ValueError, match="is the source"):
            filter_corpus(model, source, tmp_path / name, overwrite=True)
    assert source.read_bytes() == before


def test_nothing_is_left_when_the_model_fails(tmp_path):
    class Failing(Counting):
        def predict(self, X):
            raise MemoryError("no room")

    write_rows(tmp_path / "in.csv", [PROSE])
    with pytest.raises(MemoryError):
        filter_corpus(Failing().fit(), tmp_path / "in.csv", tmp_path / "out.csv")
    assert [path.name for path in tmp_path.iterdir()] == ["in.csv"]


def test_a_model_that_returns_too_few_labels_is_refused(tmp_path):
    class Short(Counting):
        def predict(self, X):
            return super().predict(X)[1:]

    write_rows(tmp_path / "in.csv", [PROSE, "View"])
    with pytest.raises(ValueError, match="predict of the estimator returned 1 rows for 2 distinct"):
        filter_corpus(Short().fit(), tmp_path / "in.csv", tmp_path / "out.csv")


def test_the_error_for_a_missing_text_column_names_the_closest_one(tmp_path, model):
    (tmp_path / "in.csv").write_text("Texts,label\nView,1\n")
    with pytest.raises(ValueError, match=r"no column 'text'. Did you mean 'Texts'\?.*Texts, label"):
        filter_corpus(model, tmp_path / "in.csv", tmp_path / "out.csv")


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"text": [1, 2]}, "'text' of .*in.parquet holds int64, not text"),
        ({"text": ["a", "b", None]}, r"Row 3 of .*in.parquet .* no value in column 'text'"),
    ],
)
def test_a_column_without_text_is_refused(tmp_path, model, table, message):
    pq.write_table(pa.table(table), tmp_path / "in.parquet")
    with pytest.raises(ValueError, match=message):
        filter_corpus(model, tmp_path / "in.parquet", tmp_path / "out.parquet")
    assert not (tmp_path / "out.parquet").exists()


def test_a_null_is_counted_from_the_first_row_of_the_file(tmp_path, model, monkeypatch):
    monkeypatch.setattr("skbert_filter.io.reading._BATCH_ROWS", 10)
    rows = ["a"] * 25
    rows[21] = None
    pq.write_table(pa.table({"text": rows}), tmp_path / "in.parquet")
    with pytest.raises(ValueError, match=r"Row 22 of .* or pass nulls=.discard."):
        filter_corpus(model, tmp_path / "in.parquet", tmp_path / "out.parquet")


def test_two_columns_of_the_same_name_are_refused(tmp_path, model):
    (tmp_path / "in.csv").write_text("text,text\na,b\n")
    with pytest.raises(ValueError, match="several columns 'text'"):
        filter_corpus(model, tmp_path / "in.csv", tmp_path / "out.csv")


@pytest.mark.parametrize(
    ("destination", "error", "message"),
    [
        ("out.xlsx", ValueError, "unknown extension"),
        ("missing/out.csv", FileNotFoundError, r"no folder .*missing for out\.csv"),
        ("folder.csv", ValueError, "is a folder"),
    ],
)
def test_an_impossible_destination_is_refused_before_any_work(
    tmp_path, model, destination, error, message
):
    write_rows(tmp_path / "in.csv", [PROSE])
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(error, match=message):
        filter_corpus(model, tmp_path / "in.csv", tmp_path / destination)
    assert model.asked_ == []


def test_a_label_that_the_model_lacks_is_refused(tmp_path, model):
    write_rows(tmp_path / "in.csv", [PROSE])
    with pytest.raises(ValueError, match=r"keep='yes' is not a label .* has \[0, 1\]"):
        filter_corpus(model, tmp_path / "in.csv", tmp_path / "out.csv", keep="yes")


def test_an_unfitted_model_or_a_missing_folder_is_refused(tmp_path):
    write_rows(tmp_path / "in.csv", [PROSE])
    with pytest.raises(NotFittedError):
        filter_corpus(WordCountRule(), tmp_path / "in.csv", tmp_path / "out.csv")
    with pytest.raises(FileNotFoundError, match=r"no model folder .*nowhere"):
        filter_corpus(tmp_path / "nowhere", tmp_path / "in.csv", tmp_path / "out.csv")


class ByLength(ClassifierMixin, BaseEstimator):
    """Keep long texts: the probability is a tenth of the number of words."""

    predicts_most_probable_class = True

    def fit(self, X=None, y=None):
        self.classes_ = np.array(["discard", "keep"])
        return self

    def predict_proba(self, X):
        p = np.minimum(np.array([len(text.split()) for text in X]) / 10, 1)
        return np.column_stack([1 - p, p])

    def predict(self, X):
        return self.classes_[self.predict_proba(X).argmax(axis=1)]


@pytest.mark.parametrize("group_rows", [7, 1 << 17])
def test_the_summary_shows_the_most_frequent_texts_and_the_nearest(
    tmp_path, monkeypatch, group_rows
):
    rng = np.random.RandomState(0)
    texts = [f"{'word ' * (i % 11)}{i}{' long' * (50 * (i % 3))}" for i in range(60)]
    rows = [texts[i] for i in rng.zipf(1.3, 3000) % 60]
    write_rows(tmp_path / "in.csv", rows)
    monkeypatch.setattr("skbert_filter.corpus.rows._GROUP_ROWS", group_rows)
    monkeypatch.setattr("skbert_filter.io.delimited._LONGEST_ROW", 1 << 16)
    model = ByLength().fit()
    examples = filter_corpus(model, tmp_path / "in.csv", tmp_path / "out.csv").examples

    counts = pd.Series(rows).value_counts()
    probability = pd.Series(model.predict_proba(list(counts.index))[:, 1], index=counts.index)
    for kind, is_kept in (("kept", True), ("discarded", False)):
        shown = examples[examples.kind == kind]
        expected = counts[(probability > 0.5) == is_kept].head(8)
        assert shown.rows.tolist() == expected.tolist()
    near = examples[examples.kind == "near"]
    distance = (probability - 0.5).abs().sort_values()
    np.testing.assert_allclose((near.probability - 0.5).abs(), distance.head(8))
    by_start = {text[:200]: n for text, n in counts.items()}
    assert all(by_start[text] == n for text, n in zip(examples.text, examples.rows, strict=True))


def test_examples_are_printed_escaped_or_not_at_all(tmp_path, model):
    write_rows(tmp_path / "in.csv", [PROSE, "Menu \x1b[2J", "Menu \x1b[2J"])
    summary = filter_corpus(model, tmp_path / "in.csv", tmp_path / "out.csv")
    assert "     2  'Menu \\x1b[2J'" in str(summary)
    assert "nearest" not in str(summary)  # without probabilities
    quiet = filter_corpus(
        model, tmp_path / "in.csv", tmp_path / "out.csv", n_examples=0, overwrite=True
    )
    assert not len(quiet.examples)
    assert "most frequent" not in str(quiet)


@pytest.mark.parametrize(
    ("classes", "record", "kept"),
    [
        ((0, 1), {}, [PROSE]),
        (("discard", "keep"), {}, [PROSE]),
        (("No", "Yes"), {}, [PROSE]),
        (("menu", "prose"), {"keep": "prose"}, [PROSE]),
        (("menu", "prose"), {"keep": "menu"}, ["Menu"]),
    ],
)
def test_the_useful_label_is_kept_unless_another_is_named(tmp_path, classes, record, kept):
    model = Counting(classes).fit()
    model.training_record_ = record
    write_rows(tmp_path / "in.csv", [PROSE, "Menu"])
    filter_corpus(model, tmp_path / "in.csv", tmp_path / "out.csv")
    assert pd.read_csv(tmp_path / "out.csv").text.tolist() == kept


def test_an_unknown_useful_label_must_be_passed(tmp_path):
    model = Counting(("menu", "prose")).fit()
    write_rows(tmp_path / "in.csv", [PROSE, "Menu"])
    with pytest.raises(ValueError, match=r"\['menu', 'prose'\], and none has .* keep= \(--keep\)"):
        filter_corpus(model, tmp_path / "in.csv", tmp_path / "out.csv")
    assert not (tmp_path / "out.csv").exists()
