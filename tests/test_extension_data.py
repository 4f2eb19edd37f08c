"""A data set from outside of the package, in two files, is trained on, resumed, evaluated and sampled."""

import json
import re
from pathlib import Path

import pytest
import torch

from graves_lm.data.opening import refuse_incomplete
from graves_lm.runtime.errors import UserError
from tests.test_commands import call  # noqa: F401

EXTENSION = Path(__file__).parent / "extension"
OURS = ("--config-dir", str(EXTENSION / "conf"), "data=spirals")
TINY = (
    "model.network.hidden_size=8",
    "model.network.mixtures=2",
    "data.batch_size=8",
    "trainer.max_steps=2",
    "checkpoint_every=1",
    "callbacks.progress=null",
    "callbacks.samples=null",
    "+trainer.enable_progress_bar=false",
    "logger=csv",
    "run_dir=run",
)


@pytest.fixture
def outside(call, monkeypatch):  # noqa: F811
    """Commands as they are called beside the data set's own module."""
    monkeypatch.syspath_prepend(EXTENSION)
    return call


def metrics(folder):
    return json.loads((folder / "metrics.json").read_text())


def test_the_commands(outside):
    folder = outside.folder
    assert outside("train", *OURS, "model=synthesis", *TINY).status == 0, outside.last.err
    assert metrics(folder / "run")["steps"] == 2
    again = [*TINY, "trainer.max_steps=3", "resume=last"]
    assert outside("train", *OURS, "model=synthesis", *again).status == 0, outside.last.err
    assert metrics(folder / "run")["steps"] == 3

    ckpt = "ckpt=run/checkpoints/last.ckpt"
    assert outside("evaluate", *OURS, ckpt, "split=val", "run_dir=eval").status == 0, outside.last.err
    assert metrics(folder / "eval")["val/nll_per_point"] == pytest.approx(
        metrics(folder / "run")["val/nll_per_point"], rel=1e-5
    )
    drawing = ("text=left", "output=it.svg", "sampler.candidates=1", "sampler.retries=0", "one_hand=false")
    assert outside("sample", ckpt, *drawing).status == 0, outside.last.err
    primed = ("sampler.prime=val-1", *drawing[:1], "output=primed.svg", *drawing[2:])
    assert outside("sample", *OURS, ckpt, *primed).status == 0, outside.last.err
    assert (folder / "primed.svg").read_text().count("<path") >= 1


def test_without_the_data_a_checkpoint_still_draws_and_says_what_is_needed(outside):
    """Its metadata are a file's: the class that they name is not imported."""
    assert outside("train", *OURS, "model=stroke", *TINY).status == 0, outside.last.err
    ckpt = outside.folder / "run" / "checkpoints" / "last.ckpt"
    checkpoint = torch.load(ckpt, weights_only=True)
    checkpoint["graves_lm"]["config"]["data"]["_target_"] = "elsewhere.Spirals"
    torch.save(checkpoint, ckpt)
    assert outside("sample", f"ckpt={ckpt}", "sampler.length=5", "output=it.json").status == 0
    message = outside.refuse("evaluate", f"ckpt={ckpt}", "run_dir=eval")
    assert message.startswith(
        "its data are elsewhere.Spirals's, and no class is imported because a file names"
    )
    assert "give the data again, with data=NAME" in message
    assert "data.source" in outside.refuse("evaluate", f"ckpt={ckpt}", "run_dir=eval", "data=ink")


@pytest.mark.parametrize(
    ("code", "lacks"),
    [
        ("class It(PenCorpus):\n    def cache_key(self): return {}", "it lacks read(), which a corpus has"),
        ("class It(PenCorpus):\n    pass", "it lacks cache_key(), read(), which a corpus has"),
        ("class It(TextCorpus):\n    def cache_key(self): return {}", "it lacks encode_splits(), which"),
        ("class It:\n    pass", "not a corpus: a subclass of graves_lm.data.pen.PenCorpus, of"),
        ("It = 3", "not a corpus"),
        ("class Other:\n    pass", "no such class"),
    ],
)
def test_what_a_corpus_lacks_is_named(tmp_path, monkeypatch, code, lacks):
    module = f"lacking_{abs(hash(code))}"
    head = "from graves_lm.data.pen import PenCorpus\nfrom graves_lm.data.text.corpus import TextCorpus\n"
    (tmp_path / f"{module}.py").write_text(head + code)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UserError) as caught:
        refuse_incomplete(f"{module}.It")
    assert str(caught.value).startswith(f"data._target_={module}.It: ")
    assert lacks in str(caught.value)


def test_a_corpus_of_another_base_says_what_it_gives(tmp_path, monkeypatch):
    (tmp_path / "bare.py").write_text(
        "from graves_lm.data.base import Corpus\n"
        "class Bare(Corpus):\n"
        + "".join(f"    def {name}(self): ...\n" for name in sorted(_abstract() - {"training_sequences"}))
        + "    training_sequences = 1\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UserError, match=r"it lacks gives, content, which a corpus has"):
        refuse_incomplete("bare.Bare")


def _abstract():
    from graves_lm.data.base import Corpus

    return Corpus.__abstractmethods__


PAGE = (EXTENSION.parents[1] / "docs" / "extending.md").read_text(encoding="utf-8")


def test_the_page_shows_these_files():
    for path in (EXTENSION / "spirals.py", EXTENSION / "conf" / "data" / "spirals.yaml"):
        assert path.read_text(encoding="utf-8") in PAGE


def test_the_page_lists_what_a_task_touches():
    """Every file of the package in which a class of a task that is there stands, but for what the page says
    comes on top, and what reads checkpoints from before."""
    section = PAGE.partition("## A task\n")[2].partition("\n## ")[0]
    listed = re.findall(r"^\| `([\w./]+)`", section, re.M)
    assert len(listed) <= 12
    root = EXTENSION.parents[1]
    plural = re.compile(r"(sampling|trained)/reader")
    expected = {plural.sub(r"\1/strokes", name).replace("reader", "stroke") for name in listed}
    assert all((root / one).is_file() for one in expected)
    naming = {
        str(path.relative_to(root))
        for folder in ("src", "conf")
        for path in (root / folder).rglob("*")
        if path.suffix in (".py", ".yaml")
        and re.search(r"StrokeTask|TrainedStrokes|stroke_default", path.read_text(encoding="utf-8"))
    }
    on_top = {"src/graves_lm/writing/command.py", "src/graves_lm/trained/version_0_1.py"}
    assert naming - on_top <= expected
