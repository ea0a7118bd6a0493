import os
import subprocess
import sys

import pytest

TRAIN = """
from skbert_filter import SmallBertTextFilter
model = SmallBertTextFilter(
    hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=2,
    vocab_size=60, max_length=8, epochs=1, random_state=0)
texts = ["View All", "Menu", "We make pumps.", "We sell tea."]
print(model.fit(texts, [0, 0, 1, 1]).decision_function(texts).tolist())
"""


def run(code, **environment):
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={name: value for name, value in os.environ.items() if name[:3] != "TF_"} | environment,
    )


def test_importing_and_constructing_import_no_engine():
    code = (
        "import sys, skbert_filter\n"
        "skbert_filter.SmallBertTextFilter(); skbert_filter.DedupPredictor(None)\n"
        "print({'tensorflow', 'keras', 'transformers', 'torch', 'jax', 'onnx', 'onnxruntime'}"
        " & set(sys.modules))"
    )
    assert run(code).stdout.strip() == "set()"


def test_tensorflow_does_not_greet():
    assert run(TRAIN).stderr == ""


@pytest.mark.parametrize("closed", ["2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_a_program_without_a_console_imports_keras(tmp_path, closed):
    code = (
        "import sys\n"
        "from skbert_filter.bert.engine import import_keras\n"
        # The first file that such a program opens may get the number of the standard error.
        "with open('out', 'w') as out:\n"
        "    print(sys.stderr, import_keras().__name__, file=out)\n"
    )
    subprocess.run(
        ["bash", "-c", f'"$0" -W ignore -c "$1" {closed}', sys.executable, code],
        cwd=tmp_path,
        check=True,
    )
    assert (tmp_path / "out").read_text() == "None keras\n"


def test_the_users_log_level_is_left_alone():
    code = "import os\nfrom skbert_filter.bert.engine import import_keras\nimport_keras()\n"
    show = "print(os.environ.get('TF_CPP_MIN_LOG_LEVEL'))"
    assert run(code + show, TF_CPP_MIN_LOG_LEVEL="0").stdout.strip() == "0"
    assert run(code + show).stdout.strip() == "None"


def test_tensorflow_takes_the_threads_that_a_worker_is_granted():
    code = (
        "from skbert_filter.bert.engine import import_keras\n"
        "import_keras()\n"
        "import tensorflow as tf\n"
        "print(tf.config.threading.get_intra_op_parallelism_threads())"
    )
    assert run(code, OMP_NUM_THREADS="1").stdout.strip() == "1"
    # 0 is TensorFlow's own choice
    assert run(code, OMP_NUM_THREADS="").stdout.strip() == "0"
    started = "import tensorflow as tf; tf.constant(1) + 1\n"
    assert run(started + code, OMP_NUM_THREADS="1").stdout.strip() == "0"


@pytest.mark.skipif(sys.platform != "linux", reason="forks")
def test_a_fit_in_a_process_that_was_forked_after_a_fit_is_refused():
    code = (
        TRAIN + "import multiprocessing\n"
        "from skbert_filter import SmallBertPretrainer\n"
        "def fit():\n"
        "    for estimator in (model, SmallBertPretrainer()):\n"
        "        try:\n"
        "            estimator.fit(texts, [0, 0, 1, 1])\n"
        "        except RuntimeError as error:\n"
        "            print(error, flush=True)\n"
        "    print(model.predict(texts).tolist(), flush=True)\n"
        "process = multiprocessing.get_context('fork').Process(target=fit)\n"
        "process.start()\n"
        "process.join()\n"
    )
    _, *refusals, predicted = run(code, CUDA_VISIBLE_DEVICES="").stdout.splitlines()
    assert len(refusals) == 2
    assert all("get_context('spawn')" in refusal for refusal in refusals)
    assert predicted.startswith("[")


@pytest.mark.slow
def test_two_processes_give_the_same_model():
    assert run(TRAIN).stdout == run(TRAIN, PYTHONHASHSEED="7").stdout
