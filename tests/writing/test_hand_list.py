"""The hands command: a row and a line for each hand, and what is no hand is named."""

import json
import re
from io import BytesIO
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from graves_lm.data.features import features
from graves_lm.data.strokes import Normalisation
from graves_lm.trained.exported import export
from graves_lm.writing.hand_list import Hand, picture, table
from graves_lm.writing.writer import load
from tests.data.lines import make_line, write_ink
from tests.test_commands import call  # noqa: F401
from tests.writing.hands import UNITS, synthesis_checkpoint

GIVEN = ("ckpt=w.safetensors", "text=add a bed")


@pytest.fixture
def at(call, monkeypatch):  # noqa: F811
    """The command in a folder with ink, weights that know more, a hand called 3, and files that are none."""
    folder, hands = call.folder, call.folder / "hands"
    hands.mkdir()
    export(synthesis_checkpoint(), folder / "w.safetensors")
    write_ink(hands / "anna.json", [make_line("anna", 60, "a bad cab")])
    write_ink(hands / "3.json", [make_line("three", 50, "bed")])
    export(
        synthesis_checkpoint(characters=" abcdeäß"),
        hands / "carla.safetensors",
        hand=make_line("c", 50, "bed"),
    )
    (hands / "torn.ckpt").write_bytes(b"x" * 40)
    (hands / "empty.json").write_text("{")
    bank = json.loads(
        write_ink(folder / "bank.json", [make_line("b1", 50, "cab"), make_line("b2", 50, "dad")]).read_text()
    )
    bank["normalisation"] = UNITS.to_plain()
    (folder / "bank.json").write_text(json.dumps(bank))
    monkeypatch.setattr("graves_lm.writing.hands.BANK", folder / "bank.json")
    return call


def rows(out: str) -> list[list[str]]:
    """Cells, which two spaces or more divide."""
    return [re.split(r"\s{2,}", line.strip()) for line in out.split("\n\n")[0].splitlines()]


def test_all_hands_are_listed_and_drawn(at):
    done = at("hands", *GIVEN)
    assert done.status == 0, done.err
    head, *found = rows(done.out)
    assert head == ["hand", "kind", "size", "slant", "speed", "letters a stroke", "further characters"]
    assert [row[:2] for row in found] == [
        ["1", "package"],
        ["2", "package"],
        ["3", "ink"],
        ["anna", "ink"],
        ["carla", "weights"],
    ]
    assert [row[6:] for row in found] == [[], [], [], [], ["äß"]]
    line = (
        load(at.folder / "w.safetensors")
        .write("add a bed", hand=str(at.folder / "hands" / "anna.json"))
        .strokes[0]
    )
    its = features(line)
    assert found[3][2:5] == [f"{its.size:.0f}", f"{round(its.slant)}°", f"{its.speed:.1f}"]
    for name in ("torn.ckpt", "empty.json"):
        assert (
            sum(name in said and said.startswith("graves_lm hands: ") for said in done.err.splitlines()) == 1
        )
    assert done.out.splitlines()[-1] == "hands.svg"
    drawing = ElementTree.parse(at.folder / "hands.svg").getroot()
    svg = "{http://www.w3.org/2000/svg}"
    assert [label.text for label in drawing.iter(f"{svg}text")] == ["1", "2", "3", "anna", "carla"]
    assert len(list(drawing.iter(f"{svg}path"))) >= 5


def test_a_table_alone_and_a_png(at):
    done = at("hands", *GIVEN, "output=null")
    assert (done.status, len(rows(done.out)), list(at.folder.glob("*.svg"))) == (0, 6, [])
    assert at("hands", *GIVEN, "output=all.png").out.splitlines()[-1] == "all.png"
    assert Image.open(at.folder / "all.png").format == "PNG"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (("output=hands.gif",), "output=hands.gif: a picture of hands is written as .svg or .png"),
        (("output=no/hands.svg",), "cannot write no/hands.svg"),
        (("text=",), "text=: a line of 1 to 60 characters"),
        ((f"text={'ad ' * 40}",), "text=ad ad"),
        (("text=axe",), "text: 'x' (LATIN SMALL LETTER X) at position 2"),
        (("ckpt=stroke",), "ckpt=stroke: a checkpoint of model=stroke, and this needs model=synthesis"),
    ],
)
def test_mistakes_are_found_before_the_work(at, given, message):
    names = [one.partition("=")[0] for one in given]
    kept = [one for one in GIVEN if one.partition("=")[0] not in names]
    assert at.refuse("hands", *kept, *given).startswith(message)
    assert list(at.folder.glob("hands.*")) == []


def test_no_hands_at_all(at, monkeypatch):
    monkeypatch.setattr("graves_lm.writing.hands.BANK", at.folder / "none.json")
    assert at.refuse("hands", *GIVEN, "hands_dir=none").startswith(
        "hands_dir=none: no hand there, and none of"
    )


def test_lines_of_other_units_are_drawn_in_their_size(at):
    """Ten times smaller units, and a line as many times smaller."""
    small = Normalisation((0.8, 0.0), (4.2, 3.6))
    line = make_line("s", 50, "bed")
    export(synthesis_checkpoint(), at.folder / "hands" / "big.safetensors", hand=line)
    tenth = line._replace(strokes=(line.strokes * (0.1, 0.1, 1)).astype(np.float32))
    export(synthesis_checkpoint(units=small), at.folder / "hands" / "small.safetensors", hand=tenth)
    found = {row[0]: row for row in rows(at("hands", *GIVEN).out)}
    assert found["small"][2:6] == found["big"][2:6]


def test_names_are_shown_as_they_are():
    hand = Hand("a<b&c\x1b[31m and much more", "ink", make_line("x", 40).strokes, "a bed", "")
    assert "\x1b" not in table([hand])
    drawing = str(picture([hand], png=False))
    (label,) = ElementTree.fromstring(drawing).iter("{http://www.w3.org/2000/svg}text")
    assert label.text == "a<b&c\\x1b[31m…"
    assert Image.open(BytesIO(picture([hand], png=True))).size[0] > 500
