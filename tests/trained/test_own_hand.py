"""The hand that a file of weights carries: what is written comes back, and a stranger's is held to it."""

import json
import math

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from graves_lm.data.alphabet import Alphabet
from graves_lm.data.strokes import Normalisation
from graves_lm.runtime.errors import UserError
from graves_lm.trained.checkpoint import read_checkpoint
from graves_lm.trained.exported import export
from graves_lm.trained.loading import load_trained
from graves_lm.trained.mean import mean
from graves_lm.trained.own_hand import CHARACTERS, POINTS, from_plain, to_plain
from graves_lm.writing.writer import Writer
from tests.data.lines import make_line
from tests.writing.hands import synthesis_checkpoint

UNITS, ALPHABET = Normalisation((8.0, 0.0), (42.0, 36.0)), Alphabet(" abcde")
LINE = make_line("me", 60, "a bad cab")


def test_a_line_comes_back_as_it_was():
    plain = json.loads(json.dumps(to_plain(LINE, UNITS, ALPHABET)))
    line = from_plain(plain, UNITS, ALPHABET)
    assert line.text == LINE.text
    assert np.array_equal(line.strokes, LINE.strokes)
    assert not line.strokes.flags.writeable


POINT = [1.0, 2.0, 0]
LONG = [[float(i % 7), float(i % 5), 0] for i in range(POINTS + 1)]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (None, "has not a text and points"),
        ({"text": "a"}, "has not a text and points"),
        ({"more": 1}, "has not a text and points"),
        ({"text": 3}, "the text of its hand"),
        ({"text": "  "}, "the text of its hand"),
        ({"text": "a" * (CHARACTERS + 1)}, "the text of its hand"),
        ({"text": "a man"}, "'m'"),
        ({"points": "abc"}, "the points of its hand"),
        ({"points": []}, "the points of its hand"),
        ({"points": LONG}, "the points of its hand"),
        ({"points": [POINT] * 19}, "19 points: too short"),
        ({"points": [[0, 0, 0]] * 30}, "no extent"),
        *[
            ({"points": [*LONG[:30], point]}, "a point of its hand")
            for point in (
                *([1, 2], [1, 2, 3], [1, 2, 0, 0], ["1", 2, 0], [True, 2, 0], {"x": 1}, None),
                *([math.nan, 0, 0], [math.inf, 0, 0], [1e10, 0, 0], [10**400, 0, 0], [1, 2, 0.5]),
            )
        ],
    ],
)
def test_what_is_no_hand_is_refused(changed, message):
    plain = to_plain(LINE, UNITS, ALPHABET)
    given = [plain] if changed is None else changed if changed == {"text": "a"} else plain | changed
    with pytest.raises(UserError, match=message):
        from_plain(given, UNITS, ALPHABET)


@pytest.fixture
def exported(tmp_path):
    path = tmp_path / "me.safetensors"
    export(synthesis_checkpoint(), path, hand=LINE, data="mine")
    return path


def test_exported_weights_carry_their_hand(exported, tmp_path):
    trained = load_trained(exported)
    assert np.array_equal(trained.hand.strokes, LINE.strokes)
    assert json.loads(exported.with_suffix(".json").read_text())["hand"] == "a bad cab"
    again = tmp_path / "again.safetensors"
    export(read_checkpoint(exported), again)  # which keeps it
    assert load_trained(again).hand.text == "a bad cab"
    assert read_checkpoint(exported)["graves_lm"]["hand"]["text"] == "a bad cab"
    both = mean([read_checkpoint(exported), read_checkpoint(again)])
    assert "hand" not in both["graves_lm"]


def test_it_is_the_prime_of_what_they_write(exported):
    writer = Writer(load_trained(exported))
    for seed in (0, 3):
        page = writer.write("add a bed", seed=seed, width=5)
        primed = writer.write("add a bed", seed=seed, width=5, prime=LINE)
        assert all(map(np.array_equal, page.strokes, primed.strokes))
    other = make_line("other", 60, "dead bead")
    asked = writer.write("add", prime=other).strokes[0]
    assert np.array_equal(asked, Writer(load_trained(exported)).write("add", prime=other).strokes[0])
    assert not np.array_equal(asked, writer.write("add").strokes[0])


def test_a_hand_of_other_characters_or_of_another_task_is_not_written(tmp_path):
    with pytest.raises(UserError, match="'m'"):
        export(synthesis_checkpoint(), tmp_path / "w.safetensors", hand=LINE._replace(text="a man"))
    stroke = synthesis_checkpoint()
    stroke["graves_lm"] |= {"task": "stroke"}
    with pytest.raises(UserError, match="a hand is of weights of model=synthesis"):
        export(stroke, tmp_path / "w.safetensors", hand=LINE)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("hand", [7, {"text": "a", "points": [[0, 0]]}, {"text": "xyz", "points": LONG[:40]}])
def test_a_file_with_what_is_no_hand_is_refused_in_one_line(exported, hand):
    with safe_open(exported, "pt") as file:
        card = json.loads(file.metadata()["graves_lm"])
    weights = load_file(exported)
    exported.with_suffix(".json").unlink()
    save_file(weights, exported, {"graves_lm": json.dumps(card | {"hand": hand})})
    with pytest.raises(UserError, match=r"^ckpt=.*me\.safetensors: refused: ") as refused:
        read_checkpoint(exported)
    assert "\n" not in str(refused.value)
    save_file(weights, exported, {"graves_lm": json.dumps(card | {"hand": None})})
    assert load_trained(exported).hand is None


def test_shares_weigh_the_mean():
    one, two = synthesis_checkpoint(1), synthesis_checkpoint(2)
    mixed = mean([one, two], [3, 1])["state_dict"]
    for name, weight in one["state_dict"].items():
        expected = 0.75 * weight.double() + 0.25 * two["state_dict"][name].double()
        assert torch.allclose(mixed[name], expected, atol=1e-12)
