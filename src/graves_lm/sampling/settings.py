"""A sampler from its settings."""

import inspect
from collections.abc import Mapping
from typing import Any

from hydra.utils import get_class, instantiate
from omegaconf import OmegaConf

from graves_lm.errors import UserError, near_misses


def make_sampler(trained: Mapping[str, Any], given: Any, kind: type = object) -> Any:
    """The sampler of a checkpoint's settings `trained`, with those `given` that are not null in their place.

    A `given` with a `_target_` of its own is a whole sampler. Raises UserError for a setting that the
    checkpoint's sampler does not have, and for a sampler that is not of the wanted kind.
    """
    plain: Any = OmegaConf.to_container(OmegaConf.create(given))
    if missing := [key for key, value in plain.items() if value == "???"]:
        raise UserError(f"sampler.{missing[0]} is needed by this sampler: give it")
    wanted = {key: value for key, value in plain.items() if value is not None}
    if "_target_" not in wanted:
        known = set(inspect.signature(get_class(trained["_target_"])).parameters)
        for key in wanted:
            if key not in known:
                raise UserError(
                    f"sampler.{key}: the sampler of this checkpoint has none; {near_misses(key, known)}"
                )
        wanted = {**trained, **wanted}
    sampler = instantiate(wanted)
    if not isinstance(sampler, kind):
        raise UserError(
            f"sampler: {type(sampler).__name__} does not draw for this checkpoint, {kind.__name__} does; "
            "leave sampler= out"
        )
    return sampler
