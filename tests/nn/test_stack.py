import pytest
import torch

from graves_lm.models.character import CharacterNetwork
from graves_lm.nn.clip import clip_derivative
from graves_lm.nn.stack import SkipStack
from tests.nn.reference import lstm_by_steps


def paper_names(stack, n, one_hot):
    """Layer n's weights under the names of (7)–(10): one W_x over [x_t, h^{n−1}_t] side by side."""
    inputs = []
    if n < len(stack.from_input):
        weight = stack.from_input[n].weight
        inputs.append(weight.T if one_hot else weight)
    if n:
        inputs.append(stack.from_below[n - 1].weight)
    layer, p = stack.recurrences[n], {}
    w_x, blocks = torch.cat(inputs, dim=1).chunk(4), layer.weight.chunk(4)
    for k, gate in enumerate("ifco"):
        p[f"W_x{gate}"], p[f"W_h{gate}"], p[f"b_{gate}"] = w_x[k], blocks[k], stack.bias[n].chunk(4)[k]
    zeros = torch.zeros(3, layer.hidden_size, dtype=layer.weight.dtype)
    peephole = layer.peephole if layer.peephole is not None else zeros
    return p | {f"W_c{gate}": peephole[k] for k, gate in enumerate("ifo")}


def by_the_paper(stack, x_TBI, one_hot, skips):
    """(1)–(3) layer by layer from `lstm_by_steps`."""
    B = x_TBI.shape[1]
    hs, below = [], None
    for n, layer in enumerate(stack.recurrences):
        sees_x = skips or n == 0
        inputs = torch.cat([part for part in (x_TBI if sees_x else None, below) if part is not None], dim=-1)
        zeros = torch.zeros(B, layer.hidden_size, dtype=x_TBI.dtype)
        out, _ = lstm_by_steps(inputs, zeros, zeros, paper_names(stack, n, one_hot))
        below = torch.stack(out)
        hs.append(below)
    W_hy = stack.to_output.weight.split(hs[0].shape[-1], dim=1)
    reaching = hs if skips else hs[-1:]
    return stack.to_output.bias + sum(h @ W.T for h, W in zip(reaching, W_hy, strict=True))


@pytest.mark.parametrize("one_hot", [True, False])
@pytest.mark.parametrize("skips", [True, False])
@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("peepholes", [True, False])
def test_stack_equals_the_equations_and_its_single_steps(layers, skips, one_hot, peepholes):
    torch.manual_seed(layers)
    stack = SkipStack(
        5, 6, layers, 4, one_hot=one_hot, skips=skips, peepholes=peepholes, recurrent_init="uniform"
    ).double()
    for w in stack.parameters():
        torch.nn.init.normal_(w, std=0.5)
    index_TB = torch.randint(-1, 5, (7, 2))
    hot = torch.nn.functional.one_hot(index_TB.clamp_min(0), 5) * (index_TB >= 0).unsqueeze(-1)
    x = index_TB if one_hot else hot.double()
    y, last = stack(x, stack.initial_state(2))
    expected = by_the_paper(stack, hot.double(), one_hot, skips)
    torch.testing.assert_close(y, expected, rtol=0, atol=1e-12)
    ours = torch.autograd.grad(y.square().sum(), list(stack.parameters()))
    theirs = torch.autograd.grad(expected.square().sum(), list(stack.parameters()))
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-10)

    state = stack.initial_state(2)
    for t in range(7):
        y_t, state = stack.step(x[t], state)
        torch.testing.assert_close(y_t, y[t], rtol=0, atol=1e-12)
    for a, b in zip(state, last, strict=True):
        torch.testing.assert_close(a.c_BH, b.c_BH, rtol=0, atol=1e-12)


def test_output_derivative_is_clipped_on_the_way_back_only():
    y = torch.tensor([3.0, -5.0], requires_grad=True)
    clipped = clip_derivative(y, 1.0)
    torch.testing.assert_close(clipped, y)
    (clipped * torch.tensor([0.5, 7.0])).sum().backward()
    assert y.grad is not None
    torch.testing.assert_close(y.grad, torch.tensor([0.5, 1.0]))


@pytest.mark.parametrize(
    ("layers", "hidden", "symbols", "millions"), [(1, 1000, 50, 4.3), (5, 700, 205, 21.3)]
)
def test_weight_counts_are_the_papers(layers, hidden, symbols, millions):
    with torch.device("meta"):
        network = CharacterNetwork(symbols, layers, hidden, recurrent_init="uniform")
    assert round(sum(w.numel() for w in network.parameters()) / 1e6, 1) == millions


def test_the_network_sees_only_what_came_before():
    torch.manual_seed(0)
    network = CharacterNetwork(6, 2, 8)
    target_TB = torch.randint(0, 6, (9, 1))
    logits, _ = network(target_TB, network.initial_state(1))
    changed = target_TB.clone()
    changed[5] = (changed[5] + 1) % 6
    other, _ = network(changed, network.initial_state(1))
    torch.testing.assert_close(other[:6], logits[:6], rtol=0, atol=0)
    assert (other[6] - logits[6]).abs().max() > 1e-4


def test_step_by_step_logits_equal_the_sequence_and_start_from_the_null_vector():
    torch.manual_seed(1)
    network = CharacterNetwork(6, 2, 8).double()
    target_TB = torch.randint(0, 6, (9, 2))
    logits, _ = network(target_TB, network.initial_state(2))
    state = network.initial_state(2)
    assert (state.last_B == -1).all()
    for t in range(9):
        logits_BK, layers = network.step(state)
        torch.testing.assert_close(logits_BK, logits[t], rtol=0, atol=1e-12)
        state = type(state)(layers, target_TB[t])
