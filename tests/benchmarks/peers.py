"""Hugging Face's pipeline and a sentence transformer: texts a second.

Run by speed.py in an environment that has torch and transformers, which this
package does not need.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModel, AutoTokenizer, pipeline


def hugging_face(folder: str, texts: list[str], batch_size: int, padding: str) -> float:
    """Return texts a second; a batch of one is a call for each text, as published."""
    classify = pipeline("text-classification", model=folder, device="cpu")
    options = {"padding": padding, "truncation": True, "max_length": 100}
    classify(texts[:batch_size], batch_size=batch_size, **options)
    start = time.perf_counter()
    if batch_size == 1:
        for text in texts:
            classify(text, **options)
    else:
        classify(texts, batch_size=batch_size, **options)
    return len(texts) / (time.perf_counter() - start)


def sentence_transformer(folder: str, texts: list[str]) -> float:
    """Return texts a second that are embedded, in batches of 32 sorted by length."""
    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder)
    options = {"padding": True, "truncation": True, "max_length": 100, "return_tensors": "pt"}
    start = time.perf_counter()
    ordered = sorted(texts, key=len)
    with torch.inference_mode():
        for first in range(0, len(ordered), 32):
            inputs = tokenizer(ordered[first : first + 32], **options)
            is_token = inputs["attention_mask"].unsqueeze(2)
            states = model(**inputs).last_hidden_state
            torch.nn.functional.normalize((states * is_token).sum(1) / is_token.sum(1))
    return len(texts) / (time.perf_counter() - start)


if __name__ == "__main__":
    name, folder, texts_file, n, *options = json.loads(sys.argv[1])
    texts = json.loads(Path(texts_file).read_text())[:n]
    functions: dict[str, Any] = {
        "hugging_face": hugging_face,
        "sentence_transformer": sentence_transformer,
    }
    print(json.dumps({"texts/s": functions[name](folder, texts, *options)}))
