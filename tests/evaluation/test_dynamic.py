"""Dynamic evaluation: exact bookkeeping, real learning, and never a look at what is not yet scored."""

import math

import numpy as np
import pytest
import torch

from graves_lm.data.streams import StreamLoader
from graves_lm.data.symbols import Symbols
from graves_lm.evaluation.dynamic import DynamicRMS, DynamicSGD, evaluate_dynamically
from graves_lm.learning.tasks.character import CharacterTask
from graves_lm.learning.validation import validate
from graves_lm.models.character import CharacterNetwork

K = 6


def make_task(seed=0):
    torch.manual_seed(seed)
    return CharacterTask(
        lambda symbols: CharacterNetwork(symbols, 1, 16), Symbols("character", "abcdef")
    ).double()


def sequence(n=600, seed=0):
    return np.random.default_rng(seed).integers(0, K, n).astype(np.uint8)


def dynamic(task, text, rule, segment=10, streams=1):
    batches = StreamLoader(text, streams, segment)
    training = StreamLoader(sequence(300, seed=9), streams, segment)
    return evaluate_dynamically(task, batches, rule, training)


RULES = {
    "sgd": lambda: DynamicSGD(lr=0.02, momentum=0.9),
    "rms": lambda: DynamicRMS(lr=0.003, decay=0.01, segments=10),
}


@pytest.mark.parametrize("rule", RULES)
def test_no_symbol_is_used_before_it_is_scored(rule, monkeypatch):
    """Nats of everything up to symbol n are the same whatever follows n, however wild the learning."""
    seen: list[list[float]] = []
    import graves_lm.evaluation.dynamic as module

    score = module.score

    def recording(logits_TBK, batch):
        chances = torch.log_softmax(logits_TBK, -1).gather(-1, batch.symbol_TB.unsqueeze(-1))
        seen[-1].extend((-chances[batch.scored_TB.unsqueeze(-1)]).tolist())
        return score(logits_TBK, batch)

    monkeypatch.setattr(module, "score", recording)
    text, n = sequence(), 257
    other = text.copy()
    other[n:] = (other[n:] + 1 + sequence(len(text) - n, seed=3) % (K - 1)) % K
    for version in (text, other):
        seen.append([])
        dynamic(make_task(), version, RULES[rule]())
    skip = 100 if rule == "rms" else 0  # the statistics' segments of training text come first
    a, b = (s[skip:] for s in seen)
    assert len(a) == len(text)
    assert a[:n] == b[:n]
    assert a[n:] != b[n:]


@pytest.mark.parametrize("rule", RULES)
def test_it_learns_from_what_it_has_seen(rule):
    """On a text of one repeated pattern, learning on the way must beat fixed weights by far."""
    text = np.tile(np.array([0, 1, 2, 3, 4, 5, 0, 3], dtype=np.uint8), 150)
    static = validate(make_task(), StreamLoader(text, 1, 10))["bpc"]
    learned = dynamic(make_task(), text, RULES[rule]())["bpc"]
    assert learned < static - 0.5


@pytest.mark.parametrize("rule", [DynamicSGD(lr=0.0), DynamicRMS(lr=0.0, segments=3)])
def test_rate_zero_is_static_evaluation(rule):
    text = sequence()
    static = validate(make_task(), StreamLoader(text, 1, 10))
    assert dynamic(make_task(), text, rule) == pytest.approx(static, rel=1e-12)


def test_sgd_follows_its_rule():
    """Two segments by hand: plain momentum on nats summed over a segment."""
    text, task, by_hand = sequence(20), make_task(), make_task()
    dynamic(task, text, DynamicSGD(lr=0.01, momentum=0.5))
    weights, network = list(by_hand.network.parameters()), by_hand.network
    state, delta = network.initial_state(1), [torch.zeros_like(w) for w in weights]
    for piece in torch.from_numpy(text.astype(np.int64)).split(10):
        logits, after = network(piece[:, None], state)
        nats = torch.nn.functional.cross_entropy(logits[:, 0], piece, reduction="sum")
        grads = torch.autograd.grad(nats, weights)
        delta = [0.5 * d - 0.01 * g for d, g in zip(delta, grads, strict=True)]
        with torch.no_grad():
            for w, d in zip(weights, delta, strict=True):
                w += d
        state = after.detach()
    for ours, theirs in zip(task.network.parameters(), weights, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-13)


def test_rms_pulls_back_to_the_trained_weights():
    """After learning, segments without a derivative (rate 0) bring the weights home by 1 − decay each."""
    rule = DynamicRMS(lr=0.0, decay=0.1, segments=5)
    task = make_task()
    rule.begin(task, StreamLoader(sequence(300), 1, 10))
    weights = list(task.network.parameters())
    home = [w.detach().clone() for w in weights]
    with torch.no_grad():
        for w in weights:
            w += 1.0
    rule.learn(weights, [torch.zeros_like(w) for w in weights])
    away = torch.cat([(w - h).flatten() for w, h in zip(weights, home, strict=True)])
    assert ((away >= 0) & (away <= 1)).all()
    pull = torch.cat([p.flatten() for p in rule._pull])
    torch.testing.assert_close(away, 1 - pull)
    assert pull.mean().item() == pytest.approx(0.1, rel=0.2)


def test_uniform_model_costs_log2_k_whatever_the_batching():
    task = make_task()
    for w in task.network.parameters():
        w.data.zero_()
    for rows, length, warm_up in [(1, 7, 0), (5, 13, 0), (4, 10, 30)]:
        figures = validate(task, StreamLoader(sequence(601), rows, length, warm_up=warm_up))
        assert figures["bpc"] == pytest.approx(math.log2(K), abs=1e-12)
        assert figures["perplexity"] == pytest.approx(K, abs=1e-9)


def test_static_figures_do_not_depend_on_chunk_length_and_hardly_on_rows():
    task, text = make_task(), sequence(900)
    one = validate(task, StreamLoader(text, 1, 10))
    for length in (1, 37, 900):
        assert validate(task, StreamLoader(text, 1, length)) == pytest.approx(one, rel=1e-12)
    rows = validate(task, StreamLoader(text, 4, 10, warm_up=60))
    assert rows == pytest.approx(one, rel=2e-3)
    longer = validate(task, StreamLoader(text, 4, 10, warm_up=200))
    assert abs(longer["bpc"] - one["bpc"]) < abs(rows["bpc"] - one["bpc"])


@pytest.mark.gpu
@pytest.mark.parametrize("rule", RULES)
def test_on_a_gpu_it_learns_the_same(rule):
    if not torch.cuda.is_available():
        pytest.skip("no GPU")
    on_cpu = dynamic(make_task().float(), sequence(), RULES[rule](), streams=2)
    on_gpu = dynamic(make_task().float().cuda(), sequence(), RULES[rule](), streams=2)
    assert on_gpu == pytest.approx(on_cpu, rel=1e-4)
