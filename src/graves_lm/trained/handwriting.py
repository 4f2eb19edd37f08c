"""A trained network of handwriting: it writes a text, unprimed or in the style of a line."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from graves_lm.data.alphabet import Alphabet
from graves_lm.data.strokes import Normalisation, StrokeLine
from graves_lm.models.synthesis import SynthesisNetwork
from graves_lm.runtime.errors import UserError
from graves_lm.sampling.events import Event, LineDone, PenPoint, Point, Report, WholeLine, whole_lines
from graves_lm.sampling.passage import Judge, Passage, Prime, Verdict
from graves_lm.sampling.protocols import DrawsHandwriting
from graves_lm.trained.lines import to_line
from graves_lm.trained.reader import TrainedReader
from graves_lm.trained.size_kept import size_kept

TextPassage = Passage[str, StrokeLine]
"""A passage as people give it."""


class TrainedHandwriting:
    """A network of handwriting with the units and the characters of its data.

    Args:
        network: in evaluation mode.
        normalisation: between data units and the network's.
        alphabet: the characters that it knows.
        config: the settings of its training: model, data, optimizer, sampler.
    """

    task_name: ClassVar = "synthesis"
    takes: ClassVar = ("normalisation", "alphabet")
    sampler_kind: ClassVar[type] = DrawsHandwriting

    def __init__(
        self,
        network: SynthesisNetwork,
        normalisation: Normalisation,
        alphabet: Alphabet,
        config: Mapping[str, Any],
    ):
        self.network, self.normalisation, self.alphabet = network, normalisation, alphabet
        self.config = config

    def events(self, sampler: DrawsHandwriting, passage: TextPassage) -> Iterator[Event]:
        """The passage's lines as `sampler` draws them, in data units.

        After a prime they are about as large as it (`trained.size_kept`). A line begins where the pen does
        and ends with the pen lifted. Each of its points is given when the next one is sampled: only then is
        it known not to be the last. Raises UserError, before it returns, for an empty text, a character that
        was not learned, and an unusable prime.
        """
        symbols, prime = [self.alphabet.encode(text).tolist() for text in passage.texts], None
        if passage.prime is not None:
            prime = prime_of(passage.prime, self.normalisation, self.alphabet)
        judge = None if passage.reader is None else self._judge(passage.reader, passage.texts)
        still = self.normalisation.still
        encoded = Passage(
            symbols, passage.seed, prime, passage.first_line, passage.live, reader=judge, still=still
        )
        drawn = self._in_data_units(sampler.events(self.network, encoded), prime is not None)
        return drawn if prime is None else _magnified(drawn, 1 / size_kept(sampler))

    def _judge(self, reader: TrainedReader, texts: Sequence[str]) -> Judge | None:
        """The reader as samplers take it; None where it does not know a character of the texts."""
        if not all(c in reader.alphabet for text in texts for c in text):
            return None

        def judge(lines: Sequence[Tensor], symbols: Sequence[int]) -> Sequence[Verdict]:
            text = "".join(self.alphabet.characters[s] for s in symbols)
            return reader.judge([to_line(line.numpy(), self.normalisation) for line in lines], text)

        return judge

    def write(self, sampler: DrawsHandwriting, passage: TextPassage) -> list[tuple[StrokeLine, Report]]:
        """Each text as a line of handwriting in data units, and how well it went: all of `events`."""
        lines = sorted(whole_lines(self.events(sampler, passage)), key=lambda line: line.line)
        return [(stroke_line(line, passage), line.report) for line in lines]

    def _in_data_units(self, events: Iterable[Event], primed: bool) -> Iterator[Event]:
        (mean_x, mean_y), (std_x, std_y) = self.normalisation.mean, self.normalisation.std
        last: dict[int, Point] = {}
        for event in events:
            line = event.line
            if isinstance(event, LineDone):
                dx, dy, _ = last.pop(line)
                yield PenPoint(line, (dx, dy, 1.0))
                yield event
                continue
            dx, dy, up = event.point
            if (
                line not in last and primed
            ):  # the pen begins here; the way from the prime is none of the line's
                last[line] = (0.0, 0.0, up)
                continue
            yield PenPoint(line, last.get(line, (0.0, 0.0, 0.0)))  # else it begins with the point before this
            last[line] = (dx * std_x + mean_x, dy * std_y + mean_y, up)


def _magnified(events: Iterable[Event], factor: float) -> Iterator[Event]:
    for event in events:
        if isinstance(event, PenPoint):
            dx, dy, up = event.point
            event = event._replace(point=(factor * dx, factor * dy, up))
        yield event


def stroke_line(line: WholeLine, passage: TextPassage) -> StrokeLine:
    """A sampled line of a passage, in data units, with its number and its text."""
    number = passage.first_line + line.line
    return StrokeLine(f"line-{number + 1}", np.array(line.points, np.float32), passage.texts[line.line])


def prime_of(line: StrokeLine, normalisation: Normalisation, alphabet: Alphabet) -> Prime:
    """A line as what a sample goes on from; a space is set between its text and the sample's.

    One more than five times as large or small as the lines learned from is in other units (a tablet's counts,
    hundredths of a millimetre, inches), and is scaled: its offsets then vary as theirs do.

    Raises UserError for a line without a text, of fewer than twenty points, of characters not learned, or
    without any extent.
    """
    if not line.text.strip():
        raise UserError(f"the prime {line.id} has no text: give one with its strokes")
    if len(line.strokes) < 20:
        raise UserError(f"the prime {line.id} has {len(line.strokes)} points: too short to show a style")
    point_T3 = torch.from_numpy(normalisation.apply(line.strokes))
    # Of a tiny prime nothing but the mean is left here, which is why its own spread is asked as well.
    spread = float(np.sqrt(np.mean(np.var(line.strokes[1:, :2] / np.array(normalisation.std), axis=0))))
    if not 0 < spread < np.inf:
        raise UserError(f"the prime {line.id} has no extent: all its points are one")
    if spread < 0.1 or not 0.2 < float(point_T3[1:, :2].std()) < 5:
        point_T3 = torch.from_numpy(normalisation.apply(line.strokes * (1 / spread, 1 / spread, 1)))
    point_T3[0, :2], point_T3[-1, 2] = 0, 1
    return Prime(point_T3, alphabet.encode(line.text.strip() + " ", where=f"prime {line.id}").tolist())
