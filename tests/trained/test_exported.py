"""Exported weights: small, and read wherever a checkpoint is."""

import copy
import hashlib
import json
import subprocess
import sys

import pytest
import torch
from safetensors.torch import save_file

import graves_lm
from graves_lm.learning.loading import load_task
from graves_lm.runtime.errors import UserError
from graves_lm.trained.checkpoint import PRETRAINED, read_checkpoint
from graves_lm.trained.exported import export
from graves_lm.trained.mean import mean
from tests.data.lines import make_line
from tests.runs import train, write_waves


@pytest.fixture(scope="module")
def ckpt(tmp_path_factory):
    folder = tmp_path_factory.mktemp("export")
    train(folder / "run", write_waves(folder), "trainer.max_steps=2", "noise=adaptive")
    return folder / "run" / "checkpoints" / "best.ckpt"


def test_the_network_comes_back_in_half_precision(ckpt, tmp_path):
    path = tmp_path / "w.safetensors"
    export(read_checkpoint(ckpt), path)
    assert path.stat().st_size < ckpt.stat().st_size / 4
    before, after = load_task(read_checkpoint(ckpt)), load_task(read_checkpoint(path, task="stroke"))
    weights = after.network.state_dict()
    for name, weight in before.network.state_dict().items():
        assert weights[name].dtype == torch.float32
        assert torch.equal(weight.half().float(), weights[name])
    assert after.facts == before.facts
    assert str(ckpt.parents[2]) not in path.read_bytes().decode("latin-1")  # no places of this machine


def test_training_begins_with_exported_weights(ckpt, tmp_path):
    path = tmp_path / "w.safetensors"
    export(read_checkpoint(ckpt), path)
    frozen = ("trainer.max_steps=1", "optimizer.lr=1e-12", f"init={path}")
    train(tmp_path / "run", write_waves(tmp_path), *frozen)
    first, second = (
        load_task(read_checkpoint(p)).network.state_dict()
        for p in (path, tmp_path / "run" / "checkpoints" / "best.ckpt")
    )
    assert all(torch.allclose(first[name], second[name], atol=1e-6) for name in first)


def run_export(*arguments):
    command = [sys.executable, "-m", "graves_lm.export", *map(str, arguments)]
    return subprocess.run(command, check=False, capture_output=True, text=True)


ABOUT = ("--data", "waves", "--licence", "none", "--command", "train on waves")


def test_the_command_writes_the_weights_and_their_card(ckpt, tmp_path):
    target = tmp_path / "w.safetensors"
    done = run_export(ckpt, target, *ABOUT, "--sampler", "lines=3", "bias=0.5")
    assert done.returncode == 0, done.stderr
    card = json.loads((tmp_path / "w.json").read_text())
    metrics = json.loads((ckpt.parents[1] / "metrics.json").read_text())
    assert card["figures"]["val/nll_per_line"] == metrics["val/nll_per_line"]
    assert card["figures"]["seed"] == metrics["seed"]
    assert "checkpoint" not in card["figures"]  # a place on this machine
    assert (card["data"], card["licence"], card["command"]) == ("waves", "none", "train on waves")
    assert len(card["commit"]) in (0, 40)
    assert card["task"] == "stroke"
    assert card["weights"] == metrics["weights"]
    assert card["normalisation"] == read_checkpoint(ckpt)["graves_lm"]["facts"]["normalisation"]
    assert card["sha256"] == hashlib.sha256(target.read_bytes()).hexdigest()
    sampler = load_task(read_checkpoint(target)).config["sampler"]
    assert (sampler["lines"], sampler["bias"], sampler["length"]) == (3, 0.5, card["sampler"]["length"])


def test_the_command_gives_weights_a_hand(tmp_path):
    if not (PRETRAINED / "synthesis.safetensors").is_file():
        pytest.skip("the package has no weights")
    ink, target = tmp_path / "me.json", tmp_path / "w.safetensors"
    line = make_line("me", 80, "a word")
    points = [[float(x), float(y), int(up)] for x, y, up in line.strokes]
    ink.write_text(json.dumps({"text": line.text, "points": points}))
    done = run_export("synthesis", target, *ABOUT, "--hand", ink)
    assert done.returncode == 0, done.stderr
    assert "the line me, whose style is followed, reads as" in done.stderr  # its points are random
    assert graves_lm.load(target).trained.hand.text == "a word"
    assert json.loads((tmp_path / "w.json").read_text())["hand"] == "a word"
    ink.write_text(json.dumps({"text": "", "points": points}))
    for given, why in (
        (["--hand", ink], "no text"),
        (["--hand", tmp_path / "none.json"], "none.json"),
        (["--shares", "1", "2"], "--shares: give a number above 0 for each of the 1 checkpoints"),
        (["--shares", "-1"], "--shares"),
    ):
        refused = run_export("synthesis", target, *ABOUT, *given)
        assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
        assert why in refused.stderr


def test_the_command_refuses(ckpt, tmp_path):
    missing = run_export(tmp_path / "none.ckpt", tmp_path / "w.safetensors", *ABOUT)
    assert missing.returncode != 0
    assert missing.stderr.startswith("graves_lm export: ckpt=")
    unread = run_export(ckpt, tmp_path / "w.safetensors", *ABOUT, "--figures", tmp_path / "none.json")
    assert unread.returncode != 0
    assert unread.stderr.startswith("graves_lm export: --figures ")
    with pytest.raises(UserError, match=r"give the file the ending \.safetensors"):
        export(read_checkpoint(ckpt), tmp_path / "w.bin")
    with pytest.raises(UserError, match=r"sampler\.linse: .* did you mean 'lines'"):
        export(read_checkpoint(ckpt), tmp_path / "w.safetensors", ["linse=2"])
    assert not list(tmp_path.iterdir())


def test_the_mean_of_several_networks(ckpt, tmp_path):
    train(tmp_path / "run", write_waves(tmp_path), "trainer.max_steps=3", f"init={ckpt}")
    second, third = tmp_path / "run" / "checkpoints" / "best.ckpt", tmp_path / "third.safetensors"
    export(read_checkpoint(ckpt), third)
    target, evaluated = tmp_path / "w.safetensors", tmp_path / "metrics.json"
    evaluated.write_text('{"val/nll_per_line": -7.5, "ckpt": "here", "dynamic": null}')
    done = run_export(ckpt, second, third, target, *ABOUT, "--figures", evaluated)
    assert done.returncode == 0, done.stderr
    parts = [read_checkpoint(path)["state_dict"] for path in (ckpt, second, third)]
    found = read_checkpoint(target)["state_dict"]
    for name, weight in found.items():
        assert torch.equal(weight, (sum(part[name].double() for part in parts) / 3).half().float())
    name = max(found, key=lambda name: found[name].numel())
    assert not torch.equal(parts[0][name], parts[1][name])  # a mean of equals shows nothing
    assert json.loads((tmp_path / "w.json").read_text())["figures"] == {"val/nll_per_line": -7.5}
    assert run_export(ckpt, second, target, *ABOUT).returncode == 0
    assert json.loads((tmp_path / "w.json").read_text())["figures"] == {}  # a run's are not the mean's


def of_characters(characters: str, seed: int) -> dict:
    """A checkpoint of a weight without entries for characters, one with them, one with a blank behind."""
    torch.manual_seed(seed)
    n = len(characters)
    weights = {"a": torch.randn(3, 2), "window": torch.randn(2, n), "out": torch.randn(n + 1, 2)}
    facts = {"alphabet": {"characters": list(characters), "non_letters": []}, "normalisation": {}}
    config = {"model": {"network": {}}}
    state = {f"network.{name}": weight for name, weight in weights.items()}
    return {"state_dict": state, "graves_lm": {"task": "reader", "config": config, "facts": facts}}


def test_what_only_some_networks_know_is_the_mean_of_these():
    one, two, three = of_characters("ab", 0), of_characters("abcd", 1), of_characters("abc", 2)
    found, shares = mean([one, two, three], [1.0, 2.0, 5.0]), (1.0, 2.0, 5.0)
    a, window, out = (
        [c["state_dict"][f"network.{name}"].double() for c in (one, two, three)]
        for name in ("a", "window", "out")
    )
    expected = {
        "a": sum(s * w for s, w in zip(shares, a, strict=True)) / 8,
        "window": torch.stack(
            [
                *((window[0][:, n] + 2 * window[1][:, n] + 5 * window[2][:, n]) / 8 for n in range(2)),
                (2 * window[1][:, 2] + 5 * window[2][:, 2]) / 7,
                window[1][:, 3],
            ],
            dim=1,
        ),
        "out": torch.stack(
            [
                *((out[0][n] + 2 * out[1][n] + 5 * out[2][n]) / 8 for n in range(2)),
                (2 * out[1][2] + 5 * out[2][2]) / 7,
                out[1][3],
                (out[0][2] + 2 * out[1][4] + 5 * out[2][3]) / 8,
            ]
        ),
    }
    for name, weight in expected.items():
        torch.testing.assert_close(found["state_dict"][f"network.{name}"], weight)
    assert found["graves_lm"] == two["graves_lm"]
    with pytest.raises(UserError, match=r"differ in the order of their data's symbols have no mean"):
        mean([one, of_characters("ba", 1)])


@pytest.mark.parametrize(
    ("key", "value", "named"),
    [
        (("config", "model", "network", "hidden_size"), 7, "network"),
        (("task",), "synthesis", "task"),
        (("facts", "normalisation", "mean"), [9.0, 9.0], "normalisation"),
    ],
)
def test_networks_of_different_kinds_have_no_mean(ckpt, key, value, named):
    first, second = read_checkpoint(ckpt), read_checkpoint(ckpt)
    place = second["graves_lm"] = copy.deepcopy(second["graves_lm"])
    for part in key[:-1]:
        place = place[part]
    place[key[-1]] = value
    with pytest.raises(UserError, match=f"differ in their .*{named}.* have no mean"):
        mean([first, second])


def test_what_acts_in_training_alone_does_not_stand_against_a_mean(ckpt):
    first, second = read_checkpoint(ckpt), read_checkpoint(ckpt)
    second["graves_lm"] = copy.deepcopy(second["graves_lm"])
    second["graves_lm"]["config"]["model"]["network"] |= {"drop": 0.45, "clip": 3.0, "forget_bias": 2.0}
    made = mean([first, second])["state_dict"]
    assert made
    assert all(
        torch.allclose(weight, first["state_dict"][name].to(weight.dtype)) for name, weight in made.items()
    )


def test_a_damaged_file_is_one_clear_line(ckpt, tmp_path):
    path = tmp_path / "w.safetensors"
    export(read_checkpoint(ckpt), path)
    content = bytearray(path.read_bytes())
    content[-3] ^= 1  # one bit of one weight
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"the checksum is not that in w\.json; get both files again"):
        read_checkpoint(path)
    path.with_suffix(".json").write_text("{}")
    with pytest.raises(UserError, match=r"its metadata w\.json is damaged"):
        read_checkpoint(path)
    path.with_suffix(".json").unlink()
    assert read_checkpoint(path)["graves_lm"]["task"] == "stroke"  # a file without a card is not guarded


def test_other_files_are_refused(tmp_path):
    save_file({"a": torch.zeros(2)}, tmp_path / "other.safetensors")
    with pytest.raises(UserError, match=r"a file of safetensors, but not of graves_lm"):
        read_checkpoint(tmp_path / "other.safetensors")
    (tmp_path / "cut.safetensors").write_bytes(b"\x10")
    with pytest.raises(UserError, match="not a readable checkpoint"):
        read_checkpoint(tmp_path / "cut.safetensors")
