"""Numbers at the feet of pages, written with the rest of the text."""

from collections.abc import Iterable, Iterator

from graves_lm.writing.block import Look
from graves_lm.writing.page import PageSettings
from graves_lm.writing.placing import next_baseline
from graves_lm.writing.wrap import TextLine


def numbered(lines: Iterable[TextLine], settings: PageSettings) -> Iterator[TextLine]:
    """The lines, and after the last one of each page its number; none where there is one page."""
    page, baseline = 1, None
    for line in lines:
        after = next_baseline(baseline, line.blank, line.look, settings)
        if after is None:
            yield TextLine(f"- {page} -", 0, Look(foot=True))
            page += 1
            after = next_baseline(None, 0, line.look, settings)
        baseline = after
        yield line
    if page > 1:
        yield TextLine(f"- {page} -", 0, Look(foot=True))
