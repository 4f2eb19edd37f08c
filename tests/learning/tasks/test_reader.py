"""Reading as a task: it learns to read, and its figures do not depend on batches."""

from functools import partial

import numpy as np
import pytest
import torch

from graves_lm.data.alphabet import Alphabet
from graves_lm.data.distortion import distorted
from graves_lm.data.line_batches import LineLoader, collate
from graves_lm.data.line_store import LineStore
from graves_lm.data.strokes import Normalisation, StrokeLine
from graves_lm.learning.loading import load_task
from graves_lm.learning.optim import Optimization
from graves_lm.learning.tasks.reader import ReaderTask
from graves_lm.learning.validation import validate
from graves_lm.models.frames import ink_frames
from graves_lm.models.reader import ReaderNetwork, text_nats
from graves_lm.trained.checkpoint import read_checkpoint
from graves_lm.trained.loading import load_reader
from tests.data.lines import make_line, stored
from tests.runs import train

NORM = Normalisation((8.0, 0.5), (40.0, 35.0))


def make_task(hidden_size: int = 9, **settings) -> ReaderTask:
    torch.manual_seed(0)
    make = partial(ReaderNetwork, layers=1, hidden_size=hidden_size)
    task = ReaderTask(make, NORM, Alphabet("abc "), **settings)
    task.config = {"sampler": {"_target_": "graves_lm.sampling.reader.BestPath"}}
    task.log = lambda *args, **kwargs: None  # type: ignore[method-assign]
    return task


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> LineStore:
    folder = tmp_path_factory.mktemp("reader") / "store"
    texts = ["a", "ab", "c b a", "abcabc", "b", "cc", "a b", "abc"]
    lengths = [30, 60, 90, 130, 31, 64, 120, 75]
    drawn = zip(texts, lengths, strict=True)
    return stored(folder, {"val": [make_line(f"l{i}", n, text) for i, (text, n) in enumerate(drawn)]})


@pytest.mark.parametrize("batch_size", [1, 3, 8])
def test_figures_do_not_depend_on_batches(store, batch_size):
    """Against each line read by itself, edits counted one by one."""
    task = make_task().eval()
    lines = [store[int(i)] for i in store.indices("val")]
    read = task.trained().read([line.strokes for line in lines])
    nats = sum(nats_of(task, line) for line in lines)
    found = validate(task, LineLoader(store, store.indices("val"), NORM, batch_size, alphabet=task.alphabet))
    characters = sum(len(line.text) for line in lines)
    edits = sum(edit_distance(line.text, r) for line, r in zip(lines, read, strict=True))
    assert found["cer"] == pytest.approx(edits / characters)
    assert found["nats_per_character"] == pytest.approx(nats / characters, rel=1e-4)


def nats_of(task: ReaderTask, line: StrokeLine) -> float:
    log_p_TBY, length_B = task.trained().outputs([torch.from_numpy(ink_frames(line.strokes))])
    return float(text_nats(log_p_TBY, length_B, torch.from_numpy(task.alphabet.encode(line.text))[None]))


def edit_distance(a: str, b: str) -> int:
    """By its recursion, (Levenshtein 1966)."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        before, row = row, [i]
        for j, y in enumerate(b, 1):
            row.append(min(before[j] + 1, row[-1] + 1, before[j - 1] + (x != y)))
    return row[-1]


def test_a_batch_gives_back_the_lines_that_it_is_made_of(store):
    task = make_task()
    lines = [store[i] for i in (0, 3, 5)]
    for line, again in zip(lines, task.lines(collate(lines, NORM, task.alphabet)), strict=True):
        assert ink_frames(again) == pytest.approx(ink_frames(line.strokes), abs=1e-3)


def test_the_unit_of_the_step_is_the_character(store):
    task = make_task(optimization=Optimization(torch.optim.SGD, lr=1.0, unit="point"))
    task.training_step(collate([store[2], store[3]], NORM, task.alphabet), 0)
    assert task._units == len("c b a") + len("abcabc")


def test_a_line_too_short_for_its_text_teaches_nothing(store):
    task = make_task(optimization=Optimization(torch.optim.SGD, lr=1.0))
    task.training_step(collate([make_line("x", 3, "abcabcabcabcabc")], NORM, task.alphabet), 0).backward()
    assert all(torch.equal(w.grad, torch.zeros_like(w)) for w in task.network.parameters())


def test_a_resumed_run_is_the_unbroken_one_to_the_bit(tmp_path, generated):
    """Distortions and dropout are those of the unbroken run, in the middle of an epoch too."""
    settings = ("model=reader", "optimizer.schedule=constant", "trainer.val_check_interval=1.0")
    train(tmp_path / "whole", generated, *settings, "trainer.max_steps=9")
    train(tmp_path / "half", generated, *settings, "trainer.max_steps=4")
    train(tmp_path / "half", generated, *settings, "trainer.max_steps=9", "resume=last")
    last = [tmp_path / name / "checkpoints" / "last.ckpt" for name in ("whole", "half")]
    one, other = (read_checkpoint(path)["state_dict"] for path in last)
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_it_learns_to_read(store):
    """A few lines whose shapes have nothing of letters but differ; however they are distorted."""
    task = make_task(hidden_size=32, optimization=Optimization(torch.optim.Adam, lr=1e-2, clip_norm=1.0))
    lines = [store[i] for i in (1, 3, 5, 7)]
    batch = collate(lines, NORM, task.alphabet)
    optimizer = torch.optim.Adam(task.network.parameters(), lr=1e-2)
    for _ in range(150):
        optimizer.zero_grad()
        (task.training_step(batch, 0) / 100).backward()
        torch.nn.utils.clip_grad_norm_(task.network.parameters(), 1.0)
        optimizer.step()
    assert task.eval().trained().read([line.strokes for line in lines]) == [line.text for line in lines]


def test_what_reads_is_what_was_trained(tmp_path, generated):
    run_dir = tmp_path / "run"
    metrics = train(run_dir, generated, "model=reader", "trainer.max_steps=4")
    assert metrics["val/cer"] > 0
    best = run_dir / "checkpoints" / "best.ckpt"
    task, reader = load_task(read_checkpoint(best)), load_reader(best)
    line = make_line("x", 90, "a")
    assert reader.read([line.strokes]) == task.trained().read([line.strokes])
    assert (run_dir / "samples" / "best-reading.txt").read_text().count("\n") > 5
    assert (run_dir / "samples" / "best-reading.png").is_file()


def test_a_distorted_line_keeps_its_strokes():
    line = make_line("x", 90, "a").strokes
    made = distorted(line, np.random.default_rng(0))
    assert made.shape == line.shape
    assert (made[:, 2] == line[:, 2]).all()
    assert (made[0] == line[0]).all()
    assert not np.allclose(made, line)
    assert np.array_equal(made, distorted(line, np.random.default_rng(0)))
    assert len({ink_frames(distorted(line, np.random.default_rng(s))).tobytes() for s in range(20)}) == 20
