"""The saved folder: what is in it, who else reads it, what is refused, and what it may replace."""

import copy
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from scipy.special import softmax
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from skbert_filter import SmallBertPretrainer, SmallBertTextFilter
from skbert_filter.bert.folder import check_can_save, save_over, write_metadata
from skbert_filter.bert.tokenizer import build_wordpiece

GOLDEN = Path(__file__).parent / "golden"
MIXED_TEXTS = [
    "We build PUMPS for ships.",
    "Naïve café, ÀÉÎ and São Tomé.",
    "中文 menu 泵 for all",
    "[SEP] View   menu!! \t 10:30",
    "",
]


def other_tokenizer():
    """Make a tokenizer of another kind: other names, other numbers, no token for masking."""
    words = ["we", "<unk>", "menu", "pumps", "<s>", "view", "</s>", "for", "<pad>", "build", "all"]
    tokenizer = Tokenizer(models.WordLevel({w: i for i, w in enumerate(words)}, unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.add_special_tokens(["<s>", "</s>", "<pad>", "<unk>"])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 4), ("</s>", 6)]
    )
    return tokenizer


def edit_json(file, **values):
    """Change a file as a person with an editor does; None removes a key."""
    edited = {**json.loads(file.read_text()), **values}
    file.write_text(json.dumps({name: v for name, v in edited.items() if v is not None}))


def edit_metadata(folder, **values):
    """Change the metadata as an other program might, hashes and all."""
    metadata = json.loads((folder / "skbert_filter.json").read_text())
    (folder / "skbert_filter.json").unlink()
    edited = {**metadata, **values}
    del edited["sha256"], edited["format_version"]
    write_metadata(folder, {name: value for name, value in edited.items() if value is not None})


# --- saved and loaded


@pytest.mark.parametrize(
    "labels", [["discard", "keep"], [0, 1], [-1, 1], [False, True], [-1.0, 2.5], ["", "nö\n"]]
)
def test_a_saved_filter_is_loaded_as_it_was(binary, labels, tmp_path, probes):
    model = copy.deepcopy(binary)
    model.classes_ = np.array(labels)
    model.save_pretrained(tmp_path / "model")
    loaded = SmallBertTextFilter.from_pretrained(tmp_path / "model")
    assert loaded.classes_.dtype == model.classes_.dtype
    assert loaded.classes_.tolist() == labels
    np.testing.assert_array_equal(loaded.predict_proba(probes), model.predict_proba(probes))
    np.testing.assert_array_equal(loaded.predict(probes), model.predict(probes))
    assert loaded.get_params() == model.get_params()
    assert loaded.history_ == model.history_
    assert loaded.training_record_ == model.training_record_
    assert loaded.n_iter_ == model.n_iter_
    assert loaded.fingerprint_ == model.fingerprint_
    assert not [name for name in loaded.get_params() if "threshold" in name]
    config = json.loads((tmp_path / "model/config.json").read_text(encoding="utf-8"))
    assert list(config["id2label"].values()) == [str(label) for label in labels]


def test_a_saved_filter_of_three_classes_fits_again(ternary, tmp_path, probes, three_kinds):
    (tmp_path / "model").mkdir()  # an empty folder may be there
    ternary.save_pretrained(str(tmp_path / "model"))
    loaded = SmallBertTextFilter.from_pretrained(str(tmp_path / "model"))
    np.testing.assert_array_equal(
        loaded.decision_function(probes), ternary.decision_function(probes)
    )
    assert loaded.fingerprint_ == ternary.fingerprint_
    assert loaded.fit(*three_kinds).fingerprint_ == ternary.fingerprint_


@pytest.mark.parametrize("release", ["0.1", "0.2"])
def test_a_folder_of_each_release_answers_as_it_did(release):
    loaded = SmallBertTextFilter.from_pretrained(GOLDEN / f"filter_{release}")
    answers = json.loads((GOLDEN / f"filter_{release}.json").read_text(encoding="utf-8"))
    assert loaded.predict(answers["texts"]).tolist() == answers["labels"]
    np.testing.assert_allclose(
        loaded.predict_proba(answers["texts"])[:, 1], answers["probabilities"], atol=1e-6
    )


def test_dropped_parameters_load_unless_they_change_the_answers(binary, saved, probes):
    harmless = {"patience": 3, "precision": "mixed_float16", "duplicates_key": "casefold"}
    edit_metadata(saved, parameters={**harmless, "max_length": 24})
    loaded = SmallBertTextFilter.from_pretrained(saved)
    assert loaded.max_length == 24
    np.testing.assert_array_equal(loaded.predict_proba(probes), binary.predict_proba(probes))

    edit_metadata(saved, parameters={"probabilities": "sigmoid"})
    with pytest.raises(
        ValueError, match="saved with probabilities='sigmoid', which no longer exists"
    ):
        SmallBertTextFilter.from_pretrained(saved)


def test_parameters_of_a_numpy_grid_and_paths_are_saved_and_objects_are_not(binary, tmp_path):
    model = copy.deepcopy(binary).set_params(
        epochs=np.int64(7), learning_rate=np.float32(0.5), n_jobs=np.int64(1), verbose=2
    )
    model.set_params(
        tokenizer=tmp_path, checkpoint=Path("a", "b"), random_state=np.random.RandomState(0)
    )
    model.save_pretrained(tmp_path / "model")
    loaded = SmallBertTextFilter.from_pretrained(tmp_path / "model").get_params()
    assert (loaded["epochs"], loaded["learning_rate"], loaded["n_jobs"]) == (7, 0.5, 1)
    assert loaded["tokenizer"] == str(tmp_path)
    assert loaded["checkpoint"] == os.fspath(Path("a", "b"))
    assert loaded["random_state"] is None
    assert loaded["verbose"] == 0


def test_an_existing_folder_is_never_overwritten(binary, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    for target in (tmp_path, tmp_path / "notes.txt"):
        with pytest.raises(FileExistsError, match=r"already exists\. Choose another folder"):
            binary.save_pretrained(target)
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("notes.txt", "mine")]


def test_labels_that_json_has_not_are_refused(binary, tmp_path):
    model = copy.deepcopy(binary)
    model.classes_ = np.array(["2020-01-01", "2021-01-01"], dtype="datetime64[D]")
    with pytest.raises(TypeError, match="must be str, int, float or bool; got date"):
        model.save_pretrained(tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


def test_a_save_that_fails_leaves_nothing_behind(binary, tmp_path):
    model = copy.deepcopy(binary)
    model.classes_ = np.array(["keep", "\ud800"])  # a lone surrogate is no UTF-8
    with pytest.raises(UnicodeEncodeError):
        model.save_pretrained(tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


# --- read by others


@pytest.mark.parametrize("lowercase", [False, True])
def test_autotokenizer_gives_the_same_ids(lowercase, binary, tmp_path):
    tokenizer = Tokenizer.from_str(binary._state.tokenizer_json)
    words = [*tokenizer.get_vocab(), "Naïve", "naive", "naïve", "PUMPS", "中", "泵", "Café", "cafe"]
    vocab = {word: i for i, word in enumerate(dict.fromkeys(words))}
    check_ids_of_autotokenizer(build_wordpiece(vocab, lowercase=lowercase), tmp_path)


@pytest.mark.parametrize("strip_accents", [None, True, False])
@pytest.mark.parametrize("lowercase", [False, True])
def test_autotokenizer_gives_the_same_ids_if_accents_were_set_apart(
    lowercase, strip_accents, tmp_path
):
    words = "[PAD] [UNK] [CLS] [SEP] [MASK] We we build PUMPS pumps Naïve naive naïve , 中 文 café"
    tokenizer = build_wordpiece({w: i for i, w in enumerate(words.split())}, lowercase=lowercase)
    tokenizer.normalizer = normalizers.BertNormalizer(
        lowercase=lowercase, strip_accents=strip_accents
    )
    check_ids_of_autotokenizer(tokenizer, tmp_path)


def check_ids_of_autotokenizer(tokenizer, tmp_path):
    from transformers import AutoTokenizer

    from skbert_filter.bert.folder import write_config, write_tokenizer
    from skbert_filter.bert.tokenizer import encode

    write_config(tmp_path, "BertForSequenceClassification", {}, tokenizer)
    write_tokenizer(tmp_path, tokenizer, 16)
    theirs = AutoTokenizer.from_pretrained(tmp_path)
    assert theirs.model_max_length == 16
    ours = encode(tokenizer, MIXED_TEXTS, max_length=16)
    expected = [ids.tolist() for ids in np.split(ours.flat, ours.starts[1:])]
    assert theirs(MIXED_TEXTS, truncation=True)["input_ids"] == expected
    assert len(theirs) == tokenizer.get_vocab_size()
    padded = theirs(MIXED_TEXTS, padding=True)["input_ids"]
    pad = json.loads((tmp_path / "config.json").read_text())["pad_token_id"]
    assert padded[-1][len(expected[-1]) :] == [pad] * (len(padded[0]) - len(expected[-1]))


def test_special_tokens_are_those_of_the_tokenizer(one_epoch, snippets, tmp_path, probes):
    model = SmallBertTextFilter(**one_epoch, tokenizer=other_tokenizer()).fit(*snippets)
    model.save_pretrained(tmp_path / "model")
    config = json.loads((tmp_path / "model/config.json").read_text())
    assert config["pad_token_id"] == 8
    config = json.loads((tmp_path / "model/tokenizer_config.json").read_text())
    tokens = {name: token for name, token in config.items() if name.endswith("_token")}
    assert tokens == {
        "pad_token": "<pad>",
        "unk_token": "<unk>",
        "cls_token": "<s>",
        "sep_token": "</s>",
    }
    assert config["do_lower_case"] is True
    check_ids_of_autotokenizer(other_tokenizer(), tmp_path)
    loaded = SmallBertTextFilter.from_pretrained(tmp_path / "model")
    np.testing.assert_array_equal(loaded.predict_proba(probes), model.predict_proba(probes))


@pytest.mark.parametrize("kind", ["binary", "ternary"])
def test_transformers_computes_the_same(kind, request, tmp_path, probes):
    torch = pytest.importorskip("torch", reason="compares with torch, which is not installed")
    from transformers import AutoTokenizer, BertForSequenceClassification, pipeline

    model = request.getfixturevalue(kind)
    model.save_pretrained(tmp_path / "model")
    theirs = BertForSequenceClassification.from_pretrained(tmp_path / "model").eval()
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "model")
    encoded = tokenizer(probes, padding=True, truncation=True, return_tensors="pt")
    with torch.no_grad():
        logits = theirs(**encoded).logits.numpy()
    ours = model.decision_function(probes)
    if kind == "binary":
        logits = logits[:, 1] - logits[:, 0]
    np.testing.assert_allclose(logits, ours, atol=1e-5)

    classify = pipeline("text-classification", model=theirs, tokenizer=tokenizer, truncation=True)
    answers = classify(probes)
    assert [answer["label"] for answer in answers] == [str(x) for x in model.predict(probes)]
    if ours.ndim == 1:
        ours = np.column_stack([0 * ours, ours])
    raw = softmax(ours, axis=1).max(axis=1)
    np.testing.assert_allclose([answer["score"] for answer in answers], raw, atol=1e-5)


# --- refused


def link_elsewhere(file):
    shutil.move(file, file.parent.parent / file.name)
    file.symlink_to(file.parent.parent / file.name)


@pytest.mark.parametrize(
    ("damage", "error", "message"),
    [
        (
            lambda f: (f / "skbert_filter.json").unlink(),
            FileNotFoundError,
            "not a folder written by",
        ),
        (lambda f: shutil.rmtree(f), FileNotFoundError, "not a folder written by"),
        (lambda f: (f / "skbert_filter.json").write_text("{"), ValueError, "is damaged"),
        (lambda f: (f / "skbert_filter.json").write_text("[" * 99999), ValueError, "is damaged"),
        (lambda f: (f / "skbert_filter.json").write_bytes(b"\xff"), ValueError, "is damaged"),
        (lambda f: (f / "skbert_filter.json").write_text("[]"), ValueError, "is not a JSON object"),
        (
            lambda f: edit_json(f / "skbert_filter.json", format_version=99),
            ValueError,
            "format_version=99",
        ),
        (
            lambda f: edit_json(f / "skbert_filter.json", format_version="1"),
            ValueError,
            r"skbert_filter\.json in .*has format_version='1'",
        ),
        (
            lambda f: edit_json(f / "skbert_filter.json", gamma=1.5),
            ValueError,
            r"skbert_filter\.json in .*hash",
        ),
        (
            lambda f: edit_json(f / "config.json", hidden_size=8),
            ValueError,
            r"config\.json in .*hash",
        ),
        (
            lambda f: os.truncate(f / "model.safetensors", 99),
            ValueError,
            r"model\.safetensors in .*hash",
        ),
        (
            lambda f: (f / "tokenizer_config.json").write_text("{}"),
            ValueError,
            r"tokenizer_config\.json in .*hash",
        ),
        (lambda f: (f / "tokenizer.json").unlink(), ValueError, r"incomplete: tokenizer\.json"),
        (lambda f: link_elsewhere(f / "model.safetensors"), ValueError, "not a regular file"),
        (lambda f: link_elsewhere(f / "skbert_filter.json"), ValueError, "not a regular file"),
        (
            lambda f: edit_json(f / "skbert_filter.json", sha256={"../notes.txt": "0"}),
            ValueError,
            r"names '\.\./notes\.txt', which is not a file of that folder",
        ),
        (
            lambda f: edit_json(f / "skbert_filter.json", sha256={}),
            ValueError,
            r"has no hash of config\.json",
        ),
        (lambda f: edit_json(f / "skbert_filter.json", sha256=7), ValueError, "has sha256=7"),
    ],
)
def test_a_damaged_folder_is_refused(saved, damage, error, message):
    damage(saved)
    with pytest.raises(error, match=message):
        SmallBertTextFilter.from_pretrained(saved)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"gamma": None}, "has no gamma, which a saved model has"),
        ({"gamma": "2"}, "has gamma='2'"),
        ({"max_length": 2.5}, "has max_length=2.5"),
        ({"max_length": 1000}, "has max_length=1000 for 24 positions"),
        ({"precision": "float8"}, "has precision='float8'"),
        ({"gamma": -1}, "has gamma=-1, which is not valid"),
        ({"gamma": float("inf")}, "has gamma=inf, which is not valid"),
        ({"label_smoothing": 1.0}, "has label_smoothing=1.0, which is not valid"),
        ({"fingerprint": None}, "has no fingerprint"),
        ({"classes": None}, "has no classes, .* an encoder without classes is passed as check"),
        ({"classes": ["one"]}, "has id2label=.*but skbert_filter.json has classes=.'one'."),
        ({"classes": [["a"], ["b"]]}, "is not that of a filter"),
        (
            {"classes_dtype": "<U3"},
            "is not that of a filter: .*'discard'.* are not labels of type <U3",
        ),
        ({"classes_dtype": "no such"}, "is not that of a filter: .*no such"),
        ({"parameters": {"epochs": -1}}, "is not that of a filter: The 'epochs' parameter"),
        ({"parameters": {"new_one": 1}}, "is not that of a filter: .*new_one"),
        ({"parameters": []}, r"has parameters=\[\]"),
        ({"history": {}}, "is not that of a filter: 'loss'"),
        ({"training_record": "none"}, "has training_record='none'"),
    ],
)
def test_metadata_of_another_kind_are_refused(saved, values, message):
    edit_metadata(saved, **values)
    with pytest.raises(ValueError, match=message) as caught:
        SmallBertTextFilter.from_pretrained(saved)
    assert "skbert_filter.json" in str(caught.value)
    assert "saved" in str(caught.value)


def with_a_huge_id(folder):
    content = json.loads((folder / "tokenizer.json").read_text())
    content["model"]["vocab"]["[MASK]"] = 2**31 + 3
    for token in content["added_tokens"]:
        if token["content"] == "[MASK]":
            token["id"] = 2**31 + 3
    (folder / "tokenizer.json").write_text(json.dumps(content))


def change_weights(folder, change):
    weights = load_file(folder / "model.safetensors")
    change(weights)
    save_file(weights, folder / "model.safetensors")


@pytest.mark.parametrize("own_hash", [True, False])
def test_classes_that_changed_places_are_refused(saved, own_hash):
    """With its own hash removed, or made again: the fingerprint tells."""
    file = saved / "skbert_filter.json"
    metadata = json.loads(file.read_text())
    metadata["classes"].reverse()
    if own_hash:
        edit_metadata(saved, classes=metadata["classes"])
    else:
        del metadata["sha256"]["skbert_filter.json"]
        file.write_text(json.dumps(metadata))
    with pytest.raises(ValueError, match=r"has no hash of skbert_filter|not the filter that was"):
        SmallBertTextFilter.from_pretrained(saved)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda f: edit_json(f / "config.json", hidden_size=None),
            r"config\.json of .*has hidden_size=None, but it must be a positive integer",
        ),
        (
            lambda f: edit_json(f / "config.json", hidden_act="relu"),
            "has hidden_act='relu'; only hidden_act='gelu' is",
        ),
        (
            lambda f: edit_json(f / "config.json", id2label=["discard", "keep"]),
            r"config\.json of .*has id2label=",
        ),
        (
            lambda f: edit_json(f / "config.json", intermediate_size=8),
            r"intermediate\.dense\.weight of shape \(16, 32\) instead of \(8, 32\)",
        ),
        (
            lambda f: edit_json(f / "config.json", num_hidden_layers=10**9),
            r"describes a BERT with [\d,]+ weights, but its safetensors files have [\d,]+ bytes",
        ),
        (
            lambda f: edit_json(f / "config.json", vocab_size=2**31),
            r"describes a BERT with [\d,]+ weights, but its safetensors files have [\d,]+ bytes",
        ),
        (with_a_huge_id, r"numbers '\[MASK\]' as 2,147,483,651"),
        (
            lambda f: change_weights(f, lambda weights: weights["classifier.bias"].fill(np.nan)),
            r"not finite: classifier\.bias holds NaN",
        ),
        (
            lambda f: change_weights(f, lambda weights: weights["classifier.bias"].fill(3)),
            "is not the filter that was saved: its weights, classes or tokenizer have changed",
        ),
        (
            lambda f: os.truncate(f / "model.safetensors", 200),
            r"describes a BERT with",
        ),
        (
            lambda f: save_file(
                {
                    name: weight
                    for name, weight in load_file(f / "model.safetensors").items()
                    if name != "classifier.weight"
                },
                f / "model.safetensors",
            ),
            r"lacks weights .*: classifier\.weight\.",
        ),
        (
            lambda f: (f / "tokenizer.json").write_text("{}"),
            r"tokenizer\.json' is not a tokenizer\.json that can be read",
        ),
    ],
)
def test_files_of_another_kind_are_refused_even_with_their_hashes(saved, change, message):
    change(saved)
    edit_metadata(saved)
    with pytest.raises(ValueError, match=message):
        SmallBertTextFilter.from_pretrained(saved)


def test_the_layout_of_the_metadata_may_change(saved, binary):
    file = saved / "skbert_filter.json"
    file.write_text(json.dumps(json.loads(file.read_text()), sort_keys=True))
    assert SmallBertTextFilter.from_pretrained(saved).fingerprint_ == binary.fingerprint_


@pytest.mark.skipif(os.name != "posix", reason="Windows has no such modes")
def test_who_may_read_a_new_file_may_read_the_folder(saved, tmp_path):
    mine = tmp_path / "file"
    mine.touch()
    modes = {path.name: path.stat().st_mode for path in saved.iterdir()}
    assert modes == dict.fromkeys(modes, mine.stat().st_mode)


# --- in the place of another


def test_a_model_of_the_other_kind_is_never_replaced(binary, tmp_path):
    sizes = {"hidden_size": 8, "intermediate_size": 16, "num_hidden_layers": 1, "vocab_size": 50}
    encoder = SmallBertPretrainer(**sizes, max_steps=1).fit(["We build pumps", "View All"])
    for kind, model in {"filter": binary, "encoder": encoder}.items():
        folder = tmp_path / kind
        model.save_pretrained(folder)
        check_can_save(folder, kind, overwrite=True)
        with pytest.raises(FileExistsError, match=rf"holds a saved {kind}.*overwrite=True"):
            check_can_save(folder, kind, overwrite=False)
        other = {"filter": "encoder", "encoder": "filter"}[kind]
        with pytest.raises(FileExistsError, match=f"files other than a saved {other}"):
            check_can_save(folder, other, overwrite=True)


def test_what_else_is_in_the_folder_is_not_lost(saved):
    check_can_save(saved, "filter", overwrite=True)
    (saved / "labels.csv").write_text("text,label\n")
    with pytest.raises(FileExistsError, match=r"holds labels\.csv, which is not part of the saved"):
        check_can_save(saved, "filter", overwrite=True)


def test_a_model_that_was_saved_meanwhile_is_not_replaced(binary, brief, tmp_path):
    def save_slowly(folder):
        binary.save_pretrained(tmp_path / "model")
        brief.save_pretrained(folder)

    with pytest.raises(FileExistsError, match=r"holds a saved filter.*overwrite=True"):
        save_over(save_slowly, tmp_path / "model", "filter", overwrite=False)
    found = SmallBertTextFilter.from_pretrained(tmp_path / "model")
    assert found.fingerprint_ == binary.fingerprint_
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


# A disk of 64 kB, which only this process and its children see.
SMALL_DISK = ["unshare", "--map-root-user", "--mount", "sh", "-c"]
MOUNT = "mkdir disk && mount -t tmpfs -o size=64k tmpfs disk && "

try:
    MAY = not subprocess.run([*SMALL_DISK, "mount -t tmpfs tmpfs /mnt"]).returncode
except FileNotFoundError:
    MAY = False
on_a_small_disk = pytest.mark.skipif(not MAY, reason="this system does not let us mount a disk")

SAVE = """
import sys
from pathlib import Path
from skbert_filter import SmallBertTextFilter
from skbert_filter.bert.folder import save_over

model = SmallBertTextFilter.from_pretrained(sys.argv[1])
save_over(model.save_pretrained, Path("disk/model"), "filter", overwrite=False)
"""


def run_on_a_small_disk(folder, *command):
    (folder / "temporary").mkdir()
    return subprocess.run(
        [*SMALL_DISK, f'{MOUNT} exec "$@"', "sh", sys.executable, *command],
        cwd=folder,
        env=os.environ | {"TMPDIR": str(folder / "temporary")},
        capture_output=True,
        text=True,
    )


@on_a_small_disk
def test_a_filter_that_does_not_fit_on_the_disk_is_saved_elsewhere(saved, tmp_path):
    done = run_on_a_small_disk(tmp_path, "-c", SAVE, saved)
    (elsewhere,) = (tmp_path / "temporary").glob("*/model")
    assert done.stderr.splitlines()[-2:] == [
        "skbert_filter.io.atomic.DiskFullError: [Errno 28] There is no room to write "
        f"{tmp_path}/disk/model (No space left on device). Free some, or name a place on another "
        "disk.",
        f"The filter is saved in {elsewhere} instead: move it where you want it.",
    ]
    load = SmallBertTextFilter.from_pretrained
    assert load(elsewhere).fingerprint_ == load(saved).fingerprint_
    assert not any((tmp_path / "disk").iterdir())


@pytest.mark.slow
@on_a_small_disk
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("-o disk/encoder", r"disk/encoder \(No.*The encoder is saved in \S+/encoder instead"),
        ("-o encoder --checkpoint-dir disk/kept", r"disk/kept/pretraining.safetensors \(No"),
    ],
)
def test_pretraining_tells_of_a_full_disk_in_a_line(tmp_path, options, message):
    (tmp_path / "corpus.txt").write_text("".join(f"We make {what}.\n" for what in "abcdefgh"))
    arguments = f"corpus.txt --hidden-size 32 --epochs 3 {options}".split()
    code = "from skbert_filter.cli.app import app; app()"
    done = run_on_a_small_disk(tmp_path, "-c", code, "pretrain", *arguments)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert re.search(f"no room to write \\S+{message}", done.stderr)
