"""The focal loss with label smoothing, and the probability that a raw score stands for.

The loss of Lin et al. (2017, "Focal loss for dense object detection") weighs the cross-entropy by
``(1 - p_t) ** gamma``. It is not a proper score: what minimises it is not the probability of the
class. The functions here undo that bias in closed form. Keras is imported only to train.
"""

from typing import Any

import numpy as np
from scipy.special import expit, log_expit, log_softmax

# Share of the raw score in a posterior: it keeps the link strictly increasing, and its values
# off 0 and 1, where the inverse of a smoothed loss is clipped.
RAW_SHARE = 1e-6

_TINY = np.finfo(np.float64).tiny
_BELOW_1 = 1 - np.finfo(np.float64).epsneg


def focal_loss(n_logits: int, *, gamma: float, label_smoothing: float) -> Any:
    """Keras's focal loss on logits, for one logit (two classes) or one for each class."""
    import keras

    if n_logits == 1:
        return keras.losses.BinaryFocalCrossentropy(
            gamma=gamma, label_smoothing=label_smoothing, from_logits=True
        )
    # alpha scales the whole loss here, unlike in the binary one, where it is off by default.
    return keras.losses.CategoricalFocalCrossentropy(
        alpha=1.0, gamma=gamma, label_smoothing=label_smoothing, from_logits=True
    )


def posterior_probabilities(
    logits: np.ndarray, *, gamma: float, label_smoothing: float
) -> np.ndarray:
    r"""Return the class probabilities for which the logits minimise the expected focal loss.

    Of two classes, :math:`q = L_0' / (L_0' - L_1')`, where the derivative of
    :math:`q L_1(p) + (1 - q) L_0(p)` is 0; Keras smooths the labels before it forms :math:`p_t`, so
    that :math:`L_1` is the loss for the target :math:`1 - \epsilon / 2`. Of more classes, on the
    simplex :math:`t_c \phi'(p_c)` is the same for all, with smoothed targets :math:`t` and
    :math:`\phi(p) = -(1 - p)^\gamma \log p` (Charoenphakdee et al., 2021, "On focal loss for
    class-posterior probability estimation", give the case without smoothing). Rows sum to 1, and
    increase in the logit as far as float64 tells their values from 0 and 1.
    """
    logits = np.asarray(logits, np.float64)
    log_p = _log_probabilities(logits)
    raw = np.exp(log_p)

    if logits.shape[1] == 1:
        positive = _binary_posterior(logits[:, 0], gamma, label_smoothing)
        posterior = np.stack([1 - positive, positive], axis=1)
    else:
        n_classes = logits.shape[1]
        # In logarithms: 1 / |phi'| spans hundreds of orders of magnitude.
        log_target = _log_inverse_slope(log_p, gamma)
        target = np.exp(log_target - log_target.max(axis=1, keepdims=True))
        target /= target.sum(axis=1, keepdims=True)
        posterior = np.maximum(0.0, target - label_smoothing / n_classes)
        posterior /= posterior.sum(axis=1, keepdims=True)

    mixed = (1 - RAW_SHARE) * posterior + RAW_SHARE * raw
    return np.clip(mixed / mixed.sum(axis=1, keepdims=True), _TINY, _BELOW_1)


def _log_probabilities(logits: np.ndarray) -> np.ndarray:
    if logits.shape[1] == 1:
        return np.concatenate([log_expit(-logits), log_expit(logits)], axis=1)
    return log_softmax(logits, axis=1)


def _binary_posterior(logit: np.ndarray, gamma: float, label_smoothing: float) -> np.ndarray:
    # Slopes with respect to the logit: dp = p (1 - p) dlogit cancels in the quotient.
    slope_0 = _slope(logit, label_smoothing / 2, gamma)
    slope_1 = _slope(logit, 1 - label_smoothing / 2, gamma)
    with np.errstate(invalid="ignore"):  # 0 / 0 past the range of float64: told apart below
        q = slope_0 / (slope_0 - slope_1)
    q = np.where(np.isnan(q), (logit > 0).astype(float), q)
    return np.clip(q, 0.0, 1.0)


def _slope(logit: np.ndarray, target: float, gamma: float) -> np.ndarray:
    """Derivative by the logit of ``(1 - p_t) ** gamma * cross_entropy(target, p)``."""
    p, not_p = expit(logit), expit(-logit)
    cross_entropy = -(target * log_expit(logit) + (1 - target) * log_expit(-logit))
    not_p_t = target * not_p + (1 - target) * p
    # not_p_t is 0 only for unsmoothed targets at saturated logits, where the product is 0 too
    focusing = gamma * p * not_p * (2 * target - 1) * cross_entropy
    factor = np.divide(focusing, not_p_t, out=np.zeros_like(p), where=not_p_t > 0)
    return not_p_t**gamma * (p - target - factor)


def _log_inverse_slope(log_p: np.ndarray, gamma: float) -> np.ndarray:
    # -phi'(p) = (1 - p)^(gamma - 1) * ((1 - p) / p - gamma log p)
    log_not_p = np.log(np.maximum(-np.expm1(log_p), _TINY))
    bracket = np.logaddexp(log_not_p - log_p, np.log(np.maximum(-gamma * log_p, _TINY)))
    return -((gamma - 1) * log_not_p + bracket)
