"""A command's composed configuration, held to its declarations before any work."""

import os
from typing import Any

from hydra.utils import get_object
from omegaconf import DictConfig, OmegaConf

from graves_lm.runtime.errors import UserError
from graves_lm.settings import extensions
from graves_lm.settings.check import check_settings, check_value, settings_of
from graves_lm.settings.others import COMMANDS, GROUPS, NEEDED, OTHERS, RENAMED
from graves_lm.settings.stages import PARTS, of_stage, stages_of
from graves_lm.settings.stored import EXTENDED, SAMPLERS

PROCESSES_PER_CORE = 4
SETS = ("callbacks", "logger")  # groups of parts by names of their own


def check_configuration(cfg: DictConfig, command: str) -> None:
    """Raises UserError for the first setting that is not as declared, in one line that names it."""
    if missing := sorted(OmegaConf.missing_keys(cfg), key=len):
        raise UserError(f"{missing[0]} is needed: give it")
    plain: Any = OmegaConf.to_container(cfg, resolve=True)
    for name, instead in RENAMED.get(command, {}).items():
        if name in plain:  # of a run that is repeated by its own settings, or by +name=
            raise UserError(f"{name}: no setting of {command} any more: {instead}")
    own = settings_of(COMMANDS[command])
    for group in NEEDED.get(command, ()):
        if plain.get(group) is None:
            raise UserError(
                f"{group}=null: this command needs it; leave {group}= out, or give one of its options; "
                f"a single part is taken away with {group}.NAME=null"
            )
    for name in [name for name in plain if name in own]:
        check_value(plain[name], own[name], name)
    for name, value in plain.items():
        if name not in own:
            check_group(value, name)
    if command == "train" and plain["stages"] is not None:
        check_stages(plain)
    if plain.get("trainer"):
        refuse_crowds(plain["trainer"])


def check_stages(plain: dict[str, Any]) -> None:
    """The same for the settings of each stage, as they stand over those of the run."""
    stages = stages_of(plain)
    for number, name in enumerate(stages):
        whole = of_stage(plain, stages, number)
        for key, part in {"noise": whole["model"].get("noise"), **{k: whole[k] for k in PARTS[1:]}}.items():
            check_node(part, f"stages.{name}.{key}")


def check_node(node: Any, where: str) -> None:
    """The same for a part of the configuration and all that is in it. Classes that neither this package nor
    `settings.others` declares are left to themselves."""
    if isinstance(node, list):
        for i, item in enumerate(node):
            check_node(item, f"{where}[{i}]")
    if not isinstance(node, dict):
        return
    settings = {name: value for name, value in node.items() if not str(name).startswith("_")}
    for name in ("_partial_", "_recursive_"):
        if not isinstance(node.get(name, True), bool):
            raise UserError(f"{where}.{name}={node[name]}: true or false is needed")
    target = node.get("_target_")
    if target is None and where in GROUPS:
        check_settings(GROUPS[where], {k: v for k, v in settings.items() if not isinstance(v, dict)}, where)
    elif isinstance(target, str) and (target in OTHERS or target.startswith("graves_lm.")):
        if target in SAMPLERS.values():  # null: as the checkpoint says, or the default
            settings = {name: value for name, value in settings.items() if value is not None}
        check_target(target, settings, where)
    elif where.rpartition(".")[2] in EXTENDED:
        check_extension(node, settings, where)
    for name, value in settings.items():
        check_node(value, f"{where}.{name}")


def check_group(value: Any, where: str) -> None:
    """The same for a whole group, which is a part with settings, or null."""
    if value is not None and not isinstance(value, dict):
        raise UserError(f"{where}={value}: an option of the group {where} is needed")
    for name, part in (value or {}).items() if where in SETS else ():
        if part is not None and not (isinstance(part, dict) and "_target_" in part):
            raise UserError(f"{where}.{name}={part}: a part with a _target_ is needed, or null for none")
    check_node(value, where)


def check_target(target: str, settings: dict[str, Any], where: str) -> None:
    """The settings of a class by its `_target_`."""
    try:
        cls = get_object(target)
    except Exception as error:
        raise UserError(f"{where}._target_={target}: no such class") from error
    said = settings_of(OTHERS[target]) if target in OTHERS else {}
    for name, kind in said.items():
        if name in settings:
            check_value(settings[name], kind, f"{where}.{name}")
    check_settings(cls, {name: value for name, value in settings.items() if name not in said}, where)


def check_extension(node: dict[str, Any], settings: dict[str, Any], where: str) -> None:
    """The settings of a class from outside, which must be registered: else no checkpoint could be read."""
    target = node.get("_target_")
    if not isinstance(target, str) or node.get("_partial_") is not True:
        raise UserError(f"{where}: a _target_ and _partial_: true are needed (docs/extending.md)")
    check_target(target, settings, where)
    cls, kind = get_object(target), where.rpartition(".")[2]
    if extensions.registered(kind, target) is not cls:
        own = extensions.name_of(cls) if isinstance(cls, type) else target
        raise UserError(
            f"{where}._target_={target}: not registered under this name"
            + (f"; it is {own}" if own != target else f"; decorate the class with graves_lm's @{kind}")
        )


def refuse_crowds(trainer: dict[str, Any]) -> None:
    """Raises UserError for many more processes than this machine has cores: each one is a whole program."""
    most = PROCESSES_PER_CORE * (os.cpu_count() or 1)
    devices = trainer.get("devices")
    if isinstance(devices, int) and devices > most and trainer.get("accelerator") in ("cpu", "auto"):
        raise UserError(f"trainer.devices={devices}: this machine has {os.cpu_count()} cores; at most {most}")
