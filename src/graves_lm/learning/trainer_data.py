"""A data set as Lightning's trainer takes it."""

from typing import Any

from lightning.pytorch import LightningDataModule
from torch import Tensor

from graves_lm.data.base import SequenceDataModule


class TrainerData(LightningDataModule):
    """The data module that hands a trainer the batches of a data set.

    Data sets are no data modules themselves, so that preparing and reading them does without Lightning, whose
    import takes longer than opening a cache.
    """

    def __init__(self, data: SequenceDataModule):
        super().__init__()
        self.data = data

    @property
    def training_sequences(self) -> int:
        return self.data.training_sequences

    def prepare_data(self) -> None:
        self.data.prepare_data()

    def setup(self, stage: str | None = None) -> None:
        self.data.trainer = self.trainer
        self.data.setup(stage)

    def train_dataloader(self) -> Any:
        return self.data.train_dataloader()

    def val_dataloader(self) -> Any:
        return self.data.eval_dataloader("val")

    def on_before_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        # From pinned memory the trainer's copy to a GPU runs beside the work before it; from other memory the
        # host would wait for that work to end.
        if self.trainer is None or self.trainer.strategy.root_device.type != "cuda":
            return batch
        return batch._make(part.pin_memory() if isinstance(part, Tensor) else part for part in batch)
