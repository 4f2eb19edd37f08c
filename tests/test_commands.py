"""The commands as they are called: what they print and write, and how they refuse what cannot work."""

import json
import logging
import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf
from PIL import Image

from graves_lm.commands.launch import quote_literal
from graves_lm.data.ink.reading import read_ink
from graves_lm.rendering.handwriting import USUAL
from graves_lm.trained.strokes import TrainedStrokes
from graves_lm.trained.text import TrainedText
from tests.data.test_iam import write_tree
from tests.runs import PEN_RUN, QUICK, STROKE_RUN, TEXT, write_text, write_waves

ODD_PROMPT = """a,b='c' "d" {e: [f]} ${run_dir} \\${g} é 日 \\\\ #!~ """
TINY = (
    "data=textfile",
    "data.batch_size=4",
    "data.length=10",
    "data.warm_up=5",
    "data.eval_batch_size=2",
    "model.network.hidden_size=8",
    "model.network.layers=1",
    "sampler.length=5",
    *QUICK,
    "run_dir=run",
)
TINY_STROKES = (
    *STROKE_RUN,
    *PEN_RUN,
    "data=ink",
    "data.source=ink.json",
    "sampler.length=30",
    *QUICK,
    "trainer.val_check_interval=2",
    "run_dir=run",
)


class Outcome(NamedTuple):
    status: int
    out: str
    err: str


class Commands:
    """Calls `main()` of a command in this process, in a folder of its own."""

    def __init__(self, folder: Path, monkeypatch, capsys):
        self.folder, self.monkeypatch, self.capsys = folder, monkeypatch, capsys

    def __call__(self, name: str, *arguments: str) -> Outcome:
        main = import_module(f"graves_lm.{name}").main
        self.monkeypatch.chdir(self.folder)
        self.monkeypatch.setattr(sys, "argv", [f"graves_lm.{name}", *arguments])
        self.capsys.readouterr()
        root, status = logging.getLogger(), 0
        handlers, level = root.handlers[:], root.level
        try:
            main()
        except SystemExit as stop:
            status = stop.code if isinstance(stop.code, int) else 1
        finally:
            # Hydra's handlers write to this call's captured streams and must not outlive it.
            root.handlers[:], root.level = handlers, level
        self.last = Outcome(status, *self.capsys.readouterr())
        return self.last

    def refuse(self, name: str, *arguments: str) -> str:
        """The one line with which a command refuses its arguments."""
        outcome = self(name, *arguments)
        assert outcome.status == 2, outcome.err
        lines = outcome.err.splitlines()
        assert len(lines) == 1, outcome.err
        assert lines[0].startswith(f"graves_lm {name}: ")
        return lines[0].removeprefix(f"graves_lm {name}: ")

    def caches(self) -> list[str]:
        folder = self.folder / "data"
        return [p.name for p in folder.iterdir() if p.suffix != ".lock"] if folder.exists() else []


@pytest.fixture
def call(tmp_path, monkeypatch, capsys) -> Commands:
    return Commands(tmp_path, monkeypatch, capsys)


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """The folder of a tiny run by characters that know every symbol of `ODD_PROMPT`, made by the command."""
    folder = tmp_path_factory.mktemp("trained")
    (folder / "text.txt").write_text((ODD_PROMPT + TEXT) * 30)
    command = [sys.executable, "-m", "graves_lm.train", *TINY, "data.source=text.txt"]
    result = run_process(command, folder)
    assert result.returncode == 0, result.stderr
    assert "Traceback" not in result.stderr
    assert "metrics: run/metrics.json" in result.stdout
    return folder


def run_process(command: list[str], folder: Path) -> subprocess.CompletedProcess:
    environment = os.environ | {"OMP_NUM_THREADS": "1", "WANDB_MODE": "offline", "HYDRA_FULL_ERROR": "0"}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)


@pytest.fixture(scope="module")
def ckpt(trained) -> Path:
    return trained / "run" / "checkpoints" / "last.ckpt"


@pytest.fixture(scope="module")
def drawn(tmp_path_factory) -> Path:
    """The folder of a tiny run on ink, made by the command."""
    folder = tmp_path_factory.mktemp("drawn")
    write_waves(folder)
    result = run_process([sys.executable, "-m", "graves_lm.train", *TINY_STROKES], folder)
    assert result.returncode == 0, result.stderr
    assert "Traceback" not in result.stderr
    assert "metrics: run/metrics.json" in result.stdout
    return folder


@pytest.fixture(scope="module")
def stroke_ckpt(drawn) -> Path:
    return drawn / "run" / "checkpoints" / "last.ckpt"


# --- what works -----------------------------------------------------------------------------------


def test_train_writes_its_run_directory(trained, ckpt):
    metrics = json.loads((trained / "run" / "metrics.json").read_text())
    assert metrics["steps"] == 2
    assert metrics["val/bpc"] > 0
    assert torch.load(ckpt, weights_only=True)["global_step"] == 2
    assert "hidden_size: 8" in (trained / "run" / "config.yaml").read_text()


def test_sample_shows_and_writes_the_prompt_and_as_many_symbols_as_asked(call, ckpt):
    arguments = (f"ckpt={ckpt}", "sampler.length=12", f"prompt={ODD_PROMPT}", "output=out.txt", "seed=3")
    outcome = call("sample", *arguments)
    assert (outcome.status, outcome.err) == (0, "")
    assert outcome.out.startswith(ODD_PROMPT)
    assert len(outcome.out) == len(ODD_PROMPT) + 12 + 1
    assert (call.folder / "out.txt").read_text(encoding="utf-8") + "\n" == outcome.out
    assert call("sample", *arguments) == outcome  # the seed decides
    assert [p.name for p in call.folder.iterdir()] == ["out.txt"]


def test_sample_on_a_gpu_that_is_not_there(call, ckpt, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    said = call.refuse("sample", f"ckpt={ckpt}", "device=cuda")
    assert said == "device=cuda: torch finds no GPU here; leave device= out"
    assert "device=gpu" in call.refuse("sample", f"ckpt={ckpt}", "device=gpu")


def test_sample_as_a_process(trained, ckpt, tmp_path):
    command = [sys.executable, "-m", "graves_lm.sample", f"ckpt={ckpt}", "sampler.length=4"]
    result = run_process([*command, f"prompt={ODD_PROMPT}"], tmp_path)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith(ODD_PROMPT)
    refused = run_process([*command, "prompt=aZb"], tmp_path)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr.startswith("graves_lm sample: prompt: 'Z' at position 1 ")
    assert refused.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_prepare_prints_the_table_and_leaves_the_cache_alone(call):
    source = write_text(call.folder)
    outcome = call("prepare", "data=textfile", f"data.source={source}")
    assert (outcome.status, outcome.err) == (0, "")
    length = len(source.read_text())
    assert f"train {round(0.9 * length):>13,} symbols" in outcome.out
    assert [name.split("-")[0] for name in call.caches()] == ["textfile"]
    assert {p.name for p in call.folder.iterdir()} == {"data", "text.txt"}


@pytest.mark.parametrize("dynamic", ["none", "sgd", "rms"])
def test_evaluate_writes_the_figures_it_prints(call, trained, ckpt, dynamic):
    arguments = [f"ckpt={ckpt}", "split=val", f"dynamic={dynamic}", "run_dir=eval"]
    outcome = call("evaluate", *arguments, f"data.source={trained / 'text.txt'}")
    assert outcome.status == 0, outcome.err
    record = json.loads((call.folder / "eval" / "metrics.json").read_text())
    assert f"val/bpc {record['val/bpc']:.4f}" in outcome.out
    assert record["ckpt"] == str(ckpt)
    assert (record["dynamic"] is None) == (dynamic == "none")


def test_commands_leave_the_environment_as_it_was(call):
    assert os.environ["HYDRA_FULL_ERROR"] == "0"
    call.refuse("sample", "ckpt=none.ckpt")
    assert os.environ["HYDRA_FULL_ERROR"] == "0"


def test_the_traceback_is_shown_on_request(call, monkeypatch):
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    with pytest.raises(Exception, match=r"none\.ckpt: no such file"):
        call("sample", "ckpt=none.ckpt")


# --- prompts, letter by letter --------------------------------------------------------------------

PROMPTS = [
    "",
    "a,b",
    "k=v",
    "é日😀",
    "{x: 1}",
    "[1, 2",
    "${prompt}",
    "${",
    "${oc.env:HOME}",
    "\\${x}",
    "\\\\${x}\\",
    "\\",
    "\\\\",
    '"',
    '\\"',
    "'already quoted'",
    '"already quoted"',
    "\"a\" and 'b'",
    "line\nline\\\n",
    "  spaces\t",
    "null",
    "1e5",
    "???",
    "# comment",
    "-m",
    "\udcff",
]


def test_every_prompt_arrives_letter_by_letter():
    parser = OverridesParser.create()
    for prompt in PROMPTS:
        (override,) = parser.parse_overrides([quote_literal(f"prompt={prompt}", ["prompt"])])
        cfg = OmegaConf.create({"prompt": ""})
        OmegaConf.update(cfg, override.key_or_group, override.value())  # as Hydra does
        assert cfg.prompt == prompt


@pytest.mark.parametrize(
    "argument", ["ckpt=a,b", "prompt", "--prompt=é", "sampler.prompt=é", "~prompt", "-m"]
)
def test_other_arguments_are_left_to_hydra(argument):
    assert quote_literal(argument, ["prompt"]) == argument


@pytest.mark.parametrize("name", ["1e3", "42", "a,b = it's (ü) $[{#%!: x", "~x", "null"])
def test_names_of_any_letters(call, name):
    """As a run's folder, its data, their cache, a checkpoint and an output."""
    write_text(call.folder).rename(call.folder / name)
    given = name if name != "null" else '"null"'  # where null takes a setting back
    places = (f"data.source={given}", f"run_dir=r/{name}", f"name={name}", f"data.cache_dir=c/{name}")
    assert call("train", *TINY, *places).status == 0, call.last.err
    assert {p.name for p in (call.folder / "r" / name).iterdir()} >= {"metrics.json", "train.log", ".hydra"}
    assert (call.folder / "c" / name).is_dir()
    (call.folder / "r" / name / "checkpoints" / "last.ckpt").rename(call.folder / name)
    assert call("sample", f"ckpt={given}", "sampler.length=3", f"output=o{name}").status == 0, call.last.err
    assert (call.folder / f"o{name}").is_file()


def test_a_closed_terminal_costs_the_output_nothing(trained, ckpt, tmp_path):
    command = f"{sys.executable} -m graves_lm.sample ckpt={ckpt} sampler.length=2000 output=o.txt | head -c 1"
    environment = os.environ | {"PYTHONIOENCODING": "cp1252", "LC_ALL": "C"}
    ended = subprocess.run(["bash", "-c", command], cwd=tmp_path, env=environment, capture_output=True)
    assert ended.stderr == b""
    assert len((tmp_path / "o.txt").read_text(encoding="utf-8")) == 2000


def test_what_is_drawn_sends_no_control_characters_to_the_terminal(call, monkeypatch, ckpt):
    pieces = ["a\r", "\nb\x1b[2J", "\rc\x9b", "d\r"]
    monkeypatch.setattr(TrainedText, "write", lambda *_, **__: iter(pieces))
    assert call("sample", f"ckpt={ckpt}", "output=o.txt").out == "a\nb\\x1b[2J\\rc\\x9bd\n"
    assert (call.folder / "o.txt").read_bytes().decode() == "".join(pieces)


def test_texts_of_any_kind(call):
    (call.folder / "1984").write_bytes("A\tb\u00adc\fd\r\n".encode("utf-16"))
    quick = ("sampler.candidates=1", "sampler.retries=0", "one_hand=false", "output=o.json")
    assert call("sample", "text_file=1984", *quick).status == 0, call.last.err
    assert [line.text for line in read_ink(call.folder / "o.json")[0]] == ["A bc", "d"]
    (call.folder / "1984").write_text("one\ntwo \u200b\u20ac\n", encoding="utf-8-sig")
    message = call.refuse("sample", "text_file=1984", *quick)
    assert message.startswith("text_file=1984: '€' (EURO SIGN) at line 2, column 6, U+20AC, is not among")
    assert len(message) < 300
    assert "/dev/zero: a pipe, a device" in call.refuse("sample", "text_file=/dev/zero", *quick)


# --- what is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (None, "data.source=text.txt: no such file"),
        (b"", "text.txt: the file is empty"),
        (b"a" * 500, "holds 1 different symbol"),
        (b"ab" * 20, "training text: 36 symbols are too few for 400 parallel streams"),
        (b"caf\xe9" * 100, "not UTF-8 at byte 3"),
    ],
    ids=["missing", "empty", "one symbol", "too short", "not UTF-8"],
)
def test_train_refuses_text(call, content, expected):
    if content is not None:
        (call.folder / "text.txt").write_bytes(content)
    assert expected in call.refuse("train", *TINY, "data.source=text.txt", "data.batch_size=400")
    # The cache of a text that is only too short for so many streams is whole, and may stay.
    assert len(call.caches()) == ("too few" in expected)
    assert not any(name.endswith(".partial") for name in call.caches())


def test_train_refuses_unknown_symbols_in_the_validation_text(call):
    source = write_text(call.folder)
    (call.folder / "val.txt").write_text("the dög\n" * 50)
    message = call.refuse("train", *TINY, f"data.source={source}", "data.val_source=val.txt")
    assert message.startswith("val.txt: 'ö' at position 5 is not among the model's ")
    assert call.caches() == []


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["optimizer.schedule=cosin"], "optimizer.schedule=cosin: one of constant, linear, cosine"),
        (["optimizer.lr=-1"], "optimizer.lr=-1: a number above 0"),
        (["optimizer.unit=batch"], "optimizer.unit=batch: one of sequence, point"),
        (["data.batch_size=0"], "data.batch_size=0: "),
        (["data.lenght=5"], "data.lenght: no such setting under 'data'; did you mean 'length'"),
        (["model.network.hiden_size=5"], "did you mean 'hidden_size'?"),
        (
            ["trainer.max_step=5"],
            "trainer.max_step: no such setting under 'trainer'; did you mean 'max_steps'",
        ),
        (["optimiser=sgd"], "optimiser: no such setting; did you mean 'optimizer'?"),
        (["optimizer=sdg"], "optimizer=sdg: no such option of 'optimizer'; did you mean 'sgd'"),
        (
            ["experiment=ptb_chars"],
            "experiment=ptb_chars: no such option of 'experiment'; did you mean 'ptb_char'",
        ),
        (["resume=gone.ckpt"], "resume=gone.ckpt: no such file"),
        (["data.source=té.txt"], "data.source=té.txt: no such file"),
        (["data.source=[a"], "data.source=[a: no such file"),
        (["data.source=2024"], "data.source=2024: no such file"),
        (["resume=runs/lr=(1), it's"], "resume=runs/lr=(1), it's: no such file"),
        (
            ["+logger.csv.note=it's"],
            "Hydra's syntax; if it is a text, put it in quotes twice: '+logger.csv.note=\"it'\"'\"'s\"'",
        ),
        (["optimizer.lr=" + "[" * 2000], "not in Hydra's syntax; if it is a text"),
        (["max_steps"], "max_steps: not of the form key=value"),
        (["trainer.precision=foo"], "trainer.precision=foo: one of 32-true, bf16-mixed"),
        (["seed=abc"], "seed=abc: a whole number"),
    ],
    ids=lambda value: value[0][:40] if isinstance(value, list) else "",
)
def test_train_refuses_settings(call, arguments, expected):
    source = write_text(call.folder)
    assert expected in call.refuse("train", *TINY, f"data.source={source}", *arguments)


def test_prepare_refuses_and_leaves_no_cache(call):
    message = call.refuse("prepare", "data=ptb_char")
    assert message.startswith("data=ptb_char needs data.source=PATH")
    assert call.refuse("prepare", "data=enwik9").endswith("did you mean 'enwik8'?")
    assert call.refuse("prepare", "data=enwik8", "data.split=both").startswith(
        "data.split=both: one of paper"
    )
    assert list(call.folder.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["prompt=the Zoo"], "prompt: 'Z' at position 4 is not among the model's "),
        (["sampler.temperature=-1"], "sampler.temperature=-1: a number above 0 is needed"),
        (["sampler.temperature=0"], "sampler.temperature=0: a number above 0 is needed"),
        (["sampler.length=0"], "sampler.length=0: a whole number, at least 1"),
        (["sampler.temprature=1"], "did you mean 'temperature'?"),
        (["promt=a"], "promt: no such setting; did you mean 'prompt'?"),
        (["sampler=txt"], "sampler=txt: no such option of 'sampler'; did you mean 'text'?"),
        (["output=gone/out.txt"], "output=gone/out.txt: its folder does not exist"),
        (["seed=abc"], "seed=abc: a whole number, at least 0, is needed"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_sample_refuses_settings_and_shows_no_text(call, ckpt, arguments, expected):
    assert expected in call.refuse("sample", f"ckpt={ckpt}", *arguments)
    assert call.last.out == ""
    assert list(call.folder.iterdir()) == []


def damaged(kind: str, whole: Path, target: Path) -> None:
    if kind == "truncated":
        target.write_bytes(whole.read_bytes()[:-1000])
    elif kind == "cut to its head":
        target.write_bytes(whole.read_bytes()[:100])
    elif kind == "empty":
        target.write_bytes(b"")
    elif kind == "text":
        target.write_text("no checkpoint at all\n" * 10)
    elif kind == "tensors":
        torch.save({"weight": torch.zeros(2)}, target)
    elif kind == "folder":
        target.mkdir()
    elif kind == "code":
        torch.save({"graves_lm": Path("/")}, target)


CHECKPOINTS = {
    "truncated": "not a readable checkpoint, perhaps truncated",
    "cut to its head": "not a readable checkpoint, perhaps truncated",
    "empty": "not a readable checkpoint, perhaps truncated",
    "text": "not a readable checkpoint",
    "tensors": "not a checkpoint of graves_lm",
    "folder": "not a file but a folder",
    "code": "not a readable checkpoint",
    "gone": "no such file",
}


@pytest.mark.parametrize("command", ["sample", "evaluate", "train"])
@pytest.mark.parametrize("kind", CHECKPOINTS)
def test_checkpoints_that_cannot_be_used(call, ckpt, trained, command, kind):
    damaged(kind, ckpt, call.folder / "it.ckpt")
    more = [*TINY, f"data.source={trained / 'text.txt'}"] if command == "train" else []
    setting = "resume" if command == "train" else "ckpt"
    message = call.refuse(command, f"{setting}=it.ckpt", *more)
    assert message.startswith(f"{setting}=it.ckpt: ")
    assert CHECKPOINTS[kind] in message


@pytest.mark.parametrize("part", ["model", "sampler"])
def test_a_checkpoint_that_asks_for_foreign_code_is_refused(call, ckpt, part):
    checkpoint = torch.load(ckpt, weights_only=True)
    node = checkpoint["graves_lm"]["config"][part]
    (node["network"] if part == "model" else node)["_target_"] = "os.system"
    torch.save(checkpoint, call.folder / "it.ckpt")
    assert "asks for 'os.system'" in call.refuse("sample", "ckpt=it.ckpt")


def test_training_on_from_a_checkpoint_of_another_model_is_refused(call, stroke_ckpt):
    source = write_text(call.folder)
    begin = [*TINY, f"data.source={source}"]
    resumed = call.refuse("train", *begin, f"resume={stroke_ckpt}")
    other = "a run of model=stroke, and this is of model=character; give model=stroke"
    assert resumed == f"resume={stroke_ckpt}: {other}"
    message = call.refuse("train", *begin, f"init={stroke_ckpt}")
    assert message == f"init={stroke_ckpt}: of model=stroke, and this run is of model=character"


def test_a_checkpoint_is_needed(call):
    assert call.refuse("evaluate").startswith("give ckpt=PATH")
    assert call.refuse("sample").startswith('give text="…"')


def test_the_packages_weights_write_without_a_checkpoint(call, monkeypatch, tmp_path):
    page = call("sample", "text=Hi", "sampler.candidates=1", "sampler.retries=0", "output=hi.svg")
    assert (page.status, page.out) == (0, "hi.svg\n")
    for given, reason in (
        ("hand=1000", "hand=1000: there are "),
        ("hand=neat", "hand=neat: neat is no file, and hands/ has no hand of that name; known: package"),
        ("hand=0", "hand=0: hands are counted from 1"),
    ):
        assert call.refuse("sample", "text=Hi", given).startswith(reason)
    monkeypatch.setattr("graves_lm.writing.command.PRETRAINED", tmp_path)
    for given, model in (("prompt=The ", "character"), ("text=Hi", "synthesis")):
        message = call.refuse("sample", given)
        assert message.startswith(f"the package has no weights for model={model}: give ckpt=PATH")


def test_resuming_on_other_data_or_another_network_is_refused(call, ckpt, trained):
    (call.folder / "other.txt").write_text("abc\n" * 300)
    other = call.refuse("train", *TINY, "data.source=other.txt", f"resume={ckpt}")
    assert "the data are not those it was trained on" in other
    same = f"data.source={trained / 'text.txt'}"
    differs = call.refuse("train", *TINY, same, "model.network.layers=2", f"resume={ckpt}")
    assert "model settings differ" in differs
    noisy = call.refuse("train", *TINY, same, "noise=fixed", f"resume={ckpt}")
    assert noisy == (
        f"resume={ckpt}: trained with other weight noise, and a stage of its own is a new run; init={ckpt} "
        "begins a new run with its weights"
    )


def test_the_two_ways_to_begin_are_told_apart(call, ckpt, trained):
    begin = [*TINY, f"data.source={trained / 'text.txt'}"]
    both = call.refuse("train", *begin, "init=character", f"resume={ckpt}")
    assert both == (
        f"resume={ckpt} goes on with a run that began with new weights, init=character begins a new one: "
        "give one of them"
    )
    alone = call.refuse("train", *begin, "resume=character")
    assert alone.startswith("resume=character: weights alone, without the state of a run; init=character ")
    for more in ("ckpt=last", "+ckpt=last"):
        old = call.refuse("train", *begin, more)
        assert old.startswith("ckpt: no setting of train any more: resume= goes on with a run, init= begins")
    assert (
        call.refuse("train", *begin, f"weights={ckpt}")
        == "weights: no setting of train any more: it is init="
    )


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["split=tests"], "split=tests: data=textfile has none; did you mean 'test'?"),
        (["precision=16"], "precision=16: one of 32-true, bf16-mixed"),
        (["dynamic=sdg"], "dynamic=sdg: no such option of 'dynamic'; did you mean 'sgd'"),
        (["data=textfile", "data.source=other.txt"], "the text's symbol set is not the checkpoint's"),
        (["data.source=gone.txt"], "data.source=gone.txt: no such file"),
        (["data.lenght=5"], "data.lenght: no such setting under 'data'"),
        (["data=hershey"], "model=character does not go with data=hershey, which has no symbols"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_evaluate_refuses(call, trained, ckpt, arguments, expected):
    (call.folder / "other.txt").write_text("abç\n" * 300, encoding="utf-8")
    source = [] if arguments[0].startswith("data") else [f"data.source={trained / 'text.txt'}"]
    assert expected in call.refuse("evaluate", f"ckpt={ckpt}", "run_dir=eval", *source, *arguments)


# --- strokes --------------------------------------------------------------------------------------


def check_picture(path: Path) -> None:
    """Asserts that the file is a whole picture, or whole strokes, of the kind that its name says."""
    if path.name.endswith(".svg"):
        assert ElementTree.fromstring(path.read_text()).tag.endswith("svg")
    elif path.suffix in (".json", ".inkml"):
        assert all(len(line.strokes) > 1 for line in read_ink(path)[0])
    else:
        with Image.open(path) as picture:
            picture.load()
            assert picture.format == path.suffix[1:].upper()


def test_train_writes_figures_and_pictures_of_strokes(drawn, stroke_ckpt):
    metrics = json.loads((drawn / "run" / "metrics.json").read_text())
    assert metrics["steps"] == 2
    assert {"val/nll_per_line", "val/nll_per_point", "val/sse"} <= metrics.keys()
    assert metrics["val/nll_per_line"] > metrics["val/nll_per_point"] > 0
    assert torch.load(stroke_ckpt, weights_only=True)["global_step"] == 2
    files = sorted((drawn / "run" / "samples").iterdir())
    kinds = ("density.png", "handwriting.png", "handwriting.svg")
    assert [p.name for p in files] == [
        f"{when}-{kind}" for when in ("best", "step-0000002") for kind in kinds
    ]
    for path in files:
        check_picture(path)


def test_sample_draws_in_every_format(call, stroke_ckpt):
    outcome = call("sample", f"ckpt={stroke_ckpt}", "sampler.lines=3", "sampler.length=12", "run_dir=out")
    assert (outcome.status, outcome.err) == (0, "")
    files = [call.folder / "out" / f"handwriting{ending}" for ending in USUAL]
    assert outcome.out.splitlines() == [str(path.relative_to(call.folder)) for path in files]
    assert {".svg", ".png", ".gif", ".json"} <= set(USUAL)
    for path in files:
        check_picture(path)
    lines, _ = read_ink(call.folder / "out" / "handwriting.json")
    assert [len(line.strokes) for line in lines] == [13, 13, 13]  # the first point, and those drawn
    assert sorted((call.folder / "out").iterdir()) == sorted(files)


@pytest.mark.parametrize("ending", ["svg", "png", "gif", "json", "inkml"])
def test_sample_draws_into_the_given_file(call, stroke_ckpt, ending):
    arguments = (f"ckpt={stroke_ckpt}", "sampler.length=12", f"output=it.{ending}")
    outcome = call("sample", *arguments, "seed=3")
    assert (outcome.status, outcome.out, outcome.err) == (0, f"it.{ending}\n", "")
    content = (call.folder / f"it.{ending}").read_bytes()
    check_picture(call.folder / f"it.{ending}")
    assert [p.name for p in call.folder.iterdir()] == [f"it.{ending}"]
    call("sample", *arguments, "seed=3")
    assert (call.folder / f"it.{ending}").read_bytes() == content  # the seed decides
    call("sample", *arguments, "seed=4")
    assert (call.folder / f"it.{ending}").read_bytes() != content


def test_bias_changes_what_is_drawn(call, stroke_ckpt):
    for name, more in {"plain": [], "biased": ["sampler.bias=3"], "strong": ["sampler.bias=30"]}.items():
        arguments = ["sampler.length=30", "sampler.lines=4", f"output={name}.json", *more]
        assert call("sample", f"ckpt={stroke_ckpt}", *arguments).status == 0
    spread = [
        np.concatenate([line.strokes for line in read_ink(call.folder / f"{name}.json")[0]])[:, :2].std()
        for name in ("plain", "biased", "strong")
    ]
    assert spread == sorted(spread, reverse=True)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["output=it.xyz"], "it.xyz: handwriting is written as .svg, .png, .gif, .json"),
        (["output=it"], "it: handwriting is written as"),
        (["prompt=hello"], "prompt= is for model=character; this checkpoint is of model=stroke"),
        (["text=hello"], "text= is for model=synthesis; this checkpoint is of model=stroke"),
        (["hand=2"], "hand= is for model=synthesis; this checkpoint is of model=stroke"),
        (["sampler.bias=-1"], "sampler.bias=-1: a number, at least 0"),
        (["sampler.bias=nan"], "sampler.bias=nan: a number, at least 0"),
        (["sampler.lines=0"], "sampler.lines=0: a whole number from 1"),
        (["sampler.length=0.5"], "sampler.length=0.5: a whole number from 1"),
        (
            ["sampler.temperature=0.5"],
            "sampler.temperature: the sampler of this checkpoint has none; known: bias",
        ),
        (["sampler=text"], "sampler: TextSampler has no method points()"),
        (["seed=1.5"], "seed=1.5: a whole number, at least 0, is needed"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_sample_refuses_before_it_draws(call, stroke_ckpt, monkeypatch, arguments, expected):
    monkeypatch.setattr(TrainedStrokes, "write", lambda *_: pytest.fail("drawn for nothing"))
    assert expected in call.refuse("sample", f"ckpt={stroke_ckpt}", "run_dir=out", *arguments)
    assert call.last.out == ""
    assert [p for p in call.folder.rglob("*") if p.is_file()] == []


def test_a_stroke_sampler_draws_no_text(call, ckpt):
    message = call.refuse("sample", f"ckpt={ckpt}", "sampler=strokes")
    assert message.startswith("sampler: StrokeSampler has no method symbols(), so it does not draw")


def evaluated(call, *arguments: str) -> dict:
    outcome = call("evaluate", *arguments, "run_dir=eval")
    assert outcome.status == 0, outcome.err
    return json.loads((call.folder / "eval" / "metrics.json").read_text())


def test_evaluate_scores_the_lines_of_the_checkpoint(call, drawn, stroke_ckpt):
    """On the one held-out split there is; however many lines a batch."""
    figures = []
    for more in ([], ["data.eval_batch_size=1"], ["data.eval_batch_size=64"]):
        record = evaluated(call, f"ckpt={stroke_ckpt}", f"data.source={drawn / 'ink.json'}", *more)
        assert (record.pop("ckpt"), record.pop("dynamic")) == (str(stroke_ckpt), None)
        assert record.keys() == {"val/nll_per_line", "val/nll_per_point", "val/sse"}
        assert f"data=ink, val, static: val/nll_per_line {record['val/nll_per_line']:.4f}" in call.last.out
        figures.append(record)
    assert figures[1] == pytest.approx(figures[0], rel=1e-5)
    assert figures[2] == pytest.approx(figures[0], rel=1e-5)


def test_evaluate_on_other_pens(call, stroke_ckpt):
    """Scored in the units the network has learned; the test split where there is one."""
    write_tree(call.folder / "iam")
    iam = [f"ckpt={stroke_ckpt}", "data=iam", "data.source=iam"]
    assert "val/sse" in evaluated(call, *iam)
    assert "data=iam, val, static:" in call.last.out
    owner = evaluated(call, *iam, "data.split=owner")
    assert "test/sse" in owner
    assert "val_t/sse" in evaluated(call, *iam, "data.split=owner", "split=val_t")
    generated = ["data=hershey", "data.lines=2", "data.writers=1", "data.eval_lines=2"]
    assert "test/nll_per_line" in evaluated(call, f"ckpt={stroke_ckpt}", *generated)
    assert "data=hershey, test, static:" in call.last.out
    assert [name.split("-")[0] for name in sorted(call.caches())] == ["hershey", "iam", "iam"]


def test_evaluate_draws_pictures_on_request(call, drawn, stroke_ckpt):
    source = f"data.source={drawn / 'ink.json'}"
    evaluated(call, f"ckpt={stroke_ckpt}", source, "pictures=true")
    files = sorted((call.folder / "eval" / "pictures").iterdir())
    assert [p.name for p in files] == ["density.png", "handwriting.png", "handwriting.svg"]
    for path in files:
        check_picture(path)
        assert str(path.relative_to(call.folder)) in call.last.out


def test_evaluate_draws_a_text_on_request(call, trained, ckpt):
    evaluated(call, f"ckpt={ckpt}", f"data.source={trained / 'text.txt'}", "pictures=true")
    assert len((call.folder / "eval" / "pictures" / "text.txt").read_text()) == 5
    more = (f"data.source={trained / 'text.txt'}", "sampler.length=9")
    evaluated(call, f"ckpt={ckpt}", *more, "pictures=true")
    assert len((call.folder / "eval" / "pictures" / "text.txt").read_text()) == 9
    message = call.refuse("evaluate", f"ckpt={ckpt}", *more)
    assert "sampler.length: nothing is drawn without samples=true or pictures=true" in message


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["dynamic=sgd"], "dynamic= learns along a text; this checkpoint is of model=stroke"),
        (["split=test"], "split=test: data=ink has none; known: train, val"),
        (["data=stdlib"], "model=stroke does not go with data=stdlib, which has no normalisation"),
        (["data.warm_up=5"], "data.warm_up: this checkpoint's data have none; known: "),
        (["data=iam"], "data=iam needs data.source=DIR"),
        (["data.source=gone.json"], "gone.json does not exist"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_evaluate_refuses_strokes(call, drawn, stroke_ckpt, arguments, expected):
    source = [] if "data" in arguments[0].partition("=")[0] else [f"data.source={drawn / 'ink.json'}"]
    message = call.refuse("evaluate", f"ckpt={stroke_ckpt}", "run_dir=eval", *source, *arguments)
    assert expected in message
    assert call.caches() == [] or "split" in arguments[0]


def test_prepare_shows_what_became_of_the_database(call, monkeypatch):
    """A table, and where every line that was touched is named; the second time nothing is read."""
    write_tree(call.folder / "iam")
    next(call.folder.rglob("a01-000u-02.xml")).write_text("<broken")
    outcome = call("prepare", "data=iam", "data.source=iam")
    assert outcome.status == 0, outcome.err
    assert outcome.out.startswith("8 lines read, 8 kept, ")
    assert "trainset " in outcome.out
    assert " train        6 lines" in outcome.out
    (report,) = (line for line in outcome.out.splitlines() if line.startswith("every line that was touched"))
    named = Path(report.rpartition(": ")[2])
    assert "a01-000u-02" in (call.folder / named).read_text()
    monkeypatch.setattr("graves_lm.data.iam.corpus.read_iam", lambda *_, **__: pytest.fail("read again"))
    again = call("prepare", "data=iam", "data.source=iam")
    assert (again.status, again.out, again.err) == (0, outcome.out, "")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["data=iam"], "data=iam needs data.source=DIR"),
        (["data=iam", "data.source=gone"], "data.source=gone does not exist"),
        (
            ["data=iam", "data.source=gone", "data.split=both"],
            "data.split=both: one of paper, owner",
        ),
        (["data=hershey", "data.source=x"], "data=hershey is generated and takes no data.source"),
        (["data=hershey", "data.lines=0"], "data.lines=0: a whole number, at least 1"),
        (["data=ink", "data.source=gone.json"], "gone.json does not exist"),
        (
            ["data=ink", "data.source=gone.json", "data.val_share=2"],
            "data.val_share=2: a number above 0",
        ),
        (["data=ink", "data.lines=5"], "data.lines: no such setting under 'data'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_prepare_refuses_pen_data(call, arguments, expected):
    assert expected in call.refuse("prepare", *arguments)
    assert call.caches() == []


def test_train_needs_data_by_name(call):
    message = call.refuse("train", "data=from_checkpoint", "run_dir=run")
    assert message == "data=from_checkpoint needs a checkpoint, and here is none: name the data"


def test_train_refuses_data_of_another_kind(call):
    write_waves(call.folder)
    message = call.refuse("train", "model=character", "data=ink", "data.source=ink.json", "run_dir=run")
    assert message.startswith("model=character does not go with data=ink, which has no symbols")
    assert call.caches() == []
