"""A training step asks the device for nothing: no number is read back, no shape depends on values.

Without a GPU the operations that would make a host wait for one are refused by their names. A GPU shows the
rest: pageable copies, and what the project's operators do inside.
"""

from contextlib import ExitStack
from types import SimpleNamespace

import pytest
import torch
from lightning.pytorch import Callback
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from graves_lm.data.line_batches import LineBatch
from graves_lm.learning.data_module import CorpusDataModule
from graves_lm.learning.tasks.base import SequenceTask
from tests.runs import train, write_text, write_waves

READ_BACK = ("_local_scalar_dense", "nonzero", "nonzero_static", "masked_select", "_unique2", "is_nonzero")


class NoWaiting(TorchDispatchMode):
    """Refuses, on any device, what waits for the device on CUDA."""

    steps = 0
    operations = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func.overloadpacket.__name__
        tensors = [v for v in tree_leaves((args, kwargs)) if isinstance(v, torch.Tensor)]
        waits = name in READ_BACK
        waits |= name in ("index", "index_put", "index_put_") and any(
            v.dtype == torch.bool for v in tensors[1:]
        )
        waits |= name == "where" and any(v.dim() == 0 for v in tensors)  # a number: copied to the device
        assert not waits, f"{func} waits for a GPU"
        NoWaiting.operations += 1
        return func(*args, **(kwargs or {}))


class Watch(Callback):
    """Has `NoWaiting` look on from the start of each step to the end of what all callbacks do after it; CUDA
    looks itself, once the kernels are compiled."""

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        if pl_module.device.type == "cuda":
            torch.cuda.set_sync_debug_mode("error" if batch_idx >= 2 else "default")
            return
        made = torch.tensor

        def tensor(*args, device=None, **kwargs):
            assert device is None, "torch.tensor(…, device=…) waits for a GPU; torch.full does not"
            return made(*args, **kwargs)

        self.looking = ExitStack()
        self.looking.enter_context(pytest.MonkeyPatch.context()).setattr(torch, "tensor", tensor)
        self.looking.enter_context(NoWaiting())

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        NoWaiting.steps += 1
        if pl_module.device.type == "cuda":
            torch.cuda.set_sync_debug_mode("default")
        else:
            self.looking.close()

    def on_exception(self, trainer, pl_module, exception):
        self.looking.close()  # or all later tests of this process would be watched


def watched(tmp_path, *overrides):
    """Four steps, none of which is recorded."""
    source = write_text(tmp_path) if "model=character" in overrides else write_waves(tmp_path)
    NoWaiting.steps = NoWaiting.operations = 0
    train(
        tmp_path / "run",
        source,
        *overrides,
        "trainer.max_steps=4",
        "trainer.log_every_n_steps=1000",
        "trainer.limit_val_batches=1",
        "checkpoint_every=1000",
        f"+callbacks.watch._target_={__name__}.Watch",
    )
    assert NoWaiting.steps == 4


TASKS = ("character", "stroke", "synthesis")


@pytest.mark.parametrize("task", TASKS)
def test_a_training_step_reads_nothing_back(tmp_path, task):
    watched(tmp_path, f"model={task}")
    assert NoWaiting.operations > 100


def test_nor_do_adaptive_noise_and_the_papers_optimiser(tmp_path):
    watched(tmp_path, "model=stroke", "noise=adaptive", "optimizer=rmsprop")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
@pytest.mark.parametrize("task", TASKS)
def test_a_training_step_does_not_wait_for_the_gpu(tmp_path, task, precision):
    watched(tmp_path, f"model={task}", "trainer=gpu", f"trainer.precision={precision}")


def test_what_is_refused():
    x = torch.randn(3)
    for waits in (lambda: x.sum().item(), lambda: x[x > 0], lambda: torch.where(x > 0, x, 0), x.nonzero):
        with pytest.raises(AssertionError, match="waits"), NoWaiting():
            waits()


def test_processes_agree_on_the_unit_without_reading_it():
    task = SimpleNamespace(
        parameters=lambda: [w],
        _units=6,
        _staying=[],
        device="cpu",
        trainer=SimpleNamespace(
            world_size=2, strategy=SimpleNamespace(reduce=lambda own, reduce_op: (own + 2) / 2)
        ),
    )
    w = torch.nn.Parameter(torch.zeros(2))
    w.grad = torch.tensor([4.0, -8.0])
    with NoWaiting():
        SequenceTask.on_before_optimizer_step(task, None)
    torch.testing.assert_close(w.grad, torch.tensor([1.0, -2.0]))
    assert task._units == 0


def test_batches_are_pinned_for_a_gpu(monkeypatch):
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda self: self + 1)
    batch = LineBatch(torch.zeros(2, 1, 3), torch.zeros(1, 1), torch.zeros(1, 1), 5)
    for kind, changed in (("cuda", 1), ("cpu", 0)):
        strategy = SimpleNamespace(root_device=torch.device(kind))
        data = SimpleNamespace(trainer=SimpleNamespace(strategy=strategy))
        moved = CorpusDataModule.on_before_batch_transfer(data, batch, 0)
        assert isinstance(moved, LineBatch)
        assert moved.size == 5
        assert all((part == changed).all() for part in moved[:3])
