"""Weights of other characters: what is known is carried over, what is new begins as its plain form."""

import pytest
import torch

from graves_lm.data.alphabet import Alphabet
from graves_lm.data.symbols import Symbols
from graves_lm.learning.growing import carried, packaged_with, plain_form, told
from graves_lm.models.character import CharacterNetwork
from graves_lm.models.frames import NUMBERS
from graves_lm.models.reader import ReaderNetwork
from graves_lm.models.synthesis import SynthesisNetwork, Text
from graves_lm.runtime.errors import UserError
from graves_lm.trained.checkpoint import PRETRAINED, read_checkpoint
from graves_lm.trained.loading import load_trained
from tests.data.lines import make_line, write_ink
from tests.runs import train

KNOWN, GROWN = Alphabet("abc "), Alphabet("abc äß?")


def grown(make):
    """A network that knows `KNOWN`, one that knows `GROWN` with what is carried over, and what that was."""
    torch.manual_seed(1)
    small, large = make(len(KNOWN)), make(len(GROWN))
    fresh = {name: weight.clone() for name, weight in large.state_dict().items()}
    large.load_state_dict(carried(small.state_dict(), fresh, small.symbol_axes(), KNOWN, GROWN))
    return small.eval(), large.eval(), fresh


@torch.no_grad()
def test_a_synthesis_network_writes_what_it_wrote():
    small, large, fresh = grown(lambda symbols: SynthesisNetwork(symbols, 2, 9, 3, 2))
    text, x = Text.of([[0, 2, 1, 3]]), torch.randn(12, 1, 3)
    a, b = (n(x, text, n.initial_state(1))[0].log_prob(x) for n in (small, large))
    torch.testing.assert_close(a, b)
    for n in range(2):
        of, new = large.from_window[n], fresh[f"from_window.{n}"]
        assert torch.equal(of[:, :4], small.from_window[n])
        assert torch.equal(of[:, 4], of[:, 0])  # ä begins as a
        assert torch.equal(of[:, 5:], new[:, 5:])  # ß would be s, which is not known, and ? is nothing else


@torch.no_grad()
def test_a_character_network_predicts_what_it_predicted():
    small, large, _ = grown(lambda symbols: CharacterNetwork(symbols, 2, 9))
    target = torch.tensor([[0], [1], [3], [2]])
    a, b = (n(target, n.initial_state(1))[0] for n in (small, large))
    torch.testing.assert_close(b[..., :4], a)
    torch.testing.assert_close(b[..., 4], a[..., 0])


@torch.no_grad()
def test_a_reader_reads_what_it_read_and_its_blank_is_last():
    small, large, _ = grown(lambda symbols: ReaderNetwork(symbols, 2, 9))
    a, b = (n(torch.ones(7, 1, NUMBERS), torch.tensor([7])) for n in (small, large))
    torch.testing.assert_close(a - a[..., -1:], (b - b[..., -1:])[..., [0, 1, 2, 3, -1]])


def test_what_is_said_of_them():
    line = told(KNOWN, GROWN, Alphabet("aä?"))
    assert line == "4 characters known, 3 new (ä as a, ß, ?), 3 of the known ones not in these data"
    line = told(KNOWN, KNOWN, Alphabet("ab"))
    assert line == "4 characters known, 0 new, 2 of the known ones not in these data"
    assert [plain_form(c) for c in ("é", "ø", "ß", "a", 7)] == ["e", "o", "s", "a", 7]


def test_the_places_of_known_characters_stay():
    assert KNOWN.union(Alphabet("zcaä")).characters == list("abc zä")
    assert Symbols("byte", [5, 3]).union(Symbols("byte", [4, 3])).items == [5, 3, 4]
    with pytest.raises(UserError, match="its symbols are bytes and those of the data characters"):
        Symbols("byte", [5, 3]).union(Symbols("character", ["a"]))
    with pytest.raises(UserError, match=r"give the same data\.characters"):
        Alphabet.paper().union(KNOWN)


def characters(path) -> list[str]:
    """Those that a checkpoint knows."""
    facts = read_checkpoint(path)["graves_lm"]["facts"]
    return facts["alphabet"]["characters"] if "alphabet" in facts else facts["symbols"]["items"]


def source(folder, task: str, name: str, texts: list[str]):
    if task == "character":
        path = folder / f"{name}.txt"
        path.write_text("\n".join(texts * 60), encoding="utf-8")
        return path
    lines = [make_line(f"{name}{n}", 60 + 5 * n, text) for n, text in enumerate(texts * 3)]
    return write_ink(folder / f"{name}.json", lines)


@pytest.mark.parametrize("task", ["character", "synthesis", "reader"])
def test_a_run_begins_with_weights_of_other_characters(tmp_path, caplog, task):
    """Its checkpoints know both, and it is resumed to the bit."""
    run = ("callbacks.samples=null", *([] if task == "character" else [f"model={task}"]))
    first = source(tmp_path, task, "a", ["abc", "cab", "ab c", "bca"])
    second = source(tmp_path, task, "b", ["bäd", "ädb", "dab", "ab"])
    train(tmp_path / "first", first, *run, "trainer.max_steps=2")
    begin = tmp_path / "first" / "checkpoints" / "last.ckpt"
    known = characters(begin)
    caplog.set_level("INFO")
    train(tmp_path / "whole", second, *run, f"init={begin}", "trainer.max_steps=4")
    whole = tmp_path / "whole" / "checkpoints" / "last.ckpt"
    assert characters(whole)[: len(known)] == known
    assert set(characters(whole)) == {*known, "ä", "d"}
    assert f"init={begin}: {len(known)} characters known, 2 new (d, ä as a)" in caplog.text
    train(tmp_path / "half", second, *run, f"init={begin}", "trainer.max_steps=2")
    train(tmp_path / "half", second, *run, "resume=last", "trainer.max_steps=4")
    half = tmp_path / "half" / "checkpoints" / "last.ckpt"
    ours, theirs = (read_checkpoint(path)["state_dict"] for path in (whole, half))
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert load_trained(half).task_name == task


@pytest.mark.skipif(not (PRETRAINED / "synthesis.safetensors").is_file(), reason="the package has no weights")
def test_weights_of_the_package_that_know_what_is_new_are_named(tmp_path, caplog):
    assert packaged_with("äß", "synthesis", "alphabet") == "synthesis_european"
    for characters_, task in (("日", "synthesis"), ("ä", "reader"), ("ä", "stroke")):
        assert packaged_with(characters_, task, "alphabet") is None
    caplog.set_level("INFO")
    ink = source(tmp_path, "synthesis", "me", ["für alle", "schön", "da", "und ab"])
    run = ("model=synthesis", "init=synthesis", "callbacks.samples=null", "trainer.max_steps=1")
    small = ("model.network.hidden_size=400", "model.network.layers=3", "model.network.mixtures=20")
    train(tmp_path / "run", ink, *run, *small, "model.network.window_components=10")
    assert "2 new (ü as u, ö as o)" in caplog.text.replace("ö as o, ü as u", "ü as u, ö as o")
    assert "; init=synthesis_european knows them" in caplog.text


def test_symbols_of_another_unit_are_refused(tmp_path):
    text = source(tmp_path, "character", "a", ["abc", "cab"])
    train(tmp_path / "first", text, "trainer.max_steps=1")
    begin = tmp_path / "first" / "checkpoints" / "last.ckpt"
    with pytest.raises(UserError, match=r"^init=.*: its symbols are characters and those of the data bytes"):
        train(tmp_path / "second", text, "trainer.max_steps=1", "data.unit=byte", f"init={begin}")


@pytest.mark.parametrize("task", ["character", "synthesis", "reader"])
def test_new_characters_may_learn_faster_than_all_else(tmp_path, task):
    run = ("callbacks.samples=null", *([] if task == "character" else [f"model={task}"]))
    train(
        tmp_path / "first", source(tmp_path, task, "a", ["abc", "cab", "ab c"]), *run, "trainer.max_steps=1"
    )
    begin = tmp_path / "first" / "checkpoints" / "last.ckpt"
    second = source(tmp_path, task, "b", ["bäc", "äcb", "ab"])
    after = {}
    for times in (1, 10):
        settings = (f"init={begin}", "trainer.max_steps=1", f"optimizer.new_characters={times}")
        train(tmp_path / str(times), second, *run, *settings)
        after[times] = load_trained(tmp_path / str(times) / "checkpoints" / "last.ckpt").network
    known = len(characters(begin))
    old = read_checkpoint(begin)["state_dict"]
    a = characters(begin).index("a")
    for name, axis in after[1].symbol_axes().items():
        slow, fast = (after[times].state_dict()[name].movedim(axis, 0) for times in (1, 10))
        first = old[f"network.{name}"].movedim(axis, 0)[a]  # which ä begins as
        moved = fast[known] - first
        assert moved.abs().max() > 0
        torch.testing.assert_close(moved, 10 * (slow[known] - first), rtol=1e-2, atol=1e-5)
        rest = [n for n in range(len(slow)) if n != known]
        assert torch.equal(slow[rest], fast[rest])


@pytest.mark.parametrize("decay", ["0.0", "0.5"])
@pytest.mark.parametrize("task", ["character", "synthesis", "reader"])
def test_only_some_characters_learn(tmp_path, task, decay):
    """All else is what it was to the bit, whatever the rule; also when the run goes on."""
    run = ("callbacks.samples=null", *([] if task == "character" else [f"model={task}"]))
    text = source(tmp_path, task, "a", ["abc", "cab", "ab c"])
    train(tmp_path / "first", text, *run, "trainer.max_steps=1")
    begin = tmp_path / "first" / "checkpoints" / "last.ckpt"
    settings = ("optimizer.only_characters=ac", f"++optimizer.algorithm.weight_decay={decay}")
    train(tmp_path / "run", text, *run, f"init={begin}", *settings, "trainer.max_steps=2")
    last = tmp_path / "run" / "checkpoints" / "last.ckpt"
    train(tmp_path / "run", text, *run, *settings, f"resume={last}", "trainer.max_steps=3")
    before, after = (read_checkpoint(path)["state_dict"] for path in (begin, last))
    axes = {f"network.{name}": axis for name, axis in load_trained(last).network.symbol_axes().items()}
    learns = [characters(begin).index(c) for c in "ac"]
    for name, weight in before.items():
        if name not in axes:
            assert torch.equal(after[name], weight), name
            continue
        old, new = weight.movedim(axes[name], 0), after[name].movedim(axes[name], 0)
        stays = [n for n in range(len(old)) if n not in learns]
        assert torch.equal(new[stays], old[stays])
        assert not torch.equal(new[learns], old[learns])


def test_only_characters_that_are_known_can_learn(tmp_path):
    text = source(tmp_path, "character", "a", ["abc", "cab"])
    with pytest.raises(UserError, match=r"^optimizer\.only_characters: X is none of the characters"):
        train(tmp_path / "run", text, "trainer.max_steps=1", "optimizer.only_characters=aX")
    ink = source(tmp_path, "synthesis", "ink", ["abc", "cab", "ab c"])
    with pytest.raises(UserError, match=r"^optimizer\.only_characters=a: model=stroke has no characters"):
        train(tmp_path / "stroke", ink, "model=stroke", "optimizer.only_characters=a")
