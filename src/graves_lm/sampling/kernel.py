"""A whole step of some lines or texts, or some points of lines, in a compiled kernel: nn/native/step.c and
lines.c.

Shapes as in `sampling.packed` and `sampling.pens`.
"""

import ctypes
import threading
import weakref
from collections.abc import Callable
from typing import NamedTuple, Optional

import torch
from torch import Tensor

from graves_lm.models.synthesis import Text
from graves_lm.nn.native import arguments, kernel, threads
from graves_lm.nn.native.step import CLayer, CMatrix, CNetwork, Room, address, c_matrix
from graves_lm.nn.window import LARGEST_EXPONENT
from graves_lm.sampling.noise import Noise
from graves_lm.sampling.packed_weights import PackedWeights
from graves_lm.sampling.pens import FULL_BIAS, Manner, Pens, Points
from graves_lm.sampling.weights import Matrix

_WORTH_A_THREAD = 200_000  # products of a number and a weight; below, threads cost more than they do


def _matrix(m: Matrix) -> CMatrix:
    return c_matrix(m.stored_GI, m.scale_G, m.bias_G)


class Kernel:
    """The kernel on packed weights.

    most_threads: that it uses, those of torch.
    """

    @classmethod
    def of(cls, packed: PackedWeights) -> Optional["Kernel"]:
        """None where there is no compiled kernel, and for weights that are not on the CPU."""
        functions = [kernel(name) for name in ("network_step", "write_point", "next_points")]
        if packed.output.value_GI.device.type != "cpu":
            return None
        step, point, points = functions
        return None if step is None or point is None or points is None else cls(packed, step, point, points)

    def __init__(
        self,
        packed: PackedWeights,
        step: Callable[..., None],
        point: Callable[..., None],
        points: Callable[..., None],
    ):
        self._step, self._point, self._points = step, point, points
        self._weights = packed  # whose memory the kernel reads
        self._outputs, self._mixtures = len(packed.output.bias_G), packed.mixtures
        layers = [
            CLayer(_matrix(layer.matrix), address(layer.peephole_3H), address(layer.one_hot_KG), layer.inputs)
            for layer in packed.layers
        ]
        self._network = CNetwork(
            len(layers),
            packed.hidden,
            self._outputs,
            packed.first_output,
            packed.symbols,
            packed.components,
            LARGEST_EXPONENT,
            (CLayer * len(layers))(*layers),
            CMatrix() if packed.window is None else _matrix(packed.window),
            _matrix(packed.output),
        )
        self._products = sum(m.stored_GI.numel() for m in (packed.output, *(x.matrix for x in packed.layers)))
        self.most_threads = threads()
        self._alone = threading.Lock()  # whoever uses the room
        self._room: Room | None = None
        self._free_room: Callable[[], object] = lambda: None

    def step(self, x: Tensor, state_BS: Tensor, text: Text | None) -> tuple[Tensor, Tensor, Tensor]:
        """As `PackedNetwork.step`, but φ is 0 past the place after the end of a text."""
        pen_B3, symbol_B = (x.contiguous(), None) if x.is_floating_point() else (None, x.contiguous())
        made = _results(self._outputs, state_BS, text)
        given = (pen_B3, symbol_B, state_BS, made.state_BS, *_texts(text), made.phi_BV, made.y_BY)
        with self._alone:
            self._step(*self._of(len(x)), *arguments(*given))
        return made.y_BY, made.state_BS, made.phi_BV

    def point(
        self,
        x_B3: Tensor,
        state_BS: Tensor,
        noise: Noise,
        bias: tuple[float, float],
        share_B: Tensor,
        text: Text | None,
        read: int,
    ) -> tuple[Tensor, ...]:
        """As `PackedNetwork.point`; `share_B` of the bias holds for each line."""
        made = _results(self._outputs, state_BS, text)
        drawn_B5 = x_B3.new_empty(len(x_B3), 5)  # the point, whether it is written, where the window looks
        pen_B3, race_BM, z_B2, u_B = (v.contiguous() for v in (x_B3, *noise))
        given = (
            *(pen_B3, state_BS, made.state_BS, *_texts(text), read, made.phi_BV, made.y_BY),
            *(self._mixtures, *bias, share_B, race_BM, z_B2, u_B, drawn_B5),
        )
        with self._alone:
            self._point(*self._of(len(x_B3)), *arguments(*given))
        done_B, where_B = drawn_B5[:, 3] > 0, drawn_B5[:, 4].long()
        return drawn_B5[:, :3], made.state_BS, made.y_BY, made.phi_BV, done_B, where_B

    def points(self, pens: Pens, noise: Noise, manner: Manner) -> tuple[Pens, Points]:
        """As `drawing.Drawing.points`."""
        L, P = len(pens.x_L3), len(noise.u_L)
        x_L3, known_LE, coverage_LV = (v.clone() for v in (pens.x_L3, pens.known_LE, pens.coverage_LV))
        states_2LS = pens.state_LS.new_empty(2, *pens.state_LS.shape)
        states_2LS[0] = pens.state_LS
        y_PLY, point_PL3 = x_L3.new_empty(P, L, self._outputs), x_L3.new_empty(P, L, 3)
        race_PLM, z_PL2, u_PL = (n.contiguous() for n in noise)
        text = _texts(pens.text)
        settings = _settings(manner)
        phi_LV = torch.zeros_like(coverage_LV)
        given: tuple[Tensor | int | None, ...] = (
            *(x_L3, states_2LS, *text, manner.read, known_LE, coverage_LV, phi_LV),
            *(y_PLY, self._mixtures, race_PLM, z_PL2, u_PL, point_PL3),
        )
        with self._alone:
            self._points(*self._of(L), *arguments(P), ctypes.byref(settings), *arguments(*given))
        return Pens(pens.text, x_L3, states_2LS[P % 2], known_LE, coverage_LV), Points(point_PL3, y_PLY)

    def _of(self, lines: int) -> tuple[object, ...]:
        """What both functions take first."""
        if self._room is None or self._room.lines < lines:
            self._free_room()
            self._room = Room(self._network, lines)
            self._free_room = weakref.finalize(self, self._room.free)
        team = min(self.most_threads, 1 + lines * self._products // _WORTH_A_THREAD)
        return (ctypes.byref(self._network), self._room.address, *arguments(team, lines))


def _settings(manner: Manner) -> "ctypes.Array[ctypes.c_float]":
    """PenSettings of lines.h."""
    numbers = (*manner.bias, FULL_BIAS, *manner.still, *vars(manner.end).values())
    return (ctypes.c_float * len(numbers))(*numbers)


class _Results(NamedTuple):
    """Room for what follows from a step."""

    state_BS: Tensor
    y_BY: Tensor
    phi_BV: Tensor


def _results(outputs: int, state_BS: Tensor, text: Text | None) -> _Results:
    places = 0 if text is None else text.symbol_BU.shape[1] + 1
    B = len(state_BS)
    return _Results(torch.empty_like(state_BS), state_BS.new_empty(B, outputs), state_BS.new_zeros(B, places))


def _texts(text: Text | None) -> tuple[Tensor | None, Tensor | None, int]:
    """The symbols of the texts, how many each has, and from one text to the next."""
    if text is None:
        return None, None, 0
    return text.symbol_BU.contiguous(), text.length_B, text.symbol_BU.shape[1]
