"""The recurrence in one compiled call against the same one step by step."""

import math

import pytest
import torch

from graves_lm.nn import lstm, native, whole


def run(T, B, H, peepholes, clip):
    """h, the last state and all derivatives of an LSTM at random weights."""
    torch.manual_seed(0)
    z_TBG, h0_BH, c0_BH = torch.randn(T, B, 4 * H), torch.randn(B, H), torch.randn(B, H)
    w_GH, peephole_3H = torch.randn(4 * H, H) / math.sqrt(H), torch.randn(3, H) if peepholes else None
    given = [x.requires_grad_() for x in (z_TBG, h0_BH, c0_BH, w_GH, peephole_3H) if x is not None]
    h_TBH, last = lstm.lstm(z_TBG, lstm.LSTMState(h0_BH, c0_BH), w_GH, peephole_3H, clip)
    made = (h_TBH, last.c_BH)
    torch.autograd.backward(made, [torch.randn_like(x) for x in made])
    return [*made, *(x.grad for x in given)]


@pytest.mark.parametrize("H", [1, 16, 37, 144])
@pytest.mark.parametrize("B", [1, 6, 13])
@pytest.mark.parametrize("threads", [1, 2, 3, 7])
@pytest.mark.parametrize(("peepholes", "clip"), [(True, 0.3), (False, None)])
def test_equals_the_loop_of_single_steps(monkeypatch, threads, B, H, peepholes, clip):
    if native.kernel("lstm_forward") is None:
        pytest.skip("no C compiler, or no AVX-512, here")
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        found = run(4, B, H, peepholes, clip)
        monkeypatch.setattr(whole, "MOST_ROWS", 0)
        expected = run(4, B, H, peepholes, clip)
    finally:
        torch.set_num_threads(before)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=2e-5)


def test_it_is_used_where_it_can_be_and_nowhere_else(monkeypatch):
    if native.kernel("lstm_forward") is None:
        pytest.skip("no C compiler, or no AVX-512, here")
    asked, kernel = [], native.kernel
    monkeypatch.setattr(native, "kernel", lambda name: asked.append(name) or kernel(name))
    run(3, 2, 8, True, 1.0)
    assert set(asked) == {"lstm_forward", "lstm_backward"}
    asked.clear()
    run(3, whole.MOST_ROWS + 1, 8, True, 1.0)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        run(3, 2, 8, True, 1.0)
    assert set(asked) == {"gates_forward", "gates_backward"}


def test_results_do_not_depend_on_the_number_of_threads():
    before, found = torch.get_num_threads(), []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        found.append(run(5, 7, 50, True, 0.3)[:2])
    torch.set_num_threads(before)
    assert all(torch.equal(one, other) for one, other in zip(*found, strict=True))
