"""The reader: its loss against the sum over all sequences of outputs, its rows apart from each other."""

from itertools import groupby, product

import numpy as np
import pytest
import torch

from graves_lm.models.frames import NUMBERS
from graves_lm.models.reader import ReaderNetwork, best_path, likeliest_frames, reversal, text_nats


def network(**settings) -> ReaderNetwork:
    torch.manual_seed(3)
    return ReaderNetwork(symbols=4, layers=2, hidden_size=7, **settings).eval()


def test_the_loss_is_the_sum_over_all_outputs_that_become_the_text():
    """Every sequence of outputs is tried: repetitions merged first, blanks taken out then."""
    T, blank = 5, 2
    random = np.random.default_rng(0)
    p_TY = random.dirichlet(np.ones(3), T)
    chance: dict[tuple[int, ...], float] = {}
    for outputs in product(range(3), repeat=T):
        text = tuple(s for s, _ in groupby(outputs) if s != blank)
        chance[text] = chance.get(text, 0.0) + float(np.prod([p_TY[t, s] for t, s in enumerate(outputs)]))
    texts = [(0,), (0, 1), (1, 1), (0, 1, 0), (1, 1, 1)]
    assert sum(chance.values()) == pytest.approx(1)
    symbol_BU = torch.full((len(texts), 3), -1)
    for row, text in enumerate(texts):
        symbol_BU[row, : len(text)] = torch.tensor(text)
    log_p_TBY = torch.from_numpy(np.log(p_TY))[:, None].expand(T, len(texts), 3).float()
    nats_B = text_nats(log_p_TBY, torch.full((len(texts),), T), symbol_BU)
    assert nats_B.numpy() == pytest.approx([-np.log(chance[text]) for text in texts], rel=1e-5)


def test_a_text_longer_than_its_line_is_impossible():
    log_p = torch.full((2, 1, 3), 1 / 3).log()
    assert text_nats(log_p, torch.tensor([2]), torch.tensor([[0, 0]])).isinf().all(), "a blank must part them"
    assert text_nats(log_p, torch.tensor([2]), torch.tensor([[0, 1]])).isfinite().all()


def test_best_path_merges_before_it_takes_blanks_out():
    outputs = torch.tensor([[0, 0, 2, 0, 1, 1], [2, 1, 2, 2, 0, 0]]).t()
    log_p = torch.nn.functional.one_hot(outputs, 3).float().log()
    assert best_path(log_p, torch.tensor([6, 4])) == [[0, 0, 1], [1]]


def test_reversal_is_its_own_inverse_and_leaves_padding():
    order_TB = reversal(torch.tensor([4, 2, 1]), 4)
    assert order_TB.t().tolist() == [[3, 2, 1, 0], [1, 0, 2, 3], [0, 1, 2, 3]]
    again = order_TB.gather(0, order_TB)
    assert again.t().tolist() == [[0, 1, 2, 3]] * 3


def test_rows_do_not_see_each_other_or_what_fills_them_up():
    model, length_B = network(), torch.tensor([9, 4])
    frame_TBD = torch.randn(9, 2, NUMBERS)
    log_p_TBY = model(frame_TBD, length_B)
    alone_TBY = model(frame_TBD[:4, 1:], torch.tensor([4]))
    assert torch.allclose(log_p_TBY[:4, 1:], alone_TBY, atol=1e-6)
    changed = frame_TBD.clone()
    changed[4:, 1] = 1e3
    assert torch.equal(model(changed, length_B)[:4], log_p_TBY[:4])
    assert torch.allclose(log_p_TBY.exp().sum(2), torch.ones(9, 2), atol=1e-5)


def test_it_reads_in_both_directions():
    """Against torch's own bidirectional LSTM (which has no peepholes; these start at zero)."""
    model = network()
    frame_TBD = torch.randn(6, 1, NUMBERS)
    x_TBX = frame_TBD
    for below, forth, back in zip(model.from_below, model.forth, model.back, strict=True):
        theirs = torch.nn.LSTM(x_TBX.shape[2], 7, bidirectional=True)
        weights, biases = below.weight.chunk(2), below.bias.chunk(2)
        with torch.no_grad():
            for end, w, b, own in zip(("", "_reverse"), weights, biases, (forth, back), strict=True):
                getattr(theirs, f"weight_ih_l0{end}").copy_(w)
                getattr(theirs, f"weight_hh_l0{end}").copy_(own.weight)
                getattr(theirs, f"bias_ih_l0{end}").copy_(b)
                getattr(theirs, f"bias_hh_l0{end}").zero_()
        x_TBX, _ = theirs(x_TBX)
    expected_TBY = torch.log_softmax(model.to_output(x_TBX), 2)
    assert torch.allclose(model(frame_TBD, torch.tensor([6])), expected_TBY, atol=1e-6)


def test_dropout_is_of_training_alone():
    model, x, length = network(drop=0.5), torch.randn(5, 1, NUMBERS), torch.tensor([5])
    assert torch.equal(model(x, length), model(x, length))
    model.train()
    assert not torch.equal(model(x, length), model(x, length))


def test_the_likeliest_frames_are_those_of_the_likeliest_outputs():
    """Every sequence of outputs is tried; of a symbol's frames the surest is taken."""
    T, blank = 6, 2
    random = np.random.default_rng(1)
    for text in [(0,), (0, 1), (1, 1), (0, 1, 0), (1, 1, 1), ()]:
        for _ in range(10):
            log_p_TY = np.log(random.dirichlet(np.ones(3), T)).astype(np.float32)

            def chance(outputs, log_p_TY=log_p_TY):
                return sum(float(log_p_TY[t, s]) for t, s in enumerate(outputs))

            all_outputs = product(range(3), repeat=T)
            fit = [o for o in all_outputs if tuple(s for s, _ in groupby(o) if s != blank) == text]
            best, expected, t = max(fit, key=chance), [], 0
            for symbol, run in groupby(best):
                length = len(list(run))
                if symbol != blank:
                    expected.append(t + int(np.argmax(log_p_TY[t : t + length, symbol])))
                t += length
            assert likeliest_frames(log_p_TY, np.array(text, np.int64)).tolist() == expected
