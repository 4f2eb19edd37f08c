"""The deep prediction network: a stack of LSTM layers with skip connections, equations (1)–(6).

    h^1_t = H(W_{x h^1} x_t + W_{h^1 h^1} h^1_{t−1} + b^1)                                    (1)
    h^n_t = H(W_{x h^n} x_t + W_{h^{n−1} h^n} h^{n−1}_t + W_{h^n h^n} h^n_{t−1} + b^n)        (2)
    ŷ_t   = b_y + Σ_n W_{h^n y} h^n_t                                                         (3)

x_t reaches every layer and every layer reaches the output; both kinds of skip can be switched off
together. Shape legend: T steps, B batch rows, K one-hot symbols, I input size, H hidden units, Y outputs.
"""

from functools import partial
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.functional import embedding

from graves_lm.nn.cell import CellMaker, State, make_cell
from graves_lm.nn.clip import clip_derivative
from graves_lm.nn.lstm import LSTMRecurrence
from graves_lm.nn.products import Linear, linear_of_parts

StackState = tuple[State, ...]
"""One state a layer, bottom first: `LSTMState`, or that of another cell."""


class OneHotProjection(nn.Module):
    """W x for one-hot x: rows of the stored weight, gathered by symbol index; no one-hot is built.

    Index −1 stands for the null vector (the paper's x_1), for which the projection is zero.
    Uniform in ±1 at the start, where the paper is silent: one input is on at a time, so this is the
    ±1/√fan-in of the dense weights for a fan-in of one. Anything smaller hides the input from the gates
    and costs the first hundreds of updates.
    """

    def __init__(self, symbols: int, outputs: int):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(symbols, outputs).uniform_(-1, 1))

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        """W x + b for x: integer (...); returns (..., outputs)."""
        symbols = len(self.weight)
        if x.numel() >= symbols:  # fewer rows to add b to, and one pass over the outputs
            table = torch.cat([self.weight + bias, bias.unsqueeze(0)])
            return embedding(x.masked_fill(x < 0, symbols), table)
        rows = embedding(x.clamp_min(0), self.weight)
        return rows * (x >= 0).unsqueeze(-1) + bias  # a product, not a test: no wait for a GPU's answer


class SkipStack(nn.Module):
    """Layers, skips and output of (1)–(3).

    Args:
        inputs: size of x_t; with `one_hot`, the number of symbols and x_t is an index.
        outputs: size of ŷ_t.
        layers, hidden_size: the paper's 1×1000, 7×700, 3×400, …
        skips: x_t to every layer and every layer to ŷ; False leaves a plain stack.
        peepholes: the diagonal W_c· of (7), (8), (10).
        clip: per-step bound on the gradients with respect to the LSTM's pre-activations (paper: 1 text, 10
            pen).
        output_clip: bound on the gradient with respect to ŷ (paper: 100 for pen); None: not clipped.
        recurrent_init, forget_bias: see `LSTMRecurrence`.
        cell: makes another cell than the LSTM for a number of hidden units, see `nn.cell`; `peepholes`,
            `clip`, `recurrent_init` and `forget_bias` are the LSTM's and do not reach it.

    The gradients that both clips see are those of the loss in nats *summed* over the sequence, as in
    the paper; a training task that averages its loss must scale afterwards (see `tasks.base`).
    Where the paper is silent, dense weights start uniform in ±1/√fan-in, biases at zero.

    >>> stack = SkipStack(inputs=3, outputs=5, layers=2, hidden_size=8, clip=10.0)
    >>> y_TBY, state = stack(torch.zeros(7, 2, 3), stack.initial_state(2))
    >>> y_TBY.shape, len(state)
    (torch.Size([7, 2, 5]), 2)
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        layers: int,
        hidden_size: int,
        *,
        one_hot: bool = False,
        skips: bool = True,
        peepholes: bool = True,
        clip: float | None = None,
        output_clip: float | None = None,
        recurrent_init: str = "orthogonal",
        forget_bias: float = 1.0,
        cell: CellMaker | None = None,
    ):
        super().__init__()
        if layers < 1 or hidden_size < 1:
            raise ValueError(f"layers={layers}, hidden_size={hidden_size}: both must be at least 1")
        self.skips, self.output_clip = skips, output_clip
        make = cell or partial(
            LSTMRecurrence,
            peepholes=peepholes,
            clip=clip,
            recurrent_init=recurrent_init,
            forget_bias=forget_bias,
        )
        self.recurrences = nn.ModuleList(make_cell(make, hidden_size) for _ in range(layers))
        H, G = hidden_size, self.cell(0).preactivations
        from_x = range(layers if skips else 1)
        self.from_input = nn.ModuleList(
            OneHotProjection(inputs, G) if one_hot else Linear(inputs, G, bias=False) for _ in from_x
        )
        self.from_below = nn.ModuleList(Linear(H, G, bias=False) for _ in range(layers - 1))
        self.bias = nn.ParameterList(nn.Parameter(self.cell(n).initial_bias()) for n in range(layers))
        to_output = layers if skips else 1
        self.to_output = Linear(to_output * H, outputs)  # [W_{h^1 y} … W_{h^N y}] side by side
        nn.init.zeros_(self.to_output.bias)

    def cell(self, n: int) -> Any:
        """The `Cell` of layer n (from 0)."""
        return self.recurrences[n]

    def initial_state(self, batch_size: int) -> StackState:
        return tuple(self.cell(n).initial_state(batch_size) for n in range(len(self.recurrences)))

    def _preactivation(self, n: int, x: Tensor, below: Tensor | None) -> Tensor:
        """W_x x + W_below h^{n−1} + b^n of layer n (from 0), for one step or all."""
        project = self.from_input[n] if n < len(self.from_input) else None
        if isinstance(project, OneHotProjection):
            z_G: Tensor = project(x, self.bias[n])
            return z_G if below is None else z_G + self.from_below[n - 1](below)
        seen = [] if project is None else [(x, cast(Linear, project).weight)]
        if below is not None:
            seen.append((below, cast(Linear, self.from_below[n - 1]).weight))
        return linear_of_parts([part for part, _ in seen], [w for _, w in seen], self.bias[n])

    def _output(self, hs: list[Tensor]) -> Tensor:
        """(3). One product over the layers side by side."""
        return self.to_output(torch.cat(hs, dim=-1) if self.skips else hs[-1])

    def forward(self, x: Tensor, state: StackState) -> tuple[Tensor, StackState]:
        """x: (T, B, I) or one-hot indices (T, B). Returns ŷ_TBY and the state after step T."""
        hs: list[Tensor] = []
        last: list[State] = []
        for n, (layer, before) in enumerate(zip(self.recurrences, state, strict=True)):
            h_TBH, after = layer(self._preactivation(n, x, hs[-1] if hs else None), before)
            hs.append(h_TBH)
            last.append(after)
        return clip_derivative(self._output(hs), self.output_clip), tuple(last)

    def step(self, x: Tensor, state: StackState) -> tuple[Tensor, StackState]:
        """One step: x (B, I) or indices (B,). Returns ŷ_BY and the next state; equals `forward`."""
        hs: list[Tensor] = []
        last: list[State] = []
        for n, before in enumerate(state):
            after = self.cell(n).step(self._preactivation(n, x, hs[-1] if hs else None), before)
            hs.append(after.h_BH)
            last.append(after)
        return self._output(hs), tuple(last)
