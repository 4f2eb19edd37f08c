"""Quality of samples: each figure against a statement of its own, and the command on a tiny network."""

import json
import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.errors import InstantiationException

from graves_lm.commands.launch import CONF
from graves_lm.data.alphabet import Alphabet
from graves_lm.data.features import features
from graves_lm.data.strokes import Normalisation
from graves_lm.evaluation import run
from graves_lm.evaluation.measured import Measured, compare, diversity, read, wasserstein
from graves_lm.evaluation.samples import choose, primed_pairs
from graves_lm.learning.tasks.synthesis import SynthesisTask
from graves_lm.models.synthesis import SynthesisNetwork, Text, past_the_end
from graves_lm.runtime.errors import UserError
from graves_lm.sampling.synthesis import SynthesisSampler
from graves_lm.trained.handwriting import TextPassage
from graves_lm.trained.loading import load_trained
from tests.data.lines import make_line, make_store
from tests.runs import train


class NoBar:
    def update(self):
        pass


def measured(text="ab", coverage=(20.0, 20.0), stopped=True, nats=-10.0, points=40):
    return Measured(text, make_line(text, points + 1).strokes, np.array(coverage), stopped, nats)


def test_figures_of_the_window_and_the_likelihood():
    other = np.random.default_rng(0).normal(size=(50, 5))
    lines = [
        measured(),
        measured("a b", (20.0, 0.2, 20.0)),  # a space may be short
        measured("abc", (20.0, 0.2, 90.0), nats=-50.0, points=60),
        measured(stopped=False, points=20),
    ]
    found = compare(lines, other, long=80.0)
    assert found["stopped"] == 3 / 4
    assert found["clean"] == 2 / 4
    assert found["skipped"] == 1 / 9
    assert found["repeated"] == 1 / 10
    assert found["points_per_character"] == pytest.approx((40 / 2 + 40 / 3 + 60 / 3 + 20 / 2) / 4)
    assert found["nats_per_point"] == pytest.approx(-80 / 160)


def test_distances_are_in_standard_deviations_of_the_other_lines():
    lines = [measured(str(i), (20.0,)) for i in range(6)]
    values = np.array([features(line.strokes) for line in lines])
    spread = values.std(axis=0)
    found = compare(lines, values + 3 * spread, long=80.0)
    assert [found[k] for k in found if k.startswith("distance/")] == pytest.approx([3.0] * 5)


def test_diversity_is_that_within_texts():
    lines = [make_line(str(i), 50).strokes for i in range(12)]
    values = np.array([features(line) for line in lines])
    within = np.sqrt(np.mean([values[i : i + 3].var(axis=0, ddof=1) for i in range(0, 12, 3)], axis=0))
    assert diversity(lines, 3, values) == pytest.approx((within / values.std(axis=0)).mean())
    assert diversity([lines[0], lines[0], lines[1], lines[1]], 2, values) == 0


def test_real_lines_are_read_point_by_point():
    """Coverage, stop rule and nats of `read` against the network fed one point after another."""
    torch.manual_seed(1)
    task = SynthesisTask(
        lambda symbols: SynthesisNetwork(symbols, 2, 10, 3, 4, points_per_character=8.0),
        Normalisation((8.0, 0.0), (42.0, 36.0)),
        Alphabet("abc "),
    ).eval()
    lines = [make_line("x", 50, "ab c"), make_line("y", 23, "a")]
    for line, found in zip(lines, read(task, lines, NoBar()), strict=True):
        text = Text.of([task.alphabet.encode(line.text).tolist()])
        point_T3 = torch.from_numpy(task.normalisation.apply(line.strokes))
        point_T3[0, :2] = 0
        state, coverage, stopped, nats = task.network.initial_state(1), np.zeros(len(line.text)), False, 0.0
        with torch.no_grad():
            for before_3, point_3 in pairwise(point_T3):
                distribution, state, phi_1V = task.network.step(before_3.unsqueeze(0), text, state)
                coverage += (phi_1V[0] / phi_1V.sum())[:-1].double().numpy()
                stopped |= bool(past_the_end(phi_1V, text))
                nats -= float(distribution.log_prob(point_3.unsqueeze(0)))
        assert found.coverage_U == pytest.approx(coverage, abs=1e-3)
        assert found.nats == pytest.approx(nats, abs=1e-2)
        assert (found.stopped, found.points) == (stopped, len(line.strokes) - 1)


def test_the_lines_compared_are_not_those_written(tmp_path):
    store = make_store(tmp_path / "lines", [5] * 9)
    chosen, others = choose(store, store.indices("train"), 100, 0)
    assert (len(chosen), len(others)) == (4, 5)
    assert sorted(chosen + others) == list(range(9))
    assert choose(store, store.indices("train"), 3, 0)[0] == chosen[:3]
    assert choose(store, store.indices("train"), 3, 1)[0] != chosen[:3]
    with pytest.raises(UserError, match="3 held-out lines are too few"):
        choose(store, store.indices("train")[:3], 2, 0)


@pytest.fixture(scope="module")
def ckpt(tmp_path_factory, generated):
    folder = tmp_path_factory.mktemp("samples")
    window = ("model.network.points_per_character=6", "trainer.limit_val_batches=1")
    train(folder / "run", generated, "model=synthesis", "trainer.max_steps=1", *window)
    return folder / "run" / "checkpoints" / "best.ckpt"


def evaluate(*settings):
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return run(compose("evaluate", list(settings)))


def test_the_command(ckpt, tmp_path, capsys):
    settings = (f"ckpt={ckpt}", "samples=true", "sentences=2", "biases=[0,0.7]", "split=val", "seed=3")
    figures = evaluate(*settings, f"run_dir={tmp_path}")
    out = capsys.readouterr().out
    assert "2 texts of data=hershey, val; candidates=1 retries=0 seed=3; compared with 3 other lines" in out
    assert [line.split()[0] for line in out.splitlines()[2:6]] == ["stopped", "clean", "skipped", "repeated"]
    record = json.loads((tmp_path / "samples.json").read_text())
    assert list(record["figures"]) == ["real", "bias 0", "bias 0.7"]
    assert figures["bias 0.7/clean"] == record["figures"]["bias 0.7"]["clean"]
    assert all(math.isfinite(figure) for figure in figures.values())
    assert [len(lines) for lines in record["lines"].values()] == [2, 2]
    pages = sorted(p.name for p in (tmp_path / "samples").iterdir())
    assert pages == [f"{page}.{kind}" for page in ("bias-0.7", "bias-0", "primed") for kind in ("png", "svg")]
    along = evaluate(*settings, f"run_dir={tmp_path}", "biases=[[0,1]]")
    assert "bias 0 to 1/clean" in along
    assert (tmp_path / "samples" / "bias-0-to-1.svg").is_file()
    again = evaluate(*settings, f"run_dir={tmp_path}", "sampler.batch_size=1")
    assert again == pytest.approx(figures, rel=1e-3)  # whichever lines are drawn together


def test_primed_pairs_are_of_different_writers_below_their_own_lines(ckpt):
    trained = load_trained(ckpt)
    names = ["ann", "ann", "bob", "dot", "cyd"]
    text = next(c for c in trained.alphabet.characters if c != " ")
    lines = [make_line(f"line-{i}", 30 + i, text * 3) for i in range(5)]
    lines = [line._replace(writer=name) for line, name in zip(lines, names, strict=True)]
    lines[3] = lines[3]._replace(strokes=lines[3].strokes[:3])  # too short to show a style
    trained.normalisation = Normalisation.fit([line.strokes for line in lines])
    sampler = SynthesisSampler(points_per_character=2)
    page = primed_pairs(trained, sampler, lines, [4, 3, 0, 1, 2], [text], seed=1)
    assert len(page) == 6
    for real, i in zip(page[::2], (4, 0, 2), strict=True):
        np.testing.assert_array_equal(real, lines[i].strokes)
    ((alone, _),) = trained.write(sampler, TextPassage([text], 1, lines[4]))
    np.testing.assert_array_equal(page[1], alone.strokes)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("sentences=0", "sentences=0: a whole number, 1 or more"),
        ("biases=[]", "give at least one"),
        ("biases=[-1]", "sampler.bias=-1"),
        ("sampler.candidates=0", "sampler.candidates=0"),
        ("sampler=unbiased", "sampler.bias: samples=true writes at each of biases="),
        ("sampler=biased", "sampler.bias: samples=true writes at each of biases="),
        ("sampler.bias=0", "sampler.bias: samples=true writes at each of biases="),
        ("sampler=primed", "sampler.prime: lines of the data are the primes"),
        ("sampler.prime_text=abc", "sampler.prime_text: lines of the data are the primes"),
        ("precision=bf16-mixed", "leave precision, pictures out"),
        ("pictures=true", "leave precision, pictures out"),
        ("trainer=gpu", "on the CPU: leave trainer out"),
    ],
)
def test_bad_settings_are_refused(ckpt, tmp_path, setting, message):
    with pytest.raises((UserError, InstantiationException), match=message.replace("[", r"\[")):
        evaluate(f"ckpt={ckpt}", "samples=true", f"run_dir={tmp_path}", setting)


def test_other_models_have_no_texts_to_write(generated, tmp_path):
    train(tmp_path / "run", generated, "trainer.max_steps=1", "trainer.limit_val_batches=1")
    with pytest.raises(UserError, match="samples=true is for model=synthesis"):
        evaluate(f"ckpt={tmp_path / 'run' / 'checkpoints' / 'best.ckpt'}", "samples=true")


def test_the_wasserstein_distance():
    rng = np.random.default_rng(1)
    a, b = rng.normal(0, 1, 500), rng.normal(0, 1, 500)
    assert wasserstein(a, a) == 0
    assert wasserstein(a, a + 2.5) == pytest.approx(2.5)  # a shift is its length
    assert wasserstein(a, b) == pytest.approx(np.abs(np.sort(a) - np.sort(b)).mean())  # sizes alike
    assert wasserstein(a, np.repeat(b, 3)) == pytest.approx(wasserstein(a, b))  # sizes differ
    assert wasserstein([0.0], [1.0, 3.0]) == 2.0
    n = 200_001
    uniform = (np.arange(n) + 0.5) / n
    assert wasserstein(uniform, 3 * uniform) == pytest.approx(1.0, rel=1e-4)  # ∫ |x − 3x| over [0, 1]
