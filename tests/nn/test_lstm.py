import pytest
import torch
from torch.nn.functional import linear

from graves_lm.nn.lstm import LSTMRecurrence, LSTMState, lstm, lstm_step
from tests.nn.reference import lstm_by_steps, lstm_parameters

T, B, I, H = 9, 3, 5, 4  # noqa: E741


def ours_from(p, peepholes=True):
    def stack(prefix):
        return torch.cat([p[prefix + g] for g in "ifco"])

    peephole = torch.stack([p["W_ci"], p["W_cf"], p["W_co"]]) if peepholes else None
    return stack("W_x"), stack("W_h"), stack("b_"), peephole


def setup(seed=0):
    generator = torch.Generator().manual_seed(seed)
    p = lstm_parameters(I, H, generator)

    def leaf(*shape):
        return torch.randn(*shape, dtype=torch.float64, generator=generator).requires_grad_()

    weights = torch.randn(T, B, H, dtype=torch.float64, generator=generator)
    return p, leaf(T, B, I), leaf(B, H), leaf(B, H), weights


@pytest.mark.parametrize("clip", [None, 0.05])
@pytest.mark.parametrize("peepholes", [True, False])
def test_values_and_all_gradients_equal_the_equations_step_by_step(peepholes, clip):
    p, x, h0, c0, loss_weights = setup()
    if not peepholes:
        for gate in "ifo":
            p[f"W_c{gate}"] = torch.zeros(H, dtype=torch.float64, requires_grad=True)
    leaves = [v for k, v in p.items() if peepholes or k not in ("W_ci", "W_cf", "W_co")] + [x, h0, c0]

    def loss(hs, c):  # weights h at every step, and the last cell state, so that every path counts
        return (loss_weights * hs).sum() + (c**2).sum()

    hs, (_, c) = lstm_by_steps(x, h0, c0, p, clip)
    hs = torch.stack(hs)
    expected = torch.autograd.grad(loss(hs, c), leaves)

    w_x, w_h, b, peephole = ours_from(p, peepholes)
    h, state = lstm(linear(x, w_x, b), LSTMState(h0, c0), w_h, peephole, clip)
    got = torch.autograd.grad(loss(h, state.c_BH), leaves)

    torch.testing.assert_close(h, hs, rtol=0, atol=1e-12)
    torch.testing.assert_close(state.c_BH, c, rtol=0, atol=1e-12)
    for ours, theirs in zip(got, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-10)


def test_the_clip_is_active_in_that_comparison():
    p, x, h0, c0, weights = setup()
    w_x, w_h, b, peephole = ours_from(p)
    gradients = []
    for clip in (None, 0.05):
        h, _ = lstm(linear(x, w_x, b), LSTMState(h0, c0), w_h, peephole, clip)
        gradients.append(torch.autograd.grad((weights * h).sum(), x, retain_graph=True)[0])
    assert (gradients[0] - gradients[1]).abs().max() > 0.1


def test_gradcheck():
    p, _, h0, c0, _ = setup(1)
    _, w_h, _, peephole = ours_from(p)
    z = torch.randn(4, B, 4 * H, dtype=torch.float64, requires_grad=True)
    leaves = (z, h0, c0, w_h.detach().requires_grad_(), peephole.detach().requires_grad_())

    def run(z, h0, c0, w, peephole):
        h, state = lstm(z, LSTMState(h0, c0), w, peephole)
        return h, *state

    assert torch.autograd.gradcheck(run, leaves)


def test_chunks_with_carried_state_equal_one_pass():
    torch.manual_seed(2)
    layer = LSTMRecurrence(H).double()
    torch.nn.init.normal_(layer.peephole)
    z = torch.randn(T, B, 4 * H, dtype=torch.float64)
    whole, last = layer(z, layer.initial_state(B))
    state, parts = layer.initial_state(B), []
    for chunk in z.split([1, 5, 3]):
        part, state = layer(chunk, state)
        parts.append(part)
    torch.testing.assert_close(torch.cat(parts), whole, rtol=0, atol=1e-13)
    torch.testing.assert_close(state.c_BH, last.c_BH, rtol=0, atol=1e-13)


def test_a_sequence_equals_repeated_steps():
    torch.manual_seed(3)
    layer = LSTMRecurrence(H).double()
    torch.nn.init.normal_(layer.peephole)
    z = torch.randn(T, B, 4 * H, dtype=torch.float64)
    state = layer.initial_state(B)
    whole, _ = layer(z, state)
    for t in range(T):
        state = layer.step(z[t], state)
        torch.testing.assert_close(state.h_BH, whole[t], rtol=0, atol=1e-13)


def test_the_operator_keeps_to_the_library_rules_and_compiles():
    torch.manual_seed(4)
    z = torch.randn(3, 2, 16, requires_grad=True)
    w, peephole = torch.randn(16, 4, requires_grad=True), torch.randn(3, 4, requires_grad=True)
    zeros = torch.zeros(2, 4)
    torch.library.opcheck(
        torch.ops.graves_lm.lstm.default,
        (z, w, peephole, zeros, zeros, 1.0),
        test_utils=("test_schema", "test_faketensor", "test_autograd_registration"),
    )

    def run(z, w):
        return lstm(z, LSTMState(zeros, zeros), w, peephole, 1.0)[0].square().sum()

    compiled = torch.compile(run, backend="aot_eager", fullgraph=True)
    expected, got = run(z, w), compiled(z, w)
    torch.testing.assert_close(got, expected)
    for a, b in zip(torch.autograd.grad(got, (z, w)), torch.autograd.grad(expected, (z, w)), strict=True):
        torch.testing.assert_close(a, b)


def test_state_dict_round_trip():
    a, b = LSTMRecurrence(H), LSTMRecurrence(H)
    b.load_state_dict(a.state_dict())
    assert set(a.state_dict()) == {"weight", "peephole"}
    torch.testing.assert_close(a.weight, b.weight)


def test_autocast_keeps_the_state_in_float32_and_stays_near_the_float32_gradients():
    torch.manual_seed(5)
    layer = LSTMRecurrence(64, clip=1.0)
    z = torch.randn(20, 8, 256, requires_grad=True)

    def gradients():
        h, state = layer(z, layer.initial_state(8))
        assert h.dtype == state.c_BH.dtype == torch.float32
        return h, *torch.autograd.grad(h.square().mean(), (z, layer.weight, layer.peephole))

    exact = gradients()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rounded = gradients()
    for a, b in zip(exact, rounded, strict=True):
        assert b.dtype == torch.float32
        assert (a - b).norm() / a.norm() < 0.02


def test_lstm_step_differentiates():
    p, x, h0, c0, _ = setup(6)
    w_x, w_h, b, peephole = ours_from(p)
    state = lstm_step(linear(x[0], w_x, b), LSTMState(h0, c0), w_h, peephole)
    hs, (_, c) = lstm_by_steps(x[:1], h0, c0, p)
    torch.testing.assert_close(state.h_BH, hs[0])
    torch.testing.assert_close(state.c_BH, c)
