"""The data that a checkpoint was trained on, by its settings."""

from collections.abc import Mapping
from typing import Any

from omegaconf import DictConfig, OmegaConf

from graves_lm.runtime.errors import UserError, near_misses
from graves_lm.settings import stored

MOST_LINES = 20_000  # that are generated because a checkpoint says so


def data_of(cfg: DictConfig, config: Mapping[str, Any]) -> DictConfig:
    """The data settings of the command line, filled up with those the checkpoint was trained on.

    Where the data lie is said by the command line alone: a checkpoint comes from anywhere. Raises UserError
    for data of a class from outside the package, which is not imported because a file names it.
    """
    plain_cfg: Any = OmegaConf.to_container(cfg.data)
    given: dict[str, Any] = {k: v for k, v in plain_cfg.items() if v is not None}
    if "_target_" in given:
        return cfg.data
    trained = config["data"]
    if not stored.is_known_data(trained):
        raise UserError(
            f"its data are {trained['_target_']}'s, and no class is imported because a file names it: give "
            "the data again, with data=NAME of your own configuration (--config-dir DIR)"
        )
    known = stored.known_settings(trained["_target_"])
    for key in given:
        if key not in known:
            raise UserError(f"data.{key}: this checkpoint's data have none; {near_misses(key, known)}")
    if (lines := trained.get("lines", 0) + trained.get("eval_lines", 0)) > MOST_LINES:
        raise UserError(
            f"its data are {lines:,} generated lines, which take long: if you want them, name them: "
            f"data=hershey data.lines={trained['lines']} …"
        )
    return OmegaConf.create({**trained, **given})
