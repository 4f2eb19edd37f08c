"""A corpus as Lightning's trainer takes it."""

from typing import Any

from lightning.pytorch import LightningDataModule, Trainer
from torch import Tensor

from graves_lm.data.base import Corpus, Share


class CorpusDataModule(LightningDataModule):
    """Hands a trainer the batches of a corpus that is open.

    A corpus knows no trainer, so that preparing and reading it does without Lightning, whose import takes
    longer than opening a cache.
    """

    def __init__(self, corpus: Corpus):
        super().__init__()
        self.corpus = corpus

    @property
    def training_sequences(self) -> int:
        return self.corpus.training_sequences

    def train_dataloader(self) -> Any:
        assert self.trainer is not None
        # The debugging trainer wants the same batches again and again.
        overfit: float = self.trainer.overfit_batches  # type: ignore[attr-defined]
        return self.corpus.training_batches(share_of(self.trainer), shuffled=overfit == 0)

    def val_dataloader(self) -> Any:
        assert self.trainer is not None
        return self.corpus.evaluation_batches("val", share_of(self.trainer))

    def on_before_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        # From pinned memory the trainer's copy to a GPU runs beside the work before it; from other memory the
        # host would wait for that work to end.
        if self.trainer is None or self.trainer.strategy.root_device.type != "cuda":
            return batch
        return batch._make(part.pin_memory() if isinstance(part, Tensor) else part for part in batch)


def share_of(trainer: Trainer) -> Share:
    """Which part of the data is this process's."""
    return Share(trainer.global_rank, trainer.world_size)
