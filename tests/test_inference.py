import pickle
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import joblib
import numpy as np
import onnx
import onnxruntime
import pytest
from tokenizers import Tokenizer

from skbert_filter.bert import engine, inference, model_pool
from skbert_filter.bert.architecture import Architecture
from skbert_filter.bert.engine import import_keras
from skbert_filter.bert.inference import OnnxModel, predict_logits
from skbert_filter.bert.onnx_graph import build_graph, export_onnx
from skbert_filter.bert.state import BertState
from skbert_filter.bert.tokenizer import SPECIAL_TOKENS, build_wordpiece

LETTERS = "abcdefghijklmnopqrstuvwxyz"
MAX_LENGTH = 20


def make_state(seed=0, max_length=MAX_LENGTH, precision="float32", **sizes):
    """Build a state whose weights, biases and norms all matter to its logits."""
    architecture = Architecture(
        **{
            "vocab_size": 5 + len(LETTERS),
            "hidden_size": 16,
            "intermediate_size": 24,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "max_position_embeddings": max_length,
            "hidden_dropout_prob": 0.1,
            "attention_probs_dropout_prob": 0.1,
            "n_logits": 1,
            **sizes,
        }
    )
    rng = np.random.RandomState(seed)
    scale = architecture.hidden_size**-0.5
    weights = {
        name: rng.normal("LayerNorm.weight" in name, scale, shape).astype(np.float32)
        for name, shape in architecture.weight_shapes().items()
    }
    vocab = {token: i for i, token in enumerate([*SPECIAL_TOKENS, *LETTERS])}
    return BertState(
        architecture,
        weights,
        build_wordpiece(vocab, lowercase=False).to_str(),
        max_length=max_length,
        gamma=2.0,
        label_smoothing=0.2,
        precision=precision,
    )


def make_texts(n, seed=0, longest=MAX_LENGTH + 3):
    rng = np.random.RandomState(seed)
    return [" ".join(rng.choice(list(LETTERS), i % (longest + 1))) for i in range(n)]


def padded(state, texts):
    tokenizer = Tokenizer.from_str(state.tokenizer_json)
    tokenizer.enable_truncation(state.max_length)
    ids = np.zeros((len(texts), state.max_length), np.int32)
    length = np.zeros(len(texts), np.int32)
    for row, encoding in enumerate(tokenizer.encode_batch(list(texts))):
        length[row] = len(encoding)
        ids[row, : length[row]] = encoding.ids
    return ids, length


def padded_keras_logits(state, texts):
    import_keras()
    from skbert_filter.bert.encoder import BertClassifier

    model = BertClassifier(state.architecture)
    model.load(state.weights)
    ids, length = padded(state, texts)
    return model({"input_ids": ids, "length": length}).numpy()


def padded_onnx_logits(state, texts):
    graph = build_graph(state.architecture, state.weights, masked=True)
    ids, length = padded(state, texts)
    mask = np.arange(state.max_length) < length[:, None]
    inputs = {"input_ids": ids.astype(np.int64), "attention_mask": mask.astype(np.int64)}
    return onnxruntime.InferenceSession(graph.SerializeToString()).run(None, inputs)[0]


@pytest.fixture(scope="module")
def state():
    return make_state()


@pytest.fixture(scope="module")
def texts():
    return make_texts(700)


@pytest.mark.parametrize(
    "sizes",
    [
        {},
        {"num_hidden_layers": 1, "num_attention_heads": 1},
        {"num_hidden_layers": 4, "hidden_size": 32, "intermediate_size": 128},
        {"n_logits": 3, "hidden_size": 12, "num_attention_heads": 3, "intermediate_size": 7},
        {"n_logits": 5, "hidden_size": 8, "num_attention_heads": 8, "type_vocab_size": 1},
        {"layer_norm_eps": 1e-3, "max_length": 5},
        {"max_length": 70, "num_hidden_layers": 3},
        {"max_length": 6, "max_position_embeddings": 9},
    ],
)
@pytest.mark.parametrize("seed", [0, 1])
def test_logits_of_every_length_are_those_of_the_padded_keras_model(sizes, seed):
    state = make_state(seed, **sizes)
    texts = make_texts(3 * state.max_length, seed, longest=state.max_length)
    expected = padded_keras_logits(state, texts)
    assert np.ptp(expected, axis=0).min() > 0.1
    got = predict_logits(state, texts, n_jobs=1)
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, expected, atol=1e-5)
    np.testing.assert_allclose(padded_onnx_logits(state, texts), expected, atol=1e-5)


def test_keras_computes_the_same_where_a_gpu_is_at_hand(state, texts, monkeypatch):
    expected = predict_logits(state, texts, n_jobs=2)
    monkeypatch.setattr(inference, "gpu_is_available", lambda: True)
    monkeypatch.setattr(inference, "OnnxModel", None)
    got = predict_logits(state, texts, n_jobs=2)
    np.testing.assert_allclose(got, expected, atol=1e-5)


def test_mixed_precision_is_computed_by_keras(texts, monkeypatch):
    monkeypatch.setattr(inference, "OnnxModel", None)
    mixed = predict_logits(make_state(precision="mixed_bfloat16"), texts, n_jobs=1)
    monkeypatch.undo()
    full = predict_logits(make_state(), texts, n_jobs=1)
    assert 1e-5 < np.abs(mixed - full).max() < 0.2


def test_a_hidden_gpu_is_not_used(monkeypatch):
    monkeypatch.setattr(engine.Path, "glob", lambda *_: iter(["/dev/nvidia0"]))
    monkeypatch.setattr(engine, "backend_name", lambda: pytest.fail("looked for a GPU"))
    for hidden in ("", "-1"):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", hidden)
        assert not engine.gpu_is_available()


def test_a_text_has_its_logits_in_any_company(state, texts):
    together = predict_logits(state, texts, n_jobs=1)
    np.testing.assert_array_equal(predict_logits(state, texts, n_jobs=1), together)
    for rows in (slice(0, 1), slice(5, 6), slice(None, None, -1), slice(1, None, 7)):
        alone = predict_logits(state, texts[rows], n_jobs=1)
        np.testing.assert_allclose(alone, together[rows], atol=1e-5)
    assert predict_logits(state, [], n_jobs=1).shape == (0, 1)


def test_threads_compute_the_same_and_end(state, texts, monkeypatch):
    monkeypatch.setattr(inference, "TEXTS_AT_A_TIME", 100)
    expected = predict_logits(state, texts, n_jobs=1)
    before = threading.active_count()
    for n_jobs in (2, 3, -1, None):
        got = predict_logits(state, texts, n_jobs=n_jobs)
        np.testing.assert_allclose(got, expected, atol=1e-5)
    assert threading.active_count() == before


@pytest.mark.parametrize(("granted", "n_jobs"), [("1", None), ("3", None), ("0", None), ("3", 1)])
def test_no_more_threads_than_granted(state, texts, granted, n_jobs, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", granted)
    used = set()
    encode = OnnxModel.encode

    def watched(self, part):
        used.add(threading.get_ident())
        return encode(self, part)

    monkeypatch.setattr(OnnxModel, "encode", watched)
    predict_logits(state, texts, n_jobs=n_jobs)
    if n_jobs == 1 or granted in "01":
        assert used == {threading.get_ident()}
    else:
        assert 1 <= len(used - {threading.get_ident()}) <= 3


def test_models_do_not_mix(texts):
    states = [make_state(seed) for seed in (1, 2)]
    expected = [predict_logits(state, texts, n_jobs=1) for state in states]
    with ThreadPoolExecutor(4) as pool:
        calls = [pool.submit(predict_logits, states[i % 2], texts, n_jobs=2) for i in range(12)]
    for i, call in enumerate(calls):
        np.testing.assert_allclose(call.result(), expected[i % 2], atol=1e-5)


def test_few_sessions_are_kept(texts):
    for seed in range(8):
        predict_logits(make_state(seed), texts[:5], n_jobs=1)
    kept = [model.key for model in model_pool._pool[OnnxModel]]
    assert kept == [make_state(seed).digest for seed in (4, 5, 6, 7)]
    newest = model_pool._pool[OnnxModel][-1]
    predict_logits(make_state(7), texts[:5], n_jobs=1)
    assert model_pool._pool[OnnxModel][-1] is newest


def test_a_large_model_is_not_kept_beside_others(state, texts, monkeypatch):
    monkeypatch.setattr(model_pool, "_MAX_BYTES", 1)
    for _ in range(2):
        predict_logits(state, texts[:5], n_jobs=1)
        assert [model.key for model in model_pool._pool[OnnxModel]] == [state.digest]


def _logits_in_worker(state, texts):
    return predict_logits(state, texts, n_jobs=None)


def test_workers_predict_the_same(state, texts):
    expected = predict_logits(state, texts, n_jobs=1)
    for got in joblib.Parallel(2)(joblib.delayed(_logits_in_worker)(state, texts) for _ in "ab"):
        np.testing.assert_allclose(got, expected, atol=1e-5)


@pytest.mark.skipif(sys.platform != "linux", reason="forks")
def test_a_forked_process_uses_the_sessions_it_got(tmp_path):
    # in a process of its own, since this one may run TensorFlow, which does not survive a fork
    code = (
        "import multiprocessing, pickle, sys\n"
        "import numpy as np\n"
        "from skbert_filter.bert.inference import predict_logits\n"
        "state, texts, expected = pickle.load(open(sys.argv[1], 'rb'))\n"
        "def logits():\n"
        "    return predict_logits(state, texts, n_jobs=2)\n"
        "assert np.allclose(logits(), expected, atol=1e-5)\n"
        "with multiprocessing.get_context('fork').Pool(1) as pool:\n"
        "    assert np.allclose(pool.apply_async(logits).get(60), expected, atol=1e-5)\n"
        "assert not {'tensorflow', 'keras'} & set(sys.modules)\n"
    )
    state, texts = make_state(), make_texts(700)
    expected = predict_logits(state, texts, n_jobs=1)
    (tmp_path / "state").write_bytes(pickle.dumps((state, texts, expected)))
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "state")], check=True)


@pytest.mark.parametrize("n_logits", [1, 3])
def test_an_exported_file_runs_in_plain_onnxruntime(n_logits, tmp_path):
    state, texts = make_state(n_logits=n_logits), make_texts(50)
    file = tmp_path / "model.onnx"
    export_onnx(file, state, {"classes": '["discard", "keep"]'})
    assert [path.name for path in tmp_path.iterdir()] == ["model.onnx"]
    onnx.checker.check_model(onnx.load(file), full_check=True)
    session = onnxruntime.InferenceSession(file)
    metadata = session.get_modelmeta().custom_metadata_map
    assert metadata["classes"] == '["discard", "keep"]'
    assert metadata["digest"] == state.digest
    assert (float(metadata["gamma"]), float(metadata["label_smoothing"])) == (2.0, 0.2)
    tokenizer = Tokenizer.from_str(metadata["tokenizer"])
    tokenizer.enable_truncation(int(metadata["max_length"]))
    tokenizer.enable_padding()
    encodings = tokenizer.encode_batch(texts)
    (got,) = session.run(
        ["logits"],
        {
            "input_ids": np.array([encoding.ids for encoding in encodings]),
            "attention_mask": np.array([encoding.attention_mask for encoding in encodings]),
        },
    )
    expected = predict_logits(state, texts, n_jobs=1)
    np.testing.assert_allclose(got, expected, atol=1e-5)


def test_an_export_that_fails_leaves_the_old_file(state, tmp_path):
    file = tmp_path / "model.onnx"
    file.write_text("old")
    with pytest.raises(TypeError):
        export_onnx(file, state, {"classes": 3})
    assert file.read_text() == "old"
