"""A trained reader: ink in, text out."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar
from unicodedata import decomposition, normalize

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from rapidfuzz.distance import Levenshtein
from torch import Tensor
from torch.nn.functional import pad
from torch.nn.utils.rnn import pad_sequence

from graves_lm.data.alphabet import Alphabet
from graves_lm.data.characters import plain_letter
from graves_lm.data.strokes import Normalisation, size
from graves_lm.models.frames import frame_points, has_extent, ink_frames
from graves_lm.models.reader import ReaderNetwork, likeliest_frames, text_nats
from graves_lm.sampling.passage import Verdict
from graves_lm.sampling.protocols import ReadsInk
from graves_lm.trained.samplers import make_sampler

_BATCH = 64  # lines read side by side
_FRAMES = 64  # and filled up to a multiple of so many: of every new size torch's products keep some memory
_SURPLUS = 2  # strokes at the end of a line that may be too many
_SURE = 0.4  # nats a character up to which a line is taken for its text
_NOTHING = 0.2  # nats by which the text may get less likely without a stroke that is none of it
_MARK = 1.0  # and by which it must get likelier without what may be the dot of an i, or a bar


class TrainedReader:
    """A network that reads ink, with the characters of its data.

    Args:
        network: in evaluation mode.
        normalisation: of the lines that it learned from; what it reads may be in any unit.
        alphabet: the characters that it knows.
        config: the settings of its training: model, data, optimizer, sampler.
    """

    task_name: ClassVar = "reader"
    takes: ClassVar = ("normalisation", "alphabet")
    sampler_kind: ClassVar[type] = ReadsInk

    def __init__(
        self,
        network: ReaderNetwork,
        normalisation: Normalisation,
        alphabet: Alphabet,
        config: Mapping[str, Any],
    ):
        self.network, self.normalisation, self.alphabet = network, normalisation, alphabet
        self.config = config

    def read(self, lines: Sequence[ArrayLike], decoder: ReadsInk | None = None) -> list[str]:
        """The text of each line (T, 3), (dx, dy, end of stroke) in any unit, y down.

        Args:
            decoder: from outputs to texts; None: as it was trained with.

        Raises UserError for a line without any extent.
        """
        decoder = decoder or make_sampler(self.config["sampler"], {}, ReadsInk)
        texts: list[str] = [""] * len(lines)
        for rows, log_p_TBY, length_B in self._outputs(lines):
            for i, symbols in zip(rows, decoder.texts(log_p_TBY, length_B), strict=True):
                texts[i] = self._spelt(symbols)
        return texts

    def near(self, text: str) -> str | None:
        """The text in characters that it knows: others without their accents (ü as u), or as the first of
        those that are written for them (ß as s). None where one has no such form."""
        knows = self.alphabet.knows
        near = "".join(c if knows(c) else plain_letter(c) for c in normalize("NFC", text))
        return near if all(map(knows, near)) else None

    def judge(self, lines: Sequence[ArrayLike], text: str) -> list[Verdict]:
        """How well each of some lines (T, 3) can be read as `text`, which has a form that it knows (`near`).
        A character that it does not know itself may be read as any.

        A stroke at the end for which the pen has gone back, and without which a line is read no worse, is
        none of the text's: it is not counted, and neither is one more before it
        (docs/adr/0028-surplus-strokes.md). Of a line without any extent nothing is read.
        """
        ink = [np.asarray(line, np.float32) for line in lines]
        verdicts = self._verdicts(ink, text)
        left = list(range(len(ink)))
        for _ in range(_SURPLUS):
            whole = {i: ink[i][: len(ink[i]) - verdicts[i].surplus] for i in left}
            shorter = {i: line[:n] for i, line in whole.items() if (n := _before_a_late_stroke(line)) > 0}
            left = []
            found = self._verdicts(list(shorter.values()), text)
            for (i, line), verdict in zip(shorter.items(), found, strict=True):
                late = takes_late_marks(text, is_dot(whole[i], len(line)))
                if verdict.nats < verdicts[i].nats - (_MARK if late else -_NOTHING):
                    verdicts[i] = verdict._replace(surplus=len(ink[i]) - len(line))
                    left.append(i)
        return verdicts

    def places(self, lines: Sequence[ArrayLike], texts: Sequence[str]) -> list[NDArray[np.int64] | None]:
        """For each line (T, 3) the point (U,) at which each character of its text is read; None where the
        line is hardly this text, has no extent, or the text a character that the reader does not know, nor
        its plain form."""
        found: list[NDArray[np.int64] | None] = [None] * len(lines)
        nearest = [self.near(text) or "" for text in texts]
        fit = [i for i, text in enumerate(nearest) if text and has_extent(lines[i])]
        for rows, log_p_TBY, length_B in self._outputs([lines[i] for i in fit]):
            for b, (row, length) in enumerate(zip(rows, length_B.tolist(), strict=True)):
                i = fit[row]
                symbol_U = self.alphabet.encode(nearest[i])
                nats = text_nats(
                    log_p_TBY[:, b : b + 1], length_B[b : b + 1], torch.from_numpy(symbol_U)[None]
                )
                if float(nats) < _SURE * len(symbol_U):
                    log_p_TY = log_p_TBY[:length, b].numpy()
                    parts = [len(self.alphabet.parted(c)) for c in nearest[i]]
                    first = np.cumsum([0, *parts[:-1]])  # of a letter and its accent, the letter
                    found[i] = frame_points(lines[i])[likeliest_frames(log_p_TY, symbol_U)[first]]
        return found

    def _verdicts(self, lines: Sequence[ArrayLike], text: str) -> list[Verdict]:
        """Of whole lines."""
        verdicts = [Verdict("", len(text), float("inf"), wrong=range(len(text)))] * len(lines)
        written = [i for i, line in enumerate(lines) if has_extent(line)]
        decoder = make_sampler(self.config["sampler"], {}, ReadsInk)
        text = normalize("NFC", text)
        near, unknown = self.near(text) or "", sum(not self.alphabet.knows(c) for c in text)
        symbols = torch.from_numpy(self.alphabet.encode(near))
        for rows, log_p_TBY, length_B in self._outputs([lines[i] for i in written]):
            nats_B = text_nats(log_p_TBY, length_B, symbols.expand(len(rows), -1))
            read = map(self._spelt, decoder.texts(log_p_TBY, length_B))
            for row, as_read, nats in zip(rows, read, nats_B.tolist(), strict=True):
                others = max(0, errors(near, as_read) - unknown)
                wrong = [u for u in misread_places(near, as_read) if self.alphabet.knows(text[u])]
                verdicts[written[row]] = Verdict(as_read, others, nats, wrong=wrong)
        return verdicts

    def _spelt(self, symbols: Sequence[int]) -> str:
        return normalize("NFC", "".join(self.alphabet.characters[s] for s in symbols))

    def _outputs(self, lines: Sequence[ArrayLike]) -> Iterator[tuple[list[int], Tensor, Tensor]]:
        """log Pr of some lines at a time, of similar lengths, with their numbers."""
        frames = [torch.from_numpy(ink_frames(line)) for line in lines]
        order = np.argsort([len(f) for f in frames], kind="stable").tolist()
        for begin in range(0, len(order), _BATCH):
            rows = order[begin : begin + _BATCH]
            with torch.inference_mode():
                log_p_TBY, length_B = self.outputs([frames[i] for i in rows])
            yield rows, log_p_TBY, length_B

    def outputs(self, frames: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """log Pr, (T, B, C + 1), of lines' frames (T, D), and their lengths. Past them it means nothing."""
        length_B = torch.tensor([len(f) for f in frames])
        frame_TBD = pad_sequence(list(frames))
        frame_TBD = pad(frame_TBD, (0, 0, 0, 0, 0, -len(frame_TBD) % _FRAMES))
        device = self.network.to_output.weight.device
        return self.network(frame_TBD.to(device), length_B.to(device)).cpu(), length_B


def errors(text: str, read: str) -> int:
    """The least number of characters to be replaced, left out or put in to make one of the other, spaces
    aside: where a word ends is not seen in its letters."""
    return Levenshtein.distance(text.replace(" ", ""), read.replace(" ", ""))


def misread_places(text: str, read: str) -> list[int]:
    """Which characters of the text are read otherwise: left out, replaced, or behind something that was put
    in; of a gap between words that is not seen, the one after it."""
    last = len(text.rstrip()) - 1
    changes = [min(change.src_pos, last) for change in Levenshtein.editops(text, read)] if last >= 0 else []
    return sorted({u + (text[u] == " ") for u in changes})


def takes_late_marks(text: str, dots: bool) -> bool:
    """Whether the last word has a character of which a dot, or else a bar, may come when the word is done; an
    accent may be either."""
    marked = "ij?!:;" if dots else "ftx"
    return any(c in marked or decomposition(c) for c in (text.split() or [""])[-1])


def is_dot(line: NDArray[Any], first: int) -> bool:
    """Whether the points of a line (T, 3) from `first` on are a dot: small beside the line's letters."""
    xy_N2 = np.cumsum(line[:, :2], axis=0)[first:]
    return float(np.hypot(*np.ptp(xy_N2, axis=0))) < size(line)


def _before_a_late_stroke(line: NDArray[Any]) -> int:
    """How many points of a line (T, 3) come before its last stroke, if that adds nothing on the right."""
    ends = np.flatnonzero(line[:-1, 2] > 0.5)
    if len(ends) == 0:
        return 0
    before, x_T = int(ends[-1]) + 1, np.cumsum(line[:, 0])
    return before if x_T[before:].max() <= x_T[:before].max() else 0
