"""The kernel and the plain form of counts, match and mixture are one."""

import math
from pathlib import Path

import numpy as np
import pytest

from graves_lm.compression.counts import CountsMixed
from graves_lm.nn.native import kernel
from tests.compression.contents import contents

needs_kernel = pytest.mark.skipif(kernel("counts_mix") is None, reason="no C compiler")


def cost(counts: CountsMixed, byte_TS: np.ndarray) -> float:
    """Bits of a content, where the network says nothing."""
    bits, even = 0.0, np.full((byte_TS.shape[1], 256), 1 / 256)
    for byte_S in byte_TS:
        bits -= np.log2(counts.mixed(even)[np.arange(len(byte_S)), byte_S]).sum()
        counts.update(byte_S)
    return float(bits)


def in_streams(content: bytes, streams: int) -> np.ndarray:
    byte = np.frombuffer(content, np.uint8).astype(np.int32)
    return np.ascontiguousarray(byte[: len(byte) // streams * streams].reshape(streams, -1).T)


@needs_kernel
@pytest.mark.parametrize("streams", [1, 3])
@pytest.mark.parametrize("highest", [1, 2, 6])
@pytest.mark.parametrize("name", ["text", "random", "source", "zeros"])
def test_both_forms_are_one(name, highest, streams, monkeypatch):
    monkeypatch.setattr("graves_lm.compression.counts._FULL", 20)  # rows are halved in a short content, too
    random, forms = np.random.default_rng(0), [CountsMixed(highest, streams, 1200)]
    monkeypatch.setenv("GRAVES_LM_NATIVE", "0")
    forms.append(CountsMixed(highest, streams, 1200))
    for byte_S in in_streams(contents()[name][:1200], streams):
        chance_S256 = random.dirichlet(np.full(256, 0.1), streams)
        first, second = (form.mixed(chance_S256) for form in forms)
        assert (first == second).all(), "to the last bit"
        assert np.allclose(first.sum(1), 1)
        for form in forms:
            form.update(byte_S)
    states = [form.state for form in forms]
    for what in ("count", "symbol", "check", "latest", "history", "length", "place", "words"):
        assert (getattr(states[0], what) == getattr(states[1], what)).all(), what


@pytest.fixture(params=["kernel", "plain"])
def form(request, monkeypatch):
    if request.param == "plain":
        monkeypatch.setenv("GRAVES_LM_NATIVE", "0")


def test_an_interpolated_chance_is_that_of_the_formula(form):
    """By hand: after "abab" an a has been followed by b twice, which order 1 counts once as of its kind."""
    counts = CountsMixed(1, 1, 4000)
    cost(counts, in_streams(b"abab", 1))
    counts.mixed(np.full((1, 256), 1 / 256))
    once = np.full(256, 0.4)
    once[[ord("a"), ord("b")]] += [2, 1]  # a at the beginning and after b; the second b was known
    after_b = once / once.sum() * (0.75 + 0.1) / 1.1
    after_b[ord("a")] += (1 - 0.75) / 1.1
    assert np.allclose(np.exp(counts.state.log_p[0, 1]), after_b)


def test_what_is_not_yet_known_is_not_used(form):
    """Of streams that read the same, none follows another to the place where that one is."""
    content = np.random.default_rng(2).integers(0, 256, 300, dtype=np.int32)
    bits = cost(CountsMixed(3, 2, 600), np.stack([content, content], 1))
    assert (
        bits > 0.9 * 8 * 600 / 2
    )  # the second stream's may be known from the first's, the first's from nowhere


@needs_kernel
def test_a_match_is_found_and_kept_to():
    phrase = np.random.default_rng(1).integers(0, 256, 2000, dtype=np.int32)
    once = cost(CountsMixed(6, 1, 4000), phrase[:, None])
    twice = cost(CountsMixed(6, 1, 4000), np.concatenate([phrase, phrase])[:, None])
    assert once > 0.95 * 8 * 2000
    assert twice - once < 0.12 * once


@needs_kernel
def test_on_source_code_it_is_better_than_bytes_alone():
    content = Path(np.__file__).with_name("matlib.py").read_bytes()
    counts = cost(CountsMixed(6, 1, len(content)), in_streams(content, 1))
    frequency = np.bincount(np.frombuffer(content, np.uint8), minlength=256) / len(content)
    entropy = -sum(p * math.log2(p) for p in frequency if p) * len(content)
    assert counts < 0.6 * entropy
