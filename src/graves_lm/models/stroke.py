"""Stroke prediction, section 4: pen points in, the density of the next point out.

Shape legend: T steps, B batch rows; a point is (dx, dy, end of stroke), in normalised units.
"""

from torch import Tensor, nn

from graves_lm.distributions import StrokeDistribution
from graves_lm.nn.cell import CellMaker
from graves_lm.nn.mixture import MixtureHead
from graves_lm.nn.stack import SkipStack, StackState
from graves_lm.settings import declared
from graves_lm.settings.kinds import Few, Layers, Number, Positive, RecurrentInit, Size


@declared("model.network")
class StrokeNetwork(nn.Module):
    """Pr(x_{t+1} | x_1 … x_t) as the mixture (23) of the skip stack's output ŷ_t.

    Args:
        layers, hidden_size: the paper's 3×400 or 1×900.
        mixtures: M, the components of the mixture; the paper's 20.
        clip, output_clip: bounds on the gradients with respect to the pre-activations and ŷ (paper: 10, 100).
        skips, peepholes, recurrent_init, forget_bias, cell: see `SkipStack`.

    >>> import torch
    >>> network = StrokeNetwork(layers=2, hidden_size=8, mixtures=3)
    >>> distribution, state = network(torch.zeros(7, 2, 3), network.initial_state(2))
    >>> distribution.batch_shape, distribution.pi.shape
    (torch.Size([7, 2]), torch.Size([7, 2, 3]))
    """

    def __init__(
        self,
        layers: Layers,
        hidden_size: Size,
        mixtures: Few = 20,
        clip: Positive | None = 10.0,
        output_clip: Positive | None = 100.0,
        *,
        skips: bool = True,
        peepholes: bool = True,
        recurrent_init: RecurrentInit = "orthogonal",
        forget_bias: Number = 1.0,
        cell: CellMaker | None = None,
    ):
        super().__init__()
        self.head = MixtureHead(mixtures)
        self.stack = SkipStack(
            3,
            self.head.output_size,
            layers,
            hidden_size,
            skips=skips,
            peepholes=peepholes,
            clip=clip,
            output_clip=output_clip,
            recurrent_init=recurrent_init,
            forget_bias=forget_bias,
            cell=cell,
        )

    def initial_state(self, batch_size: int) -> StackState:
        """Zeros, as before the first point."""
        return self.stack.initial_state(batch_size)

    def forward(self, x_TB3: Tensor, state: StackState) -> tuple[StrokeDistribution, StackState]:
        """The distribution, batch (T, B), of the point after each of x_TB3, and the last state."""
        y_TBY, state = self.stack(x_TB3, state)
        return self.head(y_TBY), state

    def step(self, x_B3: Tensor, state: StackState) -> tuple[StrokeDistribution, StackState]:
        """The same for one point a row: batch (B,), and the next state."""
        y_BY, state = self.stack.step(x_B3, state)
        return self.head(y_BY), state
