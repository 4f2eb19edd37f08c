"""Strokes as points in JSON, for programs; `data.ink` reads them back, so a sample can be a prime.

    {"format": "graves_lm.strokes", "lines": [{"text": "…", "points": [[x, y, end_of_stroke], …]}, …]}

The points of a line in the order of writing: positions from the line's first point, x right and y down, in
the units of the data; end_of_stroke is 1 at the last point of a stroke and 0 elsewhere.
"""

import json
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from graves_lm.rendering.layout import positions


def strokes_to_json(lines: Sequence[ArrayLike], texts: Sequence[str] | None = None) -> str:
    """The JSON text of the lines (T, 3), with their texts where they have any.

    Raises UserError for strokes that are not finite.
    """
    document = {
        "format": "graves_lm.strokes",
        "lines": [
            {"text": text, "points": _points(line)}
            for line, text in zip(lines, texts or [""] * len(lines), strict=True)
        ],
    }
    return json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":")) + "\n"


def _points(line: ArrayLike) -> list[list[float]]:
    xy_T2 = positions(line)
    if len(xy_T2):
        xy_T2 = xy_T2 - xy_T2[0]
    ends = np.asarray(line)[:, 2] > 0.5
    return [[x, y, int(end)] for (x, y), end in zip(xy_T2.tolist(), ends, strict=True)]
