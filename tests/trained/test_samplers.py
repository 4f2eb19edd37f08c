"""A sampler of a checkpoint, with what the command line says in place of some of it."""

import pytest
from hydra import compose, initialize_config_dir

from graves_lm.commands.launch import CONF
from graves_lm.runtime.errors import UserError
from graves_lm.sampling.protocols import DrawsHandwriting, DrawsStrokes, DrawsText, require
from graves_lm.sampling.strokes import StrokeSampler
from graves_lm.sampling.synthesis import SynthesisSampler
from graves_lm.sampling.text import TextSampler
from graves_lm.trained.samplers import make_sampler, whole_sampler

TRAINED = {
    "_target_": "graves_lm.sampling.synthesis.SynthesisSampler",
    "bias": 0.6,
    "candidates": 4,
    "retries": 2,
    "batch_size": 16,
}


def given(*arguments):
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose("sample", list(arguments)).sampler


@pytest.mark.parametrize(
    ("arguments", "bias"),
    [
        ((), 0.6),
        (("sampler=unbiased",), 0.0),
        (("sampler=biased",), 0.75),
        (("sampler=biased", "sampler.bias=2"), 2.0),
        (("sampler=primed", "sampler.prime=a.inkml"), 0.6),
        (("sampler=primed", "sampler.prime=a.inkml", "sampler.bias=1"), 1.0),
    ],
)
def test_an_option_changes_what_it_names_and_nothing_else(arguments, bias):
    sampler = make_sampler(TRAINED, given(*arguments), DrawsHandwriting)
    assert sampler.bias == (bias, bias)
    assert (sampler.candidates, sampler.retries, sampler.batch_size) == (4, 2, 16)
    assert sampler.end == SynthesisSampler().end
    assert sampler.prime == ("a.inkml" if "sampler=primed" in arguments else None)


@pytest.mark.parametrize(
    ("option", "trained", "name"),
    [
        ("text", {"temperature": 0.4, "length": 7, "weights": "bf16"}, "temperature"),
        ("strokes", {"lines": 3, "length": 7, "bias": 0.4, "weights": "bf16"}, "bias"),
    ],
)
def test_an_option_that_names_nothing_changes_nothing(option, trained, name):
    target = {"text": TextSampler, "strokes": StrokeSampler}[option]
    config = {"_target_": f"{target.__module__}.{target.__name__}"} | trained
    assert vars(make_sampler(config, given(f"sampler={option}"))) == vars(target(**trained))
    changed = make_sampler(config, given(f"sampler={option}", f"sampler.{name}=2"))
    assert vars(changed) == vars(target(**trained | {name: 2.0}))


def test_a_primed_sampler_needs_a_prime():
    with pytest.raises(UserError, match=r"sampler\.prime is needed"):
        make_sampler(TRAINED, given("sampler=primed"), DrawsHandwriting)


@pytest.mark.parametrize("option", ["text", "strokes"])
def test_another_tasks_sampler_is_refused(option):
    with pytest.raises(UserError, match=r"Sampler has no method events\(\), so it does not draw for this"):
        make_sampler(TRAINED, given(f"sampler={option}"), DrawsHandwriting)


@pytest.mark.parametrize(
    ("protocol", "complete", "members"),
    [
        (DrawsText, TextSampler, ["method symbols"]),
        (DrawsStrokes, StrokeSampler, ["method points", "attribute lines"]),
        (DrawsHandwriting, SynthesisSampler, ["method events", "attribute batch_size"]),
    ],
)
def test_what_a_sampler_lacks_of_its_protocol_is_named(protocol, complete, members):
    require(complete(), protocol)
    for member in members:
        kind, name = member.split()
        has = {m.split()[1]: (lambda self: None) for m in members if m != member}
        with pytest.raises(UserError, match=rf"sampler: Mine has no {kind} {name}"):
            require(type("Mine", (), has)(), protocol)
    if "lines" in vars(complete()):
        with pytest.raises(UserError, match=r"Mine has no method points\(\)"):
            require(type("Mine", (), {"lines": 3, "points": 5})(), protocol)


def test_null_is_the_default_where_nothing_was_trained():
    with initialize_config_dir(str(CONF), version_base="1.3"):
        sampler = whole_sampler(compose("train", ["model=synthesis"]).sampler)
    assert sampler.bias == (0.75, 0.75)
    assert (sampler.candidates, sampler.retries) == (1, 0)
    assert isinstance(whole_sampler({"_target_": "graves_lm.sampling.text.TextSampler"}), TextSampler)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"candidate": 3}, r"sampler\.candidate: .* did you mean 'candidates'"),
        ({"candidates": 0}, r"sampler\.candidates=0"),
        ({"bias": float("nan")}, r"sampler\.bias=nan"),
        ({"weights": "int4"}, r"sampler\.weights=int4"),
    ],
)
def test_settings_that_are_none_are_named(settings, message):
    with pytest.raises(UserError, match=message):
        make_sampler(TRAINED, settings, DrawsHandwriting)
