import math

import pytest
import torch

from graves_lm.nn.window import (
    LARGEST_EXPONENT,
    SoftWindow,
    window_parameters,
    window_vector,
    window_weights,
)

B, H, K, C = 3, 6, 4, 5
SYMBOL_BU = torch.tensor([[0, 3, 3, 1], [4, 2, -1, -1], [1, 1, 1, -1]])


def test_weights_and_vector_equal_the_equations_term_by_term():
    torch.manual_seed(0)
    p, kappa_before = torch.randn(B, 3 * K, dtype=torch.float64), torch.rand(B, K, dtype=torch.float64)
    components = window_parameters(p, kappa_before)
    phi = window_weights(components, 5)
    w = window_vector(phi[:, :4], SYMBOL_BU, C)
    for b in range(B):
        expected = [0.0] * C
        for u in range(1, 6):
            weight = 0.0
            for k in range(K):
                alpha, beta = math.exp(p[b, k]), math.exp(p[b, K + k])  # (49), (50)
                kappa = kappa_before[b, k] + math.exp(p[b, 2 * K + k])  # (51)
                weight += alpha * math.exp(-beta * (kappa - u) ** 2)  # (46)
            assert phi[b, u - 1] == pytest.approx(weight, rel=1e-12)
            if u <= 4 and SYMBOL_BU[b, u - 1] >= 0:
                expected[SYMBOL_BU[b, u - 1]] += weight  # (47)
        torch.testing.assert_close(w[b], torch.tensor(expected, dtype=torch.float64))


def test_the_window_starts_as_one_bump_that_moves_at_the_speed_of_the_pen():
    torch.manual_seed(0)
    window = SoftWindow(400)
    kappa = window.initial_state(2, C).kappa_BK
    assert (kappa == 0).all()
    for _ in range(50):
        components = window.step(torch.rand(2, 400) * 2 - 1, kappa)
        kappa = components.kappa
    torch.testing.assert_close(kappa, torch.full((2, 10), 50 / 25), rtol=0.1, atol=0)
    torch.testing.assert_close(components.alpha.sum(1), torch.ones(2), rtol=0.3, atol=0)
    phi = window_weights(components, 6)
    assert (phi.argmax(1) == 1).all()  # κ = 2 is the second character
    torch.testing.assert_close(phi[:, 1], torch.ones(2), rtol=0.3, atol=0)


@pytest.mark.parametrize("which", range(3))
@pytest.mark.parametrize("value", [-80.0, -30.0, 30.0, 80.0, 500.0])
def test_extreme_exponents_give_finite_values_and_derivatives(which, value):
    p = torch.zeros(1, 3 * K)
    p[:, which * K : (which + 1) * K] = value
    p.requires_grad_()
    kappa = torch.tensor([[0.5, 2.0, 30.0, -5.0]], requires_grad=True)
    components = window_parameters(p, kappa)
    phi = window_weights(components, 70)
    gradients = torch.autograd.grad(
        (phi * torch.linspace(-1, 1, 70)).sum() + components.kappa.sum(), (p, kappa)
    )
    for v in (*components, phi, *gradients):
        assert v.isfinite().all()
    if value > 0:
        held = components[which] - (kappa if which == 2 else 0)
        torch.testing.assert_close(held, torch.full_like(held, math.exp(LARGEST_EXPONENT)))
        if which == 2:
            assert (gradients[0][:, 2 * K :] > 1e8).all()  # as at the bound: dκ̂ = e²⁰ dκ


def test_bad_settings_are_refused():
    with pytest.raises(ValueError, match="components=0"):
        SoftWindow(4, components=0)
    with pytest.raises(ValueError, match="points_per_character=0"):
        SoftWindow(4, points_per_character=0)
