"""Markdown's blocks, and words divided as a language divides them."""

import pytest

from graves_lm.runtime.errors import UserError
from graves_lm.writing.block import Look
from graves_lm.writing.hyphens import divider
from graves_lm.writing.markdown import from_markdown

pytest.importorskip("markdown_it")
BREAK = "  "  # at a line's end
TEXT = f"""\
Title *x*
=========
First **line**
goes on.{BREAK}
Broken [here *and*](http://there) ![a picture](p.png) `code` <b>

- one

- two

  3. deep
  4. deeper

> said
> > within

---
### Third
    if x:
      y
"""


def test_blocks():
    blocks = from_markdown(TEXT)
    assert [(block.blank, block.look.indent, block.hanging, block.text) for block in blocks] == [
        (0, 0, 0, "Title x"),
        (1, 0, 0, "First line goes on.\nBroken here and a picture code <b>"),
        (1, 0, 2, "- one"),
        (1, 0, 2, "- two"),
        (1, 2, 3, "3. deep"),
        (0, 2, 3, "4. deeper"),
        (1, 4, 0, "said"),
        (1, 8, 0, "within"),
        (2, 0, 0, "Third"),
        (1, 0, 0, "if x:\n  y\n"),
    ]
    assert [block.look.size for block in blocks] == [1.6, *[1.0] * 9]
    marked = [(run.text, run.underlines) for block in blocks for run in block.runs if run.underlines]
    assert marked == [("x", 1), ("line", 2), ("and", 1), ("Third", 1)]


def test_a_plain_text_is_one_block():
    (block,) = from_markdown("just\nwords")
    assert (block.text, block.look, block.blank) == ("just words", Look(), 0)
    assert from_markdown("") == []


def test_words_are_divided_between_their_letters():
    divide = divider("en_GB")
    assert divide("(circumstances),", 9) == ("(circum-", 7)
    assert divide("well-known", 6) == ("well-", 5)
    assert divide("cat", 3) is None
    assert divide("1234567", 5) is None
    assert divider("de")("Schifffahrt", 8) == ("Schiff-", 6)
    assert divider("de")("Gemüsesuppe", 8) == ("Gemüse-", 6)
    assert divider("de")("(Gemu\u0308sesuppe", 10) == ("(Gemu\u0308se-", 8), "in parts as well"
    for most in range(2, 15):
        shown, length = divide("incomprehensible", most) or ("", 0)
        assert len(shown) <= most
        assert "incomprehensible".startswith(shown.removesuffix("-"))
        assert length == len(shown.removesuffix("-"))


def test_a_language_that_there_is_not():
    with pytest.raises(UserError, match=r"hyphenate=xx: "):
        divider("xx")
