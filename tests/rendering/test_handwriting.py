"""The name of a file decides on its format."""

import json
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from PIL import Image

from graves_lm.rendering.handwriting import USUAL, format_of, write_handwriting
from graves_lm.runtime.errors import UserError

LINE = np.array([[0, 0, 0], [10, 0, 0], [0, 20, 1], [5, -20, 1]])


@pytest.mark.parametrize(
    ("name", "ending"),
    [
        ("a.svg", ".svg"),
        ("b/A.PNG", ".png"),
        ("a.b.gif", ".gif"),
        ("a.anim.svg", ".anim.svg"),
        ("x.json", ".json"),
        ("x.inkml", ".inkml"),
        ("a.anim.GCODE", ".gcode"),
    ],
)
def test_endings(name, ending):
    assert format_of(name) == ending


@pytest.mark.parametrize("name", ["a", "a.ps", "svg", ".svg", "folder.png/a", ""])
def test_other_endings(name):
    with pytest.raises(UserError, match=r"\.svg, \.png, \.gif, \.json, \.anim\.svg"):
        format_of(name)


def test_each_format_is_what_it_says(tmp_path):
    for ending in USUAL:
        write_handwriting(tmp_path / f"a{ending}", [LINE])
    points = [[0, 0, 0], [10, 0, 0], [10, 20, 1], [15, 0, 1]]
    assert json.loads((tmp_path / "a.json").read_text())["lines"] == [{"text": "", "points": points}]
    assert Image.open(tmp_path / "a.png").format == "PNG"
    assert Image.open(tmp_path / "a.gif").format == "GIF"
    for name, animated in (("a.svg", False), ("a.anim.svg", True)):
        root = ET.parse(tmp_path / name).getroot()
        assert root.tag == "{http://www.w3.org/2000/svg}svg"
        assert (root.find("{http://www.w3.org/2000/svg}style") is not None) == animated


@pytest.mark.parametrize(("ending", "package"), [(".pdf", "reportlab"), (".dxf", "ezdxf")])
def test_a_missing_package_is_named_with_what_brings_it(monkeypatch, tmp_path, ending, package):
    monkeypatch.setattr("graves_lm.runtime.extras.find_spec", lambda name: None)
    with pytest.raises(UserError, match=rf"a{ending} needs {package}.*pip install 'graves-lm\[desk\]'"):
        write_handwriting(tmp_path / f"a{ending}", [LINE])
    assert not list(tmp_path.iterdir())
