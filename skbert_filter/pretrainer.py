"""Pretraining of a tokenizer and an encoder on texts, behind scikit-learn's interface.

Importing this module imports no engine: the first fit imports Keras and TensorFlow.
"""

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain, islice
from numbers import Integral, Real
from reprlib import repr as short_repr
from time import monotonic
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, _fit_context
from sklearn.callback import CallbackSupportMixin, with_callbacks
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from skbert_filter.bert.architecture import Weights
from skbert_filter.bert.auto_settings import pretraining_config
from skbert_filter.bert.checkpoint import load_checkpoint
from skbert_filter.bert.checkpointing import Snapshots
from skbert_filter.bert.engine import check_not_forked, import_keras, versions
from skbert_filter.bert.folder import save_encoder
from skbert_filter.bert.initialization import initialize_randomly
from skbert_filter.bert.pretrained import PretrainedEncoder
from skbert_filter.bert.pretraining_targets import (
    shape_targets,
    teacher_targets,
    text_parts,
    texts_sha256,
)
from skbert_filter.bert.pretraining_task import PretrainingTask
from skbert_filter.bert.state import BertState
from skbert_filter.bert.tokenizer import cut
from skbert_filter.printing import DocLinkMixin
from skbert_filter.text_filter import SmallBertTextFilter
from skbert_filter.validation import PlainParameters, check_labels, check_texts

# Parameters that may change when training resumes. Tokenizer and teacher are compared by content.
_NOT_COMPARED = ("tokenizer", "teacher", "checkpoint_dir", "max_seconds", "verbose")

# How many texts of a stream are deduplicated at a time.
_CHUNK = 1 << 16

# No dropout, since pretraining does not overfit, and no classification head.
_HEAD = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0, "n_logits": 0}

_POSITIVE = Interval(Integral, 1, None, closed="left")


class SmallBertPretrainer(PlainParameters, DocLinkMixin, CallbackSupportMixin, BaseEstimator):
    """Pretrain a tokenizer and a very small BERT on texts, most of them unlabelled.

    The encoder learns to predict masked words, the shape of a text, the hidden states of a larger
    encoder if there is one, and the labels of those texts that have one. Equal texts count once.

    Parameters
    ----------
    tokenizer : "corpus", str, path-like or tokenizer object, default="corpus"
        As in `SmallBertTextFilter`. It must have a [MASK] token.
    vocab_size : int, default=8000
        Maximum size of a vocabulary learnt from the texts.
    lowercase : bool, default=False
        Whether the learnt vocabulary ignores case and accents.
    max_length : int, default=100
        Maximum number of tokens of a text, including the two special ones.
    hidden_size, intermediate_size : int, default=64 and None
        Width of the encoder, and of its feed-forward layers. None: four times `hidden_size`.
    num_hidden_layers, num_attention_heads : int, default=2 and 4
        Number of layers, and of heads, which must divide `hidden_size`.
    teacher : str, path-like or PretrainedEncoder, default=None
        A larger BERT, as for the ``checkpoint`` of `SmallBertTextFilter`. [CLS] learns the mean
        hidden state of one of its layers. The teacher reads each distinct text once, which may take
        longer than training.
    teacher_layer : int, default=None
        That layer, counted from 1. None: the last of the first two thirds. Middle layers represent
        the form of a text, which the last ones lose.
    shape : bool, default=True
        Whether [CLS] learns the shape of a text: its length, capitals and punctuation.
    epochs : "auto" or int, default="auto"
        Passes over the distinct texts. "auto": about 2,000 steps, in one to ten passes.
    batch_size : int, default=128
        Average number of texts per training step; batches of short texts have more.
    learning_rate : float or "auto", default="auto"
        Peak learning rate of Adam, reached after a tenth of the steps and followed by a cosine
        decay to 0. "auto": 6e-3 up to a width of 32, and proportionally less for wider encoders.
    max_steps : int, default=None
        Maximum number of training steps, over which the learning rate decays.
    max_seconds : float, default=None
        Time after which training stops, counted from the start of `fit`. The learning rate decays
        over the steps that fit into it, so the result depends on the machine.
    checkpoint_dir : str or path-like, default=None
        Folder for the state of an unfinished training, saved every 200 steps and after each epoch,
        and removed at the end. If `fit` is killed, a `fit` with the same texts and parameters
        resumes and yields the same result. With others, it raises an error.
    random_state : int, RandomState instance or None, default=None
        Seed of the weights, the order of the texts, and the masked words.
    verbose : int, default=0
        As in `keras.Model.fit`: 0 silent, 1 a progress bar, 2 a line for each epoch.

    Attributes
    ----------
    encoder_ : PretrainedEncoder
        The tokenizer, architecture and weights, immutable: ``checkpoint=pretrainer.encoder_``.
    filter_ : SmallBertTextFilter
        A fitted filter with the encoder and its classification head; only if `y` was passed.
    classes_ : ndarray of shape (n_classes,)
        The labels, sorted; only if `y` was passed.
    history_ : dict of str to list of float
        For each epoch, the loss, its parts (``tokens_loss``, the mean cross-entropy of the masked
        tokens, ``targets_loss`` and ``labels_loss``), and the learning_rate.
    n_iter_ : int
        Number of epochs, the last of which may be incomplete.
    training_record_ : dict
        How the encoder was trained: texts, distinct texts, their hash, tokens, steps, seconds,
        seeds and versions; JSON-serializable.

    See Also
    --------
    SmallBertTextFilter : Accepts the encoder as its ``checkpoint``.

    Notes
    -----
    The task is the masked language modelling of Devlin et al., "BERT: Pre-training of deep
    bidirectional transformers", NAACL 2019: 15 % of the tokens of a text, and at least one, are
    predicted, drawn again each epoch. If the vocabulary is larger than 1,500, the softmax is over
    its 1,000 most frequent tokens and a sample of 500 others (Jean et al., "On using very large
    target vocabulary for neural machine translation", ACL 2015). The loss is the sum of this
    cross-entropy, that of the labels, and 5 times the mean squared error of a linear map from the
    pooled [CLS] to the shape and to 128 principal components of the teacher's states (Romero et
    al., "FitNets: hints for thin deep nets", ICLR 2015).

    Examples
    --------
    >>> from skbert_filter import SmallBertPretrainer
    >>> from skbert_filter.datasets import make_website_corpus
    >>> texts = make_website_corpus(500, random_state=0)
    >>> pretrainer = SmallBertPretrainer(
    ...     hidden_size=16, num_hidden_layers=1, vocab_size=300, epochs=1, random_state=0)
    >>> pretrainer.fit(texts).encoder_
    <PretrainedEncoder ...: 1 layers, 16 wide, 300 words>
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "tokenizer": [str, os.PathLike, HasMethods("to_str"), HasMethods("convert_tokens_to_ids")],
        "vocab_size": [Interval(Integral, 16, 1_000_000, closed="both")],
        "lowercase": ["boolean"],
        "max_length": [Interval(Integral, 3, None, closed="left")],
        "hidden_size": [_POSITIVE],
        "intermediate_size": [_POSITIVE, None],
        "num_hidden_layers": [_POSITIVE],
        "num_attention_heads": [_POSITIVE],
        "teacher": [str, os.PathLike, PretrainedEncoder, None],
        "teacher_layer": [_POSITIVE, None],
        "shape": ["boolean"],
        "epochs": [StrOptions({"auto"}), _POSITIVE],
        "batch_size": [_POSITIVE],
        "learning_rate": [Interval(Real, 0, None, closed="neither"), StrOptions({"auto"})],
        "max_steps": [_POSITIVE, None],
        "max_seconds": [Interval(Real, 0, None, closed="neither"), None],
        "checkpoint_dir": [str, os.PathLike, None],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        *,
        tokenizer="corpus",
        vocab_size=8000,
        lowercase=False,
        max_length=100,
        hidden_size=64,
        intermediate_size=None,
        num_hidden_layers=2,
        num_attention_heads=4,
        teacher=None,
        teacher_layer=None,
        shape=True,
        epochs="auto",
        batch_size=128,
        learning_rate="auto",
        max_steps=None,
        max_seconds=None,
        checkpoint_dir=None,
        random_state=None,
        verbose=0,
    ):
        self.tokenizer = tokenizer
        self.vocab_size = vocab_size
        self.lowercase = lowercase
        self.max_length = max_length
        self.hidden_size = hidden_size
        self.intermediate_size = intermediate_size
        self.num_hidden_layers = num_hidden_layers
        self.num_attention_heads = num_attention_heads
        self.teacher = teacher
        self.teacher_layer = teacher_layer
        self.shape = shape
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.max_steps = max_steps
        self.max_seconds = max_seconds
        self.checkpoint_dir = checkpoint_dir
        self.random_state = random_state
        self.verbose = verbose

    @with_callbacks
    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None):
        """Learn the tokenizer and pretrain the encoder.

        Parameters
        ----------
        X : container of str of shape (n_samples,), or iterator of str or of such containers
            A list, tuple, NumPy array, pandas or polars Series, Arrow array or one-column table; or
            a stream of texts or of batches of texts. A stream is read once; memory grows with the
            number of distinct texts, not with the length of the stream.
        y : array-like of shape (n_samples,), default=None
            Labels of two or more classes; None, NaN or NA for an unlabelled text. Not with a
            stream. Equal texts with different labels are learnt as a mixture of them.

        Returns
        -------
        self : SmallBertPretrainer

        Raises
        ------
        TypeError, ValueError
            If an argument is not as described, or `checkpoint_dir` contains the state of another
            training. An error or an interruption leaves the estimator unchanged.
        """
        started = monotonic()
        check_not_forked()
        teacher, layer = self._load_teacher()

        cut_text = partial(cut, max_length=self.max_length)
        texts, n_texts = distinct_texts(X, cut_text)
        if not texts:
            raise ValueError("X has 0 rows. Pass texts to learn from.")
        classes, shares = _label_shares(X, y, cut_text, texts)

        drawn = check_random_state(self.random_state).randint(np.iinfo(np.int32).max, size=2)
        seeds = dict(zip(("weights", "training"), drawn.tolist(), strict=True))
        parameters = self.get_params(deep=False)
        config = pretraining_config(parameters, n_texts=len(texts), seed=seeds["training"])

        # Callbacks cannot read an exhausted stream.
        fit_arguments = {"estimator": self, "X": texts if isinstance(X, Iterator) else X, "y": y}
        context = self._init_callback_context(max_subtasks=config.epochs + (teacher is not None))
        context.call_on_fit_task_begin(**fit_arguments)

        # The tokenizer, the initial weights, and what the encoder learns to predict.
        rng = np.random.RandomState(seeds["weights"])
        initial = initialize_randomly(texts, parameters, _HEAD, rng)
        targets = [np.empty((len(texts), 0), np.float32)]
        if teacher is not None:
            targets.append(self._teacher_targets(texts, teacher, layer, context))
        if self.shape:
            targets.append(shape_targets(texts))
        task = PretrainingTask.of(initial, texts, np.hstack(targets), shares, rng)

        # If an unfinished run with the same content is resumed, its seeds count.
        hashes = _content_hashes(task, texts, shares, teacher)
        snapshots = self._snapshots(hashes, seeds)
        if snapshots is not None:
            seeds = snapshots.seeds
            config = replace(config, seed=seeds["training"])

        import_keras()
        from skbert_filter.bert.pretraining import pretrain
        from skbert_filter.bert.training import EpochCallback

        epoch_callback = EpochCallback(
            context, lambda weights: {"encoder_": task.encoder(weights)}, **fit_arguments
        )
        result = pretrain(
            task,
            config,
            epoch_callback,
            started=started,
            max_steps=self.max_steps,
            max_seconds=self.max_seconds,
            snapshots=snapshots,
        )

        self.encoder_ = task.encoder(result.weights)
        self.history_ = result.history
        self.n_iter_ = len(result.history["loss"])
        self.training_record_ = {
            "texts": n_texts,
            "distinct": len(texts),
            "trained_on": len(task.tokens),
            "labelled": int((shares.sum(axis=1) > 0).sum()),
            "tokens": int(task.tokens.lengths.sum()),
            "texts_sha256": hashes["texts"],
            "teacher": teacher
            and {"source": teacher.source, "fingerprint": teacher.fingerprint, "layer": layer},
            "random_state": repr(self.random_state),
            "seeds": seeds,
            "steps": result.n_steps,
            "seconds": result.seconds,
            "vocab_size": task.architecture.vocab_size,
            "versions": versions(),
        }
        self._head = {n: w for n, w in result.weights.items() if n.startswith("cls.")}

        # A fit without labels forgets those of the one before.
        for name in ("classes_", "filter_"):
            self.__dict__.pop(name, None)
        if len(classes):
            self.classes_ = classes
            self.filter_ = self._filter(result.weights, task)

        if snapshots is not None:
            snapshots.remove()
        context.call_on_fit_task_end(**fit_arguments)
        return self

    def _load_teacher(self) -> tuple[PretrainedEncoder | None, int]:
        """Return the teacher and its layer."""
        if self.teacher is None:
            if self.teacher_layer is not None:
                raise ValueError(
                    f"teacher_layer={self.teacher_layer} was set without a teacher. Set both or "
                    "neither."
                )
            return None, 0

        teacher = load_checkpoint(self.teacher, name="teacher")
        n_layers = teacher.architecture.num_hidden_layers
        layer = self.teacher_layer or max(1, 2 * n_layers // 3)
        if layer > n_layers:
            raise ValueError(
                f"teacher_layer={layer}, but teacher={teacher.source!r} has {n_layers} layers."
            )
        return teacher, layer

    def _teacher_targets(
        self, texts: Sequence[str], teacher: PretrainedEncoder, layer: int, context: Any
    ) -> np.ndarray:
        """Compute the teacher's targets as a task of the fit, with a subtask for each part."""
        parts = text_parts(texts)
        task = context.subcontext(task_name="teacher", max_subtasks=len(parts))
        task.call_on_fit_task_begin(estimator=self)

        def on_part() -> None:
            subtask = task.subcontext(task_name="texts").call_on_fit_task_begin(estimator=self)
            subtask.call_on_fit_task_end(estimator=self)

        targets = teacher_targets(
            parts, teacher, layer, self.max_length, folder=self.checkpoint_dir, on_part=on_part
        )
        task.call_on_fit_task_end(estimator=self)
        return targets

    def _filter(self, weights: Weights, task: PretrainingTask) -> SmallBertTextFilter:
        """Return a fitted filter with the classification head."""
        n_classes = len(self.classes_)
        model = SmallBertTextFilter(checkpoint=self.encoder_, max_length=self.max_length)
        model.classes_ = self.classes_
        model.history_, model.n_iter_ = self.history_, self.n_iter_
        model.training_record_ = self.training_record_
        model._state = BertState(
            replace(task.architecture, n_logits=1 if n_classes == 2 else n_classes),
            {**self.encoder_.weights, **task.classifier(weights)},
            task.tokenizer.to_str(),
            max_length=self.max_length,
        )
        return model

    def _snapshots(self, hashes: dict[str, str], seeds: dict[str, int]) -> Snapshots | None:
        if self.checkpoint_dir is None:
            return None
        identity = self.get_params(deep=False)
        for name in _NOT_COMPARED:
            del identity[name]
        if isinstance(self.random_state, np.random.RandomState):
            # It draws other seeds each time; those of the snapshot are used.
            identity["random_state"] = "RandomState"
        return Snapshots(self.checkpoint_dir, {**identity, **hashes}, seeds)

    def save_pretrained(self, folder):
        """Save the encoder and its masked language model's head as JSON and safetensors.

        Parameters
        ----------
        folder : str or path-like
            Folder to create; it may exist if it is empty. `SmallBertTextFilter` accepts it as its
            ``checkpoint``; transformers loads it with ``BertForMaskedLM.from_pretrained``.

        Raises
        ------
        FileExistsError
            If the folder is not empty.
        """
        check_is_fitted(self)
        metadata = {
            "parameters": self._json_parameters(),
            "history": self.history_,
            "training_record": self.training_record_,
        }
        save_encoder(folder, self.encoder_, self._head, metadata)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.two_d_array = False
        tags.target_tags.required = False
        return tags


def _content_hashes(
    task: PretrainingTask,
    texts: Sequence[str],
    shares: np.ndarray,
    teacher: PretrainedEncoder | None,
) -> dict[str, str]:
    """Return the hashes of all that training depends on, apart from parameters."""
    hashes = {
        "texts": texts_sha256(texts),
        "tokenizer": texts_sha256([task.tokenizer.to_str()]),
    }
    if teacher is not None:
        hashes["teacher"] = teacher.fingerprint
    if shares.shape[1]:
        hashes["labels"] = hashlib.sha256(shares.tobytes()).hexdigest()
    return {name: f"sha256:{value}" for name, value in hashes.items()}


def distinct_texts(X: Any, cut: Callable[[str], str] = str) -> tuple[list[str], int]:
    """Return the distinct texts of a container or a stream, and the number of all texts.

    Texts are compared after `cut`. Of a stream, only distinct texts are kept in memory.
    """
    distinct: dict[str, None] = {}
    n_texts = 0
    for texts in _chunks(X):
        n_texts += len(texts)
        distinct.update(dict.fromkeys(map(cut, dict.fromkeys(texts))))
    return list(distinct), n_texts


def _chunks(X: Any) -> Iterator[list[str]]:
    if not isinstance(X, Iterator):
        yield check_texts(X)
        return
    first = list(islice(X, 1))
    rest = chain(first, X)
    if first and not isinstance(first[0], str):
        for number, batch in enumerate(rest):
            yield check_texts(batch, name=f"batch {number} of X")
        return

    n_before = 0
    while chunk := list(islice(rest, _CHUNK)):
        for row, text in enumerate(chunk, n_before):
            if not isinstance(text, str):
                raise TypeError(
                    f"Row {row} of X is of type {type(text).__name__} ({short_repr(text)}), but "
                    "the rows before it are str. Pass a stream of str, or of lists of str."
                )
        yield check_texts(chunk)
        n_before += len(chunk)


def _label_shares(
    X: Any, y: Any, cut: Callable[[str], str], texts: Sequence[str]
) -> tuple[np.ndarray, np.ndarray]:
    """Return the classes, and the share of each class in each distinct text."""
    if y is None:
        return np.empty(0), np.empty((len(texts), 0), np.float32)
    if isinstance(X, Iterator):
        raise TypeError("X is a stream, which cannot have labels. Pass a list or a table, or no y.")
    rows = list(map(cut, check_texts(X)))
    # pandas turns integers with missing values into floats; convert_dtypes restores them.
    y = pd.Series(np.asarray(y, object)).convert_dtypes()
    if len(y) != len(rows):
        raise ValueError(
            f"y has {len(y)} labels, but X has {len(rows)} rows. Pass one label for each row, or "
            "None for an unlabelled one."
        )

    labelled = np.flatnonzero(y.notna())
    if not len(labelled):
        raise ValueError("y has no labels: all are missing. Pass no y to learn from texts alone.")
    labels = check_labels(y.iloc[labelled].tolist(), len(labelled))
    classes, codes = np.unique(labels, return_inverse=True)
    if len(classes) < 2:
        raise ValueError(
            f"y has one class only ({classes.tolist()[0]!r}). Pass labels of two or more classes, "
            "or no y."
        )

    text_codes = {text: i for i, text in enumerate(texts)}
    shares = np.zeros((len(texts), len(classes)), np.float32)
    np.add.at(shares, (np.array([text_codes[rows[i]] for i in labelled]), codes), 1)
    return classes, shares / np.maximum(shares.sum(axis=1, keepdims=True), 1)
