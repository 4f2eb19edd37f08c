"""The kernels for CUDA: with a GPU as they are, without one in Triton's interpreter, on the CPU.

conftest.py sees to that. The interpreter runs the kernels' Python on tensors of this machine, and the loop
around them is launched step by step. It says nothing of speed, of CUDA graphs or of whether the kernels
compile. One test compiles them for three generations of GPUs; the tests marked `gpu` are for the rest.
"""

import logging
import math
import os
import subprocess
import sys
from types import SimpleNamespace

import pytest
import torch
from torch.nn.functional import linear

from graves_lm.nn import cuda
from graves_lm.nn import lstm as lstm_module
from graves_lm.nn import window_lstm as window_module
from graves_lm.nn.lstm import LSTMRecurrence, LSTMState, lstm
from tests.nn.reference import lstm_by_steps, lstm_parameters
from tests.nn.test_window_lstm import SYMBOL_BU, by_the_paper, parameters, run_ours

pytest.importorskip("triton", reason="Triton is not installed")
from graves_lm.nn.cuda import loop, recurrences

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
gpu = pytest.mark.gpu
needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


@pytest.fixture
def by_kernels(monkeypatch):
    """The operators run on the kernels wherever their tensors are, in groups of few steps and rows."""
    monkeypatch.setattr(loop, "STEPS", 4)
    monkeypatch.setattr(loop, "ROWS", 2)
    monkeypatch.setattr(loop, "_loops", {})
    used = []
    for module, name in ((lstm_module, "lstm"), (window_module, "window_lstm")):
        for direction in (name, f"{name}_backward"):
            run = getattr(recurrences, direction)
            forms = getattr(module, f"_{direction}").forms
            for device in forms:
                monkeypatch.setitem(forms, device, lambda given, run=run: used.append(run) or run(given))
    yield
    assert used, "the plain operator ran"


def draw(*shape, generator, scale=1.0):
    return (scale * torch.randn(*shape, dtype=torch.float64, generator=generator)).requires_grad_()


def single(leaf):
    """The same numbers as a leaf of its own, float32 on the device under test."""
    return leaf.detach().to(DEVICE, torch.float32).requires_grad_()


def close(got, expected, tolerance):
    assert got.isfinite().all()
    assert (got.cpu().double() - expected).abs().max() <= tolerance * (1 + expected.abs().max())


@pytest.mark.usefixtures("by_kernels")
@pytest.mark.parametrize("clip", [None, 0.05])
@pytest.mark.parametrize("peepholes", [True, False])
def test_values_and_all_gradients_equal_the_equations_step_by_step(peepholes, clip):
    T, B, I, H = 9, 3, 5, 7  # noqa: E741 — neither T nor B is a multiple of what a graph holds
    generator = torch.Generator().manual_seed(0)
    p = lstm_parameters(I, H, generator)
    if not peepholes:
        p |= {f"W_c{gate}": torch.zeros(H, dtype=torch.float64, requires_grad=True) for gate in "ifo"}
    x, h0, c0 = (draw(*shape, generator=generator) for shape in ((T, B, I), (B, H), (B, H)))
    weigh = torch.randn(T, B, H, dtype=torch.float64, generator=generator)

    hs, (_, c) = lstm_by_steps(x, h0, c0, p, clip)
    names = [name for name in p if peepholes or name not in ("W_ci", "W_cf", "W_co")]
    expected = torch.autograd.grad(
        (weigh * torch.stack(hs)).sum() + (c**2).sum(), [p[n] for n in names] + [x, h0, c0]
    )

    ours, (x, h0, c0) = {n: single(p[n]) for n in names}, map(single, (x, h0, c0))
    w_x, w_h, b = (torch.cat([ours[prefix + gate] for gate in "ifco"]) for prefix in ("W_x", "W_h", "b_"))
    peephole = torch.stack([ours["W_c" + gate] for gate in "ifo"]) if peepholes else None
    h, state = lstm(linear(x, w_x, b), LSTMState(h0, c0), w_h, peephole, clip)
    loss = (weigh.to(h) * h).sum() + (state.c_BH**2).sum()
    got = torch.autograd.grad(loss, [*ours.values(), x, h0, c0])

    close(h, torch.stack(hs), 1e-6)
    close(state.c_BH, c, 1e-6)
    for ours_d, paper_d in zip(got, expected, strict=True):
        close(ours_d, paper_d, 1e-5)


@pytest.mark.usefixtures("by_kernels")
@pytest.mark.parametrize(("peepholes", "clip"), [(True, None), (True, 0.05), (False, None)])
def test_window_values_and_all_gradients_equal_the_equations_step_by_step(peepholes, clip):
    T, B, I, H, K, C = 6, 3, 3, 4, 2, 5  # noqa: E741 — the sizes of `parameters`
    generator = torch.Generator().manual_seed(0)
    p = parameters(generator, peepholes)
    given = [draw(*s, generator=generator) for s in ((T, B, I), (B, H), (B, H), (B, K), (B, C))]
    v_h, v_w = (torch.randn(T, B, n, dtype=torch.float64, generator=generator) for n in (H, C))

    def loss(h, w, kappa, c):
        return (v_h.to(h) * h).sum() + (v_w.to(w) * w).sum() + kappa.square().sum() + c.square().sum()

    h, w, kappas, c = by_the_paper(*given, SYMBOL_BU, p, clip)
    expected = torch.autograd.grad(loss(h, w, kappas[-1], c), [*p.values(), *given])

    ours, mine = {name: single(v) for name, v in p.items()}, list(map(single, given))
    out = run_ours(*mine, SYMBOL_BU.to(DEVICE), ours, clip)
    got = torch.autograd.grad(
        loss(out.h_TBH, out.w_TBC, out.seen.kappa_BK, out.state.c_BH), [*ours.values(), *mine]
    )
    for a, b in ((out.h_TBH, h), (out.w_TBC, w), (out.components.kappa, kappas), (out.state.c_BH, c)):
        close(a, b, 1e-6)
    for ours_d, paper_d in zip(got, expected, strict=True):
        close(ours_d, paper_d, 1e-5)


def lstm_case(T, B, H, dtype=torch.float32, device=DEVICE, seed=0):
    """Arguments of graves_lm::lstm, but for the clip."""
    torch.manual_seed(seed)
    z, w = torch.randn(T, B, 4 * H), torch.randn(4 * H, H) / H**0.5
    rest = (0.3 * torch.randn(3, H), torch.randn(B, H), torch.randn(B, H))
    return [v.to(device) for v in (z.to(dtype), w.to(dtype), *rest)]


def window_case(T, B, H, K, C, U, dtype=torch.float32, device=DEVICE):
    """Arguments of graves_lm::window_lstm, but for the clip."""
    z, w, peephole, h0, c0 = lstm_case(T, B, H, dtype, device)
    symbol = torch.randint(C, (B, U))
    symbol[0, U // 2 :] = -1
    w = torch.cat([w, torch.randn(4 * H, C, device=device, dtype=dtype)], 1)
    window = (0.3 / H**0.5 * torch.randn(3 * K, H), torch.tensor([-1.0, -1, -2]).repeat_interleave(K))
    state = (h0, c0, 3 * torch.rand(B, K), torch.rand(B, C))
    return [v.to(device) for v in (z, symbol, w, peephole, *window, *state)]


def both_directions(name, arguments, clip=0.05):
    """All outputs of an operator, and all its derivatives for a fixed loss."""
    leaves = [v.clone().requires_grad_() if v.is_floating_point() else v for v in arguments]
    outputs = getattr(torch.ops.graves_lm, name)(*leaves, clip)
    seen = outputs[:2] if name == "lstm" else outputs[:3]  # the others have no derivative
    generator = torch.Generator().manual_seed(1)
    loss = sum((torch.randn(v.shape, generator=generator).to(v) * v).sum() for v in seen)
    return [*outputs, *torch.autograd.grad(loss, [v for v in leaves if v.requires_grad])]


CASES = {
    "700 units, one row": ("lstm", lstm_case, (2, 1, 700)),
    "129 units": ("lstm", lstm_case, (5, 3, 129)),
    "a longer text and more components": ("window_lstm", window_case, (3, 2, 70, 10, 33, 45)),
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("case", CASES)
def test_odd_sizes_and_products_of_fewer_bits_equal_plain_torch(case, dtype, request):
    name, make, sizes = CASES[case]
    plain = both_directions(name, make(*sizes, dtype=dtype, device="cpu"))
    request.getfixturevalue("by_kernels")
    ours = both_directions(name, make(*sizes, dtype=dtype))
    tolerance = 2e-6 if dtype == torch.float32 else 1e-2
    for a, b in zip(ours, plain, strict=True):
        assert a.dtype == b.dtype
        assert (a.cpu() - b).float().norm() <= tolerance * b.float().norm()


@pytest.mark.usefixtures("by_kernels")
@pytest.mark.parametrize("name", ["lstm", "window_lstm"])
def test_a_loop_that_has_served_other_batches_does_what_a_new_one_does(name):
    make, sizes = (lstm_case, (5,)) if name == "lstm" else (window_case, (5, 2, 6, 7))
    expected = both_directions(name, make(5, 1, *sizes))
    served = [type(one) for one in loop._loops.values()]
    spoiled = make(6, 2, *sizes)
    spoiled[0][2] = math.nan  # stays in the buffers, in the second row too, which the next batch has not
    both_directions(name, spoiled)
    again = both_directions(name, make(5, 1, *sizes))
    assert [type(one) for one in loop._loops.values()] == served
    assert len(served) == 2
    for a, b in zip(again, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0)


@pytest.mark.usefixtures("by_kernels")
def test_steps_past_the_end_write_nothing():
    outputs = both_directions("window_lstm", window_case(4, 2, 5, 2, 6, 7))
    kept = [v.clone() for v in outputs]
    for one in loop._loops.values():  # as when a graph is captured, and in its last replay
        before = {
            k: v.clone() for k, v in vars(one).items() if k in ("c_BH", "dc_BH", "kappa_BK", "dkappa_BK")
        }
        one._steps()
        assert all(torch.equal(getattr(one, k), v) for k, v in before.items())
    assert all(torch.equal(a, b) for a, b in zip(outputs, kept, strict=True))


@pytest.mark.usefixtures("by_kernels")
def test_a_derivative_that_is_no_number_stays_one_under_the_clip():
    z, w, peephole, h0, c0 = lstm_case(3, 2, 5)
    z.requires_grad_()
    h, _ = lstm(z, LSTMState(h0, c0), w, peephole, clip=0.1)
    given = torch.zeros_like(h)
    given[2, 0, 1] = math.nan
    (dz,) = torch.autograd.grad(h, z, given)
    assert dz[:2, 0].isnan().all()  # through W_h, every unit of the step before
    assert dz[:, 1].isfinite().all()


@pytest.mark.usefixtures("by_kernels")
def test_derivatives_that_are_views_with_odd_strides_are_read_right():
    z, w, peephole, h0, c0 = lstm_case(5, 2, 5)
    z.requires_grad_()
    h, _ = lstm(z, LSTMState(h0, c0), w, peephole, clip=1.0)
    summed = torch.autograd.grad(h.sum(), z, retain_graph=True)[0]  # expanded from one number
    whole = torch.autograd.grad(h, z, torch.ones_like(h))[0]
    torch.testing.assert_close(summed, whole, rtol=0, atol=0)


def on_cuda(dtype=torch.float32):
    return SimpleNamespace(is_cuda=True, dtype=dtype)


@pytest.fixture
def no_capture(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", lambda: False)
    cuda._recurrences.cache_clear()
    yield
    cuda._recurrences.cache_clear()


@pytest.mark.usefixtures("no_capture")
def test_what_the_kernels_cannot_do_is_left_to_plain_torch(monkeypatch):
    monkeypatch.setattr(recurrences, "try_out", lambda: None)
    assert cuda.kernels(on_cuda(), on_cuda(), on_cuda()) is recurrences
    assert cuda.kernels(on_cuda(torch.bfloat16), on_cuda(torch.bfloat16), on_cuda()) is recurrences
    assert cuda.kernels(*(on_cuda(torch.float64),) * 3) is None
    assert cuda.kernels(*(torch.zeros(1),) * 3) is None
    with monkeypatch.context() as inside:
        inside.setattr(torch.cuda, "is_current_stream_capturing", lambda: True)
        assert cuda.kernels(*(on_cuda(),) * 3) is None
    monkeypatch.setenv("GRAVES_LM_NATIVE", "0")
    assert cuda.kernels(*(on_cuda(),) * 3) is None


@pytest.mark.usefixtures("no_capture")
def test_a_machine_without_triton_or_a_compiler_is_told_so_once(monkeypatch, caplog):
    def no_compiler():
        raise RuntimeError("Failed to find C compiler.\nPlease specify via CC")

    monkeypatch.setattr(recurrences, "try_out", no_compiler)
    with caplog.at_level(logging.WARNING):
        assert cuda.kernels(*(on_cuda(),) * 3) is None
        assert cuda.kernels(*(on_cuda(),) * 3) is None
    assert [record.getMessage() for record in caplog.records] == [
        "no Triton kernels (Failed to find C compiler.): plain torch on CUDA in their place "
        "(slower; same results)"
    ]
    cuda._recurrences.cache_clear()
    monkeypatch.setitem(sys.modules, "triton", None)
    for name in ("gates", "window", "recurrences"):
        monkeypatch.delitem(sys.modules, f"graves_lm.nn.cuda.{name}")
        monkeypatch.delattr(cuda, name, raising=False)
    assert cuda.kernels(*(on_cuda(),) * 3) is None
    assert "triton" in caplog.records[-1].getMessage()


COMPILE = r"""
import re
from triton import compile
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from graves_lm.nn.cuda import gates, window

FLOAT32 = ("product_BG", "seen_BF", "c_BH", "dh_BF", "dh_BH", "dc_BH", "dz_BG", "dhw_BF", "kappa_BK",
           "dkappa_BK", "w_PH", "b_P", "peephole_3H", "dpeephole_B3H")
KINDS = {name: "*fp32" for name in FLOAT32} | {"table": "*i64", "step": "i32", "clip": "fp32"}
IN_PRODUCTS = ("product_BG", "seen_BF", "dz_BG", "dhw_BF", "dh_BF")
WINDOW = {"K": 10, "K_PLACES": 16, "UNITS": window.UNITS, "CHARACTERS": window.CHARACTERS}
KERNELS = [
    (gates.forward, {"H": 700, "F": 700, "BLOCK": gates.BLOCK}),
    (gates.backward, {"H": 700, "F": 700, "BLOCK": gates.BLOCK, "COMPLETE": False}),
    (window.forward, WINDOW | {"H": 400, "F": 477, "C_PLACES": 128, "LARGEST": 20.0}),
    (window.backward, WINDOW | {"H": 400, "F": 477}),
]
for capability in (80, 90, 100):
    for pointer in ("*fp32", "*bf16"):
        kinds = KINDS | dict.fromkeys(IN_PRODUCTS, pointer)
        for kernel, constants in KERNELS:
            for peephole in ({}, {"peephole_3H": None}):
                if peephole and "peephole_3H" not in kernel.arg_names:
                    continue
                fixed = constants | peephole
                source = ASTSource(
                    kernel,
                    signature={n: "constexpr" if n in fixed else kinds[n] for n in kernel.arg_names},
                    constexprs={(kernel.arg_names.index(n),): v for n, v in fixed.items()},
                )
                made = compile(source, target=GPUTarget("cuda", capability, 32))
                assert len(made.asm["cubin"]) > 1000
                assert not re.search(r"\b(atom|red)\.", made.asm["ptx"])
                print(capability, kernel.__module__, kernel.__name__, len(made.asm["cubin"]))
"""


@pytest.mark.slow
def test_all_kernels_compile_for_three_generations_of_gpus_and_use_no_atomics(tmp_path):
    environment = {k: v for k, v in os.environ.items() if k != "TRITON_INTERPRET"}
    environment["TRITON_CACHE_DIR"] = str(tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", COMPILE], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert len(done.stdout.splitlines()) == 3 * 2 * 6


# --- what only a GPU can show ---------------------------------------------------------------------

SIZES = {
    "lstm": ("lstm", lstm_case, (37, 20, 400)),
    "window_lstm": ("window_lstm", window_case, (37, 20, 400, 10, 77, 40)),
}


@pytest.fixture
def fresh(monkeypatch):
    """No graph from another test."""
    monkeypatch.setattr(loop, "_loops", {})


@gpu
@needs_gpu
@pytest.mark.usefixtures("fresh")
@pytest.mark.parametrize("name", SIZES)
def test_cuda_equals_the_cpu_for_all_lengths_from_one_graph(name):
    _, make, (_, *sizes) = SIZES[name]
    for steps in (37, 1, 10, 64):
        plain = both_directions(name, make(steps, *sizes, device="cpu"))
        for a, b in zip(both_directions(name, make(steps, *sizes)), plain, strict=True):
            assert (a.cpu() - b).norm() <= 2e-5 * b.norm()
    assert [type(one.graph) for one in loop._loops.values()] == [torch.cuda.CUDAGraph] * 2


@gpu
@needs_gpu
@pytest.mark.usefixtures("fresh")
@pytest.mark.parametrize("name", SIZES)
def test_a_graph_does_what_its_steps_do_one_by_one_and_the_same_each_time(name, monkeypatch):
    _, make, sizes = SIZES[name]
    graph, again = both_directions(name, make(*sizes)), both_directions(name, make(*sizes))
    monkeypatch.setattr(loop, "_loops", {})
    monkeypatch.setattr(loop, "LARGEST_NUMBER", 0)
    one_by_one = both_directions(name, make(*sizes))
    assert not loop._loops
    for a, b, c in zip(graph, again, one_by_one, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0)
        torch.testing.assert_close(a, c, rtol=1e-6, atol=1e-6)


@gpu
@needs_gpu
@pytest.mark.usefixtures("fresh")
@pytest.mark.parametrize("name", SIZES)
def test_no_wait_for_the_gpu_and_no_mixing_of_two_streams(name):
    _, make, sizes = SIZES[name]
    cases = [make(*sizes), [2 * v if v.is_floating_point() else v for v in make(*sizes)]]
    expected = [both_directions(name, case) for case in cases]
    streams = [torch.cuda.Stream(), torch.cuda.Stream()]
    for stream, case in zip(streams, cases, strict=True):  # the graphs are made here
        with torch.cuda.stream(stream):
            both_directions(name, case)
    torch.cuda.synchronize()
    operator = getattr(torch.ops.graves_lm, name)
    torch.cuda.set_sync_debug_mode("error")
    try:
        got = []
        for _ in range(20):
            for stream, case in zip(streams, cases, strict=True):
                with torch.cuda.stream(stream):
                    got.append(operator(*case, 0.05))
    finally:
        torch.cuda.set_sync_debug_mode("default")
    torch.cuda.synchronize()
    for i, outputs in enumerate(got):
        for a, b in zip(outputs, expected[i % 2][: len(outputs)], strict=True):
            torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-5)


@gpu
@needs_gpu
def test_bf16_autocast_and_compile_on_cuda():
    torch.manual_seed(0)
    layer = LSTMRecurrence(400, clip=1.0).cuda()
    z = torch.randn(50, 16, 1600, device="cuda", requires_grad=True)

    def gradients(run):
        h, _ = run(z, layer.initial_state(16))
        return h, *torch.autograd.grad(h.square().mean(), (z, layer.weight, layer.peephole))

    exact = gradients(layer)
    compiled = gradients(torch.compile(layer, backend="aot_eager", fullgraph=True))
    with torch.autocast("cuda", dtype=torch.bfloat16):
        rounded = gradients(layer)
    for a, b, c in zip(exact, rounded, compiled, strict=True):
        assert b.dtype == torch.float32
        assert (a - b).norm() / a.norm() < 0.02
        torch.testing.assert_close(a, c)


@gpu
@needs_gpu
def test_inside_a_graph_that_somebody_else_captures():
    case = lstm_case(12, 4, 64)
    expected = torch.ops.graves_lm.lstm(*case, 1.0)[0]
    z, graph = case[0], torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        h = torch.ops.graves_lm.lstm(*case, 1.0)[0]
    z.zero_()
    graph.replay()
    assert not torch.allclose(h, expected)  # of the new z
    torch.testing.assert_close(h, torch.ops.graves_lm.lstm(*case, 1.0)[0], rtol=1e-5, atol=1e-5)
