"""From a text of any length to handwriting: what `graves_lm.load` returns."""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from graves_lm.data.strokes import Floats, StrokeLine
from graves_lm.runtime.errors import UserError
from graves_lm.runtime.memory import give_back_free_memory
from graves_lm.sampling.events import Event, PenPoints, Report, in_order, whole_lines
from graves_lm.sampling.protocols import DrawsHandwriting, require
from graves_lm.sampling.synthesis import SynthesisSampler
from graves_lm.settings import declared
from graves_lm.settings.kinds import Hand, Name, OnUnknown, Place, Seed, Width
from graves_lm.trained.blend import Blend, Style
from graves_lm.trained.doubt import doubt_of_style
from graves_lm.trained.handwriting import TextPassage, TrainedHandwriting, stroke_line
from graves_lm.trained.loading import load_trained, packaged_reader
from graves_lm.trained.reader import TrainedReader
from graves_lm.trained.samplers import make_sampler
from graves_lm.writing.hand_files import FOLDER
from graves_lm.writing.hands import chosen, hands_of
from graves_lm.writing.handwriting import Handwriting
from graves_lm.writing.named_hand import NamedHand, named_hand
from graves_lm.writing.page import PageSettings
from graves_lm.writing.pen import Pen
from graves_lm.writing.prime import named_prime
from graves_lm.writing.text_lines import text_lines
from graves_lm.writing.wrap import TextLine, wrap

TRIED_PEN = "the man and his house"
"""Letters that every network of English has seen often: what is written to find a hand of its own."""
_TRIED_NUMBER = 2**40  # that line's, beyond all others', for its random numbers
_HANDS = 16  # of them that a writer keeps
_OTHERS = 4  # writers of other weights


class Writer:
    """A trained synthesis network that writes texts.

    >>> import graves_lm
    >>> writer = graves_lm.load()
    >>> page = writer.write("a line", seed=1, bias=1.0, candidates=1, retries=0, one_hand=False)
    >>> page.save("letter.svg")
    [PosixPath('letter.svg')]
    """

    def __init__(self, trained: TrainedHandwriting, *, bank: bool = True):
        """`bank`: the seed may choose one of the package's hands; false for weights that are a hand
        themselves and shall not be given another."""
        self.trained, self._bank = trained, bank
        self._tried: dict[Any, StrokeLine | None] = {}
        self._others: dict[int, Writer] = {}

    @declared()
    def write(
        self,
        text: str,
        *,
        seed: Seed = 0,
        width: Width | None = None,
        prime: Style | None = None,
        hand: Hand | None = None,
        hands_dir: Place = FOLDER,
        one_hand: bool = True,
        on_unknown: OnUnknown = "error",
        markdown: bool = False,
        hyphenate: Name | None = None,
        page: PageSettings | None = None,
        sampler: DrawsHandwriting | None = None,
        progress: bool = False,
        **settings: Any,
    ) -> Handwriting:
        """`text`, wrapped into lines, as handwriting.

        Args:
            seed: the same one gives the same handwriting.
            width: characters per line; None: as many as the page holds in a hand of common size.
            prime: a line whose writer's style is taken on, or a blend of some; None: the sampler's, where it
                names a file.
            hand: the number of a hand of the package's (for a network that they do not serve, of one that it
                draws itself), an ink file, a file of weights, which then write in place of these, the name
                of either in `hands_dir`, or a mixture such as "anna:0.7+ben:0.3"; None: that of these
                weights, if they brought one, or else the seed chooses. See `hand` and `writing.named_hand`.
            hands_dir: the folder of hands.
            one_hand: without a prime, let all lines follow that hand.
            on_unknown: "error", "skip" or "replace", see `Alphabet.spell`.
            markdown: the text is Markdown: headings are larger, lists and quotations stand further in,
                emphasis is underlined.
            hyphenate: words are divided as this language does ("en_GB", "de"); None: they are not.
            page: paper, margins, pen; None: as the defaults say.
            sampler: what samples; None: the one the network was trained with, and `settings` (bias=0.5,
                candidates=3, …) in place of its own.
            progress: show a bar of lines written.

        Raises UserError for an empty text, unknown characters, bad settings, an unusable prime, a hand that
        there is not.
        """
        page = page or PageSettings()
        pen = self.pen(
            seed=seed,
            prime=prime,
            hand=hand,
            hands_dir=hands_dir,
            one_hand=one_hand,
            on_unknown=on_unknown,
            sampler=sampler,
            **settings,
        )
        lines = text_lines(text, pen.alphabet, page, width, on_unknown, markdown, hyphenate)
        return pen.write(lines, page, progress)

    @declared()
    def pen(
        self,
        *,
        seed: Seed = 0,
        prime: Style | None = None,
        hand: Hand | None = None,
        hands_dir: Place = FOLDER,
        one_hand: bool = True,
        on_unknown: OnUnknown = "error",
        sampler: DrawsHandwriting | None = None,
        **settings: Any,
    ) -> Pen:
        """What writes any lines in one hand; arguments are those of `write`."""
        writer, named = self._in_hand(hand, hands_dir)
        sampler = writer._sampler(sampler, settings)
        prime = writer._style_of(prime, sampler, named, one_hand, seed, on_unknown)

        def draw(lines: Iterator[TextLine], first: int) -> Iterator[tuple[TextLine, Floats, Report]]:
            return writer.lines(lines, sampler, seed, prime, one_hand, first)

        doubts: list[str] = []
        of_the_package = named is not None and not any(isinstance(part.of, Path) for part in named.parts)
        if isinstance(prime, StrokeLine) and not of_the_package and (reader := packaged_reader()):
            doubts = doubt_of_style(prime, reader)
        return Pen(writer.trained.alphabet, draw, doubts)

    @declared()
    def stream(
        self,
        text: str,
        *,
        seed: Seed = 0,
        width: Width | None = None,
        prime: Style | None = None,
        hand: Hand | None = None,
        hands_dir: Place = FOLDER,
        one_hand: bool = True,
        on_unknown: OnUnknown = "error",
        sampler: DrawsHandwriting | None = None,
        **settings: Any,
    ) -> Iterator[tuple[int, Floats]]:
        """The points of `write` as they are drawn: the line's number, from 0, and (dx, dy, end of stroke),
        (3,), in data units.

        Arguments are those of `write`. Lines that are sampled side by side come a point of each at a time;
        batch_size=1 gives one line after the other. Of several candidates the first is sampled, once. Raises
        UserError as `write` does.
        """
        writer, named = self._in_hand(hand, hands_dir)
        sampler = writer._sampler(sampler, settings)
        prime = writer._style_of(prime, sampler, named, one_hand, seed, on_unknown)
        wrapped = wrap(writer.trained.alphabet.spell(text, on_unknown), width or PageSettings().characters)
        drawn = writer.events(iter(list(wrapped)), sampler, seed, prime, one_hand, live=True)
        return (
            (event.line, point_3.astype(np.float32))
            for event in drawn
            if isinstance(event, PenPoints)
            for point_3 in event.point_N3
        )

    def lines(
        self,
        lines: Iterator[TextLine],
        sampler: DrawsHandwriting,
        seed: int = 0,
        prime: Style | None = None,
        one_hand: bool = True,
        first: int = 0,
    ) -> Iterator[tuple[TextLine, Floats, Report]]:
        """Each line with its strokes (T, 3) and how well it went, in order: what `events` comes to."""
        begun: deque[TextLine] = deque()

        def noted() -> Iterator[TextLine]:
            for line in lines:
                begun.append(line)
                yield line

        drawn = self.events(noted(), sampler, seed, prime, one_hand, first=first)
        for whole in in_order(whole_lines(drawn)):
            yield begun.popleft(), whole.points.astype(np.float32), whole.report

    def events(
        self,
        lines: Iterator[TextLine],
        sampler: DrawsHandwriting,
        seed: int = 0,
        prime: Style | None = None,
        one_hand: bool = True,
        live: bool = False,
        first: int = 0,
    ) -> Iterator[Event]:
        """The lines as they are sampled, in data units, `sampler.batch_size` at a time, numbered from 0; for
        their random numbers from `first`.

        All are in the hand of the prime; without one, in that of `hand`, or else of the first line. `live` as
        in `sampling.passage`.
        """
        if one_hand and prime is None:
            prime = self.hand(sampler, seed)
        number = 0
        try:
            while some := list(islice(lines, 1 if one_hand and prime is None else sampler.batch_size)):
                texts = [line.text for line in some]
                passage = TextPassage(texts, seed, prime, first + number, live, reader_for(sampler))
                seen: list[Event] = []
                for event in self.trained.events(sampler, passage):
                    if one_hand and prime is None:
                        seen.append(event)
                    yield event._replace(line=number + event.line)
                if seen:
                    prime = self._style(seen, passage)
                number += len(some)
                give_back_free_memory()
        finally:  # also of who is no longer asked for points
            give_back_free_memory()

    def hand(self, sampler: DrawsHandwriting, seed: int, number: int | None = None) -> Style | None:
        """A line, (T, 3) in data units, whose style others are to take on.

        Without a number it is the hand that the weights brought. If they brought none: rare letters at the
        beginning of a text would make a poor prime, and all lines after it poor. So it is then one of the
        package's hands: hand `number`, or that of the seed. A network that they do not serve (see
        `writing.hands`) draws a line of common letters, `number` or else `seed` being its seed: without a
        bias, where hands differ most, or, if that has faults, as the sampler draws. None where it has not
        learned these letters, or does not write them without fault. It is sampled once for a seed and the
        sampler's settings, and kept as long as the weights are the same.

        Raises UserError for a number that there is not.
        """
        trained = self.trained
        if number is None and trained.hand is not None:
            return trained.hand
        if (self._bank or number is not None) and (
            hands := hands_of(trained.normalisation, trained.alphabet)
        ):
            return chosen(hands, number, seed)
        if not set(TRIED_PEN) <= set(trained.alphabet.characters):
            return None
        drawn_by = seed if number is None else number
        weights = tuple(
            (w.data_ptr(), 0 if w.is_inference() else w._version) for w in trained.network.parameters()
        )
        settings = repr(getattr(sampler, "__dict__", sampler))
        key = (TRIED_PEN, drawn_by, type(sampler), settings, weights)
        if key not in self._tried:
            line = self._try(sampler, drawn_by)
            if len(self._tried) == _HANDS:
                del self._tried[next(iter(self._tried))]
            self._tried[key] = line
        return self._tried[key]

    def _in_hand(
        self, hand: int | str | Path | None, hands_dir: str | Path
    ) -> tuple["Writer", NamedHand | None]:
        """The writer that writes in this hand, and what is left for it to follow: nothing, where the hand
        is weights."""
        named = None if hand is None else named_hand(hand, hands_dir)
        return (self._other(named), None) if named is not None and named.of_weights else (self, named)

    def _other(self, named: NamedHand) -> "Writer":
        """The writer of a hand with weights of its own, kept with what it has drawn for itself."""
        trained = named.trained()
        writer = self._others.get(id(trained))
        if writer is None:
            if len(self._others) == _OTHERS:
                del self._others[next(iter(self._others))]
            writer = self._others[id(trained)] = Writer(trained, bank=not named.has_hand)
        return writer

    def _try(self, sampler: DrawsHandwriting, seed: int) -> StrokeLine | None:
        """`TRIED_PEN` without faults, if that can be."""
        unbiased = [sampler.at_bias(0.0)] if isinstance(sampler, SynthesisSampler) else []
        for one in (*unbiased, sampler):
            passage = TextPassage([TRIED_PEN], seed, first_line=_TRIED_NUMBER, reader=reader_for(one))
            ((line, report),) = self.trained.write(one, passage)
            if not any(report.faults):
                line.strokes.setflags(write=False)
                return line
        return None

    @staticmethod
    def _style(events: Iterable[Event], passage: TextPassage) -> StrokeLine | None:
        """The line of a passage of one as a prime for others; None where it does not do."""
        (whole,) = whole_lines(events)
        return stroke_line(whole, passage) if whole.report.stopped and len(whole.points) >= 50 else None

    def _sampler(self, sampler: DrawsHandwriting | None, settings: Mapping[str, Any]) -> DrawsHandwriting:
        if sampler is None:
            made: DrawsHandwriting = make_sampler(self.trained.config["sampler"], settings, DrawsHandwriting)
            return made
        if settings:
            raise UserError(f"{next(iter(settings))}: set it on the sampler that is given")
        require(sampler, DrawsHandwriting)
        return sampler

    def _style_of(
        self,
        prime: Style | None,
        sampler: DrawsHandwriting,
        named: NamedHand | None,
        one_hand: bool,
        seed: int,
        on_unknown: OnUnknown,
    ) -> Style | None:
        """The line that `write` and `stream` take the style of: a prime, or a hand that is asked for."""

        def spelled(text: str) -> str:
            return self.trained.alphabet.spell(text, on_unknown, "sampler.prime_text")

        def numbered(number: int) -> StrokeLine | None:
            line = self.hand(sampler, seed, number)
            assert not isinstance(line, Blend)
            return line

        prime = prime or named_prime(sampler, spelled)
        if named is None:
            return prime
        if prime is not None or not one_hand:
            raise UserError(f"{named.where}: give either a hand, or a prime, or one_hand=false")
        return named.style(
            lambda text: self.trained.alphabet.spell(text, on_unknown, "its text"), self.trained, numbered
        )


def reader_for(sampler: DrawsHandwriting) -> TrainedReader | None:
    """The package's reader, where the sampler chooses among candidates."""
    return packaged_reader() if getattr(sampler, "chooses", False) else None


def load(path: str | Path = "synthesis") -> Writer:
    """The writer of a checkpoint that `graves_lm.train model=synthesis` wrote, or of the package's weights.

    Raises UserError for a missing or damaged file and a checkpoint of another task.
    """
    trained = load_trained(path, task="synthesis")
    assert isinstance(trained, TrainedHandwriting)
    return Writer(trained)
