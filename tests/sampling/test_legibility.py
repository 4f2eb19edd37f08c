"""A line is legible where its own text explains it better than shuffled ones."""

import os
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from graves_lm.models.synthesis import SynthesisNetwork, Text
from graves_lm.runtime.memory import give_back_free_memory
from graves_lm.sampling.legibility import SHUFFLES, legibility


@pytest.fixture(scope="module")
def network() -> SynthesisNetwork:
    torch.manual_seed(5)
    return SynthesisNetwork(4, layers=2, hidden_size=12, mixtures=3, points_per_character=10.0).eval()


def line(points, seed):
    point_T3 = torch.randn(points, 3, generator=torch.Generator().manual_seed(seed))
    point_T3[:, 2] = (point_T3[:, 2] > 1).float()
    return point_T3


@pytest.mark.parametrize("primed", [False, True])
def test_it_is_the_difference_of_the_likelihoods_point_by_point(network, primed):
    lines, text, before = [line(20, 1), line(33, 2)], [1, 2, 0, 3], [2, 2] if primed else []
    prime_T3 = line(15, 3) if primed else None

    def nats(points_T3, symbols):
        of, state, total = Text.of([[*before, *symbols]]), network.initial_state(1), 0.0
        read = torch.zeros(1, 3) if prime_T3 is None else prime_T3
        fed = torch.cat([read, points_T3])
        with torch.no_grad():
            for t in range(len(fed) - 1):
                distribution, state, _ = network.step(fed[t : t + 1], of, state)
                if t + 1 >= len(read):
                    total -= float(distribution.log_prob(fed[t + 1 : t + 2]))
        return total

    random = np.random.default_rng(0)
    shuffled = [random.permutation(text).tolist() for _ in range(SHUFFLES)]
    found = legibility(network, lines, text, before, prime_T3)
    for points_T3, difference in zip(lines, found, strict=True):
        expected = np.mean([nats(points_T3, other) for other in shuffled]) - nats(points_T3, text)
        assert difference == pytest.approx(expected, abs=1e-2)


def test_a_text_of_one_letter_has_no_other_order(network):
    assert legibility(network, [line(20, 1), line(9, 2)], [3, 3, 3]) == [0, 0]


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_lines_of_ever_other_lengths_leave_nothing_behind():
    """What torch's library makes for a number of points it keeps, so there are few such numbers."""
    torch.manual_seed(0)
    network = SynthesisNetwork(57)

    def megabytes() -> float:
        give_back_free_memory()
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6

    for points in range(61, 61 + 3 * 90, 3):
        if points == 61 + 3 * 30:
            before = megabytes()
        legibility(network, [torch.randn(points, 3).clamp(-1, 1)] * 2, range(10))
    assert megabytes() < before + 30
