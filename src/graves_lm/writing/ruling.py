"""What is printed on paper before anybody writes on it."""

import numpy as np

from graves_lm.rendering.layout import Print
from graves_lm.writing.page import PageSettings

LINES, MARGIN = (176, 196, 222), (226, 150, 150)  # as in exercise books
THIN, DOT = 0.15, 0.45  # mm
BELOW = 0.04  # of a line height, from the baseline to the line that letters stand on
OUTSIDE = 0.3  # of a line height, from the margin's line to the writing


def ruling(settings: PageSettings, height: float) -> list[Print]:
    """The prints of a page of this height, in mm: lines on which its lines stand, squares, dots, a margin."""
    step = settings.line_height
    base = settings.first + BELOW * step
    width, left = settings.width, settings.margin_left
    prints: list[Print] = []
    if settings.ruling == "lines":
        rows = np.arange(base, height - settings.margin_bottom, step)
        prints.append(Print([np.array([[0, y], [width, y]]) for y in rows], THIN, LINES))
    elif settings.ruling != "none":
        half = step / 2
        rows, columns = np.arange(base % half, height, half), np.arange(left % half, width, half)
        if settings.ruling == "squares":
            across = [np.array([[0, y], [width, y]]) for y in rows]
            prints.append(Print([*across, *(np.array([[x, 0], [x, height]]) for x in columns)], THIN, LINES))
        else:
            prints.append(Print([np.array([[x, y]]) for y in rows for x in columns], DOT, LINES))
    if settings.margin_line:
        x = left - OUTSIDE * step
        prints.append(Print([np.array([[x, 0], [x, height]])], THIN, MARGIN))
    return prints
