"""Templates: what a letter, an envelope or a list looks like, as a small TOML file.

[page] has settings of the page, [fields] what fields are unless they are given, and each [[block]] a text
with fields and how it looks.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any

from msgspec import Meta

from graves_lm.data.text_file import read_text_file
from graves_lm.runtime.errors import UserError, near_misses
from graves_lm.settings import declared
from graves_lm.settings.check import check_settings, check_value
from graves_lm.settings.kinds import Margin, Millimetres
from graves_lm.writing.block import Align, Block, Look, Run
from graves_lm.writing.fields import fields_in, fill
from graves_lm.writing.markdown import from_markdown
from graves_lm.writing.page import PageSettings

ENDING = ".toml"
Rows = Annotated[int, Meta(ge=0, le=100)]


@declared("block")
@dataclass(frozen=True)
class TemplateBlock:
    """A part of a template.

    Args:
        text: with fields. Where nothing comes of it, the block and the lines before it are left out.
        blank: empty lines before it.
        align: None: as the page.
        size: of its letters, times the usual one.
        indent: characters by which it stands further in.
        left, top: where it begins, in mm from the paper's edges; None: at the margin, after the block before.
        width: of its room, in mm; None: up to the right margin.
        underlines: lines under its words.
        mark: what each of its lines begins with.
        markdown: its text is Markdown.
    """

    text: str
    blank: Rows = 0
    align: Align | None = None
    size: Annotated[float, Meta(ge=0.2, le=5)] = 1.0
    indent: Margin = 0.0
    left: Margin | None = None
    top: Margin | None = None
    width: Millimetres | None = None
    underlines: Annotated[int, Meta(ge=0, le=3)] = 0
    mark: Annotated[str, Meta(max_length=20)] = ""
    markdown: bool = False

    def blocks(self, fields: Mapping[str, str], where: str, markdown: bool) -> list[Block]:
        """What is written of it; `markdown`: what the field `text` stands for is Markdown."""
        text = fill(self.text, fields, where)
        look = Look(
            size=self.size,
            indent=self.indent,
            align=self.align,
            left=self.left,
            top=self.top,
            width=self.width,
        )
        if self.markdown or (markdown and "text" in fields_in(self.text)):
            blocks = from_markdown(text, look)
        elif self.mark:
            lines = [line for line in text.splitlines() if line.strip()]
            blocks = [
                Block([Run(self.mark + line, self.underlines)], look, 0, len(self.mark)) for line in lines
            ]
        else:
            blocks = [Block([Run(text, self.underlines)], look)]
        first, *others = blocks or [Block([])]
        return [
            Block(first.runs, first.look, self.blank, first.hanging),
            *(Block(b.runs, b.look._replace(top=None), b.blank, b.hanging) for b in others),
        ]


@dataclass(frozen=True)
class Template:
    """A template that was read.

    Args:
        name: how it was asked for.
        page: settings of `PageSettings`.
        fields: what fields are unless they are given.
        parts: its blocks.
    """

    name: str
    page: Mapping[str, Any]
    fields: Mapping[str, str]
    parts: tuple[TemplateBlock, ...]

    @property
    def names(self) -> set[str]:
        """All of its fields."""
        return set(self.fields).union(*(fields_in(part.text) for part in self.parts))

    def blocks(self, fields: Mapping[str, str], markdown: bool = False) -> list[Block]:
        """What is written with these fields; `markdown`: `text` is Markdown.

        Raises UserError for a field that is not there.
        """
        given = {**self.fields, **fields}
        if missing := sorted(self.names - set(given)):
            raise UserError(f"template={self.name}: {missing[0]} is needed; give {how_to_give(missing[0])}")
        where = f"template={self.name}"
        return [block for part in self.parts for block in part.blocks(given, where, markdown)]


def how_to_give(field: str) -> str:
    """What a person types for a field."""
    return "text= or text_file=" if field == "text" else f'fields.{field}="…"'


def packaged_templates() -> dict[str, Any]:
    """The package's own, by name."""
    folder = files("graves_lm.writing") / "templates"
    return {f.name.removesuffix(ENDING): f for f in folder.iterdir() if f.name.endswith(ENDING)}


def read_template(name: str | Path) -> Template:
    """A template of the package by its name, or a file.

    Raises UserError for what is neither, for a file that is no TOML, and for settings that there are not.
    """
    where, packaged = f"template={name}", packaged_templates()
    if str(name) in packaged:
        text = packaged[str(name)].read_text(encoding="utf-8")
    elif Path(name).suffix == ENDING:
        text = read_text_file(str(name), "template")
    else:
        raise UserError(f"{where}: {near_misses(str(name), sorted(packaged))}; or give a {ENDING} file")
    try:
        found = tomllib.loads(text)
        return _template(str(name), found)
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"{where}: no TOML ({error})") from error
    except UserError as error:
        raise UserError(f"{where}: {error}") from error


def _template(name: str, found: dict[str, Any]) -> Template:
    for key in found:
        if key not in ("page", "fields", "block"):
            raise UserError(f"[{key}]: {near_misses(key, ('page', 'fields', 'block'))}")
    page, fields, parts = found.get("page", {}), found.get("fields", {}), found.get("block", [])
    if not isinstance(page, dict) or not isinstance(fields, dict) or not isinstance(parts, list):
        raise UserError("[page] and [fields] are tables, each [[block]] is one")
    if not parts:
        raise UserError("there is no [[block]] to write")
    check_settings(PageSettings, page, "page")
    for key, value in fields.items():
        check_value(value, str, f"fields.{key}")
    for part in parts:
        if not isinstance(part, dict) or "text" not in part:
            raise UserError("a [[block]] needs a text")
        check_settings(TemplateBlock, part, "block")
    return Template(name, page, fields, tuple(TemplateBlock(**part) for part in parts))
