"""Log the epochs of a fit to Comet while it runs. Importing this module imports Keras."""

import warnings
from time import perf_counter
from typing import Any

from skbert_filter.bert.engine import import_keras
from skbert_filter.integrations.comet.connection import check_experiment, reason

keras: Any = import_keras()


class CometCallback(keras.callbacks.Callback):
    """Log the epochs of one fit to a Comet experiment as they end.

    Each epoch's loss, metrics, learning rate and duration are logged with the number of the
    optimizer's steps so far as the step. Comet's own callback for Keras keeps out of such a fit.

    Parameters
    ----------
    experiment : comet_ml.CometExperiment
        Where to log to.

    Notes
    -----
    A pickle of it, such as a search sends to its workers, holds no experiment and logs nothing.
    An error inside Comet gives one warning, and training continues. In a second fit it logs
    nothing, so that two fits are never mixed in one curve: make a new one for each. To keep the
    curves of several fits in one experiment apart, fit within
    ``experiment.context_manager("fold 2")``.

    Examples
    --------
    ::

        experiment = start("website-texts")
        model = SmallBertTextFilter().fit(X, y, callbacks=[CometCallback(experiment)])
        log_fit(experiment, model)
    """

    def __init__(self, experiment: Any):
        super().__init__()
        if experiment is not None:  # as it is in a copy
            check_experiment(experiment)
        self._experiment = experiment
        self._fits = 0
        self._started = self._epoch_started = 0.0

    def __reduce__(self):
        return CometCallback, (None,)

    def on_train_begin(self, logs: Any = None) -> None:
        """Note the time, unless this is a copy or the second fit."""
        self._fits += 1
        self._started = perf_counter()
        experiment = self._experiment
        if experiment is None:
            if self._fits == 1:
                self._stop("it is a copy, as a worker process gets one, and has no experiment")
        elif self._fits > 1:
            self._stop("it has logged a fit already; make a new CometCallback for each fit")
        elif not experiment.alive and not experiment.disabled:
            self._stop("its experiment has ended; start another one")

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Note the time."""
        self._epoch_started = perf_counter()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Log the epoch."""
        duration = perf_counter() - self._epoch_started
        self._log({**(logs or {}), "epoch_duration": duration}, epoch + 1)

    def on_train_end(self, logs: Any = None) -> None:
        """Log the duration of the fit."""
        self._log({"fit_duration": perf_counter() - self._started})

    def _log(self, metrics: dict[str, float], epoch: int | None = None) -> None:
        if self._experiment is None:
            return
        try:
            step = int(self.model.optimizer.iterations)
            self._experiment.log_metrics(metrics, step=step, epoch=epoch)
        except Exception as error:
            self._stop(f"Comet failed, and training continues without it: {reason(error)}")

    def _stop(self, why: str) -> None:
        self._experiment = None
        warnings.warn(f"CometCallback logs nothing more of this fit: {why}", stacklevel=2)


# Comet adds a callback to each Keras fit, unless one of this name is there. Pickle goes by the
# __qualname__.
CometCallback.__name__ = "CometKerasCallback"
