"""The packed step against the network's own: in torch, in the compiled kernel, with rounded weights."""

import math
from itertools import islice

import pytest
import torch

from graves_lm.models.character import CharacterNetwork, CharacterState
from graves_lm.models.stroke import StrokeNetwork
from graves_lm.models.synthesis import SynthesisNetwork, SynthesisState, Text, past_the_end
from graves_lm.nn.lstm import LSTMState
from graves_lm.nn.mixture import stroke_distribution
from graves_lm.nn.native import kernel
from graves_lm.runtime.errors import UserError
from graves_lm.sampling.noise import point_noise
from graves_lm.sampling.packed import PackedNetwork
from graves_lm.sampling.packed_weights import refresh
from graves_lm.sampling.strokes import StrokeSampler
from graves_lm.sampling.synthesis import SynthesisSampler
from graves_lm.sampling.text import TextSampler
from graves_lm.sampling.weights import KINDS, matrix
from tests.sampling.lines import drawn

H, K, C, M = 21, 3, 6, 4  # no number of units or inputs that fits the kernel's blocks
TEXT = Text.of([[0, 3, 3, 1], [5, 2], [4, 4, 1]])
CLOSE = {"rtol": 1e-5, "atol": 1e-5}


@pytest.fixture(params=["torch", "kernel"])
def path(request, monkeypatch) -> str:
    """Both ways of a step at batch 1."""
    monkeypatch.setenv("GRAVES_LM_NATIVE", "0" if request.param == "torch" else "1")
    if request.param == "kernel" and kernel("network_step") is None:
        pytest.skip("no C compiler")
    return request.param


def spread(network: torch.nn.Module, std: float = 0.4):
    for w in network.parameters():
        torch.nn.init.normal_(w, std=std)
    return network


def random_state(layers: int, batch: int) -> tuple[LSTMState, ...]:
    return tuple(LSTMState(torch.randn(batch, H), torch.randn(batch, H)) for _ in range(layers))


@pytest.mark.parametrize("peepholes", [True, False])
@pytest.mark.parametrize("layers", [1, 2, 3])
@pytest.mark.parametrize("batch", [1, 3])
def test_its_steps_are_the_synthesis_networks(path, layers, peepholes, batch):
    torch.manual_seed(layers)
    network = spread(SynthesisNetwork(C, layers, H, M, K, peepholes=peepholes))
    text = TEXT.rows(torch.arange(batch))
    theirs = SynthesisState(random_state(layers, batch), torch.randn(batch, K), torch.randn(batch, C))
    packed = PackedNetwork(network)
    assert (packed.kernel is None) == (path == "torch")
    mine = packed.pack(*theirs)
    for _ in range(6):
        x = torch.randn(batch, 3)
        y, mine, phi = packed.step(x, mine, text)
        expected, theirs, expected_phi = network.step(x, text, theirs)
        d = stroke_distribution(y, M)
        for name in ("pi_logits", "mu", "log_sigma", "rho_hat", "e_logit"):
            torch.testing.assert_close(getattr(d, name), getattr(expected, name), **CLOSE)
        for own, (phi_V, expected_V) in zip(text.length_B, zip(phi, expected_phi, strict=True), strict=True):
            torch.testing.assert_close(phi_V[: own + 1], expected_V[: own + 1], **CLOSE)
        unpacked = packed.unpack(mine)
        torch.testing.assert_close(unpacked.kappa_BK, theirs.kappa_BK, **CLOSE)
        torch.testing.assert_close(unpacked.w_BC, theirs.w_BC, **CLOSE)
        for a, b in zip(unpacked.layers, theirs.layers, strict=True):
            torch.testing.assert_close(tuple(a), tuple(b), **CLOSE)


@pytest.mark.parametrize("skips", [True, False])
@pytest.mark.parametrize("batch", [1, 2])
def test_its_steps_are_the_stroke_and_character_networks(path, skips, batch):
    torch.manual_seed(0)
    strokes = spread(StrokeNetwork(2, H, M, skips=skips))
    packed, theirs = PackedNetwork(strokes), random_state(2, batch)
    mine = packed.pack(theirs)
    for _ in range(4):
        x = torch.randn(batch, 3)
        y, mine, _ = packed.step(x, mine)
        expected_y, theirs = strokes.stack.step(x, theirs)
        torch.testing.assert_close(y, expected_y, **CLOSE)
    characters = spread(CharacterNetwork(C, 2, H, skips=skips))
    packed, state = PackedNetwork(characters), characters.initial_state(batch)
    mine = packed.pack(state.layers)
    for symbols in ([-1, -1], [4, 0], [2, 5], [0, 0]):
        last = torch.tensor(symbols[:batch])
        y, mine, _ = packed.step(last, mine)
        expected_y, layers = characters.step(CharacterState(state.layers, last))
        state = CharacterState(layers, last)
        torch.testing.assert_close(y, expected_y, **CLOSE)


@pytest.mark.parametrize("read", [0, 2])
def test_a_drawn_point_is_the_distributions(path, read):
    """Point, stop and bias at batch 1, against the density's own way, step by step through a text."""
    torch.manual_seed(5)
    network = SynthesisNetwork(C, 2, H, M, K, points_per_character=6.0)
    spread(network.stack)
    text, bias = Text.of([[1, 0, 5, 2, 2]]), (0.25, 2.0)
    packed, state, x = PackedNetwork(network), network.initial_state(1), torch.zeros(1, 3)
    mine, noise, places = packed.pack(*state), point_noise(M, [(3, 0)]), set()
    for _ in range(100):
        numbers = next(noise)
        with torch.no_grad():
            distribution, state, phi = network.step(x, text, state)
        place = max(0, int(phi[0, :-1].argmax()) - read)
        places.add(place)
        b = bias[0] + (bias[1] - bias[0]) * place / (5 - read)
        expected = distribution.biased(b).point(*numbers)
        x, mine, y, seen, done, where = packed.point(x, mine, numbers, bias, text, read)
        torch.testing.assert_close(x, expected, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(seen, phi, rtol=1e-4, atol=1e-5)
        assert done.equal(past_the_end(phi, text))
        assert where.tolist() == [int(phi[0, :-1].argmax()) - read]
        assert y.shape == (1, 6 * M + 1)
        x = expected  # so that rounding does not add up
        if done[0]:
            break
    assert done.all()
    assert len(places) == 5 - read


@pytest.mark.parametrize("batch", [1, 3])
def test_a_slow_pen_has_less_of_the_bias_and_a_resting_one_none(path, batch):
    torch.manual_seed(6)
    network, still, bias = spread(SynthesisNetwork(C, 2, H, M, K)), (0.3, -0.2), 1.5
    text = TEXT.rows(torch.arange(batch))
    packed, state = PackedNetwork(network), network.initial_state(batch)
    numbers = next(point_noise(M, [(0, n) for n in range(batch)]))
    for way, share in ((0.0, 0.0), (0.1, 0.2), (0.25, 0.5), (0.5, 1.0), (7.0, 1.0)):
        angle_B = torch.rand(batch) * 2 * math.pi
        x_B3 = torch.stack([still[0] + way * angle_B.cos(), still[1] + way * angle_B.sin(), angle_B * 0], 1)
        with torch.no_grad():
            distribution, _, _ = network.step(x_B3, text, state)
        step = packed.point(x_B3, packed.pack(*state), numbers, (bias, bias), text, still=still)
        expected = distribution.biased(bias * share).point(*numbers)
        torch.testing.assert_close(step.x_B3, expected, rtol=1e-4, atol=1e-4)


def test_a_bias_makes_no_rest_longer(path):
    """A density with nine parts of resting and one of going on: a rest has ten points on average."""
    network, still = SynthesisNetwork(C, 1, H, mixtures=2), (0.3, -0.2)
    with torch.no_grad():
        network.stack.to_output.weight.zero_()
        pi, mu, sigma, rho = [math.log(0.9), math.log(0.1)], [0.3, 2.3, -0.2, -0.2], [-20.0] * 4, [0.0] * 2
        network.stack.to_output.bias.copy_(torch.tensor([9.0, *pi, *mu, *sigma, *rho]))
    packed, text = PackedNetwork(network), Text.of([[1, 2]])
    x, state, rests, leaves = torch.tensor([[*still, 0.0]]), packed.pack(*network.initial_state(1)), 0, 0
    for numbers in islice(point_noise(2, [(0, 0)]), 1500):
        rested = x[0, 0] < 1
        x, state, *_ = packed.point(x, state, numbers, (2.0, 2.0), text, still=still)
        rests += int(rested)
        leaves += int(rested and x[0, 0] > 1)
    assert rests / leaves == pytest.approx(10, rel=0.2)


def test_it_leaves_the_network_and_the_given_state_as_they_were(path):
    torch.manual_seed(0)
    network = SynthesisNetwork(C, 2, H, M, K)
    before = {name: w.clone() for name, w in network.state_dict().items()}
    for batch in (1, 3):
        text = TEXT.rows(torch.arange(batch))
        packed = PackedNetwork(network)
        state = packed.pack(*network.initial_state(batch))
        first, _, _ = packed.step(torch.ones(batch, 3), state, text)
        for name, w in network.state_dict().items():
            assert w.equal(before[name]), name
        assert state.eq(0).all()
        with torch.no_grad():
            for w in network.parameters():
                w.zero_()
        again, _, _ = packed.step(torch.ones(batch, 3), state, text)
        assert first.equal(again)  # its weights are its own
        network.load_state_dict(before)


def test_rounded_weights_are_the_nearest_there_are():
    torch.manual_seed(1)
    weight, bias = torch.randn(7, 70) * torch.logspace(-3, 3, 7)[:, None], torch.randn(7)
    exact, bf16, int8 = (matrix(weight, bias, kind) for kind in KINDS)
    assert exact.value_GI[:, :70].equal(weight)
    assert exact.value_GI[:, 70:].eq(0).all()
    assert bf16.value_GI[:, :70].equal(weight.bfloat16().float())
    step = weight.abs().amax(1, keepdim=True) / 127
    assert ((int8.value_GI[:, :70] - weight).abs() <= step / 2 * (1 + 1e-5)).all()
    levels = int8.value_GI / step
    torch.testing.assert_close(levels, levels.round(), rtol=0, atol=1e-3)
    assert [m.stored_GI.element_size() for m in (exact, bf16, int8)] == [4, 2, 1]
    assert matrix(torch.zeros(1, 3), torch.zeros(1), "int8").value_GI.eq(0).all()


@pytest.mark.parametrize("kind", ["bf16", "int8"])
@pytest.mark.parametrize("batch", [1, 3])
def test_with_rounded_weights_it_is_the_network_of_those_weights(path, kind, batch):
    """So a line is the same alone (in the kernel) and among others (in torch)."""
    torch.manual_seed(2)
    network = spread(SynthesisNetwork(C, 2, H, M, K))
    packed, exact = PackedNetwork(network, kind), PackedNetwork(network)
    for n, layer in enumerate(packed.weights.layers):
        half = layer.matrix.value_GI.clone()
        half[2 * H : 3 * H] /= 2
        sizes = [3, C, *([H] if n else []), H]
        x, w, *below, own = half[:, : sum(sizes)].split(sizes, dim=1)
        network.stack.from_input[n].weight.data.copy_(x)
        network.from_window[n].data.copy_(w)
        network.stack.recurrences[n].weight.data.copy_(own)
        if below:
            network.stack.from_below[n - 1].weight.data.copy_(below[0])
    network.stack.to_output.weight.data.copy_(packed.weights.output.value_GI[:, : 2 * H])
    text = TEXT.rows(torch.arange(batch))
    state = network.initial_state(batch)
    mine = unrounded = packed.pack(*state)
    for _ in range(5):
        x = torch.randn(batch, 3)
        y, mine, _ = packed.step(x, mine, text)
        expected_y, unrounded, _ = exact.step(x, unrounded, text)
        with torch.no_grad():
            expected, state, _ = network.step(x, text, state)
        torch.testing.assert_close(stroke_distribution(y, M).mu, expected.mu, **CLOSE)
    difference = (y - expected_y).abs().max().item()
    assert 1e-6 < difference < {"bf16": 0.1, "int8": 0.3}[kind]


@pytest.mark.parametrize("kind", KINDS)
def test_samples_do_not_depend_on_the_path(monkeypatch, kind):
    """Whole samples of all tasks, compiled and in torch; a line alone and one among others."""
    if kernel("network_step") is None:
        pytest.skip("no C compiler")
    torch.manual_seed(3)
    synthesis = SynthesisNetwork(4, layers=2, hidden_size=12, mixtures=3, points_per_character=10.0)
    strokes, characters = spread(StrokeNetwork(2, 10, mixtures=3)), spread(CharacterNetwork(5, 2, 10))

    def draw():
        lines = drawn(SynthesisSampler(weights=kind), synthesis, [[0, 1, 2], [3, 1]], seed=7)
        alone = drawn(SynthesisSampler(weights=kind), synthesis, [[3, 1]], seed=7, first_line=1)
        pen = torch.stack(list(StrokeSampler(1, 60, weights=kind).points(strokes, 1)))
        sampler, generator = TextSampler(length=60, weights=kind), torch.Generator().manual_seed(4)
        return lines, alone, pen, list(sampler.symbols(characters, [1, 2], generator))

    monkeypatch.setenv("GRAVES_LM_NATIVE", "0")
    lines, _, pen, symbols = draw()
    monkeypatch.setenv("GRAVES_LM_NATIVE", "1")
    fast_lines, fast_alone, fast_pen, fast_symbols = draw()
    for mine, theirs in zip([*fast_lines, fast_alone[0]], [*lines, lines[1]], strict=True):
        torch.testing.assert_close(mine.point_T3, theirs.point_T3, rtol=1e-3, atol=1e-3)
        torch.testing.assert_close(mine.coverage_U, theirs.coverage_U, rtol=1e-3, atol=1e-2)
        assert mine.stopped == theirs.stopped
        assert math.isclose(mine.nats, theirs.nats, rel_tol=1e-2, abs_tol=0.1)
    torch.testing.assert_close(fast_pen, pen, rtol=1e-3, atol=1e-4)
    assert fast_symbols == symbols


@pytest.mark.parametrize("sampler", [SynthesisSampler, StrokeSampler, TextSampler])
def test_unknown_weights_are_refused(sampler):
    with pytest.raises(UserError, match=r"sampler\.weights=int4: one of float32, bf16, int8"):
        sampler(weights="int4")


@pytest.mark.parametrize("batch", [1, 2])
def test_without_a_text_the_window_stays_where_it_is(path, batch):
    torch.manual_seed(0)
    packed = PackedNetwork(spread(SynthesisNetwork(C, 2, H, M, K)))
    before = packed.pack(random_state(2, batch), torch.randn(batch, K), torch.randn(batch, C))
    y, after, phi = packed.step(torch.randn(batch, 3), before)
    assert phi.shape == (batch, 0)
    assert y.isfinite().all()
    assert torch.equal(after[:, -K - C :], before[:, -K - C :])
    assert not torch.equal(after[:, : -K - C], before[:, : -K - C])


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_networks_of_other_numbers_are_packed_in_float32(path, dtype):
    torch.manual_seed(0)
    strokes, text = StrokeNetwork(2, H, M), CharacterNetwork(7, 2, H)
    for network, x in ((strokes, torch.randn(1, 3)), (text, torch.tensor([4]))):
        spread(network)
        for layer in network.stack.recurrences:
            torch.nn.init.normal_(layer.peephole)
        network.to(dtype)
        exact = type(network)(7, 2, H) if network is text else StrokeNetwork(2, H, M)
        exact.load_state_dict({name: w.float() for name, w in network.state_dict().items()})
        state = random_state(2, 1)
        y, _, _ = PackedNetwork(network).step(x, PackedNetwork(exact).pack(state))
        if network is text:
            expected, _ = exact.step(CharacterState(state, x))
        else:
            expected = exact.stack.step(x, state)[0]
        torch.testing.assert_close(y, expected, **CLOSE)


def test_a_nan_of_the_window_stays_one(path):
    network = SynthesisNetwork(C, 1, H, M, K)
    with torch.no_grad():
        network.window.bias[0] = math.nan
    packed = PackedNetwork(network)
    state = packed.pack(random_state(1, 1), torch.zeros(1, K), torch.zeros(1, C))
    _, _, phi = packed.step(torch.zeros(1, 3), state, TEXT.rows(torch.tensor([0])))
    assert phi.isnan().all()


def test_symbols_that_do_not_exist_are_refused_before_they_are_read(path):
    for wrong in ([1, C], [1, 10**8], [-1, 2]):
        with pytest.raises(IndexError, match="of a text: there are"):
            drawn(SynthesisSampler(), SynthesisNetwork(C, 1, H, M, K), [wrong])


@pytest.mark.parametrize("layers", [1, 3])
def test_weights_that_have_changed_are_those_packed_anew(layers):
    torch.manual_seed(0)
    network = CharacterNetwork(symbols=7, layers=layers, hidden_size=10)
    packed = PackedNetwork(network)
    state_BS = packed.pack(network.initial_state(2).layers)
    with torch.no_grad():
        for weight in network.parameters():
            weight.add_(torch.randn_like(weight))
    refresh(packed.weights, network)
    symbol_B = torch.tensor([3, -1])
    for given, expected in zip(
        packed.step(symbol_B, state_BS), PackedNetwork(network).step(symbol_B, state_BS), strict=True
    ):
        assert torch.equal(given, expected)
