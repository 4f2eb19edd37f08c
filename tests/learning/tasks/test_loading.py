import pytest
import torch

from graves_lm.learning.loading import load_task
from graves_lm.runtime.errors import UserError
from graves_lm.trained.checkpoint import read_checkpoint
from tests.runs import train, write_text


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    folder = tmp_path_factory.mktemp("loading")
    train(folder / "run", write_text(folder), "trainer.max_steps=2", "noise=adaptive")
    return folder / "run" / "checkpoints" / "last.ckpt"


def test_a_loaded_task_gives_the_saved_figures(checkpoint):
    saved = torch.load(checkpoint, weights_only=True)["state_dict"]
    task = load_task(read_checkpoint(checkpoint, task="character"))
    assert not task.training
    assert len(task.symbols) == task.network.symbols
    for name, value in task.state_dict().items():
        assert torch.equal(value, saved[name])


def test_a_checkpoint_may_not_call_foreign_code(checkpoint):
    content = read_checkpoint(checkpoint)
    content["graves_lm"]["config"]["model"]["network"]["_target_"] = "os.system"
    with pytest.raises(UserError, match=r"os\.system"):
        load_task(content)


def test_another_tasks_checkpoint_is_refused(checkpoint):
    with pytest.raises(UserError, match="model=character"):
        read_checkpoint(checkpoint, task="stroke")


@pytest.mark.parametrize("keep", [0, 1, 1000, -1])
def test_truncated_checkpoint(checkpoint, tmp_path, keep):
    broken = tmp_path / "broken.ckpt"
    broken.write_bytes(checkpoint.read_bytes()[:keep])
    with pytest.raises(UserError, match="truncated"):
        read_checkpoint(broken)


def test_other_files(tmp_path):
    with pytest.raises(UserError, match="no such file"):
        read_checkpoint(tmp_path / "none.ckpt")
    torch.save({"state_dict": {}}, tmp_path / "foreign.ckpt")
    with pytest.raises(UserError, match="not a checkpoint of graves_lm"):
        read_checkpoint(tmp_path / "foreign.ckpt")
