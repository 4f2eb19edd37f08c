"""Batches of lines: nothing lost, nothing twice, little padding, and resumable."""

import itertools

import numpy as np
import pytest
import torch

from graves_lm.data.alphabet import Alphabet
from graves_lm.data.line_batches import GROUP, LineLoader, collate
from graves_lm.data.line_store import LineStore
from graves_lm.data.strokes import Normalisation, StrokeLine
from graves_lm.runtime.errors import UserError
from tests.data.lines import make_line, make_store, stored

NORM = Normalisation((8.0, 0.5), (40.0, 35.0))
LINES = 173


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> LineStore:
    lengths = np.random.default_rng(0).integers(2, 60, LINES)
    return make_store(tmp_path_factory.mktemp("lines") / "store", lengths.tolist())


def loader(store: LineStore, batch_size: int = 8, seed: int | None = 1, lines=None, **more) -> LineLoader:
    lines = store.indices("train") if lines is None else np.asarray(lines)
    return LineLoader(store, lines, NORM, batch_size, seed=seed, **more)


def numbers(plan) -> list[int]:
    return [int(i) for batch in plan for i in batch]


def same(a, b) -> bool:
    return len(a) == len(b) and all(
        x.size == y.size and all(torch.equal(p, q) for p, q in zip(x[:3], y[:3], strict=True))
        for x, y in zip(a, b, strict=True)
    )


# --- one epoch ------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [None, 1])
@pytest.mark.parametrize("batch_size", [1, 8, 64, 500])
def test_every_line_once_an_epoch(store, batch_size, seed):
    batches = loader(store, batch_size, seed)
    for epoch in range(3):
        plan = batches.plan(epoch)
        assert sorted(numbers(plan)) == list(range(LINES))
        assert len(plan) == len(batches) == -(-LINES // batch_size)
        assert sorted(map(len, plan))[1:] == [batch_size] * (len(plan) - 1)  # one small batch at most


def test_only_the_given_lines(store):
    some = [3, 9, 100, 4]
    assert sorted(numbers(loader(store, 3, lines=some).plan(0))) == sorted(some)


def test_the_points_of_an_epoch_are_those_of_the_store(store):
    """Not only the numbers of the lines: what comes out of the batches is every line, normalised."""
    found = []
    for batch in loader(store):
        for row in range(batch.scored_TB.shape[1]):
            found.append(batch.point_TB3[1:, row][batch.scored_TB[:, row]].numpy())
    expected = sorted(NORM.apply(line.strokes)[1:].tobytes() for line in store)
    assert sorted(line.tobytes() for line in found) == expected


def test_the_order_is_of_the_seed_and_the_epoch(store):
    first, again, other = (loader(store, seed=s) for s in (1, 1, 2))
    orders = [numbers(first.plan(epoch)) for epoch in range(4)]
    assert orders == [numbers(again.plan(epoch)) for epoch in range(4)]
    for a, b in itertools.combinations(orders, 2):
        assert a != b
    assert numbers(other.plan(0)) != orders[0]
    # Iterating moves from epoch to epoch; it draws from no other random numbers.
    before = torch.get_rng_state()
    passes = [[batch.size for batch in first] for _ in range(3)]
    sizes = store.lengths - 1
    assert passes == [[int(sizes[b].sum()) for b in again.plan(epoch)] for epoch in range(3)]
    assert torch.equal(torch.get_rng_state(), before)


def test_without_a_seed_the_longest_lines_come_first(store):
    """A batch that does not fit into memory then says so at once, and every pass is the same."""
    batches = loader(store, seed=None)
    lengths = store.lengths[numbers(batches.plan(0))]
    assert (np.diff(lengths) <= 0).all()
    assert same(list(batches), list(batches))


@pytest.mark.parametrize("seed", [None, 1])
def test_batches_have_similar_lengths(tmp_path, seed):
    """Lengths as those of real lines, from 100 to 1940 about 620."""
    lengths = np.random.default_rng(1).gamma(6, 100, 3000).clip(100, 1940).astype(int)
    one = make_line("one", 1940).strokes
    lines = [StrokeLine(str(i), one[:n], "") for i, n in enumerate(lengths)]
    batches = loader(stored(tmp_path / "s", {"train": lines}), 32, seed)
    assert batches.padding_share() < 0.05
    unsorted = (lengths[:2976] - 1).reshape(-1, 32)
    assert 1 - unsorted.sum() / (unsorted.max(1) * 32).sum() > 0.4  # what it would have been
    # Yet lengths are mixed over the epoch: there is no drift from short to long.
    means = [lengths[batch].mean() for batch in batches.plan(0)]
    if seed is not None:
        assert abs(np.corrcoef(means, np.arange(len(means)))[0, 1]) < 0.3


def test_a_group_is_sorted_so_that_companions_change_from_epoch_to_epoch(tmp_path):
    store = make_store(tmp_path / "s", [5] * (4 * GROUP * 2))
    batches = loader(store, 4)
    pairs = [
        {frozenset(p) for b in batches.plan(e) for p in itertools.combinations(b.tolist(), 2)} for e in (0, 1)
    ]
    assert len(pairs[0] & pairs[1]) < 0.05 * len(pairs[0])


def test_the_padding_share_is_that_of_the_batches(store):
    batches = loader(store)
    made = list(batches)
    useful, computed = sum(b.size for b in made), sum(b.scored_TB.numel() for b in made)
    assert batches.padding_share() == pytest.approx(1 - useful / computed)
    assert useful == int((store.lengths - 1).sum())


# --- several processes ----------------------------------------------------------------------------


@pytest.mark.parametrize("lines", [3, 7, 24, 25, 26, 27, LINES])
@pytest.mark.parametrize("world", [1, 2, 3])
@pytest.mark.parametrize("batch_size", [1, 4, 8])
def test_processes_share_the_lines(store, lines, world, batch_size):
    for seed, epoch in ((None, 0), (1, 0), (1, 1)):
        plans = [
            loader(store, batch_size, seed, np.arange(lines), rank=rank, world=world).plan(epoch)
            for rank in range(world)
        ]
        shared = [number for plan in plans for number in numbers(plan)]
        assert len(shared) == len(set(shared))
        assert all(0 < len(batch) <= batch_size for plan in plans for batch in plan)
        left_out = lines - len(shared)
        if seed is None:
            assert left_out == 0
        else:
            # All take equally many steps; what cannot give each of them a last line is left out.
            assert len({len(plan) for plan in plans}) == 1
            last = lines % (batch_size * world)
            assert left_out == (last if last < world else 0)
        # The lines side by side on the processes are those that one process would take together.
        alone = loader(store, batch_size * world, seed, np.arange(lines)).plan(epoch)
        if left_out == 0:
            for step, together in enumerate(alone):
                parts = [plan[step] for plan in plans if step < len(plan)]
                assert sorted(numbers(parts)) == sorted(together.tolist())


def test_what_is_left_out_changes_from_epoch_to_epoch(store):
    ranks = [loader(store, 4, 1, np.arange(25), world=3, rank=r) for r in range(3)]
    missing = [set(range(25)) - {n for one in ranks for n in numbers(one.plan(epoch))} for epoch in range(12)]
    assert all(len(one) == 1 for one in missing)
    assert len(set().union(*missing)) > 3


def test_fewer_lines_than_processes(store):
    with pytest.raises(UserError, match=r"^val lines: 2 line\(s\) cannot be shared by 3 processes$"):
        loader(store, lines=[0, 1], world=3, name="val lines")
    with pytest.raises(UserError, match="0 line"):
        loader(store, lines=np.zeros(0, np.int64))


# --- one batch ------------------------------------------------------------------------------------


def test_a_batch_by_hand():
    long = np.array([[0, 0, 0], [48, 35.5, 1], [-32, 0.5, 0], [8, 0.5, 1]], np.float32)
    dot = np.array([[0, 0, 1], [8, 70.5, 1]], np.float32)  # its first point is a stroke of its own
    lines = [StrokeLine("long", long, "ba"), StrokeLine("dot", dot, "c")]
    batch = collate(lines, NORM, Alphabet("abc"))
    assert batch.point_TB3.dtype == torch.float32
    assert batch.point_TB3[:, 0].tolist() == [[0, 0, 0], [1, 1, 1], [-1, 0, 0], [0, 0, 1]]
    assert batch.point_TB3[:, 1].tolist() == [[0, 0, 1], [0, 2, 1], [0, 0, 0], [0, 0, 0]]
    assert batch.scored_TB.T.tolist() == [[True, True, True], [True, False, False]]
    assert batch.symbol_BU.tolist() == [[1, 0], [2, -1]]
    assert batch.size == 4
    assert collate(lines, NORM).symbol_BU.shape == (2, 0)


def test_a_batch_is_the_normalised_lines_to_the_last_bit(store):
    lines = [store[i] for i in (5, 17, 40)]
    batch = collate(lines, NORM)
    assert batch.point_TB3.shape == (max(len(line.strokes) for line in lines), 3, 3)
    for row, line in enumerate(lines):
        T = len(line.strokes) - 1
        assert np.array_equal(batch.point_TB3[1 : T + 1, row], NORM.apply(line.strokes)[1:])
        assert np.array_equal(batch.point_TB3[1 : T + 1, row, 2], line.strokes[1:, 2])
        assert batch.point_TB3[0, row].tolist() == [0, 0, line.strokes[0, 2]]  # and not minus the mean
        assert not batch.point_TB3[T + 1 :, row].any()
        assert batch.scored_TB[:, row].sum() == T == int(batch.scored_TB[:T, row].sum())


def test_a_character_outside_the_alphabet_is_named(store):
    with pytest.raises(UserError, match=r"^line-19: 'j' .* at position 2, .* is not among the 3 characters"):
        collate([store[19]], NORM, Alphabet("bcd"))


def test_the_loader_gives_the_texts(store):
    batches = loader(store, alphabet=Alphabet("abcdefghij"))
    spelled = sorted(
        "".join("abcdefghij"[i] for i in row if i >= 0) for b in batches for row in b.symbol_BU.tolist()
    )
    assert spelled == sorted(store.texts)


# --- going on from a checkpoint -------------------------------------------------------------------


@pytest.mark.parametrize("seed", [None, 1])
@pytest.mark.parametrize("world", [1, 2])
def test_restored_loader_goes_on_exactly(store, seed, world):
    """Over three epochs, from every batch, the first and the last of an epoch included."""
    unbroken = loader(store, 20, seed, world=world)
    per_epoch = len(unbroken)
    whole = [batch for _ in range(3) for batch in unbroken]
    for stop in range(2 * per_epoch + 1):
        first = loader(store, 20, seed, world=world)
        epochs = (batch for _ in range(3) for batch in first)
        head = [next(epochs) for _ in range(stop)]
        state = first.state_dict()
        restored = loader(store, 20, seed, world=world)
        restored.load_state_dict(state)
        rest = list(restored)
        while len(head) + len(rest) < 3 * per_epoch:
            rest += list(restored)
        assert same(head + rest, whole), stop


def test_an_epoch_that_was_left_is_not_gone_on_with(store):
    """A trainer that stops early (a limit on its batches) begins the next epoch with other batches."""
    batches = loader(store)
    expected = [int((store.lengths - 1)[b].sum()) for b in loader(store).plan(1)]
    next(iter(batches))
    assert [batch.size for batch in batches] == expected


def test_the_state_is_plain(store):
    batches = loader(store)
    next(iter(batches))
    assert batches.state_dict() == {"epoch": 0, "next_batch": 1, "batches": len(batches)}


def test_a_state_of_other_batches_is_refused(store):
    state = loader(store, 8).state_dict()
    with pytest.raises(UserError, match=r"22 batches an epoch, this run has 11: .*data\.batch_size"):
        loader(store, 16).load_state_dict(state)


@pytest.mark.parametrize("key", ["next_batch", "batches"])
@pytest.mark.parametrize("value", [None, -1, 1.5, "1", True, [1], 10**9, 2**70])
def test_a_position_of_strangers_is_refused(store, key, value):
    batches = loader(store, 8)
    state = batches.state_dict()
    for wrong in (state | {key: value}, {k: v for k, v in state.items() if k != key}, [], None):
        with pytest.raises(UserError):
            batches.load_state_dict(wrong)
