"""The search space as Hydra's grammar writes it."""

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from graves_lm.runtime.errors import UserError

pytest.importorskip("optuna", reason="the extra 'sweep' is not installed")

from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from graves_lm.sweeps.space import describe, read_space


def read(*overrides: str):
    return read_space(OverridesParser.create().parse_overrides(list(overrides)))


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("x=interval(1,2)", FloatDistribution(1.0, 2.0)),
        ("x=interval(1e-4,0.1)", FloatDistribution(1e-4, 0.1)),
        ("x=tag(log,interval(1e-4,0.1))", FloatDistribution(1e-4, 0.1, log=True)),
        ("x=int(interval(1,8))", IntDistribution(1, 8)),
        ("x=tag(log,int(interval(1,8)))", IntDistribution(1, 8, log=True)),
        ("x=range(3)", IntDistribution(0, 2)),
        ("x=range(1,4)", IntDistribution(1, 3)),
        ("x=range(0,401,50)", IntDistribution(0, 400, step=50)),
        ("x=range(0,400,150)", IntDistribution(0, 300, step=150)),
        ("x=range(5,1,-2)", IntDistribution(3, 5, step=2)),
        ("x=range(0.5,2,0.5)", FloatDistribution(0.5, 1.5, step=0.5)),
        ("x=choice(1,2)", CategoricalDistribution(["1", "2"])),
        ("x=a,b,a", CategoricalDistribution(["a", "b"])),
        ("x=choice([0.9,0.99],a)", CategoricalDistribution(["[0.9,0.99]", "a"])),
        ("x=choice('a b',\"c,d\")", CategoricalDistribution(["a\\ b", "c\\,d"])),
    ],
)
def test_sweeps_become_distributions(override, expected):
    space, fixed = read(override)
    assert space == {"x": expected}
    assert fixed == []


@pytest.mark.parametrize("value", ["1", "[1,2]", "null", "'a b'", "{a:1}", "some/path.txt"])
def test_other_overrides_stay_what_they_are(value):
    parser = OverridesParser.create()
    space, (fixed,) = read(f"x={value}")
    assert space == {}
    assert parser.parse_override(fixed).value() == parser.parse_override(f"x={value}").value()


def test_the_last_override_of_a_key_counts():
    """The command line, which comes last, fixes, widens or opens what a file says."""
    space, fixed = read("x=interval(1,2)", "y=choice(1,2)", "z=3", "x=5", "y=range(1,9)", "z=1,2", "+new=1,2")
    assert fixed == ["x=5"]
    assert list(space) == ["y", "z", "+new"]
    assert space["y"] == IntDistribution(1, 8)


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("x=interval(2,1)", "x=interval(2,1): `low <= high` must hold"),
        ("x=tag(log,interval(0,1))", "x=tag(log,interval(0,1)): "),
        ("x=interval(0,inf)", "x=interval(0,inf): the bounds must be finite"),
        ("x=range(3,1)", "x=range(3,1): the range is empty"),
        ("x=tag(log,range(1,10,2))", "a range on a logarithmic scale has a step of 1"),
    ],
)
def test_bounds_that_make_no_sense_are_refused(override, expected):
    with pytest.raises(UserError) as refusal:
        read(override)
    assert str(refusal.value).startswith(override)
    assert expected in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_descriptions_tell_spaces_apart():
    overrides = [
        "interval(1,2)",
        "tag(log,interval(1,2))",
        "interval(1,3)",
        "range(1,3)",
        "range(1,6,2)",
        "1,2",
    ]
    texts = [describe(read(f"x={override}")[0]["x"]) for override in overrides]
    assert len(set(texts)) == len(texts)
    assert describe(read("x=int(interval(1,2))")[0]["x"]) == describe(read("x=range(1,3)")[0]["x"])
