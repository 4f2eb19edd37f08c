"""The kernels for CUDA: with a GPU as they are, without one in Triton's interpreter, on the CPU.

conftest.py sees to that. The interpreter runs the kernels' Python on tensors of this machine, all programs of
a tick before those of the next. It says nothing of speed, of programs that wait for each other or of whether
the kernels compile. One test compiles them for three generations of GPUs; those marked `gpu` are for the
rest.
"""

import importlib
import itertools
import logging
import math
import os
import subprocess
import sys
from pathlib import Path
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
from graves_lm.nn.cuda import recurrences, tiles
from graves_lm.nn.cuda.tiles import Tiles

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
gpu = pytest.mark.gpu
needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


@pytest.fixture
def by_kernels(monkeypatch):
    """The operators run on the kernels wherever their tensors are."""
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
    T, B, I, H = 9, 3, 5, 7  # noqa: E741
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
    w = torch.cat([w.cpu(), torch.randn(4 * H, C).to(dtype)], 1)  # drawn where it is the same for all devices
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
@pytest.mark.parametrize(("name", "ticks"), [("lstm", (1, 1)), ("window_lstm", (2, 2))])
def test_a_step_has_as_few_meetings_of_all_programs_as_it_can(name, ticks, monkeypatch):
    counted = []
    monkeypatch.setattr(
        recurrences, "launches", lambda n, _: counted.append(n) or [(i, i + 1) for i in range(n)]
    )
    T = 5
    both_directions(name, lstm_case(T, 2, 6) if name == "lstm" else window_case(T, 2, 6, 2, 6, 7))
    assert counted == [ticks[0] * T, ticks[1] * T]


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


@pytest.mark.usefixtures("by_kernels")
@pytest.mark.parametrize("name", ["lstm", "window_lstm"])
def test_weights_and_states_that_are_views_with_odd_strides_are_read_right(name):
    case = lstm_case(4, 3, 7) if name == "lstm" else window_case(4, 3, 7, 2, 6, 7)
    odd = [v.t().contiguous().t() if v.dim() == 2 else v for v in case]
    for a, b in zip(both_directions(name, odd), both_directions(name, case), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-6)


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
    for name in (
        "barrier",
        "gates",
        "product",
        "window",
        "forward",
        "backward",
        "tiles",
        "launch",
        "recurrences",
    ):
        monkeypatch.delitem(sys.modules, f"graves_lm.nn.cuda.{name}")
        monkeypatch.delattr(cuda, name, raising=False)
    assert cuda.kernels(*(on_cuda(),) * 3) is None
    assert "triton" in caplog.records[-1].getMessage()


@pytest.mark.usefixtures("by_kernels")
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize(("B", "H"), [(1, 1), (3, 17), (20, 130), (2, 400), (2, 1000)])
def test_sizes_from_one_unit_to_a_thousand_equal_float64(B, H, dtype):
    case = lstm_case(3, B, H, dtype)
    exact = both_directions_plainly("lstm", [v.cpu().double() for v in case])
    tolerance = {torch.float32: 2e-6, torch.bfloat16: 2e-2, torch.float16: 2e-3}[dtype]
    for a, b in zip(both_directions("lstm", case), exact, strict=True):
        assert (a.cpu().double() - b).norm() <= tolerance * b.norm()


def both_directions_plainly(name, arguments):
    """On the plain operator, whatever runs now."""
    with pytest.MonkeyPatch.context() as patch:
        for module, of in ((lstm_module, "lstm"), (window_module, "window_lstm")):
            for direction in (of, f"{of}_backward"):
                forms, plain = (
                    getattr(module, f"_{direction}").forms,
                    getattr(module, f"{direction}_by_steps"),
                )
                for device in forms:
                    patch.setitem(forms, device, plain)
        return both_directions(name, arguments)


@pytest.mark.usefixtures("by_kernels")
@pytest.mark.parametrize("cut", [Tiles(16, 16, 4), Tiles(32, 32, 2, 16, 2), tiles.SMALL], ids=str)
def test_all_ways_to_cut_a_recurrence_give_the_same(cut, monkeypatch):
    case = window_case(2, 18, 20, 2, 5, 6)
    expected = both_directions_plainly("window_lstm", [v.cpu() for v in case])
    monkeypatch.setattr(tiles, "choose", lambda *of: cut)
    monkeypatch.setattr(tiles, "INTERPRETED", tiles.Processors(2, tiles.SHARED))  # tiles of rows in turn
    tiles.processors.cache_clear()
    for a, b in zip(both_directions("window_lstm", case), expected, strict=True):
        assert (a.cpu() - b).norm() <= 1e-5 * b.norm()
    tiles.processors.cache_clear()


@pytest.mark.usefixtures("by_kernels")
def test_characters_far_from_the_window_are_left_out_exactly(monkeypatch):
    case = window_case(3, 2, 16, 2, 6, 30)
    case[6][2:4] = 3.0  # narrow bumps
    whole = both_directions("window_lstm", case)
    monkeypatch.setattr(recurrences, "CHARACTERS", 4)  # most of the groups of four are out of reach
    for a, b in zip(both_directions("window_lstm", case)[:6], whole[:6], strict=True):
        torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-7)


@pytest.mark.usefixtures("by_kernels")
def test_an_alphabet_whose_weights_do_not_fit_a_program_gives_the_same(monkeypatch):
    case = window_case(3, 2, 20, 2, 40, 6)
    expected = both_directions_plainly("window_lstm", [v.cpu() for v in case])
    monkeypatch.setattr(recurrences, "WEIGHTS_OF_W", 1)  # 16 of 64 places in one go
    for a, b in zip(both_directions("window_lstm", case), expected, strict=True):
        assert (a.cpu() - b).norm() <= 1e-5 * b.norm()


def test_grids_are_no_larger_than_the_gpu_and_leave_nothing_out():
    for number, B, H in itertools.product((20, 58, 132), (1, 16, 70, 1024), (1, 100, 400, 1000)):
        for dtype, shared in itertools.product((torch.float32, torch.bfloat16), (99 * 1024, 227 * 1024)):
            for shape in (tiles.Shape(H, H, 4, B), tiles.Shape(H, 4 * H, 1, B)):
                cut = tiles.choose(shape, dtype, shared)
                plan = tiles.launch(cut, shape, number)
                of = plan.constants
                assert plan.tiles * plan.groups <= number
                assert plan.tiles * of["UNITS"] >= shape.outputs
                assert of["SLICES"] * of["PART"] * of["CHUNKS"] >= shape.terms
                assert of["ONE"] == (plan.groups * of["ROWS"] >= B)


@pytest.mark.parametrize("kind", ["bfloat16", "none"])
def test_what_the_tuning_of_tiles_times_is_the_recurrence(kind, monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "benchmarks"))
    tune, precision = importlib.import_module("tune_cuda"), torch.backends.cuda.matmul.fp32_precision
    case = tune.Case(kind, 20, 2, 3, DEVICE)
    torch.backends.cuda.matmul.fp32_precision = precision  # which it sets to that of its kind
    h, c, a = case.forward()
    dz, dpeephole, dc = case.backward()
    assert h.shape == c.shape == (3, 2, 20)
    assert a.shape == dz.shape == (3, 2, 80)
    assert dpeephole.shape == (3, 20)
    assert all(v.isfinite().all() and v.any() for v in (h, c, a, dz, dpeephole, dc))


COMPILE = r"""
import re
from triton import compile
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
import torch
from graves_lm.nn.cuda import backward, forward, tiles

FORMATS = {"*bf16": torch.bfloat16, "*fp32": torch.float32}
IN_WEIGHTS_FORMAT = ("z_TBG", "seen_2BS", "w_GS", "w_GF", "dz_TBG")
NUMBERS = ("first", "last", "steps", "rows", "characters")
OF_WINDOW = ("symbol_BU", "kappa_TBK", "p_TBP", "summed_SBQ", "w_PH", "b_P", "kappa0_BK", "carried_BH",
             "dkappa_TBK", "dkappa_BK", "dp_TBP", "dp_BQ", "dw_SBC")

def kind(name, weights):
    if name in IN_WEIGHTS_FORMAT:
        return weights
    if name in NUMBERS:
        return "i32"
    return {"symbol_BU": "*i64", "counter": "*i32", "clip": "fp32"}.get(name, "*fp32")

def check(kernel, weights, capability, window, left_out=(), C=57):
    H, F, K = 400, 400 + C if window else 400, 10 if window else 0
    seen = -(-F // 16) * 16
    shape = tiles.Shape(H, seen, 4, 64) if kernel is forward.forward else tiles.Shape(H, 4 * H, 1, 64)
    plan = tiles.launch(tiles.choose(shape, FORMATS[weights]), shape, 132, 16 if window else 1)
    fixed = plan.constants | {"H": H, "F": F, "SEEN": seen, "K": K, "K_PLACES": 16 if window else 1,
                              "C_PLACES": 64 if C < 64 else 128, "COLUMNS": 64, "TILE_PLACES": 32,
                              "CHARACTERS": 64, "LARGEST": 20.0, "PRECISION": "tf32x3", "OF_WINDOW": "tf32x3"}
    fixed["TICKS"] = 2 if window else 1
    fixed |= dict.fromkeys(left_out if window else (*left_out, *OF_WINDOW))
    names, warps = kernel.arg_names, fixed["num_warps"]
    fixed = {n: v for n, v in fixed.items() if n in names}
    source = ASTSource(
        kernel,
        signature={n: "constexpr" if n in fixed else kind(n, weights) for n in names},
        constexprs={(names.index(n),): v for n, v in fixed.items()},
        attrs={(i,): [["tt.divisibility", 16]] for i, n in enumerate(names)
               if n not in fixed and kind(n, weights).startswith("*")},
    )
    options = {"num_warps": warps, "launch_cooperative_grid": True}
    made = compile(source, target=GPUTarget("cuda", capability, 32), options=options)
    assert len(made.asm["cubin"]) > 1000
    assert made.metadata.shared <= tiles.SHARED
    ptx = made.asm["ptx"]
    assert set(re.findall(r"\b(?:atom|red)\.\S+", ptx)) == {"atom.global.gpu.release.add.u32"}
    reads = [m.start() for m in re.finditer(r"ld\.global\.(?:\w+\.)*cg|cp\.async\.cg", ptx)]
    assert reads
    assert ptx.index("acquire") < reads[0]  # nothing of the others is read before they have arrived
    print(capability, kernel.__module__, weights, window)

for capability in (80, 90, 100):
    for weights in FORMATS:
        for kernel in (forward.forward, backward.backward):
            check(kernel, weights, capability, window=False)
            check(kernel, weights, capability, window=True)
        check(backward.backward, weights, capability, window=True, C=100)
    check(forward.forward, "*bf16", capability, window=False, left_out=("peephole_3H",))
    check(backward.backward, "*bf16", capability, window=False, left_out=("peephole_3H",))
"""


@pytest.mark.slow
def test_all_kernels_compile_for_three_generations_of_gpus_and_meet_in_order(tmp_path):
    environment = {k: v for k, v in os.environ.items() if k != "TRITON_INTERPRET"}
    environment["TRITON_CACHE_DIR"] = str(tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", COMPILE], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert len(done.stdout.splitlines()) == 3 * 12


# --- what only a GPU can show ---------------------------------------------------------------------

SIZES = {
    "lstm": ("lstm", lstm_case, (37, 20, 400)),
    "window_lstm": ("window_lstm", window_case, (37, 20, 400, 10, 77, 40)),
}


@gpu
@needs_gpu
@pytest.mark.parametrize("name", SIZES)
def test_cuda_is_as_near_float64_as_the_cpu_is_for_all_lengths(name):
    _, make, (_, *sizes) = SIZES[name]
    for steps in (37, 1, 10, 64):
        single = make(steps, *sizes, device="cpu")
        exact = both_directions(name, [v.double() if v.is_floating_point() else v for v in single])
        on_cpu, ours = both_directions(name, single), both_directions(name, make(steps, *sizes))
        for a, b, c in zip(ours, on_cpu, exact, strict=True):
            assert (a.cpu() - c).norm() <= 5 * (b - c).norm() + 2e-6 * c.norm()


@gpu
@needs_gpu
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("name", SIZES)
def test_one_launch_does_what_a_launch_a_tick_does_and_the_same_each_time(name, dtype, monkeypatch):
    _, make, sizes = SIZES[name]
    once = both_directions(name, make(*sizes, dtype=dtype))
    for _ in range(5):
        for a, b in zip(once, both_directions(name, make(*sizes, dtype=dtype)), strict=True):
            assert torch.equal(a, b)
    monkeypatch.setattr(recurrences, "launches", lambda ticks, _: [(i, i + 1) for i in range(ticks)])
    for a, b in zip(once, both_directions(name, make(*sizes, dtype=dtype)), strict=True):
        assert torch.equal(a, b)


@gpu
@needs_gpu
@pytest.mark.parametrize("B", [1, 16, 65, 300, 1024])
@pytest.mark.parametrize("H", [1, 7, 100, 400, 700, 1000])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_all_sizes_equal_plain_torch(dtype, H, B, monkeypatch):
    case = lstm_case(4, B, H, dtype)
    ours = both_directions("lstm", case)
    monkeypatch.setenv("GRAVES_LM_NATIVE", "0")
    tolerance = 1e-5 if dtype == torch.float32 else 2e-2
    for a, b in zip(ours, both_directions("lstm", case), strict=True):
        assert (a - b).float().norm() <= tolerance * b.float().norm()


@gpu
@needs_gpu
@pytest.mark.parametrize("name", SIZES)
def test_no_wait_for_the_gpu_and_no_mixing_of_two_streams(name):
    _, make, sizes = SIZES[name]
    cases = [make(*sizes), [2 * v if v.is_floating_point() else v for v in make(*sizes)]]
    expected = [both_directions(name, case) for case in cases]
    streams = [torch.cuda.Stream(), torch.cuda.Stream()]
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
            assert torch.equal(a, b)


@gpu
@needs_gpu
def test_tensors_that_begin_at_odd_addresses():
    case = lstm_case(5, 3, 40)
    expected = both_directions("lstm", case)
    for v in case:
        shifted = torch.empty(v.numel() + 1, device=v.device)[1:].view(v.shape)
        v.set_(shifted.copy_(v))
    for a, b in zip(both_directions("lstm", case), expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-6)


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
