"""Settings held to their declarations, in whichever way they come."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import pytest
from msgspec import Meta

from graves_lm.data.text.file import TextFile
from graves_lm.learning.optim import GravesRMSprop, Optimization
from graves_lm.models.synthesis import SynthesisNetwork
from graves_lm.runtime.errors import UserError
from graves_lm.sampling.synthesis import SynthesisSampler
from graves_lm.settings import declared
from graves_lm.settings.check import check_settings, check_value, describe, settings_of
from graves_lm.settings.kinds import Bias, Count, Layers, Place, Rate, ShareBelowOne, Weights
from graves_lm.writing.page import PageSettings

ALLOWED = [
    (Count, (1, 10**9, np.int64(3)), (0, -1, 1.0, 1.5, True, "1", None, math.nan, [1], 10**30)),
    (Layers, (1, 100), (101, 0)),
    (Rate, (1e-9, 1, 1000.0, np.float32(0.5)), (0, 0.0, -1, 1001, math.nan, math.inf, "fast", True)),
    (ShareBelowOne, (0, 0.999), (1, 1.0, -0.1)),
    (Bias | None, (None, 0, 2.5), (math.nan, -1, "neat")),
    (Place, ("a", Path("b/c")), ("", "a\0b", 3, None, ["a"])),
    (Weights, ("float32", "int8"), ("int4", 8, None)),
    (list[Bias], ([], [1, 2.0], (1, 2)), (1, ["a"], [-1])),
    (tuple[ShareBelowOne, ShareBelowOne], ([0, 0.5], (0.1, 0.2)), ([0.1], [0.1, 0.2, 0.3], [1, 1])),
    (bool, (True, False), (0, 1, "true", None)),
]


@pytest.mark.parametrize(
    ("kind", "good", "bad"), ALLOWED, ids=lambda v: describe(v) if not isinstance(v, tuple) else ""
)
def test_values_are_of_their_kind(kind, good, bad):
    for value in good:
        check_value(value, kind, "x")
    for value in bad:
        with pytest.raises(UserError, match=r"^x=.* is needed") as caught:
            check_value(value, kind, "x")
        assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (Count, "a whole number, at least 1,"),
        (Layers, "a whole number from 1 to 100"),
        (ShareBelowOne, "a number of at least 0 and below 1"),
        (Rate | None, "a number above 0 and at most 1000 or null"),
        (Weights, "one of float32, bf16, int8"),
        (
            Annotated[list[Layers], Meta(min_length=1, max_length=2)],
            "a list of 1 to 2, each a whole number from 1 to 100",
        ),
        (bool, "true or false"),
    ],
)
def test_what_is_needed_is_said_in_words(kind, said):
    assert describe(kind) == said


def test_a_near_word_is_offered():
    with pytest.raises(UserError, match="did you mean 'bf16'"):
        check_value("bf61", Weights, "sampler.weights")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SynthesisSampler(bias=math.nan), "sampler.bias=nan"),
        (lambda: SynthesisSampler(candidates=10**6), "sampler.candidates=1000000"),
        (lambda: SynthesisNetwork(symbols=5, layers=10**7), "model.network.layers=10000000"),
        (lambda: SynthesisNetwork(symbols=5, clip=-1.0), "model.network.clip=-1.0"),
        (lambda: Optimization(algorithm=GravesRMSprop, lr="fast"), "optimizer.lr=fast"),
        (lambda: Optimization(algorithm=GravesRMSprop, lr=1, warmup_steps=-1), "optimizer.warmup_steps=-1"),
        (lambda: PageSettings(width=0), "page.width=0"),
        (lambda: PageSettings(margin_left=math.inf), "page.margin_left=inf"),
        (lambda: TextFile(source="a", batch_size=0), "data.batch_size=0"),
        (lambda: TextFile(source=3), "data.source=3"),
        (lambda: TextFile(unit="word"), "data.unit=word"),
    ],
)
def test_python_is_told_as_the_command_line_is(make, message):
    with pytest.raises(UserError) as caught:
        make()
    assert str(caught.value).startswith(message)


def test_settings_of_bases_are_known_through_their_names():
    known = settings_of(TextFile)
    assert {"unit", "shares", "batch_size", "length", "source", "cache_dir"} <= set(known)


class Taker:
    @declared("group")
    def __init__(
        self, network: Any, size: Layers, names: Sequence[str] = (), way: Literal["up", "down"] = "up"
    ):
        self.given = network, size, names, way


def test_a_decorated_function_checks_what_it_is_given():
    assert Taker("anything", 3, ["a"]).given == ("anything", 3, ["a"], "up")
    assert Taker(None, size=1, way="down").given == (None, 1, (), "down")
    for wrong in ({"size": 0}, {"size": 1, "names": [1]}, {"size": 1, "way": "left"}):
        with pytest.raises(UserError, match=r"^group\."):
            Taker(None, **wrong)
    with pytest.raises(TypeError, match="missing"):
        Taker(None)


def test_names_that_are_none_are_refused():
    with pytest.raises(UserError, match=r"^x\.siez: no such setting of Taker; did you mean 'size'\?"):
        check_settings(Taker, {"siez": 3}, "x")
