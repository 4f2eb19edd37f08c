"""Drawing on from a prime, section 5.5: the state it leaves, and the first point that is not its own.

Shape legend: L lines, S their states, T points so far, V characters of the prime and the text and one past
them.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from graves_lm.models.synthesis import SynthesisNetwork, Text
from graves_lm.sampling.events import Point
from graves_lm.sampling.packed import PackedNetwork
from graves_lm.sampling.passage import Prime


def start(
    network: SynthesisNetwork, packed: PackedNetwork, text: Text, prime: Prime | None
) -> tuple[Tensor, Tensor]:
    """The state before the first sampled point of each text, as `packed` has it, and the point it follows.

    Primed, all but the last point of the prime have been read; the caller's first step reads that one.
    """
    L = len(text.length_B)
    state = network.initial_state(L)
    if prime is None:
        return packed.pack(*state), torch.zeros(L, 3, device=text.length_B.device)
    point_TL3 = prime.point_T3.to(text.length_B.device).unsqueeze(1).expand(-1, L, -1)
    if packed.kernel is None:
        return packed.pack(*network(point_TL3[:-1], text, state)[1]), point_TL3[-1]
    # The network's own way meets at each step with torch's threads, which wait for each other: an ever longer
    # time the more other processes run.
    state_LS = packed.pack(*state)
    for x_L3 in point_TL3[:-1]:
        _, state_LS, _ = packed.step(x_L3, state_LS, text)
    return state_LS, point_TL3[-1]


def beginning(points: Sequence[Point], phi_TV: Tensor, before: int) -> int:
    """The first point of the strokes that belong to the text.

    The window is ahead of the pen. So a stroke that ends before the window has reached the text, which is
    `before` characters from the start, still belongs to the prime: a crossbar, or the rest of a letter.
    """
    if before == 0:
        return 0
    reached = (phi_TV.argmax(1) >= before).nonzero()
    end = int(reached[0]) if len(reached) else len(points)
    lifted = [t for t, (_, _, up) in enumerate(points[:end]) if up > 0.5]
    return min(lifted[-1] + 1, len(points) - 1) if lifted else 0
