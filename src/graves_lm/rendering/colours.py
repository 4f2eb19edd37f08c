"""Numbers as colours."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

# From dark to light without a step back, so that brighter means more in greyscale too (matplotlib's
# "inferno", public domain, at even distances).
ANCHORS = np.array(
    [
        (0, 0, 4),
        (40, 11, 84),
        (101, 21, 110),
        (159, 42, 99),
        (212, 72, 66),
        (245, 125, 21),
        (250, 193, 39),
        (252, 255, 164),
    ]
)


def heat(values_HW: NDArray[np.floating]) -> Image.Image:
    """A picture of the values, 0 dark to the largest light, one pixel each."""
    shares_HW = values_HW / (values_HW.max(initial=0) or 1)
    steps = np.linspace(0, 1, len(ANCHORS))
    channels = [np.interp(shares_HW, steps, ANCHORS[:, c]) for c in range(3)]
    return Image.fromarray(np.stack(channels, -1).round().astype(np.uint8))
