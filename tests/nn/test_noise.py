import math

import pytest
import torch
from torch import nn

from graves_lm.nn.noise import AdaptiveWeightNoise, DroppedWeights, WeightNoise


def test_fixed_noise_has_its_width_and_leaves_the_weights_alone():
    torch.manual_seed(0)
    network = nn.Linear(200, 300, bias=False)
    before = network.weight.detach().clone()
    noise = WeightNoise(network, std=0.075)
    seen = noise.draw(network)(torch.eye(200)).T - before
    assert abs(seen.std().item() - 0.075) < 1e-3
    assert abs(seen.mean().item()) < 1e-3
    torch.testing.assert_close(network.weight, before, rtol=0, atol=0)
    again = noise.draw(network)(torch.eye(200)).T - before
    assert (seen - again).abs().max() > 0.01


def test_derivatives_are_taken_at_the_noisy_weights():
    torch.manual_seed(1)
    network = nn.Linear(3, 1, bias=False)
    noise = WeightNoise(network, std=0.5)
    x = torch.randn(4, 3)
    torch.manual_seed(7)
    noise.draw(network)(x).square().sum().backward()
    torch.manual_seed(7)
    noisy = (network.weight + 0.5 * torch.randn_like(network.weight)).detach().requires_grad_()
    (x @ noisy.T).square().sum().backward()
    torch.testing.assert_close(network.weight.grad, noisy.grad)


def test_evaluation_uses_the_mean_weights():
    network = nn.Linear(3, 2)
    x = torch.randn(4, 3)
    for noise in (
        WeightNoise(network),
        AdaptiveWeightNoise(network),
        DroppedWeights(network, share=0.5, of=["weight"]),
    ):
        torch.testing.assert_close(noise.eval().draw(network)(x), network(x), rtol=0, atol=0)


def test_description_length_is_the_divergence_from_the_best_prior():
    """Against torch's own Gaussian divergence, minimised over the prior by brute force."""
    torch.manual_seed(2)
    network = nn.Linear(6, 5).double()
    noise = AdaptiveWeightNoise(network, std=0.075).double()
    for log_std in noise.log_std.values():
        log_std.data += 0.5 * torch.randn_like(log_std)
    means = torch.cat([w.flatten() for w in network.parameters()]).detach()
    stds = torch.cat([noise.log_std[n].flatten() for n, _ in network.named_parameters()]).exp().detach()
    prior = torch.tensor([0.0, 0.0], dtype=torch.float64, requires_grad=True)  # mean, log std

    def divergence():
        posterior = torch.distributions.Normal(means, stds)
        return torch.distributions.kl_divergence(
            posterior, torch.distributions.Normal(prior[0], prior[1].exp())
        ).sum()

    optimizer = torch.optim.LBFGS([prior], max_iter=200, tolerance_grad=1e-12, tolerance_change=1e-14)

    def closure():
        optimizer.zero_grad()
        loss = divergence()
        loss.backward()
        return loss

    optimizer.step(closure)
    torch.testing.assert_close(noise.description_length(network), divergence(), rtol=1e-9, atol=1e-9)


def test_adaptive_noise_recovers_the_posterior_of_a_linear_model():
    """For y = w·x + N(0, 1) with N observations the posterior width of w is about 1/√(Σx²)."""
    torch.manual_seed(3)
    network = nn.Linear(1, 1, bias=False).double()
    x = torch.randn(400, 1, dtype=torch.float64)
    y = 1.7 * x + torch.randn_like(x)
    noise = AdaptiveWeightNoise(network, std=0.3).double()
    optimizer = torch.optim.Adam([*network.parameters(), *noise.parameters()], lr=0.02, betas=(0.9, 0.99))
    widths = []
    for step in range(1500):
        optimizer.zero_grad()
        nats = 0.5 * (noise.draw(network)(x) - y).square().sum()
        # One weight is its own best prior, so its mean is free and only the width is held by the data.
        std = noise.log_std["weight"].exp()
        (nats - std.log().sum()).backward()
        optimizer.step()
        if step >= 1000:
            widths.append(std.item())
    expected = 1 / math.sqrt(x.square().sum().item())
    assert abs(sum(widths) / len(widths) / expected - 1) < 0.15
    # The mean, too, is found to within its own width.
    assert abs(network.weight.item() - (x * y).sum().item() / x.square().sum().item()) < expected


def test_dropped_weights_are_zero_or_scaled_and_their_mean_is_the_weight():
    torch.manual_seed(0)
    network = nn.Linear(40, 30, bias=False)
    noise = DroppedWeights(network, share=0.3, of=["weight"])
    ratio, again = (noise.draw(network)(torch.eye(40)).T / network.weight for _ in range(2))
    assert not torch.equal(ratio, again)  # drawn anew for each call
    assert set(ratio.detach().flatten().mul(0.7).round(decimals=5).tolist()) == {0.0, 1.0}
    assert abs((ratio == 0).float().mean().item() - 0.3) < 0.05


def test_a_dropped_weight_gets_no_derivative_and_others_that_of_the_scaled_one():
    torch.manual_seed(2)
    network = nn.Linear(6, 5, bias=False)
    noise = DroppedWeights(network, share=0.4, of=["weight"])
    kept = noise.draw(network)(torch.eye(6)).T / network.weight
    torch.manual_seed(3)
    x = torch.randn(9, 6)
    torch.manual_seed(4)
    noise.draw(network)(x).sum().backward()
    torch.manual_seed(4)
    factor = torch.nn.functional.dropout(torch.ones(5, 6), 0.4)
    torch.testing.assert_close(network.weight.grad, factor * x.sum(0))
    assert 0 < (kept == 0).sum() < 30


def test_impossible_drops_are_refused():
    network = nn.Linear(3, 2)
    with pytest.raises(ValueError, match="share=1"):
        DroppedWeights(network, share=1.0, of=["weight"])
    with pytest.raises(ValueError, match="no matrix"):
        DroppedWeights(network, share=0.5, of=["bias"])
