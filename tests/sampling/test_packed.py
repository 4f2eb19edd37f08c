import pytest
import torch

from graves_lm.models.synthesis import SynthesisNetwork, SynthesisState, Text
from graves_lm.nn.lstm import LSTMState
from graves_lm.sampling.packed import PackedSynthesis

H, K, C, M = 16, 3, 6, 4
TEXT = Text.of([[0, 3, 3, 1], [5, 2], [4, 4, 1]])


@pytest.mark.parametrize("peepholes", [True, False])
@pytest.mark.parametrize("layers", [1, 2, 3])
@pytest.mark.parametrize("batch", [1, 3])
def test_its_steps_are_the_networks(layers, peepholes, batch):
    torch.manual_seed(layers)
    network = SynthesisNetwork(C, layers, H, M, K, peepholes=peepholes)
    for w in network.parameters():
        torch.nn.init.normal_(w, std=0.4)
    text = TEXT.rows(torch.arange(batch))
    pairs = tuple(LSTMState(torch.randn(batch, H), torch.randn(batch, H)) for _ in range(layers))
    mine = theirs = SynthesisState(pairs, torch.randn(batch, K), torch.randn(batch, C))
    packed = PackedSynthesis(network)
    for _ in range(6):
        x = torch.randn(batch, 3)
        d, mine, phi = packed.step(x, text, mine)
        expected, theirs, expected_phi = network.step(x, text, theirs)
        for name in ("pi_logits", "mu", "log_sigma", "rho_hat", "e_logit"):
            torch.testing.assert_close(getattr(d, name), getattr(expected, name), rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(phi, expected_phi, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(mine.kappa_BK, theirs.kappa_BK, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(mine.w_BC, theirs.w_BC, rtol=1e-5, atol=1e-5)
        for a, b in zip(mine.layers, theirs.layers, strict=True):
            torch.testing.assert_close(tuple(a), tuple(b), rtol=1e-5, atol=1e-5)


def test_it_leaves_the_network_and_the_given_state_as_they_were():
    torch.manual_seed(0)
    network = SynthesisNetwork(C, 2, H, M, K)
    before = {name: w.clone() for name, w in network.state_dict().items()}
    state = network.initial_state(3)
    packed = PackedSynthesis(network)
    packed.step(torch.ones(3, 3), TEXT, state)
    for name, w in network.state_dict().items():
        assert w.equal(before[name]), name
    assert all(v.eq(0).all() for layer in state.layers for v in layer)
    assert state.kappa_BK.eq(0).all()
    first, _, _ = packed.step(torch.ones(3, 3), TEXT, state)
    with torch.no_grad():
        for w in network.parameters():
            w.zero_()
    again, _, _ = packed.step(torch.ones(3, 3), TEXT, state)
    assert first.mu.equal(again.mu)  # its weights are its own
