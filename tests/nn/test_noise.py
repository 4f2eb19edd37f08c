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


@pytest.mark.parametrize("gradient", ["sampled", "squared"])
def test_gradients_with_respect_to_widths_are_those_of_the_expected_nats(gradient):
    """For nats ½ Σ (w·x − y)² over a batch of B sequences with x = ±1, at the w that made them: E[nats] =
    ½·B·(1 + σ²), so ∂E/∂log σ = B·σ². The square of the batch's gradient has the mean B + (B·σ)², so that
    estimate is too large by a factor 1 + B·σ², which near the posterior of N sequences is 1 + B / N."""
    torch.manual_seed(4)
    B, std, draws = 4, 0.05, 40_000
    network = nn.Linear(1, draws, bias=False).double()  # as many of that one weight, each with its own y
    network.weight.data.fill_(1.7)
    noise = AdaptiveWeightNoise(network, std=std, speed=3.0, gradient=gradient).double()
    x_B1 = torch.randn(B, 1, dtype=torch.float64).sign()
    y_BW = 1.7 * x_B1 + torch.randn(B, draws, dtype=torch.float64)
    (0.5 * (noise.draw(network)(x_B1) - y_BW).square().sum()).backward()
    found = noise.log_std["weight"].grad / 3.0  # with respect to log σ itself
    wanted = B * std**2 * (1 + B * std**2 * (gradient == "squared"))
    error = (found.std() / draws**0.5).item()
    assert abs(found.mean().item() - wanted) < 4 * error
    assert 4 * error < (0.05 if gradient == "squared" else 0.5) * wanted  # how noisy each kind is


@pytest.mark.parametrize("gradient", ["sampled", "squared"])
def test_gradients_with_respect_to_weights_are_those_at_the_noisy_weights(gradient):
    torch.manual_seed(5)
    network = nn.Linear(3, 2).double()
    x = torch.randn(7, 3, dtype=torch.float64)
    noise = AdaptiveWeightNoise(network, std=0.3, gradient=gradient).double()

    def nats():
        torch.manual_seed(6)
        return noise.draw(network)(x).square().sum()

    nats().backward()
    for weight in network.parameters():
        torch.testing.assert_close(weight.grad, by_differences(nats, weight), rtol=1e-6, atol=1e-7)


def test_the_gradient_of_the_description_length_is_that_of_finite_differences():
    torch.manual_seed(7)
    network = nn.Linear(3, 2).double()
    noise = AdaptiveWeightNoise(network, std=0.2, speed=2.0).double()
    for log_std in noise.log_std.values():
        log_std.data += 0.3 * torch.randn_like(log_std)
    noise.description_length(network).backward()
    for part in [*network.parameters(), *noise.parameters()]:
        found = by_differences(lambda: noise.description_length(network), part)
        torch.testing.assert_close(part.grad, found, rtol=1e-6, atol=1e-7)


def by_differences(function, parameter, h=1e-5):
    """The gradient of a function of nothing with respect to a parameter, by central differences."""
    found, flat = torch.zeros_like(parameter.data), parameter.data.view(-1)
    for i in range(flat.numel()):
        values = []
        for sign in (1, -1):
            flat[i] += sign * h
            values.append(function().item())
            flat[i] -= sign * h
        found.view(-1)[i] = (values[0] - values[1]) / (2 * h)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("gradient", ["sampled", "squared"])
def test_widths_become_those_of_the_posterior(gradient):
    """N observations y = w·x + N(0, 1) in batches of B. Beside a prior of width s the posterior's variance is
    1 / (Σ x² + 1/s²); the prior is the best one for 100 weights that matter more and less."""
    torch.manual_seed(8)
    N, B, W, steps = 3000, 10, 100, 3000
    scale_W = torch.logspace(-1.2, 0, W, dtype=torch.float64)
    x_NW = torch.randn(N, W, dtype=torch.float64) * scale_W
    true_W = 0.3 * torch.randn(W, dtype=torch.float64)
    y_N1 = (x_NW @ true_W + torch.randn(N, dtype=torch.float64))[:, None]
    network = nn.Linear(W, 1, bias=False).double()
    network.weight.data.copy_(torch.linalg.lstsq(x_NW, y_N1).solution.T)
    noise = AdaptiveWeightNoise(network, std=0.01, speed=5.0, gradient=gradient).double()
    optimizer = torch.optim.Adam([*network.parameters(), *noise.parameters()], lr=4e-3, betas=(0.9, 0.99))
    widths_W = torch.zeros(W, dtype=torch.float64)
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = 4e-3 * (1 - step / steps)
        rows = torch.randint(N, (B,))
        nats = 0.5 * (noise.draw(network)(x_NW[rows]) - y_N1[rows]).square().sum()
        optimizer.zero_grad()
        (nats + noise.description_length(network) * B / N).backward()
        optimizer.step()
        if step >= steps // 2:
            widths_W += noise.log_width("weight").detach().exp()[0] / (steps - steps // 2)
    means_W = network.weight[0].detach()
    variance = (widths_W.square() + (means_W - means_W.mean()).square()).mean()
    wanted_W = (x_NW.square().sum(0) + 1 / variance).rsqrt()
    off_W = (widths_W / wanted_W).log()
    assert abs(off_W.mean()) < 0.25
    assert off_W.std() < 0.25
    assert wanted_W.max() / wanted_W.min() > 3  # they differ, and are told apart
    assert torch.corrcoef(torch.stack([widths_W.log(), wanted_W.log()]))[0, 1] > 0.9


def test_weights_are_dropped_beside_adaptive_noise():
    torch.manual_seed(9)
    network = nn.Linear(40, 30)
    noise = AdaptiveWeightNoise(network, std=1e-6, share=0.25, of=["weight"])
    seen = noise.weights(network)
    ratio = seen["weight"] / network.weight
    assert abs((ratio == 0).float().mean().item() - 0.25) < 0.05
    kept = ratio[ratio != 0]
    assert ((kept - 1 / 0.75).abs() < 0.02).float().mean() > 0.98  # but where the weight itself is near 0
    torch.testing.assert_close(seen["bias"], network.bias, rtol=0, atol=1e-4)


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
