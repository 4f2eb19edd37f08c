import pytest
import torch
from torch.nn.utils.rnn import pad_sequence

from graves_lm.models.synthesis import SynthesisNetwork, SynthesisState, Text, past_the_end
from graves_lm.nn.lstm import LSTMState
from graves_lm.runtime.errors import UserError
from tests.nn.reference import lstm_by_steps
from tests.nn.test_window_lstm import by_the_paper

T, B, H, K, C, M = 8, 3, 5, 3, 6, 2
TEXT = Text.of([[0, 3, 3, 1], [5, 2], [4, 4, 1]])
PARAMETERS = ("pi_logits", "mu", "log_sigma", "rho_hat", "e_logit")


def network_in_float64(layers=3, **settings):
    torch.manual_seed(layers)
    network = SynthesisNetwork(C, layers, H, M, K, recurrent_init="uniform", **settings).double()
    for w in network.parameters():
        torch.nn.init.normal_(w, std=0.5)
    return network


def random_state(layers, batch=B):
    def draw(*shape):
        return torch.randn(*shape, dtype=torch.float64)

    pairs = tuple(LSTMState(draw(batch, H), draw(batch, H)) for _ in range(layers))
    return SynthesisState(pairs, draw(batch, K), draw(batch, C))


def rows(state, b):
    """Row b of a state, as a batch of one."""
    layers = tuple(LSTMState(h_BH[[b]], c_BH[[b]]) for h_BH, c_BH in state.layers)
    return SynthesisState(layers, state.kappa_BK[[b]], state.w_BC[[b]])


def paper_names(network, n):
    """Layer n's weights (from 0) under the names of (7)–(10), W_x over [x_t, h^{n−1}_t] side by side."""
    stack, layer = network.stack, network.stack.recurrences[n]
    weights = {"x": stack.from_input[n].weight, "h": layer.weight, "w": network.from_window[n]}
    if n:
        weights["x"] = torch.cat([weights["x"], stack.from_below[n - 1].weight], dim=1)
    p = {
        f"W_{name}{g}": part
        for name, w in weights.items()
        for g, part in zip("ifco", w.chunk(4), strict=True)
    }
    p |= {f"b_{gate}": part for gate, part in zip("ifco", stack.bias[n].chunk(4), strict=True)}
    diagonals = torch.zeros(3, H, dtype=layer.weight.dtype) if layer.peephole is None else layer.peephole
    return p | {f"W_c{gate}": diagonals[k] for k, gate in enumerate("ifo")}


def all_by_the_paper(network, x, text, state, clip=None, output_clip=None):
    """(46)–(53) and (3): ŷ of all steps."""
    p, K = paper_names(network, 0), network.window.components
    for k, name in enumerate("abk"):
        part = slice(k * K, (k + 1) * K)
        p |= {"W_p" + name: network.window.weight[part], "b_p" + name: network.window.bias[part]}
    below, w, _, _ = by_the_paper(x, *state.layers[0], state.kappa_BK, state.w_BC, text.symbol_BU, p, clip)
    hs = [below]
    for n in range(1, len(state.layers)):
        p = paper_names(network, n)
        p |= {f"W_x{gate}": torch.cat([p["W_x" + gate], p["W_w" + gate]], dim=1) for gate in "ifco"}
        below, _ = lstm_by_steps(torch.cat([x, hs[-1], w], dim=-1), *state.layers[n], p, clip)
        hs.append(torch.stack(below))
    to_output = network.stack.to_output
    y = to_output.bias + sum(h @ W.T for h, W in zip(hs, to_output.weight.split(H, dim=1), strict=True))
    if output_clip is not None:
        y.register_hook(lambda grad: grad.clamp(-output_clip, output_clip))
    return y


@pytest.mark.parametrize("peepholes", [True, False])
@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize(("clip", "output_clip"), [(None, None), (0.3, 0.5)])
def test_distribution_and_all_gradients_equal_the_equations(layers, peepholes, clip, output_clip):
    network = network_in_float64(layers, peepholes=peepholes, clip=clip, output_clip=output_clip)
    x, state = torch.randn(T, B, 3, dtype=torch.float64, requires_grad=True), random_state(layers)
    target = torch.cat([torch.randn(T, B, 2), torch.randint(0, 2, (T, B, 1))], -1).double()
    given = [x, state.kappa_BK, state.w_BC, *(v for layer in state.layers for v in layer)]
    leaves = [*network.parameters(), *(v.requires_grad_() for v in given)]

    d, _, _ = network(x, TEXT, state)
    got = torch.autograd.grad(-d.log_prob(target).sum(), leaves)
    y = all_by_the_paper(network, x, TEXT, state, clip, output_clip)
    reference = network.head(y)
    expected = torch.autograd.grad(-reference.log_prob(target).sum(), leaves)

    for name in PARAMETERS:
        torch.testing.assert_close(getattr(d, name), getattr(reference, name), rtol=0, atol=1e-12)
    for a, b in zip(got, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-8, atol=1e-9)


def test_weight_count_is_the_papers():
    with torch.device("meta"):
        network = SynthesisNetwork(57, recurrent_init="uniform")
    assert round(sum(w.numel() for w in network.parameters()) / 1e6, 2) == 3.65


def test_a_sequence_equals_repeated_steps():
    network, state = network_in_float64(), random_state(3)
    x = torch.randn(T, B, 3, dtype=torch.float64)
    d, last, attention = network(x, TEXT, state)
    phi_TBU = attention.weights(TEXT)
    assert not phi_TBU.requires_grad
    assert phi_TBU[:, 1, 2:].eq(0).all()  # the second text has two characters
    for t in range(T):
        one, state, phi_BV = network.step(x[t], TEXT, state)
        for name in PARAMETERS:
            torch.testing.assert_close(getattr(one, name), getattr(d, name)[t], rtol=0, atol=1e-12)
        inside = phi_BV[:, :-1] * (TEXT.symbol_BU >= 0)
        torch.testing.assert_close(inside, phi_TBU[t], rtol=0, atol=1e-12)
    for a, b in zip(state.layers, last.layers, strict=True):
        torch.testing.assert_close(tuple(a), tuple(b), rtol=0, atol=1e-12)
    torch.testing.assert_close(state[1:], last[1:], rtol=0, atol=1e-12)


def test_rows_do_not_see_each_other_nor_any_padding():
    network, state = network_in_float64(), random_state(3)
    x = torch.randn(T, B, 3, dtype=torch.float64)
    d, _, _ = network(x, TEXT, state)
    for b, steps in enumerate((8, 5, 6)):  # one row alone, its text unpadded, its line cut short
        alone = Text.of([TEXT.symbol_BU[b, : TEXT.length_B[b]].tolist()])
        x_alone = x[:steps, b : b + 1].clone()
        one, _, _ = network(x_alone, alone, rows(state, b))
        for name in PARAMETERS:
            whole = getattr(d, name)[:steps, b : b + 1]
            torch.testing.assert_close(getattr(one, name), whole, rtol=0, atol=1e-12)


def test_padding_has_no_part_in_the_gradients():
    network, state = network_in_float64(), random_state(3)
    x = torch.randn(T, B, 3, dtype=torch.float64)
    length = torch.tensor([8, 5, 6])
    inside = torch.arange(T)[:, None] < length

    def gradients(x, inside, text, state):
        d, _, _ = network(x, text, state)
        nats = -d.log_prob(torch.ones_like(x))
        return torch.autograd.grad((nats * inside).sum(), list(network.parameters()))

    together = gradients(x, inside, TEXT, state)
    apart = [torch.zeros_like(w) for w in network.parameters()]
    for b in range(B):
        text = Text.of([TEXT.symbol_BU[b, : TEXT.length_B[b]].tolist()])
        part = gradients(x[: length[b], b : b + 1], torch.tensor(1.0), text, rows(state, b))
        torch._foreach_add_(apart, list(part))
    for a, b in zip(together, apart, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-10)


def test_the_text_is_read_in_order():
    """Equal up to where texts differ and the window has not reached, different after."""
    network = network_in_float64()
    with torch.no_grad():
        network.window.weight.zero_()
        network.window.bias.copy_(torch.tensor([0.0] * K + [3.0] * K + [-1.0] * K))  # narrow; 0.37 a step
    x, state = torch.randn(T, 1, 3, dtype=torch.float64), network.initial_state(1)
    first, _, attention = network(x, Text.of([[0, 1, 2, 3]]), state)
    other, _, _ = network(x, Text.of([[0, 5, 2, 3]]), state)
    assert attention.kappa_TBK[-1].max() < 3
    torch.testing.assert_close(first.mu[0], other.mu[0], rtol=0, atol=1e-12)
    assert (first.mu[-1] - other.mu[-1]).abs().max() > 1e-3


def test_past_the_end_looks_at_each_texts_own_end():
    text = Text.of([[0, 1, 2], [0], [1, 2]])
    phi_BV = torch.tensor([[0.1, 0.2, 0.3, 0.4], [0.1, 0.2, 9.0, 9.0], [0.1, 0.5, 0.3, 9.0]])
    assert past_the_end(phi_BV, text).tolist() == [True, True, False]
    assert past_the_end(torch.zeros(3, 4), text).tolist() == [False, False, False]


def test_texts_leave_a_batch():
    assert TEXT.rows(torch.tensor([2])).symbol_BU.tolist() == [[4, 4, 1, -1]]


def test_an_empty_text_is_refused():
    with pytest.raises(UserError, match="text 2 of 2 is empty"):
        Text.of([[1], []])


def test_autocast_gives_float32_parameters_near_the_exact_ones():
    torch.manual_seed(0)
    network = SynthesisNetwork(C, 2, 32)
    x, state = torch.randn(20, B, 3), network.initial_state(B)
    exact, _, _ = network(x, TEXT, state)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rounded, last, attention = network(x, TEXT, state)
        one, after, phi_BV = network.step(x[0], TEXT, state)
    for name in PARAMETERS:
        a, b = getattr(exact, name), getattr(rounded, name)
        assert b.dtype == torch.float32
        assert (a - b).abs().max() < 0.03
        assert (a[0] - getattr(one, name)).abs().max() < 0.03
    for v in (last.kappa_BK, last.w_BC, attention.kappa_TBK, after.kappa_BK, phi_BV, *after.layers[0]):
        assert v.dtype == torch.float32


def test_the_network_compiles_as_one_graph():
    torch.manual_seed(0)
    network = SynthesisNetwork(C, 2, 8, M, K)
    x, state = torch.randn(4, B, 3), network.initial_state(B)

    def nats(x):
        d, _, _ = network(x, TEXT, state)
        return d.log_sigma.square().sum() + d.mu.square().sum()

    expected, got = nats(x), torch.compile(nats, backend="aot_eager", fullgraph=True)(x)
    torch.testing.assert_close(got, expected)
    weights = list(network.parameters())
    ours = torch.autograd.grad(got, weights, allow_unused=True)
    for a, b in zip(ours, torch.autograd.grad(expected, weights, allow_unused=True), strict=True):
        torch.testing.assert_close(a, b)


def generated_lines(glyphs, batch, characters, generator):
    """Lines of fixed glyphs with a little noise: x_TB3 from row 0 on, the true place in the text of each
    predicted point (0: padding), and the texts."""
    symbols = torch.randint(len(glyphs), (batch, characters), generator=generator).tolist()
    lines, places = [], []
    for text in symbols:
        line = torch.cat([torch.zeros(1, 3), *(glyphs[s] for s in text)])
        line[1:, :2] += 0.1 * torch.randn(len(line) - 1, 2, generator=generator)
        lines.append(line)
        places.append(torch.cat([torch.full((len(glyphs[s]),), u) for u, s in enumerate(text, start=1)]))
    return pad_sequence(lines), pad_sequence(places), Text.of(symbols)


def test_it_learns_to_write_the_text_and_the_window_follows_the_pen():
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(0)
    glyphs = [torch.randn(points, 3, generator=generator) for points in (2, 2, 6, 6)]
    for glyph in glyphs:
        glyph[:, 2] = 0
        glyph[-1, 2] = 1
    network = SynthesisNetwork(4, 1, 32, 3, 3, points_per_character=4)
    optimizer = torch.optim.Adam(network.parameters(), lr=0.01)

    def run():
        x, place_TB, text = generated_lines(glyphs, 12, 7, generator)
        d, _, attention = network(x[:-1], text, network.initial_state(12))
        written = place_TB > 0
        return x, place_TB, text, written, attention, -d.log_prob(x[1:])[written].mean()

    for _ in range(120):
        *_, nats = run()
        optimizer.zero_grad()
        nats.backward()
        optimizer.step()

    with torch.no_grad():
        x, place_TB, text, written, attention, nats = run()
        swapped = text.rows(torch.arange(12).roll(1))
        other, _, _ = network(x[:-1], swapped, network.initial_state(12))
    assert nats < 0  # with all glyphs known, −1.8 for the noise; of one broad normal, about 3
    assert -other.log_prob(x[1:])[written].mean() > nats + 2  # another line's text does not fit
    clock_TB = torch.arange(1.0, len(x)).unsqueeze(1).expand_as(written)
    kappa_TB = attention.kappa_TBK.mean(2)
    follows = torch.corrcoef(torch.stack([place_TB[written], kappa_TB[written], clock_TB[written]]))
    assert follows[0, 1] > 0.95  # κ knows where in the text the pen is …
    assert follows[0, 1] > follows[0, 2] + 0.01  # … better than a steady speed would
