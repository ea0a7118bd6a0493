"""Save a small filter as this release does, with what it answers: run once for each release.

``python tests/golden/make_filter.py`` writes ``filter_<version>/`` beside this file; a folder that
is there stays as it is, since it stands for what users of that release have on their disks.
"""

import json
from itertools import product
from pathlib import Path

from skbert_filter import SmallBertTextFilter, __version__

goods = ("Pumpen", "泵", "VALVES", "gears", "naïve", "boilers")
keep = [f"We build {w} for ships." for w in goods]
discard = [" ".join(pair) for pair in product(("View", "Skip"), ("menu", "ALL", "Seite"))]
model = SmallBertTextFilter(
    vocab_size=120,
    max_length=16,
    hidden_size=8,
    intermediate_size=8,
    num_hidden_layers=2,
    num_attention_heads=2,
    hidden_dropout_prob=0.0,
    attention_probs_dropout_prob=0.0,
    early_stopping=False,
    epochs=100,
    batch_size=4,
    learning_rate=0.01,
    random_state=0,
).fit(keep + discard, [1] * len(keep) + [0] * len(discard))
texts = [*keep, *discard, "", "View boilers", "We build menu 泵泵.", "NAÏVE " * 30]
folder = Path(__file__).with_name("filter_" + ".".join(__version__.split(".")[:2]))
model.save_pretrained(folder)
answers = {
    "texts": texts,
    "labels": model.predict(texts).tolist(),
    "probabilities": model.predict_proba(texts)[:, 1].tolist(),
}
file = folder.with_name(f"{folder.name}.json")
file.write_text(json.dumps(answers, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
