"""Dynamic evaluation: the network goes on learning from the text it is tested on (section 3.1).

A segment is predicted first, with the weights as they are; only then are its symbols learned from. No
symbol is ever used before it has been scored, and each is learned from once.

Three rules move the weights:
- `DynamicSGD`: the paper's, plain stochastic gradient descent with momentum.
- `DynamicRMS`: B. Krause et al., "Dynamic Evaluation of Neural Sequence Models" (ICML 2018): steps divided
  by the root mean square of the gradients over the training text, and a pull back to the trained weights that
  is stronger where gradients vary more.
- `DynamicAdam`: D. Kingma and J. Ba, "Adam" (ICLR 2015), for networks that have learned little
  or nothing before.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor
from tqdm import tqdm

from graves_lm.data.streams import StreamBatch
from graves_lm.learning.metrics import SymbolMetrics
from graves_lm.learning.tasks.character import CharacterTask, score
from graves_lm.models.character import CharacterState
from graves_lm.settings import declared
from graves_lm.settings.kinds import Count, NonNegative, Positive, ShareBelowOne


@declared("dynamic.rule")
@dataclass
class DynamicSGD:
    """Δ = momentum·Δ − lr·∂(nats of the segment)/∂w, as in training (the paper changes nothing).

    Attributes:
        lr: per segment, in the paper's unit (nats summed over the segment).
        momentum: as in training: 0.99 for the Penn Treebank, 0.9 for Wikipedia.
        clip_norm: bound on the joint norm of the segment's gradients; None: no bound.
    """

    lr: NonNegative = 1e-4
    momentum: ShareBelowOne = 0.99
    clip_norm: Positive | None = None
    needs_text: ClassVar = False
    mean: ClassVar = False

    def begin(self, task: CharacterTask, training: Iterable[StreamBatch]) -> None:
        self._delta = [torch.zeros_like(w) for w in task.network.parameters()]

    @torch.no_grad()
    def learn(self, weights: list[Tensor], grads: list[Tensor]) -> None:
        torch._foreach_mul_(self._delta, self.momentum)
        torch._foreach_add_(self._delta, grads, alpha=-self.lr)
        torch._foreach_add_(weights, self._delta)


@declared("dynamic.rule")
@dataclass
class DynamicRMS:
    """w ← w − lr·∂L/(√MS + ε) + decay·(w₀ − w)·√MS/mean(√MS), Krause et al. 2018, equations (5)–(7).

    MS is the mean square of the gradients over segments of the training text, w₀ the trained weights;
    the pull is at most all the way back (decay·√MS/mean(√MS) ≤ 1). L is the mean nats of the segment.

    Attributes:
        lr, decay, eps: η, λ and ε of the article.
        segments: training segments to take MS from.
        clip_norm: bound on the joint norm of the segment's gradients; None: no bound.
    """

    lr: NonNegative = 1e-4
    decay: NonNegative = 1e-3
    eps: Positive = 1e-5
    segments: Count = 200
    clip_norm: Positive | None = None
    needs_text: ClassVar = True
    mean: ClassVar = True

    def begin(self, task: CharacterTask, training: Iterable[StreamBatch]) -> None:
        weights: list[Tensor] = list(task.network.parameters())
        squares = [torch.zeros_like(w) for w in weights]
        count, state = 0, None
        self._squares = squares
        for batch in training:
            if count == self.segments:
                break
            grads, _, state = segment_gradients(task, batch, state)
            torch._foreach_div_(grads, float(batch.scored_TB.sum()))
            torch._foreach_addcmul_(squares, grads, grads)
            count += 1
        self._count = count
        self._scale()
        self._scaled_at = count
        self._trained = [w.detach().clone() for w in weights]

    def _scale(self) -> None:
        """The steps' divisors and the pull, of the mean squares so far."""
        root = torch._foreach_div(self._squares, max(1, self._count))
        torch._foreach_sqrt_(root)
        numbers = sum(r.numel() for r in root)
        mean = torch.stack([r.sum(dtype=torch.float64) for r in root]).sum() / numbers
        self._pull = torch._foreach_mul(root, self.decay / float(mean) if mean > 0 else 0.0)
        torch._foreach_clamp_max_(self._pull, 1.0)
        torch._foreach_add_(root, self.eps)
        self._step_over = root

    @torch.no_grad()
    def take(self, grads: list[Tensor]) -> None:
        """Count a segment's mean gradients in MS, where there is no training text to tell it.

        What follows from MS is made anew whenever it is of 2 % more segments: it hardly changes in between.
        """
        torch._foreach_addcmul_(self._squares, grads, grads)
        self._count += 1
        if self._count > 1.02 * self._scaled_at:
            self._scale()
            self._scaled_at = self._count

    @torch.no_grad()
    def learn(self, weights: list[Tensor], grads: list[Tensor]) -> None:
        back = torch._foreach_sub(self._trained, weights)
        torch._foreach_addcdiv_(weights, grads, self._step_over, -self.lr)
        torch._foreach_addcmul_(weights, back, self._pull)


@declared("dynamic.rule")
@dataclass
class DynamicAdam:
    """Adam on the mean nats of each segment, its rate falling as rate/√(1 + segments/`fall`).

    Attributes:
        lr: the first rate, per segment.
        beta1, beta2, eps: of the article.
        fall: segments after which the rate is 1/√2 of the first.
        clip_norm: bound on the joint norm of the segment's gradients; None: no bound.
    """

    lr: NonNegative = 3e-3
    beta1: ShareBelowOne = 0.9
    beta2: ShareBelowOne = 0.999
    eps: Positive = 1e-8
    fall: Positive = 2000.0
    clip_norm: Positive | None = 1.0
    needs_text: ClassVar = False
    mean: ClassVar = True

    def begin(self, task: CharacterTask, training: Iterable[StreamBatch]) -> None:
        self._first = [torch.zeros_like(w) for w in task.network.parameters()]
        self._second = [torch.zeros_like(w) for w in self._first]
        self._steps = 0

    @torch.no_grad()
    def learn(self, weights: list[Tensor], grads: list[Tensor]) -> None:
        self._steps += 1
        torch._foreach_lerp_(self._first, grads, 1 - self.beta1)
        torch._foreach_mul_(self._second, self.beta2)
        torch._foreach_addcmul_(self._second, grads, grads, 1 - self.beta2)
        root = torch._foreach_sqrt(torch._foreach_div(self._second, 1 - self.beta2**self._steps))
        torch._foreach_add_(root, self.eps)
        rate = self.lr / (1 + self._steps / self.fall) ** 0.5
        torch._foreach_addcdiv_(weights, self._first, root, -rate / (1 - self.beta1**self._steps))


def learn(rule: Any, weights: list[Tensor], grads: list[Tensor], count: int) -> None:
    """Move the weights by a rule, from the gradients of a segment's summed nats over `count` symbols.

    `grads` are overwritten.
    """
    if rule.mean and count > 1:
        torch._foreach_div_(grads, float(count))
    if rule.clip_norm is not None:
        total = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(grads)))
        torch._foreach_mul_(grads, float(min(1.0, rule.clip_norm / (float(total) + 1e-12))))
    rule.learn(weights, grads)


def segment_gradients(
    task: CharacterTask, batch: StreamBatch, state: CharacterState | None
) -> tuple[list[Tensor], tuple[Tensor, Tensor], CharacterState]:
    """Gradients of the summed nats of a segment, its (nats, errors), and the state behind it.

    The logits are computed, and scored, before any gradient of them exists.
    """
    network = task.network
    if batch.reset or state is None:
        state = network.initial_state(batch.symbol_TB.shape[1])
    logits_TBK, after = network(batch.symbol_TB, state)
    nats, missed_TB = score(logits_TBK, batch)
    grads = list(torch.autograd.grad(nats, list(network.parameters())))
    return grads, (nats.detach(), missed_TB.sum()), after.detach()


def evaluate_dynamically(
    task: CharacterTask,
    batches: Iterable[StreamBatch],
    rule: "DynamicSGD | DynamicRMS | DynamicAdam",
    training: Iterable[StreamBatch],
) -> dict[str, float]:
    """Metrics of `task` over `batches` in one pass, learning from each segment after predicting it.

    The task's weights are changed; give a task loaded for this. `training` is the training text, for
    rules that take statistics from it. Segments are the batches' T symbols. It works where the weights are,
    and waits for a GPU only where a rule has a `clip_norm`.
    """
    weights: list[Tensor] = list(task.network.parameters())
    device = weights[0].device
    rule.begin(task, (_on(device, batch) for batch in training))
    metrics, state = SymbolMetrics().to(device), None
    for batch in tqdm(batches, desc="dynamic evaluation", unit="segment"):
        count = batch.scored_TB.sum()  # on the host
        grads, (nats, errors), state = segment_gradients(task, _on(device, batch), state)
        metrics.update(nats, errors, count)
        learn(rule, weights, grads, int(count))
    return {name: float(figure) for name, figure in metrics.compute().items()}


def _on(device: torch.device, batch: StreamBatch) -> StreamBatch:
    return batch._replace(symbol_TB=batch.symbol_TB.to(device), scored_TB=batch.scored_TB.to(device))
