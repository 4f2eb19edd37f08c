"""A trained network of handwriting: it writes a text, unprimed or in the style of a line."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar
from unicodedata import normalize

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from graves_lm.data.alphabet import Alphabet
from graves_lm.data.characters import plain_letter
from graves_lm.data.line_batches import collate
from graves_lm.data.strokes import Normalisation, StrokeLine
from graves_lm.models.synthesis import SynthesisNetwork, Text
from graves_lm.sampling.events import Event, LineDone, PenPoints, Report, WholeLine, whole_lines
from graves_lm.sampling.passage import Judge, Passage, Verdict
from graves_lm.sampling.protocols import DrawsHandwriting
from graves_lm.trained.blend import Style, as_prime
from graves_lm.trained.lines import nats_of, to_line
from graves_lm.trained.reader import TrainedReader
from graves_lm.trained.size_kept import size_kept

TextPassage = Passage[str, Style]
"""A passage as people give it."""


class TrainedHandwriting:
    """A network of handwriting with the units and the characters of its data.

    Args:
        network: in evaluation mode.
        normalisation: between data units and the network's.
        alphabet: the characters that it knows.
        config: the settings of its training: model, data, optimizer, sampler.
        hand: what came with its weights, in data units: the style of what they write unless another is
            asked for (`trained.own_hand`). None: none came.
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
        hand: Style | None = None,
    ):
        self.network, self.normalisation, self.alphabet = network, normalisation, alphabet
        self.config, self.hand = config, hand

    def events(self, sampler: DrawsHandwriting, passage: TextPassage) -> Iterator[Event]:
        """The passage's lines as `sampler` draws them, in data units.

        After a prime they are about as large as it (`trained.size_kept`). A line begins where the pen does
        and ends with the pen lifted. Each of its points is given when the next one is sampled: only then is
        it known not to be the last. Raises UserError, before it returns, for an empty text, a character that
        was not learned, and an unusable prime.
        """
        symbols, prime = [self.alphabet.encode(text).tolist() for text in passage.texts], None
        if passage.prime is not None:
            prime = as_prime(passage.prime, self.normalisation, self.alphabet)
        judge = None if passage.reader is None else self._judge(passage.reader, passage.texts)
        encoded = Passage(
            symbols,
            passage.seed,
            prime,
            passage.first_line,
            passage.live,
            reader=judge,
            space=int(self.alphabet.encode(" ")[0]) if self.alphabet.knows(" ") else None,
            still=self.normalisation.still,
        )
        drawn = self._in_data_units(sampler.events(self.network, encoded), prime is not None)
        return drawn if prime is None else _magnified(drawn, 1 / size_kept(sampler))

    def _judge(self, reader: TrainedReader, texts: Sequence[str]) -> Judge | None:
        """The reader as samplers take it; None where a text has a character of no form that it knows."""
        if not all(reader.near(text) for text in texts):
            return None

        def judge(lines: Sequence[Tensor], symbols: Sequence[int]) -> Sequence[Verdict]:
            text = normalize("NFC", "".join(self.alphabet.characters[s] for s in symbols))
            ends = np.cumsum([len(self.alphabet.parted(c)) for c in text])
            verdicts = reader.judge([to_line(line.numpy(), self.normalisation) for line in lines], text)
            return [verdict._replace(wrong=[int(ends[u]) - 1 for u in verdict.wrong]) for verdict in verdicts]

        return judge

    def write(self, sampler: DrawsHandwriting, passage: TextPassage) -> list[tuple[StrokeLine, Report]]:
        """Each text as a line of handwriting in data units, and how well it went: all of `events`."""
        lines = sorted(whole_lines(self.events(sampler, passage)), key=lambda line: line.line)
        return [(stroke_line(line, passage), line.report) for line in lines]

    @torch.no_grad()
    def nats(self, lines: Sequence[StrokeLine], units: Normalisation) -> float:
        """Of lines in data units, read in these units with their texts, as nearly as they can be spelled:
        their sum, see `nats_of`."""
        batch = collate(lines, units)
        texts = Text.of([self._nearest(line.text) for line in lines])
        found, _, _ = self.network(batch.point_TB3[:-1], texts, self.network.initial_state(len(lines)))
        return nats_of(found.log_prob(batch.point_TB3[1:]), batch, units)

    def _nearest(self, text: str) -> list[int]:
        near = "".join(c if self.alphabet.knows(c) else plain_letter(c) for c in text)
        known = "".join(c for c in near if self.alphabet.knows(c)) or self.alphabet.characters[0]
        return self.alphabet.encode(known).tolist()

    def _in_data_units(self, events: Iterable[Event], primed: bool) -> Iterator[Event]:
        mean_3, std_3 = (*self.normalisation.mean, 0.0), (*self.normalisation.std, 1.0)
        last: dict[int, NDArray[np.float64]] = {}
        for event in events:
            line = event.line
            if isinstance(event, LineDone):
                last_13 = last.pop(line)
                last_13[0, 2] = 1.0
                yield PenPoints(line, last_13)
                yield event
                continue
            point_N3 = event.point_N3.astype(np.float64) * std_3 + mean_3
            if line in last:
                point_N3 = np.concatenate([last[line], point_N3])
            elif primed:  # the pen begins here; the way from the prime is none of the line's
                point_N3[0, :2] = 0.0
            else:  # it begins with the point before this
                point_N3 = np.concatenate([np.zeros((1, 3)), point_N3])
            last[line] = point_N3[-1:]
            if len(point_N3) > 1:
                yield PenPoints(line, point_N3[:-1])


def _magnified(events: Iterable[Event], factor: float) -> Iterator[Event]:
    for event in events:
        if isinstance(event, PenPoints):
            event = event._replace(point_N3=event.point_N3 * (factor, factor, 1.0))
        yield event


def stroke_line(line: WholeLine, passage: TextPassage) -> StrokeLine:
    """A sampled line of a passage, in data units, with its number and its text."""
    number = passage.first_line + line.line
    text = normalize("NFC", passage.texts[line.line])
    return StrokeLine(f"line-{number + 1}", line.points.astype(np.float32), text)
