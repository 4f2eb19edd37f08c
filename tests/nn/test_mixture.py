"""The order of the outputs, and the gradients of the loss with respect to them in closed form (27)-(37)."""

import math

import pytest
import torch

from graves_lm.nn.mixture import MixtureHead, stroke_distribution


def test_order_of_the_outputs():
    y = torch.arange(13.0) / 10
    d = stroke_distribution(y, mixtures=2)
    assert d.e.item() == pytest.approx(1 / (1 + math.exp(0.0)))
    assert torch.allclose(d.pi, torch.tensor([0.1, 0.2]).softmax(0))
    assert torch.allclose(d.mu, torch.tensor([[0.3, 0.5], [0.4, 0.6]]))
    assert torch.allclose(d.sigma, torch.tensor([[0.7, 0.9], [0.8, 1.0]]).exp())
    assert torch.allclose(d.rho, torch.tensor([1.1, 1.2]).tanh())


def test_a_large_e_hat_makes_the_end_unlikely():
    y = torch.zeros(7)
    y[0] = 3.0
    assert stroke_distribution(y, 1).e.item() == pytest.approx(1 / (1 + math.exp(3.0)))  # (18)


def test_head():
    head = MixtureHead(20)
    assert head.output_size == 121
    assert not list(head.parameters())
    y = torch.randn(4, 5, 121)
    d = head(y)
    assert d.batch_shape == (4, 5)
    assert torch.equal(d.mu, stroke_distribution(y, 20).mu)
    assert head(y.bfloat16()).mu.dtype == torch.float32


@pytest.mark.parametrize("seed", range(5))
def test_gradients_are_the_papers(seed):
    """(27)-(37), component by component in plain Python."""
    M = 4
    y = torch.randn(6 * M + 1, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    x1, x2, x3 = 0.7, -0.9, float(seed % 2)
    leaf = y.clone().requires_grad_()
    (-stroke_distribution(leaf, M).log_prob(torch.tensor([x1, x2, x3], dtype=torch.float64))).backward()

    e_hat, *rest = y.tolist()
    pi_hat, mu1, mu2, sigma1_hat, sigma2_hat, rho_hat = (rest[i * M : (i + 1) * M] for i in range(6))
    pi = [math.exp(v) / sum(map(math.exp, pi_hat)) for v in pi_hat]
    joint, slopes = [], []
    for j in range(M):
        s1, s2, rho = math.exp(sigma1_hat[j]), math.exp(sigma2_hat[j]), math.tanh(rho_hat[j])
        a, b = (x1 - mu1[j]) / s1, (x2 - mu2[j]) / s2
        Z = a * a + b * b - 2 * rho * a * b  # (25)
        C = 1 / (1 - rho**2)  # (32)
        normal = math.exp(-Z * C / 2) / (2 * math.pi * s1 * s2 * math.sqrt(1 - rho**2))  # (24)
        joint.append(pi[j] * normal)  # (28)
        slopes.append(
            (
                C / s1 * (a - rho * b),  # (33)
                C / s2 * (b - rho * a),  # (34)
                C * a * (a - rho * b) - 1,  # (35)
                C * b * (b - rho * a) - 1,  # (36)
                a * b + rho * (1 - C * Z),  # (37)
            )
        )
    gamma = [v / sum(joint) for v in joint]  # (29)
    expected = [x3 - 1 / (1 + math.exp(e_hat))]  # (27)
    expected += [p - g for p, g in zip(pi, gamma, strict=True)]  # (30)
    expected += [-gamma[j] * slopes[j][i] for i in range(5) for j in range(M)]  # (31)
    assert torch.allclose(leaf.grad, torch.tensor(expected, dtype=torch.float64), rtol=1e-9, atol=1e-12)
