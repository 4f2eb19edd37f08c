"""Letters from templates: what is written of them, and what is said of a mistake in one."""

import pytest
from omegaconf import OmegaConf

from graves_lm.commands.arguments import for_hydra
from graves_lm.data.alphabet import Alphabet
from graves_lm.runtime.errors import UserError
from graves_lm.writing.block import Look
from graves_lm.writing.fields import fields_in, fill
from graves_lm.writing.letter import letter_of, page_of
from graves_lm.writing.page import PageSettings
from graves_lm.writing.template import packaged_templates, read_template
from graves_lm.writing.text_lines import block_lines
from tests.test_configs import composed

ASCII = Alphabet(map(chr, range(32, 127)))


def test_fields():
    text = "Dear {name}, {{x}} { first name } {}"
    assert fields_in(text) == {"name", "first name"}
    assert fill(text, {"name": "Ann{b}", "first name": "c"}, "text") == "Dear Ann{b}, {x} c {}"
    with pytest.raises(UserError, match=r"text: \{name\} is no field; .*'nam'"):
        fill(text, {"nam": ""}, "text")


def written(template: str, **fields: str) -> list[tuple[int, str, Look]]:
    """The lines of a letter of these fields."""
    read = read_template(template)
    lines = block_lines(read.blocks(fields), ASCII, PageSettings(**read.page))
    return [(line.blank, line.text, line.look) for line in lines]


def test_a_letter():
    lines = written("letter", text="Dear Ben,\n\nthank you.", sender="Mill\nLane", date="1 May", name="Anna")
    assert [(blank, text, look.align, look.indent) for blank, text, look in lines] == [
        (0, "Mill", "right", 0),
        (0, "Lane", "right", 0),
        (1, "1 May", "right", 0),
        (2, "Dear Ben,", None, 0),
        (1, "thank you.", None, 0),
        (1, "Anna", None, 16),
    ]
    assert written("letter", text="a")[0][:2] == (2, "a")  # what is empty is left out, with its gaps


def test_a_list_and_an_envelope():
    lines = written("shopping_list", text="eggs\n\nbread and butter from the baker")
    assert [(text, look.indent) for _, text, look in lines] == [
        ("Shopping", 0),
        ("- eggs", 0),
        ("- bread and butter from", 0),
        ("the baker", 2),
    ]
    assert lines[0][2].underlines == ((0, 8, 1),)
    sender, *recipient = written("envelope", sender="Anna", recipient="Ben\nStreet")
    assert (sender[2].left, sender[2].top, sender[2].size) == (12, 8, 0.7)
    assert [(text, look.left, look.top) for _, text, look in recipient] == [
        ("Ben", 115, 48),
        ("Street", 115, None),
    ]


@pytest.mark.parametrize("name", sorted(packaged_templates()))
def test_each_template_stays_on_its_page(name):
    template = read_template(name)
    page = PageSettings(**template.page)
    lines = written(name, **dict.fromkeys(template.names, "a few words"))
    assert lines
    for _, text, look in lines:
        assert 0 < page.room(look) <= page.width
        assert len(text) * page.advance * look.size <= page.room(look) * 1.2
        assert look.top is None or page.height is None or look.top + page.line_height < page.height


OWN = '[page]\npaper="a5"\nline_height=9\n[fields]\ngreeting="Hello"\n[[block]]\ntext="{greeting} {name}"\n'


def config(tmp_path, *said: str):
    (tmp_path / "own.toml").write_text(OWN)
    return composed("sample", *for_hydra([f"template={tmp_path / 'own.toml'}", *said]))


def test_the_command_line_fills_in_and_has_the_last_word(tmp_path):
    cfg = config(tmp_path, "fields.name=it's {1, 2}, né", "page.line_height=8", "page.margin_left=12")
    letter = letter_of(cfg)
    (block,) = letter.blocks()
    assert block.text == "Hello it's {1, 2}, né"
    page = page_of(cfg, letter.template)
    assert (page.width, page.line_height, page.margin_left, page.margin_right) == (148, 8, 12, 20)


def test_a_text_of_ones_own_has_fields_where_some_are_given():
    plain = composed("sample", *for_hydra(["text=Dear {name}"]))
    (block,) = letter_of(plain).blocks()
    assert block.text == "Dear {name}"
    filled = composed("sample", *for_hydra(["text=Dear {name}", "fields.name=Ben"]))
    (block,) = letter_of(filled).blocks()
    assert block.text == "Dear Ben"
    with pytest.raises(UserError, match=r"fields\.nam: .*'name'"):
        letter_of(composed("sample", *for_hydra(["text=Dear {name}", "fields.nam=Ben"])))


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("leter", r"template=leter: .*'letter'.*; or give a \.toml file"),
        ("gone.toml", r"template=gone\.toml: cannot be read"),
        ("[[block]]\ntext = 3", r"block\.text=3: a text is needed"),
        ("[[block]]\ntext = 'a'\nalgn = 'left'", r"block\.algn: .*'align'"),
        ("[[block]]\ntext = 'a'\nalign = 'lft'", r"block\.align=lft: .*'left'"),
        ("[[block]]\nsize = 1", r"a \[\[block\]\] needs a text"),
        ("[page]\nwidht = 3\n[[block]]\ntext = 'a'", r"page\.widht: .*'width'"),
        ("[pages]", r"\[pages\]: .*'page'"),
        ("[page]", r"there is no \[\[block\]\]"),
        ("page = 3\n[[block]]\ntext = 'a'", r"are tables"),
        ("[fields]\na = 3\n[[block]]\ntext = 'a'", r"fields\.a=3: a text is needed"),
        ("block = [", r"no TOML \(Invalid value"),
    ],
)
def test_mistakes_in_a_template(template, said, tmp_path):
    name = template
    if "\n" in template or "[" in template:
        name = str(tmp_path / "own.toml")
        (tmp_path / "own.toml").write_text(template)
    with pytest.raises(UserError, match=said) as error:
        read_template(name)
    assert "\n" not in str(error.value)


def test_fields_that_are_missing_or_have_no_place(tmp_path):
    with pytest.raises(UserError, match=r'name is needed; give fields\.name="…"'):
        letter_of(config(tmp_path)).blocks()
    with pytest.raises(UserError, match=r"text is needed; give text= or text_file="):
        read_template("letter").blocks({})
    with pytest.raises(UserError, match=r"has no \{text\}; leave text= out"):
        letter_of(config(tmp_path, "text=a"))
    with pytest.raises(UserError, match=r"fields\.nme: .*'name'"):
        letter_of(config(tmp_path, "fields.nme=a"))
    assert OmegaConf.to_container(config(tmp_path, "fields.name=3").fields) == {"name": "3"}
