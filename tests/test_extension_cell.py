"""A cell of another package, tests/extension/gru.py, through all that a network is used for."""

import json
import os
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from graves_lm.learning.beginning import _model
from graves_lm.models.cells import cell
from graves_lm.models.character import CharacterNetwork
from graves_lm.models.stroke import StrokeNetwork
from graves_lm.models.synthesis import SynthesisNetwork, Text
from graves_lm.runtime.errors import UserError
from graves_lm.sampling.plain import PlainNetwork, for_drawing
from graves_lm.settings import extensions
from graves_lm.settings.stored import read_node
from graves_lm.trained.checkpoint import read_checkpoint
from tests.runs import HERSHEY, PEN_RUN, QUICK, STROKE_RUN, TEXT_RUN, write_text, write_waves
from tests.test_commands import Commands, run_process

EXTENSION = Path(__file__).parent / "extension"
CELL = "model.network.cell={_target_: gru.GRU, _partial_: true, clip: 0.5}"


@pytest.fixture
def gru(monkeypatch):
    """The class, from where a person's own package would be found; nothing of it is left afterwards."""
    monkeypatch.syspath_prepend(EXTENSION)
    monkeypatch.setattr(extensions, "_CLASSES", {})
    monkeypatch.delenv(extensions.VARIABLE, raising=False)
    sys.modules.pop("gru", None)
    import gru

    yield gru.GRU
    sys.modules.pop("gru", None)


@pytest.fixture
def call(tmp_path, monkeypatch, capsys) -> Commands:
    return Commands(tmp_path, monkeypatch, capsys)


def test_it_is_the_gru_of_torch(gru):
    """Which has a second bias, that of W_h h: zero here."""
    torch.manual_seed(0)
    mine, theirs = gru(5), nn.GRU(4, 5)
    with torch.no_grad():
        theirs.weight_hh_l0.copy_(mine.weight)
        theirs.bias_hh_l0.zero_()
    x_TBI, h0_BH = torch.randn(7, 3, 4), torch.randn(3, 5)
    z_TBG = x_TBI @ theirs.weight_ih_l0.t() + theirs.bias_ih_l0
    h_TBH, state = mine(z_TBG, mine.initial_state(3)._replace(h_BH=h0_BH))
    expected, last = theirs(x_TBI, h0_BH[None])
    torch.testing.assert_close(h_TBH, expected)
    torch.testing.assert_close(state.h_BH, last[0])


def test_the_documentation_shows_it():
    page = (EXTENSION.parents[1] / "docs" / "extending.md").read_text(encoding="utf-8")
    assert f"```python\n{(EXTENSION / 'gru.py').read_text(encoding='utf-8')}```" in page


def test_its_gradients_are_clipped_at_every_step(gru):
    torch.manual_seed(1)
    z_TBG = torch.randn(6, 2, 9, requires_grad=True)

    def gradient(clip):
        made = gru(3, clip)
        with torch.no_grad():
            made.weight.fill_(0.3)
        h_TBH, _ = made(z_TBG, made.initial_state(2))
        return torch.autograd.grad(9 * h_TBH.sum(), z_TBG)[0]

    clipped, free = gradient(0.1), gradient(None)
    assert clipped.abs().max() == torch.tensor(0.1)
    assert free.abs().max() > 0.2
    # what a clipped gradient makes of the steps before is less than a clip of the finished gradients
    assert (clipped - free.clamp(-0.1, 0.1)).abs().max() > 1e-3


@pytest.mark.parametrize("kind", ["character", "stroke", "synthesis"])
def test_sequences_equal_steps_and_steps_those_of_drawing(gru, kind):
    torch.manual_seed(2)
    if kind == "synthesis":
        network = SynthesisNetwork(5, layers=2, hidden_size=6, mixtures=2, window_components=2, cell=gru)
    elif kind == "stroke":
        network = StrokeNetwork(layers=2, hidden_size=6, mixtures=2, cell=gru)
    else:
        network = CharacterNetwork(5, layers=2, hidden_size=6, cell=gru)
    text, T, B = Text.of([[0, 3, 1], [2, 4, 4]]), 4, 2
    x = torch.randint(5, (T, B)) if kind == "character" else torch.randn(T, B, 3)
    packed, state = for_drawing(network), network.initial_state(B)
    assert isinstance(packed, PlainNetwork)
    if kind == "synthesis":
        whole, last, _ = network(x, text, state)
        expected, rows = whole.mu, packed.pack(*state)
    elif kind == "stroke":
        whole, last = network(x, state)
        expected, rows = whole.mu, packed.pack(state)
    else:
        expected, last = network(x, state)
        rows, x = packed.pack(state.layers), torch.cat([state.last_B[None], x[:-1]])
    for t in range(T):
        y_BY, rows, _ = packed.step(x[t], rows, text if kind == "synthesis" else None)
        got = y_BY if kind == "character" else network.head(y_BY).mu
        torch.testing.assert_close(got, expected[t])
    layers = last if kind == "stroke" else last.layers
    for mine, theirs in zip(packed.unpack(rows).layers, layers, strict=True):
        torch.testing.assert_close(mine.h_BH, theirs.h_BH)
    with pytest.raises(UserError, match=r"sampler\.weights=int8: for the LSTM; a network of GRU"):
        for_drawing(network, "int8")


def test_text_is_learned_resumed_evaluated_and_sampled(call, gru, monkeypatch):
    source = write_text(call.folder)
    run = (*TEXT_RUN, *QUICK, f"data.source={source}", "run_dir=run", CELL)
    assert call("train", *run).status == 0, call.last.err
    assert call("train", *run, "resume=last", "trainer.max_steps=3").status == 0, call.last.err
    assert json.loads((call.folder / "run" / "metrics.json").read_text())["steps"] == 3
    ckpt = call.folder / "run" / "checkpoints" / "last.ckpt"
    for dynamic in ("none", "sgd"):
        found = call(
            "evaluate", f"ckpt={ckpt}", f"data.source={source}", f"dynamic={dynamic}", "run_dir=eval"
        )
        assert found.status == 0, found.err
    drawn = call("sample", f"ckpt={ckpt}", "sampler.length=12", "prompt=the ")
    assert drawn.status == 0, drawn.err
    assert len(drawn.out) == len("the ") + 12 + 1

    # another person, who has not imported the package
    monkeypatch.setattr(extensions, "_CLASSES", {})
    refused = call.refuse("sample", f"ckpt={ckpt}", "sampler.length=12")
    assert "its model.network.cell is 'gru.GRU', which is none of this package's" in refused
    assert "GRAVES_LM_EXTENSIONS=MODULE" in refused
    sys.modules.pop("gru")
    monkeypatch.setenv("GRAVES_LM_EXTENSIONS", "gru")
    assert call("sample", f"ckpt={ckpt}", "sampler.length=12", "prompt=the ").out == drawn.out
    monkeypatch.setattr(extensions, "_CLASSES", {})
    monkeypatch.setenv("GRAVES_LM_EXTENSIONS", "no_such_module")
    assert "GRAVES_LM_EXTENSIONS=no_such_module: cannot be imported" in call.refuse("sample", f"ckpt={ckpt}")


def test_a_checkpoint_imports_nothing_by_its_name(call, gru, monkeypatch):
    source = write_text(call.folder)
    assert call("train", *TEXT_RUN, *QUICK, f"data.source={source}", "run_dir=run", CELL).status == 0
    ckpt = call.folder / "run" / "checkpoints" / "last.ckpt"
    monkeypatch.setattr(extensions, "_CLASSES", {})
    sys.modules.pop("gru")
    with pytest.raises(UserError, match=r"gru\.GRU"):
        read_checkpoint(ckpt)
    assert "gru" not in sys.modules


@pytest.mark.parametrize(
    "asked",
    [
        {"_target_": "os.system"},
        {"_target_": "gru.Other"},
        {"_target_": ["gru.GRU"]},
        {"clip": 1.0},
        "gru.GRU",
        5,
    ],
)
def test_a_file_may_name_registered_classes_alone(gru, asked):
    network = {"_target_": "graves_lm.models.stroke.StrokeNetwork", "layers": 1, "hidden_size": 4}
    allowed = (network["_target_"],)
    own = {"_target_": "gru.GRU", "_partial_": True, "clip": 0.5}
    assert read_node(network | {"cell": own}, allowed, "model.network")["cell"] == own
    with pytest.raises(UserError, match=r"its model\.network\.cell is .*none of this package's"):
        read_node(network | {"cell": asked}, allowed, "model.network")
    with pytest.raises(UserError, match=r"model\.network\.cell\.clip=0: a number above 0"):
        read_node(network | {"cell": own | {"clip": 0}}, allowed, "model.network")


def test_a_network_without_a_cell_of_its_own_is_that_of_older_checkpoints():
    network = {"_target_": "graves_lm.models.stroke.StrokeNetwork", "layers": 1}
    older, newer = ({"model": {"network": n}} for n in (network, network | {"cell": None}))
    assert _model(older) == _model(newer)
    assert _model(older) != _model({"model": {"network": network | {"cell": {"_target_": "gru.GRU"}}}})


@pytest.mark.parametrize("kind", ["stroke", pytest.param("synthesis", marks=pytest.mark.slow)])
def test_strokes_are_learned_and_drawn(call, gru, kind):
    if kind == "stroke":
        write_waves(call.folder)
        run = (*STROKE_RUN, *PEN_RUN, "data=ink", "data.source=ink.json")
        draw = ("sampler.lines=1", "sampler.length=10", "output=out.svg")
    else:
        run = ("model=synthesis", *PEN_RUN, "data=hershey", *(f"data.{k}={v}" for k, v in HERSHEY.items()))
        draw = ("text=a", "output=out.svg", "sampler.candidates=1", "one_hand=false")
    assert call("train", *run, *QUICK, "trainer.val_check_interval=2", "run_dir=run", CELL).status == 0, (
        call.last.err
    )
    drawn = call("sample", "ckpt=run/checkpoints/last.ckpt", *draw)
    assert drawn.status == 0, drawn.err
    assert (call.folder / "out.svg").stat().st_size > 0


@pytest.mark.slow
def test_as_processes(tmp_path):
    source, found = write_text(tmp_path), os.environ.get("PYTHONPATH", "")
    with pytest.MonkeyPatch.context() as inside:
        inside.setenv("PYTHONPATH", os.pathsep.join([str(EXTENSION), found]))
        graves = [sys.executable, "-m", "graves_lm"]
        train = [*graves, "train", *TEXT_RUN, *QUICK, f"data.source={source}", "run_dir=run", CELL]
        assert run_process(train, tmp_path).returncode == 0
        sample = [*graves, "sample", "ckpt=run/checkpoints/last.ckpt", "sampler.length=5"]
        refused = run_process(sample, tmp_path)
        assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
        inside.setenv("GRAVES_LM_EXTENSIONS", "gru")
        assert run_process(sample, tmp_path).returncode == 0


# --- what is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["initial_bias", "initial_state", "forward", "step"])
def test_a_cell_that_lacks_a_method_is_refused_with_its_name(gru, method):
    rest = {name: vars(gru)[name] for name in ("initial_bias", "initial_state", "forward", "step")}
    del rest[method]
    with pytest.raises(UserError, match=rf"the cell Half has no method {method}: see docs/extending.md"):
        cell(type("Half", (nn.Module,), rest))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (
            "{_target_: gru.GRU, _partial_: true, clip: -1}",
            "model.network.cell.clip=-1: a number above 0 or null",
        ),
        ("{_target_: gru.GRU, _partial_: true, clop: 1}", "model.network.cell.clop: no such setting of GRU"),
        ("{_target_: gru.GRU, clip: 1}", "model.network.cell: a _target_ and _partial_: true are needed"),
        ("{_target_: gru.LSTM, _partial_: true}", "model.network.cell._target_=gru.LSTM: no such class"),
        (
            "{_target_: torch.nn.GRU, _partial_: true}",
            "model.network.cell._target_=torch.nn.GRU: not registered",
        ),
        ("{_target_: gru.GRU, _partial_: true, hidden_size: 3}", "hidden_size"),
        ("gru", "model.network.cell=gru: a part with settings of its own is needed"),
    ],
)
def test_settings_of_a_cell_are_held_to_its_declarations(call, gru, settings, said):
    source = write_text(call.folder)
    arguments = (*TEXT_RUN, *QUICK, f"data.source={source}", "run_dir=run", f"model.network.cell={settings}")
    assert said in call.refuse("train", *arguments)


def test_a_state_without_h_is_refused(gru):
    class Odd(gru):
        def initial_state(self, batch_size):
            return (self.weight.new_zeros(batch_size, self.hidden_size),)

    with pytest.raises(ValueError, match=r"the cell .*Odd: initial_state is no NamedTuple with h_BH"):
        CharacterNetwork(5, layers=1, hidden_size=6, cell=Odd)
