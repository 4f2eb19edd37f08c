"""Lines of one's own pen, looked over before a network learns from them: are they those of their texts, and
enough?

A list of texts that is shifted by a line, or a line that was left half written, teaches a network to write
what nobody can read. A reader notices: of such a line it reads something else altogether. It may also fail on
a hand that it has never seen, so nothing is left out unless that is asked for.
"""

from collections.abc import Iterable, Sequence

from graves_lm.data.ink.corpus import InkData
from graves_lm.models.frames import has_extent
from graves_lm.trained.doubt import doubted, upside_down
from graves_lm.trained.loading import packaged_reader
from graves_lm.trained.reader import TrainedReader, errors

FEW = 10
"""Lines from which a hand is hardly learned."""
_ALIKE = 0.3  # the share up to which a line is of a text
_NAMED = 5  # lines in the log
_TRIED = 16  # lines that are looked at for what is the matter with most


def look_over(corpus: InkData) -> list[str]:
    """What is to be said of the lines, a line each. Those that are doubted are then `corpus.doubtful`, and
    left out where `corpus.doubted` says so.

    Raises UserError where nothing is left of a split.
    """
    told = []
    if (count := len(corpus.own_lines())) < FEW:
        told.append(
            f"data.source={corpus.source}: {count} line(s) to learn from are few; 20 make a hand known "
            "(graves-lm prompts gives lines worth writing)"
        )
    told += _named(corpus.told(), "left out or changed")
    reader = packaged_reader()
    if reader is None or corpus.doubted is None:
        return told
    numbers = [n for n, text in enumerate(corpus.store.texts) if text and has_extent(corpus.store.strokes(n))]
    read = reader.read([corpus.store.strokes(n) for n in numbers])
    found = [
        (n, seen)
        for n, seen in zip(numbers, read, strict=True)
        if doubted(corpus.store.texts[n], seen, reader)
    ]
    what = "left out" if corpus.doubted == "leave_out" else "kept (data.doubted=leave_out leaves it out)"
    lines = [(corpus.store[n], seen) for n, seen in found]
    told += _named(
        [f'{line.id}: {what}: its text is "{line.text}" and it reads as "{seen}"' for line, seen in lines],
        what,
    )
    if len(found) > len(corpus.store.texts) / 2:
        told.append(f"most lines are so: {_why(corpus, found, reader)}")
    corpus.doubtful = [number for number, _ in found]
    if corpus.doubted == "leave_out":
        corpus.leave_out(corpus.doubtful)
    return told


def _named(lines: Sequence[str], what: str) -> list[str]:
    """The first ones, and how many there are besides."""
    more = len(lines) - _NAMED
    return [*lines[:_NAMED], *([f"… and {more} lines more, {what}"] if more > 0 else [])]


def _why(corpus: InkData, found: Sequence[tuple[int, str]], reader: TrainedReader) -> str:
    """What may be the matter with most of the lines, by their numbers and what was read of them."""
    found = found[:_TRIED]
    some = [n for n, _ in found]
    turned = reader.read(upside_down([corpus.store.strokes(n) for n in some]))
    texts = corpus.store.texts
    if _most(not doubted(texts[n], seen, reader) for n, seen in zip(some, turned, strict=True)):
        other = {"up": "down", "down": "up"}[corpus.y_grows()]
        return f"upside down they read as their texts, so give data.y_axis={other}"
    if _most(any(m != n and _alike(t, seen) for m, t in enumerate(texts)) for n, seen in found):
        return "they read as the texts of other lines, so the texts are not in the order of the lines"
    return "are these their texts, line by line?"


def _alike(text: str, read: str) -> bool:
    return bool(text) and errors(text, read) <= _ALIKE * len(text.replace(" ", ""))


def _most(answers: Iterable[bool]) -> bool:
    given = list(answers)
    return sum(given) > len(given) / 2
