"""The bundled filter: what it is, what it does without labels, and fits that start from it."""

import hashlib
import json
import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from skbert_filter import SmallBertTextFilter
from skbert_filter.bert import folder as folders
from skbert_filter.bert.checkpoint import load_checkpoint
from skbert_filter.cli.app import app
from skbert_filter.datasets import make_website_snippets

WEB = folders.BUNDLED["web"]
GOLDEN = json.loads((Path(__file__).parent / "golden" / "web_snippets.json").read_text("utf-8"))
RUSSIAN = ["Мы более тридцати лет строим машины", "Добавить в корзину", "Политика", "Подробнее"]


@pytest.fixture(scope="module")
def web():
    return SmallBertTextFilter.from_pretrained("web")


@pytest.fixture(scope="module")
def hundred():
    return make_website_snippets(100, random_state=0)


@pytest.fixture(scope="module")
def fitted(hundred):
    """Return a filter at its defaults, fitted on 100 labels; not to be changed by a test."""
    return SmallBertTextFilter(random_state=0).fit(*hundred)


# --- the bundled filter


def test_it_tells_main_text_from_the_rest_without_a_label(web):
    assert web.classes_.tolist() == [0, 1]
    assert (web.predict(GOLDEN["keep"]) == 1).mean() > 0.75
    assert (web.predict(GOLDEN["discard"]) == 0).mean() > 0.75


def test_it_is_the_one_that_was_published():
    hashes = {
        name: hashlib.sha256((WEB / name).read_bytes()).hexdigest()
        for name in ("config.json", "tokenizer.json")
    }
    assert hashes == {
        "config.json": "b57004d997722e514eff01087f6de079e2872399ed24ce53a3fad72b80010892",
        "tokenizer.json": "de66c72a4ebf804702cf9e314332b37bd18c483c7273ab5990e620ad445a2462",
    }


def test_its_card_names_sources_and_licences():
    card = (WEB / "README.md").read_text("utf-8")
    for part in ("CC-BY-4.0", "MIT", "Apache-2.0", "make_web.py"):
        assert part in card


def test_it_is_small():
    assert sum(file.stat().st_size for file in WEB.iterdir()) < 2.6e6


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "skbert_filter.json"])
def test_a_damaged_one_is_refused(name, tmp_path, monkeypatch, hundred):
    damaged = tmp_path / "web"
    shutil.copytree(WEB, damaged)
    content = (damaged / name).read_bytes()
    (damaged / name).write_bytes(content[: len(content) // 2])
    monkeypatch.setitem(folders.BUNDLED, "web", damaged)
    with pytest.raises(ValueError, match=name):
        SmallBertTextFilter.from_pretrained("web")
    with pytest.raises(ValueError, match=name):
        SmallBertTextFilter().fit(*hundred)


# --- what a fit starts from


def test_a_fit_starts_from_it_by_default(fitted):
    record = fitted.training_record_
    assert record["checkpoint"]["source"] == "web"
    assert record["checkpoint"]["fingerprint"] == load_checkpoint("web").fingerprint
    assert record["reading"]["unknown_tokens"] < 0.05
    assert fitted._state.architecture.hidden_size == 64
    # all labels are learnt, in a few passes
    assert record["validated_on"] == 0
    assert fitted.n_iter_ == 8


def test_a_hundred_labels_are_enough_to_be_right(fitted):
    X, y = make_website_snippets(600, random_state=1)
    assert fitted.score(X, y) > 0.85


@pytest.mark.parametrize("n_texts", [20, 50])
def test_few_labels_do_not_end_in_one_class(n_texts):
    X, y = make_website_snippets(n_texts, random_state=3)
    model = SmallBertTextFilter(random_state=0).fit(X, y)
    X, y = make_website_snippets(400, random_state=1)
    predicted = model.predict(X)
    assert 0.1 < (predicted == 1).mean() < 0.9
    assert (predicted == y).mean() > 0.75


def test_either_class_may_be_the_one_to_keep(fitted, hundred):
    X, y = hundred
    names = np.where(y == 1, "article", "menu")  # sorted the other way round
    model = SmallBertTextFilter(random_state=0).fit(X, names)
    expected = fitted.predict_proba(X)
    np.testing.assert_allclose(model.predict_proba(X), expected[:, ::-1], atol=0.02)


@pytest.mark.parametrize(
    ("parameters", "size"),
    [
        ({"checkpoint": None}, (32, 128, 4, 4)),
        ({"hidden_size": 32}, (32, 128, 4, 4)),
        ({"num_hidden_layers": 1, "hidden_size": 16}, (16, 64, 1, 4)),
        ({"vocab_size": 500}, (32, 128, 4, 4)),
        ({"tokenizer": "corpus"}, (32, 128, 4, 4)),
        ({"lowercase": True}, (32, 128, 4, 4)),
        ({"max_length": 101}, (32, 128, 4, 4)),
        ({"checkpoint": "web"}, (64, 256, 2, 4)),
        ({"checkpoint": "web", "hidden_size": 64}, (64, 256, 2, 4)),
        ({"max_length": 50}, (64, 256, 2, 4)),
    ],
)
def test_a_size_or_tokenizer_that_is_set_means_random_weights(parameters, size, hundred):
    X, y = hundred
    model = SmallBertTextFilter(**parameters, epochs=1, random_state=0).fit(X[:40], y[:40])
    a = model._state.architecture
    assert size == (
        a.hidden_size,
        a.intermediate_size,
        a.num_hidden_layers,
        a.num_attention_heads,
    )
    assert (model.training_record_["checkpoint"] is None) == (size[0] != 64)


def test_a_size_that_contradicts_it_is_refused(hundred):
    with pytest.raises(ValueError, match="hidden_size=32 contradicts checkpoint='web'"):
        SmallBertTextFilter(checkpoint="web", hidden_size=32).fit(*hundred)


def test_texts_that_it_cannot_read_are_learnt_from_random_weights():
    y = [1, 0, 0, 0]
    with pytest.warns(UserWarning, match=r"cannot read these texts: .* pieces"):
        model = SmallBertTextFilter(epochs=1, random_state=0).fit(RUSSIAN, y)
    assert model.training_record_["checkpoint"] is None
    assert model.training_record_["reading"]["pieces_per_word"] > 1.9
    assert json.loads(json.dumps(model.training_record_)) == model.training_record_
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        obeyed = SmallBertTextFilter(checkpoint="web", epochs=1, random_state=0).fit(RUSSIAN, y)
        SmallBertTextFilter(checkpoint=None, epochs=1, random_state=0).fit(RUSSIAN, y)
    assert obeyed.training_record_["checkpoint"]["source"] == "web"


def test_many_classes_start_from_its_encoder():
    X = [f"{word} number {i}" for word in ("pump", "menu", "valve") for i in range(20)]
    y = np.repeat(["a", "b", "c"], 20)
    model = SmallBertTextFilter(epochs=2, random_state=0).fit(X, y)
    assert model.training_record_["checkpoint"]["source"] == "web"
    assert model.predict_proba(X).shape == (60, 3)


def test_a_fitted_filter_is_a_start_for_new_labels(fitted, tmp_path, hundred):
    fitted.save_pretrained(tmp_path / "model")
    X, y = make_website_snippets(40, random_state=5)
    further = SmallBertTextFilter(checkpoint=tmp_path / "model", random_state=0).fit(X, y)
    # what it knew is not forgotten
    assert further.score(*hundred) > 0.85


# --- by name


def test_the_command_line_knows_it_by_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    texts = [*GOLDEN["keep"], *GOLDEN["discard"]] * 2
    (tmp_path / "corpus.txt").write_text("\n".join(texts) + "\n", encoding="utf-8")
    app(["predict", "web", "corpus.txt", "-o", "kept.txt"], standalone_mode=False)
    kept = (tmp_path / "kept.txt").read_text("utf-8").splitlines()
    expected = SmallBertTextFilter.from_pretrained("web").predict(texts) == 1
    assert kept == [text for text, keep in zip(texts, expected, strict=True) if keep]


def test_a_saved_folder_of_that_name_comes_first_where_it_is_asked_for(
    binary, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "web").mkdir()  # pages, perhaps
    assert SmallBertTextFilter.from_pretrained("web").classes_.tolist() == [0, 1]
    (tmp_path / "web").rmdir()
    binary.save_pretrained("web")
    assert SmallBertTextFilter.from_pretrained("web").fingerprint_ == binary.fingerprint_
    X, y = make_website_snippets(40, random_state=0)
    by_default = SmallBertTextFilter(epochs=1, random_state=0).fit(X, y)
    assert by_default._state.architecture.hidden_size == 64


def test_a_fit_begins_with_the_score_scaled_to_the_labels_and_ends_less_sure(web):
    X, y = make_website_snippets(300, random_state=0)
    X, first = np.unique(X, return_index=True)
    y = y[first]
    score = web.decision_function(X)[:, None]
    scaled = LogisticRegression().fit(score, y).decision_function(score)

    # A rate so small that nothing is learnt, and a loss that is a proper score.
    model = SmallBertTextFilter(
        learning_rate=1e-12, epochs=1, focal_gamma=0, label_smoothing=0, random_state=0
    )
    found = model.fit(X, y).decision_function(X)
    np.testing.assert_allclose(1.2 * found, scaled, atol=1e-3)
