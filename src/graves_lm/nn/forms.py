"""All places where the equations of the recurrences stand, in one table.

The LSTM (7)–(11) and the soft window (46)–(51) are written more than once: for one step in differentiable
torch, for whole sequences with a backward pass by hand, in C, in Triton, and for sampling. Who changes
an equation changes it in every row of `FORMS` that names it. The tests run each row on one small problem,
compare it with the equations in float64, and show for each that a changed constant in its text is found.
"""

import os
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any, NamedTuple

import torch

from graves_lm.nn import native
from graves_lm.nn.form_runs import (
    cast,
    lstm_by_single_steps,
    lstm_in_step_c,
    lstm_packed,
    states,
    triton,
    window_by_single_steps,
    window_in_step_c,
    window_packed,
    window_states,
)
from graves_lm.nn.lstm import lstm_backward_by_steps, lstm_backward_on_cpu, lstm_by_steps, lstm_on_cpu
from graves_lm.nn.window_lstm import window_lstm_backward_by_steps, window_lstm_by_steps

_EXPORTED = {
    "native/gates.h": "gates_forward",
    "native/lstm.c": "lstm_forward",  # for processors with AVX-512 alone
    "native/window.c": "window_forward",
    "native/step.c": "network_step",
}


class Form(NamedTuple):
    """One row: where some equations stand, and in which form.

    Called with operands of its direction (`nn.operands`, in float64, which it rounds to its own dtype), a
    forward form gives an `LSTMStates` or a `WindowStates` (`nn.form_runs`), a backward one the gradients.

    Args:
        file, name: where its lines stand, in this folder.
        what: what kind of form it is.
        run: what computes it: for float32 the loops of `nn.lstm` and `nn.window_lstm` take the kernels in C
            where there are some, for float64 plain torch.
    """

    file: str
    name: str
    what: str
    run: Callable[[Any], Any]

    def __call__(self, given: Any) -> Any:
        return self.run(cast(given, self.dtype))

    @property
    def dtype(self) -> torch.dtype:
        return torch.float32 if self.file.startswith(("native/", "cuda/")) else torch.float64

    def serves(self) -> bool:
        """Whether this machine can run it; kernels in Triton without a GPU in its interpreter."""
        if self.file in _EXPORTED:
            return native.kernel(_EXPORTED[self.file]) is not None
        if not self.file.startswith("cuda/"):
            return True
        runs = torch.cuda.is_available() or os.environ.get("TRITON_INTERPRET") == "1"
        return runs and find_spec("triton") is not None


LSTM_FORWARD = (
    Form("lstm.py", "lstm_step", "one step, torch", lstm_by_single_steps),
    Form("gates.py", "gates_forward", "sequence, torch", states(lstm_by_steps)),
    Form("native/gates.h", "forward_row", "step of a sequence, C", states(lstm_by_steps)),
    Form("native/lstm.c", "lstm_forward", "sequence in one call, C", states(lstm_on_cpu)),
    Form("cuda/gates.py", "forward", "step of a sequence, Triton", states(triton("lstm"))),
    Form("cuda/forward.py", "step", "sequence in one launch, Triton", states(triton("lstm"))),
    Form("packed.py", "packed_gates", "step of a sample, torch", lstm_packed),
    Form("native/step.c", "units", "step of a sample, C", lstm_in_step_c),
)
"""(7)–(11)."""

LSTM_BACKWARD = (
    Form("gates.py", "gates_backward", "sequence, torch", lstm_backward_by_steps),
    Form("native/gates.h", "backward_row", "step of a sequence, C", lstm_backward_by_steps),
    Form("native/lstm.c", "lstm_backward", "sequence in one call, C", lstm_backward_on_cpu),
    Form("cuda/gates.py", "backward", "step of a sequence, Triton", triton("lstm_backward")),
    Form("cuda/backward.py", "gates_step", "sequence in one launch, Triton", triton("lstm_backward")),
)
"""The gradients of (7)–(11), with the clip at every step."""

WINDOW_FORWARD = (
    Form("window.py", "window_parameters", "one step, torch", window_by_single_steps),
    Form("window_steps.py", "window_forward", "sequence, torch", window_states(window_lstm_by_steps)),
    Form("native/window.c", "window_forward", "step of a sequence, C", window_states(window_lstm_by_steps)),
    Form("cuda/window.py", "forward", "step of a sequence, Triton", window_states(triton("window_lstm"))),
    Form(
        "cuda/forward.py", "forward", "sequence in one launch, Triton", window_states(triton("window_lstm"))
    ),
    Form("packed.py", "packed_window", "step of a sample, torch", window_packed),
    Form("native/step.c", "window", "step of a sample, C", window_in_step_c),
)
"""(46)–(51), in the recurrence (52)."""

WINDOW_BACKWARD = (
    Form("window_steps.py", "window_backward", "sequence, torch", window_lstm_backward_by_steps),
    Form("native/window.c", "window_backward", "step of a sequence, C", window_lstm_backward_by_steps),
    Form("cuda/window.py", "backward", "step of a sequence, Triton", triton("window_lstm_backward")),
    Form("cuda/backward.py", "backward", "sequence in one launch, Triton", triton("window_lstm_backward")),
)
"""The gradients of (46)–(52)."""

FORMS: dict[str, tuple[Form, ...]] = {
    "(7)–(11)": LSTM_FORWARD,
    "(7)–(11), gradients": LSTM_BACKWARD,
    "(46)–(51)": WINDOW_FORWARD,
    "(46)–(51), gradients": WINDOW_BACKWARD,
}
