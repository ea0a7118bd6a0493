import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.special import expit, logit, softmax

from skbert_filter.bert.engine import import_keras
from skbert_filter.bert.losses import focal_loss, posterior_probabilities

GAMMAS = [0.0, 0.5, 2.0, 5.0]
SMOOTHINGS = [0.0, 0.2, 0.5]


@pytest.mark.parametrize("gamma", GAMMAS)
@pytest.mark.parametrize("label_smoothing", SMOOTHINGS)
def test_posterior_inverts_the_binary_loss_of_keras(gamma, label_smoothing):
    import_keras()
    loss = focal_loss(1, gamma=gamma, label_smoothing=label_smoothing)
    loss.reduction = "none"
    logits = np.linspace(-9, 9, 3601, dtype=np.float32)[:, None]
    for_1 = np.asarray(loss(np.ones_like(logits), logits), np.float64)
    for_0 = np.asarray(loss(np.zeros_like(logits), logits), np.float64)
    posterior = posterior_probabilities(logits, gamma=gamma, label_smoothing=label_smoothing)
    for q in (0.1, 0.3, 0.5, 0.8, 0.95):
        best = np.argmin(q * for_1 + (1 - q) * for_0)
        assert posterior[best, 1] == pytest.approx(q, abs=0.01)


@pytest.mark.parametrize("gamma", GAMMAS)
@pytest.mark.parametrize("label_smoothing", SMOOTHINGS)
def test_posterior_inverts_the_loss_of_many_classes(gamma, label_smoothing):
    truth = np.array([0.55, 0.25, 0.15, 0.05])
    target = truth * (1 - label_smoothing) + label_smoothing / 4

    def expected_loss(logits):
        p = softmax(logits)
        return -(target * (1 - p) ** gamma * np.log(p)).sum()

    best = minimize(expected_loss, np.zeros(4), tol=1e-10).x
    posterior = posterior_probabilities(best[None], gamma=gamma, label_smoothing=label_smoothing)
    np.testing.assert_allclose(posterior[0], truth, atol=1e-3)


def test_categorical_loss_of_keras_is_the_one_that_is_inverted():
    import_keras()
    logits = np.array([[1.0, -0.5, 0.25]], np.float32)
    p = softmax(logits[0].astype(float))
    target = np.array([0.2 / 3, 0.8 + 0.2 / 3, 0.2 / 3])
    expected = -(target * (1 - p) ** 2 * np.log(p)).sum()
    loss = focal_loss(3, gamma=2.0, label_smoothing=0.2)
    assert float(loss(np.array([[0.0, 1.0, 0.0]]), logits)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(("raw", "posterior"), [(0.590, 0.7), (0.646, 0.8), (0.725, 0.9)])
def test_uncalibrated_probabilities_are_underconfident(raw, posterior):
    got = posterior_probabilities([[logit(raw)]], gamma=2.0, label_smoothing=0.2)
    assert got[0, 1] == pytest.approx(posterior, abs=1e-3)


@given(
    gamma=st.floats(0, 10),
    label_smoothing=st.floats(0, 0.95),
    start=st.floats(-15, 14.9),
    step=st.floats(1e-3, 5),
)
def test_binary_posterior_increases_strictly(gamma, label_smoothing, start, step):
    logits = np.array([[start], [start + step]])
    low, high = posterior_probabilities(logits, gamma=gamma, label_smoothing=label_smoothing)
    assert 0 < low[1] < high[1] < 1


@given(
    logits=st.lists(st.floats(-500, 500), min_size=2, max_size=6),
    gamma=st.floats(0, 10),
    label_smoothing=st.floats(0, 0.95),
)
def test_the_best_class_stays_the_best(logits, gamma, label_smoothing):
    columns = np.array([logits]) if len(logits) > 2 else np.array([logits[:1]])
    raw = softmax(columns, axis=1)[0] if len(logits) > 2 else expit([-logits[0], logits[0]])
    posterior = posterior_probabilities(columns, gamma=gamma, label_smoothing=label_smoothing)[0]
    assert np.isfinite(posterior).all()
    assert posterior.sum() == pytest.approx(1)
    assert (posterior > 0).all()
    assert (posterior < 1).all()
    # among probabilities that are equal in float64, any may be the first
    assert raw[posterior.argmax()] == pytest.approx(raw.max(), rel=1e-9)
