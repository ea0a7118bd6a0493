"""How a fitted filter becomes a folder or a file, and a folder a filter again.

Imports no engine.
"""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skbert_filter.validation import PlainParameters

# Parameters of earlier versions, on which no answer depends.
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


class SavedFilterMixin(PlainParameters):
    """`save_pretrained`, `from_pretrained` and `export_onnx` of a filter."""

    def save_pretrained(self: Any, folder):
        """Save the fitted filter as a folder of JSON and safetensors.

        Parameters
        ----------
        folder : str or path-like
            Folder to create; it may exist if it is empty. transformers loads it with
            ``BertForSequenceClassification.from_pretrained``.

        Raises
        ------
        FileExistsError, TypeError
            If the folder holds anything, or a label is not a str, int, float or bool.

        Notes
        -----
        Parameters that JSON cannot hold (an encoder, a tokenizer, a dict of weights, a generator)
        and `verbose` are not saved, and are at their defaults in the filter that is loaded. Its
        answers do not depend on them; a new fit does.
        """
        check_is_fitted(self)
        labels = self._plain_labels()
        own = {
            "classes": labels,
            "classes_dtype": self.classes_.dtype.str,
            "parameters": self._json_parameters(),
            "history": self.history_,
            "training_record": self.training_record_,
            "fingerprint": self.fingerprint_,
        }
        from skbert_filter.bert.folder import save_filter

        save_filter(folder, self._state, [str(label) for label in labels], own)

    def export_onnx(self: Any, path):
        """Write the fitted filter as one file that runs in plain ONNX Runtime.

        Parameters
        ----------
        path : str or path-like
            File to create.

        Raises
        ------
        FileExistsError, TypeError
            If it exists, or a label is not a str, int, float or bool.

        Notes
        -----
        The inputs are ``input_ids`` and ``attention_mask``, int64 of shape (n_texts, n_tokens),
        and the output is ``logits``, float32 of shape (n_texts, n_logits): what
        `decision_function` returns. The metadata of the file are text: ``classes`` (JSON),
        ``gamma`` and ``label_smoothing`` (by which ``skbert_filter.bert.losses`` makes
        probabilities of logits), ``tokenizer`` (the content of a tokenizer.json), ``max_length``,
        and ``fingerprint``.
        """
        check_is_fitted(self)
        if Path(path).exists():
            raise FileExistsError(f"{os.fspath(path)} exists. Remove it, or name another file.")
        from skbert_filter.bert.onnx_graph import export_onnx

        classes = json.dumps(self._plain_labels())
        export_onnx(path, self._state, {"classes": classes, "fingerprint": self.fingerprint_})

    @classmethod
    def from_pretrained(cls, folder):
        """Load a filter saved by `save_pretrained`, without running any code of the folder.

        Parameters
        ----------
        folder : str or path-like
            The folder; or "web" for the bundled filter, which separates the main text of
            web pages (label 1) from the rest (label 0) without any labels of yours.

        Returns
        -------
        model : SmallBertTextFilter
            Fitted; predicts as the saved one.

        Raises
        ------
        FileNotFoundError, ValueError
            If it is not such a folder, or incomplete, damaged, changed or of a newer format.
        """
        from skbert_filter.bert.checkpoint import load_filter
        from skbert_filter.bert.folder import METADATA

        state, own = load_filter(folder)
        if own["parameters"].get("probabilities") == "sigmoid":
            raise ValueError(
                f"{os.fspath(folder)!r} was saved with probabilities='sigmoid', which is gone: "
                "predict_proba gives the posterior. Fit the filter again, and take "
                "scipy.special.expit(model.decision_function(X)); or install the version of "
                "skbert_filter that saved it."
            )

        try:
            model: Any = cls(**{k: v for k, v in own["parameters"].items() if k not in _DROPPED})
            model._validate_params()
            model.classes_ = np.array(own["classes"], dtype=np.dtype(own["classes_dtype"]))
            model.n_iter_ = len(own["history"]["loss"])
            if model._plain_labels() != own["classes"]:
                raise ValueError(f"{own['classes']!r} are not labels of {model.classes_.dtype}.")
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(
                f"{METADATA} in {os.fspath(folder)!r} is not that of a filter: {error}. "
                "Copy the folder again from its source, or save the model again."
            ) from error

        model.history_ = own["history"]
        model.training_record_ = own["training_record"]
        model._state = state
        if own["fingerprint"] != model.fingerprint_:
            raise ValueError(
                f"{os.fspath(folder)!r} is not the filter that was saved: its weights, classes or "
                "tokenizer have changed since. Copy the folder again from its source."
            )
        return model

    def _plain_labels(self: Any) -> list[Any]:
        labels = self.classes_.tolist()
        if not {type(label) for label in labels} <= {str, int, float, bool}:
            raise TypeError(
                "Labels are saved as JSON, so that they must be str, int, float or bool; got "
                f"{type(labels[0]).__name__} ({labels[0]!r})."
            )
        return labels
