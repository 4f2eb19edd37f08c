"""A page as DXF, for programs that draw and for machines that cut, by ezdxf."""

from io import StringIO

from graves_lm.rendering.layout import Page
from graves_lm.rendering.plotter import TOLERANCE, pens
from graves_lm.runtime.extras import require_package


def page_to_dxf(page: Page, tolerance: float = TOLERANCE) -> str:
    """The DXF (R2010) of a page in millimetres, its bottom left corner at (0, 0).

    A stroke is a polyline, a dot a point, each colour a layer `pen 1`, `pen 2`, …; `tolerance` in mm. Raises
    UserError where ezdxf is not installed.
    """
    require_package("ezdxf", "desk", "a .dxf file")
    import ezdxf
    from ezdxf import options, units

    before = options.write_fixed_meta_data_for_testing
    # No date and no random number: the same page, the same file.
    options.write_fixed_meta_data_for_testing = True
    try:
        document = ezdxf.new("R2010", units=units.MM)
        document.header["$LIMMIN"], document.header["$LIMMAX"] = (0, 0), (page.width, page.height)
        space = document.modelspace()
        for number, (rgb, strokes) in enumerate(pens(page, tolerance=tolerance), 1):
            layer = document.layers.add(f"pen {number}")
            layer.rgb = rgb
            for xy_P2 in strokes:
                places = [(float(x), float(y)) for x, y in xy_P2]
                if len(places) == 1:
                    space.add_point(places[0], dxfattribs={"layer": layer.dxf.name})
                else:
                    space.add_lwpolyline(places, dxfattribs={"layer": layer.dxf.name})
        file = StringIO()
        document.write(file)
    finally:
        options.write_fixed_meta_data_for_testing = before
    return file.getvalue()
