"""Drawing on from a prime, section 5.5: the state it leaves.

Shape legend: L lines, S their states, T points of the prime.
"""

import torch
from torch import Tensor

from graves_lm.models.synthesis import SynthesisNetwork, Text
from graves_lm.sampling.packed import PackedNetwork
from graves_lm.sampling.passage import Prime


def start(
    network: SynthesisNetwork, packed: PackedNetwork, text: Text, prime: Prime | None
) -> tuple[Tensor, Tensor]:
    """The state before the first sampled point of each text, as `packed` has it, and the point it follows.

    Primed, all but the last point of the prime have been read; the caller's first step reads that one. Of
    several primes it is the mean of their states and of their last points, weighted by their shares. The text
    is that of the first: the windows of the others are as far from the end of it as they were from that of
    their own (docs/adr/0031-hands-as-files.md).
    """
    if prime is None or not prime.others:
        return _start(network, packed, text, prime)
    device, before = text.length_B.device, len(prime.symbol_U)
    rows = zip(text.symbol_BU.tolist(), text.length_B.tolist(), strict=True)
    own = [row[before:length] for row, length in rows]
    rest = 1.0 - sum(share for _, share in prime.others)
    first_LS, point_L3 = _start(network, packed, text, prime)
    state_LS, point_L3 = rest * first_LS, rest * point_L3
    for other, share in prime.others:
        its_text = Text.of([[*other.symbol_U, *one] for one in own], device)
        its_LS, its_L3 = _start(network, packed, its_text, other)
        layers, kappa_LK, w_LC = packed.unpack(its_LS)
        assert kappa_LK is not None
        moved = packed.pack(layers, kappa_LK + (before - len(other.symbol_U)), w_LC)
        state_LS, point_L3 = state_LS + share * moved, point_L3 + share * its_L3
    return state_LS, point_L3


def _start(
    network: SynthesisNetwork, packed: PackedNetwork, text: Text, prime: Prime | None
) -> tuple[Tensor, Tensor]:
    """The same for one prime, or none."""
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
