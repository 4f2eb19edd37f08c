"""Every option of conf/ composes, builds what it names, and trains."""

import json
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.core.hydra_config import HydraConfig
from hydra.utils import get_class, get_object, instantiate
from lightning.pytorch import Trainer
from omegaconf import DictConfig, OmegaConf

from graves_lm.commands.configuration import check_configuration
from graves_lm.commands.launch import CONF
from graves_lm.data.base import Corpus
from graves_lm.learning.training import run
from graves_lm.trained.samplers import whole_sampler
from tests.data.test_iam import write_tree
from tests.data.test_text import write_ptb
from tests.runs import QUICK, write_text, write_waves

COMMANDS = sorted(path.stem for path in CONF.glob("*.yaml"))
OPTIONS = {
    group.name: sorted(path.stem for path in group.glob("*.yaml"))
    for group in sorted(CONF.iterdir())
    if group.is_dir()
}
EVERY = [(group, option) for group, options in OPTIONS.items() for option in options]
SMALL = (
    "model.network.hidden_size=8",
    "model.network.layers=1",
    "data.batch_size=3",
    "data.eval_batch_size=2",
    *QUICK,
)
SMALL_BY_MODEL = {
    "character": ("data.length=10", "data.warm_up=5", "sampler.length=5"),
    "stroke": ("model.network.mixtures=2", "sampler.lines=2", "sampler.length=5"),
    "synthesis": ("model.network.mixtures=2", "sampler.points_per_character=1"),
    "reader": (),
}
FIGURES = {
    "character": {"val/bpc", "val/perplexity", "val/error_rate"},
    "stroke": {"val/nll_per_line", "val/nll_per_point", "val/sse"},
    "synthesis": {"val/nll_per_line", "val/nll_per_point", "val/sse"},
    "reader": {"val/cer", "val/wer", "val/nats_per_character"},
}


@cache
def composed(command: str, *overrides: str) -> DictConfig:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        cfg = compose(command, list(overrides), return_hydra_config=True)
    HydraConfig.instance().set_config(cfg)
    return cfg


def takes(command: str, group: str) -> bool:
    defaults = OmegaConf.load(CONF / f"{command}.yaml").defaults
    return any(isinstance(d, DictConfig) and group in d for d in defaults)


def commands_of(group: str) -> list[str]:
    """The commands whose defaults list has the group."""
    return [command for command in COMMANDS if takes(command, group)]


def targets(node: Any) -> list[str]:
    """Every `_target_` under a node that is not left open."""
    if isinstance(node, dict):
        own = [node["_target_"]] if node.get("_target_") is not None else []
        return own + [t for value in node.values() for t in targets(value)]
    return [t for value in node for t in targets(value)] if isinstance(node, list) else []


def resolved(cfg: DictConfig) -> dict:
    plain = OmegaConf.to_container(
        OmegaConf.masked_copy(cfg, [k for k in cfg if k != "hydra"]), resolve=False
    )
    run_config = OmegaConf.create(plain)
    run_config.run_dir, run_config.name = "logs/test", "test"
    return OmegaConf.to_container(run_config, resolve=True)


def model_of(option: str) -> str:
    """The model that learns from a data option: its own, or the simplest that takes what the data give."""
    if option.endswith("_default"):
        return option.removesuffix("_default")
    gives = get_class(composed("train", f"data={option}").data._target_).gives
    return "character" if "symbols" in gives else "stroke"


def data_source(option: str, folder: Path) -> list[str]:
    """The overrides with which a data option finds, or makes, a small corpus of its own kind."""
    target = composed("train", f"data={option}").data.get("_target_", "").rpartition(".")[2]
    if target == "HersheyData":
        return ["data.lines=6", "data.writers=2", "data.eval_lines=2", "data.line_characters=[2,4]"]
    if target == "IamData":
        return [f"data.source={write_tree(folder / 'iam')}"]
    if target == "InkData":
        return [f"data.source={write_waves(folder, 8)}"]
    if target == "PennTreebank":
        text = " the cat sat <unk> \n the N sat \n" * 40
        files = {f"ptb.{s}.txt": text.encode() for s in ("train", "valid", "test")}
        letters = ("a b _ c \n a c _ b \n" * 60).encode()
        files |= {f"ptb.char.{s}.txt": letters for s in ("train", "valid", "test")}
        return [f"data.source={write_ptb(folder / 'ptb', 'archive', files)}"]
    if target == "StdlibText":
        return ["data.max_symbols=2000"]
    return [f"data.source={write_text(folder)}"]


TRAINABLE = [
    option
    for option in OPTIONS["data"]
    if "_target_" in OmegaConf.load(CONF / "data" / f"{option}.yaml") or option.endswith("_default")
]


def train(folder: Path, *overrides: str, model: str = "character", run_name: str = "run") -> dict:
    """A tiny run; its metrics.json."""
    run_dir = folder / run_name
    run_dir.mkdir()
    settings = ["name=test", f"run_dir={run_dir}", f"data.cache_dir={folder / 'cache'}", *SMALL]
    settings += SMALL_BY_MODEL[model]
    if not any(override.startswith("experiment=") for override in overrides):
        settings.append(f"model={model}")  # an experiment says which itself
    with initialize_config_dir(str(CONF), version_base="1.3"):
        cfg = compose("train", [*settings, *overrides])
    monitored = run(cfg)
    record = json.loads((run_dir / "metrics.json").read_text())
    assert monitored == record[cfg.monitor]
    assert record.keys() >= FIGURES[model]
    if model == "character":
        assert 0 < record["val/bpc"] < 20
        assert record["val/perplexity"] == pytest.approx(2 ** record["val/bpc"], rel=1e-5)
        assert 0 <= record["val/error_rate"] <= 1
    elif model == "reader":
        assert record["val/cer"] > 0
        assert record["val/nats_per_character"] > 0
    else:
        assert record["val/nll_per_line"] > record["val/nll_per_point"] > 0  # nothing is learned yet
        assert record["val/sse"] > 0
    assert record["seed"] == cfg.seed
    return record


LAUNCHERS = {"joblib": "joblib", "submitit": "submitit", "slurm": "submitit", "ray": "ray"}


def needs_its_package(option: str, group: str = "") -> None:
    plugin = f"hydra_{LAUNCHERS[option]}_launcher" if group == "launcher" and option in LAUNCHERS else None
    if plugin and not (find_spec("hydra_plugins") and find_spec(f"hydra_plugins.{plugin}")):
        pytest.skip(f"{plugin} is not installed")
    if group == "sweep" and find_spec("optuna") is None:
        pytest.skip("Optuna is not installed")
    if option == "tensorboard" and not any(map(find_spec, ("tensorboard", "tensorboardX"))):
        pytest.skip("TensorBoard is not installed")


# --- composing and building -----------------------------------------------------------------------


def test_the_folder_is_found():
    assert {"train", "prepare", "evaluate", "sample"} <= set(COMMANDS)
    assert len(EVERY) > 30


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_compose_and_resolve(command):
    cfg = composed(command)
    assert "???" not in str(resolved(cfg))
    assert not cfg.hydra.job.chdir


@pytest.mark.parametrize(("group", "option"), EVERY)
def test_every_option_composes_and_names_what_exists(group, option):
    needs_its_package(option, group)
    commands = commands_of(group)
    assert commands, f"no command takes {group}="
    for command in commands:
        cfg = composed(command, f"{group}={option}")
        assert cfg.hydra.runtime.choices[group] == option
        for target in targets(resolved(cfg)):
            assert callable(get_object(target)), target


SHIPPED = [
    *((command, ()) for command in COMMANDS),
    *(("train", (f"model={model}",)) for model in OPTIONS["model"]),
    *(
        (command, (f"{group}={option}",))
        for group, option in EVERY
        for command in commands_of(group)
        if option != "ray" and group not in ("launcher", "sweep")
    ),
]


@pytest.mark.parametrize(("command", "overrides"), SHIPPED)
def test_what_is_shipped_is_as_declared(command, overrides):
    cfg = OmegaConf.create(resolved(composed(command, *overrides)))
    if "sampler=primed" in overrides:  # the one setting that must be given
        cfg.sampler.prime = "a line"
        if command == "train":
            cfg.callbacks.samples.sampler.prime = "a line"
    for name in {"run_dir", "name"} - set(composed(command)):
        del cfg[name]
    check_configuration(cfg, command)


@pytest.mark.parametrize("option", OPTIONS["sweep"])
def test_search_spaces_hold_the_defaults_of_their_task(option):
    """So a study can begin with the configuration as it stands, and every key exists."""
    needs_its_package(option, "sweep")
    from hydra.core.override_parser.overrides_parser import OverridesParser

    from graves_lm.sweeps.space import read_space
    from graves_lm.sweeps.trials import corners, standing_values

    cfg = composed("train", f"sweep={option}")
    assert cfg.hydra.sweeper._target_ == "hydra_plugins.graves_lm_study.sweeper.StudySweeper"
    assert cfg.hydra.runtime.choices.model == (option if option in OPTIONS["model"] else "character")
    parser = OverridesParser.create()
    space, _ = read_space(parser.parse_overrides([f"{k}={v}" for k, v in cfg.hydra.sweeper.params.items()]))
    assert (option == "study") == (space == {})
    if space:
        assert standing_values(cfg, space, parser).keys() == space.keys()
        for corner in corners(space):
            composed("train", f"sweep={option}", *corner)
        sampler = instantiate(cfg.hydra.sweeper.sampler)(seed=1)
        assert type(sampler).__name__ == "TPESampler"


@pytest.mark.parametrize("option", sorted(path.stem for path in (CONF / "sweep" / "pruner").glob("*.yaml")))
def test_pruners_build(option, tmp_path):
    needs_its_package(option, "sweep")
    cfg = composed("train", "sweep=study", f"sweep/pruner={option}").callbacks.prune.copy()
    cfg.run_dir = cfg.trial.run_dir = str(tmp_path)
    cfg.monitor = "val/bpc"
    callback = instantiate(cfg)
    assert type(callback.trial.pruner).__name__.removesuffix("Pruner") == {"none": "Nop"}.get(
        option, option.title()
    )


@pytest.mark.parametrize("option", TRAINABLE)
def test_data_options_build(option, tmp_path):
    cfg = composed(
        "train", f"data={option}", *data_source(option, tmp_path), f"data.cache_dir={tmp_path / 'c'}"
    )
    data = instantiate(cfg.data)
    assert isinstance(data, Corpus)
    data.prepare()
    data.open()
    assert data.card["counts"]["train"] > 0
    assert tuple(data.facts()) == data.gives


@pytest.mark.parametrize("option", OPTIONS["trainer"])
def test_trainer_options_build_on_a_cpu(option):
    cfg = composed("train", f"trainer={option}", "trainer.accelerator=cpu", "trainer.devices=1")
    trainer = instantiate(cfg.trainer, logger=False, callbacks=[])
    assert isinstance(trainer, Trainer)
    assert trainer.precision == cfg.trainer.precision
    assert trainer.max_steps == cfg.trainer.max_steps
    assert type(trainer.strategy.checkpoint_io).__name__ == "AtomicCheckpointIO"


@pytest.mark.parametrize("option", OPTIONS["optimizer"])
def test_optimizer_options_build(option):
    cfg = composed("train", f"optimizer={option}")
    optimization = instantiate(cfg.optimizer)
    optimizer = optimization.optimizer([torch.nn.Parameter(torch.zeros(2))])
    assert optimizer.param_groups[0]["lr"] == cfg.optimizer.lr
    assert isinstance(optimizer, get_class(cfg.optimizer.algorithm._target_))


@pytest.mark.parametrize(
    ("group", "option"), [e for e in EVERY if e[0] in ("callbacks", "logger", "sampler")]
)
def test_parts_of_a_run_build(group, option, tmp_path):
    needs_its_package(option)
    cfg = composed("train", f"{group}={option}").copy()
    cfg.run_dir, cfg.name = str(tmp_path / "run"), "test"
    part = cfg[group]
    nodes = {group: part} if part.get("_target_") else {k: v for k, v in part.items() if v is not None}
    if option == "primed":
        part.prime = "a line"  # the one setting that must be given
    make = whole_sampler if group == "sampler" and option != "from_checkpoint" else instantiate
    built = {name: make(node) for name, node in nodes.items()}
    for name, thing in built.items():
        target = get_object(nodes[name]["_target_"])
        assert not isinstance(target, type) or isinstance(thing, target)
    assert bool(built) == (option not in ("none", "from_checkpoint"))


@pytest.mark.parametrize("group", ["data", "sampler"])
def test_settings_of_the_checkpoint_name_nothing_and_change_nothing(group):
    """`from_checkpoint` only lists what can be set without naming an option, as null; every such setting
    is one of some option's. A sampler's class is among them, that of data is not."""
    listed = OmegaConf.to_container(OmegaConf.load(CONF / group / "from_checkpoint.yaml"))
    assert set(listed.values()) == {None}
    assert ("_target_" in listed) == (group == "sampler")
    known = {
        key
        for option in OPTIONS[group]
        if option != "from_checkpoint"
        for key in composed("train", f"{group}={option}")[group]
    }
    assert listed.keys() <= known


@pytest.mark.parametrize("option", OPTIONS["model"])
def test_models_bring_their_own_data_optimiser_sampler_and_figure(option):
    cfg = composed("train", f"model={option}")
    kind = get_class(cfg.model._target_)
    assert kind.task_name == option
    assert set(kind.takes) <= set(get_class(cfg.data._target_).gives)
    assert issubclass(get_class(cfg.sampler._target_), kind.sampler_kind)
    assert cfg.monitor in FIGURES[option]
    # The data are there on every machine: nothing has to be given.
    assert cfg.data.source is None
    # And the command line still has the last word.
    other = "textfile" if option == "character" else "ink"
    assert composed("train", f"model={option}", f"data={other}").hydra.runtime.choices.data == other


@pytest.mark.parametrize("option", [o for o in OPTIONS["dynamic"] if o != "none"])
def test_dynamic_rules_build(option):
    cfg = composed("evaluate", f"dynamic={option}").dynamic
    rule = instantiate(cfg.rule)
    assert type(rule).__name__ == cfg.rule._target_.rpartition(".")[2]
    assert rule.lr == cfg.rule.lr
    assert cfg.segment >= 1


@pytest.mark.parametrize("option", OPTIONS["experiment"])
def test_experiments_override_what_they_say(option):
    written = OmegaConf.load(CONF / "experiment" / f"{option}.yaml")
    cfg = composed("train", f"experiment={option}")
    choices = cfg.hydra.runtime.choices
    for default in written.defaults:
        for key, value in default.items() if isinstance(default, DictConfig) else ():
            assert choices[key.removeprefix("override /")] == value
    # Its settings win over those of the options it takes.
    for key in ("model", "data", "optimizer", "trainer"):
        if key in written:
            assert OmegaConf.merge(cfg[key], written[key]) == cfg[key]
    assert cfg.name == option


# --- training -------------------------------------------------------------------------------------


@pytest.mark.parametrize("option", TRAINABLE)
def test_training_on_each_data_option(option, tmp_path):
    record = train(tmp_path, f"data={option}", *data_source(option, tmp_path), model=model_of(option))
    assert record["steps"] == 2
    run_dir = tmp_path / "run"
    assert (run_dir / "csv" / "metrics.csv").read_text().count("\n") > 1
    assert (run_dir / "checkpoints" / "last.ckpt").is_file()
    assert OmegaConf.load(run_dir / "config.yaml").model.network.hidden_size == 8


@pytest.mark.parametrize(
    ("group", "option"), [e for e in EVERY if e[0] in ("noise", "optimizer", "callbacks")]
)
def test_training_with_each_option(group, option, tmp_path):
    record = train(tmp_path, "data=textfile", *data_source("textfile", tmp_path), f"{group}={option}")
    assert record["steps"] == 2
    # Adaptive noise has a standard deviation for every weight; the other kinds add none.
    assert record["weights"] > 500


@pytest.mark.parametrize("noise", OPTIONS["noise"])
def test_training_strokes_with_each_noise(noise, tmp_path):
    """The networks differ in what they take and return."""
    source = data_source("ink", tmp_path)
    assert train(tmp_path, "data=ink", *source, f"noise={noise}", model="stroke")["steps"] == 2


@pytest.mark.parametrize("option", OPTIONS["experiment"])
def test_training_with_each_experiment(option, tmp_path):
    """Its recipe on a tiny network and a small corpus of the experiment's kind. Where the experiment is a
    later stage, it begins with the checkpoint of the one before."""
    cfg = composed("train", f"experiment={option}")
    model, source = cfg.hydra.runtime.choices.model, data_source(cfg.hydra.runtime.choices.data, tmp_path)
    before, steps = [], 2
    if cfg.stages is not None:
        steps = 220  # enough for its shortest stage
        source += [
            "trainer.max_steps=-1",
            f"budget={steps}",
            "checkpoint_every=100",
            "callbacks.samples=null",
        ]
    source += [
        f"data.{made}=4" for made in ("generated", "recombined", "grafts", "accents") if cfg.data.get(made)
    ]
    if cfg.data.get("only_with"):  # characters that the small corpus has
        source += ["data.only_with=ae", "optimizer.only_characters=ae"]
    if option.endswith("_adaptive"):
        first = f"experiment={option.removesuffix('_adaptive')}"
        record = train(tmp_path, first, *source, model=model, run_name="first")
        before = [f"init={record['checkpoint']}"]
    elif cfg.init is not None:  # weights of the package, in place of which are tiny ones
        record = train(tmp_path, *data_source("ink", tmp_path), "data=ink", model=model, run_name="first")
        before = [f"init={record['checkpoint']}"]
    assert train(tmp_path, f"experiment={option}", *source, *before, model=model)["steps"] == steps


@pytest.mark.parametrize("option", [o for o in OPTIONS["logger"] if o != "none"])
def test_training_with_each_logger(option, tmp_path):
    needs_its_package(option)
    train(tmp_path, "data=textfile", *data_source("textfile", tmp_path), f"logger={option}")
    files = {p.relative_to(tmp_path / "run").parts[0] for p in (tmp_path / "run").rglob("*") if p.is_file()}
    assert option in files


@pytest.mark.parametrize(("option", "where"), [("tensorboard", "events*"), ("wandb", "*density*.png")])
def test_pictures_reach_the_logger(option, where, tmp_path):
    needs_its_package(option)
    source = data_source("ink", tmp_path)
    more = ["trainer.val_check_interval=1", "trainer.log_every_n_steps=1"]
    train(tmp_path, "data=ink", *source, f"logger={option}", *more, model="stroke")
    found = list((tmp_path / "run" / option).rglob(where))
    assert found
    if option == "tensorboard":
        content = b"".join(path.read_bytes() for path in found)
        assert content.count(b"samples/density") >= 2  # at both validations
        assert content.count(b"samples/handwriting") == content.count(b"samples/density")
        assert b"\x89PNG" in content


def test_the_debugging_trainer_repeats_one_batch(tmp_path):
    spread = {}
    for option in ("debug", "cpu"):
        (tmp_path / option).mkdir()
        source = data_source("textfile", tmp_path)
        # With a rate of next to nothing, equal batches have equal losses.
        more = ["optimizer.lr=1e-12", "trainer.max_steps=8", "trainer.log_every_n_steps=1"]
        record = train(tmp_path / option, "data=textfile", *source, f"trainer={option}", *more)
        assert record["steps"] == 8
        rows = (tmp_path / option / "run" / "csv" / "metrics.csv").read_text().splitlines()
        column = rows[0].split(",").index("train/bpc")
        losses = [float(row.split(",")[column]) for row in rows[1:] if row.split(",")[column]]
        assert len(losses) == 8
        spread[option] = max(losses) - min(losses)
    assert spread["debug"] < 1e-5
    assert spread["cpu"] > 1e-3


def test_ema_validates_the_averaged_weights(tmp_path):
    source = data_source("textfile", tmp_path)
    folders = {}
    for option, decay in (("default", []), ("ema", ["callbacks.ema.decay=0.999"])):
        folders[option] = tmp_path / option
        folders[option].mkdir()
        more = ["trainer.max_steps=8", "optimizer.lr=0.1", "optimizer.warmup_steps=0"]
        record = train(folders[option], "data=textfile", *source, f"callbacks={option}", *decay, *more)
        assert record["steps"] == 8
    figures = {o: json.loads((f / "run" / "metrics.json").read_text())["val/bpc"] for o, f in folders.items()}
    # The average has hardly left the beginning, the weights themselves have learned.
    assert figures["ema"] > figures["default"] + 0.1
