"""Every form of the table in nn/forms.py against the equations in float64, and a changed constant in each.

A mutant is a copy of graves_lm/nn under another name with one text in one file replaced. Its C is compiled
anew, its Triton runs in the interpreter where there is no GPU.
"""

import importlib
import itertools
import shutil
import sys
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor

from graves_lm.nn import forms, operands
from graves_lm.nn.forms import FORMS, LSTM_BACKWARD, LSTM_FORWARD, WINDOW_BACKWARD, WINDOW_FORWARD
from graves_lm.nn.operands import (
    LSTMBackwardInputs,
    LSTMGradients,
    LSTMInputs,
    WindowLSTMBackwardInputs,
    WindowLSTMGradients,
    WindowLSTMInputs,
)
from tests.nn.reference import lstm_by_steps
from tests.nn.test_window_lstm import by_the_paper

T, B, K, C, U = 3, 3, 3, 6, 68
"""A text longer than a program in Triton looks at in one go."""
H_ALONE, H_WITH_WINDOW = 72, 18
"""More hidden units than a program has; without the window also more than it multiplies in one go."""
CLIP = 0.05
SYMBOL_BU = torch.arange(U).remainder(C).repeat(B, 1)
SYMBOL_BU[0, 4:], SYMBOL_BU[1, 2:] = -1, -1
NN = Path(forms.__file__).parent
NUMBERS = itertools.count()
TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-10}


class Case(NamedTuple):
    """What a form is run on, and what the equations give."""

    given: tuple
    expected: dict[str, Tensor]


def draw(*shape, generator, scale=0.6):
    return (scale * torch.randn(*shape, dtype=torch.float64, generator=generator)).requires_grad_()


def lstm_cases() -> tuple[Case, Case]:
    """Forward and backward. z comes as x, with the unit matrix as W_x."""
    H = H_ALONE
    generator = torch.Generator().manual_seed(0)
    z, w, peephole = (draw(*s, generator=generator) for s in ((T, B, 4 * H), (4 * H, H), (3, H)))
    h0, c0 = (draw(B, H, generator=generator) for _ in range(2))
    dh, dcT = (draw(*s, generator=generator).detach() for s in ((T, B, H), (B, H)))
    p = {
        f"W_x{g}": part
        for g, part in zip("ifco", torch.eye(4 * H, dtype=torch.float64).chunk(4), strict=True)
    }
    p |= {f"W_h{g}": part for g, part in zip("ifco", w.chunk(4), strict=True)}
    p |= {f"W_c{g}": part for g, part in zip("ifo", peephole, strict=True)}
    p |= {f"b_{g}": torch.zeros(H, dtype=torch.float64) for g in "ifco"}

    hs, (_, cT_BH) = lstm_by_steps(z, h0, c0, p, CLIP)
    h_TBH = torch.stack(hs)
    c_TBH = torch.stack([lstm_by_steps(z[: t + 1], h0, c0, p)[1][1] for t in range(T)])
    leaves = (z, w, peephole, h0, c0)
    gradients = torch.autograd.grad((dh * h_TBH).sum() + (dcT * cT_BH).sum(), leaves)
    given = LSTMInputs(*(v.detach() for v in leaves), CLIP)
    trace = forms.lstm_by_steps(given)
    back = LSTMBackwardInputs(dh, dcT, trace.a_TBG, h_TBH.detach(), c_TBH.detach(), *given[1:])
    return (
        Case(given, {"h_TBH": h_TBH.detach(), "c_TBH": c_TBH.detach()}),
        Case(back, dict(zip(LSTMGradients._fields, gradients, strict=True))),
    )


def window_cases() -> tuple[Case, Case]:
    """The same for the window. One component is beyond the largest exponent at all steps: it runs away, to
    where it weighs nothing. The others of the last row are near the end of a long text."""
    H = H_WITH_WINDOW
    generator = torch.Generator().manual_seed(1)
    shapes = ((T, B, 4 * H), (4 * H, H + C), (3, H), (3 * K, H), (B, H), (B, H), (B, K), (B, C))
    z, w, peephole, w_P, h0, c0, kappa0, w0 = (draw(*s, generator=generator) for s in shapes)
    b_P = draw(3 * K, generator=generator)
    with torch.no_grad():
        b_P[-1] = 25
        kappa0[-1] = 60
    dhw, dkappa, dcT = (draw(*s, generator=generator).detach() for s in ((T, B, H + C), (T, B, K), (B, H)))
    dkappa[:, :, -1] *= 1e-9
    p = {
        f"W_x{g}": part
        for g, part in zip("ifco", torch.eye(4 * H, dtype=torch.float64).chunk(4), strict=True)
    }
    p |= {f"b_{g}": torch.zeros(H, dtype=torch.float64) for g in "ifco"}
    for gate, part in zip("ifco", w.chunk(4), strict=True):
        p |= {f"W_h{gate}": part[:, :H], f"W_w{gate}": part[:, H:]}
    p |= {f"W_c{g}": part for g, part in zip("ifo", peephole, strict=True)}
    for name, weight, bias in zip("abk", w_P.chunk(3), b_P.chunk(3), strict=True):
        p |= {f"W_p{name}": weight, f"b_p{name}": bias}
    arguments = (h0, c0, kappa0, w0, SYMBOL_BU, p, CLIP)
    h_TBH, w_TBC, kappa_TBK, cT_BH = by_the_paper(z, *arguments)
    c_TBH = torch.stack([by_the_paper(z[: t + 1], *arguments)[3] for t in range(T)])
    hw_TBF = torch.cat([h_TBH, w_TBC], dim=2)
    loss = (dhw * hw_TBF).sum() + (dkappa * kappa_TBK).sum() + (dcT * cT_BH).sum()
    leaves = (z, w, peephole, w_P, b_P, h0, c0, kappa0, w0)
    gradients = torch.autograd.grad(loss, leaves)
    numbers = [v.detach() for v in leaves]
    given = WindowLSTMInputs(numbers[0], SYMBOL_BU, *numbers[1:], CLIP)
    trace = forms.window_lstm_by_steps(given)
    back = WindowLSTMBackwardInputs(
        dhw_TBF=dhw,
        dkappa_TBK=dkappa,
        dcT_BH=dcT,
        hw_TBF=hw_TBF.detach(),
        kappa_TBK=kappa_TBK.detach(),
        p_TBP=trace.p_TBP,
        c_TBH=c_TBH.detach(),
        a_TBG=trace.a_TBG,
        symbol_BU=SYMBOL_BU,
        w_GF=given.w_GF,
        peephole_3H=given.peephole_3H,
        w_PH=given.w_PH,
        h0_BH=given.h0_BH,
        c0_BH=given.c0_BH,
        w0_BC=given.w0_BC,
        clip=CLIP,
    )
    states = {"h_TBH": h_TBH, "c_TBH": c_TBH, "kappa_TBK": kappa_TBK, "w_TBC": w_TBC}
    return (
        Case(given, {name: v.detach() for name, v in states.items()}),
        Case(back, dict(zip(WindowLSTMGradients._fields, gradients, strict=True))),
    )


CASES = dict(
    zip(
        (LSTM_FORWARD, LSTM_BACKWARD, WINDOW_FORWARD, WINDOW_BACKWARD),
        lstm_cases() + window_cases(),
        strict=True,
    )
)
ROWS = {f"{form.file}, {form.name}": (form, CASES[group]) for group in FORMS.values() for form in group}


@pytest.fixture(autouse=True)
def products_as_on_a_gpu(monkeypatch):
    """Triton's interpreter multiplies exactly whatever the precision; here as tensor cores do."""
    if torch.cuda.is_available() or not find_spec("triton"):
        return
    from triton._C.libtriton import ir
    from triton.runtime.interpreter import InterpreterBuilder, TensorHandle

    exact = InterpreterBuilder.create_dot

    def head(x):
        """x of float32 in TF32: 10 bits behind the point."""
        return TensorHandle((x.data.view(np.uint32) & 0xFFFFE000).view(np.float32), x.dtype)

    def tail(x):
        return head(TensorHandle(x.data - head(x).data, x.dtype))

    def create_dot(self, a, b, d, precision, imprecise):
        one, three = ir.INPUT_PRECISION.TF32, ir.INPUT_PRECISION.TF32x3
        if precision == three:
            d = exact(self, tail(a), head(b), d, precision, imprecise)
            d = exact(self, head(a), tail(b), d, precision, imprecise)
        if precision in (one, three):
            a, b = head(a), head(b)
        return exact(self, a, b, d, precision, imprecise)

    monkeypatch.setattr(InterpreterBuilder, "create_dot", create_dot)


def error(form, case: Case, names=operands) -> float:
    """The largest error of a form's results, in tolerances of its dtype; infinite for no number."""
    made = form(getattr(names, type(case.given).__name__)(*case.given))
    worst = 0.0
    for name, expected in case.expected.items():
        got = getattr(made, name)
        assert got.dtype == form.dtype
        error = (got.double() - expected).abs() / (1 + expected.abs())
        worst = max(worst, float(error.nan_to_num(float("inf")).max()) / TOLERANCE[form.dtype])
    return worst


@pytest.mark.parametrize("row", ROWS)
def test_it_equals_the_equations_in_float64(row):
    form, case = ROWS[row]
    if not form.serves():
        pytest.skip("not on this machine")
    assert (NN / form.file).is_file()
    assert form.name in (NN / form.file).read_text(encoding="utf-8")
    assert error(form, case) < 1


def test_no_place_is_left_out():
    """Whatever has a σ, a tanh or an exponential in it is in the table, or is none of these equations."""
    others = {"native/functions.h", "noise.py", "mixture.py", "forms.py", "form_runs.py"}
    signs = ("sigmoid", "tanh", "exponential(", ".exp(", "exp_(")
    found = {
        str(path.relative_to(NN))
        for path in NN.rglob("*.*")
        if path.suffix in (".py", ".c", ".h") and any(s in path.read_text(encoding="utf-8") for s in signs)
    }
    # Their gates are in gates.h and cuda/gates.py.
    elsewhere = {"native/lstm.c", "cuda/forward.py", "cuda/backward.py"}
    assert found - others == {form.file for form, _ in ROWS.values()} - elsewhere


BOUND = ("window.py", "LARGEST_EXPONENT = 20.0", "LARGEST_EXPONENT = 19.0")
THREE_TF32 = ("cuda/recurrences.py", 'fp32_precision, "tf32x3")', 'fp32_precision, "tf32")')
THREE_TF32_OF_WINDOW = ("cuda/recurrences.py", '"ieee" else "tf32x3"', '"ieee" else "tf32"')
MUTATIONS = {
    "lstm.py, lstm_step": [
        ("lstm.py", "peephole_3H[0] * state.c_BH", "peephole_3H[1] * state.c_BH"),
        ("lstm.py", "i_BH, f_BH, g_BH, o_BH = torch.addmm", "f_BH, i_BH, g_BH, o_BH = torch.addmm"),
        ("lstm.py", "o_BH = o_BH + peephole", "o_BH = o_BH - peephole"),
    ],
    "gates.py, gates_forward": [
        ("gates.py", "peephole_3H[:2])\n        a_BG", "peephole_3H[1:])\n        a_BG"),
        (
            "gates.py",
            "i_BH, f_BH, g_BH, o_BH = a_BG.split(H, dim=1)\n        if",
            "f_BH, i_BH, g_BH, o_BH = a_BG.split(H, dim=1)\n        if",
        ),
        ("gates.py", "torch.mul(x, 2, out=out)", "torch.mul(x, 2.001, out=out)"),
    ],
    "native/gates.h, forward_row": [
        ("native/gates.h", "float i = load(z, j, bfloat16) +", "float i = load(z, j, bfloat16) -"),
        (
            "native/gates.h",
            "peephole[H + j] * before;\n        float g",
            "peephole[j] * before;\n        float g",
        ),
        ("native/gates.h", "o + peephole[2 * H + j] * c_j", "o + peephole[2 * H + j] * before"),
        ("native/functions.h", "5.0000000e-1f", "5.0100000e-1f"),
    ],
    "native/lstm.c, lstm_forward": [
        ("native/lstm.c", "sum[r][v] += x[r * to_x + k] * w_v", "sum[r][v] -= x[r * to_x + k] * w_v"),
        ("native/lstm.c", ": h0, *c_before", ": c0, *c_before"),
        ("native/lstm.c", "c_before + (b + r) * H + unit, peephole", "c_before + b * H + unit, peephole"),
    ],
    "cuda/gates.py, forward": [
        ("cuda/gates.py", "i += peep_i * c", "i -= peep_i * c"),
        ("cuda/gates.py", "o += peep_o * c", "o += peep_f * c"),
        ("cuda/gates.py", "c = f * c + i * g", "c = i * c + f * g"),
        ("cuda/gates.py", "return 2 * tl.sigmoid(2 * x) - 1", "return 2 * tl.sigmoid(2.01 * x) - 1"),
    ],
    "cuda/forward.py, step": [
        ("cuda/forward.py", "f + z_f.to(tl.float32)", "f - z_f.to(tl.float32)"),
        ("cuda/forward.py", "of_x = seen_2BS + (t % 2) * rows * SEEN + b", "of_x = seen_2BS + b"),
        ("cuda/product.py", "i, g = even.split()", "g, i = even.split()"),
        ("cuda/product.py", "peephole_3H + 2 * H + n", "peephole_3H + H + n"),
        ("cuda/product.py", "both = first + second", "both = first - second"),
        ("cuda/product.py", "factor(part), sums,", "factor(part), 2 * sums,"),
        THREE_TF32,
    ],
    "packed.py, packed_gates": [
        ("packed.py", "peephole_3H[2]", "peephole_3H[1]"),
        ("packed.py", "value=2", "value=1.99"),
        ("packed.py", "i_BH, f_BH, s_BH, o_BH =", "f_BH, i_BH, s_BH, o_BH ="),
    ],
    "native/step.c, units": [
        ("native/step.c", "2 * H + first + j, 3 * H + first + j", "3 * H + first + j, 2 * H + first + j"),
        ("native/step.c", "p[H + j] * before", "p[j] * before"),
        ("native/step.c", "(2 * sigmoid(a[2][j]) - 1)", "(2 * sigmoid(a[2][j]) + 1)"),
    ],
    "gates.py, gates_backward": [
        ("gates.py", "dc_BH.addcmul_(do_BH, peephole_3H[2])", "dc_BH.addcmul_(do_BH, peephole_3H[1])"),
        ("gates.py", "dz_BG[:, : 3 * H].clamp_(-clip, clip)", "dz_BG[:, : 2 * H].clamp_(-clip, clip)"),
        (
            "gates.py",
            "torch.addcmul(a_BG, a_BG, a_BG, value=-1",
            "torch.addcmul(a_BG, a_BG, a_BG, value=-0.99",
        ),
    ],
    "native/gates.h, backward_row": [
        ("native/gates.h", "d_o * peephole[2 * H + j];", "d_o * peephole[H + j];"),
        ("native/gates.h", "(f * (1 - f)), bound)", "(f * (1 - f)), 2 * bound)"),
        ("native/gates.h", "dpeephole[j] += di * before", "dpeephole[j] -= di * before"),
    ],
    "native/lstm.c, lstm_backward": [
        ("native/lstm.c", "dz + (t * B + b) * 4 * H", "dz + b * 4 * H"),
        ("native/lstm.c", "t >= 0; t--", "t > 0; t--"),
        ("native/lstm.c", "t > 1 ? c + (t - 2) * B * H : c0", "c0"),
        ("native/lstm.c", "t < T ? sum + r * BLOCK : dh_next + own", "dh_next + own"),
    ],
    "cuda/gates.py, backward": [
        ("cuda/gates.py", "dc += do * peep_o", "dc -= do * peep_o"),
        ("cuda/gates.py", "(1 - tanh_c * tanh_c)", "(1 - tanh_c)"),
        ("cuda/gates.py", "clipped(dc * i * (1 - g * g), clip)", "clipped(dc * i * (1 - g * g), 2 * clip)"),
        ("cuda/gates.py", "dc *= f\n", "dc *= i\n"),
        ("cuda/gates.py", "di * peep_i + df * peep_f", "df * peep_i + di * peep_f"),
    ],
    "cuda/backward.py, gates_step": [
        ("cuda/backward.py", "(t + 1 < steps)", "(t + 2 < steps)"),
        ("cuda/backward.py", "df * c_before", "df * c"),
        ("cuda/backward.py", "do * c, real", "do * c_before, real"),
        ("cuda/recurrences.py", "before_TBS[0, :, :F] = hw0_BF", "before_TBS[0, :, :F] = 0"),
        THREE_TF32,
    ],
    "window.py, window_parameters": [
        BOUND,
        ("window.py", "kappa + advance)", "kappa - advance)"),
        ("window.py", "arange(1, characters + 1", "arange(0, characters"),
    ],
    "window_steps.py, window_forward": [
        BOUND,
        (
            "window_steps.py",
            "alpha_BK, beta_BK, advance_BK = p_TBP[t]",
            "beta_BK, alpha_BK, advance_BK = p_TBP[t]",
        ),
        ("window_steps.py", "value=-1, out=self.e_BKU", "value=-1.01, out=self.e_BKU"),
    ],
    "native/window.c, window_forward": [
        BOUND,
        (
            "native/window.c",
            "float d = at - (float)(int32_t)(u + 1);\n                phi",
            "float d = at - (float)(int32_t)(u);\n                phi",
        ),
        ("native/window.c", "before[k] + p_[2 * K + k]", "before[k] - p_[2 * K + k]"),
    ],
    "cuda/window.py, forward": [
        BOUND,
        ("cuda/window.py", "beta, _ = odd.split()", "_, beta = odd.split()"),
        ("cuda/window.py", "kappa += advance", "kappa -= advance"),
        ("cuda/window.py", "tl.sum(summed, 0) + b_Q", "tl.max(summed, 0) + b_Q"),
        ("cuda/window.py", "d * d), 0)\n            seen", "d * d * 1.001), 0)\n            seen"),
        ("cuda/window.py", "seen += tl.sum", "seen = tl.sum"),
        ("cuda/window.py", "tl.constexpr(106.0)", "tl.constexpr(1.06)"),
    ],
    "cuda/forward.py, forward": [
        ("cuda/forward.py", "seen_2BS + ((t + 1) % 2) * rows * SEEN,", "seen_2BS + (t % 2) * rows * SEEN,"),
        ("cuda/product.py", "factor(w), input_precision=PRECISION", 'factor(w), input_precision="tf32"'),
        THREE_TF32_OF_WINDOW,
    ],
    "packed.py, packed_window": [BOUND, ("packed.py", "kappa_BK + advance_BK", "kappa_BK - advance_BK")],
    "native/step.c, window": [
        BOUND,
        ("native/step.c", "float alpha = p[k], beta = p[K + k]", "float beta = p[k], alpha = p[K + k]"),
        ("native/step.c", "(at - (u + 1)) * (at - (u + 1))", "(at - u) * (at - u)"),
    ],
    "window_steps.py, window_backward": [
        ("window_steps.py", "-2 * alpha_TBK * beta_TBK", "2 * alpha_TBK * beta_TBK"),
        ("window_steps.py", "-alpha_TBK * beta_TBK, ", "-alpha_TBK * alpha_TBK, "),
    ],
    "native/window.c, window_backward": [
        ("native/window.c", "- 2 * alpha * beta * sum_d", "- alpha * beta * sum_d"),
        ("native/window.c", "-alpha * beta * sum_dd", "alpha * beta * sum_dd"),
    ],
    "cuda/window.py, backward": [
        ("cuda/window.py", "dkappa += -2 * alpha", "dkappa += -1 * alpha"),
        ("cuda/window.py", "for_beta += second", "for_beta += first"),
        ("cuda/window.py", "for_kappa += first", "for_kappa = first"),
        ("cuda/window.py", "advance * dkappa", "beta * dkappa"),
        ("cuda/window.py", "p = part[:, None] * K + k[None, :]", "p = part[:, None] * 0 + k[None, :]"),
        ("cuda/window.py", "(t + 1 < steps)", "(t + 2 < steps)"),
        ("cuda/window.py", "(gate[:, None, None] * H + n", "(gate[:, None, None] * 0 + n"),
        ("cuda/product.py", "tl.join(tl.join(i, g), tl.join(f, o))", "tl.join(tl.join(i, f), tl.join(g, o))"),
    ],
    "cuda/backward.py, backward": [
        ("cuda/backward.py", "dh + from_later, real", "dh - from_later, real"),
        ("cuda/backward.py", "dh += window.handed_back(", "dh -= window.handed_back("),
        THREE_TF32_OF_WINDOW,
    ],
}
"""For each form, texts that stand once in a file of it, and what becomes of them."""


@pytest.fixture
def mutant(tmp_path, monkeypatch):
    """`mutant(file, old, new, needs)` gives the copy's table and operands; of the C, what it `needs` is kept.
    Without arguments nothing is changed."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    name = f"mutant_{next(NUMBERS)}"

    def make(file: str = "", old: str = "", new: str = "", needs: Iterable[str] = ("*",)):
        shutil.copytree(NN, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
        for path in (tmp_path / name).rglob("*.c"):
            if not any(map(path.match, needs)):
                path.unlink()
        for path in (tmp_path / name).rglob("*.*"):
            if path.suffix in (".py", ".c", ".h"):
                text = path.read_text(encoding="utf-8")
                if str(path.relative_to(tmp_path / name)) == file:
                    assert text.count(old) == 1, f"{file} has {old!r} {text.count(old)} times"
                    text = text.replace(old, new)
                text = text.replace("graves_lm.nn", name).replace("graves_lm::", f"{name}::")
                path.write_text(text.replace('"-O3"', '"-O1"'), encoding="utf-8")  # compiled faster
        return importlib.import_module(f"{name}.forms"), importlib.import_module(f"{name}.operands")

    yield make
    for loaded in [m for m in sys.modules if m.split(".")[0] == name]:
        del sys.modules[loaded]


def rows_of(table) -> dict:
    return {f"{form.file}, {form.name}": form for group in table.FORMS.values() for form in group}


def test_every_form_has_its_mutants():
    assert MUTATIONS.keys() == ROWS.keys()


@pytest.mark.parametrize(
    ("row", "mutation"), [(row, m) for row, mutations in MUTATIONS.items() for m in mutations]
)
def test_a_changed_constant_is_found(row, mutation, mutant):
    form, case = ROWS[row]
    if not form.serves():
        pytest.skip("not on this machine")
    needs = form.file.replace("gates.h", "gates.c") if form.file.startswith("native/") else "none"
    table, names = mutant(*mutation, {needs, "native/team.c"} if needs == "native/step.c" else {needs})
    changed = rows_of(table)[row]
    assert changed.serves()
    assert error(changed, case, names) > 3


def test_a_copy_without_a_change_is_found_good(mutant):
    table, names = mutant()
    for row, form in rows_of(table).items():
        if form.serves():
            assert error(form, ROWS[row][1], names) < 1
