"""Stroke prediction as a task: its figures are the paper's whatever the batches, it learns, and it writes."""

import copy
import json
import math
from io import BytesIO
from types import SimpleNamespace
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from PIL import Image

from graves_lm.data.line_batches import LineBatch, LineLoader, collate
from graves_lm.data.line_store import LineStore
from graves_lm.data.opening import prepare
from graves_lm.data.strokes import Normalisation
from graves_lm.distributions import StrokeDistribution
from graves_lm.learning.loading import load_task
from graves_lm.learning.optim import Optimization
from graves_lm.learning.pictures import density_picture, pictures
from graves_lm.learning.tasks.making import make_task as make_task_of
from graves_lm.learning.tasks.pen import score, squared_error
from graves_lm.learning.tasks.stroke import StrokeTask
from graves_lm.learning.validation import validate
from graves_lm.models.stroke import StrokeNetwork
from graves_lm.nn.noise import AdaptiveWeightNoise
from graves_lm.rendering.layout import positions
from graves_lm.sampling.strokes import StrokeSampler
from graves_lm.trained.checkpoint import read_checkpoint
from graves_lm.trained.lines import to_line
from tests.data.lines import make_line, stored, wave
from tests.runs import compose_run, train, write_waves

NORM = Normalisation((8.0, 0.5), (40.0, 35.0))
M = 4


def make_task(seed: int = 0, **settings) -> StrokeTask:
    torch.manual_seed(seed)
    task = StrokeTask(lambda: StrokeNetwork(2, 10, mixtures=M), NORM, **settings)
    for w in task.network.parameters():
        torch.nn.init.normal_(w, std=0.3)  # far from the uniform beginning
    return task


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> LineStore:
    """Lines of very different lengths, the shortest of two points."""
    folder = tmp_path_factory.mktemp("stroke") / "store"
    lengths = [2, 3, 9, 30, 31, 90, 7, 200, 55, 2, 64, 12, 18, 150, 41]
    return stored(folder, {"val": [make_line(f"l{i}", n) for i, n in enumerate(lengths)]})


def paper_figures(network: StrokeNetwork, store: LineStore) -> dict[str, float]:
    """(15)–(26) on the network's raw outputs, line by line in float64, with densities and no logarithms of
    them until the end."""
    network = copy.deepcopy(network).double()
    nats = squares = points = 0.0
    for line in store:
        x_T3 = torch.zeros(len(line.strokes), 3, dtype=torch.float64)
        x_T3[:, 2] = torch.from_numpy(line.strokes[:, 2])
        x_T3[1:, :2] = torch.from_numpy((line.strokes[1:, :2] - NORM.mean) / NORM.std)
        with torch.no_grad():
            y_T1Y, _ = network.stack(x_T3[:-1, None], network.initial_state(1))
        for y, (x1, x2, x3) in zip(y_T1Y[:, 0].numpy(), x_T3[1:].tolist(), strict=True):
            e = 1 / (1 + np.exp(y[0]))  # (18)
            pi_hat, mu1, mu2, sigma1, sigma2, rho_hat = y[1:].reshape(6, M)
            pi = np.exp(pi_hat) / np.exp(pi_hat).sum()  # (19)
            s1, s2, rho = np.exp(sigma1), np.exp(sigma2), np.tanh(rho_hat)  # (21), (22)
            a, b = (x1 - mu1) / s1, (x2 - mu2) / s2
            Z = a**2 + b**2 - 2 * rho * a * b  # (25)
            normal = np.exp(-Z / (2 * (1 - rho**2))) / (2 * np.pi * s1 * s2 * np.sqrt(1 - rho**2))  # (24)
            nats -= math.log((pi * normal).sum() * (e if x3 == 1 else 1 - e))  # (26)
            squares += (x1 - (pi * mu1).sum()) ** 2 + (x2 - (pi * mu2).sum()) ** 2
        points += len(line.strokes) - 1
    return {"nll_per_line": nats / len(store), "nll_per_point": nats / points, "sse": squares / points}


# --- figures --------------------------------------------------------------------------------------


def test_figures_are_the_papers(store):
    task = make_task()
    loader = LineLoader(store, store.indices("val"), NORM, 4)
    found = validate(task, loader)
    assert found == pytest.approx(paper_figures(task.network, store), rel=1e-5)


@pytest.mark.parametrize(
    ("batch_size", "seed"), [(1, None), (3, None), (64, None), (1, 0), (3, 0), (3, 7), (4, 1)]
)
def test_padding_batch_order_and_bucket_choice_change_no_figure(store, batch_size, seed):
    task = make_task()
    reference = validate(task, LineLoader(store, store.indices("val"), NORM, 5))
    task.metrics.reset()
    order = np.random.default_rng(batch_size).permutation(store.indices("val"))
    found = validate(task, LineLoader(store, order, NORM, batch_size, seed=seed))
    assert found == pytest.approx(reference, rel=1e-5)


def test_processes_add_up_to_the_same_figures(store):
    task = make_task()
    reference = validate(task, LineLoader(store, store.indices("val"), NORM, 4))
    task.metrics.reset()
    with torch.inference_mode():
        for rank in range(3):
            loader = LineLoader(store, store.indices("val"), NORM, 4, rank=rank, world=3)
            for number, batch in enumerate(loader):
                task.validation_step(batch, number)
    found = {name: float(figure) for name, figure in task.metrics.compute().items()}
    assert found == pytest.approx(reference, rel=1e-5)


def test_what_stands_in_the_padding_counts_for_nothing(store):
    """Not in the figures, and not in the derivatives, however absurd it is."""
    task = make_task()
    batch = collate([store[i] for i in (0, 3, 6)], NORM)
    wild = batch.point_TB3.clone()
    wild[1:][~batch.scored_TB] = 1e9
    results = []
    for points in (batch.point_TB3, wild):
        task.zero_grad()
        one = batch._replace(point_TB3=points)
        distribution, _ = task.network(batch.point_TB3[:-1], task.network.initial_state(3))
        nats = score(distribution, one)
        nats.backward()
        grads = [w.grad.clone() for w in task.network.parameters()]
        results.append((nats, squared_error(distribution, one), grads))
    assert torch.equal(results[0][0], results[1][0])
    assert torch.equal(results[0][1], results[1][1])
    assert all(torch.equal(a, b) for a, b in zip(results[0][2], results[1][2], strict=True))


def test_each_prediction_is_made_before_its_point_is_seen(store):
    """Changing point t changes no term of the loss before t."""
    task = make_task()
    batch = collate([store[5]], NORM)
    changed = batch.point_TB3.clone()
    changed[40] += 1.0
    with torch.no_grad():
        nats = [
            -task.network(points[:-1], task.network.initial_state(1))[0].log_prob(points[1:])[:, 0]
            for points in (batch.point_TB3, changed)
        ]
    same = nats[0] == nats[1]
    assert same[:39].all()  # row t predicts point t+1
    assert not same[39:42].any()


# --- the step -------------------------------------------------------------------------------------


def gradients(unit: str, batch: LineBatch, world: int = 1, total: float = 0) -> dict[str, torch.Tensor]:
    """The weights' derivatives as the optimiser gets them, after one batch."""
    task = make_task(optimization=Optimization(torch.optim.SGD, lr=1.0, unit=unit))

    def average(own, reduce_op):
        assert reduce_op == "mean"
        return torch.tensor(total)

    task._trainer = SimpleNamespace(world_size=world, strategy=SimpleNamespace(reduce=average))
    task.log = lambda *args, **kwargs: None  # type: ignore[method-assign]
    task.training_step(batch, 0).backward()
    task.on_before_optimizer_step(None)  # type: ignore[arg-type]
    return {name: w.grad for name, w in task.network.named_parameters()}


@pytest.mark.parametrize("unit", ["sequence", "point"])
def test_units_of_the_step(store, unit):
    """The derivative of nats a line, or of nats a point."""
    batch = collate([store[i] for i in (2, 3, 4)], NORM)
    found = gradients(unit, batch)
    task = make_task()
    distribution, _ = task.network(batch.point_TB3[:-1], task.network.initial_state(3))
    (score(distribution, batch) / {"sequence": 3, "point": 8 + 29 + 30}[unit]).backward()
    for name, w in task.network.named_parameters():
        torch.testing.assert_close(found[name], w.grad, rtol=1e-4, atol=1e-6)


def test_processes_divide_by_the_same_number(store):
    """Their batches differ in points, their averaged derivatives do not: all divide by the average number,
    or their weights would part."""
    batch = collate([store[i] for i in (2, 3, 4)], NORM)
    alone, among_two = gradients("point", batch), gradients("point", batch, world=2, total=50.0)
    for name, grad in alone.items():
        torch.testing.assert_close(among_two[name], grad * 67 / 50, rtol=1e-5, atol=1e-8)


def test_adaptive_noise_adds_its_share_of_the_description(store):
    batch = collate([store[i] for i in (2, 3, 4)], NORM)
    task = make_task(
        noise=AdaptiveWeightNoise, optimization=Optimization(torch.optim.SGD, lr=1.0, unit="sequence")
    )
    task._trainer = SimpleNamespace(datamodule=SimpleNamespace(training_sequences=15))
    task.log = lambda *args, **kwargs: None  # type: ignore[method-assign]
    torch.manual_seed(3)
    loss = task.training_step(batch, 0)
    torch.manual_seed(3)
    distribution, _ = task.noise.draw(task.network)(batch.point_TB3[:-1], task.network.initial_state(3))
    description = task.noise.description_length(task.network)
    expected = score(distribution, batch) + description * 3 / 15  # KL/N for each of the batch's lines
    torch.testing.assert_close(loss, expected)
    assert description.item() > 100


# --- learning -------------------------------------------------------------------------------------


QUIETLY = (
    "callbacks.samples=null",
    "checkpoint_every=1000",
    "optimizer.lr=2e-2",
    "optimizer.warmup_steps=10",
)


def test_a_tiny_network_learns_generated_handwriting(tmp_path, generated):
    more = ("trainer.max_epochs=16", "trainer.check_val_every_n_epoch=8", "model.network.hidden_size=16")
    record = train(tmp_path / "run", generated, *QUIETLY, *more)
    # A normal of mean 0 and deviation 1 on both axes costs ln 2πe nats a point, and the pen bit some more.
    assert record["val/nll_per_point"] < math.log(2 * math.pi * math.e) - 0.7
    assert 0 < record["val/sse"] < 1.5  # two is the figure of predicting the mean
    # Both means are of one sum, over the five lines and over their points.
    lines, points = 5, sum_of_points(record)
    assert record["val/nll_per_line"] * lines == pytest.approx(record["val/nll_per_point"] * points, rel=1e-5)


def sum_of_points(record: dict) -> int:
    data = prepare(OmegaConf.create(load_task(read_checkpoint(record["checkpoint"])).config["data"]))
    return data.card["points"]["val"]


def test_what_a_trained_network_writes_is_alike(tmp_path):
    """Loops as broad and as high as those it has seen, the pen lifted every ten points or so."""
    record = train(tmp_path / "run", write_waves(tmp_path), *QUIETLY, "trainer.max_epochs=25")
    assert record["val/nll_per_point"] < -0.5
    assert record["val/sse"] < 0.2
    task = load_task(read_checkpoint(record["checkpoint"], task="stroke"))
    assert isinstance(task, StrokeTask)
    lines = task.trained().write(StrokeSampler(lines=20, length=40), seed=1)
    true = [wave(f"other-{i}", 41).strokes for i in range(20)]
    drawn_N3, true_N3 = (np.concatenate(some) for some in (lines, true))
    np.testing.assert_allclose(drawn_N3[:, :2].std(0), true_N3[:, :2].std(0), rtol=0.3)
    np.testing.assert_allclose(drawn_N3[:, 0].mean(), 12, rtol=0.3)
    assert drawn_N3[:, 2].mean() == pytest.approx(true_N3[:, 2].mean(), abs=0.05)


# --- writing --------------------------------------------------------------------------------------


def test_written_lines_are_in_data_units():
    task, sampler = make_task().eval(), StrokeSampler(lines=3, length=12)
    lines = task.trained().write(sampler, seed=4)
    drawn = torch.stack(list(sampler.points(task.network, 4)))
    for i, line in enumerate(lines):
        assert line.shape == (13, 3)
        assert line[0].tolist() == [0, 0, 0]  # where the pen begins
        np.testing.assert_allclose(
            line[1:, :2], drawn[:, i, :2].numpy() * NORM.std + NORM.mean, rtol=1e-5, atol=1e-4
        )
        assert np.array_equal(line[1:-1, 2], drawn[:-1, i, 2])
        assert line[-1, 2] == 1  # the line ends with a lifted pen
    again, other = task.trained().write(sampler, seed=4), task.trained().write(sampler, seed=5)
    assert all(np.array_equal(a, b) for a, b in zip(lines, again, strict=True))
    assert not np.array_equal(lines[0], other[0])


def test_lines_in_data_units_are_read_back():
    """`to_line` undoes what `collate` does."""
    strokes = make_line("a", 30).strokes
    strokes[0, 2] = 0
    line = to_line(collate([make_line("a", 30)], NORM).point_TB3[1:, 0].numpy(), NORM)
    np.testing.assert_allclose(line, strokes, rtol=1e-5, atol=1e-4)


def test_illustrations(tmp_path):
    """The same for the same seed, whatever is drawn elsewhere; training's own numbers are left alone."""
    task = make_task()
    data = SimpleNamespace(example=lambda: wave("a", 60))
    sampler = StrokeSampler(lines=2, length=30)
    before = torch.get_rng_state()
    files = pictures(task.trained(), sampler, data, 0)
    assert torch.equal(torch.get_rng_state(), before)
    assert list(files) == ["handwriting.svg", "handwriting.png", "density.png"]
    assert ElementTree.fromstring(files["handwriting.svg"]).tag.endswith("svg")
    for name in ("handwriting.png", "density.png"):
        with Image.open(BytesIO(files[name])) as picture:
            picture.load()
            assert picture.format == "PNG"
            assert len(set(picture.convert("L").tobytes())) > 2
    torch.rand(5)
    assert pictures(task.trained(), sampler, data, 0) == files
    others = pictures(task.trained(), sampler, data, 1)
    assert [others[name] == files[name] for name in files] == [False, False, True]


def test_the_density_lies_along_the_line_as_it_is_written():
    """Normalised offsets have no mean, so in their units a line would be drawn on the spot."""
    line = wave("a", 150)
    norm = Normalisation.fit([line.strokes])
    batch = collate([line], norm)
    T = len(batch.scored_TB)
    sure = StrokeDistribution(  # each prediction is the very point that follows
        torch.zeros(T, 1, 1),
        batch.point_TB3[1:, :, None, :2],
        torch.full((T, 1, 1, 2), -4.0),
        torch.zeros(T, 1, 1),
        torch.zeros(T, 1),
    )
    with Image.open(BytesIO(density_picture(sure, batch, norm))) as picture:
        shape = picture.width / (picture.height - 8 - 4)  # the heat map, without the row of weights
        bright_HW = np.asarray(picture.convert("L"))[: picture.height - 12] > 60
    width, height = np.ptp(positions(line.strokes), axis=0)
    assert width / height > 10
    assert shape > 6
    assert bright_HW.any(0).reshape(10, -1).any(1).all()  # from the left edge to the right one


def test_a_card_has_the_units(tmp_path):
    assert json.loads(json.dumps(make_task().metadata())) == {
        "task": "stroke",
        "config": {},
        "facts": {"normalisation": {"mean": [8.0, 0.5], "std": [40.0, 35.0]}},
    }
    cfg = compose_run(tmp_path / "run", write_waves(tmp_path))
    data = prepare(cfg.data)
    assert make_task_of(cfg, data).metadata()["facts"]["normalisation"] == data.card["normalisation"]
