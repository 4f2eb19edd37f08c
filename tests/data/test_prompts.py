"""Lines to write by hand: what they are of, and that each is the most useful of those left."""

import string
from collections import Counter
from itertools import pairwise

import pytest

from graves_lm.data.prompts.choice import (
    LONGEST,
    candidate_lines,
    english_lines,
    foreign_lines,
    known_characters,
    own_characters,
    prompts,
    weights,
)
from graves_lm.runtime.errors import UserError
from graves_lm.trained.checkpoint import PRETRAINED
from tests.test_commands import Commands, call  # noqa: F401


def worth(lines: list[str], weight: dict[str, float]) -> float:
    """What lines are worth, counted from nothing: of each character and pair w (1/2 + 1/4 + …)."""
    characters = Counter("".join(lines))
    pairs = Counter(
        (a + b).lower()
        for line in lines
        for a, b in pairwise(line)
        if a in string.ascii_letters and b in string.ascii_lowercase
    )
    return sum(weight.get(one, 0) * (1 - 0.5**n) for one, n in (*characters.items(), *pairs.items()))


@pytest.mark.parametrize("characters", ["", "äöüß", "ŋ % λμ ☃"])
def test_each_line_is_the_one_with_the_largest_gain_among_those_left(characters):
    own = own_characters(characters)
    weight, left, chosen = weights(own), candidate_lines(own), []
    for line in prompts(25, characters):
        best = max(worth([*chosen, other], weight) for other in left)
        assert worth([*chosen, line], weight) == pytest.approx(best, abs=1e-5)
        left.remove(line)
        chosen.append(line)


def test_the_weights_are_of_what_the_lines_can_have():
    assert set(string.ascii_letters + string.digits) <= set(weights())
    assert weights()["e"] > weights()["z"]
    assert weights()["th"] > weights()["wi"] > 0
    assert {len(one) for one in weights()} == {1, 2}
    assert not set(weights()) & {" "}


def test_a_prefix_is_worth_more_than_lines_as_they_come():
    for count in (5, 10, 20, 40):
        chosen = worth(prompts(count), weights())
        assert chosen > 1.15 * worth(list(english_lines()[:count]), weights())


def test_twenty_lines_have_all_letters_and_digits_and_sixty_all_there_is():
    assert set(string.ascii_letters + string.digits) <= set("".join(prompts(20)))
    assert set("".join(prompts(60))) >= known_characters() - {"*"}


def test_lines_are_short_and_each_is_there_once():
    lines = [*english_lines(), *foreign_lines()]
    assert len(set(lines)) == len(lines)
    for line in lines:
        assert 4 < len(line) <= LONGEST, line
        assert line == " ".join(line.split())


def test_english_lines_are_of_what_the_package_s_network_knows():
    if not (PRETRAINED / "synthesis.safetensors").is_file():
        pytest.skip("the package has no weights")
    from graves_lm.trained.loading import load_trained

    assert known_characters() <= set(load_trained("synthesis", task="synthesis").alphabet.characters)


@pytest.mark.parametrize(
    "characters", ["äöüß", "éèê", "ñ¿", "łąę", "€%@", "αβγδ", "ж", "ŋŊ", "☃", "日本語", "e\u0301", "+=~"]
)
def test_every_character_of_one_s_own_comes_soon_and_more_than_once(characters):
    own = own_characters(characters)
    lines = prompts(len(own) + 8, characters)
    assert set(own) == set(characters if characters[0] != "e" else "é") - known_characters()
    for character in own:
        assert "".join(lines).count(character) >= 2, lines
    assert not set("".join(lines)) - known_characters() - set(own)
    assert all(len(line) <= LONGEST for line in lines)


def test_characters_are_given_as_one_likes():
    assert own_characters("ä, ö;ü  ä a 1") == ["ä", "ö", "ü"]
    assert prompts(30, "a b c") == prompts(30)


@pytest.mark.parametrize(
    ("count", "characters", "why"),
    [
        (10_000, "", "give at most"),
        (3, "a\u0301\u0302\u0303", "COMBINING"),
        (3, "\x07", "U.0007"),
        (3, "".join(map(chr, range(0x3B1, 0x3B1 + 200))), "at most 100"),
    ],
)
def test_what_cannot_be_is_said(count, characters, why):
    with pytest.raises(UserError, match=why) as error:
        prompts(count, characters)
    assert "\n" not in str(error.value)


def test_the_command(call: Commands):  # noqa: F811
    outcome = call("prompts", "count=7", "characters=äö")
    assert outcome.status == 0, outcome.err
    assert outcome.out.splitlines() == prompts(7, "äö")
    outcome = call("prompts", "count=7", "characters=äö", "output=own.txt")
    assert outcome.out == "own.txt\n"
    assert (call.folder / "own.txt").read_text(encoding="utf-8").splitlines() == prompts(7, "äö")


def test_a_sheet_to_print(call: Commands):  # noqa: F811
    assert call("prompts", "count=50", "characters=<>", "output=own.html").status == 0
    sheet = (call.folder / "own.html").read_text(encoding="utf-8")
    assert sheet.count('<div class="rule">') == 50
    assert "a &lt; b" in sheet
    assert "http" not in sheet


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        (["count=0"], "count=0"),
        (["count=many"], "count=many"),
        (["output=own.pdf"], ".txt or .html"),
        (["output=none/own.txt"], "cannot write none/own.txt"),
    ],
)
def test_mistakes_are_one_line(call: Commands, settings, why):  # noqa: F811
    outcome = call("prompts", *settings)
    assert outcome.status == 2
    assert why in outcome.err
    assert len(outcome.err.strip().splitlines()) == 1
