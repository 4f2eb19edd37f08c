"""`graves-lm VERB` as a user calls it: the list, the verbs, and what is none."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import graves_lm
from graves_lm.commands.verbs import VERBS, main

ROOT = Path(__file__).parents[2]
PACKAGE = Path(graves_lm.__file__).parent
NO_VERBS = {"__init__", "__main__", "distributions"}


def call(*arguments: str, folder: Path, module: str = "graves_lm") -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", module, *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, check=False)


def test_the_table_has_every_command_of_the_package():
    assert {path.stem for path in PACKAGE.glob("*.py")} - NO_VERBS == set(VERBS)


def test_the_console_script_is_that_of_the_package():
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert scripts == {"graves-lm": "graves_lm.__main__:main"}


@pytest.mark.parametrize("arguments", [(), ("--help",), ("-h",), ("help",)])
def test_the_verbs_are_listed_with_a_line_each(arguments, tmp_path):
    done = call(*arguments, folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    _usage, empty, *lines = done.stdout.splitlines()
    assert empty == ""
    assert [line.split()[0] for line in lines] == list(VERBS)
    assert all(len(line) <= 80 for line in lines)


def test_a_misspelt_verb_is_refused_with_the_nearest(tmp_path):
    done = call("evalute", "ckpt=none", folder=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "graves_lm evalute: no such verb; did you mean 'evaluate'?\n"


def test_what_is_like_no_verb_gets_them_all(tmp_path):
    done = call("\x1b[31mpaint", folder=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("graves_lm \\x1b[31mpaint: no such verb; known: compare, compress, ")


@pytest.mark.parametrize(("verb", "arguments"), [("prepare", ("--cfg", "job")), ("export", ("--help",))])
def test_a_verb_is_what_its_module_is(verb, arguments, tmp_path):
    by_table = call(verb, *arguments, folder=tmp_path)
    by_module = call(*arguments, folder=tmp_path, module=f"graves_lm.{verb}")
    assert by_table.returncode == by_module.returncode == 0
    assert by_table.stdout == by_module.stdout != ""


def test_a_verb_gets_its_arguments_and_its_mistakes_are_its_own(tmp_path):
    done = call("prepare", "data=textfile", "data.sauce=book.txt", folder=tmp_path)
    assert done.returncode == 2
    assert (
        done.stderr == "graves_lm prepare: data.sauce: no such setting under 'data'; did you mean 'source'?\n"
    )


def test_the_exit_status_is_the_verb_s(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["graves-lm", "doctor"])
    monkeypatch.setattr("graves_lm.doctor.main", lambda: 1)
    assert main() == 1


def test_the_container_knows_them_all():
    script = (ROOT / "docker" / "entrypoint.sh").read_text()
    (case,) = [line for line in script.splitlines() if "exec graves-lm" in line]
    assert case.strip().partition(")")[0].split(" | ") == [*VERBS, "--help"]
