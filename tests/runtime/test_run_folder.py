"""A run's folder: one run at a time, enough to repeat the run, and what happens when it cannot be written."""

import json
import os
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from importlib.metadata import version

import pytest
import torch
from lightning.pytorch import Callback, Trainer
from omegaconf import OmegaConf

from graves_lm.commands.launch import repeat_of_run
from graves_lm.data.text.file import TextFile
from graves_lm.runtime.errors import UserError
from graves_lm.runtime.run_folder import locked
from tests.runs import train, write_text
from tests.test_commands import TINY, call  # noqa: F401


def test_the_second_run_in_a_folder_is_refused(call):  # noqa: F811
    source = write_text(call.folder)
    with locked(call.folder / "run"):
        refusal = call.refuse("train", *TINY, f"data.source={source}")
    assert refusal.startswith("run_dir=run: another run is writing there; wait for its end")
    assert call("train", *TINY, f"data.source={source}").status == 0  # and again when it is free


def tree(folder):
    """Every file below the folder but the lock, with its content."""
    return {p: p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file() and p.name != ".lock"}


def test_a_run_that_is_refused_leaves_the_folder_as_it_was(call):  # noqa: F811
    """Whether another run is in it or has been, in a multirun too; the run itself goes on in it."""
    data, run_dir = f"data.source={write_text(call.folder)}", call.folder / "run"
    assert call("train", *TINY, data).status == 0
    assert (run_dir / "train.log").read_text()
    before = tree(run_dir)
    with locked(run_dir):
        assert "another run is writing there" in call.refuse("train", *TINY, data, "resume=last", "seed=2")
    refusal = call.refuse("train", *TINY, data, "seed=2")
    assert refusal.startswith(
        "run_dir=run: a run is there already (checkpoints, csv, metrics.json); go on with"
    )
    assert "by resume=last, or begin anew in another run_dir" in refusal
    multirun = ["-m", "hydra.sweep.dir=.", "hydra.sweep.subdir=run", "seed=2,3"]
    assert call("train", *TINY, data, *multirun).status == 2
    stranger = shutil.copy(run_dir / "checkpoints" / "last.ckpt", call.folder / "other.ckpt")
    assert "a run is there already" in call.refuse("train", *TINY, data, f"resume={stranger}")
    checkpoint = f"ckpt={run_dir / 'checkpoints' / 'best.ckpt'}"
    refusal = call.refuse("evaluate", checkpoint, "run_dir=run")
    assert refusal.startswith("run_dir=run: a training run is there; give another")
    assert tree(run_dir) == before
    assert call("train", *TINY, data, "resume=last", "trainer.max_steps=3").status == 0
    (run_dir / "checkpoints" / "last.ckpt").unlink()
    before = tree(run_dir)
    refusal = call.refuse("train", *TINY, data, "resume=last")
    assert refusal.startswith("resume=last: no last.ckpt in run/checkpoints, though")
    assert tree(run_dir) == before


def test_the_lock_dies_with_its_process(tmp_path):
    program = (
        "import pathlib, time; from graves_lm.runtime.run_folder import locked\n"
        f"with locked(pathlib.Path({str(tmp_path)!r})): print('mine', flush=True); time.sleep(600)"
    )
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"mine\n"
    with pytest.raises(UserError, match="another run is writing there"), locked(tmp_path):
        pass
    process.send_signal(signal.SIGKILL)
    process.wait()
    with locked(tmp_path):
        pass


def test_what_a_run_depends_on_is_written_down(tmp_path):
    source = write_text(tmp_path)
    train(tmp_path / "run", source, "trainer.max_steps=1")
    found = json.loads((tmp_path / "run" / "environment.json").read_text())
    assert found["packages"]["torch"] == version("torch")
    assert found["graves_lm"]["version"] == version("graves-lm")
    assert found["machine"]["cores"] == os.cpu_count()
    data = TextFile(source=source, cache_dir=tmp_path / "cache")
    data.open()
    assert found["data"] == {"name": "textfile", "cache": str(data.cache), "sha256": data.fingerprint()}
    if "commit" in found["graves_lm"]:  # a clone
        assert len(found["graves_lm"]["commit"]) == 40
        assert isinstance(found["graves_lm"]["dirty"], bool)


def test_a_run_is_repeated_from_its_folder(call):  # noqa: F811
    """With the settings as they were composed, whatever conf/ says by now; and some changed."""
    source = write_text(call.folder)
    first = call("train", *TINY, f"data.source={source}", "noise=fixed", "seed=5")
    assert first.status == 0, first.err
    again = call("train", "--config-path", "run/.hydra", "run_dir=again")
    assert again.status == 0, again.err
    changed = call("train", "--config-path=run/.hydra", "run_dir=changed", "seed=6")
    assert changed.status == 0, changed.err
    runs = [call.folder / name for name in ("run", "again", "changed")]
    one, same, other = (json.loads((run / "metrics.json").read_text()) for run in runs)
    assert same.pop("checkpoint") == "again/checkpoints/best.ckpt"
    del one["checkpoint"]
    assert same == one
    assert other["val/bpc"] != one["val/bpc"]
    ours, theirs = (
        torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"] for run in runs[:2]
    )
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    settings = [OmegaConf.load(run / "config.yaml") for run in runs[:2]]
    assert {k for k in settings[0] if settings[0][k] != settings[1][k]} == {"run_dir", "callbacks", "logger"}
    assert (call.folder / "again" / ".hydra" / "config.yaml").is_file()


def test_a_folder_that_is_not_a_runs_cannot_be_repeated(tmp_path):
    assert repeat_of_run(["a=1"]) == ["a=1"]
    with pytest.raises(UserError, match=r"no config\.yaml there; give the folder \.hydra of a run"):
        repeat_of_run(["--config-path", str(tmp_path)])
    with pytest.raises(UserError, match="no config"):
        repeat_of_run(["--config-path"])


# --- disks ----------------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 400 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", str(folder)]
    result = subprocess.run(mount, capture_output=True, text=True)
    if result.returncode:
        pytest.skip(f"no file system can be mounted here: {result.stderr.strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_disk_that_fills_up_leaves_the_last_good_checkpoint(tmp_path, small_disk, monkeypatch):
    source, run_dir = write_text(tmp_path), small_disk / "run"
    filler = small_disk / "filler"

    class Fill(Callback):
        def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
            if trainer.global_step == 4:
                with suppress(OSError), open(filler, "wb", buffering=0) as file:
                    while file.write(bytes(1024)):
                        pass

    original = Trainer.__init__

    def with_filler(self, *args, callbacks=(), **kwargs):
        original(self, *args, callbacks=[*callbacks, Fill()], **kwargs)

    settings = [
        "trainer.max_steps=8",
        "callbacks.samples=null",
        "resume=last",
        f"data.cache_dir={tmp_path / 'cache'}",
    ]
    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "__init__", with_filler)
        with pytest.raises(UserError, match=r"last\.ckpt: the checkpoint could not be written \(.*make room"):
            train(run_dir, source, *settings)
    assert torch.load(run_dir / "checkpoints" / "last.ckpt", weights_only=True)["global_step"] == 4
    assert [p.name for p in (run_dir / "checkpoints").iterdir()] == ["last.ckpt"]
    filler.unlink()
    assert train(run_dir, source, *settings)["steps"] == 8


def test_a_folder_that_cannot_be_written_is_one_line(call, small_disk):  # noqa: F811
    source = write_text(call.folder)
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    refusal = call.refuse("train", *TINY, f"data.source={source}", f"run_dir={small_disk}/run")
    assert refusal == f"{small_disk}/run: Read-only file system; choose another run_dir"
