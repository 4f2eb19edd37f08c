"""Lines by the thousand, as a data set for networks that read: ink, its texts, and what our reader reads."""

from collections.abc import Callable, Iterator, Sequence
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

from tqdm import tqdm

from graves_lm.data.strokes import Floats
from graves_lm.rendering.handwriting import format_of
from graves_lm.rendering.png import strokes_to_png
from graves_lm.runtime.errors import UserError
from graves_lm.runtime.files import write
from graves_lm.sampling.events import Report
from graves_lm.trained.reader import TrainedReader
from graves_lm.writing.handwriting import Handwriting
from graves_lm.writing.output import numbered_path
from graves_lm.writing.pen import Pen, warnings
from graves_lm.writing.record import Written, key_of, record_of, recording
from graves_lm.writing.wrap import TextLine

COLUMNS = ("line", "text", "read", "hand", "doubts", "picture")
PART = 256  # lines in a file, and in one hand: four batches of the sampler
ENDINGS = (".json", ".inkml")
HEIGHT = 96  # pixels of a line in its picture


class Part(NamedTuple):
    """The lines of one file, all in one hand; None: the one that is asked for otherwise."""

    first: int  # its first line's number, from 0
    lines: list[TextLine]
    hand: str | None


def check_ending(output: Path) -> None:
    """Raises UserError for a format that has no texts."""
    if format_of(output) not in ENDINGS:
        raise UserError(f"output={output}: lines= writes {' or '.join(ENDINGS)}; use one of them")


def hand_names(count: int, bank: int) -> list[str]:
    """So many hands: the package's, then those halfway between two of them.

    Raises UserError where there are not so many.
    """
    singles = [str(number) for number in range(1, bank + 1)]
    mixed = (f"{a}+{b}" for a, b in combinations(singles, 2))
    names = [*singles, *mixed][:count]
    if len(names) < count:
        raise UserError(
            f"hands={count}: the package's {bank} and those between two of them make {len(names)}"
        )
    return names


def parts_of(lines: Sequence[TextLine], count: int, hands: Sequence[str]) -> list[Part]:
    """`count` lines, the given ones over and over, in parts that take turns with the hands."""
    size = max(1, min(PART, -(-count // max(1, len(hands)))))
    return [
        Part(
            first,
            [lines[n % len(lines)] for n in range(first, min(first + size, count))],
            hands[number % len(hands)] if hands else None,
        )
        for number, first in enumerate(range(0, count, size))
    ]


def write_lines(
    parts: Sequence[Part],
    pen_of: Callable[[str | None], Pen],
    reader: TrainedReader | None,
    output: Path,
    said: str,
    pictures: bool = False,
    progress: bool = False,
) -> Iterator[Written]:
    """Write each part to a file of its own, and say so; what was written before is not written again.

    Args:
        pen_of: what writes in a hand.
        reader: what reads the lines; None: nobody.
        output: the name that the parts' are made of; beside them lies the record, with a row for each line.
        said: what besides the lines and hands decides on how they are written.
        pictures: each line is a PNG, too.
    """
    keys = {
        number: key_of(part.lines, f"{said}{part.hand}{pictures}") for number, part in enumerate(parts, 1)
    }
    with recording(record_of(output), COLUMNS, keys) as record:
        left = [number for number in keys if number not in record.done]
        count = sum(len(parts[number - 1].lines) for number in left)
        with tqdm(total=count, desc="writing", unit="line", disable=not progress) as bar:
            for number in left:
                part, path = parts[number - 1], numbered_path(output, number, len(parts))
                drawn: list[tuple[Floats, Report]] = []
                for _, strokes, report in pen_of(part.hand).draw(iter(part.lines), part.first):
                    drawn.append((strokes, report))
                    bar.update()
                ink = [strokes for strokes, _ in drawn]
                read = _read(reader, ink)
                files = _save(path, part.lines, ink, pictures)
                doubts = [
                    warnings(n, line.text, report)
                    for n, (line, (_, report)) in enumerate(zip(part.lines, drawn, strict=True), 1)
                ]
                rows = [
                    {
                        "line": str(n + 1),
                        "text": line.text,
                        "read": read[n],
                        "hand": part.hand or "",
                        "doubts": "; ".join(doubts[n]),
                        "picture": str(files[n + 1].relative_to(path.parent)) if pictures else "",
                    }
                    for n, line in enumerate(part.lines)
                ]
                record.add(number, files[:1], keys[number], rows)
                yield Written(number, files[:1], [text for line in doubts for text in line])


def _read(reader: TrainedReader | None, ink: Sequence[Floats]) -> list[str]:
    """What is read of each line: nothing of one without extent."""
    texts = [""] * len(ink)
    if reader is not None:
        seen = [n for n, line in enumerate(ink) if line[1:, :2][line[:-1, 2] <= 0.5].any()]
        for n, text in zip(seen, reader.read([ink[n] for n in seen]), strict=True):
            texts[n] = text
    return texts


def _save(path: Path, lines: Sequence[TextLine], ink: Sequence[Floats], pictures: bool) -> list[Path]:
    """The file of a part, after its pictures: who finds the file finds all of them."""
    files = []
    if pictures:
        folder = path.with_name(path.name[: -len(format_of(path))])
        for n, strokes in enumerate(ink, 1):
            files.append(folder / f"{n:0{len(str(len(ink)))}}.png")
            write(files[-1], strokes_to_png([strokes], line_height=HEIGHT))
    written = [(line.text, strokes) for line, strokes in zip(lines, ink, strict=True)]
    return [*Handwriting(written).save(path), *files]
