"""Static files are the same on every machine: whole numbers, and log and exp of four operations."""

import hashlib
import io
import math
from decimal import Decimal, localcontext

import numpy as np
import pytest
import torch

from graves_lm.compression import exact, portable
from graves_lm.compression.codec import decode, encode
from graves_lm.compression.file_format import read_header
from graves_lm.compression.method import Method
from graves_lm.compression.network import byte_model, checksum
from graves_lm.compression.parts import length_and_crc
from graves_lm.compression.portable import PortablePredictor, is_portable
from graves_lm.models.character import CharacterNetwork, CharacterState
from tests.compression.contents import byte_task

SENTENCE = b"The same bytes come back on every machine, [[whatever]] its vectors."


@pytest.mark.parametrize("skips", [True, False])
@pytest.mark.parametrize("peepholes", [True, False])
@pytest.mark.parametrize("compiled", [True, False])
def test_it_is_the_network_in_python_s_whole_numbers(skips, peepholes, compiled, monkeypatch):
    """Equations (7)–(11), (12) once more, with numbers that know no rounding, in another order."""
    if not compiled:
        monkeypatch.setenv("GRAVES_LM_NATIVE", "0")
    torch.manual_seed(1)
    network = CharacterNetwork(6, layers=2, hidden_size=5, skips=skips, peepholes=peepholes)
    with torch.no_grad():
        for weight in network.parameters():
            weight.normal_(0, 0.7)
    made = PortablePredictor(network, streams=2)
    h, c, unit = [[[0] * 5] * 2, [[0] * 5] * 2], [[[0] * 5] * 2, [[0] * 5] * 2], 2.0**made._bits
    for symbols in [(-1, -1), (3, 0), (5, 5), (-1, 2), (1, 4)]:
        made.update(np.array(symbols))
        chance_SK = made.chances()
        for s in range(2):
            for n in range(2):
                below = h[0][s] if n else []
                h[n][s], c[n][s] = in_integers(network, n, unit, symbols[s], below, h[n][s], c[n][s])
            seen = [*h[0][s], *h[1][s]] if skips else h[1][s]
            weight = network.stack.to_output.weight.double() * unit
            bias = network.stack.to_output.bias.double() * unit * 2**11
            z = [dot(row, seen) + nearest(b) for row, b in zip(weight, bias, strict=True)]
            e = [table(math.exp, -((max(z) - x) * 2**10 // (int(unit) * 2**11)), 2**10, 2**40) for x in z]
            assert chance_SK[s].tolist() == [x / sum(e) for x in e]


def in_integers(network, n, unit, symbol, below, own, c):
    stack = network.stack
    weights = [*([stack.from_below[0].weight] if n else []), stack.recurrences[n].weight]
    z_unit, seen = int(unit) * 2**11, [*below, *own]
    z = []
    for g, row in enumerate(torch.cat(weights, 1).detach().double() * unit):
        total = dot(row.flip(0), seen[::-1]) + nearest(float(stack.bias[n][g]) * z_unit)
        if symbol >= 0 and n < len(stack.from_input):
            total += nearest(float(stack.from_input[n].weight[symbol, g]) * z_unit)
        z.append(total)
    peephole = stack.recurrences[n].peephole
    p = np.zeros((3, 5)) if peephole is None else peephole.detach().double().numpy() * unit
    h_new, c_new = [], []
    for j in range(5):
        i = gate(sigmoid, z[j] + (nearest(p[0, j]) * c[j] >> 9), z_unit)
        f = gate(sigmoid, z[5 + j] + (nearest(p[1, j]) * c[j] >> 9), z_unit)
        g = gate(math.tanh, z[10 + j], z_unit)
        cell = (f * c[j] >> 15) + (i * g >> 10)
        o = gate(sigmoid, z[15 + j] + (nearest(p[2, j]) * cell >> 9), z_unit)
        h_new.append((o * gate(math.tanh, cell, 2**20) + 2**18) >> 19)
        c_new.append(cell)
    return h_new, c_new


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


def gate(function, z, unit):
    """At the middle of a place of 1/2048, as far as tables go."""
    far = 16 if function is sigmoid else 8
    place = min(max(z * 2**11 // unit, -far * 2**11), far * 2**11 - 1)
    return nearest(function((place + 0.5) / 2**11) * 2**15)


def table(function, place, steps, unit):
    return nearest(function(max(place, -32 * steps + 1) / steps) * unit)


def nearest(x):
    return math.floor(float(x) + 0.5)


def dot(row, x):
    return sum(nearest(w) * y for w, y in zip(row.tolist(), x, strict=True))


def test_it_is_the_network_but_for_a_thousandth_of_a_bit():
    task = byte_model("character")
    text = SENTENCE.decode() * 3
    symbol_T = torch.from_numpy(task.symbols.encode(text).astype(np.int64))
    with torch.inference_mode():
        logits_TBK, _ = task.network(symbol_T[:, None], task.network.initial_state(1))
    expected = torch.nn.functional.cross_entropy(logits_TBK[:, 0], symbol_T).item()
    made, nats = PortablePredictor(task.network, 1), 0.0
    for symbol in symbol_T.tolist():
        nats -= math.log(made.chances()[0, symbol])
        made.update(np.array([symbol]))
    assert nats / len(text) == pytest.approx(expected, abs=1e-3)


def compressed(content: bytes, **how) -> bytes:
    task, source, made = byte_model("character"), io.BytesIO(content), io.BytesIO()
    encode(source, made, task, Method(*length_and_crc(source), checksum(task), portable=True, **how), "it")
    return made.getvalue()


GOLDEN = "1c32113f22f2b005e2dded236c3ceb8b53b182d9aad1f35443ccbb10dcc9474f"


def test_this_machine_makes_the_file_that_another_made():
    data = compressed(SENTENCE, counts=6)
    assert hashlib.sha256(data).hexdigest() == GOLDEN, data.hex()
    made = io.BytesIO()
    source = io.BytesIO(data)
    decode(source, made, byte_model("character"), read_header(source, "it"), "it")
    assert made.getvalue() == SENTENCE


@pytest.mark.parametrize("how", [{"counts": 6}, {"counts": 3, "streams": 3}])
def test_without_kernels_the_file_is_the_same(how, monkeypatch):
    data = compressed(SENTENCE * 2, **how)
    monkeypatch.setenv("GRAVES_LM_NATIVE", "0")
    assert compressed(SENTENCE * 2, **how) == data


def test_weights_without_bounds_are_read_as_they_are():
    network = byte_task().network
    assert is_portable(network)
    with torch.no_grad():
        network.stack.to_output.weight[0, 0] = 5e3
    assert not is_portable(network)
    with torch.no_grad():
        network.stack.to_output.weight[0, 0] = 1e3
    assert is_portable(network)
    made = PortablePredictor(network, 1)
    assert made._bits == 5
    assert np.isfinite(made.chances()).all()


def test_no_sum_leaves_its_bits():
    """All weights of a row at their largest, and all activations."""
    network = CharacterNetwork(3, layers=1, hidden_size=900)
    with torch.no_grad():
        network.stack.recurrences[0].weight.fill_(0.999)
    made = PortablePredictor(network, 1)
    layer = made._layers[0]
    full = np.full((1, 900), 2**11)
    expected = int(layer.matrix.whole_GI[0].astype(np.int64).sum()) * 2**11
    assert layer.matrix(full)[0, 0] == expected
    assert expected < 2**31
    assert 2.0 ** (made._bits + 1) * 0.999 * 900 * 2**11 > 2**31, "the finest that fits"


def test_log_and_exp_are_those_of_mathematics():
    random = np.random.default_rng(0)
    x = np.exp(random.uniform(-600, 600, 300))
    y = np.concatenate([-random.uniform(0, 40, 300), [0.0, -699.9]])
    logarithm, exponential = exact.logarithm(x), exact.exponential(y)
    with localcontext() as context:
        context.prec = 40
        for value, found in zip(x.tolist(), logarithm.tolist(), strict=True):
            assert found == pytest.approx(float(Decimal(value).ln()), rel=1e-14, abs=1e-16)
        for value, found in zip(y.tolist(), exponential.tolist(), strict=True):
            assert found == pytest.approx(float(Decimal(value).exp()), rel=1e-14)
    assert exact.exponential(np.array([-1e9]))[0] == exact.exponential(np.array([-700.0]))[0]
    assert exact.total(np.array([[1e16, 1, 1, -1e16]])).tolist() == [0.0], "from the beginning"


def test_states_follow_a_long_text(monkeypatch):
    """c is bounded where a network would let it grow without end."""
    network = CharacterNetwork(2, layers=1, hidden_size=1)
    with torch.no_grad():
        for weight in network.parameters():
            weight.fill_(5.0)
    monkeypatch.setattr(portable, "_MOST_C", 3 << 20)
    made = PortablePredictor(network, 1)
    for _ in range(10):
        made.update(np.array([1]))
        made.chances()
    assert made._c[0][0, 0] == 3 * 2**20
    state = network.initial_state(1)
    for _ in range(10):
        with torch.no_grad():
            _, layers = network.step(CharacterState(state.layers, torch.tensor([1])))
        state = CharacterState(layers, torch.tensor([1]))
    assert float(state.layers[0].c_BH) > 3
