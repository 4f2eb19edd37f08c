"""Compressed files of strangers, whose checksums are right: refused in one line before any work, whatever
they ask for."""

import dataclasses
import io
import struct
import zlib

import msgspec
import pytest
from omegaconf import OmegaConf

from graves_lm.compression.codec import decode
from graves_lm.compression.command import task_of
from graves_lm.compression.file_format import MAGIC, number, read_frames, read_header
from graves_lm.compression.method import RULES, Fresh, Method, Rule
from graves_lm.compression.network import byte_model, checksum, fresh_model, is_compiled
from graves_lm.runtime.errors import UserError

METHOD = {"l": 10, "c": 0, "f": {"l": 1, "h": 8}}


def header(method: dict, magic: bytes = MAGIC) -> bytes:
    packed = msgspec.msgpack.encode(method)
    head = magic + bytes([len(packed)]) + packed
    return head + struct.pack("<I", zlib.crc32(head))


def frame(symbols: int, words: bytes, claimed: int | None = None) -> bytes:
    count = len(words) // 4 if claimed is None else claimed
    return number(symbols) + number(count) + struct.pack("<HI", 0, zlib.crc32(words)) + words


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"l": -1}, "l"),
        ({"l": 2**63}, "l"),
        ({"s": 0}, "s"),
        ({"s": 1025}, "s"),
        ({"o": 9}, "o"),
        ({"f": {"h": 4096}}, "h"),
        ({"f": {"l": 8, "h": 2048}}, "layers × hidden_size"),
        ({"m": b"longer than six"}, "m"),
        ({"new": 1}, "new"),
        ({"p": True}, "no network learns in whole numbers"),
        ({"s": 1024, "r": {"n": "sgd", "t": 100}}, "streams × dynamic.segment"),
        ({"r": {"n": "os.system"}}, "does not know: os.system"),
        ({"r": {"n": "\x1b[31m"}}, r"does not know: \\x1b"),
        ({"r": {"n": "rms", "s": {"segments": 10**9}}}, "segments"),
        ({"r": {"n": "rms", "s": {"eps": 0}}}, "eps"),
        ({"r": {"n": "rms", "s": {"lr": None}}}, "lr"),
        ({"r": {"n": "adam", "s": {"lr": float("nan")}}}, "lr"),
        ({"r": {"n": "adam", "s": {"speed": 1}}}, "speed"),
    ],
)
def test_a_header_out_of_bounds_is_refused(change, said):
    with pytest.raises(UserError, match=r"^it: [^\n\x1b]*$") as refusal:
        read_header(io.BytesIO(header(METHOD | change)), "it")
    assert said.replace("\\\\", "\\") in str(refusal.value)


def test_within_bounds_it_is_read():
    assert read_header(io.BytesIO(header(METHOD)), "it") == Method(10, 0, fresh=Fresh(1, 8))


def test_another_version_is_named():
    with pytest.raises(UserError, match="another version of the format"):
        read_header(io.BytesIO(header(METHOD, b"GLM9")), "it")


@pytest.mark.parametrize(
    ("frames", "length"),
    [
        (frame(2**62, b"1234"), 2**62),  # as many symbols as no such word can be of
        (frame(10, b"1234", claimed=2**40), 10),
        (frame(11, b"1234"), 10),
        (frame(9, b"1234"), 10),
        (b"\xff" * 20, 10),
        (frame(5, b"1234") * 3, 10),
    ],
)
def test_frames_that_claim_what_cannot_be(frames, length):
    with pytest.raises(UserError, match=r"^it: (damaged|cut off)"):
        list(read_frames(io.BytesIO(frames + number(0)), "it", length))


@pytest.mark.parametrize("words", [b"", bytes(4), b"\xff" * 8, bytes(range(40))])
def test_words_of_no_encoder(words):
    fresh = Fresh(1, 8)
    task = fresh_model(fresh)
    method = Method(10, 0, kernel=is_compiled(task), fresh=fresh)
    with pytest.raises(UserError, match=r"^it: [^\n]*decompress it there$"):
        decode(io.BytesIO(frame(10, words) + number(0)), io.BytesIO(), task, method, "it")


def test_whole_numbers_of_a_network_that_cannot_be_read_so(monkeypatch):
    method = Method(1, 0, checksum(byte_model("character")), portable=True)
    monkeypatch.setattr("graves_lm.compression.command.is_portable", lambda network: False)
    with pytest.raises(UserError, match=r"^it: damaged; fetch it again$"):
        task_of(OmegaConf.create({"ckpt": "character"}), method, "it")


def test_what_a_file_leaves_out_stands():
    """Files have no setting that is a default: with another default these figures and MAGIC change."""
    assert MAGIC == b"GLM1"
    assert {name: dataclasses.asdict(rule()) for name, rule in RULES.items()} == {
        "sgd": {"lr": 1e-4, "momentum": 0.99, "clip_norm": None},
        "rms": {"lr": 1e-4, "decay": 1e-3, "eps": 1e-5, "segments": 200, "clip_norm": None},
        "adam": {"lr": 3e-3, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "fall": 2000.0, "clip_norm": 1.0},
    }
    assert (Rule("sgd").segment, Fresh()) == (20, Fresh(2, 128))
