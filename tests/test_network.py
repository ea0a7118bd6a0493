import os
import subprocess
import sys
from pathlib import Path

import pytest

OWN_NETWORK = ["unshare", "--map-root-user", "--net", "--mount"]
GUARD = Path(__file__).with_name("private_network.py")

try:
    MAY = not subprocess.run([*OWN_NETWORK, "true"], capture_output=True).returncode
except FileNotFoundError:
    MAY = False

WORK = """
import time
from pathlib import Path
from skbert_filter import SmallBertPretrainer, SmallBertTextFilter, pretrain_encoder
from skbert_filter.cli.app import app
from skbert_filter.labelling.train import train_filter

texts = [f"We make {what} for {whom}." for what in ("pumps", "tea") for whom in "abcdefgh"]
texts += [f"{verb} {what}" for verb in ("View", "Read") for what in "abcdefgh"]
rows = [f'"{text}",{int(text[0] == "W")}' for text in texts]
Path("labels.csv").write_text("\\n".join(["text,label", *rows, ""]))
Path("corpus.txt").write_text("\\n".join([*texts, ""]))

small = dict(hidden_size=8, vocab_size=100, max_length=16, epochs=1, random_state=0)
pretrain_encoder("corpus.txt", "encoder", estimator=SmallBertPretrainer(**small))
model = SmallBertTextFilter(checkpoint="encoder", max_length=16, epochs=1, random_state=0)
train_filter("labels.csv", "model", estimator=model, refit=False)
app("predict model corpus.txt -o kept.txt --store scores.sqlite".split(), standalone_mode=False)

time.sleep(10)  # ONNX Runtime waits for some seconds before it sends
"""


@pytest.mark.slow
@pytest.mark.skipif(not MAY, reason="this system does not let us make a network")
def test_nothing_is_looked_up_and_nothing_is_written_elsewhere(tmp_path):
    folders = {name: tmp_path / name for name in ("home", "caches", "temporary", "work")}
    for folder in folders.values():
        folder.mkdir()
    # Little of the environment: where it speaks of continuous integration, ONNX Runtime is silent.
    environment = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
    environment |= {"HOME": folders["home"], "TMPDIR": folders["temporary"]}
    environment |= dict.fromkeys(("KERAS_HOME", "MPLCONFIGDIR", "HF_HOME"), folders["caches"])

    done = subprocess.run(
        [*OWN_NETWORK, sys.executable, GUARD, sys.executable, "-c", WORK],
        cwd=folders["work"],
        env=environment,
        capture_output=True,
        text=True,
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].split() == ["Looked", "up:"]
    assert not any(folders["home"].iterdir())
    assert not any(folders["temporary"].iterdir())
    made = {path.name for path in folders["work"].iterdir()}
    assert made == {"labels.csv", "corpus.txt", "encoder", "model", "kept.txt", "scores.sqlite"}
