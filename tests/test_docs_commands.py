"""Every command of the documentation is run, or a rule here says why it is not.

The commands of a page are run in their order, in a folder of their own in which the runs of the README lie,
with settings that make them tiny. A command that no rule mentions is run like any other of its verb: what
cannot be run on a machine with nothing but the package needs a rule.
"""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.data.lines import wave, write_ink
from tests.runs import TEXT
from tests.test_commands import Commands, call  # noqa: F401

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


class Rule(NamedTuple):
    """What to do with commands in which `pattern` is found; the first rule that fits counts."""

    pattern: str
    why_not: str = ""  # not run, and the reason
    composed: str = ""  # its configuration is composed and checked, no more, and the reason
    slow: bool = False
    settings: tuple[str, ...] = ()  # besides those of `TINY`
    statuses: tuple[int, ...] = (0,)
    shell: bool = False  # by bash, as it stands


RULES = [
    Rule(r"^make |^\.ci/run", why_not="installs, trains for minutes or runs these tests; .ci/run runs them"),
    Rule(r"^python3 -m venv|pip install", why_not="installs; .ci/run does, from a fresh environment"),
    Rule(r"^docker ", why_not="needs Docker; tests/test_container.py builds the image and runs it"),
    Rule(r"steady\.SteadyPen", why_not="needs the page's own steady.py; test_extension_sampler.py runs it"),
    Rule(r"gru\.GRU|EXTENSIONS=gru", why_not="needs the page's own gru.py; test_extension_cell.py runs it"),
    Rule(r"spirals", why_not="needs the page's own spirals.py; test_extension_data.py runs it"),
    Rule(r"^mkdir ", shell=True),
    Rule(r"^eval ", shell=True),
    Rule(r"^torchrun |^srun |^MASTER_ADDR=", why_not="needs hosts or GPUs; test_two_hosts.py, test_slurm.py"),
    Rule(r"trainer=ddp trainer\.accelerator=cpu", slow=True),
    Rule(
        r"train -m .*trainer=ddp",
        why_not="needs GPUs; tests/commands/test_ddp.py runs such a multirun on CPUs",
    ),
    Rule(r"trainer=(ddp|gpu)", composed="needs GPUs; tests/commands/test_ddp.py runs the same on CPUs"),
    Rule(r"data\.source=(IAM|DIR)|data=iam|data=ptb", composed="needs a licensed corpus"),
    Rule(r"\bexperiment=wikipedia", composed="downloads enwik8"),
    Rule(r"OPTION=|SETTINGS|SPLIT|logs/recipe/NAME", why_not="a pattern, with words to be replaced"),
    Rule(r"DATE_TIME", why_not="the folder's name is a time; the same command is run with other folders"),
    Rule(
        r"experiment=\w*_(best|free|hand)\b",
        composed="stages need more steps; tests/test_configs.py trains them",
    ),
    Rule(
        r"hand=logs/me/own_hand",
        composed="needs the training before it; tests/writing/test_named_hand.py writes so",
    ),
    Rule(r"benchmarks/own_hand\.py", why_not="needs a licensed corpus, and half an hour"),
    Rule(r"benchmarks/noise\.py", why_not="takes ten minutes of 16 cores"),
    Rule(r"graves_lm\.serve", composed="serves until it is interrupted; tests/serving runs it"),
    Rule(r"-m sweep=", slow=True, settings=("hydra.sweeper.n_trials=2",)),
    Rule(r"-m model=character,stroke|dir=logs/studies/", slow=True),
    Rule(r"init=(stroke|synthesis)|ckpt=logs/own/|pictures=true", slow=True),
    Rule(r"samples=true", settings=("sentences=2", "biases=[0]", "sampler.points_per_character=3")),
    Rule(r"graves_lm\.hands", settings=("ckpt=logs/hand/checkpoints/best.ckpt", "text=a")),
    Rule(r"graves_lm\.doctor", statuses=(0, 1)),
]

ENDS_SOON = {
    "trainer.max_steps": "2",
    "trainer.limit_val_batches": "1",
    "+trainer.enable_progress_bar": "false",
    "callbacks.progress": "null",
    "callbacks.samples": "null",
    "checkpoint_every": "1",
}
SMALL = {"model.network.hidden_size": "8", "model.network.layers": "1", "logger": "csv"}
SMALL_TEXT = {"data.batch_size": "2", "data.length": "10", "data.eval_batch_size": "2", "data.warm_up": "5"}
SMALL_LINES = {"data.batch_size": "4", "data.eval_batch_size": "4", "model.network.mixtures": "3"}
OF_DATA = {
    "stdlib": {"data.max_symbols": "20000"},
    "hershey": {
        "data.lines": "24",
        "data.writers": "3",
        "data.eval_lines": "6",
        "data.line_characters": "[2,4]",
    },
}
ONE_TRY = {"sampler.candidates": "1", "sampler.retries": "0", "one_hand": "false", "on_unknown": "skip"}
REPLACED = {
    *ENDS_SOON,
    "sampler.candidates",
    "sampler.length",
    "sentences",
    "biases",
    "hydra.sweeper.n_trials",
}
"""What is made tiny even where the command says another value; all else that a command says it keeps."""


def commands_in(page: Path) -> list[str]:
    """The commands of a page's `sh` blocks and, where a table shows whole commands, of its cells."""
    shown = re.findall(
        r"^```sh\n(.*?)^```|^\| `(python -m graves_lm\.[^`]*)` \|",
        page.read_text(encoding="utf-8"),
        re.M | re.S,
    )
    lines = [line for block, cell in shown for line in (cell or block.replace("\\\n", " ")).splitlines()]
    commands = [re.sub(r"(^|\s)#\s.*$", "", line) for line in lines]
    return [" ".join(command.split()) for command in commands if command.strip()]


def rule_of(command: str) -> Rule:
    return next((rule for rule in RULES if re.search(rule.pattern, command)), Rule(""))


def settings_of(verb: str, arguments: list[str]) -> dict[str, str]:
    """The settings that make a command tiny."""
    said = " ".join(arguments)
    if verb == "sample":
        short = re.search(r"prompt=|ckpt=stroke|logs/strokes", said)
        if re.search(r"(^|\s)hands?=", said):  # which says the hands of the lines
            return {key: value for key, value in ONE_TRY.items() if key != "one_hand"}
        return {"sampler.length": "20"} if short else ONE_TRY
    if verb not in ("train", "prepare") or "--config-path" in said:
        return {}
    if "model=character,stroke" in said:  # settings of both
        return ENDS_SOON | SMALL | {"data.batch_size": "4"}
    chosen = re.search(r"\bdata=(\w+)", said)
    pen = bool(re.search(r"(model|sweep)=(stroke|synthesis|reader)|data=(hershey|ink)|experiment=demo", said))
    data = chosen[1] if chosen else "hershey" if pen else "stdlib"
    if "init=stroke" in said or "init=synthesis" in said:  # the network is as large as those weights
        return ENDS_SOON | {"data.batch_size": "2", "data.eval_batch_size": "2"}
    tiny = (SMALL_LINES if pen else SMALL_TEXT) | OF_DATA.get(data, {})
    if "model=reader" in said:
        tiny = {key: value for key, value in tiny.items() if not key.startswith("model.")}
    if verb == "prepare":
        return {key: value for key, value in tiny.items() if key.startswith("data.")}
    return ENDS_SOON | SMALL | tiny


def made_tiny(verb: str, arguments: list[str], rule: Rule) -> list[str]:
    """A command's arguments with the settings that make it tiny, those it has itself in their place."""
    tiny = settings_of(verb, arguments) | dict(setting.split("=", 1) for setting in rule.settings)
    names = [argument.split("=", 1)[0] for argument in arguments]
    replaced = {name: value for name, value in tiny.items() if name in REPLACED}
    kept = [
        f"{name}={replaced[name]}" if name in replaced else argument
        for name, argument in zip(names, arguments, strict=True)
    ]
    return kept + [f"{name}={value}" for name, value in tiny.items() if name not in names]


@pytest.fixture(scope="session")
def runs(tmp_path_factory) -> Path:
    """A folder with what a reader of the README has by now: a text, a letter, ink, and four tiny runs."""
    folder = tmp_path_factory.mktemp("reader")
    (folder / "book.txt").write_text(TEXT * 60 + "The end.\n" * 60)
    (folder / "letter.txt").write_text("a letter\n")
    (folder / "people.csv").write_text("name,address\nAnna,Mill\nBen,Lane\n")
    (folder / "invitation.txt").write_text("Dear {name},\ncome\n")
    (folder / "letter.md").write_text("# a letter\n\nit is *here*\n")
    (folder / "FOLDER").mkdir()
    write_ink(folder / "FOLDER" / "lines.json", [wave(f"wave-{i:02d}", 15 + i % 30) for i in range(30)])
    write_ink(folder / "me.json", [wave("me", 60)])
    (folder / "hands").mkdir()
    for name in ("anna", "ben"):
        write_ink(folder / "hands" / f"{name}.json", [wave(name, 60)._replace(text="on the")])
    points = ", ".join(f"{x * 9} {(x * 37) % 50}" for x in range(60))
    (folder / "me.inkml").write_text(
        f'<ink xmlns="http://www.w3.org/2003/InkML"><trace>{points}</trace></ink>', encoding="utf-8"
    )
    (folder / "me.txt").write_text("me\n")
    return folder


WITHOUT_SETTINGS = ("export", "doctor")
FIRST = [
    command
    for command in commands_in(ROOT / "README.md")
    if re.search(r"run_dir=logs/(first|strokes|hand|book)\b(?!.*(=last|unit=))", command)
]


def run(command: str, call: Commands) -> None:  # noqa: F811
    """Run a command as its rule says; an error names it."""
    rule = rule_of(command)
    if rule.shell:
        path = f"{Path(sys.executable).parent}:/usr/bin:/bin"
        environment = {"PATH": path, "PYTHONPATH": str(ROOT / "src"), "HOME": str(call.folder)}
        ended = subprocess.run(
            ["bash", "-ec", command], cwd=call.folder, env=environment, capture_output=True
        )
        assert ended.returncode == 0, f"{command}\n{ended.stderr.decode()}"
        return
    words = shlex.split(command)
    if words[0] == "graves-lm":
        verb, arguments = words[1], words[2:]
    else:
        assert words[:2] == ["python", "-m"], f"{command}: no rule says what to do with it"
        verb, arguments = words[2].removeprefix("graves_lm."), words[3:]
    if rule.composed:
        arguments = [*arguments, "--cfg", "job"]
    elif verb not in WITHOUT_SETTINGS:
        arguments = made_tiny(verb, arguments, rule)
        own = [place.removeprefix("run_dir=") for place in arguments if place.startswith("run_dir=")]
        if verb == "train" and own and "resume=last" not in arguments:
            shutil.rmtree(call.folder / own[0], ignore_errors=True)  # where an earlier page's run was
    outcome = call(verb, *arguments)
    shown = f"{command}\nrun as {verb} {shlex.join(arguments)}\n{outcome.out[-2000:]}\n{outcome.err[-2000:]}"
    assert outcome.status in rule.statuses, shown
    assert "Traceback" not in outcome.err, shown


@pytest.fixture(scope="session")
def made(runs) -> list[str]:
    """The commands of `FIRST` that have been run in `runs`."""
    return []


def page_name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def run_page(page: Path, runs: Path, made: list[str], call: Commands, slow: bool) -> None:  # noqa: F811
    call.folder, own = runs, call.folder
    while len(made) < len(FIRST):
        run(FIRST[len(made)], call)
        made.append(FIRST[len(made)])
    call.folder = own / "reader"
    shutil.copytree(runs, call.folder)
    for command in commands_in(page):
        rule = rule_of(command)
        if not rule.why_not and (slow or not rule.slow):
            run(command, call)


RUN = [p for p in PAGES if any(not rule_of(c).why_not for c in commands_in(p))]
SLOW = [p for p in PAGES if any(rule_of(c).slow for c in commands_in(p))]


@pytest.mark.parametrize("page", RUN, ids=page_name)
def test_the_commands_of_a_page_work(page, runs, made, call):  # noqa: F811
    run_page(page, runs, made, call, slow=False)


@pytest.mark.slow
@pytest.mark.parametrize("page", SLOW, ids=page_name)
def test_the_slow_commands_of_a_page_work(page, runs, made, call):  # noqa: F811
    run_page(page, runs, made, call, slow=True)


def test_every_rule_is_of_use():
    commands = [command for page in PAGES for command in commands_in(page)]
    unused = [rule.pattern for rule in RULES if not any(rule_of(command) is rule for command in commands)]
    assert not unused
