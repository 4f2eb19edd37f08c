"""One's own hand, recorded in a browser as a visitor does it: nothing is lost by a reload, nothing but whole
lines is in the file, and a network trains on it."""

import json
import re

import numpy as np
import pytest

from graves_lm.data.ink.reading import read_ink
from graves_lm.data.prompts.choice import known_characters, prompts
from graves_lm.data.strokes import to_pen_strokes
from graves_lm.web.html import HERE
from tests.runs import QUICK
from tests.test_commands import Commands, call  # noqa: F401

pytestmark = pytest.mark.slow
AXE = HERE / "page" / "node_modules" / "axe-core" / "axe.min.js"
PLACE = "JSON.parse(localStorage.getItem('graves_lm.recording'))"


@pytest.fixture
def recorder(visit):
    """Opens the page and the recorder in it."""

    def opened(**settings):
        page = visit(**settings)
        page.click("#record")
        return page

    return opened


def scrawl(page, strokes: int = 3, points: int = 20) -> list[np.ndarray]:
    """Waves on the pad, left to right, with the mouse; where it was, in CSS pixels of the pad."""
    box = page.locator("#rec-canvas").bounding_box()
    drawn = []
    for number in range(strokes):
        x = box["width"] * (0.05 + 0.9 * (number + np.linspace(0, 0.8, points)) / strokes)
        y = box["height"] * (0.5 + 0.12 * np.sin(np.arange(points)))
        places = np.stack([x, y], axis=1).round(2)
        page.mouse.move(box["x"] + places[0, 0], box["y"] + places[0, 1])
        page.mouse.down()
        for place in places[1:]:
            page.mouse.move(box["x"] + place[0], box["y"] + place[1])
        page.mouse.up()
        drawn.append(places)
    return drawn


def dot(page) -> None:
    box = page.locator("#rec-canvas").bounding_box()
    page.mouse.click(box["x"] + 40, box["y"] + 40)


def said(page) -> str:
    return page.text_content("#rec-trouble")


def saved(page, folder):
    with page.expect_download() as download:
        page.click("#rec-save")
    path = folder / download.value.suggested_filename
    download.value.save_as(path)
    return path


@pytest.mark.parametrize("characters", ["", "äöüß", "é è, ñ¿ €", "ŋŊ λμ ☃ 日本", "a b \u0301 ß"])
def test_the_page_chooses_what_python_chooses(visit, characters):
    chosen = visit().evaluate("(characters) => graves.prompts(50, characters)", characters)
    assert chosen == prompts(50, characters.replace("\u0301", ""))


def test_four_lines_a_reload_and_a_network_that_trains_on_them(recorder, call: Commands):  # noqa: F811
    page, texts = recorder(), prompts(4)
    for text in texts[:2]:
        assert page.text_content("#rec-prompt") == text
        scrawl(page)
        page.click("#rec-next")
        assert said(page) == ""
    first = scrawl(page, strokes=1)  # a part of the third
    page.reload()
    page.click("#record")
    assert page.text_content("#rec-prompt") == texts[2]
    assert "Line 3 of 40. Written: 2." in page.text_content("#rec-progress")
    more = scrawl(page, strokes=2)
    page.click("#rec-next")
    scrawl(page)
    page.fill("#rec-name", "my own/pen")
    page.keyboard.press("Tab")
    path = saved(page, call.folder)  # the fourth is not left yet
    assert path.name == "my-own-pen.json"

    lines, problems = read_ink(path)
    assert not problems
    assert [line.text for line in lines] == texts
    assert {line.writer for line in lines} == {"my-own-pen"}
    assert len({line.id for line in lines}) == 4
    # The third is where the mouse was, in another unit: nothing is resampled, nothing is lost.
    wanted = np.concatenate([*first, *more])
    found = lines[2].strokes[:, :2].cumsum(0)
    unit = np.ptp(found[:, 0]) / np.ptp(wanted[:, 0])
    assert len(found) == len(wanted)
    np.testing.assert_allclose(found / unit, wanted - wanted[0], atol=0.1)
    assert lines[2].strokes[:, 2].sum() == 3
    # Position, pen, pressure and time of each point, which only grows.
    for line in json.loads(path.read_text())["lines"]:
        points = np.array(line["points"])
        assert points.shape[1] == 5
        assert (np.diff(points[:, 4]) >= 0).all()
        assert points[0, 4] == 0 < points[-1, 4] < 600_000
        assert ((points[:, 3] >= 0) & (points[:, 3] <= 1)).all()

    outcome = call(
        "train",
        "model=synthesis",
        "data=ink",
        f"data.source={path}",
        "data.rate=75",
        "data.batch_size=2",
        "model.network.hidden_size=8",
        "model.network.layers=1",
        *[setting for setting in QUICK if not setting.startswith("trainer.max_steps")],
        "trainer.max_steps=1",
        "run_dir=run",
    )
    assert outcome.status == 0, outcome.err
    assert (call.folder / "run" / "checkpoints" / "last.ckpt").is_file()


def test_what_is_no_line_is_asked_for_again_and_never_in_the_file(recorder, tmp_path):
    page, texts = recorder(), prompts(3)
    page.click("#rec-next")
    assert "no ink yet" in said(page)
    page.click("#rec-save")
    assert "nothing to save" in said(page)
    dot(page)
    page.click("#rec-next")
    assert "less than the line" in said(page)
    assert page.text_content("#rec-prompt") == texts[0]
    page.click("#rec-save")
    assert "nothing to save" in said(page)
    page.click("#rec-skip")
    assert page.text_content("#rec-prompt") == texts[1]
    scrawl(page)
    page.click("#rec-next")
    scrawl(page)
    page.click("#rec-next")
    page.click("#rec-back")
    page.click("#rec-back")
    assert page.text_content("#rec-prompt") == texts[1]
    assert "which is written" in page.text_content("#rec-progress")
    page.click("#rec-redo")
    assert "Written: 1." in page.text_content("#rec-progress")
    lines, _ = read_ink(saved(page, tmp_path))
    assert [line.text for line in lines] == [texts[2]]


def test_undo_takes_the_last_stroke_and_keys_are_enough_for_the_other_hand(recorder, tmp_path):
    page = recorder()
    scrawl(page, strokes=4)
    page.locator("#rec-title").focus()
    page.keyboard.press("Backspace")
    page.keyboard.press("Enter")
    assert page.text_content("#rec-prompt") == prompts(2)[1]
    (line,), _ = read_ink(saved(page, tmp_path))
    assert len(to_pen_strokes(line.strokes)) == 3


def test_characters_of_one_s_own_come_after_what_is_written(recorder):
    page, first = recorder(), prompts(1)[0]
    scrawl(page)
    page.click("#rec-next")
    page.fill("#rec-characters", "äöüß")
    page.keyboard.press("Tab")
    assert page.text_content("#rec-missing").startswith("Still missing: ä ö ü ß")
    order = page.evaluate(f"{PLACE}.order")
    assert order[0] == first
    assert len(order) == len(set(order)) == 40
    for character in "äöüß":
        assert "".join(order[1:9]).count(character) >= 2
    page.fill("#rec-count", "3")
    page.keyboard.press("Tab")
    assert page.evaluate(f"{PLACE}.order.length") == 3
    assert re.match("Line 2 of 3. Written: 1.", page.text_content("#rec-progress"))
    for _ in range(2):
        scrawl(page)
        page.click("#rec-next")
    assert "No line is left" in said(page)
    assert page.evaluate("document.getElementById('rec-bar').position") == 1


def test_what_is_missing_is_what_the_lines_have_not(recorder):
    page = recorder()
    for _ in range(2):
        scrawl(page)
        page.click("#rec-next")
    shown, more = re.fullmatch(
        r"Still missing: (.*?)(?: and (\d+) more)?", page.text_content("#rec-missing")
    ).groups()
    missing = known_characters() - set("".join(prompts(2))) - {" "}
    assert set(shown.split()) <= missing
    assert len(shown.split()) + int(more or 0) == len(missing)


def test_all_is_deleted_by_two_clicks(recorder):
    page = recorder()
    scrawl(page)
    page.click("#rec-next")
    page.click("#rec-delete")
    assert "Press once more to delete the line" in said(page)
    page.click("#rec-left")
    page.click("#rec-delete")
    assert "Written: 1." in page.text_content("#rec-progress")
    page.click("#rec-delete")
    assert "Line 1 of 40. Written: 0." in page.text_content("#rec-progress")
    left = page.evaluate("Object.keys(localStorage).filter((name) => name.includes('recording.'))")
    assert left == []


def test_a_full_storage_is_said_and_the_file_has_all(recorder, tmp_path):
    page = recorder()
    page.evaluate("() => { Storage.prototype.setItem = () => { throw new Error('full'); }; }")
    scrawl(page)
    assert "save the file before you leave" in said(page)
    page.click("#rec-next")
    (line,), _ = read_ink(saved(page, tmp_path))
    assert line.text == prompts(1)[0]


@pytest.mark.parametrize(
    "kept",
    ["3", "null", '{"order": 3}', '{"order": ["a", 1], "at": 9, "written": ["a"], "count": -4, "name": ""}'],
)
def test_what_an_earlier_visit_left_broken_is_of_no_harm(visit, kept):
    page = visit()
    page.evaluate("(kept) => localStorage.setItem('graves_lm.recording', kept)", kept)
    page.evaluate("localStorage.setItem('graves_lm.recording.a', '\"1,x,3\"')")
    page.reload()
    page.click("#record")
    assert "Written: 0." in page.text_content("#rec-progress")
    assert page.text_content("#rec-prompt")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [(390, 844), (1280, 800)])
def test_nothing_serious_is_found_by_axe(recorder, scheme, size):
    if not AXE.is_file():
        pytest.skip(f"npm ci in {HERE / 'page'} brings axe-core")
    page = recorder(color_scheme=scheme, viewport={"width": size[0], "height": size[1]})
    page.click("#rec-next")
    page.evaluate(AXE.read_text())
    found = [v for v in page.evaluate("axe.run()")["violations"] if v["impact"] in ("serious", "critical")]
    assert not [(one["id"], one["nodes"][0]["html"]) for one in found]
    assert page.evaluate("recorder.scrollWidth <= recorder.clientWidth")
    for name in ("rec-canvas", "rec-next", "rec-save"):  # all can be reached without zooming out
        page.locator(f"#{name}").scroll_into_view_if_needed()
        box = page.locator(f"#{name}").bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= size[0]
