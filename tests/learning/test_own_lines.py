"""Lines of one's own pen that do not go with their texts are named, and left out where that is asked for."""

import numpy as np
import pytest

from graves_lm.data.hershey.lines import HersheyLines
from graves_lm.data.ink.corpus import InkData
from graves_lm.learning.own_lines import look_over
from graves_lm.runtime.errors import UserError
from tests.data.lines import write_ink

OTHER = "of quite another text"


@pytest.fixture(scope="module")
def lines():
    return list(HersheyLines(14, 14, seed=1, characters=(12, 20)))


def opened(folder, lines, doubted, **settings):
    source = write_ink(folder / "me.json", lines)
    corpus = InkData(source=source, cache_dir=folder / "cache", doubted=doubted, **settings)
    corpus.prepare()
    corpus.open()
    return corpus


def wrong(lines, *numbers):
    return [line._replace(text=OTHER) if n in numbers else line for n, line in enumerate(lines)]


def test_lines_that_go_with_their_texts_are_passed_over(tmp_path, lines):
    assert look_over(opened(tmp_path, lines, "leave_out")) == []


def test_a_line_of_another_text_is_named_and_kept(tmp_path, lines):
    corpus = opened(tmp_path, wrong(lines, 3), "keep")
    (told,) = look_over(corpus)
    assert told.startswith(
        f'{lines[3].id}: kept (data.doubted=leave_out leaves it out): its text is "{OTHER}" and it reads as '
    )
    assert corpus.training_sequences == len(corpus.lines_of("train"))


def test_a_line_that_is_kept_in_doubt_is_the_last_to_show_the_hand(tmp_path, lines):
    corpus = opened(tmp_path, wrong(lines, 3, 5, 6, 7), "keep")
    assert corpus.hands()[0].text == OTHER  # before anybody has read them
    look_over(corpus)
    doubtful = [line.text == OTHER for line in corpus.hands()]
    assert any(doubtful)
    assert doubtful == sorted(doubtful)


def test_or_left_out_of_all_batches(tmp_path, lines):
    corpus = opened(tmp_path, wrong(lines, 3, 5), "leave_out", val_share=0.3)
    told = look_over(corpus)
    assert len(told) == 2
    assert all(": left out: " in line for line in told)
    kept = [corpus.store.texts[n] for split in ("train", "val") for n in corpus.lines_of(split)]
    assert len(kept) == len(lines) - 2
    assert OTHER not in kept
    batches = [corpus.training_batches(), corpus.evaluation_batches("val")]
    assert sum(batch.point_TB3.shape[1] for loader in batches for batch in loader) == len(kept)
    assert OTHER not in [corpus.store.texts[n] for n in corpus.own_lines()]


def test_a_list_that_is_shifted_by_a_line_is_asked_about(tmp_path, lines):
    texts = [line.text for line in lines]
    shifted = [line._replace(text=text) for line, text in zip(lines, texts[1:] + texts[:1], strict=True)]
    told = look_over(opened(tmp_path, shifted, "keep"))
    why = "they read as the texts of other lines, so the texts are not in the order of the lines"
    assert told[-1] == f"most lines are so: {why}"
    assert len(told) == 7  # five by name, how many more, and why


def test_texts_of_nothing_that_was_written_are_asked_about(tmp_path, lines):
    told = look_over(opened(tmp_path, wrong(lines, *range(14)), "keep"))
    assert told[-1] == "most lines are so: are these their texts, line by line?"


@pytest.mark.parametrize(("y_axis", "other"), [(None, "up"), ("up", "down")])
def test_lines_that_stand_on_their_heads_are_recognised(tmp_path, lines, y_axis, other):
    turned = [line._replace(strokes=line.strokes * np.array([1, -1, 1], np.float32)) for line in lines]
    given = turned if y_axis is None else lines
    told = look_over(opened(tmp_path, given, "keep", y_axis=y_axis))
    assert told[-1] == f"most lines are so: upside down they read as their texts, so give data.y_axis={other}"


def test_what_was_left_out_of_the_files_is_told(tmp_path, lines):
    told = look_over(opened(tmp_path, [*lines, *lines[:7]], "keep"))
    assert told[0] == f"{lines[0].id}: left out: is the same, point by point, as {lines[0].id}"
    assert told[5:] == ["… and 2 lines more, left out or changed"]


def test_no_line_is_read_without_being_asked(tmp_path, lines):
    assert look_over(opened(tmp_path, wrong(lines, 3), None)) == []


def test_where_all_are_of_other_texts_nothing_is_left(tmp_path, lines):
    corpus = opened(tmp_path, wrong(lines, *range(14)), "leave_out")
    with pytest.raises(UserError, match="all lines of the train split are left out"):
        look_over(corpus)


def test_three_lines_are_few_whatever_is_made_of_them(tmp_path, lines):
    (told,) = look_over(opened(tmp_path, lines[:3], None, grafts=12, accents=6))
    assert "2 line(s) to learn from are few; 20 make a hand known" in told


def test_a_letter_that_the_reader_does_not_know_is_read_as_its_plain_form(tmp_path, lines):
    accented = [line._replace(text=line.text.replace("e", "é").replace("a", "à")) for line in lines]
    assert look_over(opened(tmp_path, accented, "keep")) == []


def test_ones_own_accents_are_given_to_more_of_ones_letters(tmp_path, lines):
    """And to no letter one that is not one's own. Such lines are learned from, and are none of one's own."""
    assert "added" not in opened(tmp_path, lines, None, accents=8).card
    own = [line._replace(text=line.text.replace("e", "é", 1)) for line in lines]
    plain, accented = opened(tmp_path, own, None), opened(tmp_path, own, None, accents=8)
    assert accented.card["added"] >= 4
    assert accented.card["characters"] == plain.card["characters"]
    made = accented.store.texts[accented.card["counts"]["train"] - accented.card["added"] :]
    assert any(text.count("é") > 1 for text in made)
    assert accented.own_lines() == plain.own_lines()
    assert accented.card["counts"]["val"] == plain.card["counts"]["val"]
    assert accented.card["normalisation"] == plain.card["normalisation"]
