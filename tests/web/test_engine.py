"""The engine in WebAssembly, run by wasmtime, draws what the pen in C draws for this machine."""

import copy
import hashlib
import re
import shutil
import struct
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import astuple
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch

from graves_lm.models.synthesis import SynthesisNetwork
from graves_lm.runtime.errors import UserError
from graves_lm.sampling.events import whole_lines
from graves_lm.sampling.packed import PackedNetwork
from graves_lm.sampling.passage import Prime, SymbolPassage
from graves_lm.sampling.pens import FULL_BIAS
from graves_lm.sampling.synthesis import SynthesisSampler
from graves_lm.trained.loading import load_trained
from graves_lm.web.html import HERE
from graves_lm.web.weights import engine_weights

wasmtime = pytest.importorskip("wasmtime", reason="wasmtime, which runs WebAssembly, is not installed")
ROOT = Path(__file__).parents[2]
WASM = HERE / "engine" / "engine.wasm"


class Engine:
    """engine.c's functions, and its memory."""

    def __init__(self, weights: bytes, wasm: Path = WASM):
        self.store = wasmtime.Store()
        module = wasmtime.Module(self.store.engine, wasm.read_bytes())
        assert not module.imports  # nothing of the world outside
        self.exports = wasmtime.Instance(self.store, module, []).exports(self.store)
        self.call("_initialize")
        assert self.call("engine_load", self.put(weights)) == 0

    def call(self, name: str, *arguments: int) -> int:
        return self.exports[name](self.store, *arguments)

    def put(self, content: bytes) -> int:
        address = self.call("engine_room", max(1, len(content)))
        self.exports["memory"].write(self.store, content, address)
        return address

    def floats(self, address: int, count: int) -> np.ndarray:
        content = self.exports["memory"].read(self.store, address, address + 4 * count)
        return np.frombuffer(bytes(content), "<f4")

    def begin(
        self, sampler: SynthesisSampler, text: Sequence[int], seed: int, prime: Prime | None = None
    ) -> None:
        settings = (*sampler.bias, FULL_BIAS, 0.1, -0.2, *astuple(sampler.end))
        packed = struct.pack(f"<{len(settings)}f", *settings)
        self.exports["memory"].write(self.store, packed, self.call("engine_settings"))
        before = list(prime.symbol_U) if prime else []
        points = prime.point_T3.numpy().astype("<f4") if prime else np.zeros((0, 3), "<f4")
        symbols = np.array([*before, *text], "<i4")
        addresses = self.put(symbols.tobytes()), self.put(points.tobytes())
        given = (addresses[0], len(text), len(before), addresses[1], len(points))
        self.call("engine_begin", *given, seed % 2**32, seed >> 32, 0, 0)

    def line(self) -> np.ndarray:
        while self.call("engine_prime", 50):
            pass
        while not self.call("engine_point"):
            pass
        first, count = self.call("engine_first"), self.call("engine_count")
        return self.floats(self.call("engine_look", 0), 3 * count).reshape(-1, 3)[first:]


@pytest.fixture(scope="module")
def network() -> SynthesisNetwork:
    torch.manual_seed(3)
    return SynthesisNetwork(6, 2, 21, 3, 4, points_per_character=6.0, window_scale=1.0)


@pytest.fixture(scope="module")
def prime() -> Prime:
    torch.manual_seed(0)
    points = torch.cat([torch.zeros(1, 3), torch.randn(90, 3)])
    points[:, 2] = (points[:, 2] > 1).float()
    return Prime(points, [1, 2, 3, 4, 5] * 4 + [0])


@pytest.mark.parametrize("weights", ["float32", "bf16", "int8"])
@pytest.mark.parametrize("primed", [False, True])
def test_a_line_is_that_of_the_sampler(network, prime, weights, primed):
    engine = Engine(engine_weights(network, weights))
    sampler = SynthesisSampler(bias=[0.1, 0.8], weights=weights)
    for seed, text in enumerate(([1, 2], [0, 3, 1, 1, 5], [2])):
        passage = SymbolPassage([text], 2**40 + seed, prime if primed else None, still=(0.1, -0.2))
        (line,) = whole_lines(sampler.events(network, passage))
        engine.begin(sampler, text, 2**40 + seed, passage.prime)
        np.testing.assert_allclose(engine.line(), np.array(line.points), rtol=1e-3, atol=1e-3)


def test_a_prime_that_was_read_before_is_hardly_read_again(network, prime):
    engine, sampler = Engine(engine_weights(network)), SynthesisSampler()
    engine.begin(sampler, [2, 3], 5, prime)
    engine.line()
    size, points = engine.call("engine_state_size"), engine.call("engine_kept_points")
    kept = engine.floats(engine.call("engine_kept"), size)
    assert points > 5
    engine.begin(sampler, [4], 6, prime)
    whole = engine.line()
    engine.begin(sampler, [4], 6, prime)
    engine.call("engine_resume", engine.put(kept.tobytes()), points)
    left = engine.call("engine_prime", 0)
    assert left == len(prime.point_T3) - 1 - points
    np.testing.assert_allclose(engine.line(), whole, rtol=1e-3, atol=1e-3)


def test_other_bytes_are_no_network():
    with pytest.raises(AssertionError):
        Engine(bytes(1000))


@pytest.mark.slow
@pytest.mark.parametrize("weights", ["float32", "int8"])
def test_the_weights_of_the_package_give_the_same_states_phi_and_outputs(weights):
    """Over 500 points of one line, each from the same random numbers; points are fed back."""
    trained = load_trained("synthesis", task="synthesis")
    packed = PackedNetwork(trained.network, weights)
    if packed.kernel is None:
        pytest.skip("no C compiler")
    engine = Engine(engine_weights(trained.network, weights))
    text = trained.alphabet.encode("a quick brown fox jumps over the lazy dog").tolist()
    sampler = SynthesisSampler(bias=0.75, weights=weights)
    (line,) = whole_lines(sampler.events(trained.network, SymbolPassage([text], 3, still=(0.1, -0.2))))
    engine.begin(sampler, text, 3)
    found = engine.line()
    assert len(found) > 500
    np.testing.assert_allclose(found[:500], np.array(line.points)[:500], rtol=1e-4, atol=1e-4)
    phi = engine.floats(engine.call("engine_look", 1), len(text) + 1)
    assert phi.argmax() >= len(text) - 1


def test_the_engine_is_no_older_than_its_sources():
    """Else `make engine` is to be run."""
    native, own = ROOT / "src/graves_lm/nn/native", WASM.parent
    c = [own / "alone.c", own / "engine.c", native / "lines.c", native / "pen.c", native / "step.c"]
    names = ("end", "functions", "lines", "matrix", "noise", "pen", "rows", "step", "team")
    sources = b"".join(path.read_bytes() for path in (*c, *(native / f"{name}.h" for name in names)))
    assert WASM.with_suffix(".sources").read_text().strip() == hashlib.sha256(sources).hexdigest()
    included = {name for path in c for name in re.findall(rb'#include "(\w+)\.h"', path.read_bytes())}
    assert {name.decode() for name in included} <= set(names)


@pytest.mark.slow
def test_the_engine_is_what_the_compiler_makes(tmp_path):
    """Byte by byte, as `make engine` does."""
    if find_spec("ziglang") is None or shutil.which("make") is None:
        pytest.skip("ziglang, the compiler to WebAssembly, is not installed")
    made = tmp_path / "engine.wasm"
    command = ["make", "-s", "engine", f"ENGINE={made}", f"PYTHON_OF_ENGINE={sys.executable}"]
    subprocess.run(command, check=True, cwd=ROOT)
    assert made.read_bytes() == WASM.read_bytes()


def test_a_network_of_another_cell_is_refused(network):
    other = copy.deepcopy(network)
    other.stack.recurrences[1] = torch.nn.Identity()
    other.stack.recurrences[0] = torch.nn.Identity()
    with pytest.raises(UserError, match="this network is of Identity; sample draws with it"):
        engine_weights(other)
