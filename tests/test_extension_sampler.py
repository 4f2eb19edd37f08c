"""A sampler of another package, tests/extension/steady.py, by hand and from the command line."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from graves_lm.data.alphabet import Alphabet
from graves_lm.data.ink.reading import read_ink
from graves_lm.data.strokes import Normalisation
from graves_lm.models.synthesis import SynthesisNetwork, Text
from graves_lm.runtime.errors import UserError
from graves_lm.trained.handwriting import TextPassage, TrainedHandwriting
from graves_lm.trained.samplers import make_sampler
from graves_lm.writing.writer import Writer

EXTENSION = Path(__file__).parent / "extension"
SAMPLER = {"_target_": "graves_lm.sampling.synthesis.SynthesisSampler"}


@pytest.fixture
def steady(monkeypatch):
    """The package, as a user has it: on the path, and not imported."""
    monkeypatch.syspath_prepend(str(EXTENSION))
    monkeypatch.delitem(sys.modules, "steady", raising=False)


@pytest.fixture
def trained() -> TrainedHandwriting:
    torch.manual_seed(3)
    network = SynthesisNetwork(4, layers=2, hidden_size=12, mixtures=3, points_per_character=10.0).eval()
    return TrainedHandwriting(
        network, Normalisation((8, 0), (42, 36)), Alphabet(" abc"), {"sampler": SAMPLER}
    )


def test_it_draws_for_a_writer(steady, trained):
    """A page and its stream, with all that a writer does: wrapping, one hand, warnings."""
    sampler = make_sampler(SAMPLER, {"_target_": "steady.SteadyPen", "most": 60})
    writer = Writer(trained)
    page = writer.write("abc cab\nabc", width=8, sampler=sampler)
    assert page.text == "abc cab\nabc"
    points = [[], []]
    for line, point in writer.stream("abc cab\nabc", width=8, sampler=sampler):
        points[line].append(point)
    assert all(np.array_equal(np.stack(p), s) for p, s in zip(points, page.strokes, strict=True))
    again = writer.write("abc cab\nabc", width=8, sampler=sampler, seed=7)
    assert all(map(np.array_equal, page.strokes, again.strokes))
    ((line, report),) = trained.write(sampler, TextPassage(["abc"]))
    with torch.no_grad():
        density, *_ = trained.network.step(
            torch.zeros(1, 3), Text.of([[1, 2, 3]]), trained.network.initial_state(1)
        )
    first = trained.normalisation.invert(density.mode[0].numpy())
    np.testing.assert_allclose(line.strokes[1], first, rtol=1e-5)
    assert (report.points, len(line.strokes)) == (len(line.strokes) - 1, report.points + 1)
    short = make_sampler(SAMPLER, {"_target_": "steady.SteadyPen", "most": 9})
    assert (
        writer.write("a", sampler=short).warnings[0] == "line 1: reached the cap of 9 points before its end"
    )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"most": 0}, "sampler.most=0: a whole number, at least 1, is needed"),
        ({"least": 3}, "steady.SteadyPen refuses its settings"),
        ({"_target_": "steady.ShakyPen"}, r"sampler._target_=steady.ShakyPen: no such class"),
        ({"_target_": "steady.Report"}, "steady.Report refuses its settings"),
        ({"_target_": "collections.Counter"}, r"Counter has no method events\(\), so it does not draw"),
    ],
)
def test_what_is_wrong_with_it_is_said_in_a_line(steady, settings, message):
    given = {"_target_": "steady.SteadyPen"} | settings
    with pytest.raises(UserError, match=message):
        make_sampler(SAMPLER, given, TrainedHandwriting.sampler_kind)


def sample(tmp_path, *arguments):
    path = os.pathsep.join([str(EXTENSION), *sys.path])
    return subprocess.run(
        [sys.executable, "-m", "graves_lm.sample", "text=an apple", "output=a.json", *arguments],
        **{"cwd": tmp_path, "env": os.environ | {"PYTHONPATH": path}},
        **{"capture_output": True, "text": True, "check": False},
    )


def test_it_draws_for_the_command(tmp_path):
    """With the package's weights, nothing of this package being touched."""
    done = sample(tmp_path, "one_hand=false", "sampler._target_=steady.SteadyPen", "+sampler.most=70")
    assert done.returncode == 0, done.stderr
    assert re.search("reached the cap of 70 points", done.stderr)
    ((line,), _) = read_ink(tmp_path / "a.json")
    assert (line.text, len(line.strokes)) == ("an apple", 71)


def test_a_class_that_is_no_sampler_is_named_by_the_command(tmp_path):
    done = sample(tmp_path, "sampler._target_=steady.Report")
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "steady.Report refuses its settings" in done.stderr


def test_the_page_shows_this_file():
    page = (Path(__file__).parents[1] / "docs" / "extending.md").read_text(encoding="utf-8")
    assert f"```python\n{(EXTENSION / 'steady.py').read_text(encoding='utf-8')}```\n" in page
