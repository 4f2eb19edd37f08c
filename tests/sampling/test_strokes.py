"""Handwriting point by point: drawn from the network's density, fed back, each line by its own numbers."""

import math

import pytest
import torch

from graves_lm.models.stroke import StrokeNetwork
from graves_lm.runtime.errors import UserError
from graves_lm.sampling.noise import line_key, point_noise
from graves_lm.sampling.strokes import StrokeSampler

M = 3


def make_network(seed: int = 0) -> StrokeNetwork:
    torch.manual_seed(seed)
    network = StrokeNetwork(2, 10, mixtures=M)
    for w in network.parameters():
        torch.nn.init.normal_(w, std=0.4)
    return network


def draw(network: StrokeNetwork, seed: int = 0, **settings) -> torch.Tensor:
    """(T, L, 3)"""
    return torch.stack(list(StrokeSampler(**settings).points(network, seed)))


def densities(network: StrokeNetwork, x_TL3: torch.Tensor):
    """The network's distributions of the drawn points, by one pass over them."""
    before = torch.cat([torch.zeros(1, *x_TL3.shape[1:]), x_TL3[:-1]])
    with torch.no_grad():
        distribution, _ = network(before, network.initial_state(x_TL3.shape[1]))
    return distribution


def test_the_first_points_follow_the_networks_density():
    """Mean, covariance and the share of stroke ends over many lines, against their closed forms."""
    network, n = make_network(), 5_000
    x_L3 = draw(network, lines=n, length=1)[0].double()
    d = densities(network, torch.zeros(1, 1, 3))[0, 0]
    pi, mu, sigma, rho = d.pi.double(), d.mu.double(), d.sigma.double(), d.rho.double()
    mean = (pi[:, None] * mu).sum(0)
    cross = rho * sigma.prod(-1)
    within = torch.stack(
        [torch.stack([sigma[:, 0] ** 2, cross], -1), torch.stack([cross, sigma[:, 1] ** 2], -1)], -2
    )
    second = (pi[:, None, None] * (within + mu[:, :, None] * mu[:, None, :])).sum(0)
    covariance = second - mean[:, None] * mean[None]
    spread = covariance.diagonal().sqrt()
    assert ((x_L3[:, :2].mean(0) - mean).abs() < 4.5 * spread / math.sqrt(n)).all()
    found = torch.cov(x_L3[:, :2].T)
    torch.testing.assert_close(found, covariance, rtol=0.1, atol=0.1 * float(spread.max() ** 2))
    e = d.e.item()
    assert abs(x_L3[:, 2].mean().item() - e) < 4.5 * math.sqrt(e * (1 - e) / n)


@pytest.mark.parametrize("bias", [0.0, 1.5])
def test_what_was_drawn_is_fed_back(bias):
    """The same random numbers on the densities of one whole pass give the same points."""
    network, seed, T, L = make_network(1), 7, 40, 3
    x_TL3 = draw(network, seed, lines=L, length=T, bias=bias)
    noise = point_noise(M, [line_key(seed, i) for i in range(L)])
    race, z, u = (torch.stack(part) for part in zip(*(next(noise) for _ in range(T)), strict=True))
    expected = densities(network, x_TL3).biased(bias).point(race, z, u)
    torch.testing.assert_close(x_TL3, expected, rtol=1e-4, atol=1e-5)
    assert 0 < x_TL3[..., 2].mean() < 1


def test_the_seed_decides():
    network = make_network(2)
    first, again, other = (draw(network, s, lines=2, length=20) for s in (3, 3, 4))
    assert torch.equal(first, again)
    assert not torch.equal(first[0], other[0])
    assert not torch.equal(first[:, 0], first[:, 1])


@pytest.mark.parametrize("line", [0, 2, 6])
def test_a_line_is_the_same_alone_and_among_others(line):
    """Up to the rounding of products of another width."""
    network = make_network(3)
    among = draw(network, 5, lines=7, length=300)
    few = draw(network, 5, lines=line + 1, length=300)
    torch.testing.assert_close(few[:, line], among[:, line], rtol=1e-3, atol=1e-4)


def test_more_points_go_on_from_the_same_line():
    """Random numbers are drawn 256 points at a time."""
    network = make_network(4)
    long, short = (draw(network, lines=2, length=n) for n in (600, 257))
    assert torch.equal(long[:257], short)


def test_bias_keeps_to_the_likelier_parts():
    """Under the network's own density biased lines are likelier, the more so the stronger the bias, and
    they are more alike."""
    network = make_network(5)
    likelihood, spread = [], []
    for bias in (0.0, 0.5, 2.0, 10.0):
        x_TL3 = draw(network, lines=100, length=30, bias=bias)
        likelihood.append(densities(network, x_TL3).log_prob(x_TL3).mean().item())
        spread.append(x_TL3[0, :, :2].std(0).mean().item())
    assert likelihood == sorted(likelihood)
    assert spread == sorted(spread, reverse=True)
    assert likelihood[-1] > likelihood[0] + 1


def test_sampling_leaves_everything_else_alone():
    network = make_network().train()
    before = torch.get_rng_state()
    points = StrokeSampler(lines=1, length=3).points(network, 0)
    next(points)
    assert not torch.is_inference_mode_enabled()  # though the stream is not at its end
    list(points)
    assert torch.equal(torch.get_rng_state(), before)
    assert network.training
    assert all(w.grad is None for w in network.parameters())


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("lines", 0),
        ("lines", 1.5),
        ("length", 0),
        ("length", "long"),
        ("bias", -0.1),
        ("bias", math.nan),
        ("bias", math.inf),
        ("bias", "neat"),
    ],
)
def test_bad_settings(setting, value):
    with pytest.raises(UserError, match=rf"^sampler\.{setting}={value}: a "):
        StrokeSampler(**{setting: value})
