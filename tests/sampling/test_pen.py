"""The pen in C, which programs without Python draw with, draws the lines of the sampler."""

import ctypes
from collections.abc import Sequence
from ctypes import POINTER, byref, c_float, c_int64, c_uint64, c_void_p

import numpy as np
import pytest
import torch

from graves_lm.models.synthesis import SynthesisNetwork
from graves_lm.nn.native import arguments, kernel
from graves_lm.sampling.end_of_line import EndSettings
from graves_lm.sampling.events import whole_lines
from graves_lm.sampling.noise import line_key
from graves_lm.sampling.passage import Prime, SymbolPassage
from graves_lm.sampling.pens import FULL_BIAS
from graves_lm.sampling.plain import for_drawing
from graves_lm.sampling.synthesis import SynthesisSampler

pytestmark = pytest.mark.skipif(kernel("pen_make") is None, reason="no C compiler")


class CEnd(ctypes.Structure):
    _fields_ = tuple((name, c_float) for name in EndSettings.__dataclass_fields__)


class CSettings(ctypes.Structure):
    _fields_ = (("bias", c_float * 2), ("whole", c_float), ("still", c_float * 2), ("end", CEnd))


def end_settings(settings: EndSettings) -> CEnd:
    return CEnd(*(getattr(settings, name) for name in EndSettings.__dataclass_fields__))


Kept = tuple[np.ndarray, int]
"""The state after so many points of a prime, before the window sees the text."""


def penned(
    network: SynthesisNetwork,
    sampler: SynthesisSampler,
    text: Sequence[int],
    seed: int,
    prime: Prime | None = None,
    still: tuple[float, float] = (0.0, 0.0),
    most: int = 7,
    kept: Kept | None = None,
) -> tuple[torch.Tensor, int, Kept]:
    """The points that are the text's, how the line ended, and what is kept of its prime."""
    packed = for_drawing(network, sampler.weights)
    assert packed.kernel is not None
    make, free, read, draw, look = (kernel(f"pen_{n}") for n in ("make", "free", "prime", "point", "look"))
    before = list(prime.symbol_U) if prime else []
    symbols = torch.tensor([*before, *text])
    points = prime.point_T3.contiguous() if prime else torch.zeros(0, 3)
    settings = CSettings(
        (c_float * 2)(*sampler.bias), FULL_BIAS, (c_float * 2)(*still), end_settings(sampler.end)
    )
    pen, key = c_void_p(), (c_uint64 * 2)(*line_key(seed, 0))
    given = arguments(symbols, len(text), len(before), points, len(points))
    make(byref(packed.kernel._network), *given, key, byref(settings), byref(pen))
    left, ending, begin, count = (c_int64(1) for _ in range(4))
    if kept is not None:
        kernel("pen_resume")(pen, c_void_p(kept[0].ctypes.data), c_int64(kept[1]))
    while left.value:
        read(pen, c_int64(most), byref(left))
    ending.value = 0
    while ending.value == 0:
        draw(pen, byref(ending), byref(begin), byref(count))
    x, phi, y = POINTER(c_float)(), POINTER(c_float)(), POINTER(c_float)()
    look(pen, byref(x), byref(phi), byref(y))
    drawn = np.ctypeslib.as_array(x, (count.value, 3))[begin.value :].copy()
    assert np.isfinite(np.ctypeslib.as_array(phi, (len(symbols) + 1,))).all()
    of, state = packed.weights, POINTER(c_float)()
    size = 2 * len(of.layers) * of.hidden + of.components + of.symbols
    kernel("pen_kept")(pen, byref(state), byref(count))
    kept = np.ctypeslib.as_array(state, (size,)).copy(), count.value
    free(pen)
    return torch.from_numpy(drawn), ending.value, kept


@pytest.fixture(scope="module")
def network() -> SynthesisNetwork:
    torch.manual_seed(3)
    return SynthesisNetwork(6, 2, 21, 3, 4, points_per_character=6.0, window_scale=1.0)


@pytest.mark.parametrize("weights", ["float32", "bf16", "int8"])
@pytest.mark.parametrize("primed", [False, True])
def test_a_line_is_that_of_the_sampler_to_the_last_bit_or_nearly(network, weights, primed):
    """Random numbers are of another log, sine and cosine, whose last bits may differ."""
    prime, ends = None, set()
    if primed:
        torch.manual_seed(0)
        prime = Prime(torch.cat([torch.zeros(1, 3), torch.randn(60, 3)]), [4, 5, 0])
        prime.point_T3[:, 2] = (prime.point_T3[:, 2] > 1).float()
    for seed, text in enumerate(([1, 2], [0, 3, 1, 1, 5], [2], [3] * 12, [0, 1, 2, 3, 4, 5])):
        for most, dwell in ((75, 400), (2, 400), (75, 9)):
            end = {"points_per_character": most, "longest_dwell": dwell}
            sampler = SynthesisSampler(bias=[0.1, 0.8], weights=weights, **end)
            passage = SymbolPassage([text], seed, prime, still=(0.1, -0.2))
            (line,) = whole_lines(sampler.events(network, passage))
            points, ending, _ = penned(network, sampler, text, seed, prime, (0.1, -0.2))
            ends.add((line.report.stopped, ending))
            assert len(points) == len(line.points)
            torch.testing.assert_close(points, torch.tensor(line.points), rtol=1e-3, atol=1e-3)
    assert len(ends) > 1  # lines that end in more than one way


def test_reading_a_prime_in_pieces_changes_nothing(network):
    prime = Prime(torch.randn(30, 3).clamp(-1, 1), [1, 0])
    whole, pieces = (penned(network, SynthesisSampler(), [2, 3], 5, prime, most=n)[0] for n in (1000, 4))
    assert torch.equal(whole, pieces)


def test_a_prime_that_was_read_before_is_not_read_again(network):
    """The window sees nothing of the text till near the end of the prime: another text goes on from there."""
    torch.manual_seed(1)
    prime = Prime(torch.randn(90, 3).clamp(-1, 1), [1, 2, 3, 4, 5] * 4 + [0])
    _, _, kept = penned(network, SynthesisSampler(), [2, 3], 5, prime)
    assert 5 < kept[1] < 90
    for text in ([3], [1, 4, 4]):
        whole, _, _ = penned(network, SynthesisSampler(), text, 6, prime)
        resumed, _, again = penned(network, SynthesisSampler(), text, 6, prime, kept=kept)
        torch.testing.assert_close(resumed, whole, rtol=1e-3, atol=1e-3)
        assert again[1] >= kept[1]
