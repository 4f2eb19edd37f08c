"""Samples and pictures at each validation, always from the same seed, so that progress can be compared."""

from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import TensorBoardLogger, WandbLogger
from lightning.pytorch.trainer.states import TrainerFn
from PIL import Image

from graves_lm.learning.pictures import pictures
from graves_lm.runtime.files import write
from graves_lm.trained.samplers import whole_sampler


class LogSamples(Callback):
    """Writes samples and pictures of what the network does (`pictures`) to `folder`/step-N-… (best-… after
    training), and to every logger that takes text or pictures.

    Args:
        sampler: the settings of what takes the samples (`sampler=`).
        folder: where the files go.
        seed: of the samples' own random numbers; training's are not touched.
        at_end: only after training, which long trainings on a GPU do not wait for before.
    """

    def __init__(self, sampler: Mapping[str, Any], folder: str | Path, seed: int = 0, at_end: bool = False):
        self.sampler = whole_sampler(sampler)
        self.folder = Path(folder)
        self.seed = seed
        self.at_end = at_end

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not trainer.is_global_zero or (self.at_end and trainer.state.fn == TrainerFn.FITTING):
            return
        trained, corpus = pl_module.trained(), trainer.datamodule.corpus  # type: ignore[operator,attr-defined]
        # After training the best weights are validated once more; the step is then not theirs.
        stage = f"step-{trainer.global_step:07d}" if trainer.state.fn == TrainerFn.FITTING else "best"
        for name, content in pictures(trained, self.sampler, corpus, self.seed).items():
            write(self.folder / f"{stage}-{name}", content)
            key = f"samples/{Path(name).stem}"
            for logger in trainer.loggers:
                if isinstance(content, bytes):
                    log_picture(logger, key, content, stage, trainer.global_step)
                elif name.endswith(".txt"):
                    log_texts(logger, key, self.folder, name, trainer.global_step)


def log_texts(logger: Any, key: str, folder: Path, name: str, step: int) -> None:
    """TensorBoard gets the newest text; W&B a table of all so far, those before a resume included."""
    paths = sorted(folder.glob(f"*-{name}"), key=lambda path: (path.name.startswith("best"), path.name))
    if isinstance(logger, WandbLogger):
        rows = [[path.name.removesuffix(f"-{name}"), path.read_text(encoding="utf-8")] for path in paths]
        logger.log_text(key, ["when", "text"], rows, step=step)
    elif isinstance(logger, TensorBoardLogger):
        logger.experiment.add_text(key, paths[-1].read_text(encoding="utf-8"), step)


def log_picture(logger: Any, key: str, png: bytes, stage: str, step: int) -> None:
    picture = Image.open(BytesIO(png)).convert("RGB")
    if isinstance(logger, WandbLogger):
        logger.log_image(key, [picture], step=step, caption=[stage])
    elif isinstance(logger, TensorBoardLogger):
        logger.experiment.add_image(key, np.asarray(picture), step, dataformats="HWC")
