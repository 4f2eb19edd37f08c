"""`graves_lm::lstm`, `graves_lm::window_lstm` and their backward passes on a GPU.

Arguments and results are those of `nn.operands`.

The loop over time is one launch (`nn.cuda.forward`, `nn.cuda.backward`); all that needs no loop is plain
torch around it.
"""

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.nn.functional import pad

from graves_lm.nn.cuda import backward, forward, tiles
from graves_lm.nn.cuda.launch import launch
from graves_lm.nn.operands import (
    LSTMBackwardInputs,
    LSTMGradients,
    LSTMInputs,
    LSTMTrace,
    WindowLSTMBackwardInputs,
    WindowLSTMGradients,
    WindowLSTMInputs,
    WindowLSTMTrace,
)
from graves_lm.nn.products import ALIGNED
from graves_lm.nn.window import LARGEST_EXPONENT

CHARACTERS = 64
"""How much of a text the window looks at in one go."""
WEIGHTS_OF_W = 16 * 1024
"""Bytes of the weights from w to its gates that a program holds in the backward pass: with twice as many,
ptxas puts registers into memory."""

_FORWARD_ALONE = dict.fromkeys(("symbol_BU", "kappa_TBK", "p_TBP", "summed_SBQ", "w_PH", "b_P", "kappa0_BK"))
_BACKWARD_ALONE = dict.fromkeys(
    (
        *("carried_BH", "symbol_BU", "kappa_TBK", "p_TBP", "dkappa_TBK"),
        *("dkappa_BK", "dp_TBP", "dp_BQ", "dw_SBC", "w_PH"),
    )
)


def lstm(given: LSTMInputs) -> LSTMTrace:
    hw0_BF, rest = given.h0_BH, (given.c0_BH, _FORWARD_ALONE)
    h_TBH, c_TBH, a_TBG = _forward(given.z_TBG, given.w_GH, given.peephole_3H, hw0_BF, *rest, K=0, U=0)
    return LSTMTrace(h_TBH=h_TBH, cT_BH=c_TBH[-1].clone(), c_TBH=c_TBH, a_TBG=a_TBG)


def lstm_backward(given: LSTMBackwardInputs) -> LSTMGradients:
    w_GH = given.w_GH
    dz_TBG, dpeephole_3H, dc_BH = _backward(given, given.dh_TBH, w_GH, _BACKWARD_ALONE, K=0, U=0)
    return LSTMGradients(
        dz_TBG=dz_TBG,
        dw_GH=_weight_gradient(dz_TBG, given.h_TBH, given.h0_BH),
        dpeephole_3H=dpeephole_3H,
        dh0_BH=(dz_TBG[0] @ w_GH).to(given.h0_BH.dtype),
        dc0_BH=dc_BH,
    )


def window_lstm(given: WindowLSTMInputs) -> WindowLSTMTrace:
    (T, B, _), K, c0_BH = given.z_TBG.shape, given.kappa0_BK.shape[1], given.c0_BH
    kappa_TBK, p_TBP = c0_BH.new_empty(T, B, K), c0_BH.new_empty(T, B, 3 * K)
    of_window = {
        "symbol_BU": given.symbol_BU.long().contiguous(),
        "kappa_TBK": kappa_TBK,
        "p_TBP": p_TBP,
        "summed_SBQ": None,
        "w_PH": given.w_PH.contiguous(),
        "b_P": given.b_P.contiguous(),
        "kappa0_BK": given.kappa0_BK.contiguous(),
    }
    hw0_BF, rest = torch.cat([given.h0_BH, given.w0_BC], dim=1), (c0_BH, of_window, K)
    U = given.symbol_BU.shape[1]
    hw_TBF, c_TBH, a_TBG = _forward(given.z_TBG, given.w_GF, given.peephole_3H, hw0_BF, *rest, U)
    return WindowLSTMTrace(
        hw_TBF=hw_TBF,
        kappa_TBK=kappa_TBK,
        cT_BH=c_TBH[-1].clone(),
        p_TBP=p_TBP,
        c_TBH=c_TBH,
        a_TBG=a_TBG,
    )


def window_lstm_backward(given: WindowLSTMBackwardInputs) -> WindowLSTMGradients:
    hw_TBF, kappa_TBK, p_TBP, w_GF = given.hw_TBF, given.kappa_TBK, given.p_TBP, given.w_GF
    (_, B, K), H = kappa_TBK.shape, given.c0_BH.shape[1]
    dp_TBP, dkappa_BK = torch.empty_like(p_TBP), kappa_TBK.new_zeros(B, K)
    of_window = {
        "carried_BH": torch.empty_like(given.c0_BH),
        "symbol_BU": given.symbol_BU.long().contiguous(),
        "kappa_TBK": kappa_TBK,
        "p_TBP": p_TBP,
        "dkappa_TBK": None if given.dkappa_TBK is None else given.dkappa_TBK.contiguous(),
        "dkappa_BK": dkappa_BK,
        "dp_TBP": dp_TBP,
        "dp_BQ": p_TBP.new_zeros(B, 4 * _places(K)),
        "dw_SBC": None,
        "w_PH": given.w_PH.contiguous(),
    }
    U = given.symbol_BU.shape[1]
    dz_TBG, dpeephole_3H, dc_BH = _backward(given, given.dhw_TBF, w_GF, of_window, K, U)
    dh_BH, dw_BC = (dz_TBG[0] @ w_GF).to(given.c0_BH.dtype).tensor_split([H], dim=1)
    return WindowLSTMGradients(
        dz_TBG=dz_TBG,
        dw_GF=_weight_gradient(dz_TBG, hw_TBF, torch.cat([given.h0_BH, given.w0_BC], dim=1)),
        dpeephole_3H=dpeephole_3H,
        dw_PH=dp_TBP.flatten(0, 1).t() @ hw_TBF.flatten(0, 1)[:, :H],
        db_P=dp_TBP.sum((0, 1)),
        dh0_BH=dh_BH.clone(),
        dc0_BH=dc_BH,
        dkappa0_BK=dkappa_BK,
        dw0_BC=dw_BC.clone(),
    )


def _forward(
    z_TBG: Tensor,
    w_GF: Tensor,
    peephole_3H: Tensor | None,
    hw0_BF: Tensor,
    c0_BH: Tensor,
    of_window: dict[str, Any],
    K: int,
    U: int,
) -> tuple[Tensor, Tensor, Tensor]:
    """hw_TBF, c_TBH and a_TBG; what of_window names is filled in."""
    (T, B, G), (H, F) = z_TBG.shape, (c0_BH.shape[1], w_GF.shape[1])
    hw_TBF, c_TBH, a_TBG = (c0_BH.new_empty(T, B, n) for n in (F, H, G))
    seen = _aligned(F)
    seen_2BS = w_GF.new_zeros(2, B, seen)
    seen_2BS[0, :, :F] = hw0_BF
    w_GS = pad(w_GF, (0, seen - F)) if seen > F else w_GF.contiguous()
    shape = tiles.Shape(outputs=H, terms=seen, columns=4, rows=B)
    arguments = of_window | {
        "z_TBG": z_TBG.to(w_GF.dtype).contiguous(),
        "a_TBG": a_TBG,
        "c_TBH": c_TBH,
        "hw_TBF": hw_TBF,
        "seen_2BS": seen_2BS,
        "peephole_3H": None if peephole_3H is None else peephole_3H.contiguous(),
        "c0_BH": c0_BH.contiguous(),
        "characters": U,
        "TICKS": 2 if K else 1,
        "SEEN": seen,
        "H": H,
        "F": F,
        "LARGEST": LARGEST_EXPONENT,
    }
    _run(forward.forward, shape, w_GS, T, arguments | _window_constants(H, F, K))
    return hw_TBF, c_TBH, a_TBG


def _backward(
    given: LSTMBackwardInputs | WindowLSTMBackwardInputs,
    dhw_TBF: Tensor,
    w_GF: Tensor,
    of_window: dict[str, Any],
    K: int,
    U: int,
) -> tuple[Tensor, Tensor, Tensor]:
    """dz_TBG, dpeephole_3H and the gradient with respect to c0_BH; what of_window names is filled in."""
    (T, B, F), c0_BH, peephole_3H = dhw_TBF.shape, given.c0_BH, given.peephole_3H
    H, dcT_BH = c0_BH.shape[1], given.dcT_BH
    dz_TBG = torch.empty_like(given.a_TBG, dtype=w_GF.dtype)
    dc_BH = torch.zeros_like(c0_BH) if dcT_BH is None else dcT_BH.contiguous().clone()
    dpeephole_B3H = c0_BH.new_zeros(B, 3, H)
    arguments = of_window | {
        "dhw_TBF": dhw_TBF.contiguous(),
        "a_TBG": given.a_TBG,
        "c_TBH": given.c_TBH,
        "dz_TBG": dz_TBG,
        "dc_BH": dc_BH,
        "dpeephole_B3H": dpeephole_B3H,
        "peephole_3H": None if peephole_3H is None else peephole_3H.contiguous(),
        "c0_BH": c0_BH.contiguous(),
        "clip": given.clip,
        "characters": U,
        "TICKS": 2 if K else 1,
        "H": H,
        "F": F,
    }
    shape = tiles.Shape(outputs=H, terms=4 * H, columns=1, rows=B)
    _run(backward.backward, shape, w_GF.contiguous(), T, arguments | _window_constants(H, F, K))
    return dz_TBG, dpeephole_B3H.sum(0), dc_BH


def _weight_gradient(dz_TBG: Tensor, hw_TBF: Tensor, hw0_BF: Tensor) -> Tensor:
    """The gradient with respect to w_GF: `products.recurrent_derivative` as one product of aligned rows."""
    T, B, F = hw_TBF.shape
    before_TBS = dz_TBG.new_empty(T, B, _aligned(F))
    before_TBS[0, :, :F] = hw0_BF
    before_TBS[1:, :, :F] = hw_TBF[:-1]
    before_TBS[:, :, F:] = 0
    return torch.mm(dz_TBG.flatten(0, 1).t(), before_TBS.flatten(0, 1))[:, :F].contiguous()


def _run(kernel: Any, shape: tiles.Shape, w: Tensor, steps: int, arguments: dict[str, Any]) -> None:
    """All steps of a recurrence with these weights."""
    device, K, precision = w.device, arguments["K"], _precision()
    there = tiles.processors(device)
    chosen = tiles.choose(shape, w.dtype, there.shared)
    plan = tiles.launch(chosen, shape, there.number, least_units=16 if K else 1)
    # A counter for each group, each in a cache line of its own.
    counter = torch.zeros(plan.groups, 32, dtype=torch.int32, device=device)
    arguments |= {"counter": counter, "steps": steps, "rows": shape.rows, **plan.constants}
    arguments |= {"PRECISION": precision, "OF_WINDOW": "ieee" if precision == "ieee" else "tf32x3"}
    arguments |= {"TILE_PLACES": triton.next_power_of_2(plan.tiles)}
    weights, summed, numbers = "w_GF", "dw_SBC", arguments["C_PLACES"]
    bytes_of_one = 4 * plan.constants["UNITS"] * w.element_size()
    arguments["COLUMNS"] = min(arguments["C_PLACES"], max(16, WEIGHTS_OF_W // bytes_of_one))
    if kernel is forward.forward:
        weights, summed, numbers = "w_GS", "summed_SBQ", 4 * arguments["K_PLACES"]
    arguments[weights] = w
    if K:
        arguments[summed] = w.new_empty(plan.tiles, shape.rows, numbers, dtype=torch.float32)
    for first, last in launches(steps * arguments["TICKS"], device):
        launch(kernel, (plan.tiles, plan.groups, 1), arguments | {"first": first, "last": last}, device)


def launches(ticks: int, device: torch.device) -> list[tuple[int, int]]:
    """First and last tick of each launch: one for all where the programs of a launch can wait for each other,
    which those of Triton's interpreter, run one after the other, cannot."""
    return [(0, ticks)] if device.type == "cuda" else [(tick, tick + 1) for tick in range(ticks)]


def _precision() -> str:
    """How float32 numbers are multiplied: as torch's own products are told to. Where they are not told, a
    product is made of three of TF32: as near the exact one as sums in float32 are (docs/performance.md)."""
    return {"tf32": "tf32", "ieee": "ieee"}.get(torch.backends.cuda.matmul.fp32_precision, "tf32x3")


def _aligned(numbers: int) -> int:
    """The length of a row that holds so many numbers and can be read in large pieces."""
    return triton.cdiv(numbers, ALIGNED) * ALIGNED


def _places(numbers: int) -> int:
    """Places for so many numbers: a power of two, of which the tensor cores take 16 at a time."""
    return max(16, triton.next_power_of_2(numbers)) if numbers else 1


def _window_constants(H: int, F: int, K: int) -> dict[str, int]:
    c_places = _places(F - H)
    characters = max(2, min(CHARACTERS, 8192 // c_places))  # a program holds CHARACTERS × C numbers at once
    return {"K": K, "K_PLACES": _places(K), "C_PLACES": c_places, "CHARACTERS": characters}


@triton.jit
def _nothing(x):
    tl.store(x, 0.0)


def try_out() -> None:
    """Raises what keeps Triton from working here: no C compiler, a driver or a GPU that it does not know."""
    _nothing[(1,)](torch.empty(1, device="cuda"), launch_cooperative_grid=True)
