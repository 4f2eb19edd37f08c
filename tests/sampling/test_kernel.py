"""The compiled step: the same for a line among any others, by any number of threads, in any process."""

import gc
import multiprocessing
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import Tensor

from graves_lm.models.synthesis import SynthesisNetwork, Text
from graves_lm.nn.native import kernel
from graves_lm.sampling.noise import point_noise
from graves_lm.sampling.packed import PackedNetwork
from graves_lm.sampling.weights import KINDS

pytestmark = pytest.mark.skipif(kernel("network_step") is None, reason="no C compiler")
C, H, M, POINTS = 6, 85, 4, 60
TEXTS = [[u % C for u in range(n)] for n in (9, 3, 14, 1, 5, 8, 2, 11, 4)]


@pytest.fixture(scope="module")
def network() -> SynthesisNetwork:
    torch.manual_seed(2)
    return SynthesisNetwork(C, 3, H, M, 3, points_per_character=5.0)


def drawn(packed: PackedNetwork, network: SynthesisNetwork, rows: list[int], threads: int = 1) -> Tensor:
    """Points, states and ŷ of these texts, (T, B, …), side by side, each with its own random numbers."""
    assert packed.kernel is not None
    packed.kernel.most_threads = threads
    text, x_B3, made = Text.of([TEXTS[row] for row in rows]), torch.zeros(len(rows), 3), []
    state_BS = packed.pack(*network.initial_state(len(rows)))
    for _, noise in zip(range(POINTS), point_noise(M, [(0, n) for n in rows]), strict=False):
        x_B3, state_BS, y_BY, _, done, where = packed.point(x_B3, state_BS, noise, (0.2, 0.9), text)
        made.append(torch.cat([x_B3, state_BS, y_BY, torch.stack([done, where], dim=1)], dim=1))
    return torch.stack(made)


@pytest.fixture
def many_threads(monkeypatch):
    """However little there is to do."""
    monkeypatch.setattr("graves_lm.sampling.kernel._WORTH_A_THREAD", 1)


@pytest.mark.parametrize("kind", KINDS)
def test_a_line_is_the_same_to_the_bit_alone_and_among_others(network, kind):
    packed = PackedNetwork(network, kind)
    alone = torch.cat([drawn(packed, network, [row]) for row in range(len(TEXTS))], dim=1)
    for rows in ([0, 1], [8, 2, 5], [3, 4, 6, 7, 1], list(range(9))):
        assert torch.equal(drawn(packed, network, rows), alone[:, rows])
    assert torch.equal(drawn(packed, network, [2, 7] * 70), alone[:, [2, 7] * 70])  # more than one job has


@pytest.mark.parametrize("threads", [2, 3, 16])
def test_threads_change_nothing_though_they_are_more_than_there_are_processors(
    network, many_threads, threads
):
    """Some are then always late, and what they have begun is done by others too."""
    packed = PackedNetwork(network)
    assert torch.equal(
        drawn(packed, network, list(range(9)), threads), drawn(packed, network, list(range(9)))
    )


def test_weights_may_go_while_a_late_thread_is_at_work(network, many_threads):
    expected = drawn(PackedNetwork(network), network, [0])[:3]
    for _ in range(10):
        packed = PackedNetwork(network)
        assert torch.equal(drawn(packed, network, [0], 4)[:3], expected)
        del packed
        gc.collect()


def test_threads_of_the_program_may_draw_at_the_same_time(network, many_threads):
    packed = [PackedNetwork(network) for _ in range(4)]
    expected = drawn(packed[0], network, [0, 1])
    with ThreadPoolExecutor(4) as pool:
        for made in pool.map(lambda one: drawn(one, network, [0, 1], 3), packed * 3):
            assert torch.equal(made, expected)


def _in_child(packed: PackedNetwork, network: SynthesisNetwork, expected: Tensor) -> None:
    torch.set_num_threads(1)
    assert torch.equal(drawn(packed, network, [0, 1], 3), expected)


def test_a_forked_process_draws_too(network, many_threads):
    """It has none of its parent's threads, and makes its own."""
    packed = PackedNetwork(network)
    expected = drawn(packed, network, [0, 1], 3)
    child = multiprocessing.get_context("fork").Process(target=_in_child, args=(packed, network, expected))
    child.start()
    child.join(60)
    assert child.exitcode == 0
