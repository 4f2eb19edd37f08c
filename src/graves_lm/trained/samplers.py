"""A sampler from its settings."""

from collections.abc import Mapping
from typing import Any

from graves_lm.runtime.errors import UserError, near_misses
from graves_lm.sampling.protocols import require
from graves_lm.settings import stored
from graves_lm.settings.check import check_settings
from graves_lm.settings.made import made


def make_sampler(trained: Mapping[str, Any], given: Any, protocol: type | None = None) -> Any:
    """The sampler of a checkpoint's settings `trained`, with those `given` that are not null in their place.

    A `given` of the same class, or of none, changes what it says and leaves the rest; one of another class is
    a whole sampler, from wherever it is. Raises UserError for a setting that the checkpoint's sampler does
    not have or that is not as declared, and for a sampler that lacks something of `protocol` (see
    `sampling.protocols`).
    """
    plain = _plain(given)
    if missing := [key for key, value in plain.items() if value == "???"]:
        raise UserError(f"sampler.{missing[0]} is needed by this sampler: give it")
    wanted = {key: value for key, value in plain.items() if value is not None}
    target = wanted.pop("_target_", trained["_target_"])
    if target == trained["_target_"]:
        known = stored.known_settings(target)
        for key in wanted:
            if key not in known:
                raise UserError(
                    f"sampler.{key}: the sampler of this checkpoint has none; {near_misses(key, known)}"
                )
        check_settings(stored.build({"_target_": target}).func, wanted, "sampler")
        sampler = stored.build({**trained, **wanted})()
    else:
        sampler = made({"_target_": target, **wanted}, "sampler")
    if protocol is not None:
        require(sampler, protocol)
    return sampler


def whole_sampler(settings: Any) -> Any:
    """The sampler of settings that name its class; null is the class's default."""
    return make_sampler({"_target_": settings["_target_"]}, settings)


def _plain(given: Any) -> dict[str, Any]:
    """Settings as plain containers."""
    if isinstance(given, dict):
        return given
    from omegaconf import OmegaConf  # they are part of a configuration then, and it is loaded

    settings: Any = OmegaConf.to_container(given)
    return settings
