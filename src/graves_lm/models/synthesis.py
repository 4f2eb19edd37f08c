"""Handwriting synthesis: pen points for a given text, equations (46)–(53).

From A. Graves, "Generating Sequences With Recurrent Neural Networks" (arXiv:1308.0850), section 5. Layer 1
carries the soft window (`nn.window_lstm`, (52)); all other layers see where it is,

    hⁿ_t = H(W_{x hⁿ} x_t + W_{h^{n−1}hⁿ} h^{n−1}_t + W_{hⁿhⁿ} hⁿ_{t−1} + W_{w hⁿ} w_t + bⁿ)   (53)

and all layers reach ŷ_t, which is a mixture density (`nn.mixture`).

Shape legend: T steps, B batch rows, 3 the pen's (x1, x2, x3), H hidden units, K window components,
U characters of the longest text, V = U + 1, C symbols. A name's suffix gives its shape: `x_TB3`.
"""

from collections.abc import Sequence
from typing import Annotated, NamedTuple, cast

import torch
from msgspec import Meta
from torch import Tensor, nn

from graves_lm.distributions import StrokeDistribution
from graves_lm.nn.cell import CellMaker
from graves_lm.nn.clip import clip_derivative
from graves_lm.nn.lstm import LSTMRecurrence
from graves_lm.nn.mixture import MixtureHead
from graves_lm.nn.products import linear, linear_of_parts
from graves_lm.nn.stack import SkipStack, StackState
from graves_lm.nn.window import SoftWindow, WindowParameters, WindowState, window_weights
from graves_lm.nn.window_cell import window_cell, window_cell_step
from graves_lm.nn.window_lstm import window_lstm, window_lstm_step
from graves_lm.runtime.errors import UserError
from graves_lm.settings import declared
from graves_lm.settings.kinds import Count, Few, Layers, NonNegative, Number, Positive, RecurrentInit, Size

END_OF_TEXT = -1
"""The index that fills up the shorter texts of a batch."""


class Text(NamedTuple):
    """A batch of texts: `symbol_BU` int64, filled up with −1, and `length_B` int64."""

    symbol_BU: Tensor
    length_B: Tensor

    @classmethod
    def of(cls, rows: Sequence[Sequence[int]], device: torch.device | str | None = None) -> "Text":
        """From symbol indices; a `UserError` where a text is empty."""
        for row, text in enumerate(rows):
            if len(text) == 0:
                raise UserError(f"text {row + 1} of {len(rows)} is empty: give at least one character")
        length_B = torch.tensor([len(text) for text in rows])
        symbol_BU = torch.full((len(rows), int(length_B.max())), END_OF_TEXT)
        for row, text in enumerate(rows):
            symbol_BU[row, : len(text)] = torch.as_tensor(text)
        return cls(symbol_BU.to(device), length_B.to(device))

    def to(self, device: torch.device | str) -> "Text":
        """The same texts on a device."""
        return Text(self.symbol_BU.to(device), self.length_B.to(device))

    def rows(self, index: Tensor) -> "Text":
        """The texts of some rows; the width stays."""
        return Text(self.symbol_BU[index], self.length_B[index])


class SynthesisState(NamedTuple):
    """What is carried from point to point: the layers' states, the window's positions and what it saw."""

    layers: StackState
    kappa_BK: Tensor
    w_BC: Tensor


class Attention(NamedTuple):
    """Where the window was: α, β and κ of (46) at every point, (T, B, K) each, without gradient."""

    alpha_TBK: Tensor
    beta_TBK: Tensor
    kappa_TBK: Tensor

    def weights(self, text: Text) -> Tensor:
        """φ(t, u), (T, B, U); 0 after the end of a text."""
        T, B, _ = self.kappa_TBK.shape
        U = text.symbol_BU.shape[1]
        phi_TBU = self.kappa_TBK.new_zeros(T, B, U)
        for component in zip(*(v.split(1, dim=2) for v in self), strict=True):  # (T, B, K, U) would be large
            phi_TBU += window_weights(WindowParameters(*component), U)
        return phi_TBU * (text.symbol_BU >= 0)


def past_the_end(phi_BV: Tensor, text: Text) -> Tensor:
    """Whether each text is written, (B,) bool: φ(t, U+1) > φ(t, u) for all u ≤ U (section 5.3).

    `phi_BV` is what `SynthesisNetwork.step` returns, and U each row's own length.
    """
    after_B1 = phi_BV.gather(1, text.length_B.unsqueeze(1))
    return (after_B1 > phi_BV[:, :-1].masked_fill(text.symbol_BU < 0, 0)).all(1)


def _weight(layer: nn.Module) -> Tensor:
    return cast(nn.Linear, layer).weight


@declared("model.network")
class SynthesisNetwork(nn.Module):
    """Pr(x_{t+1} | x_1 … x_t, c) for pen points x and a text c.

    Args:
        symbols: C, the size of the symbol set.
        layers, hidden_size, peepholes, clip, output_clip, recurrent_init, forget_bias, cell: see `SkipStack`.
        mixtures: M of the mixture density.
        window_components: K.
        points_per_character, log_sharpness, window_scale: how the window starts, see `SoftWindow`.

    Where the paper is silent, the weights of w start uniform in ±1, as those of one-hot inputs do.

    >>> network = SynthesisNetwork(symbols=4, layers=2, hidden_size=8, mixtures=3)
    >>> text = Text.of([[0, 3, 1], [2]])
    >>> distribution, state, attention = network(torch.zeros(7, 2, 3), text, network.initial_state(2))
    >>> distribution.batch_shape, attention.weights(text).shape
    (torch.Size([7, 2]), torch.Size([7, 2, 3]))
    """

    def __init__(
        self,
        symbols: Count,
        layers: Layers = 3,
        hidden_size: Size = 400,
        mixtures: Few = 20,
        window_components: Few = 10,
        *,
        clip: Positive | None = 10.0,
        output_clip: Positive | None = 100.0,
        peepholes: bool = True,
        recurrent_init: RecurrentInit = "orthogonal",
        forget_bias: Number = 1.0,
        cell: CellMaker | None = None,
        points_per_character: Positive = 25.0,
        log_sharpness: Annotated[float, Meta(ge=-50, le=50)] = 0.0,
        window_scale: NonNegative = 0.1,
    ):
        super().__init__()
        self.symbols = symbols
        self.head = MixtureHead(mixtures)
        self.stack = SkipStack(
            3,
            self.head.output_size,
            layers,
            hidden_size,
            peepholes=peepholes,
            clip=clip,
            output_clip=output_clip,
            recurrent_init=recurrent_init,
            forget_bias=forget_bias,
            cell=cell,
        )
        self.window = SoftWindow(
            hidden_size, window_components, points_per_character, log_sharpness, window_scale
        )
        G = self.stack.cell(0).preactivations
        self.from_window = nn.ParameterList(
            nn.Parameter(torch.empty(G, symbols).uniform_(-1, 1)) for _ in range(layers)
        )

    def symbol_axes(self) -> dict[str, int]:
        """By name, the axis of a weight that has an entry for each symbol."""
        return {f"from_window.{n}": 1 for n in range(len(self.from_window))}

    def initial_state(self, batch_size: int) -> SynthesisState:
        """Zeros, as the paper's sequences start."""
        seen = self.window.initial_state(batch_size, self.symbols)
        return SynthesisState(self.stack.initial_state(batch_size), *seen)

    def _preactivation(self, n: int, x: Tensor, below: Tensor, w: Tensor) -> Tensor:
        """W_x x + W_below h^{n−1} + W_w w + b of layer n > 0, for one step or all, as one product."""
        from_x, from_below = self.stack.from_input[n], self.stack.from_below[n - 1]
        weights = (_weight(from_x), _weight(from_below), self.from_window[n])
        return linear_of_parts((x, below, w), weights, self.stack.bias[n])

    def forward(
        self, x_TB3: Tensor, text: Text, state: SynthesisState
    ) -> tuple[StrokeDistribution, SynthesisState, Attention]:
        """A whole sequence: the distribution of the point after each of x_TB3, batch (T, B), the state
        after the last, and where the window was."""
        stack, bottom = self.stack, self.stack.cell(0)
        z_TBG = linear(x_TB3, _weight(stack.from_input[0]), stack.bias[0])
        before = (state.layers[0], WindowState(state.kappa_BK, state.w_BC))
        if isinstance(bottom, LSTMRecurrence):
            first = window_lstm(
                z_TBG,
                text.symbol_BU,
                *before,
                bottom.weight,
                self.from_window[0],
                bottom.peephole,
                self.window,
                bottom.clip,
            )
        else:
            first = window_cell(z_TBG, text.symbol_BU, *before, self.from_window[0], bottom, self.window)
        hs, last = [first.h_TBH], [first.state]
        for n in range(1, len(state.layers)):
            z_TBG = self._preactivation(n, x_TB3, hs[-1], first.w_TBC)
            h_TBH, after = stack.recurrences[n](z_TBG, state.layers[n])
            hs.append(h_TBH)
            last.append(after)
        y_TBY = clip_derivative(stack.to_output(torch.cat(hs, dim=-1)), stack.output_clip)
        return self.head(y_TBY), SynthesisState(tuple(last), *first.seen), Attention(*first.components)

    def step(
        self, x_B3: Tensor, text: Text, state: SynthesisState
    ) -> tuple[StrokeDistribution, SynthesisState, Tensor]:
        """One point: the distribution of the next, batch (B,), the state, and phi_BV, the window's weights
        at u = 1 … U+1 for `past_the_end`. Equal to `forward`; no gradient of the LSTM is clipped."""
        y_BY, after, phi_BV = self.output_step(x_B3, text, state)
        return self.head(y_BY), after, phi_BV

    def output_step(
        self, x_B3: Tensor, text: Text, state: SynthesisState
    ) -> tuple[Tensor, SynthesisState, Tensor]:
        """`step` with ŷ in place of the distribution."""
        stack, bottom = self.stack, self.stack.cell(0)
        z_BG = linear(x_B3, _weight(stack.from_input[0]), stack.bias[0])
        before = (state.layers[0], WindowState(state.kappa_BK, state.w_BC))
        if isinstance(bottom, LSTMRecurrence):
            after, seen, phi_BV = window_lstm_step(
                z_BG,
                text.symbol_BU,
                *before,
                bottom.weight,
                self.from_window[0],
                bottom.peephole,
                self.window,
            )
        else:
            after, seen, phi_BV = window_cell_step(
                z_BG, text.symbol_BU, *before, self.from_window[0], bottom, self.window
            )
        last = [after]
        for n in range(1, len(state.layers)):
            z_BG = self._preactivation(n, x_B3, last[-1].h_BH, seen.w_BC)
            last.append(stack.cell(n).step(z_BG, state.layers[n]))
        y_BY = stack.to_output(torch.cat([s.h_BH for s in last], dim=-1))
        return y_BY, SynthesisState(tuple(last), *seen), phi_BV
