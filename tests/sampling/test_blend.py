"""Drawing on from several primes: from the mean of the states that they leave."""

import pytest
import torch

from graves_lm.models.synthesis import SynthesisNetwork, Text
from graves_lm.sampling.events import whole_lines
from graves_lm.sampling.packed import PackedNetwork
from graves_lm.sampling.passage import Prime, SymbolPassage
from graves_lm.sampling.priming import start
from graves_lm.sampling.synthesis import SynthesisSampler

ONE = Prime(
    torch.cat([torch.zeros(1, 3), torch.randn(29, 3, generator=torch.Generator().manual_seed(1))]), [3, 0]
)
TWO = Prime(
    torch.cat([torch.zeros(1, 3), torch.randn(45, 3, generator=torch.Generator().manual_seed(2))]),
    [1, 2, 4, 1, 0],
)


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return SynthesisNetwork(5, layers=2, hidden_size=12, mixtures=2, points_per_character=6.0).eval()


def own_state(network, prime, text):
    """The state after all but the last point, by the network's own training path."""
    with torch.no_grad():
        rows = Text.of([[*prime.symbol_U, *text]], "cpu")
        return network(prime.point_T3[:-1].unsqueeze(1), rows, network.initial_state(1))[1]


@pytest.mark.parametrize("kernel", [True, False])
def test_the_state_is_the_weighted_mean(network, kernel):
    """The second's window is as far from the end of the first's text as it was from that of its own."""
    packed = PackedNetwork(network)
    if not kernel:
        packed.kernel = None
    mixed = ONE._replace(others=[(TWO, 0.25)])
    texts = [[4, 1, 2], [2]]
    with torch.inference_mode():
        state_LS, x_L3 = start(network, packed, Text.of([[*ONE.symbol_U, *t] for t in texts], "cpu"), mixed)
        found = packed.unpack(state_LS)
    assert torch.allclose(x_L3[1], 0.75 * ONE.point_T3[-1] + 0.25 * TWO.point_T3[-1])
    for row, text in enumerate(texts):
        a, b = own_state(network, ONE, text), own_state(network, TWO, text)
        for got, from_a, from_b in zip(found.layers, a.layers, b.layers, strict=True):
            assert torch.allclose(got.h_BH[row], 0.75 * from_a.h_BH[0] + 0.25 * from_b.h_BH[0], atol=1e-5)
            assert torch.allclose(got.c_BH[row], 0.75 * from_a.c_BH[0] + 0.25 * from_b.c_BH[0], atol=1e-5)
        kappa_K = 0.75 * (a.kappa_BK[0] - 2) + 0.25 * (b.kappa_BK[0] - 5)
        assert torch.allclose(found.kappa_BK[row] - 2, kappa_K, atol=1e-5)
        assert torch.allclose(found.w_BC[row], 0.75 * a.w_BC[0] + 0.25 * b.w_BC[0], atol=1e-5)


def test_a_prime_mixed_with_itself_is_itself(network):
    sampler = SynthesisSampler(points_per_character=4)

    def drawn(prime):
        (line,) = whole_lines(sampler.events(network, SymbolPassage([[1, 2]], 3, prime)))
        return torch.from_numpy(line.points)

    assert torch.allclose(drawn(ONE._replace(others=[(ONE, 0.5)])), drawn(ONE), atol=1e-3)
    assert not torch.equal(drawn(ONE._replace(others=[(TWO, 0.5)])), drawn(ONE))
