"""Exported weights: small, and read wherever a checkpoint is."""

import subprocess
import sys

import pytest
import torch
from safetensors.torch import save_file

from graves_lm.errors import UserError
from graves_lm.tasks.export import export
from graves_lm.tasks.loading import load_task, read_checkpoint
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
    frozen = ("trainer.max_steps=1", "optimizer.lr=1e-12", f"weights={path}")
    train(tmp_path / "run", write_waves(tmp_path), *frozen)
    first, second = (
        load_task(read_checkpoint(p)).network.state_dict()
        for p in (path, tmp_path / "run" / "checkpoints" / "best.ckpt")
    )
    assert all(torch.allclose(first[name], second[name], atol=1e-6) for name in first)


def test_the_command(ckpt, tmp_path):
    target = tmp_path / "w.safetensors"
    command = [sys.executable, "-m", "graves_lm.tasks.export", str(ckpt), str(target)]
    assert subprocess.run(command, check=False, capture_output=True, text=True).returncode == 0
    assert target.is_file()
    refused = subprocess.run(
        [*command[:3], str(tmp_path / "none.ckpt"), str(target)], check=False, capture_output=True, text=True
    )
    assert refused.returncode != 0
    assert refused.stderr.startswith("graves_lm export: ckpt=")


def test_other_files_are_refused(tmp_path):
    save_file({"a": torch.zeros(2)}, tmp_path / "other.safetensors")
    with pytest.raises(UserError, match=r"a file of safetensors, but not of graves_lm"):
        read_checkpoint(tmp_path / "other.safetensors")
    (tmp_path / "cut.safetensors").write_bytes(b"\x10")
    with pytest.raises(UserError, match="not a readable checkpoint"):
        read_checkpoint(tmp_path / "cut.safetensors")
