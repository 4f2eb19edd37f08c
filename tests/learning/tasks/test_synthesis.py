"""The synthesis task: figures that no batching changes, and stages that begin with other weights."""

import json

import numpy as np
import pytest
import torch

from graves_lm.data.hershey.corpus import HersheyData
from graves_lm.data.strokes import StrokeLine
from graves_lm.learning.loading import load_task
from graves_lm.learning.pictures import BIASES, COMPARED, comparisons
from graves_lm.learning.validation import validate
from graves_lm.runtime.errors import UserError
from graves_lm.sampling.synthesis import SynthesisSampler
from graves_lm.trained.checkpoint import read_checkpoint
from graves_lm.trained.handwriting import TextPassage
from tests.runs import HERSHEY, train

SYNTHESIS = (
    "model=synthesis",
    "sampler=biased",
    "model.network.layers=2",
    "model.network.window_components=2",
    "sampler.points_per_character=1",
)


@pytest.fixture(scope="module")
def run(tmp_path_factory, generated):
    folder = tmp_path_factory.mktemp("synthesis") / "run"
    metrics = train(folder, generated, *SYNTHESIS, "trainer.max_steps=3")
    return folder, metrics


def hershey(generated, **settings) -> HersheyData:
    lines = HERSHEY | {"line_characters": json.loads(HERSHEY["line_characters"])}
    data = HersheyData(**lines, cache_dir=generated, **settings)
    data.prepare()
    data.open()
    return data


def test_a_run_writes_figures_and_pictures(run):
    folder, metrics = run
    names = {"nll_per_line", "nll_per_point", "sse", "read_to_end", "advance"}
    assert {f"val/{name}" for name in names} <= metrics.keys()
    assert 0 <= metrics["val/read_to_end"] <= 1
    assert metrics["val/advance"] == pytest.approx(1 / 25, rel=0.2)  # as it began, after three steps
    kinds = {p.name.partition("-")[2] for p in (folder / "samples").glob("best-*")}
    pages = {f"{page}.{kind}" for page in ("handwriting", "biases", "primed") for kind in ("svg", "png")}
    assert kinds == {"density.png", "window.png"} | pages


def test_the_compared_pages_hold_one_line_a_bias_and_the_real_line_above_its_imitation(run, generated):
    task = load_task(read_checkpoint(run[0] / "checkpoints" / "best.ckpt", task="synthesis"))
    example = hershey(generated).example()
    sampler = SynthesisSampler(bias=2.0, points_per_character=1)
    pages = comparisons(task.trained(), sampler, example, seed=3)
    text = task.alphabet.spell(COMPARED, "skip")
    assert len(pages["biases"]) == len(BIASES)
    unbiased, *biased = pages["biases"]
    ((alone, _),) = task.trained().write(sampler.at_bias(BIASES[0]), TextPassage([text], seed=3))
    np.testing.assert_array_equal(unbiased, alone.strokes)
    for line in biased:
        assert not np.array_equal(line[: len(unbiased)], unbiased[: len(line)])
    real, imitation = pages["primed"]
    np.testing.assert_array_equal(real, example.strokes)
    assert len(imitation) > 1
    dot = StrokeLine("dot", example.strokes[:3], "a")
    assert comparisons(task.trained(), sampler, dot, seed=3).keys() == {"biases"}  # too short to show a style


def test_no_batching_changes_a_figure(run, generated):
    task = load_task(read_checkpoint(run[0] / "checkpoints" / "best.ckpt", task="synthesis"))
    found = []
    for size in (1, 2, 5):
        data = hershey(generated, eval_batch_size=size)
        data.read_as(task.facts)
        task.metrics.reset()
        found.append(validate(task, data.evaluation_batches("val")))
    for figures in found[1:]:
        assert figures == pytest.approx(found[0], rel=1e-5)


def test_it_begins_with_the_weights_of_stroke_prediction_and_gives_them_back(tmp_path, generated):
    layers = "model.network.layers=2"
    train(tmp_path / "stroke", generated, layers, "trainer.max_steps=1")
    weights = tmp_path / "stroke" / "checkpoints" / "best.ckpt"
    frozen = ("trainer.max_steps=1", "optimizer.lr=1e-12")
    train(tmp_path / "synthesis", generated, *SYNTHESIS, f"init={weights}", *frozen)
    first, second = (
        torch.load(tmp_path / name / "checkpoints" / "best.ckpt", weights_only=True)["state_dict"]
        for name in ("stroke", "synthesis")
    )
    shared = [key for key in first if key.startswith("network.stack.")]
    assert len(shared) > 8
    for key in shared:
        assert torch.allclose(first[key], second[key], atol=1e-6), key
    # And the other way round: the window stays behind.
    weights = tmp_path / "synthesis" / "checkpoints" / "best.ckpt"
    train(tmp_path / "back", generated, layers, f"init={weights}", *frozen)
    third = torch.load(tmp_path / "back" / "checkpoints" / "best.ckpt", weights_only=True)["state_dict"]
    assert third.keys() == first.keys()
    for key in shared:
        assert torch.allclose(second[key], third[key], atol=1e-6), key


def test_lines_without_a_text_are_refused(tmp_path):
    ink = tmp_path / "ink.json"
    line = {"strokes": [[[x * x % 17, x % 3] for x in range(30)]]}
    ink.write_text(json.dumps({"lines": [{**line, "text": "ab"}, line, {**line, "text": "b"}]}))
    with pytest.raises(UserError, match="has no text, and model=synthesis learns to write texts"):
        train(tmp_path / "run", ink, *SYNTHESIS)
