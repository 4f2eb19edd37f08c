"""Hands by what `hand=` says: numbers, names, files and mixtures, from Python and from the command line."""

import json
import os

import numpy as np
import pytest
import torch

from graves_lm.data.strokes import Normalisation
from graves_lm.runtime.errors import UserError
from graves_lm.settings.stored import build
from graves_lm.trained.blend import Blend
from graves_lm.trained.checkpoint import PRETRAINED
from graves_lm.trained.exported import export
from graves_lm.trained.loading import load_trained, make_trained
from graves_lm.writing import named_hand as named
from graves_lm.writing.hand_files import in_folder
from graves_lm.writing.hand_name import parts_of
from graves_lm.writing.named_hand import named_hand
from graves_lm.writing.writer import Writer
from tests.data.lines import make_line, write_ink
from tests.test_commands import call  # noqa: F401
from tests.writing.hands import synthesis_checkpoint

ANNA, BEN = make_line("anna", 60, "a bad cab"), make_line("ben", 80, "dead bead")
QUICK = ("sampler.candidates=1", "sampler.retries=0", "output=o.json")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working directory with a folder of hands: ink of two, weights of two, of which one has a line."""
    monkeypatch.chdir(tmp_path)
    hands = tmp_path / "hands"
    hands.mkdir()
    write_ink(hands / "anna.json", [ANNA])
    write_ink(hands / "ben.json", [BEN])
    export(synthesis_checkpoint(1), hands / "carla.safetensors", hand=make_line("carla", 50, "bed"))
    export(synthesis_checkpoint(2), hands / "dora.safetensors")
    return tmp_path


@pytest.fixture
def writer():
    return Writer(make_trained(synthesis_checkpoint()))


def same(page, other) -> bool:
    return len(page.strokes) == len(other.strokes) and all(map(np.array_equal, page.strokes, other.strokes))


@pytest.mark.parametrize(
    ("hand", "expected"),
    [
        ("anna", [("anna", 1.0)]),
        ("anna:0.5", [("anna", 1.0)]),
        ("anna+ben", [("anna", 0.5), ("ben", 0.5)]),
        (" anna : 3 + ben:1 ", [("anna", 0.75), ("ben", 0.25)]),
        ("1:2+2:2+me.inkml:4", [("1", 0.25), ("2", 0.25), ("me.inkml", 0.5)]),
        (7, [("7", 1.0)]),
        ("a+b", [("a+b", 1.0)]),  # a file of that name
        ("a:1", [("a:1", 1.0)]),
        ("c:\\a", None),
    ],
)
def test_a_hand_has_parts_and_shares(hand, expected):
    def is_name(text):
        return text in ("a+b", "a:1")

    if expected is None:
        with pytest.raises(UserError, match="the share of c is"):
            parts_of(hand, is_name)
    else:
        assert parts_of(hand, is_name) == expected


@pytest.mark.parametrize(
    ("hand", "message"),
    [
        ("", "its name is empty"),
        (" ", "its name is empty"),
        ("+", "part 1 has no name"),
        ("anna+", "part 2 has no name"),
        (":1", "its name is empty"),
        ("anna:1+:1", "part 2 has no name"),
        ("anna:1+ben", "ben has no share and others have"),
        *[
            (f"anna:{share}+ben:1", f"the share of anna is {share!r}: a number above 0")
            for share in ("0", "-1", "nan", "inf", "x", "1e-9", "1e9")
        ],
        ("anna:+ben:1", "the share of anna is ':'"),
        ("+".join(["anna"] * 17), "a mixture of 17 hands; give 16 at most"),
    ],
)
def test_bad_forms_are_refused(hand, message):
    with pytest.raises(UserError) as refused:
        parts_of(hand, lambda text: False)
    assert message in str(refused.value)
    assert str(refused.value).startswith(f"hand={hand}: ")


def test_ink_is_the_prime_by_name_path_and_ending(folder, writer):
    primed = writer.write("add a bed", width=5, seed=2, prime=ANNA)
    for hand in ("anna", "anna.json", "hands/anna.json", folder / "hands" / "anna.json"):
        assert same(writer.write("add a bed", width=5, seed=2, hand=hand), primed)
    os.rename("hands", "others")
    assert same(writer.write("add a bed", width=5, seed=2, hand="anna", hands_dir="others"), primed)
    streamed = [p for line, p in writer.stream("add", seed=2, hand="anna", hands_dir="others") if line == 0]
    assert np.array_equal(np.stack(streamed), writer.write("add", seed=2, prime=ANNA).strokes[0])


def test_weights_write_in_the_hand_that_they_carry(folder, writer):
    own = Writer(load_trained("hands/carla.safetensors"))
    expected = own.write("add a bed", width=5)
    for hand in ("carla", "carla.safetensors", "hands/carla.safetensors", "carla:3"):
        assert same(writer.write("add a bed", width=5, hand=hand), expected)
    assert not same(writer.write("add a bed", width=5, prime=make_line("carla", 50, "bed")), expected)
    streamed = [point for line, point in writer.stream("add", hand="carla") if line == 0]
    assert np.array_equal(np.stack(streamed), own.write("add").strokes[0])
    primed = writer.write("add", hand="carla", prime=ANNA)  # the weights of the one, the style of the other
    assert same(primed, own.write("add", prime=ANNA))
    one = writer.write("add", hand="dora", one_hand=False)
    assert same(one, Writer(load_trained("hands/dora.safetensors")).write("add", one_hand=False))


def test_weights_that_are_written_anew_are_read_anew(folder, writer):
    before = writer.write("add", hand="dora", one_hand=False)
    export(synthesis_checkpoint(5), "hands/dora.safetensors")
    os.utime("hands/dora.safetensors", ns=(1, 1))
    assert not same(writer.write("add", hand="dora", one_hand=False), before)


def test_no_hand_of_the_package_is_put_upon_weights_that_are_a_hand(folder, writer, monkeypatch):
    bank = json.loads(write_ink(folder / "bank.json", [ANNA]).read_text())
    bank["normalisation"] = writer.trained.normalisation.to_plain()
    (folder / "bank.json").write_text(json.dumps(bank))
    monkeypatch.setattr("graves_lm.writing.hands.BANK", folder / "bank.json")
    assert same(writer.write("add"), writer.write("add", prime=ANNA))
    dora = Writer(load_trained("hands/dora.safetensors"))
    assert same(dora.write("add"), dora.write("add", prime=ANNA))
    assert not same(writer.write("add", hand="dora"), dora.write("add"))
    assert same(writer.write("add", hand="dora"), dora.write("add", one_hand=False))


def test_a_mixture_of_weights_is_the_mean_of_their_weights(folder, writer):
    trained = named_hand("carla:3+dora:1", "hands").trained()
    one, two = (load_trained(f"hands/{name}.safetensors").network.state_dict() for name in ("carla", "dora"))
    for name, weight in trained.network.state_dict().items():
        assert weight.dtype == torch.float32
        assert torch.allclose(weight, 0.75 * one[name] + 0.25 * two[name], atol=1e-6)
    assert trained.hand.text == "bed"  # of the one that has a line
    export(synthesis_checkpoint(2), "hands/dora.safetensors", hand=BEN)
    blend = named_hand("carla:3+dora:1", "hands").trained().hand
    assert ([line.text for line in blend.lines], list(blend.shares)) == (["bed", "dead bead"], [0.75, 0.25])
    assert not same(writer.write("add", hand="carla:9+dora:1"), writer.write("add", hand="dora"))


def test_checkpoints_of_trainings_with_noise_mix(folder, writer):
    for seed, name in ((1, "a"), (2, "b")):
        checkpoint = synthesis_checkpoint(seed)
        noise = {"_target_": "graves_lm.nn.noise.AdaptiveWeightNoise", "std": 0.01}
        checkpoint["graves_lm"]["config"]["model"]["noise"] = noise
        its = build(noise)(make_trained(synthesis_checkpoint(seed)).network).state_dict()
        checkpoint["state_dict"] |= {f"noise.{key}": value for key, value in its.items()}
        torch.save(checkpoint, folder / "hands" / f"{name}.ckpt")
    trained = named_hand("a:1+b:3", "hands").trained()
    one, two = (load_trained(f"hands/{name}.ckpt").network.state_dict() for name in "ab")
    for name, weight in trained.network.state_dict().items():
        assert torch.allclose(weight, 0.25 * one[name] + 0.75 * two[name], atol=1e-6)
    assert same(
        writer.write("add", hand="a", one_hand=False),
        Writer(load_trained("hands/a.ckpt")).write("add", one_hand=False),
    )


def test_a_mixture_of_lines_is_the_blend_of_their_states(folder, writer):
    expected = writer.write("add a bed", width=5, prime=Blend([ANNA, BEN], [7, 3]))
    assert same(writer.write("add a bed", width=5, hand="anna:0.7+ben:0.3"), expected)
    assert same(writer.write("add a bed", width=5, hand="ben:0.3+anna:0.7"), expected)
    for lone in (ANNA, BEN):
        assert not same(writer.write("add a bed", width=5, prime=lone), expected)


@pytest.mark.parametrize(
    ("hand", "message"),
    [
        ("ana", "hand=ana: ana is no file, and hands/ has no hand of that name; did you mean 'anna'?"),
        ("nobody/anna", "hand=nobody/anna: nobody/anna is no file, and hands/"),
        ("me.inkml", "hand=me.inkml: me.inkml is no file, and hands/"),
        ("../secret", "hand=../secret: "),
        ("a" * 5000, "hand="),
        (
            "notes.txt",
            "hand=notes.txt: notes.txt is no file of weights or of ink: .safetensors, .ckpt, .inkml",
        ),
        (0, "hand=0"),
        ("0", "hand=0: hands are counted from 1"),
        ("-3+anna", "hand=-3+anna: hands are counted from 1"),
        ("carla+anna", "hand=carla+anna: carla is weights and anna a line, which do not mix"),
        ("anna+package", "hand=anna+package: package is weights and anna a line"),
        ("broken", "hand=broken: no line of handwriting could be read; hands/broken.json: "),
        ("torn", "hand=hands/torn.safetensors: damaged: its header"),
        (PRETRAINED / "stroke.safetensors", ": a checkpoint of model=stroke, and this needs model=synthesis"),
        ("reader.ckpt", "hand=reader.ckpt: not a readable checkpoint"),
        ("foreign", "hand=foreign: the prime me has 10 points: too short"),
        (
            "silent",
            "hand=silent: the prime silent has no text: give one with its strokes; write what it says",
        ),
        ("silent", "into silent.txt beside it"),
        ("big+carla", "hand=big+carla: checkpoints that differ in their network have no mean"),
        (
            "inches+carla",
            "hand=inches+carla: checkpoints that differ in their data's symbols or normalisation",
        ),
    ],
)
def test_hands_that_there_are_not_end_in_one_line(folder, writer, hand, message):
    (folder / "notes.txt").write_text("a")
    (folder / "hands" / "broken.json").write_text("{")
    (folder / "hands" / "torn.safetensors").write_bytes(b"x" * 30)
    (folder / "reader.ckpt").write_bytes(b"x" * 30)
    write_ink(folder / "hands" / "foreign.json", [make_line("me", 10, "a")])
    write_ink(folder / "hands" / "silent.json", [make_line("silent", 50)])
    export(synthesis_checkpoint(hidden_size=12), "hands/big.safetensors")
    inches = Normalisation((1.0, 0.0), (2.0, 2.0))
    export(synthesis_checkpoint(units=inches), "hands/inches.safetensors")
    for way in (writer.write, writer.stream):
        with pytest.raises(UserError) as refused:
            way("add", hand=hand)
        assert message in str(refused.value)
        assert "\n" not in str(refused.value)


def test_a_hand_and_a_prime_are_one_too_many(folder, writer):
    for more in ({"prime": BEN}, {"one_hand": False}):
        with pytest.raises(UserError, match="hand=anna: give either a hand, or a prime, or one_hand=false"):
            writer.write("add", hand="anna", **more)


class Reads:
    """A reader that finds all lines legible but those of some texts."""

    def __init__(self, poor):
        self.poor = poor

    def read(self, lines):
        return [self.poor.get(len(line), TEXTS[len(line)]) for line in lines]


TEXTS = {40: "abc", 41: "a bad cab", 42: "bed " * 20, 43: "dead bead", 44: "add", 45: "xyz"}


@pytest.mark.parametrize(
    ("poor", "expected"),
    [
        ({}, "a bad cab"),  # the longest of at most fifty characters, the first of two
        ({41: "a dab cab"}, "dead bead"),
        ({41: "", 43: "", 40: "", 44: "", 42: ""}, "a bad cab"),  # none is read well, and all alike
        ({41: "", 43: "e", 40: "", 44: "ab", 42: ""}, "add"),
    ],
)
def test_of_several_lines_the_longest_legible_one_is_the_prime(folder, writer, monkeypatch, poor, expected):
    monkeypatch.setattr(named, "packaged_reader", lambda: Reads(poor))
    write_ink(folder / "many.json", [make_line(f"line {n}", n, text) for n, text in TEXTS.items()])
    hand = named_hand("many.json", "hands")
    style = hand.style(writer.trained.alphabet.spell, writer.trained, lambda number: None)
    assert style.text == expected


def test_names_in_a_folder(folder):
    hands = folder / "hands"
    (hands / "carla.inkml").write_text("<ink/>")  # what she learned from: the weights come first
    (hands / ".hidden.json").write_text("{}")
    (hands / "readme.txt").write_text("hands")
    (hands / "more").mkdir()
    assert {name: path.name for name, path in in_folder(hands).items()} == {
        "anna": "anna.json",
        "ben": "ben.json",
        "carla": "carla.safetensors",
        "dora": "dora.safetensors",
    }
    assert in_folder(folder / "none") == {}


def test_the_command_takes_all_of_them(call, folder, writer):  # noqa: F811
    export(synthesis_checkpoint(), folder / "w.safetensors")
    call.folder = folder
    writer = Writer(load_trained("w.safetensors"))
    for hand in ("anna", "anna:0.7+ben:0.3", "hands/ben.json"):
        done = call("sample", "ckpt=w.safetensors", "text=add", f"hand={hand}", *QUICK)
        assert (done.status, done.out) == (0, "o.json\n"), done.err
        expected = writer.write("add", hand=hand, candidates=1, retries=0)
        assert json.loads((folder / "o.json").read_text()) == json.loads(expected.json())
    done = call("sample", "text=add", "hand=carla", *QUICK)
    assert done.status == 0, done.err
    expected = Writer(load_trained("hands/carla.safetensors")).write("add", candidates=1, retries=0)
    assert json.loads((folder / "o.json").read_text()) == json.loads(expected.json())
    done = call("sample", "text=add", "hand=carla.json", *QUICK)  # its card, which is no ink
    assert done.status == 2
    for given, message in (
        (("hand=carla", "ckpt=w.safetensors"), "hand=carla: weights, and so is ckpt=w.safetensors"),
        (("ckpt=w.safetensors", "hand=ana"), "hand=ana: ana is no file, and hands/ has no hand of that name"),
        (("hand=anna:0+ben:1",), "hand=anna:0+ben:1: the share of anna is '0'"),
    ):
        assert call.refuse("sample", "text=add", *given).startswith(message)
