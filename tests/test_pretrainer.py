"""Pretraining, from texts to a saved encoder."""

import json
import pickle
import random
import signal
import subprocess
import sys
import textwrap
from itertools import count, permutations

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from safetensors.numpy import load_file
from scipy.special import expit
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from tokenizers import Tokenizer

from skbert_filter import PretrainingSummary, SmallBertPretrainer, SmallBertTextFilter
from skbert_filter.bert import pretraining_task
from skbert_filter.bert.checkpoint import load_checkpoint
from skbert_filter.bert.checkpointing import Snapshots
from skbert_filter.corpus import load_classifier
from skbert_filter.datasets import make_website_corpus, make_website_snippets
from skbert_filter.labelling.pretrain import pretrain_encoder
from skbert_filter.pretrainer import distinct_texts

TINY = {
    "vocab_size": 300,
    "max_length": 32,
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "epochs": 2,
    "batch_size": 16,
    "learning_rate": 0.005,
    "random_state": 0,
}
MACHINES, LINKS = (
    words.split()
    for words in (
        "pumps valves gears motors boilers turbines bearings filters heaters cables drills presses",
        "menu cart login page search contact imprint sitemap newsletter account basket archive",
    )
)
# Runs in other processes too, with the same texts and parameters.
COMMON = f"""
from skbert_filter import SmallBertPretrainer
from skbert_filter.datasets import make_website_corpus
texts = make_website_corpus(600, random_state=0)
pretrainer = SmallBertPretrainer(**{TINY!r})
"""


@pytest.fixture(scope="module")
def texts():
    return make_website_corpus(600, random_state=0)


@pytest.fixture(scope="module")
def fitted(texts):
    """Return a pretrainer fitted on the texts, which tests must not change."""
    return SmallBertPretrainer(**TINY).fit(texts)


@pytest.fixture(scope="module")
def saved(fitted, tmp_path_factory):
    """Return its folder."""
    folder = tmp_path_factory.mktemp("saved") / "encoder"
    fitted.save_pretrained(folder)
    return folder


def run_python(code, **kwargs):
    return subprocess.run(
        [sys.executable, "-c", COMMON + textwrap.dedent(code)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        **kwargs,
    )


# --- what is learnt


def tokenizer_of(pretrainer):
    return Tokenizer.from_str(pretrainer.encoder_.tokenizer_json)


def unigram_entropy(pretrainer, texts):
    tokenizer = tokenizer_of(pretrainer)
    ids = np.concatenate([tokenizer.encode(t, add_special_tokens=False).ids for t in set(texts)])
    share = np.bincount(ids.astype(int))
    share = share[share > 0] / share.sum()
    return -(share * np.log(share)).sum()


@pytest.fixture(scope="module")
def learnt():
    """Return sentences of two kinds, and a pretrainer that has read them often enough."""
    sentences = [f"We build {a} and {b} for farms." for a, b in permutations(MACHINES, 2)]
    sentences += [f"Go to {a} or {b} now" for a, b in permutations(LINKS, 2)]
    longer = {**TINY, "epochs": 15, "learning_rate": 0.01}
    return sentences, SmallBertPretrainer(**longer).fit(sentences)


def test_the_loss_falls_below_that_of_token_frequencies(learnt):
    sentences, pretrainer = learnt
    entropy = unigram_entropy(pretrainer, sentences)
    assert pretrainer.history_["tokens_loss"][-1] < 0.6 * entropy


@pytest.fixture
def sampling(monkeypatch):
    """Make vocabularies large."""
    monkeypatch.setattr(pretraining_task, "N_FREQUENT", 40)
    monkeypatch.setattr(pretraining_task, "N_SAMPLED", 20)


def test_a_large_vocabulary_is_learnt_by_a_sampled_softmax(learnt, sampling):
    sentences, of_all = learnt
    pretrainer = clone(of_all).fit(sentences)
    loss = pretrainer.history_["tokens_loss"][-1]
    assert loss < 0.6 * unigram_entropy(pretrainer, sentences)
    assert loss == pytest.approx(of_all.history_["tokens_loss"][-1], rel=0.15)


def test_a_sampled_softmax_is_reproducible(fitted, texts, sampling, tmp_path, monkeypatch):
    monkeypatch.setattr(Snapshots, "every", 3)
    sampled = SmallBertPretrainer(**TINY).fit(texts)
    assert sampled.encoder_ != fitted.encoder_
    unfinished = SmallBertPretrainer(**TINY, checkpoint_dir=tmp_path / "state")
    with pytest.raises(KeyboardInterrupt):
        clone(unfinished).set_callbacks(Watching(fail_after=1)).fit(texts)
    assert unfinished.fit(texts).encoder_ == sampled.encoder_


def test_a_filter_generalizes_from_few_labels(learnt):
    _, pretrainer = learnt
    labelled, others = (
        ([*MACHINES[part], *LINKS[part]], [1] * len(MACHINES[part]) + [0] * len(LINKS[part]))
        for part in (slice(3), slice(3, None))
    )
    sizes = ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads")
    common = {
        **{name: TINY[name] for name in sizes},
        **{"max_length": 32, "epochs": 40, "batch_size": 6, "learning_rate": 0.005},
        **{"early_stopping": False, "random_state": 0},
    }
    from_random = SmallBertTextFilter(tokenizer=tokenizer_of(pretrainer), **common).fit(*labelled)
    pretrained = SmallBertTextFilter(checkpoint=pretrainer.encoder_, **common).fit(*labelled)
    assert from_random.score(*labelled) == pretrained.score(*labelled) == 1
    assert pretrained.score(*others) > from_random.score(*others) + 0.15


def test_what_fit_learns(fitted, texts):
    n_distinct = len(set(texts))
    record = fitted.training_record_
    assert fitted.n_iter_ == 2
    assert sorted(fitted.history_) == ["learning_rate", "loss", "targets_loss", "tokens_loss"]
    assert len(fitted.history_["loss"]) == 2
    assert fitted.history_["learning_rate"][-1] == pytest.approx(0, abs=1e-9)
    assert (record["texts"], record["distinct"]) == (600, n_distinct)
    assert record["steps"] == 2 * -(-record["trained_on"] // 16)
    assert json.loads(json.dumps(record)) == record
    encoder = fitted.encoder_
    assert encoder.architecture.hidden_size == 16
    assert encoder.architecture.vocab_size <= 300
    assert encoder.architecture.max_position_embeddings == 32
    shapes = encoder.architecture.weight_shapes()
    assert {name: weight.shape for name, weight in encoder.weights.items()} == shapes
    assert not hasattr(fitted, "filter_")
    assert repr(encoder).startswith("<PretrainedEncoder ")


def test_copies_of_a_text_count_once(fitted, texts):
    distinct = list(dict.fromkeys(texts))
    assert len(distinct) < len(texts)
    assert SmallBertPretrainer(**TINY).fit(distinct).encoder_ == fitted.encoder_


@pytest.mark.parametrize(
    "container",
    [
        lambda texts: pd.DataFrame({"text": texts}),
        lambda texts: pa.array(texts),
        lambda texts: (text for text in texts),
        lambda texts: (texts[i : i + 70] for i in range(0, len(texts), 70)),
        lambda texts: (pa.chunked_array([texts[i : i + 300]]) for i in (0, 300)),
    ],
    ids=["table", "Arrow", "stream", "batches", "Arrow batches"],
)
def test_containers_and_streams_give_the_same_texts(container, texts):
    distinct, n_texts = distinct_texts(container(texts))
    assert distinct == list(dict.fromkeys(texts))
    assert n_texts == 600


def test_a_stream_gives_the_same_encoder(fitted, texts):
    streamed = SmallBertPretrainer(**TINY).fit(texts[i : i + 100] for i in range(0, 600, 100))
    assert streamed.encoder_ == fitted.encoder_
    assert streamed.training_record_["texts"] == 600


def test_another_seed_gives_another_encoder(fitted, texts):
    other = SmallBertPretrainer(**{**TINY, "random_state": 1}).fit(texts)
    assert other.encoder_ != fitted.encoder_
    assert other.encoder_.tokenizer_json == fitted.encoder_.tokenizer_json


def test_no_global_state_is_touched(texts):
    import keras

    def state():
        numpy_state = np.random.get_state()[1].tolist()  # noqa: NPY002
        return random.getstate(), numpy_state, keras.config.floatx(), keras.config.backend()

    before = state()
    SmallBertPretrainer(**TINY).set_params(max_steps=1).fit(texts)
    assert state() == before


# --- labels and a teacher


@pytest.fixture(scope="module")
def labelled(texts):
    """Return labelled and then unlabelled texts, and a pretrainer fitted on them."""
    X, y = make_website_snippets(300, random_state=0)
    X, y = [*X, *texts], [*y.tolist(), *[None] * len(texts)]
    return X, y, SmallBertPretrainer(**{**TINY, "epochs": 6}).fit(X, y)


def test_labels_make_a_filter_that_classifies_at_once(labelled, tmp_path):
    _, _, pretrainer = labelled
    X, y = make_website_snippets(300, random_state=1)
    assert pretrainer.classes_.tolist() == [0, 1]
    assert pretrainer.training_record_["labelled"] > 200
    assert pretrainer.history_["labels_loss"][-1] < 0.6
    model = pretrainer.filter_
    assert model.score(X, y) > 0.8
    # its loss is a proper scoring rule, which needs no correction
    raw = expit(model.decision_function(X))
    np.testing.assert_allclose(model.predict_proba(X)[:, 1], raw, atol=1e-6)
    model.save_pretrained(tmp_path / "filter")
    loaded = SmallBertTextFilter.from_pretrained(tmp_path / "filter")
    np.testing.assert_array_equal(loaded.predict_proba(X), model.predict_proba(X))


def test_a_filter_starts_from_the_pretrained_head(labelled, tmp_path):
    _, _, pretrainer = labelled
    X, y = make_website_snippets(20, random_state=2)
    pretrainer.save_pretrained(tmp_path / "encoder")
    pretrainer.filter_.save_pretrained(tmp_path / "filter")
    common = {"max_length": 32, "epochs": 1, "learning_rate": 1e-6, "random_state": 0}
    models = [
        SmallBertTextFilter(checkpoint=checkpoint, **common).fit(X, y)
        for checkpoint in (pretrainer.encoder_, tmp_path / "encoder", tmp_path / "filter")
    ]
    fresh = make_website_snippets(200, random_state=3)[0]
    scores = [model.decision_function(fresh) for model in models]
    np.testing.assert_array_equal(scores[0], scores[1])
    np.testing.assert_array_equal(scores[0], scores[2])
    # such a small step does not change the order of the texts
    expected = pretrainer.filter_.decision_function(fresh)
    assert np.corrcoef(scores[0], expected)[0, 1] > 0.999


def test_missing_labels_may_be_none_or_nan_and_labels_stay_integers(labelled):
    X, y, pretrainer = labelled
    again = SmallBertPretrainer(**{**TINY, "epochs": 6}).fit(X, pd.Series(y, dtype=float))
    assert again.classes_.tolist() == [0, 1]
    assert again.classes_.dtype.kind == "i"
    assert again.encoder_ == pretrainer.encoder_


def test_a_text_with_two_labels_is_learnt_as_a_mixture():
    X = ["Read more", "Read more", "Read more", "We build pumps.", "View all", "Other"]
    y = ["keep", "drop", "drop", "keep", "drop", None]
    from skbert_filter.pretrainer import _label_shares

    classes, shares = _label_shares(X, y, str, list(dict.fromkeys(X)))
    assert classes.tolist() == ["drop", "keep"]
    np.testing.assert_allclose(shares, [[2 / 3, 1 / 3], [0, 1], [1, 0], [0, 0]], atol=1e-6)


@pytest.mark.parametrize(
    ("y", "said"),
    [
        ([None] * 3, "all are missing"),
        ([1, None, 1], "one class only"),
        ([1, 0], "y has 2 labels, but X has 3 rows"),
        ([1, "a", None], "mixes labels"),
    ],
)
def test_unusable_labels_are_rejected(y, said):
    with pytest.raises(ValueError, match=said):
        SmallBertPretrainer(**TINY).fit(["We build pumps.", "View all", "Menu"], y)


def test_a_stream_cannot_have_labels():
    with pytest.raises(TypeError, match="a stream, which cannot have labels"):
        SmallBertPretrainer(**TINY).fit(iter(["We build pumps.", "View all"]), [1, 0])


def test_a_teacher_is_learnt_from(fitted, texts):
    taught = SmallBertPretrainer(**TINY, teacher=fitted.encoder_).fit(texts)
    assert taught.encoder_ != fitted.encoder_
    assert taught.history_["targets_loss"][-1] < taught.history_["targets_loss"][0]
    expected = {"source": "SmallBertPretrainer", "layer": 1}
    assert taught.training_record_["teacher"].items() >= expected.items()


def test_an_unusable_teacher_is_rejected(fitted, texts, tmp_path):
    with pytest.raises(
        ValueError, match="teacher_layer=2, but teacher='SmallBertPretrainer' has 1"
    ):
        SmallBertPretrainer(**TINY, teacher=fitted.encoder_, teacher_layer=2).fit(texts)
    with pytest.raises(FileNotFoundError, match=r"teacher='.*none' is not"):
        SmallBertPretrainer(**TINY, teacher=tmp_path / "none").fit(texts)
    other = tmp_path / "other"
    fitted.save_pretrained(other)
    (other / "skbert_filter.json").unlink()
    config = json.loads((other / "config.json").read_text())
    (other / "config.json").write_text(json.dumps({**config, "model_type": "roberta"}))
    with pytest.raises(ValueError, match=r"teacher='.*other'.* has model_type='roberta'"):
        SmallBertPretrainer(**TINY, teacher=other).fit(texts)


def test_an_interrupted_pass_of_the_teacher_resumes(fitted, texts, tmp_path):
    class Stop(Watching):
        def on_fit_task_end(self, estimator, context):
            raise KeyboardInterrupt

    folder = tmp_path / "state"
    taught = SmallBertPretrainer(**TINY, teacher=fitted.encoder_, checkpoint_dir=folder)
    with pytest.raises(KeyboardInterrupt):
        clone(taught).set_callbacks(Stop()).fit(texts)
    assert {file.suffix for file in folder.iterdir()} == {".npy"}
    assert (
        taught.fit(texts).encoder_
        == clone(taught).set_params(checkpoint_dir=None).fit(texts).encoder_
    )
    assert not folder.exists()


# --- limits of steps and time


def test_steps_can_be_limited(texts):
    pretrainer = SmallBertPretrainer(**{**TINY, "epochs": 9, "max_steps": 30}).fit(texts)
    per_epoch = -(-pretrainer.training_record_["trained_on"] // 16)
    assert pretrainer.training_record_["steps"] == 30
    assert pretrainer.n_iter_ == -(-30 // per_epoch)
    assert pretrainer.history_["learning_rate"][-1] == pytest.approx(0, abs=1e-9)


def test_time_can_be_limited(texts):
    pretrainer = SmallBertPretrainer(**{**TINY, "max_seconds": 1e-9}).fit(texts)
    assert pretrainer.training_record_["steps"] == 1
    assert pretrainer.n_iter_ == 1
    assert np.isfinite(pretrainer.encoder_.weights["bert.embeddings.LayerNorm.bias"]).all()


def test_the_learning_rate_decays_over_the_steps_that_fit_in_the_time(texts, monkeypatch):
    from skbert_filter import pretrainer as module
    from skbert_filter.bert import pretraining

    seconds = count()  # a clock on which each step takes a second
    for place in (module, pretraining):
        monkeypatch.setattr(place, "monotonic", lambda: float(next(seconds)))
    pretrainer = SmallBertPretrainer(**{**TINY, "epochs": 99, "max_seconds": 40}).fit(texts)
    assert 30 < pretrainer.training_record_["steps"] <= 41
    assert pretrainer.history_["learning_rate"][-1] < 0.02 * TINY["learning_rate"]


class Watching:
    """A callback of scikit-learn that counts epochs, and stops or fails after some."""

    def __init__(self, stop_after=None, fail_after=None):
        self.stop_after, self.fail_after = stop_after, fail_after
        self.ended, self.fitted = 0, []

    def setup(self, estimator, context):
        pass

    def teardown(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context):
        pass

    def on_fit_task_end(self, estimator, context, *, fitted_estimator):
        if context.task_name != "epoch":
            return False
        self.ended += 1
        self.fitted.append(fitted_estimator)
        if self.ended == self.fail_after:
            raise KeyboardInterrupt
        return self.ended == self.stop_after


def test_callbacks_of_scikit_learn_see_each_epoch_and_may_stop(texts):
    watching = Watching(stop_after=2)
    pretrainer = SmallBertPretrainer(**{**TINY, "epochs": 5}).set_callbacks(watching)
    pretrainer.fit(text for text in texts)
    assert watching.ended == pretrainer.n_iter_ == 2
    assert watching.fitted[1].encoder_ == pretrainer.encoder_
    assert watching.fitted[0].encoder_ != pretrainer.encoder_


def test_an_interruption_leaves_the_estimator_as_it_was(texts):
    pretrainer = SmallBertPretrainer(**{**TINY, "max_steps": 2}).fit(texts)
    before = pickle.dumps(pretrainer)
    pretrainer.set_callbacks(Watching(fail_after=1))
    with pytest.raises(KeyboardInterrupt):
        pretrainer.fit(texts[:300])
    assert pickle.dumps(pretrainer.set_callbacks()) == before


def test_progress_and_loss_are_shown_on_request(texts, capsys):
    SmallBertPretrainer(**{**TINY, "max_steps": 3}).fit(texts)
    assert capsys.readouterr().out == ""
    SmallBertPretrainer(**{**TINY, "max_steps": 3, "verbose": 1}).fit(texts)
    shown = capsys.readouterr().out
    assert "3/3" in shown
    assert "loss: " in shown


# --- resuming


def test_a_killed_training_resumes_with_the_same_result(fitted, texts, tmp_path):
    folder = tmp_path / "state"
    per_epoch = -(-fitted.training_record_["trained_on"] // 16)
    # The last snapshot is within the first epoch.
    every = (per_epoch - 1) // 2
    killed = run_python(
        f"""
        import os, signal
        class Kill:
            setup = teardown = on_fit_task_begin = lambda *args, **kwargs: None
            def on_fit_task_end(self, estimator, context):
                if context.task_name == "epoch":
                    os.kill(os.getpid(), signal.SIGKILL)
        from skbert_filter.bert.checkpointing import Snapshots
        Snapshots.every = {every}
        pretrainer.set_params(checkpoint_dir={str(folder)!r})
        pretrainer.set_callbacks(Kill()).fit(texts)
        """
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert [file.name for file in folder.iterdir()] == ["pretraining.safetensors"]

    pretrainer = SmallBertPretrainer(**TINY).set_params(checkpoint_dir=folder)
    with pytest.raises(ValueError, match="with other texts or parameters: learning_rate was"):
        clone(pretrainer).set_params(learning_rate=0.1).fit(texts)
    with pytest.raises(ValueError, match="the texts differ"):
        clone(pretrainer).fit(texts[:-200])

    resumed = run_python(
        f"""
        import json
        # What does not change the result may be changed.
        pretrainer.set_params(checkpoint_dir={str(folder)!r}, verbose=2)
        pretrainer.fit(texts)
        record = pretrainer.training_record_
        print(json.dumps([pretrainer.encoder_.fingerprint, pretrainer.history_, record["steps"]]))
        """
    )
    assert resumed.returncode == 0, resumed.stderr
    *shown, result = resumed.stdout.splitlines()
    left = per_epoch - 2 * every
    assert f"{left}/{left} - " in shown[0]
    assert json.loads(result) == [
        fitted.encoder_.fingerprint,
        fitted.history_,
        fitted.training_record_["steps"],
    ]
    assert not folder.exists()


def test_a_training_without_a_seed_resumes_too(texts, tmp_path):
    arguments = {**TINY, "random_state": None, "checkpoint_dir": tmp_path / "state"}
    pretrainer = SmallBertPretrainer(**arguments).set_callbacks(Watching(fail_after=2))
    with pytest.raises(KeyboardInterrupt):
        pretrainer.fit(texts)
    watching = Watching()
    pretrainer.set_callbacks(watching).fit(texts)
    assert watching.ended == 1
    assert pretrainer.n_iter_ == 2
    assert len(pretrainer.history_["loss"]) == 2
    again = SmallBertPretrainer(**arguments).fit(texts)
    assert again.encoder_ != pretrainer.encoder_


# --- copies and folders


def test_it_is_cloned_and_pickled_as_scikit_learn_expects(fitted):
    assert clone(fitted).get_params() == fitted.get_params()
    assert not hasattr(clone(fitted), "encoder_")
    again = pickle.loads(pickle.dumps(fitted))
    assert again.encoder_ == fitted.encoder_
    assert again.history_ == fitted.history_


def test_the_folder_is_that_of_a_masked_language_model(fitted, saved):
    assert sorted(file.name for file in saved.iterdir()) == [
        "config.json",
        "model.safetensors",
        "skbert_filter.json",
        "tokenizer.json",
        "tokenizer_config.json",
    ]
    config = json.loads((saved / "config.json").read_text())
    assert config["architectures"] == ["BertForMaskedLM"]
    assert config["tie_word_embeddings"] is True
    assert config["hidden_size"] == 16
    weights = load_file(saved / "model.safetensors")
    width, n_words = 16, fitted.encoder_.architecture.vocab_size
    head = {name: w.shape for name, w in weights.items() if name not in fitted.encoder_.weights}
    # The decoder is the word embedding and is not saved twice.
    assert head == {
        "cls.predictions.bias": (n_words,),
        "cls.predictions.transform.dense.weight": (width, width),
        "cls.predictions.transform.dense.bias": (width,),
        "cls.predictions.transform.LayerNorm.weight": (width,),
        "cls.predictions.transform.LayerNorm.bias": (width,),
    }


def test_a_saved_encoder_round_trips(fitted, saved):
    assert load_checkpoint(saved) == fitted.encoder_


def test_a_filter_starts_from_the_encoder_or_its_folder(fitted, saved):
    X, y = make_website_snippets(80, random_state=0)
    model = SmallBertTextFilter(checkpoint=fitted.encoder_, max_length=32, epochs=1, random_state=0)
    by_value = model.fit(X, y).decision_function(X)
    by_folder = model.set_params(checkpoint=saved).fit(X, y).decision_function(X)
    np.testing.assert_array_equal(by_value, by_folder)


def test_the_tokenizer_gives_the_same_ids_in_transformers(fitted, saved):
    from transformers import AutoTokenizer

    from skbert_filter.bert.tokenizer import encode, load_tokenizer

    texts = ["View All", "We build pumps in Zürich.", "日本語", ""]
    ours = encode(load_tokenizer(saved), texts, 32)
    theirs = AutoTokenizer.from_pretrained(saved)(texts)["input_ids"]
    assert ours.flat.tolist() == [i for ids in theirs for i in ids]


def test_transformers_computes_the_same_logits(fitted, saved):
    torch = pytest.importorskip("torch", reason="compares with torch, which is not installed")
    from transformers import AutoTokenizer, BertForMaskedLM

    from skbert_filter.bert.pretraining import BertForPretraining as OurBert

    theirs, told = BertForMaskedLM.from_pretrained(saved, output_loading_info=True)
    assert not told["missing_keys"]
    assert not told["mismatched_keys"]
    # A masked language model has no pooler, which a classifier starts from.
    assert all(key.startswith("bert.pooler.") for key in told["unexpected_keys"])
    assert theirs.cls.predictions.decoder.weight is theirs.bert.embeddings.word_embeddings.weight
    encoded = AutoTokenizer.from_pretrained(saved)(
        ["View All", "We build pumps."], padding=True, return_tensors="pt"
    )
    mask = encoded["attention_mask"].numpy().astype(bool)
    with torch.no_grad():
        expected = theirs.eval()(**encoded).logits.numpy()[mask]
    ours = OurBert(fitted.encoder_.architecture)
    ours.load({**fitted.encoder_.weights, **fitted._head})
    inputs = {
        "input_ids": encoded["input_ids"].numpy().astype(np.int32),
        "length": mask.sum(axis=1).astype(np.int32),
        "first_positions": np.flatnonzero(mask[:1]).astype(np.int32),
        "second_positions": np.flatnonzero(mask[1:]).astype(np.int32),
    }
    np.testing.assert_allclose(np.asarray(ours(inputs)["tokens"]), expected, atol=1e-4)


def test_other_folders_are_refused(fitted, saved, tmp_path):
    with pytest.raises(FileExistsError, match="already exists"):
        fitted.save_pretrained(saved)
    with pytest.raises(ValueError, match="checkpoint="):
        SmallBertTextFilter.from_pretrained(saved)
    with pytest.raises(ValueError, match=r"is a pretrained encoder, not a filter"):
        load_classifier(saved)
    with pytest.raises(NotFittedError):
        SmallBertPretrainer().save_pretrained(tmp_path / "new")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("file", ["model.safetensors", "config.json", "tokenizer.json"])
def test_a_changed_file_is_refused(fitted, tmp_path, file):
    fitted.save_pretrained(tmp_path / "encoder")
    with (tmp_path / "encoder" / file).open("ab") as stream:
        stream.write(b" ")
    with pytest.raises(ValueError, match=f"{file} in .* its hash differs"):
        load_checkpoint(tmp_path / "encoder")


# --- what is refused


@pytest.mark.parametrize(
    ("X", "error", "said"),
    [
        ([], ValueError, "X has 0 rows"),
        (iter([]), ValueError, "X has 0 rows"),
        (iter([[], []]), ValueError, "X has 0 rows"),
        ("View All", TypeError, "X is one str"),
        (["View All", None], ValueError, "Row 1 of X is missing"),
        (iter(["a", "b", 3.5]), TypeError, r"Row 2 of X is of type float \(3.5\)"),
        (iter([["a"], ["b", b"c"]]), TypeError, "Row 1 of batch 1 of X is of type bytes"),
        (iter([["a"], "b"]), TypeError, "batch 1 of X is one str"),
        (iter([3]), TypeError, "batch 0 of X is of type int"),
        (["", "  "], ValueError, "None of the 2 distinct texts of X has a word"),
    ],
)
def test_other_types_than_str_are_rejected_with_their_row(X, error, said):
    with pytest.raises(error, match=said):
        SmallBertPretrainer(**TINY).fit(X)


def test_a_bad_row_far_into_a_stream_is_named():
    stream = (None if i == 70_000 else f"text {i % 50}" for i in range(80_000))
    with pytest.raises(TypeError, match="Row 70000 of X is of type NoneType"):
        distinct_texts(stream)


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"shape": "yes"}, "'shape'"),
        ({"teacher": 5}, "'teacher'"),
        ({"teacher_layer": 2}, "without a teacher"),
        ({"epochs": 0}, "'epochs'"),
        ({"max_seconds": 0}, "'max_seconds'"),
        ({"max_steps": 0}, "'max_steps'"),
        ({"checkpoint_dir": 3}, "'checkpoint_dir'"),
        ({"intermediate_size": 0}, "'intermediate_size'"),
        ({"tokenizer": 5}, "'tokenizer'"),
        ({"hidden_size": 10, "num_attention_heads": 4}, "hidden_size=10 is not a multiple of"),
    ],
)
def test_wrong_parameters_are_refused(parameters, said, texts):
    with pytest.raises(ValueError, match=said):
        SmallBertPretrainer(**parameters).fit(texts)


def test_the_longest_texts_are_cut_before_they_are_compared(fitted):
    texts = ["word " * 500 + str(i) for i in range(40)]
    brief = {**TINY, "max_steps": 1, "tokenizer": tokenizer_of(fitted)}
    pretrainer = SmallBertPretrainer(**brief).fit([*texts, "other words"])
    assert pretrainer.training_record_["distinct"] == 2


# --- files


@pytest.fixture
def corpus(texts, tmp_path):
    path = tmp_path / "corpus.parquet"
    pd.DataFrame({"line": texts}).to_parquet(path)
    return path


def test_a_table_becomes_a_saved_encoder(fitted, texts, corpus, tmp_path):
    destination = tmp_path / "models" / "encoder"
    small = SmallBertPretrainer(**TINY)
    summary = pretrain_encoder(corpus, destination, text="line", estimator=small)
    assert isinstance(summary, PretrainingSummary)
    assert load_checkpoint(destination) == fitted.encoder_
    assert (summary.rows, summary.distinct) == (600, len(set(texts)))
    assert (summary.epochs, summary.steps) == (2, fitted.training_record_["steps"])
    assert summary.loss == fitted.history_["tokens_loss"][-1]
    assert not hasattr(small, "encoder_")
    said = str(summary)
    assert f"600 rows of {corpus}: {len(set(texts)):,} distinct texts." in said
    assert f"for 2 epochs ({summary.steps:,} steps); the last loss is " in said
    assert f"The encoder is in {destination}; " in said
    assert summary.to_frame().loc[0, "distinct"] == len(set(texts))

    with pytest.raises(FileExistsError, match=r"holds a saved encoder.*overwrite=True"):
        pretrain_encoder(corpus, destination, text="line")
    brief = clone(small).set_params(max_steps=1)
    again = pretrain_encoder(corpus, destination, text="line", estimator=brief, overwrite=True)
    assert again.steps == 1
    assert load_checkpoint(destination) == again.pretrainer.encoder_
    assert [file.name for file in destination.parent.iterdir()] == ["encoder"]


def test_a_csv_is_read_as_it_is_written(fitted, tmp_path):
    corpus = tmp_path / "corpus.csv"
    corpus.write_text("id,text\n1,NA\n2,007\n3,NA\n4,View All\n")
    brief = {**TINY, "max_steps": 1, "tokenizer": tokenizer_of(fitted)}
    small = SmallBertPretrainer(**brief)
    summary = pretrain_encoder(corpus, tmp_path / "encoder", estimator=small)
    assert (summary.rows, summary.distinct) == (4, 3)


def test_a_folder_of_files_of_every_kind_is_read(fitted, tmp_path):
    crawl = tmp_path / "crawl"
    (crawl / "site").mkdir(parents=True)
    (crawl / "site" / "page.txt").write_text("View All\nAbout us\n")
    (crawl / "lines.jsonl").write_text('{"text": "View All", "page": 1}\n')
    pd.DataFrame({"text": ["We sell tea", "About us"]}).to_parquet(crawl / "rows.parquet")
    brief = {**TINY, "max_steps": 1, "tokenizer": tokenizer_of(fitted)}
    summary = pretrain_encoder(crawl, tmp_path / "encoder", estimator=SmallBertPretrainer(**brief))
    assert (summary.rows, summary.distinct) == (5, 3)
    with pytest.raises(ValueError, match=r"The destination .* lies in the source"):
        pretrain_encoder(crawl, crawl / "encoder")
    with pytest.raises(FileNotFoundError, match=r"There is no file .*nowhere"):
        pretrain_encoder(tmp_path / "nowhere", tmp_path / "other")


@pytest.mark.parametrize(
    ("prepare", "error", "said"),
    [
        (lambda folder: folder.write_text(""), FileExistsError, "is a file"),
        (
            lambda folder: (folder.mkdir(), (folder / "notes.txt").write_text("")),
            FileExistsError,
            "holds files other than a saved encoder",
        ),
    ],
)
def test_a_destination_is_refused_before_training(prepare, error, said, corpus, tmp_path):
    prepare(tmp_path / "encoder")
    with pytest.raises(error, match=said):
        pretrain_encoder(corpus, tmp_path / "encoder", text="line", overwrite=True)


def test_a_table_without_texts_is_refused(corpus, tmp_path):
    with pytest.raises(ValueError, match=r"no column 'text'.*Its columns are: line"):
        pretrain_encoder(corpus, tmp_path / "encoder")
    holed = tmp_path / "holed.parquet"
    pd.DataFrame({"text": ["a", None]}).to_parquet(holed)
    with pytest.raises(ValueError, match=r"Row 2 of .*holed\.parquet.* has no value"):
        pretrain_encoder(holed, tmp_path / "encoder")
    with pytest.raises(FileNotFoundError, match=r"nowhere\.parquet"):
        pretrain_encoder(tmp_path / "nowhere.parquet", tmp_path / "encoder")
    assert not (tmp_path / "encoder").exists()
