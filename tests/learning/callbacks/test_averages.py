"""The average of weights: a plain mean of the first ones in effect, then one with a horizon."""

import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

from graves_lm.learning.callbacks.averages import AverageOfWeights


def averages(horizon, weights, **settings):
    """The average after each of the weights, as the callback's settings have torch make it."""
    callback, network = AverageOfWeights(horizon, **settings), nn.Linear(1, 1, bias=False)
    averaged = AveragedModel(network, use_buffers=False, **callback._kwargs)
    found = []
    for step, weight in enumerate(weights):
        network.weight.data.fill_(weight)
        if callback.should_update(step_idx=step):
            averaged.update_parameters(network)
        found.append(averaged.module.weight.item())
    return found


def test_a_beginner_is_soon_forgotten_and_the_horizon_is_kept():
    found = averages(100, [1000.0] + [0.0] * 4 + [0.0] * 2000)
    assert abs(found[100]) < 0.1
    # From 0 to 1 a share 1 - 1/e of the way lies behind after a horizon.
    found = averages(100, [0.0] * 2000 + [1.0] * 200)
    assert abs(found[2000 + 100] - (1 - torch.e**-1)) < 0.03


def test_noise_around_a_place_is_averaged_away():
    torch.manual_seed(0)
    found = torch.tensor(averages(200, (3 + torch.randn(3000)).tolist()))
    assert abs(found[1000:].mean() - 3) < 0.1
    assert found[1000:].std() < 0.25  # of weights that spread by 1


def test_a_short_horizon_has_the_weights_themselves():
    assert averages(1, [1.0, 5.0, 2.0]) == [1.0, 5.0, 2.0]
    assert not AverageOfWeights(1).should_update(epoch_idx=3)


def test_so_much_of_the_origin_stays_in_it():
    """Of weights drawn to one place for long, and on the way there."""
    weights, origin = [4.0] * 300, torch.tensor([[2.0]])
    alone, drawn = averages(20, weights), averages(20, weights, origin=[origin], share=0.25)
    assert drawn[-1] == pytest.approx(0.75 * 4 + 0.25 * 2)
    assert (torch.tensor(drawn) < torch.tensor(alone))[3:].all()  # the first update is a copy
