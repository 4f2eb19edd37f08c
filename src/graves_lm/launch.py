"""How an entry point starts: the configuration folder, Hydra, and errors in one line.

A user's mistake ends in one line on standard error and exit status 2, and so does what the machine refuses
(no room, no permission). Set HYDRA_FULL_ERROR=1 to see the traceback instead.
"""

import atexit
import errno
import functools
import gc
import logging
import os
import re
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Glob, Override, RangeSweep
from hydra.errors import (
    HydraException,
    InstantiationException,
    MissingConfigException,
    OverrideParseException,
)
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from graves_lm.errors import Stopped, UserError, near_misses
from graves_lm.settings.configuration import check_configuration

log = logging.getLogger(__name__)

_MISTAKES = (UserError, HydraException, OmegaConfBaseException)
_REFUSED = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT)
_CLONE = Path(__file__).resolve().parents[2] / "conf"
CONF = _CLONE if (_CLONE / "train.yaml").is_file() else Path(__file__).resolve().parent / "conf"
"""The clone's conf/ when there is one, else the copy that the wheel carries; absolute, so that it works
for `-m`, for scripts and from any folder."""
_EXTRAS = {"joblib": "sweep", "submitit_local": "sweep", "submitit_slurm": "sweep", "ray": "ray"}
"""The extra of this package that brings a launcher of Hydra."""


def entry(
    config_name: str, literal: Iterable[str] = ()
) -> Callable[[Callable[[DictConfig], Any]], Callable[[], Any]]:
    """Decorates a function of the composed configuration into a command's `main()`.

    Args:
        config_name: the file of conf/ to compose, and the command's name in messages.
        literal: keys whose values on the command line are taken letter by letter, not as Hydra's syntax.
    """
    literal = tuple(literal)

    def decorate(function: Callable[[DictConfig], Any]) -> Callable[[], Any]:
        show_traceback = False

        def give_up(error: BaseException) -> NoReturn:
            if show_traceback:
                raise error
            print(f"graves_lm {config_name}: {one_line(error, config_name)}", file=sys.stderr)
            sys.exit(error.status if isinstance(error, UserError) else 2)

        @functools.wraps(function)
        def job(cfg: DictConfig) -> Any:
            try:
                check_configuration(cfg, config_name)
                return function(cfg)
            except Exception as error:
                if not is_mistake(error):
                    raise
                if HydraConfig.get().mode == RunMode.MULTIRUN and not isinstance(error, Stopped):
                    log.error(f"this job failed: {one_line(error, config_name)}")
                    raise  # the sweep's launcher decides what becomes of the other jobs
                give_up(error)

        run = hydra.main(version_base="1.3", config_path=str(CONF), config_name=config_name)(job)

        def main() -> Any:
            nonlocal show_traceback
            atexit.register(gc.freeze)  # a last collection of what torch holds would take a second
            asked = os.environ.get("HYDRA_FULL_ERROR", "0")
            show_traceback = asked != "0"
            try:
                arguments = repeat_of_run(sys.argv[1:])
            except UserError as error:
                give_up(error)
            sys.argv = [sys.argv[0], *(quote_literal(argument, literal) for argument in arguments)]
            os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra then hands its exceptions on instead of exiting
            try:
                refuse_empty_sweeps(sys.argv[1:])
                return run()
            except Exception as error:
                if not is_mistake(error):
                    raise
                give_up(error)
            except KeyboardInterrupt:
                print(f"graves_lm {config_name}: interrupted", file=sys.stderr)
                sys.exit(130)
            finally:
                os.environ["HYDRA_FULL_ERROR"] = asked

        return main

    return decorate


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
    folder = Path(value).expanduser().resolve()
    if not (folder / "config.yaml").is_file():
        raise UserError(f"{key} {value}: no config.yaml there; give the folder .hydra of a run")
    settings = ["hydra.run.dir=${run_dir}", "hydra.job.chdir=false"]
    settings += [
        "hydra.sweep.dir=logs/sweeps/${now:%Y-%m-%d_%H-%M-%S}",
        "hydra.sweep.subdir=${hydra.job.num}",
    ]
    return [*arguments[:place], "--config-path", str(folder), "--config-name", "config", *settings, *rest]


def is_mistake(error: BaseException) -> bool:
    """Whether it is for the user to mend, in settings or on the machine, not a fault of the program."""
    return isinstance(error, _MISTAKES) or (isinstance(error, OSError) and error.errno in _REFUSED)


def quote_literal(argument: str, keys: Iterable[str]) -> str:
    """`key=value` as Hydra must be given it for `value` to arrive letter by letter, where key is in `keys`.

    Other arguments are returned as they are.
    """
    key, equals, value = argument.partition("=")
    if not equals or key not in keys:
        return argument
    if value == "???":  # OmegaConf's mark of a missing value, unless it comes by way of a resolver
        return f"{key}=${{oc.decode:\"'???'\"}}"
    # For OmegaConf: backslashes count before an interpolation only.
    value = re.sub(r"(\\*)\$\{", lambda m: m[1] * 2 + r"\${", value)
    # For Hydra: backslashes count before a quote only, the closing one included.
    value = re.sub(r"(\\*)(\"|\Z)", lambda m: m[1] * 2 + (r"\"" if m[2] else ""), value)
    return f'{key}="{value}"'


def refuse_empty_sweeps(arguments: Iterable[str]) -> None:
    """Raises UserError for an argument of a multirun that stands for no job at all."""
    for override in _overrides(arguments):
        sweep = override.value()
        if isinstance(sweep, RangeSweep):
            empty = not list(sweep.range())
        elif isinstance(sweep, Glob):
            empty = not sweep.filter([path.stem for path in (CONF / override.key_or_group).glob("*.yaml")])
        else:
            continue
        if empty:
            raise UserError(f"{override.input_line}: nothing is in it, so there is no job to run")


def _overrides(arguments: Iterable[str]) -> list[Override]:
    """Those of a command line's arguments that are overrides in Hydra's syntax."""
    parser, found = OverridesParser.create(), []
    for argument in arguments:
        if "=" in argument and not argument.startswith("-"):
            with suppress(HydraException):
                found.append(parser.parse_override(argument))
    return found


def one_line(error: BaseException, config_name: str) -> str:
    """The message of any of the errors a user can cause, with near misses for a misspelt key or option."""
    causes = [error]
    while (cause := causes[-1].__cause__) is not None:
        causes.append(cause)
    for cause in causes:
        if isinstance(cause, UserError):  # also one that Hydra wrapped on its way out of a constructor
            return " ".join(str(cause).splitlines())
    if isinstance(error, OSError) and error.errno in _REFUSED:
        advice = "make room" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "choose another run_dir"
        return f"{error.filename or 'writing'}: {error.strerror}; {advice}"
    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        group, _, option = str(error.missing_cfg_file).rpartition("/")
        place = f"{group}={option}" if group else option
        if group == "hydra/launcher" and option in _EXTRAS:
            return f"{place} is not installed: pip install 'graves-lm[{_EXTRAS[option]}]'"
        return f"{place}: no such option of '{group}'; {near_misses(option, error.options or [])}"
    if isinstance(error, OverrideParseException):
        name, equals, value = error.override.partition("=")
        if not equals:
            return f"{error.override}: not of the form key=value"
        return f"{error.override}: not in Hydra's syntax; put the value in quotes twice: '{name}=\"{value}\"'"
    if "INTERVAL_SWEEP" in str(error):
        return "interval(…) is for studies: add sweep=study; a grid takes lists (a,b,c) and range(…)"
    key = getattr(error, "full_key", None) or getattr(error.__cause__, "full_key", None)
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    if key and ("struct" in str(error) or "Could not override" in str(error)):
        parent, _, name = key.rpartition(".")
        known = _keys_under(parent, config_name)
        return (
            f"{key}: no such setting"
            + (f" under '{parent}'" if parent else "")
            + (f"; {near_misses(name, known)}" if known else "")
        )
    if isinstance(error, InstantiationException):
        return " ".join(lines)
    return lines[0]


def _keys_under(parent: str, config_name: str) -> list[str]:
    """The keys of a part of the configuration as this command line composes it, without the overrides
    of values (which may hold the mistake)."""
    from hydra import compose
    from hydra.core.global_hydra import GlobalHydra
    from hydra.initialize import initialize_config_dir

    groups = []
    for override in _overrides(sys.argv[1:]):
        if (CONF / override.key_or_group).is_dir():
            # Of a multirun's options the first: its keys are those of the others, near enough.
            option = (
                next(override.sweep_string_iterator()) if override.is_choice_sweep() else override.value()
            )
            groups.append(f"{override.key_or_group}={option}")
    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(str(CONF), version_base="1.3"):
            node: Any = compose(config_name, groups, return_hydra_config=parent.startswith("hydra"))
            node = OmegaConf.select(node, parent) if parent else node
    except (HydraException, OmegaConfBaseException):
        return []
    return [str(k) for k in node] if isinstance(node, DictConfig) else []
