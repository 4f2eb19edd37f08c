"""How an entry point starts: the configuration folder, Hydra, and errors in one line.

A user's mistake ends in one line on standard error and exit status 2, and so does what the machine refuses
(no room, no permission, no memory). Set HYDRA_FULL_ERROR=1 to see the traceback instead.
"""

import atexit
import functools
import gc
import logging
import math
import os
import re
import shlex
import sys
import traceback
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NoReturn

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.types import Glob, RangeSweep
from hydra.errors import (
    HydraException,
    InstantiationException,
    MissingConfigException,
    OverrideParseException,
)
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from graves_lm.commands.arguments import for_hydra, overrides, quote_literal, repeat_of_run
from graves_lm.commands.configuration import check_configuration
from graves_lm.runtime import terminal
from graves_lm.runtime.errors import Stopped, UserError, brief, first_line, near_misses, refusal, visible
from graves_lm.settings.others import RENAMED

log = logging.getLogger(__name__)

_PACKAGE = Path(__file__).resolve().parents[1]
_MEMORY = re.compile(r"can't allocate memory|CUDA out of memory|std::bad_alloc")
MOST_JOBS = 100_000  # of one range
_MISTAKES = (UserError, HydraException, OmegaConfBaseException)
_CLONE = _PACKAGE.parents[1] / "conf"
CONF = _CLONE if (_CLONE / "train.yaml").is_file() else _PACKAGE / "conf"
"""The clone's conf/ when there is one, else the copy that the wheel carries; absolute, so that it works
for `-m`, for scripts and from any folder."""
_EXTRAS = {"joblib": "sweep", "submitit_local": "sweep", "submitit_slurm": "sweep", "ray": "ray"}
"""The extra of this package that brings a launcher of Hydra."""


def entry(config_name: str) -> Callable[[Callable[[DictConfig], Any]], Callable[[], Any]]:
    """Decorates a function of the composed configuration into a command's `main()`.

    Args:
        config_name: the file of conf/ to compose, and the command's name in messages.
    """

    def decorate(function: Callable[[DictConfig], Any]) -> Callable[[], Any]:
        show_traceback = False

        def give_up(error: BaseException) -> NoReturn:
            if show_traceback:
                raise error
            terminal.say(config_name, one_line(error, config_name))
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
            with terminal.command(config_name):
                try:
                    sys.argv = [sys.argv[0], *for_hydra(repeat_of_run(sys.argv[1:]))]
                    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra then hands its exceptions on
                    refuse_empty_sweeps(sys.argv[1:])
                    return run()
                except Exception as error:
                    if not is_mistake(error):
                        raise
                    give_up(error)
                finally:
                    os.environ["HYDRA_FULL_ERROR"] = asked

        return main

    return decorate


def is_mistake(error: BaseException) -> bool:
    """Whether it is for the user to mend, in settings or on the machine, not a fault of the program."""
    # Lightning is not imported for its name.
    misconfigured = any(kind.__name__ == "MisconfigurationException" for kind in type(error).__mro__)
    return misconfigured or isinstance(error, _MISTAKES) or _refused(error) is not None


def _refused(error: BaseException, place: str = "place") -> str | None:
    """What the machine refuses, or a file or an argument asks too much of, in one line; None: neither."""
    if isinstance(error, OSError):
        return refusal(error, place)
    if isinstance(error, MemoryError) or _MEMORY.search(str(error)):
        asked = f" ({brief(first_line(error), 100)})" if str(error) else ""
        return f"not enough memory{asked}: ask for less, as with smaller batches, or use a larger machine"
    if isinstance(error, RecursionError):
        where = traceback.extract_tb(error.__traceback__)
        if where and _PACKAGE not in Path(where[-1].filename).parents:  # but in what reads files for it
            return "a file or an argument is nested too deep to be read; give one with fewer levels"
    return None


def refuse_empty_sweeps(arguments: Iterable[str]) -> None:
    """Raises UserError for an argument of a multirun that stands for no job at all, and for one that gives a
    group no option."""
    for override in overrides(arguments):
        sweep = override.value()
        if sweep is None or isinstance(sweep, int | float):
            refuse_no_option(override.key_or_group, sweep)
        if isinstance(sweep, RangeSweep):
            first, last = sweep.start or 0, sweep.stop or 0
            jobs = (last - first) / sweep.step if sweep.step else math.inf
            if jobs > MOST_JOBS:
                raise UserError(f"{override.input_line}: {jobs:g} jobs; at most {MOST_JOBS:,}")
            empty = not list(sweep.range())
        elif isinstance(sweep, Glob):
            empty = not sweep.filter([path.stem for path in (CONF / override.key_or_group).glob("*.yaml")])
        else:
            continue
        if empty:
            raise UserError(f"{override.input_line}: nothing is in it, so there is no job to run")


def refuse_no_option(group: str, value: Any) -> None:
    """Raises UserError where a group of options is given a number or null."""
    if (CONF / group).is_dir():
        options = sorted(path.stem for path in (CONF / group).glob("*.yaml"))
        given = "null" if value is None else value
        raise UserError(f"{group}={given}: give one of its options: {', '.join(options)}")


def one_line(error: BaseException, config_name: str) -> str:
    """The message of any of the errors a user can cause, with near misses for a misspelt key or option.

    Whatever text of a file or an argument is in it, it is one line that a terminal can show.
    """
    return brief(visible(" ".join(_message(error, config_name).split("\n"))))


def _message(error: BaseException, config_name: str) -> str:
    causes = [error]
    while (cause := causes[-1].__cause__) is not None:
        causes.append(cause)
    for cause in causes:
        if isinstance(cause, UserError):  # also one that Hydra wrapped on its way out of a constructor
            return " ".join(str(cause).splitlines())
    for cause in causes:
        place = "run_dir" if config_name in ("train", "evaluate") else "place"
        if (refused := _refused(cause, place)) is not None:
            return refused
    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        group, _, option = str(error.missing_cfg_file).rpartition("/")
        place = f"{group}={option}" if group else option
        if group == "hydra/launcher" and option in _EXTRAS:
            return f"{place} is not installed: pip install 'graves-lm[{_EXTRAS[option]}]'"
        return f"{place}: no such option of '{group}'; {near_misses(option, error.options or [])}"
    if isinstance(error, OverrideParseException):
        name, equals, _ = error.override.partition("=")
        if not equals:
            return f"{error.override}: not of the form key=value"
        advised = shlex.quote(quote_literal(error.override, [name.lstrip("+")]))
        given, advice = brief(error.override, 80), "; if it is a text, put it in quotes twice"
        return f"{given}: not in Hydra's syntax{advice}" + (f": {advised}" if len(advised) < 100 else "")
    if "INTERVAL_SWEEP" in str(error):
        return "interval(…) is for studies: add sweep=study; a grid takes lists (a,b,c) and range(…)"
    key = getattr(error, "full_key", None) or getattr(error.__cause__, "full_key", None)
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    if key and ("struct" in str(error) or "Could not override" in str(error)):
        if instead := RENAMED.get(config_name, {}).get(key):
            return f"{key}: no setting of {config_name} any more: {instead}"
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
    for override in overrides(sys.argv[1:]):
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
