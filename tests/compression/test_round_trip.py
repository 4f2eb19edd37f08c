"""What was compressed comes back, whatever it is, and takes the bits that were predicted."""

import copy
import io
import math

import numpy as np
import pytest
import torch

from graves_lm.compression.codec import decode, encode
from graves_lm.compression.coding import CHECKED, Decoder
from graves_lm.compression.file_format import FRAME_WORDS, read_frames, read_header
from graves_lm.compression.method import Method, Rule
from graves_lm.compression.network import checksum, how_read, is_compiled
from graves_lm.compression.parts import length_and_crc
from graves_lm.data.streams import StreamLoader
from graves_lm.evaluation.dynamic import DynamicSGD, evaluate_dynamically
from graves_lm.learning.tasks.character import CharacterTask
from graves_lm.runtime.errors import UserError
from tests.compression.contents import byte_task, contents
from tests.runs import TEXT

CONTENTS = contents()
METHODS = {
    "static": {},
    "counts": {"counts": 3},
    "three streams": {"streams": 3, "counts": 2},
    "sgd": {"rule": Rule("sgd", {"lr": 1e-3}, segment=7)},
    "rms": {"rule": Rule("rms", {"segments": 3}, segment=7)},
    "adam, five streams": {"rule": Rule("adam"), "streams": 5, "counts": 1},
}


def compressed(task: CharacterTask, content: bytes, **how) -> tuple[bytes, float]:
    """The file, and the bits that were predicted; the task stays as it is."""
    source, made = io.BytesIO(content), io.BytesIO()
    length, crc = length_and_crc(source)
    read = {"kernel": is_compiled(task)} if how.pop("as_it_is", False) else how_read(task, "rule" in how)
    method = Method(length, crc, checksum(task), **read, **how)
    bits = encode(source, made, copy.deepcopy(task), method, "it")
    return made.getvalue(), bits


def check(data: bytes) -> None:
    """What decompress does before any work."""
    file = io.BytesIO(data)
    list(read_frames(file, "it", read_header(file, "it").length))


def brought_back(task: CharacterTask, data: bytes) -> bytes:
    file, made = io.BytesIO(data), io.BytesIO()
    method = read_header(file, "it")
    decode(file, made, copy.deepcopy(task), method, "it")
    return made.getvalue()


def test_there_are_twenty():
    assert len(CONTENTS) == 20


@pytest.mark.parametrize("how", METHODS)
@pytest.mark.parametrize("name", CONTENTS)
def test_each_comes_back_to_the_byte(name, how):
    task = byte_task()
    data, bits = compressed(task, CONTENTS[name], **METHODS[how])
    assert brought_back(task, data) == CONTENTS[name]
    assert len(data) <= 1.0005 * bits / 8 + 64 + (20 if how in ("sgd", "rms") else 0)  # settings of one's own


@pytest.mark.parametrize("how", ["counts", "sgd", "rms"])
def test_one_thread_and_two_make_the_same(how):
    task, content = byte_task(hidden=96), CONTENTS["text"]
    before, files = torch.get_num_threads(), []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            files.append(compressed(task, content, **METHODS[how])[0])
        assert files[0] == files[1]
        assert brought_back(task, files[0]) == content  # with two what one has made
    finally:
        torch.set_num_threads(before)


def test_without_compiled_kernels_too(monkeypatch):
    task, content, how = byte_task(), CONTENTS["text"], {"rule": Rule("sgd", {"lr": 1e-3}, segment=7)}
    with_kernels = compressed(task, content, streams=2, counts=2, **how)[1]
    monkeypatch.setenv("GRAVES_LM_NATIVE", "0")
    data, bits = compressed(task, content, streams=2, counts=2, **how)
    assert not read_header(io.BytesIO(data), "it").kernel
    assert brought_back(task, data) == content
    assert bits == pytest.approx(with_kernels, rel=1e-3)  # it learns there, too


def test_the_bits_are_those_of_evaluation():
    """Static: the whole text at once, by the network's own forward pass."""
    task, text = byte_task(), TEXT * 9
    index_TB = torch.from_numpy(task.symbols.encode(text).astype(np.int64))[:, None]
    with torch.no_grad():
        logits_TBK, _ = task.network(index_TB, task.network.initial_state(1))
        expected = torch.nn.functional.cross_entropy(logits_TBK[:, 0], index_TB[:, 0], reduction="sum")
    data, bits = compressed(task, text.encode())
    escape = 0.5 * math.log2(len(text)) + 1  # that there is no unknown byte
    assert 0 < bits - float(expected) / math.log(2) < escape + 0.01
    assert len(data) <= 1.0005 * bits / 8 + 64


def test_the_bits_of_learning_are_those_of_dynamic_evaluation():
    symbols = bytes(range(256))  # so that there is no escape
    task, text = byte_task(symbols=symbols), np.frombuffer((TEXT * 9).encode(), np.uint8)
    rule = DynamicSGD(lr=1e-3)
    figures = evaluate_dynamically(copy.deepcopy(task), StreamLoader(text, 1, 7), rule, ())
    _, bits = compressed(task, text.tobytes(), rule=Rule("sgd", {"lr": 1e-3}, segment=7))
    assert bits / len(text) == pytest.approx(figures["bpc"], rel=1e-4)
    static = compressed(task, text.tobytes())[1]
    assert bits < 0.95 * static  # it learned


def test_a_long_file_is_of_several_frames():
    task, content = byte_task(), np.random.default_rng(1).integers(0, 256, 90_000, dtype=np.uint8).tobytes()
    data, bits = compressed(task, content, streams=64)
    file = io.BytesIO(data)
    method = read_header(file, "it")
    frames = list(read_frames(file, "it", method.length))
    assert len(frames) > 1
    assert all(len(frame.words) // 4 <= FRAME_WORDS + 64 for frame in frames)
    assert len(data) <= 1.0005 * bits / 8 + 64
    assert brought_back(task, data) == content


def test_counts_pay_on_what_repeats():
    task = byte_task()
    assert compressed(task, CONTENTS["text"], counts=4)[1] < 0.5 * compressed(task, CONTENTS["text"])[1]


@pytest.mark.parametrize("place", range(0, 12))
def test_a_changed_byte_is_found(place):
    """Wherever it is, with one line; the whole file's bytes are tried in twelfths."""
    task = byte_task()
    data, _ = compressed(task, CONTENTS["prime length"])
    for at in range(place, len(data), 12):
        damaged = bytearray(data)
        damaged[at] ^= 0x10
        with pytest.raises(UserError, match=r"^it: [^\n]*$"):
            brought_back(task, bytes(damaged))


def test_a_cut_file_is_found():
    task = byte_task()
    data, _ = compressed(task, CONTENTS["prime length"])
    for size in range(len(data)):
        with pytest.raises(UserError, match=r"^it: (cut off|not a file|damaged)"):
            check(data[:size])


def test_more_behind_the_end_is_found():
    task = byte_task()
    with pytest.raises(UserError, match="damaged"):
        brought_back(task, compressed(task, b"abc")[0] + b"x")


@pytest.mark.parametrize("streams", [1, 30])
def test_another_machine_is_told_soon(streams, monkeypatch):
    """As if it computed otherwise: weights a little off, but the same checksum in the header."""
    task = byte_task()
    data, _ = compressed(task, CONTENTS["text"] * 4, streams=streams, as_it_is=True)
    with torch.no_grad():
        task.network.stack.to_output.weight.mul_(1.001)
    read, step = [], Decoder.step
    monkeypatch.setattr(Decoder, "step", lambda self, chances: read.append(0) or step(self, chances))
    with pytest.raises(UserError, match="another machine"):
        brought_back(task, data)
    assert len(read) * streams <= CHECKED + streams < len(CONTENTS["text"] * 4)


def test_a_model_that_has_lost_its_numbers_is_refused():
    task = byte_task()
    with torch.no_grad():
        task.network.stack.to_output.bias.fill_(float("nan"))
    with pytest.raises(UserError, match="not finite"):
        compressed(task, b"abc")
