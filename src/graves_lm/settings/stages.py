"""The settings of a training in stages (`stages=`), and the configuration of each stage."""

from collections.abc import Mapping
from copy import deepcopy
from typing import Annotated, Any, Literal

from msgspec import Meta

from graves_lm.runtime.errors import UserError, near_misses
from graves_lm.settings.check import check_value, settings_of
from graves_lm.settings.kinds import Positive, ProperShare

PARTS = ("noise", "optimizer", "data")
"""What a stage may set otherwise than the run, part by part."""
DEFAULTS: dict[str, Any] = {"begins": "best", "validations": 4, "average": None, "keep": None}
_SET_BY_STAGE = ("batch_size", "length", "reset_every", "rare_share", "only_with", "shuffle_seed")


def stage(
    share: Positive,
    begins: Literal["best", "last"],
    validations: Annotated[int, Meta(ge=1, le=10_000)],
    average: ProperShare | None,
    keep: ProperShare | None,
) -> None:
    """The plain settings of a stage.

    share: of the budget, beside those of the other stages.
    begins: the weights that it begins with, of the run so far: the best ones, or the last ones.
    validations: how many, spread evenly over the stage.
    average: validate and keep an average of the weights over about this share of the stage's steps.
    keep: how much of the weights that the run began with (`init=`) stays in that average.
    """


def stages_of(settings: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The stages of a run's plain settings by their names, their defaults filled in.

    Raises UserError for what is none of a stage's settings, and for run settings that contradict stages.
    """
    found = settings["stages"]
    if not isinstance(found, dict) or len([one for one in found.values() if one is not None]) == 0:
        raise UserError("stages: a stage or more by names is needed, each with its share of the budget")
    own = settings_of(stage)
    stages = {}
    for name, given in found.items():
        if given is None:
            continue  # a stage that was taken out: stages.NAME=null
        where = f"stages.{name}"
        if not isinstance(given, dict) or "share" not in given:
            raise UserError(f"{where}: its share of the budget is needed: {where}.share")
        whole = DEFAULTS | given
        for key, value in whole.items():
            if key in own:
                check_value(value, own[key], f"{where}.{key}")
            elif key not in PARTS:
                raise UserError(
                    f"{where}.{key}: no such setting of a stage; {near_misses(key, [*own, *PARTS])}"
                )
            elif not isinstance(value, dict) and not (key == "noise" and value is None):
                raise UserError(f"{where}.{key}={value}: settings of {key} are needed")
        noise = whole.get("noise")
        if noise is not None and "_target_" not in noise and settings["model"].get("noise") is None:
            raise UserError(f"{where}.noise: the run has no noise to set otherwise: give one, as noise=drop")
        for key in whole.get("data", {}):
            if key not in _SET_BY_STAGE:
                raise UserError(
                    f"{where}.data.{key}: all stages read the same data, each with its own "
                    f"{', '.join(_SET_BY_STAGE)}"
                )
        stages[str(name)] = whole
        if whole["keep"] is not None and (whole["average"] is None or settings["init"] is None):
            lacking = f"{where}.average" if whole["average"] is None else "init"
            raise UserError(f"{where}.keep: of weights to begin with, in an average: {lacking}= is needed")
    if settings["trainer"]["max_steps"] not in (None, -1):
        raise UserError("trainer.max_steps: the length of a training in stages is budget=STEPS")
    if (settings.get("callbacks") or {}).get("early_stopping") is not None:
        raise UserError(
            "callbacks.early_stopping: stages end with their budget: give callbacks.early_stopping=null"
        )
    if settings["budget"] is None and settings["trainer"]["max_time"] is None:
        raise UserError("stages: give budget=STEPS, or trainer.max_time=DD:HH:MM:SS")
    return stages


def of_stage(
    settings: Mapping[str, Any], stages: Mapping[str, dict[str, Any]], number: int
) -> dict[str, Any]:
    """The run's settings as stage `number` (from 0) has them, in plain containers."""
    merged, own = deepcopy(dict(settings)), list(stages.values())[number]
    if "noise" in own:
        noise = _over(merged["model"].get("noise"), own["noise"])
        merged["model"]["noise"] = noise and noise | {"_partial_": True}  # made for a network
    if "optimizer" in own:
        merged["optimizer"] = _over(merged["optimizer"], own["optimizer"])
    merged["data"] = _over(merged["data"], own.get("data", {}))
    if "shuffle_seed" in merged["data"] and "shuffle_seed" not in own.get("data", {}):
        merged["data"]["shuffle_seed"] += number  # other batches than those of the stage before
    merged["seed"] = (settings["seed"] + number) % 2**32
    return merged


def _over(settings: Any, own: Any) -> Any:
    """Settings with others on top; those that name a class of their own are taken as they are."""
    if not isinstance(own, Mapping) or not isinstance(settings, Mapping):
        return deepcopy(own)
    if "_target_" in own and own["_target_"] != settings.get("_target_"):
        return deepcopy(dict(own))
    return dict(settings) | {key: _over(settings.get(key), value) for key, value in own.items()}
