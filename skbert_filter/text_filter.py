"""The text classifier: a small BERT behind scikit-learn's interface.

Imports no engine: Keras and TensorFlow are imported by the first fit, ONNX Runtime by the first
prediction.
"""

import hashlib
import json
import os
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from functools import partial
from importlib.metadata import version
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from scipy.special import logit
from sklearn.base import BaseEstimator, ClassifierMixin, _fit_context
from sklearn.callback import CallbackSupportMixin, FitCallback, with_callbacks
from sklearn.linear_model import LogisticRegression
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.validation import _check_sample_weight, check_is_fitted

from skbert_filter._doc_links import DocLinkMixin
from skbert_filter.bert import auto_settings
from skbert_filter.bert.losses import posterior_probabilities, raw_probabilities
from skbert_filter.bert.pretrained import PretrainedEncoder
from skbert_filter.bert.state import BertState
from skbert_filter.bert.training_config import LabelledTexts, TrainingPlan
from skbert_filter.duplicates.splits import group_codes
from skbert_filter.duplicates.training_rows import TrainingRows, training_rows
from skbert_filter.saved_filter import SavedFilterMixin
from skbert_filter.validation import check_labels, check_texts, class_weight_by_number

if TYPE_CHECKING:
    from skbert_filter.bert.initialization import Start
    from skbert_filter.bert.tokenizer import Reading

_SIZES = ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads")
_OF_TOKENIZER = ("tokenizer", "vocab_size", "lowercase")

# From random weights, where nothing else is asked for: the size of the published filter.
_PUBLISHED_WIDTH, _PUBLISHED_DEPTH, _PUBLISHED_HEADS = 32, 4, 4
_VOCAB_SIZE = 8000


class SmallBertTextFilter(
    SavedFilterMixin, DocLinkMixin, CallbackSupportMixin, ClassifierMixin, BaseEstimator
):
    """A very small BERT that classifies short texts, such as useful snippets and garbage.

    Tokenization, the reduced BERT and focal loss sit behind `fit`, `predict` and
    `predict_proba`. Equal texts are trained on once, and the probabilities are those for which
    the raw scores minimise the loss. See the user guide for how to choose the parameters.

    Parameters
    ----------
    checkpoint : str, path-like, PretrainedEncoder or None, default="auto"
        What to start from. "web": the bundled encoder, which has read web pages (64/256, 2 layers,
        4 heads, a cased vocabulary of 8,000). Otherwise the `encoder_` of a `SmallBertPretrainer`,
        or a folder of `save_pretrained` of this package or of transformers (a BERT in
        safetensors), or, if there is no such folder, a name on the Hugging Face hub. The encoder's
        weights, size and tokenizer come from it; a size or tokenizer parameter that is set must
        agree with it. The classification head is new, unless both it and this fit have two
        classes: then it starts from that filter's score, scaled to the training labels. None:
        random weights.
        "auto": "web", unless a size or tokenizer parameter is set, `max_length` is more than it
        has positions, or it cannot read the training texts, which a warning reports: then None.
    tokenizer : "corpus", str, path-like or tokenizer object, default=None
        "corpus": learn WordPiece from the training texts. Otherwise a folder, a name on the
        Hugging Face hub, a `tokenizers.Tokenizer` or a fast tokenizer of transformers. None: that
        of the checkpoint, or "corpus".
    vocab_size : int, default=None
        Most words in the vocabulary that is learnt from the training texts. None: 8,000.
    lowercase : bool, default=None
        Whether the learnt vocabulary ignores case and accents. None: it does not.
    max_length : int, default=100
        Tokens of a text that are read, the two special ones counted.
    padding : {"longest", "max_length"}, default="longest"
        Pad to about the longest text of a batch, or all to `max_length`. The results are equal.
    hidden_size, intermediate_size : int, default=None
        Width of the encoder, and of the inner layer of its feed-forward parts. None: those of the
        checkpoint; from random weights 32, and four times the width.
    num_hidden_layers, num_attention_heads : int, default=None
        Depth of the encoder, and number of heads, which must divide `hidden_size`. None: those of
        the checkpoint; from random weights 4.
    hidden_dropout_prob, attention_probs_dropout_prob : float or "auto", default="auto"
        Dropout in training. "auto": 0.2 with random weights and two classes, else 0.1.
    focal_gamma : float, default=2.0
        Focusing parameter of the focal loss; 0 gives the cross-entropy.
    label_smoothing : float, default=0.2
        Share of each label that is spread over all classes.
    class_weight : dict, "balanced" or None, default=None
        Weights of the classes, as elsewhere in scikit-learn, counted in distinct texts.
    probabilities : {"posterior", "sigmoid"}, default="posterior"
        What `predict_proba` gives: class probabilities by the inverse of the loss, or the raw
        sigmoid (softmax for more than two classes). The classes predicted are the same.
    duplicates : {"drop", "weight", "keep"}, default="drop"
        How equal training texts count: each text once with the mean weight of its copies, once
        with their sum (so that weight k equals k copies), or as they come.
    conflicts : {"majority", "drop", "soft", "raise"}, default="majority"
        What becomes of equal texts with different labels: the label with more weight wins
        (a text without one is left out), the text is left out, it is learnt as so much of each
        label as its rows weigh, or a ValueError. Shares come out as probabilities with
        ``focal_gamma=0, label_smoothing=0``; the inverse of the focal loss is for one label each.
    duplicates_key : {"exact", "whitespace", "casefold"} or callable, default="exact"
        Which training texts are equal, as the key of `DedupPredictor`.
    epochs : int or "auto", default="auto"
        Passes over the training texts. "auto": as many as make 80 steps for each class, and at
        least 4: a few hundred texts need more passes than a few thousand, and many classes more
        than two. For two classes from a `checkpoint` 80 steps in all are enough; from one that
        is a filter of two classes, such as "web", 8 passes below 1,000 texts, and 4 from there on.
    batch_size : int, default=64
        Texts of a training step.
    learning_rate : float or "auto", default="auto"
        Peak of Adam's learning rate. "auto": 1e-3 for two classes (7e-4 from a filter of two
        classes), and for more of them that times the square root of half their number, but at
        most 4e-3.
    embedding_learning_rate : float or "auto", default="auto"
        Peak for the embeddings of a `checkpoint`. "auto": a tenth of `learning_rate`, so that they
        keep what they know of words that the training texts lack.
    lr_scheduler_type : {"cosine", "linear", "constant"}, default="cosine"
        Decay of the learning rate to 0 over the steps after the warm-up, if any.
    warmup_ratio : float, default=0.1
        Share of the steps over which the learning rate rises to its peak.
    early_stopping : bool or "auto", default="auto"
        Whether to hold out texts, stop when their loss no longer falls, and keep the weights of
        the best epoch. "auto": yes, unless a class would be without a text on either side, or
        the fit starts from the score of a filter, such as "web", where a few epochs are right.
    validation_fraction : float, default=0.1
        Share of the distinct texts that early stopping sets apart.
    patience : int or "auto", default="auto"
        Epochs without improvement after which training stops. "auto": a fifth of `epochs`, and at
        least 2.
    precision : {"float32", "mixed_float16", "mixed_bfloat16"}, default="float32"
        Number format of the encoder on a GPU; softmax, logits and loss stay float32.
    n_jobs : int or None, default=None
        Threads of prediction. None: what joblib or OMP_NUM_THREADS grants this process.
    random_state : int, RandomState instance or None, default=None
        Seed of the weights, the order of the texts, dropout and the early-stopping split.
    verbose : int, default=0
        As in `keras.Model.fit`: 0 silent, 1 a progress bar, 2 a line for each epoch.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels, sorted.
    history_ : dict of str to list of float
        What Keras logged for each epoch: loss, accuracy, learning_rate, and the same of the
        early-stopping texts with the prefix ``val_``.
    n_iter_ : int
        Epochs that were run.
    training_record_ : dict
        Where the model comes from: rows, distinct texts, conflicts, class balance, hash of the
        training texts, checkpoint, split, seed, best epoch and versions; JSON-able.
    fingerprint_ : str
        Hash of everything that a prediction depends on.

    See Also
    --------
    DedupPredictor : Computes each distinct text once, for corpora full of repeats.

    Notes
    -----
    The encoder is that of Devlin et al., "BERT: Pre-training of deep bidirectional transformers",
    NAACL 2019; the loss that of Lin et al., "Focal loss for dense object detection", ICCV 2017.

    Examples
    --------
    >>> from skbert_filter import SmallBertTextFilter
    >>> from skbert_filter.datasets import make_website_snippets
    >>> X, y = make_website_snippets(300, random_state=0)
    >>> model = SmallBertTextFilter(
    ...     hidden_size=16, intermediate_size=32, num_hidden_layers=1, epochs=2, random_state=0)
    >>> model.fit(X, y).predict_proba(["View All", ""]).shape
    (2, 2)
    """

    # read by DedupPredictor and by filter_corpus
    predicts_most_probable_class = True

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "checkpoint": [str, os.PathLike, PretrainedEncoder, None],
        "tokenizer": [
            str,
            os.PathLike,
            HasMethods("to_str"),
            HasMethods("convert_tokens_to_ids"),
            None,
        ],
        "vocab_size": [Interval(Integral, 16, 1_000_000, closed="both"), None],
        "lowercase": ["boolean", None],
        "max_length": [Interval(Integral, 3, None, closed="left")],
        "padding": [StrOptions({"longest", "max_length"})],
        **{name: [Interval(Integral, 1, None, closed="left"), None] for name in _SIZES},
        "hidden_dropout_prob": [Interval(Real, 0, 1, closed="left"), StrOptions({"auto"})],
        "attention_probs_dropout_prob": [Interval(Real, 0, 1, closed="left"), StrOptions({"auto"})],
        "focal_gamma": [Interval(Real, 0, None, closed="left")],
        "label_smoothing": [Interval(Real, 0, 1, closed="left")],
        "class_weight": [dict, StrOptions({"balanced"}), None],
        "probabilities": [StrOptions({"posterior", "sigmoid"})],
        "duplicates": [StrOptions({"drop", "weight", "keep"})],
        "conflicts": [StrOptions({"majority", "drop", "soft", "raise"})],
        "duplicates_key": [StrOptions({"exact", "whitespace", "casefold"}), callable],
        "epochs": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "learning_rate": [Interval(Real, 0, None, closed="neither"), StrOptions({"auto"})],
        "embedding_learning_rate": [
            Interval(Real, 0, None, closed="neither"),
            StrOptions({"auto"}),
        ],
        "lr_scheduler_type": [StrOptions({"constant", "linear", "cosine"})],
        "warmup_ratio": [Interval(Real, 0, 1, closed="left")],
        "early_stopping": ["boolean", StrOptions({"auto"})],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "patience": [Interval(Integral, 0, None, closed="left"), StrOptions({"auto"})],
        "precision": [StrOptions({"float32", "mixed_float16", "mixed_bfloat16"})],
        "n_jobs": [
            Interval(Integral, None, -1, closed="right"),
            Interval(Integral, 1, None, closed="left"),
            None,
        ],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        *,
        checkpoint="auto",
        tokenizer=None,
        vocab_size=None,
        lowercase=None,
        max_length=100,
        padding="longest",
        hidden_size=None,
        intermediate_size=None,
        num_hidden_layers=None,
        num_attention_heads=None,
        hidden_dropout_prob="auto",
        attention_probs_dropout_prob="auto",
        focal_gamma=2.0,
        label_smoothing=0.2,
        class_weight=None,
        probabilities="posterior",
        duplicates="drop",
        conflicts="majority",
        duplicates_key="exact",
        epochs="auto",
        batch_size=64,
        learning_rate="auto",
        embedding_learning_rate="auto",
        lr_scheduler_type="cosine",
        warmup_ratio=0.1,
        early_stopping="auto",
        validation_fraction=0.1,
        patience="auto",
        precision="float32",
        n_jobs=None,
        random_state=None,
        verbose=0,
    ):
        self.checkpoint = checkpoint
        self.tokenizer = tokenizer
        self.vocab_size = vocab_size
        self.lowercase = lowercase
        self.max_length = max_length
        self.padding = padding
        self.hidden_size = hidden_size
        self.intermediate_size = intermediate_size
        self.num_hidden_layers = num_hidden_layers
        self.num_attention_heads = num_attention_heads
        self.hidden_dropout_prob = hidden_dropout_prob
        self.attention_probs_dropout_prob = attention_probs_dropout_prob
        self.focal_gamma = focal_gamma
        self.label_smoothing = label_smoothing
        self.class_weight = class_weight
        self.probabilities = probabilities
        self.duplicates = duplicates
        self.conflicts = conflicts
        self.duplicates_key = duplicates_key
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.embedding_learning_rate = embedding_learning_rate
        self.lr_scheduler_type = lr_scheduler_type
        self.warmup_ratio = warmup_ratio
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.patience = patience
        self.precision = precision
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    @property
    def fingerprint_(self) -> str:
        check_is_fitted(self)
        # padding and n_jobs leave the results as they are
        read = [self._state.digest, self.probabilities, self.classes_.tolist()]
        return hashlib.sha256(json.dumps(read, default=repr).encode()).hexdigest()

    @with_callbacks
    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, sample_weight=None, *, groups=None, X_val=None, y_val=None, callbacks=None):
        """Learn the tokenizer and the weights from labelled texts.

        Parameters
        ----------
        X : container of str of shape (n_samples,)
            A list, tuple, NumPy array, pandas or polars Series, Arrow array or one-column table.
        y : array-like of shape (n_samples,)
            Labels of one type, two or more different ones.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights; rows of weight 0 are as if they were not there.
        groups : array-like of shape (n_samples,), default=None
            The page, firm or other source of each text: early stopping holds out whole ones, and
            does not train on the texts that they share with others.
        X_val : container of str of shape (n_val,), default=None
            Texts for early stopping, in place of a share of `X`. A warning says how many of them
            are training texts too.
        y_val : array-like of shape (n_val,), default=None
            Their labels, each of which must occur in `y`.
        callbacks : list of keras.callbacks.Callback, default=None
            Used in this fit only. Callbacks of scikit-learn are set with `set_callbacks`.

        Returns
        -------
        self : SmallBertTextFilter

        Raises
        ------
        TypeError, ValueError
            If the texts, labels, weights or parameters are not as described. An error or
            an interruption leaves the estimator as it was.
        """
        keras_callbacks = _check_callbacks(callbacks)
        texts = check_texts(X)
        if not texts:
            raise ValueError("X has 0 rows. Pass at least one text of each of two classes.")
        labels = check_labels(y, len(texts))
        weights = _check_sample_weight(
            sample_weight, texts, dtype=np.float64, ensure_non_negative=True
        )
        used = np.flatnonzero(weights)
        if groups is not None:
            groups = group_codes(groups, len(texts))[0][used]
        classes, numbers = np.unique(labels[used], return_inverse=True)
        if len(classes) < 2:
            raise ValueError(
                f"y has one class only ({classes.tolist()[0]!r}) where the weight is not 0. "
                "Pass labels of at least two classes."
            )
        used_texts = [texts[i] for i in used]
        rows = self._training_rows(used_texts, numbers, weights[used], classes)
        validation = self._validation_rows(X_val, y_val, classes, rows)
        random_state = check_random_state(self.random_state)
        split_seed, weights_seed, training_seed = (
            int(seed) for seed in random_state.randint(np.iinfo(np.int32).max, size=3)
        )
        encoder, reading = self._encoder(rows.texts)
        origin = auto_settings.origin_of(encoder, n_classes=len(classes))
        # From a score the few epochs there are suffice, and every label is learnt.
        holds_out = self.early_stopping and (self.early_stopping != "auto" or origin != "score")
        if validation is None and holds_out:
            grouped = None if groups is None else (used_texts, numbers, groups)
            rows, validation = self._set_apart(rows, len(classes), split_seed, grouped)
        n_epochs = auto_settings.epochs(
            self.epochs,
            n_texts=len(rows.texts),
            n_classes=len(classes),
            batch_size=self.batch_size,
            origin=origin,
        )
        learning_rate = auto_settings.learning_rate(
            self.learning_rate, n_classes=len(classes), origin=origin
        )
        context = self._init_callback_context(max_subtasks=n_epochs)
        context.call_on_fit_task_begin(estimator=self, X=X, y=y)
        # Construction stays free of the tokenizers library, as of Keras.
        from skbert_filter.bert.fitting import fit_bert

        start = self._start(encoder, rows.texts, len(classes), np.random.RandomState(weights_seed))
        if encoder is not None and origin == "score":
            start = self._from_score(start, encoder, rows)
        epochs = []

        def begin_epoch() -> None:
            epochs.append(context.subcontext(task_name="epoch"))
            epochs[-1].call_on_fit_task_begin(estimator=self, X=X, y=y)

        def end_epoch(make_state: Callable[[], BertState]) -> bool:
            return epochs[-1].call_on_fit_task_end(
                estimator=self,
                X=X,
                y=y,
                metadata=None if sample_weight is None else {"sample_weight": sample_weight},
                reconstruction_attributes=lambda: {"classes_": classes, "_state": make_state()},
            )

        fitted = fit_bert(
            start,
            _labelled(rows),
            None if validation is None else _labelled(validation),
            TrainingPlan(
                epochs=n_epochs,
                batch_size=self.batch_size,
                learning_rate=learning_rate,
                lr_scheduler_type=self.lr_scheduler_type,
                warmup_ratio=self.warmup_ratio,
                patience=auto_settings.patience(self.patience, epochs=n_epochs)
                if self.early_stopping
                else None,
                max_length=self.max_length,
                longest=self.padding == "longest",
                seed=training_seed,
                verbose=int(self.verbose),
            ),
            gamma=float(self.focal_gamma),
            label_smoothing=float(self.label_smoothing),
            precision=self.precision,
            embedding_rate=auto_settings.embedding_share(
                self.embedding_learning_rate,
                learning_rate=learning_rate,
                from_checkpoint=encoder is not None,
            ),
            begin_epoch=begin_epoch,
            end_epoch=end_epoch,
            callbacks=keras_callbacks,
        )
        record = {
            "rows": len(texts),
            "rows_of_weight_0": len(texts) - len(used),
            "distinct": rows.n_distinct,
            "conflicts": rows.n_conflicts,
            "conflicts_left_out": rows.n_dropped,
            "trained_on": len(rows.texts),
            "validated_on": 0 if validation is None else len(validation.texts),
            "balance": rows.balance(classes),
            "data_sha256": rows.sha256(),
            "random_state": repr(self.random_state),
            "seeds": {"split": split_seed, "weights": weights_seed, "training": training_seed},
            "best_epoch": fitted.best_epoch + 1,
            "checkpoint": encoder
            and {"source": encoder.source, "fingerprint": encoder.fingerprint},
            "reading": reading and asdict(reading),
            "vocab_size": start.architecture.vocab_size,
            "versions": {
                name: version(name)
                for name in ("skbert_filter", "scikit-learn", "keras", "tokenizers", "numpy")
            },
        }
        self.classes_ = classes
        self.history_ = fitted.history
        self.n_iter_ = len(fitted.history["loss"])
        self.training_record_ = record
        self._state = fitted.state
        context.call_on_fit_task_end(estimator=self, X=X, y=y)
        return self

    def predict(self, X):
        """Predict the label of each text.

        Parameters
        ----------
        X : container of str of shape (n_samples,)
            The texts; an empty container gives an empty result.

        Returns
        -------
        labels : ndarray of shape (n_samples,)
            ``classes_[predict_proba(X).argmax(axis=1)]``, always.
        """
        check_is_fitted(self)
        return self.classes_[self.predict_proba(X).argmax(axis=1)]

    def predict_proba(self, X):
        """Predict the probability of each class for each text.

        Parameters
        ----------
        X : container of str of shape (n_samples,)
            The texts; an empty container gives an empty result.

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes), float64
            In the order of `classes_`. What they are is said by the parameter `probabilities`.
        """
        logits = self._logits(X)
        if self.probabilities == "sigmoid":
            return raw_probabilities(logits)
        return posterior_probabilities(
            logits, gamma=self._state.gamma, label_smoothing=self._state.label_smoothing
        )

    def predict_log_proba(self, X):
        """Predict the logarithm of the probability of each class for each text.

        Parameters
        ----------
        X : container of str of shape (n_samples,)
            The texts; an empty container gives an empty result.

        Returns
        -------
        log_probabilities : ndarray of shape (n_samples, n_classes), float64
            Of `predict_proba`.
        """
        return np.log(self.predict_proba(X))

    def decision_function(self, X):
        """Compute the logits of texts.

        Parameters
        ----------
        X : container of str of shape (n_samples,)
            The texts; an empty container gives an empty result.

        Returns
        -------
        logits : ndarray of shape (n_samples,) or (n_samples, n_classes), float32
            For two classes one number, positive where ``classes_[1]`` is predicted.
        """
        logits = self._logits(X)
        return logits[:, 0] if logits.shape[1] == 1 else logits

    def _logits(self, X: Any) -> np.ndarray:
        check_is_fitted(self)
        return self._state.logits(
            check_texts(X), longest=self.padding == "longest", n_jobs=self.n_jobs
        )

    def _training_rows(
        self, texts: Sequence[str], numbers: np.ndarray, weights: np.ndarray, classes: np.ndarray
    ) -> TrainingRows:
        rows = training_rows(
            texts,
            numbers,
            weights,
            len(classes),
            duplicates=self.duplicates,
            conflicts=self.conflicts,
            key=self.duplicates_key,
        )
        left = rows.shares.sum(axis=0)
        if not left.all():
            raise ValueError(
                f"No text is left of the class {classes[left.argmin()]!r}: all of its texts come "
                f"with other labels too, and conflicts={self.conflicts!r}. Correct the labels "
                '(docs: guide_labels, "My labels conflict: what now?").'
            )
        if isinstance(self.class_weight, dict):
            given = np.array(list(self.class_weight.values()), np.float64)
            if not np.isfinite(given).all() or (given < 0).any() or not given.any():
                raise ValueError(
                    f"class_weight={self.class_weight!r} must hold finite numbers of 0 or more, "
                    "not all of them 0."
                )
        class_weights = compute_class_weight(
            class_weight_by_number(self.class_weight, classes),
            classes=np.arange(len(classes)),
            y=np.tile(np.arange(len(classes)), len(rows.texts)),
            sample_weight=(rows.shares * rows.weights[:, None]).ravel(),
        )
        # a text of several classes counts for each by its weight too
        weighted = rows.shares * class_weights.astype(np.float32)
        total = weighted.sum(axis=1, keepdims=True)
        shares = np.divide(weighted, total, out=rows.shares.copy(), where=total > 0)
        weights = rows.weights * total[:, 0]
        return replace(rows, shares=shares, weights=weights / weights.mean())

    def _validation_rows(
        self, X_val: Any, y_val: Any, classes: np.ndarray, rows: TrainingRows
    ) -> TrainingRows | None:
        if X_val is None and y_val is None:
            return None
        if X_val is None or y_val is None:
            given, missing = ("y_val", "X_val") if X_val is None else ("X_val", "y_val")
            raise ValueError(f"{given} was passed without {missing}. Pass both or neither.")
        texts = check_texts(X_val, name="X_val")
        labels = check_labels(y_val, len(texts), name="y_val", of="X_val")
        if not texts:
            raise ValueError("X_val has 0 rows. Pass some texts, or no X_val.")
        if unknown := set(labels.tolist()) - set(classes.tolist()):
            raise ValueError(f"y_val has labels that y has not: {sorted(unknown)!r}.")
        numbers = np.searchsorted(classes, labels)
        ones = np.ones(len(texts))
        validation = training_rows(texts, numbers, ones, len(classes), key=self.duplicates_key)
        if copies := int(validation.are_in(rows.texts, self.duplicates_key).sum()):
            warnings.warn(
                f"{copies} of the {len(validation.texts)} distinct texts of X_val are training "
                "texts too, so that their loss says little of other texts. Split with "
                "dedup_train_test_split, or leave out X_val and y_val.",
                stacklevel=2,
            )
        return validation

    def _set_apart(
        self, rows: TrainingRows, n_classes: int, seed: int, grouped: Any
    ) -> tuple[TrainingRows, TrainingRows | None]:
        """Split off the texts of early stopping, copies of a text on one side."""
        try:
            return rows.split(
                self.validation_fraction, n_classes, self.duplicates_key, seed, grouped
            )
        except ValueError as error:
            if self.early_stopping == "auto":
                return rows, None
            raise ValueError(
                f"early_stopping=True with validation_fraction={self.validation_fraction} cannot "
                f"split {len(rows.texts)} texts: {error} Pass X_val and y_val, or "
                "early_stopping='auto' "
                '(docs: guide_model, "How long does it train?").'
            ) from None

    def _encoder(self, texts: Sequence[str]) -> tuple[PretrainedEncoder | None, "Reading | None"]:
        """Return the checkpoint, and how well the default one reads the texts."""
        if self.checkpoint is None:
            return None, None
        from skbert_filter.bert.checkpoint import bundled_checkpoint, load_checkpoint
        from skbert_filter.bert.tokenizer import Reading

        if self.checkpoint != "auto":
            return load_checkpoint(self.checkpoint), None
        if self._asked():
            return None, None
        encoder = bundled_checkpoint("web")
        if self.max_length > encoder.architecture.max_position_embeddings:
            return None, None

        reading = Reading.of(encoder.tokenizer_json, texts)
        if reading.is_good:
            return encoder, reading
        warnings.warn(
            f"The bundled encoder cannot read these texts: {reading}. The filter learns them from "
            "random weights. Pass checkpoint=None to do so without this warning, or "
            "checkpoint='web' to start from the bundled encoder all the same "
            '(docs: guide_model, "Which texts can the bundled encoder read?").',
            stacklevel=2,
        )
        return None, reading

    def _from_score(
        self, start: "Start", encoder: PretrainedEncoder, rows: TrainingRows
    ) -> "Start":
        """Begin with the score of the checkpoint's own head, scaled to the labels of this fit.

        A head of few labels starts far from what the encoder knows. This one starts as the logistic
        regression of the labels on that score (Platt, "Probabilistic outputs for support vector
        machines", 1999), which also finds out which of the two classes the score speaks for.
        """
        of_checkpoint = BertState.of(
            start.architecture,
            {**encoder.weights, **encoder.head},
            start.tokenizer,
            max_length=self.max_length,
            gamma=0.0,
            label_smoothing=0.0,
            precision="float32",
        )
        score = of_checkpoint.logits(rows.texts, longest=True, n_jobs=self.n_jobs)
        line = LogisticRegression().fit(
            np.tile(score, (2, 1)),
            np.repeat([0, 1], len(score)),
            sample_weight=(rows.shares * rows.weights[:, None]).T.ravel(),
        )

        # The loss answers a probability with a smaller logit than its own.
        [[_, of_1]] = posterior_probabilities(
            np.ones((1, 1)), gamma=self.focal_gamma, label_smoothing=self.label_smoothing
        )
        shrunk = 1 / logit(of_1)
        slope, intercept = shrunk * line.coef_[0, 0], shrunk * line.intercept_[0]
        head = {name: slope * part for name, part in encoder.head.items()}
        head["classifier.bias"] = head["classifier.bias"] + intercept
        weights = {name: part.astype(np.float32) for name, part in head.items()}
        return replace(start, weights={**start.weights, **weights})

    def _asked(self) -> dict[str, Any]:
        """Return the parameters of the size and tokenizer that are set."""
        asked = {name: getattr(self, name) for name in (*_SIZES, *_OF_TOKENIZER)}
        return {name: value for name, value in asked.items() if value is not None}

    def _start(
        self,
        encoder: PretrainedEncoder | None,
        texts: Sequence[str],
        n_classes: int,
        rng: np.random.RandomState,
    ) -> "Start":
        """Tokenizer, architecture and weights that training starts from."""
        from skbert_filter.bert.initialization import start_at_checkpoint, start_at_random

        dropout = partial(
            auto_settings.dropout, n_classes=n_classes, from_checkpoint=encoder is not None
        )
        head = {
            "hidden_dropout_prob": dropout(self.hidden_dropout_prob),
            "attention_probs_dropout_prob": dropout(self.attention_probs_dropout_prob),
            "n_logits": 1 if n_classes == 2 else n_classes,
        }
        asked = self._asked()
        if encoder is not None:
            return start_at_checkpoint(
                encoder,
                self.checkpoint,
                asked=asked,
                max_length=self.max_length,
                head=head,
                rng=rng,
            )

        width, heads = (
            asked.get("hidden_size", _PUBLISHED_WIDTH),
            asked.get("num_attention_heads", _PUBLISHED_HEADS),
        )
        if width % heads:
            raise ValueError(
                f"hidden_size={width} is not a multiple of num_attention_heads={heads}. Change one "
                "of them."
            )
        sizes = {
            "hidden_size": width,
            "num_attention_heads": heads,
            "intermediate_size": asked.get("intermediate_size", 4 * width),
            "num_hidden_layers": asked.get("num_hidden_layers", _PUBLISHED_DEPTH),
            "max_position_embeddings": self.max_length,
        }
        return start_at_random(
            texts,
            tokenizer=asked.get("tokenizer", "corpus"),
            vocab_size=asked.get("vocab_size", _VOCAB_SIZE),
            lowercase=asked.get("lowercase", False),
            sizes={**{name: int(size) for name, size in sizes.items()}, **head},
            rng=rng,
        )

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.two_d_array = False
        return tags


def _check_callbacks(callbacks: Any) -> list[Any]:
    callbacks = list(callbacks or [])
    for callback in callbacks:
        if isinstance(callback, FitCallback):
            name = type(callback).__name__
            raise TypeError(
                f"{name} is a callback of scikit-learn. Set it with set_callbacks({name}(...)) "
                "before fit; fit(callbacks=...) takes callbacks of Keras."
            )
    if callbacks:
        from skbert_filter.bert.engine import import_keras

        keras = import_keras()
        for callback in callbacks:
            if not isinstance(callback, keras.callbacks.Callback):
                raise TypeError(
                    "fit(callbacks=...) takes instances of keras.callbacks.Callback; got "
                    f"{callback!r}."
                )
    return callbacks


def _labelled(rows: TrainingRows) -> LabelledTexts:
    return LabelledTexts(rows.texts, rows.shares, rows.weights)
