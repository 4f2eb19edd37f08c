"""A text sample at each validation, always from the same seed, so that progress can be compared."""

import logging
from pathlib import Path

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import TensorBoardLogger, WandbLogger
from lightning.pytorch.trainer.states import TrainerFn

from graves_lm.sampling.text import TextSampler

log = logging.getLogger(__name__)


class LogTextSamples(Callback):
    """Writes a sample to `folder`/step-N.txt (best.txt after training) and to every logger that takes text.

    Args:
        sampler: what draws the sample (`sampler=`).
        folder: where the files go.
        seed: of the sample's own random numbers; training's are not touched.
    """

    def __init__(self, sampler: TextSampler, folder: str | Path, seed: int = 0):
        self.sampler = sampler
        self.folder = Path(folder)
        self.seed = seed

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not trainer.is_global_zero:
            return
        text = "".join(pl_module.write(self.sampler, seed=self.seed))  # type: ignore[operator]
        self.folder.mkdir(parents=True, exist_ok=True)
        # After training the best weights are validated once more; the step is then not theirs.
        name = f"step-{trainer.global_step:07d}" if trainer.state.fn == TrainerFn.FITTING else "best"
        (self.folder / f"{name}.txt").write_text(text, encoding="utf-8")
        for logger in trainer.loggers:
            if isinstance(logger, WandbLogger):
                logger.log_text("samples/text", ["step", "text"], [[str(trainer.global_step), text]])
            elif isinstance(logger, TensorBoardLogger):
                logger.experiment.add_text("samples/text", text, trainer.global_step)
