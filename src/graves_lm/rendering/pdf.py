"""Pages as PDF, their strokes as curves, by ReportLab."""

from collections.abc import Iterable
from io import BytesIO

import numpy as np

from graves_lm.rendering.brush import outline
from graves_lm.rendering.curves import smooth
from graves_lm.rendering.layout import RGB, Page
from graves_lm.runtime.extras import require_package

POINT = 72 / 25.4  # PDF's unit, in a millimetre
_NO_CURVES = np.zeros((0, 4, 2))


def pages_to_pdf(pages: Iterable[Page], tolerance: float = 0.0, title: str = "") -> bytes:
    """One PDF of pages in millimetres, each in its own size. The same pages give the same bytes.

    The strokes are curves that leave no point by more than `tolerance` mm; 0: straight lines. Raises
    UserError where ReportLab is not installed.
    """
    require_package("reportlab", "desk", "a .pdf file")
    from reportlab.pdfgen.canvas import FILL_NON_ZERO, Canvas

    file = BytesIO()
    canvas = Canvas(file, pageCompression=1, invariant=1)
    canvas.setTitle(title)
    canvas.setCreator("graves_lm")
    for page in pages:
        canvas.setPageSize((page.width * POINT, page.height * POINT))
        # Millimetres from the top left corner, as the page has them.
        canvas.transform(POINT, 0, 0, -POINT, 0, page.height * POINT)
        canvas.setLineCap(1)
        canvas.setLineJoin(1)
        for printed in page.prints:
            canvas.setLineWidth(printed.pen)
            canvas.setStrokeColorRGB(*_shares(printed.rgb))
            path = canvas.beginPath()
            for xy_N2 in printed.strokes:
                _path(path, xy_N2)
            canvas.drawPath(path)
        canvas.setLineWidth(page.pen)
        before = None
        curved = tolerance and not page.widths
        curves = smooth(page.strokes, tolerance) if curved else [_NO_CURVES] * len(page.strokes)
        for number, (xy_N2, curves_S42) in enumerate(zip(page.strokes, curves, strict=True)):
            if (colour := page.colour(number)) != before:
                canvas.setStrokeColorRGB(*_shares(colour))
                canvas.setFillColorRGB(*_shares(colour))
                before = colour
            if page.widths:
                border = _path(canvas.beginPath(), outline(xy_N2, page.widths[number]))
                canvas.drawPath(border, stroke=0, fill=1, fillMode=FILL_NON_ZERO)
            else:
                canvas.drawPath(_path(canvas.beginPath(), xy_N2, curves_S42))
        canvas.showPage()
    canvas.save()
    return file.getvalue()


def _shares(rgb: RGB) -> tuple[float, ...]:
    return tuple(value / 255 for value in rgb)


def _path(path, xy_N2: np.ndarray, curves_S42: np.ndarray = _NO_CURVES):  # type: ignore[no-untyped-def]
    """ReportLab's path of a stroke: its curves, or straight lines where it has none."""
    path.moveTo(*xy_N2[0].tolist())
    for segment in curves_S42[:, 1:].reshape(-1, 6).tolist():
        path.curveTo(*segment)
    if len(curves_S42) == 0:
        # No way at all: round caps make a dot.
        for place in (xy_N2[1:] if len(xy_N2) > 1 else xy_N2).tolist():
            path.lineTo(*place)
    return path
