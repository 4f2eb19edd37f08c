"""What is to be written: a text, with fields or without, on a template or on a page alone."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from graves_lm.data.text_file import read_text_file
from graves_lm.runtime.errors import UserError, near_misses
from graves_lm.settings.made import made
from graves_lm.writing.block import Block, plain
from graves_lm.writing.fields import fields_in, fill
from graves_lm.writing.markdown import from_markdown
from graves_lm.writing.page import PageSettings
from graves_lm.writing.template import Template, read_template

MARKDOWN = (".md", ".markdown")


@dataclass(frozen=True)
class Letter:
    """A text to be filled in and written.

    Args:
        text: None: none, for templates without one.
        where: what to call it in a message.
        markdown: it is Markdown.
        template: what it stands in.
        fields: what fields of it and of the template are. None: the text has none, {name} is taken letter by
            letter.
    """

    text: str | None
    where: str
    markdown: bool = False
    template: Template | None = None
    fields: Mapping[str, str] | None = None

    def __post_init__(self) -> None:
        known = self.names
        for name in self.fields or {}:
            if name not in known:
                raise UserError(f"fields.{name}: {near_misses(name, sorted(known))}")
        if self.text is not None and self.template is not None and "text" not in self.template.names:
            setting = self.where.partition("=")[0]
            raise UserError(f"template={self.template.name}: has no {{text}}; leave {setting}= out")

    @property
    def names(self) -> set[str]:
        """The fields that the text and the template have."""
        own = fields_in(self.text) if self.text is not None and self.fields is not None else set()
        return own if self.template is None else own | self.template.names - {"text"}

    def blocks(self, row: Mapping[str, str] | None = None) -> list[Block]:
        """What is written, with further fields of a row. Raises UserError for a field that there is not."""
        fields = {**(self.fields or {}), **(row or {})}
        text = self.text
        if text is not None and self.fields is not None:
            defaults = {} if self.template is None else self.template.fields
            text = fill(text, {**defaults, **fields}, self.where)
        if self.template is not None:
            return self.template.blocks(fields if text is None else {**fields, "text": text}, self.markdown)
        assert text is not None
        return from_markdown(text) if self.markdown else plain(text)


def letter_of(cfg: DictConfig) -> Letter:
    """What conf/sample.yaml asks for. Raises UserError where there is no text, or two."""
    template = None if cfg.template is None else read_template(cfg.template)
    fields: Any = OmegaConf.to_container(cfg.fields, resolve=True)
    with_fields = template is not None or bool(fields) or cfg.table is not None
    given = {name: str(value) for name, value in fields.items()} if with_fields else None
    if cfg.text and cfg.text_file:
        raise UserError('give either text="…" or text_file=PATH: what is to be written')
    if not cfg.text and not cfg.text_file:
        if template is None:
            raise UserError('give text="…" or text_file=PATH: what is to be written')
        return Letter(None, "text", template=template, fields=given)
    if cfg.text:
        text, where, markdown = str(cfg.text), "text", bool(cfg.markdown)
    else:
        text, where = read_text_file(cfg.text_file), f"text_file={cfg.text_file}"
        named = Path(cfg.text_file).suffix.lower() in MARKDOWN
        markdown = named if cfg.markdown is None else cfg.markdown
    return Letter(text, where, markdown, template, given)


def page_of(cfg: DictConfig, template: Template | None) -> PageSettings:
    """The page: what the command line says otherwise than its default; the template; the defaults."""
    said: Any = OmegaConf.to_container(cfg.page, resolve=True)
    if template is not None:
        usual = PageSettings()
        said = {
            **template.page,
            **{key: value for key, value in said.items() if value != plain_of(usual, key)},
        }
    page: PageSettings = made(said, "page")
    return page


def plain_of(settings: PageSettings, name: str) -> Any:
    """A setting as conf/ has it."""
    value = getattr(settings, name, None)
    return list(value) if isinstance(value, tuple) else value
