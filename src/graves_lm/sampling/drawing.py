"""Drawing some lines side by side, some points at a time: in a compiled kernel, in torch, or on a GPU as one
graph of all that a point takes (docs/adr/0035-points-in-blocks.md).

Shape legend as in `sampling.pens`.
"""

import torch
from torch import Tensor

from graves_lm.models.synthesis import Text
from graves_lm.sampling.end_of_line import EndOfLine, Known, Look
from graves_lm.sampling.noise import Noise
from graves_lm.sampling.packed import PackedNetwork
from graves_lm.sampling.pens import Manner, Pens, Points


class Drawing:
    """Draws with a network in one manner.

    packed: the network; on its device everything is.
    """

    def __init__(self, packed: PackedNetwork, manner: Manner):
        self._packed, self._manner, self._rule = packed, manner, EndOfLine(manner.end)
        self._on_gpu = packed.device.type == "cuda"
        self._graph: _Graph | None = None

    @torch.inference_mode()
    def points(self, pens: Pens, noise: Noise) -> tuple[Pens, Points]:
        """The next P points of each line, for as many random numbers, (P, L, …)."""
        if self._packed.kernel is not None:
            return self._packed.kernel.points(pens, noise, self._manner)
        made: list[tuple[Tensor, Tensor]] = []
        if self._on_gpu:
            if self._graph is None or not self._graph.fits(pens):
                self._graph = _Graph(self, pens, Noise(*(n[0] for n in noise)))
            return self._graph.points(pens, noise)
        for numbers in zip(*noise, strict=True):
            pens, y_LY = self.point(pens, Noise(*numbers))
            made.append((pens.x_L3, y_LY))
        return pens, Points(*map(torch.stack, zip(*made, strict=True)))

    def gains(self, left: int, lines: int) -> bool:
        """Whether it is better to go on with the lines that are left of some: on a GPU, where all take hardly
        longer, and another size is another graph, when they are few."""
        return not self._on_gpu or (lines > _FULL and 2 * left <= lines)

    def point(self, pens: Pens, noise: Noise) -> tuple[Pens, Tensor]:
        """The lines after one point more, and its ŷ, in torch; nothing waits for a GPU."""
        text, of = pens.text, self._manner
        step = self._packed.point(pens.x_L3, pens.state_LS, noise, of.bias, text, of.read, of.still)
        place_V = torch.arange(step.phi_BV.shape[1], device=step.phi_BV.device)
        phi_LV = step.phi_BV.clamp_min(0).masked_fill(place_V > text.length_B.unsqueeze(1), 0)
        look = Look(phi_LV, text.length_B, step.done_B, step.where_B)
        known_LE = self._rule.add(pens.known_LE, step.x_B3, look)
        more_LV = phi_LV / phi_LV.sum(1, keepdim=True).clamp_min(1e-12)
        taken_L = known_LE[:, _POINTS] > pens.known_LE[:, _POINTS]
        coverage_LV = pens.coverage_LV + torch.where(taken_L.unsqueeze(1), more_LV, 0)
        return Pens(text, step.x_B3, step.state_BS, known_LE, coverage_LV), step.y_BY


_FULL = 256  # lines up to which a GPU is not busy
_POINTS = Known._fields.index("points")


class _Graph:
    """A point of some lines as one launch: what `Drawing.point` does, captured once for these sizes."""

    def __init__(self, drawing: Drawing, pens: Pens, noise: Noise):
        self._pens, self._noise = _cloned(pens), Noise(*(n.clone() for n in noise))
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):  # what is made on first use is no part of a graph
            for _ in range(2):
                drawing.point(self._pens, self._noise)
        torch.cuda.current_stream().wait_stream(side)
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph):
            after, self._y_LY = drawing.point(self._pens, self._noise)
            for own, new in zip(self._pens[1:], after[1:], strict=True):
                own.copy_(new)

    def fits(self, pens: Pens) -> bool:
        return pens.text.symbol_BU.shape == self._pens.text.symbol_BU.shape

    def points(self, pens: Pens, noise: Noise) -> tuple[Pens, Points]:
        for own, given in zip(_tensors(self._pens), _tensors(pens), strict=True):
            own.copy_(given)
        P = len(noise.u_L)
        made = Points(pens.x_L3.new_empty(P, *pens.x_L3.shape), self._y_LY.new_empty(P, *self._y_LY.shape))
        for p in range(P):
            for own, given in zip(self._noise, noise, strict=True):
                own.copy_(given[p])
            self._graph.replay()
            made.point_PL3[p].copy_(self._pens.x_L3)
            made.y_PLY[p].copy_(self._y_LY)
        return _cloned(self._pens), made


def _tensors(pens: Pens) -> tuple[Tensor, ...]:
    return (*pens.text, *pens[1:])


def _cloned(pens: Pens) -> Pens:
    symbol_BU, length_B, *parts = (part.clone() for part in _tensors(pens))
    return Pens(Text(symbol_BU, length_B), *parts)
