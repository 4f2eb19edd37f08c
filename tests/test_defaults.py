"""A default stands in conf/, for people to see, and in the signature, for calls from Python: the same one.

conf/ shows every setting, with its value. Where the class has a default too, it is compared here; those that
differ on purpose stand in `OTHERWISE`, each with the reason.
"""

import inspect
import re
from collections.abc import Iterator
from typing import Any

import pytest
from hydra.utils import get_object

from graves_lm.commands.launch import CONF
from tests.test_configs import COMMANDS, EVERY, commands_of, composed, needs_its_package, resolved

PACKAGES = ("graves_lm.", "hydra_plugins.graves_lm_study.")
NONE = inspect.Parameter.empty

CHECKPOINT = "null: as the checkpoint was trained to draw; the class's default stands in the comment"
SCHEDULE = "what this optimiser learns fastest with (docs/recipe.md); the class's own is the plain one"
VERSION_0_1 = "checkpoints of version 0.1 do not say it, and were trained with the signature's"
OTHERWISE: dict[tuple[str, str], dict[Any, str]] = {
    **{
        ("SynthesisSampler", name): {None: CHECKPOINT}
        for name in (
            *("candidates", "retries", "misread", "points_per_character", "longest_dwell"),
            *("batch_size", "weights"),
        )
    },
    **{("TextSampler", name): {None: CHECKPOINT} for name in ("temperature", "length", "weights")},
    **{("StrokeSampler", name): {None: CHECKPOINT} for name in ("lines", "length", "bias", "weights")},
    ("SynthesisSampler", "bias"): {None: CHECKPOINT, 0.75: "sampler=biased is the one that is legible"},
    ("SynthesisSampler", "prime"): {"???": "sampler=primed is nothing without one"},
    ("CharacterNetwork", "clip"): {1.0: "the paper's bound for text; the class does not assume one"},
    ("Optimization", "unit"): {"sequence": "the paper's descents are per sequence"},
    ("Optimization", "clip_norm"): {1.0: SCHEDULE},
    ("Optimization", "schedule"): {"cosine": SCHEDULE},
    ("Optimization", "warmup_steps"): {100: SCHEDULE},
    ("Optimization", "final_share"): {0.02: SCHEDULE},
    ("AdaptiveWeightNoise", "std"): {0.01: VERSION_0_1},
    ("AdaptiveWeightNoise", "speed"): {10.0: VERSION_0_1},
    ("AdaptiveWeightNoise", "gradient"): {"squared": VERSION_0_1},
    ("PennTreebank", "level"): {"word": "data=ptb_word is the other level"},
    ("EarlyStopping", "patience"): {10: "Lightning's own 3 ends a run at the first plateau"},
    ("EarlyStopping", "check_on_train_epoch_end"): {False: "validations are what it watches"},
}


def nodes(node: Any, where: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every part of a configuration that names a class of this package, and where it is."""
    if isinstance(node, dict):
        if str(node.get("_target_", "")).startswith(PACKAGES):
            yield where, node
        for name, value in node.items():
            yield from nodes(value, f"{where}.{name}" if where else str(name))
    elif isinstance(node, list):
        for i, value in enumerate(node):
            yield from nodes(value, f"{where}[{i}]")


def default_of(target: str, name: str) -> Any:
    """The default of a class's setting, or of its bases'; `NONE` where it must be given."""
    taker = get_object(target)
    for cls in taker.__mro__[:-1]:
        if name in (parameters := inspect.signature(cls.__init__).parameters):
            return parameters[name].default
    return NONE


def same(value: Any, default: Any) -> bool:
    """Whether a value of a configuration is a signature's default, which is a tuple where there is a list."""
    if isinstance(value, list):
        return isinstance(default, tuple | list) and value == list(default)
    return bool(value == default)


def differing(config: Any) -> dict[tuple[str, str], Any]:
    """Class and setting of what is not the signature's default, with the value in the configuration.

    Parts with a class of their own are chosen, not defaults; their settings are compared as that class's.
    """
    found = {}
    for _, node in nodes(config, ""):
        target = node["_target_"]
        for name, value in node.items():
            default = default_of(target, name)
            plain = not name.startswith("_") and not isinstance(value, dict)
            if plain and default is not NONE and not same(value, default):
                found[target.rpartition(".")[2], name] = value
    return found


SHOWN = [
    *((command, "") for command in COMMANDS),
    *(
        (command, f"{group}={option}")
        for group, option in EVERY
        if group not in ("experiment", "launcher")  # which are there to differ, or are Hydra's
        for command in commands_of(group)[:1]  # an option is the same for all
    ),
]


def shown(command: str, override: str) -> Any:
    group, _, option = override.partition("=")
    if group:
        needs_its_package(option, group)
    return resolved(composed(command, *filter(None, [override])))


@pytest.mark.parametrize(("command", "override"), SHOWN)
def test_what_conf_shows_is_the_default(command, override):
    for key, value in differing(shown(command, override)).items():
        reasons = OTHERWISE.get(key, {})
        assert value in reasons, f"conf/ says {'.'.join(key)}={value}, the signature something else"


def test_there_is_a_difference_for_every_reason():
    found: dict[tuple[str, str], set[Any]] = {}
    for command, override in SHOWN:
        if override.startswith("sweep="):
            continue
        for key, value in differing(shown(command, override)).items():
            found.setdefault(key, set()).add(value)
    assert {key: set(reasons) for key, reasons in OTHERWISE.items()} == found


@pytest.mark.parametrize("option", ["unbiased", "text", "strokes"])
def test_comments_name_the_default_that_null_stands_for(option):
    """As in `candidates: null   # 1: lines drawn for each text`."""
    text = (CONF / "sampler" / f"{option}.yaml").read_text()
    target = re.search(r"^_target_: (.*)$", text, re.MULTILINE)[1]
    said = dict(re.findall(r"^(\w+): null +# ([\w.]+): ", text, re.MULTILINE))
    values = dict(re.findall(r"^(\w+): ([^_\s]\S*)", text, re.MULTILINE))
    nulls = {name for name, value in values.items() if value == "null"} - {"prime", "prime_text"}
    assert nulls >= {"weights"}
    assert said == {
        name: f"{default_of(target, name):g}" if name != "weights" else default_of(target, name)
        for name in nulls
    }


def test_primed_has_the_settings_of_unbiased():
    """It is written out, since a ??? does not take the place of a value."""
    primed, unbiased = ((CONF / "sampler" / f"{name}.yaml").read_text() for name in ("primed", "unbiased"))
    assert re.findall(r"^(\w+):", primed, re.MULTILINE) == re.findall(r"^(\w+):", unbiased, re.MULTILINE)


def test_almost_every_default_is_compared():
    """That the comparison has something to compare."""
    compared = {
        (node["_target_"], name)
        for command, override in SHOWN
        if not override.startswith("sweep=")
        for _, node in nodes(shown(command, override), "")
        for name in node
        if not name.startswith("_") and default_of(node["_target_"], name) is not NONE
    }
    assert len(compared) > 90
