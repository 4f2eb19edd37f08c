"""A trained network of handwriting: it writes a text, unprimed or in the style of a line."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import torch

from graves_lm.data.alphabet import Alphabet
from graves_lm.data.strokes import Floats, Normalisation, StrokeLine
from graves_lm.models.synthesis import SynthesisNetwork
from graves_lm.runtime.errors import UserError
from graves_lm.sampling.synthesis import DrawnLine, Prime, SynthesisSampler
from graves_lm.trained.lines import to_line


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
    sampler_kind: ClassVar = SynthesisSampler

    def __init__(
        self,
        network: SynthesisNetwork,
        normalisation: Normalisation,
        alphabet: Alphabet,
        config: Mapping[str, Any],
    ):
        self.network, self.normalisation, self.alphabet = network, normalisation, alphabet
        self.config = config

    def write(
        self,
        sampler: SynthesisSampler,
        texts: Sequence[str],
        seed: int = 0,
        prime: StrokeLine | None = None,
        first_line: int = 0,
    ) -> list[tuple[StrokeLine, DrawnLine]]:
        """Each text, one line long, as a line of handwriting in data units, and how well it went.

        Args:
            prime: a line with its text, whose writer's style is taken on.
            first_line: the number of the first text in its document, which the random numbers go by.

        Raises UserError for an empty text, a character that was not learned, and an unusable prime.
        """
        symbols = [self.alphabet.encode(text).tolist() for text in texts]
        written = sampler.write(
            self.network, symbols, seed, self._prime(prime) if prime else None, first_line
        )
        lines = zip(texts, written, strict=True)
        primed = prime is not None
        return [
            (self._line(first_line + i, drawn, text, primed), drawn) for i, (text, drawn) in enumerate(lines)
        ]

    def stream(
        self,
        sampler: SynthesisSampler,
        texts: Sequence[str],
        seed: int = 0,
        prime: StrokeLine | None = None,
        first_line: int = 0,
    ) -> Iterator[tuple[int, "Floats | tuple[StrokeLine, DrawnLine]"]]:
        """The lines of `write` as they are drawn: (text, its next point (3,)), at its end (text, the line).

        Each point is given when the next one is drawn: only then is it known not to be the last, which lifts
        the pen. Of several candidates the first is drawn. Raises UserError as `write` does.
        """
        symbols = [self.alphabet.encode(text).tolist() for text in texts]
        drawn = sampler.stream(self.network, symbols, seed, self._prime(prime) if prime else None, first_line)
        # See `to_line`: a primed line begins with its first point, another with the point before that.
        last: list[Floats | None] = [None if prime else np.zeros(3, np.float32) for _ in texts]
        for i, part in drawn:
            before = last[i]
            if isinstance(part, DrawnLine):
                assert before is not None
                before[2] = 1
                yield i, before
                yield i, (self._line(first_line + i, part, texts[i], prime is not None), part)
                continue
            last[i] = point = self.normalisation.invert(part.cpu().numpy())
            if before is None:
                point[:2] = 0
            else:
                yield i, before

    def _line(self, number: int, drawn: DrawnLine, text: str, primed: bool) -> StrokeLine:
        strokes = to_line(drawn.point_T3.numpy(), self.normalisation, after_a_stroke=primed)
        return StrokeLine(f"line-{number + 1}", strokes, text)

    def _prime(self, line: StrokeLine) -> Prime:
        return prime_of(line, self.normalisation, self.alphabet)


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
