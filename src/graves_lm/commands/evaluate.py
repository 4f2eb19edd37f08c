"""The evaluate command: a folder of its own for what it writes, and its processes."""

from contextlib import nullcontext
from pathlib import Path

from omegaconf import DictConfig

from graves_lm.commands import ddp
from graves_lm.learning.run_record import log_kept, record_settings
from graves_lm.runtime.errors import UserError
from graves_lm.runtime.place import place
from graves_lm.runtime.run_folder import holds_run, is_empty, remove_trace


def run(cfg: DictConfig) -> None:
    """Print the metrics and write them to metrics.json in the run directory.

    Raises UserError for the folder of a training run, whose own metrics.json and settings would be replaced.
    """
    run_dir = Path(cfg.run_dir)
    if holds_run(run_dir):
        raise UserError(f"run_dir={run_dir}: a training run is there; give another, for what evaluate writes")
    first, made = place()[0] == 0, is_empty(run_dir)
    if first:
        record_settings(run_dir)
    try:
        with log_kept(run_dir) if first else nullcontext():
            ddp.run("graves_lm.evaluation.run", cfg)
    except UserError:
        if first and made:
            remove_trace(run_dir)
        raise
