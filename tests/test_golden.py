"""The losses of each task's first steps: a change that means to change nothing must reproduce them.

    python tests/test_golden.py

writes them anew, into tests/golden/. The runs are short, so that other processors and kernels, which round
differently, stay far within the tolerance.
"""

import json
import sys
import tempfile
from pathlib import Path

import pytest
from lightning.pytorch import Callback, Trainer

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.runs import train, write_text, write_waves

FOLDER = Path(__file__).parent / "golden"
STEPS = 12
TASKS = {
    "character": ["optimizer=sgd", "optimizer.unit=point", "optimizer.lr=0.1", "noise=fixed"],
    "stroke": ["optimizer=rmsprop", "optimizer.lr=1e-3", "model.network.layers=2"],
    "synthesis": ["model=synthesis", "optimizer=adamw", "model.network.layers=2"],
}
RELATIVE = 5e-4


def losses(task: str, folder: Path) -> list[float]:
    """Nats of each batch, summed, of the task's run in `folder`."""
    found = []

    class Watch(Callback):
        def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
            found.append(outputs["loss"].item())

    source = folder / "generated"
    source.mkdir(parents=True)
    if task != "synthesis":
        source = write_text(folder) if task == "character" else write_waves(folder)
    settings = [f"trainer.max_steps={STEPS}", "callbacks.samples=null", "optimizer.warmup_steps=0", "seed=1"]
    original = Trainer.__init__

    def with_watch(self, *args, callbacks=(), **kwargs):
        original(self, *args, callbacks=[*callbacks, Watch()], **kwargs)

    Trainer.__init__ = with_watch
    try:
        train(folder / "run", source, *settings, *TASKS[task])
    finally:
        Trainer.__init__ = original
    return found


@pytest.mark.parametrize("task", TASKS)
def test_losses_are_those_of_the_record(task, tmp_path):
    record = json.loads((FOLDER / f"{task}.json").read_text())
    assert record["settings"] == TASKS[task]
    assert losses(task, tmp_path / "data") == pytest.approx(record["losses"], rel=RELATIVE)


@pytest.mark.parametrize("task", TASKS)
def test_the_record_is_of_a_run_that_learns(task):
    """A flat curve would not tell a broken step from a right one."""
    curve = json.loads((FOLDER / f"{task}.json").read_text())["losses"]
    assert len(curve) == STEPS
    assert max(curve) - min(curve) > 20 * RELATIVE * max(map(abs, curve))


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name, overrides in TASKS.items():
        with tempfile.TemporaryDirectory() as scratch:
            content = {"settings": overrides, "losses": losses(name, Path(scratch) / "data")}
        (FOLDER / f"{name}.json").write_text(json.dumps(content, indent=2) + "\n")
        print(name, *(f"{value:.3f}" for value in content["losses"]))
