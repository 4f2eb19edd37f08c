"""Checkpoints of strangers: whatever they hold, they are refused in one line, and nothing else happens."""

import copy
import json
import os
import resource
from contextlib import suppress
from pathlib import Path

import pytest
import torch

import graves_lm
from graves_lm.learning.loading import load_task
from graves_lm.runtime.errors import UserError
from graves_lm.settings import stored
from graves_lm.trained.checkpoint import read_checkpoint
from graves_lm.trained.exported import export
from graves_lm.trained.mean import mean
from graves_lm.trained.torch_file import read_torch_file
from tests.runs import TEXT_RUN, train, write_text, write_waves
from tests.strangers import payloads
from tests.test_commands import call  # noqa: F401

MARK = Path("/tmp/graves_lm-stranger-was-here")
CONTENT, STATE = list(payloads.content(MARK)), list(payloads.state(MARK))


def name_of(value):
    return value if isinstance(value, str) else ""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The folder of a small run of characters, and its text."""
    folder = tmp_path_factory.mktemp("strangers")
    source = write_text(folder)
    train(folder / "run", source, "trainer.max_steps=3", "trainer.max_epochs=1", "logger=none")
    return folder / "run", source


@pytest.fixture(scope="module")
def real(run):
    return torch.load(run[0] / "checkpoints" / "last.ckpt", weights_only=True)


@pytest.fixture(autouse=True)
def nothing_ran():
    MARK.unlink(missing_ok=True)
    yield
    assert not MARK.exists(), "the payload ran"


def changed(real, change):
    found = copy.deepcopy(real)
    change(found)
    return found


def refused(function, *arguments, **settings):
    with pytest.raises(UserError) as caught:
        function(*arguments, **settings)
    message = str(caught.value)
    assert message
    assert "\n" not in message
    assert len(message) < 500, message
    return message


def read(path):
    return load_task(read_checkpoint(path))


@pytest.mark.parametrize(("name", "change"), CONTENT, ids=name_of)
def test_content_is_refused(real, tmp_path, name, change):
    torch.save(changed(real, change), tmp_path / "foreign.ckpt")
    refused(read, tmp_path / "foreign.ckpt")


def test_files_are_refused(run, tmp_path):
    whole = (run[0] / "checkpoints" / "last.ckpt").read_bytes()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    names = []
    for name, content in payloads.files(MARK, whole):
        path = tmp_path / "foreign.ckpt"
        path.write_bytes(content)
        with pytest.raises(UserError) as caught:
            read(path)
        assert "\n" not in str(caught.value), name
        names.append(name)
    assert len(names) > 25
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 400_000  # kilobytes


def test_the_real_one_is_read(run, real):
    found = read_torch_file(run[0] / "checkpoints" / "last.ckpt")
    assert list(found["state_dict"]) == list(real["state_dict"])
    for name, weight in real["state_dict"].items():
        assert torch.equal(found["state_dict"][name], weight)
    assert read(run[0] / "checkpoints" / "last.ckpt").task_name == "character"


@pytest.mark.parametrize("name", [name for name, _ in payloads.targets(MARK)])
def test_exporting_checks_too(real, tmp_path, name):
    node = dict(payloads.targets(MARK))[name]
    for place in ("sampler", "optimizer", *(["data"] if payloads.is_ours(node) else [])):
        foreign = changed(real, lambda found, place=place: found["graves_lm"]["config"].update({place: node}))
        torch.save(foreign, tmp_path / "foreign.ckpt")
        refused(
            lambda: export(mean([read_checkpoint(tmp_path / "foreign.ckpt")]), tmp_path / "out.safetensors")
        )
    assert not (tmp_path / "out.safetensors").exists()


@pytest.mark.parametrize("name", [name for name, _ in payloads.targets(MARK)])
def test_exported_files_are_refused(real, tmp_path, name):
    card = copy.deepcopy(read_torch_card(real))
    card["config"]["model"]["noise"] = dict(payloads.targets(MARK))[name]
    (tmp_path / "foreign.safetensors").write_bytes(payloads.exported(card))
    refused(read, tmp_path / "foreign.safetensors")
    refused(graves_lm.load, tmp_path / "foreign.safetensors")


@pytest.mark.parametrize("name", [name for name, _ in payloads.data(MARK)])
def test_nothing_is_made_of_data_from_elsewhere(call, real, name):  # noqa: F811
    """They are kept as they are said to be, and refused by their name where they are needed."""
    node = dict(payloads.data(MARK))[name]
    foreign = changed(real, lambda found: found["graves_lm"]["config"].update(data=node))
    torch.save(foreign, call.folder / "foreign.ckpt")
    assert read(call.folder / "foreign.ckpt").config["data"] == node
    assert call("sample", "ckpt=foreign.ckpt", "sampler.length=3", "output=out.txt").status == 0
    for more in ((), ("data.source=text.txt",)):
        message = call.refuse("evaluate", "ckpt=foreign.ckpt", "run_dir=out", *more)
        assert message.startswith(f"its data are {node['_target_']}'s, and no class is imported")
    export(mean([read_checkpoint(call.folder / "foreign.ckpt")]), call.folder / "out.safetensors")
    assert read(call.folder / "out.safetensors").config["data"] == node


def read_torch_card(real):
    return real["graves_lm"]


@pytest.mark.parametrize(
    "changes",
    [
        {"network.x": {"dtype": "F32", "shape": [10**12], "data_offsets": [0, 4]}},
        {"network.x": {"dtype": "I64", "shape": [0], "data_offsets": [0, 0]}},
        {"network.x": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}},
        {"__metadata__": {"graves_lm": "{" * 100_000}},
        {"__metadata__": {"graves_lm": "[1]"}},
        {"__metadata__": {"graves_lm": '{"task": "character", "config": ' + "9" * 10_000 + "}"}},
        {"__metadata__": {}},
        {},
    ],
)
def test_exported_files_of_odd_headers_are_refused(real, tmp_path, changes):
    (tmp_path / "foreign.safetensors").write_bytes(payloads.exported(read_torch_card(real), **changes))
    refused(read, tmp_path / "foreign.safetensors")


def test_a_header_without_end_is_not_read(tmp_path):
    (tmp_path / "foreign.safetensors").write_bytes((10**11).to_bytes(8, "little") + b"{" * 1000)
    assert "header" in refused(read, tmp_path / "foreign.safetensors")


@pytest.mark.parametrize(("name", "change"), STATE, ids=name_of)
def test_a_run_takes_no_foreign_state(run, real, tmp_path, name, change):
    _, source = run
    foreign = tmp_path / "foreign.ckpt"
    torch.save(changed(real, change), foreign)
    more = ("trainer.max_steps=5", "trainer.max_epochs=1")
    refused(train, tmp_path / "run", source, f"resume={foreign}", *more)
    assert not (tmp_path / "run" / "checkpoints").exists()


def test_no_place_that_a_checkpoint_names_is_touched(run, real, tmp_path):
    """The state of Lightning's own checkpoints has paths, which it would remove files at."""
    _, source = run
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "best.ckpt").write_text("precious")
    foreign = copy.deepcopy(real)
    for key in [*foreign["callbacks"], "ModelCheckpoint{'monitor': 'val/bpc', 'mode': 'min'}"]:
        foreign["callbacks"][key] = {
            "monitor": "val/bpc",
            "best_model_path": str(victim / "best.ckpt"),
            "dirpath": str(victim),
            "best_k_models": {str(victim / "best.ckpt"): torch.tensor(9.0)},
            "kth_best_model_path": str(victim / "best.ckpt"),
            "kth_value": torch.tensor(9.0),
            "last_model_path": str(victim / "best.ckpt"),
        }
    torch.save(foreign, tmp_path / "foreign.ckpt")
    with suppress(UserError):
        train(tmp_path / "run", source, f"resume={tmp_path / 'foreign.ckpt'}", "trainer.max_steps=5")
    assert (victim / "best.ckpt").read_text() == "precious"
    assert sorted(p.name for p in victim.iterdir()) == ["best.ckpt"]


def test_no_place_is_taken_from_a_checkpoint_nor_put_into_one(run, real):
    config = real["graves_lm"]["config"]
    assert not set(config["data"]) & set(stored.PLACES)
    assert "/" not in json.dumps(config["data"])
    config = copy.deepcopy(config)
    config["data"] |= {"source": "/etc/passwd", "cache_dir": "/var/lib", "val_source": "/etc/shadow"}
    config["sampler"] |= {}
    assert not set(stored.read_config(config, "character")["data"]) & set(stored.PLACES)


def test_pipes_and_folders_are_no_checkpoints(tmp_path):
    os.mkfifo(tmp_path / "pipe.ckpt")
    (tmp_path / "folder.ckpt").mkdir()
    for name in ("pipe.ckpt", "folder.ckpt"):
        refused(read, tmp_path / name)
    refused(read, "/dev/zero")


def test_handwriting_too(tmp_path):
    """The networks of pens are read by the same table."""
    train(
        tmp_path / "run",
        write_waves(tmp_path),
        "model=synthesis",
        "trainer.max_steps=1",
        "trainer.max_epochs=1",
    )
    real = torch.load(tmp_path / "run" / "checkpoints" / "last.ckpt", weights_only=True)
    for path, value in {
        "config.sampler.candidates": 10**6,
        "config.sampler.batch_size": 10**9,
        "config.sampler.points_per_character": float("inf"),
        "config.sampler.bias": [0, 1, 2],
        "config.model.network.window_components": 10**6,
        "config.model.network.mixtures": 10**9,
        "facts.normalisation": {"mean": [0, 0], "std": [0, 0]},
        "facts.alphabet": {"characters": ["ab"]},
    }.items():
        foreign = copy.deepcopy(real)
        *parents, last = path.split(".")
        node = foreign["graves_lm"]
        for key in parents:
            node = node[key]
        node[last] = value
        torch.save(foreign, tmp_path / "foreign.ckpt")
        refused(graves_lm.load, tmp_path / "foreign.ckpt")


ROUTES = {
    "sample": ("ckpt=foreign.ckpt", "output=out.txt", "sampler.length=3"),
    "evaluate": ("ckpt=foreign.ckpt", "run_dir=out"),
    "train resume": ("run_dir=new/run", "resume=foreign.ckpt"),
    "train init": ("run_dir=new/run", "init=foreign.ckpt"),
}


@pytest.mark.parametrize("payload", [name for name, _ in payloads.targets(MARK)])
@pytest.mark.parametrize("route", ROUTES)
def test_every_command_refuses_and_leaves_nothing(call, real, route, payload):  # noqa: F811
    """As a user calls it: one line, status 2, and the folder as it was."""
    node = dict(payloads.targets(MARK))[payload]
    foreign = changed(real, lambda found: found["graves_lm"]["config"]["model"].update(noise=node))
    torch.save(foreign, call.folder / "foreign.ckpt")
    data = ()
    if route != "sample":
        data = (f"data.source={write_text(call.folder)}", f"data.cache_dir={call.folder / 'cache'}")
        call("prepare", "data=textfile", *data)
    before = sorted(call.folder.rglob("*"))
    command = route.partition(" ")[0]
    message = call.refuse(
        command, *((*TEXT_RUN, "logger=csv") if command == "train" else ()), *data, *ROUTES[route]
    )
    assert str(node["_target_"]) in message
    assert [
        path for path in sorted(call.folder.rglob("*")) if path not in before and path.name != "new"
    ] == []
