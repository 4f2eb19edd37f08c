"""Character (or word) prediction, equations (12)–(14): one-hot symbols in, softmax over symbols out.

Shape legend: T steps, B batch rows, K symbols.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from graves_lm.nn.cell import CellMaker, detached, flat, unflat
from graves_lm.nn.stack import SkipStack, StackState
from graves_lm.settings import declared
from graves_lm.settings.kinds import Count, Layers, Number, Positive, RecurrentInit, Size

NULL_SYMBOL = -1
"""The index that stands for the null vector, the paper's x_1."""


class CharacterState(NamedTuple):
    """What is carried from one symbol to the next: the layers' states and the last symbol seen, (B,)."""

    layers: StackState
    last_B: Tensor

    def detach(self) -> "CharacterState":
        return CharacterState(tuple(detached(s) for s in self.layers), self.last_B)

    def tensors(self) -> list[Tensor]:
        """All tensors in one flat list, for a checkpoint."""
        return [*flat(self.layers), self.last_B]

    def from_tensors(self, tensors: list[Tensor]) -> "CharacterState":
        """The inverse of `tensors`, for a state of this one's shape."""
        return CharacterState(unflat(tensors[:-1], self.layers), tensors[-1])


@declared("model.network")
class CharacterNetwork(nn.Module):
    """Pr(x_{t+1} | x_1 … x_t) as softmax(ŷ_t), (12); ŷ from the deep skip stack.

    Args:
        symbols: K, the size of the symbol set.
        layers, hidden_size, skips, peepholes, clip, recurrent_init, forget_bias, cell: see `SkipStack`.

    >>> network = CharacterNetwork(symbols=5, layers=2, hidden_size=8)
    >>> symbol_TB = torch.tensor([[0, 1], [3, 4], [2, 2]])
    >>> logits_TBK, state = network(symbol_TB, network.initial_state(batch_size=2))
    >>> logits_TBK.shape
    torch.Size([3, 2, 5])
    """

    def __init__(
        self,
        symbols: Count,
        layers: Layers,
        hidden_size: Size,
        *,
        skips: bool = True,
        peepholes: bool = True,
        clip: Positive | None = None,
        recurrent_init: RecurrentInit = "orthogonal",
        forget_bias: Number = 1.0,
        cell: CellMaker | None = None,
    ):
        super().__init__()
        self.symbols = symbols
        self.stack = SkipStack(
            symbols,
            symbols,
            layers,
            hidden_size,
            one_hot=True,
            skips=skips,
            peepholes=peepholes,
            clip=clip,
            recurrent_init=recurrent_init,
            forget_bias=forget_bias,
            cell=cell,
        )

    def symbol_axes(self) -> dict[str, int]:
        """By name, the axis of a weight that has an entry for each symbol."""
        inputs = {f"stack.from_input.{n}.weight": 0 for n in range(len(self.stack.from_input))}
        return inputs | {"stack.to_output.weight": 0, "stack.to_output.bias": 0}

    def initial_state(self, batch_size: int) -> CharacterState:
        """Zeros, and the null vector as what came before."""
        device = self.stack.to_output.weight.device
        last_B = torch.full((batch_size,), NULL_SYMBOL, dtype=torch.long, device=device)
        return CharacterState(self.stack.initial_state(batch_size), last_B)

    def forward(self, target_TB: Tensor, state: CharacterState) -> tuple[Tensor, CharacterState]:
        """Logits for each of `target_TB`, from what came before it alone.

        The inputs are the targets one step late: the state's last symbol, then target_TB[:-1].
        Returns logits_TBK (float32 or wider) and the state after the last target.
        """
        x_TB = torch.cat([state.last_B.unsqueeze(0), target_TB[:-1]])
        y_TBK, layers = self.stack(x_TB, state.layers)
        logits_TBK = y_TBK.float() if y_TBK.dtype == torch.bfloat16 else y_TBK
        return logits_TBK, CharacterState(layers, target_TB[-1])

    def step(self, state: CharacterState) -> tuple[Tensor, StackState]:
        """Logits_BK for the next symbol, and the layers' states; the caller picks the symbol."""
        return self.stack.step(state.last_B, state.layers)
