"""Points in blocks: in the compiled kernel as in torch, however many at a time, whatever lines beside."""

import pytest
import torch

from graves_lm.models.synthesis import SynthesisNetwork, Text
from graves_lm.nn.native import kernel
from graves_lm.sampling.drawing import Drawing
from graves_lm.sampling.end_of_line import EndSettings
from graves_lm.sampling.noise import line_key, noise_blocks
from graves_lm.sampling.packed import PackedNetwork
from graves_lm.sampling.pens import Manner, Pens, Points

C, H, M, TEXTS = 6, 21, 3, [[0, 3, 1], [2], [5, 5, 4, 0, 1, 3], [1, 2]]
ENDS = [
    EndSettings(points_per_character=12.0, least_cap=20, longest_dwell=25),
    EndSettings(points_per_character=4.0, least_cap=8, longest_dwell=25),
    EndSettings(points_per_character=6.0, least_cap=8, longest_dwell=9),
]
needs_kernel = pytest.mark.skipif(kernel("next_points") is None, reason="no C compiler")


@pytest.fixture(scope="module")
def network() -> SynthesisNetwork:
    torch.manual_seed(1)
    return SynthesisNetwork(C, 2, H, M, 3, points_per_character=7.0, window_scale=1.0)


def drawn(
    network: SynthesisNetwork,
    at_once: int,
    lines: list[int],
    manner: Manner,
    native: bool,
    device: str = "cpu",
) -> tuple[Pens, Points]:
    """64 points of these lines, and what is known of them then."""
    packed = PackedNetwork(network.to(device))
    if not native:
        packed.kernel = None
    assert (packed.kernel is not None) == (native and device == "cpu")
    drawing = Drawing(packed, manner)
    before = [4] * manner.read
    text = Text.of([before + TEXTS[line] for line in lines], torch.device(device))
    state_LS = packed.pack(*network.initial_state(len(lines)))
    x_L3 = torch.zeros(len(lines), 3, device=device)
    pens = Pens.begin(text, x_L3, state_LS, [len(TEXTS[line]) for line in lines], manner)
    made = []
    noise = noise_blocks(M, [line_key(3, line) for line in lines], at_once)
    for _ in range(64 // at_once):
        pens, points = drawing.points(pens, next(noise).to(torch.device(device)))
        made.append(points)
    network.to("cpu")
    found = Points(*(torch.cat(part) for part in zip(*made, strict=True)))
    for i, count in enumerate(pens.known().points.int().tolist()):
        for part in found:  # what comes after its end means nothing
            part[count:, i] = 0
    return pens, found


def assert_alike(one: tuple[Pens, Points], other: tuple[Pens, Points], **close: float) -> None:
    """All but states and last points, which go on after a line's end."""
    pairs = zip((*one[0][3:], *one[1]), (*other[0][3:], *other[1]), strict=True)
    for mine, theirs in pairs:
        torch.testing.assert_close(mine.cpu(), theirs.cpu(), **close)


@pytest.mark.parametrize("read", [0, 2])
@pytest.mark.parametrize("native", [pytest.param(True, marks=needs_kernel), False])
def test_however_many_points_at_a_time_and_lines_side_by_side(network, native, read):
    manner, lines = Manner((0.2, 0.9), (0.1, -0.2), ENDS[0], read), [0, 1, 2, 3]
    close = {"rtol": 0, "atol": 0} if native else {"rtol": 1e-3, "atol": 1e-4}
    whole = drawn(network, 8, lines, manner, native)
    assert (whole[0].known().ended > 0).any()
    assert_alike(drawn(network, 1, lines, manner, native), whole, **close)
    assert_alike(drawn(network, 64, lines, manner, native), whole, **close)
    for line in lines:
        (_, *parts), points = drawn(network, 8, [line], manner, native)
        V = read + len(TEXTS[line]) + 1
        torch.testing.assert_close(parts[2][0], whole[0].known_LE[line], **close)
        torch.testing.assert_close(parts[3][0], whole[0].coverage_LV[line, :V], **close)
        torch.testing.assert_close(points.point_PL3[:, 0], whole[1].point_PL3[:, line], **close)


@needs_kernel
@pytest.mark.parametrize("read", [0, 2])
@pytest.mark.parametrize("bias", [(0.0, 0.0), (0.5, 2.0)])
@pytest.mark.parametrize("end", ENDS)
def test_the_kernel_does_what_torch_does(network, read, bias, end):
    manner, lines = Manner(bias, (0.1, -0.2), end, read), [0, 1, 2, 3] * 3
    mine, theirs = (drawn(network, 8, lines, manner, native) for native in (True, False))
    assert_alike(mine, theirs, rtol=1e-3, atol=1e-3)
    known = mine[0].known()
    assert (known.ended > 0).any()
    covered_L = mine[0].coverage_LV.sum(1)
    torch.testing.assert_close(covered_L, known.points, rtol=1e-3, atol=1e-3)  # of each point a share of one


@pytest.mark.gpu
@pytest.mark.parametrize("read", [0, 2])
def test_a_gpu_does_what_a_cpu_does(network, read):
    if not torch.cuda.is_available():
        pytest.skip("no GPU")
    manner, lines = Manner((0.2, 0.9), (0.1, -0.2), ENDS[0], read), [0, 1, 2, 3] * 3
    gpu = drawn(network, 8, lines, manner, native=False, device="cuda")
    assert_alike(gpu, drawn(network, 8, lines, manner, native=False), rtol=1e-3, atol=1e-3)
    again = drawn(network, 8, lines, manner, native=False, device="cuda")
    assert_alike(gpu, again, rtol=0, atol=0)
