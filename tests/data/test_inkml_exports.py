"""InkML as widespread programs export it: contexts, channels, units and times in their forms, written by us.

The texts of a page that has none are in the list beside it, as docs/own_hand.md says.
"""

from pathlib import Path

import numpy as np
import pytest

from graves_lm.data.ink.reading import read_ink
from graves_lm.data.strokes import to_pen_strokes
from graves_lm.runtime.errors import UserError

# Office and OneNote: the names are in the name space "inkml", the axes in thousandths of a centimetre, and
# a trace is differences after its first point. What was recognised is in EMMA, not in the ink's own words.
OFFICE = """<?xml version="1.0" encoding="utf-8"?>
<inkml:ink xmlns:emma="http://www.w3.org/2003/04/emma" xmlns:msink="http://schemas.microsoft.com/ink/2010/main"
    xmlns:inkml="http://www.w3.org/2003/InkML">
  <inkml:definitions>
    <inkml:context xml:id="ctx0">
      <inkml:inkSource xml:id="inkSrc0">
        <inkml:traceFormat>
          <inkml:channel name="X" type="integer" min="-2.14748E9" max="2.14748E9" units="cm"/>
          <inkml:channel name="Y" type="integer" min="-2.14748E9" max="2.14748E9" units="cm"/>
          <inkml:channel name="F" type="integer" max="32767" units="dev"/>
          <inkml:channel name="T" type="integer" min="-2.14748E9" max="2.14748E9" units="dev"/>
        </inkml:traceFormat>
        <inkml:channelProperties>
          <inkml:channelProperty channel="X" name="resolution" value="1000" units="1/cm"/>
          <inkml:channelProperty channel="Y" name="resolution" value="1000" units="1/cm"/>
          <inkml:channelProperty channel="F" name="resolution" value="0" units="1/dev"/>
          <inkml:channelProperty channel="T" name="resolution" value="1" units="1/dev"/>
        </inkml:channelProperties>
      </inkml:inkSource>
      <inkml:timestamp xml:id="ts0" timeString="2024-05-14T09:12:44.310"/>
    </inkml:context>
    <inkml:brush xml:id="br0">
      <inkml:brushProperty name="width" value="0.05" units="cm"/>
      <inkml:brushProperty name="height" value="0.05" units="cm"/>
    </inkml:brush>
  </inkml:definitions>
  <inkml:traceGroup>
    <inkml:annotationXML>
      <emma:emma version="1.0">
        <emma:interpretation id="{1}" emma:medium="tactile" emma:mode="ink">
          <msink:context type="line" rotatedBoundingBox="1,1 2,2 3,3 4,4"/>
        </emma:interpretation>
      </emma:emma>
    </inkml:annotationXML>
    <inkml:traceGroup>
      <inkml:annotationXML>
        <emma:emma version="1.0">
          <emma:one-of disjunction-type="recognition" id="oneOf0">
            <emma:interpretation id="i0"><emma:literal>guess</emma:literal></emma:interpretation>
          </emma:one-of>
        </emma:emma>
      </inkml:annotationXML>
      <inkml:trace xml:id="st0" contextRef="#ctx0" brushRef="#br0">1000 2000 24575 0,'30'-40'0'8,"0"0"0"0</inkml:trace>
      <inkml:trace xml:id="st1" contextRef="#ctx0" brushRef="#br0" timeOffset="512.4">1200 2000 9000 0,'10'0'5'8</inkml:trace>
    </inkml:traceGroup>
  </inkml:traceGroup>
</inkml:ink>
"""  # noqa: E501

# Wacom: one source with its rate and area, force and tilt in the trace's format, times as offsets.
WACOM = """<?xml version="1.0" encoding="UTF-8"?>
<ink xmlns="http://www.w3.org/2003/InkML" documentID="uuid:6a0c">
  <annotation type="software">an exporter</annotation>
  <definitions>
    <inkSource xml:id="pen" manufacturer="Wacom" model="a tablet">
      <traceFormat>
        <channel name="X" type="decimal" units="mm" min="0" max="216"/>
        <channel name="Y" type="decimal" units="mm" min="0" max="135"/>
        <channel name="T" type="integer" units="ms"/>
        <channel name="F" type="decimal" min="0" max="1"/>
        <channel name="OTx" type="decimal" units="deg"/>
        <channel name="OTy" type="decimal" units="deg"/>
      </traceFormat>
      <sampleRate uniform="true" value="200"/>
      <latency value="5"/>
      <activeArea size="A5" width="216" height="135" units="mm"/>
      <channelProperties>
        <channelProperty channel="X" name="resolution" value="100" units="1/mm"/>
        <channelProperty channel="Y" name="resolution" value="100" units="1/mm"/>
      </channelProperties>
    </inkSource>
    <timestamp xml:id="t0" time="1715678000123"/>
    <context xml:id="c0" inkSourceRef="#pen" timestampRef="#t0"/>
  </definitions>
  <traceGroup contextRef="#c0">
    <annotation type="text">two lines</annotation>
    <trace timeOffset="0" duration="15">10.0 20.0 0 0.11 30 60, 10.3 19.6 5 0.42 30 60,
      10.6 19.2 10 .5 30 60</trace>
    <trace type="penUp">10.6 19.2 15 0 30 60,11.9 20 95 0 30 60</trace>
    <trace timeOffset="100" duration="5">12.0 20.0 100 0.3 30 60, 12.1 20.0 105 0.2 30 60</trace>
  </traceGroup>
  <traceGroup contextRef="#c0">
    <annotation type="text">of it</annotation>
    <trace>10 40 900 0.4 30 60,10.6 39.2 905 0.5 30 60</trace>
  </traceGroup>
</ink>
"""

# Exporters of PencilKit's drawings: positions in points, with force, angles and the time of each; as one
# context after the other, or with channels that only some points have.
PENCIL = """<?xml version="1.0" encoding="UTF-8" standalone="yes"?>
<ink xmlns="http://www.w3.org/2003/InkML">
  <context xml:id="pencil">
    <inkSource xml:id="applepencil">
      <traceFormat xml:id="f">
        <channel name="X" type="decimal" units="pt"/>
        <channel name="Y" type="decimal" units="pt"/>
        <channel name="F" type="decimal"/>
        <channel name="OA" type="decimal" units="rad"/>
        <channel name="OE" type="decimal" units="rad"/>
        <channel name="T" type="decimal" units="s" respectTo="#start"/>
        <intermittentChannels><channel name="W" type="decimal" units="pt"/></intermittentChannels>
      </traceFormat>
    </inkSource>
    <timestamp xml:id="start" timeString="2024-05-14T09:12:44Z"/>
  </context>
  <trace contextRef="#pencil">100 200 .33 .1 1.2 0,103 196 .41 .1 1.2 .004167 2.5,
    106 192 .5 .1 1.2 .008333</trace>
  <trace contextRef="#pencil">120 200 1 .1 1.2 .5,121 200 1 .1 1.2 .504</trace>
</ink>
"""

PATH = [[[0, 0], [3, -4], [6, -8]], [[20, 0], [21, 0]]]


def assert_is_path(strokes: np.ndarray, unit: float) -> None:
    found = [stroke / unit for stroke in to_pen_strokes(strokes)]
    assert len(found) == len(PATH)
    for stroke, expected in zip(found, PATH, strict=True):
        np.testing.assert_allclose(stroke, expected, atol=1e-5)


def test_office(tmp_path: Path):
    path = tmp_path / "page.inkml"
    path.write_text(OFFICE)
    (line,), _ = read_ink(path)
    assert line.text == ""  # a recogniser's guess is no text
    assert_is_path(line.strokes, 10)
    path.with_suffix(".txt").write_text("what is written\n")
    (line,), problems = read_ink(path)
    assert (line.text, problems) == ("what is written", [])


def test_wacom(tmp_path: Path):
    path = tmp_path / "page.inkml"
    path.write_text(WACOM)
    lines, problems = read_ink(path)
    assert not problems
    assert [line.text for line in lines] == ["two lines", "of it"]
    assert_is_path(lines[0].strokes, 0.1)
    np.testing.assert_allclose(to_pen_strokes(lines[1].strokes)[0], [[0, 0], [0.6, -0.8]], atol=1e-6)


def test_pencil(tmp_path: Path):
    path = tmp_path / "page.inkml"
    path.write_text(PENCIL)
    path.with_suffix(".txt").write_text("one line\n")
    (line,), problems = read_ink(path)
    assert (line.text, problems) == ("one line", [])
    assert_is_path(line.strokes, 1)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("ink.isf", "Windows Ink's own form.*InkML"),
        ("ink.gif", "unknown kind of file"),
        ("ink.will", "Wacom's own form.*InkML"),
        ("ink.uim", "Wacom's own form.*InkML"),
        ("ink.drawing", "PencilKit's own form.*InkML"),
        ("ink.one", "OneNote's own form.*InkML"),
    ],
)
def test_what_programs_keep_for_themselves_is_named(tmp_path: Path, name, why):
    (tmp_path / name).write_bytes(b"\x00\x86\x03\x1d\x04")
    with pytest.raises(UserError, match=why) as error:
        read_ink(tmp_path / name)
    assert "\n" not in str(error.value)
