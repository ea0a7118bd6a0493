"""TF-IDF with shape, and the mean of it and a filter, as folders; and which of them is chosen."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import VotingClassifier
from sklearn.frozen import FrozenEstimator

from skbert_filter import DedupPredictor, SmallBertTextFilter, filter_corpus
from skbert_filter.bert.folder import check_can_save, write_metadata
from skbert_filter.corpus import load_classifier
from skbert_filter.datasets import make_website_snippets
from skbert_filter.inspection import tfidf_shape_baseline
from skbert_filter.labelling.choice import choose_model
from skbert_filter.labelling.train import train_filter
from skbert_filter.saved_models import load_saved, mean_of, save_classifier

PROBES = [
    "View All",
    "We make pumps of steel for farms.",
    "",
    "  a\tb ",
    "\ud800",
    "日本語のテキスト",
]
SMALL = SmallBertTextFilter(
    hidden_size=16, intermediate_size=32, num_hidden_layers=1, epochs=1, random_state=0
)


@pytest.fixture(scope="module")
def snippets():
    X, y = make_website_snippets(300, random_state=0)
    return list(X), np.where(y == 1, "keep", "discard")


@pytest.fixture(scope="module")
def tfidf(snippets):
    return tfidf_shape_baseline().fit(*snippets)


@pytest.fixture(scope="module")
def mean(snippets):
    return mean_of(SMALL, tfidf_shape_baseline()).fit(*snippets)


@pytest.mark.parametrize("name", ["tfidf", "mean"])
def test_what_is_loaded_predicts_as_what_was_saved(name, request, tmp_path):
    model = request.getfixturevalue(name)
    save_classifier(model, tmp_path / "model")
    loaded = load_saved(tmp_path / "model")
    np.testing.assert_array_equal(loaded.predict_proba(PROBES), model.predict_proba(PROBES))
    assert loaded.predict(PROBES).tolist() == model.predict(PROBES).tolist()
    assert loaded.classes_.tolist() == ["discard", "keep"]
    suffixes = {path.suffix for path in (tmp_path / "model").rglob("*") if path.is_file()}
    assert suffixes <= {".json", ".safetensors"}


def test_labels_keep_their_type(tmp_path):
    model = tfidf_shape_baseline().fit(["View All", "We make pumps.", "Menu"], [0, 1, 0])
    save_classifier(model, tmp_path / "model")
    assert load_saved(tmp_path / "model").predict(["Menu"]).dtype == np.dtype(int)


def test_a_folder_that_was_changed_is_refused(tfidf, tmp_path):
    save_classifier(tfidf, tmp_path / "model")
    path = tmp_path / "model" / "vocabularies.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    content["words"].reverse()
    path.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(ValueError, match=r"vocabularies\.json in .* is not the file"):
        load_saved(tmp_path / "model")
    path.unlink()
    with pytest.raises(ValueError, match=r"vocabularies.json is not a regular file"):
        load_saved(tmp_path / "model")


def test_a_saved_model_is_replaced_but_nothing_else_in_its_folder(mean, tmp_path):
    save_classifier(mean, tmp_path / "model")
    check_can_save(tmp_path / "model", "filter", overwrite=True)
    (tmp_path / "model" / "tfidf" / "notes.txt").write_text("precious")
    with pytest.raises(FileExistsError, match=r"holds tfidf/notes\.txt, which is not part"):
        check_can_save(tmp_path / "model", "filter", overwrite=True)


@pytest.mark.parametrize("name", ["tfidf", "mean"])
def test_the_commands_take_the_folder(name, request, tmp_path):
    model = request.getfixturevalue(name)
    save_classifier(model, tmp_path / "model")
    pd.DataFrame({"text": PROBES[:4]}).to_csv(tmp_path / "a.csv", index=False)
    filter_corpus(tmp_path / "model", tmp_path / "a.csv", tmp_path / "b.csv", keep="keep")
    kept = pd.read_csv(tmp_path / "b.csv", keep_default_na=False).text.tolist()
    assert kept == [text for text in PROBES[:4] if model.predict([text])[0] == "keep"]
    with pytest.raises(ValueError, match=f"of the kind '{name}', not a SmallBert.* Load it"):
        SmallBertTextFilter.from_pretrained(tmp_path / "model")
    loaded = load_classifier(tmp_path / "model")
    predictor = DedupPredictor(FrozenEstimator(loaded), store=tmp_path / "store.sqlite")
    assert predictor.predict(["Menu", "Menu"]).tolist() == loaded.predict(["Menu", "Menu"]).tolist()


class NoBetterThanChance(SmallBertTextFilter):
    """A filter that learns nothing of use."""

    def fit(self, X, y, **options):
        return super().fit(X, np.roll(y, len(y) // 3), **options)


def test_the_filter_is_chosen_unless_another_is_better_by_more_than_chance(snippets):
    texts, y = snippets
    web = {"bert": SmallBertTextFilter(random_state=0), "tfidf": tfidf_shape_baseline()}
    choice = choose_model(web, texts, y, random_state=0)
    assert choice.chosen == "bert"
    assert choice.test.p_value > 0.05 or choice.scores.accuracy.idxmax() == "bert"
    assert list(choice.scores.index) == ["bert", "tfidf", "vote"]
    assert str(choice).startswith("Chosen: SmallBertTextFilter, ")

    poor = {"bert": NoBetterThanChance(epochs=1, random_state=0), "tfidf": tfidf_shape_baseline()}
    choice = choose_model(poor, texts, y, random_state=0)
    assert choice.chosen in ("tfidf", "vote")
    assert choice.test.p_value < 0.05
    assert "by more than chance" in str(choice)


@pytest.mark.parametrize(("model", "kind"), [("tfidf", None), ("vote", VotingClassifier)])
def test_a_model_that_is_named_is_trained_and_saved(model, kind, snippets, tmp_path):
    texts, y = snippets
    pd.DataFrame({"text": texts, "label": y}).to_csv(tmp_path / "labels.csv", index=False)
    summary = train_filter(
        tmp_path / "labels.csv", tmp_path / "model", model=model, estimator=SMALL, random_state=0
    )
    assert summary.choice is None
    assert summary.keep == "keep"
    loaded = load_saved(tmp_path / "model")
    assert kind is None or isinstance(loaded, kind)
    assert loaded.training_record_["keep"] == "keep"
    np.testing.assert_array_equal(loaded.predict_proba(PROBES), summary.model.predict_proba(PROBES))


def test_held_out_rows_are_scored_and_not_learnt_from(snippets, tmp_path):
    texts, y = snippets
    held_out = np.arange(len(texts)) % 5 == 0
    frame = pd.DataFrame({"text": texts, "label": y, "held_out": held_out})
    frame.to_csv(tmp_path / "labels.csv", index=False)
    summary = train_filter(tmp_path / "labels.csv", tmp_path / "model", model="tfidf")
    held_texts = set(frame.text[held_out])
    assert summary.n_test <= len(held_texts)
    assert summary.n_test + summary.n_train <= frame.text.nunique()
    assert "marked in the column 'held_out'" in str(summary)


def test_whole_groups_are_held_out(snippets, tmp_path):
    texts, y = snippets
    frame = pd.DataFrame({"text": texts, "label": y, "page": np.arange(len(texts)) // 10})
    frame.to_csv(tmp_path / "labels.csv", index=False)
    summary = train_filter(
        tmp_path / "labels.csv", tmp_path / "model", groups="page", model="best", estimator=SMALL
    )
    assert "Whole groups are held out: the score is for new ones." in str(summary)
    plain = train_filter(tmp_path / "labels.csv", tmp_path / "plain", model="tfidf")
    assert "as groups (--groups COLUMN)" in str(plain)


def test_a_label_to_keep_that_is_not_there_is_refused(snippets, tmp_path):
    texts, y = snippets
    pd.DataFrame({"text": texts, "label": y}).to_csv(tmp_path / "labels.csv", index=False)
    with pytest.raises(ValueError, match="There is no label 'good' to keep"):
        train_filter(tmp_path / "labels.csv", tmp_path / "model", keep="good")


@pytest.fixture(scope="module")
def trained(snippets, tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    texts, y = snippets
    pd.DataFrame({"text": texts, "label": y}).to_csv(folder / "labels.csv", index=False)
    pd.DataFrame({"text": [*texts, "Menu"]}).to_csv(folder / "corpus.csv", index=False)
    train_filter(folder / "labels.csv", folder / "model", estimator=SMALL, random_state=0)
    return folder


def test_a_threshold_is_chosen_by_recall_or_precision_on_texts_out_of_fold(trained, tmp_path):
    kept = {}
    for aim, value in [("recall", 0.5), ("recall", 0.95), ("precision", 0.9), ("precision", 0.5)]:
        summary = filter_corpus(
            trained / "model",
            trained / "corpus.csv",
            tmp_path / f"{aim}{value}.csv",
            **{aim: value},
        )
        chosen = summary.chosen
        assert chosen.achieved >= value
        assert chosen.low < chosen.achieved <= chosen.high
        assert summary.threshold == chosen.threshold
        assert str(chosen) in str(summary)
        kept[aim, value] = summary.kept
    assert kept["recall", 0.95] > kept["recall", 0.5]
    assert kept["precision", 0.5] >= kept["precision", 0.9]

    record = load_saved(trained / "model").training_record_["out_of_fold"]
    texts = pd.read_csv(trained / "labels.csv").drop_duplicates("text")
    assert len(texts) - 3 <= chosen.n_texts <= len(texts)
    assert record["useful"].count("1") == pytest.approx((texts.label == "keep").sum(), abs=3)


@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        ("web", {"recall": 0.9}, "has no out-of-fold probabilities"),
        (None, {"recall": 0.9, "threshold": 0.5}, "threshold and recall were passed"),
        (None, {"recall": 0.9, "keep": "discard"}, "those of the label 'keep', but keep is 'disc"),
        (None, {"recall": 2}, "recall == 2"),
    ],
)
def test_a_threshold_that_cannot_be_chosen_is_refused(trained, tmp_path, model, options, message):
    model = model or trained / "model"
    with pytest.raises(ValueError, match=message):
        filter_corpus(model, trained / "corpus.csv", tmp_path / "kept.csv", **options)
    assert not list(tmp_path.iterdir())


def test_too_few_held_out_rows_are_no_test(snippets, tmp_path):
    texts, y = snippets
    frame = pd.DataFrame({"text": texts, "label": y, "held_out": np.arange(len(texts)) < 3})
    frame.to_csv(tmp_path / "labels.csv", index=False)
    summary = train_filter(tmp_path / "labels.csv", tmp_path / "model", model="tfidf")
    assert summary.n_test > 30
    assert "and 5 of each are needed to score on" in str(summary)


def test_a_member_that_was_exchanged_is_refused(mean, tmp_path):
    save_classifier(mean, tmp_path / "model")
    other = tfidf_shape_baseline().fit(["Menu", "We make pumps."], ["keep", "discard"])
    shutil.rmtree(tmp_path / "model" / "tfidf")
    with pytest.raises(ValueError, match=r"tfidf/ in .* is not the classifier that was saved"):
        load_saved(tmp_path / "model")
    save_classifier(other, tmp_path / "model" / "tfidf")
    with pytest.raises(ValueError, match=r"tfidf/ in .* is not the classifier that was saved"):
        load_saved(tmp_path / "model")


@pytest.mark.parametrize("change", [{"members": None}, {"classes": "keep"}, {"training_record": 1}])
def test_metadata_of_another_form_are_refused(mean, tmp_path, change):
    save_classifier(mean, tmp_path / "model")
    path = tmp_path / "model" / "skbert_filter.json"
    metadata = json.loads(path.read_text(encoding="utf-8"))
    path.unlink()
    write_metadata(tmp_path / "model", {**metadata, **change, "sha256": {}})
    with pytest.raises(ValueError, match=f"has {next(iter(change))}="):
        load_saved(tmp_path / "model")
