"""What each command imports before it works: nothing that it does without."""

import subprocess
import sys

import pytest

HEAVY = ("torch", "lightning", "wandb", "torchmetrics", "PIL", "tensorboard", "matplotlib", "optuna")


def imported(code: str, folder, *arguments: str) -> set[str]:
    """Which of `HEAVY` are loaded after `code` with these arguments, in a new process."""
    report = "import sys; print('LOADED', *[m for m in sys.modules if '.' not in m], file=sys.stderr)"
    program = f"import atexit; atexit.register(lambda: exec({report!r})); {code}"
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, cwd=folder, check=False
    )
    assert done.returncode == 0, done.stderr
    (last,) = [line for line in done.stderr.splitlines() if line.startswith("LOADED")]
    return set(last.split()) & set(HEAVY)


def command(name: str) -> str:
    return f"from graves_lm.{name} import main; main()"


def test_the_package_itself_imports_nothing_heavy(tmp_path):
    assert imported("import graves_lm", tmp_path) == set()


def test_the_list_of_verbs_needs_not_even_hydra(tmp_path):
    code = "import sys; from graves_lm.__main__ import main; main(); assert 'hydra' not in sys.modules"
    assert imported(code, tmp_path, "--help") == set()


def test_the_help_of_export_needs_no_torch(tmp_path):
    assert imported(command("export"), tmp_path, "--help") == set()


@pytest.mark.parametrize("name", ["train", "evaluate", "sample", "hands", "prepare", "compare", "dashboard"])
@pytest.mark.parametrize("asked", ["--help", "--cfg"])
def test_help_and_settings_are_shown_without_them(tmp_path, name, asked):
    assert imported(command(name), tmp_path, asked, *(["job"] if asked == "--cfg" else [])) == set()


@pytest.mark.parametrize("data", ["text", "pen"])
def test_preparing_data_needs_neither_torch_nor_lightning(tmp_path, data):
    (tmp_path / "text.txt").write_text("a text of some letters\n" * 60)
    pen = (
        "data=hershey",
        "data.lines=4",
        "data.writers=1",
        "data.eval_lines=2",
        "data.line_characters=[2,4]",
    )
    overrides = ("data=textfile", "data.source=text.txt") if data == "text" else pen
    assert imported(command("prepare"), tmp_path, *overrides) == set()


@pytest.mark.parametrize("module", ["writing.command", "evaluation.command", "learning.training"])
def test_no_command_needs_a_tracker_before_it_is_asked_for(tmp_path, module):
    found = imported(f"import graves_lm.{module}", tmp_path)
    assert found & {"wandb", "tensorboard", "optuna"} == set()


TRAINERS = ("lightning", "pytorch_lightning", "torchmetrics", "wandb", "tensorboard", "matplotlib", "optuna")
COMPILER = ("torch._dynamo", "torch._inductor", "sympy", "triton")


def none_is_loaded(modules: tuple[str, ...]) -> str:
    return f"import sys; found = [m for m in {modules} if m in sys.modules]; assert not found, found"


def test_drawing_needs_neither_trainers_nor_hydra_nor_torchs_compiler(tmp_path):
    """From loading on, to a page and to the first point, in the hand of a line that is drawn first."""
    no_others = none_is_loaded((*TRAINERS, *COMPILER, "hydra", "omegaconf"))
    code = f"""
import graves_lm
writer = graves_lm.load()
{no_others}
next(writer.stream("a"))
writer.write("a", one_hand=False, candidates=2, retries=0).json()
{no_others}
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr


def test_the_sample_command_needs_neither_trainers_nor_torchs_compiler(tmp_path):
    code = f"import atexit; atexit.register(lambda: exec({none_is_loaded(TRAINERS + COMPILER)!r}))"
    arguments = ("text=a", "one_hand=false", "output=a.json")
    program = f"{code}; {command('sample')}"
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert "AssertionError" not in done.stderr
    assert (tmp_path / "a.json").is_file()


def test_the_public_face_is_there_when_it_is_asked_for(tmp_path):
    code = """
import sys, graves_lm
assert {"Handwriting", "UserError", "Writer", "load"} <= set(dir(graves_lm)) and "torch" not in sys.modules
from graves_lm import UserError
assert "torch" not in sys.modules
from graves_lm import *
assert load is graves_lm.load and Writer.__name__ == "Writer" and Handwriting.__name__ == "Handwriting"
assert not hasattr(graves_lm, "lood")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
