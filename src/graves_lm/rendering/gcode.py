"""A page as G-code, for plotters and other machines with a pen that Grbl, Marlin and their kind drive."""

from graves_lm.rendering.layout import Page
from graves_lm.rendering.plotter import TOLERANCE, Plotter, moves, pens

DECIMALS = 3  # a thousandth of a millimetre


def page_to_gcode(page: Page, plotter: Plotter | None = None, tolerance: float = TOLERANCE) -> str:
    """The G-code of a page in millimetres: lift, go (G0), lower, draw (G1), for each stroke; then home.

    Of several colours each is drawn in one go, with a halt (M0) before it for another pen. `tolerance`: mm.
    """
    plotter = plotter or Plotter()
    lines = [
        f"; a page of {page.width:g} x {page.height:g} mm, origin {plotter.origin.replace('_', ' ')}",
        *("G21 ; millimetres", "G90 ; absolute", "G17", *plotter.pen_up),
    ]
    for number, (rgb, strokes) in enumerate(pens(page, plotter.origin, tolerance)):
        colour = bytes(rgb).hex()
        lines += [f"; pen #{colour}"] if number == 0 else [f"M0 ; take the pen #{colour}"]
        for xy_P2 in strokes:
            rounded = moves(xy_P2.round(DECIMALS) + 0.0)  # a zero has no sign
            places = [f"X{x:.{DECIMALS}f} Y{y:.{DECIMALS}f}" for x, y in rounded.tolist()]
            lines += [f"G0 {places[0]}", *plotter.pen_down]
            # The speed once a stroke: what lowers the pen may have set another.
            lines += [f"G1 {place}{'' if i else f' F{plotter.feed:g}'}" for i, place in enumerate(places[1:])]
            lines += plotter.pen_up
    return "\n".join([*lines, "G0 X0 Y0", "M2", ""])
