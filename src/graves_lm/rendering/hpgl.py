"""A page as HP-GL, the language of pen plotters since Hewlett-Packard's: 40 units a millimetre, y up."""

from graves_lm.rendering.layout import Page
from graves_lm.rendering.plotter import TOLERANCE, Plotter, moves, pens

UNITS = 40  # a millimetre
_LONGEST = 50  # places in a command: old plotters keep no more of one in mind


def page_to_hpgl(page: Page, plotter: Plotter | None = None, tolerance: float = TOLERANCE) -> str:
    """The HP-GL of a page in millimetres; a pen (SP1, SP2, …) for each colour. `tolerance`: mm."""
    plotter = plotter or Plotter()
    # VS is in cm/s; plotters take whole ones from 1 on.
    commands = ["IN", "PA", f"VS{max(1, round(plotter.feed / 600))}"]
    for number, (_, strokes) in enumerate(pens(page, plotter.origin, tolerance), 1):
        commands.append(f"SP{number}")
        for xy_P2 in strokes:
            units = moves((xy_P2 * UNITS).round().astype(int))
            places = [f"{x},{y}" for x, y in units.tolist()]
            commands.append(f"PU{places[0]}")
            rest = places[1:] or places  # the pen down and nowhere else: a dot
            commands += [f"PD{','.join(rest[i : i + _LONGEST])}" for i in range(0, len(rest), _LONGEST)]
    return ";\n".join([*commands, "PU", "SP0", ""])
