"""What the command does with a table and with lines, and what it refuses before any work."""

import pytest

from graves_lm.commands.arguments import for_hydra
from graves_lm.data.ink.reading import read_ink
from graves_lm.runtime.errors import UserError
from graves_lm.writing.desk import check_together
from tests.test_commands import call  # noqa: F401
from tests.test_configs import composed


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (["table=a.csv", "lines=3"], "table= and lines=: give one"),
        (["hands=3"], "hands= is for lines="),
        (["pictures=true"], "pictures= is for lines="),
        (["lines=3", "template=letter"], "leave template= out"),
        (["lines=3", "hands=3", "hand=2"], "hands=: without hand="),
        (["lines=3", "hands=3", "one_hand=false"], "hands=: without hand="),
    ],
)
def test_settings_that_do_not_go_together(settings, said):
    with pytest.raises(UserError, match=said):
        check_together(composed("sample", *for_hydra(settings)))


def test_a_table_becomes_letters_and_a_second_time_none(call):  # noqa: F811
    (call.folder / "people.csv").write_text("name,city\nAnna,Harwick\nBen,Elm\n")
    arguments = ["table=people.csv", "text=Dear {name} of {city}", "output=out/letter.json"]
    once = call("sample", *arguments, "sampler.candidates=1", "sampler.retries=0", "sampler.batch_size=2")
    assert (once.status, once.out.split()) == (0, ["out/letter-1.json", "out/letter-2.json"])
    assert "2 letters, " in once.err
    texts = [line.text for n in (1, 2) for line in read_ink(call.folder / f"out/letter-{n}.json")[0]]
    assert texts == ["Dear Anna of Harwick", "Dear Ben of Elm"]
    again = call("sample", *arguments, "sampler.candidates=1", "sampler.retries=0", "sampler.batch_size=2")
    assert (again.status, again.out) == (0, "")
    assert "0 letters, 0 with doubtful lines, 2 were there before" in again.err
    for said, more in {
        "give output=": ["output=null"],
        "{nam} is no field": ["text=Dear {nam}"],
        "lines= writes .json or .inkml": ["text=abc", "table=null", "lines=3", "output=a.svg"],
    }.items():
        refused = call("sample", *[a for a in arguments if a.split("=")[0] not in str(more)], *more)
        assert refused.status == 2
        assert said in refused.err
        assert refused.err.count("\n") == 1
