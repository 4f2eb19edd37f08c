"""Names and paths on the command line arrive letter by letter, as Hydra hands them on."""

import os

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from graves_lm.commands.arguments import NAMES, PATHS, for_hydra, repeat_of_run
from graves_lm.runtime.errors import UserError

LITERAL = [
    *("1e3", "42", "007", "0x1F", "1_000", "-1", "1.0", "true", "Null", "NULL", "none", "nan", "inf", "on"),
    *("2024-01-02", "2024-01-02 12:00", "12:30", "a=b", "=", "lr=(1)", "ü", "é 日", "a,b", "it's", 'say "x"'),
    *("$a", "a$", "{a}", "{", "[a]", "[a", "a:b", "a::b", "#a", "50%", "!a", "*", "?a", "<x>", "a&b|c;d`e"),
    *(
        "???",
        "a\\b",
        "C:\\x\\",
        "choice(a",
        "x(1,2)",
        "int(5)",
        "a\nb",
        "\ttab",
        "  both  ",
        "'",
        '"',
        "a\\'b",
    ),
    *("'it' is 'x'", '"a" "b"', "-m", "@x", "\udce9bytes", "x\x1b[31m"),
]


def arrives(argument: str) -> object:
    (given,) = for_hydra([argument])
    (override,) = OverridesParser.create().parse_overrides([given])
    assert not override.is_sweep_override()
    cfg = OmegaConf.create({"x": ""})
    OmegaConf.update(cfg, "x", override.value())  # as Hydra does
    return cfg.x


@pytest.mark.parametrize("key", ["name", "text_file", "+logger.csv.name", "hydra.run.dir"])
def test_names_arrive_letter_by_letter(key):
    for name in LITERAL:
        assert arrives(f"{key}={name}") == name


@pytest.mark.parametrize("key", sorted(NAMES | PATHS))
def test_digits_are_a_text_for_every_name(key):
    assert [arrives(f"{key}={name}") for name in ("1e3", "42", "a,b")] == ["1e3", "42", "a,b"]


def test_quotes_of_hydras_null_and_interpolations_mean_what_they_did():
    assert arrives("ckpt='a,b'") == arrives('ckpt="a,b"') == "a,b"
    assert arrives("ckpt='it\\'s'") == "it's"
    assert arrives("ckpt=null") is None
    assert arrives('name="null"') == arrives("name=null") == "null"
    assert arrives("run_dir=${oc.env:GRAVES_LM_TEST,its} x/1,2") == "its x/1,2"
    assert arrives("name=str(5)") == "5"
    for argument in ("seed=1", "data=textfile", "~ckpt", "-m", "trainer.max_steps=[1,2]"):
        assert for_hydra([argument]) == [argument]
    with pytest.raises(UserError, match="begins an interpolation"):
        for_hydra(["name=a${b"])


@pytest.mark.parametrize(
    ("value", "jobs"),
    [
        ("2023,2024", ["2023", "2024"]),
        ("it's, a b ,x=1", ["it's", "a b", "x=1"]),
        ("choice(1e3,007,'c,d')", ["1e3", "007", "c,d"]),
        ("range(1,4)", ["1", "2", "3"]),
        ('"a,b",c', ["a,b", "c"]),
        ("a,null", ["a", None]),
        ("42", ["42"]),
        ('"a,b"', ["a,b"]),
    ],
)
def test_in_a_multirun_names_between_commas_are_jobs(value, jobs):
    parser = OverridesParser.create()
    *_, given = for_hydra(["-m", f"data.source={value}"])
    (override,) = parser.parse_overrides([given])
    if override.is_sweep_override():
        found = [parser.parse_override(f"x={one}").value() for one in override.sweep_string_iterator()]
    else:  # as Hydra's sweeper hands it on
        found = [parser.parse_override(f"x={override.get_value_element_as_str()}").value()]
    assert found == jobs


def test_a_sweep_without_m_is_left_to_hydra_to_refuse():
    assert for_hydra(["name=choice(a,b)"]) == ["name=choice(a,b)"]


def test_homes(monkeypatch):
    monkeypatch.setenv("HOME", "/ho me")
    assert arrives("output=~/a.svg") == "/ho me/a.svg"
    assert arrives("run_dir=~") == "/ho me"
    assert arrives("name=~/a") == "~/a"  # no path
    assert arrives("text_file=~notes.txt") == os.path.abspath("~notes.txt")
    for refused in (["ckpt=~no-such-user/x"], ["--config-path=~no-such-user/x"]):
        with pytest.raises(UserError, match=r"there is no home of ~no-such-user; give the whole path"):
            for_hydra(repeat_of_run(refused))


def test_texts_in_a_locale_that_does_not_know_them():
    """Python hands on bytes that its locale does not know as lone surrogates."""
    assert arrives("prompt=caf\udcc3\udca9") == "café"
    assert arrives("text_file=caf\udcc3\udca9") == "caf\udcc3\udca9"  # the file's bytes
