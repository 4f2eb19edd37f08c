"""What a client may ask for, and what of it is refused before any work."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from graves_lm.data.alphabet import Alphabet
from graves_lm.runtime.errors import UserError, first_line
from graves_lm.settings.kinds import OnUnknown
from graves_lm.writing.block import Align
from graves_lm.writing.page import PageSettings
from graves_lm.writing.text_lines import text_lines
from graves_lm.writing.wrap import TextLine


class Paper(msgspec.Struct, forbid_unknown_fields=True):
    """The page, one as long as the writing; lengths are millimetres."""

    width: Annotated[float, Meta(ge=40, le=1000)] = 210.0
    margin: Annotated[float, Meta(ge=0, le=100, description="on all sides")] = 10.0
    line_height: Annotated[float, Meta(ge=3, le=50)] = 12.0
    align: Align = "left"
    slant: Annotated[float, Meta(ge=-60, le=60, description="degrees to the right")] = 0.0
    stroke_width: Annotated[float, Meta(ge=0.05, le=5)] = 0.4
    colour: Annotated[str, Meta(max_length=40, description="a CSS colour")] = "black"


class Asked(msgspec.Struct, forbid_unknown_fields=True):
    """A text to be written by hand."""

    text: Annotated[str, Meta(description="what is written; its line ends are kept")]
    hand: (
        Annotated[int, Meta(ge=1, le=10_000, description="a hand of the package; null: the server's")] | None
    ) = None
    seed: Annotated[int, Meta(ge=0, le=2**53, description="the same page each time; null: any")] | None = None
    format: Annotated[Literal["svg", "json"], Meta(description="a picture, or the points")] = "svg"
    on_unknown: Annotated[OnUnknown, Meta(description="what becomes of characters not learned")] = "error"
    page: Paper = msgspec.field(default_factory=Paper)

    @property
    def settings(self) -> PageSettings:
        """The page. Raises UserError for one that has no room for writing, and what is no colour."""
        said: dict[str, Any] = msgspec.structs.asdict(self.page)
        margin = said.pop("margin")
        margins = {f"margin_{side}": margin for side in ("left", "right", "top", "bottom")}
        return PageSettings(height=None, **margins, **said)

    def lines(self, alphabet: Alphabet) -> list[TextLine]:
        """What is to be drawn. Raises UserError for characters that were not learned, and no text."""
        return text_lines(self.text, alphabet, self.settings, on_unknown=self.on_unknown)


def asked(body: bytes, longest: int) -> Asked:
    """What the body of a request asks for. Raises UserError where it is no JSON of this form."""
    try:
        found = msgspec.json.decode(body, type=Asked)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UserError(first_line(error)) from error
    if len(found.text) > longest:
        raise UserError(f"text: {len(found.text):,} characters; {longest:,} are the most")
    return found
