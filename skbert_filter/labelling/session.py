"""A labelling session: which text is asked next, what was answered, and how good the model is.

Knows nothing of the terminal that shows the texts, nor of corpora in files.
"""

from collections import Counter, deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
from sklearn.base import clone
from sklearn.metrics import average_precision_score
from sklearn.utils import check_random_state

from skbert_filter.duplicates.keys import first_seen
from skbert_filter.inspection.labelling import diverse_sample, most_informative
from skbert_filter.inspection.scores import wilson_interval
from skbert_filter.labelling.answers import Answer, AnswerFile
from skbert_filter.printing import counted, printable
from skbert_filter.validation import check_texts

# Questions are chosen from at most this many distinct texts: half the most frequent, half random.
_POOL = 20_000
# The model is fitted again after this many answers.
_REFIT_EVERY = 25
# A score on fewer held-out answers than this says nothing.
_MIN_HELD_OUT = 10
_RESAMPLES = 500

Score: TypeAlias = tuple[float | None, tuple[float, float] | None]


@dataclass(frozen=True)
class Question:
    """A text to label.

    Attributes
    ----------
    text : str
    rows : int
        How many rows of the corpus have this text.
    probability : float or None
        Probability of the first label under the current model; None before there is one.
    held_out : bool
        Whether the answer is used for scoring only.
    """

    text: str
    rows: int
    probability: float | None
    held_out: bool


@dataclass(frozen=True)
class SessionStatus:
    """The progress of a labelling session.

    Attributes
    ----------
    counts : dict
        Number of answers by label, including held-out ones.
    held_out : int
        Number of held-out answers.
    score : float or None
        Score of the model on the held-out answers: average precision for two classes, accuracy for
        more. None if there are fewer than ten, or if they lack a label.
    interval : tuple of float or None
        95 % confidence interval of `score`.
    covered : float
        Fraction of the rows of the corpus whose text has an answer.
    """

    counts: dict[Any, int]
    held_out: int
    score: float | None
    interval: tuple[float, float] | None
    covered: float

    def __str__(self) -> str:
        answers = counted(sum(self.counts.values()), "answer")
        balance = ", ".join(f"{n:,} {printable(label)}" for label, n in self.counts.items())
        score = "no score yet"
        if self.score is not None and self.interval is not None:
            name = "average precision" if len(self.counts) == 2 else "accuracy"
            low, high = self.interval
            score = f"{name} {self.score:.2f} ({low:.2f} to {high:.2f})"
        return f"{answers} ({balance}) · {score} · {self.covered:.0%} of all rows"


class LabellingSession:
    """Ask for labels, starting with the texts that teach a filter most.

    Each answer is on disk before the next question. An existing file is continued.

    Parameters
    ----------
    texts : container of str of shape (n_rows,)
        The corpus, repeats included: a text stands for all of its rows.
    path : str or Path
        The label file: .csv, .tsv, .jsonl, .parquet or .xlsx. If it exists, its blank labels are
        asked for first, and new answers are appended.
    labels : sequence of str, default=None
        The labels to choose from, the useful one first. None: those of the file, or "keep" and
        "discard".
    order : {"informative", "random"}, default="informative"
        "informative": the texts the model is least sure of, frequent ones first, spread out.
        "random": distinct texts in random order.
    held_out : float, default=0.1
        Fraction of the questions that are drawn at random and used for scoring only, which keeps
        the score honest. The column "held_out" marks them.
    text, label : str, default="text", "label"
        The columns of the file.
    encoding : str, default=None
        The encoding of a file that is not UTF-8, such as "cp1252". It is saved as UTF-8.
    estimator : classifier, default=None
        What learns from the answers. None: a `SmallBertTextFilter`. If the bundled filter can read
        the texts and there are two labels, it serves as the model until the first fit.
    background : bool, default=True
        Whether to fit in a thread while questions are answered.
    random_state : int, RandomState instance or None, default=None
        Determines what is drawn.

    Raises
    ------
    ValueError
        If the file lacks a column, or has other labels.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from skbert_filter.inspection import WordCountRule
    >>> from skbert_filter.labelling.session import LabellingSession
    >>> corpus = ["View All", "View All", "We make steel tools", "Menu"]
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "labels.csv")
    ...     session = LabellingSession(corpus, path, estimator=WordCountRule(), random_state=0)
    ...     while (question := session.question) is not None:
    ...         session.answer("keep" if len(question.text) > 8 else "discard")
    ...     print(session.status())
    3 answers (1 keep, 2 discard) · no score yet · 100% of all rows
    """

    def __init__(
        self,
        texts: Any,
        path: str | Path,
        *,
        labels: Sequence[str] | None = None,
        order: Literal["informative", "random"] = "informative",
        held_out: float = 0.1,
        text: str = "text",
        label: str = "label",
        encoding: str | None = None,
        estimator: Any = None,
        background: bool = True,
        random_state: Any = None,
    ):
        rows = check_texts(texts, name="texts")
        if not rows:
            raise ValueError("texts has 0 rows. Pass at least one text to label.")
        codes, self._texts = first_seen(rows)
        self._counts = np.bincount(codes, minlength=len(self._texts))
        self._index = {text: i for i, text in enumerate(self._texts)}
        self._rng = check_random_state(random_state)

        self._file = AnswerFile(
            Path(path),
            text=text,
            label=label,
            labels=labels,
            texts=self._texts,
            encoding=encoding,
        )
        self.labels = self._file.labels
        self._informative = order == "informative"
        self._held_out_every = round(1 / held_out) if held_out else 0

        self._answered: list[str] = []
        self._skipped: set[str] = set()
        # Questions come from these in order: those an undo interrupted, blank labels, any text.
        self._postponed: list[Question] = []
        self._blank = deque(self._file.blank)
        self._random = deque(self._rng.permutation(len(self._texts)).tolist())

        self._estimator, self._model = estimator, None
        if estimator is None:
            self._estimator, self._model = _bundled(self._texts, len(self.labels), self._rng)
        self._worker = ThreadPoolExecutor(1) if background else None
        self._fit: Future | None = None
        self._n_learnt = 0
        self._scored: tuple[Any, Score] = None, (None, None)

        self._pool = self._draw_pool()
        self._ranked = self._rank(self._model)

        self._learn()
        self.question = self._next()

    @property
    def answers(self) -> dict[str, Answer]:
        """The answer to each text, including those already in the file."""
        return self._file.answers

    def answer(self, label: str) -> None:
        """Write the answer to the current question to the file, and ask the next one."""
        if self.question is None:
            raise ValueError("There is no question: every text is labelled or was skipped.")
        if label not in self.labels:
            raise ValueError(f"label={label!r} must be one of {', '.join(map(repr, self.labels))}.")

        self._file.write(self.question.text, label, held_out=self.question.held_out)
        self._answered.append(self.question.text)
        self._learn()
        self.question = self._next()

    def skip(self) -> None:
        """Ask the next question; this text does not come up again in this session."""
        if self.question is not None:
            self._skipped.add(self.question.text)
            self.question = self._next()

    def undo(self) -> bool:
        """Take back the last answer of this session and ask again; return whether there was one."""
        if not self._answered:
            return False

        if self.question is not None:
            self._postponed.append(self.question)
        text = self._answered.pop()
        self.question = self._ask(text, held_out=self._file.remove(text))
        return True

    def close(self) -> None:
        """Wait for the fit that is running."""
        if self._worker is not None:
            self._worker.shutdown(cancel_futures=True)

    def status(self) -> SessionStatus:
        """Return how many answers there are, and how good the model is on the held-out ones."""
        answers = self._file.answers
        counts = Counter(answer.label for answer in answers.values())
        scored = (self._model, sum(answer.held_out for answer in answers.values()))
        if scored != self._scored[0]:
            self._scored = scored, self._score()
        score, interval = self._scored[1]
        covered = sum(self._counts[self._index[text]] for text in answers if text in self._index)
        return SessionStatus(
            counts={label: counts[label] for label in self.labels},
            held_out=scored[1],
            score=score,
            interval=interval,
            covered=float(covered / self._counts.sum()),
        )

    def _next(self) -> Question | None:
        if self._fit is not None and self._fit.done():
            self._model, self._ranked = self._fit.result()
            self._fit = None

        while self._postponed:
            question = self._postponed.pop()
            if self._is_open(question.text):
                return question
        while self._blank:
            text = self._blank.popleft()
            if self._is_open(text):
                return self._ask(text, held_out=False)

        every = self._held_out_every
        held_out = bool(every) and len(self._file.answers) % every == every - 1
        for queue in [self._random] if held_out else [self._ranked, self._random]:
            while queue:
                text = self._texts[queue.popleft()]
                if self._is_open(text):
                    return self._ask(text, held_out=held_out)
        return None

    def _is_open(self, text: str) -> bool:
        return text not in self._file.answers and text not in self._skipped

    def _ask(self, text: str, *, held_out: bool) -> Question:
        probability = None
        if self._model is not None:
            probability = float(_keep_probability(self._model, [text], self.labels)[0])
        i = self._index.get(text)
        return Question(text, 0 if i is None else int(self._counts[i]), probability, held_out)

    def _draw_pool(self) -> np.ndarray:
        by_frequency = np.argsort(-self._counts, kind="stable")
        if len(by_frequency) <= _POOL:
            return by_frequency
        rest = self._rng.permutation(by_frequency[_POOL // 2 :])
        return np.concatenate([by_frequency[: _POOL // 2], rest[: _POOL // 2]])

    def _rank(self, model: Any) -> deque[int]:
        """Return the texts to ask next: those `model` is least sure of, or a spread sample."""
        left = np.array([i for i in self._pool if self._is_open(self._texts[i])], int)
        if not len(left) or not self._informative:
            return deque()

        texts, counts = [self._texts[i] for i in left], self._counts[left]
        n = 2 * _REFIT_EVERY  # some are answered while the model is fitted
        if model is not None:
            proba = np.asarray(model.predict_proba(texts))
            chosen, _ = most_informative(texts, counts, proba, n, self._rng)
        else:
            # Short texts are many and alike; long ones differ.
            weights = np.log2(1 + counts) * np.log2(2 + np.array(list(map(len, texts))))
            chosen = self._rng.permutation(diverse_sample(texts, weights, n, self._rng))
        return deque(left[chosen].tolist())

    def _learn(self) -> None:
        """Start a fit if there are enough new answers, of at least two labels."""
        learnt = {
            text: answer.label for text, answer in self._file.answers.items() if not answer.held_out
        }
        too_few = len(learnt) < self._n_learnt + _REFIT_EVERY or len(set(learnt.values())) < 2
        if too_few or self._fit is not None:
            return

        self._n_learnt = len(learnt)
        texts, labels = list(learnt), np.array(list(learnt.values()), dtype=object)
        if self._worker is None:
            self._model, self._ranked = self._fit_and_rank(texts, labels)
        else:
            self._fit = self._worker.submit(self._fit_and_rank, texts, labels)

    def _fit_and_rank(self, texts: list[str], labels: np.ndarray) -> tuple[Any, deque[int]]:
        model = clone(self._estimator).fit(texts, labels)
        return model, self._rank(model)

    def _score(self) -> Score:
        held_out = {text: a.label for text, a in self._file.answers.items() if a.held_out}
        has_all_labels = set(held_out.values()) == set(self.labels)
        if self._model is None or len(held_out) < _MIN_HELD_OUT or not has_all_labels:
            return None, None

        texts, labels = list(held_out), np.array(list(held_out.values()), dtype=object)
        if len(self.labels) > 2:
            is_right = self._model.predict(texts) == labels
            return float(is_right.mean()), wilson_interval(int(is_right.sum()), len(labels))
        is_useful = labels == self.labels[0]
        probabilities = _keep_probability(self._model, texts, self.labels)
        score = average_precision_score(is_useful, probabilities)
        return score, _interval(is_useful, probabilities)


def _keep_probability(model: Any, texts: list[str], labels: Sequence[str]) -> np.ndarray:
    """Return the probability of the first label; the bundled filter's useful class is 1."""
    classes = list(model.classes_)
    column = classes.index(labels[0]) if labels[0] in classes else len(classes) - 1
    return np.asarray(model.predict_proba(texts))[:, column]


def _interval(is_useful: np.ndarray, probabilities: np.ndarray) -> tuple[float, float]:
    """Return the 95 % percentile bootstrap interval of the average precision."""
    rng = np.random.RandomState(0)
    resamples = rng.randint(len(is_useful), size=(_RESAMPLES, len(is_useful)))
    scores = [
        average_precision_score(is_useful[rows], probabilities[rows])
        for rows in resamples
        if is_useful[rows].any()
    ]
    low, high = np.percentile(scores, [2.5, 97.5]).tolist()
    return low, high


def _bundled(texts: list[str], n_labels: int, rng: np.random.RandomState) -> tuple[Any, Any]:
    """Return the filter to fit, and the bundled filter if it can score the texts already."""
    from skbert_filter.bert.checkpoint import bundled_checkpoint
    from skbert_filter.bert.tokenizer import VocabularyCoverage
    from skbert_filter.text_filter import SmallBertTextFilter

    coverage = VocabularyCoverage.of(bundled_checkpoint("web").tokenizer_json, texts)
    is_readable = coverage.is_sufficient
    seed = int(rng.randint(np.iinfo(np.int32).max))
    estimator = SmallBertTextFilter(checkpoint="web" if is_readable else None, random_state=seed)
    can_score = is_readable and n_labels == 2
    return estimator, SmallBertTextFilter.from_pretrained("web") if can_score else None
