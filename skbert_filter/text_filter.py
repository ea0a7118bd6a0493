"""The text classifier: a small BERT behind scikit-learn's interface.

Imports no engine: Keras and TensorFlow are imported by the first fit, ONNX Runtime by the first
prediction.
"""

import hashlib
import json
import os
import warnings
from dataclasses import asdict
from numbers import Integral, Real
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, _fit_context
from sklearn.callback import CallbackSupportMixin, FitCallback, with_callbacks
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.validation import _check_sample_weight, check_is_fitted

from skbert_filter.bert import auto_settings
from skbert_filter.bert.engine import import_keras, versions
from skbert_filter.bert.losses import posterior_probabilities
from skbert_filter.bert.pretrained import PretrainedEncoder
from skbert_filter.duplicates.splits import group_codes
from skbert_filter.duplicates.training_rows import LabelledTexts, hold_out, training_rows
from skbert_filter.printing import DocLinkMixin
from skbert_filter.validation import PlainParameters, check_labels, check_texts

_AT_LEAST_1 = Interval(Integral, 1, None, closed="left")

# The fraction of the distinct texts that early stopping holds out.
_VALIDATION_FRACTION = 0.1

# Parameters of earlier versions; predictions do not depend on them.
_DROPPED = {
    "duplicates_key",
    "embedding_learning_rate",
    "lr_scheduler_type",
    "patience",
    "precision",
    "probabilities",
    "validation_fraction",
    "warmup_ratio",
}


class SmallBertTextFilter(
    PlainParameters, DocLinkMixin, CallbackSupportMixin, ClassifierMixin, BaseEstimator
):
    """A very small BERT that classifies short texts, such as useful snippets and garbage.

    Equal texts count once in training, and probabilities are corrected for the focal loss's bias.

    Parameters
    ----------
    checkpoint : str, path-like, PretrainedEncoder or None, default="auto"
        Source of weights, size and tokenizer. "web": the bundled encoder, pretrained on web pages
        (width 64/256, 2 layers, 4 heads, a cased vocabulary of 8,000). Otherwise the `encoder_` of
        a `SmallBertPretrainer`, a folder written by `save_pretrained` of this package or of
        transformers (a BERT in safetensors), or a name on the Hugging Face hub. Size and tokenizer
        parameters must agree with it if they are set. The head is new, unless the checkpoint is a
        filter and both have two classes: then training starts from its score, scaled to the labels.
        None: random weights. "auto": "web", unless a size or tokenizer parameter is set,
        `max_length` exceeds its positions, or it cannot read the training texts (with a warning).
    tokenizer : "corpus", str, path-like or tokenizer object, default=None
        "corpus": learn WordPiece from the training texts. Otherwise a folder, a name on the Hugging
        Face hub, a `tokenizers.Tokenizer` or a fast tokenizer of transformers. None: that of the
        checkpoint, or "corpus".
    vocab_size : int, default=None
        Maximum size of the vocabulary learnt from the training texts. None: 8,000.
    lowercase : bool, default=None
        Whether the learnt vocabulary ignores case and accents. None: it does not.
    max_length : int, default=100
        How many tokens of a text are read, including the two special ones.
    padding : {"longest", "max_length"}, default="longest"
        Whether training texts are padded to about the longest of their batch, or all to
        `max_length`. Padding is masked: the two fits differ only in the draws of dropout.
    hidden_size, intermediate_size : int, default=None
        Width of the encoder, and of the inner layer of its feed-forward blocks. None: those of the
        checkpoint; with random weights 32, and four times the width.
    num_hidden_layers, num_attention_heads : int, default=None
        Depth of the encoder, and number of heads, which must divide `hidden_size`. None: those of
        the checkpoint; with random weights 4.
    hidden_dropout_prob, attention_probs_dropout_prob : float or "auto", default="auto"
        "auto": 0.2 with random weights and two classes, else 0.1.
    focal_gamma : float, default=2.0
        Focusing parameter of the focal loss; 0 is the cross-entropy.
    label_smoothing : float, default=0.2
        Share of each label that is spread over all classes.
    class_weight : dict, "balanced" or None, default=None
        Weights of the classes; "balanced" counts equal texts as `duplicates` does.
    duplicates : {"drop", "weight", "keep"}, default="drop"
        How equal training texts count. "drop": once, with the mean weight of the copies. "weight":
        once, with their sum, so weight k equals k copies. "keep": as they are.
    conflicts : {"majority", "drop", "soft", "raise"}, default="majority"
        What to do with equal texts that have different labels. "majority": use the label with most
        weight, and drop the text in a tie. "drop": drop the text. "soft": learn each label in
        proportion to its weight; with ``focal_gamma=0, label_smoothing=0`` the probabilities then
        approach these proportions. "raise": raise a ValueError.
    epochs : int or "auto", default="auto"
        "auto": enough for 80 steps per class, and at least 4. For two classes, a `checkpoint` needs
        80 steps in all; one that is a filter with two classes, such as "web", 8 epochs for fewer
        than 1,000 texts, else 4.
    batch_size : int, default=64
    learning_rate : float or "auto", default="auto"
        Peak of Adam's learning rate, with a linear warmup over a tenth of the steps and a cosine
        decay to 0; the embeddings of a `checkpoint` learn at a tenth of it. "auto": 1e-3 for two
        classes (7e-4 from a filter with two classes); for n classes 1e-3 times the square root of
        n / 2, and at most 4e-3.
    early_stopping : bool or "auto", default="auto"
        Whether to hold out a tenth of the distinct texts, stop when their loss has not improved for
        a fifth of `epochs` (at least 2), and keep the weights of the best epoch. "auto": yes,
        unless training starts from the score of a filter, such as "web", where a few epochs are
        best, or one side would lack a class.
    n_jobs : int or None, default=None
        Number of threads for prediction. None: what joblib or OMP_NUM_THREADS grants this process.
    random_state : int, RandomState instance or None, default=None
        Seed of the weights, the order of the texts, dropout and the early-stopping split.
    verbose : int, default=0
        As in `keras.Model.fit`: 0 silent, 1 a progress bar, 2 a line for each epoch.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels, sorted.
    history_ : dict of str to list of float
        For each epoch loss, accuracy and learning_rate, and with validation texts ``val_loss`` and
        ``val_accuracy``.
    n_iter_ : int
        Number of epochs that were run.
    training_record_ : dict
        Where the model comes from: rows, distinct texts, conflicts, class balance, hash of the
        training texts, checkpoint, split, seed, best epoch and versions; JSON-serializable.
    fingerprint_ : str
        Hash of everything that a prediction depends on.

    See Also
    --------
    DedupPredictor : Computes each distinct text once, for corpora full of repeats.

    Notes
    -----
    On a GPU, computations follow `keras.config.dtype_policy` if that is "mixed_float16" or
    "mixed_bfloat16"; otherwise they are in float32.

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

    # Read by DedupPredictor and filter_corpus.
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
        "hidden_size": [_AT_LEAST_1, None],
        "intermediate_size": [_AT_LEAST_1, None],
        "num_hidden_layers": [_AT_LEAST_1, None],
        "num_attention_heads": [_AT_LEAST_1, None],
        "hidden_dropout_prob": [Interval(Real, 0, 1, closed="left"), StrOptions({"auto"})],
        "attention_probs_dropout_prob": [Interval(Real, 0, 1, closed="left"), StrOptions({"auto"})],
        "focal_gamma": [Interval(Real, 0, None, closed="left")],
        "label_smoothing": [Interval(Real, 0, 1, closed="left")],
        "class_weight": [dict, StrOptions({"balanced"}), None],
        "duplicates": [StrOptions({"drop", "weight", "keep"})],
        "conflicts": [StrOptions({"majority", "drop", "soft", "raise"})],
        "epochs": [_AT_LEAST_1, StrOptions({"auto"})],
        "batch_size": [_AT_LEAST_1],
        "learning_rate": [Interval(Real, 0, None, closed="neither"), StrOptions({"auto"})],
        "early_stopping": ["boolean", StrOptions({"auto"})],
        "n_jobs": [Interval(Integral, None, -1, closed="right"), _AT_LEAST_1, None],
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
        duplicates="drop",
        conflicts="majority",
        epochs="auto",
        batch_size=64,
        learning_rate="auto",
        early_stopping="auto",
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
        self.duplicates = duplicates
        self.conflicts = conflicts
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.early_stopping = early_stopping
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    @property
    def fingerprint_(self) -> str:
        check_is_fitted(self)
        # The fingerprints of saved filters contain "posterior", the value of a former parameter.
        hashed = [self._state.digest, "posterior", self.classes_.tolist()]
        return hashlib.sha256(json.dumps(hashed, default=repr).encode()).hexdigest()

    @with_callbacks
    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, sample_weight=None, *, groups=None, X_val=None, y_val=None, callbacks=None):
        """Learn the tokenizer and the weights from labelled texts.

        Parameters
        ----------
        X : container of str of shape (n_samples,)
            A list, tuple, NumPy array, pandas or polars Series, Arrow array or one-column table.
        y : array-like of shape (n_samples,)
            Labels of one type, with at least two classes.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows; those of weight 0 are ignored.
        groups : array-like of shape (n_samples,), default=None
            Source of each text, such as its page or firm. Early stopping holds out whole groups,
            and training excludes the texts that they share with others.
        X_val, y_val : container of str and array-like, of length n_val, default=None
            Texts for early stopping, instead of a part of `X`. A warning reports how many of them
            are also training texts.
        callbacks : list of keras.callbacks.Callback, default=None
            Callbacks for this fit only. Those of scikit-learn are set with `set_callbacks`.

        Returns
        -------
        self : SmallBertTextFilter

        Raises
        ------
        TypeError, ValueError
            If an argument is not as described. An error or an interruption leaves the estimator as
            it was.
        """
        keras_callbacks = _checked_callbacks(callbacks)
        texts = check_texts(X)
        if not texts:
            raise ValueError("X has 0 rows. Pass at least one text for each of two classes.")
        labels = check_labels(y, len(texts))
        weights = _check_sample_weight(
            sample_weight, texts, dtype=np.float64, ensure_non_negative=True
        )

        # Rows of weight 0 are ignored.
        used = np.flatnonzero(weights)
        used_texts = [texts[i] for i in used]
        classes, codes = np.unique(labels[used], return_inverse=True)
        n_classes = len(classes)
        if n_classes < 2:
            where = "" if sample_weight is None else " where the weight is not 0"
            raise ValueError(
                f"y has one class only ({classes.tolist()[0]!r}){where}. "
                "Pass labels of at least two classes."
            )

        grouped = None
        if groups is not None:
            grouped = used_texts, codes, group_codes(groups, len(texts))[0][used]

        # Merge equal texts, and resolve their labels.
        rows = training_rows(
            used_texts,
            codes,
            weights[used],
            n_classes,
            duplicates=self.duplicates,
            conflicts=self.conflicts,
        )
        class_totals = rows.shares.sum(axis=0)
        if not class_totals.all():
            raise ValueError(
                f"No text is left of the class {classes[class_totals.argmin()]!r}: all of its "
                f"texts have other labels too, and conflicts={self.conflicts!r}. Correct the "
                'labels (docs: labels, "My labels conflict: what now?").'
            )
        rows = rows.with_class_weight(self.class_weight, classes)
        validation = self._validation_rows(X_val, y_val, classes, rows)

        drawn = check_random_state(self.random_state).randint(np.iinfo(np.int32).max, size=3)
        seeds = dict(zip(("split", "weights", "training"), drawn.tolist(), strict=True))

        # Imported here, so that constructing a filter does not import tokenizers.
        from skbert_filter.bert.initialization import find_encoder, initialize_filter

        parameters = self.get_params(deep=False)
        encoder, coverage = find_encoder(parameters, rows.texts)
        origin = auto_settings.origin_of(encoder, n_classes=n_classes)
        # From a score, a few epochs on all labels are better than early stopping.
        holds_out = self.early_stopping and (self.early_stopping != "auto" or origin != "score")
        if validation is None and holds_out:
            rows, validation = self._hold_out(rows, seeds["split"], grouped)

        config = auto_settings.training_config(
            parameters,
            n_texts=len(rows.texts),
            n_classes=n_classes,
            origin=origin,
            seed=seeds["training"],
        )

        context = self._init_callback_context(max_subtasks=config.epochs)
        context.call_on_fit_task_begin(estimator=self, X=X, y=y)

        rng = np.random.RandomState(seeds["weights"])
        initial = initialize_filter(encoder, rows, parameters, rng)
        import_keras()
        from skbert_filter.bert.training import EpochCallback, fit_bert

        epoch_callback = EpochCallback(
            context,
            lambda state: {"classes_": classes, "_state": state},
            metadata=None if sample_weight is None else {"sample_weight": sample_weight},
            estimator=self,
            X=X,
            y=y,
        )
        fitted = fit_bert(initial, rows, validation, config, epoch_callback, keras_callbacks)

        self.classes_ = classes
        self.history_ = fitted.history
        self.n_iter_ = len(fitted.history["loss"])
        self.training_record_ = {
            "rows": len(texts),
            "rows_of_weight_0": len(texts) - len(used),
            **rows.record(classes),
            "validated_on": 0 if validation is None else len(validation.texts),
            "random_state": repr(self.random_state),
            "seeds": seeds,
            "best_epoch": fitted.best_epoch + 1,
            "checkpoint": encoder
            and {"source": encoder.source, "fingerprint": encoder.fingerprint},
            "reading": coverage and asdict(coverage),
            "vocab_size": initial.architecture.vocab_size,
            "versions": versions(),
        }
        self._state = fitted.state
        context.call_on_fit_task_end(estimator=self, X=X, y=y)
        return self

    def predict(self, X):
        """Predict the label of each text.

        Parameters
        ----------
        X : container of str of shape (n_samples,)

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

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes), float64
            In the order of `classes_`, and calibrated by inverting the loss. Uncalibrated ones are
            ``scipy.special.expit(decision_function(X))``, or for more than two classes
            ``scipy.special.softmax(decision_function(X), axis=1)``.
        """
        return posterior_probabilities(
            self._logits(X), gamma=self._state.gamma, label_smoothing=self._state.label_smoothing
        )

    def predict_log_proba(self, X):
        """Predict the logarithm of the probability of each class for each text.

        Parameters
        ----------
        X : container of str of shape (n_samples,)

        Returns
        -------
        log_probabilities : ndarray of shape (n_samples, n_classes), float64
        """
        return np.log(self.predict_proba(X))

    def decision_function(self, X):
        """Compute the logits of texts.

        Parameters
        ----------
        X : container of str of shape (n_samples,)

        Returns
        -------
        logits : ndarray of shape (n_samples,) or (n_samples, n_classes), float32
            For two classes a single logit, positive where ``classes_[1]`` is predicted.
        """
        logits = self._logits(X)
        return logits[:, 0] if logits.shape[1] == 1 else logits

    def _logits(self, X: Any) -> np.ndarray:
        check_is_fitted(self)
        from skbert_filter.bert.inference import predict_logits

        return predict_logits(self._state, check_texts(X), self.n_jobs)

    def _validation_rows(
        self, X_val: Any, y_val: Any, classes: np.ndarray, rows: LabelledTexts
    ) -> LabelledTexts | None:
        if X_val is None and y_val is None:
            return None
        if X_val is None or y_val is None:
            passed, missing = ("y_val", "X_val") if X_val is None else ("X_val", "y_val")
            raise ValueError(f"{passed} was passed without {missing}. Pass both or neither.")

        texts = check_texts(X_val, name="X_val")
        labels = check_labels(y_val, len(texts), name="y_val", of="X_val")
        if not texts:
            raise ValueError("X_val has 0 rows. Pass some texts, or no X_val.")
        if unknown := set(labels.tolist()) - set(classes.tolist()):
            raise ValueError(f"y_val has labels that y does not have: {sorted(unknown)!r}.")

        codes = np.searchsorted(classes, labels)
        validation = training_rows(texts, codes, np.ones(len(texts)), len(classes))
        if copies := len(set(validation.texts).intersection(rows.texts)):
            warnings.warn(
                f"{copies} of the {len(validation.texts)} distinct texts of X_val are training "
                "texts too, so their loss says little about new texts. Split with "
                "dedup_train_test_split, or pass no X_val and y_val.",
                stacklevel=2,
            )
        return validation

    def _hold_out(
        self, rows: LabelledTexts, seed: int, grouped: Any
    ) -> tuple[LabelledTexts, LabelledTexts | None]:
        try:
            return hold_out(rows, _VALIDATION_FRACTION, seed, grouped)
        except ValueError as error:
            if self.early_stopping == "auto":
                return rows, None
            raise ValueError(
                f"early_stopping=True cannot hold out a tenth of {len(rows.texts)} texts: {error} "
                "Pass X_val and y_val, or early_stopping='auto' "
                '(docs: model, "How long does it train?").'
            ) from None

    def save_pretrained(self, folder):
        """Save the fitted filter as a folder of JSON and safetensors.

        Parameters
        ----------
        folder : str or path-like
            Folder to create; it may exist if it is empty. transformers loads it with
            ``BertForSequenceClassification.from_pretrained``.

        Raises
        ------
        FileExistsError, TypeError
            If the folder is not empty, or a label is not a str, int, float or bool.

        Notes
        -----
        `verbose` and parameters that JSON cannot represent (an encoder, a tokenizer, a dict of
        weights, a generator) have their defaults in the loaded filter. Its predictions do not
        depend on them; a new fit does.
        """
        check_is_fitted(self)
        labels = self._plain_labels()
        metadata = {
            "classes": labels,
            "classes_dtype": self.classes_.dtype.str,
            "parameters": self._json_parameters(),
            "history": self.history_,
            "training_record": self.training_record_,
            "fingerprint": self.fingerprint_,
        }
        from skbert_filter.bert.folder import save_filter

        save_filter(folder, self._state, [str(label) for label in labels], metadata)

    def export_onnx(self, path):
        """Write the fitted filter as a single file for ONNX Runtime.

        Parameters
        ----------
        path : str or path-like
            File to create.

        Raises
        ------
        FileExistsError, TypeError
            If the file exists, or a label is not a str, int, float or bool.

        Notes
        -----
        The inputs are ``input_ids`` and ``attention_mask``, int64 of shape (n_texts, n_tokens), and
        the output is ``logits``, float32 of shape (n_texts, n_logits): what `decision_function`
        returns. The metadata of the file are text: ``classes`` (JSON), ``gamma`` and
        ``label_smoothing`` (from which ``skbert_filter.bert.losses`` computes probabilities),
        ``tokenizer`` (the content of a tokenizer.json), ``max_length``, and ``fingerprint``.
        """
        check_is_fitted(self)
        if Path(path).exists():
            raise FileExistsError(f"{os.fspath(path)} exists. Remove it, or name another file.")
        from skbert_filter.bert.onnx_graph import export_onnx

        classes = json.dumps(self._plain_labels())
        export_onnx(path, self._state, {"classes": classes, "fingerprint": self.fingerprint_})

    @classmethod
    def from_pretrained(cls, folder):
        """Load a filter saved by `save_pretrained`, without running any code from the folder.

        Parameters
        ----------
        folder : str or path-like
            The folder, or "web" for the bundled filter, which separates the main text of web pages
            (label 1) from the rest (label 0) without labels of your own.

        Returns
        -------
        model : SmallBertTextFilter

        Raises
        ------
        FileNotFoundError, ValueError
            If it is not such a folder, or is incomplete, damaged, changed or of a newer format.
        """
        _check_kind(folder)
        from skbert_filter.bert.checkpoint import load_filter
        from skbert_filter.bert.folder import METADATA

        state, metadata = load_filter(folder)
        parameters, labels = metadata["parameters"], metadata["classes"]
        if parameters.get("probabilities") == "sigmoid":
            raise ValueError(
                f"{os.fspath(folder)!r} was saved with probabilities='sigmoid', which no longer "
                "exists: predict_proba returns the posterior. Fit the filter again and use "
                "scipy.special.expit(model.decision_function(X)), or install the version of "
                "skbert_filter that saved it."
            )

        try:
            model = cls(**{k: v for k, v in parameters.items() if k not in _DROPPED})
            model._validate_params()
            model.classes_ = np.array(labels, dtype=np.dtype(metadata["classes_dtype"]))
            model.n_iter_ = len(metadata["history"]["loss"])
            if model._plain_labels() != labels:
                raise ValueError(f"{labels!r} are not labels of type {model.classes_.dtype}.")
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(
                f"{METADATA} in {os.fspath(folder)!r} is not that of a filter: {error}. "
                "Copy the folder again from its source, or save the model again."
            ) from error

        model.history_ = metadata["history"]
        model.training_record_ = metadata["training_record"]
        model._state = state
        if metadata["fingerprint"] != model.fingerprint_:
            raise ValueError(
                f"{os.fspath(folder)!r} is not the filter that was saved: its weights, classes or "
                "tokenizer have changed since. Copy the folder again from its source."
            )
        return model

    def _plain_labels(self) -> list[Any]:
        labels = self.classes_.tolist()
        if not {type(label) for label in labels} <= {str, int, float, bool}:
            raise TypeError(
                "Labels are saved as JSON, so they must be str, int, float or bool; got "
                f"{type(labels[0]).__name__} ({labels[0]!r})."
            )
        return labels

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.two_d_array = False
        return tags


def _checked_callbacks(callbacks: Any) -> list[Any]:
    callbacks = list(callbacks or [])
    for callback in callbacks:
        if isinstance(callback, FitCallback):
            name = type(callback).__name__
            raise TypeError(
                f"{name} is a callback of scikit-learn. Set it with set_callbacks({name}(...)) "
                "before fit; fit(callbacks=...) takes callbacks of Keras."
            )
        if not isinstance(callback, import_keras().callbacks.Callback):
            raise TypeError(
                f"fit(callbacks=...) takes instances of keras.callbacks.Callback; got {callback!r}."
            )
    return callbacks


def _check_kind(folder: Any) -> None:
    """Refuse the other models that `train_filter` saves, whose metadata have a kind."""
    from skbert_filter.bert.folder import METADATA, find_folder, read_json

    metadata = find_folder(folder) / METADATA
    if metadata.is_file() and (kind := read_json(metadata).get("kind")):
        raise ValueError(
            f"{os.fspath(folder)!r} holds a model of the kind {kind!r}, not a SmallBertTextFilter. "
            "Load it with skbert_filter.corpus.load_classifier."
        )
