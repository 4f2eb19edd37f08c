"""A search space, written in Hydra's override grammar, as Optuna's distributions.

    interval(a, b)            a real number; int(interval(a, b)): a whole one
    range(a, b, step)         as in Python, without b
    choice(x, y, z), x,y,z    one of these; also options of a group
    glob(pattern)             one of the group's options that match
    tag(log, …)               an interval or range of numbers on a logarithmic scale

Hydra's manual, "Extended override syntax".
"""

import math
from collections.abc import Iterable

from hydra.core.override_parser.types import IntervalSweep, Override, RangeSweep
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from graves_lm.runtime.errors import UserError

Space = dict[str, BaseDistribution]


def read_space(overrides: Iterable[Override]) -> tuple[Space, list[str]]:
    """What is searched, by key, and the overrides that are the same for every trial.

    The last override of a key counts, so that a command line changes or fixes what a file searches.
    """
    space: Space = {}
    fixed: dict[str, str] = {}
    for override in overrides:
        key = override.get_key_element()
        space.pop(key, None)
        fixed.pop(key, None)
        if override.is_sweep_override():
            space[key] = distribution(override)
        else:
            fixed[key] = f"{key}={override.get_value_element_as_str()}"
    return space, list(fixed.values())


def distribution(override: Override) -> BaseDistribution:
    """The distribution of one override. Raises UserError for bounds that make no sense."""
    sweep = override.value()
    key = override.get_key_element()
    try:
        if isinstance(sweep, IntervalSweep):
            return _interval(sweep)
        if isinstance(sweep, RangeSweep):
            return _range(sweep)
        # In Hydra's syntax, so that any value, also a list, is one that Optuna can keep.
        choices = list(dict.fromkeys(override.sweep_string_iterator()))
        if not choices:
            raise ValueError("there is nothing to choose from")
        return CategoricalDistribution(choices)
    except ValueError as error:
        raise UserError(f"{override.input_line or key}: {error}") from error


def _interval(sweep: IntervalSweep) -> BaseDistribution:
    low, high = sweep.start, sweep.end
    assert low is not None
    assert high is not None
    if not (math.isfinite(low) and math.isfinite(high)):
        raise ValueError("the bounds must be finite")
    log = "log" in sweep.tags
    if isinstance(low, int) and isinstance(high, int):
        return IntDistribution(low, high, log=log)
    return FloatDistribution(float(low), float(high), log=log)


def _range(sweep: RangeSweep) -> BaseDistribution:
    values = sorted(sweep.range())
    if not values:
        raise ValueError("the range is empty")
    log = "log" in sweep.tags
    low, high, step = values[0], values[-1], abs(sweep.step)
    if log and step != 1:
        raise ValueError("a range on a logarithmic scale has a step of 1; use interval(…)")
    if isinstance(low, int):
        return IntDistribution(low, high, log=log, step=int(step))
    return FloatDistribution(low, high, log=log, step=None if log else float(step))


def describe(distribution: BaseDistribution) -> str:
    """A distribution in the grammar it was written in, near enough to read and to compare."""
    if isinstance(distribution, CategoricalDistribution):
        return f"choice({','.join(map(str, distribution.choices))})"
    assert isinstance(distribution, IntDistribution | FloatDistribution)
    step = distribution.step
    numbers = [distribution.low, distribution.high] + ([step] if step not in (None, 1) else [])
    kind = "interval" if step is None else "whole numbers"
    text = f"{kind}({','.join(f'{n:g}' for n in numbers)})"
    return f"tag(log,{text})" if distribution.log else text
