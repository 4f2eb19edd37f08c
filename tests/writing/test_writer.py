"""From a text to handwriting, as Python and the sample command do it."""

import gc
import json
import weakref

import numpy as np
import pytest
import torch

import graves_lm
from graves_lm.data.alphabet import Alphabet
from graves_lm.data.features import features
from graves_lm.data.hershey.corpus import HersheyData
from graves_lm.data.ink.reading import read_ink
from graves_lm.data.strokes import Normalisation, to_pen_strokes
from graves_lm.models.synthesis import SynthesisNetwork
from graves_lm.runtime.errors import UserError
from graves_lm.sampling.events import Report
from graves_lm.sampling.packed import PackedNetwork
from graves_lm.sampling.synthesis import SynthesisSampler
from graves_lm.trained.handwriting import TrainedHandwriting
from graves_lm.trained.loading import load_trained
from graves_lm.trained.prime import prime_of
from graves_lm.writing.hands import BANK, hands_of
from graves_lm.writing.page import PageSettings
from graves_lm.writing.pen import warnings
from graves_lm.writing.prime import find_prime
from graves_lm.writing.wrap import wrap
from graves_lm.writing.writer import Writer
from tests.data.lines import make_line, write_ink

SAMPLER = {
    "_target_": "graves_lm.sampling.synthesis.SynthesisSampler",
    "bias": 0.5,
    "candidates": 1,
    "points_per_character": 75.0,
}


@pytest.fixture(scope="module")
def writer() -> Writer:
    torch.manual_seed(0)

    alphabet = Alphabet(" abcde")
    network = SynthesisNetwork(
        len(alphabet), layers=1, hidden_size=10, mixtures=2, points_per_character=6.0
    ).eval()
    normalisation = Normalisation((8.0, 0.0), (42.0, 36.0))
    return Writer(TrainedHandwriting(network, normalisation, alphabet, {"sampler": SAMPLER}))


def test_a_text_becomes_lines_on_a_page(writer):
    written = writer.write("a bad cab\n\nadd a bed", width=5, seed=4)
    assert written.text == "a bad\ncab\n\nadd a\nbed"
    assert len(written.strokes) == 4
    assert all(len(line) > 10 for line in written.strokes)
    assert written.svg().startswith("<svg")
    assert written._repr_svg_().startswith("<svg")
    again = writer.write("a bad cab\n\nadd a bed", width=5, seed=4)
    assert all((a == b).all() for a, b in zip(written.strokes, again.strokes, strict=True))


@pytest.mark.parametrize("settings", [{}, {"batch_size": 1}, {"one_hand": False}])
def test_streamed_points_are_those_of_the_page(writer, settings):
    """A point at a time, one line after the other or side by side, the first line being the style of all."""
    text = "a bad cab dead bead add a bed"
    whole = writer.write(text, width=9, seed=2, **settings).strokes
    points, order = [[] for _ in whole], []
    for line, point in writer.stream(text, width=9, seed=2, **settings):
        points[line].append(point)
        order.append(line)
    for streamed, strokes in zip(points, whole, strict=True):
        assert np.array_equal(np.stack(streamed), strokes)
    assert (order == sorted(order)) == ("batch_size" in settings)
    assert order[0] == order[1] or "one_hand" in settings


def test_a_stream_is_checked_before_it_is_drawn(writer):
    with pytest.raises(UserError, match="'x'"):
        writer.stream("abx")
    with pytest.raises(UserError, match="empty"):
        writer.stream("")
    with pytest.raises(UserError, match="bias: set it on the sampler"):
        writer.stream("a", sampler=SynthesisSampler(), bias=1)
    assert next(writer.stream("a", weights="int8"))[0] == 0  # a setting newer than the checkpoint


def test_settings_of_the_sampler_and_the_page(writer):
    page = PageSettings(width=100.0, height=None)
    written = writer.write("a bad cab", bias=5.0, candidates=2, page=page)
    assert written.settings is page
    with pytest.raises(UserError, match=r"sampler.bais: .* did you mean 'bias'"):
        writer.write("a", bais=1)
    with pytest.raises(UserError, match="bias: set it on the sampler"):
        writer.write("a", sampler=SynthesisSampler(), bias=1)


def test_what_cannot_be_written_is_named(writer):
    with pytest.raises(UserError, match=r"'x' \(LATIN SMALL LETTER X\) at position 3"):
        writer.write("abx")
    assert writer.write("abx", on_unknown="skip").text == "ab"
    assert writer.write("áb", on_unknown="replace").text == "ab"
    for empty in ("", " \n "):
        with pytest.raises(UserError, match="empty"):
            writer.write(empty)


@pytest.fixture
def written(monkeypatch):
    """What the network is asked to write: the first line's number, the lines, the text of the prime."""
    asked = []
    original = TrainedHandwriting.events

    def events(self, sampler, passage):
        prime = passage.prime.text if passage.prime else None
        asked.append((passage.first_line, list(passage.texts), prime))
        return original(self, sampler, passage)

    monkeypatch.setattr(TrainedHandwriting, "events", events)
    return asked


def test_a_line_that_is_not_shown_is_the_style_of_all(writer, written, monkeypatch):
    writer = Writer(writer.trained)
    monkeypatch.setattr("graves_lm.writing.writer.TRIED_PEN", "a bad cab")
    monkeypatch.setattr(Report, "faults", (0, 0))
    page = writer.write("dead bead add a bed", width=9)
    (_, *hidden), shown = written
    assert hidden == [["a bad cab"], None]
    assert shown == (0, ["dead bead", "add a bed"], "a bad cab")
    assert page.text == "dead bead\nadd a bed"
    assert len(page.strokes) == 2
    streamed = [point for line, point in writer.stream("dead bead add a bed", width=9) if line == 0]
    assert np.array_equal(np.stack(streamed), page.strokes[0])
    written.clear()
    writer.write("dead bead add a bed", width=9, one_hand=False)
    assert written == [(0, ["dead bead", "add a bed"], None)]


@pytest.mark.parametrize("line", ["a man", "a bad cab"])
def test_the_first_line_is_the_style_where_no_other_can_be(line, writer, written, monkeypatch):
    """Its letters were not learned, or it has faults."""
    writer = Writer(writer.trained)
    monkeypatch.setattr("graves_lm.writing.writer.TRIED_PEN", line)
    monkeypatch.setattr(Report, "faults", (0, 1))
    writer.write("a bad cab add a bed", width=9)
    if line == "a bad cab":  # without a bias, and with the sampler's
        assert [written.pop(0)[1], written.pop(0)[1]] == [[line], [line]]
    assert written == [(0, ["a bad cab"], None), (1, ["add a bed"], "a bad cab")]


def test_the_hidden_line_is_drawn_once_for_a_seed_settings_and_weights(writer, written, monkeypatch):
    monkeypatch.setattr("graves_lm.writing.writer.TRIED_PEN", "a bad cab")
    monkeypatch.setattr(Report, "faults", (0, 0))
    monkeypatch.setattr("graves_lm.writing.writer._HANDS", 3)
    writer = Writer(writer.trained)

    def hidden(seed=0, **settings) -> int:
        """How many were drawn for a text, which is what a new writer makes of it."""
        written.clear()
        strokes = writer.write("add a bed", seed=seed, **settings).strokes
        drawn = [texts for _, texts, _ in written].count(["a bad cab"])
        expected = Writer(writer.trained).write("add a bed", seed=seed, **settings).strokes
        assert all(map(np.array_equal, strokes, expected))
        return drawn

    assert [hidden(), hidden(), hidden(seed=1), hidden(bias=1.0), hidden(bias=1.0), hidden()] == [
        *(1, 0, 1, 1, 0, 0)
    ]
    next(writer.stream("add"))
    assert [texts for _, texts, _ in written].count(["a bad cab"]) == 1  # the expected one's
    assert hidden(candidates=2) == 1  # the fourth: the first is forgotten
    assert [hidden(), hidden(bias=1.0)] == [1, 0]
    hand = writer.hand(SynthesisSampler(**{k: v for k, v in SAMPLER.items() if k != "_target_"}), 0)
    with pytest.raises(ValueError, match="read-only"):
        hand.strokes[0] = 0
    weight = writer.trained.network.window.bias
    kept = weight.detach().clone()
    with torch.no_grad():
        weight.add_(0.01)
        try:
            assert [hidden(), hidden()] == [1, 0]
        finally:
            weight.copy_(kept)


def test_a_network_that_the_hands_do_not_serve_draws_its_own(writer, written, monkeypatch):
    """Hand 5 is the line that seed 5 would follow, drawn without a bias."""
    monkeypatch.setattr("graves_lm.writing.writer.TRIED_PEN", "a bad cab")
    monkeypatch.setattr(Report, "faults", (0, 0))
    writer = Writer(writer.trained)
    sampler = SynthesisSampler(bias=3.0)
    line = writer.hand(sampler, seed=1, number=5)
    assert np.array_equal(line.strokes, writer.hand(sampler, seed=5).strokes)
    assert np.array_equal(line.strokes, writer.hand(SynthesisSampler(), seed=5).strokes)
    assert not np.array_equal(line.strokes, writer.hand(sampler, seed=1).strokes)
    pages = [writer.write("add", hand=hand, seed=1, sampler=sampler) for hand in (5, 5, None)]
    expected = writer.write("add", prime=line, seed=1, sampler=sampler).strokes[0]
    assert [np.array_equal(page.strokes[0], expected) for page in pages] == [True, True, False]


@pytest.fixture
def three_hands(writer, tmp_path, monkeypatch):
    """A bank that serves the network of these tests."""
    lines = [make_line(f"hand {n}", 40 + n, text) for n, text in enumerate(("bad cab", "a bed", "dead bead"))]
    bank = json.loads(write_ink(tmp_path / "hands.json", lines).read_text())
    bank["normalisation"] = writer.trained.normalisation.to_plain()
    (tmp_path / "hands.json").write_text(json.dumps(bank))
    monkeypatch.setattr("graves_lm.writing.hands.BANK", tmp_path / "hands.json")
    return read_ink(tmp_path / "hands.json")[0]


def test_hands_are_chosen_by_number_or_by_the_seed(writer, three_hands):
    for hand, seed, expected in ((1, 0, 0), (3, 0, 2), (None, 0, 0), (None, 2, 2), (None, 4, 1), (2, 4, 1)):
        page = writer.write("add a bed", hand=hand, seed=seed, width=5)
        primed = writer.write("add a bed", prime=three_hands[expected], seed=seed, width=5)
        assert all(map(np.array_equal, page.strokes, primed.strokes))
    streamed = [point for line, point in writer.stream("add", hand=2, seed=1) if line == 0]
    assert np.array_equal(np.stack(streamed), writer.write("add", hand=2, seed=1).strokes[0])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"hand": 4}, "hand=4: there are 3 hands, counted from 1"),
        ({"hand": 0}, "hand=0"),
        ({"hand": "neat"}, "hand=neat"),
        ({"hand": 1, "one_hand": False}, "hand=1: give either a hand, or a prime, or one_hand=false"),
        ({"hand": 1, "prime": make_line("me", 60, "bad")}, "hand=1: give either"),
    ],
)
def test_hands_that_there_are_not(writer, three_hands, settings, message):
    for way in (writer.write, writer.stream):
        with pytest.raises(UserError, match=message):
            way("add", **settings)


def test_hands_serve_networks_of_their_units_and_characters(writer, three_hands):
    units, alphabet = writer.trained.normalisation, writer.trained.alphabet
    served = hands_of(units, alphabet)
    assert [line.text for line in served] == ["bad cab", "a bed", "dead bead"]
    assert all(np.array_equal(a.strokes, b.strokes) for a, b in zip(served, three_hands, strict=True))
    assert hands_of(Normalisation((8.0, 0.5), (42.0, 36.0)), alphabet) == ()
    assert hands_of(units, Alphabet(" abcd")) == ()


def test_the_hands_of_the_package():
    """They serve its weights; they are many, small, and each is a line that could be real: of whole units,
    with as many strokes and points as such a text takes."""
    if not BANK.is_file():
        pytest.skip("this package has no weights")
    assert BANK.stat().st_size <= 300_000
    trained = load_trained("synthesis", task="synthesis")
    hands = hands_of(trained.normalisation, trained.alphabet)
    assert len(hands) >= 12
    for line in hands:
        prime_of(line, trained.normalisation, trained.alphabet)
        assert 10 * len(line.text) < len(line.strokes) < 75 * len(line.text)
        assert np.array_equal(line.strokes, np.round(line.strokes))
        assert not line.strokes.flags.writeable
    spread = np.array([features(line.strokes) for line in hands])
    assert len(np.unique(spread.round(6), axis=0)) == len(hands)


@pytest.mark.parametrize("way", ["stream", "lines"])
def test_what_is_abandoned_half_way_holds_nothing(writer, way, monkeypatch):
    given_back = []
    monkeypatch.setattr("graves_lm.writing.writer.give_back_free_memory", lambda: given_back.append(None))
    packed = []

    def pack(*arguments):
        made = PackedNetwork(*arguments)
        packed.append(weakref.ref(made))
        return made

    monkeypatch.setattr("graves_lm.sampling.plain.PackedNetwork", pack)
    if way == "stream":
        drawing = writer.stream("a bad cab add a bed", width=9, batch_size=1)
    else:
        drawing = writer.lines(wrap("a bad cab add a bed", 9), SynthesisSampler())
    gc.disable()
    try:
        next(drawing)
        assert packed[-1]() is not None or way == "lines"
        given_back.clear()
        del drawing
        assert [one() for one in packed] == [None] * len(packed)
    finally:
        gc.enable()
    assert given_back


def test_long_texts_are_written_piece_by_piece(writer):
    """100,000 characters: a line is there before the others are begun."""
    text = "a bad cab " * 10_000
    lines = writer.lines(wrap(text, 10), SynthesisSampler(batch_size=4), one_hand=False)
    first, strokes, report = next(lines)
    assert first.text == "a bad cab"
    assert report.stopped
    assert len(strokes) > 10


def test_an_accent_is_reported_with_its_letter():
    """Of texts in which it is a character of its own."""
    text, coverage_U = "gru\u0308n", torch.tensor([9.0, 9.0, 9.0, 0.2, 0.1])
    assert warnings(3, text, Report(9, coverage_U, True, 0.0)) == ["line 3: perhaps left out 'ü' 'n'"]
    (still, *_) = warnings(1, text, Report(9, coverage_U, False, 0.0, stuck=3))
    assert still.startswith("line 1: stood still at 'ü', character 4,")


def test_a_line_that_went_wrong_is_reported(writer):
    written = writer.write("abcde", points_per_character=1.0, sampler=None)
    assert not [w for w in written.warnings if "cap" in w]
    slow = Writer(writer.trained)
    with torch.no_grad():
        bias = writer.trained.network.window.bias
        kept = bias.clone()
        bias[-10:] = -30.0  # the window stands still
        try:
            stuck = slow.write("abcde", points_per_character=1.0, longest_dwell=1000)
            still = slow.write("abcde")
        finally:
            bias.copy_(kept)
    assert "line 1: reached the cap of 205 points before its end" in stuck.warnings
    assert any(w.startswith("line 1: perhaps left out") for w in stuck.warnings)
    assert still.warnings[0].startswith(
        "line 1: stood still at 'a', character 1, and ends there; another seed"
    )


def no_data():
    raise UserError("data=iam needs data.source=DIR")


def test_a_prime_by_the_name_of_a_generated_line(generated):
    data = HersheyData(lines=4, writers=2, eval_lines=2, line_characters=(2, 4), cache_dir=generated)
    data.prepare()
    data.open()
    name = data.store.ids[0]
    assert find_prime(name, None, lambda: data).text == data.store.texts[0]
    with pytest.raises(UserError, match=r"no such file, and no such line; did you mean"):
        find_prime(name + "x", None, lambda: data)


def test_primes(writer, tmp_path):
    ink = write_ink(tmp_path / "me.json", [make_line("me", 60, "bad cab ab"), make_line("other", 60)])
    prime = find_prime(str(ink))
    assert (prime.text, len(prime.strokes)) == ("bad cab ab", 60)
    assert find_prime(str(ink), "cab").text == "cab"
    written = writer.write("add", prime=prime, seed=3)
    assert not torch.equal(*(torch.tensor(w.strokes[0][:5]) for w in (written, writer.write("add", seed=3))))
    sample = tmp_path / "sample.json"
    written.save(sample)
    assert find_prime(str(sample)).text == "add"  # an earlier sample is a prime
    assert read_ink(sample)[0][0].text == "add"


def test_a_prime_that_the_sampler_names(writer, tmp_path):
    """In Python as by the command: a file, with its text or another."""
    ink = write_ink(tmp_path / "me.json", [make_line("me", 60, "bad cab ab")])
    expected = writer.write("add", prime=find_prime(str(ink)), seed=3).strokes[0]
    samplers = [SynthesisSampler(bias=0.5, prime=str(ink), **more) for more in ({}, {"prime_text": "cáb"})]
    first, second = (
        writer.write("add", sampler=s, seed=3, on_unknown="replace").strokes[0] for s in samplers
    )
    assert np.array_equal(first, expected)
    other = writer.write("add", prime=find_prime(str(ink), "cab"), seed=3).strokes[0]
    assert np.array_equal(second, other)
    assert np.array_equal(next(writer.stream("add", sampler=samplers[0], seed=3))[1], expected[0])
    for name, message in (
        ("nowhere", "prime=nowhere: no such file"),
        (None, "prime_text: the text of which"),
    ):
        with pytest.raises(UserError, match=message):
            writer.write("add", sampler=SynthesisSampler(prime=name, prime_text="cab"))


def in_units(name, line, factor, write=str):
    """A line as InkML whose positions are counted in other units."""
    traces = "".join(
        "<trace>" + ", ".join(f"{write(factor * x)} {write(factor * y)}" for x, y in s) + "</trace>"
        for s in to_pen_strokes(line.strokes)
    )
    name.write_text(f'<ink><annotation type="truth">{line.text}</annotation>{traces}</ink>')
    return name


def test_a_prime_in_other_units_is_scaled(writer, tmp_path):
    """Hundredths of a millimetre, inches, metres: the same prime, whatever its units."""
    normalisation, alphabet = writer.trained.normalisation, writer.trained.alphabet
    line = make_line("me", 60, "bad cab")
    right = prime_of(line, normalisation, alphabet)
    assert torch.equal(right.point_T3[1:], torch.from_numpy(normalisation.apply(line.strokes))[1:])
    primes = []
    for factor in (2540 / 96, 1e5, 1 / 96, 1e-5):
        prime = find_prime(str(in_units(tmp_path / "me.inkml", line, factor)))
        point_T3 = prime_of(prime, normalisation, alphabet).point_T3
        assert 0.8 < point_T3[1:, :2].std() < 1.3
        drawn = writer.write("add", prime=prime, seed=3).strokes[0]
        primes.append((point_T3, torch.from_numpy(drawn)))
    for point_T3, drawn in primes[1:]:
        assert torch.allclose(point_T3, primes[0][0], atol=1e-3)
        assert torch.allclose(drawn[:5], primes[0][1][:5], rtol=1e-2, atol=1.0)
    # One factor for both axes, and no turn: offsets are a multiple of the line's own.
    offsets = torch.from_numpy(normalisation.invert(primes[0][0].numpy())[1:, :2]).double()
    own = torch.from_numpy(line.strokes[1:, :2]).double()
    factor = (offsets * own).sum() / (own * own).sum()
    assert factor > 0
    assert torch.allclose(offsets, factor * own, atol=1e-2)


def test_a_prime_may_have_any_name(tmp_path):
    for name in ("x" * 5000, "a\0b", "~nobody-of-this-name/me.inkml", str(tmp_path)):
        with pytest.raises(UserError, match="no such file"):
            find_prime(name)


def test_primes_that_are_of_no_use_are_refused(writer, tmp_path):
    normalisation, alphabet = writer.trained.normalisation, writer.trained.alphabet
    for line, reason in (
        (make_line("x", 60), "has no text"),
        (make_line("x", 10, "bad"), "too short"),
        (make_line("x", 60, "box"), "prime x: 'o'"),
        (make_line("x", 60, "bad")._replace(strokes=0 * make_line("x", 60).strokes), "has no extent"),
    ):
        with pytest.raises(UserError, match=reason):
            prime_of(line, normalisation, alphabet)
    with pytest.raises(
        UserError, match=r"prime=nowhere: no such file; to look for .* data=iam needs data.source"
    ):
        find_prime("nowhere", None, no_data)
    with pytest.raises(UserError, match="it has no text"):
        find_prime(str(write_ink(tmp_path / "a.json", [make_line("a", 60)])))


def test_loading_refuses_what_is_not_a_synthesis_checkpoint(tmp_path):
    with pytest.raises(UserError, match="no such file"):
        graves_lm.load(tmp_path / "none.ckpt")
    torch.save({"graves_lm": {"task": "stroke", "config": {}, "facts": {}}}, tmp_path / "stroke.ckpt")
    with pytest.raises(UserError, match="model=stroke, and this needs model=synthesis"):
        graves_lm.load(tmp_path / "stroke.ckpt")


def test_the_points_of_a_sample_carry_its_text(writer):
    document = json.loads(writer.write("a bad cab", width=5).json())
    assert [line["text"] for line in document["lines"]] == ["a bad", "cab"]
