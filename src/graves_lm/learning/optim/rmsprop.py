"""The paper's rmsprop with momentum, equations (38)–(45)."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from graves_lm.settings import declared
from graves_lm.settings.kinds import Positive, ProperShare, ShareBelowOne


@declared("optimizer.algorithm")
class GravesRMSprop(Optimizer):
    """For the gradient ε_i with respect to each weight w_i:

        n_i = ℵ n_i + (1 − ℵ) ε_i²                                                           (38)
        g_i = ℵ g_i + (1 − ℵ) ε_i                                                            (39)
        Δ_i = ℶ Δ_i − ℷ ε_i / √(n_i − g_i² + ד)                                              (40)
        w_i = w_i + Δ_i                                                                      (41)

    with ℵ = 0.95 (`alpha`), ℶ = 0.9 (`momentum`), ℷ = 10⁻⁴ (`lr`) and ד = 10⁻⁴ (`eps`), (42)–(45).
    ד stands inside the root; torch's centred RMSprop adds it outside. The size of ד ties the step to the
    unit of the loss: the paper's gradients are of nats summed over a sequence.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float | Tensor = 1e-4,
        alpha: ProperShare = 0.95,
        momentum: ShareBelowOne = 0.9,
        eps: Positive = 1e-4,
    ):
        super().__init__(params, {"lr": lr, "alpha": alpha, "momentum": momentum, "eps": eps})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            weights = [w for w in group["params"] if w.grad is not None]
            if not weights:
                continue
            for w in weights:
                if not self.state[w]:
                    self.state[w].update({name: torch.zeros_like(w) for name in ("n", "g", "delta")})
            eps_i = [w.grad for w in weights]
            n, g, delta = ([self.state[w][name] for w in weights] for name in ("n", "g", "delta"))
            alpha = group["alpha"]
            torch._foreach_mul_(n, alpha)
            torch._foreach_addcmul_(n, eps_i, eps_i, 1 - alpha)
            torch._foreach_lerp_(g, eps_i, 1 - alpha)
            root = torch._foreach_addcmul(n, g, g, -1)
            # n ≥ g² holds exactly (38, 39 are averages with the same weights) but not after rounding.
            torch._foreach_clamp_min_(root, 0.0)
            torch._foreach_add_(root, group["eps"])
            torch._foreach_sqrt_(root)
            torch._foreach_mul_(delta, group["momentum"])
            torch._foreach_addcdiv_(delta, eps_i, root, -float(group["lr"]))
            torch._foreach_add_(weights, delta)
        return loss
