"""The train command: whose the run's folder is, before and after the processes of the run."""

import os
from contextlib import suppress
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from graves_lm.commands import ddp
from graves_lm.commands.launch import one_line
from graves_lm.learning.run_record import record_settings
from graves_lm.runtime.errors import FolderInUse, LostPeer, Stopped, UserError
from graves_lm.runtime.files import write
from graves_lm.runtime.place import place
from graves_lm.runtime.run_folder import (
    FAILED,
    holds_run,
    is_empty,
    locked,
    refuse_to_replace,
    remove_trace,
)


def run(cfg: DictConfig) -> float | None:
    """Train, write metrics.json, and return the metric that sweeps minimise.

    A run that fails leaves the reason in its folder, so that a table of runs can tell it; so does a job of
    a sweep that is refused before it begins. A single run leaves nothing then, and a folder in which another
    run is, or has been, as it is.
    """
    of_sweep = HydraConfig.get().mode == RunMode.MULTIRUN
    if of_sweep:
        cfg.run_dir = HydraConfig.get().runtime.output_dir  # each job of a sweep has its own
    run_dir = Path(cfg.run_dir)
    failure, made = run_dir / FAILED, not of_sweep and is_empty(run_dir)
    if place()[0] == 0 and os.environ.get("NODE_RANK", "0") == "0":
        with locked(run_dir):  # what the first rank will do, before the others are started
            refuse_to_replace(run_dir, cfg.resume)
    begun = holds_run(run_dir)
    try:
        figure: float | None = ddp.run("graves_lm.learning.training.run", cfg)
    except (FolderInUse, Stopped):
        raise  # the run of that folder has not failed
    except Exception as error:
        if made and isinstance(error, UserError) and not holds_run(run_dir):
            remove_trace(run_dir)
        elif not (isinstance(error, LostPeer) and failure.is_file()):  # another process may know the reason
            with suppress(UserError):
                if not begun:
                    record_settings(run_dir)
                write(failure, one_line(error, "train") + "\n")
        raise
    return figure
