from types import SimpleNamespace

import pytest
import torch
from torch.nn.functional import linear

from graves_lm.nn.lstm import LSTMState
from graves_lm.nn.window import SoftWindow, WindowState
from graves_lm.nn.window_lstm import window_lstm, window_lstm_step

T, B, I, H, K, C = 9, 3, 3, 4, 2, 5  # noqa: E741
SYMBOL_BU = torch.tensor([[0, 3, 3, 1], [4, 2, -1, -1], [1, 1, 1, -1]])
FLOAT64 = torch.float64


def bounded(exponent):
    """At most 20; the gradient is passed on as if there were no bound."""
    return exponent - (exponent.detach() - 20).clamp_min(0)


def by_the_paper(x, h, c, kappa, w, symbol_BU, p, clip=None):
    """(46)–(52) with (7)–(11) as printed, one named weight per term; `clip` by a hook on every step's
    pre-activations. Returns h, w and κ of all steps and the last c."""
    hook = (lambda grad: grad.clamp(-clip, clip)) if clip is not None else None
    text = torch.stack(
        [torch.stack([(s == j).to(x.dtype) for j in range(w.shape[1])], -1) for s in symbol_BU]
    )
    u = torch.arange(1, symbol_BU.shape[1] + 1)
    hs, ws, kappas = [], [], []

    def preactivation(x_t, gate):
        # (52): the window's w of the step before is an input like any other
        a = x_t @ p["W_x" + gate].T + h @ p["W_h" + gate].T + w @ p["W_w" + gate].T + p["b_" + gate]
        return a + p["W_c" + gate] * c if "W_c" + gate in p else a

    for x_t in x:
        a_i, a_f, a_c = (preactivation(x_t, gate) for gate in "ifc")
        c_before, c = c, torch.zeros_like(c)  # W_co c of (10) is added below, with the new c
        a_o = preactivation(x_t, "o")
        for a in (a_i, a_f, a_c):
            if hook:
                a.register_hook(hook)
        c = torch.sigmoid(a_f) * c_before + torch.sigmoid(a_i) * torch.tanh(a_c)
        if "W_co" in p:
            a_o = a_o + p["W_co"] * c
        if hook:
            a_o.register_hook(hook)
        h = torch.sigmoid(a_o) * torch.tanh(c)
        alpha, beta, kappa_hat = (bounded(h @ p["W_p" + n].T + p["b_p" + n]) for n in "abk")  # (48)
        kappa = kappa + kappa_hat.exp()  # (51)
        bumps = torch.exp(-beta.exp()[:, :, None] * (kappa[:, :, None] - u) ** 2)
        phi = (alpha.exp()[:, :, None] * bumps).sum(1)  # (46)
        w = torch.einsum("bu,buc->bc", phi, text)  # (47)
        hs.append(h)
        ws.append(w)
        kappas.append(kappa)
    return torch.stack(hs), torch.stack(ws), torch.stack(kappas), c


def parameters(generator, peepholes=True, dtype=FLOAT64):
    def draw(*shape, scale=0.6):
        return (scale * torch.randn(*shape, dtype=dtype, generator=generator)).requires_grad_()

    p = {}
    for gate in "ifco":
        p |= {
            f"W_x{gate}": draw(H, I),
            f"W_h{gate}": draw(H, H),
            f"W_w{gate}": draw(H, C),
            f"b_{gate}": draw(H),
        }
    if peepholes:
        p |= {f"W_c{gate}": draw(H) for gate in "ifo"}
    for name in "abk":
        p |= {f"W_p{name}": draw(K, H), f"b_p{name}": draw(K)}
    return p


def run_ours(x, h0, c0, kappa0, w0, symbol_BU, p, clip=None):
    def stack(prefix, order="ifco"):
        return torch.cat([p[prefix + g] for g in order])

    peephole = torch.stack([p["W_ci"], p["W_cf"], p["W_co"]]) if "W_ci" in p else None
    window = SimpleNamespace(weight=stack("W_p", "abk"), bias=stack("b_p", "abk"))
    z = linear(x, stack("W_x"), stack("b_"))
    out = window_lstm(
        z,
        symbol_BU,
        LSTMState(h0, c0),
        WindowState(kappa0, w0),
        stack("W_h"),
        stack("W_w"),
        peephole,
        window,
        clip,
    )
    torch.testing.assert_close(out.state.h_BH, out.h_TBH[-1])
    torch.testing.assert_close(out.seen.w_BC, out.w_TBC[-1])
    torch.testing.assert_close(out.seen.kappa_BK, out.components.kappa[-1])
    return out


def inputs(generator, steps=T, dtype=FLOAT64):
    def leaf(*shape):
        return torch.randn(*shape, dtype=dtype, generator=generator).requires_grad_()

    return leaf(steps, B, I), leaf(B, H), leaf(B, H), leaf(B, K), leaf(B, C)


@pytest.mark.parametrize("clip", [None, 0.05])
@pytest.mark.parametrize("peepholes", [True, False])
@pytest.mark.parametrize("steps", [1, T])
def test_values_and_all_gradients_equal_the_equations_step_by_step(steps, peepholes, clip):
    generator = torch.Generator().manual_seed(0)
    p, given = parameters(generator, peepholes), inputs(generator, steps)
    leaves = [*p.values(), *given]
    v_h, v_w = (torch.randn(steps, B, n, dtype=FLOAT64, generator=generator) for n in (H, C))

    def loss(h, w, kappa, c):  # every path counts: h and w at every step, the last κ and c
        return (v_h * h).sum() + (v_w * w).sum() + kappa.square().sum() + c.square().sum()

    h, w, kappas, c = by_the_paper(*given, SYMBOL_BU, p, clip)
    expected = torch.autograd.grad(loss(h, w, kappas[-1], c), leaves)
    ours = run_ours(*given, SYMBOL_BU, p, clip)
    got = torch.autograd.grad(loss(ours.h_TBH, ours.w_TBC, ours.seen.kappa_BK, ours.state.c_BH), leaves)

    for a, b in ((ours.h_TBH, h), (ours.w_TBC, w), (ours.components.kappa, kappas), (ours.state.c_BH, c)):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-12)
    names = [*p, "x", "h0", "c0", "kappa0", "w0"]
    for name, a, b in zip(names, got, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-10, msg=lambda m, name=name: f"{name}: {m}")


def test_the_clip_and_every_path_are_active_in_that_comparison():
    generator = torch.Generator().manual_seed(0)
    p, given = parameters(generator), inputs(generator)
    x, _, _, kappa0, w0 = given

    def gradients(clip):
        ours = run_ours(*given, SYMBOL_BU, p, clip)
        return torch.autograd.grad(ours.h_TBH.square().sum(), [x, kappa0, w0, p["W_pk"]])

    for free, clipped in zip(gradients(None), gradients(0.05), strict=True):
        assert free.abs().max() > 1e-3  # the window is reached through h alone, by way of W_w w_{t−1}
        assert (free - clipped).abs().max() > 1e-3


def test_gradcheck():
    generator = torch.Generator().manual_seed(1)
    p, (x, *state) = parameters(generator), inputs(generator, 4)
    names = list(p)

    def run(x, h0, c0, kappa0, w0, *values):
        out = run_ours(x, h0, c0, kappa0, w0, SYMBOL_BU, dict(zip(names, values, strict=True)))
        return out.h_TBH, out.w_TBC, out.seen.kappa_BK, out.state.c_BH

    assert torch.autograd.gradcheck(run, (x, *state, *p.values()))


def test_a_sequence_equals_repeated_steps_and_chunks():
    generator = torch.Generator().manual_seed(2)
    p, given = parameters(generator), inputs(generator)
    x, h, c, kappa, w = given
    whole = run_ours(*given, SYMBOL_BU, p)
    parts, state = [], (h, c, kappa, w)
    for chunk in x.split([1, 5, 3]):
        part = run_ours(chunk, *state, SYMBOL_BU, p)
        parts.append(part.w_TBC)
        state = (*part.state, *part.seen)
    torch.testing.assert_close(torch.cat(parts), whole.w_TBC, rtol=0, atol=1e-12)

    w_x, w_h, w_w, b = (torch.cat([p[name + g] for g in "ifco"]) for name in ("W_x", "W_h", "W_w", "b_"))
    peephole = torch.stack([p["W_ci"], p["W_cf"], p["W_co"]])
    window = real_window(p)
    state, seen = LSTMState(h, c), WindowState(kappa, w)
    for t in range(T):
        state, seen, phi = window_lstm_step(
            linear(x[t], w_x, b), SYMBOL_BU, state, seen, w_h, w_w, peephole, window
        )
        assert phi.shape == (B, SYMBOL_BU.shape[1] + 1)
        torch.testing.assert_close(state.h_BH, whole.h_TBH[t], rtol=0, atol=1e-12)
        torch.testing.assert_close(seen.w_BC, whole.w_TBC[t], rtol=0, atol=1e-12)
        torch.testing.assert_close(seen.kappa_BK, whole.components.kappa[t], rtol=0, atol=1e-12)


def real_window(p):
    window = SoftWindow(H, K).double()
    with torch.no_grad():
        window.weight.copy_(torch.cat([p["W_p" + n] for n in "abk"]))
        window.bias.copy_(torch.cat([p["b_p" + n] for n in "abk"]))
    return window


def test_the_operator_keeps_to_the_library_rules():
    torch.manual_seed(4)
    F = H + C
    arguments = [torch.randn(3, B, 4 * H), torch.randn(4 * H, F), torch.randn(3, H)]
    arguments += [torch.randn(3 * K, H), torch.randn(3 * K)]
    z, w, peephole, w_p, b_p = (v.requires_grad_() for v in arguments)
    state = (torch.zeros(B, H), torch.zeros(B, H), torch.zeros(B, K), torch.zeros(B, C))
    for diagonals in (peephole, None):
        torch.library.opcheck(
            torch.ops.graves_lm.window_lstm.default,
            (z, SYMBOL_BU, w, diagonals, w_p, b_p, *state, 1.0),
            test_utils=("test_schema", "test_faketensor", "test_autograd_registration"),
        )


@pytest.mark.parametrize("value", [-80.0, -30.0, 30.0, 80.0])
@pytest.mark.parametrize("which", ["b_pa", "b_pb", "b_pk"])
def test_extreme_windows_stay_finite_and_agree_with_the_steps_derivative(which, value):
    generator = torch.Generator().manual_seed(5)
    p = parameters(generator, dtype=torch.float32)
    given = inputs(generator, dtype=torch.float32)
    with torch.no_grad():
        p[which][0] = value
    leaves = [*p.values(), *given]
    out = run_ours(*given, SYMBOL_BU, p, clip=10.0)
    loss = out.h_TBH.square().sum() + (out.w_TBC / 1e6).tanh().sum() + out.seen.kappa_BK.sum()
    for gradient in torch.autograd.grad(loss, leaves):
        assert gradient.isfinite().all()
    for v in (out.h_TBH, out.w_TBC, out.state.c_BH, *out.seen, *out.components):
        assert v.isfinite().all()


def test_beyond_the_bound_the_derivative_is_that_of_the_plain_form():
    generator = torch.Generator().manual_seed(6)
    p, (x, h, c, kappa, w) = parameters(generator), inputs(generator, 1)
    with torch.no_grad():
        p["b_pa"][0] = p["b_pb"][1] = p["b_pk"][0] = 35.0
    ours = run_ours(x, h, c, kappa, w, SYMBOL_BU, p)
    got = torch.autograd.grad(ours.w_TBC.sum() + ours.seen.kappa_BK.sum(), [h, kappa])
    w_x, w_h, w_w, b = (torch.cat([p[name + g] for g in "ifco"]) for name in ("W_x", "W_h", "W_w", "b_"))
    peephole = torch.stack([p["W_ci"], p["W_cf"], p["W_co"]])
    _, seen, _ = window_lstm_step(
        linear(x[0], w_x, b),
        SYMBOL_BU,
        LSTMState(h, c),
        WindowState(kappa, w),
        w_h,
        w_w,
        peephole,
        real_window(p),
    )
    expected = torch.autograd.grad(seen.w_BC.sum() + seen.kappa_BK.sum(), [h, kappa])
    for a, b in zip(got, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9)


def test_autocast_keeps_the_window_in_float32_and_stays_near_the_float32_gradients():
    torch.manual_seed(7)
    H, C, K = 64, 12, 4
    w_GH, w_GC = torch.randn(4 * H, H) / 8, torch.randn(4 * H, C) / 2
    peephole, z = torch.randn(3, H) / 8, torch.randn(20, 8, 4 * H)
    window = SimpleNamespace(weight=torch.randn(3 * K, H) / 16, bias=torch.randn(3 * K) / 2)
    leaves = [v.requires_grad_() for v in (z, w_GH, w_GC, peephole, window.weight, window.bias)]
    symbol_BU = torch.randint(0, C, (8, 6))
    zeros = torch.zeros

    def gradients():
        state, seen = LSTMState(zeros(8, H), zeros(8, H)), WindowState(zeros(8, K), zeros(8, C))
        out = window_lstm(z, symbol_BU, state, seen, w_GH, w_GC, peephole, window, 10.0)
        for v in (out.h_TBH, out.w_TBC, *out.state, *out.seen):
            assert v.dtype == torch.float32
        loss = out.h_TBH.square().mean() + out.w_TBC.square().mean()
        return out.h_TBH, out.w_TBC, *torch.autograd.grad(loss, leaves)

    exact = gradients()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rounded = gradients()
    for a, b in zip(exact, rounded, strict=True):
        assert b.dtype == torch.float32
        assert (a - b).norm() / a.norm() < 0.03


@pytest.mark.parametrize("dtype", [torch.float32, FLOAT64])
def test_a_symbol_that_does_not_exist_is_an_error(dtype):
    generator = torch.Generator().manual_seed(0)
    p, given = parameters(generator, dtype=dtype), inputs(generator, dtype=dtype)
    with pytest.raises((IndexError, RuntimeError)):
        run_ours(*given, torch.where(SYMBOL_BU == 4, C, SYMBOL_BU), p)


def test_texts_of_other_whole_numbers_are_read_as_they_are():
    generator = torch.Generator().manual_seed(0)
    p, given = parameters(generator, dtype=torch.float32), inputs(generator, dtype=torch.float32)

    def run(symbol_BU):
        out = run_ours(*given, symbol_BU, p)
        made = [out.h_TBH, out.w_TBC, out.seen.kappa_BK]
        return made + list(torch.autograd.grad(sum(v.sum() for v in made), [given[0], *p.values()]))

    for a, b in zip(run(SYMBOL_BU), run(SYMBOL_BU.int()), strict=True):
        assert torch.equal(a, b)
