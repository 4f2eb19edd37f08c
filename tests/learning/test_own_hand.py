"""`experiment=own_hand`: from weights and a person's lines to a file that writes as the person does."""

import json

import pytest
import torch
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from graves_lm.commands.launch import CONF
from graves_lm.learning.callbacks.staging import Staging
from graves_lm.learning.training import run
from graves_lm.runtime.errors import UserError
from graves_lm.trained.checkpoint import read_checkpoint
from graves_lm.trained.loading import load_trained
from tests.data.lines import write_ink
from tests.runs import PEN_RUN, QUICK

TINY = (*PEN_RUN, *QUICK[2:], "logger=none", "callbacks.samples=null", "data.doubted=null")


class Killed(Exception):
    """Stands for the kill."""


def train(folder, source, *overrides):
    places = (f"run_dir={folder}", f"data.source={source}", f"data.cache_dir={folder.parent / 'cache'}")
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return run(compose("train", [*places, *TINY, *overrides]))


@pytest.fixture(scope="module")
def began(tmp_path_factory):
    """A network that knows some letters, and a person's lines, which have one more."""
    from graves_lm.data.hershey.lines import HersheyLines

    folder = tmp_path_factory.mktemp("own")
    lines = list(HersheyLines(20, 20, seed=1, characters=(2, 4)))
    train(
        folder / "first",
        write_ink(folder / "first.json", lines),
        "model=synthesis",
        "data=ink",
        "trainer.max_steps=9",
    )
    person = HersheyLines(12, 1, seed=2, characters=(2, 4))
    own = [line._replace(text=line.text[:-1] + "ä") for line in person]
    return folder / "first" / "checkpoints" / "last.ckpt", write_ink(folder / "me.json", own), own


def asked(began, *overrides):
    return "experiment=own_hand", f"init={began[0]}", "budget=12", "checkpoint_every=1", *overrides


@pytest.fixture(scope="module")
def whole(began, tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole") / "run"
    train(folder, began[1], *asked(began))
    return folder


def test_the_file_writes_as_the_person_with_what_both_know(began, whole):
    trained = load_trained(whole / "own_hand.safetensors")
    known = read_checkpoint(began[0])["graves_lm"]["facts"]
    assert "".join(trained.alphabet.characters).startswith("".join(known["alphabet"]["characters"]))
    assert "ä" in trained.alphabet
    assert trained.normalisation.to_plain() == known["normalisation"]  # what the network knows of sizes
    assert trained.hand.text in [line.text for line in began[2]]  # a line that the person wrote, no other one
    card = json.loads((whole / "own_hand.json").read_text())
    assert card["hand"] == trained.hand.text
    assert card["stages"][0]["name"] == "learn"


def test_of_several_weights_those_begin_it_that_know_most_of_the_characters(began, whole, tmp_path, caplog):
    plain, with_accent = began[0], whole / "own_hand.safetensors"
    several = f"init=['{plain}','{with_accent}']"
    short = ("experiment=own_hand", "budget=12", "checkpoint_every=1", several)
    caplog.set_level("INFO")
    train(tmp_path / "run", began[1], *short)
    assert f"init={with_accent}: " in caplog.text
    assert OmegaConf.load(tmp_path / "run" / "config.yaml").init == str(with_accent)
    train(tmp_path / "run", began[1], *short, "resume=last")  # by what it began with
    train(tmp_path / "other", began[0].parents[2] / "first.json", *short, "data.grafts=0")  # both know all
    assert OmegaConf.load(tmp_path / "other" / "config.yaml").init == str(plain)


def test_part_of_the_weights_that_it_began_with_stays(began, whole, tmp_path):
    """At each step, so without what stays the same training ends further away."""
    train(tmp_path / "run", began[1], *asked(began, "stages.learn.keep=null"))
    first = read_checkpoint(began[0])["state_dict"]
    near, far = (
        read_checkpoint(f / "checkpoints" / "last.ckpt")["state_dict"] for f in (whole, tmp_path / "run")
    )
    for name, weight in first.items():
        if weight.shape == near[name].shape:  # else it has new characters
            torch.testing.assert_close(near[name], weight.lerp(far[name], 0.7), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("kill_at", [1, 7])
def test_killed_and_resumed_it_is_the_unbroken_one(began, whole, tmp_path, monkeypatch, kill_at):
    original = Staging.on_train_batch_start

    def die(self, trainer, *args):
        if trainer.global_step == kill_at:
            raise Killed
        original(self, trainer, *args)

    with monkeypatch.context() as patch:
        patch.setattr(Staging, "on_train_batch_start", die)
        with pytest.raises(Killed):
            train(tmp_path / "run", began[1], *asked(began, "resume=last"))
    train(tmp_path / "run", began[1], *asked(began, "resume=last"))
    assert (tmp_path / "run" / "own_hand.safetensors").read_bytes() == (
        whole / "own_hand.safetensors"
    ).read_bytes()


def test_what_stays_needs_weights_to_stay(began, tmp_path):
    with pytest.raises(UserError, match=r"stages\.learn\.keep: .* init= is needed"):
        train(tmp_path / "run", began[1], "experiment=own_hand", "init=null")
    with pytest.raises(UserError, match=r"stages\.learn\.keep: .* stages\.learn\.average= is needed"):
        train(tmp_path / "run", began[1], *asked(began, "stages.learn.average=null"))
