"""Strokes as points in JSON, for programs.

    {"format": "graves_lm.strokes", "version": 1, "lines": [[[dx, dy, end_of_stroke], …], …]}

A line is a list of points in the order of writing: dx and dy are the offset from the point before, x right
and y down, in the units of the data; end_of_stroke is 1 at the last point of a stroke and 0 elsewhere.
"""

import json
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from graves_lm.errors import UserError
from graves_lm.rendering.files import write

FORMAT, VERSION = "graves_lm.strokes", 1
LARGEST = float(np.finfo(np.float32).max)


def strokes_to_json(lines: Sequence[ArrayLike]) -> str:
    """The JSON text of the lines (T, 3); a float32 comes back as the same float32."""
    document = {"format": FORMAT, "version": VERSION, "lines": [_points(line) for line in lines]}
    return json.dumps(document, allow_nan=False, separators=(",", ":")) + "\n"


def _points(line: ArrayLike) -> list[list[float]]:
    # By way of text: the shortest decimal number that is this float32 and no other.
    points_T3 = np.asarray(line, dtype=np.float32).reshape(-1, 3).astype(str).astype(np.float64)
    if not np.isfinite(points_T3).all():
        raise UserError("the strokes hold numbers that are not finite, so they cannot be written as JSON")
    return [[dx, dy, int(end > 0.5)] for dx, dy, end in points_T3.tolist()]


def write_points(path: str | os.PathLike[str], lines: Sequence[ArrayLike]) -> None:
    """Write the lines (T, 3) to a JSON file."""
    write(path, strokes_to_json(lines))


def read_points(path: str | os.PathLike[str]) -> list[NDArray[np.float32]]:
    """The lines (T, 3) of a file that `write_points` has written, or any program in its format."""
    try:
        document = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from None
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is not a JSON file of strokes: {error}") from None
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise UserError(f'{path} is not a file of strokes: it does not say "format": "{FORMAT}"')
    if document.get("version") != VERSION:
        raise UserError(
            f"{path} has version {document.get('version')!r}; this program reads version {VERSION}"
        )
    lines = document.get("lines")
    if not isinstance(lines, list):
        raise UserError(f'{path} has no list of "lines"')
    for number, line in enumerate(lines, 1):
        if not isinstance(line, list):
            raise UserError(f"{path}: line {number} is not a list of points")
        for index, point in enumerate(line, 1):
            if not _is_point(point):
                raise UserError(
                    f"{path}: point {index} of line {number} is not [dx, dy, 0 or 1] with finite numbers"
                )
    return [np.array(line, dtype=np.float32).reshape(-1, 3) for line in lines]


def _is_point(point: object) -> bool:
    return (
        isinstance(point, list)
        and len(point) == 3
        and all(type(v) in (int, float) and abs(v) <= LARGEST for v in point)  # not NaN either
        and point[2] in (0, 1)
    )
