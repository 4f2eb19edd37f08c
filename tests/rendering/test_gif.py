"""The animation is decoded: bounded frames, growing ink, the pen's pace."""

from io import BytesIO
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image

from graves_lm.rendering.gif import strokes_to_gif
from graves_lm.rendering.layout import Style

STEPS = 200
LINE = np.stack([np.full(STEPS, 5.0), 20 * np.cos(np.arange(STEPS)), np.arange(STEPS) % 50 == 49], -1)


def decode(gif: bytes) -> tuple[list[np.ndarray], list[int]]:
    image = Image.open(BytesIO(gif))
    frames, durations = [], []
    for n in range(image.n_frames):
        image.seek(n)
        frames.append(np.asarray(image.convert("RGB")).astype(int))
        durations.append(image.info["duration"])
    return frames, durations


@pytest.mark.parametrize(("max_frames", "expected"), [(30, 30), (1000, 120)])
def test_the_pen_moves_at_its_pace(max_frames, expected):
    frames, durations = decode(
        strokes_to_gif([LINE], line_height=24, max_frames=max_frames, point_ms=12, hold_ms=700)
    )
    assert len(frames) == expected
    ink = [(frame < 128).all(-1).sum() for frame in frames]
    assert all(a <= b for a, b in pairwise(ink))
    assert ink[0] < 0.1 * ink[-1]
    assert durations[-1] == 700
    assert sum(durations[:-1]) == pytest.approx(STEPS * 12, rel=0.05)


def test_the_last_frame_is_the_page():
    frames, _ = decode(strokes_to_gif([LINE, LINE], Style(colour="#0000ff"), max_frames=5))
    columns = (frames[-1] == (0, 0, 255)).all(-1).any(0).nonzero()[0]
    assert columns.max() - columns.min() > 0.9 * frames[-1].shape[1]
    assert (frames[0] == 255).all(-1).any()


def test_a_runaway_line_still_fits_the_format():
    frames, _ = decode(strokes_to_gif([np.array([[0, 0, 0], [1e9, 0, 0], [1, 1e-3, 1]])]))
    assert max(frames[0].shape) <= 16_384


@pytest.mark.parametrize("lines", [[], [np.array([[1.0, 2.0, 1.0]])]])
def test_little_or_nothing_to_draw(lines):
    assert len(decode(strokes_to_gif(lines))[0]) == 1
