"""The distribution of the next pen point, the paper's equations (18)-(25).

A. Graves, "Generating Sequences With Recurrent Neural Networks", arXiv:1308.0850, section 4.1.

Shapes: the batch is any (...); M is the number of mixture components; 2 are the axes (x1, x2) and 3 the
event (x1, x2, x3) with x3 = 1 where the point ends a stroke.
"""

import math
from typing import Any, TypeAlias

import torch
from torch import Generator, Size, Tensor
from torch.distributions import Distribution, constraints
from torch.nn.functional import binary_cross_entropy_with_logits, logsigmoid

from graves_lm.runtime.errors import UserError

Shape: TypeAlias = Size | list[int] | tuple[int, ...]


class StrokeDistribution(Distribution):
    """A mixture of bivariate normals over the pen's offset, times a Bernoulli for the end of the stroke.

        Pr(x) = Σ_j π_j N(x1, x2 | μ_j, σ_j, ρ_j) · (e where x3 = 1, 1 − e where x3 = 0)   (23)

    The parameters are unconstrained and stay so: everything is computed from the logarithms, in float32
    or better whatever the precision around it.

    Args:
        pi_logits: (..., M), π = softmax(pi_logits) (19).
        mu: (..., M, 2), the means (20).
        log_sigma: (..., M, 2), σ = exp(log_sigma) (21).
        rho_hat: (..., M), ρ = tanh(rho_hat) (22).
        e_logit: (...), the log-odds of the end of a stroke: e = 1/(1 + exp(-e_logit)). This is *minus* the
            paper's ê of (18); `graves_lm.nn.mixture.stroke_distribution` turns the sign.

    >>> pi, mu, sigma, rho = torch.zeros(2), torch.zeros(2, 2), torch.zeros(2, 2), torch.zeros(2)
    >>> two = StrokeDistribution(pi, mu, sigma, rho, e_logit=torch.tensor(0.0))
    >>> round(float(two.log_prob(torch.zeros(3)).exp() * 4 * math.pi), 4)  # e N(0 | 0, I) = 1/2 · 1/2π
    1.0
    >>> two.biased(3.0).draw(torch.Generator().manual_seed(0), (5,)).shape
    torch.Size([5, 3])
    """

    arg_constraints = {  # noqa: RUF012 (the name and form torch expects)
        "pi_logits": constraints.real_vector,
        "mu": constraints.independent(constraints.real, 2),
        "log_sigma": constraints.independent(constraints.real, 2),
        "rho_hat": constraints.real_vector,
        "e_logit": constraints.real,
    }
    support = constraints.independent(constraints.cat([constraints.real, constraints.boolean], -1, [2, 1]), 1)

    def __init__(
        self,
        pi_logits: Tensor,
        mu: Tensor,
        log_sigma: Tensor,
        rho_hat: Tensor,
        e_logit: Tensor,
        validate_args: bool | None = None,
    ):
        dtype = torch.promote_types(mu.dtype, torch.float32)
        self.pi_logits = pi_logits.to(dtype)
        self.mu = mu.to(dtype)
        self.log_sigma = log_sigma.to(dtype)
        self.rho_hat = rho_hat.to(dtype)
        self.e_logit = e_logit.to(dtype)
        super().__init__(e_logit.shape, Size([3]), validate_args)

    def expand(self, batch_shape: Shape, _instance: Distribution | None = None) -> "StrokeDistribution":
        new = self._get_checked_instance(StrokeDistribution, _instance)
        batch_shape = Size(batch_shape)
        M = self.pi_logits.shape[-1]
        new.pi_logits = self.pi_logits.expand(*batch_shape, M)
        new.mu = self.mu.expand(*batch_shape, M, 2)
        new.log_sigma = self.log_sigma.expand(*batch_shape, M, 2)
        new.rho_hat = self.rho_hat.expand(*batch_shape, M)
        new.e_logit = self.e_logit.expand(batch_shape)
        Distribution.__init__(new, batch_shape, self.event_shape, validate_args=False)
        new._validate_args = self._validate_args
        return new

    def __getitem__(self, index: Any) -> "StrokeDistribution":
        """The distributions at an index (without an ellipsis) of the batch."""
        return StrokeDistribution(
            self.pi_logits[index],
            self.mu[index],
            self.log_sigma[index],
            self.rho_hat[index],
            self.e_logit[index],
            validate_args=self._validate_args,
        )

    @property
    def pi(self) -> Tensor:
        """The mixture weights, (..., M) (19)."""
        return self.pi_logits.softmax(-1)

    @property
    def sigma(self) -> Tensor:
        """The standard deviations, (..., M, 2) (21)."""
        return self.log_sigma.exp()

    @property
    def rho(self) -> Tensor:
        """The correlations, (..., M) (22)."""
        return self.rho_hat.tanh()

    @property
    def e(self) -> Tensor:
        """The probability that the point ends a stroke, (...) (18)."""
        return self.e_logit.sigmoid()

    @property
    def mean(self) -> Tensor:
        """The expectation (Σ_j π_j μ_j, e), (..., 3)."""
        return torch.cat([(self.pi[..., None] * self.mu).sum(-2), self.e[..., None]], -1)

    @property
    def mode(self) -> Tensor:
        """The mean of the component whose own weighted density π_j N(μ_j) is the largest there, and the
        likelier state of the pen, (..., 3).

        The mixture's true mode has no closed form; where components overlap, it lies elsewhere.
        """
        best_1 = (self.pi_logits + self._log_peak()).argmax(-1, keepdim=True)
        mu_2 = self.mu.take_along_dim(best_1[..., None], -2).squeeze(-2)
        return torch.cat([mu_2, (self.e_logit > 0).to(mu_2)[..., None]], -1)

    def biased(self, b: float | Tensor) -> "StrokeDistribution":
        """The distribution of biased sampling (61)-(62): σ = exp(σ̂ - b) and π = softmax(π̂ (1 + b)).

        `b` is a number or a tensor that broadcasts to the batch, one bias per row; 0 changes nothing. Raises
        UserError for one that is negative or not finite; for a tensor only where arguments are validated,
        since a GPU would have to be waited for.
        """
        check = self._validate_args or not isinstance(b, Tensor)
        b = torch.as_tensor(b, dtype=self.mu.dtype, device=self.mu.device)
        if check and not (b.isfinite() & (b >= 0)).all():
            raise UserError(f"the sampling bias must be a finite number of 0 or more, not {b.tolist()}")
        # Less the largest logit, which the softmax does not see, so that no bias overflows.
        pi_logits = (self.pi_logits - self.pi_logits.amax(-1, keepdim=True)) * (1 + b[..., None])
        log_sigma = self.log_sigma - b[..., None, None]
        return StrokeDistribution(
            pi_logits, self.mu, log_sigma, self.rho_hat, self.e_logit, validate_args=self._validate_args
        )

    def in_units(self, mean_2: Tensor, std_2: Tensor) -> "StrokeDistribution":
        """The distribution of the point whose offset is mean + std · x, x being this one's offset."""
        mean_2, std_2 = mean_2.to(self.mu), std_2.to(self.mu)
        return StrokeDistribution(
            self.pi_logits,
            mean_2 + std_2 * self.mu,
            self.log_sigma + std_2.log(),
            self.rho_hat,
            self.e_logit,
            validate_args=self._validate_args,
        )

    def log_prob(self, value: Tensor) -> Tensor:
        """log Pr(value), (...), for value (..., 3); its negative is the loss (26)."""
        if self._validate_args:
            self._validate_sample(value)
        with torch.autocast(self.mu.device.type, enabled=False):
            value = value.to(self.mu.dtype)
            log_normal_M = self._log_peak() - self._half_squared_distance(value[..., None, :2])
            log_offset = (self.pi_logits.log_softmax(-1) + log_normal_M).logsumexp(-1)
            e_logit, x3 = torch.broadcast_tensors(self.e_logit, value[..., 2])
            return log_offset - binary_cross_entropy_with_logits(e_logit, x3, reduction="none")

    def draw(self, generator: Generator | None = None, sample_shape: Shape = ()) -> Tensor:
        """Points sampled from the distribution, `(*sample_shape, ..., 3)`.

        `generator` lives on the parameters' device; the same one in the same state gives the same points.
        """
        d = self.expand((*sample_shape, *self.batch_shape))
        race_M = torch.empty_like(d.pi_logits).exponential_(generator=generator)
        z_2 = torch.empty_like(d.mu[..., 0, :]).normal_(generator=generator)
        u = torch.empty_like(d.e_logit).uniform_(generator=generator)
        return d.point(race_M, z_2, u)

    @torch.no_grad()
    def point(self, race_M: Tensor, z_2: Tensor, u: Tensor) -> Tensor:
        """The points (..., 3) that given random numbers stand for.

        Args:
            race_M: (..., M), exponential with rate 1; they choose the component.
            z_2: (..., 2), standard normal; they choose the place in it.
            u: (...), uniform in [0, 1); it chooses whether a stroke ends, which is never thresholded.
        """
        # In a race of exponential times, runner j at the rate π_j wins with the probability π_j.
        j_1 = (self.pi_logits - race_M.log()).argmax(-1, keepdim=True)
        mu_2 = self.mu.take_along_dim(j_1[..., None], -2).squeeze(-2)
        sigma_2 = self.log_sigma.take_along_dim(j_1[..., None], -2).squeeze(-2).exp()
        rho_hat = self.rho_hat.take_along_dim(j_1, -1).squeeze(-1)
        z1, z2 = z_2.unbind(-1)
        # √(1-ρ²) = 1/cosh ρ̂, which does not round to 0 before ρ̂ itself is out of range.
        x_2 = mu_2 + sigma_2 * torch.stack([z1, rho_hat.tanh() * z1 + z2 / rho_hat.cosh()], -1)
        return torch.cat([x_2, (u < self.e).to(x_2)[..., None]], -1)

    def sample(self, sample_shape: Shape = ()) -> Tensor:
        """`draw` with torch's global generator."""
        return self.draw(sample_shape=sample_shape)

    def _log_one_plus_minus_rho(self) -> tuple[Tensor, Tensor]:
        """log(1+ρ) and log(1-ρ), (..., M) each.

        (1 ± tanh ρ̂)/2 = sigmoid(±2ρ̂), so neither rounds to log 0 where tanh rounds to ±1, and their sum
        is log(1-ρ²) = -2 log cosh ρ̂.
        """
        return logsigmoid(2 * self.rho_hat) + math.log(2), logsigmoid(-2 * self.rho_hat) + math.log(2)

    def _log_peak(self) -> Tensor:
        """log N(μ | μ, σ, ρ), (..., M): the factor of (24) before the exponential."""
        log_plus, log_minus = self._log_one_plus_minus_rho()
        return -math.log(2 * math.pi) - self.log_sigma.sum(-1) - (log_plus + log_minus) / 2

    def _half_squared_distance(self, x_2: Tensor) -> Tensor:
        """Z / (2(1-ρ²)) of (24)-(25), (..., M), for x_2 that broadcasts to (..., M, 2).

        Along the ellipse's diagonals the form is a sum of two squares without cancellation,

            Z / (2(1-ρ²)) = u² + v²,   u = (z1 + z2) / (2√(1+ρ)),   v = (z1 - z2) / (2√(1-ρ)),

        and u and v hold only half of each exponent: |ρ̂| = 30, σ̂ = -15 and an offset of 100 make v = 1e22,
        well inside float32, but v² = 1e43, which is not. So beyond R², the largest value that leaves room
        for sums and gradients (6e30 nats in float32), the square goes on as its tangent in the logarithm:

            q -> R² (1 + log(q / R²)).

        That is the one place where the density is not the paper's. It grows still, and its gradient is
        the true one times the positive number R²/q: never infinite, never zero, never turned. What is
        below R² is exact. It is computed as (ku)² + (kv)² - 2R² log k with k = min(1, R/√q) held constant,
        whose derivative is k² dq = (R²/q) dq, so that no square ever overflows.
        """
        log_plus, log_minus = self._log_one_plus_minus_rho()
        z1, z2 = ((x_2 - self.mu) * (-self.log_sigma).exp()).unbind(-1)
        u = (z1 + z2) / 2 * (-log_plus / 2).exp()
        v = (z1 - z2) / 2 * (-log_minus / 2).exp()
        R = torch.finfo(u.dtype).max ** 0.4
        k = (R / torch.hypot(u.detach(), v.detach())).clamp(max=1)  # 1 too where u = v = 0
        return (k * u) ** 2 + (k * v) ** 2 - 2 * R**2 * k.log()
