"""The heat map is brightest where the distribution says, and holds all of its mass."""

import numpy as np
import pytest
import torch

from graves_lm.distributions import StrokeDistribution
from graves_lm.rendering.heatmap import density_heatmap, summed_density


def predictions(
    offsets: np.ndarray, sigma: float, mixtures: int = 4, rho_hat: float = 0.0
) -> StrokeDistribution:
    """For each point, its component (t mod M) on the true offset with nearly all the weight, others at 0."""
    T = len(offsets)
    at = torch.arange(T) % mixtures
    mu = torch.zeros(T, mixtures, 2)
    mu[torch.arange(T), at] = torch.from_numpy(offsets[:, :2]).float()
    logits = torch.zeros(T, mixtures)
    logits[torch.arange(T), at] = 12.0
    return StrokeDistribution(
        logits,
        mu,
        torch.full((T, mixtures, 2), sigma).log(),
        torch.full((T, mixtures), rho_hat),
        torch.zeros(T),
    )


@pytest.mark.parametrize(
    ("sigma", "rho_hat"), [(6.0, 0.0), (6.0, 2.0), (1e-4, 0.0), (8.0, 30.0), (1e-6, -30.0)]
)
def test_brightest_at_the_known_mean(sigma, rho_hat):
    # Far apart points, one of them predicted four times.
    offsets = np.array([[100.0, 50, 0], [100, -40, 0], [0, 0, 0], [0, 0, 0], [0, 0, 0], [100, 40, 1]])
    density = summed_density(predictions(offsets, sigma, rho_hat=rho_hat), offsets, max_cells=10_000)
    H, W = density.shape
    assert H * W <= 10_000
    low, high = offsets[:, :2].cumsum(0).min(0), offsets[:, :2].cumsum(0).max(0)
    row, column = np.unravel_index(density.argmax(), density.shape)
    # The grid stands symmetrically about the points, up to a cell.
    margin = 0.3 * 40 + 0.02 * 200
    cell = np.sqrt((high - low + 2 * margin).prod() / 10_000)
    assert abs((column + 0.5 - W / 2) * cell - (200 - (low + high)[0] / 2)) < 2 * cell
    assert abs((row + 0.5 - H / 2) * cell - (10 - (low + high)[1] / 2)) < 2 * cell
    if sigma < 1:  # all the mass lies on the grid
        assert density.sum() * cell**2 == pytest.approx(6, rel=0.05)


def test_chunks_do_not_matter(monkeypatch):
    rng = np.random.default_rng(0)
    offsets = np.concatenate([rng.normal(size=(300, 2)), np.zeros((300, 1))], 1)
    distribution = predictions(offsets, 0.5)
    whole = summed_density(distribution, offsets, max_cells=2_000)
    parts = sum(
        summed_density_of_part(distribution, offsets, torch.arange(first, first + 100))
        for first in (0, 100, 200)
    )
    assert np.allclose(whole, parts, rtol=1e-4, atol=1e-6)


def summed_density_of_part(
    distribution: StrokeDistribution, offsets: np.ndarray, kept: torch.Tensor
) -> np.ndarray:
    """The map with the other predictions' mass moved far off the grid."""
    mu = torch.full_like(distribution.mu, 1e6)
    mu[kept] = distribution.mu[kept]
    part = StrokeDistribution(
        distribution.pi_logits, mu, distribution.log_sigma, distribution.rho_hat, distribution.e_logit
    )
    return summed_density(part, offsets, max_cells=2_000)


def test_picture_shows_the_weights_below():
    offsets = np.array([[30.0, 10, 0], [30, -10, 0], [30, 10, 0], [30, -10, 1]])
    picture = np.asarray(density_heatmap(predictions(offsets, 2.0), offsets, width=400)).astype(int)
    below = picture[-16:, :, :].sum(-1)  # four components of four pixels
    brightest = [below[:, 50 + 100 * t].argmax() // 4 for t in range(4)]
    assert brightest == [0, 1, 2, 3]
    assert (picture[-20:-17] == 255).all()
    assert picture[:-24].sum(-1).max() > 500
