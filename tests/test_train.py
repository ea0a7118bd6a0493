"""train_filter on real files: what it reads, scores, saves and refuses."""

import html
from datetime import date
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from IPython.core.formatters import DisplayFormatter

from skbert_filter import SmallBertTextFilter
from skbert_filter.datasets import make_website_snippets
from skbert_filter.inspection import WordCountRule
from skbert_filter.labelling.evaluate import evaluate_filter
from skbert_filter.labelling.label_table import read_label_table
from skbert_filter.labelling.train import train_filter
from skbert_filter.labelling.training_summary import LabelCount, TrainingSummary

SMALL = SmallBertTextFilter(
    hidden_size=16, intermediate_size=32, num_hidden_layers=1, epochs=1, random_state=0
)


def write_labels(path, texts, labels):
    frame = pd.DataFrame({"text": texts, "label": labels})
    if path.suffix == ".parquet":
        frame.to_parquet(path)
    else:
        frame.to_csv(path, index=False)
    return path


@pytest.fixture(scope="module")
def snippets():
    return make_website_snippets(400, random_state=0)


@pytest.fixture(scope="module")
def trained(tmp_path_factory, snippets):
    folder = tmp_path_factory.mktemp("trained")
    X, y = map(list, snippets)
    X, y = [*X, "Twice", "Twice", "Twice", "Even", "Even"], [*y, 1, 1, 0, 0, 1]
    source = write_labels(folder / "labels.csv", X, y)
    return (
        X,
        y,
        train_filter(source, folder / "model", estimator=SMALL, model="bert", random_state=0),
    )


def test_the_summary_counts_rows_texts_and_conflicts(trained):
    X, y, summary = trained
    frame = pd.DataFrame({"text": X, "label": y})
    several = frame.groupby("text")["label"].nunique() > 1

    assert summary.rows == len(X)
    assert summary.distinct == frame["text"].nunique()
    assert summary.conflicts == several.sum() >= 2
    assert [count.label for count in summary.labels] == [0, 1]
    assert [count.rows for count in summary.labels] == frame["label"].value_counts()[
        [0, 1]
    ].tolist()
    # Texts with as many labels of one class as of the other count for neither.
    assert summary.n_train + summary.n_test == sum(count.distinct for count in summary.labels)
    assert summary.n_test == pytest.approx(summary.distinct * 0.2, abs=3)


def test_the_filter_is_scored_beside_the_baselines_on_distinct_texts(trained):
    *_, summary = trained
    table = summary.to_frame()
    assert table.index.tolist() == [
        "SmallBertTextFilter",
        "TF-IDF and shape",
        "TF-IDF",
        "word-count rule",
    ]
    assert (table["n_distinct"] == summary.n_test).all()
    assert f"held out:\n{summary.evaluation.score_lines()}" in str(summary)
    shown, _ = DisplayFormatter().format(summary)
    assert str(summary) in html.unescape(shown["text/html"])
    assert str(summary) == shown["text/plain"]


def test_the_summary_says_whether_the_filter_beats_the_baselines(trained):
    *_, summary = trained
    tests = summary.evaluation.tests
    assert [test.second for test in tests] == ["TF-IDF and shape", "TF-IDF", "word-count rule"]
    table = summary.to_frame()
    assert table["p_value"].tolist()[1:] == [test.p_value for test in tests]
    for test, accuracy in zip(tests, table["accuracy"].iloc[1:], strict=True):
        gain = (test.only_first - test.only_second) / summary.n_test
        assert gain == pytest.approx(table["accuracy"].iloc[0] - accuracy)
        assert str(test) in str(summary)
    assert f"\n{summary.evaluation.verdict}\n" in str(summary)


def test_the_saved_filter_has_learnt_from_all_labels(trained):
    X, y, summary = trained
    loaded = SmallBertTextFilter.from_pretrained(summary.destination)
    probe = ["View All", "We repair pumps for ships", ""]
    np.testing.assert_allclose(loaded.predict_proba(probe), summary.model.predict_proba(probe))
    np.testing.assert_allclose(
        loaded.predict_proba(probe), SMALL.fit(X, y).predict_proba(probe), atol=1e-6
    )
    assert summary.refit
    assert str(summary).endswith("has learnt from all texts.")


def test_without_refit_the_scored_filter_is_saved_in_place_of_an_older_one(trained, tmp_path):
    X, y, _ = trained
    source = write_labels(tmp_path / "labels.parquet", X, y)
    for seed in (0, 1):
        summary = train_filter(
            source,
            tmp_path / "model",
            estimator=SMALL,
            model="bert",
            refit=False,
            overwrite=True,
            random_state=seed,
        )
    loaded = SmallBertTextFilter.from_pretrained(tmp_path / "model")
    assert loaded.training_record_ == summary.model.training_record_
    assert loaded.training_record_["rows"] < len(X)
    assert {path.name for path in tmp_path.iterdir()} == {"labels.parquet", "model"}


def test_three_classes_are_scored_without_the_binary_rule(tmp_path, snippets):
    X, y = snippets
    labels = np.where(y == 1, "prose", np.where([len(text) > 20 for text in X], "long", "short"))
    source = write_labels(tmp_path / "labels.csv", X, labels)
    summary = train_filter(source, tmp_path / "model", estimator=SMALL, model="bert", refit=False)
    assert [count.label for count in summary.labels] == ["long", "prose", "short"]
    assert len(summary.evaluation.baselines) == 2


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (["0", "1"], [0, 1]),
        (["-1", "+1"], ["-1", "+1"]),
        (["keep", "NA"], ["keep", "NA"]),
        (["0.5", "1"], ["0.5", "1"]),
        (["01", "02"], ["01", "02"]),
        (["1", "01"], ["1", "01"]),
        (["--5", "1"], ["--5", "1"]),
        (["-0", "0"], ["-0", "0"]),
        (["１", "1"], ["１", "1"]),
        (["9" * 30, "1"], ["9" * 30, "1"]),
        (["9" * 5000, "1"], ["9" * 5000, "1"]),
    ],
)
def test_labels_of_a_csv_file(tmp_path, labels, expected):
    texts = ["007", ""]
    write_labels(tmp_path / "a.csv", texts, labels)
    assert read_label_table(tmp_path / "a.csv").texts == texts
    assert read_label_table(tmp_path / "a.csv").labels.tolist() == expected


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("text,Label\na,1\n", r"no column 'label'\. Did you mean 'Label'\?"),
        ("body,label\na,1\n", r"no column 'text'\. Did you mean 'body'\?"),
        ("text,label\na,\nb,\n", "has no label in column 'label'"),
        ("text,label\n", "has no rows"),
        ("text,label\na,1\nb,1\nc,1\nd,1\ne,1\n", "class"),
        ("text,label\na,0\nb,1\nc,1\nd,1\ne,1\n", "Class 0 has too few distinct texts"),
    ],
)
def test_labels_that_cannot_be_learnt_from_are_refused(tmp_path, content, message):
    (tmp_path / "a.csv").write_text(content)
    with pytest.raises(ValueError, match=message):
        train_filter(tmp_path / "a.csv", tmp_path / "model", estimator=SMALL, model="bert")
    assert not (tmp_path / "model").exists()


def test_folders_with_anything_else_are_never_replaced(tmp_path):
    (tmp_path / "notes.txt").write_text("precious")
    with pytest.raises(FileExistsError, match="holds files other than a saved filter"):
        train_filter(tmp_path / "a.csv", tmp_path, overwrite=True)
    with pytest.raises(FileExistsError, match=r"notes\.txt is a file"):
        train_filter(tmp_path / "a.csv", tmp_path / "notes.txt", overwrite=True)


def test_a_saved_filter_is_replaced_only_on_request(trained, tmp_path):
    *_, summary = trained
    with pytest.raises(FileExistsError, match=r"holds a saved filter.*overwrite=True"):
        train_filter(summary.source, summary.destination)


@pytest.mark.parametrize(
    ("shares", "tells"),
    [((0.0, 0.0), False), ((0.02, 0.02), False), ((0.0, 0.05), True), ((0.05, 0.0), True)],
)
def test_uneven_misdecoding_is_noticed(shares, tells):
    summary = TrainingSummary(
        source="a.csv",
        destination="model",
        rows=1000,
        distinct=1000,
        conflicts=0,
        labels=tuple(LabelCount(label, 500, 500, share) for label, share in enumerate(shares)),
        n_train=800,
        n_test=200,
        evaluation=None,
        refit=True,
        seconds=1.0,
        model=None,
    )
    assert summary.misdecoding_tells_labels is tells


def test_one_misdecoded_text_of_few_is_no_sign():
    counts = (LabelCount(0, 20, 20, 0.05), LabelCount(1, 20, 20, 0.0))
    summary = TrainingSummary("a", "m", 40, 40, 0, counts, 30, 10, None, True, 1.0, None)
    assert not summary.misdecoding_tells_labels


def test_a_saved_filter_is_scored_on_new_labels_beside_its_training_labels(trained, tmp_path):
    X, y, summary = trained
    new_X, new_y = make_website_snippets(120, random_state=5)
    source = write_labels(tmp_path / "new.csv", [*new_X, *X[:9]], [*new_y, *y[:9]])
    evaluation = evaluate_filter(summary.destination, source, train=summary.source, n_errors=3)
    frame = pd.DataFrame({"text": [*new_X, *X[:9]], "label": [*new_y, *y[:9]]})
    assert evaluation.n_distinct + evaluation.n_left_out == frame["text"].nunique()
    assert [scores.name for scores in evaluation.baselines] == [
        "TF-IDF and shape",
        "TF-IDF",
        "word-count rule",
    ]
    assert evaluation.leakage.leaks.loc["exact", "test_texts"] >= len(set(X[:9]))
    assert len(evaluation.errors) <= 3
    model = SmallBertTextFilter.from_pretrained(summary.destination)
    shown = evaluation.errors
    assert (model.predict(shown["text"].tolist()) == shown["predicted"]).all()


def test_labels_of_a_file_are_read_in_the_type_of_the_model(tmp_path):
    rule = WordCountRule().fit(["Menu", "We make steel tools"], ["0", "1"])
    source = write_labels(tmp_path / "a.csv", ["Home", "We sell tea here"], [0, 1])
    assert evaluate_filter(rule, source).accuracy == 1
    source = write_labels(tmp_path / "a.csv", ["Home", "We sell tea here"], [0, 2])
    with pytest.raises(ValueError, match=r"a\.csv has the label '2', which the model does not"):
        evaluate_filter(rule, source)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (
            [0.5, 1.0],
            r"Row 1 of .*a\.parquet .* has 0\.5 in column 'label', which is not a label. Name",
        ),
        ([1.0, float("inf")], "Row 2 of .* has inf"),
        ([[0], [1]], r"has \[0\] in"),
        ([Decimal("0.5"), Decimal(1)], r"has Decimal\('0\.5'\)"),
        ([b"a", b"b"], r"has b'a'"),
        ([date(2026, 1, 1), date(2026, 1, 2)], r"has datetime\.date"),
    ],
)
def test_a_column_that_holds_no_labels_is_refused(tmp_path, labels, message):
    columns = {"text": ["Menu", "We sell tea"], "label": pa.array(labels, from_pandas=False)}
    pq.write_table(pa.table(columns), tmp_path / "a.parquet")
    with pytest.raises(ValueError, match=message):
        read_label_table(tmp_path / "a.parquet")


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (pa.array([Decimal(1), Decimal(0)], pa.decimal128(38, 0)), [1, 0]),
        (pa.array([Decimal("1.00"), Decimal(0)], pa.decimal256(60, 2)), [1, 0]),
        (pa.array([1.0, 0.0]), [1.0, 0.0]),
        (pa.array([True, False]), [True, False]),
        (pa.array(["1", "0"], pa.string_view()), [1, 0]),
        (pa.array(["01", "0"]).dictionary_encode(), ["01", "0"]),
        (pa.array([7, 5], pa.uint64()), [7, 5]),
        (pa.array(["a\0", "a"]), ["a\0", "a"]),
    ],
    ids=lambda value: str(getattr(value, "type", "")),
)
def test_labels_of_any_type_of_column(tmp_path, labels, expected):
    table = pa.table({"text": ["Menu", "We sell tea"], "label": labels})
    pq.write_table(table, tmp_path / "a.parquet")
    read = read_label_table(tmp_path / "a.parquet").labels.tolist()
    assert read == expected
    assert list(map(type, read)) == list(map(type, expected))


def test_training_labels_of_one_class_serve_no_baseline(tmp_path):
    rule = WordCountRule().fit(["Menu", "We make steel tools"], [0, 1])
    test = write_labels(tmp_path / "a.csv", ["Home", "We sell tea here"], [0, 1])
    train = write_labels(tmp_path / "b.csv", ["Menu", "Login"], [0, 0])
    with pytest.raises(ValueError, match=r"y_train has one class only \(0\)"):
        evaluate_filter(rule, test, train=train)


def test_a_missing_model_folder_is_told(tmp_path):
    with pytest.raises(FileNotFoundError, match="There is no model folder"):
        evaluate_filter(tmp_path / "none", tmp_path / "a.csv")


def test_the_bundled_filter_is_scored_on_labels(tmp_path):
    source = write_labels(tmp_path / "labels.csv", *make_website_snippets(100, random_state=7))
    evaluation = evaluate_filter("web", source)
    assert evaluation.n_learnt == 0
    assert evaluation.accuracy > 0.5


def test_texts_that_the_model_has_learnt_are_not_scored(trained, tmp_path):
    X, y, summary = trained
    new_X, new_y = make_website_snippets(120, random_state=7)
    mixed = write_labels(tmp_path / "mixed.csv", [*X[:50], *new_X], [*y[:50], *new_y])
    evaluation = evaluate_filter(summary.destination, mixed)
    known = set(X) & {*X[:50], *new_X}
    assert evaluation.n_learnt == len(known)
    assert not set(evaluation.errors.text) & known
    assert evaluation.n_distinct <= len(set(new_X) - known)
    warning = f"WARNING: the model was trained on {len(known)} distinct test texts, which are not"
    assert str(evaluation).startswith(warning)

    again = evaluate_filter(summary.destination, summary.source)
    assert again.all_learnt
    warning = f"WARNING: the model was trained on all {summary.distinct} distinct test texts."
    assert str(again).startswith(warning)
    assert "WARNING" not in str(evaluate_filter(summary.destination, mixed, train=summary.source))


def test_evaluate_takes_labels_in_other_spellings_and_names_those_it_does_not_know(tmp_path):
    rule = WordCountRule().fit(["View All", "We make steel tools"], ["discard", "keep"])
    source = write_labels(tmp_path / "a.csv", ["Menu", "We build large boats"], ["DISCARD", "Keep"])
    assert evaluate_filter(rule, source).accuracy == 1
    source = write_labels(tmp_path / "b.csv", ["Menu", "We build large boats"], [0, 1])
    with pytest.raises(ValueError, match=r"b\.csv has the label '0', which .* are discard, keep\."):
        evaluate_filter(rule, source)


def test_labels_that_cannot_be_learnt_are_refused_before_the_work(tmp_path):
    source = write_labels(tmp_path / "a.csv", ["Menu", "Home"], ["keep", "keep"])
    with pytest.raises(ValueError, match=r"All labels of .*a\.csv are 'keep'\. Label texts of ano"):
        train_filter(source, tmp_path / "model")
    source = write_labels(tmp_path / "b.csv", ["Menu", "Home", "Tea"], ["a", "b", "c"])
    with pytest.raises(ValueError, match=r"b\.csv has 3 different labels in 3 rows\. Name the col"):
        train_filter(source, tmp_path / "model")
