"""Strokes as W3C InkML, which other programs read; `data.ink` reads it back, point by point.

A line is a traceGroup of type `textline` with its text as its `truth`; a stroke is a trace of positions from
the line's first point, x right and y down, in the units of the data.
"""

import xml.etree.ElementTree as ET
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from graves_lm.rendering.layout import positions, split_strokes

NAMESPACE = "http://www.w3.org/2003/InkML"


def strokes_to_inkml(lines: Sequence[ArrayLike], texts: Sequence[str] | None = None) -> str:
    """The InkML of the lines (T, 3), with their texts where they have any; lines without points are left out.

    Raises UserError for strokes that are not finite.
    """
    ink = ET.Element("ink", {"xmlns": NAMESPACE})
    form = ET.SubElement(ink, "traceFormat")
    for name in ("X", "Y"):
        ET.SubElement(form, "channel", {"name": name, "type": "double"})
    for line, text in zip(lines, texts or [""] * len(lines), strict=True):
        xy_T2 = positions(line)
        if len(xy_T2) == 0:
            continue
        group = ET.SubElement(ink, "traceGroup")
        ET.SubElement(group, "annotation", {"type": "type"}).text = "textline"
        if text:
            ET.SubElement(group, "annotation", {"type": "truth"}).text = text
        for stroke_N2 in split_strokes(xy_T2 - xy_T2[0], np.asarray(line)):
            points = ", ".join(f"{x!r} {y!r}" for x, y in stroke_N2.tolist())
            ET.SubElement(group, "trace").text = points
    ET.indent(ink)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(ink, encoding="unicode")}\n'
