"""A reader of handwriting: frames of ink in, the probabilities of characters out.

Bidirectional LSTM layers under connectionist temporal classification: A. Graves, S. Fernández, F. Gomez,
J. Schmidhuber, "Connectionist Temporal Classification" (ICML 2006), and, for the pen, A. Graves et al.,
"A Novel Connectionist System for Unconstrained Handwriting Recognition" (PAMI 2009). Each layer is two
recurrences of `nn.lstm`, one along the line and one back; the layer above sees both. The output at a frame
is a character or the blank, index C, and a text is any sequence of outputs that becomes it when repetitions
are merged and blanks taken out.

Shape legend: T frames, B lines, D numbers of a frame, H hidden units of a direction, G = 4H, C symbols.
"""

from typing import Annotated, Any, cast

import numpy as np
import torch
from msgspec import Meta
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.functional import ctc_loss, dropout, log_softmax

from graves_lm.models.frames import NUMBERS
from graves_lm.nn.lstm import LSTMRecurrence
from graves_lm.nn.products import Linear
from graves_lm.settings import declared
from graves_lm.settings.kinds import Layers, Positive, Size


@declared("model.network")
class ReaderNetwork(nn.Module):
    """log Pr(character or blank | line) at every frame.

    Args:
        symbols: C; the blank comes on top.
        layers, hidden_size: of each direction.
        drop: the share of a layer's outputs that is left out in training, all along a line: dropout as in
            Y. Gal, Z. Ghahramani, "A Theoretically Grounded Application of Dropout in Recurrent Neural
            Networks" (2016).
        clip: bound on the gradients with respect to the pre-activations at each step, see `LSTMRecurrence`.

    >>> network = ReaderNetwork(symbols=3, layers=2, hidden_size=8)
    >>> network(torch.zeros(5, 2, NUMBERS), torch.tensor([5, 3])).shape
    torch.Size([5, 2, 4])
    """

    def __init__(
        self,
        symbols: Size,
        layers: Layers,
        hidden_size: Size,
        drop: Annotated[float, Meta(ge=0, lt=1)] = 0.2,
        clip: Positive | None = None,
    ):
        super().__init__()
        self.symbols, self.drop = symbols, drop
        self.forth = nn.ModuleList(LSTMRecurrence(hidden_size, clip=clip) for _ in range(layers))
        self.back = nn.ModuleList(LSTMRecurrence(hidden_size, clip=clip) for _ in range(layers))
        sizes = [NUMBERS, *[2 * hidden_size] * (layers - 1)]
        self.from_below = nn.ModuleList(Linear(size, 8 * hidden_size) for size in sizes)
        self.to_output = Linear(2 * hidden_size, symbols + 1)
        with torch.no_grad():
            for below, forth, back in zip(self.from_below, self.forth, self.back, strict=True):
                parts = cast(Linear, below).bias.split(4 * hidden_size)
                for part, layer in zip(parts, (forth, back), strict=True):
                    part.copy_(cast(LSTMRecurrence, layer).initial_bias())

    def symbol_axes(self) -> dict[str, int]:
        """By name, the axis of a weight that has an entry for each symbol, the blank's behind them."""
        return {"to_output.weight": 0, "to_output.bias": 0}

    def forward(self, frame_TBD: Tensor, length_B: Tensor) -> Tensor:
        """log Pr, (T, B, C + 1), blank last, float32; of lines of `length_B` frames, filled up behind."""
        backwards_TB = reversal(length_B, len(frame_TBD))
        x_TBX = frame_TBD
        for n, (below, forth, back) in enumerate(zip(self.from_below, self.forth, self.back, strict=True)):
            if n > 0:
                x_TBX = self._dropped(x_TBX)
            z_forth_TBG, z_back_TBG = below(x_TBX).chunk(2, dim=2)
            h_forth_TBH = _recurrence(forth, z_forth_TBG)
            h_back_TBH = _recurrence(back, reordered(z_back_TBG, backwards_TB))
            x_TBX = torch.cat([h_forth_TBH, reordered(h_back_TBH, backwards_TB)], dim=2)
        y_TBY = self.to_output(self._dropped(x_TBX))
        return log_softmax(y_TBY.float(), dim=2)

    def _dropped(self, x_TBX: Tensor) -> Tensor:
        """In training, x without some of its columns, other ones for each row."""
        if not self.training or self.drop == 0:
            return x_TBX
        return x_TBX * dropout(x_TBX.new_ones(1, *x_TBX.shape[1:]), self.drop)


def _recurrence(layer: nn.Module, z_TBG: Tensor) -> Tensor:
    """h of all frames, from zeros on."""
    recurrence = cast(LSTMRecurrence, layer)
    h_TBH, _ = recurrence(z_TBG, recurrence.initial_state(z_TBG.shape[1]))
    return cast(Tensor, h_TBH)


def text_nats(
    log_p_TBY: Tensor, length_B: Tensor, symbol_BU: Tensor, skip_impossible: bool = False
) -> Tensor:
    """−log Pr(text | line), (B,), of texts of `symbol_BU`, filled up with −1: the sum over all sequences of
    outputs that become the text. Infinite where a line has too few frames for its text, or with
    `skip_impossible` 0, without gradient."""
    return ctc_loss(
        log_p_TBY,
        symbol_BU.clamp_min(0),
        length_B,
        (symbol_BU >= 0).sum(1),
        blank=log_p_TBY.shape[2] - 1,
        reduction="none",
        zero_infinity=skip_impossible,
    )


def reversal(length_B: Tensor, T: int) -> Tensor:
    """For each row the frames (T, B) last first, those behind its end in their place. Its own inverse."""
    t_T1 = torch.arange(T, device=length_B.device).unsqueeze(1)
    return torch.where(t_T1 < length_B, length_B - 1 - t_T1, t_T1)


def reordered(x_TBX: Tensor, order_TB: Tensor) -> Tensor:
    """The frames of each row in an order that is its own inverse."""
    made: Tensor = _Reordered.apply(x_TBX, order_TB)
    return made


class _Reordered(torch.autograd.Function):
    """Its backward pass is the same order once more, where that of a gather would add up what goes where."""

    @staticmethod
    def forward(ctx: Any, x_TBX: Tensor, order_TB: Tensor) -> Tensor:
        ctx.save_for_backward(order_TB)
        return _in_order(x_TBX, order_TB)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dx_TBX: Tensor) -> tuple[Tensor, None]:
        (order_TB,) = ctx.saved_tensors
        return _in_order(dx_TBX, order_TB), None


def _in_order(x_TBX: Tensor, order_TB: Tensor) -> Tensor:
    T, B, X = x_TBX.shape
    row_B = torch.arange(B, device=order_TB.device)
    return x_TBX.reshape(T * B, X).index_select(0, (order_TB * B + row_B).flatten()).view(T, B, X)


def best_path(log_p_TBY: Tensor, length_B: Tensor) -> list[list[int]]:
    """The symbols of the likeliest outputs, repetitions merged and blanks taken out (best path decoding)."""
    blank = log_p_TBY.shape[2] - 1
    texts = []
    for output_T, length in zip(log_p_TBY.argmax(2).t(), length_B.tolist(), strict=True):
        merged = torch.unique_consecutive(output_T[:length]).tolist()
        texts.append([symbol for symbol in merged if symbol != blank])
    return texts


def likeliest_frames(log_p_TY: NDArray[np.float32], symbol_U: NDArray[np.int64]) -> NDArray[np.int64]:
    """The frame (U,) at which each symbol of a text is read, on the likeliest of all ways to read the text
    from log Pr (T, C + 1), blank last: the Viterbi path, and of a symbol's frames there the surest.

    There must be a frame for each symbol, and one more between equal neighbours.
    """
    T, U = len(log_p_TY), len(symbol_U)
    output_S = np.full(2 * U + 1, log_p_TY.shape[1] - 1)
    output_S[1::2] = symbol_U
    log_p_TS = log_p_TY[:, output_S]
    no_skip_S = np.ones(2 * U + 1, bool)  # from a symbol to the next one, but for a blank between equal ones
    no_skip_S[3::2] = output_S[3::2] == output_S[1:-2:2]

    best_S = np.full(2 * U + 1, -np.inf)
    best_S[:2] = log_p_TS[0, :2]
    came_TS = np.zeros((T, 2 * U + 1), np.int8)
    for t in range(1, T):
        from_3S = np.full((3, 2 * U + 1), -np.inf)
        from_3S[0], from_3S[1, 1:], from_3S[2, 2:] = best_S, best_S[:-1], best_S[:-2]
        from_3S[2, no_skip_S] = -np.inf
        came_TS[t] = from_3S.argmax(0)
        best_S = from_3S.max(0) + log_p_TS[t]

    state = 2 * U if U == 0 or best_S[-1] > best_S[-2] else 2 * U - 1
    frame_U, surest_U = np.zeros(U, np.int64), np.full(U, -np.inf)
    for t in range(T - 1, -1, -1):
        if state % 2 and log_p_TS[t, state] > surest_U[state // 2]:
            frame_U[state // 2], surest_U[state // 2] = t, log_p_TS[t, state]
        state -= int(came_TS[t, state])
    return frame_U
