"""The mixture density output, the paper's equations (15)-(22): from the network's ŷ to a distribution.

A. Graves, "Generating Sequences With Recurrent Neural Networks", arXiv:1308.0850, section 4.1.

Shapes: (...) is any batch, M the number of mixture components.
"""

import torch
from torch import Tensor, nn

from graves_lm.distributions import StrokeDistribution


def stroke_distribution(y: Tensor, mixtures: int) -> StrokeDistribution:
    """The distribution (16) of the next point, batch (...), for the network's output ŷ (..., 6M+1) of (17).

    The outputs come in blocks: ŷ = (ê, π̂[M], μ̂1[M], μ̂2[M], σ̂1[M], σ̂2[M], ρ̂[M]), where

        e = 1/(1 + exp ê)  (18)    π = softmax π̂  (19)    μ = μ̂  (20)    σ = exp σ̂  (21)    ρ = tanh ρ̂  (22)

    By (18) a *large* ê makes the end of a stroke unlikely: its log-odds are -ê. The sign is turned here and
    nowhere else.
    """
    pi, mu1, mu2, sigma1, sigma2, rho = y[..., 1:].unflatten(-1, (6, mixtures)).unbind(-2)
    return StrokeDistribution(
        pi_logits=pi,
        mu=torch.stack([mu1, mu2], -1),
        log_sigma=torch.stack([sigma1, sigma2], -1),
        rho_hat=rho,
        e_logit=-y[..., 0],
        validate_args=False,  # checking values would make a GPU wait at every step
    )


class MixtureHead(nn.Module):
    """`stroke_distribution` as a module without weights: the skip connections have made ŷ already.

    >>> MixtureHead(20).output_size
    121
    """

    def __init__(self, mixtures: int = 20):
        super().__init__()
        self.mixtures = mixtures
        self.output_size = 6 * mixtures + 1

    def forward(self, y: Tensor) -> StrokeDistribution:
        return stroke_distribution(y, self.mixtures)

    def extra_repr(self) -> str:
        return f"mixtures={self.mixtures}"
