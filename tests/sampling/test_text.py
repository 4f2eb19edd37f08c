import pytest
import torch

from graves_lm.data.symbols import Symbols
from graves_lm.learning.tasks.character import CharacterTask
from graves_lm.models.character import CharacterNetwork
from graves_lm.runtime.errors import UserError
from graves_lm.sampling.text import TextSampler


def make_task(seed=0):
    torch.manual_seed(seed)
    return CharacterTask(lambda symbols: CharacterNetwork(symbols, 1, 12), Symbols("character", "abcd"))


def seeded(seed):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("temperature", [1.0, 0.5, 2.0])
def test_first_symbol_follows_the_networks_distribution_at_the_temperature(temperature):
    task = make_task()
    task.network.stack.to_output.bias.data = torch.tensor([0.0, 1.0, -1.0, 0.5])
    with torch.no_grad():
        logits, _ = task.network.step(task.network.initial_state(1))
    expected = torch.softmax(logits[0] / temperature, -1)
    sampler, n = TextSampler(temperature=temperature, length=1), 3000
    first = [next(sampler.symbols(task.network, [], seeded(s))) for s in range(n)]
    counts = torch.bincount(torch.tensor(first), minlength=4)
    deviation = (counts / n - expected) / (expected * (1 - expected) / n).sqrt()
    assert deviation.abs().max() < 4.5


def test_what_was_drawn_is_fed_back():
    """The chance of a whole sample equals the product over its steps: its nats as a sequence agree."""
    task, sampler = make_task(1), TextSampler(length=30)
    drawn = list(sampler.symbols(task.network, [], seeded(3)))
    state, by_steps = task.network.initial_state(1), []
    with torch.no_grad():
        whole, _ = task.network(torch.tensor(drawn)[:, None], task.network.initial_state(1))
        for index in drawn:
            logits, layers = task.network.step(state)
            by_steps.append(logits)
            state = type(state)(layers, torch.tensor([index]))
    torch.testing.assert_close(torch.stack(by_steps), whole, rtol=1e-5, atol=1e-6)


def test_low_temperature_takes_the_likeliest_symbol_after_the_prompt():
    task = make_task(2)
    drawn = list(TextSampler(temperature=1e-4, length=10).symbols(task.network, [0, 1, 2, 0], seeded(0)))
    seen = [0, 1, 2, 0]
    for index in drawn:
        with torch.no_grad():
            _, state = task.network(torch.tensor(seen)[:, None], task.network.initial_state(1))
            following, _ = task.network.step(state)
        assert index == int(following.argmax())
        seen.append(index)


def test_a_sample_leaves_training_mode_and_the_global_random_numbers_alone():
    task = make_task(3).train()
    before = torch.get_rng_state()
    assert len("".join(task.trained().write(TextSampler(length=5)))) == 5
    assert task.network.training
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("bad", [{"temperature": 0.0}, {"temperature": float("nan")}, {"length": 0}])
def test_bad_settings(bad):
    with pytest.raises(UserError, match=r"sampler\."):
        TextSampler(**bad)


def test_unknown_symbol_in_the_prompt_is_named():
    with pytest.raises(UserError, match="'x' at position 2"):
        next(make_task().trained().write(TextSampler(), prompt="abx"))


def test_bytes_are_shown_as_whole_characters():
    """Whatever the pieces, their text is that of all the bytes; no half of a character is ever shown."""
    torch.manual_seed(4)
    euro = Symbols("byte", sorted("€".encode()))
    task = CharacterTask(lambda symbols: CharacterNetwork(symbols, 1, 4), euro)
    drawn = list(TextSampler(length=200).symbols(task.network, [], seeded(0)))
    pieces = list(task.trained().write(TextSampler(length=200)))
    assert "".join(pieces) == euro.decode(drawn)
    assert "€" in "".join(pieces)
