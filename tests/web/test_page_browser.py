"""The page in a browser without a network, as a visitor has it: it writes what Python writes, in a hand of
one's own too, can be used by keyboards and screen readers, and its files are read again.
"""

import json
import time
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest

import graves_lm
from graves_lm.data.ink.reading import read_ink
from graves_lm.data.strokes import to_pen_strokes
from graves_lm.trained.checkpoint import read_checkpoint
from graves_lm.trained.exported import export
from graves_lm.web.html import page as page_with
from graves_lm.writing.hands import hands_of

pytestmark = pytest.mark.slow
pytest.importorskip("playwright.sync_api", reason="pip install playwright")
AXE = Path(graves_lm.__file__).parent / "web" / "page" / "node_modules" / "axe-core" / "axe.min.js"
SHOWN = "document.querySelectorAll('.writing path').length"


def wait(page, condition: str, seconds: float = 60) -> None:
    """Playwright's own waiting evaluates text in the page, which its policy forbids."""
    end = time.monotonic() + seconds
    while not page.evaluate(condition):
        assert time.monotonic() < end, condition
        page.wait_for_timeout(50)


def write(page, text: str, **given) -> list[np.ndarray]:
    lines = page.evaluate("([text, given]) => graves.write(text, given)", [text, given])
    return [np.array(line) for line in lines]


def assert_same(line: np.ndarray, other: np.ndarray) -> None:
    """Places to a thousandth of the line's size; a dot too many at the end is left out by the page alone."""
    assert len(line) <= len(other) < len(line) + 10
    other = other[: len(line)]
    places, others = line[:, :2].cumsum(0), other[:, :2].cumsum(0)
    assert np.abs(places - others).max() < 1e-3 * np.ptp(others, axis=0).max()
    assert (line[:, 2] == other[:, 2]).all()


def draw(page, strokes: list[np.ndarray]) -> None:
    """Strokes on the pad, with the mouse, over its width."""
    box = page.locator("#pad-canvas").bounding_box()
    left, top = np.concatenate(strokes).min(0)
    scale = 0.94 * box["width"] / np.ptp(np.concatenate(strokes)[:, 0])
    for stroke in strokes:
        places = (stroke - (left, top)) * scale + (box["x"] + 0.03 * box["width"], box["y"] + 20)
        page.mouse.move(*places[0])
        page.mouse.down()
        for place in places[1:]:
            page.mouse.move(*place)
        page.mouse.up()


@pytest.fixture(scope="module")
def writer():
    return graves_lm.load("synthesis")


@pytest.mark.parametrize(
    ("text", "given"),
    [
        ("The quick brown fox jumps over it", {"seed": 3, "bias": 0.75}),
        ('Some words: 12, 34;\n(see) "here"!', {"seed": 5_000_000_011, "bias": 0.3}),
        ("in a hand that was chosen", {"seed": 7, "bias": 1.2, "hand": 11}),
    ],
)
def test_its_points_are_those_of_python(visit, writer, text, given):
    drawn = write(visit(), text, **given)
    expected = [
        line.strokes for line in writer.write(text, width=40, weights="int8", retries=0, **given).lines
    ]
    for line, other in zip(drawn, expected, strict=True):
        assert_same(line, other)


def test_a_dot_too_many_is_left_out(visit, writer):
    """A word without dots, and seeds with which the pen sets one all the same."""
    page, cut = visit(), []
    for seed in (1, 7, 11, 36):
        (line,) = write(page, "we had a man", seed=seed)
        (drawn,) = writer.write("we had a man", seed=seed, weights="int8", retries=0).lines
        cut.append(len(drawn.strokes) - len(line))
        assert_same(line, drawn.strokes)
    assert sum(points > 0 for points in cut) > 2


def test_another_seed_is_another_line(visit):
    page = visit()
    one, same, other = (write(page, "a line", seed=seed, hand=3)[0] for seed in (1, 1, 2))
    assert one.tolist() == same.tolist() != other.tolist()


def test_the_pen_moves_soon_after_opening(visit):
    page = visit()
    wait(page, f"{SHOWN} > 2", 20)
    first = page.evaluate(SHOWN)
    wait(page, f"{SHOWN} > {first}")


def test_the_first_point_is_marked_once(visit):
    page = visit()
    write(page, "a line\nand another")
    assert page.evaluate("performance.getEntriesByName('first point').length") == 1


UNSCROLLED = """() => [document.documentElement, scroller, document.querySelector('.frame')].every(
    (box) => box.scrollHeight <= box.clientHeight && box.scrollWidth <= box.clientWidth)"""
OUTSIDE = """() => [...document.querySelectorAll('.writing path, button, input, figure, #phi, #glass')]
    .filter((one) => one.checkVisibility()).filter((one) => {
        const box = one.getBoundingClientRect();
        return box.left < 0 || box.top < 0 || box.right > innerWidth || box.bottom > innerHeight;
    }).map((one) => one.id)"""
SEEN = """() => [...document.querySelectorAll('button, input, textarea, figure')]
    .filter((one) => one.checkVisibility()).map((one) => one.id)"""


@pytest.fixture
def view(visit):
    """Opens a view of one thing in a narrow frame, then a wide one: all of it is seen, and nothing else."""

    def opened(only: str):
        page = visit(f"#only={only}", viewport={"width": 360, "height": 320})
        wait(page, f"{SHOWN} > 4")
        for width in (360, 700):
            page.set_viewport_size({"width": width, "height": 320})
            page.wait_for_timeout(100)
            assert page.evaluate(UNSCROLLED)
            assert page.evaluate(OUTSIDE) == []
            assert sorted(page.evaluate(SEEN)) == ["again", only]
        return page

    return opened


def again(page) -> None:
    """The button begins anew, and nothing of the visit is kept."""
    wait(page, f"{SHOWN} > 5")
    page.click("#again")
    wait(page, f"0 < {SHOWN} && {SHOWN} < 5", 5)
    assert page.evaluate("localStorage.length") == 0


def test_a_view_of_the_neatness(view):
    page = view("bias")
    again(page)
    wait(page, "document.getElementById('status').textContent === 'Written: 2 lines.'")
    drawn = "document.querySelector('.writing').innerHTML"
    neat = page.evaluate(drawn)
    page.locator("#bias").press("Home")
    assert page.text_content("output[for=bias]") == "0.00"
    wait(page, "document.getElementById('status').textContent.startsWith('Writing')", 5)
    wait(page, "document.getElementById('status').textContent === 'Written: 2 lines.'")
    assert page.evaluate(drawn) != neat
    assert page.evaluate("localStorage.length") == 0


def test_a_view_of_the_window(view):
    page = view("window")
    at = "[...reading.children].findIndex((one) => one.className === 'at')"
    wait(page, f"{at} > 2")
    again(page)
    wait(page, f"{at} < 2", 5)


def test_a_view_of_the_density(view):
    page = view("density")
    clouds = "document.querySelectorAll('#glass ellipse').length"
    wait(page, f"{clouds} > 0")
    again(page)
    wait(page, f"{clouds} > 0")


def test_a_view_knows_of_no_other_visit(visit):
    page = visit()
    page.fill("#text", "mine")
    wait(page, "(localStorage.getItem('graves_lm.settings') ?? '').includes('mine')", 5)
    kept = page.evaluate("localStorage.getItem('graves_lm.settings')")
    page.goto(page.url + "#only=bias")
    page.reload()
    wait(page, f"{SHOWN} > 2")
    assert page.get_attribute("#sheet", "aria-label") == "Handwriting: the pen writes what you say"
    page.locator("#bias").press("End")
    page.wait_for_timeout(500)
    assert page.evaluate("localStorage.getItem('graves_lm.settings')") == kept


def test_what_is_typed_on_keeps_what_is_written(visit):
    page = visit()
    write(page, "one line of text that is long enough\nand more")
    wait(page, "document.querySelectorAll('.writing .line').length > 1", 120)
    first = page.evaluate("document.querySelector('.writing path').getAttribute('d')")
    page.locator("#text").focus()
    page.keyboard.press("Control+End")
    page.keyboard.type(" of it")
    page.wait_for_timeout(600)
    assert page.evaluate("document.querySelector('.writing path').getAttribute('d')") == first
    assert page.evaluate("document.querySelectorAll('.writing .line').length") > 1


def test_ones_own_pen_is_a_hand(visit, writer, tmp_path):
    page = visit()
    plain = write(page, "a house", seed=1)[0]
    hand = hands_of(writer.trained.normalisation, writer.trained.alphabet)[6]
    strokes = to_pen_strokes(hand.strokes)
    page.click("#own")
    page.click("#pad-keep")
    assert "no ink yet" in page.text_content("#pad-trouble")
    page.fill("#pad-text", "")
    draw(page, strokes[:1])
    page.click("#pad-keep")
    assert "no text" in page.text_content("#pad-trouble")
    page.click("#pad-clear")
    page.fill("#pad-text", hand.text)
    draw(page, strokes)
    page.click("#pad-keep")
    assert not page.evaluate("document.getElementById('pad').open")
    chosen = page.evaluate("document.querySelector('#hand-list :checked').value")
    assert chosen.startswith("own-")
    own = write(page, "a house", seed=1)[0]
    assert own.tolist() != plain.tolist()

    page.fill("#hand-name", "Mine")
    page.keyboard.press("Tab")
    with page.expect_download() as saved:
        page.click("#save-hand")
    path = tmp_path / "hand.json"
    saved.value.save_as(path)
    (line,), problems = read_ink(path)
    assert (line.text, line.id, problems) == (hand.text, "Mine", [])
    assert 100 < len(line.strokes) < 1500
    assert all(len(point) == 4 for point in json.loads(path.read_text())["lines"][0]["points"])

    page.reload()
    assert page.get_by_label("Mine").count() == 1
    assert write(page, "a house", seed=1, hand=chosen)[0].tolist() == own.tolist()
    page.click("#delete-hand")
    assert page.get_by_label("Mine").count() == 0
    page.click("#notice-act")
    assert page.get_by_label("Mine").count() == 1
    page.set_input_files("#file", path)
    wait(page, "document.querySelectorAll('.hand.own').length === 2")
    # From the file the page and Python write the same in it.
    kept = page.evaluate("[...document.querySelectorAll('.hand.own input')].map((hand) => hand.value)")
    (chosen,) = set(kept) - {chosen}
    (ours,) = write(page, "a house", seed=1, hand=chosen)
    (theirs,) = writer.write("a house", seed=1, prime=line, weights="int8", retries=0, bias=0.75).lines
    assert_same(ours, theirs.strokes)


def test_weights_that_know_accents_as_characters_write_them(browser, tmp_path):
    """As Python does; in files and to a screen reader, letters are whole."""
    (tmp_path / "page.html").write_text(page_with("synthesis_european"), encoding="utf-8")
    context = browser.new_context(offline=True, accept_downloads=True)
    page = context.new_page()
    page.goto((tmp_path / "page.html").as_uri())
    text = "müde señora"
    (ours,) = write(page, text, seed=2)
    (theirs,) = graves_lm.load("synthesis_european").write(text, seed=2, weights="int8", retries=0).lines
    assert_same(ours, theirs.strokes)
    assert page.get_attribute("#sheet", "aria-label") == f"Handwriting: {text}"
    assert page.text_content("#spelling") == ""
    wait(page, "document.getElementById('status').textContent === 'Written.'")
    with page.expect_download() as saved:
        page.click("#save-json")
    saved.value.save_as(tmp_path / "ink.json")
    assert [line.text for line in read_ink(tmp_path / "ink.json")[0]] == [text]
    context.close()


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("", "empty"),
        ("{", "neither JSON nor InkML"),
        ("<ink>", "broken"),
        ("<svg/>", "not of <ink>"),
        ('<ink xmlns="http://www.w3.org/2003/InkML"/>', "no ink"),
        ('{"text": "a", "strokes": []}', "no ink"),
        ('{"text": "a", "strokes": [[[1, 1]]]}', "one point"),
        (json.dumps({"strokes": [[[n, n % 7] for n in range(50)]]}), "no text"),
        (json.dumps({"text": "日本", "strokes": [[[n, n % 7] for n in range(50)]]}), "does not know"),
        (json.dumps({"text": "a", "strokes": [[[1, 1] for n in range(50)]]}), "are one"),
        (json.dumps({"text": "a", "strokes": [[[n, n % 7] for n in range(5000)]]}), "more than"),
        ('{"text": "a", "points": [[0, 0, 7]]}', "third number"),
        ('{"lines": 3}', "no list"),
        ('{"text": "a", "strokes": [[[1e999, "x"]]]}', "neither JSON|not of numbers"),
    ],
)
def test_a_file_that_is_no_hand_is_refused_in_one_line(visit, content, why):
    page = visit()
    page.set_input_files("#file", {"name": "a.json", "mimeType": "text/plain", "buffer": content.encode()})
    wait(page, "!document.getElementById('notice').hidden", 5)
    said = page.text_content("#notice p")
    assert "a.json: " in said
    assert any(part in said for part in why.split("|")), said
    assert page.evaluate("document.querySelectorAll('.hand.own').length") == 0


def test_its_files_are_read_again(visit, tmp_path):
    page = visit(reduced_motion="reduce")
    lines = write(page, "Some <ink> & more,\nand a line.", seed=2)
    wait(page, "document.getElementById('status').textContent.startsWith('Written')")

    def saved(button: str) -> Path:
        with page.expect_download() as download:
            page.click(f"#save-{button}")
        path = tmp_path / download.value.suggested_filename
        download.value.save_as(path)
        return path

    for button in ("json", "inkml"):
        found, problems = read_ink(saved(button))
        assert not problems
        assert [line.text for line in found] == ["Some ink & more,", "and a line."]
        for line, points in zip(found, lines, strict=True):
            assert len(line.strokes) == len(points)
            np.testing.assert_allclose(line.strokes[1:, :2].cumsum(0), points[1:, :2].cumsum(0), atol=0.02)
            assert (line.strokes[:, 2] == points[:, 2]).all()
    strokes = sum(int(line[:, 2].sum()) for line in lines)
    for button in ("svg", "animated"):
        root = ElementTree.parse(saved(button)).getroot()
        paths = [element for element in root.iter() if element.tag.endswith("path")]
        assert len(paths) == strokes
        assert all(path.get("d").startswith("M") and "NaN" not in path.get("d") for path in paths)
    png = saved("png").read_bytes()
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    assert int.from_bytes(png[16:20], "big") == 2400
    for button in ("json", "inkml"):  # the page reads them too
        page.set_input_files("#file", tmp_path / f"handwriting.{button}")
    wait(page, "document.querySelectorAll('.hand.own').length === 4", 5)


def test_a_file_has_all_of_a_text_that_is_still_being_written(visit, tmp_path):
    page = visit()
    page.fill("#text", "a line, and then\nanother one")
    page.locator("#text").press("Control+Enter")
    wait(page, f"{SHOWN} > 0")
    with page.expect_download(timeout=60_000) as download:
        page.click("#save-json")
    download.value.save_as(tmp_path / "ink.json")
    found, _ = read_ink(tmp_path / "ink.json")
    assert [line.text for line in found] == ["a line, and then", "another one"]


def test_characters_are_replaced_or_left_out_and_it_is_said(visit):
    page = visit()
    page.fill("#text", "né “so” 日本\x07 – \u200bend\ttab")
    wait(page, "document.getElementById('spelling').textContent !== ''", 5)
    said = page.text_content("#spelling")
    assert "é is written as e" in said
    assert "left out: 日 本" in said
    wait(page, """sheet.getAttribute('aria-label') === 'Handwriting: ne "so" - end tab'""", 5)


def test_an_empty_text(visit):
    page = visit()
    assert write(page, " \n\x00 ") == []
    wait(page, "document.getElementById('status').textContent === 'There is nothing to write yet.'", 5)
    page.click("#save-svg")
    assert "nothing to save" in page.text_content("#notice p")


def test_undo_brings_back_what_was_there(visit):
    page = visit()
    write(page, "first", seed=5)
    page.click("#clear")
    assert page.input_value("#text") == ""
    page.click("#undo")
    assert page.input_value("#text") == "first"
    assert page.input_value("#seed") == "5"


def test_what_was_typed_a_moment_ago_is_not_lost(visit):
    page = visit()
    write(page, "first")
    page.locator("#text").press("Control+End")
    page.keyboard.type(" and second")
    page.click("#clear")
    page.click("#undo")
    assert page.input_value("#text") == "first and second"
    wait(page, "sheet.getAttribute('aria-label') === 'Handwriting: first and second'", 5)
    wait(page, "document.getElementById('status').textContent === 'Written.'")


def test_weights_that_are_none_are_told_of(browser, page_file, tmp_path):
    broken = tmp_path / "page.html"
    text = page_file.read_text(encoding="utf-8")
    begin = text.index('"weights"') + 12
    broken.write_text(text[:begin] + "AAAA" + text[begin + 4 :], encoding="utf-8")
    context = browser.new_context(offline=True)
    page = context.new_page()
    page.goto(broken.as_uri())
    wait(page, "!document.getElementById('notice').hidden")
    assert "could not be run" in page.text_content("#notice p")
    page.fill("#text", "and now?")
    page.click("#write")
    assert page.text_content("#status") == "There is no pen."
    context.close()


def test_stop_is_at_once_and_writing_goes_on(visit):
    page = visit()
    page.fill("#text", "a line that takes a while to write")
    page.click("#write" if page.is_visible("#write") else "#stop")
    if page.is_visible("#write"):
        page.click("#write")
    wait(page, f"{SHOWN} > 3")
    page.click("#stop")
    count = page.evaluate(SHOWN)
    page.wait_for_timeout(400)
    assert page.evaluate(SHOWN) == count
    assert page.text_content("#status") == "Stopped."
    page.click("#write")
    wait(page, f"{SHOWN} > {count}")


def test_two_thousand_characters_on_a_sheet_that_grows(visit):
    page = visit(reduced_motion="reduce")
    page.fill("#text", ("a word or two of it, " * 100)[:2000])
    wait(page, "document.querySelectorAll('.writing .line').length >= 3", 60)
    height, seen, beyond = page.evaluate(
        "[scroller.scrollHeight, scroller.clientHeight, scroller.scrollWidth - scroller.clientWidth]"
    )
    assert height > 2 * seen
    assert beyond <= 1
    page.set_viewport_size({"width": 420, "height": 700})
    page.wait_for_timeout(200)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.click("#stop")


def test_a_keyboard_is_enough(visit):
    page = visit()
    names = []
    for _ in range(60):
        page.keyboard.press("Tab")
        names.append(page.evaluate("document.activeElement.id || document.activeElement.name"))
        if names[-1] == "save-json":
            break
    wanted = [
        "scroller",
        "text",
        "stop",
        "another",
        "clear",
        "hand-any",
        "own",
        "load",
        "bias",
        "speed",
        "save-json",
    ]
    assert [name for name in names if name in wanted] == wanted
    page.locator("#hand-any").focus()
    page.keyboard.press("ArrowDown")
    assert page.is_checked("#hand-1")
    page.locator("#own").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Escape")
    assert not page.evaluate("document.getElementById('pad').open")
    page.locator("#text").fill("by keys")
    page.locator("#text").press("Control+Enter")
    assert page.get_attribute("#sheet", "aria-label") == "Handwriting: by keys"


def test_storage_that_is_forbidden_costs_nothing_but_the_keeping(browser, page_file):
    context = browser.new_context(offline=True)
    context.add_init_script(
        "Object.defineProperty(window, 'localStorage', {get() { throw new Error('no'); }})"
    )
    page = context.new_page()
    errors = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(page_file.as_uri())
    assert len(write(page, "a line")) == 1
    assert "keeps nothing" in page.text_content("#notice p")
    assert not errors
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [(390, 844), (1280, 800)])
def test_nothing_serious_is_found_by_axe(visit, scheme, size):
    if not AXE.is_file():
        pytest.skip("npm ci in src/graves_lm/web/page brings axe-core")
    page = visit(color_scheme=scheme, viewport={"width": size[0], "height": size[1]})
    write(page, "A line for all")
    page.check("#show-window")
    page.check("#show-density")
    page.evaluate(AXE.read_text())
    for dialog in (False, True):
        if dialog:
            page.click("#own")
        found = [
            v for v in page.evaluate("axe.run()")["violations"] if v["impact"] in ("serious", "critical")
        ]
        assert not [(one["id"], one["nodes"][0]["html"]) for one in found]
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_the_hand_that_weights_carry_is_the_first_choice(browser, writer, tmp_path):
    """Its name stands first, the seed does not choose another, and what it writes is what Python writes."""
    line = hands_of(writer.trained.normalisation, writer.trained.alphabet)[3]
    line = line._replace(strokes=(line.strokes * (1.1, 1.1, 1)).astype(np.float32))
    path = tmp_path / "anna.safetensors"
    export(read_checkpoint("synthesis"), path, hand=line)
    (tmp_path / "page.html").write_text(page_with(str(path)), encoding="utf-8")
    context = browser.new_context(offline=True)
    page = context.new_page()
    page.goto((tmp_path / "page.html").as_uri())
    first = page.evaluate(
        "[...document.querySelectorAll('#hand-list label')].map((card) => card.innerText.trim())"
    )
    assert first[0] == "anna"
    assert len(first) == 1 + len(hands_of(writer.trained.normalisation, writer.trained.alphabet))
    assert page.evaluate("document.querySelector('#hand-list :checked').value") == "any"
    for given in ({"seed": 1}, {"seed": 2, "hand": 3}):
        (ours,) = write(page, "a house", **given)
        (theirs,) = graves_lm.load(path).write("a house", weights="int8", retries=0, bias=0.75, **given).lines
        assert_same(ours, theirs.strokes)
    context.close()
