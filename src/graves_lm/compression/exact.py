"""log, exp and sums of float64 that are the same to the last bit on every machine.

IEEE 754 says what +, −, × and ÷ give; what a library's log is, or the order of its sums, depends on the
processor and its version. So here is nothing but these four, in numpy's passes over whole arrays, which no
compiler fuses. Equal to the last bit to native/doubles.h, where that is compiled without fusing.
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
_LN2, _LN2_HIGH, _LN2_LOW = map(
    float.fromhex, ("0x1.62e42fefa39efp-1", "0x1.62e42feep-1", "0x1.a39ef35793c76p-33")
)
_LOG2_E = 1.44269504088896341
_LEAST = -700.0
_FACTORIALS = np.cumprod(np.arange(1.0, 13.0))


def logarithm(x: Floats) -> Floats:
    """log x for normal x > 0: 2ⁿ m with √½ ≤ m < √2, and log m = 2 (s + s³/3 + s⁵/5 + …) with
    s = (m − 1) / (m + 1)."""
    m, n = np.frexp(x)
    low = m < np.sqrt(0.5)
    m, n = np.where(low, 2 * m, m), n - low
    s = (m - 1) / (m + 1)
    t = s * s
    series = np.full_like(s, 2 / 19)
    for k in range(17, 1, -2):
        series = series * t + 2 / k
    made: Floats = n * _LN2 + (series * t * s + 2 * s)
    return made


def exponential(x: Floats) -> Floats:
    """exp x for x ≤ 0, below −700 that of −700: 2ⁿ eʳ with |r| ≤ ½ log 2, and e's series."""
    x = np.maximum(x, _LEAST)
    n = np.rint(x * _LOG2_E)
    r = (x - n * _LN2_HIGH) - n * _LN2_LOW
    series = np.full_like(r, 1 / _FACTORIALS[-1])
    for factorial in _FACTORIALS[-2::-1]:
        series = series * r + 1 / factorial
    made: Floats = np.ldexp(series * r + 1, n.astype(np.int64))
    return made


def total(x: Floats) -> Floats:
    """The sum along the last axis, from its beginning to its end."""
    made: Floats = np.add.accumulate(x, axis=-1)[..., -1]
    return made
