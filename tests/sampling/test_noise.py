"""Random numbers: what they are of, and that they are the same everywhere."""

import math
from itertools import islice

import numpy as np
import pytest
import torch

from graves_lm.sampling.noise import line_key, point_noise

M = 5


def drawn(keys, points):
    return [torch.stack(part) for part in zip(*islice(point_noise(M, keys), points), strict=True)]


def test_noise_is_what_it_says():
    race, z, u = drawn([line_key(0, 1), line_key(0, 2)], 5000)
    assert (race.shape, z.shape, u.shape) == ((5000, 2, M), (5000, 2, 2), (5000, 2))
    assert race.mean().item() == pytest.approx(1, abs=0.03)
    assert race.std().item() == pytest.approx(1, abs=0.05)
    assert race.min() > 0
    assert z.mean().item() == pytest.approx(0, abs=0.03)
    assert z.std().item() == pytest.approx(1, abs=0.03)
    assert u.mean().item() == pytest.approx(0.5, abs=0.02)
    assert 0 <= u.min() <= u.max() < 1
    # Nothing repeats from block to block, and lines know nothing of one another.
    assert len(set(u[:, 0].tolist())) > 4990
    for a, b in ((z[:, 0, 0], z[:, 1, 0]), (z[:, 0, 0], z[:, 0, 1]), (u[:, 0], z[:, 0, 0])):
        assert abs(np.corrcoef(a, b)[0, 1]) < 0.05


def philox(key: tuple[int, int], block: int) -> list[int]:
    """Four words, of 64 bits, as the paper of 2011 states Philox4x64-10."""
    x, k = [block, 0, 0, 0], list(key)
    for _ in range(10):
        p, q = 0xD2E7470EE14C6C93 * x[0], 0xCA5A826395121157 * x[2]
        x = [q >> 64 ^ x[1] ^ k[0], q % 2**64, p >> 64 ^ x[3] ^ k[1], p % 2**64]
        k = [(k[0] + 0x9E3779B97F4A7C15) % 2**64, (k[1] + 0xBB67AE8584CAA73B) % 2**64]
    return x


@pytest.mark.parametrize("point", [0, 1, 255, 256, 700])
def test_the_numbers_of_a_point_are_a_function_of_key_and_place(point):
    """Of a word w the number is (w / 2^11 + 1/2) / 2^53; block 1 is the first."""
    key = line_key(7, 3, 2)
    first = point * (M + 3)
    numbers = [((philox(key, 1 + n // 4)[n % 4] >> 11) + 0.5) / 2**53 for n in range(first, first + M + 3)]
    race, z, u = (part[-1, 0] for part in drawn([key], point + 1))
    far, turn = math.sqrt(-2 * math.log(numbers[M])), 2 * math.pi * numbers[M + 1]
    assert race.tolist() == pytest.approx([-math.log(n) for n in numbers[:M]], rel=1e-6)
    assert z.tolist() == pytest.approx([far * math.cos(turn), far * math.sin(turn)], rel=1e-5, abs=1e-7)
    assert u.item() == pytest.approx(numbers[-1], rel=1e-6)


def test_no_two_lines_have_one_key():
    keys = {line_key(seed, line, n) for seed in (0, 1, 2, -1) for line in range(50) for n in range(4)}
    assert len(keys) == 800
    assert line_key(10**30, 2**40, 2**40)[0] < 2**64  # any whole number will do
