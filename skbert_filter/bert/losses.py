"""The focal loss with label smoothing, and its inverse: from logits to class probabilities.

The loss of Lin et al. (2017, "Focal loss for dense object detection") weights the cross-entropy by
``(1 - p_t) ** gamma``. It is not a proper scoring rule: the prediction that minimises it is not the
probability of the class. The inverse removes this bias in closed form. Keras is imported only to
train.
"""

from typing import Any

import numpy as np
from scipy.special import expit, log_expit, log_softmax

# The share of the uncalibrated probability in a posterior. It keeps the link strictly increasing,
# and its values off 0 and 1, where the inverse of a smoothed loss is clipped.
_UNCALIBRATED_SHARE = 1e-6

_TINY = np.finfo(np.float64).tiny
_BELOW_1 = 1 - np.finfo(np.float64).epsneg


def focal_loss(n_logits: int, *, gamma: float, label_smoothing: float) -> Any:
    """Return Keras's focal loss on logits, for one logit (two classes) or one per class."""
    import keras

    if n_logits == 1:
        return keras.losses.BinaryFocalCrossentropy(
            gamma=gamma, label_smoothing=label_smoothing, from_logits=True
        )
    # alpha scales the whole loss here; the binary loss does not apply it by default.
    return keras.losses.CategoricalFocalCrossentropy(
        alpha=1.0, gamma=gamma, label_smoothing=label_smoothing, from_logits=True
    )


def posterior_probabilities(
    logits: np.ndarray, *, gamma: float, label_smoothing: float
) -> np.ndarray:
    r"""Return the class probabilities for which the logits minimise the expected focal loss.

    For two classes, :math:`q = L_0' / (L_0' - L_1')`, where the derivative of
    :math:`q L_1(p) + (1 - q) L_0(p)` is 0. Keras smooths the labels before it forms :math:`p_t`, so
    :math:`L_1` is the loss for the target :math:`1 - \epsilon / 2`. For more classes,
    :math:`t_c \phi'(p_c)` is equal for all classes at the minimum on the simplex, with smoothed
    targets :math:`t` and :math:`\phi(p) = -(1 - p)^\gamma \log p` (Charoenphakdee et al., 2021, "On
    focal loss for class-posterior probability estimation", give the case without smoothing). Rows
    sum to 1, and increase with the logit as far as float64 distinguishes their values from 0 and 1.
    """
    logits = np.asarray(logits, np.float64)
    n_logits = logits.shape[1]

    if n_logits == 1:
        log_p = np.concatenate([log_expit(-logits), log_expit(logits)], axis=1)
        positive = _binary_posterior(logits[:, 0], gamma, label_smoothing)
        posterior = np.stack([1 - positive, positive], axis=1)
    else:
        log_p = log_softmax(logits, axis=1)
        # In logarithms, since 1 / |phi'| spans hundreds of orders of magnitude.
        log_target = _log_inverse_slope(log_p, gamma)
        target = np.exp(log_target - log_target.max(axis=1, keepdims=True))
        target /= target.sum(axis=1, keepdims=True)
        posterior = np.maximum(0.0, target - label_smoothing / n_logits)
        posterior /= posterior.sum(axis=1, keepdims=True)

    mixed = (1 - _UNCALIBRATED_SHARE) * posterior + _UNCALIBRATED_SHARE * np.exp(log_p)
    return np.clip(mixed / mixed.sum(axis=1, keepdims=True), _TINY, _BELOW_1)


def _binary_posterior(logit: np.ndarray, gamma: float, label_smoothing: float) -> np.ndarray:
    # Slopes with respect to the logit: dp / dlogit cancels in the quotient.
    slope_0 = _slope(logit, label_smoothing / 2, gamma)
    slope_1 = _slope(logit, 1 - label_smoothing / 2, gamma)
    with np.errstate(invalid="ignore"):  # 0 / 0 beyond the range of float64, resolved below
        q = slope_0 / (slope_0 - slope_1)
    q = np.where(np.isnan(q), (logit > 0).astype(float), q)
    return np.clip(q, 0.0, 1.0)


def _slope(logit: np.ndarray, target: float, gamma: float) -> np.ndarray:
    """Return the derivative of ``(1 - p_t) ** gamma * cross_entropy(target, p)`` by the logit."""
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
