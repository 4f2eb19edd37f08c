"""What is used of Lightning's and W&B's private members is there and does what it is used for.

Each is seen at work in a training of Lightning's own kind: what the member says beforehand is compared with
what the trainer then does.
"""

import ast
import inspect
import re
from importlib import import_module
from pathlib import Path

import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers.logger import Logger

import graves_lm
from graves_lm.learning import private
from graves_lm.learning.private import (
    OpenWandbLogger,
    ResumableFitLoop,
    counts_of_steps,
    figures_to_come,
    log_step,
    validate_now,
    validation_is_due,
)

LEARNING = Path(graves_lm.__file__).parent / "learning"


class Batches:
    def __init__(self, *numbers):
        self.numbers = numbers

    def __len__(self):
        return len(self.numbers)

    def __iter__(self):
        return iter([torch.full((2,), float(number)) for number in self.numbers])


class Slope(LightningModule):
    """One weight, ten numbers an epoch."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(()))

    def training_step(self, batch, batch_idx):
        loss = (self.weight * batch).square().mean()
        self.log("loss", loss.detach())
        return loss

    def validation_step(self, batch, batch_idx):
        self.log("val", self.weight.detach())

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.01)

    def train_dataloader(self):
        return Batches(*range(1, 11))

    def val_dataloader(self):
        return Batches(1)


class Record(Logger):
    """The figures of training as they are logged."""

    name = version = "record"

    def __init__(self):
        super().__init__()
        self.rows = []

    def log_metrics(self, metrics, step=None):
        if "loss" in metrics:
            self.rows.append((step, float(metrics["loss"])))

    def log_hyperparams(self, *args, **kwargs):
        pass


def fit(folder, *callbacks, ckpt=None, loop=True, **settings):
    """A trainer that has trained, and what it logged."""
    logger = Record()
    trainer = Trainer(
        accelerator="cpu",
        logger=logger,
        callbacks=list(callbacks),
        default_root_dir=folder,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        **({"max_epochs": 2, "log_every_n_steps": 3} | settings),
    )
    if loop:
        trainer.fit_loop = ResumableFitLoop(trainer)
    trainer.fit(Slope(), ckpt_path=ckpt)
    return trainer, logger.rows


class Order(Callback):
    """What came, in order."""

    def __init__(self):
        self.came = []

    def on_train_start(self, trainer, pl_module):
        self.came.append("start")

    def on_validation_end(self, trainer, pl_module):
        self.came.append(("validation", trainer.global_step, trainer.current_epoch))

    def on_train_end(self, trainer, pl_module):
        self.came.append("end")


@pytest.mark.parametrize(
    "settings", [{"val_check_interval": 4}, {"val_check_interval": 1.0}, {"check_val_every_n_epoch": 2}]
)
def test_a_validation_comes_when_it_is_due(tmp_path, settings):
    class Ask(Order):
        def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
            if validation_is_due(trainer):
                self.came.append(("due", trainer.global_step, trainer.current_epoch))

    ask = Ask()
    fit(tmp_path, ask, **settings)
    due = [("validation", *what[1:]) for what in ask.came if what[0] == "due"]
    validated = [what for what in ask.came if what[0] == "validation"]
    assert due == validated != []


def test_the_figures_to_come_are_those_that_are_logged(tmp_path):
    class Ask(Callback):
        found: list = []  # noqa: RUF012

        def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
            if coming := figures_to_come(trainer):
                self.found.append((coming[1], float(coming[0]["loss"])))

    _, rows = fit(tmp_path, Ask())
    assert [step for step, _ in rows] == [2, 5, 8, 11, 14, 17]
    assert Ask.found == rows


def test_a_step_can_be_logged_before_its_turn(tmp_path):
    class Stop(Exception):
        pass

    class Leave(Callback):
        def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
            if trainer.global_step == 6:
                log_step(trainer)
                self.rows = list(trainer.logger.rows)
                raise Stop

    leave = Leave()
    with pytest.raises(Stop):
        fit(tmp_path, leave)
    _, rows = fit(tmp_path)
    assert leave.rows == rows[:2]


def test_the_counts_of_steps_are_those_of_the_optimiser_and_of_the_logs(tmp_path):
    trainer, _ = fit(tmp_path, accumulate_grad_batches=3, max_epochs=1)
    assert trainer.global_step == 4
    assert counts_of_steps(trainer.fit_loop.state_dict()) == (4, 4)


class Save(Callback):
    """A checkpoint after a step, which the run need not live to see the end of."""

    def __init__(self, path, step):
        self.path, self.step = path, step

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        if trainer.global_step == self.step:
            trainer.save_checkpoint(self.path)


def test_a_validation_out_of_turn_leaves_the_training_as_it_was(tmp_path):
    """As after the step that the run goes on from, in that step's epoch."""

    class Extra(Order):
        def on_train_start(self, trainer, pl_module):
            super().on_train_start(trainer, pl_module)
            validate_now(trainer)
            assert trainer.training

    saved = tmp_path / "saved.ckpt"
    fit(tmp_path, Save(saved, 15))
    plain, extra = Order(), Extra()
    trainer, rows = fit(tmp_path, plain, ckpt=saved)
    again, more = fit(tmp_path, extra, ckpt=saved)
    assert more == rows
    assert (again.global_step, again.current_epoch) == (trainer.global_step, trainer.current_epoch) == (20, 2)
    assert plain.came == ["start", ("validation", 20, 1), "end"]
    assert extra.came == ["start", ("validation", 15, 1), ("validation", 20, 1), "end"]


def test_a_loop_with_no_step_left_begins_all_the_same(tmp_path):
    """Lightning's own does not, and what was cut short after the last step would never come."""
    steps, saved = {"max_epochs": -1, "max_steps": 20}, tmp_path / "saved.ckpt"
    fit(tmp_path, Save(saved, 20), **steps)
    for loop, came in ((False, []), (True, ["start", "end"])):
        order = Order()
        trainer, _ = fit(tmp_path, order, ckpt=saved, loop=loop, **steps)
        assert order.came == came
        assert trainer.global_step == 20
    assert trainer.current_epoch == 2
    assert counts_of_steps(trainer.fit_loop.state_dict()) == (20, 20)


# --- W&B --------------------------------------------------------------------------------------------


def test_the_wandb_logger_shows_what_it_will_begin_with(tmp_path):
    logger = OpenWandbLogger(project="p", name="n", save_dir=str(tmp_path), offline=True, tags=["a"])
    assert logger.begun is None
    assert {k: logger.arguments[k] for k in ("project", "name", "dir", "tags")} == {
        "project": "p",
        "name": "n",
        "dir": str(tmp_path),
        "tags": ["a"],
    }


def test_wandb_publishes_artifacts_as_it_did(monkeypatch):
    """The call as it is made; what arrives in a run's file and at a server is in tests/learning/tracking."""
    from wandb.sdk.interface.interface import InterfaceBase
    from wandb.sdk.wandb_run import Run

    calls = []
    signature = inspect.signature(InterfaceBase.publish_artifact)

    class Interface:
        def publish_artifact(self, *args, **kwargs):
            calls.append(signature.bind(self, *args, **kwargs).arguments)

    class Artifact:
        def finalize(self):
            calls.append("finalized")

    class Stand:
        _interface = Interface()

    assert "_interface" in inspect.getsource(Run)
    artifact, run = Artifact(), Stand()
    private.publish(run, artifact, ["best"], used=True)
    assert calls[0] == "finalized"
    said = {k: v for k, v in calls[1].items() if k != "self"}
    assert said == {
        "run": run,
        "artifact": artifact,
        "aliases": ["latest", "best"],
        "tags": None,
        "finalize": True,
        "is_user_created": True,
        "use_after_commit": True,
    }


# --- nowhere else -------------------------------------------------------------------------------------

OTHERS = re.compile(r"_(make|replace|fields|asdict|foreach_\w+|exit|target_|get_parent)")
"""Of named tuples, torch, os, Hydra and OmegaConf."""


def files():
    return [path for path in sorted(LEARNING.rglob("*.py")) if path.name != "private.py"]


@pytest.mark.parametrize("path", files(), ids=lambda path: path.name)
def test_no_other_file_uses_a_private_member(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        private = isinstance(node, ast.Attribute) and re.match(r"_[a-z]", node.attr)
        if private and not OTHERS.fullmatch(node.attr):
            own = isinstance(node.value, ast.Name) and node.value.id == "self"
            assert own, f"{path}:{node.lineno}: {node.attr}"
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(("lightning", "wandb")):
            assert not [name.name for name in node.names if name.name.startswith("_")]


@pytest.mark.parametrize("path", files(), ids=lambda path: path.name)
def test_no_other_class_uses_one_that_it_inherits(path):
    """What a class calls self._name is its own, or of a base that is ours."""
    name = ".".join(path.relative_to(LEARNING.parents[1]).with_suffix("").parts)
    module = import_module(name.removesuffix(".__init__"))
    for kind in vars(module).values():
        if not inspect.isclass(kind) or kind.__module__ != module.__name__:
            continue
        used = set(re.findall(r"\bself\.(_[a-z]\w*)", inspect.getsource(kind)))
        for base in kind.__mro__[1:]:
            if base.__module__.startswith(("lightning", "torchmetrics", "wandb")):
                theirs = set(re.findall(r"\bself\.(_[a-z]\w*)", inspect.getsource(base))) | set(vars(base))
                assert not used & theirs, f"{kind.__name__} uses {used & theirs} of {base.__name__}"
