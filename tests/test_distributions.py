"""The stroke distribution against its equations, written again here with plain arithmetic."""

import math

import pytest
import torch
from torch import Tensor
from torch.distributions import Distribution

from graves_lm.distributions import StrokeDistribution
from graves_lm.nn.mixture import stroke_distribution
from graves_lm.runtime.errors import UserError

PARAMETERS = ("pi_logits", "mu", "log_sigma", "rho_hat", "e_logit")


def random_parameters(seed: int, batch: tuple[int, ...] = (), mixtures: int = 3) -> dict[str, Tensor]:
    """Moderate random parameters, float64, strong correlations among them."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    return {
        "pi_logits": normal(*batch, mixtures),
        "mu": normal(*batch, mixtures, 2),
        "log_sigma": 0.4 * normal(*batch, mixtures, 2),
        "rho_hat": 1.2 * normal(*batch, mixtures),
        "e_logit": normal(*batch),
    }


def one_normal(
    mu=(0.0, 0.0), log_sigma=(0.0, 0.0), rho_hat=0.0, e_logit=0.0, dtype=torch.float32
) -> StrokeDistribution:
    return StrokeDistribution(
        torch.zeros(1, dtype=dtype),
        torch.tensor([mu], dtype=dtype),
        torch.tensor([log_sigma], dtype=dtype),
        torch.tensor([rho_hat], dtype=dtype),
        torch.tensor(e_logit, dtype=dtype),
    )


def paper_loss(p: dict[str, Tensor], x: tuple[float, float, float]) -> float:
    """(18)-(26) for one point, in plain Python floats; `p` has no batch."""
    weights = [math.exp(v) for v in p["pi_logits"].tolist()]
    density = 0.0
    for weight, (mu1, mu2), (s1, s2), r in zip(
        weights, p["mu"].tolist(), p["log_sigma"].tolist(), p["rho_hat"].tolist(), strict=True
    ):
        sigma1, sigma2, rho = math.exp(s1), math.exp(s2), math.tanh(r)
        a, b = (x[0] - mu1) / sigma1, (x[1] - mu2) / sigma2
        Z = a * a + b * b - 2 * rho * a * b
        normal = math.exp(-Z / (2 * (1 - rho**2))) / (2 * math.pi * sigma1 * sigma2 * math.sqrt(1 - rho**2))
        density += weight / sum(weights) * normal
    e = 1 / (1 + math.exp(-p["e_logit"].item()))
    return -math.log(density) - math.log(e if x[2] == 1 else 1 - e)


@pytest.mark.parametrize("seed", range(4))
def test_density_integrates_to_one(seed):
    p = random_parameters(seed)
    p["rho_hat"][0] = 3.0  # ρ = 0.995
    d = StrokeDistribution(**p)
    # The trapezoid rule converges exponentially fast for a density that vanishes at both ends.
    axis = torch.linspace(-14, 14, 1401, dtype=torch.float64)
    x_GG3 = torch.stack([*torch.meshgrid(axis, axis, indexing="ij"), torch.zeros(1401, 1401).double()], -1)
    up = d.log_prob(x_GG3).exp().sum()
    x_GG3[..., 2] = 1
    down = d.log_prob(x_GG3).exp().sum()
    cell = (axis[1] - axis[0]) ** 2
    assert ((up + down) * cell).item() == pytest.approx(1, abs=1e-8)
    assert (down * cell).item() == pytest.approx(d.e.item(), abs=1e-8)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 2e-5)])
def test_loss_is_the_papers(dtype, tolerance):
    for seed in range(20):
        p = random_parameters(seed)
        x = (1.5 * math.sin(seed), 2 * math.cos(seed), float(seed % 2))
        d = StrokeDistribution(**{k: v.to(dtype) for k, v in p.items()})
        assert -d.log_prob(torch.tensor(x, dtype=dtype)).item() == pytest.approx(
            paper_loss(p, x), rel=tolerance
        )


def test_batches_expand_and_validate():
    d = StrokeDistribution(**random_parameters(0, (4, 5)))
    x = d.sample((7,))
    assert isinstance(d, Distribution)
    assert (d.batch_shape, d.event_shape, x.shape) == ((4, 5), (3,), (7, 4, 5, 3))
    one = StrokeDistribution(**{k: getattr(d, k)[2, 3] for k in PARAMETERS})
    assert torch.allclose(d.log_prob(x)[:, 2, 3], one.log_prob(x[:, 2, 3]), rtol=1e-12)
    assert torch.equal(one.expand((7,)).log_prob(x[:, 2, 3]), one.log_prob(x[:, 2, 3]))
    assert one.expand((2, 3)).sample().shape == (2, 3, 3)
    # Asked for explicitly: torch.compile, once used, turns the default off for the whole process.
    with pytest.raises(ValueError, match="support"):
        StrokeDistribution(**random_parameters(0), validate_args=True).log_prob(torch.tensor([0.0, 0.0, 0.5]))
    broken = random_parameters(0) | {"rho_hat": torch.full((3,), math.nan)}
    with pytest.raises(ValueError, match="rho_hat"):
        StrokeDistribution(**broken, validate_args=True)


def test_part_of_a_batch():
    d = StrokeDistribution(**random_parameters(0, (4, 5)))
    x = d.sample()
    whole = d.log_prob(x)
    for index in (2, (1, 3), (slice(None), 0), slice(1, 3), torch.tensor([3, 0]), torch.eye(4, 5).bool()):
        part = d[index]
        assert part.batch_shape == whole[index].shape
        assert torch.equal(part.log_prob(x[index]), whole[index])
    with pytest.raises(IndexError):
        d[0, 0, 0]  # a component is no distribution of the batch


def test_other_units_scale_the_density():
    """y = mean + std · x has the density of x, divided by the area of a unit."""
    d = StrokeDistribution(**random_parameters(4, (6,)))
    mean, std = torch.tensor([8.0, -0.5]).double(), torch.tensor([42.0, 0.3]).double()
    x = d.draw(torch.Generator().manual_seed(0))
    y = torch.cat([mean + std * x[:, :2], x[:, 2:]], -1)
    scaled = d.in_units(mean, std)
    assert torch.allclose(scaled.log_prob(y), d.log_prob(x) - std.log().sum(), rtol=1e-10)
    assert torch.allclose(scaled.mean, torch.cat([mean + std * d.mean[:, :2], d.e[:, None]], -1))
    assert torch.equal(scaled.rho, d.rho)


def test_gradients_check_numerically():
    p = random_parameters(3, (2,))
    x = torch.tensor([[0.3, -0.4, 1.0], [-1.0, 0.2, 0.0]], dtype=torch.float64)
    leaves = [p[k].requires_grad_() for k in PARAMETERS]
    assert torch.autograd.gradcheck(lambda *args: StrokeDistribution(*args).log_prob(x), leaves)


def test_moments_of_samples():
    d = one_normal((1.0, -2.0), (math.log(0.5), math.log(3.0)), math.atanh(-0.8), math.log(0.3 / 0.7))
    x = d.draw(torch.Generator().manual_seed(0), (200_000,))
    assert torch.allclose(x.mean(0), torch.tensor([1.0, -2.0, 0.3]), atol=0.02)
    assert torch.allclose(x[:, :2].std(0), torch.tensor([0.5, 3.0]), rtol=0.01)
    assert torch.corrcoef(x[:, :2].T)[0, 1].item() == pytest.approx(-0.8, abs=0.005)
    assert set(x[:, 2].tolist()) == {0.0, 1.0}


def test_samples_choose_components_by_their_weights():
    pi = torch.tensor([0.5, 0.3, 0.15, 0.05])
    means = torch.arange(4.0)[:, None].expand(4, 2) * 10
    d = StrokeDistribution(pi.log() + 7, means, torch.full((4, 2), -3.0), torch.zeros(4), torch.tensor(0.0))
    x = d.draw(torch.Generator().manual_seed(1), (100_000,))
    counts = torch.bincount((x[:, 0] / 10).round().long(), minlength=4)
    assert torch.allclose(counts / 100_000, pi, atol=0.006)
    assert torch.allclose(x.mean(0), d.mean, atol=0.1)


def test_strong_correlation_keeps_its_spread():
    """At ρ̂ = 8, 1 - ρ² is below float32's resolution: z2 - z1 still has the spread √(2(1-ρ)) = 1/cosh ρ̂."""
    x = one_normal(rho_hat=8.0).draw(torch.Generator().manual_seed(0), (100_000,))
    assert (x[:, 1] - x[:, 0]).std().item() == pytest.approx(1 / math.cosh(8.0), rel=0.02)


def test_the_generator_decides():
    d = StrokeDistribution(**random_parameters(0, (6,)))
    first, again, other = (d.draw(torch.Generator().manual_seed(s), (3,)) for s in (5, 5, 6))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    torch.manual_seed(5)
    assert torch.equal(d.sample((3,)), first)


def test_points_of_given_random_numbers():
    """The race chooses the component, z the place in it, u the pen; all by hand for ρ = 0.6."""
    pi, rho = torch.tensor([0.2, 0.8]), 0.6
    d = StrokeDistribution(
        pi.log(),
        torch.tensor([[1.0, 2.0], [-3.0, 4.0]]),
        torch.tensor([[0.5, 2.0], [3.0, 1.0]]).log(),
        torch.tensor([rho, rho]).atanh(),
        torch.tensor(0.3 / 0.7).log(),
    )
    z = torch.tensor([0.7, -1.1])
    second = rho * 0.7 - math.sqrt(1 - rho**2) * 1.1
    first = torch.tensor([1.0 + 0.5 * 0.7, 2.0 + 2.0 * second])
    other = torch.tensor([-3.0 + 3.0 * 0.7, 4.0 + 1.0 * second])
    # The first to finish wins: times t/π of 0.15/0.2 < 0.8/0.8, and 0.25/0.2 > 0.8/0.8.
    for time, expected in ((0.15, first), (0.25, other)):
        for u, pen in ((0.29, 1.0), (0.31, 0.0)):
            x = d.point(torch.tensor([time, 0.8]), z, torch.tensor(u))
            assert torch.allclose(x, torch.cat([expected, torch.tensor([pen])]))


def test_points_and_draws_are_of_one_distribution():
    """The moments of `point` on plain random numbers are those of `draw`, and the closed form's."""
    d = StrokeDistribution(**random_parameters(6)).expand((100_000,))
    generator = torch.Generator().manual_seed(3)

    def random(*shape):
        return torch.empty(100_000, *shape, dtype=torch.float64)

    race = random(3).exponential_(generator=generator)
    z, u = random(2).normal_(generator=generator), random().uniform_(generator=generator)
    points, draws = d.point(race, z, u), d.draw(torch.Generator().manual_seed(4))
    assert not points.requires_grad
    assert torch.allclose(points.mean(0), d.mean[0], atol=0.03)
    assert torch.allclose(draws.mean(0), d.mean[0], atol=0.03)
    assert torch.allclose(points.T.cov(), draws.T.cov(), atol=0.05)


def test_parameters_are_recovered_by_maximum_likelihood():
    pi, mu = torch.tensor([0.7, 0.3]), torch.tensor([[-1.0, 0.0], [2.0, 1.0]])
    sigma, rho = torch.tensor([[0.5, 1.0], [0.8, 0.4]]), torch.tensor([0.9, -0.5])
    truth = StrokeDistribution(pi.log(), mu, sigma.log(), rho.atanh(), torch.tensor(-1.0))
    x = truth.draw(torch.Generator().manual_seed(0), (8_000,))
    leaves = [torch.zeros(2), torch.tensor([[-0.5, 0.0], [0.5, 0.0]]), torch.zeros(2, 2), torch.zeros(2)]
    leaves = [leaf.requires_grad_() for leaf in (*leaves, torch.tensor(0.0))]
    optimiser = torch.optim.LBFGS(leaves, max_iter=80, line_search_fn="strong_wolfe")

    def loss():
        optimiser.zero_grad()
        value = -StrokeDistribution(*leaves).log_prob(x).mean()
        value.backward()
        return value

    optimiser.step(loss)
    fit = StrokeDistribution(*[leaf.detach() for leaf in leaves])
    for found, true in ((fit.pi, pi), (fit.mu, mu), (fit.sigma, sigma), (fit.rho, rho), (fit.e, truth.e)):
        assert torch.allclose(found, true, atol=0.06)


@pytest.mark.parametrize("autocast", [False, True])
@pytest.mark.parametrize("rho_hat", [-30.0, 0.0, 30.0])
@pytest.mark.parametrize("log_sigma", [-15.0, 15.0])
@pytest.mark.parametrize("direction", [(1.0, 1.0), (1.0, -1.0), (1.0, 0.5), (-1.0, 0.0)])
@pytest.mark.parametrize("far", ["100 standard deviations", "100 units"])
def test_extremes_stay_finite_and_point_back(autocast, rho_hat, log_sigma, direction, far):
    # Representable in bfloat16 too, so that both precisions see the same numbers.
    d = one_normal(
        log_sigma=(log_sigma, log_sigma), rho_hat=rho_hat, dtype=torch.bfloat16 if autocast else None
    )
    leaves = [getattr(d, k).requires_grad_() for k in PARAMETERS]
    offset = torch.tensor(direction) * 100 * (math.exp(log_sigma) if far.endswith("deviations") else 1)
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
        loss = -d.log_prob(torch.cat([offset, torch.ones(1)]))
    assert loss.dtype == torch.float32
    loss.backward()
    gradients = {k: leaf.grad for k, leaf in zip(PARAMETERS, leaves, strict=True)}
    assert loss.isfinite()
    assert all(g.isfinite().all() for g in gradients.values())
    # Minus the gradient moves the mean towards the point ...
    assert -(gradients["mu"][0] * offset).sum() > 0
    # ... widens the normal where the point is more than one standard deviation out on average, narrows it
    # where it is less ...
    distance = exact_distance(offset.tolist(), log_sigma, rho_hat)
    assert (gradients["log_sigma"].sum() < 0) == (distance > 2)
    # ... and turns the correlation as (37) does.
    if abs(slope := exact_rho_slope(offset.tolist(), log_sigma, rho_hat)) > 1e-6:
        assert gradients["rho_hat"].item() * slope > 0
    # The loss itself is exact up to 6e30.
    exact = distance / 2 + math.log(2 * math.pi) + 2 * log_sigma - log_cosh(rho_hat) + math.log(2)
    assert loss.item() == pytest.approx(exact, rel=1e-5) if exact < 6e30 else loss.item() > 6e30


def exact_distance(offset: list[float], log_sigma: float, rho_hat: float) -> float:
    """Z/(1-ρ²) in float64, along the diagonals."""
    z1, z2 = (v / math.exp(log_sigma) for v in offset)
    return ((z1 + z2) ** 2 * (1 + math.exp(-2 * rho_hat)) + (z1 - z2) ** 2 * (1 + math.exp(2 * rho_hat))) / 4


def exact_rho_slope(offset: list[float], log_sigma: float, rho_hat: float) -> float:
    """The loss's derivative with respect to ρ̂ in float64, along the diagonals."""
    z1, z2 = (v / math.exp(log_sigma) for v in offset)
    squares = (z1 - z2) ** 2 * math.exp(2 * rho_hat) - (z1 + z2) ** 2 * math.exp(-2 * rho_hat)
    return squares / 4 - math.tanh(rho_hat)


def log_cosh(x: float) -> float:
    return math.log(math.cosh(x))


def test_descent_leaves_an_extreme():
    """With its derivatives clipped at 100, as the paper clips them, an absurd start comes back to reason."""
    leaves = [torch.tensor([[-50.0, 50.0]]), torch.full((1, 2), -15.0), torch.tensor([30.0])]
    x = torch.tensor([[50.0, -50.0, 0.0], [51.0, -48.0, 0.0], [49.0, -50.0, 0.0]])
    optimiser = torch.optim.Adam([leaf.requires_grad_() for leaf in leaves], lr=0.2)
    losses = []
    for _ in range(300):
        optimiser.zero_grad()
        loss = -StrokeDistribution(torch.zeros(1), *leaves, torch.tensor(0.0)).expand((3,)).log_prob(x).sum()
        loss.backward()
        torch.nn.utils.clip_grad_value_(leaves, 100)
        optimiser.step()
        losses.append(loss.item())
    assert losses[0] > 1e32
    assert losses[-1] < 100  # 33 nats a point


def test_the_tail_beyond_the_cap_is_continuous():
    """The tangent joins the square in value and slope, and nothing before the joint is changed."""
    d = one_normal(log_sigma=(-15.0, -15.0), rho_hat=30.0)
    joint = math.sqrt(torch.finfo(torch.float32).max ** 0.8) * math.exp(-45)  # where v = R
    slopes, losses = [], []
    for factor in (0.99, 1.01):
        x = torch.tensor([joint * factor, -joint * factor, 0.0], requires_grad=True)
        loss = -d.log_prob(x)
        loss.backward()
        losses.append(loss.item())
        slopes.append(x.grad[0].item())
    assert losses[1] / losses[0] == pytest.approx(1.04, abs=0.001)
    assert slopes[0] / slopes[1] == pytest.approx(1, abs=0.03)


def test_bias_sharpens():
    d = StrokeDistribution(**random_parameters(2, (5,)))
    b = torch.tensor([0.0, 0.5, 1.0, 2.0, 4.0], dtype=torch.float64)
    by_row = d.biased(b)
    assert torch.allclose(by_row.sigma, d.sigma * torch.exp(-b)[:, None, None])
    assert torch.allclose(by_row.pi, (d.pi_logits * (1 + b[:, None])).softmax(-1))
    assert torch.equal(by_row.e, d.e)
    assert torch.allclose(d.biased(1.0).pi[2], by_row.pi[2])
    assert torch.allclose(d.biased(0).log_prob(d.mean.round()), d.log_prob(d.mean.round()))


@pytest.mark.parametrize("b", [50.0, 1e5, 1e30])
def test_a_large_bias_gives_the_likeliest_mean(b):
    d = StrokeDistribution(**{k: v.float() for k, v in random_parameters(2, (5,)).items()})
    x = d.biased(b).draw(torch.Generator().manual_seed(0))
    likeliest = d.mu[torch.arange(5), d.pi_logits.argmax(-1)]
    assert torch.allclose(x[:, :2], likeliest)


@pytest.mark.parametrize("b", [-0.1, math.nan, math.inf, 1e300])
def test_bias_refuses(b):
    with pytest.raises(UserError, match="bias"):
        one_normal().biased(b)
    with pytest.raises(UserError, match="bias"):  # also where a network's own density is not validated
        stroke_distribution(torch.zeros(7), 1).biased(b)


def test_mode_is_the_component_with_the_highest_peak():
    d = StrokeDistribution(
        torch.tensor([0.6, 0.4]).log(),
        torch.tensor([[0.0, 0.0], [5.0, 6.0]]),
        torch.tensor([[0.0, 0.0], [-1.0, -1.0]]),  # less likely, but narrower
        torch.zeros(2),
        torch.tensor(0.5),
    )
    assert d.mode.tolist() == [5.0, 6.0, 1.0]
    means = torch.cat([d.mu, torch.ones(2, 1)], -1)
    assert d.log_prob(means).argmax() == 1
