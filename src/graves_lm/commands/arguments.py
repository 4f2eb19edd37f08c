"""A command line as Hydra must be given it, so that names and texts arrive letter by letter.

Hydra reads 1e3 as a number, a,b as two jobs and it's as a mistake. For the settings named here, and for no
others, what is given is what arrives:

- `TEXTS`: always, whatever it is.
- `fields.NAME`: the same, for any name;
- `NAMES` and `PATHS`: but for what else a user may mean by it:
  - a value in quotes of Hydra's ("a,b" or 'a,b', the quotes being part of the argument) is what is in them;
  - null takes the setting back, where there can be none;
  - ${…}, well formed, is an interpolation of OmegaConf's;
  - choice(…), range(…) and the like are sweeps, and in a multirun (-m) also a,b, each part a name by the
    same rules;
  - a path's first ~ or ~user is that user's home.
"""

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, QuotedString, RangeSweep
from hydra.errors import HydraException
from omegaconf.errors import GrammarParseError
from omegaconf.grammar_parser import parse as parse_interpolation

from graves_lm.runtime.errors import UserError

TEXTS = frozenset({"prompt", "text", "characters", "sampler.prime_text"})
PATHS = frozenset(
    {
        *(
            "run_dir",
            "ckpt",
            "resume",
            "init",
            "text_file",
            "template",
            "table",
            "output",
            "dir",
            "file",
            "hand",
            "hands_dir",
        ),
        *("data.source", "data.cache_dir", "data.val_source", "data.test_source", "sampler.prime"),
        *("callbacks.checkpoints.folder", "callbacks.samples.folder"),
        *("logger.csv.save_dir", "logger.tensorboard.save_dir", "logger.wandb.save_dir"),
        *("hydra.run.dir", "hydra.sweep.dir", "hydra.sweep.subdir"),
    }
)
NAMES = frozenset(
    {
        *("name", "host", "token", "entity", "project", "page.colour", "hydra.job.name"),
        *("logger.csv.name", "logger.csv.version", "logger.tensorboard.name", "logger.tensorboard.version"),
        *("logger.wandb.project", "logger.wandb.entity", "logger.wandb.name", "logger.wandb.group"),
    }
)
_NEVER_NULL = frozenset(
    {"name", "run_dir", "hands_dir", "page.colour", "hydra.run.dir", "hydra.sweep.dir", "hydra.sweep.subdir"}
)
_CALL = re.compile(r"(choice|range|glob|interval|sort|shuffle|tag|str|json_str)\(")
_FIELD = re.compile(r"\+*fields\.(\w+)")
_QUOTED = re.compile(r"""\s*("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')\s*(?=,|\Z)""", re.DOTALL)


def for_hydra(arguments: Iterable[str]) -> list[str]:
    """The command line with names and texts as Hydra must be given them.

    Raises UserError for a path from a home that there is not, and for half an interpolation in a name.
    """
    arguments = list(arguments)
    multirun = any(a in ("-m", "--multirun") or a.lower() == "hydra.mode=multirun" for a in arguments)
    return [quote_name(quote_literal(argument, TEXTS), multirun) for argument in arguments]


def with_file(arguments: list[str]) -> list[str]:
    """The command line of a verb of one FILE, which may stand alone: as file=FILE.

    A name with = in it is given so.


    >>> with_file(["book.txt", "streams=8"])
    ['file=book.txt', 'streams=8']
    """
    bare = [n for n, a in enumerate(arguments) if a and "=" not in a and not a.startswith(("-", "~"))]
    takes_value = (
        "--config-name",
        "-cn",
        "--config-path",
        "-cp",
        "--config-dir",
        "-cd",
        "--cfg",
        "-c",
        "--package",
        "-p",
    )
    bare = [n for n in bare if n == 0 or arguments[n - 1] not in takes_value]
    if len(bare) != 1:
        return arguments  # what is one too many is named by the parser
    return [f"file={a}" if n == bare[0] else a for n, a in enumerate(arguments)]


def quote_literal(argument: str, keys: Iterable[str]) -> str:
    """`key=value` as Hydra must be given it for `value` to arrive letter by letter, where key is in `keys`.

    Other arguments are returned as they are.
    """
    key, equals, value = argument.partition("=")
    field = _FIELD.fullmatch(key)
    if not equals or not (field or key.lstrip("+") in keys):
        return argument
    if field:
        key = f"++fields.{field[1]}"  # of any name, so that it need not be there
    if any("\udc80" <= c <= "\udcff" for c in value):  # bytes that the locale does not know, as UTF-8
        value = os.fsencode(value).decode(errors="surrogateescape")
    return f"{key}={quoted(value)}"


def quote_name(argument: str, multirun: bool) -> str:
    """As `quote_literal` for a setting among `NAMES` and `PATHS`, by the rules at the top of this file."""
    key, equals, value = argument.partition("=")
    bare = key.lstrip("+")
    if not equals or bare not in NAMES | PATHS or not value:
        return argument
    if _CALL.match(value) and (parsed := _parsed(argument)) and _is_call(parsed):
        sweep, choices = parsed.value(), re.fullmatch(r"choice\((.*)\)", value, re.DOTALL)
        if multirun and isinstance(sweep, RangeSweep):
            return f"{key}=" + ",".join(quoted(str(number)) for number in sweep.range())
        # Between commas, for Hydra hands a choice(…) to its jobs without the quotes.
        return f"{key}={_each(bare, choices[1])}" if multirun and choices else argument
    return f"{key}=" + (_each(bare, value) if multirun else _name(bare, value))


def _is_call(override: Override) -> bool:
    return override.is_sweep_override() or isinstance(override.value(), str)


def _each(key: str, values: str) -> str:
    """Each of the names between commas."""
    return ",".join(_name(key, value.strip()) for value in split(values))


def split(values: str) -> Iterator[str]:
    """What stands between commas, those in quotes left alone.

    >>> list(split('a,"b,c",it\\'s'))
    ['a', '"b,c"', "it's"]
    """
    place = 0
    while place <= len(values):
        in_quotes = _QUOTED.match(values, place)
        end = in_quotes.end() if in_quotes else values.find(",", place)
        end = len(values) if end < 0 else end
        yield values[place:end]
        place = end + 1


def _name(key: str, value: str) -> str:
    """One name as Hydra must be given it. Raises UserError for one with half an interpolation."""
    parsed = _parsed(f"{key}={value}")
    if parsed is not None and isinstance(parsed._value, QuotedString):
        return value
    if value == "null" and key not in _NEVER_NULL:
        return value
    if key in PATHS:
        value = from_home(value, key)
    if parsed is not None and isinstance(parsed._value, str) and parsed._value == value != "???":
        return value  # as it is: what is shown of the command line stays as it was given
    if "${" in value and not _well_formed(value):  # it would be resolved again by those who use it
        raise UserError(f"{key}={value}: ${{ begins an interpolation, and this is none; give another name")
    return quoted(value, interpolations=True)


def from_home(path: str, key: str) -> str:
    """The path with the home in place of a first ~ or ~user; as it is where no such user is.

    Raises UserError for a path inside a home that there is not.
    """
    if not path.startswith("~"):
        return path
    found = os.path.expanduser(path)
    if found == path and "/" in path:
        raise UserError(
            f"{key}={path}: there is no home of {path.partition('/')[0]}; give the whole path, or ./{path} "
            "for a folder of that name"
        )
    return os.path.abspath(path) if found == path else found  # no ~ first, which would be looked up again


def quoted(value: str, interpolations: bool = False) -> str:
    """`value` in quotes of Hydra's, in which it arrives letter by letter; with `interpolations`, what stands
    for them."""
    if value == "???":  # OmegaConf's mark of a missing value, unless it comes by way of a resolver
        return "${oc.decode:\"'???'\"}"
    if not interpolations:  # For OmegaConf: backslashes count before an interpolation only.
        value = re.sub(r"(\\*)\$\{", lambda m: m[1] * 2 + r"\${", value)
    # For Hydra: backslashes count before a quote only, the closing one included.
    value = re.sub(r"(\\*)(\"|\Z)", lambda m: m[1] * 2 + (r"\"" if m[2] else ""), value)
    return f'"{value}"'


def _well_formed(value: str) -> bool:
    """Whether there is no mistake in its interpolations."""
    try:
        parse_interpolation(value)
    except GrammarParseError:
        return False
    return True


def _parsed(argument: str) -> Override | None:
    return next(iter(overrides([argument])), None)


def overrides(arguments: Iterable[str]) -> list[Override]:
    """Those of a command line's arguments that are overrides in Hydra's syntax."""
    parser, found = OverridesParser.create(), []
    for argument in arguments:
        if "=" in argument and not argument.startswith("-"):
            with suppress(HydraException, RecursionError):
                found.append(parser.parse_override(argument))
    return found


def repeat_of_run(arguments: list[str]) -> list[str]:
    """Arguments in which `--config-path RUN/.hydra` means the settings of that run.

    Hydra would take the path from where this file is, look for another file there, and not know where the
    run's folder is to be: what conf/ says about that is not part of a run's settings. Raises UserError when
    there are no settings of a run.
    """
    joined = [a.partition("=") for a in arguments]
    place = next((i for i, (key, _, _) in enumerate(joined) if key in ("--config-path", "-cp")), None)
    if place is None:
        return arguments
    key, equals, value = joined[place]
    rest = arguments[place + 1 :]
    if not equals:
        value, rest = (rest[0], rest[1:]) if rest else ("", [])
    folder = Path(from_home(value, key)).resolve()
    if not (folder / "config.yaml").is_file():
        raise UserError(f"{key} {value}: no config.yaml there; give the folder .hydra of a run")
    settings = ["hydra.run.dir=${run_dir}", "hydra.job.chdir=false", "hydra.output_subdir=null"]
    settings += [
        "hydra.sweep.dir=logs/sweeps/${now:%Y-%m-%d_%H-%M-%S}",
        "hydra.sweep.subdir=${hydra.job.num}",
    ]
    return [*arguments[:place], "--config-path", str(folder), "--config-name", "config", *settings, *rest]
