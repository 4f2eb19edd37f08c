"""Drawing on from a prime, section 5.5: the state it leaves, and the first point that is not its own.

Shape legend: L lines, T points so far, V characters of the prime and the text and one past them.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from graves_lm.models.synthesis import SynthesisNetwork, SynthesisState, Text
from graves_lm.sampling.events import Point
from graves_lm.sampling.passage import Prime


def start(network: SynthesisNetwork, text: Text, prime: Prime | None) -> tuple[SynthesisState, Tensor]:
    """The state before the first sampled point of each text, and the point it follows.

    Primed, all but the last point of the prime have been read; the caller's first step reads that one.
    """
    L = len(text.length_B)
    state = network.initial_state(L)
    if prime is None:
        return state, torch.zeros(L, 3, device=text.length_B.device)
    point_TL3 = prime.point_T3.to(text.length_B.device).unsqueeze(1).expand(-1, L, -1)
    _, state, _ = network(point_TL3[:-1], text, state)
    return state, point_TL3[-1]


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
