"""Labelling in the terminal: what is asked, what is on the disk, what the model learns from."""

import gzip
import json
import subprocess
import sys
import time

import numpy as np
import openpyxl
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output import DummyOutput
from sklearn.base import BaseEstimator, ClassifierMixin

from skbert_filter.inspection import WordCountRule, tfidf_baseline
from skbert_filter.labelling.label_table import read_label_table
from skbert_filter.labelling.session import LabellingSession
from skbert_filter.labelling.terminal import answer_keys, label_texts, make_screen, shown

TEXTS_N = range(200)
TEXTS = [f"Text number {i}" for i in TEXTS_N]


class Recorder(ClassifierMixin, BaseEstimator):
    """Remember all texts that were learnt; be sure of none but those of even number."""

    learnt: list[list[str]] = []  # noqa: RUF012 - clones are to share it

    def fit(self, X, y):
        self.learnt.append(list(X))
        self.classes_ = np.unique(y)
        return self

    def predict_proba(self, X):
        is_even = np.array([int(text.split()[-1]) % 2 == 0 for text in X])
        proba = np.where(is_even, 0.99, 0.5)
        return np.column_stack([1 - proba, proba])


@pytest.fixture
def recorder():
    Recorder.learnt.clear()
    return Recorder()


def start(path, texts=TEXTS, estimator=None, **options):
    estimator = estimator or WordCountRule()
    options = {"background": False, "random_state": 0, **options}
    return LabellingSession(texts, path, estimator=estimator, **options)


def answer(session, n):
    """Answer so that half is kept, and return what was asked."""
    asked = []
    for _ in range(n):
        asked.append(session.question)
        number = int(session.question.text.split()[-1])
        session.answer("keep" if number % 4 < 2 else "discard")
    return asked


def test_every_answer_is_in_the_file_before_the_next_question(tmp_path):
    path = tmp_path / "labels.csv"
    session = start(path)
    for n in range(1, 13):
        [question] = answer(session, 1)
        table = pd.read_csv(path)
        assert len(table) == n
        assert table.text.iloc[-1] == question.text
    assert list(table.columns) == ["text", "label", "held_out"]


def test_a_session_that_was_killed_is_continued(tmp_path):
    corpus, path = tmp_path / "corpus.csv", tmp_path / "labels.csv"
    pd.DataFrame({"text": TEXTS}).to_csv(corpus, index=False)
    command = [sys.executable, "-m", "skbert_filter", "label", str(corpus), "-o", str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as process:
        process.stdin.write(b"k\nd\nk\n")
        process.stdin.flush()
        deadline = time.monotonic() + 120
        while not path.exists() or len(pd.read_csv(path)) < 3:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        process.kill()

    session = start(path)
    assert sum(session.status().counts.values()) == 3
    known = set(pd.read_csv(path).text)
    assert known.isdisjoint(question.text for question in answer(session, 150))
    assert [entry.name for entry in tmp_path.iterdir() if "partial" in entry.name] == []


def test_each_distinct_text_is_asked_for_once_with_its_rows(tmp_path):
    session = start(tmp_path / "labels.csv", ["Menu 1", "Menu 1", "Tea 2", "Menu 1"])
    asked = answer(session, 2)
    assert {question.text: question.rows for question in asked} == {"Menu 1": 3, "Tea 2": 1}
    assert session.question is None
    assert session.status().covered == 1
    with pytest.raises(ValueError, match="There is no question"):
        session.answer("keep")


def test_every_tenth_text_is_held_out_and_never_learnt_from(tmp_path, recorder):
    path = tmp_path / "labels.csv"
    session = start(path, estimator=recorder)
    asked = answer(session, 100)
    held_out = {question.text for question in asked if question.held_out}
    assert len(held_out) == 10
    assert recorder.learnt
    assert all(held_out.isdisjoint(texts) for texts in recorder.learnt)
    table = pd.read_csv(path)
    assert set(table.text[table.held_out]) == held_out
    assert start(path, held_out=0).question.held_out is False


def test_what_the_model_is_least_sure_of_is_asked_first(tmp_path, recorder):
    session = start(tmp_path / "labels.csv", estimator=recorder)
    answer(session, 30)
    later = [q for q in answer(session, 20) if not q.held_out]
    assert all(int(question.text.split()[-1]) % 2 for question in later)


def test_frequent_texts_come_before_rare_ones(tmp_path, recorder):
    texts = TEXTS + [f"Text number {i}" for i in range(101, 200, 2)] * 20
    session = start(tmp_path / "labels.csv", texts, estimator=recorder)
    answer(session, 30)
    later = [q for q in answer(session, 10) if not q.held_out]
    assert min(question.rows for question in later) > 1


def test_random_order_asks_for_any_text(tmp_path, recorder):
    session = start(tmp_path / "labels.csv", estimator=recorder, order="random")
    even = [int(question.text.split()[-1]) % 2 == 0 for question in answer(session, 100)]
    assert 30 < sum(even) < 70


def test_an_answer_is_taken_back(tmp_path):
    path = tmp_path / "labels.csv"
    session = start(path)
    assert session.undo() is False
    [first, second] = answer(session, 2)
    following = session.question
    assert session.undo() is True
    assert session.question.text == second.text
    assert pd.read_csv(path).text.tolist() == [first.text]
    session.answer("discard")
    assert pd.read_csv(path).label.tolist()[-1] == "discard"
    assert session.question.text == following.text


def test_a_skipped_text_is_not_asked_for_again(tmp_path):
    session = start(tmp_path / "labels.csv", TEXTS[:3])
    skipped = session.question.text
    session.skip()
    assert skipped not in [question.text for question in answer(session, 2)]
    assert session.question is None


def test_blank_labels_of_a_file_come_first_and_other_columns_stay(tmp_path):
    path = tmp_path / "labels.csv"
    given = {
        "id": ["007", "008", "009"],
        "text": ["Text number 4", "Not in the corpus 5", "Text number 6"],
        "label": ["keep", "", "discard"],
    }
    pd.DataFrame(given).to_csv(path, index=False)
    session = start(path)
    assert session.question.text == "Not in the corpus 5"
    assert session.question.rows == 0
    session.answer("keep")
    answer(session, 1)
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    assert table.label.tolist()[:3] == ["keep", "keep", "discard"]
    assert table.id.tolist() == ["007", "008", "009", ""]


@pytest.mark.parametrize(
    ("values", "type_", "labels"),
    [
        ([1, 0], pa.int64(), ("1", "0")),
        ([0, 0], pa.int64(), ("1", "0")),
        ([False, True], pa.bool_(), ("True", "False")),
        ([False, False], pa.bool_(), ("True", "False")),
    ],
)
def test_labels_keep_the_type_of_a_parquet_file(tmp_path, values, type_, labels):
    path = tmp_path / "labels.parquet"
    columns = {"text": ["Text number 0", "Text number 1"], "label": pa.array(values, type_)}
    pq.write_table(pa.table(columns), path)
    session = start(path)
    assert session.labels == labels  # the useful one first
    session.answer(labels[0])
    table = pq.read_table(path)
    assert table.schema.field("label").type == type_
    assert table["label"].to_pylist() == [*values, type(values[0])(1)]


@pytest.mark.parametrize("name", ["labels.xlsx", "labels.jsonl", "labels.jsonl.gz", "labels.csv"])
def test_every_kind_of_file_is_continued(tmp_path, name):
    path, texts = tmp_path / name, ["=1+1", "#N/A", " Łódź\n", '{"a": 1}']
    for n in range(4):
        session = start(path, texts)
        session.answer("keep")
        assert sum(start(path, texts).status().counts.values()) == n + 1
        session.undo()
        if n:
            assert len(read_label_table(path).texts) == n
        session.answer("discard")
    assert start(path, texts).question is None
    table = read_label_table(path)
    assert sorted(table.texts) == sorted(texts)
    assert table.labels.tolist() == ["discard"] * 4


def test_a_workbook_that_is_continued_keeps_all_else(tmp_path):
    path = tmp_path / "labels.xlsx"
    book = openpyxl.Workbook()
    for row in [("page", "text", "label"), (7, 2024, 0), (8, "Menu", None), (9, "=A1", 1)]:
        book.active.append(row)
    book.active["B4"].data_type = "s"
    book.active["A3"].font = openpyxl.styles.Font(bold=True)
    book.active["C9"].number_format = "0.00"
    book.active["D2"] = "=A2+1"
    book.create_sheet("Notes").append(["kept"])
    book.save(path)

    session = start(path, ["Menu", "Tea"])
    assert session.question.text == "Menu"
    session.answer("0")
    session.answer("1")
    book = openpyxl.load_workbook(path)
    rows = list(book.worksheets[0].iter_rows(max_row=5, values_only=True))
    assert rows[0] == ("page", "text", "label", None, "held_out")
    assert rows[1] == (7, 2024, 0, "=A2+1", None)
    assert rows[2:] == [
        (8, "Menu", 0, None, False),
        (9, "=A1", 1, None, None),
        (None, "Tea", 1, None, False),
    ]
    assert book.worksheets[0]["A3"].font.bold
    assert book.worksheets[0]["C9"].number_format == "0.00"
    assert book["Notes"]["A1"].value == "kept"


def test_formulas_that_would_lose_their_values_are_refused(tmp_path):
    book = openpyxl.Workbook()
    book.active.append(["text", "label"])
    book.active.append(['="Menu"', 0])
    book.save(tmp_path / "labels.xlsx")
    with pytest.raises(ValueError, match=r"labels\.xlsx has formulas in column 'text'"):
        start(tmp_path / "labels.xlsx")

    book.active.append(["Tea", 1, "=TRUE()"])
    book.active["A2"], book.active["C1"] = "Menu", "held_out"
    book.save(tmp_path / "labels.xlsx")
    with pytest.raises(ValueError, match=r"labels\.xlsx has formulas in column 'held_out'"):
        start(tmp_path / "labels.xlsx")


def test_a_merged_cell_is_named_by_the_error(tmp_path):
    book = openpyxl.Workbook()
    for row in [("text", "label"), ("Menu", 0), ("Tea", 1), ("Oil", None)]:
        book.active.append(row)
    book.active.merge_cells("B3:B4")
    book.save(tmp_path / "labels.xlsx")
    with pytest.raises(ValueError, match=r"Cell B4 of .*labels\.xlsx is merged with others"):
        start(tmp_path / "labels.xlsx").answer("0")


@pytest.mark.parametrize("name", ["labels.jsonl", "labels.csv"])
def test_a_file_that_another_program_changes_is_not_written(tmp_path, name):
    path = tmp_path / name
    answer(start(path, TEXTS[:5]), 2)
    session = start(path, TEXTS[:5])
    content = "".join(reversed(path.read_text().splitlines(keepends=True)))
    path.write_text(content)
    with pytest.raises(ValueError, match=rf"{name} was changed by another program, so the last"):
        session.answer("keep")
    assert path.read_text() == content


def test_json_lines_change_where_an_answer_is(tmp_path):
    path = tmp_path / "labels.jsonl.gz"
    lines = ['{"text":"Menu", "label": 0, "id": [1]}\r', '{"text": "Tea", "tags": {"a": null}}']
    path.write_bytes(gzip.compress("\n".join(lines).encode()))
    session = start(path, ["Menu", "Łódź"], labels=["1", "0"])
    session.answer("1")
    session.answer("0")
    with gzip.open(path, "rt", encoding="utf-8", newline="") as stream:
        written = stream.read().split("\n")
    assert written[0] == lines[0]
    changed = {"text": "Tea", "tags": {"a": None}, "label": 1, "held_out": False}
    assert json.loads(written[1]) == changed
    assert written[2:] == ['{"text": "Łódź", "label": 0, "held_out": false}', ""]


def test_other_columns_of_a_table_stay_as_they_are(tmp_path):
    (tmp_path / "a.csv").write_text("n,n,text,label\n1,2,Tea,keep\n")
    start(tmp_path / "a.csv").answer("keep")
    assert (tmp_path / "a.csv").read_text().splitlines()[1] == '"1","2","Tea","keep",'

    columns = {"text": ["Tea"], "label": [None], "when": pd.to_datetime(["2026-01-01 00:00:01.5"])}
    frame = pd.DataFrame(columns, index=pd.Index(["first"], name="id"))
    frame.to_parquet(tmp_path / "a.parquet")
    start(tmp_path / "a.parquet").answer("keep")
    table = pd.read_parquet(tmp_path / "a.parquet")
    assert table["label"].tolist() == ["keep"]
    pd.testing.assert_frame_equal(table[["when"]], frame[["when"]])

    pd.DataFrame({"text": ["Tea", None], "label": ["keep", None]}).to_parquet(
        tmp_path / "b.parquet"
    )
    with pytest.raises(ValueError, match=r"Row 2 of .*b\.parquet .* has no value in column 'text'"):
        start(tmp_path / "b.parquet")


def test_a_file_with_other_labels_is_refused(tmp_path):
    path = tmp_path / "labels.csv"
    content = "text,label\nTea,good\n"
    path.write_text(content)
    with pytest.raises(ValueError, match=r"labels\.csv has the label 'good', which is not one"):
        start(path, labels=["keep", "discard"])
    with pytest.raises(ValueError, match="has no column 'note'"):
        start(path, label="note")
    assert path.read_text() == content


def test_the_score_is_that_of_the_held_out_answers(tmp_path):
    texts = [f"{'We make steel tools and boats since' if i % 2 else 'Menu'} {i}" for i in TEXTS_N]
    session = LabellingSession(
        texts,
        tmp_path / "labels.csv",
        estimator=WordCountRule(),
        background=False,
        random_state=0,
    )
    for _ in range(120):
        session.answer("keep" if session.question.text.startswith("We") else "discard")
    status = session.status()
    assert status.held_out == 12
    assert status.score == 1
    assert status.interval == (1, 1)
    assert "average precision 1.00 (1.00 to 1.00)" in str(status)


def test_more_than_two_labels_are_scored_by_accuracy(tmp_path):
    tfidf = tfidf_baseline()
    session = start(tmp_path / "labels.csv", estimator=tfidf, labels=["a", "b", "c"], held_out=0.5)
    for _ in range(80):
        session.answer("abc"[int(session.question.text.split()[-1]) % 3])
    assert 0 <= session.status().interval[0] < session.status().score
    assert "accuracy" in str(session.status())


def test_the_bundled_filter_has_a_probability_at_once_and_learns_meanwhile(tmp_path):
    texts = [f"We make pumps of steel for {i} farms" for i in range(40)]
    texts += [f"View all {i} items" for i in range(40)]
    session = LabellingSession(texts, tmp_path / "labels.csv", random_state=0)
    before = session.question.probability
    assert 0 < before < 1
    bundled = session._model
    for _ in range(70):
        session.answer("keep" if session.question.text.startswith("We") else "discard")
    session.close()
    session.skip()
    assert session._model is not bundled
    assert set(session._model.classes_) == {"keep", "discard"}


def test_the_screen_takes_keys(tmp_path):
    path = tmp_path / "labels.csv"
    session = start(path)
    with create_pipe_input() as keys:
        screen = make_screen(session, answer_keys(session.labels), input=keys, output=DummyOutput())
        keys.send_text("k2xsdouq")
        screen.run()
    assert pd.read_csv(path).label.tolist() == ["keep", "discard"]


def test_an_answer_that_cannot_be_written_ends_the_screen_with_its_error(tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    session = start(folder / "labels.csv")
    folder.rmdir()
    with create_pipe_input() as keys:
        screen = make_screen(session, answer_keys(session.labels), input=keys, output=DummyOutput())
        keys.send_text("kq")
        with pytest.raises(FileNotFoundError, match="folder"):
            screen.run()


def test_lines_are_read_where_there_is_no_terminal(tmp_path, capsys, monkeypatch):
    import io

    corpus, path = tmp_path / "corpus.txt", tmp_path / "labels.csv"
    corpus.write_text("Menu \x1b[2J 1\nTea 2\nHome 3\n")
    monkeypatch.setattr(sys, "stdin", io.StringIO("k\nwhat\nkd\nskip\nundo\nDiscard\n"))
    status = label_texts(corpus, path, random_state=0)
    assert status.counts == {"keep": 0, "discard": 1}
    out = capsys.readouterr().out
    assert "\x1b[2J" not in out
    assert "'what' is not a key" in out
    assert "'kd' is not a key" in out


def test_a_long_text_is_folded_until_it_is_opened(tmp_path):
    session = start(tmp_path / "labels.csv", ["word " * 500 + "end 1"])
    assert "more characters: [o] open" in shown(session.question, opened=False)
    assert shown(session.question, opened=True).endswith("end 1")


def test_each_label_has_a_number_and_its_first_letter_where_that_is_free():
    assert answer_keys(["keep", "discard"]) == {
        "1": "keep",
        "2": "discard",
        "k": "keep",
        "d": "discard",
    }
    assert answer_keys(["news", "nav", "spam"]) == {"1": "news", "2": "nav", "3": "spam"}
    assert answer_keys(["1", "0"]) == {"1": "1", "0": "0"}
    assert answer_keys(["s", "n"]) == {"1": "s", "2": "n", "n": "n"}


def test_an_answer_that_is_taken_back_leaves_the_next_question_held_out(tmp_path):
    path = tmp_path / "labels.csv"
    session = start(path)
    for _ in range(40):
        session.answer("keep")
        session.undo()
        session.answer("discard")
    assert pd.read_csv(path).held_out.sum() == 4


def test_what_cannot_be_labelled_or_written_is_refused_at_once(tmp_path):
    with pytest.raises(ValueError, match="texts has 0 rows"):
        start(tmp_path / "labels.csv", [])
    with pytest.raises(ValueError, match=r"labels\.txt holds lines of UTF-8 text, not a table"):
        start(tmp_path / "labels.txt")
    with pytest.raises(ValueError, match=r"labels\.xlsx cannot hold 'Tea\\r\\n': a cell of a"):
        start(tmp_path / "labels.xlsx", ["Menu", "Tea\r\n"])
    with pytest.raises(ValueError, match="unknown extension"):
        start(tmp_path / "labels.doc")
    assert not list(tmp_path.iterdir())


def test_a_session_that_is_continued_has_learnt_from_the_answers(tmp_path, recorder):
    answer(start(tmp_path / "labels.csv", estimator=recorder), 60)
    recorder.learnt.clear()
    session = start(tmp_path / "labels.csv", estimator=recorder)
    assert [len(texts) for texts in recorder.learnt] == [54]
    assert session.question.probability is not None


def test_labels_of_several_spellings_are_one_where_a_file_is_continued(tmp_path):
    rows = pd.DataFrame({"text": list("abcd"), "label": [" Keep", "keep", "DISCARD", "discard"]})
    rows.to_csv(tmp_path / "labels.csv", index=False, sep=";")
    session = start(tmp_path / "labels.csv")
    assert session.status().counts == {"keep": 2, "discard": 2}
    session.answer("keep")
    assert (tmp_path / "labels.csv").read_text().startswith('"text";"label";"held_out"\n')
    assert start(tmp_path / "labels.csv", labels=["Discard", "Keep"]).labels == ("Discard", "Keep")
    numbers = pd.DataFrame({"text": ["a", "b", "c"], "label": [0.0, 1.0, None]})
    numbers.to_csv(tmp_path / "numbers.csv", index=False)
    assert start(tmp_path / "numbers.csv").labels == ("1", "0")


def test_an_output_within_the_corpus_is_refused(tmp_path):
    (tmp_path / "a.txt").write_text("Menu\n")
    with pytest.raises(ValueError, match="lies in the source"):
        label_texts(tmp_path, tmp_path / "labels.csv")
