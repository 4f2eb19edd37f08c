"""Settings that a file carries: which classes they may name, and nothing else.

What a stranger's file says is looked up in a table of exact names, and in that of the classes which the
person's own extensions have registered (`settings.extensions`). No name is imported because a file has it, no
text is taken as an interpolation, and a key or a value that the class does not declare is refused.
Paths are left out: a file has nothing to say about places on this machine.
"""

import re
from collections.abc import Mapping
from functools import partial
from importlib import import_module
from typing import Any

from graves_lm.runtime.errors import UserError
from graves_lm.settings import extensions
from graves_lm.settings.check import check_settings, parameters_of
from graves_lm.settings.others import OTHERS, task

NOISES = (
    "graves_lm.nn.noise.WeightNoise",
    "graves_lm.nn.noise.AdaptiveWeightNoise",
    "graves_lm.nn.noise.DroppedWeights",
)
ALGORITHMS = ("torch.optim.AdamW", "torch.optim.SGD", "graves_lm.learning.optim.GravesRMSprop")
NESTED: dict[str, dict[str, tuple[str, ...]]] = {
    "graves_lm.learning.tasks.character.CharacterTask": {
        "network": ("graves_lm.models.character.CharacterNetwork",),
        "noise": NOISES,
    },
    "graves_lm.learning.tasks.stroke.StrokeTask": {
        "network": ("graves_lm.models.stroke.StrokeNetwork",),
        "noise": NOISES,
    },
    "graves_lm.learning.tasks.synthesis.SynthesisTask": {
        "network": ("graves_lm.models.synthesis.SynthesisNetwork",),
        "noise": NOISES,
    },
    "graves_lm.learning.tasks.reader.ReaderTask": {
        "network": ("graves_lm.models.reader.ReaderNetwork",),
        "noise": NOISES,
    },
    "graves_lm.learning.optim.Optimization": {"algorithm": ALGORITHMS},
    **{
        f"graves_lm.models.{network}": {"cell": ()}
        for network in ("character.CharacterNetwork", "stroke.StrokeNetwork", "synthesis.SynthesisNetwork")
    },
}
"""The settings of a class that are classes themselves, and which."""

EXTENDED = ("cell",)
"""Those of them that are classes from outside (`settings.extensions`)."""

TASKS = {
    "character": "graves_lm.learning.tasks.character.CharacterTask",
    "stroke": "graves_lm.learning.tasks.stroke.StrokeTask",
    "synthesis": "graves_lm.learning.tasks.synthesis.SynthesisTask",
    "reader": "graves_lm.learning.tasks.reader.ReaderTask",
}
SAMPLERS = {
    "character": "graves_lm.sampling.text.TextSampler",
    "stroke": "graves_lm.sampling.strokes.StrokeSampler",
    "synthesis": "graves_lm.sampling.synthesis.SynthesisSampler",
    "reader": "graves_lm.sampling.reader.BestPath",
}
TEXTS = (
    "graves_lm.data.text.enwik8.Enwik8",
    "graves_lm.data.text.file.TextFile",
    "graves_lm.data.text.ptb.PennTreebank",
    "graves_lm.data.text.stdlib.StdlibText",
)
PENS = (
    "graves_lm.data.hershey.corpus.HersheyData",
    "graves_lm.data.iam.corpus.IamData",
    "graves_lm.data.ink.corpus.InkData",
)
DATA = {"character": TEXTS, "stroke": PENS, "synthesis": PENS, "reader": PENS}
OPTIMIZATION = "graves_lm.learning.optim.Optimization"

_NAME = re.compile(r"[A-Za-z_]\w{0,99}(\.[A-Za-z_]\w{0,99}){1,9}")
"""The full name of a class."""

PLACES = ("source", "cache_dir", "val_source", "test_source", "prime", "prime_text")
"""Settings that name something on the machine that trained."""


def read_config(config: Any, name: str) -> dict[str, Any]:
    """The settings of a checkpoint of the task of this name: of its model, data, optimizer and sampler.

    Data of a class from outside this package are kept as they are said to be: nothing is made of them (see
    `is_known_data`). Raises UserError for anything else that the table does not have, in one line that names
    it.
    """
    allowed = {
        "model": (TASKS[name],),
        "data": DATA[name],
        "optimizer": (OPTIMIZATION,),
        "sampler": (SAMPLERS[name],),
    }
    if not isinstance(config, dict) or set(config) != set(allowed):
        raise UserError(f"its settings are not {', '.join(allowed)}")
    read = {part: read_node(config[part], names, part) for part, names in allowed.items() if part != "data"}
    return read | {"data": read_data(config["data"], DATA[name])}


def read_data(node: Any, allowed: tuple[str, ...]) -> dict[str, Any]:
    """The settings of a data set: checked where it is one of ours, plain data where it is another's."""
    target = node.get("_target_") if isinstance(node, dict) else None
    if not isinstance(target, str) or not _NAME.fullmatch(target) or target.startswith("graves_lm."):
        return read_node(node, allowed, "data")
    return {name: value for name, value in node.items() if name not in PLACES}


def is_known_data(node: Mapping[str, Any]) -> bool:
    """Whether data settings that `read_config` gave name a data set that may be made of them."""
    return node["_target_"] in (*TEXTS, *PENS)


def read_node(node: Any, allowed: tuple[str, ...], where: str) -> dict[str, Any]:
    """The settings of a class that is one of `allowed`, or that an extension has registered for this place,
    with its `_target_`, checked through and through."""
    target: Any = node.get("_target_") if isinstance(node, dict) else None
    kind = where.rpartition(".")[2]
    if kind in EXTENDED and extensions.registered(kind, target) is None:
        raise UserError(
            f"its {where} is {target!r}, which is none of this package's; if you trust it, import its "
            f"module, or give {extensions.VARIABLE}=MODULE"
        )
    if kind not in EXTENDED and target not in allowed:
        raise UserError(f"its {where} asks for {target!r}; this version reads {' or '.join(allowed)}")
    settings = {
        name: value
        for name, value in node.items()
        if name not in ("_target_", "_partial_") and name not in PLACES
    }
    nested = NESTED.get(target, {})
    own = {name: value for name, value in settings.items() if name not in nested}
    # A task is Lightning's, and is not imported for the little that a file says of it.
    check_settings(task if target in TASKS.values() else _class_of(target, kind), own, where)
    check_settings(OTHERS.get(target, _nothing_more), own, where)
    if unchecked := [name for name, value in own.items() if isinstance(value, dict)]:
        raise UserError(f"its {where}.{unchecked[0]} is no plain setting")
    read: dict[str, Any] = {"_target_": target}
    if node.get("_partial_") is True:
        read["_partial_"] = True  # as Hydra has it in the settings of a run, with which these are compared
    for name, value in settings.items():
        needs_reading = name in nested and value is not None
        read[name] = read_node(value, nested[name], f"{where}.{name}") if needs_reading else value
    return read


def without_places(config: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a model, its data and so on as a checkpoint is to carry them: for any machine."""
    return {
        part: {name: value for name, value in node.items() if name not in PLACES}
        for part, node in config.items()
    }


def build(node: Mapping[str, Any], kind: str = "") -> partial[Any]:
    """What makes the object of a node that `read_node` gave, and takes what no setting can say. `kind` is the
    name of the setting that it is."""
    settings = {
        name: build(value, name) if isinstance(value, dict) else value
        for name, value in node.items()
        if name not in ("_target_", "_partial_")
    }
    return partial(_class_of(node["_target_"], kind), **settings)


def known_settings(target: str) -> frozenset[str]:
    """The names of what a class of the table takes."""
    return parameters_of(_class_of(target)) or frozenset()


def _class_of(target: str, kind: str = "") -> Any:
    if kind in EXTENDED and (cls := extensions.registered(kind, target)) is not None:
        return cls
    module, _, name = target.rpartition(".")
    return getattr(import_module(module), name)


def _nothing_more(**settings: Any) -> None: ...
