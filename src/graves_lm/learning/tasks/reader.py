"""Reading handwriting: the loss in nats of a line's text, metrics as character and word error rates."""

from collections.abc import Callable
from unicodedata import normalize

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from graves_lm.data.alphabet import Alphabet
from graves_lm.data.distortion import distorted
from graves_lm.data.line_batches import LineBatch
from graves_lm.data.strokes import Floats, Normalisation
from graves_lm.learning.metrics import reader_metrics
from graves_lm.learning.optim import Optimization
from graves_lm.learning.tasks.base import SequenceTask
from graves_lm.models.frames import ink_frames
from graves_lm.models.reader import ReaderNetwork, best_path, text_nats
from graves_lm.nn.noise import NoNoise
from graves_lm.sampling.reader import BestPath
from graves_lm.trained.reader import TrainedReader


class ReaderTask(SequenceTask):
    """From ink to text, by connectionist temporal classification over whole lines (see `models.reader`).

    Each time that a line is read in training, it is distorted anew (`data.distortion`). Lines with too few
    frames for their text count for nothing.

    Args:
        network: makes a `ReaderNetwork` for a number of symbols.
        normalisation: in which its batches come; stored in the checkpoint.
        alphabet: the characters of the texts; stored in the checkpoint.
        optimization, noise: see `SequenceTask`.
    """

    task_name, takes = TrainedReader.task_name, TrainedReader.takes
    unit = "characters"
    position = ("epoch", "next_batch", "batches")
    figure_names = ("cer", "wer", "nats_per_character")
    sampler_kind = BestPath
    network: ReaderNetwork

    def __init__(
        self,
        network: Callable[..., ReaderNetwork],
        normalisation: Normalisation,
        alphabet: Alphabet,
        optimization: Optimization | None = None,
        noise: Callable[[nn.Module], NoNoise] | None = None,
    ):
        facts = {"normalisation": normalisation, "alphabet": alphabet}
        made = network(symbols=len(alphabet))
        super().__init__(made, reader_metrics(), facts, optimization, noise)
        self.normalisation, self.alphabet = normalisation, alphabet

    def training_step(self, batch: LineBatch, batch_idx: int) -> Tensor:
        random = np.random.default_rng(int(torch.randint(2**62, ())))
        lines = [distorted(line, random) for line in self.lines(batch)]
        log_p_TBY, length_B = self.outputs(self.noise.draw(self.network), lines)
        nats = text_nats(log_p_TBY, length_B, batch.symbol_BU, skip_impossible=True).sum()
        characters = int((batch.symbol_BU >= 0).sum())
        self.log("train/nats_per_character", nats.detach() / characters, prog_bar=True)
        return self.training_loss(nats, sequences=len(lines), points=characters)

    def validation_step(self, batch: LineBatch, batch_idx: int) -> None:
        log_p_TBY, length_B = self.outputs(self.network, self.lines(batch))
        nats_B = text_nats(log_p_TBY, length_B, batch.symbol_BU, skip_impossible=True)
        texts = [self.spelt(row[row >= 0].tolist()) for row in batch.symbol_BU]
        read = [self.spelt(symbols) for symbols in best_path(log_p_TBY, length_B)]
        characters = (batch.symbol_BU >= 0).sum()
        self.metrics.update(preds=read, target=texts, value=nats_B.sum() / characters, weight=characters)

    def outputs(self, network: Callable[..., Tensor], lines: list[Floats]) -> tuple[Tensor, Tensor]:
        """log Pr at every frame, (T, B, C + 1), and the number of frames of each line."""
        frames = [torch.from_numpy(ink_frames(line)) for line in lines]
        length_B = torch.tensor([len(f) for f in frames], device=self.device)
        return network(pad_sequence(frames).to(self.device), length_B), length_B

    def lines(self, batch: LineBatch) -> list[Floats]:
        """The lines of a batch, (T, 3) in data units."""
        points = batch.point_TB3.cpu().numpy()
        lines = []
        for row, length in enumerate(batch.scored_TB.sum(0).tolist()):
            line = self.normalisation.invert(points[: length + 1, row])
            line[0, :2] = 0
            lines.append(line)
        return lines

    def spelt(self, symbols: list[int]) -> str:
        return normalize("NFC", "".join(self.alphabet.characters[s] for s in symbols))

    def trained(self) -> TrainedReader:
        return TrainedReader(self.network, self.normalisation, self.alphabet, self.config)
