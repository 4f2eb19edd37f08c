"""native/counts.c in numpy, for machines without a compiler: some twenty times slower.

Equal to the last bit, and the same on every machine (`exact`); names are those of `counts.State`, whole
numbers are of 64 bits and wrap around.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from graves_lm.compression.exact import exponential, logarithm, total

_64 = (1 << 64) - 1


def mix(state: Any, chance_S256: NDArray[np.float64]) -> None:
    """The mixture with chances of the next byte of each stream, into `state.mixed`."""
    for s in range(state.streams):
        _mix(state, s, chance_S256[s])


def update(state: Any, bytes_: list[int]) -> None:
    """The byte of each of the first streams that came."""
    for s, byte in enumerate(bytes_):
        _learn(state, s, byte)
        known = next((c for c in range(state.orders - 1, -1, -1) if _add(state, state.row[s, c], byte)), None)
        if known is None:
            state.once[byte] += 1
        for row in state.row[s, state.orders :]:
            _add(state, row, byte)
        _follow(state, s, byte)
        state.last[s, 1:] = state.last[s, :-1].copy()
        state.last[s, 0] = byte
        letter = byte | 32
        word, before = map(int, state.words[s])
        if ord("a") <= letter <= ord("z") or byte >= 128:
            word = (word + letter + 1) * int(state.times[state.orders]) & _64
        elif word:
            word, before = 0, word
        state.words[s] = word, before


def _mix(state: Any, s: int, chance_256: NDArray[np.float64]) -> None:
    orders, log_p_M256 = state.orders, state.log_p[s]
    p: list[NDArray[np.float64]] = []
    first, top, known = state.once / total(state.once), (0.0, 0), 0
    for c, context in enumerate(_contexts(state, s)):
        hashed = scrambled(context)
        row, check = hashed & state.rows - 1, hashed >> 40 & 255
        state.row[s, c] = row
        if state.check[row] != check:
            state.check[row], state.count[row] = check, 0
        below = p[(min(1, orders - 1) if c == orders else c - 1)] if c else first
        p_256, sum_, kinds = _interpolated(state, row, below)
        p.append(p_256)
        if c == 0 or (c < orders and sum_ > 0):
            known, top = c + (sum_ > 0), (sum_, kinds)
    log_p_M256[0] = logarithm(np.maximum(chance_256, 1e-12))
    for m, c in enumerate((state.input_0, state.input_1, state.input_2, orders, orders + 1), 1):
        log_p_M256[m] = logarithm(p[c])
    said, odds, how_long, length = -1, 0.0, 0, int(state.length[s])
    if length:
        said = int(state.history.ravel()[state.place[s]])
        right = (state.hit[length] + 1) / (state.hit[length] + state.miss[length] + 1.3)
        odds = float(logarithm(np.array(right * 255 / (1 - right))))
        how_long = 1 + (length >= 12) + (length >= 24)
    sure = 0 if top[1] > 1 else 2 if top[0] > 2 else 1
    inputs = len(log_p_M256) + 1
    chosen = (known * 3 + sure) * 4 + how_long
    weight_M = state.weight[chosen] + state.weight_of_last[int(state.last[s, 0])]
    z_256 = total((weight_M[:-1, None] * log_p_M256).T)
    if said >= 0:
        z_256[said] += weight_M[-1] * odds
    z_256 = exponential(z_256 - z_256.max())
    state.mixed[s] = z_256 / total(z_256)
    state.set[s], state.said[s], state.odds[s] = chosen * inputs, said, odds


def _contexts(state: Any, s: int) -> list[int]:
    """What each context is hashed by: of last bytes, of the word so far, of that and the one before."""
    found, so_far = [], 0
    times = [int(t) for t in state.times]
    for last, factor in zip(state.last[s], times, strict=False):
        so_far = so_far + (int(last) + 1) * factor & _64
        found.append(so_far)
    word, before = map(int, state.words[s])
    one, two, three = times[state.orders :]
    return [*found, (word + 1) * one & _64, word * two + (before + 1) * three & _64]


def _interpolated(
    state: Any, row: int, below_256: NDArray[np.float64]
) -> tuple[NDArray[np.float64], float, int]:
    count_W, symbol_W = state.count[row].astype(np.float64), state.symbol[row]
    sum_, kinds = float(count_W.sum()), int((count_W > 0).sum())
    over = 1 / (sum_ + state.concentration)
    p_256 = (state.discount * kinds + state.concentration) * over * below_256
    seen_W = count_W > 0
    p_256[symbol_W[seen_W]] += (count_W[seen_W] - state.discount) * over
    return p_256, sum_, kinds


def _learn(state: Any, s: int, byte: int) -> None:
    mixed_256, log_p_M256, said = state.mixed[s], state.log_p[s], int(state.said[s])
    gradient_M = np.append(log_p_M256[:, byte] - total(log_p_M256 * mixed_256), 0.0)
    if said >= 0:
        gradient_M[-1] = state.odds[s] * ((said == byte) - mixed_256[said])
    state.weight[state.set[s] // len(gradient_M)] += state.rate * gradient_M
    state.weight_of_last[int(state.last[s, 0])] += state.rate * gradient_M


def _add(state: Any, row: int, byte: int) -> bool:
    """Count the byte after a context; whether the context knew it."""
    count_W, symbol_W = state.count[row], state.symbol[row]
    found = np.flatnonzero((count_W > 0) & (symbol_W == byte))
    if len(found):
        if count_W[found[0]] >= state.full:
            count_W >>= 1
        count_W[found[0]] += 1
        return True
    least = count_W.argmin()
    count_W[least], symbol_W[least] = 1, byte
    return False


def _follow(state: Any, s: int, byte: int) -> None:
    """Go on with a match, or look for one."""
    ring, length, place = state.ring, int(state.length[s]), int(state.place[s])
    if length:
        (state.hit if state.said[s] == byte else state.miss)[length] += 1
        if state.hit[length] + state.miss[length] > 255:
            state.hit[length] /= 2
            state.miss[length] /= 2
        place = place // ring * ring + (place + 1) % ring
        length = min(length + 1, state.longest) if state.said[s] == byte else 0
    state.history[s, state.next[s]] = byte
    state.next[s] = (state.next[s] + 1) % ring
    here, hashed = s * ring + int(state.next[s]), 0
    for x in _before(state, here, state.shortest):
        hashed = hashed * 0x9E3779B97F4A7C15 + x + 1 & _64
    hashed = scrambled(hashed) & state.table - 1
    if not length and state.latest[hashed]:
        place = int(state.latest[hashed]) - 1
        pairs = zip(_before(state, place, state.longest), _before(state, here, state.longest), strict=True)
        length = next((n for n, (a, b) in enumerate(pairs) if a != b), state.longest)
        length = length if length >= state.shortest else 0
    state.latest[hashed] = here + 1
    if length and place % ring == state.next[place // ring]:
        length = 0  # what comes there is not known yet
    state.length[s], state.place[s] = length, place


def _before(state: Any, place: int, count: int) -> list[int]:
    """The bytes before a place of a history, the latest first."""
    stream, at = divmod(place, state.ring)
    found: list[int] = state.history[stream, (at - 1 - np.arange(count)) % state.ring].tolist()
    return found


def scrambled(z: int) -> int:
    """SplitMix64's finaliser (G. Steele, D. Lea and C. Flood, 2014)."""
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 & _64
    z = (z ^ z >> 27) * 0x94D049BB133111EB & _64
    return z ^ z >> 31
