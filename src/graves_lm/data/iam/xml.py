"""The strokes of one line of the IAM On-Line Handwriting Database, and the text of one form.

<WhiteboardCaptureSession>
  <StrokeSet><Stroke …><Point x="1073" y="1058" time="769.05"/>…</Stroke>…</StrokeSet>
</WhiteboardCaptureSession>
"""

import numpy as np
from numpy.typing import NDArray

from graves_lm.data.safe_xml import Malformed, parse_xml

_LARGEST = 1e12  # neither a place on the board nor a time
ROOT = "WhiteboardCaptureSession"


def parse_strokes(data: bytes) -> list[NDArray[np.float64]]:
    """Readings `(n, 3)` per stroke: x, y in whiteboard units and the clock in seconds.

    An attribute that is missing or no number becomes NaN; the repairs decide what follows from it.
    """
    strokes: list[list[float]] = []
    path: list[str] = []

    def start(tag: str, attributes: dict[str, str]) -> None:
        if not path and tag != ROOT:
            raise Malformed(f"its root is <{tag}>, not <{ROOT}>")
        if tag == "Point":
            if not path or path[-1] != "Stroke":
                raise Malformed("a <Point> outside a <Stroke>")
            strokes[-1].extend(_number(attributes.get(key)) for key in ("x", "y", "time"))
        elif tag == "Stroke":
            strokes.append([])
        path.append(tag)

    def end(tag: str) -> None:
        path.pop()

    parse_xml(data, start, end)
    return [np.array(s, dtype=np.float64).reshape(-1, 3) for s in strokes]


def parse_transcript(data: bytes) -> list[str]:
    """The lines after `CSR:` (the corrected text; `OCR:` before it is a recogniser's guess), latin-1."""
    _, marker, text = data.decode("latin-1").partition("CSR:")
    if not marker:
        raise Malformed("no line 'CSR:'")
    return [line.strip() for line in text.splitlines() if line.strip()]


def _number(text: str | None) -> float:
    try:
        number = float(text) if text is not None else np.nan
    except ValueError:
        return np.nan
    return number if abs(number) < _LARGEST else np.nan
