"""The handwriting of a text: what a person holds, looks at and saves."""

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from graves_lm.rendering.handwriting import format_of
from graves_lm.rendering.inkml import strokes_to_inkml
from graves_lm.rendering.layout import positions
from graves_lm.rendering.points import strokes_to_json
from graves_lm.runtime.errors import UserError
from graves_lm.runtime.files import write
from graves_lm.writing import output
from graves_lm.writing.output import check_output
from graves_lm.writing.page import PageSettings
from graves_lm.writing.placing import WrittenLine, WrittenPage, paginate


class Handwriting:
    """Written lines, and pictures of them on paper.

    Args:
        lines: (text, strokes (T, 3) in data units) of each line, and the empty lines before it, if any.
        settings: the paper and the size of the writing.
        warnings: what went wrong in the writing, a text each.

    Raises UserError for no lines, and for strokes that are not finite.

    >>> page = Handwriting([("i", [[0, 0, 0], [2, 9, 1]])])
    >>> page.text, len(page.pages), page.svg().startswith("<svg")
    ('i', 1, True)
    """

    def __init__(
        self,
        lines: Iterable[WrittenLine | tuple[str, ArrayLike] | tuple[str, ArrayLike, int]],
        settings: PageSettings | None = None,
        warnings: Sequence[str] = (),
    ):
        self.lines = [
            WrittenLine(text, np.asarray(strokes, np.float32), *blank) for text, strokes, *blank in lines
        ]
        self.settings = settings or PageSettings()
        self._warnings = tuple(warnings)
        if not self.lines:
            raise UserError("there is no handwriting: no line was written")
        for line in self.lines:
            positions(line.strokes)  # raises where they are not finite, before anything is drawn

    @property
    def strokes(self) -> list[NDArray[np.float32]]:
        """The points (T, 3) of each line, in data units."""
        return [line.strokes for line in self.lines]

    @property
    def text(self) -> str:
        """The text as it stands on the paper, line by line."""
        return "\n".join("\n" * line.blank + line.text for line in self.lines)

    @cached_property
    def pages(self) -> tuple[WrittenPage, ...]:
        """The pages, in millimetres."""
        return tuple(paginate(self.lines, self.settings))

    @property
    def warnings(self) -> list[str]:
        """What went wrong in the writing, and which lines had to be drawn smaller to fit."""
        placed = chain.from_iterable(page.lines for page in self.pages)
        shrunk = [
            f"line {line.number}: drawn {1 - line.shrink:.0%} smaller than its page asks for, to fit it"
            for line in placed
            if line.shrink < 0.995
        ]
        return [*self._warnings, *shrunk]

    def svg(self, page: int = 0, animated: bool = False, **options: Any) -> str:
        """A page as SVG, or written before the reader's eyes; `options` as `output.svg`, `animated_svg`."""
        draw = output.animated_svg if animated else output.svg
        return draw(self.pages[page].drawing, **options)

    def png(self, page: int = 0, **options: Any) -> bytes:
        """A page as PNG; `options` as `output.png`. Raises UserError where that is too large."""
        return output.png(self.pages[page].drawing, **options)

    def gif(self, page: int = 0, **options: Any) -> bytes:
        """A page being written, as GIF; `options` as `output.gif`."""
        return output.gif(self.pages[page].drawing, **options)

    def json(self) -> str:
        """The points and texts of all lines, in data units, as `rendering.points` describes."""
        return strokes_to_json(self.strokes, [line.text for line in self.lines])

    def inkml(self) -> str:
        """The points and texts of all lines, in data units, as `rendering.inkml` describes."""
        return strokes_to_inkml(self.strokes, [line.text for line in self.lines])

    def pdf(self, **options: Any) -> bytes:
        """All pages as PDF; `options` as `output.pdf`. Raises UserError where ReportLab is not installed."""
        return output.pdf(self.pages, **{"title": self.lines[0].text, **options})

    def save(self, path: str | os.PathLike[str], **options: Any) -> list[Path]:
        """Write files in the format of the path's ending, and return the paths written.

        .svg, .anim.svg, .png, .gif, .hpgl, .gcode and .dxf hold a page each: of several pages, name.svg
        becomes name-1.svg, name-2.svg and so on. .pdf holds all pages, .json and .inkml the points of all
        lines. `options` are those of the format's method or function in `output`. Raises UserError as
        `check_output` does.
        """
        check_output(path)
        whole: dict[str, Callable[..., str | bytes]] = {
            ".json": self.json,
            ".inkml": self.inkml,
            ".pdf": self.pdf,
        }
        if (ending := format_of(path)) in whole:
            write(path, whole[ending](**options))
            return [Path(path)]
        return list(output.save_pages(self.pages, path, self.settings, **options))

    def _repr_svg_(self) -> str:
        """For notebooks: the first page, cut below the writing where it is the only one."""
        shown = self if len(self.pages) > 1 else Handwriting(self.lines, replace(self.settings, height=None))
        # Notebooks may be dark, and the drawing has no ground.
        return shown.svg().replace("<svg ", '<svg style="background:white" ', 1)

    def __repr__(self) -> str:
        beginning = self.lines[0].text
        return (
            f"<Handwriting {beginning[:30] + '…' if len(beginning) > 30 else beginning!r}: "
            f"{len(self.lines)} lines, {sum(map(len, self.strokes))} points, {len(self.pages)} pages, "
            f"{len(self.warnings)} warnings>"
        )


__all__ = ["Handwriting", "check_output"]
