"""`graves_lm::lstm`, `graves_lm::window_lstm` and their backward passes on a GPU.

Arguments and results are those of `nn.operands`.

The loops keep, for each step, the product with the recurrent weights (cuBLAS) and one or two Triton kernels;
all that needs no loop is plain torch after it.
"""

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from graves_lm.nn.cuda import gates, window
from graves_lm.nn.cuda.loop import Loop, loop_for, on
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
from graves_lm.nn.products import recurrent_derivative
from graves_lm.nn.window import LARGEST_EXPONENT


class _Forward(Loop):
    sequences = 4

    def __init__(
        self,
        device: torch.device,
        B: int,
        H: int,
        F: int,
        peepholes: bool,
        w_dtype: torch.dtype,
    ):
        super().__init__(device, B)
        self.w_GF = self.buffer(4 * H, F, dtype=w_dtype)
        self.seen_BF = self.buffer(B, F, dtype=w_dtype)
        self.product_BG = self.buffer(B, 4 * H, dtype=w_dtype)
        self.c_BH = self.buffer(B, H)
        self.peephole_3H = self.buffer(3, H) if peepholes else None
        self.grid = (triton.cdiv(H, gates.BLOCK), B)
        self.constants: dict[str, Any] = {"H": H, "F": F, "BLOCK": gates.BLOCK}

    def begin(self, w_GF: Tensor, peephole_3H: Tensor | None, seen_BF: Tensor, c_BH: Tensor) -> None:
        self.w_GF.copy_(w_GF)
        self.seen_BF[: len(seen_BF)].copy_(seen_BF)
        self.c_BH[: len(c_BH)].copy_(c_BH)
        if self.peephole_3H is not None and peephole_3H is not None:
            self.peephole_3H.copy_(peephole_3H)

    def step(self, k: int) -> None:
        torch.mm(self.seen_BF, self.w_GF.t(), out=self.product_BG)
        gates.forward[self.grid](
            self.table, k, self.product_BG, self.seen_BF, self.c_BH, self.peephole_3H, **self.constants
        )


class _Backward(Loop):
    sequences = 5

    def __init__(
        self, device: torch.device, B: int, H: int, F: int, peepholes: bool, w_dtype: torch.dtype, clip: float
    ):
        super().__init__(device, B)
        self.w_GF = self.buffer(4 * H, F, dtype=w_dtype)
        self.dh_BF = self.buffer(B, F, dtype=w_dtype)
        self.dz_BG = self.buffer(B, 4 * H, dtype=w_dtype)
        self.dc_BH = self.buffer(B, H)
        self.peephole_3H = self.buffer(3, H) if peepholes else None
        self.dpeephole_B3H = self.buffer(B, 3, H)
        self.clip = clip
        self.grid = (triton.cdiv(H, gates.BLOCK), B)
        self.constants: dict[str, Any] = {"H": H, "F": F, "BLOCK": gates.BLOCK}

    def begin(self, w_GF: Tensor, peephole_3H: Tensor | None, dcT_BH: Tensor | None) -> None:
        self.w_GF.copy_(w_GF)
        self.dh_BF.zero_()
        self.dpeephole_B3H.zero_()
        self.dc_BH.zero_() if dcT_BH is None else self.dc_BH[: len(dcT_BH)].copy_(dcT_BH)
        if self.peephole_3H is not None and peephole_3H is not None:
            self.peephole_3H.copy_(peephole_3H)

    def _gates(self, k: int, dh: Tensor, complete: bool) -> None:
        rest = (self.dc_BH, self.dz_BG, self.peephole_3H, self.dpeephole_B3H, self.clip)
        gates.backward[self.grid](self.table, k, dh, *rest, COMPLETE=complete, **self.constants)
        torch.mm(self.dz_BG, self.w_GF, out=self.dh_BF)

    def step(self, k: int) -> None:
        self._gates(k, self.dh_BF, complete=False)


class _WindowForward(_Forward):
    sequences = 8

    def __init__(
        self,
        device: torch.device,
        B: int,
        H: int,
        F: int,
        peepholes: bool,
        w_dtype: torch.dtype,
        K: int,
    ):
        super().__init__(device, B, H, F, peepholes, w_dtype)
        self.w_PH, self.b_P = self.buffer(3 * K, H), self.buffer(3 * K)
        self.kappa_BK = self.buffer(B, K)
        self.window_constants = _window_constants(H, F, K) | {
            "LARGEST": LARGEST_EXPONENT,
            "C_PLACES": triton.next_power_of_2(F - H),
        }

    def step(self, k: int) -> None:
        super().step(k)
        rest = (self.seen_BF, self.kappa_BK, self.w_PH, self.b_P)
        window.forward[self.grid[1:]](self.table, k, *rest, **self.window_constants)


class _WindowBackward(_Backward):
    sequences = 11

    def __init__(
        self,
        device: torch.device,
        B: int,
        H: int,
        F: int,
        peepholes: bool,
        w_dtype: torch.dtype,
        clip: float,
        K: int,
    ):
        super().__init__(device, B, H, F, peepholes, w_dtype, clip)
        self.w_PH = self.buffer(3 * K, H)
        self.dh_BH, self.dkappa_BK = self.buffer(B, H), self.buffer(B, K)
        self.window_constants = _window_constants(H, F, K)

    def step(self, k: int) -> None:
        rest = (self.dh_BF, self.dh_BH, self.dkappa_BK, self.w_PH)
        window.backward[self.grid[1:]](self.table, k, *rest, **self.window_constants)
        self._gates(k, self.dh_BH, complete=True)


def _window_constants(H: int, F: int, K: int) -> dict[str, Any]:
    # A program holds CHARACTERS × C numbers at once.
    characters = max(2, min(window.CHARACTERS, 4096 // triton.next_power_of_2(F - H)))
    places = triton.next_power_of_2(K)
    return {"H": H, "F": F, "K": K, "K_PLACES": places, "UNITS": window.UNITS, "CHARACTERS": characters}


def lstm(given: LSTMInputs) -> LSTMTrace:
    (T, B, G), w_GH, c0_BH = given.z_TBG.shape, given.w_GH, given.c0_BH
    H = G // 4
    h_TBH, c_TBH, a_TBG = (c0_BH.new_empty(T, B, n) for n in (H, H, G))
    z_TBG = given.z_TBG.to(w_GH.dtype).contiguous()
    with on(z_TBG.device):
        settings = (B, H, H, given.peephole_3H is not None, w_GH.dtype)
        loop = loop_for(_Forward, z_TBG.device, *settings)
        with loop.lock:
            loop.begin(w_GH, given.peephole_3H, given.h0_BH, c0_BH)
            loop.run(T, B, z_TBG, a_TBG, c_TBH, h_TBH)
    return LSTMTrace(h_TBH=h_TBH, cT_BH=c_TBH[-1].clone(), c_TBH=c_TBH, a_TBG=a_TBG)


def lstm_backward(given: LSTMBackwardInputs) -> LSTMGradients:
    (T, B, H), a_TBG, w_GH = given.h_TBH.shape, given.a_TBG, given.w_GH
    dz_TBG = torch.empty_like(a_TBG, dtype=w_GH.dtype)
    dh_TBH, before_BH = given.dh_TBH.contiguous(), given.c0_BH.contiguous()
    with on(a_TBG.device):
        settings = (B, H, H, given.peephole_3H is not None, w_GH.dtype, given.clip)
        loop = loop_for(_Backward, a_TBG.device, *settings)
        with loop.lock:
            loop.begin(w_GH, given.peephole_3H, given.dcT_BH)
            loop.run(T, B, dh_TBH, a_TBG, given.c_TBH, before_BH, dz_TBG)
            dpeephole_3H = loop.dpeephole_B3H[:B].sum(0)
            dh_BH, dc_BH = loop.dh_BF[:B].to(given.h0_BH.dtype, copy=True), loop.dc_BH[:B].clone()
    return LSTMGradients(
        dz_TBG=dz_TBG,
        dw_GH=recurrent_derivative(dz_TBG, given.h_TBH, given.h0_BH),
        dpeephole_3H=dpeephole_3H,
        dh0_BH=dh_BH,
        dc0_BH=dc_BH,
    )


def window_lstm(given: WindowLSTMInputs) -> WindowLSTMTrace:
    (T, B, G), w_GF, c0_BH = given.z_TBG.shape, given.w_GF, given.c0_BH
    H, F, K = G // 4, w_GF.shape[1], given.kappa0_BK.shape[1]
    hw_TBF, kappa_TBK, p_TBP, c_TBH, a_TBG = (c0_BH.new_empty(T, B, n) for n in (F, K, 3 * K, H, G))
    z_TBG, symbol_BU = given.z_TBG.to(w_GF.dtype).contiguous(), given.symbol_BU.long().contiguous()
    with on(z_TBG.device):
        settings = (B, H, F, given.peephole_3H is not None, w_GF.dtype, K)
        loop = loop_for(_WindowForward, z_TBG.device, *settings)
        with loop.lock:
            loop.begin(w_GF, given.peephole_3H, torch.cat([given.h0_BH, given.w0_BC], dim=1), c0_BH)
            loop.w_PH.copy_(given.w_PH)
            loop.b_P.copy_(given.b_P)
            loop.kappa_BK[:B].copy_(given.kappa0_BK)
            loop.run(T, B, z_TBG, a_TBG, c_TBH, hw_TBF, symbol_BU, kappa_TBK, p_TBP, symbol_BU.shape[1])
    return WindowLSTMTrace(
        hw_TBF=hw_TBF,
        kappa_TBK=kappa_TBK,
        cT_BH=c_TBH[-1].clone(),
        p_TBP=p_TBP,
        c_TBH=c_TBH,
        a_TBG=a_TBG,
    )


def window_lstm_backward(given: WindowLSTMBackwardInputs) -> WindowLSTMGradients:
    hw_TBF, kappa_TBK, p_TBP, a_TBG = given.hw_TBF, given.kappa_TBK, given.p_TBP, given.a_TBG
    (T, B, F), w_GF, c0_BH = hw_TBF.shape, given.w_GF, given.c0_BH
    H, K = c0_BH.shape[1], kappa_TBK.shape[2]
    dz_TBG, dp_TBP = torch.empty_like(a_TBG, dtype=w_GF.dtype), torch.empty_like(p_TBP)
    dkappa_TBK = torch.zeros_like(kappa_TBK) if given.dkappa_TBK is None else given.dkappa_TBK.contiguous()
    dhw_TBF, symbol_BU = given.dhw_TBF.contiguous(), given.symbol_BU.long().contiguous()
    before_BH = c0_BH.contiguous()
    with on(a_TBG.device):
        settings = (B, H, F, given.peephole_3H is not None, w_GF.dtype, given.clip, K)
        loop = loop_for(_WindowBackward, a_TBG.device, *settings)
        with loop.lock:
            loop.begin(w_GF, given.peephole_3H, given.dcT_BH)
            loop.w_PH.copy_(given.w_PH)
            loop.dkappa_BK.zero_()
            gates_see = (dhw_TBF, a_TBG, given.c_TBH, before_BH, dz_TBG)
            window_sees = (symbol_BU, kappa_TBK, p_TBP, dkappa_TBK, dp_TBP, symbol_BU.shape[1])
            loop.run(T, B, *gates_see, *window_sees)
            dpeephole_3H = loop.dpeephole_B3H[:B].sum(0)
            dh_BH, dw_BC = (d.to(c0_BH.dtype, copy=True) for d in loop.dh_BF[:B].tensor_split([H], dim=1))
            dc_BH, dkappa_BK = loop.dc_BH[:B].clone(), loop.dkappa_BK[:B].clone()
    return WindowLSTMGradients(
        dz_TBG=dz_TBG,
        dw_GF=recurrent_derivative(dz_TBG, hw_TBF, torch.cat([given.h0_BH, given.w0_BC], dim=1)),
        dpeephole_3H=dpeephole_3H,
        dw_PH=dp_TBP.flatten(0, 1).t() @ hw_TBF.flatten(0, 1)[:, :H],
        db_P=dp_TBP.sum((0, 1)),
        dh0_BH=dh_BH,
        dc0_BH=dc_BH,
        dkappa0_BK=dkappa_BK,
        dw0_BC=dw_BC,
    )


@triton.jit
def _nothing(x):
    tl.store(x, 0.0)


def try_out() -> None:
    """Raises what keeps Triton from working here: no C compiler, a driver or a GPU that it does not know."""
    _nothing[(1,)](torch.empty(1, device="cuda"))
