"""Weights & Biases as the default tracker: never in the way."""

import logging
import os
import sys
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import WandbLogger

log = logging.getLogger(__name__)


def wandb_logger(project: str, name: str, save_dir: str, **settings: Any) -> WandbLogger:
    """A W&B logger. Without credentials it works offline and says so in one line."""
    os.environ.setdefault("WANDB_SILENT", "true")
    Path(save_dir).mkdir(parents=True, exist_ok=True)
    if os.environ.get("WANDB_MODE") is None and not _has_credentials():
        settings["offline"] = True
        log.info(f"W&B: no credentials, so offline; upload with: wandb sync {save_dir}/wandb/offline-run-*")
    return WandbLogger(project=project, name=name, save_dir=save_dir, **settings)


def _has_credentials() -> bool:
    """An API key in the environment or the netrc file; nothing is asked of the network."""
    if os.environ.get("WANDB_API_KEY"):
        return True

    netrc = Path(os.environ.get("NETRC", "~/.netrc")).expanduser()
    host = (
        os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai").split("//")[-1].split("/")[0].split(":")[0]
    )
    try:
        return f"machine {host}" in netrc.read_text()
    except OSError:
        return False


def finish_tracking(exit_code: int) -> None:
    """End the W&B run, if one was begun: the logger leaves it open, and a sweep would go on in it."""
    wandb = sys.modules.get("wandb")
    if wandb is not None and getattr(wandb, "run", None) is not None:
        wandb.finish(exit_code=exit_code)
