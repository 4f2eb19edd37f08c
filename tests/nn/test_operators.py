"""Operators of named arguments: what torch has registered, what a call keeps for its backward pass."""

from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from graves_lm.nn import cuda
from graves_lm.nn import lstm as lstm_module
from graves_lm.nn import window_lstm as window_module
from graves_lm.nn.lstm import LSTMState, lstm
from graves_lm.nn.operators import ANY_DEVICE, Operator

OPERATORS = {
    "lstm": lstm_module._lstm,
    "lstm_backward": lstm_module._lstm_backward,
    "window_lstm": window_module._window_lstm,
    "window_lstm_backward": window_module._window_lstm_backward,
}


class Scaled(NamedTuple):
    x_N: Tensor
    bias_N: Tensor | None
    factor: float


class Out(NamedTuple):
    y_N: Tensor
    spare_N: Tensor


class Kept(NamedTuple):
    has_bias: bool
    factor: float


def test_fields_go_in_by_their_order_and_come_out_by_their_names():
    def form(given: Scaled) -> Out:
        y_N = given.factor * given.x_N
        return Out(y_N if given.bias_N is None else y_N + given.bias_N, torch.zeros_like(y_N))

    def backward(kept: Kept, gradients: Out) -> Scaled:
        assert gradients.spare_N is None  # the loss does not depend on it
        return Scaled(kept.factor * gradients.y_N, gradients.y_N.clone() if kept.has_bias else None, None)

    operator = Operator("test_scaled", Scaled, Out, form)
    operator.differentiable(lambda given, made: Kept(given.bias_N is not None, given.factor), backward)
    schema = str(torch.ops.graves_lm.test_scaled.default._schema)
    assert schema.endswith("(Tensor x_N, Tensor? bias_N, float factor) -> (Tensor, Tensor)")
    x_N, bias_N = torch.tensor([1.0, 2.0], requires_grad=True), torch.ones(2, requires_grad=True)
    y_N = operator(Scaled(x_N=x_N, bias_N=bias_N, factor=3.0)).y_N
    assert y_N.tolist() == [4, 7]
    dx_N, dbias_N = torch.autograd.grad(y_N.sum(), (x_N, bias_N))
    assert (dx_N.tolist(), dbias_N.tolist()) == ([3, 3], [1, 1])
    without = operator(Scaled(x_N=x_N, bias_N=None, factor=3.0)).y_N
    assert torch.autograd.grad(without.sum(), x_N)[0].tolist() == [3, 3]
    operator.on("cpu", lambda given: Out(-given.x_N, given.x_N + 0))
    assert operator(Scaled(x_N, None, 3.0)).y_N.tolist() == [-1, -2]


def test_in_inference_mode_the_form_of_the_device_is_called_without_torchs_dispatcher(monkeypatch):
    """The same results; traced code and tensors of a tracer go through the dispatcher."""
    operator = Operator("test_untraced", Scaled, Out, lambda given: Out(given.x_N + 1, given.x_N + 2))
    operator.on("cpu", lambda given: Out(-given.x_N, given.x_N * 5))
    x_N, dispatched = torch.ones(2), []
    dispatcher = operator._operator
    monkeypatch.setattr(operator, "_operator", lambda *given: dispatched.append(1) or dispatcher(*given))

    def results(given_N):
        return [y.tolist() for y in operator(Scaled(given_N, None, 1.0))]

    expected = results(x_N)
    assert expected == [[-1, -1], [5, 5]]
    assert len(dispatched) == 1
    with torch.inference_mode():
        assert results(x_N) == results(torch.nn.Parameter(x_N)) == expected
        assert len(dispatched) == 1
        meta = operator._untraced_form(Scaled(torch.ones(2, device="meta"), None, 1.0))
        assert meta is operator.forms[ANY_DEVICE]

        class Traced(torch.Tensor):
            pass

        assert results(x_N.as_subclass(Traced)) == expected
        assert len(dispatched) == 2
        monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
        assert results(x_N) == expected
        assert len(dispatched) == 3


@pytest.mark.parametrize("name", OPERATORS)
def test_each_kind_of_device_has_a_form_of_its_own(name):
    has = torch._C._dispatch_has_kernel_for_dispatch_key
    assert has(f"graves_lm::{name}", "CUDA")
    assert has(f"graves_lm::{name}", "CPU") == name.startswith("lstm")
    assert has(f"graves_lm::{name}", "CompositeExplicitAutograd")


@pytest.mark.parametrize("name", OPERATORS)
def test_on_cuda_plain_torch_serves_where_the_kernels_cannot(name, monkeypatch):
    """On a CPU's tensors, to which `kernels` says no; the choice is the same."""
    plain = OPERATORS[name].forms[ANY_DEVICE]
    asked = []
    monkeypatch.setattr(cuda, "kernels", lambda *of: asked.append(of))
    w, sequence = ("w_GF", "z_TBG") if name == "window_lstm" else ("w_GH", "a_TBG")
    z, c0 = torch.ones(1), torch.ones(2)
    given = type("Given", (), {w: "w", sequence: z, "c0_BH": c0})()
    served = cuda.by_kernels(name, lambda given: ("plain", given))
    assert served(given) == ("plain", given)
    assert asked == [(z, "w", c0)]
    kernels = type("Module", (), {name: staticmethod(lambda given: ("kernels", given))})
    monkeypatch.setattr(cuda, "kernels", lambda *of: kernels)
    assert served(given) == ("kernels", given)
    assert OPERATORS[name].forms["cuda"].__closure__ is not None
    assert plain in [cell.cell_contents for cell in OPERATORS[name].forms["cuda"].__closure__]


def test_z_is_not_kept_for_the_backward_pass():
    T, B, H = 5, 2, 3
    z_TBG, w_GH = torch.randn(T, B, 4 * H, requires_grad=True), torch.randn(4 * H, H, requires_grad=True)
    zeros, kept = torch.zeros(B, H), []
    with torch.autograd.graph.saved_tensors_hooks(lambda x: kept.append(tuple(x.shape)) or x, lambda x: x):
        lstm(z_TBG, LSTMState(zeros, zeros), w_GH)
    # the activations, h and c of all steps, the weights and the first state
    assert sorted(kept) == sorted([(T, B, 4 * H), (T, B, H), (T, B, H), (4 * H, H), (B, H), (B, H)])


def test_the_clip_is_found_on_the_graphs_node():
    """Figures of training count by it how many gradients are clipped."""
    z_TBG, w_GH = torch.randn(2, 1, 8, requires_grad=True), torch.randn(8, 2)
    h_TBH, _ = lstm(z_TBG, LSTMState(torch.zeros(1, 2), torch.zeros(1, 2)), w_GH, clip=0.25)
    assert h_TBH.grad_fn.clip == 0.25
