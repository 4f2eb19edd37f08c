import itertools
import math
import re
import xml.etree.ElementTree as ET

import pytest

from graves_lm.rendering.chart import chart, ticks


def points_of(svg):
    circles = ET.fromstring(svg).iter("{http://www.w3.org/2000/svg}circle")
    return [(float(c.get("cx")), float(c.get("cy"))) for c in circles]


def test_points_stand_where_their_figures_are():
    svg = chart({"run": [(0, -10.0), (50, -20.0), (100, -30.0)]}, "val/nll", [(50, "narrow & last")])
    (x0, y0), (x1, y1), (x2, y2) = points_of(svg)
    assert x1 - x0 == pytest.approx(x2 - x1, abs=0.2)
    assert y0 < y1 < y2  # lower is better, and further down
    assert y1 - y0 == pytest.approx(y2 - y1, abs=0.2)
    mark = re.search(r'd="M([\d.]+) \d+V', svg)
    assert float(mark[1]) == pytest.approx(x1, abs=0.1)
    assert "narrow &amp; last" in svg


def test_a_figure_far_off_stands_at_the_edge_and_hides_no_others():
    svg = chart({"run": [(1, 9000.0), (2, -100.0), (3, -110.0), (4, -111.0), (5, math.nan)]}, "nats")
    ys = [y for _, y in points_of(svg)]
    assert len(ys) == 4
    assert ys[0] < ys[1] < ys[2]
    assert ys[2] - ys[1] > 50


@pytest.mark.parametrize("curves", [{}, {"one": []}, {"one": [(0, 1.0)]}, {"one": [(7, 1.0), (7, 1.0)]}])
def test_few_points_are_a_picture_too(curves):
    assert ET.fromstring(chart(curves, "nats")).tag.endswith("svg")


@pytest.mark.parametrize(
    ("low", "high"), [(0, 1), (-1107.4, -960.2), (1.29, 1.63), (0, 12345), (-3e-4, 2e-4)]
)
def test_ticks_are_round_few_and_reach_over_the_range(low, high):
    found = ticks(low, high)
    steps = {round(b - a, 12) for a, b in itertools.pairwise(found)}
    assert len({float(f"{step:.6g}") for step in steps}) == 1
    assert found[0] <= low + 1e-9
    assert found[-1] <= high + 1e-9
    assert high - found[-1] <= min(steps) + 1e-9
    assert 3 <= len(found) <= 8
