"""Hugging Face's pipeline and a sentence transformer: texts a second, and embeddings.

Run by speed.py and accuracy.py in an environment that has torch and transformers, which this
package does not need.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
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


def embed(folder: str, texts: list[str]) -> np.ndarray:
    """Return the normalized mean of the last hidden states of each text."""
    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder)
    order = np.argsort([len(text) for text in texts], kind="stable")
    embeddings = np.empty((len(texts), model.config.hidden_size), np.float32)
    with torch.inference_mode():
        for first in range(0, len(order), 32):
            rows = order[first : first + 32]
            inputs = tokenizer(
                [texts[row] for row in rows],
                padding=True,
                truncation=True,
                max_length=100,
                return_tensors="pt",
            )
            is_token = inputs["attention_mask"].unsqueeze(2)
            means = (model(**inputs).last_hidden_state * is_token).sum(1) / is_token.sum(1)
            embeddings[rows] = torch.nn.functional.normalize(means).numpy()
    return embeddings


def sentence_transformer(folder: str, texts: list[str]) -> float:
    """Return texts a second that are embedded, in batches of 32 sorted by length."""
    start = time.perf_counter()
    embed(folder, texts)
    return len(texts) / (time.perf_counter() - start)


if __name__ == "__main__":
    name, folder, texts_file, n, *options = json.loads(sys.argv[1])
    texts = json.loads(Path(texts_file).read_text())[:n]
    if name == "embeddings":
        np.savez(options[0], texts=np.array(texts), embeddings=embed(folder, texts))
        sys.exit()
    functions: dict[str, Any] = {
        "hugging_face": hugging_face,
        "sentence_transformer": sentence_transformer,
    }
    print(json.dumps({"texts/s": functions[name](folder, texts, *options)}))
