"""The window's weights over time and text: Figure 13."""

import numpy as np
from numpy.typing import ArrayLike
from PIL import Image, ImageDraw, ImageFont

from graves_lm.rendering.colours import heat


def window_heatmap(phi: ArrayLike, text: str, width: int = 900, row: int = 14) -> Image.Image:
    """A picture of φ(t, u), (T, U): time to the right, the text's characters from the top, `row` pixels each.

    The brightest row at a time is the character that the network is writing (47).
    """
    phi_TU = np.asarray(phi, dtype=np.float64)
    if phi_TU.ndim != 2 or phi_TU.shape[1] != len(text):
        raise ValueError(f"weights of shape {phi_TU.shape} do not fit a text of {len(text)} characters")
    font = ImageFont.load_default(row - 3)
    axis = 2 * row
    weights = heat(phi_TU.T).resize((width - axis, row * len(text)), Image.Resampling.BOX)
    picture = Image.new("RGB", (width, weights.height), "white")
    picture.paste(weights, (axis, 0))
    draw = ImageDraw.Draw(picture)
    for u, character in enumerate(text):
        draw.text((axis / 2, (u + 0.5) * row), character, fill="black", font=font, anchor="mm")
    return picture
