"""Parallel streams: nothing lost, nothing twice, in order, and resumable."""

import itertools

import numpy as np
import pytest

from graves_lm.data.streams import StreamLoader
from graves_lm.runtime.errors import UserError


def layouts():
    """Even and uneven layouts: (N, rows, world, length, warm_up), all long enough."""
    sizes = (1, 2, 7, 24, 25, 97, 250)
    for n, rows, world, length, warm_up in itertools.product(
        sizes, (1, 2, 5), (1, 3), (1, 4, 10), (0, 1, 6, 30)
    ):
        total = rows * world
        if n >= total + (warm_up if total > 1 else 0):
            yield n, rows, world, length, warm_up


LAYOUTS = list(layouts())


def loaders(n, rows, world, length, warm_up, **more):
    sequence = np.arange(1, n + 1)  # no symbol is 0, the filler
    return [
        StreamLoader(sequence, rows * world, length, rank=rank, world=world, warm_up=warm_up, **more)
        for rank in range(world)
    ]


def test_there_are_many_layouts_and_uneven_ones():
    assert len(LAYOUTS) > 300
    assert sum(n % (rows * world) != 0 for n, rows, world, *_ in LAYOUTS) > 100


def test_every_symbol_is_scored_exactly_once_over_all_ranks():
    for layout in LAYOUTS:
        scored = [b.symbol_TB[b.scored_TB] for loader in loaders(*layout) for b in loader]
        assert sorted(np.concatenate(scored).tolist()) == list(range(1, layout[0] + 1)), layout


def test_each_row_reads_on_without_a_gap_and_scores_after_its_warm_up():
    for layout in LAYOUTS:
        warm_up = layout[-1]
        rows = []
        for loader in loaders(*layout):
            batches = list(loader)
            symbols = np.concatenate([b.symbol_TB for b in batches])
            scored = np.concatenate([b.scored_TB for b in batches])
            rows += list(zip(symbols.T, scored.T, strict=True))
        begin = 1
        for number, (symbol_T, scored_T) in enumerate(rows):
            first, last = np.flatnonzero(scored_T)[[0, -1]]
            assert scored_T[first : last + 1].all(), layout  # one stretch
            assert first == (0 if number == 0 else warm_up), layout
            assert np.array_equal(symbol_T[: last + 1], np.arange(last + 1) + begin - first), layout
            assert not symbol_T[last + 1 :].any(), layout  # filler
            begin = symbol_T[last] + 1


def test_rows_and_ranks_share_the_work_evenly():
    for layout in LAYOUTS:
        parts = loaders(*layout)
        read = [np.count_nonzero(np.concatenate([b.symbol_TB for b in p]), axis=0) for p in parts]
        assert np.ptp(read) <= 1, layout
        # A process with fewer batches would leave the others waiting for it.
        assert len({len(p) for p in parts}) == 1, layout
        assert all(len(list(p)) == len(p) for p in parts), layout


@pytest.mark.parametrize("world", [2, 3, 4, 7])
@pytest.mark.parametrize("streams", [1, 2, 3, 5, 8])
def test_the_same_streams_whatever_the_number_of_processes(streams, world):
    """Each process reads some of the streams that one process would read, whole; all take as many steps."""
    sequence = np.arange(1, 98)
    alone = list(StreamLoader(sequence, streams, 4, warm_up=5))
    shared = [
        list(StreamLoader(sequence, streams, 4, rank=rank, world=world, warm_up=5)) for rank in range(world)
    ]
    for index, batch in enumerate(alone):
        parts = [part[index] for part in shared]
        working = [
            p for rank, p in enumerate(parts) if streams * (rank + 1) // world > streams * rank // world
        ]
        assert np.array_equal(np.concatenate([p.symbol_TB for p in working], axis=1), batch.symbol_TB)
        assert np.array_equal(np.concatenate([p.scored_TB for p in working], axis=1), batch.scored_TB)
        assert sum(p.size for p in parts) == batch.size
    assert {len(part) for part in shared} == {len(alone)}


def test_batches_have_the_length_asked_for_and_the_last_the_rest():
    for layout in LAYOUTS:
        length = layout[3]
        for loader in loaders(*layout):
            sizes = [len(b.symbol_TB) for b in loader]
            assert set(sizes[:-1]) <= {length}, layout
            assert 0 < sizes[-1] <= length, layout


@pytest.mark.parametrize(
    ("every", "expected"), [(None, [0]), (1, range(9)), (2, [0, 2, 4, 6, 8]), (4, [0, 4, 8])]
)
def test_reset_flags(every, expected):
    (loader,) = loaders(86, 1, 1, 10, 0, reset_every=every)
    assert [i for i, batch in enumerate(loader) if batch.reset] == list(expected)
    assert [i for i, batch in enumerate(loader) if batch.reset] == list(expected)  # and in the next epoch


@pytest.mark.parametrize("rows", [1, 2, 5])
@pytest.mark.parametrize("world", [1, 3])
@pytest.mark.parametrize("warm_up", [0, 1, 8])
def test_a_text_too_short_is_told_how_many_symbols_are_needed(rows, world, warm_up):
    with pytest.raises(UserError) as caught:
        loaders(0, rows, world, 4, warm_up, name="val text")
    message = str(caught.value)
    assert message.startswith("val text: 0 symbols are too few ")
    need = int(message.split(": ")[-1].split(" are needed")[0])
    with pytest.raises(UserError, match=f"{need} are needed"):
        loaders(need - 1, rows, world, 4, warm_up)
    per_row = [
        np.concatenate([b.scored_TB for b in loader]).sum(axis=0)
        for loader in loaders(need, rows, world, 4, warm_up)
    ]
    assert np.min(per_row) >= 1  # enough: every row has something to score
    assert np.sum(per_row) == need


def same(a, b):
    return len(a) == len(b) and all(
        np.array_equal(x.symbol_TB, y.symbol_TB)
        and np.array_equal(x.scored_TB, y.scored_TB)
        and x.reset == y.reset
        for x, y in zip(a, b, strict=True)
    )


@pytest.mark.parametrize("done", range(1, 9))
def test_restored_mid_epoch_gives_exactly_the_remaining_batches(done):
    layout = (333, 3, 2, 7, 4)
    for rank in range(2):
        whole = list(loaders(*layout, reset_every=3)[rank])
        assert len(whole) == 9
        interrupted = loaders(*layout, reset_every=3)[rank]
        list(itertools.islice(interrupted, done))
        resumed = loaders(*layout, reset_every=3)[rank]
        resumed.load_state_dict(interrupted.state_dict())
        assert resumed.state_dict() == interrupted.state_dict()
        assert same(list(resumed), whole[done % 9 :])
        assert same(list(resumed), whole)  # the epoch after starts at the beginning


def test_saved_at_the_end_of_an_epoch_it_restores_to_a_fresh_one():
    (loader,) = loaders(50, 2, 1, 4, 0)
    whole = list(loader)
    (resumed,) = loaders(50, 2, 1, 4, 0)
    resumed.load_state_dict(loader.state_dict())
    assert same(list(resumed), whole)


def test_a_pass_that_was_cut_short_is_not_gone_on_with():
    # limit_val_batches and overfit_batches stop early: the next pass must see the same batches.
    (loader,) = loaders(50, 2, 1, 4, 0)
    once, again = (list(itertools.islice(loader, 2)) for _ in range(2))
    assert same(once, again)


def test_a_state_of_another_layout_is_refused():
    (saved,), (other,) = loaders(50, 2, 1, 4, 0), loaders(50, 2, 1, 5, 0)
    with pytest.raises(UserError, match=r"7 batches an epoch, this run has 5.*data\.length"):
        other.load_state_dict(saved.state_dict())


@pytest.mark.parametrize("key", ["next_batch", "batches"])
@pytest.mark.parametrize("value", [None, -1, 1.5, "1", True, [1], 10**9, 2**70])
def test_a_position_of_strangers_is_refused(key, value):
    batches = StreamLoader(np.arange(100), 2, 10)
    state = batches.state_dict()
    for wrong in (state | {key: value}, {k: v for k, v in state.items() if k != key}, [], None):
        with pytest.raises(UserError):
            batches.load_state_dict(wrong)
