"""Segments that are run twice: the derivatives of the whole sequence, in the memory of a part."""

from functools import partial
from types import SimpleNamespace

import pytest
import torch
from torch.autograd.graph import saved_tensors_hooks

from graves_lm.data.alphabet import Alphabet
from graves_lm.data.line_batches import LineBatch
from graves_lm.data.streams import StreamBatch
from graves_lm.data.strokes import Normalisation
from graves_lm.data.symbols import Symbols
from graves_lm.learning.optim import Optimization
from graves_lm.learning.tasks.character import CharacterTask
from graves_lm.learning.tasks.stroke import StrokeTask
from graves_lm.learning.tasks.synthesis import SynthesisTask
from graves_lm.models.character import CharacterNetwork
from graves_lm.models.stroke import StrokeNetwork
from graves_lm.models.synthesis import SynthesisNetwork
from graves_lm.nn.noise import AdaptiveWeightNoise, DroppedWeights, NoNoise
from graves_lm.nn.segments import over_segments
from graves_lm.runtime.errors import UserError

T, B = 23, 3
NORM = Normalisation((0.0, 0.0), (1.0, 1.0))
SGD = Optimization(torch.optim.SGD, lr=1.0)


def text_task(**more):
    network = partial(CharacterNetwork, layers=2, hidden_size=7, clip=0.05)
    task = CharacterTask(network, Symbols("character", "abcde"), SGD, **more)
    return task, StreamBatch(torch.randint(5, (T, B)), torch.rand(T, B) < 0.9, True, T * B)


def lines(alphabet=0):
    scored_TB = torch.arange(T)[:, None] < torch.tensor([T, 17, 5])
    point_TB3 = torch.randn(T + 1, B, 3, dtype=torch.float64)
    point_TB3[..., 2] = (point_TB3[..., 2] > 1).double()
    symbol_BU = torch.randint(alphabet, (B, 4)) if alphabet else torch.full((B, 0), -1)
    return LineBatch(point_TB3, scored_TB, symbol_BU, int(scored_TB.sum()))


def stroke_task(**more):
    network = partial(StrokeNetwork, layers=2, hidden_size=7, mixtures=3, clip=0.05)
    return StrokeTask(network, NORM, SGD, **more), lines()


def synthesis_task(**more):
    network = partial(
        SynthesisNetwork,
        layers=2,
        hidden_size=7,
        mixtures=3,
        window_components=2,
        clip=0.05,
        window_scale=1.0,
    )
    alphabet = Alphabet("abc")
    return SynthesisTask(network, NORM, alphabet, SGD, **more), lines(len(alphabet))


def loss_and_derivatives(make, recompute, noise):
    """Of a task's training step, and the bytes that autograd keeps of it."""
    torch.manual_seed(1)
    task, batch = make(recompute=recompute, noise=noise)
    task.double()
    task._trainer = SimpleNamespace(datamodule=SimpleNamespace(training_sequences=15))
    task.log = lambda *args, **kwargs: None
    kept = []
    torch.manual_seed(2)
    with saved_tensors_hooks(lambda x: kept.append(x.numel()) or x, lambda x: x):
        loss = task.training_step(batch, 0)
    loss.backward()
    return loss.detach(), {name: w.grad for name, w in task.named_parameters()}, sum(kept)


@pytest.mark.parametrize("length", [1, 5, 23, 100])
@pytest.mark.parametrize("make", [text_task, stroke_task, synthesis_task])
@pytest.mark.parametrize(
    "noise", [lambda _: NoNoise(), AdaptiveWeightNoise, partial(DroppedWeights, share=0.4, of=["weight"])]
)
def test_segments_have_the_loss_and_derivatives_of_the_whole(make, noise, length):
    whole, expected, _ = loss_and_derivatives(make, None, noise)
    loss, found, _ = loss_and_derivatives(make, length, noise)
    torch.testing.assert_close(loss, whole, rtol=1e-12, atol=0)
    assert found.keys() == expected.keys()
    for name, grad in expected.items():
        torch.testing.assert_close(found[name], grad, rtol=1e-9, atol=1e-12, msg=name)
    assert max(grad.abs().max() for grad in expected.values()) > 1e-3


@pytest.mark.parametrize("make", [text_task, stroke_task, synthesis_task])
def test_only_what_is_between_segments_is_kept(make):
    kept = [loss_and_derivatives(make, length, lambda _: NoNoise())[2] for length in (None, 5)]
    assert kept[1] < kept[0] / 4


def test_the_state_goes_on_from_segment_to_segment():
    seen = []

    def nats_of(steps, state):
        seen.append((steps.start, steps.stop, state.item()))
        return state * (steps.stop - steps.start), state + 1

    nats, state = over_segments(nats_of, 7, 3, torch.tensor(1.0, requires_grad=True))
    assert seen == [(0, 3, 1.0), (3, 6, 2.0), (6, 7, 3.0)]
    assert (nats.item(), state.item()) == (12.0, 4.0)


def test_segments_of_no_steps_are_refused():
    with pytest.raises(UserError, match=r"model\.recompute=0: at least one step"):
        stroke_task(recompute=0)
