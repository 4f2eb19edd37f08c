"""The recurrences on a GPU: kernels in Triton, each of which runs all steps in one launch.

`by_kernels` makes an operator's form for CUDA; `kernels` decides whether they can serve a call. Where not,
the operators run in plain torch, which gives the same results slower: without Triton (it comes with torch's
CUDA build) or a C compiler for its launcher, for float64, inside a CUDA graph that somebody else captures,
and with GRAVES_LM_NATIVE=0 in the environment.
"""

import functools
import logging
import os
from collections.abc import Callable
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

log = logging.getLogger(__name__)

_PRODUCTS = (torch.float32, torch.bfloat16, torch.float16)


def kernels(z_TBG: Tensor, w: Tensor, c0_BH: Tensor) -> ModuleType | None:
    """`nn.cuda.recurrences` if it can run on these inputs, recurrent weights and state, else None."""
    if not z_TBG.is_cuda or os.environ.get("GRAVES_LM_NATIVE") == "0":
        return None
    if c0_BH.dtype != torch.float32 or w.dtype not in _PRODUCTS:
        return None
    return None if torch.cuda.is_current_stream_capturing() else _recurrences()


def by_kernels(name: str, plain: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """The form for CUDA of the operator `name`: that of `nn.cuda.recurrences` where it can run, else `plain`.

    What it takes is a NamedTuple of `nn.operands`.
    """

    def form(given: Any) -> Any:
        w = given.w_GH if hasattr(given, "w_GH") else given.w_GF
        sequence_TBG = given.z_TBG if hasattr(given, "z_TBG") else given.a_TBG
        gpu = kernels(sequence_TBG, w, given.c0_BH)
        return plain(given) if gpu is None else getattr(gpu, name)(given)

    return form


@functools.cache
def _recurrences() -> ModuleType | None:
    try:
        from graves_lm.nn.cuda import recurrences

        recurrences.try_out()
    except Exception as error:  # of an import, a compiler, a driver: whatever it is, plain torch works
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        log.warning(
            f"no Triton kernels ({reason}): plain torch on CUDA in their place (slower; same results)"
        )
        return None
    return recurrences
