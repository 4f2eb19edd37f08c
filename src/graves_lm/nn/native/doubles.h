/* log and exp of double without branches, to within a few units in the last place: as in functions.h, so that the
   compiler makes vector code of loops over them. For finite numbers within the bounds that they name. */
#pragma once
#include "functions.h"

/* For normal x > 0: x = 2ⁿ m with √½ ≤ m < √2, and log m = 2 (s + s³/3 + s⁵/5 + …), s = (m − 1) / (m + 1). */
INLINE double logarithm(double x)
{
    const uint64_t root = 0x3fe6a09e667f3bcdu; /* √½ */
    uint64_t bits;
    memcpy(&bits, &x, 8);
    uint64_t above = bits - root;
    int64_t n = (int64_t)above >> 52;
    bits = (above & 0x000fffffffffffffu) + root;
    double m, fraction, whole;
    memcpy(&m, &bits, 8);
    /* n as a double, by the last bits of a large one: few processors convert whole numbers of 64 bits in vectors */
    uint64_t large = 0x4338000000000000u + (uint64_t)n;
    memcpy(&whole, &large, 8);
    whole -= 0x1.8p52;
    double s = (m - 1) / (m + 1), t = s * s;
    fraction = 2. / 19;
    fraction = fraction * t + 2. / 17;
    fraction = fraction * t + 2. / 15;
    fraction = fraction * t + 2. / 13;
    fraction = fraction * t + 2. / 11;
    fraction = fraction * t + 2. / 9;
    fraction = fraction * t + 2. / 7;
    fraction = fraction * t + 2. / 5;
    fraction = fraction * t + 2. / 3;
    return whole * 0.693147180559945309 + (fraction * t * s + 2 * s);
}

/* For x ≤ 0: x = n ln 2 + r with |r| ≤ ln 2 / 2; below −700 that of −700. */
INLINE double exponential_double(double x)
{
    const double magic = 0x1.8p52; /* adding it rounds to a whole number, which then stands in the last bits */
    x = x < -700 ? -700 : x;
    double shifted = x * 1.44269504088896341 + magic, n = shifted - magic;
    double r = (x - n * 0x1.62e42feep-1) - n * 0x1.a39ef35793c76p-33, p = 1. / 479001600;
    p = p * r + 1. / 39916800;
    p = p * r + 1. / 3628800;
    p = p * r + 1. / 362880;
    p = p * r + 1. / 40320;
    p = p * r + 1. / 5040;
    p = p * r + 1. / 720;
    p = p * r + 1. / 120;
    p = p * r + 1. / 24;
    p = p * r + 1. / 6;
    p = p * r + 1. / 2;
    p = p * r + 1;
    p = p * r + 1;
    uint64_t bits;
    double power;
    memcpy(&bits, &shifted, 8);
    bits = (bits + 1023) << 52; /* magic's other bits are shifted out */
    memcpy(&power, &bits, 8);
    return p * power;
}
