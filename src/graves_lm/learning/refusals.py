"""Settings that Lightning's trainer would refuse after some work, or quietly do nothing with."""

from omegaconf import DictConfig

from graves_lm.learning.tasks.base import SequenceTask
from graves_lm.runtime.errors import UserError, near_misses


def refuse_late_settings(cfg: DictConfig, task: SequenceTask, batches: int) -> None:
    """Raises UserError, before any work, for a monitor that no validation logs and for validations that never
    come; an epoch has so many `batches`."""
    known = [f"val/{figure}" for figure in task.figure_names]
    parts = {f"callbacks.{name}.": part for name, part in (cfg.callbacks or {}).items() if part is not None}
    for where, monitor in {"": cfg.monitor, **{k: part.get("monitor") for k, part in parts.items()}}.items():
        if monitor is not None and monitor not in known:
            near = near_misses(str(monitor), known)
            raise UserError(f"{where}monitor={monitor}: no metric of a validation; {near}")
    if cfg.trainer.get("fast_dev_run"):
        raise UserError("trainer.fast_dev_run takes a batch for a whole validation: use trainer=debug")
    most, every = cfg.trainer.get("limit_train_batches") or 1.0, cfg.trainer.val_check_interval
    batches = min(batches, most) if isinstance(most, int) else int(batches * most)
    if batches < 1:
        raise UserError(f"trainer.limit_train_batches={most}: no batch is left of an epoch")
    if isinstance(every, int) and every > batches and cfg.trainer.check_val_every_n_epoch is not None:
        raise UserError(
            f"trainer.val_check_interval={every}: an epoch has {batches} batches; give at most so many, or "
            "trainer.check_val_every_n_epoch=null to count on over epochs"
        )
