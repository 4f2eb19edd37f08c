"""A data set from its settings."""

from typing import Any

from omegaconf import DictConfig, OmegaConf

from graves_lm.runtime.errors import UserError
from graves_lm.settings.made import made


def prepare(data_cfg: DictConfig, task: Any = None) -> Any:
    """The data module, its cache built and opened.

    Raises UserError, before any work, for data that a `task` of this class cannot take.
    """
    if "_target_" not in data_cfg:
        raise UserError("data=from_checkpoint needs a checkpoint, and here is none: name the data")
    settings: Any = OmegaConf.to_container(data_cfg, resolve=True)
    data: Any = made(settings, "data")
    if task and (missing := [name for name in task.takes if name not in data.gives]):
        raise UserError(
            f"model={task.task_name} does not go with data={data.name}, which has no {missing[0]}: "
            "model=character takes text (stdlib, textfile, …), the others pen data (hershey, iam, ink)"
        )
    data.prepare()
    data.open()
    return data
