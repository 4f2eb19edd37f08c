"""The compiled kernels and plain torch, in the dtypes of training, against the equations in float64."""

import pytest
import torch
from torch.nn.functional import linear

from graves_lm.nn import native
from graves_lm.nn.gates import gates_backward, gates_forward, kernel
from graves_lm.nn.lstm import LSTMState, lstm
from tests.nn.reference import lstm_by_steps, lstm_parameters
from tests.nn.test_window_lstm import by_the_paper, inputs, parameters, run_ours

FORMS = ["kernels", "plain"]
T, B, I, H = 7, 5, 3, 37  # no multiples of a vector's length # noqa: E741


@pytest.fixture(params=FORMS)
def form(request, monkeypatch):
    switch(monkeypatch, request.param)
    return request.param


def switch(monkeypatch, form):
    monkeypatch.setenv("GRAVES_LM_NATIVE", "0" if form == "plain" else "1")
    found = kernel("gates_forward", torch.zeros(1), torch.float32)
    if form == "kernels" and found is None:
        pytest.skip("no C compiler here")
    assert (found is None) == (form == "plain")


def close(got, expected, tolerance):
    """Relative to the largest number, since rounding errors of sums are."""
    assert got.dtype == torch.float32
    assert (got.double() - expected).abs().max() <= tolerance * expected.abs().max().clamp_min(1e-3)


@pytest.mark.parametrize("clip", [None, 0.05])
@pytest.mark.parametrize("peepholes", [True, False])
def test_lstm_in_float32_equals_the_float64_statement(form, peepholes, clip):
    generator = torch.Generator().manual_seed(0)
    exact = lstm_parameters(I, H, generator, scale=0.3)
    if not peepholes:
        for gate in "ifo":
            exact[f"W_c{gate}"] = torch.zeros(H, dtype=torch.float64, requires_grad=True)
    names = [n for n in exact if peepholes or n not in ("W_ci", "W_cf", "W_co")]
    x, h0, c0 = (
        torch.randn(*shape, dtype=torch.float64, generator=generator).requires_grad_()
        for shape in ((T, B, I), (B, H), (B, H))
    )
    v_TBH = torch.randn(T, B, H, dtype=torch.float64, generator=generator)

    def loss(h_TBH, c_BH):
        return (v_TBH.to(h_TBH.dtype) * h_TBH).sum() + c_BH.square().sum()

    hs, (_, c) = lstm_by_steps(x, h0, c0, exact, clip)
    expected = torch.autograd.grad(loss(torch.stack(hs), c), [*(exact[n] for n in names), x, h0, c0])

    rounded = {n: v.detach().float().requires_grad_() for n, v in exact.items()}
    given = [v.detach().float().requires_grad_() for v in (x, h0, c0)]
    w_x, w_h, b = (torch.cat([rounded[prefix + g] for g in "ifco"]) for prefix in ("W_x", "W_h", "b_"))
    peephole = torch.stack([rounded["W_c" + g] for g in "ifo"]) if peepholes else None
    h, state = lstm(linear(given[0], w_x, b), LSTMState(*given[1:]), w_h, peephole, clip)
    got = torch.autograd.grad(loss(h, state.c_BH), [*(rounded[n] for n in names), *given])

    close(h, torch.stack(hs), 1e-6)
    close(state.c_BH, c, 1e-6)
    for ours, theirs in zip(got, expected, strict=True):
        close(ours, theirs, 5e-6)


@pytest.mark.parametrize("clip", [None, 0.05])
@pytest.mark.parametrize("peepholes", [True, False])
def test_window_lstm_in_float32_equals_the_float64_statement(form, peepholes, clip):
    generator = torch.Generator().manual_seed(0)
    exact, given = parameters(generator, peepholes), inputs(generator)
    symbol_BU = torch.tensor([[0, 3, 3, 1], [4, 2, -1, -1], [1, 1, 1, -1]])

    def run(forward, given, p):
        h, w, kappa, c = forward(*given, symbol_BU, p, clip)
        weight = torch.linspace(-1, 1, h.numel(), dtype=h.dtype).view_as(h)
        loss = (weight * h).sum() + w.square().sum() + kappa.square().sum() + c.square().sum()
        return h, w, kappa, c, *torch.autograd.grad(loss, [*p.values(), *given])

    def ours(*arguments):
        out = run_ours(*arguments)
        return out.h_TBH, out.w_TBC, out.seen.kappa_BK, out.state.c_BH

    def paper(*arguments):
        h, w, kappa, c = by_the_paper(*arguments)
        return h, w, kappa[-1], c

    expected = run(paper, given, exact)
    rounded = {n: v.detach().float().requires_grad_() for n, v in exact.items()}
    got = run(ours, [v.detach().float().requires_grad_() for v in given], rounded)
    for mine, theirs in zip(got, expected, strict=True):
        close(mine, theirs, 3e-5)


def one_step(z_BG, c0_BH):
    """Gates' activations, c and h after one step from the given sums."""
    B, H = c0_BH.shape
    a, c, h = (torch.empty(1, B, n) for n in (4 * H, H, H))
    gates_forward(z_BG[None], c0_BH, None, a, c, h, None)(0, torch.zeros_like(z_BG))
    return a[0], c[0], h[0]


def test_the_gates_are_exact_to_a_few_units_in_the_last_place(form):
    x_N = torch.cat([torch.linspace(-100, 100, 4001), torch.logspace(-30, 2, 999), torch.tensor([0.0])])
    a, c, _ = one_step(torch.cat([x_N, x_N, x_N, x_N])[None], torch.zeros(1, len(x_N)))
    sigma, tanh = torch.sigmoid(x_N.double()), torch.tanh(x_N.double())
    i, _, g, o = (v.double() for v in a[0].chunk(4))
    for got in (i, o):
        assert ((got - sigma).abs() <= 4e-7 * sigma + 1e-37).all()
    # plain torch's form of tanh is exact to the last bit of 1 alone, see there
    assert ((g - tanh).abs() <= (4e-7 * tanh.abs() if form == "kernels" else 2e-7)).all()
    assert ((c[0].double() - i * g).abs() <= 2e-7 * (i * g).abs() + 1e-37).all()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), 3e38])
def test_what_is_not_a_number_stays_so_and_infinite_sums_saturate(form, value):
    z = torch.zeros(1, 4 * H)
    z[0, 5] = z[0, H + 6] = z[0, 2 * H + 7] = z[0, 3 * H + 8] = value
    a, c, h = one_step(z, torch.ones(1, H))
    for v in (a[0, [5, H + 6, 2 * H + 7, 3 * H + 8]], c[0, 5:8], h[0, 5:9]):
        assert v.isnan().all() if value != value else v.isfinite().all()
    assert a.nan_to_num(0).abs().max() <= 1


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_both_forms_agree_step_by_step(monkeypatch, dtype):
    generator = torch.Generator().manual_seed(1)

    def draw(*shape, dtype=torch.float32):
        return torch.randn(*shape, generator=generator).to(dtype)

    z, c0, peephole = draw(3, B, 4 * H, dtype=dtype), draw(B, H), draw(3, H)
    sums, dh, dhx = draw(3, B, 4 * H, dtype=dtype), draw(3, B, H), draw(3, B, H + 2, dtype=dtype)

    def run(form, threads):
        switch(monkeypatch, form)
        monkeypatch.setattr(native, "threads", lambda: threads)
        a, c, hx = torch.zeros(3, B, 4 * H), torch.zeros(3, B, H), torch.zeros(3, B, H + 2)
        product = torch.zeros(B, H + 2, dtype=dtype) if dtype != torch.float32 else None
        forward = gates_forward(z, c0, peephole, a, c, hx, product)
        for t in range(3):
            forward(t, sums[t])
        dc, dz, dpeephole = torch.ones(B, H), torch.zeros(3, B, 4 * H, dtype=dtype), torch.zeros(B, 3, H)
        backward = gates_backward(a, c, c0, peephole, 0.5, dc, dz, dpeephole)
        for t in (2, 1, 0):
            backward(t, dh[t], dhx[t])
        return [a, c, hx, dc, dz, dpeephole] + ([] if product is None else [product])

    fused, two, plain = run("kernels", 1), run("kernels", 2), run("plain", 1)
    for one, same, reference in zip(fused, two, plain, strict=True):
        assert torch.equal(one, same)  # whatever the number of threads
        step = 2e-6 if reference.dtype == torch.float32 else 2**-8  # a rounding may fall the other way
        assert ((one - reference).abs() <= step * reference.abs().clamp_min(1)).all()
    assert (plain[4].abs() == 0.5).any()  # the clip acts
