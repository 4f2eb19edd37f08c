"""The table of runs: which it finds, how it tells them apart, and what it writes."""

import csv
import io
import json
import os
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from xml.etree import ElementTree

import pytest
from PIL import Image

from graves_lm.runtime.errors import UserError
from graves_lm.sweeps.runs import FAILED, PRUNED, differing, find_runs
from graves_lm.sweeps.table import csv_table, short, text_table
from tests.test_commands import call  # noqa: F401

LR = "optimizer.lr"


def write_run(
    place: Path,
    figure: float | None = None,
    monitor: str = "val/bpc",
    overrides: tuple[str, ...] = (),
    lr: float = 0.002,
    curve: tuple[tuple[int, float], ...] = (),
    **record,
) -> Path:
    """A run's folder as train leaves it; without a figure: one that has not ended."""
    (place / ".hydra").mkdir(parents=True)
    config = f"monitor: {monitor}\ntrainer: {{max_steps: 9}}\noptimizer: {{lr: {lr}}}\nname: ${{nowhere}}\n"
    (place / ".hydra" / "config.yaml").write_text(config)
    given = "".join(f"    - '{override}'\n" for override in overrides) or "      []\n"
    choices = "hydra:\n  runtime:\n    choices: {model: character, noise: none}\n"
    text = f"{choices}  overrides:\n    task:\n{given}"
    (place / ".hydra" / "hydra.yaml").write_text(text)
    if figure is not None:
        (place / "metrics.json").write_text(json.dumps({monitor: figure, "steps": 9, **record}))
    if curve:
        (place / "csv").mkdir()
        rows = "".join(f",{step},{value}\n{step},,\n" for step, value in curve)
        (place / "csv" / "metrics.csv").write_text(f"epoch,step,{monitor}\n{rows}")
    return place


@pytest.fixture
def runs(tmp_path) -> Path:
    """Eleven jobs of a sweep, of which one failed, one was pruned and one has not ended."""
    folder = tmp_path / "sweep"
    for number in range(11):
        lr = f"{LR}={0.001 * (number + 1):.3f}"
        figure = None if number in (4, 7) else 10.0 - number if number < 9 else 20.0 + number
        write_run(folder / str(number), figure, overrides=("noise=fixed", lr), curve=((4, 9.5), (9, 9.0)))
    (folder / "4" / FAILED).write_text("data.source=x: no such file\n")
    (folder / "3" / PRUNED).write_text("given up at step 5\n")
    return folder


def rows_of(table: str) -> list[list[str]]:
    return [line.split() for line in table.splitlines()]


def test_runs_are_sorted_by_their_figure_and_told_apart(runs):
    heading, names, *rows = rows_of(text_table(find_runs(runs), "val/bpc"))
    assert " ".join(heading) == (
        "val/bpc of 11 runs (8 finished, 1 pruned, 1 failed, 1 unfinished); all with noise=fixed"
    )
    assert names == ["run", "val/bpc", "steps", "status", LR]
    assert [row[0] for row in rows[:9]] == ["8", "6", "5", "3", "2", "1", "0", "9", "10"]
    assert rows[0] == ["8", "2.0000", "9", "finished", "0.009"]
    assert rows[3][3] == "pruned"
    assert rows[9] == ["4", "failed", "0.005"]
    assert rows[10] == ["7", "unfinished", "0.008"]
    assert " ".join(rows[11]) == "4: data.source=x: no such file"


def test_single_runs_are_compared_by_what_they_amount_to(tmp_path):
    """A key that only one of them gave is read from the configuration of the others."""
    write_run(tmp_path / "logs" / "first", 2.0, lr=0.002)
    write_run(tmp_path / "logs" / "deep" / "second", 1.0, overrides=(f"{LR}=0.5", "noise=drop", "run_dir=x"))
    found = find_runs(tmp_path)
    assert [run.name for run in found] == ["logs/deep/second", "logs/first"]
    assert differing(found) == [LR, "noise"]
    assert [[run.value(key) for key in (LR, "noise")] for run in found] == [
        ["0.5", "drop"],
        ["0.002", "none"],
    ]


def test_what_is_no_training_run_is_left_out(runs):
    before = len(find_runs(runs))
    (runs / "evaluation" / ".hydra").mkdir(parents=True)
    (runs / "evaluation" / ".hydra" / "config.yaml").write_text("ckpt: x\nsplit: null\n")
    (runs / "evaluation" / "metrics.json").write_text('{"val/bpc": 0.1}')
    (runs / "multirun.yaml").write_text("monitor: val/bpc\n")
    write_run(runs / ".hidden" / "0", 0.1)
    (runs / "8" / "metrics.json").write_text('{"val/bpc": 0.')  # cut off
    found = find_runs(runs)
    assert len(found) == before
    assert {run.name: run.status for run in found}["8"] == "unfinished"


def test_csv_has_every_number_unrounded(runs):
    write_run(runs / "11", 0.123456789, val_more=1.5, checkpoint="best.ckpt")
    rows = list(csv.DictReader(io.StringIO(csv_table({"val/bpc": find_runs(runs)}))))
    assert len(rows) == 12
    assert (rows[0]["run"], rows[0]["figure"], rows[0]["val_more"]) == ("11", "0.123456789", "1.5")
    assert rows[0][LR] == "0.002"
    assert {row["run"]: row["remark"] for row in rows}["4"] == "data.source=x: no such file"
    assert "checkpoint" not in rows[0]


def test_numbers_are_short_and_words_are_whole():
    given = ["0.0012345678901234", "1.9190347520454185", "0.002", "123456789", "a-long-word", "[0.9,0.99]"]
    assert [short(value) for value in given] == [
        "0.001235",
        "1.919",
        "0.002",
        "1.235e+08",
        "a-long-word",
        "[0.9,0.99]",
    ]


def test_curves_are_read_without_the_last_validation_twice(runs):
    with (runs / "8" / "csv" / "metrics.csv").open("a") as file:
        file.write(",9,2.0\n")
    (run,) = (run for run in find_runs(runs) if run.name == "8")
    assert run.curves == {"val/bpc": [(4, 9.5), (9, 9.0)]}


# --- the command ----------------------------------------------------------------------------------


def test_the_command_prints_and_writes(call, runs):  # noqa: F811
    outcome = call("compare", f"dir={runs}")
    assert outcome.status == 0, outcome.err
    assert outcome.out.startswith("val/bpc of 11 runs")
    assert (runs / "compare.csv").read_text().startswith("run,status,metric,figure,optimizer.lr,steps,")
    if find_spec("matplotlib"):
        with Image.open(runs / "compare.png") as picture:
            picture.load()
            assert picture.width > picture.height > 200
        assert f"picture: {runs / 'compare.png'}" in outcome.out
    else:
        assert "pip install 'graves-lm[sweep]'" in outcome.err


def test_runs_of_several_models_have_a_table_each(call, tmp_path):  # noqa: F811
    pytest.importorskip("matplotlib", reason="the extra 'sweep' is not installed")
    for number, (monitor, figure) in enumerate([("val/bpc", 3.0), ("val/nll_per_line", -7.0)] * 2):
        overrides = (f"model={monitor[4:7]}", f"{LR}={number // 2 + 1}")
        write_run(tmp_path / "all" / str(number), figure + number, monitor, overrides)
    outcome = call("compare", "dir=all", "output=out/it.svg")
    assert outcome.status == 0, outcome.err
    tables = outcome.out.split("\n\n")
    assert tables[0].startswith("val/bpc of 2 runs (2 finished); all with model=bpc")
    assert tables[1].startswith("val/nll_per_line of 2 runs")
    assert ElementTree.parse(tmp_path / "out" / "it.svg").getroot().tag.endswith("svg")
    assert (tmp_path / "out" / "it.csv").read_text().count("\n") == 5
    by_steps = call("compare", "dir=all", "metric=steps", "output=out/it.svg")
    assert by_steps.out.startswith("steps of 4 runs")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], "give dir=FOLDER, a folder of runs"),
        (["dir=gone"], "dir=gone: no such folder"),
        (["dir=empty"], "dir=empty: no training run in it or below it"),
        (["dir=sweep", "metric=val/bpx"], "metric=val/bpx: no run has this metric; did you mean 'val/bpc'?"),
        (["dir=sweep", "metric=checkpoint"], "metric=checkpoint: not a number (best.ckpt); known: "),
        (["dir=sweep", "output=it.doc"], "output=it.doc: the picture is written as .png, .svg, .pdf"),
        (["dri=sweep"], "dri: no such setting; did you mean 'dir'?"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_the_command_refuses(call, runs, arguments, expected):  # noqa: F811
    write_run(runs / "11", 1.0, checkpoint="best.ckpt")
    (runs.parent / "empty").mkdir()
    assert expected in call.refuse("compare", *arguments)


@pytest.mark.parametrize(
    "foreign",
    [
        "monitor: ${oc.env:HOME}\ntrainer: {}\n",
        "monitor: val/bpc\ntrainer: {max_steps: '${oc.env:HOME}'}\n",
        "monitor: val/bpc\ntrainer: {_target_: os.system}\n",
        "monitor: [1]\ntrainer: 3\n",
        "monitor: val/bpc\ntrainer: !!python/object/apply:os.system [touch mark]\n",
        "a: &a [x, x]\nmonitor: [*a, *a]\ntrainer: 1\n",
        "[" * 5000,
        "{a: " * 5000,
        "\x00",
        "monitor: val/bpc\ntrainer: 1\n" + "#" * (1 << 21),
    ],
)
def test_settings_of_strangers_are_text(tmp_path, foreign):
    """Nothing is resolved, called or multiplied: it is a row as it stands, none, or one line."""
    run = tmp_path / "runs" / "0"
    run.mkdir(parents=True)
    (run / "config.yaml").write_text(foreign)
    with suppress(UserError):
        (found,) = find_runs(tmp_path / "runs")
        shown = [found.value("trainer"), found.value("trainer.max_steps"), found.monitor]
        assert not any(os.environ["HOME"] in value for value in shown)
    assert not (tmp_path / "mark").exists()
