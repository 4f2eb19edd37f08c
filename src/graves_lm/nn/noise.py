"""Weight noise: fixed (section 2.1 of the paper), adaptive (A. Graves, "Practical Variational Inference
for Neural Networks", NIPS 2011), and dropped weights (L. Wan et al., "Regularization of Neural Networks
using DropConnect", ICML 2013).

All run the same network at other weights, with `torch.func.functional_call`, so they serve every task
and every network; gradients are taken at the noisy weights. In evaluation the mean weights are used.
"""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.functional import dropout


class NoNoise(nn.Module):
    """The network at its own weights."""

    def draw(self, network: nn.Module) -> Callable[..., Any]:
        """The network at weights sampled now: to be called as often as they are to stay the same."""
        weights = self.weights(network) if self.training else {}
        return partial(_at, network, weights) if weights else network

    def weights(self, network: nn.Module) -> dict[str, Tensor]:
        """Noisy weights by name, for those that have noise."""
        return {}

    def description_length(self, network: nn.Module) -> Tensor | None:
        """Nats that the weights themselves cost; None where no such term belongs to the loss."""
        return None


class WeightNoise(NoNoise):
    """w + N(0, std²) on every weight, sampled once for each batch of sequences; std 0.075 in the paper.

    `network` is taken for the same call as `AdaptiveWeightNoise` has; fixed noise needs nothing of it.
    """

    def __init__(self, network: nn.Module, std: float = 0.075):
        super().__init__()
        self.std = std

    def weights(self, network: nn.Module) -> dict[str, Tensor]:
        return {name: w + self.std * torch.randn_like(w) for name, w in network.named_parameters()}


class DroppedWeights(NoNoise):
    """Each weight of some matrices is 0 with probability `share`, else divided by 1 − share, sampled once for
    each batch of sequences: DropConnect, on recurrent weights as in S. Merity et al., "Regularizing and
    Optimizing LSTM Language Models" (2018). Not in the paper.

    Args:
        network: the network that the noise is for; for the same call as `AdaptiveWeightNoise` has.
        share: the probability that a weight is dropped, in [0, 1).
        of: parts of parameter names; the parameters whose name has one of them lose weights.
    """

    def __init__(self, network: nn.Module, share: float, of: Sequence[str]):
        super().__init__()
        if not 0 <= share < 1:
            raise ValueError(f"noise.share={share}: a probability below 1 is needed")
        self.share = share
        matrices = [name for name, _ in network.named_parameters() if name.endswith("weight")]
        self.names = [name for name in matrices if any(part in name for part in of)]
        if not self.names:
            raise ValueError(f"noise.of={list(of)}: no matrix of the network has such a name")

    def weights(self, network: nn.Module) -> dict[str, Tensor]:
        return {name: dropout(network.get_parameter(name), self.share) for name in self.names}


class AdaptiveWeightNoise(NoNoise):
    """A diagonal Gaussian posterior N(μ, σ²) over the weights, learned together with its widths.

    μ are the network's own weights. The loss is E[nats] + KL(posterior ‖ prior) / training sequences,
    with a Gaussian prior whose mean and variance are at their optimum (2011, equations (18)–(19)):
    mean = average of μ, variance = average of σ² + (μ − mean)².

    Where a weight's second derivative of all training nats is F, the loss is least at σ² = 1/(F + 1/s²) for a
    prior of width s: what matters little may be as wide as the prior, what matters much is held.

    Args:
        network: the network whose parameters get a width.
        std: the initial σ of every weight. The paper's 0.075 is far too wide for a trained network's: most
            are held to a tenth of it, and what is lost at first takes long to learn again.
        speed: how many times as fast as weights log σ moves under an optimiser that takes steps of one size
            in all directions (AdamW): in few epochs it has a way of several units to go.
        gradient: with respect to σ. "sampled": through the reparameterisation w = μ + σ·N(0, 1), unbiased,
            but each step's is as large as noise can make it. "squared": the paper's, ∂E[nats]/∂σ² = ½·Σ g²
            over sequences, from their second derivatives being the squares of their first, on average
            (2011, equation (17)). Here g is the gradient of the whole batch: near an optimum the sequences'
            gradients add up like independent numbers of mean 0, so that the square of their sum has the mean
            of the sum of their squares.
        share, of: weights dropped as well, as of `DroppedWeights`; 0: none.
    """

    def __init__(
        self,
        network: nn.Module,
        std: float = 0.075,
        speed: float = 1.0,
        gradient: str = "sampled",
        share: float = 0.0,
        of: Sequence[str] = ("recurrences", "to_output"),
    ):
        super().__init__()
        if gradient not in ("sampled", "squared"):
            raise ValueError(f"noise.gradient={gradient}: sampled or squared")
        self.speed, self.squared = speed, gradient == "squared"
        self.dropped = DroppedWeights(network, share, of) if share else None
        self.log_std = nn.ParameterDict(
            {_key(name): torch.full_like(w, math.log(std) / speed) for name, w in network.named_parameters()}
        )

    def log_width(self, name: str) -> Tensor:
        """log σ of each weight of a parameter."""
        return self.speed * self.log_std[_key(name)]

    def weights(self, network: nn.Module) -> dict[str, Tensor]:
        draw = _SquaredGradient.apply if self.squared else _sampled
        seen = {name: draw(w, self.log_width(name)) for name, w in network.named_parameters()}
        if self.dropped is not None:
            seen |= {name: dropout(seen[name], self.dropped.share) for name in self.dropped.names}
        return seen

    def description_length(self, network: nn.Module) -> Tensor:
        """KL(posterior ‖ optimal prior) in nats over all weights, a scalar.

        At the optimal prior N(m, s²) the quadratic terms of the divergence add up to W/2 for W weights
        and cancel its constant, so Σ log(s/σ_i) is all that is left.
        """
        means = torch.cat([w.flatten() for w in network.parameters()])
        log_stds = torch.cat([self.log_width(name).flatten() for name, _ in network.named_parameters()])
        prior_variance = (torch.exp(2 * log_stds) + (means - means.mean()).square()).mean()
        return (0.5 * prior_variance.log() - log_stds).sum()


def _sampled(mean: Tensor, log_std: Tensor) -> Tensor:
    return mean + log_std.exp() * torch.randn_like(mean)


class _SquaredGradient(torch.autograd.Function):
    """w = μ + σ·N(0, 1), with ∂nats/∂μ = g and ∂nats/∂log σ = σ²·g², where g = ∂nats/∂w."""

    @staticmethod
    def forward(ctx: Any, mean: Tensor, log_std: Tensor) -> Tensor:
        std = log_std.exp()
        ctx.save_for_backward(std)
        return torch.addcmul(mean, std, torch.randn_like(mean))

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor]:
        (std,) = ctx.saved_tensors
        return grad, (grad * std).square()


def _at(network: nn.Module, weights: dict[str, Tensor], *inputs: Any) -> Any:
    return functional_call(network, weights, inputs)


def _key(name: str) -> str:
    """Parameter names contain dots, which module names must not."""
    return name.replace(".", "/")
