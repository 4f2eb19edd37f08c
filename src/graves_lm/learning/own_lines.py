"""Lines of one's own pen, looked over before a network learns from them: are they those of their texts, and
enough?

A list of texts that is shifted by a line, or a line that was left half written, teaches a network to write
what nobody can read. A reader notices: of such a line it reads something else altogether. It may also fail on
a hand that it has never seen, so nothing is left out unless that is asked for.
"""

from collections.abc import Iterator

from graves_lm.data.characters import plain_letter
from graves_lm.data.ink.corpus import InkData
from graves_lm.models.frames import has_extent
from graves_lm.trained.loading import packaged_reader
from graves_lm.trained.reader import TrainedReader, errors

FEW = 10
"""Lines from which a hand is hardly learned."""
DOUBT = 0.6
"""The share of a text's characters that are read otherwise, from which on the line is doubted. Real lines of
IAM-OnDB: 1 in 500."""
_NAMED = 5  # of them in the log


def look_over(corpus: InkData) -> list[str]:
    """What is to be said of the lines, a line each; those that are doubted are left out where
    `corpus.doubted` says so.

    Raises UserError where nothing is left of a split.
    """
    told = []
    if (count := len(corpus.own_lines())) < FEW:
        told.append(
            f"data.source={corpus.source}: {count} line(s) to learn from are few; 20 make a hand known "
            "(graves-lm prompts gives lines worth writing)"
        )
    reader = packaged_reader()
    if reader is None or corpus.doubted is None:
        return told
    found = list(_doubted(corpus, reader))
    what = "left out" if corpus.doubted == "leave_out" else "kept (data.doubted=leave_out leaves it out)"
    for number, read in found[:_NAMED]:
        line = corpus.store[number]
        told.append(f'{line.id}: {what}: its text is "{line.text}" and it reads as "{read}"')
    if len(found) > _NAMED:
        told.append(f"… and {len(found) - _NAMED} lines more, {what}")
    if len(found) > len(corpus.store.texts) / 2:
        told.append("most lines are so: are these their texts, line by line?")
    if corpus.doubted == "leave_out":
        corpus.leave_out([number for number, _ in found])
    return told


def _doubted(corpus: InkData, reader: TrainedReader) -> Iterator[tuple[int, str]]:
    """The numbers of the lines, and what was read of them."""
    numbers = [n for n, text in enumerate(corpus.store.texts) if text and has_extent(corpus.store.strokes(n))]
    read = reader.read([corpus.store.strokes(n) for n in numbers])
    for number, found in zip(numbers, read, strict=True):
        text = "".join(c if reader.alphabet.knows(c) else plain_letter(c) for c in corpus.store.texts[number])
        known = sum(map(reader.alphabet.knows, text.replace(" ", "")))
        if known > len(text) / 2 and errors(text, found) > DOUBT * len(text.replace(" ", "")):
            yield number, found
