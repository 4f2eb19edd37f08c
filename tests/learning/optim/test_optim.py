import math
from functools import partial
from itertools import pairwise

import pytest
import torch

from graves_lm.learning.optim import GravesRMSprop, Optimization
from graves_lm.runtime.errors import UserError


def test_rmsprop_follows_38_to_45():
    torch.manual_seed(0)
    w = torch.randn(5, dtype=torch.float64, requires_grad=True)
    expected = w.detach().clone().tolist()
    optimizer = GravesRMSprop([w])
    n, g, delta = [0.0] * 5, [0.0] * 5, [0.0] * 5
    for _ in range(30):
        epsilon = torch.randn(5, dtype=torch.float64)
        w.grad = epsilon.clone()
        optimizer.step()
        for i, e in enumerate(epsilon.tolist()):
            n[i] = 0.95 * n[i] + 0.05 * e * e
            g[i] = 0.95 * g[i] + 0.05 * e
            delta[i] = 0.9 * delta[i] - 1e-4 * e / math.sqrt(n[i] - g[i] * g[i] + 1e-4)
            expected[i] += delta[i]
    torch.testing.assert_close(w.detach(), torch.tensor(expected, dtype=torch.float64), rtol=0, atol=1e-12)


def test_rmsprop_survives_constant_derivatives_in_float32():
    """n − g² is zero but for rounding, and must not turn negative under the root."""
    w = torch.zeros(1000, requires_grad=True)
    optimizer = GravesRMSprop([w], eps=1e-12)
    for _ in range(300):
        w.grad = torch.full((1000,), 1234.567)
        optimizer.step()
        assert torch.isfinite(w).all()


def make(**settings):
    return Optimization(torch.optim.SGD, lr=0.1, **settings)


def test_schedule_warms_up_and_falls_to_its_share():
    cosine = make(schedule="cosine", warmup_steps=10, final_share=0.1)
    shares = [cosine.share(step, 110) for step in range(111)]
    assert shares[0] == pytest.approx(0.1)
    assert shares[9] == pytest.approx(1.0)
    assert shares[60] == pytest.approx(0.55)
    assert shares[110] == pytest.approx(0.1)
    assert all(a >= b for a, b in pairwise(shares[10:]))
    linear = make(schedule="linear")
    assert linear.share(25, 100) == pytest.approx(0.75)


def test_a_falling_schedule_needs_an_end():
    with pytest.raises(UserError, match=r"trainer\.max_steps"):
        make(schedule="cosine").scheduler(torch.optim.SGD([torch.zeros(1)], lr=0.1), math.inf)


@pytest.mark.parametrize("bad", [{"unit": "batch"}, {"schedule": "cosin"}])
def test_bad_settings_name_the_choices(bad):
    with pytest.raises(UserError, match="one of"):
        make(**bad)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"momentun": 0.9}, "'momentun'; a setting of another algorithm"),
        ({"momentum": -1.0}, "Invalid momentum value: -1.0$"),
        ({"fused": True, "foreach": True}, "cannot be `True` together"),
    ],
)
def test_settings_that_the_algorithm_refuses(settings, said):
    algorithm = partial(torch.optim.SGD, **settings)
    with pytest.raises(UserError, match=f"^optimizer.algorithm: .*{said}"):
        Optimization(algorithm, lr=0.1).optimizer([torch.zeros(1)])


def test_bad_rate():
    with pytest.raises(UserError, match="above 0"):
        Optimization(torch.optim.SGD, lr=-1.0)
